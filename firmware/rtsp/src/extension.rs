//! The RTP header extension of replay (ONVIF Streaming Specification section 6.3).
//!
//! It tells of every access unit when it was recorded, which RTP time does not: that is the time of playing.
//!
//! Does not belong here: RTP headers (`packet.rs`), which mark belongs on which unit (`replay.rs`).

use hal::WallTime;

use crate::rtcp::ntp;

/// The extension's profile.
pub(crate) const PROFILE: u16 = 0xABAC;

/// Three words.
pub(crate) const EXTENSION_BYTES: usize = 12;

/// What a packet says of its access unit besides the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// C: decoding can start here.
    pub(crate) clean_point: bool,
    /// E: the last before a gap, or at the end of the footage.
    pub(crate) ends_section: bool,
    /// D: it does not go on from what was sent before.
    pub(crate) discontinuity: bool,
    /// T: nothing more is sent of its track.
    pub(crate) terminal: bool,
    /// The low byte of the `CSeq` of the PLAY that it answers.
    pub(crate) cseq: u8,
}

/// The extension's words: NTP time, flags, CSeq and padding.
pub(crate) fn extension(wall: WallTime, mark: Mark) -> [u8; EXTENSION_BYTES] {
    let mut words = [0; EXTENSION_BYTES];
    words[..8].copy_from_slice(&ntp(wall).to_be_bytes());
    words[8] = u8::from(mark.clean_point) << 7
        | u8::from(mark.ends_section) << 6
        | u8::from(mark.discontinuity) << 5
        | u8::from(mark.terminal) << 4;
    words[9] = mark.cseq;
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_where_the_specification_has_it() {
        // 2026-11-20T10:00:00.5Z is 1 795 168 800.5 s of Unix time, 4 004 157 600.5 s of NTP time.
        let wall = WallTime::from_unix_micros(1_795_168_800_500_000);
        let mark = Mark { clean_point: true, discontinuity: true, cseq: 0x2a, ..Mark::default() };
        assert_eq!(extension(wall, mark), [0xee, 0xaa, 0x98, 0xa0, 0x80, 0, 0, 0, 0xa0, 0x2a, 0, 0]);
        let flags = |mark| extension(wall, mark)[8];
        assert_eq!(flags(Mark { clean_point: true, ..Mark::default() }), 0x80);
        assert_eq!(flags(Mark { ends_section: true, ..Mark::default() }), 0x40);
        assert_eq!(flags(Mark { discontinuity: true, ..Mark::default() }), 0x20);
        assert_eq!(flags(Mark { terminal: true, ..Mark::default() }), 0x10);
    }
}
