//! Who may ask. Pure: a request's head in, a verdict out.
//!
//! Every web page that the owner opens can reach a port on this machine. So the `Host` of a request must be one of this
//! endpoint's names (or a page could resolve its own name to this machine), the page's origin must be allowed, and the
//! caller must know the token. Names and origins are compared whole, never by prefix.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode, Uri};
use subtle::ConstantTimeEq;

use super::error_object::MISSING_KEY;
use super::problem::Problem;
use super::route::{NoRoute, Route};
use crate::setup::Secret;

/// What the endpoint was started with.
pub struct Rules {
    pub address: IpAddr,
    pub port: u16,
    /// In lower case.
    pub allowed_hosts: Vec<String>,
    /// In lower case.
    pub cors_origins: Vec<String>,
    /// `None`: anybody may ask.
    pub token: ArcSwapOption<Secret>,
}

/// The decision about a request.
#[derive(Debug)]
pub struct Verdict {
    /// The web page's origin, where it is one that was allowed.
    pub cors_origin: Option<HeaderValue>,
    pub outcome: Result<Passed, Problem>,
}

/// A request that may be answered.
#[derive(Debug, PartialEq)]
pub enum Passed {
    /// A browser asks whether it may ask.
    Preflight(&'static [Method]),
    Request {
        route: Route,
        /// Whether the token came with it, or none is needed, and it names a host of this endpoint.
        is_known: bool,
    },
}

/// The headers that hold a credential, beside `authorization`.
pub const KEY_HEADERS: [HeaderName; 2] = [HeaderName::from_static("x-api-key"), HeaderName::from_static("api-key")];

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

impl Rules {
    /// - In: `keys`, which are tokens as well; `route`, where the path leads.
    pub fn judge(
        &self,
        keys: &[Arc<Secret>],
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        route: Result<Route, NoRoute>,
    ) -> Verdict {
        let refused = |problem| Verdict {
            cors_origin: None,
            outcome: Err(problem),
        };
        let host = match self.host(uri, headers) {
            Ok(host) => Some(host),
            // A probe asks by the address that it knows, or names none. No page has this origin.
            Err(_) if route == Ok(Route::Health) => None,
            Err(problem) => return refused(problem),
        };
        match self.origin(host.as_deref().unwrap_or_default(), headers) {
            Ok(cors_origin) => Verdict {
                outcome: self.request(keys, method, headers, route, host.as_deref(), cors_origin.is_some()),
                cors_origin,
            },
            Err(problem) => refused(problem),
        }
    }

