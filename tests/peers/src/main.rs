//! The benchmark of `tests/benches/way.rs` in one table with the clients that others have written.
//!
//! ```text
//! cd tests/peers && cargo run --release --locked
//! ```
//!
//! builds the plugin and the stand-in service in the workspace, as `cargo build --release` there does, and prints a table
//! after some five minutes. `-- --rounds 3` is shorter, `-- streams` leaves the other loads out. Use a quiet machine: the
//! last line of the table says how far its rounds lie apart.
//!
//! # What is measured
//!
//! User and system time of the client's process, all threads, for each chunk of a stream or each plain request; the
//! service runs in another process. For idle streams: what 1,000 of them add to the resident memory of a process that
//! holds 20 already, a new process for each figure; what the kernel keeps for their sockets is not in it.
//!
//! Streams of 1,000 chunks are written as fast as they go, many chunks a write or one; paced streams have 200 chunks, one
//! write each, 5 ms apart, and stand for what models do: little arrives at a time, and every piece wakes the client up.
//!
//! # What is the same for all
//!
//! One process, one allocator, one build profile, that of the workspace. The same service, model, message, and number at a
//! time. HTTP/1.1 on loopback without TLS. Each client makes its request anew for each call, keeps its connections,
//! appends every text to one `String`, and fails the run if a word is missing. All but (d) and (c) run on the one
//! thread that also waits for the answers; (d) and (c) have a second one, whose time counts too. Dependencies are
//! resolved together, so clients that use the same crate use one build of it, with the features of all: tokio has its
//! `test-util` from genai, reqwest 0.13 its `gzip`. Only the plugin, a library of its own, has its dependencies to itself.
//!
//! # What is not the same
//!
//! (a) to (d) are in `tests/benches/bench/way.rs`. The peers are as their own examples set them up, with their default
//! features, timeouts and retries; `clients.rs` says of each what it does with a chunk. The second table asks all of
//! them for streams that are not whole: who reports less has less to do. Beyond that, (c) hands on usage and cost, bounds
//! what it buffers, and limits how long it waits for the next chunk; the peers have no limit for that, or one for the
//! whole call.

#[path = "../../benches/bench/mod.rs"]
mod bench;
mod clients;

use std::env;
use std::path::Path;
use std::process::Command;

use bench::Programs;

fn main() {
    bench::run(programs, clients::rows);
}

/// Builds what is measured as the workspace ships it: with its lock file, features and target folder.
fn programs() -> Programs {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("this package is two folders below the workspace");
    let target = workspace.join("target");
    for what in [
        &["--package", "plugin-openrouter"][..],
        &["--package", "sandbox", "--bin", "sandbox"],
    ] {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .current_dir(workspace)
            .args(["build", "--quiet", "--release", "--locked"])
            .args(what)
            .arg("--target-dir")
            .arg(&target);
        // What cargo tells this package about itself would be taken by some build scripts for a change.
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_") && text != "CARGO_HOME" {
                cargo.env_remove(&name);
            }
        }
        assert!(cargo.status().expect("cargo runs").success(), "cargo build {what:?}");
    }
    let release = target.join("release");
    Programs {
        plugin: release.join(format!(
            "{}plugin_openrouter{}",
            env::consts::DLL_PREFIX,
            env::consts::DLL_SUFFIX
        )),
        sandbox: release.join("sandbox"),
    }
}
