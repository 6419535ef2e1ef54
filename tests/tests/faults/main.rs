//! What goes wrong between a host and the service, fault by fault: what the call says of it, how often the service was
//! asked, and that it ended within its limit.
//!
//! The faults are numbered as in the catalogue; `tests/faults.md` says for each where it is tested, and [`table`] that this
//! is so. The service is [`tests::faultd`], which sends exactly the bytes that it is told to.

// From the kit over the network, the answer and the host to what holds for masses of calls.
mod bench;
mod child;
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
