//! `agent-host doctor`: checks everything that an answer depends on, and says how to fix what is wrong.
//!
//! The host checks its own files and the plugin folder; the plugin checks key, service and settings.
//! One failed check does not stop the others, so nothing here returns early. Changes nothing.

use std::time::{Duration, Instant};

use plugin_api::{DiagnoseRequest, ErrorKind, FindingStatus, Manifest, method};
use serde_json::Value;

use super::Output;
use crate::profile::{Profile, salvaged};
use crate::setup::{Bound, Chosen, CommandKeys, Entry, Environment, Folder, Global, Places, Setup, Verdict, exists};
use crate::terminal::{self, Exit, Failure, Page, Rows, clean_line, counted, progress};

/// Check everything an answer depends on, and say how to fix what is wrong
#[derive(clap::Args)]
#[command(long_about = ABOUT)]
pub struct Args {
    /// Do not contact the service: check files, variables and plugins only
    #[arg(long)]
    pub offline: bool,
    /// Skip the one small request that may be billed
    #[arg(long)]
    pub free: bool,
    #[command(flatten)]
    pub output: Output,
}

const ABOUT: &str = "\
Check everything an answer depends on, and say how to fix what is wrong

Each row is one check: ✓ passed, ⚠ works but could be better, ✗ failed, ○ skipped. A failed check does not stop the \
others. To test streaming, the plugin may send one small request, which may be billed; --free skips it.

The exit code is 0 if no row is marked ✗, otherwise 2.";

/// How long the plugin's own checks may take.
const DIAGNOSIS_LIMIT: Duration = Duration::from_secs(120);

const HOST: &str = "Host";
const PLUGINS: &str = "Plugins";

pub async fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let mut rows = Rows::default();
    match rows.set_up(global) {
        Some(setup) => {
            if let Err(reason) = rows.look_at(&setup, args).await {
                rows.skip(PLUGINS, "plugin_checks", &reason);
            }
        }
        None => rows.skip(PLUGINS, "plugin_folder", "the plugin folder is unknown"),
    }
    if args.output.json {
        terminal::print_json(&rows.json());
    } else {
        terminal::print(&rows.text(Page::of_stdout()));
    }
    Ok(rows.exit())
}

/// The usable part of the profile.
struct Read {
    chosen: Option<Chosen>,
    /// Part of the file was skipped.
    is_partial: bool,
}

impl Rows {
    /// Reads what is on this machine, piece by piece.
    fn set_up(&mut self, global: &Global) -> Option<Setup> {
        self.add(HOST, "version", FindingStatus::Ok, &version(), None);
        let places = match Places::from(global) {
            Ok(places) => places,
            Err(failure) => {
                self.failed(HOST, "home", &failure);
                return None;
            }
        };
        let environment = match Environment::read(global, &places, !global.no_env_file, CommandKeys::default()) {
            Ok(environment) => {
                self.add(HOST, "variables", FindingStatus::Ok, &environment.described(), None);
                environment
            }
            Err(failure) => {
                self.failed(HOST, "variables", &failure);
                // Without the file that was named, reading cannot fail.
                let global = Global {
                    env_file: None,
                    ..global.clone()
                };
                Environment::read(&global, &places, !global.no_env_file, CommandKeys::default()).ok()?
            }
        };
        let folder = match Folder::read(&places) {
            Ok(mut folder) => {
                folder.try_all();
                folder
            }
            Err(failure) => {
                self.failed(PLUGINS, "plugin_folder", &failure);
                Folder::unknown(&places.plugins)
            }
        };
        Some(Setup {
            places,
            environment,
            folder,
            allow_any_key: global.allow_any_key,
            trust_profile: global.trust_profile,
        })
    }

    /// - Errors: why key, service and settings were not checked.
    async fn look_at(&mut self, setup: &Setup, args: &Args) -> Result<(), String> {
        let read = self.profile(setup).await;
        let folder_is_known = !self.findings.iter().any(|finding| finding.id == "plugin_folder");
        let chosen = match setup.choose(read.chosen.as_ref()) {
            Ok(chosen) => Some(chosen),
            Err(failure) => {
                if folder_is_known {
                    self.failed(PLUGINS, "plugin_chosen", &failure);
                }
                None
            }
        };
        let id = chosen.map(|(_, manifest)| manifest.id.as_str());
        for entry in &setup.folder.entries {
            self.plugin(setup, entry, id, read.chosen.as_ref(), args);
        }
        let (entry, manifest) = chosen
            .filter(|(entry, _)| !setup.folder.is_disabled(entry))
            .ok_or("key, service and settings not checked: no usable plugin")?;
        self.diagnosis(setup, entry, manifest, &read, args).await
    }

