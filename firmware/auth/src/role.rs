//! Roles: what a user may do.
//!
//! Does not belong here: which call needs which role (crate `web`, routes.rs).

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a user may do; each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Watches live and recorded video.
    Viewer,
    /// Works the recorder in daily use.
    Operator,
    /// Sets the recorder up.
    Integrator,
    /// May do everything.
    Owner,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Integrator => "integrator",
            Self::Owner => "owner",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Role::{Integrator, Operator, Owner, Viewer};

    #[test]
    fn each_role_includes_the_lesser_ones() {
        assert!(Owner > Integrator && Integrator > Operator && Operator > Viewer);
    }
}
