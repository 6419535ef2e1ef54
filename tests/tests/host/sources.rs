//! Only the user decides where the key and the prompts go, not whoever filled a folder or wrote a profile.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use tests::faultd::{Faultd, Script};
use tests::{Home, HostRun, Typist, canary, openrouter_plugin, second_plugin};

use crate::{Bench, assert_fails, assert_has, assert_lacks, conversation, home_with_openrouter, profile};

const FOLDER_KEY: &str = "OPENROUTER_API_KEY=sk-or-v1-of-the-folder\n";

/// The folder of stored keys.
const STORED: &str = ".config/agent-host/keys";

/// Commands that use a profile.
const COMMANDS: [&[&str]; 4] = [
    &["doctor"],
    &["plugins", "list"],
    &["models"],
    &["profile", "show", "--resolved"],
];

/// A service that answers whoever asks.
fn service() -> Faultd {
    Faultd::playing([Script::answer("hello")])
}

fn write(home: &Home, file: &str, text: &str) -> PathBuf {
    let file = home.path().join(file);
    fs::write(&file, text).expect("the home is writable");
    file
}

/// A `.env` that would send prompts to this service, with a key of its own.
fn write_dot_env(home: &Home, elsewhere: &Faultd) {
    let text = format!("{FOLDER_KEY}OPENROUTER_BASE_URL={}\n", elsewhere.base_url());
    write(home, "work/.env", &text);
}

