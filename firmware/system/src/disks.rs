//! Disks: which there are, and what is on them.
//!
//! Reads `/sys/block` and the first MiB of a disk, nothing else: a disk that is not ours is only looked at.
//! Does not belong here: mounting (`mount.rs`), formatting (`format.rs`), and when to do either.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Volumes that this firmware made are labelled so, with a number behind it.
pub const LABEL_PREFIX: &str = "candor";
/// How much of a disk must be zero to count as blank: partition tables and every common file system's first
/// signature lie within it.
const BLANK_BYTES: u64 = 1 << 20;
/// More disks than this are not looked at: no board has more sockets.
const MAX_DISKS: usize = 16;
/// ext2/3/4: the superblock's place, and of its magic and label in it (Documentation/filesystems/ext4).
const SUPERBLOCK: usize = 1024;
const MAGIC: std::ops::Range<usize> = SUPERBLOCK + 0x38..SUPERBLOCK + 0x3A;
const LABEL: std::ops::Range<usize> = SUPERBLOCK + 0x78..SUPERBLOCK + 0x88;

/// How a disk is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bus {
    /// SATA.
    Sata,
    /// USB.
    Usb,
    /// Anything else.
    Other,
}

/// A disk as the kernel has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// The kernel's name: `sda`.
    pub name: String,
    /// This attachment of it: another one when it was pulled and plugged in again under the same name.
    pub instance: u64,
    /// What its maker calls it.
    pub model: String,
    /// Its size.
    pub bytes: u64,
    /// How it is attached.
    pub bus: Bus,
    /// A stick or a card, meant to be pulled: never formatted without being asked.
    pub removable: bool,
    /// Its partitions' names: `sda1`.
    pub partitions: Vec<String>,
}

/// What is on a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A volume that this firmware made, on the disk itself or on a partition of it.
    Ours {
        /// The device's name: `sda` or `sda1`.
        device: String,
    },
    /// Nothing at all.
    Blank,
    /// Something, of somebody else.
    Foreign,
}

/// Where the kernel shows its disks.
#[derive(Clone, Debug)]
pub struct DiskPlaces {
    /// `/sys/block`.
    pub sys_block: PathBuf,
    /// `/dev`.
    pub dev: PathBuf,
}

impl Default for DiskPlaces {
    fn default() -> Self {
        Self { sys_block: "/sys/block".into(), dev: "/dev".into() }
    }
}

impl DiskPlaces {
    /// The SCSI disks (SATA and USB are), SATA first, then by name.
    #[must_use]
    pub fn list(&self) -> Vec<Disk> {
        // No /sys/block: a kernel without block devices has no disks.
        let Ok(entries) = fs::read_dir(&self.sys_block) else { return Vec::new() };
        let mut disks: Vec<Disk> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| name.starts_with("sd"))
            .filter_map(|name| self.disk(name))
            .take(MAX_DISKS)
            .collect();
        disks.sort_by(|a, b| (a.bus, &a.name).cmp(&(b.bus, &b.name)));
        disks
    }

    /// The path of a device.
    #[must_use]
    pub fn device(&self, name: &str) -> PathBuf {
        self.dev.join(name)
    }

    /// Reads as much of a disk as it takes to know.
    ///
    /// # Errors
    /// The disk's.
    pub fn look(&self, disk: &Disk) -> io::Result<Content> {
        let start = self.start_of(&disk.name)?;
        if is_ours(&start) {
            return Ok(Content::Ours { device: disk.name.clone() });
        }
        for partition in &disk.partitions {
            if is_ours(&self.start_of(partition)?) {
                return Ok(Content::Ours { device: partition.clone() });
            }
        }
        let blank = disk.partitions.is_empty() && start.iter().all(|byte| *byte == 0);
        Ok(if blank { Content::Blank } else { Content::Foreign })
    }

    /// `None` for a disk that went away meanwhile, or has no medium.
    fn disk(&self, name: String) -> Option<Disk> {
        let dir = self.sys_block.join(&name);
        let text = |file: &str| fs::read_to_string(dir.join(file)).ok().map(|text| text.trim().to_owned());
        // Linux counts in sectors of 512 bytes, whatever the disk's own are.
        let bytes = text("size")?.parse::<u64>().ok()?.checked_mul(512).filter(|bytes| *bytes > 0)?;
        let place = fs::canonicalize(&dir).unwrap_or_default();
        let place = place.to_string_lossy();
        let mut partitions: Vec<String> = fs::read_dir(&dir)
            .ok()?
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|entry| entry.starts_with(&name) && dir.join(entry).join("partition").exists())
            .collect();
        partitions.sort();
        Some(Disk {
            instance: fs::metadata(&dir).ok()?.ino(),
            model: text("device/model").unwrap_or_default(),
            bytes,
            bus: if place.contains("/usb") {
                Bus::Usb
            } else if place.contains("/ata") {
                Bus::Sata
            } else {
                Bus::Other
            },
            removable: text("removable").is_some_and(|flag| flag == "1"),
            partitions,
            name,
        })
    }

    fn start_of(&self, device: &str) -> io::Result<Vec<u8>> {
        let mut start = Vec::new();
        File::open(self.device(device))?.take(BLANK_BYTES).read_to_end(&mut start)?;
        Ok(start)
    }
}

