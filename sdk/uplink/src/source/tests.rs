use std::{fs, path::Path};

use super::*;
use crate::{Node, Place, discover};

/// What a source gives: texts of records, or the code and place of what is wrong.
fn read(name: &str, bytes: &[u8], options: &ReadOptions) -> Vec<Result<String, (&'static str, String)>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    let told = |fault: Fault| (fault.code, fault.place);
    let found = match discover(&path, folder.path()) {
        Ok(found) => found,
        Err(fault) => return vec![Err(told(fault))],
    };
    let reader = match Reader::open(&found[0], options) {
        Ok(reader) => reader,
        Err(fault) => return vec![Err(told(fault))],
    };
    let text = |node: &Node| node.text().unwrap_or_else(|| node.json().to_string());
    reader
        .map(|item| match item {
            Ok(record) => {
                let cells =
                    record.columns.iter().zip(&record.values).map(|(name, node)| format!("{name}={}", text(node)));
                Ok(format!("{}: {}", record.place.line, cells.collect::<Vec<_>>().join(" ")))
            }
            Err(Broken::Row(_, fault) | Broken::Stop(fault)) => Err(told(fault)),
        })
        .collect()
}

fn plain(name: &str, bytes: &[u8]) -> Vec<Result<String, (&'static str, String)>> {
    read(name, bytes, &ReadOptions::default())
}

fn good(lines: &[&str]) -> Vec<Result<String, (&'static str, String)>> {
    lines.iter().map(|line| Ok((*line).to_owned())).collect()
}

