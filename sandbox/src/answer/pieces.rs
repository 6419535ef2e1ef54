//! Cuts texts into the pieces of a stream.

use std::iter;

/// Most pieces that arguments of tool calls and parts of audio are cut into.
const FEW: usize = 4;

/// Cuts `text` into pieces of `chars` characters, or of one word with the space before it. Joined, they give the text.
pub(crate) fn pieces(text: &str, chars: Option<usize>) -> impl Iterator<Item = &str> {
    let mut rest = text;
    iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = match chars {
            Some(chars) => rest.char_indices().nth(chars.max(1)).map(|(at, _)| at),
            None => rest
                .trim_start()
                .find(char::is_whitespace)
                .map(|at| at + rest.len() - rest.trim_start().len()),
        };
        let (piece, tail) = rest.split_at(end.unwrap_or(rest.len()));
        rest = tail;
        Some(piece)
    })
}

/// Cuts `text` into at most [`FEW`] pieces of equal length, a multiple of `step` characters.
pub(crate) fn few_pieces(text: &str, step: usize) -> impl Iterator<Item = &str> {
    let chars = text.chars().count().div_ceil(FEW);
    pieces(text, Some(chars.next_multiple_of(step.max(1)).max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_pieces_give_the_text() {
        for text in ["", "a", " a  b\nc ", "äöü 日本語", "   "] {
            for chars in [None, Some(0), Some(1), Some(3)] {
                assert_eq!(pieces(text, chars).collect::<String>(), text, "{text:?} {chars:?}");
            }
            assert_eq!(few_pieces(text, 4).collect::<String>(), text, "{text:?}");
        }
        assert_eq!(few_pieces("123456789", 1).collect::<Vec<_>>(), ["123", "456", "789"]);
    }
}
