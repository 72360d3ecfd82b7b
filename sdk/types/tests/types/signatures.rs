//! One verdict for every signature, alone or in a batch, whatever stands next to it: crafted cases with known answers.

use curve25519_dalek::{EdwardsPoint, Scalar, constants::EIGHT_TORSION, edwards::CompressedEdwardsY};
use serde_json::{Value, json};
use sha2::{Digest, Sha512};
use vouch_types::{
    Hash32, PublicKey, SecretKey, Signature, SignatureError,
    hash::domain_hash,
    keys::{BatchItem, verify_batch},
};

use crate::golden;

/// A signature and what must come of it.
struct Case {
    name: String,
    item: BatchItem,
    valid: bool,
}

fn case(name: impl Into<String>, key: [u8; 32], message: Hash32, signature: [u8; 64], valid: bool) -> Case {
    let item = BatchItem { key: PublicKey::ed25519(key), message, signature: Signature(signature) };
    Case { name: name.into(), item, valid }
}

fn bytes<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

fn join(r: [u8; 32], s: [u8; 32]) -> [u8; 64] {
    [r, s].concat().try_into().unwrap()
}

fn message(n: usize) -> Hash32 {
    domain_hash("vouch/test-message/1", &[&(n as u64).to_le_bytes()])
}

/// The twelve of "Taming the many `EdDSA`s" (Chalkias, Garillot, Nikolaenko; github.com/novifinancial/ed25519-speccheck,
/// Apache-2.0), with the verdicts of ZIP-215: everything but scalars out of range and the wrongly reduced hash.
fn published() -> Vec<Case> {
    let rows = include_str!("ed25519_speccheck.txt").lines().enumerate();
    rows.map(|(n, row)| {
        let [message, key, signature] = row.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let valid = !(6..=8).contains(&n);
        case(format!("speccheck {n}"), bytes(key), Hash32(bytes(message)), bytes(signature), valid)
    })
    .collect()
}

/// All encodings of points of small order: eight canonical ones, and those that are not reduced or have a needless sign.
fn small_order_encodings() -> Vec<[u8; 32]> {
    let mut encodings: Vec<[u8; 32]> = EIGHT_TORSION.iter().map(|p| p.compress().to_bytes()).collect();
    encodings.extend(unreduced_encodings().into_iter().filter(|e| point(e).is_some_and(|p| p.is_small_order())));
    for mut signed in [[0; 32], [0xff; 32]] {
        // The two points with x = 0, y = 1 and y = -1, and the sign of -0.
        signed[0] = if signed[0] == 0 { 1 } else { 0xec };
        signed[31] |= 0x80;
        encodings.push(signed);
    }
    encodings.sort_unstable();
    encodings.dedup();
    encodings
}

/// The field elements that fit in 255 bits a second time, with both signs, whether or not they are points.
fn unreduced_encodings() -> Vec<[u8; 32]> {
    let both = (0xed..=0xffu8).flat_map(|low| [(low, 0x7f), (low, 0xff)]);
    both.map(|(low, high)| {
        let mut encoding = [0xff; 32];
        (encoding[0], encoding[31]) = (low, high);
        encoding
    })
    .collect()
}

fn point(encoding: &[u8; 32]) -> Option<EdwardsPoint> {
    CompressedEdwardsY(*encoding).decompress()
}

/// Every pair of small-order key and small-order nonce with scalar 0: valid, since eight times either is zero.
fn small_order() -> Vec<Case> {
    let encodings = small_order_encodings();
    let pairs = encodings
        .iter()
        .enumerate()
        .flat_map(|(a, key)| encodings.iter().enumerate().map(move |(r, nonce)| (a, key, r, nonce)));
    pairs
        .map(|(a, key, r, nonce)| case(format!("small order {a}/{r}"), *key, message(a), join(*nonce, [0; 32]), true))
        .collect()
}

fn scalar(tag: &str, n: usize) -> Scalar {
    let digest = Sha512::digest([tag.as_bytes(), &(n as u64).to_le_bytes()].concat());
    Scalar::from_bytes_mod_order_wide(&digest.into())
}

fn challenge(r: &[u8; 32], key: &[u8; 32], message: &Hash32) -> Scalar {
    Scalar::from_bytes_mod_order_wide(&Sha512::digest([r.as_slice(), key, message.as_bytes()].concat()).into())
}

/// Signatures by a signer who adds points of small order to key and nonce: only the cofactored rule accepts them all,
/// and a batch check without cofactor would accept some by chance.
fn mixed_order() -> Vec<Case> {
    (0..64)
        .map(|n| {
            let (secret, nonce) = (scalar("key", n), scalar("nonce", n));
            let key = (EdwardsPoint::mul_base(&secret) + EIGHT_TORSION[n % 8]).compress().to_bytes();
            let r = (EdwardsPoint::mul_base(&nonce) + EIGHT_TORSION[n / 8]).compress().to_bytes();
            let s = nonce + challenge(&r, &key, &message(n)) * secret;
            case(format!("mixed order {}/{}", n % 8, n / 8), key, message(n), join(r, s.to_bytes()), true)
        })
        .collect()
}

