//! Reports when the text of the profile file has really changed.
//!
//! Editors replace files, so the folder is watched and not the file. Events only say "look": the
//! file is read once they are quiet, and a change is reported only if its bytes differ. Whether the new
//! text is valid is not checked here.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};

use super::read::{ReadError, read_bytes};

/// Silence after which a change counts as finished.
const QUIET: Duration = Duration::from_millis(50);
/// How long a file must stay away to be gone: some editors remove it before they write it again.
const AWAY: Duration = Duration::from_secs(1);
/// Longest wait for that silence.
const MAX_UNREST: Duration = Duration::from_secs(1);

/// A running watch; dropping it ends it.
#[derive(Debug)]
pub struct ProfileWatch {
    signals: Sender<Signal>,
    thread: Option<JoinHandle<()>>,
}

enum Signal {
    /// Something happened to a path in a watched folder; none: it is not known to what.
    Touched(Option<OsString>),
    Stop,
}

/// Watches the folder of the file, and that of its target if it is a link.
///
/// - Out: `on_change` is called on a thread of the watch, about 50 ms after the last of a series of
///   changes. A file that vanishes is reported after a second; one that comes back
///   earlier is a change only if its text differs.
/// - Errors: the folder does not exist or cannot be watched.
pub fn watch(path: &Path, on_change: impl Fn() + Send + 'static) -> Result<ProfileWatch, notify::Error> {
    let (signals, inbox) = channel();
    let from_watcher = signals.clone();
    let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        for signal in signals_from(event) {
            // The thread is gone only when the watch is.
            let _ = from_watcher.send(signal);
        }
    })?;
    let mut place = Place {
        path: path.to_owned(),
        watcher,
        target_folder: None,
    };
    place.watcher.watch(folder_of(path), RecursiveMode::NonRecursive)?;
    place.follow_link();
    let seen = read_bytes(path);
    let thread = thread::Builder::new()
        .name("profile-watch".to_owned())
        .spawn(move || run(&mut place, &inbox, seen, &on_change))
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

struct Place {
    path: PathBuf,
    watcher: RecommendedWatcher,
    target_folder: Option<PathBuf>,
}

impl Place {
    fn concerns(&self, name: Option<&OsString>) -> bool {
        // Of a link, the names on the way to the target are not known.
        name.is_none_or(|name| self.target_folder.is_some() || self.path.file_name() == Some(name))
    }

    /// Watches the folder of the file that the path really leads to, if it is another one.
    fn follow_link(&mut self) {
        let is_link = fs::symlink_metadata(&self.path).is_ok_and(|metadata| metadata.is_symlink());
        let target = fs::canonicalize(&self.path).ok();
        let folder = target
            .filter(|_| is_link)
            .and_then(|target| target.parent().map(Path::to_owned));
        if folder.is_none() || folder == self.target_folder {
            return;
        }
        let own_folder = fs::canonicalize(folder_of(&self.path)).ok();
        if let Some(old) = self.target_folder.take().filter(|old| Some(old) != own_folder.as_ref()) {
            // It may be gone, and then it is not watched either.
            let _ = self.watcher.unwatch(&old);
        }
        if let Some(new) = folder.as_ref().filter(|new| Some(*new) != own_folder.as_ref()) {
            // Without it, changes through the link itself are still noticed.
            let _ = self.watcher.watch(new, RecursiveMode::NonRecursive);
        }
        self.target_folder = folder;
    }
}

fn run(place: &mut Place, inbox: &Receiver<Signal>, mut seen: Result<Vec<u8>, ReadError>, on_change: &impl Fn()) {
    // When a file that has vanished counts as gone.
    let mut gone_at: Option<Instant> = None;
    loop {
        let signal = match gone_at {
            Some(moment) => inbox.recv_timeout(moment.saturating_duration_since(Instant::now())),
            None => inbox.recv().map_err(RecvTimeoutError::from),
        };
        match signal {
            Ok(Signal::Touched(name)) if !place.concerns(name.as_ref()) => continue,
            Ok(Signal::Touched(_)) if stopped_before_quiet(inbox) => return,
            Ok(Signal::Touched(_)) => {}
            Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                gone_at = None;
                seen = Err(ReadError::Missing);
                on_change();
                continue;
            }
        }
        place.follow_link();
        let now = read_bytes(&place.path);
        if now == Err(ReadError::Missing) && seen != now {
            gone_at.get_or_insert_with(|| Instant::now() + AWAY);
            continue;
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

/// The folder of the file; for a bare name the current one.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests;
