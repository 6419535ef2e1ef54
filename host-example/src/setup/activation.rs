//! Starts a plugin: chooses it, gives it key and options, loads it, asks for its tiers.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use plugin_api::{Config, Error, ErrorKind, Manifest, Plugin, TierModel};
use serde_json::{Value, json};

use super::bounded::{LIMIT, bounded_future};
use super::choice::no_key;
use super::destination::Bound;
use super::environment::Given;
use super::keys::CommandKeys;
use super::plugins::{Entry, Verdict};
use super::protect::WipedConfig;
use super::reading::{Chosen, Setup};
use super::services;
use super::used_key::UsedKey;
use crate::profile::Profile;
use crate::terminal::{self, FAINT, Failure, Interrupts};

/// How long a plugin may take to end its work when the program ends.
const SHUTDOWN: Duration = Duration::from_secs(2);

/// The active plugin, and its profile.
pub struct Active {
    pub plugin: Plugin,
    /// Why it answers no more, if it was disabled or removed.
    pub off: Option<Error>,
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
}

impl Setup {
    /// Starts the plugin.
    ///
    /// - Errors: there is none; it is disabled; a key is missing although one is `needed`; its code or its options are
    ///   refused.
    pub async fn activate(&self, key_needed: bool) -> Result<Active, Failure> {
        let chosen = self.profile().await?;
        let (entry, manifest) = self.choose(chosen.as_ref())?;
        self.confirm_command(chosen.as_ref()).await?;
        if !self.folder.is_disabled(entry) {
            self.run_key_command(chosen.as_ref()).await;
        }
        match self.verdict(entry, chosen.as_ref()) {
            Verdict::Disabled(_) => {
                let id = &manifest.id;
                return Err(Failure::usage(format!("the plugin `{id}` is disabled"))
                    .with_hint(format!("enable it with `agent-host plugins enable {id}`")));
            }
            Verdict::Idle(reason) if key_needed => return Err(no_key(manifest, &reason)),
            _ => {}
        }
        let given = self.give(manifest, chosen.as_ref())?;
        let bound = Bound::of(self, manifest, chosen.as_ref(), &given);
        self.confirm(&bound, &given).await?;
        given.warn();
        let config = self.config_of(&given, manifest, chosen.as_ref());
        let plugin = self.create(entry, manifest, &config, chosen.as_ref())?;
        Ok(Active {
            used_key: Arc::new(UsedKey::new(given, &plugin, config)),
            plugin,
            off: None,
            chosen,
            tiers: Vec::new(),
            bound,
            earlier: BTreeMap::new(),
            reads_folder: self.environment.has_folder(),
            command_keys: self.environment.command_keys.clone(),
            sha256: entry.sha256.clone(),
        })
    }

    /// Loads a plugin and makes an instance of it. Its findings get their places in the profile file.
    pub fn create(
        &self,
        entry: &Entry,
        manifest: &Manifest,
        config: &Config,
        chosen: Option<&Chosen>,
    ) -> Result<Plugin, Failure> {
        services::create(self.folder.admit(entry)?, config)
            .map_err(|failure| self.with_key_origin(failure, manifest, chosen))
            .map_err(|failure| self.place(failure, chosen))
    }

    /// What the plugin is configured with, for commands that ask nothing.
    pub fn config(&self, manifest: &Manifest, chosen: Option<&Chosen>) -> Result<WipedConfig, Failure> {
        let given = self.give(manifest, chosen)?;
        self.confirmed(&Bound::of(self, manifest, chosen, &given))?;
        given.warn();
        Ok(self.config_of(&given, manifest, chosen))
    }

    /// The same for variables that are already collected and whose addresses are confirmed.
    pub fn config_of(&self, given: &Given, manifest: &Manifest, chosen: Option<&Chosen>) -> WipedConfig {
        let variables = given.variables.iter();
        WipedConfig(Config {
            options: self.options(manifest, chosen.map(|chosen| &chosen.profile)),
            environment: variables
                .map(|(name, value)| (name.clone(), value.reveal().to_owned()))
                .collect(),
        })
    }

    /// The plugin knows only the key's variable; this adds where the key really came from.
    fn with_key_origin(&self, mut failure: Failure, manifest: &Manifest, chosen: Option<&Chosen>) -> Failure {
        let is_about_the_key = failure.details["code"] == ErrorKind::AUTH.code();
        if is_about_the_key
            && let Ok(given) = self.give(manifest, chosen)
            && let Some(origin) = given.key_origin
        {
            failure.message.push_str(&format!(" (key from {origin})"));
        }
        failure
    }

    /// The options for the plugin: the profile's, and what the command line adds.
    fn options(&self, manifest: &Manifest, profile: Option<&Profile>) -> Value {
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

impl Active {
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
