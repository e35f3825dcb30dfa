//! The operations about encrypted footage.
//!
//! Does not belong here: who may call (`routes.rs`), and what a call does (the daemon's).

use axum::Extension;
use axum::extract::State as Shared;
use axum::response::Response;

use crate::answer::{created, done};
use crate::api::Api;
use crate::error::{ApiError, ErrorBody};
use crate::gate::SignedIn;
use crate::input::JsonBody;
use crate::site::Site;
use crate::storage_views::{EraseInput, PasswordInput, RecoveryKey, UnlockInput};

type Answer = Result<Response, ApiError>;
type User = Extension<SignedIn>;

/// Makes the recovery key anew; the old one opens no disk that is attached any more.
#[utoipa::path(post, path = "/storage/recovery-key", tag = "storage", request_body = PasswordInput,
    responses((status = 201, body = RecoveryKey),
    (status = 409, body = ErrorBody, description = "not_supported"),
    (status = 422, body = ErrorBody, description = "wrong_password"),
    (status = 429, body = ErrorBody, description = "too_many_attempts")))]
pub(crate) async fn new_recovery_key<A: Api>(
    Shared(site): Shared<Site<A>>,
    Extension(user): User,
    JsonBody(input): JsonBody<PasswordInput>,
) -> Answer {
    created(site.api.new_recovery_key(user.caller, input).await)
}

/// Opens a disk of another recorder with that one's recovery key; it is this recorder's from then on.
#[utoipa::path(post, path = "/storage/unlock", tag = "storage", request_body = UnlockInput,
    responses((status = 204), (status = 404, body = ErrorBody, description = "no_disk"),
    (status = 409, body = ErrorBody, description = "not_locked"),
    (status = 422, body = ErrorBody, description = "mistyped_key, wrong_key")))]
pub(crate) async fn unlock_disk<A: Api>(
    Shared(site): Shared<Site<A>>,
    Extension(user): User,
    JsonBody(input): JsonBody<UnlockInput>,
) -> Answer {
    done(site.api.unlock_disk(user.caller, input).await)
}

/// Destroys the key of a disk: nobody can ever read its footage again. The disk then takes new footage.
#[utoipa::path(post, path = "/storage/erase", tag = "storage", request_body = EraseInput,
    responses((status = 204), (status = 404, body = ErrorBody, description = "no_disk"),
    (status = 409, body = ErrorBody, description = "not_encrypted"),
    (status = 422, body = ErrorBody, description = "not_confirmed")))]
pub(crate) async fn erase_footage<A: Api>(
    Shared(site): Shared<Site<A>>,
    Extension(user): User,
    JsonBody(input): JsonBody<EraseInput>,
) -> Answer {
    done(site.api.erase_footage(user.caller, input).await)
}
