//! The kinds of calls: what the model does, and how the call must end.

use std::sync::Arc;

use plugin_api::ErrorKind;
use serde_json::{Map, Value, json};

/// One call in this many asks a model that misbehaves.
const CALLS_FOR_A_BAD_ONE: u64 = 20;
/// One call in this many is dropped.
const CALLS_FOR_A_DROPPED_ONE: u64 = 40;
const WORDS: usize = 20;
const WHOLE: Outcome = Outcome::Answered { words: WORDS };
const INTERRUPTED: Outcome = Outcome::Failed(ErrorKind::INTERRUPTED);
const UNAVAILABLE: Outcome = Outcome::Failed(ErrorKind::UNAVAILABLE);

/// One kind of call.
pub struct Case {
    pub model: &'static str,
    pub is_streamed: bool,
    pub expected: Outcome,
    pub is_bad: bool,
    /// How the model answers: an object for the sandbox's `--script`.
    script: Value,
}

/// How a call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Answered { words: usize },
    Failed(ErrorKind),
    Dropped(Moment),
}

/// When a call is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Its future exists, and nobody has polled it.
    Unpolled,
    /// The stream is open, and nothing was read.
    Opened,
    AfterTexts(usize),
    /// The call waits for its answer to begin, or for its next attempt.
    Waiting,
}

impl Outcome {
    pub fn answered(text: &str) -> Self {
        let words = text.split_whitespace().count();
        Self::Answered { words }
    }
}

impl Case {
    fn new(model: &'static str, script: Value, is_streamed: bool, expected: Outcome) -> Self {
        Self {
            model,
            is_streamed,
            expected,
            is_bad: false,
            script,
        }
    }

    pub fn name(&self) -> String {
        let how = if self.is_streamed { "streamed" } else { "plain" };
        let when = match self.expected {
            Outcome::Dropped(moment) => format!(", dropped: {moment:?}"),
            Outcome::Answered { .. } | Outcome::Failed(_) => String::new(),
        };
        format!("{}, {how}{when}", self.model)
    }

    /// The model that call number `n_call` asks. A model that fails only at first serves one call.
    pub fn model_of(&self, n_call: u64) -> String {
        if self.is_fresh() {
            format!("{}-{n_call}", self.model)
        } else {
            self.model.to_owned()
        }
    }

    fn is_fresh(&self) -> bool {
        self.script.get("fail_times").is_some()
    }
}

pub struct Cases {
    good: Vec<Arc<Case>>,
    bad: Vec<Arc<Case>>,
    dropped: Vec<Arc<Case>>,
}

impl Cases {
    pub fn new() -> Self {
        let bad = bad().into_iter().map(|case| Case { is_bad: true, ..case });
        Self {
            good: good().map(Arc::new).into(),
            bad: bad.map(Arc::new).collect(),
            dropped: dropped().map(Arc::new).into(),
        }
    }

    /// The kind of call number `n_call`. The kinds take turns.
    pub fn of(&self, n_call: u64) -> &Arc<Case> {
        let (cases, turn) = if n_call.is_multiple_of(CALLS_FOR_A_BAD_ONE) {
            (&self.bad, n_call / CALLS_FOR_A_BAD_ONE)
        } else if n_call % CALLS_FOR_A_DROPPED_ONE == CALLS_FOR_A_DROPPED_ONE / 4 {
            (&self.dropped, n_call / CALLS_FOR_A_DROPPED_ONE)
        } else {
            (&self.good, n_call)
        };
        in_turn(cases, turn)
    }

    /// A call to a model that answers.
    pub fn good(&self, n_call: u64) -> &Arc<Case> {
        in_turn(&self.good, n_call)
    }

    /// The sandbox's scripts for this many calls.
    pub fn scripts(&self, n_calls: u64) -> Value {
        let all = self.good.iter().chain(&self.bad).chain(&self.dropped);
        let mut scripts: Map<String, Value> = all
            .filter(|case| !case.is_fresh())
            .map(|case| (case.model.to_owned(), case.script.clone()))
            .collect();
        let fresh = (0..n_calls).map(|n_call| (self.of(n_call), n_call));
        let fresh = fresh.filter(|(case, _)| case.is_fresh());
        scripts.extend(fresh.map(|(case, n_call)| (case.model_of(n_call), case.script.clone())));
        scripts.into()
    }
}

fn in_turn(cases: &[Arc<Case>], turn: u64) -> &Arc<Case> {
    &cases[turn as usize % cases.len()]
}

