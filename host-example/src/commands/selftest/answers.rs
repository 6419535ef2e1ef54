//! Checks of answers, which are billed.

use std::time::{Duration, Instant};

use plugin_api::{ChatEvent, ChatReply, CreditsRequest, ErrorKind, Message};
use serde_json::json;

use super::outcome::{Billed, Outcome, answered, served, supported};
use super::service::UNKNOWN_MODEL;
use super::small::{REASONING_TOKENS, SHORT_TOKENS, asked, limited, ping, row_of, usual};
use crate::agents::{Definition, Reach, Toolbox, Wish};
use crate::setup::{Active, tiers};
use crate::talk::answer::request;
use crate::talk::calc;
use crate::talk::parameters::fields;
use crate::talk::structured::Schema;
use crate::terminal::{self, Failure};

/// How long dropping a stream may take.
const CANCEL_LIMIT: Duration = Duration::from_secs(1);

pub async fn whole_answer(active: &Active) -> Billed {
    let request = request(usual(active), None, &ping(), &limited(SHORT_TOKENS))?;
    Ok(answered(asked(active, &request).await?))
}

pub async fn streamed_answer(active: &Active) -> Billed {
    let messages = [Message::user("Count from 1 to 20 in words, separated by commas.")];
    let request = request(usual(active), None, &messages, &limited(SHORT_TOKENS))?;
    let mut row = row_of(active, &request);
    let mut events = active
        .plugin
        .stream(&request)
        .await
        .inspect_err(|error| row.failed(error))?;
    let mut reply = ChatReply::default();
    let mut arrivals: Vec<Instant> = Vec::new();
    while let Some(event) = events.next().await {
        let event = event.inspect_err(|error| row.failed(error))?;
        if matches!(event, ChatEvent::Text(_) | ChatEvent::Reasoning(_)) {
            arrivals.push(Instant::now());
        }
        reply.add(event);
    }
    row.complete(&reply.done);
    let spread_ms = match (arrivals.first(), arrivals.last()) {
        (Some(first), Some(last)) => last.duration_since(*first).as_millis(),
        _ => 0,
    };
    let summary = format!("{} chunks within {spread_ms} ms: {}", arrivals.len(), served(&reply));
    let has_cost = reply.done.usage.as_ref().is_some_and(|usage| usage.cost_usd.is_some());
    let outcome = if reply.text.trim().is_empty() {
        return Ok(answered(reply));
    } else if arrivals.len() < 2 {
        Outcome::Doubtful(
            format!("the answer arrived in one chunk: {}", served(&reply)),
            "a proxy may be buffering streams",
        )
    } else if !has_cost {
        Outcome::Doubtful(summary, "the service did not report the cost")
    } else {
        Outcome::Ok(summary)
    };
    Ok((outcome, vec![reply]))
}

/// The credit must fall by what an answer costs.
pub async fn credit_update(active: &Active) -> Billed {
    let plugin = &active.plugin;
    let balance = async || -> Result<Option<String>, Failure> {
        let credits = supported(plugin.credits(CreditsRequest::default()).await)?;
        Ok(credits.and_then(|credits| credits.balance_usd))
    };
    let before = balance().await?;
    let request = request(usual(active), None, &ping(), &limited(SHORT_TOKENS))?;
    let reply = asked(active, &request).await?;
    let after = balance().await?;
    let cost = reply.done.usage.as_ref().and_then(|usage| usage.cost_usd.clone());
    let (Some(before), Some(after)) = (before, after) else {
        return Ok((Outcome::Skipped("the balance is unknown".to_owned()), vec![reply]));
    };
    let fall = calc::calculate(&format!("{before} - {after}")).map_err(Failure::internal)?;
    let outcome = match cost {
        None => Outcome::Doubtful(
            format!("the balance fell by ${fall}"),
            "the service did not report the cost",
        ),
        Some(cost) if calc::sum([cost.as_str()]).as_deref() == Some(fall.as_str()) => {
            Outcome::Ok(format!("the balance fell by the cost, ${fall}"))
        }
        Some(cost) => Outcome::Doubtful(
            format!("an answer cost ${cost}, and the balance fell by ${fall}"),
            "another program may use the same account; run it again",
        ),
    };
    Ok((outcome, vec![reply]))
}

/// Where the service does not know a model, the next one that the request names must answer, and say so.
pub async fn fallback(active: &Active) -> Billed {
    let Some(small) = tiers::find(&active.tiers, "small") else {
        return Ok((Outcome::Skipped("the plugin has no such tier".to_owned()), Vec::new()));
    };
    let parameters = fields(json!({"max_tokens": SHORT_TOKENS, "models": [small.wire]}));
    let request = request(None, Some(UNKNOWN_MODEL), &ping(), &parameters)?;
    let reply = asked(active, &request).await?;
    let outcome = match terminal::fallback(&reply.done, &[]) {
        Some(steps) => Outcome::Ok(steps),
        None => Outcome::Doubtful(
            format!(
                "another model answered, and the answer does not say why: {}",
                served(&reply)
            ),
            "`agent-host fallback test` tries each model of a chain",
        ),
    };
    Ok((outcome, vec![reply]))
}

