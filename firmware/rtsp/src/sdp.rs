//! Session descriptions (RFC 8866) of streams, as DESCRIBE answers them.
//!
//! Does not belong here: RTSP; where parameter sets come from.
//!
//! Invariant: nothing in a description names a user or an address inside the recorder.

use std::fmt::Write as _;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hal::{AudioCodec, AudioFormat, StreamId, VideoCodec, WallTime};
use sdp_types::{Connection, Media, MediaType, Origin, Session, Time, TransportProto};
use zeroize::Zeroizing;

use crate::moment;
use crate::payload::{Payload, TrackId};
use crate::video::ParameterSets;

/// What a path offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Presentation {
    /// The video stream that names it.
    pub(crate) stream: StreamId,
    /// Changes when the description does (RFC 8866 section 5.2).
    pub(crate) version: u64,
    /// In the order of their numbers.
    pub(crate) tracks: Vec<TrackDescription>,
    /// Of a recording: when it begins and ends.
    pub(crate) recorded: Option<(WallTime, WallTime)>,
}

/// One media section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TrackDescription {
    pub(crate) track: TrackId,
    pub(crate) payload: Payload,
    pub(crate) ssrc: u32,
    /// Of video; players start faster when they know them before the first packet.
    pub(crate) parameter_sets: Option<ParameterSets>,
}

