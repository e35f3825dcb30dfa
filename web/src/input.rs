//! What a request says: body, query and path, read strictly and refused in words.
//!
//! Does not belong here: what the values must be (`limits.rs`).

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use bytes::Bytes;
use headers::{ContentType, HeaderMapExt};
use http::Uri;
use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::{ApiError, ErrorKind};
use crate::gate::no_such_page;
use crate::limits::{BODY_TIMEOUT, Checked, MAX_BODY_BYTES};

/// `0` or `1`, as switches stand in addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) enum Switch {
    #[default]
    #[serde(rename = "0")]
    Off,
    #[serde(rename = "1")]
    On,
}

/// A JSON body, checked.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned + Checked, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let json = request.headers().typed_get::<ContentType>().is_some_and(|content| {
            let essence = content.to_string();
            essence.split(';').next().is_some_and(|essence| essence.trim() == "application/json")
        });
        if !json {
            return Err(ApiError::malformed(
                "not_json",
                "Send the body as JSON, with Content-Type: application/json.",
            ));
        }
        let body = read_all(request.into_body()).await?;
        let value: T = parse(&body)?;
        value.check()?;
        Ok(Self(value))
    }
}

async fn read_all(body: Body) -> Result<Bytes, ApiError> {
    let read = Limited::new(body, MAX_BODY_BYTES).collect();
    match tokio::time::timeout(BODY_TIMEOUT, read).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let message = format!("The body is larger than {MAX_BODY_BYTES} bytes.");
            Err(ApiError::new(ErrorKind::TooLarge, "body_too_large", message))
        }
        Ok(Err(_)) => Err(ApiError::malformed("body_cut_off", "The body ended early. Send it again.")),
        Err(_) => Err(ApiError::malformed("body_too_slow", "The body took too long. Send it again.")),
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let cause = error.inner();
        if cause.is_data() {
            let error = ApiError::new(
                ErrorKind::Invalid,
                "wrong_field",
                format!("The body cannot be understood: {cause}."),
            );
            if path == "." { error } else { error.with_field(path) }
        } else {
            not_json_at(cause)
        }
    })?;
    json.end().map_err(|error| not_json_at(&error))?;
    Ok(value)
}

fn not_json_at(error: &serde_json::Error) -> ApiError {
    let (line, column) = (error.line(), error.column());
    ApiError::malformed("malformed_json", format!("The body is not JSON at line {line}, column {column}."))
}

/// A query; types that are read with it refuse unknown fields.
pub(crate) fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, ApiError> {
    let Query(query) = Query::try_from_uri(uri)
        .map_err(|rejection| ApiError::malformed("wrong_query", rejection.body_text()))?;
    Ok(query)
}

/// Values in the path; what does not fit them is no page.
pub(crate) struct At<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for At<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(value) = Path::from_request_parts(parts, state).await.map_err(|_| no_such_page())?;
        Ok(Self(value))
    }
}
