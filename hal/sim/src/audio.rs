//! Sound: a tick at each second, in G.711 A-law.
//!
//! What is heard follows from the wall time and the channel (each has its own pitch), so that sound and picture
//! can be held against one another. Does not belong here: pacing (`backend.rs`).

use hal::{AccessUnit, AudioCodec, AudioFormat, ChannelId, Pts90k, StreamId, StreamKind, WallTime};

/// G.711's rate.
const SAMPLES_PER_SEC: u32 = 8000;

/// 20 ms: what RFC 3551 section 4.2 recommends for a packet.
const SAMPLES_PER_UNIT: usize = 160;

/// Units in a second.
pub(crate) const UNITS_PER_SEC: u64 = SAMPLES_PER_SEC as u64 / SAMPLES_PER_UNIT as u64;

/// How long the tick sounds from each full second on.
const TICK_MICROS: i64 = 60_000;

/// The tick's height in 13-bit linear samples: a quarter of full scale.
const AMPLITUDE: f32 = 1024.0;

/// A channel's sound.
#[derive(Debug)]
pub struct Tick {
    stream: StreamId,
    /// One period, coded.
    period: Vec<u8>,
    number: u64,
    unit: [u8; SAMPLES_PER_UNIT],
}

impl Tick {
    /// That channel's, from unit 0.
    #[must_use]
    pub fn new(channel: ChannelId) -> Self {
        // 1000 Hz downwards, eight pitches.
        let length = 8 + 2 * (usize::from(channel.get() - 1) % 8);
        let sample = |n: usize| (AMPLITUDE * (n as f32 * std::f32::consts::TAU / length as f32).sin()) as i16;
        Self {
            stream: StreamId::new(channel, StreamKind::Audio),
            period: (0..length).map(|n| a_law(sample(n))).collect(),
            number: 0,
            unit: [0; SAMPLES_PER_UNIT],
        }
    }

    pub(crate) fn format() -> AudioFormat {
        AudioFormat {
            codec: AudioCodec::G711A,
            sample_rate: SAMPLES_PER_SEC,
            channels: 1,
            config: Vec::new(),
        }
    }

    /// The number of the next unit.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Goes on by one unit without making it.
    pub(crate) fn skip(&mut self) {
        self.number += 1;
    }

    /// A-law samples, `samples_per_sec` of them a second, the first heard at `wall`.
    pub fn fill(&self, wall: WallTime, samples_per_sec: u32, samples: &mut [u8]) {
        let first = wall.as_unix_micros();
        let silence = a_law(0);
        for (n, sample) in samples.iter_mut().enumerate() {
            let into_second =
                (first + n as i64 * 1_000_000 / i64::from(samples_per_sec)).rem_euclid(1_000_000);
            // In 64 bits: a second's microseconds times samples are more than a board's usize holds.
            let place = (into_second * i64::from(SAMPLES_PER_SEC) / 1_000_000) as usize;
            *sample =
                if into_second < TICK_MICROS { self.period[place % self.period.len()] } else { silence };
        }
    }

    /// The next unit, its first sample heard at `wall`. Its PTS is its number's, from 0.
    pub(crate) fn next_unit_at(&mut self, wall: WallTime) -> AccessUnit<'_> {
        let number = self.number;
        self.number += 1;
        let mut unit = self.unit;
        self.fill(wall, SAMPLES_PER_SEC, &mut unit);
        self.unit = unit;
        AccessUnit {
            stream: self.stream,
            pts: Pts90k((number * 90_000 / UNITS_PER_SEC) as i64),
            wall,
            keyframe: true,
            discontinuity: number == 0,
            data: &self.unit,
        }
    }
}

/// A 13-bit linear sample (-4096 to 4095) as A-law (ITU-T G.711 table 1a), even bits inverted.
fn a_law(sample: i16) -> u8 {
    let positive = sample >= 0;
    let magnitude = (if positive { sample } else { -sample - 1 }).clamp(0, 4095) as u16;
    let segment = (16 - (magnitude >> 5).leading_zeros()) as u16;
    let mantissa = if segment == 0 { magnitude >> 1 } else { magnitude >> segment };
    let code = (segment << 4 | mantissa & 0xF) as u8;
    (if positive { code | 0x80 } else { code }) ^ 0x55
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_law_codes_are_those_of_g711() {
        // Table 1a: decision values and their character signals, even bits inverted.
        for (sample, code) in
            [(0, 0xD5), (-1, 0x55), (4095, 0xAA), (-4096, 0x2A), (31, 0xDA), (32, 0xC5), (64, 0xF5)]
        {
            assert_eq!(a_law(sample), code, "{sample}");
        }
    }

    #[test]
    fn each_second_begins_with_a_tick() {
        let mut tick = Tick::new(ChannelId::new(2).unwrap());
        let mut loud = Vec::new();
        for number in 0..100i64 {
            let unit = tick.next_unit_at(WallTime::from_unix_micros(5_000_000 + number * 20_000));
            assert_eq!(unit.pts, Pts90k(number * 1800));
            assert_eq!(unit.discontinuity, number == 0);
            if unit.data.iter().any(|&s| s != 0xD5) {
                loud.push(number);
            }
        }
        assert_eq!(loud, [0, 1, 2, 50, 51, 52]);
    }
}
