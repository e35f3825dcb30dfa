//! The footage on a disk's image, and what must be true of it in any case.
//!
//! Taken off without mounting anything: the file system's journal is replayed and nothing else is repaired, the volume
//! is put right as the recorder does when it starts, and must be whole then, its index as one made anew.
//! Does not belong here: which image (`flush_sweep.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use jiff::Timestamp;

use crate::emulator_storage::DiskImage;
use crate::programs::{program, run};

/// What `candor store` may take over a few small segments.
const STORE_LIMIT: Duration = Duration::from_secs(120);
/// The recorder and `candor store` tell times in milliseconds, one of them rounded.
const ROUNDING: Duration = Duration::from_millis(2);
/// In front of what `candor store check` finds undone.
const UNDONE: &str = "put right by itself";

/// What `candor store list --chunks` says of one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Chunk {
    segment: u64,
    start: Timestamp,
    end: Timestamp,
    /// Of its header, which vouches for the rest.
    hash: String,
}

/// All of a volume.
#[derive(Clone, Debug, Default)]
pub struct Footage {
    /// By stream, such as `ch1/main`, and number in the stream.
    chunks: BTreeMap<(String, u64), Chunk>,
    /// What of the file system its journal did not put right.
    pub complaints: Vec<String>,
}

impl Footage {
    /// Takes it off a disk; `dir` is for what lies between. The image is not to be used afterwards.
    ///
    /// # Errors
    /// When file system, footage or index are not whole.
    pub fn taken_off(image: &DiskImage, dir: &Path) -> Result<Self, String> {
        image.replay_journal()?;
        let folder = dir.join("taken");
        let _ = fs::remove_dir_all(&folder);
        image.take_folder("/volume", &folder);
        let complaints = image.complaints();
        let volume = folder.join("volume");
        let mut chunks = BTreeMap::new();
        if volume.join("volume.toml").exists() {
            store(&["recover"], &volume)?;
            let checked = store(&["check"], &volume)?;
            if let Some(undone) = checked.lines().find(|line| line.starts_with(UNDONE)) {
                return Err(format!("after candor store recover: {undone}"));
            }
            for line in store(&["list", "--chunks"], &volume)?.lines() {
                let (key, chunk) = parsed(line).ok_or_else(|| format!("candor store list: {line}"))?;
                if chunks.insert(key, chunk).is_some() {
                    return Err(format!("twice: {line}"));
                }
            }
        }
        Ok(Self { chunks, complaints })
    }

    /// That all of `earlier` is here as it was, but for what made room for newer footage in a volume of so many segments.
    ///
    /// # Errors
    /// With the first that is not.
    pub fn keeps(&self, earlier: &Self, segments: usize) -> Result<(), String> {
        let mine: BTreeSet<u64> = self.chunks.values().map(|chunk| chunk.segment).collect();
        // One at a time is forgotten and begun anew.
        let oldest = mine.first().copied().filter(|_| mine.len() + 1 >= segments).unwrap_or(0);
        for (key, chunk) in &earlier.chunks {
            match self.chunks.get(key) {
                Some(same) if same == chunk => {}
                Some(other) => return Err(format!("{key:?} was {chunk:?}, and is {other:?}")),
                None if chunk.segment < oldest => {}
                None => return Err(format!("{key:?}, {chunk:?} was durable and is lost")),
            }
        }
        Ok(())
    }

    /// That nothing is here that is in none of the others.
    ///
    /// # Errors
    /// With the first that is.
    pub fn is_of(&self, others: &[&Self]) -> Result<(), String> {
        let known = |key, chunk| others.iter().any(|other| other.chunks.get(key) == Some(chunk));
        match self.chunks.iter().find(|(key, chunk)| !known(*key, *chunk)) {
            Some((key, chunk)) => Err(format!("{key:?}, {chunk:?} was never written like this")),
            None => Ok(()),
        }
    }

    /// That each channel reaches as far as its owner was told.
    ///
    /// # Errors
    /// With the first that does not.
    pub fn reaches(&self, acknowledged: &BTreeMap<u16, Timestamp>) -> Result<(), String> {
        for (channel, told) in acknowledged {
            let of_channel = format!("ch{channel}/");
            let mine = self.chunks.iter().filter(|((stream, _), _)| stream.starts_with(&of_channel));
            let end = mine.map(|(_, chunk)| chunk.end).max();
            if end.is_none_or(|end| end + ROUNDING < *told) {
                return Err(format!(
                    "channel {channel}: told that it reaches to {told}, but it ends at {end:?}"
                ));
            }
        }
        Ok(())
    }

