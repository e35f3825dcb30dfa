//! What an encoder is asked for, in words of all generations, and its rules.

use hal::{BitsPerSecond, FrameRate, Resolution, StreamConfig, StreamKind, VideoCodec};
use mpp_abi::{Codes, ErrorCode, value};

use crate::limits::Limits;
use crate::refusal::{Module, Outcome};

/// The smallest picture that the vendor encodes.
const MIN_SIZE: (u32, u32) = (160, 64);
/// Stream buffers are multiples of that.
const BUFFER_STEP: u32 = 64;
/// The longest GOP of the vendor's.
const MAX_GOP: u32 = 65_536;
/// Kilobits a second.
const BIT_RATES: std::ops::RangeInclusive<u32> = 2..=40_960;
/// Bits of a sample where the quality is fixed, as one in so many.
const SAMPLES_PER_BIT: u64 = 20;

/// An encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EncoderConfig {
    pub(crate) payload: i32,
    pub(crate) max_width: u32,
    pub(crate) max_height: u32,
    pub(crate) buffer_bytes: u32,
    pub(crate) profile: u32,
    pub(crate) by_frame: bool,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// All zero for single JPEGs.
    pub(crate) rate: Rate,
}

/// Rate control. What a mode does not have is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) mode: i32,
    pub(crate) gop: u32,
    pub(crate) stat_time: Option<u32>,
    pub(crate) source_rate: u32,
    /// Pictures a second; the upper half is a divisor if it is not zero.
    pub(crate) target_rate: u32,
    pub(crate) kilobits: Option<u32>,
    pub(crate) fluctuate: Option<u32>,
    /// Best, worst.
    pub(crate) qp: Option<(u32, u32)>,
}

impl Rate {
    /// Pictures a second that go out.
    pub(crate) fn target(&self) -> FrameRate {
        FrameRate { numerator: self.target_rate & 0xffff, denominator: (self.target_rate >> 16).max(1) }
    }

    fn check(&self, codes: &Codes) -> Outcome {
        let modes = [
            Some(codes.rc_h264_cbr),
            Some(codes.rc_h264_vbr),
            codes.rc_h264_avbr,
            codes.rc_h264_qvbr,
            Some(codes.rc_h264_fixqp),
        ];
        let require = |holds: bool, why: std::fmt::Arguments<'_>| Module::Venc.require(holds, why);
        require(modes.contains(&Some(self.mode)), format_args!("rate control {}", self.mode))?;
        require((1..=MAX_GOP).contains(&self.gop), format_args!("a GOP of {}", self.gop))?;
        let target = self.target();
        require(
            (1..=120).contains(&self.source_rate),
            format_args!("{} pictures come in", self.source_rate),
        )?;
        let within = target.numerator > 0 && target.numerator <= self.source_rate * target.denominator;
        require(within, format_args!("{target:?} pictures go out of {}", self.source_rate))?;
        let given = |number: Option<u32>, range: std::ops::RangeInclusive<u32>| {
            number.is_none_or(|number| range.contains(&number))
        };
        require(given(self.stat_time, 1..=60), format_args!("a rate held over {:?} s", self.stat_time))?;
        require(given(self.kilobits, BIT_RATES), format_args!("{:?} kbit/s", self.kilobits))?;
        require(given(self.fluctuate, 0..=5), format_args!("fluctuation {:?}", self.fluctuate))?;
        let qp = self.qp.is_none_or(|(best, worst)| best <= worst && worst <= 51);
        require(qp, format_args!("quality {:?}", self.qp))
    }
}

impl EncoderConfig {
    /// `VENC_CreateChn`'s rules.
    pub(crate) fn check(&self, codes: &Codes, limits: &Limits) -> Outcome {
        let require = |holds: bool, why: std::fmt::Arguments<'_>| Module::Venc.require(holds, why);
        let unsupported = |why| Module::Venc.refuse(ErrorCode::Unsupported, why);
        match self.payload {
            value::PT_H264 | value::PT_JPEG => {}
            value::PT_MJPEG => return unsupported("the stand-in makes no motion JPEG"),
            value::PT_H265 => return unsupported("the stand-in makes no H.265"),
            other => return Module::Venc.refuse(ErrorCode::BadParameter, format_args!("payload {other}")),
        }
        let size =
            format_args!("{}x{} of at most {}x{}", self.width, self.height, self.max_width, self.max_height);
        let even = (self.width | self.height | self.max_width | self.max_height).is_multiple_of(2);
        let fits = self.width >= MIN_SIZE.0
            && self.height >= MIN_SIZE.1
            && self.width <= self.max_width
            && self.height <= self.max_height
            && self.max_width.max(self.max_height) <= limits.encoder_side;
        require(even && fits, size)?;
        let buffer = self.buffer_bytes.is_multiple_of(BUFFER_STEP)
            && self.buffer_bytes >= self.max_width * self.max_height;
        require(buffer, format_args!("a stream buffer of {} bytes", self.buffer_bytes))?;
        if !self.by_frame {
            return unsupported("the stand-in hands out whole pictures alone");
        }
        if self.payload == value::PT_JPEG {
            return self.source_stream().map(drop);
        }
        require(self.profile <= value::PROFILE_HIGH, format_args!("profile {}", self.profile))?;
        self.rate.check(codes)?;
        self.source_stream().map(drop)
    }

