//! Files through sealing, delivery in pieces and damage.

use std::ops::Range;

use serde_json::json;
use vouch_privacy::{
    Commitment, DocumentKeys,
    attachment::{
        Arrived, AttachmentValue, GROUP_BYTES, GroupHashes, HEAD_BYTES, HashKey, Opener, SEGMENT_BYTES,
        SealedAttachment, Sealer, TreeHasher, blob_root,
    },
    sealing::seal_with,
};
use vouch_types::Hash32;

use crate::support::{document, rng, schema};

const GROUP: usize = GROUP_BYTES as usize;

fn only(range: Range<u64>) -> Vec<Range<u64>> {
    std::iter::once(range).collect()
}

fn content(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(b"content").finalize_xof().fill(&mut bytes);
    bytes
}

fn sealed(keys: &DocumentKeys, data: &[u8], step: usize) -> (SealedAttachment, Vec<u8>) {
    let mut out = Vec::new();
    let mut sealer = Sealer::new(keys, 10, 0, &mut rng(1), &mut out).unwrap();
    data.chunks(step).for_each(|part| sealer.update(part, &mut out).unwrap());
    (sealer.finish("受理单.pdf", "application/pdf", &mut out).unwrap(), out)
}

fn opened(keys: &DocumentKeys, made: &SealedAttachment, ciphertext: &[u8]) -> Result<Vec<u8>, &'static str> {
    let head: &[u8; HEAD_BYTES] = ciphertext.first_chunk().ok_or("attachment.head")?;
    let opener = Opener::new(&keys.data.field(10), 0, head, made.value.size).map_err(|error| error.code())?;
    let mut plain = Vec::new();
    for segment in 0..opener.segments() {
        let (start, length) = opener.place(segment);
        let start = start as usize;
        let bytes = ciphertext.get(start..start + length).unwrap_or_default();
        plain.extend_from_slice(&opener.open(segment, bytes).map_err(|error| error.code())?);
    }
    Ok(plain)
}

#[test]
fn a_file_of_any_length_comes_back_and_has_blake3s_own_root() {
    let keys = DocumentKeys::generate(&mut rng(2));
    for length in [
        0,
        1,
        1_024,
        GROUP - 1,
        GROUP,
        GROUP + 1,
        3 * GROUP,
        SEGMENT_BYTES - 1,
        SEGMENT_BYTES,
        SEGMENT_BYTES + 1,
        5 * SEGMENT_BYTES + 7_000,
    ] {
        let data = content(length);
        let (made, ciphertext) = sealed(&keys, &data, 10_000);
        assert_eq!(made, sealed(&keys, &data, 65_537).0, "how it streams does not matter");
        assert_eq!(opened(&keys, &made, &ciphertext).unwrap(), data, "{length}");
        assert_eq!(made.value.b3.0, *blake3::keyed_hash(&made.value.b3_key.0, &data).as_bytes());
        assert_eq!(made.blob.root.0, *blake3::hash(&ciphertext).as_bytes());
        assert_eq!(made.blob.bytes, ciphertext.len() as u64);
        made.content.verify(&made.value.b3, &HashKey::Keyed(made.value.b3_key.0)).unwrap();
        made.ciphertext.verify(&made.blob.root, &HashKey::Open).unwrap();
        assert!(made.content.damage(data.as_slice(), &HashKey::Keyed(made.value.b3_key.0)).unwrap().is_empty());
    }
}

/// The tree is that of `bao-tree`, which other implementations of verified streaming use.
#[test]
fn the_group_hashes_are_the_leaves_of_a_foreign_tree() {
    use bao_tree::{BlockSize, io::outboard::PreOrderMemOutboard};
    let key = [7; 32];
    for length in [GROUP + 1, 3 * GROUP, 100 * GROUP + 5_000] {
        let data = content(length);
        let mut hasher = TreeHasher::new(HashKey::Keyed(key));
        hasher.update(&data).unwrap();
        let (root, groups) = hasher.finish();
        let foreign = PreOrderMemOutboard::create_keyed(&data, BlockSize::from_chunk_log(4), &key);
        assert_eq!(root.0, *foreign.root.as_bytes());
        // The outboard lists inner nodes as pairs of hashes; each of ours stands in one of them.
        let pairs: Vec<&[u8]> = foreign.data.chunks(32).collect();
        assert!(groups.hashes.iter().all(|hash| pairs.contains(&hash.0.as_slice())), "{length}");
    }
}

