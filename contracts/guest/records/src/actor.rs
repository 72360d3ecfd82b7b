//! Who makes a call and what they may do for their member.

use vouch_contract::{Account, Context, String, Vec, account_roles, membership};

/// Puts documents and relationships on chain.
pub const SUBMITTER: &str = "submitter";
/// Reads private fields.
pub const READER: &str = "reader";
/// Speaks for the member: signs, accepts, grants, disputes.
pub const APPROVER: &str = "approver";
/// Reads who has read.
pub const AUDITOR: &str = "auditor";
/// A node's own account.
pub const SERVICE: &str = "service";

/// An account, its member and its roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The account.
    pub account: Account,
    /// Name of its active member; none for a person's own key and for a stranger.
    pub member: Option<String>,
    /// The member's role, empty without a member.
    pub role: String,
    /// What it may do for its member.
    roles: Vec<String>,
}

impl Actor {
    /// Who an account is.
    #[must_use]
    pub fn of(account: Account) -> Self {
        match membership(&account) {
            Some(member) => {
                Self { account, member: Some(member.name), role: member.role, roles: account_roles(&account) }
            }
            None => Self { account, member: None, role: String::new(), roles: Vec::new() },
        }
    }

    /// Who makes a call.
    #[must_use]
    pub fn caller(context: &Context) -> Self {
        Self::of(context.caller)
    }

    /// Whether it has one of these roles.
    #[must_use]
    pub fn has(&self, roles: &[&str]) -> bool {
        self.roles.iter().any(|role| roles.contains(&role.as_str()))
    }

    /// Whether it belongs to this member.
    #[must_use]
    pub fn is_of(&self, member: &str) -> bool {
        self.member.as_deref() == Some(member)
    }
}
