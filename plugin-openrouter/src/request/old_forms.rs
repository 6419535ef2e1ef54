//! Translates old and foreign forms of a request, as found in the documentation of other programs.
//!
//! In: the members of a body, and the header `X-Provider` if there is one.
//! Out: the same body in OpenRouter's own form, and a [`Translation`] for each old form, to report to the caller. Pure.
//! A body without old forms keeps every byte. A field in the API's form wins over the same field in an old form.

mod members;
mod provider;

use plugin_api::{Error, ErrorKind};
use serde_json::json;
use serde_json::value::RawValue;

use crate::profile::options::{COMPRESSION, MAX_FALLBACKS};
use crate::request::old_forms::members::{Translation, flag, refused, strings, take_members};
use crate::request::old_forms::provider::translate_provider;
use crate::values::members::{Kind, Members};

/// Which old forms a body may contain, judging by its names.
#[derive(Default)]
struct Suspects {
    models: bool,
    auto_router: bool,
    provider: bool,
    plugins: bool,
}

const FALLBACK_MODELS: [&str; 2] = ["fallback_models", "fallbackModels"];
const AUTO_ROUTER: [&str; 2] = ["autoRouter", "auto_router"];

/// The only transform that ever existed; [`COMPRESSION`] replaced it.
const MIDDLE_OUT: &str = "middle-out";

const IDS: &str = "a list of model ids";

/// Translates every old form of a request in place.
///
/// - In: `x_provider`, the value of the header `X-Provider`.
/// - Out: one entry for each kind of form that was translated, in a fixed order. Forms without effect, such as a
///   `route` of `null` or a `compress` of `false`, are removed without an entry. A number in `provider.max_price`
///   becomes a decimal string without an entry, because OpenRouter's API description and its guide disagree there.
/// - Errors: `invalid_request` that names the field, what was expected and what was found. The body is then unusable.
pub fn translate(body: &mut Members, x_provider: Option<&str>) -> Result<Vec<Translation>, Error> {
    let mut translations = Vec::new();
    let suspects = Suspects::of(body);
    if suspects.models {
        translate_models(body, &mut translations)?;
    }
    if suspects.auto_router {
        translate_auto_router(body, &mut translations)?;
    }
    if suspects.provider || x_provider.is_some() {
        translate_provider(body, x_provider, &mut translations)?;
    }
    if suspects.plugins {
        translate_plugins(body, &mut translations)?;
    }
    Ok(translations)
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

/// The fallback models, without duplicates.
struct Others {
    first: String,
    ids: Vec<String>,
}

impl Others {
    /// Adds an id, unless it is blank or a duplicate.
    fn add(&mut self, id: &str) -> Result<(), Error> {
        let id = id.trim();
        if id.is_empty() || self.first == id || self.ids.iter().any(|known| known == id) {
            return Ok(());
        }
        // Checked here, so that no id is compared with more than ten others.
        if self.ids.len() == MAX_FALLBACKS {
            return Err(Error::new(
                ErrorKind::INVALID_REQUEST,
                format!("expected at most {MAX_FALLBACKS} fallback models, found more"),
            ));
        }
        self.ids.push(id.to_owned());
        Ok(())
    }
}

/// `model: "a/x,b/y"` and `fallback_models`: both become `models`.
fn translate_models(body: &mut Members, translations: &mut Vec<Translation>) -> Result<(), Error> {
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
        translations.push(Translation::new(
            "model-list",
            "OpenRouter accepts one `model`; sending the rest of the list in `models`",
        ));
    }
    let mut fallbacks = Vec::new();
    let mut foreign_name = None;
    for (name, ids) in take_members(body, &FALLBACK_MODELS) {
        let ids = strings(name, IDS, &ids)?;
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
        strings("models", IDS, models)?
            .iter()
            .try_for_each(|id| others.add(id))?;
    }
    fallbacks.iter().try_for_each(|id| others.add(id))?;
    if let Some(name) = foreign_name {
        translations.push(Translation::new(
            "fallback-models",
            format!("OpenRouter has no `{name}`; sending `models` instead"),
        ));
    }
    if has_models || !others.ids.is_empty() {
        body.set_value("models", &others.ids);
    }
    Ok(())
}

/// `autoRouter: true` becomes a model.
fn translate_auto_router(body: &mut Members, translations: &mut Vec<Translation>) -> Result<(), Error> {
    let mut switched_on = None;
    for (name, value) in take_members(body, &AUTO_ROUTER) {
        if flag(name, &value)? {
            switched_on = switched_on.or(Some(name));
        }
    }
    let Some(name) = switched_on else {
        return Ok(());
    };
    // A blank id counts as none, as in every request. If it is not a string, the service reports that.
    let is_named = body.has("model") && body.text("model").is_none_or(|model| !model.trim().is_empty());
    let message = if is_named {
        format!("OpenRouter has no `{name}`; ignored because the request has a `model`")
    } else {
        body.set_value("model", &"openrouter/auto");
        format!("OpenRouter has no `{name}`; sending `model` `openrouter/auto` instead")
    };
    translations.push(Translation::new("auto-router", message));
    Ok(())
}

/// `transforms` and `compress`: both become a request plugin.
fn translate_plugins(body: &mut Members, translations: &mut Vec<Translation>) -> Result<(), Error> {
    if let Some((name, transforms)) = take_members(body, &["transforms"]).pop() {
        let transforms = strings(name, "a list of names", &transforms)?;
        let n_known = transforms.iter().filter(|transform| *transform == MIDDLE_OUT).count();
        let is_known = n_known == transforms.len();
        let mut message = if n_known > 0 || is_known {
            add_compression(body, name, n_known > 0)?
        } else {
            format!("OpenRouter has no `{name}`; ignored")
        };
        if !is_known {
            message += "; only its `middle-out` has a replacement";
        }
        translations.push(Translation::new("transforms", message));
    }
    if let Some((name, compress)) = take_members(body, &["compress"]).pop()
        && flag(name, &compress)?
    {
        let message = add_compression(body, name, true)?;
        translations.push(Translation::new("compress", message));
    }
    Ok(())
}

/// Adds the request plugin that compresses long prompts, switched on or off, unless it is already listed.
///
/// - Out: the message of the translation of `field`.
fn add_compression(body: &mut Members, field: &str, is_on: bool) -> Result<String, Error> {
    let mut plugins: Vec<Box<RawValue>> = match body.get("plugins").filter(|plugins| plugins.get() != "null") {
        Some(plugins) => serde_json::from_str(plugins.get())
            .map_err(|_| refused("plugins", "a list of objects", Kind::of_value(plugins)))?,
        None => Vec::new(),
    };
    let is_listed = plugins.iter().any(|plugin| {
        let plugin = Members::parse(plugin.get().as_bytes());
        plugin.is_ok_and(|plugin| plugin.text("id").as_deref() == Some(COMPRESSION))
    });
    if is_listed {
        return Ok(format!(
            "OpenRouter has no `{field}`; ignored because `plugins` contains `{COMPRESSION}`"
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
        "OpenRouter has no `{field}`; sending the plugin `{COMPRESSION}`, switched {state}, instead"
    ))
}

#[cfg(test)]
mod tests;
