//! The benchmark of `tests/benches/way.rs`, in one table with third-party clients.
//!
//! ```text
//! cd tests/peers && cargo run --release --locked
//! ```
//!
//! builds the plugin and the sandbox in the workspace, as `cargo build --release` does there, and prints a table
//! after about five minutes. `-- --rounds 3` is shorter, `-- streams` skips the other loads. Use a quiet machine:
//! the last line of the table shows how far its rounds differ.
//!
//! # What is measured
//!
//! User and system time of the client's process, all threads, for each chunk of a stream or each plain request; the
//! service runs in another process. For idle streams: how much memory 1,000 of them add to a process that already holds
//! 20, in a new process for each figure, without the kernel's memory for their sockets.
//!
//! Streams of 1,000 chunks are written as fast as possible, many chunks a write or one. Paced streams have 200
//! chunks, one write each, 5 ms apart. They behave like models: little arrives at a time, and every write wakes the
//! client.
//!
//! # What is the same for all
//!
//! One process, one allocator, and the build profile of the workspace. The same service, model, message and
//! concurrency. HTTP/1.1 on loopback without TLS. Each client builds a new request for each call, keeps its
//! connections, appends every text to one `String`, and fails the run if a word is missing. All but (d) and (c) run
//! on the thread that also waits for the answers; (d) and (c) have a second thread, whose time counts too.
//! Dependencies are resolved together: clients that use the same crate share one build of it with the union of
//! their features, so tokio has `test-util` because of genai, and reqwest 0.13 has `gzip`. Only the plugin, a
//! separate library, has its own dependencies.
//!
//! # What is not the same
//!
//! (a) to (d) are in `tests/benches/bench/way.rs`. The peers are set up as in their own examples, with their
//! default features, timeouts and retries; `clients.rs` describes what each does with a chunk. The second table
//! asks all of them for incomplete streams: a client that reports less has less to do. Beyond that, (c) passes on
//! usage and cost, bounds what it buffers, and limits the wait for the next chunk; the peers have no such limit, or
//! one for the whole call.

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

/// Builds what is measured as the workspace ships it: with the same lock file, features and target folder.
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
        // Some build scripts would take cargo's variables for this package as a change, and rebuild.
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
