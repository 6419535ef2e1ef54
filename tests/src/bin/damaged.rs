//! Damaged plugins, and plugins that are swapped while they are loaded: none ends or hangs the host, each is named, and
//! none of their bytes is used once others are recorded.
//!
//! Prints its counts, and fails if one of them is wrong.

use std::collections::BTreeMap;
use std::fs;

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSection};
use plugin_api::loader::Image;
use serde_json::Value;
use tests::{Home, compiled, hasty_source};

/// Sections that the dynamic linker reads, and how many of their bytes are damaged, one at a time.
const SECTIONS: [(&str, usize); 9] = [
    (".dynamic", 48),
    (".dynsym", 40),
    (".dynstr", 20),
    (".gnu.hash", 24),
    (".rela.dyn", 60),
    (".rela.plt", 20),
    (".init_array", 16),
    (".text", 60),
    (".rodata", 20),
];

/// How often a file is swapped, and the most loads meanwhile: what is loaded stays in memory.
const SWAPS: usize = 10_000;
const LOADS: usize = 200;

fn main() -> ExitCode {
    let home = Home::new();
    let file = compiled(home.path(), "sound", &hasty_source("sound", ""), &[]);
    let sound = fs::read(&file).expect("it was compiled");
    let damaged = damaged(&sound);
    println!("{} damaged files, from one of {} bytes", damaged.len(), sound.len());
    let next = AtomicUsize::new(0);
    let counts: Vec<BTreeMap<String, usize>> = thread::scope(|scope| {
        let work = || {
            let mut counts = BTreeMap::new();
            while let Some((what, bytes)) = damaged.get(next.fetch_add(1, Ordering::Relaxed)) {
                for count in tried(&sound, what, bytes) {
                    *counts.entry(count).or_insert(0) += 1;
                }
            }
            counts
        };
        let workers = [0, 1].map(|_| scope.spawn(work));
        workers.map(|worker| worker.join().expect("a worker ends")).into()
    });
    let mut sums: BTreeMap<String, usize> = BTreeMap::new();
    for (count, n) in counts.into_iter().flatten() {
        *sums.entry(count).or_default() += n;
    }
    for (count, n) in &sums {
        println!("{n:5}  {count}");
    }
    let n_ran = swapped(&sound);
    println!("{SWAPS:5}  swaps; code of unchecked bytes ran {n_ran} times");
    let n_bad: usize = sums
        .iter()
        .filter(|(count, _)| count.starts_with("BAD"))
        .map(|(_, n)| n)
        .sum();
    if n_bad + n_ran == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// How the host treated a damaged file: first alone in the folder, then in place of a recorded one.
fn tried(sound: &[u8], what: &str, bytes: &[u8]) -> Vec<String> {
    let home = Home::new();
    let file = home.plugins().join("libsound.so");
    fs::write(&file, bytes).expect("the home is writable");
    let listed = home.host(&["plugins", "list", "--json"]).run();
    let rows: Value = serde_json::from_str(&listed.stdout).unwrap_or_default();
    let first = match (listed.code, rows[0]["verdict"].as_str()) {
        (Some(0), Some("refused")) => format!("listed as refused: {}", rows[0]["code"].as_str().unwrap_or_default()),
        (Some(0), Some(_)) => "listed as usable: the damage is in bytes that nothing reads at the start".to_owned(),
        (code, _) => format!("BAD: the list ended with {code:?} at {what}: {}", listed.stderr),
    };
    fs::write(&file, sound).expect("the home is writable");
    let recorded = home.host(&["plugins", "lock"]).run();
    fs::write(&file, bytes).expect("the home is writable");
    let used = home.host(&["chat", "Hello"]).run();
    let second = match (recorded.code, used.code) {
        (Some(0), Some(9 | 2)) => "not used in the place of the recorded one".to_owned(),
        codes => format!(
            "BAD: {codes:?} in the place of the recorded one at {what}: {}",
            used.stderr
        ),
    };
    vec![first, second]
}

/// Swaps a file all the time, in place and by renaming, while it is read, checked and loaded.
///
/// - Out: how often unchecked code ran.
fn swapped(sound: &[u8]) -> usize {
    let home = Home::new();
    let mark = home.path().join("mark");
    let constructor = format!("let _ = std::fs::write({mark:?}, \"ran\");");
    let other = compiled(home.path(), "other", &hasty_source("other", &constructor), &[]);
    let other = fs::read(other).expect("it was compiled");
    let file = home.plugins().join("libsound.so");
    fs::write(&file, sound).expect("the home is writable");
    let sum = Image::read(&file).expect("it is sound").sha256().to_owned();
    let swap = |bytes: &[u8], n: usize| {
        if n.is_multiple_of(2) {
            let new = home.path().join("new");
            fs::write(&new, bytes)
                .and_then(|()| fs::rename(&new, &file))
                .expect("the home is writable");
        } else {
            fs::write(&file, bytes).expect("the home is writable");
        }
    };
    thread::scope(|scope| {
        let swaps = scope.spawn(|| (0..SWAPS).for_each(|n| swap(if n.is_multiple_of(3) { sound } else { &other }, n)));
        let (mut n_loads, mut n_ran) = (0, 0);
        while !swaps.is_finished() {
            // Others are refused, or are not what was asked for.
            let Ok(image) = Image::read(&file) else { continue };
            if image.sha256() == sum && n_loads < LOADS {
                image.load().expect("it is sound");
                n_loads += 1;
                n_ran += usize::from(fs::remove_file(&mark).is_ok());
            }
        }
        println!("{n_loads:5}  loads while the file was swapped");
        n_ran + usize::from(n_loads == 0)
    })
}

/// Files that are damaged in one place, and where.
fn damaged(sound: &[u8]) -> Vec<(String, Vec<u8>)> {
    let elf = ElfFile64::<Endianness>::parse(sound).expect("a library");
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    for n in 0..100 {
        let length = sound.len() * n / 100;
        files.push((format!("cut at {length}"), sound[..length].to_vec()));
    }
    let mut damage = |what: String, at: usize, n_bytes: usize| {
        let mut bytes = sound.to_vec();
        let end = (at + n_bytes).min(bytes.len());
        bytes[at..end].iter_mut().for_each(|byte| *byte = !*byte);
        files.push((what, bytes));
    };
    (0..64).for_each(|at| damage(format!("byte {at} of the header"), at, 1));
    let header = elf.elf_header();
    let start = header.e_phoff.get(elf.endian()) as usize;
    for segment in 0..elf.elf_program_headers().len() {
        for field in [0, 8, 16, 32, 40, 48] {
            damage(
                format!("field {field} of segment {segment}"),
                start + 56 * segment + field,
                4,
            );
        }
    }
    for (name, n) in SECTIONS {
        let Some((at, length)) = elf.section_by_name(name).and_then(|section| section.file_range()) else {
            continue;
        };
        let step = (length as usize / n).max(1);
        for k in (0..length as usize).step_by(step) {
            damage(format!("byte {k} of {name}"), at as usize + k, 1);
        }
    }
    files
}
