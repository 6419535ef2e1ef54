//! Every file that is not a plugin for this host is refused in one line, and never ends the host.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use object::{Object, ObjectSection};
use plugin_api::{VERSION, loader};
use tests::{LIMIT, PluginFolder, echo_plugin, in_a_process_of_its_own, run, rustc, second_plugin, workspace};

/// Asserts that the file is refused in these words, and in one line.
#[track_caller]
fn assert_refused(file: &Path, code: &str, reason: &str, hint: &str) {
    let refusal = loader::load(file).err().expect("it is refused");
    let name = file.file_name().expect("a file").to_string_lossy();
    assert_eq!(refusal.to_string(), format!("plugin `{name}` was refused: {reason}"));
    assert_eq!((refusal.code, refusal.hint.as_deref()), (code, Some(hint)));
    assert!(!format!("{refusal}{hint}").contains('\n'), "a refusal is one line");
    assert_eq!(refusal.file, file);
}

const NOT_A_LIBRARY: &str =
    "get the plugin again from its author; a file that is no plugin does not belong into the folder";

#[test]
fn a_text_is_refused() {
    let folder = PluginFolder::new();
    let file = folder.write("libnotes.so", b"buy milk\n");
    assert_refused(&file, "not_a_library", "it is not a shared library", NOT_A_LIBRARY);
}

#[test]
fn an_empty_file_is_refused() {
    let folder = PluginFolder::new();
    let file = folder.write("libempty.so", b"");
    assert_refused(&file, "not_a_library", "it is not a shared library", NOT_A_LIBRARY);
}

#[test]
fn a_library_of_another_system_is_refused() {
    let folder = PluginFolder::new();
    let file = folder.write("libother.so", &[&[0xcf, 0xfa, 0xed, 0xfe][..], &[0; 60]].concat());
    assert_refused(
        &file,
        "wrong_format",
        "expected a library in the format Elf64, found MachO64",
        "get the build of the plugin for this system",
    );
}

#[test]
fn a_library_that_is_no_plugin_is_refused() {
    let folder = PluginFolder::new();
    let file = compiled(&folder, "nothing", "pub fn nothing() {}", &[]);
    assert_refused(
        &file,
        "not_a_plugin",
        "it is a library, but not a plugin: it has no manifest",
        "the plugin's crate needs `plugin_api::export_plugin!(TheType);`",
    );
}

#[test]
fn a_pipe_is_refused_without_waiting_for_a_writer() {
    let folder = PluginFolder::new();
    let pipe = folder.path().join("libpipe.so");
    let mut mkfifo = Command::new("mkfifo");
    mkfifo.arg(&pipe);
    run(mkfifo, None, LIMIT).expect_success();
    assert_refused(&pipe, "not_a_file", "expected a regular file", NOT_A_LIBRARY);
}

#[test]
fn a_folder_named_like_a_library_is_refused() {
    let folder = PluginFolder::new();
    let inner = folder.path().join("libfolder.so");
    fs::create_dir(&inner).expect("the folder is writable");
    assert_refused(&inner, "not_a_file", "expected a regular file", NOT_A_LIBRARY);
}

#[test]
fn a_link_to_nowhere_is_refused() {
    let folder = PluginFolder::new();
    let link = folder.path().join("liblink.so");
    symlink(folder.path().join("nowhere"), &link).expect("the folder is writable");
    assert_eq!(
        loader::scan(folder.path()).expect("the folder is readable"),
        std::slice::from_ref(&link)
    );
    assert_refused(
        &link,
        "unreadable",
        "it cannot be read: No such file or directory (os error 2)",
        "the host needs to be able to read the file",
    );
}

#[test]
fn a_plugin_for_another_machine_is_refused() {
    let folder = PluginFolder::new();
    let mut bytes = bytes_of(&echo_plugin());
    // Offset 18 of an ELF header is the machine; 183 is AArch64, 243 is RISC-V.
    let (number, name) = if cfg!(target_arch = "aarch64") {
        (243, "Riscv64")
    } else {
        (183, "Aarch64")
    };
    bytes[18..20].copy_from_slice(&u16::to_le_bytes(number));
    let ours = if cfg!(target_arch = "aarch64") {
        "Aarch64"
    } else {
        "X86_64"
    };
    assert_refused(
        &folder.write("libecho.so", &bytes),
        "wrong_machine",
        &format!("built for {name}, this host runs on {ours}"),
        "get the build of the plugin for this machine",
    );
}

