//! What a plugin declares about itself, readable from its file before any of its code runs.
//!
//! The author writes the manifest as JSON. [`export_plugin!`](crate::export_plugin) seals it: it adds the version of
//! this crate that the plugin was built with, and stores both in the library as data.

use std::env::VarError;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::config::Config;
use crate::error::{Error, ErrorKind};
use crate::provider::Provider;

/// A plugin's name, what enables it and what it offers.
///
/// Only `id`, `name` and `version` are required. The smallest manifest is
/// `{"id": "echo", "name": "Echo", "version": "1.0.0"}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(title = "Manifest of a plugin")]
pub struct Manifest {
    /// The version of plugin-api that the plugin was built with. Added automatically; do not write it yourself.
    #[serde(default, skip_deserializing)]
    pub plugin_api: String,
    /// The name that profiles use in `provider`: lower-case letters, digits and dashes; no dash at the start.
    #[schemars(regex(pattern = "^[a-z0-9][a-z0-9-]*$"))]
    pub id: String,
    /// The name for people.
    pub name: String,
    /// The plugin's own version.
    pub version: String,
    /// What the plugin does, in one sentence for people.
    #[serde(default)]
    pub description: String,
    /// The environment variables that the plugin reads. The host passes it no others.
    #[serde(default)]
    pub environment: Vec<Variable>,
    /// The model tiers that the plugin supports, such as `TEXT_LARGE`.
    #[serde(default)]
    pub tiers: Vec<String>,
    /// The names of the methods that the plugin answers.
    #[serde(default)]
    pub methods: Vec<String>,
    /// The JSON Schema of the plugin's options in a profile. Absent: it takes no options.
    #[serde(default)]
    pub options_schema: Option<serde_json::Value>,
    /// The error codes of the service itself, and what each means. Since: 1.1.
    #[serde(default)]
    pub errors: Vec<ServiceError>,
    /// Pages of the service, such as its status, for people. Since: 1.3.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
}

/// A page of the service.
///
/// Since: 1.3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Link {
    /// What is there, in a few words: `status`, `keys`.
    pub name: String,
    /// Its address.
    pub url: String,
}

/// One of the service's own error codes.
///
/// Since: 1.1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ServiceError {
    /// The code as the service writes it, such as `context_length_exceeded` or `402`.
    pub code: String,
    /// The error kind that it becomes, such as `too_large`.
    pub kind: String,
    /// What it means, in one sentence.
    pub meaning: String,
    /// What to do about it, in one sentence.
    pub remedy: String,
}

/// An environment variable that a plugin reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Variable {
    /// The variable's name.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// How values start, for keys: hosts refuse profiles that contain such text. Absent: unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// What to set it to, in one sentence for people.
    #[serde(default)]
    pub description: String,
    /// The web page where users get a value, for keys. Absent: unknown. Since: 1.3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
    /// The JSON pointer of the option that means the same, such as `/tiers/TEXT_SMALL`. Absent: there is none.
    /// Since: 1.3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub option: Option<String>,
}

/// What an environment variable is for. Unknown values from later versions read as `setting`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// A secret. Its presence enables the plugin.
    Key,
    /// The address of the service. Whoever sets it decides where the key is sent.
    Endpoint,
    /// A secret that does not enable the plugin. Since: 1.1.
    Secret,
    /// Anything else.
    // Keys and endpoints are known since 1.0, so a role that this version does not know can be treated as a setting.
    #[serde(other)]
    Setting,
}

impl Manifest {
    /// Parses a sealed manifest, as it is stored in a plugin's file.
    ///
    /// - Errors: one line that says what is wrong.
    pub fn parse(sealed: &str) -> Result<Self, String> {
        let sealed: Sealed = read(sealed)?;
        let mut manifest = sealed.manifest;
        manifest.plugin_api = sealed.plugin_api;
        if !fits_as_id(&manifest.id) {
            return Err(format!(
                "its manifest is invalid: expected `id` to match `^[a-z0-9][a-z0-9-]*$`, found `{}`",
                manifest.id.escape_debug()
            ));
        }
        match manifest.oversize() {
            Some(what) => Err(format!("its manifest is invalid: {what}")),
            None => Ok(manifest),
        }
    }

    /// The first text or list that is longer than any plugin needs. Hosts show them, so a very long one may be an
    /// attack.
    fn oversize(&self) -> Option<String> {
        let texts = [
            ("id", &self.id, 64),
            ("name", &self.name, 200),
            ("version", &self.version, 64),
            ("plugin_api", &self.plugin_api, 64),
            ("description", &self.description, 4000),
        ];
        let lists = [
            ("environment", self.environment.len(), 200),
            ("tiers", self.tiers.len(), 200),
            ("methods", self.methods.len(), 200),
            ("errors", self.errors.len(), 1000),
            ("links", self.links.len(), 200),
        ];
        let names = self.environment.iter().flat_map(|variable| {
            [&variable.name, &variable.description]
                .into_iter()
                .chain(&variable.page)
        });
        let errors = self
            .errors
            .iter()
            .flat_map(|error| [&error.code, &error.kind, &error.meaning, &error.remedy]);
        let links = self.links.iter().flat_map(|link| [&link.name, &link.url]);
        let inner = self
            .tiers
            .iter()
            .chain(&self.methods)
            .chain(names)
            .chain(errors)
            .chain(links);
        let inner = inner.map(|text| ("a text in a list", text, 4000));
        let mut texts = texts.into_iter().chain(inner);
        let text = texts.find(|(_, text, most)| text.chars().count() > *most);
        let list = lists.into_iter().find(|(_, n, most)| n > most);
        text.map(|(name, text, most)| {
            format!(
                "expected at most {most} characters in `{name}`, found {}",
                text.chars().count()
            )
        })
        .or_else(|| list.map(|(name, n, most)| format!("expected at most {most} entries in `{name}`, found {n}")))
    }

