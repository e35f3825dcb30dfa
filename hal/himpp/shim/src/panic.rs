//! What a panic would do: without Rust's standard library somebody must say.
//!
//! Nothing here panics.
#![allow(unsafe_code, reason = "abort is the C library's")]

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: it takes nothing, and does not return.
    unsafe { libc::abort() }
}
