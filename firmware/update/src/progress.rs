//! Progress of an update, for a bar on a page.

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Reading the bundle against its signature.
    Verifying,
    /// Keeping the installed version as a bundle.
    Saving,
    /// Erasing and writing the slot.
    Writing,
    /// Reading the slot against the signature.
    Checking,
}

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The step.
    pub step: Step,
    /// Bytes done of it.
    pub done_bytes: u64,
    /// Bytes in all.
    pub total_bytes: u64,
}

/// Where progress is told, at least once per erase block or 64 KiB.
pub type Report<'a> = &'a mut dyn FnMut(Progress);