fn last_fault(read: Vec<Result<String, (&'static str, String)>>) -> (&'static str, String) {
    read.into_iter().next_back().unwrap().unwrap_err()
}

#[test]
fn csv_in_every_encoding_with_places() {
    let text = "姓名,金额\r\n张三,\"1,2\"\r\n\r\n\"李\n四\",3\n";
    let expected = good(&["2: 姓名=张三 金额=1,2", "4: 姓名=李\n四 金额=3"]);
    let (gbk, ..) = encoding_rs::GB18030.encode(text);
    let utf16: Vec<u8> = "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let marked = [b"\xef\xbb\xbf", text.as_bytes()].concat();
    for bytes in [text.as_bytes(), &gbk, &utf16, &marked] {
        assert_eq!(plain("t.csv", bytes), expected);
    }
    // Plain ASCII for longer than what is looked at first, then GBK.
    let mut long = b"a,b\n".to_vec();
    for _ in 0..20_000 {
        long.extend_from_slice(b"xxxx,yyyy\n");
    }
    long.extend_from_slice(b"\xd5\xc5\xc8\xfd,1\n");
    assert_eq!(plain("t.csv", &long).pop().unwrap().unwrap(), "20002: a=张三 b=1");
}

#[test]
fn a_ragged_row_is_its_own_fault() {
    let read = plain("t.csv", b"a,b\n1,2\n3\n4,5,6\n7,8\n");
    let codes: Vec<_> = read
        .iter()
        .map(|item| item.as_ref().map(String::as_str).map_err(|(code, place)| (*code, place.as_str())))
        .collect();
    assert_eq!(
        codes,
        [
            Ok("2: a=1 b=2"),
            Err(("uplink.ragged", "t.csv, line 3")),
            Err(("uplink.ragged", "t.csv, line 4")),
            Ok("5: a=7 b=8")
        ]
    );
}

#[test]
fn broken_tables_have_codes_and_places() {
    let utf8 = ReadOptions { encoding: Some(Encoding::Utf8), ..ReadOptions::default() };
    for (bytes, options, code, place) in [
        (&b""[..], &ReadOptions::default(), "uplink.empty", "t.csv"),
        (b" \n", &ReadOptions::default(), "uplink.empty", "t.csv"),
        (b"a,b\n1,\xd5\xc5\n", &utf8, "uplink.encoding", "t.csv, line 2, column 2"),
        (b"a,b\n\0\n", &ReadOptions::default(), "uplink.format", "t.csv"),
        (b"a,b\n1,\"x\n", &ReadOptions::default(), "uplink.format", "t.csv, line 2"),
        (b"a,a\n1,2\n", &ReadOptions::default(), "uplink.head", "t.csv, head line"),
        (b"a,\n1,2\n", &ReadOptions::default(), "uplink.head", "t.csv, head line"),
    ] {
        assert_eq!(last_fault(read("t.csv", bytes, options)), (code, place.to_owned()));
    }
    let open = [b"a,b\n1,\"".to_vec(), vec![b'x'; 9 << 20]].concat();
    assert_eq!(last_fault(plain("t.csv", &open)).0, "uplink.too_long");
}

#[test]
fn json_as_array_lines_and_within() {
    let expected = good(&["1: a=1.50 b=", "2: a=x b=[\"2\",{\"c\":\"3\"}]"]);
    assert_eq!(plain("t.json", b"[{\"a\":1.50,\"b\":null},\n{\"a\":\"x\",\"b\":[2,{\"c\":3}]}]"), expected);
    assert_eq!(plain("t.ndjson", b"{\"a\":1.50,\"b\":null}\n{\"a\":\"x\",\"b\":[2,{\"c\":3}]}\n"), expected);
    let within = ReadOptions { records: Some("data.rows".into()), ..ReadOptions::default() };
    let text = br#"{"data":{"total":2,"skip":[1,{"rows":[]}],"rows":[{"a":1.50,"b":null}]}}"#;
    assert_eq!(read("t.json", text, &within), good(&["1: a=1.50 b="]));
    let digits = format!("[{{\"a\":{}}}]", "9".repeat(40));
    assert_eq!(plain("t.json", digits.as_bytes()), good(&[&format!("1: a={}", "9".repeat(40))]));
    for (text, code) in [
        ("[{\"a\":1}]\n[{\"a\":2}]", "uplink.format"),
        ("[{\"a\":1}", "uplink.format"),
        ("[{\"a\":1} {\"a\":2}]", "uplink.format"),
        ("[{\"a\":01}]", "uplink.format"),
        ("[{\"a\":1,\"a\":2}]", "uplink.format"),
        ("[1]", "uplink.format"),
        ("[{\"a\":\"\\ud800\"}]", "uplink.format"),
        (&format!("[{}", "{\"a\":".repeat(40)), "uplink.too_deep"),
        (&format!("[{{\"a\":{}}}]", "9".repeat(200)), "uplink.format"),
        (&format!("[{{\"a\":\"{}\"}}]", "x".repeat(9 << 20)), "uplink.too_long"),
    ] {
        assert_eq!(last_fault(plain("t.json", text.as_bytes())).0, code, "{}", &text[..text.len().min(60)]);
    }
    assert_eq!(last_fault(read("t.json", b"{\"data\":{}}", &within)).0, "uplink.format");
}

/// What is behind an end that nobody said may be anything.
#[test]
fn a_reader_that_dies_is_no_end() {
    let read: Vec<Item> = on_thread("t", |send| {
        let place = Place { file: "t".into(), sheet: None, record: 1, line: 0, byte: 0 };
        send(Ok(Record { place, columns: Arc::from([]), values: Vec::new() }));
        panic!("a decoder's fault");
    })
    .unwrap()
    .collect();
    assert!(read[0].is_ok());
    assert!(matches!(&read[1], Err(Broken::Stop(fault)) if fault.code == "uplink.io"), "{read:?}");
    assert_eq!(read.len(), 2);
}

#[test]
fn xml_by_element_and_without_document_types() {
    let text = "<?xml version=\"1.0\" encoding=\"GBK\"?>\n<list xmlns=\"u\"><row id=\"1\"><名>张 &amp; &#x674e;</名>\n\
        <i><v>1</v></i><i><v>2</v></i><e/></row><row id=\"2\"><![CDATA[x<y]]></row></list>";
    let expected = good(&["2: @id=1 名=张 & 李 i=[{\"v\":\"1\"},{\"v\":\"2\"}] e=", "3: @id=2 #text=x<y"]);
    let (gbk, ..) = encoding_rs::GB18030.encode(text);
    assert_eq!(plain("t.xml", &gbk), expected);
    let named = ReadOptions { records: Some("i".into()), ..ReadOptions::default() };
    assert_eq!(read("t.xml", &gbk, &named), good(&["3: v=1", "3: v=2"]));
    let bomb = "<?xml version=\"1.0\"?><!DOCTYPE l [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><l><r>&b;</r></l>";
    assert_eq!(last_fault(plain("t.xml", bomb.as_bytes())).0, "uplink.xml_doctype");
    for (text, code) in [
        ("<l><r>&nope;</r></l>", "uplink.format"),
        ("<l><r></l>", "uplink.format"),
        ("<l><r>", "uplink.format"),
        (&format!("<l>{}", "<r>".repeat(60)), "uplink.too_deep"),
        (&format!("<l><r>{}</r></l>", "x".repeat(9 << 20)), "uplink.too_long"),
    ] {
        assert_eq!(last_fault(plain("t.xml", text.as_bytes())).0, code, "{}", &text[..text.len().min(60)]);
    }
}

fn workbook(path: &Path, write: impl FnOnce(&mut rust_xlsxwriter::Worksheet)) -> Vec<u8> {
    let mut book = rust_xlsxwriter::Workbook::new();
    write(book.add_worksheet().set_name("合约").unwrap());
    book.save(path).unwrap();
    fs::read(path).unwrap()
}

#[test]
fn workbooks_row_by_row_with_cells() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.xlsx");
    let day = rust_xlsxwriter::ExcelDateTime::from_ymd(2026, 11, 2).unwrap();
    let form = rust_xlsxwriter::Format::new().set_num_format("yyyy-mm-dd");
    let bytes = workbook(&path, |sheet| {
        for (column, name) in (1..).zip(["编号", "金额", "日期", "好"]) {
            sheet.write(1, column, name).unwrap();
        }
        sheet.write(2, 1, "A1").unwrap();
        sheet.write(2, 2, 12.5).unwrap();
        sheet.write_with_format(2, 3, &day, &form).unwrap();
        sheet.write(2, 4, true).unwrap();
        sheet.write(4, 1, "A2").unwrap();
        sheet.write(4, 2, 6_222_020_200_112_233_445_f64).unwrap();
        sheet.write(5, 7, "outside").unwrap();
    });
    let rows = plain("w.xlsx", &bytes);
    assert_eq!(rows[0], Ok("3: 编号=A1 金额=12.5 日期=2026-11-02 好=true".to_owned()));
    assert_eq!(rows[1], Err(("uplink.precision", "w.xlsx, sheet 合约, cell C5 (金额)".to_owned())));
    assert_eq!(rows[2], Err(("uplink.ragged", "w.xlsx, sheet 合约, cell H6 (no name)".to_owned())));
    let other = ReadOptions { sheet: Some("none".into()), ..ReadOptions::default() };
    assert_eq!(last_fault(read("w.xlsx", &bytes, &other)).0, "uplink.mapping");
    let found = discover(&path, folder.path()).unwrap().remove(0);
    assert_eq!(Reader::open(&found, &ReadOptions::default()).unwrap().sheets(), ["合约"]);
    let empty = workbook(&path, |_| {});
    assert_eq!(last_fault(plain("w.xlsx", &empty)).0, "uplink.empty");
    assert_eq!(last_fault(plain("w.xlsx", &bytes[..bytes.len() / 2])).0, "uplink.format");
    let locked = [b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec(), vec![0; 600]].concat();
    assert_eq!(last_fault(plain("w.xlsx", &locked)).0, "uplink.encrypted");
}

