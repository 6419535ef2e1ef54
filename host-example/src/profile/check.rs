//! Finds everything that is wrong in a profile file, not only the first thing.
//!
//! In: a [`Document`] and the schemas of the plugins. Out: [`Problem`]s in the order of
//! their places. Sections other than `auth`, and keys besides `profiles` in it, belong to other
//! programs and are ignored. Pure: reads no variable, no file and no key.

use std::collections::{BTreeMap, BTreeSet};

use jsonschema::{Draft, Validator};
use serde_json::{Map, Value};

use super::document::Document;
use super::normalise::{Normalised, normalised};
use super::pointer::{PROFILES, join, segments};
use super::problem::{Problem, shortened};
use super::schema::{self, ProviderSchema};
use super::secret;
use super::words::{Finding, findings};
use crate::near::closest;
use crate::terminal::listed;

/// Further problems are counted, not shown.
pub const MAX_PROBLEMS: usize = 100;
/// The longest quotation of a value, in characters.
const MAX_FOUND_CHARS: usize = 60;
const KEY_FORMS: &str = "write `{ \"env\": \"VARIABLE\" }`, `{ \"file\": \"PATH\" }` or `{ \"command\": [\"PROGRAM\"] }`, \
     to keep the key itself out of the profile";

/// Checks every profile of the document.
///
/// - Out: as [`all_problems`], but at most 100 and then a count of the others.
pub fn check(document: &Document, providers: &[ProviderSchema]) -> Vec<Problem> {
    let mut problems = all_problems(document, providers);
    let left_out = problems.len().saturating_sub(MAX_PROBLEMS);
    if left_out > 0 {
        problems.truncate(MAX_PROBLEMS);
        problems.push(document.problem("", false, format!("{left_out} more problems are not shown"), None));
    }
    problems
}

/// Checks every profile of the document.
///
/// - In: `providers`, one for each plugin that is installed.
/// - Out: the problems by line and column. No message quotes a key.
pub fn all_problems(document: &Document, providers: &[ProviderSchema]) -> Vec<Problem> {
    let mut checker = Checker::new(document, providers);
    checker.find_literal_keys();
    checker.envelope();
    checker.duplicates(|pointer| pointer == "/auth" || pointer == PROFILES || pointer.starts_with("/auth/profiles/"));
    sorted(checker.problems)
}

/// Checks a document that is no profile file, as a whole.
///
/// - Out: the problems by line and column.
pub fn check_against(document: &Document, schema: &Value) -> Vec<Problem> {
    let mut checker = Checker::new(document, &[]);
    match jsonschema::options().with_draft(Draft::Draft202012).build(schema) {
        Ok(validator) => {
            for finding in validator
                .iter_errors(&document.value)
                .flat_map(|error| findings(&error, schema))
            {
                checker.found_at(finding.pointer.clone(), finding);
            }
        }
        Err(error) => checker.push("", true, format!("its schema is unusable: {}", error.masked()), None),
    }
    checker.duplicates(|_| true);
    sorted(checker.problems)
}

fn sorted(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by_key(|problem| problem.range.start);
    problems.dedup_by(|second, first| second.pointer == first.pointer && second.message == first.message);
    problems
}

struct Checker<'a> {
    document: &'a Document,
    providers: &'a [ProviderSchema],
    prefixes: Vec<&'a str>,
    validators: BTreeMap<&'a str, Result<(Value, Validator), String>>,
    /// Pointers of values that are keys; they are reported once.
    literal_keys: BTreeSet<String>,
    problems: Vec<Problem>,
}

impl<'a> Checker<'a> {
    fn new(document: &'a Document, providers: &'a [ProviderSchema]) -> Self {
        Self {
            document,
            providers,
            prefixes: secret::prefixes(providers),
            validators: BTreeMap::new(),
            literal_keys: BTreeSet::new(),
            problems: Vec::new(),
        }
    }

    fn find_literal_keys(&mut self) {
        let document = self.document;
        for place in document.strings() {
            let is_ours = place.pointer == "/auth" || place.pointer.starts_with("/auth/");
            if is_ours && !place.is_key && secret::looks_like_key(&place.text, &self.prefixes) {
                self.literal_key(place.pointer.to_owned());
            }
        }
    }

    fn literal_key(&mut self, pointer: String) {
        if self.literal_keys.insert(pointer.clone()) {
            let message = "expected the source of the key, found the key itself".to_owned();
            self.push(&pointer, false, message, Some(KEY_FORMS.to_owned()));
        }
    }

