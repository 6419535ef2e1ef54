//! A conversation on a terminal: input lines, answers that remember what was said, and a profile that may change in
//! between.
//!
//! Lines are read on a thread of their own, because reading blocks; everything else happens on one task, which waits for
//! the next line, for edits of the profile and for SIGHUP at once.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use plugin_api::Message;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor, ExternalPrinter};
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::cli::{Chat, Global};
use crate::commands::tiers;
use crate::setup::Active;
use crate::setup::places::Places;
use crate::setup::reload::{self, Reload};
use crate::talk::answer::{self, Interrupts, Manner};
use crate::talk::attach;
use crate::talk::parameters::Parameters;
use crate::talk::structured::Schema;
use crate::terminal::exit::{Exit, Failure};
use crate::terminal::{self, BAD, FAINT, GOOD};

const HELP: &str = "\
/tier NAME     answer with the model of a tier: small, large, reasoning, …
/model ID      answer with this model
/tier, /model  alone: go back to the usual tier
/tiers         show which model each tier stands for
/attach FILE   send a file or the address of a picture with the next message
/reload        read the profile, the variables and the key again
/clear         forget what was said
/help          this
/quit          leave; so does Ctrl-D
Ctrl-C stops an answer, not the conversation.";

/// What the thread that reads lines has to tell.
enum Input {
    Line(String),
    /// Ctrl-C at the prompt.
    Interrupted,
    End,
    Failed(String),
}

struct Conversation {
    active: Active,
    interrupts: Interrupts,
    messages: Vec<Message>,
    tier: Option<String>,
    model: Option<String>,
    /// What goes with the next message.
    attached: Vec<Value>,
    /// What every request has.
    parameters: Parameters,
    /// What every answer must fit.
    schema: Option<Schema>,
}

/// What the command line says beside the prompt.
pub struct First {
    pub attached: Vec<Value>,
    pub parameters: Parameters,
    pub schema: Option<Schema>,
}

pub async fn run(
    active: Active,
    interrupts: Interrupts,
    global: &Global,
    args: &Chat,
    first: First,
) -> Result<Exit, Failure> {
    let places = Places::from(global)?;
    let (sender, mut reloads) = unbounded_channel();
    // A terminal that hangs up sends the signal too, and then nobody is left to talk to.
    reload::listen_for_hangups(sender.clone(), || io::stdin().is_terminal());
    let _watch = (!args.no_watch).then(|| reload::watch(&places, sender));
    let mut reader = Reader::start((!args.no_history).then_some(places.history.as_path()))?;
    let mut conversation = Conversation {
        active,
        interrupts,
        messages: system_message(args),
        tier: None,
        model: args.model.clone(),
        attached: first.attached,
        parameters: first.parameters,
        schema: first.schema,
    };
    if !args.quiet {
        conversation.greet(&places.config);
    }
    if let Some(name) = &args.tier {
        let model = conversation.model.take();
        if !conversation.choose_tier(name) {
            return Err(Failure::new(Exit::Usage, format!("there is no tier `{name}`"))
                .with_hint("`agent-host tiers` shows them"));
        }
        conversation.model = model;
    }
    loop {
        reader.ask(&conversation.prompt());
        let input = loop {
            tokio::select! {
                input = reader.input.recv() => break input.unwrap_or(Input::End),
                Some(reload) = reloads.recv() => {
                    let line = followed(&mut conversation.active, global, reload).await;
                    reader.print_above(&line);
                }
            }
        };
        let line = match input {
            Input::Line(line) => line,
            Input::Interrupted => {
                terminal::say("Ctrl-D or /quit leaves");
                continue;
            }
            Input::End => break,
            Input::Failed(reason) => return Err(Failure::new(Exit::Internal, format!("cannot read a line: {reason}"))),
        };
        match line.trim() {
            "" => {}
            "/quit" | "/exit" => break,
            "/help" => terminal::say(HELP),
            "/reload" => terminal::say(&followed(&mut conversation.active, global, Reload::Everything).await),
            "/clear" => {
                conversation.messages = system_message(args);
                conversation.attached.clear();
                terminal::say("forgotten");
            }
            "/tiers" => terminal::say(terminal::table(&tiers::rows(&conversation.active.tiers)).trim_end()),
            "/tier" | "/model" => conversation.choose_nothing(),
            text => match command_of(text) {
                Some(("/tier", name)) => drop(conversation.choose_tier(name)),
                Some(("/model", id)) => conversation.choose_model(id),
                Some(("/attach", name)) => conversation.attach(name),
                Some((unknown, _)) => terminal::say(&format!("there is no command `{unknown}`; /help shows them")),
                None => conversation.say(text, args).await,
            },
        }
        // An edit that came while the model was answering holds from the next message on.
        while let Ok(reload) = reloads.try_recv() {
            terminal::say(&followed(&mut conversation.active, global, reload).await);
        }
    }
    conversation.active.shut_down().await;
    Ok(Exit::Ok)
}

