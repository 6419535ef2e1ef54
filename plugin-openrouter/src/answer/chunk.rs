//! The members of a chunk that are used here, as they were written.
//!
//! In: one chunk of a streamed answer, or a whole reply, as JSON. Out: its members by name, not yet read.
//! Any of them may have a type that nobody documents; [`crate::answer::reply`] reads each by itself.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::de::MapAccess;

use crate::answer::json::{MAX_ELEMENTS, Object, Place, Raw, leaf, place, skip};

/// One chunk of a streamed answer, or a whole reply.
#[derive(Default)]
pub struct Chunk<'a> {
    pub id: Raw<'a>,
    /// `"error"` in one of these if the whole chunk is the error object.
    pub object: Raw<'a>,
    pub kind: Raw<'a>,
    pub model: Raw<'a>,
    pub provider: Raw<'a>,
    /// Requests ask for one choice.
    pub choices: Place<Choice<'a>>,
    /// Whether it has `choices`, be they empty, and so is a chunk of a chat completion at all.
    pub has_choices: bool,
    /// The addresses that the text cites, in Perplexity's form: each chunk has all of them so far.
    pub citations: Raw<'a>,
    pub usage: Raw<'a>,
    pub error: Raw<'a>,
    /// MiniMax's status, also of an answer that succeeded.
    pub base_resp: Raw<'a>,
    /// Where Groq puts the usage of a stream.
    pub x_groq: Raw<'a>,
    /// Which models and providers were tried; on the last chunk.
    pub openrouter_metadata: Raw<'a>,
}

#[derive(Default)]
pub struct Choice<'a> {
    pub index: Raw<'a>,
    /// The part of the message in a streamed answer.
    pub delta: Place<Delta<'a>>,
    /// The whole message; some providers repeat it with the last delta.
    pub message: Raw<'a>,
    /// The text itself, in the form of the completions API.
    pub text: Raw<'a>,
    pub finish_reason: Raw<'a>,
    pub native_finish_reason: Raw<'a>,
    pub error: Raw<'a>,
    /// What belongs into the message, or into the chunk.
    pub tool_calls: Raw<'a>,
    pub usage: Raw<'a>,
    /// The choices themselves, if this is an object that has them by number.
    numbered: Vec<Place<Choice<'a>>>,
}

/// A message, or a part of one.
#[derive(Default)]
pub struct Delta<'a> {
    pub content: Raw<'a>,
    pub reasoning: Raw<'a>,
    /// The name that other services use for `reasoning`; some providers send both.
    pub reasoning_content: Raw<'a>,
    /// The reasoning under one of the [`OTHER_REASONING`] names, with that name.
    pub other_reasoning: (&'static str, Raw<'a>),
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
    pub error: Raw<'a>,
}

/// Names of reasoning in services that have neither of the usual ones.
const OTHER_REASONING: [&str; 6] = [
    "thinking",
    "thoughts",
    "reasoning_text",
    "thinking_content",
    "reasoning_summary",
    "thinking_blocks",
];

impl<'a> Object<'a> for Chunk<'a> {
    fn member<A: MapAccess<'a>>(&mut self, name: Cow<'a, str>, value: &mut A) -> Result<(), A::Error> {
        match &*name {
            "id" => self.id = leaf(value)?,
            "object" => self.object = leaf(value)?,
            "type" => self.kind = leaf(value)?,
            "model" => self.model = leaf(value)?,
            "provider" => self.provider = leaf(value)?,
            "choices" => (self.choices, self.has_choices) = (by_number(place(value)?), true),
            "citations" => self.citations = leaf(value)?,
            "usage" => self.usage = leaf(value)?,
            "error" => self.error = leaf(value)?,
            "base_resp" => self.base_resp = leaf(value)?,
            "x_groq" => self.x_groq = leaf(value)?,
            "openrouter_metadata" => self.openrouter_metadata = leaf(value)?,
            _ => skip(value)?,
        }
        Ok(())
    }
}

