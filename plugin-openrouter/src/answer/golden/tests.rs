use std::collections::VecDeque;
use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use serde_json::{Value, json};
use sse_stream::SseByteStream;

use super::*;
use crate::answer::sse::{self, Frame, Reader};

/// Set this variable to `write` to rewrite the expected files; then read the diff.
const REWRITE: &str = "GOLDEN";

/// Plays a stream in pieces of `n_bytes`: its typed events, its raw form joined, and its error.
fn played_in(view: View, stream: &[u8], n_bytes: usize, pace: Pace) -> (Vec<ChatEvent>, String, Option<Error>) {
    let (mut events, mut raw) = (Vec::new(), String::new());
    let error = play_in(view, stream.chunks(n_bytes), pace, |event| match event {
        ChatEvent::Raw(piece) => raw.push_str(&piece),
        event => events.push(event),
    });
    (events, raw, error.err())
}

fn without_comments(events: &[ChatEvent]) -> Vec<&ChatEvent> {
    let events = events.iter();
    events
        .filter(|event| !matches!(event, ChatEvent::KeepAlive(_)))
        .collect()
}

#[test]
fn the_raw_form_reads_like_the_stream_however_it_is_split() {
    for Golden { name, stream, .. } in goldens() {
        let (typed, _, failure) = played_in(View::Typed, &stream, usize::MAX, Pace::AtOnce);
        let typed = without_comments(&typed);
        for n_bytes in [usize::MAX, 1, 7, 64] {
            let pace = if n_bytes == 64 { Pace::Late } else { Pace::AtOnce };
            let what = format!("{name} in pieces of {n_bytes}");
            let (both, raw, both_failure) = played_in(View::Both, &stream, n_bytes, pace);
            assert_eq!(without_comments(&both), typed, "{what}");
            assert_eq!(both_failure.is_some(), failure.is_some(), "{what}");
            // Reading the raw form again gives the same events.
            if failure.is_none() {
                let (again, _, error) = played_in(View::Typed, raw.as_bytes(), usize::MAX, Pace::AtOnce);
                let found = (without_comments(&again), error);
                assert_eq!(found, (typed.clone(), None), "{what}\n{raw}");
            }
            let (alone, raw_alone, _) = played_in(View::Raw, &stream, n_bytes, pace);
            // Only the typed view reports incomplete tool calls, so the raw view may go on.
            assert!(raw_alone.starts_with(&raw), "{what}\n{raw_alone}\n{raw}");
            let is_typed = |event: &ChatEvent| {
                use ChatEvent::{Reasoning, Text, ToolCall};
                matches!(event, Text(_) | Reasoning(_) | ToolCall(_))
            };
            assert!(!alone.iter().any(is_typed), "{what}");
        }
    }
}

#[test]
fn the_raw_form_is_the_stream_byte_for_byte() {
    let first =
        "data: {\"id\":\"gen-1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
    let rest = "id: 7\r\nevent: x\r\ndata: {\"unknown\":1.0,  \"choices\":[{\"delta\":{\"content\":\"H\\u00e9\"}}]}\r\n\r\n\
        : later\n\ndata: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let stream = format!(": OPENROUTER PROCESSING\n\n{first}: OPENROUTER PROCESSING\r\n\r\n{rest}");
    for n_bytes in 1..=stream.len() {
        let (events, raw, error) = played_in(View::Raw, stream.as_bytes(), n_bytes, Pace::AtOnce);
        let comments = events.iter().filter_map(|event| match event {
            ChatEvent::KeepAlive(text) => Some(&**text),
            _ => None,
        });
        // Comments before the answer begins are emitted at once; later ones stay in the raw form.
        assert!(comments.eq(["OPENROUTER PROCESSING"; 2]), "{n_bytes}");
        assert_eq!((raw, error), (format!("{first}{rest}"), None), "{n_bytes}");
    }
}

