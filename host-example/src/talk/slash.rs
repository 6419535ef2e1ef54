//! The commands of a conversation, in one table: help, completion and the documentation are made from it. Pure.

use crate::near;
use crate::terminal::{self, Page};

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Tier,
    Tiers,
    Model,
    Models,
    Retry,
    Continue,
    Undo,
    Attach,
    System,
    Cost,
    Credits,
    Save,
    Title,
    Reload,
    Clear,
    Help,
    Quit,
}

/// What Tab completes behind a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    None,
    Text,
    Tier,
    Model,
    TierOrModel,
    File,
}

pub struct Command {
    pub name: &'static str,
    /// What stands behind the name, for people.
    usage: &'static str,
    pub argument: Argument,
    about: &'static str,
    pub action: Action,
}

const fn command(
    name: &'static str,
    (usage, argument): (&'static str, Argument),
    action: Action,
    about: &'static str,
) -> Command {
    Command {
        name,
        usage,
        argument,
        about,
        action,
    }
}

const NOTHING: (&str, Argument) = ("", Argument::None);
const FILE: (&str, Argument) = (" FILE", Argument::File);

pub const COMMANDS: [Command; 17] = [
    command(
        "/tier",
        (" [NAME]", Argument::Tier),
        Action::Tier,
        "switch to a tier: small, large, reasoning, …; without a name, to the default one",
    ),
    command("/tiers", NOTHING, Action::Tiers, "list the tiers and their models"),
    command(
        "/model",
        (" [ID]", Argument::Model),
        Action::Model,
        "switch to a model, by its id or words that only its id or name has; without an id, to the default tier",
    ),
    command(
        "/models",
        (" [QUERY]", Argument::Text),
        Action::Models,
        "list the service's models",
    ),
    command(
        "/retry",
        (" [TIER|MODEL]", Argument::TierOrModel),
        Action::Retry,
        "ask the last prompt again; another tier or model answers this once",
    ),
    command(
        "/continue",
        NOTHING,
        Action::Continue,
        "let the model go on from the end of its last answer",
    ),
    command(
        "/undo",
        NOTHING,
        Action::Undo,
        "drop the last prompt and its answer, and edit the prompt",
    ),
    command(
        "/attach",
        (" FILE|URL", Argument::File),
        Action::Attach,
        "attach a file or the URL of a picture to the next prompt; `@FILE` in a prompt does it too",
    ),
    command(
        "/system",
        (" [TEXT]", Argument::Text),
        Action::System,
        "show the system message or replace it; `-` removes it",
    ),
    command(
        "/cost",
        NOTHING,
        Action::Cost,
        "show the calls, tokens and cost of this session",
    ),
    command("/credits", NOTHING, Action::Credits, "show what is left to spend"),
    command(
        "/save",
        FILE,
        Action::Save,
        "write the conversation to a file: JSON if its name ends in `.json`, else Markdown",
    ),
    command(
        "/title",
        (" [TEXT]", Argument::Text),
        Action::Title,
        "show the title under which the conversation is kept, or replace it",
    ),
    command(
        "/reload",
        NOTHING,
        Action::Reload,
        "reload the profile, the variables and the key",
    ),
    command(
        "/clear",
        NOTHING,
        Action::Clear,
        "begin another conversation; what was kept of this one stays in `agent-host log`",
    ),
    command("/help", NOTHING, Action::Help, "list these commands"),
    command("/quit", NOTHING, Action::Quit, "leave; Ctrl-D works too"),
];

/// What the commands do not say.
const RULES: [&str; 3] = [
    "Tab completes commands, tiers, models and files. Alt-Enter starts a new line, as a backslash at the end of one \
     does, and a pasted block is one prompt.",
    "Ctrl-C stops an answer, not the conversation.",
    "What arrived of an answer that was stopped or failed stays in the conversation; if nothing did, the prompt is \
     dropped too, and /retry asks it again.",
];

/// The table of commands and the rules, for people.
pub fn help(page: Page) -> String {
    let names: Vec<String> = COMMANDS
        .iter()
        .map(|command| format!("{}{}", command.name, command.usage))
        .collect();
    let abouts = COMMANDS.iter().map(|command| command.about.to_owned());
    let table = terminal::pairs(names.iter().map(String::as_str).zip(abouts), page);
    let rules = RULES.map(|rule| terminal::wrapped(rule, page.columns, ""));
    format!("{table}{}", rules.join("\n"))
}

/// The command at the start of a line, and its argument; `None` for a prompt. A path such as `/etc/hosts` is a prompt.
///
/// - Errors: a line about an unknown command.
pub fn parsed(line: &str) -> Option<Result<(&'static Command, &str), String>> {
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let name = word.strip_prefix('/')?;
    if name.is_empty() || !name.chars().all(|letter| letter.is_ascii_alphabetic()) {
        return None;
    }
    let wanted = if word == "/exit" { "/quit" } else { word };
    let known = COMMANDS.iter().find(|command| command.name == wanted);
    Some(known.map(|command| (command, rest.trim())).ok_or_else(|| {
        let near = near::closest(word, COMMANDS.iter().map(|command| command.name));
        let near = near.map_or_else(String::new, |near| format!("did you mean `{near}`? "));
        format!("unknown command `{word}`; {near}/help lists them")
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_a_slash_and_letters_and_anything_else_is_a_prompt() {
        let action = |line| parsed(line).map(|found| found.map(|(command, rest)| (command.action, rest)));
        assert_eq!(action("/tier  small "), Some(Ok((Action::Tier, "small"))));
        assert_eq!(action("/exit"), Some(Ok((Action::Quit, ""))));
        for prompt in ["hello", "/etc/hosts is what?", "/", "/2", "a /tier"] {
            assert_eq!(action(prompt), None);
        }
        let unknown = action("/Modell x").and_then(Result::err).expect("unknown");
        assert_eq!(
            unknown,
            "unknown command `/Modell`; did you mean `/model`? /help lists them"
        );
    }
}
