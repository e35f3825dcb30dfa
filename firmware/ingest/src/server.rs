//! The camera's task: connects, receives, publishes, and tries again.
//!
//! The only file here with sockets and tokio. What a failure means is `failure.rs`'s, where a unit stands in
//! time is `align.rs`'s, when to try again is `backoff.rs`'s.
//!
//! Invariants
//! - Every wait for the camera has an end.
//! - A task ends only when its handle says so.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use hal::{
    AccessUnit, AudioCodec, AudioFormat, Clock, MAX_AAC_CONFIG_BYTES, MAX_UNIT_BYTES, MonoTime, Resolution,
    StreamFormat, StreamKind, VideoCodec,
};
use retina::client::{
    Credentials, Described, InitialTimestampPolicy, PlayOptions, Session, SessionIdPolicy, SessionOptions,
    SetupOptions, Stream, TcpTransportOptions, UdpTransportOptions,
};
use retina::codec::{
    AudioFrame, CodecItem, FrameFormat, ParametersRef, VideoFrame, VideoParameters, VideoParametersCodec, aac,
};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::align::{Now, Placed, RtpTime, Timeline, Track};
use crate::backoff::{Backoff, STABLE_AFTER};
use crate::config::{CameraConfig, Transport};
use crate::failure::Failure;
use crate::outlet::Outlet;
use crate::status::{CameraState, CameraStatus};

/// An answer to one request. Cameras that wake their encoder for DESCRIBE take up to 5 s.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// A TCP connection on a site's network; beyond this the third SYN has gone unanswered.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// No picture for this long is a stall: the slowest cameras send one a second.
const STALL_TIMEOUT: Duration = Duration::from_secs(10);

/// What a camera sees of us.
const USER_AGENT: &str = concat!("candor/", env!("CARGO_PKG_VERSION"));

/// Annex B with parameter sets before each keyframe, AAC without ADTS: what `hal::AccessUnit` asks for.
const FRAME_FORMAT: FrameFormat = FrameFormat { aac_framing: aac::Framing::Raw, ..FrameFormat::SIMPLE };

/// A network camera.
#[derive(Clone, Copy, Debug)]
pub struct Camera;

impl Camera {
    /// Starts the camera's task on the current tokio runtime; its rings will be in `bus_dir`. Returns at once:
    /// how it goes is told by [`CameraHandle::status`].
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use = "the camera stops when its handle is dropped"]
    pub fn spawn(config: CameraConfig, bus_dir: PathBuf, clock: Arc<dyn Clock>) -> CameraHandle {
        Self::spawn_within(config, bus_dir, None, clock)
    }

    /// The same with rings that together take at most `ring_bytes`, where memory is short.
    pub(crate) fn spawn_within(
        config: CameraConfig,
        bus_dir: PathBuf,
        ring_bytes: Option<u32>,
        clock: Arc<dyn Clock>,
    ) -> CameraHandle {
        let (sender, status) = watch::channel(CameraStatus {
            state: CameraState::Connecting,
            message: format!("Connecting to the camera at {}.", config.authority()),
            since: clock.wall(),
        });
        let channel = config.channel();
        let task = Task {
            timeline: Timeline::new(now(&*clock)),
            video: Outlet::new(bus_dir.clone(), channel, StreamKind::Main, ring_bytes),
            audio: Outlet::new(bus_dir, channel, StreamKind::Audio, ring_bytes),
            stable: false,
            config,
            clock,
            status: sender,
        };
        CameraHandle { status, task: Some(tokio::spawn(task.run())) }
    }
}

/// A running camera; dropping it stops it.
#[derive(Debug)]
pub struct CameraHandle {
    status: watch::Receiver<CameraStatus>,
    task: Option<JoinHandle<()>>,
}

impl CameraHandle {
    /// How the camera is doing, now and whenever it changes.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<CameraStatus> {
        self.status.clone()
    }

    /// Stops the camera; its rings are retired when this returns.
    pub async fn stop(mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            if let Err(error) = task.await
                && error.is_panic()
            {
                tracing::error!("a camera's task had ended in a panic");
            }
        }
    }
}

