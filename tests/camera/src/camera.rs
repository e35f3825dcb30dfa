//! The camera: an RTSP server with one path, its thread, and its faults.
//!
//! Does not belong here: reading clips (`clip.rs`) and pacing them (`feeder.rs`).

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer_app::AppSrc;
use gstreamer_rtsp_server as server;
use server::gst_rtsp::RTSPAuthMethod;
use server::prelude::*;

use crate::clip::Clip;
use crate::error::{CameraError, ErrorKind};
use crate::feeder::{self, Part};

/// The one path that the camera serves.
const PATH: &str = "/stream";

/// The role that a login gives; the media asks for it.
const ROLE: &str = "viewer";

/// Starting takes milliseconds; a server that has not answered by now never will.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Codecs of a generated scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Video {
    /// H.264 by x264.
    H264,
    /// H.265 by x265.
    H265,
    /// Motion JPEG: what many cameras offer and a recorder does not take.
    Mjpeg,
}

/// Codecs of a generated sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audio {
    /// G.711 A-law, 8 kHz mono.
    G711A,
    /// G.711 mu-law, 8 kHz mono.
    G711U,
    /// AAC-LC, 48 kHz mono.
    Aac,
}

/// What the camera sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An MP4 file, looped: its first H.264 or H.265 track and its first AAC track.
    Clip(PathBuf),
    /// A moving scene of 320x180 at 15 frames a second, a keyframe a second.
    Scene {
        /// Its codec.
        video: Video,
        /// Its sound.
        audio: Option<Audio>,
    },
}

/// How a login is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// RFC 2617 section 2.
    Basic,
    /// RFC 2617 section 3, MD5.
    #[default]
    Digest,
}

/// The one login that the camera knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The user's name.
    pub user: String,
    /// The password.
    pub password: String,
    /// How it is asked for.
    pub auth: Auth,
}

/// What a camera is started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraOptions {
    /// The port on 127.0.0.1; 0 for any free one.
    pub port: u16,
    /// What it sees.
    pub source: Source,
    /// Whether it asks for a login.
    pub login: Option<Login>,
}

/// A running camera; dropping it closes every connection and frees the port.
pub struct TestCamera {
    port: u16,
    main_loop: glib::MainLoop,
    context: glib::MainContext,
    thread: Option<JoinHandle<()>>,
    silent: Arc<AtomicBool>,
}

impl TestCamera {
    /// Reads the clip, opens the port, and serves.
    ///
    /// # Errors
    /// `Clip`, `Port` or `GStreamer`; see [`ErrorKind`].
    pub fn start(options: &CameraOptions) -> Result<Self, CameraError> {
        gst::init().map_err(|error| CameraError::new(ErrorKind::GStreamer, error.to_string()))?;
        let silent = Arc::new(AtomicBool::new(false));
        let factory = match &options.source {
            Source::Clip(path) => clip_factory(Arc::new(Clip::load(path)?), &silent),
            Source::Scene { video, audio } => scene_factory(*video, *audio),
        };
        factory.set_shared(true);
        let server = server::RTSPServer::new();
        server.set_address("127.0.0.1");
        server.set_service(&options.port.to_string());
        if let Some(login) = &options.login {
            lock(&server, &factory, login);
        }
        let mounts = server.mount_points().unwrap_or_default();
        mounts.add_factory(PATH, factory);
        server.set_mount_points(Some(&mounts));

        let context = glib::MainContext::new();
        let main_loop = glib::MainLoop::new(Some(&context), false);
        let (sender, started) = mpsc::channel();
        let (running, theirs) = (main_loop.clone(), context.clone());
        let thread = std::thread::Builder::new()
            .name("test-camera".into())
            .spawn(move || serve(&server, &theirs, &running, &sender))
            .map_err(|error| CameraError::new(ErrorKind::GStreamer, error.to_string()))?;
        let mut camera = Self { port: 0, main_loop, context, thread: Some(thread), silent };
        camera.port = started.recv_timeout(START_TIMEOUT).ok().flatten().ok_or_else(|| {
            CameraError::new(ErrorKind::Port, format!("port {} of 127.0.0.1 cannot be had", options.port))
        })?;
        Ok(camera)
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address, without a login.
    #[must_use]
    pub fn url(&self) -> String {
        format!("rtsp://127.0.0.1:{}{PATH}", self.port)
    }

    /// Sends no more pictures, or sends them again, the connection staying as it is. Clips only.
    pub fn set_silent(&self, silent: bool) {
        self.silent.store(silent, Ordering::Relaxed);
    }
}

impl Drop for TestCamera {
    fn drop(&mut self) {
        // From within the loop: an order to quit that comes before the loop runs would be lost.
        let main_loop = self.main_loop.clone();
        let quit = glib::idle_source_new(None, glib::Priority::HIGH, move || {
            main_loop.quit();
            glib::ControlFlow::Break
        });
        quit.attach(Some(&self.context));
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            eprintln!("test-camera: its thread ended in a panic");
        }
    }
}

