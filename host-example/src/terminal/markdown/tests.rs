use std::num::NonZeroU16;

use super::*;

const COLUMNS: u16 = 60;

/// A page of a terminal, and what it shows of a text that arrives in parts of so many letters.
fn shown(text: &str, step: usize, rows: u16, has_colour: bool) -> String {
    let page = Page {
        columns: Some(COLUMNS.into()),
        rows: rows.into(),
        has_colour,
        is_ascii: false,
    };
    let size = |number| NonZeroU16::new(number).expect("more than none");
    let mut terminal = vt100::Parser::new(size(rows), size(COLUMNS), 10_000);
    let mut write = |bytes: String| terminal.process(bytes.replace('\n', "\r\n").as_bytes());
    let mut markdown = Markdown::default();
    let letters: Vec<char> = text.chars().collect();
    for part in letters.chunks(step) {
        write(markdown.text(&part.iter().collect::<String>(), page));
    }
    write(markdown.end(page));
    let screen = terminal.screen_mut();
    screen.set_scrollback(usize::MAX);
    let n_above = screen.scrollback();
    let mut lines = Vec::new();
    for above in (1..=n_above).rev() {
        screen.set_scrollback(above);
        lines.extend(screen.rows(0, COLUMNS).next());
    }
    screen.set_scrollback(0);
    lines.extend(screen.rows(0, COLUMNS));
    let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
    lines.join("\n").trim_end().to_owned() + "\n"
}

/// The words of a text in alphabetical order; each character of a script without blanks counts as one.
fn words(text: &str) -> Vec<String> {
    let mut spaced = String::new();
    for letter in text.chars() {
        match letter {
            '\u{3000}'..='\u{9fff}' => spaced.extend([' ', letter]),
            letter if letter.is_alphanumeric() => spaced.push(letter),
            _ => spaced.push(' '),
        }
    }
    // Some signs are written as words, and items are numbered anew.
    let words = spaced
        .split_whitespace()
        .filter(|word| !["lt", "gt", "amp", "br"].contains(word) && word.parse::<u32>().is_err());
    let mut words: Vec<String> = words.map(str::to_owned).collect();
    words.sort_unstable();
    words
}

const DOCUMENTS: [&str; 14] = [
    "# A title\n\nSome *very* **bold** words, `code`, ~~gone~~ and a [link](https://example.com/a_b).\n\nMore of them.\n",
    "Intro:\n1. One\n2. Two with a long text that has to be wrapped because it does not fit into a row of the terminal\n   - \
     nested\n   - twice\n\n3. Three\n\nOutro",
    "```rust\nfn main() {\n    println!(\"Hello, {}\", 1 + 2); // a comment\n}\n```\nbelow",
    "> A quote of several words that goes on for longer than one row of this terminal can be\n> > and a nested one\n\nEnd.",
    "| Name | Meaning |\n|---|---:|\n| `a` | the first letter of an alphabet that many people know and use every day |\n| b | *second* |\n",
    "Setext\n===\n\ntext\n---\n\n***\n\n- [ ] open\n- [x] done\n",
    "A reference [like this][ref] and ![a picture](https://example.com/p.png)\n\n[ref]: https://example.com \"A title\"\n",
    "<div>\nhtml <b>block</b>\n</div>\n\nline one\\\nline two  \nline three &lt;tag&gt; &amp; more<br>next\n",
    "日本語の文章がここにあります。とても長いので、端末の一行には収まりません。だから折り返す必要があります。\n\n- 項目 **強調** です\n",
    "no markup\nat all\n\n\n\nbut many lines\n",
    "    indented code\n    second line\n\n- item\n\n  ```py\n  def f(): pass\n  ```\n\n  after\n- last",
    "unclosed **bold and `code and [link](\n\n* not * emphasis * here\n_snake_case_name_ and 2 * 3 * 4\n",
    "\u{1F469}\u{200D}\u{1F4BB} emoji \u{2705} and e\u{301} accents\n\n1. \n2. empty items\n- \n",
    "~~~\nno language, and never closed\n  indented\n\n",
];

