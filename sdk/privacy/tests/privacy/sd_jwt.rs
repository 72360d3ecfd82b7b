//! SD-JWTs: what the issuer signed is shown, nothing else is; vectors for verifiers that others wrote.

use std::path::PathBuf;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use vouch_privacy::{
    Commitment, Disclosure,
    sd_jwt::{Demand, SdJwt, SdJwtError, Terms, fields_json},
};
use vouch_types::{PublicKey, SecretKey};

use crate::support::{CHAIN, document, schema, secret};

const ISSUED: u64 = 1_800_000_000;
const DEMAND: Demand<'static> = Demand { audience: "https://court.example", nonce: "n-0001" };

fn issuer() -> SecretKey {
    SecretKey::from_seed([0x51; 32])
}

fn holder() -> SecretKey {
    SecretKey::from_seed([0x52; 32])
}

fn terms() -> Terms {
    Terms {
        chain: CHAIN,
        member: "accu".into(),
        issued_at: ISSUED,
        expires_at: Some(ISSUED + 86_400 * 3_650),
        holder: Some(holder().public()),
    }
}

fn committed() -> Commitment {
    Commitment::build(&document(), &schema(), &secret()).unwrap()
}

fn issued(terms: &Terms) -> (Commitment, SdJwt) {
    let made = committed();
    let chosen: Vec<Disclosure> = [0usize, 1, 3, 9, 12].map(|slot| made.disclosures()[slot].clone()).to_vec();
    let jwt = SdJwt::issue(made.header(), made.root(), chosen, terms, &issuer());
    (made, jwt)
}

fn code(text: &str, key: &PublicKey) -> &'static str {
    SdJwt::from_text(text)
        .and_then(|jwt| jwt.verify(key, Some(ISSUED), None))
        .map_or_else(|error| error.code(), |_| "ok")
}

#[test]
fn what_was_chosen_is_shown_and_stands_under_the_root() {
    let (made, jwt) = issued(&terms());
    let read = SdJwt::from_text(&jwt.to_text()).unwrap();
    assert_eq!(read, jwt);
    assert_eq!(read.claimed_key().unwrap(), Some(issuer().public()));
    let shown = read.verify(&issuer().public(), Some(ISSUED), None).unwrap();
    assert_eq!((shown.anchor.root, shown.anchor.chain, shown.hidden), (made.root(), CHAIN, 0));
    let fields = fields_json(&shown.fields);
    assert_eq!((&fields["amount"], &fields["remark"]), (&json!("1234.56"), &Value::Null));
    assert_eq!(fields.as_object().unwrap().len(), 5);
    assert!(!jwt.to_text().contains(made.disclosures()[2].as_str()));

    let some = jwt.showing(|name| name == "amount");
    let shown = some.verify(&issuer().public(), Some(ISSUED), None).unwrap();
    assert_eq!((shown.fields.len(), shown.hidden, shown.is_bound), (1, 4, false));
}

#[test]
fn a_presentation_is_for_one_verifier_once() {
    let (_, jwt) = issued(&terms());
    let bound = jwt.showing(|name| name == "amount").bound(DEMAND, ISSUED, &holder());
    let check = |jwt: &SdJwt, demand| jwt.verify(&issuer().public(), None, Some(demand)).map(|shown| shown.is_bound);
    assert_eq!(check(&bound, DEMAND), Ok(true));
    assert!(matches!(check(&bound, Demand { nonce: "n-0002", ..DEMAND }), Err(SdJwtError::Binding(_))));
    assert!(matches!(check(&bound, Demand { audience: "other", ..DEMAND }), Err(SdJwtError::Binding(_))));
    assert!(matches!(check(&jwt, DEMAND), Err(SdJwtError::Binding(_))));
    let other = jwt.showing(|name| name == "amount").bound(DEMAND, ISSUED, &issuer());
    assert!(matches!(check(&other, DEMAND), Err(SdJwtError::Binding(_))));
    // A disclosure more than the holder bound.
    let text = bound.to_text();
    let (head, binding) = text.rsplit_once('~').unwrap();
    let more = format!("{head}~{}~{binding}", committed().disclosures()[1].as_str());
    assert!(matches!(check(&SdJwt::from_text(&more).unwrap(), DEMAND), Err(SdJwtError::Binding(_))));
    // Without a holder's key there is nothing to bind with.
    let (_, free) = issued(&Terms { holder: None, ..terms() });
    assert!(matches!(check(&free.bound(DEMAND, ISSUED, &holder()), DEMAND), Err(SdJwtError::Binding(_))));
}

