//! `plugins verify`: sound plugins pass without a key, and of a faulty one the right check says what is wrong.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tests::{Home, Ran, compiled, echo_plugin, hasty_source, openrouter_plugin, second_plugin, workspace};

use crate::{assert_fails, assert_has, json_of, row};

fn verify(plugin: &Path, more: &[&str]) -> Ran {
    let path = plugin.to_str().expect("text");
    Home::new().host(&[&["plugins", "verify", path], more].concat()).run()
}

/// The ids of the checks with this status, and what they say.
fn with_status(report: &Value, status: &str) -> Vec<(String, String)> {
    let checks = report["checks"].as_array().expect("rows").iter();
    let text = |check: &Value, member: &str| check[member].as_str().unwrap_or_default().to_owned();
    let found = checks.filter(|check| check["status"] == status);
    found.map(|check| (text(check, "id"), text(check, "summary"))).collect()
}

#[test]
fn sound_plugins_pass_every_check_without_a_key() {
    for (plugin, not_applicable) in [
        (openrouter_plugin(), &[][..]),
        (second_plugin(), &[]),
        (echo_plugin(), &["options"]),
    ] {
        let ran = verify(&plugin, &["--json"]).expect_success();
        let report = json_of(&ran);
        let skipped = with_status(&report, "skipped");
        let skipped: Vec<&str> = skipped.iter().map(|(id, _)| &**id).collect();
        assert_eq!(
            (&report["ok"], &skipped[..]),
            (&Value::Bool(true), not_applicable),
            "{report}"
        );
    }
}

#[test]
fn the_report_is_a_row_for_each_check() {
    let ran = verify(&echo_plugin(), &[]).expect_success();
    let manifest = row(&ran.stdout, "  ✓ manifest");
    assert_has(manifest, "`echo` 1.0.0, plugin-api ");
    assert_has(
        row(&ran.stdout, "  ○ options"),
        "not applicable: the manifest has no `options_schema`",
    );
    assert_has(row(&ran.stdout, "  ✓ cancel"), "; the limit is 100ms");
    assert_has(&ran.stdout, "\n10 ok, 0 warnings, 0 failed, 1 skipped\n");
}

#[test]
fn the_docs_list_every_check() {
    let page = fs::read_to_string(workspace().join("docs/write-a-plugin.md")).expect("it is there");
    let table = page.split("\n| check |").nth(1).expect("the table of checks");
    let rows = table.lines().skip(2).map_while(|line| line.strip_prefix("| `"));
    let documented: Vec<&str> = rows.filter_map(|row| row.split('`').next()).collect();
    let report = json_of(&verify(&echo_plugin(), &["--json"]));
    let checks = report["checks"].as_array().expect("rows").iter();
    let ids: Vec<&str> = checks.filter_map(|check| check["id"].as_str()).collect();
    assert_eq!(documented, ids);
}

/// A plugin whose source has `/* PLACES */` for faults.
const SOUND: &str = r##"
use std::future::{pending, poll_fn};
use std::task::Poll;
use std::time::Duration;
use plugin_api::{ChatEvent, ChatRequest, Error, ErrorKind, EventStream, Host, Payload, Provider, export_plugin};

struct Faulty;

struct Slow;

