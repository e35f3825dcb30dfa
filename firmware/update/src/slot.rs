//! A slot: a root file system, and its envelope in the last erase block.
//!
//! The header block is erased first and written last, so that a slot is whole or has no header. Nothing is skipped
//! because it looks right: a block whose erase was cut can read well and still forget. Does not belong here: which
//! slot to write or to start (`decide.rs`).

use std::io::Read;

use hal::{FlashGeometry, NorFlash};
use ring::digest::{Context, SHA256};

use crate::error::UpdateError;
use crate::progress::{Progress, Report, Step};
use crate::target::Target;
use crate::trust::{Trust, VerifiedEnvelope};

/// The bytes before the envelope in a slot's header.
pub const SLOT_HEADER_BYTES: usize = 32;

/// How often a block is written before the chip counts as worn.
const WRITE_TRIES: u32 = 3;

const MAGIC: &[u8; 8] = b"CANDSLOT";
const FORMAT: u16 = 1;
/// The checksum's place: it covers what is before it, and the envelope.
const CRC_AT: usize = 16;

/// The largest root that fits a slot in a partition of that geometry.
#[must_use]
pub fn max_root_bytes(geometry: FlashGeometry) -> u64 {
    u64::from(geometry.size.saturating_sub(geometry.erase_block))
}

/// Writes a slot: [`SlotWriter::write_root`], then [`WrittenRoot::finish`].
pub struct SlotWriter<'a> {
    flash: &'a mut dyn NorFlash,
    envelope: &'a VerifiedEnvelope,
    header: Vec<u8>,
}

/// A slot whose root is written and read back, still without a header.
pub struct WrittenRoot<'a>(SlotWriter<'a>);

impl<'a> SlotWriter<'a> {
    /// Checks that everything fits; nothing is erased yet.
    ///
    /// # Errors
    /// `TooLarge` when the root or the header does not fit.
    pub fn new(flash: &'a mut dyn NorFlash, envelope: &'a VerifiedEnvelope) -> Result<Self, UpdateError> {
        let geometry = flash.geometry();
        let header = slot_header(envelope.bytes());
        let parts = [
            ("The image", envelope.manifest().root().bytes, max_root_bytes(geometry)),
            ("The slot's header", header.len() as u64, u64::from(geometry.erase_block)),
        ];
        for (what, bytes, max) in parts {
            if bytes > max {
                return Err(UpdateError::TooLarge { what: what.to_owned(), bytes, max });
            }
        }
        Ok(Self { flash, envelope, header })
    }

    /// Erases the header, writes the root from `from` block by block with read-back, and hashes what the chip holds.
    ///
    /// # Errors
    /// `Damaged` when `from` ends early or is not what was signed, `Device` when it cannot be read or the chip fails.
    /// The slot then has no header.
    pub fn write_root(
        self,
        mut from: impl Read,
        progress: Report<'_>,
    ) -> Result<WrittenRoot<'a>, UpdateError> {
        let geometry = self.flash.geometry();
        let header_at = geometry.size - geometry.erase_block;
        self.flash
            .erase(header_at, geometry.erase_block)
            .map_err(UpdateError::flash("erasing the header"))?;
        let total_bytes = self.envelope.manifest().root().bytes;
        let mut block = vec![0; geometry.erase_block as usize];
        let mut done_bytes = 0;
        while done_bytes < total_bytes {
            let length = (total_bytes - done_bytes).min(block.len() as u64) as usize;
            from.read_exact(&mut block[..length]).map_err(|e| match e.kind() {
                std::io::ErrorKind::UnexpectedEof => UpdateError::Damaged("it ends early".to_owned()),
                _ => UpdateError::file("reading the bundle")(e),
            })?;
            write_block(self.flash, done_bytes as u32, &block[..length])?;
            done_bytes += length as u64;
            progress(Progress { step: Step::Writing, done_bytes, total_bytes });
        }
        check_root(self.flash, self.envelope, progress)?;
        Ok(WrittenRoot(self))
    }
}

impl WrittenRoot<'_> {
    /// Writes the header: from here on the slot is whole.
    ///
    /// # Errors
    /// `Device` when the chip fails.
    pub fn finish(self) -> Result<(), UpdateError> {
        let SlotWriter { flash, header, .. } = self.0;
        let geometry = flash.geometry();
        write_block(flash, geometry.size - geometry.erase_block, &header)
    }
}

