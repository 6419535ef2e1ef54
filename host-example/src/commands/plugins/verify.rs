//! `agent-host plugins verify`: one row for each check of a plugin, each from a process of its own.

use std::path::Path;
use std::time::Instant;

use plugin_api::loader::Image;
use plugin_api::{Finding, FindingStatus};

use super::super::Output;
use crate::setup::{checks, trial};
use crate::terminal::{self, Exit, Failure, Page, Rows};

pub fn run(file: &Path, output: &Output) -> Result<Exit, Failure> {
    let image = Image::read(file);
    let group = file.file_name().unwrap_or_default().to_string_lossy();
    let mut rows = Rows::default();
    // Without a manifest and an instance, there is nothing to check.
    let mut lacking = None;
    let mut printing = Vec::new();
    for id in checks::ids() {
        let begun = Instant::now();
        let finding = match (&image, lacking) {
            (_, Some(lacking)) => finding(FindingStatus::Skipped, format!("not applicable: `{lacking}` failed")),
            (Err(refusal), None) => Finding {
                remedy: refusal.hint.clone(),
                ..finding(FindingStatus::Failed, refusal.reason.clone())
            },
            (Ok(image), None) => {
                let (finding, prints) = trial::check(image, id).map_err(|cause| {
                    Failure::internal(format!("`{id}` cannot be checked in a process of its own: {cause}"))
                })?;
                printing.extend(prints.then_some(id));
                finding
            }
        };
        let has_failed = finding.status == FindingStatus::Failed;
        if has_failed && ["manifest", "create"].contains(&id) {
            lacking = lacking.or(Some(id));
        }
        let remedy = finding
            .remedy
            .or_else(|| has_failed.then(|| checks::remedy_of(id).to_owned()));
        rows.add(&group, id, finding.status, &finding.summary, remedy);
        rows.took_since(begun);
    }
    match (&image, &printing[..]) {
        (Err(_), _) => rows.skip(&group, "stdout", "not applicable: `manifest` failed"),
        (Ok(_), []) => rows.add(
            &group,
            "stdout",
            FindingStatus::Ok,
            "nothing was printed during the checks",
            None,
        ),
        (Ok(_), ids) => {
            let summary = format!(
                "{}; seen during {}",
                trial::TO_STDOUT,
                terminal::listed(ids.iter().copied(), "and")
            );
            let remedy = "use `tracing` or `Host::log`: both end up in the host's log".to_owned();
            rows.add(&group, "stdout", FindingStatus::Failed, &summary, Some(remedy));
        }
    }
    if output.json {
        terminal::print_json(&rows.json());
    } else {
        terminal::print(&rows.text(Page::of_stdout()));
    }
    Ok(match rows.exit() {
        Exit::Ok => Exit::Ok,
        _ => Exit::Plugin,
    })
}

fn finding(status: FindingStatus, summary: String) -> Finding {
    Finding {
        status,
        summary,
        ..Finding::default()
    }
}
