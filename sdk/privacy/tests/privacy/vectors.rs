//! `tests/vectors/privacy.json`: what every implementation of commitments, files and sealing must agree with.
//!
//! `VOUCH_BLESS=1 cargo test -p vouch-privacy` writes it anew. `scripts/oracles` checks it in another language.

use std::{collections::BTreeMap, path::PathBuf};

use serde_json::{Value, json};
use vouch_privacy::{
    Commitment, Disclosure, Document, DocumentHeader, DocumentKeys, DocumentSecret, FieldProof, RecipientSecret,
    SchemaFields, SubjectKey, Wrap, WrapContext,
    attachment::{AttachmentValue, Blob, HashKey, Sealer, blob_root},
    commitment::RowProof,
    open_wrap,
    sealing::{DataKey, SealedDocument, seal_with},
    wrap,
};
use vouch_types::{
    DocumentRoot, Hash32, decode,
    document::{Category, DocumentId, FieldKind, FieldSet},
    encode,
};

use crate::support::{CONTEXT, DOCUMENT, document, field, rng, schema, secret};

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/privacy.json")
}

fn hexes<T: AsRef<[u8]>>(items: impl IntoIterator<Item = T>) -> Vec<String> {
    items.into_iter().map(hex::encode).collect()
}

fn salts() -> Vec<Value> {
    let secret = secret();
    let slots = [0, 1, 255, 1_023].map(|slot| json!({ "slot": slot, "salt": hex::encode(secret.slot_salt(slot)) }));
    let rows = [(0, 0), (9, 1), (9, 9_999)]
        .map(|(slot, row)| json!({ "slot": slot, "row": row, "salt": hex::encode(secret.row_salt(slot, row)) }));
    [&slots[..], &rows].concat()
}

/// A document of `count` texts: every shape of tree up to 17 leaves.
fn plain(count: u16) -> (SchemaFields, Document) {
    let fields = (0..count).map(|slot| field(&format!("f{slot}"), FieldKind::Text, 2)).collect();
    let schema = SchemaFields::new("plain", u32::from(count), Category::Risk, fields).unwrap();
    let header = DocumentHeader::new(&schema, "accu", DOCUMENT, 2, Some(DocumentRoot([3; 32])));
    // The last one is absent.
    let values = (0..count - 1).map(|slot| (format!("f{slot}"), json!(format!("值 {slot}")))).collect();
    (schema, Document { header, values })
}

/// One document with everything that is checked of it; the largest one also shows every proof.
fn commitment_vector(document: &Document, schema: &SchemaFields, is_whole: bool) -> (Commitment, Value) {
    let made = Commitment::build(document, schema, &secret()).unwrap();
    let proofs: Vec<FieldProof> = (0..schema.slots()).map(|slot| made.proof(slot).unwrap()).collect();
    for proof in &proofs {
        proof.verify_by(&made.root(), schema).unwrap();
    }
    let rows = made.rows().iter().map(|(slot, rows)| {
        let proofs: Vec<RowProof> = (0..).map_while(|row| rows.proof(row)).collect();
        assert!(proofs.iter().all(|proof| proof.verify(*slot, &rows.value()).is_ok()));
        json!({ "slot": slot, "values": rows.values().unwrap(), "disclosures": rows.disclosures(),
            "value": rows.value(), "proofs": proofs })
    });
    let shown = if is_whole { &proofs[..] } else { &proofs[proofs.len() - 1..] };
    let value = json!({
        "schema": schema, "values": document.values, "header": document.header.to_json(),
        "header_hash": hex::encode(document.header.hash()), "disclosures": made.disclosures(),
        "digests": hexes(made.disclosures().iter().map(Disclosure::digest)),
        "leaves": hexes(made.leaves()), "root": made.root(), "rows": rows.collect::<Vec<_>>(), "proofs": shown,
    });
    (made, value)
}

