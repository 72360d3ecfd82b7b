use std::{fs, io::Read as _, path::PathBuf};

use clap::Parser;
use lopdf::{Dictionary, EncryptionState, EncryptionVersion, Object, Permissions, Stream, StringFormat, dictionary};
use proptest::prelude::*;
use zip::{ZipWriter, write::SimpleFileOptions};

use super::*;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: ReadArgs,
}

/// Text and pages of a part, or a code.
type Seen = Result<(String, Vec<u64>), String>;

/// Parts with their texts and pages, or codes; the whole's own code last.
fn seen(name: &str, bytes: &[u8]) -> Vec<(String, Seen)> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    let code = |error: &anyhow::Error| error.downcast_ref::<Refused>().unwrap().0.code.clone();
    let mut all = Vec::new();
    let parts = Parts { args: Cli::parse_from(["x"]).args, folder: folder.path() };
    let result = parts.each(&path, &mut |part, source| {
        let part = part.strip_prefix(folder.path().to_str().unwrap()).unwrap().trim_start_matches('/').to_owned();
        let text = source.map_err(|error| code(&error)).map(|mut source| {
            let mut text = String::new();
            source.reader.read_to_string(&mut text).unwrap();
            (text, source.pages)
        });
        all.push((part, text));
        Ok(())
    });
    if let Err(error) = result {
        all.push((String::new(), Err(code(&error))));
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "something is left on the disk");
    all
}

fn one(name: &str, bytes: &[u8]) -> Result<(String, Vec<u64>), String> {
    let mut all = seen(name, bytes);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0).1
}

fn packed(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

pub(in crate::commands) fn workbook(sheets: &[(&str, &[&[&str]])]) -> Vec<u8> {
    let mut book = rust_xlsxwriter::Workbook::new();
    for (name, rows) in sheets {
        let sheet = book.add_worksheet().set_name(*name).unwrap();
        for (line, row) in (2..).zip(*rows) {
            for (column, cell) in (1..).zip(*row) {
                sheet.write_string(line, column, *cell).unwrap();
            }
        }
    }
    book.save_to_buffer().unwrap()
}

/// A PDF with a page for each content, and a font that reads two bytes as a character.
fn document(contents: Vec<Stream>) -> Document {
    let mut document = Document::with_version("1.5");
    let pages = document.new_object_id();
    let font = document.add_object(dictionary! {
        "Type" => "Font", "Subtype" => "Type0", "BaseFont" => "STSong-Light", "Encoding" => "UniGB-UCS2-H",
    });
    let resources = document.add_object(dictionary! { "Font" => dictionary! { "F1" => font } });
    let mut kids: Vec<Object> = Vec::new();
    for content in contents {
        let content = document.add_object(content);
        let page = dictionary! { "Type" => "Page", "Parent" => pages, "Contents" => content, "Resources" => resources };
        kids.push(document.add_object(page).into());
    }
    let count = i64::try_from(kids.len()).unwrap();
    document.objects.insert(pages, dictionary! { "Type" => "Pages", "Kids" => kids, "Count" => count }.into());
    let catalog = document.add_object(dictionary! { "Type" => "Catalog", "Pages" => pages });
    document.trailer.set("Root", catalog);
    document
}

fn lines(lines: &[&str]) -> Stream {
    let hex = |line: &&str| line.encode_utf16().map(|unit| format!("{unit:04X}")).collect::<String>();
    let shown: Vec<String> = lines.iter().map(|line| format!("<{}> Tj T*", hex(line))).collect();
    Stream::new(Dictionary::new(), format!("BT /F1 12 Tf 60 780 Td 20 TL\n{}\nET", shown.join("\n")).into_bytes())
}

fn bytes(mut document: Document) -> Vec<u8> {
    let mut out = Vec::new();
    document.save_to(&mut out).unwrap();
    out
}

#[test]
fn sheets_are_tables_with_heads() {
    let book = workbook(&[
        ("人员", &[&["姓名", "", "手机"], &["张三", "x", "13812345678"], &["李\"四\n", "", ""]]),
        ("空", &[]),
        ("其他", &[&["a"], &["1"]]),
    ]);
    let all = seen("t.xlsx", &book);
    let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["t.xlsx/人员.csv", "t.xlsx/其他.csv"]);
    let expected =
        "\"A\",\"姓名\",\"C\",\"手机\"\n\"\",\"张三\",\"x\",\"13812345678\"\n\"\",\"李\"\"四\n\",\"\",\"\"\n";
    assert_eq!(all[0].1.as_ref().unwrap().0, expected);
    assert_eq!(one("t.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 and more"), Err("stream.encrypted".into()));
    assert_eq!(one("t.xlsx", &packed(&[("xl/workbook.xml", b"<workbook/>")])), Err("stream.format".into()));
    // A few cells far apart are a table of gigabytes.
    let mut far = rust_xlsxwriter::Workbook::new();
    let sheet = far.add_worksheet();
    for line in 0..1_000 {
        sheet.write_string(line * 1_000, 16_383, "x").unwrap();
    }
    assert_eq!(one("t.xlsx", &far.save_to_buffer().unwrap()), Err("stream.bomb".into()));
    let bomb = vec![b' '; 64 << 20];
    let bomb = packed(&[("xl/workbook.xml", b"<workbook/>"), ("xl/sharedStrings.xml", &bomb)]);
    assert_eq!(one("t.xlsx", &bomb), Err("stream.bomb".into()));
}

