//! Cameras of all kinds, and everything that can be wrong with one.

mod common;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use bus::{Start, Subscriber};
use common::{Bench, WITH_B_FRAMES, WITH_SOUND, clip, clip_options, config, start};
use hal::{AudioCodec, ChannelId, StreamFormat, StreamId, StreamKind, SystemClock, VideoCodec};
use ingest::{CameraConfig, CameraSettings, CameraState, Cameras, ErrorKind, Secret, Transport};
use test_camera::{Audio, Auth, CameraOptions, Login, Source, TestCamera, Video};

fn scene(video: Video, audio: Option<Audio>) -> TestCamera {
    start(&CameraOptions { port: 0, source: Source::Scene { video, audio }, login: None })
}

fn login(auth: Auth) -> Option<Login> {
    Some(Login { user: "admin".into(), password: "p@ss/word".into(), auth })
}

#[tokio::test(flavor = "multi_thread")]
async fn h265_with_a_law() {
    let camera = scene(Video::H265, Some(Audio::G711A));
    let bench = Bench::new(config(1, &camera.url(), Transport::Tcp));
    let status = bench.until_streaming().await;
    assert!(matches!(
        status.state,
        CameraState::Streaming { video: VideoCodec::H265, audio: Some(AudioCodec::G711A), .. }
    ));
    let units = bench.collect(StreamKind::Main, |units| units.len() >= 40).await;
    for unit in &units {
        let types: Vec<_> = media::annexb::nal_units(&unit.data).map(|nal| nal[0] >> 1 & 0x3f).collect();
        if unit.meta.keyframe {
            // VPS, SPS, PPS, then an IRAP picture (ISO 23008-2 table 7-1).
            assert_eq!(types[..3], [32, 33, 34]);
            assert!(types.iter().any(|kind| (16..=23).contains(kind)), "{types:?}");
        } else {
            assert!(types.iter().all(|kind| !(16..=23).contains(kind)), "{types:?}");
        }
    }
    assert!(units.iter().filter(|unit| unit.meta.keyframe).count() >= 2);
    g711(&bench, AudioCodec::G711A).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h264_with_mu_law_over_udp() {
    let camera = scene(Video::H264, Some(Audio::G711U));
    let bench = Bench::new(config(1, &camera.url(), Transport::Udp));
    bench.until_streaming().await;
    g711(&bench, AudioCodec::G711U).await;
}

/// Sound of one byte a sample: its pts advance by its bytes.
async fn g711(bench: &Bench, codec: AudioCodec) {
    let units = bench.collect(StreamKind::Audio, |units| units.len() >= 40).await;
    for pair in units.windows(2).filter(|pair| !pair[1].meta.discontinuity) {
        let expected = pair[0].data.len() as i64 * 90_000 / 8_000;
        let step = pair[1].meta.pts - pair[0].meta.pts;
        // One step when the first sender reports arrive.
        assert!((step - expected).abs() <= 1800, "{step} ticks after {expected} ticks of sound");
    }
    let ring =
        Subscriber::open(bench.dir.path(), StreamId::new(bench.channel, StreamKind::Audio), Start::Oldest);
    let StreamFormat::Audio(format) = ring.unwrap().format() else { panic!("no audio format") };
    assert_eq!((format.codec, format.sample_rate, format.channels), (codec, 8_000, 1));
    assert!(format.config.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsupported_codec_is_named() {
    let camera = scene(Video::Mjpeg, None);
    let bench = Bench::new(config(1, &camera.url(), Transport::Tcp));
    let status = bench.until(|state| *state == CameraState::UnsupportedCodec).await;
    assert!(status.message.contains("Motion JPEG"), "{}", status.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_password_opens_and_the_wrong_one_is_told() {
    for auth in [Auth::Digest, Auth::Basic] {
        let clip = clip(WITH_SOUND);
        let camera = start(&clip_options(&clip, 0, login(auth)));
        let with = |login: &str| {
            config(1, &camera.url().replace("rtsp://", &format!("rtsp://{login}")), Transport::Tcp)
        };
        let right = Bench::new(with("admin:p%40ss%2Fword@"));
        right.until_streaming().await;
        for (login, words) in
            [("admin:geheim@", "refuses the user or the password"), ("", "asks for a login")]
        {
            let bench = Bench::new(with(login));
            let status = bench.until(|state| *state != CameraState::Connecting).await;
            assert_eq!(status.state, CameraState::WrongPassword, "{auth:?}: {}", status.message);
            assert!(status.message.contains(words), "{}", status.message);
            assert!(!status.message.contains("geheim"), "{}", status.message);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_and_no_such_path_are_told_apart() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let bench = Bench::new(config(1, &format!("rtsp://127.0.0.1:{port}/x"), Transport::Tcp));
    let status = bench.until(|state| *state == CameraState::Unreachable).await;
    assert!(status.message.contains("connection refused"), "{}", status.message);

    let bench = Bench::new(config(1, "rtsp://no-such-camera.invalid/x", Transport::Tcp));
    let status = bench.until(|state| *state == CameraState::Unreachable).await;
    assert!(status.message.contains("Check that the name"), "{}", status.message);

    let camera = scene(Video::H264, None);
    let bench = Bench::new(config(1, &camera.url().replace("/stream", "/nothing-here"), Transport::Tcp));
    let status = bench.until(|state| *state == CameraState::NotFound).await;
    assert!(
        status.message.contains("path") && !status.message.contains("nothing-here"),
        "{}",
        status.message
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn something_else_on_the_port_is_told_from_something_silent() {
    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = web.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in web.incoming() {
            let mut client = client.unwrap();
            let _ = client.read(&mut [0; 512]);
            let _ = client.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let bench = Bench::new(config(1, &format!("rtsp://127.0.0.1:{port}/x"), Transport::Tcp));
    let status = bench.until(|state| *state == CameraState::Unreachable).await;
    assert!(status.message.contains("does not answer like a camera"), "{}", status.message);

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("rtsp://{}/x", silent.local_addr().unwrap());
    let bench = Bench::new(config(1, &url, Transport::Tcp));
    let status = bench.until(|state| *state == CameraState::Unreachable).await;
    assert!(status.message.contains("does not answer."), "{}", status.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_that_goes_away_is_recovered_in_the_same_ring() {
    for transport in [Transport::Tcp, Transport::Udp] {
        let clip = clip(WITH_B_FRAMES);
        let camera = start(&clip_options(&clip, 0, None));
        let port = camera.port();
        let bench = Bench::new(config(1, &camera.url(), transport));
        let first = bench.until_streaming().await;
        bench.collect(StreamKind::Main, |units| units.len() >= 15).await;
        drop(camera);
        let status = bench.until(|state| *state == CameraState::Unreachable).await;
        assert!(status.since > first.since);
        let camera = start(&clip_options(&clip, port, None));
        bench.until_streaming().await;
        let units = bench
            .collect(StreamKind::Main, |units| {
                units.iter().filter(|unit| unit.meta.discontinuity).count() >= 2
                    && !units.last().unwrap().meta.discontinuity
            })
            .await;
        let restart = units.iter().rposition(|unit| unit.meta.discontinuity).unwrap();
        assert!(restart >= 15 && units[restart].meta.keyframe);
        let latest = units[..restart].iter().map(|unit| unit.meta.pts).max().unwrap();
        assert!(units[restart].meta.pts > latest, "pts runs on");
        assert!(units[restart].meta.wall > units[restart - 1].meta.wall);
        drop(camera);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_camera_is_stalled_and_comes_back() {
    let clip = clip(WITH_B_FRAMES);
    let camera = start(&clip_options(&clip, 0, None));
    let bench = Bench::new(config(1, &camera.url(), Transport::Tcp));
    bench.until_streaming().await;
    camera.set_silent(true);
    let status = bench.until(|state| !matches!(state, CameraState::Streaming { .. })).await;
    assert_eq!(status.state, CameraState::Stalled);
    assert!(status.message.contains("no picture for 10 s"), "{}", status.message);
    camera.set_silent(false);
    bench.until_streaming().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_failing_camera_does_not_disturb_another() {
    let camera = scene(Video::H264, None);
    let dir = tempfile::tempdir().unwrap();
    let mut cameras = Cameras::new(dir.path().to_owned(), Arc::new(SystemClock::new()));
    let good = config(1, &camera.url(), Transport::Tcp);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let bad = config(2, &format!("rtsp://127.0.0.1:{port}/x"), Transport::Tcp);
    cameras.set(vec![good.clone(), bad.clone()]).await.unwrap();
    let [one, two] = [1, 2].map(|number| ChannelId::new(number).unwrap());
    let mut status = cameras.get(one).unwrap().status();
    status.wait_for(|status| matches!(status.state, CameraState::Streaming { .. })).await.unwrap();
    let mut failing = cameras.get(two).unwrap().status();
    failing.wait_for(|status| status.state == CameraState::Unreachable).await.unwrap();

    // The bad one is replaced; the good one goes on without a new connection.
    let since = status.borrow().since;
    let mut ring = Subscriber::open(dir.path(), StreamId::new(one, StreamKind::Main), Start::Oldest).unwrap();
    let mut data = Vec::new();
    let mut next = move || loop {
        match ring.next(&mut data).unwrap() {
            bus::Next::Empty => drop(ring.wait(common::PATIENCE)),
            other => break other,
        }
    };
    assert!(matches!(next(), bus::Next::Unit(unit) if unit.discontinuity), "the first one");
    let settings = CameraSettings { channel: two, ..CameraSettings::from(good.clone()) };
    cameras.set(vec![good.clone(), CameraConfig::new(settings).unwrap()]).await.unwrap();
    let mut second = cameras.get(two).unwrap().status();
    second.wait_for(|status| matches!(status.state, CameraState::Streaming { .. })).await.unwrap();
    assert_eq!(cameras.statuses()[&one].since, since);
    for _ in 0..20 {
        assert!(matches!(next(), bus::Next::Unit(unit) if !unit.discontinuity));
    }

    let error = cameras.set(vec![good.clone(), good]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooMany);
    assert_eq!(cameras.statuses().len(), 2, "a refusal changes nothing");
    cameras.set(Vec::new()).await.unwrap();
    assert!(cameras.statuses().is_empty());
    let over = std::iter::repeat_with(next).find(|next| !matches!(next, bus::Next::Unit(_)));
    assert_eq!(over, Some(bus::Next::Retired), "a stopped camera's ring is over");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_password_is_logged_at_any_level() {
    #[derive(Clone, Default)]
    struct Log(Arc<std::sync::Mutex<Vec<u8>>>);
    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .init();
    let clip = clip(WITH_SOUND);
    for auth in [Auth::Digest, Auth::Basic] {
        let camera = start(&clip_options(&clip, 0, login(auth)));
        for password in ["p@ss/word", "sesam-oeffne-dich"] {
            let settings = CameraSettings {
                channel: ChannelId::new(1).unwrap(),
                url: Secret::new(camera.url()),
                user: Some("admin".into()),
                password: Some(Secret::new(password)),
                transport: Transport::Tcp,
            };
            let bench = Bench::new(CameraConfig::new(settings).unwrap());
            bench.until(|state| *state != CameraState::Connecting).await;
            bench.handle.stop().await;
        }
    }
    let log = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(log.contains("refuses the user or the password"), "what happens is logged:\n{log}");
    // In clear, percent-encoded, and as Basic sends it (RFC 7617 section 2).
    for secret in ["p@ss", "p%40ss", "sesam", "YWRtaW46cEBzcy93b3Jk", "YWRtaW46c2VzYW0"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}