#[test]
fn what_was_changed_is_refused() {
    let (made, jwt) = issued(&terms());
    let (text, key) = (jwt.to_text(), issuer().public());
    assert_eq!(code(&text, &key), "ok");
    assert_eq!(code(&text, &holder().public()), "sd_jwt.signature");
    assert_eq!(jwt.verify(&key, Some(u64::MAX), None).unwrap_err().code(), "sd_jwt.time");
    let foreign = format!("{text}{}~", made.disclosures()[2].as_str());
    assert_eq!(code(&foreign, &key), "sd_jwt.disclosure");
    let twice = format!("{text}{}~", made.disclosures()[0].as_str());
    assert_eq!(code(&twice, &key), "sd_jwt.disclosure");
    for bad in ["", "~", "a.b~", "a.b.c", "a.b.c~", &text[..text.find('~').unwrap()]] {
        assert_eq!(code(bad, &key), "sd_jwt.malformed", "{bad}");
    }
    // Every bit of the text: refused, or (in the unused bits of a last character, which decoders refuse) never another value.
    let good = jwt.verify(&key, Some(ISSUED), None).unwrap();
    for at in 0..text.len() {
        for bit in 0..7 {
            let mut altered = text.clone().into_bytes();
            altered[at] ^= 1 << bit;
            let Ok(altered) = String::from_utf8(altered) else { continue };
            let seen = SdJwt::from_text(&altered).and_then(|jwt| jwt.verify(&key, Some(ISSUED), None));
            // A separator made of a disclosure's character splits it in two that nobody signed.
            assert!(seen.is_err() || seen.as_ref() == Ok(&good), "byte {at} bit {bit}");
        }
    }
}

/// Signed by the issuer, with another header or payload than the code makes.
fn signed(text: &str, change: impl FnOnce(&mut Value, &mut Value)) -> String {
    let (jws, rest) = text.split_once('~').unwrap();
    let parts: Vec<&str> = jws.split('.').collect();
    let read =
        |at: usize| -> Value { serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(parts[at]).unwrap()).unwrap() };
    let (mut header, mut payload) = (read(0), read(1));
    change(&mut header, &mut payload);
    let encoded = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", encoded(&header), encoded(&payload));
    let signature = BASE64_URL_SAFE_NO_PAD.encode(issuer().sign(message.as_bytes()).0);
    format!("{message}.{signature}~{rest}")
}

#[test]
fn what_even_the_issuer_may_not_say_is_refused() {
    let (made, jwt) = issued(&terms());
    let (text, key) = (jwt.to_text(), issuer().public());
    assert_eq!(code(&signed(&text, |_, _| {}), &key), "ok");
    assert_eq!(code(&signed(&text, |header, _| header["crit"] = json!(["b64"])), &key), "sd_jwt.header");
    assert_eq!(code(&signed(&text, |_, payload| payload["iat"] = json!(ISSUED + 299)), &key), "ok", "clocks differ");
    assert_eq!(code(&signed(&text, |_, payload| payload["iat"] = json!(ISSUED + 301)), &key), "sd_jwt.time");
    assert_eq!(code(&signed(&text, |_, payload| payload["cnf"]["jwk"]["kty"] = json!("EC")), &key), "sd_jwt.binding");
    // Two values under one name: one reader sees the first, another the last.
    let json = r#"["BwcHBwcHBwcHBwcHBwcHBw","amount",{"b":1,"b":2}]"#;
    let twofold = Disclosure::from_text(BASE64_URL_SAFE_NO_PAD.encode(json)).unwrap();
    let jwt = SdJwt::issue(made.header(), made.root(), vec![twofold], &terms(), &issuer());
    assert_eq!(code(&jwt.to_text(), &key), "sd_jwt.disclosure");
}

