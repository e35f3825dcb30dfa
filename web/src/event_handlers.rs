//! The operations about events on channels.
//!
//! Does not belong here: who may call (`routes.rs`), and what a call does (the daemon's).

use axum::Extension;
use axum::extract::State as Shared;
use axum::response::Response;

use crate::answer::done;
use crate::api::Api;
use crate::error::{ApiError, ErrorBody};
use crate::event_views::EventInput;
use crate::gate::SignedIn;
use crate::input::{At, JsonBody};
use crate::limits::channel_number;
use crate::site::Site;

/// Has what the channel shows from now on kept as an event; the ledger has who did.
#[utoipa::path(post, path = "/channels/{n}/event", tag = "channels", request_body = EventInput,
    params(("n" = u16, Path, description = "The channel, from 1")),
    responses((status = 204), (status = 409, body = ErrorBody, description = "no_event_days")))]
pub(crate) async fn mark_event<A: Api>(
    Shared(site): Shared<Site<A>>,
    Extension(user): Extension<SignedIn>,
    At(n): At<u16>,
    JsonBody(input): JsonBody<EventInput>,
) -> Result<Response, ApiError> {
    done(site.api.mark_event(user.caller, channel_number(n)?, input).await)
}
