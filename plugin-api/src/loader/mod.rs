//! Finds plugins in a folder, checks their files as data, and loads the ones that fit.
//!
//! The order matters. Loading a library runs its constructors before anything can be checked, and loading a damaged
//! one can end the process. So the file is opened and read once, and checked first: can only its owner change it, is
//! it a whole library for this machine, is it a plugin, and which version of plugin-api was it built with? Only then
//! are exactly these bytes loaded, from a copy that nobody can change, and the code must report the same manifest as
//! the file.
//!
//! [`scan`] lists the files, [`Image::read`] checks one without running its code, [`Image::load`] loads it.
//! A [`Refusal`] is one line: the file and the reason, with a hint that says who must do what.

// In the order in which data travels.
mod read;
mod structure;
mod sealed;

use std::env::consts::DLL_EXTENSION;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

pub use self::read::check_folder;
use crate::VERSION;
use crate::abi::{Library, LibraryRefusal, Side, caught};
pub use crate::abi::{end_process, on_exit, say_on_crash};
use crate::manifest::Manifest;
use crate::plugin::PluginModule;

/// The hint for a file that is probably not meant to be a plugin.
const REMOVE_OR_REPLACE: &str = "get the plugin again from its author, or remove the file if it is not a plugin";

/// Why a file is not used as a plugin. It displays as one line: the file's name and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The file.
    pub file: PathBuf,
    /// The reason for programs, such as `version` or `damaged`. Stable.
    pub code: &'static str,
    /// The reason for people, in one sentence: expected, then found.
    pub reason: String,
    /// Who must do what about it.
    pub hint: Option<String>,
}

impl Refusal {
    /// Creates a refusal for a reason of the host's own.
    ///
    /// - In: `code`, a stable word for programs; `reason`, one sentence.
    /// - Since: 1.3.
    pub fn new(file: &Path, code: &'static str, reason: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            code,
            reason: reason.into(),
            hint: None,
        }
    }

    /// Adds what to do about it.
    ///
    /// - Since: 1.3.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.file.file_name().unwrap_or(self.file.as_os_str());
        write!(f, "plugin `{}` was refused: {}", name.to_string_lossy(), self.reason)
    }
}

impl std::error::Error for Refusal {}

/// Lists the files in `folder` that are named like libraries, sorted by name.
///
/// - Out: paths that have not been read yet; [`load`] or [`inspect`] them. Empty if the folder does not exist.
/// - Errors: the folder cannot be read.
pub fn scan(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(cause),
    };
    let paths: io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut files = paths?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == DLL_EXTENSION));
    files.sort();
    Ok(files)
}

/// Reads a plugin's manifest from its file. None of its code runs.
///
/// - Errors: those of [`Image::read`].
pub fn inspect(file: &Path) -> Result<Manifest, Refusal> {
    Ok(Image::read(file)?.manifest)
}

/// Checks a plugin's file and loads it: [`Image::read`], then [`Image::load`].
pub fn load(file: &Path) -> Result<PluginModule, Refusal> {
    Image::read(file)?.load()
}

/// The bytes of a plugin's file, checked as data. None of its code has run.
pub struct Image {
    /// The path as the caller gave it, for refusals.
    file: PathBuf,
    bytes: Vec<u8>,
    sha256: String,
    manifest: Manifest,
    warnings: Vec<String>,
}

impl Image {
    /// Reads and checks a file.
    ///
    /// - Errors: others may change the file, or it is not a whole plugin for this machine and this major version of
    ///   plugin-api.
    /// - Since: 1.3.
    pub fn read(file: &Path) -> Result<Self, Refusal> {
        let (bytes, warnings) = read::read(file)?;
        let image = Self::from_bytes(file, bytes)?;
        Ok(Self { warnings, ..image })
    }

    /// Checks bytes that were read from `file` before.
    ///
    /// - Errors: those of [`Image::read`], except those about who may change the file.
    /// - Since: 1.3.
    pub fn from_bytes(file: &Path, bytes: Vec<u8>) -> Result<Self, Refusal> {
        Ok(Self {
            manifest: manifest_of(file, &bytes)?,
            file: file.to_owned(),
            sha256: Sha256::digest(&bytes)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            bytes,
            warnings: Vec::new(),
        })
    }

