//! The end of the process, past what the libraries in it do at theirs.

use std::ffi::c_int;
#[cfg(unix)]
use std::mem;
#[cfg(unix)]
use std::ptr;
#[cfg(unix)]
use std::sync::atomic::{AtomicPtr, Ordering};

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

/// What is said when the process crashes. Never freed.
#[cfg(unix)]
static LAST_WORDS: AtomicPtr<String> = AtomicPtr::new(ptr::null_mut());

/// Has these words written to standard error if the process crashes, by `abort` or by a fault in its code: a plugin's
/// crash ends its host, and nothing else would name it. The signal ends the process all the same.
///
/// A later call replaces the words. The memory of the earlier ones is never freed.
///
/// - Since: 1.3.
pub fn say_on_crash(words: String) {
    #[cfg(unix)]
    {
        LAST_WORDS.store(Box::leak(Box::new(words)), Ordering::Release);
        for signal in [libc::SIGABRT, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGSEGV] {
            // SAFETY: a zeroed `sigaction` is a valid one. The handler does only what a signal handler may do, and has
            // the signature that goes without `SA_SIGINFO`.
            unsafe {
                let mut action: libc::sigaction = mem::zeroed();
                action.sa_sigaction = crashed as *const () as usize;
                // On a stack of its own, because the usual one may be full; once, so that the second time is the end.
                action.sa_flags = libc::SA_ONSTACK | libc::SA_RESETHAND;
                libc::sigaction(signal, &action, ptr::null_mut());
            }
        }
    }
    #[cfg(not(unix))]
    drop(words);
}

/// Takes no lock and no memory.
#[cfg(unix)]
extern "C" fn crashed(signal: c_int) {
    let words = LAST_WORDS.swap(ptr::null_mut(), Ordering::AcqRel);
    // SAFETY: the pointer is null or from `Box::leak`, and nobody changes what it points to. `write` and `raise` may be
    // called in a signal handler.
    unsafe {
        if let Some(words) = words.as_ref() {
            libc::write(libc::STDERR_FILENO, words.as_ptr().cast(), words.len());
        }
        // It comes when this handler has returned, and ends the process.
        libc::raise(signal);
    }
}
