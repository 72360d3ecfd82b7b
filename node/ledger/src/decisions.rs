//! What anyone may be shown of the members' decisions: proposals with their ballots, and what one would do now.

use std::sync::Arc;

use vouch_types::{Height, decode};

use crate::{
    chain::LedgerError,
    kernel::{
        ACTIONS_BYTES_MAX, Action, ActionReport, Matter, PROPOSAL_BYTES_MAX, Proposal, ProposalState, Tally, dry_run,
        tally,
    },
    keys,
    overlay::{Overlay, read_state},
    reader::{Published, Reader},
    session::{Moment, Session},
    storage::Storage,
};

/// A proposal as it stands at a height.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The proposal.
    pub proposal: Proposal,
    /// What it does.
    pub actions: Vec<Action>,
    /// How its ballots stand by the members of this height. For one that is closed, how they would stand.
    pub tally: Tally,
    /// What became of it, its deadline considered.
    pub state: ProposalState,
}

/// What actions would do.
#[derive(Debug, Clone)]
pub struct DryRun {
    /// Height of the state they were run on.
    pub height: Height,
    /// One report for each that was run; those after a failed one are not.
    pub reports: Vec<ActionReport>,
}

fn read<T>(storage: &dyn Storage, what: &'static str, key: &[u8], max: usize) -> Result<Option<T>, LedgerError>
where
    T: for<'a> wincode::SchemaRead<'a, vouch_types::codec::Format, Dst = T>,
{
    let value = read_state(storage, key)?;
    value.map(|bytes| decode(what, &bytes, max).map_err(|e| LedgerError::Damaged(e.to_string()))).transpose()
}

fn standing(storage: &dyn Storage, at: &Published, id: u64) -> Result<Option<Standing>, LedgerError> {
    let proposal: Option<Proposal> = read(storage, "proposal", &keys::proposal(id), PROPOSAL_BYTES_MAX)?;
    let Some(proposal) = proposal else { return Ok(None) };
    let actions = read(storage, "proposal's actions", &keys::proposal_actions(id), 2 * ACTIONS_BYTES_MAX)?;
    let actions = actions.ok_or_else(|| LedgerError::Damaged(format!("proposal {id} has no actions")))?;
    let tally = tally(&at.registry, &proposal);
    let state = proposal.state_at(at.head.time);
    Ok(Some(Standing { proposal, actions, tally, state }))
}

impl Reader {
    /// A proposal at the head.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn proposal(&self, id: u64) -> Result<Option<Standing>, LedgerError> {
        let at = self.gate().hold();
        if at.joining {
            return Err(LedgerError::Joining);
        }
        standing(self.storage().as_ref(), &at, id)
    }

    /// Up to `limit` proposals with numbers below `before`, from the last one when `None`, highest first.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn proposals(&self, before: Option<u64>, limit: usize) -> Result<Vec<Standing>, LedgerError> {
        let at = self.gate().hold();
        if at.joining {
            return Err(LedgerError::Joining);
        }
        let storage = self.storage().as_ref();
        let count: u64 = read(storage, "count of proposals", &keys::proposal_count(), 8)?.unwrap_or(0);
        let last = before.map_or(count, |before| before.saturating_sub(1).min(count));
        (1..=last).rev().take(limit).filter_map(|id| standing(storage, &at, id).transpose()).collect()
    }

    /// Runs actions on the state of the head and keeps nothing of it.
    ///
    /// # Errors
    /// [`LedgerError`]: the node must stop, but for [`LedgerError::Joining`].
    pub fn dry_run(&self, matter: &Matter, actions: &[Action]) -> Result<DryRun, LedgerError> {
        self.at_one_height(|at| {
            let moment = Moment { height: at.head.height, time: at.head.time, read_only: false };
            let overlay = Overlay::new(Arc::clone(self.storage()));
            let session = Session::new(overlay, Arc::clone(&at.registry), moment, Arc::clone(self.runtime()));
            let fuel = at.registry.params.fuel_per_transaction_max;
            Ok(DryRun { height: at.head.height, reports: dry_run(session, matter, actions, fuel)? })
        })
    }
}