/// The description as text; `server` is the address that the client reached, `control` is each track's URL, and `keys` are
/// what `a=key-mgmt` says of tracks that are SRTP.
pub(crate) fn describe(
    presentation: &Presentation,
    server: IpAddr,
    control: impl Fn(TrackId) -> String,
    keys: &[(TrackId, Zeroizing<String>)],
) -> Vec<u8> {
    let unspecified: IpAddr = match server {
        IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    let version = presentation.version;
    let mut session = Session::new(Origin::with_ip_addr(version, version, server), presentation.stream);
    session.set_connection(Connection::from_ip_addr(unspecified));
    session.add_time(Time::new(0, 0));
    session.add_attribute_with_value("tool", "Candor");
    session.add_attribute_with_value("control", "*");
    // RFC 2326 appendix C.1.5; live is without an end.
    let range = match presentation.recorded {
        Some((start, end)) => format!("clock={}-{}", moment::clock(start), moment::clock(end)),
        None => "npt=now-".to_owned(),
    };
    session.add_attribute_with_value("range", range);
    for track in &presentation.tracks {
        let key = keys.iter().find(|(of, _)| *of == track.track).map(|(_, key)| key.as_str());
        session.add_media(media(track, control(track.track), key));
    }
    let mut text = Vec::new();
    // Writing into memory does not fail.
    let _ = session.write(&mut text);
    text
}

fn media(track: &TrackDescription, control: String, key: Option<&str>) -> Media {
    let kind = match track.payload {
        Payload::Video(_) => MediaType::Video,
        Payload::Audio(_) => MediaType::Audio,
        Payload::Metadata => MediaType::Application,
    };
    let payload_type = track.payload.payload_type();
    let profile = if key.is_some() { TransportProto::RtpSavp } else { TransportProto::RtpAvp };
    let mut media = Media::new(kind, 0, profile, payload_type);
    media.add_attribute_with_value("rtpmap", format!("{payload_type} {}", encoding(&track.payload)));
    if let Some(parameters) = format_parameters(track) {
        media.add_attribute_with_value("fmtp", format!("{payload_type} {parameters}"));
    }
    if let Some(key) = key {
        media.add_attribute_with_value("key-mgmt", key);
    }
    media.add_attribute_with_value("control", control);
    if track.payload == Payload::Metadata {
        // As the ONVIF Streaming Specification shows it: there are metadata back channels.
        media.add_attribute_from_str("recvonly");
    }
    media
}

/// Encoding name, clock rate and channels (RFC 8866 section 6.6).
fn encoding(payload: &Payload) -> String {
    match payload {
        Payload::Video(VideoCodec::H264) => "H264/90000".to_owned(),
        Payload::Video(VideoCodec::H265) => "H265/90000".to_owned(),
        Payload::Metadata => "vnd.onvif.metadata/90000".to_owned(),
        Payload::Audio(AudioFormat { codec, sample_rate, channels, .. }) => {
            let name = match codec {
                AudioCodec::Aac => "mpeg4-generic",
                AudioCodec::G711A => "PCMA",
                AudioCodec::G711U => "PCMU",
            };
            // One channel is the default and stays unsaid; RFC 3640 section 4.1 asks for it with AAC always.
            if *channels == 1 && *codec != AudioCodec::Aac {
                format!("{name}/{sample_rate}")
            } else {
                format!("{name}/{sample_rate}/{channels}")
            }
        }
    }
}

fn format_parameters(track: &TrackDescription) -> Option<String> {
    match &track.payload {
        Payload::Video(VideoCodec::H264) => Some(h264_parameters(track.parameter_sets.as_ref())),
        Payload::Video(VideoCodec::H265) => track.parameter_sets.as_ref().map(h265_parameters),
        Payload::Audio(AudioFormat { codec: AudioCodec::Aac, config, .. }) => {
            let mut text = "streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;\
                            indexdeltalength=3;config="
                .to_owned();
            for byte in config {
                // Writing into a String does not fail.
                let _ = write!(text, "{byte:02X}");
            }
            Some(text)
        }
        Payload::Audio(_) | Payload::Metadata => None,
    }
}

/// RFC 6184 section 8.1.
fn h264_parameters(sets: Option<&ParameterSets>) -> String {
    let mut text = "packetization-mode=1".to_owned();
    let Some(sets) = sets else { return text };
    if let Some([_, profile, constraints, level, ..]) = sets.sps.first().map(Vec::as_slice) {
        let _ = write!(text, ";profile-level-id={profile:02X}{constraints:02X}{level:02X}");
    }
    let list: Vec<String> = sets.sps.iter().chain(&sets.pps).map(|set| BASE64.encode(set)).collect();
    let _ = write!(text, ";sprop-parameter-sets={}", list.join(","));
    text
}

/// RFC 7798 section 7.1.
fn h265_parameters(sets: &ParameterSets) -> String {
    let join = |list: &[Vec<u8>]| list.iter().map(|set| BASE64.encode(set)).collect::<Vec<_>>().join(",");
    let (vps, sps, pps) = (join(&sets.vps), join(&sets.sps), join(&sets.pps));
    format!("sprop-vps={vps};sprop-sps={sps};sprop-pps={pps}")
}

#[cfg(test)]
mod tests {
    use hal::{ChannelId, StreamKind};

    use super::*;

    fn presentation(tracks: Vec<TrackDescription>) -> Presentation {
        let stream = StreamId::new(ChannelId::new(3).unwrap(), StreamKind::Main);
        Presentation { stream, version: 1_795_000_000, tracks, recorded: None }
    }

    fn text(tracks: Vec<TrackDescription>, server: &str) -> String {
        let bytes = describe(
            &presentation(tracks),
            server.parse().unwrap(),
            |track| format!("trackID={}", track.number()),
            &[],
        );
        Session::parse(&bytes).expect("our own parser takes it");
        String::from_utf8(bytes).unwrap()
    }

    fn video(codec: VideoCodec, vps: &[&[u8]], sps: &[&[u8]], pps: &[&[u8]]) -> TrackDescription {
        let own = |list: &[&[u8]]| list.iter().map(|set| set.to_vec()).collect();
        TrackDescription {
            track: TrackId::Video,
            payload: Payload::Video(codec),
            ssrc: 1,
            parameter_sets: Some(ParameterSets { vps: own(vps), sps: own(sps), pps: own(pps) }),
        }
    }

    fn audio(codec: AudioCodec, sample_rate: u32, channels: u8, config: &[u8]) -> TrackDescription {
        let format = AudioFormat { codec, sample_rate, channels, config: config.to_vec() };
        TrackDescription {
            track: TrackId::Audio,
            payload: Payload::Audio(format),
            ssrc: 2,
            parameter_sets: None,
        }
    }

    #[test]
    fn h264_with_aac() {
        let video =
            video(VideoCodec::H264, &[], &[&[0x67, 0x64, 0, 0x1f, 0xac]], &[&[0x68, 0xee, 0x3c, 0x80]]);
        insta::assert_snapshot!(text(
            vec![video, audio(AudioCodec::Aac, 48_000, 2, &[0x11, 0x90])],
            "192.0.2.1"
        ));
    }

    #[test]
    fn h265_with_pcma_over_ipv6() {
        let video =
            video(VideoCodec::H265, &[&[0x40, 1, 12]], &[&[0x42, 1, 1]], &[&[0x44, 1, 0xc1], &[0x44, 1]]);
        insta::assert_snapshot!(text(vec![video, audio(AudioCodec::G711A, 8000, 1, &[])], "2001:db8::1"));
    }

    #[test]
    fn h264_with_metadata() {
        let video = video(VideoCodec::H264, &[], &[&[0x67, 0x64, 0, 0x1f]], &[&[0x68, 0xee]]);
        let metadata = TrackDescription {
            track: TrackId::Metadata,
            payload: Payload::Metadata,
            ssrc: 1,
            parameter_sets: None,
        };
        insta::assert_snapshot!(text(vec![video, metadata], "192.0.2.1"));
    }

    #[test]
    fn dynamic_pcmu_and_unknown_parameter_sets() {
        let mut video = video(VideoCodec::H264, &[], &[], &[]);
        video.parameter_sets = None;
        insta::assert_snapshot!(text(vec![video, audio(AudioCodec::G711U, 16_000, 2, &[])], "192.0.2.1"));
    }
}