    /// Parses only the version of plugin-api in a sealed manifest; the rest may have any shape.
    ///
    /// - Errors: one line that says what is wrong.
    #[cfg(feature = "loader")]
    pub(crate) fn parse_plugin_api(sealed: &str) -> Result<String, String> {
        #[derive(Deserialize)]
        struct Version {
            plugin_api: String,
        }
        read(sealed).map(|version: Version| version.plugin_api)
    }

    /// What to create the plugin with: no options, and those of its variables that this process's environment has.
    ///
    /// For hosts whose keys are in their environment. Blank variables count as not set.
    ///
    /// - Errors: `config` if one is not UTF-8.
    /// - Since: 1.3.
    pub fn config_from_environment(&self) -> Result<Config, Error> {
        let mut config = Config {
            options: json!({}),
            ..Config::default()
        };
        for Variable { name, .. } in &self.environment {
            match std::env::var(name) {
                Ok(value) if !value.trim().is_empty() => drop(config.environment.insert(name.clone(), value)),
                Ok(_) | Err(VarError::NotPresent) => {}
                Err(VarError::NotUnicode(_)) => {
                    let message =
                        format!("expected UTF-8 in the environment variable `{name}`, found bytes that are not");
                    return Err(Error::new(ErrorKind::CONFIG, message));
                }
            }
        }
        Ok(config)
    }

    /// The variables whose role is [`Role::Key`], in order.
    pub fn keys(&self) -> impl Iterator<Item = &Variable> {
        self.environment.iter().filter(|variable| variable.role == Role::Key)
    }
}

fn read<'a, T: Deserialize<'a>>(sealed: &'a str) -> Result<T, String> {
    serde_json::from_str(sealed).map_err(|cause| format!("its manifest cannot be parsed: {cause}"))
}

/// Whether profiles and file names can hold the id. It is the pattern of [`Manifest::id`] as code.
fn fits_as_id(id: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !id.is_empty() && !id.starts_with('-') && id.bytes().all(is_allowed)
}

#[derive(Deserialize)]
struct Sealed {
    plugin_api: String,
    manifest: Manifest,
}

const OPEN: &str = concat!("{\"plugin_api\":\"", env!("CARGO_PKG_VERSION"), "\",\"manifest\":");
const CLOSE: &str = "}";

/// The length of the sealed manifest in bytes. For [`export_plugin!`](crate::export_plugin).
#[doc(hidden)]
pub const fn sealed_len<P: Provider>() -> usize {
    OPEN.len() + P::MANIFEST.len() + CLOSE.len()
}

/// The sealed manifest; `N` must be [`sealed_len`]. For [`export_plugin!`](crate::export_plugin).
#[doc(hidden)]
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

/// The sealed manifest as text, leaked.
pub(crate) fn sealed<P: Provider>() -> &'static str {
    // Rust has no generic statics to keep it in. A process asks for it a handful of times, so the leak is small.
    String::leak([OPEN, P::MANIFEST, CLOSE].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(manifest: serde_json::Value) -> Result<Manifest, String> {
        Manifest::parse(&json!({"plugin_api": "1.7.0", "manifest": manifest}).to_string())
    }

    #[test]
    fn an_unknown_role_is_a_setting() {
        let roles = ["key", "endpoint", "setting", "certificate"];
        let environment: Vec<_> = roles.map(|role| json!({"name": "A", "role": role})).into();
        let manifest = json!({"id": "a", "name": "A", "version": "1", "environment": environment});
        let read: Vec<_> = parsed(manifest)
            .expect("it is readable")
            .environment
            .iter()
            .map(|variable| variable.role)
            .collect();
        assert_eq!(read, [Role::Key, Role::Endpoint, Role::Setting, Role::Setting]);
    }

    #[test]
    fn a_manifest_that_is_larger_than_any_needs_is_refused() {
        let refusal = |key: &str, value: serde_json::Value| {
            let mut manifest = json!({"id": "a", "name": "A", "version": "1"});
            manifest[key] = value;
            parsed(manifest).expect_err("it is too large")
        };
        let expected = "its manifest is invalid: expected at most 200 characters in `name`, found 70000";
        assert_eq!(refusal("name", json!("n".repeat(70_000))), expected);
        assert!(refusal("tiers", json!(vec!["T"; 201])).ends_with("at most 200 entries in `tiers`, found 201"));
        assert!(refusal("methods", json!(["m".repeat(4001)])).ends_with("in `a text in a list`, found 4001"));
    }

    #[test]
    fn ids_that_profiles_cannot_use_are_refused() {
        let with_id = |id: &str| parsed(json!({"id": id, "name": "A", "version": "1"}));
        for id in ["a", "openrouter", "a-1", "0-", "7"] {
            assert_eq!(with_id(id).map(|manifest| manifest.id), Ok(id.to_owned()));
        }
        for (id, shown) in [
            ("", ""),
            ("-a", "-a"),
            ("A", "A"),
            ("a_b", "a_b"),
            ("../a", "../a"),
            ("\u{e9}", "\u{e9}"),
            ("a\n", "a\\n"),
        ] {
            let expected =
                format!("its manifest is invalid: expected `id` to match `^[a-z0-9][a-z0-9-]*$`, found `{shown}`");
            assert_eq!(with_id(id), Err(expected));
        }
    }
}
