//! Signatures beside plugins: whose they must be, and what happens when they are not.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use blake2::{Blake2b512, Digest};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use tests::{Home, LOCK_FILE, Ran, echo_plugin, second_plugin};

use crate::{assert_fails, assert_has, json_of};

const LIBRARY: &str = "libecho.so";

/// An author's key pair.
struct Author {
    pair: Ed25519KeyPair,
    number: [u8; 8],
}

impl Author {
    fn new(number: u8) -> Self {
        let secret = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("there is chance");
        Self {
            pair: Ed25519KeyPair::from_pkcs8(secret.as_ref()).expect("a key pair"),
            number: [number; 8],
        }
    }

    /// As `minisign -G` prints it.
    fn key(&self) -> String {
        STANDARD.encode([b"Ed", &self.number[..], self.pair.public_key().as_ref()].concat())
    }

    /// Writes what `minisign -S` writes beside a file.
    fn sign(&self, file: &Path) {
        // Source: https://jedisct1.github.io/minisign/, "Signature format".
        let bytes = fs::read(file).expect("it is there");
        let signature = self.pair.sign(&Blake2b512::digest(bytes));
        let comment = "timestamp:0";
        let both = self.pair.sign(&[signature.as_ref(), comment.as_bytes()].concat());
        let first = STANDARD.encode([b"ED", &self.number[..], signature.as_ref()].concat());
        let second = STANDARD.encode(both);
        let text = format!("untrusted comment: a test\n{first}\ntrusted comment: {comment}\n{second}\n");
        fs::write(beside(file), text).expect("writable");
    }
}

fn beside(file: &Path) -> PathBuf {
    file.with_extension("so.minisig")
}

/// A home, and a plugin outside of it, as its author hands it out.
struct Bench {
    home: Home,
    file: PathBuf,
    author: Author,
}

impl Bench {
    fn new() -> Self {
        let home = Home::new();
        let file = home.path().join(LIBRARY);
        fs::copy(echo_plugin(), &file).expect("writable");
        let author = Author::new(1);
        author.sign(&file);
        Self { home, file, author }
    }

    fn plugins(&self, arguments: &[&str]) -> Ran {
        self.home.host(&[&["plugins"], arguments].concat()).run()
    }

    fn install(&self, arguments: &[&str]) -> Ran {
        let file = self.file.to_str().expect("text");
        self.plugins(&[&["install", file], arguments].concat())
    }

    /// What is known of the plugin.
    fn info(&self) -> Value {
        json_of(&self.plugins(&["info", "echo", "--json"]).expect_success())
    }

    /// Replaces the installed bytes by others that work as well.
    fn change(&self) -> PathBuf {
        let installed = self.home.plugins().join(LIBRARY);
        let bytes = fs::read(&installed).expect("it is installed");
        fs::write(&installed, [&bytes[..], b"changed"].concat()).expect("writable");
        installed
    }
}

#[test]
fn other_bytes_of_a_plugin_must_be_signed_with_the_key_that_is_recorded() {
    let bench = Bench::new();
    let (key, other) = (bench.author.key(), Author::new(2));
    let installed = bench.install(&["--key", &key]).expect_success();
    assert_has(
        &installed.stdout,
        "signed with the key 0101010101010101, as later builds must be\n",
    );
    assert_eq!(bench.info()["signer"], json!(key));
    let shown = bench.plugins(&["info", "echo"]).expect_success().stdout;
    assert_has(&shown, &format!("{key} (0101010101010101)"));
    let listed = bench.plugins(&["list"]).expect_success().stdout;
    assert_has(&listed, "signed with the key 0101010101010101");

    let file = bench.change();
    let accept = || bench.plugins(&["accept", "echo"]);
    assert_fails(
        &accept(),
        9,
        "its signature by the key 0101010101010101 is not one of these bytes",
    );
    other.sign(&file);
    let foreign = accept();
    assert_fails(
        &foreign,
        9,
        "expected a signature by the key 0101010101010101, found one by 0202020202020202",
    );
    assert_has(
        &foreign.stderr,
        "hint: get the plugin again from its author; if the author has a new key",
    );
    fs::remove_file(beside(&file)).expect("it was there");
    let unsigned = accept();
    assert_fails(&unsigned, 9, "expected a signature by the key 0101010101010101 in `");
    assert_has(&unsigned.stderr, "agent-host plugins remove echo");
    assert_eq!(bench.info()["code"], json!("changed"), "none of them is recorded");
    bench.author.sign(&file);
    assert_eq!(
        bench.info()["code"],
        json!("changed"),
        "a signature alone records nothing"
    );
    assert_has(
        &accept().expect_success().stdout,
        "signed with the key 0101010101010101",
    );

    // The author has a new key.
    other.sign(&file);
    let accepted = bench.plugins(&["accept", "echo", "--key", &other.key(), "--json"]);
    assert_eq!(json_of(&accepted.expect_success())["signer"], json!(other.key()));
    assert_fails(
        &bench.install(&[]),
        9,
        "expected a signature by the key 0202020202020202, found one by 0101010101010101",
    );
}

