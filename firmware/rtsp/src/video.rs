//! NAL units into RTP payloads: H.264 (RFC 6184) and H.265 (RFC 7798).
//!
//! Non-interleaved mode: single NAL unit packets, aggregation of parameter sets and SEI, fragmentation of what is
//! larger than a packet. Access unit delimiters and filler data are left out: RTP has the marker bit, and filler
//! is for constant-rate channels.
//!
//! Does not belong here: finding NAL units in Annex B (crate `media`), RTP headers (`packet.rs`).
//!
//! Invariant: decoding order is kept, and the unit's last packet alone has the marker.

use hal::VideoCodec;

use crate::packet::PacketWriter;

/// The largest NAL unit that a 16-bit aggregation length or our packets can hold.
const LENGTH_BYTES: usize = 2;

/// Parameter sets of a keyframe, in the order found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ParameterSets {
    /// H.265 only.
    pub(crate) vps: Vec<Vec<u8>>,
    pub(crate) sps: Vec<Vec<u8>>,
    pub(crate) pps: Vec<Vec<u8>>,
}

impl ParameterSets {
    /// Those among `nals`; `None` unless there is at least an SPS and a PPS (and a VPS for H.265).
    pub(crate) fn find(codec: VideoCodec, nals: &[&[u8]]) -> Option<Self> {
        let mut sets = Self::default();
        for nal in nals {
            let list = match (codec, kind(codec, nal)) {
                (VideoCodec::H264, 7) | (VideoCodec::H265, 33) => &mut sets.sps,
                (VideoCodec::H264, 8) | (VideoCodec::H265, 34) => &mut sets.pps,
                (VideoCodec::H265, 32) => &mut sets.vps,
                _ => continue,
            };
            list.push(nal.to_vec());
        }
        let complete = !sets.sps.is_empty()
            && !sets.pps.is_empty()
            && (codec == VideoCodec::H264 || !sets.vps.is_empty());
        complete.then_some(sets)
    }
}

/// Writes one access unit.
pub(crate) fn packetise(codec: VideoCodec, nals: &[&[u8]], writer: &mut PacketWriter<'_>) {
    let header = header_bytes(codec);
    let nals: Vec<&[u8]> =
        nals.iter().filter(|nal| nal.len() > header && !left_out(codec, nal)).copied().collect();
    let mut at = 0;
    while at < nals.len() {
        let together = aggregated(codec, &nals[at..], writer.room());
        let last = at + together == nals.len();
        if together > 1 {
            aggregate(codec, &nals[at..at + together], last, writer);
        } else if nals[at].len() <= writer.room() {
            writer.push(last, 0, &[nals[at]]);
        } else {
            fragment(codec, nals[at], last, writer);
        }
        at += together;
    }
}

fn header_bytes(codec: VideoCodec) -> usize {
    match codec {
        VideoCodec::H264 => 1,
        VideoCodec::H265 => 2,
    }
}

/// nal_unit_type (H.264 7.3.1, H.265 7.3.1.2).
fn kind(codec: VideoCodec, nal: &[u8]) -> u8 {
    let first = nal.first().copied().unwrap_or(0);
    match codec {
        VideoCodec::H264 => first & 0x1f,
        VideoCodec::H265 => first >> 1 & 0x3f,
    }
}

/// Delimiters, filler, ends of sequence and stream, and types that RTP uses for itself: an aggregation or
/// fragmentation type inside a source's stream would be read as ours.
fn left_out(codec: VideoCodec, nal: &[u8]) -> bool {
    match codec {
        VideoCodec::H264 => matches!(kind(codec, nal), 0 | 9..=12 | 24..),
        VideoCodec::H265 => matches!(kind(codec, nal), 35..=38 | 48..),
    }
}

/// Parameter sets and SEI.
fn is_small_talk(codec: VideoCodec, nal: &[u8]) -> bool {
    match codec {
        VideoCodec::H264 => matches!(kind(codec, nal), 6..=8),
        VideoCodec::H265 => matches!(kind(codec, nal), 32..=34 | 39 | 40),
    }
}

/// How many of the first NAL units go into one packet; at least 1.
fn aggregated(codec: VideoCodec, nals: &[&[u8]], room: usize) -> usize {
    let mut size = header_bytes(codec);
    let fitting = nals
        .iter()
        .take_while(|nal| {
            size += LENGTH_BYTES + nal.len();
            is_small_talk(codec, nal) && size <= room
        })
        .count();
    fitting.max(1)
}

