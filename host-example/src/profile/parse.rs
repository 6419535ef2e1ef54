//! Turns text into a value and the places of its parts, by way of `jsonc-parser`.
//!
//! JSON with comments and trailing commas, nothing looser. Errors are in plain words; the
//! parser's own messages are for programmers.

use std::ops::Range;

use jsonc_parser::ast;
use jsonc_parser::common::Ranged;
use jsonc_parser::errors::{ParseError, ParseErrorKind};
use jsonc_parser::{CollectOptions, ParseOptions, ParseStringErrorKind, parse_to_ast};
use serde_json::{Map, Number, Value};

use super::places::{Duplicate, Place, Places};
use super::pointer::join;
use super::read::MAX_BYTES;

/// Deepest nesting of objects and arrays.
const MAX_DEPTH: usize = 64;
/// How many duplicates are remembered: a file with more is not a profile.
const MAX_DUPLICATES: usize = 100;

/// Longest that all pointers together may be, in bytes. Below one long key, each of many values has a long pointer.
const MAX_POINTER_BYTES: usize = 64 << 20;

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

/// What was found on the way to a value.
#[derive(Default)]
pub(super) struct Found {
    pub places: Places,
    pub duplicates: Vec<Duplicate>,
    pointer_bytes: usize,
}

/// Parses the text.
pub(super) fn parse(text: &str) -> Result<(Value, Found), Broken> {
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
    let mut found = Found::default();
    let value = value_from(root, "", None, &mut found);
    if found.pointer_bytes > MAX_POINTER_BYTES {
        let message = "expected shorter keys, or fewer values below them";
        return Err(Broken::new(0..0, message, None));
    }
    Ok((value, found))
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
    let range = plain(error.range());
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

fn value_from(value: ast::Value<'_>, pointer: &str, key_range: Option<Range<usize>>, found: &mut Found) -> Value {
    let range = plain(value.range());
    found.pointer_bytes += pointer.len();
    if found.pointer_bytes > MAX_POINTER_BYTES {
        return Value::Null;
    }
    found.places.insert(pointer.to_owned(), Place { range, key_range });
    match value {
        ast::Value::StringLit(string) => Value::String(string.value.into_owned()),
        ast::Value::NumberLit(number) => number_from(number.value),
        ast::Value::BooleanLit(boolean) => Value::Bool(boolean.value),
        ast::Value::NullKeyword(_) => Value::Null,
        ast::Value::Array(array) => {
            let elements = array.elements.into_iter().enumerate();
            elements
                .map(|(index, element)| value_from(element, &format!("{pointer}/{index}"), None, found))
                .collect()
        }
        ast::Value::Object(object) => {
            let mut map = Map::new();
            for property in object.properties {
                let key_range = plain(property.name.range());
                let key = property.name.into_string();
                let below = join(pointer, &key);
                let first = found.places.get(&below).filter(|_| map.contains_key(&key));
                if let Some(first) = first.and_then(|place| place.key_range.clone())
                    && found.duplicates.len() < MAX_DUPLICATES
                {
                    found.duplicates.push(Duplicate {
                        pointer: below.clone(),
                        range: key_range.clone(),
                        first: first.start,
                    });
                }
                map.insert(key, value_from(property.value, &below, Some(key_range), found));
            }
            Value::Object(map)
        }
    }
}

fn plain(range: jsonc_parser::common::Range) -> Range<usize> {
    range.start..range.end
}

/// A number that is too large becomes the largest one, so that a limit refuses it.
fn number_from(text: &str) -> Value {
    let largest = if text.starts_with('-') { f64::MIN } else { f64::MAX };
    let number = text.parse::<Number>().ok().or_else(|| Number::from_f64(largest));
    number.map_or(Value::Null, Value::Number)
}
