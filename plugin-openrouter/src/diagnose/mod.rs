//! Checks everything that a call depends on, and reports findings.
//!
//! Requests to the service run concurrently; pure functions judge the results, one file per heading.
//! If something cannot be checked, that is a finding with the reason, never an error.
//! A finding's id is a word. If there are several findings of a kind, their subject follows a colon:
//! `model_known:TEXT_SMALL`.

mod key;
mod credit;
mod service;
mod models;
mod setup;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use plugin_api::runtime::Runtime;
use plugin_api::{DiagnoseRequest, Error, ErrorKind, Finding, FindingStatus};

use crate::call::Common;
use crate::money::asked;
use crate::service::Settings;
use crate::values::time::{milliseconds, unix_seconds};

/// The longest time that a request to the service may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Checks key, account, service, models and settings. It takes as long as its slowest request, at most half a minute.
///
/// - Out: the findings, grouped under these headings in this order: `Key`, `Account`, `Service`, `Models`, `Settings`.
pub async fn diagnose(
    runtime: &Runtime,
    settings: &Arc<Settings>,
    common: &Arc<Common>,
    request: DiagnoseRequest,
) -> Vec<Finding> {
    let catalogue = async {
        let begun = Instant::now();
        let answer = tokio::time::timeout(LIMIT, common.catalogue.catalogue(settings)).await;
        let in_time = answer.unwrap_or_else(|_| {
            let message = format!("the model list did not arrive within {} s", LIMIT.as_secs());
            Err(Error::new(ErrorKind::TIMEOUT, message))
        });
        (in_time, begun.elapsed())
    };
    let asked = asked::ask(settings);
    let streaming = service::streaming(runtime, settings, common, request);
    let (asked, (catalogue, listed_in), streaming) = tokio::join!(asked, catalogue, streaming);
    let known = asked.read(settings);
    let now_s = unix_seconds(SystemTime::now());
    let mut findings = under("Key", key::findings(settings, &asked, &known, now_s));
    findings.extend(under("Account", credit::findings(&known)));
    let mut service = service::findings(settings, &asked, &known);
    service.push(streaming);
    findings.extend(under("Service", service));
    let models = models::findings(settings, catalogue.as_deref(), listed_in, now_s);
    findings.extend(under("Models", models));
    let mut others = setup::findings(settings).await;
    for finding in others
        .iter_mut()
        .filter(|finding| request.is_partial && finding.status == FindingStatus::Ok)
    {
        let summary = format!("unknown: without the invalid part of the profile, {}", finding.summary);
        *finding = skipped(&finding.id, summary);
    }
    findings.extend(under("Settings", others));
    findings
}

/// Puts findings under a heading, and each of their texts on one line.
fn under(group: &str, findings: Vec<Finding>) -> Vec<Finding> {
    let one_line = |text: String| match text.contains(char::is_control) {
        true => text.split(char::is_control).collect::<Vec<_>>().join(" "),
        false => text,
    };
    let placed = |finding: Finding| Finding {
        group: group.to_owned(),
        summary: one_line(finding.summary),
        remedy: finding.remedy.map(one_line),
        ..finding
    };
    findings.into_iter().map(placed).collect()
}

fn ok(id: impl Into<String>, summary: impl Into<String>) -> Finding {
    Finding {
        id: id.into(),
        status: FindingStatus::Ok,
        summary: summary.into(),
        ..Finding::default()
    }
}

fn warning(id: impl Into<String>, summary: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding {
        status: FindingStatus::Warning,
        remedy: Some(remedy.into()),
        ..ok(id, summary)
    }
}

fn failed(id: impl Into<String>, summary: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding {
        status: FindingStatus::Failed,
        ..warning(id, summary, remedy)
    }
}

fn skipped(id: impl Into<String>, summary: impl Into<String>) -> Finding {
    Finding {
        status: FindingStatus::Skipped,
        ..ok(id, summary)
    }
}

fn took(finding: Finding, elapsed: Duration) -> Finding {
    Finding {
        duration_ms: milliseconds(elapsed),
        ..finding
    }
}

/// Whether the service never answered.
fn is_unreached(error: &Error) -> bool {
    let kinds = [ErrorKind::CONNECT, ErrorKind::TIMEOUT, ErrorKind::INTERRUPTED];
    error.details.status.is_none() && kinds.contains(&error.kind)
}

/// Why something that the service should have reported is unknown.
fn unknown_for(error: &Error) -> String {
    if is_unreached(error) {
        return "unknown: the service cannot be reached".to_owned();
    }
    match (error.kind, error.details.status) {
        (ErrorKind::AUTH, None) => "not checked: no key is set".to_owned(),
        (ErrorKind::AUTH, Some(_)) => "unknown: the key was refused".to_owned(),
        _ => format!("unknown: {}", error.message),
    }
}

#[cfg(test)]
mod kit {
    use plugin_api::{Finding, FindingStatus};

    /// A finding as one line: mark, id, summary, remedy.
    pub fn line(finding: &Finding) -> String {
        let mark = match finding.status {
            FindingStatus::Ok => "ok",
            FindingStatus::Warning => "warning",
            FindingStatus::Failed => "failed",
            FindingStatus::Skipped => "skipped",
        };
        let remedy = finding.remedy.as_ref().map(|remedy| format!(" | {remedy}"));
        format!(
            "{mark} {}: {}{}",
            finding.id,
            finding.summary,
            remedy.unwrap_or_default()
        )
    }

