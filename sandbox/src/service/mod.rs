//! Answers one received request with a plan of the reply: which route, whose key, what script.
//!
//! In: a [`Received`] request. Out: a [`Plan`], which [`crate::server`] carries out. Nothing waits here.

pub(crate) mod account;
mod chat;
mod other;
pub(crate) mod routing;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    catalogue::listing::{self, Entry, Paging},
    catalogue::{self, Kind, Model},
    failure::Failure,
    forms::Form,
    forms::stream::Step,
    script::Script,
    script::builtin,
    service::account::Account,
};

/// Who every accepted key belongs to.
pub(crate) const USER_ID: &str = "user_sandbox";
pub(crate) const JSON: &str = "application/json";

/// One request, as it came in.
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    /// What stands after `Bearer`; `None` if the header is missing or of another kind.
    pub(crate) key: Option<String>,
    pub(crate) content_type: Option<String>,
    /// Whether the reply should carry `openrouter_metadata`.
    pub(crate) wants_metadata: bool,
    pub(crate) body: Bytes,
}

/// What to send back, and when.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    /// Wait before the headers.
    pub(crate) wait: Duration,
    pub(crate) body: Body,
}

/// The body of a reply.
#[derive(Debug)]
pub(crate) enum Body {
    Whole {
        content_type: &'static str,
        bytes: Bytes,
    },
    Steps {
        content_type: &'static str,
        steps: Vec<Step>,
        coalesce: bool,
    },
    /// No reply at all, with the connection open.
    Never,
}

/// A script and how often it failed.
struct Slot {
    script: Arc<Script>,
    description: String,
    n_failed: u32,
}

/// What a service is like from its start on.
pub(crate) struct Settings {
    pub(crate) keys: Vec<String>,
    /// Whether the keys are management keys.
    pub(crate) is_management: bool,
    /// Size of the pages that the catalogue comes in by itself.
    pub(crate) page_size: Option<usize>,
    /// How often a generation is not found before it is.
    pub(crate) late_asks: u32,
    /// Most generations kept.
    pub(crate) keep_generations: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            is_management: false,
            page_size: None,
            late_asks: 0,
            keep_generations: usize::MAX,
        }
    }
}

/// The entries of the catalogue that a test wrote.
#[derive(Default)]
struct OwnEntries {
    /// Whether nothing else is listed.
    alone: bool,
    entries: Vec<Value>,
}

/// The whole of what the sandbox knows and remembers, apart from its records.
pub(crate) struct Service {
    settings: Settings,
    slots: Mutex<BTreeMap<String, Slot>>,
    own: Mutex<OwnEntries>,
    account: Mutex<Account>,
}

impl Service {
    pub(crate) fn new(settings: Settings) -> Self {
        let slot = |(id, description, script)| {
            (
                id,
                Slot {
                    script: Arc::new(script),
                    description,
                    n_failed: 0,
                },
            )
        };
        let slots = Mutex::new(builtin::scripts().map(slot).collect());
        let account = Account::new(settings.keep_generations, settings.late_asks);
        Self {
            settings,
            slots,
            own: Mutex::default(),
            account: Mutex::new(account),
        }
    }

    /// Lists `entry`, in place of the one with its id.
    pub(crate) fn add_entry(&self, entry: Value) {
        let mut own = self.own();
        own.entries.retain(|other| other["id"] != entry["id"]);
        own.entries.push(entry);
    }

    /// Lists `entries` and nothing else.
    pub(crate) fn set_entries(&self, entries: Vec<Value>) {
        *self.own() = OwnEntries { alone: true, entries };
    }

    pub(crate) fn set_script(&self, id: String, script: Script) {
        let description = "A scripted model of the sandbox.".to_owned();
        self.slots().insert(
            id,
            Slot {
                script: Arc::new(script),
                description,
                n_failed: 0,
            },
        );
    }

    /// The script of `id`, or of the model that `id` is a variant of; the usual answer if there is none.
    pub(crate) fn script_of(&self, id: &str) -> Arc<Script> {
        let slots = self.slots();
        let slot = slots.get(id).or_else(|| slots.get(catalogue::base_of(id)?));
        slot.map(|slot| Arc::clone(&slot.script)).unwrap_or_default()
    }

    /// The failure that `id` begins with this time, counted if the script fails only so many times.
    pub(crate) fn take_failure(&self, id: &str) -> Option<Failure> {
        let mut slots = self.slots();
        let id = if slots.contains_key(id) {
            id
        } else {
            catalogue::base_of(id)?
        };
        let slot = slots.get_mut(id)?;
        let failure = slot.script.early_failure()?.clone();
        if slot.script.fail_times.is_some_and(|times| slot.n_failed >= times) {
            return None;
        }
        slot.n_failed += 1;
        Some(failure)
    }

