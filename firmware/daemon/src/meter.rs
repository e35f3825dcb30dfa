//! What each ring carries now: format, size, units and bits a second.
//!
//! Read from the rings themselves, so that it is the same for whoever publishes, and is what readers get.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use bus::{Next, Start, Subscriber};
use hal::{AudioCodec, ChannelId, MonoTime, Resolution, StreamFormat, StreamId, StreamKind, VideoCodec};
use media::VideoParams;
use media::annexb::split_parameter_sets;

use crate::messages::StreamStatus;

/// Rates are of this long a past: several GOPs, so that keyframes don't show as waves.
const WINDOW: Duration = Duration::from_secs(5);
/// After so many looks a ring is opened again: the size may have changed, or the ring have a successor.
const LOOKS: u32 = 10;

/// The rings of one role's channels.
pub(crate) struct Meters {
    run_dir: PathBuf,
    rings: BTreeMap<StreamId, RingMeter>,
}

struct RingMeter {
    ring: Subscriber,
    size: Resolution,
    looks: u32,
    rates: Rates,
}

impl Meters {
    pub(crate) fn new(run_dir: PathBuf) -> Self {
        Self { run_dir, rings: BTreeMap::new() }
    }

    /// What `channel`'s streams carry; to be asked about once a second.
    pub(crate) fn look(&mut self, channel: ChannelId, now: MonoTime) -> Vec<StreamStatus> {
        StreamKind::ALL.iter().filter_map(|kind| self.look_at(StreamId::new(channel, *kind), now)).collect()
    }

    /// The channel is gone.
    pub(crate) fn forget(&mut self, channel: ChannelId) {
        self.rings.retain(|stream, _| stream.channel != channel);
    }

    fn look_at(&mut self, stream: StreamId, now: MonoTime) -> Option<StreamStatus> {
        let due = self.rings.get(&stream).is_none_or(|meter| meter.looks >= LOOKS);
        if due {
            let rates = self.rings.remove(&stream).map(|meter| meter.rates).unwrap_or_default();
            let mut ring = Subscriber::open(&self.run_dir, stream, Start::LatestKeyframe).ok()?;
            let size = size(&mut ring);
            self.rings.insert(stream, RingMeter { ring, size, looks: 0, rates });
        }
        let meter = self.rings.get_mut(&stream)?;
        meter.looks += 1;
        let (units, bytes) = meter.ring.published();
        meter.rates.count(now, units, bytes.0);
        let (units_per_sec, bit_rate_bps) = meter.rates.get();
        // A stream that has ended is not shown with its last rates.
        (units_per_sec > 0.0)
            .then(|| status(stream.kind, &meter.ring.format(), meter.size, units_per_sec, bit_rate_bps))
    }
}

/// The size that the newest keyframe says.
fn size(ring: &mut Subscriber) -> Resolution {
    let StreamFormat::Video(codec) = ring.format() else { return Resolution::default() };
    let mut unit = Vec::new();
    match ring.next(&mut unit) {
        Ok(Next::Unit(meta)) if meta.keyframe => split_parameter_sets(codec, &unit)
            .and_then(|(sets, _)| VideoParams::new(codec, &sets))
            .map(|params| params.resolution)
            .unwrap_or_default(),
        _ => Resolution::default(),
    }
}

fn status(
    kind: StreamKind,
    format: &StreamFormat,
    size: Resolution,
    units_per_sec: f64,
    bit_rate_bps: u32,
) -> StreamStatus {
    let (codec, sample_rate, audio_channels) = match format {
        StreamFormat::Video(VideoCodec::H264) => ("h264", 0, 0),
        StreamFormat::Video(VideoCodec::H265) => ("h265", 0, 0),
        StreamFormat::Audio(audio) => {
            let codec = match audio.codec {
                AudioCodec::Aac => "aac",
                AudioCodec::G711A => "g711a",
                AudioCodec::G711U => "g711u",
            };
            (codec, audio.sample_rate, audio.channels)
        }
    };
    StreamStatus {
        kind,
        codec: codec.to_owned(),
        width: size.width,
        height: size.height,
        units_per_sec,
        bit_rate_bps,
        sample_rate,
        audio_channels,
    }
}

/// Rates from counters that only grow.
#[derive(Debug, Default)]
struct Rates {
    counts: VecDeque<(MonoTime, u64, u64)>,
}

impl Rates {
    fn count(&mut self, now: MonoTime, units: u64, bytes: u64) {
        // A successor of the ring counts from zero.
        if self.counts.back().is_some_and(|(_, last, _)| *last > units) {
            self.counts.clear();
        }
        self.counts.push_back((now, units, bytes));
        while self.counts.front().is_some_and(|(at, ..)| now.since(*at) > WINDOW) {
            self.counts.pop_front();
        }
    }

    /// Units a second and bits a second; zero while too little is known.
    fn get(&self) -> (f64, u32) {
        let (Some((from, units, bytes)), Some((to, more_units, more_bytes))) =
            (self.counts.front(), self.counts.back())
        else {
            return (0.0, 0);
        };
        let span = to.since(*from).as_secs_f64();
        if span < 0.5 {
            return (0.0, 0);
        }
        ((more_units - units) as f64 / span, ((more_bytes - bytes) as f64 * 8.0 / span) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> MonoTime {
        MonoTime::from_start(Duration::from_millis(millis))
    }

    #[test]
    fn measures_what_came_and_forgets_what_ended() {
        let mut rates = Rates::default();
        assert_eq!(rates.get(), (0.0, 0));
        for second in 0..20 {
            rates.count(at(second * 1000), 25 * second, 125_000 * second);
        }
        assert_eq!(rates.get(), (25.0, 1_000_000));
        for second in 20..30 {
            rates.count(at(second * 1000), 25 * 19, 125_000 * 19);
        }
        assert_eq!(rates.get(), (0.0, 0));
        rates.count(at(30_000), 3, 100);
        assert_eq!(rates.get(), (0.0, 0), "a successor begins anew");
    }

    #[test]
    fn a_ring_is_shown_as_it_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let channel = ChannelId::new(4).unwrap();
        let mut meters = Meters::new(dir.path().to_owned());
        assert!(meters.look(channel, at(0)).is_empty());
        let source = hal_sim::SourceConfig {
            seed: 1,
            channel,
            title: String::new(),
            clock: false,
            stream: crate::settings::Stream {
                codec: VideoCodec::H264,
                width: 640,
                height: 360,
                frame_rate: 10,
                bit_rate_bps: 500_000,
                gop_frames: 10,
            }
            .config(StreamKind::Main),
            start: hal::WallTime::default(),
        };
        let mut source = hal_sim::Source::new(source).unwrap();
        let stream = StreamId::new(channel, StreamKind::Main);
        let format = StreamFormat::Video(VideoCodec::H264);
        let spec = bus::RingSpec::for_stream(StreamKind::Main);
        let mut publisher = bus::Publisher::create(dir.path(), stream, &format, spec).unwrap();
        let mut seen = Vec::new();
        for second in 1..5 {
            for _ in 0..10 {
                publisher.publish(&source.next_unit()).unwrap();
            }
            seen = meters.look(channel, at(second * 1000));
        }
        let [status] = seen.as_slice() else { panic!("{seen:?}") };
        assert_eq!((status.codec.as_str(), status.width, status.height), ("h264", 640, 360));
        assert!((status.units_per_sec - 10.0).abs() < 0.01, "{status:?}");
        assert!((350_000..700_000).contains(&status.bit_rate_bps), "{status:?}");
    }
}