    fn envelope(&mut self) {
        let mut here = String::new();
        let mut value = &self.document.value;
        for (section, what) in [
            ("auth", "which holds the profiles"),
            ("profiles", "which holds the profiles by name"),
        ] {
            let Some(object) = value.as_object() else {
                return self.mismatch(&here, "an object", None);
            };
            let Some(inner) = object.get(section) else {
                let typo = closest(section, object.keys().map(String::as_str));
                let hint = typo.map(|typo| format!("did you mean `{section}` instead of `{typo}`?"));
                let place = typo.map_or(here.clone(), |typo| join(&here, typo));
                let message = format!("missing section `{section}`, {what}");
                return self.push(&place, true, message, hint);
            };
            (here, value) = (join(&here, section), inner);
        }
        let Some(profiles) = value.as_object() else {
            return self.mismatch(PROFILES, "an object with the profiles by name", None);
        };
        for (name, entry) in profiles {
            self.entry(&join(PROFILES, name), entry);
        }
    }

    fn entry(&mut self, base: &str, entry: &Value) {
        let Some(object) = entry.as_object() else {
            return self.mismatch(base, "an object with `provider` and its options", None);
        };
        let provider = self.provider_of(base, object);
        let name = provider.map_or("", |provider| provider.provider.as_str());
        let compiled = self.validators.remove(name).unwrap_or_else(|| compiled(provider));
        match &compiled {
            Ok((schema, validator)) => self.options(base, entry, schema, validator),
            Err(reason) => {
                let message = format!("plugin `{name}` has an unusable options schema: {reason}");
                self.push(&join(base, "provider"), false, message, None);
            }
        }
        self.validators.insert(name, compiled);
    }

