//! The single values of a profile's options, by their places.

use std::collections::BTreeMap;

use serde_json::Value;

use super::pointer::join;

/// Every value that is not an object, by its pointer behind `pointer`. Lists count as one value.
pub fn leaves_of(pointer: &str, value: &Value) -> BTreeMap<String, Value> {
    match value {
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, member)| leaves_of(&join(pointer, name), member))
            .collect(),
        value => BTreeMap::from([(pointer.to_owned(), value.clone())]),
    }
}

/// A pointer as people write it: `timeouts.idleMs`.
pub fn dotted(pointer: &str) -> String {
    pointer
        .trim_start_matches('/')
        .replace('/', ".")
        .replace("~1", "/")
        .replace("~0", "~")
}

/// The places at which two sets of options differ, as people write them.
pub fn differences(before: &Value, after: &Value) -> Vec<String> {
    let (before, after) = (leaves_of("", before), leaves_of("", after));
    let mut places: Vec<&String> = before.keys().chain(after.keys()).collect();
    places.sort();
    places.dedup();
    let differing = places
        .into_iter()
        .filter(|place| before.get(*place) != after.get(*place));
    differing.map(|place| dotted(place)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn differences_are_named_by_their_places() {
        let before = json!({"a": 1, "b": {"c": [1], "d": 2}, "e": {}});
        let after = json!({"a": 1, "b": {"c": [2], "x/y": 3}});
        assert_eq!(differences(&before, &after), ["b.c", "b.d", "b.x/y"]);
        assert_eq!(differences(&after, &after), Vec::<String>::new());
    }
}
