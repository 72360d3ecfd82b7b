//! Why something is at fault, in words for people: each reason has a stable code and the values that belong into its words, so that
//! a page says it in its reader's language. Never a value of a row.
//!
//! A reason has parts, which follow one another as they are: what is wrong, where in the document, what follows from it.

use std::fmt;

use serde::Serialize;

/// A kind of reason, or of a part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Stable.
    pub code: &'static str,
    /// In English, with the values at `{0}`, `{1}` and so on.
    pub english: &'static str,
}

impl Known {
    /// With its values.
    #[must_use]
    pub fn with(self, values: &[&dyn fmt::Display]) -> Reason {
        let values = values.iter().map(ToString::to_string).collect();
        Reason(vec![Part { code: self.code, values }])
    }
}

/// A part of a reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Stable; `said` for what another program says.
    pub code: &'static str,
    /// What belongs into its words.
    pub values: Vec<String>,
}

/// A reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason(Vec<Part>);

impl Reason {
    /// Of parts that were kept. `None` when a code is none.
    pub(crate) fn kept(parts: Vec<(String, Vec<String>)>) -> Option<Self> {
        let part = |(code, values): (String, _)| Some(Part { code: find(&code)?.code, values });
        parts.into_iter().map(part).collect::<Option<_>>().map(Self)
    }

    /// Its parts.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    /// The same with more behind it.
    #[must_use]
    pub(crate) fn and(mut self, more: impl Into<Self>) -> Self {
        self.0.extend(more.into().0);
        self
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| {
            let template = find(part.code).map_or(part.code, |known| known.english);
            let mut pieces = template.split('{');
            f.write_str(pieces.next().unwrap_or_default())?;
            pieces.try_for_each(|piece| {
                let (number, rest) = piece.split_once('}').unwrap_or(("", piece));
                let value = number.parse().ok().and_then(|number: usize| part.values.get(number));
                f.write_str(value.map_or("", String::as_str))?;
                f.write_str(rest)
            })
        })
    }
}

impl From<Known> for Reason {
    fn from(known: Known) -> Self {
        known.with(&[])
    }
}

impl From<String> for Reason {
    fn from(text: String) -> Self {
        Self(vec![Part { code: SAID.code, values: vec![text] }])
    }
}

impl From<&str> for Reason {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

fn find(code: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.code == code)
}

macro_rules! reasons {
    ($($name:ident $code:literal $english:literal;)*) => {
        $(pub(crate) const $name: Known = Known { code: $code, english: $english };)*

        /// All kinds.
        pub const KNOWN: &[Known] = &[$($name),*];
    };
}

