//! What the boot loader reads: the stage and the environment.
//!
//! The stage is one legacy U-Boot image of two parts, kernel and initramfs, under one CRC: old boot loaders of this
//! class know no other format. `bootm` checks it and leaves it alone.

use std::fs;
use std::path::Path;
use std::process::Command;

use board::{Board, Flash, PartitionRole};

use super::places::Places;
use super::source::Source;
use super::tool;
use crate::workspace::Failure;

/// Where `bootm` puts the compressed kernel, which unpacks itself to the start of RAM.
pub(super) const KERNEL_AT: &str = "0x42000000";
/// Where the initramfs is copied to first.
const INITRAMFS_AT: &str = "0x44000000";

/// Joins kernel and initramfs for the emulated board.
pub(super) fn write(places: &Places, source: &Source, initramfs: &Path) -> Result<(), Failure> {
    write_at(places, source, initramfs, KERNEL_AT)
}

/// Joins kernel and initramfs for a board whose boot loader is to put the kernel at `address`.
pub(super) fn write_at(
    places: &Places,
    source: &Source,
    initramfs: &Path,
    address: &str,
) -> Result<(), Failure> {
    write_to(&places.stage(), places, source, initramfs, address)
}

/// As [`write_at`], into another file.
pub(super) fn write_to(
    output: &Path,
    places: &Places,
    source: &Source,
    initramfs: &Path,
    address: &str,
) -> Result<(), Failure> {
    let parts = format!("{}:{}", places.kernel().display(), initramfs.display());
    let name = format!("Candor {}", source.version);
    let mut join = Command::new("mkimage");
    join.env("SOURCE_DATE_EPOCH", source.epoch.to_string());
    join.args(["-A", "arm", "-O", "linux", "-T", "multi", "-C", "none", "-a", address, "-e", address]);
    tool::run(join.args(["-n", &name, "-d", &parts]).arg(output)).map(drop)
}

/// Writes the environment of a layout, as long as its partition.
pub(super) fn write_environment(
    places: &Places,
    layout: &str,
    board: &Board,
    flash: &Flash,
) -> Result<(), Failure> {
    let text = places.out.join(format!("env-{layout}.txt"));
    fs::write(&text, environment(layout, board, flash)?)?;
    let size =
        flash.partition(PartitionRole::Environment).ok_or("the board has no environment partition")?.size;
    let output = places.environment(layout);
    tool::run(Command::new("mkenvimage").args(["-s", &size.bytes().to_string(), "-o"]).args([&output, &text]))
        .map(drop)
}

/// The boot loader tries each stage in turn. It starts at once and takes no key: its own prompt is reached only when no stage
/// can be started.
fn environment(layout: &str, board: &Board, flash: &Flash) -> Result<String, Failure> {
    let console = board.console.as_ref().ok_or("the board has no console")?;
    let memory = board.memory.as_ref().ok_or("the board's memory is not described")?;
    let bank = memory.bank.first().ok_or("the board has no memory")?;
    let parts = flash.mtdparts().ok_or("the kernel's name of the flash is not known")?;
    let name = board.name.strip_suffix(layout).and_then(|name| name.strip_suffix('-')).unwrap_or(&board.name);
    let arguments = format!(
        "console={},{}n8 panic=10 mem={} mtdparts={parts} candor.board={name}:{layout}",
        console.serial, console.baud, memory.linux
    );
    // Nothing may be put where Linux does not look.
    let high = bank.base.0 + memory.linux.bytes();
    let stages = [PartitionRole::Recovery, PartitionRole::RecoveryB]
        .into_iter()
        .filter_map(|role| flash.partition(role));
    let tries: Vec<String> = stages
        .map(|stage| {
            // Flash begins at address 0, so a partition's offset is where it can be read.
            let at = stage.offset();
            // U-Boot takes a device tree only behind an initramfs, so the second part is named by its copy.
            format!(
                "if imxtract {at:#x} 1 {INITRAMFS_AT}; then bootm {at:#x} {INITRAMFS_AT}:${{filesize}} ${{fdtcontroladdr}}; fi"
            )
        })
        .collect();
    Ok(format!(
        "bootdelay=-2\nbootargs={arguments}\nbootcmd={}\nfdt_high={high:#x}\ninitrd_high={high:#x}\n",
        tries.join("; ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_stages_are_tried_and_the_kernel_is_told_the_layout() {
        let board = Board::builtin("virt-a7-64").unwrap();
        let text = environment("64", &board, &board.flash[0]).unwrap();
        let command = text.lines().find(|line| line.starts_with("bootcmd=")).unwrap();
        assert_eq!(command.matches("bootm").count(), 2);
        assert!(command.find("0x4040000").unwrap() < command.find("0x44c0000").unwrap());
        assert!(text.contains("candor.board=virt-a7:64"));
        assert!(text.contains("mem=128M"));
        assert!(text.contains("(recovery-a)ro,4608K(recovery-b)ro,"));
    }
}
