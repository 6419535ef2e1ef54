use plugin_api::ChatReply;

use super::outcome::answered;
use super::*;

#[test]
fn costs_are_added_up_and_unknown_ones_are_counted() {
    let cost = calc::sum(["0.1", "0.02"]);
    assert_eq!(cost.as_deref(), Some("0.12"));
    assert_eq!(calc::sum(["much"]), None);
    let line = |n_unknown| cost_line(cost.clone(), n_unknown);
    assert_eq!(line(0).as_deref(), Some("total cost: $0.12"));
    assert_eq!(
        line(2).as_deref(),
        Some("total cost: $0.12, plus 2 answers of unknown cost")
    );
    assert_eq!(cost_line(None, 0), None);
}

#[test]
fn only_an_answer_without_text_is_doubtful() {
    let done =
        r#"{"finish_reason": "length", "model": "acme/small", "usage": {"prompt_tokens": 9, "completion_tokens": 3}}"#;
    let mut reply = ChatReply {
        done: serde_json::from_str(done).expect("a Done"),
        ..ChatReply::default()
    };
    assert!(matches!(
        answered(reply.clone()).0,
        Outcome::Doubtful(summary, _) if summary == "an answer without text, finish reason length: acme/small, 9→3 tokens, cost unknown"
    ));
    reply.text = "pong".to_owned();
    assert!(matches!(answered(reply).0, Outcome::Ok(_)));
}
