//! The stand-in for the service, in a process of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::KEY;

pub struct Service {
    pub process: Child,
    pub base_url: String,
}

impl Service {
    /// Starts it with a script for each model.
    pub fn start(scripts: &Value) -> Self {
        let file = std::env::temp_dir().join(format!("soak-scripts-{}.json", std::process::id()));
        fs::write(&file, scripts.to_string()).expect("the temporary folder is writable");
        let mut process = Command::new(tests::sandbox_binary())
            .args(["--port", "0", "--print-base-url", "--key", KEY, "--script"])
            .arg(&file)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the service starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("it is piped"))
            .read_line(&mut line)
            .expect("the service tells its address");
        // It has been read: the service listens.
        let _ = fs::remove_file(&file);
        Self {
            process,
            base_url: line.trim().to_owned(),
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
