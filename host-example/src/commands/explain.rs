//! `agent-host explain`: what a code means, whose fault it is, whether waiting helps, what to do.
//!
//! In: the kinds of plugin-api, this host's exit codes, and the words of the services that the installed plugins know. Out: one entry
//! or a table of all. The same entries make `errors.md`, which a test holds against them.

use plugin_api::loader::Refusal;
use plugin_api::{Error, ErrorKind, Explanation, Manifest, Problem, ServiceError};
use serde::Serialize;

use super::output::Output;
use crate::near::closest;
use crate::setup::{Folder, Global, Places};
use crate::terminal::{self, Exit, Failure, exit};

/// Say what an error code, an exit code or a service's own word for an error means
#[derive(clap::Args)]
pub struct Args {
    /// A code such as `rate_limit`, an exit code such as `6`, or a service's own word or status such as `402`; without it, a table of all
    pub code: Vec<String>,
    #[command(flatten)]
    pub output: Output,
}

/// The widest line of an entry, in characters.
const MAX_LINE_CHARS: usize = 100;

/// What is known about one code.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Entry {
    code: String,
    /// Who says it: `agent-host`, `plugin-api` for what every plugin says, or a plugin's id for its service.
    source: String,
    meaning: String,
    /// Where the cause lies; `null` where that depends on the error.
    fault: Option<&'static str>,
    /// Whether the same request may succeed later; `null` where that depends on the error.
    retryable: Option<bool>,
    remedy: String,
    /// The code of the kind that a service's own word becomes.
    kind: Option<String>,
    exit_codes: Vec<u8>,
}

impl Entry {
    /// Whether it explains how this program ends.
    fn is_exit(&self) -> bool {
        self.source == "agent-host"
    }

    /// What it stands for, for people.
    fn title(&self) -> String {
        match self.exit_codes.first() {
            Some(number) if self.is_exit() => format!("exit {number} ({})", self.code),
            _ => self.code.clone(),
        }
    }
}

/// Runs `agent-host explain`.
pub fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let manifests = manifests(global);
    let entries = entries(&manifests);
    let words = args.code.join(" ");
    let wanted = folded(&words);
    if wanted.is_empty() {
        if args.output.json {
            terminal::print_json(&serde_json::json!({"explanations": entries}));
        } else {
            terminal::print(&table(&entries));
        }
        return Ok(Exit::Ok);
    }
    let found = found(&entries, &wanted);
    if found.is_empty() {
        return Err(unknown(&entries, &words));
    }
    if args.output.json {
        terminal::print_json(&serde_json::json!({"explanations": found}));
    } else {
        let texts: Vec<String> = found.into_iter().map(text_of).collect();
        terminal::print(&texts.join("\n"));
    }
    Ok(Exit::Ok)
}

/// The manifests of the plugins in the folder. One that cannot be read has nothing to explain, and is no reason to stop.
fn manifests(global: &Global) -> Vec<Manifest> {
    let folder = Places::from(global).and_then(|places| Folder::read(&places.plugins));
    match folder {
        Ok(folder) => folder
            .entries
            .into_iter()
            .filter_map(|entry| entry.manifest.map_err(|_: Refusal| ()).ok())
            .collect(),
        Err(failure) => {
            tracing::warn!("the words of services are left out: {}", failure.message);
            Vec::new()
        }
    }
}

