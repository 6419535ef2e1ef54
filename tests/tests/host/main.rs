//! The real `agent-host`, with the real plugin, against a sandbox on this machine.

mod account;
mod agents;
mod answers;
mod chat;
mod commands;
mod compare;
mod config;
mod contract;
mod conversation;
mod docs;
mod doctor;
mod explain;
mod fallback;
mod first_minute;
mod folder;
mod import;
mod keys;
mod log;
mod minimal;
mod models;
mod origin;
mod picture;
mod plugins;
mod process;
mod profile;
mod screens;
mod scripts;
mod signatures;
mod sources;
mod starter;
mod templates;
mod unruly;
mod usage;
mod verify;

use sandbox::Script;
use serde_json::Value;
use tests::faultd::Faultd;
use tests::{Home, HostRun, Ran, Service, Typist, canary, openrouter_plugin, second_plugin, service};

/// A home with the OpenRouter plugin, and a sandbox for it.
struct Bench {
    home: Home,
    service: Service,
}

impl Bench {
    fn new() -> Self {
        Self {
            home: home_with_openrouter(),
            service: service(),
        }
    }

    fn with_profile(text: &str) -> Self {
        let bench = Self::new();
        bench.home.write_profile(text);
        bench
    }

    /// With a profile that names this model only.
    fn with_model(model: &str) -> Self {
        Self::with_profile(&profile_of_model(model))
    }

    /// The binary, with a key and the sandbox's address. The profile file need not exist.
    fn host(&self, arguments: &[&str]) -> HostRun {
        self.without_key(arguments)
            .env("OPENROUTER_API_KEY", self.service.key())
    }

    fn without_key(&self, arguments: &[&str]) -> HostRun {
        let run = self.home.host(arguments);
        run.env("OPENROUTER_BASE_URL", &self.service.base_url())
    }

    /// Runs the binary to its end.
    fn run(&self, arguments: &[&str]) -> Ran {
        self.host(arguments).run()
    }

    /// Runs the binary, which must succeed.
    #[track_caller]
    fn ok(&self, arguments: &[&str]) -> Ran {
        self.run(arguments).expect_success()
    }

    fn script(&self, model: &str, script: Script) {
        self.service.script(model, script);
    }

    /// The bodies that the sandbox received.
    fn bodies(&self) -> Vec<Value> {
        let requests = self.service.requests().into_iter();
        let bodies = requests.map(|request| request.body);
        bodies.filter(|body| !body.is_null()).collect()
    }

    fn n_requests(&self) -> usize {
        self.service.requests().len()
    }

    /// A conversation at its first prompt.
    fn conversation(&self) -> Typist {
        conversation(self.host(&["chat"]))
    }
}

fn home_with_openrouter() -> Home {
    Home::with(&openrouter_plugin())
}

/// A home with Parrot alone.
fn home_with_parrot() -> Home {
    Home::with(&second_plugin())
}

/// The binary in a home whose plugin talks to a raw service.
fn host_at(home: &Home, service: &Faultd, arguments: &[&str]) -> HostRun {
    home.host(arguments)
        .env("OPENROUTER_API_KEY", canary::CANARY)
        .env("OPENROUTER_BASE_URL", &service.base_url())
}

/// Starts a conversation and waits for its first prompt.
fn conversation(run: HostRun) -> Typist {
    let mut typist = Typist::at(run.into_command());
    typist.sees("/help");
    typist.sees("> ");
    typist
}

/// A profile for the OpenRouter plugin with these further options, as members of a JSON object.
fn profile(options: &str) -> String {
    format!(r#"{{"auth": {{"profiles": {{"default": {{"provider": "openrouter", {options}}}}}}}}}"#)
}

fn profile_of_model(model: &str) -> String {
    profile(&format!(r#""model": "{model}""#))
}

/// The one JSON document that a command prints.
#[track_caller]
fn json_of(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("no JSON: {ran:?}"))
}

/// The cells of one line of a table.
fn cells(line: &str) -> Vec<&str> {
    let cells = line.split("  ").map(str::trim);
    cells.filter(|cell| !cell.is_empty()).collect()
}

/// The line of a table that starts with `start`.
#[track_caller]
fn row<'a>(table: &'a str, start: &str) -> &'a str {
    let row = table.lines().find(|line| line.starts_with(start));
    row.unwrap_or_else(|| panic!("no `{start}` in:\n{table}"))
}

#[track_caller]
fn assert_has(text: &str, part: &str) {
    assert!(text.contains(part), "expected `{part}` in:\n{text}");
}

#[track_caller]
fn assert_lacks(text: &str, part: &str) {
    assert!(!text.contains(part), "expected no `{part}` in:\n{text}");
}

#[track_caller]
fn assert_starts(text: &str, start: &str) {
    assert!(text.starts_with(start), "expected `{start}` at the start of:\n{text}");
}

/// Asserts that a run ended with this exit code and that its stderr contains `part`.
#[track_caller]
fn assert_fails(ran: &Ran, code: i32, part: &str) {
    assert_eq!(ran.code, Some(code), "{ran:?}");
    assert_has(&ran.stderr, part);
}