/// A text that stands in a workbook once is in a row as often as its cells name it.
#[test]
fn a_row_of_shared_texts_has_a_bound_too() {
    let folder = tempfile::tempdir().unwrap();
    let long = "x".repeat(32_767);
    let bytes = workbook(&folder.path().join("w.xlsx"), |sheet| {
        for column in 0..300 {
            sheet.write(0, column, format!("c{column}")).unwrap();
            sheet.write(if column < 200 { 1 } else { 2 }, column, &long).unwrap();
            sheet.write(3, column, &long).unwrap();
        }
    });
    let read = plain("w.xlsx", &bytes);
    assert_eq!(read.iter().filter(|item| item.is_ok()).count(), 2);
    assert_eq!(last_fault(read), ("uplink.too_long", "w.xlsx, sheet 合约".to_owned()));
}

#[test]
fn hours_and_days_that_are_none_are_not_taken_for_days() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.xlsx");
    let form = |text: &str| rust_xlsxwriter::Format::new().set_num_format(text);
    let bytes = workbook(&path, |sheet| {
        for (line, (value, text)) in (1..).zip([
            (0.395_833_333_333, "hh:mm"),
            (1.0625, "[h]:mm"),
            (46_328.5, "yyyy-mm-dd hh:mm"),
            (3e6, "yyyy-mm-dd"),
            (-1.0, "yyyy-mm-dd"),
        ]) {
            sheet.write_with_format(line, 0, value, &form(text)).unwrap();
        }
        sheet.write(0, 0, "a").unwrap();
    });
    let rows = plain("w.xlsx", &bytes);
    assert_eq!(rows[..3], good(&["2: a=09:30:00", "3: a=25:30:00", "4: a=2026-11-02T12:00:00"]));
    assert_eq!(rows[3], Err(("uplink.date", "w.xlsx, sheet 合约, cell A5 (a)".to_owned())));
    assert_eq!(rows[4].as_ref().unwrap_err().0, "uplink.date");
}

