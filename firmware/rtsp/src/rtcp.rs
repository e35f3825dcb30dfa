//! RTCP: sender reports out, signs of life in (RFC 3550 section 6).
//!
//! Does not belong here: when to send (`client.rs`), sockets.

use hal::WallTime;
use rtcp_types::{Bye, Compound, RtcpPacketWriter, Sdes, SdesChunk, SdesItem, SenderReport};

/// From 1900-01-01 to 1970-01-01 (RFC 5905 figure 4).
const NTP_UNIX_OFFSET_SEC: i64 = 2_208_988_800;

/// A header, the index and a tag of 80 bits.
const MIN_SEALED_BYTES: usize = 8 + 4 + 10;

/// What a sender report says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) ssrc: u32,
    /// The wall time of a unit and the RTP time of the same unit: receivers align tracks and tell the time by
    /// this pair, so it comes from the source and not from the moment of sending.
    pub(crate) wall: WallTime,
    pub(crate) timestamp: u32,
    pub(crate) packets: u32,
    pub(crate) payload_bytes: u32,
}

/// A compound packet of a sender report and the CNAME (RFC 3550 section 6.1).
pub(crate) fn sender_report(report: &Report, cname: &str) -> Vec<u8> {
    let sender = SenderReport::builder(report.ssrc)
        .ntp_timestamp(ntp(report.wall))
        .rtp_timestamp(report.timestamp)
        .packet_count(report.packets)
        .octet_count(report.payload_bytes);
    compound(&Compound::builder().add_packet(sender).add_packet(description(report.ssrc, cname)))
}

/// Sent when a stream ends while somebody watches (RFC 3550 section 6.6).
pub(crate) fn goodbye(report: &Report, cname: &str) -> Vec<u8> {
    let sender = SenderReport::builder(report.ssrc)
        .ntp_timestamp(ntp(report.wall))
        .rtp_timestamp(report.timestamp)
        .packet_count(report.packets)
        .octet_count(report.payload_bytes);
    let bye = Bye::builder().add_source(report.ssrc);
    compound(
        &Compound::builder().add_packet(sender).add_packet(description(report.ssrc, cname)).add_packet(bye),
    )
}

/// Whether this is RTCP of a receiver: its report is a sign of life.
pub(crate) fn is_receiver_report(data: &[u8]) -> bool {
    Compound::parse(data).is_ok_and(|mut packets| {
        packets.any(|packet| matches!(packet, Ok(rtcp_types::Packet::Rr(_) | rtcp_types::Packet::Sr(_))))
    })
}

/// The same of one that is encrypted, of which the header alone is in clear (RFC 3711 section 3.4).
pub(crate) fn is_sealed_receiver_report(data: &[u8]) -> bool {
    data.len() >= MIN_SEALED_BYTES && data[0] >> 6 == 2 && matches!(data[1], 200 | 201)
}

/// 32.32 fixed point seconds since 1900, modulo 2^32 seconds (RFC 3550 section 4).
pub(crate) fn ntp(wall: WallTime) -> u64 {
    let micros = wall.as_unix_micros();
    let seconds = micros.div_euclid(1_000_000).wrapping_add(NTP_UNIX_OFFSET_SEC) as u32;
    let fraction = ((micros.rem_euclid(1_000_000) as u64) << 32) / 1_000_000;
    u64::from(seconds) << 32 | fraction
}

fn description(ssrc: u32, cname: &str) -> rtcp_types::SdesBuilder<'_> {
    Sdes::builder().add_chunk(SdesChunk::builder(ssrc).add_item(SdesItem::builder(SdesItem::CNAME, cname)))
}

fn compound(builder: &rtcp_types::CompoundBuilder<'_>) -> Vec<u8> {
    // It can only fail for a CNAME over 255 bytes, and ours is 32.
    let size = builder.calculate_size().unwrap_or(0);
    let mut bytes = vec![0; size];
    if size > 0 {
        builder.write_into_unchecked(&mut bytes);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rtcp_types::{Packet, ReceiverReport};

    use super::*;

    const REPORT: Report = Report {
        ssrc: 0x1234_5678,
        wall: WallTime::from_unix_micros(1_500_000),
        timestamp: 99,
        packets: 3,
        payload_bytes: 4000,
    };

    #[test]
    fn the_report_says_what_the_unit_said() {
        let bytes = sender_report(&REPORT, "abc");
        let packets: Vec<_> = Compound::parse(&bytes).unwrap().map(Result::unwrap).collect();
        let Packet::Sr(report) = &packets[0] else { panic!("{packets:?}") };
        assert_eq!(report.ntp_timestamp(), (NTP_UNIX_OFFSET_SEC as u64 + 1) << 32 | 0x8000_0000);
        assert_eq!((report.ssrc(), report.rtp_timestamp()), (0x1234_5678, 99));
        assert_eq!((report.packet_count(), report.octet_count()), (3, 4000));
        let Packet::Sdes(sdes) = &packets[1] else { panic!("{packets:?}") };
        assert_eq!(sdes.chunks().next().unwrap().items().next().unwrap().value(), b"abc");
        assert!(matches!(
            Compound::parse(&goodbye(&REPORT, "abc")).unwrap().last().unwrap().unwrap(),
            Packet::Bye(_)
        ));
    }

    #[test]
    fn receiver_reports_are_signs_of_life() {
        let receiver = ReceiverReport::builder(5);
        let bytes = compound(&Compound::builder().add_packet(receiver).add_packet(description(5, "x")));
        assert!(is_receiver_report(&bytes));
        assert!(!is_receiver_report(&[0x80, 0, 0, 0, 1, 2, 3, 4]), "a hole-punching RTP packet");
        assert!(!is_receiver_report(&[]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn hostile_input_never_panics(mut data in prop::collection::vec(any::<u8>(), 0..200), kind in 200u8..208) {
            is_receiver_report(&data);
            if data.len() >= 4 {
                data[0] = data[0] & 0x3f | 0x80;
                data[1] = kind;
                let words = (data.len() / 4 - 1) as u16;
                data[2..4].copy_from_slice(&words.to_be_bytes());
                data.truncate((usize::from(words) + 1) * 4);
                is_receiver_report(&data);
            }
        }
    }
}
