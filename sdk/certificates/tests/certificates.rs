//! Authorities, requests, certificates and lists, judged by this crate, by webpki as the node uses it, and by OpenSSL.

use std::{path::Path, process::Command, sync::Arc};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use vouch_certificates::{
    Authority, Certificate, DAY_MS, Key, NewAuthority, Order, Permit, Profile, ROOT_BYTES_MAX, Reason, Request,
    RevocationList, Revoked, ServerName, Subject, SubjectKind,
};
use vouch_types::TimestampMs;

/// 2026-11-26, in the middle of the day.
const NOW: TimestampMs = TimestampMs(1_795_694_400_000);

fn later(days: u64) -> TimestampMs {
    TimestampMs(NOW.0 + days * DAY_MS)
}

fn new_authority() -> NewAuthority {
    let permitted = ["bank.example", "10.0.0.0/8", "127.0.0.1", "localhost"];
    NewAuthority {
        organisation: "bank".into(),
        title: "Authority of bank".into(),
        permitted: permitted.iter().map(|text| text.parse::<Permit>().unwrap()).collect(),
        has_nodes_below: true,
        days: 3650,
    }
}

fn authority() -> (Authority, Key) {
    let key = Key::generate().unwrap();
    (Authority::create(&new_authority(), &key, NOW).unwrap(), key)
}

fn erp() -> Subject {
    Subject::new("bank", SubjectKind::System, "erp").unwrap()
}

fn request(subject: &Subject, names: &[ServerName]) -> (Key, Request) {
    let key = Key::generate().unwrap();
    let text = Request::make(&key, subject, names).unwrap();
    (key, Request::read(text.as_bytes()).unwrap())
}

fn names(texts: &[&str]) -> Vec<ServerName> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn client(authority: &Authority, days: u32) -> Certificate {
    let (subject, (_, request)) = (erp(), request(&erp(), &[]));
    let order = Order { request: &request, subject: &subject, profile: Profile::Client, names: &[], days };
    authority.issue(&order, NOW).unwrap()
}

/// What webpki says of a client's certificate, as the node asks it.
fn webpki(root: &Certificate, chain: &[&Certificate], list: Option<&str>, at: TimestampMs) -> Result<(), String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(root.der().to_vec())).unwrap();
    let lists = list.map(|text| CertificateRevocationListDer::from_pem_slice(text.as_bytes()).unwrap());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).with_crls(lists).build().unwrap();
    let chain: Vec<_> = chain.iter().map(|one| CertificateDer::from(one.der().to_vec())).collect();
    let time = UnixTime::since_unix_epoch(std::time::Duration::from_millis(at.0));
    verifier.verify_client_cert(&chain[0], &chain[1..], time).map(|_| ()).map_err(|error| format!("{error:?}"))
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// Runs OpenSSL; `Ok` with what it wrote when it says yes.
fn openssl(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("openssl").args(arguments).output().expect("openssl is installed; ./run setup does it");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(text) } else { Err(text) }
}

fn openssl_verify(purpose: &str, at: TimestampMs, files: &[&str]) -> Result<String, String> {
    let seconds = (at.0 / 1_000).to_string();
    let mut arguments = vec!["verify", "-x509_strict", "-purpose", purpose, "-attime", &seconds];
    arguments.extend_from_slice(files);
    openssl(&arguments)
}

