//! Whether a failed attempt is followed by another one, by which, and when.
//!
//! In: how an attempt failed, what was tried before, what the profile allows. Out: one decision. Pure: no clock, no dice of
//! its own. What was delivered to the host is never asked for again, so nothing here is about answers that have begun.

use std::time::Duration;

use plugin_api::{Error, ErrorKind};

use crate::profile::policy::Retry;

/// How an attempt failed, as far as it matters for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The service never saw the request: no connection, or one that ended before a byte was taken.
    NeverProcessed,
    /// The service refused it for now, and has generated nothing.
    Refused,
    /// The service itself failed (500): worth one more attempt.
    ServerFault,
    /// The request was sent, and what became of it is unknown: it may be answered and billed.
    Ambiguous,
    /// An answer of nothing, which is not billed.
    Empty,
    /// An answer came, and was not usable: it was billed.
    Answered,
    /// The same request would fail again.
    Final,
}

/// An attempt that failed before any piece of an answer came.
pub struct Failed {
    pub error: Error,
    pub class: Class,
    /// Whether the service answered with an error in the place of an answer: it does so when none of the models could serve.
    /// Anything else is the matter of the one that did.
    pub is_of_all_models: bool,
}

impl Failed {
    /// A failure that the service reported, with a status or inside an answer.
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

/// The class of what the service reported. Its own word on retries outweighs the status.
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

/// Whether other models may do what this one could not.
fn is_the_models_own(error: &Error) -> bool {
    match error.kind {
        // What is too large for this side of the wire stays so.
        ErrorKind::TOO_LARGE => error.details.status.is_some() || error.details.error_type.is_some(),
        ErrorKind::NOT_FOUND | ErrorKind::RATE_LIMIT | ErrorKind::UNAVAILABLE | ErrorKind::TIMEOUT => true,
        // Models differ in what they refuse; what the key may not do, it may not do with any of them.
        ErrorKind::FORBIDDEN => {
            matches!(
                error.details.error_type.as_deref(),
                Some("content_policy_violation" | "refusal" | "region_restricted")
            ) || error.details.provider.is_some()
        }
        _ => false,
    }
}

/// What a call has tried so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tries {
    /// Attempts with the models that it asks now, the failed one included.
    pub attempts: u64,
    /// Of these, the ones in which the service itself failed.
    pub server_faults: u64,
    /// Attempts of unknown fate, with whatever models: each may be billed.
    pub ambiguous: u64,
    /// Answers of nothing, from whatever models.
    pub empty: u64,
}

impl Tries {
    /// Begins anew with other models.
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

/// What is known when an attempt has failed.
pub struct Situation<'a> {
    pub retry: &'a Retry,
    /// Whether the answer is asked for as a stream, where a second answer can be told from the first and is cancelled.
    pub stream: bool,
    /// Whether the chain has models that were not asked yet.
    pub has_more_models: bool,
    /// Until the time for the whole call is up.
    pub left: Duration,
    /// From 0 to 1, thrown anew for each decision.
    pub dice: f64,
}

/// What follows a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The same models, after a wait.
    Repeat(Duration),
    /// The next models of the chain, at once.
    MoveOn,
    /// The error is the outcome.
    GiveUp,
}

/// The longest wait that is not the service's wish.
const MAX_BACKOFF: Duration = Duration::from_secs(8);

