//! A conversation on a terminal: input lines, answers that remember what was said, and a profile that may change in
//! between.
//!
//! One task waits for the next line, for edits of the profile and for SIGHUP at once.

use std::io::{self, IsTerminal};
use std::path::Path;

use clap::Args;
use plugin_api::Message;
use rustyline::error::ReadlineError;
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::answer;
use super::attach;
use super::ending::is_usable;
use super::media::Target;
use super::parameters::Parameters;
use super::reader::Reader;
use super::screen::Manner;
use super::structured::Schema;
use crate::setup::reload::{self, Reload};
use crate::setup::{self, Active, Global, Places, tiers};
use crate::terminal::{self, Exit, FAINT, Failure, GOOD, Interrupts, Page};

const HELP: &str = "\
/tier NAME     switch to a tier: small, large, reasoning, …
/model ID      switch to a model
/tier, /model  without a name: back to the default tier
/tiers         list the tiers and their models
/attach FILE   attach a file or an image URL to the next message
/reload        reload the profile, the variables and the key
/clear         forget the conversation and start over
/help          show this help
/quit          leave; Ctrl-D works too
Ctrl-C stops an answer, not the conversation.";

/// Options that only a conversation has.
#[derive(Args)]
pub struct Habits {
    /// During a conversation, follow neither edits of the profile nor installs of plugins; `/reload` still does
    #[arg(long)]
    pub no_watch: bool,
    /// Neither read nor save the history of input lines
    #[arg(long)]
    pub no_history: bool,
}

pub struct Conversation {
    pub active: Active,
    pub interrupts: Interrupts,
    pub system: Option<String>,
    pub messages: Vec<Message>,
    pub tier: Option<String>,
    pub model: Option<String>,
    /// What goes with the next message.
    pub attached: Vec<Value>,
    /// What every request has.
    pub parameters: Parameters,
    /// What every answer must match.
    pub schema: Option<Schema>,
    /// Where pictures and sounds go.
    pub target: Target,
    pub manner: Manner,
}

/// The message that the model gets before the conversation, if there is one.
pub fn system_message(text: Option<&str>) -> Vec<Message> {
    text.map(|text| Message::text("system", text)).into_iter().collect()
}

/// The command at the start of a line, and its argument. A path such as `/etc/hosts` is not a command.
fn command_of(line: &str) -> Option<(&str, &str)> {
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let name = word.strip_prefix('/')?;
    let is_command = !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphabetic());
    is_command.then_some((word, rest.trim()))
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
        if self.manner.has_footer {
            self.greet(&places.config);
        }
        let model = self.model.take();
        if let Some(name) = self.tier.take()
            && !self.choose_tier(&name)
        {
            let near = tiers::did_you_mean(&self.active.tiers, &name);
            return Err(Failure::usage(format!("unknown tier `{name}`"))
                .with_hint(near.unwrap_or_else(|| "`agent-host tiers` lists them".to_owned())));
        }
        self.model = model;
        self.go_on(global, reader, reloads).await?;
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
        loop {
            reader.ask(&self.prompt());
            let input = loop {
                tokio::select! {
                    input = reader.input.recv() => break input.unwrap_or(Err(ReadlineError::Eof)),
                    Some(reload) = reloads.recv() => {
                        let line = followed(&mut self.active, global, reload).await;
                        reader.print_above(&line);
                    }
                }
            };
            match input {
                Ok(line) => match line.trim() {
                    "/quit" | "/exit" => return Ok(()),
                    line => self.take(line, global).await,
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

    /// Runs a command, or asks the model.
    async fn take(&mut self, line: &str, global: &Global) {
        match line {
            "" => {}
            "/help" => terminal::say(HELP),
            "/reload" => terminal::say(&followed(&mut self.active, global, Reload::Everything).await),
            "/clear" => {
                self.messages = system_message(self.system.as_deref());
                self.attached.clear();
                terminal::say("conversation cleared");
            }
            "/tiers" => terminal::say(tiers::table(&self.active.tiers, Page::of_stderr()).text.trim_end()),
            "/tier" | "/model" => {
                (self.tier, self.model) = (None, None);
                terminal::say("using the default tier");
            }
            text => match command_of(text) {
                Some(("/tier", name)) => drop(self.choose_tier(name)),
                Some(("/model", id)) => {
                    terminal::say(&terminal::clean_line(&format!("using {id}")));
                    self.model = Some(id.to_owned());
                }
                Some(("/attach", name)) => self.attach(name),
                Some((unknown, _)) => terminal::say(&format!("unknown command `{unknown}`; /help lists them")),
                None => self.say(text).await,
            },
        }
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
        terminal::say_styled(
            FAINT,
            &terminal::clean_line(&format!("{} {} · {source} · /help", manifest.name, manifest.version)),
        );
    }

    /// The prompt names the model or tier that will answer.
    fn prompt(&self) -> String {
        let who = self.model.as_deref().or(self.tier.as_deref()).unwrap_or_default();
        format!("{}> ", terminal::clean_line(who))
    }

    /// Whether there is such a tier.
    fn choose_tier(&mut self, name: &str) -> bool {
        match tiers::find(&self.active.tiers, name) {
            Some(model) => {
                terminal::say(&terminal::clean_line(&format!("using {}: {}", model.tier, model.wire)));
                self.tier = Some(model.tier.clone());
                self.model = None;
                true
            }
            None => {
                let near = tiers::did_you_mean(&self.active.tiers, name);
                let near = near.map_or_else(String::new, |near| format!("{near} "));
                terminal::say(&format!("unknown tier `{name}`; {near}/tiers lists them"));
                false
            }
        }
    }

    fn attach(&mut self, name: &str) {
        if name.is_empty() || name == "-" {
            return terminal::say("expected a file or a URL: /attach FILE");
        }
        match attach::parts(&[name.to_owned()]) {
            Ok(parts) => {
                self.attached.extend(parts);
                let files = terminal::counted(self.attached.len(), "attachment");
                terminal::say(&format!("{files} for the next message"));
            }
            Err(failure) => failure.say(),
        }
    }

    /// Sends the message with the whole conversation. An answer that broke off stays in the conversation, because it is
    /// on the screen. If it failed before its first word, was stopped, was empty or only calls tools, the question is
    /// removed.
    async fn say(&mut self, text: &str) {
        self.messages
            .push(attach::message(text.to_owned(), self.attached.clone()));
        let request = answer::request(
            self.tier.as_deref(),
            self.model.as_deref(),
            &self.messages,
            &self.parameters,
        );
        let request = match request {
            Ok(request) => request,
            Err(error) => {
                self.messages.pop();
                return Failure::from(error).say();
            }
        };
        let (schema, target) = (self.schema.as_ref(), Some(&self.target));
        let answer = answer::answer(&self.active, &request, self.manner, schema, target);
        match self.interrupts.or(answer).await {
            Some(Ok(answer)) => {
                let answer = answer.without_calls();
                if is_usable(&answer.reply) {
                    self.attached.clear();
                    self.messages.push(Message::assistant(&answer.reply));
                } else {
                    self.messages.pop();
                }
                if let Some(failure) = answer.failure {
                    failure.print(false);
                }
            }
            Some(Err(error)) => {
                match error.details.partial_text.clone() {
                    Some(partial) => {
                        self.attached.clear();
                        self.messages.push(Message::text("assistant", partial));
                    }
                    // The attachments stay for the next message.
                    None => drop(self.messages.pop()),
                }
                answer::report(error, self.manner).print(self.manner.has_json);
            }
            None => {
                self.messages.pop();
                terminal::say("\nstopped; your message is no longer part of the conversation");
            }
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