#[test]
fn a_root_is_an_authoritys_that_may_sign_and_has_not_ended() {
    let (authority, _) = authority();
    let root = authority.certificate();
    for bytes in [root.to_pem().into_bytes(), root.der().to_vec()] {
        assert_eq!(&Certificate::read_root(&bytes, NOW).unwrap(), root);
    }
    let refused = |bytes: &[u8], at| Certificate::read_root(bytes, at).unwrap_err().code();
    assert_eq!(refused(root.der(), later(3651)), "certificate.authority");
    assert_eq!(refused(client(&authority, 90).to_pem().as_bytes(), NOW), "certificate.authority");
    assert_eq!(refused(&root.der()[..root.der().len() - 1], NOW), "certificate.malformed");
    assert_eq!(refused(Key::generate().unwrap().to_pem().as_bytes(), NOW), "certificate.malformed");
    assert_eq!(refused(b"no certificate", NOW), "certificate.malformed");
    // Of other programs: an authority whose key is for other things, and a root that is too long for the chain.
    let folder = tempfile::tempdir().unwrap();
    let config = "[req]\ndistinguished_name = dn\nprompt = no\n[dn]\nO = bank\nCN = root\n";
    let config = write(folder.path(), "openssl.cnf", config);
    let made = |name: &str, extensions: &[&str]| {
        let (key, out) = (folder.path().join("key"), folder.path().join(name));
        let (key, out) = (key.display().to_string(), out.display().to_string());
        let mut arguments = vec!["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        arguments.extend(["-config", &config, "-days", "3650", "-keyout", &key, "-out", &out]);
        arguments.extend(extensions.iter().flat_map(|extension| ["-addext", extension]));
        openssl(&arguments).unwrap();
        std::fs::read(out).unwrap()
    };
    let ca = "basicConstraints=critical,CA:TRUE";
    let now = Certificate::read(&made("good.pem", &[ca, "keyUsage=critical,keyCertSign"])).unwrap().not_before();
    assert_eq!(Certificate::read_root(&made("good.pem", &[ca, "keyUsage=critical,keyCertSign"]), now).err(), None);
    assert_eq!(refused(&made("other.pem", &[ca, "keyUsage=critical,digitalSignature"]), now), "certificate.authority");
    let long = format!("nsComment={}", "long ".repeat(ROOT_BYTES_MAX / 5));
    assert_eq!(refused(&made("long.pem", &[ca, &long]), now), "certificate.malformed");
}

#[test]
fn a_client_is_believed_until_it_expires_or_is_revoked() {
    let (authority, _) = authority();
    let root = authority.certificate();
    let certificate = client(&authority, 90);
    assert_eq!(certificate.subject(), Some(&erp()));
    assert!(certificate.is_for_clients() && !certificate.is_for_servers() && !certificate.is_authority());
    assert!(certificate.is_signed_by(root) && root.is_self_signed() && !certificate.is_self_signed());
    assert_eq!(certificate.serial().len(), 16);
    let life = certificate.not_after().0 - certificate.not_before().0;
    assert_eq!(certificate.renew_at().0, certificate.not_before().0 + life / 3 * 2);
    let empty = authority.revocation_list(&[], 1, NOW, 7).unwrap();
    let revoked = Revoked { serial: certificate.serial().to_vec(), at: later(1), reason: Reason::KeyCompromise };
    let full = authority.revocation_list(std::slice::from_ref(&revoked), 2, later(1), 7).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let root_file = write(folder.path(), "root.pem", &root.to_pem());
    let file = write(folder.path(), "erp.pem", &certificate.to_pem());
    let (empty_file, full_file) = (write(folder.path(), "1.pem", &empty), write(folder.path(), "2.pem", &full));
    for (at, list, list_file, expected, openssl_says) in [
        (NOW, &empty, &empty_file, Ok(()), ""),
        (later(2), &full, &full_file, Err("Revoked"), "revoked"),
        (later(91), &empty, &empty_file, Err("Expired"), "expired"),
        (TimestampMs(NOW.0 - 2 * 3_600_000), &empty, &empty_file, Err("NotValidYet"), "not yet valid"),
    ] {
        let judged = webpki(root, &[&certificate], Some(list), at);
        assert_eq!(judged.is_ok(), expected.is_ok(), "{judged:?}");
        if let (Err(said), Err(word)) = (&judged, expected) {
            assert!(said.contains(word), "{said}");
        }
        let files = ["-crl_check", "-CAfile", &root_file, "-CRLfile", list_file, &file];
        let judged = openssl_verify("sslclient", at, &files);
        assert_eq!(judged.is_ok(), expected.is_ok(), "{judged:?}");
        assert!(judged.unwrap_or_else(|text| text).contains(openssl_says));
    }
    assert!(openssl_verify("sslserver", NOW, &["-CAfile", &root_file, &file]).is_err(), "it is no server's");
    let text = openssl(&["crl", "-in", &full_file, "-CAfile", &root_file, "-noout", "-text"]).unwrap();
    for part in ["verify OK", "X509v3 CRL Number", "Key Compromise", "Next Update"] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    let fingerprint = openssl(&["x509", "-in", &file, "-noout", "-fingerprint", "-sha256"]).unwrap();
    let digits: String = fingerprint.trim().rsplit('=').next().unwrap().replace(':', "").to_lowercase();
    assert_eq!(digits, certificate.fingerprint().to_string());
}

#[test]
fn foreign_authorities_and_servers_are_not_taken_for_clients() {
    let ((ours, _), (theirs, _)) = (authority(), authority());
    let foreign = client(&theirs, 90);
    assert!(webpki(ours.certificate(), &[&foreign], None, NOW).is_err());
    assert!(!foreign.is_signed_by(ours.certificate()), "the same names, another key");
    let subject = Subject::new("bank", SubjectKind::Node, "n1").unwrap();
    let hosts = names(&["n1.bank.example"]);
    let (_, asked) = request(&subject, &hosts);
    let order = Order { request: &asked, subject: &subject, profile: Profile::Server, names: &hosts, days: 30 };
    let server = ours.issue(&order, NOW).unwrap();
    let refused = webpki(ours.certificate(), &[&server], None, NOW).unwrap_err();
    assert!(refused.contains("Purpose") || refused.contains("EKU") || refused.contains("Eku"), "{refused}");
}

#[test]
fn a_node_signs_for_its_own_hosts_and_no_others() {
    let (authority, _) = authority();
    let node = Subject::new("bank", SubjectKind::Node, "n1").unwrap();
    let hosts = names(&["n1.bank.example", "10.1.2.3"]);
    let (key, asked) = request(&node, &hosts);
    let order = Order { request: &asked, subject: &node, profile: Profile::NodeAuthority, names: &hosts, days: 365 };
    let below = authority.issue(&order, NOW).unwrap();
    assert!(below.is_authority() && below.is_signed_by(authority.certificate()));
    let own = Authority::open(below.clone(), &key).unwrap();
    let server_key = Key::generate().unwrap();
    let server = own.issue_server(&server_key, &node, &hosts, 90 * DAY_MS, NOW).unwrap();
    assert_eq!(server.names(), hosts);
    let far = own.issue_server(&server_key, &node, &names(&["other.example"]), DAY_MS, NOW).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let root = write(folder.path(), "root.pem", &authority.certificate().to_pem());
    let middle = write(folder.path(), "middle.pem", &below.to_pem());
    let good = write(folder.path(), "good.pem", &server.to_pem());
    let bad = write(folder.path(), "bad.pem", &far.to_pem());
    openssl_verify("sslserver", NOW, &["-CAfile", &root, "-untrusted", &middle, &good]).unwrap();
    let said = openssl_verify("sslserver", NOW, &["-CAfile", &root, "-untrusted", &middle, &bad]).unwrap_err();
    assert!(said.contains("permitted subtree violation"), "{said}");
    assert!(own.issue_server(&server_key, &node, &[], DAY_MS, NOW).is_err(), "it would be for no host");
    // What is never longer than its authority: near the end of it the node's certificates get shorter.
    let late = own.issue_server(&server_key, &node, &hosts, 90 * DAY_MS, later(364)).unwrap();
    assert_eq!(late.not_after(), below.not_after());
    assert!(own.issue_server(&server_key, &node, &hosts, DAY_MS, later(366)).is_err(), "it has ended");
    let renewed = authority.renew(&below, 365, later(200)).unwrap();
    assert_eq!((renewed.public(), renewed.is_authority()), (below.public(), true));
    assert_ne!(renewed.serial(), below.serial());
    Authority::open(renewed, &key).expect("the same key");
}

/// What webpki says of a server's certificate, as clients of the node ask it.
fn webpki_server(root: &Certificate, server: &Certificate, host: &str) -> Result<(), String> {
    use rustls::client::{WebPkiServerVerifier, danger::ServerCertVerifier as _};
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(root.der().to_vec())).unwrap();
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    let time = UnixTime::since_unix_epoch(std::time::Duration::from_millis(NOW.0));
    let name = rustls::pki_types::ServerName::try_from(host.to_owned()).unwrap();
    let der = CertificateDer::from(server.der().to_vec());
    verifier.verify_server_cert(&der, &[], &name, &[], time).map(|_| ()).map_err(|error| format!("{error:?}"))
}

