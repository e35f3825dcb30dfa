//! Signed notes: text with signature lines, as C2SP signed-note has them.
//!
//! Does not belong here: what the text says (`checkpoint`).
//!
//! Invariant: what is parsed is written again byte for byte, and is never trusted before a signature is
//! verified.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64;

use crate::error::{ErrorKind, LedgerError};
use crate::key::{VerifierKey, is_name};

/// The most signature lines: C2SP asks for 16 at least.
pub const MAX_SIGNATURES: usize = 32;
/// The longest note in bytes: that many signatures of the longest kind in use (3.3 kB each), and some text.
pub const MAX_NOTE_BYTES: usize = 128 << 10;

/// One signature line: `— name base64`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureLine {
    /// The key's name.
    pub name: String,
    /// The key's [`VerifierKey::id`].
    pub key_id: u32,
    /// What the key's kind says; at least one byte.
    pub signature: Vec<u8>,
}

impl SignatureLine {
    /// Whether it says that it is by `key`.
    pub(crate) fn claims(&self, key: &VerifierKey) -> bool {
        self.key_id == key.id() && self.name == key.name()
    }
}

impl fmt::Display for SignatureLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.key_id.to_be_bytes().to_vec();
        bytes.extend(&self.signature);
        write!(f, "\u{2014} {} {}", self.name, BASE64.encode(&bytes))
    }
}

impl FromStr for SignatureLine {
    type Err = LedgerError;

    /// Without the newline.
    fn from_str(line: &str) -> Result<Self, LedgerError> {
        let parts = line.strip_prefix("\u{2014} ").and_then(|rest| rest.split_once(' '));
        let (name, text) = parts.filter(|(name, _)| is_name(name)).ok_or_else(malformed)?;
        let bytes = BASE64.decode(text.as_bytes()).map_err(|_| malformed())?;
        let (id, signature) = bytes.split_first_chunk().ok_or_else(malformed)?;
        if signature.is_empty() {
            return Err(malformed());
        }
        Ok(Self { name: name.to_owned(), key_id: u32::from_be_bytes(*id), signature: signature.to_vec() })
    }
}

/// A text with signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedNote {
    text: String,
    lines: Vec<SignatureLine>,
}

impl SignedNote {
    /// A note with its first signature. The text ends with a newline.
    pub(crate) fn new(text: String, line: SignatureLine) -> Result<Self, LedgerError> {
        // Through the parser: what we would not read we do not write.
        Self { text, lines: vec![line] }.to_string().parse()
    }

    /// The text with its final newline. **Not to be trusted** before a signature is verified.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures, in the order in which they stand.
    #[must_use]
    pub fn lines(&self) -> &[SignatureLine] {
        &self.lines
    }

    /// Adds a signature, instead of an earlier one by the same key.
    pub(crate) fn add(&mut self, line: SignatureLine) -> Result<(), LedgerError> {
        self.lines.retain(|known| known.key_id != line.key_id || known.name != line.name);
        if self.lines.len() == MAX_SIGNATURES {
            return Err(LedgerError::new(
                ErrorKind::Invalid,
                format!("no note has over {MAX_SIGNATURES} signatures"),
            ));
        }
        self.lines.push(line);
        Ok(())
    }
}

impl fmt::Display for SignedNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl FromStr for SignedNote {
    type Err = LedgerError;

    fn from_str(note: &str) -> Result<Self, LedgerError> {
        if note.len() > MAX_NOTE_BYTES || note.bytes().any(|b| b < b' ' && b != b'\n') {
            return Err(malformed());
        }
        // The last empty line divides; the text keeps its own newline.
        let divider = note.rfind("\n\n").ok_or_else(malformed)?;
        let (text, rest) = note.split_at(divider + 1);
        let lines = rest[1..].strip_suffix('\n').ok_or_else(malformed)?;
        if lines.split('\n').count() > MAX_SIGNATURES {
            return Err(malformed());
        }
        let lines = lines.split('\n').map(str::parse).collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), lines })
    }
}

fn malformed() -> LedgerError {
    LedgerError::new(ErrorKind::Malformed, "this is not a signed note")
}
