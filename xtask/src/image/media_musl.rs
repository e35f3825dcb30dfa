//! `mpp-host` for musl, with the shim and musl itself.
//!
//! It is for vendors' libraries whose kernel is too old for glibc. Only tests on this machine use it so far: `cargo
//! xtask media` lays it out in target/media/musl/, as a root. Does not belong here: which board needs it, and why
//! (docs/mpp-host.md).

use std::fs;
use std::path::{Path, PathBuf};

use super::audit;
use super::media;
use super::places::Places;
use super::source::Source;
use super::tool;
use super::toolchain::{TARGET, Toolchain};
use crate::workspace::Failure;

/// musl's dynamic loader and C library are one file, which `xtask/install.sh test` puts among the tools.
const LOADER: &str = "lib/ld-musl-arm.so.1";
const SHIM: &str = "libmppshim.so";
/// Vendors' libraries need uClibc's dynamic loader by name. Any library that is there anyway will do; musl itself takes
/// `libc.so.0` and its like for its own names.
const LINKS: [(&str, &str); 1] = [("lib/ld-uClibc.so.0", SHIM)];

/// What was built.
#[derive(Clone, Debug)]
pub(super) struct MuslMedia {
    host: PathBuf,
    shim: PathBuf,
    loader: PathBuf,
}

/// Builds what is out of date, in a folder of its own: the static programs have the same target and other flags.
pub(super) fn build(places: &Places, source: &Source, toolchain: &Toolchain) -> Result<MuslMedia, Failure> {
    let loader = places.toolchain.join("musl-armel").join(LOADER);
    if !loader.exists() {
        return Err(format!("{} is missing: `xtask/install.sh test` gets it", loader.display()).into());
    }
    println!("    mpp-host for musl");
    let places = Places { cross: places.cross.with_file_name("cross-dynamic"), ..places.clone() };
    let packages = ["--quiet", "--package", "mpp-host", "--package", "mpp-shim"];
    tool::run_shown(toolchain.musl_cargo(&places, source)?.args(packages))?;
    let built = places.cross.join(TARGET).join("board");
    let media = MuslMedia { host: built.join("mpp-host"), shim: built.join(SHIM), loader };
    audit::check(&media.host, "mpp-host")?;
    Ok(media)
}

/// Everything in one folder, below which libraries lie as in a root.
pub(super) fn lay_out(media: &MuslMedia, folder: &Path) -> Result<(), Failure> {
    let files = [
        (&media.host, "bin/mpp-host".to_owned()),
        (&media.shim, format!("lib/{SHIM}")),
        (&media.loader, LOADER.to_owned()),
    ];
    for (from, name) in files {
        let to = folder.join(name);
        fs::create_dir_all(to.parent().unwrap_or(folder))?;
        fs::copy(from, &to).map_err(|error| format!("{}: {error}", from.display()))?;
    }
    media::link(&LINKS, folder)?;
    println!("==> {}", folder.display());
    Ok(())
}
