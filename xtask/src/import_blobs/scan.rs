//! Finding file systems in a dump by their magic numbers.
//!
//! A magic number alone is nothing: each header is checked, and what lies inside a file system is not searched. JFFS2 has
//! no header, only nodes; one partition of it ends where the partition does, as a kernel command line in the dump says.
//!
//! Does not belong here: reading file systems.

use memchr::memmem;
use probe::{CommandLine, PartSize};

use super::limits::MAX_PLACES;
use super::uimage::Uimage;
use super::{cramfs, jffs2, jffs2_node, romfs, squashfs, uimage};

/// What was found where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) offset: usize,
    /// How long it says it is; the dump may end before.
    pub(super) length: usize,
    pub(super) format: Format,
}

/// What can be found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Format {
    Squashfs,
    Cramfs,
    Romfs,
    Jffs2,
    Uimage(Uimage),
    /// Something that is not read here: what, and why not.
    Unread(&'static str, String),
}

impl Format {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Squashfs => "squashfs",
            Self::Cramfs => "cramfs",
            Self::Romfs => "romfs",
            Self::Jffs2 => "jffs2",
            Self::Uimage(_) => "uImage",
            Self::Unread(name, _) => name,
        }
    }
}

/// Everything found, in the dump's order.
pub(super) fn scan(dump: &[u8]) -> Vec<Place> {
    let magics: [&[u8]; 6] = [
        squashfs::MAGIC,
        squashfs::MAGIC_BIG_ENDIAN,
        &cramfs::MAGIC,
        &cramfs::MAGIC_BIG_ENDIAN,
        romfs::MAGIC,
        &uimage::MAGIC,
    ];
    let mut offsets: Vec<usize> = magics.iter().flat_map(|magic| memmem::find_iter(dump, magic)).collect();
    offsets.sort_unstable();
    let (mut places, mut covered) = (Vec::new(), Vec::new());
    let mut end = 0;
    for offset in offsets {
        if offset < end || places.len() >= MAX_PLACES {
            continue;
        }
        let Some((length, format)) = dump.get(offset..).and_then(begins) else { continue };
        // What is behind an image's header is searched: it may be a file system.
        if !matches!(format, Format::Uimage(_)) {
            end = offset.saturating_add(length).min(dump.len());
            covered.push((offset, end));
        }
        places.push(Place { offset, length, format });
    }
    let (logs, nodes) = logs(dump, &covered);
    // A kernel that is a file of a JFFS2 has its header in a node's data, and the rest in others.
    places.retain(|place: &Place| !nodes.iter().any(|(start, end)| (*start..*end).contains(&place.offset)));
    let room = MAX_PLACES.saturating_sub(places.len());
    places.extend(logs.into_iter().take(room));
    places.sort_by_key(|place| place.offset);
    places
}

fn begins(image: &[u8]) -> Option<(usize, Format)> {
    if image.starts_with(squashfs::MAGIC) || image.starts_with(squashfs::MAGIC_BIG_ENDIAN) {
        return squashfs::header(image).map(|header| match header {
            squashfs::Header::Four(length) => (length, Format::Squashfs),
            squashfs::Header::Other(why) => (0, Format::Unread("squashfs", why)),
        });
    }
    if image.starts_with(&cramfs::MAGIC) {
        return cramfs::length(image).map(|length| (length, Format::Cramfs));
    }
    if image.starts_with(&cramfs::MAGIC_BIG_ENDIAN) {
        let named = image.get(16..32) == Some(b"Compressed ROMFS");
        return named
            .then(|| (0, Format::Unread("cramfs", "big-endian: not of a board with ARM".to_owned())));
    }
    if image.starts_with(romfs::MAGIC) {
        return romfs::length(image).map(|length| (length, Format::Romfs));
    }
    let found = uimage::header(image)?;
    Some((found.size.saturating_add(64), Format::Uimage(found)))
}

/// The JFFS2 partitions in what no other file system covers, and where each node lies.
fn logs(dump: &[u8], covered: &[(usize, usize)]) -> (Vec<Place>, Vec<(usize, usize)>) {
    let mut cuts: Vec<usize> = partition_ends(dump);
    cuts.extend(covered.iter().flat_map(|(start, end)| [*start, *end]));
    cuts.extend([0, dump.len()]);
    cuts.retain(|cut| *cut <= dump.len());
    cuts.sort_unstable();
    cuts.dedup();
    let mut nodes = Vec::new();
    let free =
        cuts.windows(2).filter(|pair| !covered.iter().any(|(start, end)| (*start..*end).contains(&pair[0])));
    let places = free.filter_map(|pair| log(dump, pair[0], pair[1], &mut nodes)).collect();
    (places, nodes)
}

/// From the first good node to the end of the last.
fn log(dump: &[u8], from: usize, to: usize, nodes: &mut Vec<(usize, usize)>) -> Option<Place> {
    let part = dump.get(from..to)?;
    let (mut first, mut end, mut at) = (None, 0, 0);
    while let Some(step) = memmem::find(part.get(at..)?, &[0x85, 0x19]) {
        at += step;
        match part.get(at..).and_then(jffs2_node::length).filter(|_| (from + at).is_multiple_of(jffs2::ALIGN))
        {
            Some(length) => {
                first.get_or_insert(at);
                nodes.push((from + at, from + at.saturating_add(length)));
                end = at.saturating_add(length).min(part.len());
                at = end.max(at + 1);
            }
            None => at += 1,
        }
    }
    let first = first?;
    Some(Place { offset: from + first, length: end - first, format: Format::Jffs2 })
}

/// Where partitions end, when the dump holds a command line for one chip: the boot loader's environment.
fn partition_ends(dump: &[u8]) -> Vec<usize> {
    const LONGEST: usize = 1024;
    let lines = memmem::find_iter(dump, b"mtdparts=").take(MAX_PLACES);
    let ends = lines.filter_map(|at| {
        let line = dump.get(at..)?.split(|byte| *byte == 0 || *byte == b'\n').next()?;
        let line = String::from_utf8_lossy(&line[..line.len().min(LONGEST)]).into_owned();
        let mut chips = CommandLine::parse(&line).flash;
        (chips.len() == 1).then(|| chips.remove(0).partitions)
    });
    let Some(partitions) = ends.max_by_key(Vec::len) else { return Vec::new() };
    let mut next = 0_u64;
    let mut found = Vec::new();
    for partition in partitions {
        let start = partition.offset.unwrap_or(next);
        let PartSize::Bytes(size) = partition.size else { break };
        next = start.saturating_add(size);
        found.extend([start, next].into_iter().filter_map(|end| usize::try_from(end).ok()));
    }
    found
}
