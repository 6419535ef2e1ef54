//! Where prompts and the key go if not to the service's own address, who decided that, and whether the user knows.
//!
//! By convention, a plugin's option called `baseUrl`, at any depth, is an address, and `x-default` in its schema is the
//! service's own. The user decides by a variable, by the file given with `--env-file`, or in the profile file of the
//! config folder. Any other profile file may be somebody else's, so its addresses need a yes before they get the user's
//! key, and its key command before it runs. This machine is no exception: other users' programs may listen on it.

use std::env;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use plugin_api::Manifest;
use serde_json::json;

use super::atomic::write_private;
use super::environment::{FOLDER_FILE, Given, Place};
use super::keys::is_plain;
use super::places::{Named, TRUSTED, state_file};
use super::reading::{Chosen, Setup};
use crate::files::{Guard, ReadError, check_kept, read};
use crate::profile::{self, KeySource};
use crate::terminal::{self, Exit, FAINT, Failure};

/// The largest file of trusted addresses, in bytes.
const MAX_TRUSTED_BYTES: u64 = 64 << 10;

/// An address that is not the service's own.
#[derive(Clone, PartialEq, Eq)]
pub struct Destination {
    /// The whole address, which is not shown: it may hold a password.
    url: String,
    /// Its scheme, host and port.
    origin: String,
    /// Who set it, for people.
    source: String,
    decider: Decider,
    /// Whether it is the service's main address and not one for special cases.
    is_main: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Decider {
    User,
    /// `.env` of the working directory, which gave the key too.
    Folder,
    /// A profile file that may be somebody else's.
    Stranger,
}

/// What a reload may not change by itself: where the key comes from, and where it goes.
#[derive(Clone, PartialEq, Eq)]
pub struct Bound {
    /// The variable, file or command that holds the key.
    key_holder: Option<String>,
    /// Whether the profile comes with its own key.
    brings_key: bool,
    /// Where the other secrets come from, if there is an address that may get them.
    secret_origins: Vec<String>,
    destinations: Vec<Destination>,
}

impl Destination {
    /// Checks that there is something to ask about: a scheme and a host.
    ///
    /// - Errors: what was expected.
    fn check(&self) -> Result<(), Failure> {
        if is_address(&self.origin) {
            return Ok(());
        }
        let message = format!("expected an address such as `https://host/api/v1` as {}", self.source);
        Err(Failure::new(Exit::Profile, terminal::clean_line(&message))
            .with_hint("correct it, then check the file with `agent-host profile check`"))
    }

    /// `prompts go to https://proxy.example (environment variable …)`
    fn line(&self) -> String {
        let may = if self.is_main { "go" } else { "may also go" };
        terminal::clean_line(&format!("prompts {may} to {} ({})", self.origin, self.source))
    }
}

impl Bound {
    pub fn of(setup: &Setup, manifest: &Manifest, chosen: Option<&Chosen>, given: &Given) -> Self {
        let destinations = setup.destinations(manifest, chosen, given);
        let gets_secrets = destinations.iter().any(|destination| !destination.is_main);
        Self {
            key_holder: given.key_holder.clone(),
            brings_key: setup.brings_key(manifest, chosen),
            secret_origins: given.secret_origins.iter().filter(|_| gets_secrets).cloned().collect(),
            destinations,
        }
    }

    /// What holds the key that an address gets: only the main address gets the plugin's own.
    fn holder_for(&self, destination: &Destination) -> Option<String> {
        if destination.is_main {
            return self.key_holder.clone();
        }
        (!self.secret_origins.is_empty()).then(|| self.secret_origins.join(" and "))
    }

    /// Checks that a reload found the same address and the same source of the key.
    ///
    /// - Errors: what it found instead.
    pub fn check(&self, found: &Self) -> Result<(), Failure> {
        let found = if self.destinations != found.destinations {
            self.other_address(found)
        } else if self != found {
            let key = |bound: &Self| bound.key_holder.clone().unwrap_or_else(|| "nowhere".to_owned());
            match (key(self), key(found)) {
                (then, now) if then != now => format!("another source of the key: {now} instead of {then}"),
                _ if self.brings_key != found.brings_key => {
                    "another source of the key: its file was replaced by a link, or a link by a file".to_owned()
                }
                _ => format!("another source of a secret: {}", found.secret_origins.join(" and ")),
            }
        } else {
            return Ok(());
        };
        Err(Failure::usage(terminal::clean_line(&found))
            .with_hint("restart to use it: a reload changes neither address nor source of the key"))
    }

