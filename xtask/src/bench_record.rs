//! `cargo xtask bench record`: how the recorder records, beside its peers.
//!
//! Channels of 4 Mbit/s and 25 frames a second are recorded by the whole recorder, as processes, in release: simulated
//! ones, or with `--rtsp` network cameras, which a second recorder plays. In the same span one ffmpeg takes the same
//! streams over RTSP and writes them with `-c copy -f segment`; with `--rtsp` Moonfire NVR takes them too, where it is on
//! PATH; and the floor writes and syncs as many bytes. Then, one after the other: calls are counted, peers are killed, footage
//! is played, the recorder is killed and starts again. Afterwards the footage is read back: every unit that was due must
//! be there.
//!
//! Does not belong here: how recorders are set up (`bench_record_recorder.rs`, `bench_record_peer.rs`), and what is measured
//! after the span (`system_calls.rs`, `bench_record_play.rs`, `bench_record_kill.rs`).

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use hal::{ChannelId, Clock, StreamId, StreamKind, SystemClock, WallTime};
use serde::Serialize;

use crate::bench_record_calls::{self, CallFigures};
use crate::bench_record_floor::Floor;
use crate::bench_record_kill::{self, KillFigures};
use crate::bench_record_peer::{Peer, Streams, bytes_below};
use crate::bench_record_play::{self, Playback};
use crate::bench_record_recorder::{Ended, Running};
use crate::processes::{cpu_time, resident_bytes, write_calls, written_bytes};
use crate::spread::Spread;
use crate::steps;
use crate::workspace::{Failure, target};

const FRAMES_PER_SEC: u32 = 25;
const BIT_RATE_BPS: u32 = 4_000_000;
/// Everything has started, and each ring has gone round once, with a quarter to spare for connecting. The kernel makes a
/// ring's pages when they are written and read for the first time, and a recorder that runs for months pays for that once.
const WARM_UP: Duration = Duration::from_secs((RING_BYTES * 8 * 5 / 4).div_ceil(BIT_RATE_BPS as u64));
const RING_BYTES: u64 = bus::RingSpec::for_stream(StreamKind::Main).payload_bytes as u64;
const SAMPLE_EVERY: Duration = Duration::from_secs(5);
/// Web, RTSP, RTSPS.
const PORTS: [u16; 3] = [18443, 18554, 18322];
const CAMERA_PORTS: [u16; 3] = [19443, 19554, 19322];
const MEMORY: &str = "/dev/shm";
/// What a recorder that only plays cameras keeps, in memory.
const CAMERA_SEGMENT_BYTES: u64 = 4 << 20;
const USER: &str = "bench";
/// Who keeps less of the footage did not record the same; the rest is for what a peer has not written yet.
const LEAST_KEPT_PERCENT: f64 = 98.0;
/// What a server takes from one address, each with a stream.
const VIEWERS: u16 = 64;
/// In which calls are counted: more than a segment of ours takes, or, but for `--quick`, a file of a peer's.
const CALLS_SPAN: Duration = Duration::from_secs(70);
const QUICK_CALLS_SPAN: Duration = Duration::from_secs(30);
/// Playing and killing, generously.
const AFTER: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// One minute instead of ten
    #[arg(long)]
    quick: bool,
    /// Network cameras, which a second recorder plays, instead of simulated inputs; up to 21 go to Moonfire NVR, too
    #[arg(long)]
    rtsp: bool,
    /// How many
    #[arg(long, value_name = "1..64", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=64))]
    channels: u16,
    /// Of the recorder's segments: a disk under 256 GB has 64, one of 1 TB 256
    #[arg(long, value_name = "4..1024", default_value_t = 64, value_parser = clap::value_parser!(u64).range(4..=1024))]
    segment_mib: u64,
    /// Hashed, and not encrypted
    #[arg(long)]
    plain: bool,
    /// Into memory
    #[arg(long)]
    tmpfs: bool,
}

impl Args {
    fn span(&self) -> Duration {
        Duration::from_secs(if self.quick { 60 } else { 600 })
    }

    fn calls_span(&self) -> Duration {
        if self.quick { QUICK_CALLS_SPAN } else { CALLS_SPAN }
    }

