//! The command's options, and what is done for each.
//!
//! Does not belong here: the steps of a build (`compose.rs`).

use std::fs::{self, File};
use std::path::PathBuf;

use super::compose::build;
use super::places::Places;
use super::source::Source;
use super::toolchain::Toolchain;
use super::{media, media_musl, ram, reproduce};
use crate::workspace::{self, Failure};

/// The core that tests on this machine are compiled for: the board class's.
const CPU: &str = "cortex-a7";

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// The board, as in board/boards/
    #[arg(long, value_name = "NAME")]
    board: String,
    /// A test image: the tests' program runs beside the recorder
    #[arg(long)]
    agent: bool,
    /// Keys that sign it: root.json and release.pk8 [default: development keys in target/keys]
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// Also a stage that holds the root, to be started from RAM: stage-ram.uimage
    #[arg(long)]
    ram: bool,
    /// Build it a second time in another folder and compare, byte for byte
    #[arg(long)]
    reproduce: bool,
}

/// Makes an image, and once more when asked to.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let mut places = Places::of(&args.board, args.agent);
    if let Some(keys) = &args.keys {
        places.keys.clone_from(keys);
    }
    let _alone = alone()?;
    let source = Source::read()?;
    let image = if args.reproduce {
        reproduce::run(&places, &source, &args.board, args.agent)?
    } else {
        build(&places, &source, &args.board, args.agent)?
    };
    println!("==> {}", image.bundle.display());
    if args.ram {
        println!("==> {}", ram::write(&image.places, &source)?.display());
    }
    Ok(())
}

/// Makes a board's image as it is without any option.
pub(crate) fn make(board: &str) -> Result<(), Failure> {
    let _alone = alone()?;
    build(&Places::of(board, false), &Source::read()?, board, false).map(drop)
}

/// Makes what tests of the vendor's platform run on this machine: `mpp-host` and a stand-in of each generation in
/// target/media/, and `mpp-host` for musl in target/media/musl/.
pub(crate) fn make_media() -> Result<(), Failure> {
    let _alone = alone()?;
    let target = workspace::target();
    let places = Places { out: target.join("media"), ..Places::of("virt-mpp", true) };
    let toolchain = Toolchain::find(CPU)?;
    let source = Source::read()?;
    let media = media::build(&places, &source, &toolchain, true)?;
    media::lay_out(&media, &places.out)?;
    let musl = media_musl::build(&places, &source, &toolchain)?;
    media_musl::lay_out(&musl, &places.out.join("musl"))
}

/// Two at a time would write the same files. Waits for the other; held until it is dropped.
fn alone() -> Result<File, Failure> {
    let dir = workspace::target().join("image");
    fs::create_dir_all(&dir)?;
    let file = File::create(dir.join(".lock"))?;
    if file.try_lock().is_err() {
        println!("another image is being made; this one waits");
        file.lock()?;
    }
    Ok(file)
}
