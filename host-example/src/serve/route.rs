//! Which part of the endpoint a request is for. Pure.
//!
//! In: a path as it was sent. Out: a [`Route`]. Requests that the host does not answer go to the plugin with their
//! path unchanged, so an ambiguous path, which another program could read differently, is refused.

use hyper::Method;
use hyper::http::uri::PathAndQuery;

/// What a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// A page that says what this is.
    Home,
    Health,
    Metrics,
    /// The list of models, with the tiers behind it.
    Models {
        force: bool,
        /// The query for the service, without `force`.
        filters: Option<String>,
    },
    /// A model of that list, by its id.
    Model {
        id: String,
        /// Whether the entry is the member `data` of the answer, as in the service's own path for one model.
        is_data: bool,
    },
    /// What is left to spend, in the form of LibreChat.
    Credits {
        force: bool,
    },
    /// What calls cost, from the ledger.
    Usage {
        query: String,
    },
    /// How long a prompt is, in Anthropic's form.
    CountTokens,
    /// Anything else, which the plugin passes on to its service.
    Raw {
        path: String,
        dialect: Dialect,
    },
}

/// The protocol of an answer. The host needs it to write the last event of a stream that broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI's chat completions.
    Chat,
    /// OpenAI's legacy completions.
    Completions,
    /// OpenAI's responses.
    Responses,
    /// Anthropic's messages.
    Messages,
    /// Any other.
    Other,
}

/// Why a path leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoute {
    /// It can be read in more than one way, or not at all.
    Unclear,
    /// There is nothing.
    Unknown,
}

/// Base paths; some services have `/api` before the version.
const ROOTS: [&str; 2] = ["/v1/", "/api/v1/"];

impl Route {
    /// - In: `plugin`, the id of the active plugin.
    pub fn of(target: Option<&PathAndQuery>, plugin: &str) -> Result<Self, NoRoute> {
        let Some(target) = target else {
            return Err(NoRoute::Unclear);
        };
        let (path, query) = (target.path(), target.query());
        if path.starts_with("//") {
            return Err(NoRoute::Unclear);
        }
        // A doubled slash is the usual mistake in a base address, and is unambiguous.
        let mended = path.replace("//", "/");
        let path = match mended.trim_end_matches('/') {
            "" => "/",
            path => path,
        };
        match path {
            "/" => return Ok(Self::Home),
            "/health" => return Ok(Self::Health),
            "/metrics" => return Ok(Self::Metrics),
            _ => check(path)?,
        }
        if let Some(rest) = below_roots(path) {
            return Ok(route_of(rest, query));
        }
        let own = path
            .strip_prefix("/api/endpoints/")
            .and_then(|rest| rest.strip_prefix(plugin))
            .and_then(|rest| rest.strip_prefix('/'));
        match own {
            Some("chat/completions") => Ok(raw("chat/completions", query)),
            Some("models") => Ok(route_of("models", query)),
            Some("credits") => Ok(Self::Credits { force: forces(query) }),
            _ => Err(NoRoute::Unknown),
        }
    }

    /// The methods that it answers.
    pub fn methods(&self) -> &'static [Method] {
        const READ: &[Method] = &[Method::GET, Method::HEAD];
        const ASK: &[Method] = &[Method::POST];
        const FETCH: &[Method] = &[Method::GET];
        const ANY: &[Method] = &[Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
        match self {
            Self::CountTokens => ASK,
            Self::Raw { path, dialect } => match (dialect, self.label()) {
                (Dialect::Other, "embeddings") => ASK,
                (Dialect::Other, "key" | "credits" | "generation" | "models") => FETCH,
                (Dialect::Other, _) => ANY,
                // Stored responses can be fetched by their id.
                (Dialect::Responses, _) if path.split('?').next() != Some("/responses") => ANY,
                _ => ASK,
            },
            _ => READ,
        }
    }

    /// Whether it shows only what services show to anybody.
    pub fn is_public(&self) -> bool {
        match self {
            // A query that asks the service again, with the user's key, needs the token.
            Self::Models { force, .. } => !force,
            Self::Model { .. } => true,
            Self::Raw { path, .. } => path.split('?').next() == Some("/providers"),
            _ => false,
        }
    }

