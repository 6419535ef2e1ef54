//! Turns OpenRouter's data frames into [`ChatEvent`]s, and whole replies into [`ChatReply`]s.
//!
//! In: the JSON of frames from [`crate::answer::sse`], or of a whole body. Out: events for the host. Pure: no I/O, no clock.
//! Tool calls arrive in pieces and leave whole. An answer without a finish reason is an error here, so that nobody
//! further on has to remember to check.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;

use plugin_api::{ChatEvent, Done, Error, ErrorKind, Notice, View};
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::answer::extras::Extras;
use crate::answer::text::Str;
use crate::answer::text::{self, Half, joined, whole_characters};
use crate::answer::tool_calls::{Assembler, ToolPiece, ToolPieces};
use crate::answer::usage::{self, RawUsage};
use crate::failure;
use crate::values::secret;

/// The fields of a chunk that matter here; everything else is skipped without being built.
#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    id: Option<Str<'a>>,
    #[serde(borrow, default)]
    object: Option<Str<'a>>,
    #[serde(borrow, default)]
    model: Option<Str<'a>>,
    #[serde(borrow, default)]
    provider: Option<Str<'a>>,
    #[serde(borrow, default)]
    choices: Choices<'a>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    /// How the answer came about; on the last chunk.
    #[serde(borrow, default)]
    openrouter_metadata: Option<&'a RawValue>,
}

/// Choices beside the first that are looked at; no request asks for more than one.
const MAX_OTHER_CHOICES: usize = 16;

/// The largest frame, or part of one, that is read without knowing its shape, in bytes: that takes up to seventy times as much
/// memory.
const MAX_LOOSE_BYTES: usize = 512 << 10;

/// The text that is kept for an error that ends the answer, in bytes. It was handed on, so no more than a limit is owed.
const MAX_KEPT_TEXT_BYTES: usize = 8 << 20;

/// The largest frame that is mended, in bytes: mending takes up to three times as much memory.
const MAX_MENDED_BYTES: usize = 4 << 20;

/// The choices of a chunk. There is one, as a rule, and for one no memory is asked for.
#[derive(Default)]
struct Choices<'a> {
    first: Option<Choice<'a>>,
    others: Vec<Choice<'a>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Choices<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements;
        impl<'de> Visitor<'de> for Elements {
            type Value = Choices<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of choices")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Choices<'de>, A::Error> {
                let first = elements.next_element()?;
                let mut others = Vec::new();
                while let Some(choice) = elements.next_element()? {
                    if others.len() < MAX_OTHER_CHOICES {
                        others.push(choice);
                    }
                }
                Ok(Choices { first, others })
            }
        }
        deserializer.deserialize_seq(Elements)
    }
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: Option<u32>,
    #[serde(borrow, default)]
    delta: Option<Delta<'a>>,
    /// What a whole reply has instead of a delta. In a box, because a choice is moved several times and seldom has one.
    #[serde(borrow, default)]
    message: Option<Box<Delta<'a>>>,
    #[serde(borrow, default)]
    finish_reason: Option<Str<'a>>,
    #[serde(borrow, default)]
    native_finish_reason: Option<Str<'a>>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    content: Option<Str<'a>>,
    #[serde(borrow, default)]
    reasoning: Option<Str<'a>>,
    /// The same under its name with other services; some providers send both.
    #[serde(borrow, default)]
    reasoning_content: Option<Str<'a>>,
    /// The same in parts of several kinds; it repeats `reasoning` where that is told.
    #[serde(borrow, default)]
    reasoning_details: Option<&'a RawValue>,
    /// The text in which a model says that it will not answer; it takes the place of the content.
    #[serde(borrow, default)]
    refusal: Option<Str<'a>>,
    #[serde(borrow, default)]
    tool_calls: Option<ToolPieces<'a>>,
    #[serde(borrow, default)]
    annotations: Option<&'a RawValue>,
    #[serde(borrow, default)]
    images: Option<&'a RawValue>,
    #[serde(borrow, default)]
    audio: Option<&'a RawValue>,
}

impl<'a> Delta<'a> {
    /// What belongs into the conversation beside text and tool calls.
    fn extras(&self) -> [(&'static str, Option<&'a RawValue>); 4] {
        [
            ("reasoning_details", self.reasoning_details),
            ("annotations", self.annotations),
            ("images", self.images),
            ("audio", self.audio),
        ]
    }
}

