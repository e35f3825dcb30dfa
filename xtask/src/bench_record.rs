//! `cargo xtask bench record`: how the recorder records, beside its peers.
//!
//! Channels of 4 Mbit/s and 25 frames a second are recorded by the whole recorder, as processes, in release: simulated
//! ones, or with `--rtsp` network cameras, which a second recorder plays. In the same run one ffmpeg takes the same
//! streams over RTSP and writes them with `-c copy -f segment`; with `--rtsp` Moonfire NVR takes them too, where it is on
//! PATH. Afterwards the footage is read back: every unit that was due must be there.
//!
//! Does not belong here: how other people's recorders are set up (`bench_record_peer.rs`).

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use hal::{ChannelId, Clock, StreamId, StreamKind, SystemClock, WallTime};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Serialize;

use crate::bench_record_peer::{Peer, Streams, bytes_below};
use crate::processes::{children, cpu_time, resident_bytes, written_bytes};
use crate::workspace::{Failure, target};
use crate::{steps, stream_key};

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
const SEGMENT_BYTES: u64 = 64 << 20;
const USER: &str = "bench";
/// Who keeps less of the footage did not record the same; the rest is for what a peer has not written yet.
const LEAST_KEPT_PERCENT: f64 = 98.0;
/// What a server takes from one address, each with a stream.
const VIEWERS: u16 = 64;

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

    /// Room for all of it, with some to spare.
    fn footage_bytes(&self) -> u64 {
        u64::from(self.channels) * u64::from(BIT_RATE_BPS / 8) * (self.span() + 2 * WARM_UP).as_secs() * 5 / 4
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
    #[serde(skip)]
    last_words: String,
}

#[derive(Clone, Debug, Default, Serialize)]
struct ProcessFigures {
    cpu_seconds: f64,
    /// Of one core.
    cpu_percent: f64,
    written_bytes: u64,
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
        Running::start(
            &memory.0.join("cameras"),
            CAMERA_PORTS,
            &settings(args, CAMERA_PORTS, (CAMERA_SEGMENT_BYTES, 8 * CAMERA_SEGMENT_BYTES), None),
        )
    });
    let mut cameras = cameras.transpose()?;
    let mut recorder = Running::start(
        &dir.join("recorder"),
        PORTS,
        &settings(args, PORTS, (SEGMENT_BYTES, args.footage_bytes()), cameras.as_ref()),
    )?;
    // The cameras have no room for the recorder and a peer beside it when there are more.
    let source = cameras.as_ref().filter(|_| args.channels <= VIEWERS / 2).unwrap_or(&recorder);
    let streams = Streams {
        port: source.ports[1],
        user: USER,
        key: &source.key,
        channels: args.channels,
        keep_bytes: args.footage_bytes() / u64::from(args.channels),
    };
    let mut taking = Vec::new();
    for (peer, version) in peers {
        taking.push(Taking { peer, version, process: Ended(peer.start(dir, streams)?), kept_bytes: 0 });
    }
    println!("==> {} s, in which the rings go round once", WARM_UP.as_secs());
    sleep(WARM_UP);

    let span = args.span();
    let clock = SystemClock::new();
    let roles: Vec<(u32, String)> = children(recorder.process.0.id())?
        .into_iter()
        .filter_map(|(pid, words)| Some((pid, words.iter().skip_while(|w| *w != "role").nth(1)?.clone())))
        .collect();
    let mut meters: Vec<Meter> =
        roles.iter().map(|(pid, name)| Meter::begin(*pid, name)).collect::<Result<_, _>>()?;
    for Taking { peer, process, kept_bytes, .. } in &mut taking {
        meters.push(Meter::begin(process.0.id(), peer.name())?);
        *kept_bytes = bytes_below(&peer.footage(dir))?;
    }
    let (from, started) = (clock.wall(), clock.mono());
    println!("==> {} channels of {BIT_RATE_BPS} bit/s for {} s", args.channels, span.as_secs());
    while clock.mono().since(started) < span {
        sleep(SAMPLE_EVERY.min(span.saturating_sub(clock.mono().since(started))));
        meters.iter_mut().try_for_each(Meter::sample)?;
    }
    let (to, seconds) = (clock.wall(), clock.mono().since(started).as_secs_f64());
    let figures: Vec<(String, ProcessFigures)> = meters.into_iter().map(|meter| meter.end(seconds)).collect();
    for Taking { peer, process, kept_bytes, .. } in &mut taking {
        *kept_bytes = bytes_below(&peer.footage(dir))?.saturating_sub(*kept_bytes);
        process.end()?;
    }
    recorder.process.end()?;
    if let Some(cameras) = &mut cameras {
        cameras.process.end()?;
    }

    let (units, footage_bytes, missing_units) = read_back(&recorder.data, args.channels, from, to)?;
    let of = |name: &str| figures.iter().find(|(n, _)| n == name).map(|(_, f)| f.clone()).unwrap_or_default();
    let (record, source) = (of("record"), of(if args.rtsp { "ingest" } else { "capture" }));
    let per_gb = |cpu_seconds: f64| cpu_seconds / (footage_bytes as f64 / 1e9);
    print_table(&figures, seconds);
    let peers: Vec<PeerFigures> = taking
        .into_iter()
        .map(|Taking { peer, version, kept_bytes, .. }| {
            let process = of(peer.name());
            let cpu_sec_per_gb = per_gb(process.cpu_seconds);
            let last_words = peer.last_words(dir);
            PeerFigures { name: peer.name(), version, process, kept_bytes, cpu_sec_per_gb, last_words }
        })
        .collect();
    let result = Figures {
        channels: args.channels,
        rtsp: args.rtsp,
        encrypted: !args.plain,
        tmpfs: args.tmpfs,
        cpu_sec_per_gb: per_gb(record.cpu_seconds + source.cpu_seconds),
        bit_rate_bps: BIT_RATE_BPS,
        frames_per_sec: FRAMES_PER_SEC,
        seconds,
        write_amplification: record.written_bytes as f64 / footage_bytes as f64,
        cpu_ratio_to_ffmpeg: record.cpu_seconds / of(Peer::Ffmpeg.name()).cpu_seconds,
        roles: figures
            .iter()
            .filter(|(name, _)| peers.iter().all(|peer| peer.name != name))
            .map(|(role, process)| RoleFigures { role: role.clone(), process: process.clone() })
            .collect(),
        peers,
        footage_bytes,
        units,
        missing_units,
    };
    println!(
        "{units} units, {footage_bytes} bytes read back, {missing_units} missing; write amplification {:.3}; \
         record uses {:.2} of ffmpeg's CPU time; CPU seconds a GB: {:.2}",
        result.write_amplification, result.cpu_ratio_to_ffmpeg, result.cpu_sec_per_gb,
    );
    for peer in &result.peers {
        let kept = 100.0 * peer.kept_bytes as f64 / footage_bytes as f64;
        println!(
            "{}: CPU seconds a GB: {:.2}; its files grew by {kept:.1} % of the footage; {}",
            peer.name, peer.cpu_sec_per_gb, peer.version
        );
        if kept < LEAST_KEPT_PERCENT {
            println!("{} did not record all of it; {}", peer.name, peer.last_words);
        }
    }
    Ok(result)
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

