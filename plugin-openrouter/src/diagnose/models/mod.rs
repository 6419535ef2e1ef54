//! Judges whether the service lists the configured models, and whether they support their configuration. Pure.

mod able;

use std::collections::BTreeSet;
use std::time::Duration;

use plugin_api::{ChatRequest, Error, ErrorKind, Finding, FindingStatus};

use self::able::judge_abilities;
use super::{failed, is_unreached, ok, skipped, took, unknown_for, warning};
use crate::models::{Catalogue, resolve};
use crate::profile::choice::{Choice, Origin};
use crate::profile::tiers::{self, Tier};
use crate::request::{Ask, plan};
use crate::service::Settings;
use crate::values::model_id::{is_auto_router, wire_id};
use crate::values::time;

/// The findings about the models.
///
/// - In: the model list or why it is missing, and how long fetching it took.
pub fn findings(
    settings: &Settings,
    catalogue: Result<&Catalogue, &Error>,
    elapsed: Duration,
    now_s: i64,
) -> Vec<Finding> {
    let mut findings = vec![took(list(catalogue), elapsed)];
    let chains: Vec<Chain> = tiers::all().iter().map(|tier| Chain::of(*tier, settings)).collect();
    for chain in chains.iter().filter(|chain| !chain.follows()) {
        let id = format!("model_known:{}", chain.tier());
        findings.push(match catalogue {
            Ok(catalogue) => judge_choice(id, &chain.choice, catalogue, now_s),
            Err(error) => skipped(id, unknown_for(error)),
        });
    }
    let mut seen = BTreeSet::new();
    let arms = chains.iter().flat_map(Chain::arms);
    let fallbacks = chains.iter().flat_map(Chain::fallbacks);
    let others = arms.chain(fallbacks.map(|id| (id, "the fallback models".to_owned())));
    for (other, place) in others {
        if seen.insert(other) {
            let id = format!("model_known:{other}");
            findings.push(match catalogue {
                Ok(catalogue) => judge_model(id, other, &place, catalogue, now_s),
                Err(error) => skipped(id, unknown_for(error)),
            });
        }
    }
    if let Ok(catalogue) = catalogue {
        let own = chains.iter().filter(|chain| chain.is_own);
        findings.extend(own.filter_map(|chain| judge_abilities(chain, settings, catalogue)));
    }
    findings.push(fallbacks_auto(&chains, settings));
    findings.push(fallback_chain(&chains));
    findings
}

/// The models that a tier uses.
struct Chain {
    choice: Choice,
    /// In order; the tier's own model comes first.
    models: Vec<String>,
    /// The other models that its calls are divided between, by their ids on the wire.
    arms: Vec<String>,
    n_requests: usize,
    /// Whether it has its own model or settings: a tier that uses another's model may still differ in its parameters.
    is_own: bool,
}

impl Chain {
    fn of(tier: Tier, settings: &Settings) -> Self {
        let choice = settings.profile.choice(tier);
        let split = settings.profile.split(&choice).into_iter().flat_map(|arms| arms.keys());
        let plan = ChatRequest::new(&[]).and_then(|mut request| {
            request.tier = Some(tier.name().to_owned());
            plan::plan(&settings.profile, &Ask::chat(request), None)
        });
        let (models, n_requests) = match plan {
            Ok(plan) if is_chat(tier) => {
                let n_requests = plan.n_requests();
                (plan.models, n_requests)
            }
            _ => (vec![choice.wire.clone()], 1),
        };
        Self {
            is_own: choice.origin.via().is_none() || settings.profile.options.tier_entry(tier).is_some(),
            arms: split
                .map(|id| wire_id(id).0.into_owned())
                .filter(|id| *id != choice.wire)
                .collect(),
            choice,
            models,
            n_requests,
        }
    }

    fn arms(&self) -> impl Iterator<Item = (&String, String)> {
        self.arms.iter().map(|id| (id, self.choice.origin.to_string()))
    }

    fn tier(&self) -> Tier {
        self.choice.tier
    }

    /// Whether it uses the model of another tier.
    fn follows(&self) -> bool {
        self.choice.origin.via().is_some()
    }

    fn fallbacks(&self) -> &[String] {
        self.models.get(1..).unwrap_or_default()
    }
}

/// Whether the tier's model answers chat requests.
fn is_chat(tier: Tier) -> bool {
    !matches!(tier, Tier::TextEmbedding | Tier::Image)
}

