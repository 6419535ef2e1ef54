//! Puts tool calls together from the pieces that they arrive in.
//!
//! In: pieces, with or without their index, id and name, as many providers send them in many ways. Out: whole calls, in the
//! order of their indices, or an error: a call whose arguments are not whole is never handed on. Pure.

use std::fmt;

use plugin_api::{Error, ErrorKind, ToolCall};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::answer::text::{Half, Str, joined, looks_halved, whole_characters};

/// Tool calls that one answer may hold; more are refused.
const MAX_TOOL_CALLS: usize = 128;

/// The longest arguments of one tool call, in bytes.
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

/// The pieces of one chunk. More than an answer may have calls are not looked at, so that a chunk of empty ones takes no memory.
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
                    // One more than is allowed is enough to be refused for it.
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

/// Tool calls that are being put together.
#[derive(Default)]
pub struct Assembler {
    calls: Vec<Unfinished>,
}

#[derive(Default)]
struct Unfinished {
    index: Option<u32>,
    call: ToolCall,
    half: Half,
}

impl Assembler {
    /// Takes a piece.
    ///
    /// - Errors: `too_large` for more calls, or longer arguments, than an answer may have.
    pub fn take(&mut self, piece: ToolPiece<'_>, has_halves: bool) -> Result<(), Error> {
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
        let Unfinished { call, half, .. } = &mut self.calls[at];
        if call.id.is_empty() {
            call.id = id.into_owned();
        }
        if call.name.is_empty() {
            call.name.push_str(name);
        }
        match function.and_then(|function| function.arguments).map(RawValue::get) {
            None | Some("null") => {}
            // Some providers send the object itself instead of its text.
            Some(object) if !object.starts_with('"') => call.arguments.push_str(object),
            Some(text) => match serde_json::from_str::<String>(text) {
                Ok(piece) => call.arguments.push_str(&joined(piece.into(), half, has_halves)),
                Err(_) => {
                    let mended = whole_characters(text, !looks_halved(text));
                    let piece: String = serde_json::from_str(&mended).unwrap_or_default();
                    call.arguments
                        .push_str(&joined(piece.into(), half, !looks_halved(text)));
                }
            },
        }
        if call.arguments.len() > MAX_ARGUMENT_BYTES {
            let message = format!("expected at most {MAX_ARGUMENT_BYTES} bytes of arguments for one tool call");
            return Err(Error::new(ErrorKind::TOO_LARGE, message));
        }
        Ok(())
    }

    /// Which call a piece belongs to; `None` for a new one.
    fn place(&self, index: Option<u32>, id: &str, name: &str) -> Option<usize> {
        // Some providers begin a new call under an index that was used before: its id and its name tell. An id alone does
        // not, because others send a new one with every piece.
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
                // A name begins a call, unless the call still lacks one.
                (name.is_empty() || self.calls[last].call.name.is_empty()).then_some(last)
            }
        }
    }

    /// The calls, whole.
    ///
    /// - Errors: `interrupted` if the arguments of one are not; `protocol` for one without a name.
    pub fn finish(mut self) -> Result<Vec<ToolCall>, Error> {
        // The sort keeps the order of those that have none, or the same.
        self.calls.sort_by_key(|call| call.index);
        self.calls
            .into_iter()
            .enumerate()
            .map(|(position, unfinished)| whole(position, unfinished))
            .collect()
    }
}

fn whole(position: usize, unfinished: Unfinished) -> Result<ToolCall, Error> {
    let Unfinished { mut call, half, .. } = unfinished;
    call.arguments.extend(half.map(|_| '\u{fffd}'));
    if call.name.is_empty() {
        return Err(Error::new(
            ErrorKind::PROTOCOL,
            "the model asks for a tool call and does not say of which tool",
        ));
    }
    if call.id.is_empty() {
        // The tool's answer has to name it.
        call.id = format!("call_{position}");
    }
    if call.arguments.trim().is_empty() {
        // Some providers send nothing for a function without parameters.
        call.arguments = "{}".to_owned();
    }
    if serde_json::from_str::<IgnoredAny>(&call.arguments).is_err() {
        let name = &call.name;
        let message = format!("the answer broke off inside the arguments of the tool call `{name}`");
        return Err(Error::new(ErrorKind::INTERRUPTED, message).with_hint("try again, with more tokens for the answer"));
    }
    Ok(call)
}
