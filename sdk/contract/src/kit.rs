//! Runs a contract in an ordinary test: state, events, members and other contracts in memory, the host's bounds as on a
//! node. What it does not do: fuel and memory limits, which exist only in a compiled contract.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind},
};

use crate::{
    Contract, Failure, MethodKind,
    abi::Event,
    codec::{Account, Decode, Encode, decode, encode},
    context::Context,
    failure::CallFailure,
    limits,
};

/// Number of host calls of the last method, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HostCalls {
    /// `get`.
    pub gets: u32,
    /// `put`.
    pub puts: u32,
    /// Everything else but input and output.
    pub others: u32,
}

/// Answers a call to another contract: contract, method, arguments.
pub type Other = fn(&str, &str, &[u8]) -> Result<Vec<u8>, CallFailure>;

/// A chain with one contract on it. Set the fields, call methods, look at state and events.
#[derive(Debug)]
pub struct Kit<C> {
    /// Who signs the next call, the caller first.
    pub signers: Vec<Account>,
    /// Height of the next call.
    pub height: u64,
    /// Time of the next call.
    pub time_ms: u64,
    /// The contract that makes the next call; `system` for one that the members decided.
    pub calling_contract: Option<String>,
    /// Member and role of accounts.
    pub members: BTreeMap<Account, (String, String)>,
    /// Role and standing of members, by name.
    pub standings: BTreeMap<String, (String, bool)>,
    /// What accounts may do for their members, ascending.
    pub roles: BTreeMap<Account, Vec<String>>,
    /// The contract's state.
    pub state: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Answers calls to other contracts.
    pub other: Other,
    events: Vec<(String, Vec<u8>)>,
    host_calls: HostCalls,
    contract: PhantomData<C>,
}

/// What the host functions work on while a method runs.
#[derive(Debug)]
struct Running {
    state: BTreeMap<Vec<u8>, Vec<u8>>,
    members: BTreeMap<Account, (String, String)>,
    standings: BTreeMap<String, (String, bool)>,
    roles: BTreeMap<Account, Vec<String>>,
    events: Vec<(String, Vec<u8>)>,
    host_calls: HostCalls,
    read_only: bool,
    other: Other,
}

impl Running {
    /// Member and role of an account, unless its member is suspended.
    fn member_of(&self, account: &Account) -> Option<&(String, String)> {
        let suspended = |name: &String| self.standings.get(name).is_some_and(|(_, active)| !active);
        self.members.get(account).filter(|(name, _)| !suspended(name))
    }
}

thread_local! {
    static RUNNING: RefCell<Option<Running>> = const { RefCell::new(None) };
}

fn failure(code: &str, message: impl Into<String>) -> CallFailure {
    let mut message: String = message.into();
    let mut end = message.len().min(limits::MESSAGE_BYTES_MAX);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message.truncate(end);
    CallFailure { code: code.to_owned(), message }
}

fn no_other(_: &str, _: &str, _: &[u8]) -> Result<Vec<u8>, CallFailure> {
    Err(failure("contract.unknown", "the kit's `other` answers for other contracts"))
}

impl<C: Contract> Default for Kit<C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: Contract> Kit<C> {
    /// An empty chain at height 1; the caller is account 1.
    #[must_use]
    pub fn new() -> Self {
        Self {
            signers: vec![Account([1; 32])],
            height: 1,
            time_ms: 1_800_000_000_000,
            calling_contract: None,
            members: BTreeMap::new(),
            standings: BTreeMap::new(),
            roles: BTreeMap::new(),
            state: BTreeMap::new(),
            other: no_other,
            events: Vec::new(),
            host_calls: HostCalls::default(),
            contract: PhantomData,
        }
    }

    /// Runs a method with its arguments as a tuple. A failed call changes nothing.
    ///
    /// # Errors
    /// [`CallFailure`] with the code that a node would give.
    ///
    /// # Panics
    /// When the result is not an `R`: the test expects another type than the ABI says.
    pub fn call<A: Encode, R: Decode>(&mut self, method: &str, arguments: A) -> Result<R, CallFailure> {
        let output = self.call_bytes(method, &encode(&arguments))?;
        Ok(decode(&output).expect("the method returns the type that the test asks for"))
    }

