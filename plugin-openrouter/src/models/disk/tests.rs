use std::collections::BTreeMap;

use plugin_api::Config;
use serde_json::{Value, json};

use super::*;
use crate::kit::{Folder, settings};

const BASE_URL: &str = "https://models.example/api/v1";

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn new() -> (Folder, Disk) {
    let folder = Folder::new();
    let caches = json!({"folder": folder.path});
    let settings = settings(json!({"baseUrl": BASE_URL, "caches": caches}), &[]);
    let disk = Disk::of(&settings).expect("a folder").expect("it is wanted");
    (folder, disk)
}

fn catalogue(entries: &Value) -> Catalogue {
    let page = page_from(json!({"data": entries}).to_string().as_bytes()).expect("a list");
    Catalogue::new(BASE_URL, page.models, Duration::ZERO)
}

fn write(disk: &Disk, ids: &[&str]) {
    let entries: Vec<Value> = ids.iter().map(|id| json!({"id": id})).collect();
    let catalogue = catalogue(&json!(entries));
    disk.write_at(at(1000), &catalogue, "secret").expect("it is writable");
}

fn read(disk: &Disk) -> Result<Vec<String>, String> {
    let (models, _) = disk.read_at(at(1000))?.expect("a file");
    Ok(models.into_iter().map(|model| model.id).collect())
}

#[test]
fn a_list_is_read_back_byte_for_byte() {
    let (folder, disk) = new();
    assert!(disk.read_at(at(1000)).expect("it is no error").is_none());
    let body = "{\"data\":[{\"id\":\"a/b\",\n \"pricing\": {\"prompt\": 1e-7}, \"x\":[ 1.0 ]}, {\"id\":\"c\\nd\"}]}";
    let page = page_from(body.as_bytes()).expect("a list");
    let catalogue = Catalogue::new(BASE_URL, page.models, Duration::ZERO);
    disk.write_at(at(1000), &catalogue, "secret").expect("it is writable");
    let (models, age) = disk.read_at(at(1060)).expect("a good file").expect("a file");
    assert_eq!((models, age), (catalogue.models, Duration::from_secs(60)));
    // A newer list replaces it, and no temporary file is left behind.
    write(&disk, &["a/newer"]);
    assert_eq!(read(&disk), Ok(vec!["a/newer".to_owned()]));
    assert_eq!(fs::read_dir(&folder.path).expect("it is there").count(), 1);
}

#[test]
fn a_list_from_the_future_counts_as_old() {
    let (_folder, disk) = new();
    write(&disk, &["a/b"]);
    let (_, age) = disk.read_at(at(999)).expect("a good file").expect("a file");
    assert_eq!(age, UNKNOWN_AGE);
}

#[test]
fn a_truncated_file_is_refused() {
    let (_folder, disk) = new();
    write(&disk, &["a/b", "c/d"]);
    let whole = fs::read(disk.path()).expect("it is there");
    // The last line break does not matter.
    let last = whole.len() - 1;
    for length in 0..=last {
        fs::write(disk.path(), &whole[..length]).expect("it is writable");
        let expected = match length == last {
            true => Ok(vec!["a/b".to_owned(), "c/d".to_owned()]),
            false => Err("the file is damaged or has another version".to_owned()),
        };
        assert_eq!(read(&disk), expected, "{length}");
    }
}

#[test]
fn a_file_that_cannot_be_trusted_is_refused() {
    let (folder, disk) = new();
    let header = |form: &str, base_url: &str| json!({"form": form, "base_url": base_url, "fetched_ms": 1}).to_string();
    let page = r#"{"data":[{"id":"a/b"}]}"#;
    let damaged = "the file is damaged or has another version";
    let elsewhere = header(FORM, "https://other.example");
    let rows = [
        (String::new(), damaged),
        ("\0\0\0\n\0\0\0\n".to_owned(), damaged),
        (format!("{}\n{page}", header("openrouter-models 2", BASE_URL)), damaged),
        (format!("{}\n{{\"data\":[]}}", header(FORM, BASE_URL)), damaged),
        (format!("{}\n{{\"data\":[7]}}", header(FORM, BASE_URL)), damaged),
        (format!("{elsewhere}\n{page}"), "the file is from another service"),
    ];
    fs::create_dir_all(&folder.path).expect("it is writable");
    for (text, expected) in rows {
        fs::write(disk.path(), &text).expect("it is writable");
        assert_eq!(read(&disk), Err(expected.to_owned()), "{text}");
    }
    let file = fs::File::create(disk.path()).expect("it is writable");
    file.set_len(MAX_BYTES + 1).expect("a sparse file");
    assert_eq!(read(&disk), Err("the file has more than 32 MiB".to_owned()));
    fs::remove_file(disk.path()).expect("it is there");
    fs::create_dir(disk.path()).expect("it is writable");
    assert_eq!(read(&disk), Err("it is not a regular file".to_owned()));
}

