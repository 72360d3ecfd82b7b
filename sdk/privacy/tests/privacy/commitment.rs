//! Commitments of whole documents, and every way of building one against the rules.

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::{Value, json};
use vouch_privacy::{
    Commitment, Disclosure, Document, DocumentHeader, FieldSpec, SchemaFields,
    commitment::{FieldProof, Rows},
    construction::{check_public, check_slots},
};
use vouch_types::{
    Hash32,
    document::{Category, FieldKind},
};

use crate::support::{document, field, header, schema, secret, values};

fn commitment() -> Commitment {
    Commitment::build(&document(), &schema(), &secret()).unwrap()
}

#[test]
fn every_field_is_proven_and_an_absent_one_as_absent() {
    let (made, schema) = (commitment(), schema());
    for (slot, field) in (0u16..).zip(schema.fields()) {
        let proof = made.proof(slot).unwrap();
        let text = serde_json::to_string(&proof).unwrap();
        let proven = serde_json::from_str::<FieldProof>(&text).unwrap().verify_by(&made.root(), &schema).unwrap();
        assert_eq!((proven.slot, &proven.name, &proven.header), (slot, &field.name, made.header()));
        match field.kind {
            FieldKind::Rows => assert_eq!(proven.value["n"], 2),
            _ => assert_eq!(proven.value, values().get(&field.name).cloned().unwrap_or(Value::Null)),
        }
    }
    assert!(made.proof(schema.slots()).is_none());
    assert_eq!(made.proof(12).unwrap().verify(&made.root()).unwrap().value, Value::Null);
}

#[test]
fn every_altered_proof_is_refused_with_its_code() {
    let (made, schema) = (commitment(), schema());
    let good = made.proof(3).unwrap();
    let code = |proof: &FieldProof| proof.verify_by(&made.root(), &schema).unwrap_err().code();
    assert_eq!(code(&FieldProof { alg: "sm3".into(), ..good.clone() }), "commitment.algorithm");
    assert_eq!(code(&FieldProof { n: 12, ..good.clone() }), "commitment.header");
    assert_eq!(code(&FieldProof { i: 13, ..good.clone() }), "commitment.slot");
    assert_eq!(code(&FieldProof { i: 4, ..good.clone() }), "commitment.root");
    assert_eq!(code(&FieldProof { header: good.header.replace("accu", "baidu"), ..good.clone() }), "commitment.root");
    assert_eq!(code(&FieldProof { header: good.header.replace(':', " :"), ..good.clone() }), "commitment.header");
    let another = Disclosure::of_field(&secret().slot_salt(3), "amount", &json!("9999.99")).unwrap();
    assert_eq!(code(&FieldProof { disclosure: another, ..good.clone() }), "commitment.root");
    for at in 0..good.path.len() {
        let mut altered = good.clone();
        altered.path[at].0[31] ^= 1;
        assert_eq!(code(&altered), "commitment.root", "{at}");
        altered.path.remove(at);
        assert_eq!(code(&altered), "commitment.root", "{at}");
    }
    assert_eq!(code(&FieldProof { path: vec![Hash32(made.root().0); 11], ..good.clone() }), "commitment.root");
    let mut root = made.root();
    root.0[0] ^= 1;
    assert_eq!(good.verify(&root).unwrap_err().code(), "commitment.root");

    let mut renamed: Vec<FieldSpec> = schema.fields().to_vec();
    renamed[3].name = "total".into();
    let other = SchemaFields::new("settlement", 1, Category::Transaction, renamed).unwrap();
    assert_eq!(good.verify_by(&made.root(), &other).unwrap_err().code(), "commitment.field_name");
    let newer = SchemaFields::new("settlement", 2, Category::Transaction, schema.fields().to_vec()).unwrap();
    assert_eq!(good.verify_by(&made.root(), &newer).unwrap_err().code(), "commitment.schema");
}

