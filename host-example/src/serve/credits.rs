//! `GET /api/endpoints/{plugin}/credits`: what is left to spend, in the form of LibreChat.

use hyper::{Response, StatusCode};
use plugin_api::{Credits, CreditsRequest, Error};
use serde_json::{Value, json};

use super::reply::{Body, json_response};
use super::shared::Serving;

/// - Errors: the plugin's.
pub async fn answer(serving: &Serving, force: bool) -> Result<Response<Body>, Error> {
    let credits = serving
        .asked(|| serving.plugin.credits(CreditsRequest { force }))
        .await?;
    Ok(json_response(StatusCode::OK, &page(&credits)))
}

fn page(credits: &Credits) -> Value {
    json!({
        "balance": number(credits.balance_usd.as_deref()),
        "currency": "USD",
        "usage": {"total": number(credits.usage_usd.as_deref())},
        "status": credits.status,
        "source": credits.source,
        "age_ms": credits.age_ms,
        "is_stale": credits.is_stale,
        "reason": reason(credits),
    })
}

/// Why the balance is unknown or old.
fn reason(credits: &Credits) -> Option<&str> {
    let unreported = credits
        .balance_usd
        .is_none()
        .then_some("the service does not report it");
    credits.problem.as_deref().or(unreported)
}

/// A decimal text as a number; `null` for what is unknown.
fn number(text: Option<&str>) -> Value {
    let number = text.and_then(|text| text.parse::<f64>().ok());
    number.map_or(Value::Null, Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_numbers_and_what_is_unknown_is_null() {
        let credits = json!({"balance_usd": "12.5", "status": "green", "source": "account", "age_ms": 7});
        let credits = serde_json::from_value(credits).expect("credits");
        assert_eq!(
            page(&credits),
            json!({
                "balance": 12.5, "currency": "USD", "usage": {"total": null}, "status": "green", "source": "account",
                "age_ms": 7, "is_stale": false, "reason": null
            })
        );
    }

    #[test]
    fn an_unknown_balance_has_a_reason() {
        let told = |credits: Value| page(&serde_json::from_value(credits).expect("credits"));
        let limitless = told(json!({"usage_usd": "7.25", "problem": "the key has no limit"}));
        assert_eq!(
            (&limitless["balance"], &limitless["usage"], &limitless["reason"]),
            (&Value::Null, &json!({"total": 7.25}), &json!("the key has no limit"))
        );
        assert_eq!(told(json!({}))["reason"], "the service does not report it");
    }
}
