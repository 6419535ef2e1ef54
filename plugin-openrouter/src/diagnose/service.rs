//! Whether the service is there, where it is, and whether answers stream.

use std::sync::Arc;
use std::time::{Duration, Instant};

use plugin_api::runtime::Runtime;
use plugin_api::{ChatEvent, ChatRequest, DiagnoseRequest, Done, Error, ErrorKind, EventStream, Finding, Message};
use serde_json::value::RawValue;

use super::{LIMIT, failed, ok, skipped, took, unknown_for, warning};
use crate::call::{self, Common};
use crate::money::asked::{Known, Replies};
use crate::profile::tiers::Tier;
use crate::request::Ask;
use crate::service::Settings;
use crate::values::base_url::is_loopback;
use crate::values::time::{self, milliseconds, unix_seconds};
use crate::values::usd::dollars;

/// Seconds between two clocks from which on it is worth a warning, and from which on it is too much.
const SKEW_S: u64 = 60;
const LARGE_SKEW_S: u64 = 300;

/// The longest answer on trial, in tokens; the least that every maker allows.
const STREAMING_TOKENS: u64 = 16;

/// An answer that took longer than this should have come in pieces.
const SLOW: Duration = Duration::from_secs(1);

/// Pieces that lie no further apart than this came at once.
const AT_ONCE: Duration = Duration::from_millis(20);

/// Everything about the service except [`streaming`].
pub fn findings(settings: &Settings, asked: &Replies, known: &Result<Known, Error>) -> Vec<Finding> {
    let reachable = reachable(asked.key.as_ref().err(), known.as_ref().err(), asked.elapsed);
    vec![took(reachable, asked.elapsed), base_url(settings), clock(asked)]
}

/// `refusal` is what asking came to, `unread` what reading the answer came to, where the two were no success.
fn reachable(refusal: Option<&Error>, unread: Option<&Error>, elapsed: Duration) -> Finding {
    let id = "service_reachable";
    let network = "check the network, the proxy and the base URL; https://status.openrouter.ai says how the service is";
    let answered = format!("it answered within {} ms", milliseconds(elapsed));
    let Some(error) = refusal else {
        return match unread {
            Some(error) if error.kind == ErrorKind::PROTOCOL => warning(
                id,
                format!("{answered}, but not as the service does: {}", error.message),
                error.hint().unwrap_or(network),
            ),
            _ => ok(id, answered),
        };
    };
    match error.details.status {
        Some(300..=399 | 429 | 500..) => warning(
            id,
            format!("{answered}, but not well: {}", error.message),
            error.hint().unwrap_or(network),
        ),
        Some(_) => ok(id, answered),
        None if error.kind == ErrorKind::AUTH => skipped(id, unknown_for(error)),
        None => failed(id, error.message.clone(), error.hint().unwrap_or(network)),
    }
}

fn base_url(settings: &Settings) -> Finding {
    let origin = if settings.profile.options.base_url.is_some() {
        "profile `baseUrl`"
    } else if settings.profile.variable("OPENROUTER_BASE_URL").is_some() {
        "variable `OPENROUTER_BASE_URL`"
    } else {
        "the default"
    };
    judge_base_url(&settings.service.base_url, origin)
}

/// - In: an address that may be used, without a slash at its end.
fn judge_base_url(url: &str, origin: &str) -> Finding {
    let id = "base_url";
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if path.ends_with("/chat/completions") {
        let short = url.trim_end_matches("/chat/completions");
        return warning(
            id,
            format!("{url} ({origin}) is the address of one method; the plugin adds `/chat/completions` itself"),
            format!("set `baseUrl` to {short}"),
        );
    }
    let is_openrouter = host == "openrouter.ai" || host.ends_with(".openrouter.ai");
    if is_openrouter && path != "/api/v1" {
        return warning(
            id,
            format!("{url} ({origin}) is not where OpenRouter's API is"),
            format!("set `baseUrl` to https://{host}/api/v1"),
        );
    }
    let note = match (scheme, is_loopback(url)) {
        ("http", _) => "; on this machine, not encrypted",
        (_, true) => "; on this machine",
        (_, false) => "",
    };
    ok(id, format!("{url} ({origin}{note})"))
}

fn clock(asked: &Replies) -> Finding {
    let header = asked
        .key
        .as_ref()
        .ok()
        .and_then(|answer| answer.headers.get("date")?.to_str().ok());
    match header.and_then(time::from_header) {
        Some(theirs_s) => judge_clock(unix_seconds(asked.at), theirs_s),
        None => skipped("clock", "not known: the service did not say what time it is"),
    }
}

