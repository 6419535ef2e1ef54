//! Why a command failed: for people, for programs, and with its exit code.

use std::fmt;

use plugin_api::loader::Refusal;
use plugin_api::{Attempt, Error, ErrorKind};
use serde_json::{Value, json};

use super::clean::{clean, clean_line, safe_json, visible};
use super::exit::{Exit, exit_of};
use super::page::Page;
use super::print::{print_line, say, say_raw};
use super::streams::{BAD, FAINT, HINT};
use super::table::wrapped;

/// Why a command failed. It has no `Debug`, because the details may hold a part of an answer.
#[derive(Clone)]
pub struct Failure {
    /// How it ends.
    pub exit: Exit,
    /// Lower case, no full stop; several lines if it is a report. Safe to print, as the hint is.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// The same for programs.
    pub details: Box<Value>,
    /// One line for each attempt, if there were several.
    attempts: Vec<String>,
    /// The code that `agent-host explain` knows more about.
    pub explained: Option<&'static str>,
    /// The plugin has no key, which the user may have.
    pub lacks_key: bool,
    /// The message is a report with a first line of its own.
    is_report: bool,
}

impl Failure {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        let message = visible(&clean(&message.into()));
        let details = Box::new(json!({"code": exit.word(), "message": message}));
        Self {
            exit,
            message,
            hint: None,
            details,
            attempts: Vec::new(),
            explained: None,
            lacks_key: false,
            is_report: false,
        }
    }

    /// The command line is wrong, or the set-up is incomplete.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Something failed unexpectedly.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Exit::Internal, message)
    }

    /// A document with problems: a report with a first line of its own, and the same for programs.
    pub fn of_report(exit: Exit, report: String, details: Value) -> Self {
        Self {
            // The report's own colours stay.
            message: report,
            details: Box::new(details),
            is_report: true,
            ..Self::new(exit, "")
        }
    }

    /// The same failure without the `more:` line.
    pub fn briefly(mut self) -> Self {
        self.explained = None;
        self
    }

    /// Names the missing method of a plugin. Any other error stays as it is.
    pub fn of_plugin(error: Error, plugin: &str, cannot: &str) -> Self {
        if error.kind != ErrorKind::UNSUPPORTED {
            return error.into();
        }
        Self::new(Exit::Usage, format!("the plugin `{plugin}` cannot {cannot}"))
            .with_hint("use a newer version of the plugin, if there is one")
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        let hint = visible(&clean(&hint.into()));
        self.details["hint"] = Value::from(hint.as_str());
        self.hint = Some(hint);
        self
    }

    /// Prints the failure to stderr for people, and as JSON to stdout if the caller asked for JSON.
    pub fn print(&self, as_json: bool) {
        if as_json {
            let json = json!({"error": self.details});
            print_line(&safe_json(&json.to_string()));
        }
        self.say();
    }

    /// The ids that the service's support asks for: `generation: gen-1`, `request: req-2`.
    fn ids(&self) -> impl Iterator<Item = String> {
        let known = [("generation", "generation_id"), ("request", "request_id")].into_iter();
        known.filter_map(|(word, name)| Some(format!("{word}: {}", clean_line(self.details[name].as_str()?))))
    }

    /// Prints the failure to stderr.
    pub fn say(&self) {
        let page = Page::of_stderr();
        match page.columns {
            None => say(&self.to_string()),
            Some(_) => say_raw(&self.shown(page)),
        }
    }

    /// The failure for a terminal: the code beside `error`, colours, and the ids that its service's support asks for.
    fn shown(&self, page: Page) -> String {
        let message = self.message.trim_end();
        // A report is laid out already.
        let mut lines: Vec<String> = self.is_report.then(|| message.to_owned()).into_iter().collect();
        let mut add = |text: &str, indent: &str| {
            let text = page.text(text);
            lines.extend(text.split('\n').map(|line| wrapped(line, page.columns, indent)));
        };
        if !self.is_report {
            let code = self.details["code"].as_str().unwrap_or_default();
            add(
                &format!("{} {message}", page.styled(BAD.bold(), &format!("error[{code}]:"))),
                "  ",
            );
        }
        for attempt in &self.attempts {
            add(&format!("  {attempt}"), "     ");
        }
        if let Some(hint) = &self.hint {
            add(&format!("{} {hint}", page.styled(HINT, "hint:")), "      ");
        }
        for line in self.ids() {
            add(&page.styled(FAINT, &line), "  ");
        }
        if let Some(code) = self.explained {
            add(&page.styled(FAINT, &format!("more: agent-host explain {code}")), "  ");
        }
        lines.join("\n")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = if self.is_report { "" } else { "error: " };
        write!(f, "{prefix}{}", self.message.trim_end())?;
        for attempt in &self.attempts {
            write!(f, "\n  {attempt}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        for line in self.ids() {
            write!(f, "\n{line}")?;
        }
        match self.explained {
            Some(code) => write!(f, "\nmore: agent-host explain {code}"),
            None => Ok(()),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = exit_of(&error);
        let attempts = match error.details.attempts.as_slice() {
            [] | [_] => Vec::new(),
            several => several
                .iter()
                .enumerate()
                .map(|(index, attempt)| attempt_line(index + 1, attempt, &error.message))
                .collect(),
        };
        let mut details = serde_json::to_value(&*error.details).unwrap_or_else(|_| json!({}));
        details["code"] = Value::from(error.kind.code());
        details["message"] = Value::from(error.message.as_str());
        if let Some(wait_ms) = error.retry_after_ms {
            details["retry_after_ms"] = Value::from(wait_ms);
        }
        let mut message = visible(&clean(&error.message));
        if let Some(wait_ms) = error.retry_after_ms {
            // A wait that did not come from the service is in the message already.
            if error.details.status.is_some() {
                message.push_str(&format!(" (retry after {} s)", wait_ms.div_ceil(1000)));
            }
        }
        Self {
            exit,
            message,
            hint: error.hint().map(|hint| visible(&clean(hint))),
            details: Box::new(details),
            attempts,
            explained: error.kind.explanation().map(|explanation| explanation.code),
            lacks_key: false,
            is_report: false,
        }
    }
}

/// `1. acme/large via Acme: 429 rate_limit, too many requests`; a reason that repeats the message is dropped.
fn attempt_line(number: usize, attempt: &Attempt, above: &str) -> String {
    let mut attempt = attempt.clone();
    attempt.reason = attempt.reason.filter(|reason| reason != above);
    clean_line(&format!("{number}. {}", outcome_of(&attempt)))
}

/// `acme/large via Acme: 429 rate_limit, too many requests`
pub(super) fn outcome_of(attempt: &Attempt) -> String {
    let via = attempt.provider.as_ref().map(|provider| format!(" via {provider}"));
    let status = attempt.status.map(|status| status.to_string());
    let outcome: Vec<&str> = status.as_deref().into_iter().chain(attempt.code.as_deref()).collect();
    let outcome = match outcome.as_slice() {
        [] => "no answer".to_owned(),
        words => words.join(" "),
    };
    let reason = attempt.reason.as_ref().map(|reason| format!(", {reason}"));
    format!(
        "{}{}: {outcome}{}",
        attempt.model,
        via.unwrap_or_default(),
        reason.unwrap_or_default()
    )
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let failure = Self::new(Exit::Plugin, refusal.to_string());
        match refusal.hint {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_attempts_are_listed_below_the_message_and_one_is_not() {
        let attempts = r#"[
            {"model": "acme/large", "provider": "Acme", "status": 429, "code": "rate_limit",
             "reason": "too many\nrequests\u001b[2J"},
            {"model": "acme/small", "reason": "no model answered"}
        ]"#;
        let attempts: Vec<Attempt> = serde_json::from_str(attempts).expect("attempts");
        let mut error = Error::new(ErrorKind::UNAVAILABLE, "no model answered").with_hint("try later");
        error.details.attempts = attempts[..1].to_vec();
        assert_eq!(
            Failure::from(error.clone()).to_string(),
            "error: no model answered\nhint: try later\nmore: agent-host explain unavailable"
        );
        error.details.attempts = attempts;
        assert_eq!(
            Failure::from(error).briefly().to_string(),
            "error: no model answered\n  1. acme/large via Acme: 429 rate_limit, too many requests\n  2. acme/small: no \
             answer\nhint: try later"
        );
    }
}