#[test]
fn no_word_is_lost_or_shown_twice() {
    let together = DOCUMENTS.join("\n\n");
    for document in DOCUMENTS.iter().copied().chain([together.as_str()]) {
        for (step, rows, has_colour) in [
            (1, 24, true),
            (3, 200, true),
            (1, 5, true),
            (7, 3, false),
            (10_000, 24, false),
        ] {
            let shown = shown(document, step, rows, has_colour);
            assert_eq!(words(&shown), words(document), "{step} {rows}: {document:?}\n{shown}");
        }
    }
}

#[test]
fn the_screen_is_the_same_however_the_text_arrives() {
    let document = DOCUMENTS.join("\n\n");
    let whole = shown(&document, 100_000, 300, true);
    for step in [1, 2, 17] {
        assert_eq!(shown(&document, step, 300, true), whole, "by {step}");
    }
}

#[test]
fn every_kind_of_block_is_laid_out() {
    let looks = |text: &str| shown(text, 3, 40, true);
    for (text, expected) in [
        ("## Head\n\ntext **bold** `code`\n", "Head\n\ntext bold `code`\n"),
        (
            "see [here](http://a.b) or <http://c.d>",
            "see here (http://a.b) or http://c.d\n",
        ),
        (
            "1. one\n1. two\n   - three\n     four\n1. five",
            "1. one\n2. two\n   • three\n     four\n3. five\n",
        ),
        ("> one\n> two\n>\n> three", "│ one\n│ two\n│\n│ three\n"),
        (
            "|a|bb|\n|-|-|\n|*c*|d<br>e|\n|日本|f|",
            "a     bb\n────  ──\nc     d\n      e\n日本  f\n",
        ),
        ("- [x] a\n- b\n\n  c", "• [x] a\n• b\n\n  c\n"),
        ("```sh\nls  -l\n```", "```sh\nls  -l\n```\n"),
        ("- a\n  ```\n  b\n  ```", "• a\n  ```\n  b\n  ```\n"),
        ("a\n\n---\n", &format!("a\n\n{}\n", "─".repeat(60))),
    ] {
        assert_eq!(looks(text), expected, "{text:?}");
    }
}

#[test]
fn without_colours_the_marks_stay() {
    let text = "### Head\n\n*a* **b** ~~c~~ `d`\n\n- e\n\n---\n";
    assert_eq!(shown(text, 1, 40, false), text);
}

#[test]
fn an_entity_cannot_become_an_escape_sequence() {
    let page = Page {
        columns: Some(80),
        rows: 24,
        ..Page::PIPE
    };
    for text in [
        "&#27;[31m &#155;31m &#x1b;]0;x&#7;\n\n",
        "[a](<http://x/&#27;[2J>)\n\n",
        "```&#27;[2J\nx\n```\n\n",
        "- ```&#27;c\n  x\n",
    ] {
        let mut markdown = Markdown::default();
        let bytes = markdown.text(text, page) + &markdown.end(page);
        let own = bytes
            .replace("\x1b[J", "")
            .replace("\x1b[1A", "")
            .replace("\x1b[2A", "")
            .replace("\x1b[3A", "");
        assert!(
            !own.contains(|letter: char| letter.is_control() && !"\r\n".contains(letter)),
            "{own:?}"
        );
    }
}

#[cfg(feature = "highlight")]
#[test]
fn code_has_colours_and_an_unknown_language_has_none() {
    let mut rust = Painter::new("rust");
    let painted = rust.line("let a = \"b\"; // c");
    assert!(
        painted.contains("\x1b[32m") && painted.contains("\x1b[2m"),
        "{painted:?}"
    );
    assert_eq!(
        anstream::adapter::strip_str(&painted).to_string(),
        "let a = \"b\"; // c"
    );
    assert_eq!(Painter::new("no-such-language").line("let a"), "let a");
}
