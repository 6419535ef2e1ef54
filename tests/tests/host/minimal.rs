//! `host-example/examples/minimal.rs`: a whole host in one short file. It takes a plugin folder and a prompt.

use std::env;
use std::fs;
use std::process::Command;

use tests::canary::CANARY;
use tests::faultd::{DONE, Faultd, LAST_CHUNK, Script, chunk, finish_event, sse_head, text_event};
use tests::{Typist, minimal_host, second_plugin};

use crate::home_with_openrouter;

#[test]
fn the_minimal_host_lists_verdicts_and_streams_an_answer() {
    let home = home_with_openrouter();
    home.install(&second_plugin());
    fs::write(home.plugins().join("notes.so"), "no library").expect("writable");
    let first = [sse_head(), chunk(text_event("Good "))].concat();
    let rest = text_event("day.") + &finish_event("stop") + DONE;
    let rest = [chunk(rest), LAST_CHUNK.into()].concat();
    let service = Faultd::playing([Script::new().send(first).hold().send(rest)]);

    let mut host = Command::new(minimal_host());
    host.arg(home.plugins()).arg("Hello").env_clear();
    host.env("PATH", env::var_os("PATH").unwrap_or_default())
        .env("HOME", home.path())
        .env("OPENROUTER_API_KEY", CANARY)
        .env("OPENROUTER_BASE_URL", service.base_url());
    let mut typist = Typist::at(host);
    // A file that is no plugin gets its verdict and ends nothing.
    for verdict in [
        "`openrouter`",
        "`parrot`",
        "`notes.so` was refused: it is not a shared library",
    ] {
        typist.sees(verdict);
    }
    // The first piece appears while the service holds the rest back.
    typist.sees("Good ");
    service.release();
    typist.sees("day.");
    assert_eq!(typist.leaves(), Some(0));
}
