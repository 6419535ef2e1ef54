//! Tokens from every place.

use std::fs;
use std::net::Ipv4Addr;

use super::*;

fn refused(file: &Path) -> String {
    match kept(file) {
        Ok(_) => "it was taken".to_owned(),
        Err(failure) => failure.message,
    }
}

#[test]
fn the_first_start_makes_a_token_and_later_ones_find_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("agent-host/token");
    let (first, is_new) = kept(&file).ok().expect("a token");
    assert!(is_new);
    let random = first.reveal().strip_prefix("ah-").expect("the prefix");
    assert_eq!(random.len(), 43);
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    assert!(random.bytes().all(is_letter));
    let (second, is_new) = kept(&file).ok().expect("a token");
    assert!(second == first && !is_new);
    assert!(!write_new(&file, b"another").expect("a folder"));
    assert!(kept(&file).ok().expect("a token").0 == first);
    let left = fs::read_dir(file.parent().expect("a folder")).expect("a folder");
    assert_eq!(left.count(), 1);
}

#[cfg(unix)]
#[test]
fn a_link_or_a_readable_file_is_refused_as_token() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    kept(&file).ok().expect("a token");
    assert_eq!(
        fs::metadata(&file).expect("the file").permissions().mode() & 0o777,
        0o600
    );
    let shown = file.display();
    let is_refused = |why: &str| assert_eq!(refused(&file), format!("the token file `{shown}` {why}"));
    let set_mode = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("it is mine");

    set_mode(0o640);
    is_refused("cannot be used: other users may open it: its mode is 640, expected 600");
    set_mode(0o600);
    let elsewhere = folder.path().join("elsewhere");
    fs::rename(&file, &elsewhere).expect("it is mine");
    symlink(&elsewhere, &file).expect("a link");
    is_refused("cannot be used: it is a symbolic link, which is not followed");
    fs::remove_file(&elsewhere).expect("it is mine");
    is_refused("cannot be used: it is a symbolic link, which is not followed");
    assert!(!elsewhere.exists());
    fs::remove_file(&file).expect("it is mine");
    fs::create_dir(&file).expect("a folder");
    is_refused("cannot be used: expected a regular file, found a folder");
    fs::remove_dir(&file).expect("it is mine");
    fs::write(&file, " \n").expect("it is mine");
    set_mode(0o600);
    is_refused("contains no token");
}

#[test]
fn a_token_that_no_header_can_hold_is_refused() {
    for bad in ["", "  ", "a b", "a\u{e9}", "a\nb"] {
        assert!(given(bad, "`--token`", Ipv4Addr::LOCALHOST.into()).is_err(), "{bad:?}");
    }
    let token = given(" 0123456789abcdef\n", "`--token`", Ipv4Addr::LOCALHOST.into());
    let token = token.ok().expect("a token");
    assert_eq!(token.secret().map(Secret::reveal), Some("0123456789abcdef"));
}
