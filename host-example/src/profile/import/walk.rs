//! Goes through a source and finds the rule for each value.

use std::collections::BTreeSet;

use plugin_api::Manifest;
use serde_json::Value;

use super::super::pointer::join;
use super::formats::{Action, Format};
use super::found::{Found, Spot};
use super::owner::owns;
use super::source::Source;
use super::take::Taker;
use crate::near::fold;

/// How deep an entry is searched for what says whose it is.
const ENTRY_DEPTH: usize = 2;

/// The values that have rules, those of the first rules first. The others are left.
pub(super) fn found(
    source: &Source,
    manifest: &Manifest,
    format: &'static Format,
    profile: &str,
    taker: &mut Taker<'_>,
) -> Vec<Found> {
    let mut walker = Walker {
        format,
        manifest,
        taker,
        lists: BTreeSet::new(),
        found: Vec::new(),
    };
    let spot = Spot {
        profile: profile.to_owned(),
        ..Spot::default()
    };
    walker.inside(&source.value, &[], "", &spot);
    let mut found = walker.found;
    // Of two variables that mean the same, the plugin uses the one that it names first.
    let rank = |found: &Found| {
        let name = found.path.last().filter(|_| found.action == Action::Variable);
        name.and_then(|name| manifest.environment.iter().position(|variable| variable.name == *name))
    };
    found.sort_by_key(|(rule, found)| (*rule, rank(found)));
    found.into_iter().map(|(_, found)| found).collect()
}

struct Walker<'a, 'b> {
    format: &'static Format,
    manifest: &'a Manifest,
    taker: &'a mut Taker<'b>,
    /// The lists of which an entry already gives the profile its own settings.
    lists: BTreeSet<String>,
    found: Vec<(usize, Found)>,
}

impl Walker<'_, '_> {
    fn inside(&mut self, value: &Value, path: &[String], pointer: &str, spot: &Spot) {
        let members: Vec<(String, &Value)> = match value {
            Value::Object(members) => members.iter().map(|(name, member)| (name.clone(), member)).collect(),
            Value::Array(elements) => {
                let elements = elements.iter().enumerate();
                elements.map(|(index, element)| (index.to_string(), element)).collect()
            }
            _ => Vec::new(),
        };
        for (name, member) in members {
            let path = [path, std::slice::from_ref(&name)].concat();
            self.enter(member, &path, &join(pointer, &name), spot, value.is_array());
        }
    }

    fn enter(&mut self, value: &Value, path: &[String], pointer: &str, spot: &Spot, is_element: bool) {
        let mut spot = spot.clone();
        let name = path.last().map_or("", String::as_str);
        match self.kind_at(path) {
            Some(kind @ ("@mine" | "@profile")) => {
                if !owns(self.manifest, name, value, ENTRY_DEPTH) {
                    let why = format!("it is not for `{}`", self.manifest.id);
                    return self.taker.leave(path, pointer, &why);
                }
                if kind == "@profile" {
                    name.clone_into(&mut spot.profile);
                }
                if is_element && !self.enter_entry(value, pointer, &mut spot) {
                    let why = "a profile has one model for each tier; name this one with `-m`, or as a tier's";
                    return self.taker.leave(path, pointer, why);
                }
            }
            Some("@model") => spot.model = Some(name.to_owned()),
            _ => {}
        }
        let exact = self.rule_at(path, value);
        if let Some((rule, action)) = exact {
            if !matches!(action, Action::Body | Action::Options | Action::Headers) || !value.is_object() {
                return self.push(rule, action, path, pointer, &spot);
            }
            for (name, member) in value.as_object().into_iter().flatten() {
                let path = [path, std::slice::from_ref(name)].concat();
                let pointer = join(pointer, name);
                if self.rule_at(&path, member).is_some() {
                    self.enter(member, &path, &pointer, &spot, false);
                } else {
                    self.push(rule, action, &path, &pointer, &spot);
                }
            }
        } else if (value.is_object() || value.is_array()) && self.leads_on(path) {
            self.inside(value, path, pointer, &spot);
        } else if !value.is_null() {
            let why = format!("no option of `{}` corresponds to it", self.manifest.id);
            self.taker.leave(path, pointer, &why);
        }
    }

    fn push(&mut self, rule: usize, action: Action, path: &[String], pointer: &str, spot: &Spot) {
        let found = Found {
            action,
            path: path.to_vec(),
            pointer: pointer.to_owned(),
            spot: spot.clone(),
        };
        self.found.push((rule, found));
    }

    /// Finds the part of the profile for an entry of a list: the tier with its name, or the profile for the first one.
    fn enter_entry(&mut self, entry: &Value, pointer: &str, spot: &mut Spot) -> bool {
        let name = entry[self.format.entry_name].as_str().unwrap_or_default();
        let tiers = &self.manifest.tiers;
        let tier = tiers.iter().find(|tier| {
            let short = tier.strip_prefix("TEXT_").unwrap_or(tier);
            !name.is_empty() && [fold(tier), fold(short)].contains(&fold(name))
        });
        let list = pointer.rsplit_once('/').map_or("", |(list, _)| list);
        let is_used = tier.is_some() || self.lists.insert(list.to_owned());
        if let Some(tier) = tier {
            spot.tier = join("/tiers", tier);
        }
        self.taker.note_entry(name, entry, is_used.then_some(&*spot));
        is_used
    }

    fn rule_at(&self, path: &[String], value: &Value) -> Option<(usize, Action)> {
        let rules = self.format.rules.iter().enumerate();
        let mut fitting = rules.filter(|(_, (rule, _))| rule.split('.').count() == path.len() && begins(rule, path));
        let is_group = value.is_object() || value.is_array();
        fitting
            .find(|(_, (_, action))| !(is_group && matches!(action, Action::Variable | Action::OwnModel(_))))
            .map(|(index, (_, action))| (index, *action))
    }

    /// Whether a rule is about something below the path.
    fn leads_on(&self, path: &[String]) -> bool {
        let mut rules = self.format.rules.iter();
        rules.any(|(rule, _)| rule.split('.').count() > path.len() && begins(rule, path))
    }

    /// The special part of a rule at the end of the path.
    fn kind_at(&self, path: &[String]) -> Option<&'static str> {
        let rules = self.format.rules.iter();
        let mut kinds = rules.filter(|(rule, _)| begins(rule, path));
        kinds.find_map(|(rule, _)| rule.split('.').nth(path.len() - 1).filter(|part| part.starts_with('@')))
    }
}

/// Whether the path is the beginning of the rule, or the whole of it.
fn begins(rule: &str, path: &[String]) -> bool {
    let mut parts = rule.split('.');
    path.iter().all(|name| match parts.next() {
        None => false,
        Some("*") => true,
        Some("#") => name.parse::<usize>().is_ok(),
        Some(part) => part.starts_with('@') || fold(part) == fold(name),
    })
}
