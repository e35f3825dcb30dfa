//! A recording as an answer: whole, in part, or not at all, read piece by piece.
//!
//! At most one piece is in memory a client, and none is read that the client did not make room for. A client
//! that goes away drops the body, and with it the recording; one whose session ends gets no further piece.
//!
//! Does not belong here: which bytes are asked for (`range.rs`), what they are (the daemon's).

use std::ops::Range;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use headers::{AcceptRanges, ContentLength, ContentRange, ETag, HeaderMapExt, IfNoneMatch};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::answer::NO_STORE;
use crate::api::Recording;
use crate::error::{ApiError, ErrorKind};
use crate::limits::MAX_READ_BYTES;
use crate::range::{Wanted, wanted};

/// Answers with what `asked` asks for of `recording`, for as long as the session is `alive`.
pub(crate) fn answer<R: Recording>(
    asked: &HeaderMap,
    recording: R,
    alive: impl Fn() -> bool + Send + 'static,
) -> Result<Response, ApiError> {
    let len = recording.len();
    let etag: ETag = format!("\"{}\"", recording.etag())
        .parse()
        .map_err(|_| ApiError::internal("a recording's ETag is not one"))?;
    if asked.typed_get::<IfNoneMatch>().is_some_and(|condition| !condition.precondition_passes(&etag)) {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        response.headers_mut().typed_insert(etag);
        return Ok(response);
    }
    let (status, range) = match wanted(asked, len, &etag) {
        Wanted::Whole => (StatusCode::OK, 0..len),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Wanted::Unsatisfiable => {
            let message = format!("The file has {len} bytes.");
            let refusal = ApiError::new(ErrorKind::RangeNotSatisfiable, "no_such_bytes", message);
            let mut response = refusal.into_response();
            response.headers_mut().typed_insert(ContentRange::unsatisfied_bytes(len));
            return Ok(response);
        }
    };
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("video/mp4"));
    headers.insert(CACHE_CONTROL, NO_STORE);
    headers.typed_insert(AcceptRanges::bytes());
    headers.typed_insert(etag);
    headers.typed_insert(ContentLength(range.end - range.start));
    if status == StatusCode::PARTIAL_CONTENT {
        let part = ContentRange::bytes(range.clone(), len)
            .map_err(|_| ApiError::internal("a range outside its file"))?;
        headers.typed_insert(part);
    }
    Ok((status, headers, body(recording, range, alive)).into_response())
}

fn body<R: Recording>(recording: R, range: Range<u64>, alive: impl Fn() -> bool + Send + 'static) -> Body {
    Body::from_stream(stream::try_unfold((recording, range, alive), async |(recording, range, alive)| {
        if range.is_empty() {
            return Ok(None);
        }
        if !alive() {
            return Err(ApiError::unauthorized("not_signed_in", "The session is over."));
        }
        let end = range.end.min(range.start + MAX_READ_BYTES);
        let piece = read(&recording, range.start..end).await.inspect_err(|error| {
            // The head is sent: all that is left is to cut the body short, which the client sees by its length.
            tracing::error!(%error, detail = ?error.detail(), "a recording could not be read to its end");
        })?;
        Ok::<_, ApiError>(Some((piece, (recording, end..range.end, alive))))
    }))
}

async fn read<R: Recording>(recording: &R, range: Range<u64>) -> Result<Bytes, ApiError> {
    let len = range.end - range.start;
    let piece = recording.read(range).await?;
    if piece.len() as u64 == len {
        Ok(piece)
    } else {
        Err(ApiError::internal(format!("read {} bytes instead of {len}", piece.len())))
    }
}
