//! A recorder in memory: users, a channel, a recording, a list of calls.
//!
//! Does not belong here: any check of requests; whatever arrives here has passed the gate.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc, watch};

use crate::deletion_views::*;
use crate::event_views::EventInput;
use crate::key_views::*;
use crate::ledger_views::*;
use crate::lock_views::*;
use crate::storage_views::*;
use crate::update_views::*;
use crate::views::*;
use crate::*;

pub(super) const CHANNEL: u16 = 1;
pub(super) const SETUP_CODE: &str = "01A1-B2C3";
pub(super) const PASSWORD: &str = "correct horse battery";
pub(super) const RECOVERY_KEY: &str = "7N42D-EXAMP-1E0FA-REC0V-ERYKE-Y0000-00T17-3GTEZ";
/// More than two pieces, and not a multiple of one.
pub(super) const FOOTAGE_BYTES: u64 = 2 * limits::MAX_READ_BYTES + 1000;
/// A stream has as many pieces of these bytes.
pub(super) const PIECES: u32 = 3;
pub(super) const PIECE: &[u8] = b"some bytes of it";
/// What only a log may say.
pub(super) const DETAIL: &str = "/srv/candor/volume.toml: permission denied";

pub(super) fn token(role: Role) -> String {
    let sign = match role {
        Role::Viewer => "v",
        Role::Operator => "p",
        Role::Integrator => "i",
        Role::Owner => "o",
    };
    sign.repeat(SessionToken::LEN)
}

pub(super) fn csrf(role: Role) -> String {
    format!("csrf-of-{role:?}")
}

pub(super) fn footage() -> Bytes {
    (0..FOOTAGE_BYTES).map(|n| (n % 251) as u8).collect()
}

pub(super) struct Memory {
    pub(super) claimed: AtomicBool,
    /// The roles whose session goes on.
    pub(super) alive: watch::Sender<Vec<Role>>,
    /// What was called, in order; not `state`, `authenticate` and `session_alive`, which the gate asks.
    pub(super) calls: Mutex<Vec<String>>,
    /// Whether the system is broken.
    pub(super) broken: AtomicBool,
    pub(super) footage: Arc<Footage>,
    /// What the next live view sends.
    pub(super) live: Mutex<Option<mpsc::Receiver<LiveMessage>>>,
    /// What the next watcher of updates gets.
    pub(super) updates: Mutex<Option<mpsc::Receiver<Update>>>,
    /// The pieces of uploads that were taken, by size.
    pub(super) uploaded: Mutex<Vec<usize>>,
    /// How many pieces of uploads may still be taken before the next must wait.
    pub(super) room: Semaphore,
}

#[derive(Default)]
pub(super) struct Footage {
    pub(super) reads: Mutex<Vec<Range<u64>>>,
    pub(super) open: AtomicUsize,
    pub(super) broken: AtomicBool,
}

impl Memory {
    pub(super) fn new() -> Self {
        Self {
            claimed: AtomicBool::new(true),
            alive: watch::Sender::new(vec![Role::Viewer, Role::Operator, Role::Integrator, Role::Owner]),
            calls: Mutex::default(),
            broken: AtomicBool::new(false),
            footage: Arc::default(),
            live: Mutex::default(),
            updates: Mutex::default(),
            uploaded: Mutex::default(),
            room: Semaphore::new(Semaphore::MAX_PERMITS),
        }
    }

    fn called(&self, what: impl Into<String>) {
        self.calls.lock().unwrap().push(what.into());
    }

    fn holder(&self, token: &SessionToken) -> Option<Role> {
        self.alive.borrow().iter().copied().find(|role| self::token(*role) == token.as_str())
    }
}

fn session(role: Role) -> Session {
    Session { user: format!("{role:?}").to_lowercase(), role, csrf: csrf(role) }
}

fn owner() -> NewSession {
    NewSession { token: SessionToken::new(token(Role::Owner)).unwrap(), session: session(Role::Owner) }
}