#[test]
fn a_folder_moves_no_address_where_another_source_has_a_key() {
    let home = home_with_openrouter();
    home.write_profile(&profile(r#""retry": {"attempts": 1}"#));
    let (elsewhere, proxy) = (service(), service());
    write_dot_env(&home, &elsewhere);
    let key_file = write(&home, "key", canary::CANARY);
    let named = write(&home, "named.env", &format!("OPENROUTER_KEY={}\n", canary::CANARY));
    let (key_file, named) = (key_file.to_str().expect("text"), named.to_str().expect("text"));
    for (flags, variable, value) in [
        (&[][..], "OPENROUTER_KEY", canary::CANARY),
        (&[], "OPENROUTER_API_KEY_FILE", key_file),
        (&["--env-file", named], "UNUSED", ""),
        (&[], STORED, ""),
    ] {
        if variable == STORED {
            fs::create_dir_all(home.path().join(STORED)).expect("writable");
            write(&home, &format!("{STORED}/openrouter"), canary::CANARY);
        }
        let n_before = proxy.requests().len();
        let run = home.host(&[flags, &["chat", "Hello"]].concat()).env(variable, value);
        // The service's own address is asked through a proxy, which shows where the call went.
        let ran = run.env("HTTPS_PROXY", &format!("http://{}", proxy.address())).run();
        assert_eq!(elsewhere.accepted_connections(), 0, "{variable}: {ran:?}");
        assert!(proxy.requests().len() > n_before, "{variable}: {ran:?}");
        assert_has(&ran.stderr, "`OPENROUTER_BASE_URL` in `.env` is ignored");
    }
    fs::remove_dir_all(home.path().join(STORED)).expect("ours");
    let alone = home.host(&["chat", "-q", "Hello"]).run().expect_success();
    assert_eq!(elsewhere.requests().len(), 1);
    let line = format!(
        "prompts go to http://{} (`OPENROUTER_BASE_URL` in `.env`)\n",
        elsewhere.address()
    );
    assert_eq!(alone.stderr, line, "said even with --quiet");
}

#[test]
fn a_folder_that_chooses_models_is_named() {
    let bench = Bench::new();
    write(&bench.home, "work/.env", "SMALL_MODEL=sandbox/echo\n");
    let small = |flags: &[&str]| bench.ok(&[flags, &["chat", "-q", "-t", "small", "Hello"]].concat());
    let line = "`.env` in this folder sets `SMALL_MODEL`; `--no-env-file` leaves it out\n";
    assert_eq!(small(&[]).stderr, line);
    assert_eq!(small(&["--no-env-file"]).stderr, "");
    let models: Vec<_> = bench.bodies().iter().map(|body| body["model"].clone()).collect();
    assert_eq!(models, ["sandbox/echo", "anthropic/claude-haiku-4.5"]);
}

#[test]
fn another_address_is_named_once_with_who_set_it() {
    let bench = Bench::new();
    let line = |origin: &str, source: &str| format!("prompts go to {origin} ({source})");
    let url = bench.service.base_url();
    let origin = url.trim_end_matches("/api/v1");
    let by_variable = line(origin, "environment variable `OPENROUTER_BASE_URL`");
    let stderr = bench.ok(&["chat", "Hello"]).stderr;
    assert_eq!(stderr.matches(&by_variable).count(), 1, "{stderr}");
    assert_lacks(&bench.ok(&["chat", "-q", "Hello"]).stderr, "prompts go");
    bench.home.write_profile(&profile(&format!(r#""baseUrl": "{url}""#)));
    let source = format!("`baseUrl` of profile `default` in `{}`", bench.home.profile().display());
    assert_has(&bench.ok(&["chat", "Hello"]).stderr, &line(origin, &source));
}

#[test]
fn a_profile_from_elsewhere_needs_a_yes_before_it_gets_your_key() {
    let home = home_with_openrouter();
    let elsewhere = service();
    let origin = format!("http://{}", elsewhere.address());
    let address = format!(r#""model": "acme/model", "baseUrl": "{}""#, elsewhere.base_url());
    let run = |flags: &[&str], options: &str| {
        let run = host_with(
            &home,
            "work/theirs.json",
            options,
            &[flags, &["chat", "Hello"]].concat(),
        );
        run.env("OPENROUTER_API_KEY", canary::CANARY).run()
    };
    let message =
        format!("would send your key (environment variable `OPENROUTER_API_KEY`) and your prompts to {origin}");
    let refused = run(&[], &address);
    assert_fails(&refused, 2, &message);
    assert_has(
        &refused.stderr,
        "hint: if you trust this address, add `--trust-profile`",
    );
    assert_has(&refused.stderr, "more: agent-host explain untrusted_address");
    // A profile cannot make the user's variable its own by naming it, nor use the address of a second service.
    let named = format!(r#"{address}, "apiKey": {{"env": "OPENROUTER_API_KEY"}}"#);
    assert_fails(
        &run(&[], &named),
        2,
        "would send your key (environment variable `OPENROUTER_API_KEY`)",
    );
    let second = format!(r#""secondary": {{"baseUrl": "{}"}}"#, elsewhere.base_url());
    assert_fails(&run(&[], &second), 2, "`secondary.baseUrl` of profile `default`");
    for command in COMMANDS {
        let run = host_with(&home, "work/theirs.json", &second, command);
        run.env("OPENROUTER_API_KEY", canary::CANARY).run();
    }
    assert_eq!(elsewhere.accepted_connections(), 0);
    let trusted = run(&["--trust-profile"], &address).expect_success();
    assert_has(
        &trusted.stderr,
        &format!("prompts go to {origin} (`baseUrl` of profile `default` in `"),
    );
    let key = write(&home, "work/key", canary::CANARY);
    run(&[], &format!(r#"{address}, "apiKey": {{"file": "{}"}}"#, key.display())).expect_success();
    run(
        &[],
        r#""baseUrl": "https://openrouter.ai/api/v1", "timeouts": {"totalMs": 1}"#,
    );
    assert_eq!(elsewhere.requests().len(), 2);
}

#[test]
fn a_terminal_asks_once_for_each_address() {
    let home = home_with_openrouter();
    let elsewhere = service();
    let text = profile(&format!(
        r#""model": "acme/model", "baseUrl": "{}""#,
        elsewhere.base_url()
    ));
    let file = write(&home, "work/theirs.json", &text);
    let chat = || {
        let run = home.host(&["--config", file.to_str().expect("text"), "chat"]);
        run.env("OPENROUTER_API_KEY", canary::CANARY)
    };
    let mut no = Typist::at(chat().into_command());
    no.sees("Trust this address? [y]es, [n]o: ");
    no.types("n");
    no.sees("error[untrusted_address]: ");
    assert_eq!(no.leaves(), Some(2));
    assert_eq!(elsewhere.accepted_connections(), 0);
    let mut yes = Typist::at(chat().into_command());
    yes.sees("Trust this address? ");
    yes.types("y");
    yes.sees("/help");
    yes.types("/quit");
    assert_eq!(yes.leaves(), Some(0));
    let kept = home.path().join(".local/state/agent-host/trusted-addresses");
    let mode = fs::metadata(&kept).expect("it is remembered").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let mut again = conversation(chat());
    assert_lacks(&again.screen(), "Trust this address?");
    again.types("/quit");
    again.leaves();
    // The yes was for one key.
    let other = text.replacen("\"model\"", r#""apiKey": {"env": "AWS_SECRET_ACCESS_KEY"}, "model""#, 1);
    let other = write(&home, "work/other.json", &other);
    let run = home.host(&["--config", other.to_str().expect("text"), "chat", "Hello"]);
    let ran = run.env("AWS_SECRET_ACCESS_KEY", canary::CANARY).run();
    assert_fails(
        &ran,
        2,
        "would send your key (environment variable `AWS_SECRET_ACCESS_KEY`)",
    );
    // A link there could come from somebody else.
    let moved = kept.with_file_name("moved");
    fs::rename(&kept, &moved).expect("ours");
    symlink(&moved, &kept).expect("ours");
    let run = home.host(&["--config", file.to_str().expect("text"), "chat", "Hello"]);
    let ran = run.env("OPENROUTER_API_KEY", canary::CANARY).run();
    assert_fails(&ran, 2, "would send your key");
    assert_has(&ran.stderr, "is not used: it is a symbolic link, which is not followed");
}

#[test]
fn a_reload_reads_no_new_file_and_moves_nothing() {
    let home = home_with_openrouter();
    let (own, elsewhere) = (service(), service());
    let with_address = |service: &Faultd| {
        let options = format!(r#""model": "acme/model", "baseUrl": "{}""#, service.base_url());
        home.write_profile(&profile(&options));
    };
    with_address(&own);
    let run = home.host(&["chat"]);
    let mut typist = conversation(run.env("OPENROUTER_API_KEY", canary::CANARY));
    write_dot_env(&home, &elsewhere);
    typist.types("/reload");
    typist.sees("nothing changed; `.env` was not read at the start: restart to use it");
    with_address(&elsewhere);
    typist.sees("edit ignored; still using the previous profile");
    typist.sees(&format!("error: another address: http://{} (", elsewhere.address()));
    typist.sees("restart to use it");
    home.write_profile(&profile(
        r#""model": "acme/model", "apiKey": {"env": "OPENROUTER_KEY"}"#,
    ));
    typist.sees("edit ignored; still using the previous profile");
    typist.types("one");
    typist.sees("acme/model");
    assert_eq!((own.requests().len(), elsewhere.accepted_connections()), (1, 0));
}

#[test]
fn a_history_in_a_folder_of_everybody_is_not_kept() {
    let bench = Bench::new();
    let folder = bench.home.path().join(".local/state/agent-host");
    fs::create_dir_all(&folder).expect("writable");
    let target = write(&bench.home, "target", "mine\n");
    symlink(&target, folder.join("history")).expect("writable");
    let refused = |why: &str| {
        let mut typist = Typist::at(bench.host(&["chat"]).into_command());
        typist.sees("no history is kept in `");
        typist.sees(why);
        typist.sees("/help");
        typist.types("a private matter");
        typist.sees(" tokens");
        typist.types("/quit");
        typist.leaves();
    };
    refused("it is a symbolic link, which is not followed");
    assert_eq!(fs::read_to_string(&target).expect("ours"), "mine\n");
    fs::remove_file(folder.join("history")).expect("ours");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).expect("ours");
    refused("every user may write to its folder");
    assert!(!folder.join("history").exists());
}

/// A profile that sends prompts to this service, with the key in this file.
fn with_key_file(service: &Faultd, key: &Path) -> String {
    let (url, key) = (service.base_url(), key.display());
    format!(r#""model": "acme/model", "baseUrl": "{url}", "apiKey": {{"file": "{key}"}}"#)
}

/// The binary with a profile file that may be somebody else's.
fn host_with(home: &Home, file: &str, options: &str, arguments: &[&str]) -> HostRun {
    let file = write(home, file, &profile(options));
    home.host(&[&["--config", file.to_str().expect("text")], arguments].concat())
}

#[test]
fn a_profiles_own_key_excuses_only_the_address_that_gets_it() {
    let home = home_with_openrouter();
    let (main, second) = (service(), service());
    let key = write(&home, "work/key", "sk-or-v1-theirs");
    let (first, url) = (with_key_file(&main, &key), second.base_url());
    let both = format!(r#"{first}, "secondary": {{"baseUrl": "{url}"}}"#);
    let run = host_with(&home, "work/theirs.json", &both, &["chat", "Hello"]);
    let ran = run.env("OPENROUTER_SECONDARY_API_KEY", canary::CANARY).run();
    let variable = "would send your key (environment variable `OPENROUTER_SECONDARY_API_KEY`) and your prompts to";
    assert_fails(&ran, 2, &format!("{variable} http://{}", second.address()));
    // Each of these files may be the user's.
    let mine = write(&home, "mine", canary::CANARY);
    fs::create_dir(home.path().join("work/inner")).expect("writable");
    let inner = write(&home, "work/inner/key", canary::CANARY);
    let link = home.path().join("work/link");
    symlink(&mine, &link).expect("writable");
    for (file, key) in [
        ("work/theirs.json", &inner),
        ("work/theirs.json", &link),
        ("theirs.json", &mine),
    ] {
        let ran = host_with(&home, file, &with_key_file(&main, key), &["chat", "Hello"]).run();
        let message = format!("would send your key (file `{}`) and your prompts", key.display());
        assert_fails(&ran, 2, &message);
    }
    assert_eq!((main.accepted_connections(), second.accepted_connections()), (0, 0));
}

#[test]
fn a_key_file_that_became_a_link_is_not_read_again() {
    let home = home_with_openrouter();
    let refusal = serde_json::json!({"error": {"code": 401, "message": "User not found."}});
    let elsewhere = Faultd::answering(move |_| Script::reply(401, &[], &refusal));
    let key = write(&home, "work/key", "sk-or-v1-theirs");
    let options = with_key_file(&elsewhere, &key);
    let mut typist = conversation(host_with(&home, "work/theirs.json", &options, &["chat"]));
    typist.types("one");
    typist.sees("the key came from `apiKey`");
    let mine = write(&home, "mine", canary::CANARY);
    fs::remove_file(&key).expect("ours");
    symlink(&mine, &key).expect("writable");
    typist.types("two");
    typist.sees("is no longer a regular file and is not read");
    typist.sees("the key came from `apiKey`");
    typist.types("/reload");
    typist.sees("error: another source of the key: its file was replaced by a link");
    let requests = elsewhere.requests();
    assert_eq!(requests.len(), 2);
    let theirs = Some("Bearer sk-or-v1-theirs");
    assert!(requests.iter().all(|asked| asked.header("authorization") == theirs));
}

#[test]
fn doctor_sends_no_key_if_an_address_is_unclear() {
    let home = home_with_openrouter();
    let proxy = service();
    let url = format!("http://{}", proxy.address());
    let key = write(&home, "key", canary::CANARY);
    for name in ["baseURL", "base_ur", "adress"] {
        let source = format!(r#""apiKey": {{"file": "{}"}}, "{name}": "{url}""#, key.display());
        home.write_profile(&profile(&source));
        let run = home.host(&["doctor", "--json"]).env("HTTPS_PROXY", &url);
        let ran = run.env("OPENROUTER_API_KEY", canary::CANARY).run();
        assert_has(&ran.stdout, "it is unclear which key to use and where it may be sent");
        if name == "baseURL" {
            assert_has(&ran.stdout, "did you mean `baseUrl`?");
        }
    }
    assert_eq!(proxy.accepted_connections(), 0);
}

#[test]
fn an_address_in_a_named_file_counts_with_its_key_or_is_an_error() {
    let home = home_with_openrouter();
    let (elsewhere, proxy) = (service(), service());
    let key = write(&home, "key", canary::CANARY);
    let key_file = format!("OPENROUTER_API_KEY_FILE={}", key.display());
    let key = format!("OPENROUTER_API_KEY={}", canary::CANARY);
    let own = key.replace("OPENROUTER_API_KEY", "MINE");
    let model = r#""model": "acme/model""#;
    let from_own = format!(r#"{model}, "apiKey": {{"env": "MINE"}}"#);
    let run = |line: &str, options: &str, variable: &str| {
        let text = format!("OPENROUTER_BASE_URL={}\n{line}\n", elsewhere.base_url());
        let named = write(&home, "named.env", &text);
        home.write_profile(&profile(options));
        let run = home.host(&["--env-file", named.to_str().expect("text"), "chat", "Hello"]);
        let run = run.env("HTTPS_PROXY", &format!("http://{}", proxy.address()));
        run.env(variable, canary::CANARY).run()
    };
    for (line, options) in [(&key, model), (&key_file, model), (&own, &from_own)] {
        run(line, options, "UNUSED").expect_success();
    }
    assert_eq!(elsewhere.requests().len(), 3);
    for (line, options, variable) in [
        ("", model, "OPENROUTER_API_KEY"),
        (&key, model, "OPENROUTER_API_KEY"),
        ("", &from_own, "MINE"),
    ] {
        let ran = run(line, options, variable);
        let cause = format!("does not count: the key comes from elsewhere (environment variable `{variable}`)");
        assert_fails(&ran, 2, &cause);
        assert_has(&ran.stderr, "error: `OPENROUTER_BASE_URL` in `");
        assert_has(
            &ran.stderr,
            "hint: set `OPENROUTER_API_KEY` in the same file and nowhere else",
        );
    }
    let with_address = format!(r#"{model}, "baseUrl": "{}""#, elsewhere.base_url());
    run("", &with_address, "OPENROUTER_API_KEY").expect_success();
    assert_eq!((elsewhere.requests().len(), proxy.accepted_connections()), (4, 0));
}

#[test]
fn a_new_plugin_moves_no_address() {
    let home = home_with_openrouter();
    let (own, proxy) = (service(), service());
    let address = format!(r#""model": "acme/model", "baseUrl": "{}""#, own.base_url());
    home.write_profile(&profile(&address));
    let run = home.host(&["chat"]).env("OPENROUTER_API_KEY", canary::CANARY);
    let mut typist = conversation(run.env("HTTPS_PROXY", &format!("http://{}", proxy.address())));
    home.write_profile(&profile(r#""model": "acme/model""#));
    typist.sees("edit ignored; still using the previous profile");
    typist.sees("error: another address: the service's own instead of http://");
    let plugin = home.plugins().join(openrouter_plugin().file_name().expect("a file"));
    let bytes = fs::read(&plugin).expect("the plugin");
    fs::remove_file(&plugin).expect("ours");
    // Bytes behind the last section change no behaviour.
    fs::write(&plugin, [&bytes[..], b"next build"].concat()).expect("writable");
    home.host(&["plugins", "accept", "openrouter"]).run().expect_success();
    typist.sees("new plugin ignored; still using the previous one");
    typist.sees("error: another address: the service's own instead of http://");
    typist.types("one");
    typist.sees("acme/model");
    assert_eq!((own.requests().len(), proxy.accepted_connections()), (1, 0));
}

#[test]
fn a_provider_that_comes_back_keeps_the_source_of_its_key() {
    let home = home_with_openrouter();
    home.install(&second_plugin());
    let model = profile(r#""model": "acme/model""#);
    home.write_profile(&model);
    let run = home.host(&["chat"]).env("OPENROUTER_API_KEY", canary::CANARY);
    let run = run.env("OTHER_KEY", canary::CANARY).env("PARROT_KEY", "parrot-polly");
    let mut typist = conversation(run);
    home.write_profile(r#"{"auth": {"profiles": {"default": {"provider": "parrot"}}}}"#);
    typist.sees("profile reloaded: parrot instead of openrouter");
    home.write_profile(&profile(r#""model": "acme/model", "apiKey": {"env": "OTHER_KEY"}"#));
    typist.sees("edit ignored; still using the previous profile");
    typist.sees("error: another source of the key: environment variable `OTHER_KEY` instead of");
    home.write_profile(&model);
    typist.sees("profile reloaded: openrouter instead of parrot");
}

#[test]
fn a_reload_takes_no_other_key_file() {
    let home = home_with_openrouter();
    let own = service();
    let [first, second] = ["first", "second"].map(|file| write(&home, file, canary::CANARY));
    let name = |key: &Path| {
        write(
            &home,
            "named.env",
            &format!("OPENROUTER_API_KEY_FILE={}\n", key.display()),
        )
    };
    let named = name(&first);
    let run = home.host(&["--env-file", named.to_str().expect("text"), "chat"]);
    let mut typist = conversation(run.env("OPENROUTER_BASE_URL", &own.base_url()));
    name(&second);
    typist.types("/reload");
    typist.sees("error: another source of the key: `OPENROUTER_API_KEY_FILE`, file `");
    typist.sees("restart to use it");
}

#[test]
fn a_key_command_from_elsewhere_needs_a_yes_before_it_runs() {
    let home = home_with_openrouter();
    let own = service();
    let runs = home.path().join("work/runs");
    let script = format!("echo run >> {}; echo sk-or-v1-theirs", runs.display());
    let options = format!(r#""model": "acme/model", "apiKey": {{"command": ["sh", "-c", "{script}"]}}"#);
    let host = |arguments: &[&str]| {
        let run = host_with(&home, "work/theirs.json", &options, arguments);
        run.env("OPENROUTER_BASE_URL", &own.base_url())
    };
    let n_runs = || fs::read_to_string(&runs).unwrap_or_default().lines().count();
    for command in COMMANDS {
        host(command).run();
    }
    let refused = host(&["chat", "Hello"]).run();
    assert_fails(&refused, 2, "would run the command `sh -c echo run >> ");
    assert_has(&refused.stderr, "more: agent-host explain untrusted_address");
    let mut no = Typist::at(host(&["chat"]).into_command());
    no.sees("Run it? [y]es, [n]o: ");
    no.types("n");
    no.sees("the answer is not kept");
    assert_eq!((no.leaves(), n_runs()), (Some(2), 0));
    let mut yes = Typist::at(host(&["chat"]).into_command());
    yes.sees("Run it? ");
    yes.types("y");
    yes.sees("/help");
    assert_eq!(n_runs(), 1);
    yes.types("/reload");
    yes.sees("profile, variables and key reloaded: nothing changed");
    assert_eq!(n_runs(), 2);
    host(&["--trust-profile", "chat", "Hello"]).run().expect_success();
    assert_eq!((n_runs(), own.requests().len()), (3, 1));
}
