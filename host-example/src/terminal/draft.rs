//! The rows at the end of a terminal's text that may still change, and the bytes that change them. Pure.
//!
//! The cursor stays behind the last row, so that nobody has to ask the terminal where it is. Rows that left the screen
//! cannot be changed any more.

/// The rows that may still change.
#[derive(Default)]
pub struct Draft {
    rows: Vec<String>,
    /// The rows above them that belong to the same text but left the screen.
    gone: Vec<String>,
}

impl Draft {
    /// Whether some of its rows left the screen.
    pub fn is_partly_gone(&self) -> bool {
        !self.gone.is_empty()
    }

    /// Returns the bytes that replace the rows of the draft by `done`, which stay for good, and `open`, the new draft.
    ///
    /// - In: no row is wider than the terminal. Rows that are gone are not written again if `done` and `open` begin with
    ///   them.
    /// - In: `max_rows`, those of the screen.
    pub fn replace(&mut self, done: Vec<String>, open: Vec<String>, max_rows: usize) -> String {
        let n_done = done.len();
        let mut rows = [done, open].concat();
        if rows.len() == n_done {
            rows.push(String::new());
        }
        let same = self
            .gone
            .iter()
            .zip(&rows)
            .take_while(|(gone, row)| gone == row)
            .count();
        let n_written = rows.len() - same.min(rows.len() - 1);
        let bytes = difference(&self.rows, &rows[rows.len() - n_written..]);
        let mut open = rows.split_off(n_done);
        let n_kept = n_written.min(open.len()).min(max_rows.saturating_sub(1).max(1));
        self.rows = open.split_off(open.len() - n_kept);
        self.gone = open;
        bytes
    }

    /// Leaves the draft on the screen as it is: something else was printed below it.
    pub fn abandon(&mut self) {
        *self = Self::default();
    }
}

/// The bytes that turn the rows `old`, with the cursor behind the last one, into `new`.
fn difference(old: &[String], new: &[String]) -> String {
    let empty = [String::new()];
    let old = if old.is_empty() { &empty } else { old };
    let same = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let last = old.len() - 1;
    if same > last {
        return new[same..].iter().map(|row| format!("\n{row}")).collect();
    }
    if same == last
        && let Some(rest) = new.get(same).and_then(|row| row.strip_prefix(old[last].as_str()))
    {
        return [&[rest.to_owned()], &new[same + 1..]].concat().join("\n");
    }
    // The cursor has to end behind the last new row, so that row is written again.
    let from = same.min(new.len() - 1);
    let up = match last - from {
        0 => String::new(),
        n_rows => format!("\x1b[{n_rows}A"),
    };
    format!("\r{up}\x1b[J{}", new[from..].join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<String> {
        text.split('\n').map(str::to_owned).collect()
    }

    #[test]
    fn only_what_differs_is_written() {
        for (old, new, bytes) in [
            ("", "a", "a"),
            ("a", "ab\nc", "b\nc"),
            ("a\nb", "a\nb\nc", "\nc"),
            ("a\nb", "a\nb", ""),
            ("a\nbc", "a\nx", "\r\x1b[Jx"),
            ("a\nb\nc", "a", "\r\x1b[2A\x1b[Ja"),
            ("a\nb\nc", "x\nb\nc", "\r\x1b[2A\x1b[Jx\nb\nc"),
        ] {
            assert_eq!(difference(&rows(old), &rows(new)), bytes, "{old:?} {new:?}");
        }
    }

    #[test]
    fn rows_that_left_the_screen_are_not_written_again() {
        let mut draft = Draft::default();
        assert_eq!(draft.replace(vec![], rows("a\nb\nc"), 3), "a\nb\nc");
        assert!(draft.is_partly_gone());
        assert_eq!(draft.replace(vec![], rows("a\nb\nc\nd"), 3), "\nd");
        assert_eq!(draft.replace(rows("a\nb\nc\nd"), rows(""), 3), "\n");
        assert!(!draft.is_partly_gone());
        assert_eq!(draft.replace(vec![], rows("e"), 3), "e");
    }
}
