//! gst-rtsp-server: one pipeline, shared by all who watch, in real time.

use std::thread;
use std::time::Duration;

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer_app::AppSrc;
use gstreamer_rtsp_server as server;
use server::prelude::*;

use crate::ours;
use crate::stream::Stream;
use crate::talk::{Failure, say_port, until_told};

/// It takes 5 unless told.
const BACKLOG: i32 = 512;

/// Until the pipeline plays.
const NAP: Duration = Duration::from_millis(1);

/// Serves until told.
pub(crate) fn run() -> Result<(), Failure> {
    gst::init()?;
    let factory = server::RTSPMediaFactory::new();
    factory.set_launch("( appsrc name=video max-bytes=0 ! rtph264pay name=pay0 pt=96 config-interval=-1 )");
    factory.set_shared(true);
    factory.connect_media_configure(|_, media| {
        let bin = media.element().downcast::<gst::Bin>().ok();
        let source = bin.and_then(|bin| bin.by_name("video")?.downcast::<AppSrc>().ok());
        if let Some(source) = source {
            feed(&source);
        }
    });
    let server = server::RTSPServer::new();
    server.set_address("127.0.0.1");
    server.set_service("0");
    server.set_backlog(BACKLOG);
    let mounts = server.mount_points().ok_or("a server without mount points")?;
    mounts.add_factory(ours::PATH, factory);
    server.attach(None)?;
    say_port(u16::try_from(server.bound_port())?)?;
    let main_loop = glib::MainLoop::new(None, false);
    let running = main_loop.clone();
    thread::spawn(move || {
        until_told();
        running.quit();
    });
    main_loop.run();
    Ok(())
}

fn feed(source: &AppSrc) {
    let caps = gst::Caps::builder("video/x-h264")
        .field("stream-format", "byte-stream")
        .field("alignment", "au")
        .field("width", 1920)
        .field("height", 1080)
        .build();
    source.set_caps(Some(&caps));
    source.set_format(gst::Format::Time);
    source.set_is_live(true);
    // The thread must not keep a pipeline alive that everybody has left.
    let weak = source.downgrade();
    thread::spawn(move || {
        while weak.upgrade().is_some_and(|source| source.current_running_time().is_none()) {
            thread::sleep(NAP);
        }
        let mut stream = Stream::new();
        loop {
            let (stamp, unit) = stream.next();
            let Some(source) = weak.upgrade() else { return };
            let mut buffer = gst::Buffer::from_slice(unit.to_vec());
            if let Some(buffer) = buffer.get_mut() {
                let time = source.current_running_time();
                buffer.set_pts(time);
                buffer.set_dts(time);
                if !stamp.keyframe() {
                    buffer.set_flags(gst::BufferFlags::DELTA_UNIT);
                }
            }
            if source.push_buffer(buffer).is_err() {
                return;
            }
        }
    });
}
