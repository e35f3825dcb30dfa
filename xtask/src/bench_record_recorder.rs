//! The recorder as processes: set up, started, heard, killed (`bench record`).
//!
//! Does not belong here: what is measured (`bench_record.rs`), other people's recorders (`bench_record_peer.rs`).
//!
//! Invariant: nothing that was started here outlives what started it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::{sleep, spawn};
use std::time::Duration;

use hal::{Clock, SystemClock, WallTime};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::processes::{children, is_running};
use crate::stream_key;
use crate::workspace::{Failure, target};

/// Until it listens, or is gone: far more than it takes.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// What is asked for on its console.
const LISTENS: &str = "RTSP: ";
const SET_UP_CODE: &str = "Set-up code: ";

/// A recorder, and one viewer's key.
pub(crate) struct Running {
    pub(crate) process: Ended,
    pub(crate) data: PathBuf,
    pub(crate) key: String,
    /// Web, RTSP, RTSPS.
    pub(crate) ports: [u16; 3],
    log: PathBuf,
    console: Console,
}

impl Running {
    /// Returns when RTSP is served.
    pub(crate) fn start(dir: &Path, ports: [u16; 3], settings: &str, user: &str) -> Result<Self, Failure> {
        let data = dir.join("data");
        fs::create_dir_all(&data)?;
        fs::write(data.join("settings.toml"), settings)?;
        let key = stream_key::make(&data.join("accounts.toml"), user)?;
        let log = dir.join("candor.log");
        let (process, console) = launch(&data, &log)?;
        let mut running = Self { process, data, key, ports, log, console };
        running.listens()?;
        Ok(running)
    }

    /// Starts it on what a former life left; waits for nothing.
    pub(crate) fn start_again(&mut self) -> Result<(), Failure> {
        self.log.set_extension("again.log");
        (self.process, self.console) = launch(&self.data, &self.log)?;
        Ok(())
    }

    /// Waits until RTSP is served.
    pub(crate) fn listens(&mut self) -> Result<(), Failure> {
        if self.console.wait(LISTENS).is_none() {
            let log = self.log()?;
            return Err(format!("the recorder did not start\n{log}").into());
        }
        Ok(())
    }

    /// The code with which somebody becomes its owner.
    pub(crate) fn set_up_code(&mut self) -> Result<String, Failure> {
        let line = self.console.wait(SET_UP_CODE).ok_or("the recorder shows no set-up code")?;
        Ok(line.split_whitespace().next().unwrap_or_default().to_owned())
    }

    /// The log of this life.
    pub(crate) fn log(&self) -> Result<String, Failure> {
        Ok(fs::read_to_string(&self.log)?)
    }

    /// Its roles that run, with their names.
    pub(crate) fn roles(&self) -> Result<Vec<(u32, String)>, Failure> {
        let role = |words: &[String]| words.iter().skip_while(|word| *word != "role").nth(1).cloned();
        let children = children(self.process.0.id())?.into_iter();
        Ok(children.filter_map(|(pid, words)| Some((pid, role(&words)?))).collect())
    }

    /// SIGKILL to the warden, which would start them again, and to every role; the moment before.
    pub(crate) fn kill_all(&mut self) -> Result<WallTime, Failure> {
        let roles = children(self.process.0.id())?;
        let clock = SystemClock::new();
        let (moment, begun) = (clock.wall(), clock.mono());
        self.process.0.kill()?;
        for (pid, _) in &roles {
            kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL)?;
        }
        self.process.0.wait()?;
        while roles.iter().any(|(pid, _)| is_running(*pid)) {
            if clock.mono().since(begun) > PATIENCE {
                return Err("a killed role does not end".into());
            }
            sleep(LOOK_EVERY);
        }
        Ok(moment)
    }
}

/// Ends when it is dropped, whatever happened before.
pub(crate) struct Ended(pub(crate) Child);

impl Ended {
    pub(crate) fn end(&mut self) -> Result<(), Failure> {
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

fn launch(data: &Path, log: &Path) -> Result<(Ended, Console), Failure> {
    let mut recorder = Command::new(target().join("release/candor"))
        .arg("run")
        .arg("--data")
        .arg(data)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(log)?)
        .spawn()?;
    let lines = recorder.stdout.take().ok_or("the recorder has no console")?;
    let (into, console) = mpsc::channel();
    // It never waits for a reader; what it says is a line now and then.
    spawn(move || {
        for line in BufReader::new(lines).lines().map_while(Result::ok) {
            let _ = into.send(line);
        }
    });
    Ok((Ended(recorder), Console { lines: console, seen: Vec::new() }))
}

/// What a recorder says.
struct Console {
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Console {
    /// The rest of the newest line that begins so; `None` when none comes in time, or when the recorder ends.
    fn wait(&mut self, start: &str) -> Option<String> {
        self.seen.extend(self.lines.try_iter());
        loop {
            if let Some(rest) = self.seen.iter().rev().find_map(|line| line.strip_prefix(start)) {
                return Some(rest.to_owned());
            }
            self.seen.push(self.lines.recv_timeout(PATIENCE).ok()?);
        }
    }
}
