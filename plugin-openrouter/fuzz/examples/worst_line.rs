//! Prints how long the worst streams of 2 and 8 MB take to read. A factor of four means linear time.
//!
//! `RUSTFLAGS="--cfg fuzzing" cargo run --release --manifest-path plugin-openrouter/fuzz/Cargo.toml --example worst_line`

use std::time::{Duration, Instant};

use plugin_openrouter::golden::{Pace, play_to};

/// Length of a piece as a network delivers it, in bytes.
const PIECE_BYTES: usize = 1024;

fn main() {
    println!("{:<44} {:>9} {:>9} {:>7}", "stream", "2 MB", "8 MB", "factor");
    for (name, unit) in worst_units() {
        let [small, large] = [2, 8].map(|n_megabytes| {
            let stream = unit.repeat((n_megabytes << 20) / unit.len());
            (0..5).map(|_| time_of(&stream)).min().unwrap_or_default()
        });
        let factor = large.as_secs_f64() / small.as_secs_f64();
        println!(
            "{name:<44} {:>6.1} ms {:>6.1} ms {factor:>7.1}",
            milliseconds(small),
            milliseconds(large)
        );
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn time_of(stream: &[u8]) -> Duration {
    let begun = Instant::now();
    let mut n_events = 0;
    let end = play_to(stream.chunks(PIECE_BYTES), Pace::AtOnce, |_| n_events += 1);
    let duration = begun.elapsed();
    std::hint::black_box((n_events, end.is_ok()));
    duration
}

/// The name of each stream and the bytes that it repeats.
fn worst_units() -> Vec<(&'static str, Vec<u8>)> {
    let line = |bytes: usize, byte: u8| vec![byte; bytes];
    let event = |data: &[u8]| [b"data: ", data, b"\n\n"].concat();
    let text = |text: &[u8]| event(&[br#"{"id":"g","choices":[{"delta":{"content":""#, text, br#""}}]}"#].concat());
    const ALMOST_MIB: usize = (1 << 20) - 64;
    vec![
        ("one line without an end", line(1 << 20, b'x')),
        ("one line without an end, not UTF-8", line(1 << 20, 0xFF)),
        (
            "lines of almost 1 MiB without a field",
            [line(ALMOST_MIB, b'x'), b"\n".to_vec()].concat(),
        ),
        (
            "comments of almost 1 MiB, not UTF-8",
            [b":".to_vec(), line(ALMOST_MIB, 0xFF), b"\n".to_vec()].concat(),
        ),
        ("texts of almost 1 MiB", text(&line(ALMOST_MIB, b'x'))),
        ("texts of almost 1 MiB, not UTF-8", text(&line(ALMOST_MIB, 0xFF))),
        (
            "texts of almost 1 MiB, lone surrogates",
            text(&br"\ud83d".repeat(ALMOST_MIB / 6)),
        ),
        (
            "texts of almost 1 MiB, backslashes",
            text(&br"\\".repeat(ALMOST_MIB / 2)),
        ),
        ("texts of 1 KB", text(&line(1000, b'x'))),
        ("texts of 1 byte", text(b"x")),
        ("texts of 1 byte, not UTF-8", text(b"\xFF")),
        (
            "tool arguments of 1 byte",
            event(br#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":" "}}]}}]}"#),
        ),
        ("empty comments", b":\n".to_vec()),
        ("empty lines", b"\n".to_vec()),
        ("empty data lines", b"data\n".to_vec()),
        ("empty events", b"data:\n\n".to_vec()),
        ("empty event names", b"event\n".to_vec()),
        ("nested arrays", event(&line(ALMOST_MIB, b'['))),
        (
            "empty arrays as choices",
            event(
                &[
                    b"{\"choices\":[[]".to_vec(),
                    b",[]".repeat(ALMOST_MIB / 3 - 8),
                    b"]}".to_vec(),
                ]
                .concat(),
            ),
        ),
    ]
}
