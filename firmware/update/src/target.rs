//! The target: this device, and whether it takes a version.
//!
//! Two questions: may this be installed, and may what is installed be started? Time, and going back within what the
//! floor allows, are questions of installing only: a device must start after years in a drawer.

use hal::WallTime;
use semver::Version;

use crate::error::UpdateError;
use crate::manifest::Manifest;
use crate::trust::VerifiedEnvelope;

/// What a manifest is measured against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The board's name, without a variant.
    pub board: String,
    /// The installed version.
    pub installed: Version,
    /// Versions below are never taken.
    pub floor: Version,
    /// Now, when that is known to be true.
    pub now: Option<WallTime>,
    /// The largest root that fits a slot, see [`crate::max_root_bytes`].
    pub max_root_bytes: u64,
    /// The owner agreed to go back to an older version.
    pub allow_downgrade: bool,
}

impl Target {
    /// Whether it may be installed.
    ///
    /// # Errors
    /// `WrongBoard`, `TooOld`, `TooLarge`, `Expired` or `Downgrade`.
    pub fn check_install(&self, envelope: &VerifiedEnvelope) -> Result<(), UpdateError> {
        let manifest = envelope.manifest();
        self.check_start(manifest)?;
        let dated = [("The list of trusted keys", envelope.root().expires), ("The bundle", manifest.expires)];
        for (what, expires) in dated {
            if self.now.is_some_and(|now| now >= expires.as_wall()) {
                return Err(UpdateError::Expired { what, expired: expires.to_string() });
            }
        }
        if manifest.version.cmp_precedence(&self.installed).is_lt() && !self.allow_downgrade {
            let (version, installed) = (manifest.version.clone(), self.installed.clone());
            return Err(UpdateError::Downgrade { version, installed });
        }
        Ok(())
    }

    /// Whether it may be started, once it is installed.
    ///
    /// # Errors
    /// `WrongBoard`, `TooOld` or `TooLarge`.
    pub fn check_start(&self, manifest: &Manifest) -> Result<(), UpdateError> {
        if manifest.board != self.board {
            let (expected, found) = (self.board.clone(), manifest.board.clone());
            return Err(UpdateError::WrongBoard { expected, found });
        }
        if manifest.version.cmp_precedence(&self.floor).is_lt() {
            let (version, floor) = (manifest.version.clone(), self.floor.clone());
            return Err(UpdateError::TooOld { version, floor });
        }
        let bytes = manifest.root().bytes;
        if bytes > self.max_root_bytes {
            let what = "The image".to_owned();
            return Err(UpdateError::TooLarge { what, bytes, max: self.max_root_bytes });
        }
        Ok(())
    }
}