    /// Room for all of it, with some to spare.
    fn footage_bytes(&self) -> u64 {
        let all = self.span() + self.calls_span() + AFTER + 2 * WARM_UP;
        u64::from(self.channels) * u64::from(BIT_RATE_BPS / 8) * all.as_secs() * 5 / 4
    }
}

/// The figures.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    channels: u16,
    bit_rate_bps: u32,
    frames_per_sec: u32,
    rtsp: bool,
    encrypted: bool,
    tmpfs: bool,
    segment_mib: u64,
    seconds: f64,
    roles: Vec<RoleFigures>,
    /// ffmpeg, and where it took part, Moonfire NVR.
    peers: Vec<PeerFigures>,
    /// Coded bytes of the read-back units.
    footage_bytes: u64,
    units: u64,
    /// Units that were due and are not there.
    missing_units: u64,
    /// Bytes that `record` sent to the disk for each coded byte.
    write_amplification: f64,
    /// CPU seconds of `record` for each of ffmpeg's.
    cpu_ratio_to_ffmpeg: f64,
    /// CPU seconds of the roles on the way to the disk, `ingest` or `capture` and `record`, for each gigabyte of footage.
    cpu_sec_per_gb: f64,
    /// Of a loop that writes and syncs as many bytes in the same span, and does nothing else.
    floor_cpu_sec_per_gb: f64,
    /// Of every process that writes footage; none where they cannot be counted.
    calls: Vec<CallFigures>,
    playback: Option<Playback>,
    kill: KillFigures,
}

#[derive(Debug, Serialize)]
struct RoleFigures {
    role: String,
    #[serde(flatten)]
    process: ProcessFigures,
}

#[derive(Debug, Serialize)]
struct PeerFigures {
    name: &'static str,
    version: String,
    #[serde(flatten)]
    process: ProcessFigures,
    /// So much longer its files became: about as much as the footage, or it did not record all of it.
    kept_bytes: u64,
    /// For each gigabyte of footage, as our recorder has it.
    cpu_sec_per_gb: f64,
    /// Of each stream, from the end of what it keeps to a SIGKILL.
    lost_sec: Spread,
    #[serde(skip)]
    last_words: String,
}

#[derive(Clone, Debug, Default, Serialize)]
struct ProcessFigures {
    cpu_seconds: f64,
    /// Of one core.
    cpu_percent: f64,
    written_bytes: u64,
    /// Of the kernel's calls: to files, sockets, pipes.
    write_calls: u64,
    /// Resident without shared memory: at the beginning, the most, at the end.
    resident_first_bytes: u64,
    resident_most_bytes: u64,
    resident_last_bytes: u64,
}

