//! A player that is kept open.
//!
//! When its stream breaks it is started again, as a player set to repeat is.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::wait::until;

/// Between two tries.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// Frames that show that a picture moves.
const MOVES: u64 = 15;

/// ffmpeg over TCP, again and again.
pub struct RtspViewer {
    frames: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl RtspViewer {
    /// Plays `url`; what ffmpeg complains of goes into a file in `dir`.
    #[must_use]
    pub fn watch(url: &str, dir: &Path) -> Self {
        let (frames, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (counter, stopped, url, log) =
            (Arc::clone(&frames), Arc::clone(&stop), url.to_owned(), dir.join("viewer.log"));
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                play(&url, &log, &counter, &stopped);
                thread::sleep(RETRY_AFTER);
            }
        });
        Self { frames, stop, thread: Some(thread) }
    }

    /// Waits until the picture moves.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn wait_for_more(&self) {
        let before = self.frames.load(Ordering::Relaxed);
        until("the player's picture to move", || {
            (self.frames.load(Ordering::Relaxed) >= before + MOVES).then_some(())
        });
    }
}

impl Drop for RtspViewer {
    /// Ends the player.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn play(url: &str, log: &Path, frames: &AtomicU64, stop: &AtomicBool) {
    let mut command = Command::new("ffmpeg");
    // A stream that stands still for 5 s has broken.
    command.args(["-v", "error", "-nostdin", "-rtsp_transport", "tcp", "-timeout", "5000000", "-i", url]);
    command.args(["-map", "0:v:0", "-c", "copy", "-f", "framecrc", "-flush_packets", "1", "-"]);
    let log = File::options().create(true).append(true).open(log).map_or_else(|_| Stdio::null(), Stdio::from);
    let Ok(mut child) = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn() else {
        return;
    };
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            if !line.starts_with('#') {
                frames.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    let _ = child.kill();
    let _ = child.wait();
}
