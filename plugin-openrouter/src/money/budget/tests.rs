use std::env;
use std::future::{Future, poll_fn};
use std::io::{self, Write};
use std::sync::mpsc;
use std::task::Poll;

use plugin_api::ErrorKind;
use serde_json::{Value, json};

use super::*;
use crate::kit::{self, Folder, Service, block_on};
use crate::money::estimate::{Demand, Exceeded, Which};
use crate::money::ledger::Ledger;

/// 2026-11-20T17:30:05Z
const AFTERNOON_S: u64 = 1_795_195_805;

const WARNED: &str = "; the request is sent anyway because `budget.onExceed` is `warn`";

const UNPRICED: &str = "the price of `openrouter/auto` is unknown, so the budget cannot be enforced";

fn afternoon() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(AFTERNOON_S)
}

fn usd(text: &str) -> Usd {
    Usd::parse(text).expect("an amount")
}

/// Models with round prices: a token of `a/cheap` costs $0.001, one of `a/dear` $0.01.
fn entries() -> Value {
    let rows = [
        ("a/cheap", "0.001", "0.001", Some(50), None),
        ("a/dear", "0.01", "0.01", Some(90), None),
        ("a/free", "0", "0", Some(50), None),
        ("a/endless", "0", "0.001", None, Some(20_000)),
        ("a/unknown-length", "0", "0.001", None, None),
        ("openrouter/auto", "-1", "-1", None, None),
    ];
    let entry = |(id, prompt, completion, max_tokens, context): (&str, &str, &str, Option<u64>, Option<u64>)| {
        json!({"id": id, "context_length": context, "pricing": {"prompt": prompt, "completion": completion},
            "top_provider": {"max_completion_tokens": max_tokens}})
    };
    rows.map(entry).into_iter().collect()
}

fn ids(models: &[&str]) -> Vec<String> {
    models.iter().map(|id| (*id).to_owned()).collect()
}

/// A call with 10 tokens of prompt.
fn ask(models: &[String], max_tokens: Option<u64>) -> Demand<'_> {
    Demand {
        models,
        message_bytes: 30,
        max_tokens,
        stepped_down: false,
    }
}

struct Bench {
    guard: Guard,
    settings: Arc<Settings>,
    catalogue: Store,
}

impl Bench {
    fn with(budget: &Value) -> Self {
        let settings = kit::settings(json!({ "budget": budget }), &[]);
        Self {
            guard: Guard::default(),
            catalogue: Store::with(&settings, &entries()),
            settings,
        }
    }

    /// With a limit for the session too, which is never reached.
    fn per_day(folder: &Folder, limit: &str) -> Self {
        Self::with(&json!({"perSessionUsd": 99, "perDayUsd": limit, "ledger": folder.path}))
    }

    /// Waits until every cost is in the ledger.
    fn flush(&self) {
        assert!(self.guard.flush(Duration::from_secs(60)));
    }

    async fn admit_now(&self, ask: Demand<'_>) -> Result<Admission, Error> {
        self.guard
            .admit_at(&self.settings, &self.catalogue, ask, afternoon())
            .await
    }

    fn admit(&self, model: &str, max_tokens: Option<u64>) -> Result<Admission, Error> {
        block_on(self.admit_now(ask(&ids(&[model]), max_tokens)))
    }

    /// A reservation for 10 tokens of prompt and 90 of answer, at $0.001 each.
    fn try_ten_cents(&self) -> Result<Reservation, Error> {
        let admission = self.admit("a/cheap", Some(90))?;
        Ok(admission.reservation.expect("it is admitted"))
    }

    fn ten_cents(&self) -> Reservation {
        self.try_ten_cents().expect("it is admitted")
    }

    /// Spent and reserved in this session.
    fn account(&self) -> (String, String) {
        let account = lock(&self.guard.account);
        (account.spent.to_string(), account.reserved.to_string())
    }

    /// Keeps the ledger thread busy until the sender is dropped.
    fn keep_busy(&self) -> mpsc::Sender<()> {
        let (over, waits) = mpsc::channel::<()>();
        let clerk = self.guard.office.clerk().expect("a thread");
        clerk.send(move |_| {
            let _ = waits.recv();
        });
        over
    }
}

/// The message and the hint.
fn problem(error: &Error) -> String {
    format!("{} | {}", error.message, error.hint().unwrap_or_default())
}

