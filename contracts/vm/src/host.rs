//! What a running contract can ask of the world.

use vouch_types::{AccountId, ContractName, Height, PublicKey, TimestampMs};

/// Facts about a call that do not change while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallContext {
    /// The contract that runs.
    pub contract: ContractName,
    /// The account that signed first.
    pub caller: AccountId,
    /// Every account that signed, in order of signature, the caller included.
    pub signers: Vec<AccountId>,
    /// The contract that called this one; `None` when a transaction or query did.
    pub calling_contract: Option<ContractName>,
    /// Height of the block being built; in a query, the height the query sees.
    pub height: Height,
    /// That block's time.
    pub time: TimestampMs,
    /// True in a query: writes and events are refused.
    pub read_only: bool,
    /// How many contract calls are already on the stack above this one.
    pub depth: u16,
}

/// A call from one contract to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRequest {
    /// Which contract.
    pub contract: ContractName,
    /// Which method.
    pub method: String,
    /// Its arguments.
    pub arguments: Vec<u8>,
    /// The most fuel it may use.
    pub fuel: u64,
    /// True when the calling call may not write: nor may the called one, whatever its kind.
    pub read_only: bool,
    /// Depth of the called call: for its [`CallContext::depth`].
    pub depth: u16,
}

/// Why the host could not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostError {
    /// The contract asked for something it may not have: its call fails with this stable code and text.
    Refused {
        /// Stable code.
        code: &'static str,
        /// For people; the same on every node.
        message: String,
    },
    /// The node itself failed (storage): it must stop, no verdict may be drawn from the call.
    Fatal(String),
}

/// Keys with their values.
pub type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// How a called contract ended, its output or code and message, and the fuel it used.
pub type CalleeOutcome = (Result<Vec<u8>, (String, String)>, u64);

/// The ledger's side of a call. Keys are the contract's own: the implementation confines them to its space.
pub trait Host {
    /// The value of a key.
    ///
    /// # Errors
    /// [`HostError`].
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, HostError>;
    /// Sets a key.
    ///
    /// # Errors
    /// [`HostError`].
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), HostError>;
    /// Removes a key; removing nothing is no error.
    ///
    /// # Errors
    /// [`HostError`].
    fn delete(&mut self, key: &[u8]) -> Result<(), HostError>;
    /// Up to `limit` entries whose key begins with `prefix` and is greater than `after`, in ascending order, and how many
    /// deleted keys it passed over to find them: the same number on every node. It gives up after one more than `passed_max`.
    ///
    /// # Errors
    /// [`HostError`].
    fn scan(
        &mut self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: u32,
        passed_max: u64,
    ) -> Result<(Entries, u64), HostError>;
    /// Emits an event.
    ///
    /// # Errors
    /// [`HostError`].
    fn event(&mut self, name: &str, data: &[u8]) -> Result<(), HostError>;
    /// Calls another contract; returns its output and the fuel it used, or why it failed (its changes are undone).
    ///
    /// # Errors
    /// [`HostError`]; a failed callee is not an error of the host.
    fn call(&mut self, request: CallRequest) -> Result<CalleeOutcome, HostError>;
    /// The member an account belongs to, if it is registered and active: member name and role.
    ///
    /// # Errors
    /// [`HostError`].
    fn membership(&mut self, account: &AccountId) -> Result<Option<(String, String)>, HostError>;
    /// Role and standing (whether it is active) of a member; `None` when there is none of this name.
    ///
    /// # Errors
    /// [`HostError`].
    fn member(&mut self, name: &str) -> Result<Option<(String, bool)>, HostError>;
    /// What an account may do for its member, ascending; empty for one that is unknown or suspended.
    ///
    /// # Errors
    /// [`HostError`].
    fn account_roles(&mut self, account: &AccountId) -> Result<Vec<String>, HostError>;
    /// Whether a signature over `message` verifies, by the chain's one rule.
    fn verify(&mut self, key: &PublicKey, message: &[u8], signature: &[u8; 64]) -> bool {
        key.verify(message, &vouch_types::Signature(*signature)).is_ok()
    }
}
