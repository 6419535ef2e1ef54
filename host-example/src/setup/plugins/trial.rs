//! Tries bytes that were never used in a process of their own, so that a plugin that crashes or hangs harms nothing
//! else.
//!
//! In: a plugin's bytes. Out: whether it could be loaded, created, asked and shut down; or what one of the
//! [`checks`] found. The process has an empty environment, and limits on time, memory and files. It reads the bytes
//! from standard input, and announces each step on standard output before taking it. What the plugin itself prints
//! goes elsewhere.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, SystemTime};

use plugin_api::loader::{Image, Refusal};
use plugin_api::{Config, Finding, FindingStatus, LogOnly, PluginModule};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::checks;
use crate::setup::places::set_variable;
use crate::terminal::Exit;

/// How long the whole trial may take.
const LIMIT_S: u64 = 10;

/// Sets another limit, in seconds, for slow machines.
const LIMIT_VARIABLE: &str = "AGENT_HOST_TRIAL_SECONDS";

/// How long the plugin may take for its shutdown.
const SHUTDOWN: Duration = Duration::from_secs(1);

/// How long it is remembered that there was not enough time.
const MEMORY: Duration = Duration::from_secs(600);

/// The longest report that is read, in bytes.
const MAX_REPORT_BYTES: u64 = 64 << 10;

/// The name of the hidden command that the other process runs.
pub const COMMAND: &str = "try-plugin";

/// The last step of a report. Earlier steps are worded for people, as in "its process ended while being loaded".
const PASSED: &str = "passed";
const PRINTS: &str = "prints";
/// What is wrong with a plugin that prints.
pub const TO_STDOUT: &str = "it writes to standard output, which belongs to the host";

/// How a trial ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Passed,
    Failed(Failed),
}

/// Why a plugin is not used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// For people.
    reason: String,
    /// What the loader advises.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// From this second since 1970 on, another trial may end otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
}

impl From<String> for Failed {
    fn from(reason: String) -> Self {
        Self {
            reason,
            ..Self::default()
        }
    }
}

impl Outcome {
    /// Whether another trial would end the same.
    pub fn holds(&self) -> bool {
        !matches!(self, Self::Failed(Failed { until: Some(until), .. }) if *until <= seconds_since_1970())
    }

    /// The refusal of the plugin `id` that failed.
    pub fn refusal(&self, file: &Path, id: &str) -> Result<(), Refusal> {
        let Self::Failed(Failed { reason, hint, .. }) = self else {
            return Ok(());
        };
        let try_again =
            || format!("get a sound build from its author; `agent-host plugins accept {id}` tries it once more");
        let hint = hint.clone().unwrap_or_else(try_again);
        Err(Refusal::new(file, "trial", format!("it failed its trial: {reason}")).with_hint(hint))
    }
}

/// Tries a plugin.
///
/// - Errors: the process cannot be started.
pub fn run(image: &Image) -> io::Result<Outcome> {
    Ok(match in_a_process(image, None)? {
        Ok(Report { prints: false, .. }) => Outcome::Passed,
        Ok(_) => Outcome::Failed(TO_STDOUT.to_owned().into()),
        Err(failed) => Outcome::Failed(failed),
    })
}

/// Runs one of the [`checks`] on a plugin.
///
/// - Out: the result, and whether the plugin printed anything.
/// - Errors: the process cannot be started.
pub fn check(image: &Image, check: &str) -> io::Result<(Finding, bool)> {
    let (finding, prints) = match in_a_process(image, Some(check))? {
        Ok(Report { finding, prints }) => (finding.unwrap_or_default(), prints),
        Err(Failed { reason, hint, .. }) => {
            let failed = Finding {
                status: FindingStatus::Failed,
                summary: reason,
                remedy: hint,
                ..Finding::default()
            };
            (failed, false)
        }
    };
    let id = check.to_owned();
    Ok((Finding { id, ..finding }, prints))
}

/// What a process reported that came to its end.
struct Report {
    /// The result of the check, if there was one.
    finding: Option<Finding>,
    /// Whether the plugin printed anything.
    prints: bool,
}

