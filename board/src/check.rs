//! The rules between a description's values.
//!
//! Each rule gives the place of the value that breaks it, what is wrong and what to do. Does not belong here: rules
//! of flash (`check_flash.rs`) and of what is attached where (`check_attached.rs`), and turning a place into a line (`parse.rs`).

use std::collections::{BTreeMap, BTreeSet};

use crate::check_attached::{attached, check_attached};
use crate::check_flash::check_flash;
use crate::check_media::check_media;
use crate::description::{Board, CaptureBackend, MAX_INPUTS, Memory, Soc};
use crate::devices::{Duplex, FrontEnd, I2cKind, PanelControl, WatchdogKind};
use crate::fault::{Fault, Step, at, twice, unknown};
use crate::flash::PartitionRole;

/// Every rule; the first that is broken.
pub(crate) fn check(board: &Board) -> Result<(), Fault> {
    check_name(&board.name)?;
    if let Some(memory) = &board.memory {
        check_memory(memory, &board.soc)?;
    }
    check_pins(board)?;
    check_buses_and_front_ends(board)?;
    check_inputs(board)?;
    check_media(board)?;
    check_pin_users(board)?;
    check_serials(board)?;
    check_panels(board)?;
    check_attached(board)?;
    let mut variants = BTreeSet::new();
    for (number, variant) in board.variants.iter().enumerate() {
        if !variants.insert(&variant.name) {
            return Err(Fault::new(at!["variant", number, "name"], twice("variant", &variant.name)));
        }
        for (chip, flash) in variant.flash.iter().enumerate() {
            check_flash(flash, &at!["variant", number, "flash", chip])?;
        }
    }
    for (number, flash) in board.flash.iter().enumerate() {
        check_flash(flash, &at!["flash", number])?;
    }
    check_budget(board)
}

/// Names go into file names and command lines.
fn check_name(name: &str) -> Result<(), Fault> {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !name.is_empty() && name.len() <= 40 && name.bytes().all(legal) {
        return Ok(());
    }
    Err(Fault::new(
        at!["name"],
        format!("\"{name}\" cannot be a board's name; use 1 to 40 small letters, digits and -"),
    ))
}

fn check_memory(memory: &Memory, soc: &Soc) -> Result<(), Fault> {
    let Some(first) = memory.bank.first() else {
        return Err(Fault::new(at!["memory", "bank"], "no bank of RAM; name each with base and size"));
    };
    if let Some(base) = soc.model.ram_base().filter(|&base| base != first.base) {
        return Err(Fault::new(
            at!["memory", "bank", 0, "base"],
            format!(
                "the first bank begins at {}, but this SoC has its RAM from {base} on; correct it",
                first.base
            ),
        ));
    }
    let mut end = 0;
    for (number, bank) in memory.bank.iter().enumerate() {
        if bank.base.0 < end {
            return Err(Fault::new(
                at!["memory", "bank", number, "base"],
                format!("the bank at {} begins inside the one before; name banks lowest first", bank.base),
            ));
        }
        end = bank.base.0.saturating_add(bank.size.bytes());
    }
    if memory.linux > first.size {
        return Err(Fault::new(
            at!["memory", "linux"],
            format!("Linux is given {} of a bank of {}; give it less", memory.linux, first.size),
        ));
    }
    let linux_end = first.base.0.saturating_add(memory.linux.bytes());
    let mut taken = vec![("Linux (mem=)", first.base.0, linux_end)];
    for (number, zone) in memory.mmz.iter().enumerate() {
        let Some(base) = zone.base else { continue };
        let end = base.0.saturating_add(zone.size.bytes());
        let inside = |bank: &crate::description::MemoryRegion| {
            base >= bank.base && end <= bank.base.0.saturating_add(bank.size.bytes())
        };
        if !memory.bank.iter().any(inside) {
            return Err(Fault::new(
                at!["memory", "mmz", number],
                format!(
                    "the zone {} ({base}, {}) is not inside one bank of RAM; make it smaller",
                    zone.name, zone.size
                ),
            ));
        }
        for (other, other_start, other_end) in &taken {
            if base.0 < *other_end && end > *other_start {
                return Err(Fault::new(
                    at!["memory", "mmz", number],
                    format!(
                        "the zone {} ({base}, {}) overlaps {other}, which ends at {other_end:#010x}; move it or make one smaller",
                        zone.name, zone.size
                    ),
                ));
            }
        }
        taken.push((&zone.name, base.0, end));
    }
    let total = memory.bank.iter().fold(0u64, |sum, bank| sum.saturating_add(bank.size.bytes()));
    let used =
        memory.mmz.iter().fold(memory.linux.bytes(), |sum, zone| sum.saturating_add(zone.size.bytes()));
    if used > total {
        return Err(Fault::new(
            at!["memory", "linux"],
            format!(
                "Linux and the zones together take {} KiB of {} KiB; make one smaller",
                used >> 10,
                total >> 10
            ),
        ));
    }
    Ok(())
}

