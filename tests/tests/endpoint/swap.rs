//! Edits of the profile while requests run: one model, from before or after the edit, gives all of an answer.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use plugin_api::VERSION;
use plugin_api::loader::Image;
use sandbox::Script;
use serde_json::{Value, json};
use tests::endpoint::{Endpoint, Serve, chat_body, profile_text};
use tests::faultd::{Faultd, Script as Raw};
use tests::{LOCK_FILE, Service, eventually, openrouter_plugin, second_plugin, service};

use crate::bench::{CHAT, patient};

/// What standard error says of an edit that holds, and of one that does not.
const RELOADED: &str = "profile reloaded: ";
const IGNORED: &str = "edit ignored; still using the previous profile";

const N_EDITS: usize = 100;
/// Clients that ask at once, and how often each asks at least during each edit.
const N_CLIENTS: usize = 4;
const N_ASKS: usize = 3;

fn options(model: &str) -> Value {
    let mut options = patient();
    options["tiers"] = json!({"TEXT_SMALL": model});
    options
}

/// The model with this number; its answer is its own name, several times.
fn model(n: usize) -> String {
    format!("acme/model-{n}")
}

fn answer_of(n: usize) -> String {
    [model(n).as_str(); 5].join(" ")
}

/// A service with the models 0 to `last`.
fn service_of(last: usize) -> Service {
    let service = service();
    for n in 0..=last {
        service.script(model(n), Script::text(answer_of(n)));
    }
    service
}

/// The number of the model that gave all of an answer; every second question is for a stream.
///
/// - Panics: the answer is cut, or from more than one model.
#[track_caller]
fn who_answers(endpoint: &Endpoint, n: usize) -> usize {
    let is_stream = n % 2 == 1;
    let mut body = chat_body("TEXT_SMALL", "Who are you?");
    body["stream"] = json!(is_stream);
    let answer = endpoint.answer(&endpoint.post(CHAT, &body)).expect(200);
    let text = if is_stream { answer.streamed() } else { answer.content() };
    let name = text.split(' ').next().and_then(|name| name.strip_prefix("acme/model-"));
    let number = name.and_then(|number| number.parse().ok());
    let number = number.unwrap_or_else(|| panic!("{text}"));
    assert_eq!(text, answer_of(number), "from more than one model");
    assert_eq!(answer.header("x-served-model"), Some(model(number).as_str()));
    number
}

#[test]
fn fault_69_a_plugin_replaced_twenty_times_under_load_loses_no_request() {
    let service = service_of(1);
    let endpoint = Serve::before(service).profile(&options(&model(1))).start();
    let file = endpoint
        .home
        .plugins()
        .join(openrouter_plugin().file_name().expect("a file"));
    let sound = fs::read(openrouter_plugin()).expect("the plugin");
    fs::remove_file(&file).expect("the home is writable");
    let n_asked = ask_during(&endpoint, [1, 1], || {
        for n in 0..20 {
            // Other bytes behind the last section: another plugin to the host, with the same behaviour.
            let changed = [&sound[..], format!("build {n}").as_bytes()].concat();
            // In place, as `cp` does.
            fs::write(&file, changed).expect("the home is writable");
            let accept = endpoint.home.host(&["plugins", "accept", "openrouter"]).run();
            accept.expect_success();
            // Its version is the same, so the line has the hashes.
            endpoint.wait_for_stderr(&format!("plugin reloaded: openrouter {VERSION} ("), n + 1);
        }
    });
    assert!(n_asked >= N_CLIENTS * N_ASKS);
    assert_eq!(
        endpoint.service.requests().len(),
        n_asked,
        "each request was asked once"
    );
}

