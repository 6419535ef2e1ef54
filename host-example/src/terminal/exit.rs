//! The exit codes, and which error ends in which.

use plugin_api::{Error, ErrorKind, loader};

/// How the program ends. The numbers are part of the interface; [`TABLE`] explains them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Ok = 0,
    Internal = 1,
    Usage = 2,
    Profile = 3,
    Auth = 4,
    Payment = 5,
    Transient = 6,
    Refused = 7,
    Mismatch = 8,
    Plugin = 9,
    Limit = 10,
    Interrupted = 130,
}

impl Exit {
    /// The stable word for failures that are not the plugin's.
    pub fn word(self) -> &'static str {
        let known = TABLE.iter().find(|(exit, ..)| *exit == self);
        known.map_or("", |(_, word, _)| word)
    }

    /// Ends the program, whatever a plugin is doing. Everything printed is out by then.
    pub fn end(self) -> ! {
        loader::end_process(self as i32)
    }
}

/// The exit codes, their stable words, and their meanings for `--help` and the manual.
pub const TABLE: &[(Exit, &str, &str)] = &[
    (Exit::Ok, "ok", "success"),
    (
        Exit::Internal,
        "internal",
        "an internal error in this program or in a plugin",
    ),
    (
        Exit::Usage,
        "usage",
        "the command line is wrong, or setup is incomplete: no plugin, no key",
    ),
    (
        Exit::Profile,
        "profile",
        "the profile file is missing or invalid, or an agent's file has problems",
    ),
    (Exit::Auth, "auth", "the key was refused"),
    (
        Exit::Payment,
        "payment",
        "not enough credit for this request, or the budget's limit is reached",
    ),
    (
        Exit::Transient,
        "unavailable",
        "the service is unavailable, or the answer broke off; a retry may help",
    ),
    (
        Exit::Refused,
        "refused",
        "the request was refused: unknown model, content, size, a call that nobody could approve",
    ),
    (Exit::Mismatch, "mismatch", "the answer does not match the schema"),
    (Exit::Plugin, "plugin", "a plugin file or the plugin folder is unusable"),
    (
        Exit::Limit,
        "limit",
        "an agent reached its limit of steps, time or money",
    ),
    (Exit::Interrupted, "stopped", "stopped by Ctrl-C"),
];

/// How the program ends with this error.
pub fn exit_of(error: &Error) -> Exit {
    match error.kind {
        // A missing key is a setup problem; a refused key is not.
        ErrorKind::AUTH if error.details.status.is_none() => Exit::Usage,
        ErrorKind::AUTH => Exit::Auth,
        ErrorKind::PAYMENT | ErrorKind::SPEND_LIMIT => Exit::Payment,
        // Problems with options come from the profile; anything else was set elsewhere.
        ErrorKind::CONFIG if error.details.problems.is_empty() => Exit::Usage,
        ErrorKind::CONFIG => Exit::Profile,
        // The service was not asked.
        ErrorKind::INVALID_REQUEST if error.details.status.is_none() => Exit::Usage,
        ErrorKind::RATE_LIMIT
        | ErrorKind::UNAVAILABLE
        | ErrorKind::OVERLOADED
        | ErrorKind::TIMEOUT
        | ErrorKind::CONNECT
        | ErrorKind::PROTOCOL
        | ErrorKind::INTERRUPTED
        | ErrorKind::TOOL_CALL => Exit::Transient,
        ErrorKind::INVALID_REQUEST | ErrorKind::NOT_FOUND | ErrorKind::FORBIDDEN | ErrorKind::TOO_LARGE => {
            Exit::Refused
        }
        _ => Exit::Internal,
    }
}
