//! Whether there is a key, and whether the service takes it.

use plugin_api::{Account, Error, ErrorKind, Finding};

use super::{failed, ok, skipped, took, unknown_for, warning};
use crate::money::asked::{Known, Replies};
use crate::service::Settings;
use crate::values::time;

/// The variables that may hold the key, in order.
const VARIABLES: [&str; 2] = ["OPENROUTER_API_KEY", "OPENROUTER_KEY"];

const KEYS_PAGE: &str = "https://openrouter.ai/settings/keys";

/// Seconds before its end from which a key's end is worth a warning.
const SOON_S: i64 = 7 * 86_400;

/// Everything about the key.
pub fn findings(settings: &Settings, asked: &Replies, known: &Result<Known, Error>, now_s: i64) -> Vec<Finding> {
    vec![
        presence(settings),
        form(settings),
        took(validity(known), asked.elapsed),
        expiry(known, now_s),
    ]
}

/// The variables that are set, and what they are set to.
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
        [(used, _), ..] => ok(id, format!("`{used}` holds one")),
        [] => failed(
            id,
            format!("`{}` is not set", VARIABLES[0]),
            format!("make a key at {KEYS_PAGE} and set `{}` to it", VARIABLES[0]),
        ),
    }
}

fn form(settings: &Settings) -> Finding {
    let id = "key_form";
    let (Ok(key), Some((variable, value))) = (settings.key(), given(settings).first().copied()) else {
        return skipped(id, "there is no key");
    };
    if key.secret.len() != value.len() {
        return warning(
            id,
            "the key has blanks, quotes or line breaks around it, which are taken off",
            format!("set `{variable}` to the key alone"),
        );
    }
    if key.secret.starts_with("sk-or-") {
        return ok(id, "it begins with `sk-or-`");
    }
    ok(id, "it does not begin with `sk-or-`, which `allowAnyKey` allows")
}

