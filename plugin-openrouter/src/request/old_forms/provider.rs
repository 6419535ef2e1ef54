//! Translates old forms of the provider preferences: other names, prices per thousand tokens, `route`.

use plugin_api::Error;
use serde_json::value::RawValue;

use crate::request::old_forms::members::{Translation, is_object, object, refused, take_members};
use crate::values::members::{Kind, Members};
use crate::values::slug::provider_slug;
use crate::values::usd::{Usd, decimal};

/// The keys of `provider`: in camelCase, and as the API spells them.
const PROVIDER_KEYS: [(&str, &str); 7] = [
    ("allowFallbacks", "allow_fallbacks"),
    ("requireParameters", "require_parameters"),
    ("dataCollection", "data_collection"),
    ("enforceDistillableText", "enforce_distillable_text"),
    ("preferredMinThroughput", "preferred_min_throughput"),
    ("preferredMaxLatency", "preferred_max_latency"),
    ("maxPrice", "max_price"),
];

/// The members of `provider` that list providers.
const PROVIDER_LISTS: [&str; 3] = ["order", "only", "ignore"];

/// The prices of `max_price`, each with whether it is per token.
const PRICES: [(&str, bool); 5] = [
    ("prompt", true),
    ("completion", true),
    ("request", false),
    ("image", false),
    ("audio", false),
];

const PRICE: &str = "a number of 0 or more";

const NEGATIVE: &str = "a negative number";

const OUT_OF_RANGE: &str = "a number with an exponent beyond 40";

const PREFERENCES: [&str; 2] = ["providerPreferences", "provider_preferences"];

