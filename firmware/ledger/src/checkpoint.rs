//! Checkpoints: signed statements of how large a ledger is, and its root.
//!
//! As C2SP tlog-checkpoint and tlog-cosignature have them. Does not belong here: whether one checkpoint
//! continues another (`proof`).
//!
//! Invariants
//! - Nothing of a [`SignedCheckpoint`] counts before [`SignedCheckpoint::verify`].
//! - A signature by a known key that does not hold spoils the whole; one by an unknown key is passed over.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64;
use hal::WallTime;

use crate::error::{ErrorKind, LedgerError};
use crate::hex::{Hash, Hex};
use crate::key::{KeyKind, Signer, VerifierKey, is_name};
use crate::note::{SignatureLine, SignedNote};
use crate::tree::MAX_TREE_SIZE;

/// What a checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which ledger, and the name of the key that signs it: `candor/` and the recorder's ID; for the next
    /// ledger of the same recorder `/2` behind it, and so on.
    pub origin: String,
    /// The number of leaves.
    pub size: u64,
    /// The root of the tree of these leaves.
    pub root: Hash,
}

/// A checkpoint with its signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: SignedNote,
}

/// That somebody saw a checkpoint: whose key, and when by their clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// The co-signer's key's name.
    pub name: String,
    /// To the second.
    pub time: WallTime,
}

impl Checkpoint {
    /// The text that is signed.
    fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(&self.root.0))
    }

    /// Reads a text; extension lines are passed over.
    fn from_text(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let leading_zero = size.len() > 1 && size.starts_with('0');
        if !is_name(origin)
            || leading_zero
            || !size.bytes().all(|b| b.is_ascii_digit())
            || lines.any(str::is_empty)
        {
            return None;
        }
        let size = size.parse().ok().filter(|size| *size <= MAX_TREE_SIZE)?;
        let root = BASE64.decode(root.as_bytes()).ok()?.try_into().ok().map(Hex)?;
        Some(Self { origin: origin.to_owned(), size, root })
    }

    /// Signs it.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when the key is not the origin's.
    pub fn sign(self, signer: &Signer) -> Result<SignedCheckpoint, LedgerError> {
        let key = signer.verifier();
        if key.kind() != KeyKind::Note || key.name() != self.origin {
            return Err(LedgerError::new(
                ErrorKind::Invalid,
                format!("{key} is not the key of {}", self.origin),
            ));
        }
        let text = self.text();
        let signature = signer.sign(text.as_bytes()).to_vec();
        let line = SignatureLine { name: key.name().to_owned(), key_id: key.id(), signature };
        SignedNote::new(text, line)?.try_into()
    }
}

impl SignedCheckpoint {
    /// What it says. **Not to be trusted** before [`Self::verify`].
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note as it was read.
    #[must_use]
    pub fn note(&self) -> &SignedNote {
        &self.note
    }

    /// Verifies that it is by `ledger` and about its ledger, and whatever is by one of `cosigners`; tells who
    /// of them saw it.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] when the ledger's signature is missing or any signature by one of these keys
    /// does not hold.
    pub fn verify(
        &self,
        ledger: &VerifierKey,
        cosigners: &[VerifierKey],
    ) -> Result<Vec<Witness>, LedgerError> {
        let refused = |what: String| Err(LedgerError::new(ErrorKind::Refused, what));
        if ledger.kind() != KeyKind::Note || self.checkpoint.origin != ledger.name() {
            return refused(format!(
                "the checkpoint is of {}, not of {}",
                self.checkpoint.origin,
                ledger.name()
            ));
        }
        let mut signed = false;
        let mut witnesses = Vec::new();
        for line in self.note.lines() {
            if line.claims(ledger) {
                if !ledger.verifies(self.note.text().as_bytes(), &line.signature) {
                    return refused(format!("the ledger's signature does not hold: it is not by {ledger}"));
                }
                signed = true;
            }
            let by = |key: &&VerifierKey| key.kind() == KeyKind::Cosignature && line.claims(key);
            if let Some(cosigner) = cosigners.iter().find(by) {
                let Some(time) = self.cosigned(line, cosigner) else {
                    return refused(format!("the signature by {} does not hold", cosigner.name()));
                };
                witnesses.push(Witness { name: cosigner.name().to_owned(), time });
            }
        }
        if signed { Ok(witnesses) } else { refused(format!("the checkpoint is not signed by {ledger}")) }
    }

    /// The line with which `signer` says that it has seen this checkpoint, and none larger, at `time`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when the key is not a co-signer's or the time is before 1970.
    pub fn cosign(&self, signer: &Signer, time: WallTime) -> Result<SignatureLine, LedgerError> {
        let key = signer.verifier();
        let seconds = u64::try_from(time.as_unix_micros().div_euclid(1_000_000)).ok();
        let (KeyKind::Cosignature, Some(seconds)) = (key.kind(), seconds) else {
            return Err(LedgerError::new(ErrorKind::Invalid, format!("{key} cannot co-sign at this time")));
        };
        let mut signature = seconds.to_be_bytes().to_vec();
        signature.extend(signer.sign(self.cosigned_message(seconds).as_bytes()));
        Ok(SignatureLine { name: key.name().to_owned(), key_id: key.id(), signature })
    }

    /// Adds a co-signer's line, instead of an earlier one by the same key.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] when it is not a signature of this by `cosigner`, [`ErrorKind::Invalid`] when
    /// there are too many.
    pub fn add_cosignature(
        &mut self,
        line: SignatureLine,
        cosigner: &VerifierKey,
    ) -> Result<(), LedgerError> {
        if !line.claims(cosigner) || self.cosigned(&line, cosigner).is_none() {
            return Err(LedgerError::new(
                ErrorKind::Refused,
                format!("this is not a signature by {cosigner}"),
            ));
        }
        self.note.add(line)
    }

    /// The time in a co-signature that holds.
    fn cosigned(&self, line: &SignatureLine, cosigner: &VerifierKey) -> Option<WallTime> {
        let (seconds, signature) = line.signature.split_first_chunk()?;
        let seconds = u64::from_be_bytes(*seconds);
        let micros = i64::try_from(seconds).ok()?.checked_mul(1_000_000)?;
        let holds = cosigner.kind() == KeyKind::Cosignature
            && cosigner.verifies(self.cosigned_message(seconds).as_bytes(), signature);
        holds.then(|| WallTime::from_unix_micros(micros))
    }

    fn cosigned_message(&self, seconds: u64) -> String {
        format!("cosignature/v1\ntime {seconds}\n{}", self.note.text())
    }
}

impl TryFrom<SignedNote> for SignedCheckpoint {
    type Error = LedgerError;

    fn try_from(note: SignedNote) -> Result<Self, LedgerError> {
        let checkpoint = Checkpoint::from_text(note.text())
            .ok_or_else(|| LedgerError::new(ErrorKind::Malformed, "this note is not a checkpoint"))?;
        Ok(Self { checkpoint, note })
    }
}

impl FromStr for SignedCheckpoint {
    type Err = LedgerError;

    fn from_str(text: &str) -> Result<Self, LedgerError> {
        text.parse::<SignedNote>()?.try_into()
    }
}

impl fmt::Display for SignedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.note.fmt(f)
    }
}
