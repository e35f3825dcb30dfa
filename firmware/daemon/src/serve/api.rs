//! The HTTP API: `web`'s trait over what `serve` has.
//!
//! Roles and shapes were checked before a method runs; here is what only the recorder can know.

use std::net::SocketAddr;
use std::sync::Arc;

use hal::{ChannelId, StreamKind};
use web::deletion_views::{Deletable, Deletion, DeletionScope};
use web::event_views::EventInput;
use web::key_views::{NewStreamKey, StreamKey, StreamKeyInput};
use web::ledger_views::Ledger;
use web::lock_views::{Lock, LockInput, NewLock};
use web::storage_views::{EraseInput, PasswordInput, RecoveryKey, UnlockInput};
use web::update_views::{OwnerKeyInput, PresenceInput, UpdateView, UsbInput};
use web::views::{
    Camera, CameraInput, Channel, ChannelInput, ChannelTimeline, ClaimInput, LoginInput, Piece,
    RecordingInfo, RtspMulticast, Run, Session, Settings as SettingsView, State, StreamName, System,
    Timeline, Transport, Trust,
};
use web::{ApiError, Caller, NewOwner, NewSession, Purpose, SessionToken, Span, Upload, UtcTime};

use super::deletions;
use super::house::House;
use super::locks;
use super::marks;
use super::recording::{NO_FOOTAGE, Recording, ask, facts, play, refusal};
use super::storage;
use super::stream::{self, Stream};
use super::update;
use super::updates::Updates;
use super::views::{self, utc, wall};
use super::watchers::{Via, View, WatchGuard};
use crate::archive::timestamp;
use crate::footage::{FileOf, Plan, Request, Response};
use crate::messages::{Answer, Ask};
use crate::settings::{self, CameraChange, Change, ChangeError, Multicast};
use crate::version;

/// The API over one house.
pub(super) struct Api(pub(super) Arc<House>);

/// A live view with its place on the list of watchers.
pub(super) struct LiveView {
    reader: live::LiveReader,
    _guard: WatchGuard,
}

impl web::Live for LiveView {
    async fn next(&mut self) -> Option<web::LiveMessage> {
        Some(match self.reader.next().await? {
            live::Message::Text(text) => web::LiveMessage::Text(text),
            live::Message::Binary(bytes) => web::LiveMessage::Binary(bytes),
        })
    }
}

impl web::Api for Api {
    type Live = LiveView;
    type Updates = Updates;
    type Recording = Recording;
    type Stream = Stream;

    async fn state(&self) -> State {
        State {
            claimed: self.0.accounts.claimed(),
            name: self.0.settings.borrow().name.clone(),
            version: version::VERSION.to_owned(),
        }
    }

    async fn authenticate(&self, token: &SessionToken, from: SocketAddr) -> Option<Session> {
        self.0.accounts.authenticate(token, from)
    }

    fn session_alive(&self, token: &SessionToken) -> bool {
        self.0.accounts.session_alive(token)
    }

    async fn claim(&self, input: ClaimInput, from: SocketAddr) -> Result<NewOwner, ApiError> {
        let session = self.0.accounts.claim(input, from).await?;
        Ok(NewOwner { session, recovery_key: storage::first_recovery_key(&self.0).await })
    }

    async fn login(&self, input: LoginInput, from: SocketAddr) -> Result<NewSession, ApiError> {
        self.0.accounts.login(input, from).await
    }

    async fn logout(&self, _: Caller, token: &SessionToken) {
        self.0.accounts.logout(token);
    }

    async fn channels(&self, _: Caller) -> Result<Vec<Channel>, ApiError> {
        Ok(self.channel_views())
    }

    async fn set_channel(&self, _: Caller, number: u16, input: ChannelInput) -> Result<Channel, ApiError> {
        let channel = self.channel(number)?;
        let ChannelInput { title, keep_days, keep_event_days } = input;
        self.change(Change::Channel { channel, title, keep_days, keep_event_days }).await?;
        let channels = self.channel_views();
        channels.into_iter().find(|c| c.channel == number).ok_or_else(|| no_channel(number))
    }

    async fn mark_event(&self, caller: Caller, number: u16, input: EventInput) -> Result<(), ApiError> {
        marks::mark(&self.0, &caller, self.channel(number)?, input)
    }