/// Whether a call is admitted, and the notice.
fn noticed(admission: &Admission) -> (bool, Option<(&str, &str)>) {
    let notice = admission.notice.as_ref();
    let parts = notice.map(|notice| (notice.code.as_str(), notice.message.as_str()));
    (admission.reservation.is_some(), parts)
}

/// The costs booked in the day's ledger, and whether each contains an estimate.
fn bills(folder: &Folder) -> Vec<(String, bool)> {
    let bill = |line| {
        let line: Value = serde_json::from_str(line).expect("a line of JSON");
        Some((line["usd"].as_str()?.to_owned(), line["estimated"].as_bool()?))
    };
    folder.text("spend-2026-11-20.jsonl").lines().filter_map(bill).collect()
}

/// What the day's ledger counts, as another program sees it.
fn committed(folder: &Folder) -> String {
    let mut ledger = Ledger::new(folder.path.clone());
    ledger.today(afternoon()).expect("a ledger").committed().to_string()
}

#[test]
fn a_call_is_allowed_while_its_greatest_cost_fits() {
    let limits = Limits {
        request: Some(usd("0.5")),
        session: Some(usd("2")),
        day: Some(usd("1")),
    };
    let rows = [
        ("0.5", "0", "0", None),
        ("0.5", "1.5", "0.5", None),
        ("0.500000000001", "0", "0", Some((Which::Request, "0.5", "0.5"))),
        ("0.5", "1.6", "0", Some((Which::Session, "2", "0.4"))),
        ("0.5", "0", "0.9", Some((Which::Day, "1", "0.1"))),
        ("0.5", "0", "9", Some((Which::Day, "1", "0"))),
        // Of several limits, the tightest is named.
        ("3", "1.7", "0.6", Some((Which::Session, "2", "0.3"))),
        // A free call is always allowed.
        ("0", "9", "9", None),
    ];
    for (most, session, day, exceeds) in rows {
        let expected = exceeds.map_or(Decision::Go, |(which, limit, left)| {
            let (limit, left) = (usd(limit), usd(left));
            Decision::Exceeds(Exceeded { which, limit, left })
        });
        let (session, day) = (usd(session), usd(day));
        let seen = decide(&limits, usd(most), Spent { session, day });
        assert_eq!(seen, expected, "{most} after {session} and {day}");
    }
    assert_eq!(decide(&Limits::default(), usd("1e9"), Spent::default()), Decision::Go);
}

#[test]
fn the_estimate_is_the_most_expensive_model_with_its_longest_answer() {
    let settings = kit::settings(json!({}), &[]);
    let catalogue = block_on(Store::with(&settings, &entries()).catalogue(&settings)).expect("a catalogue");
    let rows: [(&[&str], _, _, Result<_, _>); 10] = [
        (&["a/cheap"], 30, Some(90), Ok("0.1")),
        // Three bytes per token, rounded up.
        (&["a/cheap"], 31, Some(0), Ok("0.011")),
        (&["a/cheap"], 0, None, Ok("0.05")),
        // A model without an answer limit may fill its context.
        (&["a/endless"], 0, None, Ok("20")),
        (&["a/unknown-length"], 0, None, Ok("8.192")),
        (&["a/cheap", "a/dear", "a/free"], 30, Some(90), Ok("1")),
        (&["a/cheap:nitro"], 30, Some(90), Ok("0.1")),
        (&["a/cheap", "a/none"], 30, Some(90), Err("`a/none`")),
        (&["openrouter/auto"], 30, Some(90), Err("`openrouter/auto`")),
        (&[], 30, Some(90), Err("the account's default model")),
    ];
    for (models, message_bytes, max_tokens, expected) in rows {
        let ids = ids(models);
        let ask = Demand {
            message_bytes,
            ..ask(&ids, max_tokens)
        };
        let expected = expected.map(str::to_owned).map_err(|name| {
            format!(
                "the price of {name} is unknown, so the budget cannot be enforced | choose a model with a known price, or \
                 set `budget.onExceed` to `warn`"
            )
        });
        let seen = Estimate::of(&catalogue, &ask).map(|estimate| estimate.most.to_string());
        assert_eq!(seen.map_err(|error| problem(&error)), expected, "{models:?}");
    }
}