fn validity(known: &Result<Known, Error>) -> Finding {
    let id = "key_valid";
    match known {
        // Source: OpenRouter docs, `guides/overview/auth/management-api-keys`.
        Ok(known) if known.is_management_key => failed(
            id,
            "it is a management key, which the service refuses for models",
            format!("make an ordinary key at {KEYS_PAGE} and set `{}` to it", VARIABLES[0]),
        ),
        Ok(known) => match &known.account.label {
            Some(label) if !label.is_empty() => ok(id, format!("the service takes it; its name there is `{label}`")),
            _ => ok(id, "the service takes it"),
        },
        Err(error) if error.kind == ErrorKind::AUTH && error.details.status.is_some() => failed(
            id,
            format!("the key is refused: {}", error.message),
            format!("look at {KEYS_PAGE} whether it is disabled, expired or deleted, and make another one"),
        ),
        Err(error) if error.kind == ErrorKind::FORBIDDEN => {
            let remedy = error.hint().unwrap_or("look at https://openrouter.ai/settings/keys");
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
        return ok(id, "it has no end");
    };
    let Some(end_s) = time::from_json(at) else {
        return skipped(id, format!("expected the date of its end, found `{at}`"));
    };
    let remedy = format!("make another key at {KEYS_PAGE} and set `{}` to it", VARIABLES[0]);
    let left_s = end_s - now_s;
    if left_s <= 0 {
        return failed(id, format!("it ended at {at}"), remedy);
    }
    if left_s <= SOON_S {
        let left = match left_s / 86_400 {
            0 => "within a day".to_owned(),
            1 => "in 1 day".to_owned(),
            days => format!("in {days} days"),
        };
        return warning(id, format!("it ends {left}, at {at}"), remedy);
    }
    ok(id, format!("it ends at {at}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use plugin_api::Config;
    use serde_json::{Value, json};

    use super::*;
    use crate::diagnose::kit::line;

    fn settings(options: Value, variables: &[(&str, &str)]) -> Arc<Settings> {
        let environment: BTreeMap<_, _> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Settings::from_config(&Config { options, environment }, None).expect("good settings")
    }

    #[test]
    fn where_the_key_comes_from_is_said_and_the_key_is_not() {
        let rows: [(&[(&str, &str)], &str); 5] = [
            (
                &[],
                "failed key_present: `OPENROUTER_API_KEY` is not set | make a key at \
                 https://openrouter.ai/settings/keys and set `OPENROUTER_API_KEY` to it",
            ),
            (
                &[("OPENROUTER_API_KEY", "sk-or-a")],
                "ok key_present: `OPENROUTER_API_KEY` holds one",
            ),
            (
                &[("OPENROUTER_API_KEY", " "), ("OPENROUTER_KEY", "sk-or-a")],
                "ok key_present: `OPENROUTER_KEY` holds one",
            ),
            (
                &[("OPENROUTER_API_KEY", "sk-or-a"), ("OPENROUTER_KEY", "sk-or-a\n")],
                "ok key_present: `OPENROUTER_API_KEY` holds one",
            ),
            (
                &[("OPENROUTER_API_KEY", "sk-or-a"), ("OPENROUTER_KEY", "sk-or-b")],
                "warning key_present: `OPENROUTER_API_KEY` and `OPENROUTER_KEY` hold different keys; the first one is \
                 used | remove `OPENROUTER_KEY` from the environment",
            ),
        ];
        for (variables, expected) in rows {
            assert_eq!(line(&presence(&settings(json!({}), variables))), expected);
        }
    }

    #[test]
    fn the_form_of_the_key_is_judged_without_showing_it() {
        let seen = |options: Value, key: &str| line(&form(&settings(options, &[("OPENROUTER_API_KEY", key)])));
        assert_eq!(seen(json!({}), ""), "skipped key_form: there is no key");
        assert_eq!(seen(json!({}), "sk-or-v1-a"), "ok key_form: it begins with `sk-or-`");
        assert_eq!(
            seen(json!({"allowAnyKey": true}), "proxy-key"),
            "ok key_form: it does not begin with `sk-or-`, which `allowAnyKey` allows"
        );
        assert_eq!(
            seen(json!({}), "\"sk-or-v1-a\""),
            "warning key_form: the key has blanks, quotes or line breaks around it, which are taken off | set \
             `OPENROUTER_API_KEY` to the key alone"
        );
    }

    #[test]
    fn a_key_is_valid_invalid_or_not_known() {
        let known = |label: Option<&str>, is_management_key| {
            Ok(Known {
                account: Account {
                    label: label.map(str::to_owned),
                    ..Account::default()
                },
                is_management_key,
            })
        };
        let error = |kind, message: &str, status| {
            let mut error = Error::new(kind, message);
            error.details.status = status;
            Err(error)
        };
        let rows = [
            (known(None, false), "ok key_valid: the service takes it"),
            (
                known(Some("mine"), false),
                "ok key_valid: the service takes it; its name there is `mine`",
            ),
            (
                known(Some("mine"), true),
                "failed key_valid: it is a management key, which the service refuses for models | make an ordinary key at \
                 https://openrouter.ai/settings/keys and set `OPENROUTER_API_KEY` to it",
            ),
            (
                error(ErrorKind::AUTH, "the service answered 401: no", Some(401)),
                "failed key_valid: the key is refused: the service answered 401: no | look at \
                 https://openrouter.ai/settings/keys whether it is disabled, expired or deleted, and make another one",
            ),
            (
                error(ErrorKind::AUTH, "no key", None),
                "skipped key_valid: not asked: there is no key",
            ),
            (
                error(ErrorKind::FORBIDDEN, "the service answered 403: not here", Some(403)),
                "failed key_valid: the service answered 403: not here | look at https://openrouter.ai/settings/keys",
            ),
            (
                error(ErrorKind::CONNECT, "no connection", None),
                "skipped key_valid: not known: the service cannot be reached",
            ),
            (
                error(ErrorKind::UNAVAILABLE, "the service answered 503: busy", Some(503)),
                "skipped key_valid: not known: the service answered 503: busy",
            ),
        ];
        for (known, expected) in rows {
            assert_eq!(line(&validity(&known)), expected);
        }
    }

    #[test]
    fn the_end_of_a_key_is_told_a_week_ahead() {
        let now_s = time::from_json("2027-12-24T00:00:00Z").expect("a date");
        let remedy = "make another key at https://openrouter.ai/settings/keys and set `OPENROUTER_API_KEY` to it";
        let seen = |expires_at: Option<&str>| {
            let account = Account {
                expires_at: expires_at.map(str::to_owned),
                ..Account::default()
            };
            line(&judge_expiry(&account, now_s)).replace(remedy, "REMEDY")
        };
        let rows = [
            (None, "ok key_expires: it has no end"),
            (
                Some("2027-12-31T00:00:01Z"),
                "ok key_expires: it ends at 2027-12-31T00:00:01Z",
            ),
            (
                Some("2027-12-31T00:00:00Z"),
                "warning key_expires: it ends in 7 days, at 2027-12-31T00:00:00Z | REMEDY",
            ),
            (
                Some("2027-12-25T12:00:00Z"),
                "warning key_expires: it ends in 1 day, at 2027-12-25T12:00:00Z | REMEDY",
            ),
            (
                Some("2027-12-24T00:00:01Z"),
                "warning key_expires: it ends within a day, at 2027-12-24T00:00:01Z | REMEDY",
            ),
            (
                Some("2027-12-24T00:00:00Z"),
                "failed key_expires: it ended at 2027-12-24T00:00:00Z | REMEDY",
            ),
            (
                Some("never"),
                "skipped key_expires: expected the date of its end, found `never`",
            ),
        ];
        for (expires_at, expected) in rows {
            assert_eq!(seen(expires_at), expected);
        }
    }
}
