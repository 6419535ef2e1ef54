//! Turns the errors of a schema into findings in plain words.
//!
//! In: the errors of the validator and the schema they came from. Out: [`Finding`]s, which name a
//! place and what was expected there. Never quotes a value: what was found is added by
//! the check, which knows what must stay hidden.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;
use serde_json::Value;

use super::expectation::{expectation, phrase};
use super::leaves::dotted;
use super::normalise::{parts_of, referenced};
use super::pointer::join;
use crate::near::{closest, fold};
use crate::terminal::{counted, listed};

/// Most names that a hint lists.
const MAX_LISTED: usize = 14;
/// How far a schema is followed through references and unions.
const MAX_DEPTH: usize = 8;

/// Names that other programs and the wire have for options, without their spelling, and where those options stand here.
const OTHER_NAMES: [(&str, &[&str]); 20] = [
    ("fallbacks", &["fallbackModels"]),
    ("models", &["model", "fallbackModels"]),
    ("route", &["fallbackModels"]),
    ("preset", &["model"]),
    ("modelid", &["model"]),
    ("modelname", &["model"]),
    ("defaultmodel", &["model"]),
    ("effort", &["parameters.reasoning.effort"]),
    ("reasoningeffort", &["parameters.reasoning.effort"]),
    ("maxoutputtokens", &["parameters.maxTokens"]),
    ("maxcompletiontokens", &["parameters.maxTokens"]),
    ("extrabody", &["parameters.extra"]),
    ("transforms", &["compress"]),
    ("headers", &["attribution"]),
    ("extraheaders", &["attribution"]),
    ("httpheaders", &["attribution"]),
    ("maxretries", &["retry.attempts"]),
    ("apibase", &["baseUrl"]),
    ("endpoint", &["baseUrl"]),
    ("routing", &["providerPreferences"]),
];

/// Something that does not fit the schema.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Finding {
    /// The place in the value that was validated.
    pub pointer: String,
    /// Whether the key is wrong and not the value. Otherwise the message goes on with the value that was found.
    pub at_key: bool,
    pub message: String,
    pub hint: Option<String>,
}

impl Finding {
    fn new(pointer: String, at_key: bool, message: String, hint: Option<String>) -> Self {
        Self {
            pointer,
            at_key,
            message,
            hint,
        }
    }
}

/// The findings of one error; several if it comes from a branch of a union.
pub(super) fn findings(error: &ValidationError<'_>, root: &Value) -> Vec<Finding> {
    let pointer = error.instance_path().as_str().to_owned();
    let schema = schema_around(error, root);
    let value = error.instance().as_ref();
    let at_key = |message: String, hint| vec![Finding::new(pointer.clone(), true, message, hint)];
    let found = |expected: String, hint| {
        vec![Finding::new(
            pointer.clone(),
            false,
            format!("expected {expected}"),
            hint,
        )]
    };
    let plain = |message: String| at_key(message, None);
    match error.kind() {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let known = names_in(schema, root);
            unexpected
                .iter()
                .map(|key| unknown_key(&pointer, key, &known, &paths_to(key, &pointer, schema, root)))
                .collect()
        }
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            let hint = misspelt(name, value, &names_in(schema, root));
            at_key(format!("missing option `{name}`"), hint)
        }
        Kind::AnyOf { context } => union(&pointer, schema, value, context, root, "anyOf"),
        Kind::OneOfNotValid { context } => union(&pointer, schema, value, context, root, "oneOf"),
        Kind::OneOfMultipleValid { .. } => {
            plain("expected exactly one of the allowed forms, found a mixture".to_owned())
        }
        Kind::PropertyNames { error: name_error } => {
            let name = name_error.instance().as_str().unwrap_or_default();
            let expected = expectation(schema.get("propertyNames").unwrap_or(schema), root);
            let message = format!("expected {expected} as the key");
            vec![Finding::new(join(&pointer, name), true, message, None)]
        }
        Kind::FalseSchema => plain("not allowed here".to_owned()),
        Kind::UniqueItems => plain("expected unique items, found a duplicate".to_owned()),
        Kind::MinItems { limit } => plain(format!("expected at least {}", counted(*limit as usize, "item"))),
        Kind::MaxItems { limit } => {
            let n_items = value.as_array().map_or(0, Vec::len);
            plain(format!(
                "expected at most {}, found {n_items}",
                counted(*limit as usize, "item")
            ))
        }
        Kind::AdditionalItems { limit } => plain(format!("expected at most {}", counted(*limit, "item"))),
        Kind::MinProperties { limit } => plain(format!("expected at least {}", counted(*limit as usize, "key"))),
        Kind::MaxProperties { limit } => plain(format!("expected at most {}", counted(*limit as usize, "key"))),
        Kind::Type { .. }
        | Kind::Enum { .. }
        | Kind::Constant { .. }
        | Kind::Pattern { .. }
        | Kind::Format { .. }
        | Kind::Minimum { .. }
        | Kind::Maximum { .. }
        | Kind::ExclusiveMinimum { .. }
        | Kind::ExclusiveMaximum { .. }
        | Kind::MultipleOf { .. }
        | Kind::MinLength { .. }
        | Kind::MaxLength { .. } => found(expectation(schema, root), closest_choice(schema, value, root)),
        other => match schema.get("description").and_then(Value::as_str).and_then(phrase) {
            Some(phrase) => found(phrase, None),
            None => plain(format!("violates `{}` of its schema", other.keyword())),
        },
    }
}

