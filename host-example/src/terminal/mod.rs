//! What people see: text that is safe to print, tables, progress, and how the program ends.
//!
//! Data goes to stdout, everything for people to stderr. Nothing else in the host prints.

mod print;
pub mod checklist;
pub mod progress;
pub mod exit;

pub use self::print::{
    BAD, Cleaner, DOUBTFUL, FAINT, GOOD, clean, clean_line, footer, print, print_json, print_line, safe_json, say,
    say_styled, seconds, stderr_has_colour, stderr_has_cursor, stderr_is_terminal, stdout_has_colour, table, try_print,
    try_write, wrapped,
};