/// Bytes that are no characters are told wherever they stand.
#[test]
fn wrong_bytes_are_told_in_every_format() {
    let utf8 = ReadOptions { encoding: Some(Encoding::Utf8), ..ReadOptions::default() };
    for (name, bytes, place) in [
        ("t.json", &b"[{\"a\":1},\n{\"b\":\"\xd5\xc5\"}]"[..], "t.json, line 2"),
        ("t.json", b"[{\"\xd5\xc5\":1}]", "t.json, line 1"),
        ("t.xml", b"<l>\n<r><a>\xd5\xc5</a></r></l>", "t.xml, line 2"),
        ("t.xml", b"<l>\n<r a=\"\xd5\xc5\"/></l>", "t.xml, line 2"),
    ] {
        assert_eq!(last_fault(read(name, bytes, &utf8)), ("uplink.encoding", place.to_owned()), "{name}");
    }
}

/// What is small and would take long, or much memory, is refused.
#[test]
fn many_names_in_one_record_are_refused() {
    let keys: Vec<String> = (0..=COLUMNS_MAX).map(|number| format!("\"k{number}\":1")).collect();
    let attributes: String = (0..=COLUMNS_MAX).map(|number| format!(" k{number}=\"1\"")).collect();
    let elements: String = (0..=COLUMNS_MAX).map(|number| format!("<k{number}/>")).collect();
    let cells: Vec<String> = (0..=COLUMNS_MAX).map(|number| number.to_string()).collect();
    for (name, text) in [
        ("t.json", format!("[{{{}}}]", keys.join(","))),
        ("t.json", format!("[{{\"a\":{{{}}}}}]", keys.join(","))),
        ("t.xml", format!("<l><r{attributes}/></l>")),
        ("t.xml", format!("<l><r>{elements}</r></l>")),
        ("t.csv", format!("{}\n", cells.join(","))),
    ] {
        assert_eq!(last_fault(plain(name, text.as_bytes())).0, "uplink.too_long", "{name}");
    }
    // Elements of one name are a list, however many.
    let same = "<k/>".repeat(2 * COLUMNS_MAX);
    assert!(plain("t.xml", format!("<l><r>{same}</r></l>").as_bytes())[0].is_ok());
}

