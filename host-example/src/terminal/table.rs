//! Tables and long lines that fit a page. Pure.

use anstream::adapter::strip_str;
use anstyle::Style;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::clean::clean_line;
use super::page::Page;

/// What happens to a column of a table that is too wide for its page.
#[derive(Clone, Copy, PartialEq)]
pub enum Fit {
    /// It stays: ids, numbers.
    Whole,
    /// Its cells get several lines.
    Wrapped,
    /// Its cells are cut.
    Cut,
    /// It is left out before anything is cut; the first one first.
    Dropped,
    /// It is left out if the table is too wide even so.
    Spare,
}

/// A table as text.
pub struct Table {
    pub text: String,
    /// Whether cells or columns are missing for lack of room.
    pub is_cut: bool,
}

/// Blanks between two columns.
const GAP: usize = 2;
/// From this width on, a row of a table stays a row.
const USUAL_COLUMNS: usize = 80;
/// No column becomes narrower than this.
const MIN_WIDTH: usize = 8;

/// How many columns of a terminal a text takes. Escape sequences take none.
pub fn width(text: &str) -> usize {
    strip_str(text).map(UnicodeWidthStr::width).sum()
}

/// Breaks a line between words where it would be wider than this, and begins what follows with `indent`. A word is
/// never broken; between Chinese or Japanese characters every place is one between words.
pub fn wrapped(text: &str, columns: Option<usize>, indent: &str) -> String {
    let Some(columns) = columns else {
        return text.to_owned();
    };
    let indent_width = width(indent);
    let mut lines = String::with_capacity(text.len());
    let mut used = 0;
    for word in text.split_inclusive(|letter| matches!(letter, ' ' | '\u{3000}'..='\u{9fff}')) {
        let length = width(word.trim_end_matches(' '));
        if used > indent_width && used + length > columns {
            lines.truncate(lines.trim_end_matches(' ').len());
            lines.push('\n');
            lines.push_str(indent);
            used = indent_width;
        }
        lines.push_str(word);
        used += width(word);
    }
    lines
}

/// Cuts a text that is wider than this, between words if there is a place, and ends it with `…`.
pub fn cut(text: &str, columns: usize, page: Page) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let end = page.text("…");
    let room = columns.saturating_sub(width(&end));
    let mut used = 0;
    let fits = |letter: &char| {
        used += letter.width().unwrap_or(0);
        used <= room
    };
    let kept: String = text.chars().take_while(fits).collect();
    let kept = match kept.rsplit_once(' ') {
        Some((words, _)) if width(words) * 2 > room => words,
        _ => kept.as_str(),
    };
    format!("{}{end}", kept.trim_end_matches([' ', ',', ';']))
}

/// A table with a head. The cells are cleaned.
pub fn table(head: &[(&str, Fit)], rows: impl IntoIterator<Item = Vec<String>>, page: Page) -> Table {
    let names = head.iter().map(|(name, _)| page.styled(Style::new().bold(), name));
    let fits: Vec<Fit> = head.iter().map(|(_, fit)| *fit).collect();
    let rows = rows.into_iter().map(|row| cleaned(row, page));
    grid(
        &std::iter::once(names.collect()).chain(rows).collect::<Vec<_>>(),
        &fits,
        page,
        false,
    )
}

/// The same for rows that no column may be missing from: on a narrow terminal, where they are too wide, each row becomes
/// a block of lines, its first cell above the others.
pub fn records(head: &[(&str, Fit)], rows: impl IntoIterator<Item = Vec<String>>, page: Page) -> Table {
    let rows: Vec<Vec<String>> = rows.into_iter().collect();
    let table = table(head, rows.clone(), page);
    let Some(columns) = page.columns.filter(|columns| *columns < USUAL_COLUMNS) else {
        return table;
    };
    if !table.is_cut && table.text.lines().all(|line| width(line) <= columns) {
        return table;
    }
    let blocks = rows.into_iter().map(|row| {
        let mut cells = cleaned(row, page).into_iter();
        let title = page.styled(Style::new().bold(), &cells.next().unwrap_or_default());
        let lines = head.iter().skip(1).zip(cells).map(|((name, _), cell)| {
            let line = format!("  {}: {cell}", name.to_lowercase());
            wrapped(&line, Some(columns), "    ") + "\n"
        });
        format!("{title}\n{}", lines.collect::<String>())
    });
    Table {
        text: blocks.collect(),
        is_cut: false,
    }
}

