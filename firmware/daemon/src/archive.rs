//! Several channels as one zip, written from front to back.
//!
//! An MP4 a channel, stored as it is, and behind them `contents.toml`, which says for people and programs what they are. Sizes
//! and checksums follow each file (APPNOTE.TXT section 4.3.9), because they are known only then. Does not belong here: where the
//! bytes come from and go to.
//!
//! Invariant: nothing is kept but the list of files.

use std::io::{self, Write};

use data_encoding::HEXLOWER;
use hal::WallTime;
use jiff::Timestamp;
use rawzip::time::UtcDateTime;
use rawzip::{CompressionMethod, ZipArchiveWriter, ZipDataWriter, ZipEntryWriter};
use ring::digest::{Context, SHA256};
use serde::Serialize;

/// What is in a zip.
const CONTENTS: &str = "contents.toml";

/// Before the first table of `contents.toml`.
const FOREWORD: &str = "# Footage exported from a Candor recorder. Times are UTC. sha256 is of the file; `sha256sum FILE` must print it.\n\n";

/// A zip while it is written.
pub(crate) struct Archive<W: Write> {
    zip: ZipArchiveWriter<W>,
    contents: Contents,
}

/// What `contents.toml` says.
#[derive(Debug, Serialize)]
struct Contents {
    start: String,
    end: String,
    #[serde(rename = "file")]
    files: Vec<FileFacts>,
}

/// What is known of a file before it is written.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FileFacts {
    pub(crate) name: String,
    pub(crate) channel: u16,
    pub(crate) title: String,
    /// The moment of media time 0.
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    /// As RFC 6381 writes them.
    pub(crate) codecs: Vec<String>,
    pub(crate) bytes: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) sha256: String,
    /// Not recorded.
    pub(crate) gaps: Vec<Gap>,
    /// Recorded, and not readable any more.
    pub(crate) unread: Vec<Gap>,
}

/// What is known of a planned file and of what was asked for.
pub(crate) struct Planned<'a> {
    pub(crate) channel: u16,
    pub(crate) title: &'a str,
    /// What was asked for.
    pub(crate) asked: (WallTime, WallTime),
    /// What it is.
    pub(crate) shown: (WallTime, WallTime),
    pub(crate) codecs: Vec<String>,
    pub(crate) bytes: u64,
    pub(crate) pieces: Vec<(WallTime, WallTime)>,
    pub(crate) unread: Vec<(WallTime, WallTime)>,
}

impl FileFacts {
    pub(crate) fn of(planned: Planned<'_>) -> Self {
        let times = |(start, end)| (timestamp(start), timestamp(end));
        let Planned { channel, title, codecs, bytes, .. } = planned;
        let (start, end) = times(planned.shown);
        let (asked_start, asked_end) = times(planned.asked);
        let unread = planned.unread.into_iter().map(times);
        Self {
            name: file_name(channel, title),
            channel,
            title: title.to_owned(),
            start,
            end,
            codecs,
            bytes,
            sha256: String::new(),
            gaps: gaps(planned.pieces.into_iter().map(times), asked_start, asked_end),
            unread: unread.map(|(start, end)| Gap { start, end }).collect(),
        }
    }
}

/// As times are written; the nearest that can be.
pub(crate) fn timestamp(time: WallTime) -> Timestamp {
    Timestamp::from_microsecond(time.as_unix_micros()).unwrap_or_default()
}

/// A stretch that is missing in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Gap {
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
}

/// A file while it is written.
pub(crate) struct ArchiveFile<'a, W: Write> {
    data: ZipDataWriter<ZipEntryWriter<'a, W>>,
    hash: Context,
    facts: FileFacts,
    files: &'a mut Vec<FileFacts>,
}

impl<W: Write> Archive<W> {
    /// Of footage from `start` to `end`.
    pub(crate) fn new(to: W, start: Timestamp, end: Timestamp) -> Self {
        let contents = Contents { start: start.to_string(), end: end.to_string(), files: Vec::new() };
        Self { zip: ZipArchiveWriter::new(to), contents }
    }

    /// Begins a file.
    pub(crate) fn file(&mut self, facts: FileFacts) -> io::Result<ArchiveFile<'_, W>> {
        let (entry, config) = begin(&mut self.zip, &facts.name, facts.end)?;
        let hash = Context::new(&SHA256);
        Ok(ArchiveFile { data: config.wrap(entry), hash, facts, files: &mut self.contents.files })
    }

    /// Writes what is behind the files; the end of the footage is the time of `contents.toml`.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        let text = toml::to_string(&self.contents).map_err(io::Error::other)?;
        let newest = self.contents.files.iter().map(|facts| facts.end).max().unwrap_or_default();
        let (entry, config) = begin(&mut self.zip, CONTENTS, newest)?;
        let mut data = config.wrap(entry);
        data.write_all(FOREWORD.as_bytes())?;
        data.write_all(text.as_bytes())?;
        finish(data)?;
        self.zip.finish().map_err(io::Error::other)
    }
}

