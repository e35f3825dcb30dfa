//! Other people's RTSP servers, for `cargo xtask bench rtsp`.
//!
//! Each takes the stream as it would from a camera: it pulls it from our server by RTSP over TCP, and holds it from its start
//! on. Everything but RTSP is off, what it listens on is of the loopback, and everything else is as it comes.
//!
//! Does not belong here: who watches, and what is measured (`bench_rtsp.rs`).
//!
//! Invariant: a server ends with its `Running`, by its own process id.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fs;
use std::io::{self, BufRead, BufReader, PipeReader};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::bench_rtsp_role::Role;
use crate::workspace::Failure;

/// Until our server listens.
const SOURCE_TIMEOUT: Duration = Duration::from_secs(10);
/// From its start until a server plays: it connects at once, and the next keyframe is 2 s away at most.
const PLAY_SECONDS: u64 = 15;
/// Beside `PLAY_SECONDS`, for who asks it.
const SLACK: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(100);
const END_TIMEOUT: Duration = Duration::from_secs(5);
/// Pairs of UDP ports tried.
const PORT_ATTEMPTS: usize = 64;
/// Of what a server says, the end: there it says why it stops.
const LAST_LINES: usize = 3;

/// A server that is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Mediamtx,
    Go2rtc,
}

impl Peer {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Mediamtx => "mediamtx",
            Self::Go2rtc => "go2rtc",
        }
    }

    /// go2rtc answers a SETUP for UDP with 461.
    pub(crate) const fn has_udp(self) -> bool {
        matches!(self, Self::Mediamtx)
    }

    /// What it calls itself; `None` where it is not on PATH.
    pub(crate) fn version(self) -> Option<String> {
        let output = Command::new(self.name()).arg("--version").stdin(Stdio::null()).output();
        if output.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return None;
        }
        let text =
            output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        Some(text.lines().next().unwrap_or("of an unknown version").to_owned())
    }

    /// Its settings, in YAML: `path` is `url`'s stream.
    fn settings(self, ports: Ports, path: &str, url: &str) -> String {
        let Ports { rtsp, rtp, rtcp } = ports;
        match self {
            Self::Mediamtx => format!(
                "rtspTransports: [udp, tcp]\nrtspAddress: 127.0.0.1:{rtsp}\nrtpAddress: 127.0.0.1:{rtp}\n\
                 rtcpAddress: 127.0.0.1:{rtcp}\npaths:\n  {path}:\n    source: {url}\n    rtspTransport: tcp\n"
            ),
            Self::Go2rtc => format!(
                "api: {{ listen: \"\" }}\nwebrtc: {{ listen: \"\" }}\nsrtp: {{ listen: \"\" }}\n\
                 rtsp: {{ listen: \"127.0.0.1:{rtsp}\" }}\nstreams:\n  {path}: {url}\npreload:\n  {path}: video\n"
            ),
        }
    }

    fn command(self, settings: &str) -> Command {
        let mut command = Command::new(self.name());
        match self {
            Self::Mediamtx => {
                command.arg(settings);
                // Versions differ in which of these they have. In the file a word that they do not know is an error.
                for other in ["RTMP", "HLS", "WEBRTC", "SRT", "MOQ"] {
                    command.env(format!("MTX_{other}"), "no");
                }
            }
            Self::Go2rtc => {
                command.args(["-config", settings]);
            }
        }
        command
    }
}

/// What a server listens on.
#[derive(Clone, Copy, Debug)]
struct Ports {
    rtsp: u16,
    rtp: u16,
    rtcp: u16,
}

impl Ports {
    /// Such as are free now.
    fn free() -> Result<Self, Failure> {
        let rtsp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        for _ in 0..PORT_ATTEMPTS {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            let rtp = socket.local_addr()?.port();
            if rtp.is_multiple_of(2) && UdpSocket::bind((Ipv4Addr::LOCALHOST, rtp + 1)).is_ok() {
                return Ok(Self { rtsp, rtp, rtcp: rtp + 1 });
            }
        }
        Err("no pair of UDP ports".into())
    }
}

/// A server that plays, and whom it has the stream from.
pub(crate) struct Running {
    // It ends before its source does.
    program: Program,
    port: u16,
    _source: Role,
    _dir: TempDir,
}

