//! Within a major version, every plugin works in every host: older in newer, and the reverse.
//!
//! The versions of tomorrow are made here: copies of plugin-api whose minor version is raised and which have grown as the
//! rules allow, by a method behind the last one of each trait and a field behind the last one of the module. Each is
//! built together with Parrot and a small host; then every host loads every plugin.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use plugin_api::VERSION;
use tempfile::TempDir;
use tests::{LIMIT, cargo, run, target_folder, workspace};

const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);

/// What one version built.
struct Built {
    version: String,
    /// How many minor versions it is ahead; it has as many new methods and fields.
    ahead: u32,
    plugin: PathBuf,
    host: PathBuf,
}

#[test]
fn plugins_and_hosts_of_three_minor_versions_all_work_together() {
    let folder = target_folder().join("evolution");
    let builds = [0, 1, 2].map(|more| build(&folder, more));
    for plugin in &builds {
        for host in &builds {
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
                let told = if has_it { minor } else { 0 };
                expected += &format!("method of minor {minor}: {told}, field: {has_it}\n");
            }
            assert_eq!(ran.stdout, expected);
        }
    }
}

/// Builds the version that is `more` minor versions ahead of this one.
fn build(folder: &Path, more: u32) -> Built {
    let (major, rest) = VERSION.split_once('.').expect("a version has three parts");
    let (minor, patch) = rest.split_once('.').expect("a version has three parts");
    let minor: u32 = minor.parse().expect("a version is made of numbers");
    let version = format!("{major}.{}.{patch}", minor + more);
    let here = folder.join(format!("ahead-{more}"));

    let staged = TempDir::new().expect("the temporary folder is writable");
    write_workspace(staged.path(), &version, more);
    for minor in 1..=more {
        grow(staged.path(), minor);
    }
    copy_folder(staged.path(), &here);
    let target = folder.join("target");
    let mut command = cargo();
    // One target folder for all: what does not depend on plugin-api is compiled once.
    command
        .current_dir(&here)
        .args(["build", "--offline"])
        .env("CARGO_TARGET_DIR", &target);
    run(command, None, BUILD_LIMIT).expect_success();
    if more > 0 {
        assert_growth_is_no_loss(&here, &target);
    }
    let built = target.join("debug");
    Built {
        version,
        plugin: built.join(format!("libparrot_ahead_{more}.so")),
        host: built.join(format!("pocket-host-ahead-{more}")),
        ahead: more,
    }
}

/// Asserts that the description of the layout, which refuses every loss, takes what was appended.
fn assert_growth_is_no_loss(here: &Path, target: &Path) {
    let mut command = cargo();
    command
        .current_dir(here)
        .args([
            "test",
            "--offline",
            "-p",
            "plugin-api",
            "--lib",
            "the_layout_only_grows",
        ])
        .env("CARGO_TARGET_DIR", target)
        .env("UPDATE_EXPECTED", "1");
    run(command, None, BUILD_LIMIT).expect_success();
    let [before, after] = [workspace(), here].map(|folder| read(&folder.join("plugin-api/layout.txt")));
    assert!(after.contains("appended_1") && after.lines().count() > before.lines().count());
}

/// A workspace of plugin-api, Parrot and a host, taken from this one.
fn write_workspace(here: &Path, version: &str, more: u32) {
    let members = "[\"plugin-api\", \"parrot\", \"pocket-host\"]";
    let manifest = read(&workspace().join("Cargo.toml"));
    let (before, after) = manifest.split_once("members = [").expect("the workspace has members");
    let (_, after) = after.split_once(']').expect("the list of members ends");
    let manifest = format!("{before}members = {members}{after}");
    let ours = format!("[workspace.package]\nversion = \"{VERSION}\"");
    let theirs = format!("[workspace.package]\nversion = \"{version}\"");
    write(&here.join("Cargo.toml"), &replaced(&manifest, &ours, &theirs));
    write(&here.join("Cargo.lock"), &read(&workspace().join("Cargo.lock")));
    copy_folder(&workspace().join("plugin-api"), &here.join("plugin-api"));
    copy_folder(&workspace().join("tests/second-plugin"), &here.join("parrot"));
    // Each version has names of its own: cargo calls a library by its package's name alone, so in one target folder
    // the versions would overwrite each other.
    let package = read(&here.join("parrot/Cargo.toml"));
    let name = format!("name = \"parrot-ahead-{more}\"");
    let package = replaced(&package, "name = \"second-plugin\"", &name);
    write(&here.join("parrot/Cargo.toml"), &package);
    let pocket_host = read(&workspace().join("tests/examples/pocket_host.rs"));
    write(&here.join("pocket-host/src/main.rs"), &pocket_host);
    let package = format!(
        "[package]\nname = \"pocket-host-ahead-{more}\"\nversion = \"1.0.0\"\nedition.workspace = true\n\n\
         [dependencies]\nplugin-api.workspace = true\n"
    );
    write(&here.join("pocket-host/Cargo.toml"), &package);
}

