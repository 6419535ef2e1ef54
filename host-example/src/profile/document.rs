//! A profile file as text, as a value, and as places in the text.
//!
//! In: the file. Out: a [`Document`], which knows the place of every JSON pointer, so that
//! the check can say line and column. Comments and trailing commas are allowed.
//! Nothing here knows what a profile is, except that only the places of `auth` are ours.

use std::fmt;
use std::ops::Range;

use serde_json::Value;

use super::parse::{Found, parse};
use super::places::{StringPlace, strings};
use super::problem::{Problem, Report};
use super::schema::ProviderSchema;
use super::secret;

/// The parsed text of a profile file, with the place of each value.
pub struct Document {
    /// How reports call the file.
    pub name: String,
    pub(super) text: String,
    /// The whole document without comments. A duplicate key has its last value.
    pub value: Value,
    pub(super) found: Found,
}

impl fmt::Debug for Document {
    // The text may hold a key that somebody pasted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Document {
    /// Parses `text`, which may have comments, trailing commas, a byte order mark and CRLF.
    ///
    /// - In: at most 1 MiB, at most 64 levels deep. `name` is how reports call the file.
    /// - Errors: a report with one problem, the first place that is not JSON. A key that occurs
    ///   twice is not an error yet: the check reports all of them.
    pub fn parse(name: &str, text: String) -> Result<Document, Report> {
        // Columns are counted without the mark, as editors do.
        let text = match text.strip_prefix('\u{feff}') {
            Some(rest) => rest.to_owned(),
            None => text,
        };
        match parse(&text) {
            Ok((value, found)) => Ok(Document {
                name: name.to_owned(),
                text,
                value,
                found,
            }),
            Err(broken) => {
                let problem = problem_at(&text, "", broken.range, broken.message, broken.hint);
                let masked = secret::masked_text(&text, &[], &[]);
                Err(Report::new(name, masked, vec![problem]))
            }
        }
    }

    /// The text without a byte order mark.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The range of the value at `pointer`, in bytes of the text.
    pub fn value_range(&self, pointer: &str) -> Option<Range<usize>> {
        Some(self.found.places.get(pointer)?.range.clone())
    }

    /// The range of the key of the value at `pointer`, with its quotes; none for array elements.
    pub fn key_range(&self, pointer: &str) -> Option<Range<usize>> {
        self.found.places.get(pointer)?.key_range.clone()
    }

    /// Line and column of a byte of the text, both counted from 1, columns in characters.
    pub fn line_column(&self, offset: usize) -> (usize, usize) {
        line_column(&self.text, offset)
    }

    /// Puts problems and the text together; keys in the text are hidden.
    pub fn report(&self, providers: &[ProviderSchema], problems: Vec<Problem>) -> Report {
        Report::new(
            &self.name,
            secret::masked(&self.text, self.strings(), &secret::prefixes(providers)),
            problems,
        )
    }

    /// A problem of the value at `pointer`, or of its key if `at_key`.
    pub fn problem(&self, pointer: &str, at_key: bool, message: String, hint: Option<String>) -> Problem {
        let key_range = if at_key { self.key_range(pointer) } else { None };
        let range = key_range.or_else(|| self.value_range(pointer)).unwrap_or(0..0);
        problem_at(&self.text, pointer, range, message, hint)
    }

    /// Every string of the text, keys included, in no particular order.
    pub(super) fn strings(&self) -> impl Iterator<Item = StringPlace<'_>> {
        strings(&self.found.places, &self.value)
    }
}

fn line_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
    (line, before[line_start..].chars().count() + 1)
}

fn problem_at(text: &str, pointer: &str, range: Range<usize>, message: String, hint: Option<String>) -> Problem {
    let (line, column) = line_column(text, range.start);
    Problem {
        pointer: pointer.to_owned(),
        range,
        line,
        column,
        message,
        hint,
        ..Problem::default()
    }
}
