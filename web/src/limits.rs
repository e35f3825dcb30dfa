//! Every limit of the API with its reason, and the checks of what is taken.
//!
//! Does not belong here: limits of connections (`server.rs`), and checks that need the recorder's knowledge.

use std::net::Ipv4Addr;
use std::time::Duration;

use url::Url;

use crate::api::Span;
use crate::deletion_views::{Deletable, DeletionInput};
use crate::error::ApiError;
use crate::event_views::EventInput;
use crate::key_views::StreamKeyInput;
use crate::lock_views::LockInput;
use crate::storage_views::{EraseInput, PasswordInput, UnlockInput};
use crate::time::UtcTime;
use crate::update_views::{FormatInput, OwnerKeyInput, PresenceInput, UsbInput};
use crate::views::{CameraInput, ChannelInput, ClaimInput, LoginInput, Settings};

/// What is typed by whoever means to delete footage.
const DELETE: &str = "DELETE";
/// The largest body taken. The largest sensible one is a camera with a long address: 4 KiB.
pub const MAX_BODY_BYTES: usize = 64 << 10;
/// A body that takes longer than this is not being sent by somebody who wants an answer.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// The most read from a recording at once: four of them in flight a viewer still fit a 64 MB board.
pub const MAX_READ_BYTES: u64 = 256 << 10;
/// The most runs of one channel in a timeline: one for each pixel of a wide screen.
pub const MAX_RUNS: usize = 2000;
/// The highest channel number: what the largest board encodes, twice over.
pub const MAX_CHANNEL: u16 = 64;
/// Titles and names are drawn on pictures and tiles.
pub const MAX_TITLE_CHARS: usize = 64;
/// What common servers and cameras take as an address.
pub const MAX_URL_BYTES: usize = 2048;
/// The longest user name or password of a camera; vendors allow up to 64.
pub const MAX_CAMERA_CREDENTIAL_CHARS: usize = 128;
/// The longest name of a user or stream key that is looked at; the recorder's own rules are stricter.
pub const MAX_NAME_CHARS: usize = 64;
/// The longest password that is looked at: a passphrase, not a file.
pub const MAX_PASSWORD_CHARS: usize = 256;
/// The longest set-up code that is looked at, separators included.
pub const MAX_SETUP_CODE_CHARS: usize = 32;
/// Ledger entries in one answer: a screen or two.
pub const MAX_LEDGER_ENTRIES: u16 = 100;
/// The longest span of one recording. Over a gap its last picture stays, and a sample of an MP4 cannot last longer
/// than 13 hours: 32 bits of 1/90 000 s (ISO 14496-12 section 8.6.1.2).
pub const MAX_RECORDING: Duration = Duration::from_secs(12 * 3600);
/// The most channels in one export: players decode all tracks of a file at once.
pub const MAX_EXPORT_CHANNELS: usize = 16;
/// How long before its start media time 0 of a playback is at least: the keyframe that is needed may be two minutes older,
/// and no media time is negative.
pub const MIN_PLAYBACK_LEAD: Duration = Duration::from_secs(300);
/// How long before its start media time 0 of a playback is at most: a day and a span, so that a page can count from midnight.
pub const MAX_PLAYBACK_LEAD: Duration = Duration::from_secs(48 * 3600);
/// The longest span of a timeline: two years.
pub const MAX_TIMELINE: Duration = Duration::from_secs(2 * 366 * 86_400);
/// The longest file name that common file systems have.
pub const MAX_FILE_NAME_CHARS: usize = 255;
/// The longest name of a device that is looked at; Linux has 31.
pub const MAX_DEVICE_CHARS: usize = 31;
/// The longest key that is looked at: 32 bytes in hex, and room for a slip.
pub const MAX_KEY_CHARS: usize = 128;
/// The longest recovery key that is looked at: 40 signs, and separators behind each.
pub const MAX_RECOVERY_KEY_CHARS: usize = 100;
/// The longest path of a disk that is looked at; Linux's longest (PATH_MAX).
pub const MAX_PATH_CHARS: usize = 4096;
/// The longest reason of a lock: what an entry of the ledger takes.
pub const MAX_REASON_BYTES: usize = 200;
/// The longest event that is marked at once: who means more than an hour locks the footage, or marks again.
pub const MAX_EVENT: Duration = Duration::from_secs(3600);
/// Networks that may connect to RTSP: those of a site, and its machines elsewhere.
pub const MAX_RTSP_ALLOW: usize = 32;
/// The longest network: an IPv6 address with an IPv4 one in it, and its prefix.
pub const MAX_NETWORK_CHARS: usize = 50;
/// What erases a disk.
const ERASE: &str = "ERASE";
/// The longest `Cookie` header looked at: ours is 57 bytes, the rest are other pages' on the same address.
pub const MAX_COOKIE_BYTES: usize = 4096;

/// A body that can be checked for shape and size before anything else sees it.
pub(crate) trait Checked {
    fn check(&self) -> Result<(), ApiError>;
}

