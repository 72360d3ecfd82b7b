//! The self-description of contracts: what is refused, and JSON values to bytes and back.

use proptest::prelude::*;
use serde_json::{Value, json};
use vouch_types::{
    AccountId, PublicKey, SecretKey,
    abi::{Abi, Type, VALUE_BYTES_MAX, VALUES_MAX},
    encode,
};
use wincode::SchemaWrite;

fn orders() -> Value {
    json!({
        "abi": 1, "name": "orders", "version": "1.0.0", "title": {"en": "Orders", "zh": "订单"},
        "methods": [
            {"name": "place", "kind": "call", "title": {"en": "Place", "zh": "下单"}, "arguments": [
                {"name": "buyer", "type": "account"},
                {"name": "lines", "type": {"list": {"named": "Line"}}},
                {"name": "note", "type": {"option": "string"}},
                {"name": "state", "type": {"named": "State"}},
            ], "result": "u64"},
            {"name": "ping", "kind": "query"},
        ],
        "events": [{"name": "Placed", "fields": [{"name": "order", "type": "u64"}, {"name": "digest", "type": "hash"}]}],
        "errors": [{"code": "orders.closed", "title": {"en": "Closed", "zh": "已关闭"}}],
        "types": {
            "Line": {"struct": [{"name": "item", "type": "string"}, {"name": "count", "type": "u32"}]},
            "State": {"enum": [{"name": "Open"}, {"name": "Closed", "fields": [
                {"name": "by", "type": "key"}, {"name": "after", "type": "i64"}]}]},
            "Tree": {"struct": [{"name": "children", "type": {"list": {"named": "Tree"}}}]},
            "All": {"struct": [
                {"name": "bool", "type": "bool"}, {"name": "u8", "type": "u8"}, {"name": "u16", "type": "u16"},
                {"name": "u32", "type": "u32"}, {"name": "u64", "type": "u64"}, {"name": "i64", "type": "i64"},
                {"name": "string", "type": "string"}, {"name": "bytes", "type": "bytes"},
                {"name": "hash", "type": "hash"}, {"name": "account", "type": "account"}, {"name": "key", "type": "key"},
                {"name": "list", "type": {"list": {"named": "State"}}}, {"name": "option", "type": {"option": "u64"}},
            ]},
        },
    })
}

fn abi() -> Abi {
    Abi::from_json(&orders().to_string()).unwrap()
}

fn key() -> PublicKey {
    SecretKey::from_seed([7; 32]).public()
}

fn arguments() -> Value {
    json!({
        "buyer": "11".repeat(32),
        "lines": [{"item": "米", "count": 3}, {"item": "", "count": 0}],
        "note": null,
        "state": {"Closed": {"by": key().to_string(), "after": -5}},
    })
}

#[derive(SchemaWrite)]
struct Line {
    item: String,
    count: u32,
}

#[derive(SchemaWrite)]
#[expect(dead_code, reason = "the unit variant only gives the tags their order")]
enum State {
    Open,
    Closed { by: PublicKey, after: i64 },
}

#[derive(SchemaWrite)]
struct Place {
    buyer: AccountId,
    lines: Vec<Line>,
    note: Option<String>,
    state: State,
}

#[test]
fn the_bytes_are_those_a_contract_reads() {
    let expected = encode(&Place {
        buyer: AccountId([0x11; 32]),
        lines: vec![Line { item: "米".into(), count: 3 }, Line { item: String::new(), count: 0 }],
        note: None,
        state: State::Closed { by: key(), after: -5 },
    });
    assert_eq!(abi().encode_arguments("place", &arguments()).unwrap(), expected);
    assert_eq!(abi().decode_arguments("place", &expected).unwrap(), arguments());
}

#[test]
fn texts_survive() {
    let abi = abi();
    assert_eq!(Abi::from_json(&abi.to_json()).unwrap(), abi);
    assert_eq!(abi.method("place").unwrap().title.zh, "下单");
    assert_eq!(abi.error("orders.closed").unwrap().title.en, "Closed");
    assert!(abi.method("nothing").is_none() && abi.event("place").is_none());
}

