//! Which NVP6124 or NVP6134 it is, and where they differ.
//!
//! Does not belong here: what is done with the chip.

/// The chips that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NvpChip {
    /// NVP6124 (id 0x84).
    Nvp6124,
    /// NVP6124B (id 0x86).
    Nvp6124b,
    /// NVP6134 (id 0x91).
    Nvp6134,
    /// NVP6134B, C and later (id 0x90); the revision tells them apart.
    Nvp6134b,
}

impl NvpChip {
    pub(super) fn of_id(id: u8) -> Option<Self> {
        Some(match id {
            0x84 => Self::Nvp6124,
            0x86 => Self::Nvp6124b,
            0x91 => Self::Nvp6134,
            0x90 => Self::Nvp6134b,
            _ => return None,
        })
    }

    pub(super) fn is_6134(self) -> bool {
        matches!(self, Self::Nvp6134 | Self::Nvp6134b)
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Nvp6124 => "NVP6124",
            Self::Nvp6124b => "NVP6124B",
            Self::Nvp6134 => "NVP6134",
            Self::Nvp6134b => "NVP6134B",
        }
    }

    /// The register in bank 0 whose bit for a port says that it has no signal.
    pub(super) fn no_signal(self) -> u8 {
        if self.is_6134() { 0xA8 } else { 0xB8 }
    }
}
