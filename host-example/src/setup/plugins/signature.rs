//! Signatures of minisign beside plugins: whose they are, and whether they match.
//!
//! A key that comes with a file proves nothing, so the user names the author's key once, and the lock file keeps it.
//! From then on other bytes of this plugin are recorded only if they are signed with it. Signatures are checked when
//! bytes are recorded; afterwards their SHA-256 is enough.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minisign_verify::{PublicKey, Signature as Parsed};
use plugin_api::loader::{Image, Refusal};
use serde::{Deserialize, Serialize};

use super::lock::Lock;
use crate::files::{ReadError, read_named};
use crate::terminal::Failure;

/// The largest key or signature that is read, in bytes.
const MAX_BYTES: u64 = 4 << 10;

/// Where a key's number is in its bytes, and in those of a signature: behind the name of the algorithm.
const NUMBER: std::ops::Range<usize> = 2..10;

/// A public key, as `minisign -G` prints it: `RW` and 54 more characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(String);

impl TryFrom<String> for Key {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match PublicKey::from_base64(&text) {
            Ok(_) => Ok(Self(text)),
            Err(_) => Err("expected a public key of minisign"),
        }
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.0
    }
}

impl Key {
    /// - In: a key, or the path of the file with it, such as `minisign.pub`.
    pub fn named(text: &str) -> Result<Self, Failure> {
        if let Ok(key) = Self::try_from(text.to_owned()) {
            return Ok(key);
        }
        let found = match read_named(Path::new(text), MAX_BYTES) {
            Ok(bytes) => {
                let lines = String::from_utf8_lossy(&bytes).into_owned();
                let key = lines.lines().nth(1).map(|line| Self::try_from(line.trim().to_owned()));
                if let Some(Ok(key)) = key {
                    return Ok(key);
                }
                "a file without one".to_owned()
            }
            Err(ReadError::Missing) => "neither".to_owned(),
            Err(ReadError::Refused(cause)) => cause,
        };
        // Not repeated: it might be the secret half.
        let message =
            format!("`--key`: expected a public key of minisign, or the path of a file with one, found {found}");
        Err(Failure::usage(message).with_hint("give the key that the plugin's author publishes: `--key RW…`"))
    }

    /// The number by which people know it, as minisign prints it.
    pub fn number(&self) -> String {
        number_in(&self.0).unwrap_or_default()
    }
}

/// The number in the bytes of a key or a signature.
fn number_in(base64: &str) -> Option<String> {
    let bytes = STANDARD.decode(base64).ok()?;
    let number = bytes.get(NUMBER)?.iter().rev();
    Some(number.map(|byte| format!("{byte:02X}")).collect())
}

/// What is in `FILE.minisig` beside a file.
pub struct Signature {
    pub text: String,
    parsed: Parsed,
    /// The number of the key.
    number: String,
}

impl Signature {
    /// - Errors: there is something else than a signature.
    pub fn beside(file: &Path) -> Result<Option<Self>, Refusal> {
        let path = signature_beside(file);
        let refuse = |reason: &str| {
            let shown = path.display();
            Refusal::new(file, "signature", format!("`{shown}`: {reason}")).with_hint(AGAIN)
        };
        let text = match read_named(&path, MAX_BYTES) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(ReadError::Missing) => return Ok(None),
            Err(ReadError::Refused(cause)) => return Err(refuse(&cause)),
        };
        let parsed = Parsed::decode(&text).ok();
        let number = text.lines().nth(1).and_then(number_in);
        match parsed.zip(number) {
            Some((parsed, number)) => Ok(Some(Self { text, parsed, number })),
            None => Err(refuse("expected a signature of minisign")),
        }
    }
}

const AGAIN: &str = "get the plugin and its signature again from its author";

/// Where the signature of a file is.
pub fn signature_beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".minisig");
    name.into()
}

