//! The ways to compare: each asks the sandbox and passes on the answer's texts as they arrive.

use std::error::Error;

use plugin_api::{BoxFuture, ChatEvent, ChatRequest, Message, Plugin};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, oneshot};

use super::client::Client;

/// Why a way gave no answer.
pub type Failure = Box<dyn Error + Send + Sync>;

/// What one call asks for.
#[derive(Clone, Copy)]
pub struct Ask {
    pub model: &'static str,
    pub stream: bool,
}

/// The text of an answer, as a caller collects it.
#[derive(Default)]
pub struct Heard {
    pub text: String,
    /// Gets a message when the first text arrives.
    pub first: Option<oneshot::Sender<()>>,
}

impl Heard {
    pub fn piece(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.text.push_str(text);
        if let Some(first) = self.first.take() {
            // The other side may have given up.
            let _ = first.send(());
        }
    }
}

/// A client of the sandbox.
pub trait Way: Send + Sync {
    /// Asks once, to the end of the answer, and passes its texts to `heard`.
    fn ask<'a>(&'a self, ask: Ask, heard: &'a mut Heard) -> BoxFuture<'a, Result<(), Failure>>;

    /// Whether it passes on texts at all.
    fn reads_text(&self) -> bool {
        true
    }
}

/// (a) reqwest reads the body and throws it away.
pub struct Discard(pub Client);

impl Way for Discard {
    fn ask<'a>(&'a self, ask: Ask, _: &'a mut Heard) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let mut response = self.0.post(ask).await?;
            while let Some(piece) = response.chunk().await? {
                std::hint::black_box(&piece);
            }
            Ok(())
        })
    }

    fn reads_text(&self) -> bool {
        false
    }
}

/// (b) reqwest with the least parsing that yields the text, in this process and runtime.
pub struct Parse(pub Client);

impl Way for Parse {
    fn ask<'a>(&'a self, ask: Ask, heard: &'a mut Heard) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(self.0.texts(ask, |text| heard.piece(text)))
    }
}

/// (d) Like (b), in a runtime of its own behind a channel: the floor for a library that owns a runtime.
pub struct Apart(pub Client, pub Handle);

impl Way for Apart {
    fn ask<'a>(&'a self, ask: Ask, heard: &'a mut Heard) -> BoxFuture<'a, Result<(), Failure>> {
        let (sender, mut receiver) = mpsc::channel(64);
        let client = self.0.clone();
        let there = self.1.spawn(async move {
            let (texts, mut batches) = mpsc::unbounded_channel();
            let reading = async move {
                client
                    .texts(ask, |text| {
                        let _ = texts.send(text.to_owned());
                    })
                    .await
            };
            let sending = async move {
                let mut batch = Vec::new();
                while batches.recv_many(&mut batch, 64).await > 0 {
                    let _ = sender.send(std::mem::take(&mut batch)).await;
                }
            };
            tokio::join!(reading, sending).0
        });
        Box::pin(async move {
            while let Some(batch) = receiver.recv().await {
                for text in batch {
                    heard.piece(&text);
                }
            }
            there.await?
        })
    }
}

/// A runtime on a thread of its own, which lives as long as the process.
pub fn second_runtime() -> Handle {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let handle = runtime.handle().clone();
    std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
    handle
}

/// (c) The plugin, loaded from its file.
impl Way for Plugin {
    fn ask<'a>(&'a self, ask: Ask, heard: &'a mut Heard) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let mut request = ChatRequest::new(&[Message::user("Hello")])?;
            request.model = Some(ask.model.to_owned());
            if !ask.stream {
                heard.piece(&self.chat(&request).await?.text);
                return Ok(());
            }
            let mut events = self.stream(&request).await?;
            while let Some(event) = events.next().await {
                if let ChatEvent::Text(text) = event? {
                    heard.piece(&text);
                }
            }
            Ok(())
        })
    }
}
