//! Decides whether another attempt follows a failed one, with which models, and when.
//!
//! In: how the attempt failed, the attempts before it, and what the profile allows. Out: one decision.
//! Pure: the caller passes in the time and the random number.
//! An answer that has begun is never requested again, so it never gets here.

use std::time::Duration;

use plugin_api::{Error, ErrorKind};

use crate::profile::policy::Retry;
use crate::values::model_id::is_free;

/// How an attempt failed, as far as a retry depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The service never got the request: no connection, or one that closed before the request was sent.
    NeverProcessed,
    /// The service refused it for now and generated nothing.
    Refused,
    /// The service itself failed (500): worth one more attempt.
    ServerFault,
    /// The request was sent and its fate is unknown: it may be answered and billed.
    Ambiguous,
    /// An empty answer, which is not billed.
    Empty,
    /// An answer arrived and was billed, but it is not usable.
    Answered,
    /// The same request would fail again.
    Final,
}

/// An attempt that failed before any part of an answer arrived.
pub struct Failed {
    pub error: Error,
    pub class: Class,
    /// Whether the failure concerns every model of the request. The service answers with an error status only after all
    /// of them failed; any other failure concerns the model that was serving.
    pub is_of_all_models: bool,
}

impl Failed {
    /// A failure that the service reported, by a status or inside an answer.
    pub fn reported(error: Error) -> Self {
        Self {
            class: class_of_report(&error),
            error,
            is_of_all_models: false,
        }
    }

    pub fn new(class: Class, error: Error) -> Self {
        Self {
            error,
            class,
            is_of_all_models: false,
        }
    }
}

/// The class of a reported failure. If the service says whether to retry, the status does not matter.
fn class_of_report(error: &Error) -> Class {
    match (error.details.retryable, error.details.status, error.kind) {
        (Some(true), ..) => Class::Refused,
        (Some(false), ..) => Class::Final,
        (None, Some(500), _) => Class::ServerFault,
        (None, Some(408 | 429 | 502 | 503 | 504 | 520..=524 | 529), _) => Class::Refused,
        (None, Some(_), _) => Class::Final,
        (None, None, ErrorKind::RATE_LIMIT | ErrorKind::TIMEOUT) => Class::Refused,
        // An error without a number, such as `server_error`.
        (None, None, ErrorKind::UNAVAILABLE) => Class::ServerFault,
        (None, None, _) => Class::Final,
    }
}

/// Whether another model may succeed.
fn is_the_models_own(error: &Error) -> bool {
    match error.kind {
        // Without either, a limit of this plugin was exceeded, which holds for every model.
        ErrorKind::TOO_LARGE => error.details.status.is_some() || error.details.error_type.is_some(),
        ErrorKind::NOT_FOUND
        | ErrorKind::RATE_LIMIT
        | ErrorKind::UNAVAILABLE
        | ErrorKind::TIMEOUT
        | ErrorKind::TOOL_CALL => true,
        // Models differ in the content they refuse. A limit of the key holds for all of them.
        ErrorKind::FORBIDDEN => {
            matches!(
                error.details.error_type.as_deref(),
                Some("content_policy_violation" | "refusal" | "region_restricted")
            ) || error.details.provider.is_some()
        }
        _ => false,
    }
}

/// The failed attempts of a call so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tries {
    /// Attempts with the current models.
    pub attempts: u64,
    /// Of these, the ones in which the service itself failed.
    pub server_faults: u64,
    /// Attempts of unknown fate, with any models: each may be billed.
    pub ambiguous: u64,
    /// Empty answers, from any models.
    pub empty: u64,
}

impl Tries {
    /// Resets the counts that belong to the current models, before the next ones are tried.
    pub fn move_on(&mut self) {
        self.attempts = 0;
        self.server_faults = 0;
    }

    fn note(&mut self, class: Class) {
        self.attempts += 1;
        match class {
            Class::Ambiguous => self.ambiguous += 1,
            Class::ServerFault => self.server_faults += 1,
            Class::Empty => self.empty += 1,
            Class::NeverProcessed | Class::Refused | Class::Answered | Class::Final => {}
        }
    }
}

