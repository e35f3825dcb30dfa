//! V4L2 capture on the kernel's vivid driver: modes, loss, a device that returns.
//!
//! Says SKIPPED on a machine without such a device. `modprobe vivid n_devs=3 num_inputs=1,1,1 input_types=2,3,0`
//! makes an S-Video input, an HDMI input and a webcam; the more of them, the more is tested.

mod common;

use std::fs;
use std::sync::Arc;

use common::{Sink, config, ffprobe, h264_types, stream};
use hal::{Backend, BitsPerSecond, ErrorKind, Signal, StreamKind, SystemClock};
use hal_gst::{CaptureDevice, GstBackend, capture_devices, snapshot};
use linuxvideo::Device;

/// vivid's controls of its signal, of composite and S-Video inputs and of HDMI ones.
const SIGNAL_MODES: [&str; 2] = ["Standard Signal Mode", "DV Timings Signal Mode"];
const CURRENT: i32 = 0;
const NO_SIGNAL: i32 = 1;

/// Where the kernel lets a driver go of its devices, and gives them back to it.
const DRIVER: &str = "/sys/bus/platform/drivers/vivid";
const PLATFORM_DEVICE: &str = "vivid.0";

fn vivid() -> Vec<CaptureDevice> {
    let mut devices = capture_devices().unwrap();
    devices.retain(|device| device.driver == "vivid");
    if devices.is_empty() {
        println!("SKIPPED: no /dev/video* belongs to the kernel's vivid driver; modprobe vivid makes some");
    }
    devices
}

fn backend() -> GstBackend {
    GstBackend::new(Arc::new(SystemClock::new()), 1).unwrap()
}

fn signals(sink: &Sink) -> Vec<Signal> {
    sink.0.0.lock().unwrap().signals.clone()
}

/// Sets the input's signal. False for one without a control of it: a webcam.
fn set_signal(device: &CaptureDevice, mode: i32) -> bool {
    let mut opened = Device::open(format!("/dev/{}", device.input)).unwrap();
    let controls: Vec<_> = opened.controls().collect::<Result<_, _>>().unwrap();
    let Some(control) = controls.iter().find(|control| SIGNAL_MODES.contains(&control.name())) else {
        return false;
    };
    opened.write_control_raw(control.id(), mode).unwrap();
    true
}

/// One test after the other, since they all turn the same devices.
#[test]
fn inputs_of_every_kind_deliver_say_what_they_lose_and_come_back() {
    let devices = vivid();
    for device in &devices {
        delivers(device);
        loses_its_signal(device);
    }
    if let Some(device) = devices.first() {
        comes_back(device);
    }
}

fn delivers(device: &CaptureDevice) {
    println!("{} ({}, {}): {} modes", device.input, device.card, device.driver, device.modes.len());
    for mode in device.modes.iter().filter(|mode| ["I420", "YUY2", "MJPEG"].contains(&mode.format.as_str())) {
        println!("  {mode}");
    }
    assert!(!device.modes.is_empty());
    assert!(backend().inputs().contains(&device.input));
    let sink = Sink::default();
    let streams = vec![stream(StreamKind::Main, 640, 360), stream(StreamKind::Sub, 160, 90)];
    let mut backend = backend();
    let mut channel = backend.open(&config(&device.input, streams), Arc::new(sink.clone())).unwrap();
    let units = sink.wait_for(StreamKind::Main, 30);
    assert!(units[0].discontinuity && units[0].keyframe);
    assert!(units.windows(2).all(|pair| pair[1].pts > pair[0].pts));
    assert!(h264_types(&units[0].data).starts_with(&[7, 8]));
    assert_eq!(ffprobe(&units, ".h264"), format!("h264,640,360,0,{}", units.len()));
    let jpeg = snapshot(hal::VideoCodec::H264, &units[0].data).unwrap();
    assert!(jpeg.len() > 1000);
    assert!(sink.wait_for(StreamKind::Sub, 20)[0].keyframe);
    sink.wait("a picture", |seen| seen.signals == [Signal::Present]);
    channel.set_bit_rate(StreamKind::Main, BitsPerSecond(300_000)).unwrap();
}

fn loses_its_signal(device: &CaptureDevice) {
    let sink = Sink::default();
    let streams = vec![stream(StreamKind::Main, 320, 180)];
    let mut backend = backend();
    let channel = backend.open(&config(&device.input, streams), Arc::new(sink.clone())).unwrap();
    sink.wait("a picture", |seen| seen.signals == [Signal::Present]);
    if !set_signal(device, NO_SIGNAL) {
        println!("  {} has no signal to lose", device.input);
        return;
    }
    sink.wait("a loss", |seen| matches!(seen.signals[..], [Signal::Present, Signal::Lost { .. }]));
    // vivid shows noise without a signal: pictures go on, and are none.
    let count = sink.wait_for(StreamKind::Main, 1).len();
    println!("  {} lost its signal after {count} units", device.input);
    assert!(set_signal(device, CURRENT));
    sink.wait("a signal", |seen| matches!(seen.signals[..], [.., Signal::Lost { .. }, Signal::Present]));
    sink.wait_for(StreamKind::Main, sink.wait_for(StreamKind::Main, 1).len() + 5);
    assert_eq!(signals(&sink).len(), 3, "{:?}", signals(&sink));
    drop(channel);

    // Opened without a signal: that is said too, and no picture is claimed.
    assert!(set_signal(device, NO_SIGNAL));
    let sink = Sink::default();
    let streams = vec![stream(StreamKind::Main, 320, 180)];
    let channel = backend.open(&config(&device.input, streams), Arc::new(sink.clone())).unwrap();
    sink.wait("a loss", |seen| matches!(seen.signals[..], [.., Signal::Lost { .. }]));
    assert!(set_signal(device, CURRENT));
    sink.wait("a signal", |seen| matches!(seen.signals[..], [Signal::Lost { .. }, Signal::Present]));
    drop(channel);
}

/// The driver lets go of its devices while one is captured from, as when a cable is pulled, and takes them back.
fn comes_back(device: &CaptureDevice) {
    let sink = Sink::default();
    let mut backend = backend();
    let streams = vec![stream(StreamKind::Main, 320, 180)];
    let channel = backend.open(&config(&device.input, streams.clone()), Arc::new(sink.clone())).unwrap();
    let before = sink.wait_for(StreamKind::Main, 5).len();
    if let Err(error) = fs::write(format!("{DRIVER}/unbind"), PLATFORM_DEVICE) {
        println!("SKIPPED: the device is not taken away: {error}");
        return;
    }
    sink.wait("a failure", |seen| seen.signals.iter().any(|signal| matches!(signal, Signal::Failed { .. })));
    println!("  {} was taken away: {:?}", device.input, signals(&sink).last());
    let error = backend.open(&config("video99", streams), Arc::new(Sink::default())).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    fs::write(format!("{DRIVER}/bind"), PLATFORM_DEVICE).unwrap();
    let names: Vec<_> = capture_devices().unwrap().into_iter().map(|device| device.input).collect();
    println!("  back are {}", names.join(", "));
    sink.wait("pictures again", |seen| seen.units[before..].iter().any(|unit| unit.discontinuity));
    sink.wait("a signal", |seen| matches!(seen.signals[..], [.., Signal::Failed { .. }, Signal::Present]));
    let units = sink.wait_for(StreamKind::Main, before + 10);
    let again = units.iter().rposition(|unit| unit.discontinuity).unwrap();
    assert!(again >= before && units[again].pts > units[again - 1].pts, "on the same timeline");
    drop(channel);
}