#[test]
fn without_a_budget_no_request_is_made() {
    let no_limit = json!({"budget": {"onExceed": "warn", "ledger": "/dev/null/x"}});
    for options in [json!({}), json!({"budget": {}}), no_limit] {
        let service = Service::saying(&json!({}));
        let settings = service.settings(options, &[]);
        let models = ids(&["a/none"]);
        let admission = block_on(Guard::default().admit(&settings, &Store::default(), ask(&models, None)));
        let admission = admission.expect("it is admitted");
        assert_eq!((noticed(&admission), &admission.step_down), ((false, None), &None));
        assert!(service.requests().is_empty());
    }
}

#[test]
fn a_refusal_says_what_is_left_and_what_would_help() {
    let calls = [
        ("perRequestUsd", "0.5", "0", "a/dear", None),
        ("perRequestUsd", "0.05", "0", "a/dear", Some(1)),
        ("perSessionUsd", "0.12", "0.11", "a/cheap", Some(90)),
        ("perDayUsd", "1", "0.88", "a/dear", Some(86)),
        ("perDayUsd", "1", "1.38", "a/cheap", Some(90)),
    ];
    let refused = calls.map(|(option, limit, spent, model, max_tokens)| {
        let folder = Folder::new();
        let bench = Bench::with(&json!({option: limit, "ledger": folder.path}));
        let free = bench.admit("a/free", None).expect("it costs nothing");
        free.reservation.expect("it is admitted").settle(Some(spent), 0);
        let error = bench.admit(model, max_tokens).expect_err("it is refused");
        assert_eq!(error.kind, ErrorKind::SPEND_LIMIT);
        problem(&error)
    });
    let expected = [
        "the request may cost up to $1, but `budget.perRequestUsd` allows $0.5 | set `parameters.maxTokens` to at most \
         40, or raise `budget.perRequestUsd`",
        "the request may cost up to $0.11, but `budget.perRequestUsd` allows $0.05 | raise `budget.perRequestUsd`, or \
         choose a cheaper model",
        "the request may cost up to $0.1, but only $0.01 is left of this session's $0.12 | raise \
         `budget.perSessionUsd`, or start a new session",
        "the request may cost up to $0.96, but only $0.12 is left of today's $1 | set `parameters.maxTokens` to at most \
         2, or raise `budget.perDayUsd`",
        "the request may cost up to $0.1, but nothing is left of today's $1 | raise `budget.perDayUsd`, or wait until \
         midnight UTC",
    ];
    assert_eq!(refused, expected);
}

#[test]
fn prices_that_cannot_be_fetched_stop_a_call() {
    let service = Service::start(|_| (503, String::new(), String::new()));
    let models = ids(&["a/cheap"]);
    let admit = |budget: Value| {
        let settings = service.settings(json!({ "budget": budget }), &[]);
        block_on(Guard::default().admit(&settings, &Store::default(), ask(&models, None)))
    };
    let cause = "the service answered 503 with no explanation";
    let message = format!("could not fetch the model prices that the budget needs: {cause}");
    let error = admit(json!({"perSessionUsd": 1})).expect_err("no prices");
    let seen = (error.kind, error.message.as_str(), error.is_retryable());
    assert_eq!(seen, (ErrorKind::UNAVAILABLE, message.as_str(), true));
    let admission = admit(json!({"perSessionUsd": 1, "onExceed": "warn"})).expect("it is admitted");
    let warned = format!("{message}{WARNED}");
    assert_eq!(noticed(&admission), (true, Some(("budget_unchecked", warned.as_str()))));
}

#[test]
fn with_warn_a_call_is_sent_and_its_cost_counts() {
    let bench = Bench::with(&json!({"perSessionUsd": "0.05", "onExceed": "warn"}));
    let exceeded = "the request may cost up to $0.1, but only $0.05 is left of this session's $0.05";
    let rows = [
        ("a/cheap", "budget_exceeded", exceeded, "0.02"),
        ("openrouter/auto", "budget_unchecked", UNPRICED, "0.03"),
    ];
    for (model, code, message, cost) in rows {
        let admission = bench.admit(model, Some(90)).expect("it is admitted");
        let warned = format!("{message}{WARNED}");
        assert_eq!(noticed(&admission), (true, Some((code, warned.as_str()))));
        admission.reservation.expect("it is admitted").settle(Some(cost), 0);
    }
    assert_eq!(bench.account().0, "0.05");
}

