//! What an answer costs over several ways: CPU time of this process, and memory for each idle stream.
//!
//! The bench `way` and `tests/peers` share this; the latter adds clients from other projects. The sandbox runs in a
//! process of its own, so its work is not counted. Each round runs every way once, in turn; the table shows medians.
//! Linux only: it reads `/proc`.

// In the order of a run: who asks, what, whom, at what cost, how it is shown, and who notices broken streams.
mod way;
mod client;
mod load;
#[path = "../../src/sandbox_process.rs"]
mod sandbox_process;
#[path = "../../src/measure.rs"]
mod measure;
mod cost;
mod table;
mod broken;

use std::io::IsTerminal;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use plugin_api::{Config, LogOnly, Plugin, loader};
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use self::load::{LOADS, scripts};
use self::sandbox_process::SandboxProcess;
use self::table::{Cell, Table};
#[allow(unused_imports, reason = "only `tests/peers` uses them from outside")]
pub use self::way::{Ask, Failure, Heard, Way};

/// The key that the sandbox accepts; long enough for clients that check its length.
pub const KEY: &str = "sk-or-v1-sandbox-benchmark";

/// The default number of rounds that count.
const ROUNDS: usize = 7;
/// The first argument of a process that opens the idle streams of one way.
const IDLE: &str = "--idle";

/// What has to be built first.
pub struct Programs {
    /// The plugin's library.
    pub plugin: PathBuf,
    /// The sandbox's binary.
    pub sandbox: PathBuf,
}

/// One row of the table: a way, or the reason why there is none.
pub struct Row {
    pub name: &'static str,
    pub way: Result<Arc<dyn Way>, Failure>,
}

/// Runs the benchmark and prints the table.
///
/// - In: the arguments of the process. `--rounds N` sets how many rounds count; any other word selects the loads whose
///   name contains it. `peers` makes further ways to ask the service at a base URL.
pub fn run(programs: impl FnOnce() -> Programs, peers: fn(&str) -> Vec<Row>) {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    if let [flag, name, base_url, plugin] = &arguments[..]
        && flag == IDLE
    {
        let rows = rows(base_url, plugin.as_ref(), peers);
        hold_idle_streams(&runtime, rows, name);
    }

    let (rounds, only) = rounds_and_filter(&arguments);
    let programs = programs();
    let service = SandboxProcess::start(&programs.sandbox, KEY, &scripts());
    let rows = rows(&service.base_url, &programs.plugin, peers);
    let mut table = Table::new(rows.iter().map(|row| row.name).collect(), rounds);
    for load in LOADS.iter().filter(|load| load.name().contains(only)) {
        // Round 0 warms up connections, caches and the allocator, and does not count.
        let cells = measured(&rows, &load.name(), 0..=rounds, |_, way| {
            runtime.block_on(cost::cpu_us(load, way)).map(Some)
        });
        table.add(load.heading(), cells);
    }
    if load::IDLE_NAME.contains(only) {
        let cells = measured(&rows, load::IDLE_NAME, 1..=rounds, |name, way| {
            if !way.reads_text() {
                return Ok(None);
            }
            resident_kib_in_a_process_of_its_own(name, &service.base_url, &programs.plugin).map(Some)
        });
        table.add(load::idle_heading(), cells);
    }
    progress("");
    table.print();
    if only.is_empty() {
        let ways: Vec<_> = rows
            .iter()
            .filter_map(|row| Some((row.name, row.way.as_ref().ok()?)))
            .filter(|(_, way)| way.reads_text())
            .collect();
        runtime.block_on(broken::print(&ways));
    }
}

/// Opens the idle streams of one row, prints what they cost, and exits while they are open.
fn hold_idle_streams(runtime: &Runtime, rows: Vec<Row>, name: &str) -> ! {
    let row = rows
        .into_iter()
        .find(|row| row.name == name)
        .expect("the name of a row");
    let way = row.way.expect("it was made before");
    match runtime.block_on(cost::resident_kib_per_stream(&way)) {
        Ok(kib) => println!("{kib}"),
        Err(failure) => eprint!("{failure}"),
    }
    std::process::exit(0);
}

