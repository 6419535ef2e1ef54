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

    /// Waits until the ledger says what was booked.
    fn flush(&self) {
        assert!(self.guard.flush(Duration::from_secs(10)));
    }

    fn admit(&self, model: &str, max_tokens: Option<u64>) -> Result<Admission, Error> {
        self.admit_at(model, max_tokens, afternoon())
    }

    fn admit_at(&self, model: &str, max_tokens: Option<u64>, now: SystemTime) -> Result<Admission, Error> {
        let models = [model.to_owned()];
        let ask = Demand {
            models: &models,
            message_bytes: 30,
            max_tokens,
            stepped_down: false,
        };
        block_on(self.guard.admit_at(&self.settings, &self.catalogue, ask, now))
    }

    /// What is set aside for 10 tokens of prompt and 90 of answer, at $0.001 each.
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

/// What the ledger of the day booked, and whether it is an estimate.
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
fn a_call_goes_while_its_greatest_cost_is_left() {
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
    // Of several the narrowest.
    assert_eq!(decision("3", "1.7", "0.6"), exceeds(Which::Session, "0.3"));
    // What costs nothing may always go.
    assert_eq!(decision("0", "9", "9"), None);
    assert_eq!(decide(&Limits::default(), usd("1e9"), Spent::default()), Decision::Go);
}

#[test]
fn the_greatest_cost_is_that_of_the_dearest_model_with_its_longest_answer() {
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
    // Three bytes to a token, rounded up.
    assert_eq!(most(&["a/cheap"], 31, Some(0)), is("0.011"));
    assert_eq!(most(&["a/cheap"], 0, None), is("0.05"));
    // Without a limit of its own a model may fill its context.
    assert_eq!(most(&["a/endless"], 0, None), is("20"));
    assert_eq!(most(&["a/unknown-length"], 0, None), is("8.192"));
    assert_eq!(most(&["a/cheap", "a/dear", "a/free"], 30, Some(90)), is("1"));
    assert_eq!(most(&["a/cheap:nitro"], 30, Some(90)), is("0.1"));
    for unknown in [&["a/cheap", "a/none"][..], &["openrouter/auto"], &[]] {
        assert_eq!(most(unknown, 30, Some(90)), None);
    }
}

#[test]
fn without_a_budget_nothing_is_asked() {
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
        let admission = block_on(Guard::default().admit(&settings, &Store::default(), ask)).expect("it may go");
        assert!(admission.reservation.is_none() && admission.notice.is_none() && admission.step_down.is_none());
        assert!(service.requests().is_empty());
    }
}

#[test]
fn a_request_over_its_own_limit_is_refused_with_what_would_fit() {
    let bench = Bench::with(&json!({"perRequestUsd": 0.5}));
    assert_eq!(
        refusal(bench.admit("a/dear", None)),
        spend_limit(
            "the request may cost up to $1, and `budget.perRequestUsd` allows $0.5",
            "ask for at most 40 tokens with `parameters.maxTokens`, or raise `budget.perRequestUsd`"
        )
    );
    assert!(bench.admit("a/dear", Some(40)).is_ok());
    assert!(bench.admit("a/dear", Some(41)).is_err());
}

#[test]
fn a_request_that_no_limit_of_tokens_helps_says_what_else_does() {
    let bench = Bench::with(&json!({"perRequestUsd": 0.05}));
    for model in ["a/dear", "a/prompt-only"] {
        let (_, _, hint) = refusal(bench.admit(model, Some(1)));
        assert_eq!(hint, "raise `budget.perRequestUsd`, or choose a cheaper model");
    }
}

#[test]
fn what_is_left_of_a_session_is_told() {
    let bench = Bench::with(&json!({"perSessionUsd": "0.12"}));
    bench.ten_cents().expect("it may go").settle(Some("0.11"), 0);
    assert_eq!(
        refusal(bench.admit("a/cheap", Some(90))),
        spend_limit(
            "the request may cost up to $0.1, and $0.01 of this session's $0.12 are left",
            "raise `budget.perSessionUsd`, or begin a new session"
        )
    );
    assert!(bench.admit("a/free", None).is_ok());
}

