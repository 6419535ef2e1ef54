//! What a plugin says of itself, readable from its file before any of its code runs.
//!
//! The author writes the manifest as JSON text; [`crate::export_plugin!`] seals it together with the version of this
//! crate that the plugin was built with, and puts it in the library as data.

use serde::{Deserialize, Serialize};

use crate::provider::Provider;

/// What a plugin is called, what enables it and what it offers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(title = "Manifest of a plugin")]
pub struct Manifest {
    /// The version of plugin-api that the plugin was built with. Not written by the author: sealing adds it.
    #[serde(default, skip_deserializing)]
    pub plugin_api: String,
    /// The name that profiles use in `provider`: lower case, digits and dashes.
    #[schemars(regex(pattern = "^[a-z0-9][a-z0-9-]*$"))]
    pub id: String,
    /// The name for people.
    pub name: String,
    /// The plugin's own version.
    pub version: String,
    /// One sentence.
    #[serde(default)]
    pub description: String,
    /// The environment variables that the plugin wants to be given. Others it does not see.
    #[serde(default)]
    pub environment: Vec<Variable>,
    /// The model tiers that the plugin maps.
    #[serde(default)]
    pub tiers: Vec<String>,
    /// The methods that the plugin answers, by name.
    #[serde(default)]
    pub methods: Vec<String>,
    /// The JSON Schema of the plugin's options in a profile. Absent: it has none.
    #[serde(default)]
    pub options_schema: Option<serde_json::Value>,
}

/// An environment variable that a plugin reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// How a value of it begins, for keys; profiles are searched for such text. Absent: unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// One sentence.
    #[serde(default)]
    pub description: String,
}

/// What a variable is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// A secret. Its presence enables the plugin.
    Key,
    /// Where the service is: whoever sets it decides where the key is sent.
    Endpoint,
    /// Anything else.
    Setting,
}

impl Manifest {
    /// Reads a sealed manifest.
    ///
    /// - Errors: one line that says what is wrong with it.
    pub fn parse(sealed: &str) -> Result<Self, String> {
        let sealed: Sealed =
            serde_json::from_str(sealed).map_err(|cause| format!("its manifest is not readable: {cause}"))?;
        let mut manifest = sealed.manifest;
        manifest.plugin_api = sealed.plugin_api;
        Ok(manifest)
    }

    /// The variables that hold keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &Variable> {
        self.environment.iter().filter(|variable| variable.role == Role::Key)
    }
}

#[derive(Deserialize)]
struct Sealed {
    plugin_api: String,
    manifest: Manifest,
}

const OPEN: &str = concat!("{\"plugin_api\":\"", env!("CARGO_PKG_VERSION"), "\",\"manifest\":");
const CLOSE: &str = "}";

/// The length of the sealed manifest in bytes.
pub const fn sealed_len<P: Provider>() -> usize {
    OPEN.len() + P::MANIFEST.len() + CLOSE.len()
}

/// The sealed manifest; `N` must be [`sealed_len`].
pub const fn sealed_bytes<P: Provider, const N: usize>() -> [u8; N] {
    const fn append<const N: usize>(mut to: [u8; N], mut at: usize, text: &str) -> ([u8; N], usize) {
        let bytes = text.as_bytes();
        let mut i = 0;
        while i < bytes.len() {
            to[at] = bytes[i];
            at += 1;
            i += 1;
        }
        (to, at)
    }
    let (bytes, at) = append([0; N], 0, OPEN);
    let (bytes, at) = append(bytes, at, P::MANIFEST);
    let (bytes, at) = append(bytes, at, CLOSE);
    assert!(at == N, "`N` must be `sealed_len`");
    bytes
}

/// The sealed manifest as text, made once per plugin type and kept.
pub(crate) fn sealed<P: Provider>() -> &'static str {
    // A plugin is created a handful of times in a process, so the text is small change; a generic static is not to be
    // had in Rust.
    String::leak([OPEN, P::MANIFEST, CLOSE].concat())
}
