//! Reads files of variables, such as `.env`: text in, names and values out.
//!
//! Not a library, because the known ones replace `${NAME}` with the process's own variables. A folder that
//! somebody else filled could then name any secret of the user as the key of a service of its own. Here a value is what
//! stands in the file, letter by letter. Pure: no I/O, and no line is ever quoted, since it may hold a key.

use std::collections::BTreeMap;

/// The variables in a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Variables {
    /// By name; a later line wins over an earlier one.
    pub values: BTreeMap<String, String>,
    /// The numbers of the lines that are neither a variable, nor a comment, nor blank; from 1. They are skipped.
    pub odd_lines: Vec<usize>,
}

/// Reads lines such as `NAME=value`, `export NAME=value`, `# comment`.
///
/// - In: `'…'` is taken literally; in `"…"` the escapes `\n`, `\"` and `\\` count and any other backslash stands for
///   itself; a value without quotes ends before a blank with `#`. A byte order mark and CRLF are fine.
pub fn parse(text: &str) -> Variables {
    let mut variables = Variables::default();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match variable_in(line) {
            Some((name, value)) => drop(variables.values.insert(name.to_owned(), value)),
            None => variables.odd_lines.push(index + 1),
        }
    }
    variables
}

fn variable_in(line: &str) -> Option<(&str, String)> {
    let (name, value) = line.split_once('=')?;
    let name = match name.strip_prefix("export") {
        Some(rest) if rest.starts_with([' ', '\t']) => rest,
        _ => name,
    };
    let name = name.trim();
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    is_name.then_some(())?;
    Some((name, value_of(value)?))
}

fn value_of(text: &str) -> Option<String> {
    let quoted = text.trim_start();
    if let Some(rest) = quoted.strip_prefix('\'') {
        let (value, behind) = rest.split_once('\'')?;
        return is_end(behind).then(|| value.to_owned());
    }
    if let Some(rest) = quoted.strip_prefix('"') {
        let (value, behind) = unescaped(rest)?;
        return is_end(behind).then_some(value);
    }
    let mut is_behind_blank = false;
    let end = text.find(|letter: char| {
        let is_comment = is_behind_blank && letter == '#';
        is_behind_blank = letter.is_whitespace();
        is_comment
    });
    Some(text[..end.unwrap_or(text.len())].trim().to_owned())
}

/// The text up to the closing quote, and the text after it.
fn unescaped(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.chars();
    loop {
        match letters.next()? {
            '"' => return Some((value, letters.as_str())),
            '\\' => match letters.next()? {
                'n' => value.push('\n'),
                escaped @ ('"' | '\\') => value.push(escaped),
                other => value.extend(['\\', other]),
            },
            letter => value.push(letter),
        }
    }
}

/// Whether nothing but a comment follows a closing quote.
fn is_end(behind: &str) -> bool {
    let rest = behind.trim_start();
    rest.is_empty() || (rest.len() < behind.len() && rest.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(line: &str) -> Option<String> {
        let mut variables = parse(line);
        let is_odd = variables.odd_lines == [1];
        let value = variables.values.remove("NAME");
        assert_ne!(is_odd, value.is_some(), "{line}");
        value
    }

    #[test]
    fn every_form_of_a_line_is_understood() {
        let forms = [
            ("NAME=value", "value"),
            ("export NAME=value", "value"),
            ("export\tNAME = value", "value"),
            ("  NAME=  two words  ", "two words"),
            ("NAME=", ""),
            ("NAME=a=b", "a=b"),
            ("NAME=value # a comment", "value"),
            ("NAME= # a comment", ""),
            ("NAME=a#b", "a#b"),
            ("NAME=it's \"so\"", "it's \"so\""),
            ("NAME='  $a \\n # \"b\" '", "  $a \\n # \"b\" "),
            ("NAME='a' # a comment", "a"),
            ("NAME=\"a\\nb \\\"c\\\" \\\\ \\t # 'd'\"", "a\nb \"c\" \\ \\t # 'd'"),
            ("NAME=\"a\"\t# a comment", "a"),
        ];
        for (line, expected) in forms {
            assert_eq!(value(line).as_deref(), Some(expected), "{line}");
        }
    }

    #[test]
    fn variables_in_a_value_are_not_expanded() {
        for text in ["${HOME}", "$HOME", "$(id)", "`id`", "~", "%PATH%"] {
            for quote in ["", "\"", "'"] {
                let line = format!("NAME={quote}{text}{quote}");
                assert_eq!(value(&line).as_deref(), Some(text), "{line}");
            }
        }
    }

    #[test]
    fn a_line_without_a_variable_is_reported_by_number_and_skipped() {
        let odd = r##"NAME|export NAME|=value|1NAME=value|NA ME=value|NAME='open|NAME="open\"|NAME='a'b|NAME="a"#b"##;
        for line in odd.split('|') {
            assert_eq!(value(line), None, "{line}");
        }
        let parsed = parse("\u{feff}A=1\r\n\r\n# note\r\nnonsense\r\nB=2\r\nA=3\r\nmore nonsense");
        assert_eq!(parsed.odd_lines, [4, 7]);
        let expected = [("A", "3"), ("B", "2")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(parsed.values, BTreeMap::from(expected));
    }
}
