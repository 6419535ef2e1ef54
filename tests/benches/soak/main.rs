//! Whether memory, files and threads stay flat through a million calls, good ones and bad ones.
//!
//! Run `cargo bench -p tests --bench soak`, with `-- --calls N` for fewer calls. The plugin is loaded from its file;
//! the sandbox runs in a process of its own. One call in twenty asks a model that misbehaves, one in forty is dropped
//! in the middle, and the profile is replaced every 10,000 calls. It prints how the process grows and which calls ended
//! unexpectedly, and passes no judgement. Linux only: it reads `/proc`.

// In the order of a run: the kinds of calls, one call, the report on all of them.
mod case;
mod ask;
mod report;

use std::sync::Arc;
use std::time::Duration;

use plugin_api::Config;
use serde_json::json;
use tests::{SandboxProcess, config_at, openrouter, sandbox_binary};
use tokio::task::JoinSet;

use ask::ask;
use case::Cases;
use report::Report;

const CALLS: u64 = 1_000_000;
/// Calls that run at the same time.
const AT_A_TIME: usize = 128;
const CALLS_FOR_A_PROFILE: u64 = 10_000;
/// The key that the sandbox accepts.
const KEY: &str = "sk-or-v1-sandbox-soak";

fn main() {
    let mut words = std::env::args().skip(1);
    let mut n_calls = CALLS;
    while let Some(word) = words.next() {
        match word.as_str() {
            "--calls" => n_calls = words.next().and_then(|n| n.parse().ok()).expect("`--calls N`"),
            // Cargo passes this to every benchmark.
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
    let service = SandboxProcess::start(&sandbox_binary(), KEY, &cases.scripts(n_calls));
    let plugin = openrouter(&profile(&service.base_url, 0));

    let mut report = Report::new(n_calls, service.process.id());
    let mut asked = JoinSet::new();
    let (mut n_started, mut n_bad) = (0, 0);
    // Good calls go on until the last bad one has ended: ten failures in a row without an answer in between would open
    // the circuit breaker and change how calls end.
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

/// The `n`-th profile: its timeouts differ each time, and every other one makes the plugin replace its connections.
fn profile(base_url: &str, n: u64) -> Config {
    let timeouts = json!({
        "connectMs": 5_000 + n / 2 % 2,
        "firstTokenMs": 1_500,
        "idleMs": 1_000 + n % 2,
        "totalMs": 30_000,
    });
    config_at(base_url, KEY, json!({"timeouts": timeouts}))
}
