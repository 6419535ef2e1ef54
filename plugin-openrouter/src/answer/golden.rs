//! Plays golden streams through [`crate::answer::decode`], for tests and for fuzzing.
//!
//! In: the bytes of a stream, in pieces. Out: the events of the answer and its error, as a host sees them.
//! No network, no clock. The streams and their expected events are in `plugin-openrouter/streams`;
//! the README.md there names the source of each shape.

use plugin_api::{ChatEvent, Error, View};

use crate::answer::decode::{Decoder, Reader};
use crate::answer::heard::Heard;
use crate::answer::reply::ReplyReader;

/// The largest event.
const LIMIT_BYTES: usize = 64 << 20;

/// The outcome of one stream.
#[derive(Debug, PartialEq)]
pub struct Played {
    /// The events in order; the last is `Done` if the answer is complete.
    pub events: Vec<ChatEvent>,
    /// Why the answer is not complete.
    pub error: Option<Error>,
}

impl Played {
    /// The answer's text, all its pieces joined.
    pub fn text(&self) -> String {
        let texts = self.events.iter().filter_map(|event| match event {
            ChatEvent::Text(text) => Some(&**text),
            _ => None,
        });
        texts.collect()
    }
}

/// When pushed bytes are read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// After every piece.
    AtOnce,
    /// Up to the frame with which the answer begins; the rest at the end of the stream.
    Late,
}

/// Plays a stream to its end.
pub fn play<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, pace: Pace) -> Played {
    let mut events = Vec::new();
    let error = play_to(pieces, pace, |event| events.push(event)).err();
    Played { events, error }
}

/// Plays a stream, and passes each event to `sink`.
pub fn play_to<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    pace: Pace,
    sink: impl FnMut(ChatEvent),
) -> Result<(), Error> {
    play_in(View::Typed, pieces, pace, sink)
}

/// Like [`play_to`], for any view.
pub fn play_in<'a>(
    view: View,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    pace: Pace,
    mut sink: impl FnMut(ChatEvent),
) -> Result<(), Error> {
    let heard = Heard::new(Some("acme/large".to_owned()), None, "sk-or-v1-secret");
    let reader = ReplyReader::new(heard, view, LIMIT_BYTES);
    let mut decoder = Decoder::new(Reader::Chat(Box::new(reader)), view, LIMIT_BYTES);
    for piece in pieces {
        decoder.push(piece);
        match pace {
            Pace::AtOnce => {
                if decoder.read_until_begun() {
                    decoder.read();
                }
            }
            Pace::Late => drop(decoder.read_until_begun()),
        }
        decoder.ready.drain(..).for_each(&mut sink);
        if decoder.end.is_some() {
            break;
        }
    }
    decoder.read_end();
    decoder.ready.drain(..).for_each(&mut sink);
    let done = decoder.end.expect("every stream ends")?;
    sink(ChatEvent::Done(Box::new(done)));
    Ok(())
}

#[cfg(test)]
mod tests;
