//! What SIGKILL costs: footage, and time (`cargo xtask bench record`).
//!
//! The recorder's processes are killed at the worst moment, just before what they got in a second is committed. What is on
//! the disk then is what a power cut would have left at best; after a start it has what its rings, which are in memory,
//! still held. Peers are killed too, and asked for the end of what they kept. Footage is lost from there to the kill.
//!
//! Does not belong here: power cuts at any write (`bench_store_crash.rs`, `cargo xtask torture`).

use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use hal::{ChannelId, Clock, Pts90k, StreamId, StreamKind, SystemClock, WallTime};
use rusqlite::{Connection, OpenFlags};
use serde::Serialize;
use store::{DeviceKey, Keys, Reader};

use crate::bench_record_peer::Peer;
use crate::bench_record_recorder::Running;
use crate::spread::Spread;
use crate::workspace::Failure;

/// After so long a recorder that does not record again is broken.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// The recorder commits once a second.
const BEFORE_A_COMMIT: Duration = Duration::from_millis(900);
/// A frame that is newer than the kill by so much did not come before it: the length of one, and the error that wall times may have.
const CERTAINLY: Duration = Duration::from_millis(200);
/// Footage before the kill that is looked through: more than can be lost.
const BEFORE: Duration = Duration::from_secs(10);
const OPEN_LINE: &str = "volume open";

/// Seconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct KillFigures {
    /// Of each stream, from the end of what is durable to the kill.
    pub(crate) not_on_disk_sec: Spread,
    /// Of each stream, after the recorder was started again: frames published before the kill that are not there.
    pub(crate) lost_sec: Spread,
    /// How many of them lost more than the frame that was on its way.
    pub(crate) streams_that_lost: usize,
    /// From starting it again to a volume that is open.
    pub(crate) open_sec: f64,
    /// To the first frame, newer than the kill, that is durable: of the first stream and of the last one.
    pub(crate) first_frame_sec: f64,
    pub(crate) all_streams_sec: f64,
}

/// Kills `recorder`, starts it again and stops it when every channel goes on.
pub(crate) fn kill(
    recorder: &mut Running,
    channels: u16,
    frames_per_sec: u32,
) -> Result<KillFigures, Failure> {
    let clock = SystemClock::new();
    let reader = reader(&recorder.data)?;
    await_commit(&reader, &clock)?;
    sleep(BEFORE_A_COMMIT);
    let killed = recorder.kill_all()?;
    let streams: Vec<StreamId> = (1..=channels)
        .filter_map(ChannelId::new)
        .map(|channel| StreamId::new(channel, StreamKind::Main))
        .collect();
    let bounds = reader.all_bounds()?;
    let ends = streams.iter().map(|stream| bounds.get(stream).map(|(_, end)| seconds_between(*end, killed)));
    let not_on_disk: Option<Vec<f64>> = ends.collect();
    let not_on_disk = not_on_disk.ok_or("a channel has no footage")?;

    let certainly = killed.offset_micros(CERTAINLY.as_micros() as i64);
    let begun = clock.mono();
    recorder.start_again()?;
    let since = || clock.mono().since(begun).as_secs_f64();
    let (mut open, mut first) = (None, None);
    loop {
        if open.is_none() && recorder.log()?.contains(OPEN_LINE) {
            open = Some(since());
        }
        let bounds = reader.all_bounds()?;
        let goes_on = |stream: &&StreamId| bounds.get(*stream).is_some_and(|(_, end)| *end > certainly);
        let back = streams.iter().filter(goes_on).count();
        if back > 0 {
            first = first.or_else(|| Some(since()));
        }
        if back == streams.len() {
            break;
        }
        if since() > PATIENCE.as_secs_f64() {
            return Err(format!("{back} of {channels} channels go on\n{}", recorder.log()?).into());
        }
        sleep(LOOK_EVERY);
    }
    let all_streams_sec = since();
    let first_frame_sec = first.unwrap_or(all_streams_sec);
    // What is durable was committed to a volume that is open; a log that is slower than the disk tells nothing more.
    let open_sec = open.unwrap_or(first_frame_sec);
    recorder.listens()?;
    recorder.process.end()?;

    let mut lost = Vec::new();
    for stream in streams {
        lost.push(missing_sec(&reader, stream, killed, frames_per_sec)?);
    }
    let on_the_way = 2.0 / f64::from(frames_per_sec);
    let streams_that_lost = lost.iter().filter(|lost| **lost > on_the_way).count();
    let of = |figures: Vec<f64>| Spread::of(figures).ok_or("no stream was recorded");
    Ok(KillFigures {
        not_on_disk_sec: of(not_on_disk)?,
        lost_sec: of(lost)?,
        streams_that_lost,
        open_sec,
        first_frame_sec,
        all_streams_sec,
    })
}

/// Returns right after something became durable.
fn await_commit(reader: &Reader, clock: &SystemClock) -> Result<(), Failure> {
    let (before, begun) = (reader.all_bounds()?, clock.mono());
    while reader.all_bounds()? == before {
        if clock.mono().since(begun) > PATIENCE {
            return Err("the recorder commits nothing".into());
        }
        sleep(LOOK_EVERY);
    }
    Ok(())
}

