//! Problems of a profile file, and their reports for people and programs.
//!
//! In: the findings of the check and of the parser. Out: text with the place of each
//! problem, or JSON. The text that is shown has its keys hidden before it comes here.

use std::fmt;
use std::fmt::Write;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use anstyle::Style;
use serde::Serialize;
use serde_json::{Value, json};

use crate::terminal::{self, BAD, DOUBTFUL, counted};

/// How many characters an excerpt shows on each side of the place.
const PICTURE_CHARS: usize = 100;

/// Whether a problem stops the profile from being used.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The profile is refused.
    #[default]
    Error,
    /// The profile is still used.
    Warning,
}

/// One thing that is wrong, and where.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Problem {
    /// JSON pointer to the place, in the spelling of the file; empty for the whole file.
    pub pointer: String,
    /// The place in bytes of the text, counted without a byte order mark.
    pub range: Range<usize>,
    /// Line, from 1; 0 if the file could not be read at all.
    pub line: usize,
    /// Column in characters, from 1; 0 if the file could not be read at all.
    pub column: usize,
    /// What was expected, then what was found. Never holds a key.
    pub message: String,
    /// The remedy, if one is known.
    pub hint: Option<String>,
    /// Error or warning.
    pub severity: Severity,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "{}:{}: ", self.line, self.column)?;
        }
        f.write_str(&self.sentence())
    }
}

impl Problem {
    fn sentence(&self) -> String {
        let warning = if self.severity == Severity::Warning {
            "warning: "
        } else {
            ""
        };
        if self.pointer.is_empty() {
            return format!("{warning}{}", visible(&self.message));
        }
        format!("{warning}at {}: {}", shortened(&self.pointer), visible(&self.message))
    }
}

/// All problems of one file.
#[derive(Debug, Clone)]
pub struct Report {
    /// The file, as the caller named it.
    pub file: String,
    /// The problems, in order of their places.
    pub problems: Vec<Problem>,
    /// Whether the text is not in the file yet, so that no editor can show the places.
    pub is_planned: bool,
    /// What the file holds.
    noun: &'static str,
    text: String,
}

impl Report {
    /// - In: a text whose keys are already hidden.
    pub(super) fn new(file: &str, masked_text: String, problems: Vec<Problem>) -> Report {
        Report {
            file: file.to_owned(),
            problems,
            is_planned: false,
            noun: "profile",
            text: masked_text,
        }
    }

    /// The same report of a file that holds something else.
    pub fn of_a(mut self, noun: &'static str) -> Report {
        self.noun = noun;
        self
    }

    /// Whether any problem is an error.
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// The report for people: a line, a picture of the place and a hint for each problem.
    ///
    /// - In: `colour`, whether to add ANSI colours; the words are the same.
    /// - Out: several lines, the last one without its end.
    pub fn render(&self, colour: bool) -> String {
        let (word, style) = if self.has_errors() {
            ("error", BAD.bold())
        } else {
            ("warning", DOUBTFUL.bold())
        };
        let [bold, style] = [Style::new().bold(), style].map(|style| if colour { style } else { Style::new() });
        let file = shortened(&self.file);
        let problems = counted(self.problems.len(), "problem");
        let has = if self.is_planned { "would have" } else { "has" };
        let mut out = format!("{style}{word}{style:#}: {} `{file}` {has} {problems}", self.noun);
        for problem in &self.problems {
            let place = match problem.line {
                _ if self.is_planned => "with this change".to_owned(),
                0 => file.clone(),
                line => format!("{file}:{line}:{}", problem.column),
            };
            // Writing to a string cannot fail.
            let _ = write!(out, "\n{bold}{place}{bold:#}: {}", problem.sentence());
            if problem.line > 0 && !self.text.is_empty() {
                let _ = write!(out, "\n{}", self.picture(problem, colour));
            }
            if let Some(hint) = &problem.hint {
                let _ = write!(out, "\n{bold}hint{bold:#}: {}", visible(hint));
            }
        }
        out
    }

    /// The report for programs: `{file, problems: [{pointer, line, column, length, message, hint,
    /// severity}]}`; `length` in characters.
    pub fn to_json(&self) -> Value {
        let problems = self.problems.iter().map(|problem| {
            let length = self
                .text
                .get(problem.range.clone())
                .map_or(0, |place| place.chars().count());
            json!({
                "pointer": problem.pointer,
                "line": problem.line,
                "column": problem.column,
                "length": length,
                "message": problem.message,
                "hint": problem.hint,
                "severity": problem.severity,
            })
        });
        json!({ "file": self.file, "problems": problems.collect::<Vec<_>>() })
    }

    /// The line of the problem with marks under the place; an excerpt if the line is long.
    fn picture(&self, problem: &Problem, colour: bool) -> String {
        let at = problem.range.start.min(self.text.len());
        let line_start = self.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = self.text[at..]
            .find(['\r', '\n'])
            .map_or(self.text.len(), |length| at + length);
        let start = back(&self.text, at, PICTURE_CHARS).max(line_start);
        let end = forth(&self.text, at, PICTURE_CHARS).min(line_end);
        let marked_end = problem.range.end.clamp(at, end);
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mark = AnnotationKind::Primary.span(at - start..marked_end - start);
        // The library shows every other control character. The dot has as many bytes as these, so the place stays.
        let source = self.text[start..end].replace(|letter| matches!(letter, '\u{80}'..='\u{9f}'), "·");
        let snippet = Snippet::source(source).line_start(problem.line).annotation(mark);
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let groups = [Group::with_level(level).element(snippet)];
        renderer.decor_style(DecorStyle::Ascii).render(&groups)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

/// `text` without characters that would act on a terminal, and not endless.
pub(super) fn shortened(text: &str) -> String {
    let text = terminal::shortened(text, 4 * PICTURE_CHARS);
    visible(&text).replace('\n', "\\u{a}")
}

/// A whole message without characters that would act on a terminal; some of its words are a plugin's.
fn visible(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        if character != '\n' && (character.is_control() || terminal::is_unseen(character)) {
            out.extend(character.escape_unicode());
        } else {
            out.push(character);
        }
    }
    out
}

fn back(text: &str, at: usize, chars: usize) -> usize {
    text[..at]
        .char_indices()
        .rev()
        .take(chars)
        .last()
        .map_or(at, |(index, _)| index)
}

fn forth(text: &str, at: usize, chars: usize) -> usize {
    text[at..]
        .char_indices()
        .nth(chars)
        .map_or(text.len(), |(length, _)| at + length)
}
