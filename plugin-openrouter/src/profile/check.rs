//! Checks the options for problems that their schema cannot express.
//!
//! In: options, as JSON or parsed. Out: every [`Problem`], with its JSON pointer. Pure.

use std::collections::BTreeSet;

use plugin_api::{Error, ErrorKind, Problem};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::profile::options::{Attribution, Options, Privacy, TierOption};
use crate::profile::parameters::Parameters;
use crate::profile::policy::OnExceed;
use crate::profile::preferences::{DataCollection, ProviderPreferences};
use crate::profile::split::Arms;
use crate::profile::tiers::{self, Tier};
use crate::values::base_url::{base_url_problem, is_plain_host};
use crate::values::model_id;
use crate::values::slug::provider_slug;

impl Options {
    /// Lists every problem that a schema cannot express.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        problems.extend(self.model.as_deref().and_then(|model| model_problem("/model", model)));
        self.add_tier_problems(&mut problems);
        let fallbacks = &self.fallback_models;
        add_fallback_problems(&mut problems, "", self.model.as_deref(), Some(fallbacks), fallbacks);
        if let Some(preferences) = &self.provider_preferences {
            self.add_preference_problems(&mut problems, "", preferences);
        }
        add_parameter_problems(&mut problems, "", self.parameters.as_ref());
        add_attribution_problems(&mut problems, &self.attribution);
        let problem = |url: &String| base_url_problem(url, &self.allow_plain_http);
        problems.extend(self.base_url.as_ref().and_then(problem));
        for (index, host) in self.allow_plain_http.iter().enumerate() {
            if !is_plain_host(host) {
                let message = "expected a host name or address, without scheme and port";
                problems.push(Problem::error(format!("/allowPlainHttp/{index}"), message));
            }
        }
        self.add_policy_problems(&mut problems);
        problems
    }

    fn add_policy_problems(&self, problems: &mut Vec<Problem>) {
        if let Some(secondary) = &self.secondary
            && let Some(problem) = base_url_problem(&secondary.base_url, &self.allow_plain_http)
        {
            problems.push(Problem {
                pointer: "/secondary/baseUrl".to_owned(),
                ..problem
            });
        }
        if let Some(OnExceed::StepDownTo(name)) = self.budget.as_ref().map(|budget| &budget.on_exceed)
            && Tier::parse(name).is_none()
        {
            let problem = Problem::error("/budget/onExceed/stepDownTo", format!("unknown tier `{name}`"));
            problems.push(problem.with_hint(tiers::hint_for(name)));
        }
        for (pointer, number, least, most) in [
            ("/limits/concurrency", self.limits.concurrency, 1, 100_000),
            (
                "/limits/requestsPerMinute",
                self.limits.requests_per_minute.unwrap_or(1),
                1,
                1_000_000,
            ),
            ("/retry/attempts", self.retry.attempts, 1, 10),
        ] {
            if !(least..=most).contains(&number) {
                let message = format!("expected a whole number from {least} to {most}, found {number}");
                problems.push(Problem::error(pointer, message));
            }
        }
        let times = &self.timeouts;
        if times.idle_ms > times.progress_ms {
            let message = "`idleMs` is longer than `progressMs`, which expires first";
            problems.push(Problem::warning("/timeouts/idleMs", message).with_hint("make it shorter than `progressMs`"));
        }
    }

    fn add_tier_problems(&self, problems: &mut Vec<Problem>) {
        let mut seen = BTreeSet::new();
        for (key, entry) in &self.tiers {
            let pointer = format!("/tiers/{}", escaped(key));
            let Some(tier) = Tier::parse(key) else {
                let problem = Problem::error(&pointer, format!("unknown tier `{key}`"));
                problems.push(problem.with_hint(tiers::hint_for(key)));
                continue;
            };
            if !seen.insert(tier) {
                problems.push(
                    Problem::error(&pointer, format!("the tier {tier} is configured twice"))
                        .with_hint("keep one of the two"),
                );
            }
            let model_pointer = match entry {
                TierOption::Model(_) => pointer.clone(),
                TierOption::Settings(_) => format!("{pointer}/model"),
            };
            problems.extend(entry.model().and_then(|model| model_problem(&model_pointer, model)));
            if let Some(arms) = entry.settings().and_then(|settings| settings.split.as_ref()) {
                add_split_problems(problems, &format!("{pointer}/split"), arms, entry.model());
            }
            let own_parameters = entry.settings().and_then(|settings| settings.parameters.as_ref());
            add_parameter_problems(problems, &pointer, own_parameters);
            let own_fallbacks = entry
                .settings()
                .and_then(|settings| settings.fallback_models.as_deref());
            let fallbacks = own_fallbacks.unwrap_or(&self.fallback_models);
            add_fallback_problems(problems, &pointer, entry.model(), own_fallbacks, fallbacks);
            if let Some(own) = entry
                .settings()
                .and_then(|settings| settings.provider_preferences.as_ref())
            {
                self.add_preference_problems(problems, &pointer, own);
            }
        }
    }

    fn add_preference_problems(&self, problems: &mut Vec<Problem>, parent: &str, preferences: &ProviderPreferences) {
        let pointer = format!("{parent}/providerPreferences");
        let list = |names: &Option<Vec<String>>| names.clone().unwrap_or_default();
        if !list(&preferences.order).is_empty() && preferences.sort.is_some() {
            let message = "`sort` has no effect while `order` is set";
            let warning = Problem::warning(format!("{pointer}/sort"), message);
            problems.push(warning.with_hint("keep one of the two"));
        }
        for (index, ignored) in list(&preferences.ignore).iter().enumerate() {
            let ignored = provider_slug(ignored);
            let contradiction = list(&preferences.only).into_iter().find(|wanted| {
                // A slug without a variant covers all variants.
                let rest = provider_slug(wanted).strip_prefix(&*ignored).map(str::to_owned);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            });
            if let Some(wanted) = contradiction {
                let message = format!("`{ignored}` is ignored, but `only` contains `{wanted}`");
                let error = Problem::error(format!("{pointer}/ignore/{index}"), message);
                problems.push(error.with_hint("remove it from one of the two"));
            }
        }
        if self.privacy == Some(Privacy::Strict) {
            let remedy = "remove it, or remove `privacy`";
            if preferences.data_collection == Some(DataCollection::Allow) {
                let message = "`allow` has no effect while `privacy` is `strict`";
                let warning = Problem::warning(format!("{pointer}/dataCollection"), message);
                problems.push(warning.with_hint(remedy));
            }
            if preferences.zdr == Some(false) {
                let message = "`false` has no effect while `privacy` is `strict`";
                let warning = Problem::warning(format!("{pointer}/zdr"), message);
                problems.push(warning.with_hint(remedy));
            }
        }
    }
}