/// Runs it all and prints the table.
pub(crate) fn run(args: &Args) -> Result<Figures, Failure> {
    steps::run("cargo", &["build", "--release", "--locked", "-p", "candor"], &[])?;
    let peers = peers(args)?;
    let memory = Folder::new(Path::new(MEMORY).join("candor-bench-record"))?;
    let disk = Folder::new(target().join("bench/record"))?;
    let dir = if args.tmpfs { &memory.0 } else { &disk.0 };
    let cameras = args.rtsp.then(|| {
        let room = (CAMERA_SEGMENT_BYTES, 8 * CAMERA_SEGMENT_BYTES);
        let settings = settings(args, CAMERA_PORTS, room, None);
        Running::start(&memory.0.join("cameras"), CAMERA_PORTS, &settings, USER)
    });
    let mut cameras = cameras.transpose()?;
    let room = (args.segment_mib << 20, args.footage_bytes());
    let settings = settings(args, PORTS, room, cameras.as_ref());
    let mut recorder = Running::start(&dir.join("recorder"), PORTS, &settings, USER)?;
    // The cameras have no room for the recorder and a peer beside it when there are more.
    let source = cameras.as_ref().filter(|_| args.channels <= VIEWERS / 2).unwrap_or(&recorder);
    let streams = Streams {
        port: source.ports[1],
        user: USER,
        key: &source.key,
        channels: args.channels,
        keep_bytes: args.footage_bytes() / u64::from(args.channels),
    };
    let clock = SystemClock::new();
    let mut taking = Vec::new();
    for (peer, version) in peers {
        let started = clock.wall();
        taking.push(Taking {
            peer,
            version,
            started,
            process: Ended(peer.start(dir, streams)?),
            kept_bytes: 0,
        });
    }
    println!("==> {} s, in which the rings go round once", WARM_UP.as_secs());
    sleep(WARM_UP);

    let span = span(args, &recorder, &mut taking, dir)?;
    let record = recorder.roles()?.into_iter().find(|(_, name)| name == "record");
    let mut watched = vec![("record", record.ok_or("nothing records")?.0)];
    watched.extend(taking.iter().map(|taking| (taking.peer.name(), taking.process.0.id())));
    let calls = bench_record_calls::count(&watched, args.calls_span(), dir)?;
    let mut lost = Vec::new();
    for Taking { peer, started, process, .. } in &mut taking {
        println!("==> {} is killed", peer.name());
        let killed = clock.wall();
        process.0.kill()?;
        process.0.wait()?;
        lost.push(bench_record_kill::lost_by(*peer, dir, args.channels, *started, killed)?);
    }
    println!("==> footage is played over HTTPS");
    let playback = bench_record_play::measure(&mut recorder, dir, args.channels)?;
    println!("==> the recorder is killed and started again");
    let kill = bench_record_kill::kill(&mut recorder, args.channels, FRAMES_PER_SEC)?;
    if let Some(cameras) = &mut cameras {
        cameras.process.end()?;
    }

    let (units, footage_bytes, missing_units) = read_back(&recorder.data, args.channels, span.from, span.to)?;
    let of =
        |name: &str| span.figures.iter().find(|(n, _)| n == name).map(|(_, f)| f.clone()).unwrap_or_default();
    let (record, source) = (of("record"), of(if args.rtsp { "ingest" } else { "capture" }));
    let per_gb = |cpu_seconds: f64| cpu_seconds / (footage_bytes as f64 / 1e9);
    let peers: Vec<PeerFigures> = taking
        .into_iter()
        .zip(lost)
        .map(|(Taking { peer, version, kept_bytes, .. }, lost_sec)| {
            let process = of(peer.name());
            let cpu_sec_per_gb = per_gb(process.cpu_seconds);
            let last_words = peer.last_words(dir);
            PeerFigures {
                name: peer.name(),
                version,
                process,
                kept_bytes,
                cpu_sec_per_gb,
                lost_sec,
                last_words,
            }
        })
        .collect();
    let result = Figures {
        channels: args.channels,
        rtsp: args.rtsp,
        encrypted: !args.plain,
        tmpfs: args.tmpfs,
        segment_mib: args.segment_mib,
        cpu_sec_per_gb: per_gb(record.cpu_seconds + source.cpu_seconds),
        floor_cpu_sec_per_gb: span.floor_cpu_sec_per_gb,
        bit_rate_bps: BIT_RATE_BPS,
        frames_per_sec: FRAMES_PER_SEC,
        seconds: span.seconds,
        write_amplification: record.written_bytes as f64 / footage_bytes as f64,
        cpu_ratio_to_ffmpeg: record.cpu_seconds / of(Peer::Ffmpeg.name()).cpu_seconds,
        roles: span
            .figures
            .iter()
            .filter(|(name, _)| peers.iter().all(|peer| peer.name != name))
            .map(|(role, process)| RoleFigures { role: role.clone(), process: process.clone() })
            .collect(),
        peers,
        footage_bytes,
        units,
        missing_units,
        calls,
        playback,
        kill,
    };
    print_table(&span.figures, span.seconds);
    print(&result);
    Ok(result)
}

/// The measured span.
struct Span {
    from: WallTime,
    to: WallTime,
    seconds: f64,
    figures: Vec<(String, ProcessFigures)>,
    floor_cpu_sec_per_gb: f64,
}

