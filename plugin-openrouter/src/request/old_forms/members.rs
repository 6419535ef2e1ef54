//! Helpers of all translations: removing members from a body, reading values, and the errors that name a field.

use std::fmt;

use plugin_api::{Error, ErrorKind};
use serde_json::value::RawValue;

use crate::values::members::{Kind, Members};

/// An old form that was translated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Translation {
    /// A short name for a header, such as `max-price`.
    pub word: &'static str,
    /// What is sent instead, for people. Names fields, and never contains a value of the request.
    pub message: String,
}

impl Translation {
    pub fn new(word: &'static str, message: impl Into<String>) -> Self {
        Self {
            word,
            message: message.into(),
        }
    }
}

/// Removes these members and returns those that are not `null`.
pub fn take_members(body: &mut Members, names: &[&'static str]) -> Vec<(&'static str, Box<RawValue>)> {
    let members = names.iter().filter_map(|name| Some((*name, body.take(name)?)));
    members.filter(|(_, value)| value.get() != "null").collect()
}

pub fn is_object(value: &RawValue) -> bool {
    Kind::of_value(value) == Kind::Object
}

/// Reads an object of the body.
pub fn object(field: &str, value: &RawValue) -> Result<Members, Error> {
    serde_json::from_str(value.get()).map_err(|_| match Kind::of_value(value) {
        Kind::Object => refused(field, "a JSON object", "one with an invalid name"),
        found => refused(field, "a JSON object", found),
    })
}

/// Reads a list of strings of the body.
pub fn strings(field: &str, expected: &str, value: &RawValue) -> Result<Vec<String>, Error> {
    serde_json::from_str(value.get()).map_err(|_| match Kind::of_value(value) {
        Kind::List => refused(field, expected, "a list of something else"),
        found => refused(field, expected, found),
    })
}

/// Reads a boolean of the body.
pub fn flag(field: &str, value: &RawValue) -> Result<bool, Error> {
    serde_json::from_str(value.get()).map_err(|_| refused(field, "true or false", Kind::of_value(value)))
}

/// The error for a field that is not what it should be.
pub fn refused(field: &str, expected: &str, found: impl fmt::Display) -> Error {
    Error::new(
        ErrorKind::INVALID_REQUEST,
        format!("expected `{field}` to be {expected}, found {found}"),
    )
}
