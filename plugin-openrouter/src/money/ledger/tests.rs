use std::io::Read as _;

use serde_json::Value;

use super::*;
use crate::kit::{self, Folder};

/// 2026-11-20T17:30:05Z
const AFTERNOON_S: u64 = 1_795_195_805;

/// The file of that day.
const FILE: &str = "spend-2026-11-20.jsonl";

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn usd(text: &str) -> Usd {
    Usd::parse(text).expect("an amount")
}

/// A program that uses the ledger in a folder, at a time.
struct Program {
    ledger: Ledger,
    now: SystemTime,
}

impl Program {
    fn new(folder: &Path) -> Self {
        Self {
            ledger: Ledger::new(folder.to_owned()),
            now: at(AFTERNOON_S),
        }
    }

    fn committed(&mut self) -> String {
        self.ledger.today(self.now).expect("a ledger").committed().to_string()
    }

    fn hold(&mut self, text: &str) -> Hold {
        let mut today = self.ledger.today(self.now).expect("a ledger");
        today.hold(usd(text), "a/b").expect("it is writable")
    }

    fn book(&mut self, hold: &Hold, text: &str) {
        let booked = self.ledger.book(hold, usd(text), false, "a/b", self.now);
        booked.expect("it is writable");
    }

    fn spend(&mut self, text: &str) {
        let held = self.hold("0.5");
        self.book(&held, text);
    }
}

#[test]
fn a_call_is_two_lines_without_prompt_or_key() {
    let folder = Folder::new();
    let mut program = Program::new(&folder.path);
    let held = program.hold("0.96");
    assert_eq!(program.committed(), "0.96");
    program.now = at(AFTERNOON_S + 1);
    program.book(&held, "0.00123");
    assert_eq!(program.committed(), "0.00123");
    let id = &held.id;
    let expected = format!(
        "{{\"at\":\"2026-11-20T17:30:05Z\",\"held\":\"0.96\",\"model\":\"a/b\",\"id\":\"{id}\"}}\n\
         {{\"at\":\"2026-11-20T17:30:06Z\",\"usd\":\"0.00123\",\"estimated\":false,\"model\":\"a/b\",\"id\":\"{id}\"}}\n"
    );
    assert_eq!(folder.text(FILE), expected);
}

#[cfg(unix)]
#[test]
fn folder_and_file_are_private_to_the_user() {
    use std::os::unix::fs::PermissionsExt;

    let folder = Folder::new();
    let path = folder.path.join("state/openrouter");
    Program::new(&path).spend("0.1");
    let mode = |path: &Path| fs::metadata(path).expect("it exists").permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&path.join(FILE))), (0o700, 0o600));
}

#[cfg(unix)]
#[test]
fn files_that_are_no_ledger_are_errors_that_name_them() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    let folder = Folder::new();
    fs::create_dir_all(&folder.path).expect("it is writable");
    let path = folder.path.join(FILE);
    let refusal = || {
        let mut program = Program::new(&folder.path);
        let error = program.ledger.today(program.now).err().expect("it is no ledger");
        assert_eq!(error.kind, ErrorKind::CONFIG);
        assert!(error.message.contains(&folder.path.display().to_string()), "{error}");
        error.message
    };
    let assert_refused = |why: &str| {
        let message = refusal();
        assert!(message.ends_with(why), "{message}");
        fs::remove_file(&path).expect("it is there");
    };
    symlink("/dev/zero", &path).expect("it is writable");
    assert_refused("it is a symbolic link, which is not followed");
    // As a pipe would, it never ends.
    let _socket = UnixListener::bind(&path).expect("it is writable");
    assert_refused("it is not a regular file");
    let sparse = |bytes: u64| {
        File::create(&path)
            .expect("it is writable")
            .set_len(bytes)
            .expect("it is sparse")
    };
    sparse(10 << 30);
    assert_refused("the file has more than 256 MiB");
    sparse(1 << 20);
    assert_refused("it is damaged: a line has no end");
    fs::set_permissions(&folder.path, fs::Permissions::from_mode(0o777)).expect("it is ours");
    let message = refusal();
    assert!(message.ends_with("every user may write to the folder"), "{message}");
}

#[test]
fn programs_see_each_others_costs_and_holds() {
    let folder = Folder::new();
    let (mut one, mut other) = (Program::new(&folder.path), Program::new(&folder.path));
    one.spend("0.1");
    assert_eq!(other.committed(), "0.1");
    let held = other.hold("0.02");
    assert_eq!(one.committed(), "0.12");
    // One that starts later reads them from the file.
    assert_eq!(Program::new(&folder.path).committed(), "0.12");
    other.book(&held, "0.01");
    assert_eq!(one.committed(), "0.11");
}

#[test]
fn a_new_day_starts_at_zero_and_a_call_counts_on_its_first_day() {
    let folder = Folder::new();
    let mut program = Program::new(&folder.path);
    let midnight = at(AFTERNOON_S / 86_400 * 86_400 + 86_400);
    let evening = midnight - Duration::from_secs(1);
    program.now = evening;
    let held = program.hold("0.5");
    program.now = midnight;
    assert_eq!(program.committed(), "0");
    program.book(&held, "0.2");
    assert_eq!(program.committed(), "0");
    program.now = evening;
    assert_eq!(program.committed(), "0.2");
}

