//! The members of a chunk that are used here, as they were written.
//!
//! In: one chunk of a streamed answer, or a whole reply, as JSON. Out: its members by name, not yet read.
//! Any of them may have a type that nobody documents; [`crate::answer::reply`] reads each by itself.

use crate::answer::json::{self, Kind, Raw, each_element};

/// One chunk of a streamed answer, or a whole reply.
pub struct Chunk<'a> {
    pub id: Raw<'a>,
    pub model: Raw<'a>,
    pub provider: Raw<'a>,
    pub choices: Choices<'a>,
    pub usage: Raw<'a>,
    pub error: Raw<'a>,
    /// Which models and providers were tried; on the last chunk.
    pub openrouter_metadata: Raw<'a>,
}

/// Most choices after the first that are read. Requests ask for one choice.
const MAX_OTHER_CHOICES: usize = 16;

/// The choices of a chunk. There is usually one, which takes no allocation.
#[derive(Default)]
pub struct Choices<'a> {
    pub first: Option<Choice<'a>>,
    pub others: Vec<Choice<'a>>,
    /// What stands in the place of choices and is none.
    pub odd: Raw<'a>,
}

pub struct Choice<'a> {
    pub index: Raw<'a>,
    /// The part of the message in a streamed answer.
    pub delta: Raw<'a>,
    /// The whole message; some providers repeat it with the last delta.
    pub message: Raw<'a>,
    /// The text itself, in the form of the completions API.
    pub text: Raw<'a>,
    pub finish_reason: Raw<'a>,
    pub native_finish_reason: Raw<'a>,
    pub error: Raw<'a>,
}

/// A message, or a part of one.
pub struct Delta<'a> {
    pub content: Raw<'a>,
    pub reasoning: Raw<'a>,
    /// The name that other services use for `reasoning`; some providers send both.
    pub reasoning_content: Raw<'a>,
    /// The reasoning in typed parts; repeats `reasoning` if both are present.
    pub reasoning_details: Raw<'a>,
    /// The text with which a model refuses to answer; replaces the content.
    pub refusal: Raw<'a>,
    pub tool_calls: Raw<'a>,
    /// The only tool call, in the form before there were several.
    pub function_call: Raw<'a>,
    pub annotations: Raw<'a>,
    pub images: Raw<'a>,
    pub audio: Raw<'a>,
}

impl<'a> Chunk<'a> {
    /// The members of a chunk; `None` unless the document is an object.
    pub fn read(json: &'a str) -> Option<Self> {
        let names = [
            "id",
            "object",
            "model",
            "provider",
            "choices",
            "usage",
            "error",
            "openrouter_metadata",
        ];
        let [id, object, model, provider, choices, usage, error, openrouter_metadata] = json::members(json, &names)?;
        Some(Self {
            id,
            model,
            provider,
            choices: Choices::read(choices),
            usage,
            // The whole chunk may be the error object.
            error: if error.is_empty() && object == r#""error""# {
                json
            } else {
                error
            },
            openrouter_metadata,
        })
    }
}

impl<'a> Choices<'a> {
    fn read(json: Raw<'a>) -> Self {
        let mut choices = Self::default();
        match Kind::of(json) {
            Kind::Nothing => {}
            Kind::List => drop(each_element(json, |choice| choices.add(choice))),
            _ => choices.add(json),
        }
        choices
    }

    fn add(&mut self, json: Raw<'a>) {
        match Choice::read(json) {
            None => self.odd = json,
            Some(choice) if self.first.is_none() => self.first = Some(choice),
            Some(choice) if self.others.len() < MAX_OTHER_CHOICES => self.others.push(choice),
            Some(_) => {}
        }
    }
}

impl<'a> Choice<'a> {
    fn read(json: Raw<'a>) -> Option<Self> {
        let names = [
            "index",
            "delta",
            "message",
            "text",
            "finish_reason",
            "native_finish_reason",
            "error",
        ];
        let [index, delta, message, text, finish_reason, native_finish_reason, error] = json::members(json, &names)?;
        Some(Self {
            index,
            delta,
            message,
            text,
            finish_reason,
            native_finish_reason,
            error,
        })
    }
}

impl<'a> Delta<'a> {
    pub fn read(json: Raw<'a>) -> Option<Self> {
        let names = [
            "content",
            "reasoning",
            "reasoning_content",
            "reasoning_details",
            "refusal",
            "tool_calls",
            "function_call",
            "annotations",
            "images",
            "audio",
        ];
        let [
            content,
            reasoning,
            reasoning_content,
            reasoning_details,
            refusal,
            tool_calls,
            function_call,
            annotations,
            images,
            audio,
        ] = json::members(json, &names)?;
        Some(Self {
            content,
            reasoning,
            reasoning_content,
            reasoning_details,
            refusal,
            tool_calls,
            function_call,
            annotations,
            images,
            audio,
        })
    }

    /// Members other than text and tool calls that belong to the conversation.
    pub fn extras(&self) -> [(&'static str, Raw<'a>); 4] {
        [
            ("reasoning_details", self.reasoning_details),
            ("annotations", self.annotations),
            ("images", self.images),
            ("audio", self.audio),
        ]
    }
}
