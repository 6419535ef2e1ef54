//! What the service writes arrives as it was written, and as soon as it was written.

use std::net::TcpListener;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

use sandbox::{Outcome, Sandbox, Script};
use serde_json::{Value, json};
use tests::canary::CANARY;
use tests::endpoint::{Answer, Client, Endpoint, Serve, chat_body};
use tests::faultd::{DONE, Faultd, LAST_CHUNK, chunk, finish_event, head, sse_head, text_event};
use tests::{LIMIT, Service, service_from};

/// An endpoint before one service, and another service that gives the same answers to the same requests.
pub struct Twins {
    pub endpoint: Endpoint,
    other: Service,
}

impl Twins {
    /// Twins with these models, and a profile by which nothing is asked twice.
    pub fn with(scripts: &[(&str, Script)]) -> Self {
        let service = || {
            let builder = Sandbox::builder().key(CANARY);
            service_from(
                scripts
                    .iter()
                    .fold(builder, |builder, (id, script)| builder.script(*id, script.clone())),
            )
        };
        let once = json!({"retry": {"attempts": 1}});
        Self {
            endpoint: Serve::before(service()).profile(&once).start(),
            other: service(),
        }
    }

    /// What the endpoint answers, and what the service itself answers to the same request.
    #[track_caller]
    pub fn both(&self, target: &str, body: &Value) -> [Answer; 2] {
        // A client that would take packed bytes gets none.
        let request = self
            .endpoint
            .post(target, body)
            .header("accept-encoding", "gzip, deflate, br, zstd");
        let through = self.endpoint.answer(&request);
        let direct = request.without("accept-encoding").to_service(&self.other);
        let direct = Client::connect(self.other.address()).ask(&direct).whole();
        [through, direct]
    }

    /// The same where both must be the same, in status and in every byte of the body.
    #[track_caller]
    pub fn same(&self, target: &str, body: &Value) -> Answer {
        let [through, direct] = self.both(target, body);
        let expected = direct.text();
        // Anthropic's clients end with the event before it, and stumble over this one.
        let behind = if target.ends_with("/messages") {
            DONE_OF_MESSAGES
        } else {
            ""
        };
        assert_eq!(
            through.text(),
            expected.strip_suffix(behind).unwrap_or(&expected),
            "{target}: {body}"
        );
        assert_eq!(
            (through.status, through.is_whole, through.header("content-type")),
            (direct.status, direct.is_whole, direct.header("content-type")),
            "{target}: {body}"
        );
        assert_eq!(through.header("content-encoding"), None, "{target}: {body}");
        through
    }
}

/// What the service sends behind the last event of a stream of messages, and the endpoint does not.
const DONE_OF_MESSAGES: &str = "event: data\ndata: [DONE]\n\n";