#[test]
fn an_expensive_call_steps_down_once() {
    let bench = Bench::with(&json!({"perRequestUsd": "0.5", "onExceed": {"stepDownTo": "small"}}));
    let too_dear = "the request may cost up to $1, but `budget.perRequestUsd` allows $0.5";
    for (model, problem) in [("a/dear", too_dear), ("openrouter/auto", UNPRICED)] {
        let message = format!("{problem}; using TEXT_SMALL instead");
        let admission = bench.admit(model, None).expect("it steps down");
        assert_eq!(admission.step_down.as_deref(), Some("small"));
        let expected = (false, Some(("budget_step_down", message.as_str())));
        assert_eq!(noticed(&admission), expected);
        let models = ids(&[model]);
        let again = Demand {
            stepped_down: true,
            ..ask(&models, None)
        };
        let error = block_on(bench.admit_now(again)).expect_err("it is refused");
        assert_eq!(error.kind, ErrorKind::SPEND_LIMIT, "{model}");
    }
}

#[test]
fn an_unusable_ledger_stops_a_call_unless_the_budget_only_warns() {
    let mut budget = json!({"perDayUsd": 1, "ledger": "/dev/null/ledger"});
    let message = "cannot use the ledger at `/dev/null/ledger`, which `budget.perDayUsd` needs: Not a directory (os error \
                   20)";
    let error = Bench::with(&budget).admit("a/cheap", None).expect_err("it is refused");
    let hint =
        "make the folder yours alone and writable, move a damaged file away, or set `budget.ledger` to another folder";
    let seen = (error.kind, problem(&error));
    assert_eq!(seen, (ErrorKind::CONFIG, format!("{message} | {hint}")));
    budget["onExceed"] = json!("warn");
    let bench = Bench::with(&budget);
    let admission = bench.admit("a/cheap", None).expect("it is admitted");
    let warned = format!("{message}{WARNED}");
    assert_eq!(noticed(&admission), (true, Some(("budget_unchecked", warned.as_str()))));
    admission.reservation.expect("it is admitted").settle(Some("0.01"), 0);
    assert_eq!(bench.account().0, "0.01");
}

#[test]
fn without_a_daily_limit_no_ledger_is_touched() {
    let bench = Bench::with(&json!({"perSessionUsd": 1, "ledger": "/dev/null/ledger"}));
    assert!(bench.try_ten_cents().is_ok());
    // Nor is there a thread to wait for.
    assert!(bench.guard.flush(Duration::ZERO));
}

#[test]
fn a_call_counts_as_its_cost_or_else_its_estimate() {
    type End = fn(Reservation);
    let folder = Folder::new();
    let bench = Bench::per_day(&folder, "9");
    // How a call ends, what is booked for it and whether that is an estimate, and the sum so far.
    let rows: [(End, &str, bool, &str); 9] = [
        (|held| held.settle(Some("0.03"), 0), "0.03", false, "0.03"),
        (Reservation::release, "0", false, "0.03"),
        (|held| held.settle(None, 0), "0.1", true, "0.13"),
        (|held| held.settle(Some("-1"), 0), "0.1", true, "0.23"),
        (drop, "0.1", true, "0.33"),
        (|held| held.settle(Some("2.5"), 0), "2.5", false, "2.83"),
        // Each attempt of unknown cost counts as one estimate.
        (|held| held.settle(Some("0.03"), 1), "0.13", true, "2.96"),
        (|held| held.settle(Some("0"), 2), "0.2", true, "3.16"),
        (|held| held.settle(None, 2), "0.3", true, "3.46"),
    ];
    let mut before = "0";
    for (n, (end, booked, is_estimate, after)) in rows.into_iter().enumerate() {
        let held = bench.ten_cents();
        assert_eq!(bench.account(), (before.to_owned(), "0.1".to_owned()), "call {n}");
        assert_eq!(committed(&folder), usd(before).plus(usd("0.1")).to_string(), "call {n}");
        end(held);
        bench.flush();
        let expected = Some(&(booked.to_owned(), is_estimate));
        assert_eq!(bills(&folder).last(), expected, "call {n}");
        assert_eq!(bench.account(), (after.to_owned(), "0".to_owned()), "call {n}");
        assert_eq!(committed(&folder), after, "call {n}");
        before = after;
    }
}

