//! What must survive: processes that are killed, several of them at once, damage, a full disk.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{env, fs};

use super::*;
use crate::{By, Ledger, Message, Nanos, Status};

/// Long enough for everything here.
const LIMIT: Duration = Duration::from_secs(60);

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn opened(folder: &tempfile::TempDir) -> Sqlite {
    let opened = Sqlite::open(&folder.path().join("store.db")).expect("a store");
    assert_eq!(opened.damaged, None);
    opened.store
}

/// A call at this minute.
fn call(minute: i64) -> Call {
    Call {
        time_ms: minute * 60_000,
        client: "cli".to_owned(),
        model: "acme/small".to_owned(),
        status: Status::Ok,
        billed: Some(Nanos(3)),
        prompt_tokens: Some(10),
        duration_ms: 100,
        ..Call::default()
    }
}

/// The number of calls by the sums, after checking that rows and sums are equal and that the file is whole.
fn n_calls(store: &mut Sqlite) -> u64 {
    store.check().expect("the file is whole");
    let all = store.usage(&Query::default()).expect("the sums");
    let n_calls = all.first().map_or(0, |row| row.sums.calls);
    let rows = store
        .connection
        .query_row("SELECT count(*) FROM call", [], |row| row.get(0));
    assert_eq!(rows, Ok(n_calls));
    n_calls
}

#[test]
fn sums_are_exact_at_the_edges_of_any_time() {
    let folder = folder();
    let mut store = opened(&folder);
    let calls: Vec<Call> = (0..600).map(call).collect();
    store.record(&calls).expect("it records");
    for since in [0, 1, 59, 60, 61, 119, 299] {
        for until in [since, since + 1, 119, 120, 121, 300, 599, 600, 1000] {
            let query = Query {
                by: vec![By::Model],
                since_ms: Some(since * 60_000),
                until_ms: Some(until * 60_000),
            };
            let rows = store.usage(&query).expect("the sums");
            let expected = (until.min(600) - since).max(0) as u64;
            let found = rows
                .first()
                .map_or((0, None), |row| (row.sums.calls, row.sums.billed_usd));
            let billed = (expected > 0).then_some(Nanos(3 * expected as i64));
            assert_eq!(found, (expected, billed), "{since} to {until}");
        }
    }
}

#[test]
fn sums_of_any_time_are_those_of_its_calls() {
    let folder = folder();
    let mut store = opened(&folder);
    // Scattered over nine days, with both of several models in most hours.
    let mut odd = 7_u64;
    let mut next = |below: i64| {
        odd = odd.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (odd >> 33) as i64 % below
    };
    let calls = (0..3000).map(|_| Call {
        time_ms: next(9 * 86_400_000),
        model: format!("acme/{}", next(3)),
        billed: (next(5) > 0).then_some(Nanos(next(1_000_000))),
        prompt_tokens: (next(7) > 0).then_some(next(5000) as u64),
        ..call(0)
    });
    let mut calls: Vec<Call> = calls.collect();
    store.record(&calls).expect("it records");
    for round in 0..600 {
        if round == 300 {
            // A day of which only some hours are left.
            let before_ms = 86_400_000 + 5 * 3_600_000;
            store.prune_calls(before_ms).expect("it prunes");
            calls.retain(|call| call.time_ms >= before_ms);
        }
        let since_ms = (next(6) > 0).then(|| next(10 * 86_400_000));
        let until_ms = (next(6) > 0).then(|| next(10 * 86_400_000));
        let model = format!("acme/{}", next(3));
        let asked = calls.iter().filter(|call| {
            let is_since = since_ms.is_none_or(|since| call.time_ms >= since);
            is_since && until_ms.is_none_or(|until| call.time_ms < until) && call.model == model
        });
        let asked: Vec<&Call> = asked.collect();
        let expected = (
            asked.len() as u64,
            asked
                .iter()
                .filter_map(|call| call.billed)
                .map(|cost| cost.0)
                .reduce(|one, other| one + other),
            asked
                .iter()
                .filter_map(|call| call.prompt_tokens)
                .reduce(|one, other| one + other),
            asked.iter().filter(|call| call.billed.is_none()).count() as u64,
        );
        let by = vec![By::Model];
        let rows = store.usage(&Query { by, since_ms, until_ms }).expect("the sums");
        let found = rows.into_iter().find(|row| row.key[0] == model).map(|row| row.sums);
        let found = found.map_or((0, None, None, 0), |sums| {
            let billed = sums.billed_usd.map(|cost| cost.0);
            (sums.calls, billed, sums.prompt_tokens, sums.unknown_cost)
        });
        assert_eq!(found, expected, "{since_ms:?} to {until_ms:?}");
    }
}