/// What a decision depends on besides the failure.
pub struct Situation<'a> {
    pub retry: &'a Retry,
    /// Whether a lost attempt is safe to repeat: a stream is cancelled when its connection closes.
    pub stream: bool,
    /// Whether the fallback chain has models that were not tried yet.
    pub has_more_models: bool,
    /// What a wait that the service asks for holds for.
    pub scope: Scope,
    /// Time until the total timeout.
    pub left: Duration,
    /// A random number from 0 to 1, drawn for each decision.
    pub dice: f64,
}

/// What follows a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Retry with the same models after a wait.
    Repeat(Duration),
    /// Try the next models of the chain at once.
    MoveOn,
    /// Return the error.
    GiveUp,
}

/// The longest wait that the service did not ask for.
const MAX_BACKOFF: Duration = Duration::from_secs(8);

/// Decides what follows, and counts the attempt in `tries`.
pub fn next(failed: &Failed, tries: &mut Tries, situation: &Situation<'_>) -> Next {
    tries.note(failed.class);
    let retry = situation.retry;
    let may_repeat = match failed.class {
        Class::NeverProcessed | Class::Refused => true,
        Class::ServerFault => tries.server_faults == 1,
        Class::Empty => tries.empty == 1,
        Class::Ambiguous => (situation.stream || retry.ambiguous) && tries.ambiguous == 1,
        Class::Answered | Class::Final => false,
    };
    if situation.left.is_zero() {
        return Next::GiveUp;
    }
    let asked = failed.error.retry_after_ms.map(Duration::from_millis);
    let is_too_long = asked.is_some_and(|wait| wait > Duration::from_millis(retry.max_wait_ms));
    if situation.has_more_models {
        let moves_on = match failed.class {
            // The service was not reached, so another model would not be reached either.
            Class::NeverProcessed => false,
            Class::Ambiguous => may_repeat,
            Class::Answered => false,
            Class::Refused | Class::ServerFault => true,
            // The same model gets one retry first, because most empty answers are accidents.
            Class::Empty => !may_repeat,
            Class::Final => is_the_models_own(&failed.error),
        };
        if moves_on && !(is_too_long && situation.scope == Scope::Key) {
            return Next::MoveOn;
        }
    }
    if !may_repeat || tries.attempts >= retry.attempts || is_too_long {
        return Next::GiveUp;
    }
    let wait = match asked {
        // A little longer than asked, so that the calls of a process do not all come back at the same moment.
        Some(asked) => asked + asked.mul_f64(0.1 * situation.dice),
        None => backoff(tries.attempts, failed.error.kind == ErrorKind::RATE_LIMIT).mul_f64(situation.dice),
    };
    if wait >= situation.left {
        return Next::GiveUp;
    }
    Next::Repeat(wait)
}

/// What a wait that the service asks for holds for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every model.
    Key,
    /// Free models: they have limits of their own, per minute and per day.
    FreeModels,
    /// The model that was asked, because its provider limits it.
    Model,
}

/// What the wait of an error holds for.
///
/// - In: the models that were `asked`.
pub fn scope(error: &Error, asked: &[String]) -> Scope {
    let is_of_a_provider = matches!(
        error.details.error_type.as_deref(),
        Some("capacity_exhausted" | "temporarily_unavailable" | "provider_overloaded" | "provider_unavailable")
    );
    if is_of_a_provider || error.details.provider.is_some() {
        return Scope::Model;
    }
    // Source: OpenRouter docs, `api_reference/limits`. Only the message names the limit.
    let are_free = !asked.is_empty() && asked.iter().all(|model| is_free(model));
    let is_of_free_models =
        error.kind == ErrorKind::RATE_LIMIT && (are_free || error.message.contains("free-models-per"));
    if is_of_free_models {
        Scope::FreeModels
    } else {
        Scope::Key
    }
}

/// The longest wait after the attempt number `attempts`. The caller waits a random share of it.
fn backoff(attempts: u64, is_throttled: bool) -> Duration {
    let base = if is_throttled {
        Duration::from_secs(1)
    } else {
        Duration::from_millis(500)
    };
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX).min(8);
    (base * 2_u32.pow(doublings)).min(MAX_BACKOFF)
}

