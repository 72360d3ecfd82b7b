//! Bounds: what is stored fits a value, what is answered fits an output, and no call runs out of fuel for being legal.

/// Most fields of a schema.
pub const FIELDS_MAX: usize = 1024;
/// Most bytes of a schema's definition.
pub const SCHEMA_BYTES_MAX: usize = 48 << 10;
/// Most party rules, reference rules and purposes of a schema, and most parties in one role.
pub const RULES_MAX: usize = 16;
/// Longest title in one language, in bytes.
pub const TITLE_BYTES_MAX: usize = 200;
/// Most parties of a version.
pub const PARTIES_MAX: usize = 16;
/// Most references of a version.
pub const REFERENCES_MAX: usize = 32;
/// Most public fields of a version.
pub const PUBLIC_MAX: usize = 64;
/// Longest value of a public field, in bytes.
pub const PUBLIC_BYTES_MAX: usize = 512;
/// Most recipients by key of a version.
pub const RECIPIENTS_MAX: usize = 16;
/// Most versions of a document.
pub const VERSIONS_MAX: u32 = 100;
/// Most grants and pieces of evidence of one version that are open at a time.
pub const ENTRIES_MAX: u64 = 64;
/// Most open disputes about a document.
pub const DISPUTES_MAX: u32 = 8;
/// Most answers to a claim.
pub const ANSWERS_MAX: usize = 16;
/// Most pieces of evidence in a dispute.
pub const EVIDENCE_MAX: usize = 16;
/// Most arbiters.
pub const ARBITERS_MAX: usize = 32;
/// Most legal holds on a document.
pub const HOLDS_MAX: u32 = 32;
/// Most holders of a document that an erasure waits for.
pub const HOLDERS_MAX: usize = 256;
/// Days that holders have to destroy and attest, if the members decide nothing else.
pub const ERASURE_DAYS: u32 = 15;
/// Most days that the members may give them.
pub const ERASURE_DAYS_MAX: u32 = 90;
/// Most minutes that the members may give them in the place of days: less than a day.
pub const ERASURE_MINUTES_MAX: u32 = 24 * 60 - 1;
/// Most versions that one call attests to hold.
pub const POSSESSIONS_MAX: usize = 100;
/// Longest name of a node, in bytes.
pub const NODE_BYTES_MAX: usize = 64;
/// Most edges of one answer of `upstream`.
pub const EDGES_MAX: usize = 50;
/// Milliseconds of a day.
pub const DAY_MS: u64 = 86_400_000;
/// Milliseconds of a minute.
pub const MINUTE_MS: u64 = 60_000;
