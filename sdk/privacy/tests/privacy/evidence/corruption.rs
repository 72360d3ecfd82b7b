//! Every member of a package changed in every way, by a stranger and by the maker, who can seal it anew.

use std::io::{Cursor, Read as _};

use proptest::prelude::*;
use sha2::{Digest as _, Sha256};
use vouch_privacy::evidence::{Archive, ArchiveWriter, FileEntry, Manifest, Seal, verify};
use vouch_types::{Hash32, hash::domain_hash};

use super::{
    judged,
    world::{World, maker, open, written},
};

type Members = Vec<(String, Vec<u8>)>;

fn members(bytes: &[u8]) -> Members {
    let mut archive = Archive::open(Cursor::new(bytes)).unwrap();
    let entries = archive.entries().to_vec();
    let read = |entry| {
        let mut content = Vec::new();
        archive.content(entry).unwrap().read_to_end(&mut content).unwrap();
        (entry.name.clone(), content)
    };
    entries.iter().map(read).collect()
}

/// The archive anew, CRCs and sizes as they must be.
fn packed(members: &Members) -> Vec<u8> {
    let mut writer = ArchiveWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        writer.add(name, content.len() as u64, &mut &content[..], &mut |_| ()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn get<'a>(members: &'a Members, name: &str) -> &'a [u8] {
    &members.iter().find(|(found, _)| found == name).unwrap().1
}

fn put(members: &mut Members, name: &str, content: Vec<u8>) {
    members.iter_mut().find(|(found, _)| found == name).unwrap().1 = content;
}

/// What the maker can do: a manifest that names what is there now, and a seal over it.
fn resealed(members: &Members, change: impl Fn(&mut Manifest)) -> Members {
    let mut members = members.clone();
    let mut manifest: Manifest = serde_json::from_slice(get(&members, "manifest.json")).unwrap();
    let listed = |name: &str| !["manifest.json", "seal.json", "timestamp.tsr"].contains(&name);
    let entry = |(path, content): &(String, Vec<u8>)| FileEntry {
        path: path.clone(),
        bytes: content.len() as u64,
        sha256: Hash32(Sha256::digest(content).into()),
    };
    manifest.files = members.iter().filter(|(name, _)| listed(name)).map(entry).collect();
    change(&mut manifest);
    let manifest = serde_json_canonicalizer::to_vec(&manifest).unwrap();
    members.retain(|(name, _)| name != "timestamp.tsr");
    let digest = domain_hash("vouch/evidence/1", &[&Sha256::digest(&manifest), &[0; 32]]);
    let seal = Seal { signature: maker().sign(digest.as_bytes()), timestamp: None };
    put(&mut members, "manifest.json", manifest);
    put(&mut members, "seal.json", serde_json_canonicalizer::to_vec(&seal).unwrap());
    members
}

fn code(members: &Members, world: &World) -> &'static str {
    judged(&packed(members), world).map_or_else(|error| error.code(), |_| "ok")
}

/// Codes that a flipped bit in a member may come to: what a proof says of it, or that it is no JSON, or that other bytes
/// are there than the manifest says.
fn codes_of(name: &str) -> &'static [&'static str] {
    let file = name.rsplit('/').next().unwrap();
    match file {
        "chain.json" => &[
            "evidence.foreign_chain",
            "evidence.history",
            "evidence.header",
            "evidence.certificate",
            "evidence.certificate_short",
            "evidence.malformed",
            "evidence.member_changed",
        ],
        "record.json" => &[
            "evidence.header",
            "evidence.certificate",
            "evidence.certificate_short",
            "evidence.state_proof",
            "evidence.other_record",
            "evidence.malformed",
            "evidence.member_changed",
        ],
        "disclosures.json" => &[
            "evidence.field_changed",
            "evidence.rows_changed",
            "evidence.header_changed",
            "evidence.construction",
            "evidence.malformed",
            "evidence.member_changed",
        ],
        "submission.json" => &[
            "evidence.submission",
            "evidence.header",
            "evidence.certificate",
            "evidence.certificate_short",
            "evidence.malformed",
            "evidence.member_changed",
        ],
        "attachments.json" => &[
            "evidence.attachment_hashes",
            "evidence.attachment_unknown",
            "evidence.malformed",
            "evidence.members",
            "evidence.member_changed",
        ],
        "audit.json" => &[
            "evidence.audit_changed",
            "evidence.audit_anchor",
            "evidence.other_record",
            "evidence.header",
            "evidence.certificate",
            "evidence.certificate_short",
            "evidence.state_proof",
            "evidence.malformed",
            "evidence.member_changed",
        ],
        "summary.html" => &["evidence.summary"],
        "manifest.json" => &["evidence.seal", "evidence.malformed", "evidence.unknown_version"],
        "seal.json" => &["evidence.seal", "evidence.malformed"],
        "timestamp.tsr" => &["evidence.timestamp"],
        _ => &["evidence.attachment_changed"],
    }
}

