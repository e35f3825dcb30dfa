//! The operations: each turns an admitted request into one call of the API.
//!
//! Does not belong here: who may call (`routes.rs`), and what a call does (the daemon's).

use axum::Extension;
use axum::extract::State as Shared;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::response::Response;
use http::header::SET_COOKIE;
use http::{StatusCode, Uri};
use serde::{Deserialize, Serialize};

use crate::answer::{created, done, json, ok};
use crate::api::{Api, NewOwner, NewSession, SessionToken};
use crate::error::ApiError;
use crate::gate::{Peer, SignedIn};
use crate::input::{At, JsonBody, Switch, query};
use crate::key_views::{NewStreamKey, StreamKey, StreamKeyInput};
use crate::limits::channel_number;
use crate::site::Site;
use crate::storage_views::Claimed;
use crate::views::{
    Camera, CameraInput, Channel, ChannelInput, ClaimInput, LoginInput, Session, Settings, State, StreamName,
    System, Trust,
};
use crate::{cookie, live_socket, update_stream};

type Answer = Result<Response, ApiError>;
type User = Extension<SignedIn>;

/// Whether the recorder has an owner, its name and version.
#[utoipa::path(get, path = "/state", tag = "session", responses((status = 200, body = State)))]
pub(crate) async fn state<A: Api>(Shared(site): Shared<Site<A>>) -> Answer {
    Ok(json(StatusCode::OK, &site.api.state().await))
}

/// Makes the first owner and signs them in. Gone once there is one.
#[utoipa::path(post, path = "/claim", tag = "session", request_body = ClaimInput,
    responses((status = 201, body = Claimed)))]
pub(crate) async fn claim<A: Api>(
    Shared(site): Shared<Site<A>>,
    Peer(from): Peer,
    body: JsonBody<ClaimInput>,
) -> Answer {
    let JsonBody(input) = body;
    let NewOwner { session: NewSession { token, session }, recovery_key } =
        site.api.claim(input, from).await?;
    Ok(signed_in(StatusCode::CREATED, &token, &Claimed::new(session, recovery_key)))
}

/// Signs in.
#[utoipa::path(post, path = "/session", tag = "session", request_body = LoginInput,
    responses((status = 200, body = Session)))]
pub(crate) async fn login<A: Api>(
    Shared(site): Shared<Site<A>>,
    Peer(from): Peer,
    body: JsonBody<LoginInput>,
) -> Answer {
    let JsonBody(input) = body;
    let NewSession { token, session } = site.api.login(input, from).await?;
    Ok(signed_in(StatusCode::OK, &token, &session))
}

fn signed_in<T: Serialize>(status: StatusCode, token: &SessionToken, body: &T) -> Response {
    let mut response = json(status, body);
    response.headers_mut().insert(SET_COOKIE, cookie::set(token));
    response
}

/// Who is signed in.
#[utoipa::path(get, path = "/session", tag = "session", responses((status = 200, body = Session)))]
pub(crate) async fn session(Extension(user): User) -> Answer {
    Ok(json(StatusCode::OK, &user.session))
}

/// Signs out.
#[utoipa::path(delete, path = "/session", tag = "session", responses((status = 204)))]
pub(crate) async fn logout<A: Api>(Shared(site): Shared<Site<A>>, Extension(user): User) -> Answer {
    site.api.logout(user.caller, &user.token).await;
    let mut response = done(Ok(()))?;
    response.headers_mut().insert(SET_COOKIE, cookie::clear());
    Ok(response)
}

/// All channels.
#[utoipa::path(get, path = "/channels", tag = "channels", responses((status = 200, body = Vec<Channel>)))]
pub(crate) async fn channels<A: Api>(Shared(site): Shared<Site<A>>, Extension(user): User) -> Answer {
    ok(site.api.channels(user.caller).await)
}

/// Changes a channel's title.
#[utoipa::path(put, path = "/channels/{n}", tag = "channels", request_body = ChannelInput,
    params(("n" = u16, Path, description = "The channel, from 1")),
    responses((status = 200, body = Channel)))]
pub(crate) async fn set_channel<A: Api>(
    Shared(site): Shared<Site<A>>,
    Extension(user): User,
    At(n): At<u16>,
    JsonBody(input): JsonBody<ChannelInput>,
) -> Answer {
    ok(site.api.set_channel(user.caller, channel_number(n)?, input).await)
}

/// All network cameras.
#[utoipa::path(get, path = "/cameras", tag = "cameras", responses((status = 200, body = Vec<Camera>)))]
pub(crate) async fn cameras<A: Api>(Shared(site): Shared<Site<A>>, Extension(user): User) -> Answer {
    ok(site.api.cameras(user.caller).await)
}

/// Adds a network camera.
#[utoipa::path(post, path = "/cameras", tag = "cameras", request_body = CameraInput,
    responses((status = 201, body = Camera)))]
pub(crate) async fn add_camera<A: Api>(
    Shared(site): Shared<Site<A>>,
    Extension(user): User,
    JsonBody(input): JsonBody<CameraInput>,
) -> Answer {
    created(site.api.add_camera(user.caller, input).await)
}

/// Changes a network camera.
#[utoipa::path(put, path = "/cameras/{n}", tag = "cameras", request_body = CameraInput,
    params(("n" = u16, Path, description = "The channel that the camera feeds, from 1")),
    responses((status = 200, body = Camera)))]
