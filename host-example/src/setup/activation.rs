//! Puts profile, environment and plugin together: from what lies on disk to a plugin that answers.

use std::fs;
use std::path::Path;
use std::time::Duration;

use plugin_api::{Config, Error, ErrorKind, Manifest, Plugin, TierModel};
use serde_json::{Value, json};

use crate::cli::Global;
use crate::profile::{self, Document, LoadError, Problem, Profile, ProviderSchema, Report};
use crate::setup::environment::{CommandKeys, Environment, Given};
use crate::setup::places::Places;
use crate::setup::plugins::{self, Entry, Folder, Verdict};
use crate::setup::protect::WipedConfig;
use crate::terminal::exit::{Exit, Failure};

/// How long a plugin may take to end its work when the program ends.
const SHUTDOWN: Duration = Duration::from_secs(2);

/// How long the answers of a plugin may go on in whose place another one came.
const RETIREMENT: Duration = Duration::from_secs(600);

/// What lies on disk and in the environment.
pub struct Setup {
    pub places: Places,
    pub environment: Environment,
    pub folder: Folder,
    allow_any_key: bool,
}

/// A profile, and the text that it stands in.
pub struct Chosen {
    pub document: Document,
    pub profile: Profile,
}

/// A plugin at work, with the profile that it works by.
pub struct Active {
    pub plugin: Plugin,
    /// `None`: there is no profile file, and the plugin's defaults hold.
    pub chosen: Option<Chosen>,
    pub tiers: Vec<TierModel>,
    /// What key commands said.
    pub command_keys: CommandKeys,
    /// The plugin in whose place this one came; see [`Active::retire_former`].
    pub former: Option<Plugin>,
}

impl Setup {
    pub fn read(global: &Global) -> Result<Self, Failure> {
        Self::read_with(global, CommandKeys::default())
    }

    /// The same, with what key commands said before.
    pub fn read_with(global: &Global, command_keys: CommandKeys) -> Result<Self, Failure> {
        let places = Places::from(global)?;
        let environment = Environment::read(global.env_file.as_deref(), command_keys)?;
        let folder = Folder::read(&places.plugins)?;
        Ok(Self::of(places, environment, folder, global))
    }

    /// Puts together what was read one by one.
    pub fn of(places: Places, environment: Environment, folder: Folder, global: &Global) -> Self {
        Self {
            places,
            environment,
            folder,
            allow_any_key: global.allow_any_key,
        }
    }

    /// The profile that was asked for; `None` where there is no file and nobody named one.
    ///
    /// - Errors: every problem of the file.
    pub async fn profile(&self) -> Result<Option<Chosen>, Failure> {
        let document = match self.document(&self.places.config) {
            Err(LoadError::NotFound { .. }) if !self.places.config_was_named && self.places.profile == "default" => {
                return Ok(None);
            }
            document => document?,
        };
        let profile = match profile::profile_from(&document, &self.places.profile, &self.folder.schemas()) {
            Ok(profile) => profile,
            // Without a plugin nothing in a profile can be right; what is missing is the plugin.
            Err(LoadError::Report(_)) if self.folder.entries.iter().all(|entry| entry.manifest.is_err()) => {
                return Err(self.choose(None).err().unwrap_or_else(|| {
                    Failure::new(
                        Exit::Usage,
                        format!("there is no plugin in `{}`", self.folder.path.display()),
                    )
                }));
            }
            Err(LoadError::Report(_)) => {
                let report = self.report(&document).await?;
                return Err(self.explain(LoadError::Report(report)));
            }
            Err(error) => return Err(error.into()),
        };
        for warning in &profile.warnings {
            tracing::warn!("{}:{warning}", document.name());
        }
        Ok(Some(Chosen { document, profile }))
    }

    pub fn document(&self, path: &Path) -> Result<Document, LoadError> {
        let text = profile::read(path)?;
        Document::parse(&path.display().to_string(), text).map_err(LoadError::Report)
    }

    /// A profile for a plugin that is not installed is the first thing a newcomer meets, so it is said plainly.
    fn explain(&self, error: LoadError) -> Failure {
        let failure = Failure::from(error);
        if self.folder.entries.is_empty() && failure.hint.is_none() {
            let folder = self.folder.path.display();
            return failure.with_hint(format!(
                "the plugin folder `{folder}` is empty; fill it with `agent-host plugins install PATH`"
            ));
        }
        failure
    }

    /// Every problem of a profile file: what its schema says, and what the plugins find beyond it.
    pub async fn report(&self, document: &Document) -> Result<Report, Failure> {
        let schemas = self.folder.schemas();
        let mut problems = profile::check(document, &schemas);
        let profiles = document.value().pointer("/auth/profiles").and_then(Value::as_object);
        for (name, entry) in profiles.into_iter().flatten() {
            let provider = entry["provider"].as_str().unwrap_or_default();
            let Ok((file, manifest)) = self.folder.find(provider) else {
                continue;
            };
            if self.folder.is_disabled(&manifest.id) {
                // What is switched off is not loaded, not even to be asked.
                continue;
            }
            let options = profile::without_problems(entry, name, &problems);
            let config = Config {
                options: json!({}),
                ..Config::default()
            };
            let found = plugins::create(&file.file, manifest, &config)?.check(&options).await?;
            problems.extend(placed(document, name, found));
        }
        problems.sort_by_key(|problem| problem.range.start);
        Ok(document.report(&schemas, problems))
    }