/// Proofs that show nothing, each with the code that says why.
fn refused(made: &Commitment) -> Vec<Value> {
    let good = made.proof(3).unwrap();
    let mut path = good.clone();
    path.path[1].0[7] ^= 1;
    let mut shorter = good.clone();
    shorter.path.pop();
    let other = made.proof(4).unwrap();
    let header = DocumentHeader { issuer: "other".into(), ..made.header().clone() }.to_json();
    let cases = [
        ("another slot", FieldProof { i: 4, ..good.clone() }),
        ("no such slot", FieldProof { i: 13, ..good.clone() }),
        ("another number of slots", FieldProof { n: 14, ..good.clone() }),
        ("another disclosure", FieldProof { disclosure: other.disclosure, ..good.clone() }),
        ("a changed sibling", path),
        ("a sibling too few", shorter),
        ("another header", FieldProof { header, ..good.clone() }),
        ("another hash function", FieldProof { alg: "sm3".into(), ..good }),
    ];
    let case = |(about, proof): &(&str, FieldProof)| {
        let code = proof.verify(&made.root()).unwrap_err().code();
        json!({ "about": about, "proof": proof, "root": made.root(), "code": code })
    };
    cases.iter().map(case).collect()
}

fn content(bytes: u32) -> Vec<u8> {
    (0..bytes).map(|i| u8::try_from((i * 31 + i / 256) % 251).unwrap()).collect()
}

fn keys() -> DocumentKeys {
    DocumentKeys { data: DataKey::from_bytes([0x2a; 32]), secret: secret() }
}

/// A file at each side of every boundary of groups and segments.
fn attachments() -> (Vec<Value>, Value) {
    let mut blobs: Vec<Blob> = Vec::new();
    let mut files = Vec::new();
    for (index, bytes) in (0u16..).zip([0, 1, 1_024, 16_384, 16_385, 49_153, 65_536, 65_537, 200_000]) {
        let plain = content(bytes);
        let mut out = Vec::new();
        let mut sealer = Sealer::new(&keys(), 10, index, &mut rng(40), &mut out).unwrap();
        sealer.update(&plain, &mut out).unwrap();
        let made = sealer.finish(format!("file-{index}.bin"), "application/octet-stream", &mut out).unwrap();
        made.content.verify(&made.value.b3, &HashKey::Keyed(made.value.b3_key.0)).unwrap();
        assert_eq!(made.content.damage(&plain[..], &HashKey::Keyed(made.value.b3_key.0)).unwrap(), Vec::new());
        files.push(json!({
            "slot": 10, "index": index, "value": made.value, "groups": made.content.hashes,
            "sealed_head": hex::encode(&out[..32]), "sealed_bytes": made.blob.bytes, "sealed_root": made.blob.root,
            "sealed_groups": made.ciphertext.hashes, "leaf": made.blob.leaf(),
        }));
        blobs.push(made.blob);
    }
    let leaves: Vec<Hash32> = blobs.iter().map(Blob::leaf).collect();
    let root = blob_root(&leaves);
    (files, json!({ "leaves": leaves, "root": root }))
}

fn wraps() -> Vec<Value> {
    let receiver = RecipientSecret::from_bytes([0x33; 32]);
    let scopes = [None, Some(FieldSet::new()), Some([0u16, 9, 300].into_iter().collect::<FieldSet>())];
    let wrapped = scopes.iter().map(|fields| {
        let given = fields.as_ref().map_or_else(|| keys().all(), |fields| keys().fields(fields));
        let made = wrap(&given, &receiver.public(), CONTEXT, &mut rng(41)).unwrap();
        open_wrap(&made, &receiver, CONTEXT).unwrap();
        json!({
            "recipient_secret": hex::encode(receiver.bytes()), "recipient_key": receiver.public(), "wrap": made,
            "fields_bytes": fields.as_ref().map(|fields| hex::encode(fields.as_bytes())),
            "fields": fields.as_ref().map(|fields| fields.iter().collect::<Vec<_>>()),
        })
    });
    wrapped.collect()
}

fn sealed(made: &Commitment) -> Value {
    let sealed = seal_with(made, &keys(), &mut rng(42)).unwrap();
    let opened = sealed.open(&keys().all()).unwrap();
    assert_eq!(opened.fields.len(), made.disclosures().len());
    let bytes = encode(&sealed);
    assert_eq!(decode::<SealedDocument>("vector", &bytes, bytes.len()).unwrap(), sealed);
    let slot = |slot: &vouch_privacy::sealing::SealedSlot| json!({ "leaf": slot.leaf, "value": hex::encode(&slot.value), "rows": hex::encode(&slot.rows) });
    json!({ "header": sealed.header, "slots": sealed.slots.iter().map(slot).collect::<Vec<_>>() })
}

