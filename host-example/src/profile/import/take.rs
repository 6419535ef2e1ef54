//! Follows the rules: puts values into the profile, or says why not.

use std::collections::BTreeMap;

use plugin_api::{Manifest, Role};
use serde_json::{Map, Value, json};

use super::super::normalise::{member_name, parts_at};
use super::super::pointer::{PROFILES, join, segments};
use super::super::secret;
use super::Fate;
use super::convert::{Reference, fitting, may_hold_key, reference, whole};
use super::formats::{Action, HEADERS, MEMBERS, NO_KEYS, NO_MODELS};
use super::found::{Found, Spot};
use super::owner::{own_address, own_id};
use super::source::Source;
use crate::near::fold;
use crate::terminal::listed;

/// The part of the options for members of requests that have no option.
const EXTRA: &str = "/parameters/extra";

/// The profile as it grows.
pub(super) struct Taker<'a> {
    source: &'a Source,
    manifest: &'a Manifest,
    /// The schema of one profile.
    schema: Value,
    prefixes: &'a [String],
    document: Value,
    fates: Vec<Fate>,
    /// The places in the profile that are taken, with the lines that did.
    lines: BTreeMap<String, usize>,
    /// The parts of the profile that have a model, by its id.
    models: BTreeMap<String, Spot>,
    /// The named entries of the source: their models, and the parts of the profile that they are for.
    entries: BTreeMap<String, (Option<String>, Option<Spot>)>,
}

impl<'a> Taker<'a> {
    pub fn new(source: &'a Source, manifest: &'a Manifest, schema: Value, prefixes: &'a [String]) -> Self {
        Self {
            source,
            manifest,
            schema,
            prefixes,
            document: json!({"auth": {"profiles": {}}}),
            fates: Vec::new(),
            lines: BTreeMap::new(),
            models: BTreeMap::new(),
            entries: BTreeMap::new(),
        }
    }

    /// The profile, its options in the order of their schema, and what became of each value.
    pub fn finish(mut self) -> (Value, Vec<Fate>) {
        let rank = |name: &String| {
            self.schema["properties"]
                .as_object()?
                .keys()
                .position(|known| known == name)
        };
        let entries = self.document.pointer_mut(PROFILES).and_then(Value::as_object_mut);
        for options in entries
            .into_iter()
            .flatten()
            .filter_map(|(_, entry)| entry.as_object_mut())
        {
            let mut members: Vec<_> = std::mem::take(options).into_iter().collect();
            members.sort_by_key(|(name, _)| rank(name));
            options.extend(members);
        }
        (self.document, self.fates)
    }

    /// Remembers an entry of a list by its name, for settings that refer to it.
    pub fn note_entry(&mut self, name: &str, entry: &Value, spot: Option<&Spot>) {
        let model = model_in(entry, 2).map(|model| own_id(self.manifest, model).unwrap_or(model).to_owned());
        self.entries.insert(name.to_owned(), (model, spot.cloned()));
    }

    pub fn leave(&mut self, path: &[String], pointer: &str, why: &str) {
        self.end(path, pointer, None, Some(why.to_owned()), false);
    }

    pub fn take(&mut self, found: &Found) {
        let value = self.source.value.pointer(&found.pointer).cloned().unwrap_or_default();
        if value.is_null() {
            return;
        }
        let Some(model) = &found.spot.model else {
            return self.follow(found, value);
        };
        match self.models.get(model).cloned() {
            Some(spot) => self.follow(&Found { spot, ..found.clone() }, value),
            None => self.leave(&found.path, &found.pointer, "the profile does not use this model"),
        }
    }

