//! Failures: from what went wrong to a state and words that say what to do.
//!
//! Does not belong here: sockets. What can only be found out by asking the network again is handed in.
//!
//! Invariant: no text from here holds a password, or the path of an address, which may hold one.

use std::io;

use crate::config::{CameraConfig, Transport};
use crate::status::CameraState;

/// The longest text that is taken over from elsewhere: a line on a page.
const MAX_DETAIL_CHARS: usize = 160;

/// Why a connection ended, or did not come about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) state: CameraState,
    pub(crate) message: String,
}

impl Failure {
    fn new(state: CameraState, message: String) -> Self {
        Self { state, message }
    }

    /// The camera answered with a status code (RFC 2326 section 7.1.1).
    pub(crate) fn status(config: &CameraConfig, code: u16) -> Self {
        let camera = config.authority();
        match code {
            401 if config.password().is_none() => Self::new(
                CameraState::WrongPassword,
                format!("The camera at {camera} asks for a login. Enter its user and password."),
            ),
            401 => Self::new(
                CameraState::WrongPassword,
                format!(
                    "The camera at {camera} refuses the user or the password. Check both; after several wrong \
                     tries many cameras stay locked for half an hour."
                ),
            ),
            403 => Self::new(
                CameraState::WrongPassword,
                format!(
                    "The camera at {camera} does not let this user see the stream. Give the user the right to."
                ),
            ),
            404 => Self::new(
                CameraState::NotFound,
                format!(
                    "The camera at {camera} has no stream under this path. Check the address after the host."
                ),
            ),
            461 if config.transport() == Transport::Udp => Self::new(
                CameraState::Unreachable,
                format!("The camera at {camera} does not send over UDP. Choose TCP."),
            ),
            461 => Self::new(
                CameraState::Unreachable,
                format!("The camera at {camera} does not send over TCP. Choose UDP."),
            ),
            453 | 503 => Self::new(
                CameraState::Unreachable,
                format!("The camera at {camera} is busy ({code}): too many viewers. Disconnect one of them."),
            ),
            _ => Self::new(
                CameraState::Unreachable,
                format!(
                    "The camera at {camera} answers with error {code}. Restart it, or look into its log."
                ),
            ),
        }
    }

    /// No TCP connection.
    pub(crate) fn connect(config: &CameraConfig, kind: io::ErrorKind) -> Self {
        let camera = config.authority();
        let message = match kind {
            io::ErrorKind::ConnectionRefused => format!(
                "Nothing answers at {camera} (connection refused). Check the port, and that RTSP is switched on \
                 in the camera."
            ),
            io::ErrorKind::TimedOut => {
                format!("No answer from {camera}. Check that the camera has power, and its address.")
            }
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                format!("There is no way to {camera}. Check the network and the camera's address.")
            }
            _ => format!("{camera} cannot be reached. Check that the name or address is right."),
        };
        Self::new(CameraState::Unreachable, message)
    }

    /// A step of the protocol got no answer in time.
    pub(crate) fn no_answer(config: &CameraConfig) -> Self {
        let camera = config.authority();
        Self::new(
            CameraState::Unreachable,
            format!(
                "{camera} takes the connection but does not answer. Restart the camera, or check the port."
            ),
        )
    }

    /// Something answers, but not as it should, or the connection broke.
    pub(crate) fn protocol(config: &CameraConfig, streamed: bool, detail: &str) -> Self {
        let (camera, detail) = (config.authority(), first_line(config, detail));
        let message = if streamed {
            format!("The connection to the camera at {camera} broke ({detail}). It is being set up again.")
        } else {
            format!("{camera} does not answer like a camera ({detail}). Check that this is its RTSP port.")
        };
        Self::new(CameraState::Unreachable, message)
    }

    /// No video, or none that is supported.
    pub(crate) fn codec(config: &CameraConfig, offered: &[String]) -> Self {
        let camera = config.authority();
        let message = if offered.is_empty() {
            format!(
                "The camera at {camera} offers no video under this path. Check the address after the host."
            )
        } else {
            let offered: Vec<_> = offered.iter().map(|name| codec_name(name)).collect();
            format!(
                "The camera at {camera} sends {}, which is not supported. Set this stream to H.264 or H.265 in the \
                 camera.",
                first_line(config, &offered.join(", "))
            )
        };
        Self::new(CameraState::UnsupportedCodec, message)
    }

    /// The video is of a supported codec but not as it should be.
    pub(crate) fn bad_video(config: &CameraConfig, detail: &str) -> Self {
        let camera = config.authority();
        Self::new(
            CameraState::UnsupportedCodec,
            format!(
                "The camera at {camera} describes its video in a way that cannot be used ({}). Try another profile \
                 of the camera.",
                first_line(config, detail)
            ),
        )
    }

    /// Connected, but no pictures.
    pub(crate) fn stalled(config: &CameraConfig, seconds: u64) -> Self {
        let camera = config.authority();
        let hint = match config.transport() {
            Transport::Tcp => "Restart the camera if this stays.",
            Transport::Udp => "If this stays, choose TCP: a firewall may keep its datagrams away.",
        };
        Self::new(
            CameraState::Stalled,
            format!("The camera at {camera} is connected but has sent no picture for {seconds} s. {hint}"),
        )
    }

    /// The bus does not take the units: nothing that the camera can help.
    pub(crate) fn bus(detail: &str) -> Self {
        Self::new(CameraState::Unreachable, format!("The recorder cannot take the camera's video: {detail}."))
    }
}

