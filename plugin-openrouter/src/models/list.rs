//! The model list that the host gets.
//!
//! In: a [`Listed`] catalogue. Out: a [`ModelList`], restricted to the models in `OPENROUTER_MODELS` if it is set.
//! The variable restricts neither the models that a request may name nor the prices that a budget uses.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use plugin_api::{Error, ErrorKind, Model, ModelList, ModelsRequest};

use crate::models::{self, Catalogue, Listed, Store, capabilities, resolve, selection};
use crate::service::Settings;
use crate::service::kept::Refresh;
use crate::values::secret::scrub;
use crate::values::time::milliseconds;
use crate::values::usd::Usd;

/// The environment variable that restricts the list.
const VARIABLE: &str = "OPENROUTER_MODELS";

const MILLION: u64 = 1_000_000;

impl Store {
    /// The list that the host asked for.
    ///
    /// - Errors: `invalid_request` if it may not ask the service and would have to; those of [`Self::listed`] and
    ///   [`selection::selected`].
    pub async fn answer(&self, settings: &Settings, request: &ModelsRequest) -> Result<ModelList, Error> {
        if selection::is_wanted(request) {
            if request.offline {
                let message = "only the service knows who serves a model, what they keep and how fast they are";
                return Err(Error::new(ErrorKind::INVALID_REQUEST, message));
            }
            let models = selection::selected(settings, request).await?;
            let listed = Listed {
                catalogue: Arc::new(Catalogue::new(&settings.service.base_url, models, Duration::ZERO)),
                problem: None,
            };
            // A selection lacks names that the whole list has, so an unknown one means nothing here.
            return Ok(ModelList {
                is_selected: true,
                ..self.list(settings, &listed, request.raw, false)
            });
        }
        let listed = match (request.offline, request.force) {
            (true, _) => Listed {
                catalogue: self.at_hand(settings).await.ok_or_else(|| {
                    Error::new(ErrorKind::UNAVAILABLE, "no model list is cached for this service")
                        .with_hint("list the models once while the service can be reached")
                })?,
                problem: None,
            },
            (false, true) => self.listed(settings, Refresh::Now).await?,
            (false, false) => self.listed(settings, Refresh::IfExpired).await?,
        };
        Ok(self.list(settings, &listed, request.raw, true))
    }

    /// The list for the host.
    ///
    /// - In: `with_raw`, whether each model comes with the entry as the service wrote it; `warns`, whether names that
    ///   the list lacks are worth a warning.
    fn list(&self, settings: &Settings, listed: &Listed, with_raw: bool, warns: bool) -> ModelList {
        let catalogue = &*listed.catalogue;
        let names = settings.profile.environment.get(VARIABLE).map_or("", String::as_str);
        let chosen = Chosen::of(names, catalogue);
        if let Some(problem) = chosen.as_ref().and_then(Chosen::problem)
            && warns
            && !self.has_warned_of_names.swap(true, Ordering::Relaxed)
        {
            let problem = scrub(&problem, settings.service.secret());
            tracing::warn!(variable = VARIABLE, "{problem}");
        }
        let is_chosen = |place: usize| chosen.as_ref().is_none_or(|chosen| chosen.is_chosen[place]);
        let models = catalogue.models.iter().enumerate();
        ModelList {
            models: models
                .filter(|(place, _)| is_chosen(*place))
                .map(|(_, model)| model_from(model, with_raw))
                .collect(),
            age_ms: milliseconds(catalogue.age()),
            is_stale: listed.problem.is_some(),
            problem: listed.problem.as_ref().map(|problem| problem.message.clone()),
            is_selected: false,
        }
    }
}

/// The models that a list of names selects.
struct Chosen {
    /// By place in the catalogue.
    is_chosen: Vec<bool>,
    /// Unknown names, each with the nearest id, if there is one.
    unknown: Vec<(String, Option<String>)>,
}

