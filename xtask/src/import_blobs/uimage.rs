//! U-Boot's legacy image header: told for the record, and the kernel's place.
//!
//! Source: U-Boot's `include/image.h`.
//!
//! Does not belong here: images in a flattened tree (FIT): no vendor's loader of these boards knows them.

use super::field::{be32, piece};

pub(super) const MAGIC: [u8; 4] = [0x27, 0x05, 0x19, 0x56];
const HEADER: usize = 64;

/// `IH_OS_LINUX`, `IH_TYPE_KERNEL`, `IH_COMP_NONE`.
const LINUX_KERNEL_PLAIN: [u8; 3] = [5, 2, 0];

/// A header whose own checksum is right.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Uimage {
    pub(super) name: String,
    pub(super) size: usize,
    pub(super) load: u32,
    pub(super) entry: u32,
    /// Operating system, type, compression, as numbers.
    kind: [u8; 3],
    data_crc: u32,
}

/// Reads the header at the start of `image`.
pub(super) fn header(image: &[u8]) -> Option<Uimage> {
    let mut head: [u8; HEADER] = piece(image, 0, HEADER)?.try_into().ok()?;
    let said = be32(&head, 4)?;
    head[4..8].fill(0);
    if head[..4] != MAGIC || crc32fast::hash(&head) != said {
        return None;
    }
    let name = head[32..].split(|byte| *byte == 0).next().unwrap_or_default();
    Some(Uimage {
        name: String::from_utf8_lossy(name).into_owned(),
        size: be32(&head, 12)? as usize,
        load: be32(&head, 16)?,
        entry: be32(&head, 20)?,
        kind: [head[28], head[30], head[31]],
        data_crc: be32(&head, 24)?,
    })
}

/// What is behind the header, when it is a kernel that starts itself (a zImage); `None` for any other image.
///
/// # Errors
/// In words, when it is not whole.
pub(super) fn kernel(image: &[u8], found: &Uimage) -> Result<Option<Vec<u8>>, String> {
    if found.kind != LINUX_KERNEL_PLAIN {
        return Ok(None);
    }
    match piece(image, HEADER, found.size) {
        None => Err(format!("the kernel's {} bytes are not all in the dump", found.size)),
        Some(data) if crc32fast::hash(data) != found.data_crc => {
            Err("the kernel's checksum is wrong; left out".to_owned())
        }
        Some(data) => Ok(Some(data.to_vec())),
    }
}
