//! RTP packets of one access unit, in the form in which they are sent.
//!
//! All packets of a unit lie in one buffer, each behind its interleaving header (RFC 2326 section 10.12), so that
//! a client on TCP that chose the usual channels takes the buffer as it is, and a client on UDP takes slices.
//!
//! Does not belong here: codecs (`video.rs`, `audio.rs`), sockets.
//!
//! Invariants: every packet is at most [`MAX_DATAGRAM_BYTES`]; a unit has at least one packet.

use bytes::Bytes;
use hal::WallTime;
use rtp_types::RtpPacketBuilder;

use crate::extension::{EXTENSION_BYTES, PROFILE};

/// The largest RTP packet: an Ethernet frame less IPv6, UDP, and what PPPoE or WireGuard put before them.
pub(crate) const MAX_DATAGRAM_BYTES: usize = 1400;

/// RFC 3550 section 5.1, and section 5.3.1 without its words.
const RTP_HEADER_BYTES: usize = 12;
const EXTENSION_HEADER_BYTES: usize = 4;

/// What is left for the payload.
pub(crate) const MAX_PAYLOAD_BYTES: usize = MAX_DATAGRAM_BYTES - RTP_HEADER_BYTES;

/// `$`, channel, length (RFC 2326 section 10.12).
pub(crate) const INTERLEAVED_HEADER_BYTES: usize = 4;

/// One access unit as RTP packets; the same for every client of its stream.
#[derive(Debug)]
pub(crate) struct Packets {
    rendered: Bytes,
    channel: u8,
    /// Where each packet's interleaving header begins.
    starts: Vec<u32>,
    payload_bytes: u32,
    /// Sequence number of the first packet.
    pub(crate) sequence: u16,
    /// The same, counted on where it begins anew (RFC 3711 section 3.3.1).
    pub(crate) index: u64,
    /// RTP time of the first packet.
    pub(crate) timestamp: u32,
    /// The wall time that belongs to `timestamp`.
    pub(crate) wall: WallTime,
    /// Decoding can start here.
    pub(crate) keyframe: bool,
}

impl Packets {
    /// The RTP packets, without interleaving headers.
    pub(crate) fn datagrams(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.starts.iter().enumerate().map(|(index, start)| {
            let start = *start as usize;
            let end = self.starts.get(index + 1).map_or(self.rendered.len(), |next| *next as usize);
            &self.rendered[start + INTERLEAVED_HEADER_BYTES..end]
        })
    }

    /// The whole unit for the interleaved `channel`: without a copy for the track's usual one.
    pub(crate) fn interleaved(&self, channel: u8) -> Bytes {
        if channel == self.channel {
            return self.rendered.clone();
        }
        let mut bytes = self.rendered.to_vec();
        for start in &self.starts {
            bytes[*start as usize + 1] = channel;
        }
        bytes.into()
    }

    /// Another unit of as many packets: `each` is given a packet and appends what is sent in its place, at most `more` bytes longer.
    pub(crate) fn rewritten(&self, more: usize, mut each: impl FnMut(&[u8], &mut Vec<u8>)) -> Self {
        let mut bytes = Vec::with_capacity(self.rendered.len() + self.starts.len() * more);
        let mut starts = Vec::with_capacity(self.starts.len());
        for packet in self.datagrams() {
            let start = bytes.len();
            starts.push(start as u32);
            bytes.extend_from_slice(&[b'$', self.channel, 0, 0]);
            each(packet, &mut bytes);
            let length = (bytes.len() - start - INTERLEAVED_HEADER_BYTES) as u16;
            bytes[start + 2..start + INTERLEAVED_HEADER_BYTES].copy_from_slice(&length.to_be_bytes());
        }
        Self { rendered: bytes.into(), starts, ..*self }
    }

    /// How many packets; for sender reports.
    pub(crate) fn count(&self) -> u32 {
        self.starts.len() as u32
    }

    /// Payload bytes of all packets; for sender reports (RFC 3550 section 6.4.1: without headers).
    pub(crate) fn payload_bytes(&self) -> u32 {
        self.payload_bytes
    }

    /// Memory held, in bytes.
    pub(crate) fn weight(&self) -> usize {
        self.rendered.len() + self.starts.len() * size_of::<u32>() + size_of::<Self>()
    }
}

/// Where the packets of a stream continue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream {
    pub(crate) ssrc: u32,
    pub(crate) payload_type: u8,
    /// The usual interleaved channel of its track.
    pub(crate) channel: u8,
    pub(crate) next_sequence: u16,
    /// How often that has begun anew.
    pub(crate) rollovers: u32,
}

/// Collects the packets of one unit.
pub(crate) struct PacketWriter<'a> {
    stream: &'a mut Stream,
    sequence: u16,
    index: u64,
    timestamp: u32,
    bytes: Vec<u8>,
    starts: Vec<u32>,
    payload_bytes: u32,
    /// For the first packet.
    extension: Option<[u8; EXTENSION_BYTES]>,
    room: usize,
}

