//! Assembles tool calls from their pieces.
//!
//! In: the member `tool_calls` of deltas, in whatever form a provider sends it, with or without index, id and name.
//! Out: whole calls in the order of their indices, or an error, and what was mended or could not be read.
//! A call that is incomplete, or that can be read in several ways, is never emitted. Pure.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use plugin_api::{Error, ErrorKind, ToolCall, Verbatim};

use crate::answer::arguments::{self, Arguments, Unusable};
use crate::answer::call_pieces::{Function, MAX_EXTRAS, Members, Piece, is_call};
use crate::answer::ending::Ending;
use crate::answer::json::{self, Kind, Place, Raw, Text, each_member};
use crate::answer::odd::Odd;
use crate::answer::text::{Surrogate, joined};

/// Most tool calls in one answer.
const MAX_CALLS: usize = 128;

/// Longest id or name of a tool call, in bytes.
const MAX_NAME_BYTES: usize = 4 << 10;

/// Most bytes of members of one call that are kept without being read.
const MAX_EXTRA_BYTES: usize = 1 << 20;

/// Tool calls that are being assembled.
#[derive(Default)]
pub struct Assembler {
    calls: Vec<Unfinished>,
    /// Number of deltas read.
    n_deltas: u32,
    /// Whether a piece could not be read.
    has_odd: bool,
}

#[derive(Default)]
struct Unfinished {
    index: Option<i128>,
    id: String,
    name: String,
    arguments: Arguments,
    /// Whether a piece had arguments, empty or not.
    has_arguments: bool,
    /// Whether a piece of its arguments could not be read.
    is_odd: bool,
    extras: BTreeMap<String, Verbatim>,
    n_extra_bytes: usize,
    /// Half of a character at the end of the arguments so far.
    pending: Surrogate,
    /// The delta with its latest piece.
    delta: u32,
}

