//! The tools for files below one folder: list, read, search, write.
//!
//! Nothing outside is reached. Every step of a path is opened in the folder before it, and none may be a link, so that
//! nobody can move the way while it is walked.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use plugin_api::Tool as Function;
use serde_json::json;

use super::definition::{Approval, Files};
use super::names::OF_FILES;
use super::tool::{Answering, Arguments, Tool, object, text};

#[cfg(unix)]
mod below;
#[cfg(not(unix))]
#[path = "folder/elsewhere.rs"]
mod below;

use self::below::Root;

/// The tools, of which the last one writes.
///
/// - Errors: the folder cannot be opened.
pub fn tools(wanted: &Files) -> Result<Vec<Box<dyn Tool>>, String> {
    let shown = wanted.folder.display();
    let root =
        Root::open(&at_home(&wanted.folder)).map_err(|cause| format!("cannot open the folder `{shown}`: {cause}"))?;
    let root = Arc::new(root);
    let tool = |job| -> Box<dyn Tool> {
        let root = Arc::clone(&root);
        Box::new(InFolder { root, job })
    };
    let writes = wanted.write.then_some(Job::Write);
    Ok([Job::List, Job::Read, Job::Search]
        .into_iter()
        .chain(writes)
        .map(tool)
        .collect())
}

/// `~/` at the start is the home folder.
pub fn at_home(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), env::home_dir()) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}

#[derive(Clone, Copy)]
enum Job {
    List,
    Read,
    Search,
    Write,
}

struct InFolder {
    root: Arc<Root>,
    job: Job,
}

impl Tool for InFolder {
    fn function(&self) -> Function {
        let path = |what: &str| json!({"type": "string", "description": format!("{what}, relative to the folder")});
        let (about, arguments) = match self.job {
            Job::List => (
                "Lists a folder. Names of folders end with a slash.",
                object(json!({"path": path("A folder; `.` is the whole")}), &["path"]),
            ),
            Job::Read => {
                let start =
                    json!({"type": "integer", "minimum": 1, "description": "The first line to return; 1 if absent"});
                let properties = json!({"path": path("A text file"), "start_line": start});
                (
                    "Reads a text file, or the rest of a long one.",
                    object(properties, &["path"]),
                )
            }
            Job::Search => {
                let wanted =
                    json!({"type": "string", "description": "What the lines contain, in any case; no pattern"});
                let properties = json!({"text": wanted, "path": path("A folder; the whole if absent")});
                (
                    "Finds lines of text in all files of a folder and below it.",
                    object(properties, &["text"]),
                )
            }
            Job::Write => {
                let wanted = json!({"type": "string", "description": "The whole content"});
                let properties = json!({"path": path("A file"), "text": wanted});
                (
                    "Writes a text file, as a whole. Replaces one that exists.",
                    object(properties, &["path", "text"]),
                )
            }
        };
        Function::new(OF_FILES[self.job as usize], about, arguments)
    }

    fn approval(&self) -> Approval {
        match self.job {
            Job::Write => Approval::Ask,
            _ => Approval::Always,
        }
    }

    fn call<'a>(&'a self, arguments: &'a Arguments) -> Answering<'a> {
        let (root, job, arguments) = (Arc::clone(&self.root), self.job, arguments.clone());
        Box::pin(async move {
            // Disks block.
            let done = tokio::task::spawn_blocking(move || done(&root, job, &arguments)).await;
            done.unwrap_or_else(|_| Err("the tool failed".to_owned()))
        })
    }
}

