//! Starts a plugin: chooses it, gives it key and options, loads it, asks for its tiers.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use plugin_api::{Error, ErrorKind, Manifest, Plugin, PluginModule, TierModel};
use serde_json::{Value, json};

use super::bounded::{LIMIT, bounded_future};
use super::choice::no_key;
use super::destination::Bound;
use super::environment::Given;
use super::keys::CommandKeys;
use super::plugins::{Entry, Verdict};
use super::profiles::warn_of_others;
use super::reading::{Chosen, Setup};
use super::services::{self, Checked};
use super::used_key::UsedKey;
use crate::profile::Profile;
use crate::terminal::{self, FAINT, Failure, Interrupts};

/// How long a plugin may take to end its work when the program ends.
const SHUTDOWN: Duration = Duration::from_secs(2);

/// What a command does with the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyUse {
    /// Without one it cannot do anything.
    Needed,
    /// It goes on without one, and fails later if the service wants one.
    Optional,
    /// It asks the plugin alone, so no key is looked for, no command runs for one, and no address is used.
    None,
}

/// The active plugin, and its profile.
pub struct Active {
    pub plugin: Plugin,
    /// Why it answers no more, if it was disabled or removed.
    pub off: Option<Error>,
    pub module: PluginModule,
    /// `None` if there is no profile file; the plugin then uses its defaults.
    pub chosen: Option<Chosen>,
    pub tiers: Vec<TierModel>,
    pub used_key: Arc<UsedKey>,
    /// What reloads may not change.
    pub bound: Bound,
    /// The same of the plugins that were active before, by their ids.
    pub earlier: BTreeMap<String, Bound>,
    /// Whether the working directory's `.env` was read at the start; reloads read it again then, and only then.
    pub reads_folder: bool,
    /// The keys that commands printed.
    pub command_keys: CommandKeys,
    /// The SHA-256 of the plugin's file.
    pub sha256: Option<String>,
    /// Why it has no key, if it has none.
    without_key: Option<String>,
}

impl Setup {
    /// Starts the plugin.
    ///
    /// - Errors: there is none; it is disabled; a key is missing although one is `needed`; its code or its options are
    ///   refused.
    pub async fn activate(&self, key_needed: bool) -> Result<Active, Failure> {
        let chosen = self.profile().await?;
        let (entry, manifest) = self.choose(chosen.as_ref())?;
        let key = if key_needed { KeyUse::Needed } else { KeyUse::Optional };
        self.start(entry, manifest, chosen, key).await
    }

    /// The same for a command that asks the plugin and never the service.
    pub async fn activate_without_key(&self) -> Result<Active, Failure> {
        let chosen = self.profile().await?;
        let (entry, manifest) = self.choose(chosen.as_ref())?;
        self.start(entry, manifest, chosen, KeyUse::None).await
    }

    /// The same for this plugin, under the profile if that is the plugin's.
    pub async fn start(
        &self,
        entry: &Entry,
        manifest: &Manifest,
        chosen: Option<Chosen>,
        key: KeyUse,
    ) -> Result<Active, Failure> {
        let chosen = chosen.filter(|chosen| chosen.profile.provider == manifest.id);
        if self.folder.is_disabled(entry) {
            let id = &manifest.id;
            return Err(Failure::usage(format!("the plugin `{id}` is disabled"))
                .with_hint(format!("enable it with `agent-host plugins enable {id}`")));
        }
        // Before anything that concerns the key: a command may have to ask a person for it.
        let checked = self.check(entry, manifest, chosen.as_ref()).await?;
        let (given, without_key) = match key {
            KeyUse::None => (self.environment.give_without_key(manifest)?, None),
            KeyUse::Optional | KeyUse::Needed => self.give_key(entry, manifest, chosen.as_ref(), key).await?,
        };
        let bound = Bound::of(self, manifest, chosen.as_ref(), &given);
        if key != KeyUse::None {
            self.confirm(&bound, &given).await?;
        }
        given.warn();
        let plugin = self.create(&checked, &given, chosen.as_ref())?;
        let config = checked.config(&given);
        Ok(Active {
            used_key: Arc::new(UsedKey::new(given, &plugin, config)),
            module: checked.module().clone(),
            plugin,
            off: None,
            chosen,
            tiers: Vec::new(),
            bound,
            earlier: BTreeMap::new(),
            reads_folder: self.environment.has_folder(),
            command_keys: self.environment.command_keys.clone(),
            sha256: entry.sha256.clone(),
            without_key,
        })
    }

    /// What the plugin is given, and why that is no key if it is none.
    async fn give_key(
        &self,
        entry: &Entry,
        manifest: &Manifest,
        chosen: Option<&Chosen>,
        key: KeyUse,
    ) -> Result<(Given, Option<String>), Failure> {
        self.confirm_command(chosen).await?;
        self.run_key_command(chosen).await;
        let without_key = match self.verdict(entry, chosen) {
            Verdict::Idle(reason) if key == KeyUse::Needed => return Err(no_key(manifest, chosen, &reason)),
            Verdict::Idle(reason) => Some(reason),
            _ => None,
        };
        Ok((self.give(manifest, chosen)?, without_key))
    }

