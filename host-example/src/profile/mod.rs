//! The profile file: which provider, where its key comes from, and the options of its plugin.
//!
//! In: a path, the name of a profile, and what each plugin says about its options. Out: a [`Profile`] that fits the
//! plugin's schema, or every problem of the file with line and column. Keys never get into a report.

// In the order in which data travels.
mod import;
mod watch;
mod load;
mod edit;
mod known;
mod read;
mod check;
mod words;
mod expectation;
mod normalise;
mod schema;
mod leaves;
mod document;
mod secret;
mod parse;
mod places;
mod pointer;
mod problem;
mod starter;

#[cfg(test)]
mod tests;

pub use self::check::{MAX_PROBLEMS, check, check_against};
pub use self::document::Document;
pub use self::edit::{edited, place_of, profile_pointer};
pub use self::import::{Fate, Imported, Source, import};
pub use self::known::unknown_option;
pub use self::leaves::{differences, dotted, leaves_of};
pub use self::load::{Profile, map_plugin_problem, profile_at, profile_from, salvaged, without_problems};
pub use self::problem::{Problem, Report, Severity};
pub use self::read::{LoadError, read};
pub use self::schema::{KeySource, ProviderSchema, document_schema};
pub use self::starter::starter;
pub use self::watch::{ProfileWatch, watch};
