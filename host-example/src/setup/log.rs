//! The log: its level is decided once, from the command line and four variables.
//!
//! In this order: `RUST_LOG`, the number of `-v`, `DEBUG`, `LOG_LEVEL`; without any, warnings.
//! `DEBUG` selects plugins whose details are logged; `LOG_LEVEL` applies to the others. Where the environment has
//! neither, a file of variables may: the one given with `--env-file`, then `.env` of the working directory.
//!
//! It goes to stderr, or with `--log-file` to the end of a file, which SIGHUP opens again after a rename. Records in
//! a file have times. Warnings are printed as well, because they concern the user who waits for the answer.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use plugin_api::Level;
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::writer::MakeWriterExt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};
use zeroize::Zeroizing;

use super::dotenv;
use super::environment::{FOLDER_FILE, MAX_FILE_BYTES};
use super::global::Global;
use super::places::set_variable;
use crate::files::read_named;
use crate::terminal::{self, Failure};

/// Names the log file where the command line does not.
const FILE_VARIABLE: &str = "AGENT_HOST_LOG_FILE";

/// The levels by their words, the usual word first.
const LEVELS: [(&str, Level); 6] = [
    ("error", Level::Error),
    ("warn", Level::Warn),
    ("warning", Level::Warn),
    ("info", Level::Info),
    ("debug", Level::Debug),
    ("trace", Level::Trace),
];

/// What was decided, for [`shows`].
static CHOICE: OnceLock<Choice> = OnceLock::new();

/// The log file of this process, once it is open.
static FILE: OnceLock<LogFile> = OnceLock::new();

/// The log file. Clones share it.
#[derive(Clone)]
pub struct LogFile {
    path: PathBuf,
    file: Arc<Mutex<File>>,
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug, PartialEq)]
struct Choice {
    /// For `tracing`.
    filter: String,
    /// Plugins whose debug records are shown, whatever the level of the others.
    debugged: Vec<String>,
    /// The level of the others.
    level: Level,
    /// What is wrong with a variable, if anything.
    warning: Option<String>,
}

/// Starts the log.
///
/// - Errors: the log file cannot be opened.
pub fn start(global: &Global) -> Result<(), Failure> {
    let file = open_file(global)?;
    let variable = |name: &str| set_variable(name)?.into_string().ok();
    let [debug, log_level] = in_files(global, ["DEBUG", "LOG_LEVEL"]);
    let choice = choice(
        variable("RUST_LOG").as_deref(),
        global.verbose,
        variable("DEBUG").or(debug).as_deref(),
        variable("LOG_LEVEL").or(log_level).as_deref(),
    );
    // This library quotes whole addresses of servers, which may hold a key; errors say the rest.
    let filter = EnvFilter::new(format!("{},rmcp=off", choice.filter));
    let choice = CHOICE.get_or_init(|| choice);
    let most_on_stderr = if file.is_some() {
        tracing::Level::WARN
    } else {
        tracing::Level::TRACE
    };
    let on_stderr = fmt::layer()
        .with_writer(terminal::stderr_for_lines.with_max_level(most_on_stderr))
        .with_ansi(terminal::stderr_has_colour())
        .without_time();
    let in_file = file.map(|file| fmt::layer().with_writer(move || file.clone()).with_ansi(false));
    tracing_subscriber::registry()
        .with(on_stderr.and_then(in_file))
        .with(filter)
        .init();
    if let Some(warning) = &choice.warning {
        tracing::warn!("{warning}");
    }
    Ok(())
}

/// The variables in the files of variables. What is wrong with a file is reported when its other variables are read.
fn in_files<const N: usize>(global: &Global, names: [&str; N]) -> [Option<String>; N] {
    let folder = (!global.no_env_file).then_some(Path::new(FOLDER_FILE));
    let mut found = [const { None }; N];
    for path in global.env_file.as_deref().into_iter().chain(folder) {
        let text = read_named(path, MAX_FILE_BYTES).map(Zeroizing::new);
        let Some(text) = text.as_ref().ok().and_then(|bytes| std::str::from_utf8(bytes).ok()) else {
            continue;
        };
        for (name, value) in dotenv::parse(text).values {
            // Any other of them may be a key.
            let value = Zeroizing::new(value);
            let place = names
                .iter()
                .position(|wanted| *wanted == name)
                .map(|place| &mut found[place]);
            if let Some(place @ None) = place
                && !value.trim().is_empty()
            {
                *place = Some(value.to_string());
            }
        }
    }
    found
}

