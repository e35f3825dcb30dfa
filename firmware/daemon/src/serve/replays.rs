//! Recorded footage for the RTSP server: asked of `record`, unit by unit.
//!
//! Does not belong here: who may watch (`gate`), what RTSP is.
//!
//! Invariant: a unit is asked for when the one before was taken; what waits here is two of them at most.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use rtsp::{ArchiveError, ArchiveRequest, Opening, RecordedFormat, RecordedUnit, Recording};
use store::SampleFormat;
use tokio::sync::mpsc;

use crate::footage::{ReplayOf, UnitHead};
use crate::footage_client::{FootageClient, Replayed};

/// The recorder's footage.
pub(super) struct Archive(pub(super) FootageClient);

impl rtsp::Archive for Archive {
    fn open(&self, request: ArchiveRequest) -> Opening<'_> {
        let ArchiveRequest { stream, sound, start, end, reverse, keyframes_only } = request;
        let request = ReplayOf { stream, sound, start, end, reverse, keyframes_only };
        Box::pin(async move {
            let (head, replayed) = self.0.replay(request).await.map_err(|error| refusal(&error))?;
            let video = format(&head.video).map_err(|error| refusal(&error))?;
            let audio =
                head.audio.map(|audio| format(&audio)).transpose().map_err(|error| refusal(&error))?;
            let (sender, units) = mpsc::channel(1);
            let tracks = [Some(Arc::clone(&video)), audio.clone()];
            tokio::spawn(pass_on(replayed, tracks, sender));
            Ok(Recording { video, audio, first: head.first, newest: head.newest, units })
        })
    }
}

fn refusal(error: &io::Error) -> ArchiveError {
    match error.kind() {
        io::ErrorKind::NotFound => ArchiveError::NoFootage,
        io::ErrorKind::QuotaExceeded => ArchiveError::Full,
        _ => {
            tracing::warn!(%error, "footage cannot be replayed");
            ArchiveError::Unavailable
        }
    }
}

/// Until the end, or until nobody takes it.
async fn pass_on(
    mut replayed: Replayed,
    mut tracks: [Option<Arc<RecordedFormat>>; 2],
    sender: mpsc::Sender<io::Result<RecordedUnit>>,
) {
    loop {
        let next = tokio::select! {
            next = replayed.next() => next,
            () = sender.closed() => return,
        };
        let next = match next {
            Ok(None) => return,
            Ok(Some((head, data))) => unit(head, data, &mut tracks),
            Err(error) => Err(error),
        };
        let ends = next.is_err();
        if sender.send(next).await.is_err() || ends {
            return;
        }
    }
}

fn unit(
    head: UnitHead,
    data: Bytes,
    tracks: &mut [Option<Arc<RecordedFormat>>; 2],
) -> io::Result<RecordedUnit> {
    let track = &mut tracks[usize::from(head.sound)];
    if let Some(bytes) = head.format {
        *track = Some(format(&bytes)?);
    }
    let format = track.clone().ok_or_else(|| broken("a unit without a format"))?;
    Ok(RecordedUnit {
        format,
        pts: head.pts,
        wall: head.wall,
        keyframe: head.keyframe,
        missing_micros: head.missing_micros,
        ends_section: head.ends_section,
        is_last: head.is_last,
        data,
    })
}

fn format(bytes: &[u8]) -> io::Result<Arc<RecordedFormat>> {
    let decoded = SampleFormat::decode(bytes).map_err(broken)?;
    let format = decoded.stream_format();
    let parameter_sets = match decoded {
        SampleFormat::Video(_, sets) => sets,
        SampleFormat::Audio(_) => Default::default(),
    };
    Ok(Arc::new(RecordedFormat { format, parameter_sets }))
}

fn broken(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