#[test]
fn a_kind_of_names_that_is_not_permitted_is_excluded() {
    let node = Subject::new("bank", SubjectKind::Node, "n1").unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (permit, inside, outside) in [
        ("bank.example", "bank.example", "192.0.2.1"),
        ("192.0.2.0/24", "192.0.2.1", "bank.example"),
        ("192.0.2.1", "192.0.2.1", "::1"),
    ] {
        let key = Key::generate().unwrap();
        let new = NewAuthority { permitted: vec![permit.parse().unwrap()], ..new_authority() };
        let authority = Authority::create(&new, &key, NOW).unwrap();
        let root = write(folder.path(), "root.pem", &authority.certificate().to_pem());
        for (host, expected) in [(inside, true), (outside, false)] {
            let server = authority.issue_server(&key, &node, &names(&[host]), DAY_MS, NOW).unwrap();
            let said = webpki_server(authority.certificate(), &server, host);
            assert_eq!(said.is_ok(), expected, "{permit} {host}: {said:?}");
            let file = write(folder.path(), "server.pem", &server.to_pem());
            let said = openssl_verify("sslserver", NOW, &["-CAfile", &root, &file]);
            assert_eq!(said.is_ok(), expected, "{permit} {host}: {said:?}");
            let (_, asked) = request(&node, &names(&[host]));
            let hosts = names(&[host]);
            let order = Order { request: &asked, subject: &node, profile: Profile::Server, names: &hosts, days: 1 };
            assert_eq!(authority.issue(&order, NOW).is_ok(), expected, "{permit} {host}");
        }
    }
}

