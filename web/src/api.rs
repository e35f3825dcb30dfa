//! What the API can do: the trait that the daemon implements.
//!
//! Every method is called after the gate (`gate.rs`) has decided: a method with a [`Caller`] runs only for a
//! user whose session was verified on this very request and whose role the route asks for. Bodies have been
//! checked for shape and size (`limits.rs`), not for what only the recorder can know.
//!
//! For implementers: write `async fn`; the futures may be dropped at any await when the client goes away, so
//! what must not stay half done belongs in a task of its own. An error's detail is logged here at the edge.
//!
//! Does not belong here: HTTP, and anything that knows how a request looked.

use std::future::Future;
use std::net::SocketAddr;
use std::ops::Range;

use bytes::Bytes;

use crate::deletion_views::{Deletable, Deletion, DeletionScope};
use crate::error::ApiError;
use crate::event_views::EventInput;
use crate::key_views::{NewStreamKey, StreamKey, StreamKeyInput};
use crate::ledger_views::Ledger;
use crate::lock_views::{Lock, LockInput, NewLock};
use crate::storage_views::{EraseInput, PasswordInput, RecoveryKey, UnlockInput};
use crate::time::UtcTime;
use crate::update_views::{OwnerKeyInput, PresenceInput, UpdateView, UsbInput};
use crate::upload::Upload;
use crate::views::{
    Camera, CameraInput, Channel, ChannelInput, ClaimInput, LoginInput, RecordingInfo, Role, Session,
    Settings, State, StreamName, System, Timeline, Trust,
};

/// A session's secret, as the cookie carries it: 43 characters of base64url, 256 bits.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionToken(String);

impl SessionToken {
    /// The length of a token in the cookie: 256 bits in base64url without padding (RFC 4648 section 5).
    pub const LEN: usize = 43;

    /// `None` unless `text` has a token's form.
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        let right = text.len() == Self::LEN
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        right.then_some(Self(text))
    }

    /// The secret itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionToken(..)")
    }
}

/// Who calls: verified on this request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user's name.
    pub user: String,
    /// The user's role.
    pub role: Role,
    /// Where the request came from.
    pub from: SocketAddr,
}

/// A session that has just begun.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// The secret; it goes into the cookie and nowhere else.
    pub token: SessionToken,
    /// Who is signed in.
    pub session: Session,
}

/// The first owner, and what they must keep.
#[derive(Clone)]
pub struct NewOwner {
    /// Their session.
    pub session: NewSession,
    /// Opens the recorder's disks without the recorder; `None` when none could be made.
    pub recovery_key: Option<String>,
}

impl std::fmt::Debug for NewOwner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewOwner").field("session", &self.session).finish_non_exhaustive()
    }
}

/// A channel's span of time, `start` before `end`, at most [`crate::limits::MAX_RECORDING`] long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first moment.
    pub start: UtcTime,
    /// The end.
    pub end: UtcTime,
}

/// What a recording is fetched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be played in the browser.
    Playback,
    /// To be kept as a file.
    Export,
}

/// One message of a live view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LiveMessage {
    /// JSON about what follows.
    Text(String),
    /// An init segment or a fragment.
    Binary(Bytes),
}

/// A live view; dropping it ends the view.
pub trait Live: Send + 'static {
    /// The next message; `None` when there will be no more. It is not asked while the client is slow: what may
    /// be lost meanwhile is the implementer's choice.
    fn next(&mut self) -> impl Future<Output = Option<LiveMessage>> + Send;
}

/// One change of what the pages show.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    /// All channels.
    Channels(Vec<Channel>),
    /// The trust line.
    Trust(Trust),
    /// The system.
    System(System),
    /// The recorder's own software.
    Software(Box<UpdateView>),
}

/// The changes of what the pages show; dropping it ends the watching.
pub trait Updates: Send + 'static {
    /// The next change: first each of the four as it is now, then what differs. It may come at any rate; of
    /// each kind at most one a second is sent, the newest. `None` when there will be no more.
    fn next(&mut self) -> impl Future<Output = Option<Update>> + Send;
}