fn entries(manifests: &[Manifest]) -> Vec<Entry> {
    let kinds = ErrorKind::KNOWN
        .iter()
        .filter_map(|(kind, _)| Some(entry_of_kind(*kind, &kind.explanation()?)));
    let exits = exit::TABLE.iter().map(|(exit, meaning)| entry_of_exit(*exit, meaning));
    let services = manifests.iter().flat_map(|manifest| {
        manifest
            .errors
            .iter()
            .map(|error| entry_of_service(&manifest.id, error))
    });
    kinds.chain(exits).chain(services).collect()
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

/// With which codes the program can end on an error of this kind, the usual one first.
fn exit_codes(kind: ErrorKind) -> Vec<u8> {
    // Some kinds end differently where nobody was asked: a key that is missing is another matter than one that is refused.
    let unasked = Error::new(kind, "");
    let mut asked = unasked.clone();
    asked.details.status = Some(0);
    asked.details.problems.push(Problem::error("", ""));
    let mut codes = vec![exit::exit_of(&asked) as u8, exit::exit_of(&unasked) as u8];
    codes.dedup();
    codes
}

fn entry_of_exit(exit: Exit, meaning: &str) -> Entry {
    let remedy = match exit {
        Exit::Ok => "Nothing is to be done.",
        Exit::Internal => "Run the command again with `-vv`, and report what it says.",
        Exit::Usage => "Follow the hint below the error; `agent-host doctor` shows everything that is not set up.",
        Exit::Profile => "Run `agent-host profile check`, which shows every problem with its place.",
        Exit::Auth => "Make or renew the key where the service keeps its keys, then run `agent-host key`.",
        Exit::Payment => {
            "See what is left with `agent-host key`; add credit, or raise the limit that the message names."
        }
        Exit::Transient => "Try again later; `agent-host fallback test` shows which models answer now.",
        Exit::Refused => "Change what the message names. The same request will fail again.",
        Exit::Mismatch => {
            "Ask again, name a model that `agent-host models --structured` lists, or correct what the lines below the error name."
        }
        Exit::Plugin => "Run `agent-host plugins list`, which gives the reason for every file.",
        Exit::Interrupted => "Nothing is to be done; what had arrived is not the whole answer.",
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
        exit_codes: kind.map_or_else(Vec::new, |(kind, _)| exit_codes(*kind)),
    }
}

/// Upper case, dashes and blanks make no difference.
fn folded(words: &str) -> String {
    words.trim().to_ascii_lowercase().replace(['-', ' '], "_")
}

/// The entries that a code means. A number is an exit code or a service's status; `exit 6` is the former alone. Of a word that
/// a plugin says and that also names a way to end, the plugin's meaning says more.
fn found<'a>(entries: &'a [Entry], wanted: &str) -> Vec<&'a Entry> {
    let exit_word = ["exit_code_", "exit_"]
        .iter()
        .find_map(|prefix| wanted.strip_prefix(prefix));
    let number = exit_word.unwrap_or(wanted).parse::<u8>().ok();
    let of = |is_meant: &dyn Fn(&Entry) -> bool| entries.iter().filter(|entry| is_meant(entry)).collect::<Vec<_>>();
    let by_number = |entry: &Entry| entry.is_exit() && number.is_some() && entry.exit_codes.first().copied() == number;
    if let Some(word) = exit_word {
        return of(&|entry| entry.is_exit() && (by_number(entry) || entry.code == word));
    }
    let by_plugins = of(&|entry| by_number(entry) || !entry.is_exit() && folded(&entry.code) == wanted);
    if by_plugins.is_empty() {
        return of(&|entry| folded(&entry.code) == wanted);
    }
    by_plugins
}

fn unknown(entries: &[Entry], words: &str) -> Failure {
    let shown: String = words.chars().take(60).collect();
    let failure = Failure::new(Exit::Usage, format!("nothing is known about the code `{shown}`"));
    match closest(words.trim(), entries.iter().map(|entry| entry.code.as_str())) {
        Some(near) => failure.with_hint(format!("did you mean `{near}`? `agent-host explain` shows all codes")),
        None => failure.with_hint("`agent-host explain` shows all codes"),
    }
}

fn text_of(entry: &Entry) -> String {
    let mut text = format!("{}: {}\n", entry.title(), entry.meaning);
    let mut line = |name: &str, value: &str| {
        let name = format!("  {name:<11}");
        text.push_str(&terminal::wrapped(
            &format!("{name}{value}"),
            MAX_LINE_CHARS,
            name.len(),
        ));
        text.push('\n');
    };
    if let Some(kind) = &entry.kind {
        line("kind", kind);
    }
    if let Some(fault) = entry.fault {
        line("cause in", fault);
    }
    match entry.retryable {
        Some(true) => line("try again", "yes: the same request may succeed later"),
        Some(false) => line(
            "try again",
            "no: sending the same once more does not help, or is not safe",
        ),
        None => {}
    }
    line("what to do", &entry.remedy);
    if !entry.exit_codes.is_empty() && !entry.is_exit() {
        line("exit code", &exits_shown(&entry.exit_codes));
    }
    line(
        "told by",
        &match entry.source.as_str() {
            "agent-host" => "agent-host, this program".to_owned(),
            "plugin-api" => "every plugin".to_owned(),
            plugin => format!("the plugin `{plugin}`, whose service uses this word"),
        },
    );
    terminal::clean(&text)
}

fn table(entries: &[Entry]) -> String {
    const HEAD: [&str; 5] = ["CODE", "TOLD BY", "EXIT", "TRY AGAIN", "MEANING"];
    let rows = entries.iter().map(|entry| {
        vec![
            entry.title(),
            match entry.source.as_str() {
                "plugin-api" => "plugins".to_owned(),
                source => source.to_owned(),
            },
            exits_shown(&entry.exit_codes),
            match entry.retryable {
                Some(true) => "yes",
                Some(false) => "no",
                None => "-",
            }
            .to_owned(),
            first_sentence(&entry.meaning).to_owned(),
        ]
    });
    terminal::table(&HEAD, &rows.collect::<Vec<_>>())
}

fn exits_shown(codes: &[u8]) -> String {
    let codes: Vec<String> = codes.iter().map(u8::to_string).collect();
    if codes.is_empty() {
        "-".to_owned()
    } else {
        codes.join(" or ")
    }
}

fn first_sentence(text: &str) -> &str {
    match text.find(". ") {
        Some(end) => &text[..=end],
        None => text,
    }
}

