use std::sync::mpsc;

use plugin_api::{Config, CreditStatus, CreditsRequest, LogOnly, ModelsRequest, PluginModule};
use serde_json::{Value, json};

use super::*;
use crate::kit::{KEY, Service, block_on};
use crate::values::time::milliseconds;

/// A service with a model and a key.
fn service() -> Service {
    Service::start(|path| {
        let body = match path.rsplit('/').next() {
            Some("models") => json!({"data": [{"id": "a/b"}]}),
            _ => json!({"data": {"limit": 10, "limit_remaining": 9}}),
        };
        (200, String::new(), body.to_string())
    })
}

/// How often a service was asked for its models and for the key.
fn n_asked(service: &Service) -> (usize, usize) {
    let heads = service.requests();
    let n = |start: &str| heads.iter().filter(|head| head.starts_with(start)).count();
    (n("GET /api/v1/models "), n("GET /api/v1/key "))
}

/// The parts of a plugin that are refreshed.
struct Bench {
    service: Service,
    settings: Arc<ArcSwap<Settings>>,
    common: Arc<Common>,
    begun: Instant,
    task: Task,
}

impl Bench {
    fn new(options: Value, variable: &str) -> Self {
        let service = service();
        let settings = Arc::new(ArcSwap::new(service.settings(options, &[(VARIABLE, variable)])));
        let common = Arc::<Common>::default();
        let begun = Instant::now();
        let shared = Arc::<Shared>::default();
        shared.used(begun);
        let pace = shared.pace(&settings.load(), &common);
        let task = Task {
            shared,
            settings: Arc::downgrade(&settings),
            common: Arc::downgrade(&common),
            due: Due::after(pace, begun),
        };
        Self {
            service,
            settings,
            common,
            begun,
            task,
        }
    }

    /// Runs a turn at this many milliseconds after the start.
    ///
    /// - Out: the wait that follows, in milliseconds, and how often the service was asked so far.
    fn turn(&mut self, at_ms: u64) -> (Option<u64>, (usize, usize)) {
        let now = self.begun + Duration::from_millis(at_ms);
        let wait = block_on(self.task.turn(now));
        (wait.map(milliseconds), n_asked(&self.service))
    }

    fn used(&self, at_ms: u64) {
        self.task.shared.used(self.begun + Duration::from_millis(at_ms));
    }

    fn configure(&self, variable: &str) {
        let settings = self.service.settings(json!({}), &[(VARIABLE, variable)]);
        self.settings.store(settings);
    }
}

#[test]
fn the_variable_is_an_interval_or_a_word() {
    let every = |interval_ms| Wanted::Every(Duration::from_millis(interval_ms));
    let short = Some("expected at least 1000 milliseconds, found less; using 1000");
    let nonsense =
        Some("expected a whole number of milliseconds, `true` or `false`, found something else; nothing is refreshed");
    let rows = [
        ("", Wanted::Nothing, None),
        ("false", Wanted::Nothing, None),
        ("FALSE", Wanted::Nothing, None),
        ("0", Wanted::Nothing, None),
        ("true", Wanted::BeforeExpiry, None),
        ("True", Wanted::BeforeExpiry, None),
        ("1000", every(1000), None),
        ("60000", every(60_000), None),
        ("999", every(1000), short),
        ("-1", Wanted::Nothing, nonsense),
        ("1.5", Wanted::Nothing, nonsense),
        ("sk-or-v1-mistake", Wanted::Nothing, nonsense),
    ];
    for (text, expected, problem) in rows {
        let (seen, wrong) = wanted(text);
        assert_eq!((seen, wrong.as_deref()), (expected, problem), "{text}");
    }
}

#[test]
fn a_blank_variable_counts_as_unset() {
    let environment = |value: &str| BTreeMap::from([(VARIABLE.to_owned(), value.to_owned())]);
    assert_eq!(value(&environment("  ")), None);
    assert_eq!(value(&environment(" true ")), Some("true"));
    assert_eq!(value(&BTreeMap::new()), None);
}

#[test]
fn both_are_fetched_once_per_interval() {
    let mut bench = Bench::new(json!({}), "5000");
    assert_eq!(bench.turn(0), (Some(5000), (0, 0)));
    assert_eq!(bench.turn(4999), (Some(1), (0, 0)));
    assert_eq!(bench.turn(5000), (Some(5000), (1, 1)));
    assert_eq!(bench.turn(9000), (Some(1000), (1, 1)));
    assert_eq!(bench.turn(10_001), (Some(5000), (2, 2)));
    // The next call finds what was fetched.
    let settings = bench.settings.load_full();
    assert!(bench.common.catalogue.known(&settings).is_some());
    assert!(bench.common.account.credits().known().is_some());
}

#[test]
fn each_is_fetched_when_its_own_time_to_live_ends() {
    let caches = json!({"caches": {"modelsMs": 30_000, "creditsMs": 10_000}});
    let mut bench = Bench::new(caches, "true");
    let seen = [0, 10_000, 20_000, 30_000].map(|at_ms| bench.turn(at_ms));
    let wait = Some(10_000);
    assert_eq!(seen, [(wait, (0, 0)), (wait, (0, 1)), (wait, (0, 2)), (wait, (1, 3))]);
}

#[test]
fn what_is_not_cached_is_not_refreshed() {
    let caches = |credits_ms: u64| json!({"caches": {"modelsMs": 0, "creditsMs": credits_ms}});
    assert_eq!(Bench::new(caches(10), "true").turn(1000), (Some(1000), (0, 1)));
    assert_eq!(Bench::new(caches(0), "true").turn(1000), (None, (0, 0)));
}