#[test]
fn a_presentation_is_of_now_and_its_holder_is_named() {
    let (_, jwt) = issued(&terms());
    let key = issuer().public();
    assert_eq!(jwt.verify(&key, Some(ISSUED), None).unwrap().holder, Some(holder().public()));
    let (_, free) = issued(&Terms { holder: None, ..terms() });
    assert_eq!(free.verify(&key, Some(ISSUED), None).unwrap().holder, None);
    let bound = jwt.clone().bound(DEMAND, ISSUED, &holder());
    for (now, demand, expected) in [
        (ISSUED, Some(DEMAND), Ok(true)),
        (ISSUED + 3_600, Some(DEMAND), Ok(true)),
        (ISSUED + 3_601, Some(DEMAND), Err("sd_jwt.binding")),
        (ISSUED + 3_601, None, Ok(true)),
        (ISSUED - 300, Some(DEMAND), Ok(true)),
        (ISSUED - 301, None, Err("sd_jwt.time")),
    ] {
        let seen = bound.verify(&key, Some(now), demand).map(|shown| shown.is_bound).map_err(|error| error.code());
        assert_eq!(seen, expected, "{now}");
    }
    let ahead = jwt.bound(DEMAND, ISSUED + 301, &holder());
    assert_eq!(ahead.verify(&key, Some(ISSUED), Some(DEMAND)).unwrap_err().code(), "sd_jwt.binding");
}

fn jwk(key: &PublicKey) -> Value {
    json!({ "kty": "OKP", "crv": "Ed25519", "x": BASE64_URL_SAFE_NO_PAD.encode(key.bytes) })
}

fn produced() -> Value {
    let (made, jwt) = issued(&terms());
    let text = jwt.to_text();
    let some = jwt.showing(|name| matches!(name, "amount" | "remark"));
    let bound = some.clone().bound(DEMAND, ISSUED, &holder());
    let signature = text.find('~').unwrap() - 10;
    let flipped = |at: usize| {
        let mut bytes = text.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let fields = |jwt: &SdJwt| fields_json(&jwt.verify(&issuer().public(), None, None).unwrap().fields);
    json!({
        "about": "SD-JWTs (RFC 9901) of fields of the first document of privacy.json.",
        "issuer": jwk(&issuer().public()), "holder": jwk(&holder().public()),
        "root": made.root(), "audience": DEMAND.audience, "nonce": DEMAND.nonce,
        "accepted": [
            { "about": "all that was issued", "text": text, "fields": fields(&jwt), "bound": false },
            { "about": "two fields", "text": some.to_text(), "fields": fields(&some), "bound": false },
            { "about": "two fields, bound", "text": bound.to_text(), "fields": fields(&bound), "bound": true },
        ],
        "refused": [
            { "about": "a changed signature", "text": flipped(signature), "bound": false },
            { "about": "a changed payload", "text": flipped(text.find('.').unwrap() + 20), "bound": false },
            // A lenient verifier leaves such a field out instead; it never shows it.
            { "about": "a changed disclosure", "text": flipped(text.len() - 12), "bound": false, "unshown": "remark" },
            { "about": "a disclosure that was not signed", "bound": false, "unshown": "payeeId",
              "text": format!("{text}{}~", made.disclosures()[2].as_str()) },
            { "about": "bound by another key", "bound": true,
              "text": some.bound(DEMAND, ISSUED, &issuer()).to_text() },
        ],
    })
}

#[test]
fn the_vectors_are_what_the_code_produces() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/sd_jwt.json");
    let text = serde_json::to_string_pretty(&produced()).unwrap() + "\n";
    if std::env::var_os("VOUCH_BLESS").is_some() {
        std::fs::write(path, text).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(path).unwrap();
    assert!(kept == text, "sd_jwt.json differs from what the code produces: a format has changed");
    let kept: Value = serde_json::from_str(&kept).unwrap();
    for vector in kept["refused"].as_array().unwrap() {
        let demand = vector["bound"].as_bool().unwrap().then_some(DEMAND);
        let seen = SdJwt::from_text(vector["text"].as_str().unwrap())
            .and_then(|jwt| jwt.verify(&issuer().public(), Some(ISSUED), demand));
        assert!(seen.is_err(), "{}", vector["about"]);
    }
}
