//! The names of the methods that cross the boundary, and the messages that go with them.
//!
//! A request and its answer are JSON; types with a body or numbers carry them as a blob beside it. The repository's
//! `schemas` folder has the JSON Schema of each message. `null` is a request without content.
//!
//! | method | request | answer |
//! |---|---|---|
//! | [`CHAT`] | [`ChatRequest`](crate::ChatRequest) | [`ChatReply`](crate::ChatReply) |
//! | [`STREAM`] | [`ChatRequest`](crate::ChatRequest) | a stream of [`ChatEvent`](crate::ChatEvent)s |
//! | [`TIERS`] | `null` | array of [`TierModel`](crate::TierModel)s |
//! | [`CHECK`] | the plugin's options | array of [`Problem`](crate::Problem)s |
//! | [`CONFIGURE`] | [`Config`](crate::Config) | `null` |
//! | [`DIAGNOSE`] | [`DiagnoseRequest`](crate::DiagnoseRequest) | array of [`Finding`](crate::Finding)s |
//! | [`ACCOUNT`] | `null` | [`Account`](crate::Account) |
//! | [`RAW`] | [`HttpRequest`](crate::HttpRequest) | [`HttpAnswer`](crate::HttpAnswer), or a stream of events |
//! | [`MODELS`] | [`ModelsRequest`](crate::ModelsRequest) | [`ModelList`](crate::ModelList) |
//! | [`CREDITS`] | [`CreditsRequest`](crate::CreditsRequest) | [`Credits`](crate::Credits) |
//! | [`CACHES`] | `null` | array of [`CacheUse`](crate::CacheUse)s |
//! | [`EMBED`] | [`EmbedRequest`](crate::EmbedRequest) | [`Embeddings`](crate::Embeddings) |
//! | [`SIGN_IN`] | [`SignInRequest`](crate::SignInRequest) | [`SignIn`](crate::SignIn) |
//! | [`REDEEM`] | [`Redeem`](crate::Redeem) | [`SignedIn`](crate::SignedIn) |
//!
//! Any other name reaches [`Provider::call`](crate::Provider::call) or [`Provider::open`](crate::Provider::open).

/// See [`Provider::chat`](crate::Provider::chat).
pub const CHAT: &str = "chat";
/// See [`Provider::stream`](crate::Provider::stream).
pub const STREAM: &str = "stream";
/// See [`Provider::tiers`](crate::Provider::tiers).
pub const TIERS: &str = "tiers";
/// See [`Provider::check`](crate::Provider::check).
pub const CHECK: &str = "check";
/// See [`Provider::configure`](crate::Provider::configure).
pub const CONFIGURE: &str = "configure";
/// See [`Provider::diagnose`](crate::Provider::diagnose).
pub const DIAGNOSE: &str = "diagnose";
/// See [`Provider::account`](crate::Provider::account).
pub const ACCOUNT: &str = "account";
/// See [`Provider::raw`](crate::Provider::raw) and [`Provider::raw_stream`](crate::Provider::raw_stream).
pub const RAW: &str = "raw";
/// See [`Provider::models`](crate::Provider::models).
pub const MODELS: &str = "models";
/// See [`Provider::credits`](crate::Provider::credits).
pub const CREDITS: &str = "credits";
/// See [`Provider::caches`](crate::Provider::caches).
pub const CACHES: &str = "caches";
/// See [`Provider::embed`](crate::Provider::embed).
pub const EMBED: &str = "embed";
/// See [`Provider::sign_in`](crate::Provider::sign_in).
pub const SIGN_IN: &str = "sign_in";
/// See [`Provider::redeem`](crate::Provider::redeem).
pub const REDEEM: &str = "redeem";
