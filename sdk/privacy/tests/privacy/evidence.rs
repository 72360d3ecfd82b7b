//! Evidence packages: what they prove, and that no byte of them can be changed without a code that says what.

mod corruption;
mod world;

use std::io::Cursor;

use serde_json::{Value, json};
use vouch_privacy::evidence::{EvidenceError, Package, Report, verify};
use vouch_types::{ChainId, Height, TimestampMs, document::VersionState};

use world::{FILE_BYTES, World, certified, maker, open, secret, shown, stamp, written};

fn judged(bytes: &[u8], world: &World) -> Result<Report, EvidenceError> {
    verify(Cursor::new(bytes), Some(world.chain()))
}

#[test]
fn a_package_proves_what_was_put_into_it() {
    let world = World::new();
    let bytes = written(&world.package(2));
    assert_eq!(bytes, written(&world.package(2)), "the same content gives the same file");
    let report = judged(&bytes, &world).unwrap();
    let [first, second] = &report.documents[..] else { panic!("two documents") };
    let fields = shown(&first.fields);
    assert_eq!(fields["amount"], "1234.56");
    assert_eq!(fields["remark"], "第 2 号");
    assert_eq!(fields["items"][1]["amount"], "434.56");
    assert_eq!((first.fields.len(), first.hidden), (6, 7));
    assert_eq!((first.issuer.as_str(), first.state, first.as_of.height), ("accu", VersionState::Effective, Height(3)));
    assert_eq!(first.submission.as_ref().unwrap().height, Height(2));
    assert_eq!((first.attachments[0].shown, second.attachments[0].shown), (FILE_BYTES as u64, 16_384));
    assert!(first.references[0].is_here);
    assert_eq!(report.audit.as_ref().unwrap().records.len(), 4);
    let codes = |list: &[vouch_privacy::evidence::Statement]| list.iter().map(|said| said.code).collect::<Vec<_>>();
    assert_eq!(
        codes(&report.verified),
        [
            "verified.chain",
            "verified.seal",
            "verified.record",
            "verified.fields",
            "verified.submission",
            "verified.file",
            "verified.record",
            "verified.fields",
            "verified.submission",
            "verified.file_part",
            "verified.audit",
        ]
    );
    assert_eq!(
        codes(&report.claimed),
        ["claimed.later", "claimed.later", "claimed.audit", "claimed.maker", "claimed.timestamp", "claimed.content"]
    );
    // Nothing of what was not chosen is in it, not even as a digest.
    let hidden = world.documents[1].commitment.disclosures()[2].as_str().as_bytes().to_vec();
    assert!(!bytes.windows(hidden.len()).any(|window| window == hidden));
}

#[test]
fn without_a_chain_id_the_report_says_that_the_chain_is_open() {
    let world = World::new();
    let bytes = written(&world.package(2));
    let report = verify(Cursor::new(&bytes), None).unwrap();
    assert_eq!(report.claimed[0].code, "claimed.chain");
    assert!(report.verified.iter().all(|said| said.code != "verified.chain"));
    assert_eq!(verify(Cursor::new(&bytes), Some(ChainId([1; 32]))).unwrap_err().code(), "evidence.foreign_chain");
}

#[test]
fn what_is_left_out_is_said() {
    let world = World::new();
    let mut package = world.package(2);
    package.documents.pop();
    package.documents[0].1.submission = None;
    package.documents[0].1.attachments.clear();
    package.audit = None;
    let out = package.write(Cursor::new(Vec::new()), &maker(), &mut open, None).unwrap().into_inner();
    let report = judged(&out, &world).unwrap();
    let codes: Vec<&str> = report.claimed.iter().map(|said| said.code).collect();
    assert_eq!(codes, ["claimed.later", "claimed.submission", "claimed.reference", "claimed.maker", "claimed.content"]);
}

#[test]
fn the_summary_is_for_people_and_has_no_markup_of_others() {
    let world = World::new();
    let bytes = written(&world.package(2));
    let mut archive = zip::ZipArchive::new(Cursor::new(&bytes)).unwrap();
    let text = std::io::read_to_string(archive.by_name("summary.html").unwrap()).unwrap();
    assert!(text.contains("结算单 &lt;b&gt;") && text.contains("提交仲裁 &lt;script&gt;") && text.contains("1234.56"));
    assert!(!text.contains("<script") && !text.contains("http://") && !text.contains("https://"));
}