fn list(catalogue: Result<&Catalogue, &Error>) -> Finding {
    let id = "models_listed";
    match catalogue {
        Ok(catalogue) => {
            let n_models = catalogue.models().len();
            let age_s = catalogue.age().as_secs();
            if n_models == 0 {
                return warning(
                    id,
                    "the service lists no models",
                    "check the base URL, and what the key may use at https://openrouter.ai/settings/keys",
                );
            }
            ok(
                id,
                format!("the service lists {n_models} models; the list is {age_s} s old"),
            )
        }
        Err(error) if error.kind == ErrorKind::AUTH || is_unreached(error) => skipped(id, unknown_for(error)),
        Err(error) => warning(
            id,
            format!("the model list is unavailable: {}", error.message),
            error.hint().unwrap_or("check the base URL"),
        ),
    }
}

/// Whether the service lists the model of a tier.
fn judge_choice(id: String, choice: &Choice, catalogue: &Catalogue, now_s: i64) -> Finding {
    let place = match &choice.origin {
        Origin::Default { .. } => choice.tier.to_string(),
        origin => origin.to_string(),
    };
    let finding = judge_model(id.clone(), &choice.wire, &place, catalogue, now_s);
    if finding.status == FindingStatus::Failed && !is_chat(choice.tier) {
        // By default the list contains text models only.
        // Source: OpenRouter's API description, `/models`, `output_modalities`.
        let why = format!(
            "unknown: `{}` is not in the model list, which covers text models only",
            choice.wire
        );
        return skipped(id, why);
    }
    match (&choice.note, &choice.origin) {
        // The user did not write the built-in defaults, so notes about their spelling would only confuse.
        (None, _) | (_, Origin::Default { .. }) => finding,
        (Some(note), _) => Finding {
            summary: format!("{}; {note}", finding.summary),
            ..finding
        },
    }
}

/// Whether the service lists a model, and for how long.
///
/// - In: `place`, where the model is configured.
fn judge_model(id: String, wire: &str, place: &str, catalogue: &Catalogue, now_s: i64) -> Finding {
    // Presets belong to the account, so no list has them.
    let base = wire.split("@preset/").next().unwrap_or(wire);
    let listed = catalogue.find(base);
    let is_sent_unchanged = base.is_empty() || base.starts_with('~') || base.starts_with("openrouter/");
    let Some(model) = listed else {
        if is_sent_unchanged {
            return ok(id, format!("`{wire}` is not listed and is sent unchanged"));
        }
        let remedy = match resolve::nearest(base, catalogue) {
            Some(near) => format!("did you mean `{near}`? Put it in {place}"),
            None => format!("choose a model at https://openrouter.ai/models and put its id in {place}"),
        };
        return failed(id, format!("the service does not list `{wire}`"), remedy);
    };
    if base.ends_with(":free") && !model.id.ends_with(":free") {
        return failed(
            id,
            format!("`{}` is listed, but `{base}` is not", model.id),
            format!(
                "put `{}` in {place}, but it is billed; or choose another free model",
                model.id
            ),
        );
    }
    let Some(end) = &model.expiration_date else {
        return ok(id, format!("`{wire}` is listed"));
    };
    let is_past = time::from_json(end).is_some_and(|end_s| end_s <= now_s);
    let removal = match is_past {
        true => format!("may be removed at any time since {end}"),
        false => format!("may be removed after {end}"),
    };
    warning(
        id,
        format!("`{wire}` is listed, but {removal}"),
        format!("choose another model at https://openrouter.ai/models and put its id in {place}"),
    )
}

/// Whether fallback models are configured for the auto router, which has its own.
fn fallbacks_auto(chains: &[Chain], settings: &Settings) -> Finding {
    let id = "fallbacks_auto";
    let is_both = |chain: &&Chain| {
        chain.is_own
            && is_chat(chain.tier())
            && is_auto_router(&chain.choice.wire)
            && !settings.profile.options.fallbacks_for(Some(chain.tier())).is_empty()
    };
    let both: Vec<&str> = chains.iter().filter(is_both).map(|chain| chain.tier().name()).collect();
    if both.is_empty() {
        return ok(id, "no fallback models are configured for the auto router");
    }
    warning(
        id,
        format!(
            "the auto router in {} has its own fallbacks, so the configured ones are ignored",
            both.join(", ")
        ),
        "remove `fallbackModels` there, or choose a model instead of `openrouter/auto`",
    )
}

