//! The boundary between host and plugins: what crosses, what must not, and that everything stays alive.

// From loading over calling to ending; then the same with plugins that were built differently.
mod bench;
mod loading;
mod refusals;
mod crossing;
mod logs;
mod panics;
mod isolation;
mod limits;
mod evolution;
mod layout;
