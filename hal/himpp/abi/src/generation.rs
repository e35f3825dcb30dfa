//! Which generation a library is of, by what it calls itself.
//!
//! Layouts differ by chip and by the SDK's minor version. A library whose version is not in [`KNOWN_VERSIONS`] is refused: a
//! structure of the wrong size overwrites what lies behind it without a word.

use core::fmt;
use core::str::FromStr;

use crate::common::MppVersion;

/// A family of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Generation {
    /// Encoders in groups: Hi3520D, Hi3520DV200.
    G1,
    /// Hi3521A, Hi3520DV300.
    G2,
    /// Hi3531DV100 and its relatives.
    G3,
}

/// A generation as one line of SDKs has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// G1.
    G1,
    /// G2.
    G2,
    /// G3 with `VPSS_GRP_ATTR_S` of 36 bytes, `RGN_ATTR_S` of 20, and no QVBR among the rate controls (1.0.3.0).
    G3Early,
    /// G3 with [`g3::late`](crate::g3::late): 44 and 24 bytes, and QVBR, which moves the numbers behind it (1.0.5.0).
    G3Late,
}

/// What libraries call themselves, the chip's name included.
///
/// Read from public copies of the libraries. Hi3520DV300 boards come with a library that names the Hi3521A.
pub const KNOWN_VERSIONS: &[(&str, Dialect)] = &[
    ("Hi3520D_MPP_V2.0.5.1", Dialect::G1),
    ("Hi3521A_MPP_V1.0.4.0", Dialect::G2),
    ("Hi3521A_MPP_V1.0.5.0", Dialect::G2),
    ("Hi3531D_MPP_V1.0.3.0", Dialect::G3Early),
    ("Hi3531D_MPP_V1.0.5.0", Dialect::G3Late),
];

impl Generation {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::G1, Self::G2, Self::G3];

    /// The newest one that is known of it.
    #[must_use]
    pub const fn newest(self) -> Dialect {
        match self {
            Self::G1 => Dialect::G1,
            Self::G2 => Dialect::G2,
            Self::G3 => Dialect::G3Late,
        }
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::G1 => "g1",
            Self::G2 => "g2",
            Self::G3 => "g3",
        })
    }
}

impl FromStr for Generation {
    type Err = UnknownGeneration;

    fn from_str(text: &str) -> Result<Self, UnknownGeneration> {
        match text {
            "g1" => Ok(Self::G1),
            "g2" => Ok(Self::G2),
            "g3" => Ok(Self::G3),
            _ => Err(UnknownGeneration),
        }
    }
}

/// No generation has that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownGeneration;

impl fmt::Display for UnknownGeneration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no such generation: there are g1, g2 and g3")
    }
}

impl core::error::Error for UnknownGeneration {}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::G1, Self::G2, Self::G3Early, Self::G3Late];

    /// What it is a dialect of.
    #[must_use]
    pub const fn generation(self) -> Generation {
        match self {
            Self::G1 => Generation::G1,
            Self::G2 => Generation::G2,
            Self::G3Early | Self::G3Late => Generation::G3,
        }
    }

    /// The newest version that is known of it, as `SYS_GetVersion` says it.
    #[must_use]
    pub fn version(self) -> &'static str {
        KNOWN_VERSIONS.iter().rev().find(|(_, dialect)| *dialect == self).map_or("", |(version, _)| version)
    }
}

/// The dialect of a library that calls itself that.
///
/// Around the version there may be more, as in `HI_VERSION=Hi3521A_MPP_V1.0.5.0 B030 Release`.
///
/// # Errors
///
/// [`UnknownVersion`], with the text, if no word of it is in [`KNOWN_VERSIONS`].
pub fn recognise(text: &str) -> Result<Dialect, UnknownVersion> {
    text.split(|c: char| c.is_whitespace() || c == '=' || c == '\0')
        .find_map(|word| KNOWN_VERSIONS.iter().find(|(version, _)| *version == word))
        .map(|(_, dialect)| *dialect)
        .ok_or_else(|| UnknownVersion(MppVersion::new(text)))
}

/// A library that calls itself something that we have no layouts for.
#[derive(Clone, Copy, Debug)]
pub struct UnknownVersion(MppVersion);

impl UnknownVersion {
    /// What it calls itself, cut at 63 bytes.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for UnknownVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the library calls itself {:?}, and for that there are no layouts; known are",
            self.text()
        )?;
        for (i, (version, _)) in KNOWN_VERSIONS.iter().enumerate() {
            write!(f, "{} {version}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl core::error::Error for UnknownVersion {}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::*;

    #[test]
    fn versions_are_found_within_text() {
        for text in [
            "Hi3521A_MPP_V1.0.5.0 B030 Release",
            "HI_VERSION=Hi3521A_MPP_V1.0.5.0 B030 Release",
            "  Hi3521A_MPP_V1.0.5.0\0\0",
        ] {
            assert_eq!(recognise(text).ok(), Some(Dialect::G2), "{text:?}");
        }
    }

    #[test]
    fn what_only_begins_like_a_version_is_refused_with_its_text() {
        for text in ["", "Hi3521A_MPP_V1.0.5.01", "Hi3521A_MPP_V1.0.6.0 Release", "V1.0.5.0", "Hi3531D"] {
            let error = recognise(text).unwrap_err();
            assert_eq!(error.text(), text);
            let words = error.to_string();
            assert!(words.contains(&std::format!("{text:?}")), "{words}");
            assert!(words.contains("Hi3531D_MPP_V1.0.3.0"), "{words}");
        }
    }

    #[test]
    fn every_dialect_has_a_version_that_leads_back_to_it() {
        for dialect in Dialect::ALL {
            assert_eq!(recognise(dialect.version()).ok(), Some(dialect));
        }
        for generation in Generation::ALL {
            assert_eq!(generation.newest().generation(), generation);
            assert_eq!(generation.to_string().parse(), Ok(generation));
        }
    }
}
