//! The way from a board's description to a front end.
//!
//! Does not belong here: what a driver does with its chip.

use std::path::Path;
use std::thread;
use std::time::Duration;

use board::{DecoderChip, FrontEnd as Description};
use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c;
use hal::{ErrorKind, FrontEnd, HalError};

use crate::i2c::I2cBus;

use super::nvp6134::Nvp6134;
use super::tp28xx::Tp28xx;
use super::tw286x::Tw286x;
use super::vendor_node::DeviceNode;
use super::vendor_nvp::VendorNvp;
use super::vendor_tp::VendorTp;
use super::vendor_tw::VendorTw;

/// Decoders that share a driver on I2C.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecoderFamily {
    /// NVP6124, NVP6124B, NVP6134 and its later versions.
    Nextchip,
    /// TP2823, TP2823C, TP2827, TP2853C.
    Techpoint,
    /// TW2865, TW2868.
    Techwell,
}

/// Opens the front end that a board describes: through its device where it has one, else on the bus that it names, at the first of
/// its addresses where a chip of its family answers.
///
/// The bus is the kernel's adapter of that name, or `/dev/i2c-N` for a bus that is called `i2cN`.
///
/// # Errors
/// `NotFound` when there is no such bus, device or chip, or the description has neither bus nor device; `Unsupported` for a chip that only
/// its vendor's driver can reach; `Device` when the bus fails.
pub fn open_front_end(description: &Description) -> Result<Box<dyn FrontEnd>, HalError> {
    if let Some(device) = &description.device {
        let chip = description.device_chip.unwrap_or_default();
        return vendor_front_end(description.chip, DeviceNode::open(Path::new(device))?, chip);
    }
    let (Some(bus), [_, ..]) = (&description.i2c, description.addresses.as_slice()) else {
        let message = format!(
            "front end {}: its description has neither bus and addresses nor a device",
            description.name
        );
        return Err(HalError::new(ErrorKind::NotFound, message));
    };
    let family = family(description.chip)?;
    probe_decoder(family, I2cBus::named(bus)?, &description.addresses)
}

/// Looks for a decoder of a family at each of `addresses`, 8-bit ones as a board's description has them.
///
/// # Errors
/// `NotFound` when none of them answers as one, `Device` when the bus fails.
pub fn probe_decoder<I: I2c + Send + 'static>(
    family: DecoderFamily,
    bus: I,
    addresses: &[u8],
) -> Result<Box<dyn FrontEnd>, HalError> {
    Ok(match family {
        DecoderFamily::Nextchip => Box::new(Nvp6134::probe(bus, Sleep, addresses)?),
        DecoderFamily::Techpoint => Box::new(Tp28xx::probe(bus, Sleep, addresses)?),
        DecoderFamily::Techwell => Box::new(Tw286x::probe(bus, addresses)?),
    })
}

fn family(chip: DecoderChip) -> Result<DecoderFamily, HalError> {
    Ok(match chip {
        DecoderChip::Nvp6124 | DecoderChip::Nvp6134 | DecoderChip::Nvp6134c => DecoderFamily::Nextchip,
        DecoderChip::Tp2823 | DecoderChip::Tp2827 | DecoderChip::Tp2853 => DecoderFamily::Techpoint,
        DecoderChip::Tw2865 | DecoderChip::Tw2868 => DecoderFamily::Techwell,
        DecoderChip::Tw2960 => {
            let message = "the TW2960 is reached through its vendor's driver alone; name its device";
            return Err(HalError::new(ErrorKind::Unsupported, message));
        }
    })
}

fn vendor_front_end(chip: DecoderChip, node: DeviceNode, number: u8) -> Result<Box<dyn FrontEnd>, HalError> {
    Ok(match chip {
        DecoderChip::Nvp6124 => Box::new(VendorNvp::new(node, false, number)?),
        DecoderChip::Nvp6134 | DecoderChip::Nvp6134c => Box::new(VendorNvp::new(node, true, number)?),
        DecoderChip::Tp2823 => Box::new(VendorTp::new(node, false, number)),
        DecoderChip::Tp2827 | DecoderChip::Tp2853 => Box::new(VendorTp::new(node, true, number)),
        DecoderChip::Tw2865 => Box::new(VendorTw::new(node, "TW2865", number, 4, 720)),
        DecoderChip::Tw2868 => Box::new(VendorTw::new(node, "TW2868", number, 8, 720)),
        DecoderChip::Tw2960 => Box::new(VendorTw::new(node, "TW2960", number, 4, 960)),
    })
}

/// Waits by sleeping.
#[derive(Clone, Copy, Debug)]
struct Sleep;

impl DelayNs for Sleep {
    fn delay_ns(&mut self, ns: u32) {
        thread::sleep(Duration::from_nanos(u64::from(ns)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description(chip: DecoderChip) -> Description {
        Description {
            name: "decoder".to_owned(),
            chip,
            i2c: None,
            addresses: Vec::new(),
            device: None,
            device_chip: None,
        }
    }

    fn refusal(description: &Description) -> HalError {
        open_front_end(description).err().unwrap()
    }

    #[test]
    fn a_description_without_a_way_is_refused() {
        let mut tp = description(DecoderChip::Tp2823);
        assert!(refusal(&tp).to_string().contains("neither bus and addresses nor a device"));
        tp.i2c = Some("i2c4000000".to_owned());
        assert_eq!(refusal(&tp).kind(), ErrorKind::NotFound, "no addresses");
        tp.addresses = vec![0x88];
        assert_eq!(refusal(&tp).kind(), ErrorKind::NotFound, "no such bus");
        tp.device = Some("/dev/no-such-decoder".to_owned());
        assert_eq!(refusal(&tp).kind(), ErrorKind::NotFound);
        let tw = Description {
            i2c: Some("i2c0".to_owned()),
            addresses: vec![0x50],
            ..description(DecoderChip::Tw2960)
        };
        assert_eq!(refusal(&tw).kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn a_device_needs_no_answer_to_be_opened() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let device = Some(file.path().display().to_string());
        for (chip, words) in [
            (DecoderChip::Nvp6124, "NVP6124 2 of its driver"),
            (DecoderChip::Nvp6134c, "NVP6134 2 of its driver"),
            (DecoderChip::Tp2853, "Techpoint decoder 2 of its driver"),
            (DecoderChip::Tw2960, "TW2960 2 of its driver"),
        ] {
            let described = Description { device: device.clone(), device_chip: Some(2), ..description(chip) };
            let mut front_end = open_front_end(&described).unwrap();
            assert_eq!(front_end.chip(), words);
            assert_eq!(
                front_end.locked(0).unwrap_err().kind(),
                ErrorKind::Unsupported,
                "a file is no decoder"
            );
        }
    }
}
