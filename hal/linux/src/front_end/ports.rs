//! A chip's ports: how many, and which format each showed at the last look.
//!
//! Does not belong here: how a chip is looked at.

use hal::{AnalogFormat, ErrorKind, HalError};

/// The ports of a chip.
#[derive(Debug)]
pub(super) struct Ports {
    last: Vec<Option<AnalogFormat>>,
}

impl Ports {
    pub(super) fn new(count: u8) -> Self {
        Self { last: vec![None; usize::from(count)] }
    }

    pub(super) fn count(&self) -> u8 {
        u8::try_from(self.last.len()).unwrap_or(u8::MAX)
    }

    /// `NotFound` for a port that `chip` has not.
    pub(super) fn check(&self, chip: &str, port: u8) -> Result<(), HalError> {
        if port < self.count() {
            return Ok(());
        }
        let message = format!("the {chip} has ports 0 to {}, not {port}", self.count().saturating_sub(1));
        Err(HalError::new(ErrorKind::NotFound, message))
    }

    /// `now`, once it was there at the look before too: a chip that searches shows formats that are not there.
    pub(super) fn steady(&mut self, port: u8, now: Option<AnalogFormat>) -> Option<AnalogFormat> {
        let before = std::mem::replace(&mut self.last[usize::from(port)], now);
        now.filter(|_| now == before)
    }
}

/// The error for a command to a camera that is not there.
pub(super) fn no_camera(chip: &str, port: u8) -> HalError {
    HalError::new(
        ErrorKind::NotFound,
        format!("port {port} of the {chip} has no signal, so no camera to command"),
    )
}

#[cfg(test)]
mod tests {
    use hal::AnalogStandard;

    use super::*;

    #[test]
    fn a_format_counts_once_it_was_seen_twice() {
        let mut ports = Ports::new(2);
        let [low, high] =
            [720, 1080].map(|lines| Some(AnalogFormat::progressive(AnalogStandard::Tvi, lines, 25)));
        let seen = [low, high, high, None, high].map(|now| ports.steady(1, now));
        assert_eq!(seen, [None, None, high, None, None]);
        assert_eq!(ports.steady(0, high), None, "each port has its own");
        assert!(ports.check("TP2823", 1).is_ok());
        let error = ports.check("TP2823", 2).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string()),
            (ErrorKind::NotFound, "the TP2823 has ports 0 to 1, not 2".into())
        );
    }
}