fn system_message(args: &Chat) -> Vec<Message> {
    args.system
        .iter()
        .map(|text| Message::text("system", text.as_str()))
        .collect()
}

/// The command that a line begins with, and what stands behind it. A path such as `/etc/hosts` is no command.
fn command_of(line: &str) -> Option<(&str, &str)> {
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let name = word.strip_prefix('/')?;
    let is_command = !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphabetic());
    is_command.then_some((word, rest.trim()))
}

impl Conversation {
    fn greet(&self, config: &Path) {
        let manifest = self.active.plugin.manifest();
        let source = match self.active.profile_file() {
            Some(file) => format!("profile {file}"),
            None => format!(
                "no profile file; `agent-host profile init` would write {}",
                config.display()
            ),
        };
        terminal::say_styled(
            FAINT,
            &terminal::clean_line(&format!("{} {} · {source} · /help", manifest.name, manifest.version)),
        );
    }

    /// The prompt says who will answer.
    fn prompt(&self) -> String {
        let who = self.model.as_deref().or(self.tier.as_deref()).unwrap_or_default();
        format!("{}> ", terminal::clean_line(who))
    }

    fn choose_nothing(&mut self) {
        (self.tier, self.model) = (None, None);
        terminal::say("the usual tier answers");
    }

    fn choose_model(&mut self, id: &str) {
        terminal::say(&terminal::clean_line(&format!("{id} answers")));
        self.model = Some(id.to_owned());
    }

    /// Whether there is such a tier.
    fn choose_tier(&mut self, name: &str) -> bool {
        match tiers::find(&self.active.tiers, name) {
            Some(model) => {
                terminal::say(&terminal::clean_line(&format!("{} is {}", model.tier, model.wire)));
                self.tier = Some(model.tier.clone());
                self.model = None;
                true
            }
            None => {
                terminal::say(&format!("there is no tier `{name}`; /tiers shows them"));
                false
            }
        }
    }

    fn attach(&mut self, name: &str) {
        if name.is_empty() || name == "-" {
            return terminal::say("name a file or an address: /attach FILE");
        }
        match attach::parts(&[name.to_owned()]) {
            Ok(parts) => {
                self.attached.extend(parts);
                let what = match self.attached.len() {
                    1 => "it goes".to_owned(),
                    several => format!("{several} go"),
                };
                terminal::say(&format!("{what} with the next message"));
            }
            Err(failure) => terminal::say(&failure.to_string()),
        }
    }

