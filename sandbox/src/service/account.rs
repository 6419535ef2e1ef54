//! The account behind the key: what it spent, and its generations.
//!
//! Figures change only when a request is served, so the same requests end with the same balance.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Map, Value, json};

use super::plan::USER_ID;

/// US dollars that the key may spend, and credits that the account bought.
const LIMIT_USD: f64 = 10.0;
const BOUGHT_USD: f64 = 25.0;

/// Members of a generation that the service always sends; null here.
const UNKNOWN: [&str; 19] = words!(
    upstream_id request_id cache_discount upstream_inference_cost app_id moderation_latency service_tier
    num_media_prompt num_input_audio_prompt num_media_completion num_search_results num_fetches web_search_engine
    preset_id router provider_responses user_agent http_referer workspace_id
);

/// What was served so far.
#[derive(Default)]
pub(crate) struct Account {
    n_generations: u64,
    spent_usd: f64,
    generations: VecDeque<Generation>,
    /// By day, model and provider.
    activity: BTreeMap<[String; 3], Activity>,
    /// Most generations kept, if not all; the oldest go first.
    keep: Option<usize>,
    /// How many requests for a generation get 404 first.
    late_asks: u32,
}

/// What a day's generations of a model add up to.
#[derive(Default)]
struct Activity {
    requests: u64,
    prompt_tokens: u64,
    completion_tokens: u64,
    reasoning_tokens: u64,
    cost_usd: f64,
}

/// One generation, as `GET /generation` answers it.
struct Generation {
    value: Value,
    n_asks: u32,
}

/// A generation, apart from its tokens and its cost.
#[derive(Default)]
pub(crate) struct Summary<'a> {
    /// `completions`, `embeddings`, `rerank` or `tts`.
    pub(crate) api_type: &'static str,
    pub(crate) id: &'a str,
    pub(crate) model_id: &'a str,
    pub(crate) provider: &'a str,
    pub(crate) streamed: bool,
    pub(crate) session_id: Option<&'a str>,
    pub(crate) user: Option<&'a str>,
    /// And the native one.
    pub(crate) finish_reason: Option<(&'a str, &'a str)>,
}

impl Account {
    pub(crate) fn new(keep: Option<usize>, late_asks: u32) -> Self {
        Self {
            keep,
            late_asks,
            ..Self::default()
        }
    }

    /// The next id: `gen-sandbox-000001` and so on.
    pub(crate) fn next_id(&mut self) -> String {
        self.n_generations += 1;
        format!("gen-sandbox-{:06}", self.n_generations)
    }

    /// Remembers a generation for [`Account::generation`], and adds its cost.
    pub(crate) fn remember(&mut self, summary: &Summary<'_>, usage: &Map<String, Value>) {
        let cost = usage.get("cost").and_then(Value::as_f64).unwrap_or(0.0);
        self.spent_usd += cost;
        let tokens = |name: &str| usage.get(name).cloned().unwrap_or(json!(0));
        let reasoning = usage
            .get("completion_tokens_details")
            .map_or(json!(0), |details| details["reasoning_tokens"].clone());
        let mut value = json!({
            "id": summary.id,
            "session_id": summary.session_id,
            "total_cost": cost,
            "usage": cost,
            "created_at": "2026-01-01T00:00:00.000Z",
            "model": summary.model_id,
            "streamed": summary.streamed,
            "cancelled": false,
            "provider_name": summary.provider,
            "latency": 1,
            "generation_time": 1,
            "finish_reason": summary.finish_reason.map(|(reason, _)| reason),
            "native_finish_reason": summary.finish_reason.map(|(_, native)| native),
            "tokens_prompt": tokens("prompt_tokens"),
            "tokens_completion": tokens("completion_tokens"),
            "native_tokens_prompt": tokens("prompt_tokens"),
            "native_tokens_completion": tokens("completion_tokens"),
            "native_tokens_completion_images": 0,
            "native_tokens_reasoning": reasoning,
            "native_tokens_cached": 0,
            "origin": "",
            "is_byok": false,
            "external_user": summary.user,
            "api_type": summary.api_type,
            "data_region": "global",
        });
        let today = jiff::Timestamp::now()
            .to_zoned(jiff::tz::TimeZone::UTC)
            .date()
            .to_string();
        let key = [today, summary.model_id.to_owned(), summary.provider.to_owned()];
        let activity = self.activity.entry(key).or_default();
        activity.requests += 1;
        activity.prompt_tokens += tokens("prompt_tokens").as_u64().unwrap_or(0);
        activity.completion_tokens += tokens("completion_tokens").as_u64().unwrap_or(0);
        activity.reasoning_tokens += value["native_tokens_reasoning"].as_u64().unwrap_or(0);
        activity.cost_usd += cost;
        for name in UNKNOWN {
            value[name] = Value::Null;
        }
        self.generations.push_back(Generation { value, n_asks: 0 });
        if self.keep.is_some_and(|most| self.generations.len() > most) {
            self.generations.pop_front();
        }
    }

