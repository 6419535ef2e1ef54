//! MCP servers: which there are, how each is reached, and what they may do.
//!
//! The shape is the one that other programs use: `mcpServers`, by name, in an agent or in `mcp.json`. A server's words
//! are untrusted: names are cleaned, sizes and times have limits, and it inherits no variable that could hold a key.

#[cfg(feature = "mcp")]
mod client;
mod config;
#[cfg(feature = "mcp")]
mod environment;
#[cfg(feature = "mcp")]
mod words;

#[cfg(feature = "mcp")]
pub use self::client::Connection;
pub use self::config::{Server, read};
#[cfg(not(feature = "mcp"))]
pub use self::without::Connection;

#[cfg(not(feature = "mcp"))]
mod without {
    use std::collections::BTreeSet;

    use super::Server;
    use crate::agents::tool::Tool;

    /// No connection is possible in a program that was built without `mcp`.
    pub enum Connection {}

    impl Connection {
        pub async fn open(_name: &str, _server: &Server, _secrets: &BTreeSet<String>) -> Result<Self, String> {
            Err("this program was built without the feature `mcp`".to_owned())
        }

        pub async fn tools(&self) -> Result<Vec<(String, Box<dyn Tool>)>, String> {
            match *self {}
        }

        pub fn about(&self) -> String {
            match *self {}
        }

        pub async fn close(self) {}
    }
}
