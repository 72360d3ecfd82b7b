//! What changes a document or a relationship, as calls of a transaction.
//!
//! Texts of disputes stay with who wrote them; the chain gets a commitment to each.

use vouch_types::{
    ContractName, Hash32, SecretKey, SubjectId,
    document::{self, DocumentId, Effect, FieldSet, Party},
    encode,
    hash::domain_hash,
    relation::{self, RelationKind},
};

use crate::TransactionBuilder;

/// Fields to be opened to a member or a key beyond the rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewGrant {
    /// To which member; or else
    pub member: Option<String>,
    /// to which X25519 public key.
    pub key: Option<Hash32>,
    /// Which fields.
    pub fields: FieldSet,
    /// For which purpose: a code.
    pub purpose: String,
    /// Until when, in milliseconds since 1970; `None` means until it is ended.
    pub until_ms: Option<u64>,
}

/// Shows that whoever registers a person's key has it; good for one member only, since anybody sees it on its way.
fn key_proof(alias: SubjectId, member: &str, own: &SecretKey) -> Vec<u8> {
    own.sign(domain_hash(relation::KEY_PROOF_TAG, &[alias.as_bytes(), member.as_bytes()]).as_bytes()).0.to_vec()
}

fn named(contract: &str) -> ContractName {
    ContractName::new(contract).expect("a name of the product's own contracts has the form of one")
}

impl TransactionBuilder {
    fn documents(self, method: &str, arguments: Vec<u8>) -> Self {
        self.call(named(document::CONTRACT), method, arguments)
    }

    fn relations(self, method: &str, arguments: Vec<u8>) -> Self {
        self.call(named(relation::CONTRACT), method, arguments)
    }

    /// Signs a version as a party.
    #[must_use]
    pub fn sign_document(self, id: DocumentId, version: u32) -> Self {
        self.documents("sign", encode(&(id, version)))
    }

    /// Brings a person's signature: made with their own key over the digest that `docs/documents.md` names, or, for a person
    /// without a key, the word of the member that serves them.
    #[must_use]
    pub fn sign_document_for(
        self,
        id: DocumentId,
        version: u32,
        subject: SubjectId,
        signature: Option<Vec<u8>>,
    ) -> Self {
        self.documents("sign_for", encode(&(id, version, subject, signature)))
    }

    /// Accepts or rejects a version's content; `code` says why.
    #[must_use]
    pub fn judge_document(self, id: DocumentId, version: u32, accepted: bool, code: &str) -> Self {
        self.documents(document::method::JUDGE, encode(&(id, version, accepted, code.to_owned())))
    }

    /// Takes a document back.
    #[must_use]
    pub fn revoke_document(self, id: DocumentId, code: &str) -> Self {
        self.documents("revoke", encode(&(id, code.to_owned())))
    }

    /// Grants fields.
    #[must_use]
    pub fn grant_document(self, id: DocumentId, version: u32, grant: &NewGrant) -> Self {
        let NewGrant { member, key, fields, purpose, until_ms } = grant.clone();
        self.documents("grant", encode(&(id, version, (member, key, fields, purpose, until_ms))))
    }

    /// Ends a grant.
    #[must_use]
    pub fn end_grant(self, grant: u64) -> Self {
        self.documents("end_grant", encode(&grant))
    }

    /// Opens a dispute before an arbiter; `claim` commits to the text.
    #[must_use]
    pub fn open_dispute(self, id: DocumentId, version: u32, arbiter: &str, code: &str, claim: Hash32) -> Self {
        self.documents("open_dispute", encode(&(id, version, arbiter.to_owned(), code.to_owned(), claim)))
    }

    /// Answers a dispute; `statement` commits to the text.
    #[must_use]
    pub fn answer_dispute(self, dispute: u64, statement: Hash32) -> Self {
        self.documents("answer_dispute", encode(&(dispute, statement)))
    }

    /// Opens fields to the arbiter of a dispute.
    #[must_use]
    pub fn add_evidence(self, dispute: u64, id: DocumentId, version: u32, fields: FieldSet) -> Self {
        self.documents("add_evidence", encode(&(dispute, id, version, fields)))
    }

