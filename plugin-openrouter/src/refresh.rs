//! Refreshes the model list and the credit in the background if `OPENROUTER_BACKGROUND_REFRESH` is set.
//!
//! The first use of the plugin starts a task on the plugin's runtime. Each turn reads the latest settings, fetches what
//! is due, and sleeps until something else is. The task ends when the variable is unset, when the plugin was not used
//! for ten intervals, or with the plugin, which it does not keep alive. The next use starts it again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use plugin_api::runtime::Runtime;

use crate::call::Common;
use crate::service::Settings;
use crate::service::kept::Refresh;

pub const VARIABLE: &str = "OPENROUTER_BACKGROUND_REFRESH";

/// The shortest interval.
const SHORTEST: Duration = Duration::from_secs(1);

/// The longest sleep, after which the settings are read again.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// The number of intervals without use after which refreshing stops.
const IDLE_INTERVALS: u32 = 10;

/// Starts the task, and records each use of the plugin.
#[derive(Default)]
pub struct Refresher {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    is_running: AtomicBool,
    has_warned: AtomicBool,
    last_use: Mutex<Option<Instant>>,
}

impl Refresher {
    /// Records a use of the plugin, and starts the task if it is wanted and not running. It does not wait.
    pub fn touch(&self, runtime: &Runtime, settings: &Arc<ArcSwap<Settings>>, common: &Arc<Common>) {
        let newest = settings.load();
        if value(&newest.profile.environment).is_none() {
            return;
        }
        self.shared.used(Instant::now());
        if self.shared.is_running.load(Ordering::Relaxed) {
            return;
        }
        let pace = self.shared.pace(&newest, common);
        if pace == Pace::default() || self.shared.is_running.swap(true, Ordering::Relaxed) {
            return;
        }
        tracing::debug!("background refresh started");
        let mut task = Task {
            shared: Arc::clone(&self.shared),
            settings: Arc::downgrade(settings),
            common: Arc::downgrade(common),
            due: Due::after(pace, Instant::now()),
        };
        let running = Running(Arc::clone(&self.shared));
        let work = async move {
            // Dropped even if the task panics or is cancelled.
            let _running = running;
            while let Some(wait) = task.turn(Instant::now()).await {
                tokio::time::sleep(wait).await;
            }
            tracing::debug!("background refresh stopped");
            Ok(())
        };
        runtime.spawn(work).detach();
    }
}

impl Shared {
    fn used(&self, now: Instant) {
        *self.last_use.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    fn unused_for(&self, now: Instant) -> Duration {
        let last_use = *self.last_use.lock().unwrap_or_else(PoisonError::into_inner);
        last_use.map_or(Duration::MAX, |last_use| now.saturating_duration_since(last_use))
    }

    fn pace(&self, settings: &Settings, common: &Common) -> Pace {
        let (wanted, wrong) = wanted(value(&settings.profile.environment).unwrap_or_default());
        if let Some(wrong) = wrong
            && !self.has_warned.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(variable = VARIABLE, "{wrong}");
        }
        // What is not cached at all is not worth fetching ahead.
        let ahead = |time: Duration| (!time.is_zero()).then_some(time.max(SHORTEST));
        match wanted {
            Wanted::Nothing => Pace::default(),
            Wanted::Every(interval) => Pace {
                models: Some(interval),
                credits: Some(interval),
            },
            Wanted::BeforeExpiry => Pace {
                models: ahead(common.catalogue.time_to_live(settings)),
                credits: ahead(common.account.time_to_live(settings)),
            },
        }
    }
}

/// Exists as long as the task; its drop marks the task as ended.
struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.is_running.store(false, Ordering::Relaxed);
    }
}

/// The value of the variable, if it is set and not blank.
fn value(environment: &BTreeMap<String, String>) -> Option<&str> {
    let value = environment.get(VARIABLE)?.trim();
    (!value.is_empty()).then_some(value)
}

/// What the variable asks for in words, and what is wrong with it, if anything.
pub fn described(environment: &BTreeMap<String, String>) -> (String, Option<String>) {
    let (wanted, wrong) = wanted(value(environment).unwrap_or_default());
    let wanted = match wanted {
        Wanted::Nothing => "the model list and the credit are fetched when they are used".to_owned(),
        Wanted::Every(interval) => format!(
            "the model list and the credit are fetched every {} ms",
            interval.as_millis()
        ),
        Wanted::BeforeExpiry => "the model list and the credit are fetched whenever they expire".to_owned(),
    };
    (wanted, wrong)
}