fn span(args: &Args, recorder: &Running, taking: &mut [Taking], dir: &Path) -> Result<Span, Failure> {
    let (span, clock) = (args.span(), SystemClock::new());
    let mut meters: Vec<Meter> =
        recorder.roles()?.iter().map(|(pid, name)| Meter::begin(*pid, name)).collect::<Result<_, _>>()?;
    for Taking { peer, process, kept_bytes, .. } in &mut *taking {
        meters.push(Meter::begin(process.0.id(), peer.name())?);
        *kept_bytes = bytes_below(&peer.footage(dir))?;
    }
    let floor = Floor::start(args.channels, span.as_secs() as u32, &dir.join("floor"))?;
    let (from, started) = (clock.wall(), clock.mono());
    println!("==> {} channels of {BIT_RATE_BPS} bit/s for {} s", args.channels, span.as_secs());
    while clock.mono().since(started) < span {
        sleep(SAMPLE_EVERY.min(span.saturating_sub(clock.mono().since(started))));
        meters.iter_mut().try_for_each(Meter::sample)?;
    }
    let (to, seconds) = (clock.wall(), clock.mono().since(started).as_secs_f64());
    let figures = meters.into_iter().map(|meter| meter.end(seconds)).collect();
    for Taking { peer, kept_bytes, .. } in taking {
        *kept_bytes = bytes_below(&peer.footage(dir))?.saturating_sub(*kept_bytes);
    }
    Ok(Span { from, to, seconds, figures, floor_cpu_sec_per_gb: floor.end()? })
}

/// Who records beside us, with what they call themselves.
fn peers(args: &Args) -> Result<Vec<(Peer, String)>, Failure> {
    let mut peers = vec![(Peer::Ffmpeg, Peer::Ffmpeg.version().ok_or("ffmpeg is not on PATH")?)];
    if args.rtsp {
        let name = Peer::Moonfire.name();
        match Peer::Moonfire.version() {
            None => println!("{name} is not on PATH and is left out"),
            Some(_) if args.channels > VIEWERS / 3 => {
                println!("{name} is left out: three times {} streams are more than {VIEWERS}", args.channels);
            }
            Some(version) => peers.push((Peer::Moonfire, version)),
        }
    }
    Ok(peers)
}

/// A peer that records.
struct Taking {
    peer: Peer,
    version: String,
    started: WallTime,
    process: Ended,
    kept_bytes: u64,
}

/// Channels that are simulated, or those that `cameras` plays.
fn settings(
    args: &Args,
    ports: [u16; 3],
    (segment_bytes, max_bytes): (u64, u64),
    cameras: Option<&Running>,
) -> String {
    let [web, rtsp, rtsps] = ports;
    let mut text = format!(
        "version = 2\nweb = {{ address = \"127.0.0.1:{web}\" }}\n\
         rtsp = {{ enabled = true, address = \"127.0.0.1:{rtsp}\", tls_address = \"127.0.0.1:{rtsps}\" }}\n\
         storage = {{ max_bytes = {max_bytes}, segment_bytes = {segment_bytes}, encrypt = {} }}\n",
        !args.plain
    );
    for number in 1..=args.channels {
        text.push_str(&format!("[[channel]]\nnumber = {number}\ntitle = \"Camera {number}\"\n"));
        text.push_str(&match cameras {
            Some(Running { key, ports, .. }) => format!(
                "[channel.camera]\nurl = \"rtsp://127.0.0.1:{}/ch{number}/main\"\nuser = \"{USER}\"\n\
                 password = \"{key}\"\ntransport = \"tcp\"\n",
                ports[1]
            ),
            None => format!(
                "[channel.input]\nsource = \"sim:sim{}\"\naudio = false\nmain = {{ codec = \"h264\", width = 1280, \
                 height = 720, frame_rate = {FRAMES_PER_SEC}, bit_rate_bps = {BIT_RATE_BPS}, gop_frames = {} }}\n",
                number - 1,
                2 * FRAMES_PER_SEC
            ),
        });
    }
    text
}

/// A folder of its own; it goes when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(path: PathBuf) -> Result<Self, Failure> {
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Follows one process.
struct Meter {
    pid: u32,
    name: String,
    cpu_at_first: Duration,
    written_at_first: u64,
    calls_at_first: u64,
    last: ProcessFigures,
}

impl Meter {
    fn begin(pid: u32, name: &str) -> Result<Self, Failure> {
        let resident = resident_bytes(pid)?;
        let last = ProcessFigures {
            resident_first_bytes: resident,
            resident_most_bytes: resident,
            ..ProcessFigures::default()
        };
        Ok(Self {
            pid,
            name: name.to_owned(),
            cpu_at_first: cpu_time(pid)?,
            written_at_first: written_bytes(pid)?,
            calls_at_first: write_calls(pid)?,
            last,
        })
    }

