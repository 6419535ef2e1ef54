//! Finds the folder for files of one kind: the one that an option names, or the user's by the XDG standard. Pure.

use std::path::{Path, PathBuf};

/// Why there is no folder.
#[derive(Debug, PartialEq, Eq)]
pub enum NoFolder {
    /// The option's path, which begins with neither `/` nor `~/`.
    NotAbsolute(String),
    /// The folder would be below the home folder, and `HOME` is unset or not an absolute path.
    NoHome,
}

/// The folder that `option` names, or `openrouter` in the user's base folder.
///
/// - In: `option`, an absolute path or one that begins with `~/`; `base`, the value of an XDG variable, ignored unless
///   absolute; `default_base`, its default below `home`.
/// - Source: XDG Base Directory Specification, 0.8.
pub fn folder_from(
    option: Option<&str>,
    base: Option<PathBuf>,
    default_base: &str,
    home: Option<PathBuf>,
) -> Result<PathBuf, NoFolder> {
    let below_home = |path: &str| {
        let home = home.filter(|home| home.is_absolute()).ok_or(NoFolder::NoHome)?;
        Ok(home.join(path))
    };
    match option {
        Some(option) => match option.strip_prefix("~/") {
            Some(rest) => below_home(rest),
            None if Path::new(option).is_absolute() => Ok(PathBuf::from(option)),
            None => Err(NoFolder::NotAbsolute(option.to_owned())),
        },
        None => match base.filter(|base| base.is_absolute()) {
            Some(base) => Ok(base.join("openrouter")),
            None => below_home(&format!("{default_base}/openrouter")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_the_options_or_the_users() {
        let folder = |option, base: Option<&str>, home: Option<&str>| {
            folder_from(option, base.map(PathBuf::from), ".cache", home.map(PathBuf::from))
        };
        let is = |path: &str| Ok(PathBuf::from(path));
        assert_eq!(folder(Some("/l"), Some("/c"), Some("/h")), is("/l"));
        assert_eq!(folder(Some("~/l"), Some("/c"), Some("/h")), is("/h/l"));
        assert_eq!(folder(None, Some("/c"), Some("/h")), is("/c/openrouter"));
        assert_eq!(folder(None, Some("relative"), Some("/h")), is("/h/.cache/openrouter"));
        assert_eq!(folder(None, None, Some("/h")), is("/h/.cache/openrouter"));
        for (option, home) in [(None, None), (None, Some("")), (Some("~/l"), None)] {
            assert_eq!(folder(option, None, home), Err(NoFolder::NoHome));
        }
        let relative = folder(Some("l"), None, Some("/h"));
        assert_eq!(relative, Err(NoFolder::NotAbsolute("l".to_owned())));
    }
}
