//! Many documents of one schema: what they have in common is fetched once, and ids and salts are the caller's, so that sending
//! again after a crash is sending the same.

use serde_json::Value;
use vouch_privacy::{
    DocumentKeys, RecipientKey, SchemaFields, SeededRng,
    issuing::{Content, Issuer},
};
use vouch_types::{
    ChainId, ContractName, DocumentRoot, Hash32, SecretKey, SubjectId,
    document::{self, DocumentId, Schema, VersionKey},
    encode, relation,
};
use zeroize::Zeroizing;

use crate::{
    Client, DocumentDraft, Error, Resumption, SubmitOptions, SubmittedDocument, documents::Prepared, uploads::Way,
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
        let prepared = self.prepare_ordered(issuing, draft, order, Way::Send).await?;
        self.stage(&prepared).await?;
        let mut builder = self.transaction_builder().await?;
        if !order.register.is_empty() {
            let relations =
                ContractName::new(relation::CONTRACT).map_err(|error| Error::Construction(error.to_string()))?;
            builder = builder.call(relations, "register_subjects", encode(&order.register));
        }
        let documents =
            ContractName::new(document::CONTRACT).map_err(|error| Error::Construction(error.to_string()))?;
        let arguments = encode(&(order.id, draft.schema.clone(), prepared.content.clone()));
        builder = builder.call(documents, document::method::SUBMIT, arguments);
        for subject in &order.sign_for {
            builder = builder.sign_document_for(order.id, 1, *subject, None);
        }
        if order.sign {
            builder = builder.sign_document(order.id, 1);
        }
        let transaction = self.carried(builder, signer).await?;
        Ok(prepared.submitted(&transaction))
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
        let prepared = self.prepare_ordered(issuing, draft, order, Way::Compute).await?;
        Ok(Some(prepared.content.root == version.content.root))
    }

    async fn prepare_ordered(
        &self,
        issuing: &Issuing,
        draft: &DocumentDraft,
        order: &Order,
        way: Way,
    ) -> Result<Prepared, Error> {
        let seed = Zeroizing::new(order.seed);
        let mut rng = SeededRng::from_seed(&seed);
        let keys = DocumentKeys::generate(&mut rng);
        let mut content = content_of(draft, VersionKey { id: order.id, version: 1 }, None);
        // The seed makes the same ciphertext whoever sends the order again, so files that are there already are no obstacle.
        let resumption = Some(Resumption::of(order.id, Hash32::ZERO));
        let options = SubmitOptions { resumption, ..SubmitOptions::default() };
        self.attach(issuing, draft, &mut content, (&keys, &seed), (&options, way)).await?;
        issuing.seal(content, &keys, &mut rng)
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
