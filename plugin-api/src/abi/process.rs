//! The end of the process, past what the libraries in it do at theirs.

use std::ffi::c_int;

// SAFETY: the signatures are those of the C library, which has both functions on every system that has this loader.
// Neither takes a pointer to data.
unsafe extern "C" {
    safe fn _exit(code: c_int) -> !;
    safe fn atexit(handler: extern "C" fn()) -> c_int;
}

/// Ends the process at once: no destructor and no exit handler runs.
///
/// A plugin's could block forever, and `exit` waits for a constructor that never ends. Flush what you wrote first.
///
/// - Since: 1.3.
pub fn end_process(code: i32) -> ! {
    _exit(code)
}

/// Calls `handler` when anybody ends the process with `exit`. For a host that itself uses only [`end_process`], this
/// is somebody else: a plugin.
///
/// - Since: 1.3.
pub fn on_exit(handler: extern "C" fn()) {
    // It fails only if there is no memory left, and then nothing is lost but a message.
    let _ = atexit(handler);
}