    /// Sends what was said with all that was said before. What broke off stays in the conversation as far as it came,
    /// because it is on the screen. What failed before its first word, or was stopped, is taken back with its question.
    async fn say(&mut self, text: &str, args: &Chat) {
        let mut message = Message::user("");
        message.content = attach::content(text.to_owned(), self.attached.clone());
        self.messages.push(message);
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
                return terminal::say(&Failure::from(error).to_string());
            }
        };
        let manner = Manner::from(args);
        let answer = answer::answer(&self.active, &request, manner, self.schema.as_ref());
        match self.interrupts.or(answer).await {
            Some(Ok(answer)) => {
                self.attached.clear();
                self.messages.push(Message::assistant(&answer.reply));
                if let Some(failure) = answer.mismatch {
                    failure.tell(false);
                }
            }
            Some(Err(error)) => {
                match error.details.partial_text.clone() {
                    Some(partial) => {
                        self.attached.clear();
                        self.messages.push(Message::text("assistant", partial));
                    }
                    // What was attached goes with the next try.
                    None => drop(self.messages.pop()),
                }
                answer::report(error, manner).tell(args.json);
            }
            None => {
                self.messages.pop();
                terminal::say("\nstopped; the question is taken back");
            }
        }
    }
}

async fn followed(active: &mut Active, global: &Global, reload: Reload) -> String {
    let followed = reload::follow(active, global, reload).await;
    active.retire_former();
    match followed {
        Ok((line, _)) => format!("{GOOD}↻{GOOD:#} {line}"),
        Err(failure) => {
            let what = match reload {
                Reload::Profile => "the edit was not taken, the former profile still holds",
                Reload::Everything => "nothing was reloaded, the former profile and key still hold",
            };
            format!("{BAD}✗{BAD:#} {what}\n{failure}")
        }
    }
}

/// Reads lines on a thread of its own.
struct Reader {
    prompts: mpsc::Sender<String>,
    input: UnboundedReceiver<Input>,
    printer: Option<Box<dyn ExternalPrinter + Send>>,
}

impl Reader {
    /// - In: the file of the history; without it, none is kept.
    fn start(history: Option<&Path>) -> Result<Self, Failure> {
        let failed =
            |cause: ReadlineError| Failure::new(Exit::Internal, format!("the terminal cannot be used: {cause}"));
        let config = Config::builder()
            .auto_add_history(true)
            .history_ignore_space(true)
            .build();
        let mut editor: Editor<(), FileHistory> = Editor::with_config(config).map_err(failed)?;
        let printer = editor
            .create_external_printer()
            .ok()
            .map(|printer| Box::new(printer) as Box<_>);
        // A history that cannot be read or kept is a pity and no reason to stop.
        if let Some(history) = history {
            if let Some(folder) = history.parent() {
                let _ = fs::create_dir_all(folder);
            }
            let _ = editor.load_history(history);
        }
        let history = history.map(Path::to_owned);
        let (prompts, asked) = mpsc::channel::<String>();
        let (sender, input) = unbounded_channel();
        thread::Builder::new()
            .name("input".to_owned())
            .spawn(move || {
                for prompt in asked {
                    let input = match editor.readline(&prompt) {
                        Ok(line) => Input::Line(line),
                        Err(ReadlineError::Interrupted) => Input::Interrupted,
                        Err(ReadlineError::Eof) => Input::End,
                        Err(cause) => Input::Failed(cause.to_string()),
                    };
                    if let Some(history) = &history {
                        let _ = editor.save_history(history);
                    }
                    if sender.send(input).is_err() {
                        break;
                    }
                }
            })
            .map_err(|cause| Failure::new(Exit::Internal, format!("no thread for the input: {cause}")))?;
        Ok(Self {
            prompts,
            input,
            printer,
        })
    }

    fn ask(&mut self, prompt: &str) {
        // If the thread is gone, the next wait for input says so.
        let _ = self.prompts.send(prompt.to_owned());
    }

    /// Prints above the line that is being written.
    fn print_above(&mut self, text: &str) {
        let printed = self
            .printer
            .as_mut()
            .is_some_and(|printer| printer.print(format!("{text}\n")).is_ok());
        if !printed {
            terminal::say(text);
        }
    }
}
