//! Flash images: what each bank of NOR flash holds, byte for byte.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

use board::{Flash, Partition, PartitionRole};
use hal::FlashGeometry;
use update::SlotWriter;

use super::bundle::Sealed;
use super::flash_file::{ERASED, FlashFile};
use super::places::Places;
use crate::workspace::Failure;

/// Each of QEMU's two banks.
const BANK_BYTES: u64 = 64 << 20;
/// U-Boot for QEMU's 32-bit ARM boards, from Debian's package u-boot-qemu.
const BOOT_LOADER: &str = "/usr/lib/u-boot/qemu_arm/u-boot.bin";

/// Writes the boot loader's bank.
pub(super) fn write_boot(places: &Places) -> Result<(), Failure> {
    let loader = fs::read(BOOT_LOADER).map_err(|error| format!("{BOOT_LOADER}: {error}"))?;
    let file = File::create(places.boot())?;
    file.set_len(BANK_BYTES)?;
    Ok(file.write_all_at(&loader, 0)?)
}

/// Writes the bank that holds all else: environment, stages, and the bundle's root in slot A. Slot B and the state are
/// empty.
pub(super) fn write_nor(
    places: &Places,
    layout: &str,
    flash: &Flash,
    sealed: &Sealed,
) -> Result<(), Failure> {
    let bank = Bank {
        file: File::options().read(true).write(true).create(true).truncate(true).open(places.nor(layout))?,
        flash,
    };
    let erased = vec![ERASED; 1 << 20];
    for at in (0..BANK_BYTES).step_by(erased.len()) {
        bank.file.write_all_at(&erased, at)?;
    }
    bank.put(PartitionRole::Environment, &places.environment(layout))?;
    for stage in [PartitionRole::Recovery, PartitionRole::RecoveryB] {
        if flash.partition(stage).is_some() {
            bank.put(stage, &places.stage())?;
        }
    }
    let main = bank.partition(PartitionRole::Main)?;
    let geometry = FlashGeometry {
        size: u32::try_from(main.size.bytes())?,
        erase_block: u32::try_from(header_bytes(flash)?)?,
    };
    let mut slot = FlashFile::new(&bank.file, bank.at(main)?, geometry);
    let mut image = File::open(&sealed.path)?;
    image.seek(SeekFrom::Start(sealed.bundle.image_offset()))?;
    let root = SlotWriter::new(&mut slot, sealed.bundle.envelope())?.write_root(image, &mut |_| ())?;
    Ok(root.finish()?)
}

/// The room of a slot's header: its last erase block.
pub(super) fn header_bytes(flash: &Flash) -> Result<u64, Failure> {
    Ok(flash.erase_block.ok_or("the flash's erase block is not known")?.bytes())
}

struct Bank<'a> {
    file: File,
    flash: &'a Flash,
}

impl Bank<'_> {
    fn partition(&self, role: PartitionRole) -> Result<&Partition, Failure> {
        self.flash.partition(role).ok_or_else(|| format!("the flash has no partition for {role:?}").into())
    }

    /// Where a partition begins in this bank, the second.
    fn at(&self, partition: &Partition) -> Result<u64, Failure> {
        partition
            .offset()
            .checked_sub(BANK_BYTES)
            .filter(|at| at + partition.size.bytes() <= BANK_BYTES)
            .ok_or_else(|| format!("partition {} is not in the second bank", partition.name).into())
    }

    fn put(&self, role: PartitionRole, path: &Path) -> Result<(), Failure> {
        let partition = self.partition(role)?;
        let content = fs::read(path)?;
        if content.len() as u64 > partition.size.bytes() {
            return Err(format!("{} does not fit partition {}", path.display(), partition.name).into());
        }
        Ok(self.file.write_all_at(&content, self.at(partition)?)?)
    }
}
