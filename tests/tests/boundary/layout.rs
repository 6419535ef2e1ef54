//! Plugins that were built otherwise than this host behave as if they had been built with it.
//!
//! A compiler may lay out Rust's own types as it likes, and differently in each build; these builds make it do so. They
//! stand in target folders of their own and are dear the first time.

use std::path::{Path, PathBuf};
use std::time::Duration;

use plugin_api::{Config, loader};
use sandbox::Script;
use serde_json::json;
use tests::{PluginFolder, ask, block_on, cargo, openrouter_config, request, run, service, target_folder};

use crate::loading::created;

const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);

fn built(target: &Path, arguments: &[&str], environment: &[(&str, &str)]) {
    let mut command = cargo();
    command.args(["build", "--locked"]).args(arguments);
    command
        .env("CARGO_TARGET_DIR", target)
        .envs(environment.iter().copied());
    run(command, None, BUILD_LIMIT).expect_success();
}

/// Both plugins with the fields of every Rust type in a random order. The flag is for compilers under development, hence
/// the permission.
fn randomized() -> PathBuf {
    let target = target_folder().join("randomized");
    let environment = [
        ("RUSTC_BOOTSTRAP", "1"),
        ("RUSTFLAGS", "-Zrandomize-layout -Zlayout-seed=4711"),
    ];
    built(
        &target,
        &["-p", "second-plugin", "-p", "plugin-openrouter", "--lib"],
        &environment,
    );
    target.join("debug")
}

#[test]
fn plugins_with_randomized_layouts_answer_in_an_ordinary_host() {
    let folder = randomized();
    let parrot = loader::load(&folder.join("libsecond_plugin.so")).expect("it fits");
    assert_parrot_answers(&created(&parrot, &Config::default()));

    let sandbox = service();
    let script = Script {
        reasoning: Some("it may rain".to_owned()),
        ..Script::text("take an umbrella")
    };
    sandbox.script("acme/model-a", script);
    let openrouter = loader::load(&folder.join("libplugin_openrouter.so")).expect("it fits");
    let openrouter = created(
        &openrouter,
        &openrouter_config(&sandbox, json!({"model": "acme/model-a"})),
    );
    let asked = request("acme/model-a", "will it rain?");
    let whole = block_on(openrouter.chat(&asked)).expect("an answer");
    let streamed = block_on(async { openrouter.stream(&asked).await?.collect().await }).expect("an answer");
    for reply in [whole, streamed] {
        assert_eq!(
            (reply.text.as_str(), reply.reasoning.as_str()),
            ("take an umbrella", "it may rain")
        );
        assert_eq!(reply.done.model.as_deref(), Some("acme/model-a"));
    }
    let tiers = block_on(openrouter.tiers()).expect("it knows its tiers");
    assert!(tiers.iter().any(|tier| tier.configured == "acme/model-a"), "{tiers:?}");
    let error = ask(&openrouter, "sandbox/status-402", "hello").expect_err("there is no credit");
    assert_eq!(error.kind, plugin_api::ErrorKind::PAYMENT);
}

#[test]
fn a_plugin_of_another_optimisation_level_answers() {
    // Optimised, in one codegen unit, linked with LTO and stripped, as plugins are published; in a release test, the
    // opposite of that.
    let (profile, name) = if cfg!(debug_assertions) {
        ("release", "release")
    } else {
        ("dev", "debug")
    };
    let target = target_folder().join("other-profile");
    built(&target, &["-p", "second-plugin", "--lib", "--profile", profile], &[]);
    let file = target.join(name).join("libsecond_plugin.so");
    let module = loader::load(&PluginFolder::new().copy(&file)).expect("it fits");
    assert_parrot_answers(&created(&module, &Config::default()));
}

fn assert_parrot_answers(parrot: &plugin_api::Plugin) {
    assert_eq!(ask(parrot, "any", "hello").expect("an answer").text, "hello");
    let streamed = block_on(async { parrot.stream(&request("many", "")).await?.collect().await });
    assert_eq!(streamed.expect("an answer").text.split_whitespace().count(), 199);
    let error = ask(parrot, "panic/call", "hello").expect_err("it panics");
    assert!(
        error.message.starts_with("the plugin panicked in `call` at "),
        "{error}"
    );
    let error = ask(parrot, "host-call", "hello").expect_err("the host offers its log alone");
    assert_eq!(error.kind, plugin_api::ErrorKind::UNSUPPORTED);
}
