//! Recorded footage: what there is, as files of one or more channels, and played.
//!
//! Does not belong here: who may call (`routes.rs`), and what a call does (the daemon's).

use axum::Extension;
use axum::extract::{Request, State as Shared};
use axum::response::Response;
use http::header::CONTENT_DISPOSITION;
use http::{HeaderValue, Uri};
use serde::Deserialize;

use crate::answer::ok;
use crate::api::{Api, Purpose, Span};
use crate::error::ApiError;
use crate::gate::SignedIn;
use crate::input::{At, Switch, query};
use crate::limits::{MAX_RECORDING, MAX_TIMELINE, channel_number, channel_numbers, playback_zero, span};
use crate::site::Site;
use crate::time::UtcTime;
use crate::views::{RecordingInfo, Timeline};
use crate::{file, stream};

type Answer = Result<Response, ApiError>;
type User = Extension<SignedIn>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TimelineQuery {
    start: UtcTime,
    end: UtcTime,
    channel: Option<u16>,
}

/// What is recorded, at most two years at once.
#[utoipa::path(get, path = "/timeline", tag = "recordings",
    params(("start" = UtcTime, Query), ("end" = UtcTime, Query),
        ("channel" = Option<u16>, Query, description = "Only this one")),
    responses((status = 200, body = Timeline)))]
pub(crate) async fn timeline<A: Api>(
    Shared(site): Shared<Site<A>>,
    Extension(user): User,
    uri: Uri,
) -> Answer {
    let TimelineQuery { start, end, channel } = query(&uri)?;
    let span = span(start, end, MAX_TIMELINE)?;
    let channel = channel.map(channel_number).transpose()?;
    ok(site.api.timeline(user.caller, span, channel).await)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SpanQuery {
    start: UtcTime,
    end: UtcTime,
}

/// What a recording would be, at most 12 hours at once.
#[utoipa::path(get, path = "/channels/{n}/recording", tag = "recordings",
    params(("n" = u16, Path, description = "The channel, from 1"),
        ("start" = UtcTime, Query), ("end" = UtcTime, Query)),
    responses((status = 200, body = RecordingInfo)))]
pub(crate) async fn recording_info<A: Api>(
    Shared(site): Shared<Site<A>>,
    Extension(user): User,
    At(n): At<u16>,
    uri: Uri,
) -> Answer {
    let channel = channel_number(n)?;
    let SpanQuery { start, end } = query(&uri)?;
    ok(site.api.recording_info(user.caller, channel, span(start, end, MAX_RECORDING)?).await)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordingQuery {
    start: UtcTime,
    end: UtcTime,
    #[serde(default)]
    download: Switch,
}

/// A recording as MP4, at most 12 hours at once, whole or a range of its bytes.
#[utoipa::path(get, path = "/channels/{n}/recording.mp4", tag = "recordings",
    params(("n" = u16, Path, description = "The channel, from 1"),
        ("start" = UtcTime, Query), ("end" = UtcTime, Query),
        ("download" = Option<u8>, Query, description = "1 to keep it as a file", minimum = 0, maximum = 1),
        ("Range" = Option<String>, Header, description = "One range of bytes (RFC 9110 section 14.2)"),
        ("If-Range" = Option<String>, Header, description = "The ETag that the range is of")),
    responses((status = 200, content_type = "video/mp4"), (status = 206, content_type = "video/mp4"),
        (status = 416, body = crate::error::ErrorBody)))]
pub(crate) async fn recording<A: Api>(
    Shared(site): Shared<Site<A>>,
    Extension(user): User,
    At(n): At<u16>,
    request: Request,
) -> Answer {
    let channel = channel_number(n)?;
    let RecordingQuery { start, end, download } = query(request.uri())?;
    let span = span(start, end, MAX_RECORDING)?;
    let purpose = if download == Switch::On { Purpose::Export } else { Purpose::Playback };
    let headers = request.headers().clone();
    let recording = site.api.recording(user.caller, channel, span, purpose).await?;
    let answer = file::answer(&headers, recording, move || site.api.session_alive(&user.token));
    match purpose {
        Purpose::Export => to_be_kept(answer?, &format!("ch{channel}-"), span, "mp4"),
        Purpose::Playback => answer,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlaybackQuery {
    start: UtcTime,
    end: UtcTime,
    zero: UtcTime,
    #[serde(default)]
    audio: Switch,
}

/// A recording to be played from its start at once, at most 12 hours: an init segment and fragments for Media Source Extensions,
/// as they are read. Media time is wall time less `zero`.
#[utoipa::path(get, path = "/channels/{n}/playback.mp4", tag = "recordings",
    params(("n" = u16, Path, description = "The channel, from 1"),
        ("start" = UtcTime, Query), ("end" = UtcTime, Query),
        ("zero" = UtcTime, Query, description = "The moment of media time 0, 5 minutes before the start or more"),
        ("audio" = Option<u8>, Query, description = "1 with sound that browsers play", minimum = 0, maximum = 1)),
    responses((status = 200, content_type = "video/mp4", description = "Content-Type has the codecs")))]
