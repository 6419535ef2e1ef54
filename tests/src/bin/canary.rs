//! Runs the end-to-end tests with everything logged, and then searches all logs and output for the key.
//!
//! Every test talks to its service with the canary of [`tests::canary`] as its key. This program fails if the canary is
//! in the logs of plugins, hosts and tests or in their output, if a test fails, or if there was nothing to search: a
//! search that cannot fail proves nothing. That it finds a key in every encoding is tested in [`tests::canary`]. Logging
//! everything takes time, so a test that fails among others runs once more alone; its first logs are searched as well.

use std::error::Error;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use tempfile::TempDir;
use tests::canary::hits_in;
use tests::cargo;

const USAGE: &str = "cargo run -p tests --bin canary -- [SUITE…]   without a suite, all of host, boundary and faults";

/// The suites of `tests/tests`.
const SUITES: [&str; 3] = ["host", "boundary", "faults"];

/// How many lines of a failed suite are shown.
const SHOWN_LINES: usize = 60;

fn main() -> ExitCode {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = asked.iter().find(|suite| !SUITES.contains(&suite.as_str())) {
        eprintln!("error: unknown suite `{unknown}`\nhint: {USAGE}");
        return ExitCode::from(2);
    }
    let is_meant = |suite: &&str| asked.is_empty() || asked.iter().any(|name| name == suite);
    let suites: Vec<&str> = SUITES.into_iter().filter(is_meant).collect();
    match search_through(&suites) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("error: {trouble}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the suites, and searches their logs and output.
fn search_through(suites: &[&str]) -> Result<(), Box<dyn Error>> {
    let folder = TempDir::with_prefix("canary-")?;
    open_to_everybody(folder.path())?;
    let mut failed = Vec::new();
    for suite in suites {
        let begun = Instant::now();
        let mut passed = run_suite(suite, &[], &output_of(suite, folder.path()), folder.path())?;
        let slow = failures_in(&output_of(suite, folder.path()))?;
        if !passed && !slow.is_empty() {
            println!("{suite}: tried once more alone: {}", slow.join(", "));
            let output = folder.path().join(format!("{suite}-again.output"));
            passed = run_suite(suite, &slow, &output, folder.path())?;
        }
        let word = if passed { "passed" } else { "failed" };
        println!(
            "{suite}: {word} after {} s, everything logged",
            begun.elapsed().as_secs()
        );
        if !passed {
            failed.push(*suite);
        }
    }
    let searched = Searched::everything_in(folder.path())?;
    searched.print();
    // A key comes first: it may be the reason why a suite failed.
    let trouble = if !searched.found.is_empty() {
        let found = &searched.found;
        format!("the key was found {} times\n  {}", found.len(), found.join("\n  "))
    } else if !failed.is_empty() {
        failed
            .iter()
            .for_each(|suite| show_the_end(&output_of(suite, folder.path())));
        format!("the tests failed: {}", failed.join(", "))
    } else if let Some(lack) = searched.lack() {
        lack
    } else {
        return Ok(());
    };
    eprintln!("The logs stay in {}.", folder.keep().display());
    Err(trouble.into())
}

/// Lets tests that run as another user write their logs there.
fn open_to_everybody(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o1777))?;
    }
    Ok(())
}

fn output_of(suite: &str, folder: &Path) -> PathBuf {
    folder.join(format!("{suite}.output"))
}

/// Runs these tests of a suite one by one, or all tests at once if none is named. Returns whether they passed.
fn run_suite(suite: &str, tests: &[String], output: &Path, folder: &Path) -> io::Result<bool> {
    let output = File::create(output)?;
    let mut command: Command = cargo();
    command.args(["test", "--workspace", "--locked", "--test", suite]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    command.args(["--", "--nocapture"]).env("TESTS_TRACE", folder);
    if !tests.is_empty() {
        command.args(["--exact", "--test-threads=1"]).args(tests);
    }
    let status = command.stdout(output.try_clone()?).stderr(output).status()?;
    Ok(status.success())
}

/// The names of the tests that failed, from the list at the end of the suite's output.
fn failures_in(output: &Path) -> io::Result<Vec<String>> {
    let text = String::from_utf8_lossy(&fs::read(output)?).into_owned();
    // Tests in processes of their own print such lists, too; the last list is the suite's.
    let Some((_, list)) = text.rsplit_once("\nfailures:\n") else {
        return Ok(Vec::new());
    };
    let names = list.lines().map_while(|line| line.strip_prefix("    "));
    Ok(names.map(str::to_owned).collect())
}

/// What was searched, and what was found.
#[derive(Default)]
struct Searched {
    n_files: usize,
    n_bytes: u64,
    n_lines: usize,
    /// Trace records of tests and their plugins.
    n_traces_in_process: usize,
    /// Trace records of hosts.
    n_traces_of_hosts: usize,
    /// Records that a plugin sent over the boundary.
    n_of_plugins: usize,
    found: Vec<String>,
}

impl Searched {
    fn everything_in(folder: &Path) -> io::Result<Self> {
        let mut searched = Self::default();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            for hit in hits_in(&path)? {
                searched.found.push(format!("{}, {hit}", path.display()));
            }
            let text = fs::read(&path)?;
            searched.n_files += 1;
            searched.n_bytes += text.len() as u64;
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            for (index, line) in String::from_utf8_lossy(&text).lines().enumerate() {
                searched.n_lines += 1;
                // The kit reports a key in a program's output without quoting it.
                if line.contains(" holds a key:") {
                    searched
                        .found
                        .push(format!("{}, line {}: {line}", path.display(), index + 1));
                }
                let is_trace = line.contains(" TRACE ");
                searched.n_traces_in_process += usize::from(is_trace && name.starts_with("process-"));
                searched.n_traces_of_hosts += usize::from(is_trace && name.starts_with("host-"));
                searched.n_of_plugins += usize::from(name.ends_with(".log") && line.contains(" plugin: "));
            }
        }
        Ok(searched)
    }

    fn print(&self) {
        println!(
            "Searched {} files, {} lines, {:.1} MB; among them {} records of plugins, and {} traces of tests and {} of hosts.",
            self.n_files,
            self.n_lines,
            self.n_bytes as f64 / 1e6,
            self.n_of_plugins,
            self.n_traces_in_process,
            self.n_traces_of_hosts,
        );
        if self.found.is_empty() {
            println!("The key is in none of them.");
        }
    }

    /// What was missing, so that the search proves nothing.
    fn lack(&self) -> Option<String> {
        let counts = [
            (self.n_traces_in_process, "tests logged nothing at the level TRACE"),
            (self.n_traces_of_hosts, "hosts logged nothing at the level TRACE"),
            (self.n_of_plugins, "plugins logged nothing at all"),
        ];
        let (_, lack) = counts.into_iter().find(|(count, _)| *count == 0)?;
        Some(format!("the {lack}, so nothing is proved"))
    }
}

fn show_the_end(output: &Path) {
    let text = fs::read_to_string(output).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let begin = lines.len().saturating_sub(SHOWN_LINES);
    eprintln!("{}", lines[begin..].join("\n"));
}
