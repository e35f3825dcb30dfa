//! Which loader this is.

/// The commit it was built from, where the build says so.
pub(crate) const COMMIT: Option<&str> = option_env!("CANDOR_COMMIT");

/// Its version.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Version and commit, for people.
pub(crate) fn version() -> String {
    format!("{VERSION} ({})", COMMIT.unwrap_or("unknown commit"))
}
