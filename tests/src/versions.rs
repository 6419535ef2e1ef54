//! Builds Parrot and a small host with any version of plugin-api: this one, grown copies of it, earlier releases.
//!
//! Each version is a workspace of its own below the target folder. All share one target folder, so what does not depend
//! on plugin-api is compiled once.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use plugin_api::VERSION;

use crate::artefacts::{cargo, target_folder, workspace};
use crate::run::run;
use crate::wait::LIMIT;

const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);

/// How plugins are published: optimised as a whole, and stripped. Only this version's plugin is built so.
const AS_PUBLISHED: [&str; 5] = [
    "--",
    "-Copt-level=3",
    "-Ccodegen-units=1",
    "-Clto=thin",
    "-Cstrip=symbols",
];

/// The label of this version.
const THIS: &str = "this";

/// How the labels of earlier releases begin.
pub const RELEASE: &str = "release-";

/// A plugin and a host, built with one version of plugin-api.
pub struct Built {
    /// That version.
    pub version: String,
    /// Parrot, as a library.
    pub plugin: PathBuf,
    /// The small host.
    pub host: PathBuf,
    label: String,
}

impl Built {
    /// This version, built differently from the running test: see [`cargo_in`] and `AS_PUBLISHED`.
    pub fn of_this_version() -> Self {
        VersionSources::of_this_workspace(THIS).build(VERSION)
    }

    /// What this host prints about `plugin`.
    ///
    /// - Panics: if it fails.
    pub fn run_with(&self, plugin: &Self) -> String {
        let mut command = Command::new(&self.host);
        command.arg(&plugin.plugin);
        run(command, None, LIMIT).expect_success().stdout
    }

    /// What this host must print about `plugin`, whatever their versions.
    pub fn expected_with(&self, plugin: &Self) -> String {
        // Hosts of earlier releases check options later, by an instance.
        let check = match self.label.starts_with(RELEASE) {
            true => "",
            false => "check: 0 problems\n",
        };
        format!(
            "plugin {} in host {}\n\
             {check}chat: hello\n\
             host-call: say \"hello\"\n\
             {} says: an information\n\
             log: hello\n\
             stream: 199 words\n\
             panic: Err(internal(1))\n",
            plugin.version,
            self.version,
            parrot(&plugin.label).replace('-', "_")
        )
    }
}

/// The folder of a version's workspace.
pub fn folder_of(label: &str) -> PathBuf {
    target_folder().join("evolution").join(label)
}

/// Cargo names a library after its package alone, so the versions need different names in one target folder.
fn parrot(label: &str) -> String {
    format!("parrot-{label}")
}

/// A cargo that puts the fields of every Rust type in a random order; the flag is for compilers under development,
/// hence the permission. The bitcode is for `AS_PUBLISHED`.
pub fn cargo_in(folder: &Path) -> Command {
    let mut command = cargo();
    command
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target_folder().join("evolution/target"))
        .env("CARGO_INCREMENTAL", "0")
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-Zrandomize-layout -Zlayout-seed=4711 -Cembed-bitcode=yes");
    command
}

/// The files of a workspace by their paths in it: plugin-api, Parrot and a host.
pub struct VersionSources {
    files: BTreeMap<PathBuf, String>,
    label: String,
}

/// Files and folders of the repository, and where they go.
const PARTS: [(&str, &str); 5] = [
    ("Cargo.lock", "Cargo.lock"),
    ("Cargo.toml", "Cargo.toml"),
    ("plugin-api", "plugin-api"),
    ("tests/second-plugin", "parrot"),
    ("tests/examples/pocket_host.rs", "pocket-host/src/main.rs"),
];

impl VersionSources {
    /// The files as they are here.
    pub fn of_this_workspace(label: &str) -> Self {
        let mut files = BTreeMap::new();
        for (from, to) in PARTS {
            copy(&workspace().join(from), Path::new(to), &mut files);
        }
        Self::assembled(label, files)
    }

    /// The files as they were in a commit.
    ///
    /// - Errors: the commit is not in this checkout.
    pub fn of_commit(label: &str, commit: &str) -> Result<Self, String> {
        let mut files = BTreeMap::new();
        for (from, to) in PARTS {
            for path in git(&["ls-tree", "-r", "--name-only", "--full-tree", commit, "--", from])?.lines() {
                let below = path.strip_prefix(from).unwrap_or_default().trim_start_matches('/');
                let to = if below.is_empty() {
                    to.into()
                } else {
                    Path::new(to).join(below)
                };
                files.insert(to, git(&["show", &format!("{commit}:{path}")])?);
            }
        }
        Ok(Self::assembled(label, files))
    }

