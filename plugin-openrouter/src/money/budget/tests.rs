use std::env;
use std::future::{Future, poll_fn};
use std::io::{self, Write};
use std::pin::pin;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::task::Poll;

use plugin_api::ErrorKind;
use serde_json::{Value, json};

use super::*;
use crate::kit::{self, Folder, Service, block_on};
use crate::money::estimate::{Demand, Which};
use crate::money::ledger::Ledger;

/// 2026-11-20T17:30:05Z
const AFTERNOON_S: u64 = 1_795_195_805;

fn afternoon() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(AFTERNOON_S)
}

fn usd(text: &str) -> Usd {
    Usd::parse(text).expect("an amount")
}

/// Models with round prices: a token of `a/cheap` costs $0.001, one of `a/dear` $0.01.
fn entries() -> Value {
    let entry = |id: &str, prompt: &str, completion: &str, max_tokens: Value| {
        json!({"id": id, "pricing": {"prompt": prompt, "completion": completion},
            "top_provider": {"max_completion_tokens": max_tokens}})
    };
    json!([
        entry("a/cheap", "0.001", "0.001", json!(50)),
        entry("a/dear", "0.01", "0.01", json!(90)),
        entry("a/free", "0", "0", json!(50)),
        {"id": "a/endless", "context_length": 20_000, "pricing": {"prompt": "0", "completion": "0.001"},
            "top_provider": {"max_completion_tokens": null}},
        entry("a/unknown-length", "0", "0.001", json!(null)),
        entry("a/prompt-only", "0.01", "0", json!(50)),
        entry("openrouter/auto", "-1", "-1", json!(null)),
    ])
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

    fn per_day(folder: &Folder, limit: &str) -> Self {
        Self::with(&json!({"perDayUsd": limit, "ledger": folder.path}))
    }

    /// Waits until every cost is in the ledger.
    fn flush(&self) {
        assert!(self.guard.flush(Duration::from_secs(60)));
    }

    fn admit(&self, model: &str, max_tokens: Option<u64>) -> Result<Admission, Error> {
        let models = [model.to_owned()];
        let ask = Demand {
            models: &models,
            message_bytes: 30,
            max_tokens,
            stepped_down: false,
        };
        block_on(self.guard.admit_at(&self.settings, &self.catalogue, ask, afternoon()))
    }

    /// A reservation for 10 tokens of prompt and 90 of answer, at $0.001 each.
    fn ten_cents(&self) -> Result<Reservation, Error> {
        let admission = self.admit("a/cheap", Some(90))?;
        Ok(admission.reservation.expect("it is admitted"))
    }
}

fn refusal(result: Result<Admission, Error>) -> (ErrorKind, String, String) {
    let error = result.expect_err("it is refused");
    let hint = error.hint().unwrap_or_default().to_owned();
    (error.kind, error.message, hint)
}

/// The costs booked in the day's ledger, and whether each contains an estimate.
fn bills(folder: &Folder) -> Vec<(String, bool)> {
    let lines = folder.text("spend-2026-11-20.jsonl");
    let lines = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
    lines
        .filter_map(|line| Some((line["usd"].as_str()?.to_owned(), line["estimated"].as_bool()?)))
        .collect()
}

fn spend_limit(message: &str, hint: &str) -> (ErrorKind, String, String) {
    (ErrorKind::SPEND_LIMIT, message.to_owned(), hint.to_owned())
}

fn notice(code: &str, message: &str) -> Option<Notice> {
    Some(Notice::new(code, message))
}

#[test]
fn a_call_is_allowed_while_its_greatest_cost_fits() {
    let limits = Limits {
        request: Some(usd("0.5")),
        session: Some(usd("2")),
        day: Some(usd("1")),
    };
    let decision = |most, session, day| {
        let spent = Spent {
            session: usd(session),
            day: usd(day),
        };
        match decide(&limits, usd(most), spent) {
            Decision::Go => None,
            Decision::Exceeds(exceeded) => Some((exceeded.which, exceeded.left.to_string())),
        }
    };
    let exceeds = |which, left: &str| Some((which, left.to_owned()));
    assert_eq!(decision("0.5", "0", "0"), None);
    assert_eq!(decision("0.5", "1.5", "0.5"), None);
    assert_eq!(decision("0.500000000001", "0", "0"), exceeds(Which::Request, "0.5"));
    assert_eq!(decision("0.5", "1.6", "0"), exceeds(Which::Session, "0.4"));
    assert_eq!(decision("0.5", "0", "0.9"), exceeds(Which::Day, "0.1"));
    assert_eq!(decision("0.5", "0", "9"), exceeds(Which::Day, "0"));
    // Of several limits, the tightest is named.
    assert_eq!(decision("3", "1.7", "0.6"), exceeds(Which::Session, "0.3"));
    // A free call is always allowed.
    assert_eq!(decision("0", "9", "9"), None);
    assert_eq!(decide(&Limits::default(), usd("1e9"), Spent::default()), Decision::Go);
}

