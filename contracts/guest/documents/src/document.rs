//! Documents and their versions as they are stored.

use records::{Moment, Party, key};
use vouch_contract::{Account, Bytes, Context, Hash, String, Vec, choice, emit, hash, load, record, store};

use crate::{
    DocumentsError,
    erasure::ErasureState,
    event::StateChanged,
    schema::{Category, Rules},
};

record! {
    /// A party and what it is in the document.
    pub struct PartyEntry = ("Party in a role", "当事方身份") {
        /// A role of the schema.
        pub role: String = ("Role", "身份"),
        /// Who has it.
        pub party: Party = ("Party", "当事方"),
    }
}

record! {
    /// A field that everyone may read.
    pub struct PublicField = ("Public field", "公开字段") {
        /// Its slot.
        pub slot: u16 = ("Slot", "槽位"),
        /// Its value as JSON text, as in the commitment.
        pub value: String = ("Value", "值"),
    }
}

record! {
    /// A document that this one names.
    pub struct ReferenceEntry = ("Reference", "引用") {
        /// What it is to this one: a reference of the schema.
        pub name: String = ("Name", "名称"),
        /// The document.
        pub id: Bytes = ("Document", "凭证"),
        /// Its version.
        pub version: u32 = ("Version", "版本"),
    }
}

record! {
    /// A recipient beyond the rules, named by public key (C 4.4 a).
    pub struct KeyRecipient = ("Recipient by key", "公钥接收方") {
        /// X25519 public key.
        pub key: Hash = ("Public key", "公钥"),
        /// What it may read.
        pub fields: Bytes = ("Fields", "字段"),
    }
}

record! {
    /// What a submission says.
    pub struct NewVersion = ("Content of a version", "版本内容") {
        /// Version of the schema.
        pub schema_version: u32 = ("Version of the schema", "模式版本"),
        /// Root of the commitment.
        pub root: Hash = ("Root", "承诺根"),
        /// Root over the ciphertexts of its attachments.
        pub blob_root: Option<Hash> = ("Root of attachments", "附件根"),
        /// Everyone it concerns.
        pub parties: Vec<PartyEntry> = ("Parties", "当事方"),
        /// What it builds on.
        pub references: Vec<ReferenceEntry> = ("References", "引用"),
        /// Public fields, ascending by slot.
        pub public: Vec<PublicField> = ("Public fields", "公开字段"),
        /// Extra recipients, ascending by key.
        pub recipients: Vec<KeyRecipient> = ("Recipients by key", "公钥接收方"),
    }
}

choice! {
    /// How a version stands.
    pub enum VersionState = ("State of a version", "版本状态") {
        /// Waits for signatures.
        Pending = ("Waits for signatures", "待签署"),
        /// Stands.
        Effective = ("Effective", "有效"),
        /// A party that had to sign refused.
        Rejected = ("Rejected", "已拒绝"),
        /// A later version stands in its place.
        Superseded = ("Superseded", "已更替"),
        /// Its issuer took it back.
        Revoked = ("Revoked", "已撤销"),
        /// A ruling took it back.
        Annulled = ("Annulled", "已裁定无效"),
        /// Its private content was destroyed by every holder.
        Erased = ("Erased", "已删除"),
    }
}

record! {
    /// A party's signature.
    pub struct SignatureEntry = ("Signature", "签署") {
        /// Who signed.
        pub party: Party = ("Party", "当事方"),
        /// The account that did it: the party's own, or that of the member that serves the person.
        pub account: Account = ("Account", "账户"),
        /// The member the account belonged to; none for a person's own key.
        pub member: Option<String> = ("Member", "成员"),
        /// When.
        pub at: Moment = ("At", "时间"),
    }
}

record! {
    /// Why and when a version ceased to stand.
    pub struct Ending = ("Ending", "终止") {
        /// When.
        pub at: Moment = ("At", "时间"),
        /// Who did it.
        pub by: Party = ("By", "执行方"),
        /// Why: a code.
        pub code: String = ("Reason", "原因"),
    }
}

