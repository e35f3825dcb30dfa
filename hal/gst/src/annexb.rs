//! Start codes: brings an encoder's output to 4-byte start codes.
//!
//! Encoders put 4 bytes before the first NAL unit of an access unit and 3 before the others (ISO 14496-10
//! annex B.1.2 allows both); [`hal::AccessUnit`] promises 4 everywhere.
//!
//! Does not belong here: what is inside a NAL unit.

use memchr::memmem;

/// The separator that both forms of start code end in.
const PREFIX: [u8; 3] = [0, 0, 1];

/// Appends `input` to `output` with a 4-byte start code before every NAL unit, and without the zero bytes that
/// may stand between NAL units (trailing_zero_8bits).
pub(crate) fn normalise(input: &[u8], output: &mut Vec<u8>) {
    for nal in nal_units(input) {
        output.extend_from_slice(&[0, 0, 0, 1]);
        output.extend_from_slice(nal);
    }
}

/// The NAL units of an Annex B stream, start codes left out.
pub(crate) fn nal_units(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    let finder = memmem::Finder::new(&PREFIX);
    let mut begin = finder.find(input).map(|at| at + PREFIX.len());
    std::iter::from_fn(move || {
        loop {
            let from = begin?;
            let rest = &input[from..];
            let next = finder.find(rest);
            begin = next.map(|at| from + at + PREFIX.len());
            let nal = &rest[..next.unwrap_or(rest.len())];
            // A NAL unit never ends in a zero byte (ISO 14496-10 section 7.4.1).
            let len = nal.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
            if len > 0 {
                return Some(&nal[..len]);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixed_start_codes_become_long_ones() {
        let mut output = Vec::new();
        normalise(&[0, 0, 0, 1, 0x67, 9, 0, 0, 1, 0x68, 8, 0, 0, 0, 1, 0x65, 7, 7], &mut output);
        assert_eq!(output, [0, 0, 0, 1, 0x67, 9, 0, 0, 0, 1, 0x68, 8, 0, 0, 0, 1, 0x65, 7, 7]);
    }

    #[test]
    fn bytes_before_the_first_start_code_and_empty_units_are_left_out() {
        assert_eq!(nal_units(&[1, 2, 3]).count(), 0);
        assert_eq!(nal_units(&[]).count(), 0);
        let units: Vec<_> = nal_units(&[9, 0, 0, 1, 0, 0, 1, 5, 0, 0]).collect();
        assert_eq!(units, [[5]]);
    }
}