impl Drop for Slow {
    fn drop(&mut self) {
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn depth(text: &str) -> usize {
    text.strip_prefix('[').map_or(0, |inner| 1 + std::hint::black_box(depth(inner)))
}

impl Provider for Faulty {
    const MANIFEST: &'static str = r#"{"id": "faulty", "name": "Faulty", "version": "1.0.0", "methods": ["length"],
        "options_schema": {"properties": {"size": {"type": "integer"}}, "additionalProperties": false}}"#;

    fn create(_host: Host, config: &str) -> Result<Self, Error> {
        /* CREATE */
        let _ = (config, ErrorKind::CONFIG);
        Ok(Self)
    }

    async fn stream(&self, request: ChatRequest) -> Result<EventStream, Error> {
        /* STREAM */
        request.read_messages()?;
        Ok([ChatEvent::text("Hello"), ChatEvent::done("stop")].into_iter().collect())
    }

    async fn call(&self, method: &str, payload: Payload) -> Result<Payload, Error> {
        let text = payload.json();
        /* CALL */
        match method {
            "length" => Payload::of(&text.len()),
            _ => Err(Error::unsupported(method)),
        }
    }

    async fn shutdown(&self, _deadline: Duration) {
        let _ = (Slow, depth, pending::<()>, poll_fn::<(), fn(&mut std::task::Context<'_>) -> Poll<()>>);
        /* SHUTDOWN */
    }
}

export_plugin!(Faulty);
"##;

/// The check that must fail, what of the sound source gives way to the fault, the fault, and what the check says.
type Fault = (&'static str, &'static str, &'static str, &'static str);

/// One plugin a line of faults, as each takes a second to build.
const FAULTY: &[&[Fault]] = &[
    &[(
        "create",
        "/* CREATE */",
        r#"return Err(Error::new(ErrorKind::AUTH, "there is no key"));"#,
        "expected an instance without a key and with the fewest options, found `auth`: there is no key",
    )],
    &[(
        "cancel",
        "/* STREAM */",
        "let _slow = Slow; pending::<()>().await;",
        "expected a dropped `chat` to end in 100ms, found ",
    )],
    &[
        (
            "options",
            r#", "additionalProperties": false"#,
            "",
            "expected the unknown option `/xUnknownOption` to be refused, found it accepted",
        ),
        (
            "unknown_methods",
            "_ => Err(Error::unsupported(method)),",
            "_ => Err(Error::new(ErrorKind::NOT_FOUND, method)),",
            "expected `unsupported` from an unknown method, found `not_found`: x-unknown-method",
        ),
        (
            "bad_requests",
            "/* CALL */",
            "let _first = text.as_bytes()[0];",
            " to refuse `` with `invalid_request`, found `internal`: the plugin panicked in `call` at ",
        ),
        (
            "shutdown",
            "/* SHUTDOWN */",
            "pending::<()>().await;",
            "expected an end within the deadline of 500ms, found none after 2.5s",
        ),
    ],
    &[
        (
            "options",
            "/* CREATE */",
            r#"if config.contains("size") { return Err(Error::new(ErrorKind::CONFIG, "bad size")); }"#,
            "expected `create` to refuse `/size` with `config` and this pointer, found `config`: bad size",
        ),
        (
            "unknown_methods",
            r#""methods": ["length"]"#,
            r#""methods": ["length", "width"]"#,
            "expected an answer to `width`, which the manifest names, found `unsupported`",
        ),
        (
            "bad_requests",
            "/* CALL */",
            "depth(text);",
            "its process ended while reading malformed requests (signal: 6 (SIGABRT)",
        ),
        (
            "shutdown",
            "/* SHUTDOWN */",
            r#"panic!("cannot leave");"#,
            "expected an end within the deadline of 500ms, found `internal`: the plugin panicked in `shutdown` at ",
        ),
        (
            "threads",
            "/* CREATE */",
            r#"let _ = std::thread::Builder::new().name("eternal".into()).spawn(|| loop { std::thread::park() });"#,
            "expected no thread after the shutdown, found `eternal`",
        ),
    ],
    &[
        (
            "unknown_members",
            "/* STREAM */",
            r#"if request.messages.get().contains("x_later") {
            return Err(Error::new(ErrorKind::INVALID_REQUEST, "unknown field"));
        }"#,
            "expected `chat` with unknown members to be as without, an answer, found `invalid_request`: unknown field",
        ),
        (
            "wakers",
            "/* STREAM */",
            "poll_fn(|context| { std::mem::forget(context.waker().clone()); Poll::Ready(()) }).await;",
            "expected every clone of a waker to be dropped, found 2 left",
        ),
        (
            "stdout",
            "/* STREAM */",
            r#"println!("asked");"#,
            "it writes to standard output, which belongs to the host; seen during `unknown_members`, `",
        ),
    ],
];

#[test]
fn each_fault_is_found_by_its_check_alone() {
    let home = Home::new();
    for (number, faults) in FAULTY.iter().enumerate() {
        let mut source = SOUND.to_owned();
        for (_, place, fault, _) in *faults {
            assert_eq!(source.matches(place).count(), 1, "{place}");
            // More may follow in the same place.
            let rest = if place.starts_with("/*") { place } else { "" };
            source = source.replace(place, &format!("{fault}\n{rest}"));
        }
        let plugin = compiled(home.path(), &format!("faulty_{number}"), &source, &[]);
        let ran = verify(&plugin, &["--json"]);
        let failed = with_status(&json_of(&ran), "failed");
        let ids: Vec<&str> = failed.iter().map(|(id, _)| &**id).collect();
        let expected: Vec<&str> = faults.iter().map(|(check, ..)| *check).collect();
        assert_eq!((ran.code, ids), (Some(9), expected), "{failed:#?}");
        for ((_, summary), (.., says)) in failed.iter().zip(*faults) {
            assert_has(summary, says);
        }
    }
}

#[test]
fn a_file_that_cannot_be_loaded_fails_at_its_manifest() {
    let home = Home::new();
    let text = home.path().join("libtext.so");
    fs::write(&text, "no library").expect("writable");
    let aborts = compiled(
        home.path(),
        "aborts",
        &hasty_source("aborts", "std::process::abort()"),
        &[],
    );
    for (plugin, says) in [
        (text, "it is not a shared library"),
        (aborts, "its process ended while being loaded (signal: 6 (SIGABRT)"),
    ] {
        let ran = verify(&plugin, &[]);
        assert_eq!(ran.code, Some(9), "{ran:?}");
        assert_has(row(&ran.stdout, "  ✗ manifest"), says);
        assert_has(row(&ran.stdout, "  ○ create"), "not applicable: `manifest` failed");
    }
    let nothing = verify(&home.path().join("libnothing.so"), &[]);
    assert_fails(
        &nothing,
        9,
        "expected the file of a plugin, such as `libNAME.so`, found nothing\n",
    );
}