    /// What `manifest` is given under `chosen`.
    pub fn give(&self, manifest: &Manifest, chosen: Option<&Chosen>) -> Result<Given, Failure> {
        let profile = chosen
            .map(|chosen| &chosen.profile)
            .filter(|profile| profile.provider == manifest.id);
        let source = profile.and_then(|profile| profile.api_key.as_ref());
        self.environment.give(manifest, source, &self.places.profile)
    }

    /// Whether the plugin is on, and why; from its file and the environment alone.
    pub fn verdict(&self, entry: &Entry, chosen: Option<&Chosen>) -> Verdict {
        let manifest = match &entry.manifest {
            Ok(manifest) => manifest,
            Err(refusal) => return Verdict::Refused(refusal.reason.clone()),
        };
        if self.folder.is_disabled(&manifest.id) {
            let id = &manifest.id;
            return Verdict::Disabled(format!("by `agent-host plugins disable {id}`"));
        }
        let keys: Vec<String> = manifest.keys().map(|variable| format!("`{}`", variable.name)).collect();
        match self.give(manifest, chosen) {
            Err(failure) => Verdict::Failed(failure.message),
            Ok(Given {
                key_origin: Some(origin),
                ..
            }) => Verdict::Enabled(format!("by {origin}")),
            Ok(_) if keys.is_empty() => Verdict::Enabled("it needs no key".to_owned()),
            Ok(_) => {
                let blank = manifest
                    .keys()
                    .find(|variable| self.environment.is_blank(&variable.name));
                Verdict::Idle(match blank {
                    Some(variable) => format!("`{}` is set, but blank", variable.name),
                    None => format!("{} is not set", keys[0]),
                })
            }
        }
    }

