//! Prompts that are kept in files, with places to fill in.
//!
//! In: the text of a template, values for its variables. Out: the prompt, and who is asked with which settings.
//! The file is Markdown with [Jinja](https://docs.rs/minijinja) expressions; a head of YAML between two lines `---` may
//! name tier, model, system message, schema and parameters. Pure.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::io::{self, Write};

use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::terminal::joined;

/// The largest prompt that a template may become, in bytes.
const MAX_PROMPT_BYTES: usize = 16 << 20;
/// The most instructions that a template may take.
const MAX_STEPS: u64 = 1_000_000;

/// The variable that stands for the words behind the template's name, and for standard input.
pub const INPUT: &str = "input";

/// A prompt with places to fill in.
#[derive(Debug, Default, PartialEq)]
pub struct Template {
    pub head: Head,
    pub prompt: String,
}

/// What comes with the prompt.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Head {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Fields of the request, such as `temperature`.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub parameters: Map<String, Value>,
}

/// A template whose places are filled in.
#[derive(Debug, PartialEq)]
pub struct Filled {
    pub prompt: String,
    pub system: Option<String>,
}

impl Template {
    /// Reads a template.
    ///
    /// - Errors: the head is not YAML, or has other members; the rest is not a template. One sentence with the place.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (head, prompt) = match divided(text)? {
            Some((head, prompt)) => {
                let head = serde_saphyr::from_str(head).map_err(|cause| format!("its head is no YAML: {cause}"))?;
                (head, prompt)
            }
            None => (Head::default(), text),
        };
        let template = Self {
            head,
            prompt: prompt.trim_end().to_owned(),
        };
        template.variables()?;
        Ok(template)
    }

    /// The text that [`Self::parse`] reads.
    pub fn text(&self) -> Result<String, String> {
        if self.head == Head::default() {
            return Ok(format!("{}\n", self.prompt));
        }
        let head = serde_saphyr::to_string(&self.head).map_err(|cause| cause.to_string())?;
        Ok(format!("---\n{}\n---\n{}\n", head.trim_end(), self.prompt))
    }

    /// The variables that have to be filled in, in alphabetic order.
    pub fn variables(&self) -> Result<Vec<String>, String> {
        let mut names = Vec::new();
        for text in [Some(&self.prompt), self.head.system.as_ref()].into_iter().flatten() {
            let environment = environment();
            let template = environment.template_from_str(text).map_err(|error| said(&error))?;
            names.extend(template.undeclared_variables(false));
        }
        // Functions such as `range` count as names too.
        names.retain(|name| !environment().globals().any(|(global, _)| global == name));
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Fills in the values. Input that no variable takes follows the prompt.
    ///
    /// - Errors: variables without a value; values without a variable; the template itself fails.
    pub fn fill(&self, values: &BTreeMap<String, String>, input: Option<&str>) -> Result<Filled, String> {
        let wanted = self.variables()?;
        let named = |names: Vec<&String>| joined(names.into_iter().map(|name| format!("`{name}`")).collect(), "and");
        let unknown: Vec<&String> = values.keys().filter(|name| !wanted.contains(name)).collect();
        if !unknown.is_empty() {
            let variables = match wanted.is_empty() {
                true => "it has no variables".to_owned(),
                false => format!("its variables are {}", named(wanted.iter().collect())),
            };
            return Err(format!("it has no variable {}; {variables}", named(unknown)));
        }
        let mut values = values.clone();
        if let Some(input) = input {
            values.entry(INPUT.to_owned()).or_insert_with(|| input.to_owned());
        }
        let render = |text: &str| {
            rendered(text, &values).map_err(|error| match error.kind() {
                // One that has a default, or that a condition asks for, may stay without a value.
                ErrorKind::UndefinedError => {
                    let missing = wanted.iter().filter(|name| !values.contains_key(*name)).collect();
                    format!("no value for {}", named(missing))
                }
                _ => said(&error),
            })
        };
        let mut prompt = render(&self.prompt)?;
        if let Some(input) = input.filter(|_| !wanted.iter().any(|name| name == INPUT)) {
            prompt = [prompt.as_str(), input].join("\n\n").trim().to_owned();
        }
        let system = self.head.system.as_deref().map(render).transpose()?;
        Ok(Filled { prompt, system })
    }
}

/// - Errors: it uses a name without a value, takes too many steps, or becomes too long.
fn rendered(text: &str, values: &BTreeMap<String, String>) -> Result<String, minijinja::Error> {
    let environment = environment();
    let mut prompt = Bounded(Vec::new());
    environment
        .template_from_str(text)?
        .render_captured_to(values, &mut prompt)?;
    Ok(String::from_utf8_lossy(&prompt.0).into_owned())
}

