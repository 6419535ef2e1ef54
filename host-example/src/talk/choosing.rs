//! Which model is meant, and whether it reads what is attached.

use std::time::Duration;

use plugin_api::{Model, ModelsRequest, TierModel};
use serde_json::Value;

use crate::near;
use crate::setup::{Active, tiers};
use crate::terminal::{Failure, clean_line, few, joined};
use crate::views::models::is_named;

/// Who answers: a model, or else a tier, or else the default one.
#[derive(Clone, Default)]
pub struct Who {
    pub tier: Option<String>,
    pub model: Option<String>,
}

/// The tier that answers if none is chosen.
const DEFAULT_TIER: &str = "large";

impl Who {
    pub fn of_tier(tier: &TierModel) -> Self {
        Self {
            tier: Some(tier.tier.clone()),
            model: None,
        }
    }

    pub fn of_model(id: String) -> Self {
        Self {
            tier: None,
            model: Some(id),
        }
    }

    /// The id of the model that answers, if it is known.
    pub fn wire<'a>(&'a self, known: &'a [TierModel]) -> Option<&'a str> {
        let of_tier = || Some(self.tier_in(known)?.wire.as_str());
        self.model.as_deref().or_else(of_tier)
    }

    fn tier_in<'a>(&self, known: &'a [TierModel]) -> Option<&'a TierModel> {
        tiers::find(known, self.tier.as_deref().unwrap_or(DEFAULT_TIER))
    }

    /// `large → acme/large`
    pub fn shown(&self, known: &[TierModel]) -> Option<String> {
        let of_tier = || {
            let tier = self.tier_in(known)?;
            Some(format!("{} → {}", tiers::short(tier), tier.wire))
        };
        self.model.clone().or_else(of_tier)
    }
}

/// How long to wait for the model list, which is needed only for checks and suggestions.
const LIMIT: Duration = Duration::from_secs(3);

/// The service's models, if they can be had soon.
pub async fn models(active: &Active) -> Option<Vec<Model>> {
    if active.off.is_some() {
        return None;
    }
    let listed = active.plugin.models(ModelsRequest::default());
    Some(tokio::time::timeout(LIMIT, listed).await.ok()?.ok()?.models)
}

/// The id that is meant by an id in any case, or by words that only its id or name has, and whether it is listed. One
/// that is like no listed one is taken as it is, because services know ids that they do not list.
///
/// - Errors: a line that names the models that may be meant.
pub fn meant(models: &[Model], written: &str) -> Result<(String, bool), String> {
    let (base, variant) = written.split_once(':').unwrap_or((written, ""));
    let of = |wanted: &str| models.iter().find(|model| model.id.eq_ignore_ascii_case(wanted));
    if let Some(model) = of(written) {
        return Ok((model.id.clone(), true));
    }
    if let Some(model) = of(base) {
        return Ok((format!("{}:{variant}", model.id), true));
    }
    let ids = |is_meant: &dyn Fn(&Model) -> bool| -> Vec<String> {
        let found = models.iter().filter(|model| is_meant(model));
        found.map(|model| model.id.clone()).collect()
    };
    // The author may be missing.
    let mut named = ids(&|model| {
        model
            .id
            .rsplit('/')
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case(written))
    });
    if named.is_empty() {
        named = ids(&|model| is_named(model, written.split_whitespace()));
    }
    match named.as_slice() {
        [only] => Ok((only.clone(), true)),
        [] => match near::did_you_mean(written, models.iter().map(|model| model.id.as_str())) {
            Some(near) => Err(format!("no model `{written}` is listed; {near}")),
            None if written.contains(char::is_whitespace) => Err(format!("no model is called `{written}`")),
            None => Ok((written.to_owned(), false)),
        },
        several => Err(format!(
            "`{written}` may be {}; /models {written} lists them",
            few(several)
        )),
    }
}

/// How many models a hint names at most.
const MOST_SHOWN: usize = 3;

/// Parts of messages that not every model reads: the part's type, the modality, and a word for it. Documents are not
/// among them, because services turn them into text.
const KINDS: [(&str, &str, &str); 2] = [("image_url", "image", "pictures"), ("input_audio", "audio", "sounds")];

/// Whether any of these parts needs a model that reads more than text.
pub fn has_media(parts: &[Value]) -> bool {
    parts
        .iter()
        .any(|part| KINDS.iter().any(|(kind, ..)| part["type"] == *kind))
}

