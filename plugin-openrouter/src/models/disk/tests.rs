use plugin_api::Config;
use serde_json::{Value, json};

use super::*;
use crate::kit::{Folder, settings};

const BASE_URL: &str = "https://models.example/api/v1";

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn disk(folder: &Folder) -> Disk {
    let caches = json!({"folder": folder.path});
    let settings = settings(json!({"baseUrl": BASE_URL, "caches": caches}), &[]);
    Disk::of(&settings).expect("a folder").expect("it is wanted")
}

fn catalogue(entries: &Value) -> Catalogue {
    let page = page_from(json!({"data": entries}).to_string().as_bytes()).expect("a list");
    Catalogue::new(BASE_URL, page.models, Duration::ZERO)
}

fn ids(found: Result<Option<(Vec<Model>, Duration)>, String>) -> Vec<String> {
    let (models, _) = found.expect("a good file").expect("a file");
    models.into_iter().map(|model| model.id).collect()
}

#[test]
fn a_list_is_read_back_byte_for_byte() {
    let folder = Folder::new();
    let disk = disk(&folder);
    assert!(disk.read_at(at(1000)).expect("it is no error").is_none());
    let body = "{\"data\":[{\"id\":\"a/b\",\n \"pricing\": {\"prompt\": 1e-7}, \"x\":[ 1.0 ]}, {\"id\":\"c\\nd\"}]}";
    let page = page_from(body.as_bytes()).expect("a list");
    let catalogue = Catalogue::new(BASE_URL, page.models, Duration::ZERO);
    disk.write_at(at(1000), &catalogue, "secret").expect("it is writable");
    let (models, age) = disk.read_at(at(1060)).expect("a good file").expect("a file");
    assert_eq!((models, age), (catalogue.models, Duration::from_secs(60)));
    // No temporary file is left behind.
    assert_eq!(fs::read_dir(&folder.path).expect("it is there").count(), 1);
}

#[test]
fn a_newer_list_replaces_the_older_one() {
    let folder = Folder::new();
    let disk = disk(&folder);
    for id in ["a/first", "a/second"] {
        disk.write_at(at(1000), &catalogue(&json!([{"id": id}])), "")
            .expect("it is writable");
    }
    assert_eq!(ids(disk.read_at(at(1000))), ["a/second"]);
}

#[test]
fn a_list_from_the_future_counts_as_old() {
    let folder = Folder::new();
    let disk = disk(&folder);
    disk.write_at(at(1000), &catalogue(&json!([{"id": "a/b"}])), "")
        .expect("it is writable");
    let (_, age) = disk.read_at(at(999)).expect("a good file").expect("a file");
    assert_eq!(age, UNKNOWN_AGE);
}

#[test]
fn a_truncated_file_is_refused() {
    let folder = Folder::new();
    let disk = disk(&folder);
    disk.write_at(at(1000), &catalogue(&json!([{"id": "a/b"}, {"id": "c/d"}])), "")
        .expect("it is writable");
    let whole = fs::read(disk.path()).expect("it is there");
    let last = whole.len() - 1;
    for length in 0..last {
        fs::write(disk.path(), &whole[..length]).expect("it is writable");
        let problem = disk.read_at(at(1000)).err();
        assert_eq!(
            problem.as_deref(),
            Some("the file is damaged or has another version"),
            "{length}"
        );
    }
    // The last line break does not matter.
    fs::write(disk.path(), &whole[..last]).expect("it is writable");
    assert_eq!(ids(disk.read_at(at(1000))), ["a/b", "c/d"]);
}

#[test]
fn a_file_of_another_format_service_or_type_is_refused() {
    let folder = Folder::new();
    let disk = disk(&folder);
    let header = |form: &str, base_url: &str| json!({"form": form, "base_url": base_url, "fetched_ms": 1}).to_string();
    let page = r#"{"data":[{"id":"a/b"}]}"#;
    let damaged = "the file is damaged or has another version";
    let rows = [
        (String::new(), damaged),
        ("\0\0\0\n\0\0\0\n".to_owned(), damaged),
        (format!("{}\n{page}", header("openrouter-models 2", BASE_URL)), damaged),
        (format!("{}\n{{\"data\":[]}}", header(FORM, BASE_URL)), damaged),
        (format!("{}\n{{\"data\":[7]}}", header(FORM, BASE_URL)), damaged),
        (
            format!("{}\n{page}", header(FORM, "https://other.example")),
            "the file is from another service",
        ),
    ];
    for (text, expected) in rows {
        fs::create_dir_all(&folder.path).expect("it is writable");
        fs::write(disk.path(), &text).expect("it is writable");
        assert_eq!(disk.read_at(at(1000)).err().as_deref(), Some(expected), "{text}");
    }
    fs::remove_file(disk.path()).expect("it is there");
    fs::create_dir(disk.path()).expect("it is writable");
    assert_eq!(
        disk.read_at(at(1000)).err().as_deref(),
        Some("it is not a regular file")
    );
}

