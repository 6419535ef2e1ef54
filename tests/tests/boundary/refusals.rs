//! Every file that is not a plugin for this host is refused in one line, and never ends the host.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use object::{Object, ObjectSection};
use plugin_api::loader::Image;
use plugin_api::{VERSION, loader};
use tests::{Child, LIMIT, PluginFolder, compiled, echo_plugin, hasty_source, run, rustc};

/// A refusal: its code, its reason and its hint.
type Words<'a> = (&'a str, &'a str, &'a str);

const NOT_A_PLUGIN_AT_ALL: &str = "get the plugin again from its author, or remove the file if it is not a plugin";
const NOT_A_LIBRARY: Words<'_> = ("not_a_library", "it is not a shared library", NOT_A_PLUGIN_AT_ALL);
const NOT_A_FILE: Words<'_> = ("not_a_file", "expected a regular file", NOT_A_PLUGIN_AT_ALL);
const COPY_AGAIN: &str = "copy it again; it may still have been incomplete";

/// Asserts that the file is refused in these words, and in one line.
#[track_caller]
fn assert_refused(file: &Path, (code, reason, hint): Words<'_>) {
    let refusal = loader::load(file).err().expect("it is refused");
    let name = file.file_name().expect("a file").to_string_lossy();
    assert_eq!(refusal.to_string(), format!("plugin `{name}` was refused: {reason}"));
    assert_eq!((refusal.code, refusal.hint.as_deref()), (code, Some(hint)));
    assert!(!format!("{refusal}{hint}").contains('\n'), "a refusal is one line");
    assert_eq!(refusal.file, file);
}

/// The same for the Echo plugin after `alter` changed its bytes.
#[track_caller]
fn assert_altered_refused(alter: impl FnOnce(&mut Vec<u8>), words: Words<'_>) {
    let mut bytes = bytes_of(&echo_plugin());
    alter(&mut bytes);
    assert_refused(&PluginFolder::new().write("libecho.so", &bytes), words);
}

#[test]
fn a_file_that_is_no_library_is_refused() {
    let folder = PluginFolder::new();
    assert_refused(&folder.write("libnotes.so", b"buy milk\n"), NOT_A_LIBRARY);
    assert_refused(&folder.write("libempty.so", b""), NOT_A_LIBRARY);
    let mach_o = [&[0xcf, 0xfa, 0xed, 0xfe][..], &[0; 60]].concat();
    let other_system = (
        "wrong_format",
        "expected a library in the format Elf64, found MachO64",
        "get the build of the plugin for this system",
    );
    assert_refused(&folder.write("libother.so", &mach_o), other_system);
}

#[test]
fn a_library_without_a_manifest_is_refused() {
    let folder = PluginFolder::new();
    let file = compiled(folder.path(), "nothing", "pub fn nothing() {}", &[]);
    let words = (
        "not_a_plugin",
        "it is a library, but not a plugin: it has no manifest",
        "the plugin's crate needs `plugin_api::export_plugin!(TheType);`",
    );
    assert_refused(&file, words);
}

#[test]
fn a_pipe_or_folder_is_refused_without_opening_it() {
    let folder = PluginFolder::new();
    // Opening a pipe would wait for a writer.
    let pipe = folder.path().join("libpipe.so");
    let mut mkfifo = Command::new("mkfifo");
    mkfifo.arg(&pipe);
    run(mkfifo, None, LIMIT).expect_success();
    assert_refused(&pipe, NOT_A_FILE);
    let inner = folder.path().join("libfolder.so");
    fs::create_dir(&inner).expect("the folder is writable");
    assert_refused(&inner, NOT_A_FILE);
}

#[test]
fn a_dangling_link_is_found_and_refused() {
    let folder = PluginFolder::new();
    let link = folder.path().join("liblink.so");
    symlink(folder.path().join("nowhere"), &link).expect("the folder is writable");
    let found = loader::scan(folder.path()).expect("the folder is readable");
    assert_eq!(found, std::slice::from_ref(&link));
    let words = (
        "unreadable",
        "it cannot be read: No such file or directory (os error 2)",
        "make the file readable for the host",
    );
    assert_refused(&link, words);
}

