//! Answers requests for something other than text: vectors, an order of documents, sound, pictures.
//!
//! In: a request whose key was accepted. Out: the plan of the reply. [`crate::answer`] makes what each one sends;
//! models, providers, ids and costs are handled here for all of them.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{
    account::Summary,
    plan::{JSON, Plan, Received, scripted_plan},
    routing,
    state::Service,
};
use crate::{
    answer::{embeddings, media, rerank, speech},
    catalogue::{Kind, Model},
    failure::Failure,
    forms::stream::add_extra,
    rules::{self, request::Preferences},
};

pub(super) fn embeddings(service: &Service, received: &Received) -> Result<Plan, Failure> {
    let embed = embeddings::check(&body_of(received)?)?;
    let serving = Serving::new(service, Kind::Embeddings, &embed.model_id, &embed.routing)?;
    let reply = embeddings::body_from(&embed, &serving.model, &serving.id, serving.provider)?;
    Ok(serving.answered_with(service, "embeddings", reply))
}

pub(super) fn rerank(service: &Service, received: &Received) -> Result<Plan, Failure> {
    let rerank = rerank::check(&body_of(received)?)?;
    let serving = Serving::new(service, Kind::Rerank, &rerank.model_id, &rerank.routing)?;
    let reply = rerank::body_from(&rerank, &serving.model, &serving.id, serving.provider);
    Ok(serving.answered_with(service, "rerank", reply))
}

pub(super) fn speech(service: &Service, received: &Received) -> Result<Plan, Failure> {
    let speech = speech::check(&body_of(received)?)?;
    let serving = Serving::new(service, Kind::Speech, &speech.model_id, &Preferences::default())?;
    serving.remember(service, "tts", &speech.usage(&serving.model));
    Ok(serving.answered(service, speech.content_type, speech.bytes()))
}

/// Transcripts, pictures or videos.
pub(super) fn media(service: &Service, received: &Received, kind: Kind) -> Result<Plan, Failure> {
    let asked = media::check(&body_of(received)?, kind)?;
    let serving = Serving::new(service, kind, &asked.model_id, &Preferences::default())?;
    let usage = asked.usage(&serving.model);
    let (status, reply) = asked.reply(&serving.id, &usage);
    let (_, outputs, _) = kind.words();
    serving.remember(service, outputs[0], &usage);
    let plan = serving.answered(service, JSON, Bytes::from(reply.to_string()));
    Ok(Plan { status, ..plan })
}

pub(super) fn body_of(received: &Received) -> Result<Map<String, Value>, Failure> {
    rules::object_from(received.content_type.as_deref(), &received.body)
}

/// A checked request, with the model that answers it.
struct Serving {
    model: Model,
    provider: &'static str,
    /// The id of the generation.
    id: String,
}

impl Serving {
    /// - Errors: the failure in the model's script; 400 for a model of another kind; 404 without a provider.
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
        let summary = Summary {
            api_type,
            id: &self.id,
            model_id: &self.model.id,
            provider: self.provider,
            ..Summary::default()
        };
        let usage = usage.as_object().expect("the usage of a reply is an object");
        service.account().remember(&summary, usage);
    }

    fn answered_with(&self, service: &Service, api_type: &'static str, mut reply: Value) -> Plan {
        self.remember(service, api_type, &reply["usage"]);
        add_extra(&mut reply, &service.script_of(&self.model.id).extra);
        self.answered(service, JSON, Bytes::from(reply.to_string()))
    }

    fn answered(&self, service: &Service, content_type: &'static str, bytes: Bytes) -> Plan {
        let script = service.script_of(&self.model.id);
        let wait = Duration::from_millis(script.start_delay_ms);
        let mut plan = scripted_plan(&script, content_type, bytes, wait);
        plan.headers.push(("x-generation-id".to_owned(), self.id.clone()));
        plan
    }
}
