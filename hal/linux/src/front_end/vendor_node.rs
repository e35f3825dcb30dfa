//! Device nodes of decoders' vendors: which requests there are, and making one.
//!
//! A request is data: its number and how many bytes the driver reads and writes; the bytes are laid out by the file of the driver
//! (`vendor_nvp.rs`, `vendor_tp.rs`, `vendor_tw.rs`). All are here, so that the promise to the kernel stands in one place.
//!
//! Sources: headers of public kernel drivers in HiSilicon SDKs. Does not belong here: what the bytes mean.

use std::ffi::c_ulong;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use hal::{ErrorKind, HalError};
use nix::sys::ioctl::ioctl_num_type;
use nix::{request_code_readwrite, request_code_write};

use crate::fault::{errno_fault, fault};

/// A request that a driver knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    number: ioctl_num_type,
    bytes: usize,
}

impl Request {
    /// Drivers of Nextchip's chips number their requests without direction and size.
    const fn plain(number: u8, bytes: usize) -> Self {
        Self { number: number as ioctl_num_type, bytes }
    }

    /// How many bytes it has.
    pub(super) fn bytes(self) -> usize {
        self.bytes
    }
}

/// Requests of `nvp6124` and `nc_vdec`: any of up to 16 channels of all chips.
impl Request {
    /// Four arrays of 16: two of formats, the equaliser's stages, and eight words of camera control.
    pub(super) const NVP_FORMATS: Self = Self::plain(0x08, 16 * 4 * (3 + 8));
    /// A bit a channel without a signal.
    pub(super) const NVP_LOSS: Self = Self::plain(0x09, 4);
    /// Channel, rate, mode.
    pub(super) const NVP_SET_MODE: Self = Self::plain(0x13, 3);
    /// The channel that the commands are for.
    pub(super) const NVP_COAX_CHANNEL: Self = Self::plain(0x20, size_of::<c_ulong>());

    /// A command, by its number; 0x22 to 0x2E.
    pub(super) const fn nvp_coax(number: u8) -> Self {
        Self::plain(number, 0)
    }
}

/// Requests of `tp2823dev`, of drivers 0.3 (TP2823) and 0.6 (TP2827, TP2853).
impl Request {
    /// Chip, channel, mode.
    pub(super) const TP_SET_MODE_03: Self = Self { number: request_code_write!(b'v', 3, 3), bytes: 3 };
    /// Chip, channel, mode, standard.
    pub(super) const TP_SET_MODE_06: Self = Self { number: request_code_write!(b'v', 3, 4), bytes: 4 };
    /// Chip, channel, mode, and whether it is progressive or (0.6) the standard.
    pub(super) const TP_MODE: Self = Self { number: request_code_readwrite!(b'v', 4, 4), bytes: 4 };
    /// Chip, channel, whether it has no signal.
    pub(super) const TP_LOSS: Self = Self { number: request_code_readwrite!(b'v', 5, 3), bytes: 3 };
    /// Chip, channel, ten bytes.
    pub(super) const TP_COAX_03: Self = Self { number: request_code_write!(b'v', 8, 12), bytes: 12 };
    /// Chip, channel, way, sixteen bytes.
    pub(super) const TP_COAX_06: Self = Self { number: request_code_write!(b'v', 8, 19), bytes: 19 };
}

/// Requests of `tw2865dev`, `tw2868dev` and `tw2960dev`.
impl Request {
    /// Three words: chip, channel, whether it has no signal.
    pub(super) const TW_LOSS: Self = Self { number: request_code_readwrite!(b't', 4, 12), bytes: 12 };
    /// Two words: chip, NTSC (1) or PAL (2).
    pub(super) const TW_SET_NORM: Self = Self { number: request_code_write!(b't', 7, 8), bytes: 8 };
}

/// What requests are made of: a device, or in tests what stands for it.
pub(super) trait Node: Send {
    /// Makes a request; `data` has the request's size, and the answer afterwards.
    fn call(&mut self, request: Request, data: &mut [u8], what: &str) -> Result<(), HalError>;
}

/// A device node.
pub(super) struct DeviceNode {
    path: PathBuf,
    file: File,
}

