//! Judges whether a key is set, and whether the service accepts it. Pure.

use plugin_api::{Account, Error, ErrorKind, Finding};

use super::{failed, ok, skipped, took, unknown_for, warning};
use crate::money::asked::{Known, Replies};
use crate::service::Settings;
use crate::values::time;

/// The variables that may hold the key, in order of precedence.
const VARIABLES: [&str; 2] = ["OPENROUTER_API_KEY", "OPENROUTER_KEY"];

const KEYS_PAGE: &str = "https://openrouter.ai/settings/keys";

/// A key that expires within this time is a warning, in seconds.
const SOON_S: i64 = 7 * 86_400;

/// The findings about the key.
pub fn findings(settings: &Settings, asked: &Replies, known: &Result<Known, Error>, now_s: i64) -> Vec<Finding> {
    vec![
        presence(settings),
        form(settings),
        took(validity(known), asked.elapsed),
        expiry(known, now_s),
    ]
}

/// The variables that are set, with their values.
fn given(settings: &Settings) -> Vec<(&'static str, &str)> {
    let set = VARIABLES.iter().filter_map(|name| {
        let value = settings.profile.environment.get(*name)?.as_str();
        (!value.trim().is_empty()).then_some((*name, value))
    });
    set.collect()
}

fn presence(settings: &Settings) -> Finding {
    let id = "key_present";
    match given(settings).as_slice() {
        [(used, key), (other, another)] if key.trim() != another.trim() => warning(
            id,
            format!("`{used}` and `{other}` hold different keys; the first one is used"),
            format!("remove `{other}` from the environment"),
        ),
        [(used, _), ..] => ok(id, format!("`{used}` is set")),
        [] => failed(
            id,
            format!("`{}` is not set", VARIABLES[0]),
            format!("create a key at {KEYS_PAGE} and set `{}` to it", VARIABLES[0]),
        ),
    }
}

fn form(settings: &Settings) -> Finding {
    let id = "key_form";
    let (Ok(key), Some((variable, value))) = (settings.key(), given(settings).first().copied()) else {
        return skipped(id, "no key is set");
    };
    if key.secret.len() != value.len() {
        return warning(
            id,
            "the key is surrounded by spaces, quotes or line breaks, which are removed",
            format!("set `{variable}` to the key alone"),
        );
    }
    if key.secret.starts_with("sk-or-") {
        return ok(id, "it begins with `sk-or-`");
    }
    ok(id, "it does not begin with `sk-or-`; `allowAnyKey` permits that")
}

fn validity(known: &Result<Known, Error>) -> Finding {
    let id = "key_valid";
    match known {
        // Source: OpenRouter docs, `guides/overview/auth/management-api-keys`.
        Ok(known) if known.is_management_key => failed(
            id,
            "it is a management key, which cannot call models",
            format!("create an ordinary key at {KEYS_PAGE} and set `{}` to it", VARIABLES[0]),
        ),
        Ok(known) => match &known.account.label {
            Some(label) if !label.is_empty() => ok(id, format!("the service accepts it; its label is `{label}`")),
            _ => ok(id, "the service accepts it"),
        },
        Err(error) if error.kind == ErrorKind::AUTH && error.details.status.is_some() => failed(
            id,
            format!("the key was refused: {}", error.message),
            format!("check at {KEYS_PAGE} whether it is disabled, expired or deleted, or create another key"),
        ),
        Err(error) if error.kind == ErrorKind::FORBIDDEN => {
            let remedy = error
                .hint()
                .unwrap_or("check the key at https://openrouter.ai/settings/keys");
            failed(id, error.message.clone(), remedy)
        }
        Err(error) => skipped(id, unknown_for(error)),
    }
}

fn expiry(known: &Result<Known, Error>, now_s: i64) -> Finding {
    match known {
        Ok(known) => judge_expiry(&known.account, now_s),
        Err(error) => skipped("key_expires", unknown_for(error)),
    }
}

