//! Which modules are accepted.

use vouch_vm::{DeployError, ModuleCache, VmLimits, code_hash};

use crate::common::{ABI, MemoryHost, contract, module, refusal, vm};

fn text(wat: &str) -> Vec<u8> {
    wat::parse_str(wat).unwrap_or_else(|e| panic!("{e}\n{wat}"))
}

const ENTRY: &str = "(func (export \"vouch_call\") (param i32))";

#[test]
fn accepts_a_small_contract_and_returns_its_abi() {
    let code = contract(&[], "");
    let info = vm().validate(&code).unwrap();
    assert_eq!(info.abi_json, ABI.replace('\\', ""));
    assert_eq!(info.code_bytes, code.len());
    assert!(vm().compile(&code).unwrap().method_kind("run").is_some());
    assert!(vm().compile(&code).unwrap().method_kind("other").is_none());
}

#[test]
fn features_outside_the_allow_list_are_refused() {
    let cases: &[(&str, &str)] = &[
        ("float constant", "(func (drop (f64.const 1)))"),
        ("float parameter", "(func (param f32))"),
        ("float load", "(func (drop (f32.load (i32.const 0))))"),
        ("float conversion", "(func (param i32) (drop (i64.reinterpret_f64 (f64.convert_i32_s (local.get 0)))))"),
        ("float global", "(global f64 (f64.const 0))"),
        ("simd", "(func (drop (v128.const i32x4 0 0 0 0)))"),
        ("atomics", "(func (drop (i32.atomic.load (i32.const 0))))"),
        ("tail call", "(func $f (return_call $f))"),
        ("two results", "(func (result i32 i32) (i32.const 0) (i32.const 0))"),
        ("block with parameters", "(func (i32.const 0) (block (param i32) (drop)))"),
        ("reference types", "(func (param externref))"),
        ("table instructions", "(table 1 funcref) (func (drop (table.size 0)))"),
        ("passive data", "(data $d \"x\") (func (data.drop $d))"),
        ("exceptions", "(tag $t) (func (throw $t))"),
        ("gc", "(type (struct))"),
        ("extended constants", "(global i32 (i32.add (i32.const 1) (i32.const 1)))"),
    ];
    for (what, definitions) in cases {
        let error = refusal(&module(&[], &format!("{definitions} {ENTRY}")));
        assert_eq!(error.code(), "deploy.invalid_module", "{what}: {error}");
    }
    let memory64 = format!("(module (memory (export \"memory\") i64 1) {ENTRY})");
    assert_eq!(refusal(&text(&memory64)).code(), "deploy.invalid_module");
    let shared = format!("(module (memory (export \"memory\") 1 1 shared) {ENTRY})");
    assert_eq!(refusal(&text(&shared)).code(), "deploy.invalid_module");
}

