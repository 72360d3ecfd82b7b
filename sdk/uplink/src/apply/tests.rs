use std::{fs, sync::Arc};

use vouch_privacy::attachment::AttachmentValue;
use vouch_types::{
    DocumentRoot,
    document::{NewVersion, SchemaDefinition},
};

use super::*;
use crate::{MappingFile, source::Kind};

const SCHEMA: &str = include_str!("../../../../genesis/sample/schemas/service-transaction.json");
const MAPPING: &str = r#"
format = "vouch-uplink/1"
[[map]]
schema = "service-transaction"
number = ["订单号"]
offset = "+08:00"
[map.fields]
order_number = "订单号"
performed_from = "开始"
performed_until = "结束"
quantity = "数量"
unit = { from = "单位", codes = { "单" = "order", "小时" = "hour" } }
gross_amount = { from = "金额(分)", shift = -2 }
institution_fee = { value = "0" }
income = { from = "收入", default = "0" }
tax_withheld = { value = "0" }
payee_account = "账号"
payer_account = { value = "62220000" }
payment_channel = { value = "bank" }
proof_of_work = "凭据"
items = { from = "明细", rows = { split = ";", cells = "*", names = ["task", "count"] } }
[map.parties]
worker = { person_from = "证件号", register = true }
client = { member_from = "客户", codes = { "河畔餐饮" = "enterprise" } }
institution = { member = "institution" }
[map.references]
contract = { schema = "service-contract", from = "合约号" }
"#;

fn applier(change: impl FnOnce(&mut Mapping)) -> Result<Applier, Vec<Fault>> {
    let definition: SchemaDefinition = serde_json::from_str(SCHEMA).unwrap();
    let schema = Schema { version: 1, definition, ..blank() };
    let mut mapping = MappingFile::parse(MAPPING, "m.toml").unwrap().maps.remove(0);
    change(&mut mapping);
    Applier::new(mapping, schema, "institution", UplinkKey::new([7; 32]), Numbers::default())
}

fn blank() -> Schema {
    let moment = json!({ "height": 1, "time_ms": 1 });
    serde_json::from_value(json!({
        "version": 1, "definition": serde_json::from_str::<Value>(SCHEMA).unwrap(), "registered": moment, "retired": null
    }))
    .unwrap()
}

fn record(change: &[(&str, &str)]) -> Record {
    let mut cells = vec![
        ("订单号", " o-1 "),
        ("开始", "2026/11/2 9:00"),
        ("结束", "2026-11-02 17:30:00"),
        ("数量", "3"),
        ("单位", "单"),
        ("金额(分)", "12,550"),
        ("收入", ""),
        ("账号", "6222020200112233"),
        ("凭据", ""),
        ("明细", "配送*2;取件*1"),
        ("证件号", "11010519491231002x"),
        ("客户", "河畔餐饮"),
        ("合约号", "C-1"),
    ];
    for (name, value) in change {
        cells.iter_mut().find(|(column, _)| column == name).unwrap().1 = value;
    }
    let place = Place { file: "o.csv".into(), sheet: None, record: 4, line: 5, byte: 0 };
    let node = |text: &str| if text.is_empty() { Node::Null } else { Node::Text(text.to_owned()) };
    let (columns, values): (Vec<String>, Vec<Node>) =
        cells.iter().map(|(name, text)| ((*name).to_owned(), node(text))).unzip();
    Record { place, columns: Arc::from(columns), values }
}

fn found() -> Found {
    Found { path: "o.csv".into(), name: "o.csv".into(), kind: Kind::Csv, beside: "o.csv".into(), held: None }
}

#[test]
fn a_record_becomes_what_the_schema_holds() {
    let applier = applier(|_| {}).unwrap();
    let row = applier.row(&record(&[]), &found()).unwrap();
    let expected = json!({
        "order_number": "o-1", "performed_from": "2026-11-02T09:00:00+08:00", "performed_until": "2026-11-02T17:30:00+08:00",
        "quantity": "3", "unit": "order", "gross_amount": "125.50", "institution_fee": "0", "income": "0", "tax_withheld": "0",
        "payee_account": "6222020200112233", "payer_account": "62220000", "payment_channel": "bank",
        "items": [{ "task": "配送", "count": "2" }, { "task": "取件", "count": "1" }],
    });
    assert_eq!(Value::Object(row.values.clone()), expected);
    assert_eq!(row.number, "O-1");
    let key = UplinkKey::new([7; 32]);
    let person = key.person("11010519491231002X");
    assert_eq!(row.parties[0], PartyEntry { role: "worker".into(), party: Party::subject(person) });
    assert_eq!(row.parties[1].party, Party::member("enterprise"));
    assert_eq!(
        (row.register.as_slice(), row.references[0].id),
        (&[person][..], key.document("institution", "service-contract", "C-1"))
    );
    assert_eq!(row.id, key.document("institution", "service-transaction", "O-1"));
    // The same row again is the same document and content; another content is told.
    assert_eq!(applier.row(&record(&[]), &found()).unwrap().content, row.content);
    assert_ne!(applier.row(&record(&[("数量", "4")]), &found()).unwrap().content, row.content);
    assert_ne!(applier.seed(&row), applier.seed(&applier.row(&record(&[("数量", "4")]), &found()).unwrap()));
}

