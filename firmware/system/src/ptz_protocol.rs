//! PTZ protocols: which there are, and a command as one's frame.
//!
//! Does not belong here: the frames' bytes (`pelco_d.rs`, `pelco_p.rs`).

use hal::{ErrorKind, HalError};

use crate::pelco_d;
use crate::pelco_p;
use crate::ptz::{PtzAddress, PtzCommand};

/// The longest frame of any protocol here.
pub const MAX_PTZ_FRAME_BYTES: usize = 8;

/// What a camera speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PtzProtocol {
    /// Pelco-D.
    PelcoD,
    /// Pelco-P. Pelco's own receivers count addresses from 0 on the line where their switches say 1; many others' do not.
    PelcoP {
        /// The camera whose switches say 1 is 0 on the line.
        first_is_zero: bool,
    },
}

/// A frame for the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PtzFrame {
    bytes: [u8; MAX_PTZ_FRAME_BYTES],
    length: usize,
}

impl PtzProtocol {
    /// The frame that says `command` to a camera.
    ///
    /// # Errors
    /// `Unsupported` for an address that the protocol does not have.
    pub fn frame(self, address: PtzAddress, command: PtzCommand) -> Result<PtzFrame, HalError> {
        match self {
            Self::PelcoD => Ok(PtzFrame::of(&pelco_d::encode(address.number(), command))),
            Self::PelcoP { first_is_zero } => {
                let number = address.number() - u8::from(first_is_zero);
                if first_is_zero && number > pelco_p::MAX_ADDRESS {
                    let message = format!(
                        "PTZ address {}: Pelco's own Pelco-P has 1 to {}",
                        address.number(),
                        pelco_p::MAX_ADDRESS + 1
                    );
                    return Err(HalError::new(ErrorKind::Unsupported, message));
                }
                Ok(PtzFrame::of(&pelco_p::encode(number, command)))
            }
        }
    }
}

impl PtzFrame {
    fn of(frame: &[u8]) -> Self {
        let mut bytes = [0; MAX_PTZ_FRAME_BYTES];
        for (to, from) in bytes.iter_mut().zip(frame) {
            *to = *from;
        }
        Self { bytes, length: frame.len().min(MAX_PTZ_FRAME_BYTES) }
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ptz::Preset;

    #[test]
    fn addresses_are_counted_as_the_camera_counts_them() {
        let address = |number| PtzAddress::new(number).unwrap();
        let byte = |protocol: PtzProtocol, number| protocol.frame(address(number), PtzCommand::Stop);
        let pelco = PtzProtocol::PelcoP { first_is_zero: true };
        let others = PtzProtocol::PelcoP { first_is_zero: false };
        assert_eq!(byte(PtzProtocol::PelcoD, 255).unwrap().bytes()[1], 255);
        assert_eq!(byte(pelco, 1).unwrap().bytes()[1], 0);
        assert_eq!(byte(pelco, 32).unwrap().bytes()[1], 31);
        assert_eq!(byte(pelco, 33).unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(byte(others, 33).unwrap().bytes()[1], 33);
        assert_eq!((PtzAddress::new(0), Preset::new(0)), (None, None));
    }
}