    async fn cameras(&self, _: Caller) -> Result<Vec<Camera>, ApiError> {
        Ok(views::cameras(&self.0.settings.borrow()))
    }

    async fn add_camera(&self, _: Caller, input: CameraInput) -> Result<Camera, ApiError> {
        let channel = input.channel.map(ChannelId::try_from).transpose();
        let channel = channel.map_err(|message| ApiError::invalid("out_of_range", "channel", message))?;
        let number = self.change(Change::AddCamera { channel, camera: camera_change(input) }).await?;
        self.camera(number)
    }

    async fn set_camera(&self, _: Caller, number: u16, input: CameraInput) -> Result<Camera, ApiError> {
        let channel = ChannelId::try_from(number).map_err(|_| no_camera(number))?;
        if input.channel.is_some_and(|other| other != number) {
            let message = "A camera stays on its channel: its footage is there. Remove it and add it anew.";
            return Err(ApiError::invalid("channel_is_fixed", "channel", message));
        }
        self.change(Change::UpdateCamera { channel, camera: camera_change(input) }).await?;
        self.camera(Some(channel))
    }

    async fn remove_camera(&self, _: Caller, number: u16) -> Result<(), ApiError> {
        let channel = ChannelId::try_from(number).map_err(|_| no_camera(number))?;
        self.change(Change::RemoveCamera { channel }).await.map(drop)
    }

    async fn live(
        &self,
        caller: Caller,
        number: u16,
        stream: StreamName,
        audio: bool,
    ) -> Result<LiveView, ApiError> {
        let channel = self.channel(number)?;
        let kind = match stream {
            StreamName::Main => StreamKind::Main,
            StreamName::Sub => StreamKind::Sub,
        };
        let guard = self.enter(&caller, channel, kind, Via::Browser)?;
        Ok(LiveView { reader: self.0.live.open(channel, kind, audio), _guard: guard })
    }

    async fn timeline(&self, _: Caller, span: Span, number: Option<u16>) -> Result<Timeline, ApiError> {
        let channels = match number {
            Some(number) => vec![self.channel(number)?],
            None => self.0.settings.borrow().channels.iter().map(|channel| channel.number).collect(),
        };
        let request = Request::Timeline { channels, start: wall(span.start), end: wall(span.end) };
        match ask(&self.0.footage, &request).await? {
            (Response::Timeline(footage), _) => {
                let channels = footage.into_iter().map(|footage| ChannelTimeline {
                    channel: footage.channel.get(),
                    runs: footage
                        .runs
                        .iter()
                        .map(|(start, end)| Run { start: utc(*start), end: utc(*end) })
                        .collect(),
                    oldest: footage.oldest.map(utc),
                    newest: footage.newest.map(utc),
                });
                Ok(Timeline { channels: channels.collect() })
            }
            (other, _) => Err(refusal(other)),
        }
    }

    async fn recording_info(&self, _: Caller, number: u16, span: Span) -> Result<RecordingInfo, ApiError> {
        let plan = self.plan(&self.file_of([self.channel(number)?], span)).await?;
        let piece = |piece: &crate::footage::Piece| Piece {
            start: utc(piece.start),
            end: utc(piece.end),
            media_start_sec: piece.media_start_sec,
        };
        Ok(RecordingInfo {
            start: utc(plan.start),
            end: utc(plan.end),
            bytes: plan.bytes,
            mime: plan.mime.clone(),
            frame_rate: plan.frame_rate,
            pieces: plan.pieces.iter().map(piece).collect(),
        })
    }

    async fn recording(
        &self,
        caller: Caller,
        number: u16,
        span: Span,
        purpose: Purpose,
    ) -> Result<Recording, ApiError> {
        let channel = self.channel(number)?;
        let via = match purpose {
            Purpose::Playback => Via::Playback,
            Purpose::Export => Via::Export,
        };
        self.recorded(&caller, vec![channel], span, via).await
    }

    async fn playback(
        &self,
        caller: Caller,
        number: u16,
        span: Span,
        zero: UtcTime,
        audio: bool,
    ) -> Result<Stream, ApiError> {
        let channel = self.channel(number)?;
        let _guard = self.enter(&caller, channel, StreamKind::Main, Via::Playback)?;
        let (start, end, zero) = (wall(span.start), wall(span.end), wall(zero));
        let request = Request::Play { channel, start, end, zero, sound: audio };
        match play(&self.0.footage, &request).await? {
            (Response::Stream { mime }, played) => Ok(Stream::Played { mime, played, _guard }),
            (other, _) => Err(refusal(other)),
        }
    }

