//! The real `mpp-host` with a stand-in library, run on this machine by `qemu-arm`.
//!
//! `cargo xtask media` makes both. Does not belong here: the product's client (`hal-himpp`), and what is right or wrong.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use mpp_wire::{
    Answer, AudioPlan, Begin, ChannelPlan, Codec, DevicePlan, FromHost, InputPlan, Interface, MotionPlan,
    Multiplex, Order, Pack, PackHead, PackKind, PackReader, PoolPlan, RatePlan, Ready, StreamPlan, StreamTag,
    SystemPlan, ToHost, VERSION, receive, ring_bytes, send,
};
use tempfile::TempDir;

use crate::board_image::target;
use crate::programs::finish;
use crate::wait::Stopwatch;

/// An emulated ARM program on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a look at the socket takes while nothing comes.
const LOOK: Duration = Duration::from_millis(20);
/// The input's picture in all plans here.
pub const INPUT_SIZE: (u16, u16) = (640, 360);
/// Pictures a second that inputs bring.
pub const INPUT_RATE: u8 = 25;

/// A pack, kept.
#[derive(Clone, Debug)]
pub struct Kept {
    /// What it is.
    pub head: PackHead,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// A running host.
pub struct MediaHost {
    child: Child,
    socket: UnixStream,
    reader: PackReader,
    dir: TempDir,
    said: Option<JoinHandle<Vec<String>>>,
    orders: u32,
    /// Failures that it told of.
    pub failed: Vec<(u16, String)>,
}

/// What a host is started with.
#[derive(Clone, Debug, Default)]
pub struct MediaSetup<'a> {
    /// `g1`, `g2` or `g3`.
    pub generation: &'a str,
    /// What the stand-in finds in its environment.
    pub environment: Vec<(&'a str, &'a str)>,
    /// Other pools than those that suffice.
    pub pools: Option<Vec<PoolPlan>>,
}

/// The folder that `cargo xtask media` filled.
///
/// # Panics
/// When nobody made it.
#[must_use]
pub fn media_folder() -> PathBuf {
    let folder = target().join("media");
    assert!(folder.join("bin/mpp-host").exists(), "run `cargo xtask media` first; `make test` does");
    folder
}

impl MediaHost {
    /// Starts one that must come up.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn start(setup: &MediaSetup<'_>) -> (Self, Ready) {
        let mut host = Self::spawn(setup);
        match host.first_word() {
            FromHost::Ready(ready) => (host, *ready),
            other => panic!("{other:?}; it said {:?}", host.end().1),
        }
    }

    /// Starts one; [`MediaHost::first_word`] says what came of it.
    ///
    /// # Panics
    /// When it cannot be run.
    #[must_use]
    pub fn spawn(setup: &MediaSetup<'_>) -> Self {
        let media = media_folder();
        let dir = tempfile::tempdir().expect("a folder");
        let ring = dir.path().join("ring");
        let file = File::options().read(true).write(true).create_new(true).open(&ring).expect("a ring");
        file.set_len(ring_bytes(0) as u64).expect("room for a ring");
        let reader = PackReader::create(&file).expect("a ring");
        let (socket, theirs) = UnixStream::pair().expect("a socket");
        let mut command = Command::new("qemu-arm");
        command.arg("-L").arg(&media).arg(media.join("bin/mpp-host"));
        command.env("STANDIN_CONTROL", dir.path().join("control")).envs(setup.environment.iter().copied());
        let mut child = command
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("qemu-arm, which `xtask/install.sh test` installs");
        let stderr = child.stderr.take().expect("a pipe");
        let library = media.join("lib/mpp").join(setup.generation).join("libmpi.so");
        let begin = Begin {
            version: VERSION,
            ring: ring.display().to_string(),
            libraries: vec![library.display().to_string()],
            user: None,
            system: system(setup.pools.clone()),
        };
        let mut host = Self {
            child,
            socket,
            reader,
            dir,
            said: Some(std::thread::spawn(move || lines(stderr))),
            orders: 0,
            failed: Vec::new(),
        };
        send(&mut host.socket, &ToHost::Begin(Box::new(begin))).expect("the host reads");
        host
    }

    /// Whether it is up, or why not.
    ///
    /// # Panics
    /// When it says nothing.
    pub fn first_word(&mut self) -> FromHost {
        self.socket.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        receive(&mut self.socket).expect("a message").expect("a first word")
    }

    /// Tells the stand-in to misbehave.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn control(&self, line: &str) {
        let path = self.dir.path().join("control");
        let draft = path.with_extension("draft");
        fs::write(&draft, format!("{line}\n")).expect("a file");
        fs::rename(draft, path).expect("the same folder");
    }

    /// Gives an order and waits for its answer; what else comes is kept.
    ///
    /// # Panics
    /// When there is none.
    pub fn order(&mut self, order: Order) -> Answer {
        self.orders += 1;
        let number = self.orders;
        send(&mut self.socket, &ToHost::Order(number, order)).expect("the host reads");
        self.socket.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        loop {
            match receive(&mut self.socket).expect("a message") {
                Some(FromHost::Answer(of, answer)) if of == number => return answer,
                Some(other) => self.heard(other),
                None => panic!("the host ended; it said {:?}", self.end().1),
            }
        }
    }

    /// The next pack that `wanted` wants; the others are dropped.
    ///
    /// # Panics
    /// When none comes.
    pub fn next(&mut self, what: &str, mut wanted: impl FnMut(&PackHead) -> bool) -> Kept {
        let watch = Stopwatch::start();
        while watch.elapsed() < PATIENCE {
            while let Some(pack) = self.take() {
                if wanted(&pack.head) {
                    return pack;
                }
            }
            if !self.listen() {
                panic!("the host ended; it said {:?}", self.end().1);
            }
        }
        panic!("waited in vain for {what}; the host told of {:?}", self.failed);
    }

    /// The next picture of a stream.
    pub fn picture(&mut self, stream: StreamTag) -> Kept {
        self.next("a picture", |head| head.kind == PackKind::Video(stream))
    }

    /// What is in the ring now.
    pub fn take(&mut self) -> Option<Kept> {
        let pack = self.reader.take().expect("a sound ring")?;
        let Pack { head, data } = pack;
        Some(Kept { head, data: data.to_vec() })
    }

    /// Packs that found no room.
    #[must_use]
    pub fn lost(&self) -> u32 {
        self.reader.lost()
    }

    /// The loop's heartbeat.
    #[must_use]
    pub fn heartbeat(&self) -> u32 {
        self.reader.heartbeat()
    }

    /// Hears what the host says, for a moment; false when it is gone.
    pub fn listen(&mut self) -> bool {
        let _ = self.reader.wish();
        self.socket.set_read_timeout(Some(LOOK)).expect("a time-out");
        match receive(&mut self.socket) {
            Ok(Some(message)) => {
                self.heard(message);
                true
            }
            Ok(None) => false,
            Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
        }
    }

    fn heard(&mut self, message: FromHost) {
        if let FromHost::Failed { channel, fault } = message {
            self.failed.push((channel, fault.message));
        }
    }

    /// Asks it to stop, and waits until it has: how it ended, and all that it said.
    ///
    /// # Panics
    /// When it does not end.
    pub fn stop(mut self) -> (ExitStatus, Vec<String>) {
        send(&mut self.socket, &ToHost::Stop).expect("the host reads");
        self.end()
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// When it does not end.
    pub fn end(&mut self) -> (ExitStatus, Vec<String>) {
        let status = finish(&mut self.child, PATIENCE).expect("the host ends");
        let said = self.said.take().map(|thread| thread.join().expect("its words")).unwrap_or_default();
        (status, said)
    }
}

