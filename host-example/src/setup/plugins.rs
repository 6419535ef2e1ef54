//! The plugin folder: what is in it, and a verdict with its reason for every file.
//!
//! Verdicts come from the files as data if possible; code is loaded only for enabled plugins.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use plugin_api::loader::{self, Refusal};
use plugin_api::{Manifest, Role, Variable};
use serde::{Deserialize, Serialize};

use super::atomic::write_atomically;
use crate::profile::ProviderSchema;
use crate::terminal::{Exit, Failure};

/// The file in the plugin folder that remembers what was switched off.
const SWITCHES: &str = "plugins.json";

/// One library of the plugin folder.
pub struct Entry {
    pub file: PathBuf,
    pub manifest: Result<Manifest, Refusal>,
    /// The plugin's id, where it is refused because another file has the same.
    pub twin_of: Option<String>,
}

impl Entry {
    /// The version that was installed, if the file now contains another: the user replaced it by hand.
    pub fn replaced_version(&self) -> Option<String> {
        let text = fs::read_to_string(manifest_path(&self.file)).ok()?;
        let installed: Manifest = serde_json::from_str(&text).ok()?;
        let now = self.manifest.as_ref().ok()?;
        (installed.version != now.version).then_some(installed.version)
    }

    /// The id of the plugin in the file, whether it may be used or not.
    pub(super) fn plugin_id(&self) -> Option<&str> {
        match &self.manifest {
            Ok(manifest) => Some(&manifest.id),
            Err(_) => self.twin_of.as_deref(),
        }
    }

    /// The plugin's id, or the file's name where there is none.
    pub fn id(&self) -> String {
        match &self.manifest {
            Ok(manifest) => manifest.id.clone(),
            Err(_) => self.file_name(),
        }
    }

    fn file_name(&self) -> String {
        self.file.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// Whether a plugin is on, and why.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "lowercase", tag = "verdict", content = "reason")]
pub enum Verdict {
    Enabled(String),
    Idle(String),
    Disabled(String),
    Refused(String),
    Failed(String),
}

impl Verdict {
    pub fn word(&self) -> &'static str {
        match self {
            Self::Enabled(_) => "enabled",
            Self::Idle(_) => "idle",
            Self::Disabled(_) => "disabled",
            Self::Refused(_) => "refused",
            Self::Failed(_) => "failed",
        }
    }

    pub fn reason(&self) -> &str {
        match self {
            Self::Enabled(reason)
            | Self::Idle(reason)
            | Self::Disabled(reason)
            | Self::Refused(reason)
            | Self::Failed(reason) => reason,
        }
    }
}

/// The plugin folder as it is now.
pub struct Folder {
    pub path: PathBuf,
    pub entries: Vec<Entry>,
    switches: Switches,
}

#[derive(Default, Serialize, Deserialize)]
struct Switches {
    /// By plugin id.
    #[serde(default)]
    plugins: BTreeMap<String, Switch>,
}

#[derive(Default, Serialize, Deserialize)]
struct Switch {
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    disabled: bool,
}

impl Folder {
    /// An empty stand for a folder that cannot be read.
    pub fn unknown(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            entries: Vec::new(),
            switches: Switches::default(),
        }
    }

    /// Inspects every library in the folder. If two files hold the same plugin, both are refused:
    /// neither may shadow the other.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let files = loader::scan(path).map_err(|cause| {
            Failure::new(
                Exit::Plugin,
                format!("the plugin folder `{}` cannot be read: {cause}", path.display()),
            )
            .with_hint("make it readable for your user, or choose another with `--plugins`")
        })?;
        let mut entries: Vec<Entry> = files
            .into_iter()
            .map(|file| Entry {
                manifest: loader::inspect(&file),
                file,
                twin_of: None,
            })
            .collect();
        refuse_twins(&mut entries);
        Ok(Self {
            path: path.to_owned(),
            entries,
            switches: read_switches(path)?,
        })
    }

    /// The schema of every usable plugin, to check profiles against.
    pub fn schemas(&self) -> Vec<ProviderSchema> {
        let manifests = self.entries.iter().filter_map(|entry| entry.manifest.as_ref().ok());
        manifests
            .map(|manifest| ProviderSchema {
                provider: manifest.id.clone(),
                options_schema: manifest
                    .options_schema
                    .clone()
                    .unwrap_or_else(|| serde_json::json!({"type": "object", "additionalProperties": false})),
                key_prefixes: manifest
                    .environment
                    .iter()
                    .filter(|variable| is_secret(variable))
                    .filter_map(|variable| variable.prefix.clone())
                    .collect(),
            })
            .collect()
    }

    /// The plugin with this id.
    ///
    /// - Errors: no plugin has it, or two files have it. The failure names what was found instead.
    pub fn find(&self, id: &str) -> Result<(&Entry, &Manifest), Failure> {
        let mut refused = None;
        for entry in &self.entries {
            match &entry.manifest {
                Ok(manifest) if manifest.id == id => return Ok((entry, manifest)),
                Ok(_) => {}
                Err(refusal) if entry.twin_of.as_deref() == Some(id) => return Err(refusal.clone().into()),
                Err(refusal) => refused = refused.or(Some(refusal)),
            }
        }
        let failure = Failure::usage(format!("there is no plugin `{id}` in `{}`", self.path.display()));
        Err(match refused {
            Some(refusal) => failure.with_hint(format!("{refusal}; see `agent-host plugins list`")),
            None => failure.with_hint("install one with `agent-host plugins install PATH`"),
        })
    }

    pub fn is_disabled(&self, id: &str) -> bool {
        self.switches.plugins.get(id).is_some_and(|switch| switch.disabled)
    }

    /// Disables a plugin, or enables it again.
    pub fn set_disabled(&mut self, id: &str, disabled: bool) -> Result<(), Failure> {
        self.switches.plugins.entry(id.to_owned()).or_default().disabled = disabled;
        let text = serde_json::to_string_pretty(&self.switches).unwrap_or_default();
        write_atomically(&self.path.join(SWITCHES), (text + "\n").as_bytes())
    }
}

/// Whether a variable's value is never shown.
pub fn is_secret(variable: &Variable) -> bool {
    matches!(variable.role, Role::Key | Role::Secret)
}

/// Where the manifest of an installed plugin is kept, for people and for [`Entry::replaced_version`].
pub(super) fn manifest_path(plugin: &Path) -> PathBuf {
    plugin.with_extension("manifest.json")
}

fn refuse_twins(entries: &mut [Entry]) {
    let mut files: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in entries.iter() {
        if let Ok(manifest) = &entry.manifest {
            files.entry(manifest.id.clone()).or_default().push(entry.file_name());
        }
    }
    for entry in entries {
        let Ok(manifest) = &entry.manifest else { continue };
        let twins = &files[&manifest.id];
        if twins.len() > 1 {
            entry.twin_of = Some(manifest.id.clone());
            entry.manifest = Err(Refusal {
                file: entry.file.clone(),
                code: "twins",
                reason: format!("{} contain the same plugin `{}`", twins.join(" and "), manifest.id),
                hint: Some("remove all but one of them".to_owned()),
            });
        }
    }
}

fn read_switches(folder: &Path) -> Result<Switches, Failure> {
    let path = folder.join(SWITCHES);
    let Ok(text) = fs::read_to_string(&path) else {
        return Ok(Switches::default());
    };
    serde_json::from_str(&text).map_err(|cause| {
        Failure::new(Exit::Plugin, format!("`{}` is damaged: {cause}", path.display()))
            .with_hint("fix or remove it; it only records which plugins are disabled")
    })
}
