//! `agent-host selftest`: what a user would try by hand, tried against the configured service.
//!
//! Each check asks the plugin for one thing and says in a row what came of it. One that fails keeps no other from being made. What is
//! billed is asked for last, in small requests, and its cost is added up.

use std::future::Future;
use std::time::{Duration, Instant, SystemTime};

use plugin_api::{
    ChatEvent, ChatReply, CreditsRequest, Error, ErrorKind, Finding, FindingStatus, Message, ModelsRequest, Plugin,
};
use serde_json::json;
use serde_json::value::to_raw_value;

use super::output::Output;
use crate::setup::{Active, Global, Setup, tiers};
use crate::talk::answer::request;
use crate::talk::calc::Number;
use crate::talk::parameters::Parameters;
use crate::talk::structured::Schema;
use crate::talk::tools::{self, Tool};
use crate::terminal::progress::{self, Wait};
use crate::terminal::{self, Exit, Failure, Interrupts, Rows, stopped, time};

/// Try against the service what a user would try by hand
#[derive(clap::Args)]
#[command(long_about = ABOUT)]
pub struct Args {
    /// Leave out everything that is billed
    #[arg(long)]
    pub free: bool,
    #[command(flatten)]
    pub output: Output,
}

const ABOUT: &str = "\
Try against the service what a user would try by hand

Key, models, credit, answers whole and streamed, the auto router, tiers, tool calls, structured output, a refused model, a cancelled \
stream. The small requests that it sends are billed as any other; --free leaves them out.

The exit code is 0 if no row has a ✗, and 2 otherwise.";

/// How long one check may take.
const CHECK_LIMIT: Duration = Duration::from_secs(90);
/// How long a cancelled stream may take to be gone.
const CANCEL_LIMIT: Duration = Duration::from_secs(1);

/// Room for a short answer; a model that reasons needs some of it for that.
const SHORT_TOKENS: u64 = 256;
const REASONING_TOKENS: u64 = 1024;

const SERVICE: &str = "Service";
const ANSWERS: &str = "Answers";
const TIERS: &str = "Tiers";
const ABILITIES: &str = "Abilities";

/// What is billed.
const BILLED: [(&str, &str); 9] = [
    (ANSWERS, "whole_answer"),
    (ANSWERS, "streamed_answer"),
    (ANSWERS, "cancelled_stream"),
    (ANSWERS, "auto_router"),
    (TIERS, "tier:small"),
    (TIERS, "tier:large"),
    (TIERS, "tier:reasoning"),
    (ABILITIES, "tool_call"),
    (ABILITIES, "structured_output"),
];

/// Tiers that most plugins have, by the names that `--tier` takes.
const TRIED_TIERS: [&str; 3] = ["small", "large", "reasoning"];

/// What nobody has.
const UNKNOWN_MODEL: &str = "no-such-author/no-such-model-0";

/// What came of a check.
enum Outcome {
    Ok(String),
    /// It works, but not as it could.
    Doubtful(String, &'static str),
    Skipped(String),
}

/// Runs `agent-host selftest`.
pub async fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let mut interrupts = Interrupts::listen()?;
    let mut active = Setup::read(global)?.activate(true).await?;
    active.read_tiers().await?;
    if !args.free {
        terminal::say(
            "note: about a dozen small requests to the service, billed as any other; `--free` leaves them out",
        );
    }
    let mut test = Test {
        active: &active,
        rows: Rows::default(),
        billed: Vec::new(),
        n_untold: 0,
    };
    let outcome = interrupts.or(test.all(args.free)).await;
    let Test {
        rows, billed, n_untold, ..
    } = test;
    active.shut_down().await;
    if outcome.is_none() {
        return Err(stopped());
    }
    let cost = sum(&billed).filter(|_| !billed.is_empty());
    if args.output.json {
        let mut told = rows.json();
        told["cost_usd"] = json!(cost.as_ref().filter(|_| n_untold == 0));
        terminal::print_json(&told);
    } else {
        terminal::print(&rows.text(terminal::stdout_has_colour()));
        if let Some(line) = cost_line(cost, n_untold) {
            terminal::say(&line);
        }
    }
    Ok(match rows.count(FindingStatus::Failed) {
        0 => Exit::Ok,
        _ => Exit::Usage,
    })
}

