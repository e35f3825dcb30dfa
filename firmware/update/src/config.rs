//! What this crate keeps in the state log: keys, and their values as text.
//!
//! A value of a newer version may have fields that this one does not know; they are ignored, so that a version that is
//! gone back to still starts.

use hal::NorFlash;
use semver::Version;

use crate::boot_state::BootState;
use crate::error::UpdateError;
use crate::state_log::StateLog;

/// [`BootState`] as JSON.
pub const BOOT: &str = "boot";
/// The version floor as text.
pub const FLOOR: &str = "floor";
/// The adopted root documents, a JSON array.
pub const ROOT_KEYS: &str = "root-keys";
/// The owner's public key, hexadecimal.
pub const OWNER_KEY: &str = "owner-key";

/// The boot state; a log without one, or with one that cannot be read, starts from slot A.
#[must_use]
pub fn load_boot_state<F: NorFlash>(log: &StateLog<F>) -> BootState {
    log.get(BOOT).and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default()
}

/// Keeps the boot state.
///
/// # Errors
/// `Device` when the flash fails.
pub fn save_boot_state<F: NorFlash>(log: &mut StateLog<F>, state: &BootState) -> Result<(), UpdateError> {
    let json = serde_json::to_vec(state).map_err(|e| UpdateError::Invalid(e.to_string()))?;
    log.set(BOOT, &json)
}

/// The version floor; 0.0.0 for a device that never confirmed one.
#[must_use]
pub fn load_floor<F: NorFlash>(log: &StateLog<F>) -> Version {
    let text = log.get(FLOOR).and_then(|bytes| str::from_utf8(bytes).ok());
    text.and_then(|text| Version::parse(text).ok()).unwrap_or(Version::new(0, 0, 0))
}

/// Raises the floor; it never sinks.
pub(crate) fn raise_floor<F: NorFlash>(log: &mut StateLog<F>, to: &Version) -> Result<(), UpdateError> {
    if to.cmp_precedence(&load_floor(log)).is_gt() {
        log.set(FLOOR, to.to_string().as_bytes())?;
    }
    Ok(())
}
