//! `AI` and `AENC`: the simulator's tick in G.711 behind the vendor's header.

use std::collections::{BTreeMap, VecDeque};

use hal::{ChannelId, WallTime};
use hal_sim::Tick;
use mpp_abi::{ErrorCode, value};

use crate::limits::Limits;
use crate::memory::Memory;
use crate::refusal::{Module, Outcome};

/// A sound device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeviceAttr {
    pub(crate) sample_rate: i32,
    pub(crate) bit_width: i32,
    pub(crate) sound_mode: i32,
    pub(crate) frames: u32,
    pub(crate) samples_per_frame: u32,
    pub(crate) channels: u32,
}

#[derive(Debug, Default)]
struct Device {
    attr: Option<DeviceAttr>,
    enabled: bool,
    /// Channels that run: since when, and frames so far.
    running: BTreeMap<i32, (u64, u64)>,
}

/// Encoded sound that waits or is held.
#[derive(Debug)]
struct Coded {
    memory: Memory,
    timestamp: u64,
    sequence: u32,
}

/// Encoded sound as the caller gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fetched {
    pub(crate) address: u32,
    pub(crate) physical: u32,
    pub(crate) length: u32,
    pub(crate) timestamp: u64,
    pub(crate) sequence: u32,
}

#[derive(Debug)]
struct SoundEncoder {
    /// Frames that may wait.
    frames: u32,
    waiting: VecDeque<Coded>,
    held: VecDeque<Coded>,
    sequence: u32,
}

/// All devices and encoders.
#[derive(Debug, Default)]
pub(crate) struct Sound {
    devices: BTreeMap<i32, Device>,
    encoders: BTreeMap<i32, SoundEncoder>,
}

impl Sound {
    /// `AI_SetPubAttr`.
    pub(crate) fn set_device(&mut self, limits: &Limits, device: i32, attr: DeviceAttr) -> Outcome {
        check_device(limits, device)?;
        let require = |holds: bool, why: std::fmt::Arguments<'_>| Module::Ai.require(holds, why);
        let rates = [8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];
        require(rates.contains(&attr.sample_rate), format_args!("{} samples a second", attr.sample_rate))?;
        require(attr.bit_width == value::AUDIO_16_BIT, format_args!("bit width {}", attr.bit_width))?;
        require((0..=1).contains(&attr.sound_mode), format_args!("sound mode {}", attr.sound_mode))?;
        require((2..=50).contains(&attr.frames), format_args!("{} frames", attr.frames))?;
        let samples = attr.samples_per_frame;
        require((80..=2048).contains(&samples), format_args!("{samples} samples a frame"))?;
        let channels = attr.channels >= 1 && attr.channels <= limits.ai_channels.cast_unsigned();
        require(channels, format_args!("{} channels", attr.channels))?;
        let device = self.devices.entry(device).or_default();
        Module::Ai.permit(!device.enabled, "AI_SetPubAttr of a device that is enabled")?;
        device.attr = Some(attr);
        Ok(())
    }

    /// `AI_Enable`.
    pub(crate) fn enable_device(&mut self, limits: &Limits, device: i32) -> Outcome {
        check_device(limits, device)?;
        let device = self.devices.entry(device).or_default();
        if device.attr.is_none() {
            return Module::Ai.refuse(ErrorCode::NotConfigured, "AI_Enable before AI_SetPubAttr");
        }
        device.enabled = true;
        Ok(())
    }

    /// `AI_Disable`.
    pub(crate) fn disable_device(&mut self, limits: &Limits, device: i32) -> Outcome {
        check_device(limits, device)?;
        let device = self.devices.entry(device).or_default();
        Module::Ai.permit(device.running.is_empty(), "AI_Disable while a channel is enabled")?;
        device.enabled = false;
        Ok(())
    }

    /// `AI_EnableChn`.
    pub(crate) fn enable(&mut self, limits: &Limits, device: i32, channel: i32, now: u64) -> Outcome {
        check_device(limits, device)?;
        let device = self.devices.entry(device).or_default();
        let Some(attr) = device.attr.filter(|_| device.enabled) else {
            return Module::Ai.refuse(ErrorCode::NotPermitted, "AI_EnableChn before AI_Enable");
        };
        Module::Ai.channel(channel, attr.channels.cast_signed())?;
        device.running.entry(channel).or_insert((now, 0));
        Ok(())
    }

    /// `AI_DisableChn`.
    pub(crate) fn disable(&mut self, limits: &Limits, device: i32, channel: i32) -> Outcome {
        check_device(limits, device)?;
        Module::Ai.channel(channel, limits.ai_channels)?;
        if let Some(device) = self.devices.get_mut(&device) {
            device.running.remove(&channel);
        }
        Ok(())
    }