    /// The SHA-256 of the bytes, in lower-case hexadecimal digits.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What the plugin declares about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What is allowed but should be changed, such as a file that its group may write.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Loads exactly the bytes that were checked, for the rest of the process: plugins are never unloaded. Each call
    /// loads a copy of its own.
    ///
    /// - In: a plugin that you trust. It runs in this process with all of its rights; the checks guard against
    ///   mistakes, not against malice.
    /// - Errors: the library cannot be opened, its boundary types differ from this host's, or its code reports a
    ///   different manifest from its file.
    /// - Since: 1.3.
    pub fn load(&self) -> Result<PluginModule, Refusal> {
        let file = &self.file;
        let name = self.manifest.id.as_str();
        let loaded = sealed::with_copy(&self.bytes, name, |path| {
            caught(Side::Plugin, "load", || {
                let module = Library::load(path).map_err(|cause| refusal_from(file, cause, &self.manifest))?;
                PluginModule::from_module(module).map_err(|reason| Refusal::new(file, "manifest", reason))
            })
        });
        let loaded = loaded.map_err(|cause| {
            Refusal::new(
                file,
                "open",
                format!("there is no room for a copy to load it from: {cause}"),
            )
            .with_hint("free some memory, or set `TMPDIR` to a folder with room")
        })?;
        let module = loaded
            .map_err(|panic| Refusal::new(file, "entry", format!("its entry point failed: {}", panic.message)))??;
        if *module.manifest() != self.manifest {
            return Err(
                Refusal::new(file, "manifest", "its code reports a different manifest than its file")
                    .with_hint("get the plugin again from its author: the file was modified or mixed from two builds"),
            );
        }
        Ok(module)
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image")
            .field("file", &self.file)
            .field("sha256", &self.sha256)
            .finish_non_exhaustive()
    }
}

/// The manifest, if the file is a whole plugin for this machine and this major version.
fn manifest_of(file: &Path, bytes: &[u8]) -> Result<Manifest, Refusal> {
    let library = structure::library(file, bytes)?;
    let section = structure::manifest_section(&library).ok_or_else(|| {
        Refusal::new(
            file,
            "not_a_plugin",
            "it is a library, but not a plugin: it has no manifest",
        )
        .with_hint("the plugin's crate needs `plugin_api::export_plugin!(TheType);`")
    })?;
    let sealed = section.map_err(|()| bad_manifest(file, "its manifest is damaged"))?;
    let sealed = std::str::from_utf8(sealed).map_err(|_| bad_manifest(file, "its manifest is not UTF-8"))?;
    manifest_from(file, sealed)
}

/// The manifest in this text. The version is checked first: another major version may have another shape.
fn manifest_from(file: &Path, sealed: &str) -> Result<Manifest, Refusal> {
    let plugin_api = Manifest::parse_plugin_api(sealed).map_err(|reason| bad_manifest(file, reason))?;
    check_version(file, &plugin_api)?;
    Manifest::parse(sealed).map_err(|reason| bad_manifest(file, reason))
}

fn bad_manifest(file: &Path, reason: impl Into<String>) -> Refusal {
    Refusal::new(file, "manifest", reason).with_hint(REMOVE_OR_REPLACE)
}

fn check_version(file: &Path, theirs: &str) -> Result<(), Refusal> {
    let (our_major, their_major) = (major(VERSION), major(theirs));
    if our_major == their_major {
        return Ok(());
    }
    let reason = format!("built for plugin-api {theirs}, this host speaks {VERSION}");
    let ours = our_major.unwrap_or(0);
    let hint = if their_major > our_major {
        format!("use a newer host, or a build of the plugin for plugin-api {ours}")
    } else {
        format!("rebuild the plugin with plugin-api {ours}")
    };
    Err(Refusal::new(file, "version", reason).with_hint(hint))
}

fn refusal_from(file: &Path, cause: LibraryRefusal, manifest: &Manifest) -> Refusal {
    match cause {
        LibraryRefusal::Open(reason) => Refusal::new(file, "open", format!("the dynamic linker says: {reason}")),
        LibraryRefusal::NoEntry => Refusal::new(file, "not_a_plugin", "it has a manifest but no entry point"),
        LibraryRefusal::Foundation(reason) => {
            Refusal::new(file, "foundation", reason).with_hint(format!("rebuild the plugin with plugin-api {VERSION}"))
        }
        LibraryRefusal::Layout => {
            let reason = format!(
                "built for plugin-api {}, but its types at the boundary differ from this host's {VERSION}",
                manifest.plugin_api
            );
            Refusal::new(file, "layout", reason)
                .with_hint("build host and plugin from releases of plugin-api, not from modified copies")
        }
        LibraryRefusal::Entry(reason) => Refusal::new(file, "entry", format!("its entry point failed: {reason}")),
    }
}

fn major(version: &str) -> Option<u64> {
    version.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(sealed: &str) -> Result<Manifest, Refusal> {
        manifest_from(Path::new("plugins/libnew.so"), sealed)
    }

    #[test]
    fn another_major_version_is_refused_whatever_its_manifest_looks_like() {
        for rest in ["\"manifest\": 7", "\"manifest\": {\"ids\": []}", "\"plugin\": {}"] {
            let refusal = read(&format!("{{\"plugin_api\": \"2.0.0\", {rest}}}")).expect_err("it has another version");
            assert_eq!(
                refusal.to_string(),
                format!("plugin `libnew.so` was refused: built for plugin-api 2.0.0, this host speaks {VERSION}")
            );
            assert_eq!(refusal.code, "version");
        }
    }

    #[test]
    fn a_malformed_manifest_of_this_version_is_refused() {
        let refusal =
            read(&format!("{{\"plugin_api\": \"{VERSION}\", \"manifest\": 7}}")).expect_err("it is malformed");
        assert_eq!(refusal.code, "manifest");
        assert!(
            refusal.reason.starts_with("its manifest cannot be parsed: "),
            "{refusal}"
        );
    }
}