#[test]
fn a_plugin_of_a_later_major_version_is_refused() {
    let folder = PluginFolder::new();
    let theirs = other_major(1);
    let file = folder.write("libecho.so", &with_version(&echo_plugin(), &theirs));
    assert_refused(
        &file,
        "version",
        &format!("built for plugin-api {theirs}, this host speaks {VERSION}"),
        &format!(
            "use a newer host, or a build of the plugin for plugin-api {}",
            our_major()
        ),
    );
}

#[test]
fn a_plugin_of_an_earlier_major_version_is_refused() {
    let folder = PluginFolder::new();
    let theirs = other_major(-1);
    let file = folder.write("libecho.so", &with_version(&echo_plugin(), &theirs));
    assert_refused(
        &file,
        "version",
        &format!("built for plugin-api {theirs}, this host speaks {VERSION}"),
        &format!("rebuild the plugin with plugin-api {}", our_major()),
    );
}

#[test]
fn a_plugin_whose_manifest_was_altered_in_the_file_is_refused() {
    let folder = PluginFolder::new();
    let mut bytes = bytes_of(&echo_plugin());
    let at = manifest_in(&bytes);
    let name = find(&bytes[at..], b"\"Echo\"").expect("the manifest has the name") + at;
    bytes[name..name + 6].copy_from_slice(b"\"Ecco\"");
    assert_refused(
        &folder.write("libecho.so", &bytes),
        "manifest",
        "its code tells another manifest than its file does",
        "get the plugin again from its author: the file was altered, or two files were mixed up",
    );
}

#[test]
fn a_plugin_whose_manifest_is_not_readable_is_refused() {
    let folder = PluginFolder::new();
    let mut bytes = bytes_of(&echo_plugin());
    let at = manifest_in(&bytes);
    bytes[at] = b'[';
    let refusal = loader::load(&folder.write("libecho.so", &bytes))
        .err()
        .expect("it is refused");
    let text = refusal.to_string();
    assert!(
        text.starts_with("plugin `libecho.so` was refused: its manifest is not readable: "),
        "{text}"
    );
    assert_eq!((refusal.code, text.lines().count()), ("manifest", 1));
}

#[test]
fn a_plugin_that_was_cut_off_anywhere_is_refused_and_ends_nothing() {
    // In a process of its own, because the failure would be a crash.
    in_a_process_of_its_own(
        "refusals::a_plugin_that_was_cut_off_anywhere_is_refused_and_ends_nothing",
        || {
            for plugin in [echo_plugin(), second_plugin()] {
                let bytes = bytes_of(&plugin);
                let folder = PluginFolder::new();
                let coarse = (0..bytes.len()).step_by(64 << 10);
                let fine = (bytes.len() - 64)..bytes.len();
                for length in coarse.chain(0..128).chain(fine) {
                    // A new file each time: one that was loaded must not change.
                    let file = folder.write(&format!("lib{length}.so"), &bytes[..length]);
                    let refusal = loader::load(&file)
                        .err()
                        .unwrap_or_else(|| panic!("{length} bytes were loaded"));
                    assert!(
                        ["not_a_library", "damaged"].contains(&refusal.code),
                        "{length} bytes: {refusal}"
                    );
                    assert_eq!(refusal.to_string().lines().count(), 1);
                    fs::remove_file(file).expect("the folder is writable");
                }
            }
        },
    );
}

#[test]
fn half_a_plugin_is_refused() {
    let folder = PluginFolder::new();
    let bytes = bytes_of(&echo_plugin());
    assert_refused(
        &folder.write("libecho.so", &bytes[..bytes.len() / 2]),
        "damaged",
        "it is not whole: parts that its headers promise are missing",
        "copy it again; was it still being written?",
    );
}

