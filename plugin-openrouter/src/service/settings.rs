//! One immutable set of options, environment and connection, checked as a whole.
//!
//! In: the host's [`Config`]. Out: [`Settings`], of which every call takes one and keeps it to its end, so that a
//! profile can be swapped while calls are in flight. Nothing here talks to a network.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use plugin_api::{Config, Error, ErrorKind};
use reqwest::Url;
use reqwest::header::HeaderValue;
use tokio::sync::Semaphore;
use zeroize::{Zeroize, Zeroizing};

use crate::profile::options::Options;
use crate::profile::{Profile, check};
use crate::service::client::client;
use crate::service::gate::Gate;
use crate::values::base_url::base_url_problem;

/// The variables that may hold the key, in order.
const KEY_VARIABLES: [&str; 2] = ["OPENROUTER_API_KEY", "OPENROUTER_KEY"];

/// The variable that may hold the key of the second service.
const SECONDARY_KEY_VARIABLE: &str = "OPENROUTER_SECONDARY_API_KEY";

/// Where the service is unless somebody says otherwise.
const DEFAULT_BASE_URL: &str = "https://openrouter.ai/api/v1";

/// Everything that a call needs beside its request.
pub struct Settings {
    pub profile: Profile,
    /// Where calls go.
    pub service: Service,
    /// Where they go while that one cannot be reached.
    pub secondary: Option<Service>,
    /// Calls at once.
    pub permits: Arc<Semaphore>,
    /// Calls that wait for a permit.
    pub n_waiting: Arc<AtomicU64>,
}

/// A service to ask, with the connections to it and what calls to it share.
pub struct Service {
    /// Without a slash at its end.
    pub base_url: String,
    /// Where chat requests go: parsed once.
    pub chat_url: Url,
    pub client: reqwest::Client,
    /// Without one the plugin still says what it would do; see [`Settings::key`].
    pub key: Option<Key>,
    pub gate: Arc<Gate>,
}

/// The key, in the two forms that it is needed in. It has no `Debug`.
pub struct Key {
    /// To look for it in texts that must not hold it. Its memory is overwritten when it is no longer needed.
    pub secret: Zeroizing<String>,
    /// `Bearer …`, marked as sensitive.
    pub header: HeaderValue,
}

impl Settings {
    /// Reads and checks a configuration. What belongs to a service and a key is kept from `former` where it still fits:
    /// connections, waits, the circuit.
    ///
    /// - Errors: `config` with every problem; `auth` for a key that cannot be one.
    pub fn from_config(config: &Config, former: Option<&Self>) -> Result<Arc<Self>, Error> {
        let options = check::read_options(&config.options)?;
        let key = read_key(&config.environment, options.allow_any_key)?;
        let base_url = read_base_url(&options, &config.environment)?;
        let connect_ms = options.timeouts.connect_ms;
        let keeps_connections = former.is_some_and(|former| former.profile.options.timeouts.connect_ms == connect_ms);
        let service = Service::new(
            base_url,
            key,
            connect_ms,
            former.map(|former| &former.service),
            keeps_connections,
        )?;
        let secondary = match &options.secondary {
            None => None,
            Some(secondary) => {
                let base_url = secondary.base_url.trim().trim_end_matches('/').to_owned();
                let key = read_secondary_key(&config.environment)?;
                let former = former.and_then(|former| former.secondary.as_ref());
                Some(Service::new(base_url, key, connect_ms, former, keeps_connections)?)
            }
        };
        let (permits, n_waiting) = match former {
            Some(former) if former.profile.options.limits.concurrency == options.limits.concurrency => {
                (Arc::clone(&former.permits), Arc::clone(&former.n_waiting))
            }
            _ => {
                let at_once = usize::try_from(options.limits.concurrency).unwrap_or(Semaphore::MAX_PERMITS);
                (Arc::new(Semaphore::new(at_once)), Arc::default())
            }
        };
        Ok(Arc::new(Self {
            profile: Profile {
                options,
                environment: config.environment.clone(),
            },
            service,
            secondary,
            permits,
            n_waiting,
        }))
    }

