//! The balance, less what was billed since.

use plugin_api::{CreditStatus, Credits, CreditsRequest, Plugin};
use sandbox::Script;
use serde_json::json;
use tests::{Service, ask, block_on, request};

use crate::bench::{
    MODEL, chat, codes, good, message_of, plugin, post, raw_stream, requests_to, service_playing, streamed,
    writing_forms,
};

const KEPT: CreditsRequest = CreditsRequest { force: false };
const FORCED: CreditsRequest = CreditsRequest { force: true };

fn credits(plugin: &Plugin, request: CreditsRequest) -> Credits {
    block_on(plugin.credits(request)).expect("the credit")
}

/// What is left and what was used.
fn amounts(plugin: &Plugin, request: CreditsRequest) -> (String, String) {
    let credits = credits(plugin, request);
    (
        credits.balance_usd.unwrap_or_default(),
        credits.usage_usd.unwrap_or_default(),
    )
}

/// A script that bills so many dollars.
fn bills(cost_usd: f64) -> Script {
    let usage = json!({ "cost": cost_usd });
    Script {
        usage: usage.as_object().cloned().unwrap_or_default(),
        ..Script::text("yes")
    }
}

#[test]
fn bills_of_every_kind_of_call_are_subtracted_from_the_balance() {
    let service: &Service = &service_playing(bills(0.25));
    let plugin = plugin(service, json!({}));
    let usd = |balance: &str, usage: &str| (balance.to_owned(), usage.to_owned());
    assert_eq!(amounts(&plugin, KEPT), usd("10", "0"));
    ask(&plugin, MODEL, "typed and whole").expect("an answer");
    streamed(&plugin, &request(MODEL, "typed and streamed"));
    for asked in writing_forms() {
        raw_stream(&plugin, asked.clone());
        good(&plugin, asked);
    }
    assert_eq!(amounts(&plugin, KEPT), usd("7.5", "2.5"));
    let embeddings = json!({"model": "openai/text-embedding-3-small", "input": "x y z"});
    good(&plugin, post("/embeddings", &embeddings));
    let kept = amounts(&plugin, KEPT);
    assert_ne!(kept, usd("7.5", "2.5"));
    assert_eq!(requests_to(service, "/key").len(), 1, "nobody was asked");
    assert_eq!(amounts(&plugin, FORCED), kept, "the service says the same");
    assert_eq!(requests_to(service, "/key").len(), 2);
}

#[test]
fn a_balance_below_a_dollar_is_reported_once() {
    for is_stream in [false, true] {
        let service = service_playing(bills(9.25));
        let plugin = plugin(&service, json!({}));
        let notices = || {
            if is_stream {
                return raw_stream(&plugin, chat(MODEL)).reply().notices;
            }
            good(&plugin, chat(MODEL)).notices
        };
        credits(&plugin, KEPT);
        assert_eq!(codes(&notices()), [""; 0], "it was enough before");
        service.script(MODEL, bills(0.01));
        assert_eq!(
            message_of(&notices(), "low_balance"),
            "only $0.75 is left of the key's limit; raise it at https://openrouter.ai/settings/keys"
        );
        assert_eq!(codes(&notices()), [""; 0]);
        assert_eq!(credits(&plugin, KEPT).status, CreditStatus::Red);
    }
}
