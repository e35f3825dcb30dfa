//! The movie box, common to progressive files and to fragments.
//!
//! ISO/IEC 14496-12 section 8. Leaves are mp4-atom's. The containers from moov down to stsd are opened here
//! with its `encode_atom`, because its `Stsd` refuses the sample entries that it has no type for (G.711).

use hal::{Pts90k, Resolution};
use mp4_atom::{
    BufMut, Co64, Ctts, Dinf, Dref, DrefEntry, Edts, Elst, Encode, FixedPoint, FourCC, Hdlr, Mdhd, Mvex,
    Mvhd, Smhd, Stco, Stsc, Stss, Stsz, Stts, Tkhd, Url, Vmhd,
};

use crate::entry::SampleEntry;
use crate::error::MediaError;

/// Ticks a second of movie headers and edit lists: that of the presentation times, so that edits are exact.
pub(crate) const MOVIE_TIMESCALE: u32 = Pts90k::PER_SECOND as u32;

/// What a `trak` box says.
pub(crate) struct TrackBox<'a> {
    /// From 1.
    pub(crate) id: u32,
    /// What players call it; may be empty.
    pub(crate) name: &'a str,
    /// In [`MOVIE_TIMESCALE`], edits applied; 0 for fragments.
    pub(crate) movie_duration: u64,
    /// In the track's own timescale; 0 for fragments.
    pub(crate) media_duration: u64,
    pub(crate) edits: Option<Elst>,
    /// At least one, all video or all audio.
    pub(crate) entries: &'a [SampleEntry],
    pub(crate) tables: SampleTables,
}

/// The sample tables; all empty for fragments.
#[derive(Default)]
pub(crate) struct SampleTables {
    pub(crate) stts: Stts,
    pub(crate) ctts: Option<Ctts>,
    pub(crate) stss: Option<Stss>,
    pub(crate) stsc: Stsc,
    pub(crate) stsz: Stsz,
    pub(crate) offsets: ChunkOffsets,
}

/// Where chunks begin in the file: 32 bits as long as they reach.
pub(crate) enum ChunkOffsets {
    Short(Stco),
    Long(Co64),
}

impl Default for ChunkOffsets {
    fn default() -> Self {
        Self::Short(Stco::default())
    }
}

/// Appends a `moov` box.
pub(crate) fn encode_moov(
    buf: &mut Vec<u8>,
    tracks: &[TrackBox<'_>],
    mvex: Option<&Mvex>,
) -> Result<(), MediaError> {
    let next_track_id = tracks.iter().map(|track| track.id).max().unwrap_or(0) + 1;
    container(buf, b"moov", |buf| {
        Mvhd {
            timescale: MOVIE_TIMESCALE,
            duration: tracks.iter().map(|track| track.movie_duration).max().unwrap_or(0),
            rate: FixedPoint::from(1),
            volume: FixedPoint::from(1),
            next_track_id,
            ..Mvhd::default()
        }
        .encode(buf)?;
        for track in tracks {
            track.encode(buf)?;
        }
        if let Some(mvex) = mvex {
            mvex.encode(buf)?;
        }
        Ok(())
    })
}

impl TrackBox<'_> {
    fn encode(&self, buf: &mut Vec<u8>) -> Result<(), MediaError> {
        let first = self
            .entries
            .first()
            .ok_or_else(|| MediaError::Inconsistent("a track without sample entry".into()))?;
        let video = first.is_video();
        container(buf, b"trak", |buf| {
            self.tkhd(video).encode(buf)?;
            if let Some(edits) = &self.edits {
                Edts { elst: Some(edits.clone()) }.encode(buf)?;
            }
            container(buf, b"mdia", |buf| {
                Mdhd {
                    timescale: first.timescale(),
                    duration: self.media_duration,
                    language: "und".into(),
                    ..Mdhd::default()
                }
                .encode(buf)?;
                let (handler, usual) =
                    if video { (b"vide", "VideoHandler") } else { (b"soun", "SoundHandler") };
                let name = if self.name.is_empty() { usual } else { self.name };
                Hdlr { handler: FourCC::new(handler), name: name.into() }.encode(buf)?;
                container(buf, b"minf", |buf| {
                    if video {
                        Vmhd::default().encode(buf)?;
                    } else {
                        Smhd::default().encode(buf)?;
                    }
                    // An empty location: the samples are in this file.
                    let here = DrefEntry::Url(Url { location: String::new() });
                    Dinf { dref: Dref { entries: vec![here] } }.encode(buf)?;
                    container(buf, b"stbl", |buf| self.encode_tables(buf))
                })
            })?;
            if self.name.is_empty() {
                return Ok(());
            }
            // QuickTime File Format, "User data atoms": plain text. Players that show names show this one.
            container(buf, b"udta", |buf| {
                container(buf, b"name", |buf| {
                    buf.extend_from_slice(self.name.as_bytes());
                    Ok(())
                })
            })
        })
    }

    fn tkhd(&self, video: bool) -> Tkhd {
        // Entries may differ in size; players scale to the track's, so take the largest.
        let size = self.entries.iter().fold(Resolution::default(), |size, entry| match entry {
            SampleEntry::Video(params) => Resolution {
                width: size.width.max(params.resolution.width),
                height: size.height.max(params.resolution.height),
            },
            SampleEntry::Audio(_) => size,
        });
        Tkhd {
            track_id: self.id,
            duration: self.movie_duration,
            enabled: true,
            in_movie: true,
            volume: FixedPoint::from(u8::from(!video)),
            width: FixedPoint::from(size.width),
            height: FixedPoint::from(size.height),
            ..Tkhd::default()
        }
    }

    fn encode_tables(&self, buf: &mut Vec<u8>) -> Result<(), MediaError> {
        container(buf, b"stsd", |buf| {
            0_u32.encode(buf)?; // version 0, no flags
            u32::try_from(self.entries.len())
                .map_err(|_| MediaError::Inconsistent("too many sample entries".into()))?
                .encode(buf)?;
            self.entries.iter().try_for_each(|entry| entry.encode(buf))
        })?;
        let tables = &self.tables;
        tables.stts.encode(buf)?;
        if let Some(ctts) = &tables.ctts {
            ctts.encode(buf)?;
        }
        if let Some(stss) = &tables.stss {
            stss.encode(buf)?;
        }
        tables.stsc.encode(buf)?;
        tables.stsz.encode(buf)?;
        match &tables.offsets {
            ChunkOffsets::Short(stco) => stco.encode(buf)?,
            ChunkOffsets::Long(co64) => co64.encode(buf)?,
        }
        Ok(())
    }
}

/// Appends a box with what `body` appends; keeps our error where mp4-atom only knows its own.
fn container(
    buf: &mut Vec<u8>,
    kind: &[u8; 4],
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), MediaError>,
) -> Result<(), MediaError> {
    let mut result = Ok(());
    buf.encode_atom(FourCC::new(kind), |buf| {
        result = body(buf);
        Ok(())
    })?;
    result
}
