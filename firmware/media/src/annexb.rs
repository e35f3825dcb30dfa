//! Annex B byte streams: NAL units behind start codes; to length prefixes and back.
//!
//! ISO/IEC 14496-10 annex B and 23008-2 annex B; length prefixes are those of ISO/IEC 14496-15 with 4 bytes.
//! Emulation prevention bytes are never touched, so that footage stays bit-exact.
//!
//! Does not belong here: what is inside a NAL unit.

use bytes::Bytes;
use hal::VideoCodec;
use memchr::memmem;

use crate::error::MediaError;
use crate::nal::NalKind;
use crate::params::ParameterSets;

/// The most NAL units in one access unit. H.265 level 6.2 allows 600 slices (table A.8); the rest is room for
/// parameter sets and SEI. Whatever has more is broken or hostile.
pub const MAX_NAL_UNITS: usize = 1024;

/// The start code that is written: 4 bytes, as long as a length prefix.
const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// Iterates over the NAL units of an Annex B byte stream; made by [`nal_units`].
#[derive(Clone, Debug)]
pub struct NalUnits<'a> {
    /// What follows the start code that was found last; `None` when there was none.
    rest: Option<&'a [u8]>,
}

/// The NAL units of `annexb`, each with its header, without start code and trailing zero bytes.
///
/// Takes start codes of 3 and 4 bytes. Bytes before the first start code are skipped, empty NAL units too.
#[must_use]
pub fn nal_units(annexb: &[u8]) -> NalUnits<'_> {
    NalUnits { rest: find_start_code(annexb).map(|at| &annexb[at + 3..]) }
}

impl<'a> Iterator for NalUnits<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let rest = self.rest?;
            let nal = match find_start_code(rest) {
                Some(at) => {
                    self.rest = Some(&rest[at + 3..]);
                    &rest[..at]
                }
                None => {
                    self.rest = None;
                    rest
                }
            };
            // A NAL unit never ends in a zero byte (7.4.1): these are trailing_zero_8bits, or the zero_byte
            // that makes the next start code 4 bytes long.
            let len = nal.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
            if len > 0 {
                return Some(&nal[..len]);
            }
        }
    }
}

fn find_start_code(bytes: &[u8]) -> Option<usize> {
    memmem::find(bytes, &START_CODE[1..])
}

/// Appends `annexb` to `out` with each NAL unit behind its length, 4 bytes, big endian; returns how many.
///
/// # Errors
/// [`MediaError::TooMany`] beyond [`MAX_NAL_UNITS`]; `out` then holds a part.
pub fn to_length_prefixed(annexb: &[u8], out: &mut Vec<u8>) -> Result<usize, MediaError> {
    out.reserve(annexb.len() + START_CODE.len());
    let mut count = 0;
    for nal in nal_units(annexb) {
        count_nal(&mut count)?;
        push_length_prefixed(nal, out)?;
    }
    Ok(count)
}

/// Turns `unit` from Annex B into length prefixes; in place when all its start codes have 4 bytes, as every
/// unit from the HAL has. Returns how many NAL units there are.
///
/// # Errors
/// As [`to_length_prefixed`]; `unit` is then unchanged.
pub fn to_length_prefixed_in_place(unit: &mut Vec<u8>) -> Result<usize, MediaError> {
    let mut spans = Vec::new();
    let mut count = 0;
    let mut end = 0;
    let mut in_place = true;
    for nal in nal_units(unit) {
        count_nal(&mut count)?;
        let start = nal.as_ptr().addr() - unit.as_ptr().addr();
        in_place &= start == end + START_CODE.len();
        end = start + nal.len();
        spans.push((start, nal.len()));
    }
    if in_place && end == unit.len() {
        for (start, len) in spans {
            unit[start - START_CODE.len()..start].copy_from_slice(&length_prefix(len)?);
        }
    } else {
        let mut rebuilt = Vec::with_capacity(unit.len() + START_CODE.len() * spans.len());
        for (start, len) in spans {
            push_length_prefixed(&unit[start..start + len], &mut rebuilt)?;
        }
        *unit = rebuilt;
    }
    Ok(count)
}

/// The NAL units of a length-prefixed access unit.
///
/// # Errors
/// [`MediaError::Truncated`] when a length points beyond the end, [`MediaError::TooMany`] beyond
/// [`MAX_NAL_UNITS`]; the iterator ends after an error.
pub fn length_prefixed_units(unit: &[u8]) -> impl Iterator<Item = Result<&[u8], MediaError>> {
    let mut rest = unit;
    let mut count = 0;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let next = count_nal(&mut count).and_then(|()| split_first_nal(rest));
        Some(match next {
            Ok((nal, after)) => {
                rest = after;
                Ok(nal)
            }
            Err(error) => {
                rest = &[];
                Err(error)
            }
        })
    })
}

