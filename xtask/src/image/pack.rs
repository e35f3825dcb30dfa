//! An image from parts that Buildroot made, laid out as by `compose.rs`.
//!
//! Does not belong here: building the parts.

use std::fs;
use std::path::Path;

use board::{Board, PartitionRole};

use super::compose::LAYOUTS;
use super::places::Places;
use super::source::Source;
use super::{bundle, flash, initramfs, keys, stage};
use crate::workspace::{self, Failure};

/// Where parts are and what they are.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct PackArgs {
    /// The board, as in board/boards/
    #[arg(long, value_name = "NAME")]
    board: String,
    /// Folder with root.squashfs, loader and, for a stage, zImage; the image is made there
    #[arg(long, value_name = "DIR")]
    images: std::path::PathBuf,
    #[command(flatten)]
    made: Made,
    /// Where the boot loader puts the kernel; without it no stage is made
    #[arg(long, value_name = "HEX")]
    load_address: Option<String>,
}

/// Keys, and what the parts were made from.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Made {
    /// Keys that sign it: root.json and release.pk8; made when the folder has none
    #[arg(long, value_name = "DIR")]
    keys: std::path::PathBuf,
    /// The commit
    #[arg(long)]
    commit: String,
    /// Its time in seconds since 1970
    #[arg(long)]
    epoch: i64,
}

impl Made {
    fn source(&self) -> Source {
        Source {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: self.commit.clone(),
            epoch: self.epoch,
        }
    }
}

/// Writes the initial root document, which the root carries too.
pub(crate) fn write_root_keys(made: &Made, out: &Path) -> Result<(), Failure> {
    let keys = keys::open(&made.keys, &made.source())?;
    fs::create_dir_all(out.parent().unwrap_or(Path::new(".")))?;
    Ok(fs::write(out, keys.root_document)?)
}

/// Makes what the parts allow: the bundle always, a stage where there is a kernel, flash images where the board's
/// description says how its flash is divided for us.
pub(crate) fn pack(args: &PackArgs) -> Result<(), Failure> {
    let source = args.made.source();
    let places = Places::packed(&workspace::root(), &args.images, &args.made.keys);
    let keys = keys::open(&args.made.keys, &source)?;
    let sealed = bundle::write(&places, &source, &args.board, &keys)?;
    println!("{}", sealed.path.display());
    let Some(address) = args.load_address.as_ref().filter(|_| places.kernel().exists()) else {
        println!("no stage: there is no kernel, or its address is not known");
        return Ok(());
    };
    let packed = args.images.join("initramfs.cpio.xz");
    initramfs::write(&packed, &args.images.join("loader"), &keys.root_document, &source)?;
    stage::write_at(&places, &source, &packed, address)?;
    println!("{}", places.stage().display());
    for layout in LAYOUTS {
        let Ok(board) = Board::builtin(&format!("{}-{layout}", args.board)) else { continue };
        let Some(chip) = board.flash.first().filter(|chip| chip.partition(PartitionRole::Main).is_some())
        else {
            continue;
        };
        stage::write_environment(&places, layout, &board, chip)?;
        flash::write_nor(&places, layout, chip, &sealed)?;
        println!("{}", places.nor(layout).display());
    }
    Ok(())
}
