//! The rest that the kernel lists: modules, pins, watchdogs, disks, networks.
//!
//! Does not belong here: I2C (`i2c.rs`), flash (`storage.rs`); addresses and serial numbers of the device: a report is shown to
//! others.

use serde::Serialize;

use crate::inspect::mpp_version;
use crate::tree::Tree;

/// A module that the kernel has loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KernelModule {
    /// Its name.
    pub name: String,
    /// Its size in memory.
    pub size_bytes: u64,
    /// Whether the kernel calls it proprietary.
    pub proprietary: bool,
}

/// What a part of the media platform says of itself in `/proc/umap`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UmapVersion {
    /// The file's name.
    pub part: String,
    /// The version, where its first lines hold one.
    pub version: Option<String>,
}

/// A GPIO chip of `/sys/class/gpio`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GpioChip {
    /// The kernel's first number for its lines.
    pub base: u32,
    /// Its lines.
    pub lines: u32,
    /// The driver's name for it, with its address on newer kernels: `12150000.gpio_chip`.
    pub label: String,
}

/// A disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Disk {
    /// The kernel's name.
    pub name: String,
    /// Its size.
    pub size_bytes: u64,
    /// The model that it says it is.
    pub model: Option<String>,
    /// Whether it can be pulled out.
    pub removable: bool,
}

/// A device with a name that its driver gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NamedDevice {
    /// The kernel's name: `rtc0`.
    pub device: String,
    /// The driver's.
    pub name: Option<String>,
}

pub(crate) fn modules(tree: &Tree) -> Vec<KernelModule> {
    let text = tree.text("/proc/modules").unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let name = words.next()?.to_owned();
            let size_bytes = words.next()?.parse().ok()?;
            // The last word, in brackets: `(PO)`.
            let taints = words.last().filter(|word| word.starts_with('(')).unwrap_or_default();
            Some(KernelModule { name, size_bytes, proprietary: taints.contains('P') })
        })
        .collect()
}

pub(crate) fn umap(tree: &Tree) -> Vec<UmapVersion> {
    let names = tree.names("/proc/umap");
    if names.is_empty() {
        tree.miss("/proc/umap", "not there, or empty: the media platform is not loaded");
    }
    names
        .into_iter()
        .map(|part| {
            let text = tree.text_if_any(&format!("/proc/umap/{part}")).unwrap_or_default();
            let head: Vec<&str> = text.lines().take(4).collect();
            UmapVersion { version: mpp_version(head.join("\n").as_bytes()), part }
        })
        .collect()
}

pub(crate) fn gpio(tree: &Tree) -> Vec<GpioChip> {
    let folder = "/sys/class/gpio";
    let chips = tree.names(folder).into_iter().filter(|name| name.starts_with("gpiochip"));
    let mut chips: Vec<GpioChip> = chips
        .filter_map(|name| {
            let line = |file: &str| tree.line_if_any(&format!("{folder}/{name}/{file}"));
            Some(GpioChip {
                base: line("base")?.parse().ok()?,
                lines: line("ngpio")?.parse().ok()?,
                label: line("label").unwrap_or_default(),
            })
        })
        .collect();
    chips.sort_by_key(|chip| chip.base);
    chips
}

pub(crate) fn disks(tree: &Tree) -> Vec<Disk> {
    let folder = "/sys/class/block";
    let disk = |name: &String| {
        let letters = name.strip_prefix("sd").or_else(|| name.strip_prefix("hd"));
        let card = name.strip_prefix("mmcblk").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()));
        card || letters.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_lowercase()))
    };
    let names = tree.names(folder).into_iter().filter(disk);
    names
        .filter_map(|name| {
            let line = |file: &str| tree.line_if_any(&format!("{folder}/{name}/{file}"));
            let sectors: u64 = line("size")?.parse().ok()?;
            let (removable, model) =
                (line("removable").is_some_and(|flag| flag == "1"), line("device/model"));
            // The kernel counts in sectors of 512 bytes, whatever the disk's own are.
            Some(Disk { size_bytes: sectors.saturating_mul(512), removable, model, name })
        })
        .collect()
}

/// Devices of a class, each with the driver's name from one of its files.
pub(crate) fn class(tree: &Tree, class: &str, name_file: &str) -> Vec<NamedDevice> {
    let folder = format!("/sys/class/{class}");
    let names = tree.names(&folder).into_iter();
    names
        .map(|device| {
            let name = tree
                .line_if_any(&format!("{folder}/{device}/{name_file}"))
                .or_else(|| tree.link_name(&format!("{folder}/{device}/device/driver")));
            NamedDevice { device, name }
        })
        .collect()
}

/// The names in /dev that begin with one of these.
pub(crate) fn nodes(tree: &Tree, starts: &[&str]) -> Vec<String> {
    let names = tree.names("/dev").into_iter();
    names.filter(|name| starts.iter().any(|start| name.starts_with(start))).collect()
}