#[test]
fn garbage_and_truncation_are_refused() {
    let code = contract(&["get"], "");
    for bytes in [&b""[..], b"\0asm", b"\0asm\x0d\0\x01\0", b"not wasm at all", &[0xff; 64]] {
        assert!(matches!(refusal(bytes), DeployError::Invalid(_) | DeployError::MissingExport(_)));
    }
    let abi = vm().validate(&code).unwrap().abi_json;
    let vm = vm();
    for cut in 1..code.len() {
        // What is left is refused, or it ends where the last section, which has only names, begins.
        match vm.validate(&code[..cut]) {
            Ok(info) => assert_eq!(info.abi_json, abi),
            Err(DeployError::Invalid(_) | DeployError::MissingExport(_) | DeployError::Abi(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn parts_are_counted() {
    let limit = |code: &[u8]| match refusal(code) {
        DeployError::Limit { what, .. } => what,
        other => panic!("{other}"),
    };
    let many = |part: &str, count: usize| module(&[], &format!("{} {ENTRY}", part.repeat(count)));
    assert_eq!(limit(&many("(func)", 4096)), "functions");
    assert_eq!(limit(&many("(global i32 (i32.const 0))", 65)), "globals");
    assert_eq!(limit(&many("(table 1 funcref)", 2)), "tables");
    assert_eq!(limit(&many("(table 4097 funcref)", 1)), "table elements");
    assert_eq!(limit(&many("(memory 1)", 1)), "memories");
    assert_eq!(limit(&many("(data (i32.const 0) \"x\")", 1025)), "data segments");
    assert_eq!(
        limit(&module(&[], &format!("(table 1 funcref) {} {ENTRY}", "(elem (i32.const 0))".repeat(65)))),
        "element segments"
    );
    assert_eq!(limit(&module(&[], &format!("(func {}) {ENTRY}", "(local i32)".repeat(1025)))), "locals in a function");
    assert_eq!(
        limit(&module(&[], &format!("(func {}) {ENTRY}", "(param i32)".repeat(33)))),
        "parameters in a function"
    );
    assert_eq!(
        limit(&module(&[], &format!("(func {}) {ENTRY}", "(drop (i32.const 1))".repeat(50_000)))),
        "bytes in a function"
    );
    let exports: String = (0..64).map(|i| format!("(export \"e{i}\" (memory 0))")).collect();
    assert_eq!(limit(&module(&[], &format!("{exports} {ENTRY}"))), "exports");
    let types: String = (0..600).map(|i| format!("(type (func {}))", "(param i32)".repeat(i % 30))).collect();
    assert_eq!(limit(&module(&[], &format!("{types} {ENTRY}"))), "types");
    assert_eq!(limit(&text(&format!("(module (memory (export \"memory\") 65) {ENTRY})"))), "memory pages");

    // One less of each is accepted.
    vm().validate(&many("(func)", 4095)).unwrap();
    vm().validate(&many("(global i32 (i32.const 0))", 64)).unwrap();
    vm().validate(&many("(table 4096 funcref)", 1)).unwrap();
    vm().validate(&many("(data (i32.const 0) \"x\")", 1024)).unwrap();
}

#[test]
fn a_huge_module_is_refused_before_it_is_read() {
    let max = VmLimits::default().module_bytes_max;
    assert_eq!(refusal(&vec![0; max + 1]), DeployError::TooLarge { actual: max + 1, max });
    // A count announced as four billion costs nothing.
    let mut lying = b"\0asm\x01\0\0\0".to_vec();
    lying.extend_from_slice(&[3, 5, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    assert!(matches!(refusal(&lying), DeployError::Limit { what: "functions", .. } | DeployError::Invalid(_)));
}

#[test]
fn only_known_imports_with_their_types() {
    let with = |import: &str| text(&format!("(module {import} (memory (export \"memory\") 1) {ENTRY})"));
    for import in [
        "(import \"vouch\" \"clock\" (func))",
        "(import \"env\" \"get\" (func (param i32 i32 i32 i32) (result i64)))",
        "(import \"wasi_snapshot_preview1\" \"random_get\" (func (param i32 i32) (result i32)))",
        "(import \"vouch\" \"get\" (global i32))",
        "(import \"vouch\" \"input\" (table 1 funcref))",
    ] {
        assert_eq!(refusal(&with(import)).code(), "deploy.unknown_import", "{import}");
    }
    let error = refusal(&with("(import \"vouch\" \"get\" (func (param i32) (result i64)))"));
    assert_eq!(error, DeployError::ImportSignature { name: "get".to_owned() });
    let imported_memory = text(&format!("(module (import \"vouch\" \"memory\" (memory 1)) {ENTRY})"));
    assert_eq!(refusal(&imported_memory).code(), "deploy.unknown_import");
}

#[test]
fn exports_are_required_and_some_reserved() {
    let abi = format!("(@custom \"vouch-abi\" \"{ABI}\")");
    let check = |wat: String, expected: &str| assert_eq!(refusal(&text(&wat)).code(), expected, "{wat}");
    check(format!("(module (memory (export \"memory\") 1) {abi})"), "deploy.missing_export");
    check(format!("(module {ENTRY} {abi})"), "deploy.missing_export");
    check(format!("(module (memory 1) (func (export \"memory\")) {ENTRY} {abi})"), "deploy.missing_export");
    check(
        format!("(module (memory (export \"memory\") 1) (func (export \"vouch_call\")) {abi})"),
        "deploy.missing_export",
    );
    check(
        format!(
            "(module (memory (export \"memory\") 1) (func (export \"vouch_call\") (param i32) (result i32) (i32.const 0)) {abi})"
        ),
        "deploy.missing_export",
    );
    check(
        format!(
            "(module (import \"vouch\" \"input\" (func $i (param i32))) (memory (export \"memory\") 1) (export \"vouch_call\" (func $i)) {abi})"
        ),
        "deploy.missing_export",
    );
    check(
        format!(
            "(module (memory (export \"memory\") 1) (global (export \"vouch:stack\") i32 (i32.const 0)) {ENTRY} {abi})"
        ),
        "deploy.reserved_export",
    );
}

#[test]
fn a_start_function_is_refused() {
    assert_eq!(refusal(&module(&[], &format!("(func $s) (start $s) {ENTRY}"))), DeployError::StartFunction);
}

#[test]
fn the_abi_section_is_checked() {
    let with = |sections: &str| text(&format!("(module (memory (export \"memory\") 1) {ENTRY} {sections})"));
    let method = |methods: &str| {
        let json =
            format!("{{\"abi\":1,\"name\":\"t\",\"version\":\"1\",\"methods\":[{methods}]}}").replace('"', "\\\"");
        with(&format!("(@custom \"vouch-abi\" \"{json}\")"))
    };
    vm().validate(&method("")).unwrap();
    let long = "m".repeat(65);
    let bad = [
        with(""),
        with("(@custom \"vouch-abi\" \"\\ff\\fe\")"),
        with("(@custom \"vouch-abi\" \"[]\")"),
        with(
            "(@custom \"vouch-abi\" \"{\\\"abi\\\":2,\\\"name\\\":\\\"t\\\",\\\"version\\\":\\\"1\\\",\\\"methods\\\":[]}\")",
        ),
        with(&format!("(@custom \"vouch-abi\" \"{ABI}\") (@custom \"vouch-abi\" \"{ABI}\")")),
        method("{\"name\":\"a\",\"kind\":\"other\"}"),
        method("{\"name\":\"\",\"kind\":\"call\"}"),
        method(&format!("{{\"name\":\"{long}\",\"kind\":\"call\"}}")),
        method("{\"name\":\"a\",\"kind\":\"call\"},{\"name\":\"a\",\"kind\":\"query\"}"),
        with(&format!("(@custom \"vouch-abi\" \"{}\")", "[".repeat(60_000))),
    ];
    for code in &bad {
        assert_eq!(refusal(code).code(), "deploy.abi");
    }
    let large = with(&format!("(@custom \"vouch-abi\" \"{}\")", " ".repeat((256 << 10) + 1)));
    assert_eq!(refusal(&large).code(), "deploy.limit");
}

#[test]
fn the_cache_keeps_what_was_used_last() {
    let vm = vm();
    let cache = ModuleCache::<MemoryHost>::new(2);
    let codes: Vec<Vec<u8>> = (0..3).map(|i| contract(&[], &format!("(drop (i32.const {i}))"))).collect();
    let hashes: Vec<_> = codes.iter().map(|c| code_hash(c)).collect();
    let load = |i: usize| cache.get_or_compile::<DeployError>(&vm, &hashes[i], || Ok(codes[i].clone()));
    load(0).unwrap();
    load(1).unwrap();
    cache.get(&hashes[0]).unwrap();
    load(2).unwrap();
    assert_eq!(cache.len(), 2);
    assert!(cache.get(&hashes[1]).is_none(), "the one used longest ago goes");
    assert!(cache.get(&hashes[0]).is_some() && cache.get(&hashes[2]).is_some());
    let unloaded = cache.get_or_compile::<DeployError>(&vm, &hashes[0], || panic!("must not load"));
    unloaded.unwrap();
}