/// Rebuilds the commitment with one thing changed and says what is found.
fn check_with(
    change: impl FnOnce(&mut DocumentHeader, &mut Vec<Disclosure>, &mut BTreeMap<u16, Rows>),
) -> &'static str {
    let made = commitment();
    let (mut header, mut disclosures, mut rows) =
        (made.header().clone(), made.disclosures().to_vec(), made.rows().clone());
    change(&mut header, &mut disclosures, &mut rows);
    let result = Commitment::from_disclosures(header, disclosures, rows, &schema(), Some(&secret()));
    result.map_or_else(|error| error.code(), |_| "ok")
}

fn slot(slot: u16, name: &str, value: &Value) -> Disclosure {
    Disclosure::of_field(&secret().slot_salt(slot), name, value).unwrap()
}

fn raw(json: &str) -> Disclosure {
    Disclosure::from_text(BASE64_URL_SAFE_NO_PAD.encode(json)).unwrap()
}

#[test]
fn a_construction_against_the_rules_is_refused_with_its_code() {
    assert_eq!(check_with(|_, _, _| ()), "ok");
    assert_eq!(check_with(|header, _, _| header.schema = "other".into()), "construction.schema");
    assert_eq!(check_with(|header, _, _| header.category = Category::Invoice), "construction.schema");
    assert_eq!(check_with(|header, _, _| header.slots = 12), "construction.schema");
    assert_eq!(check_with(|header, _, _| header.version = 2), "commitment.header");
    assert_eq!(check_with(|_, all, _| drop(all.pop())), "construction.count");
    assert_eq!(check_with(|_, all, _| all.swap(3, 4)), "construction.name");
    assert_eq!(check_with(|_, all, _| all[3] = slot(3, "price", &json!("1"))), "construction.name");
    assert_eq!(check_with(|_, all, _| all[3] = slot(4, "amount", &json!("1"))), "construction.salt");
    assert_eq!(check_with(|_, all, _| all[3] = raw(r#"["","amount","1"]"#)), "commitment.salt_length");
    assert_eq!(check_with(|_, all, _| all[3] = raw(r#"["AAAA","amount","1"]"#)), "commitment.salt_length");
    assert_eq!(check_with(|_, all, _| all[3] = raw("nothing")), "commitment.disclosure");
    let salt = BASE64_URL_SAFE_NO_PAD.encode(secret().slot_salt(3));
    let spaced = raw(&format!(r#"["{salt}", "amount","1"]"#));
    assert_eq!(check_with(|_, all, _| all[3] = spaced), "construction.spelling");
    assert_eq!(check_with(|_, all, _| all[1] = slot(1, "payeeName", &Value::Null)), "construction.required");
    assert_eq!(check_with(|_, all, _| all[3] = slot(3, "amount", &json!("1,000"))), "construction.type");
    assert_eq!(check_with(|_, all, _| all[3] = slot(3, "amount", &json!(1))), "construction.type");
    assert_eq!(check_with(|_, all, _| all[4] = slot(4, "serviceDate", &json!("2026-02-30"))), "construction.type");
    assert_eq!(check_with(|_, all, _| all[6] = slot(6, "orders", &json!("17"))), "construction.type");
    assert_eq!(check_with(|_, all, _| all[10] = slot(10, "files", &json!([{ "name": "a" }]))), "construction.type");
    assert_eq!(check_with(|_, all, _| all[6] = slot(6, "orders", &json!(1.5))), "construction.number");
    assert_eq!(check_with(|_, all, _| all[6] = slot(6, "orders", &json!(1u64 << 53))), "construction.number");
    assert_eq!(check_with(|_, all, _| all[8] = slot(8, "method", &json!("bank transfer"))), "construction.type");
    assert_eq!(
        check_with(|_, all, rows| {
            let fraction = Rows::of(9, &[json!({ "a": [0.5] })], &secret()).unwrap();
            all[9] = slot(9, "items", &fraction.value());
            rows.insert(9, fraction);
        }),
        "construction.number"
    );
    assert_eq!(check_with(|_, _, rows| drop(rows.remove(&9))), "construction.rows");
    assert_eq!(check_with(|_, all, _| all[9] = slot(9, "items", &Value::Null)), "construction.rows");
    assert_eq!(
        check_with(|_, _, rows| drop(rows.insert(8, Rows::of(8, &[], &secret()).unwrap()))),
        "construction.rows"
    );
    assert_eq!(
        check_with(|_, all, rows| {
            let salt = secret().row_salt(9, 0);
            let twice = ["a", "b"].map(|text| Disclosure::of_row(&salt, &json!(text)).unwrap());
            let forged = Rows::from_disclosures(9, twice.to_vec()).unwrap();
            all[9] = slot(9, "items", &forged.value());
            rows.insert(9, forged);
        }),
        "construction.salt"
    );
}

#[test]
fn a_holder_judges_the_part_it_was_given() {
    let (made, schema) = (commitment(), schema());
    let part: Vec<_> = [0u16, 3].map(|slot| (slot, &made.disclosures()[usize::from(slot)])).to_vec();
    assert_eq!(check_slots(made.header(), &part, &BTreeMap::new(), &schema, None), Ok(()));
    let salt = secret().slot_salt(0);
    let reused = Disclosure::of_field(&salt, "amount", &json!("1")).unwrap();
    let part = [part[0], (3, &reused)];
    let error = check_slots(made.header(), &part, &BTreeMap::new(), &schema, None).unwrap_err();
    assert_eq!(error.code(), "construction.salt");
    let error = check_slots(made.header(), &[(13, &reused)], &BTreeMap::new(), &schema, None).unwrap_err();
    assert_eq!(error.code(), "commitment.slot");
}

#[test]
fn what_stands_in_clear_is_public_and_the_same() {
    let (made, schema) = (commitment(), schema());
    let code = |name: &str, value: Value| {
        let public = BTreeMap::from([(name.to_owned(), value)]);
        check_public(made.disclosures(), &schema, &public).map_or_else(|error| error.code(), |()| "ok")
    };
    assert_eq!(code("scene", json!("即时配送")), "ok");
    assert_eq!(code("scene", json!("家政")), "construction.public_differs");
    assert_eq!(code("amount", json!("1234.56")), "construction.not_public");
    assert_eq!(code("colour", json!("red")), "construction.unknown_field");
}

#[test]
fn a_document_with_other_fields_is_not_built() {
    let mut other = document();
    other.values.insert("colour".into(), json!("red"));
    let error = Commitment::build(&other, &schema(), &secret()).unwrap_err();
    assert_eq!(error.code(), "construction.unknown_field");
    let mut other = document();
    other.values.insert("items".into(), json!("none"));
    assert_eq!(Commitment::build(&other, &schema(), &secret()).unwrap_err().code(), "construction.type");
}

#[test]
fn the_largest_document_is_built_and_proven() {
    let fields = (0..1_024).map(|i| field(&format!("f{i}"), FieldKind::Text, 2)).collect();
    let schema = SchemaFields::new("large", 1, Category::Risk, fields).unwrap();
    let made =
        Commitment::build(&Document { header: header(&schema), values: BTreeMap::new() }, &schema, &secret()).unwrap();
    let proof = made.proof(1_023).unwrap();
    assert_eq!(proof.path.len(), 10);
    assert!(proof.verify_by(&made.root(), &schema).is_ok());
}

proptest! {
    #[test]
    fn two_documents_that_differ_have_roots_that_differ(texts in prop::collection::vec(".{0,20}", 2..20), at: prop::sample::Index) {
        let fields: Vec<_> = (0..texts.len()).map(|i| field(&format!("f{i}"), FieldKind::Text, 2)).collect();
        let schema = SchemaFields::new("any", 1, Category::Risk, fields).unwrap();
        let build = |texts: &[String]| {
            let values = texts.iter().enumerate().map(|(i, text)| (format!("f{i}"), json!(text))).collect();
            Commitment::build(&Document { header: header(&schema), values }, &schema, &secret()).unwrap()
        };
        let made = build(&texts);
        let mut changed = texts.clone();
        let at = at.index(texts.len());
        changed[at].push('x');
        prop_assert_ne!(build(&changed).root(), made.root());
        let slot = u16::try_from(at).unwrap();
        let proven = made.proof(slot).unwrap().verify_by(&made.root(), &schema).unwrap();
        prop_assert_eq!(&proven.value, &json!(texts[at]));
    }
}
