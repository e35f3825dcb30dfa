//! A bundle as it comes in: each part is checked before the next is taken.
//!
//! Bytes are pushed in pieces of any size; the caller keeps them only after [`Incoming::push`] took them. The order is
//! head, envelope, signatures, target, and only then an image of which size and hash are known. So nothing endless can be
//! sent: at most [`MAX_ENVELOPE_BYTES`] are held, and what is accepted beyond is bounded by a signed number. Only a
//! [`VerifiedBundle`] can be installed.

use std::io::Read;
use std::mem;

use ring::digest::{Context, SHA256};

use crate::bundle::{CHUNK_BYTES, HEAD_BYTES, MAGIC, head};
use crate::envelope::MAX_ENVELOPE_BYTES;
use crate::error::UpdateError;
use crate::manifest::{FORMAT, Manifest};
use crate::progress::{Progress, Report, Step};
use crate::target::Target;
use crate::trust::{Trust, VerifiedEnvelope};

/// A bundle on its way in.
#[derive(Debug)]
pub struct Incoming {
    trust: Trust,
    target: Target,
    part: Part,
    received: u64,
}

enum Part {
    Head(Vec<u8>),
    Envelope { bytes: Vec<u8>, wanted: usize },
    Image(Box<ImagePart>),
    Refused,
}

struct ImagePart {
    envelope: VerifiedEnvelope,
    offset: u64,
    left: u64,
    hash: Context,
}

/// A bundle that was read to its end, is signed and fits this device.
#[derive(Clone, Debug)]
pub struct VerifiedBundle {
    envelope: VerifiedEnvelope,
    image_offset: u64,
}

impl Incoming {
    /// Awaits a bundle's first byte.
    #[must_use]
    pub fn new(trust: Trust, target: Target) -> Self {
        Self { trust, target, part: Part::Head(Vec::with_capacity(HEAD_BYTES)), received: 0 }
    }

    /// Takes the next bytes. After an error, nothing more is taken.
    ///
    /// # Errors
    /// `NotABundle`, `BadSignature`, or what [`Target::check_install`] says; `Damaged` for bytes after the end.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), UpdateError> {
        while !bytes.is_empty() {
            let part = mem::replace(&mut self.part, Part::Refused);
            (self.part, bytes) = self.take(part, bytes)?;
        }
        Ok(())
    }

    /// How many bytes were taken.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// How many bytes the whole bundle has, once its manifest is believed.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        match &self.part {
            Part::Image(image) => Some(image.offset + image.envelope.manifest().root().bytes),
            _ => None,
        }
    }

    /// The manifest, once it is believed.
    #[must_use]
    pub fn manifest(&self) -> Option<&Manifest> {
        match &self.part {
            Part::Image(image) => Some(image.envelope.manifest()),
            _ => None,
        }
    }

    /// The end of the bytes.
    ///
    /// # Errors
    /// `Damaged` when bytes are missing or are not those that were signed, `NotABundle` when it ends in its head.
    pub fn finish(self) -> Result<VerifiedBundle, UpdateError> {
        match self.part {
            Part::Image(image) if image.left > 0 => {
                Err(UpdateError::Damaged(format!("{} bytes are missing", image.left)))
            }
            Part::Image(image) => {
                let ImagePart { envelope, offset: image_offset, hash, .. } = *image;
                if hash.finish().as_ref() != envelope.manifest().root().sha256 {
                    return Err(UpdateError::Damaged("its image is not the one that was signed".to_owned()));
                }
                Ok(VerifiedBundle { envelope, image_offset })
            }
            Part::Envelope { .. } => Err(UpdateError::Damaged("it ends in its head".to_owned())),
            Part::Head(_) => Err(UpdateError::NotABundle("it is too short".to_owned())),
            Part::Refused => Err(UpdateError::Damaged("it was refused before its end".to_owned())),
        }
    }

    /// Takes what the part needs of `bytes`: the part that follows, and what is left over.
    fn take<'a>(&mut self, part: Part, bytes: &'a [u8]) -> Result<(Part, &'a [u8]), UpdateError> {
        match part {
            Part::Head(mut head) => {
                let rest = self.fill(&mut head, HEAD_BYTES, bytes);
                if head.len() < HEAD_BYTES {
                    return Ok((Part::Head(head), rest));
                }
                let wanted = envelope_bytes(&head).map_err(UpdateError::NotABundle)?;
                Ok((Part::Envelope { bytes: Vec::new(), wanted }, rest))
            }
            Part::Envelope { bytes: mut envelope, wanted } => {
                let rest = self.fill(&mut envelope, wanted, bytes);
                if envelope.len() < wanted {
                    return Ok((Part::Envelope { bytes: envelope, wanted }, rest));
                }
                let envelope = self.trust.verify(&envelope)?;
                self.target.check_install(&envelope)?;
                let left = envelope.manifest().root().bytes;
                let hash = Context::new(&SHA256);
                let offset = (HEAD_BYTES + wanted) as u64;
                Ok((Part::Image(Box::new(ImagePart { envelope, offset, left, hash })), rest))
            }
            Part::Image(mut image) => {
                if bytes.len() as u64 > image.left {
                    return Err(UpdateError::Damaged("more follows after its end".to_owned()));
                }
                image.hash.update(bytes);
                image.left -= bytes.len() as u64;
                self.received += bytes.len() as u64;
                Ok((Part::Image(image), &[]))
            }
            Part::Refused => Err(UpdateError::Damaged("it was refused already".to_owned())),
        }
    }

    /// Moves bytes until `part` has `wanted`; what is left over.
    fn fill<'a>(&mut self, part: &mut Vec<u8>, wanted: usize, bytes: &'a [u8]) -> &'a [u8] {
        let (taken, rest) = bytes.split_at(bytes.len().min(wanted - part.len()));
        part.extend(taken);
        self.received += taken.len() as u64;
        rest
    }
}

