//! Bits: NAL units written bit by bit, Exp-Golomb codes, emulation prevention.
//!
//! Writes Annex B byte streams (ISO/IEC 14496-10 section 7.2, 7.3.1, 9.1, annex B). Does not belong here: what the
//! bits mean (`syntax.rs`).
//!
//! Invariant: between `start_nal` and `end_nal` no three bytes read 00 00 00 to 00 00 03, whatever is put.

/// A growing Annex B byte stream. Reused from picture to picture, so that a picture costs no allocation.
#[derive(Debug, Default)]
pub(crate) struct BitWriter {
    bytes: Vec<u8>,
    pending: u64,
    pending_bits: u32,
    zeros: u32,
}

impl BitWriter {
    /// Forgets what was written, keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.pending = 0;
        self.pending_bits = 0;
        self.zeros = 0;
    }

    /// What was written so far.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A 4-byte start code and the NAL unit's header byte.
    pub(crate) fn start_nal(&mut self, header: u8) {
        debug_assert_eq!(self.pending_bits, 0, "the NAL unit before was ended");
        self.bytes.extend_from_slice(&[0, 0, 0, 1, header]);
        self.zeros = 0;
    }

    /// NAL units that were written before, start codes included.
    pub(crate) fn put_nals(&mut self, annex_b: &[u8]) {
        debug_assert_eq!(self.pending_bits, 0, "the NAL unit before was ended");
        self.bytes.extend_from_slice(annex_b);
    }

    /// rbsp_trailing_bits (7.3.2.11).
    pub(crate) fn end_nal(&mut self) {
        self.put(1, 1);
        self.align();
    }

    /// u(n): the low `count` bits of `value`, 0 to 32 of them.
    pub(crate) fn put(&mut self, value: u32, count: u32) {
        debug_assert!(count <= 32 && (count == 32 || value >> count == 0));
        self.pending = (self.pending << count) | u64::from(value);
        self.pending_bits += count;
        while self.pending_bits >= 8 {
            self.pending_bits -= 8;
            self.put_byte((self.pending >> self.pending_bits) as u8);
        }
    }

    /// u(1).
    pub(crate) fn flag(&mut self, value: bool) {
        self.put(u32::from(value), 1);
    }

    /// ue(v), section 9.1.
    pub(crate) fn ue(&mut self, value: u32) {
        let code = u64::from(value) + 1;
        let length = 64 - code.leading_zeros();
        self.put(0, length - 1);
        // 2^32 needs 33 bits: its leading one apart, the rest as 32.
        self.put(1, 1);
        self.put((code & ((1 << (length - 1)) - 1)) as u32, length - 1);
    }

    /// se(v), section 9.1.1; not for `i32::MIN`, whose code ue(v) cannot hold.
    pub(crate) fn se(&mut self, value: i32) {
        debug_assert!(value != i32::MIN);
        let magnitude = value.unsigned_abs();
        self.ue(if value > 0 { magnitude * 2 - 1 } else { magnitude * 2 });
    }

    /// Zero bits up to the next byte.
    pub(crate) fn align(&mut self) {
        if self.pending_bits > 0 {
            self.put(0, 8 - self.pending_bits);
        }
    }

    /// Whole bytes at a byte boundary, none of them zero: no emulation is possible, so they are copied at once.
    pub(crate) fn put_nonzero_bytes(&mut self, bytes: &[u8]) {
        debug_assert_eq!(self.pending_bits, 0, "aligned before");
        debug_assert!(bytes.iter().all(|&b| b > 3), "no byte that could end a start code");
        self.bytes.extend_from_slice(bytes);
        self.zeros = 0;
    }

    fn put_byte(&mut self, byte: u8) {
        if self.zeros == 2 && byte <= 3 {
            self.bytes.push(3);
            self.zeros = 0;
        }
        self.bytes.push(byte);
        self.zeros = if byte == 0 { self.zeros + 1 } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A plain reader, written from section 9.1 for these tests alone.
    struct BitReader {
        bits: Vec<bool>,
        at: usize,
    }

    impl BitReader {
        fn after_header(annex_b: &[u8]) -> Self {
            let mut rbsp = Vec::new();
            let mut zeros = 0;
            for &byte in &annex_b[5..] {
                if zeros == 2 && byte == 3 {
                    zeros = 0;
                    continue;
                }
                zeros = if byte == 0 { zeros + 1 } else { 0 };
                rbsp.push(byte);
            }
            Self {
                bits: rbsp.iter().flat_map(|b| (0..8).rev().map(move |i| b >> i & 1 == 1)).collect(),
                at: 0,
            }
        }

        fn u(&mut self, count: usize) -> u64 {
            let bits = &self.bits[self.at..self.at + count];
            self.at += count;
            bits.iter().fold(0, |value, &bit| value << 1 | u64::from(bit))
        }

        fn ue(&mut self) -> u64 {
            let mut zeros = 0;
            while self.u(1) == 0 {
                zeros += 1;
            }
            (1u64 << zeros) - 1 + self.u(zeros)
        }
    }

    #[derive(Clone, Copy, Debug)]
    enum Put {
        U(u32, u32),
        Ue(u32),
        Se(i32),
    }

    fn puts() -> impl Strategy<Value = Vec<Put>> {
        let one = prop_oneof![
            (any::<u32>(), 1u32..=32).prop_map(|(value, count)| Put::U(
                if count == 32 { value } else { value & ((1 << count) - 1) },
                count
            )),
            Just(Put::U(0, 32)),
            (0u32..70).prop_map(Put::Ue),
            any::<u32>().prop_map(Put::Ue),
            (-40i32..40).prop_map(Put::Se),
            (-i32::MAX..=i32::MAX).prop_map(Put::Se),
        ];
        prop::collection::vec(one, 0..60)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_put_is_read_back_and_emulates_no_start_code(puts in puts()) {
            let mut writer = BitWriter::default();
            writer.start_nal(0x67);
            for put in &puts {
                match *put {
                    Put::U(value, count) => writer.put(value, count),
                    Put::Ue(value) => writer.ue(value),
                    Put::Se(value) => writer.se(value),
                }
            }
            writer.end_nal();
            for three in writer.bytes()[4..].windows(3) {
                prop_assert!(!(three[0] == 0 && three[1] == 0 && three[2] < 3), "{three:?}");
            }
            let mut reader = BitReader::after_header(writer.bytes());
            for put in &puts {
                match *put {
                    Put::U(value, count) => prop_assert_eq!(reader.u(count as usize), u64::from(value)),
                    Put::Ue(value) => prop_assert_eq!(reader.ue(), u64::from(value)),
                    Put::Se(value) => {
                        let code = reader.ue() as i64;
                        let read = if code % 2 == 1 { (code + 1) / 2 } else { -code / 2 };
                        prop_assert_eq!(read, i64::from(value));
                    }
                }
            }
            prop_assert_eq!(reader.u(1), 1, "the stop bit");
        }
    }

    #[test]
    fn exp_golomb_codes_are_those_of_table_9_1() {
        let mut writer = BitWriter::default();
        writer.start_nal(0x67);
        for value in 0..=4 {
            writer.ue(value);
        }
        // 1 010 011 00100 00101, then the stop bit.
        writer.end_nal();
        assert_eq!(writer.bytes()[5..], [0b1010_0110, 0b0100_0010, 0b1100_0000]);
    }
}
