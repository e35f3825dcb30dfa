//! What a return value of the library says.
//!
//! 0 is success. An error is `0xA0000000 | module << 16 | level << 13 | code`, level 4; module numbers differ by generation.
//! Public header: `hi_errno.h`.

use core::fmt;

use crate::codes::value;
use crate::generation::Generation;

/// First 8 bits of every error.
const APPLICATION: u32 = 0xA0 << 24;
/// Level "error"; 3 bits.
const LEVEL_ERROR: u32 = 4;

/// A return value, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MppError {
    /// Module number.
    pub module: i32,
    /// 0 debug to 7 fatal; 4 is an error.
    pub level: u32,
    /// [`ErrorCode`], or from 64 on a number of the module's own.
    pub code: u32,
}

impl MppError {
    /// `None` if the value does not follow the scheme.
    #[must_use]
    pub const fn from_return(returned: i32) -> Option<Self> {
        let bits = returned.cast_unsigned();
        if bits & 0xff00_0000 != APPLICATION {
            return None;
        }
        Some(Self { module: (bits >> 16 & 0xff).cast_signed(), level: bits >> 13 & 7, code: bits & 0x1fff })
    }

    /// The code, if all modules share it.
    #[must_use]
    pub fn known(&self) -> Option<ErrorCode> {
        ErrorCode::ALL.into_iter().find(|known| *known as u32 == self.code)
    }
}

/// Codes that all modules share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ErrorCode {
    /// No such device.
    BadDevice = 1,
    /// No such channel.
    BadChannel = 2,
    /// A parameter is out of range.
    BadParameter = 3,
    /// It is there already.
    Exists = 4,
    /// It is not there.
    Unexists = 5,
    /// A pointer is null.
    NullPointer = 6,
    /// It has not been configured.
    NotConfigured = 7,
    /// It does not offer that.
    Unsupported = 8,
    /// Not at this time.
    NotPermitted = 9,
    /// Out of memory; on an encoder, mostly of the media zone.
    NoMemory = 12,
    /// Out of buffers.
    NoBuffer = 13,
    /// Nothing is there yet.
    Empty = 14,
    /// There is no room.
    Full = 15,
    /// The platform is not initialised, or its modules are not loaded.
    NotReady = 16,
    /// An address is bad.
    BadAddress = 17,
    /// It is in use.
    Busy = 18,
}

impl ErrorCode {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::BadDevice,
        Self::BadChannel,
        Self::BadParameter,
        Self::Exists,
        Self::Unexists,
        Self::NullPointer,
        Self::NotConfigured,
        Self::Unsupported,
        Self::NotPermitted,
        Self::NoMemory,
        Self::NoBuffer,
        Self::Empty,
        Self::Full,
        Self::NotReady,
        Self::BadAddress,
        Self::Busy,
    ];

    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::BadDevice => "there is no such device",
            Self::BadChannel => "there is no such channel",
            Self::BadParameter => "a parameter is out of range",
            Self::Exists => "it is there already",
            Self::Unexists => "it is not there",
            Self::NullPointer => "a pointer is null",
            Self::NotConfigured => "it has not been configured",
            Self::Unsupported => "it is not supported",
            Self::NotPermitted => "it is not permitted now",
            Self::NoMemory => "there is no memory left",
            Self::NoBuffer => "there is no buffer left",
            Self::Empty => "the buffer is empty",
            Self::Full => "the buffer is full",
            Self::NotReady => "the system is not ready",
            Self::BadAddress => "an address is bad",
            Self::Busy => "it is busy",
        }
    }
}

/// The value that a module returns for a code.
#[must_use]
pub const fn error(module: i32, code: ErrorCode) -> i32 {
    (APPLICATION | (module.cast_unsigned() & 0xff) << 16 | LEVEL_ERROR << 13 | code as u32).cast_signed()
}

/// A return value in words: `VENC: the buffer is empty (0xA008800E)`.
#[must_use]
pub const fn describe(generation: Generation, returned: i32) -> Description {
    Description { generation, returned }
}

/// What [`describe`] makes; for `Display`.
#[derive(Clone, Copy, Debug)]
pub struct Description {
    generation: Generation,
    returned: i32,
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.returned.cast_unsigned();
        let Some(error) = MppError::from_return(self.returned) else {
            return write!(f, "the library answered {} ({bits:#010X})", self.returned);
        };
        match module_name(self.generation, error.module) {
            Some(name) => f.write_str(name)?,
            None => write!(f, "module {}", error.module)?,
        }
        match error.known() {
            Some(code) => write!(f, ": {} (0x{bits:08X})", code.words()),
            None => write!(f, ": error {} of its own (0x{bits:08X})", error.code),
        }
    }
}

/// Numbers that G1 on the one hand, G2 and G3 on the other give to other modules.
fn module_name(generation: Generation, module: i32) -> Option<&'static str> {
    let codes = generation.newest().codes();
    let own = [(codes.mod_rgn, "RGN"), (codes.mod_vpss, "VPSS"), (codes.mod_venc, "VENC")];
    own.iter().chain(SHARED).find(|(number, _)| *number == module).map(|(_, name)| *name)
}

const SHARED: &[(i32, &str)] = &[
    (0, "CMPI"),
    (value::MOD_VB, "VB"),
    (value::MOD_SYS, "SYS"),
    (4, "CHNL"),
    (value::MOD_VDEC, "VDEC"),
    (value::MOD_GROUP, "GROUP"),
    (value::MOD_VDA, "VDA"),
    (10, "H264E"),
    (11, "JPEGE"),
    (value::MOD_VOU, "VO"),
    (value::MOD_VIU, "VI"),
    (19, "RC"),
    (value::MOD_AI, "AI"),
    (value::MOD_AO, "AO"),
    (value::MOD_AENC, "AENC"),
    (24, "ADEC"),
];

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::*;

    #[test]
    fn what_a_module_returns_is_taken_apart_again() {
        for code in ErrorCode::ALL {
            let parts = MppError::from_return(error(value::MOD_VIU, code)).unwrap();
            assert_eq!((parts.module, parts.level, parts.known()), (16, 4, Some(code)));
        }
    }

    #[test]
    fn a_module_has_the_name_of_its_generation() {
        let empty = 0xA008_800E_u32.cast_signed();
        assert_eq!(describe(Generation::G2, empty).to_string(), "VENC: the buffer is empty (0xA008800E)");
        assert_eq!(describe(Generation::G1, empty).to_string(), "VPSS: the buffer is empty (0xA008800E)");
    }

    #[test]
    fn what_is_not_known_is_told_as_it_came() {
        assert_eq!(describe(Generation::G3, -1).to_string(), "the library answered -1 (0xFFFFFFFF)");
        let own = 0xA001_8040_u32.cast_signed();
        assert_eq!(describe(Generation::G3, own).to_string(), "VB: error 64 of its own (0xA0018040)");
        let module = 0xA0FF_8002_u32.cast_signed();
        assert_eq!(
            describe(Generation::G3, module).to_string(),
            "module 255: there is no such channel (0xA0FF8002)"
        );
    }
}
