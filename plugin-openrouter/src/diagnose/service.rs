//! Judges whether the service is reachable, at which address, and whether its answers stream.

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
use crate::service::{Settings, proxy_for};
use crate::values::base_url::{authority_of, is_in_the_clear, is_loopback, origin_of};
use crate::values::time::{self, milliseconds, unix_seconds};
use crate::values::usd::dollars;

/// Differences between the clocks above these are a warning and a failure, in seconds.
const SKEW_S: u64 = 60;
const LARGE_SKEW_S: u64 = 300;

/// The longest trial answer, in tokens; the smallest limit that every provider accepts.
const STREAMING_TOKENS: u64 = 16;

/// An answer that took longer than this should have arrived in several pieces.
const SLOW: Duration = Duration::from_secs(1);

/// Pieces that arrive within this time count as one.
const AT_ONCE: Duration = Duration::from_millis(20);

/// The findings about the service, except [`streaming`].
pub fn findings(settings: &Settings, asked: &Replies, known: &Result<Known, Error>) -> Vec<Finding> {
    let reachable = reachable(asked.key.as_ref().err(), known.as_ref().err(), asked.elapsed);
    vec![took(reachable, asked.elapsed), base_url(settings), clock(asked)]
}

/// - In: the error of the request, if it failed; the error of reading its reply, if that failed.
fn reachable(refusal: Option<&Error>, unread: Option<&Error>, elapsed: Duration) -> Finding {
    let id = "service_reachable";
    let network = "check the network, the proxy and the base URL; https://status.openrouter.ai reports outages";
    let answered = format!("it answered within {} ms", milliseconds(elapsed));
    let Some(error) = refusal else {
        return match unread {
            Some(error) if error.kind == ErrorKind::PROTOCOL => warning(
                id,
                format!("{answered}, but not as expected: {}", error.message),
                error.hint().unwrap_or(network),
            ),
            _ => ok(id, answered),
        };
    };
    match error.details.status {
        Some(300..=399 | 429 | 500..) => warning(
            id,
            format!("{answered}, but with an error: {}", error.message),
            error.hint().unwrap_or(network),
        ),
        Some(_) => ok(id, answered),
        None if error.kind == ErrorKind::AUTH => skipped(id, unknown_for(error)),
        None => failed(id, error.message.clone(), error.hint().unwrap_or(network)),
    }
}

fn base_url(settings: &Settings) -> Finding {
    let url = &settings.service.base_url;
    let proxy = proxy_for(url).map(|proxy| format!("; through the proxy {proxy}"));
    let mut finding = judge_base_url(url, settings.service.origin);
    finding.summary.push_str(proxy.as_deref().unwrap_or_default());
    finding
}

/// - In: an allowed address without a trailing slash; where it was set.
fn judge_base_url(url: &str, source: &str) -> Finding {
    let id = "base_url";
    let (host, shown) = (authority_of(url), origin_of(url));
    let path = url.strip_prefix(&shown).unwrap_or_default();
    if path.ends_with("/chat/completions") {
        return warning(
            id,
            format!(
                "{shown} ({source}): its path is that of one endpoint; the plugin appends `/chat/completions` itself"
            ),
            "remove `/chat/completions` from the end of `baseUrl`",
        );
    }
    let is_openrouter = host == "openrouter.ai" || host.ends_with(".openrouter.ai");
    if is_openrouter && path != "/api/v1" {
        return warning(
            id,
            format!("{shown} ({source}): its path is not that of OpenRouter's API"),
            format!("set `baseUrl` to https://{host}/api/v1"),
        );
    }
    if is_in_the_clear(url) {
        return warning(
            id,
            format!("{shown} ({source}) is asked unencrypted, as `allowPlainHttp` permits"),
            "use it only on a network where nobody else listens",
        );
    }
    let note = match (url.starts_with("http://"), is_loopback(url)) {
        (true, _) => "; on this machine, not encrypted",
        (_, true) => "; on this machine",
        (_, false) => "",
    };
    ok(id, format!("{shown} ({source}{note})"))
}

fn clock(asked: &Replies) -> Finding {
    let header = asked
        .key
        .as_ref()
        .ok()
        .and_then(|answer| answer.headers.get("date")?.to_str().ok());
    match header.and_then(time::from_header) {
        Some(theirs_s) => judge_clock(unix_seconds(asked.at), theirs_s),
        None => skipped("clock", "unknown: the service did not report its time"),
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
    let summary =
        format!("this machine's clock is {skew_s} s {direction} the service's; TLS and Retry-After waits depend on it");
    let remedy = "set the clock, for example with `timedatectl set-ntp true`";
    if skew_s <= LARGE_SKEW_S {
        return warning(id, summary, remedy);
    }
    failed(id, summary, remedy)
}

/// Requests a short answer and judges whether it streams. It is billed, so it runs only if the caller allows that.
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
        // Already reported by another finding, and unrelated to streaming.
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

/// How the trial answer arrived.
struct FirstAnswer {
    done: Done,
    /// From the first event, even a keep-alive comment, to the end.
    spread: Duration,
}

async fn first_answer(runtime: &Runtime, settings: Arc<Settings>, common: Arc<Common>) -> Result<FirstAnswer, Error> {
    // Counting makes many tokens that arrive one by one.
    let mut request = ChatRequest::new(&[Message::user("Count from one to thirty in words.")])?;
    request.tier = Some(Tier::TextSmall.name().to_owned());
    let limit = RawValue::from_string(STREAMING_TOKENS.to_string())
        .map_err(|_| Error::new(ErrorKind::INTERNAL, "could not write a number as JSON"))?;
    request.parameters.insert("max_tokens".to_owned(), limit);
    let answer = call::stream(runtime, settings, common, || Ok(Ask::chat(request))).await?;
    let mut events = EventStream::new(answer).until_done();
    let mut first = None;
    let mut end = None;
    while let Some(event) = events.next().await {
        match event? {
            // Notices come from the plugin itself, not from the network.
            ChatEvent::Notice(_) => {}
            ChatEvent::Done(done) => end = Some(*done),
            _ => {
                first.get_or_insert_with(Instant::now);
            }
        }
    }
    let done = end.ok_or_else(|| Error::new(ErrorKind::PROTOCOL, "the answer did not end properly"))?;
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
            "the first token arrived after {first_ms} ms, the last after {} ms",
            done.duration_ms
        ),
        None => format!("an answer without tokens arrived after {} ms", done.duration_ms),
    };
    let usage = done.usage.as_ref();
    let billed = match usage.and_then(|usage| usage.cost_usd.as_deref()) {
        Some(cost) => format!("{} was billed", dollars(cost)),
        None => "the cost is unknown".to_owned(),
    };
    let model = done.model.as_ref().or(done.requested_model.as_ref());
    let by = model.map(|model| format!(" by `{model}`")).unwrap_or_default();
    let summary = format!("{first}{by}; {billed}");
    // A few tokens may well arrive together.
    let n_tokens = usage.map_or(0, |usage| usage.completion_tokens);
    let is_buffered =
        u128::from(done.duration_ms) > SLOW.as_millis() && answer.spread < AT_ONCE && n_tokens > STREAMING_TOKENS / 4;
    if is_buffered {
        return warning(
            id,
            format!("the whole answer arrived at once, as it does behind a buffering proxy: {summary}"),
            "turn off buffering in proxies on the way (nginx: `proxy_buffering off`), or choose a faster model for TEXT_SMALL",
        );
    }
    ok(id, summary)
}

#[cfg(test)]
mod tests;