fn known(channel: u16) -> Result<(), ApiError> {
    if channel == CHANNEL {
        Ok(())
    } else {
        Err(ApiError::not_found("no_channel", "There is no such channel."))
    }
}

pub(super) fn channel() -> Channel {
    Channel {
        channel: CHANNEL,
        title: "Front door".into(),
        source: ChannelSource::Camera,
        state: ChannelState {
            code: ChannelStateCode::Ok,
            since: UtcTime::from_unix_micros(0),
            message: "Front door records.".into(),
        },
        recording: true,
        keep_days: None,
        keep_event_days: None,
        main: Some(Stream {
            codec: "h264".into(),
            width: 1920,
            height: 1080,
            frame_rate: 25.0,
            bit_rate_bps: 4_000_000,
        }),
        sub: None,
        audio: None,
        motion_percent: None,
    }
}

fn camera(channel: u16, input: &CameraInput) -> Camera {
    Camera {
        channel,
        title: input.title.clone(),
        url: input.url.clone(),
        user: input.user.clone(),
        has_password: input.password.is_some(),
        transport: input.transport,
    }
}

pub(super) fn system() -> System {
    System {
        version: "0.1.0".into(),
        image: image(),
        uptime_sec: 1,
        time: UtcTime::from_unix_micros(0),
        roles: Vec::new(),
        disks: Vec::new(),
        lost: Vec::new(),
        sandbox: Sandbox { level: "none".into(), message: "Nothing is confined.".into() },
    }
}

fn image() -> Image {
    Image { version: "0.1.0".into(), commit: "unknown".into(), ..Image::default() }
}

pub(super) fn update() -> UpdateView {
    let stage = UpdateStage {
        code: UpdateStageCode::Idle,
        message: "Nothing is being installed.".into(),
        done_bytes: 0,
        total_bytes: 0,
        version: None,
    };
    UpdateView {
        supported: true,
        reason: None,
        stage,
        installed: image(),
        other: None,
        last: None,
        floor: "0.1.0".into(),
        keys: Vec::new(),
        usb: Vec::new(),
    }
}

pub(super) fn trust() -> Trust {
    Trust {
        watching: Vec::new(),
        disk: TrustDisk { state: DiskState::Ok, message: "All disks take footage.".into() },
        roles: TrustRoles { running: 4, total: 4 },
        recording: TrustRecording { channels: 1, total: 1 },
        ledger: None,
    }
}

pub(super) struct View(mpsc::Receiver<LiveMessage>);

impl Live for View {
    async fn next(&mut self) -> Option<LiveMessage> {
        self.0.recv().await
    }
}

pub(super) struct Changes(mpsc::Receiver<Update>);

impl Updates for Changes {
    async fn next(&mut self) -> Option<Update> {
        self.0.recv().await
    }
}

pub(super) struct File(Arc<Footage>);

impl Drop for File {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Recording for File {
    fn len(&self) -> u64 {
        FOOTAGE_BYTES
    }

    fn etag(&self) -> String {
        "v1".into()
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, ApiError> {
        self.0.reads.lock().unwrap().push(range.clone());
        if range.start > 0 && self.0.broken.load(Ordering::SeqCst) {
            return Err(ApiError::internal(DETAIL));
        }
        Ok(footage().slice(range.start as usize..range.end as usize))
    }
}

pub(super) struct Pieces {
    of: Arc<Footage>,
    content_type: &'static str,
    left: u32,
}

impl Drop for Pieces {
    fn drop(&mut self) {
        self.of.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl ByteStream for Pieces {
    fn content_type(&self) -> String {
        self.content_type.to_owned()
    }

    async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        if left == 0 && self.of.broken.load(Ordering::SeqCst) {
            return Err(ApiError::internal(DETAIL));
        }
        self.left = left;
        Ok(Some(Bytes::from_static(PIECE)))
    }
}

impl Memory {
    fn pieces(&self, content_type: &'static str) -> Pieces {
        self.footage.open.fetch_add(1, Ordering::SeqCst);
        Pieces { of: Arc::clone(&self.footage), content_type, left: PIECES }
    }
}

impl Api for Memory {
    type Live = View;
    type Updates = Changes;
    type Recording = File;
    type Stream = Pieces;

