//! What the host gives up once the library is loaded.
//!
//! Each step is tried by itself, since recorders' kernels (3.0 to 4.9) offer very different amounts; what was reached is told
//! to the client, and shown to the owner. Foreign code runs from here on.
//!
//! Does not belong here: which device nodes the own user may open (the role `capture` prepares them).

use mpp_wire::Confinement;
use nix::errno::Errno;
use nix::libc::rlim_t;
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};

use crate::seccomp;

/// Descriptors: one a channel and kind for the largest SoC, the library's device nodes, and a reserve.
const MAX_FILES: rlim_t = 1024;

/// Gives up whatever can be given up.
pub(crate) fn confine(user: Option<(u32, u32)>) -> Confinement {
    // No file grows, whatever the library opens: footage and flash are safe from it on every kernel.
    for (resource, limit) in
        [(Resource::RLIMIT_FSIZE, 0), (Resource::RLIMIT_CORE, 0), (Resource::RLIMIT_NOFILE, MAX_FILES)]
    {
        told("a limit", setrlimit(resource, limit, limit));
    }
    Confinement {
        no_network: told("a network of its own", unshare(CloneFlags::CLONE_NEWNET)),
        own_user: user.is_some_and(|(user, group)| told("a user of its own", become_user(user, group))),
        no_new_privileges: told("privileges that cannot grow", prctl::set_no_new_privs()),
        system_calls: told("a list of system calls", seccomp::install()),
    }
}

fn become_user(user: u32, group: u32) -> Result<(), Errno> {
    let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
    setgroups(&[])?;
    setresgid(group, group, group)?;
    setresuid(user, user, user)
}

fn told(what: &str, outcome: Result<(), Errno>) -> bool {
    if let Err(error) = outcome {
        eprintln!("the kernel does not give {what}: {error}");
    }
    outcome.is_ok()
}
