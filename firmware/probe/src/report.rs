//! The report for a person at a serial console.
//!
//! Does not belong here: the description to start from (`draft.rs`).

use std::fmt::Write as _;

use crate::facts::{Facts, SocSource};
use crate::inspect::FloatAbi;

/// Modules are many and their names short.
const LINE: usize = 100;

/// What was found, then what was not.
#[must_use]
pub fn report(facts: &Facts) -> String {
    let mut out = String::from("Candor board probe: this only reads; nothing was written or changed.\n\n");
    let mut row = |name: &str, value: String| {
        let _ = writeln!(out, "{name:<12} {value}");
    };
    row("kernel", facts.kernel.clone().unwrap_or_else(|| "unknown".to_owned()));
    row("machine", facts.cpu.hardware.clone().unwrap_or_else(|| "unknown".to_owned()));
    row("soc", soc(facts));
    row("cpu", cpu(facts));
    row("bootargs", text_or(&facts.command_line.text, "unknown"));
    memory(facts, &mut row);
    flash(facts, &mut row);
    for library in &facts.libraries {
        let found = &library.inspected;
        let version = found.mpp_version.as_deref().unwrap_or("version unknown");
        let float = match found.float {
            FloatAbi::Soft => "soft-float calls",
            FloatAbi::Hard => "hard-float calls",
            FloatAbi::Unknown => "float calls unknown",
        };
        let libc = found.libc().unwrap_or("C library unknown");
        row("libmpi", format!("{version}: {}, {float}, {libc} ({})", found.machine, library.path));
        row("", format!("asks for {}", text_or(&found.needed.join(" "), "nothing")));
    }
    if facts.libraries.is_empty() {
        row("libmpi", "not found".to_owned());
    }
    row("libc", text_or(&facts.libc.join(" "), "not found"));
    let mut versions: Vec<&str> = facts.umap.iter().filter_map(|part| part.version.as_deref()).collect();
    versions.sort_unstable();
    versions.dedup();
    row(
        "umap",
        text_or(&versions.join(", "), if facts.umap.is_empty() { "not there" } else { "no version" }),
    );
    wrapped("modules", facts.modules.iter().map(module), &mut row);
    let chips = facts.gpio.iter().map(|chip| format!("{}+{} {}", chip.base, chip.lines, chip.label));
    wrapped("gpio", chips, &mut row);
    i2c(facts, &mut row);
    wrapped("decoders", facts.decoder_nodes.iter().cloned(), &mut row);
    wrapped("watchdog", facts.watchdogs.iter().map(named), &mut row);
    wrapped("rtc", facts.rtcs.iter().map(named), &mut row);
    wrapped("serial", facts.serials.iter().cloned(), &mut row);
    wrapped("network", facts.networks.iter().map(named), &mut row);
    for disk in &facts.disks {
        let model = disk.model.as_deref().unwrap_or("model unknown");
        let kind = if disk.removable { ", removable" } else { "" };
        row("disk", format!("{}: {} MiB, {model}{kind}", disk.name, disk.size_bytes >> 20));
    }
    if facts.disks.is_empty() {
        row("disk", "none".to_owned());
    }
    if !facts.missed.is_empty() {
        out.push_str("\nNot seen:\n");
        for missed in &facts.missed {
            let _ = writeln!(out, "  {}: {}", missed.path, missed.why);
        }
    }
    out
}

fn soc(facts: &Facts) -> String {
    let by = match facts.soc.source {
        Some(SocSource::ChipId) => "by its identity register",
        Some(SocSource::Kernel) => "as the kernel names it",
        Some(SocSource::Modules) => "inferred from module names",
        None => "nothing names it",
    };
    let id = facts.soc.chip_id.map(|id| format!(", identity {id:#010x}")).unwrap_or_default();
    let doubt = if facts.soc.ambiguous { "; another SoC has the same: look at the chip" } else { "" };
    format!("{} ({by}{id}{doubt})", facts.soc.model.unwrap_or("unknown"))
}

