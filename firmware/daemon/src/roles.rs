//! The registry of roles: which function is which role.

use std::error::Error;

use crate::control;
use crate::role::Role;
use crate::{capture_role, ingest_role, record_role, serve};

/// Runs `role` until the warden ends it.
pub(crate) fn run(role: Role) -> Result<(), Box<dyn Error + Send + Sync>> {
    // What a role may never need, it gives up first: gaining rights by executing something.
    nix::sys::prctl::set_no_new_privs()?;
    let (control, config, orders) = control::connect()?;
    let span = tracing::info_span!("role", role = role.name());
    let _entered = span.enter();
    match role {
        Role::Capture => capture_role::run(&control, &config, orders),
        Role::Ingest => ingest_role::run(control, config, orders),
        Role::Record => record_role::run(&control, config, orders),
        Role::Serve => serve::run(control, config, orders),
    }
}
