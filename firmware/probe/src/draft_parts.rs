//! The tables of a draft, each from the facts that tell of it.
//!
//! Texts from the board go into quotes and comments as one line each, whatever they hold. Does not belong here: whether a
//! table is accepted (`draft.rs`).

use std::fmt::Write as _;

use board::{ByteSize, FlashKind, SocModel};

use crate::facts::{Facts, SocSource};
use crate::soc;
use crate::storage::FlashChip;

/// Names of modules, and the decoder whose driver they are.
const DECODERS: [(&str, &str); 8] = [
    ("nvp6134", "nvp6134"),
    ("nvp6124", "nvp6124"),
    ("tw2865", "tw2865"),
    ("tw2868", "tw2868"),
    ("tw2960", "tw2960"),
    ("tp2823", "tp2823"),
    ("tp2827", "tp2827"),
    ("tp2853", "tp2853"),
];

/// Nodes of vendors' decoder drivers that `hal-linux` speaks to, and a chip that they are for.
const DECODER_NODES: [(&str, &str); 6] = [
    ("nc_vdec", "nvp6134"),
    ("nvp6124", "nvp6124"),
    ("tp2823dev", "tp2823"),
    ("tw2865dev", "tw2865"),
    ("tw2868dev", "tw2868"),
    ("tw2960dev", "tw2960"),
];

/// Notes, and a table; the table may be empty.
pub(crate) struct Part {
    pub(crate) notes: Vec<String>,
    pub(crate) table: String,
}

/// What every description has.
pub(crate) fn head(facts: &Facts) -> String {
    let model = facts.soc.model.and_then(soc::by_name);
    let name = model.map_or("generic", soc::name);
    let captures = model.is_some_and(soc::captures);
    let mut text = String::from(
        "# Written by `candor probe` to start from (docs/porting.md): what the running system showed, and what it did not.\n",
    );
    for (what, value) in [("Kernel", facts.kernel.as_deref()), ("Machine", facts.cpu.hardware.as_deref())] {
        if let Some(value) = value {
            let _ = writeln!(text, "# {what}: {}", one_line(value));
        }
    }
    text.push_str("# unknown: the maker's names for the board; correct both.\n");
    let _ = writeln!(text, "name = \"new-{name}\"\ntitle = \"Unnamed board with {name}\"");
    match model {
        None => text.push_str("# unknown: whether there is anything that captures.\ncapture = \"none\"\n"),
        Some(_) if captures => text.push_str("capture = \"himpp\"\n"),
        Some(_) => text.push_str("# The SoC has neither video inputs nor an H.264 encoder: network cameras only.\ncapture = \"none\"\n"),
    }
    text.push_str("\n[soc]\n");
    text.push_str(match facts.soc.source {
        None => "# unknown: the SoC; generic is a place holder.\n",
        Some(SocSource::ChipId) if facts.soc.ambiguous => {
            "# Read from its identity register, which another SoC shares: look at the chip.\n"
        }
        Some(SocSource::ChipId) => "# Read from its identity register.\n",
        Some(SocSource::Kernel) => "# As the kernel names it.\n",
        Some(SocSource::Modules) => {
            "# inferred: from the names of the vendor's modules, which a family of SoCs shares: look at the chip.\n"
        }
    });
    let _ = writeln!(text, "model = \"{name}\"");
    match facts.cpu.core {
        Some(core) => {
            let _ = writeln!(text, "cpu = \"{core}\"");
        }
        None => text.push_str("# unknown: cpu\n"),
    }
    match facts.cpu.cores {
        0 => text.push_str("# unknown: cores\n"),
        cores => {
            let _ = writeln!(text, "cores = {cores}");
        }
    }
    text
}

