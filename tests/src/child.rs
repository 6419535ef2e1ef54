//! Gives a test a process of its own, for what could end a process or is counted per process.

use std::env;
use std::process::Command;

use crate::run::{Ran, run};
use crate::wait::LIMIT;

const VARIABLE: &str = "TESTS_CHILD";
const REACHED_THE_END: &str = "this test reached its end";

/// Runs `body` in a new process: the same test program once more, with this one test.
///
/// - In: the test's full name, such as `isolation::a_name`.
/// - Out: what the new process wrote, for the parent; `None` in the new process itself.
/// - Panics: in the parent, if the process failed, crashed or ran no test of that name.
pub fn in_a_process_of_its_own(test: &str, body: impl FnOnce()) -> Option<Ran> {
    if env::var(VARIABLE).as_deref() == Ok(test) {
        body();
        println!("{REACHED_THE_END}");
        return None;
    }
    let mut command = Command::new(env::current_exe().expect("a test knows where it is"));
    command.args(["--exact", test, "--nocapture"]).env(VARIABLE, test);
    let ran = run(command, None, 2 * LIMIT);
    assert!(
        ran.code == Some(0) && ran.stdout.contains(REACHED_THE_END),
        "the process of `{test}` did not reach its end: {ran:#?}"
    );
    Some(ran)
}
