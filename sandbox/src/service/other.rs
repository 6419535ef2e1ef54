//! Answers requests for something else than text: vectors, an order of documents, speech.
//!
//! In: a request whose key was accepted. Out: the plan of the reply. What they have in common is here; what each one
//! is stands in a module of its own.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::{
    answer::embeddings,
    answer::rerank,
    answer::speech,
    catalogue::{Kind, Model},
    failure::Failure,
    forms::Form,
    forms::stream::add_extra,
    rules,
    rules::request::Preferences,
    service::account::Deed,
    service::chat,
    service::routing,
    service::{JSON, Plan, Received, Service},
};

/// Answers a request for something else than text.
pub(crate) fn plan(service: &Service, received: &Received, kind: Kind) -> Result<Plan, Failure> {
    let body = rules::object_from(received.content_type.as_deref(), &received.body)?;
    match kind {
        Kind::Embeddings => {
            let embed = embeddings::check(&body)?;
            let asking = Asking::new(service, kind, &embed.model_id, &embed.routing)?;
            let reply = embeddings::body_from(&embed, &asking.model, &asking.id, asking.provider)?;
            Ok(asking.answered_with(service, "embeddings", &reply))
        }
        Kind::Rerank => {
            let rerank = rerank::check(&body)?;
            let asking = Asking::new(service, kind, &rerank.model_id, &rerank.routing)?;
            let reply = rerank::body_from(&rerank, &asking.model, &asking.id, asking.provider);
            Ok(asking.answered_with(service, "rerank", &reply))
        }
        Kind::Speech => {
            let speech = speech::check(&body)?;
            let asking = Asking::new(service, kind, &speech.model_id, &Preferences::default())?;
            let usage = json!({"prompt_tokens": speech.tokens(), "cost": speech.cost_usd(&asking.model)});
            asking.remember(service, "tts", &usage);
            Ok(asking.answered(service, speech.content_type, speech.bytes()))
        }
        // Chat has a route of its own.
        Kind::Chat => chat::plan(service, received, Form::Chat),
    }
}

/// A request that is not chat, with the model that answers it.
struct Asking {
    model: Model,
    provider: &'static str,
    /// Of the generation.
    id: String,
}

impl Asking {
    /// - Errors: what the script of the model fails with; 400 for a model of another kind; 404 without a provider.
    fn new(service: &Service, kind: Kind, model_id: &str, preferences: &Preferences) -> Result<Self, Failure> {
        let model = service.find(model_id);
        if model.is_some()
            && let Some(failure) = service.take_failure(model_id)
        {
            return Err(failure);
        }
        let model = routing::model_for(kind, model_id, model)?;
        let provider = routing::provider_name(preferences, &model)?;
        let id = service.account().next_id();
        Ok(Self { model, provider, id })
    }

    fn remember(&self, service: &Service, api_type: &'static str, usage: &Value) {
        let deed = Deed {
            api_type,
            id: &self.id,
            model_id: &self.model.id,
            provider: self.provider,
            streamed: false,
            session_id: None,
            user: None,
            finish_reason: None,
        };
        let nothing = Map::new();
        service.account().remember(&deed, usage.as_object().unwrap_or(&nothing));
    }

    fn answered_with(&self, service: &Service, api_type: &'static str, reply: &Value) -> Plan {
        self.remember(service, api_type, &reply["usage"]);
        let mut reply = reply.clone();
        add_extra(&mut reply, &service.script_of(&self.model.id).extra);
        self.answered(service, JSON, Bytes::from(reply.to_string()))
    }

    fn answered(&self, service: &Service, content_type: &'static str, bytes: Bytes) -> Plan {
        let script = service.script_of(&self.model.id);
        let wait = Duration::from_millis(script.start_delay_ms);
        let mut plan = chat::whole(&script, content_type, bytes, wait);
        plan.headers.push(("x-generation-id".to_owned(), self.id.clone()));
        plan
    }
}
