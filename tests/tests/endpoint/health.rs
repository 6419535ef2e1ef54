//! How the endpoint is: its health, its counters, and starts with something missing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;

use serde_json::{Value, json};
use tests::endpoint::{Endpoint, Serve, chat_body};
use tests::{Home, second_plugin};

const CHAT: &str = "/v1/chat/completions";

#[test]
fn health_is_open_and_says_no_more_than_that_the_endpoint_lives() {
    let endpoint = Endpoint::start();
    let stranger = endpoint
        .answer(&endpoint.get("/health").without("authorization"))
        .expect(200);
    assert_eq!(stranger.json(), json!({"status": "ok"}));
    let wrong = endpoint.get("/health").with("authorization", "Bearer wrong");
    assert_eq!(endpoint.answer(&wrong).expect(200).json(), json!({"status": "ok"}));
    endpoint
        .answer(&endpoint.get("/metrics").without("authorization"))
        .expect(401);
    assert_eq!(endpoint.service.requests(), [], "nobody is asked for it");
}

#[test]
fn health_says_more_to_who_has_the_token() {
    let endpoint = Serve::new()
        .profile(&json!({"tiers": {"TEXT_SMALL": "sandbox/hello"}}))
        .start();
    let health = endpoint.answer(&endpoint.get("/health")).expect(200).json();
    assert_eq!(health["status"], "ok");
    assert_eq!(health["plugin"]["id"], "openrouter");
    assert!(health["version"].is_string() && health["uptime_s"].is_u64(), "{health}");
    assert_eq!(health["in_flight"], 1, "this request");
    let tiers = health["tiers"].as_array().expect("tiers");
    let small = tiers
        .iter()
        .find(|tier| tier["tier"] == "TEXT_SMALL")
        .expect("the tier");
    assert_eq!(small["wire"], "sandbox/hello");
    let plugins = health["plugins"].as_array().expect("plugins");
    assert_eq!((plugins.len(), &plugins[0]["id"]), (1, &json!("openrouter")));
}

/// A page of counters, read as strictly as Prometheus does: each sample by its name with its labels.
#[track_caller]
fn samples(page: &str) -> BTreeMap<String, f64> {
    let (body, end) = page.rsplit_once("# EOF").expect("the end");
    assert_eq!(end, "\n");
    let is_name = |name: &str| {
        let mut letters = name.bytes();
        letters
            .next()
            .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
            && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == b'_')
    };
    let mut types = BTreeMap::new();
    let mut samples = BTreeMap::new();
    for line in body.lines() {
        if let Some(described) = line.strip_prefix("# ") {
            let words: Vec<&str> = described.splitn(3, ' ').collect();
            let [kind, name, rest] = words.as_slice() else {
                panic!("{line}")
            };
            assert!(is_name(name) && !rest.is_empty(), "{line}");
            match *kind {
                "TYPE" => {
                    assert!(["counter", "gauge", "histogram", "info"].contains(rest), "{line}");
                    assert!(
                        types.insert((*name).to_owned(), (*rest).to_owned()).is_none(),
                        "twice: {line}"
                    );
                }
                "HELP" | "UNIT" => {}
                _ => panic!("{line}"),
            }
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        let name = sample.split('{').next().unwrap_or_default();
        assert!(is_name(name), "{line}");
        if let Some(labels) = sample.strip_prefix(name).filter(|labels| !labels.is_empty()) {
            let labels = labels
                .strip_prefix('{')
                .and_then(|labels| labels.strip_suffix('}'))
                .expect("labels");
            for label in labels.split("\",") {
                let (name, value) = label.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
                assert!(is_name(name) && !value.trim_end_matches('"').contains('"'), "{line}");
            }
        }
        let family = types.keys().find(|family| {
            name.strip_prefix(family.as_str())
                .is_some_and(|rest| ["", "_total", "_sum", "_count", "_bucket", "_info"].contains(&rest))
        });
        assert!(family.is_some(), "of no type: {line}");
        assert!(samples.insert(sample.to_owned(), value).is_none(), "twice: {line}");
    }
    samples
}

