//! Reads input lines on a thread of its own, because reading blocks.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Cmd, CompletionType, Config, Editor, ExternalPrinter, KeyEvent};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::completion::{Names, Typing};
use crate::files::check_kept;
use crate::terminal::{self, Failure};

/// The largest history, in bytes. It keeps a hundred lines.
const MAX_HISTORY_BYTES: u64 = 1 << 20;

/// What is asked for a line.
struct Question {
    prompt: String,
    /// What stands on the line at first.
    begun: String,
    /// Whether the line goes into the history.
    is_kept: bool,
}

/// Reads lines on a thread of its own.
pub struct Reader {
    questions: mpsc::Sender<Question>,
    names: Arc<Mutex<Names>>,
    /// Tab needs the model list.
    pub wanted: UnboundedReceiver<()>,
    pub input: UnboundedReceiver<Result<String, ReadlineError>>,
    printer: Option<Box<dyn ExternalPrinter + Send>>,
}

impl Reader {
    /// - In: the file of the history; without it, none is kept.
    pub fn start(history: Option<&Path>) -> Result<Self, Failure> {
        let failed = |cause: ReadlineError| Failure::internal(format!("cannot use the terminal: {cause}"));
        let config = Config::builder()
            .history_ignore_space(true)
            .completion_type(CompletionType::List)
            .build();
        let mut editor: Editor<Typing, FileHistory> = Editor::with_config(config).map_err(failed)?;
        let (names, (wish, wanted)) = (Arc::<Mutex<Names>>::default(), unbounded_channel());
        editor.set_helper(Some(Typing {
            names: Arc::clone(&names),
            wanted: wish,
            continued: RefCell::default(),
        }));
        // Not Ctrl-J too: a Return that is pressed during an answer arrives as one.
        editor.bind_sequence(KeyEvent::alt('\r'), Cmd::Newline);
        let printer = editor
            .create_external_printer()
            .ok()
            .map(|printer| Box::new(printer) as Box<_>);
        // A history that cannot be read or saved is no reason to stop.
        let history: Option<PathBuf> = history.and_then(usable).map(Path::to_owned);
        if let Some(history) = &history {
            let _ = editor.load_history(history);
        }
        let (questions, asked) = mpsc::channel::<Question>();
        let (sender, input) = unbounded_channel();
        thread::Builder::new()
            .name("input".to_owned())
            .spawn(move || {
                for question in asked {
                    let input = editor.readline_with_initial(&question.prompt, (&question.begun, ""));
                    let input = match editor.helper() {
                        Some(typing) => typing.joined(input),
                        None => input,
                    };
                    if let Ok(line) = &input
                        && question.is_kept
                    {
                        let _ = editor.add_history_entry(line);
                    }
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
            questions,
            names,
            wanted,
            input,
            printer,
        })
    }

    /// Asks for a prompt.
    ///
    /// - In: `begun`, what stands on the line at first.
    pub fn ask(&mut self, prompt: String, begun: String) {
        // If the thread is gone, the next wait for input says so.
        let _ = self.questions.send(Question {
            prompt,
            begun,
            is_kept: true,
        });
    }

    /// Asks a question, and whether the answer is yes.
    pub async fn confirms(&mut self, question: String) -> bool {
        let _ = self.questions.send(Question {
            prompt: format!("{question} [y]es, [n]o: "),
            begun: String::new(),
            is_kept: false,
        });
        let answer = self.input.recv().await;
        answer.is_some_and(|answer| answer.is_ok_and(|line| ["y", "yes"].contains(&&*line.trim().to_lowercase())))
    }

    /// What Tab completes from now on.
    pub fn know(&mut self, names: Names) {
        *self.names.lock().unwrap_or_else(PoisonError::into_inner) = names;
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
