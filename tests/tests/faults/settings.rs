//! Keys that change, profiles that are wrong or half written, and values that would break a header.

use std::fs;
use std::path::Path;

use plugin_api::{Attribution, ChatRequest};
use serde_json::{Value, json};
use tests::faultd::{DONE, Faultd, LAST_CHUNK, Script, chunk, finish_event, sse_head, text_event};
use tests::{Home, Ran, block_on, config_at, openrouter, openrouter_plugin, request};

use crate::call::{KEY, chat, code, plugin_at, stream};

const NEW_KEY: &str = "sk-or-v1-new-4712";

#[test]
fn fault_54_a_refused_key_is_an_auth_error_until_it_is_replaced() {
    let service = Faultd::answering(|request| {
        if request.header("authorization") == Some("Bearer sk-or-v1-new-4712") {
            return Script::answer("welcome");
        }
        let echo = json!({"error": {"code": 401, "message": format!("key {KEY} was revoked")}});
        Script::reply(401, &[], &echo)
    });
    let plugin = plugin_at(&service.base_url(), json!({}));
    for result in [stream(&plugin), chat(&plugin)] {
        let error = result.expect_err("it was revoked");
        assert_eq!(error.kind.code(), "auth", "{error:?}");
        assert!(!format!("{error} {error:?}").contains("4711"), "{error:?}");
    }
    assert_eq!(service.requests().len(), 2);
    let config = config_at(&service.base_url(), NEW_KEY, json!({}));
    block_on(plugin.configure(&config)).expect("the new key is one");
    assert_eq!(stream(&plugin).expect("an answer").text, "welcome");
}

#[test]
fn fault_54_an_answer_in_flight_ends_well_while_the_key_is_replaced() {
    let begun = [sse_head(), chunk(text_event("old "))].concat();
    let rest = [
        chunk(text_event("key")),
        chunk(finish_event("stop") + DONE),
        LAST_CHUNK.into(),
    ]
    .concat();
    let service = Faultd::playing([Script::new().send(begun).hold().send(rest), Script::answer("new key")]);
    let plugin = plugin_at(&service.base_url(), json!({}));
    let config = config_at(&service.base_url(), NEW_KEY, json!({}));
    let asked = request("acme/model", "hello");
    let texts = block_on(async {
        let in_flight = plugin.stream(&asked).await.expect("it opens");
        plugin.configure(&config).await.expect("the new key is one");
        let next = plugin.chat(&asked).await.expect("an answer").text;
        service.release();
        (in_flight.collect().await.expect("the rest comes").text, next)
    });
    assert_eq!(texts, ("old key".to_owned(), "new key".to_owned()));
    let keys: Vec<_> = service
        .requests()
        .iter()
        .map(|request| request.header("authorization").map(str::to_owned))
        .collect();
    assert_eq!(keys, [KEY, NEW_KEY].map(|key| Some(format!("Bearer {key}"))));
}

#[test]
fn fault_57_a_line_break_never_gets_into_a_header() {
    let service = Faultd::playing([Script::answer("hello")]);
    let broken = "My app\r\nx-injected: yes";
    let mut config = config_at(&service.base_url(), KEY, json!({}));
    let site = [
        ("OPENROUTER_SITE_NAME", broken),
        ("OPENROUTER_SITE_URL", "https://example.org/\nx-injected: yes"),
    ];
    let site = site.map(|(name, value)| (name.to_owned(), value.to_owned()));
    config.environment.extend(site);
    let plugin = openrouter(&config);
    let attribution = Attribution {
        app_name: Some(broken.to_owned()),
        site_url: Some("https://example.org\rx-injected: yes".to_owned()),
        categories: vec!["cli\nx-injected: yes".to_owned()],
    };
    let asked = ChatRequest {
        attribution: Some(attribution),
        ..request("acme/model", "hello")
    };
    for result in [chat(&plugin), block_on(plugin.chat(&asked))] {
        let code = code(&result);
        assert!(
            ["ok", "invalid_request", "config"].contains(&code),
            "{:?}",
            result.err()
        );
    }
    for request in service.requests() {
        assert_eq!(request.header("x-injected"), None, "{:?}", request.headers);
    }
}

/// Runs `profile check` with these further arguments.
fn check(home: &Home, arguments: &[&str]) -> Ran {
    home.host(&[&["profile", "check"], arguments].concat())
        .env("OPENROUTER_API_KEY", KEY)
        .run()
}

