//! Turns text into a tree with places, by way of `jsonc-parser`.
//!
//! JSON with comments and trailing commas, nothing looser. Errors are in plain words; the
//! parser's own messages are for programmers.

use std::collections::BTreeMap;
use std::ops::Range;

use jsonc_parser::ast;
use jsonc_parser::errors::{ParseError, ParseErrorKind};
use jsonc_parser::{CollectOptions, ParseOptions, ParseStringErrorKind, parse_to_ast};
use serde_json::{Map, Number, Value};

use super::node::{Duplicate, Inner, Member, Node};
use super::pointer::join;
use super::read::MAX_BYTES;

/// Deepest nesting of objects and arrays.
const MAX_DEPTH: usize = 64;
/// More duplicates than this are not remembered: a file that has them is no profile.
const MAX_DUPLICATES: usize = 100;

/// The first place that is not JSON.
pub(super) struct Broken {
    pub range: Range<usize>,
    pub message: String,
    pub hint: Option<String>,
}

impl Broken {
    fn new(range: Range<usize>, message: &str, hint: Option<&str>) -> Broken {
        Broken {
            range,
            message: message.to_owned(),
            hint: hint.map(str::to_owned),
        }
    }
}

/// The tree, the same as a value, and the duplicate keys.
pub(super) type Tree = (Node, Value, Vec<Duplicate>);

/// Parses the text.
pub(super) fn tree_of(text: &str) -> Result<Tree, Broken> {
    if text.len() as u64 > MAX_BYTES {
        let message = format!("expected at most {MAX_BYTES} bytes, found {}", text.len());
        return Err(Broken::new(0..0, &message, None));
    }
    guard(text)?;
    let options = ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let parsed = parse_to_ast(text, &CollectOptions::default(), &options).map_err(|error| broken_from(text, &error))?;
    let Some(root) = parsed.value else {
        return Err(Broken::new(0..0, "expected an object, found nothing", None));
    };
    let mut duplicates = Vec::new();
    let (node, value) = node_from(root, "", &mut duplicates);
    Ok((node, value, duplicates))
}

/// Refuses what the parser handles badly: nesting that would exhaust its stack, and strings that
/// run past the end of their line, which it would report far from the mistake.
fn guard(text: &str) -> Result<(), Broken> {
    let bytes = text.as_bytes();
    let mut depth = 0;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => at = end_of_string(text, at)?,
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                at = text[at..].find('\n').map_or(text.len(), |length| at + length);
                continue;
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                let Some(length) = text[at + 2..].find("*/") else {
                    return Err(Broken::new(
                        at..at + 2,
                        "this comment is never closed, expected `*/`",
                        None,
                    ));
                };
                at += length + 3;
            }
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    let message = format!("expected at most {MAX_DEPTH} levels of nesting, found more");
                    return Err(Broken::new(at..at + 1, &message, None));
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

/// The place of the quote that closes the string which begins at `start`.
fn end_of_string(text: &str, start: usize) -> Result<usize, Broken> {
    let bytes = text.as_bytes();
    let mut at = start + 1;
    loop {
        match bytes.get(at) {
            Some(b'"') => return Ok(at),
            Some(b'\\') => at += 1,
            None | Some(b'\n' | b'\r') => {
                return Err(Broken::new(
                    start..at,
                    "this string is not closed, expected `\"` on the same line",
                    None,
                ));
            }
            Some(control) if *control < 0x20 => {
                let message = format!("expected `\\u{control:04x}`, found the control character itself");
                return Err(Broken::new(at..at + 1, &message, None));
            }
            Some(_) => {}
        }
        at += 1;
    }
}