fn in_a_process(image: &Image, check: Option<&str>) -> io::Result<Result<Report, Failed>> {
    let mut input = tempfile::tempfile()?;
    input.write_all(image.bytes())?;
    input.rewind()?;
    let program = std::env::current_exe()?;
    let mut command = Command::new(program);
    command.arg(COMMAND).args(check).env_clear().current_dir("/");
    // The child needs a file of its own.
    let passed_on = ["TMPDIR", LIMIT_VARIABLE].into_iter();
    command.envs(passed_on.filter_map(|name| Some((name, std::env::var_os(name)?))));
    // Ctrl-C is for the host, and must not become a verdict. What the plugin forks is in the group too.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let pipe = child.stdout.take();
    let (sender, receiver) = channel();
    let reading = thread::Builder::new().spawn(move || {
        let mut report = String::new();
        let _ = pipe.map(|pipe| pipe.take(MAX_REPORT_BYTES).read_to_string(&mut report));
        let _ = sender.send(report);
    });
    let limit = limit();
    // Without the thread nobody sends, and this ends at once.
    let report = receiver.recv_timeout(limit);
    kill_all(&mut child);
    let status = child.wait()?;
    reading?;
    let Ok(report) = report else {
        let limit = limit.as_secs();
        return Ok(Err(Failed {
            // The machine may have been busy.
            until: Some(seconds_since_1970() + MEMORY.as_secs()),
            ..Failed::from(format!("it did not end within {limit} s"))
        }));
    };
    let mut lines = report.lines().rev();
    let reason = match lines.next().unwrap_or("starting") {
        end @ (PASSED | PRINTS) if status.success() => {
            return Ok(Ok(Report {
                finding: lines.next().and_then(|line| serde_json::from_str(line).ok()),
                prints: end == PRINTS,
            }));
        }
        PASSED | PRINTS => format!("its process ended badly ({status})"),
        refused if refused.starts_with('{') => return Ok(Err(serde_json::from_str(refused).unwrap_or_default())),
        step => format!("its process ended while {step} ({status})"),
    };
    Ok(Err(reason.into()))
}

fn limit() -> Duration {
    let chosen = set_variable(LIMIT_VARIABLE).and_then(|text| text.to_str()?.trim().parse().ok());
    Duration::from_secs(chosen.filter(|seconds| (1..=600).contains(seconds)).unwrap_or(LIMIT_S))
}

/// Kills a process and what it forked. It was not waited for, so its number is still its own.
fn kill_all(child: &mut Child) {
    #[cfg(unix)]
    let _ = rustix::process::kill_process_group(rustix::process::Pid::from_child(child), rustix::process::Signal::KILL);
    let _ = child.kill();
}

fn seconds_since_1970() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

/// Runs in the other process: reads a library from standard input, and takes every step or this check with it.
pub async fn run_child(check: Option<&str>) -> Exit {
    match try_all(check).await {
        Ok(()) => Exit::Ok,
        Err(cause) => {
            // Nobody reads standard error, unless this command was started by hand.
            let _ = writeln!(io::stderr(), "{cause}");
            Exit::Internal
        }
    }
}

async fn try_all(check: Option<&str>) -> io::Result<()> {
    let (report, mut printed) = take_stdout()?;
    // Leaked, so that it stays open until the process ends.
    let report = Box::leak(Box::new(report));
    let mut step = |name: &str| writeln!(report, "{name}");
    step("being read")?;
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    limit_resources();
    step("being loaded")?;
    let module = match Image::from_bytes(Path::new("the plugin"), bytes).and_then(|image| image.load()) {
        Ok(module) => module,
        Err(Refusal { reason, hint, .. }) => return step(&json!({"reason": reason, "hint": hint}).to_string()),
    };
    match check {
        None => try_instance(&module, &mut step).await?,
        Some(check) => {
            step(checks::step_of(check))?;
            step(&json!(checks::run(check, &module).await).to_string())?;
        }
    }
    step(if printed.stream_position()? > 0 || printed.metadata()?.len() > 0 {
        PRINTS
    } else {
        PASSED
    })
}

/// Errors of the plugin are fine here: it has no key and no profile.
async fn try_instance(module: &PluginModule, step: &mut impl FnMut(&str) -> io::Result<()>) -> io::Result<()> {
    step("checking a profile")?;
    let services = Arc::new(LogOnly::new("trial"));
    let _ = module.check(services.clone(), &json!({})).await;
    step("being created")?;
    let config = Config {
        options: json!({}),
        environment: Default::default(),
    };
    let created = module.create(services, &config);
    let Ok(plugin) = created else { return Ok(()) };
    step("listing its tiers")?;
    let _ = plugin.tiers().await;
    step("being shut down")?;
    let _ = plugin.shutdown(SHUTDOWN).await;
    Ok(())
}

/// Keeps standard output for the report, and redirects what the plugin prints to a file.
#[cfg(unix)]
fn take_stdout() -> io::Result<(File, File)> {
    let printed = tempfile::tempfile()?;
    let report = rustix::io::fcntl_dupfd_cloexec(io::stdout(), 3)?;
    rustix::stdio::dup2_stdout(&printed)?;
    Ok((report.into(), printed))
}

/// Limits time, memory and files, so that a runaway plugin is stopped.
#[cfg(unix)]
fn limit_resources() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    for (resource, most) in [
        (Resource::Cpu, limit().as_secs()),
        (Resource::As, 8 << 30),
        (Resource::Fsize, 1 << 30),
        (Resource::Nofile, 256),
        (Resource::Core, 0),
    ] {
        // A limit may be lower already.
        let _ = setrlimit(
            resource,
            Rlimit {
                current: Some(most),
                maximum: Some(most),
            },
        );
    }
}

#[cfg(not(unix))]
fn take_stdout() -> io::Result<(File, File)> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

#[cfg(not(unix))]
fn limit_resources() {}