fn check_pins(board: &Board) -> Result<(), Fault> {
    let mut names = BTreeSet::new();
    let mut lines = BTreeMap::new();
    for (number, pin) in board.pins.iter().enumerate() {
        let Some(gpio) = board.gpio else {
            return Err(Fault::new(at!["pin", number], "pins need a [gpio] table; add it"));
        };
        if pin.line.group >= gpio.groups {
            return Err(Fault::new(
                at!["pin", number, "line"],
                format!(
                    "{} is in none of the {} groups (0 to {})",
                    pin.line,
                    gpio.groups,
                    gpio.groups.max(1) - 1
                ),
            ));
        }
        if !names.insert(&pin.name) {
            return Err(Fault::new(at!["pin", number, "name"], twice("pin", &pin.name)));
        }
        let line = (pin.line.group, pin.line.bit);
        if let Some(other) = lines.insert(line, &pin.name) {
            return Err(Fault::new(
                at!["pin", number, "line"],
                format!("{} is the line of pin {other} already; correct one of them", pin.line),
            ));
        }
    }
    Ok(())
}

fn check_buses_and_front_ends(board: &Board) -> Result<(), Fault> {
    let mut buses = BTreeSet::new();
    for (number, bus) in board.i2c_buses.iter().enumerate() {
        if !buses.insert(bus.name.as_str()) {
            return Err(Fault::new(at!["i2c", number, "name"], twice("I2C bus", &bus.name)));
        }
        if bus.kind == I2cKind::Gpio && (bus.sda.is_none() || bus.scl.is_none()) {
            return Err(Fault::new(
                at!["i2c", number],
                "a bus of two pins needs both, sda and scl; add them",
            ));
        }
    }
    let on_known_bus = |bus: &Option<String>, place: [Step; 3]| match bus {
        Some(name) if !buses.contains(name.as_str()) => {
            Err(Fault::new(place, unknown("I2C bus", name, "i2c")))
        }
        _ => Ok(()),
    };
    let mut front_ends = BTreeSet::new();
    for (number, front_end) in board.front_ends.iter().enumerate() {
        if !front_ends.insert(&front_end.name) {
            return Err(Fault::new(at!["front_end", number, "name"], twice("front end", &front_end.name)));
        }
        on_known_bus(&front_end.i2c, at!["front_end", number, "i2c"])?;
        check_device(front_end, number)?;
    }
    for (number, rtc) in board.rtcs.iter().enumerate() {
        on_known_bus(&rtc.i2c, at!["rtc", number, "i2c"])?;
    }
    Ok(())
}

/// Who holds a decoder's bus holds it alone: the vendor's driver, or ours.
fn check_device(front_end: &FrontEnd, number: usize) -> Result<(), Fault> {
    let name = &front_end.name;
    let Some(device) = &front_end.device else {
        if front_end.device_chip.is_some() {
            let message = format!("{name} is a chip of no device; name the device or remove this");
            return Err(Fault::new(at!["front_end", number, "device_chip"], message));
        }
        return Ok(());
    };
    let place = at!["front_end", number, "device"];
    if !device.starts_with("/dev/") {
        return Err(Fault::new(place, format!("{device} is not under /dev; correct it")));
    }
    if front_end.i2c.is_some() || !front_end.addresses.is_empty() {
        let message =
            format!("{name} is reached through its device or over I2C; remove device, or i2c and addresses");
        return Err(Fault::new(place, message));
    }
    Ok(())
}

fn check_inputs(board: &Board) -> Result<(), Fault> {
    if board.inputs.len() > MAX_INPUTS {
        return Err(Fault::new(
            at!["input", MAX_INPUTS],
            format!("{} inputs, but a recorder has at most {MAX_INPUTS} channels", board.inputs.len()),
        ));
    }
    if board.capture == CaptureBackend::None && !board.inputs.is_empty() {
        return Err(Fault::new(at!["capture"], "inputs, but nothing that captures them; name a backend"));
    }
    let mut names = BTreeSet::new();
    let mut ports = BTreeSet::new();
    for (number, input) in board.inputs.iter().enumerate() {
        if !names.insert(&input.name) {
            return Err(Fault::new(at!["input", number, "name"], twice("input", &input.name)));
        }
        let Some(front_end) = &input.front_end else { continue };
        if !board.front_ends.iter().any(|f| f.name == *front_end) {
            return Err(Fault::new(
                at!["input", number, "front_end"],
                unknown("front end", front_end, "front_end"),
            ));
        }
        if let Some(port) = input.port.filter(|&port| !ports.insert((front_end, port))) {
            return Err(Fault::new(
                at!["input", number, "port"],
                format!("port {port} of {front_end} has an input already; correct one of them"),
            ));
        }
    }
    Ok(())
}