    async fn export_mp4(&self, caller: Caller, numbers: Vec<u16>, span: Span) -> Result<Recording, ApiError> {
        let channels = numbers.into_iter().map(|number| self.channel(number)).collect::<Result<_, _>>()?;
        self.recorded(&caller, channels, span, Via::Export).await
    }

    async fn export_zip(&self, caller: Caller, numbers: Vec<u16>, span: Span) -> Result<Stream, ApiError> {
        let channels = numbers.into_iter().map(|number| self.channel(number));
        let mut files = Vec::new();
        for channel in channels.collect::<Result<Vec<_>, _>>()? {
            match self.recorded(&caller, vec![channel], span, Via::Export).await {
                Ok(recording) => files.push((facts(&recording, span), recording)),
                Err(error) if error.code() == NO_FOOTAGE => {}
                Err(error) => return Err(error),
            }
        }
        if files.is_empty() {
            return Err(refusal(Response::NoFootage));
        }
        Ok(stream::zip(files, timestamp(wall(span.start)), timestamp(wall(span.end))))
    }

    async fn system(&self, _: Caller) -> Result<System, ApiError> {
        Ok(views::system(&self.0.settings.borrow(), &self.0.snapshot.borrow(), self.0.clock.wall()))
    }

    async fn trust(&self, _: Caller) -> Result<Trust, ApiError> {
        Ok(views::trust(&self.0.settings.borrow(), &self.0.snapshot.borrow(), self.0.watchers.list()))
    }

    async fn ledger(&self, _: Caller, before: Option<u64>, limit: u16) -> Result<Ledger, ApiError> {
        match ask(&self.0.footage, &Request::Ledger { before, limit }).await? {
            (Response::Ledger(page), _) => Ok(views::ledger(page)),
            (other, _) => Err(refusal(other)),
        }
    }

    async fn updates(&self, _: Caller) -> Result<Updates, ApiError> {
        Ok(Updates::new(Arc::clone(&self.0)))
    }

    async fn stream_keys(&self, _: Caller) -> Result<Vec<StreamKey>, ApiError> {
        Ok(self.0.accounts.stream_keys())
    }

    async fn add_stream_key(&self, _: Caller, input: StreamKeyInput) -> Result<NewStreamKey, ApiError> {
        let (name, key) = self.0.accounts.add_stream_key(input.name, input.replay).await?;
        let rtsp = self.0.settings.borrow().rtsp.clone();
        Ok(NewStreamKey {
            name: name.to_string(),
            key,
            rtsp_port: rtsp.enabled.then(|| rtsp.address.port()),
            rtsps_port: rtsp.tls_address.port(),
        })
    }

    async fn remove_stream_key(&self, _: Caller, name: String) -> Result<(), ApiError> {
        self.0.accounts.remove_stream_key(&name).await
    }

    async fn settings(&self, _: Caller) -> Result<SettingsView, ApiError> {
        let settings = self.0.settings.borrow();
        Ok(SettingsView {
            name: settings.name.clone(),
            time_zone: settings.time_zone.clone(),
            rtsp_enabled: settings.rtsp.enabled,
            rtsp_allow: settings.rtsp.allow.clone(),
            rtsp_multicast: RtspMulticast {
                enabled: settings.rtsp.multicast.enabled,
                group: settings.rtsp.multicast.group.to_string(),
                ttl: settings.rtsp.multicast.ttl,
            },
            encrypt_new_disks: settings.storage.encrypt,
            mirror_disks: settings.storage.mirror,
        })
    }

    async fn set_settings(&self, caller: Caller, input: SettingsView) -> Result<SettingsView, ApiError> {
        let SettingsView {
            name,
            time_zone,
            rtsp_enabled,
            rtsp_allow,
            rtsp_multicast,
            encrypt_new_disks,
            mirror_disks,
        } = input;
        let RtspMulticast { enabled, group, ttl } = rtsp_multicast;
        let group = group.parse().map_err(|_| ApiError::internal("a group that is no address was let in"))?;
        let rtsp_multicast = Multicast { enabled, group, ttl };
        self.change(Change::General {
            name,
            time_zone,
            rtsp_enabled,
            rtsp_allow,
            rtsp_multicast,
            encrypt_new_disks,
            mirror_disks,
        })
        .await?;
        self.settings(caller).await
    }

