//! What calls leave behind: `agent-host usage`, `store`, and how to leave nothing.

use std::fs;

use sandbox::{Sandbox, Script};
use serde_json::{Value, json};
use tests::canary::CANARY;
use tests::service_from;

use crate::{Bench, assert_fails, assert_has, assert_lacks, assert_starts, json_of};

const STORE: &str = ".local/state/agent-host/store.db";

/// The rows by model and client.
fn rows(bench: &Bench) -> Vec<Value> {
    let usage = json_of(&bench.ok(&["usage", "--by", "client,requested_model,status", "--json"]));
    usage["rows"].as_array().expect("rows").clone()
}

#[test]
fn every_call_leaves_a_row_and_no_prompt() {
    let bench = Bench::with_model("sandbox/hello");
    assert_has(&bench.ok(&["usage"]).stderr, "no calls are recorded for this time");
    let prompt = "A secret question about zebras";
    bench.ok(&["chat", prompt]);
    bench.ok(&["chat", "--no-stream", prompt]);
    bench.ok(&["agent", "-q", prompt]);
    let rows = rows(&bench);
    let clients: Vec<(&Value, &Value)> = rows.iter().map(|row| (&row["client"], &row["calls"])).collect();
    assert!(
        clients.contains(&(&json!("cli"), &json!(2))) && clients.len() == 2,
        "{clients:?}"
    );
    for row in &rows {
        assert_eq!(
            (&row["requested_model"], &row["status"]),
            (&json!("sandbox/hello"), &json!("ok"))
        );
        assert!(
            row["prompt_tokens"].as_u64() > Some(0) && row["p50_ms"].is_u64(),
            "{row}"
        );
    }
    // A key in the place of a model.
    bench.run(&["chat", "-m", "sk-or-v1-zebras", "Hello"]);
    for entry in fs::read_dir(bench.home.path().join(".local/state/agent-host")).expect("a folder") {
        let path = entry.expect("an entry").path();
        let bytes = fs::read(&path).expect("its bytes");
        assert!(!bytes.windows(6).any(|word| word == b"zebras"), "{}", path.display());
    }
    let table = bench.ok(&["usage", "--since", "1h"]).stdout;
    assert_starts(&table, "MODEL ");
    assert_has(&table, "\ntotal ");
    let csv = bench.ok(&["usage", "--by", "day,client", "--csv"]).stdout;
    assert_starts(&csv, "day,client,calls,errors,");
    assert_eq!(csv.lines().count(), 3, "{csv}");
    let later = json_of(&bench.ok(&["usage", "--since", "2100-01-01", "--json"]));
    assert_eq!((&later["rows"], &later["total"]["calls"]), (&json!([]), &json!(0)));
}

#[test]
fn a_selftest_records_its_calls_under_its_own_name() {
    let bench = Bench::with_model("sandbox/hello");
    bench.run(&["selftest"]);
    let rows = rows(&bench);
    assert!(rows.iter().all(|row| row["client"] == "selftest"), "{rows:?}");
    let with = |status: &str| rows.iter().any(|row| row["status"] == status);
    assert!(with("ok") && with("cancelled") && with("error"), "{rows:?}");
}

#[test]
fn a_failed_call_leaves_its_code_and_no_cost() {
    let bench = Bench::with_model("sandbox/hello");
    let ran = bench
        .without_key(&["chat", "Hi"])
        .env("OPENROUTER_API_KEY", "sk-or-v1-wrong")
        .run();
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    let usage = json_of(&bench.ok(&["usage", "--by", "status,code", "--json"]));
    assert_eq!(
        (&usage["rows"][0]["status"], &usage["rows"][0]["code"]),
        (&json!("error"), &json!("auth"))
    );
    assert_eq!(usage["total"]["billed_usd"], Value::Null);
    assert_has(&bench.ok(&["usage"]).stdout, " -  ");
}

#[test]
fn a_failed_answer_that_was_billed_leaves_its_cost() {
    let bench = Bench::with_model("test/breaks");
    let script = Script {
        finish_reason: Some("error".to_owned()),
        ..Script::text("half an answer")
    };
    bench.script("test/breaks", script);
    let ran = bench.run(&["chat", "Hi"]);
    assert_eq!(ran.code, Some(6), "{}", ran.stderr);
    let usage = json_of(&bench.ok(&["usage", "--json"]));
    let total = &usage["total"];
    assert_eq!(total["errors"], 1);
    assert!(
        total["billed_usd"].is_string() && total["completion_tokens"].is_u64(),
        "{usage}"
    );
}