    /// The key.
    ///
    /// - Errors: `auth` if there is none.
    pub fn key(&self) -> Result<&Key, Error> {
        self.service.key.as_ref().ok_or_else(|| {
            let variable = KEY_VARIABLES[0];
            Error::new(
                ErrorKind::AUTH,
                format!("no key: the environment variable `{variable}` is not set"),
            )
            .with_hint("make a key at https://openrouter.ai/settings/keys and set the variable to it")
        })
    }
}

impl Drop for Settings {
    fn drop(&mut self) {
        for name in KEY_VARIABLES.iter().chain([&SECONDARY_KEY_VARIABLE]) {
            if let Some(value) = self.profile.environment.get_mut(*name) {
                value.zeroize();
            }
        }
    }
}

impl Service {
    fn new(
        base_url: String,
        key: Option<Key>,
        connect_ms: u64,
        former: Option<&Self>,
        keeps_connections: bool,
    ) -> Result<Self, Error> {
        let former = former.filter(|former| former.base_url == base_url);
        let client = match former {
            Some(former) if keeps_connections => former.client.clone(),
            _ => client(&base_url, connect_ms)?,
        };
        let secret = |key: &Option<Key>| key.as_ref().map(|key| key.secret.clone());
        let gate = match former {
            Some(former) if secret(&former.key) == secret(&key) => Arc::clone(&former.gate),
            _ => Arc::default(),
        };
        let chat_url = Url::parse(&format!("{base_url}/chat/completions"))
            .map_err(|_| Error::new(ErrorKind::CONFIG, "the address of the service is not one"))?;
        Ok(Self {
            base_url,
            chat_url,
            client,
            key,
            gate,
        })
    }

    /// The key's text, for taking it out of what must not hold it; empty without a key.
    pub fn secret(&self) -> &str {
        self.key.as_ref().map_or("", |key| key.secret.as_str())
    }

    /// The host and port, for people: without a path, which might say more than a log should.
    pub fn host(&self) -> &str {
        let rest = self
            .base_url
            .split_once("://")
            .map_or(&*self.base_url, |(_, rest)| rest);
        rest.split('/').next().unwrap_or(rest)
    }
}

fn read_key(environment: &BTreeMap<String, String>, any_form: bool) -> Result<Option<Key>, Error> {
    let found = KEY_VARIABLES.iter().find_map(|name| {
        let value = environment.get(*name)?;
        (!value.trim().is_empty()).then_some((*name, value))
    });
    let Some((variable, value)) = found else {
        return Ok(None);
    };
    let refused = |expected: &str, hint: &str| {
        Err(Error::new(
            ErrorKind::AUTH,
            format!("the key in `{variable}` cannot be one: {expected}"),
        )
        .with_hint(hint))
    };
    let trimmed = value.trim().trim_matches(['"', '\'']).trim();
    if trimmed.len() != value.len() {
        tracing::warn!(
            variable,
            "the key had blanks, quotes or line breaks around it; they were taken off"
        );
    }
    if trimmed
        .get(..7)
        .is_some_and(|start| start.eq_ignore_ascii_case("bearer "))
    {
        return refused("it begins with `Bearer`", "give the key alone");
    }
    if trimmed.contains(char::is_whitespace) {
        return refused("it has blanks or line breaks inside", "copy it again, in one piece");
    }
    if !trimmed.is_ascii() || trimmed.contains(|letter: char| letter.is_ascii_control()) {
        return refused(
            "it has characters that no key has",
            "copy it again; was it copied from a formatted text?",
        );
    }
    let has_usual_form = trimmed.starts_with("sk-or-");
    if any_form && !has_usual_form {
        tracing::warn!(variable, "the key does not begin with `sk-or-`; it is sent as it is");
    }
    if !any_form && !has_usual_form {
        return refused(
            "expected it to begin with `sk-or-`",
            "is it the key of another service? If it is right as it is: `allowAnyKey` in the profile allows it",
        );
    }
    match key(trimmed) {
        Some(key) => Ok(Some(key)),
        None => refused("it cannot be sent in a header", "copy it again"),
    }
}

/// The key of the second service, whose form nobody here knows.
fn read_secondary_key(environment: &BTreeMap<String, String>) -> Result<Option<Key>, Error> {
    let value = environment.get(SECONDARY_KEY_VARIABLE).map(|value| value.trim());
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let refused = || {
        let message =
            format!("the key in `{SECONDARY_KEY_VARIABLE}` cannot be one: it has blanks or characters that no key has");
        Error::new(ErrorKind::AUTH, message).with_hint("copy it again, in one piece")
    };
    if value.contains(|letter: char| !letter.is_ascii_graphic()) {
        return Err(refused());
    }
    key(value).map(Some).ok_or_else(refused)
}

