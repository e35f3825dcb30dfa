//! A large body on its way in: piece by piece, as fast as it is taken.
//!
//! Nothing is gathered here: a piece is read from the connection when the last one was taken, so that a slow
//! taker slows the sender down and not the recorder. A sender that stalls, sends too much or is signed out
//! meanwhile gets no further.
//!
//! Does not belong here: what the bytes are (the daemon's).

use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::time::timeout;

use crate::error::{ApiError, ErrorKind};

/// The largest update taken: the largest flash that any board of ours has.
pub const MAX_BUNDLE_BYTES: u64 = 64 << 20;
/// An upload that stands still this long is not being sent any more.
pub(crate) const UPLOAD_STALL: Duration = Duration::from_secs(30);
/// A refused upload is read on for this long, so that the sender gets to see the answer: a whole update on a
/// network of 10 Mbit/s.
pub(crate) const UPLOAD_DRAIN: Duration = Duration::from_secs(20);

/// A body that is read while it arrives. Dropping it ends the connection.
pub struct Upload {
    body: Body,
    declared: Option<u64>,
    taken: u64,
    over: bool,
    alive: Box<dyn Fn() -> bool + Send + Sync>,
}

impl Upload {
    /// Of `body`, for as long as the session is `alive`.
    pub(crate) fn new(
        body: Body,
        alive: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Result<Self, ApiError> {
        let declared = body.size_hint().exact();
        if declared.is_some_and(|bytes| bytes > MAX_BUNDLE_BYTES) {
            return Err(too_large());
        }
        Ok(Self { body, declared, taken: 0, over: false, alive: Box::new(alive) })
    }

    /// How many bytes there will be, when the sender said so.
    #[must_use]
    pub fn total_bytes(&self) -> Option<u64> {
        self.declared
    }

    /// The next bytes, never none; `None` at the end, which is the sender's own.
    ///
    /// # Errors
    /// `Malformed` when the sender goes away, stalls or is signed out, `TooLarge`.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        let next = self.read().await;
        self.over = !matches!(next, Ok(Some(_)));
        next
    }

    async fn read(&mut self) -> Result<Option<Bytes>, ApiError> {
        loop {
            if !(self.alive)() {
                return Err(ApiError::unauthorized("not_signed_in", "The session is over. Sign in again."));
            }
            let Ok(frame) = timeout(UPLOAD_STALL, self.body.frame()).await else {
                return Err(ApiError::malformed(
                    "body_too_slow",
                    "Nothing arrived for a while. Send it again.",
                ));
            };
            let Some(frame) = frame else { return Ok(None) };
            let frame = frame
                .map_err(|_| ApiError::malformed("body_cut_off", "The file ended early. Send it again."))?;
            // Trailers are nobody's business.
            let Ok(piece) = frame.into_data() else { continue };
            self.taken += piece.len() as u64;
            if self.taken > MAX_BUNDLE_BYTES {
                return Err(too_large());
            }
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
    }

    /// Reads what is still on its way and throws it away, for a limited time: a browser that is still sending
    /// does not look at an answer, and takes a closed connection for a broken network.
    pub async fn drain(mut self) {
        // What ended or failed by itself has nothing more to come.
        let rest = async { while !self.over && matches!(self.next().await, Ok(Some(_))) {} };
        let _ = timeout(UPLOAD_DRAIN, rest).await;
    }
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upload").field("declared", &self.declared).field("taken", &self.taken).finish()
    }
}

fn too_large() -> ApiError {
    let message = format!("No update is larger than {} MB.", MAX_BUNDLE_BYTES >> 20);
    ApiError::new(ErrorKind::TooLarge, "too_large", message)
}
