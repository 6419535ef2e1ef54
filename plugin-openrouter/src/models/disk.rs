//! Caches the model list on disk, so that a new process need not fetch it.
//!
//! One file for each service has a header line and a page as the service would write it.
//! It is replaced in one step, so a reader sees the old list or the new one.
//! A bad file is ignored, and the service is asked instead. No key is written.
//! Files are read and written on threads of their own, because a slow disk must not block the runtime.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use std::{env, process, thread};

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::files;
use crate::models::page::page_from;
use crate::models::{Catalogue, Model};
use crate::service::Settings;
use crate::values::base_url::is_loopback;
use crate::values::folders::{NoFolder, folder_from};

/// The format of the file. Files of any other format are ignored.
const FORM: &str = "openrouter-models 1";

/// The most bytes of a file. The model list has about 2 MB.
const MAX_BYTES: u64 = 32 << 20;

/// The longest wait for the disk. After that, asking the service is quicker.
const PATIENCE: Duration = Duration::from_secs(1);

/// The age of a list whose date is in the future, so that its true age is unknown.
const UNKNOWN_AGE: Duration = Duration::from_secs(30 * 86_400);

/// The file for one service.
#[derive(Debug, Clone)]
pub struct Disk {
    folder: PathBuf,
    name: String,
    base_url: String,
}

/// The first line of a file.
#[derive(Serialize, Deserialize)]
struct Header {
    form: String,
    /// The service that the list is from. The file names of two services may collide.
    base_url: String,
    /// When the list was fetched, in milliseconds since 1970.
    fetched_ms: u64,
}

impl Disk {
    /// The file for the service of these settings; `None` if the disk is not used.
    ///
    /// A service on this machine has a file only if the profile asks for it: another service may listen at its port
    /// tomorrow, and asking is as quick as reading a file.
    ///
    /// - Errors: why there is no folder for the file.
    pub fn of(settings: &Settings) -> Result<Option<Self>, String> {
        let caches = &settings.profile.options.caches;
        let base_url = &settings.service.base_url;
        let is_wanted = caches
            .disk
            .unwrap_or_else(|| caches.folder.is_some() || !is_loopback(base_url));
        if !is_wanted {
            return Ok(None);
        }
        let variable = |name| env::var_os(name).map(PathBuf::from);
        let option = caches.folder.as_deref();
        Ok(Some(Self {
            folder: folder_from(option, variable("XDG_CACHE_HOME"), ".cache", variable("HOME")).map_err(no_folder)?,
            name: file_name(settings.service.host(), base_url),
            base_url: base_url.clone(),
        }))
    }

    /// The models and their age, if there is a good file.
    pub async fn read(&self) -> Option<(Vec<Model>, Duration)> {
        let disk = self.clone();
        let path = self.path();
        match aside(move || Ok(disk.read_at(SystemTime::now()))).await {
            Ok(Ok(found)) => found,
            Ok(Err(problem)) => {
                tracing::warn!(path = %path.display(), "ignoring the cached model list: {problem}");
                None
            }
            Err(problem) => {
                tracing::debug!(path = %path.display(), "not waiting for the cached model list: {problem}");
                None
            }
        }
    }

