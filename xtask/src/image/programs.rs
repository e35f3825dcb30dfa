//! The programs of an image, cross-compiled.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::audit;
use super::media::{self, Media};
use super::places::Places;
use super::source::Source;
use super::tool;
use super::toolchain::{TARGET, Toolchain};
use crate::workspace::Failure;

/// Where each program was built.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    /// The recorder.
    pub(super) candor: PathBuf,
    /// What the kernel starts.
    pub(super) loader: PathBuf,
    /// What test images start.
    pub(super) agent: Option<PathBuf>,
    /// What boards with the vendor's media platform have besides.
    pub(super) media: Option<Media>,
}

/// Builds the browser app and the programs that need it; what is up to date stays.
pub(super) fn build(
    places: &Places,
    source: &Source,
    toolchain: &Toolchain,
    agent: bool,
    has_media: bool,
) -> Result<Programs, Failure> {
    tool::run(
        Toolchain::plain(&mut Command::new("make"))
            .args(["--no-print-directory", "ui"])
            .env_remove("MAKEFLAGS")
            .env("CANDOR_TOOLCHAIN", &places.toolchain)
            .current_dir(&places.source),
    )?;
    // Together, they share what both need; for 0.1 % more of the loader.
    let [candor, loader] = compiled(places, source, toolchain, ["candor", "loader"])?;
    // By itself: the recorder that is tested is the one that is shipped.
    let agent = agent.then(|| compiled(places, source, toolchain, ["board-agent"])).transpose()?;
    Ok(Programs {
        candor,
        loader,
        media: has_media.then(|| media::build(places, source, toolchain, agent.is_some())).transpose()?,
        agent: agent.map(|[path]| path),
    })
}

/// Compiles packages with one set of features; their programs, in the same order.
fn compiled<const N: usize>(
    places: &Places,
    source: &Source,
    toolchain: &Toolchain,
    names: [&str; N],
) -> Result<[PathBuf; N], Failure> {
    println!("    {}{}", places.label, names.join(", "));
    let mut cargo = toolchain.cargo(places, source)?;
    cargo.args(["--quiet", "--no-default-features"]);
    for name in names {
        cargo.args(["--package", name]);
    }
    tool::run_shown(&mut cargo)?;
    let out = places.cross.join(TARGET).join("board");
    let programs = names.map(|name| out.join(name));
    for (path, name) in programs.iter().zip(names) {
        audit::check(path, name)?;
        names_no_folder(path, places)?;
    }
    Ok(programs)
}

/// Fails when a program has the name of the folder that it was built from.
fn names_no_folder(program: &Path, places: &Places) -> Result<(), Failure> {
    let folder = places.source.as_os_str().as_encoded_bytes();
    let bytes = fs::read(program)?;
    if memchr::memmem::find(&bytes, folder).is_some() {
        return Err(format!(
            "{}: has the name of the folder {} in it",
            program.display(),
            places.source.display()
        )
        .into());
    }
    Ok(())
}
