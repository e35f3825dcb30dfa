//! The role `ingest`: runs the network cameras.
//!
//! One task a camera; what goes wrong with one is its own affair.

use std::error::Error;
use std::sync::Arc;

use hal::{ChannelId, Clock, SystemClock};
use ingest::{CameraConfig, CameraSettings, CameraState, CameraStatus, Cameras, Secret};
use rtsp::ChannelSource;
use tokio::sync::mpsc;
use tokio::time::interval;

use crate::announcer::Announcer;
use crate::control::{Control, Receiver};
use crate::messages::{ChannelState, ChannelStatus, RoleConfig, RoleStatus, STATUS_EVERY, ToRole};
use crate::meter::Meters;
use crate::settings::{self, Settings};

/// Orders that wait; there are few.
const INBOX: usize = 16;

/// Runs until the warden says otherwise.
pub(crate) fn run(
    control: Control,
    config: RoleConfig,
    orders: Receiver,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(ingest(control, config, orders))
}

async fn ingest(
    control: Control,
    config: RoleConfig,
    orders: Receiver,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let (events, mut inbox) = mpsc::channel(INBOX);
    orders.spawn(move |order| {
        let _ = events.blocking_send(order);
    })?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let mut cameras = Cameras::new(config.run_dir.clone(), Arc::clone(&clock));
    let mut announcer = Announcer::new(&config.run_dir, "ingest");
    let mut meters = Meters::new(config.run_dir);
    cameras.set_ring_bytes(config.ring_bytes);
    cameras.set(configs(&config.settings)).await?;
    control.ready();
    let mut report = interval(STATUS_EVERY);
    loop {
        tokio::select! {
            order = inbox.recv() => match order {
                Some(ToRole::Configure(config)) => {
                    cameras.set_ring_bytes(config.ring_bytes);
                    cameras.set(configs(&config.settings)).await?;
                }
                Some(ToRole::Shutdown) | None => return Ok(()),
                Some(_) => {}
            },
            _ = report.tick() => {
                let now = clock.mono();
                let statuses = cameras.statuses();
                let list = statuses.into_iter().map(|(channel, status)| {
                    let streams = meters.look(channel, now);
                    ChannelStatus {
                        channel,
                        state: state(&status),
                        since: status.since,
                        message: status.message,
                        streams,
                        motion_percent: None,
                    }
                });
                let list: Vec<ChannelStatus> = list.collect();
                announcer.channels(ChannelSource::Camera, &list);
                control.status(RoleStatus::Channels(list));
            }
        }
    }
}

/// The network cameras among the channels.
fn configs(settings: &Settings) -> Vec<CameraConfig> {
    let cameras =
        settings.channels.iter().filter_map(|channel| Some((channel.number, channel.camera.as_ref()?)));
    cameras
        .filter_map(|(channel, camera)| match CameraConfig::new(camera_settings(channel, camera)) {
            Ok(config) => Some(config),
            // The settings were checked when they were taken, by rules at least as strict.
            Err(error) => {
                tracing::error!(%channel, %error, "the camera's settings are not taken");
                None
            }
        })
        .collect()
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

fn state(status: &CameraStatus) -> ChannelState {
    match &status.state {
        CameraState::Connecting => ChannelState::Starting,
        CameraState::Streaming { .. } => ChannelState::Ok,
        CameraState::Unreachable => ChannelState::Unreachable,
        CameraState::WrongPassword => ChannelState::WrongPassword,
        CameraState::NotFound => ChannelState::NotFound,
        CameraState::UnsupportedCodec => ChannelState::UnsupportedCodec,
        CameraState::Stalled => ChannelState::Stalled,
    }
}
