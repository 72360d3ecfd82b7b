//! Bulk uplink in a member's browser: `sdk/uplink` as a WebAssembly module. A file is read, mapped, checked and sealed here; it
//! leaves the machine as sealed documents only.
//!
//! Deliberately not here: the account's key (the module `reader` signs), asking nodes, and remembering what is final.
//!
//! ```text
//! key; look --> columns, samples, guesses; check --> summary, faults by cell
//! begin_comparing; next --> rows with ids; compare(row) --> what to ask of it, how it stands; changes --> names of what changed
//! begin; next --> rows with ids; seal(row) --> delivery to stage, calls to sign; done(row) or reject(row); rejected --> file to mend
//! ```

pub use page::{Fault, read, written};

pub mod compare;
pub mod job;
pub mod mapping;
pub mod sample;
pub mod seal;
mod state;

page::module! {
    /// See [`job::key`].
    key = job::key;
    /// See [`job::numbers`].
    numbers = job::numbers;
    /// See [`sample::look`].
    look = sample::look;
    /// See [`sample::suggest`].
    suggest = sample::suggest;
    /// See [`mapping::to_text`].
    mapping_text = mapping::to_text;
    /// See [`mapping::of_text`].
    mapping_of = mapping::of_text;
    /// See [`job::check`].
    check = job::check;
    /// See [`job::begin_comparing`].
    begin_comparing = job::begin_comparing;
    /// See [`compare::compare`].
    compare = compare::compare;
    /// See [`compare::changes`].
    changes = compare::changes;
    /// See [`compare::hindered`].
    hindered = compare::hindered;
    /// See [`job::begin`].
    begin = job::begin;
    /// See [`job::next`].
    next = job::next;
    /// See [`seal::seal`].
    seal = seal::seal;
    /// See [`job::done`].
    done = job::done;
    /// See [`job::reject`].
    reject = job::reject;
    /// See [`job::faulty`].
    faulty = job::faulty;
    /// See [`job::rejected`].
    rejected = job::rejected;
}

/// A fault of the engine as one of the module's: the place stands in front.
fn told(fault: &vouch_uplink::Fault) -> Fault {
    Fault::new(fault.code, format!("{}: {}", fault.place, fault.reason))
}

/// Several, under the first one's code.
fn told_all(faults: &[vouch_uplink::Fault]) -> Fault {
    let code = faults.first().map_or("uplink.mapping", |fault| fault.code);
    let lines: Vec<String> = faults.iter().map(|fault| format!("{}: {}", fault.place, fault.reason)).collect();
    Fault::new(code, lines.join("\n"))
}
