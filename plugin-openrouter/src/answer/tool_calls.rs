//! Assembles tool calls from their pieces.
//!
//! In: pieces with or without index, id and name, because providers differ.
//! Out: whole calls in the order of their indices, or an error.
//! A call with incomplete arguments is never emitted. Pure.

use std::fmt;

use plugin_api::{Error, ErrorKind, ToolCall};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::answer::text::{Str, Surrogate, joined, may_hold_placeholders, replace_lone_surrogates};

/// Most tool calls in one answer.
const MAX_TOOL_CALLS: usize = 128;

/// Longest arguments of one tool call, in bytes.
const MAX_ARGUMENT_BYTES: usize = 1 << 20;

/// A piece of a tool call.
#[derive(Deserialize)]
pub struct ToolPiece<'a> {
    #[serde(default)]
    index: Option<u32>,
    #[serde(borrow, default)]
    id: Option<Str<'a>>,
    #[serde(borrow, default)]
    function: Option<FunctionPiece<'a>>,
}

#[derive(Deserialize)]
struct FunctionPiece<'a> {
    #[serde(borrow, default)]
    name: Option<Str<'a>>,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
}

/// The pieces of one chunk, as many as an answer may have calls, so that a chunk of empty pieces takes no memory.
pub struct ToolPieces<'a>(pub Vec<ToolPiece<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for ToolPieces<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements;
        impl<'de> Visitor<'de> for Elements {
            type Value = ToolPieces<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of tool calls")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<ToolPieces<'de>, A::Error> {
                let mut pieces = Vec::new();
                while let Some(piece) = elements.next_element()? {
                    // One more than allowed is kept, so that the answer is refused.
                    if pieces.len() <= MAX_TOOL_CALLS {
                        pieces.push(piece);
                    }
                }
                Ok(ToolPieces(pieces))
            }
        }
        deserializer.deserialize_seq(Elements)
    }
}

/// Tool calls that are being assembled.
#[derive(Default)]
pub struct Assembler {
    calls: Vec<Unfinished>,
}

#[derive(Default)]
struct Unfinished {
    index: Option<u32>,
    call: ToolCall,
    pending: Surrogate,
}

impl Assembler {
    /// Adds a piece.
    ///
    /// - Errors: `too_large` for too many calls or too long arguments.
    pub fn take(&mut self, piece: ToolPiece<'_>, has_placeholders: bool) -> Result<(), Error> {
        let id = piece.id.map(|Str(id)| id).unwrap_or_default();
        let function = piece.function;
        let name = function.as_ref().and_then(|function| function.name.as_ref());
        let name = name.map_or("", |Str(name)| name.as_ref());
        let at = match self.place(piece.index, &id, name) {
            Some(at) => at,
            None if self.calls.len() >= MAX_TOOL_CALLS => {
                let message = format!("expected at most {MAX_TOOL_CALLS} tool calls in one answer, found more");
                return Err(Error::new(ErrorKind::TOO_LARGE, message));
            }
            None => {
                self.calls.push(Unfinished {
                    index: piece.index,
                    ..Unfinished::default()
                });
                self.calls.len() - 1
            }
        };
        let Unfinished { call, pending, .. } = &mut self.calls[at];
        if call.id.is_empty() {
            call.id = id.into_owned();
        }
        if call.name.is_empty() {
            call.name.push_str(name);
        }
        match function.and_then(|function| function.arguments).map(RawValue::get) {
            None | Some("null") => {}
            // Some providers send the object itself instead of a string.
            Some(object) if !object.starts_with('"') => call.arguments.push_str(object),
            Some(text) => match serde_json::from_str::<String>(text) {
                Ok(piece) => call
                    .arguments
                    .push_str(&joined(piece.into(), pending, has_placeholders)),
                Err(_) => {
                    let with_placeholders = !may_hold_placeholders(text);
                    let repaired = replace_lone_surrogates(text, with_placeholders);
                    let piece: String = serde_json::from_str(&repaired).unwrap_or_default();
                    call.arguments
                        .push_str(&joined(piece.into(), pending, with_placeholders));
                }
            },
        }
        if call.arguments.len() > MAX_ARGUMENT_BYTES {
            let message =
                format!("expected at most {MAX_ARGUMENT_BYTES} bytes of arguments in one tool call, found more");
            return Err(Error::new(ErrorKind::TOO_LARGE, message));
        }
        Ok(())
    }

    /// The call that a piece belongs to; `None` for a new one.
    fn place(&self, index: Option<u32>, id: &str, name: &str) -> Option<usize> {
        // Some providers reuse an index for a new call, which has an id and a name of its own.
        // A new id alone proves nothing, because other providers send one with every piece.
        let fits = |call: &ToolCall| id.is_empty() || name.is_empty() || call.id.is_empty() || call.id == id;
        match index {
            Some(_) => {
                let at = self.calls.iter().rposition(|call| call.index == index)?;
                fits(&self.calls[at].call).then_some(at)
            }
            None if !id.is_empty() => {
                let known = self.calls.iter().rposition(|call| call.call.id == id);
                let last = self.calls.len().checked_sub(1)?;
                known.or_else(|| self.calls[last].call.id.is_empty().then_some(last))
            }
            None => {
                let last = self.calls.len().checked_sub(1)?;
                // A name begins a new call, unless the last call still lacks one.
                (name.is_empty() || self.calls[last].call.name.is_empty()).then_some(last)
            }
        }
    }

    /// Returns the calls.
    ///
    /// - Errors: `interrupted` for incomplete arguments; `protocol` for a call without a name.
    pub fn finish(mut self) -> Result<Vec<ToolCall>, Error> {
        // The sort is stable, so calls without an index, or with the same one, keep their order.
        self.calls.sort_by_key(|call| call.index);
        self.calls
            .into_iter()
            .enumerate()
            .map(|(position, unfinished)| whole(position, unfinished))
            .collect()
    }
}

fn whole(position: usize, unfinished: Unfinished) -> Result<ToolCall, Error> {
    let Unfinished { mut call, pending, .. } = unfinished;
    call.arguments.extend(pending.map(|_| '\u{fffd}'));
    if call.name.is_empty() {
        return Err(Error::new(
            ErrorKind::PROTOCOL,
            "expected the name of a tool in a tool call, found none",
        ));
    }
    if call.id.is_empty() {
        // The tool's result must refer to the call by its id.
        call.id = format!("call_{position}");
    }
    if call.arguments.trim().is_empty() {
        // Some providers send no arguments for a function without parameters.
        call.arguments = "{}".to_owned();
    }
    if serde_json::from_str::<IgnoredAny>(&call.arguments).is_err() {
        let name = &call.name;
        let message = format!("the answer broke off inside the arguments of the tool call `{name}`");
        return Err(Error::new(ErrorKind::INTERRUPTED, message).with_hint("try again with a higher `max_tokens`"));
    }
    Ok(call)
}