/// STAP-A (RFC 6184 section 5.7.1) or AP (RFC 7798 section 4.4.2).
fn aggregate(codec: VideoCodec, nals: &[&[u8]], marker: bool, writer: &mut PacketWriter<'_>) {
    let mut payload = Vec::with_capacity(writer.room());
    match codec {
        VideoCodec::H264 => {
            let forbidden = nals.iter().fold(0, |bit, nal| bit | nal[0] & 0x80);
            let importance = nals.iter().map(|nal| nal[0] & 0x60).max().unwrap_or(0);
            payload.push(forbidden | importance | 24);
        }
        VideoCodec::H265 => {
            let forbidden = nals.iter().fold(0, |bit, nal| bit | nal[0] & 0x80);
            let layer = nals.iter().map(|nal| (nal[0] & 1) << 5 | nal[1] >> 3).min().unwrap_or(0);
            let temporal = nals.iter().map(|nal| nal[1] & 7).min().unwrap_or(1);
            payload.push(forbidden | 48 << 1 | layer >> 5);
            payload.push(layer << 3 | temporal);
        }
    }
    for nal in nals {
        payload.extend_from_slice(&(nal.len() as u16).to_be_bytes());
        payload.extend_from_slice(nal);
    }
    writer.push(marker, 0, &[&payload]);
}

