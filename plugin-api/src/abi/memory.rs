//! How the C library's allocator, which host and plugins share, treats large blocks.

/// Has freed blocks of at least `block_bytes` returned to the system at once, instead of kept for the next ones.
///
/// By itself, glibc raises the size from which it does so with every large block that is freed, so a program that once
/// held large messages keeps their memory. Plugins use the allocator of the process, so this covers both sides of the
/// boundary. Call it once, when the program starts; it is not for a library to decide. Does nothing without glibc.
///
/// - Units: bytes; at most 32 MiB.
/// - Since: 1.3.
pub fn return_large_blocks(block_bytes: u32) {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        let block_bytes = block_bytes.min(32 << 20) as libc::c_int;
        // SAFETY: `mallopt` takes two numbers by value and locks the allocator's state itself. It changes where later
        // blocks come from, never one that exists.
        unsafe {
            // Each of the two also stops glibc from adapting them.
            libc::mallopt(libc::M_MMAP_THRESHOLD, block_bytes);
            libc::mallopt(libc::M_TRIM_THRESHOLD, block_bytes);
        }
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let _ = block_bytes;
}
