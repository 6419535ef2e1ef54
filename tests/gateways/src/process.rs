//! Processes: their start, their cost, their end.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

use crate::client::Failure;

/// How long a process may take to end after SIGTERM.
const END_LIMIT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);
/// The most characters of a log that an error quotes.
const LOG_CHARS: usize = 600;

/// A process and its children, in a process group of their own; they end when this value is dropped.
pub struct Process {
    child: Child,
    log: PathBuf,
    stdout: PathBuf,
}

impl Process {
    /// - In: `folder`, for its stdout and stderr.
    pub fn start(command: &mut Command, name: &str, folder: &Path) -> Result<Self, Failure> {
        let log = folder.join(format!("{name}.stderr"));
        let stdout = folder.join(format!("{name}.stdout"));
        let child = command
            .stdin(Stdio::null())
            .stdout(File::create(&stdout)?)
            .stderr(File::create(&log)?)
            .process_group(0)
            .spawn()
            .map_err(|error| format!("cannot start {:?}: {error}", command.get_program()))?;
        Ok(Self { child, log, stdout })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The first line of its stdout that starts with `beginning`, without that.
    pub fn line(&self, beginning: &str) -> Option<String> {
        let lines = BufReader::new(File::open(&self.stdout).ok()?).lines();
        let mut lines = lines.map_while(Result::ok);
        lines.find_map(|line| Some(line.strip_prefix(beginning)?.trim().to_owned()))
    }

    /// - Errors: it has ended; the message quotes the end of its output.
    pub fn check_alive(&mut self) -> Result<(), Failure> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(format!("ended with {status}: {}", self.told()).into()),
        }
    }

    /// The end of its output, on one line.
    pub fn told(&self) -> String {
        let both = [&self.stdout, &self.log].map(|path| fs::read(path).unwrap_or_default());
        let text = String::from_utf8_lossy(&both.concat()).replace(['\n', '|'], " ");
        let skipped = text.chars().count().saturating_sub(LOG_CHARS);
        text.chars().skip(skipped).collect::<String>().trim().to_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let group = Pid::from_child(&self.child);
        // The process may have ended already.
        let _ = kill_process_group(group, Signal::TERM);
        let deadline = Instant::now() + END_LIMIT;
        while Instant::now() < deadline {
            let _ = self.child.try_wait();
            if test_kill_process_group(group).is_err() {
                return;
            }
            thread::sleep(POLL);
        }
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.child.wait();
    }
}

/// CPU time of a process and its descendants, including those that have ended.
pub fn cpu_time(root: u32) -> Duration {
    let all = stats();
    let ticks: u64 = tree(root, &all).map(|stat| stat.ticks).sum();
    Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Resident memory of a process and its descendants, in bytes. Shared pages count for each.
pub fn resident_bytes(root: u32) -> u64 {
    let all = stats();
    tree(root, &all)
        .map(|stat| stat.pages * rustix::param::page_size() as u64)
        .sum()
}

/// The number of processes in a tree.
pub fn n_processes(root: u32) -> usize {
    tree(root, &stats()).count()
}

/// Of `/proc/PID/stat`.
struct Stat {
    parent: u32,
    /// User and system time, including children that it has waited for.
    ticks: u64,
    pages: u64,
}

fn stats() -> BTreeMap<u32, Stat> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return BTreeMap::new();
    };
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    // A process may end between the listing and the look.
    ids.filter_map(|id| Some((id, stat_of(id)?))).collect()
}

fn stat_of(id: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name before it may contain spaces and brackets.
    let fields: Vec<&str> = text.get(text.rfind(')')? + 2..)?.split(' ').collect();
    let number = |n: usize| fields.get(n)?.parse::<u64>().ok();
    Some(Stat {
        parent: u32::try_from(number(1)?).ok()?,
        ticks: (11..=14).map(|n| number(n).unwrap_or(0)).sum(),
        pages: number(21)?,
    })
}

fn tree(root: u32, all: &BTreeMap<u32, Stat>) -> impl Iterator<Item = &Stat> {
    let belongs = move |id: u32| {
        let mut id = id;
        while id != root {
            match all.get(&id) {
                Some(stat) if stat.parent > 1 => id = stat.parent,
                _ => return false,
            }
        }
        true
    };
    all.iter().filter(move |(id, _)| belongs(**id)).map(|(_, stat)| stat)
}