/// Appends a length-prefixed access unit to `out` as Annex B with start codes of 4 bytes.
///
/// # Errors
/// As [`length_prefixed_units`]; `out` then holds a part.
pub fn to_annexb(unit: &[u8], out: &mut Vec<u8>) -> Result<usize, MediaError> {
    out.reserve(unit.len());
    let mut count = 0;
    for nal in length_prefixed_units(unit) {
        push_annexb(nal?, out);
        count += 1;
    }
    Ok(count)
}

/// Turns a length-prefixed access unit into Annex B in place; returns how many NAL units there are.
///
/// # Errors
/// As [`length_prefixed_units`]; `unit` is then unchanged.
pub fn to_annexb_in_place(unit: &mut [u8]) -> Result<usize, MediaError> {
    let mut count = 0;
    for nal in length_prefixed_units(unit) {
        nal?;
        count += 1;
    }
    let mut at = 0;
    for _ in 0..count {
        let (nal, _) = split_first_nal(&unit[at..])?;
        let len = nal.len();
        unit[at..at + START_CODE.len()].copy_from_slice(&START_CODE);
        at += START_CODE.len() + len;
    }
    Ok(count)
}

/// Appends one NAL unit to `out` behind a start code of 4 bytes.
pub fn push_annexb(nal: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&START_CODE);
    out.extend_from_slice(nal);
}

/// Splits an access unit into its parameter sets and the rest: length-prefixed, without VPS, SPS, PPS and
/// access unit delimiters.
///
/// # Errors
/// [`MediaError::TooMany`] beyond [`MAX_NAL_UNITS`] or the limits of [`ParameterSets`].
pub fn split_parameter_sets(
    codec: VideoCodec,
    annexb: &[u8],
) -> Result<(ParameterSets, Vec<u8>), MediaError> {
    let mut rest = Vec::new();
    let sets = split_parameter_sets_into(codec, annexb, &mut rest)?;
    Ok((sets, rest))
}

/// As [`split_parameter_sets`], but appends the rest to `out`: no allocation where there are no parameter sets.
///
/// # Errors
/// As [`split_parameter_sets`]; `out` then holds a part.
pub fn split_parameter_sets_into(
    codec: VideoCodec,
    annexb: &[u8],
    out: &mut Vec<u8>,
) -> Result<ParameterSets, MediaError> {
    out.reserve(annexb.len() + START_CODE.len());
    let mut sets = ParameterSets::default();
    let mut count = 0;
    for nal in nal_units(annexb) {
        count_nal(&mut count)?;
        match NalKind::of(codec, nal) {
            kind @ (NalKind::Vps | NalKind::Sps | NalKind::Pps) => {
                sets.push(kind, Bytes::copy_from_slice(nal))?;
            }
            NalKind::Aud => {}
            NalKind::KeySlice | NalKind::Slice | NalKind::Other => push_length_prefixed(nal, out)?,
        }
    }
    Ok(sets)
}

/// Whether decoding can start at this access unit: it holds a slice of an IDR (H.264) or IRAP (H.265) picture.
#[must_use]
pub fn is_keyframe(codec: VideoCodec, annexb: &[u8]) -> bool {
    nal_units(annexb)
        .take(MAX_NAL_UNITS)
        .map(|nal| NalKind::of(codec, nal))
        .find(|kind| matches!(kind, NalKind::KeySlice | NalKind::Slice))
        == Some(NalKind::KeySlice)
}

fn count_nal(count: &mut usize) -> Result<(), MediaError> {
    if *count == MAX_NAL_UNITS {
        return Err(MediaError::TooMany { what: "NAL units in one access unit", limit: MAX_NAL_UNITS });
    }
    *count += 1;
    Ok(())
}

fn push_length_prefixed(nal: &[u8], out: &mut Vec<u8>) -> Result<(), MediaError> {
    out.extend_from_slice(&length_prefix(nal.len())?);
    out.extend_from_slice(nal);
    Ok(())
}

fn length_prefix(len: usize) -> Result<[u8; 4], MediaError> {
    u32::try_from(len)
        .map(u32::to_be_bytes)
        .map_err(|_| MediaError::TooMany { what: "bytes in one NAL unit", limit: u32::MAX as usize })
}

