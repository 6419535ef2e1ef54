//! Options of the command line as fields of the request.
//!
//! The names are those of OpenAI's protocol and of services that extend it; plugins pass them on. Pure.

use std::collections::BTreeMap;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use clap_complete::ArgValueCandidates;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use crate::setup::candidates;

/// Who is asked, and what comes before the prompt.
#[derive(Args, Clone)]
pub struct Recipient {
    /// The tier: small, large or reasoning, or any name that `agent-host tiers` shows
    #[arg(short, long, value_name = "TIER", value_parser = NonEmptyStringValueParser::new(),
        add = ArgValueCandidates::new(candidates::tiers))]
    pub tier: Option<String>,
    /// A model id, instead of a tier
    #[arg(short, long, value_name = "MODEL", value_parser = NonEmptyStringValueParser::new(),
        add = ArgValueCandidates::new(candidates::models))]
    pub model: Option<String>,
    /// The system message
    #[arg(short, long, value_name = "TEXT")]
    pub system: Option<String>,
}

/// Options for an answer. They go into the request under their names in OpenAI's and OpenRouter's protocol.
#[derive(Args, Clone, Default)]
pub struct Wanted {
    /// How much the model may reason
    #[arg(long, value_name = "EFFORT", value_parser = ["max", "xhigh", "high", "medium", "low", "minimal", "none"])]
    pub effort: Option<String>,
    /// What to choose the model's provider by
    #[arg(long, value_name = "BY", value_parser = ["price", "throughput", "latency", "exacto"])]
    pub sort: Option<String>,
    /// A name for the request in the service's traces
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub trace_name: Option<String>,
    /// The session that the request belongs to; `chat` keeps what is said under this name, and goes on with it
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub session: Option<String>,
    /// An opaque id of the end user
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub user: Option<String>,
    /// The maximum length of the answer, in tokens
    #[arg(long, value_name = "N", value_parser = tokens)]
    pub max_tokens: Option<u64>,
    /// The sampling temperature; usually 0 to 2
    #[arg(long, value_name = "X", value_parser = temperature)]
    pub temperature: Option<f64>,
    /// Any other field of the request, such as `seed=7` or `stop='["END"]'`; may be repeated
    #[arg(long = "param", value_name = "NAME=JSON", value_parser = parameter)]
    pub parameters: Vec<(String, Box<RawValue>)>,
}

/// The fields of a request by their names on the wire.
pub type Parameters = BTreeMap<String, Box<RawValue>>;

/// The fields for the options, and for a schema that the answer must match.
///
/// - Out: `--param` wins over other options; objects are merged member by member. Its values stay as they were
///   written, unless they are merged.
pub fn parameters(wanted: &Wanted, response_format: Option<&Value>) -> Parameters {
    let mut parameters = fields(json!({
        "reasoning": wanted.effort.as_ref().map(|effort| json!({"effort": effort})),
        "provider": wanted.sort.as_ref().map(|sort| json!({"sort": sort})),
        "trace": wanted.trace_name.as_ref().map(|name| json!({"trace_name": name})),
        "session_id": wanted.session,
        "user": wanted.user,
        "max_tokens": wanted.max_tokens,
        "temperature": wanted.temperature,
        "response_format": response_format,
    }));
    for (name, value) in &wanted.parameters {
        let merged = parameters
            .get(name)
            .and_then(|present| merged(present, value))
            .unwrap_or_else(|| value.clone());
        parameters.insert(name.clone(), merged);
    }
    parameters
}

/// The members of an object that are not null, as fields of a request.
pub fn fields(members: Value) -> Parameters {
    let members = members.as_object().cloned().unwrap_or_default();
    let given = members.into_iter().filter(|(_, value)| !value.is_null());
    given.filter_map(|(name, value)| Some((name, raw(&value)?))).collect()
}

/// The members of both, where both are objects; those of `over` win.
fn merged(under: &RawValue, over: &RawValue) -> Option<Box<RawValue>> {
    let mut members: Map<String, Value> = serde_json::from_str(under.get()).ok()?;
    let over: Map<String, Value> = serde_json::from_str(over.get()).ok()?;
    members.extend(over);
    raw(&Value::Object(members))
}

