//! Builds the HTTP request of an attempt, for the service or for the profile's secondary service.
//!
//! In: the plan of a call. Out: URL, headers and body. OpenRouter's own headers never go to the secondary service.

use bytes::Bytes;
use plugin_api::{Error, ErrorKind, Notice};
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderValue};

use crate::call::attempts::Call;
use crate::failure::retry::{Class, Failed};
use crate::request::{Dialect, headers};
use crate::service::Settings;
use crate::service::http::Sending;

impl Call {
    /// Switches to the secondary service, if there is one.
    pub(super) fn go_to_secondary(&mut self, report: &mut impl FnMut(Notice)) -> bool {
        let may_go = !self.is_at_secondary && self.ask.dialect == Dialect::Chat;
        let Some(secondary) = self.settings.secondary.as_ref().filter(|_| may_go) else {
            return false;
        };
        let message = format!(
            "{} cannot be reached; using {} instead",
            self.settings.service.host(),
            secondary.host()
        );
        self.is_at_secondary = true;
        self.tries.move_on();
        // Each service has its own retry budget, so the other one must not be refunded.
        self.paid = 0;
        report(Notice::new("secondary_used", message));
        true
    }

    /// Builds the request of the current attempt.
    pub(super) fn sending(&self) -> Result<Sending, Failed> {
        let (options, models, request) = (&self.settings.profile.options, self.models(), &self.ask.request);
        let mut headers = self.plan.headers.clone();
        headers.insert(CONTENT_TYPE, headers::content_type(&self.ask));
        let mut url = self.service().chat_url.clone();
        let body = match &self.settings.secondary {
            Some(secondary) if self.is_at_secondary => {
                let model = models.first().map_or("", String::as_str);
                let model = secondary_model(&self.settings, model);
                tracing::debug!(host = secondary.host(), model, "request");
                // OpenRouter's own headers do not concern another company.
                let others = [CONTENT_TYPE.as_str(), "http-referer", "x-title"];
                headers = headers
                    .iter()
                    .filter(|(name, _)| others.contains(&name.as_str()))
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect();
                let body = self.plan.plain_body(options, request, model, self.changes, self.stream);
                Some(body.into())
            }
            _ => {
                if self.ask.view.has_types() {
                    // Requests the list of attempts. Callers of the raw form send this header themselves.
                    headers.insert("x-openrouter-metadata", HeaderValue::from_static("enabled"));
                }
                if !self.ask.view.has_types() {
                    url = self.url()?;
                }
                match (&self.ask.body, self.ask.dialect) {
                    (Some(given), _) => Some(self.plan.given_body(options, &self.ask, given, models)),
                    (None, Dialect::Other) => {
                        headers.remove(CONTENT_TYPE);
                        None
                    }
                    (None, _) => Some(
                        self.plan
                            .body(options, request, models, self.changes, self.stream)
                            .into(),
                    ),
                }
            }
        };
        tracing::debug!(
            model = self.model(),
            bytes = body.as_ref().map_or(0, Bytes::len),
            stream = self.stream,
            attempt = self.attempts.len() + 1,
            "request"
        );
        Ok(Sending {
            method: self.ask.method.clone(),
            url,
            body,
            headers,
            stream: self.stream,
            has_raw: self.ask.view.has_raw(),
            takes_any_success: self.ask.dialect == Dialect::Other,
        })
    }

    /// The URL of a raw request. It must stay below the base URL, the only place where the key may go.
    fn url(&self) -> Result<Url, Failed> {
        let base_url = &self.service().base_url;
        let url = Url::parse(&format!("{base_url}{}", self.ask.path)).ok();
        let stays = |url: &Url| Url::parse(base_url).is_ok_and(|base| url.path().starts_with(base.path()));
        url.filter(stays).ok_or_else(|| {
            let message = "the path of the request leads out of the base URL";
            Failed::new(Class::Final, Error::new(ErrorKind::INVALID_REQUEST, message))
        })
    }
}

/// The name of a model at the secondary service.
fn secondary_model<'a>(settings: &'a Settings, model: &'a str) -> &'a str {
    let names = settings
        .profile
        .options
        .secondary
        .as_ref()
        .map(|secondary| &secondary.models);
    names.and_then(|names| names.get(model)).map_or(model, String::as_str)
}
