//! `agent-host serve`: the active plugin for every program that speaks OpenAI's protocol.
//!
//! A request comes in at [`server`], goes through [`handle`], which asks [`route`] what it is for and [`guard`] whether it may be, and
//! on to the plugin by [`forward`], as bytes. Which model, which key, which failures are tried again: all that is the plugin's. What is
//! here starts it, follows the profile meanwhile and ends it. No code here knows a provider.

// In the order in which data travels.
mod options;
mod token;
mod server;
mod handle;
mod route;
mod guard;
mod body;
mod forward;
mod stream;
mod typed;
mod models;
mod credits;
mod health;
mod problem;
mod record;
mod metrics;
mod requests_log;
#[cfg(feature = "otel")]
mod otel;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use plugin_api::Manifest;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

pub use self::options::{ABOUT, Options};

use self::guard::Rules;
use self::record::Telemetry;
use self::requests_log::RequestLog;
use self::server::{PluginRow, Server, Serving, Shared};
use self::token::Token;
use crate::cli::Global;
use crate::setup::protect::Secret;
use crate::setup::reload::{self, Reload};
use crate::setup::{Active, Setup};
use crate::terminal::exit::{Exit, Failure};
use crate::terminal::{self, BAD, GOOD};

/// Runs `agent-host serve`.
pub async fn run(global: &Global, options: &Options) -> Result<Exit, Failure> {
    options.check()?;
    raise_file_limit();
    let mut ends = Ends::listen()?;
    let setup = Setup::read(global)?;
    let mut active = setup.activate(true).await?;
    active.read_tiers().await?;
    let listener = listen(options)?;
    let address = listener
        .local_addr()
        .map_err(|cause| Failure::new(Exit::Internal, format!("the port is not known: {cause}")))?;
    let token = Token::find(options)?;
    let rules = Rules {
        address: address.ip(),
        port: address.port(),
        allowed_hosts: options.allow_host.clone(),
        cors_origins: options.cors_origin.clone(),
        token: token.secret().cloned(),
    };
    let log = options.request_log.then(|| RequestLog::start(global)).transpose()?;
    let telemetry = Telemetry::new(log);
    #[cfg(feature = "otel")]
    let telemetry = Telemetry {
        otel: otel::Otel::start(set_variable)?,
        ..telemetry
    };
    let serving = serving(&setup, &active)?;
    let shared = Arc::new(Shared::new(serving, rules, telemetry, options.max_body << 20));
    let (sender, reloads) = unbounded_channel();
    reload::listen_for_hangups(sender.clone(), || true);
    let _watch = (!options.no_watch).then(|| reload::watch(&setup.places, sender.clone()));
    let mut server = Server::start(&listener, Arc::clone(&shared), options.threads, options.max_connections)
        .map_err(|cause| Failure::new(Exit::Internal, format!("no thread to serve with: {cause}")))?;
    drop(listener);
    token.tell();
    terminal::print_line(&format!("listening on http://{address}/v1"));

    follow_until_the_end(&mut active, global, &shared, reloads, &mut ends).await;
    // Kept until here, so that the channel above never closes.
    drop(sender);
    let exit = wind_up(&mut server, &shared, &mut ends, Duration::from_secs(options.drain)).await;
    #[cfg(feature = "otel")]
    if let Some(otel) = &shared.telemetry.otel {
        otel.end().await;
    }
    active.shut_down().await;
    Ok(exit)
}

/// A variable of the environment; an empty one counts as none.
#[cfg(feature = "otel")]
fn set_variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// Follows the profile until somebody wants the end.
async fn follow_until_the_end(
    active: &mut Active,
    global: &Global,
    shared: &Shared,
    mut reloads: UnboundedReceiver<Reload>,
    ends: &mut Ends,
) {
    loop {
        tokio::select! {
            () = ends.next() => return,
            Some(reload) = reloads.recv() => {
                let line = match followed(active, global, shared, reload).await {
                    Ok(line) => {
                        shared.telemetry.metrics.reloaded(true);
                        format!("{GOOD}↻{GOOD:#} {}", line.replace("from the next message on", "from the next request on"))
                    }
                    Err(failure) => {
                        shared.telemetry.metrics.reloaded(false);
                        let what = match reload {
                            Reload::Profile => "the edit was not taken, the former profile still holds",
                            Reload::Everything => "nothing was reloaded, the former profile and key still hold",
                        };
                        format!("{BAD}✗{BAD:#} {what}\n{failure}")
                    }
                };
                terminal::say(&line);
            }
        }
    }
}

