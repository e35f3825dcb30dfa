//! The players that are made with live555: VLC, and its own openRTSP.
//!
//! Debian has them in unstable alone, as programs for a C library of their own: `xtask/install.sh` puts all of that into a folder,
//! which is their root while they play; only root can do that.
//!
//! Does not belong here: players of this machine (`players`).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use nix::unistd::Uid;
use tempfile::TempDir;

use crate::board_image::target;
use crate::login::Login;
use crate::players::{packets_in, play};

/// How live555 gets a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Interleaved in the connection.
    Tcp,
    /// Datagrams beside it.
    Udp,
    /// Through HTTP, on RTSP's port.
    Http,
}

/// The folder with these players.
#[derive(Clone, Debug)]
pub struct Live555 {
    root: PathBuf,
}

impl Live555 {
    /// `None` where they could not be had, or nobody may run them.
    #[must_use]
    pub fn find() -> Option<Self> {
        let root = target().join("toolchain/players");
        (root.join("usr/bin/openRTSP").exists() && Uid::effective().is_root()).then_some(Self { root })
    }

    /// VLC keeps `seconds` of it in a file; the pictures in there.
    ///
    /// # Panics
    /// When it fails, or complains of what it was sent.
    #[must_use]
    pub fn vlc(&self, url: &str, way: Way, seconds: u32) -> usize {
        let (dir, inside) = self.folder();
        let mut command = self.command("vlc");
        // Neither sound nor a screen: it keeps, and does not decode.
        command.env("HOME", &inside).args(["--intf=dummy", "--no-interact", "--no-dbus", "--play-and-exit"]);
        match way {
            Way::Tcp => command.arg("--rtsp-tcp"),
            Way::Udp => &mut command,
            Way::Http => {
                let port = Login::of(url).port();
                command.args(["--rtsp-http".to_owned(), format!("--rtsp-http-port={port}")])
            }
        };
        command.arg(format!("--run-time={seconds}"));
        command.arg(format!("--sout=#std{{access=file,mux=ts,dst={inside}/kept.ts}}"));
        let done = play(command.args([url, "vlc://quit"]), seconds);
        assert!(done.status.success(), "VLC, {way:?}: {}", done.stderr);
        // It greets with errors about what a machine without a desktop has not, its file takes no G.711, and where others keep the
        // processor busy it says that it waits longer.
        let is_fault = |line: &&str| {
            let of_stream = line.contains(" input error: ") || line.contains(" demux error: ");
            of_stream && !line.contains("is called too late")
        };
        let faults: Vec<_> = done.stderr.lines().filter(is_fault).collect();
        assert!(faults.is_empty(), "VLC, {way:?}: {faults:#?}");
        packets_in(&dir.path().join("kept.ts"))
    }

    /// openRTSP keeps `seconds` of it, for which it also asks the recorder; the pictures that it got.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn open_rtsp(&self, url: &str, way: Way, seconds: u32) -> usize {
        let (dir, inside) = self.folder();
        let login = Login::of(url);
        let mut command = self.command("openRTSP");
        command.args(["-V", "-d", &seconds.to_string(), "-F", &format!("{inside}/kept-")]);
        match way {
            Way::Tcp => command.arg("-t"),
            Way::Udp => &mut command,
            Way::Http => command.args(["-T", &login.port()]),
        };
        let done = play(command.args(["-u", &login.user, &login.key, login.url.as_str()]), seconds);
        assert!(done.status.success(), "openRTSP, {way:?}: {}", done.stderr);
        packets_in(&dir.path().join("kept-video-H264-1"))
    }

    /// One of the programs, as nobody.
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new("chroot");
        command.arg("--userspec=65534:65534").arg(&self.root).arg(format!("/usr/bin/{name}"));
        command
    }

    /// A folder for anybody, and what the programs call it.
    fn folder(&self) -> (TempDir, String) {
        let dir = tempfile::tempdir_in(self.root.join("tmp")).expect("a folder for a player");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).expect("a folder for anybody");
        let name = dir.path().file_name().and_then(|name| name.to_str()).expect("a name");
        let inside = format!("/tmp/{name}");
        (dir, inside)
    }
}