impl DeviceNode {
    pub(super) fn open(path: &Path) -> Result<Self, HalError> {
        let file = OpenOptions::new().read(true).write(true).open(path);
        let file = file.map_err(|error| fault(&format!("opening decoder {}", path.display()), &error))?;
        Ok(Self { path: path.to_owned(), file })
    }
}

impl fmt::Debug for DeviceNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceNode").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Node for DeviceNode {
    fn call(&mut self, request: Request, data: &mut [u8], what: &str) -> Result<(), HalError> {
        let words = || format!("{what} through {}", self.path.display());
        if data.len() != request.bytes {
            let message = format!("{}: {} bytes for a request of {}", words(), data.len(), request.bytes);
            return Err(HalError::new(ErrorKind::Unsupported, message));
        }
        uapi::call(&self.file, request, data).map_err(|errno| errno_fault(&words(), errno))
    }
}

#[expect(unsafe_code, reason = "requests of vendors' kernel drivers")]
mod uapi {
    use std::fs::File;
    use std::os::fd::AsRawFd;

    use nix::errno::Errno;
    use nix::libc;

    use crate::front_end::vendor_node::Request;

    /// `data` has the request's size.
    pub(super) fn call(file: &File, request: Request, data: &mut [u8]) -> Result<(), Errno> {
        // SAFETY: The driver copies at most the request's bytes, and `data` has them all; it outlives the call. Bytes need no
        // alignment: the kernel copies them.
        let answer = unsafe { libc::ioctl(file.as_raw_fd(), request.number, data.as_mut_ptr()) };
        Errno::result(answer).map(|_| ())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What a driver would answer to a request with these bytes.
    type Answer = Box<dyn FnMut(Request, &mut [u8]) -> Result<(), HalError> + Send>;

    /// Stands for a device; keeps what was asked.
    #[derive(Clone)]
    pub(in super::super) struct NodeDouble(Arc<Mutex<Inner>>);

    struct Inner {
        answer: Answer,
        asked: Vec<(Request, Vec<u8>)>,
    }

    impl NodeDouble {
        pub(in super::super) fn new(
            answer: impl FnMut(Request, &mut [u8]) -> Result<(), HalError> + Send + 'static,
        ) -> Self {
            Self(Arc::new(Mutex::new(Inner { answer: Box::new(answer), asked: Vec::new() })))
        }

        /// What was asked since the last look.
        pub(in super::super) fn asked(&self) -> Vec<(Request, Vec<u8>)> {
            std::mem::take(&mut self.0.lock().unwrap().asked)
        }
    }

    impl Node for NodeDouble {
        fn call(&mut self, request: Request, data: &mut [u8], _what: &str) -> Result<(), HalError> {
            assert_eq!(data.len(), request.bytes(), "{request:?}");
            let mut inner = self.0.lock().unwrap();
            inner.asked.push((request, data.to_vec()));
            (inner.answer)(request, data)
        }
    }

    /// The numbers as the drivers' headers make them (`_IOWR('t', 4, tw2865_video_loss)` and so on).
    #[test]
    fn numbers_are_those_of_public_headers() {
        assert_eq!(Request::TW_LOSS.number, 0xC00C_7404);
        assert_eq!(Request::TW_SET_NORM.number, 0x4008_7407);
        assert_eq!(Request::TP_LOSS.number, 0xC003_7605);
        assert_eq!(Request::TP_MODE.number, 0xC004_7604);
        assert_eq!(Request::TP_COAX_06.number, 0x4013_7608);
        assert_eq!((Request::NVP_FORMATS.number, Request::NVP_FORMATS.bytes), (0x08, 704));
    }

    #[test]
    fn what_is_no_such_device_says_so() {
        let missing = DeviceNode::open(Path::new("/dev/no-such-decoder")).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut wrong = DeviceNode::open(file.path()).unwrap();
        let error = wrong.call(Request::TW_LOSS, &mut [0; 12], "lock").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains(&file.path().display().to_string()), "{error}");
        let short = wrong.call(Request::TW_LOSS, &mut [0; 11], "lock").unwrap_err();
        assert!(short.to_string().ends_with("11 bytes for a request of 12"), "{short}");
    }
}
