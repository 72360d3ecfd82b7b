//! Backups of a small chain: made, checked, restored, and everything that can be wrong with them.

use std::{collections::BTreeMap, path::PathBuf};

use vouch_genesis::{AdminPolicy, ChainParams, FORMAT_VERSION, Member, MemberName, NodeEntry, Role};
use vouch_ledger::{Batch, Durability, Table, View as _};
use vouch_replica::VotingState;
use vouch_sdk::keystore;
use vouch_types::{
    CommitCertificate, Power, Round, SecretKey, TimestampMs, Validator, ValidatorSet,
    block::Header,
    certificate::CommitSignature,
    codec::{decode, encode},
};
use vouch_vault::{LocalBlobs, blob_path, blobs::Part};

use super::*;
use crate::commands::output::Refused;

const BLOCKS: u64 = 3;

/// A node's database, files and home, without the node.
struct World {
    folder: tempfile::TempDir,
    genesis: PathBuf,
    files: PathBuf,
    store: Arc<RocksStore>,
    chain: ChainId,
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

fn genesis(name: &str) -> GenesisDocument {
    let member = Member {
        name: MemberName::new("shop").unwrap(),
        title: "Shop".into(),
        role: Role::Platform,
        admin: AdminPolicy { threshold: 1, keys: vec![key(1).public()] },
        encryption_key: None,
        ca_certificate: None,
        nodes: vec![NodeEntry {
            name: "shop.node".into(),
            consensus_key: key(2).public(),
            network_key: key(3).public(),
            address: "127.0.0.1:7000".into(),
            power: Power(1),
        }],
        accounts: Vec::new(),
    };
    let time = TimestampMs(1_800_000_000_000);
    let (params, members) = (ChainParams::default(), vec![member]);
    GenesisDocument { format: FORMAT_VERSION, chain_name: name.into(), time, params, members, contracts: Vec::new() }
}

fn certificate(chain: ChainId, header: &Header, signer: &SecretKey) -> CommitCertificate {
    let mut made =
        CommitCertificate { height: header.height, round: Round(0), block: header.hash(), signatures: Vec::new() };
    let signature = signer.sign(made.statement(chain).digest().as_bytes());
    made.signatures.push(CommitSignature { validator: 0, signature });
    made
}

impl World {
    fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let document = genesis(name);
        let (genesis, files) = (folder.path().join("genesis.json"), folder.path().join("files"));
        fs::write(&genesis, document.to_json()).unwrap();
        let store = Arc::new(RocksStore::open(folder.path().join("node"), StoreOptions::default()).unwrap());
        let runtime = Runtime::new(vouch_vm::VmLimits::default()).unwrap();
        let mut ledger = Ledger::open(Arc::clone(&store) as Arc<dyn Storage>, &document, runtime).unwrap();
        for _ in 0..BLOCKS {
            let time = TimestampMs(ledger.head().time.0 + 1_000);
            let (hash, block) = ledger.propose(std::iter::empty(), time, key(2).public().node()).unwrap();
            let signed = certificate(ledger.chain(), &block.header, &key(2));
            ledger.commit(hash, signed, Batch::new()).unwrap();
        }
        LocalBlobs::open(&files, false).unwrap();
        let chain = ledger.chain();
        Self { folder, genesis, files, store, chain }
    }

