//! Finds the words and the code of an error, in the forms of services and of gateways before them.
//!
//! In: a body, an event or an error object, as JSON of any shape. Out: what it says. Pure.
//! Gateways wrap providers' errors, some as JSON inside a string, so the words may be several levels down.

use std::borrow::Cow;

use serde_json::Value;

/// Members that nest the error itself.
const NESTS: [&str; 4] = ["error", "errors", "base_resp", "response"];

/// Members that say what happened, the most telling first. Each may also nest the error.
const WORDS: [&str; 15] = [
    "message",
    "msg",
    "status_msg",
    "error_msg",
    "err_msg",
    "error_message",
    "errorMessage",
    "detail",
    "details",
    "error_description",
    "reason",
    "title",
    "error",
    "errors",
    "base_resp",
];

/// Members that hold a code or a status.
const CODES: [&str; 7] = [
    "code",
    "http_status",
    "status_code",
    "statusCode",
    "status",
    "error_code",
    "errcode",
];

/// The values of a code, a status or a flag after a failure, and after a success.
const FAILED: [&str; 4] = ["error", "failed", "failure", "fail"];
const SUCCEEDED: [&str; 5] = ["", "0", "ok", "success", "succeeded"];

/// How deeply errors may be nested.
const MAX_DEPTH: u8 = 6;

/// The maximum number of messages of a list that are joined.
const MAX_MESSAGES: usize = 4;

/// What an error says.
#[derive(Default)]
pub struct Told<'a> {
    /// The objects that contain the words, the outermost first.
    pub layers: Vec<&'a Value>,
    pub message: Cow<'a, str>,
}

impl<'a> Told<'a> {
    /// The objects, the innermost first: it is the cause of the others.
    fn causes(&self) -> impl Iterator<Item = &'a Value> {
        self.layers.iter().rev().copied()
    }

    /// A member of any of the objects.
    pub fn member(&self, name: &str) -> &'a Value {
        let mut members = self.causes().map(|object| &object[name]);
        members.find(|member| !member.is_null()).unwrap_or(&Value::Null)
    }

    /// The status that a code stands for.
    ///
    /// - Source: OpenRouter's API description, where `code` is a number; its page about streaming, where it is a
    ///   string; its page about availability, which has `http_status` instead.
    pub fn code(&self) -> Option<u16> {
        let codes = self.causes().flat_map(|object| CODES.map(|name| number(&object[name])));
        codes.flatten().find(|code| *code >= 300)
    }

    /// The words for the type of the error.
    pub fn types(&self) -> impl Iterator<Item = &'a str> {
        let types = self
            .causes()
            .flat_map(|object| ["error_type", "type", "code"].map(|name| object[name].as_str()));
        types.flatten().filter(|word| *word != "error")
    }
}

/// Replaces JSON inside strings by the value it stands for, where an error may be nested.
pub fn opened(error: &Value) -> Value {
    open(error, MAX_DEPTH)
}

fn open(error: &Value, depth: u8) -> Value {
    match error {
        Value::String(text) if depth > 0 && text.trim_start().starts_with(['{', '[']) => {
            let inner: Option<Value> = serde_json::from_str(text).ok();
            let inner = inner.map(|inner| open(&inner, depth - 1));
            inner.filter(has_words).unwrap_or_else(|| error.clone())
        }
        Value::Object(members) if depth > 0 => {
            let may_nest = |name: &str| NESTS.contains(&name) || WORDS.contains(&name);
            let member = |(name, value): (&String, &Value)| {
                let value = if may_nest(name) {
                    open(value, depth - 1)
                } else {
                    value.clone()
                };
                (name.clone(), value)
            };
            members.iter().map(member).collect()
        }
        other => other.clone(),
    }
}

/// Reads an error that was [`opened`].
pub fn told(error: &Value) -> Told<'_> {
    let mut told = Told::default();
    told.message = message(error, MAX_DEPTH, &mut told.layers).unwrap_or_default();
    told
}

