//! The functions a contract imports from module `vouch`.
//!
//! Pointers and lengths are unsigned 32-bit numbers. A function that answers with bytes takes a buffer and returns their
//! number: if they fit they are in the buffer, else the contract fetches them with `pending`. Every function checks its
//! bounds first, then takes its fuel, then acts.

use vouch_types::{
    AccountId, ContractName, PublicKey,
    hash::domain_hash,
    transaction::{CONTRACT_NAME_BYTES_MAX, METHOD_BYTES_MAX},
};
use wasmparser::ValType::{self, I32, I64};
use wasmtime::{Caller, Linker};

use crate::{
    error::{CallFailure, Stop, code},
    host::{CallRequest, Host},
    limits::price,
    state::{Running, Span, State, write},
    validate::IMPORT_MODULE,
    wire,
};

/// Name and type of an import.
pub(crate) struct Signature {
    pub name: &'static str,
    pub parameters: &'static [ValType],
    pub results: &'static [ValType],
}

const fn signature(name: &'static str, parameters: &'static [ValType], results: &'static [ValType]) -> Signature {
    Signature { name, parameters, results }
}

/// Everything that can be imported.
pub(crate) const SIGNATURES: &[Signature] = &[
    signature("input", &[I32], &[]),
    signature("output", &[I32, I32], &[]),
    signature("fail", &[I32, I32, I32, I32], &[]),
    signature("refuse", &[I32, I32], &[]),
    signature("abort", &[I32, I32], &[]),
    signature("get", &[I32, I32, I32, I32], &[I64]),
    signature("put", &[I32, I32, I32, I32], &[]),
    signature("delete", &[I32, I32], &[]),
    signature("scan", &[I32, I32, I32, I32, I32, I32, I32], &[I64]),
    signature("event", &[I32, I32, I32, I32], &[]),
    signature("call", &[I32, I32, I32, I32, I32, I32, I64, I32, I32], &[I64]),
    signature("membership", &[I32, I32, I32], &[I64]),
    signature("member", &[I32, I32, I32, I32], &[I64]),
    signature("account_roles", &[I32, I32, I32], &[I64]),
    signature("hash", &[I32, I32, I32, I32, I32], &[]),
    signature("verify", &[I32, I32, I32, I32], &[I32]),
    signature("pending", &[I32], &[]),
];

const ACCOUNT_BYTES: u32 = 32;
const KEY_BYTES: u32 = 33;
const SIGNATURE_BYTES: u32 = 64;
const ERROR_CODE_BYTES_MAX: usize = 64;
const HASH_TAG_BYTES_MAX: u32 = 64;
/// Texts are cut again after characters were replaced, see [`CallFailure::new`].
const MESSAGE_BYTES_MAX: usize = vouch_types::receipt::FAILURE_TEXT_BYTES_MAX;
/// Returned by functions that found nothing.
const ABSENT: i64 = -1;

type Guest<'a, H> = Caller<'a, State<H>>;

fn stop<T>(result: Result<T, Stop>) -> wasmtime::Result<T> {
    result.map_err(wasmtime::Error::new)
}

const fn span(at: u32, len: u32) -> Span {
    Span { at, len }
}

fn host_limit(text: &'static str) -> Stop {
    Stop::fail(code::HOST_LIMIT, text)
}