impl Assembler {
    /// Adds the pieces of one delta.
    ///
    /// - In: `calls`, usually an array. A single call, calls by number, and either as a string are read as well;
    ///   `function`, the only call in the form before there were several. Some providers send both.
    /// - Out: the place of the call and the arguments as they were written, if the delta has only one piece that
    ///   continues a call.
    /// - Errors: `too_large` for too many calls or too long arguments.
    pub fn take<'a>(
        &mut self,
        calls: Raw<'a>,
        function: Raw<'_>,
        odd: &mut Odd,
    ) -> Result<Option<(usize, Raw<'a>)>, Error> {
        self.n_deltas += 1;
        let continued = self.take_calls(calls, odd)?;
        if function.is_empty() {
            return Ok(continued);
        }
        self.take_function(function, odd).map(|()| None)
    }

    fn take_calls<'a>(&mut self, calls: Raw<'a>, odd: &mut Odd) -> Result<Option<(usize, Raw<'a>)>, Error> {
        match Kind::of(calls) {
            Kind::Nothing => Ok(None),
            Kind::Text => {
                let inner = json::text(calls).map(Text::whole).unwrap_or_default();
                match Kind::of(&inner) {
                    Kind::List | Kind::Object => self.take_calls(&inner, odd).map(|_| None),
                    _ => self.take_place(Place::Odd(Kind::Text), odd),
                }
            }
            Kind::Object if !is_call(calls) => {
                let mut pieces = Vec::new();
                each_member(calls, |_, piece| {
                    // One more than allowed is kept, so that the answer is refused.
                    if pieces.len() <= MAX_CALLS {
                        pieces.push(json::read_place(piece));
                    }
                });
                self.take_place(Place::Many(pieces), odd)
            }
            _ => self.take_place(json::read_place(calls), odd),
        }
    }

    fn take_place<'a>(&mut self, calls: Place<Members<'a>>, odd: &mut Odd) -> Result<Option<(usize, Raw<'a>)>, Error> {
        let is_one = matches!(calls, Place::One(_));
        let mut continued = None;
        let n_odd = odd.n_noted();
        odd.note("tool_calls[]", calls.odd());
        self.has_odd |= odd.n_noted() > n_odd;
        for members in calls.into_objects() {
            let piece = self.take_piece(|odd| members.piece(odd), odd)?;
            continued = piece.filter(|_| is_one);
        }
        Ok(continued)
    }

    fn take_function(&mut self, function: Raw<'_>, odd: &mut Odd) -> Result<(), Error> {
        let Some(function) = json::read::<Function<'_>>(function) else {
            return self.take_place(Place::Odd(Kind::of(function)), odd).map(|_| ());
        };
        let piece = self.read_piece(|odd| function.piece(odd), odd);
        let arguments = json::text(piece.arguments).unwrap_or_else(|| Text::plain(piece.arguments));
        // The same call in its other form.
        let is_twin = |call: &Unfinished| {
            let has_arguments = arguments.text.is_empty() || call.arguments.ends_with_piece(&arguments.text);
            call.delta == self.n_deltas && call.name.ends_with(&*piece.name) && has_arguments
        };
        if self.calls.iter().any(is_twin) {
            return Ok(());
        }
        self.place_piece(piece, odd).map(|_| ())
    }

    fn read_piece<'a>(&mut self, read: impl FnOnce(&mut Odd) -> Piece<'a>, odd: &mut Odd) -> Piece<'a> {
        let n_odd = odd.n_noted();
        let piece = read(odd);
        self.has_odd |= odd.n_noted() > n_odd;
        piece
    }

    fn take_piece<'a>(
        &mut self,
        read: impl FnOnce(&mut Odd) -> Piece<'a>,
        odd: &mut Odd,
    ) -> Result<Option<(usize, Raw<'a>)>, Error> {
        let piece = self.read_piece(read, odd);
        let continues = piece.name.is_empty() && piece.extras.is_empty() && Kind::of(piece.arguments) == Kind::Text;
        let arguments = piece.arguments;
        let at = self.place_piece(piece, odd)?;
        Ok(at.filter(|_| continues).map(|at| (at, arguments)))
    }

    /// - Out: the place of the call; `None` if the piece was dropped.
    fn place_piece(&mut self, piece: Piece<'_>, odd: &mut Odd) -> Result<Option<usize>, Error> {
        // Some providers send the object itself instead of a string.
        let arguments = json::text(piece.arguments).unwrap_or_else(|| Text::plain(piece.arguments));
        let at = match self.find(&piece, &arguments.text) {
            Found::Repeated => {
                odd.tell("tool_calls", || {
                    "a tool call that repeats another one was dropped".to_owned()
                });
                return Ok(None);
            }
            // Nothing of it could be read.
            Found::New if piece.is_odd && piece.name.is_empty() => return Ok(None),
            Found::At(at) => at,
            Found::New if self.calls.len() >= MAX_CALLS => {
                return Err(too_large(&format!("{MAX_CALLS} tool calls in one answer")));
            }
            Found::New => {
                self.calls.push(Unfinished {
                    index: piece.index,
                    ..Unfinished::default()
                });
                self.calls.len() - 1
            }
        };
        let call = &mut self.calls[at];
        call.delta = self.n_deltas;
        call.is_odd |= piece.is_odd;
        if call.id.is_empty() {
            call.id = piece.id.into_owned();
        }
        if piece.name.starts_with(&call.name) {
            // The name so far, or all of it again.
            call.name = piece.name.into_owned();
        } else {
            call.name.push_str(&piece.name);
        }
        if call.id.len().max(call.name.len()) > MAX_NAME_BYTES {
            return Err(too_large(&format!(
                "{MAX_NAME_BYTES} bytes of a tool call's id or name"
            )));
        }
        call.has_arguments |= !piece.arguments.is_empty();
        call.keep_extras(piece.extras, odd)?;
        self.append(at, arguments)?;
        Ok(Some(at))
    }

    /// Adds a piece of the arguments of the call at this place.
    ///
    /// - Errors: `too_large`.
    pub fn append(&mut self, at: usize, piece: Text<'_>) -> Result<(), Error> {
        let Some(call) = self.calls.get_mut(at) else {
            return Ok(());
        };
        call.arguments
            .push(&joined(piece.text, &mut call.pending, piece.has_placeholders));
        if call.arguments.is_too_long() {
            return Err(too_large(&format!(
                "{} bytes of arguments in one tool call",
                arguments::MAX_BYTES
            )));
        }
        Ok(())
    }

    /// The call that a piece belongs to.
    fn find(&self, piece: &Piece<'_>, arguments: &str) -> Found {
        let with = |has: &dyn Fn(&Unfinished) -> bool| self.calls.iter().rposition(has);
        let has_id = |call: &Unfinished| !piece.id.is_empty() && call.id == piece.id;
        let last = self.calls.len().checked_sub(1);
        let is_nameless = piece.name.is_empty();
        let at = if piece.index.is_some() {
            with(&|call| call.index == piece.index && has_id(call))
                // An id that is known says more than an index, which some providers leave at 0.
                .or_else(|| with(&has_id).filter(|_| is_nameless))
                .or_else(|| with(&|call| call.index == piece.index))
                // Without a name it is not a new call.
                .or_else(|| last.filter(|&last| is_nameless && self.calls[last].index.is_none()))
        } else if piece.id.is_empty() {
            // Some services omit an index of 0 and write the others.
            with(&|call| call.index.is_none()).filter(|_| is_nameless).or(last)
        } else {
            // Some providers send another id with every piece; one without a name continues what is not complete.
            let continues = |call: &Unfinished| call.id.is_empty() || is_nameless && !call.arguments.is_whole();
            with(&has_id).or_else(|| last.filter(|&last| continues(&self.calls[last])))
        };
        let Some(at) = at else { return Found::New };
        let call = &self.calls[at];
        if piece.name.is_empty() || call.name.is_empty() {
            // A new id alone proves nothing, because some providers send one with every piece.
            return Found::At(at);
        }
        let has_other_id = !piece.id.is_empty() && !call.id.is_empty() && piece.id != call.id;
        let has_same_id = !piece.id.is_empty() && piece.id == call.id;
        let has_same_name = piece.name == call.name;
        if has_other_id {
            return Found::New;
        }
        if call.arguments.is_blank() {
            // Two names in one delta, or without an index or an id to hold them together, are two calls.
            // A name alone may be part of a longer name.
            let is_of_a_name = piece.id.is_empty() && call.id.is_empty() && !piece.has_type && !call.has_arguments;
            let is_later = call.delta != self.n_deltas;
            let continues = has_same_id || is_later && (piece.index.is_some() || has_same_name || is_of_a_name);
            return if continues { Found::At(at) } else { Found::New };
        }
        if has_same_name && arguments.is_empty() && call.delta != self.n_deltas {
            return Found::At(at);
        }
        let is_later = call.delta != self.n_deltas;
        if is_later && has_same_name && call.arguments.is_repeated_by(arguments) && call.arguments.is_whole() {
            return Found::Repeated;
        }
        let is_held_together = has_same_id || piece.index.is_some() && piece.index == call.index;
        if is_later && has_same_name && is_held_together && call.arguments.is_contained_in(arguments) {
            return Found::At(at);
        }
        let awaits_more =
            !call.arguments.is_whole() || call.arguments.is_placeholder() && is_later && !arguments.is_empty();
        if has_same_name && awaits_more {
            Found::At(at)
        } else {
            Found::New
        }
    }

    /// Returns the calls, and what was mended in them.
    ///
    /// - Errors: `interrupted` for arguments that break off, or may lack their end because the answer does;
    ///   `tool_call` for a call that cannot be used in another way, and, if the answer ended in order to call tools,
    ///   for pieces that could not be read or for no call at all.
    pub fn finish(mut self, ending: &Ending) -> Result<Vec<(ToolCall, Option<String>)>, Error> {
        if *ending == Ending::Calls && (self.has_odd || self.calls.is_empty()) {
            let found = if self.has_odd {
                "one that cannot be read"
            } else {
                "none"
            };
            return Err(unusable(&format!(
                "expected a tool call, because the answer ended in order to call tools, found {found}"
            )));
        }
        // The sort is stable, so calls without an index, or with the same one, keep their order.
        self.calls.sort_by_key(|call| call.index);
        let mut ids = HashSet::new();
        self.calls
            .into_iter()
            .enumerate()
            .map(|(position, mut unfinished)| {
                // The tool's result refers to the call by its id.
                if unfinished.id.is_empty() {
                    unfinished.id = format!("call_{position}");
                }
                if !ids.insert(unfinished.id.clone()) {
                    unfinished.id.push_str(&format!("_{position}"));
                }
                whole(unfinished, *ending == Ending::Short)
            })
            .collect()
    }
}

