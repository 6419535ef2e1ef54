//! Within a major version, every plugin works in every host: older in newer, and the reverse.
//!
//! The versions of tomorrow are made here, as copies of plugin-api with a higher minor version. Each has grown as the
//! rules allow: a method behind the last one of each trait, and a field behind the last one of the module. Each is built
//! with Parrot and a small host; then every host loads every plugin.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use plugin_api::VERSION;
use tests::{LIMIT, cargo, run, target_folder, workspace};

const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);

/// How plugins are published: optimised as a whole, and stripped. This version's plugin is built so, the others are not.
const AS_PUBLISHED: [&str; 5] = [
    "--",
    "-Copt-level=3",
    "-Ccodegen-units=1",
    "-Clto=thin",
    "-Cstrip=symbols",
];

/// A plugin and a host, built with one version of plugin-api.
pub struct Built {
    version: String,
    /// How many minor versions it is ahead; it has as many new methods and fields.
    ahead: u32,
    pub plugin: PathBuf,
    host: PathBuf,
}

/// This version and the next two minor ones, built differently from this host: see [`cargo_in`] and [`AS_PUBLISHED`].
pub fn versions() -> &'static [Built; 3] {
    static BUILT: OnceLock<[Built; 3]> = OnceLock::new();
    BUILT.get_or_init(|| [0, 1, 2].map(built))
}

#[test]
fn plugins_and_hosts_of_three_minor_versions_all_work_together() {
    for plugin in versions() {
        for host in versions() {
            let mut command = Command::new(&host.host);
            command.arg(&plugin.plugin);
            let ran = run(command, None, LIMIT).expect_success();
            let mut expected = format!(
                "plugin {} in host {}\n\
                 chat: hello\n\
                 host-call: say \"hello\"\n\
                 parrot_ahead_{} says: an information\n\
                 log: hello\n\
                 stream: 199 words\n\
                 panic: Err(internal(1))\n",
                plugin.version, host.version, plugin.ahead
            );
            for minor in 1..=host.ahead {
                // Where the plugin is older, the default body answers.
                let has_it = plugin.ahead >= minor;
                let answer = if has_it { minor } else { 0 };
                expected += &format!("method of minor {minor}: {answer}, field: {has_it}\n");
            }
            assert_eq!(ran.stdout, expected);
        }
    }
}

#[test]
fn the_layout_file_takes_what_was_appended_for_growth() {
    let newest = versions().last().expect("there are three");
    let here = folder_of(newest.ahead);
    let mut command = cargo_in(&here);
    let test = ["-p", "plugin-api", "--lib", "the_layout_only_grows"];
    command
        .args(["test", "--offline"])
        .args(test)
        .env("UPDATE_EXPECTED", "1");
    run(command, None, BUILD_LIMIT).expect_success();
    let [before, after] = [workspace(), &here].map(|folder| read(&folder.join("plugin-api/layout.txt")));
    assert!(after.contains("appended_2") && after.lines().count() > before.lines().count());
}

/// Builds the version that is `ahead` minor versions ahead of this one.
fn built(ahead: u32) -> Built {
    let parts: Vec<u32> = VERSION.split('.').filter_map(|part| part.parse().ok()).collect();
    let [major, minor, patch] = parts[..] else {
        panic!("expected three numbers, found `{VERSION}`");
    };
    let version = format!("{major}.{}.{patch}", minor + ahead);
    let mut sources = Sources::of(ahead, &version);
    for minor in 1..=ahead {
        sources.grow(minor);
    }
    let here = folder_of(ahead);
    sources.write(&here);
    let (plugin, host) = (format!("parrot-ahead-{ahead}"), format!("pocket-host-ahead-{ahead}"));
    let mut build_host = cargo_in(&here);
    build_host.args(["build", "--offline", "-p", &host]);
    run(build_host, None, BUILD_LIMIT).expect_success();
    let mut build_plugin = cargo_in(&here);
    build_plugin.args(["rustc", "--offline", "--lib", "-p", &plugin]);
    if ahead == 0 {
        build_plugin.args(AS_PUBLISHED);
    }
    run(build_plugin, None, BUILD_LIMIT).expect_success();
    let folder = shared_target().join("debug");
    Built {
        version,
        plugin: folder.join(format!("lib{}.so", plugin.replace('-', "_"))),
        host: folder.join(host),
        ahead,
    }
}

fn folder_of(ahead: u32) -> PathBuf {
    target_folder().join(format!("evolution/ahead-{ahead}"))
}

/// One target folder for all versions: what does not depend on plugin-api is compiled once.
fn shared_target() -> PathBuf {
    target_folder().join("evolution/target")
}

/// A cargo that puts the fields of every Rust type in a random order; the flag is for compilers under development, hence
/// the permission. The bitcode is for [`AS_PUBLISHED`].
fn cargo_in(folder: &Path) -> Command {
    let mut command = cargo();
    command
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", shared_target())
        .env("CARGO_INCREMENTAL", "0")
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-Zrandomize-layout -Zlayout-seed=4711 -Cembed-bitcode=yes");
    command
}

/// The files of a workspace by their paths in it: plugin-api, Parrot and a host.
struct Sources(BTreeMap<PathBuf, String>);

