//! Holds requests and replies against the official description of the API.
//!
//! `OPENROUTER_OPENAPI` names the description (JSON, OpenAPI 3.1). Without the variable the tests run all the same, and
//! print that this check did not.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::sync::{Mutex, OnceLock, PoisonError};

use jsonschema::Validator;
use sandbox::{Outcome, Recorded};
use serde_json::{Value, json};

use crate::announce;

/// The variable that names the description's file.
const VARIABLE: &str = "OPENROUTER_OPENAPI";

/// Everything in these requests and their replies that the description does not allow; nothing without a description.
pub(crate) fn breaches(requests: &[Recorded]) -> Vec<String> {
    let Some(description) = description() else {
        return Vec::new();
    };
    requests
        .iter()
        .flat_map(|request| description.breaches(request))
        .collect()
}

/// Whether there is a description to check against.
pub fn description_is_at_hand() -> bool {
    description().is_some()
}

fn description() -> Option<&'static Description> {
    static DESCRIPTION: OnceLock<Option<Description>> = OnceLock::new();
    let read = || {
        let Some(path) = env::var_os(VARIABLE) else {
            announce(&format!(
                "not checked against the description of the API: {VARIABLE} is not set"
            ));
            return None;
        };
        let text = fs::read_to_string(&path).unwrap_or_else(|cause| panic!("{VARIABLE}: {path:?}: {cause}"));
        let document = serde_json::from_str(&text).unwrap_or_else(|cause| panic!("{VARIABLE}: {path:?}: {cause}"));
        Some(Description {
            document,
            validators: Mutex::default(),
        })
    };
    DESCRIPTION.get_or_init(read).as_ref()
}

struct Description {
    document: Value,
    /// By the schema's JSON pointer.
    validators: Mutex<BTreeMap<String, &'static Validator>>,
}

impl Description {
    fn breaches(&self, request: &Recorded) -> Vec<String> {
        let route = request.path.trim_start_matches("/api/v1");
        let method = request.method.to_ascii_lowercase();
        let Some((path, operation)) = self.operation(route, &method) else {
            return Vec::new();
        };
        let mut breaches = Vec::new();
        let base = format!(
            "/paths/{}/{method}",
            path.replace('~', "~0")
                .replace('/', "~1")
                .replace('{', "%7B")
                .replace('}', "%7D")
        );
        if operation
            .pointer("/requestBody/content/application~1json/schema")
            .is_some()
        {
            let schema = format!("{base}/requestBody/content/application~1json/schema");
            self.validate(
                &schema,
                &request.body,
                &format!("{method} {route}, the request"),
                &mut breaches,
            );
        }
        let streamed = request.status == 200 && request.body["stream"] == true;
        let schema = if streamed {
            // Each API has its own kind of events.
            let events = match route {
                "/chat/completions" => "ChatStreamChunk",
                "/responses" => "StreamEvents",
                "/messages" => "MessagesStreamEvents",
                _ => return breaches,
            };
            format!("/components/schemas/{events}")
        } else {
            format!("{base}/responses/{}/content/application~1json/schema", request.status)
        };
        if self.document.pointer(&schema).is_some() && request.outcome != Outcome::InFlight {
            // The service may answer 200 with nothing but an error, which its description leaves out.
            let is_bare_error = |reply: &&Value| {
                request.status == 200 && reply.get("error").is_some() && reply.get("choices").is_none()
            };
            // Its page on streaming shows an error code that is a string; the description says a number.
            let has_text_code = |reply: &&Value| reply.pointer("/error/code").is_some_and(Value::is_string);
            let replies = request.replies.iter();
            for reply in replies.filter(|reply| !is_bare_error(reply) && !has_text_code(reply)) {
                let what = format!("{method} {route}, a reply with status {}", request.status);
                self.validate(&schema, reply, &what, &mut breaches);
            }
        }
        breaches
    }

    /// The operation for a route; `{…}` in a path stands for one segment.
    fn operation(&self, route: &str, method: &str) -> Option<(&str, &Value)> {
        let fits = |template: &str| {
            let (wanted, found): (Vec<_>, Vec<_>) = (template.split('/').collect(), route.split('/').collect());
            wanted.len() == found.len()
                && wanted
                    .iter()
                    .zip(&found)
                    .all(|(want, have)| want.starts_with('{') || want == have)
        };
        let paths = self.document["paths"].as_object()?;
        let (path, operations) = paths.iter().find(|(template, _)| fits(template))?;
        Some((path, operations.get(method)?))
    }

    fn validate(&self, schema: &str, instance: &Value, what: &str, breaches: &mut Vec<String>) {
        for error in self.validator(schema).iter_errors(instance) {
            breaches.push(format!("{what}: at {}: {error}", error.instance_path()));
        }
    }

    fn validator(&self, schema: &str) -> &'static Validator {
        let mut validators = self.validators.lock().unwrap_or_else(PoisonError::into_inner);
        validators.entry(schema.to_owned()).or_insert_with(|| {
            let root = json!({
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                // A pointer may contain braces, a reference must escape them.
                "$ref": format!("#{}", schema.replace('{', "%7B").replace('}', "%7D")),
                "components": self.document["components"],
                "paths": self.document["paths"],
            });
            let validator = jsonschema::validator_for(&root).expect("the description's schemas compile");
            // There are only a few schemas, and they are needed as long as the test runs.
            Box::leak(Box::new(validator))
        })
    }
}