impl Checked for ClaimInput {
    fn check(&self) -> Result<(), ApiError> {
        at_most("setup_code", &self.setup_code, MAX_SETUP_CODE_CHARS)?;
        at_most("user", &self.user, MAX_NAME_CHARS)?;
        at_most("password", &self.password, MAX_PASSWORD_CHARS)
    }
}

impl Checked for LoginInput {
    fn check(&self) -> Result<(), ApiError> {
        at_most("user", &self.user, MAX_NAME_CHARS)?;
        at_most("password", &self.password, MAX_PASSWORD_CHARS)
    }
}

impl Checked for ChannelInput {
    fn check(&self) -> Result<(), ApiError> {
        title("title", &self.title)
    }
}

impl Checked for EventInput {
    fn check(&self) -> Result<(), ApiError> {
        let most = MAX_EVENT.as_secs();
        if (1..=most).contains(&u64::from(self.seconds)) {
            return Ok(());
        }
        Err(out_of_range("seconds", format!("An event lasts 1 to {most} seconds.")))
    }
}

impl Checked for StreamKeyInput {
    fn check(&self) -> Result<(), ApiError> {
        at_most("name", &self.name, MAX_NAME_CHARS)
    }
}

impl Checked for Settings {
    fn check(&self) -> Result<(), ApiError> {
        title("name", &self.name)?;
        at_most("time_zone", &self.time_zone, MAX_NAME_CHARS)?;
        if self.rtsp_allow.len() > MAX_RTSP_ALLOW {
            return Err(out_of_range("rtsp_allow", format!("Give at most {MAX_RTSP_ALLOW} networks.")));
        }
        if self.rtsp_multicast.group.parse::<Ipv4Addr>().is_err() {
            return Err(out_of_range("group", "Give an address such as 239.192.0.0."));
        }
        self.rtsp_allow.iter().try_for_each(|network| at_most("rtsp_allow", network, MAX_NETWORK_CHARS))
    }
}

impl Checked for UsbInput {
    fn check(&self) -> Result<(), ApiError> {
        at_most("device", &self.device, MAX_DEVICE_CHARS)?;
        at_most("file", &self.file, MAX_FILE_NAME_CHARS)?;
        let plain = |name: &str| !name.is_empty() && !name.contains('/') && !name.starts_with('.');
        for (field, name) in [("device", &self.device), ("file", &self.file)] {
            if !plain(name) {
                return Err(out_of_range(field, "Give a name from the list."));
            }
        }
        Ok(())
    }
}

impl Checked for OwnerKeyInput {
    fn check(&self) -> Result<(), ApiError> {
        at_most("public_key", &self.public_key, MAX_KEY_CHARS)?;
        at_most("code", &self.code, MAX_SETUP_CODE_CHARS)
    }
}

impl Checked for PresenceInput {
    fn check(&self) -> Result<(), ApiError> {
        at_most("code", &self.code, MAX_SETUP_CODE_CHARS)
    }
}

impl Checked for FormatInput {
    fn check(&self) -> Result<(), ApiError> {
        confirmed(&self.confirm)
    }
}

impl Checked for PasswordInput {
    fn check(&self) -> Result<(), ApiError> {
        at_most("password", &self.password, MAX_PASSWORD_CHARS)
    }
}

impl Checked for UnlockInput {
    fn check(&self) -> Result<(), ApiError> {
        at_most("path", &self.path, MAX_PATH_CHARS)?;
        at_most("recovery_key", &self.recovery_key, MAX_RECOVERY_KEY_CHARS)
    }
}

impl Checked for EraseInput {
    fn check(&self) -> Result<(), ApiError> {
        at_most("path", &self.path, MAX_PATH_CHARS)?;
        confirmed(&self.confirm)
    }
}

impl Checked for LockInput {
    fn check(&self) -> Result<(), ApiError> {
        stretch(&self.channels, self.start, self.end)?;
        if self.reason.len() > MAX_REASON_BYTES {
            return Err(out_of_range(
                "reason",
                format!("The reason is longer than {MAX_REASON_BYTES} bytes."),
            ));
        }
        Ok(())
    }
}

impl Checked for Deletable {
    fn check(&self) -> Result<(), ApiError> {
        stretch(&self.channels, self.start, self.end)
    }
}

impl Checked for DeletionInput {
    fn check(&self) -> Result<(), ApiError> {
        stretch(&self.channels, self.start, self.end)?;
        if self.confirm == DELETE {
            Ok(())
        } else {
            Err(ApiError::invalid(
                "not_confirmed",
                "confirm",
                format!("Type {DELETE} to delete the footage."),
            ))
        }
    }
}

fn stretch(channels: &[u16], start: UtcTime, end: UtcTime) -> Result<(), ApiError> {
    if channels.is_empty() || channels.len() > usize::from(MAX_CHANNEL) {
        return Err(out_of_range("channels", format!("Name 1 to {MAX_CHANNEL} channels.")));
    }
    for channel in channels {
        channel_number(*channel)
            .map_err(|_| out_of_range("channels", format!("Channels go from 1 to {MAX_CHANNEL}.")))?;
    }
    if start >= end {
        return Err(out_of_range("end", "The end is not after the start."));
    }
    Ok(())
}

