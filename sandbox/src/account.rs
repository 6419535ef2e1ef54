//! The account behind the key: what it spent, and what each generation was.
//!
//! Numbers only move when a request is served, so a run of the same requests ends with the same balance.

use serde_json::{Map, Value, json};

use crate::{reply::Served, request::Chat};

/// US dollars that the key may spend, and that the account bought.
const LIMIT_USD: f64 = 10.0;
const BOUGHT_USD: f64 = 25.0;

/// Members of a generation that the service always sends and that mean nothing here.
const NOT_SAID: [&str; 19] = [
    "upstream_id",
    "request_id",
    "cache_discount",
    "upstream_inference_cost",
    "app_id",
    "moderation_latency",
    "service_tier",
    "num_media_prompt",
    "num_input_audio_prompt",
    "num_media_completion",
    "num_search_results",
    "num_fetches",
    "web_search_engine",
    "preset_id",
    "router",
    "provider_responses",
    "user_agent",
    "http_referer",
    "workspace_id",
];

/// What was served so far.
#[derive(Debug, Default)]
pub(crate) struct Account {
    n_generations: u64,
    spent_usd: f64,
    generations: Vec<Value>,
}

impl Account {
    /// The next id: `gen-sandbox-000001` and so on.
    pub(crate) fn next_id(&mut self) -> String {
        self.n_generations += 1;
        format!("gen-sandbox-{:06}", self.n_generations)
    }

    pub(crate) fn spend(&mut self, usd: f64) {
        self.spent_usd += usd;
    }

    /// Remembers a generation for [`Account::generation`], and adds its cost.
    pub(crate) fn remember(
        &mut self,
        chat: &Chat,
        served: &Served,
        finish_reason: (&str, &str),
        usage: &Map<String, Value>,
    ) {
        let cost = usage.get("cost").and_then(Value::as_f64).unwrap_or(0.0);
        self.spend(cost);
        let tokens = |name: &str| usage.get(name).cloned().unwrap_or(json!(0));
        let reasoning = usage
            .get("completion_tokens_details")
            .map_or(json!(0), |details| details["reasoning_tokens"].clone());
        let mut generation = json!({
            "id": served.id,
            "session_id": chat.session_id,
            "total_cost": cost,
            "usage": cost,
            "created_at": "2026-01-01T00:00:00.000Z",
            "model": served.model_id,
            "streamed": chat.stream,
            "cancelled": false,
            "provider_name": served.provider,
            "latency": 1,
            "generation_time": 1,
            "finish_reason": finish_reason.0,
            "native_finish_reason": finish_reason.1,
            "tokens_prompt": tokens("prompt_tokens"),
            "tokens_completion": tokens("completion_tokens"),
            "native_tokens_prompt": tokens("prompt_tokens"),
            "native_tokens_completion": tokens("completion_tokens"),
            "native_tokens_completion_images": 0,
            "native_tokens_reasoning": reasoning,
            "native_tokens_cached": 0,
            "origin": "",
            "is_byok": false,
            "external_user": chat.user,
            "api_type": "completions",
            "data_region": "global",
        });
        for name in NOT_SAID {
            generation[name] = Value::Null;
        }
        self.generations.push(generation);
    }

    pub(crate) fn generation(&self, id: &str) -> Option<Value> {
        self.generations
            .iter()
            .find(|generation| generation["id"] == id)
            .map(|found| json!({"data": found}))
    }

    /// `GET /credits`.
    pub(crate) fn credits_value(&self) -> Value {
        json!({"data": {"total_credits": BOUGHT_USD, "total_usage": self.spent_usd}})
    }

    /// `GET /key`.
    pub(crate) fn key_value(&self, is_management_key: bool) -> Value {
        let spent = self.spent_usd;
        json!({
            "data": {
                "label": "sandbox: a local stand-in, not openrouter.ai",
                "limit": LIMIT_USD,
                "limit_remaining": (LIMIT_USD - spent).max(0.0),
                "limit_reset": null,
                "include_byok_in_limit": false,
                "usage": spent,
                "usage_daily": spent,
                "usage_weekly": spent,
                "usage_monthly": spent,
                "byok_usage": 0,
                "byok_usage_daily": 0,
                "byok_usage_weekly": 0,
                "byok_usage_monthly": 0,
                "is_free_tier": false,
                "is_management_key": is_management_key,
                "is_provisioning_key": is_management_key,
                "creator_user_id": crate::service::USER_ID,
                "expires_at": null,
                "rate_limit": {"requests": -1, "interval": "10s", "note": "deprecated"},
            }
        })
    }
}