#[test]
fn what_is_left_of_a_day_is_told() {
    let folder = Folder::new();
    let bench = Bench::per_day(&folder, "1");
    bench.ten_cents().expect("it may go").settle(Some("0.88"), 0);
    assert_eq!(
        refusal(bench.admit("a/dear", Some(86))),
        spend_limit(
            "the request may cost up to $0.96, and $0.12 of today's $1 are left",
            "ask for at most 2 tokens with `parameters.maxTokens`, or raise `budget.perDayUsd`"
        )
    );
    bench.ten_cents().expect("it may go").settle(Some("0.5"), 0);
    assert_eq!(
        refusal(bench.admit("a/cheap", Some(90))),
        spend_limit(
            "the request may cost up to $0.1, and nothing of today's $1 is left",
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
                &format!("the price of `{model}` is unknown, so the budget cannot be kept"),
                "name a model with a price, or set `budget.onExceed` to `warn`"
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
        "the price of the account's default model is unknown, so the budget cannot be kept"
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
            "the models' prices, which the budget needs, could not be fetched: \
             the service answered 503 with no explanation",
            true
        )
    );
    let admission = admit(json!({"perSessionUsd": 1, "onExceed": "warn"})).expect("it may go");
    assert_eq!(
        admission.notice,
        notice(
            "budget_unchecked",
            "the models' prices, which the budget needs, could not be fetched: the service answered 503 with no \
             explanation; the request is sent, because `budget.onExceed` is `warn`"
        )
    );
}

#[test]
fn with_warn_a_call_goes_and_its_bill_counts() {
    let bench = Bench::with(&json!({"perSessionUsd": "0.05", "onExceed": "warn"}));
    let admission = bench.admit("a/cheap", Some(90)).expect("it may go");
    assert_eq!(
        admission.notice,
        notice(
            "budget_exceeded",
            "the request may cost up to $0.1, and $0.05 of this session's $0.05 are left; it is sent, because \
             `budget.onExceed` is `warn`"
        )
    );
    admission.reservation.expect("it is admitted").settle(Some("0.02"), 0);
    let admission = bench.admit("openrouter/auto", None).expect("it may go");
    assert_eq!(
        admission.notice,
        notice(
            "budget_unchecked",
            "the price of `openrouter/auto` is unknown, so the budget cannot be kept; the request is sent, because \
             `budget.onExceed` is `warn`"
        )
    );
    admission.reservation.expect("it is admitted").settle(Some("0.03"), 0);
    assert_eq!(lock(&bench.guard.account).spent, usd("0.05"));
}