    /// How the addresses differ.
    fn other_address(&self, found: &Self) -> String {
        let only_in = |one: &Self, other: &Self| {
            let mut all = one.destinations.iter();
            all.find(|destination| !other.destinations.contains(destination))
                .cloned()
        };
        let (then, now) = (only_in(self, found), only_in(found, self));
        if let (Some(then), Some(now)) = (&then, &now)
            && (&then.origin, &then.source) == (&now.origin, &now.source)
        {
            return format!("another path at {} ({})", now.origin, now.source);
        }
        let is_main = then
            .as_ref()
            .or(now.as_ref())
            .is_some_and(|destination| destination.is_main);
        let none = if is_main { "the service's own" } else { "none" };
        let shown = |destination: Option<Destination>| match destination {
            Some(destination) => format!("{} ({})", destination.origin, destination.source),
            None => none.to_owned(),
        };
        format!("another address: {} instead of {}", shown(now), shown(then))
    }

    /// The line about the address, where the user set it.
    pub fn users_line(&self) -> Option<String> {
        let is_users = |destination: &&Destination| destination.is_main && destination.decider == Decider::User;
        self.destinations.iter().find(is_users).map(Destination::line)
    }

    /// Whether a plugin that was not active at the start may take over: it uses only its service's own address.
    pub fn is_plain(&self) -> bool {
        self.destinations.is_empty()
    }
}

impl Setup {
    /// The addresses that are not the service's own, the main one first.
    pub fn destinations(&self, manifest: &Manifest, chosen: Option<&Chosen>, given: &Given) -> Vec<Destination> {
        let own = manifest.options_schema.as_ref();
        let own = own.and_then(|schema| schema["properties"]["baseUrl"]["x-default"].as_str());
        let mut all = Vec::new();
        if let Some(profile) = chosen
            .map(|chosen| &chosen.profile)
            .filter(|found| found.provider == manifest.id)
        {
            let decider = if self.is_strangers() {
                Decider::Stranger
            } else {
                Decider::User
            };
            let file = self.places.config.display();
            let options = profile::leaves_of("", &profile.options).into_iter();
            let urls = options.filter(|(pointer, _)| pointer.ends_with("/baseUrl"));
            all.extend(urls.filter_map(|(pointer, url)| {
                Some(Destination {
                    origin: origin_of(url.as_str()?),
                    url: url.as_str()?.to_owned(),
                    source: format!(
                        "`{}` of profile `{}` in `{file}`",
                        profile::dotted(&pointer),
                        profile.name
                    ),
                    decider,
                    is_main: pointer == "/baseUrl",
                })
            }));
        }
        // The profile's address wins over a variable's.
        if !all.iter().any(|destination| destination.is_main) {
            all.extend(given.addresses.iter().map(|found| Destination {
                url: found.value.reveal().to_owned(),
                origin: origin_of(found.value.reveal()),
                source: found.origin.clone(),
                decider: match found.place {
                    Place::Own(_) | Place::Process | Place::NamedFile => Decider::User,
                    Place::Folder => Decider::Folder,
                },
                is_main: true,
            }));
        }
        let is_own = |destination: &Destination| own.is_some_and(|own| origin_of(own) == destination.origin);
        all.retain(|destination| !is_own(destination));
        all.sort_by_key(|destination| !destination.is_main);
        all
    }

    /// Whether the profile file may be somebody else's: named on the command line or lying in the working directory,
    /// and outside the user's config folder.
    fn is_strangers(&self) -> bool {
        let file = whole(&self.places.config);
        let is_here = || !self.places.config.is_absolute() || file.parent() == Some(&whole(Path::new(".")));
        let is_named = match self.places.config_named {
            None => false,
            Some(Named::Option) => true,
            Some(Named::Variable) => is_here(),
        };
        is_named && !file.starts_with(whole(&self.places.config_folder))
    }

