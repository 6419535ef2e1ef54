//! Signs in with OAuth and PKCE: the page that a browser opens, and the key for the code that it gives.
//!
//! Source: OpenRouter docs, `guides/overview/auth/oauth`; API description, `/auth/keys`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use plugin_api::{Error, ErrorKind, Redeem, SignIn, SignedIn};
use reqwest::Url;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::service::{Settings, fetch};
use crate::values::base_url::{DEFAULT_BASE_URL, host_of, origin_of};

/// The random bytes of a verifier, as RFC 7636 recommends.
const RANDOM_BYTES: usize = 32;

/// Begins to sign in. Without a callback the page shows the code.
pub fn begin(base_url: &str, callback_url: Option<&str>) -> Result<SignIn, Error> {
    let failed = |what: &str| Error::new(ErrorKind::INTERNAL, format!("cannot begin to sign in: {what}"));
    let mut bytes = Zeroizing::new([0; RANDOM_BYTES]);
    getrandom::fill(&mut *bytes).map_err(|_| failed("the system gives no random bytes"))?;
    let verifier = URL_SAFE_NO_PAD.encode(*bytes);
    let mut url = Url::parse(&page_of(base_url)).map_err(|_| failed("the base URL is not a URL"))?;
    url.query_pairs_mut()
        .extend_pairs(callback_url.map(|callback_url| ("callback_url", callback_url)))
        .append_pair("code_challenge", &challenge_of(&verifier))
        .append_pair("code_challenge_method", "S256");
    Ok(SignIn {
        url: url.into(),
        verifier,
    })
}

/// Exchanges the code for a key.
///
/// - Errors: `forbidden` for a wrong code; `protocol` for an answer without a key; those of [`fetch::post`].
pub async fn redeem(settings: &Settings, redeem: &Redeem) -> Result<SignedIn, Error> {
    #[derive(Deserialize)]
    struct Answer {
        key: String,
    }
    let body = json!({
        "code": redeem.code.trim(),
        "code_verifier": redeem.verifier,
        "code_challenge_method": "S256",
    });
    let answer = fetch::post(settings, "/auth/keys", &body).await.map_err(explained)?;
    // The cause would quote the answer.
    let answer: Answer = serde_json::from_slice(&answer).map_err(|_| {
        Error::new(
            ErrorKind::PROTOCOL,
            "expected a key in exchange for the code, found none",
        )
    })?;
    Ok(SignedIn { key: answer.key })
}

/// The service's refusal of a code, with what to do about it.
fn explained(error: Error) -> Error {
    match error.details.status {
        Some(400 | 403) => error.with_hint("sign in again: a code is good once, and not for long"),
        _ => error,
    }
}

/// The page is on the service's own site, whichever of its addresses answers requests; other services stand for both.
fn page_of(base_url: &str) -> String {
    let own = host_of(DEFAULT_BASE_URL);
    let is_own = host_of(base_url)
        .strip_suffix(own)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    let site = if is_own { DEFAULT_BASE_URL } else { base_url };
    format!("{}/auth", origin_of(site))
}

fn challenge_of(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::{Service, block_on};

    #[test]
    fn the_challenge_is_that_of_the_standard() {
        // Source: RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(challenge_of(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn the_page_gets_the_challenge_and_never_the_verifier() {
        for (base_url, page) in [
            ("https://openrouter.ai/api/v1", "https://openrouter.ai/auth?"),
            ("https://eu.openrouter.ai/api/v1", "https://openrouter.ai/auth?"),
            ("https://notopenrouter.ai/api/v1", "https://notopenrouter.ai/auth?"),
            ("http://127.0.0.1:4010/api/v1", "http://127.0.0.1:4010/auth?"),
        ] {
            let begun = begin(base_url, Some("http://127.0.0.1:1/a?b")).expect("a page");
            let callback = "callback_url=http%3A%2F%2F127.0.0.1%3A1%2Fa%3Fb";
            let challenge = challenge_of(&begun.verifier);
            let query = format!("{callback}&code_challenge={challenge}&code_challenge_method=S256");
            assert_eq!(begun.url, format!("{page}{query}"));
            assert_eq!(begun.verifier.len(), 43);
        }
        let headless = begin(DEFAULT_BASE_URL, None).expect("a page").url;
        assert!(!headless.contains("callback_url"), "{headless}");
    }

    #[test]
    fn an_answer_without_a_key_is_not_quoted() {
        let service = Service::saying(&json!({"keys": "secret"}));
        let request = Redeem {
            code: "code".to_owned(),
            verifier: "verifier".to_owned(),
        };
        let error = block_on(redeem(&service.settings(json!({}), &[]), &request)).expect_err("no key");
        assert_eq!(error.kind, ErrorKind::PROTOCOL);
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        let head = service.requests().remove(0).to_ascii_lowercase();
        assert!(head.starts_with("post /api/v1/auth/keys "), "{head}");
        assert!(!head.contains("authorization"), "{head}");
    }
}
