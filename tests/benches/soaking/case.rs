//! The kinds of calls: what the model does, and how the call has to end.

use std::sync::Arc;

use plugin_api::ErrorKind;
use serde_json::{Map, Value, json};

/// One call in so many asks a model that misbehaves.
const CALLS_FOR_A_BAD_ONE: u64 = 20;
/// One call in so many is dropped.
const CALLS_FOR_A_DROPPED_ONE: u64 = 40;
const WORDS: usize = 20;

/// One kind of call, and how it has to end.
struct Case {
    model: &'static str,
    script: Value,
    is_streamed: bool,
    expected: Outcome,
    /// Each call asks a model of its own: one that fails at first, as it does only once.
    is_fresh: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// A whole answer of [`WORDS`] words.
    Answered,
    Failed(ErrorKind),
    Dropped(Moment),
}

/// When a call is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// Its future was made, and nobody has polled it.
    Unpolled,
    /// The stream is there, and nothing was read.
    Opened,
    AfterTexts(usize),
    /// After [`PATIENCE`].
    Waiting,
}

impl Case {
    fn is_bad(&self) -> bool {
        matches!(self.expected, Outcome::Failed(_)) || self.is_fresh
    }

    fn name(&self) -> String {
        let how = if self.is_streamed { "streamed" } else { "plain" };
        let when = match self.expected {
            Outcome::Dropped(moment) => format!(", dropped: {moment:?}"),
            Outcome::Answered | Outcome::Failed(_) => String::new(),
        };
        format!("{}, {how}{when}", self.model)
    }

    /// The model that call number `n_call` asks.
    fn model_of(&self, n_call: u64) -> String {
        if self.is_fresh {
            format!("{}-{n_call}", self.model)
        } else {
            self.model.to_owned()
        }
    }
}

struct Cases {
    good: Vec<Arc<Case>>,
    bad: Vec<Arc<Case>>,
    dropped: Vec<Arc<Case>>,
}

