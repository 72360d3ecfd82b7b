//! The node's own server certificate: made with the home, renewed by itself before it ends.
//!
//! ```text
//! tls/authority.pem, .key   this node's authority: signs for its own hosts and nothing else. It signs itself at first;
//!                           once the member's authority has issued one for the same key, clients trust the member's root
//! tls/certificate.pem, key.pem   what the API shows, by that authority; renewed when two thirds of its life are over
//! ```
//!
//! A certificate that comes from elsewhere is shown as it is and never replaced; the node only says when it ends soon.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use parking_lot::Mutex;
use vouch_api::TlsReloader;
use vouch_certificates::{Authority, Certificate, DAY_MS, Key, NewAuthority, ServerName, Subject, SubjectKind};
use vouch_sdk::{Password, secret_file};
use vouch_types::{
    NodeId, TimestampMs,
    api::{Condition, ConditionState},
};

use crate::{config::ApiSection, home, runner::wall};

/// What the file of an authority's key says that it keeps.
pub const AUTHORITY_KEY: &str = "certificate-authority";
/// How long a server certificate lasts.
pub const SERVER_LIFE_MS: u64 = 90 * DAY_MS;
/// How long a node's own authority lasts while it signs itself.
const AUTHORITY_DAYS: u32 = 3_650;
/// How often the files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// Where a node's authority and its certificate lie.
#[derive(Debug, Clone)]
pub struct Places {
    /// What the API shows.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The certificate of the node's authority.
    pub authority: PathBuf,
    /// The key of that.
    pub authority_key: PathBuf,
    /// What clients trust.
    pub root: PathBuf,
}

impl Places {
    /// Those of a home.
    #[must_use]
    pub fn of(home: &Path, api: &ApiSection) -> Self {
        Self {
            certificate: home.join(&api.certificate),
            key: home.join(&api.key),
            authority: home.join("tls/authority.pem"),
            authority_key: home.join("tls/authority.key"),
            root: home.join("ca.pem"),
        }
    }

    /// Opens the key of the node's authority; `None` where there is none.
    ///
    /// # Errors
    /// A text that names the file.
    pub fn open_key(&self, password: Option<&Password>) -> Result<Option<Key>> {
        let path = &self.authority_key;
        if !path.exists() {
            return Ok(None);
        }
        let bytes = secret_file::load(path, AUTHORITY_KEY, password)?;
        Ok(Some(Key::from_pkcs8(&bytes).with_context(|| path.display().to_string())?))
    }
}

/// Makes authority and certificate of a new home.
///
/// # Errors
/// A text that names the path, or the name that is no host.
pub fn create(places: &Places, node: NodeId, names: &[String], password: Option<&Password>) -> Result<()> {
    let hosts: Vec<ServerName> = names.iter().map(|name| name.parse()).collect::<Result<_, _>>()?;
    let new = NewAuthority {
        organisation: "Vouch node".into(),
        title: node.to_string(),
        permitted: hosts.iter().map(ServerName::as_permit).collect(),
        has_nodes_below: false,
        days: AUTHORITY_DAYS,
    };
    let key = Key::generate()?;
    let authority = Authority::create(&new, &key, wall())?;
    secret_file::save(&places.authority_key, AUTHORITY_KEY, &key.pkcs8(), password)?;
    let pem = authority.certificate().to_pem();
    home::replace(&places.authority, pem.as_bytes(), 0o644)?;
    home::replace(&places.root, pem.as_bytes(), 0o644)?;
    ServerCertificate { places: places.clone(), key: Some(key), node }.renew(&authority, wall()).map(|_| ())
}

/// What the API shows, and what it is renewed with.
#[derive(Debug)]
pub struct ServerCertificate {
    /// Where it lies.
    pub places: Places,
    /// The key of the node's authority, if it has one.
    pub key: Option<Key>,
    /// The node.
    pub node: NodeId,
}

/// How the certificate is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerReport {
    /// From when until when it counts.
    pub life: Option<(TimestampMs, TimestampMs)>,
    /// When the authority that renews it ends; `None` for a certificate from elsewhere.
    pub authority: Option<(TimestampMs, TimestampMs)>,
    /// Why it could not be renewed.
    pub failure: Option<String>,
    /// How often it was renewed since the start.
    pub renewals: u64,
    /// How often that failed.
    pub failures: u64,
}

/// The report, shared.
pub type SharedReport = Arc<Mutex<ServerReport>>;

impl ServerCertificate {
    fn shown(&self) -> Result<Certificate> {
        let path = &self.places.certificate;
        let bytes = fs::read(path).with_context(|| path.display().to_string())?;
        Certificate::read(&bytes).with_context(|| path.display().to_string())
    }

