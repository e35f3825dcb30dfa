//! Sound of a channel: an input's samples through a G.711 encoder.
//!
//! Input devices are shared by channels: the first one starts a device, and it runs on. Does not belong here: what the
//! recorder makes of the coded sound.
#![allow(unsafe_code, reason = "coded sound lies in the library's memory")]

use mpp_abi::common::{AencAttrG711, AudioStream, MppChn};
use mpp_abi::{ErrorCode, value};
use mpp_wire::{AudioPlan, Fault, FaultKind};

use crate::encoder::AT_ONCE;
use crate::library::{Arg, CallError};
use crate::param::{Param, library_bytes};
use crate::platform::Platform;

/// More than a second of G.711 at 16 kHz.
const MAX_UNIT_BYTES: u32 = 16 << 10;
/// HiSilicon's encoders put a head before coded voice: 0, 1, half the bytes that follow, 0.
const VOICE_HEAD_BYTES: usize = 4;

/// A sound encoder.
#[derive(Debug)]
pub(crate) struct Sound {
    encoder: i32,
    plan: AudioPlan,
    descriptor: i32,
}

/// A coded piece of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spoken {
    /// Microseconds of the platform's clock.
    pub(crate) pts: u64,
    pub(crate) sequence: u32,
}

impl Sound {
    /// Starts encoder number `encoder` on an input.
    pub(crate) fn open(platform: &mut Platform, encoder: i32, plan: AudioPlan) -> Result<Self, CallError> {
        platform.start_sound_device(&plan)?;
        let mut sound = Self { encoder, plan, descriptor: -1 };
        sound.start(platform).inspect_err(|_| sound.close(platform))?;
        Ok(sound)
    }

    fn start(&mut self, platform: &Platform) -> Result<(), CallError> {
        let library = &platform.library;
        let (device, input) = (i32::from(self.plan.device), i32::from(self.plan.input));
        library.call("AI_EnableChn", &mut [Arg::Int(device), Arg::Int(input)])?;
        let mut own = Param::new(AencAttrG711::default());
        let mut attr = platform.shapes.sound_encoder(self.plan.sample_rate, own.address32());
        library.call("AENC_CreateChn", &mut [Arg::Int(self.encoder), Arg::Of(&mut attr)])?;
        let (from, to) = self.binding();
        platform.bind(from, to)?;
        self.descriptor = library.descriptor("AENC_GetFd", &mut [Arg::Int(self.encoder)])?;
        Ok(())
    }

    pub(crate) fn close(&mut self, platform: &Platform) {
        let library = &platform.library;
        let (from, to) = self.binding();
        platform.unbind(from, to);
        self.descriptor = -1;
        library.try_call("AENC_DestroyChn", &mut [Arg::Int(self.encoder)]);
        let (device, input) = (i32::from(self.plan.device), i32::from(self.plan.input));
        library.try_call("AI_DisableChn", &mut [Arg::Int(device), Arg::Int(input)]);
    }

    fn binding(&self) -> (MppChn, MppChn) {
        let input = MppChn::new(value::MOD_AI, self.plan.device.into(), self.plan.input.into());
        (input, MppChn::new(value::MOD_AENC, 0, self.encoder))
    }

    /// Readable while sound waits.
    pub(crate) fn descriptor(&self) -> i32 {
        self.descriptor
    }

    /// The next piece, put into `into`; `None` while there is none.
    pub(crate) fn read(&self, platform: &Platform, into: &mut Vec<u8>) -> Result<Option<Spoken>, Fault> {
        let library = &platform.library;
        let mut stream = Param::new(AudioStream::default());
        let encoder = || Arg::Int(self.encoder);
        match library.call("AENC_GetStream", &mut [encoder(), Arg::Of(&mut stream), Arg::Int(AT_ONCE)]) {
            Err(error) if error.is(ErrorCode::Empty) => return Ok(None),
            taken => taken?,
        }
        let coded = stream.get::<AudioStream>();
        into.clear();
        let possible = coded.data.0 != 0 && (1..=MAX_UNIT_BYTES).contains(&coded.length);
        if possible {
            // SAFETY: the library handed these bytes out (GetStream) and keeps them until ReleaseStream below.
            into.extend_from_slice(unsafe { library_bytes(coded.data.0, coded.length as usize) });
        }
        library.call("AENC_ReleaseStream", &mut [encoder(), Arg::Of(&mut stream)])?;
        if !possible {
            let message = format!("sound encoder {} delivers {} bytes", self.encoder, coded.length);
            return Err(Fault::new(FaultKind::Device, message));
        }
        if has_voice_head(into) {
            into.drain(..VOICE_HEAD_BYTES);
        }
        Ok(Some(Spoken { pts: coded.timestamp, sequence: coded.sequence }))
    }
}

fn has_voice_head(unit: &[u8]) -> bool {
    matches!(unit, [0, 1, half, _, rest @ ..] if !rest.is_empty() && usize::from(*half) * 2 == rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voice_head_is_told_from_sound() {
        let mut unit = vec![0, 1, 80, 0];
        unit.extend([0xD5; 160]);
        assert!(has_voice_head(&unit));
        unit.pop();
        assert!(!has_voice_head(&unit), "its length is another");
        assert!(!has_voice_head(&[0xD5; 164]));
        assert!(!has_voice_head(&[0, 1, 0, 0]));
    }
}
