//! Edits of the profile while requests run: each is answered wholly by one of the models that were configured around it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use sandbox::Script;
use serde_json::{Value, json};
use tests::endpoint::{Endpoint, Serve, chat_body, profile_text};
use tests::service;

const CHAT: &str = "/v1/chat/completions";

/// What an edit that was taken, and one that was not, is told with.
const TAKEN: &str = "profile reloaded: ";
const NOT_TAKEN: &str = "the edit was not taken, the former profile still holds";

const N_EDITS: usize = 100;
/// Clients that ask at once, and how often each of them does at least for each edit.
const N_CLIENTS: usize = 4;
const N_ASKS: usize = 3;

fn options(model: &str) -> Value {
    json!({"tiers": {"TEXT_SMALL": model}})
}

/// The model with this number; its answer is its own name, several times.
fn model(n: usize) -> String {
    format!("acme/model-{n}")
}

fn answer_of(n: usize) -> String {
    [model(n).as_str(); 5].join(" ")
}

/// The number of the model that gave all of an answer.
///
/// - Panics: the answer is cut, or a mixture.
#[track_caller]
fn whose(endpoint: &Endpoint, n: usize) -> usize {
    let mut body = chat_body("TEXT_SMALL", "Who are you?");
    body["stream"] = json!(n % 2 == 1);
    let answer = endpoint.answer(&endpoint.post(CHAT, &body)).expect(200);
    let text = if n % 2 == 1 {
        answer.streamed()
    } else {
        answer.content()
    };
    let name = text.split(' ').next().and_then(|name| name.strip_prefix("acme/model-"));
    let number = name
        .and_then(|number| number.parse().ok())
        .unwrap_or_else(|| panic!("{text}"));
    assert_eq!(text, answer_of(number), "a mixture");
    assert_eq!(
        answer.header("x-served-model"),
        Some(model(number).as_str()),
        "{answer:?}"
    );
    number
}

/// Says that an edit was told, whatever happens.
struct Told<'a>(&'a AtomicBool);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A profile that cannot be taken, in one of several ways, each time another text.
fn broken(edit: usize) -> String {
    match edit % 4 {
        0 => format!("{{\"edit\": {edit}, \"auth\": "),
        1 => profile_text(&json!({"tiers": {"TEXT_SMALL": edit}})),
        2 => profile_text(&json!({"tiers": {"TEXT_SMALL": model(edit)}, "modle": edit})),
        _ => " ".repeat(edit),
    }
}

#[test]
fn a_tier_that_is_edited_a_hundred_times_under_load_is_always_wholly_one_model() {
    let service = service();
    for n in 0..=N_EDITS {
        service.script(model(n), Script::text(answer_of(n)));
    }
    let endpoint = Serve::before(service).profile(&options(&model(0))).start();
    let n_answers = AtomicUsize::new(0);
    let started = Instant::now();
    let (mut now, mut n_taken, mut n_not_taken) = (0, 0, 0);
    for edit in 1..=N_EDITS {
        let is_valid = edit % 3 != 0;
        let next = if is_valid { edit } else { now };
        let is_told = AtomicBool::new(false);
        thread::scope(|scope| {
            for client in 0..N_CLIENTS {
                let (endpoint, n_answers, is_told) = (&endpoint, &n_answers, &is_told);
                scope.spawn(move || {
                    let mut n_asks = 0;
                    // For as long as the edit takes, so that it always happens in the middle of requests.
                    while n_asks < N_ASKS || !is_told.load(Ordering::SeqCst) {
                        let by = whose(endpoint, client + n_asks);
                        assert!(
                            [now, next].contains(&by),
                            "edit {edit}: {by} answered, not {now} or {next}"
                        );
                        n_asks += 1;
                    }
                    n_answers.fetch_add(n_asks, Ordering::SeqCst);
                });
            }
            // Also where the wait below fails, or the clients would go on for ever.
            let _told = Told(&is_told);
            if is_valid {
                endpoint.home.write_profile(&profile_text(&options(&model(edit))));
                n_taken += 1;
                endpoint.wait_for_stderr(&format!("{TAKEN}TEXT_SMALL {} → {} ", model(now), model(edit)), 1);
            } else {
                endpoint.home.write_profile(&broken(edit));
                n_not_taken += 1;
                endpoint.wait_for_stderr(NOT_TAKEN, n_not_taken);
            }
        });
        now = next;
        // Whoever asks after it was told gets the new one, and after an edit that was refused still the old one.
        assert_eq!(whose(&endpoint, edit), now, "edit {edit}");
    }
    assert_eq!((n_taken, n_not_taken), (67, 33));
    let n_answers = n_answers.into_inner() + N_EDITS;
    let n_asked = endpoint
        .service
        .requests()
        .iter()
        .filter(|asked| asked.method == "POST")
        .count();
    assert_eq!(n_asked, n_answers, "each was asked once, none is lost");
    let stderr = endpoint.stderr();
    assert_eq!(
        (stderr.matches(TAKEN).count(), stderr.matches(NOT_TAKEN).count()),
        (67, 33),
        "{stderr}"
    );
    assert_eq!(whose(&endpoint, 0), N_EDITS, "the last edit holds");
    println!("{N_EDITS} edits and {n_answers} requests in {:?}", started.elapsed());
    assert_eq!(endpoint.metric("agent_host_profile_reloads_total{result=\"ok\"}"), 67.0);
    assert_eq!(
        endpoint.metric("agent_host_profile_reloads_total{result=\"failed\"}"),
        33.0
    );
}

#[test]
fn an_answer_in_flight_keeps_the_model_that_it_began_with() {
    let service = service();
    let stalls = Script {
        stall_after_chunks: Some(2),
        ..Script::text("old old old")
    };
    service.script("acme/old", stalls);
    service.script("acme/new", Script::text("new"));
    let endpoint = Serve::before(service).profile(&options("acme/old")).start();
    let mut body = chat_body("tier/small", "Hello");
    body["stream"] = json!(true);
    let mut reply = endpoint.open(&endpoint.post(CHAT, &body));
    reply.until("old");
    endpoint.home.write_profile(&profile_text(&options("acme/new")));
    endpoint.wait_for_stderr(TAKEN, 1);
    assert_eq!(endpoint.chat("tier/small", "Hello").expect(200).content(), "new");
    let running = &endpoint.service.requests()[0];
    assert_eq!(running.outcome, sandbox::Outcome::InFlight, "the edit did not end it");
}

#[test]
fn without_watching_only_a_hangup_signal_has_the_profile_read_again() {
    let service = service();
    for n in 0..2 {
        service.script(model(n), Script::text(answer_of(n)));
    }
    let serve = Serve::before(service)
        .profile(&options(&model(0)))
        .arguments(&["--no-watch"]);
    let endpoint = serve.start();
    endpoint.home.write_profile(&profile_text(&options(&model(1))));
    assert_eq!(whose(&endpoint, 0), 0);
    endpoint.signal("HUP");
    endpoint.wait_for_stderr("profile, variables and key reloaded: ", 1);
    assert_eq!(whose(&endpoint, 0), 1);
}
