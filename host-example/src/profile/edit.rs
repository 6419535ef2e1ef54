//! Changes one value in the text of a profile file. Comments and formatting stay. Pure.

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstContainerNode, CstInputValue, CstNode, CstObject, CstRootNode};
use serde_json::Value;

use super::document::Document;
use super::normalise::pointer_in;
use super::pointer::{PROFILES, join, segments};

/// The pointer in the file of an option of a profile.
///
/// - In: `option`, a pointer below the profile, or its names with dots between: `/retry/attempts`, `retry.attempts`.
/// - Out: in the file's own spelling as far as the file has it.
pub fn place_of(document: &Document, profile: &str, option: &str) -> String {
    let option = match option.starts_with('/') {
        true => option.to_owned(),
        false => option
            .split('.')
            .fold(String::new(), |pointer, name| join(&pointer, name)),
    };
    let base = join(PROFILES, profile);
    let mut place = pointer_in(document, &base, &option);
    let n_found = segments(&place).count() - segments(&base).count();
    for missing in segments(&option).skip(n_found) {
        place = join(&place, &missing);
    }
    place
}

/// The text of the document with another value at `pointer`, or without one. Objects around it are made.
///
/// - Errors: something on the way to it is neither an object nor a list that is long enough.
pub fn edited(document: &Document, pointer: &str, value: Option<&Value>) -> Result<String, String> {
    let root = CstRootNode::parse(&document.text, &ParseOptions::default()).map_err(|error| error.to_string())?;
    let names: Vec<String> = segments(pointer).collect();
    let (Some((last, above)), Some(mut here)) = (names.split_last(), root.value()) else {
        return Err("expected the name of an option, found the whole file".to_owned());
    };
    let mut path = String::new();
    for name in above {
        path = join(&path, name);
        here = match (member(&here, name), here.as_object()) {
            (Some(node), _) => node,
            (None, Some(_)) if value.is_none() => return Ok(document.text.clone()),
            (None, Some(object)) => object.object_value_or_set(name).into_node(),
            (None, None) => return Err(format!("there is no {path}")),
        };
    }
    match (here.as_object(), value) {
        (Some(object), Some(value)) => match object.get(last) {
            Some(property) => property.set_value(input(value)),
            None => drop(object.append(last, input(value))),
        },
        (Some(object), None) => {
            if let Some(property) = object.get(last) {
                property.remove();
            }
        }
        (None, _) => set_element(&here, last, value).ok_or_else(|| format!("there is no {}", join(&path, last)))?,
    }
    Ok(root.to_string())
}

fn member(node: &CstNode, name: &str) -> Option<CstNode> {
    match node.as_array() {
        Some(list) => list.elements().into_iter().nth(name.parse().ok()?),
        None => node.as_object()?.get(name)?.value(),
    }
}

/// Replaces or removes an element; the index behind the last one adds an element.
fn set_element(node: &CstNode, index: &str, value: Option<&Value>) -> Option<()> {
    let list = node.as_array()?;
    let index: usize = index.parse().ok()?;
    let n_elements = list.elements().len();
    if let Some(old) = list.elements().into_iter().nth(index) {
        old.remove();
    } else if index > n_elements || value.is_none() {
        return None;
    }
    if let Some(value) = value {
        list.insert(index, input(value));
    }
    Some(())
}

trait IntoNode {
    fn into_node(self) -> CstNode;
}

impl IntoNode for CstObject {
    fn into_node(self) -> CstNode {
        CstContainerNode::Object(self).into()
    }
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(value) => CstInputValue::Bool(*value),
        Value::Number(number) => CstInputValue::Number(number.to_string()),
        Value::String(text) => CstInputValue::String(text.clone()),
        Value::Array(elements) => CstInputValue::Array(elements.iter().map(input).collect()),
        Value::Object(members) => CstInputValue::Object(
            members
                .iter()
                .map(|(name, value)| (name.clone(), input(value)))
                .collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FILE: &str = r#"{
  // Ours.
  "auth": { "profiles": { "default": {
    "provider": "acme", // the plugin
    "fallback_models": ["a/b", "a/c"],
    "tiers": {
      "small": "a/small", // cheap
    },
  } } },
}
"#;

    fn with(option: &str, value: Option<Value>) -> Result<String, String> {
        let document = Document::parse("p.json", FILE.to_owned()).expect("it is valid");
        edited(&document, &place_of(&document, "default", option), value.as_ref())
    }

    #[test]
    fn one_value_changes_and_nothing_else() {
        let changed = |from: &str, to: &str| Ok(FILE.replace(from, to));
        assert_eq!(with("tiers.small", Some(json!("a/tiny"))), changed("a/small", "a/tiny"));
        assert_eq!(
            with("/fallbackModels/1", Some(json!("a/d"))),
            changed("a/c", "a/d"),
            "in the file's spelling"
        );
        assert_eq!(
            with("tiers.large", Some(json!("a/large"))),
            changed("// cheap\n", "// cheap\n      \"large\": \"a/large\",\n")
        );
        assert_eq!(with("nothing.here", None), Ok(FILE.to_owned()));
    }

    #[test]
    fn missing_objects_are_made_and_values_removed() {
        let made = with("retry.attempts", Some(json!(2))).expect("it can be made");
        let value = Document::parse("p.json", made).expect("it is valid").value;
        assert_eq!(
            value.pointer("/auth/profiles/default/retry"),
            Some(&json!({"attempts": 2}))
        );
        let removed = with("fallbackModels", None).expect("it can be removed");
        assert!(
            !removed.contains("fallback_models") && removed.contains("// the plugin"),
            "{removed}"
        );
        assert_eq!(
            with("provider.name", Some(json!(1))),
            Err("there is no /auth/profiles/default/provider/name".to_owned())
        );
    }
}
