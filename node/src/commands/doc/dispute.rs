//! `vouch doc dispute`. Texts of claims, answers and rulings stay with who wrote them; the chain gets a salted commitment.

use std::{
    fs,
    io::{ErrorKind, Read as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::Subcommand;
use vouch_types::{
    Hash32,
    document::{DocumentId, Effect},
    hash::domain_hash,
};

use super::{
    super::{
        GlobalArgs,
        tx::{SigningArgs, sign_and_submit},
    },
    slots, version_of,
};

/// Most bytes of a text.
const TEXT_BYTES_MAX: u64 = 16 << 20;

/// Disputes.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Open a dispute about a version before an arbiter
    Open {
        /// The document
        id: DocumentId,
        /// Its version; the newest if left out
        #[arg(long)]
        version: Option<u32>,
        /// The member that decides, one of those that the members appointed
        #[arg(long, value_name = "MEMBER")]
        arbiter: String,
        /// What it is about: a code
        #[arg(long)]
        code: String,
        /// The claim, a file; it stays here. Its salt is kept beside it as FILE.salt
        #[arg(long, value_name = "FILE")]
        text: PathBuf,
        #[command(flatten)]
        signing: SigningArgs,
    },
    /// Answer a dispute
    Answer {
        /// Its number
        dispute: u64,
        /// The answer, a file; it stays here. Its salt is kept beside it as FILE.salt
        #[arg(long, value_name = "FILE")]
        text: PathBuf,
        #[command(flatten)]
        signing: SigningArgs,
    },
    /// Open fields that your member may read to the arbiter, and to nobody else
    Evidence {
        /// The dispute's number
        dispute: u64,
        /// The document
        id: DocumentId,
        /// Its version; the newest if left out
        #[arg(long)]
        version: Option<u32>,
        /// A field; given once for each
        #[arg(long = "field", value_name = "NAME", required = true)]
        fields: Vec<String>,
        #[command(flatten)]
        signing: SigningArgs,
    },
    /// Rule as the arbiter
    Rule {
        /// The dispute's number
        dispute: u64,
        /// What becomes of the version
        #[arg(value_parser = ["upheld", "corrected", "annulled"])]
        effect: String,
        /// Why: a code
        #[arg(long)]
        code: String,
        /// The ruling, a file; it stays here. Its salt is kept beside it as FILE.salt
        #[arg(long, value_name = "FILE")]
        text: PathBuf,
        #[command(flatten)]
        signing: SigningArgs,
    },
    /// Take back a dispute your member opened
    Withdraw {
        /// Its number
        dispute: u64,
        #[command(flatten)]
        signing: SigningArgs,
    },
}

/// Runs the command.
///
/// # Errors
/// As it went wrong.
pub(super) async fn run(command: Command, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let client = global.client()?;
    let builder = client.transaction_builder().await?;
    let (builder, signing) = match command {
        Command::Open { id, version, arbiter, code, text, signing } => {
            let version = version_of(&client, id, version).await?;
            (builder.open_dispute(id, version, &arbiter, &code, commitment(&text)?), signing)
        }
        Command::Answer { dispute, text, signing } => (builder.answer_dispute(dispute, commitment(&text)?), signing),
        Command::Evidence { dispute, id, version, fields, signing } => {
            let version = version_of(&client, id, version).await?;
            let fields = slots(&client, id, version, &fields).await?;
            (builder.add_evidence(dispute, id, version, fields), signing)
        }
        Command::Rule { dispute, effect, code, text, signing } => {
            let effect = match effect.as_str() {
                "upheld" => Effect::Upheld,
                "corrected" => Effect::Corrected,
                _ => Effect::Annulled,
            };
            (builder.rule_dispute(dispute, effect, &code, commitment(&text)?), signing)
        }
        Command::Withdraw { dispute, signing } => (builder.withdraw_dispute(dispute), signing),
    };
    sign_and_submit(&client, builder, &signing, global).await
}

/// `BLAKE3("vouch/statement/1" ‖ 0x00 ‖ salt ‖ text)`: nobody can test a guess, and who has both can show what was said.
fn commitment(path: &Path) -> anyhow::Result<Hash32> {
    let read = |path: &Path| {
        let mut bytes = Vec::new();
        fs::File::open(path)?.take(TEXT_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(bytes)
    };
    let text = read(path).with_context(|| path.display().to_string())?;
    let beside = PathBuf::from(format!("{}.salt", path.display()));
    let fresh: [u8; 32] = rand::random();
    let salt = match vouch_files::write_new(&beside, hex::encode(fresh).as_bytes()) {
        Ok(()) => fresh,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let kept = read(&beside).with_context(|| beside.display().to_string())?;
            let mut salt = [0; 32];
            hex::decode_to_slice(kept.trim_ascii(), &mut salt)
                .map_err(|error| anyhow::anyhow!("{} is no salt: {error}", beside.display()))?;
            salt
        }
        Err(error) => return Err(error).with_context(|| beside.display().to_string()),
    };
    Ok(domain_hash("vouch/statement/1", &[&salt, &text]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_has_one_commitment_and_another_file_another() {
        let folder = tempfile::tempdir().expect("folder");
        let (one, other) = (folder.path().join("claim.txt"), folder.path().join("copy.txt"));
        fs::write(&one, "two days were not paid").expect("writes");
        fs::write(&other, "two days were not paid").expect("writes");
        let first = commitment(&one).expect("first");
        assert_eq!(commitment(&one).expect("again"), first);
        assert_ne!(commitment(&other).expect("other"), first);
        fs::write(&one, "three days were not paid").expect("writes");
        assert_ne!(commitment(&one).expect("changed"), first);
    }
}