/// What the answers cost together.
fn sum(billed: &[String]) -> Option<String> {
    let costs = billed.iter().map(|cost| Number::parse(cost));
    let sum = costs.into_iter().try_fold(Number::ZERO, |sum, cost| sum.plus(cost?));
    sum.map(Number::shown).ok()
}

fn cost_line(cost: Option<String>, n_untold: usize) -> Option<String> {
    let cost = cost?;
    Some(match n_untold {
        0 => format!("it cost ${cost} in all"),
        1 => format!("it cost ${cost} in all, and 1 answer whose cost was not told"),
        several => format!("it cost ${cost} in all, and {several} answers whose cost was not told"),
    })
}

struct Test<'a> {
    active: &'a Active,
    rows: Rows,
    /// What answers cost, in US dollars as decimal texts.
    billed: Vec<String>,
    /// Answers whose cost was not told.
    n_untold: usize,
}

impl Test<'_> {
    async fn all(&mut self, is_free: bool) {
        let plugin = &self.active.plugin;
        let key = self.check(SERVICE, "key", account(plugin)).await;
        self.check(SERVICE, "models", models(plugin)).await;
        let is_refused = key == Some(Exit::Auth);
        let left_out = match (is_refused, is_free) {
            // Nothing else would come of any of them.
            (true, _) => Some("not tried, because the key was refused"),
            (false, true) => Some("not tried, because of `--free`"),
            (false, false) => None,
        };
        if is_refused {
            self.rows.skip(SERVICE, "credits", left_out.unwrap_or_default());
            self.rows.skip(SERVICE, "unknown_model", left_out.unwrap_or_default());
        } else {
            self.check(SERVICE, "credits", credits(plugin)).await;
            self.check(SERVICE, "unknown_model", unknown_model(self.active)).await;
        }
        if let Some(reason) = left_out {
            for (group, id) in BILLED {
                self.rows.skip(group, id, reason);
            }
            return;
        }
        self.check_billed(ANSWERS, "whole_answer", whole_answer(self.active))
            .await;
        self.check_billed(ANSWERS, "streamed_answer", streamed_answer(self.active))
            .await;
        self.check(ANSWERS, "cancelled_stream", cancelled_stream(self.active))
            .await;
        self.check_billed(ANSWERS, "auto_router", auto_router(self.active))
            .await;
        for tier in TRIED_TIERS {
            self.check_billed(TIERS, &format!("tier:{tier}"), tier_answer(self.active, tier))
                .await;
        }
        self.check_billed(ABILITIES, "tool_call", tool_call(self.active)).await;
        self.check_billed(ABILITIES, "structured_output", structured_output(self.active))
            .await;
    }

    /// A check whose answers are billed: they come with it.
    async fn check_billed(
        &mut self,
        group: &str,
        id: &str,
        work: impl Future<Output = Result<(Outcome, Vec<ChatReply>), Failure>>,
    ) {
        let mut replies = Vec::new();
        let kept = &mut replies;
        let work = async {
            let (outcome, answered) = work.await?;
            *kept = answered;
            Ok(outcome)
        };
        self.check(group, id, work).await;
        for reply in replies {
            match reply.done.usage.and_then(|usage| usage.cost_usd) {
                Some(cost) => self.billed.push(cost),
                None => self.n_untold += 1,
            }
        }
    }

    /// Makes a row of a check; how it failed, if it did.
    async fn check(
        &mut self,
        group: &str,
        id: &str,
        work: impl Future<Output = Result<Outcome, Failure>>,
    ) -> Option<Exit> {
        let begun = Instant::now();
        let what = format!("trying: {}", id.replace([':', '_'], " "));
        let wait = Wait {
            what: &what,
            resumes_at: None,
        };
        let outcome = progress::while_waiting(wait, tokio::time::timeout(CHECK_LIMIT, work)).await;
        let (status, summary, remedy) = match outcome {
            Ok(Ok(Outcome::Ok(summary))) => (FindingStatus::Ok, summary, None),
            Ok(Ok(Outcome::Doubtful(summary, remedy))) => (FindingStatus::Warning, summary, Some(remedy.to_owned())),
            Ok(Ok(Outcome::Skipped(summary))) => (FindingStatus::Skipped, summary, None),
            Ok(Err(failure)) => return self.failed(group, id, &failure, begun),
            Err(_) => {
                let limit = CHECK_LIMIT.as_secs();
                let failure = Failure::new(Exit::Transient, format!("no end within {limit} s"))
                    .with_hint("try again with `-vv`, which shows what it waits for");
                return self.failed(group, id, &failure, begun);
            }
        };
        self.rows.push(Finding {
            id: id.to_owned(),
            group: group.to_owned(),
            status,
            summary,
            remedy,
            duration_ms: time::elapsed_ms(begun),
        });
        None
    }

    fn failed(&mut self, group: &str, id: &str, failure: &Failure, begun: Instant) -> Option<Exit> {
        self.rows.failed(group, id, failure);
        if let Some(last) = self.rows.findings.last_mut() {
            last.duration_ms = time::elapsed_ms(begun);
        }
        Some(failure.exit)
    }
}

