//! A network of a test's own, with nobody else's packets in it.

use std::process::Command;

use nix::sched::{CloneFlags, unshare};

/// Gives this thread, and those that it starts, a network in which nothing but a loopback interface is, and that takes multicast.
/// Where that cannot be had it says so, and the test ends there.
pub fn own_network() -> bool {
    if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
        println!("not run: a network of its own cannot be made ({error}); root can");
        return false;
    }
    for arguments in ["link set lo up multicast on", "route add 239.0.0.0/8 dev lo"] {
        let status = Command::new("ip").args(arguments.split(' ')).status();
        assert!(status.as_ref().is_ok_and(std::process::ExitStatus::success), "ip {arguments}: {status:?}");
    }
    true
}