fn cpu(facts: &Facts) -> String {
    let features = facts.cpu.features.join(" ");
    format!(
        "{} x {}, {}",
        facts.cpu.cores,
        facts.cpu.core.unwrap_or("core unknown"),
        text_or(&features, "features unknown")
    )
}

fn memory(facts: &Facts, row: &mut impl FnMut(&str, String)) {
    let kib = |value: Option<u64>| value.map_or_else(|| "unknown".to_owned(), |kib| format!("{kib} KiB"));
    row(
        "memory",
        format!(
            "Linux uses {}, mem= {}",
            kib(facts.memory.total_kib),
            kib(facts.command_line.mem_bytes.map(|b| b >> 10))
        ),
    );
    for region in &facts.memory.system_ram {
        row("", format!("RAM   {:#010x} {:>8} KiB", region.base, region.size_bytes >> 10));
    }
    for zone in &facts.memory.zones {
        row("", format!("MMZ   {:#010x} {:>8} KiB  {}", zone.base, zone.size_bytes >> 10, zone.name));
    }
    if facts.memory.zones.is_empty() {
        row("", "MMZ   unknown".to_owned());
    }
}

fn flash(facts: &Facts, row: &mut impl FnMut(&str, String)) {
    for chip in &facts.flash {
        let places = if chip.inferred { ", places inferred from the order" } else { "" };
        let (mtd, kind) =
            (chip.mtd.as_deref().unwrap_or("name unknown"), chip.kind.unwrap_or("kind unknown"));
        row("flash", format!("{mtd}, {kind}{places}"));
        for part in &chip.partitions {
            let block = part
                .erase_block_bytes
                .map(|bytes| format!(", block {} KiB", bytes >> 10))
                .unwrap_or_default();
            row("", format!("{:#010x} {:>8} KiB  {}{block}", part.offset, part.size_bytes >> 10, part.name));
        }
    }
    if facts.flash.is_empty() {
        row("flash", "unknown".to_owned());
    }
}

fn i2c(facts: &Facts, row: &mut impl FnMut(&str, String)) {
    wrapped("i2c", facts.i2c.buses.iter().map(named), row);
    for device in &facts.i2c.devices {
        let name = device.name.as_deref().unwrap_or("name unknown");
        let driver = device.driver.as_deref().unwrap_or("no driver");
        row("", format!("{} {name}, {driver}", device.place));
    }
    match &facts.i2c.answers {
        None => row("", "nobody was asked; --i2c reads a byte at known addresses".to_owned()),
        Some(answers) if answers.is_empty() => row("", "nobody answered at the known addresses".to_owned()),
        Some(answers) => {
            for answer in answers {
                row("", format!("bus {}, {:#04x} answers: {}", answer.bus, answer.address, answer.may_be));
            }
        }
    }
}

fn module(module: &crate::devices::KernelModule) -> String {
    format!("{}{}", module.name, if module.proprietary { "(P)" } else { "" })
}

fn named(device: &crate::devices::NamedDevice) -> String {
    match &device.name {
        Some(name) => format!("{} ({name})", device.device),
        None => device.device.clone(),
    }
}

fn wrapped(name: &str, items: impl Iterator<Item = String>, row: &mut impl FnMut(&str, String)) {
    let (mut name, mut line) = (name, String::new());
    for item in items {
        if !line.is_empty() && line.len() + item.len() + 2 > LINE {
            row(name, std::mem::take(&mut line));
            name = "";
        }
        if !line.is_empty() {
            line.push_str(", ");
        }
        line.push_str(&item);
    }
    if !line.is_empty() {
        row(name, line);
    } else if !name.is_empty() {
        row(name, "none".to_owned());
    }
}

fn text_or(text: &str, other: &str) -> String {
    if text.is_empty() { other.to_owned() } else { text.to_owned() }
}
