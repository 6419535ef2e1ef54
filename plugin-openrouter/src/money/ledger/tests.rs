use std::io::Read as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::*;
use crate::kit::Folder;

/// 2026-11-20T17:30:05Z
const AFTERNOON_S: u64 = 1_795_195_805;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn usd(text: &str) -> Usd {
    Usd::parse(text).expect("an amount")
}

fn committed(ledger: &mut Ledger, now: SystemTime) -> String {
    ledger.today(now).expect("a ledger").committed().to_string()
}

fn hold(ledger: &mut Ledger, text: &str, now: SystemTime) -> Hold {
    let mut today = ledger.today(now).expect("a ledger");
    today.hold(usd(text), "a/b").expect("it is writable")
}

fn spend(ledger: &mut Ledger, text: &str, now: SystemTime) {
    let held = hold(ledger, "0.5", now);
    ledger
        .book(&held, usd(text), false, "a/b", now)
        .expect("it is writable");
}

#[test]
fn a_call_is_two_lines_without_prompt_or_key() {
    let folder = Folder::new();
    let mut ledger = Ledger::new(folder.path.clone());
    let held = hold(&mut ledger, "0.96", at(AFTERNOON_S));
    assert_eq!(committed(&mut ledger, at(AFTERNOON_S)), "0.96");
    ledger
        .book(&held, usd("0.00123"), false, "a/b", at(AFTERNOON_S + 1))
        .expect("it is writable");
    assert_eq!(committed(&mut ledger, at(AFTERNOON_S + 1)), "0.00123");
    let id = &held.id;
    let expected = format!(
        "{{\"at\":\"2026-11-20T17:30:05Z\",\"held\":\"0.96\",\"model\":\"a/b\",\"id\":\"{id}\"}}\n\
         {{\"at\":\"2026-11-20T17:30:06Z\",\"usd\":\"0.00123\",\"estimated\":false,\"model\":\"a/b\",\"id\":\"{id}\"}}\n"
    );
    assert_eq!(folder.text("spend-2026-11-20.jsonl"), expected);
}

#[cfg(unix)]
#[test]
fn folder_and_file_are_private_to_the_user() {
    use std::os::unix::fs::PermissionsExt;

    let folder = Folder::new();
    let path = folder.path.join("state/openrouter");
    spend(&mut Ledger::new(path.clone()), "0.1", at(AFTERNOON_S));
    let mode = |path: &Path| fs::metadata(path).expect("it exists").permissions().mode() & 0o777;
    assert_eq!(
        (mode(&path), mode(&path.join("spend-2026-11-20.jsonl"))),
        (0o700, 0o600)
    );
}

#[test]
fn a_restart_keeps_costs_and_holds() {
    let folder = Folder::new();
    let mut first = Ledger::new(folder.path.clone());
    spend(&mut first, "0.1", at(AFTERNOON_S));
    hold(&mut first, "0.03", at(AFTERNOON_S));
    drop(first);
    assert_eq!(
        committed(&mut Ledger::new(folder.path.clone()), at(AFTERNOON_S)),
        "0.13"
    );
}

#[test]
fn two_programs_see_each_others_costs_and_holds() {
    let folder = Folder::new();
    let (mut one, mut other) = (Ledger::new(folder.path.clone()), Ledger::new(folder.path.clone()));
    spend(&mut one, "0.1", at(AFTERNOON_S));
    assert_eq!(committed(&mut other, at(AFTERNOON_S)), "0.1");
    let held = hold(&mut other, "0.02", at(AFTERNOON_S));
    assert_eq!(committed(&mut one, at(AFTERNOON_S)), "0.12");
    other
        .book(&held, usd("0.01"), true, "a/b", at(AFTERNOON_S))
        .expect("it is writable");
    assert_eq!(committed(&mut one, at(AFTERNOON_S)), "0.11");
}

#[test]
fn a_new_day_starts_at_zero_and_a_call_counts_on_its_first_day() {
    let folder = Folder::new();
    let mut ledger = Ledger::new(folder.path.clone());
    let midnight = at(AFTERNOON_S / 86_400 * 86_400 + 86_400);
    let evening = midnight - Duration::from_secs(1);
    let held = hold(&mut ledger, "0.5", evening);
    assert_eq!(committed(&mut ledger, midnight), "0");
    ledger
        .book(&held, usd("0.2"), false, "a/b", midnight)
        .expect("it is writable");
    assert_eq!(
        (committed(&mut ledger, midnight), committed(&mut ledger, evening)),
        ("0".to_owned(), "0.2".to_owned())
    );
}

