//! One node of a JFFS2, little-endian, and what its data unpacks to.
//!
//! Source: Linux's `include/uapi/linux/jffs2.h`.
//!
//! Does not belong here: how nodes make files (`jffs2.rs`).

use crc32fast::Hasher;

use super::cramfs::inflate;
use super::field::{le16, le32, piece};

const MAGIC: u16 = 0x1985;
const DIRENT: u16 = 0xE001;
const INODE: u16 = 0xE002;
/// A node says no more data than a page.
const MAX_DATA: u32 = 64 << 10;

/// A node whose checksums are right.
#[derive(Debug)]
pub(super) enum Node<'a> {
    /// A name: in which folder, of which inode (0 takes the name away).
    Name { folder: u32, version: u32, inode: u32, name: &'a [u8] },
    /// A piece of a file.
    Piece(Piece<'a>),
    /// Of another type, or damaged behind its header.
    Other { damaged: bool },
}

/// A piece of a file.
#[derive(Debug)]
pub(super) struct Piece<'a> {
    pub(super) inode: u32,
    pub(super) version: u32,
    pub(super) mode: u32,
    /// The file's size once this piece is written.
    pub(super) file_size: u32,
    pub(super) offset: u32,
    pub(super) size: u32,
    compression: u8,
    data: &'a [u8],
}

/// The length of the node that begins here, when its header's checksum is right.
pub(super) fn length(image: &[u8]) -> Option<usize> {
    let total = le32(image, 4)? as usize;
    let head = piece(image, 0, 8)?;
    (le16(image, 0)? == MAGIC && total >= 12 && crc(head) == le32(image, 8)?).then_some(total)
}

/// Reads a node whose header was found good.
pub(super) fn node(image: &[u8], length: usize) -> Node<'_> {
    let whole = piece(image, 0, length);
    match le16(image, 2) {
        Some(DIRENT) => whole.and_then(name).unwrap_or(Node::Other { damaged: true }),
        Some(INODE) => whole.and_then(data).map_or(Node::Other { damaged: true }, Node::Piece),
        _ => Node::Other { damaged: false },
    }
}

fn name(node: &[u8]) -> Option<Node<'_>> {
    let length = usize::from(*node.get(28)?);
    let name = piece(node, 40, length)?;
    (crc(piece(node, 0, 32)?) == le32(node, 32)? && crc(name) == le32(node, 36)?).then_some(Node::Name {
        folder: le32(node, 12)?,
        version: le32(node, 16)?,
        inode: le32(node, 20)?,
        name,
    })
}

fn data(node: &[u8]) -> Option<Piece<'_>> {
    let data = piece(node, 68, le32(node, 48)? as usize)?;
    let found = Piece {
        inode: le32(node, 12)?,
        version: le32(node, 16)?,
        mode: le32(node, 20)?,
        file_size: le32(node, 28)?,
        offset: le32(node, 44)?,
        size: le32(node, 52)?,
        compression: *node.get(56)?,
        data,
    };
    let good = crc(piece(node, 0, 60)?) == le32(node, 64)? && crc(data) == le32(node, 60)?;
    (good && found.size <= MAX_DATA).then_some(found)
}

impl Piece<'_> {
    /// Its bytes.
    ///
    /// # Errors
    /// In words, when they are damaged or packed in a way that is not read here.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, String> {
        let size = self.size as usize;
        let unpacked = match self.compression {
            0 => self.data.get(..size).map(<[u8]>::to_vec),
            1 => Some(vec![0; size]),
            2 => rtime(self.data, size),
            6 => inflate(self.data, size),
            other => return Err(format!("packed with JFFS2's compression {other}, which is not read here")),
        };
        unpacked.ok_or_else(|| "does not unpack".to_owned())
    }
}

/// JFFS2's own: a byte, and how many more follow from where that byte stood last.
fn rtime(packed: &[u8], size: usize) -> Option<Vec<u8>> {
    let mut last = [0_usize; 256];
    let mut out: Vec<u8> = Vec::with_capacity(size);
    let mut pairs = packed.chunks_exact(2);
    while out.len() < size {
        let [value, repeat] = *pairs.next()? else { return None };
        out.push(value);
        let from = last[usize::from(value)];
        last[usize::from(value)] = out.len();
        for place in from..from + usize::from(repeat) {
            if out.len() >= size {
                break;
            }
            out.push(*out.get(place)?);
        }
    }
    Some(out)
}

/// As the kernel counts it here: beginning with zeros, and not turned over at the end.
fn crc(bytes: &[u8]) -> u32 {
    let mut hasher = Hasher::new_with_initial(!0);
    hasher.update(bytes);
    !hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_kernels() {
        // A clean marker as every erased block of every JFFS2 begins: magic, type 0x2003, 12 bytes.
        let marker = [0x85, 0x19, 0x03, 0x20, 0x0C, 0x00, 0x00, 0x00, 0xB1, 0xB0, 0x1E, 0xE4];
        assert_eq!(length(&marker), Some(12));
        assert_eq!(crc(&[]), 0);
    }

    #[test]
    fn repetitions_unpack() {
        assert_eq!(rtime(b"a\0b\0a\x03", 6).unwrap(), b"ababab");
        assert_eq!(rtime(b"a\0", 2), None);
    }
}