    /// How much footage of any stream is in `more` and not here.
    #[must_use]
    pub fn lacks_of(&self, more: &Self) -> Duration {
        let mut lacking: BTreeMap<&str, Duration> = BTreeMap::new();
        for (key, chunk) in more.chunks.iter().filter(|(key, _)| !self.chunks.contains_key(*key)) {
            let length = Duration::try_from(chunk.end.duration_since(chunk.start)).unwrap_or_default();
            *lacking.entry(&key.0).or_default() += length;
        }
        lacking.into_values().max().unwrap_or_default()
    }

    /// How many chunks there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chunks.len()
    }

    /// Whether there is no footage.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }
}

/// `ch1/main 17 segment 3  2026-… to 2026-…  1234 bytes  0123…`
fn parsed(line: &str) -> Option<((String, u64), Chunk)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [stream, number, "segment", segment, start, "to", end, _, "bytes", hash] = words[..] else {
        return None;
    };
    let chunk = Chunk {
        segment: segment.parse().ok()?,
        start: start.parse().ok()?,
        end: end.parse().ok()?,
        hash: hash.to_owned(),
    };
    Some(((stream.to_owned(), number.parse().ok()?), chunk))
}

/// What `candor store` says; an error when it finds damage.
fn store(words: &[&str], volume: &Path) -> Result<String, String> {
    let done = run(STORE_LIMIT, Command::new(program("candor")).arg("store").args(words).arg(volume));
    if done.status.success() {
        return Ok(done.text());
    }
    let text = done.text();
    // The first of many like it say enough, and the last one how many there are.
    let lines: Vec<&str> = text.lines().collect();
    let shown = lines.iter().take(3).chain(lines.iter().skip(3).next_back());
    let shown: Vec<&str> = shown.copied().collect();
    Err(format!("candor store {}: {}; {}", words.join(" "), shown.join("; "), done.stderr.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One stream: number, segment, and a letter for the hash.
    fn footage(chunks: &[(u64, u64, char)]) -> Footage {
        let lines = chunks.iter().map(|(number, segment, hash)| {
            let second = format!("2026-11-20T10:00:{number:02}");
            format!("ch1/main   {number} segment {segment}  {second}.000Z to {second}.500Z  9 bytes  {hash}")
        });
        let chunks = lines.map(|line| parsed(&line).unwrap()).collect();
        Footage { chunks, complaints: Vec::new() }
    }

    #[test]
    fn what_is_missing_is_told_from_what_made_room() {
        let durable = footage(&[(1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c')]);
        durable.keeps(&durable, 3).unwrap();
        footage(&[(2, 2, 'b'), (3, 3, 'c')]).keeps(&durable, 3).unwrap();
        footage(&[(2, 2, 'b'), (3, 3, 'c'), (4, 4, 'd')]).keeps(&durable, 3).unwrap();
        for (what, left) in [
            ("the newest", footage(&[(1, 1, 'a'), (2, 2, 'b')])),
            ("one between", footage(&[(1, 1, 'a'), (3, 3, 'c')])),
            ("more than one segment", footage(&[(3, 3, 'c')])),
            ("a chunk's bytes", footage(&[(1, 1, 'a'), (2, 2, 'x'), (3, 3, 'c')])),
            ("everything", footage(&[])),
        ] {
            assert!(left.keeps(&durable, 3).is_err(), "{what} was lost unnoticed");
        }
        // A volume that has room has no reason to give anything up.
        assert!(footage(&[(2, 2, 'b'), (3, 3, 'c')]).keeps(&durable, 4).is_err());
    }

    #[test]
    fn what_nobody_wrote_is_noticed() {
        let (durable, accepted) = (footage(&[(1, 1, 'a')]), footage(&[(2, 1, 'b')]));
        footage(&[(1, 1, 'a'), (2, 1, 'b')]).is_of(&[&durable, &accepted]).unwrap();
        assert!(footage(&[(1, 1, 'a'), (2, 1, 'x')]).is_of(&[&durable, &accepted]).is_err());
        assert!(footage(&[(3, 1, 'a')]).is_of(&[&durable, &accepted]).is_err());
    }

    #[test]
    fn lengths_and_ends_are_compared() {
        let (short, long) = (footage(&[(1, 1, 'a')]), footage(&[(1, 1, 'a'), (2, 1, 'b'), (3, 1, 'c')]));
        assert_eq!(short.lacks_of(&long), Duration::from_secs(1));
        assert_eq!(long.lacks_of(&short), Duration::ZERO);
        assert_eq!(footage(&[]).lacks_of(&long), Duration::from_millis(1500));
        let told = |text: &str| BTreeMap::from([(1, text.parse().unwrap())]);
        long.reaches(&told("2026-11-20T10:00:03.501Z")).unwrap();
        assert!(short.reaches(&told("2026-11-20T10:00:03.501Z")).is_err());
        assert!(footage(&[]).reaches(&told("2026-11-20T10:00:03.501Z")).is_err());
        footage(&[]).reaches(&BTreeMap::new()).unwrap();
    }
}