fn subject() -> Value {
    let key = SubjectKey::from_bytes([0x44; 32]);
    let kept = key.keep(&keys(), CONTEXT, &mut rng(43));
    key.open(&kept, CONTEXT).unwrap();
    let some = key.keep_fields(&keys().fields(&[0u16, 9].into_iter().collect()), CONTEXT, &mut rng(44));
    key.open_fields(&some, CONTEXT).unwrap();
    json!({ "key": hex::encode(key.bytes()), "kept": hex::encode(kept), "fields": [0, 9], "kept_fields": hex::encode(some) })
}

fn produced() -> Value {
    let (made, whole) = commitment_vector(&document(), &schema(), true);
    let mut documents = vec![whole];
    for count in [1, 2, 3, 4, 5, 8, 9, 17] {
        let (schema, document) = plain(count);
        documents.push(commitment_vector(&document, &schema, false).1);
    }
    let empty = Document {
        values: [("items".into(), json!([])), ("scene".into(), json!("x")), ("payeeName".into(), json!("y"))].into(),
        ..document()
    };
    documents.push(commitment_vector(&empty, &schema(), false).1);
    let (files, blobs) = attachments();
    let WrapContext { chain, document, version } = CONTEXT;
    json!({
        "about": "Construction GLC1 of sdk/privacy. File contents: byte i is (31 i + i / 256) mod 251.",
        "secret": "09".repeat(32), "data_key": "2a".repeat(32),
        "context": { "chain": chain, "document": document, "version": version },
        "salts": salts(), "documents": documents, "refused": refused(&made), "attachments": files, "blobs": blobs,
        "sealed": sealed(&made), "wraps": wraps(), "subject": subject(),
    })
}

#[test]
fn the_vectors_are_what_the_code_produces() {
    let text = serde_json::to_string_pretty(&produced()).unwrap() + "\n";
    if std::env::var_os("VOUCH_BLESS").is_some() {
        std::fs::write(path(), text).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(path()).unwrap();
    assert!(kept == text, "privacy.json differs from what the code produces: a format has changed");
}

fn hash(value: &Value) -> [u8; 32] {
    hex::decode(value.as_str().unwrap()).unwrap().try_into().unwrap()
}

/// Reads the file as a stranger would: nothing that was produced above is at hand.
#[test]
fn the_vectors_hold_as_they_are_read() {
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(path()).unwrap()).unwrap();
    let secret = DocumentSecret::from_bytes(hash(&kept["secret"]));
    for vector in kept["documents"].as_array().unwrap() {
        let schema: SchemaFields = serde_json::from_value(vector["schema"].clone()).unwrap();
        let header = DocumentHeader::from_json(vector["header"].as_str().unwrap()).unwrap();
        let values: BTreeMap<String, Value> = serde_json::from_value(vector["values"].clone()).unwrap();
        let made = Commitment::build(&Document { header, values }, &schema, &secret).unwrap();
        assert_eq!(json!(made.root()), vector["root"]);
        for proof in vector["proofs"].as_array().unwrap() {
            let proof: FieldProof = serde_json::from_value(proof.clone()).unwrap();
            proof.verify_by(&made.root(), &schema).unwrap();
        }
    }
    for vector in kept["refused"].as_array().unwrap() {
        let proof: FieldProof = serde_json::from_value(vector["proof"].clone()).unwrap();
        let refused = proof.verify(&DocumentRoot(hash(&vector["root"]))).unwrap_err();
        assert_eq!(vector["code"], refused.code(), "{}", vector["about"]);
    }
    for vector in kept["wraps"].as_array().unwrap() {
        let receiver = RecipientSecret::from_bytes(hash(&vector["recipient_secret"]));
        let wrap: Wrap = serde_json::from_value(vector["wrap"].clone()).unwrap();
        open_wrap(&wrap, &receiver, CONTEXT).unwrap();
        let elsewhere = WrapContext { document: DocumentId::new([1; 16]), ..CONTEXT };
        assert!(open_wrap(&wrap, &receiver, elsewhere).is_err());
    }
    for vector in kept["attachments"].as_array().unwrap() {
        let value: AttachmentValue = serde_json::from_value(vector["value"].clone()).unwrap();
        let hashes: Vec<Hash32> = serde_json::from_value(vector["groups"].clone()).unwrap();
        let groups = vouch_privacy::attachment::GroupHashes { bytes: value.size, hashes };
        groups.verify(&value.b3, &HashKey::Keyed(value.b3_key.0)).unwrap();
    }
}
