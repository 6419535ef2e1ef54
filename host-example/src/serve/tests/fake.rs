//! Plugins that are linked in: one with a raw form, one without.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Condvar, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use plugin_api::{
    Attempt, ChatEvent, ChatRequest, Credits, CreditsRequest, Done, Error, ErrorKind, EventStream, Host, HttpAnswer,
    HttpRequest, Model, ModelList, ModelsRequest, Notice, Provider, TierModel, Verbatim,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use super::bench::block_on;

/// The plugin's own key.
pub const KEY: &str = "fake-key-0123456789";

type Item = Result<ChatEvent, Error>;

/// The other ends of the streams that clients asked for, by their paths.
static OPEN: Mutex<BTreeMap<String, UnboundedSender<Item>>> = Mutex::new(BTreeMap::new());
static CHANGED: Condvar = Condvar::new();

/// The longest wait for anything.
const LIMIT: Duration = Duration::from_secs(60);

/// A type of the boundary, from its JSON.
pub fn of<T: DeserializeOwned>(json: Value) -> T {
    serde_json::from_value(json).expect("it has the type's form")
}

pub fn head(status: u16, headers: &[(&str, &str)]) -> ChatEvent {
    ChatEvent::Head(of(json!({"status": status, "headers": headers})))
}

/// The other end of a stream that a client asked for.
pub struct Held(UnboundedSender<Item>);

impl Held {
    /// Waits until a client asks for the stream of this name.
    pub fn wait(name: &str) -> Self {
        let open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let found = CHANGED.wait_timeout_while(open, LIMIT, |open| !open.contains_key(name));
        let (mut open, _) = found.unwrap_or_else(PoisonError::into_inner);
        Self(
            open.remove(name)
                .unwrap_or_else(|| panic!("waited in vain for the stream `{name}`")),
        )
    }

    pub fn send(&self, event: ChatEvent) {
        self.0.send(Ok(event)).expect("the stream is open");
    }

    pub fn raw(&self, text: &str) {
        self.send(ChatEvent::Raw(text.into()));
    }

    pub fn done(&self, done: Value) {
        self.send(ChatEvent::Done(of(done)));
    }

    /// Waits until the plugin's end was dropped.
    pub fn wait_until_dropped(self) {
        let dropped = block_on(async { timeout(LIMIT, self.0.closed()).await });
        dropped.expect("the stream is dropped");
    }

    pub fn fail(&self, error: Error) {
        self.0.send(Err(error)).expect("the stream is open");
    }
}

struct Told(UnboundedReceiver<Item>);

impl Told {
    fn open(name: &str) -> Self {
        let (sender, items) = unbounded_channel();
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(name.to_owned(), sender);
        CHANGED.notify_all();
        Self(items)
    }
}

impl Stream for Told {
    type Item = Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Item>> {
        self.0.poll_recv(context)
    }
}

/// A plugin with a raw form.
pub struct Fake;

