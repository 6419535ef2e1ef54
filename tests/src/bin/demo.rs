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
    let Some(service) = Service::choose(live) else {
        eprintln!(
            "error: `--live` needs a key: OPENROUTER_API_KEY is not set\nhint: run `cargo demo` without `--live`"
        );
        return ExitCode::from(2);
    };
    step("Build the plugin and the host (minutes the first time, seconds later)");
    let plugin = openrouter_plugin();
    tests::agent_host();
    let demo = Demo {
        home: Home::new(),
        service,
    };
    demo.run(&plugin, live);
    ExitCode::SUCCESS
}

/// Where the prompts go.
enum Service {
    Sandbox(Sandbox),
    Live { key: String },
}

impl Service {
    fn choose(live: bool) -> Option<Self> {
        if !live {
            let sandbox = Sandbox::start();
            for model in [LARGE, REASONING, SMALL, SMALL_AFTERWARDS] {
                let at_a_models_pace = Script {
                    chunk_delay_ms: 15,
                    ..Script::default()
                };
                sandbox.script(model, at_a_models_pace);
            }
            return Some(Self::Sandbox(sandbox));
        }
        let key = env::var("OPENROUTER_API_KEY")
            .ok()
            .filter(|key| !key.trim().is_empty())?;
        Some(Self::Live { key })
    }

    fn give(&self, run: HostRun) -> HostRun {
        match self {
            Self::Sandbox(sandbox) => run
                .env("OPENROUTER_API_KEY", sandbox.key())
                .env("OPENROUTER_BASE_URL", &sandbox.base_url()),
            Self::Live { key } => run.env("OPENROUTER_API_KEY", key),
        }
    }
}

struct Demo {
    home: Home,
    service: Service,
}

impl Demo {
    fn run(&self, plugin: &Path, live: bool) {
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
        let closing = match &self.service {
            Service::Sandbox(sandbox) => format!(
                "{} requests went to the sandbox on this machine.",
                sandbox.requests().len()
            ),
            Service::Live { .. } => {
                "The answers came from openrouter.ai; the lines below them say what they cost.".to_owned()
            }
        };
        step(&closing);
        if !live {
            println!("The same against the real service: OPENROUTER_API_KEY=sk-or-… cargo demo --live");
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
        show(arguments, self.service.give(self.home.host(arguments)));
    }

    /// A conversation on a terminal; between its two messages the profile is edited.
    fn converse(&self) {
        println!("$ agent-host chat -t small");
        let run = self.service.give(self.home.host(&["chat", "-t", "small"]));
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
