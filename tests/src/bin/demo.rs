//! The first command of the README: everything is built, the plugin is installed, and a prompt travels the whole way
//! through three tiers and a live swap. Against a service on this machine, unless `--live` asks for the real one.

use std::env;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use sandbox::{Sandbox, Script};
use tests::{Home, HostRun, Typist, openrouter_plugin};

const USAGE: &str = "\
cargo demo          against the sandbox on this machine: free, no key, no network
cargo demo --live   against openrouter.ai with the key in OPENROUTER_API_KEY: costs a cent or two";

const SMALL: &str = "anthropic/claude-haiku-4.5";
const SMALL_AFTERWARDS: &str = "google/gemini-2.5-flash";
const LARGE: &str = "anthropic/claude-sonnet-4.5";
const REASONING: &str = "openai/gpt-5";

const PROMPT: &str = "In one sentence: what is a stable ABI good for?";

fn main() -> ExitCode {
    let live = match env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [flag] if flag == "--live" => true,
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    let sandbox = (!live).then(sandbox_at_a_models_pace);
    let key = match &sandbox {
        Some(sandbox) => Some(sandbox.key().to_owned()),
        None => env::var("OPENROUTER_API_KEY").ok().filter(|key| !key.trim().is_empty()),
    };
    let Some(key) = key else {
        eprintln!(
            "error: `--live` needs a key: OPENROUTER_API_KEY is not set\nhint: run `cargo demo` without `--live`"
        );
        return ExitCode::from(2);
    };
    step("Build the plugin and the host (minutes the first time, seconds later)");
    let plugin = openrouter_plugin();
    tests::agent_host();
    let home = Home::new();
    Demo { home, sandbox, key }.run(&plugin);
    ExitCode::SUCCESS
}

fn sandbox_at_a_models_pace() -> Sandbox {
    let sandbox = Sandbox::start();
    for model in [LARGE, REASONING, SMALL, SMALL_AFTERWARDS] {
        let at_a_models_pace = Script {
            chunk_delay_ms: 15,
            ..Script::default()
        };
        sandbox.script(model, at_a_models_pace);
    }
    sandbox
}

struct Demo {
    home: Home,
    /// Where the prompts go; `None` for the real service.
    sandbox: Option<Sandbox>,
    key: String,
}

impl Demo {
    fn run(&self, plugin: &Path) {
        step("Install it");
        let plugin = plugin.to_str().expect("the target folder's path is text");
        show(
            &["plugins", "install", plugin],
            self.home.host(&["plugins", "install", plugin]),
        );
        step("With a key it switches itself on");
        self.write_tiers(SMALL);
        self.host(&["plugins", "list"]);
        step("Three tiers, chosen by a profile");
        print!(
            "{}",
            std::fs::read_to_string(self.home.profile()).expect("it was just written")
        );
        for tier in ["small", "large", "reasoning"] {
            println!();
            self.host(&["chat", "-t", tier, PROMPT]);
        }
        step("Swap a tier while a conversation runs");
        self.converse();
        let Some(sandbox) = &self.sandbox else {
            return step("The answers came from openrouter.ai; the lines below them say what they cost.");
        };
        step(&format!(
            "{} requests went to the sandbox on this machine.",
            sandbox.requests().len()
        ));
        println!("The same against the real service: OPENROUTER_API_KEY=sk-or-… cargo demo --live");
    }

    /// The binary with a key, for the service that was chosen.
    fn command(&self, arguments: &[&str]) -> HostRun {
        let run = self.home.host(arguments).env("OPENROUTER_API_KEY", &self.key);
        match &self.sandbox {
            Some(sandbox) => run.env("OPENROUTER_BASE_URL", &sandbox.base_url()),
            None => run,
        }
    }

    fn write_tiers(&self, small: &str) {
        self.home.write_profile(&format!(
            r#"{{
  "auth": {{ "profiles": {{ "default": {{
    "provider": "openrouter",
    "tiers": {{
      "TEXT_SMALL": "{small}",
      "TEXT_LARGE": "{LARGE}",
      "TEXT_REASONING_LARGE": {{ "model": "{REASONING}", "parameters": {{ "reasoning": {{ "effort": "low" }} }} }}
    }},
    "parameters": {{ "maxTokens": 1000 }}
  }} }} }}
}}
"#
        ));
    }

    fn host(&self, arguments: &[&str]) {
        show(arguments, self.command(arguments));
    }

    /// A conversation on a terminal; between its two messages the profile is edited.
    fn converse(&self) {
        println!("$ agent-host chat -t small");
        let run = self.command(&["chat", "-t", "small"]);
        let mut typist = Typist::at(run.into_command());
        let see = |typist: &mut Typist, text: &str| {
            print!("{}{text}", typist.sees(text));
            // What was seen is shown at once, also where nobody is at a terminal.
            let _ = std::io::stdout().flush();
        };
        see(&mut typist, "TEXT_SMALL> ");
        typist.types("Hello! Which model are you?");
        see(&mut typist, " via ");
        see(&mut typist, " tokens");
        see(&mut typist, "TEXT_SMALL> ");
        println!("\n   [the profile is edited: TEXT_SMALL becomes {SMALL_AFTERWARDS}]");
        self.write_tiers(SMALL_AFTERWARDS);
        see(&mut typist, "(from the next message on)");
        typist.types("And now?");
        see(&mut typist, " via ");
        see(&mut typist, " tokens");
        see(&mut typist, "TEXT_SMALL> ");
        typist.types("/quit");
        println!();
        assert_eq!(typist.leaves(), Some(0));
    }
}

fn step(title: &str) {
    println!("\n── {title}");
}

/// Runs the host, and shows what was asked and answered.
fn show(arguments: &[&str], run: HostRun) {
    let quoted: Vec<String> = arguments
        .iter()
        .map(|word| {
            if word.contains(' ') {
                format!("\"{word}\"")
            } else {
                (*word).to_owned()
            }
        })
        .collect();
    println!("$ agent-host {}", quoted.join(" "));
    let ran = run.inherit_output();
    assert_eq!(ran, Some(0), "the host ends well");
}
