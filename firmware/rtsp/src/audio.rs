//! Sound into RTP payloads: AAC and G.711.
//!
//! AAC in mode AAC-hbr of RFC 3640; G.711 as in RFC 3551 section 4.5.14.
//!
//! Does not belong here: RTP headers (`packet.rs`), session description (`sdp.rs`).
//!
//! Invariant: one call is one access unit; nothing is held back for the next.

use hal::{AudioCodec, AudioFormat};

use crate::packet::PacketWriter;

/// AU-headers-length and one AU-header (RFC 3640 section 3.2.1).
const AU_SECTION_BYTES: usize = 4;

/// AU-size has 13 bits (RFC 3640 section 3.3.6); AAC-LC stays below 768 bytes a channel.
const MAX_AAC_BYTES: usize = (1 << 13) - 1;

/// G.711 bytes a packet: 100 ms of mono, so that a lost packet is a click and no gap.
const MAX_G711_BYTES: usize = 800;

/// Writes one access unit.
pub(crate) fn packetise(format: &AudioFormat, unit: &[u8], writer: &mut PacketWriter<'_>) {
    match format.codec {
        AudioCodec::Aac => packetise_aac(unit, writer),
        AudioCodec::G711A | AudioCodec::G711U => packetise_g711(unit, format.channels, writer),
    }
}

/// Writes one AAC access unit, fragmented where it is larger than a packet (RFC 3640 section 3.3.6).
fn packetise_aac(unit: &[u8], writer: &mut PacketWriter<'_>) {
    if unit.is_empty() || unit.len() > MAX_AAC_BYTES {
        return;
    }
    let [high, low] = ((unit.len() as u16) << 3).to_be_bytes();
    let section: [u8; AU_SECTION_BYTES] = [0, 16, high, low];
    let room = writer.room() - AU_SECTION_BYTES;
    let fragments = unit.len().div_ceil(room);
    for (index, piece) in unit.chunks(room).enumerate() {
        writer.push(index + 1 == fragments, 0, &[&section, piece]);
    }
}

/// Writes G.711, one byte a sample and channel; a packet holds whole samples of all channels.
fn packetise_g711(unit: &[u8], channels: u8, writer: &mut PacketWriter<'_>) {
    let channels = usize::from(channels.max(1));
    let size = (MAX_G711_BYTES / channels).max(1) * channels;
    for (index, piece) in unit.chunks(size).enumerate() {
        // The marker means the start of a talkspurt (RFC 3551 section 4.1); sound here never pauses.
        writer.push(false, (index * size / channels) as u32, &[piece]);
    }
}

#[cfg(test)]
mod tests {
    use hal::WallTime;
    use rtp_types::RtpPacket;

    use super::*;
    use crate::packet::{Packets, Stream};

    fn run(write: impl FnOnce(&mut PacketWriter<'_>)) -> Option<Packets> {
        let mut stream = Stream { ssrc: 1, payload_type: 97, channel: 2, next_sequence: 0, rollovers: 0 };
        let mut writer = PacketWriter::new(&mut stream, 1000, 0);
        write(&mut writer);
        writer.finish(WallTime::default(), true)
    }

    #[test]
    fn aac_round_trip() {
        for size in [1, 371, 1383, 1384, 1385, 8191] {
            let unit: Vec<u8> = (0..size).map(|at| at as u8).collect();
            let packets = run(|writer| packetise_aac(&unit, writer)).unwrap();
            let mut back = Vec::new();
            let count = packets.datagrams().count();
            for (index, datagram) in packets.datagrams().enumerate() {
                let packet = RtpPacket::parse(datagram).unwrap();
                let payload = packet.payload();
                assert_eq!(u16::from_be_bytes([payload[0], payload[1]]), 16, "bits of AU headers");
                assert_eq!(usize::from(u16::from_be_bytes([payload[2], payload[3]]) >> 3), size);
                assert_eq!(payload[3] & 7, 0, "AU-Index");
                assert_eq!(packet.marker_bit(), index + 1 == count);
                back.extend_from_slice(&payload[4..]);
            }
            assert_eq!(back, unit);
        }
        assert!(run(|writer| packetise_aac(&[0; 8192], writer)).is_none());
    }

    #[test]
    fn g711_is_cut_at_samples_and_time_goes_on() {
        let unit: Vec<u8> = (0..2000u32).map(|at| at as u8).collect();
        for (channels, times) in [(1, [1000, 1800, 2600]), (2, [1000, 1400, 1800])] {
            let packets = run(|writer| packetise_g711(&unit, channels, writer)).unwrap();
            let parsed: Vec<_> = packets.datagrams().map(|d| RtpPacket::parse(d).unwrap()).collect();
            assert_eq!(parsed.iter().map(RtpPacket::timestamp).collect::<Vec<_>>(), times);
            assert_eq!(parsed.iter().flat_map(|packet| packet.payload().to_vec()).collect::<Vec<_>>(), unit);
        }
    }
}
