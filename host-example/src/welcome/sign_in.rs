//! Signs in with the service: the plugin names the page and exchanges the code, this program shows the one and receives
//! the other.
//!
//! On a desktop the browser brings the code. Elsewhere, such as over ssh, the page shows it and the user types it.

use std::io;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use inquire::Text;
use plugin_api::{Manifest, Plugin, Redeem, SignIn, SignInRequest, method};
use tokio::time::{Instant, timeout_at};

use super::callback::Callback;
use crate::setup::{Entry, KeyUse, Secret, Setup, set_variable};
use crate::terminal::{self, Exit, Failure, Interrupts, progress, prompted};

/// How long the user may take in the browser, in seconds, at most a day, and the variable that changes it.
const LIMIT_S: u64 = 180;
const MAX_LIMIT_S: u64 = 86_400;
const LIMIT_VARIABLE: &str = "AGENT_HOST_SIGN_IN_SECONDS";

/// What opens a page in the browser.
const OPENER: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };

/// Whether the plugin can sign users in.
pub fn is_offered(manifest: &Manifest) -> bool {
    let has = |method: &str| manifest.methods.iter().any(|known| known == method);
    has(method::SIGN_IN) && has(method::REDEEM)
}

/// Signs in, and returns the new key; `None` if the user went back.
pub async fn new_key(
    setup: &Setup,
    (entry, manifest): (&Entry, &Manifest),
    interrupts: &mut Interrupts,
) -> Result<Option<Secret>, Failure> {
    let active = setup
        .start(entry, manifest, setup.profile().await?, KeyUse::Optional)
        .await?;
    let plugin = &active.plugin;
    let (code, verifier) = if has_desktop() {
        let received = interrupts.or(from_browser(plugin)).await;
        received.ok_or_else(terminal::interrupted)??
    } else {
        let begun = plugin.sign_in(&SignInRequest::default()).await?;
        show(&begun);
        let typed = prompted(|| {
            Text::new("Code:")
                .with_help_message("the page shows it; Esc to go back")
                .prompt()
        });
        match typed.await?.map(|code| Secret::new(code).trimmed()) {
            Some(code) if !code.is_blank() => (code, Secret::new(begun.verifier)),
            _ => return Ok(None),
        }
    };
    let redeem = Redeem {
        code: code.reveal().to_owned(),
        verifier: verifier.reveal().to_owned(),
    };
    let exchange = progress::while_waiting("exchanging the code for a key", plugin.redeem(&redeem));
    let signed_in = interrupts.or(exchange).await.ok_or_else(terminal::interrupted)??;
    Ok(Some(Secret::new(signed_in.key)))
}

/// Lets the browser bring the code.
///
/// - Out: the code, and what proves that it is ours.
async fn from_browser(plugin: &Plugin) -> Result<(Secret, Secret), Failure> {
    let limit_s = set_variable(LIMIT_VARIABLE).map_or(Ok(LIMIT_S), |text| {
        let number = text.to_str().and_then(|text| text.trim().parse().ok());
        number
            .filter(|seconds| (1..=MAX_LIMIT_S).contains(seconds))
            .ok_or_else(|| {
                let range = format!("expected a whole number from 1 to {MAX_LIMIT_S}");
                Failure::usage(format!(
                    "{range} in `{LIMIT_VARIABLE}`, found `{}`",
                    text.to_string_lossy()
                ))
            })
    })?;
    let callback = Callback::listen().await?;
    let request = SignInRequest {
        callback_url: Some(callback.url()?),
    };
    let begun = plugin.sign_in(&request).await?;
    show(&begun);
    if let Err(cause) = open(&begun.url) {
        terminal::say(&format!("open it yourself: `{OPENER}` cannot be run: {cause}"));
    }
    let deadline = Instant::now() + Duration::from_secs(limit_s);
    let code = timeout_at(deadline, callback.code());
    match progress::while_counting_down("waiting for the browser", deadline, code).await {
        Ok(code) => Ok((code?, Secret::new(begun.verifier))),
        Err(_) => {
            let message = format!("nobody signed in within {limit_s} s");
            Err(Failure::new(Exit::Transient, message).with_hint(format!("for more time, set `{LIMIT_VARIABLE}`")))
        }
    }
}

fn show(begun: &SignIn) {
    // A line of its own, without anything around it, so that it can be copied.
    terminal::say(&format!(
        "Sign in on this page:\n\n{}\n",
        terminal::clean_line(&begun.url)
    ));
}

/// Whether a browser on this machine would be in front of the user.
fn has_desktop() -> bool {
    let is_remote = ["SSH_CONNECTION", "SSH_TTY"]
        .iter()
        .any(|name| set_variable(name).is_some());
    let has_screen = ["DISPLAY", "WAYLAND_DISPLAY"]
        .iter()
        .any(|name| set_variable(name).is_some());
    !is_remote && (has_screen || cfg!(target_os = "macos"))
}

/// Opens a page in the browser, without waiting for it.
fn open(url: &str) -> io::Result<()> {
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return Err(io::Error::other("the address is no page on the web"));
    }
    let mut command = Command::new(OPENER);
    command
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn()?;
    thread::spawn(move || child.wait());
    Ok(())
}
