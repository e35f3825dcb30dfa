//! `cargo xtask bench record`: how the recorder records, beside ffmpeg.
//!
//! Channels of 4 Mbit/s and 25 frames a second are recorded by the whole recorder, as processes, in release: simulated
//! ones, or with `--rtsp` network cameras, which a second recorder plays. In the same run one ffmpeg takes the same
//! streams over RTSP and writes them with `-c copy -f segment`. Afterwards the footage is read back: every unit that was
//! due must be there.

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

use crate::processes::{children, cpu_time, resident_bytes, written_bytes};
use crate::workspace::{Failure, target};
use crate::{steps, stream_key};

const FRAMES_PER_SEC: u32 = 25;
const BIT_RATE_BPS: u32 = 4_000_000;
/// Everything has started and the first GOPs are on disk.
const WARM_UP: Duration = Duration::from_secs(10);
const SAMPLE_EVERY: Duration = Duration::from_secs(5);
/// Web, RTSP, RTSPS.
const PORTS: [u16; 3] = [18443, 18554, 18322];
const CAMERA_PORTS: [u16; 3] = [19443, 19554, 19322];
const MEMORY: &str = "/dev/shm";
/// What a recorder that only plays cameras keeps, in memory.
const CAMERA_SEGMENT_BYTES: u64 = 4 << 20;
const SEGMENT_BYTES: u64 = 64 << 20;
const USER: &str = "bench";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// One minute instead of ten
    #[arg(long)]
    quick: bool,
    /// Network cameras, which a second recorder plays, instead of simulated inputs
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
    ffmpeg: ProcessFigures,
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
    ffmpeg_cpu_sec_per_gb: f64,
}

#[derive(Debug, Serialize)]
struct RoleFigures {
    role: String,
    #[serde(flatten)]
    process: ProcessFigures,
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
    // A server takes 64 viewers from one address.
    let source = cameras.as_ref().filter(|_| args.channels <= 32).unwrap_or(&recorder);
    let mut ffmpeg = Ended(start_ffmpeg(dir, source, args.channels)?);
    sleep(WARM_UP);

    let span = args.span();
    let clock = SystemClock::new();
    let roles: Vec<(u32, String)> = children(recorder.process.0.id())?
        .into_iter()
        .filter_map(|(pid, words)| Some((pid, words.iter().skip_while(|w| *w != "role").nth(1)?.clone())))
        .collect();
    let mut meters: Vec<Meter> =
        roles.iter().map(|(pid, name)| Meter::begin(*pid, name)).collect::<Result<_, _>>()?;
    meters.push(Meter::begin(ffmpeg.0.id(), "ffmpeg")?);
    let (from, started) = (clock.wall(), clock.mono());
    println!("==> {} channels of {BIT_RATE_BPS} bit/s for {} s", args.channels, span.as_secs());
    while clock.mono().since(started) < span {
        sleep(SAMPLE_EVERY.min(span.saturating_sub(clock.mono().since(started))));
        meters.iter_mut().try_for_each(Meter::sample)?;
    }
    let (to, seconds) = (clock.wall(), clock.mono().since(started).as_secs_f64());
    let figures: Vec<(String, ProcessFigures)> = meters.into_iter().map(|meter| meter.end(seconds)).collect();
    ffmpeg.end()?;
    recorder.process.end()?;
    if let Some(cameras) = &mut cameras {
        cameras.process.end()?;
    }

    let (units, footage_bytes, missing_units) = read_back(&recorder.data, args.channels, from, to)?;
    let of = |name: &str| figures.iter().find(|(n, _)| n == name).map(|(_, f)| f.clone()).unwrap_or_default();
    let (record, source, ffmpeg) =
        (of("record"), of(if args.rtsp { "ingest" } else { "capture" }), of("ffmpeg"));
    let per_gb = |cpu_seconds: f64| cpu_seconds / (footage_bytes as f64 / 1e9);
    print_table(&figures, seconds);
    let result = Figures {
        channels: args.channels,
        rtsp: args.rtsp,
        encrypted: !args.plain,
        tmpfs: args.tmpfs,
        cpu_sec_per_gb: per_gb(record.cpu_seconds + source.cpu_seconds),
        ffmpeg_cpu_sec_per_gb: per_gb(ffmpeg.cpu_seconds),
        bit_rate_bps: BIT_RATE_BPS,
        frames_per_sec: FRAMES_PER_SEC,
        seconds,
        write_amplification: record.written_bytes as f64 / footage_bytes as f64,
        cpu_ratio_to_ffmpeg: record.cpu_seconds / ffmpeg.cpu_seconds,
        roles: figures
            .into_iter()
            .filter(|(name, _)| name != "ffmpeg")
            .map(|(role, process)| RoleFigures { role, process })
            .collect(),
        ffmpeg,
        footage_bytes,
        units,
        missing_units,
    };
    println!(
        "{units} units, {footage_bytes} bytes read back, {missing_units} missing; write amplification {:.3}; \
         record uses {:.2} of ffmpeg's CPU time; CPU seconds a GB: {:.2}, ffmpeg {:.2}",
        result.write_amplification,
        result.cpu_ratio_to_ffmpeg,
        result.cpu_sec_per_gb,
        result.ffmpeg_cpu_sec_per_gb
    );
    Ok(result)
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

fn start_ffmpeg(dir: &Path, source: &Running, channels: u16) -> Result<Child, Failure> {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error"]);
    for number in 1..=channels {
        let url = format!("rtsp://{USER}:{}@127.0.0.1:{}/ch{number}/main", source.key, source.ports[1]);
        command.args(["-rtsp_transport", "tcp", "-i", &url]);
    }
    for number in 1..=channels {
        let folder = dir.join(format!("ffmpeg/{number}"));
        fs::create_dir_all(&folder)?;
        command.args([
            "-map",
            &format!("{}:v", number - 1),
            "-c",
            "copy",
            "-f",
            "segment",
            "-segment_time",
            "60",
        ]);
        command.args(["-reset_timestamps", "1"]).arg(folder.join("%04d.mp4"));
    }
    Ok(command.stdin(Stdio::null()).stderr(File::create(dir.join("ffmpeg.log"))?).spawn()?)
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
    println!("process    CPU s  % core    MB/s written   resident MB: first  most  last");
    let mb = |bytes: u64| bytes as f64 / 1e6;
    for (name, f) in figures {
        println!(
            "{name:<8} {:>7.1} {:>7.2} {:>15.2} {:>20.1} {:>5.1} {:>5.1}",
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