#[test]
fn unknown_costs_are_counted_and_never_zero() {
    let folder = folder();
    let mut store = opened(&folder);
    let unknown = || Call {
        billed: None,
        prompt_tokens: None,
        ..call(1)
    };
    let estimated = Call {
        estimated: Some(Nanos(7)),
        ..unknown()
    };
    let failed = Call {
        status: Status::Error,
        code: "timeout".to_owned(),
        ..unknown()
    };
    store.record(&[unknown(), failed.clone()]).expect("it records");
    let sums = store.usage(&Query::default()).expect("the sums").remove(0).sums;
    assert_eq!((sums.calls, sums.errors, sums.unknown_cost), (2, 1, 1));
    assert_eq!(
        (sums.billed_usd, sums.estimated_usd, sums.prompt_tokens),
        (None, None, None)
    );
    store.record(&[estimated, call(2)]).expect("it records");
    let by_code = Query {
        by: vec![By::Day, By::Code],
        ..Query::default()
    };
    let rows = store.usage(&by_code).expect("the sums");
    let keys: Vec<[&str; 2]> = rows
        .iter()
        .map(|row| [row.key[0].as_str(), row.key[1].as_str()])
        .collect();
    assert_eq!(keys, [["1970-01-01", ""], ["1970-01-01", "timeout"]]);
    let sums = &rows[0].sums;
    assert_eq!(
        (sums.billed_usd, sums.estimated_usd, sums.unknown_cost),
        (Some(Nanos(3)), Some(Nanos(7)), 1)
    );
    assert_eq!(sums.p50_ms, Some(99));
}

#[test]
fn old_calls_go_with_their_sums() {
    let folder = folder();
    let mut store = opened(&folder);
    store
        .record(&(0..600).map(call).collect::<Vec<_>>())
        .expect("it records");
    assert_eq!(store.prune_calls(150 * 60_000).ok(), Some(120));
    assert_eq!(n_calls(&mut store), 480);
    store.vacuum().expect("it becomes smaller");
    assert_eq!(n_calls(&mut store), 480);
}

const CHILD: &str = "STORE_TEST_FILE";

/// Not a test of its own: what the processes of the next two tests run.
#[test]
fn child() {
    let Some(file) = env::var_os(CHILD) else { return };
    let mut store = Sqlite::open(Path::new(&file)).expect("a store").store;
    let id = store.create(&New::default(), &Turn::default()).expect("a conversation");
    for n in 0..1000 {
        store.record(&[call(n), call(n)]).expect("it records");
        store.append(&id, &turn(n as u64)).expect("it grows");
        println!("committed {}", (n + 1) * 2);
    }
}

/// The turn after so many others in a conversation that began without any.
fn turn(n_before: u64) -> Turn {
    let message = |role: &str| Message {
        role: role.to_owned(),
        body: "{}".to_owned(),
        text: format!("{role} number {n_before}"),
        time_ms: 0,
    };
    Turn {
        n_changes: n_before + 1,
        n_kept: n_before * 2,
        messages: vec![message("user"), message("assistant")],
        ..Turn::default()
    }
}

/// Not a test of its own: records calls behind its back, and prints how many are flushed.
#[test]
fn ledger_child() {
    let Some(file) = env::var_os(CHILD) else { return };
    let open = move |_| Ok(Box::new(Sqlite::open(Path::new(&file))?.store) as Box<dyn Store>);
    let ledger = Ledger::start(open, |cause| panic!("{cause}")).expect("a thread");
    for n in 1..=100 {
        (0..30).for_each(|minute| ledger.record(call(minute)));
        assert_eq!(ledger.flush(LIMIT), 0, "nothing is lost");
        println!("committed {}", n * 30);
    }
}

fn start_child(folder: &tempfile::TempDir, test: &str) -> Child {
    let mut child = Command::new(env::current_exe().expect("this program"));
    child.args(["--exact", &format!("sqlite::tests::{test}"), "--nocapture"]);
    child.env(CHILD, folder.path().join("store.db"));
    child.stdout(Stdio::piped()).spawn().expect("it starts")
}

/// The numbers that a child prints.
fn committed(child: &mut Child) -> impl Iterator<Item = u64> + use<> {
    let stdout = BufReader::new(child.stdout.take().expect("its output"));
    let number = |line: String| line.split_once("committed ")?.1.trim().parse().ok();
    stdout.lines().map_while(Result::ok).filter_map(number)
}

