//! Reads one piece of a tool call, in whatever form a provider sends it.
//!
//! In: an element of `tool_calls`, or a `function_call`. Out: its members, whatever their places and types. Pure.

use std::borrow::Cow;

use serde::de::MapAccess;

use crate::answer::json::{self, Kind, Object, Place, Raw, Text, leaf, place};
use crate::answer::odd::Odd;

/// The maximum number of members of one call that are kept without being read.
pub const MAX_EXTRAS: usize = 64;

/// A piece of a tool call.
#[derive(Default)]
pub struct Piece<'a> {
    pub index: Option<i128>,
    pub id: Cow<'a, str>,
    pub name: Cow<'a, str>,
    pub arguments: Raw<'a>,
    /// Whether its arguments, or the function with them, could not be read.
    pub is_odd: bool,
    /// Whether it has a type, as the first piece of a call has.
    pub has_type: bool,
    /// Members that only the provider understands, such as signatures. They go back to it with the call.
    pub extras: Vec<(Cow<'a, str>, Raw<'a>)>,
}

/// Whether an object is a call rather than several by number.
pub fn is_call(json: &str) -> bool {
    let members = json::members(json, &["function", "name", "id", "arguments"]);
    members.is_some_and(|members| members.iter().any(|member| !member.is_empty()))
}

/// The members of a piece, as they were written.
#[derive(Default)]
pub struct Members<'a> {
    index: Raw<'a>,
    id: Raw<'a>,
    kind: Raw<'a>,
    function: Place<Function<'a>>,
    /// What some providers send without a `function` around it.
    flat: Function<'a>,
    others: Vec<(Cow<'a, str>, Raw<'a>)>,
}

/// The members of a function, as they were written.
#[derive(Default)]
pub struct Function<'a> {
    name: Raw<'a>,
    arguments: Raw<'a>,
    /// What other services call the arguments.
    parameters: Raw<'a>,
    others: Vec<(Cow<'a, str>, Raw<'a>)>,
}

impl<'a> Object<'a> for Members<'a> {
    fn member<A: MapAccess<'a>>(&mut self, name: Cow<'a, str>, value: &mut A) -> Result<(), A::Error> {
        match &*name {
            "index" => self.index = leaf(value)?,
            "id" => self.id = leaf(value)?,
            "type" => self.kind = leaf(value)?,
            "function" => self.function = place(value)?,
            "name" | "arguments" | "parameters" | "input" | "args" => self.flat.member(name, value)?,
            _ => keep(&mut self.others, name, leaf(value)?),
        }
        Ok(())
    }
}

impl<'a> Object<'a> for Function<'a> {
    fn member<A: MapAccess<'a>>(&mut self, name: Cow<'a, str>, value: &mut A) -> Result<(), A::Error> {
        match &*name {
            "name" => self.name = leaf(value)?,
            "arguments" => self.arguments = leaf(value)?,
            "parameters" | "input" | "args" => self.parameters = leaf(value)?,
            _ => keep(&mut self.others, name, leaf(value)?),
        }
        Ok(())
    }
}

/// Keeps a member that only the provider understands.
fn keep<'a>(others: &mut Vec<(Cow<'a, str>, Raw<'a>)>, name: Cow<'a, str>, member: Raw<'a>) {
    // One more than the limit, so that a notice reports the excess.
    if others.len() <= MAX_EXTRAS && !member.is_empty() {
        others.push((name, member));
    }
}

impl<'a> Members<'a> {
    pub fn piece(self, odd: &mut Odd) -> Piece<'a> {
        let mut piece = self.flat.piece(odd);
        match self.function {
            Place::One(function) => {
                let function = function.piece(odd);
                piece.name = if function.name.is_empty() {
                    piece.name
                } else {
                    function.name
                };
                piece.arguments = if function.arguments.is_empty() {
                    piece.arguments
                } else {
                    function.arguments
                };
                piece.is_odd |= function.is_odd;
                piece.extras = function.extras;
            }
            Place::Nothing => {}
            other => {
                let kind = if matches!(other, Place::Many(_)) {
                    Kind::List
                } else {
                    other.odd()
                };
                odd.note("tool_calls[].function", kind);
                piece.is_odd = true;
            }
        }
        piece.index = json::number(self.index);
        piece.has_type = !json::is_blank(self.kind);
        match json::word(self.id) {
            Some(id) => piece.id = id,
            None => odd.note("tool_calls[].id", self.id),
        }
        piece.extras.extend(self.others);
        piece
    }
}

impl<'a> Function<'a> {
    pub fn piece(self, odd: &mut Odd) -> Piece<'a> {
        let mut piece = Piece::default();
        match Kind::of(self.name) {
            Kind::Text => piece.name = json::text(self.name).map(Text::whole).unwrap_or_default(),
            other => odd.note("tool_calls[].function.name", other),
        }
        let arguments = if self.arguments.is_empty() {
            self.parameters
        } else {
            self.arguments
        };
        match Kind::of(arguments) {
            Kind::Text | Kind::Object => piece.arguments = arguments,
            Kind::Nothing => {}
            other => {
                odd.note("tool_calls[].function.arguments", other);
                piece.is_odd = true;
            }
        }
        let of_function = |(name, member): (Cow<'a, str>, Raw<'a>)| (format!("function.{name}").into(), member);
        piece.extras = self.others.into_iter().map(of_function).collect();
        piece
    }
}