    async fn state(&self) -> State {
        let claimed = self.claimed.load(Ordering::SeqCst);
        State { claimed, name: "Candor".into(), version: "0.1.0".into() }
    }

    async fn authenticate(&self, token: &SessionToken, _: SocketAddr) -> Option<Session> {
        self.holder(token).map(session)
    }

    fn session_alive(&self, token: &SessionToken) -> bool {
        self.holder(token).is_some()
    }

    async fn claim(&self, input: ClaimInput, from: SocketAddr) -> Result<NewOwner, ApiError> {
        self.called(format!("claim {} {}", input.user, from.ip()));
        if input.setup_code != SETUP_CODE {
            return Err(ApiError::unauthorized("wrong_setup_code", "Read it again.").with_field("setup_code"));
        }
        self.claimed.store(true, Ordering::SeqCst);
        Ok(NewOwner { session: owner(), recovery_key: Some(RECOVERY_KEY.into()) })
    }

    async fn login(&self, input: LoginInput, from: SocketAddr) -> Result<NewSession, ApiError> {
        self.called(format!("login {} {}", input.user, from.ip()));
        match input.password.as_str() {
            PASSWORD => Ok(owner()),
            "again" => Err(ApiError::too_many("wait", Duration::from_millis(1500), "Wait a little.")),
            _ => Err(ApiError::unauthorized("wrong_login", "User or password is wrong.")),
        }
    }

    async fn logout(&self, caller: Caller, _: &SessionToken) {
        self.called("logout");
        self.alive.send_modify(|alive| alive.retain(|role| *role != caller.role));
    }

    async fn channels(&self, caller: Caller) -> Result<Vec<Channel>, ApiError> {
        self.called(format!("channels {} {}", caller.user, caller.from.ip()));
        Ok(vec![channel()])
    }

    async fn set_channel(&self, _: Caller, n: u16, input: ChannelInput) -> Result<Channel, ApiError> {
        self.called("set_channel");
        known(n)?;
        Ok(Channel { title: input.title, ..channel() })
    }

    async fn mark_event(&self, _: Caller, n: u16, input: EventInput) -> Result<(), ApiError> {
        self.called(format!("mark_event {n} {}", input.seconds));
        known(n)
    }

    async fn cameras(&self, _: Caller) -> Result<Vec<Camera>, ApiError> {
        self.called("cameras");
        Ok(Vec::new())
    }

    async fn add_camera(&self, _: Caller, input: CameraInput) -> Result<Camera, ApiError> {
        self.called("add_camera");
        Ok(camera(input.channel.unwrap_or(2), &input))
    }

    async fn set_camera(&self, _: Caller, n: u16, input: CameraInput) -> Result<Camera, ApiError> {
        self.called("set_camera");
        known(n)?;
        Ok(camera(n, &input))
    }

    async fn remove_camera(&self, _: Caller, n: u16) -> Result<(), ApiError> {
        self.called("remove_camera");
        known(n)
    }

    async fn live(&self, caller: Caller, n: u16, stream: StreamName, audio: bool) -> Result<View, ApiError> {
        self.called(format!("live {} {n} {stream:?} {audio}", caller.user));
        known(n)?;
        let messages = self.live.lock().unwrap().take();
        messages.map(View).ok_or_else(|| ApiError::unavailable("no_view", "Nothing to see."))
    }

    async fn timeline(&self, _: Caller, _: Span, _: Option<u16>) -> Result<Timeline, ApiError> {
        self.called("timeline");
        Ok(Timeline { channels: Vec::new() })
    }

    async fn recording_info(&self, _: Caller, n: u16, span: Span) -> Result<RecordingInfo, ApiError> {
        self.called("recording_info");
        known(n)?;
        Ok(RecordingInfo {
            start: span.start,
            end: span.end,
            bytes: FOOTAGE_BYTES,
            mime: "video/mp4".into(),
            frame_rate: 25.0,
            pieces: Vec::new(),
        })
    }

