//! Reads JSON member by member, whatever the types of the members.
//!
//! In: JSON as the service wrote it. Out: its parts, as they were written, borrowed. Pure.
//! A part of an unexpected type is still a part, so one odd member never costs the others, and nothing is built that is
//! not read.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::answer::text::{self, Str};

/// A part of a document, as it was written; empty if absent or `null`.
pub type Raw<'a> = &'a str;

/// Most objects of an array that are read.
pub const MAX_ELEMENTS: usize = 256;

/// Largest part that is read as a JSON value, in bytes. The value takes up to 70 times the memory.
const MAX_VALUE_BYTES: usize = 512 << 10;

/// Whether a part is absent, an empty string, or an array or object with at most something empty in it.
pub fn is_blank(part: Raw<'_>) -> bool {
    // Anything longer has content, or is worth a notice.
    let is_list = part.len() < 16 && part.starts_with(['[', '{']);
    let dense = || part.split_ascii_whitespace().collect::<String>();
    part.is_empty() || part == "\"\"" || is_list && matches!(&*dense(), "[]" | "{}" | "[null]" | "[{}]")
}

/// What a part of a document is, by its first byte.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Absent or `null`.
    Nothing,
    Text,
    Number,
    Flag,
    List,
    Object,
}

impl Kind {
    pub fn of(part: Raw<'_>) -> Self {
        match part.as_bytes().first() {
            None | Some(b'n') => Self::Nothing,
            Some(b'"') => Self::Text,
            Some(b't' | b'f') => Self::Flag,
            Some(b'[') => Self::List,
            Some(b'{') => Self::Object,
            Some(_) => Self::Number,
        }
    }

    /// A name with its article, for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Text => "a string",
            Self::Number => "a number",
            Self::Flag => "a Boolean",
            Self::List => "an array",
            Self::Object => "an object",
        }
    }
}

/// An object that is read in place, so that what it nests is not scanned at every level.
///
/// [`read`] and [`Place`] fill it, and accept any JSON in its place.
pub trait Object<'a>: Default {
    /// Reads a member with [`leaf`], [`place`] or [`skip`].
    fn member<A: MapAccess<'a>>(&mut self, name: Cow<'a, str>, value: &mut A) -> Result<(), A::Error>;
}

/// What was found instead of an object, or of an array of objects.
#[derive(Default)]
pub enum Place<T> {
    #[default]
    Nothing,
    One(T),
    /// Objects, with whatever else the array has.
    Many(Vec<Place<T>>),
    Odd(Kind),
}

impl<T> Place<T> {
    fn one(&self) -> Option<&T> {
        match self {
            Self::One(object) => Some(object),
            Self::Nothing | Self::Many(_) | Self::Odd(_) => None,
        }
    }

    /// The objects, in order.
    pub fn objects(&self) -> impl Iterator<Item = &T> {
        let many = if let Self::Many(all) = self {
            all.as_slice()
        } else {
            &[]
        };
        self.one().into_iter().chain(many.iter().filter_map(Self::one))
    }

    /// The objects, in order.
    pub fn into_objects(self) -> impl Iterator<Item = T> {
        let (one, many) = match self {
            Self::One(object) => (Some(object), Vec::new()),
            Self::Many(all) => (None, all),
            Self::Nothing | Self::Odd(_) => (None, Vec::new()),
        };
        let into_one = |place| match place {
            Self::One(object) => Some(object),
            Self::Nothing | Self::Many(_) | Self::Odd(_) => None,
        };
        one.into_iter().chain(many.into_iter().filter_map(into_one))
    }

    /// What is not an object, if there is something else.
    pub fn odd(&self) -> Kind {
        match self {
            Self::Nothing | Self::One(_) => Kind::Nothing,
            Self::Odd(kind) => *kind,
            Self::Many(all) => {
                let of_place = |place: &Self| match place {
                    Self::Many(_) => Kind::List,
                    place => place.odd(),
                };
                let kinds = all.iter().map(of_place);
                kinds
                    .into_iter()
                    .find(|kind| *kind != Kind::Nothing)
                    .unwrap_or(Kind::Nothing)
            }
        }
    }
}

/// A whole document as an object; `None` if it is something else, or not JSON.
pub fn read<'a, T: Object<'a>>(json: &'a str) -> Option<T> {
    match serde_json::from_str(json) {
        Ok(Place::One(object)) => Some(object),
        Ok(_) | Err(_) => None,
    }
}

/// A part of a document that may be an object, or an array of them.
pub fn read_place<'a, T: Object<'a>>(json: Raw<'a>) -> Place<T> {
    serde_json::from_str(json).unwrap_or(Place::Odd(Kind::of(json)))
}

/// The value of a member, as it was written.
pub fn leaf<'a, A: MapAccess<'a>>(value: &mut A) -> Result<Raw<'a>, A::Error> {
    value.next_value().map(raw)
}