    /// Whether the plugin is on without any profile.
    pub fn is_on(&self, manifest: &Manifest) -> bool {
        let found = self.folder.find(&manifest.id);
        found.is_ok_and(|(entry, _)| matches!(self.verdict(entry, None), Verdict::Enabled(_)))
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

    /// The plugin that the profile names, or without a profile the one that is on.
    pub fn choose(&self, chosen: Option<&Chosen>) -> Result<(&Entry, &Manifest), Failure> {
        if let Some(chosen) = chosen {
            return self.folder.find(&chosen.profile.provider);
        }
        let usable = || {
            self.folder
                .entries
                .iter()
                .filter_map(|entry| Some((entry, entry.manifest.as_ref().ok()?)))
        };
        let enabled: Vec<_> = usable()
            .filter(|(entry, _)| matches!(self.verdict(entry, None), Verdict::Enabled(_)))
            .collect();
        let folder = self.folder.path.display();
        // A plugin that is there twice may be the one that is meant, so it is not passed over in silence.
        let twin = self.folder.entries.iter().find(|entry| entry.twin_of.is_some());
        if let (true, Some(Err(refusal))) = (enabled.is_empty(), twin.map(|entry| &entry.manifest)) {
            return Err(refusal.clone().into());
        }
        match (enabled.as_slice(), usable().next()) {
            ([only], _) => Ok(*only),
            ([], Some(first)) => Ok(first),
            ([], None) if self.folder.entries.is_empty() => {
                Err(Failure::new(Exit::Usage, format!("there is no plugin in `{folder}`"))
                    .with_hint("copy one there with `agent-host plugins install PATH`"))
            }
            ([], None) => Err(
                Failure::new(Exit::Plugin, format!("no plugin in `{folder}` can be used"))
                    .with_hint("see why with `agent-host plugins list`"),
            ),
            (several, _) => {
                let ids: Vec<String> = several
                    .iter()
                    .map(|(_, manifest)| format!("`{}`", manifest.id))
                    .collect();
                Err(
                    Failure::new(Exit::Usage, format!("several plugins are on: {}", ids.join(", ")))
                        .with_hint("name one as `provider` in a profile: agent-host profile init --provider ID"),
                )
            }
        }
    }

    /// Brings the plugin to work.
    ///
    /// - Errors: there is none; it is disabled; a key is missing although one is `needed`; its code or its options are
    ///   refused.
    pub async fn activate(&self, key_needed: bool) -> Result<Active, Failure> {
        let chosen = self.profile().await?;
        let (entry, manifest) = self.choose(chosen.as_ref())?;
        match self.verdict(entry, chosen.as_ref()) {
            Verdict::Disabled(_) => {
                let id = &manifest.id;
                return Err(Failure::new(Exit::Usage, format!("the plugin `{id}` is disabled"))
                    .with_hint(format!("switch it on with `agent-host plugins enable {id}`")));
            }
            Verdict::Idle(reason) if key_needed => return Err(no_key(manifest, &reason)),
            _ => {}
        }
        let config = self.config(manifest, chosen.as_ref())?;
        let plugin = self.create(entry, manifest, &config, chosen.as_ref())?;
        Ok(Active {
            plugin,
            chosen,
            tiers: Vec::new(),
            command_keys: self.environment.command_keys(),
            former: None,
        })
    }

    /// Loads a plugin and makes an instance of it. What it finds wrong is told with its place.
    pub fn create(
        &self,
        entry: &Entry,
        manifest: &Manifest,
        config: &Config,
        chosen: Option<&Chosen>,
    ) -> Result<Plugin, Failure> {
        plugins::create(&entry.file, manifest, config)
            .map_err(|failure| self.with_key_origin(failure, manifest, chosen))
            .map_err(|failure| self.place(failure, chosen))
    }

    /// The plugin knows a key by its variable; where it really came from is known here.
    fn with_key_origin(&self, mut failure: Failure, manifest: &Manifest, chosen: Option<&Chosen>) -> Failure {
        let is_about_the_key = failure.details["code"] == ErrorKind::AUTH.code();
        if is_about_the_key
            && let Ok(given) = self.give(manifest, chosen)
            && let Some(origin) = given.key_origin
        {
            failure.message.push_str(&format!(" (it came from {origin})"));
        }
        failure
    }

    /// What the plugin is configured with.
    pub fn config(&self, manifest: &Manifest, chosen: Option<&Chosen>) -> Result<WipedConfig, Failure> {
        let given = self.give(manifest, chosen)?;
        for warning in &given.warnings {
            tracing::warn!("{warning}");
        }
        Ok(self.config_of(&given, manifest, chosen))
    }

    /// The same, of what was given already.
    pub fn config_of(&self, given: &Given, manifest: &Manifest, chosen: Option<&Chosen>) -> WipedConfig {
        let variables = given.variables.iter();
        WipedConfig(Config {
            options: self.options(manifest, chosen.map(|chosen| &chosen.profile)),
            environment: variables
                .map(|(name, value)| (name.clone(), value.reveal().to_owned()))
                .collect(),
        })
    }

    /// Turns the plugin's findings about its options into places of the profile file.
    pub fn place(&self, failure: Failure, chosen: Option<&Chosen>) -> Failure {
        let problems: Vec<plugin_api::Problem> =
            serde_json::from_value(failure.details["problems"].clone()).unwrap_or_default();
        match chosen {
            Some(chosen) if !problems.is_empty() => {
                let placed = placed(&chosen.document, &chosen.profile.name, problems);
                LoadError::Report(chosen.document.report(&self.folder.schemas(), placed)).into()
            }
            _ => failure,
        }
    }

    pub fn schemas(&self) -> Vec<ProviderSchema> {
        self.folder.schemas()
    }
}

/// The plugin's findings at their places in the file.
fn placed(document: &Document, profile: &str, problems: Vec<plugin_api::Problem>) -> Vec<Problem> {
    problems
        .into_iter()
        .map(|problem| {
            let warning = problem.warning;
            let mut placed =
                profile::map_plugin_problem(document, profile, &problem.pointer, problem.message, problem.hint);
            if warning {
                placed.severity = profile::Severity::Warning;
            }
            placed
        })
        .collect()
}

/// Why a plugin that is idle cannot be asked.
pub fn no_key(manifest: &Manifest, reason: &str) -> Failure {
    let message = format!("no key for the plugin `{}`: {reason}", manifest.id);
    Failure::new(Exit::Usage, message).with_hint(key_hint(manifest))
}

/// How to give the plugin a key.
pub fn key_hint(manifest: &Manifest) -> String {
    let Some(key) = manifest.keys().next() else {
        return "the plugin does not say how it is enabled".to_owned();
    };
    let value = key
        .prefix
        .as_deref()
        .map_or("…".to_owned(), |prefix| format!("{prefix}…"));
    format!(
        "set it: export {name}={value} — or put it into a file `.env` here, or name a file or a command as `apiKey` in the profile",
        name = key.name
    )
}

impl Active {
    /// Asks the plugin again which models its tiers stand for.
    pub async fn read_tiers(&mut self) -> Result<(), Error> {
        self.tiers = match self.plugin.tiers().await {
            Err(error) if error.kind == ErrorKind::UNSUPPORTED => Vec::new(),
            tiers => tiers?,
        };
        Ok(())
    }

    /// Lets the plugin go in whose place this one came: its answers may end, and nothing new may be asked of it. To be called when nobody
    /// asks it any more.
    pub fn retire_former(&mut self) {
        if let Some(former) = self.former.take() {
            tokio::spawn(async move {
                if let Err(error) = former.shutdown(RETIREMENT).await {
                    tracing::warn!("the former plugin did not end well: {error}");
                }
            });
        }
    }

    /// Ends the plugin's work.
    pub async fn shut_down(&self) {
        if let Err(error) = self.plugin.shutdown(SHUTDOWN).await {
            tracing::warn!("the plugin did not end well: {error}");
        }
    }

    /// The name of the profile file, for people.
    pub fn profile_file(&self) -> Option<&str> {
        Some(self.chosen.as_ref()?.document.name())
    }
}

/// Whether something stands at this path, be it a link that leads nowhere.
pub fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}
