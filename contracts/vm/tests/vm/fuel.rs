//! Metering: exact, repeatable, never exceeded.

use vouch_vm::{code, price};

use crate::common::{FUEL, MemoryHost, call, contract, failure, module, run, run_on, vm};

/// Fuel of a call of `body`, which must succeed.
fn fuel(imports: &[&str], body: &str) -> u64 {
    let (outcome, _) = run(&contract(imports, body));
    outcome.result.unwrap();
    outcome.fuel_used
}

#[test]
fn every_instruction_and_host_call_is_charged_as_written() {
    let empty = fuel(&[], "");
    assert!(empty > price::CALL_BASE && empty < price::CALL_BASE + 50, "{empty}");
    // Three instructions more.
    assert_eq!(fuel(&[], "(drop (i32.add (i32.const 1) (local.get $len)))"), empty + 3);
    // Arguments and the call are one instruction each, then the price.
    let put = "(call $put (i32.const 0) (i32.const 8) (i32.const 0) (i32.const 100))";
    assert_eq!(fuel(&["put"], put), empty + 5 + price::PUT + 108 * price::PUT_BYTE);
    let get = "(drop (call $get (i32.const 0) (i32.const 8) (i32.const 0) (i32.const 100)))";
    assert_eq!(fuel(&["get"], get), empty + 5 + price::GET + 8 * price::GET_BYTE);
    let hash = "(i32.store8 (i32.const 0) (i32.const 65)) (call $hash (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1000) (i32.const 0))";
    assert_eq!(fuel(&["hash"], hash), empty + 3 + 6 + price::HASH + 1000 * price::BYTE);
    let fill = "(memory.fill (i32.const 0) (i32.const 0) (i32.const 5000))";
    assert_eq!(fuel(&[], fill), empty + 4 + 5000);
    let copy = "(memory.copy (i32.const 0) (i32.const 10) (i32.const 5000))";
    assert_eq!(fuel(&[], copy), empty + 4 + 5000);
}

#[test]
fn arguments_are_paid_for() {
    let vm = vm();
    let module = vm.compile(&contract(&[], "")).unwrap();
    let used =
        |arguments: &[u8]| call(&vm, &module, "run", arguments, FUEL, MemoryHost::default()).unwrap().0.fuel_used;
    assert_eq!(used(&[0; 1000]), used(&[]) + 1000 * price::BYTE);
}

#[test]
fn deleted_keys_that_a_scan_passes_over_are_paid_for() {
    let scan = "(drop (call $scan (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 0)))";
    let code = contract(&["scan"], scan);
    let end = |passed| run_on(&code, "run", MemoryHost { passed, ..MemoryHost::default() }).0;
    assert_eq!(end(7).fuel_used, end(0).fuel_used + 7 * price::SCAN_PASSED);
    assert_eq!(end(FUEL / price::SCAN_PASSED).result.unwrap_err().code, code::OUT_OF_FUEL);
}

#[test]
fn names_of_a_call_that_are_too_long_are_not_read() {
    let call = |contract: u32, method: u32| {
        let body = format!(
            "(drop (call $call (i32.const 0) (i32.const {contract}) (i32.const 0) (i32.const {method}) (i32.const 0) (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0)))"
        );
        run(&contract_of(&body)).0
    };
    for (contract, method) in [(60_000, 4), (4, 60_000), (4, 0)] {
        let outcome = call(contract, method);
        assert_eq!(outcome.result.unwrap_err().code, code::HOST_LIMIT);
        assert!(outcome.fuel_used < price::CALL_BASE + price::CALL, "{contract} {method}");
    }
}

fn contract_of(body: &str) -> Vec<u8> {
    contract(&["call"], body)
}

#[test]
fn an_endless_loop_ends_with_all_fuel_used() {
    let (outcome, _) = run(&contract(&[], "(loop (br 0))"));
    assert_eq!(outcome.result.unwrap_err().code, code::OUT_OF_FUEL);
    assert_eq!(outcome.fuel_used, FUEL);
    assert_eq!(
        failure(&contract(
            &["get"],
            "(loop (drop (call $get (i32.const 0) (i32.const 8) (i32.const 0) (i32.const 0))) (br 0))"
        ))
        .code,
        code::OUT_OF_FUEL
    );
    // Work inside one instruction is metered too.
    assert_eq!(
        failure(&contract(&[], "(loop (memory.fill (i32.const 0) (i32.const 0) (i32.const 65536)) (br 0))")).code,
        code::OUT_OF_FUEL
    );
}

#[test]
fn exactly_enough_is_enough_and_one_less_is_not() {
    let vm = vm();
    let put = "(call $put (i32.const 0) (i32.const 8) (i32.const 0) (i32.const 100))";
    for (imports, body) in [
        (&[][..], ""),
        (&["put"][..], put),
        (
            &[][..],
            "(loop (if (i32.eqz (local.get $len)) (then) (else (local.set $len (i32.sub (local.get $len) (i32.const 1))) (br 1))))",
        ),
    ] {
        let module = vm.compile(&contract(imports, body)).unwrap();
        let at = |fuel| call(&vm, &module, "run", &[], fuel, MemoryHost::default()).unwrap().0;
        let needed = at(FUEL).fuel_used;
        // A call that succeeds leaves one unit.
        let enough = at(needed + 1);
        assert_eq!((enough.result, enough.fuel_used), (Ok(vec![]), needed));
        for fuel in [0, 1, price::CALL_BASE - 1, price::CALL_BASE, needed - 1, needed] {
            let short = at(fuel);
            assert_eq!(short.result.unwrap_err().code, code::OUT_OF_FUEL, "{fuel} of {needed}");
            assert_eq!(short.fuel_used, fuel);
        }
    }
}

