//! The roles' names. What they do is in `*_role.rs`; who starts them is the warden.

use serde::{Deserialize, Serialize};

/// A process of the recorder beside the warden.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// The HAL: encoders and inputs.
    Capture,
    /// Network cameras.
    Ingest,
    /// Disks and footage.
    Record,
    /// The network side: web and RTSP.
    Serve,
}

impl Role {
    /// In the order of starting: what reads starts before what writes, so that nothing is missed.
    pub(crate) const ALL: [Self; 4] = [Self::Record, Self::Capture, Self::Ingest, Self::Serve];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Ingest => "ingest",
            Self::Record => "record",
            Self::Serve => "serve",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