impl<W: Write> ArchiveFile<'_, W> {
    /// Ends the file.
    pub(crate) fn finish(self) -> io::Result<()> {
        let Self { data, hash, mut facts, files } = self;
        finish(data)?;
        facts.sha256 = HEXLOWER.encode(hash.finish().as_ref());
        files.push(facts);
        Ok(())
    }
}

impl<W: Write> Write for ArchiveFile<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.data.write(bytes)?;
        self.hash.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.data.flush()
    }
}

fn begin<'a, W: Write>(
    zip: &'a mut ZipArchiveWriter<W>,
    name: &str,
    time: Timestamp,
) -> io::Result<(ZipEntryWriter<'a, W>, rawzip::ZipDataWriterConfig)> {
    let time = UtcDateTime::from_unix(time.as_second());
    let file = zip.new_file(name).compression_method(CompressionMethod::STORE).last_modified(time);
    file.unix_permissions(0o644).start().map_err(io::Error::other)
}

fn finish<W: Write>(data: ZipDataWriter<ZipEntryWriter<'_, W>>) -> io::Result<()> {
    let (entry, output) = data.finish().map_err(io::Error::other)?;
    entry.finish(output).map(drop).map_err(io::Error::other)
}

/// The name of a channel's file: its number and title, with nothing that some file system does not take.
fn file_name(channel: u16, title: &str) -> String {
    let mut name = format!("ch{channel}");
    let letter = |c: char| if c.is_alphanumeric() { c } else { ' ' };
    let plain: String = title.chars().map(letter).collect();
    for word in plain.split_whitespace() {
        name.push('-');
        name.push_str(word);
    }
    name.push_str(".mp4");
    name
}

/// What lies between pieces of footage, from `start` to `end`, as far as it lasts.
fn gaps(
    pieces: impl IntoIterator<Item = (Timestamp, Timestamp)>,
    start: Timestamp,
    end: Timestamp,
) -> Vec<Gap> {
    /// A shorter gap is a clock that was set, or a camera's jitter: no picture is missing.
    const MIN_GAP_MICROS: i64 = 200_000;
    let mut gaps = Vec::new();
    let mut before = start;
    for (start, end) in pieces.into_iter().chain([(end, end)]) {
        if start.as_microsecond() - before.as_microsecond() >= MIN_GAP_MICROS {
            gaps.push(Gap { start: before, end: start });
        }
        before = before.max(end);
    }
    gaps
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_168_800 + second).unwrap()
    }

    fn facts(channel: u16, title: &str) -> FileFacts {
        FileFacts {
            name: file_name(channel, title),
            channel,
            title: title.to_owned(),
            start: at(0),
            end: at(60),
            codecs: vec!["avc1.64001f".to_owned(), "mp4a.40.2".to_owned()],
            bytes: 11,
            sha256: String::new(),
            gaps: gaps([(at(0), at(10)), (at(20), at(60))], at(0), at(60)),
            unread: Vec::new(),
        }
    }

    #[test]
    fn other_programs_unpack_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("export.zip");
        let mut archive = Archive::new(std::fs::File::create(&path).unwrap(), at(0), at(60));
        for facts in [facts(1, "Front door"), facts(12, "Hof & Gärten/2")] {
            let mut file = archive.file(facts).unwrap();
            file.write_all(b"some ").unwrap();
            file.write_all(b"pieces").unwrap();
            file.finish().unwrap();
        }
        archive.finish().unwrap();
        // Python's has its own reader; it checks sizes and CRCs.
        let script = "import sys,zipfile; z=zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None; z.extractall(sys.argv[2])";
        let run = Command::new("python3").args(["-c", script]).args([&path, &dir.path().to_owned()]).output();
        let run = run.unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        for name in ["ch1-Front-door.mp4", "ch12-Hof-Gärten-2.mp4"] {
            assert_eq!(std::fs::read(dir.path().join(name)).unwrap(), b"some pieces", "{name}");
        }
        let text = std::fs::read_to_string(dir.path().join(CONTENTS)).unwrap();
        let table: toml::Table = text.parse().unwrap();
        let file = &table["file"][0];
        assert_eq!(file["title"].as_str(), Some("Front door"));
        let hash = ring::digest::digest(&SHA256, b"some pieces");
        let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(file["sha256"].as_str(), Some(hash.as_str()));
        assert_eq!(file["gaps"][0]["start"].as_str(), Some("2026-11-20T10:00:10Z"));
        assert_eq!(file["gaps"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn names_are_plain() {
        assert_eq!(file_name(3, "../..\\etc: \"x\""), "ch3-etc-x.mp4");
        assert_eq!(file_name(3, "  "), "ch3.mp4");
        assert_eq!(file_name(64, "入口"), "ch64-入口.mp4");
    }

    #[test]
    fn gaps_are_told_at_both_ends_too() {
        let gap = |start, end| Gap { start: at(start), end: at(end) };
        assert_eq!(gaps([(at(5), at(8)), (at(8), at(9))], at(0), at(12)), [gap(0, 5), gap(9, 12)]);
        assert_eq!(gaps([], at(0), at(12)), [gap(0, 12)]);
    }
}