/// A linker that offers [`SIGNATURES`].
pub(crate) fn linker<H: Host + 'static>(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<State<H>>> {
    let mut linker = Linker::new(engine);
    let l = &mut linker;
    let m = IMPORT_MODULE;
    l.func_wrap(m, "input", |mut c: Guest<'_, H>, at: u32| stop(input(Running(&mut c), at)))?;
    l.func_wrap(m, "output", |mut c: Guest<'_, H>, p: u32, n: u32| stop(output(Running(&mut c), span(p, n))))?;
    l.func_wrap(m, "fail", |mut c: Guest<'_, H>, p: u32, n: u32, q: u32, o: u32| {
        stop::<()>(Err(fail(Running(&mut c), span(p, n), span(q, o))))
    })?;
    l.func_wrap(m, "refuse", |mut c: Guest<'_, H>, p: u32, n: u32| {
        stop::<()>(Err(end(Running(&mut c), code::BAD_ARGUMENTS, span(p, n))))
    })?;
    l.func_wrap(m, "abort", |mut c: Guest<'_, H>, p: u32, n: u32| {
        stop::<()>(Err(end(Running(&mut c), code::PANIC, span(p, n))))
    })?;
    l.func_wrap(m, "get", |mut c: Guest<'_, H>, p: u32, n: u32, b: u32, k: u32| {
        stop(get(Running(&mut c), span(p, n), span(b, k)))
    })?;
    l.func_wrap(m, "put", |mut c: Guest<'_, H>, p: u32, n: u32, q: u32, o: u32| {
        stop(put(Running(&mut c), span(p, n), span(q, o)))
    })?;
    l.func_wrap(m, "delete", |mut c: Guest<'_, H>, p: u32, n: u32| stop(delete(Running(&mut c), span(p, n))))?;
    l.func_wrap(m, "scan", |mut c: Guest<'_, H>, p: u32, n: u32, a: u32, o: u32, limit: u32, b: u32, k: u32| {
        stop(scan(Running(&mut c), span(p, n), span(a, o), limit, span(b, k)))
    })?;
    l.func_wrap(m, "event", |mut c: Guest<'_, H>, p: u32, n: u32, q: u32, o: u32| {
        stop(event(Running(&mut c), span(p, n), span(q, o)))
    })?;
    l.func_wrap(
        m,
        "call",
        |mut c: Guest<'_, H>, p: u32, n: u32, q: u32, o: u32, r: u32, s: u32, fuel: u64, b: u32, k: u32| {
            stop(call(Running(&mut c), [span(p, n), span(q, o), span(r, s)], fuel, span(b, k)))
        },
    )?;
    l.func_wrap(m, "membership", |mut c: Guest<'_, H>, p: u32, b: u32, k: u32| {
        stop(membership(Running(&mut c), span(p, ACCOUNT_BYTES), span(b, k)))
    })?;
    l.func_wrap(m, "member", |mut c: Guest<'_, H>, p: u32, n: u32, b: u32, k: u32| {
        stop(member(Running(&mut c), span(p, n), span(b, k)))
    })?;
    l.func_wrap(m, "account_roles", |mut c: Guest<'_, H>, p: u32, b: u32, k: u32| {
        stop(account_roles(Running(&mut c), span(p, ACCOUNT_BYTES), span(b, k)))
    })?;
    l.func_wrap(m, "hash", |mut c: Guest<'_, H>, p: u32, n: u32, q: u32, o: u32, out: u32| {
        stop(hash(Running(&mut c), span(p, n), span(q, o), out))
    })?;
    l.func_wrap(m, "verify", |mut c: Guest<'_, H>, key: u32, p: u32, n: u32, signature: u32| {
        stop(verify(Running(&mut c), span(key, KEY_BYTES), span(p, n), span(signature, SIGNATURE_BYTES)))
    })?;
    l.func_wrap(m, "pending", |mut c: Guest<'_, H>, at: u32| stop(pending(Running(&mut c), at)))?;
    Ok(linker)
}

fn input<H>(mut run: Running<'_, '_, H>, at: u32) -> Result<(), Stop> {
    let length = run.state().input.len();
    run.charge(price::COPY, price::BYTE, length)?;
    let (memory, state) = run.split()?;
    write(memory, at, &state.input)
}

fn output<H>(mut run: Running<'_, '_, H>, data: Span) -> Result<(), Stop> {
    let max = run.state().limits.output_bytes_max;
    if data.len as usize > max {
        return Err(Stop::fail(code::OUTPUT_TOO_LARGE, format!("a call returns at most {max} bytes")));
    }
    run.charge(price::COPY, price::BYTE, data.len as usize)?;
    let (memory, state) = run.split()?;
    state.output = Some(data.bytes(memory)?.to_vec());
    Ok(())
}

fn fail<H>(mut run: Running<'_, '_, H>, name: Span, message: Span) -> Stop {
    let mut read = || {
        run.charge(price::COPY, price::BYTE, MESSAGE_BYTES_MAX)?;
        let (memory, _) = run.split()?;
        let name = name.bytes(memory)?;
        let legal = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(b);
        let begins = name.first().is_some_and(u8::is_ascii_lowercase);
        if !begins || name.len() > ERROR_CODE_BYTES_MAX || !name.iter().all(legal) {
            return Err(Stop::fail(code::TRAP, "an error code has 1 to 64 of a-z 0-9 - _ . and begins with a letter"));
        }
        let code = format!("{}{}", code::ERROR_PREFIX, String::from_utf8_lossy(name));
        Ok(CallFailure::new(code, message.message(memory, MESSAGE_BYTES_MAX)?))
    };
    read().map_or_else(|stop| stop, Stop::Failed)
}

