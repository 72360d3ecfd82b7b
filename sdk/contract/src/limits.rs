//! Bounds of the host, so that tests fail where the node would. Values: `docs/contracts.md`.

/// Longest state key, in bytes.
pub const KEY_BYTES_MAX: usize = 256;
/// Longest state value, in bytes.
pub const VALUE_BYTES_MAX: usize = 64 << 10;
/// Most events of a transaction.
pub const EVENTS_MAX: usize = 64;
/// Most bytes of names and data of a transaction's events.
pub const EVENT_BYTES_MAX: usize = 64 << 10;
/// Most bytes a method returns.
pub const OUTPUT_BYTES_MAX: usize = 64 << 10;
/// Most entries of one scan.
pub const SCAN_ENTRIES_MAX: u32 = 100;
/// Longest method or event name, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// Longest message of a failure, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 512;
