//! The bodies about encrypted footage and the owner's recovery key.
//!
//! Two of them carry the recovery key on its only way out: [`Claimed`] and [`RecoveryKey`]. No type here prints one.
//!
//! Does not belong here: behaviour (`api.rs`), what the key opens (the daemon's).

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::views::{Role, Session};

/// The first owner, signed in.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Claimed {
    /// The user's name.
    pub user: String,
    /// What the user may do.
    pub role: Role,
    /// Goes into the header `X-CSRF-Token` of every call that changes something.
    pub csrf: String,
    /// Opens this recorder's disks when the recorder is gone: the only time that it is shown. Null when none could be
    /// made; one can be made later.
    #[schema(required)]
    pub recovery_key: Option<String>,
}

impl Claimed {
    pub(crate) fn new(session: Session, recovery_key: Option<String>) -> Self {
        let Session { user, role, csrf } = session;
        Self { user, role, csrf, recovery_key }
    }
}

impl fmt::Debug for Claimed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claimed").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Shows that it is still the owner who sits there.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordInput {
    /// The password of whoever is signed in.
    pub password: String,
}

impl fmt::Debug for PasswordInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordInput(..)")
    }
}

/// A new recovery key: the only time that it is shown. An older one opens no disk any more that is attached.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RecoveryKey {
    /// 40 letters and digits in 8 groups.
    pub recovery_key: String,
}

impl fmt::Debug for RecoveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryKey(..)")
    }
}

/// Opens a disk of another recorder.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnlockInput {
    /// The disk's `path`, as listed.
    pub path: String,
    /// The recovery key of the recorder that the disk comes from; spaces, dashes and case do not count.
    pub recovery_key: String,
}

impl fmt::Debug for UnlockInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnlockInput").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Makes a disk's footage unreadable for ever.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EraseInput {
    /// The disk's `path`, as listed.
    pub path: String,
    /// `ERASE`, typed by whoever means it.
    pub confirm: String,
    /// Whether footage on it is encrypted from then on; left out: as the setting `encrypt_new_disks` says.
    #[serde(default)]
    pub encrypt: Option<bool>,
}