/// Every named pin exists, and has one use.
fn check_pin_users(board: &Board) -> Result<(), Fault> {
    let mut uses: Vec<(&str, [Step; 3])> = Vec::new();
    for (number, bus) in board.i2c_buses.iter().enumerate() {
        uses.extend(bus.sda.as_deref().map(|pin| (pin, at!["i2c", number, "sda"])));
        uses.extend(bus.scl.as_deref().map(|pin| (pin, at!["i2c", number, "scl"])));
    }
    for (table, _, devices) in attached(board) {
        let pins = devices.iter().enumerate().filter_map(|(n, device)| Some((n, device.pin.as_deref()?)));
        uses.extend(pins.map(|(number, pin)| (pin, at![table, number, "pin"])));
    }
    // Three steps like the others; a table that stands once has no number to say.
    uses.extend(board.button.iter().map(|button| (button.pin.as_str(), at!["button", 0, "pin"])));
    for (number, port) in board.rs485.iter().enumerate() {
        uses.extend(port.direction_pin.as_deref().map(|pin| (pin, at!["rs485", number, "direction_pin"])));
    }
    let mut used = BTreeSet::new();
    for (pin, place) in uses {
        if !board.pins.iter().any(|p| p.name == pin) {
            return Err(Fault::new(place, unknown("pin", pin, "pin")));
        }
        if !used.insert(pin) {
            return Err(Fault::new(place, format!("pin {pin} has another use already; correct one of them")));
        }
    }
    Ok(())
}

/// A serial line has one user.
fn check_serials(board: &Board) -> Result<(), Fault> {
    let mut users = BTreeMap::new();
    let console = board
        .console
        .iter()
        .map(|c| (&c.serial, "the console".to_owned(), at!["console", "serial"].to_vec()));
    let panels = board.panels.iter().enumerate();
    let panels =
        panels.map(|(n, p)| (&p.serial, format!("panel {}", p.name), at!["panel", n, "serial"].to_vec()));
    let ports = board.rs485.iter().enumerate();
    let ports = ports
        .map(|(n, p)| (&p.serial, format!("RS-485 port {}", p.name), at!["rs485", n, "serial"].to_vec()));
    for (serial, user, place) in console.chain(panels).chain(ports) {
        if let Some(other) = users.insert(serial, user) {
            return Err(Fault::new(
                place,
                format!("{serial} is used by {other} already; correct one of them"),
            ));
        }
    }
    for (number, port) in board.rs485.iter().enumerate() {
        if port.duplex == Duplex::Full && port.direction_pin.is_some() {
            return Err(Fault::new(
                at!["rs485", number, "direction_pin"],
                format!(
                    "{} is full duplex, so its driver is always on; remove the pin or say half",
                    port.name
                ),
            ));
        }
    }
    Ok(())
}

fn check_panels(board: &Board) -> Result<(), Fault> {
    for (number, watchdog) in board.watchdogs.iter().enumerate() {
        match (watchdog.kind, &watchdog.panel) {
            (WatchdogKind::Panel, None) => {
                return Err(Fault::new(at!["watchdog", number], "which panel holds it? add panel = \"...\""));
            }
            (WatchdogKind::Panel, Some(name)) => {
                let Some(panel) = board.panels.iter().find(|p| p.name == *name) else {
                    return Err(Fault::new(
                        at!["watchdog", number, "panel"],
                        unknown("panel", name, "panel"),
                    ));
                };
                if !panel.controls.contains(&PanelControl::Watchdog) {
                    return Err(Fault::new(
                        at!["watchdog", number, "panel"],
                        format!("panel {name} does not control a watchdog; add it to the panel's controls"),
                    ));
                }
            }
            (_, Some(_)) => {
                return Err(Fault::new(
                    at!["watchdog", number, "panel"],
                    "only a watchdog of kind \"panel\" is in a panel; remove this",
                ));
            }
            (_, None) => {}
        }
        if let (Some(feed), Some(timeout)) = (watchdog.feed_every_sec, watchdog.timeout_sec)
            && feed >= timeout
        {
            return Err(Fault::new(
                at!["watchdog", number, "feed_every_sec"],
                format!("fed each {feed} s it bites after {timeout} s; feed it more often"),
            ));
        }
    }
    Ok(())
}

fn check_budget(board: &Board) -> Result<(), Fault> {
    let Some(budget) = &board.budget else { return Ok(()) };
    if let Some(memory) = &board.memory {
        let wanted = budget.resident.bytes().saturating_add(budget.rings.bytes());
        if wanted > memory.linux.bytes() {
            return Err(Fault::new(
                at!["budget", "resident"],
                format!(
                    "{} and {} of rings are more than Linux's {}; lower one of them",
                    budget.resident, budget.rings, memory.linux
                ),
            ));
        }
    }
    let chips = board.flash.iter().chain(board.variants.iter().flat_map(|v| &v.flash));
    for slot in
        chips.flat_map(|f| [f.partition(PartitionRole::Main), f.partition(PartitionRole::MainB)]).flatten()
    {
        if let Some(image) = budget.main_image.filter(|&image| image > slot.size) {
            return Err(Fault::new(
                at!["budget", "main_image"],
                format!(
                    "an image of {image} does not fit partition {} of {}; lower it",
                    slot.name, slot.size
                ),
            ));
        }
    }
    Ok(())
}