impl Chosen {
    /// - In: ids separated by commas; `author/*` selects every model of an author.
    /// - Out: `None` if there are no names, which means no restriction.
    fn of(names: &str, catalogue: &Catalogue) -> Option<Self> {
        let mut names = names
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .peekable();
        names.peek()?;
        let mut chosen = Self {
            is_chosen: vec![false; catalogue.models.len()],
            unknown: Vec::new(),
        };
        for name in names {
            let mut is_known = false;
            for (place, model) in catalogue.models.iter().enumerate() {
                let is_meant = match name.strip_suffix('*') {
                    Some(start) => starts_with(&model.id, start),
                    None => name.eq_ignore_ascii_case(&model.id) || name == model.canonical_slug,
                };
                chosen.is_chosen[place] |= is_meant;
                is_known |= is_meant;
            }
            if !is_known {
                chosen.choose_by_base(name, catalogue);
            }
        }
        Some(chosen)
    }

    /// Selects the model of a variant that is not listed, such as `:nitro`.
    fn choose_by_base(&mut self, name: &str, catalogue: &Catalogue) {
        match catalogue.place(name) {
            Some(place) => self.is_chosen[place] = true,
            None => self.unknown.push((name.to_owned(), resolve::nearest(name, catalogue))),
        }
    }

    fn problem(&self) -> Option<String> {
        // An empty model list says nothing about any name.
        if self.unknown.is_empty() || self.is_chosen.is_empty() {
            return None;
        }
        let names = self.unknown.iter().map(|(name, nearest)| match nearest {
            Some(nearest) => format!("`{name}` (did you mean `{nearest}`?)"),
            None => format!("`{name}`"),
        });
        Some(format!(
            "the service does not list {}",
            names.collect::<Vec<_>>().join(", ")
        ))
    }
}

fn starts_with(id: &str, start: &str) -> bool {
    id.get(..start.len())
        .is_some_and(|beginning| beginning.eq_ignore_ascii_case(start))
}

