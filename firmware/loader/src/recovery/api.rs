//! The few requests that recovery answers.
//!
//! Everybody may read the page and the state; all else needs the session that the console's code gives. Requests that change
//! something carry a header that a page of another site cannot send without being asked.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::StreamExt;
use hal::NorFlash;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use update::{ErrorKind, UpdateError};

use super::desk::Desk;
use super::page::Page;
use super::presence::{Answer, COOKIE};

/// The header that requests which change something carry.
const OURS: &str = "x-candor-recovery";

/// A body that is not a bundle has a code or a file's name in it.
const MAX_SMALL_BODY_BYTES: usize = 4 << 10;

/// How long an upload may stand still.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// What an error is answered with.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ErrorView {
    /// For programs.
    pub(super) code: String,
    /// For people.
    pub(super) message: String,
}

type Answered = Result<Response, (StatusCode, Json<ErrorView>)>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Code {
    code: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FromMedia {
    device: String,
    file: String,
    #[serde(default)]
    downgrade: bool,
}

#[derive(Deserialize)]
struct Wishes {
    /// `1`: an older version is fine.
    downgrade: Option<u8>,
}

/// All that there is. `board` is the name that its bundles have.
pub(super) fn router<F: NorFlash + 'static>(desk: Arc<Desk<F>>, board: &str) -> Router {
    let Page { html, policy } = Page::new(board);
    let policy =
        HeaderValue::from_str(&policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"));
    let html: Arc<str> = html.into();
    let unlocked = Router::new()
        .route("/api/bundle", post(bundle::<F>))
        .route("/api/media", post(media::<F>))
        .route_layer(from_fn_with_state(Arc::clone(&desk), only_unlocked::<F>));
    Router::new()
        .route("/api/presence", post(presence::<F>))
        .merge(unlocked)
        .route_layer(from_fn(only_ours))
        .route("/api/state", get(state::<F>))
        .with_state(desk)
        .route("/", get(async move || Html(html.to_string())))
        .fallback(async || refuse(StatusCode::NOT_FOUND, "not_found", "Recovery has one page: /"))
        .layer(DefaultBodyLimit::max(MAX_SMALL_BODY_BYTES))
        .layer(from_fn(move |request, next| guarded(policy.clone(), request, next)))
}

/// The headers that every answer has.
async fn guarded(policy: HeaderValue, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn only_ours(request: Request, next: Next) -> Response {
    if request.headers().get(OURS).is_some_and(|value| value == "1") {
        return next.run(request).await;
    }
    refuse(StatusCode::FORBIDDEN, "not_from_here", "Use recovery's own page.").into_response()
}

async fn only_unlocked<F: NorFlash + 'static>(
    State(desk): State<Arc<Desk<F>>>,
    request: Request,
    next: Next,
) -> Response {
    if desk.admits(cookies(request.headers())) {
        return next.run(request).await;
    }
    let message = "Type the code that the recorder's console shows first.";
    refuse(StatusCode::UNAUTHORIZED, "locked", message).into_response()
}

async fn state<F: NorFlash + 'static>(State(desk): State<Arc<Desk<F>>>, headers: HeaderMap) -> Response {
    let unlocked = desk.admits(cookies(&headers));
    Json(desk.state(unlocked)).into_response()
}

async fn presence<F: NorFlash + 'static>(
    State(desk): State<Arc<Desk<F>>>,
    Json(typed): Json<Code>,
) -> Answered {
    match desk.try_code(&typed.code) {
        Ok(Answer::Unlocked(token)) => {
            let cookie = format!("{COOKIE}={token}; Path=/; Secure; HttpOnly; SameSite=Strict");
            let cookie = HeaderValue::from_str(&cookie).map_err(|_| internal())?;
            Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
        }
        Ok(Answer::Wrong(left)) => {
            let tries = if left == 1 { "one try is" } else { &format!("{left} tries are") };
            let message = format!("That is not the code on the console; {tries} left.");
            Err(refuse(StatusCode::UNPROCESSABLE_ENTITY, "wrong_code", message))
        }
        Ok(Answer::UsedUp) => {
            let message = "The code is not good any more. Switch the recorder off and on for a new one.";
            Err(refuse(StatusCode::TOO_MANY_REQUESTS, "code_used_up", message))
        }
        Err(_) => Err(internal()),
    }
}

async fn bundle<F: NorFlash + 'static>(
    State(desk): State<Arc<Desk<F>>>,
    Query(wishes): Query<Wishes>,
    headers: HeaderMap,
    body: Body,
) -> Answered {
    let length =
        headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > desk.max_bundle_bytes()) {
        let message = "The file is larger than any bundle for this board. Nothing was changed.";
        return Err(refuse(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message));
    }
    let mut receiving = desk.receive(wishes.downgrade == Some(1)).map_err(|error| told(&error))?;
    let mut pieces = body.into_data_stream();
    loop {
        let piece = match timeout(MAX_PAUSE, pieces.next()).await {
            Ok(None) => break,
            Ok(Some(Ok(piece))) => piece,
            // Cut or stuck: dropping what was received says so.
            Ok(Some(Err(_))) | Err(_) => {
                return Err(refuse(StatusCode::REQUEST_TIMEOUT, "cut_off", "The upload was cut off."));
            }
        };
        if let Err(error) = receiving.push(&piece) {
            receiving.fail(&error);
            return Err(told(&error));
        }
    }
    let install = receiving.finish().map_err(|error| told(&error))?;
    // Not awaited: it goes on when the connection does not.
    spawn_blocking(install);
    Ok((StatusCode::ACCEPTED, Json(desk.state(true))).into_response())
}

async fn media<F: NorFlash + 'static>(
    State(desk): State<Arc<Desk<F>>>,
    Json(wish): Json<FromMedia>,
) -> Answered {
    let reading = Arc::clone(&desk);
    let received = spawn_blocking(move || {
        reading.receive_from_media(&wish.device, &wish.file, wish.downgrade).map_err(|error| told(&error))
    });
    let install = received.await.map_err(|_| internal())??;
    spawn_blocking(install);
    Ok((StatusCode::ACCEPTED, Json(desk.state(true))).into_response())
}

fn cookies(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::COOKIE)?.to_str().ok()
}

fn refuse(status: StatusCode, code: &str, message: impl Into<String>) -> (StatusCode, Json<ErrorView>) {
    (status, Json(ErrorView { code: code.to_owned(), message: message.into() }))
}

fn internal() -> (StatusCode, Json<ErrorView>) {
    refuse(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The recorder failed. Switch it off and on.")
}

/// An update's error, as the running system's API tells it too.
fn told(error: &UpdateError) -> (StatusCode, Json<ErrorView>) {
    let status = match error.kind() {
        ErrorKind::NotABundle
        | ErrorKind::WrongBoard
        | ErrorKind::BadSignature
        | ErrorKind::Damaged
        | ErrorKind::Expired => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::TooOld | ErrorKind::Downgrade | ErrorKind::Busy | ErrorKind::NotSupported => {
            StatusCode::CONFLICT
        }
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::NoSpace => StatusCode::INSUFFICIENT_STORAGE,
        ErrorKind::Invalid => StatusCode::NOT_FOUND,
        ErrorKind::Device => StatusCode::INTERNAL_SERVER_ERROR,
    };
    refuse(status, error.kind().code(), error.to_string())
}
