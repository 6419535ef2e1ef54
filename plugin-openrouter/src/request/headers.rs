//! The headers of a call's requests: who is asking, and what the caller says to the service.
//!
//! In: the caller's headers, the profile, the environment. Out: the headers that go to the service. Pure.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use plugin_api::{Error, ErrorKind, HttpRequest};

use crate::profile::Profile;
use crate::request::{Ask, Dialect};

/// Headers of the caller that mean something to the service, beside those that begin with [`OWN_PREFIX`].
const HEADERS: [&str; 6] = [
    "http-referer",
    "x-title",
    "x-session-id",
    "x-anthropic-beta",
    "anthropic-beta",
    "anthropic-version",
];

/// What the names of the service's own headers begin with.
const OWN_PREFIX: &str = "x-openrouter-";

/// The caller's headers that go to the service.
///
/// - Errors: `invalid_request` for a value that cannot be sent in a header.
pub fn from_caller(http: &HttpRequest, dialect: Dialect) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    for (name, value) in &http.headers {
        let name = name.to_ascii_lowercase();
        let is_content = dialect == Dialect::Other && matches!(name.as_str(), "content-type" | "accept");
        if !(HEADERS.contains(&name.as_str()) || name.starts_with(OWN_PREFIX) || is_content) {
            continue;
        }
        let refused = |_| {
            let message = format!("the value of the header `{}` cannot be sent", name.escape_debug());
            Error::new(ErrorKind::INVALID_REQUEST, message)
        };
        // A header that comes several times says everything that it says, and goes on as one.
        let value = match headers.get(&name).and_then(|said| said.to_str().ok()) {
            Some(said) => HeaderValue::from_bytes(format!("{said}, {value}").as_bytes()),
            None => HeaderValue::from_bytes(value.as_bytes()),
        };
        let value = value.map_err(refused)?;
        if let Ok(name) = HeaderName::try_from(name.as_str()) {
            headers.insert(name, value);
        }
    }
    // Its two names are one header, and the profile's may not stand beside the caller's.
    for (said, silent) in [("x-title", "x-openrouter-title"), ("x-openrouter-title", "x-title")] {
        if let (Some(title), None) = (headers.get(said).cloned(), headers.get(silent)) {
            headers.insert(HeaderName::from_static(silent), title);
        }
    }
    Ok(headers)
}

/// The content type of a body.
pub fn content_type(ask: &Ask) -> HeaderValue {
    let given = ask.headers.get(header::CONTENT_TYPE).filter(|_| ask.body.is_some());
    given.cloned().unwrap_or(HeaderValue::from_static("application/json"))
}

/// The attribution headers: the call's before the profile's before the environment's.
///
/// - Errors: `invalid_request` for a value of the call that cannot be sent in a header.
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
                format!("the attribution for `{name}` cannot be sent in a header"),
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
        // The former name of the same header, for services that stand in for this one.
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