    /// This node's authority, if it has one and the files go together.
    fn authority(&self) -> Result<Option<Authority>> {
        let Some(key) = &self.key else { return Ok(None) };
        let path = &self.places.authority;
        let bytes = fs::read(path).with_context(|| path.display().to_string())?;
        let opened = Certificate::read(&bytes).and_then(|certificate| Authority::open(certificate, key));
        Ok(Some(opened.with_context(|| path.display().to_string())?))
    }

    /// Renews when it is time, when it does not count yet because the clock was wrong, when the names have changed, or when a
    /// power cut left key and certificate of different ages. Returns whether it did, and the life of the authority that renews.
    ///
    /// # Errors
    /// Why it could not.
    pub fn renew_if_due(&self, now: TimestampMs) -> Result<(bool, Option<Authority>)> {
        let Some(authority) = self.authority()? else { return Ok((false, None)) };
        let shown = self.shown()?;
        if !shown.is_signed_by(authority.certificate()) {
            return Ok((false, None));
        }
        let own_key = fs::read(&self.places.key).ok().and_then(|pem| Key::from_pem(&pem).ok());
        let goes_together = own_key.is_some_and(|key| key.public() == shown.public());
        // Towards the end of its authority a certificate cannot get longer.
        let is_last = shown.not_after() >= authority.certificate().not_after();
        let is_due = (now >= shown.renew_at() && !is_last) || now < shown.not_before();
        if goes_together && !is_due && shown.names() == authority.names()? {
            return Ok((false, Some(authority)));
        }
        self.renew(&authority, now)?;
        Ok((true, Some(authority)))
    }

    /// Makes a new key and certificate and puts them in place.
    ///
    /// # Errors
    /// Why it could not.
    pub fn renew(&self, authority: &Authority, now: TimestampMs) -> Result<Certificate> {
        if now < authority.certificate().not_before() {
            bail!("the node's authority does not count yet: check the clock");
        }
        let subject = match authority.certificate().subject() {
            Some(subject) => subject.clone(),
            None => Subject::new("node", SubjectKind::Node, &self.node.to_string())?,
        };
        let key = Key::generate()?;
        let certificate = authority.issue_server(&key, &subject, &authority.names()?, SERVER_LIFE_MS, now)?;
        let mut chain = certificate.to_pem();
        if !authority.certificate().is_self_signed() {
            chain.push_str(&authority.certificate().to_pem());
        }
        home::replace(&self.places.key, key.to_pem().as_bytes(), 0o600)?;
        home::replace(&self.places.certificate, chain.as_bytes(), 0o644)?;
        Ok(certificate)
    }

    /// Looks once, and says in the report how it went.
    pub fn look(&self, report: &Mutex<ServerReport>, now: TimestampMs) -> bool {
        let result = self.renew_if_due(now);
        let (life, result) = match self.shown() {
            Ok(shown) => (Some((shown.not_before(), shown.not_after())), result),
            Err(error) => (None, result.and(Err(error))),
        };
        let mut report = report.lock();
        report.life = life;
        match result {
            Ok((renewed, authority)) => {
                let life =
                    |authority: Authority| (authority.certificate().not_before(), authority.certificate().not_after());
                report.authority = authority.map(life);
                report.failure = None;
                report.renewals += u64::from(renewed);
                if renewed {
                    tracing::info!("the server certificate was renewed");
                }
                renewed
            }
            Err(error) => {
                let text = format!("{error:#}");
                if report.failure.as_ref() != Some(&text) {
                    tracing::warn!(error = text, "the server certificate could not be renewed");
                }
                report.failure = Some(text);
                report.failures += 1;
                false
            }
        }
    }

    /// Looks again and again; connections that come after a renewal see the new certificate.
    pub async fn keep(self, report: SharedReport, reloader: TlsReloader) {
        let own = Arc::new(self);
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            let (looks, shared) = (Arc::clone(&own), Arc::clone(&report));
            let renewed = tokio::task::spawn_blocking(move || looks.look(&shared, wall())).await.unwrap_or(false);
            if renewed && let Err(error) = reloader.reload() {
                tracing::warn!(%error, "the renewed server certificate cannot be used");
            }
        }
    }
}

