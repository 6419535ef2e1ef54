//! Finds plugins in a folder, checks their files as data, and loads the ones that fit.
//!
//! The order matters. Loading a library runs its constructors before anything can be checked, and loading a damaged
//! one can end the process. So the bytes are checked first: is it a whole library for this machine, is it a plugin,
//! and which version of plugin-api was it built with? Only then is it loaded, and its code must report the same
//! manifest as its file.
//!
//! [`scan`] lists the files, [`inspect`] reads a manifest without running code, [`load`] loads. A [`Refusal`] is one
//! line: the file and the reason, with a hint that says who must do what.

use std::env::consts::DLL_EXTENSION;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use object::read::{File, FileKind};
use object::{Architecture, Object, ObjectSection, ObjectSegment};

use crate::VERSION;
use crate::abi::{Library, LibraryRefusal, export::MANIFEST_SECTIONS};
use crate::manifest::Manifest;
use crate::plugin::PluginModule;

/// The largest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// The hint for a file that cannot be meant as a plugin.
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
    fn new(file: &Path, code: &'static str, reason: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            code,
            reason: reason.into(),
            hint: None,
        }
    }

    fn with_hint(mut self, hint: impl Into<String>) -> Self {
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
/// - Errors: the file is not a whole plugin for this machine and this major version of plugin-api.
pub fn inspect(file: &Path) -> Result<Manifest, Refusal> {
    Image::read(file)?.manifest()
}

/// Checks a plugin's file and loads it, for the rest of the process: plugins are never unloaded.
///
/// Loading the same path again returns the old code, even if the file has changed. Do not overwrite a loaded file in
/// place: replace it.
///
/// - In: a file that you trust. A plugin runs in this process with all of its rights; the checks guard against
///   mistakes, not against malice.
/// - Errors: those of [`inspect`]; the library cannot be opened, its boundary types differ from this host's, or its
///   code reports another manifest than its file.
pub fn load(file: &Path) -> Result<PluginModule, Refusal> {
    let image = Image::read(file)?;
    let promised = image.manifest()?;
    let module = Library::load(&image.code).map_err(|cause| image.refusal_from(cause, &promised))?;
    let module = PluginModule::from_module(module).map_err(|reason| Refusal::new(file, "manifest", reason))?;
    if *module.manifest() != promised {
        return Err(
            Refusal::new(file, "manifest", "its code reports a different manifest than its file")
                .with_hint("get the plugin again from its author: the file was modified or mixed from two builds"),
        );
    }
    Ok(module)
}

/// A library file and its bytes, checked step by step before any of its code runs.
struct Image {
    /// The path as the caller gave it, for refusals.
    file: PathBuf,
    /// The absolute path to load from: the dynamic linker would search for a bare name elsewhere.
    code: PathBuf,
    bytes: Vec<u8>,
}

impl Image {
    fn read(file: &Path) -> Result<Self, Refusal> {
        let unreadable = |cause: io::Error| {
            Refusal::new(file, "unreadable", format!("it cannot be read: {cause}"))
                .with_hint("make the file readable for the host")
        };
        let metadata = fs::metadata(file).map_err(unreadable)?;
        // Opening a pipe would wait for a writer forever.
        if !metadata.is_file() {
            return Err(Refusal::new(file, "not_a_file", "expected a regular file").with_hint(REMOVE_OR_REPLACE));
        }
        if metadata.len() > MAX_FILE_BYTES {
            let (most, found) = (MAX_FILE_BYTES >> 20, metadata.len() >> 20);
            let reason = format!("expected at most {most} MiB, found {found} MiB");
            return Err(Refusal::new(file, "too_large", reason).with_hint(REMOVE_OR_REPLACE));
        }
        let code = fs::canonicalize(file).map_err(unreadable)?;
        let bytes = fs::read(&code).map_err(unreadable)?;
        Ok(Self {
            file: file.to_owned(),
            code,
            bytes,
        })
    }

    /// The manifest, if the file is a whole plugin for this machine and this major version.
    fn manifest(&self) -> Result<Manifest, Refusal> {
        let library = self.library()?;
        let section = MANIFEST_SECTIONS.iter().find_map(|name| library.section_by_name(name));
        let section = section.ok_or_else(|| {
            self.refusal("not_a_plugin", "it is a library, but not a plugin: it has no manifest")
                .with_hint("the plugin's crate needs `plugin_api::export_plugin!(TheType);`")
        })?;
        let sealed = section.data();
        let sealed = sealed.map_err(|_| self.bad_manifest("its manifest is damaged"))?;
        let sealed = std::str::from_utf8(sealed).map_err(|_| self.bad_manifest("its manifest is not UTF-8"))?;
        self.manifest_from(sealed)
    }

    /// The manifest in this text. The version is checked first: another major version may have another shape.
    fn manifest_from(&self, sealed: &str) -> Result<Manifest, Refusal> {
        let plugin_api = Manifest::parse_plugin_api(sealed).map_err(|reason| self.bad_manifest(reason))?;
        self.check_version(&plugin_api)?;
        Manifest::parse(sealed).map_err(|reason| self.bad_manifest(reason))
    }

    fn refusal(&self, code: &'static str, reason: impl Into<String>) -> Refusal {
        Refusal::new(&self.file, code, reason)
    }

    fn bad_manifest(&self, reason: impl Into<String>) -> Refusal {
        self.refusal("manifest", reason).with_hint(REMOVE_OR_REPLACE)
    }

    /// The file as a library for this machine, with all of its segments inside the file. The dynamic linker does not
    /// check the latter: it maps what the headers promise, and the process dies on the first page that is missing.
    fn library(&self) -> Result<File<'_>, Refusal> {
        let kind = FileKind::parse(&*self.bytes).map_err(|_| {
            self.refusal("not_a_library", "it is not a shared library")
                .with_hint(REMOVE_OR_REPLACE)
        })?;
        let native = native_kind();
        if kind != native {
            let reason = format!("expected a library in the format {native:?}, found {kind:?}");
            let refusal = self.refusal("wrong_format", reason);
            return Err(refusal.with_hint("get the build of the plugin for this system"));
        }
        let damaged = || {
            self.refusal("damaged", "it is truncated: parts that its headers declare are missing")
                .with_hint("copy it again; it may still have been incomplete")
        };
        let library = File::parse(&*self.bytes).map_err(|_| damaged())?;
        let (theirs, ours) = (library.architecture(), native_architecture());
        if theirs != ours {
            let reason = format!("built for {theirs:?}, this host runs on {ours:?}");
            let refusal = self.refusal("wrong_machine", reason);
            return Err(refusal.with_hint("get the build of the plugin for this machine"));
        }
        let length = self.bytes.len() as u64;
        let whole = library.segments().all(|segment| {
            let (offset, size) = segment.file_range();
            offset.checked_add(size).is_some_and(|end| end <= length)
        });
        if whole { Ok(library) } else { Err(damaged()) }
    }

    fn check_version(&self, theirs: &str) -> Result<(), Refusal> {
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
        Err(self.refusal("version", reason).with_hint(hint))
    }

    fn refusal_from(&self, cause: LibraryRefusal, manifest: &Manifest) -> Refusal {
        match cause {
            LibraryRefusal::Open(reason) => self.refusal("open", format!("the dynamic linker says: {reason}")),
            LibraryRefusal::NoEntry => self.refusal("not_a_plugin", "it has a manifest but no entry point"),
            LibraryRefusal::Foundation(reason) => self
                .refusal("foundation", reason)
                .with_hint(format!("rebuild the plugin with plugin-api {VERSION}")),
            LibraryRefusal::Layout => {
                let reason = format!(
                    "built for plugin-api {}, but its types at the boundary differ from this host's {VERSION}",
                    manifest.plugin_api
                );
                self.refusal("layout", reason)
                    .with_hint("build host and plugin from releases of plugin-api, not from modified copies")
            }
            LibraryRefusal::Entry(reason) => self.refusal("entry", format!("its entry point failed: {reason}")),
        }
    }
}

fn major(version: &str) -> Option<u64> {
    version.split('.').next()?.parse().ok()
}

fn native_kind() -> FileKind {
    match (
        cfg!(target_vendor = "apple"),
        cfg!(windows),
        cfg!(target_pointer_width = "64"),
    ) {
        (true, _, _) => FileKind::MachO64,
        (_, true, _) => FileKind::Pe64,
        (_, _, true) => FileKind::Elf64,
        (_, _, false) => FileKind::Elf32,
    }
}

fn native_architecture() -> Architecture {
    match std::env::consts::ARCH {
        "x86_64" => Architecture::X86_64,
        "aarch64" => Architecture::Aarch64,
        "riscv64" => Architecture::Riscv64,
        "powerpc64" => Architecture::PowerPc64,
        "s390x" => Architecture::S390x,
        "x86" => Architecture::I386,
        "arm" => Architecture::Arm,
        _ => Architecture::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(sealed: &str) -> Result<Manifest, Refusal> {
        let image = Image {
            file: "plugins/libnew.so".into(),
            code: "/plugins/libnew.so".into(),
            bytes: Vec::new(),
        };
        image.manifest_from(sealed)
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