/// How long the chains of fallback models are.
fn fallback_chain(chains: &[Chain]) -> Finding {
    let id = "fallback_chain";
    let described: Vec<String> = chains
        .iter()
        .filter(|chain| chain.is_own && !chain.fallbacks().is_empty())
        .map(|chain| {
            let noun = if chain.n_requests == 1 { "request" } else { "requests" };
            let (n_models, n_requests) = (chain.models.len(), chain.n_requests);
            format!("{} {n_models} models in {n_requests} {noun}", chain.tier())
        })
        .collect();
    if described.is_empty() {
        return ok(id, "no fallback models are configured");
    }
    ok(id, described.join(", "))
}

#[cfg(test)]
pub mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::diagnose::kit::lines;
    use crate::kit::{block_on, settings};
    use crate::models::Store;

    fn entry(id: &str, parameters: &[&str], inputs: &[&str], outputs: &[&str]) -> Value {
        json!({
            "id": id, "supported_parameters": parameters, "top_provider": {"max_completion_tokens": 1000},
            "architecture": {"input_modalities": inputs, "output_modalities": outputs},
        })
    }

    fn entries() -> Value {
        let expiring = |id: &str, date: &str| {
            let mut entry = entry(id, &[], &[], &[]);
            entry["expiration_date"] = json!(date);
            entry
        };
        let text = &["text"];
        json!([
            entry("acme/large", &["temperature", "max_tokens", "reasoning"], text, text),
            entry("acme/small", &["max_tokens"], &["text", "image"], &["text"]),
            entry("acme/painter", &[], &["text"], &["text", "image"]),
            entry("acme/gift", &[], &[], &[]),
            entry("acme/gift:free", &[], &[], &[]),
            expiring("acme/old", "2027-06-01"),
            expiring("acme/ancient", "2026-06-01"),
        ])
    }

    const NOW: &str = "2027-01-01";

    /// The findings as lines, without those of unconfigured tiers and of the list itself.
    pub fn seen(options: Value) -> Vec<String> {
        let settings = settings(options, &[]);
        let store = Store::with(&settings, &entries());
        let catalogue = block_on(store.catalogue(&settings)).expect("it is there");
        let now_s = time::from_json(NOW).expect("a date");
        let findings = findings(&settings, Ok(&catalogue), Duration::ZERO, now_s);
        let lines = lines(&findings).into_iter();
        let is_of_interest = |line: &String| {
            let is_usual = [
                "ok fallbacks_auto: no fallback models are configured for the auto router",
                "ok fallback_chain: no fallback models are configured",
            ];
            let others = ["openai/", "google/", "anthropic/", "models_listed"];
            !others.iter().any(|part| line.contains(part)) && !is_usual.contains(&line.as_str())
        };
        lines.filter(is_of_interest).collect()
    }

    #[test]
    fn a_model_is_listed_missing_or_sent_unchanged() {
        let rows = [
            "acme/large",
            "acme/large:nitro",
            "acme/large@preset/mine",
            "@preset/mine",
            "openrouter/auto",
            "~acme/large-latest",
            "openrouter/acme/large",
            "acme/larg",
            "nobody/nothing-alike",
            "acme/gift:free",
            "acme/large:free",
            "acme/old",
            "acme/ancient",
        ];
        let expected = [
            "ok ID: `acme/large` is listed",
            "ok ID: `acme/large:nitro` is listed",
            "ok ID: `acme/large@preset/mine` is listed",
            "ok ID: `@preset/mine` is not listed and is sent unchanged",
            "ok ID: `openrouter/auto` is not listed and is sent unchanged",
            "ok ID: `~acme/large-latest` is not listed and is sent unchanged",
            "ok ID: `acme/large` is listed; OpenRouter's model ids have no `openrouter/` prefix; sending `acme/large`",
            "failed ID: the service does not list `acme/larg` | did you mean `acme/large`? Put it in profile `model`",
            "failed ID: the service does not list `nobody/nothing-alike` | CHOOSE",
            "ok ID: `acme/gift:free` is listed",
            "failed ID: `acme/large` is listed, but `acme/large:free` is not | put `acme/large` in profile `model`, but it \
             is billed; or choose another free model",
            "warning ID: `acme/old` is listed, but may be removed after 2027-06-01 | CHOOSE another",
            "warning ID: `acme/ancient` is listed, but may be removed at any time since 2026-06-01 | CHOOSE another",
        ];
        let id = "model_known:TEXT_LARGE";
        let (at, put) = ("at https://openrouter.ai/models", "and put its id in profile `model`");
        let short = |line: String| {
            let line = line.replace(&format!("choose a model {at} {put}"), "CHOOSE");
            let line = line.replace(&format!("choose another model {at} {put}"), "CHOOSE another");
            line.replace(id, "ID")
        };
        let seen = rows.iter().flat_map(|model| seen(json!({ "model": model }))).map(short);
        assert_eq!(seen.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn only_text_models_are_expected_in_the_list() {
        let options =
            json!({"tiers": {"TEXT_EMBEDDING": "acme/vectors", "IMAGE": "acme/brush", "TEXT_LARGE": "acme/large"}});
        let expected = [
            "ok model_known:TEXT_LARGE: `acme/large` is listed",
            "skipped model_known:TEXT_EMBEDDING: unknown: `acme/vectors` is not in the model list, which covers text \
             models only",
            "skipped model_known:IMAGE: unknown: `acme/brush` is not in the model list, which covers text models only",
        ];
        assert_eq!(seen(options), expected);
    }

    #[test]
    fn a_fallback_shared_by_several_tiers_is_checked_once() {
        let options = json!({"model": "acme/large", "tiers": {"small": "acme/small"},
            "fallbackModels": ["acme/gift", "acme/small", "acme/gone-for-good"]});
        let lines = seen(options);
        let of_fallbacks: Vec<&String> = lines.iter().filter(|line| line.contains("known:acme")).collect();
        let expected = [
            "ok model_known:acme/gift: `acme/gift` is listed",
            "failed model_known:acme/gone-for-good: the service does not list `acme/gone-for-good` | choose a model at \
             https://openrouter.ai/models and put its id in the fallback models",
            "ok model_known:acme/small: `acme/small` is listed",
        ];
        assert_eq!(of_fallbacks, expected);
        let chain = lines.last().expect("a line");
        let start = "ok fallback_chain: TEXT_SMALL 3 models in 1 request, TEXT_LARGE 4 models in 1 request, ";
        assert!(chain.starts_with(start), "{chain}");
    }

    #[test]
    fn a_long_chain_takes_several_requests() {
        let fallbacks: Vec<String> = (1..=9).map(|n| format!("~acme/spare-{n}")).collect();
        let options = json!({"tiers": {"TEXT_LARGE": {"model": "acme/large", "fallbackModels": fallbacks}}});
        let chain = seen(options).pop();
        let expected = Some("ok fallback_chain: TEXT_LARGE 10 models in 3 requests");
        assert_eq!(chain.as_deref(), expected);
    }

    #[test]
    fn fallbacks_of_the_auto_router_are_a_warning() {
        let options =
            json!({"tiers": {"TEXT_SMALL": "acme/small", "TEXT_LARGE": "auto"}, "fallbackModels": ["acme/gift"]});
        let auto = seen(options).into_iter().find(|line| line.contains("fallbacks_auto"));
        let expected = Some(
            "warning fallbacks_auto: the auto router in TEXT_LARGE has its own fallbacks, so the configured ones are \
             ignored | remove `fallbackModels` there, or choose a model instead of `openrouter/auto`",
        );
        assert_eq!(auto.as_deref(), expected);
    }

    #[test]
    fn without_a_model_list_the_models_are_unknown() {
        let settings = settings(json!({"model": "acme/large", "fallbackModels": ["acme/gift"]}), &[]);
        let seen = |error: Error| lines(&findings(&settings, Err(&error), Duration::ZERO, 0));
        let unreached = seen(Error::new(ErrorKind::CONNECT, "no connection"));
        for id in ["models_listed", "model_known:TEXT_SMALL", "model_known:acme/gift"] {
            let expected = format!("skipped {id}: unknown: the service cannot be reached");
            assert!(unreached.contains(&expected), "{expected}\n{unreached:#?}");
        }
        let refused = seen(Error::new(ErrorKind::PROTOCOL, "no list").with_hint("check the base URL"));
        let expected = "warning models_listed: the model list is unavailable: no list | check the base URL";
        assert_eq!(refused[0], expected);
    }
}