pub(crate) async fn playback<A: Api>(
    Shared(site): Shared<Site<A>>,
    Extension(user): User,
    At(n): At<u16>,
    uri: Uri,
) -> Answer {
    let channel = channel_number(n)?;
    let PlaybackQuery { start, end, zero, audio } = query(&uri)?;
    let span = span(start, end, MAX_RECORDING)?;
    let zero = playback_zero(zero, span)?;
    let stream = site.api.playback(user.caller, channel, span, zero, audio == Switch::On).await?;
    stream::answer(stream, move || site.api.session_alive(&user.token))
}

/// Several channels as one MP4 with a track for each stream, at most 12 hours at once, whole or a range of its bytes.
#[utoipa::path(get, path = "/export.mp4", tag = "recordings",
    params(("channel" = u16, Query, description = "Up to 16 times"),
        ("start" = UtcTime, Query), ("end" = UtcTime, Query),
        ("Range" = Option<String>, Header, description = "One range of bytes (RFC 9110 section 14.2)"),
        ("If-Range" = Option<String>, Header, description = "The ETag that the range is of")),
    responses((status = 200, content_type = "video/mp4"), (status = 206, content_type = "video/mp4"),
        (status = 416, body = crate::error::ErrorBody)))]
pub(crate) async fn export_mp4<A: Api>(
    Shared(site): Shared<Site<A>>,
    Extension(user): User,
    request: Request,
) -> Answer {
    let (channels, span) = export_query(request.uri())?;
    let headers = request.headers().clone();
    let recording = site.api.export_mp4(user.caller, channels, span).await?;
    let answer = file::answer(&headers, recording, move || site.api.session_alive(&user.token))?;
    to_be_kept(answer, "", span, "mp4")
}

/// Several channels as a zip with an MP4 for each, at most 12 hours at once, and `contents.toml` that says what they are.
#[utoipa::path(get, path = "/export.zip", tag = "recordings",
    params(("channel" = u16, Query, description = "Up to 16 times"),
        ("start" = UtcTime, Query), ("end" = UtcTime, Query)),
    responses((status = 200, content_type = "application/zip")))]
pub(crate) async fn export_zip<A: Api>(
    Shared(site): Shared<Site<A>>,
    Extension(user): User,
    uri: Uri,
) -> Answer {
    let (channels, span) = export_query(&uri)?;
    let stream = site.api.export_zip(user.caller, channels, span).await?;
    let answer = stream::answer(stream, move || site.api.session_alive(&user.token))?;
    to_be_kept(answer, "", span, "zip")
}

/// `channel` comes several times, which serde's query cannot say.
fn export_query(uri: &Uri) -> Result<(Vec<u16>, Span), ApiError> {
    let wrong = |what: String| ApiError::malformed("wrong_query", what);
    let (mut channels, mut start, mut end) = (Vec::new(), None, None);
    for (name, value) in query::<Vec<(String, String)>>(uri)? {
        let place = match name.as_str() {
            "channel" => {
                let number = value.parse().map_err(|_| wrong(format!("channel: {value} is no number")))?;
                channels.push(number);
                continue;
            }
            "start" => &mut start,
            "end" => &mut end,
            _ => return Err(wrong(format!("unknown field {name}"))),
        };
        let time: UtcTime = value.parse().map_err(|error| wrong(format!("{name}: {error}")))?;
        if place.replace(time).is_some() {
            return Err(wrong(format!("{name} is there twice")));
        }
    }
    let needed = |time: Option<UtcTime>, name| time.ok_or_else(|| wrong(format!("{name} is missing")));
    let (start, end) = (needed(start, "start")?, needed(end, "end")?);
    Ok((channel_numbers(channels)?, span(start, end, MAX_RECORDING)?))
}

/// Browsers keep it as a file of this name, unless it is a refusal.
fn to_be_kept(mut answer: Response, of: &str, span: Span, kind: &str) -> Answer {
    if answer.status().is_success() {
        let name = format!("candor-{of}{}.{kind}", span.start.file_name_part());
        let attachment =
            HeaderValue::try_from(format!("attachment; filename=\"{name}\"")).map_err(ApiError::internal)?;
        answer.headers_mut().insert(CONTENT_DISPOSITION, attachment);
    }
    Ok(answer)
}
