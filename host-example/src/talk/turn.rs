//! A turn of a conversation: a prompt, its answer, and what stays of both.
//!
//! What arrived of an answer stays, because it is on the screen. If nothing arrived, the prompt is dropped too.

use std::mem;

use plugin_api::Message;
use serde_json::Value;

use super::answer;
use super::attach;
use super::choosing::{self, Who};
use super::conversation::Conversation;
use super::dialogue::{Exchange, Prompt};
use super::ending::is_usable;
use super::slash::Action;
use crate::terminal::{self, FAINT, Failure};

/// What arrived of an answer.
enum Heard {
    Whole(Message),
    /// It was stopped or broke off.
    Part(Message),
    Nothing,
}

const STAYS: &str =
    "the part above stays in the conversation: /continue goes on from it, /retry asks again, /undo drops it";

impl Conversation {
    /// Sends what was typed, with the whole conversation.
    pub async fn say(&mut self, typed: &str) {
        let who = self.who.clone();
        self.send(typed, &who).await;
    }

    async fn send(&mut self, typed: &str, who: &Who) {
        match self.composed(typed, who).await {
            Ok(prompt) => self.ask(prompt, who, None).await,
            Err(failure) => {
                failure.say();
                terminal::say("nothing was sent; /retry sends it again");
                self.dialogue.unanswered = Some(typed.to_owned());
            }
        }
    }

    /// The message with the files that it mentions and those attached before.
    ///
    /// - Errors: a file cannot be read, or not by this model. The attachments stay for the next message.
    async fn composed(&mut self, typed: &str, who: &Who) -> Result<Prompt, Failure> {
        let (mentioned, missing) = attach::mentioned(typed);
        for name in missing {
            terminal::say(&terminal::clean_line(&format!(
                "note: `@{name}` is sent as text, because there is no such file"
            )));
        }
        let mut parts = attach::parts(&mentioned)?;
        parts.splice(..0, self.attached.iter().cloned());
        self.check(&parts, who).await?;
        if !mentioned.is_empty() {
            let names = terminal::clean_line(&mentioned.join(", "));
            terminal::say_styled(FAINT, &format!("attached: {names}"));
        }
        Ok(Prompt {
            typed: typed.to_owned(),
            attached: mem::take(&mut self.attached),
            message: attach::message(typed.to_owned(), parts),
        })
    }

    /// Checks that the model that will answer reads these parts, as far as that is known.
    pub async fn check(&mut self, parts: &[Value], who: &Who) -> Result<(), Failure> {
        if !choosing::has_media(parts) {
            return Ok(());
        }
        let models = terminal::progress::while_waiting("fetching the model list", self.models()).await;
        match (models, who.wire(&self.active.tiers)) {
            (Some(models), Some(id)) => choosing::check(&models, &self.active.tiers, id, parts, "/model ID"),
            _ => Ok(()),
        }
    }

    /// Asks, and keeps what arrives. If nothing does, what was there before stays.
    ///
    /// - In: `earlier`, the exchange that the new one replaces.
    async fn ask(&mut self, prompt: Prompt, who: &Who, earlier: Option<Exchange>) {
        let messages = self.dialogue.before(&prompt.message);
        match (self.heard(&messages, who).await, earlier) {
            (Heard::Whole(answer), _) => self.dialogue.keep(prompt, answer),
            (Heard::Part(answer), _) => {
                self.dialogue.keep(prompt, answer);
                terminal::say(STAYS);
            }
            (Heard::Nothing, Some(earlier)) => {
                self.dialogue.put_back(earlier);
                terminal::say("the earlier answer stays in the conversation");
            }
            (Heard::Nothing, None) => {
                self.attached = prompt.attached;
                self.dialogue.unanswered = Some(prompt.typed);
                terminal::say("your message is no longer part of the conversation; /retry sends it again");
            }
        }
    }

    /// Gets an answer.
    async fn heard(&mut self, messages: &[Message], who: &Who) -> Heard {
        let (tier, model) = (who.tier.as_deref(), who.model.as_deref());
        let parameters = match &self.schema {
            Some(schema) => &schema.asked_for(&self.parameters),
            None => &self.parameters,
        };
        let request = match answer::request(tier, model, messages, parameters) {
            Ok(request) => request,
            Err(error) => {
                Failure::from(error).say();
                return Heard::Nothing;
            }
        };
        let (schema, target) = (self.schema.as_ref(), Some(&self.target));
        let session = &mut self.session;
        let answer = answer::answer(&self.active, &request, self.manner, schema, target, session);
        let part = |text: String| match text.is_empty() {
            true => Heard::Nothing,
            false => Heard::Part(Message::text("assistant", text)),
        };
        match self.interrupts.or(answer).await {
            Some(Ok(answer)) => {
                let answer = answer.without_calls();
                if let Some(failure) = &answer.failure {
                    failure.print(false);
                }
                match is_usable(&answer.reply) {
                    true => Heard::Whole(Message::assistant(&answer.reply)),
                    false => Heard::Nothing,
                }
            }
            Some(Err(error)) => {
                let text = error.details.partial_text.clone().unwrap_or_default();
                answer::report(error, self.manner).print(self.manner.has_json);
                part(text)
            }
            None => {
                terminal::say("\nstopped");
                part(mem::take(&mut self.session.heard))
            }
        }
    }

    /// Asks the last prompt again, this once perhaps somebody else.
    pub async fn retry(&mut self, name: &str) {
        let who = match name {
            "" => Some(self.who.clone()),
            name => self.chosen(name, Action::Retry).await,
        };
        let Some(who) = who else { return };
        if let Some(typed) = self.dialogue.unanswered.take() {
            return self.send(&typed, &who).await;
        }
        let Some(earlier) = self.dialogue.pop() else {
            return terminal::say("there is no prompt to ask again");
        };
        if let Err(failure) = self.check(earlier.prompt.parts(), &who).await {
            failure.say();
            return self.dialogue.put_back(earlier);
        }
        self.ask(earlier.prompt.clone(), &who, Some(earlier)).await;
    }

    /// Lets the model go on from the end of its last answer. Both become one.
    pub async fn resume(&mut self) {
        let Some(messages) = self.dialogue.going_on() else {
            return terminal::say("there is no answer to continue");
        };
        let who = self.who.clone();
        match self.heard(&messages, &who).await {
            Heard::Whole(more) => self.dialogue.go_on(&more),
            Heard::Part(more) => {
                self.dialogue.go_on(&more);
                terminal::say(STAYS);
            }
            Heard::Nothing => terminal::say("the answer so far stays in the conversation"),
        }
    }

    /// Drops the last exchange; its attachments go with the next message.
    ///
    /// - Out: its prompt.
    pub fn undo(&mut self) -> String {
        let unanswered = self.dialogue.unanswered.take();
        if let Some(typed) = unanswered {
            return typed;
        }
        match self.dialogue.pop() {
            None => {
                terminal::say("there is nothing to undo");
                String::new()
            }
            Some(Exchange { prompt, .. }) => {
                terminal::say(
                    "dropped the last prompt and its answer; edit the prompt, or press Ctrl-U to empty the line",
                );
                self.attached = prompt.attached;
                prompt.typed
            }
        }
    }
}
