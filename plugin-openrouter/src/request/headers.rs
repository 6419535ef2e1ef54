//! The headers of a call's requests: attribution, and those of the caller's headers that the service understands.
//!
//! In: the caller's headers, the profile, the environment. Out: the headers to send. Pure.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use plugin_api::{Error, ErrorKind, HttpRequest};

use crate::profile::Profile;
use crate::request::{Ask, Dialect};

/// Headers that are passed on to the service, besides those that start with [`OWN_PREFIX`].
const HEADERS: [&str; 6] = [
    "http-referer",
    "x-title",
    "x-session-id",
    "x-anthropic-beta",
    "anthropic-beta",
    "anthropic-version",
];

/// Prefix of the service's own headers.
const OWN_PREFIX: &str = "x-openrouter-";

/// The most attempts for a client that retries by itself, whose tries would otherwise multiply with those here.
///
/// Such clients count their tries even if they are set never to retry, so the first try keeps one retry.
// Source: the SDKs of OpenAI and Anthropic send `x-stainless-retry-count`.
pub fn max_attempts(http: &HttpRequest) -> Option<u64> {
    let counts = |name: &str| name.to_ascii_lowercase().ends_with("retry-count");
    let (_, count) = http.headers.iter().find(|(name, _)| counts(name))?;
    let n_retries: u64 = count.trim().parse().ok()?;
    Some(if n_retries == 0 { 2 } else { 1 })
}

/// The caller's headers that are passed on to the service.
///
/// - Errors: `invalid_request` for a value that HTTP does not allow.
pub fn from_caller(http: &HttpRequest, dialect: Dialect) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    for (name, value) in &http.headers {
        let name = name.to_ascii_lowercase();
        let is_content = dialect == Dialect::Other && matches!(name.as_str(), "content-type" | "accept");
        if !(HEADERS.contains(&name.as_str()) || name.starts_with(OWN_PREFIX) || is_content) {
            continue;
        }
        let refused = |_| {
            let message = format!(
                "the header `{}` has a value that HTTP does not allow",
                name.escape_debug()
            );
            Error::new(ErrorKind::INVALID_REQUEST, message)
        };
        // A header that occurs several times is sent once, with all its values.
        let value = match headers.get(&name).and_then(|earlier| earlier.to_str().ok()) {
            Some(earlier) => HeaderValue::from_bytes(format!("{earlier}, {value}").as_bytes()),
            None => HeaderValue::from_bytes(value.as_bytes()),
        };
        let value = value.map_err(refused)?;
        if let Ok(name) = HeaderName::try_from(name.as_str()) {
            headers.insert(name, value);
        }
    }
    // The title has two names. Setting both keeps the profile's title from being sent beside the caller's.
    for (given, missing) in [("x-title", "x-openrouter-title"), ("x-openrouter-title", "x-title")] {
        if let (Some(title), None) = (headers.get(given).cloned(), headers.get(missing)) {
            headers.insert(HeaderName::from_static(missing), title);
        }
    }
    Ok(headers)
}

/// The content type of the body: the caller's for a body that is passed on, else JSON.
pub fn content_type(ask: &Ask) -> HeaderValue {
    let given = ask.headers.get(header::CONTENT_TYPE).filter(|_| ask.body.is_some());
    given.cloned().unwrap_or(HeaderValue::from_static("application/json"))
}

/// The headers of a call: attribution from the call, else the profile, else the environment; then the caller's headers.
///
/// - Errors: `invalid_request` for an attribution that HTTP does not allow in a header.
pub fn headers(profile: &Profile, ask: &Ask) -> Result<HeaderMap, Error> {
    let called = ask.request.attribution.clone().unwrap_or_default();
    let configured = profile.options.attribution.clone();
    let from_environment = |name: &str| profile.variable(name).map(str::to_owned);
    let site_url = called
        .site_url
        .or(configured.site_url)
        .or_else(|| from_environment("OPENROUTER_SITE_URL"));
    let app_name = called
        .app_name
        .or(configured.app_name)
        .or_else(|| from_environment("OPENROUTER_SITE_NAME"));
    let categories = if called.categories.is_empty() {
        configured.categories
    } else {
        called.categories
    };
    let mut headers = HeaderMap::new();
    let mut add = |name: &'static str, value: &str| -> Result<(), Error> {
        let value = HeaderValue::from_str(value).map_err(|_| {
            Error::new(
                ErrorKind::INVALID_REQUEST,
                format!("the attribution for the header `{name}` has a value that HTTP does not allow"),
            )
        })?;
        headers.insert(HeaderName::from_static(name), value);
        Ok(())
    };
    if let Some(url) = site_url {
        add("http-referer", &url)?;
    }
    if let Some(name) = app_name {
        add("x-openrouter-title", &name)?;
        // The older name of the same header, for compatible services.
        add("x-title", &name)?;
    }
    if !categories.is_empty() {
        add("x-openrouter-categories", &categories.join(","))?;
    }
    for (name, value) in &ask.headers {
        headers.insert(name, value.clone());
    }
    Ok(headers)
}
