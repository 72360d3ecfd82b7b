//! Schemas: what the documents of a kind hold, whom they concern, what they build on and who may read which field.

use records::{Moment, count, field_set, is_decided, is_word, key, named, next, page};
use vouch_contract::{Bytes, Context, String, Vec, choice, emit, encode, load, record, store};

use crate::{
    DocumentsError,
    access::class,
    event::SchemaChanged,
    limits::{FIELDS_MAX, RULES_MAX, SCHEMA_BYTES_MAX, TITLE_BYTES_MAX},
};

choice! {
    /// The five kinds of document that depend on each other (G 4.3).
    pub enum Category = ("Category", "类别") {
        /// Who somebody is.
        Identity = ("Identity", "身份"),
        /// What was agreed.
        Contract = ("Contract", "合约"),
        /// What was done and paid.
        Transaction = ("Transaction", "交易"),
        /// What was billed.
        Invoice = ("Invoice", "票据"),
        /// What was found about risk.
        Risk = ("Risk", "风控"),
    }
}

choice! {
    /// What a field's value is.
    pub enum FieldKind = ("Kind of field", "字段类型") {
        /// Text.
        Text = ("Text", "文本"),
        /// A decimal number as text, for amounts.
        Decimal = ("Decimal", "小数"),
        /// A whole number.
        Integer = ("Whole number", "整数"),
        /// True or false.
        Boolean = ("Yes or no", "是否"),
        /// A day, `YYYY-MM-DD`.
        Date = ("Day", "日期"),
        /// A time, RFC 3339 with offset.
        Time = ("Time", "时间"),
        /// A word of a code list.
        Code = ("Code", "代码"),
        /// Line items: number and root of a sub-tree.
        Rows = ("Line items", "明细"),
        /// A file.
        Attachment = ("File", "附件"),
    }
}

/// Bits of the members' roles that a party rule allows.
pub mod member_role {
    /// Runs a business platform: an enterprise user in the sense of G 3.9.
    pub const PLATFORM: u8 = 1;
    /// Manages and serves gig workers.
    pub const INSTITUTION: u8 = 2;
    /// A company that takes part in its own name.
    pub const ENTERPRISE: u8 = 4;
    /// Watches over the others.
    pub const REGULATOR: u8 = 8;
    /// All of them.
    pub const ALL: u8 = 15;

    /// The bit of a role; none for one that is not known here.
    #[must_use]
    pub fn bit(role: &str) -> u8 {
        match role {
            "platform" => PLATFORM,
            "institution" => INSTITUTION,
            "enterprise" => ENTERPRISE,
            "regulator" => REGULATOR,
            _ => 0,
        }
    }
}

record! {
    /// One field of a schema; its place in the list is its slot.
    pub struct FieldRule = ("Field", "字段") {
        /// Its name in the commitment: a word.
        pub name: String = ("Name", "名称"),
        /// For people, in English.
        pub title_en: String = ("Title in English", "英文标题"),
        /// For people, in Chinese.
        pub title_zh: String = ("Title in Chinese", "中文标题"),
        /// What its value is.
        pub kind: FieldKind = ("Kind", "类型"),
        /// 1 (may be public) to 4 (most sensitive).
        pub grade: u8 = ("Grade", "级别"),
        /// Whether its value may stand on chain for everyone to read; grades 1 and 2 only.
        pub public: bool = ("May be public", "可公开"),
        /// Whether it must not be null.
        pub required: bool = ("Required", "必填"),
        /// Who may read it: bits of [`class`]. The issuer always may.
        pub readers: u8 = (
            "Readers: 1 owner, 2 institution, 4 recipient, 8 regulator, 16 party",
            "可读方：1 所有者 2 服务机构 4 接受服务企业 8 监管 16 当事方"
        ),
        /// The party role whose private data it is; none means every owner's.
        pub about: Option<String> = ("Whose data it is", "所属当事方"),
    }
}

