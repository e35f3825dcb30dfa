//! What a board's kernel starts: verifies a slot and starts it, or recovers.
//!
//! This program is the only one in the stage's initramfs. As process 1 it mounts what is needed and lets a process of its own do the
//! work (`pid1.rs`): decide and install (`decide.rs`), or recover (`recovery`). What starts before a root is trusted holds as little
//! as it can: no shell, no settings, no users, no picture.
//!
//! Does not belong here: formats, keys and the rules of slots (`update`), devices (`hal-linux`).

mod boot_facts;
mod cmdline;
mod console;
mod decide;
mod disk_shelf;
mod error;
mod mounts;
mod note;
mod pid1;
mod place;
mod reason;
mod recovery;
mod switch_root;
mod version;
mod work;

use std::process::ExitCode;

fn main() -> ExitCode {
    work::main()
}
