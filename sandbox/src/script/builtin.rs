//! The model ids that carry their script in their name, so that the binary can be driven without a file.
//!
//! One table. `sandbox/status-NNN` stands for every status of [`DOCUMENTED`].

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{
    failure::{DOCUMENTED, Failure},
    script::{Empty, Script, ScriptedCall},
};

/// Each built-in id after `sandbox/`, with what it does and its script.
type Row = (&'static str, &'static str, fn() -> Script);

const ROWS: [Row; 27] = [
    ("echo", "Repeats your last message.", || Script {
        echo: true,
        ..Script::default()
    }),
    ("hello", "Answers one fixed sentence.", || {
        Script::text("Hello from the sandbox, a local stand-in.")
    }),
    ("words-50", "Answers 50 words.", || Script::words(50)),
    ("words-500", "Answers 500 words.", || Script::words(500)),
    ("words-5000", "Answers 5000 words, many in one write.", || Script {
        coalesce: true,
        ..Script::words(5000)
    }),
    ("pace-20ms", "Answers a word every 20 ms.", || Script {
        chunk_delay_ms: 20,
        ..Script::words(60)
    }),
    ("slow-start-2000ms", "Waits two seconds, then answers.", || Script {
        start_delay_ms: 2000,
        ..script_of_an_answer()
    }),
    ("mid-stream-error", "Fails after five pieces.", || Script {
        fail_after_chunks: Some(5),
        ..Script::words(60)
    }),
    (
        "mid-stream-error-text-code",
        "Fails after five pieces, with a text as code.",
        || Script {
            fail: Some(Failure {
                code_as_string: true,
                ..Failure::status(500)
            }),
            fail_after_chunks: Some(5),
            ..Script::words(60)
        },
    ),
    ("comments", "Sends comments before and between the pieces.", || Script {
        comments: 3,
        comments_between: 1,
        ..Script::words(30)
    }),
    ("comments-forever", "Sends nothing but comments.", || Script {
        comments_forever: true,
        chunk_delay_ms: 100,
        ..Script::default()
    }),
    ("stall", "Falls silent after five pieces.", || Script {
        stall_after_chunks: Some(5),
        ..Script::words(60)
    }),
    ("stall-at-once", "Never sends a piece.", || Script {
        stall_after_chunks: Some(0),
        ..Script::default()
    }),
    ("cut", "Ends after five pieces, without a finish reason.", || Script {
        cut_after_chunks: Some(5),
        ..Script::words(60)
    }),
    ("cut-connection", "Breaks the connection after five pieces.", || {
        Script {
            cut_after_chunks: Some(5),
            cut_abruptly: true,
            ..Script::words(60)
        }
    }),
    ("no-finish-reason", "Ends without a finish reason.", || Script {
        omit_finish_reason: true,
        ..script_of_an_answer()
    }),
    ("no-done", "Ends without `[DONE]`.", || Script {
        omit_done: true,
        ..script_of_an_answer()
    }),
    ("empty", "Answers with null as content.", || Script {
        empty: Some(Empty::Content),
        ..Script::default()
    }),
    ("empty-choices", "Answers without choices.", || Script {
        empty: Some(Empty::Choices),
        ..Script::default()
    }),
    ("reasoning", "Reasons, then answers.", || Script {
        reasoning: Some(REASONING.to_owned()),
        ..script_of_an_answer()
    }),
    (
        "everything",
        "Answers with reasoning of several kinds, an image, audio, a citation and an unknown member.",
        everything,
    ),
    ("tools", "Calls your first tool, then answers about its result.", || {
        Script {
            tool_calls: vec![ScriptedCall::default()],
            ..Script::default()
        }
    }),
    (
        "reasoning-tools",
        "Reasons, calls your first tool, and wants its reasoning back.",
        || Script {
            reasoning: Some(REASONING.to_owned()),
            tool_calls: vec![ScriptedCall::default()],
            require_reasoning_details: true,
            ..Script::default()
        },
    ),
    ("html-502", "Fails as a proxy would, with a page.", || {
        let page = "<html><head><title>502 Bad Gateway</title></head><body>x-sandbox: not openrouter.ai</body></html>";
        Script::fail(Failure {
            body: Some(page.to_owned()),
            ..Failure::status(502)
        })
    }),
    ("error-in-200", "Fails with status 200.", || Script {
        error_in_200_body: true,
        ..Script::status(502)
    }),
    (
        "fails-once",
        "Fails with 503 once after the start, then answers.",
        || Script {
            fail_times: Some(1),
            ..Script::fail(overloaded())
        },
    ),
    (
        "affords-200",
        "Answers 402 to a request for more than 200 tokens.",
        || Script {
            affordable_tokens: Some(200),
            ..script_of_an_answer()
        },
    ),
];

