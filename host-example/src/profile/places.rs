//! The places of a parsed text's values.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::Value;

use super::pointer::segments;

/// Where a value stands, in bytes of the text.
pub(super) struct Place {
    pub range: Range<usize>,
    /// Its key with the quotes; none for array elements.
    pub key_range: Option<Range<usize>>,
}

/// By JSON pointer. What an earlier duplicate of a key held may still be in it.
pub(super) type Places = BTreeMap<String, Place>;

/// A duplicate key of an object.
pub(super) struct Duplicate {
    pub pointer: String,
    pub range: Range<usize>,
    pub first: usize,
}

/// A string literal of the text, key or value.
pub(super) struct StringPlace<'a> {
    pub pointer: &'a str,
    pub range: Range<usize>,
    pub text: String,
    pub is_key: bool,
}

/// Every string of the text, keys included, in no particular order.
pub(super) fn strings<'a>(places: &'a Places, document: &'a Value) -> impl Iterator<Item = StringPlace<'a>> {
    places.iter().flat_map(|(pointer, place)| {
        let value = document.pointer(pointer);
        let key = place.key_range.clone().filter(|_| value.is_some());
        let key = key.map(|range| StringPlace {
            pointer,
            range,
            text: segments(pointer).last().unwrap_or_default(),
            is_key: true,
        });
        let text = value.and_then(Value::as_str).map(|text| StringPlace {
            pointer,
            range: place.range.clone(),
            text: text.to_owned(),
            is_key: false,
        });
        key.into_iter().chain(text)
    })
}
