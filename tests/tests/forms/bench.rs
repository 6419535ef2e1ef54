//! One call in the service's own form, and the same request sent by hand for comparison.
//!
//! Everything that passes through here is searched for the key.

use plugin_api::{
    ChatEvent, ChatReply, ChatRequest, Done, Error, EventStream, Head, HttpAnswer, HttpRequest, Notice, Plugin,
};
use sandbox::{Builder, Recorded, Sandbox, Script};
use serde_json::{Value, json};
use tests::canary::CANARY;
use tests::endpoint::{Client, Request};
use tests::faultd::{self, Arrival, Faultd};
use tests::{LIMIT, Service, block_on, config_at, openrouter, service, service_from};

/// The model that most tests ask for.
pub const MODEL: &str = "acme/model";

/// Two sandboxes that give the same answers to the same requests.
pub struct Twins {
    /// The one behind the plugin.
    pub asked: Service,
    /// The one that is asked by hand.
    pub direct: Service,
}

/// Twins with these settings.
pub fn twins(settings: impl Fn(Builder) -> Builder) -> Twins {
    let start = || service_from(settings(Sandbox::builder().key(CANARY)));
    Twins {
        asked: start(),
        direct: start(),
    }
}

/// Twins whose [`MODEL`] plays this script.
pub fn twins_playing(script: &Script) -> Twins {
    twins(|builder| builder.script(MODEL, script.clone()))
}

/// A sandbox whose [`MODEL`] plays this script.
pub fn service_playing(script: Script) -> Service {
    let service = service();
    service.script(MODEL, script);
    service
}

/// An entry of the model list, without any ability.
pub fn entry(id: &str) -> Value {
    json!({
        "id": id, "canonical_slug": id, "name": id, "created": 1_600_000_000, "description": "", "context_length": 1000,
        "architecture": {"modality": "text->text", "input_modalities": ["text"], "output_modalities": ["text"],
            "tokenizer": "Other", "instruct_type": null},
        "pricing": {"prompt": "0.000001", "completion": "0.000002", "request": "0"},
        "top_provider": {"context_length": 1000, "max_completion_tokens": null, "is_moderated": false},
        "per_request_limits": null, "supported_parameters": ["temperature"], "default_parameters": {},
        "supported_voices": null, "links": {"details": "/api/v1/models/x/y/endpoints"},
    })
}

/// The plugin with these options, talking to a sandbox.
pub fn plugin(service: &Sandbox, options: Value) -> Plugin {
    plugin_at(&service.base_url(), &[], options)
}

/// The plugin with these options, talking to a service of scripted bytes.
pub fn plugin_of(service: &Faultd, options: Value) -> Plugin {
    plugin_at(&service.base_url(), &[], options)
}

/// The plugin with further environment variables.
pub fn plugin_at(base_url: &str, variables: &[(&str, &str)], options: Value) -> Plugin {
    let mut config = config_at(base_url, CANARY, options);
    let variables = variables.iter();
    config
        .environment
        .extend(variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    openrouter(&config)
}

/// Options for a single attempt, for failures whose retry is not the point.
pub fn once() -> Value {
    json!({"retry": {"attempts": 1}})
}

/// `body` with these members added or replaced.
pub fn with(mut body: Value, members: &Value) -> Value {
    for (name, value) in members.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body
}

/// A POST request with a JSON body.
pub fn post(path: &str, body: &Value) -> HttpRequest {
    HttpRequest::post(path, body.to_string())
}

/// A chat request to a model.
pub fn chat(model: &str) -> HttpRequest {
    post("/chat/completions", &chat_body(model))
}

/// The body of [`chat`].
pub fn chat_body(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "Hello"}]})
}

/// A chat request to [`MODEL`] with these members added or replaced.
pub fn chat_with(members: &Value) -> HttpRequest {
    post("/chat/completions", &with(chat_body(MODEL), members))
}

