//! I2C: buses, what drivers are bound to, and who answers.
//!
//! To read a decoder's identity its bank register must be written first, and that is not read-only: so nothing does
//! it here. What can be asked without writing is whether somebody answers at an address, by a byte read from
//! wherever the chip's own counter stands; a few chips move that counter, so it is done only when told to.

use serde::Serialize;

use crate::devices::NamedDevice;
use crate::hardware::Hardware;
use crate::tree::Tree;

/// 7-bit addresses with who may live there, from public drivers; the vendors write them shifted by one (0x60).
const KNOWN: [(u8, &str); 13] = [
    (0x28, "TW2865, TW2868, TW2960"),
    (0x29, "TW2865, TW2868, TW2960"),
    (0x2A, "TW2865, TW2868, TW2960"),
    (0x2B, "TW2865, TW2868, TW2960"),
    (0x30, "NVP6124, NVP6134, other Nextchip"),
    (0x31, "NVP6124, NVP6134, other Nextchip"),
    (0x32, "NVP6124, NVP6134, other Nextchip"),
    (0x33, "NVP6124, NVP6134, other Nextchip"),
    (0x44, "TP2823, TP2827, TP2853"),
    (0x45, "TP2823, TP2827, TP2853"),
    (0x46, "TP2823, TP2827, TP2853"),
    (0x47, "TP2823, TP2827, TP2853"),
    (0x68, "DS1307 (clock)"),
];

/// All that is known of I2C.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct I2cFindings {
    /// Buses: `i2c-0`, and the adapter's name.
    pub buses: Vec<NamedDevice>,
    /// Devices that the kernel knows.
    pub devices: Vec<I2cDevice>,
    /// Who answered; absent when nobody was asked.
    pub answers: Option<Vec<I2cAnswer>>,
}

/// A device that the kernel knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct I2cDevice {
    /// Bus and address as the kernel writes them: `0-0030`.
    pub place: String,
    /// Its name.
    pub name: Option<String>,
    /// The driver that is bound to it.
    pub driver: Option<String>,
}

/// Somebody who answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct I2cAnswer {
    /// The bus's number.
    pub bus: u32,
    /// The 7-bit address.
    pub address: u8,
    /// Chips that live there.
    pub may_be: &'static str,
}

pub(crate) fn findings(tree: &Tree, hardware: &mut dyn Hardware) -> I2cFindings {
    let mut buses = crate::devices::class(tree, "i2c-dev", "name");
    for node in crate::devices::nodes(tree, &["i2c-"]) {
        if buses.iter().all(|bus| bus.device != node) {
            buses.push(NamedDevice { device: node, name: None });
        }
    }
    let folder = "/sys/bus/i2c/devices";
    let devices = tree.names(folder).into_iter().filter(|name| !name.starts_with("i2c-"));
    let devices = devices
        .map(|place| I2cDevice {
            name: tree.line_if_any(&format!("{folder}/{place}/name")),
            driver: tree.link_name(&format!("{folder}/{place}/driver")),
            place,
        })
        .collect();
    let answers = hardware.i2c_asked().then(|| ask(tree, &buses, hardware));
    I2cFindings { buses, devices, answers }
}

fn ask(tree: &Tree, buses: &[NamedDevice], hardware: &mut dyn Hardware) -> Vec<I2cAnswer> {
    let mut answers = Vec::new();
    for bus in buses {
        let Some(number) = bus.device.strip_prefix("i2c-").and_then(|number| number.parse().ok()) else {
            continue;
        };
        for (address, may_be) in KNOWN {
            match hardware.i2c_answers(number, address) {
                Ok(true) => answers.push(I2cAnswer { bus: number, address, may_be }),
                Ok(false) => {}
                Err(why) => {
                    tree.miss(&format!("/dev/{}", bus.device), why);
                    break;
                }
            }
        }
    }
    answers
}