impl<'a> PacketWriter<'a> {
    /// `size` is the unit's, to reserve memory once.
    pub(crate) fn new(stream: &'a mut Stream, timestamp: u32, size: usize) -> Self {
        let packets = size / (MAX_PAYLOAD_BYTES - 3) + 3;
        let sequence = stream.next_sequence;
        let index = u64::from(stream.rollovers) << 16 | u64::from(sequence);
        Self {
            stream,
            sequence,
            index,
            timestamp,
            bytes: Vec::with_capacity(size + packets * (INTERLEAVED_HEADER_BYTES + 12 + 3)),
            starts: Vec::with_capacity(packets),
            payload_bytes: 0,
            extension: None,
            room: MAX_PAYLOAD_BYTES,
        }
    }

    /// The first packet bears this header extension, and all are so much shorter.
    pub(crate) fn with_extension(mut self, extension: [u8; EXTENSION_BYTES]) -> Self {
        self.extension = Some(extension);
        self.room = MAX_PAYLOAD_BYTES - EXTENSION_HEADER_BYTES - EXTENSION_BYTES;
        self
    }

    /// The most payload bytes of a packet.
    pub(crate) fn room(&self) -> usize {
        self.room
    }

    /// Appends a packet whose payload is `parts` joined, `later` ticks after the unit's time.
    pub(crate) fn push(&mut self, marker: bool, later: u32, parts: &[&[u8]]) {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        debug_assert!(length <= self.room, "a packet of {length} bytes");
        let extension = self.extension.take();
        let header = RTP_HEADER_BYTES + extension.map_or(0, |words| EXTENSION_HEADER_BYTES + words.len());
        self.starts.push(self.bytes.len() as u32);
        self.bytes.extend_from_slice(&[b'$', self.stream.channel]);
        self.bytes.extend_from_slice(&((length + header) as u16).to_be_bytes());
        let mut packet = RtpPacketBuilder::<&[u8], &[u8]>::new()
            .payload_type(self.stream.payload_type)
            .sequence_number(self.stream.next_sequence)
            .timestamp(self.timestamp.wrapping_add(later))
            .ssrc(self.stream.ssrc)
            .marker_bit(marker);
        if let Some(words) = &extension {
            packet = packet.extension(PROFILE, words);
        }
        for part in parts {
            packet = packet.payload(part);
        }
        packet.write_into_vec_unchecked(&mut self.bytes);
        self.payload_bytes += length as u32;
        self.stream.next_sequence = self.stream.next_sequence.wrapping_add(1);
        if self.stream.next_sequence == 0 {
            self.stream.rollovers = self.stream.rollovers.wrapping_add(1);
        }
    }

    /// `None` when nothing was pushed.
    pub(crate) fn finish(self, wall: WallTime, keyframe: bool) -> Option<Packets> {
        (!self.starts.is_empty()).then(|| Packets {
            rendered: self.bytes.into(),
            channel: self.stream.channel,
            starts: self.starts,
            payload_bytes: self.payload_bytes,
            sequence: self.sequence,
            index: self.index,
            timestamp: self.timestamp,
            wall,
            keyframe,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_channel_changes_nothing_else() {
        let mut stream =
            Stream { ssrc: 9, payload_type: 96, channel: 0, next_sequence: 65_535, rollovers: 0 };
        let mut writer = PacketWriter::new(&mut stream, 5, 10);
        writer.push(false, 0, &[b"ab", b"$$"]);
        writer.push(true, 0, &[b"cd"]);
        let packets = writer.finish(WallTime::default(), true).unwrap();
        assert_eq!((stream.next_sequence, stream.rollovers), (1, 1));
        assert_eq!(packets.index, 65_535);
        let usual = packets.interleaved(0);
        assert_eq!(usual.as_ptr(), packets.interleaved(0).as_ptr(), "no copy for the usual channel");
        let other = packets.interleaved(7);
        let differing: Vec<usize> = (0..usual.len()).filter(|&at| usual[at] != other[at]).collect();
        assert_eq!(differing, [1, 4 + 12 + 4 + 1]);
        let payloads: Vec<Vec<u8>> = packets.datagrams().map(|packet| packet[12..].to_vec()).collect();
        assert_eq!(payloads, [b"ab$$".to_vec(), b"cd".to_vec()]);
        assert_eq!((packets.count(), packets.payload_bytes()), (2, 6));
    }

    #[test]
    fn the_first_packet_alone_has_the_extension() {
        let mut stream = Stream { ssrc: 9, payload_type: 96, channel: 0, next_sequence: 1, rollovers: 0 };
        let words = [7; EXTENSION_BYTES];
        let mut writer = PacketWriter::new(&mut stream, 5, 10).with_extension(words);
        let full = vec![1; writer.room()];
        writer.push(false, 0, &[&full]);
        writer.push(true, 0, &[&full]);
        let packets = writer.finish(WallTime::default(), true).unwrap();
        let parsed: Vec<_> =
            packets.datagrams().map(|packet| rtp_types::RtpPacket::parse(packet).unwrap()).collect();
        assert_eq!(parsed[0].extension(), Some((0xABAC, &words[..])));
        assert_eq!(parsed[1].extension(), None);
        assert!(parsed.iter().all(|packet| packet.payload() == full));
        assert!(packets.datagrams().all(|packet| packet.len() <= MAX_DATAGRAM_BYTES));
        assert_eq!(packets.interleaved(0).len(), packets.datagrams().map(|packet| packet.len() + 4).sum());
    }
}