/// A request to [`MODEL`] in each form that generates text.
pub fn writing_forms() -> [HttpRequest; 4] {
    let messages = &chat_body(MODEL)["messages"];
    let messages = json!({"model": MODEL, "max_tokens": 50, "messages": messages});
    [
        chat(MODEL),
        post("/completions", &json!({"model": MODEL, "prompt": "Hello"})),
        post("/responses", &json!({"model": MODEL, "input": "Hello"})),
        post("/messages", &messages),
    ]
}

/// The same request as a client writes it to get a stream.
pub fn streaming(request: &HttpRequest) -> HttpRequest {
    let body: Value = serde_json::from_slice(request.body.as_deref().unwrap_or_default()).expect("JSON");
    post(&request.path, &with(body, &json!({"stream": true})))
}

/// The same request with one more header.
pub fn with_header(mut request: HttpRequest, name: &str, value: &str) -> HttpRequest {
    request.headers.push((name.to_owned(), value.to_owned()));
    request
}

/// A GET request.
pub fn get(path: &str) -> HttpRequest {
    HttpRequest::new("GET", path)
}

/// Sends a request and waits for the whole answer.
pub fn raw(plugin: &Plugin, request: HttpRequest) -> Result<HttpAnswer, Error> {
    let answer = block_on(plugin.raw(request));
    assert_no_key(&format!("{answer:?}"));
    match &answer {
        Ok(answer) => assert_no_key(&String::from_utf8_lossy(&answer.body)),
        Err(error) => assert_no_key(&printed(error)),
    }
    answer
}

/// Sends a request that succeeds.
#[track_caller]
pub fn good(plugin: &Plugin, request: HttpRequest) -> HttpAnswer {
    raw(plugin, request).expect("a good answer")
}

/// Sends a request that fails.
#[track_caller]
pub fn bad(plugin: &Plugin, request: HttpRequest) -> Error {
    raw(plugin, request).expect_err("an error")
}

/// A request under these options as it arrives at a service that answers `yes`.
pub fn arrived(options: Value, request: HttpRequest) -> Arrival {
    let service = Faultd::playing([faultd::Script::answer("yes")]);
    good(&plugin_of(&service, options), request);
    service.requests().remove(0)
}

/// Everything that an error holds.
pub fn printed(error: &Error) -> String {
    let details = serde_json::to_string(&*error.details).expect("details are JSON");
    format!("{error:?} {error} {details}")
}

#[track_caller]
pub fn assert_no_key(text: &str) {
    let masked = text.replace(CANARY, "[the key]");
    assert_eq!(text, masked, "the key");
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

/// Sends a request in the service's own form and reads its stream.
pub fn raw_stream(plugin: &Plugin, request: HttpRequest) -> Came {
    let came = read(plugin.raw_stream(request));
    assert_no_key(&came.raw());
    came
}

/// Sends a chat request and reads its stream.
pub fn streamed(plugin: &Plugin, request: &ChatRequest) -> Came {
    read(plugin.stream(request))
}

/// Reads a stream to its end.
pub fn read(opening: impl Future<Output = Result<EventStream, Error>>) -> Came {
    let came = block_on(async {
        let mut came = Came::default();
        match opening.await {
            Err(error) => came.error = Some(error),
            Ok(mut stream) => {
                while let Some(event) = stream.next().await {
                    match event {
                        Ok(event) => came.events.push(event),
                        Err(error) => came.error = Some(error),
                    }
                }
            }
        }
        came
    });
    came.error.iter().for_each(|error| assert_no_key(&printed(error)));
    came
}

impl Came {
    /// The raw form, joined.
    pub fn raw(&self) -> String {
        let pieces = self.events.iter().filter_map(|event| match event {
            ChatEvent::Raw(piece) => Some(&**piece),
            _ => None,
        });
        pieces.collect()
    }

    /// The kinds of events in order; a run of one kind counts once.
    pub fn kinds(&self) -> Vec<&'static str> {
        let mut kinds: Vec<&str> = self.events.iter().map(kind).collect();
        kinds.dedup();
        kinds
    }

    /// The only head.
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

    /// The keep-alive comments.
    pub fn keep_alives(&self) -> Vec<&str> {
        let comments = self.events.iter().filter_map(|event| match event {
            ChatEvent::KeepAlive(text) => Some(&**text),
            _ => None,
        });
        comments.collect()
    }

    /// Everything except the raw form and what depends on the clock.
    pub fn typed(&self) -> Vec<ChatEvent> {
        let is_typed = |event: &&ChatEvent| !matches!(event, ChatEvent::Raw(_) | ChatEvent::Head(_));
        let events = self.events.iter().filter(is_typed).cloned().map(|event| match event {
            ChatEvent::Done(done) => ChatEvent::Done(Box::new(without_times(*done))),
            other => other,
        });
        events.collect()
    }

    /// The whole reply of a stream that ended well.
    #[track_caller]
    pub fn reply(&self) -> ChatReply {
        assert_eq!(self.error, None, "{:?}", self.error);
        let mut reply = ChatReply::default();
        self.events.iter().for_each(|event| reply.add(event.clone()));
        reply
    }

    /// The error that ended it.
    #[track_caller]
    pub fn error(&self) -> &Error {
        self.error.as_ref().expect("an error")
    }
}