#[test]
fn metrics_are_text_of_prometheus_and_count_what_was_done() {
    let options = json!({"retry": {"attempts": 2, "maxWaitMs": 5000}});
    let endpoint = Serve::new().profile(&options).start();
    let mut cost = 0.0;
    let mut n_tokens = 0.0;
    for _ in 0..3 {
        let usage = endpoint.chat("sandbox/hello", "Hello").expect(200).json()["usage"].clone();
        cost += usage["cost"].as_f64().expect("a cost");
        n_tokens += usage["completion_tokens"].as_f64().expect("tokens");
    }
    let mut body = chat_body("sandbox/cut", "Hello");
    body["stream"] = json!(true);
    endpoint.answer(&endpoint.post(CHAT, &body)).expect(200);
    endpoint.chat("sandbox/status-404", "Hello").expect(404);
    endpoint.chat("sandbox/status-503", "Hello").expect(503);
    endpoint.answer(&endpoint.get("/v1/models")).expect(200);
    endpoint.answer(&endpoint.get(CHAT)).expect(405);
    let page = endpoint.answer(&endpoint.get("/metrics")).expect(200);
    assert_eq!(
        page.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    let samples = samples(&page.text());
    let sample = |name: &str| samples.get(&format!("agent_host_{name}")).copied().unwrap_or_default();
    assert_eq!(sample("requests_total{route=\"chat\",outcome=\"ok\"}"), 3.0);
    assert_eq!(sample("requests_total{route=\"chat\",outcome=\"interrupted\"}"), 1.0);
    assert_eq!(sample("requests_total{route=\"chat\",outcome=\"refused\"}"), 2.0);
    assert_eq!(sample("requests_total{route=\"chat\",outcome=\"failed\"}"), 1.0);
    assert_eq!(sample("requests_total{route=\"models\",outcome=\"ok\"}"), 1.0);
    assert_eq!(sample("request_duration_seconds_count{route=\"chat\"}"), 7.0);
    assert_eq!(
        sample("request_duration_seconds_bucket{le=\"+Inf\",route=\"chat\"}"),
        7.0
    );
    assert_eq!(sample("time_to_first_token_seconds_count{route=\"chat\"}"), 1.0);
    assert_eq!(sample("answers_total{model=\"sandbox/hello\"}"), 3.0);
    assert_eq!(sample("tokens_total{kind=\"completion\"}"), n_tokens);
    assert!(
        (sample("cost_usd_total{model=\"sandbox/hello\"}") - cost).abs() < 1e-9,
        "{cost}"
    );
    assert_eq!(sample("retries_total"), 1.0);
    assert_eq!(sample("in_flight"), 1.0);
    assert_eq!(sample("plugin_up{plugin=\"openrouter\"}"), 1.0);
    assert!(sample("credits_remaining_usd") > 5.0);
    assert!(
        samples
            .keys()
            .any(|name| name.starts_with("agent_host_build_info{version="))
    );
    let names: BTreeSet<&str> = samples.keys().filter_map(|name| name.split('{').next()).collect();
    println!("{} samples of {} names", samples.len(), names.len());
}

#[test]
fn nothing_of_what_was_asked_or_answered_is_in_counters_or_in_the_request_log() {
    let mut endpoint = Serve::new()
        .arguments(&["--request-log"])
        .without("RUST_LOG")
        .without("AGENT_HOST_LOG_FILE")
        .start();
    let question = "a-secret-question";
    let answer = endpoint.chat("sandbox/echo", question).expect(200);
    assert!(answer.content().contains(question));
    endpoint.answer(&endpoint.get("/v1/generation?id=a-secret-id"));
    assert!(!endpoint.answer(&endpoint.get("/metrics")).text().contains("a-secret"));
    let ran = endpoint.stop();
    assert_eq!(ran.code, Some(0));
    assert!(ran.stderr.contains("/v1/chat/completions"), "{}", ran.stderr);
    // What the service says of a failure is told; of what was asked and answered there is nothing.
    let lines = ran.stderr.lines().filter(|line| !line.contains(" WARN "));
    assert_eq!(
        lines.filter(|line| line.contains("a-secret")).count(),
        0,
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains(question), "{}", ran.stderr);
}

#[test]
fn it_serves_without_a_profile_and_with_the_documented_tiers() {
    let endpoint = Endpoint::start();
    let answer = endpoint.answer(&endpoint.post(CHAT, &json!({"messages": [{"role": "user", "content": "Hello"}]})));
    let large = answer.expect(200);
    assert_eq!(large.header("x-served-model"), Some("anthropic/claude-sonnet-4.5"));
    let small = endpoint.chat("TEXT_SMALL", "Hello").expect(200);
    assert_eq!(small.header("x-served-model"), Some("anthropic/claude-haiku-4.5"));
}

#[test]
fn without_a_key_it_does_not_start_and_says_what_to_do() {
    let ran = Serve::new().without("OPENROUTER_API_KEY").run();
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
    assert!(
        ran.stderr
            .starts_with("error: no key for the plugin `openrouter`: `OPENROUTER_API_KEY` is not set\nhint: set it: "),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_port_in_use_is_named_with_the_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("it listens");
    let port = address.port();
    let ran = Serve::new().port(port).run();
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
    assert_eq!(
        ran.stderr,
        format!(
            "error: the port {port} is taken: another program listens on {address}\nhint: end that program, or choose another \
             port: `--port N`, or `--port 0` for any that is free\n"
        )
    );
}

#[test]
fn a_profile_with_a_mistake_keeps_it_from_starting() {
    let ran = Serve::new().profile(&json!({"tiers": {"TEXT_SMALL": 7}})).run();
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), ""), "{}", ran.stderr);
    assert!(ran.stderr.contains("/tiers/TEXT_SMALL"), "{}", ran.stderr);
}

