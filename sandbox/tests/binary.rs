//! The binary, as a person starts it.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

/// A binary that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sandbox"));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).expect("the folder for tests can be written");
    path
}

#[test]
fn it_prints_where_it_listens_and_plays_scripts_from_a_file() {
    let scripts = file("sandbox-scripts.json", r#"{"acme/a": {"text": "from a file"}}"#);
    let mut child = command()
        .args(["--port", "0", "--key", "sk-or-v1-mine", "--script"])
        .arg(scripts)
        .spawn()
        .map(Running)
        .expect("the binary starts");
    let mut line = String::new();
    let stdout = child.0.stdout.take().expect("stdout is a pipe");
    BufReader::new(stdout).read_line(&mut line).expect("a line comes");
    let address = line
        .strip_prefix("OPENROUTER_BASE_URL=http://")
        .and_then(|rest| rest.split_once("/api/v1"));
    let (address, rest) = address.expect("the line names the base URL");
    assert_eq!(rest, " OPENROUTER_API_KEY=sk-or-v1-mine\n");

    let body = r#"{"model": "acme/a", "messages": [{"role": "user", "content": "hi"}]}"#;
    let mut stream = TcpStream::connect(address).expect("it listens");
    let head = "POST /api/v1/chat/completions HTTP/1.1\r\nhost: sandbox\r\nconnection: close\r\ncontent-type: \
                application/json\r\nauthorization: Bearer sk-or-v1-mine";
    write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).expect("the request is written");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("the reply is text");
    assert!(reply.contains("from a file"), "{reply}");
}

#[test]
fn an_unknown_member_of_a_script_is_reported_with_its_file() {
    let scripts = file("sandbox-misspelt.json", r#"{"acme/a": {"txet": "x"}}"#);
    let output = command().arg("--script").arg(&scripts).output();
    let output = output.expect("the binary starts");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    let start = format!("error: scripts `{}`: unknown field `txet`", scripts.display());
    assert!(!output.status.success() && message.starts_with(&start), "{message}");
}