record! {
    /// One version of a document.
    pub struct Version = ("Version", "版本") {
        /// From 1, without gaps.
        pub version: u32 = ("Version", "版本"),
        /// What was submitted.
        pub content: NewVersion = ("Content", "内容"),
        /// Root of the version before.
        pub previous_root: Option<Hash> = ("Previous root", "前版承诺根"),
        /// When it was submitted.
        pub submitted: Moment = ("Submitted", "提交时间"),
        /// By which account of the issuer.
        pub submitter: Account = ("Submitter", "提交账户"),
        /// How it stands.
        pub state: VersionState = ("State", "状态"),
        /// Since when it stood.
        pub effective: Option<Moment> = ("Effective", "生效时间"),
        /// Why and when it ceased to stand.
        pub ending: Option<Ending> = ("Ending", "终止"),
        /// Who has signed.
        pub signatures: Vec<SignatureEntry> = ("Signatures", "签署"),
        /// How many entitled members accept its content.
        pub accepted: u32 = ("Accepted", "接受数"),
        /// How many reject it.
        pub rejected: u32 = ("Rejected", "拒绝数"),
    }
}

record! {
    /// A document.
    pub struct Document = ("Document", "凭证") {
        /// Its id.
        pub id: Bytes = ("Id", "编号"),
        /// Its number among all, from 1.
        pub sequence: u64 = ("Number", "序号"),
        /// Its number within its category, from 1.
        pub category_sequence: u64 = ("Number within category", "类别内序号"),
        /// Its number within its issuer, from 1.
        pub issuer_sequence: u64 = ("Number within issuer", "签发方内序号"),
        /// Its kind.
        pub category: Category = ("Category", "类别"),
        /// Its schema.
        pub schema: String = ("Schema", "模式"),
        /// The member that issued it.
        pub issuer: String = ("Issuer", "签发方"),
        /// When its first version was submitted.
        pub created: Moment = ("Created", "创建时间"),
        /// Its newest version.
        pub latest: u32 = ("Newest version", "最新版本"),
        /// The version that stands.
        pub effective: Option<u32> = ("Effective version", "有效版本"),
        /// Open disputes about it.
        pub disputes: u32 = ("Open disputes", "未决争议"),
        /// Legal holds on it.
        pub holds: u32 = ("Legal holds", "法律保留"),
        /// Whether a ruling asks the issuer for a corrected version.
        pub correction: bool = ("Correction asked for", "须更正"),
        /// How far its erasure is.
        pub erasure: ErasureState = ("Erasure", "删除状态"),
    }
}

/// Bytes of a document's id.
pub const ID_BYTES: usize = 16;

fn document_key(id: &[u8]) -> Vec<u8> {
    key(b'd', &[id])
}

/// Part of a key that names a version.
pub(crate) fn version_part(id: &[u8], version: u32) -> Vec<u8> {
    [id, &version.to_be_bytes()].concat()
}

fn version_key(id: &[u8], version: u32) -> Vec<u8> {
    key(b'v', &[&version_part(id, version)])
}

/// Domain of the hash that binds a document's id to who issues it.
pub const ID_TAG: &str = "vouch/document-id/1";

/// Bytes of an id that its issuer chooses; the others are of the hash over the issuer's name and these.
const ID_CHOSEN_BYTES: usize = 10;

/// Whether an issuer can give this id. Ids stand in transactions that fail or wait, where all can read them: nobody else can
/// take one of them.
pub(crate) fn is_id_of(id: &Bytes, issuer: &str) -> bool {
    let Some((chosen, bound)) = id.0.split_at_checked(ID_CHOSEN_BYTES) else { return false };
    hash(ID_TAG, &[issuer.as_bytes(), chosen].concat()).0.starts_with(bound)
}

pub(crate) fn check_id(id: &Bytes) -> Result<(), DocumentsError> {
    if id.0.len() == ID_BYTES { Ok(()) } else { Err(DocumentsError::BadId) }
}