    /// Loads a plugin and lets it check its options. Its findings get their places in the profile file.
    pub async fn check(&self, entry: &Entry, manifest: &Manifest, chosen: Option<&Chosen>) -> Result<Checked, Failure> {
        let module = services::load(self.folder.admit(entry)?)?;
        let options = self.options(manifest, chosen.map(|chosen| &chosen.profile));
        let checked = Checked::of(module, options).await;
        let checked = checked.map_err(|failure| self.place(failure, chosen))?;
        warn_of_others(checked.module(), chosen).await;
        Ok(checked)
    }

    /// Makes an instance of a plugin and drops it, for commands that ask nothing.
    pub async fn try_out(&self, entry: &Entry, manifest: &Manifest, chosen: Option<&Chosen>) -> Result<(), Failure> {
        let checked = self.check(entry, manifest, chosen).await?;
        let given = self.give(manifest, chosen)?;
        self.confirmed(&Bound::of(self, manifest, chosen, &given))?;
        given.warn();
        self.create(&checked, &given, chosen).map(drop)
    }

    /// Makes an instance of a plugin.
    pub fn create(&self, checked: &Checked, given: &Given, chosen: Option<&Chosen>) -> Result<Plugin, Failure> {
        checked
            .create(given)
            .map_err(|failure| with_key_origin(failure, given))
            .map_err(|failure| self.place(failure, chosen))
    }

    /// The options for the plugin: the profile's, and what the command line adds.
    pub fn options(&self, manifest: &Manifest, profile: Option<&Profile>) -> Value {
        let mut options = profile.map_or_else(|| json!({}), |profile| profile.options.clone());
        let knows = |option: &str| {
            manifest
                .options_schema
                .as_ref()
                .is_some_and(|schema| schema["properties"].get(option).is_some())
        };
        if self.allow_any_key && knows("allowAnyKey") {
            options["allowAnyKey"] = Value::from(true);
        }
        options
    }
}

/// The plugin knows only the key's variable; this adds where the key really came from.
fn with_key_origin(mut failure: Failure, given: &Given) -> Failure {
    if failure.details["code"] == ErrorKind::AUTH.code()
        && let Some(origin) = &given.key_origin
    {
        failure.message.push_str(&format!(" (key from {origin})"));
    }
    failure
}

impl Active {
    /// The failure of something that was asked of the plugin: how to get a key if there is none, and else where a refused
    /// key came from.
    ///
    /// - In: `what` was asked, such as `list its models`.
    pub fn failure(&self, error: Error, what: &str) -> Failure {
        let manifest = self.plugin.manifest();
        match &self.without_key {
            Some(reason) if error.kind == ErrorKind::AUTH && error.details.status.is_none() => {
                no_key(manifest, self.chosen.as_ref(), reason)
            }
            _ => Failure::of_plugin(self.used_key.explained(error), &manifest.id, what),
        }
    }

    /// Checks that a plugin may be active after a reload: with the address and the source of the key that it had when it
    /// was first active, or else with its service's own address.
    pub fn check(&self, id: &str, found: &Bound) -> Result<(), Failure> {
        let is_same = self.plugin.manifest().id == id;
        match self.earlier.get(id).filter(|_| !is_same) {
            Some(first) => first.check(found),
            None if !is_same && found.is_plain() => Ok(()),
            None => self.bound.check(found),
        }
    }

    /// Says where prompts go, if the user set an address other than the service's own. Addresses that others set are
    /// shown at the start.
    pub fn say_address(&self) {
        if let Some(line) = self.bound.users_line() {
            terminal::say_styled(FAINT, &line);
        }
    }

    /// Asks the plugin again which models its tiers stand for.
    pub async fn read_tiers(&mut self) -> Result<(), Failure> {
        let plugin = self.plugin.clone();
        let id = plugin.manifest().id.clone();
        let tiers = bounded_future(&id, "list its tiers", LIMIT, async move { plugin.tiers().await });
        self.tiers = match tiers.await? {
            Err(error) if error.kind == ErrorKind::UNSUPPORTED => Vec::new(),
            tiers => tiers?,
        };
        Ok(())
    }

    /// Ends the plugin's work.
    pub async fn shut_down(&self) {
        Interrupts::end();
        let id = &self.plugin.manifest().id;
        // The plugin has its own deadline; this one is for a plugin that ignores it.
        match bounded_future(id, "shut down", 2 * SHUTDOWN, self.plugin.shutdown(SHUTDOWN)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("the plugin did not shut down cleanly: {error}"),
            Err(failure) => tracing::warn!("{}", failure.message),
        }
        // The process ends, so its destructor need not run, which could block.
        mem::forget(self.plugin.clone());
    }
}