#[test]
fn the_raw_form_of_an_error_does_not_quote_the_key() {
    let begin = "data: {\"choices\":[{\"delta\":{\"content\":\"So\"}}]}\n\n";
    let error = "data: {\"error\":{\"code\":502,\"message\":\"bad key sk-or-v1-secret\"}}";
    for end in ["", "\n\n"] {
        for n_bytes in [1, usize::MAX] {
            let stream = format!("{begin}{error}{end}");
            let (_, raw, failure) = played_in(View::Raw, stream.as_bytes(), n_bytes, Pace::AtOnce);
            assert!(raw.ends_with("bad key [key]\"}}\n\n"), "{raw}");
            assert!(failure.is_some_and(|failure| failure.details.is_told));
        }
    }
}

struct Golden {
    name: String,
    stream: Vec<u8>,
    expected: PathBuf,
}

fn goldens() -> Vec<Golden> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("streams");
    let files = fs::read_dir(folder).expect("the folder of streams");
    let paths = files.map(|file| file.expect("a file of the folder").path());
    let mut goldens: Vec<Golden> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "sse"))
        .map(|path| Golden {
            name: path.file_stem().expect("a name").to_string_lossy().into_owned(),
            stream: fs::read(&path).expect("a stream"),
            expected: path.with_extension("json"),
        })
        .collect();
    goldens.sort_by(|one, other| one.name.cmp(&other.name));
    assert!(goldens.len() >= 30, "{} streams", goldens.len());
    goldens
}

fn play_whole(stream: &[u8]) -> Played {
    play([stream], Pace::AtOnce)
}

/// The outcome as JSON, without the wording of errors, which the tests of `failure` and `reply` check,
/// and without what does not come from the stream: the requested model and the duration.
fn json_of(played: &Played) -> Vec<Value> {
    let mut lines: Vec<Value> = played.events.iter().map(json_of_event).collect();
    if let Some(error) = &played.error {
        let mut value = serde_json::to_value(&error.details).expect("details are JSON");
        value["code"] = json!(error.kind.code());
        if let Some(wait_ms) = error.retry_after_ms {
            value["retry_after_ms"] = json!(wait_ms);
        }
        lines.push(json!({"error": without(value, &["hint"])}));
    }
    lines
}

fn json_of_event(event: &ChatEvent) -> Value {
    match event {
        ChatEvent::Text(text) => json!({"text": &**text}),
        ChatEvent::Reasoning(text) => json!({"reasoning": &**text}),
        ChatEvent::KeepAlive(text) => json!({"keep_alive": &**text}),
        ChatEvent::ToolCall(call) => json!({"tool_call": call}),
        ChatEvent::Notice(notice) => json!({"notice": notice}),
        ChatEvent::Done(done) => {
            let done = serde_json::to_value(done).expect("the end is JSON");
            json!({"done": without(done, &["requested_model", "duration_ms"])})
        }
        _ => panic!("an unknown kind of event"),
    }
}

fn without(mut value: Value, keys: &[&str]) -> Value {
    let object = value.as_object_mut().expect("an object");
    object.retain(|key, _| !keys.contains(&key.as_str()));
    value
}

/// One event a line.
fn printed(lines: &[Value]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| format!("  {line}")).collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

#[test]
fn every_stream_gives_its_expected_events() {
    let mut differences = String::new();
    for golden in goldens() {
        let found = json_of(&play_whole(&golden.stream));
        if std::env::var_os(REWRITE).is_some_and(|value| value == "write") {
            fs::write(&golden.expected, printed(&found)).expect("the folder can be written");
            continue;
        }
        let expected = fs::read(&golden.expected).unwrap_or_default();
        let expected: Vec<Value> = serde_json::from_slice(&expected).unwrap_or_default();
        if found != expected {
            let (expected, found) = (printed(&expected), printed(&found));
            differences += &format!("{}: expected {expected}found {found}\n", golden.name);
        }
    }
    assert!(
        differences.is_empty(),
        "{differences}to accept: {REWRITE}=write cargo test -p plugin-openrouter --lib golden"
    );
}

