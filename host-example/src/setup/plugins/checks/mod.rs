//! The checks of `plugins verify`: what a plugin must do and no type can hold it to.
//!
//! Each runs in a process of its own, as a [`trial`](super::trial) does, and needs no key. If the manifest names an
//! address, that leads to a local port that never answers, and keys are made up: calls then wait, and nothing leaves
//! this machine. Without one, keys are absent.

// In the order of an instance's life.
mod bench;
mod options;
mod requests;
mod endings;

use plugin_api::{Error, Finding, FindingStatus, PluginModule};

use self::bench::Bench;

/// One check, for people.
struct Check {
    id: &'static str,
    /// As in "its process ended while …".
    step: &'static str,
    /// What to do if it fails.
    remedy: &'static str,
}

/// All of them, in order. Those behind the first two need what these make sure of.
const CHECKS: [Check; 10] = [
    Check {
        id: "manifest",
        step: "reporting its manifest",
        remedy: "build it with `export_plugin!` of a released plugin-api, and ship exactly that file",
    },
    Check {
        id: "create",
        step: "being created",
        remedy: "create an instance without a key too: hosts do so to check options; let calls fail with `auth`",
    },
    Check {
        id: "options",
        step: "refusing options",
        remedy: "put `additionalProperties: false` and types into the schema; in `create` and `configure` return \
                 `config` with `details.problems`, a pointer in each",
    },
    Check {
        id: "unknown_methods",
        step: "refusing unknown methods",
        remedy: "return `Error::unsupported(method)` for names that you do not know, and name no others in the manifest",
    },
    Check {
        id: "unknown_members",
        step: "reading unknown members",
        remedy: "ignore members that you do not know: later versions of plugin-api add some. Drop \
                 `deny_unknown_fields` from types of requests",
    },
    Check {
        id: "bad_requests",
        step: "reading malformed requests",
        remedy: "return `invalid_request` for what cannot be read: no `unwrap`, no index, no recursion without a limit",
    },
    Check {
        id: "cancel",
        step: "being cancelled",
        remedy: "do not wait in `Drop`: abort the work, and let it end on the plugin's own thread",
    },
    Check {
        id: "shutdown",
        step: "being shut down",
        remedy: "cancel what is running, and wait for nothing longer than `deadline`: see `plugin_api::runtime`",
    },
    Check {
        id: "threads",
        step: "ending its threads",
        remedy: "end every thread in `shutdown`, or when the instance is dropped",
    },
    Check {
        id: "wakers",
        step: "giving wakers back",
        remedy: "drop the wakers of a call with its future: keep none in a list, and forget none",
    },
];

/// The ids of all checks, in order.
pub fn ids() -> impl Iterator<Item = &'static str> {
    CHECKS.iter().map(|check| check.id)
}

/// What a plugin is doing while it is checked.
pub fn step_of(id: &str) -> &'static str {
    CHECKS
        .iter()
        .find(|check| check.id == id)
        .map_or("", |check| check.step)
}

/// What to do if a check fails.
pub fn remedy_of(id: &str) -> &'static str {
    CHECKS
        .iter()
        .find(|check| check.id == id)
        .map_or("", |check| check.remedy)
}

/// How a check ended: what was seen, or what was expected and found.
type Outcome = Result<Seen, String>;

enum Seen {
    Ok(String),
    NotApplicable(&'static str),
}

/// Runs one check, in the process that is made for it.
pub async fn run(id: &str, module: &PluginModule) -> Finding {
    let outcome = outcome_of(id, module).await;
    let (status, summary) = match outcome {
        Ok(Seen::Ok(summary)) => (FindingStatus::Ok, summary),
        Ok(Seen::NotApplicable(why)) => (FindingStatus::Skipped, format!("not applicable: {why}")),
        Err(summary) => (FindingStatus::Failed, summary),
    };
    Finding {
        status,
        summary,
        ..Finding::default()
    }
}

async fn outcome_of(id: &str, module: &PluginModule) -> Outcome {
    let bench = Bench::new(module)?;
    match id {
        "manifest" => {
            let manifest = module.manifest();
            let (version, api) = (&manifest.version, &manifest.plugin_api);
            let summary = format!(
                "`{}` {version}, plugin-api {api}; the same in file and code",
                manifest.id
            );
            Ok(Seen::Ok(summary))
        }
        "create" => bench.create_without_key(),
        "options" => options::options(&bench).await,
        "unknown_methods" => requests::unknown_methods(&bench).await,
        "unknown_members" => requests::unknown_members(&bench).await,
        "bad_requests" => requests::bad_requests(&bench).await,
        "cancel" => endings::cancel(&bench).await,
        "shutdown" => endings::shutdown(&bench).await,
        "threads" => endings::threads(&bench).await,
        "wakers" => endings::wakers(&bench).await,
        _ => Ok(Seen::NotApplicable("this version has no such check")),
    }
}

/// An error in the words of a finding.
fn shown(error: &Error) -> String {
    format!("`{}`: {}", error.kind, error.message)
}
