//! What a request asks and what to send back, as [`crate::server`] reads the one and carries out the other.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use crate::{
    failure::Failure,
    forms::{Form, stream::Step},
    script::Script,
};

/// The user that every accepted key belongs to.
pub(crate) const USER_ID: &str = "user_sandbox";
pub(crate) const JSON: &str = "application/json";

/// One request, as it came in.
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    /// The text after `Bearer`; `None` if the header is missing or of another kind.
    pub(crate) key: Option<String>,
    pub(crate) content_type: Option<String>,
    /// Whether the reply should carry `openrouter_metadata`.
    pub(crate) wants_metadata: bool,
    pub(crate) body: Bytes,
}

impl Received {
    /// The parameters behind the path.
    pub(crate) fn parameters(&self) -> Vec<(String, String)> {
        form_urlencoded::parse(self.query.as_bytes()).into_owned().collect()
    }
}

/// What to send back, and when.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    /// Wait before the headers.
    pub(crate) wait: Duration,
    pub(crate) body: Body,
}

/// The body of a reply.
#[derive(Debug)]
pub(crate) enum Body {
    Whole {
        content_type: &'static str,
        bytes: Bytes,
    },
    Steps {
        content_type: &'static str,
        steps: Vec<Step>,
        coalesce: bool,
    },
    /// No reply at all, with the connection open.
    Never,
}

/// A reply with this body, at once.
pub(crate) fn plan(status: u16, body: Body) -> Plan {
    Plan {
        status,
        headers: Vec::new(),
        wait: Duration::ZERO,
        body,
    }
}

/// A reply that is one JSON value.
pub(crate) fn json_plan(status: u16, value: &Value) -> Plan {
    let body = Body::Whole {
        content_type: JSON,
        bytes: Bytes::from(value.to_string()),
    };
    plan(status, body)
}

/// The reply that reports a failure; `user_id` is known once the key was accepted.
pub(crate) fn refusal(form: Form, failure: &Failure, user_id: Option<&str>) -> Plan {
    let mut plan = json_plan(failure.status, &form.error_value(failure, user_id));
    if let Some(page) = &failure.body {
        plan.body = Body::Whole {
            content_type: "text/html; charset=utf-8",
            bytes: Bytes::from(page.clone()),
        };
    }
    plan.headers = failure.header_pairs();
    plan
}

/// A reply in one body, unless its script stalls or cuts it.
pub(crate) fn scripted_plan(script: &Script, content_type: &'static str, bytes: Bytes, wait: Duration) -> Plan {
    let body = if script.stall_after_chunks.is_some() || script.comments_forever {
        Body::Never
    } else if script.cut_after_chunks.is_some() {
        let half = Step::Text(bytes.slice(..bytes.len() / 2));
        let abort = script.cut_abruptly.then_some(Step::Abort);
        Body::Steps {
            content_type,
            steps: [half].into_iter().chain(abort).collect(),
            coalesce: false,
        }
    } else {
        Body::Whole { content_type, bytes }
    };
    Plan {
        wait,
        ..plan(200, body)
    }
}
