//! Whether a plugin reads requests that it does not know, or cannot.

use plugin_api::{ErrorKind, Payload, method};
use serde_json::{Value, json};

use super::bench::{Bench, Call, State, hello, states};
use super::{Outcome, Seen};

/// A method that no plugin has.
const UNKNOWN: &str = "x-unknown-method";
/// Deeper than any reader without a limit gets.
const N_NESTED: usize = 200_000;

/// Calls a method that nobody has, and those that the manifest names.
pub async fn unknown_methods(bench: &Bench<'_>) -> Outcome {
    let plugin = bench.create()?;
    let null = Payload::from_json("null".to_owned());
    let named = &bench.module.manifest().methods;
    let names = [UNKNOWN].into_iter().chain(named.iter().map(String::as_str));
    let calls: Vec<Call> = names.flat_map(|name| Call::both(name, &null)).collect();
    let states = states(&plugin, calls.clone()).await;
    let is_unsupported = |state: &State| state.kind() == Some(ErrorKind::UNSUPPORTED);
    for (calls, states) in calls.chunks(2).zip(states.chunks(2)) {
        let name = &calls[0].method;
        if name == UNKNOWN {
            if let Some(other) = states.iter().find(|state| !is_unsupported(state)) {
                return Err(format!("expected `unsupported` from an unknown method, found {other}"));
            }
        } else if states.iter().all(is_unsupported) {
            return Err(format!(
                "expected an answer to `{name}`, which the manifest names, found `unsupported`"
            ));
        }
    }
    let n = named.len();
    Ok(Seen::Ok(format!(
        "an unknown method is `unsupported`; the {n} of the manifest are not"
    )))
}

/// Sends what a later version of plugin-api may add to requests.
pub async fn unknown_members(bench: &Bench<'_>) -> Outcome {
    let plugin = bench.create()?;
    let known = |method: &str| match method {
        method::CHAT | method::STREAM => Some(hello()),
        method::DIAGNOSE | method::MODELS | method::CREDITS => Some(json!({})),
        method::EMBED => Some(json!({"input": ["Hello"]})),
        method::CONFIGURE => serde_json::to_value(bench.config(Value::Object(bench.options.clone()))).ok(),
        _ => None,
    };
    let grown = |mut request: Value| {
        request["x_later"] = json!({"kind": "unknown"});
        if let Some(message) = request.pointer_mut("/messages/0") {
            message["x_later"] = json!([1]);
        }
        request
    };
    let requests = bench
        .methods()
        .into_iter()
        .filter_map(|name| Some((name, known(name)?)));
    let pairs = requests.flat_map(|(name, request)| [request.clone(), grown(request)].map(|request| (name, request)));
    let calls: Vec<Call> = pairs
        .map(|(name, request)| {
            let [called, opened] = Call::both(name, &Payload::from_json(request.to_string()));
            if name == method::STREAM { opened } else { called }
        })
        .collect();
    let states = states(&plugin, calls.clone()).await;
    for (call, states) in calls.iter().step_by(2).zip(states.chunks(2)) {
        let refusals = [
            ErrorKind::INVALID_REQUEST,
            ErrorKind::CONFIG,
            ErrorKind::INTERNAL,
            ErrorKind::UNSUPPORTED,
            ErrorKind::PROTOCOL,
        ];
        let [plain, grown] = states else { continue };
        if grown
            .kind()
            .is_some_and(|kind| refusals.contains(&kind) && plain.kind() != Some(kind))
        {
            let name = &call.method;
            return Err(format!(
                "expected `{name}` with unknown members to be as without, {plain}, found {grown}"
            ));
        }
    }
    let n = states.len() / 2;
    Ok(Seen::Ok(format!("{n} methods ignore unknown members")))
}

/// Sends every method what it cannot read.
pub async fn bad_requests(bench: &Bench<'_>) -> Outcome {
    let plugin = bench.create()?;
    let [arrays, objects] = ["[", "{\"a\":"].map(|open| open.repeat(N_NESTED));
    let nested = format!("{arrays}{}", "]".repeat(N_NESTED));
    let mut payloads: Vec<Payload> = [
        "",
        "\0",
        "null",
        "true",
        "-1e999",
        "\"\\ud800\"",
        "[]",
        "{}",
        "{\"messages\"",
        "{\"messages\": 17}",
        "{\"messages\": [{\"role\": [], \"content\": 1}], \"model\": {}}",
        "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": 1}, null]}]}",
        "{\"messages\": []}",
        "{\"input\": {}, \"options\": 1, \"environment\": []}",
        &arrays,
        &objects,
        &nested,
        &format!("{{\"messages\": {nested}}}"),
    ]
    .map(|json| Payload::from_json(json.to_owned()))
    .into();
    payloads.push(Payload::from_json("{\"$blob\": 9}".to_owned()).with_blob(vec![0xff; 3]));
    let methods = bench.methods();
    let each = methods
        .iter()
        .flat_map(|name| payloads.iter().map(move |payload| (*name, payload)));
    let calls: Vec<Call> = each.flat_map(|(name, payload)| Call::both(name, payload)).collect();
    let states = states(&plugin, calls.clone()).await;
    for (call, state) in calls.iter().zip(&states) {
        if let State::Failed(error) = state
            && error.kind == ErrorKind::INTERNAL
        {
            let start: String = call.payload.json().chars().take(30).collect();
            let name = &call.method;
            return Err(format!(
                "expected `{name}` to refuse `{start}` with `invalid_request`, found {state}"
            ));
        }
    }
    let (n, n_methods) = (payloads.len(), methods.len());
    Ok(Seen::Ok(format!(
        "{n} malformed requests to {n_methods} methods made no panic"
    )))
}