/// A table of names and values, without a head.
pub fn pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>, page: Page) -> String {
    let rows = pairs
        .into_iter()
        .map(|(name, value)| cleaned(vec![name.to_owned(), value], page));
    grid(&rows.collect::<Vec<_>>(), &[Fit::Whole, Fit::Wrapped], page, false).text
}

fn cleaned(row: Vec<String>, page: Page) -> Vec<String> {
    row.iter()
        .map(|cell| page.text(&clean_line(cell)).into_owned())
        .collect()
}

/// Texts in columns beside each other.
///
/// - In: texts that are safe to print, of any number of lines.
pub fn beside(texts: &[String], page: Page) -> String {
    grid(&[texts.to_vec()], &vec![Fit::Wrapped; texts.len()], page, false).text
}

/// Rows of cells that are safe to print, each column as wide as its widest cell or as the page allows.
///
/// - In: `has_rule`, whether a line is drawn below the first row.
pub fn grid(rows: &[Vec<String>], fits: &[Fit], page: Page, has_rule: bool) -> Table {
    let lines_of = |cell: &str| cell.split('\n').map(width).max().unwrap_or(0);
    let widths_of = |index: usize| {
        rows.iter()
            .filter_map(move |row| row.get(index))
            .map(|cell| lines_of(cell))
    };
    let natural: Vec<usize> = (0..fits.len())
        .map(|index| widths_of(index).max().unwrap_or(0))
        .collect();
    let widths = fitted(&natural, fits, page.columns);
    let kept: Vec<(usize, usize)> = widths
        .iter()
        .enumerate()
        .filter_map(|(index, width)| Some((index, (*width)?)))
        .collect();
    let mut is_cut = kept.len() < fits.len();
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        let cells: Vec<Vec<String>> = kept
            .iter()
            .map(|&(index, columns)| {
                let cell = row.get(index).map_or("", String::as_str);
                let lines = cell.split('\n');
                let cell = match fits[index] {
                    Fit::Cut => lines.map(|line| cut(line, columns, page)).collect::<Vec<_>>(),
                    Fit::Wrapped => lines.map(|line| wrapped(line, Some(columns), "")).collect(),
                    Fit::Whole | Fit::Dropped | Fit::Spare => lines.map(str::to_owned).collect(),
                };
                is_cut |= fits[index] == Fit::Cut && natural[index] > columns;
                cell.join("\n").split('\n').map(str::to_owned).collect()
            })
            .collect();
        for line in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
            let parts = cells.iter().zip(&kept).map(|(cell, (_, columns))| {
                let part = cell.get(line).map_or("", String::as_str);
                // The width in a format string has a limit; a cell has none.
                part.to_owned() + &" ".repeat((columns + GAP).saturating_sub(width(part)))
            });
            text.push_str(parts.collect::<String>().trim_end_matches(' '));
            text.push('\n');
        }
        if has_rule && number == 0 {
            let rules = kept.iter().map(|(_, columns)| page.text("─").repeat(*columns));
            text.push_str(&(rules.collect::<Vec<_>>().join("  ") + "\n"));
        }
    }
    Table { text, is_cut }
}

