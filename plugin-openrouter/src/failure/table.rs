//! What the service's statuses and error types mean: one table for calls, the manifest and the documentation.
//!
//! In: a status, or an error type such as `context_length_exceeded`. Out: the kind of error, its meaning and a remedy.
//! Pure.

use plugin_api::ErrorKind;

/// One row of the table.
pub struct Meaning {
    /// The status as text, or the service's error type.
    pub code: &'static str,
    pub kind: ErrorKind,
    /// One sentence, with a full stop.
    pub meaning: &'static str,
    /// What to do: lower case, no full stop.
    pub remedy: &'static str,
}

const fn row(code: &'static str, kind: ErrorKind, meaning: &'static str, remedy: &'static str) -> Meaning {
    Meaning {
        code,
        kind,
        meaning,
        remedy,
    }
}

const CHECK_REQUEST: &str = "check the model id, the parameters and the provider preferences";
const ADD_CREDIT: &str = "add credit at https://openrouter.ai/settings/credits, or ask for fewer tokens with \
                          `parameters.maxTokens` in the profile";
const CHECK_KEY: &str = "check the key at https://openrouter.ai/settings/keys: it may be disabled or expired";
const NOT_ALLOWED: &str = "check the reason in the message, and what the key and the account are allowed to do";
const CHECK_MODEL: &str = "check the model id at https://openrouter.ai/models, whether the provider preferences leave any \
                           provider, and the base URL if you changed it";
const OTHER_MODEL: &str = "try again, or choose another model";
const SHORTER: &str = "send a shorter conversation or smaller attachments";
const WAIT: &str = "wait and try again, or choose another model";
const CHANGE_CONTENT: &str = "change the prompt, or choose another model";
const CHECK_IMAGE: &str = "check the image's URL, format and size";
const LOOSEN: &str = "relax the provider preferences that the message names, or choose another model";

