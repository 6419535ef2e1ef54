//! A conversation on a terminal: input lines, answers that remember what was said, and a profile that may change in
//! between.
//!
//! One task waits for the next line, for edits of the profile and for SIGHUP at once.

use std::io::{self, IsTerminal};
use std::mem;
use std::path::Path;

use clap::Args;
use plugin_api::{CreditsRequest, Model};
use rustyline::error::ReadlineError;
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::attach;
use super::choosing::{self, Who};
use super::completion::Names;
use super::dialogue::Dialogue;
use super::kept::Kept;
use super::media::{Target, writable};
use super::parameters::Parameters;
use super::reader::Reader;
use super::screen::Manner;
use super::session::Session;
use super::slash::{self, Action};
use super::structured::Schema;
use crate::setup::reload::{self, Reload};
use crate::setup::{self, Active, Global, Places, tiers};
use crate::terminal::{self, Exit, FAINT, Failure, GOOD, Interrupts, Page, progress};
use crate::views::{self, credits};

/// How many models `/models` lists at most.
const MOST_MODELS: usize = 30;

/// Options that only a conversation has.
#[derive(Args, Clone)]
pub struct Habits {
    /// During a conversation, follow neither edits of the profile nor installs of plugins; `/reload` still does
    #[arg(long)]
    pub no_watch: bool,
    /// Leave nothing behind: neither the conversation, nor input lines, nor what the calls cost
    #[arg(long)]
    pub no_history: bool,
}

pub struct Conversation {
    pub active: Active,
    pub interrupts: Interrupts,
    pub dialogue: Dialogue,
    /// What is in the store of it.
    pub kept: Kept,
    pub who: Who,
    /// What goes with the next message.
    pub attached: Vec<Value>,
    /// What every request has.
    pub parameters: Parameters,
    /// What every answer must match.
    pub schema: Option<Schema>,
    /// Where pictures and sounds go.
    pub target: Target,
    pub manner: Manner,
    pub session: Session,
    /// The ids of the model list, once it was read.
    pub listed: Vec<String>,
}

/// What comes after a line.
enum Next {
    /// A prompt that begins like this.
    Prompt(String),
    Leave,
}

impl Conversation {
    /// Holds the conversation until the user leaves it.
    pub async fn run(mut self, global: &Global, habits: &Habits) -> Result<Exit, Failure> {
        let places = Places::from(global)?;
        let (sender, reloads) = unbounded_channel();
        // A terminal that hangs up sends the signal too, and then nobody is left to talk to.
        setup::listen_for_hangups(sender.clone(), || io::stdin().is_terminal());
        let _watch = (!habits.no_watch).then(|| setup::watch(&places, &sender));
        let reader = Reader::start((!habits.no_history).then_some(places.history.as_path()))?;
        if let Some(name) = &self.who.tier {
            let Some(tier) = tiers::find(&self.active.tiers, name) else {
                let near = tiers::did_you_mean(&self.active.tiers, name);
                return Err(Failure::usage(format!("unknown tier `{name}`"))
                    .with_hint(near.unwrap_or_else(|| "`agent-host tiers` lists them".to_owned())));
            };
            self.who.tier = Some(tier.tier.clone());
        }
        if self.manner.has_footer {
            self.greet(&places.config);
            if let Some(line) = self.kept.shown() {
                terminal::say_styled(FAINT, &line);
            }
        }
        self.go_on(global, reader, reloads).await?;
        // Ctrl-C leaves without a title.
        let _ = self.interrupts.or(self.kept.end()).await;
        self.active.shut_down().await;
        Ok(Exit::Ok)
    }

    /// Takes lines until the user leaves.
    async fn go_on(
        &mut self,
        global: &Global,
        mut reader: Reader,
        mut reloads: UnboundedReceiver<Reload>,
    ) -> Result<(), Failure> {
        let mut begun = String::new();
        loop {
            reader.know(self.names());
            reader.ask(self.prompt(), mem::take(&mut begun));
            let input = loop {
                tokio::select! {
                    input = reader.input.recv() => break input.unwrap_or(Err(ReadlineError::Eof)),
                    () = self.kept.named() => {}
                    Some(reload) = reloads.recv() => {
                        let line = followed(&mut self.active, global, reload).await;
                        reader.print_above(&line);
                    }
                    Some(()) = reader.wanted.recv() => {
                        if self.listed.is_empty() && self.models().await.is_some() {
                            reader.know(self.names());
                            let n_models = terminal::counted(self.listed.len(), "model");
                            reader.print_above(&format!("the list of {n_models} is here; Tab now completes their ids"));
                        }
                    }
                }
            };
            match input {
                Ok(line) => match self.take(line.trim(), global, &mut reader).await {
                    Next::Prompt(text) => {
                        begun = text;
                        self.keep();
                    }
                    Next::Leave => return Ok(()),
                },
                Err(ReadlineError::Interrupted) => {
                    terminal::say("press Ctrl-D or type /quit to leave");
                    continue;
                }
                Err(ReadlineError::Eof) => return Ok(()),
                Err(cause) => return Err(Failure::internal(format!("cannot read from the terminal: {cause}"))),
            }
            // An edit made during an answer applies from the next message on.
            while let Ok(reload) = reloads.try_recv() {
                terminal::say(&followed(&mut self.active, global, reload).await);
            }
        }
    }

