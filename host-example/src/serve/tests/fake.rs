//! Plugins that are linked in: one with a raw form, one without.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use plugin_api::{
    Attempt, ChatEvent, ChatRequest, Credits, CreditsRequest, Done, Error, ErrorKind, EventStream, Head, Host,
    HttpAnswer, HttpRequest, Model, ModelList, ModelsRequest, Notice, Provider, ServiceAnswer, TierModel, Usage,
    Verbatim,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The plugin's own key.
pub const KEY: &str = "fake-key-0123456789";

type Item = Result<ChatEvent, Error>;

/// The streams that clients asked for, by their paths.
struct Streams {
    open: BTreeMap<String, UnboundedSender<Item>>,
    dropped: Vec<String>,
}

static STREAMS: Mutex<Streams> = Mutex::new(Streams {
    open: BTreeMap::new(),
    dropped: Vec::new(),
});
static CHANGED: Condvar = Condvar::new();

/// The longest wait for anything.
const LIMIT: Duration = Duration::from_secs(60);

/// The other end of a stream that a client asked for.
pub struct Held(UnboundedSender<Item>);

impl Held {
    /// Waits until a client asks for the stream of this name.
    pub fn wait(name: &str) -> Self {
        let mut streams = streams_when(|streams| streams.open.contains_key(name), name);
        Self(streams.open.remove(name).expect("it is there"))
    }

    pub fn send(&self, event: ChatEvent) {
        self.0.send(Ok(event)).expect("the stream is open");
    }

    pub fn raw(&self, text: &str) {
        self.send(ChatEvent::Raw(text.into()));
    }

    pub fn fail(&self, error: Error) {
        self.0.send(Err(error)).expect("the stream is open");
    }
}

/// Waits until the stream of this name was dropped.
pub fn wait_until_dropped(name: &str) {
    drop(streams_when(
        |streams| streams.dropped.iter().any(|dropped| dropped == name),
        name,
    ));
}

fn streams() -> MutexGuard<'static, Streams> {
    STREAMS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The streams, as soon as this is so.
fn streams_when(is_so: impl Fn(&Streams) -> bool, name: &str) -> MutexGuard<'static, Streams> {
    let (streams, waited) = CHANGED
        .wait_timeout_while(streams(), LIMIT, |streams| !is_so(streams))
        .unwrap_or_else(PoisonError::into_inner);
    assert!(!waited.timed_out(), "waited in vain for the stream `{name}`");
    streams
}

struct Told {
    name: String,
    items: UnboundedReceiver<Item>,
}

impl Told {
    fn open(name: &str) -> Self {
        let (sender, items) = unbounded_channel();
        let mut streams = streams();
        streams.open.insert(name.to_owned(), sender);
        CHANGED.notify_all();
        Self {
            name: name.to_owned(),
            items,
        }
    }
}

impl Stream for Told {
    type Item = Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Item>> {
        self.items.poll_recv(context)
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let mut streams = streams();
        streams.dropped.push(self.name.clone());
        CHANGED.notify_all();
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
                error.details.answer = Some(Box::new(ServiceAnswer {
                    status: 429,
                    headers: vec![
                        ("content-type".to_owned(), "application/problem+json".to_owned()),
                        ("x-ratelimit-remaining".to_owned(), "0".to_owned()),
                    ],
                    body: "{\"error\" : 429}".to_owned(),
                }));
                Err(error)
            }
            "/responses/unreachable" => {
                Err(Error::new(ErrorKind::CONNECT, "no connection to the service").with_hint("look at the network"))
            }
            path if path.starts_with("/held/") => {
                Told::open(path).collect().await?;
                Ok(HttpAnswer::default())
            }
            // Says what arrived.
            path => Ok(HttpAnswer {
                head: Head {
                    status: 200,
                    headers: vec![
                        ("content-type".to_owned(), "application/json".to_owned()),
                        ("content-length".to_owned(), "3".to_owned()),
                        ("x-path".to_owned(), path.to_owned()),
                        ("x-method".to_owned(), request.method.clone()),
                        ("x-names".to_owned(), names(&request)),
                    ],
                },
                body: request.body.unwrap_or_default(),
                notices: vec![Notice::new("translated.max-price", "x")],
                done: Done {
                    model: Some("acme/small".to_owned()),
                    provider: Some("Acme".to_owned()),
                    generation_id: Some("gen-1".to_owned()),
                    usage: Some(Usage {
                        cost_usd: Some("0.0041".to_owned()),
                        ..Usage::default()
                    }),
                    ..Done::default()
                },
            }),
        }
    }

    async fn raw_stream(&self, request: HttpRequest) -> Result<EventStream, Error> {
        if request.path.contains("refused") {
            return Err(Error::new(ErrorKind::PAYMENT, "no credit is left"));
        }
        if request.path.contains("all-at-once") {
            let head = Head {
                status: 200,
                headers: vec![
                    ("x-from".to_owned(), "acme".to_owned()),
                    ("content-length".to_owned(), "3".to_owned()),
                ],
            };
            let first = "data: {\"id\":\"gen-1\",\"model\":\"acme/small\",\"provider\":\"Acme\"}\n\n";
            return Ok([
                ChatEvent::Head(Box::new(head)),
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
        let raw = Verbatim::parse(r#"{"id" : "acme/small"}"#.to_owned());
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
        })
    }

    async fn credits(&self, _request: CreditsRequest) -> Result<Credits, Error> {
        Ok(Credits {
            balance_usd: Some("12.5".to_owned()),
            ..Credits::default()
        })
    }
}

fn names(request: &HttpRequest) -> String {
    let names: Vec<&str> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.join(",")
}

impl Told {
    /// Waits for the end.
    async fn collect(self) -> Result<(), Error> {
        EventStream::new(self).collect().await.map(drop)
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
        let done = Done {
            finish_reason: "stop".to_owned(),
            model: Some("plain/small".to_owned()),
            ..Done::default()
        };
        Ok([
            ChatEvent::text("Hello "),
            ChatEvent::text(tier),
            ChatEvent::Done(Box::new(done)),
        ]
        .into_iter()
        .collect())
    }
}
