//! What a call through the plugin costs, compared with a floor and a plain client.
//!
//! `cargo bench -p tests` prints the table, `cargo bench -p tests --bench way -- --rounds 3 requests` a part of it.
//! `tests/peers` prints the same table with clients from other projects.

mod bench;

use bench::Programs;

fn main() {
    let programs = || Programs {
        plugin: tests::openrouter_plugin(),
        sandbox: tests::sandbox_binary(),
    };
    bench::run(programs, |_| Vec::new());
}