impl Drop for CameraHandle {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

fn now(clock: &dyn Clock) -> Now {
    Now { mono: clock.mono(), wall: clock.wall() }
}

struct Task {
    config: CameraConfig,
    clock: Arc<dyn Clock>,
    status: watch::Sender<CameraStatus>,
    timeline: Timeline,
    video: Outlet,
    audio: Outlet,
    /// The session has delivered long enough to count as good.
    stable: bool,
}

/// What a session delivers.
struct Tracks {
    video: usize,
    codec: VideoCodec,
    audio: Option<(usize, AudioFormat)>,
}

impl Task {
    async fn run(mut self) {
        // Jitter need not be unguessable; two cameras must only not share it.
        let seed = u64::from(self.config.channel().get()) << 48 ^ self.clock.wall().as_unix_micros() as u64;
        let mut backoff = Backoff::new(seed);
        loop {
            self.stable = false;
            let failure = match self.session().await {
                Ok(never) => match never {},
                Err(failure) => failure,
            };
            self.timeline.end_session();
            if self.stable {
                backoff.reset();
            }
            let pause = backoff.pause(&failure.state);
            self.tell(failure.state, failure.message);
            sleep(pause).await;
        }
    }

    fn tell(&self, state: CameraState, message: String) {
        let now = self.clock.wall();
        self.status.send_if_modified(|status| {
            let same = std::mem::discriminant(&status.state) == std::mem::discriminant(&state);
            if same && status.state == state && status.message == message {
                return false;
            }
            if !same {
                tracing::info!(channel = %self.config.channel(), message, "the camera's state changed");
            }
            *status = CameraStatus { state, message, since: if same { status.since } else { now } };
            true
        });
    }

    /// One connection, from its beginning to its end.
    async fn session(&mut self) -> Result<std::convert::Infallible, Failure> {
        let mut session = self.describe().await?;
        let tracks = self.choose(session.streams())?;
        let transport = || match self.config.transport() {
            Transport::Tcp => retina::client::Transport::Tcp(TcpTransportOptions::default()),
            Transport::Udp => retina::client::Transport::Udp(UdpTransportOptions::default()),
        };
        for index in
            [Some(tracks.video), tracks.audio.as_ref().map(|(index, _)| *index)].into_iter().flatten()
        {
            let options = SetupOptions::default().transport(transport()).frame_format(FRAME_FORMAT);
            self.answered(session.setup(index, options)).await?;
        }
        let options = PlayOptions::default().initial_timestamp(InitialTimestampPolicy::Permissive);
        let playing = self.answered(session.play(options)).await?;
        let mut frames =
            playing.demuxed().map_err(|error| Failure::bad_video(&self.config, &error.to_string()))?;

        let mut receiver = Receiver { tracks, started: None, waiting_for_keyframe: true };
        let stalled = sleep(STALL_TIMEOUT);
        tokio::pin!(stalled);
        loop {
            let item = tokio::select! {
                item = frames.next() => item,
                () = &mut stalled => return Err(Failure::stalled(&self.config, STALL_TIMEOUT.as_secs())),
            };
            match item {
                Some(Ok(CodecItem::VideoFrame(frame))) => {
                    stalled.set(sleep(STALL_TIMEOUT));
                    let stream = &frames.streams()[frame.stream_id()];
                    self.take_video(&mut receiver, &frame, stream)?;
                }
                Some(Ok(CodecItem::AudioFrame(frame))) => self.take_audio(&receiver, &frame)?,
                Some(Ok(CodecItem::Rtcp(packet))) => self.take_report(&receiver.tracks, &packet),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(self.broken(&receiver, &error.to_string())),
                None => return Err(self.broken(&receiver, "the camera closed it")),
            }
        }
    }

    async fn describe(&self) -> Result<Session<Described>, Failure> {
        let credentials = self.config.user().map(|user| Credentials {
            username: user.to_owned(),
            password: self.config.password().map(|password| password.reveal().to_owned()).unwrap_or_default(),
        });
        let options = SessionOptions::default()
            .creds(credentials)
            .user_agent(USER_AGENT.to_owned())
            .session_id(SessionIdPolicy::UseFirst);
        let answer = timeout(ANSWER_TIMEOUT, Session::describe(self.config.url().clone(), options)).await;
        match answer {
            Ok(Ok(session)) => Ok(session),
            Ok(Err(error)) => match error.status_code() {
                // An answer that was understood, but whose content was not.
                Some(200..=299) => Err(Failure::bad_video(&self.config, &error.to_string())),
                Some(code) => Err(Failure::status(&self.config, code)),
                None => Err(self.diagnose(Some(&error.to_string())).await),
            },
            Err(_) => Err(self.diagnose(None).await),
        }
    }