/// What an answer reports of itself, except what depends on the clock.
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
        ChatEvent::KeepAlive(_) => "keep-alive",
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

/// The words of the old forms that were translated.
pub fn words(notices: &[Notice]) -> Vec<&str> {
    let codes = codes(notices).into_iter();
    codes.filter_map(|code| code.strip_prefix("translated.")).collect()
}

/// The message of the only notice with this code.
#[track_caller]
pub fn message_of<'a>(notices: &'a [Notice], code: &str) -> &'a str {
    let found: Vec<&Notice> = notices.iter().filter(|notice| notice.code == code).collect();
    assert_eq!(found.len(), 1, "{notices:?}");
    &found[0].message
}

/// A service's answer to a request sent by hand.
#[derive(Debug, PartialEq, Eq)]
pub struct Direct {
    pub status: u16,
    pub content_type: String,
    pub body: Vec<u8>,
}

impl Direct {
    /// The same of an answer of the plugin.
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

    /// What the plugin passes on of this stream: everything, except the `[DONE]` behind messages, which clients of
    /// messages do not understand.
    pub fn passed_on(&self, path: &str) -> &str {
        let done = if path == "/messages" {
            "event: data\ndata: [DONE]\n\n"
        } else {
            ""
        };
        self.text().strip_suffix(done).unwrap_or(self.text())
    }
}

/// Sends a request by hand, with the key and without the plugin.
pub fn direct(service: &Sandbox, request: &HttpRequest) -> Direct {
    let mut asked = Request::new(&request.method, &format!("/v1{}", request.path));
    for (name, value) in &request.headers {
        asked = asked.header(name, value);
    }
    if let Some(body) = &request.body {
        asked = asked.body(body.to_vec());
    }
    let answer = Client::connect(service.address())
        .ask(&asked.to_service(service))
        .whole();
    assert!(answer.is_whole, "{}", request.path);
    Direct {
        status: answer.status,
        content_type: answer.header("content-type").expect("a type").to_owned(),
        body: answer.body,
    }
}

/// The requests to a path so far, once none is in flight.
pub fn requests_to(service: &Sandbox, path: &str) -> Vec<Recorded> {
    service.wait_until_idle(LIMIT).expect("nothing stays in flight");
    let mut requests = service.requests();
    requests.retain(|request| request.path == format!("/api/v1{path}"));
    requests
}

/// The body that a request has when it reaches a sandbox with [`MODEL`], under these options.
pub fn sent(options: Value, request: HttpRequest) -> Value {
    let service = service_playing(Script::text("yes"));
    let path = request.path.clone();
    good(&plugin(&service, options), request);
    let mut requests = requests_to(&service, &path);
    assert_eq!(requests.len(), 1, "requests to {path}");
    requests.remove(0).body
}
