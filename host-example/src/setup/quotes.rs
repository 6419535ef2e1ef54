//! Takes the quotes off the values of environment variables.
//!
//! `docker run --env-file` and similar tools keep them, which makes keys, models and proxies invalid. The host removes
//! them from what it gives to plugins. Libraries read some variables themselves, and a program cannot safely change its
//! own environment, so if one of those is in quotes, this program restarts in a clean one. Variables that only other
//! programs read keep their quotes.

#[cfg(unix)]
use std::env;

use crate::terminal;

/// The variables that this program, its plugins and their libraries read from the process itself.
#[cfg(unix)]
const READ_DIRECTLY: &[&str] = &[
    "AGENT_HOST_CONFIG",
    "AGENT_HOST_LOG_FILE",
    "AGENT_HOST_PLUGINS",
    "AGENT_HOST_PROFILE",
    "AGENT_HOST_TOKEN",
    "ALL_PROXY",
    "DEBUG",
    "HOME",
    "HTTPS_PROXY",
    "LOG_LEVEL",
    "NO_COLOR",
    "NO_PROXY",
    "RUST_LOG",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TERM",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
    "all_proxy",
    "https_proxy",
    "no_proxy",
];

/// The prefix of the variables that the exporter of traces and metrics reads.
#[cfg(unix)]
const READ_DIRECTLY_WITH: &str = "OTEL_";

/// Restarts this program, in the same process, if a value of [`READ_DIRECTLY`] is in quotes. Otherwise returns.
#[cfg(unix)]
pub fn take_off_quotes() {
    use std::os::unix::process::CommandExt;

    let is_ours = |name: &str| READ_DIRECTLY.contains(&name) || name.starts_with(READ_DIRECTLY_WITH);
    let quoted: Vec<(String, String)> = env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, unquoted(value.to_str()?)?.to_owned())))
        .filter(|(name, _)| is_ours(name))
        .collect();
    if quoted.is_empty() {
        return;
    }
    let names: Vec<String> = quoted.iter().map(|(name, _)| name.clone()).collect();
    terminal::say(&format!("warning: {}", warning(&names)));
    let mut arguments = env::args_os();
    let own_name = arguments.next().unwrap_or_default();
    let failed = env::current_exe().map(|program| {
        let mut command = std::process::Command::new(program);
        command.arg0(own_name).args(arguments).envs(quoted).exec()
    });
    let (Ok(cause) | Err(cause)) = failed;
    terminal::say(&format!("warning: the quotes stay: cannot restart: {cause}"));
}

/// The warning about variables whose quotes are removed.
pub fn warning(names: &[String]) -> String {
    let names = terminal::listed(names.iter().map(String::as_str), "and");
    terminal::clean_line(&format!(
        "the quotes around the value of {names} are ignored: remove them where the variable is set"
    ))
}

/// The value without the quotes around it; `None` if there are none.
pub fn unquoted(value: &str) -> Option<&str> {
    let value = value.trim();
    let inside = |quote: char| {
        let inside = value.strip_prefix(quote)?.strip_suffix(quote)?;
        (!inside.contains(quote)).then_some(inside)
    };
    inside('"').or_else(|| inside('\''))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_pair_around_the_whole_value_is_taken_off() {
        for (value, expected) in [
            (r#""acme/large""#, Some("acme/large")),
            ("'acme/large'\r", Some("acme/large")),
            (r#""""#, Some("")),
            ("acme/large", None),
            (r#"""#, None),
            (r#""acme'"#, None),
            (r#"say "hi""#, None),
            (r#""a" "b""#, None),
        ] {
            assert_eq!(unquoted(value), expected, "{value}");
        }
    }
}
