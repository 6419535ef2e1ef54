//! Answers a chat request in any form: tries the models and providers that [`routing`] allows until one serves.
//!
//! In: a request whose key was accepted. Out: the plan of the reply, in the form of the request. Nothing waits here.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{
    account::Summary,
    plan::{Body, JSON, Plan, Received, USER_ID, plan as planned, refusal, scripted_plan},
    routing::{self, Candidate},
    state::Service,
};
use crate::{
    answer::{
        self, Served, Turn,
        pieces::pieces,
        reasoning::{self, gist_of},
        usage::usage,
    },
    catalogue::Provider,
    failure::Failure,
    forms::Form,
    rules::{self, request::Chat},
    script::Script,
};

/// Plans the reply to a chat request.
pub(super) fn plan(service: &Service, received: &Received, form: Form) -> Result<Plan, Failure> {
    let body = rules::object_from(received.content_type.as_deref(), &received.body)?;
    let chat = form.chat_from(&body)?;
    let candidates = routing::candidates(&chat, &|id| service.scripted(id))?;

    let mut attempts = Vec::new();
    let mut last = None;
    for (n, candidate) in candidates.iter().enumerate() {
        let script = service.script_of(&candidate.requested);
        if let Err(failure) = model_rules(&script, &chat, candidate, form) {
            if failure.error_type.as_deref() != Some("context_length_exceeded") {
                return Err(failure);
            }
            last = Some(refusal(form, &failure, Some(USER_ID)));
            continue;
        }
        let failure = service.take_failure(&candidate.requested);
        for provider in &candidate.providers {
            let fails =
                script.fail_providers.is_empty() || script.fail_providers.iter().any(|name| provider.answers_to(name));
            let Some(failure) = failure.as_ref().filter(|_| fails) else {
                let strategy = if n > 0 { "fallback" } else { candidate.strategy };
                let served = served(service, received, &script, candidate, provider, strategy, attempts);
                return serve(service, &script, form, &body, &chat, &served);
            };
            attempts.push(attempt(provider.name, &candidate.model.id, failure.status));
            let mut plan = refusal(form, failure, Some(USER_ID));
            plan.wait = Duration::from_millis(script.start_delay_ms);
            if script.error_in_200_body {
                plan.status = 200;
            }
            if script.error_in_200_body || !failure.is_retryable() {
                return Ok(plan);
            }
            last = Some(plan);
            if script.fail_providers.is_empty() {
                break;
            }
        }
    }
    last.ok_or_else(|| Failure::status(503).availability("temporarily_unavailable", true, &chat.models))
}

/// Checks the rules that depend on the model, not on the request alone.
fn model_rules(script: &Script, chat: &Chat, candidate: &Candidate, form: Form) -> Result<(), Failure> {
    let facts = candidate.model.facts;
    let asked = chat.max_tokens.unwrap_or(facts.max_output_tokens);
    if chat.prompt_tokens > facts.context_tokens {
        let message = format!(
            "This endpoint's maximum context length is {} tokens. However, you requested about {} tokens.",
            facts.context_tokens,
            chat.prompt_tokens + chat.max_tokens.unwrap_or(0),
        );
        return Err(Failure::status(400)
            .error_type("context_length_exceeded")
            .message(message));
    }
    if let Some(affordable) = script.affordable_tokens.filter(|affordable| asked > *affordable) {
        let message = format!(
            "This request requires more credits, or fewer max_tokens. You requested up to {asked} tokens, but can only \
             afford {affordable}. To increase, visit https://openrouter.ai/settings/credits and add more credits"
        );
        return Err(Failure::status(402).message(message));
    }
    if script.require_reasoning_details && !chat.tool_results.is_empty() {
        let sent = reasoning::of(script).1;
        let returned = chat.returned_reasoning.as_deref().unwrap_or_default();
        if !is_same_reasoning(form, &sent, returned) {
            let message = "This model requires OpenRouter reasoning details to be preserved in each request: send the \
                           `reasoning_details` of the assistant message back unmodified and in order.";
            return Err(Failure::status(400).message(message));
        }
    }
    Ok(())
}

/// Whether `returned` holds all that was sent. Only chat keeps the order of different kinds and every signature.
fn is_same_reasoning(form: Form, sent: &[Value], returned: &[Value]) -> bool {
    let (sent, returned) = (gist_of(sent), gist_of(returned));
    if form == Form::Chat {
        return sent == returned;
    }
    let words = |gist: &[(String, String, Option<String>)]| -> (String, String) {
        let (encrypted, said): (Vec<_>, Vec<_>) = gist.iter().partition(|(kind, ..)| kind == "reasoning.encrypted");
        let mut said: Vec<&str> = said.iter().map(|(_, words, _)| words.as_str()).collect();
        said.sort_unstable();
        let encrypted: String = encrypted.iter().map(|(_, words, _)| words.as_str()).collect();
        (said.concat(), encrypted)
    };
    words(&sent) == words(&returned)
}

