//! Measures the first minute: from an empty home and the built files to the first answer, with the sandbox. It judges
//! nothing: `cargo run --release --bin first_minute`.

use std::time::Instant;

use tests::{Home, Typist, agent_host, openrouter_plugin};

fn main() {
    // Built before the clock starts.
    let (_, plugin) = (agent_host(), openrouter_plugin());
    let home = Home::new();
    let begun = Instant::now();
    let seconds = |what: &str| println!("{:>7.3} s  {what}", begun.elapsed().as_secs_f64());
    let plugin = plugin.to_str().expect("the target folder's path is text");
    home.host(&["plugins", "install", plugin]).run().expect_success();
    seconds("the plugin is installed");
    let mut typist = Typist::of_width(80, home.host(&[]).into_command());
    typist.sees("needs a key:");
    seconds("the user is asked how to go on");
    typist.presses(b"\x1b[B\x1b[B\r");
    typist.sees("/help");
    typist.sees("> ");
    seconds("the conversation begins");
    typist.types("Hello?");
    typist.sees("via Sandbox");
    seconds("the first answer is there");
    typist.types("/quit");
    typist.leaves();
}
