//! Old and foreign forms of a request, as other programs' documents print them, in the form that the API has.
//!
//! In: the members of a body, and the header `X-Provider` if there is one. Out: the same body in OpenRouter's own form, and a
//! [`Translation`] for each old form that was there, so that whoever asked can be told. Pure. A body without an old form is
//! not changed in any byte. What is already in the API's form wins over the same thing in an old one.

use std::fmt;

use plugin_api::{Error, ErrorKind};
use serde_json::json;
use serde_json::value::RawValue;

use crate::profile::options::{COMPRESSION, MAX_FALLBACKS};
use crate::values::members::{Kind, Members};
use crate::values::slug::provider_slug;
use crate::values::usd::Usd;
use crate::values::usd::decimal;

/// An old form that was translated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Translation {
    /// Which, in a short word for a header, such as `max-price`.
    pub word: &'static str,
    /// What was sent instead, in a sentence. Names fields, and never holds a value of the request.
    pub message: String,
}

/// Which old forms a body may hold, by a look at its names.
#[derive(Default)]
struct Suspects {
    models: bool,
    auto_router: bool,
    provider: bool,
    plugins: bool,
}

const FALLBACK_MODELS: [&str; 2] = ["fallback_models", "fallbackModels"];
const PREFERENCES: [&str; 2] = ["providerPreferences", "provider_preferences"];
const AUTO_ROUTER: [&str; 2] = ["autoRouter", "auto_router"];

/// The keys of `provider` as the API writes them, behind their camelCase.
const PROVIDER_KEYS: [(&str, &str); 7] = [
    ("allowFallbacks", "allow_fallbacks"),
    ("requireParameters", "require_parameters"),
    ("dataCollection", "data_collection"),
    ("enforceDistillableText", "enforce_distillable_text"),
    ("preferredMinThroughput", "preferred_min_throughput"),
    ("preferredMaxLatency", "preferred_max_latency"),
    ("maxPrice", "max_price"),
];

/// The members of `provider` that name providers.
const PROVIDER_LISTS: [&str; 3] = ["order", "only", "ignore"];

/// The prices of `max_price`, each with whether it is one per token.
const PRICES: [(&str, bool); 5] = [
    ("prompt", true),
    ("completion", true),
    ("request", false),
    ("image", false),
    ("audio", false),
];

/// The only transform there ever was; [`COMPRESSION`] took its place.
const MIDDLE_OUT: &str = "middle-out";

const IDS: &str = "a list of model ids";
const PRICE: &str = "a number of 0 or more";
const NEGATIVE: &str = "a negative number";
const OUT_OF_RANGE: &str = "one with an exponent beyond 40";

/// Translates every old form of a request in place.
///
/// - In: `x_provider`, the value of the header `X-Provider`.
/// - Out: one entry for each kind of form that was translated, always in the same order. Forms that say nothing, such as a
///   `route` of `null` or a `compress` of `false`, are removed without one; a number of `provider.max_price` becomes a decimal
///   string without one, because the API's description and its guide differ here.
/// - Errors: `invalid_request` that names the field, expected, found. The body is of no use then.
/// - Source: openrouter/API.md, section 4.
pub fn translate(body: &mut Members, x_provider: Option<&str>) -> Result<Vec<Translation>, Error> {
    let mut told = Vec::new();
    let suspects = Suspects::of(body);
    if suspects.models {
        translate_models(body, &mut told)?;
    }
    if suspects.auto_router {
        translate_auto_router(body, &mut told)?;
    }
    if suspects.provider || x_provider.is_some() {
        translate_provider(body, x_provider, &mut told)?;
    }
    if suspects.plugins {
        translate_plugins(body, &mut told)?;
    }
    Ok(told)
}

impl Suspects {
    fn of(body: &Members) -> Self {
        let mut suspects = Self::default();
        for (name, value) in body.iter() {
            match name {
                // A comma may be written as an escape.
                "model" => suspects.models |= value.get().contains([',', '\\']),
                "fallback_models" | "fallbackModels" => suspects.models = true,
                "autoRouter" | "auto_router" => suspects.auto_router = true,
                "provider" | "providerPreferences" | "provider_preferences" | "max_price" | "route" => {
                    suspects.provider = true;
                }
                "transforms" | "compress" => suspects.plugins = true,
                _ => {}
            }
        }
        suspects
    }
}

