//! Flash chips and their partitions.
//!
//! From `mtdparts=`, `/proc/mtd` and `/sys/class/mtd`.
//!
//! Does not belong here: reading flash.

use board::FlashKind;
use serde::Serialize;

use crate::cmdline::{CommandLine, PartSize};
use crate::tree::Tree;

/// A flash chip, as far as its partitions tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FlashChip {
    /// The driver's name for it.
    pub mtd: Option<String>,
    /// `nor` or `nand`, where the kernel or the driver's name says it.
    pub kind: Option<&'static str>,
    /// The partitions in their order.
    pub partitions: Vec<FlashPartition>,
    /// Whether the places are taken from the order alone: the kernel's command line has no `mtdparts=`.
    pub inferred: bool,
}

/// A partition of a chip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FlashPartition {
    /// Its name.
    pub name: String,
    /// Where it begins.
    pub offset: u64,
    /// How long it is.
    pub size_bytes: u64,
    /// What is erased at once, where the kernel tells.
    pub erase_block_bytes: Option<u64>,
}

impl FlashChip {
    /// The end of the last partition.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.partitions.iter().map(|part| part.offset.saturating_add(part.size_bytes)).max().unwrap_or(0)
    }

    /// NOR or NAND.
    #[must_use]
    pub fn flash_kind(&self) -> Option<FlashKind> {
        match self.kind {
            Some("nor") => Some(FlashKind::Nor),
            Some("nand") => Some(FlashKind::Nand),
            _ => None,
        }
    }
}

/// A line of `/proc/mtd`.
#[derive(Debug, PartialEq, Eq)]
struct Known {
    number: u32,
    name: String,
    size_bytes: u64,
    erase_block_bytes: u64,
}

/// Puts together what the kernel was told and what it made of it.
pub(crate) fn chips(tree: &Tree, line: &CommandLine) -> Vec<FlashChip> {
    let mut kernel = match tree.text("/proc/mtd") {
        Some(text) => parse_mtd(&text).unwrap_or_else(|| {
            tree.miss("/proc/mtd", "not the list that kernels write");
            Vec::new()
        }),
        None => Vec::new(),
    };
    if line.flash.is_empty() {
        return (!kernel.is_empty()).then(|| by_order(tree, &kernel)).into_iter().collect();
    }
    line.flash
        .iter()
        .map(|chip| {
            let (mut next, mut kind, mut partitions) = (0_u64, by_driver(&chip.mtd), Vec::new());
            for part in &chip.partitions {
                let at = kernel.iter().position(|known| known.name == part.name);
                let known = at.map(|at| kernel.remove(at));
                let size = match (part.size, &known) {
                    (PartSize::Bytes(bytes), _) => bytes,
                    (PartSize::Rest, Some(known)) => known.size_bytes,
                    (PartSize::Rest, None) => {
                        tree.miss("/proc/mtd", format!("the size of the flash partition {}", part.name));
                        continue;
                    }
                };
                let offset = part.offset.unwrap_or(next);
                next = offset.saturating_add(size);
                if let Some(said) = known.as_ref().and_then(|known| kind_of(tree, known)) {
                    kind = Some(said);
                }
                partitions.push(FlashPartition {
                    name: part.name.clone(),
                    offset,
                    size_bytes: size,
                    erase_block_bytes: known.map(|known| known.erase_block_bytes),
                });
            }
            FlashChip { mtd: Some(chip.mtd.clone()), kind, partitions, inferred: false }
        })
        .collect()
}

fn by_order(tree: &Tree, kernel: &[Known]) -> FlashChip {
    let mut next = 0_u64;
    let partitions = kernel
        .iter()
        .map(|known| {
            let offset = next;
            next = next.saturating_add(known.size_bytes);
            FlashPartition {
                name: known.name.clone(),
                offset,
                size_bytes: known.size_bytes,
                erase_block_bytes: Some(known.erase_block_bytes),
            }
        })
        .collect();
    let kind = kernel.iter().find_map(|known| kind_of(tree, known));
    FlashChip { mtd: None, kind, partitions, inferred: true }
}

/// `mtd0: 00080000 00040000 "boot"` under a line of headings; `None` when it is something else.
fn parse_mtd(text: &str) -> Option<Vec<Known>> {
    let mut lines = text.lines();
    if !lines.next()?.starts_with("dev:") {
        return None;
    }
    lines
        .map(|line| {
            let (number, rest) = line.strip_prefix("mtd")?.split_once(": ")?;
            let (size, rest) = rest.trim_start().split_once(' ')?;
            let (erase_block, name) = rest.trim_start().split_once(' ')?;
            Some(Known {
                number: number.parse().ok()?,
                name: name.trim().strip_prefix('"')?.strip_suffix('"')?.to_owned(),
                size_bytes: u64::from_str_radix(size, 16).ok()?,
                erase_block_bytes: u64::from_str_radix(erase_block, 16).ok()?,
            })
        })
        .collect()
}

fn kind_of(tree: &Tree, known: &Known) -> Option<&'static str> {
    match tree.line_if_any(&format!("/sys/class/mtd/mtd{}/type", known.number))?.as_str() {
        "nor" => Some("nor"),
        "nand" | "mlc-nand" => Some("nand"),
        _ => None,
    }
}

/// HiSilicon's drivers.
fn by_driver(mtd: &str) -> Option<&'static str> {
    match mtd {
        "hi_sfc" => Some("nor"),
        "hinand" | "nand" => Some("nand"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chip(cmdline: &str, mtd: &str) -> Vec<FlashChip> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("proc")).unwrap();
        std::fs::write(dir.path().join("proc/mtd"), mtd).unwrap();
        chips(&Tree::new(dir.path()), &CommandLine::parse(cmdline))
    }

    #[test]
    fn the_rest_of_a_chip_is_as_long_as_the_kernel_says() {
        let mtd = "dev:    size   erasesize  name\nmtd0: 00080000 00010000 \"boot\"\nmtd1: 00780000 00010000 \"a b\"\n";
        let chips = chip("mtdparts=hi_sfc:512K(boot),-(a b)", mtd);
        // A name with a blank ends the argument: the kernel's own list is what is left.
        assert_eq!(chips[0].partitions.len(), 1);
        let chips = chip("quiet", mtd);
        assert!(chips[0].inferred);
        assert_eq!((chips[0].partitions[1].offset, chips[0].end()), (0x8_0000, 8 << 20));
        let chips = chip("mtdparts=hi_sfc:512K(boot),-(rest)", &mtd.replace("a b", "rest"));
        assert_eq!((chips[0].partitions[1].size_bytes, chips[0].kind), (0x78_0000, Some("nor")));
    }

    #[test]
    fn another_text_is_no_list() {
        for text in ["", "x\n", "dev: x\nmtd0: 00080000\n", "dev: x\nmtd0: 0g080000 00040000 \"boot\"\n"] {
            assert_eq!(parse_mtd(text), None, "{text:?}");
        }
    }
}