#[test]
fn a_file_beyond_the_limit_is_refused() {
    let folder = Folder::new();
    let disk = disk(&folder);
    fs::create_dir_all(&folder.path).expect("it is writable");
    let file = File::create(disk.path()).expect("it is writable");
    file.set_len(MAX_BYTES + 1).expect("a sparse file");
    let problem = disk.read_at(at(1000)).err();
    assert_eq!(problem.as_deref(), Some("the file has more than 32 MiB"));
}

#[test]
fn neither_a_key_nor_an_empty_list_is_written() {
    let folder = Folder::new();
    let disk = disk(&folder);
    let entries = json!([{"id": "a/b", "description": "for sk-or-v1-abc only"}]);
    let refused = |entries: &Value| disk.write_at(at(1000), &catalogue(entries), "sk-or-v1-abc").err();
    assert_eq!(refused(&entries).as_deref(), Some("the list contains the key"));
    assert_eq!(refused(&json!([])).as_deref(), Some("the list is empty"));
    assert!(!folder.path.exists());
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_or_write_the_file() {
    use std::os::unix::fs::PermissionsExt;

    let folder = Folder::new();
    let disk = disk(&folder);
    disk.write_at(at(1000), &catalogue(&json!([{"id": "a/b"}])), "")
        .expect("it is writable");
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&folder.path), mode(&disk.path())), (0o700, 0o600));
}

#[test]
fn a_folder_that_cannot_be_created_is_an_error() {
    let folder = Folder::new();
    fs::create_dir_all(&folder.path).expect("it is writable");
    let disk = Disk {
        folder: folder.path.join("file/inside"),
        ..disk(&folder)
    };
    fs::write(folder.path.join("file"), "").expect("it is writable");
    assert!(
        disk.write_at(at(1000), &catalogue(&json!([{"id": "a/b"}])), "")
            .is_err()
    );
}

#[test]
fn each_base_url_has_a_file_of_its_own() {
    let name = |base_url: &str| {
        let settings = settings(json!({"baseUrl": base_url, "caches": {"folder": "/c"}}), &[]);
        Disk::of(&settings).expect("a folder").expect("it is wanted").name
    };
    assert_eq!(
        name("https://openrouter.ai/api/v1"),
        "models-openrouter.ai-16f0e60a520c9446.json"
    );
    assert!(name("http://[::1]:8080/api/v1").starts_with("models-___1__8080-"));
    assert_ne!(name("https://a.example/v1"), name("https://a.example/v2"));
}

#[test]
fn a_local_service_has_a_file_only_if_the_profile_asks_for_it() {
    let is_used = |base_url: &str, caches: Value| {
        let config = Config {
            options: json!({"baseUrl": base_url, "caches": caches}),
            ..Config::default()
        };
        let settings = Settings::from_config(&config, None).expect("good settings");
        Disk::of(&settings).map(|disk| disk.is_some())
    };
    let here = "http://127.0.0.1:8080/v1";
    let folder = "/tmp/models";
    let rows = [
        (here, json!({}), false),
        (here, json!({"disk": null, "folder": null}), false),
        (here, json!({"folder": folder}), true),
        (here, json!({"folder": folder, "disk": false}), false),
        (BASE_URL, json!({"folder": folder}), true),
        (BASE_URL, json!({"folder": folder, "disk": false}), false),
        (BASE_URL, json!({"folder": folder, "disk": true}), true),
    ];
    for (base_url, caches, expected) in rows {
        assert_eq!(is_used(base_url, caches.clone()), Ok(expected), "{base_url} {caches}");
    }
}

#[test]
fn a_missing_folder_names_the_option() {
    assert_eq!(
        no_folder(NoFolder::NoHome),
        "there is no home folder; set `caches.folder`"
    );
    assert_eq!(
        no_folder(NoFolder::NotAbsolute("l".to_owned())),
        "`caches.folder`: expected a path that begins with `/` or `~/`, found `l`"
    );
}