fn done(root: &Root, job: Job, arguments: &Arguments) -> Result<String, String> {
    match job {
        Job::List => root.list(text(arguments, "path")?),
        Job::Read => {
            let start = match arguments.get("start_line") {
                None => 1,
                Some(start) => start
                    .as_u64()
                    .filter(|start| *start > 0)
                    .ok_or("expected `start_line` to be 1 or more")?,
            };
            root.read_from(text(arguments, "path")?, usize::try_from(start).unwrap_or(usize::MAX))
        }
        Job::Search => {
            let path = arguments.get("path").and_then(|path| path.as_str()).unwrap_or(".");
            root.search(text(arguments, "text")?, path)
        }
        Job::Write => root.write(text(arguments, "path")?, text(arguments, "text")?),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;
    use std::{fs, io};

    use serde_json::Value;
    use tempfile::TempDir;

    use super::*;

    /// A folder with a file and links that lead out of it, beside a secret.
    fn place() -> (TempDir, Root) {
        let place = TempDir::new().expect("writable");
        let inside = place.path().join("inside");
        fs::create_dir_all(inside.join("sub/deep")).expect("writable");
        fs::write(place.path().join("secret"), "hidden").expect("writable");
        fs::write(inside.join("notes.txt"), "One bee\ntwo Bees\nnone\n").expect("writable");
        fs::write(inside.join("sub/deep/more.txt"), "a bee").expect("writable");
        fs::write(inside.join("picture"), [0xff, 0xd8]).expect("writable");
        symlink("../secret", inside.join("link")).expect("writable");
        symlink("..", inside.join("sub/up")).expect("writable");
        symlink(place.path(), inside.join("out")).expect("writable");
        fs::hard_link(place.path().join("secret"), inside.join("hard")).expect("writable");
        let root = Root::open(&inside).expect("it is there");
        (place, root)
    }

    fn ran(root: &Root, job: Job, arguments: Value) -> Result<String, String> {
        done(root, job, arguments.as_object().expect("an object"))
    }

    #[test]
    fn no_path_leads_outside() {
        let (place, root) = place();
        let absolute = place.path().join("secret").display().to_string();
        for path in [
            "../secret",
            "sub/../../secret",
            "link",
            "out/secret",
            "sub/up/notes.txt",
            "/etc/passwd",
            &absolute,
            "..",
            "out",
            "a\0b",
            "",
        ] {
            for (job, arguments) in [
                (Job::Read, json!({"path": path})),
                (Job::Write, json!({"path": path, "text": "changed"})),
            ] {
                let done = ran(&root, job, arguments);
                assert!(done.is_err(), "{path:?}: {done:?}");
            }
        }
        for path in ["..", "out", "sub/up", "/"] {
            assert!(ran(&root, Job::List, json!({"path": path})).is_err(), "{path}");
            assert!(
                ran(&root, Job::Search, json!({"path": path, "text": "hidden"})).is_err(),
                "{path}"
            );
        }
        let written = ran(&root, Job::Write, json!({"path": "hard", "text": "changed"}));
        assert_eq!(
            written,
            Err("`hard` has another name elsewhere, so it is not changed".to_owned())
        );
        assert_eq!(
            fs::read_to_string(place.path().join("secret")).expect("there"),
            "hidden"
        );
        // Links are not followed by a search either; the hard link is a file of this folder.
        assert_eq!(
            ran(&root, Job::Search, json!({"text": "hidden"})).as_deref(),
            Ok("hard:1: hidden")
        );
    }

    #[test]
    fn files_are_listed_read_found_and_written() {
        let (place, root) = place();
        let list = ran(&root, Job::List, json!({"path": "."})).expect("a folder");
        assert_eq!(
            list,
            "hard (6 bytes)\nlink (a link)\nnotes.txt (22 bytes)\nout (a link)\npicture (2 bytes)\nsub/"
        );
        let rest = ran(&root, Job::Read, json!({"path": "notes.txt", "start_line": 2}));
        assert_eq!(rest.as_deref(), Ok("two Bees\nnone\n"));
        let found = ran(&root, Job::Search, json!({"text": "BEE"})).expect("found");
        assert_eq!(
            found,
            "notes.txt:1: One bee\nnotes.txt:2: two Bees\nsub/deep/more.txt:1: a bee"
        );
        assert_eq!(
            ran(&root, Job::Search, json!({"text": "wasp"})).as_deref(),
            Ok("no line contains it")
        );
        assert_eq!(
            ran(&root, Job::Read, json!({"path": "picture"})),
            Err("`picture` is not UTF-8 text".to_owned())
        );
        assert_eq!(
            ran(&root, Job::Read, json!({"path": "sub"})),
            Err("`sub` is not a regular file".to_owned())
        );
        let written = ran(&root, Job::Write, json!({"path": "new/one.txt", "text": "Hi"}));
        assert_eq!(written.as_deref(), Ok("wrote 2 bytes"));
        assert_eq!(
            fs::read_to_string(place.path().join("inside/new/one.txt")).expect("there"),
            "Hi"
        );
        let file = place.path().join("inside/new/one.txt");
        let mode = std::os::unix::fs::PermissionsExt::from_mode;
        fs::set_permissions(&file, mode(0o640)).expect("it is ours");
        // Who reads the old file goes on reading it as it was.
        let mut old = fs::File::open(&file).expect("there");
        ran(&root, Job::Write, json!({"path": "new/one.txt", "text": "x"})).expect("replaced");
        assert_eq!(io::read_to_string(&mut old).expect("readable"), "Hi");
        assert_eq!(fs::read_to_string(&file).expect("there"), "x");
        let rights = fs::metadata(&file).expect("there").permissions();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&rights) & 0o777, 0o640);
        let found = ran(&root, Job::List, json!({"path": "new"}));
        assert_eq!(found.as_deref(), Ok("one.txt (1 bytes)"));
    }
}