    /// Findings as lines.
    pub fn lines(findings: &[Finding]) -> Vec<String> {
        findings.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::kit::{line, lines};
    use super::*;
    use crate::kit::{self, KEY, Service, block_on};

    fn findings(settings: &Arc<Settings>, may_cost: bool) -> Vec<Finding> {
        let runtime = Runtime::start("test").expect("the machine has threads");
        let request = DiagnoseRequest {
            may_cost,
            ..DiagnoseRequest::default()
        };
        block_on(diagnose(&runtime, settings, &Arc::default(), request))
    }

    fn service() -> Service {
        Service::start(|path| {
            let body = match path.rsplit('/').next() {
                Some("key") => json!({"data": {"label": "sk-or-v1-abc...xyz", "limit": 10, "limit_remaining": 7.5,
                    "is_free_tier": false, "expires_at": null}}),
                Some("models") => json!({"data": [{"id": "acme/large"}]}),
                _ => return (403, String::new(), String::new()),
            };
            let date = "date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
            (200, date.to_owned(), body.to_string())
        })
    }

    fn failed_of(findings: &[Finding]) -> Vec<String> {
        let failed = findings
            .iter()
            .filter(|finding| finding.status == FindingStatus::Failed);
        failed.map(line).collect()
    }

    /// Checks that each of `ids` was skipped for this reason.
    fn expect_skipped(findings: &[Finding], ids: &[&str], reason: &str) {
        let lines = lines(findings);
        for id in ids {
            let expected = format!("skipped {id}: {reason}");
            assert!(lines.contains(&expected), "{expected}\n{lines:#?}");
        }
    }

    #[test]
    fn findings_are_grouped_in_order_and_have_unique_ids() {
        let service = service();
        let options = json!({"model": "acme/large", "fallbackModels": ["acme/spare"]});
        let found = findings(&service.settings(options, &[]), false);
        let mut groups: Vec<&str> = found.iter().map(|finding| finding.group.as_str()).collect();
        groups.dedup();
        assert_eq!(groups, ["Key", "Account", "Service", "Models", "Settings"]);
        let ids: BTreeSet<&str> = found.iter().map(|finding| finding.id.as_str()).collect();
        assert_eq!(ids.len(), found.len());
        for finding in &found {
            let needs_remedy = [FindingStatus::Warning, FindingStatus::Failed].contains(&finding.status);
            assert_eq!(finding.remedy.is_some(), needs_remedy, "{}", line(finding));
        }
        let lines = lines(&found);
        for expected in [
            "ok key_valid: the service accepts it; its label is `[key]`",
            "ok credit: the key has $7.50 of $10.00 left; the account's balance is hidden from this key",
            "skipped streaming: not tried: the answer would be billed",
            "ok model_known:TEXT_LARGE: `acme/large` is listed",
            "failed clock: ",
        ] {
            assert!(
                lines.iter().any(|line| line.starts_with(expected)),
                "{expected}\n{lines:#?}"
            );
        }
        assert!(!lines.join("\n").contains(KEY) && !lines.join("\n").contains("abc...xyz"));
        // Nothing that is billed was sent.
        assert!(service.requests().iter().all(|head| head.starts_with("GET ")));
    }

    #[test]
    fn an_unreachable_service_is_a_single_failure() {
        // Nothing listens on the port of a dropped listener.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/api/v1", listener.local_addr().expect("it listens"));
        drop(listener);
        let found = findings(&kit::settings(json!({"baseUrl": url}), &[]), false);
        let failed = failed_of(&found);
        assert!(
            failed.len() == 1 && failed[0].starts_with("failed service_reachable: "),
            "{failed:#?}"
        );
        let ids = [
            "key_valid",
            "key_expires",
            "credit",
            "models_listed",
            "model_known:TEXT_SMALL",
        ];
        expect_skipped(&found, &ids, "unknown: the service cannot be reached");
    }

    #[test]
    fn a_refused_key_is_a_single_failure() {
        let refusal = json!({"error": {"code": 401, "message": "User not found."}}).to_string();
        let service = Service::start(move |_| (401, String::new(), refusal.clone()));
        let found = findings(&service.settings(json!({}), &[]), false);
        let failed = "failed key_valid: the key was refused: the service answered 401: User not found. | check at \
                      https://openrouter.ai/settings/keys whether it is disabled, expired or deleted, or create another \
                      key";
        assert_eq!(failed_of(&found), [failed]);
        expect_skipped(&found, &["credit"], "unknown: the key was refused");
    }

    #[test]
    fn without_a_key_no_request_is_made() {
        let service = Service::saying(&Value::Null);
        let found = findings(&service.settings(json!({}), &[("OPENROUTER_API_KEY", "")]), true);
        assert_eq!(service.requests().len(), 0);
        assert!(line(&found[0]).starts_with("failed key_present: "), "{found:#?}");
        let of_key = ["key_valid", "key_expires", "credit", "free_tier"];
        let others = [
            "service_reachable",
            "streaming",
            "models_listed",
            "model_known:TEXT_SMALL",
        ];
        expect_skipped(&found, &[of_key, others].concat(), "not checked: no key is set");
    }

    #[test]
    fn a_finding_is_always_a_single_line() {
        let finding = warning("a", "two\nlines", "do\tthis\r\nnow");
        let placed = under("Key", vec![finding]);
        assert_eq!(placed[0].group, "Key");
        assert_eq!(lines(&placed), ["warning a: two lines | do this  now"]);
    }
}