impl Chunk<'_> {
    /// The text, if the chunk has one without escapes and says nothing else that has to be noted.
    fn only_text(&self) -> Option<&str> {
        let choice = self.choices.first.as_ref().filter(|_| self.choices.others.is_empty())?;
        let delta = choice.delta.as_ref()?;
        let is_blank = |text: &Option<Str<'_>>| text.as_ref().is_none_or(|Str(text)| text.is_empty());
        let says_more = choice.index.is_some_and(|index| index != 0)
            || choice.message.is_some()
            || choice.error.is_some()
            || choice.native_finish_reason.is_some()
            || !is_blank(&choice.finish_reason)
            || !is_blank(&delta.reasoning)
            || !is_blank(&delta.reasoning_content)
            || !is_blank(&delta.refusal)
            || delta.extras().iter().any(|(_, extra)| extra.is_some())
            || delta.tool_calls.is_some()
            || self.usage.is_some()
            || self.error.is_some()
            || self.openrouter_metadata.is_some();
        match &delta.content {
            Some(Str(Cow::Borrowed(text))) if !says_more && !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// Whether it is nothing but an error, without the member `error` around it.
    fn is_bare_error(&self) -> bool {
        self.object.as_ref().is_some_and(|Str(object)| object == "error")
    }
}

/// Why a frame could not be taken.
#[derive(Debug)]
pub enum FrameError {
    /// It is not JSON, or not an object.
    NotJson { n_bytes: usize },
    /// It says that the answer has failed.
    Reported(Error),
}

impl From<Error> for FrameError {
    fn from(error: Error) -> Self {
        Self::Reported(error)
    }
}

impl FrameError {
    /// The same as the error of a call.
    pub fn into_error(self) -> Error {
        match self {
            Self::NotJson { n_bytes } => {
                let message = format!("the service sent {n_bytes} bytes that are not a JSON object");
                Error::new(ErrorKind::PROTOCOL, message)
                    .with_hint("check the base URL, and whether a proxy on the way changes answers")
            }
            Self::Reported(error) => error,
        }
    }
}

/// What stands around the text in the chunks of an answer. From one chunk to the next nothing changes but the text, so a chunk
/// that is the same before and behind it is known without being parsed.
#[derive(Default)]
struct Frame {
    before: String,
    /// Empty: no frame is known.
    after: String,
}

impl Frame {
    /// The text in a chunk that has this frame; `None` for any other chunk, and for a text with an escape in it.
    fn text_in<'a>(&self, chunk: &'a [u8]) -> Option<&'a str> {
        if self.after.is_empty() {
            return None;
        }
        let text = chunk
            .strip_prefix(self.before.as_bytes())?
            .strip_suffix(self.after.as_bytes())?;
        // A quote would end the text, and what follows it could be anything.
        let is_plain = |byte: &u8| *byte >= b' ' && *byte != b'"' && *byte != b'\\';
        let is_text = !text.is_empty() && text.iter().all(is_plain);
        is_text.then_some(text).and_then(|text| std::str::from_utf8(text).ok())
    }

    /// Takes the frame of a chunk that was parsed; none if it says anything beside a text, which would be left out the next
    /// time.
    fn learn(&mut self, json: &str, chunk: &Chunk<'_>) {
        self.before.clear();
        self.after.clear();
        if let Some(text) = chunk.only_text() {
            // It borrows from the chunk, so its place in it is known.
            let start = text.as_ptr().addr() - json.as_ptr().addr();
            self.before.push_str(&json[..start]);
            self.after.push_str(&json[start + text.len()..]);
        }
    }
}

/// Reads one answer, frame by frame.
#[derive(Default)]
pub struct ReplyReader {
    done: Done,
    text: String,
    tools: Assembler,
    extras: Extras,
    /// What is made of the answer; what nobody wants is not made.
    view: View,
    /// Whether a piece of text, reasoning or a tool call has come.
    has_begun: bool,
    /// Whether the text is the model's refusal.
    is_refusal: bool,
    frame: Frame,
    /// Halves of characters that wait for their other half, of the text and of the reasoning.
    halves: [Half; 2],
    /// Whether the present frame may hold stand-ins for halves.
    has_halves: bool,
    /// A key that no message may repeat.
    secret: Zeroizing<String>,
}