#[test]
fn a_signature_by_an_unknown_key_comes_with_the_command_that_checks_it() {
    let bench = Bench::new();
    let installed = bench.install(&[]).expect_success();
    let note = "its signature by the key 0101010101010101 was not checked: agent-host plugins accept echo --key KEY";
    assert_has(&installed.stderr, note);
    assert_eq!(bench.info()["signer"], Value::Null);
    assert_has(&bench.info()["warnings"].to_string(), note);
    // In a file, as authors publish it.
    let file = bench.home.path().join("minisign.pub");
    fs::write(
        &file,
        format!("untrusted comment: public key\n{}\n", bench.author.key()),
    )
    .expect("writable");
    bench
        .plugins(&["accept", "echo", "--key", file.to_str().expect("text")])
        .expect_success();
    assert_eq!(
        (&bench.info()["signer"], &bench.info()["warnings"]),
        (&json!(bench.author.key()), &json!([]))
    );
    let removed = bench.plugins(&["remove", "echo"]).expect_success();
    assert!(
        !beside(&bench.home.plugins().join(LIBRARY)).exists(),
        "{}",
        removed.stdout
    );
}

#[test]
fn a_known_author_signs_other_plugins_too_and_a_wrong_signature_is_refused() {
    let bench = Bench::new();
    bench.install(&["--key", &bench.author.key()]).expect_success();
    let parrot = bench.home.link(&second_plugin());
    bench.author.sign(&parrot);
    let signature = fs::read(beside(&parrot)).expect("it was signed");
    bench.author.sign(&bench.file);
    fs::copy(beside(&bench.file), beside(&parrot)).expect("writable");
    let rows = json_of(&bench.plugins(&["list", "--json"]).expect_success());
    let row = rows
        .as_array()
        .expect("rows")
        .iter()
        .find(|row| row["id"] == "parrot")
        .expect("it is listed");
    assert_eq!(
        (&row["verdict"], &row["code"]),
        (&json!("refused"), &json!("signature"))
    );
    let locked = bench.plugins(&["lock"]);
    assert_fails(
        &locked,
        9,
        "its signature by the key 0101010101010101 is not one of these bytes",
    );
    for text in ["no signature", ""] {
        fs::write(beside(&parrot), text).expect("writable");
        assert_fails(
            &bench.plugins(&["accept", "parrot"]),
            9,
            "expected a signature of minisign",
        );
    }
    fs::write(beside(&parrot), signature).expect("writable");
    bench.plugins(&["disable", "echo"]).expect_success();
    let used = bench.home.host(&["chat", "Hello"]).env("PARROT_KEY", "seed");
    used.run().expect_success();
    let lock = fs::read_to_string(bench.home.path().join(LOCK_FILE)).expect("it was used");
    assert_eq!(lock.matches(&bench.author.key()).count(), 2, "{lock}");
}

#[test]
fn a_key_that_is_named_wants_a_signature() {
    let bench = Bench::new();
    fs::remove_file(beside(&bench.file)).expect("it was there");
    let key = bench.author.key();
    assert_fails(
        &bench.install(&["--key", &key]),
        9,
        "expected a signature by the key 0101010101010101 in `",
    );
    assert_fails(
        &bench.install(&["--key", "RWnothing"]),
        2,
        "error: `--key`: expected a public key of minisign",
    );
    assert!(!bench.home.path().join(LOCK_FILE).exists(), "nothing is installed");
}
