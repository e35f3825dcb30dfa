//! The camera as its users meet it: starting, faults at the start, its options.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use test_camera::{Audio, CameraOptions, ErrorKind, Source, TestCamera, Video};

fn scene(port: u16) -> CameraOptions {
    let source = Source::Scene { video: Video::H264, audio: Some(Audio::Aac) };
    CameraOptions { port, source, login: None }
}

/// What ffprobe finds behind an address.
fn ffprobe(url: &str, transport: &str) -> String {
    let output = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-rtsp_transport",
            transport,
            "-show_entries",
            "stream=codec_name",
            "-of",
            "csv=p=0",
        ])
        .arg(url)
        .output()
        .expect("ffprobe runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_scene_is_served_over_both_transports() {
    let camera = TestCamera::start(&scene(0)).unwrap();
    assert_eq!(ffprobe(&camera.url(), "tcp"), "h264 aac");
    assert_eq!(ffprobe(&camera.url(), "udp"), "h264 aac");
}

#[test]
fn a_dropped_camera_frees_its_port() {
    let camera = TestCamera::start(&scene(0)).unwrap();
    let port = camera.port();
    let error = TestCamera::start(&scene(port)).err().expect("the port is taken");
    assert_eq!(error.kind(), ErrorKind::Port);
    assert!(error.to_string().contains(&port.to_string()), "{error}");
    drop(camera);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    drop(TestCamera::start(&scene(port)).unwrap());
}

#[test]
fn what_is_no_clip_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("text.mp4");
    std::fs::write(&text, "no clip").unwrap();
    for path in [dir.path().join("missing.mp4"), text, dir.path().to_owned()] {
        let options = CameraOptions { port: 0, source: Source::Clip(path.clone()), login: None };
        let error = TestCamera::start(&options).err().expect("refused");
        assert_eq!(error.kind(), ErrorKind::Clip);
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }
}

#[test]
fn the_program_prints_its_address_and_ends_with_its_input() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_test-camera"))
        .args(["--port", "0", "--codec", "h265", "--until-eof"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut url = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
    assert_eq!(ffprobe(url.trim(), "tcp"), "hevc");
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_program_names_a_taken_port() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_test-camera")).args(["--port", &port]).output().unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains(&format!("port {port}")) && !text.contains("panicked"), "{text}");
}
