//! Leases: an input belongs to one channel at a time.
//!
//! Does not belong here: whether the input exists, and whether another program uses the device.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use hal::{ErrorKind, HalError};

/// The names of the inputs that are in use.
pub(crate) type InputsInUse = Arc<Mutex<HashSet<String>>>;

/// Holds an input until it is dropped.
pub(crate) struct InputLease {
    in_use: InputsInUse,
    name: String,
}

impl InputLease {
    /// # Errors
    /// `Busy` while somebody holds it.
    pub(crate) fn take(in_use: &InputsInUse, name: &str) -> Result<Self, HalError> {
        if !in_use.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned()) {
            return Err(HalError::new(ErrorKind::Busy, format!("another channel uses input \"{name}\"")));
        }
        Ok(Self { in_use: Arc::clone(in_use), name: name.to_owned() })
    }
}

impl Drop for InputLease {
    fn drop(&mut self) {
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}