#[test]
fn a_line_without_its_newline_counts_once_the_next_writer_adds_it() {
    let folder = Folder::new();
    let mut program = Program::new(&folder.path);
    folder.append(FILE, br#"{"at":"","usd":"7"}"#);
    assert_eq!(program.committed(), "0");
    program.spend("0.2");
    assert_eq!(program.committed(), "7.2");
}

#[test]
fn a_line_torn_at_any_length_does_not_damage_the_next_one() {
    let whole = br#"{"at":"2026-11-20T17:30:05Z","held":"0.5","model":"a/b","id":"1-2-3"}"#;
    for length in 1..whole.len() {
        let folder = Folder::new();
        let mut program = Program::new(&folder.path);
        program.spend("0.1");
        folder.append(FILE, &whole[..length]);
        assert_eq!(program.committed(), "0.1", "{length}");
        program.spend("0.2");
        for reader in [&mut program, &mut Program::new(&folder.path)] {
            assert_eq!(reader.committed(), "0.3", "{length}");
        }
    }
}

#[test]
fn unreadable_lines_are_ignored() {
    let folder = Folder::new();
    let lines: [&[u8]; 6] = [b"", b"{}", b"\xff\xfe", b"[1]", br#"{"usd":"-1"}"#, br#"{"usd":1}"#];
    folder.append(FILE, &lines.join(&b'\n'));
    folder.append(FILE, b"\n{\"usd\":\"0.4\",\"new\":{}}\n");
    assert_eq!(Program::new(&folder.path).committed(), "0.4");
}

#[test]
fn a_replaced_file_is_read_from_the_start() {
    let folder = Folder::new();
    let mut program = Program::new(&folder.path);
    program.spend("0.1");
    let (path, new) = (folder.path.join(FILE), folder.path.join("new"));
    fs::write(&new, "{\"usd\":\"0.4\"}\n".repeat(20)).expect("it is writable");
    fs::rename(&new, &path).expect("it is writable");
    assert_eq!(program.committed(), "8");
    fs::write(&path, "").expect("it is writable");
    assert_eq!(program.committed(), "0");
}

#[test]
fn a_lock_that_is_never_released_is_an_error() {
    let folder = Folder::new();
    folder.append(FILE, b"");
    let other = files::open(&folder.path.join(FILE), true, MAX_BYTES).expect("it is writable");
    other.lock().expect("it is free");
    let mut program = Program::new(&folder.path);
    let error = program.ledger.today(program.now).err().expect("it is locked");
    assert!(error.message.ends_with(": another program keeps it locked"), "{error}");
    drop(other);
    assert_eq!(program.committed(), "0");
}

#[test]
fn a_missing_folder_names_the_option() {
    let no_home = no_folder(NoFolder::NoHome);
    let message = "`budget.perDayUsd` needs a ledger, and there is no home folder to keep it in";
    let hint = "set `budget.ledger` to the path of a folder";
    assert_eq!((no_home.message.as_str(), no_home.hint()), (message, Some(hint)));
    let message = "`budget.ledger`: expected a path that begins with `/` or `~/`, found `l`";
    assert_eq!(folder(Some("l")).expect_err("a relative path").message, message);
}

/// Does nothing by itself: the next test runs it in a process of its own and kills it.
#[test]
fn spends_until_it_is_killed() {
    let Some(folder) = env::var_os("LEDGER_OF_A_CHILD") else {
        return;
    };
    let mut program = Program::new(Path::new(&folder));
    loop {
        program.spend("0.001");
        let mut out = io::stdout();
        let written = out.write_all(b"#").and_then(|()| out.flush());
        written.expect("somebody listens");
    }
}

#[test]
fn booked_costs_survive_a_kill() {
    let folder = Folder::new();
    let test = "money::ledger::tests::spends_until_it_is_killed";
    let mut child = kit::child(test, "LEDGER_OF_A_CHILD", &folder.path);
    let mut said = child.stdout.take().expect("it is piped");
    let mut n_spent = 0_u64;
    let mut byte = [0];
    while n_spent < 200 && said.read_exact(&mut byte).is_ok() {
        n_spent += u64::from(byte == *b"#");
    }
    child.kill().expect("it runs");
    child.wait().expect("it is a child");
    assert_eq!(n_spent, 200);
    let mut program = Program::new(&folder.path);
    let total = usd(&program.committed());
    assert!(total >= usd("0.2"), "{total}");
    // Spending continues as if nothing had happened.
    program.spend("0.001");
    assert_eq!(program.committed(), total.plus(usd("0.001")).to_string());
    let text = folder.text(FILE);
    let mut lines = text.lines();
    assert!(lines.all(|line| serde_json::from_str::<Value>(line).is_ok()), "{text}");
}