#[test]
fn a_plugin_that_is_disabled_or_removed_answers_no_more() {
    let endpoint = Serve::before(service_of(0)).profile(&options(&model(0))).start();
    let plugins = |arguments: &[&str]| {
        let ran = endpoint.home.host(&[&["plugins"], arguments].concat()).run();
        ran.expect_success();
    };
    let ask = |status| endpoint.chat("TEXT_SMALL", "Hello").expect(status);
    let health = |status| endpoint.answer(&endpoint.get("/health")).expect(status);
    plugins(&["disable", "openrouter"]);
    endpoint.wait_for_stderr(
        "the plugin `openrouter` is disabled: nothing answers, from the next request on",
        1,
    );
    assert!(ask(503).text().contains("the plugin `openrouter` is disabled"));
    health(503);
    plugins(&["enable", "openrouter"]);
    endpoint.wait_for_stderr("openrouter answers again, from the next request on", 1);
    ask(200);
    plugins(&["remove", "openrouter"]);
    endpoint.wait_for_stderr("the plugin `openrouter` was removed: nothing answers", 1);
    ask(503);
    plugins(&["install", openrouter_plugin().to_str().expect("text")]);
    endpoint.wait_for_stderr("openrouter answers again", 2);
    ask(200);
    health(200);
}

#[test]
fn a_plugin_whose_tiers_cannot_be_read_takes_nobodys_place() {
    let serve = Serve::before(service_of(0)).profile(&options(&model(0)));
    serve.home().install(&second_plugin());
    let endpoint = serve.env("PARROT_KEY", "parrot-1").start();
    let parrot = json!({"auth": {"profiles": {"default": {"provider": "parrot", "greeting": "fail/tiers"}}}});
    endpoint.home.write_profile(&parrot.to_string());
    endpoint.wait_for_stderr(IGNORED, 1);
    endpoint.wait_for_stderr("cannot list its tiers", 1);
    assert_eq!(who_answers(&endpoint, 0), 0);
}

#[test]
fn fault_70_after_64_builds_the_last_one_stays() {
    let serve = Serve::new();
    fs::remove_file(serve.home().plugins().join("libplugin_openrouter.so")).expect("ours");
    let file = serve.home().install(&second_plugin());
    let parrot = json!({"auth": {"profiles": {"default": {"provider": "parrot"}}}});
    serve.home().write_profile(&parrot.to_string());
    let endpoint = serve.env("PARROT_KEY", "parrot-1").start();
    let sound = fs::read(&file).expect("the plugin");
    let lock = endpoint.home.path().join(LOCK_FILE);
    let mut recorded: Value = serde_json::from_slice(&fs::read(&lock).expect("it was used")).expect("JSON");
    let replace = |recorded: &mut Value, n: usize| {
        let new = endpoint.home.path().join("new");
        fs::write(&new, [&sound[..], format!("build {n}").as_bytes()].concat()).expect("writable");
        let sha256 = Image::read(&new).expect("it is sound").sha256().to_owned();
        fs::rename(&new, &file).expect("writable");
        recorded["plugins"]["parrot"]["sha256"] = json!(sha256);
        fs::write(&new, recorded.to_string())
            .and_then(|()| fs::rename(&new, &lock))
            .expect("writable");
    };
    for n in 1..64 {
        replace(&mut recorded, n);
        endpoint.wait_for_stderr("plugin reloaded: parrot ", n);
    }
    replace(&mut recorded, 64);
    endpoint.wait_for_stderr("new plugin ignored; still using the previous one", 1);
    endpoint.wait_for_stderr(
        "64 versions of plugins are loaded, and none can be unloaded\nhint: restart the program",
        1,
    );
    let answer = endpoint.chat("parrot/large", "Hello").expect(200);
    assert_eq!(answer.content(), "Hello");
}

/// A profile that cannot be used, in one of several ways, and different for each edit.
fn broken(edit: usize) -> String {
    match edit % 4 {
        0 => format!("{{\"edit\": {edit}, \"auth\": "),
        1 => profile_text(&json!({"tiers": {"TEXT_SMALL": edit}})),
        2 => profile_text(&json!({"tiers": {"TEXT_SMALL": model(edit)}, "modle": edit})),
        _ => " ".repeat(edit),
    }
}

