//! The user at the terminal, who sees every call and approves some.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal};

use plugin_api::ToolCall;

use crate::agents::{Approval, Attendant, Called};
use crate::talk::events::{self, Event};
use crate::terminal::{self, Exit, Failure, shortened};

/// The line of a call shows at most this many characters of its arguments, and of its result.
const MAX_SHOWN_CHARS: usize = 60;

/// A call that needs approval is shown as a whole up to this many bytes, and else its start and its end.
const MAX_ASKED_BYTES: usize = 2 << 10;
const START_BYTES: usize = 1200;
const END_BYTES: usize = 600;

pub struct AtTheTerminal {
    is_quiet: bool,
    has_events: bool,
    /// The tools that the user allowed once and for all.
    allowed: BTreeSet<String>,
}

impl AtTheTerminal {
    pub fn new(is_quiet: bool, has_events: bool) -> Self {
        Self {
            is_quiet,
            has_events,
            allowed: BTreeSet::new(),
        }
    }
}

impl Attendant for AtTheTerminal {
    async fn allows(&mut self, call: &ToolCall, approval: Approval) -> Result<bool, Failure> {
        match approval {
            Approval::Always => Ok(true),
            Approval::Never => Ok(false),
            Approval::Ask if self.allowed.contains(&call.name) => Ok(true),
            Approval::Ask if !io::stdin().is_terminal() => Err(nobody_to_ask(call)),
            Approval::Ask => {
                let whole = call_whole(&call.name, &call.arguments);
                let short = without_middle(&whole);
                terminal::say(short.as_deref().unwrap_or(&whole));
                let view = if short.is_some() { ", [v]iew all" } else { "" };
                let question = format!("run it? [y]es, [n]o, [a]lways{view}: ");
                loop {
                    let answer = terminal::ask(&question).await;
                    match answer.as_deref().map(str::trim) {
                        Some("v" | "view") if short.is_some() => terminal::say(&whole),
                        Some("a" | "always") => {
                            self.allowed.insert(call.name.clone());
                            return Ok(true);
                        }
                        answer => return Ok(matches!(answer, Some("y" | "yes"))),
                    }
                }
            }
        }
    }

    fn ran(&mut self, call: &ToolCall, called: &Called) {
        if !self.is_quiet {
            terminal::say(&call_line(called));
        }
        if self.has_events {
            let outcome = Some(events::Outcome {
                result: called.result.clone(),
                is_error: called.is_error,
                duration_ms: called.duration_ms,
            });
            Event::Tool(events::Tool { call, outcome }).print();
        }
    }
}

fn nobody_to_ask(call: &ToolCall) -> Failure {
    let name = terminal::clean_line(&shortened(&call.name, MAX_SHOWN_CHARS));
    let message = format!("the call of `{name}` needs approval, and standard input is not a terminal");
    let mut failure = Failure::new(Exit::Refused, message);
    failure.details["code"] = "approval".into();
    failure.with_hint(format!(
        "let it run: `\"approval\": {{\"{name}\": \"always\"}}` in the agent, or `--tools-approve always` for all tools"
    ))
}

/// The call with all of its arguments, on one line: who approves it sees what it does.
fn call_whole(name: &str, arguments: &str) -> String {
    terminal::clean_line(&format!("⚙ {name}({})", arguments.trim()))
}

/// The start and the end of a long call, and how long it is; `None` if all of it can be shown.
fn without_middle(whole: &str) -> Option<String> {
    if whole.len() <= MAX_ASKED_BYTES {
        return None;
    }
    let boundary = |near: usize| (0..=near).rev().find(|n| whole.is_char_boundary(*n)).unwrap_or(0);
    let (start, end) = (
        &whole[..boundary(START_BYTES)],
        &whole[boundary(whole.len() - END_BYTES)..],
    );
    let n_left_out = whole.len() - start.len() - end.len();
    Some(format!("{start}\n[… {n_left_out} of {} bytes …]\n{end}", whole.len()))
}

/// `⚙ calc({"expression":"2+2"})`
fn call_shown(name: &str, arguments: &str) -> String {
    let (name, arguments) = (
        shortened(name, MAX_SHOWN_CHARS),
        shortened(arguments.trim(), MAX_SHOWN_CHARS),
    );
    terminal::clean_line(&format!("⚙ {name}({arguments})"))
}

/// `⚙ calc({"expression":"2+2"}) ✓ 1 ms → 4`
fn call_line(called: &Called) -> String {
    let result = terminal::clean_line(&shortened(called.result.trim(), MAX_SHOWN_CHARS));
    let mark = if called.is_error { "✗" } else { "✓" };
    let took = terminal::seconds(called.duration_ms);
    format!(
        "{} {mark} {took} → {result}",
        call_shown(&called.name, &called.arguments)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_call_shows_its_start_its_end_and_its_size() {
        assert_eq!(without_middle(&call_whole("f", &"é".repeat(900))), None);
        let whole = call_whole("files_write", &format!("start{}end\u{1b}[2J", "é".repeat(2000)));
        let shown = without_middle(&whole).expect("it is long");
        assert!(
            shown.starts_with("⚙ files_write(startéé") && shown.ends_with("ééend)"),
            "{shown}"
        );
        assert!(shown.contains(&format!(" of {} bytes …]", whole.len())), "{shown}");
    }

    #[test]
    fn a_call_is_one_line_whatever_the_model_writes() {
        let line = |name: &str, arguments: &str, result: &str, is_error| {
            call_line(&Called {
                step: 1,
                name: name.to_owned(),
                arguments: arguments.to_owned(),
                result: result.to_owned(),
                is_error,
                duration_ms: 1,
            })
        };
        let calc = line("calc", r#"{"expression":"2+2"}"#, "4", false);
        assert_eq!(calc, r#"⚙ calc({"expression":"2+2"}) ✓ 1 ms → 4"#);
        assert_eq!(line("clock", "", "x\ny", true), "⚙ clock() ✗ 1 ms → x y");
        let hostile = line("a\u{1b}[2Jb", &"\u{9b}\n".repeat(100), &"é".repeat(80), false);
        assert!(!hostile.contains(char::is_control), "{hostile:?}");
        assert!(hostile.contains(&format!("{}…", "é".repeat(60))), "{hostile}");
    }
}