#[test]
fn a_link_stays_in_its_folder_or_is_refused() {
    let (folder, elsewhere) = (PluginFolder::new(), PluginFolder::with(&[echo_plugin()]));
    let inner = folder.path().join("..2026");
    fs::create_dir(&inner).expect("the folder is writable");
    fs::copy(echo_plugin(), inner.join("echo")).expect("the folder is writable");
    let link = folder.path().join("libecho.so");
    symlink("..2026/echo", &link).expect("the folder is writable");
    let image = Image::read(&link).expect("it stays in its folder");
    assert_eq!(image.warnings(), ["it is a link to `..2026/echo`"]);

    let target = elsewhere.path().join("libecho.so");
    let link = folder.path().join("libother.so");
    symlink(&target, &link).expect("the folder is writable");
    let target = target.canonicalize().expect("it is there");
    let words = (
        "link",
        &*format!("it is a link that leaves its folder, to `{}`", target.display()),
        "install the file that it points to: the copy then changes only when you want it to",
    );
    assert_refused(&link, words);
}

#[test]
fn what_every_user_may_change_is_refused() {
    let folder = PluginFolder::new();
    let file = folder.copy(&echo_plugin());
    let set = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is ours");
    for (path, mode, what) in [
        (file.as_path(), 0o757, "the file"),
        (folder.path(), 0o707, "its folder"),
    ] {
        set(path, mode);
        let reason = format!("every user may change {what}: its mode is {mode:o}");
        assert_refused(&file, ("writable", &reason, "take the right away: chmod o-w"));
        set(path, 0o770);
        let warning = format!("its group may change {what}: chmod g-w");
        let image = Image::read(&file).expect("nobody else may change it");
        assert!(image.warnings().contains(&warning), "{:?}", image.warnings());
    }
}

#[test]
fn a_plugin_for_another_machine_is_refused() {
    // 183 is AArch64, 243 is RISC-V.
    let (number, theirs, ours): (u16, _, _) = match cfg!(target_arch = "aarch64") {
        true => (243, "RISCV", "AARCH64"),
        false => (183, "AARCH64", "X86_64"),
    };
    let reason = format!("built for {theirs}, this host runs on {ours}");
    assert_altered_refused(
        // Offset 18 of an ELF header is the machine.
        |bytes| bytes[18..20].copy_from_slice(&number.to_le_bytes()),
        ("wrong_machine", &reason, "get the build of the plugin for this machine"),
    );
}

#[test]
fn a_plugin_of_another_major_version_is_refused() {
    let ours = our_major();
    for (theirs, hint) in [
        (
            other_major(1),
            format!("use a newer host, or a build of the plugin for plugin-api {ours}"),
        ),
        (other_major(-1), format!("rebuild the plugin with plugin-api {ours}")),
    ] {
        let reason = format!("built for plugin-api {theirs}, this host speaks {VERSION}");
        assert_altered_refused(|bytes| set_version(bytes, &theirs), ("version", &reason, &hint));
    }
}

#[test]
fn a_manifest_altered_in_the_file_is_refused() {
    assert_altered_refused(
        |bytes| {
            let at = manifest_in(bytes);
            let name = bytes[at..].windows(6).position(|window| window == b"\"Echo\"");
            let name = at + name.expect("the manifest has the name");
            bytes[name..name + 6].copy_from_slice(b"\"Ecco\"");
        },
        (
            "manifest",
            "its code reports a different manifest than its file",
            "get the plugin again from its author: the file was modified or mixed from two builds",
        ),
    );
}

#[test]
fn an_unreadable_manifest_is_refused() {
    let mut bytes = bytes_of(&echo_plugin());
    let at = manifest_in(&bytes);
    bytes[at] = b'[';
    let folder = PluginFolder::new();
    let refusal = loader::load(&folder.write("libecho.so", &bytes))
        .err()
        .expect("it is refused");
    let text = refusal.to_string();
    let start = "plugin `libecho.so` was refused: its manifest cannot be parsed: ";
    assert!(text.starts_with(start), "{text}");
    assert_eq!((refusal.code, text.lines().count()), ("manifest", 1));
}

#[test]
fn a_plugin_cut_off_anywhere_is_refused_and_ends_nothing() {
    // In a process of its own, because the failure would be a crash.
    Child::new().run(|| {
        let folder = PluginFolder::new();
        let file = folder.copy(&echo_plugin());
        let whole = bytes_of(&file).len();
        let coarse = (0..whole).step_by(64 << 10);
        let mut lengths: Vec<usize> = coarse.chain(0..128).chain(whole - 64..whole).collect();
        lengths.sort_unstable();
        // From the longest to the shortest, so that the one file only has to be cut again.
        for length in lengths.into_iter().rev() {
            let cut = File::options().write(true).open(&file).expect("the folder is writable");
            cut.set_len(length as u64).expect("the folder is writable");
            let refusal = loader::load(&file)
                .err()
                .unwrap_or_else(|| panic!("{length} bytes were loaded"));
            let code = refusal.code;
            assert!(
                ["not_a_library", "damaged"].contains(&code),
                "{length} bytes: {refusal}"
            );
            assert_eq!(refusal.to_string().lines().count(), 1);
        }
    });
}

