//! What a person decides before anything leaves: what becomes of changed rows, and that it is sent.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use vouch_uplink::{Changes, Fault, WhenChanged};

use super::{
    super::super::{GlobalArgs, text::Text},
    refused,
};

/// What becomes of changed rows of each mapping, as far as option or mapping say it; where nobody is to be asked, all of it.
pub(super) fn planned(
    option: Option<WhenChanged>,
    is_unasked: bool,
    mappings: impl Iterator<Item = Option<WhenChanged>>,
) -> Vec<Option<WhenChanged>> {
    let unasked = is_unasked.then(WhenChanged::default);
    mappings.map(|mapping| option.or(mapping).or(unasked)).collect()
}

/// What becomes of them: where nothing says it and there are some, a person at a terminal does; else they are rejected.
///
/// # Errors
/// When the terminal cannot be read.
pub(super) fn settled(
    planned: &[Option<WhenChanged>],
    changes: &Changes,
    global: &GlobalArgs,
) -> anyhow::Result<Vec<WhenChanged>> {
    let open = planned.iter().zip(&changes.by_map).filter(|(when, _)| when.is_none()).map(|(_, count)| count);
    let open: u64 = open.sum();
    let mut answer = WhenChanged::default();
    if open > 0 && std::io::stdin().is_terminal() {
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
    use vouch_types::api::Language;

    use super::{super::show, *};

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
        let changes = Changes { by_map: vec![2, 3, 1], changed: 6, new: 4, ..Changes::default() };
        let mappings = [Some(WhenChanged::Version), None, Some(WhenChanged::Skip)];
        let unasked = planned(None, true, mappings.into_iter());
        let settled = settled(&unasked, &changes, &GlobalArgs::default()).unwrap();
        assert_eq!(settled, [WhenChanged::Version, WhenChanged::Reject, WhenChanged::Skip]);
        assert_eq!(changes.leaving(&settled), 6);
        assert_eq!(planned(Some(WhenChanged::Reject), false, mappings.into_iter()), [Some(WhenChanged::Reject); 3]);
    }

    /// The summary speaks of a question only where there may be one.
    #[test]
    fn a_summary_says_what_becomes_of_changed_rows() {
        let changes = Changes { by_map: vec![2], changed: 2, new: 4, ..Changes::default() };
        let told = |is_unasked, language| {
            show::changes(&changes, &planned(None, is_unasked, [None].into_iter()), language).join("\n")
        };
        for language in [Language::English, Language::Chinese] {
            let asked = Text::UplinkToAsk.in_language(language);
            assert!(told(false, language).contains(asked) && !told(true, language).contains(asked));
            let rejected = format!("(2 {})", Text::UplinkToRejected.in_language(language));
            assert!(told(true, language).contains(&rejected), "{}", told(true, language));
        }
    }
}
