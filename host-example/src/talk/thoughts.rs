//! The model's thoughts on stderr: behind a bar while they arrive, and folded to one line when the answer begins.

use std::time::Instant;

use clap::ValueEnum;

use crate::terminal::{self, Cleaner, Draft, FAINT, Page, plain_rows};

/// How much of a model's reasoning is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Reasoning {
    /// All of it, and it stays
    Show,
    /// Its last lines while the model thinks, then one line
    Brief,
    /// Nothing
    Hide,
}

/// How many rows are shown of thoughts that will be folded.
const BRIEF_ROWS: usize = 4;
/// How much of them is kept, in bytes; more than fits into the rows.
const BRIEF_BYTES: usize = 4096;
/// English has about four letters per token. The exact number comes with the end of the answer.
const LETTERS_PER_TOKEN: usize = 4;

/// The thoughts that come before a part of an answer.
pub struct Thoughts {
    reasoning: Reasoning,
    cleaner: Cleaner,
    /// When the first one arrived.
    begun: Option<Instant>,
    n_letters: usize,
    /// What may still change on the screen.
    open: String,
    draft: Draft,
}

impl Thoughts {
    pub fn new(reasoning: Reasoning) -> Self {
        Self {
            reasoning,
            cleaner: Cleaner::default(),
            begun: None,
            n_letters: 0,
            open: String::new(),
            draft: Draft::default(),
        }
    }

    /// Whether thoughts appear as they arrive.
    pub fn are_visible(&self) -> bool {
        match self.reasoning {
            Reasoning::Show => true,
            Reasoning::Brief => terminal::stderr_has_cursor(),
            Reasoning::Hide => false,
        }
    }

    /// Whether some were shown that are not ended.
    pub fn are_open(&self) -> bool {
        self.begun.is_some()
    }

    pub fn add(&mut self, text: &str) {
        let clean = self.cleaner.clean(text);
        if self.reasoning == Reasoning::Hide || (self.begun.is_none() && clean.trim().is_empty()) {
            return;
        }
        self.begun.get_or_insert_with(Instant::now);
        self.n_letters += clean.chars().count();
        if !terminal::stderr_has_cursor() {
            if self.reasoning == Reasoning::Show {
                terminal::say_part(&format!("{FAINT}{clean}{FAINT:#}"));
            }
            return;
        }
        self.open.push_str(&clean);
        let bytes = self.shown(Page::of_stderr());
        terminal::say_part(&bytes);
    }

    /// Ends these thoughts, with one line about them unless all of them stayed on the screen.
    pub fn end(&mut self) {
        let Some(begun) = self.begun.take() else { return };
        let line = format!(
            "✻ thought {} · ~{} tokens",
            terminal::seconds(terminal::time::elapsed_ms(begun)),
            self.n_letters.div_ceil(LETTERS_PER_TOKEN)
        );
        if !terminal::stderr_has_cursor() {
            return terminal::say(match self.reasoning {
                Reasoning::Show => "",
                _ => &line,
            });
        }
        let page = Page::of_stderr();
        let mut done = vec![page.styled(FAINT, &page.text(&line))];
        if self.reasoning == Reasoning::Show {
            done = [rows(self.open.trim_end(), page), done].concat();
        }
        terminal::say_part(&self.draft.replace(done, Vec::new(), page.rows));
        *self = Self::new(self.reasoning);
    }

    /// The bytes that show what is open.
    fn shown(&mut self, page: Page) -> String {
        if self.reasoning == Reasoning::Brief {
            let excess = self.open.len().saturating_sub(BRIEF_BYTES);
            // Rows above a line break do not depend on what stands before them.
            if let Some(at) = self.open.as_bytes()[..excess].iter().rposition(|byte| *byte == b'\n') {
                self.open.drain(..=at);
            }
            let all = rows(&self.open, page);
            let last = all[all.len().saturating_sub(BRIEF_ROWS)..].to_vec();
            return self.draft.replace(Vec::new(), last, page.rows);
        }
        let end = self.open.rfind('\n').map_or(0, |at| at + 1);
        let whole: String = self.open.drain(..end).collect();
        let done = if whole.is_empty() {
            Vec::new()
        } else {
            rows(whole.trim_end_matches('\n'), page)
        };
        self.draft.replace(done, rows(&self.open, page), page.rows)
    }
}

/// The rows of a text behind a bar.
fn rows(text: &str, page: Page) -> Vec<String> {
    let bar = page.text("│ ");
    let columns = page.columns.map(|columns| columns.saturating_sub(2));
    let rows = plain_rows(text, Page { columns, ..page });
    rows.iter()
        .map(|row| page.styled(FAINT, format!("{bar}{row}").trim_end()))
        .collect()
}
