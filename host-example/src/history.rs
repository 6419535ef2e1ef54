//! What outlives a call: one row in the ledger of the store, which it opens for conversations too. Everybody who asks a model does so with an [`Open`] row.
//!
//! A row says who asked whom, how it ended, and what it cost and took. It has no prompt, no answer and no word of the
//! service. Nothing waits for the disk, and without a disk calls go on: one warning says that rows are lost.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use plugin_api::{Attempt, Done, Error, Usage};
use serde_json::json;
use store::{Call, Ledger, Nanos, Opened, Query, Row, Sqlite, Status, Store, Sums, now_ms};

use crate::files::{check_kept, folder_of};
use crate::setup::{Active, STORE, key_prefixes, set_variable, state_file};
use crate::terminal::{self, Failure};

/// How long the end of the program waits for the last rows.
const LAST_ROWS: Duration = Duration::from_secs(2);
/// The longest name of a client, in characters.
const MAX_CLIENT_CHARS: usize = 40;

static LEDGER: OnceLock<Option<Ledger>> = OnceLock::new();
/// Whether this process leaves nothing behind.
static IS_OFF: AtomicBool = AtomicBool::new(false);

/// Who asks in this process, unless it is `cli`.
static CLIENT: OnceLock<&str> = OnceLock::new();

/// From now on, this client asks in this process.
pub fn ask_as(client: &'static str) {
    // A command names one at most.
    let _ = CLIENT.set(client);
}

/// Who asks in this process.
pub fn client() -> &'static str {
    CLIENT.get().copied().unwrap_or("cli")
}

/// From now on, this process leaves nothing behind.
pub fn leave_nothing() {
    IS_OFF.store(true, Ordering::Relaxed);
}

fn is_off() -> bool {
    IS_OFF.load(Ordering::Relaxed) || set_variable("AGENT_HOST_NO_HISTORY").is_some()
}

/// The file of the store.
pub fn file() -> Result<PathBuf, Failure> {
    match set_variable("AGENT_HOST_STORE") {
        Some(named) => Ok(PathBuf::from(named)),
        None => state_file(STORE),
    }
}

/// Opens the store, and says if a damaged one had to make room.
pub fn open() -> Result<Sqlite, Failure> {
    let file = file()?;
    // Its size has no limit; its folder must be the user's.
    let refused = |why: String| {
        let shown = terminal::clean_line(&file.display().to_string());
        Failure::internal(format!("cannot open the store `{shown}`: {why}"))
            .with_hint("`agent-host paths` says what moves it")
    };
    check_kept(&file, u64::MAX).map_err(refused)?;
    let Opened { store, damaged } = Sqlite::open(&file).map_err(|cause| refused(cause.to_string()))?;
    if let Some(damaged) = damaged {
        say_damaged(&damaged);
    }
    Ok(store)
}

fn say_damaged(damaged: &Path) {
    let damaged = terminal::clean_line(&damaged.display().to_string());
    terminal::say(&format!(
        "warning: the store was damaged; it is kept as `{damaged}`, and an empty one takes its place"
    ));
}

/// What calls add up to: rows, and all of them together.
pub fn usage(query: &Query) -> Result<(Vec<Row>, Sums), Failure> {
    settle();
    if !is_there()? {
        return Ok((Vec::new(), Sums::default()));
    }
    let mut store = open()?;
    let failed = |cause: store::Error| Failure::internal(format!("cannot read the store: {cause}"));
    let rows = store.usage(query).map_err(failed)?;
    let all = Query {
        by: Vec::new(),
        ..query.clone()
    };
    let total = store.usage(&all).map_err(failed)?.pop();
    Ok((rows, total.map(|row| row.sums).unwrap_or_default()))
}

/// Waits until the rows of this process are written, at its end.
pub fn flush() {
    let n_lost = settle();
    // A warning has said so of the first one.
    if n_lost > 1 {
        let n_lost = terminal::counted(usize::try_from(n_lost).unwrap_or(usize::MAX), "call");
        terminal::say(&format!(
            "warning: {n_lost} could not be recorded; `agent-host usage` lacks them"
        ));
    }
}

