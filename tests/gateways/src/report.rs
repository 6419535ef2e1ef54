//! The tables, and the conditions under which they were measured.

use std::collections::BTreeSet;
use std::fs;
use std::io::IsTerminal;
use std::path::Path;
use std::process::Command;

use crate::figures::{Latencies, Spread, middle, print_table, short, wide};
use crate::gateway::{Gateway, Places, Sandbox};
use crate::load::{self, Measured, SLOW_STREAMS};
use crate::{Arguments, MIB, Rounds};

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

/// A column of latencies, and how to read it off a round.
pub type Latency = (&'static str, fn(&mut Measured) -> Option<f64>);

pub const WHOLE: [Latency; 2] = [
    ("p50 ms", |measured| measured.whole.percentile_ms(0.5)),
    ("p99 ms", |measured| measured.whole.percentile_ms(0.99)),
];
pub const STREAMS: [Latency; 4] = [
    ("first p50 ms", |measured| measured.first.percentile_ms(0.5)),
    ("first p99 ms", |measured| measured.first.percentile_ms(0.99)),
    ("end p50 ms", |measured| measured.whole.percentile_ms(0.5)),
    ("end p99 ms", |measured| measured.whole.percentile_ms(0.99)),
];

/// A row for each gateway: its latencies, what it adds to each, `unit`s a second, CPU time, failures.
pub fn print_measured(heading: &str, unit: &str, latencies: &[Latency], gateways: &[Gateway], all: Vec<Rounds>) {
    let mut columns = vec!["gateway".to_owned()];
    columns.extend(latencies.iter().map(|(name, _)| (*name).to_owned()));
    columns.extend(latencies.iter().map(|(name, _)| format!("added {name}")));
    columns.extend([format!("{unit}s/s"), format!("CPU ms/{unit}"), "failed".to_owned()]);
    let mut direct: Option<Vec<Figures>> = None;
    let (mut rows, mut notes) = (Vec::new(), Vec::new());
    for (gateway, rounds) in gateways.iter().zip(all) {
        let mut row = vec![gateway.name.to_owned()];
        let mut rounds = match rounds {
            Ok(rounds) => rounds,
            Err(failure) => {
                row.resize(columns.len(), "–".to_owned());
                rows.push(row);
                notes.push(format!("{}: {failure}", gateway.name));
                continue;
            }
        };
        let measured: Vec<Figures> = latencies.iter().map(|(_, of)| figures(&mut rounds, of)).collect();
        row.extend(measured.iter().map(|figures| middle(spread(figures))));
        let is_direct = gateway.process.is_none();
        for (n, figures) in measured.iter().enumerate() {
            let direct = direct.as_ref().filter(|_| !is_direct).map(|direct| &direct[n]);
            row.push(wide(added(figures, direct)));
        }
        row.push(wide(Spread::of(rounds.iter().map(|measured| measured.per_second))));
        row.push(middle(Spread::of(rounds.iter().filter_map(|measured| measured.cpu_ms))));
        let n_failed: usize = rounds.iter().map(|measured| measured.failures).sum();
        row.push(n_failed.to_string());
        rows.push(row);
        if let Some(failure) = rounds.iter().find_map(|measured| measured.first_failure.as_ref()) {
            notes.push(format!("{}: {failure}", gateway.name));
        }
        if is_direct {
            direct = Some(measured);
        }
    }
    progress("");
    print_table(heading, &columns, &rows);
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

pub async fn print_slow(arguments: &Arguments, gateways: &[Gateway], sandbox: &Sandbox) {
    let (mut columns, mut rows, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    for gateway in gateways
        .iter()
        .filter(|gateway| arguments.slow.iter().any(|name| name == gateway.name))
    {
        progress(&format!("slow streams: {}", gateway.name));
        let id = gateway.id().unwrap_or(sandbox.process.id());
        let mut slow = load::slow(&gateway.target, id).await;
        let per_stream = slow.most.saturating_sub(slow.before) as f64 / 1024.0 / SLOW_STREAMS as f64;
        let mib = |bytes: u64| format!("{:.1}", bytes as f64 / MIB);
        let share = |share: f64, latencies: &mut Latencies| {
            latencies.percentile_ms(share).map_or_else(|| "–".to_owned(), short)
        };
        let cells = [
            ("gateway", gateway.name.to_owned()),
            ("whole", slow.whole.to_string()),
            ("lost", slow.lost.to_string()),
            ("mixed", slow.mixed.to_string()),
            ("open at once", slow.open_at_once.to_string()),
            ("first p50 ms", share(0.5, &mut slow.first)),
            ("first p99 ms", share(0.99, &mut slow.first)),
            ("MiB before", mib(slow.before)),
            ("MiB at most", mib(slow.most)),
            ("MiB after", mib(slow.after)),
            ("KiB/stream", format!("{per_stream:.1}")),
            ("CPU s", format!("{:.2}", slow.cpu.as_secs_f64())),
        ];
        columns = cells.each_ref().map(|(name, _)| (*name).to_owned()).into();
        rows.push(Vec::from(cells.map(|(_, cell)| cell)));
        notes.extend(slow.first_failure.map(|failure| format!("{}: {failure}", gateway.name)));
    }
    progress("");
    if rows.is_empty() {
        return;
    }
    print_table(&format!("{SLOW_STREAMS} slow streams at once"), &columns, &rows);
    if rows.iter().any(|row| row[0] == "direct") {
        notes.push("direct: memory and CPU time are the sandbox's.".to_owned());
    }
    print_notes(&notes);
}

pub fn print_conditions(arguments: &Arguments, places: &Places, gateways: &[Gateway], load_before: &str) {
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
        println!("* {}: {}", gateway.name, gateway.is);
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

pub fn progress(line: &str) {
    if std::io::stderr().is_terminal() {
        eprint!("\r{line}\x1b[K");
    }
}