/// Checks that the model of this id reads these parts, as far as the list says.
///
/// - In: `how`, what to type to choose another model.
/// - Errors: what it does not read, and three models that do, those of tiers first.
pub fn check(models: &[Model], known: &[TierModel], id: &str, parts: &[Value], how: &str) -> Result<(), Failure> {
    let is_this = |model: &Model, id: &str| id == model.id || id.split(':').next() == Some(model.id.as_str());
    let Some(model) = models.iter().find(|model| is_this(model, id)) else {
        return Ok(());
    };
    let reads = |model: &Model, modality: &str| model.input_modalities.iter().any(|known| known == modality);
    let lacking = KINDS.iter().find(|(kind, modality, _)| {
        parts.iter().any(|part| part["type"] == *kind) && !model.input_modalities.is_empty() && !reads(model, modality)
    });
    let Some((_, modality, what)) = lacking else {
        return Ok(());
    };
    let of_tiers = known
        .iter()
        .filter_map(|tier| Some((models.iter().find(|model| is_this(model, &tier.wire))?, Some(tier))));
    let others = models.iter().map(|model| (model, None));
    let mut able: Vec<(&str, String)> = Vec::new();
    for (model, tier) in of_tiers.chain(others).filter(|(model, _)| reads(model, modality)) {
        if able.len() < MOST_SHOWN && able.iter().all(|(id, _)| *id != model.id) {
            let tier = tier.map_or_else(String::new, |tier| format!(" (tier {})", tiers::short(tier)));
            able.push((&model.id, format!("`{}`{tier}", model.id)));
        }
    }
    let failure = Failure::usage(format!("`{}` cannot read {what}", clean_line(&model.id)));
    Err(match able.is_empty() {
        true => failure.with_hint(format!("no listed model can read {what}")),
        false => failure.with_hint(format!(
            "choose one that can, such as {}: {how}",
            joined(able.into_iter().map(|(_, shown)| shown).collect(), "or")
        )),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn models() -> Vec<Model> {
        let model = |id: &str, reads: &[&str]| Model {
            id: id.to_owned(),
            input_modalities: reads.iter().map(|&modality| modality.to_owned()).collect(),
            ..Model::default()
        };
        vec![
            model("acme/sonnet-4", &["text", "image"]),
            model("acme/sonnet-5", &["text"]),
            model("acme/opus", &["text", "image"]),
            model("acme/new", &[]),
            model("acme/newer", &[]),
        ]
    }

    #[test]
    fn a_model_is_found_by_id_variant_or_unique_words() {
        let meant = |written: &str| meant(&models(), written);
        for (written, id) in [
            ("ACME/opus", "acme/opus"),
            ("acme/opus:nitro", "acme/opus:nitro"),
            ("opus", "acme/opus"),
            ("new", "acme/new"),
            ("sonnet 5", "acme/sonnet-5"),
        ] {
            assert_eq!(meant(written), Ok((id.to_owned(), true)));
        }
        assert_eq!(meant("other/thing"), Ok(("other/thing".to_owned(), false)));
        let several = "`sonnet` may be acme/sonnet-4 and acme/sonnet-5; /models sonnet lists them";
        assert_eq!(meant("sonnet"), Err(several.to_owned()));
        let near = "no model `acme/opsu` is listed; did you mean `acme/opus`?";
        assert_eq!(meant("acme/opsu"), Err(near.to_owned()));
    }

    #[test]
    fn a_model_that_cannot_read_an_attachment_is_refused_with_others() {
        let tiers = [TierModel {
            tier: "TEXT_SMALL".to_owned(),
            wire: "acme/opus".to_owned(),
            ..TierModel::default()
        }];
        let check = |id: &str, kind: &str| {
            let failure = check(&models(), &tiers, id, &[json!({"type": kind})], "/model ID").err()?;
            Some(format!("{}; {}", failure.message, failure.hint.unwrap_or_default()))
        };
        for (id, kind) in [
            ("acme/opus", "image_url"),
            ("acme/sonnet-5", "file"),
            ("acme/new", "image_url"),
            ("unlisted", "image_url"),
        ] {
            assert_eq!(check(id, kind), None);
        }
        let refused = "`acme/sonnet-5` cannot read pictures; choose one that can, such as `acme/opus` (tier small) \
                       or `acme/sonnet-4`: /model ID";
        assert_eq!(check("acme/sonnet-5:free", "image_url").as_deref(), Some(refused));
        let nobody = "`acme/opus` cannot read sounds; no listed model can read sounds";
        assert_eq!(check("acme/opus", "input_audio").as_deref(), Some(nobody));
    }
}
