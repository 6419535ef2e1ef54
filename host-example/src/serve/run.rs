//! Starts the endpoint, follows the profile while it runs, and shuts it down.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use plugin_api::return_large_blocks;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::body_memory::BodyMemory;
use super::cache::{self, Cache, Caching};
use super::ends::{Ends, wind_up};
use super::guard::Rules;
use super::options::Options;
#[cfg(feature = "otel")]
use super::otel::{END_LIMIT, Otel};
use super::record::Telemetry;
use super::requests_log::RequestLog;
use super::server::Server;
use super::shared::{PluginRow, Serving, Shared};
use super::socket::{listen, raise_file_limit};
use super::token::Token;
use crate::agents::Shelf;
use crate::history::{self, Asker};
use crate::setup::reload::{self, Reload};
#[cfg(feature = "otel")]
use crate::setup::set_variable;
use crate::setup::{Active, FOLDER_FILE, Global, Setup, listen_for_hangups, watch};
use crate::terminal::{self, Exit, Failure, GOOD};

/// Larger than what most requests and answers are read into.
const LARGE_BLOCK_BYTES: u32 = 256 << 10;

pub async fn run(global: &Global, options: &Options) -> Result<Exit, Failure> {
    options.check()?;
    if options.no_history {
        history::leave_nothing();
    }
    raise_file_limit();
    // The memory of large bodies goes back to the system when they are sent.
    return_large_blocks(LARGE_BLOCK_BYTES);
    let mut ends = Ends::listen()?;
    let setup = Setup::read(global)?;
    let starting = async {
        let mut active = setup.activate(true).await?;
        active.read_tiers().await.map(|()| active)
    };
    // A key command may wait for a person.
    let mut active = tokio::select! {
        started = starting => started?,
        () = ends.next() => return Ok(Exit::Interrupted),
    };
    let listener = listen(options)?;
    let address = listener
        .local_addr()
        .map_err(|cause| Failure::internal(format!("cannot read the listening port: {cause}")))?;
    let token = Token::find(options)?;
    let rules = Rules {
        address: address.ip(),
        port: address.port(),
        allowed_hosts: options.allow_host.clone(),
        cors_origins: options.cors_origin.clone(),
        token: ArcSwapOption::new(token.secret().cloned().map(Arc::new)),
    };
    let log = options.request_log.then(|| RequestLog::start(global)).transpose()?;
    let telemetry = Telemetry::new(log);
    #[cfg(feature = "otel")]
    let telemetry = Telemetry {
        otel: Otel::start(|name| set_variable(name)?.into_string().ok())?,
        ..telemetry
    };
    let cache = options
        .cache
        .map(|age_s| Arc::new(Cache::new(Duration::from_secs(age_s), options.cache_size << 20)));
    let serving = serving(&setup, &active, cache)?;
    let bodies = BodyMemory::new(options.max_body, options.body_memory);
    let shared = Arc::new(Shared::new(serving, rules, telemetry, bodies));
    let (sender, reloads) = unbounded_channel();
    listen_for_hangups(sender.clone(), || true);
    let _watch = (!options.no_watch).then(|| watch(&setup.places, &sender));
    let mut server = Server::start(&listener, Arc::clone(&shared), options.threads, options.max_connections)
        .map_err(|cause| Failure::internal(format!("cannot start a serving thread: {cause}")))?;
    drop(listener);
    if setup.environment.has_folder() {
        terminal::say(&format!(
            "reading variables from `{FOLDER_FILE}` in this folder; `--no-env-file` leaves it out"
        ));
    }
    active.say_address();
    token.announce();
    terminal::print_line(&format!("listening on http://{address}/v1"));

    follow_until_the_end(&mut active, global, options, &shared, reloads, &mut ends).await;
    // Kept until here, so that the channel above never closes.
    drop(sender);
    let exit = wind_up(&mut server, &shared, &mut ends, Duration::from_secs(options.drain)).await;
    #[cfg(feature = "otel")]
    if let Some(otel) = &shared.telemetry.otel {
        otel.end(END_LIMIT).await;
    }
    active.shut_down().await;
    Ok(exit)
}

