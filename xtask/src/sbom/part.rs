//! One thing that is in an image.
//!
//! Does not belong here: where it was found, and how it is written down.

use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};

use crate::workspace::Failure;

/// What kind of thing it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A program of ours.
    Program,
    /// A crate.
    Crate,
    /// A package of the browser app.
    Npm,
    /// Code in C or assembler that is part of a crate or of the C library.
    Native,
    /// A kernel.
    Kernel,
    /// A boot loader.
    BootLoader,
    /// A file of the vendor.
    Blob,
}

/// A thing, with what is known of it.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) version: String,
    /// A package URL, where there is a package.
    pub(super) purl: Option<String>,
    /// An SPDX expression; `None` where nobody has said.
    pub(super) licence: Option<String>,
    /// SHA-256 of its package or file, in hexadecimal.
    pub(super) sha256: Option<String>,
    /// SHA-512 of its package, in hexadecimal.
    pub(super) sha512: Option<String>,
    /// Further facts, in order.
    pub(super) properties: Vec<(String, String)>,
    /// What it is made of, by [`Part::reference`].
    pub(super) uses: Vec<String>,
    /// The folder where its licence files are.
    pub(super) folder: Option<PathBuf>,
    /// Its authors' own name for where it lives.
    pub(super) home: Option<String>,
}

impl Part {
    pub(super) fn new(kind: Kind, name: &str, version: &str) -> Self {
        Self {
            kind,
            name: name.to_owned(),
            version: version.to_owned(),
            purl: None,
            licence: None,
            sha256: None,
            sha512: None,
            properties: Vec::new(),
            uses: Vec::new(),
            folder: None,
            home: None,
        }
    }

    /// What other parts call it.
    pub(super) fn reference(&self) -> String {
        let kind = match self.kind {
            Kind::Program => "program",
            Kind::Crate => "crate",
            Kind::Npm => "npm",
            Kind::Native => "native",
            Kind::Kernel => "kernel",
            Kind::BootLoader => "boot-loader",
            Kind::Blob => "blob",
        };
        format!("{kind}:{}@{}", self.name, self.version)
    }
}

/// SHA-256 of bytes, in hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

/// SHA-256 of a file, in hexadecimal.
pub(super) fn sha256_file(path: &Path) -> Result<String, Failure> {
    Ok(sha256(&std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?))
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}
