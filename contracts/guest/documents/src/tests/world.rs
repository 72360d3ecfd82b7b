//! A consortium in memory: members, accounts with roles, persons, relationships, and documents among them.

use std::{cell::RefCell, collections::BTreeMap};

use records::Party;
use vouch_contract::{Account, Bytes, CallFailure, Decode, Encode, Hash, encode, kit::Kit};

use super::super::*;

thread_local! {
    /// The contract of relationships that the documents ask.
    static RELATIONS: RefCell<Kit<relations::Contract>> = RefCell::new(Kit::new());
    /// Issuers of documents that are not of `union`.
    static ISSUERS: RefCell<BTreeMap<u8, &'static str>> = const { RefCell::new(BTreeMap::new()) };
}

fn ask_relations(contract: &str, method: &str, arguments: &[u8]) -> Result<Vec<u8>, CallFailure> {
    assert_eq!(contract, "relations");
    RELATIONS.with_borrow_mut(|kit| kit.call_bytes(method, arguments))
}

/// All roles of an account.
pub const ROLES: [&str; 5] = ["submitter", "reader", "approver", "auditor", "service"];

/// Members of every role; what they are to each other is for each test to say.
pub const MEMBERS: [(&str, &str); 20] = [
    ("bureau", "institution"),
    ("union", "institution"),
    ("agency", "institution"),
    ("lapsed", "institution"),
    ("courting", "institution"),
    ("later", "institution"),
    ("idle", "institution"),
    ("gone", "institution"),
    ("works", "enterprise"),
    ("mills", "enterprise"),
    ("once", "enterprise"),
    ("shop", "enterprise"),
    ("hub", "platform"),
    ("market", "platform"),
    ("tax", "regulator"),
    ("office", "regulator"),
    ("district", "regulator"),
    ("former", "regulator"),
    ("silent", "regulator"),
    ("court", "institution"),
];

/// The account of a member with one role, or with all of them for the role `all`.
pub fn account(member: &str, role: &str) -> Account {
    let mut bytes = [0; 32];
    bytes[..member.len()].copy_from_slice(member.as_bytes());
    bytes[16..16 + role.len()].copy_from_slice(role.as_bytes());
    Account(bytes)
}

/// The id of document `n`: one of `union`, unless [`issued_by`] says otherwise.
pub fn id(n: u8) -> Bytes {
    let issuer = ISSUERS.with_borrow(|issuers| issuers.get(&n).copied()).unwrap_or("union");
    Bytes(vouch_types::DocumentId::issued(issuer, [n; 10]).as_bytes().to_vec())
}

/// From now on the id of document `n` is one of this issuer.
pub fn issued_by(n: u8, issuer: &'static str) {
    ISSUERS.with_borrow_mut(|issuers| issuers.insert(n, issuer));
}

pub fn person(n: u8) -> Hash {
    Hash([n; 32])
}

pub fn fields(slots: &[u16]) -> Bytes {
    Bytes(records::field_set::collect(1024, |slot| slots.contains(&slot)))
}

/// A rule of a field; readers and grade matter most.
pub fn field(name: &str, grade: u8, readers: u8, about: Option<&str>) -> FieldRule {
    FieldRule {
        name: name.into(),
        title_en: name.into(),
        title_zh: name.into(),
        kind: FieldKind::Text,
        grade,
        public: grade == 1,
        required: false,
        readers,
        about: about.map(Into::into),
    }
}

pub fn party_rule(role: &str, subject: bool, members: u8) -> PartyRule {
    PartyRule {
        role: role.into(),
        title_en: role.into(),
        title_zh: role.into(),
        subject,
        members,
        min: 1,
        max: 1,
        owner: false,
        recipient: false,
        signs: false,
    }
}

pub fn definition(name: &str, category: Category, fields: Vec<FieldRule>, parties: Vec<PartyRule>) -> SchemaDefinition {
    SchemaDefinition {
        name: name.into(),
        title_en: name.into(),
        title_zh: name.into(),
        category,
        fields,
        parties,
        references: vec![],
        purposes: vec![],
        retention_days: 0,
    }
}

pub fn entry(role: &str, party: Party) -> PartyEntry {
    PartyEntry { role: role.into(), party }
}

