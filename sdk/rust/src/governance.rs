//! Proposals and ballots as transactions.

use vouch_types::{
    Abi, ContractName, TimestampMs,
    api::ProposalView,
    encode,
    governance::{Action, ProposalContent},
};

use crate::{Error, TransactionBuilder};

/// The contract that proposals are made to.
const SYSTEM: &str = "system";

/// A proposal to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposalDraft {
    content: ProposalContent,
}

impl ProposalDraft {
    /// Without actions. `kind` is `membership`, `nodes`, `contracts`, `parameters`, `emergency` or `documents`; ballots
    /// count up to the deadline.
    #[must_use]
    pub fn new(kind: impl Into<String>, title: impl Into<String>, deadline: TimestampMs) -> Self {
        let (kind, title, actions) = (kind.into(), title.into(), Vec::new());
        Self { content: ProposalContent { kind, member: None, title, deadline, actions } }
    }

    /// About a member's own affairs, decided among its administrators.
    #[must_use]
    pub fn of_member(member: impl Into<String>, title: impl Into<String>, deadline: TimestampMs) -> Self {
        let mut draft = Self::new("member", title, deadline);
        draft.content.member = Some(member.into());
        draft
    }

    /// Adds an action with encoded arguments.
    #[must_use]
    pub fn action(mut self, contract: &ContractName, method: impl Into<String>, arguments: Vec<u8>) -> Self {
        let action = Action { contract: contract.as_str().to_owned(), method: method.into(), arguments };
        self.content.actions.push(action);
        self
    }

    /// Adds an action with arguments by name.
    ///
    /// # Errors
    /// [`Error::Value`] when they do not fit the contract's ABI.
    pub fn action_json(
        self,
        abi: &Abi,
        contract: &ContractName,
        method: impl Into<String>,
        arguments: &serde_json::Value,
    ) -> Result<Self, Error> {
        let method = method.into();
        let arguments = abi.encode_arguments(&method, arguments)?;
        Ok(self.action(contract, method, arguments))
    }
}

impl TransactionBuilder {
    /// Adds the making of a proposal. Administrators that sign the transaction vote for it; it returns number and state.
    ///
    /// # Panics
    /// Never: the kernel's name has the form of one.
    #[must_use]
    pub fn propose(self, draft: &ProposalDraft) -> Self {
        // The kernel's arguments stand in the order of the content.
        self.call(system(), "propose", encode(&draft.content))
    }

    /// Adds the ballots of the administrators that sign, for exactly what the view shows.
    ///
    /// # Panics
    /// As [`Self::propose`].
    #[must_use]
    pub fn vote(self, proposal: &ProposalView, approve: bool) -> Self {
        self.call(system(), "vote", encode(&(proposal.summary.id, proposal.content().hash(), approve)))
    }

    /// Adds taking a proposal back.
    ///
    /// # Panics
    /// As [`Self::propose`].
    #[must_use]
    pub fn withdraw(self, proposal: u64) -> Self {
        self.call(system(), "withdraw", encode(&proposal))
    }
}

fn system() -> ContractName {
    ContractName::new(SYSTEM).expect("the kernel's name has the form of one")
}
