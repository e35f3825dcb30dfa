//! The state log: small values that survive a power cut at any moment.
//!
//! Key-value records are appended to one half of a region of NOR flash. When that half is full, or its end was cut, all
//! values are copied to the other half, whose header is written last (docs/state-log.md has the bytes). After a cut
//! each key has its old or its new value. Opening only reads.
//!
//! Does not belong here: what the values mean (`boot_state.rs`, `trust.rs`, and whoever else keeps one).

use std::collections::BTreeMap;

use hal::NorFlash;

use crate::error::UpdateError;
use crate::record::{self, Found, HALF_HEADER_BYTES, MAX_KEY_BYTES, MAX_VALUE_BYTES, Record};

/// What of a partition is used: copying and scanning stay under a second on the slowest chips.
pub const MAX_LOG_BYTES: u32 = 1024 * 1024;

/// The most that all values may take together, headers included: well under half of the smallest usual log of 512 KiB,
/// so that copying always leaves room to append.
pub const MAX_LIVE_BYTES: usize = 192 * 1024;

/// What opening found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenReport {
    /// No half was whole: the log is new, or was destroyed.
    pub fresh: bool,
    /// The records that were read, live and replaced.
    pub records: u32,
    /// Where in the region the end was cut; the next change copies the values to the other half.
    pub torn_at: Option<u32>,
}

/// Values by key in a region of flash.
#[derive(Debug)]
pub struct StateLog<F> {
    flash: F,
    offset: u32,
    half_bytes: u32,
    values: BTreeMap<String, Vec<u8>>,
    /// Which half is in use; `None` until the first value is set.
    current: Option<Half>,
}

#[derive(Clone, Copy, Debug)]
struct Half {
    index: u32,
    generation: u32,
    sequence: u32,
    /// Where the next record goes; `None` when the end was cut.
    end: Option<u32>,
}

impl<F: NorFlash> StateLog<F> {
    /// Opens the log in `length` bytes from `offset` on, of which at most [`MAX_LOG_BYTES`] are used.
    ///
    /// # Errors
    /// `Invalid` for a region of fewer than two erase blocks, `Device` when the flash cannot be read. What a power cut
    /// left is never an error.
    pub fn open(flash: F, offset: u32, length: u32) -> Result<(Self, OpenReport), UpdateError> {
        let block = flash.geometry().erase_block;
        let half_bytes = (length.min(MAX_LOG_BYTES) / 2) / block * block;
        if half_bytes == 0 || !offset.is_multiple_of(block) {
            return Err(UpdateError::Invalid(format!(
                "A state log needs two erase blocks of {block} bytes; at {offset:#x} it has {length} bytes."
            )));
        }
        let mut log = Self { flash, offset, half_bytes, values: BTreeMap::new(), current: None };
        let report = log.read_newest()?;
        Ok((log, report))
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        self.values.get(key).map(Vec::as_slice)
    }

    /// The keys that have a value.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// Sets `key`; when this returns, the chip holds it and was read back. Setting the same value again costs nothing.
    ///
    /// # Errors
    /// `Invalid` for a key of no or more than [`MAX_KEY_BYTES`] bytes, `TooLarge` for a value beyond
    /// [`MAX_VALUE_BYTES`] or when all together are beyond [`MAX_LIVE_BYTES`], `Device` when the flash fails. After an
    /// error the old value stands here; on the chip it is the old or the new one.
    pub fn set(&mut self, key: &str, value: &[u8]) -> Result<(), UpdateError> {
        if self.get(key) == Some(value) {
            return Ok(());
        }
        let record = Record { key, value: Some(value) };
        if key.is_empty() || key.len() > MAX_KEY_BYTES {
            return Err(UpdateError::Invalid(format!("A key of {} bytes.", key.len())));
        }
        if value.len() > MAX_VALUE_BYTES {
            return Err(too_large(key, value.len(), MAX_VALUE_BYTES));
        }
        let others: usize = self.live().filter(|other| other.key != key).map(record::encoded_len).sum();
        let max = MAX_LIVE_BYTES.min(self.half_bytes as usize - HALF_HEADER_BYTES);
        let live = others + record::encoded_len(record);
        if live > max {
            return Err(too_large("All that is stored", live, max));
        }
        self.write(record)
    }

    /// Removes `key`, if it is there.
    ///
    /// # Errors
    /// `Device` when the flash fails; the value then stands.
    pub fn remove(&mut self, key: &str) -> Result<(), UpdateError> {
        if self.get(key).is_none() {
            return Ok(());
        }
        self.write(Record { key, value: None })
    }

    /// Gives the flash back.
    pub fn into_flash(self) -> F {
        self.flash
    }

