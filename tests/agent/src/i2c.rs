//! An I2C chip's registers, through the kernel's `/dev/i2c-N`.

use std::fs::{self, File};

use hal::CoaxCommand;
use hal_linux::{DecoderFamily, I2cBus, probe_decoder};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::system_calls;

/// The number of the bus whose adapter has this name, such as `SMBus stub driver`.
pub(crate) fn bus_named(name: &str) -> Result<u32, Failure> {
    for entry in fs::read_dir("/sys/bus/i2c/devices")? {
        let path = entry?.path();
        let is = fs::read_to_string(path.join("name")).is_ok_and(|text| text.trim() == name);
        let number = path.file_name().and_then(|name| name.to_str()?.strip_prefix("i2c-")?.parse().ok());
        if let (true, Some(number)) = (is, number) {
            return Ok(number);
        }
    }
    Err(format!("no I2C bus is called {name}").into())
}

/// Writes a register, or reads it when there is no `value`.
pub(crate) fn register(bus: u32, chip: u8, register: u8, value: Option<u8>) -> Result<u8, Failure> {
    let bus = File::options().read(true).write(true).open(format!("/dev/i2c-{bus}"))?;
    Ok(system_calls::i2c_register(&bus, chip, register, value)?)
}

/// What the product's driver for `chip` (its marking, in small letters) makes of the decoder on a bus: which one it is, what each port has
/// locked to. With `menu`, opens the menu of that port's camera first.
pub(crate) fn front_end(bus: u32, address: u8, chip: &str, menu: Option<u8>) -> Result<Value, Failure> {
    let family = match chip.get(..2) {
        Some("nv") => DecoderFamily::Nextchip,
        Some("tp") => DecoderFamily::Techpoint,
        Some("tw") => DecoderFamily::Techwell,
        _ => return Err(format!("no driver is for {chip}").into()),
    };
    let mut decoder = probe_decoder(family, I2cBus::open(bus)?, &[address])?;
    if let Some(port) = menu {
        decoder.coax().ok_or("no camera control")?.send(port, CoaxCommand::Menu)?;
    }
    let mut ports = Vec::new();
    for port in 0..decoder.ports() {
        // A format counts once it was seen twice.
        decoder.locked(port)?;
        let format = decoder.locked(port)?;
        ports.push(format.map(|format| {
            json!({
                "standard": format!("{:?}", format.standard),
                "width": format.resolution.width,
                "height": format.resolution.height,
                "frame_rate": format.frame_rate.numerator / format.frame_rate.denominator,
            })
        }));
    }
    Ok(json!({ "chip": decoder.chip(), "ports": ports }))
}