#[test]
fn nothing_committed_is_lost_or_broken_when_a_process_is_killed() {
    for stop_after in [2, 400, 1000] {
        let folder = folder();
        let mut child = start_child(&folder, "child");
        let mut numbers = committed(&mut child);
        numbers.find(|number| *number >= stop_after).expect("it writes");
        // On Unix, this is SIGKILL.
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        let last = numbers.last().unwrap_or(stop_after);
        let mut store = opened(&folder);
        let n_calls = n_calls(&mut store);
        assert!(
            n_calls == last || n_calls == last + 2,
            "{last} committed, {n_calls} there"
        );
        let id = store.list(1, 0).expect("a list").remove(0).id;
        let n_messages = store.load(&id).expect("the conversation").messages.len() as u64;
        assert!(
            n_messages == last || n_messages == n_calls,
            "{last} committed, {n_messages} there"
        );
        assert_eq!(store.append(&id, &turn(n_messages / 2)).ok(), Some(n_messages / 2 + 2));
    }
}

#[test]
fn nothing_flushed_is_lost_when_a_recording_process_is_killed() {
    for stop_after in [30, 900, 3000] {
        let folder = folder();
        let mut child = start_child(&folder, "ledger_child");
        let mut numbers = committed(&mut child);
        numbers.find(|number| *number >= stop_after).expect("it records");
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        let last = numbers.last().unwrap_or(stop_after);
        let n_calls = n_calls(&mut opened(&folder));
        assert!((last..=last + 30).contains(&n_calls), "{last} flushed, {n_calls} there");
    }
}

#[test]
fn several_processes_write_at_once() {
    let folder = folder();
    let mut children = [
        start_child(&folder, "child"),
        start_child(&folder, "child"),
        start_child(&folder, "child"),
    ];
    let readers = children.each_mut().map(committed);
    assert_eq!(readers.map(|numbers| numbers.last()), [Some(2000); 3]);
    for child in &mut children {
        assert!(child.wait().expect("it ends").success());
    }
    let mut store = opened(&folder);
    assert_eq!(n_calls(&mut store), 6000);
    assert_eq!(store.list(10, 0).expect("a list").len(), 3);
}

#[test]
fn a_full_disk_loses_calls_and_says_so_once() {
    let folder = folder();
    let file = folder.path().join("store.db");
    let troubles = Arc::new(Mutex::new(Vec::new()));
    let (told, place) = (Arc::clone(&troubles), file.clone());
    let open = move |_| {
        let store = Sqlite::open(&place)?.store;
        store.connection.pragma_update(None, "max_page_count", 60)?;
        Ok(Box::new(store) as Box<dyn Store>)
    };
    let ledger = Ledger::start(open, move |cause| {
        told.lock().expect("no panic").push(cause.to_string())
    });
    let ledger = ledger.expect("a thread");
    let mut n_lost = 0;
    for n in 0..40 {
        (0..200).for_each(|minute| ledger.record(call(n * 200 + minute)));
        n_lost = ledger.flush(LIMIT);
    }
    assert_eq!(*troubles.lock().expect("no panic"), ["the disk is full"]);
    let mut store = Sqlite::open(&file).expect("the store").store;
    assert_eq!(n_calls(&mut store), 8000 - n_lost);
    assert!((1..8000).contains(&n_lost), "{n_lost}");
}

#[test]
fn a_damaged_file_gets_another_name() {
    let folder = folder();
    let file = folder.path().join("store.db");
    fs::write(&file, [b"SQLite format 3\0".as_slice(), &[0xff; 5000]].concat()).expect("it is written");
    let damaged = Sqlite::open(&file).expect("a new store").damaged.expect("the old one");
    assert_eq!(fs::read(damaged).expect("it is kept").len(), 5016);
    assert_eq!(n_calls(&mut opened(&folder)), 0);
}

#[test]
fn damage_that_shows_while_recording_costs_no_call() {
    let folder = folder();
    let file = folder.path().join("store.db");
    let mut store = opened(&folder);
    store.record(&vec![call(0); 500]).expect("they are recorded");
    drop(store);
    let mut bytes = fs::read(&file).expect("its bytes");
    bytes[4096..].fill(0xff);
    fs::write(&file, bytes).expect("it is written");
    let place = file.clone();
    let open = move |is_damaged| {
        if is_damaged {
            Sqlite::set_aside(&place)?;
        }
        Ok(Box::new(Sqlite::open(&place)?.store) as Box<dyn Store>)
    };
    let ledger = Ledger::start(open, |cause| panic!("{cause}")).expect("a thread");
    ledger.record(call(0));
    assert_eq!(ledger.flush(Duration::from_secs(60)), 0);
    assert_eq!(n_calls(&mut opened(&folder)), 1);
}

