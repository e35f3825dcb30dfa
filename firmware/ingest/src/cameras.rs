//! The set of cameras: one task each, at most [`MAX_CAMERAS`].
//!
//! Does not belong here: where their settings are kept.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use hal::{ChannelId, Clock};

use crate::config::CameraConfig;
use crate::error::{ErrorKind, IngestError};
use crate::server::{Camera, CameraHandle};
use crate::status::CameraStatus;

/// The most cameras: as many as a recorder has channels.
pub const MAX_CAMERAS: usize = hal::MAX_CHANNELS as usize;

/// Running cameras by their channel.
pub struct Cameras {
    bus_dir: PathBuf,
    ring_bytes: Option<u32>,
    clock: Arc<dyn Clock>,
    running: BTreeMap<ChannelId, (CameraConfig, CameraHandle)>,
}

impl Cameras {
    /// None yet; their rings will be in `bus_dir`.
    #[must_use]
    pub fn new(bus_dir: PathBuf, clock: Arc<dyn Clock>) -> Self {
        Self { bus_dir, ring_bytes: None, clock, running: BTreeMap::new() }
    }

    /// From now on, what the rings of one camera may take together, where memory is short.
    pub fn set_ring_bytes(&mut self, ring_bytes: Option<u32>) {
        self.ring_bytes = ring_bytes;
    }

    /// Makes the running cameras those of `configs`: starts, stops, and starts anew those whose settings
    /// changed; the others are not disturbed. To be called within a tokio runtime.
    ///
    /// # Errors
    /// `TooMany` for more than [`MAX_CAMERAS`], or two of one channel; nothing has changed then.
    pub async fn set(&mut self, configs: Vec<CameraConfig>) -> Result<(), IngestError> {
        let wanted = self.check(configs)?;
        let gone: Vec<_> = self
            .running
            .iter()
            .filter(|(channel, (config, _))| wanted.get(channel) != Some(config))
            .map(|(channel, _)| *channel)
            .collect();
        for channel in gone {
            if let Some((_, handle)) = self.running.remove(&channel) {
                handle.stop().await;
            }
        }
        for (channel, config) in wanted {
            self.running.entry(channel).or_insert_with(|| {
                let (dir, clock) = (self.bus_dir.clone(), Arc::clone(&self.clock));
                let handle = Camera::spawn_within(config.clone(), dir, self.ring_bytes, clock);
                (config, handle)
            });
        }
        Ok(())
    }

    /// How each camera is doing.
    #[must_use]
    pub fn statuses(&self) -> BTreeMap<ChannelId, CameraStatus> {
        let status = |handle: &CameraHandle| handle.status().borrow().clone();
        self.running.iter().map(|(channel, (_, handle))| (*channel, status(handle))).collect()
    }

    /// The camera of a channel.
    #[must_use]
    pub fn get(&self, channel: ChannelId) -> Option<&CameraHandle> {
        self.running.get(&channel).map(|(_, handle)| handle)
    }

    /// Stops all of them.
    pub async fn stop(&mut self) {
        for (_, (_, handle)) in std::mem::take(&mut self.running) {
            handle.stop().await;
        }
    }

    fn check(&self, configs: Vec<CameraConfig>) -> Result<BTreeMap<ChannelId, CameraConfig>, IngestError> {
        let mut wanted = BTreeMap::new();
        for config in configs {
            let channel = config.channel();
            if wanted.insert(channel, config).is_some() {
                let context = format!("channel {channel} has two cameras; give one of them another channel");
                return Err(IngestError::new(ErrorKind::TooMany, context));
            }
        }
        // Channel numbers are bounded, so that this cannot be; it is the limit all the same.
        if wanted.len() > MAX_CAMERAS {
            let context = format!("{} cameras are more than the {MAX_CAMERAS} that can be", wanted.len());
            return Err(IngestError::new(ErrorKind::TooMany, context));
        }
        Ok(wanted)
    }
}