/// A prompt that ends where no service would read it.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_PROMPT_BYTES {
            return Err(io::Error::other(format!(
                "the prompt has more than {} MiB",
                MAX_PROMPT_BYTES >> 20
            )));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Plain text: nothing is escaped, and a name that is misspelt is an error instead of nothing.
fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(MAX_STEPS));
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment
}

fn said(error: &minijinja::Error) -> String {
    let what = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    let what = error.source().map_or(what, |cause| cause.to_string());
    match error.line() {
        Some(line) => format!("{what} (line {line} of its text)"),
        None => what,
    }
}

/// The head and what follows it. `None` without a head.
fn divided(text: &str) -> Result<Option<(&str, &str)>, String> {
    let text = text.trim_start_matches('\u{feff}');
    let Some(rest) = text.strip_prefix("---\n").or_else(|| text.strip_prefix("---\r\n")) else {
        return Ok(None);
    };
    let mut at = 0;
    for line in rest.split_inclusive('\n') {
        if line.trim_end() == "---" {
            return Ok(Some((&rest[..at], &rest[at + line.len()..])));
        }
        at += line.len();
    }
    Err("its head has no end; expected a second line `---`".to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn a_template_has_a_head_and_places_to_fill_in() {
        let text = "---\ntier: small\nsystem: Answer in {{ lang }}.\nparameters: {temperature: 0.2}\n---\n\
            Translate into {{ lang }}:\n\n{{ input }}\n";
        let template = Template::parse(text).expect("a template");
        assert_eq!(
            (template.head.tier.as_deref(), &template.head.parameters["temperature"]),
            (Some("small"), &json!(0.2))
        );
        assert_eq!(template.variables(), Ok(vec!["input".to_owned(), "lang".to_owned()]));
        let filled = template.fill(&values(&[("lang", "<German>")]), Some("Hello"));
        let expected = Filled {
            prompt: "Translate into <German>:\n\nHello".to_owned(),
            system: Some("Answer in <German>.".to_owned()),
        };
        assert_eq!(filled, Ok(expected));
        assert_eq!(Template::parse(&template.text().expect("text")), Ok(template));
    }

    #[test]
    fn input_that_no_variable_takes_follows_the_prompt() {
        let template = Template::parse("Summarize:").expect("a template");
        let filled = template.fill(&values(&[]), Some("a long text")).expect("a prompt");
        assert_eq!(
            (filled.prompt.as_str(), filled.system),
            ("Summarize:\n\na long text", None)
        );
    }

    #[test]
    fn loops_conditions_and_defaults_work_and_have_an_end() {
        let fill = |text: &str| {
            let filled = Template::parse(text).expect("a template").fill(&values(&[]), None);
            filled.map(|filled| filled.prompt)
        };
        let text =
            "{% for n in range(3) %}{{ n }}{% endfor %} {{ name | default('you') }}{% if who is defined %}!{% endif %}";
        assert_eq!(fill(text).as_deref(), Ok("012 you"));
        let endless = fill("{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}");
        assert!(endless.is_err_and(|reason| reason.contains("fuel")));
        let long = fill("{% for a in range(9999) %}{{ 'x' * 9999 }}{% endfor %}");
        assert!(long.is_err_and(|reason| reason.contains("more than 16 MiB")));
    }

    #[test]
    fn what_is_wrong_with_a_template_or_its_values_is_named() {
        let parse = |text: &str| Template::parse(text).expect_err("it is refused");
        assert!(parse("---\ntier: [\n---\nx").starts_with("its head is no YAML: "));
        assert!(parse("---\ncolour: red\n---\nx").contains("colour"));
        assert_eq!(
            parse("---\ntier: small\n"),
            "its head has no end; expected a second line `---`"
        );
        assert!(
            parse("a\n{{ b").ends_with("(line 2 of its text)"),
            "{}",
            parse("a\n{{ b")
        );
        let template = Template::parse("{{ a }} {{ b }} {{ input }}").expect("a template");
        let fill = |pairs: &[(&str, &str)]| template.fill(&values(pairs), None).expect_err("it is refused");
        assert_eq!(fill(&[("a", "1")]), "no value for `b` and `input`");
        let all = [("a", "1"), ("b", "2"), ("input", "3"), ("c", "4")];
        assert_eq!(
            fill(&all),
            "it has no variable `c`; its variables are `a`, `b` and `input`"
        );
    }
}
