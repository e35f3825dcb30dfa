//! A media library with the vendor's C interface, for tests.
//!
//! `mpp-host` loads it in the place of the vendor's `libmpi.so`: the same symbols, structures, codes and order of calls, one
//! build per generation (features `g1`, `g2`, `g3`), and behind them simulated inputs. It checks what it is given as strictly
//! as the vendor's, says on standard error what broke a rule (`standin: VIOLATION ...`), and misbehaves when it is told to
//! (`control.rs`).
//!
//! | Environment | Means |
//! |---|---|
//! | `STANDIN_CONTROL` | file with commands (default `/run/standin-control`) |
//! | `STANDIN_VERSION` | what `SYS_GetVersion` says instead of this generation's version |
//! | `STANDIN_FAIL` | `FUNCTION:CODE`, as `VENC_CreateChn:12`: that function fails; a code from 0x100 on is returned as it is |
//! | `STANDIN_WRITES_MORE` | `1`: `VENC_GetStream` writes 64 bytes behind the structure that it was given |
//! | `STANDIN_STALE` | `1`: the platform is as a process that crashed has left it, up and with buffers |
//! | `STANDIN_INPUT_FPS` | pictures a second of the inputs (default 25) |
//!
//! Only `exported` knows pointers, and only 32-bit ARM has it; everything else is safe, pure, and tested on the builder's
//! machine for all generations at once. Does not belong here: anything that a board runs.
#![allow(
    dead_code,
    reason = "a library is of one generation, and none on the builder's machine; tests see all of it"
)]

#[cfg(all(target_arch = "arm", not(any(feature = "g1", feature = "g2", feature = "g3"))))]
compile_error!("choose a generation: one of the features g1, g2, g3");
#[cfg(any(
    all(feature = "g1", feature = "g2"),
    all(feature = "g1", feature = "g3"),
    all(feature = "g2", feature = "g3")
))]
compile_error!("a library is of one generation: one of the features g1, g2, g3");

mod binding;
mod config;
mod control;
mod encoder;
mod flow;
mod input;
mod jpeg;
mod limits;
mod memory;
mod motion;
mod platform;
mod process;
mod refusal;
mod region;
mod ring;
mod screen;
mod sound;
mod system;

#[cfg(all(target_arch = "arm", any(feature = "g1", feature = "g2", feature = "g3")))]
mod exported;
