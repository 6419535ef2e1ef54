//! The real `agent-host`, with the real plugin, against a service on this machine.

mod account;
mod chat;
mod contract;
mod conversation;
mod docs;
mod doctor;
mod explain;
mod fallback;
mod keys;
mod origin;
mod picture;
mod plugins;
mod process;
mod profile;

use serde_json::Value;
use tests::{Home, HostRun, Service, openrouter_plugin, service};

/// A home with the OpenRouter plugin, and a service for it.
struct Bench {
    home: Home,
    service: Service,
}

impl Bench {
    fn new() -> Self {
        let home = Home::new();
        home.install(&openrouter_plugin());
        Self {
            home,
            service: service(),
        }
    }

    fn with_profile(text: &str) -> Self {
        let bench = Self::new();
        bench.home.write_profile(text);
        bench
    }

    /// The binary, with a key and the service's address. The profile file need not exist.
    fn host(&self, arguments: &[&str]) -> HostRun {
        self.without_key(arguments)
            .env("OPENROUTER_API_KEY", self.service.key())
    }

    fn without_key(&self, arguments: &[&str]) -> HostRun {
        let mut run = self
            .home
            .host(arguments)
            .env("OPENROUTER_BASE_URL", &self.service.base_url());
        if !self.home.profile().exists() {
            // A file that is named must be there.
            run = run.without("AGENT_HOST_CONFIG");
        }
        run
    }

    /// The bodies that the service was sent.
    fn bodies(&self) -> Vec<Value> {
        self.service
            .requests()
            .into_iter()
            .map(|request| request.body)
            .collect()
    }
}

/// A profile for the OpenRouter plugin with these further options, as members of a JSON object.
fn profile(options: &str) -> String {
    format!(r#"{{"auth": {{"profiles": {{"default": {{"provider": "openrouter", {options}}}}}}}}}"#)
}