/// A hint for a missing option that may stand there under a misspelt name.
fn misspelt(name: &str, value: &Value, known: &[&str]) -> Option<String> {
    let keys = value.as_object().into_iter().flat_map(|object| object.keys());
    let unknown = keys.filter(|key| !known.contains(&key.as_str()));
    let typo = closest(name, unknown.map(String::as_str))?;
    Some(format!("did you mean `{name}` instead of `{typo}`?"))
}

/// The schema object that holds the keyword which failed.
fn schema_around<'a>(error: &ValidationError<'_>, root: &'a Value) -> &'a Value {
    let keyword = error.schema_path().as_str();
    let parent = keyword.rfind('/').map_or("", |slash| &keyword[..slash]);
    root.pointer(parent).unwrap_or(&Value::Null)
}

pub(super) fn names_in<'a>(schema: &'a Value, root: &'a Value) -> Vec<&'a str> {
    let parts = parts_of(schema, root).into_iter();
    let properties = parts.filter_map(|part| part.get("properties")?.as_object());
    properties.flat_map(|all| all.keys().map(String::as_str)).collect()
}

/// The places where a misplaced key belongs, as people write them, such as `parameters.maxTokens`: one level down, or
/// anywhere under another name.
fn paths_to(key: &str, pointer: &str, schema: &Value, root: &Value) -> Vec<String> {
    let other = OTHER_NAMES
        .iter()
        .find(|(name, _)| *name == fold(key) && pointer.is_empty());
    let others = other.into_iter().flat_map(|(_, paths)| *paths);
    let known = others.filter(|path| has_path(path, schema, root));
    let mut paths: Vec<String> = known.map(|path| (*path).to_owned()).collect();
    if !paths.is_empty() {
        return paths;
    }
    for part in parts_of(schema, root) {
        for (object, inner) in part.get("properties").and_then(Value::as_object).into_iter().flatten() {
            for name in names_in(inner, root).into_iter().filter(|name| fold(name) == fold(key)) {
                let path = dotted(&join(&join(pointer, object), name));
                if !paths.contains(&path) {
                    paths.push(path);
                }
            }
        }
    }
    paths
}

/// Whether the schema has an option at this place.
fn has_path(path: &str, schema: &Value, root: &Value) -> bool {
    let (name, rest) = path.split_once('.').unwrap_or((path, ""));
    let parts = parts_of(schema, root).into_iter();
    let mut found = parts.filter_map(|part| part.get("properties")?.get(name));
    found.any(|inner| rest.is_empty() || has_path(rest, inner, root))
}

