//! Loads a plugin's code, and gives it this host's log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, Once, PoisonError};

use plugin_api::loader::{self, Image};
use plugin_api::{Config, HostServices, Level, Plugin, PluginModule};
use serde_json::{Map, Value};

use super::bounded::{LIMIT, bounded, running};
use super::log;
use super::protect::WipedConfig;
use crate::terminal::{Exit, Failure, claim_stdout, clean_line, listed};

/// The maximum number of plugins, old versions included, that one process loads: none is ever unloaded.
const MAX_LOADED: usize = 64;

/// What this process has loaded, by the SHA-256 of its bytes.
static LOADED: Mutex<BTreeMap<String, PluginModule>> = Mutex::new(BTreeMap::new());

/// Loads a plugin's code, unless these bytes are loaded already, and makes an instance of it. From then on, standard
/// output belongs to the host alone.
pub fn create(image: Image, config: &Config) -> Result<Plugin, Failure> {
    claim_stdout().map_err(|cause| Failure::internal(format!("cannot keep stdout: {cause}")))?;
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| loader::on_exit(ended_by_a_plugin));
    let id = image.manifest().id.clone();
    let services = Arc::new(Services { plugin: id.clone() });
    let config = WipedConfig(config.clone());
    bounded(&id, "be created", LIMIT, move || {
        Ok(module_of(&image)?.create(services, &config)?)
    })?
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
