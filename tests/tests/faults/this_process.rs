//! What Linux knows of this process: its open files and its memory.

use std::fs;
use std::path::PathBuf;

use tests::{eventually, status};

/// How many files this process has open.
pub fn open_files() -> usize {
    files().len()
}

fn files() -> Vec<PathBuf> {
    let links = fs::read_dir("/proc/self/fd").expect("Linux lists them");
    links.filter_map(|link| fs::read_link(link.ok()?.path()).ok()).collect()
}

/// Waits until no more files are open than `before`.
///
/// The runtime of a dropped plugin ends on a thread of its own, so its files close a moment later.
#[track_caller]
pub fn wait_until_files_are_closed(before: usize) {
    eventually(|| {
        let files = files();
        if files.len() <= before { Ok(()) } else { Err(files) }
    });
}

/// The most memory that this process ever held, in KiB.
pub fn peak_kib() -> u64 {
    status("self", "VmHWM").expect("Linux has it")
}
