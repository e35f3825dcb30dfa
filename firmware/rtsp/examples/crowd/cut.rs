//! What arrives, cut into access units, with as little work as can be.
//!
//! Only the first bytes of each frame are looked at, so that whoever watches takes little of the machine that both share.
//!
//! Invariant: a unit counts when its last packet has come and none of its packets is missing.

use crate::stream::{STAMP_BYTES, Stamp};
use crate::talk::Failure;

/// Before each frame: `$`, channel and length (RFC 2326 section 10.12), or the floor's length.
const PREFIX_BYTES: usize = 4;
const RTP_HEADER_BYTES: usize = 12;
/// Behind the RTP header there are two bytes of a fragment before the stamp (RFC 6184 section 5.8).
const KEPT_BYTES: usize = PREFIX_BYTES + RTP_HEADER_BYTES + 2 + STAMP_BYTES;
/// The longest answer to PLAY.
const MAX_TEXT_BYTES: usize = 4096;

/// How frames follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// RTP between RTSP messages.
    Interleaved,
    /// The floor's: 32 bits of length, the stamp, the unit.
    Plain,
}

/// Cuts one connection's bytes.
pub(crate) struct Cutter {
    framing: Framing,
    kept: [u8; KEPT_BYTES],
    /// Of the current frame.
    had: usize,
    text: Vec<u8>,
    packets: Packets,
}

/// Joins one stream's packets.
#[derive(Default)]
pub(crate) struct Packets {
    next: Option<u16>,
    broken: bool,
    current: Option<Stamp>,
}

impl Cutter {
    pub(crate) fn new(framing: Framing) -> Self {
        let packets = Packets::default();
        Self { framing, kept: [0; KEPT_BYTES], had: 0, text: Vec::new(), packets }
    }

    /// Takes bytes; `whole` gets each unit that they complete. Fails where the server refuses.
    pub(crate) fn take(&mut self, mut bytes: &[u8], mut whole: impl FnMut(Stamp)) -> Result<(), Failure> {
        while let Some(&first) = bytes.first() {
            let is_text = self.had == 0 && (!self.text.is_empty() || first != b'$');
            if self.framing == Framing::Interleaved && is_text {
                self.text.push(first);
                bytes = &bytes[1..];
                self.end_text()?;
                continue;
            }
            let end = if self.had < PREFIX_BYTES { PREFIX_BYTES } else { self.end() };
            let length = (end - self.had).min(bytes.len());
            let (now, later) = bytes.split_at(length);
            if let Some(room) = self.kept.get_mut(self.had..) {
                let kept = room.len().min(length);
                room[..kept].copy_from_slice(&now[..kept]);
            }
            self.had += length;
            bytes = later;
            if self.had >= PREFIX_BYTES && self.had == self.end() {
                if let Some(stamp) = self.frame() {
                    whole(stamp);
                }
                self.had = 0;
            }
        }
        Ok(())
    }

    /// Of the current frame, from its prefix.
    fn end(&self) -> usize {
        let [a, b, c, d] = [self.kept[0], self.kept[1], self.kept[2], self.kept[3]];
        PREFIX_BYTES
            + match self.framing {
                Framing::Interleaved => usize::from(u16::from_be_bytes([c, d])),
                Framing::Plain => u32::from_be_bytes([a, b, c, d]) as usize,
            }
    }

    fn frame(&mut self) -> Option<Stamp> {
        let kept = &self.kept[PREFIX_BYTES..self.had.min(KEPT_BYTES)];
        match self.framing {
            Framing::Plain => Stamp::read(kept),
            // The other channel is RTCP's.
            Framing::Interleaved => (self.kept[1] == 0).then(|| self.packets.take(kept)).flatten(),
        }
    }

    fn end_text(&mut self) -> Result<(), Failure> {
        if self.text.len() > MAX_TEXT_BYTES {
            return Err("neither RTSP nor packets".into());
        }
        if self.text.ends_with(b"\r\n\r\n") {
            if !self.text.starts_with(b"RTSP/1.0 200") {
                return Err(String::from_utf8_lossy(&self.text).into());
            }
            self.text.clear();
        }
        Ok(())
    }
}

impl Packets {
    /// Takes an RTP packet's first bytes, or all; the unit that it completes.
    pub(crate) fn take(&mut self, packet: &[u8]) -> Option<Stamp> {
        let (header, payload) = packet.split_at_checked(RTP_HEADER_BYTES)?;
        let sequence = u16::from_be_bytes([header[2], header[3]]);
        self.broken |= self.next.is_some_and(|next| next != sequence);
        self.next = Some(sequence.wrapping_add(1));
        match payload {
            [first, second, rest @ ..] if first & 0x1f == 28 && second & 0x80 != 0 => {
                self.current = Stamp::read(rest);
            }
            [first, rest @ ..] if matches!(first & 0x1f, 1 | 5) => self.current = Stamp::read(rest),
            _ => {}
        }
        if header[1] & 0x80 == 0 {
            return None;
        }
        let whole = self.current.take().filter(|_| !self.broken);
        self.broken = false;
        whole
    }
}
