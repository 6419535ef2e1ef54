//! How long answers of the service are cached, when a cached one will do, and how often it did.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use plugin_api::CacheUse;

/// How long a cached answer is used without another request after a refresh failed.
pub const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(30);

/// Whether a cached answer will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// Use a cached answer until it expires.
    IfExpired,
    /// Ask the service now.
    Now,
    /// Ask the service now, in the background: a failure is not worth a warning yet.
    InBackground,
}

/// How often a cache had what was wanted.
#[derive(Default)]
pub struct Uses {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Uses {
    /// Counts a lookup. Only those that a cached answer would do for say anything about the cache.
    pub fn count(&self, refresh: Refresh, is_hit: bool) {
        if refresh == Refresh::IfExpired {
            let counter = if is_hit { &self.hits } else { &self.misses };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The counts so far, under the name of the cache.
    pub fn counted(&self, name: &str) -> CacheUse {
        CacheUse {
            name: name.to_owned(),
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
        }
    }
}

/// How long an answer is cached: by the option, else by the environment variable, else by default.
///
/// - In: milliseconds. A blank variable counts as unset.
/// - Out: the time, and a message if the variable is not a number. The message does not quote the value.
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
                "expected a whole number of milliseconds, found something else; using {default_ms}"
            )),
        ),
    }
}