    /// The model of an id that only a script or a test's entry of the catalogue knows.
    pub(crate) fn scripted(&self, id: &str) -> Option<Model> {
        if catalogue::find(id).is_some() {
            return None;
        }
        let base = catalogue::base_of(id);
        if let Some(entry) = self.own_entry(id).or_else(|| self.own_entry(base?)) {
            let text = |value: &Value| value.as_str().map(str::to_owned);
            let prices = text(&entry["pricing"]["prompt"]).zip(text(&entry["pricing"]["completion"]));
            return Some(Model {
                own_prices_usd: prices,
                ..catalogue::scripted(id, entry["description"].as_str().unwrap_or_default())
            });
        }
        let slots = self.slots();
        let slot = slots.get(id).or_else(|| slots.get(base?))?;
        Some(catalogue::scripted(id, &slot.description))
    }

    fn own(&self) -> MutexGuard<'_, OwnEntries> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn own_entry(&self, id: &str) -> Option<Value> {
        self.own().entries.iter().find(|entry| entry["id"] == id).cloned()
    }

    pub(crate) fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<String, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that the catalogue lists.
    fn entries(&self) -> Vec<Entry> {
        let scripted: Vec<String> = self.slots().keys().cloned().collect();
        let routers = catalogue::ALIASES.iter().filter_map(|(id, ..)| self.find(id));
        let known = routers
            .chain(catalogue::models())
            .chain(scripted.iter().filter_map(|id| self.scripted(id)));
        let mut listed: Vec<Entry> = known.map(|model| listing::entry_from(&model)).collect();

        let own = self.own();
        if own.alone {
            listed.clear();
        }
        for value in &own.entries {
            let entry = Entry {
                value: value.clone(),
                providers: Vec::new(),
            };
            match listed.iter_mut().find(|other| other.id() == entry.id()) {
                Some(other) => other.value = entry.value,
                None => listed.push(entry),
            }
        }
        listed
    }

    /// What the catalogue says of one id.
    fn entry_value(&self, model: &Model) -> Value {
        self.own_entry(&model.id).unwrap_or_else(|| listing::model_value(model))
    }

    /// The model that `id` names, whoever knows it.
    pub(crate) fn find(&self, id: &str) -> Option<Model> {
        let alias = catalogue::ALIASES.iter().find(|(alias, ..)| *alias == id);
        let found = match alias {
            Some((alias, target, _)) => catalogue::find(target).map(|model| Model {
                id: (*alias).to_owned(),
                ..model
            }),
            None => catalogue::find(id),
        };
        found.or_else(|| self.scripted(id))
    }

    fn check_key(&self, received: &Received) -> Result<(), Failure> {
        let Some(key) = &received.key else {
            return Err(Failure::status(401).message("No auth credentials found"));
        };
        if self.settings.keys.contains(key) {
            return Ok(());
        }
        Err(Failure::status(401).message("User not found."))
    }
}

/// Answers one request.
pub(crate) fn plan_for(service: &Service, received: &Received) -> Plan {
    let segments: Vec<String> = received.path.split('/').skip(1).map(decoded).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let Some(route) = Route::find(&segments) else {
        let message = format!("{} {} is no route of the sandbox", received.method, received.path);
        return refusal(Form::Chat, &Failure::status(404).message(message), None);
    };
    let form = route.form();
    if received.method != route.method() {
        let message = format!("{} is not allowed here, {} is", received.method, route.method());
        let mut failure = Failure::status(405).error_type("invalid_request").message(message);
        failure.headers.insert("allow".to_owned(), route.method().to_owned());
        return refusal(form, &failure, None);
    }
    if !route.is_public()
        && let Err(failure) = service.check_key(received)
    {
        return refusal(form, &failure, None);
    }
    let user_id = if route.is_public() { None } else { Some(USER_ID) };
    route
        .answer(service, received)
        .unwrap_or_else(|failure| refusal(form, &failure, user_id))
}

enum Route<'a> {
    /// A model is asked to write, in one of the forms.
    Chat(Form),
    /// A model is asked for something else than text.
    Other(Kind),
    Models {
        output: Option<&'static str>,
        public: bool,
    },
    ModelCount,
    Model(&'a str, &'a str),
    Endpoints(&'a str, &'a str),
    Providers,
    Key,
    Credits,
    Generation,
}