fn split_first_nal(unit: &[u8]) -> Result<(&[u8], &[u8]), MediaError> {
    let cut = MediaError::Truncated("a length-prefixed access unit");
    let Some((prefix, rest)) = unit.split_first_chunk() else { return Err(cut) };
    let len = u32::from_be_bytes(*prefix) as usize;
    rest.split_at_checked(len).ok_or(cut)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nals(annexb: &[u8]) -> Vec<&[u8]> {
        nal_units(annexb).collect()
    }

    #[test]
    fn start_codes_of_three_and_four_bytes_and_trailing_zeros() {
        let stream = b"\0\0\0\x01\x67\x42\0\0\x01\x68\xce\0\0\0\0\0\x01\x65\x88\0\0\x03\0\x80\0\0";
        assert_eq!(nals(stream), [&b"\x67\x42"[..], b"\x68\xce", b"\x65\x88\0\0\x03\0\x80"]);
        assert!(nals(b"").is_empty());
        assert!(nals(b"no start code").is_empty());
        assert!(nals(b"\0\0\x01\0\0\x01\0\0").is_empty());
    }

    #[test]
    fn parameter_sets_and_delimiters_are_split_off() {
        let unit =
            b"\0\0\0\x01\x09\x10\0\0\0\x01\x67\x42\x01\0\0\0\x01\x68\xce\0\0\x01\x06\x05\0\0\0\x01\x65\x88";
        let (sets, rest) = split_parameter_sets(VideoCodec::H264, unit).unwrap();
        assert_eq!(sets.sps, [Bytes::from_static(b"\x67\x42\x01")]);
        assert_eq!(sets.pps, [Bytes::from_static(b"\x68\xce")]);
        assert_eq!(rest, b"\0\0\0\x02\x06\x05\0\0\0\x02\x65\x88");
        assert!(is_keyframe(VideoCodec::H264, unit));
        assert!(!is_keyframe(VideoCodec::H264, b"\0\0\x01\x41\x9a"));
        assert!(is_keyframe(VideoCodec::H265, b"\0\0\x01\x26\x01\xaf"));
    }

    #[test]
    fn too_many_nal_units_are_refused() {
        let unit = b"\0\0\x01\x41".repeat(MAX_NAL_UNITS + 1);
        let error = to_length_prefixed(&unit, &mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Limit);
        assert!(to_length_prefixed_in_place(&mut unit.clone()).is_err());
        assert!(split_parameter_sets(VideoCodec::H264, &unit).is_err());
        let prefixed = b"\0\0\0\x01\x41".repeat(MAX_NAL_UNITS + 1);
        assert!(to_annexb(&prefixed, &mut Vec::new()).is_err());
    }

    /// Bytes that a NAL unit can have: no start code inside, no zero at the end.
    fn nal() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(prop_oneof![Just(0_u8), Just(3), 1..=255_u8], 1..40).prop_map(|bytes| {
            let mut nal = Vec::new();
            for byte in bytes {
                if nal.ends_with(&[0, 0]) && byte <= 3 {
                    nal.push(3);
                }
                nal.push(byte);
            }
            nal.push(0x80);
            nal
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn there_and_back(nals in proptest::collection::vec((nal(), any::<bool>()), 0..8)) {
            let mut short = Vec::new();
            let mut long = Vec::new();
            for (nal, three) in &nals {
                short.extend_from_slice(if *three { &START_CODE[1..] } else { &START_CODE });
                short.extend_from_slice(nal);
                push_annexb(nal, &mut long);
            }
            let mut prefixed = Vec::new();
            prop_assert_eq!(to_length_prefixed(&short, &mut prefixed).unwrap(), nals.len());
            let mut in_place = short.clone();
            prop_assert_eq!(to_length_prefixed_in_place(&mut in_place).unwrap(), nals.len());
            prop_assert_eq!(&in_place, &prefixed);
            let mut in_place = long.clone();
            to_length_prefixed_in_place(&mut in_place).unwrap();
            prop_assert_eq!(&in_place, &prefixed);
            to_annexb_in_place(&mut in_place).unwrap();
            prop_assert_eq!(&in_place, &long);
            let mut back = Vec::new();
            prop_assert_eq!(to_annexb(&prefixed, &mut back).unwrap(), nals.len());
            prop_assert_eq!(&back, &long);
        }

        #[test]
        fn arbitrary_bytes_never_panic(
            bytes in proptest::collection::vec(prop_oneof![4 => 0..2_u8, 1 => any::<u8>()], 0..200),
        ) {
            for codec in [VideoCodec::H264, VideoCodec::H265] {
                let _ = split_parameter_sets(codec, &bytes);
                let _ = is_keyframe(codec, &bytes);
            }
            let mut prefixed = bytes.clone();
            to_length_prefixed_in_place(&mut prefixed).unwrap();
            let mut appended = Vec::new();
            to_length_prefixed(&bytes, &mut appended).unwrap();
            prop_assert_eq!(&prefixed, &appended);
            let mut unchanged = bytes.clone();
            if to_annexb_in_place(&mut unchanged).is_err() {
                prop_assert_eq!(&unchanged, &bytes);
            }
            let _ = to_annexb(&bytes, &mut Vec::new());
        }
    }
}
