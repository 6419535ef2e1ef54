//! Signing in with the service: a page for the browser, the code that it gives, and the key that the code buys.
//!
//! The host shows the page and receives the code. Addresses, proofs and the exchange are the plugin's, so the host needs
//! to know neither. Keys and proofs are in no `Debug` output.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the code of a sign-in should go.
///
/// Since: 1.3.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SignInRequest {
    /// The address to send the browser to, with the code as `code` in its query: `http` on 127.0.0.1. Absent: the page
    /// shows the code, and the user types it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_url: Option<String>,
}

/// A sign-in that has begun.
///
/// Since: 1.3.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SignIn {
    /// The page to open in a browser.
    pub url: String,
    /// A secret that proves who began: it goes back with the code, and nowhere else.
    pub verifier: String,
}

/// The code that the page gave, to be exchanged for a key.
///
/// Since: 1.3.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Redeem {
    /// The code.
    pub code: String,
    /// [`SignIn::verifier`] of the same sign-in.
    pub verifier: String,
}

/// The result of a sign-in.
///
/// Since: 1.3.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SignedIn {
    /// The new key. The plugin does not keep it: the host stores it, and passes it on as the manifest's key variable.
    pub key: String,
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIn").finish_non_exhaustive()
    }
}

impl fmt::Debug for Redeem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redeem").finish_non_exhaustive()
    }
}

impl fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedIn").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_code_nor_proof_nor_key_is_in_debug_output() {
        let text = || "secret".to_owned();
        let begun = SignIn {
            url: text(),
            verifier: text(),
        };
        let redeem = Redeem {
            code: text(),
            verifier: text(),
        };
        let shown = format!("{begun:?} {redeem:?} {:?}", SignedIn { key: text() });
        assert_eq!(shown, "SignIn { .. } Redeem { .. } SignedIn { .. }");
    }
}