/// A plugin need not have every method; that is nothing wrong.
fn supported<T>(result: Result<T, Error>) -> Result<Option<T>, Failure> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind == ErrorKind::UNSUPPORTED => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn skipped(what: &str) -> Outcome {
    Outcome::Skipped(format!("the plugin cannot {what}"))
}

async fn account(plugin: &Plugin) -> Result<Outcome, Failure> {
    let Some(account) = supported(plugin.account().await)? else {
        return Ok(skipped("ask about its key"));
    };
    let label = account.label.as_deref().unwrap_or("it has no name");
    let left = account.remaining_usd.map_or_else(
        || "no limit of its own".to_owned(),
        |amount| format!("${amount} left of its limit"),
    );
    Ok(Outcome::Ok(format!("the service knows it: {label}, {left}")))
}

async fn models(plugin: &Plugin) -> Result<Outcome, Failure> {
    let request = ModelsRequest {
        force: true,
        raw: false,
    };
    let Some(list) = supported(plugin.models(request).await)? else {
        return Ok(skipped("list its models"));
    };
    let n_models = list.models.len();
    if let Some(problem) = list.problem.filter(|_| list.is_stale) {
        return Ok(Outcome::Doubtful(
            format!(
                "{n_models} listed, but the list is {}: {problem}",
                time::age(list.age_ms)
            ),
            "try again later",
        ));
    }
    let of = |ability: &str| {
        let has = |known: &Vec<String>| known.iter().any(|word| word == ability);
        list.models.iter().filter(|model| has(&model.abilities)).count()
    };
    if n_models == 0 {
        return Ok(Outcome::Doubtful(
            "the list is empty".to_owned(),
            "look whether the profile or a variable restricts it",
        ));
    }
    Ok(Outcome::Ok(format!(
        "{n_models} listed, {} with tools, {} with vision, {} free",
        of("tools"),
        of("vision"),
        of("free")
    )))
}

async fn credits(plugin: &Plugin) -> Result<Outcome, Failure> {
    let Some(credits) = supported(plugin.credits(CreditsRequest { force: true }).await)? else {
        return Ok(skipped("ask about its credit"));
    };
    let of = match credits.source.as_deref() {
        Some("key") => "of the key's own limit",
        _ => "in the account",
    };
    Ok(match (credits.balance_usd, credits.status) {
        (None, _) => {
            let reason = credits.problem.unwrap_or_else(|| "the service does not say".to_owned());
            Outcome::Skipped(format!("the balance is unknown: {reason}"))
        }
        (Some(balance), plugin_api::CreditStatus::Red) => {
            Outcome::Doubtful(format!("${balance} {of}, which is little"), "add credit before it ends")
        }
        (Some(balance), _) => Outcome::Ok(format!("${balance} {of}")),
    })
}