    fn provider_of(&mut self, base: &str, entry: &Map<String, Value>) -> Option<&'a ProviderSchema> {
        let known = || self.providers.iter().map(|provider| provider.provider.as_str());
        let Some(value) = entry.get("provider") else {
            let typo = closest("provider", entry.keys().map(String::as_str));
            let hint = match typo {
                Some(typo) => Some(format!("did you mean `provider` instead of `{typo}`?")),
                None if self.providers.is_empty() => None,
                None => Some(format!("installed: {}", listed(known(), "and"))),
            };
            self.push(base, true, "missing option `provider`".to_owned(), hint);
            return None;
        };
        let pointer = join(base, "provider");
        let Some(name) = value.as_str() else {
            self.mismatch(&pointer, "the id of a provider", None);
            return None;
        };
        let provider = self.providers.iter().find(|provider| provider.provider == name);
        if provider.is_none() && !self.literal_keys.contains(&pointer) {
            let hint = match closest(name, known()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if self.providers.is_empty() => "no plugin is installed".to_owned(),
                None => format!("no installed plugin provides it; installed: {}", listed(known(), "and")),
            };
            self.mismatch(&pointer, "the id of an installed provider", Some(hint));
        }
        provider
    }

    fn options(&mut self, base: &str, entry: &Value, schema: &Value, validator: &Validator) {
        let mut normal = normalised(entry, schema);
        for conflict in std::mem::take(&mut normal.conflicts) {
            let message = "expected one spelling of the option, found two".to_owned();
            self.push(
                &format!("{base}{conflict}"),
                true,
                message,
                Some("remove this one".to_owned()),
            );
        }
        self.key_source(base, &mut normal);
        if let Some(object) = normal.value.as_object_mut()
            && schema.get("additionalProperties").is_none()
        {
            // Only the host's keys are known: `provider` has been reported already.
            object.retain(|key, _| key == "apiKey");
        }
        let mut all = Vec::new();
        for error in validator.iter_errors(&normal.value) {
            for finding in findings(&error, schema) {
                if !all.contains(&finding) {
                    all.push(finding);
                }
            }
        }
        for finding in all {
            self.finding(base, &normal, finding);
        }
    }

    /// Checks the form of `apiKey`; a value that is wrong as a whole is removed, so that the schema, which
    /// knows less about it, does not report it too.
    fn key_source(&mut self, base: &str, normal: &mut Normalised) {
        let Some(source) = normal.value.get("apiKey") else {
            return;
        };
        let pointer = format!("{base}{}", normal.in_file("/apiKey"));
        let is_one_form = source.as_object().is_some_and(|source| {
            let forms = ["env", "file", "command"]
                .into_iter()
                .filter(|form| source.contains_key(*form));
            forms.count() == 1
        });
        if is_one_form {
            return;
        }
        if source.is_string() {
            self.literal_key(pointer);
        } else {
            let message = "expected an object with exactly one of `env`, `file` and `command`".to_owned();
            self.push(&pointer, true, message, Some(KEY_FORMS.to_owned()));
        }
        if let Some(object) = normal.value.as_object_mut() {
            object.shift_remove("apiKey");
        }
    }

    fn finding(&mut self, base: &str, normal: &Normalised, finding: Finding) {
        let pointer = format!("{base}{}", normal.in_file(&finding.pointer));
        // `provider` was compared with all known ones, which gives a better message than its schema.
        if pointer == join(base, "provider") || self.literal_keys.contains(&pointer) {
            return;
        }
        self.found_at(pointer, finding);
    }

    fn found_at(&mut self, pointer: String, finding: Finding) {
        if finding.at_key {
            return self.push(&pointer, true, finding.message, finding.hint);
        }
        let hint = finding.hint.filter(|_| !self.is_hidden(&pointer));
        let message = format!("{}, found {}", finding.message, self.found(&pointer));
        self.push(&pointer, false, message, hint);
    }

    fn duplicates(&mut self, is_ours: impl Fn(&str) -> bool) {
        for duplicate in &self.document.found.duplicates {
            let pointer = duplicate.pointer.as_str();
            if is_ours(pointer) {
                let (line, column) = self.document.line_column(duplicate.first);
                let message = format!("duplicate key, first used at line {line}, column {column}");
                let mut problem = self.problem(pointer, true, message, Some("remove one of the two".to_owned()));
                (problem.line, problem.column) = self.document.line_column(duplicate.range.start);
                problem.range = duplicate.range.clone();
                self.problems.push(problem);
            }
        }
    }

    fn mismatch(&mut self, pointer: &str, expected: &str, hint: Option<String>) {
        if self.literal_keys.contains(pointer) {
            return;
        }
        let message = format!("expected {expected}, found {}", self.found(pointer));
        self.push(pointer, false, message, hint);
    }

    fn push(&mut self, pointer: &str, at_key: bool, message: String, hint: Option<String>) {
        let problem = self.problem(pointer, at_key, message, hint);
        self.problems.push(problem);
    }

    fn problem(&self, pointer: &str, at_key: bool, message: String, hint: Option<String>) -> Problem {
        let mut problem = self.document.problem(pointer, at_key, message, hint);
        // Somebody may have written the key as the name of an option.
        if segments(pointer).any(|segment| secret::looks_like_key(&segment, &self.prefixes)) {
            let shown = segments(pointer).map(|segment| {
                let is_key = secret::looks_like_key(&segment, &self.prefixes);
                if is_key { "(a key)".to_owned() } else { segment }
            });
            problem.pointer = shown.fold(String::new(), |pointer, segment| join(&pointer, &segment));
        }
        problem
    }

    /// The value at the pointer as written in the file; shortened, and never a key.
    fn found(&self, pointer: &str) -> String {
        match self.document.value.pointer(pointer) {
            None => "nothing".to_owned(),
            Some(Value::Object(_)) => "an object".to_owned(),
            Some(Value::Array(_)) => "an array".to_owned(),
            Some(_) if self.is_hidden(pointer) => "a value that is not shown".to_owned(),
            Some(_) => {
                let range = self.document.value_range(pointer).unwrap_or(0..0);
                let text = shortened(&self.document.text[range]);
                match text.char_indices().nth(MAX_FOUND_CHARS) {
                    Some((end, _)) => format!("`{}…`", &text[..end]),
                    None => format!("`{text}`"),
                }
            }
        }
    }

    fn is_hidden(&self, pointer: &str) -> bool {
        let text = self
            .document
            .value
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default();
        segments(pointer).any(|segment| secret::names_a_secret(&segment))
            || secret::looks_like_key(text, &self.prefixes)
    }
}

fn compiled(provider: Option<&ProviderSchema>) -> Result<(Value, Validator), String> {
    let schema = provider.map_or_else(schema::host_schema, schema::entry_schema);
    let validator = jsonschema::options().with_draft(Draft::Draft202012).build(&schema);
    validator
        .map(|validator| (schema, validator))
        .map_err(|error| error.masked().to_string())
}
