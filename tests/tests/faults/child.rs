//! Runs a test in a process of its own that has another environment, user or network.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

use tests::{LIMIT, Ran, run};

use crate::bench::library;

/// Says where the plugin is, to a process that cannot build it.
pub const PLUGIN: &str = "FAULTS_PLUGIN";

const VARIABLE: &str = "FAULTS_CHILD";
const REACHED_THE_END: &str = "this test reached its end";

/// A process to come: the same test program once more, with one test.
pub struct Child {
    test: &'static str,
    variables: Vec<(String, String)>,
    removed: Vec<&'static str>,
    /// What is put before the command.
    under: Vec<String>,
    user: Option<u32>,
}

impl Child {
    /// For the test with this full name, such as `process::a_name`.
    pub fn of(test: &'static str) -> Self {
        Self {
            test,
            variables: Vec::new(),
            removed: Vec::new(),
            under: Vec::new(),
            user: None,
        }
    }

    /// With an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Without an environment variable.
    pub fn without(mut self, name: &'static str) -> Self {
        self.removed.push(name);
        self
    }

    /// Started by this command, whose last arguments then are the test program and its own.
    pub fn under(mut self, command: &[&str]) -> Self {
        self.under = command.iter().map(|part| (*part).to_owned()).collect();
        self
    }

    /// As another user, which takes the rights of the system's first one.
    pub fn user(mut self, id: u32) -> Self {
        self.user = Some(id);
        self
    }

    /// Whether this is that process.
    pub fn is_here(&self) -> bool {
        env::var(VARIABLE).as_deref() == Ok(self.test)
    }

    /// Runs the test in that process, or `body`, if this is it.
    ///
    /// - Out: what the process wrote, for the parent; `None` in the process itself.
    /// - Panics: in the parent, if the process failed, crashed or ran no test of that name.
    pub fn run(self, body: impl FnOnce()) -> Option<Ran> {
        if self.is_here() {
            body();
            println!("{REACHED_THE_END}");
            return None;
        }
        let program = env::current_exe().expect("a test knows where it is");
        let mut command = match self.under.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
            None => Command::new(program),
        };
        command.args(["--exact", self.test, "--nocapture", "--test-threads=1"]);
        command.env(VARIABLE, self.test).env(PLUGIN, library());
        for name in self.removed {
            command.env_remove(name);
        }
        command.envs(self.variables);
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        let ran = run(command, None, 2 * LIMIT);
        assert!(
            ran.code == Some(0) && ran.stdout.contains(REACHED_THE_END),
            "the process of `{}` did not reach its end: {:?}\n{}\n{}",
            self.test,
            ran.code,
            ran.stdout,
            ran.stderr
        );
        // Figures and what did not run, for whoever wants to see them.
        print!("{}", ran.stdout);
        eprint!("{}", ran.stderr);
        Some(ran)
    }
}
