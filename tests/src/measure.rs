//! What Linux knows of a process and of this machine.
//!
//! It needs nothing else of the kit, because `tests/peers` compiles this file by itself.

use std::fs;

/// A number from `/proc/PROCESS/status`, such as `VmRSS` in KiB; `None` if the process has ended.
pub fn status(process: &str, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

/// How many processes wanted to run in the last minute, on average.
pub fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}