/// The widths of the columns that stay; of those that may shrink, the widest gives way.
fn fitted(natural: &[usize], fits: &[Fit], columns: Option<usize>) -> Vec<Option<usize>> {
    let mut is_kept = vec![true; natural.len()];
    loop {
        let mut widths: Vec<Option<usize>> = natural
            .iter()
            .zip(&is_kept)
            .map(|(width, kept)| kept.then_some(*width))
            .collect();
        let n_kept = widths.iter().flatten().count();
        let room = columns.map_or(usize::MAX, |columns| {
            columns.saturating_sub(GAP * n_kept.saturating_sub(1))
        });
        let droppable = |wanted: Fit| (0..fits.len()).find(|&index| is_kept[index] && fits[index] == wanted);
        let is_too_wide = |widths: &[Option<usize>]| widths.iter().flatten().sum::<usize>() > room;
        if is_too_wide(&widths)
            && let Some(index) = droppable(Fit::Dropped)
        {
            is_kept[index] = false;
            continue;
        }
        while is_too_wide(&widths) {
            let may_shrink = |fit: Fit| matches!(fit, Fit::Wrapped | Fit::Cut);
            let shrinking = widths.iter_mut().zip(fits).filter(|(_, fit)| may_shrink(**fit));
            let widest = shrinking.filter_map(|(width, _)| width.as_mut()).max();
            let Some(widest) = widest.filter(|width| **width > MIN_WIDTH) else {
                break;
            };
            *widest -= 1;
        }
        if !is_too_wide(&widths) {
            return widths;
        }
        match droppable(Fit::Spare).or_else(|| droppable(Fit::Cut)) {
            Some(index) => is_kept[index] = false,
            None => return widths,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: Page = Page {
        columns: Some(40),
        rows: 24,
        ..Page::PIPE
    };

    #[test]
    fn a_table_has_no_escape_sequences_and_one_line_for_each_row() {
        let row = ["a\x1b[31m\nb", "\u{9b}c\x07"].map(str::to_owned).to_vec();
        let head = [("X", Fit::Whole), ("Y", Fit::Whole)];
        assert_eq!(table(&head, [row], Page::PIPE).text, "X    Y\na b  c\n");
    }

    #[test]
    fn on_a_narrow_page_a_table_gives_up_what_matters_least() {
        let head = [("ID", Fit::Whole), ("OLD", Fit::Dropped), ("WORDS", Fit::Cut)];
        let shown = |id: &str, words: &str| {
            let row = [id, "before", words].map(str::to_owned).to_vec();
            let table = table(&head, [row.clone()], WIDE);
            assert!(table.text.lines().all(|line| width(line) <= 40), "{}", table.text);
            (table.text.lines().last().unwrap_or_default().to_owned(), table.is_cut)
        };
        assert_eq!(shown("an/id", "short"), ("an/id  before  short".to_owned(), false));
        assert_eq!(
            shown("an/id", "one two three four five six seven"),
            ("an/id  one two three four five six seven".to_owned(), true)
        );
        let id = "a".repeat(26);
        assert_eq!(shown(&id, "many words of it"), (format!("{id}  many words…"), true));
        assert_eq!(
            shown("an/id", "one two three four five six seven eight"),
            ("an/id  one two three four five six…".to_owned(), true)
        );
        assert_eq!(shown(&"a".repeat(38), "many words of it"), ("a".repeat(38), true));
    }

    #[test]
    fn records_that_are_too_wide_become_blocks_without_a_cut_id() {
        let head = [("ID", Fit::Whole), ("OLD", Fit::Dropped), ("WORDS", Fit::Cut)];
        let shown = |id: &str| records(&head, [["a", id, "some words"].map(str::to_owned).to_vec()], WIDE).text;
        assert_eq!(shown("before"), "ID  OLD     WORDS\na   before  some words\n");
        let id = "acme/a-very-long-id-of-a-model-that-is-wide";
        assert_eq!(shown(id), format!("a\n  old:\n    {id}\n  words: some words\n"));
    }

    #[test]
    fn wide_characters_count_twice_and_styles_not_at_all() {
        let rows = [
            vec!["日本".to_owned(), "x".to_owned()],
            vec!["\x1b[1mabc\x1b[0m".to_owned(), "y".to_owned()],
        ];
        let text = grid(&rows, &[Fit::Whole, Fit::Whole], Page::PIPE, false).text;
        assert_eq!(text, "日本  x\n\x1b[1mabc\x1b[0m   y\n");
        assert_eq!(wrapped("日本語日本語 abc", Some(6), ""), "日本語\n日本語\nabc");
        assert_eq!(
            wrapped("an-id/which.stays whole", Some(8), "  "),
            "an-id/which.stays\n  whole"
        );
    }
}
