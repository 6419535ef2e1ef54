//! Keys from files and from commands.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::atomic::write_private;
use super::protect::Secret;
use crate::files::{Guard, ReadError, check_kept, mode_for_others, read};
use crate::terminal::Failure;

/// The largest file that can be a key, in bytes.
const MAX_KEY_BYTES: u64 = 64 << 10;

/// How long a key command may take: a person may have to unlock something.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);

/// The outcomes of key commands. Each runs once, because it may ask a person to unlock something. Clones share them.
#[derive(Clone, Default)]
pub struct CommandKeys {
    outcomes: Rc<RefCell<Outcomes>>,
    /// The commands that the user allowed, although somebody else may have chosen them.
    allowed: Rc<RefCell<BTreeSet<Vec<String>>>>,
}

/// By the words of the command.
type Outcomes = BTreeMap<Vec<String>, Result<Secret, Failure>>;

impl CommandKeys {
    /// The key that a command printed, now or when it ran before.
    pub fn key_of(&self, words: &[String]) -> Result<Secret, Failure> {
        let mut known = self.outcomes.borrow_mut();
        let outcome = known.entry(words.to_vec()).or_insert_with(|| run(words));
        outcome.clone()
    }

    /// Runs a command for [`Self::key_of`] without keeping this thread: it may take a minute, in which signals and other
    /// work go on.
    pub async fn run_ahead(&self, words: &[String]) {
        if self.outcomes.borrow().contains_key(words) {
            return;
        }
        let (sender, ran) = oneshot::channel();
        let owned = words.to_vec();
        thread::spawn(move || drop(sender.send(run(&owned))));
        // If there is no thread for it, `key_of` says so.
        if let Ok(outcome) = ran.await {
            self.outcomes.borrow_mut().insert(words.to_vec(), outcome);
        }
    }

    /// Forgets the commands that gave no key, so that they are tried again.
    pub fn forget_failures(&self) {
        self.outcomes.borrow_mut().retain(|_, outcome| outcome.is_ok());
    }

    /// The same permissions without the outcomes, so that every command runs again.
    pub fn without_outcomes(&self) -> Self {
        Self {
            outcomes: Rc::default(),
            allowed: Rc::clone(&self.allowed),
        }
    }

    pub fn allow(&self, words: &[String]) {
        self.allowed.borrow_mut().insert(words.to_vec());
    }

    pub fn allows(&self, words: &[String]) -> bool {
        self.allowed.borrow().contains(words)
    }
}

/// The file in which this program keeps the key of a plugin.
pub fn stored_key_file(config_folder: &Path, id: &str) -> PathBuf {
    config_folder.join("keys").join(id)
}

/// Keeps a key for later runs, for its owner alone to read.
pub fn store_key(path: &Path, key: &Secret) -> Result<(), Failure> {
    check_kept(path, MAX_KEY_BYTES)
        .map_err(|why| Failure::usage(format!("the key cannot be stored in `{}`: {why}", path.display())))?;
    write_private(path, key.reveal().as_bytes())
}

/// The key on standard input, without the blanks around it.
pub fn read_key_from_stdin() -> Result<Secret, Failure> {
    let failed = |cause: &str| Failure::usage(format!("expected a key on standard input, {cause}"));
    let mut text = Zeroizing::new(String::new());
    let read = std::io::stdin().lock().take(MAX_KEY_BYTES).read_to_string(&mut text);
    read.map_err(|_| failed("which cannot be read"))?;
    match text.trim() {
        "" => Err(failed("found nothing").with_hint("pipe it in, or run `agent-host keys set` on a terminal")),
        key => Ok(Secret::new(key.to_owned())),
    }
}

/// Whether the path is a regular file and no link to one.
pub fn is_plain(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_file())
}

/// The key in a file, and a warning if others can read the file.
pub fn read_key_file(path: &Path) -> Result<(Secret, Option<String>), Failure> {
    read_secret_file("key", "no key: ", path, MAX_KEY_BYTES)
}

/// What is alone in a file that the user names, and a warning if others can read the file. It may be a link, as
/// container secrets are.
///
/// - In: `what` it is; `lead`, what begins the message of a failure.
pub fn read_secret_file(
    what: &str,
    lead: &str,
    path: &Path,
    max_bytes: u64,
) -> Result<(Secret, Option<String>), Failure> {
    let shown = path.display();
    let failed = |cause: String| {
        Failure::usage(format!("{lead}the {what} file `{shown}` {cause}")).with_hint(format!(
            "store only the {what} in the file, and make it readable for you alone: chmod 600"
        ))
    };
    let (bytes, metadata) = read(path, max_bytes, Guard::Named).map_err(|error| match error {
        ReadError::Missing if path.starts_with("~") => {
            failed("does not exist".to_owned()).with_hint("write the whole path: `~` is not expanded here")
        }
        ReadError::Missing => failed("does not exist".to_owned()),
        ReadError::Refused(why) => failed(format!("cannot be used: {why}")),
    })?;
    let text = String::from_utf8(bytes).map_err(|cause| {
        drop(Zeroizing::new(cause.into_bytes()));
        failed("cannot be used: it is not UTF-8".to_owned())
    })?;
    let text = Secret::new(text);
    if text.is_blank() {
        return Err(failed("is empty".to_owned()));
    }
    let warning = mode_for_others(&metadata).map(|mode| {
        format!("the {what} file `{shown}` is readable by other users (mode {mode:03o}); run: chmod 600 {shown}")
    });
    Ok((text.trimmed(), warning))
}

/// Runs a key command, and takes what it prints for the key.
fn run(words: &[String]) -> Result<Secret, Failure> {
    let program = words.first().map_or("", String::as_str);
    // Somebody may have written the arguments, which may hold a secret, into the same text.
    let (shown, is_alone) = match program.trim_start().split_once(char::is_whitespace) {
        Some((name, _)) => (name, false),
        None => (program, true),
    };
    let failed = |cause: String| {
        Failure::usage(format!("no key: the command `{shown}` {cause}")).with_hint(match is_alone {
            true => "make the `apiKey` command print only the key and exit with status 0; try it in a shell",
            false => "write the program and each argument as a text of its own: [\"PROGRAM\", \"ARGUMENT\"]",
        })
    };
    let mut child = Command::new(program)
        .args(words.get(1..).unwrap_or_default())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|cause| failed(format!("cannot be run: {cause}")))?;
    let stdout = child.stdout.take();
    let (sender, printed) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = stdout.map(|pipe| pipe.take(MAX_KEY_BYTES).read_to_end(&mut bytes));
        // Nobody listens any more after the limit.
        let _ = sender.send((read, bytes));
    });
    let Ok((_, printed)) = printed.recv_timeout(COMMAND_LIMIT) else {
        // It may have ended by itself.
        let _ = child.kill();
        let _ = child.wait();
        return Err(failed(format!("did not finish within {} s", COMMAND_LIMIT.as_secs())));
    };
    let status = child
        .wait()
        .map_err(|cause| failed(format!("cannot be waited for: {cause}")))?;
    if !status.success() {
        return Err(failed(format!("failed: {status}")));
    }
    let key = String::from_utf8(printed).map_err(|_| failed("printed bytes that are not UTF-8".to_owned()))?;
    let key = Secret::new(key);
    if key.is_blank() {
        return Err(failed("printed nothing".to_owned()));
    }
    Ok(key.trimmed())
}
