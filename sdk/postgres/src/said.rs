use std::error::Error as _;

use tokio_postgres::Error;

/// Classes of errors whose texts say nothing of what the tables hold.
const HARMLESS: &[&str] = &["08", "25", "28", "3D", "3F", "42", "53", "55", "57"];
/// Classes of errors that are of the server or the way to it, and not of what was asked.
const SERVER: &[&str] = &["08", "28", "3D", "53", "57"];

/// An error of a server, without anything that may stand in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// For people.
    pub text: String,
    /// The server's code (SQLSTATE); empty when it said nothing.
    pub state: String,
    /// Whether the server or the way to it is at fault, rather than what was asked.
    pub is_of_server: bool,
}

/// What an error says.
#[must_use]
pub fn said(error: &Error) -> Said {
    let state = error.code().map_or("", |state| state.code());
    let class = state.get(..2).unwrap_or_default();
    let text = match error.as_db_error() {
        Some(said) if HARMLESS.contains(&class) => format!("{} (SQLSTATE {state})", said.message()),
        // The text may hold what stands in a row.
        Some(_) => format!("the server refuses (SQLSTATE {state}); its log has the reason"),
        None => chain(error),
    };
    let is_of_server = error.as_db_error().is_none() || SERVER.contains(&class);
    Said { text, state: state.to_owned(), is_of_server }
}

/// An error with what caused it.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        next = cause.source();
    }
    text
}
