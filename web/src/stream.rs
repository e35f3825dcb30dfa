//! Bytes of unknown number as an answer, sent as they are made.
//!
//! Only one piece is in memory a client, and none is made that the client did not make room for. A client that goes
//! away drops the body, and with it the stream; one whose session ends gets no further piece. What breaks in the middle
//! cuts the body short, which the client sees because its last chunk is missing (RFC 9112 section 8).
//!
//! Does not belong here: files whose size is known (`file.rs`), what the bytes are (the daemon's).

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};

use crate::answer::NO_STORE;
use crate::api::ByteStream;
use crate::error::ApiError;

/// Answers with `stream`, for as long as the session is `alive`.
pub(crate) fn answer<S: ByteStream>(
    stream: S,
    alive: impl Fn() -> bool + Send + 'static,
) -> Result<Response, ApiError> {
    let mut headers = HeaderMap::new();
    let content_type = HeaderValue::try_from(stream.content_type()).map_err(ApiError::internal)?;
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CACHE_CONTROL, NO_STORE);
    let body = stream::try_unfold((stream, alive), async |(mut stream, alive)| {
        if !alive() {
            return Err(ApiError::unauthorized("not_signed_in", "The session is over."));
        }
        let piece = stream.next().await.inspect_err(|error| {
            tracing::error!(%error, detail = ?error.detail(), "a stream could not be made to its end");
        })?;
        Ok::<_, ApiError>(piece.map(|piece| (piece, (stream, alive))))
    });
    Ok((headers, Body::from_stream(body)).into_response())
}
