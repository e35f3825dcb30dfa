//! The operations about deleting footage.
//!
//! Does not belong here: who may call (`routes.rs`), and what a call does (the daemon's).

use axum::Extension;
use axum::extract::State as Shared;
use axum::response::Response;

use crate::answer::{created, ok};
use crate::api::Api;
use crate::deletion_views::{Deletable, Deletion, DeletionInput, DeletionScope};
use crate::error::{ApiError, ErrorBody};
use crate::gate::SignedIn;
use crate::input::JsonBody;
use crate::site::Site;

type Answer = Result<Response, ApiError>;
type User = Extension<SignedIn>;

/// Deletions that are not done, the oldest first. One that is not in the list any more is done.
#[utoipa::path(get, path = "/deletions", tag = "recordings", responses((status = 200, body = Vec<Deletion>)))]
pub(crate) async fn deletions<A: Api>(Shared(site): Shared<Site<A>>, Extension(user): User) -> Answer {
    ok(site.api.deletions(user.caller).await)
}

/// What would be deleted; nothing is.
#[utoipa::path(post, path = "/deletions/scope", tag = "recordings", request_body = Deletable,
    responses((status = 200, body = DeletionScope),
    (status = 409, body = ErrorBody, description = "footage_locked"),
    (status = 422, body = ErrorBody, description = "not_deletable")))]
pub(crate) async fn deletable<A: Api>(
    Shared(site): Shared<Site<A>>,
    Extension(user): User,
    JsonBody(input): JsonBody<Deletable>,
) -> Answer {
    ok(site.api.deletable(user.caller, input).await)
}

/// Deletes footage for good, on every disk that answers; the ledger has who did. It is accepted when this is answered, and done when it
/// is not in the list of deletions any more.
#[utoipa::path(post, path = "/deletions", tag = "recordings", request_body = DeletionInput,
    responses((status = 201, body = DeletionScope),
    (status = 409, body = ErrorBody, description = "footage_locked"),
    (status = 422, body = ErrorBody, description = "not_confirmed, not_deletable")))]
pub(crate) async fn delete_footage<A: Api>(
    Shared(site): Shared<Site<A>>,
    Extension(user): User,
    JsonBody(DeletionInput { channels, start, end, confirm: _ }): JsonBody<DeletionInput>,
) -> Answer {
    created(site.api.delete_footage(user.caller, Deletable { channels, start, end }).await)
}