/// A recording as a file that is made while it is read. Dropping it ends the reading.
pub trait Recording: Send + Sync + 'static {
    /// The file's size in bytes.
    fn len(&self) -> u64;

    /// Whether there is nothing in it.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Letters, digits and `-`; another one whenever any byte would be another (a strong validator, RFC 9110
    /// section 8.8.1).
    fn etag(&self) -> String;

    /// Exactly the bytes of `range`, which is not longer than [`crate::limits::MAX_READ_BYTES`] and lies inside
    /// the file.
    fn read(&self, range: Range<u64>) -> impl Future<Output = Result<Bytes, ApiError>> + Send;
}

/// Bytes that are made while they are sent, as many as there are. Dropping it ends the making.
pub trait ByteStream: Send + 'static {
    /// For the header of that name.
    fn content_type(&self) -> String;

    /// The next ones, a few hundred KiB at most; `None` at the end. It is not asked while the client is slow.
    fn next(&mut self) -> impl Future<Output = Result<Option<Bytes>, ApiError>> + Send;
}

/// What the API can do.
pub trait Api: Send + Sync + 'static {
    /// A live view.
    type Live: Live;
    /// The changes of what the pages show.
    type Updates: Updates;
    /// A recording as a file.
    type Recording: Recording;
    /// A recording as a stream.
    type Stream: ByteStream;

    /// `GET /state`. Called for every request of the claim too, so it must be cheap.
    fn state(&self) -> impl Future<Output = State> + Send;

    /// Who holds `token`, and counts as use of the session; `None` when it is over or never was.
    fn authenticate(
        &self,
        token: &SessionToken,
        from: SocketAddr,
    ) -> impl Future<Output = Option<Session>> + Send;

    /// Whether the session goes on, without counting as use. Asked every other second for as long as a live
    /// view or `/updates` is open, and these end with the session.
    fn session_alive(&self, token: &SessionToken) -> bool;

    /// `POST /claim`, only while unclaimed.
    ///
    /// # Errors
    /// `Unauthorized` (wrong_setup_code), `Invalid` (user, password), `TooMany`, `NotFound` when somebody else
    /// was faster.
    fn claim(
        &self,
        input: ClaimInput,
        from: SocketAddr,
    ) -> impl Future<Output = Result<NewOwner, ApiError>> + Send;

    /// `POST /session`.
    ///
    /// # Errors
    /// `Unauthorized` (wrong_login), `TooMany`.
    fn login(
        &self,
        input: LoginInput,
        from: SocketAddr,
    ) -> impl Future<Output = Result<NewSession, ApiError>> + Send;

    /// `DELETE /session`.
    fn logout(&self, caller: Caller, token: &SessionToken) -> impl Future<Output = ()> + Send;

    /// `GET /channels`.
    ///
    /// # Errors
    /// `Unavailable`.
    fn channels(&self, caller: Caller) -> impl Future<Output = Result<Vec<Channel>, ApiError>> + Send;

    /// `PUT /channels/{n}`.
    ///
    /// # Errors
    /// `NotFound` (no_channel), `Unavailable`.
    fn set_channel(
        &self,
        caller: Caller,
        channel: u16,
        input: ChannelInput,
    ) -> impl Future<Output = Result<Channel, ApiError>> + Send;

    /// `POST /channels/{n}/event`.
    ///
    /// # Errors
    /// `NotFound` (no_channel), `Conflict` (no_event_days), `Unavailable`.
    fn mark_event(
        &self,
        caller: Caller,
        channel: u16,
        input: EventInput,
    ) -> impl Future<Output = Result<(), ApiError>> + Send;

    /// `GET /cameras`.
    ///
    /// # Errors
    /// `Unavailable`.
    fn cameras(&self, caller: Caller) -> impl Future<Output = Result<Vec<Camera>, ApiError>> + Send;

    /// `POST /cameras`.
    ///
    /// # Errors
    /// `Conflict` (channel_taken, no_free_channel), `Invalid`, `Unavailable`.
    fn add_camera(
        &self,
        caller: Caller,
        input: CameraInput,
    ) -> impl Future<Output = Result<Camera, ApiError>> + Send;

    /// `PUT /cameras/{n}`; a password that is absent is kept.
    ///
    /// # Errors
    /// `NotFound` (no_camera), `Invalid`, `Unavailable`.
    fn set_camera(
        &self,
        caller: Caller,
        channel: u16,
        input: CameraInput,
    ) -> impl Future<Output = Result<Camera, ApiError>> + Send;

    /// `DELETE /cameras/{n}`.
    ///
    /// # Errors
    /// `NotFound` (no_camera), `Unavailable`.
    fn remove_camera(
        &self,
        caller: Caller,
        channel: u16,
    ) -> impl Future<Output = Result<(), ApiError>> + Send;

    /// `GET /channels/{n}/{main|sub}/live`.
    ///
    /// # Errors
    /// `NotFound` (no_channel), `TooMany`, `Unavailable`.
    fn live(
        &self,
        caller: Caller,
        channel: u16,
        stream: StreamName,
        audio: bool,
    ) -> impl Future<Output = Result<Self::Live, ApiError>> + Send;

    /// `GET /timeline`, of one channel or of all.
    ///
    /// # Errors
    /// `NotFound` (no_channel), `Unavailable`.
    fn timeline(
        &self,
        caller: Caller,
        span: Span,
        channel: Option<u16>,
    ) -> impl Future<Output = Result<Timeline, ApiError>> + Send;

    /// `GET /channels/{n}/recording`.
    ///
    /// # Errors
    /// `NotFound` (no_channel, no_footage), `Unavailable`.
    fn recording_info(
        &self,
        caller: Caller,
        channel: u16,
        span: Span,
    ) -> impl Future<Output = Result<RecordingInfo, ApiError>> + Send;

    /// `GET /channels/{n}/recording.mp4`.
    ///
    /// # Errors
    /// `NotFound` (no_channel, no_footage), `TooMany`, `Unavailable`.
    fn recording(
        &self,
        caller: Caller,
        channel: u16,
        span: Span,
        purpose: Purpose,
    ) -> impl Future<Output = Result<Self::Recording, ApiError>> + Send;

    /// `GET /channels/{n}/playback.mp4`; media time is wall time less `zero`.
    ///
    /// # Errors
    /// `NotFound` (no_channel, no_footage), `TooMany`, `Unavailable`.
    fn playback(
        &self,
        caller: Caller,
        channel: u16,
        span: Span,
        zero: UtcTime,
        audio: bool,
    ) -> impl Future<Output = Result<Self::Stream, ApiError>> + Send;

    /// `GET /export.mp4`: at least one channel, each once.
    ///
    /// # Errors
    /// `NotFound` (no_channel, no_footage), `TooMany`, `Unavailable`.
    fn export_mp4(
        &self,
        caller: Caller,
        channels: Vec<u16>,
        span: Span,
    ) -> impl Future<Output = Result<Self::Recording, ApiError>> + Send;

    /// `GET /export.zip`: at least one channel, each once.
    ///
    /// # Errors
    /// `NotFound` (no_channel, no_footage), `TooMany`, `Unavailable`.
    fn export_zip(
        &self,
        caller: Caller,
        channels: Vec<u16>,
        span: Span,
    ) -> impl Future<Output = Result<Self::Stream, ApiError>> + Send;

    /// `GET /system`.
    ///
    /// # Errors
    /// `Unavailable`.
    fn system(&self, caller: Caller) -> impl Future<Output = Result<System, ApiError>> + Send;

    /// `GET /trust`.
    ///
    /// # Errors
    /// `Unavailable`.
    fn trust(&self, caller: Caller) -> impl Future<Output = Result<Trust, ApiError>> + Send;

    /// `GET /ledger`: up to `limit` entries with numbers below `before`, or the newest.
    ///
    /// # Errors
    /// `Unavailable`.
    fn ledger(
        &self,
        caller: Caller,
        before: Option<u64>,
        limit: u16,
    ) -> impl Future<Output = Result<Ledger, ApiError>> + Send;

    /// `GET /updates`.
    ///
    /// # Errors
    /// `TooMany`, `Unavailable`.
    fn updates(&self, caller: Caller) -> impl Future<Output = Result<Self::Updates, ApiError>> + Send;

    /// `GET /stream-keys`.
    ///
    /// # Errors
    /// `Unavailable`.
    fn stream_keys(&self, caller: Caller) -> impl Future<Output = Result<Vec<StreamKey>, ApiError>> + Send;

    /// `POST /stream-keys`.
    ///
    /// # Errors
    /// `Conflict` (name_taken, too_many_keys), `Invalid` (name).
    fn add_stream_key(
        &self,
        caller: Caller,
        input: StreamKeyInput,
    ) -> impl Future<Output = Result<NewStreamKey, ApiError>> + Send;

    /// `DELETE /stream-keys/{name}`; ends what is being watched with it.
    ///
    /// # Errors
    /// `NotFound` (no_key).
    fn remove_stream_key(
        &self,
        caller: Caller,
        name: String,
    ) -> impl Future<Output = Result<(), ApiError>> + Send;

    /// `GET /settings`.
    ///
    /// # Errors
    /// `Unavailable`.
    fn settings(&self, caller: Caller) -> impl Future<Output = Result<Settings, ApiError>> + Send;

    /// `PUT /settings`.
    ///
    /// # Errors
    /// `Invalid` (time_zone), `Unavailable`.
    fn set_settings(
        &self,
        caller: Caller,
        input: Settings,
    ) -> impl Future<Output = Result<Settings, ApiError>> + Send;

    /// `GET /update`.
    ///
    /// # Errors
    /// `Unavailable`.
    fn update(&self, caller: Caller) -> impl Future<Output = Result<UpdateView, ApiError>> + Send;

    /// `POST /update`: takes the bundle from `upload`, no faster than it is kept, verifies and installs it. When
    /// the sender goes away the future is dropped, and nothing may be left of what had arrived.
    ///
    /// # Errors
    /// `Invalid` (not_a_bundle, wrong_board, bad_signature, damaged, expired), `Conflict` (too_old, downgrade,
    /// busy, not_supported, cancelled), `TooLarge`, `NoSpace`, `Unavailable`.
    fn install_update(
        &self,
        caller: Caller,
        upload: &mut Upload,
        downgrade: bool,
    ) -> impl Future<Output = Result<UpdateView, ApiError>> + Send;

    /// `DELETE /update`.
    ///
    /// # Errors
    /// `Conflict` (nothing_to_cancel, too_late), `Unavailable`.
    fn cancel_update(&self, caller: Caller) -> impl Future<Output = Result<(), ApiError>> + Send;

    /// `POST /update/usb`.
    ///
    /// # Errors
    /// `NotFound` (no_file), otherwise those of [`Api::install_update`].
    fn install_update_from_usb(
        &self,
        caller: Caller,
        input: UsbInput,
    ) -> impl Future<Output = Result<UpdateView, ApiError>> + Send;

    /// `POST /update/presence`.
    ///
    /// # Errors
    /// `Conflict` (not_supported), `TooMany`, `Unavailable`.
    fn show_presence_code(&self, caller: Caller) -> impl Future<Output = Result<(), ApiError>> + Send;

    /// `PUT /update/owner-key`.
    ///
    /// # Errors
    /// `Invalid` (wrong_code, not_a_key), `Conflict` (not_supported), `Unavailable`.
    fn set_owner_key(
        &self,
        caller: Caller,
        input: OwnerKeyInput,
    ) -> impl Future<Output = Result<UpdateView, ApiError>> + Send;

    /// `DELETE /update/owner-key`.
    ///
    /// # Errors
    /// `Invalid` (wrong_code), `NotFound` (no_owner_key), `Conflict` (not_supported), `Unavailable`.
    fn remove_owner_key(
        &self,
        caller: Caller,
        input: PresenceInput,
    ) -> impl Future<Output = Result<UpdateView, ApiError>> + Send;

    /// `POST /restart`.
    ///
    /// # Errors
    /// `Conflict` (busy, not_supported), `Unavailable`.
    fn restart(&self, caller: Caller) -> impl Future<Output = Result<(), ApiError>> + Send;

    /// `POST /disks/{device}/format`, once whoever asks has said that they mean it.
    ///
    /// # Errors
    /// `NotFound` (no_disk), `Conflict` (busy, not_supported), `Unavailable`.
    fn format_disk(
        &self,
        caller: Caller,
        device: String,
        encrypt: Option<bool>,
    ) -> impl Future<Output = Result<(), ApiError>> + Send;

    /// `POST /storage/recovery-key`: the new key, which is shown this once.
    ///
    /// # Errors
    /// `Invalid` (wrong_password), `Conflict` (not_supported), `TooMany`, `Unavailable`.
    fn new_recovery_key(
        &self,
        caller: Caller,
        input: PasswordInput,
    ) -> impl Future<Output = Result<RecoveryKey, ApiError>> + Send;

    /// `POST /storage/unlock`.
    ///
    /// # Errors
    /// `Invalid` (mistyped_key, wrong_key), `NotFound` (no_disk), `Conflict` (not_locked), `Unavailable`.
    fn unlock_disk(
        &self,
        caller: Caller,
        input: UnlockInput,
    ) -> impl Future<Output = Result<(), ApiError>> + Send;

    /// `POST /storage/erase`, once whoever asks has said that they mean it.
    ///
    /// # Errors
    /// `NotFound` (no_disk), `Conflict` (not_encrypted), `Unavailable`.
    fn erase_footage(
        &self,
        caller: Caller,
        input: EraseInput,
    ) -> impl Future<Output = Result<(), ApiError>> + Send;

    /// `GET /locks`.
    ///
    /// # Errors
    /// `Unavailable`.
    fn locks(&self, caller: Caller) -> impl Future<Output = Result<Vec<Lock>, ApiError>> + Send;

    /// `POST /locks`.
    ///
    /// # Errors
    /// `Conflict` (too_much_locked), `Invalid` (not_lockable), `Unavailable`.
    fn lock(
        &self,
        caller: Caller,
        input: LockInput,
    ) -> impl Future<Output = Result<NewLock, ApiError>> + Send;

    /// `DELETE /locks/{id}`.
    ///
    /// # Errors
    /// `NotFound` (no_lock), `Unavailable`.
    fn unlock(&self, caller: Caller, id: u64) -> impl Future<Output = Result<(), ApiError>> + Send;

    /// `GET /deletions`.
    ///
    /// # Errors
    /// `Unavailable`.
    fn deletions(&self, caller: Caller) -> impl Future<Output = Result<Vec<Deletion>, ApiError>> + Send;

    /// `POST /deletions/scope`.
    ///
    /// # Errors
    /// `Conflict` (footage_locked), `Invalid` (not_deletable), `Unavailable`.
    fn deletable(
        &self,
        caller: Caller,
        input: Deletable,
    ) -> impl Future<Output = Result<DeletionScope, ApiError>> + Send;

    /// `POST /deletions`, once whoever asks has said that they mean it.
    ///
    /// # Errors
    /// `Conflict` (footage_locked), `Invalid` (not_deletable), `Unavailable`.
    fn delete_footage(
        &self,
        caller: Caller,
        input: Deletable,
    ) -> impl Future<Output = Result<DeletionScope, ApiError>> + Send;
}
