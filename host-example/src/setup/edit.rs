//! Changes one place in the profile file, unless that would break it.

use serde_json::Value;

use super::atomic::replace;
use super::reading::Setup;
use crate::profile::{Document, LoadError, Problem, dotted, edited, place_of, profile_pointer, read};
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
    /// - Errors: there is no file or no such profile; those of [`Self::write`].
    pub async fn change(&self, option: &str, value: Option<&Value>) -> Result<Changed, Failure> {
        let document = self.document(&self.places.config)?;
        let name = &self.places.profile;
        if document.value["auth"]["profiles"].get(name).is_none() {
            return Err(Failure::new(
                Exit::Profile,
                format!("profile file `{}` has no profile `{name}`", document.name),
            )
            .with_hint(format!(
                "add it with `agent-host profile add {name}`, or choose another one with `--profile`"
            )));
        }
        let pointer = place_of(&document, name, option);
        self.write(&document, pointer, value).await
    }

    /// Changes the file at this place.
    ///
    /// - Errors: the change would bring problems that the file does not have, which are all named. Then nothing is
    ///   written.
    pub async fn write(&self, document: &Document, pointer: String, value: Option<&Value>) -> Result<Changed, Failure> {
        let path = &self.places.config;
        let profile = profile_pointer(&self.places.profile);
        let option = dotted(pointer.strip_prefix(&profile).unwrap_or(&pointer));
        let text = edited(document, &pointer, value)
            .map_err(|reason| Failure::usage(format!("cannot set `{}`: {reason}", clean_line(&option))))?;
        let after = Document::parse(&document.name, text.clone()).map_err(LoadError::Report)?;
        let mut report = self.report(&after).await?;
        if report.has_errors() {
            let known = self.report(document).await?.problems;
            let is_known = |problem: &Problem| {
                let same = |known: &Problem| (&known.pointer, &known.message) == (&problem.pointer, &problem.message);
                known.iter().any(same)
            };
            let (old, new): (Vec<_>, Vec<_>) = report.problems.drain(..).partition(is_known);
            report.problems = new;
            if report.has_errors() {
                report.is_planned = true;
                return Err(Failure::from(LoadError::Report(report))
                    .with_hint(format!("`{}` is unchanged; give another value", document.name)));
            }
            report.problems = old;
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
