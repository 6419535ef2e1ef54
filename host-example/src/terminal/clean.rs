//! Text that is safe to print: without the sequences and characters that a terminal would obey. Pure.

/// Removes from a model's text what a terminal would obey: escape sequences and control characters, even if they are
/// split across pieces. Newlines and tabs stay.
#[derive(Default)]
pub struct Cleaner {
    escapes: anstyle_parse::Parser,
    clean: Printed,
}

/// What is left of a text for people to read.
#[derive(Default)]
struct Printed(String);

impl anstyle_parse::Perform for Printed {
    fn print(&mut self, letter: char) {
        // The parser handles control characters of one byte; those of two bytes are dropped here.
        if !letter.is_control() {
            self.0.push(letter);
        }
    }

    fn execute(&mut self, byte: u8) {
        if matches!(byte, b'\n' | b'\t') {
            self.0.push(byte.into());
        }
    }
}

impl Cleaner {
    /// Returns the harmless part of the next piece.
    pub fn clean(&mut self, text: &str) -> String {
        for byte in text.bytes() {
            self.escapes.advance(&mut self.clean, byte);
        }
        std::mem::take(&mut self.clean.0)
    }
}

/// Cleans a whole text.
pub fn clean(text: &str) -> String {
    Cleaner::default().clean(text)
}

/// Cleans a whole text and puts it on one line.
pub fn clean_line(text: &str) -> String {
    visible(&clean(text).replace(['\n', '\t'], " "))
}

/// Shows each character that [`is_unseen`] as its number, such as `\u{202e}`, so that a name or a message looks like
/// what it is. Not for answers: scripts and emoji need these characters.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            letter if is_unseen(letter) => shown.extend(letter.escape_unicode()),
            letter => shown.push(letter),
        }
    }
    shown
}

/// Whether a character has no shape of its own but turns, joins or hides its neighbours, or is blank where nobody
/// expects it: the property `Default_Ignorable_Code_Point`, which includes `Bidi_Control`.
///
/// Source: Unicode 17, `DerivedCoreProperties.txt`.
pub fn is_unseen(letter: char) -> bool {
    matches!(
        letter,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Cuts a text that is longer than `max_chars`, and ends it with `…`.
pub fn shortened(text: &str, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The same JSON without control characters: JSON itself escapes those below U+0020, this escapes
/// U+007F to U+009F.
pub fn safe_json(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for letter in json.chars() {
        match letter {
            // They can only stand within a text, where the escape means the same.
            '\u{7f}'..='\u{9f}' => safe.push_str(&format!("\\u{:04x}", u32::from(letter))),
            letter => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_never_reach_the_terminal_even_in_pieces() {
        let hostile = "a\x1b[31mred\x1b[0m\x1b]0;title\x07b\x1bP1;2q\x1b\\c\u{9b}31md\x08\x07\re\tf\n\x7f";
        let whole = clean(hostile);
        assert_eq!(whole, "ared".to_owned() + "bc31mde\tf\n");
        for at in (0..hostile.len()).filter(|at| hostile.is_char_boundary(*at)) {
            let mut cleaner = Cleaner::default();
            let (first, second) = hostile.split_at(at);
            assert_eq!(cleaner.clean(first) + &cleaner.clean(second), whole, "split at {at}");
        }
    }

    #[test]
    fn characters_that_turn_or_hide_others_are_visible_in_lines_and_stay_in_answers() {
        let hidden =
            "\u{61c}\u{200b}\u{200f}\u{202a}\u{202e}\u{2066}\u{2069}\u{feff}\u{2060}\u{3164}\u{e0041}\u{34f}\u{ad}";
        assert_eq!(clean(hidden), hidden);
        assert_eq!(clean_line(hidden), hidden.escape_unicode().to_string());
        let others = "e\u{301} \u{200a}\u{2010}\u{2029}\u{2070}\u{fff9}";
        assert_eq!(clean_line(others), others);
    }

    #[test]
    fn safe_json_has_no_control_characters_and_the_same_meaning() {
        let hostile = serde_json::json!({"a\u{9b}31m": "\x1b]0;x\x07 \u{7f}\u{80}\u{9f}\u{a0}é"});
        let safe = safe_json(&hostile.to_string());
        assert!(!safe.contains(char::is_control), "{safe:?}");
        assert!(
            safe.contains("\\u007f\\u0080\\u009f\u{a0}é") && safe.contains("a\\u009b31m"),
            "{safe}"
        );
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).ok(), Some(hostile));
    }
}
