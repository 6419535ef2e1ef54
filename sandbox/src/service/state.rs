//! What the sandbox knows and remembers, apart from its records: scripts, catalogue entries, the account.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;

use super::{account::Account, codes::Codes};
use crate::{
    catalogue::{self, Entry, Model, listing},
    failure::Failure,
    script::{Script, builtin},
};

/// A script and how often it failed.
struct Slot {
    script: Arc<Script>,
    description: String,
    n_failed: u32,
}

impl Slot {
    fn new(script: Script, description: String) -> Self {
        Self {
            script: Arc::new(script),
            description,
            n_failed: 0,
        }
    }
}

/// What does not change while a server runs.
#[derive(Default)]
pub(crate) struct Settings {
    pub(crate) keys: Vec<String>,
    /// Whether the keys are management keys.
    pub(crate) is_management: bool,
    /// Keys that are management keys beside the others.
    pub(crate) management_keys: Vec<String>,
    /// Page size of the catalogue for clients that ask for none.
    pub(crate) page_size: Option<usize>,
    /// How many requests for a generation get 404 first.
    pub(crate) late_asks: u32,
    /// Most generations kept, if not all.
    pub(crate) keep_generations: Option<usize>,
}

impl Settings {
    /// Whether this key is known, and a management key.
    pub(crate) fn is_management_key(&self, key: Option<&str>) -> Option<bool> {
        let is_among = |keys: &[String]| keys.iter().any(|known| Some(known.as_str()) == key);
        if is_among(&self.management_keys) {
            return Some(true);
        }
        is_among(&self.keys).then_some(self.is_management)
    }
}

/// The catalogue entries that a test wrote.
#[derive(Default)]
struct OwnEntries {
    /// Whether nothing else is listed.
    alone: bool,
    entries: Vec<Value>,
}

/// The state that all requests share.
pub(crate) struct Service {
    pub(crate) settings: Settings,
    slots: Mutex<BTreeMap<String, Slot>>,
    own: Mutex<OwnEntries>,
    account: Mutex<Account>,
    codes: Mutex<Codes>,
}

impl Service {
    pub(crate) fn new(settings: Settings) -> Self {
        let slots = builtin::scripts().map(|(id, does, script)| (id, Slot::new(script, does)));
        Self {
            slots: Mutex::new(slots.collect()),
            own: Mutex::default(),
            codes: Mutex::default(),
            account: Mutex::new(Account::new(settings.keep_generations, settings.late_asks)),
            settings,
        }
    }

    /// Lists `entry`, in place of any with the same id.
    pub(crate) fn add_entry(&self, entry: Value) {
        let mut own = lock(&self.own);
        own.entries.retain(|other| other["id"] != entry["id"]);
        own.entries.push(entry);
    }

    /// Lists `entries` and nothing else.
    pub(crate) fn set_entries(&self, entries: Vec<Value>) {
        *lock(&self.own) = OwnEntries { alone: true, entries };
    }

    pub(crate) fn set_script(&self, id: String, script: Script) {
        let slot = Slot::new(script, "A scripted model of the sandbox.".to_owned());
        lock(&self.slots).insert(id, slot);
    }

    /// The script of `id`, or of the model that `id` is a variant of; an empty script if there is none.
    pub(crate) fn script_of(&self, id: &str) -> Arc<Script> {
        let slots = lock(&self.slots);
        let slot = slots.get(id).or_else(|| slots.get(catalogue::base_of(id)?));
        slot.map(|slot| Arc::clone(&slot.script)).unwrap_or_default()
    }

    /// The early failure of `id` for this request, counted if the script limits how often it fails.
    pub(crate) fn take_failure(&self, id: &str) -> Option<Failure> {
        let mut slots = lock(&self.slots);
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

    /// The model of an id that only a script or a test's entry knows.
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
        let slots = lock(&self.slots);
        let slot = slots.get(id).or_else(|| slots.get(base?))?;
        Some(catalogue::scripted(id, &slot.description))
    }

    /// Everything that the catalogue lists.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let scripted: Vec<String> = lock(&self.slots).keys().cloned().collect();
        let routers = catalogue::ALIASES.iter().filter_map(|(id, ..)| self.find(id));
        let known = routers
            .chain(catalogue::models())
            .chain(scripted.iter().filter_map(|id| self.scripted(id)));
        let mut listed: Vec<Entry> = known.map(|model| listing::entry_from(&model)).collect();

        let own = lock(&self.own);
        if own.alone {
            listed.clear();
        }
        for value in &own.entries {
            let value = value.clone();
            match listed.iter_mut().find(|other| other.value["id"] == value["id"]) {
                Some(other) => other.value = value,
                None => listed.push(Entry {
                    value,
                    providers: Vec::new(),
                }),
            }
        }
        listed
    }

    /// The catalogue's entry for one model.
    pub(crate) fn entry_value(&self, model: &Model) -> Value {
        self.own_entry(&model.id).unwrap_or_else(|| listing::model_value(model))
    }

    /// The model that `id` names: an alias, one of the tables, or a scripted one.
    pub(crate) fn find(&self, id: &str) -> Option<Model> {
        let named = catalogue::lead(id).map(|(model, _)| Model {
            id: id.to_owned(),
            ..model
        });
        named.or_else(|| self.scripted(id))
    }

    fn own_entry(&self, id: &str) -> Option<Value> {
        lock(&self.own).entries.iter().find(|entry| entry["id"] == id).cloned()
    }

    pub(crate) fn codes(&self) -> MutexGuard<'_, Codes> {
        lock(&self.codes)
    }

    pub(crate) fn account(&self) -> MutexGuard<'_, Account> {
        lock(&self.account)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
