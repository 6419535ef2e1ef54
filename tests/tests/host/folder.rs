//! The plugin folder under attack: files that hang, fork, lie or lose their record, and folders that others may change.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use serde_json::{Value, json};
use tests::{
    Home, LIMIT, LOCK_FILE, agent_host, compiled, echo_plugin, eventually, hasty_source, openrouter_plugin, run,
    second_plugin,
};

use crate::{Bench, assert_fails, assert_has, assert_lacks, json_of};

/// The Echo plugin in a file of this name, under this id and with this constructor.
fn hasty(home: &Home, id: &str, constructor: &str) -> PathBuf {
    compiled(&home.plugins(), id, &hasty_source(id, constructor), &[])
}

/// A constructor that does this in the host alone: a trial has no environment.
fn in_the_host(statement: &str) -> String {
    format!("if std::env::var_os(\"HOME\").is_some() {{ {statement} }}")
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
}

fn known_file(home: &Home) -> PathBuf {
    home.path().join(".local/state/agent-host/known-plugins.json")
}

/// What `plugins list --json` says, with the shortest limit for trials.
fn listed(home: &Home) -> Vec<Value> {
    let list = home.host(&["plugins", "list", "--json"]);
    let ran = list.env("AGENT_HOST_TRIAL_SECONDS", "1").run().expect_success();
    json_of(&ran).as_array().expect("a list").clone()
}

/// The row of a file.
#[track_caller]
fn row_of<'a>(rows: &'a [Value], file: &str) -> &'a Value {
    let row = rows
        .iter()
        .find(|row| row["file"].as_str().is_some_and(|path| path.ends_with(file)));
    row.unwrap_or_else(|| panic!("no `{file}` in {rows:#?}"))
}

/// The Echo plugin with other bytes behind its last section.
fn other_build(home: &Home, name: &str) -> PathBuf {
    let file = home.plugins().join(name);
    let bytes = fs::read(echo_plugin()).expect("the plugin");
    fs::write(&file, [&bytes[..], name.as_bytes()].concat()).expect("writable");
    file
}

#[test]
fn a_plugin_that_blocks_at_exit_keeps_no_program() {
    let home = Home::new();
    let source = hasty_source("sticky", "")
        + "#[used]\n#[unsafe(link_section = \".fini_array\")]\nstatic END: extern \"C\" fn() = end;\n"
        + "extern \"C\" fn end() { loop { std::thread::park() } }\n";
    compiled(&home.plugins(), "sticky", &source, &[]);
    let ran = home.host(&["chat", "Hello"]).run().expect_success();
    assert_eq!(ran.stdout, "Hello\n");
}

#[test]
fn a_plugin_that_ends_the_program_is_named() {
    let home = Home::new();
    hasty(&home, "quitter", &in_the_host("std::process::exit(0)"));
    assert_fails(
        &home.host(&["chat", "Hello"]).run(),
        9,
        "error: the plugin `quitter` ended this program when it had to be loaded\n",
    );
}

#[test]
fn a_plugin_that_crashes_is_named_and_the_signal_ends_the_program() {
    for (id, crash) in [("aborter", "std::process::abort()"), ("faulty", "raise(11);")] {
        let home = Home::new();
        let source =
            hasty_source(id, &in_the_host(crash)) + "unsafe extern \"C\" { safe fn raise(signal: i32) -> i32; }\n";
        compiled(&home.plugins(), id, &source, &[]);
        let ran = home.host(&["chat", "Hello"]).run();
        assert_eq!(ran.code, None, "{ran:?}");
        let expected = format!(
            "error: agent-host crashed, and a plugin may be the cause: `{id}`\nhint: get a newer version of it, or \
             disable it: agent-host plugins disable {id}\n"
        );
        assert_has(&ran.stderr, &expected);
    }
}

#[test]
fn what_a_plugin_forks_in_its_trial_ends_with_it() {
    let home = Home::new();
    let pid = home.path().join("pid");
    let source = hasty_source("forker", "fork_and_hang()")
        + "unsafe extern \"C\" { safe fn fork() -> i32; }\n"
        + "fn fork_and_hang() { let child = fork();\n"
        + "if child != 0 { let _ = std::fs::write(env!(\"MARK\"), child.to_string()); }\n"
        + "loop { std::thread::park() } }\n";
    compiled(&home.plugins(), "forker", &source, &[("MARK", &pid)]);
    let rows = listed(&home);
    assert_has(rows[0]["reason"].as_str().expect("text"), "it did not end within 1 s");
    let stat = format!("/proc/{}/stat", fs::read_to_string(pid).expect("it forked"));
    eventually(|| match fs::read_to_string(&stat) {
        Ok(stat) if !stat.contains(") Z ") => Err(stat),
        _ => Ok(()),
    });
}

