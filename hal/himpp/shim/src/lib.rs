//! libmppshim.so: what vendors' libraries expect of their C library.
//!
//! Vendors' libraries were linked against uClibc or an old glibc. `mpp-host` that is built for musl loads this first
//! (`LD_PRELOAD`, a board's `[media] preload`), so that what they call is here where musl's function of the same name takes
//! other arguments, or where musl has none. docs/mpp-host.md has the table, with who needs which.
//!
//! | What | Vendors' C libraries | musl on 32-bit ARM | File |
//! |---|---|---|---|
//! | `mmap` | the offset has 32 bits | 64 | `mmap.rs` |
//! | `stat`, `fstat`, `lstat` | fill 88 bytes | 104 | `stat.rs` |
//! | `__xstat`, `__fxstat`, `__lxstat` | the same, of glibc before 2.33 | none | `stat.rs` |
//! | `__ctype_b`, `__ctype_tolower`, `__ctype_toupper` | tables of uClibc | none | `ctype.rs` |
//!
//! The program's own calls have the same names but mean musl's: `caller.rs` tells whose call it is.
//!
//! On other machines than 32-bit ARM, and but for the tables under another C library than musl, this is empty: there is
//! nothing to stand in for. Does not belong here: the platform's functions, and what no vendor's library asks for.
#![cfg_attr(all(target_arch = "arm", not(test)), no_std)]
#![cfg_attr(
    not(all(target_arch = "arm", target_env = "musl")),
    allow(dead_code, reason = "what is exported there alone uses it; elsewhere tests do")
)]

mod caller;
mod ctype;
mod layout;
#[cfg(all(target_arch = "arm", target_env = "musl"))]
mod mmap;
#[cfg(all(target_arch = "arm", not(test)))]
mod panic;
#[cfg(all(target_arch = "arm", target_env = "musl"))]
mod stat;