    async fn update(&self, _: Caller) -> Result<UpdateView, ApiError> {
        Ok(views::software(&self.0.snapshot.borrow()))
    }

    async fn install_update(
        &self,
        caller: Caller,
        upload: &mut Upload,
        downgrade: bool,
    ) -> Result<UpdateView, ApiError> {
        update::install(&self.0, &caller, upload, downgrade).await
    }

    async fn cancel_update(&self, caller: Caller) -> Result<(), ApiError> {
        update::cancel(&self.0, &caller).await
    }

    async fn install_update_from_usb(&self, caller: Caller, input: UsbInput) -> Result<UpdateView, ApiError> {
        update::install_from_usb(&self.0, &caller, input).await
    }

    async fn show_presence_code(&self, caller: Caller) -> Result<(), ApiError> {
        update::show_presence_code(&self.0, &caller).await
    }

    async fn set_owner_key(&self, caller: Caller, input: OwnerKeyInput) -> Result<UpdateView, ApiError> {
        update::set_owner_key(&self.0, &caller, input).await
    }

    async fn remove_owner_key(&self, caller: Caller, input: PresenceInput) -> Result<UpdateView, ApiError> {
        update::remove_owner_key(&self.0, &caller, input).await
    }

    async fn restart(&self, caller: Caller) -> Result<(), ApiError> {
        update::restart(&self.0, &caller).await
    }

    async fn format_disk(
        &self,
        caller: Caller,
        device: String,
        encrypt: Option<bool>,
    ) -> Result<(), ApiError> {
        update::format_disk(&self.0, &caller, device, encrypt).await
    }

    async fn new_recovery_key(&self, caller: Caller, input: PasswordInput) -> Result<RecoveryKey, ApiError> {
        storage::new_recovery_key(&self.0, &caller, input).await
    }

    async fn unlock_disk(&self, caller: Caller, input: UnlockInput) -> Result<(), ApiError> {
        storage::unlock(&self.0, &caller, input).await
    }

    async fn erase_footage(&self, caller: Caller, input: EraseInput) -> Result<(), ApiError> {
        storage::erase(&self.0, &caller, input).await
    }

    async fn locks(&self, _: Caller) -> Result<Vec<Lock>, ApiError> {
        locks::all(&self.0).await
    }

    async fn lock(&self, caller: Caller, input: LockInput) -> Result<NewLock, ApiError> {
        locks::lock(&self.0, &caller, input).await
    }

    async fn unlock(&self, caller: Caller, id: u64) -> Result<(), ApiError> {
        locks::unlock(&self.0, &caller, id).await
    }

    async fn deletions(&self, _: Caller) -> Result<Vec<Deletion>, ApiError> {
        deletions::all(&self.0).await
    }

    async fn deletable(&self, _: Caller, input: Deletable) -> Result<DeletionScope, ApiError> {
        deletions::deletable(&self.0, input).await
    }

    async fn delete_footage(&self, caller: Caller, input: Deletable) -> Result<DeletionScope, ApiError> {
        deletions::delete(&self.0, &caller, input).await
    }
}

impl Api {
    fn channel_views(&self) -> Vec<Channel> {
        views::channels(&self.0.settings.borrow(), &self.0.snapshot.borrow(), self.0.clock.wall())
    }

    /// The channel of that number, when the recorder has one.
    fn channel(&self, number: u16) -> Result<ChannelId, ApiError> {
        let channel = ChannelId::new(number).filter(|id| self.0.settings.borrow().channel(*id).is_some());
        channel.ok_or_else(|| no_channel(number))
    }

    fn camera(&self, number: Option<ChannelId>) -> Result<Camera, ApiError> {
        let settings = self.0.settings.borrow();
        let channel = number.and_then(|number| settings.channel(number));
        channel.and_then(views::camera).ok_or_else(|| no_camera(number.map_or(0, ChannelId::get)))
    }

