//! Paths below an open folder, walked step by step.

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, fchmod, fstat, mkdirat, openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;

/// The largest file that is read, searched or written, in bytes.
const MAX_BYTES: u64 = 1 << 20;
/// Further entries of a folder are not listed.
const MAX_ENTRIES: usize = 1000;
/// Further files are not searched, and further lines are not shown.
const MAX_SEARCHED: usize = 5000;
const MAX_FOUND: usize = 100;
/// A line that is longer is cut.
const MAX_LINE_CHARS: usize = 300;
const MAX_DEPTH: usize = 32;

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
/// Opening a pipe would wait for its other end.
const FILE: OFlags = OFlags::NOFOLLOW
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);

/// A folder that is open.
pub struct Root(OwnedFd);

impl Root {
    pub fn open(folder: &Path) -> Result<Self, String> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(CWD, folder, flags, Mode::empty())
            .map(Self)
            .map_err(|cause| cause.to_string())
    }

    pub fn list(&self, path: &str) -> Result<String, String> {
        let mut lines = Vec::new();
        for (name, kind, n_bytes) in entries(&self.folder(path)?, path)? {
            lines.push(match kind {
                FileType::Directory => format!("{name}/"),
                FileType::RegularFile => format!("{name} ({n_bytes} bytes)"),
                FileType::Symlink => format!("{name} (a link)"),
                _ => format!("{name} (no file)"),
            });
        }
        Ok(if lines.is_empty() {
            "the folder is empty".to_owned()
        } else {
            lines.join("\n")
        })
    }

    /// - In: `start`, the first line, counted from 1.
    pub fn read_from(&self, path: &str, start: usize) -> Result<String, String> {
        let (folder, name) = self.parent(path, false)?;
        let text = text_of(&folder, name, path)?;
        let lines: Vec<&str> = text.split_inclusive('\n').skip(start - 1).collect();
        match lines.is_empty() && start > 1 {
            true => Err(format!("`{path}` has fewer than {start} lines")),
            false => Ok(lines.concat()),
        }
    }

    pub fn search(&self, wanted: &str, path: &str) -> Result<String, String> {
        if wanted.is_empty() {
            return Err("expected a text to search for, found an empty one".to_owned());
        }
        let mut search = Search {
            wanted: wanted.to_lowercase(),
            found: Vec::new(),
            n_files: 0,
        };
        let prefix = steps(path)?.join("/");
        search.folder(&self.folder(path)?, &prefix, 0)?;
        let is_cut = search.found.len() >= MAX_FOUND || search.n_files >= MAX_SEARCHED;
        let note = is_cut.then(|| "[there may be more; search a folder below, or for a longer text]".to_owned());
        search.found.extend(note);
        Ok(match search.found.is_empty() {
            true => "no line contains it".to_owned(),
            false => search.found.join("\n"),
        })
    }

    pub fn write(&self, path: &str, text: &str) -> Result<String, String> {
        if text.len() as u64 > MAX_BYTES {
            return Err(format!("expected at most {MAX_BYTES} bytes, found {}", text.len()));
        }
        let (folder, name) = self.parent(path, true)?;
        let rights = rights_of(&folder, name, path)?;
        // A file that is replaced is whole at every moment.
        let beside = format!(".{:016x}.new", RandomState::new().build_hasher().finish());
        let flags = FILE | OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let file = openat(&folder, &beside, flags, Mode::from_raw_mode(0o666)).map_err(|cause| said(path, cause))?;
        let set = rights.map_or(Ok(()), |rights| fchmod(&file, rights));
        let written = set.map_err(io::Error::from).and_then(|()| {
            let mut file = File::from(file);
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            Ok(renameat(&folder, &beside, &folder, name)?)
        });
        written.map_err(|cause| {
            let _ = unlinkat(&folder, &beside, AtFlags::empty());
            format!("`{path}`: {cause}")
        })?;
        Ok(format!("wrote {} bytes", text.len()))
    }

    fn folder(&self, path: &str) -> Result<OwnedFd, String> {
        walk(&self.0, &steps(path)?, path, false)
    }

    /// The folder of a file, and the file's name in it.
    fn parent<'a>(&self, path: &'a str, creates: bool) -> Result<(OwnedFd, &'a str), String> {
        let steps = steps(path)?;
        let Some((name, before)) = steps.split_last() else {
            return Err("expected the path of a file".to_owned());
        };
        Ok((walk(&self.0, before, path, creates)?, name))
    }
}