#[test]
fn trials_run_side_by_side() {
    let home = Home::new();
    let marks = ["one", "two"].map(|name| home.path().join(name));
    for (id, own, other) in [("one", &marks[0], &marks[1]), ("two", &marks[1], &marks[0])] {
        let wait = format!(
            "std::fs::write({own:?}, \"\").unwrap(); while !std::path::Path::new({other:?}).exists() {{ \
             std::thread::yield_now() }}"
        );
        hasty(&home, id, &wait);
    }
    let list = json_of(&home.host(&["plugins", "list", "--json"]).run().expect_success());
    assert_eq!(
        [&list[0]["verdict"], &list[1]["verdict"]],
        ["enabled", "enabled"],
        "{list:#}"
    );
}

#[test]
fn a_forged_memory_of_trials_is_not_believed() {
    let home = Home::new();
    hasty(&home, "crash", "std::process::abort()");
    assert_eq!(listed(&home)[0]["code"], "trial");
    let known = known_file(&home);
    let mode = fs::metadata(&known).expect("it was written").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let mut memory: Value = serde_json::from_slice(&fs::read(&known).expect("it was written")).expect("JSON");
    for plugin in memory["plugins"].as_object_mut().expect("an object").values_mut() {
        plugin["trial"][1] = json!("passed");
    }
    let forged = memory.to_string();
    fs::write(&known, &forged).expect("writable");
    set_mode(&known, 0o644);
    let list = home.host(&["plugins", "list"]).run().expect_success();
    assert_has(&list.stdout, "refused");
    let notice = "other users may open it: its mode is 644, expected 600";
    assert_eq!(list.stderr.matches(notice).count(), 1, "{}", list.stderr);
    // It was replaced by one that counts.
    let list = home.host(&["plugins", "list"]).run().expect_success();
    assert_lacks(&list.stderr, "is not used");

    let elsewhere = home.path().join("elsewhere");
    fs::write(&elsewhere, forged).expect("writable");
    set_mode(&elsewhere, 0o600);
    fs::remove_file(&known).expect("ours");
    std::os::unix::fs::symlink(&elsewhere, &known).expect("writable");
    let list = home.host(&["plugins", "list"]).run().expect_success();
    assert_has(&list.stdout, "refused");
    assert_has(&list.stderr, "it is a symbolic link, which is not followed");
}

#[test]
fn files_that_every_user_may_change_decide_nothing() {
    for file in [LOCK_FILE, "plugins/plugins.json"] {
        let bench = Bench::new();
        bench.ok(&["plugins", "enable", "openrouter"]);
        let file = bench.home.path().join(file);
        set_mode(&file, 0o666);
        let message = format!(
            "`{}` cannot be used: every user may change it (mode 666): chmod o-w",
            file.display()
        );
        assert_fails(&bench.run(&["chat", "Hello"]), 9, &message);
    }
}

#[test]
fn nothing_is_installed_where_every_user_may_write() {
    let home = Home::new();
    set_mode(&home.plugins(), 0o777);
    let plugin = second_plugin();
    let ran = home.host(&["plugins", "install", plugin.to_str().expect("text")]).run();
    assert_fails(
        &ran,
        9,
        "was refused: every user may change its folder: its mode is 777\nhint: ",
    );
    assert_eq!(fs::read_dir(home.plugins()).expect("readable").count(), 0);
    set_mode(&home.plugins(), 0o755);
}

#[test]
fn locking_records_what_is_good_and_names_the_rest() {
    let bench = Bench::new();
    let home = &bench.home;
    let recorded = home.plugins().join(openrouter_plugin().file_name().expect("a file"));
    let changed = [fs::read(&recorded).expect("the plugin"), b"changed".to_vec()].concat();
    fs::remove_file(&recorded).expect("writable");
    fs::write(&recorded, changed).expect("writable");
    let before = fs::read_to_string(home.path().join(LOCK_FILE)).expect("it was used before");
    home.link(&second_plugin());
    fs::write(home.plugins().join("text.so"), "no library").expect("writable");

    let ran = bench.run(&["plugins", "lock", "--json"]);
    assert_fails(
        &ran,
        9,
        "plugin `libplugin_openrouter.so` was refused: its bytes are not those of ",
    );
    assert_has(&ran.stderr, "plugin `text.so` was refused: it is not a shared library");
    let locked = json_of(&ran);
    assert_eq!(locked["recorded"][0]["id"], "parrot", "{locked:#}");
    assert_eq!(locked["refused"].as_array().map(Vec::len), Some(2), "{locked:#}");
    let [before, after]: [Value; 2] = [
        before,
        fs::read_to_string(home.path().join(LOCK_FILE)).expect("readable"),
    ]
    .map(|text| serde_json::from_str(&text).expect("JSON"));
    assert_eq!(after["plugins"]["openrouter"], before["plugins"]["openrouter"]);
    assert_eq!(after["plugins"]["parrot"]["file"], "libsecond_plugin.so");
}

