//! Reports when the text of the profile file has really changed.
//!
//! Editors replace files, so the folder is watched and not the file. Its events only say "look": the file is read once
//! they are quiet, and a change is reported only if its bytes differ. Whether the new text is valid is not checked
//! here. Not every edit makes an event in that folder: a file may be mounted or linked from elsewhere, and a link on
//! the way to it may move. So the file behind the path is also looked at once a second, without being read.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};

use super::read::MAX_BYTES;
use crate::files::{ReadError, folder_of, read_named};

/// Silence after which a change counts as finished.
const QUIET: Duration = Duration::from_millis(50);
/// How long a file must stay away to be gone: some editors remove it before they write it again.
const AWAY: Duration = Duration::from_secs(1);
/// Longest wait for that silence.
const MAX_UNREST: Duration = Duration::from_secs(1);
/// How often the file is looked at without an event.
const LOOK: Duration = Duration::from_secs(1);

/// A running watch; dropping it ends it.
#[derive(Debug)]
pub struct ProfileWatch {
    signals: Sender<Signal>,
    thread: Option<JoinHandle<()>>,
}

enum Signal {
    /// Something happened to a path in the watched folder; none: it is not known to what.
    Touched(Option<OsString>),
    Stop,
}

/// Watches the file.
///
/// - Out: `on_change` is called on a thread of the watch, about 50 ms after the last of a series of
///   changes, or a second later if they made no event in the folder of the path. A file that vanishes is reported after
///   a second; one that comes back earlier is a change only if its text differs.
/// - Errors: the folder does not exist or cannot be watched.
pub fn watch(path: &Path, on_change: impl Fn() + Send + 'static) -> Result<ProfileWatch, notify::Error> {
    let (signals, inbox) = channel();
    let from_watcher = signals.clone();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        for signal in signals_from(event) {
            // The thread is gone only when the watch is.
            let _ = from_watcher.send(signal);
        }
    })?;
    watcher.watch(folder_of(path), RecursiveMode::NonRecursive)?;
    let path = path.to_owned();
    let (look, seen) = (Look::at(&path), read_named(&path, MAX_BYTES));
    let thread = thread::Builder::new()
        .name("profile-watch".to_owned())
        .spawn(move || run(watcher, &path, &inbox, look, seen, &on_change))
        .map_err(notify::Error::io)?;
    Ok(ProfileWatch {
        signals,
        thread: Some(thread),
    })
}

impl Drop for ProfileWatch {
    fn drop(&mut self) {
        let _ = self.signals.send(Signal::Stop);
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != thread::current().id()
        {
            // A panic in the callback has been printed already.
            let _ = thread.join();
        }
    }
}

/// What a file looks like from outside, links followed. Every edit and every replacement changes it.
#[derive(PartialEq)]
struct Look {
    /// The device and the number of the file.
    file: (u64, u64),
    size: u64,
    modified: Option<SystemTime>,
}

impl Look {
    /// - Out: `None` if there is no such file.
    fn at(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        #[cfg(unix)]
        let file = {
            use std::os::unix::fs::MetadataExt;
            (metadata.dev(), metadata.ino())
        };
        #[cfg(not(unix))]
        let file = (0, 0);
        Some(Self {
            file,
            size: metadata.len(),
            modified: metadata.modified().ok(),
        })
    }
}

fn run(
    // Kept, since dropping it ends the events.
    _watcher: RecommendedWatcher,
    path: &Path,
    inbox: &Receiver<Signal>,
    mut last: Option<Look>,
    mut seen: Result<Vec<u8>, ReadError>,
    on_change: &impl Fn(),
) {
    // When a file that has vanished counts as gone.
    let mut gone_at: Option<Instant> = None;
    loop {
        let is_touched = match inbox.recv_timeout(LOOK) {
            Ok(Signal::Touched(name)) => name.is_none_or(|name| path.file_name() == Some(name.as_os_str())),
            Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => false,
        };
        if !is_touched && gone_at.is_none() && Look::at(path) == last {
            continue;
        }
        if stopped_before_quiet(inbox) {
            return;
        }
        last = Look::at(path);
        let now = read_named(path, MAX_BYTES);
        if now == Err(ReadError::Missing) && seen != now {
            let moment = *gone_at.get_or_insert_with(|| Instant::now() + AWAY);
            if Instant::now() < moment {
                continue;
            }
        }
        gone_at = None;
        if now == seen {
            continue;
        }
        seen = now;
        on_change();
    }
}

/// Waits until nothing happens any more; true if the watch has ended.
fn stopped_before_quiet(inbox: &Receiver<Signal>) -> bool {
    let end = Instant::now() + MAX_UNREST;
    while Instant::now() < end {
        match inbox.recv_timeout(QUIET) {
            Ok(Signal::Touched(_)) => {}
            Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return true,
            Err(RecvTimeoutError::Timeout) => return false,
        }
    }
    false
}

fn signals_from(event: notify::Result<Event>) -> Vec<Signal> {
    let Ok(event) = event else {
        return vec![Signal::Touched(None)];
    };
    // Reading the file makes events too, and looking at them would never end.
    let only_read = matches!(event.kind, EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write));
    if event.need_rescan() || event.paths.is_empty() {
        return vec![Signal::Touched(None)];
    }
    if only_read {
        return Vec::new();
    }
    let names = event.paths.iter().map(|path| path.file_name().map(OsString::from));
    names.map(Signal::Touched).collect()
}

#[cfg(test)]
mod tests;