/// The log file, where one is named.
pub fn open_file(global: &Global) -> Result<Option<LogFile>, Failure> {
    if let Some(file) = FILE.get() {
        return Ok(Some(file.clone()));
    }
    let named = || set_variable(FILE_VARIABLE).map(PathBuf::from);
    let Some(path) = global.log_file.clone().or_else(named) else {
        return Ok(None);
    };
    let file = opened(&path).map_err(|cause| {
        let message = format!("the log file `{}` cannot be written: {cause}", path.display());
        Failure::usage(message).with_hint(format!(
            "choose another file with `--log-file` or `{FILE_VARIABLE}`, or remove the setting"
        ))
    })?;
    let file = Arc::new(Mutex::new(file));
    Ok(Some(FILE.get_or_init(|| LogFile { path, file }).clone()))
}

/// A new one is for its owner alone, because a log may quote what was asked and answered.
fn opened(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

/// Opens the log file again, because the old one may have been renamed.
pub fn reopen() {
    let Some(LogFile { path, file }) = FILE.get() else {
        return;
    };
    match opened(path) {
        Ok(new) => *file.lock().unwrap_or_else(PoisonError::into_inner) = new,
        Err(cause) => tracing::warn!("the log file `{}` cannot be opened again: {cause}", path.display()),
    }
}

/// Whether a record of the plugin with this id is shown.
pub fn shows(plugin: &str, level: Level) -> bool {
    let by_tracing = match level {
        Level::Error => tracing::enabled!(target: "plugin", tracing::Level::ERROR),
        Level::Warn => tracing::enabled!(target: "plugin", tracing::Level::WARN),
        Level::Info => tracing::enabled!(target: "plugin", tracing::Level::INFO),
        Level::Debug => tracing::enabled!(target: "plugin", tracing::Level::DEBUG),
        Level::Trace => tracing::enabled!(target: "plugin", tracing::Level::TRACE),
    };
    // All plugins share one target, so a level raised for one plugin must not show the others.
    by_tracing && CHOICE.get().is_none_or(|choice| choice.shows(plugin, level))
}

impl Choice {
    fn shows(&self, plugin: &str, level: Level) -> bool {
        self.debugged.is_empty() || level <= self.level || self.debugged.iter().any(|id| id == plugin)
    }
}

fn choice(rust_log: Option<&str>, verbose: u8, debug: Option<&str>, log_level: Option<&str>) -> Choice {
    let plain = |level: Level, warning: Option<String>| Choice {
        filter: word(level).to_owned(),
        debugged: Vec::new(),
        level,
        warning,
    };
    let mut warning = None;
    if let Some(directives) = rust_log {
        match EnvFilter::try_new(directives) {
            Ok(_) => {
                return Choice {
                    filter: directives.to_owned(),
                    ..plain(Level::Trace, None)
                };
            }
            Err(_) => {
                warning = Some(ignored(
                    "RUST_LOG",
                    "directives such as `debug` or `plugin=trace`",
                    directives,
                ))
            }
        }
    }
    if verbose > 0 {
        let level = [Level::Info, Level::Debug, Level::Trace][usize::from(verbose.min(3)) - 1];
        return plain(level, warning);
    }
    let level = log_level.map(|text| level_of(text).ok_or(text));
    if let Some(Err(text)) = level {
        warning = warning.or_else(|| {
            Some(ignored(
                "LOG_LEVEL",
                "`error`, `warn`, `info`, `debug` or `trace`",
                text,
            ))
        });
    }
    let level = level.and_then(Result::ok).unwrap_or(Level::Warn);
    let debugged = match debug.map(plugins_in) {
        None => Vec::new(),
        Some(Ok(plugins)) => plugins,
        Some(Err(text)) => {
            warning = warning.or_else(|| Some(ignored("DEBUG", "`PLUGIN:*`, or `*` for everything", &text)));
            Vec::new()
        }
    };
    let wants_all = debugged.iter().any(|plugin| plugin == "*");
    if wants_all {
        return plain(level.max(Level::Debug), warning);
    }
    if debugged.is_empty() || level >= Level::Debug {
        return plain(level, warning);
    }
    Choice {
        filter: format!("{},plugin=debug", word(level)),
        debugged,
        level,
        warning,
    }
}

fn ignored(variable: &str, expected: &str, found: &str) -> String {
    let found: String = found.chars().take(60).collect();
    terminal::clean_line(&format!(
        "`{variable}` is ignored: expected {expected}, found `{found}`"
    ))
}

fn level_of(text: &str) -> Option<Level> {
    let text = text.trim();
    let known = LEVELS.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
    known.map(|(_, level)| *level)
}

fn word(level: Level) -> &'static str {
    let known = LEVELS.iter().find(|(_, known)| *known == level);
    known.map_or("", |(word, _)| word)
}