#[test]
fn the_estimate_is_the_most_expensive_model_with_its_longest_answer() {
    let settings = kit::settings(json!({}), &[]);
    let catalogue = block_on(Store::with(&settings, &entries()).catalogue(&settings)).expect("a catalogue");
    let most = |models: &[&str], message_bytes, max_tokens| {
        let models: Vec<String> = models.iter().map(|id| (*id).to_owned()).collect();
        let ask = Demand {
            models: &models,
            message_bytes,
            max_tokens,
            stepped_down: false,
        };
        Estimate::of(&catalogue, &ask)
            .map(|estimate| estimate.most.to_string())
            .ok()
    };
    let is = |text: &str| Some(text.to_owned());
    assert_eq!(most(&["a/cheap"], 30, Some(90)), is("0.1"));
    // Three bytes per token, rounded up.
    assert_eq!(most(&["a/cheap"], 31, Some(0)), is("0.011"));
    assert_eq!(most(&["a/cheap"], 0, None), is("0.05"));
    // A model without an answer limit may fill its context.
    assert_eq!(most(&["a/endless"], 0, None), is("20"));
    assert_eq!(most(&["a/unknown-length"], 0, None), is("8.192"));
    assert_eq!(most(&["a/cheap", "a/dear", "a/free"], 30, Some(90)), is("1"));
    assert_eq!(most(&["a/cheap:nitro"], 30, Some(90)), is("0.1"));
    for unknown in [&["a/cheap", "a/none"][..], &["openrouter/auto"], &[]] {
        assert_eq!(most(unknown, 30, Some(90)), None);
    }
}

#[test]
fn without_a_budget_no_request_is_made() {
    for options in [
        json!({}),
        json!({"budget": {}}),
        json!({"budget": {"onExceed": "warn", "ledger": "/dev/null/x"}}),
    ] {
        let service = Service::saying(&json!({}));
        let settings = service.settings(options, &[]);
        let ask = Demand {
            models: &["a/none".to_owned()],
            message_bytes: 1 << 30,
            max_tokens: None,
            stepped_down: false,
        };
        let admission = block_on(Guard::default().admit(&settings, &Store::default(), ask)).expect("it is admitted");
        assert!(admission.reservation.is_none() && admission.notice.is_none() && admission.step_down.is_none());
        assert!(service.requests().is_empty());
    }
}

#[test]
fn a_refused_request_says_how_many_tokens_would_fit() {
    let bench = Bench::with(&json!({"perRequestUsd": 0.5}));
    assert_eq!(
        refusal(bench.admit("a/dear", None)),
        spend_limit(
            "the request may cost up to $1, but `budget.perRequestUsd` allows $0.5",
            "set `parameters.maxTokens` to at most 40, or raise `budget.perRequestUsd`"
        )
    );
    assert!(bench.admit("a/dear", Some(40)).is_ok());
    assert!(bench.admit("a/dear", Some(41)).is_err());
}

#[test]
fn the_hint_changes_if_no_token_limit_would_help() {
    let bench = Bench::with(&json!({"perRequestUsd": 0.05}));
    for model in ["a/dear", "a/prompt-only"] {
        let (_, _, hint) = refusal(bench.admit(model, Some(1)));
        assert_eq!(hint, "raise `budget.perRequestUsd`, or choose a cheaper model");
    }
}

