//! The platform's faults in the HAL's words.

use hal::{ErrorKind, HalError};
use mpp_wire::{Fault, FaultKind};

/// `what` says what was asked: `channel 3`.
pub(crate) fn from_fault(what: &str, fault: &Fault) -> HalError {
    let kind = match fault.kind {
        FaultKind::NotFound => ErrorKind::NotFound,
        FaultKind::Unsupported => ErrorKind::Unsupported,
        FaultKind::Busy => ErrorKind::Busy,
        FaultKind::Device => ErrorKind::Device,
    };
    HalError::new(kind, format!("{what}: {fault}"))
}

pub(crate) fn unsupported(message: impl Into<String>) -> HalError {
    HalError::new(ErrorKind::Unsupported, message)
}

pub(crate) fn not_found(message: impl Into<String>) -> HalError {
    HalError::new(ErrorKind::NotFound, message)
}

pub(crate) fn device(message: impl Into<String>) -> HalError {
    HalError::new(ErrorKind::Device, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_keeps_its_kind_and_its_words() {
        let kinds = [
            (FaultKind::NotFound, ErrorKind::NotFound),
            (FaultKind::Unsupported, ErrorKind::Unsupported),
            (FaultKind::Busy, ErrorKind::Busy),
            (FaultKind::Device, ErrorKind::Device),
        ];
        for (theirs, ours) in kinds {
            let error = from_fault("channel 3", &Fault::new(theirs, "HI_MPI_VENC_CreateChn: no memory"));
            assert_eq!(error.kind(), ours);
            assert_eq!(error.to_string(), "channel 3: HI_MPI_VENC_CreateChn: no memory");
        }
    }
}
