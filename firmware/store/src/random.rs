//! Random bytes: identities, keys, nonces.
//!
//! From the system, through ring. Does not belong here: what they are for.

use std::path::Path;

use ring::rand::{SecureRandom, SystemRandom};

use crate::error::{ErrorKind, StoreError};

/// `N` random bytes; an error names the `file` that they were for.
pub(crate) fn random<const N: usize>(file: &Path) -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| StoreError::new(ErrorKind::Io, file, None, "the system has no random numbers"))?;
    Ok(bytes)
}