record! {
    /// A role that parties of a document have.
    pub struct PartyRule = ("Party rule", "当事方规则") {
        /// Its name, for example `worker`.
        pub role: String = ("Role", "身份"),
        /// For people, in English.
        pub title_en: String = ("Title in English", "英文标题"),
        /// For people, in Chinese.
        pub title_zh: String = ("Title in Chinese", "中文标题"),
        /// Whether it may be a subject, a person.
        pub subject: bool = ("May be a person", "可为个人"),
        /// Which members it may be: bits of [`member_role`]; 0 means no member.
        pub members: u8 = (
            "Members: 1 platform, 2 institution, 4 enterprise, 8 regulator",
            "可为成员：1 平台 2 服务机构 4 企业 8 监管"
        ),
        /// Fewest parties of this role.
        pub min: u8 = ("At least", "最少"),
        /// Most parties of this role.
        pub max: u8 = ("At most", "最多"),
        /// Whether the document is this party's private data, to which the rules a and b of G 4.9.4 apply.
        pub owner: bool = ("Owner", "所有者"),
        /// Whether, of the enterprises that received an owner's service, only those named in this role are readers.
        pub recipient: bool = ("Names the recipients", "指定接受服务企业"),
        /// Whether the version takes effect only once each of them has signed.
        pub signs: bool = ("Signs", "须签署"),
    }
}

record! {
    /// A document that another must or may name.
    pub struct ReferenceRule = ("Reference rule", "引用规则") {
        /// What the named document is to this one, for example `contract`.
        pub name: String = ("Name", "名称"),
        /// For people, in English.
        pub title_en: String = ("Title in English", "英文标题"),
        /// For people, in Chinese.
        pub title_zh: String = ("Title in Chinese", "中文标题"),
        /// The category it must have.
        pub category: Category = ("Category", "类别"),
        /// The schema it must have; none means any of the category.
        pub schema: Option<String> = ("Schema", "模式"),
        /// Fewest of them.
        pub min: u8 = ("At least", "最少"),
        /// Most of them.
        pub max: u8 = ("At most", "最多"),
        /// Whether both must have an owner in common; else any party or issuer in common will do.
        pub same_owner: bool = ("Same owner", "同一所有者"),
        /// Whether it may be under dispute.
        pub disputed: bool = ("May be disputed", "可处于争议"),
    }
}

record! {
    /// A reason to read, and how far it carries.
    pub struct PurposeRule = ("Purpose rule", "用途规则") {
        /// Its code, for example `settlement`.
        pub code: String = ("Code", "代码"),
        /// For people, in English.
        pub title_en: String = ("Title in English", "英文标题"),
        /// For people, in Chinese.
        pub title_zh: String = ("Title in Chinese", "中文标题"),
        /// Who may state it: bits of [`class`]; the issuer always may.
        pub readers: u8 = ("Readers", "可用方"),
        /// The highest grade that it opens.
        pub grade: u8 = ("Highest grade", "最高级别"),
    }
}

record! {
    /// What a schema fixes. It never changes: a change is a new version of the schema.
    pub struct SchemaDefinition = ("Schema definition", "模式定义") {
        /// Its name: a word.
        pub name: String = ("Name", "名称"),
        /// For people, in English.
        pub title_en: String = ("Title in English", "英文标题"),
        /// For people, in Chinese.
        pub title_zh: String = ("Title in Chinese", "中文标题"),
        /// The kind of its documents.
        pub category: Category = ("Category", "类别"),
        /// Its fields by slot.
        pub fields: Vec<FieldRule> = ("Fields", "字段"),
        /// The roles of its parties.
        pub parties: Vec<PartyRule> = ("Parties", "当事方"),
        /// What its documents name.
        pub references: Vec<ReferenceRule> = ("References", "引用"),
        /// Reasons to read; none listed means any reason opens every grade.
        pub purposes: Vec<PurposeRule> = ("Purposes", "用途"),
        /// Days from submission before which the law forbids to erase.
        pub retention_days: u32 = ("Retention in days", "保存天数"),
    }
}

record! {
    /// A registered schema.
    pub struct Schema = ("Schema", "模式") {
        /// From 1, without gaps per name.
        pub version: u32 = ("Version", "版本"),
        /// What it fixes.
        pub definition: SchemaDefinition = ("Definition", "定义"),
        /// When the members registered it.
        pub registered: Moment = ("Registered", "登记时间"),
        /// Since when no new document may use it.
        pub retired: Option<Moment> = ("Retired", "停用时间"),
    }
}