    async fn profile(&mut self, setup: &Setup) -> Read {
        let begun = Instant::now();
        let file = &setup.places.config;
        let shown = file.display();
        let whole = |chosen| Read {
            chosen,
            is_partial: false,
        };
        let (status, summary, remedy, read) = match setup.profile().await {
            Ok(Some(chosen)) => {
                let Profile { name, provider, .. } = &chosen.profile;
                let summary = format!("profile `{name}` of {shown}, for the plugin `{provider}`");
                let (status, summary, remedy) = match chosen.profile.warnings.len() {
                    0 => (FindingStatus::Ok, summary, None),
                    n => {
                        let summary = format!("{summary}, with {}", counted(n, "warning"));
                        (
                            FindingStatus::Warning,
                            summary,
                            Some("see them with `agent-host profile check`"),
                        )
                    }
                };
                (status, summary, remedy.map(str::to_owned), whole(Some(chosen)))
            }
            Ok(None) => {
                let summary = format!("no profile file at {shown}; using the plugin's defaults");
                let remedy = "to change settings, create one with `agent-host profile init`".to_owned();
                (FindingStatus::Skipped, summary, Some(remedy), whole(None))
            }
            Err(failure) => {
                let (summary, remedy) = profile_trouble(&failure);
                let read = Read {
                    chosen: partly(setup).await,
                    is_partial: exists(file),
                };
                (FindingStatus::Failed, summary, Some(remedy), read)
            }
        };
        self.add(HOST, "profile", status, &summary, remedy);
        self.took_since(begun);
        read
    }

    fn plugin(&mut self, setup: &Setup, entry: &Entry, chosen_id: Option<&str>, profile: Option<&Chosen>, args: &Args) {
        let is_chosen = entry
            .usable()
            .is_some_and(|manifest| Some(manifest.id.as_str()) == chosen_id);
        let version = entry
            .manifest
            .as_ref()
            .map_or_else(String::new, |manifest| format!("{}, ", manifest.version));
        let verdict = setup.verdict(entry, profile);
        let remedy = setup.remedy(entry, &verdict, profile);
        let has_checks = |manifest: &Manifest| manifest.methods.iter().any(|name| name == method::DIAGNOSE);
        let (if_chosen, if_not) = match &verdict {
            Verdict::Enabled(_) => (FindingStatus::Ok, FindingStatus::Ok),
            // The plugin's own checks report the missing key, and one fault is one failed row.
            Verdict::Idle(_) if !args.offline && entry.usable().is_some_and(has_checks) => {
                (FindingStatus::Skipped, FindingStatus::Skipped)
            }
            Verdict::Idle(_) | Verdict::Disabled(_) => (FindingStatus::Failed, FindingStatus::Skipped),
            Verdict::Refused(_) | Verdict::Failed(_) => (FindingStatus::Failed, FindingStatus::Warning),
        };
        let status = if is_chosen { if_chosen } else { if_not };
        let summary = format!("{version}{}: {}", verdict.word(), verdict.reason());
        // A plugin that is not in use needs no remedy.
        let remedy = remedy.filter(|_| is_chosen || status != FindingStatus::Skipped);
        self.add(PLUGINS, &format!("plugin:{}", entry.label()), status, &summary, remedy);
    }

