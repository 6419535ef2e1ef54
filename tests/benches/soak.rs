//! Whether the plugin keeps its memory, files and threads through a million calls, good ones and bad ones.
//!
//! `cargo bench -p tests --bench soak`, or with `-- --calls N` for fewer. The plugin is loaded from its file; the service runs in
//! a process of its own. One call in twenty asks a model that misbehaves, one in forty is dropped in the middle; the profile is
//! replaced every 10,000 calls. It prints how the process grows, and says loudly which calls did not end as they should; it
//! judges nothing. Linux only: it reads `/proc`.

mod soaking;

use std::sync::Arc;
use std::time::Duration;

use plugin_api::{Config, LogOnly, loader};
use serde_json::json;
use tokio::task::JoinSet;

use soaking::ask::ask;
use soaking::case::Cases;
use soaking::report::Report;
use soaking::service::Service;
use soaking::{AT_A_TIME, KEY};

const CALLS: u64 = 1_000_000;
const CALLS_FOR_A_PROFILE: u64 = 10_000;

fn main() {
    let mut words = std::env::args().skip(1);
    let mut n_calls = CALLS;
    while let Some(word) = words.next() {
        match word.as_str() {
            "--calls" => n_calls = words.next().and_then(|n| n.parse().ok()).expect("`--calls N`"),
            // What cargo says to every benchmark.
            "--bench" => {}
            word => panic!("expected `--calls N`, found `{word}`"),
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(soak(n_calls));
}

async fn soak(n_calls: u64) {
    let cases = Cases::new();
    let service = Service::start(&cases.scripts(n_calls));
    let module = loader::load(&tests::openrouter_plugin()).expect("the plugin loads");
    let plugin = module
        .create(Arc::new(LogOnly::new("openrouter")), &profile(&service.base_url, 0))
        .expect("the plugin starts");

    let mut report = Report::new(n_calls, service.process.id());
    let mut asked = JoinSet::new();
    let (mut n_started, mut n_bad) = (0, 0);
    // After the last bad call has begun, good ones go on until it has ended: ten failures in a row without an answer between
    // them would open the circuit, and end calls in another way.
    while n_started < n_calls || n_bad > 0 || !asked.is_empty() {
        while asked.len() < AT_A_TIME && (n_started < n_calls || n_bad > 0) {
            let case = if n_started < n_calls {
                cases.of(n_started)
            } else {
                cases.good(n_started)
            };
            n_bad += u64::from(case.is_bad);
            asked.spawn(ask(plugin.clone(), Arc::clone(case), n_started));
            n_started += 1;
            if n_started.is_multiple_of(CALLS_FOR_A_PROFILE) {
                let profile = profile(&service.base_url, n_started / CALLS_FOR_A_PROFILE);
                plugin.configure(&profile).await.expect("the profile is valid");
            }
        }
        if let Some(ended) = asked.join_next().await {
            let (case, found) = ended.expect("a call does not panic");
            n_bad -= u64::from(case.is_bad);
            report.add(&case, &found);
        }
    }
    report.print_line("all ended");
    plugin.shutdown(Duration::from_secs(5)).await.expect("it shuts down");
    drop(plugin);
    report.print_line("shut down");
    report.print_end();
}

/// The `n`-th profile: the limits change each time, the connections are made anew every other time.
fn profile(base_url: &str, n: u64) -> Config {
    let environment = [("OPENROUTER_API_KEY", KEY), ("OPENROUTER_BASE_URL", base_url)];
    Config {
        options: json!({"timeouts": {
            "connectMs": 5_000 + n / 2 % 2,
            "firstTokenMs": 1_500,
            "idleMs": 1_000 + n % 2,
            "totalMs": 30_000,
        }}),
        environment: environment
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    }
}