#[test]
fn a_refusal_says_how_much_of_the_session_is_left() {
    let bench = Bench::with(&json!({"perSessionUsd": "0.12"}));
    bench.ten_cents().expect("it is admitted").settle(Some("0.11"), 0);
    assert_eq!(
        refusal(bench.admit("a/cheap", Some(90))),
        spend_limit(
            "the request may cost up to $0.1, but only $0.01 is left of this session's $0.12",
            "raise `budget.perSessionUsd`, or start a new session"
        )
    );
    assert!(bench.admit("a/free", None).is_ok());
}

#[test]
fn a_refusal_says_how_much_of_the_day_is_left() {
    let folder = Folder::new();
    let bench = Bench::per_day(&folder, "1");
    bench.ten_cents().expect("it is admitted").settle(Some("0.88"), 0);
    assert_eq!(
        refusal(bench.admit("a/dear", Some(86))),
        spend_limit(
            "the request may cost up to $0.96, but only $0.12 is left of today's $1",
            "set `parameters.maxTokens` to at most 2, or raise `budget.perDayUsd`"
        )
    );
    bench.ten_cents().expect("it is admitted").settle(Some("0.5"), 0);
    assert_eq!(
        refusal(bench.admit("a/cheap", Some(90))),
        spend_limit(
            "the request may cost up to $0.1, but nothing is left of today's $1",
            "raise `budget.perDayUsd`, or wait until midnight UTC"
        )
    );
}

#[test]
fn a_model_without_a_price_is_refused() {
    let bench = Bench::with(&json!({"perSessionUsd": 1}));
    for model in ["openrouter/auto", "a/none"] {
        assert_eq!(
            refusal(bench.admit(model, Some(1))),
            spend_limit(
                &format!("the price of `{model}` is unknown, so the budget cannot be enforced"),
                "choose a model with a known price, or set `budget.onExceed` to `warn`"
            )
        );
    }
    let ask = Demand {
        models: &[],
        message_bytes: 1,
        max_tokens: None,
        stepped_down: false,
    };
    let error = block_on(bench.guard.admit(&bench.settings, &bench.catalogue, ask)).expect_err("no model");
    assert_eq!(
        error.message,
        "the price of the account's default model is unknown, so the budget cannot be enforced"
    );
}

#[test]
fn prices_that_cannot_be_fetched_stop_a_call() {
    let service = Service::start(|_| (503, String::new(), String::new()));
    let ask = Demand {
        models: &["a/cheap".to_owned()],
        message_bytes: 30,
        max_tokens: None,
        stepped_down: false,
    };
    let admit = |budget: Value| {
        let settings = service.settings(json!({ "budget": budget }), &[]);
        block_on(Guard::default().admit(&settings, &Store::default(), ask))
    };
    let error = admit(json!({"perSessionUsd": 1})).expect_err("no prices");
    assert_eq!(
        (error.kind, error.message.as_str(), error.is_retryable()),
        (
            ErrorKind::UNAVAILABLE,
            "could not fetch the model prices that the budget needs: the service answered 503 with no explanation",
            true
        )
    );
    let admission = admit(json!({"perSessionUsd": 1, "onExceed": "warn"})).expect("it is admitted");
    assert_eq!(
        admission.notice,
        notice(
            "budget_unchecked",
            "could not fetch the model prices that the budget needs: the service answered 503 with no explanation; the \
             request is sent anyway because `budget.onExceed` is `warn`"
        )
    );
}

#[test]
fn with_warn_a_call_is_sent_and_its_cost_counts() {
    let bench = Bench::with(&json!({"perSessionUsd": "0.05", "onExceed": "warn"}));
    let admission = bench.admit("a/cheap", Some(90)).expect("it is admitted");
    assert_eq!(
        admission.notice,
        notice(
            "budget_exceeded",
            "the request may cost up to $0.1, but only $0.05 is left of this session's $0.05; the request is sent anyway \
             because `budget.onExceed` is `warn`"
        )
    );
    admission.reservation.expect("it is admitted").settle(Some("0.02"), 0);
    let admission = bench.admit("openrouter/auto", None).expect("it is admitted");
    assert_eq!(
        admission.notice,
        notice(
            "budget_unchecked",
            "the price of `openrouter/auto` is unknown, so the budget cannot be enforced; the request is sent anyway \
             because `budget.onExceed` is `warn`"
        )
    );
    admission.reservation.expect("it is admitted").settle(Some("0.03"), 0);
    assert_eq!(lock(&bench.guard.account).spent, usd("0.05"));
}