/// Grows the copy of plugin-api as a minor version may.
fn grow(here: &Path, minor: u32) {
    let method = format!("appended_{minor}");
    let abi = here.join("plugin-api/src/abi");

    // Behind the last method of each trait, one with a default body.
    let traits = read(&abi.join("traits.rs"));
    let mut grown = String::new();
    for (at, part) in traits.split("#[sabi_trait]\n").enumerate() {
        let is_trait = at > 0;
        let appended = format!("\n    fn {method}(&self) -> u32 {{\n        0\n    }}\n}}\n");
        grown += &if is_trait {
            format!(
                "#[sabi_trait]\n{}",
                replaced_first(part, "\n}\n", &format!("\n{appended}"))
            )
        } else {
            part.to_owned()
        };
    }
    // Behind the last field of the module, another.
    let (before, module) = grown.split_once("pub struct RawModule {").expect("the module is there");
    let field = format!("\n    pub {method}: extern \"C\" fn() -> u32,\n}}\n");
    let module = replaced_first(module, "\n}\n", &field);
    write(
        &abi.join("traits.rs"),
        &format!("{before}pub struct RawModule {{{module}"),
    );

    // The plugin's side answers both.
    let serve = read(&abi.join("serve.rs"));
    let adapter = "impl<P: Provider> RawPlugin for PluginAdapter<P> {";
    let serve = replaced(
        &serve,
        adapter,
        &format!("{adapter}\n    fn {method}(&self) -> u32 {{\n        {minor}\n    }}\n"),
    );
    let create = "create: create::<P>,";
    let serve = replaced(&serve, create, &format!("{create}\n            {method}: {method},"));
    let function = format!("extern \"C\" fn {method}() -> u32 {{\n    {minor}\n}}\n");
    write(&abi.join("serve.rs"), &format!("{serve}\n{function}"));

    // The host's side asks for both.
    let visit = read(&abi.join("visit.rs"));
    let instance =
        format!("impl Instance {{\n    pub fn {method}(&self) -> u32 {{\n        self.raw.{method}()\n    }}\n");
    let visit = replaced(&visit, "impl Instance {", &instance);
    let has = format!(
        "impl Module {{\n    pub fn has_{method}(&self) -> bool {{\n        self.raw.{method}().is_some()\n    }}\n"
    );
    write(&abi.join("visit.rs"), &replaced(&visit, "impl Module {", &has));
    let plugin_file = here.join("plugin-api/src/plugin.rs");
    let plugin = read(&plugin_file);
    let on_plugin = format!(
        "impl Plugin {{\n    /// New.\n    pub fn {method}(&self) -> u32 {{\n        self.instance.{method}()\n    }}\n"
    );
    let plugin = replaced(&plugin, "impl Plugin {", &on_plugin);
    let on_module = format!(
        "impl PluginModule {{\n    /// New.\n    pub fn has_{method}(&self) -> bool {{\n        self.module.has_{method}()\n    }}\n"
    );
    write(&plugin_file, &replaced(&plugin, "impl PluginModule {", &on_module));
    let host_file = here.join("pocket-host/src/main.rs");
    let mark = "    // The newer hosts call what is new here.\n";
    let call = format!(
        "    println!(\"method of minor {minor}: {{}}, field: {{}}\", plugin.{method}(), module.has_{method}());\n{mark}"
    );
    write(&host_file, &replaced(&read(&host_file), mark, &call));
}

/// `text` with its only `old` replaced.
#[track_caller]
fn replaced(text: &str, old: &str, new: &str) -> String {
    assert_eq!(text.matches(old).count(), 1, "expected `{old}` once");
    text.replace(old, new)
}

#[track_caller]
fn replaced_first(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "expected `{old}`");
    text.replacen(old, new, 1)
}

#[track_caller]
fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|cause| panic!("{} cannot be read: {cause}", file.display()))
}

/// Writes a file, unless it is as it should be: cargo builds again what is newer than it was.
fn write(file: &Path, text: &str) {
    if fs::read_to_string(file).is_ok_and(|present| present == text) {
        return;
    }
    fs::create_dir_all(file.parent().expect("a file is in a folder")).expect("the target folder is writable");
    fs::write(file, text).expect("the target folder is writable");
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("the folder is in the workspace") {
        let from = entry.expect("the folder is readable").path();
        let to = to.join(from.file_name().expect("an entry has a name"));
        match from.is_dir() {
            true => copy_folder(&from, &to),
            false => write(&to, &read(&from)),
        }
    }
}
