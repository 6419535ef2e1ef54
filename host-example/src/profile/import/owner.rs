//! Whether a part of a source is about the plugin's provider: by its name, its id or its address.

use plugin_api::Manifest;
use serde_json::Value;

use crate::near::fold;

/// Whether an entry is for the plugin's provider: its key or a text in it is the provider's name, begins with its id,
/// or is its address.
pub(super) fn owns(manifest: &Manifest, key: &str, entry: &Value, depth: usize) -> bool {
    if is_name(manifest, key) {
        return true;
    }
    match entry {
        Value::String(text) => {
            is_name(manifest, text) || own_id(manifest, text).is_some() || is_address(manifest, text)
        }
        Value::Object(members) if depth > 0 => members.values().any(|member| owns(manifest, "", member, depth - 1)),
        _ => false,
    }
}

fn is_name(manifest: &Manifest, text: &str) -> bool {
    [&manifest.id, &manifest.name]
        .iter()
        .any(|name| fold(name) == fold(text))
}

/// The model id behind the provider's id, where it stands in front: `ID/AUTHOR/MODEL` or `ID:MODEL`.
pub(super) fn own_id<'a>(manifest: &Manifest, text: &'a str) -> Option<&'a str> {
    let rest = text.strip_prefix(manifest.id.as_str())?;
    match rest.strip_prefix('/') {
        Some(model) if model.contains('/') => Some(model),
        // The service's own models have its name for their author.
        Some(_) => Some(text),
        None => rest.strip_prefix(':'),
    }
}

/// The plugin's own address of its service.
pub(super) fn own_address(manifest: &Manifest) -> Option<&str> {
    manifest
        .options_schema
        .as_ref()?
        .pointer("/properties/baseUrl/x-default")?
        .as_str()
}

fn is_address(manifest: &Manifest, text: &str) -> bool {
    let host = |address: &str| -> Option<String> {
        let rest = address.split_once("://")?.1;
        Some(rest.split(['/', ':', '?']).next()?.to_lowercase())
    };
    host(text).is_some() && own_address(manifest).is_some_and(|own| host(own) == host(text))
}