fn end<H>(mut run: Running<'_, '_, H>, code: &'static str, message: Span) -> Stop {
    let mut read = || {
        run.charge(price::COPY, price::BYTE, MESSAGE_BYTES_MAX)?;
        let (memory, _) = run.split()?;
        message.message(memory, MESSAGE_BYTES_MAX)
    };
    read().map_or_else(|stop| stop, |text| Stop::fail(code, text))
}

fn check_key<H>(run: &mut Running<'_, '_, H>, key: Span) -> Result<(), Stop> {
    if key.len == 0 || key.len as usize > run.state().limits.key_bytes_max {
        return Err(host_limit("a key has 1 to 256 bytes"));
    }
    Ok(())
}

fn get<H: Host>(mut run: Running<'_, '_, H>, key: Span, buffer: Span) -> Result<i64, Stop> {
    check_key(&mut run, key)?;
    run.charge(price::GET, price::GET_BYTE, key.len as usize)?;
    let (memory, state) = run.split()?;
    let Some(value) = state.host.get(key.bytes(memory)?)? else { return Ok(ABSENT) };
    run.charge(0, price::GET_BYTE, value.len())?;
    run.answer(value, buffer)
}

fn put<H: Host>(mut run: Running<'_, '_, H>, key: Span, value: Span) -> Result<(), Stop> {
    run.require_writable()?;
    check_key(&mut run, key)?;
    if value.len as usize > run.state().limits.value_bytes_max {
        return Err(host_limit("a value has at most 65536 bytes"));
    }
    run.charge(price::PUT, price::PUT_BYTE, key.len as usize + value.len as usize)?;
    let (memory, state) = run.split()?;
    Ok(state.host.put(key.bytes(memory)?, value.bytes(memory)?)?)
}

fn delete<H: Host>(mut run: Running<'_, '_, H>, key: Span) -> Result<(), Stop> {
    run.require_writable()?;
    check_key(&mut run, key)?;
    run.charge(price::DELETE, price::GET_BYTE, key.len as usize)?;
    let (memory, state) = run.split()?;
    Ok(state.host.delete(key.bytes(memory)?)?)
}

fn scan<H: Host>(
    mut run: Running<'_, '_, H>,
    prefix: Span,
    after: Span,
    limit: u32,
    buffer: Span,
) -> Result<i64, Stop> {
    let limits = run.state().limits.clone();
    if prefix.len as usize > limits.key_bytes_max || after.len as usize > limits.key_bytes_max {
        return Err(host_limit("a key has at most 256 bytes"));
    }
    if limit > limits.scan_entries_max {
        return Err(host_limit("a scan returns at most 100 entries"));
    }
    run.charge(price::SCAN, price::SCAN_ENTRY, limit as usize)?;
    let passed_max = run.fuel()? / price::SCAN_PASSED;
    let (memory, state) = run.split()?;
    let after = (after.len > 0).then_some(after);
    let after = after.map(|after| after.bytes(memory)).transpose()?;
    let (found, passed) = state.host.scan(prefix.bytes(memory)?, after, limit, passed_max)?;
    run.charge(passed.saturating_mul(price::SCAN_PASSED), 0, 0)?;
    let bytes = found.iter().fold(0usize, |sum, (k, v)| sum.saturating_add(k.len()).saturating_add(v.len()));
    if bytes > limits.scan_bytes_max {
        return Err(host_limit("a scan returns at most 1048576 bytes"));
    }
    run.charge(0, price::GET_BYTE, bytes)?;
    run.answer(wire::entries(&found), buffer)
}

fn event<H: Host>(mut run: Running<'_, '_, H>, name: Span, data: Span) -> Result<(), Stop> {
    run.require_writable()?;
    let bytes = name.len as usize + data.len as usize;
    let state = run.state();
    if name.len == 0 || name.len as usize > METHOD_BYTES_MAX {
        return Err(host_limit("an event's name has 1 to 64 bytes"));
    }
    state.events = state.events.saturating_add(1);
    state.event_bytes = state.event_bytes.saturating_add(bytes);
    if state.events > state.limits.events_max || state.event_bytes > state.limits.event_bytes_max {
        return Err(host_limit("too many or too large events"));
    }
    run.charge(price::EVENT, price::EVENT_BYTE, bytes)?;
    let (memory, state) = run.split()?;
    Ok(state.host.event(name.text(memory)?, data.bytes(memory)?)?)
}