impl Drop for MediaHost {
    fn drop(&mut self) {
        // One that ended already is no fault.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(pipe: ChildStderr) -> Vec<String> {
    BufReader::new(pipe).lines().map_while(Result::ok).collect()
}

/// Two ports of four inputs each, and buffers for them.
fn system(pools: Option<Vec<PoolPlan>>) -> SystemPlan {
    let device = |device, mask| DevicePlan {
        device,
        interface: Interface::Bt656,
        multiplex: Multiplex::Four,
        mask: [mask, 0],
        double_edge: true,
    };
    let (width, height) = (u32::from(INPUT_SIZE.0), u32::from(INPUT_SIZE.1).next_multiple_of(16));
    let pool = PoolPlan { block_bytes: width * height * 3 / 2, blocks: 40 };
    SystemPlan {
        pools: pools.unwrap_or_else(|| vec![pool]),
        devices: vec![device(0, 0xFF00_0000), device(1, 0x00FF_0000)],
    }
}

/// A channel with everything: main and sub stream, sound, motion.
#[must_use]
pub fn whole_channel(number: u8) -> ChannelPlan {
    let (width, height) = INPUT_SIZE;
    let stream = |stream, width, height, kbit_per_sec| StreamPlan {
        stream,
        codec: Codec::H264,
        width,
        height,
        rate: RatePlan { kbit_per_sec, gop_frames: 50, frame_rate: INPUT_RATE },
    };
    ChannelPlan {
        channel: u16::from(number) + 1,
        input: InputPlan {
            input: number,
            device: number / 4,
            way: number % 4,
            width,
            height,
            frame_rate: INPUT_RATE,
            interlaced: false,
        },
        streams: vec![
            stream(StreamTag::Main, width, height, 1000),
            stream(StreamTag::Sub, width / 2, height / 2, 250),
        ],
        audio: Some(AudioPlan { device: 0, device_channels: 8, input: number, sample_rate: 8000 }),
        motion: Some(MotionPlan { per_sec: 5 }),
        covers: Vec::new(),
    }
}

/// Decodes an H.264 stream to grey pictures of a size.
///
/// # Panics
/// When the decoder complains.
#[must_use]
pub fn grey_pictures(stream: &[u8], (width, height): (u16, u16), dir: &Path) -> Vec<Vec<u8>> {
    let path = dir.join("stream.h264");
    fs::write(&path, stream).expect("a file");
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-f", "h264", "-i"]).arg(&path);
    command.args(["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "gray", "-"]);
    let decoded = crate::programs::run(PATIENCE, &mut command).flawless();
    let size = usize::from(width) * usize::from(height);
    assert!(decoded.stdout.len().is_multiple_of(size), "pictures of another size");
    decoded.stdout.chunks(size).map(<[u8]>::to_vec).collect()
}