    /// Runs a method with encoded arguments and returns its encoded result.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn call_bytes(&mut self, method: &str, arguments: &[u8]) -> Result<Vec<u8>, CallFailure> {
        let kind =
            C::kind(method).ok_or_else(|| failure("contract.unknown_method", "the contract has no such method"))?;
        let context = self.context(kind == MethodKind::Query);
        let running = Running {
            state: self.state.clone(),
            members: self.members.clone(),
            standings: self.standings.clone(),
            roles: self.roles.clone(),
            events: Vec::new(),
            host_calls: HostCalls::default(),
            read_only: context.read_only,
            other: self.other,
        };
        // A contract that this one is called by goes on afterwards.
        let caller = RUNNING.replace(Some(running));
        let ended = catch_unwind(AssertUnwindSafe(|| C::dispatch(&context, method, arguments)));
        let ran = RUNNING.replace(caller).expect("set above, and taken only here");
        self.host_calls = ran.host_calls;
        let output = match ended {
            Ok(result) => result.map_err(failed)?,
            Err(payload) => match payload.downcast::<CallFailure>() {
                Ok(refused) => return Err(*refused),
                Err(payload) if cfg!(panic = "abort") => resume_unwind(payload),
                Err(payload) => {
                    let text = payload.downcast_ref::<&str>().map(|t| (*t).to_owned());
                    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
                    return Err(failure("contract.panic", text.unwrap_or_else(|| "panic".to_owned())));
                }
            },
        };
        if output.len() > limits::OUTPUT_BYTES_MAX {
            return Err(failure("contract.output_too_large", "a call returns at most 65536 bytes"));
        }
        self.state = ran.state;
        self.events.extend(ran.events);
        Ok(output)
    }

    fn context(&self, read_only: bool) -> Context {
        Context {
            contract: "contract".to_owned(),
            caller: self.signers.first().copied().unwrap_or_default(),
            signers: self.signers.clone(),
            calling_contract: self.calling_contract.clone(),
            height: self.height,
            time_ms: self.time_ms,
            read_only,
            depth: 0,
        }
    }

    /// Makes an account the caller and only signer of the calls that follow.
    pub fn sign_as(&mut self, account: Account) {
        self.signers = vec![account];
    }

    /// Registers an account with a member, which is active and has this role.
    pub fn add_member(&mut self, account: Account, member: &str, role: &str) {
        self.members.insert(account, (member.to_owned(), role.to_owned()));
        self.standings.insert(member.to_owned(), (role.to_owned(), true));
    }

    /// Says what an account may do for its member.
    pub fn set_roles(&mut self, account: Account, roles: &[&str]) {
        let mut roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
        roles.sort_unstable();
        roles.dedup();
        self.roles.insert(account, roles);
    }

    /// Suspends or resumes a member: its accounts stand for nobody while it is suspended.
    pub fn set_member_active(&mut self, member: &str, active: bool) {
        if let Some((_, standing)) = self.standings.get_mut(member) {
            *standing = active;
        }
    }

    /// All events of one kind so far, in order.
    ///
    /// # Panics
    /// When an event's bytes are not an `E`: two kinds have one name.
    #[must_use]
    pub fn events<E: Event + Decode>(&self) -> Vec<E> {
        let of_kind = self.events.iter().filter(|(name, _)| name == E::NAME);
        of_kind.map(|(_, data)| decode(data).expect("an event of this name is of this type")).collect()
    }

    /// What the contract's state holds under a key.
    #[must_use]
    pub fn stored(&self, key: &[u8]) -> Option<&[u8]> {
        self.state.get(key).map(Vec::as_slice)
    }

    /// Host calls of the last method.
    #[must_use]
    pub const fn host_calls(&self) -> HostCalls {
        self.host_calls
    }
}

fn failed(error: Failure) -> CallFailure {
    match error {
        Failure::Declared { code, message } => failure(&format!("contract.error.{code}"), message),
        Failure::BadArguments(message) => failure("contract.bad_arguments", message),
        Failure::UnknownMethod => failure("contract.unknown_method", "the contract has no such method"),
    }
}

/// The host functions, as `sys` offers them to the rest of the crate.
pub(crate) mod sys {
    use super::{Running, failure, limits, panic_any};
    use crate::codec::{Account, Hash, Key, Signature, encode};

    fn running<T>(work: impl FnOnce(&mut Running) -> Result<T, crate::CallFailure>) -> T {
        let result = super::RUNNING.with_borrow_mut(|slot| {
            work(slot.as_mut().expect("host functions are called from a method that the kit runs"))
        });
        result.unwrap_or_else(|failure| panic_any(failure))
    }

    fn bound(holds: bool, text: &str) -> Result<(), crate::CallFailure> {
        if holds { Ok(()) } else { Err(failure("contract.host_limit", text)) }
    }

    fn check_key(key: &[u8]) -> Result<(), crate::CallFailure> {
        bound((1..=limits::KEY_BYTES_MAX).contains(&key.len()), "a key has 1 to 256 bytes")
    }

