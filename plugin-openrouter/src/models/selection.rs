//! Selects models by what the list does not say: who serves them, what is kept of prompts, how fast they are.
//!
//! In: a [`ModelsRequest`]. Out: the service's own selection, in the service's order. Never cached, because what the
//! service measures changes all the time.

use plugin_api::{Error, ErrorKind, MeasuredOrder, ModelsRequest};
use serde::Deserialize;

use crate::models::Model;
use crate::models::store::fetch_all;
use crate::service::{Settings, fetch};

/// The most providers that a hint names.
const MAX_NAMED: usize = 3;

/// Whether the service has to select or to sort.
pub fn is_wanted(request: &ModelsRequest) -> bool {
    request.zero_retention || request.provider.is_some() || request.order.is_some()
}

/// The models that the request selects.
///
/// - Errors: `invalid_request` for a provider that the service does not list; those of [`fetch::get`].
/// - Source: OpenRouter's API description, the parameters of `/models`.
pub async fn selected(settings: &Settings, request: &ModelsRequest) -> Result<Vec<Model>, Error> {
    let mut pairs = Vec::new();
    if request.zero_retention {
        pairs.push(("zdr", "true".to_owned()));
    }
    if let Some(name) = &request.provider {
        pairs.push(("providers", slug_of(settings, name).await?));
    }
    let order = request.order.map(|order| match order {
        MeasuredOrder::Throughput => "throughput-high-to-low",
        MeasuredOrder::Latency => "latency-low-to-high",
    });
    pairs.extend(order.map(|order| ("sort", order.to_owned())));
    fetch_all(settings, &fetch::with_query("/models", &pairs)).await
}

#[derive(Deserialize)]
struct Provider {
    name: String,
    slug: String,
}

/// The slug of the provider with this name or slug, which is what the service's filter reads.
async fn slug_of(settings: &Settings, wanted: &str) -> Result<String, Error> {
    #[derive(Deserialize)]
    struct Answer {
        data: Vec<Provider>,
    }

    let fetched = fetch::get(settings, "/providers").await?;
    let answer: Answer = serde_json::from_slice(&fetched.body).map_err(|_| {
        Error::new(
            ErrorKind::PROTOCOL,
            "expected a list of providers at `/providers`, found something else",
        )
    })?;
    found(answer.data, wanted)
}

fn found(mut providers: Vec<Provider>, wanted: &str) -> Result<String, Error> {
    let folded = |name: &str| name.to_lowercase().replace(['-', '_', ' '], "");
    let wanted_folded = folded(wanted);
    let distance = |provider: &Provider| {
        let distance = |name: &str| strsim::osa_distance(&folded(name), &wanted_folded);
        distance(&provider.name).min(distance(&provider.slug))
    };
    providers.sort_by_cached_key(distance);
    if let Some(nearest) = providers.first().filter(|provider| distance(provider) == 0) {
        return Ok(nearest.slug.clone());
    }
    let near = providers
        .iter()
        .filter(|provider| distance(provider) <= wanted_folded.chars().count().div_ceil(3));
    let near: Vec<String> = near
        .take(MAX_NAMED)
        .map(|provider| format!("`{}`", provider.slug))
        .collect();
    let hint = match near.is_empty() {
        false => format!("did you mean {}?", near.join(" or ")),
        true => "list the providers with `agent-host api /providers`".to_owned(),
    };
    Err(Error::new(ErrorKind::INVALID_REQUEST, format!("no provider `{wanted}` is listed")).with_hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_found_by_name_or_slug_and_a_misspelt_one_by_a_hint() {
        let providers = || {
            [
                ("Amazon Bedrock", "amazon-bedrock"),
                ("Groq", "groq"),
                ("OpenAI", "openai"),
            ]
            .map(|(name, slug)| (name.to_owned(), slug.to_owned()))
            .map(|(name, slug)| Provider { name, slug })
            .into()
        };
        for (wanted, slug) in [
            ("groq", "groq"),
            ("Amazon Bedrock", "amazon-bedrock"),
            ("OPENAI", "openai"),
        ] {
            assert_eq!(found(providers(), wanted).ok().as_deref(), Some(slug));
        }
        for (wanted, hint) in [
            ("grok", "did you mean `groq`?"),
            ("nobody", "list the providers with `agent-host api /providers`"),
        ] {
            let error = found(providers(), wanted).expect_err("it is not listed");
            assert_eq!(error.message, format!("no provider `{wanted}` is listed"));
            assert_eq!(error.hint(), Some(hint));
        }
    }
}
