//! Which part of the endpoint a request is for. Pure.
//!
//! In: a path as it was sent. Out: a [`Route`]. What the host does not answer itself goes to the plugin under its own path, letter by
//! letter, so a path that another program could read differently than it is read here is refused.

use hyper::Method;
use hyper::http::uri::PathAndQuery;

/// What a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// A page that says what this is.
    Home,
    Health,
    Metrics,
    /// The list of models, with the tiers before it.
    Models {
        force: bool,
    },
    /// A model of that list, by its id.
    Model {
        id: String,
    },
    /// What is left to spend, in the form of LibreChat.
    Credits {
        force: bool,
    },
    /// Anything else, which the plugin passes on to its service.
    Raw {
        path: String,
        dialect: Dialect,
    },
}

/// In which form an answer comes, as far as the host has to know: it writes the last words of a stream that broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI's chat completions.
    Chat,
    /// OpenAI's completions of old.
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

/// Services whose base address has its version elsewhere than OpenAI's.
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
        // A slash too many is the usual slip of a base address, and means nothing else.
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
        if let Some(rest) = ROOTS.iter().find_map(|root| path.strip_prefix(root)) {
            return Ok(below_root(rest, query));
        }
        let own = path
            .strip_prefix("/api/endpoints/")
            .and_then(|rest| rest.strip_prefix(plugin))
            .and_then(|rest| rest.strip_prefix('/'));
        match own {
            Some("chat/completions") => Ok(raw("chat/completions", query)),
            Some("models") => Ok(below_root("models", query)),
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
            Self::Raw { path, dialect } => match (dialect, self.label()) {
                (Dialect::Other, "embeddings") => ASK,
                (Dialect::Other, "key" | "credits" | "generation" | "models") => FETCH,
                (Dialect::Other, _) => ANY,
                // What was once answered can be asked for again, by its id.
                (Dialect::Responses, _) if path.split('?').next() != Some("/responses") => ANY,
                _ => ASK,
            },
            _ => READ,
        }
    }

    /// Whether anybody may ask.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Health)
    }

    /// A word for counters and logs, out of a fixed set.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Home => "home",
            Self::Health => "health",
            Self::Metrics => "metrics",
            Self::Models { .. } | Self::Model { .. } => "models",
            Self::Credits { .. } => "credits",
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

