//! Whether options that break the plugin's own schema are refused, each with its place.

use jsonschema::Validator;
use plugin_api::{ErrorKind, method};
use serde_json::{Map, Value, json};

use super::bench::Bench;
use super::{Outcome, Seen, shown};

/// An option that no plugin has.
const UNKNOWN: &str = "xUnknownOption";

/// Gives the plugin a wrong type for each of its options, and an unknown one.
pub async fn options(bench: &Bench<'_>) -> Outcome {
    let manifest = bench.module.manifest();
    let Some(schema) = &manifest.options_schema else {
        return Ok(Seen::NotApplicable(
            "the manifest has no `options_schema`, so hosts refuse every option",
        ));
    };
    let schema_of_options = jsonschema::validator_for(schema)
        .map_err(|error| format!("expected `options_schema` to be a JSON Schema, found {error}"))?;
    let fewest = Value::Object(bench.options.clone());
    if let Err(error) = schema_of_options.validate(&fewest) {
        return Err(format!("expected the schema to take the fewest options, found {error}"));
    }
    let wrong_types = [
        json!(true),
        json!(-0.5),
        json!("\u{1}"),
        json!([[]]),
        json!({"\u{1}": null}),
    ];
    let with = |name: &str, value: &Value| {
        let mut options = bench.options.clone();
        options.insert(name.to_owned(), value.clone());
        Value::Object(options)
    };
    let names = schema["properties"].as_object().into_iter().flat_map(Map::keys);
    // An option that takes any value has no wrong one.
    let wrong: Vec<(&str, Value)> = names
        .filter_map(|name| {
            let mut tried = wrong_types.iter().map(|value| with(name, value));
            let wrong = tried.find(|options| is_refused(&schema_of_options, options, name))?;
            Some((name.as_str(), wrong))
        })
        .collect();
    let unknown = with(UNKNOWN, &json!(true));
    let plugin = bench.create()?;
    for (name, options) in wrong.iter().chain([&(UNKNOWN, unknown)]) {
        let place = format!("/{name}");
        let checked = plugin.check(options).await;
        let checked = checked.map_err(|error| format!("expected `check` to list problems, found {}", shown(&error)))?;
        if !is_refused(&schema_of_options, options, name)
            && !checked.iter().any(|problem| is_below(&problem.pointer, name))
        {
            return Err(format!(
                "expected the unknown option `{place}` to be refused, found it accepted"
            ));
        }
        let config = bench.config(options.clone());
        let created = bench.try_create(&config).map(drop);
        let configured = plugin.configure(&config).await;
        for (by, error) in [("create", created.err()), (method::CONFIGURE, configured.err())] {
            let Some(error) = error else { continue };
            let is_named = error
                .details
                .problems
                .iter()
                .any(|problem| is_below(&problem.pointer, name));
            let is_refusal = match error.kind {
                ErrorKind::CONFIG => is_named,
                kind => by == method::CONFIGURE && kind == ErrorKind::UNSUPPORTED,
            };
            if !is_refusal {
                return Err(format!(
                    "expected `{by}` to refuse `{place}` with `config` and this pointer, found {}",
                    shown(&error)
                ));
            }
        }
    }
    let n = wrong.len();
    Ok(Seen::Ok(format!(
        "an unknown option and {n} of a wrong type are refused, each with its pointer"
    )))
}

/// Whether the schema refuses these options because of this one.
fn is_refused(schema: &Validator, options: &Value, name: &str) -> bool {
    let mut errors = schema.iter_errors(options);
    // An unknown option is an error of the whole.
    errors.any(|error| name == UNKNOWN || is_below(error.instance_path().as_str(), name))
}

/// Whether a pointer leads to this option or into it.
fn is_below(pointer: &str, name: &str) -> bool {
    let rest = pointer.strip_prefix('/').and_then(|path| path.strip_prefix(name));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