impl Translation {
    fn new(word: &'static str, message: impl Into<String>) -> Self {
        Self {
            word,
            message: message.into(),
        }
    }
}

/// The models behind the first one, each once.
struct Others {
    first: String,
    ids: Vec<String>,
}

impl Others {
    /// Adds an id unless it is blank or there.
    fn add(&mut self, id: &str) -> Result<(), Error> {
        let id = id.trim();
        if id.is_empty() || self.first == id || self.ids.iter().any(|known| known == id) {
            return Ok(());
        }
        // Refused at once, so that no id is ever compared with more than ten.
        if self.ids.len() == MAX_FALLBACKS {
            return Err(Error::new(
                ErrorKind::INVALID_REQUEST,
                format!("expected at most {MAX_FALLBACKS} models behind the first one, found more"),
            ));
        }
        self.ids.push(id.to_owned());
        Ok(())
    }
}

/// `model: "a/x,b/y"` and `fallback_models`: both become `models`.
fn translate_models(body: &mut Members, told: &mut Vec<Translation>) -> Result<(), Error> {
    let model = body.text("model").unwrap_or_default();
    let mut listed = model.split(',').map(str::trim).filter(|id| !id.is_empty());
    let mut others = Others {
        first: listed.next().unwrap_or_default().to_owned(),
        ids: Vec::new(),
    };
    let is_list = model.contains(',');
    if is_list {
        if others.first.is_empty() {
            return Err(refused("model", "a model id", "a list without one"));
        }
        listed.try_for_each(|id| others.add(id))?;
        body.set_value("model", &others.first);
        told.push(Translation::new(
            "model-list",
            "OpenRouter takes one `model`; the others of the list are sent in `models`",
        ));
    }
    let mut fallbacks = Vec::new();
    let mut foreign_name = None;
    for (name, ids) in taken(body, &FALLBACK_MODELS) {
        let ids = texts(name, IDS, &ids)?;
        if !ids.is_empty() {
            foreign_name = foreign_name.or(Some(name));
            fallbacks.extend(ids);
        }
    }
    if !is_list && fallbacks.is_empty() {
        return Ok(());
    }
    let models = body.get("models").filter(|models| models.get() != "null");
    let has_models = models.is_some();
    if let Some(models) = models {
        texts("models", IDS, models)?.iter().try_for_each(|id| others.add(id))?;
    }
    fallbacks.iter().try_for_each(|id| others.add(id))?;
    if let Some(name) = foreign_name {
        told.push(Translation::new(
            "fallback-models",
            format!("OpenRouter has no `{name}`; they are sent in `models`"),
        ));
    }
    if has_models || !others.ids.is_empty() {
        body.set_value("models", &others.ids);
    }
    Ok(())
}

/// `autoRouter: true` becomes a model.
fn translate_auto_router(body: &mut Members, told: &mut Vec<Translation>) -> Result<(), Error> {
    let mut switched_on = None;
    for (name, value) in taken(body, &AUTO_ROUTER) {
        if flag(name, &value)? {
            switched_on = switched_on.or(Some(name));
        }
    }
    let Some(name) = switched_on else {
        return Ok(());
    };
    // A blank id is none, as in every request. One that is no text is the service's matter.
    let is_named = body.has("model") && body.text("model").is_none_or(|model| !model.trim().is_empty());
    let message = if is_named {
        format!("OpenRouter has no `{name}`; it is left out, because the request names a `model`")
    } else {
        body.set_value("model", &"openrouter/auto");
        format!("OpenRouter has no `{name}`; the `model` `openrouter/auto` is sent")
    };
    told.push(Translation::new("auto-router", message));
    Ok(())
}