/// `the key was refused` as `The key was refused.`
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    let rest = letters.as_str().trim_end_matches('.');
    format!("{first}{rest}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/errors.md");

    fn of<'a>(entries: &'a [Entry], words: &str) -> Vec<(&'a str, &'a str)> {
        let found = found(entries, &folded(words)).into_iter();
        found
            .map(|entry| (entry.source.as_str(), entry.code.as_str()))
            .collect()
    }

    fn service() -> Manifest {
        let error = |code: &str, kind: &str| ServiceError {
            code: code.to_owned(),
            kind: kind.to_owned(),
            meaning: "It means this.".to_owned(),
            remedy: "do that".to_owned(),
        };
        Manifest {
            plugin_api: "1.0.0".to_owned(),
            id: "acme".to_owned(),
            name: "Acme".to_owned(),
            version: "1.0.0".to_owned(),
            description: String::new(),
            environment: Vec::new(),
            tiers: Vec::new(),
            methods: Vec::new(),
            options_schema: None,
            errors: vec![
                error("Context_Length_Exceeded", "too_large"),
                error("402", "payment"),
                error("x", "of_a_later_version"),
            ],
        }
    }

    #[test]
    fn a_code_is_found_however_it_is_written() {
        let entries = entries(&[service()]);
        assert_eq!(of(&entries, " Rate-Limit "), [("plugin-api", "rate_limit")]);
        assert_eq!(of(&entries, "exit 6"), [("agent-host", "unavailable")]);
        assert_eq!(of(&entries, "exit code 6"), [("agent-host", "unavailable")]);
        assert_eq!(of(&entries, "6"), [("agent-host", "unavailable")]);
        assert_eq!(of(&entries, "402"), [("acme", "402")]);
        assert_eq!(
            of(&entries, "context length exceeded"),
            [("acme", "Context_Length_Exceeded")]
        );
        // The same word for a plugin's error and for the way in which the program ends.
        assert_eq!(of(&entries, "payment"), [("plugin-api", "payment")]);
        assert_eq!(of(&entries, "usage"), [("agent-host", "usage")]);
        assert_eq!(of(&entries, "exit payment"), [("agent-host", "payment")]);
        assert_eq!(of(&entries, "exit 77"), []);
        assert_eq!(of(&entries, "8"), [("agent-host", "mismatch")]);
        assert_eq!(of(&entries, "10"), []);
    }

    #[test]
    fn an_entry_says_what_happened_whose_fault_it_is_and_what_to_do() {
        let entries = entries(&[service()]);
        let text = text_of(found(&entries, "402")[0]);
        assert_eq!(
            text,
            "402: It means this.\n  kind       payment\n  cause in   the set-up\n  try again  no: sending the same once \
             more does not help, or is not safe\n  what to do Do that.\n  exit code  5\n  told by    the plugin `acme`, whose service uses this \
             word\n"
        );
        // Nothing is made up for a kind of a later version.
        let later = found(&entries, "x")[0];
        assert_eq!((later.fault, later.retryable, later.exit_codes.len()), (None, None, 0));
        assert_eq!(found(&entries, "auth")[0].exit_codes, [4, 2]);
    }

    #[test]
    fn an_unknown_code_is_an_error_with_the_nearest_one() {
        let failure = unknown(&entries(&[]), "rate_limt");
        assert_eq!(
            failure.to_string(),
            "error: nothing is known about the code `rate_limt`\nhint: did you mean `rate_limit`? `agent-host explain` shows all codes"
        );
        assert_eq!(failure.exit, Exit::Usage);
    }

    fn document() -> String {
        let mut text = "\
# Errors

What each code means, and what to do. `agent-host explain CODE` says the same, and knows the words of the installed plugins' services too.

<!-- Made from the code: UPDATE_EXPECTED=1 cargo test -p host-example errors -->

## What plugins say

| code | what happened | cause in | try again | what to do | exit code |
|---|---|---|---|---|---|
"
        .to_owned();
        let entries = entries(&[]);
        let (plugins, host): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| entry.source == "plugin-api");
        for entry in plugins {
            text.push_str(&format!(
                "| `{}` | {} | {} | {} | {} | {} |\n",
                entry.code,
                entry.meaning,
                entry.fault.unwrap_or("-"),
                if entry.retryable == Some(true) { "yes" } else { "no" },
                entry.remedy,
                exits_shown(&entry.exit_codes)
            ));
        }
        text.push_str(
            "\nWhere two exit codes stand, the second is for an error that was found before the service was asked.\n\n## How the program \
             ends\n\n| exit code | code in JSON | meaning | what to do |\n|---|---|---|---|\n",
        );
        for entry in host {
            text.push_str(&format!(
                "| {} | `{}` | {} | {} |\n",
                exits_shown(&entry.exit_codes),
                entry.code,
                entry.meaning,
                entry.remedy
            ));
        }
        text
    }

    #[test]
    fn the_document_of_errors_is_the_one_of_the_code() {
        let expected = document();
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(FILE, &expected).expect("the document is writable");
        }
        assert_eq!(
            std::fs::read_to_string(FILE).unwrap_or_default(),
            expected,
            "to rewrite it: UPDATE_EXPECTED=1 cargo test -p host-example errors"
        );
    }
}
