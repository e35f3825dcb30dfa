//! `test-camera`: a network camera on the command line.
//!
//! Prints its address and serves until it is killed, or until its standard input ends when asked to.

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use test_camera::{Audio, Auth, CameraOptions, Login, Source, TestCamera, Video};

/// A network camera for tests and for the demo, on the loopback interface.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// Port on 127.0.0.1; 0 for any free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// MP4 file to loop; without it, a generated scene.
    #[arg(long)]
    clip: Option<PathBuf>,
    /// Codec of the generated scene.
    #[arg(long, value_enum, default_value = "h264", conflicts_with = "clip")]
    codec: VideoArg,
    /// Sound of the generated scene.
    #[arg(long, value_enum, conflicts_with = "clip")]
    audio: Option<AudioArg>,
    /// Ask for this user …
    #[arg(long, requires = "password")]
    user: Option<String>,
    /// … and this password.
    #[arg(long, requires = "user")]
    password: Option<String>,
    /// Ask with Basic instead of Digest.
    #[arg(long, requires = "user")]
    basic: bool,
    /// End when standard input ends, so that the camera does not outlive the program that started it.
    #[arg(long)]
    until_eof: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum VideoArg {
    H264,
    H265,
    Mjpeg,
}

#[derive(Clone, Copy, ValueEnum)]
enum AudioArg {
    G711a,
    G711u,
    Aac,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let source = match options.clip {
        Some(path) => Source::Clip(path),
        None => Source::Scene {
            video: match options.codec {
                VideoArg::H264 => Video::H264,
                VideoArg::H265 => Video::H265,
                VideoArg::Mjpeg => Video::Mjpeg,
            },
            audio: options.audio.map(|audio| match audio {
                AudioArg::G711a => Audio::G711A,
                AudioArg::G711u => Audio::G711U,
                AudioArg::Aac => Audio::Aac,
            }),
        },
    };
    let auth = if options.basic { Auth::Basic } else { Auth::Digest };
    let login = options.user.zip(options.password).map(|(user, password)| Login { user, password, auth });
    let camera = match TestCamera::start(&CameraOptions { port: options.port, source, login }) {
        Ok(camera) => camera,
        Err(error) => {
            eprintln!("test-camera: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("{}", camera.url());
    if options.until_eof {
        // What is written there is of no interest; an error ends it like the end does.
        drop(std::io::stdin().read_to_end(&mut Vec::new()));
        drop(camera);
        return ExitCode::SUCCESS;
    }
    loop {
        std::thread::park();
    }
}
