//! Loads a plugin's code, lets it check its options, and gives it this host's log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, Once, PoisonError};

use plugin_api::loader::{self, Image};
use plugin_api::{Config, Error, ErrorKind, HostServices, Level, Plugin, PluginModule, Problem};
use serde_json::{Map, Value};

use super::bounded::{LIMIT, bounded, bounded_future, running};
use super::environment::Given;
use super::log;
use super::protect::WipedConfig;
use crate::terminal::{Exit, Failure, claim_stdout, clean_line, counted, listed};

/// The maximum number of plugins, old versions included, that one process loads: none is ever unloaded.
const MAX_LOADED: usize = 64;

/// What this process has loaded, by the SHA-256 of its bytes.
static LOADED: Mutex<BTreeMap<String, PluginModule>> = Mutex::new(BTreeMap::new());

/// Loads a plugin's code, unless these bytes are loaded already. From then on, standard output belongs to the host
/// alone.
pub fn load(image: Image) -> Result<PluginModule, Failure> {
    claim_stdout().map_err(|cause| Failure::internal(format!("cannot keep stdout: {cause}")))?;
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| loader::on_exit(ended_by_a_plugin));
    let id = image.manifest().id.clone();
    loader::say_on_crash(last_words(&id));
    bounded(&id, "be loaded", LIMIT, move || module_of(&image))?
}

/// What is said if the program crashes: which plugins it has, `id` among them.
fn last_words(id: &str) -> String {
    let loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    let mut ids: BTreeSet<&str> = loaded.values().map(|module| &*module.manifest().id).collect();
    ids.insert(id);
    let plugins = listed(ids.iter().copied(), "or");
    format!(
        "\nerror: agent-host crashed, and a plugin may be the cause: {plugins}\n\
         hint: get a newer version of it, or disable it: agent-host plugins disable {id}\n"
    )
}

/// The problems that the plugin finds in `options`. It has no key for this.
pub async fn problems_of(module: &PluginModule, options: &Value) -> Result<Vec<Problem>, Failure> {
    let id = module.manifest().id.clone();
    let (module, options) = (module.clone(), options.clone());
    let services = Arc::new(Services { plugin: id.clone() });
    let checked = async move { module.check(services, &options).await };
    Ok(bounded_future(&id, "check its options", LIMIT, checked).await??)
}

/// A plugin's code and options that its check accepts. Instances are created and configured with nothing else.
pub struct Checked {
    module: PluginModule,
    options: Value,
}

impl Checked {
    /// - Errors: the plugin finds problems that are not warnings; they are in the details.
    pub async fn of(module: PluginModule, options: Value) -> Result<Self, Failure> {
        let mut problems = problems_of(&module, &options).await?;
        problems.retain(|problem| !problem.warning);
        let Some(first) = problems.first() else {
            return Ok(Self { module, options });
        };
        let (n, at) = (counted(problems.len(), "problem"), &first.pointer);
        let message = format!("the options have {n}, the first at {at}: {}", first.message);
        let mut error = Error::new(ErrorKind::CONFIG, message);
        error.details.problems = problems;
        Err(error.into())
    }

    pub fn module(&self) -> &PluginModule {
        &self.module
    }

    /// What the plugin is configured with: the options, and the variables that it is given.
    pub fn config(&self, given: &Given) -> WipedConfig {
        let variables = given.variables.iter();
        WipedConfig(Config {
            options: self.options.clone(),
            environment: variables
                .map(|(name, value)| (name.clone(), value.reveal().to_owned()))
                .collect(),
        })
    }

    /// Creates an instance.
    pub fn create(&self, given: &Given) -> Result<Plugin, Failure> {
        let (module, config) = (self.module.clone(), self.config(given));
        let id = module.manifest().id.clone();
        let services = Arc::new(Services { plugin: id.clone() });
        bounded(&id, "be created", LIMIT, move || module.create(services, &config))?.map_err(Failure::from)
    }
}

/// Names the plugin that ends the program. The program itself ends without exit handlers.
extern "C" fn ended_by_a_plugin() {
    let loaded = LOADED.try_lock();
    let loaded = loaded.iter().flat_map(|loaded| loaded.values());
    let mut ids: BTreeSet<String> = loaded.map(|module| module.manifest().id.clone()).collect();
    let what = match running().pop() {
        Some((id, doing)) => {
            let what = format!("the plugin `{id}` ended this program when it had to {doing}");
            ids = BTreeSet::from([id]);
            what
        }
        None => format!(
            "a plugin ended this program: {}",
            listed(ids.iter().map(String::as_str), "or")
        ),
    };
    let id = ids.first().map_or("ID", String::as_str);
    let hint = format!("get a newer version of it, or disable it: agent-host plugins disable {id}");
    Failure::new(Exit::Plugin, what).with_hint(hint).print(false);
    Exit::Plugin.end()
}

fn module_of(image: &Image) -> Result<PluginModule, Failure> {
    let loaded = || LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(module) = loaded().get(image.sha256()) {
        return Ok(module.clone());
    }
    if loaded().len() >= MAX_LOADED {
        let message = format!("{MAX_LOADED} versions of plugins are loaded, and none can be unloaded");
        return Err(Failure::new(Exit::Plugin, message).with_hint("restart the program"));
    }
    // Loaded without holding the lock, because constructors may take any time.
    let module = image.load()?;
    loaded().insert(image.sha256().to_owned(), module.clone());
    Ok(module)
}

/// The services for plugins: this host's log.
struct Services {
    plugin: String,
}

impl HostServices for Services {
    fn plugin(&self) -> &str {
        &self.plugin
    }

    fn log_enabled(&self, level: Level, _target: &str) -> bool {
        log::shows(&self.plugin, level)
    }

    fn log(&self, level: Level, _target: &str, message: &str, fields_json: &str) {
        let fields: Map<String, Value> = serde_json::from_str(fields_json).unwrap_or_default();
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let aside = if fields.is_empty() {
            String::new()
        } else {
            format!(" ({})", fields.join(", "))
        };
        let line = clean_line(&format!("{message}{aside}"));
        let plugin = self.plugin.as_str();
        match level {
            Level::Error => tracing::error!(target: "plugin", "{plugin}: {line}"),
            Level::Warn => tracing::warn!(target: "plugin", "{plugin}: {line}"),
            Level::Info => tracing::info!(target: "plugin", "{plugin}: {line}"),
            Level::Debug => tracing::debug!(target: "plugin", "{plugin}: {line}"),
            Level::Trace => tracing::trace!(target: "plugin", "{plugin}: {line}"),
        }
    }
}