/// A package is judged before it is written, by the rules of a verifier.
#[test]
fn nobody_makes_a_package_that_proves_nothing() {
    let world = World::new();
    let made = |change: &dyn Fn(&mut Package)| {
        let mut package = world.package(2);
        change(&mut package);
        package.write(Cursor::new(Vec::new()), &maker(), &mut open, Some(&mut stamp)).unwrap_err().code()
    };
    assert_eq!(made(&|p| p.documents.clear()), "evidence.members");
    assert_eq!(made(&|p| p.documents.push(p.documents[0].clone())), "evidence.members");
    assert_eq!(made(&|p| p.documents.push(world.evidence(4, &[3], &[]))), "evidence.unrelated");
    assert_eq!(made(&|p| p.chain = ChainId([1; 32])), "evidence.foreign_chain");
    assert_eq!(made(&|p| p.made.key = secret(9).public()), "evidence.seal");
    assert_eq!(made(&|p| p.made.statement = "x".repeat(5_000)), "evidence.too_large");
    assert_eq!(made(&|p| p.documents[0].1.disclosures.fields.clear()), "evidence.construction");
    assert_eq!(made(&|p| p.documents[0].0.version = 2), "evidence.other_record");
    let fails = |_| Err(std::io::Error::other("no such file"));
    let package = world.package(2);
    let refused = package.write(Cursor::new(Vec::new()), &maker(), &mut { fails }, None).unwrap_err();
    assert_eq!(refused.code(), "evidence.io");
}

/// A file that is not what its field says is found by a verifier, not by who wrote it.
#[test]
fn a_file_with_other_content_is_found_in_its_place() {
    let world = World::new();
    let mut altered = world::content();
    altered[20_000] ^= 1;
    let mut give = |part: vouch_privacy::evidence::FilePart| {
        let from = usize::try_from(part.offset).unwrap();
        Ok(Box::new(Cursor::new(altered[from..].to_vec())) as Box<dyn std::io::Read>)
    };
    let out = world.package(2).write(Cursor::new(Vec::new()), &maker(), &mut give, None).unwrap().into_inner();
    match judged(&out, &world).unwrap_err() {
        EvidenceError::AttachmentChanged { document, file, damaged } => {
            assert_eq!((document.id, file.as_str()), (world.documents[1].document.id, "回单.pdf"));
            assert_eq!((damaged.len(), damaged[0].start, damaged[0].end), (1, 16_384, 32_768));
        }
        other => panic!("{other:?}"),
    }
}

/// A way to lie: the code that must come of it, and the change.
type Lie<'a> = (&'a str, &'a dyn Fn(&mut Package));

