//! Opening a volume after whatever happened to it.

/// What opening a volume found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Segments in the volume.
    pub segments: u64,
    /// Unsealed segments that were scanned.
    pub scanned: u64,
    /// Of those, sealed because they will not be continued.
    pub sealed: u64,
    /// Bytes of unfinished commits that were cut off.
    pub torn_bytes: u64,
    /// Index rows dropped because the footage is not there.
    pub dropped_rows: u64,
    /// The index was missing or unusable and made anew.
    pub rebuilt_index: bool,
    /// Damage found on the way, for people; the footage around it is kept.
    pub damages: Vec<String>,
}
