//! Other people's recorders of the same streams, for `cargo xtask bench record`.
//!
//! Each is one process that takes each stream by RTSP over TCP and keeps it in files of about a minute. ffmpeg copies into
//! MP4. Moonfire NVR hashes what it writes, and has an index; its database is made by its own `init`, gets the cameras as rows,
//! and everything else is as it comes.
//!
//! Does not belong here: what is measured (`bench_record.rs`).
//!
//! Invariant: what a peer keeps is below its own folder.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rusqlite::{Connection, OpenFlags, params};
use serde_json::json;

use crate::workspace::Failure;

/// What its guide advises: how old a finished recording may be that its index does not have yet.
const MOONFIRE_FLUSH_SEC: u32 = 120;

/// A recorder that is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Ffmpeg,
    Moonfire,
}

/// What a peer takes: `channels` main streams of one server on the loopback.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Streams<'a> {
    pub(crate) port: u16,
    pub(crate) user: &'a str,
    pub(crate) key: &'a str,
    pub(crate) channels: u16,
    /// So much of each may be kept before what is oldest goes; ffmpeg keeps everything.
    pub(crate) keep_bytes: u64,
}

impl Peer {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ffmpeg => "ffmpeg",
            Self::Moonfire => "moonfire-nvr",
        }
    }

    /// What it calls itself; `None` where it is not on PATH.
    pub(crate) fn version(self) -> Option<String> {
        let argument = match self {
            Self::Ffmpeg => "-version",
            Self::Moonfire => "--version",
        };
        let output = Command::new(self.name()).arg(argument).stdin(Stdio::null()).output();
        if output.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return None;
        }
        let text =
            output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        Some(text.lines().next().unwrap_or("of an unknown version").to_owned())
    }

    /// Where its footage is, below the folder that it was started with.
    pub(crate) fn footage(self, dir: &Path) -> PathBuf {
        dir.join(self.name()).join("footage")
    }

    /// Where its database is: Moonfire's.
    pub(crate) fn database(self, dir: &Path) -> PathBuf {
        dir.join(self.name()).join("db")
    }

    /// The end of what it said: where a peer records too little, that says why.
    pub(crate) fn last_words(self, dir: &Path) -> String {
        let said = fs::read(self.log(dir)).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        match said.lines().next_back() {
            Some(line) => format!("it said last: {line}"),
            None => "it said nothing".to_owned(),
        }
    }

    fn log(self, dir: &Path) -> PathBuf {
        dir.join(self.name()).join("log")
    }

    /// Begins to record in a folder of its own in `dir`.
    pub(crate) fn start(self, dir: &Path, streams: Streams<'_>) -> Result<Child, Failure> {
        let footage = self.footage(dir);
        fs::create_dir_all(&footage)?;
        let log = File::create(self.log(dir))?;
        let mut command = match self {
            Self::Ffmpeg => ffmpeg(&footage, streams)?,
            Self::Moonfire => moonfire(&self.database(dir), &footage, streams, &log)?,
        };
        Ok(command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?)
    }
}

