//! Plays streams that are there already through [`crate::answer::decode`], for tests and for fuzzing.
//!
//! In: the bytes of a stream, in pieces. Out: every event of the answer, and its error if it had one: what a call gives
//! its host, without a network and a clock. The streams and what is expected of them lie in
//! `plugin-openrouter/streams`, whose README.md says where each shape comes from.

use plugin_api::{ChatEvent, Error, View};

use crate::answer::decode::{Decoder, Reader};
use crate::answer::heard::Heard;
use crate::answer::reply::ReplyReader;

/// All that one stream says.
#[derive(Debug, PartialEq)]
pub struct Played {
    /// The events in their order; the last is `Done` if the answer is whole.
    pub events: Vec<ChatEvent>,
    /// Why the answer is not whole.
    pub error: Option<Error>,
}

impl Played {
    /// The answer's text, all its pieces together.
    pub fn text(&self) -> String {
        let texts = self.events.iter().filter_map(|event| match event {
            ChatEvent::Text(text) => Some(&**text),
            _ => None,
        });
        texts.collect()
    }
}

/// When what was pushed is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// With every piece.
    AtOnce,
    /// To the frame with which the answer begins; what follows at the end.
    Late,
}

/// Plays a stream from its first byte to its last.
pub fn play<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, pace: Pace) -> Played {
    let mut events = Vec::new();
    let error = play_to(pieces, pace, |event| events.push(event)).err();
    Played { events, error }
}

/// Plays a stream, and hands out its events as they come.
pub fn play_to<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    pace: Pace,
    sink: impl FnMut(ChatEvent),
) -> Result<(), Error> {
    play_in(View::Typed, pieces, pace, sink)
}

/// The same in any form.
pub fn play_in<'a>(
    view: View,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    pace: Pace,
    mut sink: impl FnMut(ChatEvent),
) -> Result<(), Error> {
    let reader = ReplyReader::new(Heard::new(Some("acme/large".to_owned()), None, "sk-or-v1-secret"), view);
    let mut decoder = Decoder::new(Reader::Chat(Box::new(reader)), view);
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