/// - In: what follows `/v1/`.
fn below_root(rest: &str, query: Option<&str>) -> Route {
    if rest == "models" {
        // What else stands there is a filter of the service's, and the tiers are none of its models.
        return if query.is_none_or(is_only_force) {
            Route::Models { force: forces(query) }
        } else {
            raw(rest, query)
        };
    }
    if rest == "auth/key" {
        return raw("key", query);
    }
    if let Some(id) = rest.strip_prefix("models/") {
        // A path that was checked has nothing that cannot be read.
        let id = decoded(id).unwrap_or_default();
        let is_own = matches!(id.as_str(), "user" | "count") || id.ends_with("/endpoints");
        return if is_own {
            raw(&format!("models/{id}"), query)
        } else {
            Route::Model { id }
        };
    }
    raw(rest, query)
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

fn is_only_force(query: &str) -> bool {
    query
        .split('&')
        .all(|pair| matches!(pair.split('=').next(), Some("force" | "")))
}

fn forces(query: Option<&str>) -> bool {
    let mut pairs = query.unwrap_or_default().split('&');
    pairs.any(|pair| matches!(pair, "force" | "force=true" | "force=1"))
}

/// Whether every program reads this path alike: no empty and no dotted steps, however they are written, and nothing that is no text.
fn check(path: &str) -> Result<(), NoRoute> {
    if !path.starts_with('/') {
        return Err(NoRoute::Unclear);
    }
    let is_odd_step = |step: &str| matches!(step, "" | "." | "..");
    let is_odd = |letter: char| letter.is_control() || letter == '\\';
    let is_clear = |read: &str| !read.split('/').skip(1).any(is_odd_step) && !read.contains(is_odd);
    let read = decoded(path).ok_or(NoRoute::Unclear)?;
    // Read once more, as a service may do; a percent sign that means itself is no harm.
    let read_twice = decoded(&read).unwrap_or_default();
    let is_clear_twice = read_twice.is_empty() || is_clear(&read_twice);
    if is_clear(path) && is_clear(&read) && is_clear_twice {
        return Ok(());
    }
    Err(NoRoute::Unclear)
}

/// The text that a percent-encoded one stands for; `None` if it is none.
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
mod tests {
    use super::*;

    fn route(path: &str) -> Result<Route, NoRoute> {
        let target = PathAndQuery::try_from(path).map_err(|_| NoRoute::Unclear)?;
        Route::of(Some(&target), "acme")
    }

    fn raw(path: &str, dialect: Dialect) -> Result<Route, NoRoute> {
        Ok(Route::Raw {
            path: path.to_owned(),
            dialect,
        })
    }

    fn model(id: &str) -> Result<Route, NoRoute> {
        Ok(Route::Model { id: id.to_owned() })
    }

    #[test]
    fn every_path_has_its_route() {
        assert_eq!(route("/"), Ok(Route::Home));
        assert_eq!(route("/health"), Ok(Route::Health));
        assert_eq!(route("/metrics?x=1"), Ok(Route::Metrics));
        for root in ["/v1", "/api/v1"] {
            let at = |rest: &str| route(&format!("{root}{rest}"));
            assert_eq!(at("/chat/completions"), raw("/chat/completions", Dialect::Chat));
            assert_eq!(at("/completions"), raw("/completions", Dialect::Completions));
            assert_eq!(at("/responses"), raw("/responses", Dialect::Responses));
            assert_eq!(
                at("/responses/r1/cancel"),
                raw("/responses/r1/cancel", Dialect::Responses)
            );
            assert_eq!(at("/messages"), raw("/messages", Dialect::Messages));
            assert_eq!(
                at("/messages/count_tokens"),
                raw("/messages/count_tokens", Dialect::Other)
            );
            assert_eq!(at("/embeddings"), raw("/embeddings", Dialect::Other));
            assert_eq!(at("/key"), raw("/key", Dialect::Other));
            assert_eq!(at("/auth/key"), raw("/key", Dialect::Other));
            assert_eq!(at("/generation?id=a%2Fb"), raw("/generation?id=a%2Fb", Dialect::Other));
            assert_eq!(at("/models"), Ok(Route::Models { force: false }));
            assert_eq!(at("/models?"), Ok(Route::Models { force: false }));
            assert_eq!(at("/models?force=true"), Ok(Route::Models { force: true }));
            assert_eq!(at("/models?force=false"), Ok(Route::Models { force: false }));
            assert_eq!(
                at("/models?category=x&force=true"),
                raw("/models?category=x&force=true", Dialect::Other)
            );
            assert_eq!(at("/models/acme/large:free"), model("acme/large:free"));
            assert_eq!(at("/models/acme%2Flarge"), model("acme/large"));
            assert_eq!(at("/models/TEXT_SMALL"), model("TEXT_SMALL"));
            assert_eq!(
                at("/models/acme%2Flarge/endpoints"),
                raw("/models/acme/large/endpoints", Dialect::Other)
            );
            assert_eq!(at("/models/user"), raw("/models/user", Dialect::Other));
            assert_eq!(at("/models/count?x=y"), raw("/models/count?x=y", Dialect::Other));
            assert_eq!(at("/audio/a%20b"), raw("/audio/a%20b", Dialect::Other));
        }
        assert_eq!(
            route("/api/endpoints/acme/chat/completions"),
            raw("/chat/completions", Dialect::Chat)
        );
        assert_eq!(route("/api/endpoints/acme/models"), Ok(Route::Models { force: false }));
        assert_eq!(
            route("/api/endpoints/acme/credits?force=true"),
            Ok(Route::Credits { force: true })
        );
        for unknown in [
            "/v1",
            "/v2/models",
            "/models",
            "/api",
            "/api/endpoints/other/credits",
            "/api/endpoints/acme/key",
            "/x",
        ] {
            assert_eq!(route(unknown), Err(NoRoute::Unknown), "{unknown}");
        }
    }

    #[test]
    fn a_path_that_can_be_read_in_two_ways_is_refused() {
        for unclear in [
            "*",
            "//",
            "//evil.com/v1/models",
            "/v1/./models",
            "/v1/../health",
            "/v1/models/%2e%2e/key",
            "/v1/models/%2E./key",
            "/v1/models/..%2fkey",
            "/v1/models/a%2F%2Fb",
            "/v1/%252e%252e/key",
            "/v1/a%00b",
            "/v1/a%2500b",
            "/v1/a%0d%0ab",
            "/v1/a%5cb",
            "/v1/a%ff",
            "/v1/a%",
            "/v1/a%2",
            "/v1/a%zz",
        ] {
            assert_eq!(route(unclear), Err(NoRoute::Unclear), "{unclear}");
        }
        // A slash too many can be read in one way only.
        for mended in ["/v1//models", "/v1/models/", "/v1//models//"] {
            assert_eq!(route(mended), Ok(Route::Models { force: false }), "{mended}");
        }
        assert_eq!(route("/v1/a%25b"), raw("/a%25b", Dialect::Other));
        assert_eq!(Route::of(None, "acme"), Err(NoRoute::Unclear));
    }

    #[test]
    fn what_is_only_for_reading_is_not_for_writing() {
        let methods = |path: &str| route(path).expect("a route").methods();
        assert_eq!(methods("/v1/chat/completions"), [Method::POST]);
        assert_eq!(methods("/v1/responses"), [Method::POST]);
        assert_eq!(methods("/v1/embeddings"), [Method::POST]);
        assert_eq!(methods("/v1/models"), [Method::GET, Method::HEAD]);
        assert_eq!(methods("/v1/models?category=x"), [Method::GET]);
        assert_eq!(methods("/v1/key"), [Method::GET]);
        assert!(methods("/v1/responses/r1").contains(&Method::DELETE));
        assert!(methods("/v1/keys/k1").contains(&Method::PATCH));
        assert!(!methods("/v1/keys/k1").contains(&Method::TRACE));
    }
}