/// The rights of the file that is to be replaced, if there is one.
///
/// - Errors: it is none that may be replaced.
fn rights_of(folder: &OwnedFd, name: &str, path: &str) -> Result<Option<Mode>, String> {
    let file = match openat(folder, name, FILE | OFlags::WRONLY, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(cause) => return Err(said(path, cause)),
    };
    let found = fstat(&file).map_err(|cause| said(path, cause))?;
    if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
        return Err(format!("`{path}` is not a regular file"));
    }
    if found.st_nlink > 1 {
        return Err(format!("`{path}` has another name elsewhere, so it is not changed"));
    }
    Ok(Some(Mode::from_raw_mode(found.st_mode)))
}

/// The steps of a path.
///
/// - Errors: it begins at the top, or goes up.
fn steps(path: &str) -> Result<Vec<&str>, String> {
    if path.starts_with('/') {
        return Err(format!("expected a path relative to the folder, found `{path}`"));
    }
    let steps: Vec<&str> = path.split('/').filter(|step| !["", "."].contains(step)).collect();
    match steps.contains(&"..") {
        true => Err(format!("`{path}` leads out of the folder")),
        false => Ok(steps),
    }
}

fn walk(root: &OwnedFd, steps: &[&str], path: &str, creates: bool) -> Result<OwnedFd, String> {
    let mut here = root.try_clone().map_err(|cause| cause.to_string())?;
    for step in steps {
        if creates {
            // If it exists, opening it says what it is.
            let _ = mkdirat(&here, *step, Mode::from_raw_mode(0o777));
        }
        here = openat(&here, *step, FOLDER, Mode::empty()).map_err(|cause| said(path, cause))?;
    }
    Ok(here)
}

fn said(path: &str, cause: Errno) -> String {
    match cause {
        Errno::NOENT => format!("there is no `{path}`"),
        Errno::LOOP | Errno::MLINK => format!("`{path}` is or leads through a link, which is not followed"),
        Errno::NOTDIR => format!("`{path}` leads through a link or a file, which is not followed"),
        cause => format!("`{path}`: {cause}"),
    }
}

/// What is in a folder, by name: what it is, and its size.
fn entries(folder: &OwnedFd, path: &str) -> Result<Vec<(String, FileType, u64)>, String> {
    let mut found = Vec::new();
    for entry in Dir::read_from(folder)
        .map_err(|cause| said(path, cause))?
        .take(MAX_ENTRIES + 2)
    {
        let entry = entry.map_err(|cause| said(path, cause))?;
        let name = entry.file_name();
        let (Ok(text), Ok(stat)) = (name.to_str(), statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)) else {
            continue;
        };
        if ![".", ".."].contains(&text) {
            let n_bytes = u64::try_from(stat.st_size).unwrap_or(0);
            found.push((text.to_owned(), FileType::from_raw_mode(stat.st_mode), n_bytes));
        }
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(found)
}

fn text_of(folder: &OwnedFd, name: &str, path: &str) -> Result<String, String> {
    let file = openat(folder, name, FILE | OFlags::RDONLY, Mode::empty()).map_err(|cause| said(path, cause))?;
    let found = fstat(&file).map_err(|cause| said(path, cause))?;
    if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
        return Err(format!("`{path}` is not a regular file"));
    }
    let mut bytes = Vec::new();
    let read = File::from(file).take(MAX_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|cause| format!("`{path}`: {cause}"))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("`{path}` is larger than {MAX_BYTES} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| format!("`{path}` is not UTF-8 text"))
}

struct Search {
    wanted: String,
    found: Vec<String>,
    n_files: usize,
}

impl Search {
    /// Files that are no text, or too large, have no lines to find.
    fn folder(&mut self, folder: &OwnedFd, prefix: &str, depth: usize) -> Result<(), String> {
        for (name, kind, _) in entries(folder, prefix)? {
            if self.found.len() >= MAX_FOUND || self.n_files >= MAX_SEARCHED {
                break;
            }
            let path = if prefix.is_empty() {
                name.clone()
            } else {
                format!("{prefix}/{name}")
            };
            match kind {
                FileType::Directory if name != ".git" && depth < MAX_DEPTH => {
                    if let Ok(below) = openat(folder, name.as_str(), FOLDER, Mode::empty()) {
                        self.folder(&below, &path, depth + 1)?;
                    }
                }
                FileType::RegularFile => {
                    self.n_files += 1;
                    if let Ok(text) = text_of(folder, &name, &path) {
                        self.lines(&text, &path);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn lines(&mut self, text: &str, path: &str) {
        for (n, line) in text.lines().enumerate() {
            if self.found.len() < MAX_FOUND && line.to_lowercase().contains(&self.wanted) {
                let line: String = line.chars().take(MAX_LINE_CHARS).collect();
                self.found.push(format!("{path}:{}: {line}", n + 1));
            }
        }
    }
}
