//! The crate's one error: what happened, what was kept, what to do.
//!
//! The words are for the person who started the update; [`ErrorKind::code`] is what the HTTP API answers. Does not
//! belong here: HTTP statuses (`web`).

use semver::Version;

/// What a caller can decide by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The file is something else, or of a format that this program does not know.
    NotABundle,
    /// The bundle is for another board.
    WrongBoard,
    /// Not enough valid signatures of keys that are trusted here.
    BadSignature,
    /// The bundle is cut short, too long, or its content is not what was signed.
    Damaged,
    /// The manifest's or the root document's time is over.
    Expired,
    /// The version is below the floor.
    TooOld,
    /// The version is older than the installed one, and nobody agreed to that.
    Downgrade,
    /// Another update is under way, or the last one is not confirmed yet.
    Busy,
    /// This device cannot do that, as it is set up now.
    NotSupported,
    /// The image or the value does not fit.
    TooLarge,
    /// A disk has no room.
    NoSpace,
    /// A chip or a disk failed.
    Device,
    /// What was to be built or stored breaks a rule: a fault of the caller, not of a bundle.
    Invalid,
}

impl ErrorKind {
    /// The code of the HTTP API.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::NotABundle => "not_a_bundle",
            Self::WrongBoard => "wrong_board",
            Self::BadSignature => "bad_signature",
            Self::Damaged => "damaged",
            Self::Expired => "expired",
            Self::TooOld => "too_old",
            Self::Downgrade => "downgrade",
            Self::Busy => "busy",
            Self::NotSupported => "not_supported",
            Self::TooLarge => "too_large",
            Self::NoSpace => "no_space",
            Self::Device => "device",
            Self::Invalid => "invalid",
        }
    }
}

/// An update, a slot or a stored value that was refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// Not a bundle, or one of an unknown format.
    #[error("This is not an update bundle: {0}. Nothing was changed. Choose a candor-*.bundle file.")]
    NotABundle(String),
    /// A bundle for another board.
    #[error("This bundle is for the board {found}, not for {expected}. Nothing was changed.")]
    WrongBoard {
        /// The board of this device.
        expected: String,
        /// The bundle's board.
        found: String,
    },
    /// Too few valid signatures, or a broken chain of keys.
    #[error("The signature is not valid: {0}. Nothing was changed. Get the bundle again from its maker.")]
    BadSignature(String),
    /// The content is not what was signed.
    #[error("The bundle is damaged: {0}. The installed version was kept. Get the file again.")]
    Damaged(String),
    /// A slot does not hold what was signed.
    #[error("The slot cannot be started: {0}.")]
    Slot(&'static str),
    /// Its time is over.
    #[error("{what} expired on {expired}. Nothing was changed. Get a newer bundle.")]
    Expired {
        /// The manifest or the root document.
        what: &'static str,
        /// When, RFC 3339.
        expired: String,
    },
    /// Below the floor.
    #[error(
        "Version {version} is older than {floor}, the oldest that is still safe here. Nothing was changed."
    )]
    TooOld {
        /// The bundle's version.
        version: Version,
        /// The floor.
        floor: Version,
    },
    /// Older than the installed version, without consent.
    #[error(
        "Version {version} is older than the installed {installed}. Nothing was changed. Confirm to go back."
    )]
    Downgrade {
        /// The bundle's version.
        version: Version,
        /// The installed version.
        installed: Version,
    },
    /// Something else has to end first.
    #[error("{0}")]
    Busy(String),
    /// This device cannot.
    #[error("{0}")]
    NotSupported(String),
    /// Does not fit.
    #[error("{what} has {bytes} bytes, and at most {max} fit. Nothing was changed.")]
    TooLarge {
        /// What does not fit.
        what: String,
        /// Its size.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// A disk is full.
    #[error("There is no room for the update: {0}. The installed version was kept. Free some space.")]
    NoSpace(String),
    /// The flash failed.
    #[error("flash, {doing}: {source}")]
    Flash {
        /// What was being done.
        doing: &'static str,
        /// What the driver says.
        source: hal::HalError,
    },
    /// The flash does not hold what was written, even after trying again.
    #[error("the flash does not keep what is written at {offset:#x}: the chip is worn or broken")]
    Worn {
        /// Where.
        offset: u32,
    },
    /// A file could not be read or written.
    #[error("{doing}: {source}")]
    File {
        /// What was being done.
        doing: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
    /// The caller asks for what cannot be.
    #[error("{0}")]
    Invalid(String),
}

impl UpdateError {
    /// What a caller can decide by.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotABundle(_) => ErrorKind::NotABundle,
            Self::WrongBoard { .. } => ErrorKind::WrongBoard,
            Self::BadSignature(_) => ErrorKind::BadSignature,
            Self::Damaged(_) | Self::Slot(_) => ErrorKind::Damaged,
            Self::Expired { .. } => ErrorKind::Expired,
            Self::TooOld { .. } => ErrorKind::TooOld,
            Self::Downgrade { .. } => ErrorKind::Downgrade,
            Self::Busy(_) => ErrorKind::Busy,
            Self::NotSupported(_) => ErrorKind::NotSupported,
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::NoSpace(_) => ErrorKind::NoSpace,
            Self::Flash { .. } | Self::Worn { .. } | Self::File { .. } => ErrorKind::Device,
            Self::Invalid(_) => ErrorKind::Invalid,
        }
    }

    /// For `map_err`: a flash access that failed while `doing` something.
    pub(crate) fn flash(doing: &'static str) -> impl Fn(hal::HalError) -> Self {
        move |source| Self::Flash { doing, source }
    }

    /// For `map_err`: a file access that failed while `doing` something. A full disk has its own kind.
    pub(crate) fn file(doing: &'static str) -> impl Fn(std::io::Error) -> Self {
        move |source| match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                Self::NoSpace(format!("{doing}: {source}"))
            }
            _ => Self::File { doing, source },
        }
    }
}
