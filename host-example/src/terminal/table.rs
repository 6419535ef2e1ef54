//! Tables and long lines. Pure.

use super::clean::clean_line;

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

/// A table with columns as wide as their widest cell, below a head if there is one. The cells are cleaned.
pub fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let head: Vec<String> = head.iter().map(|name| (*name).to_owned()).collect();
    let head = Some(head).filter(|head| !head.is_empty());
    let rows: Vec<Vec<String>> = head
        .into_iter()
        .chain(rows)
        .map(|row| row.iter().map(|cell| clean_line(cell)).collect())
        .collect();
    let mut widths = Vec::new();
    for row in &rows {
        widths.resize(row.len().max(widths.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            // The width in a format string has a limit; a cell has none.
            line.push_str(cell);
            line.push_str(&" ".repeat(width - cell.chars().count() + 2));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A table of names and values, without a head.
pub fn pairs<const N: usize>(pairs: [(&str, String); N]) -> String {
    table(&[], pairs.map(|(name, value)| vec![name.to_owned(), value]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_no_escape_sequences_and_one_line_for_each_row() {
        let row = ["a\x1b[31m\nb", "\u{9b}c\x07"].map(str::to_owned).to_vec();
        assert_eq!(table(&[], [row]), "a b  c\n");
    }
}