    /// Why there was no answer: the library does not say whether there was a connection, a second try does.
    async fn diagnose(&self, detail: Option<&str>) -> Failure {
        let port = self.config.port();
        let connect = async {
            match self.config.url().host() {
                Some(url::Host::Ipv4(address)) => TcpStream::connect((address, port)).await,
                Some(url::Host::Ipv6(address)) => TcpStream::connect((address, port)).await,
                Some(url::Host::Domain(name)) => TcpStream::connect((name, port)).await,
                None => Err(io::ErrorKind::AddrNotAvailable.into()),
            }
        };
        match (timeout(CONNECT_TIMEOUT, connect).await, detail) {
            (Err(_), _) => Failure::connect(&self.config, io::ErrorKind::TimedOut),
            (Ok(Err(error)), _) => Failure::connect(&self.config, error.kind()),
            (Ok(Ok(_)), Some(detail)) => Failure::protocol(&self.config, false, detail),
            (Ok(Ok(_)), None) => Failure::no_answer(&self.config),
        }
    }

    /// The answer to a request after DESCRIBE.
    async fn answered<T>(
        &self,
        request: impl Future<Output = Result<T, retina::Error>>,
    ) -> Result<T, Failure> {
        match timeout(ANSWER_TIMEOUT, request).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(match error.status_code() {
                Some(code) if !(200..=299).contains(&code) => Failure::status(&self.config, code),
                _ => Failure::protocol(&self.config, false, &error.to_string()),
            }),
            Err(_) => Err(Failure::no_answer(&self.config)),
        }
    }

    fn broken(&self, receiver: &Receiver, detail: &str) -> Failure {
        Failure::protocol(&self.config, receiver.started.is_some(), detail)
    }

    /// The first video of a supported codec, and the first sound of one.
    fn choose(&self, streams: &[Stream]) -> Result<Tracks, Failure> {
        let of = |media: &'static str| {
            streams.iter().enumerate().filter(move |(_, stream)| stream.media() == media)
        };
        let Some((video, codec)) =
            of("video").find_map(|(index, stream)| Some((index, video_codec(stream)?)))
        else {
            let offered: Vec<_> = of("video").map(|(_, stream)| stream.encoding_name().to_owned()).collect();
            return Err(Failure::codec(&self.config, &offered));
        };
        let audio = of("audio").find_map(|(index, stream)| Some((index, audio_format(stream)?)));
        Ok(Tracks { video, codec, audio })
    }

    fn take_video(
        &mut self,
        receiver: &mut Receiver,
        frame: &VideoFrame,
        stream: &Stream,
    ) -> Result<(), Failure> {
        // Without parameter sets nothing can be decoded.
        let Some(ParametersRef::Video(parameters)) = stream.parameters() else { return Ok(()) };
        let codec = receiver.tracks.codec;
        let whole_irap = irap_with_sets(codec, frame, parameters);
        let data = whole_irap.as_deref().unwrap_or(frame.data());
        let keyframe = frame.is_random_access_point() || whole_irap.is_some();
        if receiver.waiting_for_keyframe && !keyframe {
            return Ok(());
        }
        if data.is_empty() || data.len() > MAX_UNIT_BYTES {
            tracing::warn!(channel = %self.config.channel(), bytes = data.len(), "a picture of impossible size");
            receiver.waiting_for_keyframe = true;
            return Ok(());
        }
        let now = now(&*self.clock);
        if receiver.started.is_none() || frame.has_new_parameters() {
            let (width, height) = parameters.pixel_dimensions();
            let resolution = u16::try_from(width).ok().zip(u16::try_from(height).ok());
            self.prepare(receiver, resolution.map(|(width, height)| Resolution { width, height }))?;
        }
        receiver.waiting_for_keyframe = false;
        let started = *receiver.started.get_or_insert(now.mono);
        self.stable |= now.mono.since(started) >= STABLE_AFTER;
        let placed = self.timeline.video(rtp_time(frame.timestamp()), now);
        publish(&mut self.video, placed, keyframe, data)
    }

    /// Pictures are coming: the rings and the status say of which format.
    fn prepare(&mut self, receiver: &Receiver, resolution: Option<Resolution>) -> Result<(), Failure> {
        let video = receiver.tracks.codec;
        self.video.prepare(&StreamFormat::Video(video)).map_err(|error| Failure::bus(&error.to_string()))?;
        let audio = receiver.tracks.audio.as_ref().map(|(_, format)| format);
        if let Some(format) = audio {
            self.audio
                .prepare(&StreamFormat::Audio(format.clone()))
                .map_err(|error| Failure::bus(&error.to_string()))?;
        }
        let audio = audio.map(|format| format.codec);
        let message = format!("Receiving from the camera at {}.", self.config.authority());
        self.tell(CameraState::Streaming { video, resolution, audio }, message);
        Ok(())
    }

    fn take_audio(&mut self, receiver: &Receiver, frame: &AudioFrame) -> Result<(), Failure> {
        let data = frame.data();
        if receiver.started.is_none() || data.is_empty() || data.len() > MAX_UNIT_BYTES {
            return Ok(());
        }
        match self.timeline.audio(rtp_time(frame.timestamp()), now(&*self.clock)) {
            Some(placed) => publish(&mut self.audio, placed, true, data),
            None => Ok(()),
        }
    }

    fn take_report(&mut self, tracks: &Tracks, packet: &retina::rtcp::ReceivedCompoundPacket) {
        let Some(time) = packet.rtp_timestamp() else { return };
        let report = packet.pkts().next().and_then(|packet| packet.as_sender_report().ok().flatten());
        let Some(report) = report else { return };
        let track = if packet.stream_id() == tracks.video { Track::Video } else { Track::Audio };
        self.timeline.report(track, rtp_time(time), report.ntp_timestamp().0);
    }
}

