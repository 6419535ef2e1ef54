//! The loads of one round, and the scripts that answer them.

use serde_json::{Value, json};

use super::way::Ask;

/// Many answers of one kind.
pub struct Load {
    kind: &'static str,
    /// How the sandbox writes the chunks.
    writes: &'static str,
    pub ask: Ask,
    pub calls: usize,
    pub at_a_time: usize,
    /// Words in each answer; in a stream, each is a chunk.
    pub words: usize,
}

/// - In: how many calls, at a time, and of how many words.
const fn streams(writes: &'static str, model: &'static str, calls: usize, at_a_time: usize, words: usize) -> Load {
    Load {
        kind: "streams",
        writes,
        ask: Ask { model, stream: true },
        calls,
        at_a_time,
        words,
    }
}

const fn requests(calls: usize, at_a_time: usize) -> Load {
    Load {
        kind: "requests",
        ask: Ask {
            model: "bench/short",
            stream: false,
        },
        ..streams("", "", calls, at_a_time, 50)
    }
}

pub const LOADS: [Load; 6] = [
    streams("at once", "bench/coalesced", 40, 1, 1000),
    streams("at once", "bench/coalesced", 64, 64, 1000),
    streams("one by one", "bench/single", 20, 1, 1000),
    streams("every 5 ms", "bench/paced", 64, 64, 200),
    requests(400, 1),
    requests(1024, 64),
];

/// A stream that goes silent after its first word.
pub const IDLE_ASK: Ask = Ask {
    model: "bench/idle",
    stream: true,
};
pub const IDLE_NAME: &str = "idle streams";
/// Idle streams that are open before the memory is measured, so that one-time costs don't count. Together with the
/// measured ones they stay below 1,024, the plugin's default limit for calls at a time.
pub const IDLE_BEFORE: usize = 20;
/// Idle streams that are measured.
pub const IDLE_STREAMS: usize = 1000;

/// How each model of the benchmark answers: a JSON object for the sandbox's `--script`.
pub fn scripts() -> Value {
    json!({
        "bench/coalesced": {"words": 1000, "coalesce": true},
        "bench/single": {"words": 1000},
        "bench/paced": {"words": 200, "chunk_delay_ms": 5},
        "bench/short": {"words": 50},
        "bench/idle": {"words": 2, "stall_after_chunks": 1},
    })
}

impl Load {
    pub fn name(&self) -> String {
        let what = format!("{} {}", self.kind, self.writes);
        format!("{}, {} at a time", what.trim_end(), self.at_a_time)
    }

    /// The heading of its column: what, how the sandbox writes, how many at a time, the unit.
    pub fn heading(&self) -> [String; 4] {
        let unit = if self.ask.stream { "µs/chunk" } else { "µs/request" };
        [
            self.kind.to_owned(),
            self.writes.to_owned(),
            format!("{} at a time", self.at_a_time),
            unit.to_owned(),
        ]
    }

    /// The number that the cost is divided by.
    pub fn units(&self) -> usize {
        if self.ask.stream {
            self.calls * self.words
        } else {
            self.calls
        }
    }
}

pub fn idle_heading() -> [String; 4] {
    [
        "streams".to_owned(),
        "silent".to_owned(),
        format!("{IDLE_STREAMS} open"),
        "KiB/stream".to_owned(),
    ]
}