    /// Rules as the arbiter; `statement` commits to the text.
    #[must_use]
    pub fn rule_dispute(self, dispute: u64, effect: Effect, code: &str, statement: Hash32) -> Self {
        self.documents("rule", encode(&(dispute, effect, code.to_owned(), statement)))
    }

    /// Takes an own dispute back.
    #[must_use]
    pub fn withdraw_dispute(self, dispute: u64) -> Self {
        self.documents("withdraw_dispute", encode(&dispute))
    }

    /// Asks for the erasure of a document.
    #[must_use]
    pub fn request_erasure(self, id: DocumentId, code: &str) -> Self {
        self.documents("request_erasure", encode(&(id, code.to_owned())))
    }

    /// Takes a request for erasure back, as long as it is held back.
    #[must_use]
    pub fn withdraw_erasure(self, id: DocumentId) -> Self {
        self.documents("withdraw_erasure", encode(&id))
    }

    /// Puts a legal hold on a document: as long as it lasts, the document is not erased.
    #[must_use]
    pub fn set_hold(self, id: DocumentId, code: &str) -> Self {
        self.documents("set_hold", encode(&(id, code.to_owned())))
    }

    /// Lifts the hold that a member, the caller's own, has put on a document.
    #[must_use]
    pub fn lift_hold(self, id: DocumentId, member: &str) -> Self {
        self.documents("lift_hold", encode(&(id, member.to_owned())))
    }

    /// Orders an erasure that was held back, when nothing holds it back any more.
    #[must_use]
    pub fn order_erasure(self, id: DocumentId) -> Self {
        self.documents(document::method::ORDER_ERASURE, encode(&id))
    }

    /// Closes an erasure whose deadline has passed, and names those who have not attested.
    #[must_use]
    pub fn close_erasure(self, id: DocumentId) -> Self {
        self.documents(document::method::CLOSE_ERASURE, encode(&id))
    }

    /// Registers a person without a key of their own; the alias is 32 random bytes.
    #[must_use]
    pub fn register_subject(self, alias: SubjectId) -> Self {
        self.relations("register_subject", encode(&(alias, None::<vouch_types::PublicKey>, None::<Vec<u8>>)))
    }

    /// Registers a person with a key of their own, which signs for it here. `member` is the one that registers them: that of
    /// the account that signs the transaction.
    #[must_use]
    pub fn register_subject_with_key(self, alias: SubjectId, member: &str, own: &SecretKey) -> Self {
        let proof = key_proof(alias, member, own);
        self.relations("register_subject", encode(&(alias, Some(own.public()), Some(proof))))
    }

    /// Sets or changes a person's own key, which signs for it here. `member` is the one that has registered them.
    #[must_use]
    pub fn set_subject_key(self, alias: SubjectId, member: &str, own: &SecretKey) -> Self {
        let proof = key_proof(alias, member, own);
        self.relations("set_subject_key", encode(&(alias, own.public(), proof)))
    }

    /// Closes a person's registration.
    #[must_use]
    pub fn close_subject(self, alias: SubjectId) -> Self {
        self.relations("close_subject", encode(&alias))
    }

    /// Offers a relationship: `via` names, for a service received, the member that serves the person.
    #[must_use]
    pub fn offer_relationship(
        self,
        kind: RelationKind,
        member: &str,
        party: Party,
        via: Option<String>,
        until_ms: Option<u64>,
    ) -> Self {
        let from_ms = None::<u64>;
        self.relations("offer", encode(&(kind, member.to_owned(), party, via, from_ms, until_ms)))
    }

    /// Accepts or declines relationships.
    #[must_use]
    pub fn answer_relationships(self, ids: &[u64], accept: bool) -> Self {
        self.relations("answer", encode(&(ids.to_vec(), accept)))
    }

    /// Takes an offer back.
    #[must_use]
    pub fn withdraw_relationship(self, id: u64) -> Self {
        self.relations("withdraw", encode(&id))
    }

    /// Ends relationships.
    #[must_use]
    pub fn end_relationships(self, ids: &[u64]) -> Self {
        self.relations("end", encode(&ids.to_vec()))
    }
}
