//! What an answer costs by several ways: in CPU time of this process, and in memory for each idle stream.
//!
//! Shared by the bench `way` and by `tests/peers`, which adds the clients that others have written. The service runs in a
//! process of its own, so its work is not counted. Each round runs every way once, in turn; the table has the medians.
//! Linux only: it reads `/proc`.

// In the order of a run: who asks, what is asked, of whom, what it cost, how it is shown, what was not checked for it.
mod way;
mod client;
mod load;
mod service;
mod cost;
mod table;
mod broken;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use plugin_api::{Config, LogOnly, Plugin, loader};
use serde_json::json;

use self::load::LOADS;
use self::service::Service;
use self::table::{Cell, Table};
#[allow(unused_imports, reason = "without peers, nobody outside asks")]
pub use self::way::{Ask, Failure, Heard, Way};

/// The key that the service accepts; long enough for the clients that count its letters.
pub const KEY: &str = "sk-or-v1-sandbox-benchmark";

/// Rounds that are counted, unless `--rounds` says otherwise.
const ROUNDS: usize = 7;
/// First argument of the process that holds the idle streams of one way.
const IDLE: &str = "--idle";

/// What has to be built before.
pub struct Programs {
    /// The library of the plugin.
    pub plugin: PathBuf,
    /// The binary of the service.
    pub sandbox: PathBuf,
}

/// One row of the table: a way, or why there is none.
pub struct Row {
    pub name: &'static str,
    pub way: Result<Arc<dyn Way>, Failure>,
}

/// Runs the benchmark and prints the table.
///
/// - In: the arguments of the process. `--rounds N` sets how many rounds count; a word runs only the loads whose name
///   contains it. `peers` makes further ways to ask the service at a base URL.
pub fn run(programs: impl FnOnce() -> Programs, peers: fn(&str) -> Vec<Row>) {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    if let [flag, name, base_url, plugin] = &arguments[..]
        && flag == IDLE
    {
        let way = rows(base_url, plugin.as_ref(), peers)
            .into_iter()
            .find(|row| row.name == name)
            .map(|row| row.way.expect("it was made before"));
        match runtime.block_on(cost::resident_bytes_per_stream(&way.expect("the name is of a row"))) {
            Ok(bytes) => println!("{bytes}"),
            Err(failure) => eprint!("{failure}"),
        }
        // The streams are open; nobody waits for them.
        std::process::exit(0);
    }

    let mut words = arguments.iter();
    let (mut rounds, mut only) = (ROUNDS, "");
    while let Some(word) = words.next() {
        match word.as_str() {
            "--rounds" => rounds = words.next().and_then(|n| n.parse().ok()).expect("`--rounds N`"),
            // What cargo says to every benchmark.
            "--bench" => {}
            word => only = word,
        }
    }

    let programs = programs();
    let service = Service::start(&programs.sandbox);
    let rows = rows(&service.base_url, &programs.plugin, peers);
    let mut table = Table::new(rows.iter().map(|row| row.name).collect(), rounds);
    for load in LOADS.iter().filter(|load| load.name().contains(only)) {
        let mut costs = vec![Vec::new(); rows.len()];
        let mut failures: Vec<_> = rows.iter().map(reason_not_made).collect();
        for round in 0..=rounds {
            progress(&format!("{}: round {round} of {rounds}", load.name()));
            for (n, row) in rows.iter().enumerate() {
                let (Ok(way), None) = (&row.way, &failures[n]) else {
                    continue;
                };
                match runtime.block_on(cost::cpu_us(load, way)) {
                    // The first round warms connections, caches and the allocator.
                    Ok(spent) if round > 0 => costs[n].push(spent),
                    Ok(_) => {}
                    Err(failure) => failures[n] = Some(failure.to_string()),
                }
            }
        }
        table.add(load.heading(), cells(costs, failures));
    }
    if load::IDLE_NAME.contains(only) {
        let mut costs = vec![Vec::new(); rows.len()];
        let mut failures: Vec<_> = rows.iter().map(reason_not_made).collect();
        for round in 1..=rounds {
            progress(&format!("{}: round {round} of {rounds}", load::IDLE_NAME));
            for (n, row) in rows.iter().enumerate() {
                let (Ok(way), None) = (&row.way, &failures[n]) else {
                    continue;
                };
                if !way.reads_text() {
                    continue;
                }
                match resident_kib_in_a_process_of_its_own(row.name, &service.base_url, &programs.plugin) {
                    Ok(kib) => costs[n].push(kib),
                    Err(failure) => failures[n] = Some(failure.to_string()),
                }
            }
        }
        table.add(load::idle_heading(), cells(costs, failures));
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

fn progress(line: &str) {
    if std::io::stderr().is_terminal() {
        eprint!("\r{line}\x1b[K");
    }
}

fn reason_not_made(row: &Row) -> Option<String> {
    row.way.as_ref().err().map(ToString::to_string)
}

fn cells(costs: Vec<Vec<f64>>, failures: Vec<Option<String>>) -> Vec<Cell> {
    let cell = |(costs, failure)| match failure {
        Some(reason) => Cell::NotRun(reason),
        None => Cell::from_costs(costs),
    };
    costs.into_iter().zip(failures).map(cell).collect()
}

/// A process in which nothing has run yet has no freed memory that the streams could hide in.
fn resident_kib_in_a_process_of_its_own(name: &str, base_url: &str, plugin: &Path) -> Result<f64, Failure> {
    let output = Command::new(std::env::current_exe()?)
        .args([IDLE, name, base_url])
        .arg(plugin)
        .stdin(Stdio::null())
        .output()?;
    let told = String::from_utf8_lossy(&output.stdout);
    let bytes: f64 = told
        .trim()
        .parse()
        .map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned())?;
    Ok(bytes / 1024.0)
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