#[test]
fn every_split_of_a_stream_gives_the_same_events() {
    for Golden { name, stream, .. } in goldens() {
        let whole = play_whole(&stream);
        for at in 0..=stream.len() {
            let (head, tail) = stream.split_at(at);
            let played = play([head, tail], Pace::AtOnce);
            assert_same(&played, &whole, &format!("{name}, cut at {at}"));
        }
        for (piece_bytes, pace) in [(1, Pace::AtOnce), (7, Pace::AtOnce), (1, Pace::Late)] {
            let played = play(stream.chunks(piece_bytes), pace);
            assert_same(&played, &whole, &format!("{name} in pieces of {piece_bytes}"));
        }
    }
}

/// Like `assert_eq!`, but shows the texts, which `Debug` hides. These streams hold no private text.
fn assert_same(found: &Played, expected: &Played, what: &str) {
    if found != expected {
        let (found, expected) = (printed(&json_of(found)), printed(&json_of(expected)));
        panic!("{what}: expected {expected}found {found}");
    }
}

#[test]
fn a_stream_cut_anywhere_is_an_error_that_keeps_its_text() {
    for Golden { name, stream, .. } in goldens() {
        let whole_text = play_whole(&stream).text();
        for at in 0..stream.len() {
            let played = play_whole(&stream[..at]);
            let text = played.text();
            // A high surrogate at the cut becomes U+FFFD, because its other half is missing.
            let certain_text = text.trim_end_matches('\u{fffd}');
            assert!(
                whole_text.starts_with(certain_text),
                "{name} cut at {at} gives another text"
            );
            match played.error {
                None => assert!(
                    has_finish_reason(&stream[..at]),
                    "{name} cut at {at} passes as complete"
                ),
                Some(error) => {
                    let partial_text = error.details.partial_text.unwrap_or_default();
                    assert_eq!(partial_text, text, "{name} cut at {at} loses text");
                }
            }
        }
    }
}

/// Whether these bytes hold a finish reason other than `error`, found without parsing JSON.
fn has_finish_reason(stream: &[u8]) -> bool {
    let text = sse::text(stream);
    let mut rests = text.split(r#""finish_reason":""#).skip(1);
    rests.any(|rest| {
        rest.split_once('"')
            .is_some_and(|(word, _)| !["", "error"].contains(&word))
    })
}

/// The pieces of a body as a stream that is always ready.
struct Pieces<'a>(VecDeque<&'a [u8]>);

