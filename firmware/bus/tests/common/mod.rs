//! What the bus's tests share: streams, units that prove themselves, processes.
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(unreachable_pub, reason = "a module of several test binaries")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bus::{Next, Publisher, RingSpec, Subscriber, UnitMeta};
use hal::{AccessUnit, ChannelId, Pts90k, StreamFormat, StreamId, StreamKind, VideoCodec, WallTime};

/// Far more than anything here takes, for a noisy machine.
pub const LONG: Duration = Duration::from_secs(60);

pub const H264: StreamFormat = StreamFormat::Video(VideoCodec::H264);
pub const H265: StreamFormat = StreamFormat::Video(VideoCodec::H265);

/// Small enough to be overrun in no time.
pub const SMALL: RingSpec = RingSpec { payload_bytes: 64 << 10, slots: 64 };

pub fn stream(channel: u16) -> StreamId {
    StreamId::new(ChannelId::new(channel).expect("a channel"), StreamKind::Main)
}

/// Bytes that follow from `seed`: the seed, then a xorshift sequence; the length follows from it as well.
pub fn payload(seed: u64, most: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut step = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let len = 8 + step() as usize % (most - 8);
    let mut bytes = Vec::with_capacity(len + 8);
    bytes.extend(seed.to_le_bytes());
    while bytes.len() < len {
        bytes.extend(step().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Fails unless the bytes are what their seed says, and the meta data is that unit's.
pub fn prove(meta: &UnitMeta, data: &[u8], most: usize) -> u64 {
    let seed = u64::from_le_bytes(data[..8].try_into().expect("8 bytes"));
    assert_eq!(meta.pts.0.cast_unsigned(), seed, "meta data of another unit");
    assert!(data == payload(seed, most), "unit {} is torn", meta.sequence);
    assert_eq!(meta.len as usize, data.len());
    seed
}

pub fn publish(publisher: &mut Publisher, seed: u64, keyframe: bool, most: usize) -> u64 {
    let data = payload(seed, most);
    publish_bytes(publisher, seed, keyframe, &data)
}

pub fn publish_bytes(publisher: &mut Publisher, seed: u64, keyframe: bool, data: &[u8]) -> u64 {
    let unit = AccessUnit {
        stream: publisher.stream(),
        pts: Pts90k(seed.cast_signed()),
        wall: WallTime::from_unix_micros(seed.cast_signed()),
        keyframe,
        discontinuity: false,
        data,
    };
    publisher.publish(&unit).expect("published")
}

/// The next unit, waiting for it.
pub fn unit(reader: &mut Subscriber, data: &mut Vec<u8>) -> UnitMeta {
    loop {
        match reader.next(data).expect("a sound ring") {
            Next::Unit(meta) => return meta,
            Next::Empty => assert!(reader.wait(LONG), "nothing came"),
            other => panic!("{other:?} instead of a unit"),
        }
    }
}

/// A child process; killed when it is let go.
pub struct Process(Child);

impl Process {
    /// SIGKILL, and its end.
    pub fn kill(&mut self) {
        self.0.kill().expect("killed");
        self.0.wait().expect("its end");
    }

    /// Its end, in good order.
    pub fn end(&mut self) {
        assert!(self.0.wait().expect("its end").success(), "a child failed");
    }

    /// Until the child has made the file `mark`.
    pub fn wait_for(&mut self, mark: &Path) {
        while !mark.exists() {
            assert!(self.0.try_wait().expect("a child").is_none(), "a child ended early");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// This test binary again, running the ignored test `name` as a process of its own.
pub fn child(name: &str, dir: &Path, argument: u64) -> Process {
    let child = Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", name, "--ignored", "--nocapture", "--test-threads=1"])
        .env("BUS_TEST_DIR", dir)
        .env("BUS_TEST_ARGUMENT", argument.to_string())
        .stdout(Stdio::null())
        .spawn()
        .expect("a child");
    Process(child)
}

/// What the parent gave to [`child`]; `None` when the test was started by hand.
pub fn parent() -> Option<(std::path::PathBuf, u64)> {
    let dir = std::env::var_os("BUS_TEST_DIR")?;
    let argument = std::env::var("BUS_TEST_ARGUMENT").ok()?.parse().ok()?;
    Some((dir.into(), argument))
}
