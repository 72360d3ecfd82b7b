//! Every code the API, the SDK and the command line say, in ascending order; one file for each area.

mod access;
mod chain;
mod documents;
mod node;
mod uplink;

use super::ProblemKind;

const fn kind(code: &'static str, status: u16, title: [&'static str; 2], mend: [&'static str; 2]) -> ProblemKind {
    let ([title_en, title_zh], [mend_en, mend_zh]) = (title, mend);
    ProblemKind { code, status, title_en, title_zh, mend_en, mend_zh }
}

/// The codes. A code keeps its meaning for ever; new ones are added.
pub static CATALOGUE: &[ProblemKind] = &joined::<{ count() }>();

/// In ascending order of what their codes begin with.
const PARTS: &[&[ProblemKind]] = &[
    access::AUTH,
    node::BACKUP,
    chain::BLOCK,
    access::CALLER,
    access::CERTIFICATE,
    node::CLIENT,
    chain::CONTRACT,
    uplink::DEID,
    documents::DOCUMENT,
    chain::EVENTS,
    documents::EVIDENCE,
    node::INDEX,
    node::INTERNAL,
    access::KEYSTORE,
    chain::MEMPOOL,
    node::NODE,
    uplink::OUTBOX,
    chain::PROOF,
    chain::PROPOSAL,
    chain::QUERY,
    node::REQUEST,
    node::ROUTE,
    uplink::RULES,
    documents::SD_JWT,
    documents::STAGE,
    chain::STATE,
    uplink::STREAM,
    chain::TX,
    uplink::UPLINK,
    documents::UPLOAD,
    documents::VAULT,
];

const fn count() -> usize {
    let (mut count, mut part) = (0, 0);
    while part < PARTS.len() {
        count += PARTS[part].len();
        part += 1;
    }
    count
}

/// All parts, one after the other.
const fn joined<const COUNT: usize>() -> [ProblemKind; COUNT] {
    let mut all = [PARTS[0][0]; COUNT];
    let (mut at, mut part) = (0, 0);
    while part < PARTS.len() {
        let mut index = 0;
        while index < PARTS[part].len() {
            all[at] = PARTS[part][index];
            at += 1;
            index += 1;
        }
        part += 1;
    }
    all
}