/// A slot's envelope, verified and allowed to start; the root itself is not read. `None` for an empty slot.
///
/// # Errors
/// `Damaged` for a broken header, `BadSignature`, what [`Target::check_start`] says, `Device` when the chip fails.
pub fn read_slot(
    flash: &mut dyn NorFlash,
    trust: &Trust,
    target: &Target,
) -> Result<Option<VerifiedEnvelope>, UpdateError> {
    let geometry = flash.geometry();
    let at = geometry.size - geometry.erase_block;
    let mut head = [0; SLOT_HEADER_BYTES];
    flash.read(at, &mut head).map_err(UpdateError::flash("reading the header"))?;
    if head.iter().all(|&byte| byte == 0xFF) {
        return Ok(None);
    }
    let damaged = || UpdateError::Slot("its header is not whole");
    let length = u32::from_le_bytes([head[12], head[13], head[14], head[15]]) as usize;
    if length > geometry.erase_block as usize - SLOT_HEADER_BYTES {
        return Err(damaged());
    }
    let mut envelope = vec![0; length];
    let at = at + SLOT_HEADER_BYTES as u32;
    flash.read(at, &mut envelope).map_err(UpdateError::flash("reading the header"))?;
    if slot_header(&envelope)[..SLOT_HEADER_BYTES] != head {
        return Err(damaged());
    }
    let envelope = trust.verify(&envelope)?;
    target.check_start(envelope.manifest())?;
    Ok(Some(envelope))
}

/// Verifies a slot wholly: what the loader does before it starts it.
///
/// # Errors
/// As [`read_slot`]; `Damaged` for an empty slot and for a root that is not what was signed.
pub fn verify_slot(
    flash: &mut dyn NorFlash,
    trust: &Trust,
    target: &Target,
    progress: Report<'_>,
) -> Result<VerifiedEnvelope, UpdateError> {
    let envelope = read_slot(flash, trust, target)?.ok_or_else(|| UpdateError::Slot("it is empty"))?;
    if envelope.manifest().root().bytes > max_root_bytes(flash.geometry()) {
        return Err(UpdateError::Slot("its image is longer than the slot"));
    }
    check_root(flash, &envelope, progress)?;
    Ok(envelope)
}

/// Reads the root of a slot in pieces; `each` may end it with an error.
pub(crate) fn read_root(
    flash: &mut dyn NorFlash,
    bytes: u64,
    each: &mut dyn FnMut(&[u8]) -> Result<(), UpdateError>,
) -> Result<(), UpdateError> {
    let mut block = vec![0; flash.geometry().erase_block as usize];
    let mut done = 0;
    while done < bytes {
        let length = (bytes - done).min(block.len() as u64) as usize;
        flash.read(done as u32, &mut block[..length]).map_err(UpdateError::flash("reading the slot"))?;
        each(&block[..length])?;
        done += length as u64;
    }
    Ok(())
}

fn check_root(
    flash: &mut dyn NorFlash,
    envelope: &VerifiedEnvelope,
    progress: Report<'_>,
) -> Result<(), UpdateError> {
    let image = envelope.manifest().root();
    let mut hash = Context::new(&SHA256);
    let mut done_bytes = 0;
    read_root(flash, image.bytes, &mut |block| {
        hash.update(block);
        done_bytes += block.len() as u64;
        progress(Progress { step: Step::Checking, done_bytes, total_bytes: image.bytes });
        Ok(())
    })?;
    if hash.finish().as_ref() == image.sha256 {
        Ok(())
    } else {
        Err(UpdateError::Slot("its image is not the one that was signed"))
    }
}

/// Erases a block and programs it, until it reads back.
fn write_block(flash: &mut dyn NorFlash, offset: u32, bytes: &[u8]) -> Result<(), UpdateError> {
    let block = flash.geometry().erase_block;
    let mut held = vec![0; bytes.len()];
    for _ in 0..WRITE_TRIES {
        flash.erase(offset, block).map_err(UpdateError::flash("erasing a slot"))?;
        flash.program(offset, bytes).map_err(UpdateError::flash("writing a slot"))?;
        flash.read(offset, &mut held).map_err(UpdateError::flash("reading a slot back"))?;
        if held == bytes {
            return Ok(());
        }
    }
    Err(UpdateError::Worn { offset })
}

/// A header with its envelope.
fn slot_header(envelope: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(SLOT_HEADER_BYTES + envelope.len());
    bytes.extend(MAGIC);
    bytes.extend(FORMAT.to_le_bytes());
    bytes.extend([0; 2]);
    bytes.extend((envelope.len() as u32).to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes), envelope);
    debug_assert_eq!(bytes.len(), CRC_AT);
    bytes.extend(crc.to_le_bytes());
    bytes.resize(SLOT_HEADER_BYTES, 0xFF);
    bytes.extend(envelope);
    bytes
}
