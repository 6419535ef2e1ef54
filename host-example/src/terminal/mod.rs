//! What people see: safe text, tables, Markdown, progress, and how the program ends.
//!
//! Data goes to stdout, everything for people to stderr. No other module prints.

// In the order in which data travels.
mod streams;
mod clean;
mod lists;
mod page;
mod table;
pub mod progress;
mod print;
mod draft;
mod markdown;
pub mod time;
mod footer;
mod supply;
pub mod exit;
mod failure;
mod interrupt;
mod ask;
mod checklist;

pub use self::ask::{ask, can_ask, interrupted, left, prompted};
pub use self::checklist::Rows;
pub use self::clean::{Cleaner, clean, clean_line, is_unseen, safe_json, shortened};
pub use self::draft::Draft;
pub use self::exit::Exit;
pub use self::failure::Failure;
pub use self::footer::{cost, fallback, footer, served};
pub use self::interrupt::{Interrupts, stopped};
pub use self::lists::{counted, few, joined, listed};
pub use self::markdown::{Markdown, plain_rows};
pub use self::page::{Looks, Page};
pub use self::print::{
    n_lines, print, print_json, print_line, print_table, say, say_part, say_raw, say_styled, stderr_for_lines,
    try_write,
};
pub use self::streams::{
    BAD, DOUBTFUL, FAINT, GOOD, claim_stdout, stderr_has_colour, stderr_has_cursor, stderr_is_terminal,
    stdout_has_colour, stdout_has_cursor, stdout_is_terminal,
};
pub use self::supply::{Supply, dollars};
pub use self::table::{Fit, Table, beside, cut, pairs, records, table, wrapped};
pub use self::time::seconds;
