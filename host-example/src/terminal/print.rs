//! What people see: text that is safe to print, the line below an answer, tables.
//!
//! The answer goes to stdout and nothing else does; everything for people goes to stderr. A reader of stdout that is
//! gone is never a reason to panic, so that nothing is printed there but from here.

use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Effects, Style};
use plugin_api::{Done, Usage};
use serde::Serialize;

/// Faint text, for what accompanies an answer.
pub const FAINT: Style = Style::new().effects(Effects::DIMMED);
/// For the words of success, warning and error.
pub const GOOD: Style = AnsiColor::Green.on_default();
pub const BAD: Style = AnsiColor::Red.on_default();
pub const DOUBTFUL: Style = AnsiColor::Yellow.on_default();

/// Whether people's colours may be used on stderr: it is a terminal, and neither `NO_COLOR` nor `TERM=dumb` is set.
pub fn stderr_has_colour() -> bool {
    anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never
}

/// The same for stdout.
pub fn stdout_has_colour() -> bool {
    anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
}

/// Takes out of a model's text what a terminal would obey: escape sequences and control characters, also where they are
/// split over two pieces. Line ends and tabs stay.
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
        // The parser knows the control characters of one byte; those of two are told apart here.
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
    /// The harmless part of the next piece.
    pub fn clean(&mut self, text: &str) -> String {
        for byte in text.bytes() {
            self.escapes.advance(&mut self.clean, byte);
        }
        std::mem::take(&mut self.clean.0)
    }
}

/// Cleans a text that is whole.
pub fn clean(text: &str) -> String {
    Cleaner::default().clean(text)
}

/// Cleans a text that is whole and has its place in one line.
pub fn clean_line(text: &str) -> String {
    clean(text).replace(['\n', '\t'], " ")
}

/// Writes to stdout at once.
///
/// - Errors: the reader is gone, or there is no room left for the output.
pub fn try_print(text: &str) -> io::Result<()> {
    try_write(text.as_bytes())
}

