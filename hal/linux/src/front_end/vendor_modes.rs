//! The modes of ports behind a vendor's driver: what is wanted, what was set.
//!
//! Does not belong here: how a driver is told (`vendor_nvp.rs`, `vendor_tp.rs`).

use hal::{AnalogFormat, AnalogMode};

#[derive(Clone, Copy, Debug, Default)]
struct Mode {
    wanted: Option<AnalogMode>,
    set: Option<AnalogFormat>,
}

/// The modes of a chip's ports.
#[derive(Debug)]
pub(super) struct Modes(Vec<Mode>);

impl Modes {
    pub(super) fn new(ports: u8) -> Self {
        Self(vec![Mode::default(); usize::from(ports)])
    }

    /// What a port was last set to.
    pub(super) fn set(&self, port: u8) -> Option<AnalogFormat> {
        self.0[usize::from(port)].set
    }

    /// The driver took that format.
    pub(super) fn was_set(&mut self, port: u8, format: AnalogFormat) {
        self.0[usize::from(port)].set = Some(format);
    }

    /// From here on; a fixed format has been set already, an automatic port follows anew.
    pub(super) fn want(&mut self, port: u8, mode: AnalogMode) {
        let state = &mut self.0[usize::from(port)];
        if mode == AnalogMode::Auto {
            state.set = None;
        }
        state.wanted = Some(mode);
    }

    /// What an automatic port is to be set to now that its camera shows `steady`.
    pub(super) fn due(&self, port: u8, steady: Option<AnalogFormat>) -> Option<AnalogFormat> {
        let state = self.0[usize::from(port)];
        steady.filter(|_| state.wanted == Some(AnalogMode::Auto) && state.set != steady)
    }
}
