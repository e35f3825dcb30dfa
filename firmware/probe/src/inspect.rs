//! A vendor's library or kernel module, looked at without running it.
//!
//! What decides whether a program can load it: machine, float calling convention, libraries it asks for, the media
//! platform's version, the kernel a module is made for. Source: ELF, the ARM ELF addenda (`.ARM.attributes`), Linux's
//! `.modinfo`. Does not belong here: where files are found.

use memchr::memmem;
use object::Endianness;
use object::elf;
use object::read::elf::{FileHeader, SectionHeader as _, SectionTable};
use serde::Serialize;

/// What stands in every version of the media platform: `Hi3521A_MPP_V1.0.5.0`.
const MPP_MARK: &[u8] = b"_MPP_V";
/// The longest version seen has 44 characters.
const MAX_VERSION: usize = 64;
/// The most libraries that one asks for and that are told.
const MAX_NEEDED: usize = 64;
/// `Tag_ABI_VFP_args`: 1 says that floats are passed in VFP registers.
const TAG_VFP_ARGS: u64 = 28;

/// What was found in an ELF file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Inspected {
    /// `arm`, `aarch64`, or ELF's number of another machine.
    pub machine: String,
    /// How floats are passed.
    pub float: FloatAbi,
    /// The name others ask for it by.
    pub soname: Option<String>,
    /// The libraries that it names; vendors' libraries use more than they name.
    pub needed: Vec<String>,
    /// The media platform's version.
    pub mpp_version: Option<String>,
    /// The kernel that a module is made for.
    pub vermagic: Option<String>,
    /// A module's licence, as it says itself.
    pub licence: Option<String>,
    /// Whether it is a kernel module: it has a `.modinfo`.
    pub module: bool,
}

/// How floats are passed to functions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FloatAbi {
    /// In core registers, as `eabi` does, whether the code uses a float unit or not.
    Soft,
    /// In the float unit's registers, as `eabihf` does.
    Hard,
    /// The file does not say.
    #[default]
    Unknown,
}

impl Inspected {
    /// The C library that the names it asks for belong to.
    #[must_use]
    pub fn libc(&self) -> Option<&'static str> {
        let asks = |name: &str| self.needed.iter().any(|needed| needed == name);
        if asks("libc.so.0") {
            Some("uClibc")
        } else if asks("libc.so.6") {
            Some("glibc")
        } else {
            self.needed.iter().any(|needed| needed.contains("musl")).then_some("musl")
        }
    }
}

/// Looks at a file's bytes; `None` when they are no ELF file or a damaged one.
#[must_use]
pub fn inspect(bytes: &[u8]) -> Option<Inspected> {
    // The class: 32 or 64 bits.
    match bytes.get(4)? {
        1 => elf_file::<elf::FileHeader32<Endianness>>(bytes),
        2 => elf_file::<elf::FileHeader64<Endianness>>(bytes),
        _ => None,
    }
}

fn elf_file<Elf: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> Option<Inspected> {
    let header = Elf::parse(bytes).ok()?;
    let endian = header.endian().ok()?;
    let sections = header.sections(endian, bytes).ok()?;
    let machine = header.e_machine(endian);
    let mut found = Inspected {
        machine: match machine {
            elf::EM_ARM => "arm".to_owned(),
            elf::EM_AARCH64 => "aarch64".to_owned(),
            other => format!("machine {}", other.0),
        },
        mpp_version: mpp_version(bytes),
        ..Inspected::default()
    };
    if machine == elf::EM_ARM {
        found.float = float_abi(&sections, endian, bytes);
    }
    if let Ok(dynamic) = sections.dynamic_table(endian, bytes) {
        for entry in &dynamic {
            let text = || dynamic.string(entry).ok().map(|name| String::from_utf8_lossy(name).into_owned());
            match entry.tag {
                elf::DT_NEEDED if found.needed.len() < MAX_NEEDED => found.needed.extend(text()),
                elf::DT_SONAME => found.soname = text(),
                _ => {}
            }
        }
    }
    if let Some((_, section)) = sections.section_by_name(endian, b".modinfo") {
        let info = section.data(endian, bytes).unwrap_or_default();
        found.module = true;
        found.vermagic = modinfo(info, "vermagic=");
        found.licence = modinfo(info, "license=");
    }
    Some(found)
}

