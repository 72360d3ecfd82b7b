//! A member's certificates over their whole life, with the program as a user calls it and OpenSSL as a second judge.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures::StreamExt as _;
use serde_json::Value;
use vouch_certificates::{Authority, Certificate, DAY_MS, Key};
use vouch_sdk::{Client, ClientCertificate, ClientConfig, EventsRequest, TransactionBuilder, secret_file};
use vouch_tests::cluster::{Cluster, Options, Output, record_call, until};
use vouch_types::TimestampMs;

const PATIENCE: Duration = Duration::from_secs(60);

/// The member of the first node, its authority, and an outside system of it.
struct Story {
    cluster: Cluster,
    member: String,
    admin: String,
}

impl Story {
    fn path(&self, name: &str) -> String {
        self.cluster.scratch(name).display().to_string()
    }

    fn folder(&self) -> PathBuf {
        self.cluster.scratch("authority")
    }

    /// The command line with the authority's password at an open file, towards a node that asks for no certificate.
    fn vouch(&self, arguments: &[&str]) -> Output {
        let mut all = vec!["--home".to_owned(), self.cluster.home(1).display().to_string(), "--json".into()];
        all.extend(arguments.iter().map(|text| (*text).to_owned()));
        self.with_password(&all)
    }

    /// The same at the first node's home.
    fn at_node(&self, arguments: &[&str]) -> Output {
        let mut all = vec!["--home".to_owned(), self.cluster.home(0).display().to_string(), "--json".into()];
        all.extend(arguments.iter().map(|text| (*text).to_owned()));
        self.with_password(&all)
    }

    fn with_password(&self, arguments: &[String]) -> Output {
        let output = Command::new("bash")
            .args(["-c", "exec 9<\"$0\"; VOUCH_PASSWORD_FD=9 exec \"$@\"", &self.path("password")])
            .arg(&self.cluster.program.path)
            .args(arguments)
            .env("VOUCH_AUTHORITY", self.folder())
            .env_remove("VOUCH_KEY")
            .output()
            .unwrap();
        Output {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    fn done(&self, arguments: &[&str]) -> Value {
        self.vouch(arguments).success().unwrap().json().unwrap()
    }

    /// A client of the first node with a certificate, or with none.
    fn client(&self, files: Option<(&str, &str)>) -> Client {
        let mut config = self.config();
        config.certificate = files.map(|(certificate, key)| {
            let read = |name: &str| std::fs::read(self.path(name)).unwrap();
            ClientCertificate::new(&read(certificate), &read(key))
        });
        config.build().unwrap()
    }

    fn config(&self) -> ClientConfig {
        let mut config = self.cluster.client_config(&[0]).unwrap();
        config.admin_token = None;
        config.attempts_max = 1;
        config
    }

    async fn code(&self, files: Option<(&str, &str)>) -> String {
        code(self.client(files).params().await)
    }

    async fn becomes(&self, files: Option<(&str, &str)>, expected: &str) -> Duration {
        let begun = Instant::now();
        let what = format!("{files:?} is answered {expected}");
        until(&what, PATIENCE, async || Ok((self.code(files).await == expected).then_some(()))).await.unwrap();
        begun.elapsed()
    }

    /// Key and request of the outside system, then a certificate.
    fn apply(&self, name: &str) -> (String, String) {
        let (key, request) = (self.path(&format!("{name}.key")), self.path(&format!("{name}.csr")));
        let arguments =
            ["cert", "apply", "--member", &self.member, "--system", "erp", "--key-out", &key, "--out", &request];
        self.done(&arguments);
        (key, request)
    }
}

fn code<T>(result: Result<T, vouch_sdk::Error>) -> String {
    result.map_or_else(|error| error.code().to_owned(), |_| "ok".into())
}

fn openssl(arguments: &[&str]) -> (bool, String) {
    let output = Command::new("openssl").args(arguments).output().expect("openssl; ./run setup installs it");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), text)
}

fn now() -> TimestampMs {
    TimestampMs(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap())
}

fn fingerprint(value: &Value) -> String {
    value["fingerprint"].as_str().unwrap().to_owned()
}