fn rounds_and_filter(arguments: &[String]) -> (usize, &str) {
    let mut words = arguments.iter();
    let (mut rounds, mut only) = (ROUNDS, "");
    while let Some(word) = words.next() {
        match word.as_str() {
            "--rounds" => rounds = words.next().and_then(|n| n.parse().ok()).expect("`--rounds N`"),
            // Cargo passes this to every benchmark.
            "--bench" => {}
            word => only = word,
        }
    }
    (rounds, only)
}

/// Measures each row once a round, row after row, so that a disturbance hits all of them. Round 0 does not count.
///
/// - In: `cost`, which returns `None` where there is nothing to measure for a row.
fn measured(
    rows: &[Row],
    load: &str,
    rounds: RangeInclusive<usize>,
    cost: impl Fn(&str, &Arc<dyn Way>) -> Result<Option<f64>, Failure>,
) -> Vec<Cell> {
    let mut costs = vec![Vec::new(); rows.len()];
    let mut failures: Vec<_> = rows.iter().map(reason_not_made).collect();
    let last = *rounds.end();
    for round in rounds {
        progress(&format!("{load}: round {round} of {last}"));
        for (n, row) in rows.iter().enumerate() {
            let (Ok(way), None) = (&row.way, &failures[n]) else {
                continue;
            };
            match cost(row.name, way) {
                Ok(Some(spent)) if round > 0 => costs[n].push(spent),
                Ok(_) => {}
                Err(failure) => failures[n] = Some(failure.to_string()),
            }
        }
    }
    let cell = |(costs, failure)| match failure {
        Some(reason) => Cell::NotRun(reason),
        None => Cell::from_costs(costs),
    };
    costs.into_iter().zip(failures).map(cell).collect()
}

fn progress(line: &str) {
    if std::io::stderr().is_terminal() {
        eprint!("\r{line}\x1b[K");
    }
}

fn reason_not_made(row: &Row) -> Option<String> {
    row.way.as_ref().err().map(ToString::to_string)
}

/// Measures in a new process, which has no freed memory yet that would hide the streams.
fn resident_kib_in_a_process_of_its_own(name: &str, base_url: &str, plugin: &Path) -> Result<f64, Failure> {
    let output = Command::new(std::env::current_exe()?)
        .args([IDLE, name, base_url])
        .arg(plugin)
        .stdin(Stdio::null())
        .output()?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let kib = printed.trim().parse();
    Ok(kib.map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned())?)
}

fn rows(base_url: &str, plugin_file: &Path, peers: fn(&str) -> Vec<Row>) -> Vec<Row> {
    let url = format!("{base_url}/chat/completions");
    let new_client = || client::Client::new(url.clone());
    let mut rows = vec![
        Row {
            name: "(a) reqwest, discarded",
            way: Ok(Arc::new(way::Discard(new_client()))),
        },
        Row {
            name: table::PARSED,
            way: Ok(Arc::new(way::Parse(new_client()))),
        },
        Row {
            name: table::APART,
            // A pool belongs to the runtime that made its connections.
            way: Ok(Arc::new(way::Apart(new_client(), way::second_runtime()))),
        },
        Row {
            name: table::PLUGIN,
            way: Ok(Arc::new(plugin(base_url, plugin_file))),
        },
    ];
    rows.extend(peers(base_url));
    rows
}

fn plugin(base_url: &str, file: &Path) -> Plugin {
    let module = loader::load(file).expect("the plugin loads");
    let environment = [("OPENROUTER_API_KEY", KEY), ("OPENROUTER_BASE_URL", base_url)];
    let config = Config {
        options: json!({}),
        environment: environment
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    };
    module
        .create(Arc::new(LogOnly::new("openrouter")), &config)
        .expect("the plugin starts")
}
