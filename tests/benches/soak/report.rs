//! Counts the calls, measures the process, and prints both.

use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;

use tests::{load_average, status};

use crate::AT_A_TIME;
use crate::ask::{Found, HANGS_AFTER};
use crate::case::{Case, Outcome};

const CALLS_FOR_A_LINE: u64 = 50_000;
/// Calls between two samples of the process: few enough to even out its ups and downs.
const CALLS_FOR_A_SAMPLE: u64 = 5_000;
/// Unexpected calls that are printed in full.
const PRINTED: u64 = 20;

/// The counts and measurements so far.
pub struct Report {
    /// Calls to make; there may be a few more.
    n_calls: u64,
    /// The sandbox's process.
    service_id: u32,
    begun: Instant,
    n_done: u64,
    n_answered: u64,
    n_failed: u64,
    n_dropped: u64,
    n_unexpected: u64,
    /// By name of the case: all calls, and the unexpected ones.
    by_case: BTreeMap<String, [u64; 2]>,
    /// Allocated at the beginning, so that it does not grow during the run.
    samples: Vec<Sample>,
}

struct Sample {
    n_done: f64,
    seconds: f64,
    resident_kib: f64,
}

impl Report {
    /// Starts to count, and prints the head of the table.
    ///
    /// - In: the number of calls to make, the id of the sandbox's process.
    pub fn new(n_calls: u64, service_id: u32) -> Self {
        println!(
            "{n_calls} calls, {AT_A_TIME} at a time; load average {}",
            load_average()
        );
        println!(
            "{:>9} {:>8} {:>9} {:>6} {:>8} {:>9} {:>8} {:>8} {:>10} {:>12}",
            "calls",
            "seconds",
            "RSS KiB",
            "files",
            "threads",
            "answered",
            "failed",
            "dropped",
            "unexpected",
            "service MiB"
        );
        let report = Self {
            n_calls,
            service_id,
            begun: Instant::now(),
            n_done: 0,
            n_answered: 0,
            n_failed: 0,
            n_dropped: 0,
            n_unexpected: 0,
            by_case: BTreeMap::new(),
            samples: Vec::with_capacity(usize::try_from(n_calls / interval(n_calls)).unwrap_or_default()),
        };
        report.print_line("begun");
        report
    }

    /// Counts a call that has ended.
    pub fn add(&mut self, case: &Case, found: &Found) {
        self.n_done += 1;
        match found {
            Found::Ended(Outcome::Answered { .. }) => self.n_answered += 1,
            Found::Ended(Outcome::Failed(_)) | Found::Broken(_) | Found::Hung => self.n_failed += 1,
            Found::Ended(Outcome::Dropped(_)) => self.n_dropped += 1,
        }
        let unexpected = match found {
            Found::Ended(outcome) if *outcome == case.expected => None,
            Found::Ended(outcome) => Some(format!("{outcome:?}")),
            Found::Broken(error) => Some(format!("{error:?}")),
            Found::Hung => Some(format!("nothing in {HANGS_AFTER:?}")),
        };
        let counts = self.by_case.entry(case.name()).or_default();
        counts[0] += 1;
        if let Some(found) = unexpected {
            counts[1] += 1;
            self.n_unexpected += 1;
            if self.n_unexpected <= PRINTED {
                let (expected, name) = (case.expected, case.name());
                println!("!!! UNEXPECTED: {name}: expected {expected:?}, found {found}");
            }
        }
        // Calls beyond that number are all good ones, and need a different amount of memory.
        if self.n_done <= self.n_calls && self.n_done.is_multiple_of(interval(self.n_calls)) {
            self.samples.push(Sample {
                n_done: self.n_done as f64,
                seconds: self.begun.elapsed().as_secs_f64(),
                resident_kib: of("self", "VmRSS") as f64,
            });
        }
        if self
            .n_done
            .is_multiple_of(CALLS_FOR_A_LINE.min(self.n_calls / 5).max(1))
        {
            self.print_line("");
        }
    }

    /// Prints a line of the table.
    pub fn print_line(&self, note: &str) {
        // Reading the folder opens one more file.
        let n_files = fs::read_dir("/proc/self/fd").expect("Linux has it").count() - 1;
        let line = format!(
            "{:>9} {:>8.1} {:>9} {:>6} {:>8} {:>9} {:>8} {:>8} {:>10} {:>12.0}   {note}",
            self.n_done,
            self.begun.elapsed().as_secs_f64(),
            of("self", "VmRSS"),
            n_files,
            of("self", "Threads"),
            self.n_answered,
            self.n_failed,
            self.n_dropped,
            self.n_unexpected,
            of(&self.service_id.to_string(), "VmRSS") as f64 / 1024.0,
        );
        println!("{}", line.trim_end());
    }

    /// Prints the counts by kind of call, and the growth of the memory.
    pub fn print_end(&self) {
        println!("\n{:>9} {:>10}  kind of call", "calls", "unexpected");
        for (name, [calls, unexpected]) in &self.by_case {
            println!("{calls:>9} {unexpected:>10}  {name}");
        }
        let half = &self.samples[self.samples.len() / 2..];
        if let (Some((slope, error)), [first, .., last]) = (slope_kib_per_call(half), half) {
            let calls_per_second = (last.n_done - first.n_done) / (last.seconds - first.seconds);
            let mib_per_hour = calls_per_second * 3600.0 / 1024.0;
            println!(
                "\nsecond half, {} samples, {calls_per_second:.0} calls/s: RSS grows by {:.1} ± {:.1} KiB per 100,000 calls, \
                 {:.2} ± {:.2} MiB per hour at this rate (± one standard error)",
                half.len(),
                slope * 1e5,
                error * 1e5,
                slope * mib_per_hour,
                error * mib_per_hour,
            );
        }
        if self.n_unexpected > 0 {
            println!("!!! {} CALLS DID NOT END AS THEY SHOULD", self.n_unexpected);
        }
    }
}

/// Calls between two samples; a short run is sampled more often.
fn interval(n_calls: u64) -> u64 {
    CALLS_FOR_A_SAMPLE.min(n_calls / 100).max(1)
}

/// The slope of the least-squares line, and its standard error.
fn slope_kib_per_call(samples: &[Sample]) -> Option<(f64, f64)> {
    let n = samples.len() as f64;
    if n < 3.0 {
        return None;
    }
    let mean_x = samples.iter().map(|sample| sample.n_done).sum::<f64>() / n;
    let mean_y = samples.iter().map(|sample| sample.resident_kib).sum::<f64>() / n;
    let offsets = || {
        samples
            .iter()
            .map(|sample| (sample.n_done - mean_x, sample.resident_kib - mean_y))
    };
    let spread: f64 = offsets().map(|(x, _)| x * x).sum();
    let slope = offsets().map(|(x, y)| x * y).sum::<f64>() / spread;
    let rest: f64 = offsets().map(|(x, y)| (y - slope * x).powi(2)).sum();
    Some((slope, (rest / (n - 2.0) / spread).sqrt()))
}

/// 0 if the process has ended.
fn of(process: &str, field: &str) -> u64 {
    status(process, field).unwrap_or_default()
}
