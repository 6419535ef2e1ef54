//! Every known code: plugin-api's error kinds, this program's exit codes, the codes of services.

use plugin_api::{Error, ErrorKind, Explanation, Manifest, Problem, ServiceError};
use serde::Serialize;

use super::topics::TOPICS;
use crate::terminal::{Exit, exit};

/// What is known about one code.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    pub code: String,
    /// Who uses the code: `agent-host`, `plugin-api` (every plugin), `topic`, or a plugin's id (its service).
    pub source: String,
    pub meaning: String,
    /// Where the cause lies; `null` where that depends on the error.
    pub fault: Option<&'static str>,
    /// Whether the same request may succeed later; `null` where that depends on the error.
    pub retryable: Option<bool>,
    pub remedy: String,
    /// The code of the error kind that a service's own code maps to.
    pub kind: Option<String>,
    pub exit_codes: Vec<u8>,
}

impl Entry {
    /// Whether it explains an exit code.
    pub fn is_exit(&self) -> bool {
        self.source == "agent-host"
    }

    /// The code as people read it.
    pub fn title(&self) -> String {
        match self.exit_codes.first() {
            Some(number) if self.is_exit() => format!("exit {number} ({})", self.code),
            _ => self.code.clone(),
        }
    }
}

pub fn entries(manifests: &[Manifest]) -> Vec<Entry> {
    let kinds = ErrorKind::KNOWN
        .iter()
        .filter_map(|(kind, _)| Some(entry_of_kind(*kind, &kind.explanation()?)));
    let exits = exit::TABLE
        .iter()
        .map(|(exit, _, meaning)| entry_of_exit(*exit, meaning));
    let services = manifests.iter().flat_map(|manifest| {
        manifest
            .errors
            .iter()
            .map(|error| entry_of_service(&manifest.id, error))
    });
    let topics = TOPICS.iter().map(|topic| entry_of_topic(*topic));
    kinds.chain(exits).chain(topics).chain(services).collect()
}

fn entry_of_topic((name, meaning, remedy): (&str, &str, &str)) -> Entry {
    Entry {
        code: name.to_owned(),
        source: "topic".to_owned(),
        meaning: meaning.to_owned(),
        fault: None,
        retryable: None,
        remedy: remedy.to_owned(),
        kind: None,
        exit_codes: Vec::new(),
    }
}

fn entry_of_kind(kind: ErrorKind, explanation: &Explanation) -> Entry {
    Entry {
        code: explanation.code.to_owned(),
        source: "plugin-api".to_owned(),
        meaning: explanation.meaning.to_owned(),
        fault: Some(explanation.fault.word()),
        retryable: Some(explanation.is_retryable),
        remedy: explanation.remedy.to_owned(),
        kind: None,
        exit_codes: exit_codes(kind),
    }
}

/// The exit codes for errors of this kind: first for an error that the service answered with, then for one found before
/// anything was sent, if that differs. A missing key is not a refused one.
fn exit_codes(kind: ErrorKind) -> Vec<u8> {
    let unasked = Error::new(kind, "");
    let mut codes = vec![exit_code_of_answer(kind), exit::exit_of(&unasked) as u8];
    codes.dedup();
    codes
}

fn exit_code_of_answer(kind: ErrorKind) -> u8 {
    let mut error = Error::new(kind, "");
    error.details.status = Some(0);
    error.details.problems.push(Problem::error("", ""));
    exit::exit_of(&error) as u8
}

fn entry_of_exit(exit: Exit, meaning: &str) -> Entry {
    let remedy = match exit {
        Exit::Ok => "Nothing to do.",
        Exit::Internal => "Run the command again with `-vv`, and report the output.",
        Exit::Usage => "Follow the hint below the error; `agent-host doctor` lists everything that is not set up.",
        Exit::Profile => "Run `agent-host profile check`, which lists every problem with its line.",
        Exit::Auth => "Create or renew the key at the service, then run `agent-host key`.",
        Exit::Payment => {
            "Check what is left with `agent-host key`; add credit, or raise the limit that the message names."
        }
        Exit::Transient => "Try again later; `agent-host fallback test` shows which models answer now.",
        Exit::Refused => "Change what the message names. The same request will fail again.",
        Exit::Mismatch => {
            "Ask again, choose a model that `agent-host models --structured` lists, or fix what the lines below the error name."
        }
        Exit::Plugin => "Run `agent-host plugins list`, which gives the reason for every file.",
        Exit::Limit => "Raise the limit that the message names, or give the agent less to do.",
        Exit::Interrupted => "Nothing to do; the answer is incomplete.",
    };
    Entry {
        code: exit.word().to_owned(),
        source: "agent-host".to_owned(),
        meaning: sentence(meaning),
        fault: None,
        retryable: match exit {
            Exit::Transient => Some(true),
            Exit::Internal | Exit::Ok | Exit::Interrupted | Exit::Mismatch => None,
            _ => Some(false),
        },
        remedy: remedy.to_owned(),
        kind: None,
        exit_codes: vec![exit as u8],
    }
}

fn entry_of_service(plugin: &str, error: &ServiceError) -> Entry {
    let kind = ErrorKind::KNOWN.iter().find(|(_, code)| *code == error.kind);
    let explanation = kind.and_then(|(kind, _)| kind.explanation());
    Entry {
        code: error.code.clone(),
        source: plugin.to_owned(),
        meaning: sentence(&error.meaning),
        fault: explanation.map(|explanation| explanation.fault.word()),
        retryable: explanation.map(|explanation| explanation.is_retryable),
        remedy: sentence(&error.remedy),
        kind: Some(error.kind.clone()),
        exit_codes: kind.map(|(kind, _)| exit_code_of_answer(*kind)).into_iter().collect(),
    }
}

/// `the key was refused` as `The key was refused.`
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    let rest = letters.as_str().trim_end_matches('.');
    format!("{first}{rest}.")
}