#[cfg(unix)]
#[test]
fn links_and_folders_of_everybody_are_not_used() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let (folder, disk) = new();
    write(&disk, &["a/b"]);
    let elsewhere = folder.path.join("elsewhere");
    fs::rename(disk.path(), &elsewhere).expect("it is there");
    symlink(&elsewhere, disk.path()).expect("it is writable");
    let link = "it is a symbolic link, which is not followed";
    assert_eq!(read(&disk), Err(link.to_owned()));
    let before = fs::read(&elsewhere).expect("it is there");
    write(&disk, &["a/newer"]);
    assert_eq!(
        fs::read(&elsewhere).expect("it is there"),
        before,
        "the link is replaced"
    );
    assert_eq!(read(&disk), Ok(vec!["a/newer".to_owned()]));
    fs::set_permissions(&folder.path, fs::Permissions::from_mode(0o777)).expect("it is ours");
    let everybody = "every user may write to the folder";
    assert_eq!(read(&disk), Err(everybody.to_owned()));
    let written = disk.write_at(at(1000), &catalogue(&json!([{"id": "a/b"}])), "secret");
    assert_eq!(written, Err(everybody.to_owned()));
}

#[test]
fn neither_a_key_nor_an_empty_list_is_written() {
    let (folder, disk) = new();
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

    let (folder, disk) = new();
    write(&disk, &["a/b"]);
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&folder.path), mode(&disk.path())), (0o700, 0o600));
}

#[test]
fn a_folder_that_cannot_be_created_is_an_error() {
    let (folder, mut disk) = new();
    fs::create_dir_all(&folder.path).expect("it is writable");
    disk.folder = folder.path.join("file/inside");
    fs::write(folder.path.join("file"), "").expect("it is writable");
    let written = disk.write_at(at(1000), &catalogue(&json!([{"id": "a/b"}])), "");
    assert!(written.is_err());
}

#[test]
fn each_base_url_has_a_file_of_its_own() {
    let name = |base_url: &str| {
        let settings = settings(json!({"baseUrl": base_url, "caches": {"folder": "/c"}}), &[]);
        Disk::of(&settings).expect("a folder").expect("it is wanted").name
    };
    let usual = name("https://openrouter.ai/api/v1");
    assert_eq!(usual, "models-openrouter.ai-16f0e60a520c9446.json");
    assert!(name("http://[::1]:8080/api/v1").starts_with("models-___1__8080-"));
    assert_ne!(name("https://a.example/v1"), name("https://a.example/v2"));
}

#[test]
fn a_local_service_has_a_file_only_if_the_profile_asks_for_it() {
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
        let what = format!("{base_url} {caches}");
        let options = json!({"baseUrl": base_url, "caches": caches});
        let environment = BTreeMap::new();
        let settings = Settings::from_config(&Config { options, environment }, None).expect("good settings");
        assert_eq!(Disk::of(&settings).map(|disk| disk.is_some()), Ok(expected), "{what}");
    }
}

#[test]
fn a_missing_folder_names_the_option() {
    let message = "there is no home folder; set `caches.folder`";
    assert_eq!(no_folder(NoFolder::NoHome), message);
    let message = "`caches.folder`: expected a path that begins with `/` or `~/`, found `l`";
    assert_eq!(no_folder(NoFolder::NotAbsolute("l".to_owned())), message);
}