fn broken_from(text: &str, error: &ParseError) -> Broken {
    let range = error.range().start..error.range().end;
    let found = |expected: &str| match text[range.clone()].chars().next() {
        Some(character) => format!("expected {expected}, found `{character}`"),
        None => format!("expected {expected}, found the end of the file"),
    };
    let quotes = Some("put keys and strings in double quotes");
    let first = range.start..(range.start + 1).min(text.len());
    match error.kind() {
        ParseErrorKind::UnterminatedObject => Broken::new(first, "this `{` is never closed, expected `}`", None),
        ParseErrorKind::UnterminatedArray => Broken::new(first, "this `[` is never closed, expected `]`", None),
        ParseErrorKind::ExpectedComma => Broken::new(range, "expected `,` before the next item", None),
        ParseErrorKind::ExpectedColonAfterObjectKey => Broken::new(range.clone(), &found("`:` after the key"), None),
        ParseErrorKind::ExpectedStringObjectProperty => {
            Broken::new(range, "expected a key in double quotes, found a bare word", quotes)
        }
        ParseErrorKind::UnexpectedTokenInObject => Broken::new(range.clone(), &found("a key or `}`"), None),
        ParseErrorKind::UnexpectedWord => Broken::new(range, "expected a value, found a bare word", quotes),
        ParseErrorKind::SingleQuotedStringsNotAllowed => {
            Broken::new(first, "expected double quotes, found a single quote", quotes)
        }
        ParseErrorKind::MultipleRootJsonValues => Broken::new(range.clone(), &found("the end of the file"), None),
        ParseErrorKind::ExpectedDigit
        | ParseErrorKind::ExpectedDigitFollowingNegativeSign
        | ParseErrorKind::ExpectedPlusMinusOrDigitInNumberLiteral
        | ParseErrorKind::BareDecimalPointNumbersNotAllowed
        | ParseErrorKind::HexadecimalNumbersNotAllowed
        | ParseErrorKind::NonFiniteNumbersNotAllowed
        | ParseErrorKind::UnaryPlusNumbersNotAllowed => Broken::new(
            range,
            "expected a number such as `12`, `-3` or `0.5`, found another notation",
            None,
        ),
        ParseErrorKind::String(ParseStringErrorKind::InvalidUnicodeEscapeSequence(_)) => Broken::new(
            range,
            "expected a whole character, found half of a `\\u` surrogate pair",
            None,
        ),
        ParseErrorKind::String(_) => Broken::new(
            range,
            "expected one of the escapes `\\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u0000`, found another",
            None,
        ),
        _ => Broken::new(range.clone(), &found("a value"), None),
    }
}

fn node_from(value: ast::Value<'_>, pointer: &str, duplicates: &mut Vec<Duplicate>) -> (Node, Value) {
    match value {
        ast::Value::StringLit(string) => {
            let text = string.value.into_owned();
            (
                Node {
                    range: plain(string.range),
                    inner: Inner::Text(text.clone()),
                },
                Value::String(text),
            )
        }
        ast::Value::NumberLit(number) => (other(number.range), number_from(number.value)),
        ast::Value::BooleanLit(boolean) => (other(boolean.range), Value::Bool(boolean.value)),
        ast::Value::NullKeyword(null) => (other(null.range), Value::Null),
        ast::Value::Array(array) => {
            let elements = array.elements.into_iter().enumerate();
            let (nodes, values) = elements
                .map(|(index, element)| node_from(element, &format!("{pointer}/{index}"), duplicates))
                .unzip();
            (
                Node {
                    range: plain(array.range),
                    inner: Inner::Array(nodes),
                },
                Value::Array(values),
            )
        }
        ast::Value::Object(object) => {
            let mut members = BTreeMap::<String, Member>::new();
            let mut map = Map::new();
            for property in object.properties {
                let key_range = match &property.name {
                    ast::ObjectPropName::String(name) => plain(name.range),
                    ast::ObjectPropName::Word(name) => plain(name.range),
                };
                let key = property.name.into_string();
                let below = join(pointer, &key);
                let (node, value) = node_from(property.value, &below, duplicates);
                map.insert(key.clone(), value);
                let member = Member {
                    key_range: key_range.clone(),
                    node,
                };
                if let Some(first) = members.insert(key, member)
                    && duplicates.len() < MAX_DUPLICATES
                {
                    duplicates.push(Duplicate {
                        pointer: below,
                        range: key_range,
                        first: first.key_range.start,
                    });
                }
            }
            (
                Node {
                    range: plain(object.range),
                    inner: Inner::Object(members),
                },
                Value::Object(map),
            )
        }
    }
}

fn plain(range: jsonc_parser::common::Range) -> Range<usize> {
    range.start..range.end
}

fn other(range: jsonc_parser::common::Range) -> Node {
    Node {
        range: plain(range),
        inner: Inner::Other,
    }
}

/// A number that is too large becomes the largest one, so that a limit refuses it.
fn number_from(text: &str) -> Value {
    let largest = if text.starts_with('-') { f64::MIN } else { f64::MAX };
    let number = text.parse::<Number>().ok().or_else(|| Number::from_f64(largest));
    number.map_or(Value::Null, Value::Number)
}