#[test]
fn the_end_of_a_call_does_not_wait_for_a_file() {
    let folder = Folder::new();
    let bench = Bench::per_day(&folder, "1");
    let [settled, released, dropped] = [(), (), ()].map(|()| bench.ten_cents());
    let busy = bench.keep_busy();
    settled.settle(Some("0.01"), 0);
    released.release();
    drop(dropped);
    // Reached only if none of them waited.
    assert!(bills(&folder).is_empty());
    assert!(!bench.guard.flush(Duration::ZERO));
    drop(busy);
    bench.flush();
    assert_eq!(bills(&folder).len(), 3);
}

#[test]
fn a_dropped_admission_releases_its_reservation() {
    let folder = Folder::new();
    let bench = Bench::per_day(&folder, "9");
    let models = ids(&["a/cheap"]);
    for is_decided in [false, true] {
        let busy = bench.keep_busy();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("memory");
        runtime.block_on(async {
            let mut admission = Box::pin(bench.admit_now(ask(&models, Some(90))));
            let first_look = poll_fn(|context| Poll::Ready(admission.as_mut().poll(context)));
            // Reached only if it does not block its thread on the ledger.
            assert!(first_look.await.is_pending());
            if is_decided {
                drop(busy);
                bench.flush();
            }
            drop(admission);
        });
        bench.flush();
        let nothing = ("0".to_owned(), "0".to_owned());
        assert_eq!((bench.account(), committed(&folder)), (nothing, "0".to_owned()));
    }
}

#[test]
fn concurrent_calls_never_overshoot_together() {
    let folder = Folder::new();
    let per_day = json!({"perDayUsd": 1, "ledger": folder.path});
    for budget in [json!({"perSessionUsd": 1}), per_day] {
        let bench = Bench::with(&budget);
        let admitted = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| (0..5).filter_map(|_| bench.try_ten_cents().ok()).collect::<Vec<_>>()))
                .collect();
            let held = threads.into_iter().flat_map(|thread| thread.join().expect("no panic"));
            held.collect::<Vec<_>>()
        });
        assert_eq!(admitted.len(), 10, "{budget}");
        // The unused part of a reservation is available again.
        for reservation in admitted {
            reservation.settle(Some("0.05"), 0);
        }
        let again: Vec<_> = (0..9).filter_map(|_| bench.try_ten_cents().ok()).collect();
        assert_eq!(again.len(), 5, "{budget}");
    }
}

#[test]
fn two_plugins_share_the_day_but_not_the_session() {
    let folder = Folder::new();
    let budget = json!({"perSessionUsd": "0.15", "perDayUsd": "0.25", "ledger": folder.path});
    let (one, other) = (Bench::with(&budget), Bench::with(&budget));
    let refusal = || one.try_ten_cents().expect_err("it is refused").message;
    let (first, second) = (one.ten_cents(), other.ten_cents());
    let message = "the request may cost up to $0.1, but only $0.05 is left of";
    assert_eq!(refusal(), format!("{message} this session's $0.15"));
    first.release();
    second.settle(Some("0.2"), 0);
    other.flush();
    assert_eq!(refusal(), format!("{message} today's $0.25"));
}

#[test]
fn changed_options_keep_the_account() {
    let folder = Folder::new();
    let mut bench = Bench::with(&json!({"perSessionUsd": "0.15"}));
    bench.ten_cents().settle(None, 0);
    let budget = json!({"perSessionUsd": "0.25", "perDayUsd": 1, "ledger": folder.path});
    bench.settings = kit::settings(json!({ "budget": budget }), &[]);
    bench.ten_cents().settle(None, 0);
    assert!(bench.try_ten_cents().is_err());
}

/// Does nothing by itself: the next test runs it in several processes at once.
#[test]
fn spends_until_it_is_refused() {
    let Some(folder) = env::var_os("BUDGET_OF_A_CHILD") else {
        return;
    };
    let bench = Bench::with(&json!({"perDayUsd": 3, "ledger": folder.to_string_lossy()}));
    while let Ok(reservation) = bench.try_ten_cents() {
        io::stdout().write_all(b"#").expect("somebody listens");
        reservation.settle(None, 0);
    }
}

#[test]
fn several_processes_never_overshoot_together() {
    let folder = Folder::new();
    let test = "money::budget::tests::spends_until_it_is_refused";
    let children = [(); 4].map(|()| kit::child(test, "BUDGET_OF_A_CHILD", &folder.path));
    let mut n_admitted = 0;
    for child in children {
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success());
        n_admitted += output.stdout.iter().filter(|byte| **byte == b'#').count();
    }
    assert_eq!((n_admitted, committed(&folder).as_str()), (30, "3"));
}