#[test]
fn refreshing_stops_after_ten_intervals_without_use() {
    let mut bench = Bench::new(json!({}), "5000");
    assert_eq!(bench.turn(50_000), (Some(5000), (1, 1)));
    bench.used(4000);
    assert_eq!(bench.turn(54_001), (None, (1, 1)));
}

#[test]
fn a_turn_uses_the_latest_settings() {
    let mut bench = Bench::new(json!({}), "3600000");
    // It never sleeps so long that new settings would wait for hours.
    assert_eq!(bench.turn(0), (Some(60_000), (0, 0)));
    bench.used(60_000);
    bench.configure("5000");
    assert_eq!(bench.turn(60_000), (Some(5000), (0, 0)));
    assert_eq!(bench.turn(65_000), (Some(5000), (1, 1)));
    let other = service();
    bench.settings.store(other.settings(json!({}), &[(VARIABLE, "5000")]));
    assert_eq!(bench.turn(70_000), (Some(5000), (1, 1)));
    assert_eq!(n_asked(&other), (1, 1));
    bench.configure("false");
    assert_eq!(bench.turn(75_000), (None, (1, 1)));
}

#[test]
fn a_failed_refresh_is_repeated_at_the_next_interval() {
    let mut bench = Bench::new(json!({}), "5000");
    let away = Service::start(|_| (503, String::new(), String::new()));
    bench.settings.store(away.settings(json!({}), &[(VARIABLE, "5000")]));
    for n_turns in 1..4 {
        let at_ms = 5000 * u64::try_from(n_turns).expect("it is small");
        assert_eq!(bench.turn(at_ms), (Some(5000), (0, 0)));
        assert_eq!(n_asked(&away), (n_turns, n_turns));
    }
}

#[test]
fn the_task_ends_with_the_plugin_and_does_not_keep_it_alive() {
    let mut bench = Bench::new(json!({}), "5000");
    assert_eq!(bench.turn(5000), (Some(5000), (1, 1)));
    let counts = (Arc::strong_count(&bench.common), Arc::strong_count(&bench.settings));
    assert_eq!(counts, (1, 1));
    bench.common = Arc::default();
    assert_eq!(bench.turn(10_000), (None, (1, 1)));
}

#[test]
fn a_use_starts_one_task_if_the_variable_asks_for_it() {
    let runtime = Runtime::start("test").expect("the machine has threads");
    let service = service();
    let common = Arc::<Common>::default();
    let tasks = |variables: &[(&str, &str)]| {
        let refresher = Refresher::default();
        let settings = Arc::new(ArcSwap::new(service.settings(json!({}), variables)));
        refresher.touch(&runtime, &settings, &common);
        refresher.touch(&runtime, &settings, &common);
        let is_running = refresher.shared.is_running.load(Ordering::Relaxed);
        (is_running, Arc::weak_count(&settings))
    };
    assert_eq!(tasks(&[]), (false, 0));
    assert_eq!(tasks(&[(VARIABLE, "false")]), (false, 0));
    assert_eq!(tasks(&[(VARIABLE, "soon")]), (false, 0));
    assert_eq!(tasks(&[(VARIABLE, "3600000")]), (true, 1));
}

#[test]
fn the_next_use_restarts_an_ended_task() {
    let service = service();
    let (refresher, common) = (Refresher::default(), Arc::<Common>::default());
    let settings = Arc::new(ArcSwap::new(service.settings(json!({}), &[(VARIABLE, "3600000")])));
    for _ in 0..2 {
        let runtime = Runtime::start("test").expect("the machine has threads");
        refresher.touch(&runtime, &settings, &common);
        assert!(refresher.shared.is_running.load(Ordering::Relaxed));
        // The end of the runtime ends the task, even while it sleeps.
        block_on(runtime.shutdown(Duration::from_secs(10)));
        assert!(!refresher.shared.is_running.load(Ordering::Relaxed));
    }
}

#[test]
fn a_plugin_refreshes_its_model_list_by_itself() {
    let (asked, was_asked) = mpsc::channel();
    let asked = Mutex::new(asked);
    let service = Service::start(move |path| {
        let mut body = json!({"data": {"limit": 10, "limit_remaining": 9}});
        if path.ends_with("/models") {
            // The test may be over.
            let _ = asked.lock().map(|asked| asked.send(()));
            body = json!({"data": [{"id": "a/b"}, {"id": "c/d"}]});
        }
        (200, String::new(), body.to_string())
    });
    let variables = [("OPENROUTER_API_KEY", KEY), ("OPENROUTER_MODELS", "c/*")];
    let variables = variables.into_iter().chain([(VARIABLE, "1000")]);
    let config = Config {
        options: json!({"baseUrl": service.base_url}),
        environment: variables
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    };
    let module = PluginModule::linked::<crate::OpenRouter>().expect("it fits");
    let plugin = module.create(Arc::new(LogOnly::new("openrouter")), &config);
    let plugin = plugin.expect("good settings");
    let list = block_on(plugin.models(ModelsRequest::default())).expect("a list");
    let ids: Vec<&str> = list.models.iter().map(|model| model.id.as_str()).collect();
    assert_eq!((ids, list.is_stale), (vec!["c/d"], false));
    for _ in 0..2 {
        was_asked.recv_timeout(Duration::from_secs(60)).expect("it asks");
    }
    let credits = block_on(plugin.credits(CreditsRequest { force: true })).expect("an answer");
    assert_eq!(credits.balance_usd.as_deref(), Some("9"));
    assert_eq!(credits.status, CreditStatus::Green);
}
