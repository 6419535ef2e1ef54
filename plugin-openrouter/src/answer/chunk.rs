//! The documented members of a chunk, as far as they are used here.
//!
//! Texts borrow from the frame; other members are skipped without being built.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::answer::text::Str;
use crate::answer::tool_calls::ToolPieces;

/// One chunk of a streamed answer, or a whole reply.
#[derive(Deserialize)]
pub struct Chunk<'a> {
    #[serde(borrow, default)]
    pub id: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub object: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub model: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub provider: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub choices: Choices<'a>,
    #[serde(borrow, default)]
    pub usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub error: Option<&'a RawValue>,
    /// Which models and providers were tried; on the last chunk.
    #[serde(borrow, default)]
    pub openrouter_metadata: Option<&'a RawValue>,
}

/// Most choices after the first that are read. Requests ask for one choice.
const MAX_OTHER_CHOICES: usize = 16;

/// The choices of a chunk. There is usually one, which takes no allocation.
#[derive(Default)]
pub struct Choices<'a> {
    pub first: Option<Choice<'a>>,
    pub others: Vec<Choice<'a>>,
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
pub struct Choice<'a> {
    #[serde(default)]
    pub index: Option<u32>,
    #[serde(borrow, default)]
    pub delta: Option<Delta<'a>>,
    /// Replaces the delta in a whole reply. Boxed, because a choice is moved several times and seldom has one.
    #[serde(borrow, default)]
    pub message: Option<Box<Delta<'a>>>,
    #[serde(borrow, default)]
    pub finish_reason: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub native_finish_reason: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub struct Delta<'a> {
    #[serde(borrow, default)]
    pub content: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub reasoning: Option<Str<'a>>,
    /// The name that other services use for `reasoning`; some providers send both.
    #[serde(borrow, default)]
    pub reasoning_content: Option<Str<'a>>,
    /// The reasoning in typed parts; repeats `reasoning` if both are present.
    #[serde(borrow, default)]
    pub reasoning_details: Option<&'a RawValue>,
    /// The text with which a model refuses to answer; replaces the content.
    #[serde(borrow, default)]
    pub refusal: Option<Str<'a>>,
    #[serde(borrow, default)]
    pub tool_calls: Option<ToolPieces<'a>>,
    #[serde(borrow, default)]
    pub annotations: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub images: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub audio: Option<&'a RawValue>,
}

impl<'a> Delta<'a> {
    /// Members other than text and tool calls that belong to the conversation.
    pub fn extras(&self) -> [(&'static str, Option<&'a RawValue>); 4] {
        [
            ("reasoning_details", self.reasoning_details),
            ("annotations", self.annotations),
            ("images", self.images),
            ("audio", self.audio),
        ]
    }
}

impl Chunk<'_> {
    /// The text, if it has no escapes and the chunk holds nothing else that has to be read.
    pub fn only_text(&self) -> Option<&str> {
        let choice = self.choices.first.as_ref().filter(|_| self.choices.others.is_empty())?;
        let delta = choice.delta.as_ref()?;
        let is_blank = |text: &Option<Str<'_>>| text.as_ref().is_none_or(|Str(text)| text.is_empty());
        let has_more = choice.index.is_some_and(|index| index != 0)
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
            Some(Str(Cow::Borrowed(text))) if !has_more && !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// Whether the whole chunk is an error object, not wrapped in a member `error`.
    pub fn is_bare_error(&self) -> bool {
        self.object.as_ref().is_some_and(|Str(object)| object == "error")
    }
}
