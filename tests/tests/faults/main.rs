//! What goes wrong between a host and the service, fault by fault: how the call ends, how often the service is asked,
//! and that nothing hangs or stays behind.
//!
//! The faults have the numbers of `tests/faults.md`, which names the tests of each; [`table`] checks that it is
//! complete. The service is [`tests::faultd`], which sends exactly the bytes of its script. No test limits a duration:
//! each waits for an event or a state, and the kit's limits end what hangs.

// From the harness over the network, the answer and the host to what holds for masses of calls.
mod call;
mod this_process;
mod connection;
mod network;
mod tls;
mod http2;
mod proxy;
mod status;
mod framing;
mod events;
mod flood;
mod chain;
mod host;
mod process;
mod settings;
mod promises;
mod table;
