//! What a board with the vendor's media platform has besides.
//!
//! `mpp-host`, the C library that it runs with, and in test images a stand-in for the vendor's library.
//!
//! The vendor's own libraries and modules are the owner's, from a dump of the flash (`cargo xtask import-blobs`). Does not
//! belong here: which of them a board loads (its description).

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::audit;
use super::kernel::package_version;
use super::places::Places;
use super::source::Source;
use super::tool;
use super::toolchain::{DYNAMIC_TARGET, Toolchain};
use crate::sbom::Packaged;
use crate::workspace::Failure;

/// One stand-in each: `hal/himpp/abi` has what differs.
pub(super) const GENERATIONS: [&str; 3] = ["g1", "g2", "g3"];
/// Which one a test image loads unless its kernel is told otherwise.
const USUAL: &str = "g2";
/// Debian's C library for this target, a package of `xtask/install.sh`.
const LIBC_PACKAGE: &str = "libc6-armel-cross";
const LIBC: &str = "/usr/arm-linux-gnueabi/lib";
/// What `mpp-host` and stand-ins need of it.
const LIBC_FILES: [&str; 5] = ["ld-linux.so.3", "libc.so.6", "libdl.so.2", "libm.so.6", "libpthread.so.0"];

/// Vendors' libraries ask for uClibc's names, and glibc serves them. Its dynamic loader's name may be any library's that is
/// there anyway: nothing is looked for in it.
const LINKS: [(&str, &str); 4] = [
    ("lib/libc.so.0", "libc.so.6"),
    ("lib/libm.so.0", "libm.so.6"),
    ("lib/libdl.so.0", "libdl.so.2"),
    ("lib/ld-uClibc.so.0", "libc.so.6"),
];

/// What was built.
#[derive(Clone, Debug)]
pub(crate) struct Media {
    /// The program that loads the vendor's library.
    pub(crate) host: PathBuf,
    /// A library of each generation; none without tests.
    pub(crate) stand_ins: Vec<(&'static str, PathBuf)>,
}

/// Builds what is out of date.
pub(super) fn build(
    places: &Places,
    source: &Source,
    toolchain: &Toolchain,
    stand_ins: bool,
) -> Result<Media, Failure> {
    println!("    mpp-host");
    tool::run_shown(toolchain.dynamic_cargo(places, source)?.args(["--quiet", "--package", "mpp-host"]))?;
    let host = places.cross.join(DYNAMIC_TARGET).join("board/mpp-host");
    audit::check(&host, "mpp-host")?;
    let mut media = Media { host, stand_ins: Vec::new() };
    for generation in GENERATIONS.into_iter().filter(|_| stand_ins) {
        println!("    stand-in for {generation}");
        let features = ["--quiet", "--package", "standin-mpi", "--features", generation];
        tool::run_shown(toolchain.dynamic_cargo(places, source)?.args(features))?;
        // All three have the same name where cargo puts them.
        let kept = places.out.join(format!("libmpi-{generation}.so"));
        fs::create_dir_all(&places.out)?;
        fs::copy(places.cross.join(DYNAMIC_TARGET).join("board/libmpi.so"), &kept)?;
        media.stand_ins.push((generation, kept));
    }
    Ok(media)
}

/// The C library as the bill of materials has it: its largest file stands for all.
pub(super) fn libc() -> Result<Packaged, Failure> {
    Ok(Packaged {
        package: LIBC_PACKAGE.to_owned(),
        source_package: "cross-toolchain-base".to_owned(),
        version: package_version(LIBC_PACKAGE)?,
        file: Path::new(LIBC).join("libc.so.6"),
    })
}

impl Media {
    /// What of it lies where in a root.
    pub(super) fn files(&self) -> Vec<(PathBuf, String)> {
        let mut files = vec![(self.host.clone(), "bin/mpp-host".to_owned())];
        files.extend(LIBC_FILES.map(|name| (Path::new(LIBC).join(name), format!("lib/{name}"))));
        for (generation, path) in &self.stand_ins {
            files.push((path.clone(), format!("lib/mpp/{generation}/libmpi.so")));
            if *generation == USUAL {
                files.push((path.clone(), "lib/mpp/libmpi.so".to_owned()));
            }
        }
        files
    }
}

/// For tests on this machine, which run them under `qemu-arm`: everything in one folder, below which libraries lie as in a
/// root.
pub(super) fn lay_out(media: &Media, folder: &Path) -> Result<(), Failure> {
    for (from, name) in media.files() {
        let to = folder.join(name);
        fs::create_dir_all(to.parent().unwrap_or(folder))?;
        fs::copy(&from, &to).map_err(|error| format!("{}: {error}", from.display()))?;
    }
    link_uclibc_names(folder)?;
    println!("==> {}", folder.display());
    tool::run(Command::new("qemu-arm").arg("--version")).map(drop)
}

/// The names that vendors' libraries ask for, beside the files that [`Media::files`] has laid into a root.
pub(super) fn link_uclibc_names(root: &Path) -> Result<(), Failure> {
    link(&LINKS, root)
}

/// Further names of files, which the same folder has.
pub(super) fn link(links: &[(&str, &str)], folder: &Path) -> Result<(), Failure> {
    for (name, file) in links {
        let link = folder.join(name);
        let _ = fs::remove_file(&link);
        symlink(file, &link).map_err(|error| format!("{}: {error}", link.display()))?;
    }
    Ok(())
}
