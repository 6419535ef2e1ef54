//! Within a major version, every plugin works in every host: older in newer, and the reverse.
//!
//! The versions of tomorrow are made here, as copies of plugin-api with a higher minor version. Each has grown as the
//! rules allow: a method behind the last one of each trait, and a field behind the last one of the module. Each is
//! built with Parrot and a small host; then every host loads every plugin.

use std::fs;
use std::sync::OnceLock;
use std::time::Duration;

use plugin_api::VERSION;
use tests::versions::{Built, VersionSources, cargo_in, folder_of};
use tests::{run, workspace};

const TEST_LIMIT: Duration = Duration::from_secs(30 * 60);

/// This version and the next two minor ones, built differently from this host. The index of each says how many minor
/// versions it is ahead, and how many new methods and fields it has.
pub fn versions() -> &'static [Built; 3] {
    static BUILT: OnceLock<[Built; 3]> = OnceLock::new();
    BUILT.get_or_init(|| [Built::of_this_version(), grown(1), grown(2)])
}

#[test]
fn plugins_and_hosts_of_three_minor_versions_all_work_together() {
    for (plugin_ahead, plugin) in versions().iter().enumerate() {
        for (host_ahead, host) in versions().iter().enumerate() {
            let mut expected = host.expected_with(plugin);
            for minor in 1..=host_ahead {
                // Where the plugin is older, the default body answers.
                let has_it = plugin_ahead >= minor;
                let answer = if has_it { minor } else { 0 };
                expected += &format!("method of minor {minor}: {answer}, field: {has_it}\n");
            }
            assert_eq!(host.run_with(plugin), expected);
        }
    }
}

#[test]
fn the_layout_file_takes_what_was_appended_for_growth() {
    versions();
    let here = folder_of(&label(2));
    let mut command = cargo_in(&here);
    let test = ["-p", "plugin-api", "--lib", "the_layout_only_grows"];
    command
        .args(["test", "--offline"])
        .args(test)
        .env("UPDATE_EXPECTED", "1");
    run(command, None, TEST_LIMIT).expect_success();
    let [before, after] = [workspace(), &here]
        .map(|folder| fs::read_to_string(folder.join("plugin-api/layout.txt")).expect("the layout is committed"));
    assert!(after.contains("appended_2") && after.lines().count() > before.lines().count());
}

fn label(ahead: u32) -> String {
    format!("ahead-{ahead}")
}

/// Builds the version that is `ahead` minor versions ahead of this one.
fn grown(ahead: u32) -> Built {
    let parts: Vec<u32> = VERSION.split('.').filter_map(|part| part.parse().ok()).collect();
    let [major, minor, patch] = parts[..] else {
        panic!("expected three numbers, found `{VERSION}`");
    };
    let version = format!("{major}.{}.{patch}", minor + ahead);
    let mut sources = VersionSources::of_this_workspace(&label(ahead));
    let [ours, theirs] = [VERSION, &version].map(|it| format!("[workspace.package]\nversion = \"{it}\""));
    sources.replace("Cargo.toml", &ours, &theirs);
    for minor in 1..=ahead {
        grow(&mut sources, minor);
    }
    sources.build(&version)
}

/// Lets the copy of plugin-api grow as a minor version may.
fn grow(sources: &mut VersionSources, minor: u32) {
    let method = format!("appended_{minor}");
    append_to_traits_and_module(sources, &method);
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
        sources.replace("plugin-api/src", mark, &format!("{mark}\n{insertion}\n"));
    }
    let mark = "    // The newer hosts call what is new here.\n";
    let call = format!(
        "println!(\"method of minor {minor}: {{}}, field: {{}}\", plugin.{method}(), module.has_{method}());\n{mark}"
    );
    sources.replace("pocket-host", mark, &call);
}

/// Appends a method with a default body to each trait, and a field to the module.
fn append_to_traits_and_module(sources: &mut VersionSources, method: &str) {
    let traits = sources.file_mut("plugin-api/src/abi/traits.rs");
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
