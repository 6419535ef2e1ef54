//! Builds what the tests load and run, once, and knows where it is.
//!
//! Each build selects the same packages as `cargo test --workspace`, whatever target it asks for, because the selection
//! decides the features of shared dependencies: another selection would compile them again. For the same reason each
//! asks for an example, which makes cargo include the features of dev-dependencies.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::canary::trace_this_process;
use crate::run::run;
use crate::wait::LIMIT;

/// Set in a process whose parent has built the libraries.
pub(crate) const LIBRARIES_ARE_BUILT: &str = "TESTS_LIBRARIES_ARE_BUILT";

/// The longest build: everything, from scratch, on a small machine.
const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);

/// The OpenRouter plugin.
pub fn openrouter_plugin() -> PathBuf {
    libraries().join(library_name("plugin_openrouter"))
}

/// Parrot, the plugin that misbehaves on demand.
pub fn second_plugin() -> PathBuf {
    libraries().join(library_name("second_plugin"))
}

/// The plugin on plugin-api's front page.
pub fn echo_plugin() -> PathBuf {
    libraries().join("examples").join(library_name("echo"))
}

/// The binary `agent-host`.
pub fn agent_host() -> PathBuf {
    binary("agent-host")
}

/// The binary `sandbox`.
pub fn sandbox_binary() -> PathBuf {
    binary("sandbox")
}

/// The example `minimal` of `host-example`: a whole host in one short file.
pub fn minimal_host() -> PathBuf {
    build_once(&["--example", "minimal"]);
    let name = format!("minimal{}", env::consts::EXE_SUFFIX);
    profile_folder().join("examples").join(name)
}

fn binary(name: &str) -> PathBuf {
    build_once(&["--bin", name, "--example", "echo"]);
    profile_folder().join(format!("{name}{}", env::consts::EXE_SUFFIX))
}

/// The folder of the built libraries, `libplugin_api.rlib` among them.
fn libraries() -> &'static Path {
    trace_this_process();
    if env::var_os(LIBRARIES_ARE_BUILT).is_none() {
        build_once(&["--lib", "--example", "echo"]);
    }
    profile_folder()
}

fn library_name(name: &str) -> String {
    format!("{}{name}{}", env::consts::DLL_PREFIX, env::consts::DLL_SUFFIX)
}

/// The folder of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this package is a folder of the workspace")
}

/// Cargo's target folder.
pub fn target_folder() -> &'static Path {
    let above = profile_folder()
        .parent()
        .expect("a profile's folder is in the target folder");
    // With `--target` there is a folder named after the triple in between.
    if above.join("CACHEDIR.TAG").exists() {
        return above;
    }
    above.parent().expect("a triple's folder is in the target folder")
}

/// The folder that holds the running test's profile: `target/debug` and the like.
fn profile_folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let program = env::current_exe().expect("a program knows where it is");
        let folder = program.parent().expect("a program is in a folder");
        // Binaries are in the folder itself, tests and examples in a folder below it.
        let is_below = folder.ends_with("deps") || folder.ends_with("examples");
        let folder = if is_below { folder.parent() } else { Some(folder) };
        folder.expect("cargo puts tests into PROFILE/deps").to_owned()
    })
}

fn build_once(what: &[&str]) {
    static BUILT: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if built.contains(&what.join(" ")) {
        return;
    }
    let profile = match profile_folder().file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let mut command = cargo();
    command
        .args(["build", "--workspace", "--locked", "--profile", profile])
        .args(what);
    if profile_folder().parent() != Some(target_folder()) {
        let triple = profile_folder().parent().and_then(Path::file_name);
        command
            .arg("--target")
            .arg(triple.expect("the folder above is named after the triple"));
    }
    command.env("CARGO_TARGET_DIR", target_folder());
    run(command, None, BUILD_LIMIT).expect_success();
    built.insert(what.join(" "));
}

/// Cargo in the workspace, as if started from a shell.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace()).args(["--quiet", "--color", "never"]);
    // Cargo describes this package to its tests in variables. Some build scripts would take them for a change and
    // rebuild their crates every time.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let own = [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_CRATE_",
            "CARGO_BIN_",
            "CARGO_PRIMARY_",
        ];
        if own.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command
}

/// Rustc, set up to compile one file against the running test's plugin-api. The caller adds flags and the file.
pub fn rustc() -> Command {
    let libraries = libraries();
    let dependencies = libraries.join("deps");
    let mut command = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    command
        .current_dir(workspace())
        .args(["--edition", "2024", "--color", "never"])
        .arg(format!(
            "--extern=plugin_api={}",
            libraries.join("libplugin_api.rlib").display()
        ))
        .arg(format!("-Ldependency={}", dependencies.display()));
    if !cfg!(debug_assertions) {
        // The profile uses LTO, so its libraries cannot be linked without it.
        command.args(["-Copt-level=3", "-Clto=thin"]);
    }
    command
}

/// Compiles a library from Rust source into a folder.
pub fn compiled(folder: &Path, name: &str, source: &str, environment: &[(&str, &Path)]) -> PathBuf {
    let text = folder.join(format!("{name}.rs"));
    fs::write(&text, source).expect("the folder is writable");
    let library = folder.join(library_name(name));
    let mut command = rustc();
    command.args(["--crate-type=cdylib", "--crate-name", name, "-o"]);
    command.arg(&library).arg(text).envs(environment.iter().copied());
    run(command, None, LIMIT).expect_success();
    library
}

/// The Echo plugin's source under another id, with a constructor of these statements.
pub fn hasty_source(id: &str, constructor: &str) -> String {
    let echo = workspace().join("plugin-api/examples/echo.rs");
    let echo = fs::read_to_string(echo).expect("the example is there");
    echo.replace("\"id\": \"echo\"", &format!("\"id\": \"{id}\""))
        + "#[used]\n#[unsafe(link_section = \".init_array\")]\nstatic CONSTRUCTOR: extern \"C\" fn() = constructor;\n"
        + &format!("extern \"C\" fn constructor() {{ {constructor} }}\n")
}
