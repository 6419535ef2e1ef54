//! Cuts Markdown that arrives in pieces into blocks that are finished. Pure: knows no terminal.
//!
//! In: text, cut anywhere. Out: finished blocks, each of which can be read by itself. A block is finished when the next
//! one begins, because no later line can change it then; so is an item of a list, and each line of a code block.
//! Links whose address stands elsewhere in the text stay as they are written.

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag};

/// A finished part of the text.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// A block, or one item of a list. `number` is that of an item of an ordered list.
    Block { markdown: String, number: Option<u64> },
    /// An empty line between two blocks.
    Gap,
    /// The line that begins a code block, such as "```rust", and its language.
    CodeBegins { fence: String, language: String },
    /// A line of the code.
    Code(String),
    /// The line that ends it.
    CodeEnds(String),
}

/// The longest block, in bytes; a longer one is cut at the end of a line.
const MAX_BLOCK_BYTES: usize = 16 << 10;

/// Collects text until blocks are finished.
#[derive(Default)]
pub struct Pieces {
    /// What is not finished.
    open: String,
    /// That of the code block that is being written.
    fence: Option<Fence>,
    /// The number of the item that `open` begins with.
    next_number: Option<u64>,
    has_begun: bool,
}

struct Fence {
    indent: usize,
    letter: char,
    length: usize,
}

/// Where a block or an item begins.
#[derive(Default)]
struct Start {
    at: usize,
    /// For an item, which list it belongs to.
    list: Option<usize>,
    number: Option<u64>,
    /// The language of a code block with fences.
    language: Option<String>,
}

/// The extensions of Markdown that models use.
pub fn options() -> Options {
    Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS
}

impl Pieces {
    /// Adds the next text, and returns what it finished.
    pub fn add(&mut self, text: &str) -> Vec<Piece> {
        self.open.push_str(text);
        let mut finished = Vec::new();
        // Only a whole line can finish something.
        if text.contains('\n') {
            while self.step(&mut finished) {}
        }
        finished
    }

    /// Ends the text, and returns the rest.
    pub fn end(&mut self) -> Vec<Piece> {
        let is_within_a_line = !self.open.is_empty() && !self.open.ends_with('\n');
        let mut finished = self.add(if is_within_a_line { "\n" } else { "" });
        if !self.open.trim().is_empty() {
            let length = self.open.len();
            let start = starts(self.open.trim_start_matches('\n')).swap_remove(0);
            self.finish(length, start, None, &mut finished);
        }
        *self = Self::default();
        finished
    }

    /// What is not finished, as it is written.
    pub fn open(&self) -> &str {
        &self.open
    }

    /// Finishes one part; false if none is whole.
    fn step(&mut self, finished: &mut Vec<Piece>) -> bool {
        let Some(whole_bytes) = self.open.rfind('\n').map(|at| at + 1) else {
            return false;
        };
        if self.fence.is_some() {
            return self.code_line(finished);
        }
        // Of the empty lines in front, one stays, unless nothing is above them.
        let blank_bytes = blank_bytes(&self.open[..whole_bytes]);
        let gap = if self.has_begun && blank_bytes > 0 { "\n" } else { "" };
        self.open.replace_range(..blank_bytes, gap);
        let whole = &self.open[gap.len()..whole_bytes - blank_bytes + gap.len()];
        let window = match whole.char_indices().nth(MAX_BLOCK_BYTES) {
            Some((limit, _)) => &whole[..limit + whole[limit..].find('\n').map_or(0, |at| at + 1)],
            None => whole,
        };
        if window.is_empty() {
            return false;
        }
        let is_full = window.len() < whole.len();
        let mut starts = starts(window).into_iter();
        let Some(first) = starts.next() else { return false };
        let second = starts.next();
        let end = match &second {
            _ if first.language.is_some() => window.find('\n').map_or(window.len(), |at| at + 1),
            Some(second) => second.at,
            None if is_full => window.len(),
            None => return false,
        };
        self.finish(gap.len() + end, first, second, finished);
        true
    }

