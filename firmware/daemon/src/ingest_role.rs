//! The role `ingest`: runs the network cameras.
//!
//! One task a camera; what goes wrong with one is its own affair.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use hal::{ChannelId, Clock, StreamKind, SystemClock};
use ingest::{Camera, CameraConfig, CameraHandle, CameraSettings, CameraState, CameraStatus, Secret};
use tokio::sync::mpsc;
use tokio::time::interval;

use crate::bus_sink::{audio_name, video_name};
use crate::control::{Control, Receiver};
use crate::messages::{ChannelState, ChannelStatus, RoleConfig, RoleStatus, STATUS_EVERY, StreamStatus, ToRole};
use crate::settings::{self, Settings};

/// Orders that wait; there are few.
const INBOX: usize = 16;

/// Runs until the warden says otherwise.
pub(crate) fn run(control: Control, config: RoleConfig, orders: Receiver) -> Result<(), Box<dyn Error + Send + Sync>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(ingest(control, config, orders))
}

async fn ingest(control: Control, config: RoleConfig, orders: Receiver) -> Result<(), Box<dyn Error + Send + Sync>> {
    let (events, mut inbox) = mpsc::channel(INBOX);
    orders.spawn(move |order| {
        let _ = events.blocking_send(order);
    })?;
    let mut cameras = Cameras {
        run_dir: config.run_dir,
        clock: Arc::new(SystemClock::new()),
        running: BTreeMap::new(),
    };
    cameras.configure(&config.settings);
    control.ready();
    let mut report = interval(STATUS_EVERY);
    loop {
        tokio::select! {
            order = inbox.recv() => match order {
                Some(ToRole::Configure(config)) => cameras.configure(&config.settings),
                Some(ToRole::Shutdown) | None => return Ok(()),
                Some(_) => {}
            },
            _ = report.tick() => control.status(RoleStatus::Channels(cameras.status())),
        }
    }
}

struct Cameras {
    run_dir: PathBuf,
    clock: Arc<dyn Clock>,
    running: BTreeMap<ChannelId, (settings::Camera, CameraHandle)>,
}

impl Cameras {
    /// Ends what is no longer wanted, begins what is new, leaves the rest alone.
    fn configure(&mut self, settings: &Settings) {
        let wanted: BTreeMap<ChannelId, settings::Camera> =
            settings.channels.iter().filter_map(|c| Some((c.number, c.camera.clone()?))).collect();
        self.running.retain(|channel, (camera, _)| wanted.get(channel) == Some(camera));
        for (channel, camera) in wanted {
            if self.running.contains_key(&channel) {
                continue;
            }
            match CameraConfig::new(camera_settings(channel, &camera)) {
                Ok(config) => {
                    let handle = Camera::spawn(config, self.run_dir.clone(), Arc::clone(&self.clock));
                    self.running.insert(channel, (camera, handle));
                }
                // The settings were checked when they were taken, by rules at least as strict.
                Err(error) => tracing::error!(%channel, %error, "the camera's settings are not taken"),
            }
        }
    }

    fn status(&self) -> Vec<ChannelStatus> {
        let one = |(channel, (_, handle)): (&ChannelId, &(settings::Camera, CameraHandle))| {
            channel_status(*channel, &handle.status().borrow())
        };
        self.running.iter().map(one).collect()
    }
}

fn camera_settings(channel: ChannelId, camera: &settings::Camera) -> CameraSettings {
    CameraSettings {
        channel,
        url: Secret::new(camera.url.clone()),
        user: camera.user.clone(),
        password: camera.password.clone().map(Secret::new),
        transport: match camera.transport {
            settings::Transport::Tcp => ingest::Transport::Tcp,
            settings::Transport::Udp => ingest::Transport::Udp,
        },
    }
}

fn channel_status(channel: ChannelId, status: &CameraStatus) -> ChannelStatus {
    let state = match &status.state {
        CameraState::Connecting => ChannelState::Starting,
        CameraState::Streaming { .. } => ChannelState::Ok,
        CameraState::Unreachable => ChannelState::Unreachable,
        CameraState::WrongPassword => ChannelState::WrongPassword,
        CameraState::NotFound => ChannelState::NotFound,
        CameraState::UnsupportedCodec => ChannelState::UnsupportedCodec,
        CameraState::Stalled => ChannelState::Stalled,
    };
    let _ = (StreamKind::Main, audio_name, video_name, None::<StreamStatus>);
    ChannelStatus { channel, state, since: status.since, message: status.message.clone(), streams: Vec::new() }
}
