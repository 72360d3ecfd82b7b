//! A query's `:after`, told from casts, texts, names and comments.

/// The query with something in place of every `:after`, and whether there is one.
pub(super) fn with_after(query: &str, replacement: &str) -> (String, bool) {
    const AFTER: &str = ":after";
    let (mut out, mut rest, mut found) = (String::with_capacity(query.len()), query, false);
    while let Some(first) = rest.chars().next() {
        let before = out.chars().next_back();
        let passed = match first {
            '\'' => quoted(rest, '\'', matches!(before, Some('e' | 'E'))),
            '"' => quoted(rest, '"', false),
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => comment(rest),
            '$' if !before.is_some_and(is_word) => dollars(rest).unwrap_or(1),
            ':' if rest.starts_with("::") => 2,
            ':' if rest.strip_prefix(AFTER).is_some_and(|rest| !rest.starts_with(is_word)) => {
                out.push_str(replacement);
                found = true;
                rest = rest.get(AFTER.len()..).unwrap_or_default();
                continue;
            }
            other => other.len_utf8(),
        };
        let (taken, left) = rest.split_at_checked(passed).unwrap_or((rest, ""));
        out.push_str(taken);
        rest = left;
    }
    (out, found)
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Length of a text or name in quotes; a quote within stands twice, or behind a backslash where that means something.
fn quoted(text: &str, quote: char, has_escapes: bool) -> usize {
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        if character == '\\' && has_escapes {
            characters.next();
        } else if character == quote {
            return at + 1;
        }
    }
    text.len()
}

/// Length of a comment; comments nest.
fn comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_u32, 0);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// Length of a text between `$tag$` and `$tag$`.
fn dollars(text: &str) -> Option<usize> {
    let end = text.get(1..)?.find('$')? + 2;
    let tag = text.get(..end)?;
    let name = tag.trim_matches('$');
    if !name.chars().all(is_word) || name.starts_with(|character: char| character.is_ascii_digit()) {
        return None;
    }
    Some(text.get(end..)?.find(tag).map_or(text.len(), |at| end + at + end))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_parameter_is_told_from_what_looks_like_it() {
        for (query, expected) in [
            ("SELECT 1 WHERE :after IS NULL OR id > :after", "SELECT 1 WHERE $1 IS NULL OR id > $1"),
            ("id>:after::bigint", "id>$1::bigint"),
            ("a::after, :afterwards", "a::after, :afterwards"),
            (
                "':after', \":after\", E'\\':after', 'it''s :after' :after",
                "':after', \":after\", E'\\':after', 'it''s :after' $1",
            ),
            ("-- :after\n:after /* :after /* :after */ :after */", "-- :after\n$1 /* :after /* :after */ :after */"),
            ("$$ :after $$ $x$ :after $$ :after $x$ :after $1", "$$ :after $$ $x$ :after $$ :after $x$ $1 $1"),
            ("日期 > :after", "日期 > $1"),
            ("':after", "':after"),
        ] {
            assert_eq!(with_after(query, "$1"), (expected.to_owned(), expected.contains("$1") && query != expected));
        }
    }

    proptest! {
        #[test]
        fn without_the_parameter_nothing_changes(query in "[ a:;'\"$*/\\-\\\\中E\n]{0,40}") {
            prop_assert_eq!(with_after(&query, "$1"), (query, false));
        }
    }
}
