use plugin_api::{ChatEvent, ChatRequest, Error, EventStream, Host, Provider, export_plugin};

struct Echo;

impl Provider for Echo {
    const MANIFEST: &'static str = r#"{"id": "echo", "name": "Echo", "version": "1.0.0"}"#;

    fn create(_host: Host, _config: &str) -> Result<Self, Error> {
        Ok(Self)
    }

    async fn stream(&self, request: ChatRequest) -> Result<EventStream, Error> {
        let last = request.read_messages()?.pop();
        let text = last.map(|message| message.text_content().into_owned());
        let events = [ChatEvent::text(text.unwrap_or_default()), ChatEvent::done("stop")];
        Ok(events.into_iter().collect())
    }
}

export_plugin!(Echo);
