//! `agent-host models`: selected by the service, found with a slip, read without the service.

use crate::{Bench, assert_fails, assert_has, assert_lacks, home_with_parrot, json_of, profile};

/// The ids that `models` prints.
fn ids(bench: &Bench, flags: &[&str]) -> Vec<String> {
    let ran = bench.ok(&[&["models", "--ids"], flags].concat());
    ran.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn the_service_selects_by_provider_retention_and_speed() {
    let bench = Bench::new();
    let all = ids(&bench, &[]);
    let selected = |flags: &[&str], query: &str| {
        let found = ids(&bench, flags);
        assert!(
            !found.is_empty() && found.iter().all(|id| all.contains(id)),
            "{flags:?}: {found:?}"
        );
        let requests = bench.service.requests();
        let last = &requests[requests.len() - 1];
        assert_eq!((last.path.as_str(), last.query.as_str()), ("/api/v1/models", query));
        found.len()
    };
    assert!(selected(&["--provider", "Amazon Bedrock"], "providers=amazon-bedrock") < all.len());
    selected(&["--zdr"], "zdr=true");
    let all_three = ["--provider", "groq", "--zdr", "--sort", "latency"];
    selected(&all_three, "zdr=true&providers=groq&sort=latency-low-to-high");
    for order in ["throughput", "latency"] {
        let mut sorted = ids(&bench, &["--sort", order]);
        assert_ne!(sorted, all, "{order}");
        sorted.sort();
        let mut all = all.clone();
        all.sort();
        assert_eq!(sorted, all, "{order}");
    }
    let fast_and_free = ids(&bench, &["--sort", "throughput", "--free"]);
    assert!(
        fast_and_free.iter().all(|id| id.ends_with(":free")),
        "{fast_and_free:?}"
    );
    let unknown = bench.run(&["models", "--provider", "grok"]);
    assert_has(
        &unknown.stderr,
        "no provider `grok` is listed\nhint: did you mean `groq`?\n",
    );
}

#[test]
fn a_plugin_that_cannot_select_is_named() {
    let home = home_with_parrot();
    let ran = home.host(&["models", "--zdr"]).env("PARROT_KEY", "parrot-1").run();
    assert_fails(&ran, 2, "the plugin `parrot` cannot ");
}

#[test]
fn offline_reads_the_cached_list_and_says_how_old_it_is() {
    // A service on this machine has no file unless the profile asks for it.
    let bench = Bench::with_profile(&profile(r#""caches": {"disk": true}"#));
    let none = bench.run(&["models", "--offline"]);
    assert_has(&none.stderr, "no model list is cached for this service\nhint: ");
    let online = bench.ok(&["models"]);
    let n_requests = bench.n_requests();
    let offline = bench.without_key(&["models", "--offline"]).run().expect_success();
    assert_eq!(offline.stdout, online.stdout);
    assert_has(&offline.stderr, "models, list is ");
    bench.ok(&["models", "show", "small", "--offline"]);
    assert_fails(
        &bench.run(&["models", "--offline", "--sort", "latency"]),
        2,
        "only the service knows how fast its models are\nhint: ",
    );
    assert_fails(&bench.run(&["models", "--offline", "--zdr"]), 2, "cannot be used with");
    assert_eq!(bench.n_requests(), n_requests);
}

#[test]
fn a_misspelt_query_finds_the_names_that_come_close() {
    let bench = Bench::new();
    let close = bench.ok(&["models", "cluade", "sonet"]);
    assert_has(&close.stdout, "anthropic/claude-sonnet-4.5\n");
    assert_has(
        &close.stderr,
        "note: no model has `cluade sonet` in its name; showing those that come close\n",
    );
    let exact = bench.ok(&["models", "gpt5", "mini"]);
    assert_eq!(exact.stdout, "openai/gpt-5-mini\n");
    assert_lacks(&exact.stderr, "come close");
}

#[test]
fn the_allowance_for_free_models_is_shown_where_it_matters() {
    let bench = Bench::new();
    let left = "1000 of 1000 requests left today\n";
    assert_has(&bench.ok(&["models", "--free"]).stderr, &format!("free models: {left}"));
    for command in ["credits", "key"] {
        assert_has(&bench.ok(&[command]).stdout, left);
        let json = json_of(&bench.ok(&[command, "--json"]));
        assert_eq!(json["free_requests_today"]["limit"], 1000, "{json}");
    }
    assert_lacks(&bench.ok(&["models"]).stderr, "left today");
}
