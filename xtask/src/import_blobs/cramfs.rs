//! cramfs, little-endian: zlib in blocks of 4 KiB.
//!
//! Source: Linux's `Documentation/filesystems/cramfs.rst`.
//!
//! Does not belong here: block pointers with flags (2017), which no vendor's kernel of these boards knows: told, not read.

use crc32fast::Hasher;
use flate2::{Decompress, FlushDecompress, Status};

use super::field::{le16, le32, piece};
use super::keep::Keep;
use super::limits::{MAX_DEPTH, MAX_ENTRIES};

pub(super) const MAGIC: [u8; 4] = [0x45, 0x3D, 0xCD, 0x28];
/// The same written by a big-endian machine.
pub(super) const MAGIC_BIG_ENDIAN: [u8; 4] = [0x28, 0xCD, 0x3D, 0x45];
const SIGNATURE: &[u8] = b"Compressed ROMFS";
const ROOT: usize = 64;
const INODE: usize = 12;
/// The vendor's kernels have pages of 4 KiB.
const BLOCK: usize = 4096;

/// `CRAMFS_FLAG_FSID_VERSION_2`: there is a checksum.
const HAS_CRC: u32 = 1;
/// `CRAMFS_FLAG_EXT_BLOCK_POINTERS`.
const EXTENDED: u32 = 0x800;

/// The size that the header says.
pub(super) fn length(image: &[u8]) -> Option<usize> {
    let size = le32(image, 4)? as usize;
    (image.starts_with(&MAGIC) && piece(image, 16, 16)? == SIGNATURE && size >= ROOT + INODE).then_some(size)
}

/// Reads all of it.
pub(super) fn read(image: &[u8], keep: &mut Keep) {
    let (Some(flags), Some(said), Some(root)) = (le32(image, 8), le32(image, 32), inode(image, ROOT)) else {
        keep.problem("the header is not whole");
        return;
    };
    if flags & EXTENDED != 0 {
        keep.problem("block pointers with flags are not read here");
        return;
    }
    if flags & HAS_CRC != 0 && crc(image) != said {
        keep.problem("its checksum is wrong: something in it is damaged or missing");
    }
    let mut left = MAX_ENTRIES;
    folder(image, &root, "", MAX_DEPTH, &mut left, keep);
    if left == 0 {
        keep.problem("more names than a recorder has");
    }
}

struct Inode {
    mode: u16,
    size: usize,
    name_length: usize,
    offset: usize,
}

fn inode(image: &[u8], at: usize) -> Option<Inode> {
    let place = le32(image, at + 8)?;
    Some(Inode {
        mode: le16(image, at)?,
        size: (le32(image, at + 4)? & 0x00FF_FFFF) as usize,
        name_length: ((place & 0x3F) * 4) as usize,
        offset: ((place >> 6) * 4) as usize,
    })
}

fn folder(image: &[u8], of: &Inode, path: &str, depth: usize, left: &mut usize, keep: &mut Keep) {
    let (mut at, end) = (of.offset, of.offset + of.size);
    while at < end && *left > 0 {
        *left -= 1;
        let name = |found: &Inode| piece(image, at + INODE, found.name_length);
        let Some((found, name)) =
            inode(image, at).and_then(|found| Some((name(&found)?, found))).map(|(n, f)| (f, n))
        else {
            keep.problem(&format!("{path}: a folder is not whole"));
            return;
        };
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        let path = format!("{path}{}", String::from_utf8_lossy(name));
        match found.mode & 0o170_000 {
            0o040_000 if depth > 0 => folder(image, &found, &format!("{path}/"), depth - 1, left, keep),
            0o100_000 if keep.wants(&path, found.size as u64) => match content(image, &found) {
                Some(bytes) => keep.take(&path, bytes),
                None => keep.problem(&format!("{path}: damaged, or not all in the dump")),
            },
            0o120_000 => keep.link(&path, &content(image, &found).unwrap_or_default()),
            _ => {}
        }
        at += INODE + found.name_length;
    }
}

/// Pointers to each block's end, and the blocks behind them.
fn content(image: &[u8], file: &Inode) -> Option<Vec<u8>> {
    let blocks = file.size.div_ceil(BLOCK);
    let mut start = file.offset.checked_add(4 * blocks)?;
    let mut bytes = Vec::new();
    for number in 0..blocks {
        let end = le32(image, file.offset + 4 * number)? as usize;
        let want = BLOCK.min(file.size - bytes.len());
        // A block without bytes is a hole.
        if end == start {
            bytes.resize(bytes.len() + want, 0);
        } else {
            bytes.extend(inflate(image.get(start..end)?, want)?);
        }
        start = end;
    }
    Some(bytes)
}

/// Exactly `want` bytes out of a zlib stream.
pub(super) fn inflate(packed: &[u8], want: usize) -> Option<Vec<u8>> {
    let mut out = vec![0; want];
    let mut stream = Decompress::new(true);
    let status = stream.decompress(packed, &mut out, FlushDecompress::Finish).ok()?;
    (stream.total_out() == want as u64 && status != Status::BufError).then_some(out)
}

/// The checksum is made with its own place empty.
fn crc(image: &[u8]) -> u32 {
    let mut crc = Hasher::new();
    crc.update(image.get(..32).unwrap_or(image));
    crc.update(&[0; 4]);
    crc.update(image.get(36..).unwrap_or_default());
    crc.finalize()
}
