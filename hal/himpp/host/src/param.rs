//! A structure on its way to the library: its bytes, and a guard behind them.
//!
//! A library of another minor version may think a structure larger than we do, and write past its end. Behind each lies a
//! tail with a pattern: such a write is noticed, named and has hit nothing (docs/mpp-host.md, trap 1).
#![allow(unsafe_code, reason = "structures go to C and come back as bytes; each block says why it holds")]

use std::mem::{align_of, size_of};

use mpp_abi::{Addr32, Field};

/// As much as the largest difference seen: a `VENC_STREAM_S` of 376 bytes where 68 were expected.
const TAIL_BYTES: usize = 512;
/// No size, no pointer, no enumeration value.
const PATTERN: u64 = 0xC5A3_C5A3_C5A3_C5A3;
const WORD: usize = size_of::<u64>();

/// Any of the library's structures, or an array of them.
#[derive(Debug)]
pub(crate) struct Param {
    words: Box<[u64]>,
    bytes: usize,
}

impl Param {
    /// One structure.
    pub(crate) fn new<T: Field>(value: T) -> Self {
        Self::array(&[value])
    }

    /// Several, one behind the other.
    pub(crate) fn array<T: Field>(values: &[T]) -> Self {
        const { assert!(align_of::<T>() <= WORD) };
        let bytes = size_of_val(values);
        let mut words = vec![PATTERN; (bytes + TAIL_BYTES).div_ceil(WORD)].into_boxed_slice();
        // SAFETY: `words` has room for `bytes` (above), the two do not overlap, and a structure of this kind is plain numbers.
        unsafe {
            std::ptr::copy_nonoverlapping(values.as_ptr().cast::<u8>(), words.as_mut_ptr().cast(), bytes);
        }
        Self { words, bytes }
    }

    /// What the structure is now.
    ///
    /// # Panics
    /// When it was made as another one.
    pub(crate) fn get<T: Field>(&self) -> T {
        self.at(0)
    }

    /// One of an array.
    ///
    /// # Panics
    /// When it was made as another one, or has not so many.
    pub(crate) fn at<T: Field>(&self, number: usize) -> T {
        let end = (number + 1) * size_of::<T>();
        assert!(
            end <= self.bytes && self.bytes.is_multiple_of(size_of::<T>()),
            "a parameter of another type"
        );
        // SAFETY: in bounds (above); the words are aligned for every such structure, which is plain numbers: any bytes are
        // one. Volatile, since the library wrote them behind the compiler's back.
        unsafe { self.words.as_ptr().cast::<T>().add(number).read_volatile() }
    }

    /// Where the library finds it. The parameter must outlive the library's use of it.
    pub(crate) fn address(&mut self) -> usize {
        self.words.as_mut_ptr().expose_provenance()
    }

    /// The same as the library's structures hold it. On a 64-bit machine, where no library is, it means nothing.
    pub(crate) fn address32(&mut self) -> Addr32 {
        Addr32(self.address() as u32)
    }

    /// Whether nothing was written behind the structure.
    pub(crate) fn is_whole(&self) -> bool {
        let tail = self.bytes.div_ceil(WORD);
        // SAFETY: in bounds; volatile as in `at`.
        let word = |n: usize| unsafe { std::ptr::from_ref(&self.words[n]).read_volatile() };
        (tail..self.words.len()).all(|n| word(n) == PATTERN)
    }
}

/// Bytes that the library keeps at an address of this process, such as a pack's.
///
/// # Safety
/// The library must have said that `bytes` lie there, and must keep them until they are released.
pub(crate) unsafe fn library_bytes<'a>(address: u32, bytes: usize) -> &'a [u8] {
    // SAFETY: the caller's.
    unsafe { std::slice::from_raw_parts(std::ptr::with_exposed_provenance(address as usize), bytes) }
}

#[cfg(test)]
mod tests {
    use mpp_abi::common::{MppChn, VbConf};

    use super::*;

    #[test]
    fn structures_come_back_as_they_went() {
        let param = Param::array(&[MppChn::new(1, 2, 3), MppChn::new(4, 5, 6)]);
        let second = param.at::<MppChn>(1);
        assert_eq!((second.module, second.device, second.channel), (4, 5, 6));
        assert!(param.is_whole());
    }

    #[test]
    fn a_byte_behind_a_structure_is_noticed_wherever_it_is() {
        for behind in [4, 64, 308, TAIL_BYTES - 1] {
            let mut param = Param::new(VbConf::default());
            let at = param.address() + size_of::<VbConf>() + behind;
            // SAFETY: inside the tail.
            unsafe { std::ptr::with_exposed_provenance_mut::<u8>(at).write_volatile(0) };
            assert!(!param.is_whole(), "{behind} bytes behind");
        }
    }

    #[test]
    #[should_panic(expected = "a parameter of another type")]
    fn a_structure_is_not_read_as_another() {
        Param::new(MppChn::default()).get::<VbConf>();
    }
}