// Sources: OpenRouter docs, `api_reference/errors-and-debugging`, and the API description, copies of 2026-08-22.
// The statuses 520 to 524 are Cloudflare's, which is in front of the service.
pub const TABLE: &[Meaning] = &[
    row(
        "400",
        ErrorKind::INVALID_REQUEST,
        "The service does not accept the request.",
        CHECK_REQUEST,
    ),
    row(
        "401",
        ErrorKind::AUTH,
        "The key is unknown, disabled or expired.",
        CHECK_KEY,
    ),
    row(
        "402",
        ErrorKind::PAYMENT,
        "The account or the key does not have enough credit for this request.",
        ADD_CREDIT,
    ),
    row(
        "403",
        ErrorKind::FORBIDDEN,
        "The content, the region or this use of the key is not allowed.",
        NOT_ALLOWED,
    ),
    row(
        "404",
        ErrorKind::NOT_FOUND,
        "The model does not exist, or no provider is left for it.",
        CHECK_MODEL,
    ),
    row(
        "408",
        ErrorKind::TIMEOUT,
        "The provider did not answer the service in time.",
        OTHER_MODEL,
    ),
    row(
        "412",
        ErrorKind::INVALID_REQUEST,
        "A precondition of the request is not met.",
        CHECK_REQUEST,
    ),
    row(
        "413",
        ErrorKind::TOO_LARGE,
        "The request is larger than the service accepts.",
        SHORTER,
    ),
    row(
        "422",
        ErrorKind::INVALID_REQUEST,
        "The service does not accept a value in the request.",
        CHECK_REQUEST,
    ),
    row(
        "429",
        ErrorKind::RATE_LIMIT,
        "Too many requests for this key, model or provider.",
        WAIT,
    ),
    row("500", ErrorKind::UNAVAILABLE, "The service failed.", OTHER_MODEL),
    row(
        "502",
        ErrorKind::UNAVAILABLE,
        "The provider failed or sent an invalid answer.",
        OTHER_MODEL,
    ),
    row(
        "503",
        ErrorKind::UNAVAILABLE,
        "No provider can serve the model now.",
        OTHER_MODEL,
    ),
    row(
        "504",
        ErrorKind::TIMEOUT,
        "A gateway did not get an answer in time.",
        OTHER_MODEL,
    ),
    row(
        "520",
        ErrorKind::UNAVAILABLE,
        "The network in front of the service got no usable answer from it.",
        OTHER_MODEL,
    ),
    row(
        "521",
        ErrorKind::UNAVAILABLE,
        "The service refused the connection from the network in front of it.",
        OTHER_MODEL,
    ),
    row(
        "522",
        ErrorKind::UNAVAILABLE,
        "The network in front of the service could not connect to it.",
        OTHER_MODEL,
    ),
    row(
        "523",
        ErrorKind::UNAVAILABLE,
        "The network in front of the service could not reach it.",
        OTHER_MODEL,
    ),
    row(
        "524",
        ErrorKind::TIMEOUT,
        "The network in front of the service waited too long for it.",
        OTHER_MODEL,
    ),
    row(
        "529",
        ErrorKind::UNAVAILABLE,
        "The provider is overloaded.",
        OTHER_MODEL,
    ),
    row(
        "invalid_request",
        ErrorKind::INVALID_REQUEST,
        "The service does not accept the request.",
        CHECK_REQUEST,
    ),
    row(
        "invalid_prompt",
        ErrorKind::INVALID_REQUEST,
        "The model does not accept the prompt.",
        CHECK_REQUEST,
    ),
    row(
        "context_length_exceeded",
        ErrorKind::TOO_LARGE,
        "The conversation is longer than the model's context.",
        SHORTER,
    ),
    row(
        "max_tokens_exceeded",
        ErrorKind::INVALID_REQUEST,
        "The request asks for more tokens than the model can generate.",
        "ask for fewer tokens with `parameters.maxTokens` in the profile",
    ),
    row(
        "token_limit_exceeded",
        ErrorKind::TOO_LARGE,
        "The request has more tokens than allowed.",
        SHORTER,
    ),
    row(
        "string_too_long",
        ErrorKind::TOO_LARGE,
        "A string in the request is longer than allowed.",
        SHORTER,
    ),
    row(
        "authentication",
        ErrorKind::AUTH,
        "The key is unknown, disabled or expired.",
        CHECK_KEY,
    ),
    row(
        "payment_required",
        ErrorKind::PAYMENT,
        "The account or the key does not have enough credit for this request.",
        ADD_CREDIT,
    ),
    row(
        "permission_denied",
        ErrorKind::FORBIDDEN,
        "The key or the account is not allowed to do this.",
        NOT_ALLOWED,
    ),
    row(
        "not_found",
        ErrorKind::NOT_FOUND,
        "The model does not exist, or no provider is left for it.",
        CHECK_MODEL,
    ),
    row(
        "image_not_found",
        ErrorKind::NOT_FOUND,
        "An image in the request was not found.",
        CHECK_IMAGE,
    ),
    row(
        "precondition_failed",
        ErrorKind::INVALID_REQUEST,
        "A precondition of the request is not met.",
        CHECK_REQUEST,
    ),
    row(
        "payload_too_large",
        ErrorKind::TOO_LARGE,
        "The request is larger than the service accepts.",
        SHORTER,
    ),
    row(
        "unprocessable",
        ErrorKind::INVALID_REQUEST,
        "The service does not accept a value in the request.",
        CHECK_REQUEST,
    ),
    row(
        "rate_limit_exceeded",
        ErrorKind::RATE_LIMIT,
        "Too many requests for this key, model or provider.",
        WAIT,
    ),
    row(
        "provider_unavailable",
        ErrorKind::UNAVAILABLE,
        "The provider failed or cannot be reached.",
        OTHER_MODEL,
    ),
    row(
        "provider_overloaded",
        ErrorKind::UNAVAILABLE,
        "The provider is overloaded.",
        OTHER_MODEL,
    ),
    row(
        "timeout",
        ErrorKind::TIMEOUT,
        "The provider did not answer the service in time.",
        OTHER_MODEL,
    ),
    row("server", ErrorKind::UNAVAILABLE, "The service failed.", OTHER_MODEL),
    row(
        "server_error",
        ErrorKind::UNAVAILABLE,
        "The service or the provider failed.",
        OTHER_MODEL,
    ),
    row(
        "unmapped",
        ErrorKind::UNAVAILABLE,
        "The provider failed in a way that the service does not classify.",
        OTHER_MODEL,
    ),
    row(
        "content_policy_violation",
        ErrorKind::FORBIDDEN,
        "The content violates a policy.",
        CHANGE_CONTENT,
    ),
    row(
        "refusal",
        ErrorKind::FORBIDDEN,
        "The model refused to answer.",
        CHANGE_CONTENT,
    ),
    row(
        "invalid_image",
        ErrorKind::INVALID_REQUEST,
        "An image in the request cannot be read.",
        CHECK_IMAGE,
    ),
    row(
        "image_too_large",
        ErrorKind::INVALID_REQUEST,
        "An image in the request is too large.",
        CHECK_IMAGE,
    ),
    row(
        "image_too_small",
        ErrorKind::INVALID_REQUEST,
        "An image in the request is too small.",
        CHECK_IMAGE,
    ),
    row(
        "unsupported_image_format",
        ErrorKind::INVALID_REQUEST,
        "An image in the request has an unsupported format.",
        CHECK_IMAGE,
    ),
    row(
        "image_download_failed",
        ErrorKind::INVALID_REQUEST,
        "An image in the request could not be fetched.",
        CHECK_IMAGE,
    ),
    row(
        "model_not_found",
        ErrorKind::NOT_FOUND,
        "There is no model with this id.",
        "look the id up at https://openrouter.ai/models",
    ),
    row(
        "wrong_endpoint",
        ErrorKind::INVALID_REQUEST,
        "The model does not support chat.",
        "choose a chat model",
    ),
    row(
        "no_endpoints",
        ErrorKind::NOT_FOUND,
        "No provider serves this model now.",
        OTHER_MODEL,
    ),
    row(
        "model_deprecated",
        ErrorKind::NOT_FOUND,
        "The model is no longer served.",
        "choose its successor at https://openrouter.ai/models",
    ),
    row(
        "model_unavailable_upstream",
        ErrorKind::NOT_FOUND,
        "The model's author does not serve it now.",
        OTHER_MODEL,
    ),
    row(
        "privacy_restricted",
        ErrorKind::NOT_FOUND,
        "No provider of the model meets the privacy settings.",
        "relax `privacy`, `zdr` or `dataCollection`, or the account's settings at \
         https://openrouter.ai/settings/privacy",
    ),
    row(
        "constraint_filtered",
        ErrorKind::NOT_FOUND,
        "The provider preferences leave no provider for the model.",
        LOOSEN,
    ),
    row(
        "free_variant_ended",
        ErrorKind::NOT_FOUND,
        "The free variant of the model is no longer offered.",
        "remove `:free` from the id, or choose another model",
    ),
    row(
        "region_restricted",
        ErrorKind::FORBIDDEN,
        "The model is not offered in this region.",
        "choose another model",
    ),
    row(
        "capacity_exhausted",
        ErrorKind::RATE_LIMIT,
        "The model's providers have no capacity left now.",
        WAIT,
    ),
    row(
        "temporarily_unavailable",
        ErrorKind::UNAVAILABLE,
        "The model is temporarily unavailable.",
        OTHER_MODEL,
    ),
];

