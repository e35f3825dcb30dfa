//! Footage that is sent as it is made: played recordings, and zips.
//!
//! Does not belong here: files whose size is known (`recording`).

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc;
use web::ApiError;

use super::recording::Recording;
use super::watchers::WatchGuard;
use crate::archive::{Archive, FileFacts};
use crate::footage::MAX_READ_BYTES;
use crate::footage_client::Played;

/// Pieces of a zip that wait for the client: one is sent while the next is read.
const WAITING: usize = 1;

/// What is sent.
pub(super) enum Stream {
    Played {
        mime: String,
        played: Played,
        /// On the list of watchers for as long as bytes are sent.
        _guard: WatchGuard,
    },
    Zip(mpsc::Receiver<Result<Bytes, ApiError>>),
}

impl web::ByteStream for Stream {
    fn content_type(&self) -> String {
        match self {
            Self::Played { mime, .. } => mime.clone(),
            Self::Zip(_) => "application/zip".to_owned(),
        }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        match self {
            Self::Played { played, .. } => played.next().await.map_err(|error| {
                ApiError::unavailable(
                    "recorder_restarting",
                    "The recorder's disks are others now. Ask again.",
                )
                .with_detail(error)
            }),
            Self::Zip(pieces) => pieces.recv().await.transpose(),
        }
    }
}

/// The files as a zip, read one after the other while it is sent; it ends when nobody takes it any more.
pub(super) fn zip(
    files: Vec<(FileFacts, Recording)>,
    start: jiff::Timestamp,
    end: jiff::Timestamp,
) -> Stream {
    let (pieces, taken) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        let sink = Sink::default();
        let mut archive = Archive::new(sink.clone(), start, end);
        let written = async {
            for (facts, recording) in files {
                write(&mut archive, facts, &recording, &sink, &pieces).await?;
            }
            archive.finish().map_err(ApiError::internal)?;
            send(&sink, &pieces).await
        };
        if let Err(Ended::Failed(error)) = written.await {
            let _ = pieces.send(Err(error)).await;
        }
    });
    Stream::Zip(taken)
}

/// Why a zip is not written to its end.
enum Ended {
    Failed(ApiError),
    /// Nobody takes it.
    Left,
}

impl From<ApiError> for Ended {
    fn from(error: ApiError) -> Self {
        Self::Failed(error)
    }
}

async fn write(
    archive: &mut Archive<Sink>,
    facts: FileFacts,
    recording: &Recording,
    sink: &Sink,
    pieces: &mpsc::Sender<Result<Bytes, ApiError>>,
) -> Result<(), Ended> {
    let mut file = archive.file(facts).map_err(ApiError::internal)?;
    let len = web::Recording::len(recording);
    let mut offset = 0;
    while offset < len {
        let end = len.min(offset + u64::from(MAX_READ_BYTES));
        let piece = web::Recording::read(recording, offset..end).await?;
        file.write_all(&piece).map_err(ApiError::internal)?;
        send(sink, pieces).await?;
        offset = end;
    }
    file.finish().map_err(ApiError::internal)?;
    Ok(())
}

async fn send(sink: &Sink, pieces: &mpsc::Sender<Result<Bytes, ApiError>>) -> Result<(), Ended> {
    let piece = sink.take();
    if piece.is_empty() { Ok(()) } else { pieces.send(Ok(piece)).await.map_err(|_| Ended::Left) }
}

/// Where a zip is written to, until it is sent.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    fn take(&self) -> Bytes {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).into()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