impl ReplyReader {
    /// A reader for an answer to a request for `requested_model`.
    pub fn new(requested_model: String, generation_id: Option<String>, secret: &str, view: View) -> Self {
        Self {
            view,
            done: Done {
                requested_model: Some(requested_model),
                generation_id,
                ..Done::default()
            },
            secret: Zeroizing::new(secret.to_owned()),
            ..Self::default()
        }
    }

    /// What is known of the answer, whole or not.
    pub fn known(&mut self) -> Done {
        std::mem::take(&mut self.done)
    }

    /// Whether the service has said why the answer ends.
    pub fn has_finish_reason(&self) -> bool {
        !self.done.finish_reason.is_empty()
    }

    /// The model that serves, as far as it is known.
    pub fn model(&self) -> Option<&str> {
        self.done.model.as_deref()
    }

    /// Whether the answer has ended without a word in it, and nothing says that this was meant.
    pub fn is_empty(&self) -> bool {
        let n_tokens = self.done.usage.as_ref().map(|usage| usage.completion_tokens);
        match self.done.finish_reason.as_str() {
            // Tokens that were counted were billed, wherever they went.
            "" => !self.has_begun && n_tokens.unwrap_or(0) == 0,
            "stop" => !self.has_begun && n_tokens == Some(0),
            _ => false,
        }
    }