/// Whether something says anything in words.
pub fn has_words(error: &Value) -> bool {
    message(error, MAX_DEPTH, &mut Vec::new()).is_some()
}

/// Whether a code, a status or a flag says that something failed.
pub fn has_failed(object: &Value) -> bool {
    let says_so = |name: &&str| match &object[*name] {
        Value::Number(code) => code
            .as_i64()
            .is_some_and(|code| code != 0 && !(200..300).contains(&code)),
        Value::String(word) if *name == "status" => FAILED.contains(&&*word.to_ascii_lowercase()),
        Value::String(word) => {
            let word = word.to_ascii_lowercase();
            !SUCCEEDED.contains(&&*word) && !word.starts_with('2')
        }
        _ => false,
    };
    object["success"] == false || CODES.iter().any(says_so)
}

/// A status, even if it is written as a string.
pub fn number(value: &Value) -> Option<u16> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    u16::try_from(number).ok().filter(|status| (100..1000).contains(status))
}

fn message<'a>(error: &'a Value, depth: u8, layers: &mut Vec<&'a Value>) -> Option<Cow<'a, str>> {
    match error {
        Value::String(text) => Some(text.trim().into()).filter(|text: &Cow<'_, str>| !text.is_empty()),
        Value::Array(all) if depth > 0 => {
            let found = all.iter().filter_map(|one| message(one, depth - 1, layers));
            let found: Vec<Cow<'_, str>> = found.take(MAX_MESSAGES).collect();
            (!found.is_empty()).then(|| found.join("; ").into())
        }
        Value::Object(members) if depth > 0 => {
            layers.push(error);
            let is_nest = |member: &&Value| member.is_object() || member.is_array();
            let nests = NESTS.iter().filter_map(|name| members.get(*name).filter(is_nest));
            let words = WORDS.iter().filter_map(|name| members.get(*name));
            nests.chain(words).find_map(|member| message(member, depth - 1, layers))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_words_of_an_error_are_found_wherever_they_stand() {
        let rows = [
            (json!({"message": " slow\n"}), "slow"),
            (json!({"message": {"message": "slow", "code": 429}}), "slow"),
            (json!("{\"error\":{\"message\":\"slow\"}}"), "slow"),
            (
                json!({"message": r#"{"error": {"message": "[{\"msg\": \"slow\"}]"}}"#}),
                "slow",
            ),
            (json!({"message": "{\"n\": 1}"}), "{\"n\": 1}"),
            (
                json!({"base_resp": {"status_code": 1004, "status_msg": "slow"}}),
                "slow",
            ),
            (
                json!({"detail": [{"loc": ["a"], "msg": "one"}, {"msg": "two"}]}),
                "one; two",
            ),
            (json!({"errors": [{"message": "slow"}], "message": "failed"}), "slow"),
            (json!({"response": {"error": {"message": "slow"}}}), "slow"),
            (
                json!({"status": 404, "error": "Not Found", "message": "slow", "path": "/x"}),
                "slow",
            ),
            (json!({"error": "slow"}), "slow"),
            (json!({"message": {"a": 1}, "detail": "", "code": 200}), ""),
            (json!(null), ""),
        ];
        for (error, message) in rows {
            assert_eq!(told(&opened(&error)).message, message, "{error}");
        }
    }

    #[test]
    fn only_codes_and_flags_of_failure_say_that_something_failed() {
        for failed in [
            json!({"code": 500}),
            json!({"code": "rate_limit"}),
            json!({"status_code": 1004}),
            json!({"status": "Failed"}),
            json!({"success": false}),
        ] {
            assert!(has_failed(&failed), "{failed}");
        }
        for fine in [
            json!({"code": 0, "success": true}),
            json!({"code": "200", "status": "queued"}),
            json!({"status_code": 204}),
            json!({"code": null}),
        ] {
            assert!(!has_failed(&fine), "{fine}");
        }
    }
}