#[test]
fn a_line_without_its_newline_counts_once_the_next_writer_adds_it() {
    let folder = Folder::new();
    let mut ledger = Ledger::new(folder.path.clone());
    folder.append("spend-2026-11-20.jsonl", br#"{"at":"","usd":"7"}"#);
    assert_eq!(committed(&mut ledger, at(AFTERNOON_S)), "0");
    spend(&mut ledger, "0.2", at(AFTERNOON_S));
    assert_eq!(committed(&mut ledger, at(AFTERNOON_S)), "7.2");
}

#[test]
fn a_line_torn_at_any_length_does_not_damage_the_next_one() {
    let whole = br#"{"at":"2026-11-20T17:30:05Z","held":"0.5","model":"a/b","id":"1-2-3"}"#;
    for length in 1..whole.len() {
        let folder = Folder::new();
        let mut ledger = Ledger::new(folder.path.clone());
        spend(&mut ledger, "0.1", at(AFTERNOON_S));
        folder.append("spend-2026-11-20.jsonl", &whole[..length]);
        assert_eq!(committed(&mut ledger, at(AFTERNOON_S)), "0.1", "{length}");
        spend(&mut ledger, "0.2", at(AFTERNOON_S));
        for reader in [&mut ledger, &mut Ledger::new(folder.path.clone())] {
            assert_eq!(committed(reader, at(AFTERNOON_S)), "0.3", "{length}");
        }
    }
}

#[test]
fn unreadable_lines_are_ignored() {
    let folder = Folder::new();
    let lines: [&[u8]; 6] = [b"", b"{}", b"\xff\xfe", b"[1]", br#"{"usd":"-1"}"#, br#"{"usd":1}"#];
    folder.append("spend-2026-11-20.jsonl", &lines.join(&b'\n'));
    folder.append("spend-2026-11-20.jsonl", b"\n{\"usd\":\"0.4\",\"new\":{}}\n");
    let mut ledger = Ledger::new(folder.path.clone());
    assert_eq!(committed(&mut ledger, at(AFTERNOON_S)), "0.4");
}

#[test]
fn a_replaced_file_is_read_from_the_start() {
    let folder = Folder::new();
    let mut ledger = Ledger::new(folder.path.clone());
    spend(&mut ledger, "0.1", at(AFTERNOON_S));
    let path = folder.path.join("spend-2026-11-20.jsonl");
    fs::write(folder.path.join("new"), "{\"usd\":\"0.4\"}\n".repeat(20)).expect("it is writable");
    fs::rename(folder.path.join("new"), &path).expect("it is writable");
    assert_eq!(committed(&mut ledger, at(AFTERNOON_S)), "8");
    fs::write(&path, "").expect("it is writable");
    assert_eq!(committed(&mut ledger, at(AFTERNOON_S)), "0");
}

#[test]
fn a_lock_that_is_never_released_is_an_error() {
    let folder = Folder::new();
    folder.append("spend-2026-11-20.jsonl", b"");
    let path = folder.path.join("spend-2026-11-20.jsonl");
    let other = open_file(&path).expect("it is writable");
    other.lock().expect("it is free");
    let mut ledger = Ledger::new(folder.path.clone());
    let error = ledger.today(at(AFTERNOON_S)).err().expect("it is locked");
    assert!(error.message.ends_with(": another program keeps it locked"), "{error}");
    drop(other);
    assert_eq!(committed(&mut ledger, at(AFTERNOON_S)), "0");
}

#[test]
fn a_missing_folder_names_the_option() {
    let no_home = no_folder(NoFolder::NoHome);
    assert_eq!(
        (no_home.message.as_str(), no_home.hint()),
        (
            "`budget.perDayUsd` needs a ledger, and there is no home folder to keep it in",
            Some("set `budget.ledger` to the path of a folder")
        )
    );
    assert_eq!(
        folder(Some("l")).expect_err("a relative path").message,
        "`budget.ledger`: expected a path that begins with `/` or `~/`, found `l`"
    );
}

/// Does nothing by itself: the next test runs it in a process of its own and kills it.
#[test]
fn spends_until_it_is_killed() {
    let Some(folder) = env::var_os("LEDGER_OF_A_CHILD") else {
        return;
    };
    let mut ledger = Ledger::new(PathBuf::from(folder));
    loop {
        spend(&mut ledger, "0.001", at(AFTERNOON_S));
        let mut out = io::stdout();
        out.write_all(b"#")
            .and_then(|()| out.flush())
            .expect("somebody listens");
    }
}

#[test]
fn booked_costs_survive_a_kill() {
    let folder = Folder::new();
    let program = env::current_exe().expect("this is a program");
    let mut child = Command::new(program)
        .args([
            "--exact",
            "money::ledger::tests::spends_until_it_is_killed",
            "--nocapture",
        ])
        .env("LEDGER_OF_A_CHILD", &folder.path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut said = child.stdout.take().expect("it is piped");
    let mut n_spent = 0_u64;
    let mut byte = [0];
    while n_spent < 200 && said.read_exact(&mut byte).is_ok() {
        n_spent += u64::from(byte == *b"#");
    }
    child.kill().expect("it runs");
    child.wait().expect("it is a child");
    assert_eq!(n_spent, 200);
    let mut ledger = Ledger::new(folder.path.clone());
    let total = ledger.today(at(AFTERNOON_S)).expect("a ledger").committed();
    assert!(total >= usd("0.2"), "{total}");
    // Spending continues as if nothing had happened.
    spend(&mut ledger, "0.001", at(AFTERNOON_S));
    assert_eq!(
        committed(&mut ledger, at(AFTERNOON_S)),
        total.plus(usd("0.001")).to_string()
    );
    let text = folder.text("spend-2026-11-20.jsonl");
    assert!(
        text.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()),
        "{text}"
    );
}
