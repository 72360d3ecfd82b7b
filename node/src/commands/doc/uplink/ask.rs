//! What a person decides before anything leaves: what becomes of changed rows, and that it is sent.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use vouch_uplink::{Fault, Plan, WhenChanged};

use super::{
    super::super::{GlobalArgs, text::Text},
    compare::Changes,
    refused,
};

/// What becomes of changed rows of each mapping, as far as option or mapping say it.
pub(super) fn planned(option: Option<WhenChanged>, plan: &Plan) -> Vec<Option<WhenChanged>> {
    plan.appliers.iter().map(|applier| option.or(applier.mapping.changed)).collect()
}

/// What becomes of them: where nothing says it and there are some, a person at a terminal does; else they are rejected.
///
/// # Errors
/// When the terminal cannot be read.
pub(super) fn settled(
    planned: &[Option<WhenChanged>],
    changes: &Changes,
    is_unasked: bool,
    global: &GlobalArgs,
) -> anyhow::Result<Vec<WhenChanged>> {
    let open = planned.iter().zip(&changes.by_map).filter(|(when, _)| when.is_none()).map(|(_, count)| count);
    let open: u64 = open.sum();
    let mut answer = WhenChanged::default();
    if open > 0 && !is_unasked && std::io::stdin().is_terminal() {
        let question = Text::UplinkAskChanged.in_language(global.language());
        answer = answered(&typed(&format!("{question} ({open}): "))?);
    }
    Ok(planned.iter().map(|when| when.unwrap_or(answer)).collect())
}

/// Anything but a whole word leaves everything as it is safest.
fn answered(text: &str) -> WhenChanged {
    match text.trim() {
        "version" => WhenChanged::Version,
        "skip" => WhenChanged::Skip,
        _ => WhenChanged::Reject,
    }
}

/// Has a person type how many documents leave.
///
/// # Errors
/// `uplink.unconfirmed`.
pub(super) fn confirm(leaving: u64, global: &GlobalArgs) -> anyhow::Result<()> {
    let unconfirmed = |reason: &str| refused(&Fault::new("uplink.unconfirmed", "standard input", reason));
    if !std::io::stdin().is_terminal() {
        return Err(unconfirmed("this is no terminal to confirm at"));
    }
    let answer = typed(&format!("{} ({leaving}): ", Text::UplinkConfirm.in_language(global.language())))?;
    if answer.trim() == leaving.to_string() { Ok(()) } else { Err(unconfirmed("another answer was typed")) }
}

fn typed(question: &str) -> anyhow::Result<String> {
    let mut out = std::io::stderr().lock();
    write!(out, "{question}")?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_word_makes_versions() {
        for (text, expected) in [
            ("version\n", WhenChanged::Version),
            (" skip ", WhenChanged::Skip),
            ("", WhenChanged::Reject),
            ("v\n", WhenChanged::Reject),
            ("reject\n", WhenChanged::Reject),
        ] {
            assert_eq!(answered(text), expected, "{text:?}");
        }
    }

    #[test]
    fn without_a_person_what_nothing_is_said_of_is_rejected() {
        let changes = Changes { by_map: vec![2, 3, 1], new: 4, ..Changes::default() };
        let planned = [Some(WhenChanged::Version), None, Some(WhenChanged::Skip)];
        let settled = settled(&planned, &changes, true, &GlobalArgs::default()).unwrap();
        assert_eq!(settled, [WhenChanged::Version, WhenChanged::Reject, WhenChanged::Skip]);
        assert_eq!(changes.leaving(&settled), 6);
    }
}
