//! Takes the quotes off the values of environment variables.
//!
//! `docker run --env-file` and its kind keep them, and then a key, a model or a proxy is none. Libraries read some
//! variables themselves, and a program cannot change its own environment safely; so this one starts anew in a clean one.

use std::env;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::terminal;

/// Starts this program anew, in the same process, if a value stands in quotes. Otherwise it returns.
pub fn take_off_quotes() {
    let quoted: Vec<(OsString, String)> = env::vars_os()
        .filter_map(|(name, value)| Some((name, unquoted(value.to_str()?)?.to_owned())))
        .collect();
    if quoted.is_empty() {
        return;
    }
    let names: Vec<_> = quoted.iter().map(|(name, _)| name.to_string_lossy()).collect();
    terminal::say(&terminal::clean_line(&format!(
        "warning: the quotes around the value of {} are ignored; remove them where the variable is set",
        terminal::listed(names.iter().map(AsRef::as_ref), "and")
    )));
    let mut arguments = env::args_os();
    let own_name = arguments.next().unwrap_or_default();
    let failed =
        env::current_exe().map(|program| Command::new(program).arg0(own_name).args(arguments).envs(quoted).exec());
    let (Ok(cause) | Err(cause)) = failed;
    terminal::say(&format!("warning: the quotes stay: cannot start anew: {cause}"));
}

/// The value without the quotes around it; `None` if there are none.
fn unquoted(value: &str) -> Option<&str> {
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
