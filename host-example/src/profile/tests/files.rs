//! Real files: those that are profiles and those that cannot be.

use std::fs;

use super::super::*;

#[test]
fn a_file_that_cannot_be_a_profile_is_refused_without_waiting() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name);
    let message = |name: &str| read(&path(name)).expect_err("it is refused").to_string();
    assert!(matches!(read(&path("none")), Err(LoadError::NotFound { .. })));
    fs::create_dir(path("folder")).expect("a folder");
    assert!(message("folder").ends_with(": expected a regular file, found a folder"));
    fs::write(path("large"), vec![b' '; 1024 * 1024 + 1]).expect("a file");
    assert!(message("large").ends_with(": expected at most 1048576 bytes, found 1048577"));
    fs::write(path("latin1"), b"{ \"a\": \"\xfc\" }").expect("a file");
    let not_utf_8 = ": expected UTF-8, found an invalid byte at offset 8\nhint: save the file as UTF-8";
    assert!(message("latin1").contains(not_utf_8));
}

#[cfg(unix)]
#[test]
fn a_link_is_followed_and_a_pipe_or_device_is_refused() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name);
    let message = |name: &str| read(&path(name)).expect_err("it is refused").to_string();
    fs::write(path("target"), "{}").expect("a file");
    symlink("target", path("link")).expect("a link");
    assert_eq!(read(&path("link")).expect("a link to a file is fine"), "{}");
    symlink("nowhere", path("dangling")).expect("a link");
    assert!(matches!(read(&path("dangling")), Err(LoadError::NotFound { .. })));
    symlink("loop", path("loop")).expect("a link");
    assert!(message("loop").contains(": cannot read the file: "));
    symlink("/dev/zero", path("device")).expect("a link");
    assert!(message("device").ends_with(": expected a regular file, found a device"));
    let made = std::process::Command::new("mkfifo").arg(path("pipe")).status();
    assert!(
        made.is_ok_and(|status| status.success()),
        "expected `mkfifo`; install GNU coreutils"
    );
    assert!(message("pipe").ends_with(": expected a regular file, found a named pipe"));
}
