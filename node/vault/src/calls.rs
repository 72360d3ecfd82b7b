//! Acts as calls of the contract `documents`, and what comes of them as the vault is to hear it.

use vouch_types::{
    Call, ContractName, Hash32, Outcome,
    document::{CONTRACT, method},
    encode,
};

use crate::acts::{Act, ActResult, ErasureStep};

/// The same was said before: as good as said now.
const SAID_ALREADY: &[&str] = &["contract.error.attested_already"];
/// The contract will answer the same for ever.
const FOR_EVER: &[&str] = &["contract.error.", "contract.out_of_fuel"];
/// Not so: these end when somebody puts something in place.
const FOR_NOW: &[&str] = &[
    "contract.error.not_a_member",
    "contract.error.role_missing",
    "contract.error.bad_anchor",
    "contract.error.relations",
];

impl Act {
    /// The call that it is. An audit is anchored in the name of `log`, as the continuation of what stands there by `before`;
    /// no other act has to do with either.
    #[must_use]
    pub fn call(&self, log: &str, before: Hash32) -> Call {
        match self {
            Self::AttestPossession(versions) => call(method::ATTEST_POSSESSION, encode(versions)),
            Self::Judge { key, accepted, code } => {
                call(method::JUDGE, encode(&(key.id, key.version, *accepted, code.clone())))
            }
            Self::MoveErasure { id, step: ErasureStep::Order } => call(method::ORDER_ERASURE, encode(id)),
            Self::MoveErasure { id, step: ErasureStep::Close } => call(method::CLOSE_ERASURE, encode(id)),
            Self::AttestErasure { id, receipt } => call(method::ATTEST_ERASURE, encode(&(*id, *receipt))),
            Self::AnchorAudit { entries, head, .. } => {
                call(method::ANCHOR_AUDIT, encode(&(log.to_owned(), before, *entries, *head)))
            }
        }
    }
}

fn call(method: &str, arguments: Vec<u8>) -> Call {
    let contract = ContractName::new(CONTRACT).expect("the contract's name has the form of one");
    Call { contract, method: method.into(), arguments }
}

impl ActResult {
    /// How an act ended whose call did so on the chain.
    #[must_use]
    pub fn of(outcome: Outcome) -> Self {
        let Outcome::Failed(failure) = outcome else { return Self::Done };
        let code = failure.code;
        if SAID_ALREADY.contains(&code.as_str()) {
            Self::Done
        } else if FOR_EVER.iter().any(|prefix| code.starts_with(prefix)) && !FOR_NOW.contains(&code.as_str()) {
            Self::Refused(code)
        } else {
            Self::Failed(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use vouch_types::Failure;

    use super::*;

    #[test]
    fn what_is_refused_for_good_is_told_from_what_only_waits() {
        let ended =
            |code: &str| ActResult::of(Outcome::Failed(Failure { call: 0, code: code.into(), message: String::new() }));
        assert_eq!(ActResult::of(Outcome::Success), ActResult::Done);
        assert_eq!(ended("contract.error.attested_already"), ActResult::Done);
        for code in ["contract.error.unknown_document", "contract.error.erasure", "contract.out_of_fuel"] {
            assert_eq!(ended(code), ActResult::Refused(code.into()));
        }
        for code in ["contract.error.role_missing", "contract.error.bad_anchor", "contract.frozen", "contract.unknown"]
        {
            assert_eq!(ended(code), ActResult::Failed(code.into()));
        }
    }
}
