//! Keeps a conversation in the store, and finds it again.
//!
//! After each input the messages are compared with those that were written last, and what differs becomes one
//! transaction. Without a disk the conversation goes on: one warning says that it is not kept.

use std::future::pending;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use plugin_api::{Message, Plugin};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{Error, New, Sqlite, Store, Summary, Turn, now_ms};
use tokio::task::JoinHandle;

use super::answer::request;
use super::attach;
use super::choosing::Who;
use super::dialogue::{Dialogue, Prompt};
use super::parameters::{Parameters, fields};
use crate::history::{self, Asker};
use crate::setup::{Active, set_variable};
use crate::terminal::{self, Failure, clean_line, counted, shortened};

/// The longest title, in characters.
const MAX_TITLE_CHARS: usize = 60;
/// How much of a prompt and of an answer the model reads that finds a title, in characters.
const MAX_READ_CHARS: usize = 1000;
/// How long the end of a conversation waits for its title.
const LAST_TITLE: Duration = Duration::from_secs(2);
/// How many characters of an id people see at least. They say when the conversation began, to the second.
const MIN_ID_CHARS: usize = 8;

const TITLE: &str = "Give this conversation a title of two to six words, in its language. Answer with the title alone.";

/// What a conversation needs beside its messages, its tier and its model.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
pub struct State {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    parameters: Parameters,
}

/// A conversation and how much of it is in the store.
#[derive(Default)]
pub struct Kept {
    store: Option<Sqlite>,
    /// Empty until a turn is written.
    id: String,
    title: String,
    /// Whether the title stays as it is.
    is_named: bool,
    session: String,
    n_changes: u64,
    /// A hash of each message that is written.
    written: Vec<u64>,
    /// The tier, the model and the state that are written.
    left: [String; 3],
    is_deleted: bool,
    has_warned: bool,
    naming: Option<JoinHandle<Option<String>>>,
}

/// A conversation that goes on.
#[derive(Default)]
pub struct Resumed {
    pub kept: Kept,
    pub dialogue: Dialogue,
    pub who: Who,
    pub parameters: Parameters,
}

