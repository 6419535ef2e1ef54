//! `agent-host explain`: what a code means, where the cause lies, whether a retry helps, what to do.
//!
//! In: plugin-api's error kinds, this host's exit codes, some topics, and the error codes of services that installed
//! plugins know; also a service's message, which is traced to a code.
//! Out: one entry or a table of all. `errors.md` is generated from the same entries; a test compares them.

mod entries;
mod topics;
mod sentences;

use anstyle::Style;
use clap_complete::{ArgValueCandidates, CompletionCandidate};
use plugin_api::Manifest;

use self::entries::{Entry, entries};
use super::Output;
use crate::near::closest;
use crate::setup::{Folder, Global, Places};
use crate::terminal::{self, Exit, Failure, Fit, Page, Table, clean};

/// Explain an error code, an exit code, a service's own error code or message, or a topic
#[derive(clap::Args)]
pub struct Args {
    /// Error codes such as `rate_limit`, exit codes such as `6`, a service's own codes such as `402`, its message in
    /// quotes, or a topic: credits, streaming, fallback, caching; without any, lists all
    #[arg(add = ArgValueCandidates::new(codes))]
    pub code: Vec<String>,
    #[command(flatten)]
    pub output: Output,
}

pub fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let manifests = manifests(global);
    let entries = entries(&manifests);
    let words: Vec<&str> = args
        .code
        .iter()
        .map(|word| word.trim())
        .filter(|word| !word.is_empty())
        .collect();
    let found = match words.is_empty() {
        true => entries.iter().collect(),
        false => all_found(&entries, &words).map_err(|word| unknown(&entries, &word))?,
    };
    if args.output.json {
        terminal::print_json(&serde_json::json!({"explanations": found}));
    } else if words.is_empty() {
        terminal::print_table(&table(&entries, Page::of_stdout()));
    } else {
        let page = Page::of_stdout();
        let texts: Vec<String> = found.into_iter().map(|entry| text_of(entry, page)).collect();
        terminal::print(&texts.join("\n"));
    }
    Ok(Exit::Ok)
}

/// The manifests of the plugins in the folder. A plugin that cannot be read is skipped.
fn manifests(global: &Global) -> Vec<Manifest> {
    let folder = Places::from(global).and_then(|places| Folder::read(&places));
    match folder {
        Ok(folder) => folder
            .entries
            .into_iter()
            .filter(|entry| entry.refusal.is_none())
            .filter_map(|entry| entry.manifest)
            .collect(),
        Err(failure) => {
            tracing::warn!("error codes of services are not listed: {}", failure.message);
            Vec::new()
        }
    }
}

/// Every code, for completions in a shell.
fn codes() -> Vec<CompletionCandidate> {
    let entries = entries(&manifests(&Global::default())).into_iter();
    entries.map(|entry| CompletionCandidate::new(entry.code)).collect()
}

/// Upper case, dashes and blanks make no difference.
fn folded(words: &str) -> String {
    words.trim().to_ascii_lowercase().replace(['-', ' '], "_")
}

/// The entries that several codes mean, or a sentence of a service.
///
/// - Errors: the first word that means nothing.
fn all_found<'a>(entries: &'a [Entry], words: &[&str]) -> Result<Vec<&'a Entry>, String> {
    let mut all: Vec<&Entry> = Vec::new();
    let mut left = words;
    while !left.is_empty() {
        // A code may have several words, such as `exit 6`.
        let longest = (1..=left.len())
            .rev()
            .map(|length| (length, found(entries, &folded(&left[..length].join(" ")))));
        let (length, found) = longest
            .into_iter()
            .find(|(_, found)| !found.is_empty())
            .unwrap_or_else(|| (1, said(entries, left[0])));
        if found.is_empty() {
            let said = said(entries, &words.join(" "));
            return if said.is_empty() {
                Err(left[0].to_owned())
            } else {
                Ok(said)
            };
        }
        all.extend(
            found
                .into_iter()
                .filter(|entry| !all.contains(entry))
                .collect::<Vec<_>>(),
        );
        left = &left[length..];
    }
    Ok(all)
}

/// The entries for what a service said.
fn said<'a>(entries: &'a [Entry], words: &str) -> Vec<&'a Entry> {
    let codes = sentences::codes(words).iter();
    codes
        .map(|code| found(entries, code))
        .find(|found| !found.is_empty())
        .unwrap_or_default()
}

/// The entries that a code means. A number is an exit code or a service's status; `exit 6` is the exit code alone.
/// If a word is both a plugin's code and an exit code's word, the plugin's entry is shown: it says more.
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
    let failure = Failure::usage(format!("unknown code `{shown}`"));
    match closest(words.trim(), entries.iter().map(|entry| entry.code.as_str())) {
        Some(near) => failure.with_hint(format!("did you mean `{near}`? `agent-host explain` lists all codes")),
        None => failure.with_hint("`agent-host explain` lists all codes"),
    }
}

fn text_of(entry: &Entry, page: Page) -> String {
    let title = page.styled(Style::new().bold(), &clean(&entry.title()));
    let head = format!("{title}: {}", clean(&entry.meaning));
    let mut text = terminal::wrapped(&head, page.columns, "  ") + "\n";
    let mut line = |name: &str, value: &str| {
        let name = format!("  {name:<11}");
        let line = clean(&format!("{name}{value}"));
        text.push_str(&terminal::wrapped(&line, page.columns, &" ".repeat(name.len())));
        text.push('\n');
    };
    if let Some(kind) = &entry.kind {
        line("kind", kind);
    }
    if let Some(fault) = entry.fault {
        line("cause", fault);
    }
    if let Some((word, reason)) = retry(entry) {
        line("retry", &format!("{word}: {reason}"));
    }
    line("remedy", &entry.remedy);
    if !entry.exit_codes.is_empty() && !entry.is_exit() {
        line("exit code", &exits_shown(&entry.exit_codes));
    }
    match entry.source.as_str() {
        "topic" => {}
        "agent-host" => line("source", "agent-host"),
        "plugin-api" => line("source", "every plugin"),
        plugin => line("source", &format!("the service of plugin `{plugin}`")),
    }
    text
}

/// Whether a retry may help, in one word and with the reason; `None` where that depends on the error.
///
/// The exit code counts too: if it is the one for temporary failures, a retry may help even though none is automatic.
fn retry(entry: &Entry) -> Option<(&'static str, &'static str)> {
    let is_passing = entry.exit_codes.contains(&(Exit::Transient as u8));
    Some(match (entry.retryable?, is_passing) {
        (true, _) => ("yes", "the same request may succeed later"),
        (false, true) => ("by hand", "it may help, but what was generated so far may be billed"),
        (false, false) => ("no", "the same request will fail again"),
    })
}

fn table(entries: &[Entry], page: Page) -> Table {
    const HEAD: [(&str, Fit); 5] = [
        ("CODE", Fit::Whole),
        ("SOURCE", Fit::Dropped),
        ("EXIT", Fit::Whole),
        ("RETRY", Fit::Whole),
        ("MEANING", Fit::Wrapped),
    ];
    let rows = entries.iter().map(|entry| {
        vec![
            entry.title(),
            match entry.source.as_str() {
                "plugin-api" => "plugins".to_owned(),
                source => source.to_owned(),
            },
            exits_shown(&entry.exit_codes),
            retry(entry).map_or("-", |(word, _)| word).to_owned(),
            first_sentence(&entry.meaning).to_owned(),
        ]
    });
    terminal::table(&HEAD, rows, page)
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

#[cfg(test)]
mod tests;