/// Who signed the bytes of a plugin, before they are recorded.
///
/// - In: `given`, the key that the user names.
/// - Out: the key that the signature was checked with. None if there is no signature, or only one by an unknown key.
/// - Errors: another key is expected, or some key and there is no signature; it is not a signature of these bytes.
pub fn signer(file: &Path, image: &Image, lock: &Lock, given: Option<&Key>) -> Result<Option<Key>, Refusal> {
    let id = &image.manifest().id;
    if let (None, Some(key)) = (given, lock.signer_of(id, image.sha256())) {
        return Ok(Some(key.clone()));
    }
    let recorded = lock.record_of(id).and_then(|record| record.signer.as_ref());
    let wanted = given.or(recorded);
    let Some(signature) = Signature::beside(file)? else {
        return wanted.map_or(Ok(None), |key| Err(unsigned(file, id, key)));
    };
    let number = &signature.number;
    let Some(key) = wanted.or_else(|| lock.signers().find(|key| key.number() == *number)) else {
        return Ok(None);
    };
    let refuse = |code, reason: String, hint: &str| Err(Refusal::new(file, code, reason).with_hint(hint));
    if key.number() != *number {
        let expected = key.number();
        return refuse(
            "signer",
            format!("expected a signature by the key {expected}, found one by {number}"),
            "get the plugin again from its author; if the author has a new key, name it: `--key KEY`",
        );
    }
    let public = PublicKey::from_base64(&key.0);
    // Old signatures are as good: the whole file is in memory anyway.
    if public
        .and_then(|public| public.verify(image.bytes(), &signature.parsed, true))
        .is_err()
    {
        let reason = format!("its signature by the key {number} is not one of these bytes");
        return refuse("signature", reason, AGAIN);
    }
    Ok(Some(key.clone()))
}

/// Why the signature beside a plugin says nothing about its bytes, if there is one.
pub fn unchecked(file: &Path, id: &str, sha256: &str, lock: &Lock) -> Option<String> {
    if lock.signer_of(id, sha256).is_some() {
        return None;
    }
    let number = match Signature::beside(file) {
        Ok(signature) => signature?.number,
        Err(refusal) => return Some(refusal.reason),
    };
    let is_known = lock.signers().any(|key| key.number() == number);
    let with_key = match (is_known, lock.records(id, sha256)) {
        // It is checked when they are recorded.
        (true, false) => return None,
        (true, true) => "",
        (false, _) => " --key KEY, with the key that its author publishes",
    };
    Some(format!(
        "its signature by the key {number} was not checked: agent-host plugins accept {id}{with_key}"
    ))
}

fn unsigned(file: &Path, id: &str, key: &Key) -> Refusal {
    let (number, beside) = (key.number(), signature_beside(file));
    let reason = format!(
        "expected a signature by the key {number} in `{}`, found none",
        beside.display()
    );
    Refusal::new(file, "unsigned", reason).with_hint(format!(
        "put the author's signature there; or forget the key, and install it once more: agent-host plugins remove {id}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made with minisign 0.10; the secret key is gone.
    const KEY: &str = "RWSBuhxrrBHoLYoNpdT/x9ntGA5xdJcfVKq+nJ8NmDZGeqi2DQu5aoRO";
    const SIGNATURE: &str = "untrusted comment: signature from a key that was thrown away
RUSBuhxrrBHoLUaNTVKLYG9xXarofOnVKy0OAmfCkXps04DTwGdnAuUz8/p6T0KHUGk/Nuhp4mqGRfNJYLNc0CclvwIqe/JJYws=
trusted comment: a test
biujHiXksxuwvG4kjfxTTL/X8cod/8Ho+sTjGrxwxVISzjS2cQRG8GVtkmREG5yFmj8CDtC9kcvpfsTc0/iHAQ==
";

    fn key(text: &str) -> Key {
        Key::named(text).unwrap_or_else(|failure| panic!("{failure}"))
    }

    #[test]
    fn a_signature_of_minisign_names_its_key_and_fits_its_bytes_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("libplugin.so");
        std::fs::write(signature_beside(&file), SIGNATURE).expect("writable");
        let signature = Signature::beside(&file).expect("readable").expect("there is one");
        let key = key(KEY);
        assert_eq!(
            (signature.number.as_str(), key.number().as_str()),
            ("2DE811AC6B1CBA81", "2DE811AC6B1CBA81")
        );
        let public = PublicKey::from_base64(&key.0).expect("a key");
        let is_of = |bytes: &[u8]| public.verify(bytes, &signature.parsed, true).is_ok();
        assert_eq!(
            [&b"the bytes of a plugin"[..], b"other bytes"].map(is_of),
            [true, false]
        );
    }

    #[test]
    fn a_key_is_given_itself_or_in_a_file_and_nothing_else_is_repeated() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("minisign.pub");
        let path = file.to_str().expect("text");
        std::fs::write(&file, format!("untrusted comment: public key\n{KEY}\n")).expect("writable");
        assert_eq!(key(path), key(KEY));
        std::fs::write(&file, "untrusted comment: secret\nRWRTY0Iy").expect("writable");
        for (given, found) in [(path, "a file without one"), ("RWRTY0Iy", "neither")] {
            let failure = Key::named(given).expect_err("it is no key");
            assert!(
                failure.message.ends_with(&format!("found {found}")),
                "{}",
                failure.message
            );
        }
    }
}
