use serde_json::{Value, json};

use super::{content::seed_of, *};
use crate::DraftFile;

fn draft(value: &str) -> DocumentDraft {
    let Value::Object(values) = json!({ "name": value }) else { panic!("an object") };
    DocumentDraft { schema: "s".into(), values, ..DocumentDraft::default() }
}

#[test]
fn a_name_is_one_document_and_survives_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let acts = Acts::default();
    {
        let outbox = Outbox::open(folder.path()).unwrap();
        assert_eq!(outbox.put("1", &draft("a"), &acts).unwrap(), Fate::Waiting);
        assert_eq!(outbox.put("1", &draft("a"), &acts).unwrap(), Fate::Waiting);
        assert_eq!(outbox.put("1", &draft("b"), &acts).unwrap_err().code(), "outbox.changed");
        assert_eq!(outbox.put("2", &draft("a"), &acts).unwrap(), Fate::Waiting);
        assert_eq!(Outbox::open(folder.path()).unwrap_err().code(), "outbox.busy");
    }
    let outbox = Outbox::open(folder.path()).unwrap();
    assert_eq!((outbox.len().unwrap(), outbox.fate("3").unwrap()), (2, None));
    outbox.put("3", &draft("c"), &acts).unwrap();
    assert_eq!(outbox.waiting().unwrap().len(), 3);
    // What was refused may be put again, corrected, as another document.
    let place = outbox.place(outbox.waiting().unwrap()[0]);
    let kept: Kept = read(&place).unwrap().unwrap();
    outbox.end(&kept, &place, Fate::Refused { code: "x".into(), reason: String::new() }).unwrap();
    assert!(matches!(outbox.put("1", &draft("a"), &acts).unwrap(), Fate::Refused { .. }));
    assert_eq!(outbox.put("1", &draft("b"), &acts).unwrap(), Fate::Waiting);
    let last = outbox.place(*outbox.waiting().unwrap().last().unwrap());
    assert_eq!(read::<Kept>(&last).unwrap().unwrap().attempt, 1);
}

/// A name that was put when the program was killed is as taken as any other.
#[test]
fn what_a_kill_left_half_noted_is_noted() {
    let folder = tempfile::tempdir().unwrap();
    let acts = Acts::default();
    {
        let outbox = Outbox::open(folder.path()).unwrap();
        outbox.put("1", &draft("a"), &acts).unwrap();
        fs::remove_file(outbox.known_place("1")).unwrap();
    }
    let outbox = Outbox::open(folder.path()).unwrap();
    assert_eq!(outbox.fate("1").unwrap(), Some(Fate::Waiting));
    assert_eq!(outbox.put("1", &draft("b"), &acts).unwrap_err().code(), "outbox.changed");
    assert_eq!((outbox.put("1", &draft("a"), &acts).unwrap(), outbox.len().unwrap()), (Fate::Waiting, 1));
}

fn with_file(path: &Path) -> DocumentDraft {
    let file = DraftFile::from_path("scan", path, "application/pdf").unwrap();
    DocumentDraft { files: vec![file], ..draft("a") }
}

fn waiting(outbox: &Outbox) -> Vec<(u64, Kept)> {
    let numbers = outbox.waiting().unwrap();
    numbers.into_iter().map(|number| (number, read(&outbox.place(number)).unwrap().unwrap())).collect()
}

fn refused(code: &str) -> Fate {
    Fate::Refused { code: code.into(), reason: String::new() }
}

#[test]
fn what_is_in_a_file_is_a_part_of_the_content() {
    let folder = tempfile::tempdir().unwrap();
    let (path, acts) = (folder.path().join("scan.pdf"), Acts::default());
    let outbox = Outbox::open(&folder.path().join("queue")).unwrap();
    assert_eq!(outbox.put("1", &with_file(&path), &acts).unwrap_err().code(), OF_FILE);
    assert_eq!((outbox.fate("1").unwrap(), outbox.len().unwrap()), (None, 0));
    fs::write(&path, "one content").unwrap();
    assert_eq!(outbox.put("1", &with_file(&path), &acts).unwrap(), Fate::Waiting);
    assert_eq!(outbox.put("1", &with_file(&path), &acts).unwrap(), Fate::Waiting);
    fs::write(&path, "two content").unwrap();
    assert_eq!(outbox.put("1", &with_file(&path), &acts).unwrap_err().code(), "outbox.changed");
    let mut named = with_file(&path);
    named.files = named.files.into_iter().map(|file| file.of_content(Hash32::ZERO)).collect();
    assert_eq!(outbox.put("2", &named, &acts).unwrap_err().code(), OF_FILE);
    assert_eq!(outbox.len().unwrap(), 1);
}