impl Running {
    /// Returns when it plays.
    pub(crate) fn start(peer: Peer) -> Result<Self, Failure> {
        let source = Role::start(&["candor"])?;
        source.said("port", SOURCE_TIMEOUT)?;
        let url = source.said("url", SOURCE_TIMEOUT)?;
        let path = url.splitn(4, '/').nth(3).ok_or("a stream without a path")?;
        let dir = tempfile::tempdir()?;
        let settings = dir.path().join("settings.yml");
        let ports = Ports::free()?;
        fs::write(&settings, peer.settings(ports, path, &url))?;
        let mut command = peer.command(settings.to_str().ok_or("a folder whose name is no text")?);
        command.current_dir(dir.path());
        let mut program = Program::start(command)?;
        program.until_it_plays(ports.rtsp)?;
        Ok(Self { program, port: ports.rtsp, _source: source, _dir: dir })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn pid(&self) -> u32 {
        self.program.child.id()
    }

    /// The end of what it said.
    pub(crate) fn last_words(&self) -> String {
        self.program.last_words()
    }
}

/// A process and the end of what it says.
struct Program {
    child: Child,
    last: Arc<Mutex<VecDeque<String>>>,
    /// Disconnected when it says nothing any more.
    ended: Receiver<Infallible>,
}

impl Program {
    fn start(mut command: Command) -> Result<Self, Failure> {
        let (reader, writer) = io::pipe()?;
        command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
        let child = command.spawn()?;
        // Else this process would hold the other end of the pipe, too.
        drop(command);
        let last = Arc::new(Mutex::new(VecDeque::new()));
        let (sender, ended) = channel();
        let kept = Arc::clone(&last);
        thread::spawn(move || {
            keep_last(reader, &kept);
            drop(sender);
        });
        Ok(Self { child, last, ended })
    }

    fn until_it_plays(&mut self, port: u16) -> Result<(), Failure> {
        let (port, seconds) = (port.to_string(), PLAY_SECONDS.to_string());
        let asking = Role::start(&["ready", "--port", &port, "--seconds", &seconds])?;
        let mut left = Duration::from_secs(PLAY_SECONDS) + SLACK;
        loop {
            match asking.lines.recv_timeout(LOOK_EVERY) {
                Ok(line) if line == "plays" => return Ok(()),
                Ok(reason) => {
                    let words = self.last_words();
                    return Err(format!("it plays nothing within {PLAY_SECONDS} s: {reason}; {words}").into());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err("who asks it broke".into()),
            }
            if let Some(status) = self.child.try_wait()? {
                // What it said last is read to the end.
                let _ = self.ended.recv_timeout(END_TIMEOUT);
                return Err(format!("it ended, {status}; {}", self.last_words()).into());
            }
            left = left.checked_sub(LOOK_EVERY).ok_or("who asks it does not answer")?;
        }
    }

    fn last_words(&self) -> String {
        let lines = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.is_empty() {
            return "it said nothing".to_owned();
        }
        format!("it said last: {}", lines.iter().map(String::as_str).collect::<Vec<_>>().join(" | "))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Its number is its own as long as nobody has waited for it.
        if let Ok(None) = self.child.try_wait() {
            let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM);
            let _ = self.ended.recv_timeout(END_TIMEOUT);
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn keep_last(reader: PipeReader, kept: &Mutex<VecDeque<String>>) {
    for line in BufReader::new(reader).lines().map_while(Result::ok) {
        let mut lines = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LAST_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Program {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Program::start(command).unwrap()
    }

    #[test]
    fn the_end_of_what_a_program_says_is_kept() {
        let program = shell("for n in 1 2 3 4; do echo out $n; done; echo why >&2");
        assert_eq!(program.ended.recv_timeout(SLACK), Err(RecvTimeoutError::Disconnected));
        assert_eq!(program.last_words(), "it said last: out 3 | out 4 | why");
    }

    #[test]
    fn a_program_ends_when_it_is_dropped() {
        let program = shell("exec sleep 600");
        let pid = Pid::from_raw(program.child.id().cast_signed());
        assert_eq!(kill(pid, None), Ok(()));
        drop(program);
        assert_eq!(kill(pid, None), Err(nix::errno::Errno::ESRCH));
    }

    #[test]
    fn settings_name_the_stream_and_stay_on_the_loopback() {
        let ports = Ports { rtsp: 1554, rtp: 1600, rtcp: 1601 };
        for peer in [Peer::Mediamtx, Peer::Go2rtc] {
            let text = peer.settings(ports, "ch1/main", "rtsp://u:k@127.0.0.1:9/ch1/main");
            assert!(text.contains("  ch1/main:"), "{text}");
            assert!(text.contains("rtsp://u:k@127.0.0.1:9/ch1/main"), "{text}");
            assert!(text.contains("127.0.0.1:1554"), "{text}");
        }
    }
}
