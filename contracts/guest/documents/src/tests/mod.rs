//! The contract on the test kit, with the real contract `relations` beside it.

mod disputes;
mod erasures;
mod grants;
mod lifecycle;
mod mirror;
mod properties;
mod references;
mod rights;
mod samples;
mod schemas;
mod world;

use records::Party;
use vouch_contract::{Bytes, CallFailure, Contract as _, Hash};

use super::*;

fn code<T: core::fmt::Debug>(result: Result<T, CallFailure>) -> String {
    let code = result.expect_err("the call should fail").code;
    code.strip_prefix("contract.error.").map_or(code.clone(), Into::into)
}

#[test]
fn the_abi_is_valid_and_says_what_the_code_does() {
    let abi = vouch_types::abi::Abi::from_json(Contract::ABI).unwrap();
    assert_eq!(abi.name, "documents");
    assert!(Contract::ABI.len() < 100_000, "{} bytes of text", Contract::ABI.len());
    for title in abi.methods.iter().map(|m| &m.title).chain(abi.errors.iter().map(|e| &e.title)) {
        assert!(!title.en.is_empty() && !title.zh.is_empty());
    }
    let queries = abi.methods.iter().filter(|m| m.kind == vouch_types::abi::MethodKind::Query).count();
    assert_eq!((abi.methods.len() - queries, queries), (28, 33));
}