/// How many tokens the credit pays for, if the service says so.
///
/// - Source: OpenRouter's message "… You requested up to N tokens, but can only afford M …". No field has it.
pub fn affordable_tokens(error: &Error) -> Option<u64> {
    if error.kind != ErrorKind::PAYMENT {
        return None;
    }
    let (_, rest) = error.message.split_once("can only afford ")?;
    let is_number = |letter: &char| letter.is_ascii_digit() || *letter == ',';
    let number: String = rest
        .chars()
        .take_while(is_number)
        .filter(char::is_ascii_digit)
        .collect();
    number.parse().ok().filter(|&tokens| tokens > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(status: u16) -> Failed {
        let kind = crate::failure::table::meaning_of_status(status).0;
        let mut error = Error::new(kind, "no");
        error.details.status = Some(status);
        Failed::reported(error)
    }

    fn decide(failed: &Failed, tries: &mut Tries, change: impl FnOnce(&mut Situation<'_>)) -> Next {
        let mut situation = Situation {
            retry: &Retry::default(),
            stream: true,
            has_more_models: false,
            scope: Scope::Key,
            left: Duration::from_secs(600),
            dice: 1.0,
        };
        change(&mut situation);
        next(failed, tries, &situation)
    }

    /// Every decision until the call gives up.
    fn course(failed: &Failed, stream: bool) -> Vec<Next> {
        let mut tries = Tries::default();
        let mut course = Vec::new();
        loop {
            let next = decide(failed, &mut tries, |situation| situation.stream = stream);
            course.push(next);
            if next == Next::GiveUp {
                return course;
            }
        }
    }

    /// The first decision if there are more models.
    fn in_chain(failed: &Failed) -> Next {
        decide(failed, &mut Tries::default(), |situation| {
            situation.has_more_models = true;
            situation.scope = scope(&failed.error, &["acme/large".to_owned()]);
        })
    }

    fn waits(milliseconds: &[u64]) -> Vec<Next> {
        let waits = milliseconds.iter().map(|ms| Next::Repeat(Duration::from_millis(*ms)));
        waits.chain([Next::GiveUp]).collect()
    }

    #[test]
    fn a_temporary_refusal_is_tried_three_times_with_growing_waits() {
        for status in [408, 502, 503, 504, 520, 521, 522, 523, 524, 529] {
            assert_eq!(course(&reported(status), false), waits(&[500, 1000]), "{status}");
        }
        assert_eq!(course(&reported(429), false), waits(&[1000, 2000]));
        assert_eq!(course(&reported(500), false), waits(&[500]));
        let empty = Failed::new(Class::Empty, Error::new(ErrorKind::INTERRUPTED, "nothing"));
        assert_eq!(course(&empty, false), waits(&[500]));
    }

    #[test]
    fn a_request_error_is_not_retried() {
        for status in [400, 401, 402, 403, 404, 413, 422, 418, 307] {
            assert_eq!(course(&reported(status), true), waits(&[]), "{status}");
        }
    }

    #[test]
    fn the_services_retryable_flag_overrides_the_status() {
        let flagged = |status, retryable| {
            let mut error = reported(status).error;
            error.details.retryable = Some(retryable);
            course(&Failed::reported(error), true)
        };
        assert_eq!((flagged(404, true).len(), flagged(503, false)), (3, waits(&[])));
    }

    #[test]
    fn an_ambiguous_failure_is_retried_once_if_streamed_or_if_the_profile_allows() {
        let lost = || Failed::new(Class::Ambiguous, Error::new(ErrorKind::CONNECT, "reset"));
        assert_eq!(course(&lost(), true), waits(&[500]));
        assert_eq!(course(&lost(), false), waits(&[]));
        let retry = Retry {
            ambiguous: true,
            ..Retry::default()
        };
        let mut tries = Tries::default();
        let situation = Situation {
            retry: &retry,
            stream: false,
            has_more_models: false,
            scope: Scope::Key,
            left: Duration::from_secs(9),
            dice: 0.5,
        };
        let expected = Next::Repeat(Duration::from_millis(250));
        assert_eq!(next(&lost(), &mut tries, &situation), expected);
    }

    #[test]
    fn a_requested_wait_is_kept_unless_it_is_too_long() {
        let mut failed = reported(429);
        failed.error.retry_after_ms = Some(7000);
        assert_eq!(course(&failed, true), waits(&[7700, 7700]));
        let next = decide(&failed, &mut Tries::default(), |situation| situation.dice = 0.0);
        assert_eq!(next, Next::Repeat(Duration::from_secs(7)));
        failed.error.retry_after_ms = Some(60_001);
        assert_eq!(course(&failed, true), waits(&[]));
    }

    #[test]
    fn a_wait_beyond_the_total_timeout_is_not_started() {
        let next = decide(&reported(503), &mut Tries::default(), |situation| {
            situation.left = Duration::from_millis(500);
        });
        assert_eq!(next, Next::GiveUp);
    }

    #[test]
    fn a_chain_moves_on_if_another_model_may_succeed() {
        let mut content = reported(403);
        content.error.details.error_type = Some("content_policy_violation".to_owned());
        let models = [404, 413, 429, 500, 503, 524].map(reported);
        for failed in models.into_iter().chain([content]) {
            assert_eq!(in_chain(&failed), Next::MoveOn, "{:?}", failed.error);
        }
        for failed in [400, 401, 402, 403, 422].map(reported) {
            assert_ne!(in_chain(&failed), Next::MoveOn, "{:?}", failed.error);
        }
        let unreached = Failed::new(Class::NeverProcessed, Error::new(ErrorKind::CONNECT, "refused"));
        assert_eq!(in_chain(&unreached), Next::Repeat(Duration::from_millis(500)));
    }

    #[test]
    fn a_long_wait_for_the_key_stops_the_chain_and_one_for_a_provider_does_not() {
        let mut failed = reported(429);
        failed.error.retry_after_ms = Some(3_600_000);
        assert_eq!(in_chain(&failed), Next::GiveUp);
        failed.error.details.provider = Some("DeepSeek".to_owned());
        assert_eq!(in_chain(&failed), Next::MoveOn);
    }

    #[test]
    fn a_limit_of_free_models_is_known_by_the_models_or_by_its_name() {
        let asked = |ids: &str| ids.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let mut failed = reported(429);
        assert_eq!(
            scope(&failed.error, &asked("a/b:free openrouter/free")),
            Scope::FreeModels
        );
        assert_eq!(scope(&failed.error, &asked("a/b:free a/b")), Scope::Key);
        failed.error.message = "Rate limit exceeded: free-models-per-day".to_owned();
        assert_eq!(scope(&failed.error, &asked("a/b:free a/b")), Scope::FreeModels);
        failed.error.details.provider = Some("Acme".to_owned());
        assert_eq!(scope(&failed.error, &asked("a/b:free")), Scope::Model);
        assert_eq!(scope(&reported(503).error, &asked("a/b:free")), Scope::Key);
    }

    #[test]
    fn waits_grow_to_eight_seconds() {
        let all = [1, 2, 3, 4, 5, 6, 7].map(|n| backoff(n, false).as_millis());
        assert_eq!(all, [500, 1000, 2000, 4000, 8000, 8000, 8000]);
        assert_eq!(backoff(u64::MAX, true), MAX_BACKOFF);
    }

    #[test]
    fn the_affordable_number_is_read_from_the_message() {
        let tokens = |kind, message: &str| affordable_tokens(&Error::new(kind, message));
        let message = "You requested up to 65536 tokens, but can only afford 1234. To increase, visit …";
        assert_eq!(tokens(ErrorKind::PAYMENT, message), Some(1234));
        assert_eq!(tokens(ErrorKind::RATE_LIMIT, message), None);
        assert_eq!(tokens(ErrorKind::PAYMENT, "but can only afford 0."), None);
        assert_eq!(tokens(ErrorKind::PAYMENT, "Insufficient credits"), None);
    }
}