#[test]
fn a_plugin_whose_headers_promise_more_than_the_file_holds_is_refused() {
    let folder = PluginFolder::new();
    let mut bytes = bytes_of(&echo_plugin());
    let length = bytes.len() as u64;
    // The program headers of an ELF file stand from the offset at 32 on, as many as 56 says, each of 56 bytes; type 1 is
    // a segment that is mapped, and its size in the file is at 32.
    let number = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    let first = usize::from(number(32));
    let mut mapped = (0..usize::from(number(56))).map(|n| first + 56 * n);
    let last = mapped.rfind(|at| number(*at) == 1).expect("a segment is mapped");
    bytes[last + 32..last + 40].copy_from_slice(&length.to_le_bytes());
    assert_refused(
        &folder.write("libecho.so", &bytes),
        "damaged",
        "it is not whole: parts that its headers promise are missing",
        "copy it again; was it still being written?",
    );
}

#[test]
fn a_refused_plugin_does_not_run_its_constructors() {
    let source = fs::read_to_string(workspace().join("plugin-api/examples/echo.rs")).expect("the example is there")
        + r#"
#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = constructor;

extern "C" fn constructor() {
    let _ = std::fs::write(env!("MARK"), "the constructor ran");
}
"#;
    let folder = PluginFolder::new();
    let mark = folder.path().join("mark");
    let plugin = compiled(&folder, "hasty", &source, &[("MARK", &mark)]);

    let refused = folder.write("librefused.so", &with_version(&plugin, &other_major(1)));
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
        command
            .args([
                "--crate-type=cdylib",
                "--crate-name=echo",
                "--emit=metadata",
                "plugin-api/examples/echo.rs",
            ])
            .arg(format!("-Cpanic={strategy}"))
            .arg("--out-dir")
            .arg(folder.path());
        run(command, None, LIMIT)
    };
    let refused = with_panic("abort");
    assert_ne!(refused.code, Some(0));
    let expected = "error: a plugin cannot be built with `panic = \"abort\"`: a panic in it would end the host. \
                    Remove `panic = \"abort\"` from the profile in Cargo.toml.";
    assert!(refused.stderr.contains(expected), "{}", refused.stderr);
    with_panic("unwind").expect_success();
}

/// Compiles a library from one text.
fn compiled(folder: &PluginFolder, name: &str, source: &str, environment: &[(&str, &Path)]) -> PathBuf {
    let text = folder.write(&format!("{name}.rs"), source.as_bytes());
    let library = folder.path().join(format!("lib{name}.so"));
    let mut command = rustc();
    command
        .args(["--crate-type=cdylib", "--crate-name", name, "-o"])
        .arg(&library)
        .arg(text);
    command.envs(environment.iter().copied());
    run(command, None, LIMIT).expect_success();
    library
}

fn bytes_of(plugin: &Path) -> Vec<u8> {
    fs::read(plugin).expect("the plugin was built")
}

fn our_major() -> i64 {
    VERSION
        .split('.')
        .next()
        .and_then(|major| major.parse().ok())
        .expect("a version begins with a number")
}

/// A version as long as ours, with another major number.
fn other_major(more: i64) -> String {
    let other = VERSION.replacen(&our_major().to_string(), &(our_major() + more).to_string(), 1);
    assert_eq!(other.len(), VERSION.len(), "a patch in place needs the same length");
    other
}

/// The bytes of a plugin whose manifest says that it was built with another version of plugin-api.
fn with_version(plugin: &Path, version: &str) -> Vec<u8> {
    let mut bytes = bytes_of(plugin);
    let at = manifest_in(&bytes) + "{\"plugin_api\":\"".len();
    bytes[at..at + version.len()].copy_from_slice(version.as_bytes());
    bytes
}

/// Where the sealed manifest begins: in its section, because the code has its parts a second time.
fn manifest_in(bytes: &[u8]) -> usize {
    let library = object::File::parse(bytes).expect("a plugin is a library");
    let section = library
        .section_by_name(".plugin_manifest")
        .expect("a plugin has a manifest");
    let (offset, _) = section.file_range().expect("it stands in the file");
    usize::try_from(offset).expect("it was read into memory")
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
