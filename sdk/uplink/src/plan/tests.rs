use std::fs;

use serde_json::{Value, json};
use vouch_types::document::SchemaDefinition;

use super::*;
use crate::{Mapping, MappingFile, Numbers, UplinkKey, discover};

const SCHEMA: &str = include_str!("../../../../genesis/sample/schemas/worker-identity.json");
const MAPPING: &str = include_str!("../../../../genesis/month/mappings/1-institution.toml");
const HEAD: &str = "姓名,证件类型,证件号码,手机号码,居住地址,开户行,银行卡号,核验方式,核验结果,核验时间,证件影像\n";

fn line(name: &str, number: &str, bank: &str) -> String {
    let file = if number == "A1" { "扫描.png" } else { "" };
    format!(
        "{name},居民身份证,{number},15400000000,某路1号,{bank},6222020200112233,人脸比对,通过,2026/10/1 9:00,{file}\n"
    )
}

fn schema() -> Schema {
    let definition: SchemaDefinition = serde_json::from_str(SCHEMA).unwrap();
    let moment = json!({ "height": 1, "time_ms": 1 });
    let definition: Value = serde_json::to_value(definition).unwrap();
    serde_json::from_value(json!({ "version": 1, "definition": definition, "registered": moment, "retired": null }))
        .unwrap()
}

fn plan(folder: &Path, files: &[(&str, &[u8])]) -> Plan {
    let mapping = MappingFile::parse(MAPPING, "m").unwrap().maps.remove(0);
    let applier = Applier::new(mapping, schema(), "institution", UplinkKey::new([7; 32]), Numbers::default());
    let mut jobs = Vec::new();
    fs::write(folder.join("扫描.png"), [7; 300]).unwrap();
    for (name, bytes) in files {
        let path = folder.join(name);
        fs::write(&path, bytes).unwrap();
        let found = discover(&path, folder).unwrap();
        jobs.extend(found.into_iter().map(|found| Job { found, map: 0, after: None }));
    }
    Plan::new(vec![applier.unwrap()], jobs)
}

#[test]
fn a_summary_says_what_would_leave_and_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let one =
        [HEAD, &line("甲", "A1", "某行"), &line("乙", "A2", "卡6222021234567890128"), &line("", "A3", "某行")].concat();
    let two = [HEAD, &line("丙", "a1 ", "某行"), &line("丁", "A4", "某行"), "short,row\n"].concat();
    let mut plan = plan(folder.path(), &[("人员实名认证1.csv", one.as_bytes()), ("人员实名认证2.csv", two.as_bytes())]);
    let summary = plan.check(folder.path(), &mut |_| {}).unwrap();
    assert_eq!((summary.documents, summary.rejected, summary.broken.len()), (3, 3, 0), "{summary:?}");
    let schema = &summary.schemas[0];
    let codes: Vec<_> = schema.faults.iter().map(|(code, count)| (*code, *count)).collect();
    assert_eq!(codes, [("uplink.duplicate_number", 1), ("uplink.ragged", 1), ("uplink.required", 1)]);
    assert_eq!(schema.public, ["method", "result", "verified_at"]);
    assert_eq!(schema.private[&4], ["id_number", "bank_account", "id_scan"]);
    assert_eq!((schema.files, schema.file_bytes), (1, 300));
    assert_eq!(schema.registers, 4, "the duplicate is told after it was counted");
    assert!(schema.readers["recipient"].contains(&"name".to_owned()));
    assert!(!schema.readers["recipient"].contains(&"id_number".to_owned()));
    assert!(
        schema.findings.iter().any(|finding| finding.field == "bank_name" && finding.level > finding.grade),
        "{schema:?}"
    );
    assert!(!serde_json::to_string(&summary).unwrap().contains("6222021234567890128"));
    // What was found as a duplicate is rejected while sending.
    let mut rows = plan.rows(1).unwrap();
    let Some(Err(Bad::Rows(_, faults))) = rows.next_row() else {
        panic!("the first row has a number that stood before")
    };
    assert_eq!(faults[0].code, "uplink.duplicate_number");
    assert!(faults[0].reason.to_string().contains("record 1 of 人员实名认证1.csv"), "{}", faults[0].reason);
    assert!(matches!(rows.next_row(), Some(Ok((_, row))) if row.number == "A4"));
    assert!(matches!(rows.next_row(), Some(Err(Bad::Rows(..)))));
    assert!(rows.next_row().is_none());
}