/// A new authority, known to the chain.
async fn begin() -> Story {
    let cluster = Cluster::start(Options { accounts: 8, ..Options::default() }).await.unwrap();
    let member = cluster.plan.nodes[0].member.clone();
    let admin = cluster.admin_paths(1);
    let story = Story { cluster, member, admin };
    std::fs::write(story.path("password"), "a password of the authority\n").unwrap();
    let made = story.done(&["cert", "init", "--member", &story.member]);
    assert_eq!(made["authority"], true);
    let again = story.vouch(&["cert", "init", "--member", &story.member]);
    assert_eq!((again.code, again.problem_code().unwrap().as_str()), (3, "certificate.authority"));
    let lock = std::fs::read_to_string(story.folder().join("root.key.lock")).unwrap();
    assert!(lock.contains("argon2id"), "a password protects the authority's key");
    let root = story.folder().join("root.pem").display().to_string();
    story.done(&["member", "set-ca", &story.member, "--root", &root, "--key", &story.admin]);
    let other = story.cluster.client(2).unwrap();
    let registered = until("another node knows the root", PATIENCE, async || {
        let members = other.members().await?.items;
        Ok(members.into_iter().find(|member| member.name == story.member).and_then(|member| member.ca_certificate))
    });
    let registered = registered.await.unwrap();
    let own = Certificate::read(&std::fs::read(&root).unwrap()).unwrap();
    assert_eq!(registered.0, own.der(), "every node knows the root");
    story
}

/// Applies for a certificate, has it issued and recorded, and has OpenSSL judge it; an earlier one for the same key was recorded late.
fn issue(story: &Story) -> [String; 2] {
    let (_, request) = story.apply("erp");
    let out = story.path("erp.pem");
    let nobody = story.vouch(&["cert", "issue", &request, "--system", "erp", "--out", &out]);
    assert_eq!(nobody.problem_code().unwrap(), "client.configuration", "who records it?");
    let other = story.vouch(&["cert", "issue", &request, "--system", "crm", "--out", &out, "--key", &story.admin]);
    assert_eq!(other.problem_code().unwrap(), "certificate.request", "the request is another's");
    let stranger = story.cluster.account_path(0);
    let refused = story.vouch(&["cert", "issue", &request, "--system", "erp", "--out", &out, "--key", &stranger]);
    assert_eq!((refused.code, refused.problem_code().unwrap().as_str()), (5, "system.not_authorised"));
    assert!(!Path::new(&out).exists(), "what is not on the chain does not leave the authority");
    let pending = story.done(&["cert", "list"]);
    assert_eq!(pending[0]["standing"], "issued");
    let late = story.path("late-recorded.pem");
    let waiting = fingerprint(&pending[0]);
    let record = ["cert", "record", &waiting, "--out", &late, "--key", &story.admin];
    assert_eq!(story.done(&record)["standing"], "recorded");
    assert_eq!(fingerprint(&story.done(&["cert", "show", &late])), waiting, "it leaves it then");
    let issued = story.done(&["cert", "issue", &request, "--system", "erp", "--out", &out, "--key", &story.admin]);
    assert_eq!(issued["subject"], format!("urn:vouch:{}:system:erp", story.member));
    assert_eq!(story.done(&["cert", "show", &out])["standing"], "valid");
    let (root, list) = (story.folder().join("root.pem"), story.folder().join("crl.pem"));
    let (root, list) = (root.display().to_string(), list.display().to_string());
    let strict = ["verify", "-x509_strict", "-purpose", "sslclient", "-crl_check", "-CAfile", &root, "-CRLfile", &list];
    let (good, said) = openssl(&[&strict[..], &[out.as_str()]].concat());
    assert!(good, "{said}");
    [fingerprint(&issued), waiting]
}

