//! `agent-host run`: a prompt from a file, with its places filled in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap_complete::ArgValueCandidates;
use serde_json::{Map, Value};

use super::chat;
use crate::files::{ReadError, read_named};
use crate::near;
use crate::setup::{Global, Places, candidates, write_new};
use crate::talk::parameters::{Wanted, parameters, raw};
use crate::talk::prompt;
use crate::talk::template::{Head, INPUT, Template};
use crate::terminal::{self, Exit, Failure};

/// The largest template, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Ask with a prompt that is kept in a file
#[derive(clap::Args)]
#[command(long_about = ABOUT)]
#[group(skip)]
pub struct Args {
    /// The template's name, or a file; without it, the templates are listed
    #[arg(add = ArgValueCandidates::new(candidates::templates))]
    name: Option<String>,
    /// A value for a variable of the template; may be repeated
    #[arg(short = 'p', long = "set", value_name = "NAME=TEXT", value_parser = value)]
    values: Vec<(String, String)>,
    /// Keep the prompt, the system message and whom they are for as a template of this name instead of asking
    #[arg(long, value_name = "NAME")]
    save: Option<String>,
    #[command(flatten)]
    chat: chat::Args,
}

const ABOUT: &str = "\
Ask with a prompt that is kept in a file

A template is a Markdown file in the folder `templates` beside the profile. `{{ name }}` in it is a variable, which `-p \
name=text` fills in; `{{ input }}` is what follows the name on the command line, and standard input. A head in YAML \
between two lines `---` may name `tier`, `model`, `system`, `schema` and `parameters`; options of the command win.";

pub async fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let folder = Places::from(global)?.templates();
    let Args {
        name,
        values,
        save,
        chat,
    } = args;
    let mut chat = chat.clone();
    if let Some(new) = save {
        let words: Vec<String> = name.iter().chain(&chat.prompt).cloned().collect();
        return save_as(&folder, new, &words, &chat);
    }
    let Some(name) = name else { return list(&folder) };
    let template = read(&folder, name)?;
    let input = prompt::read(&chat.prompt, true)?.filter(|input| !input.is_empty());
    let values: BTreeMap<String, String> = values.iter().cloned().collect();
    let filled = template.fill(&values, input.as_deref()).map_err(|reason| {
        let failure = Failure::usage(format!("template `{name}`: {reason}"));
        if !reason.starts_with("no value for") {
            return failure;
        }
        failure.with_hint(format!(
            "fill a variable in with `-p NAME=TEXT`; `{INPUT}` is what follows the template's name"
        ))
    })?;
    chat.prompt = vec![filled.prompt];
    let recipient = &mut chat.recipient;
    if recipient.tier.is_none() && recipient.model.is_none() {
        recipient.tier = template.head.tier;
        recipient.model = template.head.model;
    }
    recipient.system = recipient.system.take().or(filled.system);
    chat.schema = chat.schema.take().or(template.head.schema);
    let given = parameters(&chat.wanted, None);
    let added = template
        .head
        .parameters
        .into_iter()
        .filter(|(name, _)| !given.contains_key(name));
    chat.wanted
        .parameters
        .extend(added.filter_map(|(name, value)| Some((name, raw(&value)?))));
    chat::run(global, &chat).await
}

fn list(folder: &Path) -> Result<Exit, Failure> {
    let names = candidates::template_names(folder);
    if names.is_empty() {
        let example = "agent-host run --save summary -t small \"Summarize in three sentences: {{ input }}\"";
        terminal::say(&format!(
            "no templates in {}",
            terminal::clean_line(&folder.display().to_string())
        ));
        terminal::say(&format!("hint: keep one with {example}"));
    }
    for name in names {
        terminal::print_line(&terminal::clean_line(&name));
    }
    Ok(Exit::Ok)
}

fn read(folder: &Path, name: &str) -> Result<Template, Failure> {
    let is_path = name.contains(['/', '\\']) || name.ends_with(".md");
    let file = if is_path {
        PathBuf::from(name)
    } else {
        file_of(folder, name)
    };
    let shown = terminal::clean_line(&file.display().to_string());
    let bytes = read_named(&file, MAX_BYTES).map_err(|error| match error {
        ReadError::Missing => {
            let names = candidates::template_names(folder);
            let hint = near::did_you_mean(name, names.iter().map(String::as_str));
            let hint = hint.unwrap_or_else(|| "`agent-host run` lists the templates".to_owned());
            Failure::usage(format!("no template `{name}`: there is no file {shown}")).with_hint(hint)
        }
        ReadError::Refused(why) => Failure::usage(format!("cannot read template {shown}: {why}")),
    })?;
    let text = String::from_utf8(bytes).map_err(|_| Failure::usage(format!("template {shown}: expected UTF-8")))?;
    Template::parse(&text).map_err(|reason| Failure::usage(format!("template {shown}: {reason}")))
}

fn file_of(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.md"))
}

fn save_as(folder: &Path, name: &str, words: &[String], chat: &chat::Args) -> Result<Exit, Failure> {
    let is_letter = |letter: char| letter.is_alphanumeric() || "-_.".contains(letter);
    if name.is_empty() || name.starts_with('.') || !name.chars().all(is_letter) {
        return Err(
            Failure::usage(format!("expected a name for the template, found `{name}`"))
                .with_hint("use letters, digits, `-`, `_` and `.`, such as `summary`"),
        );
    }
    let Some(prompt) = prompt::read(words, false)? else {
        return Err(
            Failure::usage("there is no prompt to keep").with_hint("put it at the end of the command, in quotes")
        );
    };
    let template = Template {
        head: Head {
            tier: chat.recipient.tier.clone(),
            model: chat.recipient.model.clone(),
            system: chat.recipient.system.clone(),
            schema: chat.schema.clone(),
            parameters: given(&chat.wanted),
        },
        prompt,
    };
    let failed = |why: String| Failure::usage(format!("cannot keep template `{name}`: {why}"));
    let text = template.text().map_err(failed)?;
    // What cannot be read again is refused now.
    Template::parse(&text).map_err(failed)?;
    let file = file_of(folder, name);
    if !write_new(&file, text.as_bytes()).map_err(|cause| failed(cause.to_string()))? {
        return Err(Failure::usage(format!("template `{name}` exists already"))
            .with_hint(format!("choose another name, or remove {}", file.display())));
    }
    terminal::say(&format!(
        "kept as {}; ask with it: agent-host run {name}",
        file.display()
    ));
    Ok(Exit::Ok)
}

/// The fields of the request that the command line names.
fn given(wanted: &Wanted) -> Map<String, Value> {
    let fields = parameters(wanted, None).into_iter();
    fields
        .filter_map(|(name, value)| Some((name, serde_json::from_str(value.get()).ok()?)))
        .collect()
}

/// `lang=German`
fn value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("expected NAME=TEXT, such as `lang=German`")?;
    Ok((name.to_owned(), value.to_owned()))
}
