//! Fields of a document leave the network as a file, and are judged where there is no network: by the chain id alone.

use std::process::Stdio;

use serde_json::{Value, json};
use vouch_tests::cluster::{Cluster, Output};

use super::documents::{ENTERPRISE, INSTITUTION, NAME, TASK, done, refused, vouch};

/// A program that knows nothing but the file and what is named here.
async fn verify(cluster: &Cluster, file: &str, options: &[&str]) -> Output {
    cluster.program.run([&["--json", "verify", file], options].concat()).await.unwrap()
}

fn mode(path: &str) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn codes(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|said| said["code"].as_str().unwrap()).collect()
}

/// The whole of it: a package from a member's own node, verified elsewhere, and changed.
pub(super) async fn it_is_proven_to_outsiders(cluster: &Cluster, id: &str) {
    let chain = cluster.status(INSTITUTION).await.unwrap().chain.to_string();
    let out = cluster.scratch("case.vouch.zip").display().to_string();
    let export = ["doc", "evidence", id, "--purpose", "verification", "--statement", "案件 17", "--out", &out];
    let fields = ["--field", "name", "--field", "task", "--field", "shifts", "--related"];
    let made = done(cluster, INSTITUTION, &[&export[..], &fields].concat()).await;
    assert_eq!((&made["chain"], made["documents"].as_array().unwrap().len()), (&json!(chain), 1), "{made}");
    let again = vouch(cluster, INSTITUTION, &export).await;
    assert_eq!((again.code, again.problem_code().unwrap().as_str()), (1, "evidence.io"), "nothing is overwritten");

    let report = verify(cluster, &out, &["--chain-id", &chain]).await.success().unwrap().json().unwrap();
    let document = &report["documents"][0];
    let shown: Vec<(&str, &Value)> =
        document["fields"].as_array().unwrap().iter().map(|f| (f["name"].as_str().unwrap(), &f["value"])).collect();
    let shifts = json!([{ "day": "2026-11-02", "hours": "8" }, { "day": "2026-11-03", "hours": "7.5" }]);
    assert_eq!(shown, [("name", &json!(NAME)), ("task", &json!(TASK)), ("shifts", &shifts)]);
    assert_eq!(
        (&document["issuer"], &document["state"], &document["hidden"]),
        (&json!("institution"), &json!("Effective"), &json!(2))
    );
    assert!(document["submission"]["transaction"].is_string(), "{document}");
    let verified = ["verified.chain", "verified.seal", "verified.record", "verified.fields", "verified.submission"];
    assert_eq!(codes(&report["verified"]), verified);
    assert_eq!(codes(&report["claimed"]), ["claimed.later", "claimed.maker", "claimed.content"]);
    without_a_network(cluster, &out, &chain).await;

    let open = verify(cluster, &out, &[]).await;
    assert_eq!(open.code, 7, "anybody can make a chain: {open:?}");
    assert_eq!(codes(&open.json().unwrap()["claimed"])[0], "claimed.chain");
    assert_eq!(mode(&out), 0o600, "what is in it is nobody else's on this machine");
    let foreign = verify(cluster, &out, &["--chain-id", &"ab".repeat(32)]).await;
    assert_eq!((foreign.code, foreign.problem_code().unwrap().as_str()), (4, "evidence.foreign_chain"));
    let genesis = cluster.home(ENTERPRISE).join("genesis.json").display().to_string();
    verify(cluster, &out, &["--genesis", &genesis]).await.success().unwrap();
    changed(cluster, &out, &chain).await;
    only_what_may_be_seen(cluster, id).await;
    as_sd_jwt(cluster, id, &chain).await;
    let audit = done(cluster, INSTITUTION, &["doc", "audit", id]).await;
    let ways: Vec<&str> = audit["items"].as_array().unwrap().iter().map(|r| r["access"].as_str().unwrap()).collect();
    assert!(ways.iter().filter(|way| **way == "export").count() >= 2, "{audit}");
}