    async fn diagnosis(
        &mut self,
        setup: &Setup,
        entry: &Entry,
        manifest: &Manifest,
        read: &Read,
        args: &Args,
    ) -> Result<(), String> {
        let id = &manifest.id;
        let begun = Instant::now();
        let profile = read.chosen.as_ref();
        // The plugin's own row already says why there is no key.
        let Ok(given) = setup.give(manifest, profile) else {
            return Err(format!("{id} not checked: its key cannot be read"));
        };
        if read.is_partial && profile.is_none() && given.key_origin.is_some() {
            return Err(format!(
                "{id} not checked: without the profile, it is unclear which key to use and where it may be sent"
            ));
        }
        self.key_warnings(&given.warnings);
        if let Err(failure) = setup.confirmed(&Bound::of(setup, manifest, profile, &given)) {
            self.failed(PLUGINS, "address", &failure);
            return Err(format!("{id} not checked: its address is not trusted"));
        }
        let checked = setup.check(entry, manifest, profile).await;
        let plugin = match checked.and_then(|checked| setup.create(&checked, &given, profile)) {
            Ok(plugin) => plugin,
            Err(failure) => {
                self.failed(PLUGINS, "plugin_start", &failure);
                return Err(format!("{id} could not run its checks"));
            }
        };
        if args.offline {
            return Err("key and service not checked because of `--offline`".to_owned());
        }
        let request = DiagnoseRequest {
            // With part of the profile missing, the request might not be the intended one.
            may_cost: !args.free && !read.is_partial,
            is_partial: read.is_partial,
        };
        let what = clean_line(&format!("{id} is checking key, service and settings"));
        let looking = tokio::time::timeout(DIAGNOSIS_LIMIT, plugin.diagnose(request));
        match progress::while_waiting(&what, looking).await {
            Ok(Ok(findings)) => findings.into_iter().for_each(|finding| self.push(finding)),
            Ok(Err(error)) if error.kind == ErrorKind::UNSUPPORTED => {
                let summary = format!("{id} has no checks for key, service and settings");
                self.skip(PLUGINS, "plugin_checks", &summary);
            }
            Ok(Err(error)) => self.failed(PLUGINS, "plugin_checks", &error.into()),
            Err(_) => {
                let limit = DIAGNOSIS_LIMIT.as_secs();
                let failure = Failure::internal(format!("{id} was still checking after {limit} s"))
                    .with_hint("run it again with `-vv` to see what it waits for");
                self.failed(PLUGINS, "plugin_checks", &failure);
            }
        }
        if self.findings.last().is_some_and(|last| last.id == "plugin_checks") {
            self.took_since(begun);
        }
        // The outcome is known; how the shutdown goes does not matter.
        let _ = plugin.shutdown(Duration::from_secs(2)).await;
        Ok(())
    }

    /// Warnings about where the key comes from.
    fn key_warnings(&mut self, warnings: &[String]) {
        for warning in warnings {
            let (summary, remedy) = warning.split_once(": ").unwrap_or((warning, ""));
            let remedy = Some(remedy.to_owned()).filter(|remedy| !remedy.is_empty());
            self.add(PLUGINS, "key_source", FindingStatus::Warning, summary, remedy);
        }
    }
}

fn version() -> String {
    format!(
        "agent-host {}, plugin-api {}, on {} {}",
        env!("CARGO_PKG_VERSION"),
        plugin_api::VERSION,
        std::env::consts::OS,
        std::env::consts::ARCH
    )
}

/// What is wrong with the profile, in one line, and what to do.
fn profile_trouble(failure: &Failure) -> (String, String) {
    let problems = failure.details["problems"].as_array().map_or(&[][..], Vec::as_slice);
    let file = failure.details["file"].as_str().unwrap_or("the profile file");
    let errors: Vec<&Value> = problems
        .iter()
        .filter(|problem| problem["severity"] != "warning")
        .collect();
    let Some(first) = errors.first() else {
        let hint = failure.hint.clone();
        return (
            failure.message.clone(),
            hint.unwrap_or_else(|| "see `agent-host profile check`".to_owned()),
        );
    };
    let text = |field: &str| first[field].as_str().unwrap_or_default();
    let at = match text("pointer") {
        "" => String::new(),
        pointer => format!(" at {pointer}"),
    };
    let line = first["line"].as_u64().filter(|line| *line > 0);
    let place = line.map_or_else(String::new, |line| format!(", line {line}"));
    let count = counted(errors.len(), "problem");
    let lead = if errors.len() == 1 { ":" } else { "; the first:" };
    let summary = format!("{file} has {count}{lead} {}{at}{place}", text("message"));
    let see = "`agent-host profile check` shows the line";
    let remedy = match text("hint") {
        "" => see.to_owned(),
        hint => format!("{hint} {see}"),
    };
    (summary, remedy)
}

/// The chosen profile without the parts that have problems.
async fn partly(setup: &Setup) -> Option<Chosen> {
    let document = setup.document(&setup.places.config).ok()?;
    let report = setup.report(&document).await.ok()?;
    let profile = salvaged(
        &document,
        &setup.places.profile,
        &setup.folder.schemas(),
        &report.problems,
    )?;
    Some(Chosen { document, profile })
}