fn unknown_key(pointer: &str, key: &str, known: &[&str], elsewhere: &[String]) -> Finding {
    let hint = match closest(key, known.iter().copied()) {
        Some(name) if fold(name) == fold(key) => Some(format!("did you mean `{name}`?")),
        // The same name elsewhere is a better suggestion than another name here.
        _ if !elsewhere.is_empty() => {
            let paths = listed(elsewhere.iter().map(String::as_str), "or");
            Some(format!("did you mean {paths}?"))
        }
        Some(name) => Some(format!("did you mean `{name}`?")),
        None if (1..=MAX_LISTED).contains(&known.len()) => {
            Some(format!("known options: {}", listed(known.iter().copied(), "and")))
        }
        None => None,
    };
    Finding::new(join(pointer, key), true, "unknown option".to_owned(), hint)
}

/// Descends into the branch that the author meant, to report the inner problem.
fn union(
    pointer: &str,
    schema: &Value,
    value: &Value,
    context: &[Vec<ValidationError<'static>>],
    root: &Value,
    keyword: &str,
) -> Vec<Finding> {
    let general = || {
        let message = format!("expected {}", expectation(schema, root));
        Finding::new(pointer.to_owned(), false, message, closest_choice(schema, value, root))
    };
    if !value.is_object() && !value.is_array() {
        return vec![general()];
    }
    let branches = schema.get(keyword).and_then(Value::as_array).into_iter().flatten();
    let fitting = context
        .iter()
        .zip(branches)
        .filter(|(errors, branch)| takes(branch, value, root, MAX_DEPTH) && !errors.is_empty());
    let fitting = fitting.map(|(errors, _)| errors).collect::<Vec<_>>();
    // A branch whose tag (`"type": "x"`) has another value is not the intended one.
    let has_other_tag = |errors: &[ValidationError<'static>]| {
        errors
            .iter()
            .any(|error| matches!(error.kind(), Kind::Constant { .. } | Kind::Enum { .. }))
    };
    let tagged = fitting
        .iter()
        .copied()
        .filter(|errors| !has_other_tag(errors))
        .collect::<Vec<_>>();
    let meant = if tagged.is_empty() { &fitting } else { &tagged };
    let described = |errors: &Vec<ValidationError<'static>>| {
        errors
            .iter()
            .flat_map(|error| findings(error, root))
            .collect::<Vec<_>>()
    };
    let fewest = meant.iter().map(|errors| described(errors)).min_by_key(Vec::len);
    fewest.unwrap_or_else(|| vec![general()])
}

/// Whether the schema is about values of this kind, apart from its other rules.
fn takes(schema: &Value, value: &Value, root: &Value, left: usize) -> bool {
    if left == 0 {
        return true;
    }
    if let Some(target) = referenced(schema, root)
        && !takes(target, value, root, left - 1)
    {
        return false;
    }
    let is_kind = |kind: &Value| match kind.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("number" | "integer") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        _ => value.is_null(),
    };
    let same_kind = |other: &Value| std::mem::discriminant(other) == std::mem::discriminant(value);
    let any_branch = |keyword| match schema.get(keyword).and_then(Value::as_array) {
        Some(branches) => branches.iter().any(|branch| takes(branch, value, root, left - 1)),
        None => true,
    };
    let by_type = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(is_kind),
        Some(kind) => is_kind(kind),
        None => true,
    };
    by_type
        && schema.get("const").is_none_or(same_kind)
        && schema
            .get("enum")
            .and_then(Value::as_array)
            .is_none_or(|all| all.iter().any(same_kind))
        && any_branch("anyOf")
        && any_branch("oneOf")
}

fn closest_choice(schema: &Value, value: &Value, root: &Value) -> Option<String> {
    let written = value.as_str()?;
    let mut choices = Vec::new();
    for part in parts_of(schema, root) {
        choices.extend(part.get("const").and_then(Value::as_str));
        let options = part.get("enum").and_then(Value::as_array);
        choices.extend(options.into_iter().flatten().filter_map(Value::as_str));
    }
    closest(written, choices.into_iter()).map(|choice| format!("did you mean `\"{choice}\"`?"))
}
