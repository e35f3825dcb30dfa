//! The players that people have, each for a while on one stream.
//!
//! Each returns how many frames it received, having insisted that the player ended well and wrote no error line.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::login::Login;
use crate::programs::{Done, finish, run};
use crate::setup::{HEIGHT, WIDTH};
use crate::wait::{Stopwatch, until_within};

/// What a player may take beyond the time that it plays.
const SLACK: Duration = Duration::from_secs(40);

/// How a player's packets come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Interleaved in the connection.
    Tcp,
    /// Datagrams beside it.
    Udp,
}

impl Transport {
    fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// ffprobe: reads packets.
///
/// # Panics
/// When it complains.
#[must_use]
pub fn ffprobe(url: &str, transport: Transport, seconds: u32) -> usize {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-rtsp_transport", transport.word(), "-select_streams", "v:0"]);
    command.args(["-read_intervals", &format!("%+{seconds}"), "-count_packets"]);
    command.args(["-show_entries", "stream=nb_read_packets", "-of", "csv=p=0"]).arg(url);
    let done = flawless("ffprobe", transport, play(&mut command, seconds));
    done.text().trim().trim_end_matches(',').parse().expect("a count of packets")
}

/// ffmpeg: decodes, one line of text a frame.
///
/// # Panics
/// When it complains.
#[must_use]
pub fn ffmpeg(url: &str, transport: Transport, seconds: u32) -> usize {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-rtsp_transport", transport.word(), "-i", url]);
    command.args([
        "-t",
        &seconds.to_string(),
        "-map",
        "0:v:0",
        "-fps_mode",
        "passthrough",
        "-f",
        "framecrc",
        "-",
    ]);
    let done = flawless("ffmpeg", transport, play(&mut command, seconds));
    done.text().lines().filter(|line| !line.starts_with('#')).count()
}

/// GStreamer: decodes `frames` frames. Over TLS it takes the recorder's certificate, which nobody has signed, for what it is
/// otherwise: its name and its days must be right. Datagrams beside TLS are SRTP, or there are none.
///
/// # Panics
/// When it complains.
#[must_use]
pub fn gstreamer(url: &str, transport: Transport, seconds: u32, frames: usize) -> usize {
    let mut command = Command::new("gst-launch-1.0");
    command.arg("rtspsrc").arg(format!("location={url}"));
    let is_secure = url.starts_with("rtsps:");
    if is_secure {
        command.arg("tls-validation-flags=not-activated+expired+revoked+insecure");
    }
    let in_tls = if is_secure && transport == Transport::Tcp { "+tls" } else { "" };
    command.arg(format!("protocols={}{in_tls}", transport.word()));
    command.args(["!", "rtph264depay", "!", "h264parse", "!", "avdec_h264", "!", "identity"]);
    command.arg(format!("eos-after={frames}")).args(["!", "fakesink"]);
    gst_came_to_its_end(&play(&mut command, seconds));
    frames
}

/// gst-launch-1.0 got everything and complains of nothing, unless it interrupted its own PAUSE after the end: that it does now and
/// then, and the request is never sent.
///
/// # Panics
/// Otherwise.
#[track_caller]
pub fn gst_came_to_its_end(done: &Done) {
    let (text, said) = (done.text(), done.stderr.as_str());
    let mut faults = said.lines().filter(|line| line.contains(".c("));
    let of_its_own = |line: &str| line.contains("gst_rtspsrc_try_send") || line.contains("gst_rtspsrc_pause");
    let is_flawless = done.status.success() && said.is_empty();
    let is_interrupted = faults.clone().count() > 0 && faults.all(of_its_own);
    assert!(
        text.contains("Got EOS from element") && (is_flawless || is_interrupted),
        "gst-launch-1.0: {}: {text}\n{said}",
        done.status
    );
    assert!(!text.contains("WARNING") && !said.contains("WARNING"), "gst-launch-1.0: {text}\n{said}");
}

/// mpv: shows `frames` frames, and plays the sound.
///
/// # Panics
/// When it complains.
#[must_use]
pub fn mpv(url: &str, transport: Transport, seconds: u32, frames: usize) -> usize {
    let mut command = Command::new("mpv");
    command.args(["--no-config", "--vo=null", "--ao=null", "--msg-level=all=error", "--no-input-terminal"]);
    command.arg(format!("--rtsp-transport={}", transport.word())).arg(format!("--frames={frames}")).arg(url);
    let done = flawless("mpv", transport, play(&mut command, seconds));
    let said = done.text();
    assert!(said.is_empty(), "mpv over {}: {said}", transport.word());
    frames
}

/// motion, which records cameras: keeps a movie of `seconds`, and a picture of what it saw. Returns the movie's frames.
///
/// # Panics
/// When it keeps nothing.
#[must_use]
pub fn motion(url: &str, transport: Transport, seconds: u32) -> usize {
    let dir = tempfile::Builder::new().prefix("candor-motion-").tempdir().expect("a folder for motion");
    let dir = dir.path();
    let folder = dir.display();
    let Login { url, user, key } = Login::of(url);
    let config = format!(
        "daemon off\nsetup_mode off\nlog_level 4\nnetcam_url {url}\nnetcam_userpass {user}:{key}\n\
         netcam_params rtsp_transport={}\nwidth {WIDTH}\nheight {HEIGHT}\nemulate_motion on\nmovie_output on\nmovie_passthrough on\n\
         movie_max_time {seconds}\npicture_output first\ntarget_dir {folder}\nmovie_filename kept-%Y%m%d%H%M%S\n\
         picture_filename seen-%Y%m%d%H%M%S\non_movie_end touch {folder}/ended\nwebcontrol_port 0\nstream_port 0\n",
        transport.word()
    );
    fs::write(dir.join("motion.conf"), config).expect("motion's settings");
    let mut command = Command::new("motion");
    command.args(["-n", "-c"]).arg(dir.join("motion.conf")).stdin(Stdio::null());
    let said = File::create(dir.join("said")).expect("a file for what motion says");
    command.stdout(said.try_clone().expect("the same file")).stderr(said);
    let mut child = command.spawn().expect("motion can be run; `make test` installs it");
    let (ended, watch) = (dir.join("ended"), Stopwatch::start());
    let limit = Duration::from_secs(seconds.into()) + SLACK;
    until_within(limit * 2, "motion", || {
        let has_ended = !matches!(child.try_wait(), Ok(None));
        (ended.exists() || has_ended || watch.elapsed() > limit).then_some(())
    });
    let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
    let _ = finish(&mut child, SLACK);
    let said = fs::read_to_string(dir.join("said")).unwrap_or_default();
    assert!(ended.exists(), "motion keeps no movie: {said}");
    let kept: Vec<_> = fs::read_dir(dir)
        .expect("motion's folder")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    let find = |start: &str| kept.iter().filter(|name| name.starts_with(start)).min();
    assert!(find("seen-").is_some(), "motion keeps no picture: {kept:?} {said}");
    packets_in(&dir.join(find("kept-").unwrap_or_else(|| panic!("motion keeps no movie: {kept:?} {said}"))))
}

/// Pictures in a file.
pub(crate) fn packets_in(file: &Path) -> usize {
    let mut count = Command::new("ffprobe");
    count.args(["-v", "error", "-select_streams", "v:0", "-count_packets", "-show_entries"]);
    count.args(["stream=nb_read_packets", "-of", "csv=p=0"]).arg(file);
    let counted = run(SLACK, &mut count);
    counted
        .text()
        .lines()
        .next()
        .unwrap_or_default()
        .trim_end_matches(',')
        .parse()
        .expect("a count of packets")
}

pub(crate) fn play(command: &mut Command, seconds: u32) -> Done {
    run(Duration::from_secs(seconds.into()) + SLACK, command)
}

#[track_caller]
fn flawless(name: &str, transport: Transport, done: Done) -> Done {
    assert!(
        done.status.success() && done.stderr.is_empty(),
        "{name} over {}: {}: {}",
        transport.word(),
        done.status,
        done.stderr
    );
    done
}
