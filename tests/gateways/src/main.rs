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
mod report;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::builder::PossibleValuesParser;
use clap::{Parser, value_parser};
use client::Failure;
use gateway::{GATEWAYS, Gateway, Places, Sandbox};
use load::{Measured, SLOW_STREAMS};
use process::{cpu_time, n_processes, resident_bytes};
use report::{STREAMS, WHOLE, print_conditions, print_measured, print_slow, progress};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

const CLOSED_AT_A_TIME: [usize; 3] = [1, 16, 64];
const STREAMS_AT_A_TIME: [usize; 2] = [1, 16];
const MIB: f64 = 1024.0 * 1024.0;

/// What a gateway between a program and the service costs.
#[derive(Parser)]
struct Arguments {
    /// Rounds that count
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = value_parser!(u32).range(1..))]
    rounds: u32,
    /// Length of one measurement
    #[arg(long = "seconds", value_name = "S", default_value = "3", value_parser = length)]
    lasts: Duration,
    /// Gateways
    #[arg(long, value_name = "NAME,…", default_value = "direct,ours,litellm,portkey", value_delimiter = ',', value_parser = names())]
    only: Vec<String>,
    #[arg(
        long,
        value_name = "NAME,…",
        default_value = "closed,open,streams,slow",
        value_delimiter = ','
    )]
    #[arg(value_parser = ["closed", "open", "streams", "slow"])]
    loads: Vec<String>,
    /// Requests a second of the open loop
    #[arg(long = "rate", value_name = "N,…", default_value = "50,200", value_delimiter = ',')]
    #[arg(value_parser = value_parser!(u32).range(1..))]
    rates: Vec<u32>,
    /// KiB of text before the question
    #[arg(long, value_name = "N", default_value_t = 0)]
    kib: usize,
    #[arg(long, value_name = "NAME,…", default_value = "ours", value_delimiter = ',', value_parser = names())]
    #[arg(help = format!("Gateways for the {SLOW_STREAMS} slow streams"))]
    slow: Vec<String>,
    /// Threads of the sandbox
    #[arg(long, value_name = "N", default_value_t = 1)]
    sandbox_threads: usize,
    /// With sandbox, agent-host and the plugin, instead of target/release
    #[arg(long, value_name = "FOLDER", value_parser = |path: &str| std::path::absolute(path))]
    programs: Option<PathBuf>,
}

impl Arguments {
    fn measures(&self, load: &str) -> bool {
        self.loads.iter().any(|name| name == load)
    }
}

/// The names of the gateways. The long help describes each.
fn names() -> PossibleValuesParser {
    GATEWAYS
        .iter()
        .map(|(name, is, _)| clap::builder::PossibleValue::new(name).help(is))
        .into()
}

fn length(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|_| "expected a number of seconds")?;
    let length = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    if length < Duration::from_millis(100) {
        return Err("too little to measure".to_owned());
    }
    Ok(length)
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
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
    let chosen = GATEWAYS
        .iter()
        .filter(|(name, ..)| arguments.only.iter().any(|only| only == name));
    for gateway @ (name, is, _) in chosen {
        progress(&format!("starting {name}"));
        match gateway::start(gateway, &sandbox, &places).await {
            Ok(gateway) => gateways.push(gateway),
            Err(failure) => missing.push(format!("* {name}, {is}: skipped, {failure}")),
        }
    }
    print_conditions(arguments, &places, &gateways, &load_before);
    if gateways.is_empty() {
        return Err(missing.join("\n").into());
    }
    for load in loads(arguments) {
        let (unit, latencies) = match load {
            Load::Closed(_) | Load::Open(_) => ("answer", &WHOLE[..]),
            Load::Streams(_) => ("stream", &STREAMS[..]),
        };
        let rounds = rounds(load, arguments, &gateways).await;
        print_measured(&load.heading(), unit, latencies, &gateways, rounds);
    }
    if arguments.measures("slow") {
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

/// What is measured in rounds: by connections that ask at a time, or by requests a second.
#[derive(Clone, Copy)]
enum Load {
    Closed(usize),
    Open(u32),
    Streams(usize),
}

impl Load {
    fn heading(self) -> String {
        match self {
            Self::Closed(at_a_time) => format!("Whole answers, closed loop, {at_a_time} at a time"),
            Self::Open(per_second) => format!("Whole answers, open loop, {per_second} a second"),
            Self::Streams(at_a_time) => format!("Streams of {} chunks, {at_a_time} at a time", load::CHUNKS),
        }
    }
}

fn loads(arguments: &Arguments) -> impl Iterator<Item = Load> {
    let loads: [(&str, Vec<Load>); 3] = [
        ("closed", CLOSED_AT_A_TIME.map(Load::Closed).into()),
        ("open", arguments.rates.iter().copied().map(Load::Open).collect()),
        ("streams", STREAMS_AT_A_TIME.map(Load::Streams).into()),
    ];
    let chosen = loads.into_iter().filter(|(name, _)| arguments.measures(name));
    chosen.flat_map(|(_, loads)| loads)
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
        Load::Closed(at_a_time) => load::closed(target, id, (false, arguments.kib), at_a_time, lasts).await,
        Load::Streams(at_a_time) => load::closed(target, id, (true, arguments.kib), at_a_time, lasts).await,
        Load::Open(per_second) => load::open(target, id, arguments.kib, per_second, lasts).await,
    }
}