#[test]
fn a_source_that_breaks_off_is_told_before_anything_leaves() {
    let folder = tempfile::tempdir().unwrap();
    for (tail, code) in [("\"open", "uplink.format"), ("", "uplink.mapping")] {
        let head = if tail.is_empty() { "姓名,证件号码\n" } else { HEAD };
        let text = [head, &line("甲", "A1", "某行"), tail].concat();
        let text = if tail.is_empty() { "姓名,证件号码\n甲,A1\n".to_owned() } else { text };
        let mut plan = plan(folder.path(), &[("人员实名认证.csv", text.as_bytes())]);
        let summary = plan.check(folder.path(), &mut |_| {}).unwrap();
        assert_eq!(summary.broken[0].code, code, "{summary:?}");
    }
}

/// Makes a source with one row of this result.
type Make<'a> = &'a dyn Fn(&str) -> Vec<u8>;

/// What is mended in a file of rejected rows is the same document as if the source had been right.
#[test]
fn mended_rows_are_what_good_ones_would_have_been() {
    let mapping = |more: &str| {
        format!(
            "format = \"vouch-uplink/1\"\n[[map]]\nschema = \"worker-identity\"\nnumber = [\"no\"]\n{more}\n[map.fields]\n\
             name = \"name\"\nid_type = {{ value = \"resident_id\" }}\nid_number = \"no\"\nmobile = {{ value = \"1\" }}\n\
             bank_name = \"bank\"\nbank_account = {{ value = \"1\" }}\nmethod = {{ value = \"face\" }}\n\
             result = {{ from = \"result\", codes = {{ \"通过\" = \"passed\" }} }}\nverified_at = {{ value = \"2026-10-02T09:08:00Z\" }}\n\
             [map.parties]\nworker = {{ person_from = \"no\" }}\n"
        )
    };
    let sheet = |result: &str| {
        let mut book = rust_xlsxwriter::Workbook::new();
        book.add_worksheet().set_name("别的").unwrap().write(0, 0, "x").unwrap();
        let page = book.add_worksheet().set_name("人员").unwrap();
        for (line, row) in (0..).zip([["no", "name", "bank", "result"], ["A1", "张三", "某行", result]]) {
            for (column, cell) in (0..).zip(row) {
                page.write_string(line, column, cell).unwrap();
            }
        }
        book.save_to_buffer().unwrap()
    };
    let gb = |text: String| encoding_rs::GB18030.encode(&text).0.into_owned();
    let csv = |result: &str| gb(format!("no;name;bank;result\nA1;张三;某行;{result}\n"));
    let json = |result: &str| {
        let row = json!({ "no": "A1", "name": "张三", "bank": "某行", "result": result });
        json!({ "data": { "rows": [row] } }).to_string().into_bytes()
    };
    let xml = |result: &str| {
        let row = format!("<r><no>A1</no><name>张三</name><bank>某行</bank><result>{result}</result></r>");
        format!("<l><in>{row}</in></l>").into_bytes()
    };
    let cases: [(&str, &str, Make<'_>); 4] = [
        ("t.csv", "separator = \";\"\nencoding = \"gb18030\"", &csv),
        ("t.json", "records = \"data.rows\"", &json),
        ("t.xml", "records = \"r\"", &xml),
        ("t.xlsx", "sheet = \"人员\"", &sheet),
    ];
    for (name, more, make) in cases {
        let folder = tempfile::tempdir().unwrap();
        let text = mapping(more);
        let rows = |path: &Path| {
            let mapping = MappingFile::parse(&text, "m").unwrap().maps.remove(0);
            let key = UplinkKey::new([7; 32]);
            let applier = Applier::new(mapping, schema(), "institution", key, Numbers::default()).unwrap();
            let found = discover(path, folder.path()).unwrap().remove(0);
            let plan = Plan::new(vec![applier], vec![Job { found: found.clone(), map: 0, after: None }]);
            let next = plan.rows(0).unwrap().next_row();
            (found, next.unwrap_or_else(|| panic!("{name}: no row")))
        };
        let path = folder.path().join(name);
        fs::write(&path, make("通过")).unwrap();
        let (_, Ok((_, good))) = rows(&path) else { panic!("{name}: a good row") };
        fs::write(&path, make("不详")).unwrap();
        let (found, Err(Bad::Rows(records, faults))) = rows(&path) else { panic!("{name}: a bad row") };
        let mut rejected = crate::rejected::Rejected::new(&found, None, None, folder.path());
        rejected.add(&records[0], &faults).unwrap();
        let file = rejected.finish().unwrap().unwrap();
        let written = fs::read_to_string(&file).unwrap();
        assert!(written.contains("不详"), "{name}: {written}");
        fs::write(&file, written.replace("不详", "通过")).unwrap();
        let (_, Ok((_, mended))) = rows(&file) else { panic!("{name}: the mended row") };
        assert_eq!((mended.id, mended.content), (good.id, good.content), "{name}");
    }
}

/// A page that holds a file gets what the command gets from the file itself.
#[test]
fn what_somebody_holds_is_read_as_a_file_is() {
    let folder = tempfile::tempdir().unwrap();
    let head = HEAD.replace(",证件影像", "");
    let line = |number: &str| line("甲", number, "某行").replace(",\n", "\n");
    let mapping = MAPPING.replace("id_scan = \"证件影像\"\n", "");
    let text = [head, line("B1"), "short,row\n".into(), line("B2"), line("b1")].concat();
    let mut book = rust_xlsxwriter::Workbook::new();
    let sheet = book.add_worksheet();
    for (row, line) in (0..).zip(text.replace("short,row", ",,,,,,,,,,beyond").lines()) {
        for (column, cell) in (0..).zip(line.split(',')) {
            sheet.write_string(row, column, cell).unwrap();
        }
    }
    let table = encoding_rs::GB18030.encode(&text).0.into_owned();
    for (name, bytes) in [("人员实名认证.csv", table), ("人员实名认证.xlsx", book.save_to_buffer().unwrap())]
    {
        let path = folder.path().join(name);
        fs::write(&path, &bytes).unwrap();
        let of_file = discover(&path, folder.path()).unwrap().remove(0);
        let kind = Kind::of(&bytes[..crate::HEAD_BYTES.min(bytes.len() as u64) as usize], name);
        let shared: std::sync::Arc<[u8]> = bytes.into();
        let held = Found::held(name, kind.unwrap().unwrap(), move || {
            Box::new(std::io::Cursor::new(std::sync::Arc::clone(&shared)))
        });
        let read = |found: Found| {
            let mapping = MappingFile::parse(&mapping, "m").unwrap().maps.remove(0);
            let key = UplinkKey::new([7; 32]);
            let applier = Applier::new(mapping, schema(), "institution", key, Numbers::default()).unwrap();
            let mut plan = Plan::new(vec![applier], vec![Job { found, map: 0, after: None }]);
            let summary = plan.check(folder.path(), &mut |_| {}).unwrap();
            let mut cursor = plan.cursor(0).unwrap();
            let rows: Vec<_> = std::iter::from_fn(|| plan.next_row(&mut cursor)).collect();
            (summary, rows)
        };
        let (from_file, from_page) = (read(of_file), read(held));
        assert_eq!((from_file.0.documents, from_file.0.rejected), (2, 2), "{name}");
        assert_eq!(from_file, from_page, "{name}");
    }
}

const INVOICE: &str = include_str!("../../../../genesis/sample/schemas/service-invoice.json");
const LINES: &str = r#"
format = "vouch-uplink/1"
[[map]]
schema = "service-invoice"
number = ["发票号码"]
[map.group]
field = "lines"
[map.group.line]
name = "项目"
quantity = { from = "数量", kind = "Integer" }
amount = { from = "金额(分)", kind = "Decimal", shift = -2 }
note = { from = "备注", optional = true }
[map.fields]
invoice_code = { value = "0" }
invoice_number = "发票号码"
issued_on = "开票日期"
buyer_name = { value = "b" }
buyer_tax_number = { value = "1" }
seller_name = { value = "s" }
seller_tax_number = { value = "2" }
amount = "合计"
tax_rate = { value = "6%" }
tax = { value = "0" }
total = "合计"
kind = { value = "general" }
[map.parties]
buyer = { member_from = "购方" }
seller = { member = "institution" }
[map.references]
transaction = { schema = "service-transaction", from = "交易", each = true }
"#;
const LINES_HEAD: &str = "发票号码,开票日期,购方,合计,项目,数量,金额(分),备注,交易\n";

fn invoices(change: fn(&mut Mapping)) -> Result<Applier, Vec<Fault>> {
    let moment = json!({ "height": 1, "time_ms": 1 });
    let definition: Value = serde_json::from_str(INVOICE).unwrap();
    let schema = json!({ "version": 1, "definition": definition, "registered": moment, "retired": null });
    let mut mapping = MappingFile::parse(LINES, "m").unwrap().maps.remove(0);
    change(&mut mapping);
    let key = UplinkKey::new([7; 32]);
    Applier::new(mapping, serde_json::from_value(schema).unwrap(), "institution", key, Numbers::default())
}

fn checked(folder: &Path, files: &[(&str, &str)]) -> (Plan, Summary) {
    let mut jobs = Vec::new();
    for (name, lines) in files {
        let path = folder.join(name);
        fs::write(&path, [LINES_HEAD, lines].concat()).unwrap();
        jobs.push(Job { found: discover(&path, folder).unwrap().remove(0), map: 0, after: None });
    }
    let mut plan = Plan::new(vec![invoices(|_| ()).unwrap()], jobs);
    let summary = plan.check(folder, &mut |_| {}).unwrap();
    (plan, summary)
}

fn all(plan: &Plan, number: usize) -> Vec<Result<(Vec<Record>, Row), Bad>> {
    let mut rows = plan.rows(number).unwrap();
    std::iter::from_fn(|| rows.next_row()).collect()
}

const GOOD: [&str; 3] =
    ["A1,2026-11-02,x,9,甲,1,100,,T1\n", "A1,2026-11-02,x,9,乙,2,250,急,T2\n", "A1,2026-11-02,x,9,丙,3,0,,T1\n"];

#[test]
fn rows_of_one_number_are_one_document_sorted_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let other = "B7,2026-11-03,y,5,丁,1,500,,T9\n";
    let mut contents = Vec::new();
    for lines in
        [[GOOD[0], GOOD[1], GOOD[2], other], [GOOD[0], other, GOOD[1], GOOD[2]], [other, GOOD[0], GOOD[1], GOOD[2]]]
    {
        let (plan, summary) = checked(folder.path(), &[("i.csv", &lines.concat())]);
        assert_eq!((summary.documents, summary.rejected, summary.broken.len()), (2, 0, 0), "{summary:?}");
        assert_eq!((summary.schemas[0].records, summary.schemas[0].sources["i.csv"]), (4, 4));
        let documents: Vec<_> = all(&plan, 0).into_iter().map(Result::unwrap).collect();
        assert_eq!(documents.len(), 2);
        let (records, row) = documents.iter().find(|(_, row)| row.number == "A1").unwrap();
        assert_eq!(records.len(), 3);
        let expected = json!([
            { "name": "甲", "quantity": 1, "amount": "1.00" },
            { "name": "乙", "quantity": 2, "amount": "2.50", "note": "急" },
            { "name": "丙", "quantity": 3, "amount": "0.00" },
        ]);
        assert_eq!(row.values["lines"], expected);
        assert_eq!((&row.values["total"], row.references.len(), row.parties.len()), (&json!("9"), 2, 2));
        contents.push((row.id, row.content));
        // Read again it is the same.
        assert_eq!(all(&plan, 0).into_iter().map(Result::unwrap).collect::<Vec<_>>(), documents);
    }
    assert!(contents.iter().all(|content| *content == contents[0]), "the order of documents is none of the content");
    let (plan, _) = checked(folder.path(), &[("i.csv", &[GOOD[1], GOOD[0], GOOD[2]].concat())]);
    assert_ne!(all(&plan, 0)[0].as_ref().unwrap().1.content, contents[0].1, "the order of lines is");
}