#[test]
fn databases_by_query_and_never_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.db");
    {
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection
            .execute_batch(
                "CREATE TABLE o (id INTEGER, 名 TEXT); INSERT INTO o VALUES (1, '张'), (2, NULL), (3, x'ff');",
            )
            .unwrap();
    }
    let bytes = fs::read(&path).unwrap();
    let query = |text: &str, after: Option<&str>| {
        let options =
            ReadOptions { query: Some(text.into()), after: after.map(str::to_owned), ..ReadOptions::default() };
        read("d.db", &bytes, &options)
    };
    let all = query("SELECT id, 名 FROM o WHERE :after IS NULL OR id > :after ORDER BY id", None);
    assert_eq!(all[..2], good(&["0: id=1 名=张", "0: id=2 名="]));
    assert_eq!(all[2], Err(("uplink.format", "d.db, record 3, column 2 (名)".to_owned())));
    assert_eq!(query("SELECT id FROM o WHERE :after IS NULL OR id > :after", Some("n2")), good(&["0: id=3"]));
    for text in [
        "DELETE FROM o",
        "DELETE FROM o RETURNING id",
        "VACUUM INTO 'copy.db'",
        "ATTACH 'copy.db' AS c",
        "PRAGMA user_version = 7",
    ] {
        assert_eq!(last_fault(query(text, None)).0, "uplink.mapping", "{text}");
    }
    assert!(!Path::new("copy.db").exists());
    assert_eq!(last_fault(query("SELECT 1 AS a, 2 AS a", None)).0, "uplink.head");
    assert_eq!(last_fault(query("SELECT hex(zeroblob(4500000)) AS a", None)).0, "uplink.too_long");
    assert_eq!(last_fault(query("SELECT nothing FROM o", None)).0, "uplink.database");
    assert_eq!(last_fault(plain("d.db", &bytes)).0, "uplink.mapping");
}

#[test]
fn other_files_are_records_by_themselves() {
    let read = plain("C-001.pdf", b"%PDF-1.7 ...");
    assert_eq!(read, good(&["0: name=C-001.pdf stem=C-001 extension=pdf bytes=12 file=C-001.pdf"]));
    assert_eq!(last_fault(plain("a.png", b"")).0, "uplink.empty");
}

/// Reading goes on behind a mark whatever it is made of.
#[test]
fn watermarks_keep_their_kind() {
    let folder = tempfile::tempdir().unwrap();
    for (kind, rows) in [
        ("INTEGER", ["1", "2", "30", "1000000000000000001"]),
        ("REAL", ["0.5", "1.5", "2.25", "1e300"]),
        ("TEXT", ["'0001'", "'0002'", "'0003'", "'0010'"]),
        ("TEXT", ["'2026-11-01'", "'2026-11-02'", "'2026-11-03'", "'2026-12-01'"]),
    ] {
        let path = folder.path().join(format!("{kind}-{}.db", rows[1].len()));
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection.execute_batch(&format!("CREATE TABLE o (m {kind})")).unwrap();
        let found = |path: &Path| discover(path, folder.path()).unwrap().remove(0);
        let mut mark: Option<String> = None;
        for row in rows {
            connection.execute_batch(&format!("INSERT INTO o VALUES ({row})")).unwrap();
            let options = ReadOptions {
                query: Some("SELECT m FROM o WHERE :after IS NULL OR m > :after ORDER BY m".into()),
                after: mark.take(),
                ..ReadOptions::default()
            };
            let read: Vec<Record> = Reader::open(&found(&path), &options).unwrap().map(Result::unwrap).collect();
            assert_eq!(read.len(), 1, "{kind} {row}: {read:?}");
            mark = read[0].values[0].mark();
            assert!(mark.is_some(), "{kind} {row}");
        }
    }
    assert_eq!(
        [Node::Null, Node::Text(String::new()), Node::List(Vec::new())].map(|node| node.mark()),
        [None, None, None]
    );
}
