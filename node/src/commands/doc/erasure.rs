//! `vouch doc erasure-status`: an erasure, member by member.

use std::process::ExitCode;

use vouch_types::{
    api::{ErasureProgressView, Language},
    document::{DocumentId, ErasureStanding, ErasureState, MemberErasure},
};

use super::super::{
    GlobalArgs,
    output::{EXIT_CONDITION, emit, table, time_text},
    text::Text,
};

/// Shows it; exit code 6 when a member let the deadline pass.
///
/// # Errors
/// `vault.unknown_document` when the chain knows no such document.
pub(super) async fn status(id: DocumentId, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let progress = global.client()?.erasure_progress(id).await?;
    emit(global, &progress, |language| lines(&progress, language))?;
    let is_overdue = progress.members.iter().any(|member| member.standing == ErasureStanding::Overdue);
    Ok(if is_overdue { ExitCode::from(EXIT_CONDITION) } else { ExitCode::SUCCESS })
}

fn lines(progress: &ErasureProgressView, language: Language) -> Vec<String> {
    let label = |text: Text| text.in_language(language);
    let mut rows = vec![
        (Text::Document, progress.document.to_string()),
        (Text::Erasure, format!("{:?}", progress.state)),
        (Text::Height, progress.height.to_string()),
    ];
    if let Some(record) = &progress.record {
        rows.push((Text::Reason, record.code.clone()));
        match record.ordered {
            Some(_) => rows.push((Text::Deadline, time_text(record.deadline_ms))),
            None if progress.state == ErasureState::Restricted => {
                rows.push((Text::NotBefore, time_text(record.earliest_ms)));
            }
            None => {}
        }
    }
    if progress.disputes > 0 {
        rows.push((Text::Disputes, progress.disputes.to_string()));
    }
    let mut lines = table(language, &rows);
    lines.extend(
        progress.holds.iter().map(|hold| format!("{}: {} ({})", label(Text::LegalHold), hold.member, hold.code)),
    );
    lines.extend(progress.members.iter().map(|member| member_line(member, language)));
    lines
}

fn member_line(of: &MemberErasure, language: Language) -> String {
    let label = |text: Text| text.in_language(language);
    let standing = match of.standing {
        ErasureStanding::Kept => label(Text::NotAskedToErase).to_owned(),
        ErasureStanding::Held => label(Text::KeptFromErasure).to_owned(),
        ErasureStanding::Outstanding => label(Text::ErasureOutstanding).to_owned(),
        ErasureStanding::Overdue => label(Text::ErasureOverdue).to_owned(),
        ErasureStanding::Attested => {
            let text = if of.late { Text::ErasureAttestedLate } else { Text::ErasureAttested };
            let at =
                of.attested.map(|at| format!(" {} {}, {}", label(Text::Height), at.height, time_text(at.time_ms.0)));
            format!("{}{}", label(text), at.unwrap_or_default())
        }
    };
    let receipt = of.receipt.map(|receipt| format!("  {receipt}")).unwrap_or_default();
    format!("  {:<24}  {standing}{receipt}", of.member)
}
