//! Fragmented MP4 for Media Source Extensions: an init segment, then fragments.
//!
//! ISO/IEC 14496-12 section 8.8, in the form that the MSE byte stream format for ISO BMFF asks for: one moof
//! and one mdat a fragment, offsets relative to the moof. Does not belong here: which units make a fragment.

use bytes::Bytes;
use mp4_atom::{
    Encode, FourCC, Ftyp, Header, Mfhd, Moof, Mvex, Tfdt, Tfhd, Traf, Trex, Trun, TrunEntry, TrunSamples,
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

/// A fragment of one track without its samples' bytes.
#[derive(Clone, Debug)]
pub struct FragmentHead<'a> {
    /// As in [`TrackInit`].
    pub id: u32,
    /// baseMediaDecodeTime of the first sample, in the track's timescale.
    pub decode_time: u64,
    /// In decoding order.
    pub samples: &'a [SampleHead],
}

/// One sample of a [`FragmentHead`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleHead {
    /// To the next sample's decoding time, in the track's timescale.
    pub duration: u32,
    /// Presentation time less decoding time, in the track's timescale.
    pub composition_offset: i32,
    /// Decoding can start here.
    pub keyframe: bool,
    /// Its bytes.
    pub size: u32,
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
            name: "",
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
    let mut samples = Vec::with_capacity(tracks.len());
    for track in tracks {
        samples.push(track.samples.iter().map(FragmentSample::head).collect::<Result<Vec<_>, _>>()?);
    }
    let heads: Vec<FragmentHead<'_>> = tracks
        .iter()
        .zip(&samples)
        .map(|(track, samples)| FragmentHead { id: track.id, decode_time: track.decode_time, samples })
        .collect();
    let mut buf = Vec::new();
    let payload = write_head(sequence, &heads, &mut buf)?;
    buf.reserve_exact(payload);
    for sample in tracks.iter().flat_map(|track| track.samples) {
        buf.extend_from_slice(sample.data);
    }
    Ok(buf.into())
}

/// As [`fragment`], of one track and only up to where the samples' bytes follow, one behind the other.
///
/// # Errors
/// [`MediaError`] when there are no samples or 2 GiB of them.
pub fn fragment_head(sequence: u32, track: &FragmentHead<'_>) -> Result<Bytes, MediaError> {
    let mut buf = Vec::new();
    write_head(sequence, std::slice::from_ref(track), &mut buf)?;
    Ok(buf.into())
}

/// Size and type.
const MDAT_HEADER_BYTES: usize = 8;

/// Appends moof and the mdat's header; returns how many bytes follow.
fn write_head(sequence: u32, tracks: &[FragmentHead<'_>], buf: &mut Vec<u8>) -> Result<usize, MediaError> {
    if tracks.is_empty() || tracks.iter().any(|track| track.samples.is_empty()) {
        return Err(MediaError::Inconsistent("a fragment without samples".into()));
    }
    let bytes =
        |track: &FragmentHead<'_>| track.samples.iter().map(|sample| u64::from(sample.size)).sum::<u64>();
    let too_large = || MediaError::TooMany { what: "bytes in one fragment", limit: i32::MAX as usize };
    let payload = i32::try_from(tracks.iter().map(bytes).sum::<u64>()).map_err(|_| too_large())?;
    let mut moof = Moof { mfhd: Mfhd { sequence_number: sequence }, traf: tracks.iter().map(traf).collect() };
    // The offsets are as long whatever they say, so a first writing tells how long the moof is.
    moof.encode(buf)?;
    let mut at = i32::try_from(buf.len() + MDAT_HEADER_BYTES).map_err(|_| too_large())?;
    for (traf, track) in moof.traf.iter_mut().zip(tracks) {
        for trun in &mut traf.trun {
            trun.data_offset = Some(at);
        }
        at =
            i32::try_from(bytes(track)).ok().and_then(|bytes| at.checked_add(bytes)).ok_or_else(too_large)?;
    }
    buf.clear();
    moof.encode(buf)?;
    let payload = payload as usize;
    Header { kind: FourCC::new(b"mdat"), size: Some(payload) }.encode(buf)?;
    Ok(payload)
}

impl FragmentSample<'_> {
    fn head(&self) -> Result<SampleHead, MediaError> {
        let too_large = |_| MediaError::TooMany { what: "bytes in one sample", limit: u32::MAX as usize };
        let &Self { duration, composition_offset, keyframe, data } = self;
        let size = u32::try_from(data.len()).map_err(too_large)?;
        Ok(SampleHead { duration, composition_offset, keyframe, size })
    }
}

fn traf(track: &FragmentHead<'_>) -> Traf {
    let entry = |sample: &SampleHead| TrunEntry {
        duration: Some(sample.duration),
        size: Some(sample.size),
        flags: Some(if sample.keyframe { FLAGS_SYNC } else { FLAGS_DEPENDS }),
        cts: Some(i64::from(sample.composition_offset)),
    };
    Traf {
        tfhd: Tfhd { track_id: track.id, default_base_is_moof: true, ..Tfhd::default() },
        tfdt: Some(Tfdt { base_media_decode_time: track.decode_time }),
        trun: vec![Trun {
            data_offset: Some(0),
            samples: TrunSamples::Explicit(track.samples.iter().map(entry).collect()),
        }],
        ..Traf::default()
    }
}
