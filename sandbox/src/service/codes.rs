//! The codes with which users sign in, and what must come with them to be exchanged.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use crate::failure::Failure;

/// The codes that were given and not exchanged yet, with their challenges.
#[derive(Default)]
pub(crate) struct Codes {
    n_given: u64,
    pub(super) open: BTreeMap<String, Option<Challenge>>,
}

/// What the verifier has to match.
pub(super) struct Challenge {
    text: String,
    pub(super) is_hashed: bool,
}

impl Codes {
    pub(super) fn give(&mut self, challenge: Option<Challenge>) -> String {
        self.n_given += 1;
        let code = format!("auth-code-sandbox-{:06}", self.n_given);
        self.open.insert(code.clone(), challenge);
        code
    }
}

impl Challenge {
    /// - In: members or parameters of these names.
    pub(super) fn read<'a>(member: impl Fn(&str) -> Option<&'a str>) -> Result<Option<Self>, Failure> {
        let is_hashed = match member("code_challenge_method") {
            Some("S256") => true,
            Some("plain") | None => false,
            Some(_) => return Err(Failure::status(400).message("Invalid code_challenge_method")),
        };
        let text = member("code_challenge").map(str::to_owned);
        Ok(text.map(|text| Self { text, is_hashed }))
    }

    pub(super) fn is_met_by(&self, verifier: &str) -> bool {
        match self.is_hashed {
            true => self.text == URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)),
            false => self.text == verifier,
        }
    }
}