#[test]
fn results_events_and_methods_without_arguments() {
    let abi = abi();
    assert_eq!(abi.decode_result("place", &7u64.to_le_bytes()).unwrap(), json!(7));
    assert_eq!(abi.decode_result("ping", &[]).unwrap(), Value::Null);
    assert_eq!(abi.decode_result("ping", &[0]).unwrap_err().code(), "value.trailing_bytes");
    assert_eq!(abi.encode_arguments("ping", &Value::Null).unwrap(), Vec::<u8>::new());
    assert_eq!(abi.encode_arguments("ping", &json!({})).unwrap(), Vec::<u8>::new());
    let event = [1u64.to_le_bytes().as_slice(), &[0xab; 32]].concat();
    assert_eq!(abi.decode_event("Placed", &event).unwrap(), json!({"order": 1, "digest": "ab".repeat(32)}));
    assert_eq!(abi.decode_event("Gone", &event).unwrap_err().code(), "value.unknown_event");
    assert_eq!(abi.encode_arguments("gone", &json!({})).unwrap_err().code(), "value.unknown_method");
    assert_eq!(abi.encode_value(&Type::Named("Gone".into()), &json!(1)).unwrap_err().code(), "value.unknown_type");
}

#[track_caller]
fn abi_refused(code: &str, pointer: &str, value: Value) {
    let mut text = orders();
    *text.pointer_mut(pointer).unwrap() = value;
    let error = Abi::from_json(&text.to_string()).unwrap_err();
    assert_eq!(error.code(), code, "{error}");
}

#[test]
fn descriptions_with_a_fault_are_refused() {
    abi_refused("abi.unknown_version", "/abi", json!(2));
    abi_refused("abi.json", "/methods", json!({}));
    abi_refused("abi.json", "/methods/0/kind", json!("write"));
    abi_refused("abi.json", "/methods/0/arguments/0/type", json!("u128"));
    abi_refused("abi.json", "/types/Line", json!({"union": []}));
    abi_refused("abi.json", "/types/Line", json!({"struct": [{"name": "x", "type": "u8"}], "enum": [{"name": "X"}]}));
    abi_refused("abi.name", "/name", json!("Orders"));
    abi_refused("abi.name", "/methods/0/name", json!("place order"));
    abi_refused("abi.size", "/methods/0/name", json!(""));
    abi_refused("abi.size", "/methods/0/name", json!("x".repeat(65)));
    abi_refused("abi.size", "/title/zh", json!("x".repeat(401)));
    abi_refused("abi.size", "/version", json!(""));
    abi_refused("abi.size", "/types/Line/struct", json!([]));
    abi_refused("abi.size", "/types/State/enum", json!([]));
    abi_refused("abi.duplicate", "/methods/1/name", json!("place"));
    abi_refused("abi.duplicate", "/types/State/enum/1/name", json!("Open"));
    abi_refused("abi.duplicate", "/types/Line/struct/1/name", json!("item"));
    abi_refused("abi.unknown_type", "/methods/0/result", json!({"list": {"named": "Gone"}}));
    abi_refused("abi.unknown_type", "/types/Line/struct/0/type", json!({"named": "line"}));
    abi_refused("abi.endless_type", "/types/Line/struct/0/type", json!({"named": "Line"}));
    abi_refused("abi.endless_type", "/types/State/enum/1/fields/0/type", json!({"named": "State"}));
    abi_refused(
        "abi.endless_type",
        "/types",
        json!({
            "Line": {"struct": [{"name": "state", "type": {"named": "State"}}]},
            "State": {"enum": [{"name": "Open"}, {"name": "In", "fields": [{"name": "line", "type": {"named": "Line"}}]}]},
        }),
    );
    abi_refused("abi.double_option", "/types/Line/struct/0/type", json!({"option": {"option": "u8"}}));
    let deep = (0..40).fold(json!("u8"), |inner, _| json!({"list": inner}));
    abi_refused("abi.depth", "/methods/0/result", deep);
    assert_eq!(Abi::from_json(&" ".repeat(300_000)).unwrap_err().code(), "abi.size");
}

#[test]
fn a_chain_of_types_that_is_too_long_is_refused() {
    for (count, fits) in [(20, true), (32, true), (33, false), (200, false)] {
        for backwards in [false, true] {
            let name = |n: usize| format!("T{:03}", if backwards { count - n } else { n });
            let mut types = serde_json::Map::new();
            for n in 1..=count {
                let ty = if n == count { json!("u8") } else { json!({"named": name(n + 1)}) };
                types.insert(name(n), json!({"struct": [{"name": "x", "type": ty}]}));
            }
            let text = json!({"abi": 1, "name": "a", "version": "1", "methods": [], "types": types});
            let result = Abi::from_json(&text.to_string());
            assert_eq!(
                result.as_ref().err().map(vouch_types::AbiError::code),
                (!fits).then_some("abi.depth"),
                "{count}"
            );
        }
    }
}

