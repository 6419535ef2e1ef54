//! From options, variables and files to a plugin that answers.
//!
//! [`Setup`] is what was read, [`Active`] the active plugin. Use [`Setup::read`], then [`Setup::activate`];
//! while a plugin answers, [`reload::follow`] reads everything again.

// In the order in which data travels.
mod quotes;
mod protect;
mod global;
mod places;
mod log;
pub mod dotenv;
mod keys;
mod environment;
mod atomic;
mod plugins;
mod bounded;
mod services;
mod reading;
pub mod practice;
mod choice;
mod profiles;
pub mod candidates;
mod edit;
mod destination;
mod used_key;
mod activation;
pub mod tiers;
pub mod reload;
mod wishes;

pub use self::activation::{Active, KeyUse};
pub use self::atomic::{write_atomically, write_new, write_private};
pub use self::destination::{Bound, agreed_once};
pub use self::edit::Changed;
pub use self::environment::{Environment, FOLDER_FILE, KeyAt, described_file};
pub use self::global::Global;
pub use self::keys::{CommandKeys, read_key_file, read_key_from_stdin, read_secret_file, store_key};
pub use self::log::{LogFile, open_file as open_log_file, start as start_log};
pub use self::places::{HISTORY, KNOWN, MODEL_IDS, Places, STORE, TOKEN, TRUSTED, set_variable, state_file};
pub use self::plugins::{
    Entry, Folder, Key, LOCK_FILE, SWITCHES_FILE, Verdict, checks, is_secret, key_prefixes, trial,
};
pub use self::protect::{Secret, forbid_dumps};
#[cfg(unix)]
pub use self::quotes::take_off_quotes;
pub use self::reading::{Chosen, Setup, exists};
pub use self::used_key::UsedKey;
pub use self::wishes::{listen_for_hangups, watch};