impl Unfinished {
    /// Keeps members that only the provider understands. Of members with the same name, the last counts.
    ///
    /// - Errors: `too_large`.
    fn keep_extras(&mut self, extras: Vec<(Cow<'_, str>, Raw<'_>)>, odd: &mut Odd) -> Result<(), Error> {
        for (name, member) in extras {
            if self.extras.len() >= MAX_EXTRAS && !self.extras.contains_key(&*name) {
                odd.tell("tool_calls[].*", || {
                    format!("a tool call has more than {MAX_EXTRAS} further members; the rest is ignored")
                });
                continue;
            }
            let Some(kept) = Verbatim::parse(member.to_owned()) else {
                continue;
            };
            let n_name_bytes = name.len();
            let earlier = self.extras.insert(name.into_owned(), kept);
            let n_new_bytes = n_name_bytes + member.len();
            let n_old_bytes = earlier.map_or(0, |earlier| n_name_bytes + earlier.get().len());
            self.n_extra_bytes = self.n_extra_bytes + n_new_bytes - n_old_bytes;
            if self.n_extra_bytes > MAX_EXTRA_BYTES {
                return Err(too_large(&format!(
                    "{MAX_EXTRA_BYTES} bytes of further members in one tool call"
                )));
            }
        }
        Ok(())
    }
}

