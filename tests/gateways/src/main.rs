//! What a gateway between a program and the service costs: ours, third-party ones, and none.
//!
//! ```text
//! cargo build --release        # in the workspace: this measures what lies in target/release
//! tests/gateways/install       # the others, pinned
//! cd tests/gateways && CARGO_TARGET_DIR=../../target cargo run --release --locked
//! ```
//!
//! prints Markdown after about eight minutes. `-- --help` lists what can be skipped. Use a quiet machine: the
//! figures in brackets show how far the rounds differ. The benchmark has no thresholds.
//!
//! # What is measured
//!
//! All gateways run all the time, and only one is under load. A round measures each once, `direct` included; the
//! next round goes in reverse order. *Added* is the difference to `direct` in the same round. Tables show the
//! median over the rounds, or the median, smallest and largest. One more round, before the others, is not counted.
//!
//! * Whole answers, closed loop: each connection asks again as soon as it has its answer. With 64 that is the
//!   throughput of the machine, with all that runs on it: gateway, client and sandbox share the cores.
//! * Whole answers, open loop: requests begin at fixed times, whether or not earlier ones are done, and latency counts
//!   from those times.
//! * Streams of 200 chunks, one write each, as fast as possible: time to the first bytes of the body, and to its end.
//! * 1,000 slow streams at once: memory, and whether each arrives complete and with its own text.
//!
//! CPU time and memory are those of the gateway's processes and their children; CPU time counts in ticks of 10 ms.
//!
//! # What is the same for all
//!
//! One sandbox, one client, one thread each. HTTP/1.1 on loopback without TLS, kept connections, the same bodies.
//! Each answer is checked: an incomplete one counts as failed. No gateway has a database, a cache or telemetry.
//! Access logs are off where a gateway has one. `ours` and LiteLLM check a token and replace it by the service's
//! key; Portkey passes the key on, and each request tells it where to.

mod client;
mod figures;
mod gateway;
mod load;
mod process;

use std::collections::BTreeSet;
use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use client::Failure;
use figures::{Spread, middle, print_table, short, wide};
use gateway::{Gateway, NAMES, Places, Sandbox, USUAL};
use load::{Measured, SLOW_STREAMS};
use process::{cpu_time, n_processes, resident_bytes};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

const LOADS: [&str; 4] = ["closed", "open", "streams", "slow"];
const CLOSED_AT_A_TIME: [usize; 3] = [1, 16, 64];
const STREAMS_AT_A_TIME: [usize; 2] = [1, 16];
const MIB: f64 = 1024.0 * 1024.0;

struct Arguments {
    rounds: usize,
    lasts: Duration,
    rates: Vec<u32>,
    kib: usize,
    sandbox_threads: usize,
    only: Vec<&'static str>,
    loads: Vec<&'static str>,
    slow: Vec<&'static str>,
    programs: Option<PathBuf>,
}

fn help() -> String {
    let names: Vec<String> = NAMES.iter().map(|(name, is)| format!("  {name:<16} {is}\n")).collect();
    format!(
        "--rounds N            rounds that count (5)\n\
         --seconds S           length of one measurement (3)\n\
         --only NAME,…         gateways ({usual})\n\
         --loads NAME,…        of {loads} (all)\n\
         --rate N,…            requests a second of the open loop (50,200)\n\
         --kib N               KiB of text before the question (0)\n\
         --slow NAME,…         gateways for the {SLOW_STREAMS} slow streams (ours)\n\
         --sandbox-threads N   threads of the sandbox (1)\n\
         --programs FOLDER     with sandbox, agent-host and the plugin (target/release)\n\nGateways:\n{names}",
        usual = USUAL.join(","),
        loads = LOADS.join(","),
        names = names.concat(),
    )
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Self {
            rounds: 5,
            lasts: Duration::from_secs(3),
            rates: vec![50, 200],
            kib: 0,
            sandbox_threads: 1,
            only: USUAL.to_vec(),
            loads: LOADS.to_vec(),
            slow: vec!["ours"],
            programs: None,
        };
        let names = NAMES.map(|(name, _)| name);
        while let Some(flag) = words.next() {
            let value = words.next().ok_or_else(|| format!("`{flag}` needs a value"))?;
            match flag.as_str() {
                "--rounds" => arguments.rounds = number(&value)?,
                "--seconds" => arguments.lasts = Duration::from_secs_f64(number(&value)?),
                "--rate" => arguments.rates = value.split(',').map(number).collect::<Result<_, _>>()?,
                "--kib" => arguments.kib = number(&value)?,
                "--sandbox-threads" => arguments.sandbox_threads = number(&value)?,
                "--only" => arguments.only = chosen(&value, &names)?,
                "--slow" => arguments.slow = chosen(&value, &names)?,
                "--programs" => {
                    arguments.programs = Some(std::path::absolute(&value).map_err(|error| error.to_string())?)
                }
                "--loads" => arguments.loads = chosen(&value, &LOADS)?,
                _ => return Err(format!("unknown flag `{flag}`")),
            }
        }
        if arguments.rounds == 0 || arguments.lasts < Duration::from_millis(100) || arguments.rates.contains(&0) {
            return Err("too little to measure".to_owned());
        }
        Ok(arguments)
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("expected a number, found `{text}`"))
}