#[test]
fn a_flipped_byte_is_found_in_its_group() {
    let keys = DocumentKeys::generate(&mut rng(2));
    let data = content(10 * GROUP + 100);
    let (made, ciphertext) = sealed(&keys, &data, 1 << 20);
    let key = HashKey::Keyed(made.value.b3_key.0);
    let group = GROUP_BYTES;
    for (at, expected) in
        [(0, 0..group), (5 * GROUP + 3, 5 * group..6 * group), (10 * GROUP + 99, 10 * group..10 * group + 100)]
    {
        let mut copy = data.clone();
        copy[at] ^= 1;
        assert_eq!(made.content.damage(copy.as_slice(), &key).unwrap(), only(expected));
    }
    let mut copy = data.clone();
    copy[GROUP - 1] ^= 1;
    copy[GROUP] ^= 1;
    assert_eq!(made.content.damage(copy.as_slice(), &key).unwrap(), only(0..2 * group));
    assert_eq!(made.content.damage(&data[..9 * GROUP], &key).unwrap(), only(9 * group..10 * group + 100));
    let longer = [&data[..], b"more"].concat();
    assert_eq!(made.content.damage(longer.as_slice(), &key).unwrap(), only(10 * group + 100..10 * group + 104));
    assert!(!made.content.damage(data.as_slice(), &HashKey::Open).unwrap().is_empty());

    let mut copy = ciphertext;
    copy[70_000] ^= 1;
    assert_eq!(made.ciphertext.damage(copy.as_slice(), &HashKey::Open).unwrap(), only(4 * group..5 * group));
    assert_eq!(opened(&keys, &made, &copy), Err("attachment.segment"));
}

#[test]
fn every_alteration_of_a_ciphertext_is_found() {
    let keys = DocumentKeys::generate(&mut rng(2));
    let (made, good) = sealed(&keys, &content(3 * SEGMENT_BYTES), 1 << 20);
    let code = |bytes: &[u8]| opened(&keys, &made, bytes).unwrap_err();
    let mut altered = good.clone();
    altered[0] ^= 1;
    assert_eq!(code(&altered), "attachment.head");
    let mut altered = good.clone();
    altered[10] ^= 1;
    assert_eq!(code(&altered), "attachment.segment");
    assert_eq!(code(&good[..good.len() - 1]), "attachment.segment");
    // Swapped segments, and the last one taken for an inner one.
    let step = SEGMENT_BYTES + 16;
    let mut swapped = good.clone();
    swapped[HEAD_BYTES..HEAD_BYTES + 2 * step].rotate_left(step);
    assert_eq!(code(&swapped), "attachment.segment");
    let shorter = SealedAttachment {
        value: AttachmentValue { size: 2 * SEGMENT_BYTES as u64, ..made.value.clone() },
        ..made.clone()
    };
    assert_eq!(opened(&keys, &shorter, &good).unwrap_err(), "attachment.segment");
    let other = DocumentKeys::generate(&mut rng(3));
    assert_eq!(opened(&other, &made, &good).unwrap_err(), "attachment.segment");
}

#[test]
fn pieces_arrive_in_any_order_and_a_wrong_one_is_refused() {
    let keys = DocumentKeys::generate(&mut rng(2));
    let (made, ciphertext) = sealed(&keys, &content(20 * GROUP), 1 << 20);
    let groups = &made.ciphertext;
    let mut arrived = Arrived::nothing_of(made.blob.bytes).unwrap();
    let take =
        |offset: u64, length: usize| &ciphertext[offset as usize..(offset as usize + length).min(ciphertext.len())];
    arrived.accept(4 * GROUP_BYTES, take(4 * GROUP_BYTES, 3 * GROUP), groups, &HashKey::Open).unwrap();
    assert_eq!(arrived.missing(u64::MAX), Some(0..4 * GROUP_BYTES));
    assert_eq!(arrived.missing(1), Some(0..GROUP_BYTES));
    let mut wrong = take(0, 2 * GROUP).to_vec();
    wrong[GROUP + 5] ^= 1;
    let error = arrived.accept(0, &wrong, groups, &HashKey::Open).unwrap_err();
    assert_eq!((error.code(), error.to_string().contains("16384")), ("attachment.piece", true));
    assert_eq!(arrived.missing(u64::MAX), Some(GROUP_BYTES..4 * GROUP_BYTES), "the right group before it counts");
    assert!(arrived.accept(1, take(1, GROUP), groups, &HashKey::Open).is_err());
    assert!(arrived.accept(0, take(0, GROUP - 1), groups, &HashKey::Open).is_err());
    // Resumed from what was written down.
    let mut arrived: Arrived = vouch_types::decode("arrived", &vouch_types::encode(&arrived), 1 << 20).unwrap();
    let mut rounds = 0;
    while let Some(range) = arrived.missing(5 * GROUP_BYTES) {
        let length = (range.end - range.start) as usize;
        arrived.accept(range.start, take(range.start, length), groups, &HashKey::Open).unwrap();
        rounds += 1;
    }
    assert_eq!(rounds, 4);
}

