//! The tree against the specification written down once more, without pages, levels in memory or storage.

use std::collections::BTreeMap;

use proptest::prelude::*;
use vouch_types::{
    Hash32, RangeProof, StateProof, StateRoot,
    codec::{decode, encode},
    state::{node_hash, page_levels, root_hash, slot_hash},
};

use super::*;
use crate::{
    memory::{Fault, FaultKind, MemoryStorage},
    storage::{Batch, Durability, Storage},
};

/// Every slot's key and value, and nothing else: hashes are worked out anew each time.
#[derive(Debug, Clone, Default)]
struct Model {
    entries: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    slots: BTreeMap<Vec<u8>, usize>,
}

impl Model {
    fn apply(&mut self, changes: &[StateChange]) {
        for (key, value) in changes {
            match (self.slots.get(key), value) {
                (Some(&slot), _) => self.entries[slot].1 = value.clone(),
                (None, None) => {}
                (None, Some(_)) => {
                    self.slots.insert(key.clone(), self.entries.len());
                    self.entries.push((key.clone(), value.clone()));
                }
            }
        }
    }

    fn root(&self) -> StateRoot {
        let slots = self.entries.len() as u64;
        let mut level: Vec<Hash32> =
            (0..).zip(&self.entries).map(|(slot, (key, value))| slot_hash(slot, key, value.as_deref())).collect();
        for _ in 0..4 * page_levels(slots) {
            level.resize(level.len().next_multiple_of(2).max(2), Hash32::ZERO);
            level = level.chunks(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
        }
        root_hash(slots, &level[0])
    }

    fn hints(&self, changes: &[StateChange]) -> Vec<KnownSlot> {
        let of = |key| self.slots.get(key).map_or(KnownSlot::Unwritten, |&slot| KnownSlot::Slot(slot as u64));
        changes.iter().map(|(key, _)| of(key)).collect()
    }
}

fn sorted(changes: impl IntoIterator<Item = StateChange>) -> Vec<StateChange> {
    changes.into_iter().collect::<BTreeMap<_, _>>().into_iter().collect()
}

fn puts(range: std::ops::Range<u32>) -> Vec<StateChange> {
    // The hash spreads the keys, so that slots are not in the order of keys from block to block.
    sorted(range.map(|n| {
        (blake3::hash(&n.to_le_bytes()).as_bytes().to_vec(), Some(vec![n.to_le_bytes()[0]; (n % 90) as usize]))
    }))
}

fn commit(storage: &MemoryStorage, tree: &mut StateTree, changes: &[StateChange]) {
    let mut update = tree.prepare(storage, changes, &[]).unwrap();
    storage.write(update.take_batch(), Durability::Synced).unwrap();
    let root = update.root();
    tree.commit(update).unwrap();
    assert_eq!(tree.root(), root);
}

fn built(slots: u32) -> (MemoryStorage, StateTree) {
    let storage = MemoryStorage::new();
    let mut tree = StateTree::open(&storage).unwrap();
    commit(&storage, &mut tree, &puts(0..slots));
    let deleted = sorted((0..slots).filter(|n| n % 7 == 3).flat_map(|n| puts(n..n + 1)).map(|(key, _)| (key, None)));
    commit(&storage, &mut tree, &deleted);
    (storage, tree)
}

fn dump(storage: &dyn View) -> Vec<Vec<crate::storage::Entry>> {
    Table::ALL.iter().map(|&table| storage.scan(table, &[], None, usize::MAX).unwrap()).collect()
}

/// One block of the property test: its changes, a competing block's, and whether hints are given.
type Block = (Vec<StateChange>, Vec<StateChange>, bool);

fn changes(keys: u16) -> impl Strategy<Value = Vec<StateChange>> {
    let change = (0..keys, proptest::option::weighted(0.7, proptest::collection::vec(any::<u8>(), 0..9)));
    proptest::collection::vec(change, 0..40)
        .prop_map(|changes| sorted(changes.into_iter().map(|(key, value)| (format!("key {key}").into(), value))))
}

fn blocks() -> impl Strategy<Value = Vec<Block>> {
    (20u16..700).prop_flat_map(|keys| proptest::collection::vec((changes(keys), changes(keys), any::<bool>()), 1..14))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn random_blocks_give_the_root_of_the_model(blocks in blocks()) {
        let storage = MemoryStorage::new();
        let (mut tree, mut model) = (StateTree::open(&storage).unwrap(), Model::default());
        for (changes, competing, hinted) in blocks {
            let before = tree.root();
            let mut rival_model = model.clone();
            rival_model.apply(&competing);
            let hints = if hinted { model.hints(&changes) } else { Vec::new() };
            let mut update = tree.prepare(&*storage.view(), &changes, &hints).unwrap();
            let rival = tree.prepare(&*storage.view(), &competing, &[]).unwrap();
            prop_assert_eq!(tree.root(), before);
            prop_assert_eq!(rival.root(), rival_model.root());
            model.apply(&changes);
            prop_assert_eq!(update.root(), model.root());

            // Power is lost before the batch is on disk: the old state is there, whole.
            storage.write(update.take_batch(), Durability::Buffered).unwrap();
            storage.crash(0);
            prop_assert_eq!(StateTree::open(&storage).unwrap().root(), before);

            let mut again = tree.prepare(&storage, &changes, &[]).unwrap();
            storage.write(again.take_batch(), Durability::Synced).unwrap();
            tree.commit(update).unwrap();
            prop_assert_eq!(tree.slots(), model.entries.len() as u64);
            if rival.base != tree.head {
                prop_assert_eq!(tree.commit(rival), Err(TreeError::Stale));
            }
            storage.crash(0);
            let reopened = StateTree::open(&storage).unwrap();
            prop_assert_eq!(reopened.root(), model.root());
            prop_assert_eq!(tree.root(), model.root());
            prop_assert_eq!(verify_stored(&storage).unwrap(), model.root());
        }
        for (slot, (key, value)) in model.entries.iter().enumerate() {
            let proof = prove(&storage, key).unwrap().unwrap();
            prop_assert_eq!((proof.slot, &proof.value), (slot as u64, value));
            prop_assert_eq!(proof.verify(&tree.root()), Ok(()));
        }
    }
}

#[test]
fn every_way_to_grow_gives_the_same_tree() {
    for cuts in [
        vec![5000],
        vec![1, 5000],
        vec![16, 17, 5000],
        vec![15, 256, 257, 4096, 4097, 5000],
        vec![255, 300, 4095, 5000],
        vec![1, 2, 4999, 5000],
    ] {
        let storage = MemoryStorage::new();
        let (mut tree, mut model, mut from) = (StateTree::open(&storage).unwrap(), Model::default(), 0);
        for to in cuts {
            let changes = puts(from..to);
            commit(&storage, &mut tree, &changes);
            model.apply(&changes);
            assert_eq!(tree.root(), model.root(), "{from} to {to}");
            assert_eq!(StateTree::open(&storage).unwrap().root(), model.root(), "{from} to {to}");
            from = to;
        }
        verify_stored(&storage).unwrap();
    }
}

#[test]
fn one_key_a_block_over_the_borders_of_two_levels() {
    let storage = MemoryStorage::new();
    let (mut tree, mut model) = (StateTree::open(&storage).unwrap(), Model::default());
    for n in 0..300 {
        commit(&storage, &mut tree, &puts(n..n + 1));
        model.apply(&puts(n..n + 1));
        assert_eq!(tree.root(), model.root(), "{n}");
        assert_eq!(StateTree::open(&storage).unwrap().root(), model.root(), "{n}");
    }
}

#[test]
fn deletes_leave_tombstones_and_keys_come_back_to_their_slot() {
    let (storage, mut tree) = built(40);
    let (key, _) = puts(0..1).remove(0);
    let slot = prove(&storage, &key).unwrap().unwrap().slot;
    for value in [None, None, Some(b"back".to_vec()), None, Some(Vec::new())] {
        commit(&storage, &mut tree, &[(key.clone(), value.clone())]);
        let proof = prove(&storage, &key).unwrap().unwrap();
        assert_eq!((proof.slot, proof.value.clone(), proof.slots), (slot, value, 40));
        assert_eq!(proof.verify(&tree.root()), Ok(()));
    }
    let root = tree.root();
    commit(&storage, &mut tree, &[(b"never written".to_vec(), None)]);
    commit(&storage, &mut tree, &[]);
    assert_eq!((tree.root(), tree.slots()), (root, 40));
    assert_eq!(prove(&storage, b"never written"), Ok(None));
}

#[test]
fn proofs_come_from_the_moment_of_their_view() {
    let (storage, mut tree) = built(250);
    let old_root = tree.root();
    let old = storage.view();
    let (key, value) = puts(9..10).remove(0);
    commit(&storage, &mut tree, &[(key.clone(), Some(b"new".to_vec()))]);
    commit(&storage, &mut tree, &puts(1000..1300));
    let proof = prove(&*old, &key).unwrap().unwrap();
    assert_eq!(proof.value, value);
    assert_eq!(proof.verify(&old_root), Ok(()));
    assert!(proof.verify(&tree.root()).is_err());
    assert!(encode(&proof).len() <= 2048);
    assert_eq!(decode::<StateProof>("state proof", &encode(&proof), 2048).unwrap(), proof);
    assert_eq!(prove_range(&*old, 0, 250, usize::MAX).unwrap().unwrap().verify(&old_root).map(|l| l.len()), Ok(250));
}

#[test]
fn every_range_is_proved() {
    for slots in [1, 2, 15, 16, 17, 33, 48] {
        let (storage, tree) = built(slots);
        let slots = u64::from(slots);
        for from in 0..slots {
            for to in from + 1..=slots {
                let proof = prove_range(&storage, from, to, usize::MAX).unwrap().unwrap();
                assert_eq!((proof.from, proof.to(), proof.slots), (from, to, slots));
                assert!(proof.verify(&tree.root()).is_ok(), "{from} to {to} of {slots}");
            }
            assert_eq!(prove_range(&storage, from, from, usize::MAX), Ok(None));
        }
        assert_eq!(prove_range(&storage, slots, slots + 1, usize::MAX), Ok(None));
    }
}

#[test]
fn ranges_over_level_borders_are_proved_and_changed_ones_refused() {
    let (storage, tree) = built(4200);
    for (from, to) in [(0, 4200), (255, 257), (4095, 4097), (4096, 4200), (1, 4199), (4199, 9000), (3000, 4096)] {
        let proof = prove_range(&storage, from, to, usize::MAX).unwrap().unwrap();
        assert!(proof.verify(&tree.root()).is_ok(), "{from} to {to}");
        for index in [0, proof.entries.len() / 2, proof.entries.len() - 1] {
            let mut changed = proof.clone();
            changed.entries[index].value = Some(b"forged".to_vec());
            assert!(changed.verify(&tree.root()).is_err());
        }
    }
}

#[test]
fn pieces_are_bounded_in_bytes_and_end_on_pages() {
    let (storage, _) = built(1000);
    let piece = prove_range(&storage, 5, 1000, 4000).unwrap().unwrap();
    let bytes: usize = piece.entries.iter().map(|e| e.key.len() + e.value.as_ref().map_or(0, Vec::len)).sum();
    assert!(bytes <= 4000 && bytes > 2000, "{bytes}");
    assert_eq!(piece.to() % IMPORT_ALIGNMENT, 0);
    let least = prove_range(&storage, 5, 1000, 0).unwrap().unwrap();
    assert_eq!(least.to(), 16);
}

fn pieces(source: &MemoryStorage, bytes_max: usize) -> Vec<RangeProof> {
    let (mut pieces, mut from) = (Vec::new(), 0);
    while let Some(piece) = prove_range(source, from, u64::MAX, bytes_max).unwrap() {
        from = piece.to();
        pieces.push(piece);
    }
    pieces
}

#[test]
fn an_import_gives_the_same_bytes_even_when_every_piece_is_followed_by_a_crash() {
    for (slots, bytes_max) in [(0, 100), (1, 100), (16, 100), (17, 900), (300, 900), (4200, 30_000), (4200, usize::MAX)]
    {
        let (source, tree) = built(slots);
        let target = MemoryStorage::new();
        for piece in pieces(&source, bytes_max) {
            let mut import = StateImport::open(&target, tree.root()).unwrap();
            assert_eq!((import.next_slot(), import.is_complete()), (piece.from, false));
            // The first attempt is lost, the second is not.
            let batch = import.accept(&piece).unwrap();
            target.write(batch, Durability::Buffered).unwrap();
            target.crash(0);
            let mut import = StateImport::open(&target, tree.root()).unwrap();
            let batch = import.accept(&piece).unwrap();
            target.write(batch, Durability::Synced).unwrap();
            assert_eq!(StateTree::open(&target).unwrap_err(), TreeError::ImportUnfinished);
        }
        let import = StateImport::open(&target, tree.root()).unwrap();
        assert!(import.is_complete());
        let mut imported = import.finish(&target).unwrap();
        assert_eq!(imported.root(), tree.root());
        if slots > 0 {
            assert_eq!(dump(&target), dump(&source), "{slots} slots");
        }
        commit(&target, &mut imported, &puts(50_000..50_100));
        verify_stored(&target).unwrap();
        StateTree::open(&target).unwrap();
    }
}

#[test]
fn an_interrupted_finish_is_done_again() {
    let (source, tree) = built(5000);
    let target = MemoryStorage::new();
    let mut import = StateImport::open(&target, tree.root()).unwrap();
    for piece in pieces(&source, 100_000) {
        target.write(import.accept(&piece).unwrap(), Durability::Synced).unwrap();
    }
    let next = target.counters().writes + 1;
    target.set_write_fault(Some(Fault {
        kind: FaultKind::DiskFull,
        first: next + 1,
        last: next + 1,
        takes_effect: false,
    }));
    assert!(matches!(import.finish(&target), Err(TreeError::Storage(_))));
    target.crash(1);
    assert_eq!(StateTree::open(&target).unwrap_err(), TreeError::ImportUnfinished);
    StateImport::open(&target, tree.root()).unwrap().finish(&target).unwrap();
    assert_eq!(dump(&target), dump(&source));
}

#[test]
fn wrong_pieces_are_refused_and_change_nothing() {
    let (source, tree) = built(300);
    let target = MemoryStorage::new();
    let mut import = StateImport::open(&target, tree.root()).unwrap();
    let good = pieces(&source, 3000);
    let mut forged = good[0].clone();
    forged.entries[3].value = Some(b"forged".to_vec());
    assert!(matches!(import.accept(&forged), Err(TreeError::Proof(_))));
    assert_eq!(import.accept(&good[1]), Err(TreeError::OutOfOrder { expected: 0 }));
    let unaligned = prove_range(&source, 0, 17, usize::MAX).unwrap().unwrap();
    assert_eq!(import.accept(&unaligned), Err(TreeError::OutOfOrder { expected: 0 }));
    let mut empty = good[0].clone();
    empty.entries.clear();
    assert!(import.accept(&empty).is_err());
    assert_eq!(import.slots(), None);
    target.write(import.accept(&good[0]).unwrap(), Durability::Synced).unwrap();
    assert_eq!(import.accept(&good[0]), Err(TreeError::OutOfOrder { expected: good[0].to() }));
    assert_eq!(import.finish(&target).unwrap_err(), TreeError::ImportUnfinished);

    let other = StateRoot([1; 32]);
    assert_eq!(StateImport::open(&target, other).unwrap_err(), TreeError::NotEmpty);
    assert_eq!(StateImport::open(&source, tree.root()).unwrap_err(), TreeError::NotEmpty);
    target.write(StateImport::clear(&target).unwrap(), Durability::Synced).unwrap();
    assert!(dump(&target).iter().all(Vec::is_empty));
    assert_eq!(StateImport::open(&target, other).unwrap().next_slot(), 0);
}

#[test]
fn damage_is_found() {
    let (storage, _) = built(300);
    let flip = |table: Table, key: &[u8], byte: usize| {
        let mut value = storage.get(table, key).unwrap().unwrap();
        value[byte] ^= 1;
        let mut batch = Batch::new();
        batch.put(table, key, value);
        storage.write(batch, Durability::Synced).unwrap();
    };
    let is_corrupt =
        |result: Result<(), TreeError>| assert!(matches!(result, Err(TreeError::Corrupt { .. })), "{result:?}");
    let at_open: [(Table, Vec<u8>, usize); 5] = [
        (Table::Meta, b"state_tree".to_vec(), 0),
        (Table::Meta, b"state_tree".to_vec(), 1),
        (Table::Meta, b"state_tree".to_vec(), 40),
        (Table::Tree, page_key(1, 1).to_vec(), 3),
        (Table::Tree, page_key(0, 18).to_vec(), 70),
    ];
    for (table, key, byte) in at_open {
        flip(table, &key, byte);
        is_corrupt(StateTree::open(&storage).map(drop));
        flip(table, &key, byte);
        StateTree::open(&storage).unwrap();
    }
    // A page of the lowest level somewhere inside: found when it is used.
    flip(Table::Tree, &page_key(0, 4), 511);
    let tree = StateTree::open(&storage).unwrap();
    let key = storage.get(Table::Slots, &70u64.to_be_bytes()).unwrap().unwrap();
    is_corrupt(tree.prepare(&storage, &[(key.clone(), Some(vec![1]))], &[]).map(drop));
    is_corrupt(prove(&storage, &key).map(drop));
    is_corrupt(verify_stored(&storage).map(drop));
    flip(Table::Tree, &page_key(0, 4), 511);
    // A value.
    flip(Table::State, &key, 9);
    is_corrupt(prove(&storage, &key).map(drop));
    is_corrupt(verify_stored(&storage).map(drop));
    flip(Table::State, &key, 9);
    verify_stored(&storage).unwrap();
    // A record too much.
    let mut batch = Batch::new();
    batch.put(Table::State, "stray", StateRecord { slot: 5, value: None }.encode());
    storage.write(batch, Durability::Synced).unwrap();
    is_corrupt(verify_stored(&storage).map(drop));
}

#[test]
fn a_view_of_another_state_is_refused() {
    let (storage, mut tree) = built(64);
    let old = storage.view();
    let change = puts(2..3).remove(0);
    commit(&storage, &mut tree, &[(change.0.clone(), Some(b"other".to_vec()))]);
    assert!(matches!(tree.prepare(&*old, &[change], &[]), Err(TreeError::Corrupt { .. })));
}

#[test]
fn callers_mistakes_are_refused() {
    let (storage, tree) = built(20);
    let change = |key: &[u8]| (key.to_vec(), Some(Vec::new()));
    for changes in [[change(b"b"), change(b"a")], [change(b"a"), change(b"a")]] {
        assert_eq!(tree.prepare(&storage, &changes, &[]).unwrap_err(), TreeError::Unsorted);
    }
    assert_eq!(tree.prepare(&storage, &[change(b"a")], &[KnownSlot::Unknown; 2]).unwrap_err(), TreeError::Unsorted);
    assert!(matches!(
        tree.prepare(&storage, &[change(b"a")], &[KnownSlot::Slot(20)]).unwrap_err(),
        TreeError::Corrupt { .. }
    ));
}

#[test]
fn failing_reads_are_reported() {
    let (storage, tree) = built(300);
    let key = puts(5..6).remove(0).0;
    let failing = |call: &dyn Fn() -> Result<(), TreeError>| {
        for nth in 1..40 {
            let number = storage.counters().reads + nth;
            storage.set_read_fault(Some(Fault {
                kind: FaultKind::InputOutput,
                first: number,
                last: number,
                takes_effect: false,
            }));
            let result = call();
            if storage.counters().reads < number {
                assert!(nth > 1);
                break;
            }
            assert!(matches!(result, Err(TreeError::Storage(_))), "read {nth}: {result:?}");
        }
        storage.set_read_fault(None);
        assert_eq!(call(), Ok(()));
    };
    failing(&|| StateTree::open(&storage).map(drop));
    failing(&|| tree.prepare(&storage, &[(key.clone(), None)], &[]).map(drop));
    failing(&|| prove(&storage, &key).map(drop));
    failing(&|| prove_range(&storage, 1, 5, 1000).map(drop));
    failing(&|| verify_stored(&storage).map(drop));
}