    /// Writes what the last input changed.
    fn keep(&mut self) {
        let is_kept = self
            .kept
            .keep(&self.active, &self.dialogue, &self.who, &self.parameters);
        if is_kept {
            self.kept.name_soon(&self.active, &self.dialogue);
        }
    }

    /// Runs a command, or asks the model.
    async fn take(&mut self, line: &str, global: &Global, reader: &mut Reader) -> Next {
        let (command, argument) = match slash::parsed(line) {
            None if line.is_empty() => return Next::Prompt(String::new()),
            None => {
                self.say(line).await;
                return Next::Prompt(String::new());
            }
            Some(Err(unknown)) => {
                terminal::say(&unknown);
                return Next::Prompt(String::new());
            }
            Some(Ok(found)) => found,
        };
        match command.action {
            Action::Quit => return Next::Leave,
            Action::Undo => return Next::Prompt(self.undo()),
            Action::Help => terminal::say(&slash::help(Page::of_stderr())),
            Action::Reload => terminal::say(&followed(&mut self.active, global, Reload::Everything).await),
            Action::Clear => {
                self.dialogue.clear();
                self.attached.clear();
                terminal::say(match self.kept.leave() {
                    true => "conversation cleared; `agent-host log` has it",
                    false => "conversation cleared",
                });
            }
            Action::Tiers => terminal::say(tiers::table(&self.active.tiers, Page::of_stderr()).text.trim_end()),
            Action::Tier | Action::Model if argument.is_empty() => {
                self.who = Who::default();
                terminal::say("using the default tier");
            }
            Action::Tier | Action::Model => {
                if let Some(who) = self.chosen(argument, command.action).await {
                    let shown = who.shown(&self.active.tiers).unwrap_or_default();
                    terminal::say(&terminal::clean_line(&format!("using {shown}")));
                    self.who = who;
                }
            }
            Action::Models => self.list_models(argument).await,
            Action::Retry => self.retry(argument).await,
            Action::Continue => self.resume().await,
            Action::Attach => self.attach(argument).await,
            Action::System => self.system(argument),
            Action::Cost => terminal::say(&self.session.line()),
            Action::Credits => self.show_credits().await,
            Action::Title => self.title(argument),
            Action::Save => self.save(argument, reader).await,
        }
        Next::Prompt(String::new())
    }

    fn greet(&self, config: &Path) {
        let manifest = self.active.plugin.manifest();
        let source = match &self.active.chosen {
            Some(chosen) => format!("profile {}", chosen.document.name),
            None => format!(
                "no profile file; `agent-host profile init` creates {}",
                config.display()
            ),
        };
        let plugin = format!("{} {}", manifest.name, manifest.version);
        let parts = [Some(plugin), self.who.shown(&self.active.tiers), Some(source)];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        terminal::say_styled(FAINT, &terminal::clean_line(&format!("{} · /help", parts.join(" · "))));
    }

    /// The prompt names the model or tier that will answer.
    fn prompt(&self) -> String {
        let who = self.who.model.as_deref().or(self.who.tier.as_deref());
        format!("{}> ", terminal::clean_line(who.unwrap_or_default()))
    }

    fn names(&self) -> Names {
        Names {
            tiers: self.active.tiers.iter().map(tiers::short).collect(),
            models: self.listed.clone(),
        }
    }

    /// The service's models, if they can be had soon.
    pub async fn models(&mut self) -> Option<Vec<Model>> {
        let models = choosing::models(&self.active).await?;
        self.listed = models.iter().map(|model| terminal::clean_line(&model.id)).collect();
        Some(models)
    }

    /// Who is meant by the name of a tier, or of a model, or for `/retry` of either. If nobody is, says so.
    pub async fn chosen(&mut self, name: &str, action: Action) -> Option<Who> {
        if action != Action::Model {
            match tiers::find(&self.active.tiers, name) {
                Some(tier) => return Some(Who::of_tier(tier)),
                None if action == Action::Tier => {
                    let near = tiers::did_you_mean(&self.active.tiers, name);
                    let near = near.map_or_else(String::new, |near| format!("{near} "));
                    terminal::say(&format!("unknown tier `{name}`; {near}/tiers lists them"));
                    return None;
                }
                None => {}
            }
        }
        let Some(models) = progress::while_waiting("fetching the model list", self.models()).await else {
            terminal::say("the model list cannot be read, so the id is not checked");
            return Some(Who::of_model(name.to_owned()));
        };
        match choosing::meant(&models, name) {
            Ok((id, is_listed)) => {
                if !is_listed {
                    terminal::say(&terminal::clean_line(&format!("note: no model `{id}` is listed")));
                }
                Some(Who::of_model(id))
            }
            Err(line) => {
                terminal::say(&terminal::clean_line(&line));
                None
            }
        }
    }