/// The same for bytes that need not be text.
pub fn try_write(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// Writes to stdout at once. A reader that is gone, as `head` is, has what it wanted; any other trouble is told.
pub fn print(text: &str) {
    if let Err(cause) = try_print(text)
        && cause.kind() != io::ErrorKind::BrokenPipe
    {
        say(&format!("error: the output cannot be written: {cause}"));
    }
}

/// Writes a line to stdout.
pub fn print_line(line: &str) {
    print(&format!("{line}\n"));
}

/// Writes a value as JSON in several lines to stdout.
pub fn print_json(value: &impl Serialize) {
    print_line(&safe_json(&serde_json::to_string_pretty(value).unwrap_or_default()));
}

/// The same JSON without a character that a terminal would obey: JSON itself escapes those below the blank, here follow
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

/// Writes a line for people.
pub fn say(line: &str) {
    // Nobody is left to be told that stderr is gone.
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// Writes a line in a style, where the terminal has styles.
pub fn say_styled(style: Style, line: &str) {
    say(&format!("{style}{line}{style:#}"));
}

/// Whether somebody is looking at stderr.
pub fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Whether a line on stderr can be taken back.
pub fn stderr_has_cursor() -> bool {
    stderr_is_terminal() && std::env::var_os("TERM").is_none_or(|name| name != "dumb")
}

/// The line below an answer: model, provider, times, tokens, cost. What is unknown is said to be unknown.
pub fn footer(done: &Done) -> String {
    let mut parts = Vec::new();
    let served = done
        .model
        .as_deref()
        .or(done.requested_model.as_deref())
        .unwrap_or("unknown model");
    let via = done
        .provider
        .as_deref()
        .map(|provider| format!(" via {provider}"))
        .unwrap_or_default();
    parts.push(format!("{}{}", clean(served), clean(&via)));
    if let Some(asked) = done
        .requested_model
        .as_deref()
        .filter(|asked| is_another(asked, served))
    {
        parts.push(format!("asked for {}", clean(asked)));
    }
    if done.attempts.len() > 1 {
        parts.push(format!("{} attempts", done.attempts.len()));
    }
    match done.time_to_first_token_ms {
        Some(first_ms) => parts.push(format!("first token {}", seconds(first_ms))),
        None => parts.push(format!("took {}", seconds(done.duration_ms))),
    }
    match &done.usage {
        Some(usage) => {
            parts.extend(speed(usage, done));
            parts.push(tokens(usage));
            parts.push(match &usage.cost_usd {
                Some(cost) => format!("${}", clean(cost)),
                None => "cost unknown".to_owned(),
            });
        }
        None => parts.push("tokens and cost unknown".to_owned()),
    }
    if done.finish_reason != "stop" {
        parts.push(format!("ended by {}", clean(&done.finish_reason)));
    }
    parts.join(" · ")
}

/// Whether another model served than was asked for. A variant such as `:nitro` and a date behind the name are no other
/// model.
fn is_another(asked: &str, served: &str) -> bool {
    let base = asked.split(':').next().unwrap_or(asked);
    !served.starts_with(base)
}

/// A time, for people.
pub fn seconds(milliseconds: u64) -> String {
    if milliseconds < 1000 {
        return format!("{milliseconds} ms");
    }
    format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100)
}

/// The shortest time that a speed is told for; below it, the figure says more about buffers than about the model.
const MIN_WRITING_MS: u64 = 100;

/// Tokens per second from the first token on; an answer in one piece has no such time.
fn speed(usage: &Usage, done: &Done) -> Option<String> {
    let writing_ms = done.duration_ms.checked_sub(done.time_to_first_token_ms?)?;
    if writing_ms < MIN_WRITING_MS || usage.completion_tokens == 0 {
        return None;
    }
    let per_second = (usage.completion_tokens * 1000).div_ceil(writing_ms);
    Some(format!("{per_second} tok/s"))
}

fn tokens(usage: &Usage) -> String {
    let mut text = format!("{}→{} tokens", usage.prompt_tokens, usage.completion_tokens);
    let cached = usage
        .cached_tokens
        .filter(|count| *count > 0)
        .map(|count| format!("{count} cached"));
    let reasoning = usage
        .reasoning_tokens
        .filter(|count| *count > 0)
        .map(|count| format!("{count} reasoning"));
    let asides: Vec<String> = cached.into_iter().chain(reasoning).collect();
    if !asides.is_empty() {
        text.push_str(&format!(" ({})", asides.join(", ")));
    }
    text
}

/// Breaks a line where it would be wider than this, and indents what follows.
pub fn wrapped(text: &str, max_chars: usize, indent: usize) -> String {
    let mut lines = String::new();
    let mut width = 0;
    for word in text.split_inclusive(' ') {
        let length = word.trim_end().chars().count();
        if width > indent && width + length > max_chars {
            lines.truncate(lines.trim_end().len());
            lines.push('\n');
            lines.push_str(&" ".repeat(indent));
            width = indent;
        }
        lines.push_str(word);
        width += word.chars().count();
    }
    lines
}

/// A table with columns as wide as their widest cell. The cells are cleaned.
pub fn table(rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| clean_line(cell)).collect())
        .collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_never_reach_the_terminal_even_in_pieces() {
        let hostile = "a\x1b[31mred\x1b[0m\x1b]0;title\x07b\x1bP1;2q\x1b\\c\u{9b}31md\x08\x07\re\tf\n\x7f";
        let whole = clean(hostile);
        assert!(
            !whole
                .chars()
                .any(|letter| letter.is_control() && !matches!(letter, '\n' | '\t')),
            "{whole:?}"
        );
        assert_eq!(whole, "ared".to_owned() + "bc31mde\tf\n");
        for at in (0..hostile.len()).filter(|at| hostile.is_char_boundary(*at)) {
            let mut cleaner = Cleaner::default();
            let (first, second) = hostile.split_at(at);
            assert_eq!(cleaner.clean(first) + &cleaner.clean(second), whole, "split at {at}");
        }
    }

    #[test]
    fn json_has_no_character_that_a_terminal_obeys_and_means_the_same() {
        let hostile = serde_json::json!({"a\u{9b}31m": "\x1b]0;x\x07 \u{7f}\u{80}\u{9f}\u{a0}é"});
        let safe = safe_json(&hostile.to_string());
        assert!(!safe.contains(char::is_control), "{safe:?}");
        assert!(
            safe.contains("\\u007f\\u0080\\u009f\u{a0}é") && safe.contains("a\\u009b31m"),
            "{safe}"
        );
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).ok(), Some(hostile));
    }

    #[test]
    fn a_table_has_no_escape_sequences_and_one_line_for_each_row() {
        let row = ["a\x1b[31m\nb", "\u{9b}c\x07"].map(str::to_owned).to_vec();
        assert_eq!(table(&[row]), "a b  c\n");
    }

    #[test]
    fn the_footer_says_what_is_known_and_what_is_not() {
        let mut done = Done {
            finish_reason: "stop".to_owned(),
            requested_model: Some("acme/large:nitro".to_owned()),
            model: Some("acme/large-2025".to_owned()),
            provider: Some("Acme".to_owned()),
            time_to_first_token_ms: Some(820),
            duration_ms: 2820,
            usage: Some(Usage {
                prompt_tokens: 1200,
                completion_tokens: 340,
                cached_tokens: Some(900),
                reasoning_tokens: Some(0),
                cost_usd: Some("0.0041".to_owned()),
                ..Usage::default()
            }),
            ..Done::default()
        };
        assert_eq!(
            footer(&done),
            "acme/large-2025 via Acme · first token 820 ms · 170 tok/s · 1200→340 tokens (900 cached) · $0.0041"
        );
        done.model = Some("other/model".to_owned());
        done.attempts = vec![Default::default(); 2];
        done.provider = None;
        done.usage = None;
        done.finish_reason = "length".to_owned();
        assert_eq!(
            footer(&done),
            "other/model · asked for acme/large:nitro · 2 attempts · first token 820 ms · tokens and cost unknown · ended by length"
        );
    }
}
