//! Squashfs 4.0, by the crate backhand: gzip and xz.
//!
//! Its header is checked here first, because names and inodes are unpacked as a whole. Does not belong here: 2.x and
//! 3.x, which old vendors' systems may have: told, not read.

use std::io::{Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use backhand::kind::{self, Kind};
use backhand::{FilesystemReader, InnerNode};

use super::field::{be32, le16, le32, le64, piece};
use super::keep::Keep;
use super::limits::{MAX_DEPTH, MAX_ENTRIES, MAX_SQUASHFS_TABLE_BYTES};

pub(super) const MAGIC: &[u8] = b"hsqs";
pub(super) const MAGIC_BIG_ENDIAN: &[u8] = b"sqsh";
const HEADER: usize = 96;
const COMPRESSIONS: [(u16, &str); 6] =
    [(1, "gzip"), (2, "lzma"), (3, "lzo"), (4, "xz"), (5, "lz4"), (6, "zstd")];

/// What a header at the start of `image` says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// Of version 4: the length in bytes.
    Four(usize),
    /// Something with the magic number that is not read here: what it is.
    Other(String),
}

/// `None` when it is no header.
pub(super) fn header(image: &[u8]) -> Option<Header> {
    piece(image, 0, HEADER)?;
    if image.starts_with(MAGIC_BIG_ENDIAN) {
        let plausible =
            be32(image, 4)? as usize <= MAX_ENTRIES && image.get(28) == Some(&0) && image.get(29) <= Some(&4);
        return plausible.then(|| Header::Other("big-endian: not of a board with ARM".to_owned()));
    }
    let (major, minor) = (le16(image, 28)?, le16(image, 30)?);
    if !image.starts_with(MAGIC) || !(2..=4).contains(&major) || minor > 1 {
        return None;
    }
    if major < 4 {
        return Some(Header::Other(format!("version {major}.{minor}; unsquashfs may read it")));
    }
    let (block, log, length) = (le32(image, 12)?, le16(image, 22)?, le64(image, 40)?);
    let sane = (12..=20).contains(&log) && block == 1 << log && length >= HEADER as u64;
    sane.then(|| usize::try_from(length).ok().map(Header::Four)).flatten()
}

/// Reads all of it; `image` ends where the file system does.
pub(super) fn read(image: &[u8], keep: &mut Keep) {
    if let Err(why) = may_be_read(image) {
        keep.problem(&why);
        return;
    }
    // What a crate does with a damaged image is not for us to promise: a panic in it is this image's problem.
    let caught = catch_unwind(AssertUnwindSafe(|| files(image, keep)));
    match caught {
        Ok(Ok(())) => {}
        Ok(Err(error)) => keep.problem(&format!("damaged: {error}")),
        Err(_) => keep.problem("damaged: its reader gave up"),
    }
}

fn may_be_read(image: &[u8]) -> Result<(), String> {
    let whole = || "the header is not whole".to_owned();
    let compression = le16(image, 20).ok_or_else(whole)?;
    let inodes = le32(image, 4).ok_or_else(whole)?;
    let (inode_table, directories) = (le64(image, 64).ok_or_else(whole)?, le64(image, 72).ok_or_else(whole)?);
    if ![1, 4].contains(&compression) {
        let name = COMPRESSIONS.iter().find(|(number, _)| *number == compression);
        let name = name.map_or_else(|| format!("compression {compression}"), |(_, name)| (*name).to_owned());
        return Err(format!("packed with {name}, which is not read here; unsquashfs may"));
    }
    let tables = (image.len() as u64).checked_sub(inode_table);
    let sane = inode_table < directories && tables.is_some_and(|bytes| bytes <= MAX_SQUASHFS_TABLE_BYTES);
    if inodes as usize > MAX_ENTRIES || !sane {
        return Err("its tables are larger than a recorder's, or not where they can be".to_owned());
    }
    Ok(())
}

fn files(image: &[u8], keep: &mut Keep) -> Result<(), String> {
    let kind = Kind::from_const(kind::LE_V4_0)?;
    let reader = FilesystemReader::from_reader_with_offset_and_kind(Cursor::new(image), 0, kind)
        .map_err(|error| error.to_string())?;
    for node in reader.files().take(MAX_ENTRIES) {
        if node.fullpath.components().count() > MAX_DEPTH {
            continue;
        }
        let path = node.fullpath.to_string_lossy();
        let path = path.trim_start_matches('/');
        match &node.inner {
            InnerNode::File(file) if keep.wants(path, file.file_len() as u64) => {
                let mut bytes = Vec::new();
                let content = reader.file(file).reader();
                match content.take(file.file_len() as u64).read_to_end(&mut bytes) {
                    Ok(length) if length == file.file_len() => keep.take(path, bytes),
                    Ok(_) => keep.problem(&format!("{path}: not whole")),
                    Err(error) => keep.problem(&format!("{path}: {error}")),
                }
            }
            InnerNode::Symlink(link) => keep.link(path, link.link.as_os_str().as_encoded_bytes()),
            _ => {}
        }
    }
    Ok(())
}
