//! Third-party clients, each used as in its own examples.

use std::sync::Arc;

use async_openai::config::OpenAIConfig;
use async_openai::types::chat::{
    ChatCompletionRequestUserMessage, CreateChatCompletionRequest, CreateChatCompletionRequestArgs,
};
use futures_util::StreamExt;
use genai::adapter::AdapterKind;
use genai::chat::{ChatMessage, ChatStreamEvent};
use genai::resolver::{AuthData, Endpoint, ServiceTargetResolver};
use genai::{ModelIden, ServiceTarget};
use openrouter_api::types::chat::{ChatRole, MessageContent};
use openrouter_api::{OpenRouterClient, Ready};
use openrouter_rs::api::chat;
use openrouter_rs::types::Role;
use plugin_api::BoxFuture;

use crate::bench::{Ask, Failure, Heard, KEY, Row, Way};

const HELLO: &str = "Hello";

/// A row for each peer, asking the service at `base_url`.
pub fn rows(base_url: &str) -> Vec<Row> {
    vec![
        Row {
            name: "openrouter-rs 0.23.0",
            way: OpenrouterRs::new(base_url).map(boxed),
        },
        Row {
            name: "openrouter_api 0.7.1",
            way: OpenrouterApi::new(base_url).map(boxed),
        },
        Row {
            name: "async-openai 0.43.0",
            way: Ok(boxed(AsyncOpenai::new(base_url))),
        },
        Row {
            name: "genai 0.7.2",
            way: Genai::new(base_url).map(boxed),
        },
    ]
}

fn boxed(way: impl Way + 'static) -> Arc<dyn Way> {
    Arc::new(way)
}

/// `openrouter-rs`, for OpenRouter alone.
///
/// It copies a chunk to a line, then to a frame, its choices to JSON values, and those to their types. A failure in the
/// middle of a stream is an error if its chunk has no choices; otherwise the caller has to check the finish reason. A
/// stream that is cut ends as if it were complete.
struct OpenrouterRs(openrouter_rs::OpenRouterClient);

impl OpenrouterRs {
    fn new(base_url: &str) -> Result<Self, Failure> {
        let client = openrouter_rs::OpenRouterClient::builder()
            .base_url(base_url)
            .api_key(KEY)
            .build()?;
        Ok(Self(client))
    }
}

impl Way for OpenrouterRs {
    fn ask<'a>(&'a self, ask: Ask, heard: &'a mut Heard) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let request = chat::ChatCompletionRequest::builder()
                .model(ask.model)
                .messages(vec![chat::Message::new(Role::User, HELLO)])
                .build()?;
            if !ask.stream {
                let response = self.0.chat().create(&request).await?;
                let choice = response.choices.first().ok_or("no choice")?;
                heard.piece(choice.content().unwrap_or_default());
                return Ok(());
            }
            let mut chunks = self.0.chat().stream(&request).await?;
            while let Some(chunk) = chunks.next().await {
                for choice in &chunk?.choices {
                    heard.piece(choice.content().unwrap_or_default());
                }
            }
            Ok(())
        })
    }
}

/// `openrouter_api`, for OpenRouter alone.
///
/// It copies a chunk to a line and parses that into its types; content is tried as a text, then as a list of parts. It
/// silently skips a chunk that it cannot parse. A stream that is cut ends as if it were complete, and one of more than
/// 10,000 lines is an error. The request is validated; the total timeout is 30 seconds.
struct OpenrouterApi(OpenRouterClient<Ready>);

impl OpenrouterApi {
    fn new(base_url: &str) -> Result<Self, Failure> {
        // Without the trailing slash, `v1` would be replaced.
        Ok(Self(OpenRouterClient::from_api_key_and_url(
            KEY,
            format!("{base_url}/"),
        )?))
    }
}