    async fn recording(&self, _: Caller, n: u16, _: Span, purpose: Purpose) -> Result<File, ApiError> {
        self.called(format!("recording {purpose:?}"));
        known(n)?;
        self.footage.open.fetch_add(1, Ordering::SeqCst);
        Ok(File(Arc::clone(&self.footage)))
    }

    async fn playback(
        &self,
        _: Caller,
        n: u16,
        _: Span,
        zero: UtcTime,
        audio: bool,
    ) -> Result<Pieces, ApiError> {
        self.called(format!("playback {zero} {audio}"));
        known(n)?;
        Ok(self.pieces("video/mp4; codecs=\"avc1.64001f,mp4a.40.2\""))
    }

    async fn export_mp4(&self, _: Caller, channels: Vec<u16>, _: Span) -> Result<File, ApiError> {
        self.called(format!("export_mp4 {channels:?}"));
        self.footage.open.fetch_add(1, Ordering::SeqCst);
        Ok(File(Arc::clone(&self.footage)))
    }

    async fn export_zip(&self, _: Caller, channels: Vec<u16>, _: Span) -> Result<Pieces, ApiError> {
        self.called(format!("export_zip {channels:?}"));
        Ok(self.pieces("application/zip"))
    }

    async fn system(&self, _: Caller) -> Result<System, ApiError> {
        self.called("system");
        if self.broken.load(Ordering::SeqCst) { Err(ApiError::internal(DETAIL)) } else { Ok(system()) }
    }

    async fn trust(&self, _: Caller) -> Result<Trust, ApiError> {
        self.called("trust");
        Ok(trust())
    }

