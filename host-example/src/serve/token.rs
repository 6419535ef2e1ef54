//! The token that clients must send: given, read from a file, or generated on the first start.
//!
//! Only the owner can read the file of a generated token. It appears whole or not at all;
//! a link or a file that others can read is refused.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::options::Options;
use crate::files::make_folder;
use crate::setup::{Secret, mode_for_others, read_secret_file, set_variable, state_file};
use crate::terminal::{self, Failure};

/// Holds the token where no option does.
const VARIABLE: &str = "AGENT_HOST_TOKEN";
/// The prefix of a generated token.
const PREFIX: &str = "ah-";
/// The random bytes of a generated token.
const RANDOM_BYTES: usize = 32;
/// The largest file that can be a token, in bytes.
const MAX_FILE_BYTES: u64 = 4 << 10;
/// Below this length a token can be guessed.
const MIN_SAFE_BYTES: usize = 16;

const CREATE: &str = "create one: openssl rand -hex 32";

/// Where the token comes from.
pub enum Token {
    /// No token is required.
    Open,
    /// Somebody chose it.
    Given(Secret),
    /// It is in the state folder.
    Kept {
        secret: Secret,
        file: PathBuf,
        is_new: bool,
    },
}

impl Token {
    /// - Errors: the token or its file cannot be used.
    pub fn find(options: &Options) -> Result<Self, Failure> {
        if options.no_auth {
            return Ok(Self::Open);
        }
        if let Some(text) = &options.token {
            return given(text, "`--token`", options.listen);
        }
        if let Some(path) = &options.token_file {
            let (secret, warning) = read_secret_file("token", "", path, MAX_FILE_BYTES)?;
            if let Some(warning) = warning {
                tracing::warn!("{warning}");
            }
            return given(
                secret.reveal(),
                &format!("the file `{}`", path.display()),
                options.listen,
            );
        }
        if let Some(text) = set_variable(VARIABLE).and_then(|text| text.into_string().ok()) {
            return given(&text, &format!("`{VARIABLE}`"), options.listen);
        }
        let file = state_file("token")?;
        let (secret, is_new) = kept(&file)?;
        Ok(Self::Kept { secret, file, is_new })
    }

    /// The token that has to be sent.
    pub fn secret(&self) -> Option<&Secret> {
        match self {
            Self::Open => None,
            Self::Given(secret) | Self::Kept { secret, .. } => Some(secret),
        }
    }

    /// Prints where the token is; a new one is shown only this once.
    pub fn announce(&self) {
        match self {
            Self::Open => {
                terminal::say("no token required: any program on this machine can send requests and spend your credit")
            }
            Self::Given(_) => {}
            Self::Kept { secret, file, is_new } => {
                let file = terminal::clean_line(&file.display().to_string());
                if *is_new {
                    terminal::say(&format!(
                        "token: {} (stored in `{file}`, not shown again)",
                        secret.reveal()
                    ));
                } else {
                    terminal::say(&format!("the token is in `{file}`"));
                }
            }
        }
    }
}

/// - Errors: the token cannot be sent, or it can be guessed and other machines reach the endpoint.
fn given(text: &str, from: &str, listen: IpAddr) -> Result<Token, Failure> {
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Failure::usage(format!(
            "the token from {from} cannot be sent in a header: expected printable ASCII without spaces"
        ))
        .with_hint(CREATE));
    }
    if token.len() < MIN_SAFE_BYTES {
        let weak = format!("the token from {from} has fewer than {MIN_SAFE_BYTES} characters and can be guessed");
        if !listen.to_canonical().is_loopback() {
            return Err(Failure::usage(weak).with_hint(CREATE));
        }
        tracing::warn!("{weak}; {CREATE}");
    }
    Ok(Token::Given(Secret::new(token.to_owned())))
}

/// The token in the file; a new one where there is no file.
fn kept(file: &Path) -> Result<(Secret, bool), Failure> {
    loop {
        match fs::symlink_metadata(file) {
            Ok(found) => return Ok((read_kept(file, &found)?, false)),
            Err(cause) if cause.kind() == ErrorKind::NotFound => {}
            Err(cause) => return Err(unusable(file, &format!("cannot be read: {cause}"), CHOOSE)),
        }
        let token = made()?;
        if put(file, &token)? {
            return Ok((token, true));
        }
        // Another process was faster; use its token.
    }
}

/// What to do if the file cannot be fixed.
const CHOOSE: &str = "provide a token with `--token-file FILE` or the environment variable `AGENT_HOST_TOKEN`";

fn unusable(file: &Path, why: &str, hint: &str) -> Failure {
    Failure::usage(format!("the token file `{}` {why}", file.display())).with_hint(hint)
}

fn read_kept(file: &Path, found: &fs::Metadata) -> Result<Secret, Failure> {
    let shown = file.display();
    let remove = format!("remove it, and the next start creates a new token: rm {shown}");
    if found.is_symlink() {
        return Err(unusable(file, "is a symbolic link, which is not followed", &remove));
    }
    if !found.is_file() || found.len() > MAX_FILE_BYTES {
        let why = format!("is not a regular file of at most {} KiB", MAX_FILE_BYTES >> 10);
        return Err(unusable(file, &why, &remove));
    }
    if let Some(mode) = mode_for_others(found) {
        let why = format!("is readable by other users (mode {mode:03o}), so its token is not secret");
        return Err(unusable(file, &why, &remove));
    }
    let unreadable = |cause: std::io::Error| unusable(file, &format!("cannot be read: {cause}"), CHOOSE);
    let mut opened = fs::File::open(file).map_err(unreadable)?;
    // Somebody may have put a link there between the check and the opening.
    if !is_same(found, &opened.metadata().map_err(unreadable)?) {
        return Err(unusable(file, "was replaced while it was being read", "start again"));
    }
    let mut text = String::new();
    opened.read_to_string(&mut text).map_err(unreadable)?;
    let token = Secret::new(text).trimmed();
    if token.is_blank() || !token.reveal().bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(unusable(file, "contains no token", &remove));
    }
    Ok(token)
}

/// Writes a new token. Whether it was written: a file that is there already stays.
fn put(file: &Path, token: &Secret) -> Result<bool, Failure> {
    let failed = |cause: std::io::Error| unusable(file, &format!("cannot be written: {cause}"), CHOOSE);
    let folder = file.parent().unwrap_or(Path::new("."));
    make_folder(folder).map_err(failed)?;
    // For its owner alone from the beginning, and linked to its name only when it is whole.
    let mut fresh = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    fresh.write_all(token.reveal().as_bytes()).map_err(failed)?;
    fresh.write_all(b"\n").map_err(failed)?;
    fresh.as_file().sync_all().map_err(failed)?;
    match fresh.persist_noclobber(file) {
        Ok(_) => Ok(true),
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(failed(error.error)),
    }
}

fn made() -> Result<Secret, Failure> {
    let mut bytes = [0; RANDOM_BYTES];
    getrandom::fill(&mut bytes)
        .map_err(|cause| Failure::internal(format!("cannot get random bytes for a token: {cause}")))?;
    Ok(Secret::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))))
}

#[cfg(unix)]
fn is_same(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
fn is_same(_one: &fs::Metadata, other: &fs::Metadata) -> bool {
    other.is_file()
}

#[cfg(test)]
mod tests;