#[test]
fn of_two_builds_of_one_plugin_a_command_wants_the_file() {
    let home = Home::new();
    let [first, second] = ["a.so", "b.so"].map(|name| other_build(&home, name));
    let host = |arguments: &[&str]| home.host(arguments).run();
    let ambiguous = host(&["plugins", "accept", "echo"]);
    let message = "error: `a.so` and `b.so` contain different builds of the plugin `echo`\nhint: name the file instead \
                   of the plugin, such as `a.so`\n";
    assert_fails(&ambiguous, 2, message);
    assert_fails(&host(&["plugins", "remove", "echo"]), 2, message);
    host(&["plugins", "accept", "b.so"]).expect_success();
    let list = host(&["plugins", "list"]).expect_success();
    assert_has(
        &list.stdout,
        "`a.so`: it contains the plugin `echo` too, and `b.so` is the recorded one",
    );
    assert_has(&list.stderr, "hint for a.so: remove all but one of them\n");
    assert_eq!(host(&["chat", "Hello"]).expect_success().stdout, "Hello\n");
    host(&["plugins", "remove", "a.so"]).expect_success();
    assert!(!first.exists() && second.exists());
    host(&["--locked", "chat", "Hello"]).expect_success();
}

#[test]
fn refused_files_are_found_by_commands() {
    let bench = Bench::new();
    let file = hasty(&bench.home, "crash", "std::process::abort()");
    let info = bench.ok(&["plugins", "info", "crash"]);
    assert_has(&info.stdout, "refused: it failed its trial: ");
    assert_has(&info.stderr, "`agent-host plugins accept crash` tries it once more");
    let accepted = bench.run(&["plugins", "accept", "libcrash.so"]);
    assert_fails(&accepted, 9, "it failed its trial");
    bench.ok(&["plugins", "disable", "crash"]);
    let rows = json_of(&bench.ok(&["plugins", "list", "--json"]));
    let rows = rows.as_array().expect("a list");
    assert_eq!(row_of(rows, "libcrash.so")["verdict"], "disabled");
    bench.ok(&["plugins", "remove", "crash"]);
    let text = bench.home.plugins().join("text.so");
    fs::write(&text, "no library").expect("writable");
    bench.ok(&["plugins", "remove", "text.so"]);
    assert!(!file.exists() && !text.exists());
}

#[test]
fn a_record_without_its_file_is_listed_and_can_be_removed() {
    let bench = Bench::new();
    fs::remove_file(bench.home.plugins().join("libplugin_openrouter.so")).expect("ours");
    let list = bench.ok(&["plugins", "list"]);
    assert_has(&list.stdout, "it is recorded, but its file is missing");
    let forget = "put the file back, or forget the plugin: agent-host plugins remove openrouter";
    assert_has(&list.stderr, forget);
    assert_fails(&bench.run(&["chat", "Hello"]), 9, forget);
    assert_eq!(
        bench.ok(&["plugins", "remove", "openrouter"]).stdout,
        "forgot openrouter; its file was missing already\n"
    );
    assert_has(&bench.ok(&["plugins", "list"]).stdout, "no plugins in ");
}

#[test]
fn a_plugin_with_another_layout_is_refused_in_one_line() {
    let home = Home::new();
    let mut bytes = fs::read(echo_plugin()).expect("the plugin");
    // A field of the module gets another name, as in a modified copy of plugin-api.
    let fields = b"manifest;create;host,config,";
    let mut starts: Vec<usize> = Vec::new();
    starts.extend((0..bytes.len() - fields.len()).filter(|at| bytes[*at..].starts_with(fields)));
    assert!(!starts.is_empty());
    for at in starts {
        bytes[at..at + 15].copy_from_slice(b"manifest;creato");
    }
    fs::write(home.plugins().join("libecho.so"), bytes).expect("writable");
    let row = &listed(&home)[0];
    assert_has(
        row["reason"].as_str().expect("text"),
        "but its types at the boundary differ from this host's ",
    );
    let hint = "build host and plugin from releases of plugin-api, not from modified copies";
    assert_eq!((&row["id"], &row["hint"]), (&json!("echo"), &json!(hint)));
}

#[test]
fn a_program_without_free_files_ends_with_an_error() {
    let home = Home::new();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "ulimit -n 6; exec \"$0\" plugins list"])
        .arg(agent_host());
    shell.env_clear().env("HOME", home.path());
    let ran = run(shell, None, LIMIT);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.stderr.starts_with("error: cannot start: Too many open files"),
        "{ran:?}"
    );
}

#[test]
fn plugins_disabled_at_once_are_all_disabled() {
    let home = Home::new();
    let names: Vec<String> = (0..8).map(|n| format!("text{n}.so")).collect();
    for name in &names {
        fs::write(home.plugins().join(name), "no library").expect("writable");
    }
    thread::scope(|scope| {
        for name in &names {
            let home = &home;
            scope.spawn(move || home.host(&["plugins", "disable", name]).run().expect_success());
        }
    });
    let rows = listed(&home);
    assert!(rows.iter().all(|row| row["verdict"] == "disabled"), "{rows:#?}");
}