/// A document of one profile with these options.
fn profile(options: &str) -> String {
    format!(r#"{{"auth": {{"profiles": {{"default": {{"provider": "openrouter", {options}}}}}}}}}"#)
}

/// Options of an entry, with one mistake each.
const BAD_OPTIONS: &[&str] = &[
    r#""modle": "a/b""#,
    r#""model": 7"#,
    r#""model": ["a/b"]"#,
    r#""model": "two words""#,
    r#""model": {"id": "a/b"}"#,
    r#""tiers": []"#,
    r#""tiers": {"TEXT_TINY": "a/b"}"#,
    r#""tiers": {"TEXT_SMALL": 7}"#,
    r#""tiers": {"TEXT_SMALL": {"modle": "a/b"}}"#,
    r#""tiers": {"TEXT_SMALL": {"fallbackModels": "a/b"}}"#,
    r#""fallbackModels": "a/b""#,
    r#""fallbackModels": [""]"#,
    r#""fallbackModels": [7]"#,
    r#""fallbackModels": ["a/1","a/2","a/3","a/4","a/5","a/6","a/7","a/8","a/9","a/10","a/11"]"#,
    r#""parameters": 7"#,
    r#""parameters": {"temperature": "hot"}"#,
    r#""parameters": {"temperature": 3}"#,
    r#""parameters": {"temperature": -1}"#,
    r#""parameters": {"topP": 2}"#,
    r#""parameters": {"maxTokens": 0}"#,
    r#""parameters": {"maxTokens": -5}"#,
    r#""parameters": {"maxTokens": 1.5}"#,
    r#""parameters": {"stop": 7}"#,
    r#""providerPreferences": 7"#,
    r#""providerPreferences": {"sort": "fastest"}"#,
    r#""providerPreferences": {"order": "anthropic"}"#,
    r#""providerPreferences": {"allowFallbacks": "yes"}"#,
    r#""providerPreferences": {"dataCollection": "maybe"}"#,
    r#""providerPreferences": {"ordre": []}"#,
    r#""providerPreferences": {"only": ["a"], "ignore": ["a"]}"#,
    r#""plugins": "web""#,
    r#""plugins": [{}]"#,
    r#""plugins": [{"id": ""}]"#,
    r#""privacy": "loose""#,
    r#""privacy": true"#,
    r#""attribution": "me""#,
    r#""attribution": {"categories": ["a", "b", "c"]}"#,
    r#""attribution": {"appName": "a\r\nb: c"}"#,
    r#""timeouts": 5"#,
    r#""timeouts": {"idleMs": 0}"#,
    r#""timeouts": {"idleMs": -1}"#,
    r#""timeouts": {"idleMs": 3600001}"#,
    r#""timeouts": {"idleMs": "30s"}"#,
    r#""timeouts": {"idleMs": 1.5}"#,
    r#""timeouts": {"idle": 5}"#,
    r#""timeouts": {"totalMs": 1e300}"#,
    r#""retry": {"attempts": 0}"#,
    r#""retry": {"attempts": 11}"#,
    r#""retry": {"maxWaitMs": 3600001}"#,
    r#""retry": {"ambiguous": 1}"#,
    r#""retry": {"attemps": 1}"#,
    r#""limits": {"concurrency": 0}"#,
    r#""limits": {"requestsPerMinute": 0}"#,
    r#""limits": {"queue": -1}"#,
    r#""caches": {"modelsMs": "never"}"#,
    r#""secondary": {}"#,
    r#""secondary": {"baseUrl": "http://evil.example"}"#,
    r#""budget": {"perDayUsd": -1}"#,
    r#""budget": {"perDayUsd": "much"}"#,
    r#""budget": {"onExceed": "panic"}"#,
    r#""baseUrl": 7"#,
    r#""baseUrl": "http://evil""#,
    r#""baseUrl": "http://localhost:8080""#,
    r#""baseUrl": "https://user:pass@openrouter.ai""#,
    r#""baseUrl": "file:///etc/passwd""#,
    r#""baseUrl": "http://169.254.169.254""#,
    r#""baseUrl": "http://[::ffff:127.0.0.1]""#,
    r#""baseUrl": "https://openrouter。ai""#,
    r#""baseUrl": "https://openrouter.ai?x=1""#,
    r#""allowAnyKey": "yes""#,
    r#""allowPlainHttp": "litellm""#,
    r#""allowPlainHttp": ["http://litellm"]"#,
    r#""allowPlainHttp": ["litellm:4000"]"#,
    r#""headers": {"Authorization": "Bearer x"}"#,
    r#""headers": {"x": "a\r\nb: c"}"#,
    r#""apiKey": "sk-or-v1-in-the-open""#,
];

#[test]
fn fault_55_every_mistake_in_a_profile_is_reported_with_its_place() {
    assert!(BAD_OPTIONS.len() >= 60);
    let home = Home::with(&openrouter_plugin());
    let entries: Vec<String> = BAD_OPTIONS
        .iter()
        .enumerate()
        .map(|(index, options)| format!(r#""p{index}": {{"provider": "openrouter", {options}}}"#))
        .collect();
    home.write_profile(&format!(
        "{{\"auth\": {{\"profiles\": {{\n{}\n}}}}}}",
        entries.join(",\n")
    ));
    let ran = check(&home, &["--json"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(!ran.stdout.contains("in-the-open"), "{}", ran.stdout);
    let report: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let problems = report["problems"].as_array().expect("a list");
    for (index, options) in BAD_OPTIONS.iter().enumerate() {
        let entry = format!("/auth/profiles/p{index}");
        let is_here = |problem: &&Value| {
            let pointer = problem["pointer"].as_str().unwrap_or_default();
            problem["warning"] != true && (pointer == entry || pointer.starts_with(&format!("{entry}/")))
        };
        let failures: Vec<&Value> = problems.iter().filter(is_here).collect();
        assert!(!failures.is_empty(), "{options}: {report}");
        for problem in failures {
            // Each entry has a line of its own, below the first one.
            assert_eq!(problem["line"], index + 2, "{options}: {problem}");
            assert!(problem["column"].as_u64() >= Some(1), "{options}: {problem}");
        }
    }
}

#[test]
fn plain_http_needs_an_entry_in_the_profile_and_each_start_says_so() {
    let service = Faultd::playing([Script::answer("from the gateway")]);
    let home = Home::with(&openrouter_plugin());
    let address = format!("http://localhost:{}/v1", service.address().port());
    let ask = || {
        home.host(&["chat", "hello"])
            .env("OPENROUTER_API_KEY", KEY)
            // A proxy without TLS would see the key.
            .env("HTTP_PROXY", "http://127.0.0.1:1")
            .with_a_log_of_its_own()
            .run()
    };
    home.write_profile(&profile(&format!(r#""baseUrl": "{address}""#)));
    let ran = ask();
    assert_eq!((ran.code, service.requests().len()), (Some(3), 0), "{ran:?}");
    assert!(ran.stderr.contains("would send the key unencrypted"), "{}", ran.stderr);
    home.write_profile(&profile(&format!(
        r#""baseUrl": "{address}", "allowPlainHttp": ["localhost"]"#
    )));
    for _ in 0..2 {
        let ran = ask();
        assert_eq!((ran.code, ran.stdout.trim()), (Some(0), "from the gateway"), "{ran:?}");
        // A path may be as private as a key.
        let told = format!(
            "the key and all prompts go unencrypted to {}",
            address.trim_end_matches("/v1")
        );
        assert!(
            ran.stderr.contains(&told) && !ran.stderr.contains(&address),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn what_stops_a_start_is_named_by_its_variable() {
    let home = Home::with(&openrouter_plugin());
    for (variable, value, parts) in [
        (
            "SSL_CERT_FILE",
            "/nowhere/authorities.pem",
            ["`SSL_CERT_FILE`", "`/nowhere/authorities.pem`"],
        ),
        (
            "OPENROUTER_API_KEY",
            "sk-or-v1-hidden-1,sk-or-v1-hidden-2",
            ["`OPENROUTER_API_KEY`", "several keys"],
        ),
        (
            "OPENROUTER_API_KEY",
            "sk-or-v1-hidden-1;sk-or-v1-hidden-2",
            ["`OPENROUTER_API_KEY`", "several keys"],
        ),
    ] {
        let run = home
            .host(&["chat", "hello"])
            .env("OPENROUTER_API_KEY", KEY)
            .without("SSL_CERT_DIR");
        let ran = run.env(variable, value).run();
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(parts.iter().all(|part| ran.stderr.contains(part)), "{}", ran.stderr);
        assert!(!format!("{ran:?}").contains("hidden"), "{ran:?}");
    }
}

#[test]
fn each_bad_source_of_certificates_is_named() {
    let home = Home::with(&openrouter_plugin());
    let empty = home.path().join("empty.pem");
    fs::write(&empty, "").expect("writable");
    let ask = |file: &str, folders: &str| {
        let run = home.host(&["chat", "hello"]).env("OPENROUTER_API_KEY", KEY);
        run.env("SSL_CERT_FILE", file).env("SSL_CERT_DIR", folders).run().stderr
    };
    let stderr = ask(&empty.to_string_lossy(), "/nowhere");
    let both = format!(
        "no certificates from `SSL_CERT_FILE`, `{}`: it holds no readable certificate; nor from `SSL_CERT_DIR`, \
         `/nowhere`: No such file",
        empty.display()
    );
    assert!(stderr.contains(&both), "{stderr}");
    let good = "/etc/ssl/certs/ca-certificates.crt";
    if Path::new(good).exists() {
        let stderr = ask(good, "/nowhere");
        assert!(!stderr.contains("SSL_CERT_FILE"), "{stderr}");
    }
}

#[test]
fn fault_58_a_profile_cut_anywhere_is_refused() {
    let home = Home::with(&openrouter_plugin());
    let good = profile(r#""model": "a/b", "timeouts": {"idleMs": 5000}"#);
    for end in (0..good.len()).step_by(23) {
        home.write_profile(&good[..end]);
        let ran = check(&home, &[]);
        assert_eq!(ran.code, Some(3), "{end}: {ran:?}");
    }
    home.write_profile(&good);
    check(&home, &[]).expect_success();
}