impl<'a> Stream for Pieces<'a> {
    type Item = Result<&'a [u8], Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}

/// The name and data of each event, as read by the crate `sse_stream`. It stops at the first error.
fn read_by_another(pieces: Vec<&[u8]>) -> (Vec<(String, String)>, Option<sse_stream::Error>) {
    let mut stream = SseByteStream::new(Pieces(pieces.into()));
    let mut context = Context::from_waker(Waker::noop());
    let mut events = Vec::new();
    while let Poll::Ready(Some(event)) = Pin::new(&mut stream).poll_next(&mut context) {
        match event {
            Ok(event) => events.extend(event.data.map(|data| (event.event.unwrap_or_default(), data))),
            Err(error) => return (events, Some(error)),
        }
    }
    (events, None)
}

fn read_by_ours(pieces: &[&[u8]]) -> Vec<(String, String)> {
    let mut reader = Reader::new(sse::Limits::both(8 << 20));
    let mut events = Vec::new();
    for piece in pieces {
        reader.push(piece);
        while let Some(frame) = reader.next_frame() {
            if let Frame::Event { name, data } = frame.expect("nothing is too long") {
                events.push((sse::text(name).into_owned(), sse::text(data).into_owned()));
            }
        }
    }
    events
}

/// Both readers agree, except about invalid UTF-8: it stops the other reader, and becomes U+FFFD in ours.
fn assert_agreement(pieces: Vec<&[u8]>) {
    let stream = pieces.concat();
    let shown = stream.escape_ascii();
    let mut ours = read_by_ours(&pieces);
    let (theirs, error) = read_by_another(pieces);
    if error.is_some() {
        assert!(std::str::from_utf8(&stream).is_err(), "{error:?} in {shown}");
        assert!(ours.len() >= theirs.len(), "{shown}");
        ours.truncate(theirs.len());
    }
    assert_eq!(ours, theirs, "{shown}");
}

#[test]
fn the_reader_agrees_with_an_independent_one_on_every_stream() {
    for Golden { stream, .. } in goldens() {
        assert_agreement(vec![&stream]);
        assert_agreement(stream.chunks(1).collect());
        assert_agreement(stream.chunks(100).collect());
    }
}

#[test]
fn the_reader_agrees_with_an_independent_one_on_random_streams() {
    // `|` divides them.
    const PARTS: &[u8] = b"\n|\n|\n\n|\r|\r\n|data|data:|data: |data:  x|event|event:|event: e|id: 1|id: \0|retry: 10|\
        retry: x|:|: c| |x|[DONE]|\xEF\xBB\xBF|\xC3\xA9\xF0\x9F\x99\x82|\xC3";
    let parts: Vec<&[u8]> = PARTS.split(|byte| *byte == b'|').collect();
    let mut state: u64 = 0x2545_F491_4F6C_DD1D;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for _ in 0..20_000 {
        let stream = (0..random(32))
            .map(|_| parts[random(parts.len())])
            .collect::<Vec<_>>()
            .concat();
        assert_agreement(stream.chunks(1 + random(16)).collect());
    }
}

#[test]
fn a_large_event_is_passed_on_in_parts_and_not_kept() {
    let secret = "sk-or-v1-secret";
    let image = "iVBO".repeat(1 << 19);
    let begin = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n";
    let large = format!(
        ": before\nevent: x\ndata: {{\"choices\":[{{\"index\":0,\"delta\":{{\"images\":[{{\"image_url\":{{\"url\":\"data:{image}{secret}\"}}}}]}}}}],\"usage\":{{\"completion_tokens\":7,\"cost\":0.5}}}}\n\n"
    );
    let finish = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    let stream = [begin, &large, finish, &large, "data: [DONE]\n\n"].concat();
    let expected = stream.replace(secret, &"*".repeat(secret.len()));
    for n_bytes in [1000, 4096, 16 << 10, 100 << 10] {
        let (mut raw, mut largest) = (String::new(), 0);
        let mut done = None;
        play_in(
            View::Raw,
            stream.as_bytes().chunks(n_bytes),
            Pace::AtOnce,
            |event| match event {
                ChatEvent::Raw(piece) => {
                    largest = largest.max(piece.len());
                    raw.push_str(&piece);
                }
                ChatEvent::Done(end) => done = Some(end),
                _ => {}
            },
        )
        .expect("a complete answer");
        assert!(raw == expected, "some byte changed, {n_bytes} bytes at a time");
        assert!(largest <= (256 << 10) + n_bytes, "a piece has {largest} bytes");
        let usage = done
            .and_then(|done| done.usage)
            .expect("the usage within the large event");
        assert_eq!((usage.completion_tokens, usage.cost_usd.as_deref()), (7, Some("0.5")));
    }
}

#[test]
fn a_large_event_that_breaks_off_is_completed_with_the_error() {
    let begin = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n";
    let long = "é\\u00e9\\\"".repeat(1 << 16);
    let stream = format!("{begin}data: {{\"choices\":[{{\"delta\":{{\"content\":\"{long}");
    for n_bytes in [4096, 4097, 4098, 4099, 5000] {
        let (_, raw, error) = played_in(View::Raw, stream.as_bytes(), n_bytes, Pace::AtOnce);
        let message = error.expect("the answer broke off").message;
        let event = raw
            .strip_prefix(begin)
            .and_then(|rest| rest.strip_prefix("data: ")?.strip_suffix("\n\n"));
        let event: Value = serde_json::from_str(event.expect("one event")).expect("JSON");
        let content = event["choices"][0]["delta"]["content"].as_str().expect("a text");
        assert!(
            content.len() > 200 << 10 && content.starts_with("éé\"é"),
            "{} bytes",
            content.len()
        );
        assert_eq!(
            event["error"],
            json!({"code": 502, "message": message, "type": "interrupted"})
        );
    }
}
