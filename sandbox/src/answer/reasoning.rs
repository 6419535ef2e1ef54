//! What a model thinks before it answers: a text, and the details that clients may have to send back.
//!
//! Pure. Cuts details for a stream and compares two lists of them.

use serde_json::{Value, json};

use super::pieces::pieces;
use crate::script::Script;

/// The reasoning of a script, as text and as details.
pub(crate) fn of(script: &Script) -> (Option<String>, Vec<Value>) {
    if script.reasoning_details.is_empty() {
        let detail = |text| json!({"type": "reasoning.text", "text": text, "format": "unknown", "index": 0});
        let details = script.reasoning.iter().map(detail).collect();
        return (script.reasoning.clone(), details);
    }
    let details = script.reasoning_details.clone();
    let text: String = details.iter().filter_map(said_in).map(|(_, text)| text).collect();
    (Some(text).filter(|text| !text.is_empty()), details)
}

/// The member of a detail that holds words, and the words.
pub(crate) fn said_in(detail: &Value) -> Option<(&'static str, &str)> {
    let member = match detail["type"].as_str()? {
        "reasoning.text" => "text",
        "reasoning.summary" => "summary",
        _ => return None,
    };
    detail[member].as_str().map(|text| (member, text))
}

/// The reasoning in pieces: the words of each piece, if any, and its detail.
pub(crate) fn pieces_of(script: &Script, details: &[Value]) -> Vec<(Option<String>, Value)> {
    let mut all = Vec::new();
    for detail in details {
        let Some((member, text)) = said_in(detail) else {
            all.push((None, detail.clone()));
            continue;
        };
        let mut bare = detail.clone();
        let signature = bare.as_object_mut().and_then(|members| members.remove("signature"));
        for piece in pieces(text, script.chunk_chars) {
            let mut carrier = bare.clone();
            carrier[member] = json!(piece);
            all.push((Some(piece.to_owned()), carrier));
        }
        if let Some(signature) = signature {
            if let Some(members) = bare.as_object_mut() {
                members.remove(member);
            }
            bare["signature"] = signature;
            all.push((None, bare));
        }
    }
    all
}

/// The kind, the words or data, and the signature of each detail, however they were cut.
///
/// Lists with the same gist are the same reasoning. Ignores members that clients may drop.
pub(crate) fn gist_of(details: &[Value]) -> Vec<(String, String, Option<String>)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let mut all: Vec<(String, String, Option<String>)> = Vec::new();
    let mut last_index = &Value::Null;
    for detail in details {
        let kind = text(&detail["type"]).unwrap_or_default();
        let words = ["text", "summary", "data"].iter().find_map(|name| text(&detail[name]));
        let signature = text(&detail["signature"]);
        let goes_on = kind != "reasoning.encrypted" && *last_index == detail["index"];
        last_index = &detail["index"];
        match all.last_mut() {
            Some((last, said, signed)) if goes_on && *last == kind && signed.is_none() => {
                said.push_str(&words.unwrap_or_default());
                *signed = signature;
            }
            _ => all.push((kind, words.unwrap_or_default(), signature)),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_reasoning_has_the_same_gist() {
        let script = Script {
            reasoning_details: vec![
                json!({"type": "reasoning.summary", "summary": "in short", "index": 0}),
                json!({"type": "reasoning.text", "text": "at length", "signature": "s", "index": 1}),
                json!({"type": "reasoning.text", "text": "and more", "index": 2}),
                json!({"type": "reasoning.encrypted", "data": "x", "index": 3}),
            ],
            ..Script::default()
        };
        let (text, details) = of(&script);
        assert_eq!(text.as_deref(), Some("in shortat lengthand more"));
        let cut: Vec<Value> = pieces_of(&script, &details)
            .into_iter()
            .map(|(_, detail)| detail)
            .collect();
        assert_eq!(cut.len(), 8);
        assert_eq!(gist_of(&cut), gist_of(&details));
        assert_ne!(gist_of(&cut[1..]), gist_of(&details));
    }
}
