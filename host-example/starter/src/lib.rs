//! A model provider for agent hosts. It needs no network: `answer` repeats the last message, and waits before each
//! word. Put your service's client there; the rest can stay.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use plugin_api::runtime::{Runtime, Task};
use plugin_api::{ChatEvent, ChatRequest, Config, Done, Error, ErrorKind, EventStream, Host, Problem, Provider};
use plugin_api::{TierModel, export_plugin};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::sleep;

const KEY: &str = "STARTER_API_KEY";
const BASE_URL: &str = "STARTER_BASE_URL";
const SERVICE: &str = "https://api.example.com";
const MODEL: &str = "starter-1";

/// Pieces of an answer that may wait for a host that reads slowly.
const MAX_WAITING: usize = 32;

struct Starter {
    /// For the calls that begin now. Calls in flight keep those that they began with.
    settings: RwLock<Arc<Settings>>,
    runtime: Runtime,
}

/// What the options and the environment say. No `Debug`, because of the key.
struct Settings {
    key: Option<String>,
    base_url: String,
    greeting: String,
    word_delay: Duration,
}

impl Settings {
    /// - Errors: `config` with every problem and its place.
    fn read(config: &str) -> Result<Arc<Self>, Error> {
        let Config { options, environment } = Config::parse(config)?;
        let mut problems = Vec::new();
        let mut option = |name: &str, expected: &str, fits: fn(&Value) -> bool| {
            let value = options.get(name)?;
            if !fits(value) {
                problems.push(Problem::error(
                    format!("/{name}"),
                    format!("expected {expected}, found another value"),
                ));
            }
            Some(value)
        };
        let greeting = option("greeting", "a text", Value::is_string).and_then(Value::as_str);
        let word_delay_ms = option("wordDelayMs", "a whole number", Value::is_u64).and_then(Value::as_u64);
        let settings = Self {
            key: variable(&environment, KEY),
            base_url: variable(&environment, BASE_URL).unwrap_or_else(|| SERVICE.to_owned()),
            greeting: greeting.unwrap_or_default().to_owned(),
            word_delay: Duration::from_millis(word_delay_ms.unwrap_or(20)),
        };
        if problems.is_empty() {
            return Ok(Arc::new(settings));
        }
        let mut error = Error::new(ErrorKind::CONFIG, "the options cannot be used");
        error.details.problems = problems;
        Err(error)
    }

    fn key(&self) -> Result<&str, Error> {
        self.key
            .as_deref()
            .ok_or_else(|| Error::new(ErrorKind::AUTH, "there is no key").with_hint(format!("set `{KEY}`")))
    }
}

fn variable(environment: &BTreeMap<String, String>, name: &str) -> Option<String> {
    environment.get(name).cloned()
}

impl Provider for Starter {
    const MANIFEST: &'static str = concat!(
        r#"{
  "id": "starter",
  "name": "Starter",
  "version": ""#,
        env!("CARGO_PKG_VERSION"),
        r#"",
  "description": "Repeats the last message, word by word",
  "environment": [
    {"name": "STARTER_API_KEY", "role": "key", "description": "The API key; the plugin is enabled if it is set"},
    {"name": "STARTER_BASE_URL", "role": "endpoint", "description": "Address of the service, if not its own"}
  ],
  "tiers": ["TEXT_LARGE"],
  "methods": ["chat", "stream", "tiers", "configure"],
  "options_schema": {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
      "greeting": {"type": "string", "description": "Said before each answer", "default": ""},
      "wordDelayMs": {"type": "integer", "minimum": 0, "maximum": 10000, "default": 20,
        "description": "The wait before each word, in milliseconds"}
    },
    "additionalProperties": false
  }
}"#
    );

    fn create(_host: Host, config: &str) -> Result<Self, Error> {
        Ok(Self {
            settings: RwLock::new(Settings::read(config)?),
            runtime: Runtime::start("starter")?,
        })
    }

    fn configure(&self, config: &str) -> Result<(), Error> {
        let settings = Settings::read(config)?;
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = settings;
        Ok(())
    }

    async fn stream(&self, request: ChatRequest) -> Result<EventStream, Error> {
        self.runtime.ready()?;
        let settings = Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner));
        let (sender, events) = mpsc::channel(MAX_WAITING);
        let task = Some(self.runtime.spawn(answer(settings, request, sender)));
        Ok(EventStream::new(Answer { events, task }))
    }

    fn tiers(&self) -> Result<Vec<TierModel>, Error> {
        self.runtime.ready()?;
        Ok(vec![TierModel {
            tier: "TEXT_LARGE".to_owned(),
            configured: MODEL.to_owned(),
            wire: MODEL.to_owned(),
            origin: "built-in default".to_owned(),
            ..TierModel::default()
        }])
    }

    async fn shutdown(&self, deadline: Duration) {
        self.runtime.shutdown(deadline).await;
    }
}

