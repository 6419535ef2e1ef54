//! One immutable set of options, environment and connections, checked as a whole.
//!
//! In: the host's [`Config`]. Out: [`Settings`]. Every call keeps its settings to the end, so a profile can be swapped
//! while calls are in progress. Nothing here uses the network.

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
use crate::values::base_url::{DEFAULT_BASE_URL, authority_of, base_url_problem, is_in_the_clear, origin_of};

/// The environment variables for the key, in order.
const KEY_VARIABLES: [&str; 2] = ["OPENROUTER_API_KEY", "OPENROUTER_KEY"];

/// The environment variable for the key of the secondary service.
const SECONDARY_KEY_VARIABLE: &str = "OPENROUTER_SECONDARY_API_KEY";

/// Everything that a call needs besides its request.
pub struct Settings {
    pub profile: Profile,
    /// The primary service.
    pub service: Service,
    /// Used while the primary service cannot be reached.
    pub secondary: Option<Service>,
    /// One permit for each concurrent call.
    pub permits: Arc<Semaphore>,
    /// Calls that wait for a permit.
    pub n_waiting: Arc<AtomicU64>,
}

/// A service, the connections to it, and what calls to it share.
pub struct Service {
    /// Without a slash at the end.
    pub base_url: String,
    /// What sets the base URL, for people.
    pub origin: &'static str,
    /// Where chat requests go.
    pub chat_url: Url,
    pub client: reqwest::Client,
    /// Needed only for requests; see [`Settings::key`].
    pub key: Option<Key>,
    pub gate: Arc<Gate>,
}

/// The key, in both forms that are needed. It has no `Debug`.
pub struct Key {
    /// For removing the key from texts. Its memory is overwritten on drop.
    pub secret: Zeroizing<String>,
    /// `Bearer …`, marked as sensitive.
    pub header: HeaderValue,
}

