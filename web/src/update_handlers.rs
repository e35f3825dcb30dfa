//! The operations on the recorder's own software, its disks and its power.
//!
//! Does not belong here: who may call (`routes.rs`), and what a call does (the daemon's).

use axum::Extension;
use axum::extract::{Request, State as Shared};
use axum::response::{IntoResponse, Response};
use headers::{ContentType, HeaderMapExt};
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde::Deserialize;

use crate::answer::{NO_STORE, done, json, ok};
use crate::api::Api;
use crate::error::{ApiError, ErrorBody};
use crate::gate::SignedIn;
use crate::input::{At, JsonBody, Switch, query};
use crate::limits::device_name;
use crate::site::Site;
use crate::update_views::{FormatInput, OwnerKeyInput, PresenceInput, UpdateView, UsbInput};
use crate::upload::Upload;

type Answer = Result<Response, ApiError>;
type User = Extension<SignedIn>;

/// The software that runs, and an update on its way.
#[utoipa::path(get, path = "/update", tag = "update", responses((status = 200, body = UpdateView)))]
pub(crate) async fn update<A: Api>(Shared(site): Shared<Site<A>>, Extension(user): User) -> Answer {
    ok(site.api.update(user.caller).await)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InstallQuery {
    #[serde(default)]
    downgrade: Switch,
}

/// Takes a bundle, verifies it and installs it. Answers once it is wholly verified and installing has begun.
#[utoipa::path(post, path = "/update", tag = "update",
    params(("downgrade" = Option<u8>, Query, description = "1 when an older version is meant", minimum = 0, maximum = 1)),
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "The bundle"),
    responses((status = 202, body = UpdateView),
        (status = 409, body = ErrorBody, description = "too_old, downgrade, busy, not_supported, cancelled"),
        (status = 413, body = ErrorBody, description = "too_large"),
        (status = 422, body = ErrorBody, description = "not_a_bundle, wrong_board, bad_signature, damaged, expired"),
        (status = 507, body = ErrorBody, description = "no_space")))]
pub(crate) async fn install_update<A: Api>(
    Shared(site): Shared<Site<A>>,
    Extension(user): User,
    request: Request,
) -> Answer {
    let InstallQuery { downgrade } = query(request.uri())?;
    let bytes = request.headers().typed_get::<ContentType>();
    if bytes.is_none_or(|content| content.to_string() != "application/octet-stream") {
        return Err(ApiError::malformed(
            "not_bytes",
            "Send the bundle's bytes, with Content-Type: application/octet-stream.",
        ));
    }
    let alive = {
        let (site, token) = (site.clone(), user.token);
        move || site.api.session_alive(&token)
    };
    let mut upload = Upload::new(request.into_body(), alive)?;
    let outcome = site.api.install_update(user.caller, &mut upload, downgrade == Switch::On).await;
    if outcome.is_err() {
        upload.drain().await;
    }
    outcome.map(|view| json(StatusCode::ACCEPTED, &view))
}

/// Cancels an update while it is received or verified.
#[utoipa::path(delete, path = "/update", tag = "update", responses((status = 204),
    (status = 409, body = ErrorBody, description = "nothing_to_cancel, too_late")))]
pub(crate) async fn cancel_update<A: Api>(Shared(site): Shared<Site<A>>, Extension(user): User) -> Answer {
    done(site.api.cancel_update(user.caller).await)
}

/// Installs a bundle from a USB stick.
#[utoipa::path(post, path = "/update/usb", tag = "update", request_body = UsbInput,
    responses((status = 202, body = UpdateView), (status = 404, body = ErrorBody, description = "no_file"),
        (status = 409, body = ErrorBody, description = "as for an upload"),
        (status = 507, body = ErrorBody, description = "no_space")))]
pub(crate) async fn install_update_from_usb<A: Api>(
    Shared(site): Shared<Site<A>>,
    Extension(user): User,
    JsonBody(input): JsonBody<UsbInput>,
) -> Answer {
    let view = site.api.install_update_from_usb(user.caller, input).await?;
    Ok(json(StatusCode::ACCEPTED, &view))
}

/// Shows a code on the recorder's screen or console, good for ten minutes and five tries.
#[utoipa::path(post, path = "/update/presence", tag = "update", responses((status = 204),
    (status = 409, body = ErrorBody, description = "not_supported"),
    (status = 429, body = ErrorBody, description = "too_many_attempts")))]
pub(crate) async fn show_presence_code<A: Api>(
    Shared(site): Shared<Site<A>>,
    Extension(user): User,
) -> Answer {
    done(site.api.show_presence_code(user.caller).await)
}

/// Enrols the owner's own key: bundles that it signed are taken, too.
#[utoipa::path(put, path = "/update/owner-key", tag = "update", request_body = OwnerKeyInput,
    responses((status = 200, body = UpdateView), (status = 409, body = ErrorBody, description = "not_supported")))]
pub(crate) async fn set_owner_key<A: Api>(
    Shared(site): Shared<Site<A>>,
    Extension(user): User,
    JsonBody(input): JsonBody<OwnerKeyInput>,
) -> Answer {
    ok(site.api.set_owner_key(user.caller, input).await)
}

/// Forgets the owner's own key.
#[utoipa::path(delete, path = "/update/owner-key", tag = "update", request_body = PresenceInput,
    responses((status = 200, body = UpdateView), (status = 409, body = ErrorBody, description = "not_supported")))]
pub(crate) async fn remove_owner_key<A: Api>(
    Shared(site): Shared<Site<A>>,
    Extension(user): User,
    JsonBody(input): JsonBody<PresenceInput>,
) -> Answer {
    ok(site.api.remove_owner_key(user.caller, input).await)
}

/// Restarts the recorder; footage is sealed first.
#[utoipa::path(post, path = "/restart", tag = "system", responses((status = 202),
    (status = 409, body = ErrorBody, description = "busy, not_supported")))]
pub(crate) async fn restart<A: Api>(Shared(site): Shared<Site<A>>, Extension(user): User) -> Answer {
    site.api.restart(user.caller).await?;
    Ok((StatusCode::ACCEPTED, [(CACHE_CONTROL, NO_STORE)]).into_response())
}

/// Erases a disk and makes it the recorder's.
#[utoipa::path(post, path = "/disks/{device}/format", tag = "system", request_body = FormatInput,
    params(("device" = String, Path, description = "The disk, as listed: `sda`")),
    responses((status = 202), (status = 409, body = ErrorBody, description = "busy, not_supported")))]
pub(crate) async fn format_disk<A: Api>(
    Shared(site): Shared<Site<A>>,
    Extension(user): User,
    At(device): At<String>,
    JsonBody(FormatInput { confirm: _, encrypt }): JsonBody<FormatInput>,
) -> Answer {
    site.api.format_disk(user.caller, device_name(device)?, encrypt).await?;
    Ok((StatusCode::ACCEPTED, [(CACHE_CONTROL, NO_STORE)]).into_response())
}
