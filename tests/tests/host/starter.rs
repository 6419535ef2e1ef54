//! `plugins new`: the crate that it writes is a plugin that builds, passes its tests and `plugins verify`, and answers.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tests::{Home, Ran, cargo, run, target_folder, workspace};

use crate::{assert_fails, assert_has};

/// The longest build: the plugin and its dependencies, on a small machine.
const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);

fn plugin_api() -> String {
    workspace().join("plugin-api").display().to_string()
}

/// Runs cargo in a written crate, with the versions and the target folder of this workspace.
///
/// - Panics: if it fails or warns.
fn builds(folder: &Path, command: &str) -> Ran {
    let mut cargo = cargo();
    cargo.args([command, "--offline"]).current_dir(folder);
    cargo
        .env("CARGO_TARGET_DIR", target_folder())
        .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only");
    let ran = run(cargo, None, BUILD_LIMIT).expect_success();
    assert_eq!(ran.stderr, "", "cargo {command} warns");
    ran
}

/// Writes a crate into a folder that does not change between runs, so that cargo need not build everything again.
fn written(home: &Home) -> PathBuf {
    let folder = target_folder().join("written/blue-bird");
    let _ = fs::remove_dir_all(&folder);
    let path = folder.to_str().expect("text");
    let ran = home
        .host(&[
            "plugins",
            "new",
            "blue-bird",
            "--path",
            path,
            "--plugin-api",
            &plugin_api(),
        ])
        .run();
    let expected = format!(
        "wrote {path}, with plugin-api from path = \"{}\"\nnext: cd {path} && cargo test && cargo build --release\n",
        plugin_api()
    );
    assert_eq!(ran.expect_success().stdout, expected);
    fs::copy(workspace().join("Cargo.lock"), folder.join("Cargo.lock")).expect("writable");
    folder
}

#[test]
fn a_written_plugin_builds_tests_verifies_and_answers() {
    let home = Home::new();
    let folder = written(&home);
    let tested = builds(&folder, "test");
    assert_has(&tested.stdout, "test result: ok. 5 passed; 0 failed");
    builds(&folder, "build");
    let library = target_folder().join("debug/libblue_bird.so");
    let path = library.to_str().expect("text");
    let verified = home.host(&["plugins", "verify", path]).run().expect_success();
    assert_has(&verified.stdout, "\n11 ok, 0 warnings, 0 failed, 0 skipped\n");

    home.host(&["plugins", "install", path]).run().expect_success();
    home.write_profile(r#"{"auth": {"profiles": {"default": {"provider": "blue-bird", "greeting": "Tweet: "}}}}"#);
    let chat = home.host(&["chat", "Hello there"]);
    assert_fails(&chat.run(), 2, "`BLUE_BIRD_API_KEY`");
    let chat = home.host(&["chat", "Hello there"]).env("BLUE_BIRD_API_KEY", "any");
    assert_eq!(chat.run().expect_success().stdout, "Tweet: Hello there\n");
    let rest = fs::read_to_string(folder.join("README.md")).expect("it was written");
    let rest = rest + &fs::read_to_string(folder.join("src/lib.rs")).expect("it was written");
    assert!(!rest.to_lowercase().contains("starter"), "{rest}");
}

#[test]
fn a_name_or_a_folder_that_is_taken_is_refused_and_nothing_changes() {
    let home = crate::home_with_parrot();
    let work = home.path().join("work");
    let plugin_api = plugin_api();
    let new = |name: &str, more: &[&str]| home.host(&[&["plugins", "new", name], more].concat()).run();
    for (name, found) in [
        ("Blue", "something else"),
        ("blue_bird", "something else"),
        ("blue--bird", "something else"),
        ("1st", "something else"),
        ("", "something else"),
        ("../up", "something else"),
        ("async", "a word that Rust or a dependency has"),
        ("plugin-api", "a word that Rust or a dependency has"),
    ] {
        let expected = format!(
            "error: `{name}`: expected a name of at most 64 lower-case letters, digits and single dashes, found {found}\n"
        );
        assert_fails(&new(name, &[]), 2, &expected);
    }
    assert_fails(&new("parrot", &[]), 2, "` already has a plugin `parrot`\n");
    let nowhere = new("bird", &["--plugin-api", "/nowhere"]);
    assert_fails(
        &nowhere,
        2,
        "expected the crate `plugin-api` in `/nowhere`, found none; it is not on crates.io\n",
    );
    assert_eq!(fs::read_dir(&work).expect("it is there").count(), 0);

    fs::create_dir(work.join("bird")).expect("writable");
    let there = new("bird", &["--plugin-api", &plugin_api]);
    assert_fails(
        &there,
        2,
        "expected to create the folder `bird`, found that it exists; nothing was changed\n",
    );
    assert_eq!(fs::read_dir(work.join("bird")).expect("it is there").count(), 0);
}

#[test]
fn plugin_api_is_found_above_this_folder_or_named_by_its_repository() {
    let home = Home::new();
    let manifest =
        |name: &str| fs::read_to_string(home.path().join("work").join(name).join("Cargo.toml")).expect("written");
    let url = "https://example.com/agents.git";
    home.host(&["plugins", "new", "far", "--plugin-api", url])
        .run()
        .expect_success();
    assert_has(
        &manifest("far"),
        &format!("plugin-api = {{ git = \"{url}\", default-features = false, "),
    );
    let mut near = home.host(&["plugins", "new", "near", "--path"]).into_command();
    near.arg(home.path().join("work/near"))
        .current_dir(workspace().join("docs"));
    run(near, None, tests::LIMIT).expect_success();
    assert_has(
        &manifest("near"),
        &format!("plugin-api = {{ path = \"{}\", ", plugin_api()),
    );
}
