//! What the tests of running channels share: a sink that collects, and orders.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::io::Write;
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use hal::{
    AccessUnit, BitsPerSecond, ChannelConfig, ChannelId, Clock, FrameRate, Resolution, Signal, StreamConfig,
    StreamFormat, StreamId, StreamKind, SystemClock, UnitSink, VideoCodec,
};

/// Long enough for a loaded machine; nothing waits for it when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone)]
pub(crate) struct Unit {
    pub(crate) stream: StreamId,
    pub(crate) pts: i64,
    pub(crate) wall: i64,
    pub(crate) arrived: i64,
    pub(crate) keyframe: bool,
    pub(crate) discontinuity: bool,
    pub(crate) data: Vec<u8>,
}

#[derive(Default)]
pub(crate) struct Collected {
    pub(crate) units: Vec<Unit>,
    pub(crate) formats: Vec<(StreamId, StreamFormat)>,
    pub(crate) signals: Vec<Signal>,
}

#[derive(Clone, Default)]
pub(crate) struct Sink(pub(crate) Arc<(Mutex<Collected>, Condvar)>);

impl UnitSink for Sink {
    fn format(&self, stream: StreamId, format: StreamFormat) {
        self.0.0.lock().unwrap().formats.push((stream, format));
    }

    fn unit(&self, unit: &AccessUnit<'_>) {
        self.0.0.lock().unwrap().units.push(Unit {
            stream: unit.stream,
            pts: unit.pts.0,
            wall: unit.wall.as_unix_micros(),
            arrived: SystemClock::new().wall().as_unix_micros(),
            keyframe: unit.keyframe,
            discontinuity: unit.discontinuity,
            data: unit.data.to_vec(),
        });
        self.0.1.notify_all();
    }

    fn signal(&self, _: ChannelId, signal: Signal) {
        self.0.0.lock().unwrap().signals.push(signal);
        self.0.1.notify_all();
    }
}

impl Sink {
    pub(crate) fn wait(&self, what: &str, done: impl Fn(&Collected) -> bool) {
        let (lock, wake) = &*self.0;
        let guard = lock.lock().unwrap();
        let (guard, timeout) = wake.wait_timeout_while(guard, PATIENCE, |seen| !done(seen)).unwrap();
        assert!(
            !timeout.timed_out(),
            "never came: {what}; {} units so far, {:?}",
            guard.units.len(),
            guard.signals
        );
    }

    pub(crate) fn wait_for(&self, kind: StreamKind, units: usize) -> Vec<Unit> {
        self.wait(&format!("{units} units of {kind}"), |seen| of(seen, kind).len() >= units);
        of(&self.0.0.lock().unwrap(), kind)
    }
}

pub(crate) fn of(seen: &Collected, kind: StreamKind) -> Vec<Unit> {
    seen.units.iter().filter(|unit| unit.stream.kind == kind).cloned().collect()
}

pub(crate) fn stream(kind: StreamKind, width: u16, height: u16) -> StreamConfig {
    StreamConfig {
        kind,
        codec: VideoCodec::H264,
        resolution: Resolution { width, height },
        frame_rate: FrameRate { numerator: 15, denominator: 1 },
        bit_rate: BitsPerSecond(600_000),
        gop_frames: 10,
    }
}

pub(crate) fn config(input: &str, streams: Vec<StreamConfig>) -> ChannelConfig {
    ChannelConfig {
        channel: ChannelId::new(1).unwrap(),
        input: input.into(),
        title: "Front door".into(),
        clock: true,
        audio: false,
        streams,
    }
}

/// NAL units; fails unless every start code has 4 bytes.
pub(crate) fn nal_units(data: &[u8]) -> Vec<&[u8]> {
    assert!(data.starts_with(&[0, 0, 0, 1]), "no 4-byte start code at the beginning");
    let starts: Vec<usize> = (0..data.len() - 2).filter(|&at| data[at..].starts_with(&[0, 0, 1])).collect();
    assert!(starts.iter().all(|&at| at > 0 && data[at - 1] == 0), "a 3-byte start code");
    let ends = starts.iter().skip(1).map(|at| at - 1).chain([data.len()]);
    starts.iter().zip(ends).map(|(&from, to)| &data[from + 3..to]).collect()
}

pub(crate) fn h264_types(data: &[u8]) -> Vec<u8> {
    nal_units(data).iter().map(|nal| nal[0] & 0x1f).collect()
}

/// What ffprobe says of a raw stream.
pub(crate) fn ffprobe(units: &[Unit], extension: &str) -> String {
    let mut file = tempfile::Builder::new().suffix(extension).tempfile().unwrap();
    units.iter().for_each(|unit| file.write_all(&unit.data).unwrap());
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-count_frames", "-show_entries"])
        .args(["stream=codec_name,width,height,has_b_frames,nb_read_frames", "-of", "csv=p=0"])
        .arg(file.path())
        .output()
        .expect("ffprobe runs");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