    /// Finishes what `open` begins with, up to this byte.
    fn finish(&mut self, end: usize, first: Start, second: Option<Start>, finished: &mut Vec<Piece>) {
        let has_gap = self.open.starts_with('\n') && self.has_begun;
        finished.extend(has_gap.then_some(Piece::Gap));
        let markdown = self.open[..end].trim_start_matches('\n').trim_end().to_owned();
        // Empty lines below are the gap in front of what follows.
        let below = self.open[..end].trim_end().len();
        let line_end = self.open[below..end].find('\n').map_or(end, |at| below + at + 1);
        self.open.drain(..line_end);
        self.has_begun = true;
        let number = self
            .next_number
            .take()
            .filter(|_| first.list.is_some())
            .or(first.number);
        if let Some(language) = first.language {
            let fence = markdown.trim_start();
            let letter = fence.chars().next().unwrap_or('`');
            self.fence = Some(Fence {
                indent: markdown.len() - fence.len(),
                letter,
                length: fence.chars().take_while(|other| *other == letter).count(),
            });
            finished.push(Piece::CodeBegins {
                fence: fence.to_owned(),
                language,
            });
            return;
        }
        let is_same_list = first.list.is_some() && second.is_some_and(|second| second.list == first.list);
        self.next_number = number.filter(|_| is_same_list).map(|number| number + 1);
        finished.push(Piece::Block { markdown, number });
    }

    fn code_line(&mut self, finished: &mut Vec<Piece>) -> bool {
        let (Some(fence), Some(end)) = (&self.fence, self.open.find('\n')) else {
            return false;
        };
        let line: String = self.open.drain(..=end).take(end).collect();
        let bare = line.trim_start_matches(' ');
        let indent = line.len() - bare.len();
        let is_end = indent < 4
            && bare.chars().take_while(|letter| *letter == fence.letter).count() >= fence.length
            && bare.trim_start_matches(fence.letter).trim().is_empty();
        if is_end {
            self.fence = None;
            finished.push(Piece::CodeEnds(bare.trim_end().to_owned()));
        } else {
            finished.push(Piece::Code(line[indent.min(fence.indent)..].to_owned()));
        }
        true
    }
}

/// The language that stands behind a fence: `rust` of `rust,ignore`.
pub fn language_of(info: &str) -> &str {
    info.split([' ', ',', '{']).next().unwrap_or_default()
}

/// How many bytes of empty lines a text begins with.
fn blank_bytes(text: &str) -> usize {
    let blank = text.split_inclusive('\n').take_while(|line| line.trim().is_empty());
    blank.map(str::len).sum()
}

/// Where the blocks and items of a text begin; the first one is its beginning.
fn starts(text: &str) -> Vec<Start> {
    let mut starts = vec![Start::default()];
    let mut depth = 0;
    let mut list: Option<(usize, Option<u64>)> = None;
    for (event, range) in Parser::new_ext(text, options()).into_offset_iter() {
        let at = text[..range.start].rfind('\n').map_or(0, |at| at + 1);
        let mut begin = |start: Start| {
            // Nothing else begins in the first line of a text.
            if at == 0 {
                starts[0] = start;
            } else {
                starts.push(Start { at, ..start });
            }
        };
        match &event {
            Event::Start(Tag::List(number)) if depth == 0 => list = Some((range.start, *number)),
            Event::Start(Tag::Item) if depth == 1 => {
                let (id, number) = list.unwrap_or_default();
                list = Some((id, number.map(|number| number + 1)));
                begin(Start {
                    list: Some(id),
                    number,
                    ..Start::default()
                });
            }
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) if depth == 0 => {
                begin(Start {
                    language: Some(language_of(info).to_owned()),
                    ..Start::default()
                });
            }
            Event::Start(_) | Event::Rule if depth == 0 => begin(Start::default()),
            _ => {}
        }
        match event {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth -= 1,
            _ => {}
        }
    }
    starts
}

#[cfg(test)]
mod tests;