#[test]
fn what_was_refused_for_a_file_waits_again_as_the_same_document() {
    let folder = tempfile::tempdir().unwrap();
    let (path, acts) = (folder.path().join("scan.pdf"), Acts::default());
    fs::write(&path, "one content").unwrap();
    let outbox = Outbox::open(&folder.path().join("queue")).unwrap();
    outbox.put("1", &with_file(&path), &acts).unwrap();
    for (code, expected) in [(OF_FILE, Fate::Waiting), ("stage.sensitive", refused("stage.sensitive"))] {
        let (number, kept) = waiting(&outbox).remove(0);
        outbox.end(&kept, &outbox.place(number), refused(code)).unwrap();
        assert_eq!(outbox.put("1", &with_file(&path), &acts).unwrap(), expected);
        assert!(waiting(&outbox).iter().all(|(_, kept)| kept.attempt == 0));
    }
    fs::write(&path, "two content").unwrap();
    assert_eq!(outbox.put("1", &with_file(&path), &acts).unwrap(), Fate::Waiting);
    assert_eq!(waiting(&outbox)[0].1.attempt, 1);
}

#[test]
fn a_name_waits_once_wherever_the_program_was_killed() {
    let (folder, acts) = (tempfile::tempdir().unwrap(), Acts::default());
    let first = {
        let outbox = Outbox::open(folder.path()).unwrap();
        outbox.put("1", &draft("a"), &acts).unwrap();
        let (number, kept) = waiting(&outbox).remove(0);
        outbox.end(&kept, &outbox.place(number), refused("x")).unwrap();
        // Put again, corrected, and killed before that was noted.
        let noted = outbox.known("1").unwrap().unwrap();
        outbox.put("1", &draft("b"), &acts).unwrap();
        outbox.note("1", &noted).unwrap();
        kept
    };
    {
        let outbox = Outbox::open(folder.path()).unwrap();
        assert_eq!(outbox.fate("1").unwrap(), Some(Fate::Waiting));
        assert_eq!(outbox.put("1", &draft("b"), &acts).unwrap(), Fate::Waiting);
        assert_eq!(waiting(&outbox).len(), 1);
        // Refused as well, noted, and killed before it was removed; and what went long ago is there again after a loss of power.
        let (_, second) = waiting(&outbox).remove(0);
        let known = Known { content: content_of(&second).unwrap(), attempt: second.attempt, fate: refused("y") };
        outbox.note("1", &known).unwrap();
        write(&outbox.place(40), &first).unwrap();
    }
    let outbox = Outbox::open(folder.path()).unwrap();
    assert_eq!((outbox.len().unwrap(), outbox.fate("1").unwrap()), (0, Some(refused("y"))));
    assert_eq!(outbox.put("1", &draft("c"), &acts).unwrap(), Fate::Waiting);
    let (_, third) = waiting(&outbox).remove(0);
    assert_eq!((third.attempt, outbox.len().unwrap()), (2, 1));
    // What ends late changes nothing of what was put since.
    outbox.end(&first, &outbox.place(90), refused("z")).unwrap();
    assert_eq!((outbox.len().unwrap(), outbox.fate("1").unwrap()), (1, Some(Fate::Waiting)));
}

#[test]
fn no_two_contents_share_a_seed() {
    let signer = SecretKey::from_seed([5; 32]);
    let put = |value, version| {
        let mut kept = kept("1", &draft(value), &Acts::default()).unwrap();
        kept.schema_version = version;
        kept
    };
    let id = id_of(&put("a", None), "works", &signer);
    let seed = |kept: &Kept, hashes: &[Hash32], version| seed_of(kept, id, hashes, version, &signer).unwrap();
    let seeds = [
        seed(&put("a", None), &[], 1),
        // The newest version when it is sent again.
        seed(&put("a", None), &[], 2),
        seed(&put("a", Some(2)), &[], 2),
        seed(&put("b", None), &[], 1),
        seed(&put("a", None), &[Hash32::ZERO], 1),
    ];
    assert_eq!(BTreeSet::from(seeds).len(), seeds.len());
    assert_eq!(seed(&put("a", None), &[], 1), seeds[0]);
}

#[test]
fn a_name_that_many_put_at_once_waits_once() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(folder.path()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for name in 0..20 {
                    outbox.put(&name.to_string(), &draft("a"), &Acts::default()).unwrap();
                }
            });
        }
    });
    assert_eq!(outbox.len().unwrap(), 20);
}