#[test]
fn nothing_is_left_behind_if_that_is_wanted() {
    let bench = Bench::with_model("sandbox/hello");
    bench.ok(&["chat", "--no-history", "Hi"]);
    let ran = bench.host(&["chat", "Hi"]).env("AGENT_HOST_NO_HISTORY", "1").run();
    ran.expect_success();
    assert!(!bench.home.path().join(STORE).exists());
    bench.ok(&["config", "set", "history", "false"]);
    bench.ok(&["chat", "Hi"]);
    assert!(!bench.home.path().join(STORE).exists());
    bench.ok(&["config", "set", "history", "true"]);
    bench.ok(&["chat", "Hi"]);
    assert!(bench.home.path().join(STORE).exists());
}

#[test]
fn a_store_that_cannot_be_written_costs_a_warning_and_no_call() {
    let bench = Bench::with_model("sandbox/hello");
    let store = bench.home.path().join(STORE);
    fs::create_dir_all(&store).expect("writable");
    let ran = bench.ok(&["chat", "Hi"]);
    assert_eq!(
        ran.stderr.matches("warning: calls are not recorded: ").count(),
        1,
        "{}",
        ran.stderr
    );
    fs::remove_dir(&store).expect("ours");
    fs::write(&store, "the notes of another program").expect("ours");
    let ran = bench.ok(&["chat", "Hi"]);
    assert_has(&ran.stderr, "is no store of this program");
    assert_eq!(fs::read(&store).expect("it stays"), b"the notes of another program");
    fs::write(&store, [b"SQLite format 3\0".as_slice(), &[0xff; 5000]].concat()).expect("ours");
    let ran = bench.ok(&["chat", "Hi"]);
    assert_has(&ran.stderr, "warning: the store was damaged; it is kept as `");
    assert_eq!(rows(&bench).len(), 1);
}

#[test]
fn the_store_is_copied_and_trimmed() {
    let bench = Bench::with_model("sandbox/hello");
    assert_has(&bench.ok(&["store"]).stderr, "nothing is kept yet");
    bench.ok(&["chat", "Hi"]);
    let path = bench.ok(&["store", "path"]).stdout;
    assert_eq!(path.trim_end(), bench.home.path().join(STORE).display().to_string());
    let copy = bench.home.path().join("copy.db").display().to_string();
    bench.ok(&["store", "backup", &copy]);
    assert_fails(&bench.run(&["store", "backup", &copy]), 2, "exists already");
    assert_has(
        &bench.ok(&["store", "prune", "--older", "2100-01-01"]).stderr,
        "deleted 1 call and 0 conversations",
    );
    bench.ok(&["store", "vacuum"]);
    assert_eq!(rows(&bench), Vec::<Value>::new());
    let copied = bench.host(&["usage", "--json"]).env("AGENT_HOST_STORE", &copy).run();
    assert_eq!(json_of(&copied)["total"]["calls"], 1);
    assert_lacks(&bench.ok(&["store", "--json"]).stdout, "copy.db");
}

#[test]
fn unknown_groups_and_times_come_with_what_was_expected() {
    let bench = Bench::new();
    assert_fails(
        &bench.run(&["usage", "--by", "modle"]),
        2,
        "found `modle`; did you mean `model`",
    );
    assert_fails(
        &bench.run(&["usage", "--since", "yesterday"]),
        2,
        "expected a time such as 24h, 7d, 2026-08-22",
    );
}

#[test]
fn the_services_own_figures_stand_beside_those_recorded() {
    const MANAGEMENT: &str = "sk-or-v1-management";
    let mut bench = Bench::with_model("sandbox/hello");
    bench.service = service_from(Sandbox::builder().key(CANARY).also_management_key(MANAGEMENT));
    bench.ok(&["chat", "--no-history", "Hi"]);
    bench.ok(&["chat", "Hi"]);
    let managed = |arguments: &[&str]| bench.without_key(arguments).env("OPENROUTER_API_KEY", MANAGEMENT).run();
    let compared = json_of(&managed(&["usage", "--service", "--json"]));
    let [row] = compared["rows"].as_array().expect("rows").as_slice() else {
        panic!("{compared}")
    };
    let calls = ["here", "service", "difference"].map(|side| &row[side]["calls"]);
    assert_eq!(
        (calls, &row["model"]),
        ([&json!(1), &json!(2), &json!(1)], &json!("sandbox/hello"))
    );
    assert_eq!(row["difference"]["cost_usd"], row["here"]["cost_usd"], "{row}");
    let table = managed(&["usage", "--service", "--since", "1d"]).stdout;
    assert_starts(&table, "DAY ");
    assert_has(&table, "+$0.");
    let refused = bench.run(&["usage", "--service"]);
    assert_has(&refused.stderr, "management keys alone");
    let home = crate::home_with_parrot();
    let refused = home.host(&["usage", "--service"]).env("PARROT_KEY", "parrot-1").run();
    assert_has(&refused.stderr, "cannot show the service's own figures");
}