#[test]
fn a_dear_call_steps_down_once() {
    let bench = Bench::with(&json!({"perRequestUsd": "0.5", "onExceed": {"stepDownTo": "small"}}));
    let admission = bench.admit("a/dear", None).expect("it steps down");
    assert_eq!(admission.step_down.as_deref(), Some("small"));
    assert!(admission.reservation.is_none());
    assert_eq!(
        admission.notice,
        notice(
            "budget_step_down",
            "the request may cost up to $1, and `budget.perRequestUsd` allows $0.5; TEXT_SMALL is asked instead"
        )
    );
    let admission = bench.admit("openrouter/auto", None).expect("it steps down");
    assert_eq!(
        admission.notice,
        notice(
            "budget_step_down",
            "the price of `openrouter/auto` is unknown, so the budget cannot be kept; TEXT_SMALL is asked instead"
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
fn a_ledger_that_cannot_be_used_stops_a_call_unless_it_warns() {
    let budget = json!({"perDayUsd": 1, "ledger": "/dev/null/ledger"});
    let message = "the ledger at `/dev/null/ledger` cannot be used, and without it `budget.perDayUsd` cannot be kept: \
                   Not a directory (os error 20)";
    assert_eq!(
        refusal(Bench::with(&budget).admit("a/cheap", None)),
        (
            ErrorKind::CONFIG,
            message.to_owned(),
            "make the folder writable, or name another one in `budget.ledger`".to_owned()
        )
    );
    let mut budget = budget;
    budget["onExceed"] = json!("warn");
    let bench = Bench::with(&budget);
    let admission = bench.admit("a/cheap", None).expect("it may go");
    let expected = format!("{message}; the request is sent, because `budget.onExceed` is `warn`");
    assert_eq!(admission.notice, notice("budget_unchecked", &expected));
    admission.reservation.expect("it is admitted").settle(Some("0.01"), 0);
    assert_eq!(lock(&bench.guard.account).spent, usd("0.01"));
}

#[test]
fn without_a_limit_for_the_day_no_ledger_is_touched() {
    let bench = Bench::with(&json!({"perSessionUsd": 1, "ledger": "/dev/null/ledger"}));
    assert!(bench.ten_cents().is_ok());
    // Nor is there a thread to wait for.
    assert!(bench.guard.flush(Duration::ZERO));
}

#[test]
fn a_call_costs_its_bill_or_else_its_estimate() {
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
    let held = bench.ten_cents().expect("it may go");
    assert_eq!(spent(), "0.1");
    held.settle(Some("0.03"), 0);
    assert_eq!(spent(), "0.03");
    bench.ten_cents().expect("it may go").release();
    assert_eq!(spent(), "0.03");
    bench.ten_cents().expect("it may go").settle(None, 0);
    assert_eq!(spent(), "0.13");
    bench.ten_cents().expect("it may go").settle(Some("-1"), 0);
    assert_eq!(spent(), "0.23");
    drop(bench.ten_cents().expect("it may go"));
    assert_eq!(spent(), "0.33");
    bench.ten_cents().expect("it may go").settle(Some("2.5"), 0);
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
fn attempts_of_unknown_fate_cost_their_estimates_each() {
    let folder = Folder::new();
    let bench = Bench::with(&json!({"perSessionUsd": 9, "perDayUsd": 9, "ledger": folder.path}));
    let rows = [
        (Some("0.03"), 0, "0.03", false),
        (Some("0.03"), 1, "0.13", true),
        (Some("0"), 2, "0.2", true),
        (None, 2, "0.3", true),
    ];
    for (billed, n_unknown, _, _) in rows {
        bench.ten_cents().expect("it may go").settle(billed, n_unknown);
    }
    bench.flush();
    let booked = bills(&folder);
    assert_eq!(booked, rows.map(|(_, _, usd, estimated)| (usd.to_owned(), estimated)));
    assert_eq!(lock(&bench.guard.account).spent, usd("0.66"));
    assert_eq!(lock(&bench.guard.account).reserved, Usd::ZERO);
}

/// Keeps the ledger's thread busy until the sender is dropped.
fn keep_busy(bench: &Bench) -> mpsc::Sender<()> {
    let (over, waits) = mpsc::channel::<()>();
    let clerk = bench.guard.office.clerk().expect("a thread");
    clerk.tell(move |_| {
        let _ = waits.recv();
    });
    over
}

#[test]
fn the_end_of_a_call_waits_for_no_file() {
    let folder = Folder::new();
    let bench = Bench::per_day(&folder, "1");
    let reservations: Vec<_> = (0..3).map(|_| bench.ten_cents().expect("it may go")).collect();
    let busy = keep_busy(&bench);
    let mut reservations = reservations.into_iter();
    reservations.next().expect("one of three").settle(Some("0.01"), 0);
    reservations.next().expect("two of three").release();
    drop(reservations);
    // Ends only because none of them waited.
    assert!(bills(&folder).is_empty());
    assert!(!bench.guard.flush(Duration::ZERO));
    drop(busy);
    bench.flush();
    assert_eq!(bills(&folder).len(), 3);
}

#[test]
fn an_admission_waits_for_the_ledger_without_its_thread() {
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
        assert!(admission.await.expect("it may go").reservation.is_some());
    });
}

#[test]
fn what_was_set_aside_for_a_caller_who_left_is_given_back() {
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
fn bills_are_written_down_although_the_guard_is_gone() {
    let folder = Folder::new();
    let bench = Bench::per_day(&folder, "1");
    let reservation = bench.ten_cents().expect("it may go");
    let (over, ended) = mpsc::channel::<()>();
    let clerk = bench.guard.office.clerk().expect("a thread");
    drop(bench);
    reservation.settle(Some("0.01"), 0);
    clerk.tell(move |_| drop(over));
    drop(clerk);
    let _ = ended.recv_timeout(Duration::from_secs(10));
    assert_eq!(bills(&folder), [("0.01".to_owned(), false)]);
}

#[test]
fn calls_at_the_same_time_never_overshoot_together() {
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
        // What one did not need is there for the next.
        for reservation in admitted {
            reservation.settle(Some("0.05"), 0);
        }
        let again: Vec<_> = (0..9).filter_map(|_| bench.ten_cents().ok()).collect();
        assert_eq!(again.len(), 5, "{budget}");
    }
}

#[test]
fn two_plugins_share_the_day_and_not_the_session() {
    let folder = Folder::new();
    let budget = json!({"perSessionUsd": "0.15", "perDayUsd": "0.25", "ledger": folder.path});
    let (one, other) = (Bench::with(&budget), Bench::with(&budget));
    let first = one.ten_cents().expect("it may go");
    let second = other.ten_cents().expect("it may go");
    let (_, message, _) = refusal(one.admit("a/cheap", Some(90)));
    assert_eq!(
        message,
        "the request may cost up to $0.1, and $0.05 of this session's $0.15 are left"
    );
    first.release();
    second.settle(Some("0.2"), 0);
    other.flush();
    let (_, message, _) = refusal(one.admit("a/cheap", Some(90)));
    assert_eq!(
        message,
        "the request may cost up to $0.1, and $0.05 of today's $0.25 are left"
    );
}

#[test]
fn a_restart_keeps_the_days_total_and_a_new_day_begins_with_nothing() {
    let folder = Folder::new();
    let first = Bench::per_day(&folder, "0.15");
    first.ten_cents().expect("it may go").settle(None, 0);
    first.flush();
    let restarted = Bench::per_day(&folder, "0.15");
    assert_eq!(
        restarted.ten_cents().expect_err("too much").kind,
        ErrorKind::SPEND_LIMIT
    );
    let tomorrow = afternoon() + Duration::from_secs(86_400);
    assert!(restarted.admit_at("a/cheap", Some(90), tomorrow).is_ok());
}

#[test]
fn a_torn_line_does_not_open_the_budget() {
    let folder = Folder::new();
    let bench = Bench::per_day(&folder, "0.25");
    bench.ten_cents().expect("it may go").settle(None, 0);
    bench.flush();
    folder.append("spend-2026-11-20.jsonl", br#"{"at":"2026-11-20T17:30:05Z","he"#);
    bench.ten_cents().expect("it may go").settle(None, 0);
    for bench in [bench, Bench::per_day(&folder, "0.25")] {
        assert!(bench.ten_cents().is_err());
    }
}

#[test]
fn options_that_change_keep_the_account() {
    let folder = Folder::new();
    let mut bench = Bench::with(&json!({"perSessionUsd": "0.15"}));
    bench.ten_cents().expect("it may go").settle(None, 0);
    bench.settings = kit::settings(
        json!({"budget": {"perSessionUsd": "0.25", "perDayUsd": 1, "ledger": folder.path}}),
        &[],
    );
    bench.ten_cents().expect("it may go").settle(None, 0);
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
