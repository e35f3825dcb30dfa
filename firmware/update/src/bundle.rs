//! The bundle file: a head, an envelope and an image.
//!
//! docs/update-format.md has the bytes. Building is deterministic: the same manifest, keys and image make the same
//! file. Does not belong here: reading one that somebody sent (`incoming.rs`).

use std::io::{self, Read, Write};

use ring::digest::{Context, SHA256};

use crate::envelope::Envelope;
use crate::error::UpdateError;
use crate::keys::SigningKey;
use crate::manifest::{FORMAT, Image, ImageRole, Manifest};
use crate::root_document::SignedRoot;

/// The bytes before the envelope.
pub const HEAD_BYTES: usize = 16;

/// How a bundle begins.
pub const MAGIC: &[u8; 8] = b"CANDORUP";

/// What is read and hashed at once.
pub(crate) const CHUNK_BYTES: usize = 64 * 1024;

/// The head before an envelope of `envelope_bytes`.
pub(crate) fn head(envelope_bytes: usize) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    head[..8].copy_from_slice(MAGIC);
    head[8..10].copy_from_slice(&FORMAT.to_le_bytes());
    head[12..].copy_from_slice(&(envelope_bytes as u32).to_le_bytes());
    head
}

/// Describes a root image for a manifest: its size and SHA-256.
///
/// # Errors
/// The reader's.
pub fn describe_root(mut root: impl Read) -> io::Result<Image> {
    let mut hash = Context::new(&SHA256);
    let mut bytes = 0;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match root.read(&mut chunk)? {
            0 => break,
            read => {
                hash.update(&chunk[..read]);
                bytes += read as u64;
            }
        }
    }
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(hash.finish().as_ref());
    Ok(Image { role: ImageRole::Root, bytes, sha256 })
}

/// Writes a bundle of `manifest`, signed by `signers`, with the root documents that lead from the initial one to their
/// keys, and the root image that the manifest describes.
///
/// # Errors
/// `Invalid` when the manifest breaks a rule or does not describe this image, `Device` or `NoSpace` when reading or
/// writing fails.
pub fn build(
    manifest: &Manifest,
    roots: &[SignedRoot],
    signers: &[&SigningKey],
    root: impl Read,
    mut to: impl Write,
) -> Result<(), UpdateError> {
    let text = manifest.to_json().map_err(UpdateError::Invalid)?;
    let signatures = signers.iter().map(|signer| signer.sign(text.as_bytes())).collect();
    let envelope = Envelope { roots: roots.to_vec(), manifest: text, signatures };
    let envelope = envelope.to_json().map_err(UpdateError::Invalid)?;
    let writing = UpdateError::file("writing a bundle");
    to.write_all(&head(envelope.len())).map_err(&writing)?;
    to.write_all(&envelope).map_err(&writing)?;
    let mut copied = Copied { from: root, to: &mut to, hash: Context::new(&SHA256), bytes: 0 };
    io::copy(&mut copied, &mut io::sink()).map_err(&writing)?;
    let image = manifest.root();
    if copied.bytes != image.bytes || copied.hash.finish().as_ref() != image.sha256 {
        return Err(UpdateError::Invalid("The manifest describes another image than is given.".to_owned()));
    }
    to.flush().map_err(&writing)
}

/// Reads, writes on and hashes.
struct Copied<R, W> {
    from: R,
    to: W,
    hash: Context,
    bytes: u64,
}

impl<R: Read, W: Write> Read for Copied<R, W> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        self.to.write_all(&into[..read])?;
        self.hash.update(&into[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}
