//! One block of Markdown as rows of a terminal. Pure.
//!
//! With colours, what marks emphasis or code in the source becomes a style; without, the marks stay, so that nothing is
//! ambiguous. If the block has words that the rows would lack, such as the definition of a link, it stays as written.

use std::collections::HashMap;

use anstream::adapter::strip_str;
use anstyle::{AnsiColor, Effects, Style};
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Parser, Tag, TagEnd};

use super::code::Painter;
use super::pieces::{language_of, options};
use crate::terminal::clean::clean;
use crate::terminal::page::Page;
use crate::terminal::streams::FAINT;
use crate::terminal::table::{Fit, grid, width, wrapped};

const CODE: Style = AnsiColor::Cyan.on_default();
const LINK: Style = Style::new().effects(Effects::UNDERLINE);

/// The rows of a block.
///
/// - In: `number`, that of the item if the block is one of an ordered list.
pub fn rows(markdown: &str, number: Option<u64>, page: Page) -> Vec<String> {
    let mut writer = Writer::new(number, page);
    for event in Parser::new_ext(markdown, options()) {
        writer.event(event);
    }
    writer.flush();
    if lacks_words(markdown, &writer.rows) {
        return plain_rows(markdown, page);
    }
    writer.rows
}

/// A text as rows that are no wider than the page, so that they can be counted.
pub fn plain_rows(text: &str, page: Page) -> Vec<String> {
    let columns = page.columns.unwrap_or(usize::MAX);
    let mut rows = Vec::new();
    for line in text.replace('\t', "    ").split('\n') {
        for row in wrapped(line, page.columns, "").split('\n') {
            let mut rest = row;
            while width(rest) > columns {
                let mut used = 0;
                let fits = |(_, letter): &(usize, char)| {
                    used += width(letter.encode_utf8(&mut [0; 4]));
                    used <= columns
                };
                let end = rest
                    .char_indices()
                    .take_while(fits)
                    .last()
                    .map_or(1, |(at, letter)| at + letter.len_utf8());
                rows.push(rest[..end].to_owned());
                rest = &rest[end..];
            }
            rows.push(rest.to_owned());
        }
    }
    rows
}

/// Whether a letter of the source is missing in the rows.
fn lacks_words(markdown: &str, rows: &[String]) -> bool {
    let mut left: HashMap<char, usize> = HashMap::new();
    for row in rows {
        for letter in strip_str(row)
            .flat_map(str::chars)
            .filter(|letter| letter.is_alphabetic())
        {
            *left.entry(letter).or_default() += 1;
        }
    }
    let source = markdown.replace("<br", "");
    // An entity such as `&lt;` is a sign, not a word.
    let parts = source.split('&').map(|part| match part.split_once(';') {
        Some((name, rest))
            if name.len() < 10 && name.bytes().all(|byte| byte == b'#' || byte.is_ascii_alphanumeric()) =>
        {
            rest
        }
        _ => part,
    });
    parts
        .flat_map(str::chars)
        .filter(|letter| letter.is_alphabetic())
        .any(|letter| match left.get_mut(&letter) {
            Some(count @ 1..) => {
                *count -= 1;
                false
            }
            _ => true,
        })
}

/// Something that stands in front of every row: a quote's bar, an item's sign and the blanks below it.
struct Prefix {
    first: String,
    rest: String,
}

/// A code block whose end is not reached.
struct Code {
    painter: Painter,
    text: String,
    is_fenced: bool,
}

struct Writer {
    page: Page,
    rows: Vec<String>,
    /// The line that is being written.
    line: String,
    styles: Vec<Style>,
    prefixes: Vec<Prefix>,
    /// The next number of each list that is open; `None` for one without numbers.
    lists: Vec<Option<u64>>,
    /// The number of the first item.
    number: Option<u64>,
    /// Nothing was written yet in the block or item.
    is_fresh: bool,
    /// Where links begin in `line`, and where they lead to.
    links: Vec<(usize, String)>,
    code: Option<Code>,
    table: Vec<Vec<String>>,
}

