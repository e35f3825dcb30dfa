//! The writes and syncs that a process asks the kernel for, by what they go to.
//!
//! Counted by strace(1), which finds what each descriptor is, SQLite's own among them. It stops a process at each of them, so
//! this and CPU time are measured one after the other.
//!
//! Does not belong here: what `/proc` tells without stopping anything (`processes.rs`).
//!
//! Invariant: a call is counted once, however many threads there are.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::spawn;

use hal::{Clock, MonoTime, SystemClock};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::workspace::Failure;

/// Those that write or sync; `?`: not every architecture has every one.
const CALLS: &str = "trace=?fsync,?fdatasync,?sync_file_range,?msync,?sync,?syncfs,?write,?writev,?pwrite64,?pwritev,?pwritev2";

/// Where a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Goal {
    Segments,
    Folders,
    /// SQLite's.
    Index,
    /// Its files and folders.
    Ledger,
    OtherFiles,
    /// Sockets, pipes, events.
    NoFiles,
}

impl Goal {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Segments => "segments",
            Self::Folders => "folders",
            Self::Index => "index (SQLite)",
            Self::Ledger => "ledger",
            Self::OtherFiles => "other files",
            Self::NoFiles => "no files",
        }
    }

    /// Of a descriptor, as strace names it.
    fn of(name: &str, is_folder: impl Fn(&Path) -> bool) -> Self {
        let path = Path::new(name);
        let below = |folder: &str| path.components().any(|part| part.as_os_str() == folder);
        if !path.is_absolute() {
            Self::NoFiles
        } else if below("ledger") {
            Self::Ledger
        } else if is_folder(path) {
            Self::Folders
        } else if path.extension().is_some_and(|extension| extension == "seg") {
            Self::Segments
        } else if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"index.db")) {
            Self::Index
        } else {
            Self::OtherFiles
        }
    }
}

/// How often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) fdatasyncs: u64,
    /// `fsync`, and whatever else makes something durable.
    pub(crate) fsyncs: u64,
    /// `write` and its kin.
    pub(crate) writes: u64,
}

/// A process that is watched.
pub(crate) struct Watch {
    strace: Child,
    file: PathBuf,
    clock: SystemClock,
    begun: MonoTime,
}

/// What was counted in so many seconds.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) seconds: f64,
    pub(crate) by_goal: BTreeMap<Goal, Count>,
}

impl Watch {
    /// Begins to count what `pid` does; `file` takes the record of it. `Err(why)` inside where that cannot be done here.
    pub(crate) fn begin(pid: u32, file: PathBuf) -> Result<Result<Self, String>, Failure> {
        let strace = Command::new("strace")
            .args(["-f", "-y", "-s", "0", "-e", CALLS, "-p", &pid.to_string(), "-o"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut strace = match strace {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(Err("strace is not on PATH".to_owned()));
            }
            other => other?,
        };
        let mut lines = BufReader::new(strace.stderr.take().ok_or("strace says nothing")?).lines();
        let mut said = String::new();
        for line in lines.by_ref() {
            said = line?;
            if said.contains(" attached") {
                spawn(move || lines.for_each(drop));
                let clock = SystemClock::new();
                let begun = clock.mono();
                return Ok(Ok(Self { strace, file, clock, begun }));
            }
        }
        strace.wait()?;
        Ok(Err(said))
    }

    /// Lets go of the process.
    pub(crate) fn end(mut self) -> Result<Counted, Failure> {
        let seconds = self.clock.mono().since(self.begun).as_secs_f64();
        kill(Pid::from_raw(self.strace.id().cast_signed()), Signal::SIGINT)?;
        self.strace.wait()?;
        let by_goal = count(&fs::read_to_string(&self.file)?, Path::is_dir);
        fs::remove_file(&self.file)?;
        Ok(Counted { seconds, by_goal })
    }
}

/// Lines such as `4711  fdatasync(9</data/segments/0000000000000001.seg>) = 0`. One that is resumed was counted when it began.
fn count(record: &str, is_folder: impl Fn(&Path) -> bool) -> BTreeMap<Goal, Count> {
    let mut by_goal: BTreeMap<Goal, Count> = BTreeMap::new();
    for line in record.lines() {
        let Some((_, call)) = line.split_once(' ') else { continue };
        let Some((name, arguments)) = call.trim_start().split_once('(') else { continue };
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            continue;
        }
        let descriptor = arguments.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
        let goal = descriptor.map_or(Goal::NoFiles, |(file, _)| Goal::of(file, &is_folder));
        let count = by_goal.entry(goal).or_default();
        match name {
            "fdatasync" => count.fdatasyncs += 1,
            name if name.contains("sync") => count.fsyncs += 1,
            _ => count.writes += 1,
        }
    }
    by_goal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_counts_once_for_what_it_goes_to() {
        let record = "\
10    pwritev(9</data/volume/segments/0000000000000001.seg>, [{iov_base=\"\"..., iov_len=8}], 1, 4096) = 8
10    fdatasync(9</data/volume/segments/0000000000000001.seg> <unfinished ...>
11    write(4<socket:[17]>, \"\"..., 9)  = 9
10    <... fdatasync resumed>)          = 0
10    fsync(8</data/volume/segments>)   = 0
11    pwrite64(5</data/volume/index.db-wal>, \"\"..., 24, 0) = 24
11    fdatasync(5</data/volume/index.db-wal>) = 0
12    fdatasync(6</data/ledger/tiles/00>) = 0
12    fsync(7</data/state.toml.new>)    = 0
12    --- SIGCHLD {si_signo=SIGCHLD} ---
12    write(3<pipe:[19]>, \"\"..., 1)   = 1
12    +++ exited with 0 +++
";
        let counted = count(record, |path| path.ends_with("segments"));
        let of = |goal| {
            let Count { fdatasyncs, fsyncs, writes } = counted.get(&goal).copied().unwrap_or_default();
            (fdatasyncs, fsyncs, writes)
        };
        assert_eq!(of(Goal::Segments), (1, 0, 1));
        assert_eq!(of(Goal::Folders), (0, 1, 0));
        assert_eq!(of(Goal::Index), (1, 0, 1));
        assert_eq!(of(Goal::Ledger), (1, 0, 0));
        assert_eq!(of(Goal::OtherFiles), (0, 1, 0));
        assert_eq!(of(Goal::NoFiles), (0, 0, 2));
    }
}
