//! Each host function: what it does, its bounds, and places outside of memory.

use vouch_types::{AccountId, SecretKey, encode, hash::domain_hash};
use vouch_vm::code;

use crate::common::{FUEL, MemoryHost, call, context, contract, failure, module, run, run_on, vm};

/// A module with `data` at byte 0 and the entry's body.
fn with_data(imports: &[&str], data: &[u8], body: &str) -> Vec<u8> {
    let data: String = data.iter().map(|b| format!("\\{b:02x}")).collect();
    module(imports, &format!("(data (i32.const 0) \"{data}\") (func (export \"vouch_call\") (param $len i32) {body})"))
}

#[test]
fn input_carries_context_method_and_arguments() {
    let vm = vm();
    let echo = vm
        .compile(&contract(
            &["input", "output"],
            "(call $input (i32.const 16)) (call $output (i32.const 16) (local.get $len))",
        ))
        .unwrap();
    let context = context();
    let (outcome, _) = call(&vm, &echo, "look", &[1, 2, 3], FUEL, MemoryHost::default()).unwrap();
    let expected = encode(&(
        (1u8, context.contract.clone(), context.caller, context.signers.clone()),
        (Option::<String>::None, context.height, context.time, true, context.depth),
        ("look".to_owned(), vec![1u8, 2, 3]),
    ));
    assert_eq!(outcome.result.unwrap(), expected);
}

#[test]
fn state_is_read_and_written() {
    let body = "
        (call $put (i32.const 0) (i32.const 3) (i32.const 3) (i32.const 5))
        (if (i64.ne (call $get (i32.const 0) (i32.const 3) (i32.const 100) (i32.const 5)) (i64.const 5)) (then (unreachable)))
        (if (i64.ne (call $get (i32.const 0) (i32.const 2) (i32.const 100) (i32.const 5)) (i64.const -1)) (then (unreachable)))
        (call $delete (i32.const 0) (i32.const 3))
        (call $delete (i32.const 0) (i32.const 3))
        (if (i64.ne (call $get (i32.const 0) (i32.const 3) (i32.const 200) (i32.const 5)) (i64.const -1)) (then (unreachable)))
        (call $put (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 0))
        (call $output (i32.const 100) (i32.const 5))";
    let (outcome, host) = run(&with_data(&["get", "put", "delete", "output"], b"keyvalue", body));
    assert_eq!(outcome.result.unwrap(), b"value");
    assert_eq!(host.state.into_iter().collect::<Vec<_>>(), vec![(b"k".to_vec(), vec![])]);
}

#[test]
fn an_answer_too_large_for_the_buffer_waits() {
    let host = MemoryHost { state: [(b"key".to_vec(), b"a longer value".to_vec())].into(), ..MemoryHost::default() };
    let body = "
        (local $n i32)
        (local.set $n (i32.wrap_i64 (call $get (i32.const 0) (i32.const 3) (i32.const 100) (i32.const 4))))
        (if (i32.load (i32.const 100)) (then (unreachable)))
        (call $pending (i32.const 200))
        (call $output (i32.const 200) (local.get $n))";
    let imports = &["get", "pending", "output"];
    let (outcome, _) = run_on(&with_data(imports, b"key", body), "run", host.clone());
    assert_eq!(outcome.result.unwrap(), b"a longer value");

    let twice = body.replace("(call $output", "(call $pending (i32.const 200)) (call $output");
    let (outcome, _) = run_on(&with_data(imports, b"key", &twice), "run", host.clone());
    assert_eq!(outcome.result.unwrap_err().message, "no answer is pending");
    let outside = body.replace("(call $pending (i32.const 200))", "(call $pending (i32.const 65530))");
    assert_eq!(run_on(&with_data(imports, b"key", &outside), "run", host).0.result.unwrap_err().code, code::TRAP);
}