/// An ext file system with our label.
fn is_ours(start: &[u8]) -> bool {
    start.get(MAGIC) == Some(&[0x53, 0xEF])
        && start.get(LABEL).is_some_and(|label| label.starts_with(LABEL_PREFIX.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A kernel's view made of files.
    struct Kernel {
        dir: tempfile::TempDir,
        places: DiskPlaces,
    }

    impl Kernel {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let places = DiskPlaces { sys_block: dir.path().join("block"), dev: dir.path().join("dev") };
            fs::create_dir(&places.sys_block).unwrap();
            fs::create_dir(&places.dev).unwrap();
            Self { dir, places }
        }

        fn plug(&self, name: &str, place: &str, sectors: u64, removable: u8, start: &[u8]) {
            let home = self.dir.path().join("devices").join(place).join(name);
            fs::create_dir_all(home.join("device")).unwrap();
            fs::write(home.join("size"), format!("{sectors}\n")).unwrap();
            fs::write(home.join("removable"), format!("{removable}\n")).unwrap();
            fs::write(home.join("device/model"), "QEMU HARDDISK   \n").unwrap();
            symlink(&home, self.places.sys_block.join(name)).unwrap();
            fs::write(self.places.device(name), start).unwrap();
        }

        fn part(&self, disk: &str, name: &str, start: &[u8]) {
            let home = self.places.sys_block.join(disk).join(name);
            fs::create_dir(&home).unwrap();
            fs::write(home.join("partition"), "1\n").unwrap();
            fs::write(self.places.device(name), start).unwrap();
        }
    }

    fn ext4(label: &str) -> Vec<u8> {
        let mut start = vec![0; 4096];
        start[MAGIC].copy_from_slice(&[0x53, 0xEF]);
        start[LABEL][..label.len()].copy_from_slice(label.as_bytes());
        start
    }

    #[test]
    fn disks_are_listed_sata_first_and_the_rest_is_left_out() {
        let kernel = Kernel::new();
        kernel.plug("sda", "pci0/usb1/1-1/host2", 100, 1, &[]);
        kernel.plug("sdb", "pci0/ata1/host0", 2048, 0, &[]);
        kernel.plug("mtdblock0", "platform", 2048, 0, &[]);
        kernel.plug("sdc", "pci0/usb1/1-2/host3", 0, 1, &[]);
        let disks = kernel.places.list();
        let shown: Vec<_> =
            disks.iter().map(|d| (d.name.as_str(), d.bus, d.bytes, d.removable, d.model.as_str())).collect();
        assert_eq!(
            shown,
            [
                ("sdb", Bus::Sata, 1 << 20, false, "QEMU HARDDISK"),
                ("sda", Bus::Usb, 51_200, true, "QEMU HARDDISK")
            ]
        );
    }

    #[test]
    fn what_is_on_a_disk_is_told_apart() {
        let kernel = Kernel::new();
        let zero = vec![0; 1 << 20];
        let mut table = zero.clone();
        table[510..512].copy_from_slice(&[0x55, 0xAA]);
        let mut late = zero.clone();
        late[(1 << 20) - 1] = 1;
        for (name, start) in [
            ("sda", ext4("candor-1f2e3d4c")),
            ("sdb", zero.clone()),
            ("sdc", ext4("backup")),
            ("sdd", late),
            ("sde", table.clone()),
            ("sdf", table),
            ("sdg", zero),
        ] {
            kernel.plug(name, "ata", 8192, 0, &start);
        }
        kernel.part("sdf", "sdf1", &ext4("candor"));
        kernel.part("sdg", "sdg1", &[0; 4096]);
        let contents: Vec<Content> =
            kernel.places.list().iter().map(|disk| kernel.places.look(disk).unwrap()).collect();
        let ours = |device: &str| Content::Ours { device: device.to_owned() };
        assert_eq!(
            contents,
            [
                ours("sda"),
                Content::Blank,
                Content::Foreign,
                Content::Foreign,
                Content::Foreign,
                ours("sdf1"),
                Content::Foreign
            ]
        );
    }

    #[test]
    fn a_disk_that_cannot_be_read_is_neither_blank_nor_foreign() {
        let kernel = Kernel::new();
        kernel.plug("sda", "ata", 8192, 0, &[]);
        fs::remove_file(kernel.places.device("sda")).unwrap();
        assert!(kernel.places.look(&kernel.places.list()[0]).is_err());
    }
}