/// A session's state.
struct Receiver {
    tracks: Tracks,
    /// When the first picture was published.
    started: Option<MonoTime>,
    waiting_for_keyframe: bool,
}

fn publish(outlet: &mut Outlet, placed: Placed, keyframe: bool, data: &[u8]) -> Result<(), Failure> {
    let unit = AccessUnit {
        stream: outlet.stream(),
        pts: placed.pts,
        wall: placed.wall,
        keyframe,
        discontinuity: placed.discontinuity,
        data,
    };
    outlet.publish(&unit).map_err(|error| Failure::bus(&error.to_string()))
}

/// An H.265 picture at which decoding can start (IRAP, ISO 23008-2 section 3.69) but which the library takes for an
/// ordinary one, as it does with CRA; with the parameter sets that it lacks therefore.
fn irap_with_sets(codec: VideoCodec, frame: &VideoFrame, parameters: &VideoParameters) -> Option<Vec<u8>> {
    if frame.is_random_access_point() || !media::annexb::is_keyframe(codec, frame.data()) {
        return None;
    }
    let VideoParametersCodec::H265 { vps, sps, pps } = parameters.codec_params() else { return None };
    let mut unit = Vec::with_capacity(frame.data().len() + vps.len() + sps.len() + pps.len() + 12);
    for set in [vps, sps, pps] {
        media::annexb::push_annexb(set, &mut unit);
    }
    unit.extend_from_slice(frame.data());
    Some(unit)
}

fn rtp_time(timestamp: retina::Timestamp) -> RtpTime {
    RtpTime { elapsed: timestamp.elapsed(), clock_rate: timestamp.clock_rate().get() }
}

fn video_codec(stream: &Stream) -> Option<VideoCodec> {
    match stream.encoding_name() {
        "h264" => Some(VideoCodec::H264),
        "h265" => Some(VideoCodec::H265),
        _ => None,
    }
}

/// The sound's format; `None` for a codec that is not supported, or one that is not described as it must be.
fn audio_format(stream: &Stream) -> Option<AudioFormat> {
    let codec = match stream.encoding_name() {
        "mpeg4-generic" => AudioCodec::Aac,
        "pcma" => AudioCodec::G711A,
        "pcmu" => AudioCodec::G711U,
        _ => return None,
    };
    let Some(ParametersRef::Audio(parameters)) = stream.parameters() else { return None };
    let config = match codec {
        AudioCodec::Aac => parameters.extra_data().to_vec(),
        AudioCodec::G711A | AudioCodec::G711U => Vec::new(),
    };
    let complete = config.len() <= MAX_AAC_CONFIG_BYTES && (codec != AudioCodec::Aac || !config.is_empty());
    complete.then_some(AudioFormat {
        codec,
        sample_rate: parameters.clock_rate(),
        channels: u8::try_from(parameters.channels().get()).ok()?,
        config,
    })
}