#[track_caller]
fn value_refused(code: &str, path: &str, pointer: &str, value: Value) {
    let mut arguments = arguments();
    *arguments.pointer_mut(pointer).unwrap() = value;
    let error = abi().encode_arguments("place", &arguments).unwrap_err();
    assert_eq!((error.code(), error.path.as_str()), (code, path), "{error}");
}

#[test]
fn unfit_values_are_refused_with_their_path() {
    value_refused("value.wrong_type", "", "", json!([]));
    value_refused("value.wrong_type", "", "", Value::Null);
    value_refused("value.missing_field", "buyer", "", json!({}));
    value_refused("value.unknown_field", "extra", "", json!({"extra": 1}));
    value_refused("value.wrong_type", "buyer", "/buyer", json!("11".repeat(31)));
    value_refused("value.wrong_type", "buyer", "/buyer", json!(1));
    value_refused("value.wrong_type", "note", "/note", json!(1));
    value_refused("value.wrong_type", "lines", "/lines", json!({}));
    value_refused("value.missing_field", "lines[1].count", "/lines/1", json!({"item": "x"}));
    value_refused("value.unknown_field", "lines[0].price", "/lines/0", json!({"item": "x", "count": 1, "price": 1}));
    value_refused("value.out_of_range", "lines[0].count", "/lines/0/count", json!(1u64 << 32));
    value_refused("value.out_of_range", "lines[0].count", "/lines/0/count", json!(-1));
    value_refused("value.wrong_type", "lines[0].count", "/lines/0/count", json!(1.0));
    value_refused("value.wrong_type", "lines[0].count", "/lines/0/count", json!("1"));
    value_refused("value.wrong_type", "state", "/state", json!({"Open": {}, "Closed": {}}));
    value_refused("value.wrong_type", "state", "/state", json!(0));
    value_refused("value.unknown_variant", "state", "/state", json!("Gone"));
    value_refused("value.wrong_type", "state.Open", "/state", json!({"Open": {}}));
    value_refused("value.wrong_type", "state.Closed", "/state", json!("Closed"));
    value_refused("value.missing_field", "state.Closed.after", "/state/Closed", json!({"by": key().to_string()}));
    value_refused("value.wrong_type", "state.Closed.by", "/state/Closed/by", json!("00".repeat(32)));
    value_refused("value.out_of_range", "state.Closed.after", "/state/Closed/after", json!(1u64 << 63));
    value_refused("value.too_large", "note", "/note", json!("x".repeat(VALUE_BYTES_MAX)));
}

#[test]
fn wide_numbers_as_numbers_and_texts() {
    let abi = abi();
    let exact = 1u64 << 53;
    let check = |ty: &Type, given: Value, shown: Value| {
        let bytes = abi.encode_value(ty, &given).unwrap();
        assert_eq!(abi.decode_value(ty, &bytes).unwrap(), shown);
        assert_eq!(abi.encode_value(ty, &shown).unwrap(), bytes);
    };
    check(&Type::U64, json!("0"), json!(0));
    check(&Type::U64, json!((exact - 1).to_string()), json!(exact - 1));
    check(&Type::U64, json!(exact), json!(exact.to_string()));
    check(&Type::U64, json!(u64::MAX), json!("18446744073709551615"));
    check(&Type::I64, json!("-1"), json!(-1));
    check(&Type::I64, json!(-exact.cast_signed()), json!("-9007199254740992"));
    check(&Type::I64, json!(i64::MIN), json!("-9223372036854775808"));
    for (ty, given, code) in [
        (Type::U64, json!("18446744073709551616"), "value.out_of_range"),
        (Type::U64, json!("-1"), "value.out_of_range"),
        (Type::U64, json!(-1), "value.out_of_range"),
        (Type::I64, json!("9223372036854775808"), "value.out_of_range"),
        (Type::U64, json!("+1"), "value.wrong_type"),
        (Type::U64, json!("01"), "value.wrong_type"),
        (Type::I64, json!("-0"), "value.wrong_type"),
        (Type::U64, json!(" 1"), "value.wrong_type"),
        (Type::U64, json!(""), "value.wrong_type"),
        (Type::U64, json!(1e3), "value.wrong_type"),
        (Type::U64, json!(true), "value.wrong_type"),
    ] {
        assert_eq!(abi.encode_value(&ty, &given).unwrap_err().code(), code, "{given}");
    }
}