/// The other tables, in the order of the descriptions that ship.
pub(crate) fn parts(facts: &Facts) -> Vec<Part> {
    let mut parts = vec![memory(facts), console(facts), gpio(facts), i2c(facts)];
    parts.push(front_ends(facts));
    parts.push(watchdog(facts));
    parts.push(rtc(facts));
    let with_partitions = facts.flash.iter().filter(|chip| !chip.partitions.is_empty());
    let flash: Vec<Part> = with_partitions.map(flash).collect();
    if flash.is_empty() {
        parts.push(Part::unknown(["flash: neither mtdparts= nor /proc/mtd names a partition".to_owned()]));
    }
    parts.extend(flash);
    parts.push(Part::unknown([
        "buttons, LEDs, alarm inputs, relays, the buzzer and RS-485: pins or a microcontroller; no file tells".to_owned(),
        "budget: how much the recorder may use".to_owned(),
    ]));
    parts
}

fn memory(facts: &Facts) -> Part {
    let model = facts.soc.model.and_then(soc::by_name);
    let base = model.and_then(SocModel::ram_base).map(|base| base.0);
    let base = base.or_else(|| facts.memory.system_ram.first().map(|ram| ram.base));
    let seen: u64 = facts.memory.system_ram.iter().map(|ram| ram.size_bytes).sum();
    let linux = facts.command_line.mem_bytes.or((seen > 0).then_some(seen));
    let (Some(base), Some(linux)) = (base, linux.filter(|bytes| *bytes > 0)) else {
        return Part::unknown(["memory: where RAM begins, or Linux's part of it".to_owned()]);
    };
    let mut pieces: Vec<(u64, u64)> = vec![(base, base.saturating_add(linux))];
    pieces
        .extend(facts.memory.zones.iter().map(|zone| (zone.base, zone.base.saturating_add(zone.size_bytes))));
    pieces.sort_unstable();
    let mut table = String::from("[memory]\nbank = [\n");
    for (start, size) in banks(&pieces) {
        let _ = writeln!(table, "    {{ base = {start:#010X}, size = \"{}\" }},", bytes(size));
    }
    let table = table.replace("0X", "0x");
    let mut table = format!("{table}]\nlinux = \"{}\"\n", bytes(linux));
    let mut notes = vec![
        "inferred: the banks, each from its first to its last use, rounded up to a power of two; the RAM chips say more"
            .to_owned(),
    ];
    if facts.memory.zones.is_empty() {
        notes.push("unknown: the media zones; /proc/media-mem names none".to_owned());
    } else {
        table.push_str("mmz = [\n");
        for zone in &facts.memory.zones {
            let _ = writeln!(
                table,
                "    {{ name = {}, base = 0x{:08X}, size = \"{}\" }},",
                quoted(&zone.name),
                zone.base,
                bytes(zone.size_bytes)
            );
        }
        table.push_str("]\n");
    }
    Part { notes, table }
}

/// Pieces that one bank may hold are one; the next begins a bank when it lies beyond the power of two.
fn banks(pieces: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut banks: Vec<(u64, u64)> = Vec::new();
    for (start, end) in pieces {
        match banks.last_mut() {
            Some((base, size)) if start.saturating_sub(*base) <= *size => {
                *size = rounded(end.saturating_sub(*base)).max(*size);
            }
            _ => banks.push((*start, rounded(end.saturating_sub(*start)))),
        }
    }
    banks
}

fn rounded(bytes: u64) -> u64 {
    bytes.max(1).checked_next_power_of_two().unwrap_or(bytes)
}

fn console(facts: &Facts) -> Part {
    match &facts.command_line.console {
        Some((serial, Some(baud))) if serial.starts_with("tty") => Part {
            notes: Vec::new(),
            table: format!("[console]\nserial = {}\nbaud = {baud}\n", quoted(serial)),
        },
        _ => Part::unknown(["console: console= names no serial line with its rate".to_owned()]),
    }
}