/// - In: this machine's time and the service's, in seconds since 1970.
fn judge_clock(ours_s: i64, theirs_s: i64) -> Finding {
    let id = "clock";
    let skew_s = ours_s.abs_diff(theirs_s);
    if skew_s <= SKEW_S {
        return ok(
            id,
            format!("this machine's clock and the service's are {skew_s} s apart"),
        );
    }
    let direction = if ours_s > theirs_s { "ahead of" } else { "behind" };
    let summary = format!("this machine's clock is {skew_s} s {direction} the service's; TLS and waits depend on it");
    let remedy = "set the clock, for example with `timedatectl set-ntp true`";
    if skew_s <= LARGE_SKEW_S {
        return warning(id, summary, remedy);
    }
    failed(id, summary, remedy)
}

/// Asks for a short answer and sees whether it comes as a stream. It is billed, so only where that is allowed.
pub async fn streaming(
    runtime: &Runtime,
    settings: &Arc<Settings>,
    common: &Arc<Common>,
    request: DiagnoseRequest,
) -> Finding {
    let id = "streaming";
    if !request.may_cost {
        return skipped(id, "not tried: the answer would be billed");
    }
    if let Err(error) = settings.key() {
        return skipped(id, unknown_for(&error));
    }
    let begun = Instant::now();
    let answer = first_answer(runtime, Arc::clone(settings), Arc::clone(common));
    let answer = tokio::time::timeout(LIMIT, answer).await;
    let finding = match answer {
        Ok(Ok(answer)) => judge_streaming(&answer),
        // That is told already, and says nothing of streams.
        Ok(Err(error)) if error.kind == ErrorKind::CONNECT => skipped(id, unknown_for(&error)),
        Ok(Err(error)) => failed(
            id,
            error.message.clone(),
            error
                .hint()
                .unwrap_or("try again, or choose another model for TEXT_SMALL"),
        ),
        Err(_) => failed(
            id,
            format!("the answer was not complete within {} s", LIMIT.as_secs()),
            "choose another model for TEXT_SMALL, or another provider with `providerPreferences`",
        ),
    };
    took(finding, begun.elapsed())
}

/// How the answer on trial came.
struct FirstAnswer {
    done: Done,
    /// From the first event, a sign of life included, to the end.
    spread: Duration,
}

async fn first_answer(runtime: &Runtime, settings: Arc<Settings>, common: Arc<Common>) -> Result<FirstAnswer, Error> {
    // A series has many tokens of which each is a piece.
    let mut request = ChatRequest::new(&[Message::user("Count from one to thirty in words.")])?;
    request.tier = Some(Tier::TextSmall.name().to_owned());
    let limit = RawValue::from_string(STREAMING_TOKENS.to_string())
        .map_err(|_| Error::new(ErrorKind::INTERNAL, "could not write a number as JSON"))?;
    request.parameters.insert("max_tokens".to_owned(), limit);
    let mut events = EventStream::new(call::stream(runtime, settings, common, Ask::chat(request)).await?).until_done();
    let mut first = None;
    let mut end = None;
    while let Some(event) = events.next().await {
        match event? {
            // What the plugin itself has to say says nothing of the network.
            ChatEvent::Notice(_) => {}
            ChatEvent::Done(done) => end = Some(*done),
            _ => {
                first.get_or_insert_with(Instant::now);
            }
        }
    }
    let done = end.ok_or_else(|| Error::new(ErrorKind::PROTOCOL, "the answer had no end"))?;
    Ok(FirstAnswer {
        done,
        spread: first.map_or(Duration::ZERO, |first| first.elapsed()),
    })
}

fn judge_streaming(answer: &FirstAnswer) -> Finding {
    let id = "streaming";
    let done = &answer.done;
    let first = match done.time_to_first_token_ms {
        Some(first_ms) => format!(
            "the first token came after {first_ms} ms, the last after {} ms",
            done.duration_ms
        ),
        None => format!("an answer without a token came after {} ms", done.duration_ms),
    };
    let usage = done.usage.as_ref();
    let billed = match usage.and_then(|usage| usage.cost_usd.as_deref()) {
        Some(cost) => format!("{} was billed", dollars(cost)),
        None => "what was billed is not known".to_owned(),
    };
    let model = done.model.as_ref().or(done.requested_model.as_ref());
    let by = model.map(|model| format!(" by `{model}`")).unwrap_or_default();
    let summary = format!("{first}{by}; {billed}");
    // A token or two may well come at once.
    let n_tokens = usage.map_or(0, |usage| usage.completion_tokens);
    let is_buffered =
        u128::from(done.duration_ms) > SLOW.as_millis() && answer.spread < AT_ONCE && n_tokens > STREAMING_TOKENS / 4;
    if is_buffered {
        return warning(
            id,
            format!("all of the answer came at once, as it does behind a proxy that buffers: {summary}"),
            "let no proxy on the way buffer answers (nginx: `proxy_buffering off`), or choose a faster model for TEXT_SMALL",
        );
    }
    ok(id, summary)
}

#[cfg(test)]
mod tests;
