//! Evidence packages, by the node's own verifier. The file is read from the page piece by piece: it may be larger than memory.

use std::io::{BufReader, Read, Seek};

use page::HostFile;
use serde::Deserialize;
use vouch_privacy::evidence::{Report, verify};
use vouch_types::ChainId;

use crate::{Fault, read, written};

/// Bytes asked for at a time: a group of an attachment, or most of a member with proofs.
const BUFFER_BYTES: usize = 64 << 10;

#[derive(Deserialize)]
struct Input {
    /// Length of the file.
    bytes: u64,
    /// The chain that is expected.
    chain: Option<ChainId>,
}

/// Verifies a package. Input: length and expected chain as JSON. Answers what `vouch verify --json` answers.
///
/// # Errors
/// `evidence.*`.
pub fn check(input: &[u8]) -> Result<Vec<u8>, Fault> {
    let Input { bytes, chain } = read(input)?;
    let file = HostFile::new(bytes);
    written(&judged(BufReader::with_capacity(BUFFER_BYTES, file), chain)?)
}

/// The report on a package, or the code that `vouch verify` gives.
///
/// # Errors
/// `evidence.*`.
pub fn judged<R: Read + Seek>(input: R, chain: Option<ChainId>) -> Result<Report, Fault> {
    verify(input, chain).map_err(|error| Fault::new(error.code(), error))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn what_is_no_package_is_refused_with_the_verifier_s_codes() {
        assert_eq!(judged(Cursor::new(b"PK"), None).unwrap_err().code, "evidence.truncated");
        assert_eq!(check(br#"{"bytes":4000,"chain":null}"#).unwrap_err().code, "evidence.io");
        assert_eq!(check(b"{}").unwrap_err().code, "client.bad_input");
    }
}
