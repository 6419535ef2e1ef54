//! The token that clients must send: given, read from a file, or generated on the first start.
//!
//! Only the owner can read the file of a generated token. It appears whole or not at all;
//! a link or a file that others can read is refused.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::options::Options;
use crate::files::{Guard, ReadError, read};
use crate::setup::{Secret, TOKEN, read_secret_file, set_variable, state_file, write_new};
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
        let file = state_file(TOKEN)?;
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
        if let Some(token) = read_kept(file)? {
            return Ok((token, false));
        }
        let token = made()?;
        let line = Zeroizing::new(format!("{}\n", token.reveal()));
        let written = write_new(file, line.as_bytes());
        if written.map_err(|cause| unusable(file, &format!("cannot be written: {cause}"), CHOOSE))? {
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

/// The token in the file; none where there is no file.
fn read_kept(file: &Path) -> Result<Option<Secret>, Failure> {
    let remove = format!(
        "remove it, and the next start creates a new token: rm {}",
        file.display()
    );
    let bytes = match read(file, MAX_FILE_BYTES, Guard::Private) {
        Ok((bytes, _)) => Zeroizing::new(bytes),
        Err(ReadError::Missing) => return Ok(None),
        Err(ReadError::Refused(why)) => {
            return Err(unusable(file, &format!("cannot be used: {why}"), &remove));
        }
    };
    let text = std::str::from_utf8(&bytes).unwrap_or_default().trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(unusable(file, "contains no token", &remove));
    }
    Ok(Some(Secret::new(text.to_owned())))
}

fn made() -> Result<Secret, Failure> {
    let mut bytes = [0; RANDOM_BYTES];
    getrandom::fill(&mut bytes)
        .map_err(|cause| Failure::internal(format!("cannot get random bytes for a token: {cause}")))?;
    Ok(Secret::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))))
}

#[cfg(test)]
mod tests;
