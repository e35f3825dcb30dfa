//! The operations about locked footage.
//!
//! Does not belong here: who may call (`routes.rs`), and what a call does (the daemon's).

use axum::Extension;
use axum::extract::State as Shared;
use axum::response::Response;

use crate::answer::{created, done, ok};
use crate::api::Api;
use crate::error::{ApiError, ErrorBody};
use crate::gate::SignedIn;
use crate::input::{At, JsonBody};
use crate::lock_views::{Lock, LockInput, NewLock};
use crate::site::Site;

type Answer = Result<Response, ApiError>;
type User = Extension<SignedIn>;

/// All locks, the oldest first.
#[utoipa::path(get, path = "/locks", tag = "recordings", responses((status = 200, body = Vec<Lock>)))]
pub(crate) async fn locks<A: Api>(Shared(site): Shared<Site<A>>, Extension(user): User) -> Answer {
    ok(site.api.locks(user.caller).await)
}

/// Keeps footage from being deleted until it is unlocked; the ledger has who did and why.
#[utoipa::path(post, path = "/locks", tag = "recordings", request_body = LockInput,
    responses((status = 201, body = NewLock),
    (status = 409, body = ErrorBody, description = "too_much_locked"),
    (status = 422, body = ErrorBody, description = "not_lockable")))]
pub(crate) async fn lock<A: Api>(
    Shared(site): Shared<Site<A>>,
    Extension(user): User,
    JsonBody(input): JsonBody<LockInput>,
) -> Answer {
    created(site.api.lock(user.caller, input).await)
}

/// Ends a lock: the footage goes when its time has come.
#[utoipa::path(delete, path = "/locks/{id}", tag = "recordings",
    params(("id" = u64, Path, description = "The lock's id")),
    responses((status = 204), (status = 404, body = ErrorBody, description = "no_lock")))]
pub(crate) async fn unlock<A: Api>(
    Shared(site): Shared<Site<A>>,
    Extension(user): User,
    At(id): At<u64>,
) -> Answer {
    done(site.api.unlock(user.caller, id).await)
}
