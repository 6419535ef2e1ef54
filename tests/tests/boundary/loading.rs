//! Plugins that fit are found and loaded, each as itself.

use std::sync::Arc;

use plugin_api::{Config, LogOnly, Plugin, PluginModule, loader};
use sandbox::Script;
use serde_json::json;
use tests::{
    PluginFolder, ask, echo_plugin, in_a_process_of_its_own, openrouter_config, openrouter_plugin, second_plugin,
    service,
};

/// An instance with the services that a plain host has.
pub fn created(module: &PluginModule, config: &Config) -> Plugin {
    let services = LogOnly::new(&*module.manifest().id);
    module
        .create(Arc::new(services), config)
        .expect("the configuration is right")
}

#[test]
fn two_plugins_in_one_folder_stay_two() {
    let sandbox = service();
    sandbox.script("acme/model-a", Script::text("from OpenRouter's stand-in"));
    let folder = PluginFolder::with(&[openrouter_plugin(), second_plugin()]);

    let files = loader::scan(folder.path()).expect("the folder is readable");
    let modules: Vec<_> = files.iter().map(|file| loader::load(file).expect("it fits")).collect();
    let ids: Vec<_> = modules.iter().map(|module| module.manifest().id.as_str()).collect();
    assert_eq!(ids, ["openrouter", "parrot"]);

    let openrouter = created(&modules[0], &openrouter_config(&sandbox, json!({})));
    let parrot = created(&modules[1], &Config::default());
    let texts = [
        ask(&openrouter, "acme/model-a", "hello").map(|reply| reply.text),
        ask(&parrot, "any", "hello").map(|reply| reply.text),
        ask(&openrouter, "acme/model-a", "hello").map(|reply| reply.text),
    ];
    assert_eq!(
        texts.map(|text| text.expect("an answer")),
        ["from OpenRouter's stand-in", "hello", "from OpenRouter's stand-in"]
    );
}

#[test]
fn the_plugin_of_the_front_page_is_loaded_and_answers() {
    let module = loader::load(&echo_plugin()).expect("it fits");
    let reply = ask(&created(&module, &Config::default()), "any", "hello").expect("an answer");
    assert_eq!(
        (reply.text.as_str(), reply.done.finish_reason.as_str()),
        ("\"hello\"", "stop")
    );
}

#[test]
fn instances_of_one_plugin_keep_their_own_options() {
    let module = loader::load(&second_plugin()).expect("it fits");
    let greeting = |greeting: &str| Config {
        options: json!({"greeting": greeting}),
        ..Config::default()
    };
    let [first, second] = ["Ahoy, ", "Arr, "].map(|words| created(&module, &greeting(words)));
    assert_eq!(ask(&first, "any", "Jim").expect("an answer").text, "Ahoy, Jim");
    assert_eq!(ask(&second, "any", "Jim").expect("an answer").text, "Arr, Jim");
}

#[test]
fn the_manifest_read_as_data_is_the_one_that_the_code_tells() {
    for plugin in [openrouter_plugin(), second_plugin(), echo_plugin()] {
        let read = loader::inspect(&plugin).expect("it is a plugin");
        let loaded = loader::load(&plugin).expect("it fits");
        assert_eq!(read, *loaded.manifest());
        assert_eq!(read.plugin_api, plugin_api::VERSION);
    }
}

#[test]
fn reading_a_manifest_runs_nothing_of_the_plugin() {
    let plugin = PluginFolder::with(&[second_plugin()]);
    let file = plugin.path().join(second_plugin().file_name().expect("a file"));
    loader::inspect(&file).expect("it is a plugin");
    let mapped = std::fs::read_to_string("/proc/self/maps").expect("Linux tells what is loaded");
    assert!(!mapped.contains(&*file.to_string_lossy()), "{mapped}");
}

#[test]
fn a_plugin_is_loaded_by_a_path_relative_to_the_working_folder() {
    in_a_process_of_its_own(
        "loading::a_plugin_is_loaded_by_a_path_relative_to_the_working_folder",
        || {
            let folder = PluginFolder::with(&[echo_plugin()]);
            std::env::set_current_dir(folder.path()).expect("the folder is there");
            // The dynamic linker would look for a bare name in the folders of the system.
            let name = echo_plugin().file_name().expect("a file").to_owned();
            let module = loader::load(name.as_ref()).expect("it fits");
            assert_eq!(module.manifest().name, "Echo");
            let code = folder.path().canonicalize().expect("the folder is there").join(name);
            let mapped = std::fs::read_to_string("/proc/self/maps").expect("Linux tells what is loaded");
            assert!(mapped.contains(&*code.to_string_lossy()), "{mapped}");
        },
    );
}

#[test]
fn a_folder_that_does_not_exist_holds_no_plugins() {
    let folder = PluginFolder::new();
    assert_eq!(
        loader::scan(&folder.path().join("missing")).expect("no error"),
        [""; 0].map(std::path::PathBuf::from)
    );
}

#[test]
fn files_that_are_not_named_like_libraries_are_not_looked_at() {
    let folder = PluginFolder::new();
    for name in ["README.md", "plugin.so.partial", "plugin.lock.json"] {
        folder.write(name, b"anything");
    }
    assert_eq!(loader::scan(folder.path()).expect("no error").len(), 0);
}