fn judge_expiry(account: &Account, now_s: i64) -> Finding {
    let id = "key_expires";
    let Some(at) = &account.expires_at else {
        return ok(id, "it does not expire");
    };
    let Some(end_s) = time::from_json(at) else {
        return skipped(id, format!("expected an expiry date, found `{at}`"));
    };
    let remedy = format!("create another key at {KEYS_PAGE} and set `{}` to it", VARIABLES[0]);
    let left_s = end_s - now_s;
    if left_s <= 0 {
        return failed(id, format!("it expired at {at}"), remedy);
    }
    if left_s <= SOON_S {
        let left = match left_s / 86_400 {
            0 => "within a day".to_owned(),
            1 => "in 1 day".to_owned(),
            days => format!("in {days} days"),
        };
        return warning(id, format!("it expires {left}, at {at}"), remedy);
    }
    ok(id, format!("it expires at {at}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::diagnose::kit::line;
    use crate::kit::settings;

    const KEY: &str = "OPENROUTER_API_KEY";
    const OTHER: &str = "OPENROUTER_KEY";

    #[test]
    fn the_variable_is_named_but_the_key_never_shown() {
        let rows = [
            [(KEY, ""), (OTHER, "")],
            [(KEY, "sk-or-a"), (OTHER, "")],
            [(KEY, " "), (OTHER, "sk-or-a")],
            [(KEY, "sk-or-a"), (OTHER, "sk-or-a\n")],
            [(KEY, "sk-or-a"), (OTHER, "sk-or-b")],
        ];
        let expected = [
            "failed key_present: `OPENROUTER_API_KEY` is not set | create a key at https://openrouter.ai/settings/keys \
             and set `OPENROUTER_API_KEY` to it",
            "ok key_present: `OPENROUTER_API_KEY` is set",
            "ok key_present: `OPENROUTER_KEY` is set",
            "ok key_present: `OPENROUTER_API_KEY` is set",
            "warning key_present: `OPENROUTER_API_KEY` and `OPENROUTER_KEY` hold different keys; the first one is used | \
             remove `OPENROUTER_KEY` from the environment",
        ];
        let seen = rows.map(|variables| line(&presence(&settings(json!({}), &variables))));
        assert_eq!(seen, expected);
    }

    #[test]
    fn the_form_of_the_key_is_judged_without_showing_it() {
        let seen = |options: Value, key: &str| line(&form(&settings(options, &[(KEY, key)])));
        assert_eq!(seen(json!({}), ""), "skipped key_form: no key is set");
        assert_eq!(seen(json!({}), "sk-or-v1-a"), "ok key_form: it begins with `sk-or-`");
        let expected = "ok key_form: it does not begin with `sk-or-`; `allowAnyKey` permits that";
        assert_eq!(seen(json!({"allowAnyKey": true}), "proxy-key"), expected);
        assert_eq!(
            seen(json!({}), "\"sk-or-v1-a\""),
            "warning key_form: the key is surrounded by spaces, quotes or line breaks, which are removed | set \
             `OPENROUTER_API_KEY` to the key alone"
        );
    }

    #[test]
    fn a_key_is_accepted_refused_or_unknown() {
        let known = |label: Option<&str>, is_management_key| {
            let label = label.map(str::to_owned);
            let account = Account {
                label,
                ..Account::default()
            };
            Ok(Known {
                account,
                is_management_key,
            })
        };
        let error = |kind, message: &str, status| {
            let mut error = Error::new(kind, message);
            error.details.status = status;
            Err(error)
        };
        let rows = [
            known(None, false),
            known(Some("mine"), false),
            known(Some("mine"), true),
            error(ErrorKind::AUTH, "the service answered 401: no", Some(401)),
            error(ErrorKind::AUTH, "no key", None),
            error(ErrorKind::FORBIDDEN, "the service answered 403: no", Some(403)),
            error(ErrorKind::CONNECT, "no connection", None),
            error(ErrorKind::UNAVAILABLE, "the service answered 503: busy", Some(503)),
        ];
        let expected = [
            "ok key_valid: the service accepts it",
            "ok key_valid: the service accepts it; its label is `mine`",
            "failed key_valid: it is a management key, which cannot call models | create an ordinary key at \
             https://openrouter.ai/settings/keys and set `OPENROUTER_API_KEY` to it",
            "failed key_valid: the key was refused: the service answered 401: no | check at \
             https://openrouter.ai/settings/keys whether it is disabled, expired or deleted, or create another key",
            "skipped key_valid: not checked: no key is set",
            "failed key_valid: the service answered 403: no | check the key at https://openrouter.ai/settings/keys",
            "skipped key_valid: unknown: the service cannot be reached",
            "skipped key_valid: unknown: the service answered 503: busy",
        ];
        assert_eq!(rows.map(|known| line(&validity(&known))), expected);
    }

    #[test]
    fn a_key_that_expires_within_a_week_is_a_warning() {
        let now_s = time::from_json("2027-12-24T00:00:00Z").expect("a date");
        let remedy = "create another key at https://openrouter.ai/settings/keys and set `OPENROUTER_API_KEY` to it";
        let seen = |expires_at: &str| {
            let expires_at = Some(expires_at.to_owned()).filter(|text| !text.is_empty());
            let account = Account {
                expires_at,
                ..Account::default()
            };
            line(&judge_expiry(&account, now_s)).replace(remedy, "REMEDY")
        };
        let rows = [
            "",
            "2027-12-31T00:00:01Z",
            "2027-12-31T00:00:00Z",
            "2027-12-25T12:00:00Z",
            "2027-12-24T00:00:01Z",
            "2027-12-24T00:00:00Z",
            "never",
        ];
        let expected = [
            "ok key_expires: it does not expire",
            "ok key_expires: it expires at 2027-12-31T00:00:01Z",
            "warning key_expires: it expires in 7 days, at 2027-12-31T00:00:00Z | REMEDY",
            "warning key_expires: it expires in 1 day, at 2027-12-25T12:00:00Z | REMEDY",
            "warning key_expires: it expires within a day, at 2027-12-24T00:00:01Z | REMEDY",
            "failed key_expires: it expired at 2027-12-24T00:00:00Z | REMEDY",
            "skipped key_expires: expected an expiry date, found `never`",
        ];
        assert_eq!(rows.map(seen), expected);
    }
}