    /// Makes sure that the user knows where the key goes, and says so where somebody else decided.
    ///
    /// - Errors: the profile may be somebody else's, and the user did not say yes.
    pub async fn confirm(&self, bound: &Bound, given: &Given) -> Result<(), Failure> {
        for destination in &bound.destinations {
            let Some(failure) = self.distrust(destination, bound) else {
                continue;
            };
            destination.check()?;
            agreed(failure, "Trust this address?").await?;
            remember(&trusted_line(destination, bound));
        }
        for destination in bound.destinations.iter().filter(|found| found.decider != Decider::User) {
            terminal::say_styled(FAINT, &destination.line());
        }
        if !given.from_folder.is_empty() {
            let names = terminal::listed(given.from_folder.iter().map(String::as_str), "and");
            let line = format!("`{FOLDER_FILE}` in this folder sets {names}; `--no-env-file` leaves it out");
            terminal::say_styled(FAINT, &terminal::clean_line(&line));
        }
        Ok(())
    }

    /// Makes sure that the user allows the key command of a profile that may be somebody else's. The yes is not kept,
    /// because the command may be another one tomorrow under the same name.
    ///
    /// - Errors: the user did not say yes.
    pub async fn confirm_command(&self, chosen: Option<&Chosen>) -> Result<(), Failure> {
        if let Some(KeySource::Command(words)) = chosen.and_then(|chosen| chosen.profile.api_key.as_ref())
            && let Some(failure) = self.distrust_command(words)
        {
            agreed(failure, "Run it?").await?;
            self.environment.command_keys.allow(words);
        }
        Ok(())
    }

    /// Why the user has to be asked about this key command before it runs.
    pub fn distrust_command(&self, words: &[String]) -> Option<Failure> {
        if !self.is_strangers() || self.trust_profile || self.environment.command_keys.allows(words) {
            return None;
        }
        let (profile, file) = (&self.places.profile, self.places.config.display());
        let command = words.join(" ");
        let message = format!("`apiKey` of profile `{profile}` in `{file}` would run the command `{command}`");
        Some(untrusted(&message, "command"))
    }

    /// Checks that no address needs a yes, for commands that do not ask.
    ///
    /// - Errors: names the first address that needs one.
    pub fn confirmed(&self, bound: &Bound) -> Result<(), Failure> {
        let mut failures = bound
            .destinations
            .iter()
            .filter_map(|found| self.distrust(found, bound));
        failures.next().map_or(Ok(()), Err)
    }

    /// Why the user has to be asked about this address.
    fn distrust(&self, destination: &Destination, bound: &Bound) -> Option<Failure> {
        let is_fine = destination.decider != Decider::Stranger
            || self.trust_profile
            || destination.is_main && bound.brings_key
            || trusted().contains(&trusted_line(destination, bound));
        if is_fine {
            return None;
        }
        let holder = bound.holder_for(destination);
        let key = holder.map(|holder| format!("your key ({holder}) and "));
        let message = format!(
            "{} would send {}your prompts to {}",
            destination.source,
            key.unwrap_or_default(),
            destination.origin
        );
        Some(untrusted(&message, "address"))
    }