    /// `AENC_CreateChn`.
    pub(crate) fn create(&mut self, limits: &Limits, channel: i32, payload: i32, frames: u32) -> Outcome {
        Module::Aenc.channel(channel, limits.sound_encoders)?;
        if self.encoders.contains_key(&channel) {
            return Module::Aenc.refuse(ErrorCode::Exists, format_args!("channel {channel}"));
        }
        if payload != value::PT_G711A {
            return Module::Aenc
                .refuse(ErrorCode::Unsupported, format_args!("the stand-in makes no payload {payload}"));
        }
        Module::Aenc.require((2..=50).contains(&frames), format_args!("{frames} frames"))?;
        let encoder = SoundEncoder { frames, waiting: VecDeque::new(), held: VecDeque::new(), sequence: 0 };
        self.encoders.insert(channel, encoder);
        Ok(())
    }

    /// `AENC_DestroyChn`.
    pub(crate) fn destroy(&mut self, limits: &Limits, channel: i32, bound: bool) -> Outcome {
        let held = !self.encoder(limits, channel)?.held.is_empty();
        Module::Aenc.permit(!bound, "AENC_DestroyChn while it is bound")?;
        if held {
            return Module::Aenc.refuse(ErrorCode::Busy, "AENC_DestroyChn while a stream is not released");
        }
        self.encoders.remove(&channel);
        Ok(())
    }

    /// Whether that channel is there.
    pub(crate) fn check(&mut self, limits: &Limits, channel: i32) -> Outcome {
        self.encoder(limits, channel).map(drop)
    }

    /// Whether sound waits to be fetched.
    pub(crate) fn has_stream(&self, channel: i32) -> bool {
        self.encoders.get(&channel).is_some_and(|encoder| !encoder.waiting.is_empty())
    }

    /// `AENC_GetStream`.
    pub(crate) fn fetch(&mut self, limits: &Limits, channel: i32) -> Outcome<Fetched> {
        let encoder = self.encoder(limits, channel)?;
        let Some(coded) = encoder.waiting.pop_front() else {
            return Module::Aenc.refuse(ErrorCode::Empty, "no sound waits");
        };
        let fetched = Fetched {
            address: coded.memory.address(0),
            physical: coded.memory.physical(0),
            length: coded.memory.len() as u32,
            timestamp: coded.timestamp,
            sequence: coded.sequence,
        };
        encoder.held.push_back(coded);
        Ok(fetched)
    }

    /// `AENC_ReleaseStream`.
    pub(crate) fn release(&mut self, limits: &Limits, channel: i32, address: u32) -> Outcome {
        let encoder = self.encoder(limits, channel)?;
        let oldest = encoder.held.front().is_some_and(|held| held.memory.address(0) == address);
        Module::Aenc.require(oldest, "the stream is not the oldest one fetched")?;
        encoder.held.pop_front();
        Ok(())
    }

    /// Whether no sound comes in.
    pub(crate) fn is_idle(&self) -> bool {
        self.devices.values().all(|device| device.running.is_empty())
    }

    /// Channels of which a frame is due by `now`: device, channel.
    pub(crate) fn due(&self, now: u64) -> Vec<(i32, i32)> {
        let mut due = Vec::new();
        for (number, device) in &self.devices {
            for (channel, &(since, frames)) in &device.running {
                let count = device.attr.map_or(0, |attr| frames_by(&attr, now.saturating_sub(since)));
                due.extend(std::iter::repeat_n((*number, *channel), count.saturating_sub(frames) as usize));
            }
        }
        due
    }

    /// Makes the next frame of an input, for those encoders.
    pub(crate) fn make(&mut self, input: (i32, i32), encoders: &[i32], timestamp: u64, wall: WallTime) {
        let Some(device) = self.devices.get_mut(&input.0) else { return };
        let (Some(attr), Some((_, frames))) = (device.attr, device.running.get_mut(&input.1)) else { return };
        *frames += 1;
        let Some(channel) = u16::try_from(input.1 + 1).ok().and_then(ChannelId::new) else { return };
        let mut samples = vec![0; attr.samples_per_frame as usize];
        Tick::new(channel).fill(wall, attr.sample_rate.cast_unsigned(), &mut samples);
        // The vendor's header counts half words: 00 01 160 00 before 320 bytes.
        let bytes = [&[0, 1, (samples.len() / 2) as u8, 0][..], &samples].concat();
        for number in encoders {
            if let Some(encoder) = self.encoders.get_mut(number) {
                encoder.sequence = encoder.sequence.wrapping_add(1);
                if (encoder.waiting.len() + encoder.held.len()) < encoder.frames as usize {
                    let (memory, sequence) = (Memory::of(&bytes), encoder.sequence);
                    encoder.waiting.push_back(Coded { memory, timestamp, sequence });
                }
            }
        }
    }