fn float_abi<Elf: FileHeader<Endian = Endianness>>(
    sections: &SectionTable<'_, Elf>,
    endian: Endianness,
    bytes: &[u8],
) -> FloatAbi {
    let Some((_, section)) = sections.section_by_name(endian, b".ARM.attributes") else {
        return FloatAbi::Unknown;
    };
    let Ok(attributes) = section.attributes(endian, bytes) else { return FloatAbi::Unknown };
    let Ok(subsections) = attributes.subsections() else { return FloatAbi::Unknown };
    let mut said = FloatAbi::Unknown;
    for subsection in subsections.flatten().filter(|subsection| subsection.vendor() == b"aeabi") {
        for part in subsection.subsubsections().flatten().filter(|part| part.tag() == elf::Tag_File) {
            // A file that has the section and not the tag passes floats in core registers.
            said = FloatAbi::Soft;
            let mut reader = part.attributes();
            while let Ok(Some(tag)) = reader.read_tag() {
                // Names, and above 32 the odd ones, are texts; `Tag_compatibility` is a number and a text.
                let read = match tag {
                    4 | 5 => reader.read_string().map(|_| 0),
                    32 => reader.read_integer().and_then(|_| reader.read_string()).map(|_| 0),
                    33.. if tag % 2 == 1 => reader.read_string().map(|_| 0),
                    _ => reader.read_integer(),
                };
                match read {
                    Ok(1) if tag == TAG_VFP_ARGS => said = FloatAbi::Hard,
                    Ok(_) => {}
                    Err(_) => break,
                }
            }
        }
    }
    said
}

/// `name=value` texts with a zero behind each.
fn modinfo(info: &[u8], name: &str) -> Option<String> {
    let value = info.split(|byte| *byte == 0).find_map(|text| text.strip_prefix(name.as_bytes()))?;
    Some(String::from_utf8_lossy(value).trim().to_owned())
}

/// The first version in a file's bytes: the chip before the mark, the number and what is said behind it.
pub(crate) fn mpp_version(bytes: &[u8]) -> Option<String> {
    memmem::find_iter(bytes, MPP_MARK).find_map(|at| {
        let before = &bytes[at.saturating_sub(MAX_VERSION / 2)..at];
        let chip = before.iter().rev().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let legal = |byte: &u8| byte.is_ascii_alphanumeric() || b"._ ".contains(byte);
        let behind = bytes[at..].iter().take(MAX_VERSION).take_while(|byte| legal(byte)).count();
        // A format string such as `%s_MPP_V%d` is none.
        let numbered = bytes.get(at + MPP_MARK.len()).is_some_and(u8::is_ascii_digit);
        (chip > 0 && numbered)
            .then(|| String::from_utf8_lossy(&bytes[at - chip..at + behind]).trim_end().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_version_is_what_stands_around_its_mark() {
        let version = |bytes: &[u8]| mpp_version(bytes);
        assert_eq!(
            version(b"\0HI_VERSION=Hi3531_MPP_V1.0.7.3 Debug\0x").as_deref(),
            Some("Hi3531_MPP_V1.0.7.3 Debug")
        );
        assert_eq!(version(b"%s_MPP_V%d\0Hi3521A_MPP_V1.0.5.0\n").as_deref(), Some("Hi3521A_MPP_V1.0.5.0"));
        assert_eq!(version(b"_MPP_V1"), None);
        assert_eq!(version(b"Hi3521A_MPP_V"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_at(mut bytes in proptest::collection::vec(any::<u8>(), 0..600), class in 1u8..3) {
            for (place, byte) in [0x7F, b'E', b'L', b'F', class, 1, 1].into_iter().enumerate() {
                if let Some(place) = bytes.get_mut(place) {
                    *place = byte;
                }
            }
            let _ = inspect(&bytes);
        }
    }
}