/// Which conversation goes on.
pub enum Meant<'a> {
    Last,
    /// By its id or the beginning of it, or by its session.
    Id(&'a str),
    /// A new one if there is none of this name.
    Session(&'a str),
}

/// Finds a conversation that was kept.
pub fn found(meant: &Meant<'_>) -> Result<Resumed, Failure> {
    let mut store = match history::is_there()? {
        true => Some(history::open()?),
        false => None,
    };
    let latest = |store: &mut Option<Sqlite>, session| match store {
        Some(store) => store.latest(session).map_err(refused),
        None => Ok(None),
    };
    let id = match meant {
        Meant::Id(id) => Some((*id).to_owned()),
        Meant::Last => latest(&mut store, None)?,
        Meant::Session(name) => latest(&mut store, Some(name))?,
    };
    match (id, store, meant) {
        (Some(id), Some(store), _) => resumed(store, &id),
        (_, store, Meant::Session(name)) => Ok(Resumed {
            kept: Kept {
                store,
                title: (*name).to_owned(),
                is_named: true,
                session: (*name).to_owned(),
                ..Kept::default()
            },
            ..Resumed::default()
        }),
        (Some(id), ..) => Err(refused(Error::NoConversation(id))),
        _ => Err(Failure::usage("there is no conversation to continue").with_hint("`agent-host chat` begins one")),
    }
}

fn resumed(mut store: Sqlite, id: &str) -> Result<Resumed, Failure> {
    let found = store.load(id).map_err(refused)?;
    let Summary {
        id,
        title,
        tier,
        model,
        session,
        n_changes,
        ..
    } = found.summary;
    let unusable = |what: &str| {
        let shown = clean_line(&id);
        Failure::usage(format!("cannot continue conversation `{shown}`: expected {what}"))
            .with_hint(format!("print it with `agent-host log show {shown}`"))
    };
    let state: State = serde_json::from_str(&found.state).map_err(|_| unusable("its state as JSON"))?;
    let mut dialogue = Dialogue::with(state.system);
    let bodies: Vec<String> = found.messages.into_iter().map(|message| message.body).collect();
    for pair in bodies.chunks(2) {
        let messages: Vec<Message> = pair.iter().filter_map(|body| serde_json::from_str(body).ok()).collect();
        match <[Message; 2]>::try_from(messages) {
            Ok([prompt, answer]) if prompt.role == "user" && answer.role == "assistant" => {
                dialogue.keep(prompt_of(prompt), answer);
            }
            _ => return Err(unusable("prompts and answers in turn")),
        }
    }
    let known = |text: &String| (!text.is_empty()).then(|| text.clone());
    let who = Who {
        tier: known(&tier),
        model: known(&model),
    };
    let kept = Kept {
        store: Some(store),
        id,
        title,
        is_named: true,
        session,
        n_changes,
        written: bodies.iter().map(|body| hash(body)).collect(),
        left: [tier, model, found.state],
        ..Kept::default()
    };
    Ok(Resumed {
        kept,
        dialogue,
        who,
        parameters: state.parameters,
    })
}

/// The prompt as it was typed. The files that it mentions are attached again when it is sent again.
fn prompt_of(message: Message) -> Prompt {
    let typed = message.text_content().into_owned();
    let parts = message.content.as_array().map_or(&[][..], Vec::as_slice);
    let mut attached: Vec<_> = parts.iter().filter(|part| part["type"] != "text").cloned().collect();
    let (mentioned, _) = attach::mentioned(&typed);
    attached.truncate(attached.len().saturating_sub(mentioned.len()));
    Prompt {
        typed,
        attached,
        message,
    }
}

fn hash(body: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    hasher.finish()
}

/// What a command says about an error of the store.
pub fn refused(cause: Error) -> Failure {
    match cause {
        Error::NoConversation(_) | Error::Ambiguous(_) => {
            Failure::usage(clean_line(&cause.to_string())).with_hint("`agent-host log` lists the conversations")
        }
        cause => Failure::internal(format!("cannot use the store: {cause}")),
    }
}

impl Kept {
    /// What people read about a conversation that goes on: its title, its id, how much was said.
    pub fn shown(&self) -> Option<String> {
        let messages = counted(self.written.len(), "message");
        let title = clean_line(&self.title);
        (!self.id.is_empty()).then(|| format!("continuing \"{title}\" · {messages} · {}", short(&self.id)))
    }

    /// The title, if there is one.
    pub fn title(&self) -> Option<&str> {
        Some(self.title.as_str()).filter(|title| !title.is_empty())
    }

    /// Writes what changed since the last time.
    ///
    /// - Out: whether the conversation is in the store as it is now.
    pub fn keep(&mut self, active: &Active, dialogue: &Dialogue, who: &Who, parameters: &Parameters) -> bool {
        let messages = dialogue.said();
        let is_nothing = messages.is_empty() && self.id.is_empty();
        if is_nothing || self.is_deleted || !Asker::of(active).keeps() {
            return false;
        }
        let bodies: Vec<String> = messages
            .iter()
            .map(|message| serde_json::to_string(message).unwrap_or_default())
            .collect();
        let hashes: Vec<u64> = bodies.iter().map(|body| hash(body)).collect();
        let n_kept = hashes
            .iter()
            .zip(&self.written)
            .take_while(|(now, before)| now == before)
            .count();
        let state = State {
            system: dialogue.system.clone(),
            parameters: parameters.clone(),
        };
        let state = serde_json::to_string(&state).unwrap_or_default();
        let left = [
            who.tier.clone().unwrap_or_default(),
            who.model.clone().unwrap_or_default(),
            state,
        ];
        if hashes == self.written && left == self.left && !self.id.is_empty() {
            return true;
        }
        let time_ms = now_ms();
        let turn = |n_kept: usize, n_changes: u64| {
            let [tier, model, state] = left.clone();
            let rows = messages
                .iter()
                .zip(&bodies)
                .skip(n_kept)
                .map(|(message, body)| store::Message {
                    role: message.role.clone(),
                    body: body.clone(),
                    text: message.text_content().into_owned(),
                    time_ms,
                });
            Turn {
                n_changes,
                n_kept: n_kept as u64,
                messages: rows.collect(),
                tier,
                model,
                state,
            }
        };
        let profile = Asker::of(active).profile().to_owned();
        if !self.is_named && self.id.is_empty() {
            self.title = first_words(&messages);
        }
        let outcome = match self.id.is_empty() {
            true => self.create(turn(0, 0), profile),
            false => match self.append(&turn(n_kept, self.n_changes), messages.is_empty()) {
                Err(Error::Conflict { .. }) => self.copy(turn(0, 0), profile),
                outcome => outcome,
            },
        };
        match outcome {
            Ok(()) => {
                (self.written, self.left) = (hashes, left);
                return true;
            }
            Err(Error::NoConversation(_)) => {
                self.is_deleted = true;
                terminal::say("this conversation was deleted, so it is no longer kept; /clear begins another one");
            }
            Err(cause) if !self.has_warned => {
                self.has_warned = true;
                terminal::say(&format!("warning: the conversation is not kept: {cause}"));
            }
            Err(_) => {}
        }
        false
    }

    fn store(&mut self) -> Result<&mut Sqlite, Error> {
        if self.store.is_none() {
            self.store = Some(history::open().map_err(|failure| Error::Other(failure.message))?);
        }
        self.store.as_mut().ok_or(Error::Busy)
    }

    fn create(&mut self, first: Turn, profile: String) -> Result<(), Error> {
        let (title, session) = (self.title.clone(), self.session.clone());
        self.id = self.store()?.create(
            &New {
                title,
                session,
                profile,
            },
            &first,
        )?;
        self.n_changes = 1;
        Ok(())
    }

    fn append(&mut self, turn: &Turn, is_empty: bool) -> Result<(), Error> {
        let id = self.id.clone();
        self.n_changes = self.store()?.append(&id, turn)?;
        if is_empty {
            // Everything was undone.
            self.store()?.delete(&id)?;
            self.id.clear();
        }
        Ok(())
    }

    /// Goes on as a conversation of its own, because another program went on with this one.
    fn copy(&mut self, all: Turn, profile: String) -> Result<(), Error> {
        if all.messages.is_empty() {
            self.id.clear();
            return Ok(());
        }
        // The name of the session stays with the other one.
        self.session.clear();
        self.create(all, profile)?;
        let copy = short(&self.id);
        terminal::say(&format!(
            "another program went on with this conversation; here it goes on as a copy, {copy}"
        ));
        Ok(())
    }

    /// What follows is another conversation.
    ///
    /// - Out: whether the one before stays in the store.
    pub fn leave(&mut self) -> bool {
        let before = std::mem::take(self);
        if let Some(naming) = before.naming {
            naming.abort();
        }
        (self.store, self.session, self.has_warned) = (before.store, before.session, before.has_warned);
        (self.is_named, self.title) = (!self.session.is_empty(), self.session.clone());
        !before.id.is_empty() && !before.is_deleted
    }

    /// Gives it another title.
    pub fn rename(&mut self, title: &str) -> Result<(), Error> {
        (self.title, self.is_named) = (title.to_owned(), true);
        let id = self.id.clone();
        match id.is_empty() {
            true => Ok(()),
            false => self.store()?.rename(&id, title),
        }
    }

    /// Has the small tier find a title after the first answer, while the user reads it.
    pub fn name_soon(&mut self, active: &Active, dialogue: &Dialogue) {
        let messages = dialogue.said();
        let is_wanted = !self.is_named && set_variable("AGENT_HOST_NO_TITLES").is_none();
        let [prompt, answer] = messages.as_slice() else { return };
        let texts = [prompt.text_content(), answer.text_content()];
        if !is_wanted
            || self.naming.is_some()
            || active.off.is_some()
            || texts.iter().any(|text| text.trim().is_empty())
        {
            return;
        }
        let [prompt, answer] = texts.map(|text| text.chars().take(MAX_READ_CHARS).collect::<String>());
        let text = format!("{TITLE}\n\n<prompt>\n{prompt}\n</prompt>\n\n<answer>\n{answer}\n</answer>");
        let naming = title(active.plugin.clone(), Asker::of(active), text);
        self.naming = Some(tokio::spawn(naming));
    }

    /// Waits for the title that was asked for, and keeps it. Without one, never ends.
    pub async fn named(&mut self) {
        let title = match &mut self.naming {
            Some(naming) => naming.await.ok().flatten(),
            None => pending().await,
        };
        self.naming = None;
        // A title is asked for once.
        if let Some(title) = title.filter(|_| !self.is_named) {
            // The first words are the title then.
            let _ = self.rename(&title);
        }
        self.is_named = true;
    }

    /// Waits a moment for a title that is still being found.
    pub async fn end(&mut self) {
        if self.naming.is_some() {
            let named = tokio::time::timeout(LAST_TITLE, self.named());
            let _ = terminal::progress::while_waiting("finding a title for the conversation", named).await;
        }
    }
}

/// Asks the small tier for a title.
async fn title(plugin: Plugin, asker: Asker, text: String) -> Option<String> {
    const SMALL: Option<&str> = Some("small");
    let parameters = fields(json!({"max_tokens": 24, "reasoning": {"effort": "none"}}));
    let request = request(SMALL, None, &[Message::user(text)], &parameters).ok()?;
    let mut row = asker.begins(history::client(), SMALL, None);
    let reply = plugin.chat(&request).await;
    match &reply {
        Ok(reply) => row.complete(&reply.done),
        Err(error) => row.failed(error),
    }
    let text = reply.ok()?.text;
    let line = text
        .lines()
        .map(|line| line.trim_matches([' ', '"', '*', '#', '.']))
        .find(|line| !line.is_empty())?;
    Some(shortened(&clean_line(line), MAX_TITLE_CHARS).to_string())
}

/// The title of a conversation that nobody named.
pub fn first_words(messages: &[Message]) -> String {
    let text = messages.first().map(Message::text_content).unwrap_or_default();
    let line = clean_line(text.trim());
    match line.is_empty() {
        true => "untitled".to_owned(),
        false => shortened(&line, MAX_TITLE_CHARS).to_string(),
    }
}

/// An id for people.
pub fn short(id: &str) -> &str {
    id.get(..MIN_ID_CHARS).unwrap_or(id)
}