/// Everything that becomes part of `provider`, and the spelling of what is there.
fn translate_provider(body: &mut Members, x_provider: Option<&str>, told: &mut Vec<Translation>) -> Result<(), Error> {
    let preferences = taken(body, &PREFERENCES);
    let max_price = taken(body, &["max_price"]).pop();
    let route = taken_route(body);
    let has_more = !preferences.is_empty() || x_provider.is_some() || max_price.is_some() || route == Some(Route::Sort);
    let mut provider = match body.get("provider").filter(|provider| provider.get() != "null") {
        None => Members::default(),
        // With nothing to add to it, the service says what it thinks of it.
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
        if told.iter().all(|known| known.word != "provider-preferences") {
            told.push(Translation::new(
                "provider-preferences",
                format!("OpenRouter has no `{name}`; its members are sent in `provider`"),
            ));
        }
    }
    if let Some(header) = x_provider {
        let mut layer = Members::parse_expecting("the header `X-Provider` to hold a JSON object", header.as_bytes())?;
        if !layer.is_empty() {
            spelling.add(respell(&mut layer, "X-Provider")?);
            provider.lay_over(layer);
            is_changed = true;
            told.push(Translation::new(
                "x-provider",
                "OpenRouter has no header `X-Provider`; its members are sent in `provider`",
            ));
        }
    }
    if spelling.is_foreign {
        told.push(Translation::new(
            "provider-keys",
            "OpenRouter writes the keys of `provider` in snake_case and providers as slugs; they are sent so",
        ));
    }
    if let Some((_, prices)) = max_price {
        is_changed |= add_max_price(&mut provider, &prices, told)?;
    }
    match route {
        None => {}
        Some(Route::Fallback) => told.push(Translation::new(
            "route",
            "OpenRouter falls back without a `route` too; it is left out",
        )),
        Some(Route::Sort) => is_changed |= add_partition(&mut provider, told)?,
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

/// Takes the `route` out of a body where it is an old form; one of `null` goes too.
fn taken_route(body: &mut Members) -> Option<Route> {
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

/// What became of the spelling of a `provider` object.
#[derive(Default)]
struct Spelling {
    is_changed: bool,
    /// Keys or names were not as the API has them.
    is_foreign: bool,
}

impl Spelling {
    fn add(&mut self, other: Self) {
        self.is_changed |= other.is_changed;
        self.is_foreign |= other.is_foreign;
    }
}

/// Writes the keys, the providers and the prices of a `provider` object as the API has them. Members that are not known stay
/// as they are.
///
/// - Errors: `invalid_request` for a negative price, and for one that no decimal holds.
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
            // What else is wrong with a text, the service says.
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

/// Lays a `max_price` in US dollars per thousand tokens under the one in `provider`, which is per million.
///
/// - Out: whether `provider` was changed.
fn add_max_price(provider: &mut Members, asked: &RawValue, told: &mut Vec<Translation>) -> Result<bool, Error> {
    let asked = match Kind::of_value(asked) {
        Kind::Object => object("max_price", asked)?,
        Kind::Number => {
            // Read here, so that an error names the field that was written.
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
        return Err(refused("max_price", known, "another member in it"));
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
        "OpenRouter has no `max_price`; it is left out, because `provider.max_price` holds the same limits"
    } else {
        "OpenRouter has no `max_price` per thousand tokens; it is sent as `provider.max_price` per million"
    };
    told.push(Translation::new("max-price", message));
    if n_added > 0 {
        provider.set_value("max_price", &limits);
    }
    Ok(n_added > 0)
}

/// A number as a decimal without an exponent, or what it is instead.
fn price_of(number: &str) -> Result<String, &'static str> {
    let (is_signed, unsigned) = number.strip_prefix('-').map_or((false, number), |rest| (true, rest));
    // The amount itself would be rounded; it only proves that this is one, and that its exponent is small.
    let price = Usd::parse(unsigned)
        .and_then(|_| decimal(unsigned))
        .ok_or(OUT_OF_RANGE)?;
    if is_signed && price != "0" {
        return Err(NEGATIVE);
    }
    Ok(price)
}

/// `route: "sort"`: the providers of all models are sorted together.
///
/// - Out: whether `provider` was changed.
fn add_partition(provider: &mut Members, told: &mut Vec<Translation>) -> Result<bool, Error> {
    let field = "provider.sort";
    let mut sort = match provider.get("sort").filter(|sort| sort.get() != "null") {
        None => Members::default(),
        Some(sort) if is_object(sort) => object(field, sort)?,
        Some(by) if Kind::of_value(by) == Kind::Text => {
            let mut sort = Members::default();
            sort.set("by", by.to_owned());
            sort
        }
        Some(sort) => return Err(refused(field, "a text or a JSON object", Kind::of_value(sort))),
    };
    let has_partition = sort.has("partition");
    let message = if has_partition {
        "OpenRouter's `route` is old; it is left out, because `provider.sort` holds a partition"
    } else {
        sort.set_value("partition", &"none");
        provider.set_value("sort", &sort);
        "OpenRouter's `route` is old; `provider.sort` is sent with the partition `none`"
    };
    told.push(Translation::new("route", message));
    Ok(!has_partition)
}

/// `transforms` and `compress`: both become a request plugin.
fn translate_plugins(body: &mut Members, told: &mut Vec<Translation>) -> Result<(), Error> {
    if let Some((name, transforms)) = taken(body, &["transforms"]).pop() {
        let transforms = texts(name, "a list of names", &transforms)?;
        let n_known = transforms.iter().filter(|transform| *transform == MIDDLE_OUT).count();
        let is_known = n_known == transforms.len();
        let mut message = if n_known > 0 || is_known {
            add_compression(body, name, n_known > 0)?
        } else {
            format!("OpenRouter has no `{name}`; it is left out")
        };
        if !is_known {
            message += "; of what it names only `middle-out` has a successor";
        }
        told.push(Translation::new("transforms", message));
    }
    if let Some((name, compress)) = taken(body, &["compress"]).pop()
        && flag(name, &compress)?
    {
        let message = add_compression(body, name, true)?;
        told.push(Translation::new("compress", message));
    }
    Ok(())
}

/// Adds the request plugin that compresses long prompts, switched on or off, unless it is there; says in a sentence what
/// became of `field`.
fn add_compression(body: &mut Members, field: &str, is_on: bool) -> Result<String, Error> {
    let mut plugins: Vec<Box<RawValue>> = match body.get("plugins").filter(|plugins| plugins.get() != "null") {
        Some(plugins) => serde_json::from_str(plugins.get())
            .map_err(|_| refused("plugins", "a list of objects", Kind::of_value(plugins)))?,
        None => Vec::new(),
    };
    let is_there = plugins.iter().any(|plugin| {
        let plugin = Members::parse(plugin.get().as_bytes());
        plugin.is_ok_and(|plugin| plugin.text("id").as_deref() == Some(COMPRESSION))
    });
    if is_there {
        return Ok(format!(
            "OpenRouter has no `{field}`; it is left out, because `plugins` holds `{COMPRESSION}`"
        ));
    }
    let (plugin, state) = if is_on {
        (json!({"id": COMPRESSION, "engine": MIDDLE_OUT}), "on")
    } else {
        (json!({"id": COMPRESSION, "enabled": false}), "off")
    };
    plugins.extend(serde_json::value::to_raw_value(&plugin));
    body.set_value("plugins", &plugins);
    Ok(format!(
        "OpenRouter has no `{field}`; the plugin `{COMPRESSION}` is sent, switched {state}"
    ))
}

/// Removes these members and returns those that are not `null`.
fn taken(body: &mut Members, names: &[&'static str]) -> Vec<(&'static str, Box<RawValue>)> {
    let members = names.iter().filter_map(|name| Some((*name, body.take(name)?)));
    members.filter(|(_, value)| value.get() != "null").collect()
}

fn is_object(value: &RawValue) -> bool {
    Kind::of_value(value) == Kind::Object
}

/// The members of an object within the body.
fn object(field: &str, value: &RawValue) -> Result<Members, Error> {
    serde_json::from_str(value.get()).map_err(|_| match Kind::of_value(value) {
        Kind::Object => refused(field, "a JSON object", "one with a name that is no text"),
        found => refused(field, "a JSON object", found),
    })
}

/// The items of a list within the body.
fn texts(field: &str, expected: &str, value: &RawValue) -> Result<Vec<String>, Error> {
    serde_json::from_str(value.get()).map_err(|_| match Kind::of_value(value) {
        Kind::List => refused(field, expected, "a list of something else"),
        found => refused(field, expected, found),
    })
}

fn flag(field: &str, value: &RawValue) -> Result<bool, Error> {
    serde_json::from_str(value.get()).map_err(|_| refused(field, "true or false", Kind::of_value(value)))
}

fn refused(field: &str, expected: &str, found: impl fmt::Display) -> Error {
    Error::new(
        ErrorKind::INVALID_REQUEST,
        format!("expected `{field}` to be {expected}, found {found}"),
    )
}

#[cfg(test)]
mod tests;
