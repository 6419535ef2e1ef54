//! What these tests share: requests in every form, short ways to ask, and waits for what an endpoint counts.

use std::time::Instant;

use memchr::memmem;
use sandbox::{Sandbox, Script};
use serde_json::{Value, json};
use tests::canary::CANARY;
use tests::endpoint::{Answer, Client, Endpoint, Serve, chat_body};
use tests::{LIMIT, Ran, Service, service_from};

pub const CHAT: &str = "/v1/chat/completions";

/// The frame that the service sends after the last event of a stream of messages, and the endpoint drops.
const DONE_OF_MESSAGES: &[u8] = b"event: data\ndata: [DONE]\n\n";

/// A request in each form that a model can be asked in.
pub fn forms(model: &str) -> [(&'static str, Value); 4] {
    [
        (CHAT, chat_body(model, "Say it.")),
        ("/v1/completions", json!({"model": model, "prompt": "Say it."})),
        ("/v1/responses", json!({"model": model, "input": "Say it."})),
        (
            "/v1/messages",
            json!({"model": model, "max_tokens": 4096, "messages": [{"role": "user", "content": "Say it."}]}),
        ),
    ]
}

/// The same request for a stream.
pub fn streaming(mut body: Value) -> Value {
    body["stream"] = json!(true);
    body
}

/// A chat request for a stream.
pub fn stream_body(model: &str, text: &str) -> Value {
    streaming(chat_body(model, text))
}

/// Asks for a chat with these members; returns the answer and the body that the service received.
#[track_caller]
pub fn sent(endpoint: &Endpoint, members: &Value) -> (Answer, Value) {
    let mut body = chat_body("sandbox/hello", "Hello");
    for (name, value) in members.as_object().expect("members") {
        body[name.as_str()] = value.clone();
    }
    let answer = endpoint.answer(&endpoint.post(CHAT, &body));
    let mut chats = endpoint.service.requests().into_iter();
    let last = chats.rfind(|asked| asked.path.ends_with("/chat/completions"));
    (answer, last.map(|asked| asked.body).unwrap_or_default())
}

/// A streamed answer without the comment that the endpoint adds before its end.
#[track_caller]
pub fn without_comment(mut answer: Answer) -> Answer {
    if let Some(from) = memmem::find(&answer.body, b": agent-host {") {
        let length = memmem::find(&answer.body[from..], b"\n\n").expect("a whole comment") + 2;
        answer.body.drain(from..from + length);
    }
    answer
}

/// Runs another command in the endpoint's home, with its key and its service.
#[track_caller]
pub fn command(endpoint: &Endpoint, arguments: &[&str]) -> Ran {
    let run = endpoint.home.host(arguments);
    run.env("OPENROUTER_API_KEY", endpoint.service.key())
        .env("OPENROUTER_BASE_URL", &endpoint.service.base_url())
        .run()
}

/// A profile whose timeouts are longer than any wait of a test, so that only the test itself can end an answer.
pub fn patient() -> Value {
    let timeouts = ["connectMs", "firstTokenMs", "idleMs", "progressMs", "totalMs"];
    let hours = timeouts.map(|name| (name.to_owned(), json!(3_600_000)));
    json!({"timeouts": Value::Object(hours.into_iter().collect())})
}

/// An answer that begins and never ends.
pub fn stalling() -> Script {
    Script {
        stall_after_chunks: Some(1),
        ..Script::words(10)
    }
}

/// Asks the endpoint for its health until a condition holds.
///
/// - Panics: it does not hold within [`LIMIT`].
#[track_caller]
pub fn until(endpoint: &Endpoint, what: &str, holds: impl Fn() -> bool) {
    let late = Instant::now() + LIMIT;
    while !holds() {
        let n_files = endpoint.open_files();
        assert!(
            Instant::now() < late,
            "waited in vain for {what}: {n_files} files are open"
        );
        endpoint.answer(&endpoint.get("/health"));
    }
}

/// Waits until a counter or gauge has a value: a stream is counted only after its client has read the end.
#[track_caller]
pub fn wait_for_metric(endpoint: &Endpoint, name: &str, value: f64) {
    until(endpoint, &format!("{name} = {value}"), || {
        endpoint.metric(name) == value
    });
}

/// An endpoint in front of one service, and a second service that gives the same answers to the same requests.
pub struct Twins {
    pub endpoint: Endpoint,
    other: Service,
}

impl Twins {
    pub fn new() -> Self {
        Self::with(&[])
    }

    /// Twins with these models, and a profile that retries nothing.
    pub fn with(scripts: &[(&str, Script)]) -> Self {
        let service = || {
            let builder = Sandbox::builder().key(CANARY);
            let add = |builder: sandbox::Builder, (id, script): &(&str, Script)| builder.script(*id, script.clone());
            service_from(scripts.iter().fold(builder, add))
        };
        let once = json!({"retry": {"attempts": 1}});
        Self {
            endpoint: Serve::before(service()).profile(&once).start(),
            other: service(),
        }
    }

    /// The endpoint's answer, and the service's own answer to the same request.
    #[track_caller]
    pub fn both(&self, target: &str, body: &Value) -> [Answer; 2] {
        // The endpoint must not compress, even for a client that accepts it.
        let request = self
            .endpoint
            .post(target, body)
            .header("accept-encoding", "gzip, deflate, br, zstd");
        let through = self.endpoint.answer(&request);
        let direct = request.without("accept-encoding").to_service(&self.other);
        let direct = Client::connect(self.other.address()).ask(&direct).whole();
        [through, direct]
    }

    /// The endpoint's answer, which must equal the service's in status and in every byte of the body but the comment.
    #[track_caller]
    pub fn same(&self, target: &str, body: &Value) -> Answer {
        let [through, direct] = self.both(target, body);
        let through = without_comment(through);
        let mut expected = direct.body.as_slice();
        if target.ends_with("/messages") {
            // Anthropic's clients expect no event after `message_stop` and fail on this one.
            expected = expected.strip_suffix(DONE_OF_MESSAGES).unwrap_or(expected);
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(text(&through.body), text(expected), "{target}: {body}");
        assert!(through.body == expected, "{target}: other bytes, the same text");
        assert_eq!(
            (through.status, through.is_whole, through.header("content-type")),
            (direct.status, direct.is_whole, direct.header("content-type")),
            "{target}: {body}"
        );
        assert_eq!(through.header("content-encoding"), None, "{target}: {body}");
        through
    }
}
