//! romfs: big-endian headers in a list, nothing compressed.
//!
//! Source: Linux's `Documentation/filesystems/romfs.rst`.

use super::field::{be32, piece};
use super::keep::Keep;
use super::limits::{MAX_DEPTH, MAX_ENTRIES};

pub(super) const MAGIC: &[u8] = b"-rom1fs-";
/// Names and headers begin at multiples of 16.
const ALIGN: usize = 16;
/// The checksum covers so much of the beginning.
const SUMMED: usize = 512;
/// A longer name has no end.
const MAX_NAME: usize = 256;

/// The size that the header says, when its checksum is right.
pub(super) fn length(image: &[u8]) -> Option<usize> {
    let size = be32(image, 8)? as usize;
    let summed = piece(image, 0, SUMMED.min(size))?;
    let sum = summed.chunks_exact(4).fold(0_u32, |sum, word| sum.wrapping_add(be32(word, 0).unwrap_or(0)));
    (image.starts_with(MAGIC) && size >= 32 && sum == 0).then_some(size)
}

/// Reads all of it.
pub(super) fn read(image: &[u8], keep: &mut Keep) {
    let Some((_, first)) = name(image, 16) else {
        keep.problem("the header has no end");
        return;
    };
    let mut left = MAX_ENTRIES;
    folder(image, first, "", MAX_DEPTH, &mut left, keep);
    if left == 0 {
        keep.problem("more names than a recorder has");
    }
}

fn folder(image: &[u8], first: usize, path: &str, depth: usize, left: &mut usize, keep: &mut Keep) {
    let mut at = first;
    while at != 0 && *left > 0 {
        *left -= 1;
        let Some(file) = header(image, at) else {
            keep.problem(&format!("{path}: a header at {at:#x} is not whole"));
            return;
        };
        // `.` and `..` are hard links to folders that are read anyway.
        let path = format!("{path}{}", file.name);
        match file.kind {
            1 if depth > 0 && file.name != "." && file.name != ".." => {
                folder(image, file.info, &format!("{path}/"), depth - 1, left, keep);
            }
            2 if keep.wants(&path, file.size as u64) => match piece(image, file.data, file.size) {
                Some(bytes) => keep.take(&path, bytes.to_vec()),
                None => keep.problem(&format!("{path}: its bytes are not all in the dump")),
            },
            3 => keep.link(&path, piece(image, file.data, file.size).unwrap_or_default()),
            _ => {}
        }
        at = file.next;
    }
}

struct Header {
    next: usize,
    kind: u32,
    info: usize,
    size: usize,
    name: String,
    data: usize,
}

fn header(image: &[u8], at: usize) -> Option<Header> {
    let next = be32(image, at)?;
    let (name, data) = name(image, at.checked_add(16)?)?;
    Some(Header {
        // The low bits say the kind, and whether it may be executed.
        next: (next & !0xF) as usize,
        kind: next & 7,
        info: (be32(image, at + 4)? & !0xF) as usize,
        size: be32(image, at + 8)? as usize,
        name,
        data,
    })
}

/// A name, and where what follows it begins.
fn name(image: &[u8], at: usize) -> Option<(String, usize)> {
    let rest = image.get(at..)?;
    let length = rest.iter().take(MAX_NAME).position(|byte| *byte == 0)?;
    let name = String::from_utf8_lossy(&rest[..length]).into_owned();
    Some((name, at.checked_add((length + 1).next_multiple_of(ALIGN))?))
}