    async fn ledger(&self, _: Caller, before: Option<u64>, limit: u16) -> Result<Ledger, ApiError> {
        self.called(format!("ledger {before:?} {limit}"));
        let entry = LedgerEntry { index: 0, leaf: r#"{"kind":"recorder_stopped"}"#.into() };
        Ok(Ledger {
            origin: "candor/1".into(),
            public_key: String::new(),
            fingerprint: String::new(),
            checkpoint: String::new(),
            size: 1,
            entries: vec![entry],
        })
    }

    async fn updates(&self, _: Caller) -> Result<Changes, ApiError> {
        self.called("updates");
        // Without a source prepared: one that has ended.
        let updates = self.updates.lock().unwrap().take();
        Ok(Changes(updates.unwrap_or_else(|| mpsc::channel(1).1)))
    }

    async fn stream_keys(&self, _: Caller) -> Result<Vec<StreamKey>, ApiError> {
        self.called("stream_keys");
        Ok(Vec::new())
    }

    async fn add_stream_key(&self, _: Caller, input: StreamKeyInput) -> Result<NewStreamKey, ApiError> {
        self.called("add_stream_key");
        Ok(NewStreamKey { name: input.name, key: "k".repeat(26), rtsp_port: None, rtsps_port: 8322 })
    }

    async fn remove_stream_key(&self, _: Caller, name: String) -> Result<(), ApiError> {
        self.called(format!("remove_stream_key {name}"));
        Ok(())
    }

    async fn settings(&self, _: Caller) -> Result<Settings, ApiError> {
        self.called("settings");
        Ok(Settings {
            name: "Candor".into(),
            time_zone: "Europe/Berlin".into(),
            rtsp_enabled: false,
            rtsp_allow: vec!["192.0.2.0/24".into()],
            rtsp_multicast: RtspMulticast::default(),
            encrypt_new_disks: true,
            mirror_disks: false,
        })
    }

    async fn set_settings(&self, _: Caller, input: Settings) -> Result<Settings, ApiError> {
        self.called("set_settings");
        Ok(input)
    }

    async fn update(&self, _: Caller) -> Result<UpdateView, ApiError> {
        self.called("update");
        Ok(update())
    }

    async fn install_update(
        &self,
        _: Caller,
        upload: &mut Upload,
        downgrade: bool,
    ) -> Result<UpdateView, ApiError> {
        self.called(format!("install_update {downgrade}"));
        while let Some(piece) = upload.next().await? {
            self.uploaded.lock().unwrap().push(piece.len());
            if piece.starts_with(b"refuse") {
                return Err(ApiError::invalid("not_a_bundle", "body", "This is no update."));
            }
            // A disk that is slow: whoever sends must wait for it.
            self.room.acquire().await.unwrap().forget();
        }
        Ok(update())
    }

    async fn cancel_update(&self, _: Caller) -> Result<(), ApiError> {
        self.called("cancel_update");
        Ok(())
    }

    async fn install_update_from_usb(&self, _: Caller, input: UsbInput) -> Result<UpdateView, ApiError> {
        self.called(format!("install_update_from_usb {} {}", input.device, input.file));
        Ok(update())
    }

    async fn show_presence_code(&self, _: Caller) -> Result<(), ApiError> {
        self.called("show_presence_code");
        Ok(())
    }

    async fn set_owner_key(&self, _: Caller, _: OwnerKeyInput) -> Result<UpdateView, ApiError> {
        self.called("set_owner_key");
        Ok(update())
    }

    async fn remove_owner_key(&self, _: Caller, _: PresenceInput) -> Result<UpdateView, ApiError> {
        self.called("remove_owner_key");
        Ok(update())
    }

    async fn restart(&self, _: Caller) -> Result<(), ApiError> {
        self.called("restart");
        Ok(())
    }

    async fn format_disk(&self, _: Caller, device: String, encrypt: Option<bool>) -> Result<(), ApiError> {
        self.called(format!("format_disk {device}{}", choice(encrypt)));
        Ok(())
    }

    async fn new_recovery_key(&self, _: Caller, input: PasswordInput) -> Result<RecoveryKey, ApiError> {
        self.called("new_recovery_key");
        if input.password == PASSWORD {
            Ok(RecoveryKey { recovery_key: RECOVERY_KEY.into() })
        } else {
            Err(ApiError::invalid("wrong_password", "password", "This is not your password."))
        }
    }

    async fn unlock_disk(&self, _: Caller, input: UnlockInput) -> Result<(), ApiError> {
        self.called(format!("unlock_disk {}", input.path));
        Ok(())
    }

    async fn erase_footage(&self, _: Caller, input: EraseInput) -> Result<(), ApiError> {
        self.called(format!("erase_footage {}{}", input.path, choice(input.encrypt)));
        Ok(())
    }

    async fn locks(&self, _: Caller) -> Result<Vec<Lock>, ApiError> {
        self.called("locks");
        Ok(Vec::new())
    }

    async fn lock(&self, caller: Caller, input: LockInput) -> Result<NewLock, ApiError> {
        self.called(format!("lock {} {} {}", input.reason, caller.user, caller.from.ip()));
        let LockInput { channels, start, end, reason } = input;
        let lock = Lock { id: 7, channels, start, end, reason, by: caller.user, at: end };
        Ok(NewLock { lock, bytes: 64 << 20 })
    }

    async fn unlock(&self, _: Caller, id: u64) -> Result<(), ApiError> {
        self.called(format!("unlock {id}"));
        Ok(())
    }

    async fn deletions(&self, _: Caller) -> Result<Vec<Deletion>, ApiError> {
        self.called("deletions");
        Ok(Vec::new())
    }

    async fn deletable(&self, _: Caller, input: Deletable) -> Result<DeletionScope, ApiError> {
        self.called("deletable");
        Ok(scope(input))
    }

    async fn delete_footage(&self, caller: Caller, input: Deletable) -> Result<DeletionScope, ApiError> {
        self.called(format!("delete_footage {}", caller.user));
        Ok(scope(input))
    }
}

fn scope(Deletable { channels, start, end }: Deletable) -> DeletionScope {
    DeletionScope { channels, start: Some(start), end: Some(end), bytes: 64 << 20, silent_disks: 0 }
}

/// Nothing, where nothing was chosen.
fn choice(encrypt: Option<bool>) -> String {
    encrypt.map(|encrypt| format!(" encrypt {encrypt}")).unwrap_or_default()
}