/// The bytes of all files below `dir`.
pub(crate) fn bytes_below(dir: &Path) -> Result<u64, Failure> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        bytes +=
            if entry.file_type()?.is_dir() { bytes_below(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(bytes)
}

fn ffmpeg(footage: &Path, streams: Streams<'_>) -> Result<Command, Failure> {
    let Streams { port, user, key, channels, .. } = streams;
    let mut command = Command::new(Peer::Ffmpeg.name());
    command.args(["-nostdin", "-v", "error"]);
    for number in 1..=channels {
        let url = format!("rtsp://{user}:{key}@127.0.0.1:{port}/ch{number}/main");
        command.args(["-rtsp_transport", "tcp", "-i", &url]);
    }
    for number in 1..=channels {
        let folder = footage.join(number.to_string());
        fs::create_dir(&folder)?;
        command.args(["-map", &format!("{}:v", number - 1), "-c", "copy"]);
        command.args(["-f", "segment", "-segment_time", "60", "-reset_timestamps", "1"]);
        command.arg(folder.join("%04d.mp4"));
    }
    Ok(command)
}

fn moonfire(database: &Path, footage: &Path, streams: Streams<'_>, log: &File) -> Result<Command, Failure> {
    let mut init = Command::new(Peer::Moonfire.name());
    init.args(["init", "--db-dir"]).arg(database);
    let status = init.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log.try_clone()?).status()?;
    if !status.success() {
        return Err(format!("{} makes no database: {status}", Peer::Moonfire.name()).into());
    }
    let mut rows = Connection::open_with_flags(database.join("db"), OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    insert_cameras(&mut rows, footage, streams)?;
    rows.close().map_err(|(_, error)| error)?;
    let settings = database.with_file_name("settings.toml");
    // Without a web server.
    fs::write(&settings, format!("dbDir = {}\nbinds = []\n", toml::Value::from(path_text(database)?)))?;
    let mut command = Command::new(Peer::Moonfire.name());
    command.args(["run", "--config"]).arg(settings);
    Ok(command)
}

/// A camera with one stream for each channel, and the folder of all: it is empty, and their server makes it its own when it
/// opens it for the first time.
fn insert_cameras(database: &mut Connection, footage: &Path, streams: Streams<'_>) -> Result<(), Failure> {
    let rows = database.transaction()?;
    rows.execute(
        "INSERT INTO sample_file_dir (uuid, config) VALUES (randomblob(16), ?1)",
        params![json!({ "path": path_text(footage)? }).to_string()],
    )?;
    let folder = rows.last_insert_rowid();
    for number in 1..=streams.channels {
        let camera = json!({ "username": streams.user, "password": streams.key });
        rows.execute(
            "INSERT INTO camera (uuid, short_name, config) VALUES (randomblob(16), ?1, ?2)",
            params![format!("ch{number}"), camera.to_string()],
        )?;
        let stream = json!({
            "mode": "record",
            "url": format!("rtsp://127.0.0.1:{}/ch{number}/main", streams.port),
            "rtspTransport": "tcp",
            "retainBytes": streams.keep_bytes,
            "flushIfSec": MOONFIRE_FLUSH_SEC,
        });
        rows.execute(
            "INSERT INTO stream (camera_id, sample_file_dir_id, type, config, cum_recordings, \
             cum_media_duration_90k, cum_runs) VALUES (?1, ?2, 'main', ?3, 0, 0, 0)",
            params![rows.last_insert_rowid(), folder, stream.to_string()],
        )?;
    }
    Ok(rows.commit()?)
}

fn path_text(path: &Path) -> Result<&str, Failure> {
    Ok(path.to_str().ok_or("a folder whose name is no text")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_folders_below_counts() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        fs::write(dir.path().join("one"), [0; 5]).unwrap();
        fs::write(dir.path().join("a/b/two"), [0; 7]).unwrap();
        assert_eq!(bytes_below(dir.path()).unwrap(), 12);
    }

    #[test]
    fn the_end_of_what_a_peer_said_is_told() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Peer::Moonfire.last_words(dir.path()), "it said nothing");
        fs::create_dir(dir.path().join("moonfire-nvr")).unwrap();
        fs::write(Peer::Moonfire.log(dir.path()), "one\ntwo\n").unwrap();
        assert_eq!(Peer::Moonfire.last_words(dir.path()), "it said last: two");
    }

    #[test]
    fn ffmpeg_takes_each_stream_into_a_folder_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let streams = Streams { port: 9, user: "u", key: "k", channels: 2, keep_bytes: 0 };
        let command = ffmpeg(dir.path(), streams).unwrap();
        let words: Vec<_> = command.get_args().map(|word| word.to_str().unwrap()).collect();
        for number in ["1", "2"] {
            assert!(words.contains(&format!("rtsp://u:k@127.0.0.1:9/ch{number}/main").as_str()), "{words:?}");
            assert!(words.contains(&dir.path().join(number).join("%04d.mp4").to_str().unwrap()), "{words:?}");
            assert!(dir.path().join(number).is_dir());
        }
    }
}
