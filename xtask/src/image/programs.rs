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
    Ok(Programs {
        candor: program(places, source, toolchain, "candor")?,
        loader: program(places, source, toolchain, "loader")?,
        agent: agent.then(|| program(places, source, toolchain, "board-agent")).transpose()?,
        media: has_media.then(|| media::build(places, source, toolchain, agent)).transpose()?,
    })
}

/// Each by itself: together, cargo would give the loader every feature that the recorder wants of a shared crate.
fn program(places: &Places, source: &Source, toolchain: &Toolchain, name: &str) -> Result<PathBuf, Failure> {
    println!("    {}{name}", places.label);
    tool::run_shown(toolchain.cargo(places, source)?.args([
        "--quiet",
        "--no-default-features",
        "--package",
        name,
    ]))?;
    let path = places.cross.join(TARGET).join("board").join(name);
    audit::check(&path, name)?;
    names_no_folder(&path, places)?;
    Ok(path)
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
