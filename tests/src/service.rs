//! The stand-in service of a test, held against the official description of the API where that is at hand.
//!
//! `OPENROUTER_OPENAPI` names the description (JSON, OpenAPI 3.1). When a service ends, every request body that it was
//! sent and every reply that it gave is validated against the description's schemas. Without the variable the tests run
//! all the same, and say that this check did not.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::ops::Deref;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

use jsonschema::Validator;
use sandbox::{Builder, Outcome, Recorded, Sandbox};
use serde_json::{Value, json};

use crate::canary::{CANARY, trace_this_process};

/// The variable that names the description's file.
const VARIABLE: &str = "OPENROUTER_OPENAPI";

/// A stand-in service that keeps to the contract, or the test fails when it ends.
pub struct Service(Sandbox);

/// Starts a service whose key is [`CANARY`].
pub fn service() -> Service {
    service_from(Sandbox::builder().key(CANARY))
}

/// Starts a service with settings of its own, its key among them.
pub fn service_from(builder: Builder) -> Service {
    trace_this_process();
    Service(builder.start().expect("a port and a thread are free"))
}

impl Deref for Service {
    type Target = Sandbox;

    fn deref(&self) -> &Sandbox {
        &self.0
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(description) = description()
            && !thread::panicking()
        {
            let requests = self.0.requests();
            let breaches: Vec<String> = requests
                .iter()
                .flat_map(|request| description.breaches(request))
                .collect();
            assert!(
                breaches.is_empty(),
                "against the description of the API:\n{}",
                breaches.join("\n")
            );
        }
    }
}

/// Whether the description is at hand.
pub fn description_is_at_hand() -> bool {
    description().is_some()
}

fn description() -> Option<&'static Description> {
    static DESCRIPTION: OnceLock<Option<Description>> = OnceLock::new();
    let read = || {
        let Some(path) = env::var_os(VARIABLE) else {
            eprintln!("not checked against the description of the API: {VARIABLE} is not set");
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
    /// By the JSON pointer of the schema.
    validators: Mutex<BTreeMap<String, &'static Validator>>,
}

impl Description {
    /// Everything in a request and its replies that the description does not allow.
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
            // Each form of streams has events of its own.
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
            // The service is known to answer with status 200 and nothing but an error, which its description leaves out.
            let is_bare_error = |reply: &&Value| {
                request.status == 200 && reply.get("error").is_some() && reply.get("choices").is_none()
            };
            // Its page on streaming prints a text for the code of an error, its description a number.
            let has_text_code = |reply: &&Value| reply.pointer("/error/code").is_some_and(Value::is_string);
            let replies = request.replies.iter();
            for reply in replies.filter(|reply| !is_bare_error(reply) && !has_text_code(reply)) {
                let what = format!("{method} {route}, a reply with status {}", request.status);
                self.validate(&schema, reply, &what, &mut breaches);
            }
        }
        breaches
    }

    /// The described operation that a route means; `{…}` stands for one segment.
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
                // Braces stand for themselves in a pointer, and not in a reference.
                "$ref": format!("#{}", schema.replace('{', "%7B").replace('}', "%7D")),
                "components": self.document["components"],
                "paths": self.document["paths"],
            });
            let validator = jsonschema::validator_for(&root).expect("the description's schemas compile");
            // A handful of schemas, for as long as the test runs.
            Box::leak(Box::new(validator))
        })
    }
}