#[test]
fn half_a_plugin_is_refused() {
    let reason = "it is truncated or damaged: its headers promise more than the file holds";
    assert_altered_refused(|bytes| bytes.truncate(bytes.len() / 2), ("damaged", reason, COPY_AGAIN));
}

#[test]
fn headers_that_promise_more_than_the_file_holds_are_refused() {
    assert_altered_refused(
        |bytes| {
            // Offset 32 of an ELF header is where the program headers begin, 56 how many there are; each has 56 bytes.
            // In a program header, type 1 is a segment that is mapped, and offset 32 is its size in the file.
            let number = |at: usize| usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
            let mut headers = (0..number(56)).map(|n| number(32) + 56 * n);
            let last = headers.rfind(|at| number(*at) == 1).expect("a segment is mapped");
            let length = bytes.len() as u64;
            bytes[last + 32..last + 40].copy_from_slice(&length.to_le_bytes());
        },
        (
            "damaged",
            "it is truncated or damaged: a segment lies outside the file",
            COPY_AGAIN,
        ),
    );
}

#[test]
fn a_refused_plugin_does_not_run_its_constructors() {
    let source = hasty_source(
        "echo",
        "let _ = std::fs::write(env!(\"MARK\"), \"the constructor ran\");",
    );
    let folder = PluginFolder::new();
    let mark = folder.path().join("mark");
    let plugin = compiled(folder.path(), "hasty", &source, &[("MARK", &mark)]);

    let mut bytes = bytes_of(&plugin);
    set_version(&mut bytes, &other_major(1));
    let refused = folder.write("librefused.so", &bytes);
    loader::load(&refused).err().expect("its version does not fit");
    assert!(!mark.exists(), "the constructor of a refused plugin ran");
    // The proof that the constructor works.
    loader::load(&plugin).expect("it fits");
    assert!(mark.exists());
}

#[test]
fn a_plugin_that_aborts_on_panic_does_not_compile() {
    let folder = PluginFolder::new();
    let with_panic = |strategy: &str| {
        let mut command = rustc();
        let echo = ["--crate-type=cdylib", "--emit=metadata", "plugin-api/examples/echo.rs"];
        command.args(echo).arg(format!("-Cpanic={strategy}"));
        command.arg("--out-dir").arg(folder.path());
        run(command, None, LIMIT)
    };
    let refused = with_panic("abort");
    assert_ne!(refused.code, Some(0));
    let expected = "error: a plugin cannot be built with `panic = \"abort\"`: a panic in it would end the host. \
                    Remove `panic = \"abort\"` from the profile in Cargo.toml.";
    assert!(refused.stderr.contains(expected), "{}", refused.stderr);
    with_panic("unwind").expect_success();
}

fn bytes_of(file: &Path) -> Vec<u8> {
    fs::read(file).expect("the file is there")
}

fn our_major() -> i64 {
    let major = VERSION.split('.').next().and_then(|major| major.parse().ok());
    major.expect("a version begins with a number")
}

/// A version as long as ours, with another major number.
fn other_major(more: i64) -> String {
    let other = VERSION.replacen(&our_major().to_string(), &(our_major() + more).to_string(), 1);
    assert_eq!(other.len(), VERSION.len(), "a patch in place needs the same length");
    other
}

/// Lets the manifest of a plugin claim another version of plugin-api.
fn set_version(bytes: &mut [u8], version: &str) {
    let at = manifest_in(bytes) + "{\"plugin_api\":\"".len();
    bytes[at..at + version.len()].copy_from_slice(version.as_bytes());
}

/// Where the sealed manifest begins: in its section, because the code contains its parts once more.
fn manifest_in(bytes: &[u8]) -> usize {
    let library = object::File::parse(bytes).expect("a plugin is a library");
    let section = library.section_by_name(".plugin_manifest");
    let (offset, _) = section
        .and_then(|section| section.file_range())
        .expect("a plugin's file has a manifest");
    usize::try_from(offset).expect("it was read into memory")
}