    /// Writes a list that was just fetched. Problems are only logged.
    pub async fn write(&self, catalogue: &Arc<Catalogue>, secret: &str) {
        let (disk, catalogue) = (self.clone(), Arc::clone(catalogue));
        let secret = Zeroizing::new(secret.to_owned());
        if let Err(problem) = aside(move || disk.write_at(SystemTime::now(), &catalogue, &secret)).await {
            let folder = self.folder.display();
            tracing::debug!(folder = %folder, "the model list is not cached on disk: {problem}");
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    /// - Errors: what is wrong with the file. A missing file is not an error.
    fn read_at(&self, now: SystemTime) -> Result<Option<(Vec<Model>, Duration)>, String> {
        let text = match read_file(&self.folder, &self.path()) {
            Ok(text) => text,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(cause.to_string()),
        };
        let damaged = || "the file is damaged or has another version".to_owned();
        let line_end = memchr::memchr(b'\n', &text).ok_or_else(damaged)?;
        let header: Header = serde_json::from_slice(&text[..line_end]).map_err(|_| damaged())?;
        if header.form != FORM {
            return Err(damaged());
        }
        if header.base_url != self.base_url {
            return Err("the file is from another service".to_owned());
        }
        let page = page_from(&text[line_end + 1..]).map_err(|_| damaged())?;
        if page.models.is_empty() || page.n_unreadable > 0 {
            return Err(damaged());
        }
        let fetched = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(header.fetched_ms));
        let age = fetched.and_then(|fetched| now.duration_since(fetched).ok());
        Ok(Some((page.models, age.unwrap_or(UNKNOWN_AGE))))
    }

    /// - Errors: why the file is not written. The previous file stays.
    fn write_at(&self, now: SystemTime, catalogue: &Catalogue, secret: &str) -> Result<(), String> {
        if catalogue.models.is_empty() {
            // It may be a mistake of the service, which must not outlive this process.
            return Err("the list is empty".to_owned());
        }
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let header = Header {
            form: FORM.to_owned(),
            base_url: self.base_url.clone(),
            fetched_ms: crate::values::time::milliseconds(since),
        };
        let mut text = serde_json::to_string(&header).map_err(|cause| cause.to_string())?;
        text.push_str("\n{\"data\":[");
        for (place, model) in catalogue.models.iter().enumerate() {
            text.push_str(if place == 0 { "\n" } else { ",\n" });
            text.push_str(model.raw.get());
        }
        text.push_str("\n]}\n");
        if text.len() as u64 > MAX_BYTES {
            return Err(format!("the list has more than {} MiB", MAX_BYTES >> 20));
        }
        if !secret.is_empty() && text.contains(secret) {
            return Err("the list contains the key".to_owned());
        }
        replace_file(&self.folder, &self.name, text.as_bytes()).map_err(|cause| cause.to_string())
    }
}

fn no_folder(problem: NoFolder) -> String {
    match problem {
        NoFolder::NotAbsolute(path) => {
            format!("`caches.folder`: expected a path that begins with `/` or `~/`, found `{path}`")
        }
        NoFolder::NoHome => "there is no home folder; set `caches.folder`".to_owned(),
    }
}

/// A file name: the host for people, and a hash of the base URL to tell services on one host apart.
fn file_name(host: &str, base_url: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || ".-".contains(letter);
    let host = host.chars().take(100);
    let host: String = host.map(|letter| if is_plain(letter) { letter } else { '_' }).collect();
    // FNV-1a, because the standard library's hash may change between versions.
    let hash = base_url.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("models-{host}-{hash:016x}.json")
}

fn read_file(folder: &Path, path: &Path) -> io::Result<Vec<u8>> {
    files::check_folder(folder)?;
    let mut text = Vec::new();
    let file = files::open(path, false, MAX_BYTES)?;
    file.take(MAX_BYTES + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(files::too_large(MAX_BYTES));
    }
    Ok(text)
}

/// Replaces a file in one step.
fn replace_file(folder: &Path, name: &str, text: &[u8]) -> io::Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);

    files::make_folder(folder)?;
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    let new = folder.join(format!(".{name}.{}-{n}", process::id()));
    let mut options = OpenOptions::new();
    // A link in its place is not followed.
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options
        .open(&new)
        .and_then(|mut file| file.write_all(text))
        .and_then(|()| fs::rename(&new, folder.join(name)));
    if written.is_err() {
        // A leftover file does no harm.
        let _ = fs::remove_file(&new);
    }
    written
}

/// Runs blocking work on a thread of its own.
///
/// - Errors: those of the work, or that it takes too long.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, String> {
    let (answer, answered) = oneshot::channel();
    let job = move || {
        // After the time limit nobody waits for the result.
        let _ = answer.send(work());
    };
    thread::Builder::new()
        .name("models".to_owned())
        .spawn(job)
        .map_err(|cause| cause.to_string())?;
    match tokio::time::timeout(PATIENCE, answered).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err("the thread ended early".to_owned()),
        Err(_) => Err("the disk is too slow".to_owned()),
    }
}

#[cfg(test)]
mod tests;