/// Fields of a request.
fn fields(values: serde_json::Value) -> Parameters {
    let members = values.as_object().cloned().unwrap_or_default();
    // Writing values cannot fail.
    members
        .into_iter()
        .filter_map(|(name, value)| Some((name, to_raw_value(&value).ok()?)))
        .collect()
}

fn limited(max_tokens: u64) -> Parameters {
    fields(json!({"max_tokens": max_tokens}))
}

fn ping() -> Vec<Message> {
    vec![Message::user("Answer with the one word: pong")]
}

/// The tier that is asked for what is no matter of a tier.
fn usual(active: &Active) -> Option<&str> {
    tiers::find(&active.tiers, "small").map(|tier| tier.tier.as_str())
}

/// `acme/small via Acme: 12→3 tokens, $0.0001`
fn served(reply: &ChatReply) -> String {
    let done = &reply.done;
    let model = done
        .model
        .as_deref()
        .or(done.requested_model.as_deref())
        .unwrap_or("an unnamed model");
    let via = done
        .provider
        .as_deref()
        .map_or_else(String::new, |provider| format!(" via {provider}"));
    match &done.usage {
        None => format!("{model}{via}, tokens and cost not told"),
        Some(usage) => {
            let cost = usage
                .cost_usd
                .as_deref()
                .map_or_else(|| "cost not told".to_owned(), |cost| format!("${cost}"));
            format!(
                "{model}{via}, {}→{} tokens, {cost}",
                usage.prompt_tokens, usage.completion_tokens
            )
        }
    }
}

/// What an answer that is only to be there is worth.
fn answered(reply: ChatReply) -> (Outcome, Vec<ChatReply>) {
    let summary = served(&reply);
    let outcome = if !reply.text.trim().is_empty() {
        Outcome::Ok(summary)
    } else {
        Outcome::Doubtful(
            format!(
                "an answer without text, ended by {}: {summary}",
                reply.done.finish_reason
            ),
            "a model that reasons may need more tokens; ask it something with `agent-host chat`",
        )
    };
    (outcome, vec![reply])
}

type Billed = Result<(Outcome, Vec<ChatReply>), Failure>;

async fn whole_answer(active: &Active) -> Billed {
    let request = request(usual(active), None, &ping(), &limited(SHORT_TOKENS))?;
    Ok(answered(active.plugin.chat(&request).await?))
}

async fn streamed_answer(active: &Active) -> Billed {
    let messages = [Message::user("Count from 1 to 20 in words, separated by commas.")];
    let request = request(usual(active), None, &messages, &limited(SHORT_TOKENS))?;
    let mut events = active.plugin.stream(&request).await?;
    let mut reply = ChatReply::default();
    let mut arrivals: Vec<Instant> = Vec::new();
    while let Some(event) = events.next().await {
        let event = event?;
        if matches!(event, ChatEvent::Text(_) | ChatEvent::Reasoning(_)) {
            arrivals.push(Instant::now());
        }
        reply.add(event);
    }
    let spread_ms = match (arrivals.first(), arrivals.last()) {
        (Some(first), Some(last)) => last.duration_since(*first).as_millis(),
        _ => 0,
    };
    let summary = format!("{} pieces within {spread_ms} ms: {}", arrivals.len(), served(&reply));
    let is_told = reply.done.usage.as_ref().is_some_and(|usage| usage.cost_usd.is_some());
    let outcome = if reply.text.trim().is_empty() {
        return Ok(answered(reply));
    } else if arrivals.len() < 2 {
        Outcome::Doubtful(
            format!("the answer came in one piece: {}", served(&reply)),
            "a proxy on the way may hold streams back",
        )
    } else if !is_told {
        Outcome::Doubtful(summary, "the service did not tell what the answer cost")
    } else {
        Outcome::Ok(summary)
    };
    Ok((outcome, vec![reply]))
}

