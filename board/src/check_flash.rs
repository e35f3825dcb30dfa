//! The rules of flash: partitions fit the chip, its erase blocks, and one another.
//!
//! Does not belong here: any other rule (`check.rs`).

use std::collections::BTreeSet;

use crate::fault::{Fault, Step, at, twice};
use crate::flash::{Flash, Partition};

/// Checks one chip; `place` is where it stands.
pub(crate) fn check_flash(flash: &Flash, place: &[Step]) -> Result<(), Fault> {
    let inside = |steps: &[Step]| [place, steps].concat();
    if let Some(erase_block) = flash.erase_block
        && !(erase_block.bytes().is_power_of_two() && flash.size.bytes().is_multiple_of(erase_block.bytes()))
    {
        return Err(Fault::new(
            inside(&at!["erase_block"]),
            format!("{erase_block} is no power of two that divides the chip's {}; correct it", flash.size),
        ));
    }
    let mut names = BTreeSet::new();
    let mut placed: Vec<&Partition> = Vec::new();
    for (number, partition) in flash.partitions.iter().enumerate() {
        let (name, start) = (&partition.name, partition.offset());
        let end = start.saturating_add(partition.size.bytes());
        let part = |key: &'static str| inside(&at!["partition", number, key]);
        if !names.insert(name) {
            return Err(Fault::new(part("name"), twice("partition", name)));
        }
        if partition.role.is_some() && placed.iter().any(|p| p.role == partition.role) {
            return Err(Fault::new(part("role"), "another partition of this chip has this role already"));
        }
        if end > flash.size.bytes() {
            return Err(Fault::new(
                part("size"),
                format!(
                    "partition {name} ends at {end:#x}, the chip at {:#x}; make it smaller",
                    flash.size.bytes()
                ),
            ));
        }
        if let Some(other) = placed.iter().find(|p| start < p.offset() + p.size.bytes() && end > p.offset()) {
            return Err(Fault::new(
                part("offset"),
                format!(
                    "partition {name} ({start:#x} to {end:#x}) overlaps {}; move it or leave offset out",
                    other.name
                ),
            ));
        }
        if let Some(erase_block) = flash.erase_block {
            for (key, value) in [("offset", start), ("size", partition.size.bytes())] {
                if !value.is_multiple_of(erase_block.bytes()) {
                    return Err(Fault::new(
                        part(key),
                        format!(
                            "the {key} of partition {name}, {value:#x}, is no multiple of the erase block, {erase_block}; \
                             writing it would erase its neighbour"
                        ),
                    ));
                }
            }
        }
        placed.push(partition);
    }
    Ok(())
}
