//! Models as a table, and one model in lines. Pure. Missing values are shown as unknown.

use plugin_api::{Model, TierModel};

use crate::near::{resembles, spaced};
use crate::terminal::{self, Fit, Page, Table, time};

/// Whether the id or name of a model contains all of these words, in any spelling: `gpt5` is in `gpt-5`.
pub fn is_named<'a>(model: &Model, words: impl IntoIterator<Item = &'a str>) -> bool {
    let text = spaced(&names(model));
    let joined = text.replace(' ', "");
    let has = |word: &str| text.contains(word) || joined.contains(&word.replace(' ', ""));
    words.into_iter().all(|word| has(spaced(word).trim()))
}

/// The same but for a slip in each word.
pub fn is_almost_named<'a>(model: &Model, words: impl IntoIterator<Item = &'a str>) -> bool {
    resembles(&names(model), words)
}

fn names(model: &Model) -> String {
    format!("{}\n{}", model.id, model.name)
}

pub fn table(models: &[&Model], known: &[TierModel], page: Page) -> Table {
    let has_tiers = models.iter().any(|model| !tiers_of(model, known).is_empty());
    let mut head = vec![
        ("MODEL", Fit::Whole),
        ("CONTEXT", Fit::Spare),
        ("$/M IN", Fit::Whole),
        ("$/M OUT", Fit::Whole),
        ("ABILITIES", Fit::Cut),
    ];
    if has_tiers {
        head.insert(1, ("TIER", Fit::Dropped));
    }
    let rows = models.iter().map(|model| {
        let mut row = vec![
            model.id.clone(),
            model.context_length.map_or_else(|| "-".to_owned(), size),
            shown_price(&model.prompt_usd_per_million),
            shown_price(&model.completion_usd_per_million),
            // The prices already say that a model is free.
            listed_words(model.abilities.iter().filter(|ability| *ability != "free")),
        ];
        if has_tiers {
            row.insert(1, tiers_of(model, known).join(", "));
        }
        row
    });
    terminal::table(&head, rows, page)
}

/// Everything that is known about a model, in lines.
pub fn description(model: &Model, known: &[TierModel], page: Page) -> String {
    let usd = |text: &Option<String>, unit: &str| match (text, price(text)) {
        (_, Some(0.0)) => Some("free".to_owned()),
        (Some(text), _) => Some(format!("${text} {unit}")),
        (None, _) => None,
    };
    let per_million = |text| usd(text, "per million tokens");
    let tokens = |count: Option<u64>| count.map(|count| format!("{count} tokens"));
    let words = |words: &[String]| (!words.is_empty()).then(|| words.join(", "));
    let shown = |value: Option<String>| value.or_else(|| Some("unknown".to_owned()));
    let lines = [
        ("id", Some(model.id.clone())),
        ("name", Some(model.name.clone()).filter(|name| !name.is_empty())),
        ("tiers", words(&tiers_of(model, known))),
        ("context", shown(tokens(model.context_length))),
        ("maximum answer", shown(tokens(model.max_completion_tokens))),
        ("prompt", shown(per_million(&model.prompt_usd_per_million))),
        ("answer", shown(per_million(&model.completion_usd_per_million))),
        (
            "request",
            usd(&model.request_usd, "each").filter(|price| price != "free"),
        ),
        ("reads", shown(words(&model.input_modalities))),
        ("writes", shown(words(&model.output_modalities))),
        ("abilities", words(&model.abilities)),
        ("parameters", words(&model.supported_parameters)),
        ("listed since", model.created_s.map(time::day)),
        ("available until", model.expiration_date.clone()),
        ("about", model.description.clone()),
    ];
    terminal::pairs(lines.into_iter().filter_map(|(name, value)| Some((name, value?))), page)
}

/// The short names of the tiers that stand for a model: `small`.
fn tiers_of(model: &Model, known: &[TierModel]) -> Vec<String> {
    let is_this = |wire: &str| wire == model.id || wire.split(':').next() == Some(model.id.as_str());
    known
        .iter()
        .filter(|tier| is_this(&tier.wire))
        .map(|tier| {
            let name = tier.tier.strip_prefix("TEXT_").unwrap_or(&tier.tier);
            name.to_ascii_lowercase()
        })
        .collect()
}

fn listed_words<'a>(words: impl Iterator<Item = &'a String>) -> String {
    let words: Vec<&str> = words.map(String::as_str).collect();
    if words.is_empty() {
        return "-".to_owned();
    }
    words.join(" ")
}

fn shown_price(text: &Option<String>) -> String {
    match (text, price(text)) {
        (_, Some(0.0)) => "free".to_owned(),
        (Some(text), _) => text.clone(),
        (None, _) => "-".to_owned(),
    }
}

/// A number of tokens for people: `128k`, `1M`, `1.04M`.
pub fn size(count: u64) -> String {
    match count {
        0..1000 => count.to_string(),
        1000..1_000_000 => format!("{}k", count / 1000),
        _ => {
            let hundredths = format!("{:.2}", (count / 10_000) as f64 / 100.0);
            format!("{}M", hundredths.trim_end_matches('0').trim_end_matches('.'))
        }
    }
}

fn price(text: &Option<String>) -> Option<f64> {
    text.as_deref()?.parse().ok().filter(|price: &f64| price.is_finite())
}

/// Both prices of a million tokens.
pub fn prices(model: &Model) -> Option<(f64, f64)> {
    Some((
        price(&model.prompt_usd_per_million)?,
        price(&model.completion_usd_per_million)?,
    ))
}
