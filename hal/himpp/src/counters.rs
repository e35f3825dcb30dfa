//! What went wrong, counted since the backend's start.

/// For logs and tests; a healthy board's stay at zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Hosts that ended, hung or were refused, and were started again.
    pub restarts: u64,
    /// Hosts that were started again for other video buffers.
    pub regrown: u64,
    /// Streams that stood still.
    pub stalls: u64,
    /// Channels that the host reported as failed.
    pub failures: u64,
    /// Packs of channels and streams that nobody has open.
    pub unknown: u64,
    /// Packs that were no access units.
    pub invalid: u64,
    /// Packs that no keyframe came before.
    pub undecodable: u64,
    /// Gaps in the library's numbers.
    pub gaps: u64,
    /// Packs that found no room in the ring.
    pub lost: u64,
}