reasons! {
    SAID "said" "{0}";
    IN_FIELD "in.field" " (field {0})";
    IN_CELL "in.cell" " (field {0}, cell {1})";

    NUMBER "number.none" "this is no number";
    EXPONENT "number.exponent" "an exponent that is no number";
    DIGITS "number.digits" "a number of more than {0} digits";
    THOUSANDS "number.thousands" "separators that do not part thousands";
    FRACTION "number.fraction" "a fraction where a whole number is expected";
    BEYOND "number.beyond" "a whole number beyond {0}";
    BOOLEAN "boolean.neither" "neither yes nor no; name the words in the mapping's codes";
    CODE "code.form" "this is no code of letters, digits and . _ : -; name what it means in the mapping's codes";
    WORD "code.unknown" "a word that the mapping's codes do not have";
    DAY "date.form" "this is no day in a form that is known; name the form in the mapping";
    MOMENT "date.moment" "a moment is on another day elsewhere; name in the mapping the offset in which days are meant";
    NO_OFFSET "time.no_offset" "a time without an offset; name the offset in the mapping";
    OFFSET "time.offset" "an offset is written +08:00 or Z";
    TIME "time.form" "this is no time in a form that is known; name the form in the mapping";

    LONG_TEXT "text.long" "a text of more than {0} KiB";
    FORMULA "text.formula" "the text begins like a formula of a spreadsheet; let it with formula = true if it is meant";
    ZERO "text.zero" "a zero character";
    SEVERAL "text.several" "several values where one is expected";
    ROWS_SPLIT "rows.split" "rows in one text; name in the mapping what parts them";
    ROWS_MANY "rows.many" "more than {0} rows";
    ROWS_CELLS "rows.cells" "a row of {0} cells where {1} are named";
    FILE_HELD "file.held" "files of rows are sent by vouch doc uplink only";

    NO_NUMBER "required.number" "the business number is empty";
    NO_MARK "required.watermark" "the watermark is empty";
    EMPTY_FIELD "required.field" "the field {0} must not be empty";
    EMPTY_CELL "required.cell" "it must not be empty, unless it is optional";
    EACH "required.each" "every row of a document names one here";
    PARTIES "required.parties" "{0} parties in the role {1}, which has {2} to {3}";
    PARTIES_MANY "required.parties_many" "more than {0} parties in the role {1}, which has {2} to {3}";
    REFERENCES "required.references" "{0} references {1}, of which there are {2} to {3}";
    REFERENCES_MANY "required.references_many" "more than {0} references {1}, of which there are {2} to {3}";
    SENSITIVE "sensitive.clear" "the field {0} stands in clear and holds sensitive text (rule {1})";

    NO_ROWS "group.none" "a document of no rows";
    DIFFERS "group.differs" "it differs from {0}; all rows of a document say the same here";
    NO_LINE "group.no_line" "the row has nothing for a line";
    GROUP_LONG "group.long" "more than {0} rows or {1} MiB of one document";
    NOBODYS "group.nobodys" "; so nobody can tell which document lacks this row: mend it or take it out";
    SAME_NUMBER "duplicate.number" "another record has the same number";
    SAME_AS "duplicate.of" "record {0} of {1} has the same number";
    SAME_MANY "duplicate.many" "more than {0} rows have a number that stood before; number them by other columns";

    CHANGED "source.changed" "the file was changed while it was worked with; nothing of it is sent from here on: run again";
    UNREAD "source.unread" "this kind of source is not read here; vouch doc uplink reads it";
    WORKBOOK "source.workbook" "the workbook is encrypted, or in the old form XLS; save it as XLSX without a password";
    BOMB "source.bomb" "it unpacks to far more than a file of its size should";
    NOTHING "source.empty" "there is nothing in it";
    NO_TEXT "source.no_text" "there is a zero byte at the beginning: this is no text";
    ENCODING "source.encoding" "bytes that are no characters in the encoding the file is read in";
    LONG_RECORD "source.long_record" "a record of more than {0} MiB, or a quote or element that is not closed";
    LONG_ROW "source.long_row" "a row of more than {0} cells or {1} MiB";
    LONG_VALUE "source.long_value" "a value of more than {0} bytes";
    LONG_RUN "source.long_run" "more than {0} GiB in one run; read it in parts";
    DEEP "source.deep" "nested deeper than {0} levels";
    RAGGED "head.ragged" "{0} cells where the head line has {1}";
    NO_NAME "head.no_name" "column {0} has no name";
    SAME_NAME "head.same_name" "columns {0} and {1} have the same name";
    NO_HEAD "head.none" "there is no head line";

    SHEET_NONE "sheet.none" "there is no sheet in it";
    SHEET_UNKNOWN "sheet.unknown" "there is no sheet {0}; there are: {1}";
    SHEET_COLUMNS "sheet.columns" "more than {0} columns";
    SHEET_OUTSIDE "sheet.outside" "a cell outside the columns of the head line";
    SHEET_NUMBER "sheet.number" "a number that is none";
    SHEET_DIGITS "sheet.digits" "a number of more than {0} digits, of which a workbook loses some; make the column text";
    SHEET_DAY "sheet.day" "a day that a workbook does not have";
    SHEET_ERROR "sheet.error" "the cell shows the error {0}";

    JSON_ARRAY "json.no_array" "there is no array of records at the path named";
    JSON_KEY "json.no_key" "there is no key {0}";
    JSON_EXPECTED "json.expected" "expected '{0}'";
    JSON_OPEN "json.open" "a text is not closed";
    JSON_TEXT "json.text" "a text: {0}";
    JSON_NUMBER "json.number" "a number of more than {0} characters";
    JSON_NONE "json.none" "this is no value of JSON";
    JSON_ENDS "json.ends" "the file ends within a value";
    JSON_NO_KEY "json.key" "expected a key";
    JSON_KEYS "json.keys" "an object of more than {0} keys";
    JSON_TWICE "json.twice" "the key {0} stands twice";
    JSON_BEHIND_ARRAY "json.behind_array" "there is something behind the end of the array";
    JSON_COMMA "json.comma" "expected a comma or the end of the array";
    JSON_ARRAY_ENDS "json.array_ends" "the file ends within the array";
    JSON_OBJECT "json.object" "a record is an object";
    JSON_BEHIND "json.behind" "there is something behind the value";
    XML_DOCTYPE "xml.doctype" "a document type, which may define entities without bound, is not read";
    XML_MANY "xml.many" "an element with more than {0} attributes and elements of other names";
    XML_ENTITY "xml.entity" "an entity that XML does not know";
    XML_ENDS "xml.ends" "the file ends within an element";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_said_in_english_with_its_values() {
        let reason = ROWS_CELLS.with(&[&3, &"four"]).and(IN_CELL.with(&[&"lines", &"a {0}"]));
        assert_eq!(reason.to_string(), "a row of 3 cells where four are named (field lines, cell a {0})");
        let codes: Vec<_> = reason.parts().iter().map(|part| part.code).collect();
        assert_eq!(codes, ["rows.cells", "in.cell"]);
        assert_eq!(Reason::from("of {1} and }").to_string(), "of {1} and }");
        let kept = reason.parts().iter().map(|part| (part.code.to_owned(), part.values.clone())).collect();
        assert_eq!(Reason::kept(kept), Some(reason));
        assert_eq!(Reason::kept(vec![("none".into(), vec![])]), None);
    }

    #[test]
    fn codes_stand_for_one_reason_each_and_values_are_numbered() {
        for (index, known) in KNOWN.iter().enumerate() {
            assert_eq!(KNOWN.iter().position(|other| other.code == known.code), Some(index), "{}", known.code);
            let places = known.english.matches('{').count();
            assert!((0..places).all(|place| known.english.contains(&format!("{{{place}}}"))), "{}", known.code);
        }
    }
}