/// A stream that is dropped after its first piece must be gone at once, and must not take the plugin with it.
async fn cancelled_stream(active: &Active) -> Result<Outcome, Failure> {
    let messages = [Message::user("Write the numbers from 1 to 500 in words.")];
    let request = request(usual(active), None, &messages, &limited(REASONING_TOKENS))?;
    let mut events = active.plugin.stream(&request).await?;
    let mut has_begun = false;
    while let Some(event) = events.next().await {
        match event? {
            ChatEvent::Text(_) | ChatEvent::Reasoning(_) => {
                has_begun = true;
                break;
            }
            ChatEvent::Done(_) => break,
            _ => {}
        }
    }
    let begun = Instant::now();
    drop(events);
    let gone = begun.elapsed();
    if !has_begun {
        return Ok(Outcome::Skipped(
            "the answer was over before it could be cancelled".to_owned(),
        ));
    }
    // The plugin still answers.
    match active.plugin.tiers().await {
        Err(error) if error.kind != ErrorKind::UNSUPPORTED => return Err(error.into()),
        _ => {}
    }
    if gone > CANCEL_LIMIT {
        let gone_ms = u64::try_from(gone.as_millis()).unwrap_or(u64::MAX);
        return Ok(Outcome::Doubtful(
            format!("it took {} to be gone", terminal::seconds(gone_ms)),
            "report it with what `-vv` shows",
        ));
    }
    Ok(Outcome::Ok(
        "gone at once after its first piece; what had been written until then is billed".to_owned(),
    ))
}

/// The service's own choice of a model, where it has one: by the name that plugins know it by, or as it is listed.
async fn auto_router(active: &Active) -> Billed {
    let request = request(None, Some("auto"), &ping(), &limited(SHORT_TOKENS))?;
    match active.plugin.chat(&request).await {
        Ok(reply) => {
            let (outcome, replies) = answered(reply);
            let named = replies
                .first()
                .and_then(|reply| reply.done.model.clone())
                .filter(|model| !model.ends_with("auto"));
            Ok(match (outcome, named) {
                (Outcome::Ok(summary), None) => (
                    Outcome::Doubtful(summary, "the service did not say which model it chose"),
                    replies,
                ),
                (outcome, _) => (outcome, replies),
            })
        }
        Err(error) if error.kind == ErrorKind::NOT_FOUND => {
            let outcome = Outcome::Skipped("the service chooses no model by itself".to_owned());
            Ok((outcome, Vec::new()))
        }
        Err(error) => Err(error.into()),
    }
}

async fn tier_answer(active: &Active, name: &str) -> Billed {
    let Some(tier) = tiers::find(&active.tiers, name) else {
        return Ok((Outcome::Skipped("the plugin has no such tier".to_owned()), Vec::new()));
    };
    let max_tokens = if name == "reasoning" {
        REASONING_TOKENS
    } else {
        SHORT_TOKENS
    };
    let request = request(Some(&tier.tier), None, &ping(), &limited(max_tokens))?;
    Ok(answered(active.plugin.chat(&request).await?))
}

async fn tool_call(active: &Active) -> Billed {
    let mut parameters = fields(json!({
        "max_tokens": REASONING_TOKENS,
        "tools": [Tool::Calc.description()],
    }));
    let mut messages = vec![Message::user(
        "Use the tool to calculate 1234 * 5678, then answer with the result.",
    )];
    let first = {
        let mut parameters = parameters.clone();
        parameters.append(&mut fields(json!({"tool_choice": "required"})));
        let request = request(usual(active), None, &messages, &parameters)?;
        active.plugin.chat(&request).await?
    };
    let (Some(call), n_calls) = (first.tool_calls.first(), first.tool_calls.len()) else {
        let summary = format!("the model answered without the tool: {}", served(&first));
        let outcome = Outcome::Doubtful(summary, "`agent-host models --tools` lists models that can call tools");
        return Ok((outcome, vec![first]));
    };
    messages.push(Message::assistant(&first));
    let name = call.name.clone();
    let mut results = Vec::new();
    for call in &first.tool_calls {
        let outcome = tools::run(&[Tool::Calc], &call.name, &call.arguments, SystemTime::now());
        messages.push(Message::tool(call.id.as_str(), outcome.result.as_str()));
        results.push(outcome.result);
    }
    parameters.append(&mut fields(json!({"tool_choice": "none"})));
    let request = request(usual(active), None, &messages, &parameters)?;
    let second = active.plugin.chat(&request).await?;
    let summary = format!(
        "{name} called {n_calls}×, {}, then {}",
        results.join(", "),
        served(&second)
    );
    let outcome = if second.text.trim().is_empty() {
        Outcome::Doubtful(summary, "no answer followed the tool's result; try another model")
    } else {
        Outcome::Ok(summary)
    };
    Ok((outcome, vec![first, second]))
}