#[test]
fn one_bad_row_keeps_the_whole_document_back_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let other = "B7,2026-11-03,y,5,丁,1,500,,T9\n";
    for (bad, code, place) in [
        ("A1,2026-11-02,x,9,丙,x,0,,T1\n", "uplink.number", "i.csv, line 4, column 6 (数量)"),
        ("A1,2026-11-02,x,9,,3,0,,T1\n", "uplink.required", "i.csv, line 4, column 5 (项目)"),
        ("A1,2026-11-02,x,9,=1+1,3,0,,T1\n", "uplink.formula", "i.csv, line 4, column 5 (项目)"),
        ("A1,2026-11-02,x,8,丙,3,0,,T1\n", "uplink.group", "i.csv, line 4, column 4 (合计)"),
        ("A1,2026-11-02,y,9,丙,3,0,,T1\n", "uplink.group", "i.csv, line 4, column 3 (购方)"),
        ("a1,2026-11-02,x,9,丙,3,0,,T1\n", "uplink.group", "i.csv, line 4, column 1 (发票号码)"),
        ("A1,2026-11-02,x,9,丙,3,0,,\n", "uplink.required", "i.csv, line 4, column 9 (交易)"),
    ] {
        let (plan, summary) = checked(folder.path(), &[("i.csv", &[GOOD[0], GOOD[1], bad, other].concat())]);
        assert_eq!((summary.documents, summary.rejected, summary.broken.len()), (1, 3, 0), "{bad}: {summary:?}");
        let documents = all(&plan, 0);
        let Err(Bad::Rows(records, faults)) = &documents[0] else { panic!("{bad}") };
        assert_eq!((records.len(), faults.len(), faults[0].code, &*faults[0].place), (3, 1, code, place), "{faults:?}");
        assert!(documents[1].is_ok());
        // Mended in the file of rejected rows it is the document that it would have been.
        let mut rejected = crate::rejected::Rejected::new(&plan.jobs[0].found, None, None, folder.path());
        records.iter().for_each(|record| rejected.add(record, faults).unwrap());
        let path = rejected.finish().unwrap().unwrap();
        let mended = fs::read_to_string(&path).unwrap();
        let line = mended.lines().nth(3).unwrap().to_owned();
        let tail = line.splitn(10, ',').nth(9).unwrap();
        let mended = mended.replace(&line, &format!("A1,2026-11-02,x,9,丙,3,0,,T1,{tail}"));
        fs::write(&path, mended).unwrap();
        let job = Job { found: discover(&path, folder.path()).unwrap().remove(0), map: 0, after: None };
        let mut again = Plan::new(vec![invoices(|_| ()).unwrap()], vec![job]);
        let summary = again.check(folder.path(), &mut |_| {}).unwrap();
        assert_eq!((summary.documents, summary.rejected), (1, 0), "{bad}: {summary:?}");
        let (plan, _) = checked(folder.path(), &[("i.csv", &[GOOD[0], GOOD[1], GOOD[2]].concat())]);
        let (mended, good) = (all(&again, 0).remove(0).unwrap().1, all(&plan, 0).remove(0).unwrap().1);
        assert_eq!((mended.id, mended.content), (good.id, good.content));
        fs::remove_file(path).unwrap();
    }
    // Sixteen transactions are the most that the schema lets.
    let many: String = (0..17).map(|number| format!("A1,2026-11-02,x,9,丙,3,0,,T{number}\n")).collect();
    let (plan, _) = checked(folder.path(), &[("i.csv", &many)]);
    let Err(Bad::Rows(records, faults)) = all(&plan, 0).remove(0) else { panic!("too many references") };
    assert_eq!((records.len(), faults[0].code), (17, "uplink.required"), "{faults:?}");
}