/// Answers one request, on the plugin's own thread, where sockets and timers work. It is cancelled at any `await` when
/// the host drops the call. Never log or quote the key or a message.
async fn answer(settings: Arc<Settings>, request: ChatRequest, sender: mpsc::Sender<ChatEvent>) -> Result<(), Error> {
    // The client of a service sends it along.
    let _key = settings.key()?;
    tracing::debug!(service = settings.base_url, "asking");
    let last = request.read_messages()?.pop();
    let said = last.map(|message| message.text_content().into_owned());
    let text = settings.greeting.clone() + &said.unwrap_or_default();
    for word in text.split_inclusive(' ') {
        sleep(settings.word_delay).await;
        if sender.send(ChatEvent::text(word)).await.is_err() {
            return Ok(());
        }
    }
    let done = Done {
        finish_reason: "stop".to_owned(),
        model: Some(request.model.unwrap_or_else(|| MODEL.to_owned())),
        ..Done::default()
    };
    // If nobody reads any more, there is nobody to tell.
    let _ = sender.send(ChatEvent::Done(Box::new(done))).await;
    Ok(())
}

/// The events of an answer, and the task that sends them.
struct Answer {
    events: mpsc::Receiver<ChatEvent>,
    /// Dropping it cancels the work. `None` after its end.
    task: Option<Task<()>>,
}

impl Stream for Answer {
    type Item = Result<ChatEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(event) = ready!(self.events.poll_recv(context)) {
            return Poll::Ready(Some(Ok(event)));
        }
        let Some(task) = &mut self.task else {
            return Poll::Ready(None);
        };
        let ended = ready!(Pin::new(task).poll(context));
        self.task = None;
        Poll::Ready(ended.err().map(Err))
    }
}

export_plugin!(Starter);

#[cfg(test)]
mod tests {
    use plugin_api::{LogOnly, Message, Plugin, PluginModule};
    use serde_json::json;

    use super::*;

    fn created(options: Value, key: Option<&str>) -> Result<Plugin, Error> {
        let config = Config {
            options,
            environment: key.map(|key| (KEY.to_owned(), key.to_owned())).into_iter().collect(),
        };
        PluginModule::linked::<Starter>()?.create(Arc::new(LogOnly::new("starter")), &config)
    }

    fn ask(plugin: &Plugin) -> Result<String, Error> {
        let request = ChatRequest::new(&[Message::user("one two three")])?;
        Ok(block_on(plugin.chat(&request))?.text)
    }

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.expect("the machine has memory").block_on(work)
    }

    #[test]
    fn it_repeats_the_last_message_after_the_greeting() {
        let plugin = created(json!({"greeting": "Hi: ", "wordDelayMs": 1}), Some("any")).expect("good options");
        assert_eq!(ask(&plugin), Ok("Hi: one two three".to_owned()));
    }

    #[test]
    fn a_call_without_a_key_says_which_variable_to_set() {
        let plugin = created(Value::Null, None).expect("an instance needs no key");
        let error = ask(&plugin).expect_err("there is no key");
        assert_eq!(
            (error.kind, error.hint()),
            (ErrorKind::AUTH, Some("set `STARTER_API_KEY`"))
        );
    }

    #[test]
    fn every_bad_option_is_named_with_its_place() {
        let error = created(json!({"greeting": 1, "wordDelayMs": "2"}), None)
            .err()
            .expect("bad options");
        let places: Vec<&str> = error.details.problems.iter().map(|problem| &*problem.pointer).collect();
        assert_eq!(
            (error.kind, places),
            (ErrorKind::CONFIG, vec!["/greeting", "/wordDelayMs"])
        );
    }

    #[test]
    fn new_options_hold_for_the_next_call() {
        let plugin = created(json!({"wordDelayMs": 0}), Some("any")).expect("good options");
        let config = Config {
            options: json!({"greeting": "Now: ", "wordDelayMs": 0}),
            environment: [(KEY.to_owned(), "any".to_owned())].into(),
        };
        assert_eq!(block_on(plugin.configure(&config)), Ok(()));
        assert_eq!(ask(&plugin), Ok("Now: one two three".to_owned()));
    }

    #[test]
    fn a_call_after_the_shutdown_fails() {
        let plugin = created(Value::Null, Some("any")).expect("good options");
        assert_eq!(block_on(plugin.shutdown(Duration::from_secs(60))), Ok(()));
        assert_eq!(ask(&plugin).expect_err("it was shut down").kind, ErrorKind::SHUT_DOWN);
    }
}
