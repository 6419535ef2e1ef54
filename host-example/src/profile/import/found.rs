//! A value of a source with the rule for it.

use super::super::pointer::join;
use super::formats::Action;

/// A value that a rule is for.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub action: Action,
    /// The keys on the way to it.
    pub path: Vec<String>,
    pub pointer: String,
    pub spot: Spot,
}

impl Found {
    /// The same value under another rule.
    pub fn with(&self, action: Action) -> Self {
        Self { action, ..self.clone() }
    }

    /// A member of it.
    pub fn below(&self, name: &str, action: Action) -> Self {
        let mut below = self.with(action);
        below.path.push(name.to_owned());
        below.pointer = join(&below.pointer, name);
        below
    }
}

/// Which part of the profile a value is for.
#[derive(Debug, Clone, Default)]
pub(super) struct Spot {
    pub profile: String,
    /// The tier's pointer in the profile; empty for the profile itself.
    pub tier: String,
    /// The model whose settings these are, if they are those of one.
    pub model: Option<String>,
}