/// None of two halves is sent.
#[test]
fn a_document_that_is_in_two_files_is_in_neither() {
    let folder = tempfile::tempdir().unwrap();
    let other = "B7,2026-11-03,y,5,丁,1,500,,T9\n";
    let (plan, summary) =
        checked(folder.path(), &[("i1.csv", &[GOOD[0], GOOD[1], other].concat()), ("i2.csv", GOOD[2])]);
    assert_eq!((summary.documents, summary.rejected, summary.schemas[0].records), (1, 3, 1), "{summary:?}");
    for (number, file) in [(0, "i2.csv"), (1, "i1.csv")] {
        let Err(Bad::Rows(_, faults)) = all(&plan, number).remove(0) else {
            panic!("half of a document in job {number}")
        };
        assert!(
            faults[0].code == "uplink.duplicate_number" && faults[0].reason.to_string().contains(file),
            "{faults:?}"
        );
    }
}

#[test]
fn a_row_that_may_lack_in_any_document_stops_its_source() {
    let folder = tempfile::tempdir().unwrap();
    for (bad, code) in [(",2026-11-02,x,9,丙,3,0,,T1\n", "uplink.group"), ("A1,2026\n", "uplink.ragged")] {
        let (_, summary) = checked(folder.path(), &[("i.csv", &[GOOD[0], bad].concat())]);
        assert_eq!((summary.documents, summary.broken[0].code), (0, code), "{summary:?}");
        assert_eq!(summary.broken[0].place, "i.csv, line 3");
    }
    let path = folder.path().join("j.csv");
    fs::write(&path, "发票号码,项目\nA1,x\n").unwrap();
    let job = Job { found: discover(&path, folder.path()).unwrap().remove(0), map: 0, after: None };
    let mut plan = Plan::new(vec![invoices(|_| ()).unwrap()], vec![job]);
    assert_eq!(plan.check(folder.path(), &mut |_| {}).unwrap().broken[0].code, "uplink.mapping");
}