/// One attempt, as `openrouter_metadata.attempts` reports it.
fn attempt(provider: &str, model_id: &str, status: u16) -> Value {
    json!({"provider": provider, "model": model_id, "status": status})
}

/// Who serves the request after these failed `attempts`.
fn served(
    service: &Service,
    received: &Received,
    script: &Script,
    candidate: &Candidate,
    provider: &Provider,
    strategy: &str,
    mut attempts: Vec<Value>,
) -> Served {
    let is_first = candidate.providers[0].slug == provider.slug;
    let names_one = candidate.chosen || !is_first;
    let name = script.provider.clone();
    let name = name.unwrap_or_else(|| if names_one { provider.name } else { "Sandbox" }.to_owned());
    let model_id = script.model_served.as_ref().unwrap_or(&candidate.model.id);

    let metadata = received.wants_metadata.then(|| {
        let endpoint = |other: &str| json!({"provider": other, "model": model_id, "selected": other == name});
        let available: Vec<Value> = if names_one && script.provider.is_none() {
            let providers = candidate.providers.iter();
            providers.map(|provider| endpoint(provider.name)).collect()
        } else {
            vec![endpoint(&name)]
        };
        attempts.push(attempt(&name, model_id, 200));
        json!({
            "requested": candidate.requested,
            "strategy": strategy,
            "region": null,
            "summary": format!("available={}, selected={name}", available.len()),
            "attempt": attempts.len(),
            "is_byok": false,
            "endpoints": {"total": available.len(), "available": available},
            "attempts": attempts,
        })
    });
    Served {
        id: service.account().next_id(),
        model_id: model_id.clone(),
        provider: name,
        model: candidate.model.clone(),
        metadata,
    }
}

fn serve(
    service: &Service,
    script: &Script,
    form: Form,
    asked: &Map<String, Value>,
    chat: &Chat,
    served: &Served,
) -> Result<Plan, Failure> {
    let answer = answer::answer_from(script, chat, &served.model);
    let usage = usage(script, chat, &answer, &served.model);
    let turn = Turn {
        script,
        asked,
        answer: &answer,
        usage: &usage,
        served,
    };
    let summary = Summary {
        api_type: "completions",
        id: &served.id,
        model_id: &served.model_id,
        provider: &served.provider,
        streamed: chat.stream,
        session_id: chat.session_id.as_deref(),
        user: chat.user.as_deref(),
        finish_reason: Some((&answer.finish_reason, &answer.native_finish_reason)),
    };
    service.account().remember(&summary, &usage);

    let headers = vec![
        ("x-generation-id".to_owned(), served.id.clone()),
        ("cache-control".to_owned(), "no-cache".to_owned()),
    ];
    if chat.stream {
        let body = Body::Steps {
            content_type: "text/event-stream",
            steps: form.steps_from(&turn),
            coalesce: script.coalesce,
        };
        return Ok(Plan {
            headers,
            ..planned(200, body)
        });
    }
    let bytes = Bytes::from(form.body_from(&turn)?.to_string());
    let n_pieces = pieces(&answer.text, script.chunk_chars).count() as u64;
    let wait_ms = script.start_delay_ms + script.chunk_delay_ms.saturating_mul(n_pieces);
    let plan = scripted_plan(script, JSON, bytes, Duration::from_millis(wait_ms));
    Ok(Plan { headers, ..plan })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasoning_survives_the_way_through_another_form() {
        let sent = [
            json!({"type": "reasoning.text", "text": "b", "signature": "s", "index": 0}),
            json!({"type": "reasoning.summary", "summary": "a", "index": 1}),
            json!({"type": "reasoning.encrypted", "data": "x", "index": 2}),
        ];
        let returned = [
            json!({"type": "reasoning.summary", "summary": "a", "index": 0}),
            json!({"type": "reasoning.text", "text": "b", "index": 1}),
            json!({"type": "reasoning.encrypted", "data": "x", "index": 2}),
        ];
        assert!(is_same_reasoning(Form::Chat, &sent, &sent));
        assert!(!is_same_reasoning(Form::Chat, &sent, &returned));
        assert!(is_same_reasoning(Form::Responses, &sent, &returned));
        assert!(!is_same_reasoning(Form::Responses, &sent, &returned[..2]));
    }
}
