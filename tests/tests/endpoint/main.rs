//! `agent-host serve` end to end: the real binary and the real plugin in front of a sandbox, asked over real sockets.
//!
//! What the parts do by themselves is tested beside them (`host-example/src/serve`, `plugin-openrouter/src`,
//! `tests/tests/forms`); here one test each shows that they are connected. The client, [`tests::endpoint`], sends
//! exactly the bytes of the test. No test depends on speed: scripts of the service hold answers back, and every wait
//! ends with an event or a generous limit. `tests/features.md` maps features to tests; `tests/tests/faults/table.rs`
//! checks it.

#![cfg(target_os = "linux")]

// The order of a request's life: start, admission, request, answer, many at once, reload, end.
mod bench;
mod starts;
mod token;
mod usage;
mod guard;
mod framing;
mod limits;
mod requests;
mod forms;
mod routes;
mod lists;
mod faithful;
mod failures;
mod agents;
mod kept_agents;
mod headers;
mod metrics;
mod crowd;
mod swap;
mod drain;
