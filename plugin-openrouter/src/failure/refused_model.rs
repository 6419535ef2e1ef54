//! Finds the model that the service refused when it was asked for several.
//!
//! In: the error of a request, and the models that it asked for. Out: which of them cannot be asked. Pure.
//! The service refuses a whole request for one id that it does not know, although the other models could answer.

use plugin_api::{Error, ErrorKind};

/// Error types that concern one model. Source: OpenRouter docs, "Availability errors".
const TYPES: [&str; 6] = [
    "model_not_found",
    "no_endpoints",
    "model_deprecated",
    "model_unavailable_upstream",
    "free_variant_ended",
    "wrong_endpoint",
];

/// Parts of messages that concern one model, for errors without a type.
const SENTENCES: [&str; 4] = [
    "not a valid model",
    "no endpoints found",
    "model not found",
    "unknown model",
];

/// Parts of messages that concern a model if they name it: parameters and tools may be deprecated as well.
const OF_A_NAME: [&str; 4] = ["does not exist", "deprecated", "retired", "no longer available"];

/// The models that an error concerns.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// The one at this place.
    One(usize),
    /// At least one, and the error does not say which.
    Unnamed,
}

/// Which of the models `asked` the service cannot be asked for; `None` if the error is about something else.
pub fn refused_model(error: &Error, asked: &[String]) -> Option<Refused> {
    if !matches!(error.kind, ErrorKind::NOT_FOUND | ErrorKind::INVALID_REQUEST) || error.details.status.is_none() {
        return None;
    }
    let message = error.message.to_ascii_lowercase();
    let has_type = error
        .details
        .error_type
        .as_deref()
        .is_some_and(|word| TYPES.contains(&word));
    let says = |sentences: &[&str]| sentences.iter().any(|sentence| message.contains(sentence));
    let is_of_a_model = has_type || says(&SENTENCES);
    if !is_of_a_model && !says(&OF_A_NAME) {
        return None;
    }
    // One id may be a part of another, so the longest one that the message names counts.
    let named = asked.iter().enumerate().filter(|(_, id)| {
        let id = id.to_ascii_lowercase();
        message.contains(&id) || id.split_once(':').is_some_and(|(base, _)| message.contains(base))
    });
    match named.max_by_key(|(_, id)| id.len()) {
        Some((at, _)) => Some(Refused::One(at)),
        None if !is_of_a_model => None,
        None if asked.len() == 1 => Some(Refused::One(0)),
        None => Some(Refused::Unnamed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refused_model_is_the_one_that_the_error_names() {
        let asked = ["acme/one", "acme/one-large:free", "acme/two"].map(str::to_owned);
        let refused = |status: u16, message: &str, asked: &[String]| {
            let mut error = Error::new(crate::failure::table::meaning_of_status(status).0, message);
            error.details.status = Some(status);
            refused_model(&error, asked)
        };
        let rows = [
            (400, "acme/two is not a valid model ID", Some(Refused::One(2))),
            (400, "ACME/One is not a valid model ID", Some(Refused::One(0))),
            (404, "No endpoints found for acme/one-large.", Some(Refused::One(1))),
            (404, "No endpoints found that support tool use.", Some(Refused::Unnamed)),
            (404, "acme/two has been deprecated", Some(Refused::One(2))),
            (400, "`temperature` of acme/two must be below 2", None),
            (400, "`functions` is deprecated", None),
            (429, "acme/two is not a valid model ID", None),
            (503, "acme/two is no longer available", None),
        ];
        for (status, message, expected) in rows {
            assert_eq!(refused(status, message, &asked), expected, "{status} {message}");
        }
        let alone = refused(404, "No endpoints found.", &asked[..1]);
        assert_eq!(alone, Some(Refused::One(0)));
    }
}
