//! A new key: typed by the user, checked by the service, stored.

use std::path::PathBuf;

use inquire::{Password, PasswordDisplayMode};
use plugin_api::{Account, ErrorKind, Manifest};

use crate::setup::{Global, KeyUse, Secret, Setup, store_key};
use crate::terminal::{self, Failure, dollars, progress, prompted};

/// What a key that is not stored yet comes from, for people.
const ORIGIN: &str = "your input";

/// Lets the user paste a key, which is not shown; `None` if there is none.
pub async fn typed(manifest: &Manifest) -> Result<Option<Secret>, Failure> {
    let page = manifest.keys().find_map(|variable| variable.page.clone());
    let help = page.map_or_else(
        || "it is not shown; Esc to go back".to_owned(),
        |page| format!("from {}; it is not shown; Esc to go back", terminal::clean_line(&page)),
    );
    let typed = prompted(move || {
        let prompt = Password::new("Key:").with_help_message(&help).without_confirmation();
        prompt.with_display_mode(PasswordDisplayMode::Hidden).prompt()
    });
    let key = typed.await?.map(|key| Secret::new(key).trimmed());
    Ok(key.filter(|key| !key.is_blank()))
}

/// Lets the plugin check a key's form, and the service the key itself.
///
/// - Out: what the service says about it, in one line.
pub async fn check(global: &Global, manifest: &Manifest, key: &Secret) -> Result<String, Failure> {
    let setup = Setup::read(&global.with_key(manifest, key.clone(), ORIGIN))?;
    let (entry, manifest) = setup.folder.find(&manifest.id)?;
    let active = setup
        .start(entry, manifest, setup.profile().await?, KeyUse::Needed)
        .await?;
    let account = progress::while_waiting("asking the service about the key", active.plugin.account()).await;
    match account {
        Ok(account) => Ok(described(key, Some(&account))),
        Err(error) if error.kind == ErrorKind::UNSUPPORTED => Ok(described(key, None)),
        Err(error) => Err(error.into()),
    }
}

/// A key that works, in one line.
///
/// - In: what the service reports about it; `None` if it cannot be asked.
pub fn described(key: &Secret, account: Option<&Account>) -> String {
    let name = key
        .ending()
        .map_or_else(|| "the key".to_owned(), |ending| format!("the key …{ending}"));
    let Some(account) = account else {
        return format!("{name} has the right form; the plugin cannot ask the service about it");
    };
    let label = account.label.as_ref().map(|label| format!("label `{label}`"));
    let limit = match (&account.limit_usd, &account.remaining_usd) {
        (Some(limit), Some(left)) => format!("limit {}, {} left", dollars(limit), dollars(left)),
        (Some(limit), None) => format!("limit {}", dollars(limit)),
        (None, _) => "no limit of its own".to_owned(),
    };
    let free = (account.is_free_tier == Some(true)).then(|| "nothing paid yet, so free models only".to_owned());
    let facts: Vec<String> = label.into_iter().chain([limit]).chain(free).collect();
    terminal::clean_line(&format!("the service accepts {name}: {}", facts.join(", ")))
}

/// Stores a key for later runs, and returns its file.
pub fn store(setup: &Setup, manifest: &Manifest, key: &Secret) -> Result<PathBuf, Failure> {
    let file = setup.environment.stored_key(manifest);
    store_key(&file, key)?;
    Ok(file)
}