const REASONING: &str = "The user asks something. This is the sandbox, so there is nothing to think about; \
                         still, a host wants to see reasoning before the answer.";

fn script_of_an_answer() -> Script {
    Script::words(24)
}

/// All that an answer may hold, so that whoever passes it on can be seen to lose nothing.
fn everything() -> Script {
    Script {
        reasoning_details: vec![
            json!({"type": "reasoning.summary", "summary": "Nothing to think about.", "id": null, "index": 0}),
            json!({
                "type": "reasoning.text", "text": REASONING, "signature": "c2FuZGJveA==", "format": "anthropic-claude-v1",
                "index": 1,
            }),
            json!({
                "type": "reasoning.encrypted", "data": "c2FuZGJveA==", "format": "openai-responses-v1",
                "id": "rs_sandbox", "index": 2,
            }),
        ],
        images: vec![json!({"type": "image_url", "image_url": {"url": "data:image/gif;base64,R0lGODlhAQABAAAAADs="}})],
        audio: Some(object(json!({
            "id": "audio_sandbox", "data": "c2FuZGJveCBzYW5kYm94", "transcript": "This is the sandbox.",
            "expires_at": 1_767_229_200,
        }))),
        annotations: vec![json!({
            "type": "url_citation",
            "url_citation": {
                "url": "https://example.com/", "title": "Example", "content": "An example.", "start_index": 0,
                "end_index": 4,
            },
        })],
        extra: object(json!({"sandbox_member": {"nested": [1, null, "ü"]}})),
        ..script_of_an_answer()
    }
}

fn overloaded() -> Failure {
    Failure {
        retry_after_s: Some(1),
        ..Failure::status(503)
    }
    .availability("temporarily_unavailable", true, &[])
}

/// The failure of `sandbox/status-NNN`, with the headers and members that the service sends with it.
fn failure_of_status(status: u16) -> Failure {
    let failure = Failure::status(status);
    match status {
        403 => Failure {
            metadata: object(json!({
                "reasons": ["sandbox"],
                "flagged_input": "the input",
                "provider_name": "Sandbox",
                "model_slug": "sandbox/status-403",
            })),
            ..failure
        },
        404 => failure.availability("no_endpoints", false, &["sandbox/status-404".to_owned()]),
        429 => Failure {
            retry_after_s: Some(1),
            headers: BTreeMap::from([
                ("x-ratelimit-limit".to_owned(), "20".to_owned()),
                ("x-ratelimit-remaining".to_owned(), "0".to_owned()),
                ("x-ratelimit-reset".to_owned(), "1767225660000".to_owned()),
            ]),
            ..failure.availability("capacity_exhausted", true, &["sandbox/status-429".to_owned()])
        },
        502 | 529 => Failure {
            metadata: object(json!({"provider_name": "Sandbox", "raw": "upstream said no"})),
            ..failure
        },
        503 => overloaded(),
        _ => failure,
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Every built-in model: its id, what it does, its script.
pub(crate) fn scripts() -> impl Iterator<Item = (String, String, Script)> {
    let rows = ROWS
        .iter()
        .map(|(name, does, script)| (format!("sandbox/{name}"), (*does).to_owned(), script()));
    let statuses = DOCUMENTED.iter().map(|row| {
        let script = Script::fail(failure_of_status(row.status));
        (
            format!("sandbox/status-{}", row.status),
            format!("Fails with status {}.", row.status),
            script,
        )
    });
    rows.chain(statuses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_status_has_a_model() {
        let ids: Vec<String> = scripts().map(|(id, ..)| id).collect();
        for status in [400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 502, 503, 524, 529] {
            assert!(
                ids.contains(&format!("sandbox/status-{status}")),
                "{status} has no model"
            );
        }
    }

    #[test]
    fn no_id_stands_twice() {
        let mut ids: Vec<String> = scripts().map(|(id, ..)| id).collect();
        let n_ids = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), n_ids);
    }

    #[test]
    fn a_rate_limit_says_how_long_to_wait() {
        let headers = failure_of_status(429).header_pairs();
        assert!(headers.contains(&("retry-after".to_owned(), "1".to_owned())));
        assert!(headers.contains(&("x-ratelimit-remaining".to_owned(), "0".to_owned())));
    }
}