enum Found {
    At(usize),
    New,
    /// It repeats a call that is complete.
    Repeated,
}

/// - In: `is_short`, whether the answer may lack its end.
fn whole(unfinished: Unfinished, is_short: bool) -> Result<(ToolCall, Option<String>), Error> {
    let Unfinished {
        id,
        name,
        mut arguments,
        is_odd,
        extras,
        pending,
        ..
    } = unfinished;
    if name.is_empty() {
        return Err(unusable("expected the name of a tool in a tool call, found none"));
    }
    if pending.is_some() {
        arguments.push("\u{fffd}");
    }
    if is_odd {
        return Err(unusable(&format!(
            "cannot read the arguments of the tool call `{name}`"
        )));
    }
    let is_bare = arguments.is_blank() || arguments.is_placeholder();
    let settled = match arguments.settle() {
        // What could be read in another way, if only its end were there, is not read.
        Ok(settled) if is_short && (is_bare || settled.mended.is_some()) => Err(Unusable::Cut),
        settled => settled,
    };
    let settled = settled.map_err(|why| match why {
        Unusable::Cut => {
            let message = format!("the answer broke off inside the arguments of the tool call `{name}`");
            Error::new(ErrorKind::INTERRUPTED, message).with_hint("try again with a higher `max_tokens`")
        }
        Unusable::NotJson => unusable(&format!("the arguments of the tool call `{name}` are not valid JSON")),
    })?;
    let mended = settled
        .mended
        .map(|how| format!("the arguments of the tool call `{name}` were mended: {how}"));
    let call = ToolCall {
        id,
        name,
        arguments: settled.json,
        extras: Box::new(extras),
    };
    Ok((call, mended))
}

fn unusable(message: &str) -> Error {
    Error::new(ErrorKind::TOOL_CALL, message)
        .with_hint("try again, simplify the tool's schema, or choose a model that is better at tools")
}

fn too_large(limit: &str) -> Error {
    Error::new(ErrorKind::TOO_LARGE, format!("expected at most {limit}, found more"))
}

#[cfg(test)]
mod tests;
