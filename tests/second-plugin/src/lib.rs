//! Parrot: a complete provider without a network. It repeats what it hears, and misbehaves on demand.
//!
//! The id of the model chooses the behaviour: `stream` has the table, `trick` what a stream does after its last event.

mod trick;

use std::future;
use std::panic::panic_any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use plugin_api::{
    ChatEvent, ChatReply, ChatRequest, Config, Done, Error, ErrorKind, EventStream, Host, Payload, Problem, Provider,
    TierModel, export_plugin,
};
use serde_json::Value;

use crate::trick::{Bomb, Then, Trick, WhenDropped};

/// Events of the model `many`, `Done` included.
const MANY: usize = 200;

/// The greeting that `check` refuses.
const REFUSED: &str = "refused";

struct Parrot {
    host: Host,
    /// Said before whatever is repeated.
    greeting: String,
    /// Events that have left the streams so far.
    given: Arc<AtomicU32>,
}

impl Provider for Parrot {
    const MANIFEST: &'static str = r#"{
  "id": "parrot",
  "name": "Parrot",
  "version": "1.0.0",
  "description": "Repeats what it hears, without a network",
  "environment": [
    {"name": "PARROT_KEY", "role": "key", "prefix": "parrot-", "description": "Any text; its presence enables the plugin"}
  ],
  "tiers": ["TEXT_SMALL", "TEXT_LARGE"],
  "methods": ["chat", "stream", "tiers", "blob", "given"],
  "options_schema": {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Options of Parrot",
    "type": "object",
    "properties": {
      "greeting": {"type": "string", "description": "Said before whatever is repeated", "default": ""}
    },
    "additionalProperties": false
  }
}"#;

    fn create(host: Host, config: &str) -> Result<Self, Error> {
        let greeting = Config::parse(config)?.options["greeting"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        assert!(
            !["panic/create", REFUSED].contains(&&*greeting),
            "cannot greet with {greeting}"
        );
        Ok(Self {
            host,
            greeting,
            given: Arc::default(),
        })
    }

    fn check(options: &Value) -> Vec<Problem> {
        let refused = Problem::error("/greeting", "Parrot does not say that");
        (options["greeting"] == REFUSED)
            .then_some(refused)
            .into_iter()
            .collect()
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatReply, Error> {
        match model_of(&request) {
            "panic/call" => panic!("cannot repeat `{}`", heard(&request)?),
            "panic/drop" => hold(WhenDropped::Panic).await,
            "stall" => hold(WhenDropped::Log(self.host.clone())).await,
            _ => self.stream(request).await?.collect().await,
        }
    }

    async fn stream(&self, request: ChatRequest) -> Result<EventStream, Error> {
        let heard = heard(&request)?;
        let model = model_of(&request);
        let repeated = || pieces(&format!("{}{heard}", self.greeting));
        let (events, then) = match model {
            "panic/open" => panic!("cannot repeat `{heard}`"),
            "panic/drop-panics" => panic_any(Bomb),
            "panic/poll" => (pieces("one two "), Then::Panic(heard)),
            "panic/drop" => (pieces("one "), Then::wait(WhenDropped::Panic)),
            "stall" => (pieces("one "), Then::wait(WhenDropped::Log(self.host.clone()))),
            "endless" => (repeated(), Then::GoOn),
            "block" => (repeated(), Then::Block),
            "print" => {
                println!("printed by Parrot");
                (repeated(), Then::Done)
            }
            "never-done" => (repeated(), Then::End),
            "many" => (
                (1..MANY).map(|n| ChatEvent::text(format!("{n} "))).collect(),
                Then::Done,
            ),
            "host-call" => {
                let said = self.host.call("say", Payload::of(&heard)?).await?;
                (pieces(said.json()), Then::Done)
            }
            "log" => {
                log_at_every_level();
                (repeated(), Then::Done)
            }
            _ => (repeated(), Then::Done),
        };
        let done = ChatEvent::Done(Box::new(Done {
            finish_reason: "stop".to_owned(),
            requested_model: Some(model.to_owned()),
            model: Some(model.to_owned()),
            provider: Some("Parrot".to_owned()),
            ..Done::default()
        }));
        Ok(EventStream::new(Trick::new(
            events,
            then,
            done,
            Arc::clone(&self.given),
        )))
    }

    fn tiers(&self) -> Result<Vec<TierModel>, Error> {
        if self.greeting == "fail/tiers" {
            return Err(Error::new(ErrorKind::INTERNAL, "cannot list its tiers"));
        }
        let tiers = [("TEXT_SMALL", "parrot/small"), ("TEXT_LARGE", "parrot/large")];
        let models = tiers.map(|(tier, model)| TierModel {
            tier: tier.to_owned(),
            configured: model.to_owned(),
            wire: model.to_owned(),
            origin: "built in".to_owned(),
            ..TierModel::default()
        });
        Ok(models.into())
    }

    async fn call(&self, method: &str, payload: Payload) -> Result<Payload, Error> {
        match method {
            "blob" => {
                let answer = Payload::from_json(payload.json().to_owned());
                Ok(payload
                    .blobs()
                    .fold(answer, |answer, blob| answer.with_blob(blob.to_vec())))
            }
            "given" => Payload::of(&self.given.load(Ordering::Relaxed)),
            other => Err(Error::unsupported(other)),
        }
    }

    async fn shutdown(&self, _deadline: Duration) {
        if self.greeting == "stall/shutdown" {
            future::pending::<()>().await;
        }
        assert!(self.greeting != "panic/shutdown", "cannot leave with {}", self.greeting);
    }
}

impl Drop for Parrot {
    fn drop(&mut self) {
        assert!(self.greeting != "panic/leave", "cannot go with {}", self.greeting);
    }
}

/// The requested model; by default that of the large tier.
fn model_of(request: &ChatRequest) -> &str {
    match (request.model.as_deref(), request.tier.as_deref()) {
        (Some(model), _) => model,
        (None, Some("TEXT_SMALL")) => "parrot/small",
        (None, _) => "parrot/large",
    }
}

/// The last message.
fn heard(request: &ChatRequest) -> Result<String, Error> {
    let last = request.read_messages()?.pop();
    Ok(last
        .and_then(|message| message.content.as_str().map(str::to_owned))
        .unwrap_or_default())
}

/// One event for each word.
fn pieces(text: &str) -> Vec<ChatEvent> {
    text.split_inclusive(' ').map(ChatEvent::text).collect()
}

/// Never ends; only the destructor does anything.
async fn hold(held: WhenDropped) -> Result<ChatReply, Error> {
    let _held = held;
    future::pending().await
}

fn log_at_every_level() {
    tracing::error!(code = 7, "an error");
    tracing::warn!(ratio = 0.5, "a warning");
    tracing::info!(word = "blue", "an information");
    tracing::debug!(negative = -1, "a detail");
    tracing::trace!(yes = true, list = ?[1, 2], "a trace");
}

export_plugin!(Parrot);