    /// Reads the data of one frame; what it says goes to `events`.
    ///
    /// - Errors: the service's, where the frame reports one, with the text so far; that it is not JSON.
    pub fn frame(&mut self, data: &[u8], events: &mut VecDeque<ChatEvent>) -> Result<(), FrameError> {
        if let Some(text) = self.frame.text_in(data) {
            self.text_piece(Cow::Borrowed(text), events);
            return Ok(());
        }
        // The whole frame is checked to be UTF-8 at once, which costs less than checking each of its texts.
        let Ok(json) = std::str::from_utf8(data) else {
            return self.odd_frame(data, events);
        };
        match serde_json::from_str::<Chunk<'_>>(json) {
            Ok(mut chunk) if !chunk.is_bare_error() => {
                self.frame.learn(json, &chunk);
                Ok(self.chunk(&mut chunk, events)?)
            }
            Ok(_) | Err(_) => self.odd_frame(data, events),
        }
    }

    /// Whether a piece of text, reasoning or a tool call has come.
    pub fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// The whole text that arrived, for an error that ends the answer.
    pub fn attach_partial(&self, mut error: Error) -> Error {
        if !self.text.is_empty() {
            error.details.partial_text = Some(self.text.clone());
        }
        error.details.model = error.details.model.or_else(|| self.done.model.clone());
        error.details.provider = error.details.provider.or_else(|| self.done.provider.clone());
        error.details.generation_id = error.details.generation_id.or_else(|| self.done.generation_id.clone());
        error
    }

    /// Ends the answer: the tool calls go to `events`, then what is known about the whole.
    ///
    /// - Errors: `interrupted` if no finish reason was seen, or if a tool call is not whole.
    pub fn finish(&mut self, events: &mut VecDeque<ChatEvent>) -> Result<Done, Error> {
        self.end_halves(events);
        if self.done.finish_reason.is_empty() {
            let message = if self.has_begun {
                "the answer broke off: it ended without a finish reason"
            } else {
                "the answer ended before anything had arrived"
            };
            return Err(self.attach_partial(Error::new(ErrorKind::INTERRUPTED, message).with_hint("try again")));
        }
        let calls = std::mem::take(&mut self.tools)
            .finish()
            .map_err(|error| self.attach_partial(error))?;
        events.extend(calls.into_iter().map(ChatEvent::ToolCall));
        let extras = std::mem::take(&mut self.extras).finish();
        events.extend(extras.notice.map(ChatEvent::Notice));
        self.done.extras = extras.members;
        if self.is_refusal {
            let notice = Notice::new("refusal", "the model refused to answer; the text says why");
            events.push_back(ChatEvent::Notice(notice));
        }
        Ok(std::mem::take(&mut self.done))
    }

    /// Takes what a chunk says. The chunk is large, so it stays where it was read.
    fn chunk(&mut self, chunk: &mut Chunk<'_>, events: &mut VecDeque<ChatEvent>) -> Result<(), Error> {
        let (secret, has_halves) = (&*self.secret, self.has_halves);
        note(&mut self.done.generation_id, &mut chunk.id, secret, has_halves);
        note(&mut self.done.model, &mut chunk.model, secret, has_halves);
        note(&mut self.done.provider, &mut chunk.provider, secret, has_halves);
        let mut failure = chunk.error;
        for choice in chunk.choices.first.iter_mut().chain(&mut chunk.choices.others) {
            // Where several answers were asked for, the first one is the answer; pieces of two would make neither.
            if choice.index.is_none_or(|index| index == 0) {
                failure = failure.or(choice.error);
                self.choice(choice, events)?;
            }
        }
        if let Some(usage) = chunk.usage {
            self.usage(usage);
        }
        if let Some(metadata) = chunk.openrouter_metadata {
            self.metadata(metadata);
        }
        match failure {
            Some(object) => Err(self.reported(object)),
            None => self.check_finish_reason(),
        }
    }

    fn choice(&mut self, choice: &mut Choice<'_>, events: &mut VecDeque<ChatEvent>) -> Result<(), Error> {
        if let Some(delta) = &mut choice.delta {
            self.delta(delta, events)?;
        } else if let Some(whole) = &mut choice.message
            && !self.has_begun
        {
            // Some providers repeat the whole message beside the last delta; then it is not the answer.
            self.delta(whole, events)?;
        }
        if let Some(Str(reason)) = choice.finish_reason.take()
            && !reason.is_empty()
        {
            self.done.finish_reason = secret::scrub(&self.plain(reason), &self.secret);
        }
        if let Some(Str(reason)) = choice.native_finish_reason.take() {
            self.done.native_finish_reason = Some(secret::scrub(&self.plain(reason), &self.secret));
        }
        Ok(())
    }

    fn delta(&mut self, delta: &mut Delta<'_>, events: &mut VecDeque<ChatEvent>) -> Result<(), Error> {
        let is_told = |text: &Str<'_>| !text.0.is_empty();
        let reasoning = delta.reasoning.take().filter(is_told);
        let reasoning = reasoning.or_else(|| delta.reasoning_content.take().filter(is_told));
        match (reasoning, delta.reasoning_details.map(RawValue::get)) {
            (Some(Str(reasoning)), _) => self.reasoning_piece(reasoning, events),
            (None, Some(details)) if details != "[]" => {
                let details = loose(details);
                for piece in texts_of_details(&details) {
                    self.reasoning_piece(piece.into(), events);
                }
            }
            (None, _) => {}
        }
        if let Some(Str(content)) = delta.content.take()
            && !content.is_empty()
        {
            self.text_piece(content, events);
        }
        if let Some(Str(refusal)) = delta.refusal.take()
            && !refusal.is_empty()
        {
            self.is_refusal = true;
            self.text_piece(refusal, events);
        }
        for (name, extra) in delta.extras() {
            if let Some(extra) = extra {
                self.extra(name, extra.get());
            }
        }
        match delta.tool_calls.take() {
            Some(ToolPieces(pieces)) => self.tool_pieces(pieces),
            None => Ok(()),
        }
    }

    fn extra(&mut self, name: &'static str, json: &str) {
        // An answer may be nothing but a picture, or thoughts that only their author can read.
        self.has_begun |= !matches!(json, "null" | "[]");
        if self.view.has_types() {
            self.extras.take(name, &self.plain(Cow::Borrowed(json)));
        }
    }

    /// A text that is no piece of the answer.
    fn plain(&self, text: Cow<'_, str>) -> String {
        text::plain(text, self.has_halves)
    }

    fn text_piece(&mut self, piece: Cow<'_, str>, events: &mut VecDeque<ChatEvent>) {
        self.has_begun = true;
        if !self.view.has_types() {
            return;
        }
        let piece = joined(piece, &mut self.halves[0], self.has_halves);
        if !piece.is_empty() {
            if self.text.len() + piece.len() <= MAX_KEPT_TEXT_BYTES {
                self.text.push_str(&piece);
            }
            events.push_back(ChatEvent::Text(owned(piece)));
        }
    }

    fn reasoning_piece(&mut self, piece: Cow<'_, str>, events: &mut VecDeque<ChatEvent>) {
        self.has_begun = true;
        if !self.view.has_types() {
            return;
        }
        let piece = joined(piece, &mut self.halves[1], self.has_halves);
        if !piece.is_empty() {
            events.push_back(ChatEvent::Reasoning(owned(piece)));
        }
    }

    /// Half characters whose other half never came.
    fn end_halves(&mut self, events: &mut VecDeque<ChatEvent>) {
        if self.halves[1].take().is_some() {
            events.push_back(ChatEvent::Reasoning("\u{fffd}".into()));
        }
        if self.halves[0].take().is_some() {
            self.text.push('\u{fffd}');
            events.push_back(ChatEvent::text("\u{fffd}"));
        }
    }

    fn tool_pieces(&mut self, pieces: Vec<ToolPiece<'_>>) -> Result<(), Error> {
        self.has_begun |= !pieces.is_empty();
        if !self.view.has_types() {
            // Whoever reads the raw form puts the pieces together.
            return Ok(());
        }
        for piece in pieces {
            let taken = self.tools.take(piece, self.has_halves);
            taken.map_err(|error| self.attach_partial(error))?;
        }
        Ok(())
    }

    /// An error may be told by the finish reason alone.
    fn check_finish_reason(&self) -> Result<(), Error> {
        if self.done.finish_reason != "error" {
            return Ok(());
        }
        let error = Error::new(ErrorKind::UNAVAILABLE, "the service ended the answer with an error");
        Err(self.attach_partial(error))
    }

    fn usage(&mut self, usage: &RawValue) {
        // A usage that is not readable is unknown; it must not spoil an answer that is.
        if let Ok(Some(raw)) = serde_json::from_str::<Option<RawUsage<'_>>>(usage.get())
            && let Some(usage) = usage::from_raw(raw)
        {
            self.done.usage = Some(usage);
        }
    }

    /// How the answer came about. That the first attempt served is no news, and most answers say nothing else.
    fn metadata(&mut self, metadata: &RawValue) {
        if memchr::memmem::find(metadata.get().as_bytes(), b"\"attempts\"").is_none() {
            return;
        }
        let attempts = failure::router_attempts(&loose(metadata.get()), &self.secret);
        if attempts.len() > 1 {
            self.done.attempts = attempts;
        }
    }

    fn reported(&self, object: &RawValue) -> Error {
        let object = loose(object.get());
        self.attach_partial(failure::from_error_object(&object, &self.secret))
    }

    /// A frame that the typed view cannot read: what can be found in it is kept all the same.
    fn odd_frame(&mut self, data: &[u8], events: &mut VecDeque<ChatEvent>) -> Result<(), FrameError> {
        self.frame = Frame::default();
        if data.len() > MAX_MENDED_BYTES {
            return Err(FrameError::NotJson { n_bytes: data.len() });
        }
        let text = String::from_utf8_lossy(data);
        // Letters that look like stand-ins are not to be taken for them; then halves are lost, and nothing else.
        let with_halves = !text::looks_halved(&text);
        let text = whole_characters(&text, with_halves);
        self.has_halves = with_halves;
        let read = self.mended_frame(&text, data.len(), events);
        self.has_halves = false;
        read
    }

    fn mended_frame(&mut self, text: &str, n_bytes: usize, events: &mut VecDeque<ChatEvent>) -> Result<(), FrameError> {
        // A mended frame may be readable after all.
        if let Ok(mut chunk) = serde_json::from_str::<Chunk<'_>>(text)
            && !chunk.is_bare_error()
        {
            return Ok(self.chunk(&mut chunk, events)?);
        }
        if text.len() > MAX_LOOSE_BYTES {
            return Err(FrameError::NotJson { n_bytes });
        }
        // Two chunks in one frame are two chunks, and half of what is glued together is better than nothing.
        let mut is_object = false;
        for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
            is_object = value.as_ref().is_ok_and(Value::is_object);
            match value {
                Ok(value) if is_object => self.loose_chunk(&value, events)?,
                Ok(_) | Err(_) => break,
            }
        }
        if is_object {
            Ok(())
        } else {
            Err(FrameError::NotJson { n_bytes })
        }
    }

    /// A chunk of any shape: what is where it should be is taken.
    fn loose_chunk(&mut self, value: &Value, events: &mut VecDeque<ChatEvent>) -> Result<(), Error> {
        for (field, slot) in [
            ("id", &mut self.done.generation_id),
            ("model", &mut self.done.model),
            ("provider", &mut self.done.provider),
        ] {
            if let Some(text) = value[field].as_str() {
                *slot = Some(text.to_owned());
            }
        }
        let mut failure = failure::error_object(value);
        for choice in value["choices"].as_array().into_iter().flatten() {
            failure = failure.or_else(|| failure::error_object(choice));
            if choice["index"].as_u64().is_some_and(|index| index != 0) {
                continue;
            }
            let whole = if self.has_begun {
                &Value::Null
            } else {
                &choice["message"]
            };
            let delta = choice.get("delta").unwrap_or(whole);
            let reasoning = ["reasoning", "reasoning_content"].map(|name| loose_text(&delta[name]));
            let reasoning = reasoning.into_iter().find(|texts| !texts.is_empty());
            for piece in reasoning.unwrap_or_else(|| texts_of_details(&delta["reasoning_details"])) {
                self.reasoning_piece(piece.into(), events);
            }
            for piece in loose_text(&delta["content"]) {
                self.text_piece(piece.into(), events);
            }
            for piece in loose_text(&delta["refusal"]) {
                self.is_refusal = true;
                self.text_piece(piece.into(), events);
            }
            for name in ["reasoning_details", "annotations", "images", "audio"] {
                if let Some(extra) = delta.get(name) {
                    self.extra(name, &extra.to_string());
                }
            }
            for piece in delta["tool_calls"].as_array().into_iter().flatten() {
                if let Ok(piece) = serde_json::from_str(&piece.to_string()) {
                    self.tool_pieces(vec![piece])?;
                }
            }
            if let Some(reason) = choice["finish_reason"].as_str().filter(|reason| !reason.is_empty()) {
                self.done.finish_reason = reason.to_owned();
            }
            if let Some(reason) = choice["native_finish_reason"].as_str() {
                self.done.native_finish_reason = Some(reason.to_owned());
            }
        }
        if let Ok(raw) = serde_json::from_str::<RawUsage<'_>>(&value["usage"].to_string())
            && let Some(usage) = usage::from_raw(raw)
        {
            self.done.usage = Some(usage);
        }
        if let Some(metadata) = value.get("openrouter_metadata") {
            let attempts = failure::router_attempts(metadata, &self.secret);
            if attempts.len() > 1 {
                self.done.attempts = attempts;
            }
        }
        match failure {
            Some(object) => Err(self.attach_partial(failure::from_error_object(object, &self.secret))),
            None => self.check_finish_reason(),
        }
    }
}