impl Checked for CameraInput {
    fn check(&self) -> Result<(), ApiError> {
        if let Some(channel) = self.channel {
            channel_number(channel)
                .map_err(|_| out_of_range("channel", format!("Channels go from 1 to {MAX_CHANNEL}.")))?;
        }
        title("title", &self.title)?;
        if self.url.len() > MAX_URL_BYTES {
            return Err(out_of_range("url", format!("The address is longer than {MAX_URL_BYTES} bytes.")));
        }
        let url = Url::parse(&self.url).ok().filter(Url::has_host);
        let Some(url) = url.filter(|url| matches!(url.scheme(), "rtsp" | "rtsps")) else {
            return Err(ApiError::invalid(
                "not_an_rtsp_address",
                "url",
                "Write the address like rtsp://192.0.2.7/stream1.",
            ));
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ApiError::invalid(
                "credentials_in_address",
                "url",
                "Put the camera's user and password into their own fields, not into the address.",
            ));
        }
        for (field, value) in [("user", &self.user), ("password", &self.password)] {
            at_most(field, value.as_deref().unwrap_or_default(), MAX_CAMERA_CREDENTIAL_CHARS)?;
        }
        Ok(())
    }
}

/// A channel number from a path.
pub(crate) fn channel_number(number: u16) -> Result<u16, ApiError> {
    if (1..=MAX_CHANNEL).contains(&number) {
        Ok(number)
    } else {
        Err(ApiError::not_found("no_channel", format!("Channels go from 1 to {MAX_CHANNEL}.")))
    }
}

/// The channels of an export, each once.
pub(crate) fn channel_numbers(mut numbers: Vec<u16>) -> Result<Vec<u16>, ApiError> {
    for at in (1..numbers.len()).rev() {
        if numbers[..at].contains(&numbers[at]) {
            numbers.remove(at);
        }
    }
    if numbers.is_empty() || numbers.len() > MAX_EXPORT_CHANNELS {
        return Err(out_of_range("channel", format!("Choose 1 to {MAX_EXPORT_CHANNELS} channels.")));
    }
    numbers.into_iter().map(channel_number).collect()
}

/// Media time 0 of a playback of `span`.
pub(crate) fn playback_zero(zero: UtcTime, span: Span) -> Result<UtcTime, ApiError> {
    let lead = i128::from(span.start.as_unix_micros()) - i128::from(zero.as_unix_micros());
    let (least, most) = (MIN_PLAYBACK_LEAD.as_micros(), MAX_PLAYBACK_LEAD.as_micros());
    if (least.cast_signed()..=most.cast_signed()).contains(&lead) {
        Ok(zero)
    } else {
        Err(out_of_range("zero", "Give a time from 48 hours to 5 minutes before the start."))
    }
}

/// A device's name from a path: letters and digits, as the kernel names disks.
pub(crate) fn device_name(name: String) -> Result<String, ApiError> {
    let right =
        (1..=MAX_DEVICE_CHARS).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric());
    if right { Ok(name) } else { Err(ApiError::not_found("no_disk", "There is no such disk.")) }
}

/// How many ledger entries an address asks for.
pub(crate) fn ledger_entries(limit: u16) -> Result<u16, ApiError> {
    if (1..=MAX_LEDGER_ENTRIES).contains(&limit) {
        return Ok(limit);
    }
    Err(out_of_range("limit", format!("Ask for 1 to {MAX_LEDGER_ENTRIES} entries.")))
}

/// A span from an address's query.
pub(crate) fn span(start: UtcTime, end: UtcTime, longest: Duration) -> Result<Span, ApiError> {
    let micros = i128::from(end.as_unix_micros()) - i128::from(start.as_unix_micros());
    if micros <= 0 {
        return Err(ApiError::invalid("empty_span", "end", "The end must be after the start."));
    }
    if micros > longest.as_micros().cast_signed() {
        let hours = longest.as_secs() / 3600;
        return Err(out_of_range("end", format!("Ask for at most {hours} hours at once.")));
    }
    Ok(Span { start, end })
}

fn confirmed(typed: &str) -> Result<(), ApiError> {
    if typed == ERASE {
        Ok(())
    } else {
        Err(ApiError::invalid("not_confirmed", "confirm", format!("Type {ERASE} to erase the disk.")))
    }
}

fn at_most(field: &'static str, value: &str, chars: usize) -> Result<(), ApiError> {
    if value.chars().count() > chars {
        return Err(out_of_range(field, format!("This is longer than {chars} characters.")));
    }
    if value.chars().any(char::is_control) {
        return Err(out_of_range(field, "Leave out line breaks and control characters."));
    }
    Ok(())
}

fn title(field: &'static str, value: &str) -> Result<(), ApiError> {
    if value.trim().is_empty() {
        return Err(out_of_range(field, "Give it a name."));
    }
    at_most(field, value, MAX_TITLE_CHARS)
}

fn out_of_range(field: &'static str, message: impl Into<String>) -> ApiError {
    ApiError::invalid("out_of_range", field, message)
}