#[test]
fn scan_pages_in_order() {
    let state = [("p1", "a"), ("p2", "b"), ("p3", "c"), ("q", "d")];
    let state = state.map(|(k, v)| (k.as_bytes().to_vec(), v.as_bytes().to_vec())).into();
    let host = MemoryHost { state, ..MemoryHost::default() };
    let scan = |after: &str, limit: u32| {
        let body = format!(
            "(call $output (i32.const 100) (i32.wrap_i64 (call $scan (i32.const 0) (i32.const 1) (i32.const 1) (i32.const {}) (i32.const {limit}) (i32.const 100) (i32.const 1000))))",
            after.len()
        );
        let code = with_data(&["scan", "output"], format!("p{after}").as_bytes(), &body);
        run_on(&code, "look", host.clone()).0.result
    };
    let pairs = |list: &[(&str, &str)]| {
        encode(&list.iter().map(|(k, v)| (k.as_bytes().to_vec(), v.as_bytes().to_vec())).collect::<Vec<_>>())
    };
    assert_eq!(scan("", 2).unwrap(), pairs(&[("p1", "a"), ("p2", "b")]));
    assert_eq!(scan("p2", 100).unwrap(), pairs(&[("p3", "c")]));
    assert_eq!(scan("p3", 100).unwrap(), pairs(&[]));
    assert_eq!(scan("", 0).unwrap(), pairs(&[]));
    assert_eq!(scan("", 101).unwrap_err().code, code::HOST_LIMIT);
    let large =
        MemoryHost { state: (0u8..17).map(|i| (vec![b'p', i], vec![0; 65536])).collect(), ..MemoryHost::default() };
    let body = "(drop (call $scan (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 100) (i32.const 0) (i32.const 0)))";
    assert_eq!(run_on(&with_data(&["scan"], b"p", body), "look", large).0.result.unwrap_err().code, code::HOST_LIMIT);
}

#[test]
fn events_are_counted_and_bounded() {
    let one = "(call $event (i32.const 0) (i32.const 4) (i32.const 0) (i32.const 2))";
    let (outcome, host) = run(&with_data(&["event"], b"Made", one));
    outcome.result.unwrap();
    assert_eq!(host.events, vec![("Made".to_owned(), b"Ma".to_vec())]);
    let (outcome, host) = run(&with_data(&["event"], b"Made", &one.repeat(64)));
    outcome.result.unwrap();
    assert_eq!(host.events.len(), 64);
    assert_eq!(failure(&with_data(&["event"], b"Made", &one.repeat(65))).code, code::HOST_LIMIT);
    let large = "(call $event (i32.const 0) (i32.const 4) (i32.const 0) (i32.const 65532))";
    run(&with_data(&["event"], b"Made", large)).0.result.unwrap();
    assert_eq!(failure(&with_data(&["event"], b"Made", &large.replace("65532", "65533"))).code, code::HOST_LIMIT);
    let nameless = "(call $event (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))";
    assert_eq!(failure(&contract(&["event"], nameless)).code, code::HOST_LIMIT);
    let bad_text = "(call $event (i32.const 0) (i32.const 2) (i32.const 0) (i32.const 0))";
    let failed = failure(&with_data(&["event"], &[0xff, 0xfe], bad_text));
    assert_eq!((failed.code.as_str(), failed.message.as_str()), (code::TRAP, "a text given to the host is not UTF-8"));
}

#[test]
fn a_refusal_of_the_host_keeps_its_code() {
    let body = "(call $event (i32.const 0) (i32.const 7) (i32.const 0) (i32.const 0))";
    let failed = failure(&with_data(&["event"], b"Refused", body));
    assert_eq!((failed.code.as_str(), failed.message.as_str()), ("ledger.events", "not now"));
}

#[test]
fn the_contracts_own_ends() {
    let body = "(call $fail (i32.const 0) (i32.const 5) (i32.const 5) (i32.const 4))";
    let failed = failure(&with_data(&["fail"], b"taken text", body));
    assert_eq!((failed.code.as_str(), failed.message.as_str()), ("contract.error.taken", " tex"));
    for name in ["", "Upper", "1st", "two words", "\u{e9}"] {
        let body = format!("(call $fail (i32.const 0) (i32.const {}) (i32.const 0) (i32.const 0))", name.len());
        assert_eq!(failure(&with_data(&["fail"], name.as_bytes(), &body)).code, code::TRAP, "{name}");
    }
    let body = "(call $abort (i32.const 0) (i32.const 65536))";
    let failed = failure(&with_data(&["abort"], &[b'x'; 600], body));
    assert_eq!((failed.code.as_str(), failed.message.len()), (code::PANIC, 512));
    let body = "(call $refuse (i32.const 0) (i32.const 3))";
    let failed = failure(&with_data(&["refuse"], &[b'a', 0xff, b'b'], body));
    assert_eq!((failed.code.as_str(), failed.message.as_str()), (code::BAD_ARGUMENTS, "a\u{fffd}b"));
    // Replaced characters are longer than what they replace: the text is cut again, at a character.
    let body = "(call $refuse (i32.const 0) (i32.const 512))";
    let message = failure(&with_data(&["refuse"], &[0xff; 512], body)).message;
    assert_eq!(message.len(), 510);
}

