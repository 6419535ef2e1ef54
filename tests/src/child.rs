//! Gives a test a process of its own: for what could end a process, is counted per process, or needs another
//! environment, user or network.

use std::any::type_name;
use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::artefacts::{LIBRARIES_ARE_BUILT, openrouter_plugin};
use crate::run::{Ran, run};
use crate::wait::LONG_LIMIT;

const VARIABLE: &str = "TESTS_CHILD";
const REACHED_THE_END: &str = "this test reached its end";

/// A process that is not started yet: the same test program once more, with one test.
#[derive(Default)]
#[must_use]
pub struct Child {
    variables: Vec<(String, String)>,
    removed: Vec<&'static str>,
    wrapper: Vec<String>,
    user: Option<u32>,
}

impl Child {
    /// With the environment and the rights of this process.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Removes an environment variable.
    pub fn without(mut self, name: &'static str) -> Self {
        self.removed.push(name);
        self
    }

    /// Starts it through this command, which gets the test program and its arguments as its own last arguments.
    pub fn under(mut self, command: &[&str]) -> Self {
        self.wrapper = command.iter().map(|part| (*part).to_owned()).collect();
        self
    }

    /// Runs it as another user, which takes root's rights away.
    pub fn user(mut self, id: u32) -> Self {
        self.user = Some(id);
        self
    }

    /// Whether this process is the child.
    pub fn is_here() -> bool {
        env::var_os(VARIABLE).is_some()
    }

    /// Runs the test that has this closure in the child, or `body` if this process is the child.
    ///
    /// - Out: what the child wrote, for the parent; `None` in the child.
    /// - Panics: in the parent, if the child failed, crashed or did not run the test.
    pub fn run(self, body: impl FnOnce()) -> Option<Ran> {
        let test = test_of(&body);
        self.run_test(test, body)
    }

    /// The same for the test with this full name.
    pub fn run_test(self, test: &str, body: impl FnOnce()) -> Option<Ran> {
        if Self::is_here() {
            body();
            println!("{REACHED_THE_END}");
            return None;
        }
        // The child may lack the rights and the files that a build needs.
        openrouter_plugin();
        let program = env::current_exe().expect("a test knows where it is");
        let mut command = match self.wrapper.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
            None => Command::new(program),
        };
        command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
        command.env(VARIABLE, "yes").env(LIBRARIES_ARE_BUILT, "yes");
        for name in self.removed {
            command.env_remove(name);
        }
        command.envs(self.variables);
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        let ran = run(command, None, LONG_LIMIT);
        assert!(
            ran.code == Some(0) && ran.stdout.contains(REACHED_THE_END),
            "the process of `{test}` did not reach its end: {ran:#?}"
        );
        // Figures, and the reason why something did not run.
        print!("{}", ran.stdout);
        eprint!("{}", ran.stderr);
        Some(ran)
    }
}

/// The full name of the test that has this closure, such as `process::a_name`.
pub fn test_of<F: FnOnce()>(_: &F) -> &'static str {
    let name = type_name::<F>().trim_end_matches("::{{closure}}");
    name.split_once("::").map_or(name, |(_suite, name)| name)
}