record! {
    /// A schema in a list.
    pub struct SchemaEntry = ("Schema in a list", "模式条目") {
        /// Its number among all versions of all schemas, from 1, without gaps.
        pub number: u64 = ("Number", "序号"),
        /// Its name.
        pub name: String = ("Name", "名称"),
        /// Its version.
        pub version: u32 = ("Version", "版本"),
        /// For people, in English.
        pub title_en: String = ("Title in English", "英文标题"),
        /// For people, in Chinese.
        pub title_zh: String = ("Title in Chinese", "中文标题"),
        /// The kind of its documents.
        pub category: Category = ("Category", "类别"),
        /// Whether new documents may use it.
        pub open: bool = ("Open", "启用"),
    }
}

/// What of a schema every call needs: short, without titles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) category: Category,
    /// Whether new documents may use it.
    pub(crate) open: bool,
    /// Per slot, who may read it.
    readers: Bytes,
    /// Per slot, its grade.
    grades: Bytes,
    /// Per slot, whether it may be public.
    public: Bytes,
    /// Per slot, 1 + the place of the party rule whose data it is; 0 for every owner's.
    about: Bytes,
    pub(crate) parties: Vec<PartyRule>,
    pub(crate) references: Vec<ReferenceRule>,
    purposes: Vec<PurposeRule>,
    pub(crate) retention_days: u32,
}

vouch_contract::__codec!(Rules {
    category,
    open,
    readers,
    grades,
    public,
    about,
    parties,
    references,
    purposes,
    retention_days
});

const COUNT_KEY: &[u8] = b"H";

fn schema_key(name: &str, version: u32) -> Vec<u8> {
    key(b'h', &[&named(name), &version.to_be_bytes()])
}

fn rules_key(name: &str, version: u32) -> Vec<u8> {
    key(b'R', &[&named(name), &version.to_be_bytes()])
}

fn latest_key(name: &str) -> Vec<u8> {
    key(b'l', &[&named(name)])
}

fn number_key(number: u64) -> Vec<u8> {
    key(b'i', &[&number.to_be_bytes()])
}

impl Rules {
    pub(crate) fn load(name: &str, version: u32) -> Result<Self, DocumentsError> {
        if !is_word(name) {
            return Err(DocumentsError::UnknownSchema);
        }
        load(&rules_key(name, version)).ok_or(DocumentsError::UnknownSchema)
    }

    fn of(definition: &SchemaDefinition) -> Self {
        let fields = &definition.fields;
        let per_slot = |of: &dyn Fn(&FieldRule) -> u8| Bytes(fields.iter().map(of).collect());
        let place = |role: &str| definition.parties.iter().position(|rule| rule.role == role);
        let about = |field: &FieldRule| match field.about.as_deref().and_then(place) {
            Some(at) => at as u8 + 1,
            None => 0,
        };
        let untitled_party =
            |rule: &PartyRule| PartyRule { title_en: String::new(), title_zh: String::new(), ..rule.clone() };
        let untitled_reference =
            |rule: &ReferenceRule| ReferenceRule { title_en: String::new(), title_zh: String::new(), ..rule.clone() };
        let untitled_purpose =
            |rule: &PurposeRule| PurposeRule { title_en: String::new(), title_zh: String::new(), ..rule.clone() };
        Self {
            category: definition.category,
            open: true,
            readers: per_slot(&|field| field.readers),
            grades: per_slot(&|field| field.grade),
            public: per_slot(&|field| u8::from(field.public)),
            about: per_slot(&about),
            parties: definition.parties.iter().map(untitled_party).collect(),
            references: definition.references.iter().map(untitled_reference).collect(),
            purposes: definition.purposes.iter().map(untitled_purpose).collect(),
            retention_days: definition.retention_days,
        }
    }

    /// How many slots there are.
    pub(crate) fn slots(&self) -> u16 {
        self.readers.0.len() as u16
    }

