//! A plugin that blocks, never ends or prints cannot take the host with it.

use tests::{Home, HostRun, Typist};

use crate::{assert_has, home_with_parrot};

fn parrot(home: &Home, arguments: &[&str]) -> HostRun {
    home.host(arguments).env("PARROT_KEY", "parrot-1")
}

#[test]
fn ctrl_c_stops_a_plugin_that_is_always_ready() {
    let home = home_with_parrot();
    let mut typist = Typist::at(parrot(&home, &["chat", "-m", "endless", "go on "]).into_command());
    typist.sees("and and and");
    typist.presses(b"\x03");
    typist.sees("stopped by Ctrl-C");
    assert_eq!(typist.leaves(), Some(130));
}

#[test]
fn a_second_ctrl_c_ends_a_host_whose_plugin_blocks() {
    let home = home_with_parrot();
    let mut typist = Typist::at(parrot(&home, &["chat", "-m", "block", "Hello"]).into_command());
    typist.sees("Parrot blocks");
    typist.presses(b"\x03");
    typist.sees("still busy; Ctrl-C again ends the program");
    typist.presses(b"\x03");
    assert_eq!(typist.leaves(), Some(130));
}

#[test]
fn a_shutdown_that_never_ends_does_not_keep_the_host() {
    let home = home_with_parrot();
    home.write_profile(r#"{"auth": {"profiles": {"default": {"provider": "parrot", "greeting": "stall/shutdown"}}}}"#);
    let ran = parrot(&home, &["chat", "Hello"]).run().expect_success();
    assert_has(&ran.stderr, "the plugin `parrot` needs more than 4 s to shut down");
}

#[test]
fn what_a_plugin_prints_never_reaches_standard_output() {
    let home = home_with_parrot();
    let ran = parrot(&home, &["chat", "-m", "print", "Hello"]).run().expect_success();
    assert_eq!(ran.stdout, "Hello\n");
    assert_has(&ran.stderr, "printed by Parrot");
}