/// One who makes a package may lie in every member and seal it properly: proofs refuse it.
fn refuses(world: &World, lies: &[Lie<'_>]) {
    let code = |change: &dyn Fn(&mut Package)| {
        let mut package = world.package(2);
        change(&mut package);
        let written = package.write(Cursor::new(Vec::new()), &maker(), &mut open, Some(&mut stamp));
        written.map_or_else(|error| error.code(), |_| "ok")
    };
    assert_eq!(code(&|_| ()), "ok");
    for (at, (expected, change)) in lies.iter().enumerate() {
        assert_eq!(code(change), *expected, "lie {at}");
    }
}

#[test]
fn a_maker_cannot_lie_about_the_chain() {
    let world = World::new();
    let lies: &[Lie<'_>] = &[
        ("evidence.foreign_chain", &|p| p.history.genesis.time.0 += 1),
        ("evidence.history", &|p| p.history.first_set = world.sets[2].clone()),
        ("evidence.header", &|p| p.history.set_changes.clear()),
        ("evidence.history", &|p| p.history.set_changes[0].next_set = world.sets[0].clone()),
        ("evidence.certificate_short", &|p| {
            p.history.set_changes[0].finality.certificate.signatures.pop();
        }),
        ("evidence.certificate", &|p| p.history.set_changes[0].finality.certificate.signatures[0].signature.0[3] ^= 1),
        ("evidence.certificate_short", &|p| {
            let record = &mut p.documents[0].1.records.version;
            record.finality = certified(record.finality.header.clone(), &world.sets[2], 2);
        }),
        ("evidence.certificate", &|p| {
            // A header of the maker's own, signed by validators that resigned.
            let record = &mut p.documents[0].1.records.version;
            record.finality.header.time.0 += 1;
            record.finality = certified(record.finality.header.clone(), &world.sets[0], 4);
        }),
        ("evidence.header", &|p| p.documents[0].1.records.version.finality.header.state_root.0[0] ^= 1),
        ("evidence.header", &|p| p.documents[1].1.records.schema.finality.header.chain = ChainId([1; 32])),
        ("evidence.state_proof", &|p| p.documents[0].1.records.version.state.siblings[0].0[0] ^= 1),
        ("evidence.state_proof", &|p| p.documents[0].1.records.version.state.value.as_mut().unwrap()[5] ^= 1),
        ("evidence.state_proof", &|p| p.documents[0].1.records.document.state.value = None),
        ("evidence.other_record", &|p| p.documents[0].1.records.document = p.documents[1].1.records.document.clone()),
        ("evidence.other_record", &|p| p.documents[0].1.records.schema = p.documents[0].1.records.version.clone()),
    ];
    refuses(&world, lies);
}

#[test]
fn a_maker_cannot_lie_about_fields() {
    let world = World::new();
    let lies: &[Lie<'_>] = &[
        ("evidence.header_changed", &|p| {
            p.documents[0].1.disclosures.header = p.documents[1].1.disclosures.header.clone();
        }),
        ("evidence.header_changed", &|p| p.documents[0].1.disclosures.header.push(' ')),
        ("evidence.root_mismatch", &|p| {
            let header = p.documents[0].1.disclosures.header.clone();
            p.documents[0].1.disclosures = p.documents[1].1.disclosures.clone();
            p.documents[0].1.disclosures.header = header;
        }),
        ("evidence.field_changed", &|p| p.documents[0].1.disclosures.fields[2].path[1].0[0] ^= 1),
        ("evidence.field_changed", &|p| p.documents[0].1.disclosures.fields[2].path.clear()),
        ("evidence.field_changed", &|p| p.documents[0].1.disclosures.fields[5].slot = 40),
        ("evidence.field_changed", &|p| {
            p.documents[0].1.disclosures.fields[0].disclosure =
                p.documents[0].1.disclosures.fields[1].disclosure.clone();
        }),
        ("evidence.construction", &|p| p.documents[0].1.disclosures.fields.swap(0, 1)),
        ("evidence.rows_changed", &|p| p.documents[0].1.disclosures.fields[3].rows.as_mut().unwrap().swap(0, 1)),
        ("evidence.rows_changed", &|p| p.documents[0].1.disclosures.fields[3].rows = None),
        ("evidence.rows_changed", &|p| p.documents[0].1.disclosures.fields[2].rows = Some(Vec::new())),
    ];
    refuses(&world, lies);
}

#[test]
fn a_maker_cannot_lie_about_submission_files_and_log() {
    let world = World::new();
    let lies: &[Lie<'_>] = &[
        ("evidence.submission", &|p| p.documents[0].1.submission = p.documents[1].1.submission.clone()),
        ("evidence.submission", &|p| p.documents[0].1.submission.as_mut().unwrap().transaction.raw[60] ^= 1),
        ("evidence.submission", &|p| p.documents[0].1.submission.as_mut().unwrap().event.path.index = 1),
        ("evidence.submission", &|p| p.documents[0].1.submission.as_mut().unwrap().event.receipt.receipt.index = 0),
        ("evidence.submission", &|p| {
            let other = p.documents[1].1.submission.clone().unwrap();
            p.documents[0].1.submission.as_mut().unwrap().transaction = other.transaction;
        }),
        ("evidence.attachment_unknown", &|p| p.documents[0].1.attachments[0].index = 1),
        ("evidence.attachment_unknown", &|p| p.documents[0].1.attachments[0].slot = 3),
        ("evidence.attachment_hashes", &|p| p.documents[0].1.attachments[0].groups[1].0[0] ^= 1),
        ("evidence.attachment_hashes", &|p| {
            p.documents[0].1.attachments[0].groups.pop();
        }),
        ("evidence.malformed", &|p| p.documents[0].1.attachments[0].parts[0].offset = 1),
        ("evidence.malformed", &|p| p.documents[0].1.attachments[0].parts[0].bytes = u64::MAX),
        ("evidence.audit_changed", &|p| p.audit.as_mut().unwrap().records[0].purpose = "tax".into()),
        ("evidence.audit_changed", &|p| p.audit.as_mut().unwrap().records[3].result = "no".into()),
        ("evidence.audit_changed", &|p| p.audit.as_mut().unwrap().previous.0[0] ^= 1),
        ("evidence.audit_changed", &|p| p.audit.as_mut().unwrap().records.swap(0, 1)),
        ("evidence.audit_anchor", &|p| {
            p.audit.as_mut().unwrap().records.pop();
        }),
        ("evidence.audit_anchor", &|p| {
            let audit = p.audit.as_mut().unwrap();
            audit.after = 0;
            audit.records.insert(0, audit.records[0].clone());
        }),
        ("evidence.malformed", &|p| p.audit.as_mut().unwrap().records[0].access = "peek".into()),
        ("evidence.other_record", &|p| p.audit.as_mut().unwrap().node = "node-2".into()),
    ];
    refuses(&world, lies);
}

/// The layout of a vault's audit records is the one that is hashed here: pinned as bytes.
#[test]
fn audit_records_have_one_layout() {
    let world = World::new();
    let record = &world.records[1];
    let encoded = vouch_types::encode(record);
    assert_eq!(encoded.len(), 8 + 8 + 32 + 4 + (8 + 16 + 4) + (8 + 1) + (8 + 5) + (8 + 2) + 32);
    assert_eq!(&encoded[..8], &2u64.to_le_bytes());
    assert_eq!(&encoded[48..52], &[0, 0, 0, 0]);
    assert_eq!(record.time, TimestampMs(world::GENESIS_MS + 2));
    let line = json!(vouch_privacy::evidence::AuditLine::from(record));
    assert_eq!((&line["access"], &line["fields"]), (&json!("read"), &Value::from("07")));
}

#[test]
fn files_are_attached_whole_or_by_groups() {
    let world = World::new();
    let content = world::content();
    let attached = |ranges: Option<&[core::ops::Range<u64>]>| {
        let mut package = world.package(2);
        package.attach(0, world::FILE_SLOT, 0, ranges, &mut &content[..]).unwrap();
        let parts: Vec<(u64, u64)> =
            package.documents[0].1.attachments[0].parts.iter().map(|part| (part.offset, part.bytes)).collect();
        let report = judged(&written(&package), &world).unwrap();
        assert_eq!(report.documents[0].attachments[0].shown, parts.iter().map(|(_, bytes)| bytes).sum::<u64>());
        parts
    };
    assert_eq!(attached(None), [(0, 40_000)]);
    assert_eq!(attached(Some(std::slice::from_ref(&(20_000..20_001)))), [(16_384, 16_384)]);
    assert_eq!(attached(Some(&[33_000..33_001, 0..1])), [(0, 16_384), (32_768, 7_232)]);
    assert_eq!(attached(Some(&[16_000..16_390, 39_999..90_000])), [(0, 40_000)]);
    assert_eq!(attached(Some(&[])), []);

    let code = |document, slot, index, content: &[u8]| {
        let mut package = world.package(2);
        package.attach(document, slot, index, None, &mut &*content).unwrap_err().code()
    };
    assert_eq!(code(9, world::FILE_SLOT, 0, &content), "evidence.members");
    assert_eq!(code(0, 2, 0, &content), "evidence.attachment_unknown");
    assert_eq!(code(0, world::FILE_SLOT, 1, &content), "evidence.attachment_unknown");
    assert_eq!(code(0, 3, 0, &content), "evidence.attachment_unknown");
    assert_eq!(code(0, world::FILE_SLOT, 0, &content[1..]), "evidence.attachment_hashes");
}

/// The bytes of one package, member by member: another form of any of them is a new version of the format.
#[test]
fn the_format_is_pinned() {
    use sha2::{Digest as _, Sha256};
    let bytes = written(&World::new().package(2));
    let mut archive = zip::ZipArchive::new(Cursor::new(&bytes)).unwrap();
    let members = (0..archive.len()).map(|index| {
        let mut content = Vec::new();
        let mut member = archive.by_index(index).unwrap();
        std::io::Read::read_to_end(&mut member, &mut content).unwrap();
        json!({ "path": member.name().unwrap(), "bytes": content.len(), "sha256": hex::encode(Sha256::digest(&content)) })
    });
    let members: Vec<Value> = members.collect();
    let made = json!({ "about": "Members of the package of the tests of evidence, and the whole file.",
        "members": members, "bytes": bytes.len(), "sha256": hex::encode(Sha256::digest(&bytes)) });
    let path = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/evidence.json");
    let text = serde_json::to_string_pretty(&made).unwrap() + "\n";
    if std::env::var_os("VOUCH_BLESS").is_some() {
        std::fs::write(path, text).unwrap();
        return;
    }
    assert!(
        std::fs::read_to_string(path).unwrap() == text,
        "evidence.json differs: the format of packages has changed"
    );
}
