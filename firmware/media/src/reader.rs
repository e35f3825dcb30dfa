//! Bits of a parameter set, read as forgivingly as players read them.
//!
//! Wraps h264-reader's bit reader, which also serves H.265: both codecs share emulation prevention and
//! Exp-Golomb codes (ITU-T H.265 section 9.2).
//!
//! Does not belong here: the meaning of any field.

use std::io::BufRead;
use std::num::NonZeroUsize;

use h264_reader::rbsp::{BitRead, BitReader, BitReaderError, ByteReader, Integer, Primitive};

/// A bit reader over one NAL unit, behind its header.
pub(crate) fn bits(nal: &[u8], header: NonZeroUsize) -> BitReader<ByteReader<&[u8]>> {
    BitReader::new(ByteReader::skipping_bytes(nal, header))
}

/// A bit reader that tolerates what cameras get wrong.
pub(crate) struct Tolerant<R: BufRead + Clone> {
    inner: BitReader<R>,
    /// Read as if the parameter set had no VUI. Cameras write VUI that break rules (a DPB smaller than the
    /// number of reference frames is common); all that is lost is the frame rate.
    without_vui: bool,
}

impl<R: BufRead + Clone> Tolerant<R> {
    pub(crate) fn new(inner: BitReader<R>, without_vui: bool) -> Self {
        Self { inner, without_vui }
    }
}

impl<R: BufRead + Clone> BitRead for Tolerant<R> {
    fn read_ue(&mut self, name: &'static str) -> Result<u32, BitReaderError> {
        self.inner.read_ue(name)
    }

    fn read_se(&mut self, name: &'static str) -> Result<i32, BitReaderError> {
        self.inner.read_se(name)
    }

    fn read_bit(&mut self, name: &'static str) -> Result<bool, BitReaderError> {
        if self.without_vui && name == "vui_parameters_present_flag" {
            return Ok(false);
        }
        self.inner.read_bit(name)
    }

    fn read<const BITS: u32, I: Integer>(&mut self, name: &'static str) -> Result<I, BitReaderError> {
        self.inner.read::<BITS, I>(name)
    }

    fn read_var<I: Integer>(&mut self, bit_count: u32, name: &'static str) -> Result<I, BitReaderError> {
        self.inner.read_var(bit_count, name)
    }

    fn read_to<V: Primitive>(&mut self, name: &'static str) -> Result<V, BitReaderError> {
        self.inner.read_to(name)
    }

    fn skip(&mut self, bit_count: u32, name: &'static str) -> Result<(), BitReaderError> {
        self.inner.skip(bit_count, name)
    }

    fn byte_aligned(&self) -> bool {
        self.inner.byte_aligned()
    }

    fn has_more_rbsp_data(&mut self, name: &'static str) -> Result<bool, BitReaderError> {
        self.inner.has_more_rbsp_data(name)
    }

    /// Whatever follows the last known field is ignored: some encoders add bytes there.
    fn finish_rbsp(self) -> Result<(), BitReaderError> {
        Ok(())
    }

    fn finish_sei_payload(self) -> Result<(), BitReaderError> {
        Ok(())
    }
}
