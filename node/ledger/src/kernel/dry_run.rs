//! What a proposal would do now, without doing it.

use vouch_types::{CodeHash, ContractName, decode};
use vouch_vm::{CallFailure, FatalError};

use super::{Action, ActivateContract, Matter, PromoteContract, execute};
use crate::{keys, session::Session};

/// What one action would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionReport {
    /// Its position, from 0.
    pub index: u16,
    /// What it returned, or why it failed.
    pub result: Result<Vec<u8>, CallFailure>,
    /// Work done.
    pub fuel_used: u64,
    /// State keys it set or removed, ascending, contract and separator in front.
    pub changed: Vec<Vec<u8>>,
    /// With an action that brings other code: the contract, the code in use before, and the other.
    pub replaces: Option<(ContractName, Option<CodeHash>, CodeHash)>,
}

/// Runs actions on a session that is thrown away afterwards. Those after a failed one are not run.
///
/// # Errors
/// [`FatalError`]: the node must stop.
pub fn dry_run(
    session: Box<Session>,
    matter: &Matter,
    actions: &[Action],
    fuel: u64,
) -> Result<Vec<ActionReport>, FatalError> {
    let before = session.registry.clone();
    let mut reports = Vec::new();
    let mut from = session.overlay.checkpoint();
    let run = execute(session, matter, actions, fuel, |session, index, result, fuel_used| {
        let changed = session.overlay.changed_since(from);
        from = session.overlay.checkpoint();
        let action = actions.get(usize::from(index)).filter(|action| action.contract == keys::SYSTEM);
        let replaces = action.and_then(brings).and_then(|(name, code)| {
            let name = ContractName::new(name).ok()?;
            let record = before.contracts.get(&name);
            let code = code.or_else(|| record?.canary.map(|canary| canary.code))?;
            Some((name, record.map(|r| r.code), code))
        });
        reports.push(ActionReport { index, result: result.clone(), fuel_used, changed, replaces });
    });
    run.map(|_| reports)
}

/// The contract an action brings code to, and the code unless it is the one on trial.
fn brings(action: &Action) -> Option<(String, Option<CodeHash>)> {
    let max = super::ACTIONS_BYTES_MAX;
    match action.method.as_str() {
        "activate_contract" => {
            let request: ActivateContract = decode("arguments", &action.arguments, max).ok()?;
            Some((request.name, Some(request.code)))
        }
        "promote_contract" => {
            let request: PromoteContract = decode("arguments", &action.arguments, max).ok()?;
            Some((request.name, None))
        }
        _ => None,
    }
}