    /// A word for counters and logs, out of a fixed set.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Home => "home",
            Self::Health => "health",
            Self::Metrics => "metrics",
            Self::Models { .. } | Self::Model { .. } => "models",
            Self::Credits { .. } => "credits",
            Self::Usage { .. } => "usage",
            Self::CountTokens => "count_tokens",
            Self::Raw { path, dialect } => match dialect {
                Dialect::Chat => "chat",
                Dialect::Completions => "completions",
                Dialect::Responses => "responses",
                Dialect::Messages => "messages",
                Dialect::Other => match path.split('?').next().unwrap_or_default() {
                    "/embeddings" => "embeddings",
                    "/key" => "key",
                    "/credits" => "credits",
                    "/generation" => "generation",
                    path if path == "/models" || path.starts_with("/models/") => "models",
                    _ => "other",
                },
            },
        }
    }
}

/// What follows the root. A client whose base URL ends in the root adds it once more.
fn below_roots(path: &str) -> Option<&str> {
    let inner = ROOTS.iter().find_map(|root| path.strip_prefix(root))?;
    let again = ROOTS.iter().find_map(|root| inner.strip_prefix(&root[1..]));
    Some(again.unwrap_or(inner))
}

/// Whether clients of Anthropic's API ask for this path, and read errors in its form.
pub fn is_anthropic(path: &str) -> bool {
    let mended = path.replace("//", "/");
    let family = below_roots(&mended).and_then(|rest| rest.split('/').next());
    family == Some("messages")
}

/// - In: what follows the root.
fn route_of(rest: &str, query: Option<&str>) -> Route {
    if rest == "models" {
        let is_filter = |pair: &&str| !matches!(pair.split('=').next(), Some("force" | ""));
        let filters: Vec<&str> = query.unwrap_or_default().split('&').filter(is_filter).collect();
        return Route::Models {
            force: forces(query),
            filters: Some(filters.join("&")).filter(|filters| !filters.is_empty()),
        };
    }
    if rest == "usage" {
        let query = query.unwrap_or_default().to_owned();
        return Route::Usage { query };
    }
    if rest == "messages/count_tokens" {
        return Route::CountTokens;
    }
    if rest == "auth/key" {
        return raw("key", query);
    }
    if let Some(sent) = rest.strip_prefix("models/") {
        // `check` has refused paths that do not decode.
        let id = decoded(sent).unwrap_or_default();
        let is_own = matches!(id.as_str(), "user" | "count") || id.ends_with("/endpoints");
        return if is_own {
            // Clients encode the slash of an id, but the service wants a plain one. Everything else passes unchanged.
            raw(&rest.replace("%2F", "/").replace("%2f", "/"), query)
        } else {
            Route::Model { id, is_data: false }
        };
    }
    // The service knows its own models by this path, and no tier.
    match rest.strip_prefix("model/").and_then(decoded) {
        Some(id) if id.starts_with("tier/") => Route::Model { id, is_data: true },
        _ => raw(rest, query),
    }
}

fn raw(path: &str, query: Option<&str>) -> Route {
    let dialect = match path {
        "chat/completions" => Dialect::Chat,
        "completions" => Dialect::Completions,
        "messages" => Dialect::Messages,
        _ if path == "responses" || path.starts_with("responses/") => Dialect::Responses,
        _ => Dialect::Other,
    };
    let path = match query {
        Some(query) => format!("/{path}?{query}"),
        None => format!("/{path}"),
    };
    Route::Raw { path, dialect }
}

fn forces(query: Option<&str>) -> bool {
    let mut pairs = query.unwrap_or_default().split('&');
    pairs.any(|pair| matches!(pair, "force" | "force=true" | "force=1"))
}

/// Refuses ambiguous paths: empty or dotted steps in any encoding, control characters, text that does not decode.
fn check(path: &str) -> Result<(), NoRoute> {
    if !path.starts_with('/') {
        return Err(NoRoute::Unclear);
    }
    let is_odd_step = |step: &str| matches!(step, "" | "." | "..");
    let is_odd = |letter: char| letter.is_control() || letter == '\\';
    let is_clear = |read: &str| !read.split('/').skip(1).any(is_odd_step) && !read.contains(is_odd);
    let read = decoded(path).ok_or(NoRoute::Unclear)?;
    // Decode once more, as a service may do; a literal percent sign is harmless.
    let read_twice = decoded(&read).unwrap_or_default();
    let is_clear_twice = read_twice.is_empty() || is_clear(&read_twice);
    if is_clear(path) && is_clear(&read) && is_clear_twice {
        return Ok(());
    }
    Err(NoRoute::Unclear)
}

/// Percent-decodes strictly; `None` if a sequence is invalid, which lenient libraries pass through.
fn decoded(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        bytes.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests;