impl Cases {
    fn new() -> Self {
        use Outcome::{Answered, Dropped, Failed};

        let case = |model, script: &Value, is_streamed, expected| Case {
            model,
            script: script.clone(),
            is_streamed,
            expected,
            is_fresh: script.get("fail_times").is_some(),
        };
        let soon = |status: u16| json!({"status": status, "headers": {"retry-after-ms": "1"}});
        let (words, slow) = (
            json!({"words": WORDS}),
            json!({"words": WORDS, "start_delay_ms": 1_000}),
        );

        let good = [
            case("soak/words", &words, false, Answered),
            case("soak/words", &words, true, Answered),
            case("soak/words", &words, false, Answered),
            case(
                "soak/words-at-once",
                &json!({"words": WORDS, "coalesce": true}),
                true,
                Answered,
            ),
        ];

        let mut bad = Vec::new();
        // Model, script, how the stream ends, how the answer in one piece ends.
        let alike = |outcome| (outcome, outcome);
        for (model, script, (streamed, plain)) in [
            (
                "soak/429-twice",
                json!({"words": WORDS, "fail": soon(429), "fail_times": 2}),
                alike(Answered),
            ),
            (
                "soak/503-twice",
                json!({"words": WORDS, "fail": soon(503), "fail_times": 2}),
                alike(Answered),
            ),
            (
                "soak/429",
                json!({"fail": soon(429)}),
                alike(Failed(ErrorKind::RATE_LIMIT)),
            ),
            (
                "soak/503",
                json!({"fail": soon(503)}),
                alike(Failed(ErrorKind::UNAVAILABLE)),
            ),
            (
                "soak/500",
                json!({"fail": {"status": 500}}),
                alike(Failed(ErrorKind::UNAVAILABLE)),
            ),
            (
                "soak/402",
                json!({"fail": {"status": 402}}),
                alike(Failed(ErrorKind::PAYMENT)),
            ),
            (
                "soak/html-502",
                json!({"fail": {"status": 502, "body": "<html><head><title>502 Bad Gateway</title></head></html>"}}),
                alike(Failed(ErrorKind::UNAVAILABLE)),
            ),
            (
                "soak/cut",
                json!({"words": WORDS, "cut_after_chunks": 5}),
                (Failed(ErrorKind::INTERRUPTED), Failed(ErrorKind::PROTOCOL)),
            ),
            (
                "soak/cut-connection",
                json!({"words": WORDS, "cut_after_chunks": 5, "cut_abruptly": true}),
                alike(Failed(ErrorKind::INTERRUPTED)),
            ),
            (
                "soak/no-finish-reason",
                json!({"words": WORDS, "omit_finish_reason": true}),
                alike(Failed(ErrorKind::INTERRUPTED)),
            ),
            (
                "soak/error-inside",
                json!({"words": WORDS, "fail_after_chunks": 5}),
                alike(Failed(ErrorKind::UNAVAILABLE)),
            ),
            (
                "soak/error-in-200",
                json!({"fail": {"status": 502}, "error_in_200_body": true}),
                alike(Failed(ErrorKind::UNAVAILABLE)),
            ),
            (
                "soak/empty",
                json!({"empty": "content"}),
                alike(Failed(ErrorKind::INTERRUPTED)),
            ),
            (
                "soak/empty-choices",
                json!({"empty": "choices"}),
                alike(Failed(ErrorKind::INTERRUPTED)),
            ),
            (
                "soak/broken-tool-call",
                json!({"tool_calls": [{"name": "weather", "arguments": "{\"city\": \"Par"}]}),
                alike(Failed(ErrorKind::INTERRUPTED)),
            ),
        ] {
            bad.push(case(model, &script, true, streamed));
            bad.push(case(model, &script, false, plain));
        }
        // An answer in one piece has no silence that could be too long, only an end that is too late.
        for (model, script) in [
            ("soak/stall", json!({"words": WORDS, "stall_after_chunks": 5})),
            ("soak/stall-at-once", json!({"stall_after_chunks": 0})),
            (
                "soak/comments-forever",
                json!({"comments_forever": true, "chunk_delay_ms": 100}),
            ),
        ] {
            bad.push(case(model, &script, true, Failed(ErrorKind::TIMEOUT)));
        }

        let later = json!({"fail": {"status": 503, "headers": {"retry-after-ms": "1000"}}});
        let paced = json!({"words": WORDS, "chunk_delay_ms": 5});
        let dropped = [
            case("soak/words", &words, true, Dropped(Moment::Unpolled)),
            case("soak/words", &words, false, Dropped(Moment::Unpolled)),
            case("soak/slow", &slow, true, Dropped(Moment::Opened)),
            case("soak/slow", &slow, true, Dropped(Moment::Waiting)),
            case("soak/slow", &slow, false, Dropped(Moment::Waiting)),
            case("soak/paced", &paced, true, Dropped(Moment::AfterTexts(5))),
            case("soak/later", &later, true, Dropped(Moment::Waiting)),
            case("soak/later", &later, false, Dropped(Moment::Waiting)),
        ];
        Self {
            good: good.map(Arc::new).into(),
            bad: bad.into_iter().map(Arc::new).collect(),
            dropped: dropped.map(Arc::new).into(),
        }
    }

    /// The kind of call number `n`: each kind in turn.
    fn of(&self, n: u64) -> &Arc<Case> {
        let (cases, turn) = if n % CALLS_FOR_A_BAD_ONE == 0 {
            (&self.bad, n / CALLS_FOR_A_BAD_ONE)
        } else if n % CALLS_FOR_A_DROPPED_ONE == CALLS_FOR_A_DROPPED_ONE / 4 {
            (&self.dropped, n / CALLS_FOR_A_DROPPED_ONE)
        } else {
            (&self.good, n)
        };
        &cases[(turn % cases.len() as u64) as usize]
    }

    /// What the service needs to know.
    fn scripts(&self, calls: u64) -> Value {
        let all = self.good.iter().chain(&self.bad).chain(&self.dropped);
        let mut scripts: Map<String, Value> = all
            .filter(|case| !case.is_fresh)
            .map(|case| (case.model.to_owned(), case.script.clone()))
            .collect();
        for n in (0..calls).step_by(CALLS_FOR_A_BAD_ONE as usize) {
            let case = self.of(n);
            if case.is_fresh {
                scripts.insert(case.model_of(n), case.script.clone());
            }
        }
        scripts.into()
    }
}

