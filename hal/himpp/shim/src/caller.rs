//! Caller: whether a call came from the program itself, or from a library.
//!
//! A function that is put in front of the C library's is reached by everybody. The program (`mpp-host`, Rust's library in
//! it) was built for this C library and means that one's; all others that can get here are vendors' libraries, since a C
//! library's calls of itself do not leave it. The return address tells: the program's image is one known range of memory.
//! Versioned names would not help, as vendors' libraries ask for plain ones.
//!
//! Invariant: the kernel started the program, not a dynamic loader given the program's name, so that the kernel's word on
//! where the program lies (`AT_PHDR`) is about the program.

/// `PT_LOAD`: a part of a file that is in memory.
const LOAD: u32 = 1;
/// `PT_PHDR`: where the headers themselves are.
const HEADERS: u32 = 6;

/// A program header of a 32-bit ELF file (`Elf32_Phdr`).
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Header {
    kind: u32,
    offset: u32,
    address: u32,
    physical: u32,
    file_bytes: u32,
    memory_bytes: u32,
    flags: u32,
    align: u32,
}

/// Whether `address` lies in what these headers describe; they themselves lie `at` there.
pub(crate) fn contains(headers: &[Header], at: u32, address: u32) -> bool {
    // A position-independent program is moved as a whole, by what its headers were moved by.
    let moved = headers.iter().find(|h| h.kind == HEADERS).map_or(0, |h| at.wrapping_sub(h.address));
    headers
        .iter()
        .filter(|h| h.kind == LOAD)
        .any(|h| address.wrapping_sub(moved.wrapping_add(h.address)) < h.memory_bytes)
}

/// Whether the instruction at `address` is the program's.
#[cfg(all(target_arch = "arm", target_env = "musl"))]
#[allow(unsafe_code, reason = "the kernel gives the program's headers by address")]
pub(crate) fn is_program(address: usize) -> bool {
    // SAFETY: getauxval reads what the kernel left on the first stack.
    let (at, count) = unsafe { (libc::getauxval(libc::AT_PHDR), libc::getauxval(libc::AT_PHNUM)) };
    if at == 0 {
        return false;
    }
    // SAFETY: the kernel put `count` headers there with the program, where they stay while it runs.
    let headers = unsafe {
        core::slice::from_raw_parts(core::ptr::with_exposed_provenance::<Header>(at as usize), count as usize)
    };
    contains(headers, at as u32, address as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(kind: u32, address: u32, memory_bytes: u32) -> Header {
        Header { kind, offset: 0, address, physical: 0, file_bytes: 0, memory_bytes, flags: 0, align: 4 }
    }

    #[test]
    fn a_moved_program_is_known_by_its_parts_and_not_by_what_lies_between() {
        let headers = [header(HEADERS, 0x34, 0x60), header(LOAD, 0, 0x1000), header(LOAD, 0x11000, 0x800)];
        let moved = 0x4000_0000;
        let holds = |address: u32| contains(&headers, moved + 0x34, address);
        for inside in [moved, moved + 0xFFF, moved + 0x11000, moved + 0x117FF] {
            assert!(holds(inside), "{inside:#x}");
        }
        for outside in [0, moved - 1, moved + 0x1000, moved + 0x11800, 0xFFFF_FFFF] {
            assert!(!holds(outside), "{outside:#x}");
        }
    }

    #[test]
    fn a_program_at_a_fixed_place_has_no_header_of_headers() {
        let headers = [header(LOAD, 0x1_0000, 0x1000)];
        assert!(contains(&headers, 0x1_0034, 0x1_0800));
        assert!(!contains(&headers, 0x1_0034, 0x800));
    }
}