    /// A sealed file that the database says is here whole.
    fn add_file(&self, content: &[u8]) -> PathBuf {
        let root = *blake3::hash(content).as_bytes();
        let mut batch = Batch::new();
        batch.put(Table::Vault, [b"f".as_slice(), &root].concat(), encode(&(content.len() as u64)));
        self.store.write(batch, Durability::Synced).unwrap();
        for (part, bytes) in [(Part::Data, content), (Part::Tree, &content[..content.len().min(64)])] {
            let path = self.files.join(blob_path(&root, part));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        blob_path(&root, Part::Data)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn make(&self, to: &Path) -> Result<BackupView, String> {
        let beside = Beside { genesis: &self.genesis, files: &self.files };
        make(&self.store, beside, self.chain, to).map_err(|error| error.code().to_owned())
    }

    /// A backup of three files, of which the names of the data are given.
    fn backup(&self) -> (PathBuf, [PathBuf; 3]) {
        let names = [&b"one"[..], &[7; 100_000], &[9; 3_000_000]].map(|content| self.add_file(content));
        let to = self.path("backup");
        let view = self.make(&to).unwrap();
        assert_eq!((view.height, view.files, view.files_missing, view.files_damaged), (Height(BLOCKS), 6, 0, 0));
        (to, names)
    }

    /// A home without a database, whose validator has a record of its votes.
    fn home(&self, name: &str) -> Home {
        let home = self.path(name);
        crate::home::private_folder(&home.join("keys")).unwrap();
        keystore::save(&crate::home::consensus_key_path(&home), &key(2), None).unwrap();
        let record = vouch_replica::VotingRecord {
            state: VotingState::Kept,
            ..vouch_replica::VotingRecord::of_new_key(key(2).public().node())
        };
        VotesFile::open(&home).unwrap().write_synced(&record).unwrap();
        let (data, files) = (home.join("data"), home.join("vault/files"));
        Home { genesis: self.genesis.clone(), home, data, files }
    }
}

struct Home {
    home: PathBuf,
    genesis: PathBuf,
    data: PathBuf,
    files: PathBuf,
}

impl Home {
    fn restore(&self, from: &Path) -> Result<Restored, String> {
        let Self { home, genesis, data, files } = self;
        let restored = restore(from, Place { home, genesis, data, files });
        restored.map(|(_, restored)| restored).map_err(|error| format!("{error:#}"))
    }

    fn votes(&self) -> VotingState {
        VotesFile::open(&self.home).unwrap().record().unwrap().state
    }
}

/// Every file below a folder, with its content.
fn content(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(content(&path));
        } else {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

fn wrong(folder: &Path) -> String {
    format!("{:#}", verify(folder, None).unwrap_err())
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_check_changes_nothing_and_makes_nothing() {
    let world = World::new("one");
    let (backup, _) = world.backup();
    let before = content(&backup);
    let beside = || fs::read_dir(world.folder.path()).unwrap().count();
    let count = beside();
    let manifest = verify(&backup, Some(world.chain)).unwrap();
    assert_eq!((manifest.version, manifest.height, manifest.files.unwrap().count), (2, Height(BLOCKS), 6));
    assert!((content(&backup), beside()) == (before, count));
    let other = format!("{:#}", verify(&backup, Some(ChainId([9; 32]))).unwrap_err());
    assert!(other.contains("expected is 0909"), "{other}");
    fs::rename(backup.join(DATA), world.path("elsewhere")).unwrap();
    assert!(wrong(&backup).contains("there is no database"));
    assert!(!backup.join(DATA).exists());
}

#[test]
fn every_lost_changed_and_added_file_of_a_backup_is_named() {
    let world = World::new("one");
    let (backup, [one, two, three]) = world.backup();
    let at = |name: &Path| backup.join(files::FILES).join(name);
    fs::remove_file(at(&one)).unwrap();
    flip(&at(&two), 50_000);
    flip(&at(&three.with_extension("tree")), 3);
    let added = blob_path(&[0xee; 32], Part::Data);
    fs::create_dir_all(at(&added).parent().unwrap()).unwrap();
    fs::write(at(&added), "x").unwrap();
    let said = wrong(&backup);
    let tree = three.with_extension("tree");
    for (name, what) in
        [(&one, "is missing"), (&two, "was changed"), (&tree, "was changed"), (&added, "is not in the list")]
    {
        assert!(said.contains(&format!("{} {what}", name.display())), "{said}");
    }
    assert!(said.contains("4 sealed files"), "{said}");
    assert_eq!(refused_with(&backup), "backup.files_damaged");
    fs::remove_dir_all(backup.join(files::FILES)).unwrap();
    assert!(wrong(&backup).contains("6 sealed files"));
}

/// The code of the refusal, as it is shown.
fn refused_with(folder: &Path) -> String {
    let error = verify(folder, None).unwrap_err();
    let refused = error.chain().find_map(|cause| cause.downcast_ref::<Refused>());
    refused.unwrap_or_else(|| panic!("{error:#}")).0.code.clone()
}

#[test]
fn a_damaged_list_has_a_code_of_its_own() {
    let world = World::new("one");
    let (backup, _) = world.backup();
    let list = backup.join(files::LIST);
    let whole = fs::read(&list).unwrap();
    let half = &whole[..whole.len() / 2];
    let spoiled =
        [(Some(half), "its hash is"), (Some(b"\xff\xfe\n".as_slice()), "its hash is"), (None, "cannot be read")];
    for (number, (spoiled, what)) in spoiled.into_iter().enumerate() {
        match spoiled {
            Some(bytes) => fs::write(&list, bytes).unwrap(),
            None => fs::remove_file(&list).unwrap(),
        }
        assert!(wrong(&backup).contains(what), "{}", wrong(&backup));
        assert_eq!(refused_with(&backup), "backup.list_damaged");
        let error = world.home(&format!("home {number}")).restore(&backup).unwrap_err();
        assert!(error.contains("backup.list_damaged"), "a restore says the same: {error}");
    }
    fs::write(&list, &whole).unwrap();
    verify(&backup, None).unwrap();
    // One that the manifest names and that is of another form: made by somebody else.
    let manifest = backup.join(MANIFEST);
    fs::write(&list, "nothing like a list\n").unwrap();
    let named = fs::read_to_string(&manifest).unwrap();
    let hash = |bytes: &[u8]| Hash32(*blake3::hash(bytes).as_bytes()).to_string();
    fs::write(&manifest, named.replace(&hash(&whole), &hash(b"nothing like a list\n"))).unwrap();
    assert!(wrong(&backup).contains("line 1: not of its form"), "{}", wrong(&backup));
    assert_eq!(refused_with(&backup), "backup.list_damaged");
}

#[test]
fn a_backup_whose_files_cannot_be_read_is_none() {
    let world = World::new("one");
    let name = world.add_file(b"sealed");
    let to = world.path("backup");
    fs::rename(&world.files, world.path("aside")).unwrap();
    fs::write(&world.files, "no folder").unwrap();
    assert_eq!(world.make(&to).unwrap_err(), "backup.failed");
    fs::remove_file(&world.files).unwrap();
    fs::create_dir(&world.files).unwrap();
    assert_eq!(world.make(&to).unwrap_err(), "backup.failed", "its volume is not mounted");
    assert!(!to.exists(), "nothing stays of it");
    fs::remove_dir_all(&world.files).unwrap();
    fs::rename(world.path("aside"), &world.files).unwrap();
    // One file of several that is lost or damaged is counted, and named.
    world.add_file(b"another");
    flip(&world.files.join(&name), 2);
    let lost = world.add_file(b"lost");
    fs::remove_file(world.files.join(&lost)).unwrap();
    let view = world.make(&to).unwrap();
    assert_eq!((view.files, view.files_missing, view.files_damaged), (5, 1, 1));
    let mut names = vec![name.display().to_string(), lost.display().to_string()];
    names.sort();
    assert_eq!(view.lacking, names);
    assert_eq!(verify(&to, None).unwrap().files.unwrap().missing, 1);
}

#[test]
fn what_a_home_has_whole_stays_and_all_else_is_replaced() {
    let world = World::new("one");
    let (backup, [one, two, three]) = world.backup();
    let home = world.home("home");
    let at = |name: &Path| home.files.join(name);
    // A restore that broke off left half a file, under its name as an earlier version did, and a draft.
    let whole = fs::read(world.files.join(&three)).unwrap();
    fs::create_dir_all(at(&three).parent().unwrap()).unwrap();
    fs::write(at(&three), &whole[..whole.len() / 2]).unwrap();
    fs::write(at(&three).with_file_name(format!(".{}.draft", three.file_name().unwrap().display())), "dr").unwrap();
    // One is damaged, one whole with a tree of its own.
    for name in [&one, &two] {
        fs::create_dir_all(at(name).parent().unwrap()).unwrap();
        fs::copy(world.files.join(name), at(name)).unwrap();
    }
    flip(&at(&two), 99_999);
    fs::write(at(&one.with_extension("tree")), "of its own").unwrap();
    let restored = home.restore(&backup).unwrap();
    assert_eq!((restored.count, restored.lacking.as_slice()), (4, &[][..]));
    for name in [&one, &two, &three] {
        assert!(fs::read(at(name)).unwrap() == fs::read(world.files.join(name)).unwrap(), "{}", name.display());
    }
    assert_eq!(fs::read_to_string(at(&one.with_extension("tree"))).unwrap(), "of its own");
    assert_eq!(home.votes(), VotingState::Distrusted);
    LocalBlobs::open(&home.files, true).unwrap();
    let store = RocksStore::open(&home.data, StoreOptions::default()).unwrap();
    assert_eq!(vouch_vault::files_at_rest(&store, None, 9).unwrap().len(), 3);
    let names = content(&home.home).into_keys().filter(|path| path.to_string_lossy().ends_with(".draft")).count();
    assert_eq!((names, home.data.with_file_name(STAGING).exists()), (0, false), "nothing half stays");
}

#[test]
fn a_damaged_file_of_a_backup_is_left_out_and_named() {
    let world = World::new("one");
    let (backup, [one, two, _]) = world.backup();
    flip(&backup.join(files::FILES).join(&two), 5);
    fs::remove_file(backup.join(files::FILES).join(&one)).unwrap();
    let home = world.home("home");
    let mut expected = vec![one.display().to_string(), two.display().to_string()];
    expected.sort();
    assert_eq!(home.restore(&backup).unwrap().lacking, expected);
    assert!(!home.files.join(&two).exists() && !home.files.join(&one).exists(), "nothing wrong has their names");
}

/// What is being uploaded has a name that is not the hash of its content.
#[test]
fn what_is_being_uploaded_stays_as_far_as_it_is() {
    let world = World::new("one");
    let name = blob_path(&[0xcc; 32], Part::Data);
    let write = |folder: &Path, bytes: &[u8]| {
        fs::create_dir_all(folder.join(&name).parent().unwrap()).unwrap();
        fs::write(folder.join(&name), bytes).unwrap();
    };
    write(&world.files, b"as far as this");
    let backup = world.path("backup");
    world.make(&backup).unwrap();
    for (number, (own, expected)) in
        [("farther than that one", "farther than that one"), ("less", "as far as this")].into_iter().enumerate()
    {
        let home = world.home(&format!("home-{number}"));
        write(&home.files, own.as_bytes());
        home.restore(&backup).unwrap();
        assert_eq!(fs::read_to_string(home.files.join(&name)).unwrap(), expected);
    }
}

#[test]
fn a_restore_is_of_the_homes_own_chain() {
    let (world, other) = (World::new("one"), World::new("two"));
    let (backup, _) = other.backup();
    let home = world.home("home");
    let before = content(&home.home);
    let said = home.restore(&backup).unwrap_err();
    assert!(said.contains(&format!("the backup is of chain {}", other.chain)), "{said}");
    // A manifest that says what is wanted does not make it so.
    let text = fs::read_to_string(backup.join(MANIFEST)).unwrap();
    fs::write(backup.join(MANIFEST), text.replace(&other.chain.to_string(), &world.chain.to_string())).unwrap();
    let said = home.restore(&backup).unwrap_err();
    assert!(said.contains("expected is"), "{said}");
    assert!(content(&home.home) == before, "no file, no vote");
    assert_eq!(home.votes(), VotingState::Kept);
}

/// Whoever can write where backups lie replaces the set of validators, and signs with their own key.
#[test]
fn a_copy_with_another_set_is_refused() {
    let world = World::new("one");
    let (backup, _) = world.backup();
    let store = RocksStore::open(backup.join(DATA), StoreOptions::default()).unwrap();
    let at = BLOCKS.to_be_bytes();
    let header: Header = decode("header", &store.get(Table::Headers, &at).unwrap().unwrap(), 4096).unwrap();
    let attacker = key(66);
    let set = ValidatorSet::new(vec![Validator { key: attacker.public(), power: Power(1) }]).unwrap();
    let forged = Header { validators_hash: set.hash(), ..header };
    let mut batch = Batch::new();
    batch.put(Table::Headers, at, encode(&forged));
    batch.put(Table::Certificates, at, encode(&certificate(world.chain, &forged, &attacker)));
    batch.put(Table::Validators, set.hash().0, encode(&set));
    let (old, new) = (header.hash().0, forged.hash().0);
    let mut heads = 0;
    for (row, mut value) in store.scan(Table::Meta, &[], None, usize::MAX).unwrap() {
        if let Some(found) = value.windows(32).position(|window| window == old) {
            value[found..found + 32].copy_from_slice(&new);
            batch.put(Table::Meta, row, value);
            heads += 1;
        }
    }
    assert_eq!(heads, 1, "the head names its block");
    store.write(batch, Durability::Synced).unwrap();
    drop(store);
    let text = fs::read_to_string(backup.join(MANIFEST)).unwrap();
    fs::write(backup.join(MANIFEST), text.replace(&header.hash().to_string(), &forged.hash().to_string())).unwrap();
    let said = wrong(&backup);
    assert!(said.contains("the certificate of the copy's head"), "{said}");
    let home = world.home("home");
    let said = home.restore(&backup).unwrap_err();
    assert!(said.contains("the certificate of the copy's head"), "{said}");
    assert_eq!((home.votes(), home.data.exists()), (VotingState::Kept, false));
}

#[test]
fn what_an_earlier_restore_left_is_not_mixed_in() {
    let world = World::new("one");
    let (backup, _) = world.backup();
    let home = world.home("home");
    let staging = home.data.with_file_name(STAGING);
    fs::create_dir(&staging).unwrap();
    fs::write(staging.join("000999.log"), "of another backup").unwrap();
    home.restore(&backup).unwrap();
    assert!(!home.data.join("000999.log").exists() && !staging.exists());
    assert!(home.restore(&backup).unwrap_err().contains("exists; move it away"));
}

#[test]
fn a_restore_that_fails_leaves_the_votes() {
    let world = World::new("one");
    let (backup, _) = world.backup();
    let home = world.home("home");
    // A folder of files that cannot be made.
    fs::write(home.home.join("vault"), "no folder").unwrap();
    home.restore(&backup).unwrap_err();
    assert_eq!((home.votes(), home.data.exists()), (VotingState::Kept, false));
    assert!(!home.data.with_file_name(STAGING).exists(), "as large as the database");
    fs::remove_file(home.home.join("vault")).unwrap();
    // A node of this home runs, or another restore does.
    let held = VotesFile::open(&home.home).unwrap();
    assert!(home.restore(&backup).unwrap_err().contains("is in use"));
    drop(held);
    home.restore(&backup).unwrap();
}

#[test]
fn one_of_two_backups_to_one_path_is_made_and_stays() {
    let world = World::new("one");
    world.add_file(&[5; 50_000]);
    for round in 0..20 {
        let to = world.path(&format!("backup-{round}"));
        let made: Vec<Result<BackupView, String>> = std::thread::scope(|threads| {
            let both = [(); 2].map(|()| threads.spawn(|| world.make(&to)));
            both.map(|thread| thread.join().unwrap()).into_iter().collect()
        });
        let refused: Vec<&str> = made.iter().filter_map(|made| made.as_ref().err()).map(String::as_str).collect();
        assert_eq!(refused, ["backup.path_exists"], "round {round}");
        verify(&to, Some(world.chain)).unwrap();
        fs::remove_dir_all(&to).unwrap();
    }
}

#[test]
fn a_backup_of_the_version_before_is_read_and_one_of_a_later_not() {
    let world = World::new("one");
    let (backup, [one, ..]) = world.backup();
    let text = fs::read_to_string(backup.join(MANIFEST)).unwrap();
    let mut manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    manifest["version"] = 3.into();
    fs::write(backup.join(MANIFEST), manifest.to_string()).unwrap();
    assert!(wrong(&backup).contains("of version 3, this program reads 1 to 2"));
    manifest["version"] = 1.into();
    fs::write(backup.join(MANIFEST), manifest.to_string()).unwrap();
    assert!(wrong(&backup).contains("has the form of another version"));
    manifest.as_object_mut().unwrap().remove("files");
    fs::write(backup.join(MANIFEST), manifest.to_string()).unwrap();
    fs::remove_file(backup.join(files::LIST)).unwrap();
    assert_eq!(verify(&backup, None).unwrap().files, None);
    let home = world.home("home");
    assert_eq!(home.restore(&backup).unwrap().count, 6);
    assert!(home.files.join(&one).exists() && home.files.join(one.with_extension("tree")).exists());
}
