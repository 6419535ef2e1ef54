//! The findings of `doctor` and `selftest`, as rows for people and as JSON for programs.

use std::time::Instant;

use anstyle::Style;
use plugin_api::{Finding, FindingStatus};
use serde_json::{Value, json};

use super::clean::clean_line;
use super::exit::Exit;
use super::failure::Failure;
use super::lists::counted;
use super::page::Page;
use super::streams::{BAD, DOUBTFUL, FAINT, GOOD};
use super::table::{width, wrapped};
use super::time::elapsed_ms;

/// The widest first column; longer labels stick out.
const MAX_LABEL_WIDTH: usize = 32;

/// All findings, in order.
#[derive(Default)]
pub struct Rows {
    pub findings: Vec<Finding>,
}

impl Rows {
    pub fn push(&mut self, finding: Finding) {
        self.findings.push(Finding {
            id: clean_line(&finding.id),
            group: clean_line(&finding.group),
            summary: clean_line(&finding.summary),
            remedy: finding.remedy.map(|remedy| clean_line(&remedy)),
            ..finding
        });
    }

    pub fn add(&mut self, group: &str, id: &str, status: FindingStatus, summary: &str, remedy: Option<String>) {
        self.push(Finding {
            id: id.to_owned(),
            group: group.to_owned(),
            status,
            summary: summary.to_owned(),
            remedy,
            duration_ms: 0,
        });
    }

    pub fn skip(&mut self, group: &str, id: &str, summary: &str) {
        self.add(group, id, FindingStatus::Skipped, summary, None);
    }

    pub fn failed(&mut self, group: &str, id: &str, failure: &Failure) {
        let summary = problems_in_a_line(failure).unwrap_or_else(|| failure.message.clone());
        let remedy = failure.hint.clone().or_else(|| {
            let code = failure.explained?;
            Some(format!("see `agent-host explain {code}`"))
        });
        self.add(group, id, FindingStatus::Failed, &summary, remedy);
    }

    /// Notes that the last check began then and has ended now.
    pub fn took_since(&mut self, begun: Instant) {
        if let Some(last) = self.findings.last_mut() {
            last.duration_ms = elapsed_ms(begun);
        }
    }

    fn count(&self, status: FindingStatus) -> usize {
        self.findings.iter().filter(|finding| finding.status == status).count()
    }

    /// How the program ends.
    pub fn exit(&self) -> Exit {
        match self.count(FindingStatus::Failed) {
            0 => Exit::Ok,
            _ => Exit::Usage,
        }
    }

    pub fn json(&self) -> Value {
        let checks: Vec<Value> = self
            .findings
            .iter()
            .map(|finding| {
                json!({
                    "id": finding.id,
                    "group": finding.group,
                    "status": finding.status,
                    "summary": finding.summary,
                    "remedy": finding.remedy,
                    "duration_ms": finding.duration_ms,
                })
            })
            .collect();
        json!({"schemaVersion": 1, "checks": checks, "ok": self.exit() == Exit::Ok})
    }

    pub fn text(&self, page: Page) -> String {
        let mut groups: Vec<&str> = Vec::new();
        for finding in &self.findings {
            if !groups.contains(&finding.group.as_str()) {
                groups.push(&finding.group);
            }
        }
        let labels = self.findings.iter().map(|finding| width(&label(&finding.id)));
        let label_width = labels.max().unwrap_or(0).min(MAX_LABEL_WIDTH);
        let mut text = String::new();
        for group in groups {
            text.push_str(&format!("{}\n", page.styled(Style::new().bold(), group)));
            for finding in self.findings.iter().filter(|finding| finding.group == group) {
                text.push_str(&row(finding, label_width, page));
            }
            text.push('\n');
        }
        let n_warnings = self.count(FindingStatus::Warning);
        text.push_str(&format!(
            "{} ok, {}, {} failed, {} skipped\n",
            self.count(FindingStatus::Ok),
            counted(n_warnings, "warning"),
            self.count(FindingStatus::Failed),
            self.count(FindingStatus::Skipped)
        ));
        text
    }
}

