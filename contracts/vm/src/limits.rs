//! Bounds on modules and calls. They are part of the protocol: the same on every node, or verdicts differ.

/// How large a module and a call may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VmLimits {
    /// Most bytes of a module.
    pub module_bytes_max: usize,
    /// Most bytes of one function's body.
    pub function_bytes_max: usize,
    /// Most functions a module defines.
    pub functions_max: u32,
    /// Most function types.
    pub types_max: u32,
    /// Most globals.
    pub globals_max: u32,
    /// Most exports.
    pub exports_max: u32,
    /// Most data segments.
    pub data_segments_max: u32,
    /// Most element segments.
    pub element_segments_max: u32,
    /// Most elements of a module's one table.
    pub table_elements_max: u32,
    /// Most parameters of one function type.
    pub parameters_max: usize,
    /// Most local variables of one function.
    pub locals_max: u32,
    /// Most bytes of the ABI text.
    pub abi_bytes_max: usize,
    /// Most bytes of linear memory; a multiple of 64 KiB.
    pub memory_bytes_max: usize,
    /// Stack budget of one call in accounted bytes, see [`crate::instrument`].
    pub stack_bytes_max: u32,
    /// Longest state key.
    pub key_bytes_max: usize,
    /// Longest state value.
    pub value_bytes_max: usize,
    /// Most events of one call. The ledger applies the same bound to a whole transaction.
    pub events_max: u32,
    /// Most bytes of names and data of one call's events. The ledger applies the same bound to a whole transaction.
    pub event_bytes_max: usize,
    /// Most bytes a call returns.
    pub output_bytes_max: usize,
    /// Most bytes of arguments.
    pub arguments_bytes_max: usize,
    /// Most entries of one scan.
    pub scan_entries_max: u32,
    /// Most bytes of keys and values of one scan.
    pub scan_bytes_max: usize,
    /// Most contract calls on the stack above a call.
    pub call_depth_max: u16,
    /// Calls that run at the same time, nested ones not counted; more wait. Not part of the protocol.
    pub concurrent_calls_max: u32,
}

impl Default for VmLimits {
    fn default() -> Self {
        Self {
            module_bytes_max: 512 << 10,
            function_bytes_max: 128 << 10,
            functions_max: 4096,
            types_max: 512,
            globals_max: 64,
            exports_max: 64,
            data_segments_max: 1024,
            element_segments_max: 64,
            table_elements_max: 4096,
            parameters_max: 32,
            locals_max: 1024,
            abi_bytes_max: vouch_types::abi::ABI_BYTES_MAX,
            memory_bytes_max: 4 << 20,
            stack_bytes_max: 256 << 10,
            key_bytes_max: 256,
            value_bytes_max: 64 << 10,
            events_max: 64,
            event_bytes_max: 64 << 10,
            output_bytes_max: 64 << 10,
            arguments_bytes_max: 1 << 20,
            scan_entries_max: 100,
            scan_bytes_max: 1 << 20,
            call_depth_max: 8,
            concurrent_calls_max: 32,
        }
    }
}

/// Native stack a thread needs that runs contracts with the default limits: every nested level may use its accounted
/// budget twice over, and the host's own frames come on top.
pub const THREAD_STACK_BYTES_MIN: usize = 8 << 20;

/// What host functions cost, in fuel. One unit is about a nanosecond of one core; state prices cover a read from disk.
///
/// Changing a number changes the protocol.
pub mod price {
    /// Every call: instance, copy of the input.
    pub const CALL_BASE: u64 = 5_000;
    /// Per byte of arguments, and of anything copied between contract and host.
    pub const BYTE: u64 = 1;
    /// `input`, `output`, `fail`, `refuse`, `abort`, `pending`.
    pub const COPY: u64 = 100;
    /// `get`.
    pub const GET: u64 = 4_000;
    /// Per byte of key and value read.
    pub const GET_BYTE: u64 = 2;
    /// `put`.
    pub const PUT: u64 = 5_000;
    /// Per byte of key and value written: it is kept by every node.
    pub const PUT_BYTE: u64 = 10;
    /// `delete`.
    pub const DELETE: u64 = 5_000;
    /// `scan`.
    pub const SCAN: u64 = 5_000;
    /// Per entry asked for, found or not.
    pub const SCAN_ENTRY: u64 = 1_000;
    /// Per deleted key passed over: each is still read, as by `get`.
    pub const SCAN_PASSED: u64 = 4_000;
    /// `event`.
    pub const EVENT: u64 = 2_000;
    /// Per byte of an event.
    pub const EVENT_BYTE: u64 = 10;
    /// `call`, the callee's fuel not included.
    pub const CALL: u64 = 5_000;
    /// `membership`.
    pub const MEMBERSHIP: u64 = 4_000;
    /// `member`.
    pub const MEMBER: u64 = 4_000;
    /// `account_roles`.
    pub const ACCOUNT_ROLES: u64 = 4_000;
    /// `hash`.
    pub const HASH: u64 = 200;
    /// `verify`.
    pub const VERIFY: u64 = 50_000;
    /// Per byte of a module that is deployed: for the ledger, which compiles it.
    pub const DEPLOY_BYTE: u64 = 2_000;
}
