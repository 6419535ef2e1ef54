//! What traces and metrics report beyond [`Ended`]. Pure.

use hyper::header::HeaderMap;
use hyper::{Method, Uri};
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use plugin_api::Error;

use crate::serve::ended::{Ended, Outcome};

/// The longest text of an attribute, in bytes. Names come from clients and services, who may send anything.
const MAX_TEXT_BYTES: usize = 256;

/// What a request has beyond its record.
pub struct Traced {
    /// The plugin that answers.
    pub plugin: String,
    /// What the request asks a model to do, in the words of the conventions; `None` where it asks none.
    pub operation: Option<&'static str>,
    /// The caller's span, if it named one.
    pub parent: Context,
    /// `None` until the body is parsed.
    pub wants_stream: Option<bool>,
    pub failed: Option<Failed>,
}

/// What is reported of an error: no free text.
pub struct Failed {
    pub code: &'static str,
    pub model: Option<String>,
    pub generation_id: Option<String>,
}

impl Traced {
    pub fn new(plugin: &str, route: &str, method: &Method, uri: &Uri, headers: &HeaderMap) -> Self {
        Self {
            plugin: plugin.to_owned(),
            operation: operation(route, method, uri.path()),
            parent: TraceContextPropagator::new().extract_with_context(&Context::new(), &Traceparent(headers)),
            wants_stream: None,
            failed: None,
        }
    }

    pub fn failed(&mut self, error: &Error) {
        self.failed = Some(Failed {
            code: error.kind.code(),
            model: error.details.model.clone(),
            generation_id: error.details.generation_id.clone(),
        });
    }
}

/// Reads `traceparent` alone: `tracestate` may hold anything, and would be sent on.
struct Traceparent<'a>(&'a HeaderMap);

impl Extractor for Traceparent<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name).filter(|_| name == "traceparent");
        value.and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent"]
    }
}

/// What a request asks a model to do.
fn operation(route: &str, method: &Method, path: &str) -> Option<&'static str> {
    match route {
        _ if method != Method::POST => None,
        "chat" | "messages" => Some("chat"),
        // Paths below it concern answers that were already given.
        "responses" if path.ends_with("/responses") => Some("chat"),
        "completions" => Some("text_completion"),
        "embeddings" => Some("embeddings"),
        _ => None,
    }
}

/// What both the span and the measures say of a request.
pub struct Reported {
    pub requested_model: Option<String>,
    pub served_model: Option<String>,
    pub error_type: Option<String>,
}

impl Reported {
    pub fn of(ended: &Ended, traced: &Traced) -> Self {
        let done = ended.done.as_deref();
        let failed = traced.failed.as_ref();
        let first_asked = ended.attempts().iter().map(|attempt| &attempt.model);
        let requested = done
            .and_then(|done| done.requested_model.as_ref())
            .into_iter()
            .chain(first_asked)
            .chain(failed.and_then(|failed| failed.model.as_ref()))
            .find(|model| !model.is_empty());
        let error_type = match ended.outcome {
            Outcome::Ok => None,
            Outcome::Left => Some(Outcome::Left.word().to_owned()),
            Outcome::Refused | Outcome::Failed | Outcome::Interrupted => Some(match (failed, ended.status) {
                (Some(failed), _) => failed.code.to_owned(),
                (None, Some(status)) => status.as_str().to_owned(),
                (None, None) => "_OTHER".to_owned(),
            }),
        };
        Self {
            requested_model: requested.map(|model| short(model)),
            served_model: done.and_then(|done| done.model.as_deref()).map(short),
            error_type,
        }
    }

    /// Attributes of low cardinality.
    pub fn attributes(&self, operation: &'static str, traced: &Traced) -> Vec<KeyValue> {
        let mut attributes = vec![
            KeyValue::new("gen_ai.operation.name", operation),
            KeyValue::new("gen_ai.provider.name", traced.plugin.clone()),
        ];
        let known = [
            ("gen_ai.request.model", &self.requested_model),
            ("gen_ai.response.model", &self.served_model),
            ("error.type", &self.error_type),
        ];
        let known = known
            .into_iter()
            .filter_map(|(name, value)| Some(KeyValue::new(name, value.clone()?)));
        attributes.extend(known);
        attributes
    }
}

/// The beginning of a text, of at most [`MAX_TEXT_BYTES`].
pub fn short(text: &str) -> String {
    let mut end = text.len().min(MAX_TEXT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_model_requests_have_an_operation() {
        for (method, route, path, expected) in [
            (Method::POST, "chat", "/v1/chat/completions", Some("chat")),
            (Method::POST, "messages", "/api/v1/messages", Some("chat")),
            (Method::POST, "responses", "/v1/responses", Some("chat")),
            (Method::POST, "responses", "/v1/responses/r1/cancel", None),
            (Method::POST, "completions", "/v1/completions", Some("text_completion")),
            (Method::POST, "embeddings", "/v1/embeddings", Some("embeddings")),
            (Method::OPTIONS, "chat", "/v1/chat/completions", None),
            (Method::POST, "count_tokens", "/v1/messages/count_tokens", None),
            (Method::GET, "models", "/v1/models", None),
            (Method::POST, "other", "/v1/rerank", None),
        ] {
            assert_eq!(operation(route, &method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn a_long_name_is_cut_between_letters() {
        assert_eq!(short("acme/small"), "acme/small");
        let long = format!("a{}", "é".repeat(200));
        assert_eq!(short(&long), format!("a{}", "é".repeat(127)));
    }
}