async fn structured_output(active: &Active) -> Billed {
    const SCHEMA: &str = r#"{
        "title": "city",
        "type": "object",
        "properties": {"name": {"type": "string"}, "population": {"type": "integer"}},
        "required": ["name", "population"],
        "additionalProperties": false
    }"#;
    let schema = Schema::parse(SCHEMA, "city").map_err(|reason| Failure::new(Exit::Internal, reason))?;
    let parameters = fields(json!({
        "max_tokens": REASONING_TOKENS,
        "response_format": schema.response_format(),
    }));
    let messages = [Message::user("Paris and its population, as JSON.")];
    let request = request(usual(active), None, &messages, &parameters)?;
    let reply = active.plugin.chat(&request).await?;
    let mismatches = schema.mismatches(&reply.text);
    let outcome = match mismatches.first() {
        None => Outcome::Ok(format!("the answer fits its schema: {}", served(&reply))),
        Some(first) => Outcome::Doubtful(
            format!("the answer does not fit its schema: {}", first.message),
            "`agent-host models --structured` lists models that keep to one",
        ),
    };
    Ok((outcome, vec![reply]))
}

/// A mistake must be told as one, with its code, and not be answered by another model.
async fn unknown_model(active: &Active) -> Result<Outcome, Failure> {
    let request = request(None, Some(UNKNOWN_MODEL), &ping(), &limited(16))?;
    match active.plugin.chat(&request).await {
        Ok(reply) => Err(Failure::new(
            Exit::Internal,
            format!("a model that does not exist answered: {}", served(&reply)),
        )
        .with_hint("look for a list of fallback models that holds for every request")),
        Err(error) if [ErrorKind::NOT_FOUND, ErrorKind::INVALID_REQUEST].contains(&error.kind) => {
            let code = error.kind.code();
            Ok(Outcome::Ok(format!(
                "refused with `{code}`, as it should be: {}",
                error.message
            )))
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use plugin_api::{Done, Usage};

    use super::*;

    #[test]
    fn costs_are_added_up_and_what_was_not_told_is_said() {
        let cost = sum(&["0.1".to_owned(), "0.02".to_owned()]);
        assert_eq!(cost.as_deref(), Some("0.12"));
        assert_eq!(sum(&["much".to_owned()]), None);
        let line = |n_untold| cost_line(cost.clone(), n_untold);
        assert_eq!(line(0).as_deref(), Some("it cost $0.12 in all"));
        assert_eq!(
            line(2).as_deref(),
            Some("it cost $0.12 in all, and 2 answers whose cost was not told")
        );
        assert_eq!(cost_line(None, 0), None);
    }

    #[test]
    fn an_answer_without_text_is_doubtful_and_one_with_text_is_not() {
        let mut reply = ChatReply {
            done: Done {
                finish_reason: "length".to_owned(),
                model: Some("acme/small".to_owned()),
                usage: Some(Usage {
                    prompt_tokens: 9,
                    completion_tokens: 3,
                    ..Usage::default()
                }),
                ..Done::default()
            },
            ..ChatReply::default()
        };
        assert!(matches!(
            answered(reply.clone()).0,
            Outcome::Doubtful(summary, _) if summary == "an answer without text, ended by length: acme/small, 9→3 tokens, cost not told"
        ));
        reply.text = "pong".to_owned();
        assert!(matches!(answered(reply).0, Outcome::Ok(_)));
    }
}