impl Provider for Fake {
    const MANIFEST: &'static str = r#"{
        "id": "fake", "name": "Fake", "version": "1.0.0",
        "environment": [{"name": "FAKE_KEY", "role": "key"}],
        "tiers": ["TEXT_SMALL"], "methods": ["chat", "stream", "tiers", "raw", "models", "credits"]
    }"#;

    fn create(_host: Host, _config: &str) -> Result<Self, Error> {
        Ok(Self)
    }

    async fn raw(&self, request: HttpRequest) -> Result<HttpAnswer, Error> {
        match request.path.as_str() {
            "/responses/refused" => {
                let mut error = Error::new(ErrorKind::RATE_LIMIT, "too many requests");
                error.retry_after_ms = Some(1500);
                error.details.attempts = vec![Attempt::default(); 2];
                error.details.answer = Some(of(json!({
                    "status": 429, "body": "{\"error\" : 429}",
                    "headers": [["content-type", "application/problem+json"], ["x-ratelimit-remaining", "0"]]
                })));
                Err(error)
            }
            "/responses/unreachable" => {
                Err(Error::new(ErrorKind::CONNECT, "no connection to the service").with_hint("look at the network"))
            }
            path if path.contains("/missing/") => {
                let body = match path.rsplit('/').next() {
                    Some("page") => "<html>Not found</html>".to_owned(),
                    Some("thing") => r#"{"error":{"message":"no thing 7"}}"#.to_owned(),
                    _ => json!({"error": {"message": format!("no route {path}")}}).to_string(),
                };
                let mut error = Error::new(ErrorKind::NOT_FOUND, "not found").with_hint("check the model id");
                error.details.status = Some(404);
                error.details.answer = Some(of(json!({"status": 404, "body": body})));
                Err(error)
            }
            "/models?data=7" => Ok(HttpAnswer {
                body: b"{\"data\" : [ 7.50 ]}".to_vec().into(),
                ..HttpAnswer::default()
            }),
            path if path.starts_with("/held/") => {
                EventStream::new(Told::open(path)).collect().await?;
                Ok(HttpAnswer::default())
            }
            // Says what arrived.
            path => {
                let names: Vec<&str> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
                let mut answer: HttpAnswer = of(json!({
                    "head": {"status": 200, "headers": [
                        ["content-type", "application/json"], ["content-length", "3"], ["x-path", path],
                        ["x-method", request.method], ["x-names", names.join(",")]
                    ]},
                    "done": {
                        "model": "acme/small", "provider": "Acme", "generation_id": "gen-1",
                        "usage": {"cost_usd": "0.0041"}
                    }
                }));
                answer.notices = vec![Notice::new("translated.max-price", "x")];
                answer.body = request.body.unwrap_or_default();
                Ok(answer)
            }
        }
    }

    async fn raw_stream(&self, request: HttpRequest) -> Result<EventStream, Error> {
        if request.path.contains("refused") {
            return Err(Error::new(ErrorKind::PAYMENT, "no credit is left"));
        }
        if request.path.contains("all-at-once") {
            let first = "data: {\"id\":\"gen-1\",\"model\":\"acme/small\",\"provider\":\"Acme\"}\n\n";
            return Ok([
                head(200, &[("x-from", "acme"), ("content-length", "3")]),
                ChatEvent::Notice(Notice::new("translated.route", "x")),
                ChatEvent::Raw(first.into()),
                ChatEvent::Raw("data: [DONE]\n\n".into()),
                ChatEvent::done("stop"),
            ]
            .into_iter()
            .collect());
        }
        Ok(EventStream::new(Told::open(&request.path)))
    }

    async fn models(&self, request: ModelsRequest) -> Result<ModelList, Error> {
        let raw = Verbatim::parse(r#"{"id" : "acme/small", "price": 1.5}"#.to_owned());
        let model = Model {
            id: "acme/small".to_owned(),
            raw: raw.filter(|_| request.raw),
            ..Model::default()
        };
        Ok(ModelList {
            models: vec![model],
            age_ms: 61_000,
            is_stale: !request.force,
            problem: Some("no connection".to_owned()),
            ..ModelList::default()
        })
    }

    async fn credits(&self, _request: CreditsRequest) -> Result<Credits, Error> {
        Ok(of(json!({"balance_usd": "12.5"})))
    }
}

/// A plugin without a raw form.
pub struct Plain;

impl Provider for Plain {
    const MANIFEST: &'static str = r#"{"id": "plain", "name": "Plain", "version": "1.0.0", "tiers": ["TEXT_SMALL"], "methods": ["chat", "stream", "tiers"]}"#;

    fn create(_host: Host, _config: &str) -> Result<Self, Error> {
        Ok(Self)
    }

    fn tiers(&self) -> Result<Vec<TierModel>, Error> {
        Ok(Vec::new())
    }

    async fn stream(&self, request: ChatRequest) -> Result<EventStream, Error> {
        let tier = request.tier.unwrap_or_default();
        let done: Box<Done> = of(json!({"finish_reason": "stop", "model": "plain/small"}));
        let events = [ChatEvent::text("Hello "), ChatEvent::text(tier), ChatEvent::Done(done)];
        Ok(events.into_iter().collect())
    }
}