    fn check_writable(running: &Running) -> Result<(), crate::CallFailure> {
        if running.read_only {
            return Err(failure("contract.read_only", "a query changes nothing and emits no events"));
        }
        Ok(())
    }

    pub(crate) fn get(key: &[u8]) -> Option<Vec<u8>> {
        running(|r| {
            r.host_calls.gets += 1;
            check_key(key)?;
            Ok(r.state.get(key).cloned())
        })
    }

    pub(crate) fn put(key: &[u8], value: &[u8]) {
        running(|r| {
            r.host_calls.puts += 1;
            check_writable(r)?;
            check_key(key)?;
            bound(value.len() <= limits::VALUE_BYTES_MAX, "a value has at most 65536 bytes")?;
            r.state.insert(key.to_vec(), value.to_vec());
            Ok(())
        });
    }

    pub(crate) fn delete(key: &[u8]) {
        running(|r| {
            r.host_calls.others += 1;
            check_writable(r)?;
            check_key(key)?;
            r.state.remove(key);
            Ok(())
        });
    }

    pub(crate) fn scan(prefix: &[u8], after: &[u8], limit: u32) -> Vec<u8> {
        running(|r| {
            r.host_calls.others += 1;
            bound(
                prefix.len() <= limits::KEY_BYTES_MAX && after.len() <= limits::KEY_BYTES_MAX,
                "a key has at most 256 bytes",
            )?;
            bound(limit <= limits::SCAN_ENTRIES_MAX, "a scan returns at most 100 entries")?;
            let entries = r.state.iter().filter(|(key, _)| key.starts_with(prefix) && key.as_slice() > after);
            let mut out = Vec::new();
            let entries: Vec<_> = entries.take(limit as usize).collect();
            out.extend_from_slice(&(entries.len() as u64).to_le_bytes());
            for (key, value) in entries {
                for part in [key, value] {
                    out.extend_from_slice(&(part.len() as u64).to_le_bytes());
                    out.extend_from_slice(part);
                }
            }
            Ok(out)
        })
    }

    pub(crate) fn event(name: &str, data: &[u8]) {
        running(|r| {
            r.host_calls.others += 1;
            check_writable(r)?;
            bound((1..=limits::NAME_BYTES_MAX).contains(&name.len()), "an event's name has 1 to 64 bytes")?;
            r.events.push((name.to_owned(), data.to_vec()));
            let bytes: usize = r.events.iter().map(|(name, data)| name.len() + data.len()).sum();
            bound(
                r.events.len() <= limits::EVENTS_MAX && bytes <= limits::EVENT_BYTES_MAX,
                "too many or too large events",
            )
        });
    }

    pub(crate) fn call(contract: &str, method: &str, arguments: &[u8], _fuel: u64) -> Vec<u8> {
        let other = running(|r| {
            r.host_calls.others += 1;
            Ok(r.other)
        });
        match other(contract, method, arguments) {
            Ok(output) => encode(&(0u32, crate::Bytes(output))),
            Err(failed) => encode(&(1u32, failed.code, failed.message)),
        }
    }

    pub(crate) fn membership(account: &Account) -> Option<Vec<u8>> {
        running(|r| {
            r.host_calls.others += 1;
            Ok(r.member_of(account).map(encode))
        })
    }

    pub(crate) fn member(name: &str) -> Option<Vec<u8>> {
        running(|r| {
            r.host_calls.others += 1;
            Ok(r.standings.get(name).map(encode))
        })
    }

    pub(crate) fn account_roles(account: &Account) -> Vec<u8> {
        running(|r| {
            r.host_calls.others += 1;
            let roles = r.member_of(account).and_then(|_| r.roles.get(account));
            Ok(encode(&roles.cloned().unwrap_or_default()))
        })
    }

    pub(crate) fn hash(tag: &str, data: &[u8]) -> Hash {
        running(|r| {
            r.host_calls.others += 1;
            let legal = (1..=64).contains(&tag.len()) && tag.is_ascii() && !tag.contains('\0');
            bound(legal, "a hash tag has 1 to 64 ASCII bytes")?;
            Ok(Hash(vouch_types::hash::domain_hash(tag, &[data]).0))
        })
    }

    pub(crate) fn verify(key: &Key, message: &[u8], signature: &Signature) -> bool {
        running(|r| {
            r.host_calls.others += 1;
            let [algorithm, bytes @ ..] = key.0;
            let key = vouch_types::PublicKey { algorithm, bytes };
            Ok(key.verify(message, &vouch_types::Signature(signature.0)).is_ok())
        })
    }
}