fn good() -> [Case; 4] {
    let words = json!({"words": WORDS});
    let at_once = json!({"words": WORDS, "coalesce": true});
    [
        Case::new("soak/words", words.clone(), false, WHOLE),
        Case::new("soak/words", words.clone(), true, WHOLE),
        Case::new("soak/words", words, false, WHOLE),
        Case::new("soak/words-at-once", at_once, true, WHOLE),
    ]
}

/// Calls that end alike as a stream and in one piece: model, script, end.
fn bad_in_both_forms() -> Vec<(&'static str, Value, Outcome)> {
    let soon = |status| json!({"status": status, "headers": {"retry-after-ms": "1"}});
    let page = "<html><head><title>502 Bad Gateway</title></head></html>";
    let cut = json!({"words": WORDS, "cut_after_chunks": 5, "cut_abruptly": true});
    let half_a_call = json!({"tool_calls": [{"name": "weather", "arguments": "{\"city\": \"Par"}]});
    let failed = Outcome::Failed;
    vec![
        (
            "soak/429-twice",
            json!({"words": WORDS, "fail": soon(429), "fail_times": 2}),
            WHOLE,
        ),
        (
            "soak/503-twice",
            json!({"words": WORDS, "fail": soon(503), "fail_times": 2}),
            WHOLE,
        ),
        ("soak/429", json!({"fail": soon(429)}), failed(ErrorKind::RATE_LIMIT)),
        ("soak/503", json!({"fail": soon(503)}), UNAVAILABLE),
        ("soak/500", json!({"fail": {"status": 500}}), UNAVAILABLE),
        ("soak/402", json!({"fail": {"status": 402}}), failed(ErrorKind::PAYMENT)),
        (
            "soak/html-502",
            json!({"fail": {"status": 502, "body": page}}),
            UNAVAILABLE,
        ),
        ("soak/cut-connection", cut, INTERRUPTED),
        (
            "soak/no-finish-reason",
            json!({"words": WORDS, "omit_finish_reason": true}),
            INTERRUPTED,
        ),
        (
            "soak/error-inside",
            json!({"words": WORDS, "fail_after_chunks": 5}),
            UNAVAILABLE,
        ),
        (
            "soak/error-in-200",
            json!({"fail": {"status": 502}, "error_in_200_body": true}),
            UNAVAILABLE,
        ),
        // Asked for once more, then passed on: a model may have nothing to say.
        (
            "soak/empty",
            json!({"empty": "content"}),
            Outcome::Answered { words: 0 },
        ),
        ("soak/empty-choices", json!({"empty": "choices"}), INTERRUPTED),
        ("soak/broken-tool-call", half_a_call, INTERRUPTED),
    ]
}

fn bad() -> Vec<Case> {
    let mut cases: Vec<Case> = bad_in_both_forms()
        .into_iter()
        .flat_map(|(model, script, expected)| {
            [true, false].map(|is_streamed| Case::new(model, script.clone(), is_streamed, expected))
        })
        .collect();

    let cut = json!({"words": WORDS, "cut_after_chunks": 5});
    let stall = json!({"words": WORDS, "stall_after_chunks": 5});
    let comments = json!({"comments_forever": true, "chunk_delay_ms": 100});
    let late = Outcome::Failed(ErrorKind::TIMEOUT);
    cases.extend([
        Case::new("soak/cut", cut.clone(), true, INTERRUPTED),
        // Half a document is not an answer.
        Case::new("soak/cut", cut, false, INTERRUPTED),
        // The idle timeout does not apply to an answer in one piece.
        Case::new("soak/stall", stall, true, late),
        Case::new("soak/stall-at-once", json!({"stall_after_chunks": 0}), true, late),
        Case::new("soak/comments-forever", comments, true, late),
    ]);
    cases
}

fn dropped() -> [Case; 8] {
    let words = json!({"words": WORDS});
    let slow = json!({"words": WORDS, "start_delay_ms": 1_000});
    let paced = json!({"words": WORDS, "chunk_delay_ms": 5});
    let later = json!({"fail": {"status": 503, "headers": {"retry-after-ms": "1000"}}});
    [
        ("soak/words", &words, true, Moment::Unpolled),
        ("soak/words", &words, false, Moment::Unpolled),
        ("soak/slow", &slow, true, Moment::Opened),
        ("soak/slow", &slow, true, Moment::Waiting),
        ("soak/slow", &slow, false, Moment::Waiting),
        ("soak/paced", &paced, true, Moment::AfterTexts(5)),
        ("soak/later", &later, true, Moment::Waiting),
        ("soak/later", &later, false, Moment::Waiting),
    ]
    .map(|(model, script, is_streamed, moment)| Case::new(model, script.clone(), is_streamed, Outcome::Dropped(moment)))
}