pub(crate) async fn set_camera<A: Api>(
    Shared(site): Shared<Site<A>>,
    Extension(user): User,
    At(n): At<u16>,
    JsonBody(input): JsonBody<CameraInput>,
) -> Answer {
    let n = channel_number(n)?;
    if input.channel.is_some_and(|channel| channel != n) {
        return Err(ApiError::invalid("channel_differs", "channel", "A camera stays on its channel."));
    }
    ok(site.api.set_camera(user.caller, n, input).await)
}

/// Removes a network camera; its footage stays.
#[utoipa::path(delete, path = "/cameras/{n}", tag = "cameras",
    params(("n" = u16, Path, description = "The channel that the camera feeds, from 1")),
    responses((status = 204)))]
pub(crate) async fn remove_camera<A: Api>(
    Shared(site): Shared<Site<A>>,
    Extension(user): User,
    At(n): At<u16>,
) -> Answer {
    done(site.api.remove_camera(user.caller, channel_number(n)?).await)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LiveQuery {
    #[serde(default)]
    audio: Switch,
}

/// Live video over a WebSocket: JSON texts and fragmented MP4.
#[utoipa::path(get, path = "/channels/{n}/{stream}/live", tag = "channels",
    params(("n" = u16, Path, description = "The channel, from 1"),
        ("stream" = StreamName, Path, description = "Which of its streams"),
        ("audio" = Option<u8>, Query, description = "1 for sound too", minimum = 0, maximum = 1)),
    responses((status = 101, description = "Texts tell about the binary messages after them")))]
pub(crate) async fn live<A: Api>(
    Shared(site): Shared<Site<A>>,
    Extension(user): User,
    At((n, stream)): At<(u16, StreamName)>,
    uri: Uri,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Answer {
    let channel = channel_number(n)?;
    let LiveQuery { audio } = query(&uri)?;
    let upgrade = upgrade.map_err(|_| {
        ApiError::malformed("not_a_websocket", "Open this address as a WebSocket (RFC 6455, version 13).")
    })?;
    let live = site.api.live(user.caller, channel, stream, audio == Switch::On).await?;
    Ok(live_socket::answer(upgrade, live, site, user.token))
}

/// Processes, disks and confinement.
#[utoipa::path(get, path = "/system", tag = "system", responses((status = 200, body = System)))]
pub(crate) async fn system<A: Api>(Shared(site): Shared<Site<A>>, Extension(user): User) -> Answer {
    ok(site.api.system(user.caller).await)
}

/// Who watches, and whether all is well.
#[utoipa::path(get, path = "/trust", tag = "system", responses((status = 200, body = Trust)))]
pub(crate) async fn trust<A: Api>(Shared(site): Shared<Site<A>>, Extension(user): User) -> Answer {
    ok(site.api.trust(user.caller).await)
}

/// Server-sent events `channels`, `trust`, `system` and `update`, each with the whole view.
#[utoipa::path(get, path = "/updates", tag = "system",
    responses((status = 200, content_type = "text/event-stream", body = String)))]
pub(crate) async fn updates<A: Api>(Shared(site): Shared<Site<A>>, Extension(user): User) -> Answer {
    let updates = site.api.updates(user.caller).await?;
    Ok(update_stream::answer(updates, site, user.token))
}

/// All stream keys, without the keys.
#[utoipa::path(get, path = "/stream-keys", tag = "stream keys",
    responses((status = 200, body = Vec<StreamKey>)))]
pub(crate) async fn stream_keys<A: Api>(Shared(site): Shared<Site<A>>, Extension(user): User) -> Answer {
    ok(site.api.stream_keys(user.caller).await)
}

/// Makes a stream key; the answer is the only time that it is shown.
#[utoipa::path(post, path = "/stream-keys", tag = "stream keys", request_body = StreamKeyInput,
    responses((status = 201, body = NewStreamKey)))]
pub(crate) async fn add_stream_key<A: Api>(
    Shared(site): Shared<Site<A>>,
    Extension(user): User,
    JsonBody(input): JsonBody<StreamKeyInput>,
) -> Answer {
    created(site.api.add_stream_key(user.caller, input).await)
}

/// Revokes a stream key.
#[utoipa::path(delete, path = "/stream-keys/{name}", tag = "stream keys",
    params(("name" = String, Path, description = "The key's name")), responses((status = 204)))]
pub(crate) async fn remove_stream_key<A: Api>(
    Shared(site): Shared<Site<A>>,
    Extension(user): User,
    At(name): At<String>,
) -> Answer {
    done(site.api.remove_stream_key(user.caller, name).await)
}

/// The recorder's settings.
#[utoipa::path(get, path = "/settings", tag = "system", responses((status = 200, body = Settings)))]
pub(crate) async fn settings<A: Api>(Shared(site): Shared<Site<A>>, Extension(user): User) -> Answer {
    ok(site.api.settings(user.caller).await)
}

/// Changes the recorder's settings.
#[utoipa::path(put, path = "/settings", tag = "system", request_body = Settings,
    responses((status = 200, body = Settings)))]
pub(crate) async fn set_settings<A: Api>(
    Shared(site): Shared<Site<A>>,
    Extension(user): User,
    JsonBody(input): JsonBody<Settings>,
) -> Answer {
    ok(site.api.set_settings(user.caller, input).await)
}
