//! The variables of an MCP server: those that programs need to run, and those that its entry names.

use std::collections::{BTreeMap, BTreeSet};
use std::env;

/// What a server inherits; nothing that could hold a key.
const INHERITED: [&str; 22] = [
    "APPDATA",
    "COMSPEC",
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LOCALAPPDATA",
    "LOGNAME",
    "PATH",
    "PATHEXT",
    "PROGRAMFILES",
    "SHELL",
    "SYSTEMDRIVE",
    "SYSTEMROOT",
    "TEMP",
    "TERM",
    "TMP",
    "TMPDIR",
    "TZ",
    "USER",
    "USERNAME",
    "USERPROFILE",
];

/// The variables that a server gets.
///
/// - Errors: its entry names a variable that is not set.
pub fn of(entry: &BTreeMap<String, String>, secrets: &BTreeSet<String>) -> Result<BTreeMap<String, String>, String> {
    let inherited = INHERITED
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), env::var(name).ok()?)));
    let mut variables: BTreeMap<String, String> = inherited.collect();
    for (name, value) in entry {
        variables.insert(name.clone(), filled(value, secrets, |name| env::var(name).ok())?);
    }
    Ok(variables)
}

/// A text with the values of the variables that it names: `${NAME}`, or `${NAME:-default}`.
///
/// - In: `secrets`, the variables whose values no server gets.
/// - Errors: a variable is one of those, or is not set and has no default; no value is quoted.
pub fn filled(
    text: &str,
    secrets: &BTreeSet<String>,
    value_of: impl Fn(&str) -> Option<String>,
) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((inside, behind)) = after.split_once('}') else {
            break;
        };
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default.to_owned())),
            None => (inside, None),
        };
        if secrets.iter().any(|secret| secret.eq_ignore_ascii_case(name)) {
            return Err(format!(
                "the variable `{name}` holds a key of this program, which no MCP server gets; name another variable"
            ));
        }
        let value = value_of(name).filter(|value| !value.is_empty()).or(default);
        out.push_str(before);
        out.push_str(&value.ok_or_else(|| format!("the variable `{name}` is not set"))?);
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_from_named_variables_only() {
        let secrets = BTreeSet::from(["KEY".to_owned()]);
        let value_of = |name: &str| (name == "TOKEN").then(|| "t-1".to_owned());
        for (text, expected) in [
            ("Bearer ${TOKEN}", "Bearer t-1"),
            ("${TOKEN}${NONE:-x}", "t-1x"),
            ("$TOKEN ${", "$TOKEN ${"),
        ] {
            assert_eq!(filled(text, &secrets, value_of), Ok(expected.to_owned()));
        }
        assert_eq!(
            filled("${NONE}", &secrets, value_of),
            Err("the variable `NONE` is not set".to_owned())
        );
        for text in ["${KEY}", "${key}", "x${KEY:-none}"] {
            let refused = filled(text, &secrets, |_| panic!("it was read"));
            assert!(
                refused.is_err_and(|why| why.contains("which no MCP server gets")),
                "{text}"
            );
        }
    }
}