#[test]
fn a_home_without_plugins_keeps_it_from_starting() {
    let home = Home::new();
    let ran = home.host(&["serve", "--port", "0"]).without("AGENT_HOST_CONFIG").run();
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{}", ran.stderr);
    assert!(ran.stderr.contains("\nhint: "), "{}", ran.stderr);
}

#[test]
fn a_plugin_without_the_raw_form_is_served_in_openais_form() {
    let serve = Serve::new();
    serve.home().install(&second_plugin());
    let text = r#"{"auth": {"profiles": {"default": {"provider": "parrot"}}}}"#;
    serve.home().write_profile(text);
    let endpoint = serve.env("PARROT_KEY", "parrot-1").start();
    let whole = endpoint.chat("echo", "Hello").expect(200);
    let json = whole.json();
    assert_eq!(
        (&json["object"], &json["choices"][0]["finish_reason"]),
        (&json!("chat.completion"), &json!("stop"))
    );
    let mut body = chat_body("echo", "Hello");
    body["stream"] = json!(true);
    let stream = endpoint.answer(&endpoint.post(CHAT, &body)).expect(200);
    assert_eq!(stream.streamed(), whole.content());
    assert_eq!(stream.events().last().map(String::as_str), Some("[DONE]"));
    let first: Value = serde_json::from_str(&stream.events()[0]).expect("JSON");
    assert_eq!(first["object"], "chat.completion.chunk");
    let health = endpoint.answer(&endpoint.get("/health")).json();
    let ids: Vec<&Value> = health["plugins"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|plugin| &plugin["id"])
        .collect();
    assert!(
        ids.contains(&&json!("openrouter")) && ids.contains(&&json!("parrot")),
        "{health}"
    );
    assert_eq!(
        endpoint.service.requests(),
        [],
        "the other plugin's service is left alone"
    );
    endpoint.answer(&endpoint.post("/v1/messages", &body)).expect(501);
}