#[test]
fn output_is_bounded_and_the_last_one_counts() {
    let body = "(call $output (i32.const 0) (i32.const 65536)) (call $output (i32.const 0) (i32.const 2))";
    assert_eq!(run(&with_data(&["output"], b"okay", body)).0.result.unwrap(), b"ok");
    let large = "(drop (memory.grow (i32.const 1))) (call $output (i32.const 0) (i32.const 65537))";
    assert_eq!(failure(&contract(&["output"], large)).code, code::OUTPUT_TOO_LARGE);
    assert_eq!(run(&contract(&[], "")).0.result.unwrap(), b"");
}

#[test]
fn keys_and_values_are_bounded() {
    let key = |len: u32| {
        contract(&["put"], &format!("(call $put (i32.const 0) (i32.const {len}) (i32.const 0) (i32.const 1))"))
    };
    run(&key(256)).0.result.unwrap();
    assert_eq!(failure(&key(257)).code, code::HOST_LIMIT);
    assert_eq!(failure(&key(0)).code, code::HOST_LIMIT);
    let value = |len: u32| {
        contract(
            &["put"],
            &format!(
                "(drop (memory.grow (i32.const 1))) (call $put (i32.const 0) (i32.const 1) (i32.const 0) (i32.const {len}))"
            ),
        )
    };
    run(&value(65536)).0.result.unwrap();
    assert_eq!(failure(&value(65537)).code, code::HOST_LIMIT);
    for name in ["get", "delete"] {
        let rest = if name == "get" { "(i32.const 0) (i32.const 0)" } else { "" };
        let body = format!("(call ${name} (i32.const 0) (i32.const 257) {rest})");
        let body = if name == "get" { format!("(drop {body})") } else { body };
        assert_eq!(failure(&contract(&[name], &body)).code, code::HOST_LIMIT);
    }
}

#[test]
fn hash_and_verify_are_those_of_the_chain() {
    let body = "(call $hash (i32.const 0) (i32.const 3) (i32.const 3) (i32.const 4) (i32.const 100)) (call $output (i32.const 100) (i32.const 32))";
    let (outcome, _) = run(&with_data(&["hash", "output"], b"tagdata", body));
    assert_eq!(outcome.result.unwrap(), domain_hash("tag", &[b"data"]).0);
    for tag in [&b""[..], b"a\0b", &[b't'; 65]] {
        let body =
            format!("(call $hash (i32.const 0) (i32.const {}) (i32.const 0) (i32.const 1) (i32.const 100))", tag.len());
        assert_eq!(failure(&with_data(&["hash"], tag, &body)).code, code::HOST_LIMIT);
    }

    let secret = SecretKey::from_seed([3; 32]);
    let check = |message: &[u8], algorithm: u8| {
        let mut data = vec![algorithm];
        data.extend_from_slice(&secret.public().bytes);
        data.extend_from_slice(&secret.sign(b"message").0);
        data.extend_from_slice(message);
        let body = format!(
            "(i32.store8 (i32.const 200) (call $verify (i32.const 0) (i32.const 97) (i32.const {}) (i32.const 33))) (call $output (i32.const 200) (i32.const 1))",
            message.len()
        );
        run(&with_data(&["verify", "output"], &data, &body)).0.result.unwrap()
    };
    assert_eq!(check(b"message", 1), [1]);
    assert_eq!(check(b"messagE", 1), [0]);
    assert_eq!(check(b"message", 2), [0]);
}