#[test]
fn endless_recursion_ends_the_same_everywhere() {
    let direct = module(
        &[],
        "(func $f (param i32) (call $f (local.get 0))) (func (export \"vouch_call\") (param i32) (call $f (local.get 0)))",
    );
    let entry = module(&[], "(func $f (export \"vouch_call\") (param i32) (call $f (local.get 0)))");
    let indirect = module(
        &[],
        "(type $t (func (param i32))) (table 1 funcref) (elem (i32.const 0) $f) (func $f (export \"vouch_call\") (param i32) (call_indirect (type $t) (local.get 0) (i32.const 0)))",
    );
    let mutual = module(
        &[],
        "(func $f (export \"vouch_call\") (param i32) (call $g (i64.const 1))) (func $g (param i64) (call $f (i32.const 0)))",
    );
    for code in [direct, entry, indirect, mutual] {
        let (outcome, _) = run(&code);
        assert_eq!(outcome.result.unwrap_err().code, code::STACK_LIMIT);
        assert!(outcome.fuel_used < 200_000, "{}", outcome.fuel_used);
    }
}

/// Values that are the same before and after the recursive call are kept in the frame by the compiler, so native frames
/// are as large as they can be made; the counter must still run out first.
#[test]
fn recursion_with_the_largest_frames_stays_below_the_native_limit() {
    for values in [10, 100, 1000, 3000] {
        let mut body = String::new();
        for pass in 0..2 {
            for i in 0..values {
                let value = format!(
                    "(i64.mul (i64.add (local.get $x) (i64.const {})) (i64.xor (local.get $x) (i64.const {})))",
                    i * 7 + 1,
                    i * 13 + 5
                );
                body.push_str(&format!("(global.set $g (i64.add (global.get $g) {value}))"));
            }
            if pass == 0 {
                body.push_str("(call $f (local.get $x))");
            }
        }
        let definitions = format!(
            "(global $g (mut i64) (i64.const 0)) (func $f (param $x i64) {body}) (func (export \"vouch_call\") (param i32) (call $f (i64.extend_i32_u (local.get 0))))"
        );
        assert_eq!(failure(&module(&[], &definitions)).code, code::STACK_LIMIT, "{values} values");
    }
    // Many parameters and locals, all alive across the call.
    let locals: String =
        (0..1000).map(|i| format!("(local.set {} (i64.add (local.get 0) (i64.const {i})))", i + 1)).collect();
    let uses: String =
        (0..1000).map(|i| format!("(global.set $g (i64.add (global.get $g) (local.get {})))", i + 1)).collect();
    let definitions = format!(
        "(global $g (mut i64) (i64.const 0)) (func $f (param i64) (local {}) {locals} (call $f (local.get 1)) {uses}) (func (export \"vouch_call\") (param i32) (call $f (i64.const 3)))",
        "i64 ".repeat(1000)
    );
    assert_eq!(failure(&module(&[], &definitions)).code, code::STACK_LIMIT);
}

#[test]
fn the_counter_is_given_back_on_every_way_out() {
    // A thousand calls one after the other, each leaving by another way, need the stack of one.
    let ways = [
        "",
        "(return)",
        "(block (block (return)))",
        "(br 0)",
        "(block (br 1))",
        "(br_if 0 (i32.const 1)) (unreachable)",
        "(block (br_table 0 1 (i32.const 1)) )",
        "(if (i32.const 1) (then (return)) (else (unreachable)))",
        "(loop (br 1))",
    ];
    for way in ways {
        let padding = "(drop (i32.const 0))".repeat(50);
        let definitions = format!(
            "(func $f {padding} {way}) (func (export \"vouch_call\") (param i32) (local $i i32) (loop (call $f) (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if 0 (i32.lt_u (local.get $i) (i32.const 1000)))))"
        );
        run(&module(&[], &definitions)).0.result.unwrap_or_else(|e| panic!("{way}: {e:?}"));
    }
    // Results survive the way out, early ones too.
    for (ty, way, expected) in [
        ("i32", "(i32.const 7)", 7u8),
        ("i32", "(return (i32.const 8))", 8),
        ("i32", "(br 0 (i32.const 9))", 9),
        ("i32", "(if (i32.const 0) (then (return (i32.const 1)))) (i32.const 10)", 10),
        ("i64", "(return (i64.const 11))", 11),
    ] {
        let store = if ty == "i64" { "i64.store8" } else { "i32.store8" };
        let definitions = format!(
            "(func $f (result {ty}) {way}) (func (export \"vouch_call\") (param i32) ({store} (i32.const 0) (call $f)) (call $output (i32.const 0) (i32.const 1)))"
        );
        assert_eq!(run(&module(&["output"], &definitions)).0.result.unwrap(), vec![expected], "{way}");
    }
}