/// The first node lets nobody in without a certificate from now on.
async fn ask_for_certificates(story: &mut Story) {
    let account = story.cluster.account(0).unwrap().public().account().to_string();
    let allow = ["cert", "allow", "erp", "--scope", "read,submit", "--account", &account, "--note", "the shop"];
    story.at_node(&allow).success().unwrap();
    let path = story.cluster.home(0).join("config.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let changed = text.replace("mode = \"off\"", "mode = \"always\"");
    assert_ne!(text, changed);
    std::fs::write(&path, changed).unwrap();
    story.cluster.stop(0).await.unwrap();
    story.cluster.start_node(0).unwrap();
    story.becomes(Some(("erp.pem", "erp.key")), "ok").await;
}

/// What the outside system may do, and with which account.
async fn call(story: &Story) {
    let erp = Some(("erp.pem", "erp.key"));
    assert_eq!(story.code(None).await, "certificate.required");
    let bare = story.at_node(&["params", "show"]);
    assert_eq!((bare.code, bare.problem_code().unwrap().as_str()), (3, "certificate.required"));
    let (own, other) = (story.cluster.account_path(0), story.cluster.account_path(4));
    let (certificate, key) = (story.path("erp.pem"), story.path("erp.key"));
    let shown = ["--client-cert", &certificate, "--client-key", &key];
    story.at_node(&[&shown[..], &["params", "show"]].concat()).success().unwrap();
    let signed = |account: &str| story.at_node(&[&shown[..], &["key", "check", "--key", account]].concat());
    signed(&own).success().unwrap();
    assert_eq!(signed(&other).problem_code().unwrap(), "certificate.other_account", "a request signed by another");
    let client = story.client(erp);
    let params = client.params().await.unwrap();
    for (account, expected) in [(0, "ok"), (4, "certificate.other_account")] {
        let key = story.cluster.account(account).unwrap();
        let transaction = record_call(TransactionBuilder::new(&params)).sign(&[&key]).unwrap();
        assert_eq!(code(client.submit(&transaction).await), expected, "a transaction of account {account}");
        if expected == "ok" {
            client.wait(transaction.id, PATIENCE).await.unwrap();
        }
    }
    // Without options: what lies in the home.
    let folder = story.cluster.home(0).join("client");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(&certificate, folder.join("certificate.pem")).unwrap();
    std::fs::copy(&key, folder.join("key.pem")).unwrap();
    story.at_node(&["status"]).success().unwrap();
    // The list changes while the node runs.
    story.at_node(&["cert", "disallow", "erp"]).success().unwrap();
    story.becomes(erp, "certificate.not_allowed").await;
    story.at_node(&["cert", "allow", "system:erp", "--scope", "read"]).success().unwrap();
    story.becomes(erp, "ok").await;
    let transaction =
        record_call(TransactionBuilder::new(&params)).sign(&[&story.cluster.account(0).unwrap()]).unwrap();
    assert_eq!(code(client.submit(&transaction).await), "certificate.scope");
}