#[test]
fn an_expensive_call_steps_down_once() {
    let bench = Bench::with(&json!({"perRequestUsd": "0.5", "onExceed": {"stepDownTo": "small"}}));
    let admission = bench.admit("a/dear", None).expect("it steps down");
    assert_eq!(admission.step_down.as_deref(), Some("small"));
    assert!(admission.reservation.is_none());
    assert_eq!(
        admission.notice,
        notice(
            "budget_step_down",
            "the request may cost up to $1, but `budget.perRequestUsd` allows $0.5; using TEXT_SMALL instead"
        )
    );
    let admission = bench.admit("openrouter/auto", None).expect("it steps down");
    assert_eq!(
        admission.notice,
        notice(
            "budget_step_down",
            "the price of `openrouter/auto` is unknown, so the budget cannot be enforced; using TEXT_SMALL instead"
        )
    );
    for model in ["a/dear", "openrouter/auto"] {
        let ask = Demand {
            models: &[model.to_owned()],
            message_bytes: 30,
            max_tokens: None,
            stepped_down: true,
        };
        let result = block_on(bench.guard.admit(&bench.settings, &bench.catalogue, ask));
        assert_eq!(refusal(result).0, ErrorKind::SPEND_LIMIT);
    }
}

#[test]
fn an_unusable_ledger_stops_a_call_unless_the_budget_only_warns() {
    let budget = json!({"perDayUsd": 1, "ledger": "/dev/null/ledger"});
    let message = "cannot use the ledger at `/dev/null/ledger`, which `budget.perDayUsd` needs: Not a directory (os error \
                   20)";
    assert_eq!(
        refusal(Bench::with(&budget).admit("a/cheap", None)),
        (
            ErrorKind::CONFIG,
            message.to_owned(),
            "make the folder writable, or set `budget.ledger` to another one".to_owned()
        )
    );
    let mut budget = budget;
    budget["onExceed"] = json!("warn");
    let bench = Bench::with(&budget);
    let admission = bench.admit("a/cheap", None).expect("it is admitted");
    let expected = format!("{message}; the request is sent anyway because `budget.onExceed` is `warn`");
    assert_eq!(admission.notice, notice("budget_unchecked", &expected));
    admission.reservation.expect("it is admitted").settle(Some("0.01"), 0);
    assert_eq!(lock(&bench.guard.account).spent, usd("0.01"));
}

#[test]
fn without_a_daily_limit_no_ledger_is_touched() {
    let bench = Bench::with(&json!({"perSessionUsd": 1, "ledger": "/dev/null/ledger"}));
    assert!(bench.ten_cents().is_ok());
    // Nor is there a thread to wait for.
    assert!(bench.guard.flush(Duration::ZERO));
}

#[test]
fn a_call_counts_as_its_cost_or_else_its_estimate() {
    let folder = Folder::new();
    let bench = Bench::with(&json!({"perSessionUsd": 9, "perDayUsd": 9, "ledger": folder.path}));
    let spent = || {
        bench.flush();
        let account = lock(&bench.guard.account);
        let mut ledger = Ledger::new(folder.path.clone());
        let today = ledger.today(afternoon()).expect("a ledger").committed();
        assert_eq!(account.spent.plus(account.reserved), today);
        today.to_string()
    };
    let held = bench.ten_cents().expect("it is admitted");
    assert_eq!(spent(), "0.1");
    held.settle(Some("0.03"), 0);
    assert_eq!(spent(), "0.03");
    bench.ten_cents().expect("it is admitted").release();
    assert_eq!(spent(), "0.03");
    bench.ten_cents().expect("it is admitted").settle(None, 0);
    assert_eq!(spent(), "0.13");
    bench.ten_cents().expect("it is admitted").settle(Some("-1"), 0);
    assert_eq!(spent(), "0.23");
    drop(bench.ten_cents().expect("it is admitted"));
    assert_eq!(spent(), "0.33");
    bench.ten_cents().expect("it is admitted").settle(Some("2.5"), 0);
    assert_eq!(spent(), "2.83");
    let lines = folder.text("spend-2026-11-20.jsonl");
    let expected = [
        ("0.03", false),
        ("0", false),
        ("0.1", true),
        ("0.1", true),
        ("0.1", true),
        ("2.5", false),
    ];
    assert_eq!(
        bills(&folder),
        expected.map(|(usd, estimated)| (usd.to_owned(), estimated))
    );
    for secret in ["sk-or", "messages"] {
        assert!(!lines.contains(secret), "{lines}");
    }
}