impl Writer {
    fn new(number: Option<u64>, page: Page) -> Self {
        Self {
            page,
            number,
            rows: Vec::new(),
            line: String::new(),
            styles: Vec::new(),
            prefixes: Vec::new(),
            lists: Vec::new(),
            is_fresh: true,
            links: Vec::new(),
            code: None,
            table: Vec::new(),
        }
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) | Event::InlineMath(text) | Event::DisplayMath(text) => self.text(&text),
            Event::Code(code) => self.code(&code),
            Event::Html(html) => self.text(&html),
            Event::InlineHtml(html) if html.starts_with("<br") => self.line.push('\n'),
            Event::InlineHtml(html) => self.text(&html),
            Event::SoftBreak | Event::HardBreak => self.line.push('\n'),
            Event::Rule => {
                let columns = self.page.columns.unwrap_or(3).saturating_sub(self.prefix_width());
                self.line = if self.page.has_colour {
                    self.page.styled(FAINT, &self.page.text("─").repeat(columns))
                } else {
                    "---".to_owned()
                };
                self.flush();
            }
            Event::TaskListMarker(is_done) => self.line.push_str(if is_done { "[x] " } else { "[ ] " }),
            Event::FootnoteReference(name) => self.text(&name),
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph => self.apart(),
            Tag::Heading { level, .. } => {
                self.apart();
                let style = match level {
                    HeadingLevel::H1 => Style::new().bold().underline(),
                    HeadingLevel::H2 => Style::new().bold(),
                    _ => Style::new().bold().italic(),
                };
                if !self.page.has_colour {
                    self.line = "#".repeat(level as usize) + " ";
                }
                self.styles.push(style);
            }
            Tag::BlockQuote(_) => {
                self.apart();
                let bar = self.page.styled(FAINT, &self.page.text("│")) + " ";
                self.prefixes.push(Prefix {
                    first: bar.clone(),
                    rest: bar,
                });
                self.is_fresh = true;
            }
            Tag::CodeBlock(kind) => self.start_code(&kind),
            Tag::List(first) => {
                self.flush();
                let number = self.number.take().filter(|_| self.lists.is_empty());
                self.lists.push(first.map(|first| number.unwrap_or(first)));
            }
            Tag::Item => {
                self.flush();
                let sign = match self.lists.last_mut() {
                    Some(Some(number)) => {
                        *number += 1;
                        format!("{}. ", *number - 1)
                    }
                    _ if self.page.has_colour => self.page.text("•").into_owned() + " ",
                    _ => "- ".to_owned(),
                };
                let rest = " ".repeat(width(&sign));
                self.prefixes.push(Prefix { first: sign, rest });
                self.is_fresh = true;
            }
            Tag::Emphasis => self.mark(Style::new().italic(), "*"),
            Tag::Strong => self.mark(Style::new().bold(), "**"),
            Tag::Strikethrough => self.mark(Style::new().strikethrough(), "~~"),
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => {
                self.links.push((self.line.len(), clean(&dest_url)));
                self.styles.push(LINK);
            }
            Tag::Table(_) => self.apart(),
            Tag::TableHead | Tag::TableRow => self.table.push(Vec::new()),
            Tag::TableCell if self.table.len() == 1 => self.styles.push(Style::new().bold()),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph | TagEnd::HtmlBlock => self.flush(),
            TagEnd::Heading(_) => {
                self.flush();
                self.styles.pop();
            }
            TagEnd::BlockQuote(_) | TagEnd::Item => {
                self.flush();
                // An item without a text still has its sign.
                if self.is_fresh && tag == TagEnd::Item {
                    self.push("");
                }
                self.prefixes.pop();
                self.is_fresh = false;
            }
            TagEnd::CodeBlock => self.end_code(),
            TagEnd::List(_) => drop(self.lists.pop()),
            TagEnd::Emphasis => self.unmark("*"),
            TagEnd::Strong => self.unmark("**"),
            TagEnd::Strikethrough => self.unmark("~~"),
            TagEnd::Link | TagEnd::Image => {
                self.styles.pop();
                let Some((begin, address)) = self.links.pop() else {
                    return;
                };
                let shown = strip_str(&self.line[begin.min(self.line.len())..]).to_string();
                if shown != address && !address.is_empty() && address.strip_prefix("mailto:") != Some(&shown) {
                    self.line.push(' ');
                    self.words(&format!("({address})"), FAINT);
                }
            }
            TagEnd::TableCell => {
                if self.table.len() == 1 {
                    self.styles.pop();
                }
                let cell = std::mem::take(&mut self.line);
                if let Some(row) = self.table.last_mut() {
                    row.push(cell);
                }
            }
            TagEnd::Table => self.end_table(),
            _ => {}
        }
    }

    /// A style for what follows; without colours, its mark.
    fn mark(&mut self, style: Style, mark: &str) {
        self.styles.push(style);
        if !self.page.has_colour {
            self.line.push_str(mark);
        }
    }

    fn unmark(&mut self, mark: &str) {
        self.styles.pop();
        if !self.page.has_colour {
            self.line.push_str(mark);
        }
    }

    /// Text in the present style, each word for itself, so that lines can break between them.
    fn text(&mut self, text: &str) {
        if let Some(code) = &mut self.code {
            return code.text.push_str(text);
        }
        let effects = self.styles.iter().map(|style| style.get_effects());
        let style = Style::new().effects(effects.fold(Effects::new(), |all, effects| all | effects));
        // The parser turns `&#27;` into the character, so what it returns is cleaned once more.
        self.words(&clean(text), style);
    }

    fn words(&mut self, text: &str, style: Style) {
        for word in text.split_inclusive([' ', '\n']) {
            let bare = word.trim_end_matches([' ', '\n']);
            if !bare.is_empty() {
                self.line.push_str(&if style.is_plain() {
                    bare.to_owned()
                } else {
                    self.page.styled(style, bare)
                });
            }
            self.line.push_str(&word[bare.len()..]);
        }
    }

    fn code(&mut self, code: &str) {
        let fence = if code.contains('`') { "``" } else { "`" };
        self.words(&clean(&format!("{fence}{code}{fence}")), CODE);
    }

    /// Ends the line, with an empty row between two paragraphs of an item or a quote.
    fn apart(&mut self) {
        self.flush();
        if !self.is_fresh {
            self.push("");
        }
    }

    fn prefix_width(&self) -> usize {
        self.prefixes.iter().map(|prefix| width(&prefix.rest)).sum()
    }

    /// Writes the line, if there is one.
    fn flush(&mut self) {
        let line = std::mem::take(&mut self.line);
        let line = line.trim_end_matches(['\n', ' ']);
        if line.is_empty() {
            return;
        }
        let rest: String = self.prefixes.iter().map(|prefix| prefix.rest.as_str()).collect();
        for line in line.split('\n') {
            let line = self.first_prefix() + line;
            self.rows
                .extend(wrapped(&line, self.page.columns, &rest).split('\n').map(str::to_owned));
        }
    }

    /// Writes a row as it is.
    fn push(&mut self, row: &str) {
        let row = self.first_prefix() + row;
        self.rows.push(row.trim_end().to_owned());
    }

    /// What stands in front of the next row.
    fn first_prefix(&mut self) -> String {
        self.is_fresh = false;
        let used = self.prefixes.iter_mut().map(|prefix| {
            let rest = prefix.rest.clone();
            std::mem::replace(&mut prefix.first, rest)
        });
        used.collect()
    }

    fn start_code(&mut self, kind: &CodeBlockKind<'_>) {
        self.flush();
        let info = match kind {
            CodeBlockKind::Fenced(info) => Some(clean(info)),
            CodeBlockKind::Indented => None,
        };
        if let Some(info) = &info {
            self.push(&self.page.styled(FAINT, &format!("```{info}")));
        }
        let language = language_of(info.as_deref().unwrap_or_default());
        self.code = Some(Code {
            painter: Painter::new(if self.page.has_colour { language } else { "" }),
            text: String::new(),
            is_fenced: info.is_some(),
        });
    }

    fn end_code(&mut self) {
        let Some(mut code) = self.code.take() else { return };
        for line in clean(&code.text).trim_end_matches('\n').split('\n') {
            let line = code.painter.line(line);
            self.push(&if code.is_fenced { line } else { format!("    {line}") });
        }
        if code.is_fenced {
            self.push(&self.page.styled(FAINT, "```"));
        }
    }

    fn end_table(&mut self) {
        let rows = std::mem::take(&mut self.table);
        let fits = vec![Fit::Wrapped; rows.first().map_or(0, Vec::len)];
        let columns = self
            .page
            .columns
            .map(|columns| columns.saturating_sub(self.prefix_width()));
        let table = grid(&rows, &fits, Page { columns, ..self.page }, true);
        for row in table.text.lines() {
            self.push(row);
        }
    }
}
