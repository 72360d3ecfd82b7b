//! Traps, memory, isolation of calls, and failures of the host.

use vouch_types::ContractName;
use vouch_vm::{FatalError, code};

use crate::common::{FUEL, MemoryHost, call, context, contract, failure, module, run, run_on, vm};

#[test]
fn traps_have_fixed_texts() {
    let cases = [
        ("(unreachable)", "unreachable code was reached"),
        ("(drop (i32.div_u (i32.const 1) (i32.const 0)))", "division by zero"),
        ("(drop (i64.rem_s (i64.const 1) (i64.const 0)))", "division by zero"),
        ("(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))", "integer overflow"),
        ("(drop (i32.load (i32.const 65533)))", "memory access out of bounds"),
        ("(drop (i32.load offset=4294967295 (i32.const -1)))", "memory access out of bounds"),
        ("(i64.store (i32.const -8) (i64.const 0))", "memory access out of bounds"),
        ("(memory.fill (i32.const 65535) (i32.const 0) (i32.const 2))", "memory access out of bounds"),
        ("(memory.copy (i32.const 0) (i32.const 65535) (i32.const 2))", "memory access out of bounds"),
    ];
    for (body, text) in cases {
        let failure = failure(&contract(&[], body));
        assert_eq!((failure.code.as_str(), failure.message.as_str()), (code::TRAP, text), "{body}");
    }
    let table = |index: i32| {
        let definitions = format!(
            "(type $t (func)) (table 3 funcref) (elem (i32.const 0) $other) (func $other (param i32)) (func (export \"vouch_call\") (param i32) (call_indirect (type $t) (i32.const {index})))"
        );
        failure(&module(&[], &definitions)).message
    };
    assert_eq!(table(0), "indirect call of a function with another type");
    assert_eq!(table(1), "indirect call of no function");
    assert_eq!(table(9), "indirect call of no function");
}

#[test]
fn segments_outside_of_memory_fail_the_call_not_the_node() {
    let data = module(&[], "(data (i32.const 65535) \"xy\") (func (export \"vouch_call\") (param i32))");
    assert_eq!(failure(&data).code, code::TRAP);
    let elements =
        module(&[], "(table 1 funcref) (elem (i32.const 1) $f) (func $f (export \"vouch_call\") (param i32))");
    assert_eq!(failure(&elements).code, code::TRAP);
}

#[test]
fn memory_grows_to_the_cap_and_not_beyond() {
    let to_cap = "(if (i32.ne (memory.grow (i32.const 63)) (i32.const 1)) (then (unreachable))) (i32.store (i32.const 4194300) (i32.const 1))";
    run(&contract(&[], to_cap)).0.result.unwrap();
    assert_eq!(failure(&contract(&[], "(drop (memory.grow (i32.const 64)))")).code, code::MEMORY_LIMIT);
    assert_eq!(failure(&contract(&[], "(drop (memory.grow (i32.const -1)))")).code, code::MEMORY_LIMIT);
    assert_eq!(failure(&contract(&[], "(loop (drop (memory.grow (i32.const 1))) (br 0))")).code, code::MEMORY_LIMIT);
}

#[test]
fn a_declared_maximum_is_a_cap_too() {
    let text = format!(
        "(module (memory (export \"memory\") 1 2) (func (export \"vouch_call\") (param i32) (drop (memory.grow (i32.const 2)))) (@custom \"vouch-abi\" \"{}\"))",
        crate::common::ABI
    );
    assert_eq!(failure(&wat::parse_str(text).unwrap()).code, code::MEMORY_LIMIT);
}

#[test]
fn nothing_of_one_call_is_seen_by_the_next() {
    let body = "(if (global.get $g) (then (unreachable)))
        (if (i32.load (i32.const 100)) (then (unreachable)))
        (if (i32.ne (memory.size) (i32.const 1)) (then (unreachable)))
        (if (i32.ne (i32.load8_u (i32.const 0)) (i32.const 97)) (then (unreachable)))
        (global.set $g (i32.const 1))
        (i32.store (i32.const 100) (i32.const 1))
        (i32.store8 (i32.const 0) (i32.const 0))
        (drop (memory.grow (i32.const 40)))
        (if (i32.load (i32.const 1000000)) (then (unreachable)))
        (memory.fill (i32.const 65536) (i32.const 255) (i32.const 1000000))";
    let definitions = format!(
        "(global $g (mut i32) (i32.const 0)) (data (i32.const 0) \"a\") (func (export \"vouch_call\") (param i32) {body})"
    );
    let vm = vm();
    let dirty = vm.compile(&module(&[], &definitions)).unwrap();
    let clean = "(loop (local.set $len (i32.add (local.get $len) (i32.const 4096))) (if (i32.load (local.get $len)) (then (unreachable))) (br_if 0 (i32.lt_u (local.get $len) (i32.const 4000000))))";
    let clean = vm
        .compile(&contract(&[], &format!("(drop (memory.grow (i32.const 63))) (local.set $len (i32.const 0)) {clean}")))
        .unwrap();
    for _ in 0..200 {
        call(&vm, &dirty, "run", &[], FUEL, MemoryHost::default()).unwrap().0.result.unwrap();
        call(&vm, &clean, "run", &[], FUEL, MemoryHost::default()).unwrap().0.result.unwrap();
    }
}

