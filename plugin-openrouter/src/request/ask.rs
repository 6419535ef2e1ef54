//! A request to the service: a host's chat request, or any request in the service's own format.
//!
//! In: a [`ChatRequest`] or an [`HttpRequest`].
//! Out: an [`Ask`], which [`crate::request::plan`] plans and [`crate::call`] carries out. Pure.
//! A request in the service's own format is parsed at its top level only, and its old forms are translated.

use bytes::Bytes;
use http::Method;
use http::header::HeaderMap;
use plugin_api::{ChatRequest, Error, ErrorKind, HttpRequest, Notice, View};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::profile::split;
use crate::profile::tiers::Tier;
use crate::request::{Dialect, headers, old_forms};
use crate::values::members::Members;

/// Longest path with its query, in bytes.
const MAX_PATH_BYTES: usize = 8 << 10;

/// A request to the service.
pub struct Ask {
    pub dialect: Dialect,
    pub method: Method,
    /// Path below the service's address, with its query.
    pub path: String,
    /// The form in which the caller wants the answer.
    pub view: View,
    /// The model, the messages and the parameters that the body is built from, unless `body` is set.
    pub request: ChatRequest,
    /// A body to send unchanged, except for the model in it.
    pub body: Option<Bytes>,
    /// The caller's headers that are passed on to the service.
    pub headers: HeaderMap,
    /// A number from 0 to 1 that decides between the models of a split tier, for calls without a session.
    pub place: f64,
    /// The most attempts with the same models, where the caller retries by itself.
    pub max_attempts: Option<u64>,
    /// What was translated.
    pub notices: Vec<Notice>,
}

impl Ask {
    /// Takes a host's chat request.
    pub fn chat(request: ChatRequest) -> Self {
        Self {
            dialect: Dialect::Chat,
            method: Method::POST,
            path: "/chat/completions".to_owned(),
            view: request.view,
            request,
            body: None,
            headers: HeaderMap::new(),
            place: 0.0,
            max_attempts: None,
            notices: Vec::new(),
        }
    }

    /// Takes a request in the service's own format.
    ///
    /// - Errors: `invalid_request` for an unknown method, a path that leads elsewhere, or a body that is not a
    ///   JSON object where the format needs one.
    pub fn raw(http: HttpRequest) -> Result<Self, Error> {
        let method = method_of(&http.method)?;
        check_path(&http.path)?;
        let dialect = Dialect::of(&http.method, &http.path);
        let mut ask = Self {
            dialect,
            method,
            headers: headers::from_caller(&http, dialect)?,
            place: 0.0,
            max_attempts: headers::max_attempts(&http),
            view: View::Raw,
            request: empty_request(),
            body: None,
            notices: Vec::new(),
            path: http.path.clone(),
        };
        let body = http.body.as_deref().unwrap_or_default();
        if dialect == Dialect::Other {
            if !body.is_empty() {
                ask.request.model = Members::parse(body).ok().and_then(|members| members.text("model"));
                ask.body = http.body.map(Bytes::from_owner);
            }
            return Ok(ask);
        }
        let mut members = Members::parse(body)?;
        let translations = old_forms::translate(&mut members, http.header("x-provider"))?;
        for translation in translations {
            let code = format!("translated.{}", translation.word);
            ask.notices.push(Notice::new(&code, translation.message));
        }
        // The method that the host calls decides whether the answer is streamed.
        members.take("stream");
        ask.request.model = match members.take("model") {
            Some(model) => serde_json::from_str(model.get()).map_err(|_| {
                let message = "expected `model` to be a string, found something else";
                Error::new(ErrorKind::INVALID_REQUEST, message)
            })?,
            None => None,
        };
        let has_model = ask.request.model.as_ref().is_some_and(|model| !model.trim().is_empty());
        if !has_model && dialect.has_fallbacks() {
            // The first of the list is the requested model. It may stay in the list: the plan drops duplicates.
            ask.request.model = members.get("models").and_then(first_model);
        }
        if let Some(messages) = members.take("messages") {
            ask.request.messages = messages;
        }
        ask.request.parameters = members.into_iter().collect();
        Ok(ask)
    }

