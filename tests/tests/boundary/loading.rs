//! Plugins that fit are found and loaded, each as itself.

use std::fs;

use plugin_api::loader::Image;
use plugin_api::{Config, loader};
use sandbox::Script;
use serde_json::json;
use tests::{Child, PluginFolder, ask, echo_plugin, openrouter_config, openrouter_plugin, second_plugin, service};

use crate::bench::{created, greeting, parrot_module};

#[test]
fn two_plugins_in_one_folder_stay_two() {
    let sandbox = service();
    sandbox.script("acme/model-a", Script::text("from the sandbox"));
    let folder = PluginFolder::with(&[openrouter_plugin(), second_plugin()]);

    let files = loader::scan(folder.path()).expect("the folder is readable");
    let modules: Vec<_> = files.iter().map(|file| loader::load(file).expect("it fits")).collect();
    let ids: Vec<_> = modules.iter().map(|module| module.manifest().id.as_str()).collect();
    assert_eq!(ids, ["openrouter", "parrot"]);

    let openrouter = created(&modules[0], &openrouter_config(&sandbox, json!({})));
    let parrot = created(&modules[1], &Config::default());
    for (plugin, text) in [
        (&openrouter, "from the sandbox"),
        (&parrot, "hello"),
        (&openrouter, "from the sandbox"),
    ] {
        assert_eq!(ask(plugin, "acme/model-a", "hello").expect("an answer").text, text);
    }
}

#[test]
fn the_plugin_of_the_front_page_loads_and_answers() {
    let module = loader::load(&echo_plugin()).expect("it fits");
    let reply = ask(&created(&module, &Config::default()), "any", "hello").expect("an answer");
    assert_eq!(
        (reply.text.as_str(), reply.done.finish_reason.as_str()),
        ("hello", "stop")
    );
}

#[test]
fn instances_of_one_plugin_keep_their_own_options() {
    let module = parrot_module();
    let [first, second] = ["Ahoy, ", "Arr, "].map(|words| created(&module, &greeting(words)));
    assert_eq!(ask(&first, "any", "Jim").expect("an answer").text, "Ahoy, Jim");
    assert_eq!(ask(&second, "any", "Jim").expect("an answer").text, "Arr, Jim");
}

#[test]
fn a_manifest_read_from_the_file_equals_the_loaded_one() {
    for plugin in [openrouter_plugin(), second_plugin(), echo_plugin()] {
        let read = loader::inspect(&plugin).expect("it is a plugin");
        let loaded = loader::load(&plugin).expect("it fits");
        assert_eq!(read, *loaded.manifest());
        assert_eq!(read.plugin_api, plugin_api::VERSION);
    }
}

#[test]
fn reading_a_manifest_runs_nothing_of_the_plugin() {
    Child::new().run(|| {
        let folder = PluginFolder::new();
        let file = folder.copy(&second_plugin());
        let manifest = loader::inspect(&file).expect("it is a plugin");
        assert!(!is_mapped(&manifest.id));
    });
}

#[test]
fn a_bare_file_name_loads_from_the_working_directory() {
    Child::new().run(|| {
        let folder = PluginFolder::with(&[echo_plugin()]);
        std::env::set_current_dir(folder.path()).expect("the folder is there");
        // The dynamic linker would look for a bare name in the folders of the system.
        let name = echo_plugin().file_name().expect("a file").to_owned();
        let module = loader::load(name.as_ref()).expect("it fits");
        assert_eq!(module.manifest().name, "Echo");
        assert!(is_mapped("echo"));
    });
}

/// Whether the sealed copy of a plugin is loaded.
fn is_mapped(id: &str) -> bool {
    let maps = fs::read_to_string("/proc/self/maps").expect("Linux lists what is loaded");
    maps.contains(&format!("/memfd:{id} "))
}

#[test]
fn a_replaced_file_is_loaded_anew_from_the_bytes_that_were_checked() {
    Child::new().run(|| {
        let folder = PluginFolder::new();
        let file = folder.copy(&echo_plugin());
        let image = Image::read(&file).expect("it fits");
        // Written in place, as `cp` does.
        fs::write(&file, b"no library").expect("the folder is writable");
        assert_eq!(
            image.load().expect("its bytes were read before").manifest().name,
            "Echo"
        );
        fs::copy(second_plugin(), &file).expect("the folder is writable");
        assert_eq!(loader::load(&file).expect("it fits").manifest().id, "parrot");
        assert_eq!(image.load().expect("the old bytes").manifest().name, "Echo");
    });
}

#[test]
fn a_scan_finds_libraries_only_and_no_folder_is_an_empty_one() {
    let folder = PluginFolder::new();
    for name in ["README.md", "plugin.so.partial", "plugin.lock.json"] {
        folder.write(name, b"anything");
    }
    for scanned in [folder.path(), &folder.path().join("missing")] {
        let found = loader::scan(scanned).expect("no error");
        assert!(found.is_empty(), "{found:?}");
    }
}