    fn request(
        &self,
        keys: &[Arc<Secret>],
        method: &Method,
        headers: &HeaderMap,
        route: Result<Route, NoRoute>,
        host: Option<&str>,
        is_cors: bool,
    ) -> Result<Passed, Problem> {
        if let (true, true, Ok(route)) = (method == Method::OPTIONS, is_cors, &route) {
            return Ok(Passed::Preflight(route.methods()));
        }
        let is_known = match self.credential(keys, headers) {
            // A request under a foreign name could come from a web page.
            Ok(()) => host.is_some(),
            Err(_) if route == Ok(Route::Health) => false,
            // A wrong token is refused all the same: clients try a token with the list of models.
            Err(problem) if problem.word == MISSING_KEY && self.shows_anybody(&route, method, host) => false,
            Err(problem) => return Err(problem),
        };
        let route = route.map_err(|no_route| match no_route {
            NoRoute::Unclear => Problem::bad_request("the path is ambiguous")
                .with_hint("remove empty segments, dot segments and control characters"),
            NoRoute::Unknown => Problem::not_found("no such path")
                .with_hint("use a path under `/v1`, such as `/v1/chat/completions`; `GET /` lists them"),
        })?;
        if is_websocket(headers) {
            // Clients that try a websocket first go on without one at once.
            let message = "expected a plain HTTP request, found the upgrade to a websocket";
            return Err(Problem::new(StatusCode::UPGRADE_REQUIRED, "upgrade_required", message)
                .with_hint("use `POST` with `\"stream\": true`")
                .with_header(header::UPGRADE, HeaderValue::from_static("HTTP/1.1")));
        }
        let methods = route.methods();
        if !methods.contains(method) {
            let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
            let allowed = names.join(", ");
            let message = format!("this path supports only {allowed}");
            let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message);
            let allow = HeaderValue::from_str(&allowed).unwrap_or(HeaderValue::from_static("GET"));
            return Err(problem.with_header(header::ALLOW, allow));
        }
        if [Method::POST, Method::PUT, Method::PATCH].contains(method) && !is_json(headers) {
            // Browsers let any page send forms and plain text without a preflight, but not JSON.
            let message =
                "expected exactly one `content-type` header with `application/json`: this endpoint accepts only JSON";
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                message,
            ));
        }
        Ok(Passed::Request { route, is_known })
    }

    /// Whether a request needs no token. Another name than this machine's may be one that the whole world reaches.
    fn shows_anybody(&self, route: &Result<Route, NoRoute>, method: &Method, host: Option<&str>) -> bool {
        let is_local = self.address.is_loopback() && host.is_some_and(|host| !self.is_allowed(host));
        is_local && [Method::GET, Method::HEAD].contains(method) && route.as_ref().is_ok_and(Route::is_public)
    }

    /// The name that the request is for, as it was sent.
    fn host(&self, uri: &Uri, headers: &HeaderMap) -> Result<String, Problem> {
        let mut sent = headers.get_all(header::HOST).iter();
        let (Some(host), None) = (sent.next(), sent.next()) else {
            return Err(Problem::bad_request("expected exactly one `Host` header"));
        };
        let misdirected = || {
            Problem::new(
                StatusCode::MISDIRECTED_REQUEST,
                "misdirected_request",
                "the request names a host that this endpoint does not serve",
            )
            .with_hint("use `localhost` and the endpoint's port, or allow another name with `--allow-host NAME`")
        };
        let host = host.to_str().map_err(|_| misdirected())?.to_ascii_lowercase();
        if !self.is_own(&host) {
            return Err(misdirected());
        }
        // An absolute target, as sent through a proxy, names the host as well.
        match (uri.scheme_str(), uri.authority()) {
            (None, None) => Ok(host),
            (Some("http"), Some(authority)) if authority.as_str().eq_ignore_ascii_case(&host) => Ok(host),
            _ => Err(misdirected()),
        }
    }

    /// Whether this is `NAME:PORT` of this endpoint, in lower case.
    fn is_own(&self, host: &str) -> bool {
        if self.is_allowed(host) {
            return true;
        }
        let Some((name, port)) = name_and_port(host) else {
            return false;
        };
        let is_port = port == Some(self.port) || (port.is_none() && self.port == 80);
        let is_bound = !self.address.is_unspecified()
            && match self.address {
                IpAddr::V4(address) => name == address.to_string(),
                IpAddr::V6(address) => name == format!("[{address}]"),
            };
        is_port && (is_bound || ["localhost", "127.0.0.1", "[::1]"].contains(&name))
    }

    /// Whether it has a name that was allowed, in lower case.
    fn is_allowed(&self, host: &str) -> bool {
        name_and_port(host).is_some_and(|(name, _)| self.allowed_hosts.iter().any(|allowed| allowed == name))
    }

    /// Whether the web page that sent the request may do so, if one did.
    ///
    /// - Out: its origin, where it was allowed by name.
    fn origin(&self, host: &str, headers: &HeaderMap) -> Result<Option<HeaderValue>, Problem> {
        let refused = || {
            Problem::new(
                StatusCode::FORBIDDEN,
                "forbidden_origin",
                "web pages of this origin may not send requests",
            )
            .with_hint("if you trust the origin, allow it with `--cors-origin ORIGIN`")
        };
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let origin = match (origins.next(), origins.next()) {
            (origin, None) => origin,
            _ => return Err(refused()),
        };
        if let Some(origin) = origin {
            let text = origin.to_str().map_err(|_| refused())?;
            if self.cors_origins.iter().any(|allowed| allowed == text) {
                return Ok(Some(origin.clone()));
            }
            if text.strip_prefix("http://") != Some(host) {
                return Err(refused());
            }
        }
        let mut sites = headers.get_all(SEC_FETCH_SITE).iter();
        if sites.any(|site| !matches!(site.as_bytes(), b"same-origin" | b"none")) {
            return Err(refused());
        }
        Ok(None)
    }

    fn credential(&self, keys: &[Arc<Secret>], headers: &HeaderMap) -> Result<(), Problem> {
        let Some(token) = self.token.load_full() else {
            return Ok(());
        };
        let refused = |word, message: &str| {
            // Claude Code replaces a message that names its header by advice to log in.
            Problem::new(StatusCode::UNAUTHORIZED, word, message)
                .with_hint("send the endpoint's token: `Authorization: Bearer TOKEN`")
                .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
        };
        let (mut is_sent, mut is_right) = (false, false);
        for name in [&header::AUTHORIZATION].into_iter().chain(&KEY_HEADERS) {
            let mut values = headers.get_all(name).iter();
            let Some(value) = values.next() else { continue };
            if values.next().is_some() {
                return Err(Problem::bad_request("a header with a credential occurs several times"));
            }
            is_sent = true;
            let sent = if name == header::AUTHORIZATION {
                bearer(value.as_bytes()).unwrap_or_default()
            } else {
                value.as_bytes().trim_ascii()
            };
            // Compare with all of them, so that the time reveals nothing.
            for secret in [&token].into_iter().chain(keys) {
                is_right |= !secret.is_blank() & bool::from(sent.ct_eq(secret.reveal().as_bytes()));
            }
        }
        match (is_right, is_sent) {
            (true, _) => Ok(()),
            (false, true) => Err(refused("auth", "the token does not match this endpoint's")),
            (false, false) => Err(refused(MISSING_KEY, "the request has no token")),
        }
    }
}

/// The name and the port of a host; `None` if the port is none.
fn name_and_port(host: &str) -> Option<(&str, Option<u16>)> {
    match host.rsplit_once(':') {
        // An IPv6 address has its colons in brackets.
        Some((name, port)) if !port.ends_with(']') => Some((name, Some(decimal_port(port)?))),
        _ => Some((host, None)),
    }
}

fn is_websocket(headers: &HeaderMap) -> bool {
    let mut upgrades = headers.get_all(header::UPGRADE).iter();
    upgrades.any(|upgrade| upgrade.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// A port as in a header: digits only.
fn decimal_port(text: &str) -> Option<u16> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    is_number.then(|| text.parse().ok()).flatten()
}

/// The token after `Bearer`.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(6)?;
    let token = rest.strip_prefix(b" ")?.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"bearer") && !token.is_empty()).then_some(token)
}

fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(sent), None) = (types.next(), types.next()) else {
        return false;
    };
    let essence = sent.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"application/json") && !sent.as_bytes().contains(&b',')
}

#[cfg(test)]
mod tests;