impl ServerReport {
    /// What is not as it should be; `None` when all is well.
    #[must_use]
    pub fn condition(&self, now: TimestampMs, since_ms: u64) -> Option<Condition> {
        let (from, until) = match (self.life, &self.failure) {
            (Some(life), _) => life,
            (None, Some(failure)) => return Some(unreadable(failure, since_ms)),
            (None, None) => return None,
        };
        let days = |until: TimestampMs| until.0.saturating_sub(now.0) / DAY_MS;
        let words = |code: &str, reason: [String; 2], mend: [&str; 2]| {
            let ([reason_en, reason_zh], [mend_en, mend_zh]) = (reason, mend);
            let (mend_en, mend_zh) = (mend_en.into(), mend_zh.into());
            let (state, code, missing) = (ConditionState::Ok, code.into(), Vec::new());
            Some(Condition { state, code, reason_en, reason_zh, mend_en, mend_zh, missing, since_ms })
        };
        if now < from {
            let reason = [
                "The API's certificate does not count yet: clients refuse it.",
                "接口证书尚未生效，客户端将拒绝连接。",
            ];
            let mend = [
                "Set the clock of this machine; if it is right, put another certificate in place.",
                "请校准本机时钟；若时钟无误，请更换证书。",
            ];
            return words("tls.not_yet", reason.map(Into::into), mend);
        }
        let replace = [
            "Put a new certificate and key into the files that api.certificate and api.key name; no restart is needed.",
            "请将新的证书与密钥放入 api.certificate 与 api.key 所指文件，无需重启。",
        ];
        if now > until {
            let reason =
                ["The API's certificate has expired: clients refuse it.", "接口证书已过期，客户端将拒绝连接。"];
            return words("tls.expired", reason.map(Into::into), replace);
        }
        if let Some(failure) = &self.failure {
            let reason = [
                format!("The API's certificate cannot be renewed, it ends in {} days: {failure}", days(until)),
                format!("接口证书无法自动续期，剩余 {} 天：{failure}", days(until)),
            ];
            let mend = ["Mend the cause named; the node tries again by itself.", "请排除所述原因，节点将自动重试。"];
            return words("tls.renewal_failed", reason, mend);
        }
        match self.authority {
            Some((from, ends)) if is_near(from, ends, now) => {
                let reason = [
                    format!("The authority that renews the API's certificate ends in {} days.", days(ends)),
                    format!("为接口证书续期的节点证书机构将在 {} 天后到期。", days(ends)),
                ];
                let mend = [
                    "Have it renewed: vouch cert apply at the node, vouch cert renew or issue by the member's authority, vouch cert install at the node.",
                    "请续期：在节点运行 vouch cert apply，由成员证书机构 vouch cert renew 或 issue，再在节点运行 vouch cert install。",
                ];
                words("tls.authority_ends", reason, mend)
            }
            None if is_near(from, until, now) => {
                let reason = [
                    format!("The API's certificate ends in {} days and is none that the node renews.", days(until)),
                    format!("接口证书将在 {} 天后到期，且不由本节点自动续期。", days(until)),
                ];
                words("tls.ends_soon", reason, replace)
            }
            _ => None,
        }
    }
}

fn unreadable(failure: &str, since_ms: u64) -> Condition {
    Condition {
        state: ConditionState::Ok,
        code: "tls.unreadable".into(),
        reason_en: format!("The API's certificate cannot be read, and nobody sees when it ends: {failure}"),
        reason_zh: format!("无法读取接口证书，其到期时间未知：{failure}"),
        mend_en: "Mend the file that api.certificate names; the node looks again by itself.".into(),
        mend_zh: "请修复 api.certificate 所指文件，节点将自动重新读取。".into(),
        missing: Vec::new(),
        since_ms,
    }
}