    fn enter(
        &self,
        caller: &Caller,
        channel: ChannelId,
        stream: StreamKind,
        via: Via,
    ) -> Result<WatchGuard, ApiError> {
        let view = View { user: caller.user.clone(), from: caller.from.ip(), channel, stream, via };
        self.0.watchers.enter(view).ok_or_else(|| {
            let pause = std::time::Duration::from_secs(30);
            ApiError::too_many("too_many_viewers", pause, "Too many people are watching. Close a view first.")
        })
    }

    /// The file of these channels, by their present titles.
    fn file_of(&self, channels: impl IntoIterator<Item = ChannelId>, span: Span) -> FileOf {
        let settings = self.0.settings.borrow();
        let title = |channel| settings.channel(channel).map(|known| known.title.clone()).unwrap_or_default();
        let channels = channels.into_iter().map(|channel| (channel, title(channel))).collect();
        FileOf { channels, start: wall(span.start), end: wall(span.end) }
    }

    async fn plan(&self, file: &FileOf) -> Result<Plan, ApiError> {
        match ask(&self.0.footage, &Request::Plan(file.clone())).await? {
            (Response::Plan(plan), _) => Ok(plan),
            (other, _) => Err(refusal(other)),
        }
    }

    /// A planned file, with its viewer on the list of watchers.
    async fn recorded(
        &self,
        caller: &Caller,
        channels: Vec<ChannelId>,
        span: Span,
        via: Via,
    ) -> Result<Recording, ApiError> {
        let enter = |channel: &ChannelId| self.enter(caller, *channel, StreamKind::Main, via);
        let guards = channels.iter().map(enter).collect::<Result<_, _>>()?;
        let file = self.file_of(channels, span);
        let request = match via {
            Via::Export => {
                let (by, from) = (caller.user.clone(), Some(caller.from.ip()));
                Request::Export { file: file.clone(), by, from }
            }
            _ => Request::Plan(file.clone()),
        };
        let plan = match ask(&self.0.footage, &request).await? {
            (Response::Plan(plan), _) => plan,
            (other, _) => return Err(refusal(other)),
        };
        Ok(Recording { client: self.0.footage.clone(), file, plan, _guards: guards })
    }

    /// Has the warden change the settings, and waits until this role knows the new ones.
    async fn change(&self, change: Change) -> Result<Option<ChannelId>, ApiError> {
        let mut settings = self.0.settings.subscribe();
        settings.mark_unchanged();
        match self.0.control.ask(Ask::Change(change)).await {
            Some(Answer::Changed(channel)) => {
                // The warden tells everyone; it told this role before or right after the answer.
                let told = tokio::time::timeout(std::time::Duration::from_secs(2), settings.changed()).await;
                told.map_err(ApiError::internal)?.map_err(ApiError::internal)?;
                Ok(channel)
            }
            Some(Answer::Refused(error)) => Err(refused_change(error)),
            Some(Answer::Kept | Answer::Ordered(_) | Answer::RecoveryKey(_)) | None => {
                Err(ApiError::unavailable(
                    "warden_busy",
                    "The recorder is busy; nothing was changed. Try again in a moment.",
                ))
            }
        }
    }
}

fn camera_change(input: CameraInput) -> CameraChange {
    CameraChange {
        title: input.title,
        url: input.url,
        user: input.user,
        password: input.password,
        transport: match input.transport {
            Transport::Tcp => settings::Transport::Tcp,
            Transport::Udp => settings::Transport::Udp,
        },
    }
}

fn refused_change(error: ChangeError) -> ApiError {
    let message = error.to_string();
    match error {
        ChangeError::Invalid { field, message } => {
            ApiError::invalid("invalid_setting", field.unwrap_or_default(), message)
        }
        ChangeError::NotFound(channel) => no_camera(channel.get()),
        ChangeError::Taken(_) => ApiError::conflict("channel_taken", message).with_field("channel"),
        ChangeError::Full => ApiError::conflict("no_free_channel", message),
        ChangeError::NotKept(detail) => {
            let words =
                "The recorder cannot write its settings; nothing was changed. The health page says why.";
            ApiError::unavailable("settings_not_kept", words).with_detail(detail)
        }
    }
}

fn no_channel(number: u16) -> ApiError {
    ApiError::not_found("no_channel", format!("There is no channel {number}."))
}

fn no_camera(number: u16) -> ApiError {
    ApiError::not_found("no_camera", format!("Channel {number} is no network camera."))
}