#[test]
fn bytes_that_are_no_value_are_refused() {
    let abi = abi();
    let list = |inner| Type::List(Box::new(inner));
    for (ty, bytes, code) in [
        (Type::Bool, vec![2], "value.bad_bytes"),
        (Type::Bool, vec![], "value.truncated"),
        (Type::Bool, vec![1, 0], "value.trailing_bytes"),
        (Type::Option(Box::new(Type::U8)), vec![2, 0], "value.bad_bytes"),
        (Type::Option(Box::new(Type::U8)), vec![1], "value.truncated"),
        (Type::String, vec![1, 0, 0, 0, 0, 0, 0, 0, 0xff], "value.bad_bytes"),
        (Type::String, vec![0xff; 8], "value.truncated"),
        (Type::Key, vec![2; 33], "value.bad_bytes"),
        (Type::Named("State".into()), vec![2, 0, 0, 0], "value.bad_bytes"),
        (list(Type::U64), [2u64.to_le_bytes(), [0; 8]].concat(), "value.truncated"),
        (list(Type::U8), u64::MAX.to_le_bytes().to_vec(), "value.truncated"),
        (Type::Bytes, vec![0; VALUE_BYTES_MAX + 1], "value.too_large"),
        (
            list(Type::Bool),
            [(VALUES_MAX as u64).to_le_bytes().as_slice(), &vec![0; VALUES_MAX]].concat(),
            "value.too_large",
        ),
    ] {
        assert_eq!(abi.decode_value(&ty, &bytes).unwrap_err().code(), code, "{ty:?}");
    }
    let error = abi.decode_value(&list(Type::Bool), &[1, 0, 0, 0, 0, 0, 0, 0, 7]).unwrap_err();
    assert_eq!(error.to_string(), "[0]: the bytes are not a bool");
}

#[test]
fn values_nested_without_end_are_refused_both_ways() {
    let abi = abi();
    let tree = Type::Named("Tree".into());
    let nested = |levels| (0..levels).fold(json!({"children": []}), |inner, _| json!({"children": [inner]}));
    let shallow = abi.encode_value(&tree, &nested(10)).unwrap();
    assert_eq!(abi.decode_value(&tree, &shallow).unwrap(), nested(10));
    assert_eq!(abi.encode_value(&tree, &nested(40)).unwrap_err().code(), "value.depth");
    let deep = [1u64.to_le_bytes().repeat(100_000), 0u64.to_le_bytes().to_vec()].concat();
    assert_eq!(abi.decode_value(&tree, &deep).unwrap_err().code(), "value.depth");
}

fn any_u64() -> impl Strategy<Value = Value> {
    any::<u64>().prop_map(|n| if n < 1 << 53 { json!(n) } else { json!(n.to_string()) })
}

fn any_i64() -> impl Strategy<Value = Value> {
    any::<i64>().prop_map(|n| if n.unsigned_abs() < 1 << 53 { json!(n) } else { json!(n.to_string()) })
}

fn any_hash() -> impl Strategy<Value = Value> {
    "[0-9a-f]{64}".prop_map(Value::from)
}

fn any_state() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!("Open")),
        ("[0-9a-f]{64}", any_i64()).prop_map(|(k, n)| json!({"Closed": {"by": format!("ed25519:{k}"), "after": n}})),
    ]
}

prop_compose! {
    fn any_all()(
        flag: bool, a: u8, b: u16, c: u32, d in any_u64(), e in any_i64(), text in "\\PC{0,12}",
        bytes in "([0-9a-f]{2}){0,9}", hash in any_hash(), account in any_hash(), key in "[0-9a-f]{64}",
        list in prop::collection::vec(any_state(), 0..4), option in prop::option::of(any_u64()),
    ) -> Value {
        json!({
            "bool": flag, "u8": a, "u16": b, "u32": c, "u64": d, "i64": e, "string": text, "bytes": bytes, "hash": hash,
            "account": account, "key": format!("ed25519:{key}"), "list": list, "option": option,
        })
    }
}

proptest! {
    #[test]
    fn values_survive_bytes(value in any_all()) {
        let (abi, all) = (abi(), Type::Named("All".into()));
        let bytes = abi.encode_value(&all, &value).unwrap();
        prop_assert_eq!(abi.decode_value(&all, &bytes).unwrap(), value);
    }

    #[test]
    fn accepted_bytes_are_canonical(value in any_all(), at in any::<prop::sample::Index>(), byte: u8, cut: bool) {
        let (abi, all) = (abi(), Type::Named("All".into()));
        let mut bytes = abi.encode_value(&all, &value).unwrap();
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
            prop_assert!(abi.decode_value(&all, &bytes).is_err());
        } else {
            bytes[at] = byte;
            if let Ok(value) = abi.decode_value(&all, &bytes) {
                prop_assert_eq!(abi.encode_value(&all, &value).unwrap(), bytes);
            }
        }
    }
}