/// Decides what follows, and notes the attempt in `tries`.
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
    // A wait that the service asks of this key holds for other models too; one that a provider asks is the model's matter.
    let asked = failed.error.retry_after_ms.map(Duration::from_millis);
    let is_too_long = asked.is_some_and(|wait| wait > Duration::from_millis(retry.max_wait_ms));
    if situation.has_more_models {
        let leads_on = match failed.class {
            // Nobody was reached, so nobody else would be.
            Class::NeverProcessed => false,
            Class::Ambiguous => may_repeat,
            Class::Answered => false,
            Class::Refused | Class::ServerFault => true,
            // Asked once more first: most empty answers are accidents.
            Class::Empty => !may_repeat,
            Class::Final => is_the_models_own(&failed.error),
        };
        if leads_on && !(is_too_long && concerns_the_key(&failed.error)) {
            return Next::MoveOn;
        }
    }
    if !may_repeat || tries.attempts >= retry.attempts || is_too_long {
        return Next::GiveUp;
    }
    let wait = match asked {
        // A little more than asked, so that the calls of a process do not all come back in the same moment.
        Some(asked) => asked + asked.mul_f64(0.1 * situation.dice),
        None => backoff(tries.attempts, failed.error.kind == ErrorKind::RATE_LIMIT).mul_f64(situation.dice),
    };
    if wait >= situation.left {
        return Next::GiveUp;
    }
    Next::Repeat(wait)
}

/// Whether a wait that the service asks for holds for every model, as opposed to the one that a provider serves.
pub fn concerns_the_key(error: &Error) -> bool {
    error.details.provider.is_none()
        && !matches!(
            error.details.error_type.as_deref(),
            Some("capacity_exhausted" | "temporarily_unavailable" | "provider_overloaded" | "provider_unavailable")
        )
}

/// The longest wait before the attempt after the `attempts`-th; the dice say how much of it is waited.
fn backoff(attempts: u64, is_throttled: bool) -> Duration {
    let base = if is_throttled {
        Duration::from_secs(1)
    } else {
        Duration::from_millis(500)
    };
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX).min(8);
    (base * 2_u32.pow(doublings)).min(MAX_BACKOFF)
}

