//! `cargo xtask demo`: the recorder with four channels and a camera, until Ctrl-C.
//!
//! Everything it keeps is under `target/demo/`; everything listens on this machine alone. A stream key is made
//! for the demo as an owner would make one, by writing the accounts file while the recorder is off.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::{self, JoinHandle};

use nix::sys::signal::{self, SigSet, Signal};
use nix::unistd::Pid;
use serde::Serialize;

use crate::demo_settings::{self, Ports};
use crate::steps;
use crate::stream_key;
use crate::workspace::{Failure, root, target};

/// The user name that goes with the demo's stream key.
const STREAM_USER: &str = "demo";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The first of four ports to listen on; 0 for the usual ones
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    port_base: u16,
}

/// `demo.json`: how to reach the demo, for programs.
#[derive(Clone, Debug, Serialize)]
struct Demo {
    web: String,
    rtsp: String,
    rtsps: String,
    /// `null` once the recorder has an owner.
    setup_code: Option<String>,
    stream_user: String,
    stream_key: String,
    data: PathBuf,
}

/// Returns after a clean stop.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let ports = Ports::from_base(args.port_base)?;
    check_free(ports)?;
    let profile = ["build", "--release", "--locked", "-p", "candor", "-p", "test-camera"];
    steps::run("cargo", &profile, &[])?;
    let dir = target().join("demo");
    let data = dir.join("data");
    fs::create_dir_all(&data)?;
    demo_settings::write(&data.join("settings.toml"), ports)?;
    let demo = Demo {
        web: format!("https://127.0.0.1:{}", ports.web),
        rtsp: format!("rtsp://127.0.0.1:{}", ports.rtsp),
        rtsps: format!("rtsps://127.0.0.1:{}", ports.rtsps),
        setup_code: None,
        stream_user: STREAM_USER.to_owned(),
        stream_key: stream_key::make(&data.join("accounts.toml"), STREAM_USER)?,
        data: data.clone(),
    };
    let json = dir.join("demo.json");
    let clip = clip(&dir)?;
    // From here on these are taken by `wait`, so that none of them ends this program before its children.
    let signals =
        [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGCHLD].into_iter().collect::<SigSet>();
    signals.thread_block()?;
    let log = dir.join("candor.log");
    let mut camera = spawn(
        Command::new(program("test-camera"))
            .args(["--port", &ports.camera.to_string(), "--clip"])
            .arg(&clip)
            .stdout(File::create(dir.join("camera.log"))?)
            .stderr(File::create(dir.join("camera-errors.log"))?),
    )?;
    let mut recorder = spawn(
        Command::new(program("candor"))
            .arg("run")
            .arg("--data")
            .arg(&data)
            .stdout(Stdio::piped())
            .stderr(OpenOptions::new().create(true).write(true).truncate(true).open(&log)?),
    )?;
    println!("==> the recorder starts; its log is {}", log.display());
    let console = recorder.stdout.take().map(|console| follow(console, demo, json.clone()));
    let asked_to_stop = wait(&signals, &mut recorder, &mut camera)?;
    let outcome = if asked_to_stop {
        println!("\n==> stopping");
        stop(&recorder)?;
        recorder.wait()?
    } else {
        recorder.wait()?
    };
    // A test tool with nothing to lose.
    let _ = camera.kill();
    camera.wait()?;
    if let Some(console) = console {
        let _ = console.join();
    }
    let _ = fs::remove_file(&json);
    if asked_to_stop && outcome.success() {
        println!("==> stopped; all footage is sealed in {}", data.display());
        return Ok(());
    }
    Err(format!("the recorder ended: {outcome}\n{}", tail(&log)).into())
}

fn check_free(ports: Ports) -> Result<(), Failure> {
    for (port, purpose) in ports.all() {
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| {
            format!(
                "port {port}, for {purpose}, cannot be used: {error}. Try others: make demo PORT_BASE=9000"
            )
        })?;
    }
    Ok(())
}

fn program(name: &str) -> PathBuf {
    target().join("release").join(name)
}

/// A real camera's clip where there is one, else a drawn one.
fn clip(dir: &Path) -> Result<PathBuf, Failure> {
    let footage = root().join("../shared/footage/car-detection.mp4");
    if footage.exists() {
        return Ok(footage);
    }
    let drawn = dir.join("clip.mp4");
    if !drawn.exists() {
        let scene = "testsrc2=size=768x432:rate=12.5:duration=30";
        let sound = "sine=frequency=440:beep_factor=4:duration=30";
        let name = drawn.display().to_string();
        let args = ["-v", "error", "-y", "-f", "lavfi", "-i", scene, "-f", "lavfi", "-i", sound];
        let coding =
            ["-c:v", "libx264", "-bf", "0", "-g", "25", "-c:a", "aac", "-movflags", "+faststart", &name];
        steps::run("ffmpeg", &[args.as_slice(), coding.as_slice()].concat(), &[])?;
    }
    Ok(drawn)
}

/// In its own process group: Ctrl-C is this program's to pass on.
fn spawn(command: &mut Command) -> Result<Child, Failure> {
    let name = command.get_program().display().to_string();
    command.stdin(Stdio::null()).process_group(0).spawn().map_err(|error| format!("{name}: {error}").into())
}

/// Shows what the recorder says on its console, and writes `demo.json` from it.
fn follow(console: ChildStdout, mut demo: Demo, json: PathBuf) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut listening = false;
        for line in BufReader::new(console).lines().map_while(Result::ok) {
            println!("    {line}");
            let first = line.starts_with("Web: ") && !listening;
            if let Some(code) = line.strip_prefix("Set-up code: ") {
                demo.setup_code = code.split_whitespace().next().map(str::to_owned);
            } else if line.starts_with("Claimed") {
                demo.setup_code = None;
            } else if !first {
                continue;
            }
            listening |= first;
            if !listening {
                continue;
            }
            let text = serde_json::to_string_pretty(&demo).map_err(std::io::Error::other);
            match text.and_then(|text| replace(&json, &text)) {
                Ok(()) if first => announce(&demo, &json),
                Ok(()) => {}
                Err(error) => eprintln!("{}: {error}", json.display()),
            }
        }
    })
}

fn announce(demo: &Demo, json: &Path) {
    let address = demo.rtsp.trim_start_matches("rtsp://");
    println!("==> open {} (the browser warns of the recorder's own certificate)", demo.web);
    println!("==> play rtsp://{}:{}@{address}/ch1/main", demo.stream_user, demo.stream_key);
    println!("==> the same for programs: {}", json.display());
    println!("==> Ctrl-C stops it");
}

fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let beside = path.with_extension("json.new");
    let mut file = File::create(&beside)?;
    file.write_all(text.as_bytes())?;
    fs::rename(beside, path)
}

/// True when somebody asked to stop, false when the recorder ended by itself.
fn wait(signals: &SigSet, recorder: &mut Child, camera: &mut Child) -> Result<bool, Failure> {
    loop {
        if signals.wait()? != Signal::SIGCHLD {
            return Ok(true);
        }
        if recorder.try_wait()?.is_some() {
            return Ok(false);
        }
        if let Some(status) = camera.try_wait()? {
            eprintln!("the demo's camera ended ({status}); its channel shows what a lost camera looks like");
        }
    }
}

fn stop(child: &Child) -> Result<(), Failure> {
    Ok(signal::kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM)?)
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}