    /// Reads the half with the newest whole header.
    fn read_newest(&mut self) -> Result<OpenReport, UpdateError> {
        let mut newest: Option<(u32, u32)> = None;
        for index in [0, 1] {
            let mut header = [0; HALF_HEADER_BYTES];
            let at = self.half_offset(index);
            self.flash.read(at, &mut header).map_err(UpdateError::flash("reading the state log"))?;
            if let Some(generation) = record::half_generation(&header)
                && newest.is_none_or(|(_, best)| generation > best)
            {
                newest = Some((index, generation));
            }
        }
        let Some((index, generation)) = newest else {
            return Ok(OpenReport { fresh: true, records: 0, torn_at: None });
        };
        let mut bytes = vec![0; self.half_bytes as usize];
        let at = self.half_offset(index);
        self.flash.read(at, &mut bytes).map_err(UpdateError::flash("reading the state log"))?;
        let mut half = Half { index, generation, sequence: 0, end: Some(HALF_HEADER_BYTES as u32) };
        let mut torn_at = None;
        let mut place = HALF_HEADER_BYTES;
        // A cut tail is scanned as one piece: what follows a torn record was never acknowledged.
        while place < bytes.len() {
            match record::decode(&bytes[place..], generation, half.sequence) {
                Found::Record(record, len) => {
                    match record.value {
                        Some(value) => self.values.insert(record.key.to_owned(), value.to_vec()),
                        None => self.values.remove(record.key),
                    };
                    half.sequence += 1;
                    place += len;
                    half.end = Some(place as u32);
                }
                Found::Blank => break,
                Found::Torn => {
                    torn_at = Some(at + place as u32);
                    half.end = None;
                    break;
                }
            }
        }
        self.current = Some(half);
        Ok(OpenReport { fresh: false, records: half.sequence, torn_at })
    }

    /// Appends where there is room behind whole records, else copies to the other half.
    fn write(&mut self, record: Record<'_>) -> Result<(), UpdateError> {
        if !self.append(record)? {
            self.copy_with(record)?;
        }
        match record.value {
            Some(value) => self.values.insert(record.key.to_owned(), value.to_vec()),
            None => self.values.remove(record.key),
        };
        Ok(())
    }

    /// `false` when the record has to go to the other half.
    fn append(&mut self, record: Record<'_>) -> Result<bool, UpdateError> {
        let Some(Half { index, generation, sequence, end: Some(end) }) = self.current else {
            return Ok(false);
        };
        let bytes = record::encode(record, generation, sequence);
        if bytes.len() > (self.half_bytes - end) as usize {
            return Ok(false);
        }
        // Until it is read back, this half must not be appended to.
        self.current = Some(Half { index, generation, sequence, end: None });
        if !self.program(self.half_offset(index) + end, &bytes)? {
            return Ok(false);
        }
        let end = Some(end + bytes.len() as u32);
        self.current = Some(Half { index, generation, sequence: sequence + 1, end });
        Ok(true)
    }

    /// Copies all values, changed by `change`, to the half that is not in use, and its header last.
    fn copy_with(&mut self, change: Record<'_>) -> Result<(), UpdateError> {
        let (index, generation) =
            self.current.map_or((0, 1), |half| (1 - half.index, half.generation.saturating_add(1)));
        // Should this fail late, the copy may count at the next opening: nothing may be appended to the old half.
        self.current = self.current.map(|half| Half { end: None, ..half });
        let start = self.half_offset(index);
        // Blank or not: a block whose erase was cut can read as blank and not hold what is written to it.
        self.flash.erase(start, self.half_bytes).map_err(UpdateError::flash("erasing the state log"))?;
        let kept = self.live().filter(|live| live.key != change.key);
        let set = change.value.is_some().then_some(change);
        let mut body = Vec::new();
        let mut sequence = 0;
        for record in kept.chain(set) {
            body.extend(record::encode(record, generation, sequence));
            sequence += 1;
        }
        let first = start + HALF_HEADER_BYTES as u32;
        if !self.program(first, &body)? {
            return Err(UpdateError::Worn { offset: first });
        }
        if !self.program(start, &record::half_header(generation))? {
            return Err(UpdateError::Worn { offset: start });
        }
        let end = Some((HALF_HEADER_BYTES + body.len()) as u32);
        self.current = Some(Half { index, generation, sequence, end });
        Ok(())
    }

    /// Programs and reads back: `false` when the chip holds something else.
    fn program(&mut self, at: u32, bytes: &[u8]) -> Result<bool, UpdateError> {
        self.flash.program(at, bytes).map_err(UpdateError::flash("writing the state log"))?;
        let mut held = vec![0; bytes.len()];
        self.flash.read(at, &mut held).map_err(UpdateError::flash("reading the state log back"))?;
        Ok(held == bytes)
    }

    fn live(&self) -> impl Iterator<Item = Record<'_>> {
        self.values.iter().map(|(key, value)| Record { key, value: Some(value) })
    }

    fn half_offset(&self, index: u32) -> u32 {
        self.offset + index * self.half_bytes
    }
}

fn too_large(what: &str, bytes: usize, max: usize) -> UpdateError {
    UpdateError::TooLarge { what: what.to_owned(), bytes: bytes as u64, max: max as u64 }
}