/// How many tokens the credit suffices for, where the service says so.
///
/// - Source: OpenRouter's message "… You requested up to N tokens, but can only afford M …"; it has no field for it.
pub fn affordable_tokens(error: &Error) -> Option<u64> {
    if error.kind != ErrorKind::PAYMENT {
        return None;
    }
    let (_, rest) = error.message.split_once("can only afford ")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|&tokens| tokens > 0)
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
            left: Duration::from_secs(600),
            dice: 1.0,
        };
        change(&mut situation);
        next(failed, tries, &situation)
    }

    /// Everything that is decided until the call gives up.
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

    fn waits(milliseconds: &[u64]) -> Vec<Next> {
        let waits = milliseconds.iter().map(|ms| Next::Repeat(Duration::from_millis(*ms)));
        waits.chain([Next::GiveUp]).collect()
    }

    #[test]
    fn what_was_refused_for_now_is_tried_three_times_with_growing_waits() {
        for status in [408, 502, 503, 504, 520, 521, 522, 523, 524, 529] {
            assert_eq!(course(&reported(status), false), waits(&[500, 1000]), "{status}");
        }
        assert_eq!(course(&reported(429), false), waits(&[1000, 2000]));
        assert_eq!(course(&reported(500), false), waits(&[500]));
    }

    #[test]
    fn what_is_the_callers_fault_is_tried_once() {
        for status in [400, 401, 402, 403, 404, 413, 422, 418, 307] {
            assert_eq!(course(&reported(status), true), waits(&[]), "{status}");
        }
    }

    #[test]
    fn the_services_own_word_outweighs_the_status() {
        let mut yes = reported(404);
        yes.error.details.retryable = Some(true);
        assert_eq!(course(&Failed::reported(yes.error), true).len(), 3);
        let mut no = reported(503);
        no.error.details.retryable = Some(false);
        assert_eq!(course(&Failed::reported(no.error), true), waits(&[]));
    }

    #[test]
    fn an_unknown_fate_is_repeated_once_for_a_stream_and_else_only_where_the_profile_says_so() {
        let lost = || Failed::new(Class::Ambiguous, Error::new(ErrorKind::CONNECT, "reset"));
        assert_eq!(course(&lost(), true), waits(&[500]));
        assert_eq!(course(&lost(), false), waits(&[]));
        let retry = Retry {
            ambiguous: true,
            ..Retry::default()
        };
        let situation = Situation {
            retry: &retry,
            stream: false,
            has_more_models: false,
            left: Duration::from_secs(9),
            dice: 0.5,
        };
        let next = next(&lost(), &mut Tries::default(), &situation);
        assert_eq!(next, Next::Repeat(Duration::from_millis(250)));
    }

    #[test]
    fn an_empty_answer_is_asked_for_once_more() {
        let empty = Failed::new(Class::Empty, Error::new(ErrorKind::INTERRUPTED, "nothing"));
        assert_eq!(course(&empty, false), waits(&[500]));
    }

    #[test]
    fn a_wait_that_was_asked_for_is_kept_and_one_that_is_too_long_is_returned() {
        let mut failed = reported(429);
        failed.error.retry_after_ms = Some(7000);
        assert_eq!(course(&failed, true), waits(&[7700, 7700]));
        let next = decide(&failed, &mut Tries::default(), |situation| situation.dice = 0.0);
        assert_eq!(next, Next::Repeat(Duration::from_secs(7)));
        failed.error.retry_after_ms = Some(60_001);
        assert_eq!(course(&failed, true), waits(&[]));
    }

    #[test]
    fn a_wait_beyond_the_time_for_the_call_is_not_begun() {
        let next = decide(&reported(503), &mut Tries::default(), |situation| {
            situation.left = Duration::from_millis(500);
        });
        assert_eq!(next, Next::GiveUp);
    }

    #[test]
    fn a_chain_goes_on_after_what_another_model_may_do_better() {
        let mut content = reported(403);
        content.error.details.error_type = Some("content_policy_violation".to_owned());
        let rows = [
            (reported(404), true),
            (reported(413), true),
            (reported(429), true),
            (reported(500), true),
            (reported(503), true),
            (reported(524), true),
            (content, true),
            (reported(400), false),
            (reported(401), false),
            (reported(402), false),
            (reported(403), false),
            (reported(422), false),
        ];
        for (failed, goes_on) in rows {
            let next = decide(&failed, &mut Tries::default(), |situation| {
                situation.has_more_models = true
            });
            assert_eq!(next == Next::MoveOn, goes_on, "{:?}", failed.error);
        }
        let unreached = Failed::new(Class::NeverProcessed, Error::new(ErrorKind::CONNECT, "refused"));
        let next = decide(&unreached, &mut Tries::default(), |situation| {
            situation.has_more_models = true
        });
        assert_eq!(next, Next::Repeat(Duration::from_millis(500)));
    }

    #[test]
    fn a_long_wait_of_the_key_stops_the_chain_and_one_of_a_provider_does_not() {
        let mut failed = reported(429);
        failed.error.retry_after_ms = Some(3_600_000);
        let more = |situation: &mut Situation<'_>| situation.has_more_models = true;
        assert_eq!(decide(&failed, &mut Tries::default(), more), Next::GiveUp);
        failed.error.details.provider = Some("DeepSeek".to_owned());
        assert_eq!(decide(&failed, &mut Tries::default(), more), Next::MoveOn);
    }

    #[test]
    fn waits_grow_to_eight_seconds() {
        let all: Vec<u64> = (1..=7)
            .map(|n| backoff(n, false).as_secs_f64().round() as u64)
            .collect();
        assert_eq!(all, [1, 1, 2, 4, 8, 8, 8]);
        assert_eq!(backoff(u64::MAX, true), MAX_BACKOFF);
    }

    #[test]
    fn the_affordable_number_is_read_from_the_message() {
        let said = |kind, message: &str| affordable_tokens(&Error::new(kind, message));
        let message = "You requested up to 65536 tokens, but can only afford 1234. To increase, visit …";
        assert_eq!(said(ErrorKind::PAYMENT, message), Some(1234));
        assert_eq!(said(ErrorKind::RATE_LIMIT, message), None);
        assert_eq!(said(ErrorKind::PAYMENT, "but can only afford 0."), None);
        assert_eq!(said(ErrorKind::PAYMENT, "Insufficient credits"), None);
    }
}
