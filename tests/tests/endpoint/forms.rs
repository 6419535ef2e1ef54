//! Every form of a request that the documents name, old and new, and what must arrive at the service for it.
//!
//! The forms are in the tables beside this file, in groups of one endpoint each:
//!
//! | member | meaning |
//! |---|---|
//! | `ask` | method and target |
//! | `headers`, `body` | what is sent, besides what is usual |
//! | `at` | the path at the service, unless it is the same below its root |
//! | `sent` | how the body that arrives differs, with null for what is missing; null if nothing may be asked |
//! | `arrives` | headers that arrive, with null for what is missing |
//! | `words`, `notices` | the answer's `x-translated` and `x-notices`; none unless given |
//! | `status`, `answer` | the answer's status, 200 unless given, and values in it by their JSON pointers |
//!
//! A form has its group's members unless it has its own; headers and bodies are put together. `models` is short for
//! forms that differ in `model` alone, each with the id that arrives, or an empty one for the same.

use sandbox::Sandbox;
use serde_json::{Value, json};
use tests::canary::CANARY;
use tests::endpoint::{Answer, Endpoint, Serve};
use tests::service_from;

use crate::bench::streaming;

/// What an answer of a path has: a value at this pointer, and this text at the end of a stream.
const SHAPES: [(&str, &str, &str); 10] = [
    ("/chat/completions", "/choices/0/message/content", "data: [DONE]"),
    ("/completions", "/choices/0/text", "data: [DONE]"),
    ("/responses", "/output/0/type", "response.completed"),
    ("/messages", "/content/0/type", "message_stop"),
    ("/embeddings", "/data/0/embedding", ""),
    ("/rerank", "/results/0/index", ""),
    ("/images", "/data/0/b64_json", ""),
    ("/audio/transcriptions", "/text", ""),
    ("/videos", "/polling_url", ""),
    ("/messages/count_tokens", "/input_tokens", ""),
];

#[test]
fn documented_model_ids_and_tiers_reach_the_service() {
    assert_forms(include_str!("forms/models.json"));
}

#[test]
fn old_forms_arrive_in_the_form_that_the_service_has() {
    assert_forms(include_str!("forms/old.json"));
}

#[test]
fn documented_parameters_arrive_as_they_were_sent() {
    assert_forms(include_str!("forms/parameters.json"));
}

#[test]
fn every_api_of_the_service_takes_its_documented_requests() {
    assert_forms(include_str!("forms/apis.json"));
}

/// Asks for every form of a table, those that a model answers as a whole and as a stream.
#[track_caller]
fn assert_forms(table: &str) {
    let groups: Vec<Value> = serde_json::from_str(table).expect("a table of groups");
    let mut problems = Vec::new();
    for group in &groups {
        // Its replies are not of interest, and would be copied with each look at its requests.
        let serve = Serve::before(service_from(Sandbox::builder().key(CANARY).without_replies()));
        let serve = match group.get("profile") {
            Some(options) => serve.profile(options),
            None => serve,
        };
        let endpoint = serve.start();
        // With the lists at hand, each request is judged by them and causes no other.
        endpoint.answer(&endpoint.get("/v1/models")).expect(200);
        let bare = json!({"model": "rerank-v3.5", "query": "x", "documents": ["x"]});
        endpoint.answer(&endpoint.post("/v1/rerank", &bare));
        for form in forms_of(group) {
            for streams in [false, true].into_iter().take(1 + usize::from(form.can_stream())) {
                let name = format!("{}: {}, streams: {streams}", group["about"], form.0["form"]);
                let found = form.problems(&endpoint, streams);
                problems.extend(found.into_iter().map(|problem| format!("{name}\n  {problem}")));
            }
        }
    }
    assert!(
        problems.is_empty(),
        "{} problems\n{}",
        problems.len(),
        problems.join("\n")
    );
}

/// A form, completed by its group.
struct Form(Value);

fn forms_of(group: &Value) -> Vec<Form> {
    let by_model = members(group, "models").map(|(id, wire)| {
        let sent = if wire == "" { json!({}) } else { json!({"model": wire}) };
        json!({"form": format!("`{id}`"), "body": {"model": id}, "sent": sent})
    });
    let others = group["forms"].as_array().into_iter().flatten().cloned();
    let whole = |form: Value| {
        let mut whole = group.clone();
        for (name, value) in form.as_object().expect("a form") {
            let base = whole[name.as_str()].take();
            whole[name.as_str()] = match name.as_str() {
                "headers" | "body" | "arrives" if base.is_object() => over(base, value),
                _ => value.clone(),
            };
        }
        Form(whole)
    };
    by_model.chain(others).map(whole).collect()
}