    /// `VENC_SetChnAttr`'s rules: the rate may change, its mode and everything else not.
    pub(crate) fn check_change(&self, codes: &Codes, to: &Self) -> Outcome {
        let same = Self { rate: self.rate, ..*to } == *self && self.rate.mode == to.rate.mode;
        Module::Venc.require(same, "more than the rate changes; that needs a new channel")?;
        if self.payload == value::PT_H264 { to.rate.check(codes) } else { Ok(()) }
    }

    /// The simulated stream that stands for it.
    pub(crate) fn source_stream(&self) -> Outcome<StreamConfig> {
        // Single JPEGs have no rate.
        let frame_rate = if self.payload == value::PT_JPEG {
            FrameRate { numerator: 25, denominator: 1 }
        } else {
            self.rate.target()
        };
        let resolution = Resolution { width: self.width as u16, height: self.height as u16 };
        let samples = u64::from(self.width) * u64::from(self.height) * u64::from(frame_rate.numerator)
            / u64::from(frame_rate.denominator);
        let bits =
            self.rate.kilobits.map_or(samples / SAMPLES_PER_BIT, |kilobits| u64::from(kilobits) * 1000);
        let most = if self.width >= 288 && self.height >= 160 {
            hal_sim::max_bit_rate(resolution, frame_rate)
        } else {
            BitsPerSecond(u32::MAX)
        };
        let bit_rate = u32::try_from(bits).unwrap_or(u32::MAX).clamp(hal_sim::MIN_BIT_RATE.0, most.0);
        let stream = StreamConfig {
            kind: StreamKind::Main,
            codec: VideoCodec::H264,
            resolution,
            frame_rate,
            bit_rate: BitsPerSecond(bit_rate),
            gop_frames: self.rate.gop.clamp(1, u32::from(hal_sim::MAX_GOP_FRAMES)) as u16,
        };
        if self.width < 288 || self.height < 160 {
            return Module::Venc
                .refuse(ErrorCode::Unsupported, "the stand-in makes no pictures below 288x160");
        }
        Ok(stream)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use mpp_abi::{Dialect, Generation};

    use super::*;
    use crate::limits;

    pub(crate) fn config(width: u32, height: u32) -> EncoderConfig {
        EncoderConfig {
            payload: value::PT_H264,
            max_width: width,
            max_height: height,
            buffer_bytes: (width * height * 2).next_multiple_of(64),
            profile: value::PROFILE_HIGH,
            by_frame: true,
            width,
            height,
            rate: Rate {
                mode: 1,
                gop: 50,
                stat_time: Some(1),
                source_rate: 25,
                target_rate: 25,
                kilobits: Some(2048),
                fluctuate: Some(1),
                qp: None,
            },
        }
    }

    fn code(config: EncoderConfig, dialect: Dialect) -> Option<ErrorCode> {
        config.check(dialect.codes(), &limits::of(dialect.generation())).err().map(|refusal| refusal.code)
    }

    #[test]
    fn a_sound_config_is_taken_and_each_flaw_is_found() {
        let good = config(704, 576);
        assert_eq!(code(good, Dialect::G2), None);
        for (name, bad) in [
            ("odd", EncoderConfig { width: 701, ..good }),
            ("small", EncoderConfig { width: 158, ..good }),
            ("larger than most", EncoderConfig { width: 720, ..good }),
            ("buffer step", EncoderConfig { buffer_bytes: good.buffer_bytes + 1, ..good }),
            ("buffer size", EncoderConfig { buffer_bytes: 64, ..good }),
            ("profile", EncoderConfig { profile: 3, ..good }),
            ("payload", EncoderConfig { payload: 97, ..good }),
            ("gop", EncoderConfig { rate: Rate { gop: 0, ..good.rate }, ..good }),
            ("faster", EncoderConfig { rate: Rate { target_rate: 30, ..good.rate }, ..good }),
            ("bit rate", EncoderConfig { rate: Rate { kilobits: Some(1), ..good.rate }, ..good }),
            ("quality", EncoderConfig { rate: Rate { qp: Some((40, 20)), ..good.rate }, ..good }),
        ] {
            assert_eq!(code(bad, Dialect::G2), Some(ErrorCode::BadParameter), "{name}");
        }
        assert_eq!(
            code(EncoderConfig { payload: value::PT_H265, ..good }, Dialect::G2),
            Some(ErrorCode::Unsupported)
        );
    }

    #[test]
    fn rate_control_has_the_numbers_of_its_generation() {
        let with = |mode| EncoderConfig { rate: Rate { mode, ..config(704, 576).rate }, ..config(704, 576) };
        // Fixed quality: 4 in G1, 5 in G2, where 4 is nothing; 3 is AVBR from G2 on.
        assert_eq!(code(with(4), Dialect::G1), None);
        assert_eq!(code(with(4), Dialect::G2), Some(ErrorCode::BadParameter));
        assert_eq!(code(with(3), Dialect::G1), Some(ErrorCode::BadParameter));
        assert_eq!(code(with(3), Dialect::G3Late), None);
        assert_eq!(code(with(5), Dialect::G1), Some(ErrorCode::BadParameter));
    }

    #[test]
    fn only_the_rate_changes_while_running() {
        let good = config(704, 576);
        let codes = Dialect::G2.codes();
        let slower = EncoderConfig {
            rate: Rate { target_rate: 10, gop: 20, kilobits: Some(512), ..good.rate },
            ..good
        };
        assert_eq!(good.check_change(codes, &slower), Ok(()));
        for other in [config(352, 288), EncoderConfig { profile: 0, ..good }] {
            assert_eq!(good.check_change(codes, &other).unwrap_err().code, ErrorCode::BadParameter);
        }
        assert_eq!(limits::of(Generation::G1).encoders, 64);
    }
}
