//! `profile import`: the settings of other programs become a profile.
//!
//! The files in `tests/imports` have the shapes that those programs document, and invented contents. Beside each is
//! what the command prints and writes.

use std::fs;
use std::path::PathBuf;

use serde_json::json;
use tests::{Home, workspace};

use crate::{Bench, assert_fails, assert_has, assert_lacks, json_of, profile};

fn file(name: &str) -> PathBuf {
    workspace().join("tests/imports").join(name)
}

/// Imports a file, and holds what was printed and written against the expected file.
#[track_caller]
fn assert_imports(name: &str) {
    let bench = Bench::new();
    let profile = bench.home.profile().display().to_string();
    let ran = bench.ok(&["profile", "import", &file(name).display().to_string(), "-o", &profile]);
    let written = fs::read_to_string(&profile).expect("it was written");
    let printed = ran.stdout.replace(&profile, "PROFILE");
    let seen = format!("{printed}\n{}{written}", ran.stderr);
    assert_lacks(&seen, "invented");
    let expected = file(&format!("{name}.expected"));
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&expected, &seen).expect("the file is writable");
    }
    assert_eq!(
        seen,
        fs::read_to_string(&expected).unwrap_or_default(),
        "to rewrite it: UPDATE_EXPECTED=1 cargo test --workspace --test host import::"
    );
    let checked = json_of(&bench.ok(&["profile", "check", "--json"]));
    assert_eq!(checked["problems"], json!([]), "{written}");
}

#[test]
fn librechats_settings_become_a_profile() {
    assert_imports("librechat.yaml");
}

#[test]
fn miladys_profiles_stay_what_they_are() {
    assert_imports("milady.json");
}

#[test]
fn variables_become_the_options_that_mean_the_same() {
    assert_imports("variables.env");
}

#[test]
fn litellms_deployments_become_model_tiers_and_fallbacks() {
    assert_imports("litellm.yaml");
}

#[test]
fn opencodes_settings_become_a_profile() {
    assert_imports("opencode.json");
}

#[test]
fn aichats_settings_become_a_profile() {
    assert_imports("aichat.yaml");
}

#[test]
fn an_import_overwrites_nothing() {
    let before = profile(r#""model": "a/b""#);
    let bench = Bench::with_profile(&before);
    let source = file("opencode.json").display().to_string();
    let ran = bench.run(&["profile", "import", &source]);
    assert_fails(&ran, 2, "profile.json` already exists");
    let ran = bench.run(&[
        "profile",
        "import",
        &source,
        "-o",
        &bench.home.profile().display().to_string(),
    ]);
    assert_fails(&ran, 2, "profile.json` already exists");
    assert_eq!(fs::read_to_string(bench.home.profile()).ok(), Some(before));
    let other = bench.home.path().join("work/other.json");
    let ran = bench.ok(&["profile", "import", &source, "-o", "other.json", "--json"]);
    let answer = json_of(&ran);
    assert_eq!(answer["format"], "opencode.json");
    let line =
        json!({"line": 3, "source": "model", "taken": true, "pointer": "/auth/profiles/default/model", "why": null});
    assert!(
        answer["lines"].as_array().is_some_and(|lines| lines.contains(&line)),
        "{answer}"
    );
    assert!(other.is_file());
}

#[test]
fn an_unknown_file_is_refused_with_the_known_formats() {
    let bench = Bench::new();
    let import = |text: &str| {
        let path = bench.home.path().join("work/settings");
        fs::write(&path, text).expect("the home is writable");
        bench.run(&["profile", "import", "settings"])
    };
    let known =
        "`milady.json`, `librechat.yaml`, `LiteLLM's config.yaml`, `opencode.json`, `aichat's config.yaml` or `.env`";
    let ran = import("theme: dark\nkeys: [a, b]\n");
    assert_fails(
        &ran,
        2,
        &format!("expected the settings of {known}, found a file that begins with `theme` and `keys`"),
    );
    assert_fails(&import("{\"a\": }"), 2, "its JSON cannot be read: line 1");
    let broken = import("model_list:\n  - api_key: sk-or-v1-invented-invented-1\n - x: [\n");
    assert_fails(&broken, 2, " at line ");
    assert_lacks(&broken.stderr, "invented");
    assert_fails(
        &import("a: 1\n---\nb: 2\n"),
        2,
        "multiple YAML documents detected at line 3",
    );
    let missing = bench.run(&["profile", "import", "nowhere.yaml"]);
    assert_fails(
        &missing,
        2,
        "`nowhere.yaml` cannot be imported: there is no such file\nhint: check the path\n",
    );
    let before_all_else = Home::new().host(&["profile", "import", "nowhere.yaml"]).run();
    assert_fails(&before_all_else, 2, "there is no such file");
    assert_fails(
        &import(&format!("a: {}", "[".repeat(50_000))),
        2,
        "its YAML cannot be read",
    );
    let asked = import(
        "endpoints:\n  custom:\n    - {name: OpenRouter, apiKey: user_provided, models: {default: [current_model]}}\n",
    );
    assert_has(&asked.stdout, "endpoints.custom[0].apiKey: not taken: it names no key");
    assert_has(
        &asked.stdout,
        "endpoints.custom[0].models.default[0]: not taken: it names no model",
    );
    let nothing = import("clients:\n  - type: claude\n    api_key: x\n");
    assert_fails(&nothing, 2, "has nothing that a profile of `openrouter` can hold");
    assert_has(
        &nothing.stdout,
        "settings:2: clients[0]: not taken: it is not for `openrouter`",
    );
    // Each line of it means ten of the line before.
    let mut bomb = "a0: &a0 [x]\n".to_owned();
    for level in 1..12 {
        let before = format!("*a{}", level - 1);
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", [before.as_str(); 10].join(", ")));
    }
    assert_fails(&import(&bomb), 2, "its YAML cannot be read");
    assert!(!bench.home.profile().exists());
}

#[test]
fn another_address_is_named_and_a_key_in_any_place_stays_behind() {
    let bench = Bench::new();
    let source = "model_list:
  - litellm_params:
      model: openrouter/acme/large
      api_base: https://relay.example/v1
      extra_body: {sk-or-v1-invented-invented: 1, note: {a: sk-invented-1}, top_k: .nan, seed: 7}
";
    fs::write(bench.home.path().join("work/gateway"), source).expect("the home is writable");
    let ran = bench.ok(&["profile", "import", "gateway", "-o", "out.json"]);
    assert_has(
        &ran.stderr,
        "note: prompts and the key will go to the address in line 4 of `gateway`",
    );
    assert_has(
        &ran.stdout,
        "gateway:5: model_list[0].litellm_params.extra_body.(a key): not taken: it may hold a key",
    );
    assert_has(&ran.stdout, "extra_body.note: not taken: it may hold a key");
    let written = fs::read_to_string(bench.home.path().join("work/out.json")).expect("it was written");
    assert_has(&written, r#""baseUrl": "https://relay.example/v1" // gateway, line 4"#);
    assert_has(&written, r#""seed": 7 // gateway, line 5"#);
    assert_lacks(&(ran.stdout + &ran.stderr + &written), "invented");
}
