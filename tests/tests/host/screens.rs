//! What people see on terminals of 80 and 120 columns: whole screens of the real binary.
//!
//! The screens are files in `screens`; look at each one that changes.

use std::fs;

use sandbox::Script;
use tests::{Home, HostRun, Typist, workspace};

use crate::{Bench, assert_lacks, profile};

const WIDTHS: [u16; 2] = [80, 120];

/// Markdown of every kind, as models write it.
const ANSWER: &str = "\
## Two ways

A *stable* **ABI** lets programs that were compiled apart work together. See `repr(C)` and the \
[reference](https://doc.rust-lang.org/reference/type-layout.html).

1. Write the types down, once and for all, and never change the order of what is in them:
   - numbers of a fixed size
   - pointers
2. Check them when a library is loaded.

```rust
#[repr(C)]
pub struct Point { x: f64, y: f64 } // two numbers
```

| kind | stable | remark |
|---|---|---|
| `repr(C)` | yes | the layout that the C compiler of the platform gives to such a struct |
| `repr(Rust)` | no | fields may be in any order |

> Nothing is as permanent as a temporary layout.
";

/// Compares what a command shows at the end with the files of its screens.
#[track_caller]
fn assert_shows(name: &str, run: impl Fn() -> HostRun, hidden: &[(&str, &str)]) {
    for columns in WIDTHS {
        let typist = Typist::of_width(columns, run().into_command());
        let mut screen = without_figures(&typist.picture(columns));
        for (found, shown) in hidden {
            screen = screen.replace(found, shown);
        }
        for row in screen.lines() {
            assert!(row.chars().count() <= columns.into(), "{name}: {row}");
        }
        let file = workspace().join(format!("tests/tests/host/screens/{name}-{columns}.txt"));
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            fs::create_dir_all(file.parent().expect("a folder")).expect("writable");
            fs::write(&file, &screen).expect("writable");
        }
        let expected = fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(
            screen,
            expected,
            "`{}` is out of date; look at the screen, then rewrite it: UPDATE_EXPECTED=1 cargo test --workspace --test \
             host screens::",
            file.display()
        );
    }
}

/// The screen with every duration as `N s`.
fn without_figures(screen: &str) -> String {
    let mut words: Vec<String> = screen.split_inclusive([' ', '\n']).map(str::to_owned).collect();
    let mut before = None;
    for at in 0..words.len() {
        let unit: String = words[at]
            .chars()
            .take_while(|letter| letter.is_ascii_lowercase())
            .collect();
        if let Some(number) = before.filter(|_| ["ms", "s"].contains(&unit.as_str())) {
            let figure: &mut String = &mut words[number];
            *figure = format!(
                "N{}",
                figure.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == '.')
            );
            words[at] = words[at].replacen("ms", "s", 1);
        }
        if !words[at].trim().is_empty() {
            before = words[at]
                .starts_with(|letter: char| letter.is_ascii_digit())
                .then_some(at);
        }
    }
    words.concat()
}

fn bench() -> Bench {
    Bench::with_profile(&profile(
        r#""model": "acme/answer", "tiers": {"TEXT_SMALL": "anthropic/claude-haiku-4.5"}, "retry": {"attempts": 1}"#,
    ))
}

/// A run whose output names no folder of this machine.
fn at_relative_paths(run: HostRun) -> HostRun {
    run.env("AGENT_HOST_PLUGINS", "../plugins")
        .env("AGENT_HOST_CONFIG", "../profile.json")
}

#[test]
fn a_missing_key_is_an_error_with_its_remedy() {
    let bench = bench();
    assert_shows("no-key", || bench.without_key(&["models"]), &[]);
}

#[test]
fn lists_have_one_row_for_each_thing() {
    let bench = bench();
    for (name, command) in [
        ("models", &["models"][..]),
        ("tiers", &["tiers"]),
        ("plugins-list", &["plugins", "list"]),
        ("explain", &["explain", "402", "rate_limit"]),
    ] {
        assert_shows(
            name,
            || at_relative_paths(bench.host(command)),
            &[(plugin_api::VERSION, "1.x.x")],
        );
    }
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn the_doctors_rows_fit_the_terminal() {
    let bench = bench();
    let port = bench.service.base_url();
    let port = port
        .split(':')
        .nth(2)
        .and_then(|rest| rest.split('/').next())
        .expect("a port");
    assert_shows(
        "doctor",
        || at_relative_paths(bench.host(&["doctor", "--free"])),
        &[(port, "PORT_"), (plugin_api::VERSION, "1.x.x")],
    );
}

#[test]
fn an_answer_is_formatted_and_its_thoughts_are_folded() {
    let bench = bench();
    let script = Script {
        reasoning: Some("The user asks about layouts. I should name two ways, and show one.\n".repeat(4)),
        chunk_chars: Some(3),
        ..Script::text(ANSWER)
    };
    bench.script("acme/answer", script);
    let command = ["chat", "-q", "--reasoning", "brief", "How is an ABI kept stable?"];
    assert_shows("answer", || bench.host(&command), &[]);
    let raw = bench.ok(&["chat", "-q", "How is an ABI kept stable?"]);
    assert_eq!((raw.stdout.as_str(), raw.stderr.as_str()), (ANSWER, ""));
    let show = bench.ok(&["chat", "-q", "--reasoning", "show", "How?"]);
    assert_eq!(
        (show.stdout.as_str(), show.stderr.matches("name two ways").count()),
        (ANSWER, 4)
    );
}

#[test]
fn a_broken_stream_keeps_what_arrived() {
    let bench = bench();
    let script = Script {
        cut_after_chunks: Some(40),
        chunk_chars: Some(5),
        ..Script::text(ANSWER)
    };
    bench.script("acme/answer", script);
    assert_shows(
        "broken",
        || bench.host(&["chat", "-q", "How is an ABI kept stable?"]),
        &[],
    );
}

#[test]
fn with_ascii_and_without_colours_every_mark_is_a_word() {
    let home = Home::new();
    let run = home
        .host(&["--ascii", "--color", "never", "doctor", "--offline"])
        .into_command();
    let typist = Typist::of_width(80, run);
    let screen = typist.picture(80);
    assert!(screen.is_ascii(), "{screen}");
    assert!(screen.contains("[ok] version") && screen.contains("[XX] "), "{screen}");
    let always = home.host(&["--color", "always", "doctor", "--offline"]).run();
    assert!(always.stdout.contains("\u{1b}[32m✓"), "{always:?}");
    assert_lacks(&home.host(&["doctor", "--offline"]).run().stdout, "\u{1b}");
}

#[test]
fn while_nothing_is_answered_the_terminal_says_why() {
    let bench = bench();
    let thinks = Script {
        reasoning: Some("Let me think about it.".to_owned()),
        stall_after_chunks: Some(3),
        ..Script::text("Done")
    };
    bench.script("acme/thinks", thinks);
    for (model, shown) in [
        ("sandbox/stall-at-once", "… waiting for the model"),
        ("sandbox/comments-forever", "… queued at the provider · "),
        ("acme/thinks", "│ Let me think"),
    ] {
        let mut typist = Typist::at(bench.host(&["chat", "-m", model, "Hello"]).into_command());
        typist.sees(shown);
        typist.presses(b"\x03");
        typist.sees("error[stopped]: stopped by Ctrl-C");
        assert_eq!(typist.leaves(), Some(130), "{model}");
    }
}