impl VerifiedBundle {
    /// The envelope.
    #[must_use]
    pub fn envelope(&self) -> &VerifiedEnvelope {
        &self.envelope
    }

    /// What was signed.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        self.envelope.manifest()
    }

    /// Where in the file the root image begins.
    #[must_use]
    pub fn image_offset(&self) -> u64 {
        self.image_offset
    }

    /// The bytes of the whole file.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.image_offset + self.manifest().root().bytes
    }
}

/// Reads and checks a whole bundle from a file.
///
/// # Errors
/// As [`Incoming::push`] and [`Incoming::finish`]; `Device` when reading fails.
pub fn verify_bundle(
    mut from: impl Read,
    trust: &Trust,
    target: &Target,
    progress: Report<'_>,
) -> Result<VerifiedBundle, UpdateError> {
    let mut incoming = Incoming::new(trust.clone(), target.clone());
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = from.read(&mut chunk).map_err(UpdateError::file("reading the bundle"))?;
        if read == 0 {
            return incoming.finish();
        }
        incoming.push(&chunk[..read])?;
        if let Some(total_bytes) = incoming.total() {
            progress(Progress { step: Step::Verifying, done_bytes: incoming.received(), total_bytes });
        }
    }
}

/// The envelope's length, from a head that is one in all its bytes.
fn envelope_bytes(bytes: &[u8]) -> Result<usize, String> {
    if !bytes.starts_with(MAGIC) {
        return Err("it does not begin like one".to_owned());
    }
    let format = u16::from_le_bytes([bytes[8], bytes[9]]);
    if format != FORMAT {
        return Err(format!("it has format {format}, and this program knows {FORMAT}"));
    }
    let length = u32::from_le_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]) as usize;
    if length == 0 || length > MAX_ENVELOPE_BYTES || bytes != head(length) {
        return Err(format!("its head names {length} bytes, and at most {MAX_ENVELOPE_BYTES} are read"));
    }
    Ok(length)
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Head(_) => "Head",
            Self::Envelope { .. } => "Envelope",
            Self::Image(_) => "Image",
            Self::Refused => "Refused",
        })
    }
}
