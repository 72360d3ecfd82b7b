//! A workbook is read as the page has it, row by row and by no thread: it becomes what the same table as text becomes.

use std::io::{Cursor, Write as _};

use serde_json::{Value, json};
use uplink::{Fault, job, sample};

const SCHEMA: &str = include_str!("../../../../genesis/sample/schemas/worker-identity.json");
const HEAD: [&str; 9] =
    ["姓名", "证件类型", "证件号码", "手机号码", "开户行", "银行卡号", "核验方式", "核验结果", "核验时间"];

fn packed(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in parts {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A workbook whose first sheet is a cover without rows.
fn workbook(rows: &[Vec<String>]) -> Vec<u8> {
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let package = "http://schemas.openxmlformats.org/package/2006/relationships";
    let mut texts = Vec::new();
    let mut sheet = |rows: &[Vec<String>]| {
        let mut all = String::new();
        for (line, row) in (1..).zip(rows) {
            let mut cells = String::new();
            for (column, text) in ('A'..).zip(row) {
                cells += &format!("<c r=\"{column}{line}\" t=\"s\"><v>{}</v></c>", texts.len());
                texts.push(format!("<si><t>{text}</t></si>"));
            }
            all += &format!("<row r=\"{line}\">{cells}</row>");
        }
        format!("<worksheet xmlns=\"{main}\"><sheetData>{all}</sheetData></worksheet>")
    };
    let (cover, table) = (sheet(&[vec!["封面".into()]]), sheet(rows));
    let shared = format!("<sst xmlns=\"{main}\" uniqueCount=\"{}\">{}</sst>", texts.len(), texts.concat());
    let to = |id: u32, kind: &str, target: &str| {
        format!("<Relationship Id=\"rId{id}\" Type=\"{office}/{kind}\" Target=\"{target}\"/>")
    };
    let relations = [
        to(1, "worksheet", "worksheets/sheet1.xml"),
        to(2, "worksheet", "worksheets/sheet2.xml"),
        to(3, "sharedStrings", "sharedStrings.xml"),
    ];
    let book = format!(
        "<workbook xmlns=\"{main}\" xmlns:r=\"{office}\"><sheets><sheet name=\"封面\" sheetId=\"1\" r:id=\"rId1\"/>\
         <sheet name=\"人员\" sheetId=\"2\" r:id=\"rId2\"/></sheets></workbook>"
    );
    let root =
        format!("<Relationships xmlns=\"{package}\">{}</Relationships>", to(1, "officeDocument", "xl/workbook.xml"));
    packed(&[
        ("_rels/.rels", &root),
        ("xl/workbook.xml", &book),
        (
            "xl/_rels/workbook.xml.rels",
            &format!("<Relationships xmlns=\"{package}\">{}</Relationships>", relations.concat()),
        ),
        ("xl/sharedStrings.xml", &shared),
        ("xl/worksheets/sheet1.xml", &cover),
        ("xl/worksheets/sheet2.xml", &table),
    ])
}

fn call(work: fn(&[u8]) -> Result<Vec<u8>, Fault>, input: &Value) -> Result<Value, Fault> {
    work(input.to_string().as_bytes()).map(|answer| serde_json::from_slice(&answer).unwrap())
}

fn schema() -> Value {
    let definition: Value = serde_json::from_str(SCHEMA).unwrap();
    json!({ "version": 1, "definition": definition, "registered": { "height": 1, "time_ms": 1 }, "retired": null })
}

fn taken(name: &str, bytes: Vec<u8>) -> Value {
    let source = json!({ "name": name, "bytes": bytes.len() });
    page::hold(bytes);
    source
}

/// What a file becomes: the answer of its check, the documents in steps of two, the file of rejected rows.
fn run(source: &Value, sheet: Option<&str>) -> (Value, Vec<Value>, String) {
    let code = |from: &str, word: &str, code: &str| json!({ "from": from, "codes": { word: code } });
    let mut mapping = json!({ "schema": "worker-identity", "number": ["证件号码"], "public": ["result"],
        "fields": { "name": "姓名", "id_type": code("证件类型", "居民身份证", "resident_id"), "id_number": "证件号码", "mobile": "手机号码",
            "bank_name": "开户行", "bank_account": "银行卡号", "method": code("核验方式", "人脸比对", "face"),
            "result": code("核验结果", "通过", "passed"), "verified_at": "核验时间" },
        "offset": "+08:00", "parties": { "worker": { "person_from": "证件号码", "register": true } } });
    if let Some(sheet) = sheet {
        mapping["sheet"] = sheet.into();
    }
    call(job::key, &json!({ "key": "07".repeat(32) })).unwrap();
    let issue = json!({ "source": source, "chain": "03".repeat(32), "member": "institution", "recipient": "09".repeat(32),
        "schema": schema(), "mapping": mapping });
    let checked = call(job::check, &issue).unwrap();
    let mut all = Vec::new();
    if checked["summary"]["broken"] == json!([]) {
        call(job::begin, &json!({})).unwrap();
        loop {
            let mut next = call(job::next, &json!({ "limit": 2 })).unwrap();
            let rows = next["rows"].as_array_mut().unwrap();
            assert!(rows.len() <= 2);
            all.append(rows);
            if next["end"] == json!(true) {
                break;
            }
        }
    }
    (checked, all, String::from_utf8(job::rejected(b"").unwrap()).unwrap())
}

#[test]
fn a_workbook_becomes_what_its_table_does() {
    let row = |number: &str, at: &str| {
        ["测试甲", "居民身份证", number, "15400000000", "某行", "6222020200112233", "人脸比对", "通过", at]
            .map(String::from)
            .to_vec()
    };
    let mut rows = vec![HEAD.map(String::from).to_vec()];
    rows.extend((1..=5).map(|number| row(&format!("A{number}"), "2026/10/2 9:00")));
    rows.insert(3, row("B1", "不详"));
    let text: String = rows.iter().map(|row| row.join(",") + "\n").collect();

    let (as_text, text_rows, text_rejected) = run(&taken("t.csv", text.into_bytes()), None);
    let source = taken("t.xlsx", workbook(&rows));
    let look = call(sample::look, &json!({ "source": source, "schemas": [schema()] })).unwrap();
    assert_eq!(look["kind"], "xlsx");
    assert_eq!(
        (&look["sheets"], &look["sheet"]),
        (&json!(["封面", "人员"]), &json!("人员")),
        "the cover has no record"
    );
    assert_eq!((&look["columns"], &look["records"]), (&json!(HEAD), &json!(6)));
    assert!(look["samples"]["手机号码"][0]["hidden"].is_number(), "{look}");
    let guess = call(sample::suggest, &schema()).unwrap();
    assert_eq!(guess["mapping"]["fields"]["id_number"], json!({ "from": "证件号码" }));

    let (checked, sheet_rows, rejected) = run(&source, Some("人员"));
    for number in ["documents", "rejected"] {
        assert_eq!(checked["summary"][number], as_text["summary"][number], "{number}");
    }
    let fault = &checked["summary"]["schemas"][0]["shown"][0];
    assert_eq!(
        (&fault["code"], &fault["place"]),
        (&json!("uplink.date"), &json!("t.xlsx, sheet 人员, cell I4 (核验时间)"))
    );
    assert_eq!(checked["rejected_name"], "t.xlsx.rejected.csv");
    let documents =
        |rows: &[Value]| rows.iter().map(|row| (row["id"].clone(), row["content"].clone())).collect::<Vec<_>>();
    assert_eq!(documents(&sheet_rows), documents(&text_rows));
    assert_eq!(sheet_rows.len(), 5);
    assert_eq!(sheet_rows[0]["place"], "t.xlsx, sheet 人员, line 2");
    assert_eq!(
        rejected,
        text_rejected.replace("\"t.csv, line 4, column 9 (核验时间)\"", "\"t.xlsx, sheet 人员, cell I4 (核验时间)\"")
    );

    // Where none is named the first sheet is read, and one that is not there is told with those that are.
    assert_eq!(run(&source, None).0["summary"]["documents"], 0);
    let broken = &run(&source, Some("别的")).0["summary"]["broken"][0];
    assert_eq!(broken["why"][0], json!({ "code": "sheet.unknown", "values": ["别的", "封面, 人员"] }));
}

#[test]
fn what_is_no_workbook_or_too_much_of_one_is_refused() {
    let code = |name: &str, bytes: Vec<u8>| {
        let source = taken(name, bytes);
        call(sample::look, &json!({ "source": source, "schemas": [schema()] })).unwrap_err().code
    };
    let old = [&b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"[..], &[0; 600]].concat();
    assert_eq!(code("t.xlsx", old.clone()), "uplink.encrypted");
    assert_eq!(code("t.xls", old), "uplink.encrypted");
    assert_eq!(code("t.xlsx", b"PK\x03\x04 and more".to_vec()), "uplink.format");
    let half = workbook(&[HEAD.map(String::from).to_vec()]);
    assert_eq!(code("t.xlsx", half[..half.len() / 2].to_vec()), "uplink.format");
    let said = "<sst uniqueCount=\"1000000000000000\"/>";
    assert_eq!(code("t.xlsx", packed(&[("xl/sharedStrings.xml", said)])), "uplink.archive_bomb");
    let zeros = "0".repeat(64 << 20);
    assert_eq!(code("t.xlsx", packed(&[("xl/worksheets/sheet1.xml", &zeros)])), "uplink.archive_bomb");
    assert_eq!(code("t.xlsx", Vec::new()), "uplink.empty");
}
