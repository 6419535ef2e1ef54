//! Agents: a model, the tools that it may use, and how far it may go.
//!
//! A [`Definition`] comes from a file, a request or the command line. A [`Toolbox`] holds its tools behind one trait:
//! built-in ones, those of MCP servers, and those that the service runs itself. A [`Task`] is the work: it makes each
//! request, takes each answer, runs the tools and keeps the limits. Who asks the model, and who approves calls, is up
//! to its owner: a command at the terminal, or the endpoint.

// In the order in which data travels.
mod shelf;
mod trust;
mod check;
mod definition;
mod ability;
mod task;
mod toolbox;
mod names;
mod builtin;
mod folder;
mod fetch;
pub mod mcp;
mod web;
mod tool;

pub use self::ability::check as check_ability;
pub use self::check::checked;
pub use self::definition::{Approval, Approvals, Definition, Wish, schema};
pub use self::shelf::{Shelf, document, word};
pub use self::task::{Attendant, Called, Task, Turn};
pub use self::toolbox::{Reach, Toolbox, unreachable};
pub use self::trust::{confirm, confirm_servers};