#[test]
fn every_fault_of_a_row_has_code_and_cell() {
    let applier = applier(|_| {}).unwrap();
    for (column, value, code) in [
        ("订单号", "", "uplink.required"),
        ("账号", "", "uplink.required"),
        ("账号", "=cmd|' /C calc'!A0", "uplink.formula"),
        ("金额(分)", "12x", "uplink.number"),
        ("金额(分)", "99999999999999999999999999999999999999999999999999999999999999999999", "uplink.number"),
        ("开始", "someday", "uplink.date"),
        ("单位", "打", "uplink.code"),
        ("客户", "无名", "uplink.code"),
        ("证件号", "", "uplink.required"),
        ("合约号", "", "uplink.required"),
        ("明细", "配送", "uplink.rows"),
    ] {
        let faults = applier.row(&record(&[(column, value)]), &found()).unwrap_err();
        assert!(faults.iter().any(|fault| fault.code == code && fault.place.contains(column)), "{column}: {faults:?}");
        assert!(value.is_empty() || faults.iter().all(|fault| !fault.reason.to_string().contains(value)), "{faults:?}");
    }
    let faults = applier.row(&record(&[("开始", "x"), ("数量", "y")]), &found()).unwrap_err();
    assert_eq!(faults.len(), 2);
    assert_eq!(faults[1].place, "o.csv, line 5, column 4 (数量)");
}

#[test]
fn a_mapping_that_does_not_fit_is_refused_whole() {
    let reasons =
        |change: fn(&mut Mapping)| applier(change).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>();
    let all: [fn(&mut Mapping); 9] = [
        |mapping| mapping.number.clear(),
        |mapping| drop(mapping.fields.remove("quantity")),
        |mapping| drop(mapping.fields.insert("other".into(), Default::default())),
        |mapping| mapping.public.push("income".into()),
        |mapping| drop(mapping.parties.remove("client")),
        |mapping| drop(mapping.references.remove("contract")),
        |mapping| mapping.sign.push("worker".into()),
        |mapping| mapping.offset = Some("8".into()),
        |mapping| mapping.fields.get_mut("unit").unwrap().0.shift = 2,
    ];
    for change in all {
        let reasons = reasons(change);
        assert!(!reasons.is_empty() && reasons.iter().all(|text| text.ends_with("[uplink.mapping]")), "{reasons:?}");
    }
}

