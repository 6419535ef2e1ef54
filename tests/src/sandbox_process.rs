//! The sandbox in a process of its own, so that a benchmark doesn't count the sandbox's work as its own.
//!
//! It needs nothing else of the kit, because `tests/peers` compiles this file by itself.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// A running sandbox. Dropping it kills the process.
pub struct SandboxProcess {
    pub process: Child,
    pub base_url: String,
}

impl SandboxProcess {
    /// Starts `binary` on a free port and waits until it listens.
    ///
    /// - In: the key that it accepts; a script for each model, by its id.
    pub fn start(binary: &Path, key: &str, scripts: &Value) -> Self {
        let file = std::env::temp_dir().join(format!("sandbox-scripts-{}.json", std::process::id()));
        fs::write(&file, scripts.to_string()).expect("the temporary folder is writable");
        let mut process = Command::new(binary)
            .args(["--port", "0", "--print-base-url", "--key", key, "--script"])
            .arg(&file)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the sandbox starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("stdout is piped"))
            .read_line(&mut line)
            .expect("the sandbox prints its address");
        // It listens, so it has read the scripts.
        let _ = fs::remove_file(&file);
        Self {
            process,
            base_url: line.trim().to_owned(),
        }
    }
}

impl Drop for SandboxProcess {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
