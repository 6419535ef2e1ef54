//! Completes what is typed, and says when a line goes on. It never waits for a service.

use std::cell::RefCell;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};

use rustyline::completion::{Completer, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper, Result};
use tokio::sync::mpsc::UnboundedSender;

use super::slash::{Argument, COMMANDS, parsed};

/// The names that can be completed.
#[derive(Default)]
pub struct Names {
    pub tiers: Vec<String>,
    /// Empty until the list is read.
    pub models: Vec<String>,
}

/// What the editor asks while somebody types.
pub struct Typing {
    pub names: Arc<Mutex<Names>>,
    /// Asks for the model list, which is read meanwhile.
    pub wanted: UnboundedSender<()>,
    /// The lengths of the input each time that Return began a new line.
    pub continued: RefCell<Vec<usize>>,
}

impl Typing {
    /// The input without the backslashes that began new lines. Those of a pasted block stay.
    pub fn joined(&self, input: Result<String>) -> Result<String> {
        let ends = self.continued.take();
        let mut line = input?;
        for end in ends.into_iter().rev() {
            if line.get(end.saturating_sub(1)..=end) == Some("\\\n") {
                line.remove(end - 1);
            }
        }
        Ok(line)
    }
}

impl Completer for Typing {
    type Candidate = Pair;

    fn complete(&self, line: &str, position: usize, _: &Context<'_>) -> Result<(usize, Vec<Pair>)> {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let (start, wanted) = place(&line[..position]);
        if wanted.has_models() && names.models.is_empty() {
            // Nobody reads it when the conversation ends.
            let _ = self.wanted.send(());
        }
        Ok((start, candidates(&line[start..position], wanted, &names)))
    }
}

impl Hinter for Typing {
    type Hint = String;
}

impl Highlighter for Typing {}

impl Validator for Typing {
    fn validate(&self, context: &mut ValidationContext<'_>) -> Result<ValidationResult> {
        let input = context.input();
        if !input.ends_with('\\') {
            return Ok(ValidationResult::Valid(None));
        }
        self.continued.borrow_mut().push(input.len());
        Ok(ValidationResult::Incomplete)
    }
}

impl Helper for Typing {}

/// What is completed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wanted {
    Nothing,
    Command,
    Argument(Argument),
    /// A file in a prompt.
    Mention,
}

impl Wanted {
    fn has_models(self) -> bool {
        matches!(self, Self::Argument(Argument::Model | Argument::TierOrModel))
    }
}

/// What is completed at the end of this text, and where it begins.
fn place(head: &str) -> (usize, Wanted) {
    let word = head.len() - head.rsplit(char::is_whitespace).next().unwrap_or_default().len();
    if head.starts_with('/') && word == 0 {
        return (0, Wanted::Command);
    }
    if let Some(Ok((command, _))) = parsed(head) {
        let rest = head[command.name.len()..].trim_start();
        return (head.len() - rest.len(), Wanted::Argument(command.argument));
    }
    match head[word..].strip_prefix('@') {
        Some(name) => (head.len() - name.len(), Wanted::Mention),
        None => (head.len(), Wanted::Nothing),
    }
}

fn candidates(begun: &str, wanted: Wanted, names: &Names) -> Vec<Pair> {
    let pair = |text: &str, end: &str| Pair {
        display: text.to_owned(),
        replacement: format!("{text}{end}"),
    };
    let lower = begun.to_lowercase();
    let tiers = || names.tiers.iter().filter(|tier| tier.starts_with(&lower));
    let models = || {
        let is_meant = |id: &&String| {
            let id = id.to_lowercase();
            let name = id.split_once('/').map_or(id.as_str(), |(_, name)| name);
            id.starts_with(&lower) || name.starts_with(&lower)
        };
        names.models.iter().filter(is_meant)
    };
    let pairs = |found: Vec<&String>| found.into_iter().map(|name| pair(name, "")).collect();
    match wanted {
        Wanted::Nothing | Wanted::Argument(Argument::None | Argument::Text) => Vec::new(),
        Wanted::Command => COMMANDS
            .iter()
            .filter(|command| command.name.starts_with(begun))
            .map(|command| match command.argument {
                Argument::None => pair(command.name, ""),
                _ => pair(command.name, " "),
            })
            .collect(),
        Wanted::Argument(Argument::Tier) => pairs(tiers().collect()),
        Wanted::Argument(Argument::Model) => pairs(models().collect()),
        Wanted::Argument(Argument::TierOrModel) => pairs(tiers().chain(models()).collect()),
        Wanted::Argument(Argument::File) => files(begun),
        // The name ends at a blank.
        Wanted::Mention => {
            let mut found = files(begun);
            found.retain(|file| !file.replacement.contains(char::is_whitespace));
            found
        }
    }
}

/// The files whose paths begin like this, in order; folders end in `/`. Hidden ones only if asked for.
fn files(begun: &str) -> Vec<Pair> {
    let (folder, start) = begun.rfind('/').map_or(("", begun), |at| begun.split_at(at + 1));
    let entries = fs::read_dir(if folder.is_empty() { "." } else { folder });
    let mut found: Vec<Pair> = entries
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let is_plain = !name.chars().any(char::is_control) && (!name.starts_with('.') || start.starts_with('.'));
            let end = if entry.path().is_dir() { "/" } else { "" };
            (is_plain && name.starts_with(start)).then(|| Pair {
                display: format!("{name}{end}"),
                replacement: format!("{folder}{name}{end}"),
            })
        })
        .collect();
    found.sort_by(|one, other| one.display.cmp(&other.display));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_completes_its_own_names() {
        let names = Names {
            tiers: ["small", "large"].map(str::to_owned).into(),
            models: ["acme/sonnet-4", "acme/opus"].map(str::to_owned).into(),
        };
        let completed = |head: &str| -> Vec<String> {
            let (start, wanted) = place(head);
            let found = candidates(&head[start..], wanted, &names).into_iter();
            found
                .map(|pair| format!("{}{}", &head[..start], pair.replacement))
                .collect()
        };
        assert_eq!(completed("/und"), ["/undo"]);
        assert_eq!(completed("/tie"), ["/tier ", "/tiers"]);
        assert_eq!(completed("/tier S"), ["/tier small"]);
        assert_eq!(completed("/model son"), ["/model acme/sonnet-4"]);
        assert_eq!(completed("/model ACME/O"), ["/model acme/opus"]);
        assert_eq!(completed("/retry l"), ["/retry large"]);
        assert_eq!(completed("what is in @Cargo.t"), ["what is in @Cargo.toml"]);
        assert_eq!(completed("in\u{3000}@Cargo.t"), ["in\u{3000}@Cargo.toml"]);
        assert_eq!(completed("/attach src/main"), ["/attach src/main.rs"]);
        for nothing in ["", "small", "mail@Cargo", "/cost x", "/tier small"] {
            assert!(completed(nothing).iter().all(|text| text == nothing), "{nothing}");
        }
    }
}