#[test]
fn what_is_not_in_order_is_not_issued() {
    let (authority, key) = authority();
    let subject = erp();
    let (_, asked) = request(&subject, &[]);
    let order = |profile, names, days| Order { request: &asked, subject: &subject, profile, names, days };
    let (inside, outside) = (names(&["a.bank.example"]), names(&["bank.example.evil"]));
    let address = names(&["192.0.2.1"]);
    for (profile, hosts, days, code) in [
        (Profile::Client, &[][..], 0, "certificate.authority"),
        (Profile::Client, &[][..], 398, "certificate.authority"),
        (Profile::Client, &inside[..], 30, "certificate.authority"),
        (Profile::Server, &[][..], 30, "certificate.authority"),
        (Profile::Server, &outside[..], 30, "certificate.name"),
        (Profile::NodeAuthority, &address[..], 30, "certificate.name"),
        (Profile::NodeAuthority, &inside[..], 3651, "certificate.authority"),
    ] {
        let error = authority.issue(&order(profile, hosts, days), NOW).unwrap_err();
        assert_eq!(error.code(), code, "{profile:?} {hosts:?} {days}: {error}");
    }
    let other = Subject::new("bank", SubjectKind::System, "crm").unwrap();
    let order = Order { request: &asked, subject: &other, profile: Profile::Client, names: &[], days: 30 };
    assert_eq!(authority.issue(&order, NOW).unwrap_err().code(), "certificate.request");
    let certificate = client(&authority, 30);
    assert_eq!(Authority::open(certificate, &key).unwrap_err().code(), "certificate.authority");
    let stranger = Key::generate().unwrap();
    let root = authority.certificate().clone();
    assert_eq!(Authority::open(root, &stranger).unwrap_err().code(), "certificate.authority");
    let long = NewAuthority { days: 20_000, ..new_authority() };
    assert!(Authority::create(&long, &key, NOW).is_err());
}

/// One bit, several, and those that make another tag or length of a byte.
const CHANGES: [u8; 5] = [0x01, 0x20, 0x41, 0x80, 0xff];

/// The same, as BER may write it: the outer length in more bytes, none at all, something after the end.
fn written_otherwise(der: &[u8]) -> Vec<Vec<u8>> {
    let (head, rest) = der.split_at(4);
    assert_eq!(head[..2], [0x30, 0x82], "a length in two bytes");
    let longer = [&[0x30, 0x83, 0, head[2], head[3]], rest].concat();
    let without = [&[0x30, 0x80], rest, &[0, 0]].concat();
    vec![longer, without, [der, &[0]].concat()]
}

#[test]
fn lists_are_read_in_one_form_and_by_their_authority_only() {
    let ((authority, _), (other, _)) = (authority(), authority());
    let revoked = Revoked { serial: vec![0x41; 16], at: NOW, reason: Reason::KeyCompromise };
    let text = authority.revocation_list(&[revoked], 1, NOW, 7).unwrap();
    let both = format!("{text}{text}");
    let [list, again] = RevocationList::read_all(both.as_bytes()).unwrap().try_into().unwrap();
    assert_eq!(list, again);
    assert!(list.is_signed_by(authority.certificate()));
    assert!(!list.is_signed_by(other.certificate()), "the same name, another key");
    for (at, by) in (0..list.der().len()).flat_map(|at| CHANGES.map(|by| (at, by))) {
        let mut bytes = list.der().to_vec();
        bytes[at] ^= by;
        let changed = RevocationList::from_der(&bytes);
        assert!(changed.is_err() || !changed.unwrap().is_signed_by(authority.certificate()), "byte {at} by {by:#x}");
    }
    for bytes in written_otherwise(list.der()) {
        assert_eq!(RevocationList::from_der(&bytes).unwrap_err().code(), "certificate.malformed");
    }
    for text in [&b""[..], b"-----BEGIN X509 CRL", authority.certificate().to_pem().as_bytes()] {
        assert_eq!(RevocationList::read_all(text).unwrap_err().code(), "certificate.malformed");
    }
}

