//! The first minute: a user without a key gets one, or a look without one.
//!
//! [`ready`] starts the plugin. If that needs a key and somebody is at the terminal, it asks how to go on: sign in with
//! the service ([`sign_in`], with [`callback`]), paste a key, or try the sandbox. A key is stored only after the service
//! accepted it ([`key`]).

// In the order in which data travels.
mod callback;
mod sign_in;
pub mod key;

use std::fmt;

use inquire::Select;
use plugin_api::Manifest;

use crate::setup::{Active, Chosen, Entry, Global, Secret, Setup, practice};
use crate::terminal::{self, Exit, FAINT, Failure, Interrupts, prompted};

/// A plugin that can answer.
pub struct Ready {
    pub active: Active,
    /// The options of this run.
    pub global: Global,
    /// It answers as long as it is not dropped.
    _sandbox: Option<practice::Service>,
}

/// How a user without a key goes on.
#[derive(Clone, Copy)]
enum Way {
    SignIn,
    Paste,
    Sandbox,
}

/// A way, and the plugin it is for.
struct Offer<'a>(Way, &'a str);

impl fmt::Display for Offer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let service = self.1;
        match self.0 {
            Way::SignIn => write!(f, "Sign in with {service}, which makes a key"),
            Way::Paste => write!(f, "Paste a key"),
            Way::Sandbox => write!(f, "Try the sandbox: no key, no cost, invented answers"),
        }
    }
}

/// Starts the plugin that answers.
///
/// - In: `in_sandbox`, whether the sandbox stands in for its service.
/// - Errors: those of [`Setup::activate`]; the user left the dialogue.
pub async fn ready(global: &Global, in_sandbox: bool, interrupts: &mut Interrupts) -> Result<Ready, Failure> {
    let setup = Setup::read(global)?;
    if in_sandbox {
        return sandboxed(global, &setup).await;
    }
    match setup.activate(true).await {
        Err(failure) if failure.lacks_key && terminal::can_ask() => welcome(global, &setup, interrupts, failure).await,
        active => Ok(Ready {
            active: active?,
            global: global.clone(),
            _sandbox: None,
        }),
    }
}

async fn sandboxed(global: &Global, setup: &Setup) -> Result<Ready, Failure> {
    let chosen = setup.profile().await?;
    let (_, manifest) = setup.choose(chosen.as_ref())?;
    let (global, service) = practice::start(global, manifest, chosen.as_ref())?;
    terminal::say_styled(
        FAINT,
        "the sandbox answers: a program on this machine; answers and costs are invented",
    );
    Ok(Ready {
        active: Setup::read(&global)?.activate(true).await?,
        global,
        _sandbox: Some(service),
    })
}

/// Asks how to go on until the user has a key, or wants the sandbox.
///
/// - In: `failure`, why it is asked.
/// - Errors: `failure`, if the user does not want to go on.
async fn welcome(
    global: &Global,
    setup: &Setup,
    interrupts: &mut Interrupts,
    failure: Failure,
) -> Result<Ready, Failure> {
    let chosen = setup.profile().await?;
    let (entry, manifest) = setup.choose(chosen.as_ref())?;
    let ways = ways(manifest, chosen.as_ref());
    loop {
        let name = terminal::clean_line(&manifest.name);
        let offers = ways.clone();
        let chosen_way = prompted(move || {
            let offers = offers.into_iter().map(|way| Offer(way, &name)).collect();
            let question = format!("{name} needs a key:");
            let select = Select::new(&question, offers).with_help_message("arrow keys and Enter; Esc to leave");
            // Whoever pastes a key here must not see it.
            select.without_filtering().prompt().map(|Offer(way, _)| way)
        });
        let outcome = match chosen_way.await? {
            None => return Err(failure),
            Some(Way::Sandbox) => return sandboxed(global, setup).await,
            Some(way) => new_key(global, setup, (entry, manifest), interrupts, way).await,
        };
        match outcome {
            Ok(true) => break,
            // The user went back.
            Ok(false) => {}
            Err(failure) if failure.exit == Exit::Interrupted => return Err(failure),
            Err(failure) => {
                failure.print(false);
                terminal::say("nothing was stored");
            }
        }
    }
    Ok(Ready {
        active: Setup::read(global)?.activate(true).await?,
        global: global.clone(),
        _sandbox: None,
    })
}

fn ways(manifest: &Manifest, chosen: Option<&Chosen>) -> Vec<Way> {
    let signs_in = sign_in::is_offered(manifest).then_some(Way::SignIn);
    let sandbox = practice::fits(manifest, chosen).then_some(Way::Sandbox);
    signs_in.into_iter().chain([Way::Paste]).chain(sandbox).collect()
}

/// Gets a key in one of the ways, has the service check it, and stores it.
///
/// - Out: whether there is one; otherwise the user went back.
async fn new_key(
    global: &Global,
    setup: &Setup,
    (entry, manifest): (&Entry, &Manifest),
    interrupts: &mut Interrupts,
    way: Way,
) -> Result<bool, Failure> {
    let key: Option<Secret> = match way {
        Way::SignIn => sign_in::new_key(setup, (entry, manifest), interrupts).await?,
        Way::Paste => key::typed(manifest).await?,
        Way::Sandbox => None,
    };
    let Some(key) = key else { return Ok(false) };
    let accepted = interrupts.or(key::check(global, manifest, &key)).await;
    let account = accepted.ok_or_else(terminal::interrupted)??;
    let file = key::store(setup, manifest, &key)?;
    terminal::say(&format!("{account}\nstored in `{}`", file.display()));
    Ok(true)
}