    fn encoder(&mut self, limits: &Limits, channel: i32) -> Outcome<&mut SoundEncoder> {
        Module::Aenc.channel(channel, limits.sound_encoders)?;
        match self.encoders.get_mut(&channel) {
            Some(encoder) => Ok(encoder),
            None => Module::Aenc.refuse(ErrorCode::Unexists, format_args!("channel {channel}")),
        }
    }
}

fn frames_by(attr: &DeviceAttr, micros: u64) -> u64 {
    micros * u64::from(attr.sample_rate.cast_unsigned()) / 1_000_000 / u64::from(attr.samples_per_frame)
}

fn check_device(limits: &Limits, device: i32) -> Outcome {
    if (0..limits.ai_devices).contains(&device) {
        return Ok(());
    }
    Module::Ai.refuse(ErrorCode::BadDevice, format_args!("device {device}, there are {}", limits.ai_devices))
}

#[cfg(test)]
mod tests {
    use mpp_abi::Generation;

    use super::*;
    use crate::limits;

    const ATTR: DeviceAttr = DeviceAttr {
        sample_rate: 8000,
        bit_width: 1,
        sound_mode: 0,
        frames: 30,
        samples_per_frame: 320,
        channels: 2,
    };

    #[test]
    fn sound_comes_with_the_vendors_header_and_is_released_in_order() {
        let (limits, mut sound) = (limits::of(Generation::G2), Sound::default());
        let code = |outcome: Outcome| outcome.unwrap_err().code;
        assert_eq!(code(sound.enable_device(&limits, 0)), ErrorCode::NotConfigured);
        sound.set_device(&limits, 0, ATTR).unwrap();
        assert_eq!(code(sound.enable(&limits, 0, 0, 0)), ErrorCode::NotPermitted);
        sound.enable_device(&limits, 0).unwrap();
        assert_eq!(code(sound.enable(&limits, 0, 2, 0)), ErrorCode::BadChannel);
        sound.enable(&limits, 0, 0, 0).unwrap();
        assert_eq!(code(sound.create(&limits, 0, 20, 30)), ErrorCode::Unsupported);
        sound.create(&limits, 0, value::PT_G711A, 30).unwrap();
        assert_eq!(sound.due(100_000), [(0, 0), (0, 0)], "40 ms a frame");
        for _ in 0..2 {
            sound.make((0, 0), &[0], 7, WallTime::from_unix_micros(0));
        }
        assert_eq!(sound.due(100_000), []);
        let (first, second) = (sound.fetch(&limits, 0).unwrap(), sound.fetch(&limits, 0).unwrap());
        assert_eq!((first.length, first.sequence, second.sequence), (324, 1, 2));
        assert_eq!(sound.encoders[&0].held[0].memory.read(0, 4), [0, 1, 160, 0]);
        assert_eq!(code(sound.release(&limits, 0, second.address)), ErrorCode::BadParameter);
        assert_eq!(code(sound.destroy(&limits, 0, false)), ErrorCode::Busy);
        sound.release(&limits, 0, first.address).unwrap();
        sound.release(&limits, 0, second.address).unwrap();
        assert_eq!(sound.fetch(&limits, 0).unwrap_err().code, ErrorCode::Empty);
        sound.destroy(&limits, 0, false).unwrap();
    }

    #[test]
    fn what_nobody_fetches_is_lost_and_counted() {
        let (limits, mut sound) = (limits::of(Generation::G1), Sound::default());
        sound.set_device(&limits, 0, ATTR).unwrap();
        sound.enable_device(&limits, 0).unwrap();
        sound.enable(&limits, 0, 1, 0).unwrap();
        sound.create(&limits, 4, value::PT_G711A, 2).unwrap();
        for _ in 0..5 {
            sound.make((0, 1), &[4], 0, WallTime::from_unix_micros(0));
        }
        for _ in 0..2 {
            let fetched = sound.fetch(&limits, 4).unwrap();
            sound.release(&limits, 4, fetched.address).unwrap();
        }
        sound.make((0, 1), &[4], 0, WallTime::from_unix_micros(0));
        assert_eq!(sound.fetch(&limits, 4).unwrap().sequence, 6);
    }
}