#[test]
fn files_of_others_are_refused_and_stay_as_they_are() {
    let folder = folder();
    let file = folder.path().join("notes.txt");
    fs::write(&file, "my important notes").expect("it is written");
    let refused = |file: &Path| Sqlite::open(file).err().expect("a refusal").to_string();
    assert!(refused(&file).ends_with("is no store of this program"));
    assert_eq!(fs::read(&file).expect("it stays"), b"my important notes");
    let other = folder.path().join("other.db");
    Connection::open(&other)
        .and_then(|other| other.execute_batch("CREATE TABLE series (x)"))
        .expect("another database");
    assert!(refused(&other).ends_with("is no store of this program"));
}

#[test]
fn absurd_numbers_of_a_service_spoil_no_sum() {
    let folder = folder();
    let mut store = opened(&folder);
    let absurd = Call {
        prompt_tokens: Some(u64::MAX),
        completion_tokens: Some(u64::MAX / 2),
        billed: Nanos::parse("8e9"),
        ..call(0)
    };
    assert_eq!(absurd.billed, None);
    store.record(&vec![absurd; 3]).expect("they are recorded");
    let sums = store.usage(&Query::default()).expect("sums").pop().expect("a row").sums;
    assert_eq!(sums.prompt_tokens, Some(3 << 40));
}

#[test]
fn a_file_of_a_newer_program_is_refused() {
    let folder = folder();
    let store = opened(&folder);
    store
        .connection
        .pragma_update(None, "user_version", 1000)
        .expect("it is written");
    let refused = Sqlite::open(&folder.path().join("store.db")).err().expect("a refusal");
    let words = "has version 1000, and this program knows versions up to 1";
    assert!(refused.to_string().ends_with(words), "{refused}");
}

#[cfg(unix)]
#[test]
fn the_files_are_their_owners_alone_and_links_are_refused() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = folder();
    let mut store = opened(&folder);
    store.record(&[call(1)]).expect("it records");
    for entry in fs::read_dir(folder.path()).expect("a folder") {
        let entry = entry.expect("an entry");
        let mode = entry.metadata().expect("its mode").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", entry.file_name());
    }
    let link = folder.path().join("link.db");
    symlink(folder.path().join("store.db"), &link).expect("a link");
    let refused = Sqlite::open(&link).err().expect("a refusal").to_string();
    assert!(refused.contains("links are not followed"), "{refused}");
}

#[test]
fn a_backup_is_a_store_of_its_own() {
    let folder = folder();
    let mut store = opened(&folder);
    store.record(&[call(1), call(2)]).expect("it records");
    let copy = folder.path().join("copy.db");
    store.back_up(&copy).expect("a copy");
    assert_eq!(n_calls(&mut Sqlite::open(&copy).expect("a store").store), 2);
}

#[test]
fn conversations_come_back_as_they_were() {
    let folder = folder();
    let mut store = opened(&folder);
    let new = New {
        title: "Bees".to_owned(),
        session: "bees".to_owned(),
        ..New::default()
    };
    let id = store.create(&new, &Turn::default()).expect("an id");
    let mut first = turn(0);
    first.state = "{\"n\": 1}".to_owned();
    first.messages[1].text = "Café owners don't AND can't \"quote\"".to_owned();
    assert_eq!(store.append(&id, &first).ok(), Some(2));
    let conflict = store.append(&id, &turn(0)).expect_err("another program was faster");
    let words = "another program has changed the conversation: expected 1 changes, found 2";
    assert_eq!(conflict.to_string(), words);
    let loaded = store.load(&id[..10]).expect("by the beginning of its id");
    assert_eq!((loaded.messages, loaded.state), (first.messages, first.state));
    assert_eq!((loaded.summary.title.as_str(), loaded.summary.n_messages), ("Bees", 2));
    for words in ["cafe", "CAFÉ own", "don't AND", "\"quote\"", "can't quo"] {
        let found = store.search(words, 10).expect("a search");
        assert_eq!(found.iter().map(|found| found.seq).collect::<Vec<_>>(), [1], "{words}");
    }
    assert_eq!(store.search("  ", 10).expect("a search"), []);
    let snippet = store.search("owners", 10).expect("a search").remove(0).snippet;
    assert!(snippet.contains("Café \u{2}owners\u{3} don't"), "{snippet}");
    store.rename(&id, "Coffee").expect("it is there");
    assert_eq!(store.list(10, 0).expect("a list")[0].title, "Coffee");
    let other = store.create(&New::default(), &Turn::default()).expect("an id");
    assert_eq!(store.latest(None).ok().flatten(), Some(other.clone()));
    assert_eq!(store.latest(Some("bees")).ok().flatten(), Some(id.clone()));
    assert_eq!(store.latest(Some("wasps")).ok().flatten(), None);
    assert_eq!(store.load("bees").expect("by its session").summary.id, id);
    assert!(matches!(store.load(&id[..2]), Err(Error::Ambiguous(_))));
    store.delete(&other).expect("it is there");
    assert_eq!(store.prune_conversations(i64::MAX).ok(), Some(1));
    for gone in [&id, &other] {
        assert!(matches!(store.load(gone), Err(Error::NoConversation(_))));
        assert!(matches!(store.append(gone, &turn(0)), Err(Error::NoConversation(_))));
    }
}