fn gpio(facts: &Facts) -> Part {
    let groups: Vec<_> = facts.gpio.iter().filter(|chip| chip.lines <= 8).collect();
    let count = u8::try_from(groups.len()).unwrap_or(u8::MAX);
    if count == 0 {
        return Part::unknown([
            "gpio: the kernel shows no groups, and no file tells which pin is for what".to_owned()
        ]);
    }
    let mut table = format!("[gpio]\ncontroller = \"pl061\"\ngroups = {count}\n");
    let addresses: Vec<u64> = groups
        .iter()
        .filter_map(|chip| u64::from_str_radix(chip.label.split_once('.')?.0, 16).ok())
        .collect();
    if let [first, second, ..] = addresses[..]
        && addresses.len() == groups.len()
        && second > first
    {
        let stride = second - first;
        if addresses.windows(2).all(|pair| pair[1].checked_sub(pair[0]) == Some(stride)) {
            let _ = writeln!(table, "base = 0x{first:08X}\nstride = {stride:#x}");
        }
    }
    let notes = vec![
        "inferred: the controller; HiSilicon's recorder SoCs have PL061".to_owned(),
        "unknown: which pin is for what".to_owned(),
    ];
    Part { notes, table }
}

fn i2c(facts: &Facts) -> Part {
    let mut part = Part { notes: Vec::new(), table: String::new() };
    for bus in &facts.i2c.buses {
        let of_pins = bus.name.as_deref().is_some_and(|name| name.to_ascii_lowercase().contains("gpio"));
        if of_pins {
            part.notes.push(format!("unknown: the two pins of the bus {}", one_line(&bus.device)));
            continue;
        }
        if let Some(name) = &bus.name {
            part.notes.push(format!("{}: {}", one_line(&bus.device), one_line(name)));
        }
        let _ = write!(
            part.table,
            "[[i2c]]\nname = {}\nkind = \"soc\"\n\n",
            quoted(&bus.device.replace("i2c-", "i2c"))
        );
    }
    if facts.i2c.buses.is_empty() {
        part.notes.push(
            "unknown: i2c; the kernel shows no bus, so a vendor's module drives two pins itself".to_owned(),
        );
    }
    part.table.truncate(part.table.trim_end().len());
    if !part.table.is_empty() {
        part.table.push('\n');
    }
    part
}

fn front_ends(facts: &Facts) -> Part {
    if facts.soc.model.and_then(soc::by_name).is_some_and(|model| !soc::captures(model)) {
        return Part {
            notes: vec!["No inputs and no analog decoder: the SoC takes none.".to_owned()],
            table: String::new(),
        };
    }
    let of_module =
        |name: &str| DECODERS.iter().find(|(module, _)| name.to_ascii_lowercase().contains(module));
    let mut notes = vec!["unknown: how many inputs, and the decoder's port behind each".to_owned()];
    let of_node = |node: &String| DECODER_NODES.iter().find(|(known, _)| known == node);
    if let Some((node, chip)) = facts.decoder_nodes.iter().find_map(of_node) {
        notes.push(format!(
            "inferred: the decoder, from the vendor's driver at /dev/{node}; look at the chip"
        ));
        let table =
            format!("[[front_end]]\nname = \"decoder\"\nchip = \"{chip}\"\ndevice = \"/dev/{node}\"\n");
        return Part { notes, table };
    }
    match facts.modules.iter().find_map(|module| of_module(&module.name)) {
        Some((module, chip)) => {
            notes.push(format!(
                "inferred: the decoder, from the module {module}; its bus and address are unknown"
            ));
            Part { notes, table: format!("[[front_end]]\nname = \"decoder\"\nchip = \"{chip}\"\n") }
        }
        None => {
            notes.push(
                "unknown: the analog decoder; no module has the name of one that is supported".to_owned(),
            );
            Part { notes, table: String::new() }
        }
    }
}

fn watchdog(facts: &Facts) -> Part {
    if facts.watchdogs.is_empty() {
        return Part::unknown([
            "watchdog: the kernel shows none; there may be one, or two, armed already".to_owned()
        ]);
    }
    let names: Vec<&str> = facts.watchdogs.iter().map(|dog| dog.device.as_str()).collect();
    Part {
        notes: vec![
            format!("The system has {}.", one_line(&names.join(", "))),
            "inferred: SP805, as HiSilicon's SoCs have; unknown: its registers, its clock, a second one"
                .to_owned(),
        ],
        table: "[[watchdog]]\nname = \"soc\"\nkind = \"sp805\"\n".to_owned(),
    }
}