/// Reads everything again, and lets the requests that come from now on have it.
async fn followed(active: &mut Active, global: &Global, shared: &Shared, reload: Reload) -> Result<String, Failure> {
    let (line, setup) = reload::follow(active, global, reload).await?;
    shared.serving.store(Arc::new(serving(&setup, active)?));
    active.retire_former();
    Ok(line)
}

/// Lets answers end for a while, then ends.
async fn wind_up(server: &mut Server, shared: &Shared, ends: &mut Ends, limit: Duration) -> Exit {
    server.drain();
    let left = || shared.telemetry.metrics.in_flight.get();
    let in_flight = left();
    if in_flight > 0 {
        let limit_s = limit.as_secs();
        let answers = if in_flight == 1 { "answer" } else { "answers" };
        terminal::say(&format!(
            "ending: {in_flight} {answers} may go on for {limit_s} s; a second signal ends at once"
        ));
    }
    let is_over = tokio::select! {
        () = server.ended() => true,
        () = tokio::time::sleep(limit) => false,
        () = ends.next() => false,
    };
    let cut = if is_over { 0 } else { left() };
    server.end();
    server.ended().await;
    if cut == 0 {
        terminal::say("ended: no answer was cut off");
        return Exit::Ok;
    }
    let answers = if cut == 1 { "answer was" } else { "answers were" };
    terminal::say(&format!("ended: {cut} {answers} cut off"));
    Exit::Interrupted
}

/// What requests are answered with from now on.
fn serving(setup: &Setup, active: &Active) -> Result<Serving, Failure> {
    let chosen = active.chosen.as_ref();
    let manifest = active.plugin.manifest();
    let given = setup.give(manifest, chosen)?;
    let plugins = setup.folder.entries.iter().map(|entry| {
        let verdict = setup.verdict(entry, chosen);
        PluginRow {
            is_active: entry.manifest.as_ref().is_ok_and(|found| found.id == manifest.id),
            id: entry.id(),
            verdict: verdict.word(),
            reason: verdict.reason().to_owned(),
        }
    });
    Ok(Serving {
        tiers: active.tiers.clone(),
        keys: keys(manifest, &given.variables),
        plugins: plugins.collect(),
        models_page: ArcSwapOption::empty(),
        plugin: active.plugin.clone(),
    })
}

fn keys(manifest: &Manifest, variables: &std::collections::BTreeMap<String, Secret>) -> Vec<Secret> {
    let keys = manifest.keys().filter_map(|variable| variables.get(&variable.name));
    keys.map(Secret::trimmed).collect()
}

fn listen(options: &Options) -> Result<std::net::TcpListener, Failure> {
    let address = SocketAddr::new(options.listen, options.port);
    server::listen(address).map_err(|cause| {
        let port = options.port;
        match cause.kind() {
            io::ErrorKind::AddrInUse => Failure::new(
                Exit::Usage,
                format!("the port {port} is taken: another program listens on {address}"),
            )
            .with_hint("end that program, or choose another port: `--port N`, or `--port 0` for any that is free"),
            io::ErrorKind::PermissionDenied => {
                Failure::new(Exit::Usage, format!("the system does not let you listen on {address}"))
                    .with_hint("choose a port above 1023: `--port 8484`")
            }
            io::ErrorKind::AddrNotAvailable => {
                let address = options.listen;
                Failure::new(
                    Exit::Usage,
                    format!("this machine does not have the address `{address}`"),
                )
                .with_hint("listen on one of its own: `--listen 127.0.0.1`")
            }
            _ => Failure::new(Exit::Internal, format!("cannot listen on {address}: {cause}")),
        }
    })
}

/// Lets this process have as many connections as the system allows it.
fn raise_file_limit() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        // Best effort: with fewer files there are fewer connections.
        let _ = setrlimit(Resource::Nofile, raised);
    }
}

/// The signals that end the program. They are listened to from the beginning: until then they would end it at once.
struct Ends {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(windows)]
    interrupt: tokio::signal::windows::CtrlC,
    #[cfg(windows)]
    terminate: tokio::signal::windows::CtrlBreak,
}

impl Ends {
    fn listen() -> Result<Self, Failure> {
        let failed = |cause| Failure::new(Exit::Internal, format!("signals cannot be listened to: {cause}"));
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            Ok(Self {
                interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
                terminate: signal(SignalKind::terminate()).map_err(failed)?,
            })
        }
        #[cfg(windows)]
        {
            use tokio::signal::windows::{ctrl_break, ctrl_c};
            Ok(Self {
                interrupt: ctrl_c().map_err(failed)?,
                terminate: ctrl_break().map_err(failed)?,
            })
        }
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