impl Way for OpenrouterApi {
    fn ask<'a>(&'a self, ask: Ask, heard: &'a mut Heard) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let mut hear = |content: &MessageContent| {
                if let MessageContent::Text(text) = content {
                    heard.piece(text);
                }
            };
            let request = openrouter_api::types::chat::ChatCompletionRequest {
                model: ask.model.to_owned(),
                messages: vec![openrouter_api::types::chat::Message::text(ChatRole::User, HELLO)],
                ..Default::default()
            };
            let chat = self.0.chat()?;
            if !ask.stream {
                let response = chat.chat_completion(request).await?;
                hear(&response.choices.first().ok_or("no choice")?.message.content);
                return Ok(());
            }
            let mut chunks = chat.chat_completion_stream(request);
            while let Some(chunk) = chunks.next().await {
                for choice in &chunk?.choices {
                    choice.delta.content.as_ref().map(&mut hear);
                }
            }
            Ok(())
        })
    }
}

/// `async-openai`, for OpenAI and compatible services.
///
/// A task reads each stream and passes it on through an unbounded channel. A chunk is an event of `eventsource-stream`,
/// parsed into its types; a finish reason that OpenAI does not have is an error. Reading stops at `[DONE]`, which can
/// cost the connection. A stream that is cut ends as if it were complete.
struct AsyncOpenai(async_openai::Client<OpenAIConfig>);

impl AsyncOpenai {
    fn new(base_url: &str) -> Self {
        let config = OpenAIConfig::new().with_api_base(base_url).with_api_key(KEY);
        Self(async_openai::Client::with_config(config))
    }

    fn request(model: &str) -> Result<CreateChatCompletionRequest, Failure> {
        let message = ChatCompletionRequestUserMessage::from(HELLO);
        let mut request = CreateChatCompletionRequestArgs::default();
        Ok(request.model(model).messages([message.into()]).build()?)
    }
}

impl Way for AsyncOpenai {
    fn ask<'a>(&'a self, ask: Ask, heard: &'a mut Heard) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let request = Self::request(ask.model)?;
            if !ask.stream {
                let response = self.0.chat().create(request).await?;
                let choice = response.choices.first().ok_or("no choice")?;
                heard.piece(choice.message.content.as_deref().unwrap_or_default());
                return Ok(());
            }
            let mut chunks = self.0.chat().create_stream(request).await?;
            while let Some(chunk) = chunks.next().await {
                for choice in &chunk?.choices {
                    heard.piece(choice.delta.content.as_deref().unwrap_or_default());
                }
            }
            Ok(())
        })
    }
}

/// `genai`, for many services, OpenRouter among them.
///
/// It copies what arrives to strings several times and parses each event into a JSON value, of which it takes the
/// first choice. A failure in the middle of a stream is an error. Reading stops at `[DONE]`, which can cost the
/// connection, with an `End` event that has the finish reason; a stream that is cut ends without it, which the
/// caller has to notice.
struct Genai(genai::Client);

impl Genai {
    fn new(base_url: &str) -> Result<Self, Failure> {
        let endpoint = Endpoint::from_owned(format!("{base_url}/"));
        let resolver = ServiceTargetResolver::from_resolver_fn(move |target: ServiceTarget| {
            Ok(ServiceTarget {
                endpoint: endpoint.clone(),
                auth: AuthData::from_single(KEY),
                ..target
            })
        });
        Ok(Self(
            genai::Client::builder()
                .with_service_target_resolver(resolver)
                .build()?,
        ))
    }
}

impl Way for Genai {
    fn ask<'a>(&'a self, ask: Ask, heard: &'a mut Heard) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let model = ModelIden::new(AdapterKind::OpenRouter, ask.model);
            let request = genai::chat::ChatRequest::new(vec![ChatMessage::user(HELLO)]);
            if !ask.stream {
                let response = self.0.exec_chat(model, request, None).await?;
                heard.piece(response.first_text().unwrap_or_default());
                return Ok(());
            }
            let mut events = self.0.exec_chat_stream(model, request, None).await?.stream;
            while let Some(event) = events.next().await {
                if let ChatStreamEvent::Chunk(chunk) = event? {
                    heard.piece(&chunk.content);
                }
            }
            Ok(())
        })
    }
}