impl Form {
    fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_default()
    }

    fn status(&self) -> u64 {
        self.0["status"].as_u64().unwrap_or(200)
    }

    /// The path at the service, with its query.
    fn at(&self) -> &str {
        let (_, mut path) = self.text("ask").split_once(' ').expect("a method and a target");
        while let Some(rest) = path.strip_prefix("/api/v1/").or(path.strip_prefix("/v1/")) {
            path = &path[path.len() - rest.len() - 1..];
        }
        self.0["at"].as_str().unwrap_or(path)
    }

    /// The pointer and the end of [`SHAPES`].
    fn shape(&self) -> (&'static str, &'static str) {
        let path = self.at().split('?').next().unwrap_or_default();
        let shape = SHAPES.iter().find(|(known, ..)| *known == path);
        shape.map_or(("", ""), |(_, pointer, end)| (pointer, end))
    }

    fn can_stream(&self) -> bool {
        !self.shape().1.is_empty() && self.status() == 200 && self.0["body"].get("stream").is_none()
    }

    /// All that differs from what the form expects.
    fn problems(&self, endpoint: &Endpoint, streams: bool) -> Vec<String> {
        let (method, target) = self.text("ask").split_once(' ').expect("a method and a target");
        let body = match self.0.get("body") {
            Some(body) if streams => streaming(body.clone()),
            body => body.cloned().unwrap_or_default(),
        };
        let mut request = match &body {
            Value::Null => endpoint.get(target),
            body => endpoint.post(target, body),
        };
        for (name, value) in members(&self.0, "headers") {
            request = request.with(&name.to_ascii_lowercase(), value.as_str().expect("a text"));
        }
        let n_before = endpoint.service.requests().len();
        let answer = endpoint.answer(&request.method(method));
        let asked = endpoint.service.requests().split_off(n_before);

        let mut pairs = Vec::new();
        let mut expect = |what: &str, expected: Value, found: Value| pairs.push((what.to_owned(), expected, found));
        let is_sent = self.0.get("sent") != Some(&Value::Null);
        let there: Vec<String> = is_sent
            .then(|| format!("{method} /api/v1{}", self.at()))
            .into_iter()
            .collect();
        let arrived = asked.iter().map(|asked| {
            let query = if asked.query.is_empty() { "" } else { "?" };
            format!("{} {}{query}{}", asked.method, asked.path, asked.query)
        });
        expect("requests to the service", json!(there), arrived.collect());
        for asked in &asked {
            expect("the body", changed(body.clone(), &self.0["sent"]), asked.body.clone());
            for (name, value) in members(&self.0, "arrives") {
                let found = asked.headers.iter().find(|(known, _)| known == name);
                expect(name, value.clone(), json!(found.map(|(_, value)| value)));
            }
        }
        expect("the status", json!(self.status()), json!(answer.status));
        for (name, header) in [("words", "x-translated"), ("notices", "x-notices")] {
            expect(
                header,
                json!(self.text(name)),
                json!(answer.header(header).unwrap_or_default()),
            );
        }
        let is_stream = body["stream"] == true;
        for (pointer, value) in members(&self.0, "answer").filter(|_| !is_stream) {
            expect(
                pointer,
                value.clone(),
                answer.json().pointer(pointer).cloned().unwrap_or_default(),
            );
        }
        expect(
            "the answer's shape",
            json!(""),
            json!(self.misshapen(&answer, is_stream)),
        );
        let differ = pairs.into_iter().filter(|(_, expected, found)| expected != found);
        differ
            .map(|(what, expected, found)| format!("{what}: expected {expected}, found {found}"))
            .collect()
    }

    /// The answer, if it lacks what answers of this path have.
    fn misshapen(&self, answer: &Answer, is_stream: bool) -> String {
        let (pointer, end) = self.shape();
        let content_type = answer.header("content-type").unwrap_or_default();
        let is_well_formed = if answer.status >= 400 {
            answer.json().pointer("/error/message").is_some_and(Value::is_string)
        } else if content_type.starts_with("audio/") {
            !answer.body.is_empty()
        } else if is_stream {
            content_type == "text/event-stream" && answer.text().contains(end)
        } else {
            answer.json().pointer(pointer).is_some_and(|value| !value.is_null())
        };
        if is_well_formed {
            return String::new();
        }
        format!("{content_type}: {}", String::from_utf8_lossy(&answer.body))
    }
}

/// The members of an object in a form; none if it has none.
fn members<'a>(form: &'a Value, name: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    form[name].as_object().into_iter().flatten()
}

/// An object with these members set.
fn over(mut base: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().into_iter().flatten() {
        base[name.as_str()] = value.clone();
    }
    base
}

/// An object with these members set, or removed by a null.
fn changed(base: Value, changes: &Value) -> Value {
    let mut changed = over(base, changes);
    if let Value::Object(members) = &mut changed {
        members.retain(|name, _| changes.get(name) != Some(&Value::Null));
    }
    changed
}
