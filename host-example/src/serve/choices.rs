//! Gives every chunk of a chat stream a choice. Pure.
//!
//! Services send the usage in a chunk with `"choices": []`, whether it was asked for or not. Clients that did not ask
//! for it read `choices[0]` of every chunk, and fail there.

use super::route::Dialect;

const NAME: &str = "\"choices\"";

/// What replaces an empty list of choices, in a form whose chunks have choices.
pub fn empty_choice(dialect: Dialect) -> Option<&'static str> {
    match dialect {
        Dialect::Chat => Some(r#"[{"index":0,"delta":{},"finish_reason":null}]"#),
        Dialect::Completions => Some(r#"[{"index":0,"text":"","finish_reason":null}]"#),
        Dialect::Responses | Dialect::Messages | Dialect::Other => None,
    }
}

/// The piece with `choice` for every empty list of choices; `None` if it has no such list.
///
/// - In: whole events. In a string, the quotes around the name would be escaped, so only members match.
pub fn filled(piece: &str, choice: &str) -> Option<String> {
    let mut text = String::new();
    let mut copied = 0;
    for (at, _) in piece.match_indices(NAME) {
        let rest = piece[at + NAME.len()..].trim_start();
        let Some(value) = rest.strip_prefix(':').map(str::trim_start) else {
            continue;
        };
        let behind = match value.strip_prefix('[') {
            Some(inside) => inside.trim_start().strip_prefix(']'),
            None => value.strip_prefix("null"),
        };
        if let Some(behind) = behind {
            text.push_str(&piece[copied..piece.len() - value.len()]);
            text.push_str(choice);
            copied = piece.len() - behind.len();
        }
    }
    (copied > 0).then(|| text + &piece[copied..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_empty_lists_of_choices_are_filled() {
        for (piece, expected) in [
            (
                r#"data: {"choices":[],"usage":{"a":1.50}}"#,
                r#"data: {"choices":C,"usage":{"a":1.50}}"#,
            ),
            (
                "data: { \"choices\" : [ ] }\n\n: x\n\n",
                "data: { \"choices\" : C }\n\n: x\n\n",
            ),
            (
                "data: {\"choices\":null}\n\ndata: {\"choices\":[{}]}\n\ndata: {\"choices\":[]}\n\n",
                "data: {\"choices\":C}\n\ndata: {\"choices\":[{}]}\n\ndata: {\"choices\":C}\n\n",
            ),
        ] {
            assert_eq!(filled(piece, "C").as_deref(), Some(expected));
        }
        for piece in [
            r#"data: {"choices":[{"delta":{"content":"\"choices\":[]"}}]}"#,
            r#"data: {"content":"choices","x":"\"choices\""}"#,
            "data: [DONE]\n\n",
            "",
        ] {
            assert_eq!(filled(piece, "C"), None, "{piece}");
        }
    }
}