/// A request in each form that a model can be asked in.
pub fn forms(model: &str) -> [(&'static str, Value); 4] {
    [
        ("/v1/chat/completions", chat_body(model, "Say it.")),
        ("/v1/completions", json!({"model": model, "prompt": "Say it."})),
        ("/v1/responses", json!({"model": model, "input": "Say it."})),
        (
            "/v1/messages",
            json!({"model": model, "max_tokens": 4096, "messages": [{"role": "user", "content": "Say it."}]}),
        ),
    ]
}

/// The same request for an answer in pieces.
pub fn streaming(mut body: Value) -> Value {
    body["stream"] = json!(true);
    body
}

/// What is added to a stream that breaks off.
pub fn added(through: &Answer, direct: &Answer) -> String {
    let (through, direct) = (through.text(), direct.text());
    let added = through.strip_prefix(&direct);
    added
        .unwrap_or_else(|| panic!("{direct}\nis not what this begins with:\n{through}"))
        .to_owned()
}

const TALKATIVE: [&str; 5] = ["hello", "everything", "reasoning", "words-500", "echo"];

#[test]
fn a_whole_answer_is_the_services_byte_for_byte_in_every_form() {
    let twins = Twins::with(&[]);
    for model in TALKATIVE {
        for (target, body) in forms(&format!("sandbox/{model}")) {
            let answer = twins.same(target, &body).expect(200);
            assert_eq!(answer.header("content-type"), Some("application/json"), "{target}");
        }
    }
    for body in [
        json!({"model": "openai/text-embedding-3-small", "input": "one text"}),
        json!({"model": "openai/text-embedding-3-small", "input": ["one", "two ü"], "dimensions": 8}),
        json!({"model": "openai/text-embedding-3-small", "input": ["one"], "encoding_format": "base64"}),
    ] {
        twins.same("/v1/embeddings", &body).expect(200);
    }
}

#[test]
fn a_stream_is_the_services_byte_for_byte_in_every_form() {
    let twins = Twins::with(&[]);
    for model in TALKATIVE.into_iter().chain(["comments", "words-5000"]) {
        for (target, body) in forms(&format!("sandbox/{model}")) {
            let answer = twins.same(target, &streaming(body)).expect(200);
            assert_eq!(answer.header("content-type"), Some("text/event-stream"), "{target}");
            assert_eq!(answer.header("cache-control"), Some("no-cache"), "{target}");
            assert_eq!(answer.header("x-accel-buffering"), Some("no"), "{target}");
        }
    }
}

#[test]
fn a_stream_of_chat_ends_with_its_usage_and_with_done() {
    let twins = Twins::with(&[]);
    let mut body = streaming(chat_body("sandbox/hello", "Hello"));
    body["stream_options"] = json!({"include_usage": true});
    let events = twins.same("/v1/chat/completions", &body).expect(200).events();
    let [.., usage, done] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(done, "[DONE]");
    let usage: Value = serde_json::from_str(usage).expect("JSON");
    assert!(
        usage["usage"]["total_tokens"].is_u64() && usage["usage"]["cost"].is_number(),
        "{usage}"
    );
}

#[test]
fn the_service_is_not_asked_for_packed_bytes() {
    let twins = Twins::with(&[]);
    twins.same("/v1/chat/completions", &chat_body("sandbox/hello", "Hello"));
    let requests = twins.endpoint.service.requests();
    let packings = requests.iter().flat_map(|request| &request.headers);
    let packings: Vec<_> = packings.filter(|(name, _)| name == "accept-encoding").collect();
    assert!(packings.iter().all(|(_, value)| value == "identity"), "{packings:?}");
}

#[test]
fn pieces_arrive_while_the_rest_of_the_answer_is_still_pending() {
    let script = Script {
        comments: 1,
        comments_between: 1,
        stall_after_chunks: Some(3),
        ..Script::text("one two three four")
    };
    let twins = Twins::with(&[("acme/stalls", script)]);
    let endpoint = &twins.endpoint;
    for (n, (target, body)) in forms("acme/stalls").into_iter().enumerate() {
        let request = endpoint
            .post(target, &streaming(body))
            .header("accept-encoding", "gzip, br");
        let mut reply = endpoint.open(&request);
        for piece in [": OPENROUTER PROCESSING", "one", " two", " three"] {
            reply.until(piece);
        }
        let asked = &endpoint.service.requests()[n];
        assert_eq!(asked.outcome, Outcome::InFlight, "{target}");
        assert_eq!(reply.so_far().header("content-encoding"), None, "{target}");
        drop(reply);
    }
    endpoint
        .service
        .wait_until_idle(LIMIT)
        .expect("nobody waits for it any more");
}

/// A service that sends a piece whenever it is told to, and ends when nobody can tell it any more.
fn on_demand() -> (Faultd, Sender<Vec<u8>>) {
    let (sender, pieces) = channel();
    let pieces: Mutex<Receiver<Vec<u8>>> = Mutex::new(pieces);
    let faultd = Faultd::handling(move |mut connection| {
        while let Ok(Some(_)) = connection.request() {
            let pieces = pieces.lock().unwrap_or_else(PoisonError::into_inner);
            while let Ok(piece) = pieces.recv() {
                if connection.send(&piece).is_err() {
                    return;
                }
                if piece.ends_with(LAST_CHUNK.as_bytes()) {
                    break;
                }
            }
        }
    });
    (faultd, sender)
}

#[test]
fn each_piece_can_be_read_before_the_next_one_is_sent() {
    let (faultd, tell) = on_demand();
    let endpoint = Serve::new().asking(&faultd).start();
    tell.send(sse_head()).expect("it listens");
    let events = [
        ": one\n\n".to_owned(),
        ": two\n\n".to_owned(),
        text_event("three"),
        ": four\n\n".to_owned(),
        text_event("five"),
        text_event("six"),
        finish_event("stop"),
        "data: {\"seven\":7}\n\n".to_owned(),
    ];
    // The head may come with the first piece.
    tell.send(chunk(&events[0])).expect("it listens");
    let body = streaming(chat_body("acme/model", "Hello"));
    let mut reply = endpoint.open(&endpoint.post("/v1/chat/completions", &body));
    let mut sent = events[0].clone();
    reply.until(&sent);
    for event in &events[1..] {
        tell.send(chunk(event)).expect("it listens");
        sent += event;
        reply.until(&sent);
    }
    tell.send([chunk(DONE), LAST_CHUNK.into()].concat())
        .expect("it listens");
    let answer = reply.whole().expect(200);
    assert_eq!(answer.text(), sent + DONE);
}

#[test]
fn the_done_that_clients_of_messages_stumble_over_is_left_out_and_nothing_else() {
    let twins = Twins::with(&[]);
    let (target, body) = forms("sandbox/hello")[3].clone();
    let [through, direct] = twins.both(target, &streaming(body));
    assert_eq!(through.text() + DONE_OF_MESSAGES, direct.text());
    assert_eq!(
        through.events().last().map(String::as_str),
        Some("{\"type\":\"message_stop\"}")
    );
}

#[test]
fn events_keep_their_bytes_however_the_network_cuts_them() {
    let events = text_event("ü €\u{1f600}") + ": a comment\n\n" + &text_event("b") + &finish_event("stop") + DONE;
    let whole = [sse_head(), chunk(&events), LAST_CHUNK.into()].concat();
    let script = tests::faultd::Script::new().drip(whole, 1);
    let faultd = Faultd::playing([script]);
    let endpoint = Serve::new().asking(&faultd).start();
    let body = streaming(chat_body("acme/model", "Hello"));
    let answer = endpoint.answer(&endpoint.post("/v1/chat/completions", &body));
    assert_eq!(answer.expect(200).text(), events);
}

#[test]
fn a_body_that_is_no_text_and_one_that_is_empty_arrive_as_they_are() {
    let sound: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let length = sound.len().to_string();
    let head_of_sound = head(200, &[("content-type", "audio/mpeg"), ("content-length", &length)]);
    let nothing = head(204, &[]);
    let faultd = Faultd::answering({
        let sound = sound.clone();
        move |request| {
            let is_sound = request.path.ends_with("/speech");
            let bytes = if is_sound {
                [head_of_sound.clone(), sound.clone()].concat()
            } else {
                nothing.clone()
            };
            tests::faultd::Script::new().send(bytes)
        }
    });
    let endpoint = Serve::new().asking(&faultd).start();
    let spoken = endpoint.answer(&endpoint.post("/v1/audio/speech", &json!({"model": "acme/voice", "input": "Hi"})));
    let spoken = spoken.expect(200);
    assert_eq!(spoken.header("content-type"), Some("audio/mpeg"));
    assert!(spoken.body == sound, "{} bytes of {}", spoken.body.len(), sound.len());
    let deleted = endpoint.answer(&endpoint.get("/v1/keys/k1").method("DELETE"));
    assert_eq!((deleted.status, deleted.body.len()), (204, 0));
}

#[test]
fn an_answer_says_who_served_it_and_what_it_cost() {
    let twins = Twins::with(&[]);
    let answer = twins
        .same("/v1/chat/completions", &chat_body("sandbox/hello", "Hello"))
        .expect(200);
    let json = answer.json();
    assert_eq!(answer.header("x-served-model"), json["model"].as_str());
    assert_eq!(answer.header("x-served-provider"), json["provider"].as_str());
    assert_eq!(answer.header("x-generation-id"), json["id"].as_str());
    assert_eq!(answer.header("x-attempts"), Some("1"));
    assert_eq!(
        answer.header("x-cost-usd"),
        Some(json["usage"]["cost"].to_string().as_str())
    );
    assert_eq!(answer.header("x-translated"), None);
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    let stream = twins.same("/v1/chat/completions", &streaming(chat_body("sandbox/hello", "Hello")));
    let stream = stream.expect(200);
    assert_eq!(stream.header("x-attempts"), Some("1"));
    let first: Value = serde_json::from_str(&stream.events()[0]).expect("JSON");
    assert_eq!(stream.header("x-served-model"), first["model"].as_str());
    assert_eq!(stream.header("x-served-provider"), first["provider"].as_str());
    assert_eq!(stream.header("x-generation-id"), first["id"].as_str());
    assert_eq!(
        stream.header("x-cost-usd"),
        None,
        "it is not known when a stream begins"
    );
}

#[test]
fn one_connection_takes_many_requests_one_after_another() {
    let twins = Twins::with(&[]);
    let endpoint = &twins.endpoint;
    let mut client = endpoint.connect();
    for n in 0..20 {
        let mut body = chat_body("sandbox/echo", &format!("number {n}"));
        body["stream"] = json!(n % 2 == 1);
        let (answer, again) = client
            .ask(&endpoint.post("/v1/chat/completions", &body))
            .whole_and_client();
        let answer = answer.expect(200);
        let text = if n % 2 == 1 {
            answer.streamed()
        } else {
            answer.content()
        };
        assert!(text.ends_with(&format!("number {n}")), "{text}");
        client = again;
    }
}

#[test]
fn requests_that_are_sent_together_are_answered_in_their_order() {
    let endpoint = Endpoint::start();
    let request = |text: &str| {
        endpoint
            .post("/v1/chat/completions", &chat_body("sandbox/echo", text))
            .bytes()
    };
    let mut client = endpoint.connect();
    let three = ["first", "second", "third"].map(request).concat();
    client.send(three).expect("it is there");
    for text in ["first", "second", "third"] {
        let (answer, again) = client.reply().whole_and_client();
        assert!(answer.expect(200).content().ends_with(text));
        client = again;
    }
}

#[test]
fn a_client_that_closes_its_side_counts_as_gone() {
    let slow = Script {
        stall_after_chunks: Some(0),
        ..Script::default()
    };
    let twins = Twins::with(&[("acme/slow", slow)]);
    let endpoint = &twins.endpoint;
    let mut client = endpoint.connect();
    client
        .send(
            endpoint
                .post("/v1/chat/completions", &chat_body("acme/slow", "Hello"))
                .bytes(),
        )
        .expect("it is there");
    endpoint.service.wait_for_requests(1, LIMIT).expect("it is asked");
    // Most clients that leave say no more than this, so it must end the request to the service.
    client.half_close();
    assert!(client.is_closed());
    endpoint
        .service
        .wait_until_idle(LIMIT)
        .expect("nobody waits for it any more");
    assert_eq!(
        endpoint.service.requests()[0].outcome,
        Outcome::ClientLeft { after_chunks: 0 }
    );
}

#[test]
fn a_request_that_comes_byte_by_byte_or_in_chunks_is_understood() {
    let endpoint = Endpoint::start();
    let request = endpoint.post("/v1/chat/completions", &chat_body("sandbox/hello", "Hello"));
    let mut client = endpoint.connect();
    for byte in request.bytes() {
        client.send([byte]).expect("it is there");
    }
    client.reply().whole().expect(200);
    let body = chat_body("sandbox/hello", "Hello").to_string();
    let mut chunked = request
        .without("content-length")
        .header("transfer-encoding", "chunked")
        .head();
    for piece in body.as_bytes().chunks(7) {
        chunked.extend(chunk(piece));
    }
    chunked.extend(LAST_CHUNK.bytes());
    let mut client = endpoint.connect();
    client.send(chunked).expect("it is there");
    client.reply().whole().expect(200);
}

#[test]
fn a_port_of_the_service_that_is_closed_is_a_502_that_says_so() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port");
    let endpoint = Serve::new()
        .env("OPENROUTER_BASE_URL", &format!("http://{closed}/api/v1"))
        .profile(&json!({"retry": {"attempts": 1}}))
        .start();
    for is_stream in [false, true] {
        let mut body = chat_body("acme/model", "Hello");
        body["stream"] = json!(is_stream);
        let answer = endpoint
            .answer(&endpoint.post("/v1/chat/completions", &body))
            .expect(502);
        let error = &answer.json()["error"];
        assert_eq!(
            (&error["code"], &error["type"], &error["param"]),
            (&json!(502), &json!("connect"), &Value::Null)
        );
        assert_eq!(error["metadata"]["error_type"], "connect");
        assert!(
            error["message"].is_string() && error["metadata"]["hint"].is_string(),
            "{error}"
        );
    }
}