#[test]
fn each_attempt_of_unknown_cost_counts_as_one_estimate() {
    let folder = Folder::new();
    let bench = Bench::with(&json!({"perSessionUsd": 9, "perDayUsd": 9, "ledger": folder.path}));
    let rows = [
        (Some("0.03"), 0, "0.03", false),
        (Some("0.03"), 1, "0.13", true),
        (Some("0"), 2, "0.2", true),
        (None, 2, "0.3", true),
    ];
    for (billed, n_unknown, _, _) in rows {
        bench.ten_cents().expect("it is admitted").settle(billed, n_unknown);
    }
    bench.flush();
    let booked = bills(&folder);
    assert_eq!(booked, rows.map(|(_, _, usd, estimated)| (usd.to_owned(), estimated)));
    assert_eq!(lock(&bench.guard.account).spent, usd("0.66"));
    assert_eq!(lock(&bench.guard.account).reserved, Usd::ZERO);
}

/// Keeps the ledger thread busy until the sender is dropped.
fn keep_busy(bench: &Bench) -> mpsc::Sender<()> {
    let (over, waits) = mpsc::channel::<()>();
    let clerk = bench.guard.office.clerk().expect("a thread");
    clerk.send(move |_| {
        let _ = waits.recv();
    });
    over
}

#[test]
fn the_end_of_a_call_does_not_wait_for_a_file() {
    let folder = Folder::new();
    let bench = Bench::per_day(&folder, "1");
    let reservations: Vec<_> = (0..3).map(|_| bench.ten_cents().expect("it is admitted")).collect();
    let busy = keep_busy(&bench);
    let mut reservations = reservations.into_iter();
    reservations.next().expect("one of three").settle(Some("0.01"), 0);
    reservations.next().expect("two of three").release();
    drop(reservations);
    // Reached only if none of them waited.
    assert!(bills(&folder).is_empty());
    assert!(!bench.guard.flush(Duration::ZERO));
    drop(busy);
    bench.flush();
    assert_eq!(bills(&folder).len(), 3);
}

#[test]
fn an_admission_does_not_block_its_thread_on_the_ledger() {
    let folder = Folder::new();
    let bench = Bench::per_day(&folder, "1");
    let busy = keep_busy(&bench);
    let ask = Demand {
        models: &["a/cheap".to_owned()],
        message_bytes: 30,
        max_tokens: Some(90),
        stepped_down: false,
    };
    block_on(async {
        let mut admission = pin!(bench.guard.admit(&bench.settings, &bench.catalogue, ask));
        let first_look = poll_fn(|context| Poll::Ready(admission.as_mut().poll(context)));
        assert!(first_look.await.is_pending());
        drop(busy);
        assert!(admission.await.expect("it is admitted").reservation.is_some());
    });
}

#[test]
fn a_dropped_admission_releases_its_reservation() {
    let folder = Folder::new();
    let bench = Bench::with(&json!({"perSessionUsd": 9, "perDayUsd": 9, "ledger": folder.path}));
    let ask = Demand {
        models: &["a/cheap".to_owned()],
        message_bytes: 30,
        max_tokens: Some(90),
        stepped_down: false,
    };
    for is_decided in [false, true] {
        let busy = keep_busy(&bench);
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("memory");
        runtime.block_on(async {
            let mut admission = Box::pin(
                bench
                    .guard
                    .admit_at(&bench.settings, &bench.catalogue, ask, afternoon()),
            );
            let first_look = poll_fn(|context| Poll::Ready(admission.as_mut().poll(context)));
            assert!(first_look.await.is_pending());
            if is_decided {
                drop(busy);
                bench.flush();
            }
            drop(admission);
        });
        bench.flush();
        let account = lock(&bench.guard.account);
        assert_eq!((account.spent, account.reserved), (Usd::ZERO, Usd::ZERO));
        drop(account);
        let mut ledger = Ledger::new(folder.path.clone());
        assert_eq!(ledger.today(afternoon()).expect("a ledger").committed(), Usd::ZERO);
    }
}