fn model_from(model: &models::Model, with_raw: bool) -> Model {
    let per_million = |price: Option<Usd>| price.map(|price| price.times(MILLION).to_string());
    Model {
        id: model.id.clone(),
        name: model.name.clone(),
        description: model.description.clone(),
        created_s: model.created_s,
        context_length: model.context_length,
        max_completion_tokens: model.max_completion_tokens,
        prompt_usd_per_million: per_million(model.prompt_price),
        completion_usd_per_million: per_million(model.completion_price),
        request_usd: model.request_price.map(|price| price.to_string()),
        input_modalities: model.input_modalities.clone(),
        output_modalities: model.output_modalities.clone(),
        supported_parameters: model.supported_parameters.clone(),
        abilities: capabilities::badges(model).into_iter().map(str::to_owned).collect(),
        expiration_date: model.expiration_date.clone(),
        raw: with_raw.then(|| model.raw.clone()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use plugin_api::{Error, ErrorKind};
    use serde_json::{Value, json};

    use super::*;
    use crate::kit::{catalogue, settings};

    fn entries() -> Value {
        let entry = |id: &str| {
            json!({"id": id, "canonical_slug": format!("{id}-2026-01-01"),
                "pricing": {"prompt": "0.00000015", "completion": "6e-7"}})
        };
        json!(["acme/large", "acme/large:free", "other/large", "other/small"].map(entry))
    }

    fn listed(entries: &Value, names: &str, with_raw: bool) -> Vec<Model> {
        let listed = Listed {
            catalogue: catalogue(entries),
            problem: None,
        };
        let settings = settings(json!({}), &[(VARIABLE, names)]);
        Store::default().list(&settings, &listed, with_raw, true).models
    }

    #[test]
    fn a_model_is_listed_with_everything_that_is_known() {
        // Source: the example of `Model` in OpenRouter's API description.
        let entry = json!({
            "id": "acme/large", "canonical_slug": "acme/large-1", "name": "Large", "description": "It is large.",
            "created": 1_692_901_234, "context_length": 8192, "top_provider": {"max_completion_tokens": 4096},
            "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
            "pricing": {"prompt": "0.00000015", "completion": "6e-7", "request": "0.01"},
            "supported_parameters": ["tools"], "expiration_date": "2027-06-01", "new": {"field": 1.0},
        });
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let some = |text: &str| Some(text.to_owned());
        let expected = Model {
            id: "acme/large".to_owned(),
            name: "Large".to_owned(),
            description: some("It is large."),
            created_s: Some(1_692_901_234),
            context_length: Some(8192),
            max_completion_tokens: Some(4096),
            prompt_usd_per_million: some("0.15"),
            completion_usd_per_million: some("0.6"),
            request_usd: some("0.01"),
            input_modalities: words(&["text", "image"]),
            output_modalities: words(&["text"]),
            supported_parameters: words(&["tools"]),
            abilities: words(&["vision", "tools"]),
            expiration_date: some("2027-06-01"),
            raw: plugin_api::Verbatim::parse(entry.to_string()),
        };
        assert_eq!(listed(&json!([entry]), "", true), [expected]);
        assert!(listed(&json!([entry]), "", false)[0].raw.is_none());
    }

    #[test]
    fn unknown_fields_are_absent() {
        let entries = json!([{"id": "openrouter/auto", "pricing": {"prompt": "-1", "completion": "-1", "request": "-1"},
            "description": 7, "created": "soon"}]);
        let expected = Model {
            id: "openrouter/auto".to_owned(),
            name: "openrouter/auto".to_owned(),
            ..Model::default()
        };
        assert_eq!(listed(&entries, "", false), [expected]);
    }

    #[test]
    fn the_variable_restricts_the_list() {
        let all = ["acme/large", "acme/large:free", "other/large", "other/small"];
        let rows: [(&str, &[&str]); 11] = [
            ("", &all),
            (" , ,", &all),
            ("other/small", &["other/small"]),
            (" other/small ,, acme/large ", &["acme/large", "other/small"]),
            ("Acme/Large", &["acme/large"]),
            ("acme/*", &["acme/large", "acme/large:free"]),
            ("ACME/*,other/small", &["acme/large", "acme/large:free", "other/small"]),
            ("*", &all),
            ("other/small-2026-01-01", &["other/small"]),
            ("other/small:nitro", &["other/small"]),
            ("nobody/*,nobody/nothing", &[]),
        ];
        for (names, expected) in rows {
            let models = listed(&entries(), names, false);
            let ids: Vec<&str> = models.iter().map(|model| model.id.as_str()).collect();
            assert_eq!(ids, expected, "{names}");
        }
    }

    #[test]
    fn unknown_names_are_reported_with_the_nearest_id() {
        let problem =
            |names: &str, entries: &Value| Chosen::of(names, &catalogue(entries)).and_then(|chosen| chosen.problem());
        assert_eq!(
            problem("other/smal,acme/large,nobody/*,xyzzy/plugh", &entries()).as_deref(),
            Some("the service does not list `other/smal` (did you mean `other/small`?), `nobody/*`, `xyzzy/plugh`")
        );
        assert_eq!(problem("acme/*", &entries()), None);
        assert_eq!(problem("acme/large", &json!([])), None);
    }

    #[test]
    fn a_stale_list_says_why() {
        let age = Duration::from_secs(7200);
        let listed = Listed {
            catalogue: Arc::new(Catalogue::new("", Vec::new(), age)),
            problem: Some(Error::new(ErrorKind::TIMEOUT, "it took too long")),
        };
        let list = Store::default().list(&settings(json!({}), &[]), &listed, false, true);
        let found = (list.is_stale, list.problem.as_deref());
        assert_eq!(found, (true, Some("it took too long")));
        assert!(list.age_ms >= milliseconds(age), "{}", list.age_ms);
    }

    #[test]
    fn the_services_entry_is_kept_byte_for_byte() {
        let text = "{\"id\":\"a/b\",  \"n\" : 1.0e-7, \"created\":1,\n \"x\":[ ]}";
        let page = models::page::page_from(format!("{{\"data\":[{text}]}}").as_bytes()).expect("a list");
        let catalogue = Arc::new(Catalogue::new("", page.models, Duration::ZERO));
        let model = model_from(&catalogue.models()[0], true);
        assert_eq!(model.raw.expect("it was asked for").get(), text);
    }
}