/// The footage of a recorder, read beside it or after it.
pub(crate) fn reader(data: &Path) -> Result<Reader, Failure> {
    let key = fs::read(data.join("identity/footage.key"))?;
    let key = DeviceKey::from_text(&key).ok_or("the recorder keeps no footage key")?;
    Ok(Reader::open(&data.join("volume"), &Keys::of_device(key))?)
}

fn seconds_between(end: WallTime, killed: WallTime) -> f64 {
    killed.micros_since(end).max(0) as f64 / 1e6
}

/// Of the frames that were due in the last seconds before the kill: how much is not there, in between or at the end.
fn missing_sec(
    reader: &Reader,
    stream: StreamId,
    killed: WallTime,
    frames_per_sec: u32,
) -> Result<f64, Failure> {
    let from = killed.offset_micros(-(BEFORE.as_micros() as i64));
    let frame = Pts90k::PER_SECOND / i64::from(frames_per_sec);
    let (mut missing, mut last): (i64, Option<(Pts90k, WallTime)>) = (0, None);
    for unit in reader.units(stream, from, killed)? {
        let unit = unit?;
        if unit.wall >= killed {
            break;
        }
        if let Some((pts, _)) = last {
            missing += ((unit.pts - pts + frame / 2) / frame - 1).max(0);
        }
        last = Some((unit.pts, unit.wall));
    }
    let last = last.map_or(from, |(_, wall)| wall.offset_micros(Pts90k(frame).as_micros()));
    Ok(missing as f64 / f64::from(frames_per_sec) + seconds_between(last, killed))
}

/// Of each of `channels` streams, the seconds from the end of what a peer that began at `started` keeps to its kill.
pub(crate) fn lost_by(
    peer: Peer,
    dir: &Path,
    channels: u16,
    started: WallTime,
    killed: WallTime,
) -> Result<Spread, Failure> {
    let ends = match peer {
        Peer::Ffmpeg => readable_until(&peer.footage(dir))?,
        Peer::Moonfire => indexed_until(&peer.database(dir))?,
    };
    // A stream of which nothing was kept lost everything.
    let all = ends.into_iter().map(Some).chain(std::iter::repeat(None)).take(usize::from(channels));
    let lost = all.map(|end| seconds_between(end.unwrap_or(started), killed));
    Spread::of(lost).ok_or_else(|| "no stream was recorded".into())
}

/// ffmpeg's files: one folder for each stream. A file of MP4 can be read once it is complete, which is when the next one is
/// begun.
fn readable_until(footage: &Path) -> Result<Vec<WallTime>, Failure> {
    let mut ends = Vec::new();
    for folder in fs::read_dir(footage)? {
        let mut files: Vec<PathBuf> = fs::read_dir(folder?.path())?
            .map(|file: std::io::Result<DirEntry>| file.map(|file| file.path()))
            .collect::<Result<_, _>>()?;
        files.sort();
        for file in files.iter().rev() {
            if is_readable(file)? {
                let age = fs::metadata(file)?.modified()?.duration_since(std::time::UNIX_EPOCH)?;
                ends.push(WallTime::from_unix_micros(age.as_micros() as i64));
                break;
            }
        }
    }
    Ok(ends)
}

fn is_readable(file: &Path) -> Result<bool, Failure> {
    let mut probe = Command::new("ffprobe");
    probe.args(["-v", "quiet", "-show_entries", "format=duration", "-of", "csv=p=0"]).arg(file);
    let output = probe.stdin(Stdio::null()).output().map_err(|error| format!("ffprobe: {error}"))?;
    let seconds: Option<f64> = String::from_utf8_lossy(&output.stdout).trim().parse().ok();
    Ok(output.status.success() && seconds.is_some_and(|seconds| seconds > 0.0))
}

/// What Moonfire's index knows: sample files that it does not know are removed by the next start.
fn indexed_until(database: &Path) -> Result<Vec<WallTime>, Failure> {
    // As its next start would: what is in the log of its database counts.
    let rows = Connection::open_with_flags(database.join("db"), OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let mut ends =
        rows.prepare("SELECT max(start_time_90k + wall_duration_90k) FROM recording GROUP BY stream_id")?;
    let ends = ends.query_map([], |row| row.get::<_, i64>(0))?;
    ends.map(|end| Ok(WallTime::from_unix_micros(Pts90k(end?).as_micros()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_index_of_a_killed_peer_has_is_what_it_kept() {
        let dir = tempfile::tempdir().unwrap();
        let database = Peer::Moonfire.database(dir.path());
        fs::create_dir_all(&database).unwrap();
        let rows = Connection::open(database.join("db")).unwrap();
        rows.execute_batch(
            "CREATE TABLE recording (stream_id integer, start_time_90k integer, wall_duration_90k integer);
             INSERT INTO recording VALUES (1, 900000, 90000), (1, 990000, 90000), (2, 900000, 45000);",
        )
        .unwrap();
        let at = |seconds: i64| WallTime::from_unix_micros(seconds * 1_000_000);
        // Of the third stream there is nothing.
        let lost = lost_by(Peer::Moonfire, dir.path(), 3, at(9), at(20)).unwrap();
        assert_eq!(lost, Spread { median: 9.5, worst: 11.0 });
    }
}