/// Waits until the rows of this process are written.
///
/// - Out: how many were lost.
fn settle() -> u64 {
    let ledger = LEDGER.get().and_then(Option::as_ref);
    ledger.map_or(0, |ledger| ledger.flush(LAST_ROWS))
}

/// Has a row written soon.
fn record(call: Call) {
    let start = || {
        let open = |is_damaged: bool| -> Result<Box<dyn Store>, store::Error> {
            if is_damaged {
                let file = file().map_err(|failure| store::Error::Other(failure.message))?;
                if let Some(damaged) = Sqlite::set_aside(&file)? {
                    say_damaged(&damaged);
                }
            }
            let store = open().map_err(|failure| store::Error::Other(failure.message));
            Ok(Box::new(store?))
        };
        let trouble = |cause: &store::Error| {
            terminal::say(&format!("warning: calls are not recorded: {cause}"));
        };
        Ledger::start(open, trouble).ok()
    };
    if let Some(ledger) = LEDGER.get_or_init(start) {
        ledger.record(call);
    }
}

/// Who asks through which plugin, under which profile.
#[derive(Clone, Default)]
pub struct Asker {
    plugin: String,
    profile: String,
    /// Whether the profile lets anything be kept.
    is_kept: bool,
    /// How the plugin's keys begin.
    key_prefixes: Arc<[String]>,
}

impl Asker {
    pub fn of(active: &Active) -> Self {
        let profile = active.chosen.as_ref().map(|chosen| &chosen.profile);
        Self {
            plugin: active.plugin.manifest().id.clone(),
            profile: profile.map(|profile| profile.name.clone()).unwrap_or_default(),
            is_kept: profile.is_none_or(|profile| profile.history),
            key_prefixes: key_prefixes(active.plugin.manifest()).into(),
        }
    }

    /// Whether anything may be kept.
    pub fn keeps(&self) -> bool {
        self.is_kept && !is_off()
    }

    /// The name of the profile, if there is one.
    pub fn profile(&self) -> &str {
        &self.profile
    }

    /// A call begins.
    ///
    /// - In: `client`, who asks; the tier and the model that it named.
    pub fn begins(&self, client: &str, tier: Option<&str>, model: Option<&str>) -> Open {
        let call = Call {
            client: client.to_owned(),
            plugin: self.plugin.clone(),
            profile: self.profile.clone(),
            tier: tier.unwrap_or_default().to_owned(),
            requested_model: model.unwrap_or_default().to_owned(),
            ..Call::default()
        };
        Open {
            call: self.keeps().then(|| Box::new(call)),
            begun: Instant::now(),
            key_prefixes: Arc::clone(&self.key_prefixes),
        }
    }
}

/// The row of a call that runs. Dropped before its end is known, it is one of a call that was cancelled.
pub struct Open {
    /// `None` if nothing is kept.
    call: Option<Box<Call>>,
    begun: Instant,
    key_prefixes: Arc<[String]>,
}

impl Open {
    /// A piece of the answer arrived.
    pub fn piece(&mut self) {
        if let Some(call) = &mut self.call {
            call.first_token_ms
                .get_or_insert_with(|| terminal::time::elapsed_ms(self.begun));
        }
    }

    /// The answer is complete.
    pub fn complete(&mut self, done: &Done) {
        let Some(call) = &mut self.call else { return };
        call.status = Status::Ok;
        let known = |text: &Option<String>, into: &mut String| {
            if let Some(text) = text {
                into.clone_from(text);
            }
        };
        known(&done.requested_model, &mut call.requested_model);
        known(&done.model, &mut call.model);
        known(&done.provider, &mut call.provider);
        known(&done.arm, &mut call.arm);
        known(&done.generation_id, &mut call.generation_id);
        call.first_token_ms = done.time_to_first_token_ms.or(call.first_token_ms);
        used(call, done.usage.as_ref());
        tried(call, &done.attempts);
    }

    /// The call failed, or its answer broke off.
    pub fn failed(&mut self, error: &Error) {
        let Some(call) = &mut self.call else { return };
        call.status = Status::Error;
        error.kind.code().clone_into(&mut call.code);
        let details = &error.details;
        if let Some(model) = details.model.as_ref().filter(|_| call.requested_model.is_empty()) {
            call.requested_model.clone_from(model);
        }
        call.provider = details.provider.clone().unwrap_or_default();
        call.arm = details.arm.clone().unwrap_or_default();
        call.generation_id = details.generation_id.clone().unwrap_or_default();
        used(call, details.usage.as_deref());
        tried(call, &details.attempts);
    }

