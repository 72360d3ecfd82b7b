//! Many documents of one schema: what they have in common is fetched once, and ids and salts are the caller's, so that sending
//! again after a crash is sending the same.

use serde_json::Value;
use vouch_privacy::{
    DocumentKeys, RecipientKey, SchemaFields, SeededRng,
    issuing::{Content, Issuer},
};
use vouch_types::{
    ChainId, ContractName, DocumentRoot, Hash32, SecretKey, SubjectId,
    document::{self, DocumentId, Schema, Version, VersionKey},
    encode, relation,
};
use zeroize::Zeroizing;

use crate::{
    Client, DocumentDraft, Error, Resumption, SubmitOptions, SubmittedDocument, documents::Prepared, random::random,
    uploads::Way,
};

/// What documents of one schema and one issuer have in common.
#[derive(Debug, Clone)]
pub struct Issuing {
    chain: ChainId,
    member: String,
    schema: Schema,
    fields: SchemaFields,
    recipient: RecipientKey,
}

/// How a document is to be put on the chain.
#[derive(Clone)]
pub struct Order {
    /// Its id. The chain takes an id once, so sending an order again does nothing a second time.
    pub id: DocumentId,
    /// What its salts and keys are derived from. Must be secret, and another one for every content: the same seed for two
    /// contents would show what they have in common.
    pub seed: [u8; 32],
    /// Persons to register in the same transaction.
    pub register: Vec<SubjectId>,
    /// Sign it for the own member in the same transaction.
    pub sign: bool,
    /// Sign it for these persons, whom the own member serves, in the same transaction.
    pub sign_for: Vec<SubjectId>,
}

/// The version of a document that a new one follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Previous {
    /// Its number.
    pub version: u32,
    /// Root of its commitment, as the chain has it.
    pub root: DocumentRoot,
}

impl Previous {
    /// The number of the version that follows, and the root that it names.
    fn next(previous: Option<Self>) -> (u32, Option<DocumentRoot>) {
        previous.map_or((1, None), |before| (before.version.saturating_add(1), Some(before.root)))
    }
}

impl Order {
    /// A new document of a member, with an id and a seed by chance. Whoever keeps it can send the same again after a crash.
    ///
    /// # Errors
    /// [`Error::Configuration`] without randomness.
    pub fn new(issuer: &str) -> Result<Self, Error> {
        let (id, seed) = (DocumentId::issued(issuer, random()?), random()?);
        Ok(Self { id, seed, register: Vec::new(), sign: false, sign_for: Vec::new() })
    }
}

impl core::fmt::Debug for Order {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Order").field("id", &self.id).field("seed", &"<redacted>").finish_non_exhaustive()
    }
}

impl Issuing {
    /// The schema.
    #[must_use]
    pub const fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The member that issues.
    #[must_use]
    pub fn member(&self) -> &str {
        &self.member
    }

    fn issuer(&self) -> Issuer<'_> {
        Issuer {
            chain: self.chain,
            member: &self.member,
            recipient: &self.recipient,
            schema_version: self.schema.version,
            fields: &self.fields,
        }
    }

    /// Whether values are by the schema; says what is not.
    pub(crate) fn commit(&self, content: &Content, keys: &DocumentKeys) -> Result<(), Error> {
        let committed = self.issuer().commit(content, keys);
        committed.map(drop).map_err(|error| Error::Construction(error.to_string()))
    }

    /// The root of content.
    fn root(&self, content: &Content, keys: &DocumentKeys) -> Result<DocumentRoot, Error> {
        let committed = self.issuer().commit(content, keys);
        committed.map(|commitment| commitment.root()).map_err(|error| Error::Construction(error.to_string()))
    }

    /// Commits to content and seals it for the own member.
    pub(crate) fn seal(&self, content: Content, keys: &DocumentKeys, rng: &mut SeededRng) -> Result<Prepared, Error> {
        let VersionKey { id, version } = content.key;
        let issued = self.issuer().issue(content, keys, rng);
        let issued = issued.map_err(|error| Error::Construction(error.to_string()))?;
        Ok(Prepared { id, version, delivery: issued.delivery, content: issued.content })
    }

    pub(crate) const fn fields(&self) -> &SchemaFields {
        &self.fields
    }
}

/// What a version of a draft holds, without its files.
pub(crate) fn content_of(draft: &DocumentDraft, key: VersionKey, previous: Option<DocumentRoot>) -> Content {
    Content {
        key,
        previous,
        values: draft.values.clone().into_iter().collect(),
        blobs: Vec::new(),
        parties: draft.parties.clone(),
        references: draft.references.clone(),
        public: draft.public.clone(),
        recipients: draft.recipients.clone(),
    }
}

impl Client {
    /// What is needed to issue documents of a schema; its newest version when none is named.
    ///
    /// # Errors
    /// [`Error::Construction`] when there is no such schema or the own member has no encryption key; `caller.*`.
    pub async fn issuing(&self, schema: &str, version: Option<u32>) -> Result<Issuing, Error> {
        let chain = self.known_chain()?;
        let member = self.account().await?.node_member;
        let found = self.schema(schema, version).await?;
        let schema = found.ok_or_else(|| Error::Construction(format!("there is no schema {schema}")))?;
        let fields = SchemaFields::from_chain(&schema).map_err(|error| Error::Construction(error.to_string()))?;
        let recipient = self.encryption_key(&member).await?;
        Ok(Issuing { chain, member, schema, fields, recipient })
    }

