//! What a comparison prints: the answers, a table of what they took, and the same as JSON.

use plugin_api::{Done, Usage};
use serde_json::{Value, json};

use super::{Args, Contender};
use crate::talk::calc;
use crate::terminal::{self, Exit, FAINT, Fit, Page, beside, clean, print_json, print_table};

/// Terminals from this width on show two answers beside each other.
const MIN_COLUMNS_FOR_TWO: usize = 100;
const UNKNOWN: &str = "-";

pub fn print(contenders: &[Contender], args: &Args) {
    if args.output.json {
        return print_json(&json!({"contenders": contenders.iter().map(as_json).collect::<Vec<_>>()}));
    }
    let page = Page::of_stdout();
    if !args.quiet {
        print_answers(contenders, page);
    }
    print_table(&table(contenders, args, page));
    for contender in contenders {
        for failure in contender.answers.iter().filter_map(|answer| answer.failure.as_ref()) {
            terminal::say(&format!("{}: {failure}", terminal::clean_line(&contender.name)));
        }
    }
}

/// The first failure's, unless somebody answered each time.
pub fn exit(contenders: &[Contender]) -> Exit {
    let failures = contenders
        .iter()
        .flat_map(|one| &one.answers)
        .filter_map(|answer| answer.failure.as_ref());
    failures.map(|failure| failure.exit).next().unwrap_or(Exit::Ok)
}

/// The first answer of each, below each other or side by side.
fn print_answers(contenders: &[Contender], page: Page) {
    let first = |one: &Contender| {
        let Some(answer) = one.answers.first() else {
            return "(no answer)".to_owned();
        };
        let partial = answer
            .failure
            .as_ref()
            .and_then(|failure| failure.details["partial_text"].as_str());
        let text = match (answer.text(), partial) {
            (Some(""), _) => "(no text; `agent-host chat -o FILE` saves a picture or a sound)".to_owned(),
            (Some(text), _) => clean(text.trim_end()),
            (None, Some(partial)) => format!("{}\n(broken off)", clean(partial.trim_end())),
            (None, None) => "(no answer)".to_owned(),
        };
        let lines = text.lines().map(|line| terminal::wrapped(line, page.columns, ""));
        lines.collect::<Vec<_>>().join("\n")
    };
    let title = |one: &Contender| page.styled(FAINT, &page.text(&format!("─── {}", terminal::clean_line(&one.name))));
    match (contenders, page.columns) {
        ([left, right], Some(columns)) if columns >= MIN_COLUMNS_FOR_TWO => {
            let column = |one: &Contender| format!("{}\n{}", title(one), first(one));
            terminal::print(&beside(&[column(left), column(right)], page));
            terminal::print("\n");
        }
        _ => {
            for one in contenders {
                terminal::print(&format!("{}\n{}\n\n", title(one), first(one)));
            }
        }
    }
}