#[test]
fn a_list_of_hashes_must_have_the_root() {
    let mut hasher = TreeHasher::new(HashKey::Open);
    hasher.update(&content(5 * GROUP)).unwrap();
    let (root, good) = hasher.finish();
    let refused = |groups: &GroupHashes| groups.verify(&root, &HashKey::Open).unwrap_err().code();
    for at in 0..5 {
        let mut altered = good.clone();
        altered.hashes[at].0[0] ^= 1;
        assert_eq!(refused(&altered), "attachment.groups");
    }
    assert_eq!(refused(&GroupHashes { bytes: good.bytes + GROUP_BYTES, ..good.clone() }), "attachment.groups");
    assert_eq!(refused(&GroupHashes { bytes: 0, hashes: Vec::new() }), "attachment.groups");
    assert_eq!(good.verify(&root, &HashKey::Keyed([1; 32])).unwrap_err().code(), "attachment.groups");
    // Two hashes that lie under one inner node cannot be passed off as one.
    let single = GroupHashes { bytes: 1, hashes: vec![root] };
    assert!(!single.is_group(0, b"x", &HashKey::Open));
}

#[test]
fn a_file_belongs_to_its_field_and_its_documents_roots() {
    let keys = DocumentKeys::generate(&mut rng(2));
    let (made, _) = sealed(&keys, &content(100), 100);
    let mut with_file = document();
    with_file.values.insert("files".into(), json!([made.value]));
    let commitment = Commitment::build(&with_file, &schema(), &keys.secret).unwrap();
    let stored = seal_with(&commitment, &keys, &mut rng(4)).unwrap();
    let field = stored.open(&keys.fields(&[10].into_iter().collect())).unwrap().fields.remove(0);
    assert_eq!(AttachmentValue::list_from(&field.said.value).unwrap(), std::slice::from_ref(&made.value));
    assert_eq!(blob_root(&[]), None);
    let root = blob_root(&[made.blob.leaf()]);
    let other = vouch_privacy::attachment::Blob { index: 1, ..made.blob };
    assert!(root.is_some() && root != blob_root(&[other.leaf()]));
    assert_ne!(blob_root(&[made.blob.leaf(), other.leaf()]), blob_root(&[other.leaf(), made.blob.leaf()]));
    assert_eq!(AttachmentValue::list_from(&json!([])), None, "no file is null, not an empty list");
    let bad = AttachmentValue { b3: Hash32([0; 32]), chunk_log: 0, ..made.value };
    assert_eq!(AttachmentValue::list_from(&json!([bad])), None);
}

#[test]
fn a_range_proves_itself_and_a_changed_byte_has_a_place() {
    use bao_tree::{
        BlockSize, ChunkNum, ChunkRanges,
        io::{outboard::PreOrderMemOutboard, sync::encode_ranges_validated},
    };
    use vouch_privacy::attachment::{AttachmentError, Blob, verify_piece};
    for length in [1, GROUP, GROUP + 1, 11 * GROUP + 77] {
        let data = content(length);
        let tree = PreOrderMemOutboard::create(&data, BlockSize::from_chunk_log(4));
        let blob = Blob { slot: 1, index: 0, bytes: length as u64, root: Hash32(*tree.root.as_bytes()) };
        for from in (0..length).step_by(GROUP) {
            for to in [(from + GROUP).min(length), (from + 3 * GROUP).min(length), length] {
                let ranges = ChunkRanges::from(ChunkNum::full_chunks(from as u64)..ChunkNum::chunks(to as u64));
                let mut piece = Vec::new();
                encode_ranges_validated(&data[..], &tree, &ranges, &mut piece).unwrap();
                let checked = |piece: &[u8]| verify_piece(&blob, from as u64, to as u64, piece);
                assert_eq!(checked(&piece).unwrap(), data[from..to]);
                assert!(checked(&piece[..piece.len() - 1]).is_err() && checked(&[&piece[..], &[0]].concat()).is_err());
                assert!(verify_piece(&blob, from as u64 + 1, to as u64, &piece).is_err());
                // The last byte of a piece is the last one of the range.
                let mut altered = piece.clone();
                *altered.last_mut().unwrap() ^= 1;
                let place = ((to - 1) / GROUP * GROUP) as u64;
                assert_eq!(checked(&altered), Err(AttachmentError::Piece(place)), "{length} {from} {to}");
            }
        }
        assert!(verify_piece(&blob, 0, length as u64 + 1, &[]).is_err() && verify_piece(&blob, 0, 0, &[]).is_err());
    }
}

#[test]
fn the_length_of_a_ciphertext_is_known_before_it_is_made() {
    use vouch_privacy::attachment::{FILE_BYTES_MAX, sealed_bytes};
    let keys = DocumentKeys::generate(&mut rng(2));
    for length in [0, 1, SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1, 3 * SEGMENT_BYTES] {
        let (made, _) = sealed(&keys, &content(length), 9_000);
        assert_eq!(sealed_bytes(length as u64), Some(made.blob.bytes), "{length}");
    }
    assert_eq!((sealed_bytes(FILE_BYTES_MAX), sealed_bytes(u64::MAX)), (None, None));
}