fn chosen(text: &str, all: &[&'static str]) -> Result<Vec<&'static str>, String> {
    let find = |word: &str| all.iter().copied().find(|name| *name == word);
    text.split(',')
        .map(|word| find(word).ok_or_else(|| format!("expected one of {}, found `{word}`", all.join(", "))))
        .collect()
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--help" || word == "-h") {
        print!("{}", help());
        return ExitCode::SUCCESS;
    }
    let arguments = match Arguments::parse(words.into_iter()) {
        Ok(arguments) => arguments,
        Err(problem) => {
            eprint!("error: {problem}\n\n{}", help());
            return ExitCode::from(2);
        }
    };
    // There will be three thousand connections, counted at both ends; child processes inherit the limit.
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    let _ = setrlimit(Resource::Nofile, files);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = runtime.map_err(Failure::from).and_then(|runtime| {
        runtime.block_on(async {
            let mut terminate = signal(SignalKind::terminate())?;
            // Dropping the run ends every process that it started.
            tokio::select! {
                ended = run(&arguments) => ended,
                _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
                _ = terminate.recv() => Err("interrupted".into()),
            }
        })
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let load_before = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let began = Instant::now();
    let folder = tempfile::Builder::new().prefix("gateways-").tempdir()?;
    let places = Places::new(folder.path().to_owned(), arguments.programs.clone());
    let sandbox = Sandbox::start(&places, arguments.sandbox_threads).await?;

    let (mut gateways, mut missing) = (Vec::new(), Vec::new());
    // Each once, in the order of the table.
    let names = NAMES.iter().filter(|(name, _)| arguments.only.contains(name));
    for (name, is) in names {
        progress(&format!("starting {name}"));
        match gateway::start(name, &sandbox, &places).await {
            Ok(gateway) => gateways.push(gateway),
            Err(failure) => missing.push(format!("* {name}, {is}: skipped, {failure}")),
        }
    }
    print_conditions(arguments, &places, &gateways, &load_before);
    if gateways.is_empty() {
        return Err(missing.join("\n").into());
    }
    let has = |load| arguments.loads.contains(&load);

    if has("closed") {
        for at_a_time in CLOSED_AT_A_TIME {
            let load = Load::Closed { at_a_time };
            let heading = format!("Whole answers, closed loop, {at_a_time} at a time");
            print_whole(&heading, &gateways, &rounds(load, arguments, &gateways).await);
        }
    }
    if has("open") {
        for &per_second in &arguments.rates {
            let load = Load::Open { per_second };
            let heading = format!("Whole answers, open loop, {per_second} a second");
            print_whole(&heading, &gateways, &rounds(load, arguments, &gateways).await);
        }
    }
    if has("streams") {
        for at_a_time in STREAMS_AT_A_TIME {
            let load = Load::Streams { at_a_time };
            let heading = format!("Streams of {} chunks, {at_a_time} at a time", load::CHUNKS);
            print_streams(&heading, &gateways, &rounds(load, arguments, &gateways).await);
        }
    }
    if has("slow") {
        print_slow(arguments, &gateways, &sandbox).await;
    }
    progress("");

    println!("\nAfter {:.0} s:", began.elapsed().as_secs_f64());
    for gateway in &gateways {
        if let Some(process) = &gateway.process {
            println!(
                "* {}: {} processes, {:.0} MiB resident",
                gateway.name,
                n_processes(process.id()),
                resident_bytes(process.id()) as f64 / MIB
            );
        }
    }
    println!(
        "* CPU time of the sandbox {:.1} s, of the client {:.1} s",
        cpu_time(sandbox.process.id()).as_secs_f64(),
        own_cpu_time().as_secs_f64()
    );
    for line in missing {
        println!("{line}");
    }
    Ok(())
}

/// CPU time of this process without its children.
fn own_cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

#[derive(Clone, Copy)]
enum Load {
    Closed { at_a_time: usize },
    Open { per_second: u32 },
    Streams { at_a_time: usize },
}

/// The rounds of one gateway, or why it dropped out.
type Rounds = Result<Vec<Measured>, String>;

/// Measures each gateway once a round, in alternating order.
async fn rounds(load: Load, arguments: &Arguments, gateways: &[Gateway]) -> Vec<Rounds> {
    let mut all: Vec<Rounds> = gateways.iter().map(|_| Ok(Vec::new())).collect();
    for round in 0..=arguments.rounds {
        let mut order: Vec<usize> = (0..gateways.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for n in order {
            let (gateway, Ok(done)) = (&gateways[n], &mut all[n]) else {
                continue;
            };
            progress(&format!("round {round} of {}: {}", arguments.rounds, gateway.name));
            // Leftover work of the previous measurement finishes here, uncounted.
            tokio::time::sleep(Duration::from_millis(50)).await;
            match measure(load, arguments, gateway).await {
                Ok(measured) if round > 0 => done.push(measured),
                Ok(_) => {}
                Err(failure) => all[n] = Err(failure.to_string()),
            }
        }
    }
    all
}

async fn measure(load: Load, arguments: &Arguments, gateway: &Gateway) -> Result<Measured, Failure> {
    let (target, id, lasts) = (&gateway.target, gateway.id(), arguments.lasts);
    match load {
        Load::Closed { at_a_time } => load::closed(target, id, (false, arguments.kib), at_a_time, lasts).await,
        Load::Streams { at_a_time } => load::closed(target, id, (true, arguments.kib), at_a_time, lasts).await,
        Load::Open { per_second } => load::open(target, id, arguments.kib, per_second, lasts).await,
    }
}

/// One figure a round; `None` where a round has none.
type Figures = Vec<Option<f64>>;

fn figures(rounds: &mut [Measured], figure: impl Fn(&mut Measured) -> Option<f64>) -> Figures {
    rounds.iter_mut().map(figure).collect()
}

fn spread(figures: &Figures) -> Option<Spread> {
    Spread::of(figures.iter().copied().flatten())
}

/// How much more than `direct` in the same round.
fn added(figures: &Figures, direct: Option<&Figures>) -> Option<Spread> {
    let pairs = figures.iter().zip(direct?);
    Spread::of(pairs.filter_map(|(figure, direct)| Some((*figure)? - (*direct)?)))
}

fn print_whole(heading: &str, gateways: &[Gateway], all: &[Rounds]) {
    let columns = [
        "gateway",
        "p50 ms",
        "p99 ms",
        "added p50 ms",
        "added p99 ms",
        "answers/s",
        "CPU ms/answer",
        "failed",
    ];
    print_measured(
        heading,
        &columns,
        gateways,
        all,
        &[
            |measured| measured.whole.percentile_ms(0.5),
            |measured| measured.whole.percentile_ms(0.99),
        ],
    );
}

fn print_streams(heading: &str, gateways: &[Gateway], all: &[Rounds]) {
    let columns = [
        "gateway",
        "first p50 ms",
        "first p99 ms",
        "end p50 ms",
        "end p99 ms",
        "added first p50 ms",
        "added first p99 ms",
        "added end p50 ms",
        "added end p99 ms",
        "streams/s",
        "CPU ms/stream",
        "failed",
    ];
    print_measured(
        heading,
        &columns,
        gateways,
        all,
        &[
            |measured| measured.first.percentile_ms(0.5),
            |measured| measured.first.percentile_ms(0.99),
            |measured| measured.whole.percentile_ms(0.5),
            |measured| measured.whole.percentile_ms(0.99),
        ],
    );
}

/// A row for each gateway: its latencies, what it adds to each, answers a second, CPU time, failures.
fn print_measured(
    heading: &str,
    columns: &[&str],
    gateways: &[Gateway],
    all: &[Rounds],
    latencies: &[fn(&mut Measured) -> Option<f64>],
) {
    let mut direct: Option<Vec<Figures>> = None;
    let (mut rows, mut notes) = (Vec::new(), Vec::new());
    for (gateway, rounds) in gateways.iter().zip(all) {
        let rounds = match rounds {
            Ok(rounds) => rounds,
            Err(failure) => {
                let mut row = vec![gateway.name.to_owned()];
                row.resize(columns.len(), "–".to_owned());
                rows.push(row);
                notes.push(format!("{}: {failure}", gateway.name));
                continue;
            }
        };
        // Percentiles need mutable rounds, because they sort.
        let mut rounds: Vec<Measured> = rounds.iter().map(Measured::clone).collect();
        let measured: Vec<Figures> = latencies.iter().map(|latency| figures(&mut rounds, latency)).collect();
        let mut row = vec![gateway.name.to_owned()];
        row.extend(measured.iter().map(|figures| middle(spread(figures))));
        let is_direct = gateway.process.is_none();
        for (n, figures) in measured.iter().enumerate() {
            let direct = direct.as_ref().filter(|_| !is_direct).map(|direct| &direct[n]);
            row.push(wide(added(figures, direct)));
        }
        row.push(wide(Spread::of(rounds.iter().map(|measured| measured.per_second))));
        row.push(middle(spread(&figures(&mut rounds, |measured| measured.cpu_ms))));
        row.push(
            rounds
                .iter()
                .map(|measured| measured.failures)
                .sum::<usize>()
                .to_string(),
        );
        rows.push(row);
        if let Some(failure) = rounds.iter().find_map(|measured| measured.first_failure.as_ref()) {
            notes.push(format!("{}: {failure}", gateway.name));
        }
        if is_direct {
            direct = Some(measured);
        }
    }
    progress("");
    print_table(heading, columns, &rows);
    print_notes(&notes);
}

fn print_notes(notes: &[String]) {
    if !notes.is_empty() {
        println!();
    }
    for note in notes {
        println!("* {}", note.replace('\n', " "));
    }
}

async fn print_slow(arguments: &Arguments, gateways: &[Gateway], sandbox: &Sandbox) {
    let (mut rows, mut notes) = (Vec::new(), Vec::new());
    for gateway in gateways.iter().filter(|gateway| arguments.slow.contains(&gateway.name)) {
        progress(&format!("slow streams: {}", gateway.name));
        let id = gateway.id().unwrap_or(sandbox.process.id());
        let mut slow = load::slow(&gateway.target, id).await;
        let per_stream = slow.most.saturating_sub(slow.before) as f64 / 1024.0 / SLOW_STREAMS as f64;
        let mib = |bytes: u64| format!("{:.1}", bytes as f64 / MIB);
        rows.push(vec![
            gateway.name.to_owned(),
            slow.whole.to_string(),
            slow.lost.to_string(),
            slow.mixed.to_string(),
            slow.open_at_once.to_string(),
            slow.first.percentile_ms(0.5).map_or_else(|| "–".to_owned(), short),
            slow.first.percentile_ms(0.99).map_or_else(|| "–".to_owned(), short),
            mib(slow.before),
            mib(slow.most),
            mib(slow.after),
            format!("{per_stream:.1}"),
            format!("{:.2}", slow.cpu.as_secs_f64()),
        ]);
        notes.extend(slow.first_failure.map(|failure| format!("{}: {failure}", gateway.name)));
    }
    progress("");
    if rows.is_empty() {
        return;
    }
    let columns = [
        "gateway",
        "whole",
        "lost",
        "mixed",
        "open at once",
        "first p50 ms",
        "first p99 ms",
        "MiB before",
        "MiB at most",
        "MiB after",
        "KiB/stream",
        "CPU s",
    ];
    print_table(&format!("{SLOW_STREAMS} slow streams at once"), &columns, &rows);
    if rows.iter().any(|row| row[0] == "direct") {
        notes.push("direct: memory and CPU time are the sandbox's.".to_owned());
    }
    print_notes(&notes);
}

fn print_conditions(arguments: &Arguments, places: &Places, gateways: &[Gateway], load_before: &str) {
    progress("");
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let cpu = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "* {}, {cores} cores, Linux {}, load before {}",
        cpu.map_or("unknown CPU", |(_, name)| name.trim()),
        read("/proc/sys/kernel/osrelease").trim(),
        load_before.split(' ').next().unwrap_or_default()
    );
    println!(
        "* {} rounds of {} s each, in alternating order; {} KiB before the question; sandbox with {} thread(s)",
        arguments.rounds,
        arguments.lasts.as_secs_f64(),
        arguments.kib,
        arguments.sandbox_threads
    );
    let versions: BTreeSet<String> = gateways.iter().filter_map(|one| version_of(one.name, places)).collect();
    for version in versions {
        println!("* {version}");
    }
    for gateway in gateways {
        let is = NAMES.iter().find(|(name, _)| *name == gateway.name);
        println!("* {}: {}", gateway.name, is.map_or("", |(_, is)| is));
    }
}

fn version_of(name: &str, places: &Places) -> Option<String> {
    let said_by = |program: &Path, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        (!text.is_empty()).then_some(text)
    };
    let said = |program: &Path| said_by(program, &["--version"]);
    match name {
        "direct" => said(&places.release.join("sandbox")),
        "ours" => said(&places.release.join("agent-host")),
        "portkey" => {
            let file = places
                .peers
                .join("portkey/node_modules/@portkey-ai/gateway/package.json");
            let package: serde_json::Value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
            let version = package.get("version")?.as_str()?;
            let node = said(Path::new("node"))?;
            Some(format!("@portkey-ai/gateway {version} on Node.js {node}"))
        }
        _ => {
            let python = places.peers.join("litellm/bin/python");
            let asks = "import importlib.metadata as m; print(m.version('litellm'))";
            let version = said_by(&python, &["-c", asks])?;
            Some(format!("litellm {version} on {}", said(&python)?))
        }
    }
}

fn progress(line: &str) {
    if std::io::stderr().is_terminal() {
        eprint!("\r{line}\x1b[K");
    }
}