/// FU-A (RFC 6184 section 5.8) or FU (RFC 7798 section 4.4.3).
fn fragment(codec: VideoCodec, nal: &[u8], marker: bool, writer: &mut PacketWriter<'_>) {
    let (header, body) = nal.split_at(header_bytes(codec));
    let indicator = match codec {
        VideoCodec::H264 => vec![header[0] & 0xe0 | 28],
        VideoCodec::H265 => vec![header[0] & 0x81 | 49 << 1, header[1]],
    };
    let kind = kind(codec, nal);
    let room = writer.room() - indicator.len() - 1;
    let fragments = body.len().div_ceil(room);
    for (index, piece) in body.chunks(room).enumerate() {
        let start = if index == 0 { 0x80 } else { 0 };
        let end = if index + 1 == fragments { 0x40 } else { 0 };
        writer.push(marker && end != 0, 0, &[&indicator, &[start | end | kind], piece]);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use hal::WallTime;
    use proptest::prelude::*;
    use rtp_types::RtpPacket;

    use super::*;
    use crate::packet::{MAX_PAYLOAD_BYTES, Packets, Stream};

    /// Back to NAL units, by the letter of the RFCs and by none of the code above.
    pub(crate) fn depacketise(codec: VideoCodec, packets: &Packets) -> Vec<Vec<u8>> {
        let mut nals = Vec::new();
        let mut open: Option<Vec<u8>> = None;
        let count = packets.datagrams().count();
        for (index, datagram) in packets.datagrams().enumerate() {
            let packet = RtpPacket::parse(datagram).unwrap();
            assert_eq!(packet.marker_bit(), index + 1 == count, "the last packet alone has the marker");
            assert_eq!(packet.sequence_number(), packets.sequence.wrapping_add(index as u16));
            assert_eq!(packet.timestamp(), packets.timestamp);
            let payload = packet.payload();
            let (kind, rest) = match codec {
                VideoCodec::H264 => (payload[0] & 0x1f, 1),
                VideoCodec::H265 => ((payload[0] >> 1) & 0x3f, 2),
            };
            match (codec, kind) {
                (VideoCodec::H264, 24) | (VideoCodec::H265, 48) => {
                    let mut left = &payload[rest..];
                    while !left.is_empty() {
                        let length = usize::from(u16::from_be_bytes([left[0], left[1]]));
                        nals.push(left[2..2 + length].to_vec());
                        left = &left[2 + length..];
                    }
                }
                (VideoCodec::H264, 28) => {
                    let header = payload[1];
                    if header & 0x80 != 0 {
                        assert!(open.is_none());
                        open = Some(vec![payload[0] & 0xe0 | header & 0x1f]);
                    }
                    open.as_mut().unwrap().extend_from_slice(&payload[2..]);
                    if header & 0x40 != 0 {
                        nals.push(open.take().unwrap());
                    }
                }
                (VideoCodec::H265, 49) => {
                    let header = payload[2];
                    if header & 0x80 != 0 {
                        assert!(open.is_none());
                        open = Some(vec![payload[0] & 0x81 | (header & 0x3f) << 1, payload[1]]);
                    }
                    open.as_mut().unwrap().extend_from_slice(&payload[3..]);
                    if header & 0x40 != 0 {
                        nals.push(open.take().unwrap());
                    }
                }
                _ => nals.push(payload.to_vec()),
            }
        }
        assert!(open.is_none(), "a fragment without end");
        nals
    }

    fn run(codec: VideoCodec, nals: &[Vec<u8>]) -> Option<Packets> {
        let mut stream =
            Stream { ssrc: 1, payload_type: 96, channel: 0, next_sequence: 65_530, rollovers: 0 };
        let mut writer = PacketWriter::new(&mut stream, 1234, nals.iter().map(Vec::len).sum());
        let slices: Vec<&[u8]> = nals.iter().map(Vec::as_slice).collect();
        packetise(codec, &slices, &mut writer);
        writer.finish(WallTime::default(), true)
    }

    fn nal(header: &[u8], size: usize) -> Vec<u8> {
        let mut nal = header.to_vec();
        nal.extend((0..size - header.len()).map(|at| at as u8));
        nal
    }

    #[test]
    fn h264_parameter_sets_share_a_packet_and_slices_are_fragmented() {
        let nals = [nal(&[0x67], 20), nal(&[0x68], 5), nal(&[0x06], 12), nal(&[0x65], 5000)];
        let mut with_delimiter = vec![vec![9, 0xf0]];
        with_delimiter.extend(nals.clone());
        with_delimiter.push(nal(&[12], 300));
        let packets = run(VideoCodec::H264, &with_delimiter).unwrap();
        let payload_headers: Vec<u8> = packets.datagrams().map(|packet| packet[12]).collect();
        assert_eq!(payload_headers, [0x78, 0x7c, 0x7c, 0x7c, 0x7c]);
        assert_eq!(depacketise(VideoCodec::H264, &packets), nals);
    }

    #[test]
    fn h265_round_trip_keeps_layer_and_temporal_id() {
        let nals = [
            nal(&[0x40, 1], 24),
            nal(&[0x42, 1], 40),
            nal(&[0x44, 1], 8),
            nal(&[0x26, 1], 9000),
            nal(&[0x02, 3], 100),
        ];
        let packets = run(VideoCodec::H265, &nals).unwrap();
        let first = packets.datagrams().next().unwrap();
        assert_eq!(first[12..14], [48 << 1, 1]);
        assert_eq!(depacketise(VideoCodec::H265, &packets), nals);
    }

    #[test]
    fn sizes_around_the_limit() {
        for size in MAX_PAYLOAD_BYTES - 3..MAX_PAYLOAD_BYTES + 4 {
            for (codec, header) in [(VideoCodec::H264, &[0x65][..]), (VideoCodec::H265, &[0x26, 1])] {
                let nals = [nal(header, size)];
                let packets = run(codec, &nals).unwrap();
                assert_eq!(depacketise(codec, &packets), nals);
                assert_eq!(packets.count(), if size <= MAX_PAYLOAD_BYTES { 1 } else { 2 });
            }
        }
    }

    #[test]
    fn nothing_to_send_makes_no_packets() {
        assert!(run(VideoCodec::H264, &[]).is_none());
        assert!(run(VideoCodec::H264, &[vec![], vec![9, 0x10], vec![0x65]]).is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_stream_round_trips(
            h265 in any::<bool>(),
            parts in prop::collection::vec((0usize..8, 3usize..4000), 1..12),
        ) {
            let codec = if h265 { VideoCodec::H265 } else { VideoCodec::H264 };
            let nals: Vec<Vec<u8>> = parts.iter().map(|&(kind, size)| {
                let small = size % 200 + 3;
                match (codec, kind) {
                    (VideoCodec::H264, 0) => nal(&[0x67], small),
                    (VideoCodec::H264, 1) => nal(&[0x68], small),
                    (VideoCodec::H264, 2) => nal(&[0x06], size),
                    (VideoCodec::H264, 3) => nal(&[0x65], size),
                    (VideoCodec::H264, _) => nal(&[0x41], size),
                    (VideoCodec::H265, 0) => nal(&[0x40, 1], small),
                    (VideoCodec::H265, 1) => nal(&[0x42, 1], small),
                    (VideoCodec::H265, 2) => nal(&[0x4e, 1], size),
                    (VideoCodec::H265, 3) => nal(&[0x26, 1], size),
                    (VideoCodec::H265, _) => nal(&[0x02, 2], size),
                }
            }).collect();
            let packets = run(codec, &nals).unwrap();
            prop_assert!(packets.datagrams().all(|packet| packet.len() <= crate::packet::MAX_DATAGRAM_BYTES));
            prop_assert_eq!(depacketise(codec, &packets), nals);
        }
    }
}
