//! A row as what is staged and what is signed. The same row makes the same document, whoever seals it with the same key of ids: in
//! this module as in `vouch doc uplink`.

use serde::Deserialize;
use serde_json::json;
use vouch_privacy::{
    DocumentKeys, SeededRng,
    issuing::{Content, Issuer},
};
use vouch_types::{
    SubjectId,
    api::HexBytes,
    document::{self, VersionKey},
    encode, relation,
};
use vouch_uplink::Row;
use zeroize::Zeroizing;

use crate::{
    Fault, read,
    state::{self, Job},
};

#[derive(Deserialize)]
struct Input {
    n: u64,
    /// Persons of the row who are registered already.
    #[serde(default)]
    registered: Vec<SubjectId>,
}

/// Seals a row. Answers the length of the head, the head as JSON - root, calls to be signed, persons to be registered - and the
/// delivery for the own node.
///
/// # Errors
/// `document.construction`.
pub fn seal(input: &[u8]) -> Result<Vec<u8>, Fault> {
    let Input { n, registered } = read(input)?;
    state::with_job(|job| {
        let (_, row) = job.row(n)?;
        let applier = job.plan.appliers.first();
        let applier = applier.ok_or_else(|| Fault::new("client.bad_input", "there is no mapping"))?;
        let seed = Zeroizing::new(applier.seed(row));
        let mut rng = SeededRng::from_seed(&seed);
        let keys = DocumentKeys::generate(&mut rng);
        let content = content_of(row, &applier.mapping.public);
        let issued = issuer(job).issue(content, &keys, &mut rng);
        let issued = issued.map_err(|error| Fault::new("document.construction", error))?;
        let register: Vec<SubjectId> =
            row.register.iter().filter(|alias| !registered.contains(alias)).copied().collect();
        let mut calls = Vec::new();
        let mut call = |contract: &str, method: &str, arguments: Vec<u8>| {
            calls.push(json!({ "contract": contract, "method": method, "arguments": HexBytes(arguments) }));
        };
        if !register.is_empty() {
            call(relation::CONTRACT, "register_subjects", encode(&register));
        }
        let submission = (row.id, job.schema.definition.name.clone(), issued.content.clone());
        call(document::CONTRACT, document::method::SUBMIT, encode(&submission));
        for subject in &row.signs_for {
            call(document::CONTRACT, "sign_for", encode(&(row.id, 1u32, *subject, None::<Vec<u8>>)));
        }
        if row.signs_member {
            call(document::CONTRACT, "sign", encode(&(row.id, 1u32)));
        }
        let head =
            json!({ "root": issued.content.root, "calls": calls, "register": register }).to_string().into_bytes();
        let length = u32::try_from(head.len()).map_err(|_| Fault::new("document.construction", "too many calls"))?;
        Ok([&length.to_le_bytes()[..], &head, &issued.delivery].concat())
    })
}

fn issuer(job: &Job) -> Issuer<'_> {
    Issuer {
        chain: job.chain,
        member: &job.member,
        recipient: &job.recipient,
        schema_version: job.schema.version,
        fields: &job.fields,
    }
}

fn content_of(row: &Row, public: &[String]) -> Content {
    Content {
        key: VersionKey { id: row.id, version: 1 },
        previous: None,
        values: row.values.clone().into_iter().collect(),
        blobs: Vec::new(),
        parties: row.parties.clone(),
        references: row.references.clone(),
        // A field that is absent has nothing to stand in clear.
        public: public.iter().filter(|name| row.values.contains_key(*name)).cloned().collect(),
        recipients: Vec::new(),
    }
}
