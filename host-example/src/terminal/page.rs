//! What an output can show: a terminal of so many columns, with colours or without, or a pipe.

use std::borrow::Cow;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use anstyle::Style;
use clap::{Args, ColorChoice};
use terminal_size::{Height, Width, terminal_size_of};

use super::streams::{stderr_has_colour, stderr_is_terminal, stdout_has_colour, stdout_is_terminal};

/// What every command accepts about its looks.
#[derive(Args, Clone, Copy, Default)]
pub struct Looks {
    /// When to use colours; `auto` heeds NO_COLOR, CLICOLOR_FORCE and TERM=dumb
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t)]
    pub color: ColorChoice,
    /// Mark rows and notes in ASCII: `[ok]` instead of a tick
    #[arg(long, global = true)]
    pub ascii: bool,
}

static IS_ASCII: AtomicBool = AtomicBool::new(false);

impl Looks {
    /// Applies to everything that is printed from now on.
    pub fn apply(self) {
        match self.color {
            ColorChoice::Auto => {}
            ColorChoice::Always => anstream::ColorChoice::Always.write_global(),
            ColorChoice::Never => anstream::ColorChoice::Never.write_global(),
        }
        IS_ASCII.store(self.ascii, Relaxed);
    }
}

/// What an output can show.
#[derive(Clone, Copy)]
pub struct Page {
    /// The width of the terminal; `None` for a pipe or a file, where lines have no end.
    pub columns: Option<usize>,
    /// The height of the terminal.
    pub rows: usize,
    pub has_colour: bool,
    /// Signs are spelled in ASCII.
    pub is_ascii: bool,
}

/// The size of a terminal that does not say.
const USUAL_SIZE: (Width, Height) = (Width(80), Height(24));
/// On a narrower terminal, lines are laid out for this width.
const MIN_COLUMNS: usize = 20;

/// The signs in this program's own lines, and how they are spelled in ASCII. Those that mark rows are equally wide.
const SIGNS: [(char, &str); 20] = [
    ('✓', "[ok]"),
    ('⚠', "[!!]"),
    ('✗', "[XX]"),
    ('○', "[--]"),
    ('│', "|"),
    ('─', "-"),
    ('✻', "*"),
    ('•', "-"),
    ('·', "-"),
    ('…', "..."),
    ('→', "->"),
    ('—', "--"),
    ('–', "-"),
    ('×', "x"),
    ('≈', "~"),
    ('↻', "[ok]"),
    ('⚙', "*"),
    ('●', "[ok]"),
    ('▲', "[!!]"),
    ('■', "[XX]"),
];

impl Page {
    /// A pipe.
    #[cfg(test)]
    pub const PIPE: Self = Self {
        columns: None,
        rows: 0,
        has_colour: false,
        is_ascii: false,
    };

    pub fn of_stdout() -> Self {
        let size = stdout_is_terminal().then(|| terminal_size_of(io::stdout()).unwrap_or(USUAL_SIZE));
        Self::of(size, stdout_has_colour())
    }

    pub fn of_stderr() -> Self {
        let size = stderr_is_terminal().then(|| terminal_size_of(io::stderr()).unwrap_or(USUAL_SIZE));
        Self::of(size, stderr_has_colour())
    }

    fn of(size: Option<(Width, Height)>, has_colour: bool) -> Self {
        Self {
            columns: size.map(|(Width(columns), _)| usize::from(columns).max(MIN_COLUMNS)),
            rows: size.map_or(0, |(_, Height(rows))| rows.into()),
            has_colour,
            is_ascii: IS_ASCII.load(Relaxed),
        }
    }

    /// A text of this program's own with its signs as this page shows them.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let spelled = |letter| SIGNS.iter().find(|(sign, _)| *sign == letter);
        if !self.is_ascii || text.is_ascii() {
            return text.into();
        }
        let mut ascii = String::with_capacity(text.len());
        for letter in text.chars() {
            match spelled(letter) {
                Some((_, word)) => ascii.push_str(word),
                None => ascii.push(letter),
            }
        }
        ascii.into()
    }

    /// A text in a style, where there are colours.
    pub fn styled(&self, style: Style, text: &str) -> String {
        if self.has_colour {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }
}