/// What the variable asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Nothing,
    Every(Duration),
    BeforeExpiry,
}

/// What the variable asks for, and what is wrong with it, if anything. The message never repeats the value.
fn wanted(value: &str) -> (Wanted, Option<String>) {
    let is = |word: &str| value.eq_ignore_ascii_case(word);
    if value.is_empty() || is("false") {
        return (Wanted::Nothing, None);
    }
    if is("true") {
        return (Wanted::BeforeExpiry, None);
    }
    match value.parse() {
        Ok(0) => (Wanted::Nothing, None),
        Ok(interval_ms) if Duration::from_millis(interval_ms) < SHORTEST => (
            Wanted::Every(SHORTEST),
            Some(format!(
                "expected at least {} milliseconds, found less; using {0}",
                SHORTEST.as_millis()
            )),
        ),
        Ok(interval_ms) => (Wanted::Every(Duration::from_millis(interval_ms)), None),
        Err(_) => (
            Wanted::Nothing,
            Some(
                "expected a whole number of milliseconds, `true` or `false`, found something else; nothing is refreshed"
                    .to_owned(),
            ),
        ),
    }
}

/// How often each thing is fetched; `None` means never.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Pace {
    models: Option<Duration>,
    credits: Option<Duration>,
}

impl Pace {
    /// The same without what was not used for ten of its intervals.
    fn while_used(self, unused_for: Duration) -> Self {
        let used = |interval: &Duration| unused_for <= interval.saturating_mul(IDLE_INTERVALS);
        Self {
            models: self.models.filter(used),
            credits: self.credits.filter(used),
        }
    }
}

/// When each thing is fetched next; `None` means never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Due {
    models: Option<Instant>,
    credits: Option<Instant>,
}

impl Due {
    /// One interval from now.
    fn after(pace: Pace, now: Instant) -> Self {
        // An interval beyond the range of the clock never ends.
        let after = |interval: Option<Duration>| interval.and_then(|interval| now.checked_add(interval));
        Self {
            models: after(pace.models),
            credits: after(pace.credits),
        }
    }

    /// The earlier of the two.
    fn next(self) -> Option<Instant> {
        self.models.into_iter().chain(self.credits).min()
    }
}

/// The state of the task. Between turns it holds nothing that would keep the plugin alive.
struct Task {
    shared: Arc<Shared>,
    settings: Weak<ArcSwap<Settings>>,
    common: Weak<Common>,
    due: Due,
}

impl Task {
    /// Fetches what is due.
    ///
    /// - Out: how long to wait for the next turn; `None` if the task ends.
    async fn turn(&mut self, now: Instant) -> Option<Duration> {
        let (settings, common) = (self.settings.upgrade()?.load_full(), self.common.upgrade()?);
        let pace = self.shared.pace(&settings, &common);
        let pace = pace.while_used(self.shared.unused_for(now));
        let next = Due::after(pace, now);
        let due = Due {
            models: sooner(self.due.models, next.models),
            credits: sooner(self.due.credits, next.credits),
        };
        let is_due = |due: Option<Instant>| due.is_some_and(|due| due <= now);
        let models = async {
            if is_due(due.models) {
                let listed = common.catalogue.listed(&settings, Refresh::InBackground).await;
                let problem = listed.map_or_else(Some, |listed| listed.problem);
                report("models", problem.as_ref());
            }
        };
        let credits = async {
            if is_due(due.credits) {
                let credits = common.account.balance(&settings, Refresh::InBackground).await;
                report("credits", credits.err().as_ref());
            }
        };
        tokio::join!(models, credits);
        let after = |due: Option<Instant>, next: Option<Instant>| if is_due(due) { next } else { due };
        self.due = Due {
            models: after(due.models, next.models),
            credits: after(due.credits, next.credits),
        };
        let next = self.due.next()?;
        Some(next.saturating_duration_since(now).min(LONGEST_SLEEP))
    }
}

/// The earlier of the time already planned and the one by the latest settings; `None` if those ask for no refresh.
fn sooner(due: Option<Instant>, next: Option<Instant>) -> Option<Instant> {
    match (due, next) {
        (Some(due), Some(next)) => Some(due.min(next)),
        (None, next) => next,
        (_, None) => None,
    }
}

fn report(what: &str, problem: Option<&plugin_api::Error>) {
    match problem {
        None => tracing::debug!("background refresh of {what} done"),
        Some(problem) => tracing::debug!("background refresh of {what} failed: {problem}"),
    }
}

#[cfg(test)]
mod tests;