/// In a network namespace of its own there is no way to any node.
async fn without_a_network(cluster: &Cluster, file: &str, chain: &str) {
    let alone = |command: &[&str]| {
        let mut unshare = tokio::process::Command::new("unshare");
        unshare.args(["--map-root-user", "--net"]).args(command).stdout(Stdio::piped()).stderr(Stdio::piped());
        unshare
    };
    if !alone(&["true"]).status().await.is_ok_and(|status| status.success()) {
        eprintln!("no network namespaces here: that verifying needs no network is not shown");
        return;
    }
    let program = cluster.program.path.display().to_string();
    let done = alone(&[&program, "--json", "verify", file, "--chain-id", chain]).output().await.unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let report: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(report["chain"], chain);
}

/// Someone changes the value of a field where it stands, or cuts the file.
async fn changed(cluster: &Cluster, file: &str, chain: &str) {
    let bytes = std::fs::read(file).unwrap();
    let path = cluster.scratch("changed.vouch.zip");
    let name = path.display().to_string();
    let judged = async |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let output = verify(cluster, &name, &["--chain-id", chain]).await;
        assert_eq!(output.code, 4, "{output:?}");
        (output.problem_code().unwrap(), output.stderr)
    };
    let marker = b"\"disclosure\":\"";
    let at = bytes.windows(marker.len()).position(|window| window == marker).unwrap() + marker.len() + 40;
    let mut flipped = bytes.clone();
    flipped[at] = if flipped[at] == b'A' { b'B' } else { b'A' };
    let (code, said) = judged(&flipped).await;
    assert_eq!(code, "evidence.field_changed");
    assert!(said.contains("field name"), "{said}");
    assert_eq!(judged(&bytes[..bytes.len() - 1]).await.0, "evidence.truncated");
    let mut at_header = bytes.clone();
    at_header[10] ^= 1;
    assert_eq!(judged(&at_header).await.0, "evidence.archive");
}

/// An export is a reading: the contract decides.
async fn only_what_may_be_seen(cluster: &Cluster, id: &str) {
    let out = cluster.scratch("received.vouch.zip").display().to_string();
    let export = ["doc", "evidence", id, "--purpose", "service", "--out", &out];
    let forbidden = [&export[..], &["--field", "id_number"]].concat();
    assert_eq!(refused(cluster, ENTERPRISE, &forbidden).await, "vault.not_allowed");
    assert!(!std::path::Path::new(&out).exists());
    done(cluster, ENTERPRISE, &export).await;
    let report = verify(cluster, &out, &[]).await;
    assert_eq!(report.code, 7, "{report:?}");
    assert!(report.stdout.contains(TASK) && !report.stdout.contains("11010519491231002X"));
}

async fn as_sd_jwt(cluster: &Cluster, id: &str, chain: &str) {
    let out = cluster.scratch("name.sdjwt").display().to_string();
    let made = ["doc", "sd-jwt", id, "--purpose", "verification", "--field", "name", "--out", &out];
    let made = done(cluster, INSTITUTION, &made).await;
    let key = made["key"].as_str().unwrap();
    assert_eq!(mode(&out), 0o600);
    let own_word = verify(cluster, &out, &["--chain-id", chain]).await;
    assert_eq!(own_word.code, 7, "anybody can make a key: {own_word:?}");
    let options = ["--chain-id", chain, "--issuer-key", key];
    let shown = verify(cluster, &out, &options).await.success().unwrap().json().unwrap();
    assert_eq!(shown["fields"], json!({ "name": NAME }));
    assert_eq!(
        (codes(&shown["verified"]), codes(&shown["claimed"])),
        (vec!["verified.signature"], vec!["claimed.root"])
    );
    let root = shown["anchor"]["root"].as_str().unwrap();
    let with_root = [&options[..], &["--root", root]].concat();
    let shown = verify(cluster, &out, &with_root).await.success().unwrap().json().unwrap();
    assert_eq!(codes(&shown["claimed"]), Vec::<&str>::new());
    let other = cluster.account(ENTERPRISE).unwrap().public().to_string();
    let stranger = verify(cluster, &out, &["--issuer-key", &other]).await;
    assert_eq!((stranger.code, stranger.problem_code().unwrap().as_str()), (4, "sd_jwt.signature"));
}