/// In the last sixth of its life, at most 60 days before the end.
fn is_near(from: TimestampMs, until: TimestampMs, now: TimestampMs) -> bool {
    let before = (until.0.saturating_sub(from.0) / 6).min(60 * DAY_MS);
    now.0 > until.0.saturating_sub(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> (tempfile::TempDir, ServerCertificate) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("tls")).unwrap();
        let places = Places::of(folder.path(), &ApiSection::default());
        let node = NodeId([5; 32]);
        create(&places, node, &["localhost".into(), "127.0.0.1".into()], None).unwrap();
        let key = places.open_key(None).unwrap();
        (folder, ServerCertificate { places, key, node })
    }

    fn later(days: u64) -> TimestampMs {
        TimestampMs(wall().0 + days * DAY_MS)
    }

    #[test]
    fn it_is_renewed_when_two_thirds_are_over_and_not_before() {
        let (_folder, own) = made();
        let first = own.shown().unwrap();
        assert_eq!(first.names().len(), 2);
        assert!(!own.renew_if_due(later(59)).unwrap().0);
        assert!(own.renew_if_due(later(61)).unwrap().0);
        let second = own.shown().unwrap();
        assert_ne!((first.public(), first.serial()), (second.public(), second.serial()));
        assert!(second.not_after() > first.not_after());
        assert!(!own.renew_if_due(later(61)).unwrap().0);
        let root = Certificate::read(&fs::read(&own.places.root).unwrap()).unwrap();
        assert!(second.is_signed_by(&root), "clients go on trusting what they trusted");
    }

    #[test]
    fn a_torn_pair_is_made_anew_and_a_stranger_is_left_alone() {
        let (_folder, own) = made();
        fs::write(&own.places.key, Key::generate().unwrap().to_pem().as_bytes()).unwrap();
        assert!(own.renew_if_due(wall()).unwrap().0, "key and certificate do not go together");
        let (_other_folder, other) = made();
        for (from, to) in [(&other.places.key, &own.places.key), (&other.places.certificate, &own.places.certificate)] {
            fs::copy(from, to).unwrap();
        }
        let before = fs::read(&own.places.certificate).unwrap();
        let report = Mutex::new(ServerReport::default());
        assert!(!own.look(&report, later(80)));
        assert_eq!(fs::read(&own.places.certificate).unwrap(), before, "it comes from elsewhere");
        let report = report.into_inner();
        assert_eq!(report.condition(later(20), 3), None);
        assert_eq!(report.condition(later(80), 3).unwrap().code, "tls.ends_soon");
        assert_eq!(report.condition(later(91), 3).unwrap().code, "tls.expired");
    }

    #[test]
    fn a_clock_that_was_wrong_leaves_no_certificate_that_does_not_count() {
        let (_folder, own) = made();
        let report = Mutex::new(ServerReport::default());
        assert!(own.look(&report, later(400)), "the clock runs ahead by a year");
        let ahead = own.shown().unwrap();
        assert!(ahead.not_before() > wall());
        assert!(own.look(&report, wall()), "it is right again");
        assert!(own.shown().unwrap().not_before() < wall());
        assert_eq!(report.lock().condition(wall(), 0), None);
        // Before the authority itself was made, nothing it signs counts.
        let early = TimestampMs(wall().0 - 2 * DAY_MS);
        assert!(!own.look(&report, early));
        assert_eq!(report.lock().failures, 1);
        assert_eq!(report.lock().condition(early, 0).unwrap().code, "tls.not_yet");
        assert!(report.lock().condition(wall(), 0).unwrap().reason_en.contains("check the clock"));
        assert!(!own.look(&report, wall()));
        assert_eq!(report.lock().condition(wall(), 0), None);
    }

    #[test]
    fn failures_are_told_and_forgotten() {
        let (_folder, own) = made();
        let report = Mutex::new(ServerReport::default());
        let good = fs::read(&own.places.authority).unwrap();
        fs::write(&own.places.authority, "nothing").unwrap();
        assert!(!own.look(&report, later(61)));
        let told = report.lock().clone();
        assert_eq!(told.failures, 1);
        assert_eq!(told.condition(later(61), 0).unwrap().code, "tls.renewal_failed");
        let shown = fs::read(&own.places.certificate).unwrap();
        fs::write(&own.places.certificate, "nothing").unwrap();
        assert!(!own.look(&report, later(61)));
        assert_eq!(report.lock().condition(later(61), 0).unwrap().code, "tls.unreadable");
        let stranger = ServerCertificate { key: None, places: own.places.clone(), node: own.node };
        let other = Mutex::new(ServerReport::default());
        assert!(!stranger.look(&other, later(61)));
        assert_eq!(other.lock().condition(later(61), 0).unwrap().code, "tls.unreadable", "also one from elsewhere");
        fs::write(&own.places.certificate, shown).unwrap();
        fs::write(&own.places.authority, good).unwrap();
        assert!(own.look(&report, later(61)));
        let told = report.lock().clone();
        assert_eq!((told.renewals, told.condition(later(61), 0)), (1, None));
        // Ten years on, nobody has renewed the authority itself.
        assert!(own.look(&report, later(3_600)));
        assert_eq!(report.lock().condition(later(3_600), 0).unwrap().code, "tls.authority_ends");
        let shown = own.shown().unwrap();
        assert!(!own.look(&report, later(3_645)), "it cannot get longer than its authority");
        assert_eq!(own.shown().unwrap(), shown);
    }

    #[test]
    fn keys_are_encrypted_with_the_nodes_password() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("tls")).unwrap();
        let places = Places::of(folder.path(), &ApiSection::default());
        let password = Password::new("long enough");
        create(&places, NodeId([5; 32]), &["localhost".into()], Some(&password)).unwrap();
        assert!(places.open_key(None).is_err());
        assert!(places.open_key(Some(&password)).unwrap().is_some());
        let refused = create(&places, NodeId([5; 32]), &["not a host".into()], None);
        assert!(refused.is_err());
    }
}
