//! The seed of footage disks: an empty ext4, for boards that have no mkfs.
//!
//! Made by mke2fs, the same bytes each time. What each option is for stands beside it; docs/ext4-seed.md has the
//! format of the file.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::Command;

use super::tool;
use crate::workspace::Failure;

/// As `system::SEED_MAGIC`; xtask is not built from the firmware's own crates.
const MAGIC: &[u8; 8] = b"CANDSEED";
const VERSION: u32 = 1;
const BLOCK_BYTES: usize = 4096;
/// 48 MiB: room for the journal and the tables to grow into, on the smallest disk there is use for.
const BLOCKS: u32 = 12_288;
/// Any; the label tells disks apart.
const UUID: &str = "63616e64-6f72-4000-8000-000000000001";

/// Makes the seed at `to`; `work` is a folder for what lies between.
pub(super) fn build(work: &Path, to: &Path) -> Result<(), Failure> {
    let image = work.join("ext4.img");
    let _ = fs::remove_file(&image);
    File::create(&image)?.set_len(u64::from(BLOCKS) * BLOCK_BYTES as u64)?;
    let mut make = Command::new("mke2fs");
    make.env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()))
        // The host's mke2fs.conf must not have a say, nor its clock.
        .env("MKE2FS_CONFIG", "/dev/null")
        .env("E2FSPROGS_FAKE_TIME", "1")
        .args(["-q", "-F", "-b", "4096", "-m", "0", "-L", "candor", "-U", UUID])
        // What Linux 3.10 knows; 32 bits of block numbers, which are 16 TiB.
        .args(["-O", "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,flex_bg,sparse_super,large_file,huge_file,uninit_bg,dir_nlink,extra_isize"])
        // Room in the tables to grow to 16 TiB; inode tables are zeroed by the kernel when it has time.
        .args(["-E", &format!("resize=4294967295,hash_seed={UUID},lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=0:0")])
        // Footage is few, large files: 128 inodes for each 128 MiB are plenty. Growing takes a transaction of 1029 blocks, and
        // one may be a quarter of the journal.
        .args(["-I", "256", "-N", "128", "-J", "size=20"])
        .arg(&image)
        .arg(BLOCKS.to_string());
    tool::run(&mut make).map(drop)?;
    let mut bytes = Vec::new();
    File::open(&image)?.read_to_end(&mut bytes)?;
    fs::remove_file(&image)?;
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(to, pack(&bytes))?;
    Ok(())
}

/// Runs of blocks that are not all zero.
fn pack(image: &[u8]) -> Vec<u8> {
    let mut seed = MAGIC.to_vec();
    for number in [VERSION, BLOCK_BYTES as u32, (image.len() / BLOCK_BYTES) as u32] {
        seed.extend(number.to_le_bytes());
    }
    let blocks: Vec<&[u8]> = image.chunks(BLOCK_BYTES).collect();
    let holds = |block: &&[u8]| block.iter().any(|byte| *byte != 0);
    let mut at = 0;
    while at < blocks.len() {
        let count = blocks[at..].iter().take_while(|block| holds(block)).count();
        if count > 0 {
            seed.extend((at as u32).to_le_bytes());
            seed.extend((count as u32).to_le_bytes());
            seed.extend(blocks[at..at + count].concat());
        }
        at += count.max(1);
    }
    seed.extend([0; 8]);
    seed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_blocks_that_hold_something_are_kept() {
        let mut image = vec![0; 10 * BLOCK_BYTES];
        for block in [0, 1, 7] {
            image[block * BLOCK_BYTES + 5] = 9;
        }
        let seed = pack(&image);
        let number = |at: usize| u32::from_le_bytes(seed[at..at + 4].try_into().unwrap());
        assert_eq!([number(8), number(12), number(16)], [1, 4096, 10]);
        assert_eq!([number(20), number(24)], [0, 2]);
        let next = 28 + 2 * BLOCK_BYTES;
        assert_eq!([number(next), number(next + 4)], [7, 1]);
        assert_eq!(seed.len(), next + 8 + BLOCK_BYTES + 8);
    }
}