    fn follow(&mut self, found: &Found, value: Value) {
        let leave = |taker: &mut Self, why: &str| taker.leave(&found.path, &found.pointer, why);
        let last = found.path.last().map_or("", String::as_str);
        match found.action {
            Action::To(option) => self.put(found, option, value),
            Action::Scaled(option, factor, more) => match value.as_f64() {
                Some(number) => self.put(found, option, whole(number * factor + more)),
                None => leave(self, "expected a number"),
            },
            Action::Model(option) | Action::OwnModel(option) => {
                let Some(model) = value.as_str().filter(|model| !NO_MODELS.contains(model)) else {
                    return leave(self, "it names no model");
                };
                let own = own_id(self.manifest, model);
                if own.is_none() && matches!(found.action, Action::OwnModel(_)) {
                    let why = format!("it is not a model of `{}`", self.manifest.id);
                    return leave(self, &why);
                }
                self.put_model(found, option, own.unwrap_or(model));
            }
            Action::Fallback => self.add_fallbacks(found, &value, false),
            Action::FallbackByName => match self.entries.get(last).cloned() {
                Some((_, Some(spot))) => self.add_fallbacks(&Found { spot, ..found.clone() }, &value, true),
                _ => leave(self, "the profile does not use this model"),
            },
            Action::Switch(option) => {
                let is_on =
                    !matches!(&value, Value::Bool(false)) && value.as_array().is_none_or(|list| !list.is_empty());
                self.put(found, option, Value::Bool(is_on));
            }
            Action::Key => self.key(found, value.as_str().unwrap_or_default()),
            Action::KeyVariable => self.key_from(found, value.as_str().unwrap_or_default()),
            Action::Body | Action::Options => self.member(found, last, value),
            Action::Headers => match HEADERS.iter().find(|(name, _)| *name == fold(last)) {
                Some((_, option)) => self.put(found, option, value),
                None => leave(self, "a profile sets no other headers than those of `attribution`"),
            },
            Action::Variable => self.variable(found, last, value),
            Action::No(why) => leave(self, why),
        }
    }

    /// A member of a request, or an option, in any spelling.
    fn member(&mut self, found: &Found, name: &str, value: Value) {
        let known = MEMBERS.iter().find(|(member, _)| *member == fold(name));
        if let Some((_, action)) = known {
            if matches!(action, Action::Body | Action::Headers)
                && let Value::Object(members) = &value
            {
                for (name, member) in members {
                    self.follow(&found.below(name, *action), member.clone());
                }
                return;
            }
            return self.follow(&found.with(*action), value);
        }
        let option = self.option_named(name, &found.spot);
        match option {
            Some(option) => self.put(found, &option, value),
            // The check knows only the keys of its plugins.
            None if may_hold_key(name, &value) => {
                self.leave(
                    &found.path,
                    &found.pointer,
                    "it may hold a key, and a key is never copied",
                );
            }
            None if found.action == Action::Body && !parts_at(&self.schema, EXTRA).is_empty() => {
                self.put(found, &join(EXTRA, name), value);
            }
            None => {
                let why = format!("no option of `{}` corresponds to it", self.manifest.id);
                self.leave(&found.path, &found.pointer, &why);
            }
        }
    }

    /// The place of an option with this name in any spelling: at the top, or one level down.
    fn option_named(&self, name: &str, spot: &Spot) -> Option<String> {
        let names = |pointer: &str| -> Vec<String> {
            let parts = parts_at(&self.schema, pointer).into_iter();
            let properties = parts.filter_map(|part| part.get("properties")?.as_object());
            properties.flat_map(|all| all.keys().cloned()).collect()
        };
        let at = |pointer: &str| names(pointer).into_iter().find(|known| fold(known) == fold(name));
        if let Some(option) = at(&spot.tier).filter(|option| option != "provider") {
            return Some(join("", &option));
        }
        let groups = names(&spot.tier);
        let mut places = groups
            .iter()
            .filter_map(|group| Some(join(&join("", group), &at(&join(&spot.tier, group))?)));
        places.next()
    }

    fn add_fallbacks(&mut self, found: &Found, value: &Value, are_names: bool) {
        let models: Vec<(String, &Value)> = match value {
            Value::Array(models) => models
                .iter()
                .enumerate()
                .map(|(index, model)| (index.to_string(), model))
                .collect(),
            model => vec![(String::new(), model)],
        };
        for (index, model) in models {
            let at = if index.is_empty() {
                found.clone()
            } else {
                found.below(&index, found.action)
            };
            let name = model.as_str().unwrap_or_default();
            let entry = self
                .entries
                .get(name)
                .filter(|_| are_names)
                .and_then(|(model, _)| model.clone());
            let own = own_id(self.manifest, name).map(str::to_owned);
            let model = match (entry, are_names) {
                (Some(model), _) => model,
                (None, true) => {
                    let why = format!("`{name}` is not a model of `{}`", self.manifest.id);
                    self.leave(&at.path, &at.pointer, &why);
                    continue;
                }
                (None, false) => own.unwrap_or_else(|| name.to_owned()),
            };
            let pointer = self.place(&found.spot, "/fallbackModels");
            let list = slot(&mut self.document, &pointer);
            match list {
                Value::Array(models) => models.push(Value::String(model)),
                list => *list = json!([model]),
            }
            self.begin(&found.spot);
            self.end(&at.path, &at.pointer, Some(pointer), None, true);
        }
    }