#[test]
fn requests_that_prove_nothing_are_refused() {
    let text = Request::make(&Key::generate().unwrap(), &erp(), &names(&["a.bank.example"])).unwrap();
    let good = rustls::pki_types::CertificateSigningRequestDer::from_pem_slice(text.as_bytes()).unwrap();
    let read = Request::read(&good).unwrap();
    assert_eq!((read.subject(), read.names()), (Some(&erp()), &names(&["a.bank.example"])[..]));
    // Every byte counts, and none leads to a panic: what still reads says what it said.
    for (at, by) in (0..good.len()).flat_map(|at| CHANGES.map(|by| (at, by))) {
        let mut bytes = good.to_vec();
        bytes[at] ^= by;
        if let Err(error) = Request::read(&bytes) {
            assert!(["certificate.request", "certificate.name"].contains(&error.code()), "{error}");
        } else {
            panic!("byte {at} changed by {by:#x} and the request is still believed");
        }
    }
    for bytes in written_otherwise(&good) {
        assert_eq!(Request::read(&bytes).unwrap_err().code(), "certificate.request");
    }
    for bytes in [&good[..good.len() - 1], &[], b"-----BEGIN X-----", &[0x30; 20_000][..]] {
        assert_eq!(Request::read(bytes).unwrap_err().code(), "certificate.request");
    }
    let folder = tempfile::tempdir().unwrap();
    let (key, file) = (folder.path().join("k.pem"), folder.path().join("r.pem"));
    let (key, file) = (key.display().to_string(), file.display().to_string());
    for kind in [
        &["-newkey", "rsa:2048"][..],
        &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
        // The key would do; with it the parser behind would take the key for one of P-384.
        &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-sha384"],
    ] {
        let arguments = [&["req", "-new", "-nodes"][..], kind, &["-subj", "/CN=x", "-keyout", &key, "-out", &file]];
        openssl(&arguments.concat()).unwrap();
        let error = Request::read(&std::fs::read(&file).unwrap()).unwrap_err();
        assert_eq!(error.code(), "certificate.request", "{kind:?}");
    }
    let mut arguments = vec!["req", "-new", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    arguments.extend(["-subj", "/CN=x", "-text", "-keyout", &key, "-out", &file]);
    openssl(&arguments).unwrap();
    let foreign = Request::read(&std::fs::read(&file).unwrap()).expect("another program's request is as good");
    assert_eq!(foreign.subject(), None);
}

#[test]
fn certificates_are_read_without_panic_and_keys_show_nothing() {
    let (authority, key) = authority();
    let good = client(&authority, 30);
    assert_eq!(Certificate::read(good.to_pem().as_bytes()), Ok(good.clone()));
    assert_eq!(Certificate::read(good.der()), Ok(good.clone()));
    let said = format!("subject=O = bank\n{}", good.to_pem());
    assert_eq!(Certificate::read(said.as_bytes()), Ok(good.clone()), "with what another program says of it");
    let both = format!("{}{}", good.to_pem(), authority.certificate().to_pem());
    assert_eq!(Certificate::read_all(both.as_bytes()).unwrap().len(), 2);
    for (at, by) in (0..good.der().len()).flat_map(|at| CHANGES.map(|by| (at, by))) {
        let mut bytes = good.der().to_vec();
        bytes[at] ^= by;
        let changed = Certificate::read(&bytes);
        assert!(changed.is_err() || !changed.unwrap().is_signed_by(authority.certificate()), "byte {at} by {by:#x}");
    }
    for bytes in written_otherwise(good.der()) {
        assert_eq!(Certificate::read(&bytes).unwrap_err().code(), "certificate.malformed");
    }
    for bytes in [&b""[..], b"-----BEGIN", &[0x30; 20_000], &good.der()[1..]] {
        assert_eq!(Certificate::read(bytes).unwrap_err().code(), "certificate.malformed");
    }
    assert_eq!(format!("{key:?}"), "Key(<redacted>)");
    assert!(!format!("{authority:?}").to_lowercase().contains("secret"));
    assert_eq!(Key::from_pem(key.to_pem().as_bytes()).unwrap().public(), key.public());
    assert!(Key::from_pem(b"nothing").is_err() && Key::from_pkcs8(&[0; 40]).is_err());
}