    /// Whether a slot may be public.
    pub(crate) fn is_public(&self, slot: u16) -> bool {
        self.public.0.get(usize::from(slot)) == Some(&1)
    }

    /// The place of a party role.
    pub(crate) fn party(&self, role: &str) -> Option<(usize, &PartyRule)> {
        self.parties.iter().enumerate().find(|(_, rule)| rule.role == role)
    }

    /// How far a purpose carries: who may state it, and the highest grade; `None` when the schema has no such purpose.
    pub(crate) fn purpose(&self, code: &str) -> Option<(u8, u8)> {
        if self.purposes.is_empty() {
            return is_word(code).then_some((class::RULES, u8::MAX));
        }
        self.purposes.iter().find(|rule| rule.code == code).map(|rule| (rule.readers, rule.grade))
    }

    /// The fields open to somebody: `masks[0]` says why they read data of every owner, `masks[1 + n]` why data of the
    /// party rule `n`; a grade above `grade` stays closed.
    pub(crate) fn readable(&self, masks: &[u8], is_issuer: bool, grade: u8) -> Vec<u8> {
        field_set::collect(self.slots(), |slot| {
            let at = usize::from(slot);
            let mask = masks.get(usize::from(self.about.0[at])).copied().unwrap_or(0);
            self.grades.0[at] <= grade && (is_issuer || self.readers.0[at] & mask != 0)
        })
    }
}

fn check_titles(en: &str, zh: &str) -> Result<(), DocumentsError> {
    let fits = |title: &str| (1..=TITLE_BYTES_MAX).contains(&title.len());
    if fits(en) && fits(zh) { Ok(()) } else { Err(DocumentsError::BadSchema) }
}

fn are_unique<'a>(names: impl Iterator<Item = &'a str> + Clone) -> bool {
    let mut sorted: Vec<&str> = names.collect();
    let all = sorted.len();
    sorted.sort_unstable();
    sorted.dedup();
    sorted.len() == all && sorted.iter().all(|name| is_word(name))
}

fn check_fields(definition: &SchemaDefinition) -> Result<(), DocumentsError> {
    let fields = &definition.fields;
    if fields.is_empty() || fields.len() > FIELDS_MAX || !are_unique(fields.iter().map(|f| f.name.as_str())) {
        return Err(DocumentsError::BadSchema);
    }
    for field in fields {
        check_titles(&field.title_en, &field.title_zh)?;
        let about_owner = |role: &String| definition.parties.iter().any(|rule| rule.role == *role && rule.owner);
        let legal = (1..=4).contains(&field.grade)
            && (!field.public || field.grade <= 2)
            && field.readers <= class::RULES
            && field.about.as_ref().is_none_or(about_owner);
        // An identity is one party's own: nobody reads it for being named beside it.
        let identity = definition.category == Category::Identity;
        if !legal || (identity && field.readers & class::PARTY != 0) {
            return Err(DocumentsError::BadSchema);
        }
    }
    Ok(())
}

fn check_parties(definition: &SchemaDefinition) -> Result<(), DocumentsError> {
    let parties = &definition.parties;
    if parties.len() > RULES_MAX || !are_unique(parties.iter().map(|rule| rule.role.as_str())) {
        return Err(DocumentsError::BadSchema);
    }
    for rule in parties {
        check_titles(&rule.title_en, &rule.title_zh)?;
        let receives = member_role::PLATFORM | member_role::ENTERPRISE;
        let legal = (rule.subject || rule.members != 0)
            && rule.members <= member_role::ALL
            && rule.max >= 1
            && rule.min <= rule.max
            && usize::from(rule.max) <= RULES_MAX
            && (!rule.recipient || (!rule.subject && rule.members & !receives == 0));
        if !legal {
            return Err(DocumentsError::BadSchema);
        }
    }
    let owners = parties.iter().filter(|rule| rule.owner && rule.min >= 1).count();
    let one_party = parties.len() == 1 && parties.iter().all(|rule| rule.max == 1);
    if owners == 0 || (definition.category == Category::Identity && !one_party) {
        return Err(DocumentsError::BadSchema);
    }
    Ok(())
}

