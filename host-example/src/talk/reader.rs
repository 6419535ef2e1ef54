//! Reads input lines on a thread of its own, because reading blocks.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor, ExternalPrinter};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::files::check_kept;
use crate::terminal::{self, Failure};

/// The largest history, in bytes. It keeps a hundred lines.
const MAX_HISTORY_BYTES: u64 = 1 << 20;

/// Reads lines on a thread of its own.
pub struct Reader {
    prompts: mpsc::Sender<String>,
    pub input: UnboundedReceiver<Result<String, ReadlineError>>,
    printer: Option<Box<dyn ExternalPrinter + Send>>,
}

impl Reader {
    /// - In: the file of the history; without it, none is kept.
    pub fn start(history: Option<&Path>) -> Result<Self, Failure> {
        let failed = |cause: ReadlineError| Failure::internal(format!("cannot use the terminal: {cause}"));
        let config = Config::builder()
            .auto_add_history(true)
            .history_ignore_space(true)
            .build();
        let mut editor: Editor<(), FileHistory> = Editor::with_config(config).map_err(failed)?;
        let printer = editor
            .create_external_printer()
            .ok()
            .map(|printer| Box::new(printer) as Box<_>);
        // A history that cannot be read or saved is no reason to stop.
        let history: Option<PathBuf> = history.and_then(usable).map(Path::to_owned);
        if let Some(history) = &history {
            let _ = editor.load_history(history);
        }
        let (prompts, asked) = mpsc::channel::<String>();
        let (sender, input) = unbounded_channel();
        thread::Builder::new()
            .name("input".to_owned())
            .spawn(move || {
                for prompt in asked {
                    let input = editor.readline(&prompt);
                    if let Some(history) = history.as_deref().filter(|history| check(history).is_ok()) {
                        let _ = editor.save_history(history);
                    }
                    if sender.send(input).is_err() {
                        break;
                    }
                }
            })
            .map_err(|cause| Failure::internal(format!("cannot start the input thread: {cause}")))?;
        Ok(Self {
            prompts,
            input,
            printer,
        })
    }

    pub fn ask(&mut self, prompt: &str) {
        // If the thread is gone, the next wait for input says so.
        let _ = self.prompts.send(prompt.to_owned());
    }

    /// Prints above the line that is being written.
    pub fn print_above(&mut self, text: &str) {
        let printed = self
            .printer
            .as_mut()
            .is_some_and(|printer| printer.print(format!("{text}\n")).is_ok());
        if !printed {
            terminal::say(text);
        }
    }
}

fn check(history: &Path) -> Result<(), String> {
    check_kept(history, MAX_HISTORY_BYTES)
}

/// The file of the history. If something is wrong with it, warns and returns none.
fn usable(history: &Path) -> Option<&Path> {
    check(history)
        .map_err(|why| tracing::warn!("no history is kept in `{}`: {why}", history.display()))
        .ok()?;
    Some(history)
}