/// The value of a member, read in place.
pub fn place<'a, T: Object<'a>, A: MapAccess<'a>>(value: &mut A) -> Result<Place<T>, A::Error> {
    value.next_value()
}

/// Skips the value of a member.
pub fn skip<'a, A: MapAccess<'a>>(value: &mut A) -> Result<(), A::Error> {
    value.next_value::<IgnoredAny>().map(|IgnoredAny| ())
}

impl<'de, T: Object<'de>> Deserialize<'de> for Place<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any<T>(PhantomData<T>);
        impl<'de, T: Object<'de>> Visitor<'de> for Any<T> {
            type Value = Place<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any JSON")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Place<T>, A::Error> {
                let mut object = T::default();
                while let Some(Str(name)) = members.next_key()? {
                    object.member(name, &mut members)?;
                }
                Ok(Place::One(object))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Place<T>, A::Error> {
                // One object needs no allocation.
                let mut first: Place<T> = elements.next_element()?.unwrap_or_default();
                let mut all = Vec::new();
                while let Some(element) = elements.next_element()? {
                    if all.is_empty() {
                        all.push(std::mem::take(&mut first));
                    }
                    if all.len() < MAX_ELEMENTS {
                        all.push(element);
                    } else if all.len() == MAX_ELEMENTS {
                        // The rest is not read, so a notice must say so.
                        all.push(Place::Odd(Kind::Object));
                    }
                }
                Ok(match first {
                    Place::Many(_) => Place::Odd(Kind::List),
                    first if all.is_empty() => first,
                    _ => Place::Many(all),
                })
            }

            fn visit_unit<E>(self) -> Result<Place<T>, E> {
                Ok(Place::Nothing)
            }

            fn visit_str<E>(self, _: &str) -> Result<Place<T>, E> {
                Ok(Place::Odd(Kind::Text))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Place<T>, E> {
                Ok(Place::Odd(Kind::Flag))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Place<T>, E> {
                Ok(Place::Odd(Kind::Number))
            }

            fn visit_u64<E>(self, _: u64) -> Result<Place<T>, E> {
                Ok(Place::Odd(Kind::Number))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Place<T>, E> {
                Ok(Place::Odd(Kind::Number))
            }
        }
        deserializer.deserialize_any(Any(PhantomData))
    }
}

/// Calls `take` for each member of an object, in order.
///
/// - Out: whether the document is an object. If not, `take` may have been called for the members before the fault.
pub fn each_member<'a>(json: &'a str, take: impl FnMut(Cow<'a, str>, Raw<'a>)) -> bool {
    struct Members<F>(F);
    impl<'de, F: FnMut(Cow<'de, str>, Raw<'de>)> Visitor<'de> for Members<F> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
            while let Some(Str(name)) = members.next_key()? {
                (self.0)(name, raw(members.next_value()?));
            }
            Ok(())
        }
    }
    read_whole(json, |json| json.deserialize_map(Members(take)))
}

impl From<Raw<'_>> for Kind {
    fn from(part: Raw<'_>) -> Self {
        Self::of(part)
    }
}

/// Calls `take` for each element of an array, in order.
///
/// - Out: whether the document is an array.
pub fn each_element<'a>(json: &'a str, take: impl FnMut(Raw<'a>)) -> bool {
    struct Elements<F>(F);
    impl<'de, F: FnMut(Raw<'de>)> Visitor<'de> for Elements<F> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array")
        }

        fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<(), A::Error> {
            while let Some(element) = elements.next_element()? {
                (self.0)(raw(element));
            }
            Ok(())
        }
    }
    read_whole(json, |json| json.deserialize_seq(Elements(take)))
}

/// The members of these names, in the order of the names; `None` unless the document is an object.
///
/// Of members with the same name, the last counts.
pub fn members<'a, const N: usize>(json: &'a str, names: &[&str; N]) -> Option<[Raw<'a>; N]> {
    let mut found = [""; N];
    let is_object = each_member(json, |name, member| {
        if let Some(at) = names.iter().position(|known| *known == name) {
            found[at] = member;
        }
    });
    is_object.then_some(found)
}

/// A string. Borrows from the document unless it has escapes, and keeps lone surrogates as placeholders.
pub fn text(part: Raw<'_>) -> Option<Text<'_>> {
    let inner = part.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Text::plain(inner));
    }
    if let Ok(Str(text)) = serde_json::from_str(part) {
        return Some(Text {
            text,
            has_placeholders: false,
        });
    }
    // Text that already holds code points in the placeholder range gets none, and loses its lone surrogates.
    let has_placeholders = !text::may_hold_placeholders(part);
    let repaired = text::replace_lone_surrogates(part, has_placeholders);
    let text = serde_json::from_str::<String>(&repaired).ok()?.into();
    Some(Text { text, has_placeholders })
}