impl<'a> Route<'a> {
    fn find(segments: &[&'a str]) -> Option<Self> {
        let rest = segments.strip_prefix(&["api", "v1"])?;
        match *rest {
            ["chat", "completions"] => Some(Self::Chat(Form::Chat)),
            ["completions"] => Some(Self::Chat(Form::Text)),
            ["responses"] => Some(Self::Chat(Form::Responses)),
            ["messages"] => Some(Self::Chat(Form::Messages)),
            ["embeddings"] => Some(Self::Other(Kind::Embeddings)),
            ["rerank"] => Some(Self::Other(Kind::Rerank)),
            ["audio", "speech"] => Some(Self::Other(Kind::Speech)),
            ["models"] => Some(Self::Models {
                output: None,
                public: true,
            }),
            ["models", "user"] => Some(Self::Models {
                output: None,
                public: false,
            }),
            ["embeddings", "models"] => Some(Self::Models {
                output: Some("embeddings"),
                public: true,
            }),
            ["models", "count"] => Some(Self::ModelCount),
            ["model", author, slug] => Some(Self::Model(author, slug)),
            ["models", author, slug, "endpoints"] => Some(Self::Endpoints(author, slug)),
            ["providers"] => Some(Self::Providers),
            ["key"] => Some(Self::Key),
            ["credits"] => Some(Self::Credits),
            ["generation"] => Some(Self::Generation),
            _ => None,
        }
    }

    fn asks_a_model(&self) -> bool {
        matches!(self, Self::Chat(_) | Self::Other(_))
    }

    fn method(&self) -> &'static str {
        if self.asks_a_model() { "POST" } else { "GET" }
    }

    /// In which form errors are told.
    fn form(&self) -> Form {
        match self {
            Self::Chat(form) => *form,
            _ => Form::Chat,
        }
    }

    /// Whether the service answers without a key.
    fn is_public(&self) -> bool {
        match self {
            Self::Models { public, .. } => *public,
            Self::ModelCount | Self::Model(..) | Self::Endpoints(..) | Self::Providers => true,
            _ => false,
        }
    }

    fn answer(&self, service: &Service, received: &Received) -> Result<Plan, Failure> {
        let settings = &service.settings;
        if self.asks_a_model() && settings.is_management {
            return Err(Failure::status(403).message("Management keys cannot be used for completions"));
        }
        let mut query = pairs(&received.query);
        let paging = |page_size| Paging {
            path: &received.path,
            page_size,
        };
        match self {
            Self::Chat(form) => chat::plan(service, received, *form),
            Self::Other(kind) => other::plan(service, received, *kind),
            Self::Models { output, .. } => {
                query.retain(|(name, _)| name != "output_modalities" || output.is_none());
                query.extend(output.map(|output| ("output_modalities".to_owned(), output.to_owned())));
                let paging = paging(settings.page_size);
                listing::models_value(service.entries(), &query, &paging).map(|body| json_plan(200, &body))
            }
            Self::ModelCount => {
                let body = listing::models_value(service.entries(), &query, &paging(None))?;
                Ok(json_plan(200, &json!({"data": {"count": body["total_count"]}})))
            }
            Self::Model(author, slug) => {
                let model = known(service, author, slug)?;
                Ok(json_plan(200, &json!({"data": service.entry_value(&model)})))
            }
            Self::Endpoints(author, slug) => {
                known(service, author, slug).map(|model| json_plan(200, &listing::endpoints_value(&model)))
            }
            Self::Providers => Ok(json_plan(200, &listing::providers_value())),
            Self::Key => Ok(json_plan(200, &service.account().key_value(settings.is_management))),
            Self::Credits if settings.is_management => Ok(json_plan(200, &service.account().credits_value())),
            Self::Credits => Err(Failure::status(403).message("Only management keys can fetch credits for an account")),
            Self::Generation => {
                let id = query.iter().find(|(name, _)| name == "id").map(|(_, id)| id.as_str());
                let id = id.ok_or_else(|| Failure::status(400).message("id: expected text, found nothing"))?;
                let found = service.account().generation(id);
                let found = found.ok_or_else(|| Failure::status(404).message(format!("Generation {id} not found")))?;
                Ok(json_plan(200, &found))
            }
        }
    }
}

fn known(service: &Service, author: &str, slug: &str) -> Result<Model, Failure> {
    let id = format!("{author}/{slug}");
    service
        .find(&id)
        .ok_or_else(|| Failure::status(404).message(format!("Model {id} not found")))
}

/// A reply that is one JSON value.
pub(crate) fn json_plan(status: u16, body: &Value) -> Plan {
    let bytes = Bytes::from(body.to_string());
    Plan {
        status,
        headers: Vec::new(),
        wait: Duration::ZERO,
        body: Body::Whole {
            content_type: JSON,
            bytes,
        },
    }
}

/// The reply that tells a failure.
pub(crate) fn refusal(form: Form, failure: &Failure, user_id: Option<&str>) -> Plan {
    let mut plan = json_plan(failure.status, &form.error_value(failure, user_id));
    if let Some(page) = &failure.body {
        let bytes = Bytes::from(page.clone());
        plan.body = Body::Whole {
            content_type: "text/html; charset=utf-8",
            bytes,
        };
    }
    plan.headers = failure.header_pairs();
    plan
}

/// The pairs of a query, decoded.
fn pairs(query: &str) -> Vec<(String, String)> {
    let pair = |text: &str| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        (decoded(name), decoded(&value.replace('+', " ")))
    };
    query.split('&').filter(|text| !text.is_empty()).map(pair).collect()
}

/// `text` with its `%XX` replaced; what is not UTF-8 after that is replaced too.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests;
