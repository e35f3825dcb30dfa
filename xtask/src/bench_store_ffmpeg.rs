//! ffmpeg writing the same footage: the peer of `cargo xtask bench store`.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::resource::{UsageWho, getrusage};
use serde::Serialize;

use crate::bench_store_case::{FRAMES_PER_SEC, gop};
use crate::workspace::Failure;

const STREAMS: u16 = 16;

/// One way of writing it.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    medium: &'static str,
    streams: u16,
    payload_bytes: u64,
    cpu_sec_per_gb: f64,
}

/// Sixteen streams from one file each, as fast as it goes, `seconds` of footage.
pub(crate) fn run(disk: &Path, seconds: u32) -> Result<Vec<Line>, Failure> {
    let mut lines = Vec::new();
    for (medium, root) in [("tmpfs", Path::new("/dev/shm")), ("disk", disk)] {
        if !root.is_dir() {
            continue;
        }
        let dir = root.join(format!("candor-bench-ffmpeg-{}", std::process::id()));
        fs::create_dir_all(&dir)?;
        let line = one(medium, &dir, seconds);
        fs::remove_dir_all(&dir)?;
        let line = line?;
        println!(
            "{medium:<6} ffmpeg -c copy -f segment, {STREAMS} streams: {:.2} CPU s/GB",
            line.cpu_sec_per_gb
        );
        lines.push(line);
    }
    Ok(lines)
}

fn one(medium: &'static str, dir: &Path, seconds: u32) -> Result<Line, Failure> {
    let gop = gop()?;
    let one_gop: Vec<u8> = gop.iter().flat_map(|(data, _)| data.iter().copied()).collect();
    let payload = one_gop.len() as u64 * u64::from(seconds / 2);
    let clip = dir.join("clip.h264");
    fs::write(&clip, one_gop.repeat(seconds as usize / 2))?;
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error"]);
    for _ in 0..STREAMS {
        command.args(["-r", &FRAMES_PER_SEC.to_string(), "-f", "h264", "-i"]).arg(&clip);
    }
    for number in 0..STREAMS {
        let out = dir.join(number.to_string());
        fs::create_dir(&out)?;
        command.args(["-map", &format!("{number}:v"), "-c", "copy", "-f", "segment", "-segment_time", "60"]);
        command.args(["-reset_timestamps", "1"]).arg(out.join("%04d.mp4"));
    }
    let before = children_cpu()?;
    let log = dir.join("log");
    let status = command.stdin(Stdio::null()).stderr(File::create(&log)?).status()?;
    if !status.success() {
        return Err(format!("ffmpeg: {status}: {}", fs::read_to_string(&log)?).into());
    }
    let payload_bytes = payload * u64::from(STREAMS);
    let cpu_sec_per_gb = (children_cpu()? - before) / (payload_bytes as f64 / 1e9);
    Ok(Line { medium, streams: STREAMS, payload_bytes, cpu_sec_per_gb })
}

/// CPU seconds of all children that were waited for.
fn children_cpu() -> Result<f64, Failure> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}
