//! The seed of a footage disk: a small, empty ext4 without its zeros.
//!
//! A board has no mkfs. What `mke2fs` makes is made when the image is built; here it is written to a disk, and
//! the kernel grows it to the disk's size (`hal_linux::grow_ext4`). docs/ext4-seed.md has the bytes.
//!
//! Invariant: the first block is written last, so that a disk on which writing was cut is not taken for one of ours.

use std::io::{self, Read, Seek, SeekFrom, Write};

use crate::disks::LABEL_PREFIX;
use crate::error::{ErrorKind, SystemError};

/// The first bytes.
pub const SEED_MAGIC: [u8; 8] = *b"CANDSEED";
/// Another one is refused.
pub const SEED_VERSION: u32 = 1;
/// The only block size: what every ARM kernel mounts.
pub const SEED_BLOCK_BYTES: u32 = 4096;
/// A larger seed is a mistake: this is 1 GiB.
const MAX_BLOCKS: u32 = 1 << 18;
/// Wiped at both ends, so that no signature of what was there survives: GPT keeps one in the last sector.
const WIPE_BYTES: usize = 1 << 20;
/// The label in the first block: the superblock begins at 1024, the label 0x78 behind.
const LABEL: std::ops::Range<usize> = 1024 + 0x78..1024 + 0x88;

/// Writes the seed to `disk`, which has `disk_bytes`, under a label that ends in `number`. Nothing of what was there can be
/// reached afterwards.
///
/// # Errors
/// `Malformed` for a seed that is none, `Unsupported` for a disk that it does not fit on, `Device` when writing fails.
pub fn sow<D: Write + Seek>(
    seed: &mut impl Read,
    disk: &mut D,
    disk_bytes: u64,
    number: u32,
) -> Result<(), SystemError> {
    let [version, block_bytes, blocks] = head(seed)?;
    if version != SEED_VERSION || block_bytes != SEED_BLOCK_BYTES || blocks == 0 || blocks > MAX_BLOCKS {
        return Err(malformed("it is of another version"));
    }
    if disk_bytes < u64::from(blocks) * u64::from(block_bytes) + WIPE_BYTES as u64 {
        return Err(SystemError::new(ErrorKind::Unsupported, "the disk is too small for a file system"));
    }
    let failed = |error: io::Error| SystemError::io("the disk cannot be formatted", error);
    let zeros = vec![0; WIPE_BYTES];
    for place in [0, disk_bytes - WIPE_BYTES as u64] {
        disk.seek(SeekFrom::Start(place)).and_then(|_| disk.write_all(&zeros)).map_err(failed)?;
    }
    let mut first = None;
    let mut block = vec![0; block_bytes as usize];
    let mut next = 0;
    loop {
        let [start, count] = numbers(seed)?;
        if count == 0 {
            break;
        }
        if start < next || start.checked_add(count).is_none_or(|end| end > blocks) {
            return Err(malformed("its blocks are out of order"));
        }
        for number in start..start + count {
            seed.read_exact(&mut block).map_err(|_| malformed("it is cut short"))?;
            if number == 0 {
                first = Some(block.clone());
                continue;
            }
            let place = u64::from(number) * u64::from(block_bytes);
            disk.seek(SeekFrom::Start(place)).and_then(|_| disk.write_all(&block)).map_err(failed)?;
        }
        next = start + count;
    }
    let mut first = first.ok_or_else(|| malformed("it has no first block"))?;
    let label = format!("{LABEL_PREFIX}-{number:08x}");
    first[LABEL].fill(0);
    first[LABEL][..label.len()].copy_from_slice(label.as_bytes());
    disk.flush().map_err(failed)?;
    disk.seek(SeekFrom::Start(0))
        .and_then(|_| disk.write_all(&first))
        .and_then(|()| disk.flush())
        .map_err(failed)
}

fn head(seed: &mut impl Read) -> Result<[u32; 3], SystemError> {
    let mut magic = [0; 8];
    seed.read_exact(&mut magic).map_err(|_| malformed("it is cut short"))?;
    if magic != SEED_MAGIC {
        return Err(malformed("it does not begin as one"));
    }
    numbers(seed)
}

/// Little-endian, as everything of ours.
fn numbers<const N: usize>(seed: &mut impl Read) -> Result<[u32; N], SystemError> {
    let mut numbers = [0; N];
    for number in &mut numbers {
        let mut bytes = [0; 4];
        seed.read_exact(&mut bytes).map_err(|_| malformed("it is cut short"))?;
        *number = u32::from_le_bytes(bytes);
    }
    Ok(numbers)
}

fn malformed(why: &str) -> SystemError {
    SystemError::new(ErrorKind::Malformed, format!("the seed for disks is damaged: {why}"))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn seed(runs: &[(u32, &[u8])], blocks: u32) -> Vec<u8> {
        let mut bytes = SEED_MAGIC.to_vec();
        for number in [SEED_VERSION, SEED_BLOCK_BYTES, blocks] {
            bytes.extend(number.to_le_bytes());
        }
        for (start, fills) in runs {
            bytes.extend(start.to_le_bytes());
            bytes.extend((fills.len() as u32).to_le_bytes());
            for fill in *fills {
                bytes.extend([*fill; SEED_BLOCK_BYTES as usize]);
            }
        }
        bytes.extend([0; 8]);
        bytes
    }

    #[test]
    fn blocks_go_where_they_belong_and_old_signatures_go() {
        let disk_bytes = 8 << 20;
        let mut disk = Cursor::new(vec![0xAA; disk_bytes]);
        sow(
            &mut seed(&[(0, &[1, 2]), (700, &[3])], 1024).as_slice(),
            &mut disk,
            disk_bytes as u64,
            0x1f2e3d4c,
        )
        .unwrap();
        let disk = disk.into_inner();
        assert_eq!((disk[0], disk[4096], disk[8192], disk[700 * 4096]), (1, 2, 0, 3));
        assert_eq!(&disk[LABEL], b"candor-1f2e3d4c\0");
        assert!(disk[disk_bytes - WIPE_BYTES..].iter().all(|byte| *byte == 0));
        assert_eq!(disk.len(), disk_bytes);
    }

    #[test]
    fn a_damaged_seed_or_a_small_disk_leaves_no_first_block() {
        let good = seed(&[(0, &[1]), (3, &[2])], 1024);
        let mut bad = vec![good[..good.len() - 9].to_vec(), good[..30].to_vec(), b"CANDSEEE".to_vec()];
        bad.push(seed(&[(3, &[2]), (0, &[1])], 1024));
        bad.push(seed(&[(0, &[1]), (1023, &[2, 3])], 1024));
        bad.push(seed(&[(1, &[1])], 1024));
        for seed in bad {
            let mut disk = Cursor::new(vec![0xAA; 8 << 20]);
            let error = sow(&mut seed.as_slice(), &mut disk, 8 << 20, 1).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Malformed);
            assert_ne!(disk.get_ref()[0], 1);
        }
        let mut disk = Cursor::new(vec![0xAA; 4 << 20]);
        let error = sow(&mut good.as_slice(), &mut disk, 4 << 20, 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(disk.get_ref().iter().all(|byte| *byte == 0xAA), "nothing was touched");
    }
}