#[test]
fn the_end_of_a_conversation_may_be_replaced() {
    let folder = folder();
    let mut store = opened(&folder);
    let id = store.create(&New::default(), &Turn::default()).expect("an id");
    store.append(&id, &turn(0)).expect("it grows");
    store.append(&id, &turn(1)).expect("it grows");
    let again = Turn {
        n_changes: 3,
        n_kept: 3,
        tier: "TEXT_SMALL".to_owned(),
        messages: vec![Message {
            text: "another answer".to_owned(),
            ..Message::default()
        }],
        ..Turn::default()
    };
    assert_eq!(store.append(&id, &again).ok(), Some(4));
    let loaded = store.load(&id).expect("it is there");
    let texts: Vec<&str> = loaded.messages.iter().map(|message| message.text.as_str()).collect();
    assert_eq!(
        texts,
        ["user number 0", "assistant number 0", "user number 1", "another answer"]
    );
    assert_eq!(
        (loaded.summary.tier.as_str(), loaded.summary.n_changes),
        ("TEXT_SMALL", 4)
    );
    assert_eq!(store.search("assistant number", 10).expect("a search").len(), 1);
    assert!(matches!(store.append(&id, &turn(2)), Err(Error::Conflict { .. })));
}

#[test]
fn deleted_words_are_gone_from_the_disk() {
    let folder = folder();
    let mut store = opened(&folder);
    let id = store.create(&New::default(), &Turn::default()).expect("an id");
    let mut said = turn(0);
    said.messages[0].text = "xylophone".to_owned();
    said.messages[0].body = "\"xylophone\"".to_owned();
    store.append(&id, &said).expect("it grows");
    store.delete(&id).expect("it is there");
    for entry in fs::read_dir(folder.path()).expect("a folder") {
        let path = entry.expect("an entry").path();
        let bytes = fs::read(&path).expect("its bytes");
        assert!(!bytes.windows(9).any(|word| word == b"xylophone"), "{}", path.display());
    }
}

#[test]
fn answers_age_and_the_ones_used_last_stay() {
    let folder = folder();
    let mut store = opened(&folder);
    let answer = |letter: u8| Answer {
        head: String::new(),
        body: vec![letter; 100],
    };
    let limits = |n_bytes| Limits { since_ms: 0, n_bytes };
    for letter in [b'a', b'b', b'c'] {
        store
            .keep_answer(&[letter], &answer(letter), limits(1000))
            .expect("it keeps");
        let later = "UPDATE answer SET used_ms = ?1 WHERE key = ?2";
        let used = rusqlite::params![i64::from(letter), [letter]];
        store.connection.execute(later, used).expect("it is there");
    }
    assert_eq!(store.answer(b"a", 0).ok(), Some(Some(answer(b'a'))));
    assert_eq!(store.answer(b"a", i64::MAX).ok(), Some(None), "too old");
    store.keep_answer(b"d", &answer(b'd'), limits(300)).expect("it keeps");
    let there = [b"a", b"b", b"c", b"d"].map(|key| store.answer(key, 0).expect("it reads").is_some());
    assert_eq!(there, [true, false, true, true], "the one used first is gone");
    store.keep_answer(b"e", &answer(b'e'), limits(50)).expect("it keeps");
    assert_eq!(store.answer(b"e", 0).ok(), Some(None), "larger than all room");
}