fn row(finding: &Finding, label_width: usize, page: Page) -> String {
    let (mark, style) = match finding.status {
        FindingStatus::Ok => ("✓", GOOD),
        FindingStatus::Warning => ("⚠", DOUBTFUL),
        FindingStatus::Failed => ("✗", BAD),
        FindingStatus::Skipped => ("○", FAINT),
    };
    let label = label(&finding.id);
    let blanks = " ".repeat(label_width.saturating_sub(width(&label)));
    let head = format!("  {} {label}{blanks}  ", page.styled(style, &page.text(mark)));
    let indent = " ".repeat(width(&head));
    let summary = page.text(&finding.summary);
    let Some(remedy) = &finding.remedy else {
        return wrapped(&format!("{head}{summary}"), page.columns, &indent) + "\n";
    };
    let line = format!("{head}{summary}{}{remedy}", page.text(" — "));
    if page.columns.is_none_or(|columns| width(&line) <= columns) {
        return line + "\n";
    }
    // A remedy that does not fit gets lines of its own.
    let summary = wrapped(&format!("{head}{summary}"), page.columns, &indent);
    let arrow = page.text("→ ");
    let below = format!("{indent}{}", " ".repeat(width(&arrow)));
    format!(
        "{summary}\n{}\n",
        wrapped(&format!("{indent}{arrow}{remedy}"), page.columns, &below)
    )
}

/// The label of a finding: `model known TEXT_SMALL` for `model_known:TEXT_SMALL`.
fn label(id: &str) -> String {
    match id.split_once(':') {
        Some((word, thing)) => format!("{} {thing}", word.replace('_', " ")),
        None => id.replace('_', " "),
    }
}

/// The problems of a document in one line, without excerpts.
fn problems_in_a_line(failure: &Failure) -> Option<String> {
    let problems = failure.details["problems"]
        .as_array()
        .filter(|problems| !problems.is_empty())?;
    let lines: Vec<String> = problems
        .iter()
        .filter_map(|problem| {
            Some(format!(
                "at {}: {}",
                problem["pointer"].as_str()?,
                problem["message"].as_str()?
            ))
        })
        .collect();
    Some(lines.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: Page = Page {
        columns: Some(110),
        ..Page::PIPE
    };

    #[test]
    fn rows_stand_under_their_groups_and_are_counted() {
        let mut rows = Rows::default();
        let long = "word ".repeat(30);
        for (group, status, summary, remedy) in [
            ("Key", FindingStatus::Ok, "the key\n is valid\u{1b}[2J", None),
            (
                "Service",
                FindingStatus::Failed,
                "no connection",
                Some("check the network"),
            ),
            ("Key", FindingStatus::Warning, "it ends soon", None),
            ("Service", FindingStatus::Skipped, "not asked", Some(long.trim())),
        ] {
            let (id, group, summary) = ("a_thing:X_1".to_owned(), group.to_owned(), summary.to_owned());
            rows.push(Finding {
                id,
                group,
                status,
                summary,
                remedy: remedy.map(str::to_owned),
                duration_ms: 3,
            });
        }
        assert_eq!(
            rows.text(PAGE),
            format!(
                "Key\n  ✓ a thing X_1  the key  is valid\n  ⚠ a thing X_1  it ends soon\n\nService\n  ✗ a thing X_1  no \
                 connection — check the network\n  ○ a thing X_1  not asked\n{blank}→ {}\n{blank}  {}\n\n1 ok, 1 warning, 1 \
                 failed, 1 skipped\n",
                "word ".repeat(18).trim(),
                "word ".repeat(12).trim(),
                blank = " ".repeat(17)
            )
        );
        let coloured = rows.text(Page {
            has_colour: true,
            ..PAGE
        });
        assert!(
            coloured.contains("\n  \u{1b}[32m✓\u{1b}[0m a thing X_1  the key"),
            "{coloured}"
        );
        assert_eq!(rows.json()["ok"], false);
        assert_eq!(rows.json()["checks"][0]["remedy"], Value::Null);
    }
}
