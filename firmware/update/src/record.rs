//! Records of the state log: bytes to fields and back (docs/state-log.md).
//!
//! Pure: no flash. A record carries the generation of its half in its checksum, so that what an erase left behind is
//! never taken for a record of today.

/// Records begin at multiples of this: a common size of a NOR chip's write word, so that no word is programmed twice.
pub(crate) const ALIGN: usize = 16;

/// The bytes of a half's header.
pub(crate) const HALF_HEADER_BYTES: usize = 16;

/// The bytes of a record before its key.
pub(crate) const RECORD_HEADER_BYTES: usize = 16;

/// The longest key in bytes: names like `settings-v12`.
pub const MAX_KEY_BYTES: usize = 32;

/// The longest value: settings of 64 channels have about 20 KiB.
pub const MAX_VALUE_BYTES: usize = 64 * 1024;

const HALF_MAGIC: &[u8; 8] = b"CANDLOG1";
const MARK: u8 = 0xA5;
const SET: u8 = 1;
const REMOVE: u8 = 2;

/// One change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) key: &'a str,
    /// `None` removes the key.
    pub(crate) value: Option<&'a [u8]>,
}

/// What stands at a place of a half.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// A whole record, and its length with padding.
    Record(Record<'a>, usize),
    /// Nothing was ever written here.
    Blank,
    /// A record that was cut short, or noise.
    Torn,
}

/// The header of a half.
pub(crate) fn half_header(generation: u32) -> [u8; HALF_HEADER_BYTES] {
    let mut header = [0; HALF_HEADER_BYTES];
    header[..8].copy_from_slice(HALF_MAGIC);
    header[8..12].copy_from_slice(&generation.to_le_bytes());
    let crc = crc32c::crc32c(&header[..12]);
    header[12..].copy_from_slice(&crc.to_le_bytes());
    header
}

/// The generation of a half with a whole header.
pub(crate) fn half_generation(half: &[u8]) -> Option<u32> {
    let header = half.get(..HALF_HEADER_BYTES)?;
    let generation = u32_at(header, 8)?;
    (header == half_header(generation)).then_some(generation)
}

/// The bytes that a record takes, padding included.
pub(crate) fn encoded_len(record: Record<'_>) -> usize {
    (RECORD_HEADER_BYTES + record.key.len() + record.value.map_or(0, <[u8]>::len)).next_multiple_of(ALIGN)
}

/// A record's bytes. Key and value are within their limits.
pub(crate) fn encode(record: Record<'_>, generation: u32, sequence: u32) -> Vec<u8> {
    let value = record.value.unwrap_or_default();
    let mut bytes = Vec::with_capacity(encoded_len(record));
    bytes.push(MARK);
    bytes.push(if record.value.is_some() { SET } else { REMOVE });
    bytes.extend((record.key.len() as u16).to_le_bytes());
    bytes.extend((value.len() as u32).to_le_bytes());
    bytes.extend(sequence.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(record.key.as_bytes());
    bytes.extend(value);
    let crc = checksum(&bytes, generation);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    bytes.resize(encoded_len(record), 0xFF);
    bytes
}

/// Reads what stands at the start of `bytes`, the rest of a half.
pub(crate) fn decode(bytes: &[u8], generation: u32, sequence: u32) -> Found<'_> {
    // A cut program may leave anything anywhere: only a rest without any programmed bit can be appended to.
    if bytes.iter().all(|&byte| byte == 0xFF) {
        return Found::Blank;
    }
    decode_record(bytes, generation, sequence).map_or(Found::Torn, |(record, len)| Found::Record(record, len))
}

fn decode_record(bytes: &[u8], generation: u32, sequence: u32) -> Option<(Record<'_>, usize)> {
    let kind = *bytes.get(1)?;
    let key_len = usize::from(u16::from_le_bytes(bytes.get(2..4)?.try_into().ok()?));
    let value_len = u32_at(bytes, 4)? as usize;
    let fits = (1..=MAX_KEY_BYTES).contains(&key_len) && value_len <= MAX_VALUE_BYTES;
    if bytes[0] != MARK || !matches!(kind, SET | REMOVE) || !fits || u32_at(bytes, 8)? != sequence {
        return None;
    }
    let end = RECORD_HEADER_BYTES + key_len + value_len;
    let whole = bytes.get(..end)?;
    if u32_at(bytes, 12)? != checksum(whole, generation) {
        return None;
    }
    let (key, value) = whole[RECORD_HEADER_BYTES..].split_at(key_len);
    let record = Record { key: str::from_utf8(key).ok()?, value: (kind == SET).then_some(value) };
    let len = encoded_len(record);
    let padding = bytes.get(end..len)?;
    padding.iter().all(|&byte| byte == 0xFF).then_some((record, len))
}

/// CRC32C of the generation and a record, its own field left out.
fn checksum(record: &[u8], generation: u32) -> u32 {
    let crc = crc32c::crc32c(&generation.to_le_bytes());
    let crc = crc32c::crc32c_append(crc, &record[..12]);
    crc32c::crc32c_append(crc, &record[RECORD_HEADER_BYTES..])
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: Record<'_> = Record { key: "boot", value: Some(b"value") };

    #[test]
    fn the_bytes_are_those_of_the_page() {
        let bytes = encode(RECORD, 1, 7);
        assert_eq!(bytes.len(), 32);
        assert_eq!(bytes[..12], [0xA5, 1, 4, 0, 5, 0, 0, 0, 7, 0, 0, 0]);
        assert_eq!(&bytes[16..], b"bootvalue\xFF\xFF\xFF\xFF\xFF\xFF\xFF");
        assert_eq!(&half_header(3)[..12], b"CANDLOG1\x03\0\0\0");
    }

    #[test]
    fn records_come_back_and_each_flipped_bit_is_seen() {
        for record in [RECORD, Record { key: "k", value: None }, Record { key: "k", value: Some(b"") }] {
            let mut bytes = encode(record, 2, 9);
            let len = bytes.len();
            assert_eq!(decode(&bytes, 2, 9), Found::Record(record, len));
            assert_eq!(decode(&bytes, 3, 9), Found::Torn, "of another generation");
            assert_eq!(decode(&bytes, 2, 8), Found::Torn, "out of order");
            for bit in 0..len * 8 {
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(decode(&bytes, 2, 9), Found::Torn, "bit {bit}");
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            for cut in 0..len {
                assert!(!matches!(decode(&bytes[..cut], 2, 9), Found::Record(..)));
            }
        }
    }

    #[test]
    fn half_headers_come_back_and_each_flipped_bit_is_seen() {
        let mut header = half_header(77);
        assert_eq!(half_generation(&header), Some(77));
        for bit in 0..HALF_HEADER_BYTES * 8 {
            header[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(half_generation(&header), None, "bit {bit}");
            header[bit / 8] ^= 1 << (bit % 8);
        }
        assert_eq!(half_generation(&[0xFF; 16]), None);
        assert_eq!(half_generation(&[]), None);
    }
}
