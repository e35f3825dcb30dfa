//! A recording as a file that is made while it is read.
//!
//! `record` makes the bytes; here they only pass.

use std::ops::Range;

use bytes::Bytes;
use hal::{ChannelId, WallTime};
use web::ApiError;

use super::watchers::WatchGuard;
use crate::footage::{Plan, Request, Response};
use crate::footage_client::FootageClient;

/// A planned range of one channel.
pub(super) struct Recording {
    pub(super) client: FootageClient,
    pub(super) channel: ChannelId,
    pub(super) start: WallTime,
    pub(super) end: WallTime,
    pub(super) plan: Plan,
    /// On the list of watchers for as long as bytes are sent.
    pub(super) _guard: WatchGuard,
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
            channel: self.channel,
            start: self.start,
            end: self.end,
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
    client.ask(request).await.map_err(|error| {
        ApiError::unavailable(
            "recorder_restarting",
            "The recorder's disk role is being started. Try again in a moment.",
        )
        .with_detail(error)
    })
}

/// An answer that was not the one asked for, in the API's words.
pub(super) fn refusal(response: Response) -> ApiError {
    match response {
        Response::NoFootage => {
            ApiError::not_found("no_footage", "Nothing is recorded there. The timeline shows what is.")
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
