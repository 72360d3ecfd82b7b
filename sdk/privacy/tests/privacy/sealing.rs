//! Sealed documents from the issuer to receivers with all fields, some, and none.

use vouch_privacy::{
    Commitment, Delivery, DocumentKeys, RecipientSecret, SealError, SealedDocument, SubjectKey, open_wrap, seal,
    sealing::seal_with, wrap,
};
use vouch_types::{
    codec::{decode, encode},
    document::FieldSet,
};

use crate::support::{CONTEXT, document, rng, schema, values};

struct Setup {
    sealed: SealedDocument,
    keys: DocumentKeys,
    receiver: RecipientSecret,
}

fn setup() -> Setup {
    let (sealed, keys) = seal(&document(), &schema(), &mut rng(1)).unwrap();
    Setup { sealed, keys, receiver: RecipientSecret::generate(&mut rng(2)) }
}

impl Setup {
    fn deliver(&self, fields: &FieldSet) -> Delivery {
        let keys = if *fields == FieldSet::first(13) { self.keys.all() } else { self.keys.fields(fields) };
        let wrap = wrap(&keys, &self.receiver.public(), CONTEXT, &mut rng(3)).unwrap();
        self.sealed.deliver(fields, wrap, Vec::new())
    }
}

#[test]
fn a_receiver_of_all_fields_reads_all() {
    let setup = setup();
    let delivery = setup.deliver(&FieldSet::first(13));
    let bytes = encode(&delivery);
    let delivery: Delivery = decode("delivery", &bytes, 1 << 20).unwrap();
    let read = delivery.verify(&setup.sealed.root().unwrap(), &setup.receiver, CONTEXT).unwrap();
    assert_eq!(read.len(), 13);
    for (slot, name, value, salt) in read {
        if let Some(expected) = values().get(&name).filter(|_| name != "items") {
            assert_eq!(&value, expected);
        }
        assert_eq!(salt, setup.keys.secret.slot_salt(slot));
    }
    let keys = open_wrap(&delivery.wrap, &setup.receiver, CONTEXT).unwrap();
    let opened = delivery.open(&setup.sealed.root().unwrap(), &keys).unwrap().opened;
    opened.check(&schema()).unwrap();
    let rows = opened.fields[9].rows.as_ref().unwrap().values().unwrap();
    assert_eq!(serde_json::Value::from(rows), values()["items"]);
}

#[test]
fn a_receiver_of_some_fields_reads_those_and_cannot_open_others() {
    let setup = setup();
    let root = setup.sealed.root().unwrap();
    let fields: FieldSet = [0, 3, 9].into_iter().collect();
    let delivery = setup.deliver(&fields);
    let names: Vec<_> =
        delivery.verify(&root, &setup.receiver, CONTEXT).unwrap().into_iter().map(|(_, name, ..)| name).collect();
    assert_eq!(names, ["scene", "amount", "items"]);
    let keys = open_wrap(&delivery.wrap, &setup.receiver, CONTEXT).unwrap();
    for slot in (0..13).filter(|slot| !fields.contains(*slot)) {
        assert_eq!(keys.key(slot).unwrap_err(), SealError::NoKey(slot));
        // Even with every ciphertext at hand, the keys of other fields do not open this one.
        let mut misplaced = delivery.clone();
        misplaced.slots[1].value.clone_from(&setup.sealed.slots[usize::from(slot)].value);
        assert_eq!(misplaced.open(&root, &keys).unwrap_err(), SealError::Slot { slot: 3 });
    }
    let delivered = delivery.open(&root, &keys).unwrap();
    assert_eq!(delivered.proof(3).unwrap().verify_by(&root, &schema()).unwrap().value, values()["amount"]);
    assert_eq!(delivered.proof(4).unwrap_err(), SealError::NoKey(4));
}

#[test]
fn no_value_and_no_salt_stands_in_what_is_sealed_or_sent() {
    let setup = setup();
    let commitment = Commitment::build(&document(), &schema(), &setup.keys.secret).unwrap();
    for bytes in [encode(&setup.sealed), encode(&setup.deliver(&[3].into_iter().collect()))] {
        let holds = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
        assert!(holds(b"settlement"), "the header is there, so the search finds what is there");
        for (slot, disclosure) in (0u16..).zip(commitment.disclosures()) {
            assert!(!holds(disclosure.as_str().as_bytes()));
            assert!(!holds(&setup.keys.secret.slot_salt(slot)));
        }
        for value in ["测试甲", "TEST-ID-0001", "1234.56", "午高峰"] {
            assert!(!holds(value.as_bytes()), "{value}");
        }
    }
    // An absent remark looks like a short one.
    let mut with_remark = document();
    with_remark.values.insert("remark".into(), "ok".into());
    let other = seal(&with_remark, &schema(), &mut rng(1)).unwrap().0;
    assert_eq!(other.slots[12].value.len(), setup.sealed.slots[12].value.len());
}