fn table(contenders: &[Contender], args: &Args, page: Page) -> terminal::Table {
    let mut head = vec![
        ("ASKED", Fit::Whole),
        ("ANSWERED", Fit::Cut),
        ("FIRST TOKEN", Fit::Whole),
        ("TIME", Fit::Whole),
        ("TOKENS", Fit::Dropped),
        ("COST", Fit::Whole),
    ];
    if args.schema.is_some() {
        head.push(("MATCHES", Fit::Whole));
    }
    if args.judge.is_some() {
        head.push(("GRADE", Fit::Whole));
    }
    if contenders.iter().any(|one| one.n_failed() > 0) {
        head.push(("FAILED", Fit::Whole));
    }
    let rows = contenders.iter().map(|one| {
        let seconds = |time: Option<u64>| time.map_or(UNKNOWN.to_owned(), terminal::seconds);
        let n_answers = one.answers.len();
        let cells = [
            ("ASKED", one.name.clone()),
            ("ANSWERED", one.served()),
            (
                "FIRST TOKEN",
                seconds(median(one.dones().filter_map(|done| done.time_to_first_token_ms))),
            ),
            ("TIME", seconds(median(one.dones().map(|done| done.duration_ms)))),
            (
                "TOKENS",
                median(one.usages().map(|usage| usage.completion_tokens)).map_or(UNKNOWN.to_owned(), |n| n.to_string()),
            ),
            ("COST", one.cost().map_or(UNKNOWN.to_owned(), |cost| format!("${cost}"))),
            (
                "MATCHES",
                format!(
                    "{} of {n_answers}",
                    one.answers.iter().filter(|answer| answer.matches == Some(true)).count()
                ),
            ),
            (
                "GRADE",
                one.grade().map_or(UNKNOWN.to_owned(), |grade| format!("{grade:.1}")),
            ),
            ("FAILED", format!("{} of {n_answers}", one.n_failed())),
        ];
        let is_shown = |name: &str| head.iter().any(|(shown, _)| *shown == name);
        cells
            .into_iter()
            .filter(|(name, _)| is_shown(name))
            .map(|(_, cell)| cell)
            .collect()
    });
    terminal::table(&head, rows.collect::<Vec<_>>(), page)
}

fn as_json(one: &Contender) -> Value {
    let answers = one.answers.iter().map(|answer| {
        let done = answer.reply.as_ref().map(|reply| &reply.done);
        json!({
            "text": answer.reply.as_ref().map(|reply| &reply.text),
            "model": done.and_then(|done| done.model.as_ref()),
            "provider": done.and_then(|done| done.provider.as_ref()),
            "time_to_first_token_ms": done.and_then(|done| done.time_to_first_token_ms),
            "duration_ms": done.map(|done| done.duration_ms),
            "usage": done.and_then(|done| done.usage.as_ref()),
            "matches": answer.matches,
            "grade": answer.grade,
            "error": answer.failure.as_ref().map(|failure| failure.details.as_ref()),
        })
    });
    json!({
        "name": one.name,
        "time_to_first_token_ms": median(one.dones().filter_map(|done| done.time_to_first_token_ms)),
        "duration_ms": median(one.dones().map(|done| done.duration_ms)),
        "cost_usd": one.cost(),
        "n_failed": one.n_failed(),
        "grade": one.grade(),
        "answers": answers.collect::<Vec<_>>(),
    })
}

impl Contender {
    fn dones(&self) -> impl Iterator<Item = &Done> {
        self.answers
            .iter()
            .filter_map(|answer| Some(&answer.reply.as_ref()?.done))
    }

    fn usages(&self) -> impl Iterator<Item = &Usage> {
        self.dones().filter_map(|done| done.usage.as_ref())
    }

    fn n_failed(&self) -> usize {
        self.answers.iter().filter(|answer| answer.failure.is_some()).count()
    }

    /// The models that answered, each once.
    fn served(&self) -> String {
        let mut served: Vec<String> = self.dones().map(terminal::served).collect();
        served.sort();
        served.dedup();
        match served.is_empty() {
            true => UNKNOWN.to_owned(),
            false => served.join(", "),
        }
    }

    /// What all its answers cost together; unknown if that of one is.
    fn cost(&self) -> Option<String> {
        let costs: Option<Vec<&str>> = self
            .dones()
            .map(|done| done.usage.as_ref()?.cost_usd.as_deref())
            .collect();
        calc::sum(costs.filter(|costs| !costs.is_empty())?)
    }

    /// The mean of its grades.
    fn grade(&self) -> Option<f64> {
        let grades: Vec<f64> = self.answers.iter().filter_map(|answer| answer.grade).collect();
        (!grades.is_empty()).then(|| grades.iter().sum::<f64>() / grades.len() as f64)
    }
}

/// The middle of several numbers, the larger of two.
fn median(numbers: impl Iterator<Item = u64>) -> Option<u64> {
    let mut numbers: Vec<u64> = numbers.collect();
    numbers.sort_unstable();
    numbers.get(numbers.len() / 2).copied()
}
