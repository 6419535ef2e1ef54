//! One call in the service's own form, and the same request sent by hand.

use std::sync::Arc;

use plugin_api::{
    ChatEvent, ChatReply, ChatRequest, Config, Done, Error, EventStream, Head, HttpAnswer, HttpRequest, LogOnly,
    Notice, Plugin, loader,
};
use sandbox::{Builder, Recorded, Sandbox};
use serde_json::{Value, json};
use tests::canary::CANARY;
use tests::faultd::Faultd;
use tests::{LIMIT, Service, block_on, openrouter_plugin, service_from};

/// Two services that give the same answers to the same requests.
pub struct Twins<S = Service> {
    /// The one that the plugin asks.
    pub asked: S,
    /// The one that is asked by hand.
    pub direct: S,
}

/// Twins with these settings.
pub fn twins(settings: impl Fn(Builder) -> Builder) -> Twins {
    let start = || service_from(settings(Sandbox::builder().key(CANARY)));
    Twins {
        asked: start(),
        direct: start(),
    }
}

/// A service to say what the description of the API does not have, or to be told it.
pub fn strange_service(settings: impl Fn(Builder) -> Builder) -> Box<Sandbox> {
    let service = settings(Sandbox::builder().key(CANARY)).start();
    Box::new(service.expect("a port and a thread are free"))
}

/// Twins of that kind.
pub fn strange_twins(settings: impl Fn(Builder) -> Builder) -> Twins<Box<Sandbox>> {
    Twins {
        asked: strange_service(&settings),
        direct: strange_service(&settings),
    }
}

/// A model as the service lists one, without any ability.
pub fn entry(id: &str, slug: &str) -> Value {
    json!({
        "id": id, "canonical_slug": slug, "name": id, "created": 1_600_000_000, "description": "", "context_length": 1000,
        "architecture": {"modality": "text->text", "input_modalities": ["text"], "output_modalities": ["text"],
            "tokenizer": "Other", "instruct_type": null},
        "pricing": {"prompt": "0.000001", "completion": "0.000002", "request": "0"},
        "top_provider": {"context_length": 1000, "max_completion_tokens": null, "is_moderated": false},
        "per_request_limits": null, "supported_parameters": ["temperature"], "default_parameters": {},
        "supported_voices": null, "links": {"details": "/api/v1/models/x/y/endpoints"},
    })
}

/// The plugin with these options, talking to `service`.
pub fn plugin(service: &Sandbox, options: Value) -> Plugin {
    plugin_at(&service.base_url(), &[], options)
}

/// The plugin with these options, talking to a service of scripted bytes.
pub fn plugin_of(service: &Faultd, options: Value) -> Plugin {
    plugin_at(&service.base_url(), &[], options)
}

/// The plugin with further variables.
pub fn plugin_at(base_url: &str, variables: &[(&str, &str)], options: Value) -> Plugin {
    let module = loader::load(&openrouter_plugin()).expect("it fits");
    let own = [("OPENROUTER_API_KEY", CANARY), ("OPENROUTER_BASE_URL", base_url)];
    let environment = own.iter().chain(variables);
    let config = Config {
        options,
        environment: environment
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    };
    let services = Arc::new(LogOnly::new("openrouter"));
    module.create(services, &config).expect("the configuration is right")
}

/// One attempt only, for what a retry would only make longer.
pub fn once() -> Value {
    json!({"retry": {"attempts": 1}})
}

/// A request in the service's own form.
pub fn post(path: &str, body: &Value) -> HttpRequest {
    HttpRequest::post(path, body.to_string())
}

/// A chat request in the service's own form.
pub fn chat(model: &str) -> HttpRequest {
    post("/chat/completions", &chat_body(model))
}

/// The body of [`chat`].
pub fn chat_body(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "Hello"}]})
}

/// A request to a model in each form in which models write.
pub fn writing_forms(model: &str) -> [HttpRequest; 4] {
    let message = json!([{"role": "user", "content": "Hello"}]);
    [
        chat(model),
        post("/completions", &json!({"model": model, "prompt": "Hello"})),
        post("/responses", &json!({"model": model, "input": "Hello"})),
        post(
            "/messages",
            &json!({"model": model, "max_tokens": 50, "messages": message}),
        ),
    ]
}

/// The same request for an answer as a stream, as it is written by hand.
pub fn streaming(request: &HttpRequest) -> HttpRequest {
    let mut body: Value = serde_json::from_slice(request.body.as_deref().unwrap_or_default()).expect("JSON");
    body["stream"] = json!(true);
    HttpRequest::post(request.path.clone(), body.to_string())
}