    fn put_model(&mut self, found: &Found, option: &str, model: &str) {
        // `/tiers/…/model` stays where it is; `/model` belongs to the entry's tier, if it has one.
        let mut spot = found.spot.clone();
        if let Some(tier) = option.strip_suffix("/model").filter(|tier| !tier.is_empty()) {
            tier.clone_into(&mut spot.tier);
        }
        self.put(found, option, Value::from(model));
        self.models.entry(model.to_owned()).or_insert(spot);
    }

    fn variable(&mut self, found: &Found, name: &str, value: Value) {
        let variable = self.manifest.environment.iter().find(|variable| variable.name == name);
        let file = name.strip_suffix("_FILE");
        let is_key_file = file.is_some_and(|name| self.manifest.keys().any(|key| key.name == name));
        match variable {
            _ if value.as_str().is_some_and(|text| text.trim().is_empty()) => {}
            Some(variable) if matches!(variable.role, Role::Key | Role::Secret) => self.tell_literal(found),
            Some(variable) => match variable.option.clone() {
                Some(option) => self.put(found, &option, value),
                None => self.leave(
                    &found.path,
                    &found.pointer,
                    "no option; it stays an environment variable",
                ),
            },
            None if is_key_file => self.put(found, "/apiKey", json!({"file": value})),
            None => {
                let why = format!("no variable of `{}` has this name", self.manifest.id);
                self.leave(&found.path, &found.pointer, &why);
            }
        }
    }

    /// A key, or a reference to one as other programs write it.
    fn key(&mut self, found: &Found, text: &str) {
        match reference(text) {
            Some(Reference::Variable(name)) => self.key_from(found, name),
            Some(Reference::File(path)) => self.put(found, "/apiKey", json!({"file": path})),
            None if NO_KEYS.contains(&text.trim()) => self.leave(&found.path, &found.pointer, "it names no key"),
            None => self.tell_literal(found),
        }
    }

    fn key_from(&mut self, found: &Found, name: &str) {
        if self.manifest.keys().any(|key| key.name == name) {
            let why = format!("the plugin reads `{name}` by itself");
            return self.end(&found.path, &found.pointer, None, Some(why), true);
        }
        self.put(found, "/apiKey", json!({"env": name}));
    }

    fn tell_literal(&mut self, found: &Found) {
        let variables: Vec<&str> = self.manifest.keys().map(|key| key.name.as_str()).collect();
        let why = format!(
            "a key is never copied: set {} in the environment or in `.env`, or put the key into a file of your own, with \
             `\"apiKey\": {{\"file\": \"PATH\"}}` in the profile",
            listed(variables, "or")
        );
        self.leave(&found.path, &found.pointer, &why);
    }

    /// Puts a value at an option, or its members at theirs.
    fn put(&mut self, found: &Found, option: &str, value: Value) {
        let pointer = self.place(&found.spot, option);
        let in_entry = in_entry(&pointer);
        let parts = parts_at(&self.schema, in_entry);
        if let Value::Object(members) = &value
            && option != "/apiKey"
            && !members.is_empty()
            && parts.iter().any(|part| part.get("properties").is_some())
        {
            for (name, member) in members {
                let option = join(option, &member_name(&parts_at(&self.schema, in_entry), name));
                self.put(&found.below(name, found.action), &option, member.clone());
            }
            return;
        }
        if value.as_str().and_then(reference).is_some() {
            let why = "a profile has no variables in its values";
            return self.leave(&found.path, &found.pointer, why);
        }
        if option == "/provider" {
            self.begin(&found.spot);
            return self.end(&found.path, &found.pointer, Some(pointer), None, true);
        }
        if !found.spot.tier.is_empty() && parts.is_empty() && !parts_at(&self.schema, option).is_empty() {
            let why = format!(
                "a tier has no `{}` of its own",
                option.trim_start_matches('/').replace('/', ".")
            );
            return self.leave(&found.path, &found.pointer, &why);
        }
        let value = fitting(value, &parts);
        let is_default = option == "/baseUrl"
            && own_address(self.manifest)
                .is_some_and(|own| value.as_str().is_some_and(|text| text.trim_end_matches('/') == own));
        if is_default {
            return self.end(
                &found.path,
                &found.pointer,
                None,
                Some("it is the default".to_owned()),
                true,
            );
        }
        if let Some(line) = self.lines.get(&pointer) {
            let why = format!(
                "line {line} gives `{}` already",
                in_entry.trim_start_matches('/').replace('/', ".")
            );
            let is_same = self.document.pointer(&pointer) == Some(&value);
            return self.end(
                &found.path,
                &found.pointer,
                is_same.then_some(pointer),
                (!is_same).then_some(why),
                is_same,
            );
        }
        self.begin(&found.spot);
        *slot(&mut self.document, &pointer) = value;
        self.lines.insert(pointer.clone(), self.line(&found.pointer));
        self.end(&found.path, &found.pointer, Some(pointer), None, true);
    }