/// What an error type or a documented status, as text, means.
pub fn meaning_of_word(word: &str) -> Option<&'static Meaning> {
    TABLE.iter().find(|row| row.code == word)
}

/// What a message without an error type means.
pub fn meaning_of_message(message: &str) -> Option<&'static Meaning> {
    let code = message.contains("not a valid model").then_some("model_not_found")?;
    meaning_of_word(code)
}

/// What a status means. One that is not documented gets the meaning of its class, such as 4xx.
pub fn meaning_of_status(status: u16) -> (ErrorKind, &'static str) {
    if let Some(row) = meaning_of_word(&status.to_string()) {
        return (row.kind, row.remedy);
    }
    match status {
        300..=399 => (
            ErrorKind::PROTOCOL,
            "check the base URL: redirects are not followed, because they would carry the key elsewhere",
        ),
        400..=499 => (
            ErrorKind::INVALID_REQUEST,
            "change the request: the service does not accept it",
        ),
        500.. => (ErrorKind::UNAVAILABLE, "try again later"),
        _ => (
            ErrorKind::PROTOCOL,
            "check the base URL: the server there does not speak this protocol",
        ),
    }
}

/// What a documented status means, without a full stop.
pub fn sentence_of_status(status: u16) -> Option<&'static str> {
    let row = meaning_of_word(&status.to_string())?;
    Some(row.meaning.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use plugin_api::ServiceError;

    use super::*;

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../schemas/openrouter-errors.json");

    #[test]
    fn the_manifest_matches_the_table() {
        let rows: Vec<ServiceError> = TABLE
            .iter()
            .map(|row| ServiceError {
                code: row.code.to_owned(),
                kind: row.kind.code().to_owned(),
                meaning: row.meaning.to_owned(),
                remedy: row.remedy.to_owned(),
            })
            .collect();
        let expected = serde_json::to_string_pretty(&rows).expect("texts are JSON") + "\n";
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(FILE, &expected).expect("the file is writable");
        }
        assert_eq!(
            std::fs::read_to_string(FILE).unwrap_or_default(),
            expected,
            "to rewrite it: UPDATE_EXPECTED=1 cargo test -p plugin-openrouter the_manifest_matches"
        );
    }

    #[test]
    fn every_code_has_one_row_and_a_sentence() {
        let codes: BTreeSet<&str> = TABLE.iter().map(|row| row.code).collect();
        assert_eq!(codes.len(), TABLE.len());
        for row in TABLE {
            assert!(row.meaning.ends_with('.') && !row.remedy.ends_with('.'), "{}", row.code);
        }
    }

    #[test]
    fn an_unknown_model_is_known_by_the_message_alone() {
        let kind = |message| meaning_of_message(message).map(|row| row.kind);
        assert_eq!(kind("acme/x is not a valid model ID"), Some(ErrorKind::NOT_FOUND));
        assert_eq!(kind("the model is busy"), None);
    }

    #[test]
    fn an_undocumented_status_gets_the_meaning_of_its_class() {
        let kind = |status| meaning_of_status(status).0;
        assert_eq!(kind(418), ErrorKind::INVALID_REQUEST);
        assert_eq!(kind(599), ErrorKind::UNAVAILABLE);
        assert_eq!(kind(308), ErrorKind::PROTOCOL);
        assert_eq!(kind(204), ErrorKind::PROTOCOL);
    }
}
