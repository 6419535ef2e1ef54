//! `agent-host key`: what the service says about the key.

use crate::{Bench, assert_fails, assert_has, assert_starts, home_with_parrot, json_of};

#[test]
fn a_good_key_is_shown_with_its_credit() {
    let bench = Bench::new();
    let shown = bench.ok(&["key"]).stdout;
    assert_starts(&shown, "credit       ● enough: more than $5\n");
    for line in [
        "from         environment variable `OPENROUTER_API_KEY`\n",
        "limit        $10",
        "balance      ",
    ] {
        assert_has(&shown, line);
    }
    let json = json_of(&bench.ok(&["key", "--json"]));
    assert_eq!(
        (&json["plugin"], &json["supply"]),
        (&"openrouter".into(), &"enough".into())
    );
    assert!(json["remaining_usd"].is_string(), "{json}");
}

#[test]
fn a_refused_key_and_a_missing_one_have_exit_codes_of_their_own() {
    let bench = Bench::new();
    let run = bench.without_key(&["key"]);
    assert_fails(&run.env("OPENROUTER_API_KEY", "sk-or-v1-wrong").run(), 4, "\nhint: ");
    assert_fails(&bench.without_key(&["key"]).run(), 2, "\nhint: ");
}

#[test]
fn a_plugin_that_cannot_ask_about_its_key_is_an_error() {
    let home = home_with_parrot();
    let ran = home.host(&["key"]).env("PARROT_KEY", "parrot-1").run();
    assert_fails(&ran, 2, "error: the plugin `parrot` cannot report on its key\n");
}