/// Runs `edit` while clients ask; returns how often they asked. Each answer must come from one of the `allowed` models.
fn ask_during(endpoint: &Endpoint, allowed: [usize; 2], edit: impl FnOnce()) -> usize {
    let n_asked = AtomicUsize::new(0);
    thread::scope(|scope| {
        // The clients ask until it is dropped, by a panic too.
        let editing = Arc::new(());
        for client in 0..N_CLIENTS {
            let (n_asked, editing) = (&n_asked, Arc::downgrade(&editing));
            scope.spawn(move || {
                let mut n_asks = 0;
                while n_asks < N_ASKS || editing.strong_count() > 0 {
                    let by = who_answers(endpoint, client + n_asks);
                    assert!(allowed.contains(&by), "{by} answers, not one of {allowed:?}");
                    n_asks += 1;
                }
                n_asked.fetch_add(n_asks, Ordering::SeqCst);
            });
        }
        edit();
        drop(editing);
    });
    n_asked.into_inner()
}

#[test]
fn every_answer_during_a_hundred_edits_comes_from_one_model() {
    let endpoint = Serve::before(service_of(N_EDITS)).profile(&options(&model(0))).start();
    let (mut now, mut n_asked) = (0, 0);
    let (mut n_reloaded, mut n_ignored) = (0, 0);
    for edit in 1..=N_EDITS {
        let is_valid = edit % 3 != 0;
        let next = if is_valid { edit } else { now };
        n_asked += ask_during(&endpoint, [now, next], || {
            if is_valid {
                endpoint.home.write_profile(&profile_text(&options(&model(edit))));
                endpoint.wait_for_stderr(&format!("{RELOADED}TEXT_SMALL {} → {} ", model(now), model(edit)), 1);
            } else {
                endpoint.home.write_profile(&broken(edit));
                endpoint.wait_for_stderr(IGNORED, n_ignored + 1);
            }
        });
        now = next;
        n_reloaded += usize::from(is_valid);
        n_ignored += usize::from(!is_valid);
        // Once the edit is reported, nobody gets the other model.
        assert_eq!(who_answers(&endpoint, edit), now, "edit {edit}");
        n_asked += 1;
    }
    let requests = endpoint.service.requests();
    let n_chats = requests.iter().filter(|asked| asked.method == "POST").count();
    assert_eq!(n_chats, n_asked, "each question is asked once");
    let stderr = endpoint.stderr();
    for (result, text, n) in [("ok", RELOADED, n_reloaded), ("failed", IGNORED, n_ignored)] {
        assert_eq!(stderr.matches(text).count(), n, "{stderr}");
        let metric = format!("agent_host_profile_reloads_total{{result=\"{result}\"}}");
        assert_eq!(endpoint.metric(&metric), n as f64);
    }
}

#[test]
fn with_no_watch_only_sighup_reloads_the_profile() {
    let serve = Serve::before(service_of(1)).profile(&options(&model(0)));
    let endpoint = serve.arguments(&["--no-watch"]).start();
    endpoint.home.write_profile(&profile_text(&options(&model(1))));
    assert_eq!(who_answers(&endpoint, 0), 0);
    endpoint.signal("HUP");
    endpoint.wait_for_stderr("profile, variables and key reloaded: ", 1);
    assert_eq!(who_answers(&endpoint, 0), 1);
}