/// The camera's thread: tells the port, runs until told to quit, then closes every connection.
fn serve(
    server: &server::RTSPServer,
    context: &glib::MainContext,
    main_loop: &glib::MainLoop,
    started: &mpsc::Sender<Option<u16>>,
) {
    let attached = context.with_thread_default(|| server.attach(Some(context)));
    let Ok(Ok(source)) = attached else {
        let _ = started.send(None);
        return;
    };
    let _ = started.send(u16::try_from(server.bound_port()).ok().filter(|&port| port != 0));
    // Abandoned sessions are looked for now and then.
    let pool = server.session_pool();
    let cleanup =
        glib::timeout_source_new(Duration::from_secs(2), None, glib::Priority::DEFAULT, move || {
            if let Some(pool) = &pool {
                pool.cleanup();
            }
            glib::ControlFlow::Continue
        });
    cleanup.attach(Some(context));
    main_loop.run();
    cleanup.destroy();
    // The listening socket goes first: nobody gets in while the others leave.
    if let Some(listening) = context.find_source_by_id(&source) {
        listening.destroy();
    }
    server.client_filter(Some(&mut |_: &server::RTSPServer, _: &server::RTSPClient| {
        server::RTSPFilterResult::Remove
    }));
    // Closing runs in the clients' and in this context; what is due is done before the thread ends.
    while context.iteration(false) {}
}

/// Only `login` may see anything.
fn lock(server: &server::RTSPServer, factory: &server::RTSPMediaFactory, login: &Login) {
    let auth = server::RTSPAuth::new();
    let token = server::RTSPToken::builder().field(server::RTSP_TOKEN_MEDIA_FACTORY_ROLE, ROLE).build();
    match login.auth {
        Auth::Basic => {
            auth.set_supported_methods(RTSPAuthMethod::Basic);
            auth.add_basic(&server::RTSPAuth::make_basic(&login.user, &login.password), &token);
        }
        Auth::Digest => {
            auth.set_supported_methods(RTSPAuthMethod::Digest);
            auth.add_digest(&login.user, &login.password, &token);
        }
    }
    factory.add_role_from_structure(
        &gst::Structure::builder(ROLE)
            .field(server::RTSP_PERM_MEDIA_FACTORY_ACCESS, true)
            .field(server::RTSP_PERM_MEDIA_FACTORY_CONSTRUCT, true)
            .build(),
    );
    server.set_auth(Some(&auth));
}

/// The clip's tracks as they are, parameter sets before every keyframe (RFC 6184 section 8.4).
fn clip_factory(clip: Arc<Clip>, silent: &Arc<AtomicBool>) -> server::RTSPMediaFactory {
    let h265 = clip.video.caps.structure(0).is_some_and(|caps| caps.name() == "video/x-h265");
    let payloader = if h265 { "rtph265pay" } else { "rtph264pay" };
    let mut launch =
        format!("( appsrc name=video max-bytes=0 ! {payloader} name=pay0 pt=96 config-interval=-1");
    if clip.audio.is_some() {
        launch.push_str(" appsrc name=audio max-bytes=0 ! rtpmp4gpay name=pay1 pt=97");
    }
    launch.push_str(" )");
    let factory = server::RTSPMediaFactory::new();
    factory.set_launch(&launch);
    let silent = Arc::clone(silent);
    factory.connect_media_configure(move |_, media| {
        let Ok(bin) = media.element().downcast::<gst::Bin>() else { return };
        for (name, part) in [("video", Part::Video), ("audio", Part::Audio)] {
            if let Some(source) = bin.by_name(name).and_then(|source| source.downcast::<AppSrc>().ok()) {
                feeder::feed(&source, &clip, part, &silent);
            }
        }
    });
    factory
}

fn scene_factory(video: Video, audio: Option<Audio>) -> server::RTSPMediaFactory {
    let video = match video {
        Video::H264 => {
            "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 ! rtph264pay name=pay0 pt=96 \
             config-interval=-1"
        }
        Video::H265 => {
            "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=15 ! h265parse \
             ! rtph265pay name=pay0 pt=96 config-interval=-1"
        }
        Video::Mjpeg => "jpegenc ! rtpjpegpay name=pay0 pt=26",
    };
    let audio = match audio {
        None => String::new(),
        Some(codec) => {
            let chain = match codec {
                Audio::G711A => "audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay name=pay1 pt=8",
                Audio::G711U => "audio/x-raw,rate=8000,channels=1 ! mulawenc ! rtppcmupay name=pay1 pt=0",
                Audio::Aac => "audio/x-raw,rate=48000,channels=1 ! avenc_aac ! rtpmp4gpay name=pay1 pt=97",
            };
            format!("audiotestsrc is-live=true wave=ticks ! audioconvert ! audioresample ! {chain}")
        }
    };
    let factory = server::RTSPMediaFactory::new();
    factory.set_launch(&format!(
        "( videotestsrc is-live=true pattern=smpte horizontal-speed=2 \
         ! video/x-raw,format=I420,width=320,height=180,framerate=15/1 ! {video} {audio} )"
    ));
    factory
}