    /// No model was asked, so that there is nothing to record.
    pub fn forget(&mut self) {
        self.call = None;
    }

    /// Takes out what looks like a key: one may have been typed in the place of a model or a client.
    fn hide_keys(&self, call: &mut Call) {
        let fields = [
            &mut call.client,
            &mut call.tier,
            &mut call.requested_model,
            &mut call.model,
            &mut call.provider,
            &mut call.arm,
            &mut call.generation_id,
        ];
        for field in fields {
            if self.key_prefixes.iter().any(|prefix| field.contains(prefix.as_str())) {
                "hidden".clone_into(field);
            }
        }
    }

    /// The service refused the call in its own words.
    pub fn refused(&mut self) {
        if let Some(call) = self.call.as_mut().filter(|call| call.status == Status::Cancelled) {
            call.status = Status::Error;
        }
    }
}

/// Notes what the service counted.
fn used(call: &mut Call, usage: Option<&Usage>) {
    let Some(usage) = usage else { return };
    let cost = |cost: &Option<String>| cost.as_deref().and_then(Nanos::parse);
    call.prompt_tokens = Some(usage.prompt_tokens);
    call.completion_tokens = Some(usage.completion_tokens);
    call.cached_tokens = usage.cached_tokens;
    call.cache_write_tokens = usage.cache_write_tokens;
    call.reasoning_tokens = usage.reasoning_tokens;
    call.billed = cost(&usage.cost_usd);
    call.upstream = cost(&usage.upstream_cost_usd);
}

/// Notes the attempts, with codes as reasons: the sentences of services may quote a prompt.
fn tried(call: &mut Call, attempts: &[Attempt]) {
    for pair in attempts.windows(2) {
        if pair[0].model == pair[1].model {
            call.n_retries += 1;
        } else {
            call.n_fallbacks += 1;
        }
    }
    if attempts.len() > 1 {
        let attempts = attempts.iter().map(|attempt| {
            json!({"model": attempt.model, "provider": attempt.provider, "status": attempt.status, "code": attempt.code})
        });
        call.attempts = attempts.collect::<serde_json::Value>().to_string();
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(mut call) = self.call.take() {
            call.time_ms = now_ms();
            call.duration_ms = terminal::time::elapsed_ms(self.begun);
            self.hide_keys(&mut call);
            record(*call);
        }
    }
}

/// What kind of program a `User-Agent` belongs to: its first product, without versions and comments.
pub fn client_of(user_agent: Option<&str>) -> String {
    let first = user_agent
        .unwrap_or_default()
        .split_whitespace()
        .next()
        .unwrap_or_default();
    let is_version = |part: &&str| part.starts_with(|letter: char| letter.is_ascii_digit());
    let parts: Vec<&str> = first.split('/').filter(|part| !is_version(part)).collect();
    let name: String = parts.join("-").to_ascii_lowercase();
    let plain = name
        .chars()
        .filter(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(*letter));
    match plain.take(MAX_CLIENT_CHARS).collect::<String>() {
        name if name.is_empty() => "unknown".to_owned(),
        name if name == "mozilla" => "browser".to_owned(),
        name => name,
    }
}

/// Whether the store is there already. A command that only reads creates none.
pub fn is_there() -> Result<bool, Failure> {
    let file = file()?;
    Ok(folder_of(&file).is_dir() && file.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_kinds_of_programs() {
        for (user_agent, client) in [
            ("OpenAI/Python 1.99.1", "openai-python"),
            ("curl/8.5.0", "curl"),
            ("claude-cli/2.0.1 (external, cli)", "claude-cli"),
            ("Mozilla/5.0 (X11; Linux x86_64) Firefox/145.0", "browser"),
            ("a\u{1b}[31m/2", "a31m"),
            ("", "unknown"),
            ("1/2", "unknown"),
        ] {
            assert_eq!(client_of(Some(user_agent)), client, "{user_agent}");
        }
    }
}
