//! The names of the methods of this version, as they cross the boundary.

/// [`crate::Provider::chat`].
pub const CHAT: &str = "chat";
/// [`crate::Provider::stream`].
pub const STREAM: &str = "stream";
/// [`crate::Provider::tiers`].
pub const TIERS: &str = "tiers";
/// [`crate::Provider::check`].
pub const CHECK: &str = "check";
/// [`crate::Provider::configure`].
pub const CONFIGURE: &str = "configure";
/// [`crate::Provider::diagnose`].
pub const DIAGNOSE: &str = "diagnose";
/// [`crate::Provider::account`].
pub const ACCOUNT: &str = "account";
/// [`crate::Provider::raw`] and [`crate::Provider::raw_stream`].
pub const RAW: &str = "raw";
/// [`crate::Provider::models`].
pub const MODELS: &str = "models";
/// [`crate::Provider::credits`].
pub const CREDITS: &str = "credits";
/// [`crate::Provider::embed`].
pub const EMBED: &str = "embed";