pub fn content(root: u8, parties: Vec<PartyEntry>) -> NewVersion {
    NewVersion {
        schema_version: 1,
        root: Hash([root; 32]),
        blob_root: None,
        parties,
        references: vec![],
        public: vec![],
        recipients: vec![],
    }
}

pub struct World {
    pub kit: Kit<Contract>,
    /// Accounts of persons with a key of their own.
    own: BTreeMap<Hash, Account>,
}

impl World {
    pub fn new() -> Self {
        RELATIONS.with_borrow_mut(|kit| *kit = Kit::new());
        ISSUERS.with_borrow_mut(BTreeMap::clear);
        let mut world = Self { kit: Kit::new(), own: BTreeMap::new() };
        world.kit.other = ask_relations;
        for (member, role) in MEMBERS {
            for only in ROLES {
                world.add_account(account(member, only), member, role, &[only]);
            }
            world.add_account(account(member, "all"), member, role, &ROLES);
            world.add_account(account(member, "none"), member, role, &[]);
        }
        world
    }

    pub fn relations<T>(&mut self, work: impl FnOnce(&mut Kit<relations::Contract>) -> T) -> T {
        RELATIONS.with_borrow_mut(work)
    }

    pub fn add_account(&mut self, account: Account, member: &str, role: &str, roles: &[&str]) {
        self.kit.add_member(account, member, role);
        self.kit.set_roles(account, roles);
        self.relations(|kit| {
            kit.add_member(account, member, role);
            kit.set_roles(account, roles);
        });
    }

    pub fn set_active(&mut self, member: &str, active: bool) {
        self.kit.set_member_active(member, active);
        self.relations(|kit| kit.set_member_active(member, active));
    }

    /// Time goes by, and a block with it.
    pub fn advance(&mut self, ms: u64) {
        self.kit.time_ms += ms;
        self.kit.height += 1;
        let (time_ms, height) = (self.kit.time_ms, self.kit.height);
        self.relations(|kit| (kit.time_ms, kit.height) = (time_ms, height));
    }

    /// The account with all roles of a member calls.
    pub fn by<A: Encode, R: Decode>(&mut self, member: &str, method: &str, arguments: A) -> Result<R, CallFailure> {
        self.call(account(member, "all"), method, arguments)
    }

    pub fn call<A: Encode, R: Decode>(
        &mut self,
        account: Account,
        method: &str,
        arguments: A,
    ) -> Result<R, CallFailure> {
        self.kit.sign_as(account);
        self.kit.call(method, arguments)
    }

    /// The members decide.
    pub fn decide<A: Encode, R: Decode>(&mut self, method: &str, arguments: A) -> Result<R, CallFailure> {
        self.kit.calling_contract = Some("system".into());
        let result = self.kit.call(method, arguments);
        self.kit.calling_contract = None;
        result
    }

    pub fn relate<A: Encode, R: Decode>(&mut self, member: &str, method: &str, arguments: A) -> Result<R, CallFailure> {
        self.relations(|kit| {
            kit.sign_as(account(member, "all"));
            kit.call(method, arguments)
        })
    }

    pub fn register_person(&mut self, member: &str, person: Hash) {
        let nothing = None::<vouch_contract::Key>;
        self.relate::<_, u64>(member, "register_subject", (person, nothing, None::<Bytes>)).unwrap();
    }

    /// A person with an own key; returns the key's secret.
    pub fn register_person_with_key(&mut self, member: &str, person: Hash, seed: u8) -> vouch_types::SecretKey {
        let secret = vouch_types::SecretKey::from_seed([seed; 32]);
        let proof = prove(&secret, person, member);
        self.relate::<_, u64>(member, "register_subject", (person, Some(key(&secret)), Some(proof))).unwrap();
        self.own.insert(person, own_account(&secret));
        secret
    }

    /// Offers a relationship as its member; the number.
    pub fn offer(&mut self, new: relations::NewRelationship) -> u64 {
        let member = new.member.clone();
        self.relate(&member, "offer", (new,)).unwrap()
    }