fn rtc(facts: &Facts) -> Part {
    let mut part = Part { notes: Vec::new(), table: String::new() };
    for rtc in &facts.rtcs {
        let name = rtc.name.as_deref().unwrap_or_default();
        let lower = name.to_ascii_lowercase();
        let chip = ["ds1307", "pl031"].into_iter().find(|chip| lower.contains(chip));
        match chip {
            Some(chip) => {
                let _ = write!(part.table, "[[rtc]]\nchip = \"{chip}\"\n");
            }
            None => part.notes.push(format!(
                "unknown: the clock {}, \"{}\"",
                one_line(&rtc.device),
                one_line(name)
            )),
        }
    }
    if facts.rtcs.is_empty() {
        part.notes.push("unknown: rtc; the kernel shows no clock".to_owned());
    }
    part
}

fn flash(chip: &FlashChip) -> Part {
    let mut notes = Vec::new();
    let kind = match chip.flash_kind() {
        Some(FlashKind::Nand) => "nand",
        Some(FlashKind::Nor) => "nor",
        None => {
            notes.push("unknown: NOR or NAND; nor is a place holder".to_owned());
            "nor"
        }
    };
    if chip.inferred {
        notes.push(
            "inferred: one chip, and the places from the partitions' order; there is no mtdparts=".to_owned(),
        );
    }
    notes.push(
        "inferred: the chip's size, from the end of the last partition up to a power of two".to_owned(),
    );
    notes.push("unknown: the chip's marking, and where the boot loader keeps its environment".to_owned());
    let mut table = format!("[[flash]]\nkind = \"{kind}\"\n");
    if let Some(mtd) = &chip.mtd {
        let _ = writeln!(table, "mtd = {}", quoted(mtd));
    }
    let _ = writeln!(table, "size = \"{}\"", bytes(rounded(chip.end())));
    let blocks: Vec<u64> = chip.partitions.iter().filter_map(|part| part.erase_block_bytes).collect();
    match blocks.iter().max() {
        Some(block) if *block > 0 => {
            let _ = writeln!(table, "erase_block = \"{}\"", bytes(*block));
        }
        _ => notes.push("unknown: what is erased at once".to_owned()),
    }
    table.push_str("partition = [\n");
    let mut next = 0;
    for part in &chip.partitions {
        let place =
            if part.offset == next { String::new() } else { format!("offset = {:#x}, ", part.offset) };
        next = part.offset.saturating_add(part.size_bytes);
        let _ = writeln!(
            table,
            "    {{ name = {}, {place}size = \"{}\" }},",
            quoted(&part.name),
            bytes(part.size_bytes)
        );
    }
    table.push_str("]\n");
    Part { notes, table }
}

/// A size as descriptions write it.
fn bytes(count: u64) -> String {
    ByteSize::parse(&count.to_string()).map_or_else(|| "0".to_owned(), |size| size.to_string())
}

/// A TOML text.
fn quoted(text: &str) -> String {
    toml::Value::String(one_line(text)).to_string()
}

/// Without anything that would end a comment or a text.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_begins_a_bank() {
        let mib = |count: u64| count << 20;
        let base = 0x8000_0000;
        let one = [(base, base + mib(64)), (base + mib(64), base + mib(256))];
        assert_eq!(banks(&one), [(base, mib(256))]);
        let two = [
            (base, base + mib(224)),
            (base + mib(224), base + mib(506)),
            (base + mib(506), base + mib(511)),
            (0xC000_0000, 0xC000_0000 + mib(504)),
        ];
        assert_eq!(banks(&two), [(base, mib(512)), (0xC000_0000, mib(512))]);
        assert_eq!(banks(&[(u64::MAX - 1, u64::MAX)]), [(u64::MAX - 1, 1)]);
    }

    #[test]
    fn no_text_of_the_board_ends_its_line() {
        assert_eq!(one_line("a\nb\u{7f}\"c"), "a b \"c");
        let text = format!("x = {}", quoted("a\n\"\\b'''\u{7f}"));
        assert_eq!(toml::from_str::<toml::Table>(&text).unwrap()["x"].as_str(), Some("a \"\\b'''"));
    }
}
