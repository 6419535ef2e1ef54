//! How long answers of the service are kept, and how new one has to be.

use std::time::Duration;

/// How long the service is left alone after it failed to give a newer answer than the one that is there.
pub const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(30);

/// How new an answer has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// One that is at hand will do until its time is over.
    Kept,
    /// The service is to be asked now.
    New,
    /// The same, for nobody who waits: what fails is not worth a warning yet.
    NewQuietly,
}

/// How long something is kept: the option's word, else the variable's, else the default.
///
/// - In: milliseconds; a variable that is blank is not set.
/// - Out: the time, and what is wrong with the variable where it cannot be read. Its value is not repeated.
pub fn ttl(option: Option<u64>, variable: Option<&str>, default_ms: u64) -> (Duration, Option<String>) {
    if let Some(option_ms) = option {
        return (Duration::from_millis(option_ms), None);
    }
    let Some(text) = variable.map(str::trim).filter(|text| !text.is_empty()) else {
        return (Duration::from_millis(default_ms), None);
    };
    match text.parse() {
        Ok(variable_ms) => (Duration::from_millis(variable_ms), None),
        Err(_) => (
            Duration::from_millis(default_ms),
            Some(format!(
                "expected a whole number of milliseconds, found something else; {default_ms} is used"
            )),
        ),
    }
}