#[test]
fn files_lie_beside_the_source() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    write("a.pdf", b"%PDF-1.7\nxref trailer << /Root 1 0 R >>");
    write("locked.pdf", b"%PDF-1.7\ntrailer << /Encrypt 9 0 R >>");
    write("empty.pdf", b"");
    // A table that is a stream, longer than what is looked at of the end.
    let table =
        [b"junk\n%PDF-1.7\n" as &[u8], b"%", &[b'x'; 70_000], b"\n9 0 obj << /Type /XRef /Encrypt 8 0 R >> stream\n"];
    let table = table.concat();
    let at = table.len() - 60;
    write("stream.pdf", &[&table, &[b'y'; 70_000] as &[u8], format!("\nstartxref\n{at}\n%%EOF\n").as_bytes()].concat());
    let source = Found { path: folder.path().join("o.csv"), ..found() };
    let applier = applier(|_| {}).unwrap();
    let attached = |name: &str| applier.row(&record(&[("凭据", name)]), &source);
    let row = attached("a.pdf").unwrap();
    let hash = vouch_types::Hash32(*blake3::hash(b"%PDF-1.7\nxref trailer << /Root 1 0 R >>").as_bytes());
    let file = Attached { field: "proof_of_work".into(), path: folder.path().join("a.pdf"), bytes: 39, hash };
    assert_eq!((row.files, row.values.get("proof_of_work")), (vec![file], None));
    // The same file elsewhere is the same document; another one of the same length and name is not.
    let other = tempfile::tempdir().unwrap();
    let elsewhere = Found { path: other.path().join("o.csv"), ..found() };
    fs::copy(folder.path().join("a.pdf"), other.path().join("a.pdf")).unwrap();
    assert_eq!(applier.row(&record(&[("凭据", "a.pdf")]), &elsewhere).unwrap().content, row.content);
    assert_ne!(applier.row(&record(&[]), &elsewhere).unwrap().content, row.content);
    fs::write(other.path().join("a.pdf"), b"%PDF-1.7\nxref trailer << /Root 2 0 R >>").unwrap();
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(2);
    fs::File::options().write(true).open(other.path().join("a.pdf")).unwrap().set_modified(later).unwrap();
    assert_ne!(applier.row(&record(&[("凭据", "a.pdf")]), &elsewhere).unwrap().content, row.content);
    std::os::unix::fs::symlink(other.path(), folder.path().join("out")).unwrap();
    for (name, code) in [
        ("locked.pdf", "uplink.encrypted"),
        ("stream.pdf", "uplink.encrypted"),
        ("empty.pdf", "uplink.file"),
        ("none.pdf", "uplink.file"),
        ("out/a.pdf", "uplink.file"),
        ("../o.csv", "uplink.file"),
        ("/etc/hostname", "uplink.file"),
        (".", "uplink.file"),
    ] {
        assert_eq!(attached(name).unwrap_err()[0].code, code, "{name}");
    }
    // A source that was named without a folder is in the one where the command runs.
    let row = applier.row(&record(&[("凭据", "Cargo.toml")]), &found()).unwrap();
    assert_eq!(row.files[0].bytes, fs::metadata("Cargo.toml").unwrap().len());
}

/// What is within a nested column may be missing in the first record.
#[test]
fn a_nested_value_that_is_not_there_is_no_missing_column() {
    let nested = |mapping: &mut Mapping| {
        mapping.fields.get_mut("unit").unwrap().0.from = crate::mapping::Columns::One("单位.代码".into());
    };
    assert_eq!(applier(nested).unwrap().missing_columns(&record(&[])), []);
    let other = |mapping: &mut Mapping| {
        mapping.fields.get_mut("unit").unwrap().0.from = crate::mapping::Columns::One("其他.代码".into());
    };
    assert_eq!(applier(other).unwrap().missing_columns(&record(&[])).len(), 1);
}

/// A version on the chain as this row would be it.
fn version_of(row: &Row) -> NewVersion {
    NewVersion {
        schema_version: 1,
        root: DocumentRoot::ZERO,
        blob_root: None,
        parties: row.parties.clone(),
        references: row.references.clone(),
        public: Vec::new(),
        recipients: Vec::new(),
    }
}

/// What a node shows of all fields of a row without files.
fn shown_of(applier: &Applier, row: &Row) -> BTreeMap<String, Value> {
    let value = |name: &String| row.values.get(name).cloned().unwrap_or(Value::Null);
    applier.schema.definition.fields.iter().map(|rule| (rule.name.clone(), value(&rule.name))).collect()
}

#[test]
fn what_changed_is_told_by_name_from_the_journal_as_from_the_node() {
    let applier = applier(|_| {}).unwrap();
    let row = |change: &[(&str, &str)]| applier.row(&record(change), &found()).unwrap();
    let before = row(&[]);
    let (parts, version, shown) = (applier.parts(&before), version_of(&before), shown_of(&applier, &before));
    let cases = [
        (vec![], vec![]),
        (vec![("数量", "4")], vec!["quantity"]),
        (vec![("金额(分)", "1"), ("账号", "1")], vec!["gross_amount", "payee_account"]),
        (vec![("明细", "配送*3;取件*1")], vec!["items"]),
        (vec![("证件号", "1")], vec!["party worker"]),
        (vec![("合约号", "C-2")], vec!["reference contract"]),
    ];
    for (change, names) in cases {
        let now = row(&change);
        let (noted, is_all) = applier.changed_since(&now, &parts);
        assert!(noted == names && is_all, "{noted:?}");
        let difference = applier.difference(&now, &version, Some(&shown)).unwrap();
        assert_eq!(difference.names, names);
        assert_eq!(difference.is_none(), names.is_empty());
        assert_eq!(applier.has_other_owners(&now, &version), names == ["party worker"]);
    }
    // What is said no more has no name in the journal, but at the node.
    let less = row(&[("明细", "")]);
    assert_eq!(applier.changed_since(&less, &parts), (Vec::new(), false));
    assert_eq!(applier.difference(&less, &version, Some(&shown)).unwrap().names, ["items"]);
    let more = applier.changed_since(&before, &applier.parts(&less));
    assert_eq!(more, (vec!["items".to_owned()], false));
    // A field that the account may not read, and a node that shows nothing.
    let hidden: BTreeMap<_, _> = shown.into_iter().filter(|(name, _)| name != "payee_account").collect();
    let difference = applier.difference(&before, &version, Some(&hidden)).unwrap();
    assert_eq!((difference.is_none(), difference.shown()), (false, vec!["payee_account?".to_owned()]));
    let difference = applier.difference(&row(&[("数量", "4")]), &version, Some(&hidden)).unwrap();
    assert_eq!(difference.shown(), ["quantity"]);
    assert!(!applier.difference(&before, &version, None).unwrap().is_none());
    // Nothing in the journal tells two documents that say the same.
    let other = row(&[("订单号", "o-2")]);
    assert!(applier.parts(&other).chunks(8).all(|part| !parts.chunks(8).any(|known| known == part)));
}