    /// What belongs together: the id of the session, else of the user.
    fn session(&self, configured: &Map<String, Value>) -> Option<String> {
        let called = |name: &str| serde_json::from_str(self.request.parameters.get(name)?.get()).ok();
        let header = || self.headers.get("x-session-id")?.to_str().ok().map(str::to_owned);
        let configured = |name: &str| Some(configured.get(name)?.as_str()?.to_owned());
        let session = called("session_id")
            .or_else(header)
            .or_else(|| configured("session_id"));
        session.or_else(|| called("user")).or_else(|| configured("user"))
    }

    /// The place of the call among the calls of a split tier.
    pub fn place_in(&self, tier: Tier, configured: &Map<String, Value>) -> f64 {
        let session = self.session(configured);
        session.map_or(self.place, |session| split::place_of(tier, &session))
    }

    /// Whether it may be sent twice without harm.
    pub fn is_idempotent(&self) -> bool {
        self.method == Method::GET
    }

    /// Whether it asks for something that may only appear a little later.
    // Source: several clients report that the record of a generation appears half a second or more after its end.
    pub fn is_for_something_new(&self) -> bool {
        self.method == Method::GET && self.path.starts_with("/generation?")
    }

    /// An upper bound for the length of the prompt, in bytes of JSON.
    pub fn prompt_bytes(&self) -> usize {
        let given = self.body.as_ref().map_or(0, Bytes::len);
        let parameter = |name: &str| self.request.parameters.get(name).map_or(0, |value| value.get().len());
        let fields = ["tools", "system", "instructions", "input", "prompt"].map(parameter);
        given + self.request.messages.get().len() + fields.iter().sum::<usize>()
    }
}

fn first_model(models: &RawValue) -> Option<String> {
    let ids: Vec<String> = serde_json::from_str(models.get()).ok()?;
    ids.into_iter().next()
}

fn empty_request() -> ChatRequest {
    ChatRequest {
        tier: None,
        model: None,
        messages: RawValue::NULL.to_owned(),
        parameters: std::collections::BTreeMap::new(),
        attribution: None,
        view: View::Raw,
    }
}

fn method_of(name: &str) -> Result<Method, Error> {
    let known = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    known.into_iter().find(|method| method.as_str() == name).ok_or_else(|| {
        let message = "expected the method GET, POST, PUT, PATCH or DELETE, found another one";
        Error::new(ErrorKind::INVALID_REQUEST, message)
    })
}