    /// Whether a profile that may be somebody else's comes with its own key: a regular file directly in its folder, which
    /// must not hold the home folder or the config folder. A variable, or a file elsewhere, is the user's, even if the
    /// profile names it.
    fn brings_key(&self, manifest: &Manifest, chosen: Option<&Chosen>) -> bool {
        let profile = chosen
            .map(|chosen| &chosen.profile)
            .filter(|found| found.provider == manifest.id);
        let Some(KeySource::File(file)) = profile.and_then(|profile| profile.api_key.as_ref()) else {
            return false;
        };
        let config = whole(&self.places.config);
        let Some(folder) = config.parent().filter(|_| self.is_strangers()) else {
            return false;
        };
        let users = [env::home_dir(), Some(self.places.config_folder.clone())];
        let is_users = users.iter().flatten().any(|users| whole(users).starts_with(folder));
        let here = Path::new(".");
        let place = file
            .parent()
            .map(|place| if place == Path::new("") { here } else { place });
        !is_users && is_plain(file) && place.is_some_and(|place| whole(place) == folder)
    }
}

/// The failure that a profile wants something without the user's yes.
fn untrusted(message: &str, what: &str) -> Failure {
    let hint = format!("if you trust this {what}, add `--trust-profile`, or answer the question on a terminal");
    let mut failure = Failure::new(Exit::Usage, terminal::clean_line(message)).with_hint(hint);
    failure.details["code"] = "untrusted_address".into();
    failure.explained = Some("untrusted_address");
    failure
}

/// Asks once on a terminal about something else that a file wants which may be somebody else's.
///
/// - In: `line`, what is kept of a yes.
/// - Errors: there is no terminal, or the answer is no.
pub async fn agreed_once(line: &str, message: &str, what: &str, question: &str) -> Result<(), Failure> {
    if !trusted().iter().any(|known| known == line) {
        agreed(untrusted(message, what), question).await?;
        remember(line);
    }
    Ok(())
}

/// Asks on a terminal whether the user wants what `failure` says.
///
/// - Errors: there is no terminal, or the answer is no.
async fn agreed(failure: Failure, question: &str) -> Result<(), Failure> {
    if !(io::stdin().is_terminal() && terminal::stderr_is_terminal()) {
        return Err(failure);
    }
    let question = format!("{}. {question} [y]es, [n]o: ", failure.message);
    match terminal::ask(&question).await.as_deref().map(str::trim) {
        Some("y" | "yes") => Ok(()),
        _ => Err(failure.with_hint("the answer is not kept: run it again and say yes, or add `--trust-profile`")),
    }
}

/// The path without links, as far as it exists.
fn whole(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Scheme, host and port of an address, without a user's name or password.
fn origin_of(url: &str) -> String {
    let url = url.trim();
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = host
        .strip_suffix(if scheme == "https" { ":443" } else { ":80" })
        .unwrap_or(host);
    format!("{scheme}://{host}").to_ascii_lowercase()
}

fn is_address(origin: &str) -> bool {
    let host = ["https://", "http://"]
        .iter()
        .find_map(|scheme| origin.strip_prefix(scheme));
    host.is_some_and(|host| {
        !host.is_empty() && !host.contains(|letter: char| letter.is_whitespace() || letter.is_control())
    })
}

/// The addresses that the user trusts.
fn trusted() -> Vec<String> {
    let read = || {
        let file = state_file(TRUSTED).ok()?;
        match read(&file, MAX_TRUSTED_BYTES, Guard::Private) {
            Ok((bytes, _)) => String::from_utf8(bytes).ok(),
            Err(ReadError::Missing) => None,
            Err(ReadError::Refused(why)) => {
                tracing::warn!("`{}` is not used: {why}", file.display());
                None
            }
        }
    };
    read().unwrap_or_default().lines().map(str::to_owned).collect()
}

/// What is kept of a yes: it holds for one address, and for what gives the key that goes there.
fn trusted_line(destination: &Destination, bound: &Bound) -> String {
    json!([destination.origin, bound.holder_for(destination)]).to_string()
}

fn remember(line: &str) {
    let mut all = trusted();
    all.push(line.to_owned());
    let write = || {
        let file = state_file(TRUSTED)?;
        check_kept(&file, MAX_TRUSTED_BYTES).map_err(Failure::usage)?;
        write_private(&file, format!("{}\n", all.join("\n")).as_bytes())
    };
    if let Err(failure) = write() {
        tracing::warn!("the next start asks again: {}", failure.message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_no_path_password_or_usual_port() {
        for (url, origin) in [
            ("https://Proxy.example/api/v1?k=1", "https://proxy.example"),
            (" https://proxy.example:443/", "https://proxy.example"),
            ("http://127.0.0.1:8080/v1", "http://127.0.0.1:8080"),
            ("https://user:pass@word@evil.example#x", "https://evil.example"),
            ("https://[::1]:80", "https://[::1]:80"),
        ] {
            assert_eq!(origin_of(url), origin);
            assert!(is_address(origin));
        }
    }

    #[test]
    fn an_address_has_a_scheme_and_a_host() {
        for url in [
            "proxy.example",
            "https://",
            "ftp://proxy.example",
            "https:/proxy.example",
            "https://a b",
        ] {
            assert!(!is_address(&origin_of(url)), "{url}");
        }
    }
}