    /// A member serves a party from now on.
    pub fn serve(&mut self, member: &str, party: Party) -> u64 {
        let own = party.subject.and_then(|person| self.own.get(&person).copied());
        let accepts = own.unwrap_or_else(|| match (&party.member, party.subject) {
            (Some(name), _) => account(name, "all"),
            (None, subject) => account(&self.registrar(subject.unwrap()), "all"),
        });
        let number = self.offer(serves(member, party));
        self.relations(|kit| {
            kit.sign_as(accepts);
            kit.call::<_, ()>("answer", (vec![number], true)).unwrap();
        });
        number
    }

    /// An enterprise received a person's service.
    pub fn receive(&mut self, member: &str, person: Hash) -> u64 {
        let via = self.registrar(person);
        let number = self.offer(receives(member, person, &via));
        self.relate::<_, ()>(&via, "answer", (vec![number], true)).unwrap();
        number
    }

    /// A regulator watches over a member or everyone.
    pub fn watch(&mut self, regulator: &str, over: Option<&str>) -> u64 {
        let party = over.map_or_else(Party::default, Party::of_member);
        self.offer(relations::NewRelationship { kind: relations::RelationKind::Regulates, ..serves(regulator, party) })
    }

    pub fn end(&mut self, member: &str, number: u64) {
        self.relate::<_, ()>(member, "end", (vec![number],)).unwrap();
    }

    fn registrar(&mut self, person: Hash) -> String {
        let subject: Option<relations::Subject> = self.relations(|kit| kit.call("subject", (person,)).unwrap());
        subject.unwrap().member
    }

    pub fn register_schema(&mut self, definition: SchemaDefinition) {
        self.decide::<_, u32>("register_schema", (definition,)).unwrap();
    }

    pub fn document(&mut self, n: u8) -> Document {
        self.kit.call::<_, Option<Document>>("document", (id(n),)).unwrap().unwrap()
    }

    pub fn version(&mut self, n: u8, version: u32) -> Version {
        self.kit.call::<_, Option<Version>>("version", (id(n), version)).unwrap().unwrap()
    }

    pub fn may(&mut self, account: Account, action: Action, n: u8, version: u32, purpose: &str) -> Decision {
        self.kit.call("may", (account, action, id(n), version, purpose.to_owned())).unwrap()
    }

    pub fn audience(&mut self, n: u8, version: u32) -> Audience {
        self.kit.call("audience", (id(n), version)).unwrap()
    }
}

pub fn key(secret: &vouch_types::SecretKey) -> vouch_contract::Key {
    let public = secret.public();
    let mut bytes = [public.algorithm; 33];
    bytes[1..].copy_from_slice(&public.bytes);
    vouch_contract::Key(bytes)
}

/// The account that a person's own key is.
pub fn own_account(secret: &vouch_types::SecretKey) -> Account {
    Account(secret.public().account().0)
}

/// A person's signature under a domain.
pub fn sign_under(secret: &vouch_types::SecretKey, tag: &str, bytes: &[u8]) -> Bytes {
    let digest = vouch_types::hash::domain_hash(tag, &[bytes]);
    Bytes(secret.sign(&digest.0).0.to_vec())
}

/// What the owner of a key signs for a member that registers them.
pub fn prove(secret: &vouch_types::SecretKey, person: Hash, member: &str) -> Bytes {
    sign_under(secret, "vouch/subject-key/2", &[&person.0[..], member.as_bytes()].concat())
}

/// What a person signs for a version.
pub fn sign_version(secret: &vouch_types::SecretKey, id: &Bytes, version: u32, root: Hash) -> Bytes {
    sign_under(secret, SIGNATURE_TAG, &encode(&(id.clone(), version, root)))
}

pub fn serves(member: &str, party: Party) -> relations::NewRelationship {
    relations::NewRelationship {
        kind: relations::RelationKind::Serves,
        member: member.into(),
        party,
        via: None,
        from_ms: None,
        until_ms: None,
    }
}

pub fn receives(member: &str, person: Hash, via: &str) -> relations::NewRelationship {
    relations::NewRelationship {
        kind: relations::RelationKind::Receives,
        via: Some(via.into()),
        ..serves(member, Party::of_subject(person))
    }
}