    async fn list_models(&mut self, query: &str) {
        let Some(models) = progress::while_waiting("fetching the model list", self.models()).await else {
            return terminal::say("the model list cannot be read; `agent-host models` says why");
        };
        let is_meant = |model: &&Model| views::models::is_named(model, query.split_whitespace());
        let found: Vec<&Model> = models.iter().filter(is_meant).collect();
        let shown = &found[..found.len().min(MOST_MODELS)];
        if !shown.is_empty() {
            let table = views::models::table(shown, &self.active.tiers, Page::of_stderr());
            terminal::say(table.text.trim_end());
        }
        let (n_shown, n_found) = (shown.len(), found.len());
        let line = match (n_shown == n_found, n_found) {
            (_, 0) => "no model matches".to_owned(),
            (true, _) => format!("{n_found} of {}", terminal::counted(models.len(), "model")),
            (false, _) => format!("the first {n_shown} of {n_found} models; /models QUERY lists fewer"),
        };
        terminal::say(&line);
    }

    async fn attach(&mut self, name: &str) {
        if name.is_empty() || name == "-" {
            return terminal::say("expected a file or a URL: /attach FILE");
        }
        let parts = match attach::parts(&[name.to_owned()]) {
            Ok(parts) => parts,
            Err(failure) => return failure.say(),
        };
        if let Err(failure) = self.check(&parts, &self.who.clone()).await {
            return failure.say();
        }
        self.attached.extend(parts);
        let files = terminal::counted(self.attached.len(), "attachment");
        terminal::say(&format!("{files} for the next message"));
    }

    fn system(&mut self, text: &str) {
        match text {
            "" => {
                let text = self.dialogue.system.as_deref();
                return terminal::say(&terminal::clean(text.unwrap_or("there is no system message")));
            }
            "-" => self.dialogue.system = None,
            text => self.dialogue.system = Some(text.to_owned()),
        }
        let done = if text == "-" { "removed" } else { "replaced" };
        terminal::say(&format!("system message {done}, from the next message on"));
    }

    fn title(&mut self, text: &str) {
        if text.is_empty() {
            let title = self.kept.title().unwrap_or("there is no title yet");
            return terminal::say(&terminal::clean_line(title));
        }
        match self.kept.rename(text) {
            Ok(()) => terminal::say(&terminal::clean_line(&format!("the title is now \"{text}\""))),
            Err(cause) => terminal::say(&format!("the title cannot be kept: {cause}")),
        }
    }

    async fn show_credits(&mut self) {
        if let Some(off) = &self.active.off {
            return Failure::from(off.clone()).say();
        }
        let credits = self.active.plugin.credits(CreditsRequest::default());
        let credits = progress::while_waiting("fetching the balance", credits);
        match self.interrupts.or(credits).await {
            Some(Ok(credits)) => terminal::say(credits::shown(&credits, None, Page::of_stderr()).trim_end()),
            Some(Err(error)) => {
                let id = &self.active.plugin.manifest().id;
                Failure::of_plugin(self.active.used_key.explained(error), id, "report its credit").say();
            }
            None => terminal::say("\nstopped"),
        }
    }

    async fn save(&self, name: &str, reader: &mut Reader) {
        if name.is_empty() {
            return terminal::say("expected a file: /save FILE");
        }
        let (path, document) = (Path::new(name), self.dialogue.document(name));
        let shown = terminal::clean_line(name);
        if let Err(why) = writable(path) {
            return Failure::usage(format!("`{shown}` cannot be written: {why}"))
                .with_hint("choose another file: /save FILE")
                .say();
        }
        let saved = match setup::write_new(path, document.as_bytes()) {
            Ok(true) => Ok(()),
            Ok(false) => match reader.confirms(format!("`{shown}` exists. Replace it?")).await {
                true => setup::write_private(path, document.as_bytes()),
                false => return terminal::say("nothing was saved"),
            },
            Err(cause) => Err(Failure::internal(format!("`{shown}` cannot be written: {cause}"))),
        };
        match saved {
            Ok(()) => terminal::say(&format!("saved in `{shown}`")),
            Err(failure) => failure.say(),
        }
    }
}

/// Reloads, and returns the line about it.
async fn followed(active: &mut Active, global: &Global, reload: Reload) -> String {
    let followed = reload::follow(active, global, reload).await;
    match followed {
        Ok((line, _)) => format!("{GOOD}↻{GOOD:#} {line}"),
        Err(failure) => reload.ignored(&failure),
    }
}