fn key(secret: &str) -> Option<Key> {
    let text = Zeroizing::new(format!("Bearer {secret}"));
    let mut header = HeaderValue::from_str(&text).ok()?;
    header.set_sensitive(true);
    Some(Key {
        secret: Zeroizing::new(secret.to_owned()),
        header,
    })
}

fn read_base_url(options: &Options, environment: &BTreeMap<String, String>) -> Result<String, Error> {
    let from_environment = || {
        environment
            .get("OPENROUTER_BASE_URL")
            .filter(|url| !url.trim().is_empty())
    };
    let url = options
        .base_url
        .as_ref()
        .or_else(from_environment)
        .map_or(DEFAULT_BASE_URL, |url| url.trim());
    match base_url_problem(url) {
        None => Ok(url.trim_end_matches('/').to_owned()),
        // The options were checked before, so this one came from the environment.
        Some(problem) => {
            let mut error = Error::new(ErrorKind::CONFIG, format!("`OPENROUTER_BASE_URL`: {}", problem.message));
            error.details.hint = problem.hint;
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn settings(options: Value, environment: &[(&str, &str)]) -> Result<Arc<Settings>, Error> {
        let environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Settings::from_config(&Config { options, environment }, None)
    }

    fn refusal(options: Value, environment: &[(&str, &str)]) -> Error {
        settings(options, environment).err().expect("a refusal")
    }

    #[test]
    fn a_missing_key_names_its_variable() {
        for environment in [&[][..], &[("OPENROUTER_API_KEY", "  ")]] {
            let settings = settings(json!({}), environment).expect("a key is not needed to be created");
            let error = settings.key().err().expect("a call needs one");
            assert_eq!(error.kind, ErrorKind::AUTH);
            assert_eq!(
                error.message,
                "no key: the environment variable `OPENROUTER_API_KEY` is not set"
            );
        }
    }

    #[test]
    fn blanks_around_a_key_are_taken_off() {
        let settings = settings(json!({}), &[("OPENROUTER_API_KEY", " \"sk-or-v1-abc\"\r\n")]).expect("a good key");
        let key = settings.key().expect("a key");
        assert_eq!(
            (key.secret.as_str(), format!("{:?}", key.header).as_str()),
            ("sk-or-v1-abc", "Sensitive")
        );
    }

    #[test]
    fn what_cannot_be_a_key_is_refused_without_being_quoted() {
        for value in ["Bearer sk-or-v1-abc", "sk-or-v1 abc", "sk-or-v1-äbc", "sk-proj-abc"] {
            let error = refusal(json!({}), &[("OPENROUTER_API_KEY", value)]);
            assert!(
                error
                    .message
                    .starts_with("the key in `OPENROUTER_API_KEY` cannot be one: "),
                "{error}"
            );
            assert!(!format!("{error:?}").contains("bc"), "{error:?}");
        }
        assert!(settings(json!({"allowAnyKey": true}), &[("OPENROUTER_API_KEY", "my-proxy-key")]).is_ok());
    }

    #[test]
    fn the_profile_moves_the_service_before_the_environment_does() {
        let environment = [
            ("OPENROUTER_KEY", "sk-or-v1-abc"),
            ("OPENROUTER_BASE_URL", "http://127.0.0.1:1/v1/"),
        ];
        let url = |options| {
            settings(options, &environment)
                .expect("good settings")
                .service
                .base_url
                .clone()
        };
        assert_eq!(url(json!({})), "http://127.0.0.1:1/v1");
        assert_eq!(
            url(json!({"baseUrl": "https://eu.openrouter.ai/api/v1"})),
            "https://eu.openrouter.ai/api/v1"
        );
    }

    #[test]
    fn a_service_that_would_see_the_key_in_the_clear_is_refused() {
        let error = refusal(
            json!({}),
            &[
                ("OPENROUTER_API_KEY", "sk-or-v1-abc"),
                ("OPENROUTER_BASE_URL", "http://example.com"),
            ],
        );
        assert!(error.message.starts_with("`OPENROUTER_BASE_URL`: "), "{error}");
    }
}