#[test]
fn a_group_that_does_not_fit_is_refused_with_its_place() {
    type Spoil = fn(&mut Mapping);
    let all: [(Spoil, &str); 8] = [
        (|mapping| mapping.group.as_mut().unwrap().field = "none".into(), "group.field"),
        (|mapping| mapping.group.as_mut().unwrap().field = "total".into(), "group.field"),
        (|mapping| drop(mapping.fields.insert("lines".into(), mapping.fields["total"].clone())), "group.field"),
        (|mapping| mapping.group.as_mut().unwrap().line.clear(), "group.line"),
        (|mapping| mapping.group.as_mut().unwrap().line.get_mut("name").unwrap().0.shift = 2, "group.line.name"),
        (|mapping| mapping.fields.get_mut("total").unwrap().0.optional = true, "fields.total"),
        (|mapping| mapping.whole_files = true, "group"),
        (|mapping| mapping.group = None, "references.transaction"),
    ];
    for (change, place) in all {
        let faults = invoices(change).unwrap_err();
        assert!(faults.iter().any(|fault| fault.place == format!("service-invoice: {place}")), "{place}: {faults:?}");
    }
}

/// What a database gave is what is sent; a file that is another by then is not.
#[test]
fn what_is_sent_is_what_was_checked() {
    let folder = tempfile::tempdir().unwrap();
    let one = [HEAD, &line("甲", "A1", "某行")].concat();
    let mut by_file = plan(folder.path(), &[("人员实名认证.csv", one.as_bytes())]);
    assert_eq!(by_file.check(folder.path(), &mut |_| {}).unwrap().documents, 1);
    let mut begun = by_file.rows(0).unwrap();
    assert!(matches!(begun.next_row(), Some(Ok(_))));
    fs::write(folder.path().join("人员实名认证.csv"), [&one, &*line("乙", "A2", "某行")].concat()).unwrap();
    // What was under way does not come to a good end.
    let last = std::iter::from_fn(|| begun.next_row()).last();
    assert!(matches!(last, Some(Err(Bad::Stop(faults))) if faults[0].code == "uplink.source"));
    assert!(begun.next_row().is_none());
    assert_eq!(by_file.rows(0).unwrap_err().code, "uplink.source");

    let path = folder.path().join("人员实名认证.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    let columns: Vec<&str> = HEAD.trim().split(',').collect();
    let insert = |number: &str| {
        let cells: Vec<String> = line("甲", number, "某行").trim().split(',').map(|cell| format!("'{cell}'")).collect();
        connection.execute(&format!("INSERT INTO p VALUES ({})", cells.join(",")), []).unwrap();
    };
    connection.execute_batch(&format!("CREATE TABLE p ({})", columns.join(","))).unwrap();
    insert("A3");
    let mut mapping = MappingFile::parse(MAPPING, "m").unwrap().maps.remove(0);
    mapping.query = Some("SELECT * FROM p".into());
    let applier = Applier::new(mapping, schema(), "institution", UplinkKey::new([7; 32]), Numbers::default());
    let job = Job { found: discover(&path, folder.path()).unwrap().remove(0), map: 0, after: None };
    let mut by_query = Plan::new(vec![applier.unwrap()], vec![job]);
    assert_eq!(by_query.check(folder.path(), &mut |_| {}).unwrap().documents, 1);
    insert("A4");
    assert_eq!(all(&by_query, 0).len(), 1);
    assert_eq!(by_query.check(folder.path(), &mut |_| {}).unwrap().documents, 2);
}
