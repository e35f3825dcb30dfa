//! The crate's one error: what was refused and what a person can do about it.
//!
//! Does not belong here: whether a login was right (that is an answer, not an error).

/// What a caller can decide by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The value breaks a rule; the words say which.
    Invalid,
    /// There is no such user or key.
    NotFound,
    /// The name is taken, or the change would leave nobody in charge.
    Conflict,
    /// No more fit.
    Full,
    /// The machine failed: no randomness, no memory.
    Internal,
}

/// A request that cannot be met. No variant carries a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// A name breaks the rules.
    #[error("Use 1 to 32 letters a-z, digits, '.', '-' or '_', beginning with a letter or digit.")]
    Name,
    /// A password is too short.
    #[error("The password needs at least {min} characters.")]
    PasswordTooShort {
        /// How many it needs.
        min: usize,
    },
    /// A password is too long.
    #[error("The password may have at most {max} characters.")]
    PasswordTooLong {
        /// How many it may have.
        max: usize,
    },
    /// A password is one of those that are tried first.
    #[error(
        "This password is one of the first that anybody would try. Choose another, several words are good."
    )]
    PasswordCommon,
    /// There is no such user or key.
    #[error("There is no {0}.")]
    NotFound(String),
    /// The name is in use.
    #[error("The name {0} is taken.")]
    Taken(String),
    /// The change would leave the recorder without an owner.
    #[error("The recorder needs an owner. Make somebody else owner first.")]
    LastOwner,
    /// No more fit.
    #[error("There may be at most {max} {what}. Remove one first.")]
    Full {
        /// Of what.
        what: &'static str,
        /// How many.
        max: usize,
    },
    /// The stored accounts cannot be taken.
    #[error("accounts: {0}")]
    Config(String),
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    Random,
    /// A password could not be hashed.
    #[error("a password could not be hashed: {0}")]
    Hash(String),
}

impl AuthError {
    /// What a caller can decide by.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Name
            | Self::PasswordTooShort { .. }
            | Self::PasswordTooLong { .. }
            | Self::PasswordCommon
            | Self::Config(_) => ErrorKind::Invalid,
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Taken(_) | Self::LastOwner => ErrorKind::Conflict,
            Self::Full { .. } => ErrorKind::Full,
            Self::Random | Self::Hash(_) => ErrorKind::Internal,
        }
    }
}