/// The version of a reference that the mapping does not fix is nothing that the source says.
#[test]
fn a_reference_without_a_version_follows_and_is_no_change() {
    let fixed = |version: Option<u32>| {
        applier(|mapping| mapping.references.get_mut("contract").unwrap().version = version).unwrap()
    };
    let (open, second) = (fixed(None), fixed(Some(2)));
    let row = open.row(&record(&[]), &found()).unwrap();
    let mut version = version_of(&row);
    version.references[0].version = 3;
    let shown = shown_of(&open, &row);
    assert!(open.is_open_reference("contract") && !second.is_open_reference("contract"));
    assert!(open.difference(&row, &version, Some(&shown)).unwrap().is_none());
    let row = second.row(&record(&[]), &found()).unwrap();
    assert_eq!(second.difference(&row, &version, Some(&shown)).unwrap().names, ["reference contract"]);
}

#[test]
fn a_newer_schema_alone_is_no_change() {
    let old = applier(|_| {}).unwrap();
    let before = old.row(&record(&[]), &found()).unwrap();
    let mut new = applier(|_| {}).unwrap();
    new.schema.version = 2;
    let mut field = new.schema.definition.fields[0].clone();
    field.name = "added".into();
    new.schema.definition.fields.push(field);
    let row = new.row(&record(&[]), &found()).unwrap();
    assert_ne!(row.content, before.content);
    assert_eq!(new.changed_since(&row, &old.parts(&before)), (Vec::new(), true));
    let shown = shown_of(&old, &before);
    assert!(new.difference(&row, &version_of(&before), Some(&shown)).unwrap().is_none());
}

#[test]
fn a_file_is_the_one_on_the_chain_by_what_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let source = Found { path: folder.path().join("o.csv"), ..found() };
    let applier = applier(|_| {}).unwrap();
    let row = |bytes: &[u8]| {
        fs::write(folder.path().join("a.pdf"), bytes).unwrap();
        applier.row(&record(&[("凭据", "a.pdf")]), &source).unwrap()
    };
    let before = row(b"%PDF-1.7 one");
    let (version, mut shown) = (version_of(&before), shown_of(&applier, &before));
    let key = [9; 32];
    let hash = vouch_types::Hash32(*blake3::keyed_hash(&key, b"%PDF-1.7 one").as_bytes());
    let value = AttachmentValue {
        b3: hash,
        b3_key: vouch_types::Hash32(key),
        chunk_log: vouch_privacy::attachment::CHUNK_LOG,
        media: "application/pdf".into(),
        name: "a.pdf".into(),
        size: 12,
    };
    shown.insert("proof_of_work".into(), json!([value]));
    assert!(applier.difference(&before, &version, Some(&shown)).unwrap().is_none());
    let other = row(b"%PDF-1.7 two");
    assert_eq!(applier.difference(&other, &version, Some(&shown)).unwrap().names, ["proof_of_work"]);
    let none = applier.row(&record(&[]), &source).unwrap();
    assert_eq!(applier.difference(&none, &version, Some(&shown)).unwrap().names, ["proof_of_work"]);
}

#[test]
fn numbers_of_persons_are_not_shown() {
    assert!(applier(|_| {}).unwrap().shows_number());
    assert!(!applier(|mapping| mapping.number = vec!["证件号".into()]).unwrap().shows_number());
    assert!(!applier(|mapping| mapping.number = vec!["订单号".into(), "账号".into()]).unwrap().shows_number());
}