/// The same request with one more header.
pub fn with_header(mut request: HttpRequest, name: &str, value: &str) -> HttpRequest {
    request.headers.push((name.to_owned(), value.to_owned()));
    request
}

/// Sends a request in the service's own form.
pub fn raw(plugin: &Plugin, request: HttpRequest) -> Result<HttpAnswer, Error> {
    let answer = block_on(plugin.raw(request));
    assert_no_key(&format!("{answer:?}"));
    match &answer {
        Ok(answer) => assert_no_key(&String::from_utf8_lossy(&answer.body)),
        Err(error) => assert_no_key(&printed(error)),
    }
    answer
}

/// Everything that an error holds.
pub fn printed(error: &Error) -> String {
    let details = serde_json::to_string(&*error.details).expect("details are JSON");
    format!("{error} {details}")
}

#[track_caller]
pub fn assert_no_key(text: &str) {
    assert!(
        !text.contains(CANARY),
        "the key in {}",
        text.replace(CANARY, "[the key]")
    );
}

/// A whole answer, or the sentence of an error.
#[track_caller]
pub fn good(plugin: &Plugin, request: HttpRequest) -> HttpAnswer {
    raw(plugin, request).expect("a good answer")
}

/// The body of a whole answer.
pub fn json_of(answer: &HttpAnswer) -> Value {
    serde_json::from_slice(&answer.body).expect("the body is JSON")
}

/// Everything that a stream brought.
#[derive(Debug, Default, PartialEq)]
pub struct Came {
    pub events: Vec<ChatEvent>,
    pub error: Option<Error>,
}

/// Sends a request in the service's own form for an answer as a stream.
pub fn raw_stream(plugin: &Plugin, request: HttpRequest) -> Came {
    came(plugin.raw_stream(request))
}

/// Sends a chat request for an answer as a stream.
pub fn streamed(plugin: &Plugin, request: &ChatRequest) -> Came {
    came(plugin.stream(request))
}

fn came(opening: impl Future<Output = Result<EventStream, Error>>) -> Came {
    let came = block_on(async {
        let mut came = Came::default();
        let mut stream = match opening.await {
            Ok(stream) => stream,
            Err(error) => {
                came.error = Some(error);
                return came;
            }
        };
        while let Some(event) = stream.next().await {
            match event {
                Ok(event) => came.events.push(event),
                Err(error) => came.error = Some(error),
            }
        }
        came
    });
    assert_no_key(&came.raw());
    if let Some(error) = &came.error {
        assert_no_key(&printed(error));
    }
    came
}

impl Came {
    /// The raw form, in one.
    pub fn raw(&self) -> String {
        let piece = |event: &ChatEvent| match event {
            ChatEvent::Raw(piece) => Some(piece.to_string()),
            _ => None,
        };
        self.events.iter().filter_map(piece).collect()
    }

    /// What kinds of events came, each kind once for a row of them.
    pub fn kinds(&self) -> Vec<&'static str> {
        let mut kinds: Vec<&str> = self.events.iter().map(kind).collect();
        kinds.dedup();
        kinds
    }

    /// The head.
    #[track_caller]
    pub fn head(&self) -> &Head {
        let heads = self.events.iter().filter_map(|event| match event {
            ChatEvent::Head(head) => Some(head),
            _ => None,
        });
        let heads: Vec<_> = heads.collect();
        assert_eq!(heads.len(), 1, "one head");
        heads[0]
    }

    /// The signs of life.
    pub fn signs(&self) -> Vec<String> {
        let sign = |event: &ChatEvent| match event {
            ChatEvent::KeepAlive(text) => Some(text.to_string()),
            _ => None,
        };
        self.events.iter().filter_map(sign).collect()
    }

    /// Everything but the raw form and what depends on the clock.
    pub fn typed(&self) -> Vec<ChatEvent> {
        let is_typed = |event: &&ChatEvent| !matches!(event, ChatEvent::Raw(_) | ChatEvent::Head(_));
        self.events
            .iter()
            .filter(is_typed)
            .map(|event| match event {
                ChatEvent::Done(done) => ChatEvent::Done(Box::new(without_times((**done).clone()))),
                other => other.clone(),
            })
            .collect()
    }

    /// Put together.
    #[track_caller]
    pub fn reply(&self) -> ChatReply {
        assert_eq!(self.error, None, "{:?}", self.error);
        let mut reply = ChatReply::default();
        self.events.iter().for_each(|event| reply.add(event.clone()));
        reply
    }

    /// How it ended well.
    #[track_caller]
    pub fn done(&self) -> Done {
        self.reply().done
    }

    /// The error that ended it.
    #[track_caller]
    pub fn error(&self) -> &Error {
        self.error.as_ref().expect("an error")
    }
}

