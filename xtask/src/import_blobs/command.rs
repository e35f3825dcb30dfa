//! The command: from a dump's path to a folder, a manifest and a table.
//!
//! Whatever could not be read is told, what could be is written, and the exit code says that it is partial. Does not belong
//! here: formats of file systems.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::keep::Keep;
use super::limits::{MAX_ADDRESS_SPACE, MAX_DUMP_BYTES};
use super::scan::{Format, Place, scan};
use super::{cramfs, jffs2, manifest, romfs, squashfs, uimage};
use crate::workspace::{Failure, root, target};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The dump of a whole flash chip, or of a partition, that you read from your own board
    dump: PathBuf,
    /// The folder to make; the manifest stands beside it [default: target/blobs/NAME]
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let (_, hard) = getrlimit(Resource::RLIMIT_AS)?;
    setrlimit(Resource::RLIMIT_AS, MAX_ADDRESS_SPACE.min(hard), hard)?;
    let out = args.out.clone().unwrap_or_else(|| target().join("blobs").join(stem(&args.dump)));
    may_be_written(&out)?;
    import(&args.dump, &out)
}

/// The same without the limit on this program's memory.
pub(super) fn import(dump: &Path, out: &Path) -> Result<(), Failure> {
    let error = |error: std::io::Error| format!("{}: {error}", dump.display());
    let metadata = fs::metadata(dump).map_err(error)?;
    if !metadata.is_file() || metadata.len() > MAX_DUMP_BYTES {
        return Err(format!("{}: no file, or longer than any flash chip", dump.display()).into());
    }
    let bytes = fs::read(dump).map_err(error)?;
    let (places, keep) = read(&bytes);
    print(&places, &keep);
    if keep.files.is_empty() {
        return Err(format!(
            "{}: no module and no library was found; is it a dump, and whole? docs/flashing.md",
            dump.display()
        )
        .into());
    }
    let name = dump.file_name().unwrap_or_default().to_string_lossy();
    manifest::write(out, &name, &bytes, &places, &keep)?;
    let [sums, json] = manifest::beside(out);
    println!("\n{}: {} files; {}; {}", out.display(), keep.files.len(), sums.display(), json.display());
    println!("They are the vendor's: keep them to yourself and out of any repository.");
    match keep.problems.len() {
        0 => Ok(()),
        count => Err(format!("the result is partial: {count} problems are named above").into()),
    }
}

/// Finds and reads everything in a dump.
pub(super) fn read(dump: &[u8]) -> (Vec<Place>, Keep) {
    let places = scan(dump);
    let mut keep = Keep::default();
    for place in &places {
        keep.place = format!("{} at {:#x}", place.format.name(), place.offset);
        let end = place.offset.saturating_add(place.length).min(dump.len());
        let image = dump.get(place.offset..end).unwrap_or_default();
        if image.len() < place.length {
            keep.problem(&format!("{} of its {} bytes are in the dump", image.len(), place.length));
        }
        match &place.format {
            Format::Squashfs => squashfs::read(image, &mut keep),
            Format::Cramfs => cramfs::read(image, &mut keep),
            Format::Romfs => romfs::read(image, &mut keep),
            Format::Jffs2 => jffs2::read(image, &mut keep),
            Format::Uimage(found) => keep.kernel("image", uimage::kernel(image, found)),
            Format::Unread(_, why) => keep.problem(why),
        }
    }
    (places, keep)
}

fn print(places: &[Place], keep: &Keep) {
    println!("{:<12} {:>10}  format", "offset", "KiB");
    for place in places {
        let more = match &place.format {
            Format::Uimage(found) => format!(
                " \"{}\", load {:#x}, entry {:#x}",
                found.name.escape_debug(),
                found.load,
                found.entry
            ),
            _ => String::new(),
        };
        println!("{:<#12x} {:>10}  {}{more}", place.offset, place.length.div_ceil(1024), place.format.name());
    }
    println!("\n{:<40} {:>10}  made for", "file", "bytes");
    for (path, kept) in &keep.files {
        let facts = kept.inspected.as_ref();
        let made_for = facts.and_then(|facts| facts.vermagic.as_ref().or(facts.mpp_version.as_ref()));
        let made_for = made_for.map_or(String::new(), |text| text.escape_debug().to_string());
        println!("{path:<40} {:>10}  {made_for}", kept.bytes.len());
    }
    for (title, lines) in [("Left out or noted:", &keep.notes), ("Not read:", &keep.problems)] {
        if !lines.is_empty() {
            println!("\n{title}");
            lines.iter().for_each(|line| println!("  {line}"));
        }
    }
}

/// A name for the folder from the dump's.
fn stem(dump: &Path) -> String {
    let stem = dump.file_stem().unwrap_or_default().to_string_lossy();
    let name: String =
        stem.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
    if name.is_empty() { "dump".to_owned() } else { name }
}

/// Vendors' files may not come where `git add` finds them.
fn may_be_written(out: &Path) -> Result<(), Failure> {
    let mut folder = std::path::absolute(out)?;
    // The part that exists, without links on the way.
    let real = loop {
        match folder.canonicalize() {
            Ok(real) => break real,
            Err(_) if folder.pop() => {}
            Err(error) => return Err(error.into()),
        }
    };
    let (root, target) = (root().canonicalize()?, std::path::absolute(target())?);
    fs::create_dir_all(&target)?;
    let target = target.canonicalize()?;
    if real.starts_with(root) && !real.starts_with(target) {
        return Err(
            format!("{}: in the source tree; vendors' files do not belong there", out.display()).into()
        );
    }
    Ok(())
}