/// Translates everything that becomes part of `provider`, and corrects the spelling of the existing members.
pub fn translate_provider(
    body: &mut Members,
    x_provider: Option<&str>,
    translations: &mut Vec<Translation>,
) -> Result<(), Error> {
    let preferences = take_members(body, &PREFERENCES);
    let max_price = take_members(body, &["max_price"]).pop();
    let route = take_route(body);
    let has_more = !preferences.is_empty() || x_provider.is_some() || max_price.is_some() || route == Some(Route::Sort);
    let mut provider = match body.get("provider").filter(|provider| provider.get() != "null") {
        None => Members::default(),
        // Nothing is added to it, so the service may report what is wrong with it.
        Some(provider) if !has_more && !is_object(provider) => Members::default(),
        Some(provider) => object("provider", provider)?,
    };
    let mut spelling = respell(&mut provider, "provider")?;
    let mut is_changed = spelling.is_changed;
    for (name, value) in &preferences {
        let mut layer = object(name, value)?;
        if layer.is_empty() {
            continue;
        }
        spelling.add(respell(&mut layer, name)?);
        provider.lay_over(layer);
        is_changed = true;
        if translations.iter().all(|known| known.word != "provider-preferences") {
            translations.push(Translation::new(
                "provider-preferences",
                format!("OpenRouter has no `{name}`; sending its members in `provider`"),
            ));
        }
    }
    if let Some(header) = x_provider {
        let mut layer = Members::parse_expecting("the header `X-Provider` to be a JSON object", header.as_bytes())?;
        if !layer.is_empty() {
            spelling.add(respell(&mut layer, "X-Provider")?);
            provider.lay_over(layer);
            is_changed = true;
            translations.push(Translation::new(
                "x-provider",
                "OpenRouter has no header `X-Provider`; sending its members in `provider`",
            ));
        }
    }
    if spelling.is_foreign {
        translations.push(Translation::new(
            "provider-keys",
            "OpenRouter expects snake_case keys and provider slugs in `provider`; sending those",
        ));
    }
    if let Some((_, prices)) = max_price {
        is_changed |= add_max_price(&mut provider, &prices, translations)?;
    }
    match route {
        None => {}
        Some(Route::Fallback) => translations.push(Translation::new(
            "route",
            "OpenRouter falls back without a `route`; ignored",
        )),
        Some(Route::Sort) => is_changed |= add_partition(&mut provider, translations)?,
    }
    if is_changed {
        body.set_value("provider", &provider);
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Route {
    Fallback,
    Sort,
}

/// Removes an old `route` from a body, or one that is `null`.
fn take_route(body: &mut Members) -> Option<Route> {
    let route = match body.text("route").as_deref() {
        Some("fallback") => Some(Route::Fallback),
        Some("sort") => Some(Route::Sort),
        _ => None,
    };
    if route.is_some() || !body.has("route") {
        body.take("route");
    }
    route
}

/// What [`respell`] did to a `provider` object.
#[derive(Default)]
struct Spelling {
    is_changed: bool,
    /// Whether keys or provider names were not in the API's spelling.
    is_foreign: bool,
}

impl Spelling {
    fn add(&mut self, other: Self) {
        self.is_changed |= other.is_changed;
        self.is_foreign |= other.is_foreign;
    }
}

/// Rewrites the keys, provider names and prices of a `provider` object in the API's spelling. Unknown members stay
/// unchanged.
///
/// - Errors: `invalid_request` for a price that is negative or out of range.
fn respell(provider: &mut Members, place: &str) -> Result<Spelling, Error> {
    let mut is_foreign = false;
    for (camel_case, key) in PROVIDER_KEYS {
        is_foreign |= provider.rename(camel_case, key);
    }
    for list in PROVIDER_LISTS {
        let Some(names) = provider.get(list) else { continue };
        let Ok(names) = serde_json::from_str::<Vec<String>>(names.get()) else {
            continue;
        };
        let slugs: Vec<_> = names.iter().map(|name| provider_slug(name)).collect();
        if slugs != names {
            provider.set_value(list, &slugs);
            is_foreign = true;
        }
    }
    let mut spelling = Spelling {
        is_changed: is_foreign,
        is_foreign,
    };
    let Some(prices) = provider.get("max_price").filter(|prices| is_object(prices)) else {
        return Ok(spelling);
    };
    let place = format!("{place}.max_price");
    let mut prices = object(&place, prices)?;
    let mut has_numbers = false;
    for (name, _) in PRICES {
        let Some(price) = prices.get(name) else { continue };
        let problem = |found| refused(&format!("{place}.{name}"), PRICE, found);
        match Kind::of_value(price) {
            Kind::Number => {
                let price = price_of(price.get()).map_err(problem)?;
                prices.set_value(name, &price);
                has_numbers = true;
            }
            // The service reports anything else that is wrong with a string.
            Kind::Text if prices.text(name).is_some_and(|text| price_of(&text) == Err(NEGATIVE)) => {
                return Err(problem(NEGATIVE));
            }
            _ => {}
        }
    }
    if has_numbers {
        provider.set_value("max_price", &prices);
        spelling.is_changed = true;
    }
    Ok(spelling)
}

/// Adds a `max_price` in US dollars per thousand tokens to the one in `provider`, which is per million and wins.
///
/// - Out: whether `provider` was changed.
fn add_max_price(provider: &mut Members, asked: &RawValue, translations: &mut Vec<Translation>) -> Result<bool, Error> {
    let asked = match Kind::of_value(asked) {
        Kind::Object => object("max_price", asked)?,
        Kind::Number => {
            // Checked here, so that an error names the field that the caller wrote.
            price_of(asked.get()).map_err(|found| refused("max_price", PRICE, found))?;
            let mut both = Members::default();
            both.set("prompt", asked.to_owned());
            both.set("completion", asked.to_owned());
            both
        }
        found => return Err(refused("max_price", "a number or an object", found)),
    };
    if asked
        .iter()
        .any(|(name, _)| PRICES.iter().all(|(known, _)| *known != name))
    {
        let known = "an object with `prompt`, `completion`, `request`, `image` or `audio`";
        return Err(refused("max_price", known, "one with another member"));
    }
    let mut limits = match provider.get("max_price").filter(|prices| prices.get() != "null") {
        Some(limits) => object("provider.max_price", limits)?,
        None => Members::default(),
    };
    let (mut n_asked, mut n_added) = (0, 0);
    for (name, is_per_token) in PRICES {
        let Some(price) = asked.get(name).filter(|price| price.get() != "null") else {
            continue;
        };
        let field = format!("max_price.{name}");
        let price = match Kind::of_value(price) {
            Kind::Number => price_of(price.get()).map_err(|found| refused(&field, PRICE, found))?,
            found => return Err(refused(&field, PRICE, found)),
        };
        n_asked += 1;
        if limits.has(name) {
            continue;
        }
        let price = if is_per_token {
            decimal(&format!("{price}e3")).ok_or_else(|| refused(&field, PRICE, OUT_OF_RANGE))?
        } else {
            price
        };
        limits.set_value(name, &price);
        n_added += 1;
    }
    if n_asked == 0 {
        return Ok(false);
    }
    let message = if n_added == 0 {
        "OpenRouter has no `max_price`; ignored because `provider.max_price` sets the same limits"
    } else {
        "OpenRouter has no `max_price` per thousand tokens; sending `provider.max_price` per million instead"
    };
    translations.push(Translation::new("max-price", message));
    if n_added > 0 {
        provider.set_value("max_price", &limits);
    }
    Ok(n_added > 0)
}

/// A number as a decimal without an exponent; the error says what was found instead.
fn price_of(number: &str) -> Result<String, &'static str> {
    let (is_signed, unsigned) = number.strip_prefix('-').map_or((false, number), |rest| (true, rest));
    // `Usd` would round the amount; parsing it only checks that it is one, with a small exponent.
    let price = Usd::parse(unsigned)
        .and_then(|_| decimal(unsigned))
        .ok_or(OUT_OF_RANGE)?;
    if is_signed && price != "0" {
        return Err(NEGATIVE);
    }
    Ok(price)
}

/// Translates `route: "sort"`, which sorts the providers of all models together.
///
/// - Out: whether `provider` was changed.
fn add_partition(provider: &mut Members, translations: &mut Vec<Translation>) -> Result<bool, Error> {
    let field = "provider.sort";
    let mut sort = match provider.get("sort").filter(|sort| sort.get() != "null") {
        None => Members::default(),
        Some(sort) if is_object(sort) => object(field, sort)?,
        Some(by) if Kind::of_value(by) == Kind::Text => {
            let mut sort = Members::default();
            sort.set("by", by.to_owned());
            sort
        }
        Some(sort) => return Err(refused(field, "a string or a JSON object", Kind::of_value(sort))),
    };
    let has_partition = sort.has("partition");
    let message = if has_partition {
        "OpenRouter has no `route` any more; ignored because `provider.sort` has a partition"
    } else {
        sort.set_value("partition", &"none");
        provider.set_value("sort", &sort);
        "OpenRouter has no `route` any more; sending `provider.sort` with the partition `none` instead"
    };
    translations.push(Translation::new("route", message));
    Ok(!has_partition)
}
