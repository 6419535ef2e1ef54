//! An instance to check, and calls on it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use plugin_api::{
    BoxFuture, Config, Error, ErrorKind, HostServices, Level, Payload, Plugin, PluginModule, Role, method,
};
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Outcome, Seen, shown};

/// How long a call may take that need not end.
const PATIENCE: Duration = Duration::from_secs(1);
/// Most events that are read of one stream.
const MAX_EVENTS: usize = 1000;
/// The number of an error kind that no version of plugin-api has.
const UNKNOWN_KIND: u32 = 4711;

/// A module, and what its instances are created with.
pub struct Bench<'a> {
    pub module: &'a PluginModule,
    /// As few as the schema allows.
    pub options: Map<String, Value>,
    environment: BTreeMap<String, String>,
    /// Connections are accepted by the system, and never read.
    _service: Option<TcpListener>,
}

impl<'a> Bench<'a> {
    pub fn new(module: &'a PluginModule) -> Result<Self, String> {
        let manifest = module.manifest();
        let has_address = manifest
            .environment
            .iter()
            .any(|variable| variable.role == Role::Endpoint);
        let service = has_address
            .then(|| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok())
            .flatten();
        let address = service.as_ref().and_then(|service| service.local_addr().ok());
        let mut environment = BTreeMap::new();
        for variable in address.iter().flat_map(|_| &manifest.environment) {
            let value = match (variable.role, address) {
                (Role::Endpoint, Some(address)) => format!("http://{address}"),
                (Role::Key, _) => variable.prefix.clone().unwrap_or_default() + "made-up-to-verify-a-plugin",
                _ => continue,
            };
            environment.insert(variable.name.clone(), value);
        }
        Ok(Self {
            module,
            options: fewest_options(manifest.options_schema.as_ref())?,
            environment,
            _service: service,
        })
    }

    /// With these options, and a made-up key where that is safe.
    pub fn config(&self, options: Value) -> Config {
        Config {
            options,
            environment: self.environment.clone(),
        }
    }

    pub fn try_create(&self, config: &Config) -> Result<Plugin, Error> {
        self.module
            .create(Arc::new(Stranger(self.module.manifest().id.clone())), config)
    }

    pub fn create(&self) -> Result<Plugin, String> {
        let config = self.config(Value::Object(self.options.clone()));
        let created = self.try_create(&config).or_else(|error| match error.kind {
            // The made-up key may not have the right form.
            ErrorKind::AUTH => self.try_create(&Config {
                environment: BTreeMap::new(),
                ..config
            }),
            _ => Err(error),
        });
        created.map_err(|error| format!("expected an instance, found {}", shown(&error)))
    }

    pub fn create_without_key(&self) -> Outcome {
        let mut tried = vec![Value::Object(self.options.clone())];
        // What a host passes that has no profile.
        tried.extend(self.options.is_empty().then_some(Value::Null));
        for options in tried {
            let form = if options.is_null() {
                "without"
            } else {
                "with the fewest"
            };
            let config = Config {
                options,
                environment: BTreeMap::new(),
            };
            self.try_create(&config).map_err(|error| {
                format!(
                    "expected an instance without a key and {form} options, found {}",
                    shown(&error)
                )
            })?;
        }
        Ok(Seen::Ok("an instance needs no key".to_owned()))
    }

    /// The methods to try: those of the manifest, and those of every provider.
    pub fn methods(&self) -> Vec<&str> {
        let mut methods: Vec<&str> = vec![method::CHAT, method::STREAM];
        let named = self.module.manifest().methods.iter().map(String::as_str);
        methods.extend(named.filter(|name| ![method::CHAT, method::STREAM].contains(name)));
        methods
    }
}

/// The required options alone, each with a value that the schema itself gives.
fn fewest_options(schema: Option<&Value>) -> Result<Map<String, Value>, String> {
    let Some(schema) = schema else { return Ok(Map::new()) };
    let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
    required
        .iter()
        .filter_map(Value::as_str)
        .map(|name| {
            let option = &schema["properties"][name];
            let given = [
                &option["default"],
                &option["const"],
                &option["examples"][0],
                &option["enum"][0],
            ];
            let value = given.into_iter().find(|value| !value.is_null()).ok_or_else(|| {
                format!(
                    "expected a `default` or `examples` for the required option `/{name}` in the schema, found neither"
                )
            })?;
            Ok((name.to_owned(), value.clone()))
        })
        .collect()
}

/// A host from the future: it answers every call with an error kind that no plugin knows yet.
struct Stranger(String);

impl HostServices for Stranger {
    fn plugin(&self) -> &str {
        &self.0
    }

    fn log_enabled(&self, _level: Level, _target: &str) -> bool {
        false
    }

    fn call<'a>(&'a self, _method: &'a str, _payload: Payload) -> BoxFuture<'a, Result<Payload, Error>> {
        let error = Error::new(ErrorKind::from_number(UNKNOWN_KIND), "an error of a later version");
        Box::pin(std::future::ready(Err(error)))
    }
}

/// A call by name.
#[derive(Clone)]
pub struct Call {
    pub method: String,
    pub payload: Payload,
    /// Whether it asks for a stream.
    pub opens: bool,
}

impl Call {
    /// The same call, answered once and with a stream.
    pub fn both(method: &str, payload: &Payload) -> [Self; 2] {
        [false, true].map(|opens| Self {
            method: method.to_owned(),
            payload: payload.clone(),
            opens,
        })
    }

    async fn made(self, plugin: Plugin) -> Result<(), Error> {
        if !self.opens {
            return plugin.call(&self.method, self.payload).await.map(drop);
        }
        let mut events = plugin.open(&self.method, self.payload).await?;
        for _ in 0..MAX_EVENTS {
            match events.next().await {
                Some(event) => drop(event?),
                None => break,
            }
        }
        Ok(())
    }
}

/// What became of a call.
pub enum State {
    Answered,
    Failed(Error),
    Waiting,
}

impl State {
    pub fn kind(&self) -> Option<ErrorKind> {
        match self {
            Self::Failed(error) => Some(error.kind),
            Self::Answered | Self::Waiting => None,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered => f.write_str("an answer"),
            Self::Failed(error) => f.write_str(&shown(error)),
            Self::Waiting => f.write_str("no answer yet"),
        }
    }
}

/// Makes all calls at once, and gives up those that wait.
pub async fn states(plugin: &Plugin, calls: Vec<Call>) -> Vec<State> {
    let mut tasks = JoinSet::new();
    for (number, call) in calls.into_iter().enumerate() {
        let plugin = plugin.clone();
        tasks.spawn(async move {
            let state = match timeout(PATIENCE, call.made(plugin)).await {
                Ok(Ok(())) => State::Answered,
                Ok(Err(error)) => State::Failed(error),
                Err(_) => State::Waiting,
            };
            (number, state)
        });
    }
    let mut states = tasks.join_all().await;
    states.sort_unstable_by_key(|(number, _)| *number);
    states.into_iter().map(|(_, state)| state).collect()
}

/// A request of one message.
pub fn hello() -> Value {
    json!({"messages": [{"role": "user", "content": "Hello"}]})
}