    /// As [`Client::submit_document`], with id and salts of the caller's. Sending the same order with the same draft again is
    /// safe at any point: the own node stages it once, the chain takes it once, and a file
    /// goes on where it broke off.
    ///
    /// # Errors
    /// As [`Client::submit_document_with`]; `stage.taken` or `contract.error.document_exists` when the id is on the chain already.
    pub async fn submit_ordered(
        &self,
        issuing: &Issuing,
        draft: &DocumentDraft,
        order: &Order,
        signer: &SecretKey,
    ) -> Result<SubmittedDocument, Error> {
        self.ordered(issuing, draft, order, (None, signer)).await
    }

    /// The same as a new version of the order's document, behind `previous`. Its seed must be another one than that of every version
    /// before, also where the content is the same again. The chain takes a version once behind the one that it names.
    ///
    /// # Errors
    /// As [`Client::submit_ordered`]; `stage.taken`, `contract.error.previous_root` or `contract.error.version_pending` when the document
    /// has another version by now, which may be this one: [`Client::ordered_is_version`] says it.
    pub async fn revise_ordered(
        &self,
        issuing: &Issuing,
        draft: &DocumentDraft,
        order: &Order,
        previous: Previous,
        signer: &SecretKey,
    ) -> Result<SubmittedDocument, Error> {
        self.ordered(issuing, draft, order, (Some(previous), signer)).await
    }

    async fn ordered(
        &self,
        issuing: &Issuing,
        draft: &DocumentDraft,
        order: &Order,
        (previous, signer): (Option<Previous>, &SecretKey),
    ) -> Result<SubmittedDocument, Error> {
        let prepared = self.prepare_ordered(issuing, draft, order, previous).await?;
        self.stage(&prepared).await?;
        let mut builder = self.recent_builder().await?;
        if !order.register.is_empty() {
            let relations =
                ContractName::new(relation::CONTRACT).map_err(|error| Error::Construction(error.to_string()))?;
            builder = builder.call(relations, "register_subjects", encode(&order.register));
        }
        let documents =
            ContractName::new(document::CONTRACT).map_err(|error| Error::Construction(error.to_string()))?;
        let content = prepared.content.clone();
        builder = match previous {
            None => {
                let arguments = encode(&(order.id, draft.schema.clone(), content));
                builder.call(documents, document::method::SUBMIT, arguments)
            }
            Some(Previous { root, .. }) => {
                let arguments = encode(&(order.id, Hash32(*root.as_bytes()), content));
                builder.call(documents, document::method::REVISE, arguments)
            }
        };
        for subject in &order.sign_for {
            builder = builder.sign_document_for(order.id, prepared.version, *subject, None);
        }
        if order.sign {
            builder = builder.sign_document(order.id, prepared.version);
        }
        let receipt = self.carried(builder, signer).await?;
        Ok(prepared.submitted(&receipt))
    }

    /// Whether an order's document is on the chain with just this content; `None` when it is not there, as far as the node knows.
    /// Nothing is sent. Salts follow from the order's seed, so the root says it.
    ///
    /// # Errors
    /// [`Error::Construction`] when the values are not by the schema; [`Error::File`] for a file that cannot be read.
    pub async fn ordered_is_there(
        &self,
        issuing: &Issuing,
        draft: &DocumentDraft,
        order: &Order,
    ) -> Result<Option<bool>, Error> {
        let Some(version) = self.document_version(order.id, 1).await? else { return Ok(None) };
        self.ordered_is_version(issuing, draft, order, &version).await.map(Some)
    }

    /// Whether a version on the chain is just this content, behind the same predecessor. Nothing is sent and nobody asked.
    ///
    /// # Errors
    /// As [`Client::ordered_is_there`].
    pub async fn ordered_is_version(
        &self,
        issuing: &Issuing,
        draft: &DocumentDraft,
        order: &Order,
        version: &Version,
    ) -> Result<bool, Error> {
        if version.content.schema_version != issuing.schema.version {
            return Ok(false);
        }
        let key = VersionKey { id: order.id, version: version.version };
        let content = content_of(draft, key, version.previous_root);
        let (content, keys, _) = self.filled(issuing, draft, (content, &order.seed), Way::Compute).await?;
        Ok(issuing.root(&content, &keys)? == version.content.root)
    }

    async fn prepare_ordered(
        &self,
        issuing: &Issuing,
        draft: &DocumentDraft,
        order: &Order,
        previous: Option<Previous>,
    ) -> Result<Prepared, Error> {
        let (version, root) = Previous::next(previous);
        let content = content_of(draft, VersionKey { id: order.id, version }, root);
        let (content, keys, mut rng) = self.filled(issuing, draft, (content, &order.seed), Way::Send).await?;
        issuing.seal(content, &keys, &mut rng)
    }

    /// Content with its files, the keys that its seed gives, and what follows of the seed.
    async fn filled(
        &self,
        issuing: &Issuing,
        draft: &DocumentDraft,
        (mut content, seed): (Content, &[u8; 32]),
        way: Way,
    ) -> Result<(Content, DocumentKeys, SeededRng), Error> {
        let seed = Zeroizing::new(*seed);
        let mut rng = SeededRng::from_seed(&seed);
        let keys = DocumentKeys::generate(&mut rng);
        // The seed makes the same ciphertext whoever sends the order again, so files that are there already are no obstacle.
        let resumption = Some(Resumption::of(content.key.id, Hash32::ZERO));
        let options = SubmitOptions { resumption, ..SubmitOptions::default() };
        self.attach(issuing, draft, &mut content, (&keys, &seed), (&options, way)).await?;
        Ok((content, keys, rng))
    }

    /// Whether a person is registered, as far as the node knows.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn is_registered(&self, subject: SubjectId) -> Result<bool, Error> {
        let arguments = serde_json::json!({ "alias": subject });
        Ok(self.ask::<Option<Value>>(relation::CONTRACT, "subject", arguments).await?.is_some())
    }
}
