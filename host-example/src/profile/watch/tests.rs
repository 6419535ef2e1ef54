//! Edits as editors make them.

use super::*;

/// Longest wait for an event; a machine under load is slow.
const LIMIT: Duration = Duration::from_secs(60);

struct Bench {
    folder: tempfile::TempDir,
    changes: Receiver<()>,
    watch: Option<ProfileWatch>,
}

impl Bench {
    fn with_file(text: &str) -> Bench {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("agent.json"), text).expect("a file");
        Bench::watching(folder, "agent.json")
    }

    fn watching(folder: tempfile::TempDir, name: &str) -> Bench {
        let (sender, changes) = channel();
        let reported = move || sender.send(()).expect("the test waits for it");
        let watch = watch(&folder.path().join(name), reported).expect("the folder can be watched");
        Bench {
            folder,
            changes,
            watch: Some(watch),
        }
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).expect("a file");
    }

    /// Replaces the file in one step, so that nothing half-written can be seen.
    fn replace(&self, name: &str, text: &str) {
        self.write("replacement", text);
        self.rename("replacement", name);
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.folder.path().join(from), self.folder.path().join(to)).expect("a rename");
    }

    fn change(&self) {
        self.changes.recv_timeout(LIMIT).expect("the change is noticed");
    }

    /// Ends the watch; after it nothing more can come.
    fn ends_without_another(mut self) {
        self.watch = None;
        let another = self.changes.try_recv();
        assert!(another.is_err(), "a change was reported although there was none");
    }
}

#[test]
fn a_file_written_in_place_is_noticed() {
    let bench = Bench::with_file("{}");
    bench.write("agent.json", "{ }");
    bench.change();
    bench.write("agent.json", "{  }");
    bench.change();
}

#[test]
fn a_file_renamed_over_the_old_one_is_noticed() {
    let bench = Bench::with_file("{}");
    bench.rename("agent.json", "agent.json~");
    bench.write(".agent.json.swp", "{ }");
    bench.rename(".agent.json.swp", "agent.json");
    bench.change();
    bench.ends_without_another();
}

#[test]
fn a_deleted_file_and_its_return_are_noticed() {
    let bench = Bench::with_file("{}");
    fs::remove_file(bench.folder.path().join("agent.json")).expect("a file is removed");
    bench.change();
    bench.replace("agent.json", "{}");
    bench.change();
    bench.ends_without_another();
}

#[test]
fn a_file_that_was_missing_at_first_is_noticed() {
    let bench = Bench::watching(tempfile::tempdir().expect("a temporary folder"), "agent.json");
    bench.replace("agent.json", "{}");
    bench.change();
    bench.ends_without_another();
}

#[test]
fn the_same_text_and_other_files_are_no_change() {
    let bench = Bench::with_file("{}");
    bench.replace("agent.json", "{}");
    bench.write("other.json", "{ }");
    bench.replace("agent.json", "{ }");
    bench.change();
    bench.ends_without_another();
}

#[test]
fn a_file_that_becomes_unreadable_is_a_change_so_that_it_is_reported() {
    let bench = Bench::with_file("{}");
    bench.replace("agent.json", &" ".repeat(1024 * 1024 + 1));
    bench.change();
    bench.ends_without_another();
}

/// A folder in which each of these folders has a file `agent.json` with the folder's name.
#[cfg(unix)]
fn folders(names: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in names {
        fs::create_dir(folder.path().join(name)).expect("a folder");
        fs::write(folder.path().join(name).join("agent.json"), name).expect("a file");
    }
    folder
}

#[cfg(unix)]
impl Bench {
    /// Makes a link in one step, also over another one.
    fn link(&self, to: &str, name: &str) {
        std::os::unix::fs::symlink(to, self.folder.path().join("new")).expect("a link");
        self.rename("new", name);
    }
}

#[cfg(unix)]
#[test]
fn the_target_of_a_link_is_watched_also_after_the_link_moved() {
    let folder = folders(&["first", "second"]);
    std::os::unix::fs::symlink("first/agent.json", folder.path().join("agent.json")).expect("a link");
    let bench = Bench::watching(folder, "agent.json");
    for (round, target) in ["second", "first", "second"].into_iter().enumerate() {
        let file = format!("{target}/agent.json");
        bench.link(&file, "agent.json");
        bench.change();
        bench.replace(&file, &format!("{target} {round}"));
        bench.change();
        bench.write(&file, &format!("{target} {round} in place"));
        bench.change();
    }
    bench.ends_without_another();
}

#[cfg(unix)]
#[test]
fn a_link_in_the_middle_of_the_path_may_move_again_and_again() {
    let folder = folders(&["one", "two", "three"]);
    let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, folder.path().join(name)).expect("a link");
    link("one", "..data");
    link("..data", "current");
    let bench = Bench::watching(folder, "current/agent.json");
    for target in ["two", "three", "one"] {
        bench.link(target, "..data");
        bench.change();
    }
    bench.link("two", "current");
    bench.change();
    bench.ends_without_another();
}

#[cfg(unix)]
#[test]
fn a_folder_that_is_replaced_is_watched_again() {
    let bench = Bench::watching(folders(&["one", "two", "three"]), "one/agent.json");
    for next in ["two", "three"] {
        bench.rename("one", "old");
        bench.rename(next, "one");
        bench.change();
        fs::remove_dir_all(bench.folder.path().join("old")).expect("ours");
    }
    bench.write("one/agent.json", "{ }");
    bench.change();
}

/// As with a file that is mounted alone, no event reaches the folder of the path.
#[cfg(unix)]
#[test]
fn an_edit_through_another_name_of_the_file_is_noticed() {
    let bench = Bench::watching(folders(&["one", "two"]), "two/agent.json");
    let names = ["one/agent.json", "two/agent.json"].map(|name| bench.folder.path().join(name));
    fs::remove_file(&names[1]).expect("ours");
    fs::hard_link(&names[0], &names[1]).expect("a hard link");
    bench.change();
    for text in ["{ }", "{  }", "{   }"] {
        bench.write("one/agent.json", text);
        bench.change();
    }
}

#[test]
fn a_watch_of_a_folder_that_does_not_exist_is_an_error() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    assert!(watch(&folder.path().join("none/agent.json"), || {}).is_err());
}