/// What an answer knows of itself, but for what depends on the clock.
pub fn without_times(done: Done) -> Done {
    Done {
        duration_ms: 0,
        time_to_first_token_ms: None,
        ..done
    }
}

fn kind(event: &ChatEvent) -> &'static str {
    match event {
        ChatEvent::Text(_) => "text",
        ChatEvent::Reasoning(_) => "reasoning",
        ChatEvent::ToolCall(_) => "tool call",
        ChatEvent::KeepAlive(_) => "sign of life",
        ChatEvent::Notice(_) => "notice",
        ChatEvent::Done(_) => "done",
        ChatEvent::Head(_) => "head",
        ChatEvent::Raw(_) => "raw",
        _ => "other",
    }
}

/// The codes of notices.
pub fn codes(notices: &[Notice]) -> Vec<&str> {
    notices.iter().map(|notice| notice.code.as_str()).collect()
}

/// The words of old forms that were translated.
pub fn words(notices: &[Notice]) -> Vec<&str> {
    let words = notices
        .iter()
        .filter_map(|notice| notice.code.strip_prefix("translated."));
    words.collect()
}

/// The message of the one notice with this code.
#[track_caller]
pub fn told<'a>(notices: &'a [Notice], code: &str) -> &'a str {
    let found: Vec<&Notice> = notices.iter().filter(|notice| notice.code == code).collect();
    assert_eq!(found.len(), 1, "{notices:?}");
    &found[0].message
}

/// What a service answered to a request sent by hand.
#[derive(Debug, PartialEq, Eq)]
pub struct Direct {
    pub status: u16,
    pub content_type: String,
    pub body: Vec<u8>,
}

impl Direct {
    /// What a whole answer of the plugin comes to.
    pub fn of(answer: &HttpAnswer) -> Self {
        Self {
            status: answer.head.status,
            content_type: answer.head.header("content-type").unwrap_or_default().to_owned(),
            body: answer.body.to_vec(),
        }
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }
}

/// What behind a stream of messages their clients do not understand.
const BEHIND_MESSAGES: &str = "event: data\ndata: [DONE]\n\n";

/// What the plugin hands on of a stream that the service gave by hand: everything, but of messages not the `[DONE]` behind them.
pub fn handed_on(path: &str, given: &str) -> String {
    if path != "/messages" {
        return given.to_owned();
    }
    given.strip_suffix(BEHIND_MESSAGES).unwrap_or(given).to_owned()
}

/// Sends the same request by hand, with the key and without a plugin.
pub fn direct(service: &Sandbox, request: &HttpRequest) -> Direct {
    block_on(async {
        let client = reqwest::Client::builder()
            .no_proxy()
            .tls_backend_preconfigured(no_tls());
        let client = client.build().expect("a client");
        let method = request.method.parse().expect("a method");
        let mut sending = client.request(method, format!("{}{}", service.base_url(), request.path));
        sending = sending.bearer_auth(service.key());
        for (name, value) in &request.headers {
            sending = sending.header(name, value);
        }
        if let Some(body) = &request.body {
            sending = sending.body(body.to_vec());
        }
        let response = sending.send().await.expect("the stand-in answers");
        let content_type = response.headers()["content-type"].to_str().expect("text").to_owned();
        Direct {
            status: response.status().as_u16(),
            content_type,
            body: response.bytes().await.expect("the whole body").to_vec(),
        }
    })
}

/// A configuration that says no to every server, for a client that speaks to this machine in the clear.
fn no_tls() -> rustls::ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

/// The requests to a path so far, all of them over.
pub fn requests_to(service: &Sandbox, path: &str) -> Vec<Recorded> {
    service.wait_until_idle(LIMIT).expect("nothing stays in flight");
    let mut requests = service.requests();
    requests.retain(|request| request.path == format!("/api/v1{path}"));
    requests
}

/// The body of the one request to a path, as it came.
#[track_caller]
pub fn sent_to(service: &Sandbox, path: &str) -> String {
    let mut requests = requests_to(service, path);
    assert_eq!(requests.len(), 1, "requests to {path}");
    requests.remove(0).body_text
}

/// The value of a header of a recorded request.
pub fn header<'a>(request: &'a Recorded, name: &str) -> Option<&'a str> {
    let found = request.headers.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.as_str())
}