#[test]
fn membership_names_member_and_role() {
    let members = [(AccountId([9; 32]), ("hub".to_owned(), "platform".to_owned()))].into();
    let host = MemoryHost { members, ..MemoryHost::default() };
    let body = "(local $n i64) (local.set $n (call $membership (i32.const 0) (i32.const 100) (i32.const 100))) (if (i64.lt_s (local.get $n) (i64.const 0)) (then (return))) (call $output (i32.const 100) (i32.wrap_i64 (local.get $n)))";
    let ask = |account: [u8; 32]| {
        run_on(&with_data(&["membership", "output"], &account, body), "look", host.clone()).0.result.unwrap()
    };
    assert_eq!(ask([9; 32]), encode(&("hub".to_owned(), "platform".to_owned())));
    assert_eq!(ask([8; 32]), b"");
}

#[test]
fn member_tells_role_and_standing() {
    let standings = [("hub", ("platform", true)), ("bank", ("institution", false))];
    let standings = standings.map(|(name, (role, active))| (name.to_owned(), (role.to_owned(), active))).into();
    let host = MemoryHost { standings, ..MemoryHost::default() };
    let ask = |name: &str| {
        let body = format!(
            "(local $n i64) (local.set $n (call $member (i32.const 0) (i32.const {}) (i32.const 100) (i32.const 100))) (if (i64.lt_s (local.get $n) (i64.const 0)) (then (return))) (call $output (i32.const 100) (i32.wrap_i64 (local.get $n)))",
            name.len()
        );
        run_on(&with_data(&["member", "output"], name.as_bytes(), &body), "look", host.clone()).0
    };
    assert_eq!(ask("hub").result.unwrap(), encode(&("platform".to_owned(), true)));
    assert_eq!(ask("bank").result.unwrap(), encode(&("institution".to_owned(), false)));
    assert_eq!(ask("nobody").result.unwrap(), b"");
    assert_eq!(ask("").result.unwrap(), b"");
    assert_eq!(ask("hub").fuel_used, ask("hub").fuel_used);
    assert!(ask("nobody").fuel_used >= 4_000, "a miss is paid for as well");
}

#[test]
fn account_roles_are_a_list_of_texts() {
    let roles = [(AccountId([9; 32]), vec!["reader".to_owned(), "submitter".to_owned()])].into();
    let host = MemoryHost { roles, ..MemoryHost::default() };
    let body = "(call $output (i32.const 100) (i32.wrap_i64 (call $account_roles (i32.const 0) (i32.const 100) (i32.const 100))))";
    let ask = |account: [u8; 32]| {
        run_on(&with_data(&["account_roles", "output"], &account, body), "look", host.clone()).0.result.unwrap()
    };
    assert_eq!(ask([9; 32]), encode(&vec!["reader".to_owned(), "submitter".to_owned()]));
    assert_eq!(ask([8; 32]), encode(&Vec::<String>::new()));
}

#[test]
fn a_call_passes_bounds_down_and_pays_for_what_was_used() {
    let body = "(call $output (i32.const 100) (i32.wrap_i64 (call $call (i32.const 0) (i32.const 5) (i32.const 5) (i32.const 4) (i32.const 9) (i32.const 3) (i64.const 1000000000000) (i32.const 100) (i32.const 1000))))";
    let code = with_data(&["call", "output"], b"otherdeedabc", body);
    let ask =
        |method: &str, callee| run_on(&code, method, MemoryHost { callee: Some(callee), ..MemoryHost::default() });

    let (cheap, host) = ask("run", (Ok(vec![1, 2]), 0));
    assert_eq!(cheap.result.unwrap(), encode(&Result::<Vec<u8>, (String, String)>::Ok(vec![1, 2])));
    let request = &host.requests[0];
    assert_eq!(
        (request.contract.as_str(), request.method.as_str(), &request.arguments[..]),
        ("other", "deed", &b"abc"[..])
    );
    assert!(request.fuel < FUEL && request.fuel > FUEL / 2, "no more than is left");
    assert_eq!((request.read_only, request.depth), (false, 1));

    let (dear, _) = ask("run", (Ok(vec![1, 2]), 70_000));
    assert_eq!(dear.fuel_used, cheap.fuel_used + 70_000);
    let (_, host) = ask("look", (Ok(vec![]), 0));
    assert!(host.requests[0].read_only, "what a query calls is a query");

    let failed: Result<Vec<u8>, _> = Err(("contract.error.x".to_owned(), "no".to_owned()));
    let (outcome, _) = ask("run", (failed.clone(), 10));
    assert_eq!(outcome.result.unwrap(), encode(&failed));

    let deep = vouch_vm::CallContext { depth: 8, ..context() };
    let vm = vm();
    let (outcome, host) = vm.call(&vm.compile(&code).unwrap(), deep, "run", &[], FUEL, MemoryHost::default()).unwrap();
    assert_eq!(outcome.result.unwrap_err().code, code::CALL_DEPTH);
    assert!(host.requests.is_empty());
    let bad_name = with_data(&["call", "output"], b"Otherdeedabc", body);
    let host = MemoryHost { callee: Some((Ok(vec![]), 0)), ..MemoryHost::default() };
    assert_eq!(run_on(&bad_name, "run", host).0.result.unwrap_err().code, code::HOST_LIMIT);
}

