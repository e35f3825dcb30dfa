//! Retina, which records network cameras here, as a player.
//!
//! Does not belong here: players that are programs (`players.rs`).

use std::time::Duration;

use futures_util::StreamExt;
use retina::client::{
    Credentials, PlayOptions, Session, SessionOptions, SetupOptions, TcpTransportOptions, UdpTransportOptions,
};
use retina::codec::CodecItem;

use crate::login::Login;
use crate::players::Transport;

/// An answer that has not come by now never will.
const LIMIT: Duration = Duration::from_secs(20);

/// What came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Whole access units of video.
    pub pictures: usize,
    /// Frames of sound.
    pub sounds: usize,
}

/// Plays every track for `seconds`.
///
/// # Panics
/// When it complains, or a packet is missing.
#[must_use]
pub fn retina(url: &str, transport: Transport, seconds: u32) -> Taken {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(take(url, transport, Duration::from_secs(seconds.into())))
}

async fn take(url: &str, transport: Transport, length: Duration) -> Taken {
    let Login { url, user, key } = Login::of(url);
    let options = SessionOptions::default().creds(Some(Credentials { username: user, password: key }));
    let mut session = in_time("DESCRIBE", Session::describe(url, options)).await;
    for track in 0..session.streams().len() {
        let transport = match transport {
            Transport::Tcp => retina::client::Transport::Tcp(TcpTransportOptions::default()),
            Transport::Udp => retina::client::Transport::Udp(UdpTransportOptions::default()),
        };
        in_time("SETUP", session.setup(track, SetupOptions::default().transport(transport))).await;
    }
    let playing = in_time("PLAY", session.play(PlayOptions::default())).await;
    let mut frames = playing.demuxed().expect("tracks that it can take apart");
    let mut taken = Taken::default();
    let all = async {
        loop {
            match frames.next().await.expect("the stream goes on").expect("the stream can be read") {
                CodecItem::VideoFrame(frame) => {
                    assert_eq!(frame.loss(), 0, "packets of video are missing after {taken:?}");
                    taken.pictures += 1;
                }
                CodecItem::AudioFrame(frame) => {
                    assert_eq!(frame.loss(), 0, "packets of sound are missing after {taken:?}");
                    taken.sounds += 1;
                }
                _ => {}
            }
        }
    };
    match tokio::time::timeout(length, all).await {
        Ok(never) => never,
        Err(_) => taken,
    }
}

async fn in_time<T>(what: &str, answer: impl Future<Output = Result<T, retina::Error>>) -> T {
    match tokio::time::timeout(LIMIT, answer).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => panic!("{what}: {error}"),
        Err(_) => panic!("{what}: no answer"),
    }
}
