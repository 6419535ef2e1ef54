//! Markdown on a terminal, block by block as it arrives.
//!
//! A finished block is written for good; the unfinished one is shown as it is written, and replaced when it ends. A
//! block that is taller than the screen stays as it is. Pure: returns the bytes to write.

// In the order in which data travels.
mod pieces;
mod code;
mod rows;

pub use self::rows::plain_rows;

use self::code::Painter;
use self::pieces::{Piece, Pieces};
use self::rows::rows;
use super::draft::Draft;
use super::page::Page;
use super::streams::FAINT;

/// An answer on its way to the terminal.
#[derive(Default)]
pub struct Markdown {
    pieces: Pieces,
    draft: Draft,
    painter: Option<Painter>,
}

impl Markdown {
    /// Adds the next text, and returns what to write.
    pub fn text(&mut self, text: &str, page: Page) -> String {
        let finished = self.pieces.add(text);
        self.replace(finished, page)
    }

    /// Ends the text, and returns what to write. The cursor is then at the beginning of a row.
    pub fn end(&mut self, page: Page) -> String {
        let finished = self.pieces.end();
        let bytes = self.replace(finished, page);
        self.painter = None;
        self.draft.abandon();
        bytes
    }

    /// Goes on below what somebody else printed; the unfinished block is shown once more.
    pub fn move_below(&mut self) {
        self.draft.abandon();
    }

    fn replace(&mut self, finished: Vec<Piece>, page: Page) -> String {
        let mut done = Vec::new();
        for piece in finished {
            // A gap is a part of what was shown, but not of the block that cannot be replaced.
            let is_gone = self.draft.is_partly_gone() && done.iter().all(String::is_empty);
            done.extend(self.rows_of(piece, is_gone, page));
        }
        self.draft
            .replace(done, plain_rows(self.pieces.open(), page), page.rows)
    }

    fn rows_of(&mut self, piece: Piece, is_gone: bool, page: Page) -> Vec<String> {
        match piece {
            Piece::Gap => vec![String::new()],
            Piece::Block { markdown, .. } if is_gone => plain_rows(&markdown, page),
            Piece::Block { markdown, number } => rows(&markdown, number, page),
            Piece::CodeBegins { fence, language } => {
                self.painter = page.has_colour.then(|| Painter::new(&language));
                vec![page.styled(FAINT, &fence)]
            }
            Piece::Code(line) if is_gone => plain_rows(&line, page),
            Piece::Code(line) => match &mut self.painter {
                Some(painter) => vec![painter.line(&line)],
                None => vec![line],
            },
            Piece::CodeEnds(fence) => {
                self.painter = None;
                vec![page.styled(FAINT, &fence)]
            }
        }
    }
}

#[cfg(test)]
mod tests;