/// Dropping a stream after its first piece must return at once, and must leave the plugin working.
pub async fn cancelled_stream(active: &Active) -> Result<Outcome, Failure> {
    let messages = [Message::user("Write the numbers from 1 to 500 in words.")];
    let request = request(usual(active), None, &messages, &limited(REASONING_TOKENS))?;
    let mut row = row_of(active, &request);
    let mut events = active
        .plugin
        .stream(&request)
        .await
        .inspect_err(|error| row.failed(error))?;
    let mut has_begun = false;
    while let Some(event) = events.next().await {
        match event.inspect_err(|error| row.failed(error))? {
            ChatEvent::Text(_) | ChatEvent::Reasoning(_) => {
                has_begun = true;
                break;
            }
            ChatEvent::Done(done) => {
                row.complete(&done);
                break;
            }
            _ => {}
        }
    }
    let begun = Instant::now();
    drop(events);
    let gone = begun.elapsed();
    if !has_begun {
        return Ok(Outcome::Skipped(
            "the answer ended before it could be cancelled".to_owned(),
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
            format!("cancelling took {}", terminal::seconds(gone_ms)),
            "report it with the output of `-vv`",
        ));
    }
    Ok(Outcome::Ok(
        "cancelled at once after the first chunk; output up to then is billed".to_owned(),
    ))
}

/// The service's own choice of a model, if it has an auto router.
pub async fn auto_router(active: &Active) -> Billed {
    let request = request(None, Some("auto"), &ping(), &limited(SHORT_TOKENS))?;
    let reply = match asked(active, &request).await {
        Err(error) if error.kind == ErrorKind::NOT_FOUND => {
            let outcome = Outcome::Skipped("the service has no auto router".to_owned());
            return Ok((outcome, Vec::new()));
        }
        reply => reply?,
    };
    let is_named = reply.done.model.as_ref().is_some_and(|model| !model.ends_with("auto"));
    Ok(match answered(reply) {
        (Outcome::Ok(summary), replies) if !is_named => {
            let doubt = "the service did not report which model it chose";
            (Outcome::Doubtful(summary, doubt), replies)
        }
        answered => answered,
    })
}

pub async fn tier_answer(active: &Active, name: &str) -> Billed {
    let Some(tier) = tiers::find(&active.tiers, name) else {
        return Ok((Outcome::Skipped("the plugin has no such tier".to_owned()), Vec::new()));
    };
    let max_tokens = if name == "reasoning" {
        REASONING_TOKENS
    } else {
        SHORT_TOKENS
    };
    let request = request(Some(&tier.tier), None, &ping(), &limited(max_tokens))?;
    Ok(answered(asked(active, &request).await?))
}

pub async fn tool_call(active: &Active) -> Billed {
    let definition = Definition {
        tools: vec![Wish::Named("calc".to_owned())],
        ..Definition::default()
    };
    let toolbox = Toolbox::open(&definition, &Reach::default()).await?;
    let mut parameters = fields(json!({
        "max_tokens": REASONING_TOKENS,
        "tools": toolbox.descriptions(),
    }));
    let mut messages = vec![Message::user(
        "Use the tool to calculate 1234 * 5678, then answer with the result.",
    )];
    let first = {
        let mut parameters = parameters.clone();
        parameters.append(&mut fields(json!({"tool_choice": "required"})));
        let request = request(usual(active), None, &messages, &parameters)?;
        asked(active, &request).await?
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
        let outcome = match toolbox.ready(call) {
            Ok(ready) => ready.run(None).await,
            Err(outcome) => outcome,
        };
        messages.push(Message::tool(call.id.as_str(), outcome.result.as_str()));
        results.push(outcome.result);
    }
    parameters.append(&mut fields(json!({"tool_choice": "none"})));
    let request = request(usual(active), None, &messages, &parameters)?;
    let second = asked(active, &request).await?;
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

pub async fn structured_output(active: &Active) -> Billed {
    const SCHEMA: &str = r#"{
        "title": "city",
        "type": "object",
        "properties": {"name": {"type": "string"}, "population": {"type": "integer"}},
        "required": ["name", "population"],
        "additionalProperties": false
    }"#;
    let schema = Schema::parse(SCHEMA, "city").map_err(Failure::internal)?;
    let parameters = fields(json!({
        "max_tokens": REASONING_TOKENS,
        "response_format": schema.response_format(),
    }));
    let messages = [Message::user("Paris and its population, as JSON.")];
    let request = request(usual(active), None, &messages, &parameters)?;
    let reply = asked(active, &request).await?;
    let mismatches = schema.mismatches(&reply.text);
    let outcome = match mismatches.first() {
        None => Outcome::Ok(format!("the answer matches its schema: {}", served(&reply))),
        Some(first) => Outcome::Doubtful(
            format!("the answer does not match its schema: {}", first.message),
            "`agent-host models --structured` lists models that follow one",
        ),
    };
    Ok((outcome, vec![reply]))
}