/// A part of a frame whose shape is not known; nothing where it is too large to be looked at.
fn loose(json: &str) -> Value {
    if json.len() > MAX_LOOSE_BYTES {
        return Value::Null;
    }
    serde_json::from_str(json).unwrap_or_default()
}

/// The texts of reasoning that came in parts; encrypted ones have none.
fn texts_of_details(details: &Value) -> Vec<&str> {
    let parts = details.as_array().into_iter().flatten();
    parts
        .filter_map(|part| part["text"].as_str().or(part["summary"].as_str()))
        .collect()
}

/// The texts in a content that may be a text, or an array of parts.
fn loose_text(content: &Value) -> Vec<&str> {
    match content {
        Value::String(text) if !text.is_empty() => vec![text],
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => Vec::new(),
    }
}

fn owned(text: Cow<'_, str>) -> plugin_api::Text {
    match text {
        Cow::Borrowed(text) => text.into(),
        Cow::Owned(text) => text.into(),
    }
}

/// Keeps what is told last; chunks repeat it, mostly unchanged.
fn note(slot: &mut Option<String>, told: &mut Option<Str<'_>>, secret: &str, has_halves: bool) {
    if let Some(Str(told)) = told.take()
        && slot.as_deref() != Some(&*told)
        && !told.is_empty()
    {
        *slot = Some(secret::scrub(&text::plain(told, has_halves), secret));
    }
}

#[cfg(test)]
mod tests;