/// Checks that a path stays below the service's address, the only place where the key may go.
fn check_path(path: &str) -> Result<(), Error> {
    let refused = |why: &str| {
        Err(Error::new(
            ErrorKind::INVALID_REQUEST,
            format!("the path of the request {why}"),
        ))
    };
    if path.len() > MAX_PATH_BYTES {
        return refused("is too long");
    }
    if !path.starts_with('/') || path.starts_with("//") {
        return refused("does not start with exactly one `/`");
    }
    if path
        .bytes()
        .any(|byte| !byte.is_ascii_graphic() || matches!(byte, b'\\' | b'#'))
    {
        return refused("contains characters that a path cannot have");
    }
    let steps = path.split('?').next().unwrap_or(path);
    // A percent-encoded letter, dot or slash would be a different path for a server that decodes it first.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let hides_plain = |at: usize| {
        let digits = steps
            .get(at + 1..at + 3)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        digits.is_none_or(is_plain)
    };
    let is_dots = |step: &str| matches!(step.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
    if steps.split('/').any(is_dots) {
        return refused("contains `.` or `..`");
    }
    if steps.match_indices('%').any(|(at, _)| hides_plain(at)) {
        return refused("percent-encodes characters that need no encoding");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn refusal(http: HttpRequest) -> String {
        Ask::raw(http).err().expect("a refusal").message
    }

    #[test]
    fn a_chat_request_in_the_services_format_is_split_at_its_top_level() {
        let body = r#"{"temperature":1.0,"model":"tier/small","stream":true,"messages":[ {"role":"user"} ],"x":{"y":"\u00e9"}}"#;
        let ask = Ask::raw(HttpRequest::post("/chat/completions", body)).expect("a good request");
        assert_eq!(ask.request.model.as_deref(), Some("tier/small"));
        assert_eq!(ask.request.messages.get(), r#"[ {"role":"user"} ]"#);
        let parameters: Vec<(&str, &str)> = ask
            .request
            .parameters
            .iter()
            .map(|(name, value)| (name.as_str(), value.get()))
            .collect();
        assert_eq!(parameters, [("temperature", "1.0"), ("x", r#"{"y":"\u00e9"}"#)]);
    }

    #[test]
    fn only_reading_may_be_repeated_without_harm() {
        for (method, path, is_idempotent, is_for_something_new) in [
            ("GET", "/models", true, false),
            ("GET", "/generation?id=gen-1", true, true),
            ("POST", "/generation?id=gen-1", false, false),
            ("DELETE", "/keys/1", false, false),
        ] {
            let ask = Ask::raw(HttpRequest::new(method, path)).expect("a good request");
            let found = (ask.is_idempotent(), ask.is_for_something_new());
            assert_eq!(found, (is_idempotent, is_for_something_new), "{method} {path}");
        }
    }

    #[test]
    fn the_prompt_is_the_messages_and_all_that_stands_beside_them() {
        for (path, body, n_bytes) in [
            (
                "/chat/completions",
                r#"{"messages":["a"],"tools":[1],"temperature":1}"#,
                5 + 3,
            ),
            (
                "/responses",
                r#"{"input":"ab","instructions":"c"}"#,
                "null".len() + 4 + 3,
            ),
            ("/rerank", r#"{"query":"a"}"#, "null".len() + 13),
        ] {
            let ask = Ask::raw(HttpRequest::post(path, body)).expect("a good request");
            assert_eq!(ask.prompt_bytes(), n_bytes, "{body}");
        }
    }

    #[test]
    fn a_path_that_leads_elsewhere_is_refused() {
        let paths = "|models|//evil.example/models|/../keys|/a/%2e%2E/keys|/a/./b|/models#x|/mod els|/a\\b|/\u{e9}|\
            /a\r\nhost: x";
        for path in paths.split('|') {
            let message = refusal(HttpRequest::new("GET", path));
            assert!(message.starts_with("the path of the request"), "{path}: {message}");
        }
        assert!(Ask::raw(HttpRequest::new("GET", "/generation?id=../x%20y")).is_ok());
        assert!(refusal(HttpRequest::new("CONNECT", "/models")).starts_with("expected the method"));
    }

    #[test]
    fn only_headers_that_the_service_understands_are_passed_on() {
        let mut http = HttpRequest::post("/chat/completions", "{}");
        for (name, value) in [
            ("X-Title", "Mine"),
            ("HTTP-Referer", "https://a.example"),
            ("X-OpenRouter-Cache", "true"),
            ("Authorization", "Bearer local"),
            ("Cookie", "a=b"),
            ("X-Forwarded-For", "10.0.0.1"),
        ] {
            http.headers.push((name.to_owned(), value.to_owned()));
        }
        let ask = Ask::raw(http).expect("a good request");
        let mut names: Vec<&str> = ask.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        let expected = "http-referer x-openrouter-cache x-openrouter-title x-title";
        assert_eq!(names.join(" "), expected);
    }

    #[test]
    fn a_client_that_retries_by_itself_leaves_fewer_attempts() {
        for (name, value, expected) in [
            ("X-Stainless-Retry-Count", "0", Some(2)),
            ("x-stainless-retry-count", "1", Some(1)),
            ("x-retry-count", " 7 ", Some(1)),
            ("x-stainless-retry-count", "none", None),
            ("x-title", "1", None),
        ] {
            let mut http = HttpRequest::post("/chat/completions", "{}");
            http.headers.push((name.to_owned(), value.to_owned()));
            let ask = Ask::raw(http).expect("a good request");
            assert_eq!(ask.max_attempts, expected, "{name}: {value}");
        }
    }

    #[test]
    fn a_body_in_an_unknown_format_stays_unchanged() {
        let sound = r#"{ "model":"tier/small", "b":1, "a":[] }"#;
        let ask = Ask::raw(HttpRequest::post("/audio/speech", sound)).expect("a good request");
        assert_eq!(ask.body.as_deref(), Some(sound.as_bytes()));
        assert_eq!(ask.request.model.as_deref(), Some("tier/small"));
        assert!(Ask::raw(HttpRequest::post("/files", vec![0xff])).is_ok());
    }
}
