//! `agent-host key`: what the service says about the key, and what is never said.

use serde_json::Value;
use tests::{Home, second_plugin};

use crate::Bench;

#[test]
fn a_good_key_is_told_with_what_is_left() {
    let bench = Bench::new();
    let ran = bench.host(&["key"]).run().expect_success();
    assert!(
        ran.stdout.starts_with("credit        ● enough: more than $5\n"),
        "{}",
        ran.stdout
    );
    for line in [
        "from          environment `OPENROUTER_API_KEY`\n",
        "limit         $10",
        "balance       ",
    ] {
        assert!(ran.stdout.contains(line), "{line}: {}", ran.stdout);
    }
    let json = bench.host(&["key", "--json"]).run().expect_success();
    let told: Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(
        (&told["plugin"], &told["supply"]),
        (&"openrouter".into(), &"enough".into())
    );
    assert!(told["remaining_usd"].is_string(), "{told}");
}

#[test]
fn a_refused_key_ends_with_its_own_code_and_a_hint() {
    let bench = Bench::new();
    let ran = bench
        .without_key(&["key"])
        .env("OPENROUTER_API_KEY", "sk-or-v1-wrong")
        .run();
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    assert!(ran.stderr.contains("\nhint: "), "{}", ran.stderr);
    assert_eq!(bench.without_key(&["key"]).run().code, Some(2), "no key at all");
}

#[test]
fn a_plugin_that_cannot_ask_says_so() {
    let home = Home::new();
    home.install(&second_plugin());
    let run = home.host(&["key"]).without("AGENT_HOST_CONFIG");
    let ran = run.env("PARROT_KEY", "parrot-1").run();
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr
            .starts_with("error: the plugin `parrot` cannot ask about its key\n"),
        "{}",
        ran.stderr
    );
}

#[test]
fn the_key_is_in_no_output_of_the_commands_that_look_at_it() {
    let bench = Bench::new();
    let key = bench.service.key().to_owned();
    let commands: [&[&str]; 6] = [
        &["-vvv", "key"],
        &["-vvv", "key", "--json"],
        &["-vvv", "doctor"],
        &["-vvv", "doctor", "--json"],
        &["-vvv", "fallback", "test"],
        &["-vvv", "explain"],
    ];
    for command in commands {
        let ran = bench.host(command).run();
        assert!(
            !(ran.stdout.clone() + &ran.stderr).contains(&key),
            "{command:?}: {ran:?}"
        );
    }
}

#[test]
fn a_secret_that_is_no_key_is_never_shown_and_switches_nothing_on() {
    let bench = Bench::new();
    let run = |arguments: &[&str]| {
        bench
            .without_key(arguments)
            .env("OPENROUTER_SECONDARY_API_KEY", "second-secret")
            .run()
    };
    let list = run(&["plugins", "list"]);
    assert!(
        list.stdout.contains("idle     `OPENROUTER_API_KEY` is not set"),
        "{}",
        list.stdout
    );
    let shown = run(&["profile", "show", "--resolved"]).expect_success();
    let row = shown
        .stdout
        .lines()
        .find(|line| line.starts_with("OPENROUTER_SECONDARY_API_KEY"))
        .unwrap_or_default();
    assert!(row.contains("\"(set)\""), "{}", shown.stdout);
    for command in [
        &["-vvv", "profile", "show", "--resolved"][..],
        &["-vvv", "doctor"],
        &["-vvv", "tiers"],
    ] {
        let ran = run(command);
        assert!(
            !(ran.stdout.clone() + &ran.stderr).contains("second-secret"),
            "{command:?}: {ran:?}"
        );
    }
}
