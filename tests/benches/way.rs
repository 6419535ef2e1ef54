//! What the way through the plugin costs, beside a floor and a plain client.
//!
//! `cargo bench -p tests` prints a table, `cargo bench -p tests --bench way -- --rounds 3 requests` part of it. The clients
//! that others have written stand in the same table where `tests/peers` prints it.

mod bench;

use bench::Programs;

fn main() {
    let programs = || Programs {
        plugin: tests::openrouter_plugin(),
        sandbox: tests::sandbox_binary(),
    };
    bench::run(programs, |_| Vec::new());
}