impl Settings {
    /// Reads and checks a configuration. Takes over from `previous` what still fits: connections, rate-limit waits, the
    /// circuit breaker.
    ///
    /// - Errors: `config` with every problem; `auth` for a malformed key.
    pub fn from_config(config: &Config, previous: Option<&Self>) -> Result<Arc<Self>, Error> {
        let options = check::read_options(&config.options)?;
        let key = read_key(&config.environment, options.allow_any_key)?;
        let (base_url, origin) = read_base_url(&options, &config.environment)?;
        let connect_ms = options.timeouts.connect_ms;
        let keeps_connections =
            previous.is_some_and(|previous| previous.profile.options.timeouts.connect_ms == connect_ms);
        let service = Service::new(
            (base_url, origin),
            key,
            connect_ms,
            previous.map(|previous| &previous.service),
            keeps_connections,
        )?;
        let secondary = match &options.secondary {
            None => None,
            Some(secondary) => {
                let base_url = secondary.base_url.trim().trim_end_matches('/').to_owned();
                let key = read_secondary_key(&config.environment)?;
                let previous = previous.and_then(|previous| previous.secondary.as_ref());
                let base_url = (base_url, "profile `secondary.baseUrl`");
                Some(Service::new(base_url, key, connect_ms, previous, keeps_connections)?)
            }
        };
        let (permits, n_waiting) = match previous {
            Some(previous) if previous.profile.options.limits.concurrency == options.limits.concurrency => {
                (Arc::clone(&previous.permits), Arc::clone(&previous.n_waiting))
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
            .with_hint("create a key at https://openrouter.ai/settings/keys and set the variable to it")
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
        (base_url, origin): (String, &'static str),
        key: Option<Key>,
        connect_ms: u64,
        previous: Option<&Self>,
        keeps_connections: bool,
    ) -> Result<Self, Error> {
        let previous = previous.filter(|previous| previous.base_url == base_url);
        if is_in_the_clear(&base_url) && previous.is_none() {
            let origin = origin_of(&base_url);
            tracing::warn!("`allowPlainHttp`: the key and all prompts go unencrypted to {origin}");
        }
        let client = match previous {
            Some(previous) if keeps_connections => previous.client.clone(),
            _ => client(&base_url, connect_ms)?,
        };
        let secret = |key: &Option<Key>| key.as_ref().map(|key| key.secret.clone());
        let gate = match previous {
            Some(previous) if secret(&previous.key) == secret(&key) => Arc::clone(&previous.gate),
            _ => Arc::default(),
        };
        let chat_url = Url::parse(&format!("{base_url}/chat/completions"))
            .map_err(|_| Error::new(ErrorKind::CONFIG, "the base URL is not a URL"))?;
        Ok(Self {
            base_url,
            origin,
            chat_url,
            client,
            key,
            gate,
        })
    }

    /// The key's text, for removing it from other texts; empty without a key.
    pub fn secret(&self) -> &str {
        self.key.as_ref().map_or("", |key| key.secret.as_str())
    }

    /// The host and port, for messages: a path might reveal more than a log should.
    pub fn host(&self) -> &str {
        authority_of(&self.base_url)
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
    // The host says where the key came from, which need not be a variable.
    let refused = |expected: &str, hint: &str| {
        let message = format!("the key is malformed: {expected}");
        Err(Error::new(ErrorKind::AUTH, message).with_hint(hint))
    };
    let trimmed = value.trim().trim_matches(['"', '\'']).trim();
    if trimmed.len() != value.len() {
        tracing::warn!(variable, "removed blanks, quotes or line breaks around the key");
    }
    if trimmed
        .get(..7)
        .is_some_and(|start| start.eq_ignore_ascii_case("bearer "))
    {
        return refused("it begins with `Bearer`", "set the variable to the key alone");
    }
    if trimmed.contains(char::is_whitespace) {
        return refused("it contains blanks or line breaks", "copy it again, in one piece");
    }
    if is_several(trimmed) {
        return refused("it looks like several keys", "set the variable to one of them");
    }
    if !trimmed.is_ascii() || trimmed.contains(|letter: char| letter.is_ascii_control()) {
        return refused(
            "it contains characters that keys do not have",
            "copy it again, from plain text",
        );
    }
    let has_usual_form = trimmed.starts_with("sk-or-");
    if any_form && !has_usual_form {
        tracing::warn!(variable, "the key does not begin with `sk-or-` and is sent unchanged");
    }
    if !any_form && !has_usual_form {
        return refused(
            "expected it to begin with `sk-or-`",
            "check that it is an OpenRouter key, or set `allowAnyKey` in the profile",
        );
    }
    match key(trimmed) {
        Some(key) => Ok(Some(key)),
        None => refused("it cannot be sent in a header", "copy it again"),
    }
}

/// The key of the secondary service, which may have any form.
fn read_secondary_key(environment: &BTreeMap<String, String>) -> Result<Option<Key>, Error> {
    let value = environment.get(SECONDARY_KEY_VARIABLE).map(|value| value.trim());
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let refused = || {
        let message = format!(
            "the key in `{SECONDARY_KEY_VARIABLE}` is malformed: it contains blanks or characters that keys do not have"
        );
        Error::new(ErrorKind::AUTH, message).with_hint("copy one key again, in one piece")
    };
    if is_several(value) || value.contains(|letter: char| !letter.is_ascii_graphic()) {
        return Err(refused());
    }
    key(value).map(Some).ok_or_else(refused)
}

/// Whether a text looks like several keys in a row.
fn is_several(text: &str) -> bool {
    text.contains([',', ';', '|']) || text.matches("sk-or-").nth(1).is_some()
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

/// The base URL, and what sets it.
fn read_base_url(options: &Options, environment: &BTreeMap<String, String>) -> Result<(String, &'static str), Error> {
    let variable = environment.get("OPENROUTER_BASE_URL").map(|url| url.trim());
    let (url, origin) = match (&options.base_url, variable.filter(|url| !url.is_empty())) {
        (Some(url), _) => (url.trim(), "profile `baseUrl`"),
        (None, Some(url)) => (url, "variable `OPENROUTER_BASE_URL`"),
        (None, None) => (DEFAULT_BASE_URL, "the default"),
    };
    match base_url_problem(url, &options.allow_plain_http) {
        None => Ok((url.trim_end_matches('/').to_owned(), origin)),
        // The options are already checked, so this URL came from the environment.
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
    use crate::kit;

    fn settings(options: Value, environment: &[(&str, &str)]) -> Result<Arc<Settings>, Error> {
        let environment = kit::environment(environment);
        Settings::from_config(&Config { options, environment }, None)
    }

    fn refusal(options: Value, environment: &[(&str, &str)]) -> Error {
        settings(options, environment).err().expect("a refusal")
    }

    #[test]
    fn a_missing_key_names_its_variable() {
        for environment in [&[][..], &[("OPENROUTER_API_KEY", "  ")]] {
            let settings = settings(json!({}), environment).expect("settings without a key");
            let error = settings.key().err().expect("a call needs one");
            let message = "no key: the environment variable `OPENROUTER_API_KEY` is not set";
            assert_eq!((error.kind, error.message.as_str()), (ErrorKind::AUTH, message));
        }
    }

    #[test]
    fn blanks_around_a_key_are_removed() {
        let settings = settings(json!({}), &[("OPENROUTER_API_KEY", " \"sk-or-v1-abc\"\r\n")]).expect("a good key");
        let key = settings.key().expect("a key");
        let found = (key.secret.as_str(), &*format!("{:?}", key.header));
        assert_eq!(found, ("sk-or-v1-abc", "Sensitive"));
    }

    #[test]
    fn a_malformed_key_is_refused_without_being_quoted() {
        for value in [
            "Bearer sk-or-v1-abc",
            "sk-or-v1 abc",
            "sk-or-v1-äbc",
            "sk-proj-abc",
            "sk-or-v1-abc,sk-or-v1-bcd",
            "sk-or-v1-abc;",
            "sk-or-v1-abcsk-or-v1-bcd",
        ] {
            let error = refusal(json!({}), &[("OPENROUTER_API_KEY", value)]);
            let start = "the key is malformed: ";
            assert!(error.message.starts_with(start), "{error}");
            assert!(!format!("{error:?}").contains("bc"), "{error:?}");
        }
        let any = |key| settings(json!({"allowAnyKey": true}), &[("OPENROUTER_API_KEY", key)]);
        assert!(any("my-proxy-key").is_ok() && any("my-key;other-key").is_err());
        let second = ("OPENROUTER_SECONDARY_API_KEY", "one-bc,two-bc");
        let error = refusal(json!({"secondary": {"baseUrl": "https://a.example"}}), &[second]);
        assert!(!format!("{error:?}").contains("bc"), "{error:?}");
    }

    #[test]
    fn the_base_url_comes_from_the_profile_then_the_environment() {
        let environment = [
            ("OPENROUTER_KEY", "sk-or-v1-abc"),
            ("OPENROUTER_BASE_URL", "http://127.0.0.1:1/v1/"),
        ];
        let own = "https://eu.openrouter.ai/api/v1";
        for (options, expected) in [
            (json!({}), ("http://127.0.0.1:1/v1", "variable `OPENROUTER_BASE_URL`")),
            (json!({"baseUrl": own}), (own, "profile `baseUrl`")),
        ] {
            let settings = settings(options, &environment).expect("good settings");
            let Service { base_url, origin, .. } = &settings.service;
            assert_eq!((base_url.as_str(), *origin), expected);
        }
        let default = settings(json!({}), &[("OPENROUTER_BASE_URL", " ")]).expect("good settings");
        assert_eq!(default.service.origin, "the default");
    }

    #[test]
    fn a_base_url_without_tls_is_refused() {
        let environment = [
            ("OPENROUTER_KEY", "sk-or-v1-abc"),
            ("OPENROUTER_BASE_URL", "http://example.com"),
        ];
        let error = refusal(json!({}), &environment);
        assert!(error.message.starts_with("`OPENROUTER_BASE_URL`: "), "{error}");
        assert!(settings(json!({"allowPlainHttp": ["example.com"]}), &environment).is_ok());
        let error = refusal(json!({"allowPlainHttp": ["http://example.com"]}), &[]);
        assert_eq!(error.details.problems[0].pointer, "/allowPlainHttp/0");
    }
}