/// Names that people know, of those that cameras offer.
fn codec_name(encoding: &str) -> String {
    match encoding {
        "jpeg" => "Motion JPEG".into(),
        "mp4v-es" => "MPEG-4 Visual".into(),
        "vp8" | "vp9" | "av1" => encoding.to_uppercase(),
        _ => encoding.into(),
    }
}

/// The first line of a text from elsewhere, shortened, printable, and empty of what may be secret.
fn first_line(config: &CameraConfig, text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let secrets = [
        config.password().map(|password| password.reveal().to_owned()),
        Some(config.url().path().to_owned()).filter(|path| path.len() > 1),
        config.url().query().map(str::to_owned),
    ];
    let mut line: String = line.chars().filter(|c| !c.is_control()).take(MAX_DETAIL_CHARS * 4).collect();
    for secret in secrets.into_iter().flatten().filter(|secret| !secret.is_empty()) {
        line = line.replace(&secret, "…");
    }
    line.chars().take(MAX_DETAIL_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CameraSettings;
    use crate::secret::Secret;
    use hal::ChannelId;

    fn config(url: &str, transport: Transport) -> CameraConfig {
        CameraConfig::new(CameraSettings {
            channel: ChannelId::new(1).unwrap(),
            url: Secret::new(url),
            user: None,
            password: None,
            transport,
        })
        .unwrap()
    }

    #[test]
    fn each_answer_of_a_camera_has_its_state_and_advice() {
        let with_login = config("rtsp://u:geheim@192.0.2.1/live/geheim2", Transport::Udp);
        let without = config("rtsp://192.0.2.1/live", Transport::Tcp);
        let cases = [
            (&with_login, 401, CameraState::WrongPassword, "refuses"),
            (&without, 401, CameraState::WrongPassword, "Enter its user and password"),
            (&with_login, 403, CameraState::WrongPassword, "right"),
            (&with_login, 404, CameraState::NotFound, "path"),
            (&with_login, 461, CameraState::Unreachable, "Choose TCP"),
            (&without, 461, CameraState::Unreachable, "Choose UDP"),
            (&with_login, 453, CameraState::Unreachable, "viewers"),
            (&with_login, 500, CameraState::Unreachable, "500"),
        ];
        for (config, code, state, words) in cases {
            let failure = Failure::status(config, code);
            assert_eq!(failure.state, state, "{code}");
            assert!(failure.message.contains(words), "{code}: {}", failure.message);
            assert!(failure.message.contains("192.0.2.1:554"), "{}", failure.message);
            assert!(!failure.message.contains("geheim"), "{}", failure.message);
        }
    }

    #[test]
    fn text_from_elsewhere_is_shortened_and_cleaned() {
        let config = config("rtsp://u:geheim@192.0.2.1/user=admin_password=x9?q=1", Transport::Tcp);
        let text = format!("bad geheim at /user=admin_password=x9?q=1 \u{7} {}\nsecond", "y".repeat(900));
        let failure = Failure::protocol(&config, false, &text);
        for secret in ["geheim", "x9", "q=1", "\u{7}", "second"] {
            assert!(!failure.message.contains(secret), "{}", failure.message);
        }
        assert!(failure.message.chars().count() < 320, "{}", failure.message);
    }

    #[test]
    fn an_unsupported_codec_is_named_as_people_know_it() {
        let config = config("rtsp://192.0.2.1/", Transport::Tcp);
        let failure = Failure::codec(&config, &["jpeg".into()]);
        assert_eq!(failure.state, CameraState::UnsupportedCodec);
        assert!(
            failure.message.contains("Motion JPEG") && failure.message.contains("H.264"),
            "{}",
            failure.message
        );
        assert!(Failure::codec(&config, &[]).message.contains("no video"));
    }
}