/// A member's name as a step of a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn add_split_problems(problems: &mut Vec<Problem>, pointer: &str, arms: &Arms, model: Option<&str>) {
    for id in arms.keys() {
        problems.extend(model_problem(&format!("{pointer}/{}", escaped(id)), id));
    }
    if arms.values().all(|weight| *weight == 0) {
        let problem = Problem::error(pointer, "expected a weight above 0, found none");
        problems.push(problem.with_hint("give each model its share of the calls, such as 80 and 20"));
    }
    if model.is_some() {
        let problem = Problem::error(pointer, "the tier has both `model` and `split`");
        problems.push(problem.with_hint("remove `model`; `split` names the models"));
    }
}

fn model_problem(pointer: &str, model: &str) -> Option<Problem> {
    let trimmed = model.trim();
    let has = |letters: &str| trimmed.contains(|letter| letters.contains(letter));
    if trimmed.contains("://") {
        // Not quoted, since a URL may hold a password.
        let error = Problem::error(pointer, "expected a model id, found a URL");
        return Some(error.with_hint("write the id alone, such as `anthropic/claude-sonnet-4.5`"));
    }
    if has("\"'`“”‘’") {
        let error = Problem::error(pointer, format!("expected a model id, found quotes in {trimmed}"));
        return Some(error.with_hint("remove the quotes inside the value"));
    }
    if trimmed.contains(char::is_whitespace) || has(",;") {
        let error = Problem::error(pointer, format!("expected one model id, found `{trimmed}`"));
        let hint = "a model id has no spaces, commas or semicolons; list further models in `fallbackModels`";
        return Some(error.with_hint(hint));
    }
    None
}

/// `own` are the fallback models configured at `parent`, `effective` those in effect there.
fn add_fallback_problems(
    problems: &mut Vec<Problem>,
    parent: &str,
    model: Option<&str>,
    own: Option<&[String]>,
    effective: &[String],
) {
    for (index, fallback) in own.unwrap_or_default().iter().enumerate() {
        problems.extend(model_problem(&format!("{parent}/fallbackModels/{index}"), fallback));
    }
    if model.is_some_and(model_id::is_auto_router) && !effective.is_empty() {
        let place = if own.is_some() { parent } else { "" };
        let message = "the fallback models are ignored with `openrouter/auto`, which chooses its own";
        let warning = Problem::warning(format!("{place}/fallbackModels"), message);
        let warning = warning.with_hint("remove them, or set another model");
        if !problems.contains(&warning) {
            problems.push(warning);
        }
    }
}