#[test]
fn unknown_methods_large_arguments_and_deep_calls_are_refused() {
    let vm = vm();
    let module = vm.compile(&contract(&[], "")).unwrap();
    let host = MemoryHost::default;
    let code = |method: &str, arguments: &[u8]| {
        call(&vm, &module, method, arguments, FUEL, host()).unwrap().0.result.unwrap_err().code
    };
    assert_eq!(code("other", &[]), code::UNKNOWN_METHOD);
    assert_eq!(code("", &[]), code::UNKNOWN_METHOD);
    assert_eq!(code("run", &vec![0; (1 << 20) + 1]), code::BAD_ARGUMENTS);
    let at_depth = |depth| {
        let calling_contract = Some(ContractName::new("above").unwrap());
        let context = vouch_vm::CallContext { depth, calling_contract, ..context() };
        vm.call(&module, context, "run", &[], FUEL, host()).unwrap().0.result
    };
    at_depth(8).unwrap();
    assert_eq!(at_depth(9).unwrap_err().code, code::CALL_DEPTH);
}

#[test]
fn queries_write_nothing() {
    let cases = [
        (&["put"][..], "(call $put (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1))"),
        (&["delete"][..], "(call $delete (i32.const 0) (i32.const 1))"),
        (&["event"][..], "(call $event (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1))"),
    ];
    for (imports, body) in cases {
        let code = contract(imports, body);
        let (outcome, host) = run_on(&code, "look", MemoryHost::default());
        assert_eq!(outcome.result.unwrap_err().code, code::READ_ONLY);
        assert_eq!(host, MemoryHost::default());
        run_on(&code, "run", MemoryHost::default()).0.result.unwrap();

        let vm = vm();
        let module = vm.compile(&code).unwrap();
        let context = vouch_vm::CallContext { read_only: true, ..context() };
        let (outcome, _) = vm.call(&module, context, "run", &[], FUEL, MemoryHost::default()).unwrap();
        assert_eq!(outcome.result.unwrap_err().code, code::READ_ONLY);
    }
    let read = contract(
        &["get", "scan"],
        "(drop (call $get (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 0))) (drop (call $scan (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 5) (i32.const 0) (i32.const 99)))",
    );
    run_on(&read, "look", MemoryHost::default()).0.result.unwrap();
}

#[test]
fn a_failing_host_stops_the_node() {
    let vm = vm();
    let key = "(data (i32.const 0) \"fatal\")";
    for (imports, body) in [
        ("get", "(drop (call $get (i32.const 0) (i32.const 5) (i32.const 0) (i32.const 0)))"),
        ("put", "(call $put (i32.const 0) (i32.const 5) (i32.const 0) (i32.const 1))"),
        ("delete", "(call $delete (i32.const 0) (i32.const 5))"),
        (
            "scan",
            "(drop (call $scan (i32.const 0) (i32.const 5) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 0)))",
        ),
    ] {
        let code = module(&[imports], &format!("{key} (func (export \"vouch_call\") (param i32) {body})"));
        let module = vm.compile(&code).unwrap();
        let error = call(&vm, &module, "run", &[], FUEL, MemoryHost::default()).unwrap_err();
        assert_eq!(error, FatalError::Host("disk".to_owned()), "{imports}");
    }
}

#[test]
fn calls_on_many_threads_wait_for_room_and_agree() {
    let vm = vm();
    let code = contract(
        &["output"],
        "(loop (local.set $len (i32.sub (local.get $len) (i32.const 1))) (br_if 0 (local.get $len))) (call $output (i32.const 0) (i32.const 4))",
    );
    let module = vm.compile(&code).unwrap();
    let expected = call(&vm, &module, "run", &[1; 500], FUEL, MemoryHost::default()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let ended = call(&vm, &module, "run", &[1; 500], FUEL, MemoryHost::default()).unwrap();
                    assert_eq!(ended, expected);
                }
            });
        }
    });
}
