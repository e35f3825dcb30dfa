//! The boxes of the file, one behind the other, and where its proof is.
//!
//! docs/evidence.md, section 3. Box headers are read here and not by mp4-atom, whose sizes are `usize`: 32 bits in a browser. Does
//! not belong here: what is in a box.

use std::io::{Read, Seek};
use std::ops::Range;

use mp4_atom::{Decode, Ftyp};

use crate::error::VerifyError;
use crate::file::File;
use crate::proof::{BOX_HEADER_BYTES, PROOF_BRAND, PROOF_UUID, TRAILER_BYTES};
use crate::report::{Findings, Place};

/// Boxes that are looked at; our files have four.
const MAX_BOXES: usize = 64;
/// ftyp with more than a hundred brands is none of ours.
const MAX_FTYP_BYTES: u64 = 512;

/// Where things are.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    /// The whole box.
    pub(crate) moov: Option<Range<u64>>,
    /// The samples, without the box's header.
    pub(crate) samples: Option<Range<u64>>,
    /// The whole box.
    pub(crate) proof: Option<Range<u64>>,
    /// Whether anything in the file says that there is a proof.
    pub(crate) claims_proof: bool,
}

struct BoxHeader {
    kind: [u8; 4],
    body: u64,
    end: u64,
}

/// Looks at the file from both ends; what is not as it should be goes to `findings`.
pub(crate) fn outline<R: Read + Seek>(
    file: &mut File<R>,
    findings: &mut Findings,
) -> Result<Outline, VerifyError> {
    let mut outline = Outline::default();
    let mut order: Vec<[u8; 4]> = Vec::new();
    let mut at = 0;
    while at < file.len() {
        let header = if order.len() < MAX_BOXES { read_header(file, at)? } else { None };
        let Some(header) = header else {
            findings.add("here the file is cut off, or no box begins", Place::byte(at));
            break;
        };
        match &header.kind {
            b"ftyp" if at == 0 => outline.claims_proof = has_brand(file, &header)?,
            b"moov" if outline.moov.is_none() => outline.moov = Some(at..header.end),
            b"mdat" if outline.samples.is_none() => outline.samples = Some(header.body..header.end),
            b"uuid" if file.array(header.body)? == Some(PROOF_UUID) => outline.proof = Some(at..header.end),
            _ => {}
        }
        order.push(header.kind);
        at = header.end;
    }
    let branded = outline.claims_proof;
    let trailed = by_trailer(file)?;
    if let Some(found) = outline.proof.as_ref() {
        if trailed.as_ref() != Some(found) {
            findings.add("the proof's last bytes are not those of a proof", Place::byte(found.end));
        }
    } else if let Some(found) = &trailed {
        findings.add("the proof's box does not begin like one", Place::byte(found.start));
    } else if branded {
        findings.add(
            "the file says that it ends with a proof, and does not: its end is missing",
            Place::byte(at),
        );
    }
    outline.proof = outline.proof.or(trailed);
    outline.claims_proof |= outline.proof.is_some();
    if outline.proof.is_some() {
        if !branded {
            findings.add("the file's first box does not say that there is a proof", Place::byte(0));
        }
        if order != [*b"ftyp", *b"moov", *b"mdat", *b"uuid"] {
            let what = "the file's boxes are not those of an export: it was written again by another program";
            findings.add(what, Place::byte(0));
        }
    }
    Ok(outline)
}

/// The header of the box at `at`; `None` when it is none, or reaches behind the end of the file.
fn read_header<R: Read + Seek>(file: &mut File<R>, at: u64) -> Result<Option<BoxHeader>, VerifyError> {
    let Some([s0, s1, s2, s3, k0, k1, k2, k3]) = file.array(at)? else { return Ok(None) };
    let (size, header) = match u32::from_be_bytes([s0, s1, s2, s3]) {
        // To the end of the file (4.2); never so in ours.
        0 => (file.len() - at, 8),
        1 => match file.array(at + 8)? {
            Some(size) => (u64::from_be_bytes(size), 16),
            None => return Ok(None),
        },
        size => (u64::from(size), 8),
    };
    let end = at.checked_add(size).filter(|&end| end <= file.len() && size >= header);
    Ok(end.map(|end| BoxHeader { kind: [k0, k1, k2, k3], body: at + header, end }))
}

fn has_brand<R: Read + Seek>(file: &mut File<R>, header: &BoxHeader) -> Result<bool, VerifyError> {
    if header.end > MAX_FTYP_BYTES {
        return Ok(false);
    }
    let bytes = file.bytes(0, header.end as usize)?.unwrap_or_default();
    let brands = Ftyp::decode(&mut bytes.as_slice()).map(|ftyp| ftyp.compatible_brands);
    Ok(brands.is_ok_and(|brands| brands.contains(&PROOF_BRAND.into())))
}

/// The proof that the file's last bytes tell of.
fn by_trailer<R: Read + Seek>(file: &mut File<R>) -> Result<Option<Range<u64>>, VerifyError> {
    let Some(at) = file.len().checked_sub(TRAILER_BYTES) else { return Ok(None) };
    let (Some(size), Some(uuid)) = (file.array(at)?, file.array::<16>(at + 8)?) else { return Ok(None) };
    let size = u64::from_le_bytes(size);
    let fits = uuid == PROOF_UUID && size >= BOX_HEADER_BYTES + TRAILER_BYTES;
    Ok(file.len().checked_sub(size).filter(|_| fits).map(|start| start..file.len()))
}
