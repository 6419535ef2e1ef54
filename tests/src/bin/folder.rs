//! What a plugin folder costs: listing 200 plugins, and loading one that is known.
//!
//! Prints its times and judges nothing. Build it with `--release` for figures that mean something, or name a plugin that
//! was built so as its argument.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use plugin_api::loader::Image;
use tests::{Home, echo_plugin, openrouter_plugin};

const N_PLUGINS: usize = 200;
const N_ROUNDS: u32 = 5;

fn main() {
    let home = Home::new();
    let echo = fs::read(echo_plugin()).expect("the plugin");
    for n in 0..N_PLUGINS {
        // The manifest is in its section and in the code.
        let id = format!("e{n:03}");
        let bytes = replaced(&echo, b"\"id\": \"echo\"", format!("\"id\": \"{id}\"").as_bytes());
        let bytes = replaced(&bytes, b"\"id\":\"echo\"", format!("\"id\":\"{id}\"").as_bytes());
        fs::write(home.plugins().join(format!("{id}.so")), bytes).expect("the home is writable");
    }
    let run = |arguments: &[&str]| home.host(arguments).run().expect_success();
    let list = || {
        assert_eq!(
            run(&["plugins", "list"]).stdout.matches("  enabled  ").count(),
            N_PLUGINS
        )
    };
    println!("{N_PLUGINS} plugins of {} KiB", echo.len() >> 10);
    println!(
        "lock, all of them new:    {:>6} ms",
        once(|| drop(run(&["plugins", "lock"])))
    );
    println!("list, all of them known:  {:>6} ms", best(list));
    println!("start of the program:     {:>6} ms", best(|| drop(run(&["--version"]))));
    let plugin = std::env::args_os().nth(1).map_or_else(openrouter_plugin, PathBuf::from);
    let image = Image::read(&plugin).expect("it is sound");
    println!("{} of {} KiB", plugin.display(), image.bytes().len() >> 10);
    println!(
        "read, hashed and checked: {:>6} ms",
        best(|| drop(Image::read(&plugin)))
    );
    println!("loaded:                   {:>6} ms", best(|| drop(image.load())));
}

fn once(work: impl FnOnce()) -> u128 {
    let begun = Instant::now();
    work();
    begun.elapsed().as_millis()
}

/// The shortest of several times, after a first one that does not count.
fn best(work: impl Fn()) -> u128 {
    work();
    let times = (0..N_ROUNDS).map(|_| once(&work));
    times.min().unwrap_or(Duration::MAX.as_millis())
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut new = bytes.to_vec();
    let starts = (0..bytes.len().saturating_sub(from.len())).filter(|at| bytes[*at..].starts_with(from));
    for at in starts {
        new[at..at + to.len()].copy_from_slice(to);
    }
    new
}