#[test]
fn every_alteration_of_a_delivery_is_found() {
    let setup = setup();
    let root = setup.sealed.root().unwrap();
    let good = setup.deliver(&[0, 3, 9].into_iter().collect());
    let verdict = |delivery: &Delivery| delivery.verify(&root, &setup.receiver, CONTEXT).unwrap_err();
    for at in 0..3 {
        for field in ["value", "rows"] {
            let mut altered = good.clone();
            let sent = &mut altered.slots[at];
            let slot = sent.slot;
            let bytes = if field == "value" { &mut sent.value } else { &mut sent.rows };
            let Some(last) = bytes.last_mut() else { continue };
            *last ^= 1;
            assert_eq!(verdict(&altered), SealError::Slot { slot });
            bytes_truncated(&mut altered, at, field);
            assert_eq!(verdict(&altered), SealError::Slot { slot });
        }
    }
    let mut altered = good.clone();
    altered.others[5].0[0] ^= 1;
    assert_eq!(verdict(&altered).code(), "commitment.root");
    let mut altered = good.clone();
    altered.others.swap(0, 1);
    assert_eq!(verdict(&altered).code(), "commitment.root");
    let mut altered = good.clone();
    altered.others.pop();
    assert_eq!(verdict(&altered).code(), "sealing.shape");
    let mut altered = good.clone();
    altered.slots.swap(0, 1);
    assert_eq!(verdict(&altered).code(), "sealing.shape");
    let mut altered = good.clone();
    altered.slots[2].slot = 13;
    assert_eq!(verdict(&altered).code(), "sealing.shape");
    let mut altered = good.clone();
    altered.slots.remove(1);
    assert_eq!(verdict(&altered).code(), "sealing.shape");
    let mut altered = good.clone();
    altered.header = altered.header.replace("accu", "other");
    assert_eq!(verdict(&altered), SealError::Slot { slot: 0 });
    let stranger = RecipientSecret::generate(&mut rng(9));
    assert_eq!(good.verify(&root, &stranger, CONTEXT).unwrap_err(), SealError::Recipient);
    let mut other_root = root;
    other_root.0[0] ^= 1;
    assert_eq!(good.verify(&other_root, &setup.receiver, CONTEXT).unwrap_err().code(), "commitment.root");
}

fn bytes_truncated(delivery: &mut Delivery, at: usize, field: &str) {
    let sent = &mut delivery.slots[at];
    if field == "value" { sent.value.truncate(20) } else { sent.rows.truncate(20) }
}

#[test]
fn a_delivery_without_its_rows_breaks_the_rules() {
    let setup = setup();
    let mut delivery = setup.deliver(&[9].into_iter().collect());
    delivery.slots[0].rows.clear();
    let keys = open_wrap(&delivery.wrap, &setup.receiver, CONTEXT).unwrap();
    let opened = delivery.open(&setup.sealed.root().unwrap(), &keys).unwrap().opened;
    assert_eq!(opened.check(&schema()).unwrap_err().code(), "construction.rows");
}

#[test]
fn an_altered_copy_at_rest_names_its_slot() {
    let setup = setup();
    for at in 0..13 {
        let mut altered = setup.sealed.clone();
        altered.slots[usize::from(at)].value[30] ^= 1;
        assert_eq!(altered.open(&setup.keys.all()).unwrap_err(), SealError::Slot { slot: at });
        let mut altered = setup.sealed.clone();
        altered.slots[usize::from(at)].leaf.0[0] ^= 1;
        assert_eq!(altered.open(&setup.keys.all()).unwrap_err(), SealError::Leaf(at));
        assert_ne!(altered.root(), setup.sealed.root());
    }
}

#[test]
fn with_the_subjects_key_gone_nothing_opens() {
    let setup = setup();
    let (subject, replaced) = (SubjectKey::generate(&mut rng(4)), SubjectKey::generate(&mut rng(5)));
    let kept = subject.keep(&setup.keys, CONTEXT, &mut rng(6));
    let keys = subject.open_fields(&kept, CONTEXT).unwrap();
    assert_eq!(setup.sealed.open(&keys).unwrap().fields.len(), 13);
    assert_eq!(replaced.open_fields(&kept, CONTEXT).unwrap_err(), SealError::Subject);
}

#[test]
fn sealing_twice_gives_other_bytes_and_the_same_root() {
    let setup = setup();
    let commitment = Commitment::build(&document(), &schema(), &setup.keys.secret).unwrap();
    let again = seal_with(&commitment, &setup.keys, &mut rng(7)).unwrap();
    assert_eq!(again.root(), setup.sealed.root());
    assert!(again.slots.iter().zip(&setup.sealed.slots).all(|(a, b)| a.value != b.value && a.leaf == b.leaf));
    let fresh = seal(&document(), &schema(), &mut rng(8)).unwrap().0;
    assert_ne!(fresh.root(), setup.sealed.root(), "other keys make other salts");
}