/// The document, if there is one of this id.
pub(crate) fn find(id: &Bytes) -> Option<Document> {
    if id.0.len() == ID_BYTES { load(&document_key(&id.0)) } else { None }
}

/// The version, if there is one.
pub(crate) fn find_version(id: &Bytes, version: u32) -> Option<Version> {
    if id.0.len() == ID_BYTES { load(&version_key(&id.0, version)) } else { None }
}

/// A document and one of its versions with the rules of its schema.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    pub(crate) document: Document,
    pub(crate) version: Version,
    pub(crate) rules: Rules,
}

impl Opened {
    /// Opens a version.
    pub(crate) fn load(id: &Bytes, version: u32) -> Result<Self, DocumentsError> {
        check_id(id)?;
        let document = find(id).ok_or(DocumentsError::UnknownDocument)?;
        let version = find_version(id, version).ok_or(DocumentsError::UnknownVersion)?;
        let rules = Rules::load(&document.schema, version.content.schema_version)?;
        Ok(Self { document, version, rules })
    }

    /// Stores both records.
    pub(crate) fn save(&self) {
        self.document.save();
        self.version.save(&self.document.id);
    }

    /// The version ceases to stand, and its document has no standing version then.
    pub(crate) fn end(&mut self, context: &Context, state: VersionState, by: Party, code: &str) {
        if self.document.effective == Some(self.version.version) {
            self.document.effective = None;
        }
        self.version.end(context, state, by, code);
        self.version.announce(&self.document.id);
    }

    /// The version takes effect, and the one before ceases to stand.
    pub(crate) fn take_effect(&mut self, context: &Context) -> Result<(), DocumentsError> {
        if let Some(before) = self.document.effective.replace(self.version.version) {
            let mut old = find_version(&self.document.id, before).ok_or(DocumentsError::UnknownVersion)?;
            let by = Party::of_member(&self.document.issuer);
            old.end(context, VersionState::Superseded, by, "superseded");
            old.announce(&self.document.id);
            old.save(&self.document.id);
        }
        self.document.correction = false;
        self.version.state = VersionState::Effective;
        self.version.effective = Some(Moment::of(context));
        self.version.announce(&self.document.id);
        Ok(())
    }
}

impl Document {
    pub(crate) fn save(&self) {
        store(&document_key(&self.id.0), self);
    }

    /// Whether its private content is being destroyed or is destroyed.
    pub(crate) const fn is_erased(&self) -> bool {
        matches!(self.erasure, ErasureState::Ordered | ErasureState::Erased)
    }
}

impl Version {
    pub(crate) fn save(&self, id: &Bytes) {
        store(&version_key(&id.0, self.version), self);
    }

    fn end(&mut self, context: &Context, state: VersionState, by: Party, code: &str) {
        self.state = state;
        self.ending = Some(Ending { at: Moment::of(context), by, code: code.into() });
    }

    fn announce(&self, id: &Bytes) {
        emit(&StateChanged { id: id.clone(), version: self.version, state: self.state });
    }

    /// Whether a party is named in it, in whatever role.
    pub(crate) fn names(&self, party: &Party) -> bool {
        self.content.parties.iter().any(|entry| entry.party == *party)
    }

    /// Parties in roles for which a rule holds.
    pub(crate) fn parties_where<'a>(
        &'a self,
        rules: &'a Rules,
        holds: impl Fn(&crate::schema::PartyRule) -> bool + 'a,
    ) -> impl Iterator<Item = (usize, &'a Party)> + 'a {
        self.content.parties.iter().filter_map(move |entry| {
            let (at, rule) = rules.party(&entry.role)?;
            holds(rule).then_some((at, &entry.party))
        })
    }
}

pub(crate) fn document(_: &Context, id: Bytes) -> Result<Option<Document>, DocumentsError> {
    Ok(find(&id))
}

pub(crate) fn version(_: &Context, id: Bytes, version: u32) -> Result<Option<Version>, DocumentsError> {
    Ok(find_version(&id, version))
}