    fn sample(&mut self) -> Result<(), Failure> {
        self.last.cpu_seconds = (cpu_time(self.pid)? - self.cpu_at_first).as_secs_f64();
        self.last.written_bytes = written_bytes(self.pid)? - self.written_at_first;
        self.last.write_calls = write_calls(self.pid)? - self.calls_at_first;
        self.last.resident_last_bytes = resident_bytes(self.pid)?;
        self.last.resident_most_bytes = self.last.resident_most_bytes.max(self.last.resident_last_bytes);
        Ok(())
    }

    fn end(mut self, seconds: f64) -> (String, ProcessFigures) {
        self.last.cpu_percent = 100.0 * self.last.cpu_seconds / seconds;
        (self.name, self.last)
    }
}

fn print_table(figures: &[(String, ProcessFigures)], seconds: f64) {
    println!("process        CPU s  % core    MB/s written  writes/s   resident MB: first  most  last");
    let mb = |bytes: u64| bytes as f64 / 1e6;
    for (name, f) in figures {
        println!(
            "{name:<12} {:>7.1} {:>7.2} {:>15.2} {:>9.1} {:>20.1} {:>5.1} {:>5.1}",
            f.cpu_seconds,
            f.cpu_percent,
            mb(f.written_bytes) / seconds,
            f.write_calls as f64 / seconds,
            mb(f.resident_first_bytes),
            mb(f.resident_most_bytes),
            mb(f.resident_last_bytes)
        );
    }
}

fn print(figures: &Figures) {
    println!(
        "{} units, {} bytes read back, {} missing; write amplification {:.3}; record uses {:.2} of ffmpeg's CPU time; \
         CPU seconds a GB: {:.2}, of a floor that only writes and syncs: {:.2}",
        figures.units,
        figures.footage_bytes,
        figures.missing_units,
        figures.write_amplification,
        figures.cpu_ratio_to_ffmpeg,
        figures.cpu_sec_per_gb,
        figures.floor_cpu_sec_per_gb,
    );
    bench_record_calls::print(&figures.calls);
    if let Some(Playback { first_byte_ms, first_64_kib_ms }) = figures.playback {
        println!(
            "playback over HTTPS, warm: the first byte after {first_byte_ms:.1} ms, 64 KiB after {first_64_kib_ms:.1} ms"
        );
    }
    let kill = figures.kill;
    println!(
        "SIGKILL: not on the disk yet {:.2} s of a stream; lost, after a start, {:.2} s, more than a frame of {} streams. \
         Started again: volume open after {:.2} s, the first new frame durable after {:.2} s, of all streams after {:.2} s",
        kill.not_on_disk_sec,
        kill.lost_sec,
        kill.streams_that_lost,
        kill.open_sec,
        kill.first_frame_sec,
        kill.all_streams_sec
    );
    for peer in &figures.peers {
        let kept = 100.0 * peer.kept_bytes as f64 / figures.footage_bytes as f64;
        println!(
            "{}: CPU seconds a GB: {:.2}; its files grew by {kept:.1} % of the footage; at SIGKILL lost {:.1} s of a stream; {}",
            peer.name, peer.cpu_sec_per_gb, peer.lost_sec, peer.version
        );
        if kept < LEAST_KEPT_PERCENT {
            println!("{} did not record all of it; {}", peer.name, peer.last_words);
        }
    }
}

/// Units, their bytes, and how many are missing between the two moments.
fn read_back(data: &Path, channels: u16, from: WallTime, to: WallTime) -> Result<(u64, u64, u64), Failure> {
    let reader = bench_record_kill::reader(data)?;
    let (mut units, mut bytes, mut missing) = (0, 0, 0);
    let frame = hal::Pts90k::PER_SECOND / i64::from(FRAMES_PER_SEC);
    for channel in (1..=channels).filter_map(ChannelId::new) {
        let mut last: Option<hal::Pts90k> = None;
        for unit in reader.units(StreamId::new(channel, StreamKind::Main), from, to)? {
            let unit = unit?;
            if unit.wall < from || unit.wall >= to {
                continue;
            }
            units += 1;
            bytes += unit.data.len() as u64;
            if let Some(last) = last {
                missing += ((unit.pts - last + frame / 2) / frame - 1).max(0).unsigned_abs();
            }
            last = Some(unit.pts);
        }
        if last.is_none() {
            return Err(format!("channel {channel} has no footage").into());
        }
    }
    Ok((units, bytes, missing))
}