/// Honest signatures and single faults in them.
fn ordinary() -> Vec<Case> {
    let secret = SecretKey::from_seed([42; 32]);
    let key = secret.public().bytes;
    let signature = secret.sign(message(0).as_bytes()).0;
    let changed = |at: usize, bit: u8| {
        let mut changed = signature;
        changed[at] ^= bit;
        changed
    };
    // The order of the base point.
    let order: [u8; 32] = bytes("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut carry = 0u16;
    let mut high = signature;
    for (byte, add) in high[32..].iter_mut().zip(order) {
        carry += u16::from(*byte) + u16::from(add);
        *byte = carry.to_le_bytes()[0];
        carry >>= 8;
    }
    let mut not_a_point = [0; 32];
    not_a_point[0] = 2;
    assert!(point(&not_a_point).is_none());
    let s: [u8; 32] = signature[32..].try_into().unwrap();
    vec![
        case("honest", key, message(0), signature, true),
        case("another message", key, message(1), signature, false),
        case("another key", SecretKey::from_seed([43; 32]).public().bytes, message(0), signature, false),
        case("bit of R", key, message(0), changed(0, 1), false),
        case("sign of R", key, message(0), changed(31, 0x80), false),
        case("bit of s", key, message(0), changed(32, 1), false),
        case("high bit of s", key, message(0), changed(63, 0x80), false),
        case("s plus the order", key, message(0), high, false),
        case("s is the order", key, message(0), join(signature[..32].try_into().unwrap(), order), false),
        case("R is no point", key, message(0), join(not_a_point, s), false),
        case("key is no point", not_a_point, message(0), signature, false),
        case("all zero", [0; 32], message(0), [0; 64], true),
        case("all ones", [0xff; 32], message(0), [0xff; 64], false),
    ]
}

fn all() -> Vec<Case> {
    [published(), small_order(), mixed_order(), ordinary()].into_iter().flatten().collect()
}

fn honest(n: usize) -> BatchItem {
    let secret = SecretKey::from_seed([n as u8; 32]);
    BatchItem { key: secret.public(), message: message(n), signature: secret.sign(message(n).as_bytes()) }
}

fn verdict(valid: bool) -> Result<(), SignatureError> {
    if valid { Ok(()) } else { Err(SignatureError::Invalid) }
}

#[test]
fn verdicts_alone_and_in_batches_of_one() {
    for case in all() {
        let item = case.item;
        assert_eq!(item.key.verify(item.message.as_bytes(), &item.signature), verdict(case.valid), "{}", case.name);
        for entropy in [[0; 32], [0xa5; 32]] {
            assert_eq!(verify_batch(&[item], &entropy), [verdict(case.valid)], "{}", case.name);
        }
    }
}

#[test]
fn verdicts_among_honest_signatures_in_every_place() {
    for (n, case) in all().into_iter().enumerate() {
        for place in 0..4 {
            let mut items: Vec<BatchItem> = (0..3).map(honest).collect();
            items.insert(place, case.item);
            let mut expected = vec![Ok(()); 3];
            expected.insert(place, verdict(case.valid));
            assert_eq!(verify_batch(&items, &[n as u8; 32]), expected, "{} at {place}", case.name);
        }
    }
}

#[test]
fn verdicts_all_together_in_many_orders() {
    let mut cases = all();
    for round in 0..8u8 {
        let items: Vec<BatchItem> = cases.iter().map(|c| c.item).collect();
        let expected: Vec<_> = cases.iter().map(|c| verdict(c.valid)).collect();
        assert_eq!(verify_batch(&items, &[round; 32]), expected);
        let valid: Vec<BatchItem> = cases.iter().filter(|c| c.valid).map(|c| c.item).collect();
        assert!(verify_batch(&valid, &[round; 32]).iter().all(Result::is_ok), "the valid ones hold as one batch");
        cases.sort_by_key(|c| domain_hash("vouch/test-order/1", &[&[round], c.name.as_bytes()]));
    }
}

#[test]
fn an_unknown_algorithm_is_told_apart() {
    let mut item = honest(1);
    item.key.algorithm = 2;
    let refused = Err(SignatureError::UnknownAlgorithm(2));
    assert_eq!(item.key.verify(item.message.as_bytes(), &item.signature), refused);
    assert_eq!(verify_batch(&[honest(0), item, honest(2)], &[0; 32]), [Ok(()), refused, Ok(())]);
    assert!(item.key.is_weak());
    assert_eq!(verify_batch(&[], &[0; 32]), []);
}

#[test]
fn keys_that_may_not_be_registered() {
    let encodings = small_order_encodings();
    assert_eq!(encodings.len(), 14, "all encodings of small order that decode");
    for key in encodings.iter().chain(&unreduced_encodings()) {
        assert!(PublicKey::ed25519(*key).is_weak(), "{}", hex::encode(key));
    }
    let large = unreduced_encodings().into_iter().filter(|e| point(e).is_some_and(|p| !p.is_small_order()));
    assert!(large.count() > 0, "some unreduced encodings are points of large order");
    let mut not_a_point = [0; 32];
    not_a_point[0] = 2;
    assert!(PublicKey::ed25519(not_a_point).is_weak());
    assert!((0..=255).all(|n| !SecretKey::from_seed([n; 32]).public().is_weak()));
}

#[test]
fn vectors_for_other_languages() {
    let cases: Vec<Value> = all()
        .iter()
        .map(|c| {
            json!({
                "name": c.name, "key": hex::encode(c.item.key.bytes), "message": c.item.message,
                "signature": c.item.signature, "valid": c.valid, "registrable": !c.item.key.is_weak(),
            })
        })
        .collect();
    golden::check(
        "ed25519.json",
        &json!({
            "about": "Verdicts of ZIP-215, the same alone and in a batch. A key that is not registrable is refused by the state, not by the verifier.",
            "cases": cases,
        }),
    );
}
