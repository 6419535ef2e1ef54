//! What the answers of a session add up to. Pure.

use plugin_api::{Done, Usage};

use super::calc;
use crate::terminal::{self, counted};

#[derive(Default)]
pub struct Session {
    /// The text of the answer that is arriving.
    pub heard: String,
    n_calls: usize,
    n_unknown: usize,
    spent: Usage,
}

impl Session {
    /// A call begins. Until its end, its cost is unknown.
    pub fn begin(&mut self) {
        self.heard.clear();
        self.n_calls += 1;
        self.n_unknown += 1;
    }

    /// The call that began last has ended.
    pub fn end(&mut self, done: &Done) {
        let Some(usage) = &done.usage else { return };
        let spent = &mut self.spent;
        spent.prompt_tokens += usage.prompt_tokens;
        spent.completion_tokens += usage.completion_tokens;
        spent.is_byok |= usage.is_byok;
        let sum = |before: &Option<String>, more: &Option<String>| match more {
            Some(more) => calc::sum([before.as_deref().unwrap_or("0"), more]),
            None => before.clone(),
        };
        spent.upstream_cost_usd = sum(&spent.upstream_cost_usd, &usage.upstream_cost_usd);
        if usage.cost_usd.is_some() {
            spent.cost_usd = sum(&spent.cost_usd, &usage.cost_usd);
            self.n_unknown -= 1;
        }
    }

    /// `session $0.031`, from the second call on.
    pub fn footer(&self) -> Option<String> {
        (self.n_calls > 1).then(|| format!("session {}", self.cost()))
    }

    /// `3 calls · 1200→340 tokens · $0.031`
    pub fn line(&self) -> String {
        if self.n_calls == 0 {
            return "no call yet".to_owned();
        }
        let Usage {
            prompt_tokens,
            completion_tokens,
            ..
        } = self.spent;
        let calls = counted(self.n_calls, "call");
        format!("{calls} · {prompt_tokens}→{completion_tokens} tokens · {}", self.cost())
    }

    fn cost(&self) -> String {
        let known = terminal::clean_line(&terminal::cost(&self.spent));
        match self.n_unknown {
            0 => known,
            n if n == self.n_calls => "cost unknown".to_owned(),
            n => format!("{known} + {} of unknown cost", counted(n, "call")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn known_costs_add_up_exactly_and_unknown_ones_are_counted() {
        let done = |usage| serde_json::from_value(json!({"finish_reason": "stop", "duration_ms": 1, "usage": usage}));
        let usage = |cost| json!({"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12, "cost_usd": cost});
        let mut session = Session::default();
        assert_eq!(session.line(), "no call yet");
        session.begin();
        assert_eq!(session.line(), "1 call · 0→0 tokens · cost unknown");
        session.end(&done(usage(json!("0.1"))).expect("a Done"));
        assert_eq!(session.footer(), None);
        session.begin();
        session.end(&done(usage(json!("0.2"))).expect("a Done"));
        assert_eq!(session.footer().as_deref(), Some("session $0.3"));
        session.begin();
        session.end(&done(usage(json!(null))).expect("a Done"));
        session.begin();
        let line = "4 calls · 30→6 tokens · $0.3 + 2 calls of unknown cost";
        assert_eq!(session.line(), line);
    }
}