    /// `GET /generation`. Every request counts, since the real one comes late.
    pub(crate) fn generation(&mut self, id: &str) -> Option<Value> {
        // Newest first: clients ask for those.
        let found = self
            .generations
            .iter_mut()
            .rev()
            .find(|found| found.value["id"] == id)?;
        if found.n_asks < self.late_asks {
            found.n_asks += 1;
            return None;
        }
        Some(json!({"data": found.value}))
    }

    /// `GET /activity`, of one day or of all.
    pub(crate) fn activity_value(&self, date: Option<&str>) -> Value {
        let rows = self.activity.iter().zip(1..);
        let rows = rows.filter(|(([day, ..], _), _)| date.is_none_or(|date| date == day));
        let rows = rows.map(|(([day, model, provider], activity), n)| {
            json!({
                "date": day,
                "model": model,
                "model_permaslug": model,
                "endpoint_id": format!("00000000-0000-4000-8000-{n:012}"),
                "provider_name": provider,
                "usage": activity.cost_usd,
                "byok_usage_inference": 0,
                "requests": activity.requests,
                "prompt_tokens": activity.prompt_tokens,
                "completion_tokens": activity.completion_tokens,
                "reasoning_tokens": activity.reasoning_tokens,
            })
        });
        json!({"data": rows.collect::<Vec<Value>>()})
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
                "label": "sandbox: a local service, not openrouter.ai",
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
                "creator_user_id": USER_ID,
                "expires_at": null,
                "rate_limit": {"requests": -1, "interval": "10s", "note": "deprecated"},
                // Newer than the API description; the official SDKs expect them.
                "allowed_data_regions": ["global"],
                "budgets": [],
                "effective_budget": null,
                "free_model_daily_requests": {"limit": 1000, "remaining": 1000, "used": 0},
                "organization_id": null,
                "workspace_id": null,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(id: &str) -> Summary<'_> {
        Summary {
            api_type: "tts",
            id,
            model_id: "openai/gpt-4o-mini-tts",
            provider: "Sandbox",
            ..Summary::default()
        }
    }

    #[test]
    fn a_late_generation_is_found_after_its_404s() {
        let mut account = Account::new(None, 2);
        account.remember(&summary("a"), &Map::new());
        let found: Vec<bool> = (0..4).map(|_| account.generation("a").is_some()).collect();
        assert_eq!(found, [false, false, true, true]);
    }

    #[test]
    fn forgotten_generations_still_count_as_spent() {
        let mut account = Account::new(Some(2), 0);
        let usage = Map::from_iter([("cost".to_owned(), json!(0.5))]);
        for id in ["a", "b", "c"] {
            account.remember(&summary(id), &usage);
        }
        let found = ["a", "b", "c"].map(|id| account.generation(id).is_some());
        assert_eq!(found, [false, true, true]);
        assert_eq!(account.credits_value()["data"]["total_usage"], json!(1.5));
    }
}
