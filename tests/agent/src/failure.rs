//! Why something was not done.

use std::error::Error;

/// In words, for the console or for the host.
pub(crate) type Failure = Box<dyn Error>;
