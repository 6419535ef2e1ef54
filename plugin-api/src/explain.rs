//! What each kind of error means: one table for people, programs and documents.
//!
//! In: an [`ErrorKind`]. Out: what happened, where the cause lies, whether a retry may help, what to do. Hosts print
//! it, and the host's `errors.md` is made from it. Pure.

use crate::error::ErrorKind;

/// Where the cause of an error lies, and so who can do something about it.
///
/// Since: 1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request: change it.
    Caller,
    /// The set-up of the host: key, profile, credit.
    Operator,
    /// The service, or the provider behind it.
    Service,
    /// The network in between.
    Network,
    /// The plugin or this crate.
    Plugin,
}

impl Fault {
    /// A short phrase for people, such as `the network`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Caller => "the request",
            Self::Operator => "the set-up",
            Self::Service => "the service",
            Self::Network => "the network",
            Self::Plugin => "the plugin",
        }
    }
}

/// What a kind of error means, in words for people.
///
/// Since: 1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The stable code, such as `rate_limit`.
    pub code: &'static str,
    /// What happened, in one sentence.
    pub meaning: &'static str,
    /// Where the cause lies.
    pub fault: Fault,
    /// Whether the same request may succeed later without anyone changing anything.
    pub is_retryable: bool,
    /// What to do, in one or two sentences.
    pub remedy: &'static str,
}

macro_rules! explanations {
    ($($KIND:ident $fault:ident $meaning:literal $remedy:literal;)*) => {
        &[$((ErrorKind::$KIND, Fault::$fault, $meaning, $remedy)),*]
    };
}

/// Each kind, where its cause lies, what happened and what to do.
const EXPLANATIONS: &[(ErrorKind, Fault, &str, &str)] = explanations! {
    INTERNAL Plugin
        "The plugin panicked or reached a state that should be impossible. The host keeps running."
        "Report it with the message, which names the line in the plugin's code.";
    UNSUPPORTED Caller
        "The plugin does not have this method."
        "Check `methods` in its manifest, or use a newer plugin.";
    INVALID_REQUEST Caller
        "The request is invalid: a parameter, a message or a model id is not accepted."
        "Change what the message names. The same request will fail again.";
    CONFIG Operator
        "The plugin's options are invalid, or something they need is missing."
        "Run `agent-host profile check`, which shows every problem with its line.";
    AUTH Operator
        "The key is missing, malformed, refused or expired."
        "Run `agent-host doctor`; create or renew the key on the service's website.";
    PAYMENT Operator
        "The account or the key does not have enough credit for this request."
        "Add credit, raise the key's limit, or request fewer tokens with `maxTokens`.";
    FORBIDDEN Caller
        "The service refuses this content, this region or this use of the key."
        "Read the service's reason in the message; change the request or the account's settings.";
    NOT_FOUND Caller
        "The model does not exist, or no provider meets the preferences."
        "Check the model id, then the provider preferences: `only`, `maxPrice`, `zdr` and `requireParameters` \
         exclude providers.";
    RATE_LIMIT Service
        "Too many requests for this key, this model or this provider."
        "Wait for `retry_after_ms`, send fewer requests, or configure fallback models.";
    UNAVAILABLE Service
        "The service or the provider behind it is temporarily unavailable."
        "Try again later, or configure fallback models in the profile.";
    TIMEOUT Service
        "A time limit expired before the answer was complete."
        "Try again, choose a faster model, or raise the limit named in the message under `timeouts` in the profile.";
    CONNECT Network
        "The connection to the service failed, or broke before an answer began."
        "Run `agent-host doctor`. Check the network, the proxy, the base URL and, for TLS, the clock and the \
         certificates.";
    PROTOCOL Service
        "The service's answer violates the protocol."
        "Try again. If it persists, check the base URL and whether a proxy rewrites answers, and report it to the \
         service with the generation id.";
    INTERRUPTED Service
        "The answer was cut off. `partial_text` contains the part that arrived, if any."
        "Send the request again, or continue from the partial answer. It is not retried automatically, because the \
         part that arrived may be billed.";
    SHUT_DOWN Caller
        "The plugin was shut down or is shutting down."
        "Send requests before the shutdown, or create the plugin again.";
    TOO_LARGE Caller
        "The conversation, an answer or a part of one exceeds its limit."
        "Send a shorter request, choose a model with a larger context, or raise the limit that the message names.";
    SPEND_LIMIT Operator
        "The request might cost more than what remains of the profile's `budget`. It was not sent, and nothing was \
         billed."
        "Raise the limit under `budget`, request fewer tokens with `maxTokens`, or choose a cheaper tier.";
    OVERLOADED Caller
        "More calls are queued than the profile's `limits` allow, or the process has no free files. The request was not sent."
        "Send fewer requests at once, or raise `limits.concurrency` and `limits.queue` in the profile, or the limit of \
         open files with `ulimit -n`.";
    FORKED Caller
        "The process was forked after the plugin started; the plugin's threads do not exist in the child."
        "Create the plugin in the child, after the fork.";
    TOOL_CALL Service
        "The model asked for a tool in a way that cannot be used: the arguments are not JSON, the name is missing, or \
         there is no call at all. Nothing was executed."
        "Send the request again, simplify the tool's schema, or choose a model that is better at tools.";
};

impl ErrorKind {
    /// What this kind means; `None` for a kind that a later version added.
    ///
    /// - Since: 1.1.
    pub fn explanation(self) -> Option<Explanation> {
        let (_, fault, meaning, remedy) = *EXPLANATIONS.iter().find(|(kind, ..)| *kind == self)?;
        Some(Explanation {
            code: self.code(),
            meaning,
            fault,
            is_retryable: self.is_retryable(),
            remedy,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_explained() {
        for (kind, code) in ErrorKind::KNOWN {
            let explanation = kind.explanation().unwrap_or_else(|| panic!("{code} is not explained"));
            assert_eq!(explanation.code, *code);
            for text in [explanation.meaning, explanation.remedy] {
                assert!(text.ends_with('.'), "{code}: {text}");
            }
        }
        assert_eq!(ErrorKind::from_number(4711).explanation(), None);
    }
}