#[test]
fn costs_are_recorded_after_the_guard_is_dropped() {
    let folder = Folder::new();
    let bench = Bench::per_day(&folder, "1");
    let reservation = bench.ten_cents().expect("it is admitted");
    let (over, ended) = mpsc::channel::<()>();
    let clerk = bench.guard.office.clerk().expect("a thread");
    drop(bench);
    reservation.settle(Some("0.01"), 0);
    clerk.send(move |_| drop(over));
    drop(clerk);
    let _ = ended.recv_timeout(Duration::from_secs(60));
    assert_eq!(bills(&folder), [("0.01".to_owned(), false)]);
}

#[test]
fn concurrent_calls_never_overshoot_together() {
    let folder = Folder::new();
    for budget in [
        json!({"perSessionUsd": 1}),
        json!({"perDayUsd": 1, "ledger": folder.path}),
    ] {
        let bench = Bench::with(&budget);
        let admitted = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| (0..5).filter_map(|_| bench.ten_cents().ok()).collect::<Vec<_>>()))
                .collect();
            let held = threads.into_iter().flat_map(|thread| thread.join().expect("no panic"));
            held.collect::<Vec<_>>()
        });
        assert_eq!(admitted.len(), 10, "{budget}");
        // The unused part of a reservation is available again.
        for reservation in admitted {
            reservation.settle(Some("0.05"), 0);
        }
        let again: Vec<_> = (0..9).filter_map(|_| bench.ten_cents().ok()).collect();
        assert_eq!(again.len(), 5, "{budget}");
    }
}

#[test]
fn two_plugins_share_the_day_but_not_the_session() {
    let folder = Folder::new();
    let budget = json!({"perSessionUsd": "0.15", "perDayUsd": "0.25", "ledger": folder.path});
    let (one, other) = (Bench::with(&budget), Bench::with(&budget));
    let first = one.ten_cents().expect("it is admitted");
    let second = other.ten_cents().expect("it is admitted");
    let (_, message, _) = refusal(one.admit("a/cheap", Some(90)));
    assert_eq!(
        message,
        "the request may cost up to $0.1, but only $0.05 is left of this session's $0.15"
    );
    first.release();
    second.settle(Some("0.2"), 0);
    other.flush();
    let (_, message, _) = refusal(one.admit("a/cheap", Some(90)));
    assert_eq!(
        message,
        "the request may cost up to $0.1, but only $0.05 is left of today's $0.25"
    );
}

#[test]
fn changed_options_keep_the_account() {
    let folder = Folder::new();
    let mut bench = Bench::with(&json!({"perSessionUsd": "0.15"}));
    bench.ten_cents().expect("it is admitted").settle(None, 0);
    bench.settings = kit::settings(
        json!({"budget": {"perSessionUsd": "0.25", "perDayUsd": 1, "ledger": folder.path}}),
        &[],
    );
    bench.ten_cents().expect("it is admitted").settle(None, 0);
    assert!(bench.ten_cents().is_err());
}

/// Does nothing by itself: the next test runs it in several processes at once.
#[test]
fn spends_until_it_is_refused() {
    let Some(folder) = env::var_os("BUDGET_OF_A_CHILD") else {
        return;
    };
    let bench = Bench::with(&json!({"perDayUsd": 3, "ledger": folder.to_string_lossy()}));
    while let Ok(reservation) = bench.ten_cents() {
        io::stdout().write_all(b"#").expect("somebody listens");
        reservation.settle(None, 0);
    }
}

#[test]
fn several_processes_never_overshoot_together() {
    let folder = Folder::new();
    let program = env::current_exe().expect("this is a program");
    let children: Vec<_> = (0..4)
        .map(|_| {
            Command::new(&program)
                .args([
                    "--exact",
                    "money::budget::tests::spends_until_it_is_refused",
                    "--nocapture",
                ])
                .env("BUDGET_OF_A_CHILD", &folder.path)
                .stdout(Stdio::piped())
                .spawn()
                .expect("it starts")
        })
        .collect();
    let mut n_admitted = 0;
    for child in children {
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success());
        n_admitted += output.stdout.iter().filter(|byte| **byte == b'#').count();
    }
    let mut ledger = Ledger::new(folder.path.clone());
    let total = ledger.today(afternoon()).expect("a ledger").committed();
    assert_eq!((n_admitted, total), (30, usd("3")));
}