pub fn raw(value: &Value) -> Option<Box<RawValue>> {
    // Writing a value cannot fail.
    to_raw_value(value).ok()
}

/// `seed=7`, with the value as it was written.
fn parameter(text: &str) -> Result<(String, Box<RawValue>), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=JSON, such as `seed=7`")?;
    if name.is_empty() {
        return Err("expected a name before the `=`".to_owned());
    }
    let value = RawValue::from_string(value.to_owned())
        .map_err(|_| format!("expected JSON after `{name}=`; text needs quotation marks: '{name}=\"text\"'"))?;
    Ok((name.to_owned(), value))
}

fn tokens(text: &str) -> Result<u64, String> {
    let number = text.parse().ok().filter(|tokens| *tokens > 0);
    number.ok_or_else(|| "expected a whole number of tokens, 1 or more".to_owned())
}

fn temperature(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|value: &f64| value.is_finite() && *value >= 0.0)
        .ok_or_else(|| "expected a number, 0 or more".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        wanted: Wanted,
    }

    fn of(arguments: &[&str], response_format: Option<&Value>) -> String {
        let line = Line::try_parse_from([&["x"], arguments].concat()).unwrap_or_else(|error| panic!("{error}"));
        serde_json::to_string(&parameters(&line.wanted, response_format)).expect("JSON")
    }

    /// Arguments and the fields they become; `␠` is a space in an argument.
    const ROWS: &str = r#"
--effort xhigh → {"reasoning":{"effort":"xhigh"}}
--effort none → {"reasoning":{"effort":"none"}}
--sort price → {"provider":{"sort":"price"}}
--sort exacto → {"provider":{"sort":"exacto"}}
--trace-name nightly → {"trace":{"trace_name":"nightly"}}
--session s-1 → {"session_id":"s-1"}
--user u-1 → {"user":"u-1"}
--max-tokens 200 → {"max_tokens":200}
--temperature 0.7 → {"temperature":0.7}
--param seed=7 → {"seed":7}
# As it was written.
--param top_p=0.50 → {"top_p":0.50}
--param a=1 --param b=[␠"="␠] → {"a":1,"b":[␠"="␠]}
# `--param` wins, and objects are merged.
--temperature 1 --param temperature=0.2 → {"temperature":0.2}
--sort price --param provider={"only":["acme"]} → {"provider":{"sort":"price","only":["acme"]}}
--sort price --param provider={"sort":"latency"} → {"provider":{"sort":"latency"}}
--effort low --param reasoning=null → {"reasoning":null}
"#;

    #[test]
    fn each_option_is_a_field_by_its_name_on_the_wire() {
        for (arguments, expected) in ROWS.lines().filter_map(|row| row.split_once(" → ")) {
            let words: Vec<String> = arguments.split(' ').map(|word| word.replace('␠', " ")).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            assert_eq!(of(&words, None), expected.replace('␠', " "), "{arguments}");
        }
        assert_eq!(of(&[], None), "{}");
        let format = json!({"type": "json_object"});
        assert_eq!(of(&[], Some(&format)), r#"{"response_format":{"type":"json_object"}}"#);
    }

    #[test]
    fn a_bad_option_value_is_refused_with_what_is_expected() {
        let table: &[(&[&str], &str)] = &[
            (&["--param", "seed"], "expected NAME=JSON, such as `seed=7`"),
            (&["--param", "=7"], "expected a name before the `=`"),
            (
                &["--param", "stop=end"],
                r#"expected JSON after `stop=`; text needs quotation marks: 'stop="text"'"#,
            ),
            (&["--temperature", "warm"], "expected a number, 0 or more"),
            (&["--temperature", "NaN"], "expected a number, 0 or more"),
            (&["--effort", "some"], "max, xhigh, high, medium, low, minimal, none"),
            (&["--max-tokens", "0"], "expected a whole number of tokens, 1 or more"),
        ];
        for (arguments, expected) in table {
            let Err(error) = Line::try_parse_from([&["x"], *arguments].concat()) else {
                panic!("{arguments:?} was taken");
            };
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
