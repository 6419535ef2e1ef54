//! Turns the settings of another program into a profile.
//!
//! In: a [`Source`], a file's values with their lines, and what a plugin says about itself. Out: an [`Imported`]: the
//! profile as text, and what became of each line. [`formats`] has a table for each program, [`walk`] finds the rule for
//! each value, [`take`] follows it. What is the plugin's comes from its manifest: its name, the host of its address,
//! its variables, its options in any spelling. A key is never copied. Pure.

// In the order in which data travels.
mod source;
mod formats;
mod found;
mod owner;
mod walk;
mod take;
mod convert;
mod text;

use serde_json::Value;

pub use self::source::Source;
use self::take::Taker;
use super::problem::{Problem, Severity};
use super::schema::{ProviderSchema, entry_schema};

/// What became of a value of the source.
#[derive(Debug, Clone, PartialEq)]
pub struct Fate {
    pub line: usize,
    /// The value's place in the source, as people write it.
    pub path: String,
    /// Where it stands in the profile; none if it is not needed there, or was not taken.
    pub pointer: Option<String>,
    /// Why it was not taken, or why it is not needed.
    pub why: Option<String>,
    pub is_taken: bool,
}

/// A profile that was made from another program's settings.
pub struct Imported {
    /// The other program's file, for people.
    pub format: &'static str,
    /// In the order of the source.
    pub fates: Vec<Fate>,
    document: Value,
    file: String,
}

/// Reads the settings for the plugin `manifest` out of the source.
///
/// - In: `profile`, the name that the profile gets where the source has no names.
/// - Errors: the format is unknown; the message says what is known, and what was found.
pub fn import(
    source: &Source,
    manifest: &plugin_api::Manifest,
    schema: &ProviderSchema,
    profile: &str,
) -> Result<Imported, String> {
    let format = formats::recognised(source).ok_or_else(|| formats::unknown(&source.value))?;
    let mut taker = Taker::new(source, manifest, entry_schema(schema), &schema.key_prefixes);
    for found in walk::found(source, manifest, format, profile, &mut taker) {
        taker.take(&found);
    }
    let (document, mut fates) = taker.finish();
    fates.sort_by_key(|fate| fate.line);
    Ok(Imported {
        format: format.name,
        fates,
        document,
        file: source.file.clone(),
    })
}

impl Imported {
    /// Whether the profile has anything but its provider.
    pub fn has_anything(&self) -> bool {
        let mut pointers = self.fates.iter().filter_map(|fate| fate.pointer.as_ref());
        pointers.any(|pointer| !pointer.ends_with("/provider"))
    }

    /// The profile file, with the source of each member in a comment.
    pub fn text(&self) -> String {
        text::commented(&self.document, &self.file, &self.fates)
    }

    /// Takes out what the check of the profile refuses, and says why.
    ///
    /// - Out: whether anything was taken out.
    pub fn without(&mut self, problems: &[Problem]) -> bool {
        let mut has_changed = false;
        for problem in problems.iter().filter(|problem| problem.severity == Severity::Error) {
            for fate in self.fates.iter_mut().filter(|fate| fate.is_taken) {
                let is_refused =
                    |pointer: &String| lies_in(&problem.pointer, pointer) || lies_in(pointer, &problem.pointer);
                let Some(pointer) = fate.pointer.take_if(|pointer| is_refused(pointer)) else {
                    continue;
                };
                take::remove(&mut self.document, &pointer);
                let hint = problem.hint.iter().map(|hint| format!("; {hint}"));
                fate.why = Some(format!("{}{}", problem.message, hint.collect::<String>()));
                fate.is_taken = false;
                has_changed = true;
            }
        }
        has_changed
    }
}

/// Whether `pointer` is the place `above`, or one below it.
fn lies_in(pointer: &str, above: &str) -> bool {
    pointer
        .strip_prefix(above)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
