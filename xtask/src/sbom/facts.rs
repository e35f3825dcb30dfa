//! What the one who makes an image tells about it.
//!
//! Does not belong here: what can be read from the sources.

use std::path::PathBuf;

/// An image that is about to be described.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// The project's top folder, as the programs were built from it.
    pub(crate) source: PathBuf,
    /// Where the documents go.
    pub(crate) out: PathBuf,
    /// The board.
    pub(crate) board: String,
    /// The image's version.
    pub(crate) version: String,
    /// The commit it was made from.
    pub(crate) commit: String,
    /// The commit's time in seconds since 1970.
    pub(crate) epoch: i64,
    /// The target that the programs were compiled for.
    pub(crate) target: String,
    /// What `rustc --version` says of the compiler, whose standard library is in every program.
    pub(crate) rustc: String,
    /// Where the C library comes from: `zig 0.17.0`.
    pub(crate) libc_from: String,
    /// The folder with the C library's licence, where there is one.
    pub(crate) libc_licence: Option<PathBuf>,
    /// The programs, named like their packages.
    pub(crate) programs: Vec<File>,
    /// The kernel, where we built it.
    pub(crate) kernel: Option<Kernel>,
    /// The boot loader, where we bring one.
    pub(crate) boot_loader: Option<Packaged>,
    /// The C library that lies in the image for programs that are not static.
    pub(crate) shared_libc: Option<Packaged>,
    /// The owner's files from the vendor: a manifest as sha256sum writes it.
    pub(crate) blobs: Option<PathBuf>,
}

/// A file of the image.
#[derive(Clone, Debug)]
pub(crate) struct File {
    /// Its name.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) path: PathBuf,
}

/// A kernel that we built.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    /// The source.
    pub(crate) source: Packaged,
    /// Its configuration.
    pub(crate) config: PathBuf,
}

/// What comes from a Debian package.
#[derive(Clone, Debug)]
pub(crate) struct Packaged {
    /// The binary package.
    pub(crate) package: String,
    /// The package of its source.
    pub(crate) source_package: String,
    /// The version of both.
    pub(crate) version: String,
    /// The file that is in the image.
    pub(crate) file: PathBuf,
}