impl Sources {
    fn of(ahead: u32, version: &str) -> Self {
        let mut sources = Self(BTreeMap::new());
        sources.copy("Cargo.lock", "Cargo.lock");
        sources.copy("Cargo.toml", "Cargo.toml");
        sources.copy("plugin-api", "plugin-api");
        sources.copy("tests/second-plugin", "parrot");
        sources.copy("tests/examples/pocket_host.rs", "pocket-host/src/main.rs");
        // Cargo names a library after its package alone, so the versions need different names in one target folder.
        let package = format!(
            "[package]\nname = \"pocket-host-ahead-{ahead}\"\nversion = \"1.0.0\"\nedition.workspace = true\n\n\
             [dependencies]\nplugin-api.workspace = true\n"
        );
        sources.0.insert("pocket-host/Cargo.toml".into(), package);
        let parrot = format!("name = \"parrot-ahead-{ahead}\"");
        sources.replace("parrot/Cargo.toml", "name = \"second-plugin\"", &parrot);

        let manifest = &sources.0[Path::new("Cargo.toml")];
        let (_, members) = manifest.split_once("\nmembers = [").expect("the workspace has members");
        let (members, _) = members.split_once(']').expect("the list of members ends");
        let members = format!("members = [{members}]");
        sources.replace(
            "Cargo.toml",
            &members,
            "members = [\"plugin-api\", \"parrot\", \"pocket-host\"]",
        );
        let [ours, theirs] = [VERSION, version].map(|it| format!("[workspace.package]\nversion = \"{it}\""));
        sources.replace("Cargo.toml", &ours, &theirs);
        sources
    }

    /// Adds a file or folder of this workspace.
    fn copy(&mut self, from: &str, to: &str) {
        let file = workspace().join(from);
        if !file.is_dir() {
            self.0.insert(to.into(), read(&file));
            return;
        }
        for entry in fs::read_dir(file).expect("the folder is readable") {
            let name = entry.expect("the folder is readable").file_name();
            let name = name.to_str().expect("the workspace's file names are text");
            self.copy(&format!("{from}/{name}"), &format!("{to}/{name}"));
        }
    }

    /// Replaces `old`, which must occur exactly once in the files below `folder`.
    #[track_caller]
    fn replace(&mut self, folder: &str, old: &str, new: &str) {
        let below = self.0.iter_mut().filter(|(path, _)| path.starts_with(folder));
        let mut with_it: Vec<_> = below.map(|(_, text)| text).filter(|text| text.contains(old)).collect();
        assert!(
            matches!(with_it[..], [ref text] if text.matches(old).count() == 1),
            "expected `{old}` once in `{folder}`"
        );
        *with_it[0] = with_it[0].replace(old, new);
    }

    /// Lets the copy of plugin-api grow as a minor version may.
    fn grow(&mut self, minor: u32) {
        let method = format!("appended_{minor}");
        self.append_to_traits_and_module(&method);
        let insertions = [
            // The plugin's side answers the new method and has the new field.
            (
                "impl<P: Provider> RawPlugin for PluginAdapter<P> {",
                format!("fn {method}(&self) -> u32 {{ {minor} }}"),
            ),
            (
                "create: create::<P>,",
                format!("{method}: {{ extern \"C\" fn {method}() -> u32 {{ {minor} }} {method} }},"),
            ),
            // The host's side asks for both.
            (
                "impl Instance {",
                format!("pub fn {method}(&self) -> u32 {{ self.raw.{method}() }}"),
            ),
            (
                "impl Module {",
                format!("pub fn has_{method}(&self) -> bool {{ self.raw.{method}().is_some() }}"),
            ),
            (
                "impl Plugin {",
                format!("/// New.\npub fn {method}(&self) -> u32 {{ self.instance.{method}() }}"),
            ),
            (
                "impl PluginModule {",
                format!("/// New.\npub fn has_{method}(&self) -> bool {{ self.module.has_{method}() }}"),
            ),
        ];
        for (mark, insertion) in insertions {
            self.replace("plugin-api/src", mark, &format!("{mark}\n{insertion}\n"));
        }
        let mark = "    // The newer hosts call what is new here.\n";
        let call = format!(
            "println!(\"method of minor {minor}: {{}}, field: {{}}\", plugin.{method}(), module.has_{method}());\n{mark}"
        );
        self.replace("pocket-host", mark, &call);
    }

    /// Appends a method with a default body to each trait, and a field to the module.
    fn append_to_traits_and_module(&mut self, method: &str) {
        let traits = self.0.get_mut(Path::new("plugin-api/src/abi/traits.rs"));
        let traits = traits.expect("the traits are there");
        let mut grown = String::new();
        let mut appended = None;
        let mut n_appended = 0;
        for line in traits.lines() {
            if line.starts_with("pub trait Raw") {
                appended = Some(format!("fn {method}(&self) -> u32 {{ 0 }}\n"));
            } else if line.starts_with("pub struct RawModule ") {
                appended = Some(format!("pub {method}: extern \"C\" fn() -> u32,\n"));
            } else if line == "}"
                && let Some(appended) = appended.take()
            {
                grown += &appended;
                n_appended += 1;
            }
            grown += line;
            grown += "\n";
        }
        assert_eq!(n_appended, 4, "three traits and the module");
        *traits = grown;
    }

    /// Writes what differs from what is there: cargo builds again what is newer than it was.
    fn write(&self, folder: &Path) {
        for (path, text) in &self.0 {
            let file = folder.join(path);
            if fs::read_to_string(&file).is_ok_and(|present| present == *text) {
                continue;
            }
            fs::create_dir_all(file.parent().expect("a file is in a folder")).expect("the target folder is writable");
            fs::write(file, text).expect("the target folder is writable");
        }
    }
}

#[track_caller]
fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|cause| panic!("{} cannot be read: {cause}", file.display()))
}