/// Places in a member: the ends, and some hundred in between.
fn places(length: usize) -> impl Iterator<Item = usize> {
    let step = (length / 150).max(1);
    (0..length).step_by(step).chain([length - 1])
}

#[test]
fn a_flipped_bit_in_any_member_has_a_code_of_that_member() {
    let world = World::new();
    let good = members(&written(&world.package(2)));
    assert_eq!(code(&good, &world), "ok");
    for (name, content) in &good {
        for at in places(content.len()) {
            let mut altered = good.clone();
            let mut bytes = content.clone();
            bytes[at] ^= 1 << (at % 8);
            put(&mut altered, name, bytes);
            // By a stranger, who gives the archive its CRCs anew.
            let found = code(&altered, &world);
            assert!(codes_of(name).contains(&found), "{name} byte {at}: {found}");
        }
    }
}

/// The maker seals what was changed: then proofs alone judge, and what they do not cover is the maker's to say.
#[test]
fn a_flipped_bit_under_a_new_seal_changes_nothing_that_is_verified() {
    let world = World::new();
    let good = members(&written(&world.package(2)));
    let verified = judged(&packed(&resealed(&good, |_| ())), &world).unwrap().documents;
    for (name, content) in
        good.iter().filter(|(name, _)| !["manifest.json", "seal.json", "timestamp.tsr"].contains(&name.as_str()))
    {
        for at in places(content.len()) {
            let mut altered = good.clone();
            let mut bytes = content.clone();
            bytes[at] ^= 1 << (at % 8);
            put(&mut altered, name, bytes);
            match judged(&packed(&resealed(&altered, |_| ())), &world) {
                Ok(report) => assert!(report.documents == verified, "{name} byte {at}"),
                Err(error) => assert!(codes_of(name).contains(&error.code()), "{name} byte {at}: {error}"),
            }
        }
    }
}

#[test]
fn a_member_cut_removed_doubled_or_added_is_refused() {
    let world = World::new();
    let good = members(&written(&world.package(2)));
    for at in 0..good.len() {
        let name = &good[at].0;
        let is_sealed = !["manifest.json", "seal.json", "timestamp.tsr"].contains(&name.as_str());
        let mut cut = good.clone();
        cut[at].1.pop();
        let expected: &[&str] = match name.as_str() {
            "manifest.json" | "seal.json" => &["evidence.malformed"],
            "timestamp.tsr" => &["evidence.timestamp"],
            _ => &["evidence.members"],
        };
        assert!(expected.contains(&code(&cut, &world)), "{name}: {}", code(&cut, &world));
        let mut emptied = good.clone();
        emptied[at].1.clear();
        assert!(expected.contains(&code(&emptied, &world)), "{name}: {}", code(&emptied, &world));
        let mut longer = good.clone();
        longer[at].1.push(b'\n');
        assert_ne!(code(&longer, &world), "ok", "{name}");

        let mut without = good.clone();
        without.remove(at);
        let expected = if name == "timestamp.tsr" { "evidence.timestamp" } else { "evidence.members" };
        assert_eq!(code(&without, &world), expected, "{name}");
        if is_sealed {
            // Under a new seal a member that is needed is missed; the summary names one that may be left out.
            let found = code(&resealed(&without, |_| ()), &world);
            let may_be_left_out = name.ends_with("submission.json") || name == "audit.json";
            let expected = if may_be_left_out { "evidence.summary" } else { "evidence.members" };
            assert_eq!(found, expected, "{name}");
        }

        let mut twice = good.clone();
        twice.insert(at, good[at].clone());
        assert_eq!(code(&twice, &world), "evidence.member_order", "{name}");
        let mut moved = good.clone();
        moved.swap(at, (at + 1) % good.len());
        assert_eq!(code(&moved, &world), "evidence.member_order", "{name}");
    }
}

