use plugin_api::{ChatEvent, ChatRequest, Error, EventStream, Host, Provider, export_plugin};

struct Echo;

impl Provider for Echo {
    const MANIFEST: &'static str = r#"{"id": "echo", "name": "Echo", "version": "1.0.0"}"#;

    fn create(_host: Host, _config: &str) -> Result<Self, Error> {
        Ok(Self)
    }

    async fn stream(&self, request: ChatRequest) -> Result<EventStream, Error> {
        let said = request
            .read_messages()?
            .pop()
            .map(|message| message.content.to_string());
        Ok([ChatEvent::text(said.unwrap_or_default()), ChatEvent::done("stop")]
            .into_iter()
            .collect())
    }
}

export_plugin!(Echo);