/// A string, or a number or Boolean as it was written. Lone surrogates become U+FFFD.
pub fn word(part: Raw<'_>) -> Option<Cow<'_, str>> {
    match Kind::of(part) {
        Kind::Text => text(part).map(Text::whole),
        Kind::Number | Kind::Flag => Some(part.into()),
        Kind::Nothing | Kind::List | Kind::Object => None,
    }
}

/// A whole number, also if it is written as `4.0` or as a string.
pub fn number(part: Raw<'_>) -> Option<i128> {
    let text = word(part)?;
    let text = text.trim();
    text.parse().ok().or_else(|| {
        let (whole, fraction) = text.split_once('.')?;
        fraction
            .bytes()
            .all(|digit| digit == b'0')
            .then(|| whole.parse().ok())?
    })
}

/// A part as a JSON value; `null` if it is absent, too large or not JSON.
pub fn value(part: Raw<'_>) -> Value {
    if part.len() > MAX_VALUE_BYTES {
        return Value::Null;
    }
    serde_json::from_str(part).unwrap_or_default()
}

/// A text that may hold placeholders for lone surrogates.
pub struct Text<'a> {
    pub text: Cow<'a, str>,
    pub has_placeholders: bool,
}

impl<'a> Text<'a> {
    /// A text without placeholders.
    pub fn plain(text: &'a str) -> Self {
        Self {
            text: text.into(),
            has_placeholders: false,
        }
    }

    /// Whether placeholders can still be told from real characters after both texts are joined.
    pub fn can_take(&self, next: &Self) -> bool {
        let plain = if self.has_placeholders { next } else { self };
        self.has_placeholders == next.has_placeholders || !text::may_hold_placeholders(&plain.text)
    }

    /// Appends a text that can be joined.
    pub fn push(&mut self, next: &Text<'_>) {
        self.has_placeholders |= next.has_placeholders;
        self.text.to_mut().push_str(&next.text);
    }

    /// Appends a text. Lone surrogates of both become U+FFFD.
    pub fn push_whole(&mut self, next: Text<'_>) {
        let own = std::mem::replace(self, Text::plain(""));
        self.text = own.whole();
        self.text.to_mut().push_str(&next.whole());
    }

    /// The text by itself: lone surrogates become U+FFFD.
    pub fn whole(self) -> Cow<'a, str> {
        text::repaired(self.text, self.has_placeholders)
    }
}

/// Escapes the control characters inside the strings of a document, where JSON does not allow them.
pub fn escape_control_characters(json: &str) -> Cow<'_, str> {
    rewritten(json, |rest, is_in_string| match rest.as_bytes()[0] {
        byte @ 0..=0x1f if is_in_string => Some((1, format!("\\u{byte:04x}"))),
        _ => None,
    })
}

/// Writes `null` for numbers that JSON does not have, but Python's `json` writes all the same.
pub fn null_for_non_numbers(json: &str) -> Cow<'_, str> {
    rewritten(json, |rest, is_in_string| {
        let mut words = ["NaN", "Infinity", "-Infinity"].into_iter().filter(|_| !is_in_string);
        let word = words.find(|word| rest.starts_with(word))?;
        Some((word.len(), "null".to_owned()))
    })
}

/// Rewrites parts of a document.
///
/// - In: `part`, which gets the rest of the document from an ASCII character on, and whether that is inside a string;
///   it says how many bytes to replace, and by what.
fn rewritten(json: &str, part: impl Fn(&str, bool) -> Option<(usize, String)>) -> Cow<'_, str> {
    let mut written = String::new();
    let (mut kept, mut is_in_string, mut is_escaped) = (0, false, false);
    for (at, byte) in json.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_in_string,
            b'"' => is_in_string = !is_in_string,
            0..=0x7f if at >= kept => {
                if let Some((n_bytes, replacement)) = part(&json[at..], is_in_string) {
                    written.push_str(&json[kept..at]);
                    written.push_str(&replacement);
                    kept = at + n_bytes;
                }
            }
            _ => {}
        }
    }
    if kept == 0 {
        return json.into();
    }
    written.push_str(&json[kept..]);
    written.into()
}

fn raw(part: &RawValue) -> Raw<'_> {
    if part.get() == "null" { "" } else { part.get() }
}

/// Whether `read` succeeds, and nothing follows what it read.
fn read_whole<'a>(
    json: &'a str,
    read: impl FnOnce(&mut serde_json::Deserializer<serde_json::de::StrRead<'a>>) -> Result<(), serde_json::Error>,
) -> bool {
    let mut json = serde_json::Deserializer::from_str(json);
    read(&mut json).and_then(|()| json.end()).is_ok()
}