fn add_parameter_problems(problems: &mut Vec<Problem>, parent: &str, parameters: Option<&Parameters>) {
    let extra = parameters.and_then(|parameters| parameters.extra.as_ref());
    for (name, _) in extra.into_iter().flatten() {
        if let Some((_, hint)) = SET_ELSEWHERE.iter().find(|(field, _)| field == name) {
            let pointer = format!("{parent}/parameters/extra/{name}");
            let error = Problem::error(pointer, format!("`{name}` cannot be set in `extra`"));
            problems.push(error.with_hint(*hint));
        }
    }
}

/// Fields of the request's body that `extra` may not contain, each with a hint.
const SET_ELSEWHERE: [(&str, &str); 6] = [
    ("model", "set `model` of the profile or of the tier"),
    ("models", "set `fallbackModels`"),
    ("messages", "the messages come from the conversation"),
    ("stream", "the caller decides whether to stream the answer"),
    ("provider", "set `providerPreferences`"),
    ("plugins", "set `plugins` of the profile or of the tier"),
];

fn add_attribution_problems(problems: &mut Vec<Problem>, attribution: &Attribution) {
    let mut check = |pointer: String, value: &str, is_allowed: fn(char) -> bool, expected: &str| {
        if !value.chars().all(is_allowed) {
            let message = format!("expected {expected}, because it becomes an HTTP header");
            problems.push(Problem::error(pointer, message));
        }
    };
    if let Some(site_url) = &attribution.site_url {
        let is_allowed = |letter: char| letter.is_ascii_graphic();
        check(
            "/attribution/siteUrl".into(),
            site_url,
            is_allowed,
            "ASCII without spaces",
        );
    }
    if let Some(app_name) = &attribution.app_name {
        let is_allowed = |letter: char| !letter.is_control();
        check("/attribution/appName".into(), app_name, is_allowed, "text on one line");
    }
    for (index, category) in attribution.categories.iter().enumerate() {
        let is_allowed = |letter: char| letter.is_ascii_graphic() && letter != ',';
        let pointer = format!("/attribution/categories/{index}");
        check(pointer, category, is_allowed, "ASCII without spaces or commas");
    }
}

/// Parses and checks the options.
///
/// - Errors: `config` with every problem that is not a warning.
pub fn read_options(value: &Value) -> Result<Options, Error> {
    let problems = problems_of(value);
    let failures: Vec<Problem> = problems.into_iter().filter(|problem| !problem.warning).collect();
    if !failures.is_empty() {
        let count = failures.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        let first = format!("at {}: {}", failures[0].pointer, failures[0].message);
        let mut error = Error::new(
            ErrorKind::CONFIG,
            format!("the options have {count} {noun}, the first {first}"),
        );
        error.details.problems = failures;
        return Err(error);
    }
    Ok(parse(value).unwrap_or_default())
}

fn parse(value: &Value) -> Result<Options, serde_json::Error> {
    match value {
        Value::Null => Ok(Options::default()),
        value => Options::deserialize(value),
    }
}

/// Lists every problem of the options, warnings included.
pub fn problems_of(value: &Value) -> Vec<Problem> {
    match parse(value) {
        Ok(options) => options.problems(),
        Err(_) => misfits(value),
    }
}

/// The options that are unknown or have the wrong type; the whole if none of them alone is to blame.
fn misfits(value: &Value) -> Vec<Problem> {
    let members = value.as_object().into_iter().flatten();
    let misfits = members.filter(|(name, value)| parse(&json!({name.as_str(): value})).is_err());
    let mut pointers: Vec<String> = misfits.map(|(name, _)| format!("/{}", escaped(name))).collect();
    if pointers.is_empty() {
        pointers.push(String::new());
    }
    // The parser's own message would quote the value, which may be a secret.
    let problem = |pointer| {
        Problem::error(pointer, "the option is unknown or has the wrong type")
            .with_hint("check the options against the schema in the plugin's manifest")
    };
    pointers.into_iter().map(problem).collect()
}

#[cfg(test)]
mod tests;