/// A new key and certificate while the old one still counts; then the new one is revoked while a stream is open.
async fn renew_and_revoke(story: &Story, first: &str) {
    let (_, request) = story.apply("next");
    let out = story.path("next.pem");
    let renewed = story.done(&[
        "cert",
        "renew",
        first,
        "--request",
        &request,
        "--out",
        &out,
        "--key",
        &story.admin,
        "--days",
        "30",
    ]);
    let second = fingerprint(&renewed);
    assert_ne!(second, first);
    let next = Some(("next.pem", "next.key"));
    story.becomes(next, "ok").await;
    assert_eq!(story.code(Some(("erp.pem", "erp.key"))).await, "ok", "the old one counts until it ends");
    assert_eq!(story.done(&["cert", "show", &story.path("erp.pem")])["standing"], "renewed");
    let client = story.client(next);
    let mut events = client.events(EventsRequest::default());
    let open = tokio::time::timeout(Duration::from_secs(2), events.next()).await;
    assert!(!matches!(open, Ok(Some(Err(_)) | None)), "{open:?}");
    let (key, same) = (story.path("next.key"), story.path("same.pem"));
    let third = story.done(&["cert", "renew", &second, "--out", &same, "--key", &story.admin]);
    let destroy = ["cert", "destroy", &second, "--key-file", &key, "--key", &story.admin];
    assert_eq!(story.vouch(&destroy).problem_code().unwrap(), "certificate.authority", "another one needs the key");
    assert!(Path::new(&key).exists());
    let revoke = ["cert", "revoke", &second, "--reason", "key-compromise", "--key", &story.admin];
    let revoked = story.done(&revoke);
    assert_eq!((&revoked["standing"], &revoked["also"][0]), (&Value::from("revoked"), &third["fingerprint"]));
    assert_eq!(story.done(&["cert", "show", &same])["standing"], "revoked", "who has the key has both");
    // Final at the other node; this one has the block within moments.
    story.becomes(next, "certificate.revoked").await;
    assert_eq!(code(client.params().await), "certificate.revoked");
    let ended = async {
        loop {
            match events.next().await {
                Some(Ok(_)) => {}
                other => return other,
            }
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(5), ended).await.expect("the stream ends in time");
    assert_eq!(ended.expect("and says why").unwrap_err().code(), "certificate.revoked");
    let again = story.vouch(&revoke);
    assert_eq!(again.problem_code().unwrap(), "certificate.authority", "it is revoked already");
    let (root, list) = (story.folder().join("root.pem"), story.folder().join("crl.pem"));
    let (root, list) = (root.display().to_string(), list.display().to_string());
    let (good, said) = openssl(&["verify", "-crl_check", "-CAfile", &root, "-CRLfile", &list, &out]);
    assert!(!good && said.contains("revoked"), "{said}");
    let (_, text) = openssl(&["crl", "-in", &list, "-noout", "-text", "-CAfile", &root]);
    assert!(text.contains("verify OK") && text.contains("Key Compromise"), "{text}");
}

/// The key is gone, the chain says so, nobody is let in by it.
async fn destroy(story: &Story, [first, late]: [&str; 2]) {
    let key = story.path("erp.key");
    let wrong = story.vouch(&["cert", "destroy", first, "--key-file", &story.path("next.key"), "--key", &story.admin]);
    assert_eq!(wrong.problem_code().unwrap(), "certificate.malformed");
    let copy = story.path("copy.key");
    std::fs::copy(&key, &copy).unwrap();
    let needed = story.vouch(&["cert", "destroy", first, "--key-file", &key, "--key", &story.admin]);
    assert_eq!(needed.problem_code().unwrap(), "certificate.authority", "the one that was recorded late counts");
    assert!(Path::new(&key).exists());
    story.done(&["cert", "revoke", late, "--reason", "superseded", "--key", &story.admin]);
    story.becomes(Some(("erp.pem", "erp.key")), "ok").await;
    let destroyed = story.done(&["cert", "destroy", first, "--key-file", &key, "--key", &story.admin]);
    assert_eq!(destroyed["standing"], "destroyed");
    assert!(!Path::new(&key).exists() && Path::new(&story.path("next.key")).exists());
    story.becomes(Some(("erp.pem", "copy.key")), "certificate.revoked").await;
    assert_eq!(story.done(&["cert", "show", &story.path("erp.pem")])["standing"], "destroyed");
}

/// The node's own authority comes under the member's root, and its server certificate renews itself while it serves.
async fn serve_under_the_members_root(story: &Story) {
    let (_, request) = story.apply("last");
    let client =
        ["cert", "issue", &request, "--system", "erp", "--out", &story.path("last.pem"), "--key", &story.admin];
    story.done(&client);
    let last = Some(("last.pem", "last.key"));
    story.becomes(last, "ok").await;
    let open = story.client(last);
    assert_eq!(code(open.params().await), "ok");
    let node = story.cluster.name(0).to_owned();
    let (request, below) = (story.path("node.csr"), story.path("node.pem"));
    let apply = ["cert", "apply", "--member", &story.member, "--for-node", &node, "--out", &request];
    story.at_node(&apply).success().unwrap();
    let days = ["--days", "365"];
    let issue = ["cert", "issue", &request, "--for-node", &node, "--out", &below, "--key", &story.admin];
    story.done(&[&issue[..], &days].concat());
    let root = story.folder().join("root.pem").display().to_string();
    let wrong = story.at_node(&["cert", "install", &story.path("last.pem"), "--root", &root]);
    assert_eq!(wrong.problem_code().unwrap(), "certificate.authority");
    story.at_node(&["cert", "install", &below, "--root", &root]).success().unwrap();
    // `ca.pem` is the member's root now: clients that trust it see the new chain within seconds.
    story.becomes(last, "ok").await;
    assert_eq!(code(open.params().await), "ok", "the connection that was open goes on");
    let home = story.cluster.home(0);
    let shown = home.join("tls/certificate.pem");
    let purpose = ["verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", &root, "-untrusted", &below];
    let (good, said) = openssl(&[&purpose[..], &[shown.display().to_string().as_str()]].concat());
    assert!(good, "{said}");

    // An old certificate, as if two thirds of its life were over: the node makes another one by itself.
    let key = secret_file::load(&home.join("tls/authority.key"), "certificate-authority", None).unwrap();
    let authority = Certificate::read(&std::fs::read(home.join("tls/authority.pem")).unwrap()).unwrap();
    let authority = Authority::open(authority, &Key::from_pkcs8(&key).unwrap()).unwrap();
    let server = Key::from_pem(&std::fs::read(home.join("tls/key.pem")).unwrap()).unwrap();
    let subject = authority.certificate().subject().unwrap().clone();
    let begun = TimestampMs(now().0 - 70 * DAY_MS);
    let old = authority.issue_server(&server, &subject, &authority.names().unwrap(), 90 * DAY_MS, begun).unwrap();
    let part = home.join("tls/part");
    std::fs::write(&part, format!("{}{}", old.to_pem(), authority.certificate().to_pem())).unwrap();
    std::fs::rename(&part, &shown).unwrap();
    let new = until("the node renews its certificate", PATIENCE, async || {
        let read = Certificate::read(&std::fs::read(&shown)?)?;
        Ok((read.not_after() > old.not_after()).then_some(read))
    });
    let new = new.await.unwrap();
    assert!(new.is_signed_by(authority.certificate()) && new.public() != old.public());
    assert_eq!(code(open.params().await), "ok", "the connection that was open goes on");
    story.becomes(last, "ok").await;
    let metrics = open.metrics().await.unwrap();
    let line = metrics.lines().find(|line| line.starts_with("vouch_api_certificate_renewals_total ")).unwrap();
    assert!(!line.ends_with(" 0"), "{line}");
    let ends = format!("vouch_api_certificate_not_after_seconds {}", new.not_after().0 / 1_000);
    assert!(metrics.lines().any(|line| line == ends), "{ends} is missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_authority_to_the_destroyed_key() {
    let mut story = begin().await;
    let [first, late] = issue(&story);
    ask_for_certificates(&mut story).await;
    call(&story).await;
    renew_and_revoke(&story, &first).await;
    destroy(&story, [&first, &late]).await;
    serve_under_the_members_root(&story).await;
    assert_eq!(story.vouch(&["cert", "close"]).problem_code().unwrap(), "certificate.authority", "without --yes");
    story.done(&["cert", "close", "--yes"]);
    assert!(!story.folder().join("root.key").exists());
    let (_, request) = story.apply("late");
    let late = ["cert", "issue", &request, "--system", "erp", "--out", &story.path("late.pem"), "--offline"];
    assert_eq!(story.vouch(&late).problem_code().unwrap(), "certificate.authority");
    let last = fingerprint(&story.done(&["cert", "show", &story.path("last.pem")]));
    let revoked = story.done(&["cert", "revoke", &last, "--key", &story.admin]);
    assert_eq!(revoked["standing"], "revoked", "the chain hears of it without the authority");
    story.becomes(Some(("last.pem", "last.key")), "certificate.revoked").await;
    let states: Vec<_> = story.done(&["cert", "list"]).as_array().unwrap().clone();
    assert!(states.len() >= 5, "what was issued stays on record");
    let status = story.cluster.status(1).await.unwrap();
    assert_eq!(status.condition.code, "ok");
}