/// The plugins that `DEBUG` names, `*` for all. Other programs share the variable, so a name that is not a plugin's is
/// fine.
///
/// - Errors: the first part that names nothing.
fn plugins_in(debug: &str) -> Result<Vec<String>, String> {
    let mut plugins = Vec::new();
    for part in debug.split([',', ' ']).filter(|part| !part.is_empty()) {
        let name = part.split_once(':').map_or(part, |(name, _)| name);
        let is_name = name == "*"
            || name.starts_with(|first: char| first.is_ascii_alphabetic())
                && name
                    .chars()
                    .all(|letter| letter.is_ascii_alphanumeric() || "-_.@/".contains(letter));
        if !is_name || ["true", "yes", "on", "false", "no", "off"].contains(&name) {
            return Err(part.to_owned());
        }
        // `ID:chat` selects a part of a plugin, and plugins have no parts.
        if part == name || part.ends_with(":*") {
            plugins.push(name.to_owned());
        }
    }
    Ok(plugins)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_four_that_is_set_decides() {
        let filter = |rust_log, verbose, debug, log_level| choice(rust_log, verbose, debug, log_level).filter;
        assert_eq!(filter(None, 0, None, None), "warn");
        assert_eq!(filter(None, 0, None, Some("INFO")), "info");
        assert_eq!(filter(None, 0, Some("acme:*"), Some("error")), "error,plugin=debug");
        assert_eq!(filter(None, 0, Some("*"), Some("info")), "debug");
        assert_eq!(filter(None, 0, Some("*"), Some("trace")), "trace");
        assert_eq!(filter(None, 1, Some("*"), Some("trace")), "info");
        assert_eq!(filter(Some("plugin=trace"), 1, Some("*"), None), "plugin=trace");
    }

    #[test]
    fn debug_names_plugins_and_leaves_the_others_as_they_are() {
        let choice = choice(None, 0, Some("express:router, acme:*"), Some("info"));
        assert_eq!(choice.debugged, ["acme"]);
        assert_eq!(choice.warning, None);
        assert!(choice.shows("acme", Level::Debug) && choice.shows("other", Level::Info));
        assert!(!choice.shows("other", Level::Debug));
    }

    #[test]
    fn nonsense_is_ignored_with_one_warning() {
        let warned = |rust_log, debug, log_level| {
            let choice = choice(rust_log, 0, debug, log_level);
            assert_eq!(choice.filter, "warn");
            choice.warning.expect("a warning")
        };
        assert_eq!(
            warned(None, None, Some("loud")),
            "`LOG_LEVEL` is ignored: expected `error`, `warn`, `info`, `debug` or `trace`, found `loud`"
        );
        assert_eq!(
            warned(None, Some("1"), None),
            "`DEBUG` is ignored: expected `PLUGIN:*`, or `*` for everything, found `1`"
        );
        assert_eq!(
            warned(Some("a=b=c"), Some("1"), Some("loud")),
            "`RUST_LOG` is ignored: expected directives such as `debug` or `plugin=trace`, found `a=b=c`"
        );
    }
}