/// Follows the profile until a signal ends the program.
async fn follow_until_the_end(
    active: &mut Active,
    global: &Global,
    options: &Options,
    shared: &Shared,
    mut reloads: UnboundedReceiver<Reload>,
    ends: &mut Ends,
) {
    let follow = async {
        while let Some(reload) = reloads.recv().await {
            let line = match followed(active, global, options, shared, reload).await {
                Ok(line) => {
                    shared.telemetry.metrics.reloaded(true);
                    format!(
                        "{GOOD}↻{GOOD:#} {}",
                        line.replace("from the next message on", "from the next request on")
                    )
                }
                Err(failure) => {
                    shared.telemetry.metrics.reloaded(false);
                    reload.ignored(&failure)
                }
            };
            terminal::say(&line);
        }
    };
    tokio::select! {
        () = follow => {}
        () = ends.next() => {}
    }
}

/// Reloads, for all requests from now on.
async fn followed(
    active: &mut Active,
    global: &Global,
    options: &Options,
    shared: &Shared,
    reload: Reload,
) -> Result<String, Failure> {
    let rereads_token = reload == Reload::Everything && options.token_file.is_some();
    let token = rereads_token.then(|| Token::find(options)).transpose()?;
    let (line, setup) = reload::follow(active, global, reload).await?;
    let cache = shared
        .serving
        .load()
        .caching
        .as_ref()
        .map(|caching| Arc::clone(&caching.cache));
    shared.serving.store(Arc::new(serving(&setup, active, cache)?));
    if let Some(token) = token {
        shared.rules.token.store(token.secret().cloned().map(Arc::new));
    }
    Ok(line)
}

/// What requests are answered with from now on.
fn serving(setup: &Setup, active: &Active, cache: Option<Arc<Cache>>) -> Result<Serving, Failure> {
    let chosen = active.chosen.as_ref();
    let manifest = active.plugin.manifest();
    let given = setup.give(manifest, chosen)?;
    let plugins = setup.folder.entries.iter().map(|entry| {
        let verdict = setup.verdict(entry, chosen);
        PluginRow {
            is_active: entry.usable().is_some_and(|found| found.id == manifest.id),
            id: entry.label(),
            verdict: verdict.word(),
            reason: verdict.reason().to_owned(),
        }
    });
    let options = setup.options(manifest, chosen.map(|chosen| &chosen.profile));
    let tiers = serde_json::to_vec(&active.tiers).unwrap_or_default();
    let mut parts = vec![
        manifest.id.clone().into_bytes(),
        manifest.version.clone().into_bytes(),
        tiers,
    ];
    parts.push(options.to_string().into_bytes());
    // Addresses and further settings. A hash of a key tells nothing of it.
    for (name, value) in &given.variables {
        parts.extend([name.clone().into_bytes(), value.reveal().as_bytes().to_vec()]);
    }
    let setting = cache::hash(parts.iter().map(Vec::as_slice));
    Ok(Serving {
        caching: cache.map(|cache| Caching { cache, setting }),
        tiers: active.tiers.clone(),
        asker: Asker::of(active),
        shelf: Shelf::of(&setup.places, &setup.folder),
        keys_at_start: manifest
            .keys()
            .filter_map(|variable| given.variables.get_key_value(&variable.name))
            .map(|(variable, key)| (variable.clone(), Arc::new(key.trimmed())))
            .collect(),
        plugins: plugins.collect(),
        models_page: ArcSwapOption::empty(),
        used_key: Arc::clone(&active.used_key),
        models_failed: ArcSwapOption::empty(),
        models_asked: Mutex::default(),
        providers: Mutex::default(),
        plugin: active.plugin.clone(),
        off: active.off.clone(),
    })
}
