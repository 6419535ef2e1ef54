//! Reads the members of one JSON object and notes what is wrong with them.
//!
//! Null counts as absent here; [`crate::rules`] knows the members where it must not.

use std::cell::RefCell;

use serde_json::{Map, Value};

/// One object of a request, its path, and the list of problems.
pub(crate) struct Fields<'a> {
    object: &'a Map<String, Value>,
    path: String,
    /// Shared by all objects of a request, several of which may be at hand at once.
    problems: &'a RefCell<Vec<String>>,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(object: &'a Map<String, Value>, problems: &'a RefCell<Vec<String>>) -> Self {
        Self {
            object,
            path: String::new(),
            problems,
        }
    }

    /// Notes a problem of the member `name`, or of the whole object if `name` is empty.
    pub(crate) fn say(&self, name: &str, problem: &str) {
        self.note(format!("{}: {problem}", self.path_of(name)));
    }

    /// Notes a problem without a path.
    pub(crate) fn note(&self, problem: String) {
        self.problems.borrow_mut().push(problem);
    }

    pub(crate) fn names(&self) -> impl ExactSizeIterator<Item = &'a String> {
        self.object.keys()
    }

    pub(crate) fn value(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name)
    }

    pub(crate) fn is_null(&self, name: &str) -> bool {
        self.value(name).is_some_and(Value::is_null)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&'a str> {
        self.read(name, "text", Value::as_str)
    }

    pub(crate) fn text_up_to(&self, name: &str, most_chars: usize) -> Option<&'a str> {
        let text = self.text(name)?;
        if text.chars().count() > most_chars {
            self.say(name, &format!("expected at most {most_chars} characters"));
        }
        Some(text)
    }

    pub(crate) fn required_text(&self, name: &str) -> Option<&'a str> {
        self.require(name, "text")?;
        self.text(name)
    }

    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.read(name, "true or false", Value::as_bool)
    }

    pub(crate) fn number(&self, name: &str, least: f64, most: f64) {
        if let Some(number) = self.read(name, "a number", Value::as_f64)
            && !(least..=most).contains(&number)
        {
            let problem = format!("expected a number from {least} to {most}, found {number}");
            self.say(name, &problem);
        }
    }

    pub(crate) fn whole(&self, name: &str, least: i64, most: i64) -> Option<i64> {
        let number = self.read(name, "a whole number", Value::as_i64)?;
        if !(least..=most).contains(&number) {
            let range = if most == i64::MAX {
                format!("{least} or more")
            } else {
                format!("{least} to {most}")
            };
            self.say(name, &format!("expected a whole number, {range}, found {number}"));
        }
        Some(number)
    }

    pub(crate) fn one_of(&self, name: &str, words: &[&str]) -> Option<&'a str> {
        let word = self.text(name)?;
        if words.contains(&word) {
            return Some(word);
        }
        let found: String = word.chars().take(40).collect();
        self.say(name, &format!("expected one of {}, found `{found}`", listed(words)));
        None
    }

    pub(crate) fn required_one_of(&self, name: &str, words: &[&str]) -> Option<&'a str> {
        self.require(name, "text")?;
        self.one_of(name, words)
    }

    pub(crate) fn texts(&self, name: &str) -> Option<Vec<String>> {
        let items = self.read(name, "an array of texts", Value::as_array)?;
        let texts: Option<Vec<String>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
        if texts.is_none() {
            self.say(name, "expected an array of texts, found other items");
        }
        texts
    }

    pub(crate) fn object(&self, name: &str) -> Option<Self> {
        let object = self.read(name, "an object", Value::as_object)?;
        Some(self.inner(self.path_of(name), object))
    }

    pub(crate) fn required_object(&self, name: &str) -> Option<Self> {
        self.require(name, "an object")?;
        self.object(name)
    }

    /// The objects of an array; any other item is a problem.
    pub(crate) fn objects(&self, name: &str) -> impl Iterator<Item = Self> {
        let path = self.path_of(name);
        let items = self.read(name, "an array of objects", Value::as_array);
        items.into_iter().flatten().enumerate().filter_map(move |(at, item)| {
            let path = format!("{path}[{at}]");
            if let Value::Object(object) = item {
                return Some(self.inner(path, object));
            }
            self.note(format!("{path}: expected an object, found {}", kind_of(item)));
            None
        })
    }

    fn inner(&self, path: String, object: &'a Map<String, Value>) -> Self {
        Self {
            object,
            path,
            problems: self.problems,
        }
    }

    fn require(&self, name: &str, expected: &str) -> Option<()> {
        if self.value(name).is_none_or(Value::is_null) {
            self.say(name, &format!("expected {expected}, found nothing"));
            return None;
        }
        Some(())
    }

    fn read<T>(&self, name: &str, expected: &str, read: impl FnOnce(&'a Value) -> Option<T>) -> Option<T> {
        let value = self.object.get(name).filter(|value| !value.is_null())?;
        let found = read(value);
        if found.is_none() {
            self.say(name, &format!("expected {expected}, found {}", kind_of(value)));
        }
        found
    }

    fn path_of(&self, name: &str) -> String {
        match (self.path.as_str(), name) {
            ("", name) => name.to_owned(),
            (path, "") => path.to_owned(),
            (path, name) => format!("{path}.{name}"),
        }
    }
}

/// A word for what a JSON value is; never the value itself.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

pub(crate) fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}