#[test]
fn members_of_another_package_are_refused() {
    let world = World::new();
    let good = members(&written(&world.package(2)));
    let other = members(&written(&world.package(4)));
    for (name, content) in &good {
        let foreign = get(&other, name).to_vec();
        if foreign == *content {
            continue;
        }
        let mut swapped = good.clone();
        put(&mut swapped, name, foreign);
        let found = code(&swapped, &world);
        assert_ne!(found, "ok", "{name}");
        if ["manifest.json", "seal.json", "timestamp.tsr"].contains(&name.as_str()) {
            continue;
        }
        // Under a new seal a proof says what it is of.
        let found = code(&resealed(&swapped, |_| ()), &world);
        let expected = match name.rsplit('/').next().unwrap() {
            "record.json" => "evidence.other_record",
            "disclosures.json" => "evidence.header_changed",
            "submission.json" => "evidence.submission",
            "summary.html" => "evidence.summary",
            other => panic!("{other} differs between packages"),
        };
        assert_eq!(found, expected, "{name}");
    }
    // A whole document of another package under the name of this one's.
    let mut swapped = good;
    for (name, content) in &other {
        if name.starts_with("documents/1/") {
            put(&mut swapped, name, content.clone());
        }
    }
    assert_eq!(code(&resealed(&swapped, |_| ()), &world), "evidence.other_record");
    let renamed = resealed(&swapped, |manifest| manifest.documents[0].id = vouch_types::DocumentId::new([4; 16]));
    assert_eq!(code(&renamed, &world), "evidence.unrelated");
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let world = World::new();
    let good = members(&written(&world.package(2)));
    for name in [
        "../chain.json",
        "/etc/passwd",
        "documents/1/../1/record.json",
        "chain.json/",
        "CHAIN.JSON",
        "readme.txt",
        "a\\b",
        "",
        "documents/1/files/10-0-0.pdf",
        "chain.json\n",
    ] {
        let mut added = good.clone();
        added.insert(0, (name.to_owned(), b"x".to_vec()));
        assert_eq!(code(&added, &world), "evidence.unknown_member", "{name:?}");
    }
    // Names that members have, where they have no place.
    let mut stranger = good.clone();
    let at = stranger.iter().position(|(name, _)| name == "audit.json").unwrap();
    stranger.insert(at, ("documents/3/record.json".into(), get(&good, "documents/1/record.json").to_vec()));
    assert_eq!(code(&stranger, &world), "evidence.members");
    assert_eq!(code(&resealed(&stranger, |_| ()), &world), "evidence.members");
    let mut stray = good;
    let at = stray.iter().position(|(name, _)| name == "documents/2/record.json").unwrap();
    stray.insert(at, ("documents/1/files/10-0-16384".into(), vec![1; 5]));
    assert_eq!(code(&resealed(&stray, |_| ()), &world), "evidence.members");
}

#[test]
fn a_newer_format_and_large_members_are_refused_as_such() {
    let world = World::new();
    let good = members(&written(&world.package(2)));
    assert_eq!(code(&resealed(&good, |manifest| manifest.v = 2), &world), "evidence.unknown_version");
    assert_eq!(code(&resealed(&good, |manifest| manifest.format = "other".into()), &world), "evidence.malformed");
    let twice = resealed(&good, |manifest| manifest.documents[1] = manifest.documents[0]);
    assert_eq!(code(&twice, &world), "evidence.members");
    let mut large = good.clone();
    put(&mut large, "chain.json", vec![b' '; (32 << 20) + 1]);
    assert_eq!(code(&resealed(&large, |_| ()), &world), "evidence.too_large");
    // Deep nesting is refused, not followed.
    let mut deep = good;
    put(&mut deep, "audit.json", "[".repeat(1 << 20).into_bytes());
    assert_eq!(code(&resealed(&deep, |_| ()), &world), "evidence.malformed");
}

#[test]
fn a_file_that_is_cut_anywhere_is_refused() {
    let world = World::new();
    let bytes = written(&world.package(2));
    for cut in places(bytes.len()) {
        assert_eq!(judged(&bytes[..cut], &world).unwrap_err().code(), "evidence.truncated", "{cut}");
    }
}

/// A time stamp of something else, or under a seal that does not name it.
#[test]
fn a_time_stamp_is_of_this_manifest() {
    let world = World::new();
    let package = world.package(2);
    let mut wrong = |_: &[u8]| Ok(b"\x04\x20 of something else altogether, whatever".to_vec());
    let bytes = package.write(Cursor::new(Vec::new()), &maker(), &mut open, Some(&mut wrong)).unwrap().into_inner();
    assert_eq!(judged(&bytes, &world).unwrap_err().code(), "evidence.timestamp");
    let mut added = members(&package.write(Cursor::new(Vec::new()), &maker(), &mut open, None).unwrap().into_inner());
    added.push(("timestamp.tsr".into(), b"x".to_vec()));
    assert_eq!(code(&added, &world), "evidence.timestamp");
}

thread_local! {
    static GOOD: (World, Vec<u8>) = {
        let world = World::new();
        let bytes = written(&world.package(2));
        (world, bytes)
    };
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    /// One bit anywhere in the file: refused, or exactly the same is verified.
    #[test]
    fn one_flipped_bit_is_refused_or_changes_nothing(place in any::<prop::sample::Index>(), bit in 0u8..8) {
        GOOD.with(|(world, good)| {
            let mut altered = good.clone();
            altered[place.index(good.len())] ^= 1 << bit;
            if let Ok(report) = judged(&altered, world) {
                assert!(report == judged(good, world).unwrap());
            }
        });
    }

    /// Bytes of any kind are judged without a panic.
    #[test]
    fn any_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        prop_assert!(verify(Cursor::new(bytes), None).is_err());
    }
}
