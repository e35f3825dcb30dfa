//! Recordings as a file that is made while it is read.
//!
//! `record` makes the bytes; here they only pass.

use std::ops::Range;

use bytes::Bytes;
use web::{ApiError, Span};

use super::views::wall;
use super::watchers::WatchGuard;
use crate::archive::{FileFacts, Planned};
use crate::footage::{FileOf, Plan, Request, Response};
use crate::footage_client::{FootageClient, Played};

/// The code of the answer when there is nothing.
pub(super) const NO_FOOTAGE: &str = "no_footage";

/// A planned file.
pub(super) struct Recording {
    pub(super) client: FootageClient,
    pub(super) file: FileOf,
    pub(super) plan: Plan,
    /// On the list of watchers for as long as bytes are sent, one for each channel.
    pub(super) _guards: Vec<WatchGuard>,
}

impl web::Recording for Recording {
    fn len(&self) -> u64 {
        self.plan.bytes
    }

    fn etag(&self) -> String {
        self.plan.etag.clone()
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, ApiError> {
        let length = u32::try_from(range.end - range.start).map_err(ApiError::internal)?;
        let request = Request::Read {
            file: self.file.clone(),
            etag: self.plan.etag.clone(),
            offset: range.start,
            length,
        };
        match ask(&self.client, &request).await? {
            (Response::Bytes(read), bytes) if read == length => Ok(bytes),
            (other, _) => Err(refusal(other)),
        }
    }
}

/// Asks `record`; when it is not there, the words say that it will be.
pub(super) async fn ask(client: &FootageClient, request: &Request) -> Result<(Response, Bytes), ApiError> {
    client.ask(request).await.map_err(restarting)
}

/// As [`ask`], for fragments.
pub(super) async fn play(client: &FootageClient, request: &Request) -> Result<(Response, Played), ApiError> {
    client.play(request).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::QuotaExceeded => ApiError::too_many(
            "too_many_viewers",
            std::time::Duration::from_secs(30),
            "Too many recordings are played. Close one first.",
        ),
        _ => restarting(error),
    })
}

fn restarting(error: std::io::Error) -> ApiError {
    ApiError::unavailable(
        "recorder_restarting",
        "The recorder's disk role is being started. Try again in a moment.",
    )
    .with_detail(error)
}

/// An answer that was not the one asked for, in the API's words.
pub(super) fn refusal(response: Response) -> ApiError {
    match response {
        Response::NoFootage => {
            ApiError::not_found(NO_FOOTAGE, "Nothing is recorded there. The timeline shows what is.")
        }
        Response::Changed => ApiError::conflict(
            "footage_changed",
            "This footage was overwritten meanwhile. Choose a newer range on the timeline.",
        ),
        Response::Failed(detail) => {
            ApiError::unavailable("disk", "The disk cannot be read now. The health page says why.")
                .with_detail(detail)
        }
        other => ApiError::internal(format!("record answered {other:?}")),
    }
}

/// What a zip says of the file of one channel.
pub(super) fn facts(recording: &Recording, span: Span) -> FileFacts {
    let Recording { file, plan, .. } = recording;
    let (channel, title) = file.channels.first().map_or((0, ""), |(id, title)| (id.get(), title.as_str()));
    FileFacts::of(Planned {
        channel,
        title,
        asked: (wall(span.start), wall(span.end)),
        shown: (plan.start, plan.end),
        codecs: plan.codecs.clone(),
        bytes: plan.bytes,
        pieces: plan.pieces.iter().map(|piece| (piece.start, piece.end)).collect(),
        unread: plan.unread.clone(),
    })
}