fn check_others(definition: &SchemaDefinition) -> Result<(), DocumentsError> {
    let (references, purposes) = (&definition.references, &definition.purposes);
    if references.len() > RULES_MAX
        || purposes.len() > RULES_MAX
        || !are_unique(references.iter().map(|rule| rule.name.as_str()))
        || !are_unique(purposes.iter().map(|rule| rule.code.as_str()))
    {
        return Err(DocumentsError::BadSchema);
    }
    for rule in references {
        check_titles(&rule.title_en, &rule.title_zh)?;
        let schema = rule.schema.as_deref().is_none_or(is_word);
        if rule.min > rule.max || rule.max == 0 || usize::from(rule.max) > RULES_MAX || !schema {
            return Err(DocumentsError::BadSchema);
        }
    }
    for rule in purposes {
        check_titles(&rule.title_en, &rule.title_zh)?;
        if rule.readers > class::RULES || !(1..=4).contains(&rule.grade) {
            return Err(DocumentsError::BadSchema);
        }
    }
    Ok(())
}

pub(crate) fn register_schema(context: &Context, definition: SchemaDefinition) -> Result<u32, DocumentsError> {
    if !is_decided(context) {
        return Err(DocumentsError::NotDecided);
    }
    if !is_word(&definition.name) || encode(&definition).len() > SCHEMA_BYTES_MAX {
        return Err(DocumentsError::BadSchema);
    }
    check_titles(&definition.title_en, &definition.title_zh)?;
    check_parties(&definition)?;
    check_fields(&definition)?;
    check_others(&definition)?;
    let latest = load::<u32>(&latest_key(&definition.name)).unwrap_or(0);
    if latest > 0 && Rules::load(&definition.name, latest)?.category != definition.category {
        return Err(DocumentsError::BadSchema);
    }
    let version = latest + 1;
    let name = definition.name.clone();
    store(&latest_key(&name), &version);
    store(&rules_key(&name, version), &Rules::of(&definition));
    store(&number_key(next(COUNT_KEY)), &(name.clone(), version));
    let schema = Schema { version, definition, registered: Moment::of(context), retired: None };
    store(&schema_key(&name, version), &schema);
    emit(&SchemaChanged { name, version, open: true });
    Ok(version)
}

pub(crate) fn retire_schema(context: &Context, name: String, version: u32) -> Result<(), DocumentsError> {
    if !is_decided(context) {
        return Err(DocumentsError::NotDecided);
    }
    let mut rules = Rules::load(&name, version)?;
    let mut schema: Schema = load(&schema_key(&name, version)).ok_or(DocumentsError::UnknownSchema)?;
    if !rules.open {
        return Err(DocumentsError::SchemaRetired);
    }
    rules.open = false;
    schema.retired = Some(Moment::of(context));
    store(&rules_key(&name, version), &rules);
    store(&schema_key(&name, version), &schema);
    emit(&SchemaChanged { name, version, open: false });
    Ok(())
}

pub(crate) fn schema(_: &Context, name: String, version: u32) -> Result<Option<Schema>, DocumentsError> {
    Ok(if is_word(&name) { load(&schema_key(&name, version)) } else { None })
}

pub(crate) fn schema_versions(_: &Context, name: String) -> Result<u32, DocumentsError> {
    Ok(if is_word(&name) { load(&latest_key(&name)).unwrap_or(0) } else { 0 })
}

pub(crate) fn list_schemas(_: &Context, after: u64, limit: u32) -> Result<Vec<SchemaEntry>, DocumentsError> {
    Ok(page(after, limit, |number| {
        let (name, version) = load::<(String, u32)>(&number_key(number))?;
        let schema: Schema = load(&schema_key(&name, version))?;
        let SchemaDefinition { title_en, title_zh, category, .. } = schema.definition;
        Some(SchemaEntry { number, name, version, title_en, title_zh, category, open: schema.retired.is_none() })
    }))
}

pub(crate) fn count_schemas(_: &Context) -> Result<u64, DocumentsError> {
    Ok(count(COUNT_KEY))
}
