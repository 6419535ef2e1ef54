//! Changes one option in the profile file, unless that would break it.

use serde_json::Value;

use super::atomic::replace;
use super::reading::Setup;
use crate::profile::{Document, LoadError, edited, place_of, read};
use crate::terminal::{Exit, Failure, clean_line};

/// What a change did.
pub struct Changed {
    /// The pointer in the file.
    pub pointer: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
    /// The warnings of the file as it is now, for people; empty without any.
    pub warnings: String,
}

impl Setup {
    /// Sets an option of the selected profile in its file, or removes it. Comments and formatting stay.
    ///
    /// - In: `option`, as [`place_of`] reads it.
    /// - Errors: there is no file or no such profile; the file would have problems, which are all named. Then nothing
    ///   is written.
    pub async fn change(&self, option: &str, value: Option<&Value>) -> Result<Changed, Failure> {
        let path = &self.places.config;
        let document = self.document(path)?;
        let name = &self.places.profile;
        if document.value["auth"]["profiles"].get(name).is_none() {
            return Err(Failure::new(
                Exit::Profile,
                format!("profile file `{}` has no profile `{name}`", document.name),
            )
            .with_hint("choose another one with `--profile`"));
        }
        let pointer = place_of(&document, name, option);
        let text = edited(&document, &pointer, value)
            .map_err(|reason| Failure::usage(format!("cannot set `{}`: {reason}", clean_line(option))))?;
        let shown = format!("{} with this change", document.name);
        let after = Document::parse(&shown, text.clone()).map_err(LoadError::Report)?;
        let report = self.report(&after).await?;
        if report.has_errors() {
            return Err(Failure::from(LoadError::Report(report)).with_hint(format!(
                "`{}` is unchanged; correct the value or the file",
                document.name
            )));
        }
        let on_disk = read(path)?;
        let mark = if on_disk.starts_with('\u{feff}') {
            "\u{feff}"
        } else {
            ""
        };
        if on_disk.trim_start_matches('\u{feff}') != document.text() {
            return Err(Failure::new(
                Exit::Profile,
                format!("`{}` was changed by another program", document.name),
            )
            .with_hint("try again"));
        }
        if text != document.text() {
            replace(path, format!("{mark}{text}").as_bytes())?;
        }
        Ok(Changed {
            before: document.value.pointer(&pointer).cloned(),
            after: after.value.pointer(&pointer).cloned(),
            warnings: match report.problems.is_empty() {
                true => String::new(),
                false => report.render(crate::terminal::stderr_has_colour()),
            },
            pointer,
        })
    }
}