#[test]
fn texts_of_pages_have_their_places() {
    let pdf = bytes(document(vec![lines(&["合约编号：1", "甲方"]), lines(&["手机 13812345678"])]));
    let (text, pages) = one("t.pdf", &pdf).unwrap();
    let found: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(found, ["合约编号：1", "甲方", "手机 13812345678"]);
    assert_eq!(pages.len(), 2);
    let second = text.lines().nth(usize::try_from(pages[1]).unwrap() - 1).unwrap();
    assert_eq!(second.trim(), "手机 13812345678");
}

#[test]
fn broken_pdfs_are_told_by_code() {
    let picture = bytes(document(vec![Stream::new(Dictionary::new(), b"q Q".to_vec())]));
    assert_eq!(one("t.pdf", &picture), Err("stream.no_text".into()));
    let mut locked = document(vec![lines(&["x"])]);
    let id = Object::String(vec![7; 16], StringFormat::Hexadecimal);
    locked.trailer.set("ID", vec![id.clone(), id]);
    let version = EncryptionVersion::V2 {
        document: &locked,
        owner_password: "owner",
        user_password: "user",
        key_length: 128,
        permissions: Permissions::all(),
    };
    let state = EncryptionState::try_from(version).unwrap();
    locked.encrypt(&state).unwrap();
    assert_eq!(one("t.pdf", &bytes(locked)), Err("stream.encrypted".into()));
    let mut bomb = Stream::new(Dictionary::new(), vec![b' '; 80 << 20]);
    bomb.compress().unwrap();
    assert_eq!(one("t.pdf", &bytes(document(vec![bomb]))), Err("stream.bomb".into()));
    assert_eq!(one("t.pdf", b"%PDF-1.7 and nothing"), Err("stream.format".into()));
}

#[test]
fn archives_are_looked_into_within_bounds() {
    let book = workbook(&[("页", &[&["手机"], &["13812345678"]])]);
    let pdf = bytes(document(vec![lines(&["正文"])]));
    let inner = packed(&[("a.csv", b"a\n1\n")]);
    let whole = packed(&[
        ("表/a.csv", "手机\n13812345678\n".as_bytes()),
        ("b.xlsx", &book),
        ("c.pdf", &pdf),
        ("d.zip", &inner),
        ("e.png", b"\x89PNG\0\0"),
    ]);
    let all = seen("t.zip", &whole);
    let told: Vec<(&str, Result<&str, &str>)> = all
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_ref().map(|(text, _)| text.trim()).map_err(String::as_str)))
        .collect();
    assert_eq!(
        told,
        [
            ("t.zip/表/a.csv", Ok("手机\n13812345678")),
            ("t.zip/b.xlsx/页.csv", Ok("\"A\",\"手机\"\n\"\",\"13812345678\"")),
            ("t.zip/c.pdf", Ok("正文")),
            ("t.zip/d.zip", Err("stream.archive")),
            ("t.zip/e.png", Err("stream.binary")),
        ]
    );
    let code = |bytes: &[u8]| seen("t.zip", bytes).pop().unwrap().1.unwrap_err();
    assert_eq!(code(&packed(&[("zeros.csv", &vec![b'0'; 64 << 20])])), "stream.bomb");
    assert_eq!(code(&packed(&[("../out.csv", b"a")])), "stream.archive");
    assert_eq!(code(b"PK\x03\x04 not really"), "stream.format");
    // The flag for a password, in both places where it stands.
    let mut locked = packed(&[("a.csv", b"a\n1\n")]);
    let directory = locked.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    locked[6] |= 1;
    locked[directory + 8] |= 1;
    assert_eq!(code(&locked), "stream.encrypted");
    // Many small entries count together.
    let piece = vec![b'0'; 4 << 20];
    let names: Vec<String> = (0..20).map(|number| format!("{number}.txt")).collect();
    let many: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &piece[..])).collect();
    assert_eq!(code(&packed(&many)), "stream.bomb");
    let folder: PathBuf = std::env::temp_dir();
    assert!(!folder.join("out.csv").exists());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever is changed in a file, it is read or refused.
    #[test]
    fn nothing_breaks_the_reader(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12), cut in any::<prop::sample::Index>()) {
        for (name, mut bytes) in [
            ("t.pdf", bytes(document(vec![lines(&["合约"])]))),
            ("t.xlsx", workbook(&[("a", &[&["b"], &["1"]])])),
            ("t.zip", packed(&[("a.csv", b"a\n1\n")])),
        ] {
            for (at, byte) in &changes {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            bytes.truncate(bytes.len() - cut.index(bytes.len() / 4));
            let _ = seen(name, &bytes);
        }
    }
}