#[test]
fn clients_stay_at_the_address_of_the_start() {
    let [own, elsewhere] = [(), ()].map(|()| Faultd::playing([Raw::answer("hello")]));
    let serve = Serve::new()
        .without("OPENROUTER_API_KEY")
        .without("OPENROUTER_BASE_URL");
    let write = |file: &str, service: &Faultd| {
        let text = format!(
            "OPENROUTER_API_KEY=sk-or-v1-{file}\nOPENROUTER_BASE_URL={}\n",
            service.base_url()
        );
        let file = serve.home().path().join("work").join(file);
        fs::write(&file, text).expect("writable");
        file.to_string_lossy().into_owned()
    };
    let named = write("named.env", &own);
    let endpoint = serve.arguments(&["--env-file", &named]).start();
    let line = format!("prompts go to http://{} (`OPENROUTER_BASE_URL` in `", own.address());
    endpoint.wait_for_stderr(&line, 1);
    let text = format!(
        "OPENROUTER_API_KEY=sk-or-v1-x\nOPENROUTER_BASE_URL={}\n",
        elsewhere.base_url()
    );
    fs::write(endpoint.home.path().join("work/.env"), &text).expect("writable");
    endpoint.signal("HUP");
    endpoint.wait_for_stderr(
        "nothing changed; `.env` was not read at the start: restart to use it",
        1,
    );
    fs::write(&named, &text).expect("writable");
    endpoint.signal("HUP");
    endpoint.wait_for_stderr(
        "reload failed; still using the previous profile and key\nerror: another address: ",
        1,
    );
    endpoint.chat("acme/model", "Hello").expect(200);
    assert_eq!((own.requests().len(), elsewhere.accepted_connections()), (1, 0));
}

#[test]
fn a_rotated_key_file_costs_no_request() {
    let service = Faultd::answering(|asked| match asked.header("authorization") {
        Some("Bearer sk-or-v1-new") => Raw::answer("welcome"),
        _ => Raw::reply(401, &[], &json!({"error": {"code": 401, "message": "User not found."}})),
    });
    let serve = Serve::new().without("OPENROUTER_API_KEY").asking(&service);
    let file = serve.home().path().join("key");
    let write = |key: &str| fs::write(&file, key).expect("writable");
    write("sk-or-v1-old");
    let path = file.to_string_lossy().into_owned();
    let endpoint = serve.env("OPENROUTER_API_KEY_FILE", &path).start();
    let refused = endpoint.chat("acme/model", "Hello").expect(401);
    let hint = refused.header("x-hint").unwrap_or_default();
    assert!(hint.ends_with("the key came from `OPENROUTER_API_KEY_FILE`"), "{hint}");
    fs::remove_file(&file).expect("ours");
    endpoint.chat("acme/model", "Hello").expect(401);
    let told =
        format!("the service refused the key, and it cannot be read again: the key file `{path}` does not exist");
    endpoint.wait_for_stderr(&told, 1);
    write("sk-or-v1-new");
    let mut body = chat_body("acme/model", "Hello");
    body["stream"] = json!(true);
    let streamed = endpoint.answer(&endpoint.post(CHAT, &body)).expect(200);
    assert_eq!(streamed.streamed(), "welcome");
    write("sk-or-v1-old");
    endpoint.chat("acme/model", "Hello").expect(200);
    assert_eq!(service.requests().len(), 5, "the key in use is not refused");
    for (token, status) in [("sk-or-v1-new", 200), ("sk-or-v1-old", 401)] {
        let request = endpoint
            .post(CHAT, &body)
            .with("authorization", &format!("Bearer {token}"));
        endpoint.answer(&request).expect(status);
    }
}

#[test]
fn a_slow_key_command_keeps_nobody_waiting_but_the_reload() {
    let service = service();
    let key = service.key().to_owned();
    let serve = Serve::before(service).without("OPENROUTER_API_KEY");
    let work = serve.home().path().join("work");
    // It says that it runs, and ends when its home is gone.
    let script = format!("exec 2>/dev/null; touch asked; while [ -e slow ]; do sleep 0.1; done; echo {key}");
    fs::write(work.join("key.sh"), script).expect("writable");
    let command = json!({"apiKey": {"command": ["sh", "key.sh"]}});
    let mut endpoint = serve
        .profile(&command)
        .arguments(&["--trust-profile", "--drain", "0"])
        .start();
    fs::remove_file(work.join("asked")).expect("it ran");
    fs::write(work.join("slow"), "").expect("writable");
    endpoint.signal("HUP");
    eventually(|| work.join("asked").exists().then_some(()).ok_or("it does not run"));
    endpoint.chat("sandbox/hello", "Hello").expect(200);
    assert_eq!(endpoint.stop().code, Some(0), "a signal ends it");
    fs::remove_file(work.join("slow")).expect("ours");
}
