//! A row as what is staged and what is signed. The same row behind the same version makes the same document, whoever seals it with the
//! same key of ids: in this module as in `vouch doc uplink`.

use serde::Deserialize;
use serde_json::json;
use vouch_privacy::{
    DocumentKeys, SeededRng,
    issuing::{Content, Issuer},
};
use vouch_types::{
    DocumentRoot, Hash32, SubjectId,
    api::HexBytes,
    document::{self, DocumentId, VersionKey},
    encode, relation,
};
use vouch_uplink::{Before, Row};
use zeroize::Zeroizing;

use crate::{
    Fault, read,
    state::{self, Job, Waiting},
};

#[derive(Deserialize)]
struct Input {
    n: u64,
    /// Persons of the row who are registered already.
    #[serde(default)]
    registered: Vec<SubjectId>,
    /// The versions in force of documents that it refers to by business number.
    #[serde(default)]
    in_force: Vec<(DocumentId, u32)>,
}

/// Seals a row. Answers the length of the head, the head as JSON - version, root, calls to be signed, persons to be registered,
/// references that lead to the version in force - and the delivery for the own node.
///
/// # Errors
/// `document.construction`.
pub fn seal(input: &[u8]) -> Result<Vec<u8>, Fault> {
    let Input { n, registered, in_force } = read(input)?;
    state::with_job(|job| {
        let Waiting { row, before, .. } = job.row(n)?;
        let applier = job.applier()?;
        let (mut content, keys, mut rng) = made(job, row, before.as_ref())?;
        for entry in content.references.iter_mut().filter(|entry| applier.is_open_reference(&entry.name)) {
            let known = in_force.iter().find(|(id, _)| *id == entry.id);
            entry.version = known.map_or(entry.version, |(_, version)| *version);
        }
        let open = content.references.iter().filter(|entry| applier.is_open_reference(&entry.name));
        let open: Vec<_> = open.map(|entry| json!([entry.id, entry.version])).collect();
        let version = content.key.version;
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
        match before {
            None => {
                let submission = (row.id, job.schema.definition.name.clone(), issued.content.clone());
                call(document::CONTRACT, document::method::SUBMIT, encode(&submission));
            }
            Some(Before { root, .. }) => {
                let revision = (row.id, Hash32(*root.as_bytes()), issued.content.clone());
                call(document::CONTRACT, document::method::REVISE, encode(&revision));
            }
        }
        for subject in &row.signs_for {
            call(document::CONTRACT, "sign_for", encode(&(row.id, version, *subject, None::<Vec<u8>>)));
        }
        if row.signs_member {
            call(document::CONTRACT, "sign", encode(&(row.id, version)));
        }
        let root = issued.content.root;
        let head = json!({ "version": version, "root": root, "calls": calls, "register": register, "open": open });
        let head = head.to_string().into_bytes();
        let length = u32::try_from(head.len()).map_err(|_| Fault::new("document.construction", "too many calls"))?;
        Ok([&length.to_le_bytes()[..], &head, &issued.delivery].concat())
    })
}

/// The root of a row behind a version.
///
/// # Errors
/// `document.construction`.
pub(crate) fn root(job: &Job, row: &Row, before: Option<&Before>) -> Result<DocumentRoot, Fault> {
    let (content, keys, _) = made(job, row, before)?;
    let committed = issuer(job).commit(&content, &keys);
    committed.map(|commitment| commitment.root()).map_err(|error| Fault::new("document.construction", error))
}

/// What a row is behind a version, with the keys that its seed gives and what follows of the seed.
fn made(job: &Job, row: &Row, before: Option<&Before>) -> Result<(Content, DocumentKeys, SeededRng), Fault> {
    let applier = job.applier()?;
    let seed = Zeroizing::new(applier.seed_after(row, before));
    let mut rng = SeededRng::from_seed(&seed);
    let keys = DocumentKeys::generate(&mut rng);
    let content = Content {
        key: VersionKey { id: row.id, version: Before::next(before) },
        previous: before.map(|before| before.root),
        values: row.values.clone().into_iter().collect(),
        blobs: Vec::new(),
        parties: row.parties.clone(),
        references: row.references.clone(),
        // A field that is absent has nothing to stand in clear.
        public: applier.mapping.public.iter().filter(|name| row.values.contains_key(*name)).cloned().collect(),
        recipients: Vec::new(),
    };
    Ok((content, keys, rng))
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