fn call<H: Host>(mut run: Running<'_, '_, H>, callee: [Span; 3], fuel: u64, buffer: Span) -> Result<i64, Stop> {
    let [contract, method, arguments] = callee;
    // Before they are read: the price is one of short names.
    if method.len == 0 || method.len as usize > METHOD_BYTES_MAX {
        return Err(host_limit("a method name has 1 to 64 bytes"));
    }
    if contract.len as usize > CONTRACT_NAME_BYTES_MAX {
        return Err(host_limit("not a contract name"));
    }
    let limits = run.state().limits.clone();
    let depth = run.state().context.depth.saturating_add(1);
    if depth > limits.call_depth_max {
        return Err(Stop::fail(code::CALL_DEPTH, "contracts call each other too deep"));
    }
    if arguments.len as usize > limits.arguments_bytes_max {
        return Err(host_limit("too many bytes of arguments"));
    }
    run.charge(price::CALL, price::BYTE, arguments.len as usize)?;
    let fuel = fuel.min(run.fuel()?);
    let (memory, state) = run.split()?;
    let method = method.text(memory)?;
    let request = CallRequest {
        contract: ContractName::new(contract.text(memory)?)
            .map_err(|_| Stop::fail(code::HOST_LIMIT, "not a contract name"))?,
        method: method.to_owned(),
        arguments: arguments.bytes(memory)?.to_vec(),
        fuel,
        read_only: state.context.read_only,
        depth,
    };
    let (outcome, used) = state.host.call(request)?;
    run.charge(used.min(fuel), 0, 0)?;
    run.answer(wire::outcome(&outcome), buffer)
}

fn membership<H: Host>(mut run: Running<'_, '_, H>, account: Span, buffer: Span) -> Result<i64, Stop> {
    run.charge(price::MEMBERSHIP, 0, 0)?;
    let (memory, state) = run.split()?;
    let account: [u8; 32] = array(account.bytes(memory)?)?;
    match state.host.membership(&AccountId(account))? {
        None => Ok(ABSENT),
        Some((member, role)) => run.answer(wire::membership(&member, &role), buffer),
    }
}

fn member<H: Host>(mut run: Running<'_, '_, H>, name: Span, buffer: Span) -> Result<i64, Stop> {
    run.charge(price::MEMBER, price::BYTE, name.len as usize)?;
    let (memory, state) = run.split()?;
    match state.host.member(name.text(memory)?)? {
        None => Ok(ABSENT),
        Some((role, active)) => run.answer(wire::member(&role, active), buffer),
    }
}

fn account_roles<H: Host>(mut run: Running<'_, '_, H>, account: Span, buffer: Span) -> Result<i64, Stop> {
    run.charge(price::ACCOUNT_ROLES, 0, 0)?;
    let (memory, state) = run.split()?;
    let account: [u8; 32] = array(account.bytes(memory)?)?;
    let roles = state.host.account_roles(&AccountId(account))?;
    run.answer(wire::texts(&roles), buffer)
}

fn hash<H>(mut run: Running<'_, '_, H>, tag: Span, data: Span, out: u32) -> Result<(), Stop> {
    if tag.len == 0 || tag.len > HASH_TAG_BYTES_MAX {
        return Err(host_limit("a hash tag has 1 to 64 bytes"));
    }
    run.charge(price::HASH, price::BYTE, data.len as usize)?;
    let (memory, _) = run.split()?;
    let name = tag.text(memory)?;
    if !name.is_ascii() || name.contains('\0') {
        return Err(host_limit("a hash tag is ASCII without zero bytes"));
    }
    let digest = domain_hash(name, &[data.bytes(memory)?]);
    write(memory, out, digest.as_bytes())
}

fn verify<H: Host>(mut run: Running<'_, '_, H>, key: Span, message: Span, signature: Span) -> Result<i32, Stop> {
    run.charge(price::VERIFY, price::BYTE, message.len as usize)?;
    let (memory, state) = run.split()?;
    let [algorithm, bytes @ ..]: [u8; 33] = array(key.bytes(memory)?)?;
    let signature = array(signature.bytes(memory)?)?;
    let key = PublicKey { algorithm, bytes };
    Ok(i32::from(state.host.verify(&key, message.bytes(memory)?, &signature)))
}

fn pending<H>(mut run: Running<'_, '_, H>, at: u32) -> Result<(), Stop> {
    run.charge(price::COPY, 0, 0)?;
    let (memory, state) = run.split()?;
    let answer = state.pending.take().ok_or_else(|| Stop::fail(code::TRAP, "no answer is pending"))?;
    write(memory, at, &answer)
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Stop> {
    bytes.try_into().map_err(|_| Stop::fail(code::TRAP, "a value of another length was expected"))
}