/// A recorder, and one viewer's key.
struct Running {
    process: Ended,
    data: PathBuf,
    key: String,
    ports: [u16; 3],
}

impl Running {
    fn start(dir: &Path, ports: [u16; 3], settings: &str) -> Result<Self, Failure> {
        let data = dir.join("data");
        fs::create_dir_all(&data)?;
        fs::write(data.join("settings.toml"), settings)?;
        let key = stream_key::make(&data.join("accounts.toml"), USER)?;
        Ok(Self { process: Ended(start_recorder(dir, &data)?), data, key, ports })
    }
}

/// Ends when it is dropped, whatever happened before.
struct Ended(Child);

impl Ended {
    fn end(&mut self) -> Result<(), Failure> {
        if self.0.try_wait()?.is_none() {
            kill(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGINT)?;
        }
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// Returns when RTSP is served.
fn start_recorder(dir: &Path, data: &Path) -> Result<Child, Failure> {
    let mut recorder = Command::new(target().join("release/candor"))
        .arg("run")
        .arg("--data")
        .arg(data)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(dir.join("candor.log"))?)
        .spawn()?;
    let console = recorder.stdout.take().ok_or("the recorder has no console")?;
    let mut lines = BufReader::new(console).lines();
    for line in lines.by_ref() {
        if line?.starts_with("RTSP: ") {
            // Nobody reads the rest, and the recorder must not wait for a reader.
            std::thread::spawn(move || lines.for_each(drop));
            return Ok(recorder);
        }
    }
    let log = fs::read_to_string(dir.join("candor.log"))?;
    Err(format!("the recorder did not start: {}\n{log}", recorder.wait()?).into())
}

/// Follows one process.
struct Meter {
    pid: u32,
    name: String,
    cpu_at_first: Duration,
    written_at_first: u64,
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
            last,
        })
    }

    fn sample(&mut self) -> Result<(), Failure> {
        self.last.cpu_seconds = (cpu_time(self.pid)? - self.cpu_at_first).as_secs_f64();
        self.last.written_bytes = written_bytes(self.pid)? - self.written_at_first;
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
    println!("process        CPU s  % core    MB/s written   resident MB: first  most  last");
    let mb = |bytes: u64| bytes as f64 / 1e6;
    for (name, f) in figures {
        println!(
            "{name:<12} {:>7.1} {:>7.2} {:>15.2} {:>20.1} {:>5.1} {:>5.1}",
            f.cpu_seconds,
            f.cpu_percent,
            mb(f.written_bytes) / seconds,
            mb(f.resident_first_bytes),
            mb(f.resident_most_bytes),
            mb(f.resident_last_bytes)
        );
    }
}

/// Units, their bytes, and how many are missing between the two moments.
fn read_back(data: &Path, channels: u16, from: WallTime, to: WallTime) -> Result<(u64, u64, u64), Failure> {
    let key = fs::read(data.join("identity/footage.key"))?;
    let key = store::DeviceKey::from_text(&key).ok_or("the recorder keeps no footage key")?;
    let reader = store::Reader::open(&data.join("volume"), &store::Keys::of_device(key))?;
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