    /// Gives the profile its provider.
    fn begin(&mut self, spot: &Spot) {
        let entry = join(PROFILES, &spot.profile);
        *slot(&mut self.document, &join(&entry, "provider")) = Value::from(self.manifest.id.as_str());
    }

    fn place(&self, spot: &Spot, option: &str) -> String {
        let is_whole = option.starts_with("/tiers/") || option == "/apiKey" || option == "/provider";
        let tier = if is_whole { "" } else { spot.tier.as_str() };
        format!("{}{tier}{option}", join(PROFILES, &spot.profile))
    }

    fn line(&self, pointer: &str) -> usize {
        // A member of a value that was made up for it has the line of what is around it.
        let mut pointer = pointer;
        loop {
            match (self.source.lines.get(pointer), pointer.rfind('/')) {
                (Some(line), _) => return *line,
                (None, Some(slash)) => pointer = &pointer[..slash],
                (None, None) => return 0,
            }
        }
    }

    fn end(&mut self, path: &[String], pointer: &str, target: Option<String>, why: Option<String>, is_taken: bool) {
        let prefixes: Vec<&str> = self.prefixes.iter().map(String::as_str).collect();
        let mut shown = String::new();
        for (depth, name) in path.iter().enumerate() {
            let above: String = segments(pointer)
                .take(depth)
                .fold(String::new(), |all, name| join(&all, &name));
            let is_element = self.source.value.pointer(&above).is_some_and(Value::is_array);
            match name.as_str() {
                index if is_element => shown.push_str(&format!("[{index}]")),
                key if secret::looks_like_key(key, &prefixes) => shown.push_str(".(a key)"),
                key => shown.push_str(&format!(".{key}")),
            }
        }
        self.fates.push(Fate {
            line: self.line(pointer),
            path: shown.trim_start_matches('.').to_owned(),
            pointer: target,
            why,
            is_taken,
        });
    }
}

fn model_in(entry: &Value, depth: usize) -> Option<&str> {
    let members = entry.as_object()?;
    let here = members.get("model").and_then(Value::as_str);
    here.or_else(|| {
        members
            .values()
            .filter(|_| depth > 0)
            .find_map(|member| model_in(member, depth - 1))
    })
}

/// The pointer in a profile's own entry.
fn in_entry(pointer: &str) -> &str {
    let rest = &pointer[PROFILES.len() + 1..];
    rest.find('/').map_or("", |slash| &rest[slash..])
}

/// The value at the pointer, with the objects on the way there.
fn slot<'v>(document: &'v mut Value, pointer: &str) -> &'v mut Value {
    segments(pointer).fold(document, |value, name| {
        if !value.is_object() {
            *value = Value::Object(Map::new());
        }
        &mut value[name]
    })
}

/// Takes out a value, and the objects that are empty without it.
pub(super) fn remove(document: &mut Value, pointer: &str) {
    let Some((above, _)) = pointer.rsplit_once('/') else {
        return;
    };
    let name = segments(pointer).last().unwrap_or_default();
    if let Some(Value::Object(members)) = document.pointer_mut(above) {
        members.shift_remove(&name);
        if members.is_empty() && above.len() > PROFILES.len() {
            remove(document, above);
        }
    }
}