impl<'a> Object<'a> for Choice<'a> {
    fn member<A: MapAccess<'a>>(&mut self, name: Cow<'a, str>, value: &mut A) -> Result<(), A::Error> {
        match &*name {
            "index" => self.index = leaf(value)?,
            "delta" => self.delta = place(value)?,
            "message" => self.message = leaf(value)?,
            "text" => self.text = leaf(value)?,
            "finish_reason" => self.finish_reason = leaf(value)?,
            "native_finish_reason" => self.native_finish_reason = leaf(value)?,
            "error" => self.error = leaf(value)?,
            "tool_calls" => self.tool_calls = leaf(value)?,
            "usage" => self.usage = leaf(value)?,
            number if is_number(number) && self.numbered.len() < MAX_ELEMENTS => {
                let mut choice = place(value)?;
                if let (Place::One(Choice { index: index @ "", .. }), Cow::Borrowed(number)) = (&mut choice, name) {
                    *index = number;
                }
                self.numbered.push(choice);
            }
            _ => skip(value)?,
        }
        Ok(())
    }
}

impl<'a> Object<'a> for Delta<'a> {
    fn member<A: MapAccess<'a>>(&mut self, name: Cow<'a, str>, value: &mut A) -> Result<(), A::Error> {
        match &*name {
            "content" => self.content = leaf(value)?,
            "reasoning" => self.reasoning = leaf(value)?,
            "reasoning_content" => self.reasoning_content = leaf(value)?,
            "reasoning_details" => self.reasoning_details = leaf(value)?,
            "refusal" => self.refusal = leaf(value)?,
            "tool_calls" => self.tool_calls = leaf(value)?,
            "function_call" => self.function_call = leaf(value)?,
            "annotations" => self.annotations = leaf(value)?,
            "images" => self.images = leaf(value)?,
            "audio" => self.audio = leaf(value)?,
            "error" => self.error = leaf(value)?,
            other => match OTHER_REASONING.into_iter().find(|known| *known == other) {
                Some(name) => self.other_reasoning = (name, leaf(value)?),
                None => skip(value)?,
            },
        }
        Ok(())
    }
}

fn is_number(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|digit| digit.is_ascii_digit())
}

/// The choices of an object that has them by number; anything else as it is.
fn by_number(choices: Place<Choice<'_>>) -> Place<Choice<'_>> {
    match choices {
        Place::One(choice) if !choice.numbered.is_empty() => Place::Many(choice.numbered),
        other => other,
    }
}

/// Which members of the message have arrived.
#[derive(Default)]
pub struct Has {
    pub text: bool,
    /// Whether the text is the model's refusal.
    pub refusal: bool,
    pub reasoning: bool,
    pub calls: bool,
    /// The names of [`Delta::extras`].
    pub extras: BTreeSet<&'static str>,
}

impl<'a> Delta<'a> {
    /// Members other than text and tool calls that belong to the conversation.
    pub fn extras(&self) -> [(&'static str, Raw<'a>); 4] {
        [
            ("reasoning_details", self.reasoning_details),
            ("annotations", self.annotations),
            ("images", self.images),
            ("audio", self.audio),
        ]
    }

    /// Removes from a whole message what has arrived already: some providers repeat all of it at the end.
    pub fn drop_repeated(&mut self, has: &Has) {
        if has.text {
            (self.content, self.refusal) = ("", "");
        }
        if has.reasoning {
            (self.reasoning, self.reasoning_content, self.other_reasoning) = ("", "", ("", ""));
        }
        if has.calls {
            (self.tool_calls, self.function_call) = ("", "");
        }
        for (name, member) in [
            ("reasoning_details", &mut self.reasoning_details),
            ("annotations", &mut self.annotations),
            ("images", &mut self.images),
            ("audio", &mut self.audio),
        ] {
            if has.extras.contains(name) {
                *member = "";
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::json;

    #[test]
    fn of_choices_by_number_as_many_are_read_as_of_a_list() {
        let choices: Vec<String> = (0..300).map(|n| format!(r#""{n}":{{"text":"x"}}"#)).collect();
        let chunk = format!(r#"{{"choices":{{{}}}}}"#, choices.join(","));
        let chunk = json::read::<Chunk<'_>>(&chunk).expect("an object");
        let indices: Vec<Raw<'_>> = chunk.choices.objects().map(|choice| choice.index).collect();
        assert_eq!((indices.len(), indices[255]), (MAX_ELEMENTS, "255"));
    }
}
