//! Where the parts of an image lie.
//!
//! Does not belong here: what is in them.

use std::path::{Path, PathBuf};

use crate::workspace;

/// The folders that one build reads and writes.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// The project's top folder, or a copy of it.
    pub(crate) source: PathBuf,
    /// What is made for one board.
    pub(crate) out: PathBuf,
    /// Build folder of the cross-compiled programs.
    pub(crate) cross: PathBuf,
    /// What is expensive and depends on nothing that changes daily: kernels.
    pub(crate) cache: PathBuf,
    /// Compilers that are no Debian package.
    pub(crate) toolchain: PathBuf,
    /// Development keys.
    pub(crate) keys: PathBuf,
    /// What a person reads before the steps of this build, where two run beside each other.
    pub(crate) label: &'static str,
}

impl Places {
    /// Those of this checkout. Test images lie beside the others, so that neither is mistaken for the other.
    pub(crate) fn of(board: &str, agent: bool) -> Self {
        let target = workspace::target();
        let name = if agent { format!("{board}-test") } else { board.to_owned() };
        Self {
            source: workspace::root(),
            out: target.join("image").join(name),
            cross: target.join("cross"),
            cache: target.join("image/cache"),
            toolchain: target.join("toolchain"),
            keys: target.join("keys"),
            label: "",
        }
    }

    /// Those of parts that were made elsewhere and lie in one folder.
    pub(super) fn packed(source: &Path, images: &Path, keys: &Path) -> Self {
        Self {
            source: source.to_owned(),
            out: images.to_owned(),
            keys: keys.to_owned(),
            ..Self::of("packed", false)
        }
    }

    /// A second build of `source` in a folder of its own, with the same tools, kernels and keys.
    pub(crate) fn again(&self, source: &Path) -> Self {
        let out = source.join("target/image").join(self.out.file_name().unwrap_or_default());
        let cross = source.join("target/cross");
        Self { source: source.to_owned(), out, cross, label: "again: ", ..self.clone() }
    }

    /// The files that Buildroot uses too.
    pub(super) fn buildroot_board(&self) -> PathBuf {
        self.source.join("buildroot/board")
    }

    /// The compressed kernel.
    pub(super) fn kernel(&self) -> PathBuf {
        self.out.join("zImage")
    }

    /// What the boot loader starts: kernel and initramfs in one file.
    pub(super) fn stage(&self) -> PathBuf {
        self.out.join("stage.uimage")
    }

    /// The root file system of a slot.
    pub(super) fn root(&self) -> PathBuf {
        self.out.join("root.squashfs")
    }

    /// The boot loader's bank of flash.
    pub(crate) fn boot(&self) -> PathBuf {
        self.out.join("boot.img")
    }

    /// The boot loader's environment for a layout.
    pub(super) fn environment(&self, layout: &str) -> PathBuf {
        self.out.join(format!("env-{layout}.bin"))
    }

    /// The bank of flash that holds all else, for a layout: `16` or `64`.
    pub(crate) fn nor(&self, layout: &str) -> PathBuf {
        self.out.join(format!("nor-{layout}.img"))
    }
}
