//! The contract of every simulated chain, as text: a tally of numbers under one-byte keys.
//!
//! | method | does |
//! | --- | --- |
//! | `add` | adds eight bytes (little-endian) to the number under a byte, announces and returns the sum |
//! | `fail` | writes, then refuses: nothing may remain |
//! | `spin` | never ends: runs out of fuel |
//! | `list` | returns all keys and numbers in order |

/// Its name.
pub const NAME: &str = "tally";

const ABI: &str = r#"{\"abi\":1,\"name\":\"tally\",\"version\":\"1.0.0\",\"methods\":[{\"name\":\"add\",\"kind\":\"call\"},{\"name\":\"fail\",\"kind\":\"call\"},{\"name\":\"spin\",\"kind\":\"call\"},{\"name\":\"list\",\"kind\":\"query\"},{\"name\":\"enumerate\",\"kind\":\"call\"}]}"#;

/// Where the parts of the input lie is worked out from the lengths in it: see the contract interface.
const BODY: &str = r#"
(memory (export "memory") 1)
(data (i32.const 60000) "Added")
(data (i32.const 60016) "full")
(func $sum (param $key i32) (result i64)
  (i64.store (i32.const 50000) (i64.const 0))
  (drop (call $get (local.get $key) (i32.const 1) (i32.const 50000) (i32.const 8)))
  (i64.load (i32.const 50000)))
(func (export "vouch_call") (param $len i32)
  (local $at i32) (local $method i32) (local $args i32)
  (call $input (i32.const 0))
  (local.set $at (i32.add (i32.const 54) (i32.mul (i32.const 32) (i32.load (i32.const 46)))))
  (local.set $method (i32.load8_u (i32.add (local.get $at) (i32.const 28))))
  (local.set $args (i32.add (local.get $at) (i32.add (i32.const 36) (i32.load (i32.add (local.get $at) (i32.const 20))))))
  (if (i32.eq (local.get $method) (i32.const 115)) (then (loop $forever (br $forever))))
  (if (i32.or (i32.eq (local.get $method) (i32.const 108)) (i32.eq (local.get $method) (i32.const 101))) (then
    (call $output (i32.const 20000) (i32.wrap_i64
      (call $scan (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 100) (i32.const 20000) (i32.const 20000))))
    (return)))
  (i64.store (i32.const 50000) (i64.add (call $sum (local.get $args)) (i64.load (i32.add (local.get $args) (i32.const 1)))))
  (call $put (local.get $args) (i32.const 1) (i32.const 50000) (i32.const 8))
  (call $event (i32.const 60000) (i32.const 5) (i32.const 50000) (i32.const 8))
  (if (i32.eq (local.get $method) (i32.const 102)) (then
    (call $fail (i32.const 60016) (i32.const 4) (i32.const 60016) (i32.const 4))))
  (call $output (i32.const 50000) (i32.const 8)))
"#;

/// The module.
pub fn module() -> Vec<u8> {
    let imports = [
        ("input", "(param i32)"),
        ("output", "(param i32 i32)"),
        ("fail", "(param i32 i32 i32 i32)"),
        ("get", "(param i32 i32 i32 i32) (result i64)"),
        ("put", "(param i32 i32 i32 i32)"),
        ("scan", "(param i32 i32 i32 i32 i32 i32 i32) (result i64)"),
        ("event", "(param i32 i32 i32 i32)"),
    ];
    let imports: String =
        imports.iter().map(|(name, ty)| format!("(import \"vouch\" \"{name}\" (func ${name} {ty})) ")).collect();
    wat::parse_str(format!("(module {imports} {BODY} (@custom \"vouch-abi\" \"{ABI}\"))")).unwrap()
}