#[test]
fn places_outside_of_memory_fail_in_every_function() {
    const OUT: &str = "(i32.const 65530)";
    const HUGE: &str = "(i32.const -1)";
    let host = MemoryHost {
        state: [(vec![0; 8], vec![1; 16])].into(),
        members: [(AccountId([0; 32]), ("m".to_owned(), "r".to_owned()))].into(),
        standings: [("a".to_owned(), ("r".to_owned(), true))].into(),
        callee: Some((Ok(vec![0; 16]), 0)),
        ..MemoryHost::default()
    };
    let ok = "(i32.const 0) (i32.const 8)";
    let out = format!("{OUT} (i32.const 8)");
    let huge = format!("{HUGE} (i32.const 8)");
    // Each argument in turn; `b` is a byte that makes a legal tag or contract name.
    let b = "(i32.const 3000) (i32.const 1)";
    let mut cases: Vec<(&str, String)> = Vec::new();
    for bad in [&out, &huge] {
        let at = bad.split(" (").next().unwrap();
        cases.extend([
            ("input", at.to_owned()),
            ("output", bad.clone()),
            ("refuse", bad.clone()),
            ("abort", bad.clone()),
            ("fail", format!("{bad} {ok}")),
            ("fail", format!("{b} {bad}")),
            ("get", format!("{bad} {ok}")),
            ("get", format!("{ok} {at} (i32.const 100)")),
            ("put", format!("{bad} {ok}")),
            ("put", format!("{ok} {bad}")),
            ("delete", bad.clone()),
            ("scan", format!("{bad} {ok} (i32.const 1) {ok}")),
            ("scan", format!("{ok} {bad} (i32.const 1) {ok}")),
            ("scan", format!("{ok} (i32.const 0) (i32.const 0) (i32.const 1) {at} (i32.const 100)")),
            ("event", format!("{bad} {ok}")),
            ("event", format!("{b} {bad}")),
            ("call", format!("{bad} {b} {ok} (i64.const 9) {ok}")),
            ("call", format!("{b} {bad} {ok} (i64.const 9) {ok}")),
            ("call", format!("{b} {b} {bad} (i64.const 9) {ok}")),
            ("call", format!("{b} {b} {ok} (i64.const 9) {at} (i32.const 100)")),
            ("membership", format!("{at} {ok}")),
            ("membership", format!("(i32.const 0) {at} (i32.const 100)")),
            ("member", format!("{bad} {ok}")),
            ("member", format!("{b} {at} (i32.const 100)")),
            ("account_roles", format!("{at} {ok}")),
            ("account_roles", format!("(i32.const 0) {at} (i32.const 100)")),
            ("hash", format!("{bad} {ok} (i32.const 0)")),
            ("hash", format!("{b} {bad} (i32.const 0)")),
            ("hash", format!("{b} {ok} {at}")),
            ("verify", format!("{at} {ok} (i32.const 0)")),
            ("verify", format!("(i32.const 0) {bad} (i32.const 0)")),
            ("verify", format!("(i32.const 0) {ok} {at}")),
        ]);
    }
    for (name, arguments) in cases {
        let call = format!("(call ${name} {arguments})");
        let call = if ["get", "scan", "call", "membership", "member", "account_roles", "verify"].contains(&name) {
            format!("(drop {call})")
        } else {
            call
        };
        let body = format!("(i32.store8 (i32.const 3000) (i32.const 97)) {call}");
        let (outcome, _) = run_on(&contract(&[name], &body), "run", host.clone());
        let failed = outcome.result.expect_err(&call);
        assert_eq!(failed.code, code::TRAP, "{call}");
        assert_eq!(failed.message, "a host function was given a place outside of memory", "{call}");
    }
}
