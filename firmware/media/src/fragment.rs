//! Fragmented MP4 for Media Source Extensions: an init segment, then fragments.
//!
//! ISO/IEC 14496-12 section 8.8, in the form that the MSE byte stream format for ISO BMFF asks for: one moof
//! and one mdat a fragment, offsets relative to the moof. Does not belong here: which units make a fragment.

use bytes::Bytes;
use mp4_atom::{
    BufMut, Encode, FourCC, Ftyp, Mfhd, Moof, Mvex, Tfdt, Tfhd, Traf, Trex, Trun, TrunEntry, TrunSamples,
};

use crate::boxes::{SampleTables, TrackBox, encode_moov};
use crate::entry::SampleEntry;
use crate::error::MediaError;

/// Sample flags (8.8.3.1): depends on no other sample.
const FLAGS_SYNC: u32 = 0x0200_0000;

/// Sample flags (8.8.3.1): depends on others, is no sync sample.
const FLAGS_DEPENDS: u32 = 0x0101_0000;

/// One track of an init segment.
#[derive(Clone, Debug)]
pub struct TrackInit {
    /// From 1, unique.
    pub id: u32,
    /// What its samples are. Gives the track's timescale: [`SampleEntry::timescale`].
    pub entry: SampleEntry,
}

/// The samples of one track in one fragment.
#[derive(Clone, Debug)]
pub struct FragmentTrack<'a> {
    /// As in [`TrackInit`].
    pub id: u32,
    /// baseMediaDecodeTime of the first sample, in the track's timescale.
    pub decode_time: u64,
    /// In decoding order.
    pub samples: &'a [FragmentSample<'a>],
}

/// One sample of a fragment.
#[derive(Clone, Copy, Debug)]
pub struct FragmentSample<'a> {
    /// To the next sample's decoding time, in the track's timescale.
    pub duration: u32,
    /// Presentation time less decoding time, in the track's timescale.
    pub composition_offset: i32,
    /// Decoding can start here.
    pub keyframe: bool,
    /// Video: length-prefixed NAL units. Audio: the unit.
    pub data: &'a [u8],
}

/// An init segment: ftyp and a moov without samples.
///
/// # Errors
/// [`MediaError`] when there is no track, or a sample entry cannot be written.
pub fn init_segment(tracks: &[TrackInit]) -> Result<Bytes, MediaError> {
    if tracks.is_empty() {
        return Err(MediaError::Inconsistent("an init segment without tracks".into()));
    }
    let mut boxes = Vec::with_capacity(tracks.len());
    let mut mvex = Mvex::default();
    for track in tracks {
        track.entry.check()?;
        boxes.push(TrackBox {
            id: track.id,
            movie_duration: 0,
            media_duration: 0,
            edits: None,
            entries: std::slice::from_ref(&track.entry),
            tables: SampleTables::default(),
        });
        mvex.trex.push(Trex { track_id: track.id, default_sample_description_index: 1, ..Trex::default() });
    }
    let mut buf = Vec::with_capacity(2048);
    // iso6: default-base-is-moof and signed composition offsets (annex E).
    Ftyp {
        major_brand: b"iso6".into(),
        minor_version: 0,
        compatible_brands: vec![b"iso6".into(), b"mp41".into()],
    }
    .encode(&mut buf)?;
    encode_moov(&mut buf, &boxes, Some(&mvex))?;
    Ok(buf.into())
}

/// One fragment: moof and mdat. `sequence` grows by 1 from fragment to fragment.
///
/// # Errors
/// [`MediaError`] when the fragment has no samples or 2 GiB of them.
pub fn fragment(sequence: u32, tracks: &[FragmentTrack<'_>]) -> Result<Bytes, MediaError> {
    let payload: usize = tracks.iter().flat_map(|track| track.samples).map(|sample| sample.data.len()).sum();
    if tracks.is_empty() || tracks.iter().any(|track| track.samples.is_empty()) {
        return Err(MediaError::Inconsistent("a fragment without samples".into()));
    }
    let too_large = || MediaError::TooMany { what: "bytes in one fragment", limit: i32::MAX as usize };
    i32::try_from(payload).map_err(|_| too_large())?;
    let mut moof = Moof {
        mfhd: Mfhd { sequence_number: sequence },
        traf: tracks.iter().map(traf).collect::<Result<_, _>>()?,
    };
    // The offsets are as long whatever they say, so a first writing tells how long the moof is.
    let mut buf = Vec::with_capacity(256 + payload);
    moof.encode(&mut buf)?;
    let mut at = buf.len() + MDAT_HEADER_BYTES;
    for (traf, track) in moof.traf.iter_mut().zip(tracks) {
        for trun in &mut traf.trun {
            trun.data_offset = Some(i32::try_from(at).map_err(|_| too_large())?);
        }
        at += track.samples.iter().map(|sample| sample.data.len()).sum::<usize>();
    }
    buf.clear();
    moof.encode(&mut buf)?;
    buf.encode_atom(FourCC::new(b"mdat"), |buf| {
        for sample in tracks.iter().flat_map(|track| track.samples) {
            buf.extend_from_slice(sample.data);
        }
        Ok(())
    })?;
    Ok(buf.into())
}

/// Size and type.
const MDAT_HEADER_BYTES: usize = 8;

fn traf(track: &FragmentTrack<'_>) -> Result<Traf, MediaError> {
    let mut entries = Vec::with_capacity(track.samples.len());
    for sample in track.samples {
        entries.push(TrunEntry {
            duration: Some(sample.duration),
            size: Some(u32::try_from(sample.data.len()).map_err(|_| MediaError::TooMany {
                what: "bytes in one sample",
                limit: u32::MAX as usize,
            })?),
            flags: Some(if sample.keyframe { FLAGS_SYNC } else { FLAGS_DEPENDS }),
            cts: Some(i64::from(sample.composition_offset)),
        });
    }
    Ok(Traf {
        tfhd: Tfhd { track_id: track.id, default_base_is_moof: true, ..Tfhd::default() },
        tfdt: Some(Tfdt { base_media_decode_time: track.decode_time }),
        trun: vec![Trun { data_offset: Some(0), samples: TrunSamples::Explicit(entries) }],
        ..Traf::default()
    })
}