    fn assembled(label: &str, files: BTreeMap<PathBuf, String>) -> Self {
        let mut sources = Self {
            files,
            label: label.to_owned(),
        };
        let package = format!(
            "[package]\nname = \"pocket-host-{label}\"\nversion = \"1.0.0\"\nedition.workspace = true\n\n\
             [dependencies]\nplugin-api = {{ workspace = true, features = [\"loader\"] }}\n"
        );
        sources.files.insert("pocket-host/Cargo.toml".into(), package);
        let name = format!("name = \"{}\"", parrot(label));
        sources.replace("parrot/Cargo.toml", "name = \"second-plugin\"", &name);
        let manifest = &sources.files[Path::new("Cargo.toml")];
        let (_, members) = manifest.split_once("\nmembers = [").expect("the workspace has members");
        let (members, _) = members.split_once(']').expect("the list of members ends");
        let members = format!("members = [{members}]");
        sources.replace(
            "Cargo.toml",
            &members,
            "members = [\"plugin-api\", \"parrot\", \"pocket-host\"]",
        );
        sources
    }

    /// The file at this path.
    ///
    /// - Panics: if there is none.
    pub fn file_mut(&mut self, path: &str) -> &mut String {
        self.files
            .get_mut(Path::new(path))
            .unwrap_or_else(|| panic!("expected a file `{path}`"))
    }

    /// Replaces `old`, which must occur exactly once in the files below `folder`.
    #[track_caller]
    pub fn replace(&mut self, folder: &str, old: &str, new: &str) {
        let below = self.files.iter_mut().filter(|(path, _)| path.starts_with(folder));
        let mut with_it: Vec<_> = below.map(|(_, text)| text).filter(|text| text.contains(old)).collect();
        assert!(
            matches!(with_it[..], [ref text] if text.matches(old).count() == 1),
            "expected `{old}` once in `{folder}`"
        );
        *with_it[0] = with_it[0].replace(old, new);
    }

    /// Builds the plugin and the host. `version` is that of the workspace.
    pub fn build(self, version: &str) -> Built {
        let here = folder_of(&self.label);
        self.write(&here);
        let (plugin, host) = (parrot(&self.label), format!("pocket-host-{}", self.label));
        let mut build_host = cargo_in(&here);
        build_host.args(["build", "--offline", "-p", &host]);
        run(build_host, None, BUILD_LIMIT).expect_success();
        let mut build_plugin = cargo_in(&here);
        build_plugin.args(["rustc", "--offline", "--lib", "-p", &plugin]);
        if self.label == THIS {
            build_plugin.args(AS_PUBLISHED);
        }
        run(build_plugin, None, BUILD_LIMIT).expect_success();
        let folder = target_folder().join("evolution/target/debug");
        Built {
            version: version.to_owned(),
            plugin: folder.join(format!("lib{}.so", plugin.replace('-', "_"))),
            host: folder.join(host),
            label: self.label,
        }
    }

    /// Writes what differs from what is there: cargo builds again what is newer than it was.
    fn write(&self, folder: &Path) {
        for (path, text) in &self.files {
            let file = folder.join(path);
            if fs::read_to_string(&file).is_ok_and(|present| present == *text) {
                continue;
            }
            fs::create_dir_all(file.parent().expect("a file is in a folder")).expect("the target folder is writable");
            fs::write(file, text).expect("the target folder is writable");
        }
    }
}

/// Reads a file, or everything in a folder.
fn copy(from: &Path, to: &Path, files: &mut BTreeMap<PathBuf, String>) {
    if !from.is_dir() {
        let text =
            fs::read_to_string(from).unwrap_or_else(|cause| panic!("{} cannot be read: {cause}", from.display()));
        files.insert(to.to_owned(), text);
        return;
    }
    for entry in fs::read_dir(from).expect("the folder is readable") {
        let name = entry.expect("the folder is readable").file_name();
        copy(&from.join(&name), &to.join(&name), files);
    }
}

fn git(arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new("git");
    command.current_dir(workspace()).args(arguments);
    let ran = run(command, None, LIMIT);
    match ran.code {
        Some(0) => Ok(ran.stdout),
        _ => Err(format!("`git {}` failed: {}", arguments.join(" "), ran.stderr.trim())),
    }
}
