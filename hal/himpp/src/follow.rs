//! Following commands: what holders of channels ask for.
//!
//! Does not belong here: how they ask (`backend.rs`).

use std::sync::Arc;

use hal::{ChannelConfig, ChannelId, ErrorKind, HalError, UnitSink};
use mpp_wire::Order;

use crate::channel::{Channel, Phase, is_same_streams};
use crate::command::Command;
use crate::error::not_found;
use crate::plan::{self, Place};
use crate::signal::first_sight;
use crate::supervisor::{Pending, Supervisor};

impl Supervisor {
    /// Does what a holder asks, or says why not. Answers that the host must give come later.
    pub(crate) fn follow(&mut self, command: Command) {
        match command {
            Command::Open(config, sink, reply) => drop(reply.send(self.open(config, sink))),
            Command::Close(channel, reply) => {
                self.close(channel);
                let _ = reply.send(Ok(()));
            }
            Command::Keyframe(channel, stream) => {
                let channel = channel.get();
                self.order(Order::Keyframe { channel, stream }, Pending::Logged("a keyframe", channel));
            }
            Command::Change(config, reply) => drop(reply.send(self.change(config))),
            Command::Title(channel, title, reply) => {
                let _ = reply.send(self.redraw(channel, |config| config.title = title));
            }
            Command::Clock(channel, on, reply) => {
                let _ = reply.send(self.redraw(channel, |config| config.clock = on));
            }
            Command::Covers(channel, areas, reply) => {
                let number = channel.get();
                let Some(channel) = self.channels.get_mut(&number) else {
                    let _ = reply.send(Err(missing(channel)));
                    return;
                };
                let picture = channel.picture();
                let covers = areas.iter().map(|area| plan::rect(*area, picture)).collect();
                // Whatever comes, a host that is started anew opens the channel with the new ones.
                let before = std::mem::replace(&mut channel.covers, areas);
                let is_there = matches!(channel.phase, Phase::Opening { .. } | Phase::Open);
                let admitted = self.admit(number);
                if admitted.is_ok() && is_there && self.is_running() {
                    let order = Order::Covers { channel: number, covers };
                    self.order(order, Pending::Covers(number, before, reply));
                } else {
                    let _ = reply.send(admitted);
                }
            }
            Command::Motion(channel, on, reply) => drop(reply.send(self.set_motion(channel, on))),
            Command::Snapshot(channel, reply) => {
                let number = channel.get();
                match self.channels.get(&number).map(|channel| channel.phase) {
                    None => drop(reply.send(Err(missing(channel)))),
                    Some(Phase::Open) if self.is_running() => {
                        let order = Order::Snapshot { channel: number };
                        self.order(order, Pending::Replied(number, reply));
                    }
                    Some(_) => {
                        let message = format!("channel {channel} has no picture now");
                        let _ = reply.send(Err(HalError::new(ErrorKind::Busy, message)));
                    }
                }
            }
            Command::Display(display) => self.set_display(display),
            // The loop's.
            Command::Stop => {}
        }
    }

    fn open(&mut self, config: ChannelConfig, sink: Arc<dyn UnitSink>) -> Result<(), HalError> {
        let number = config.channel.get();
        let place = Place::find(&self.board, &config.input)?;
        if let Some(other) =
            self.channels.values().find(|c| c.id == config.channel || c.place.input == place.input)
        {
            let message = format!(
                "channel {} cannot have {}: channel {} has it",
                config.channel, config.input, other.id
            );
            return Err(HalError::new(ErrorKind::Busy, message));
        }
        let known = self.sights.get(&config.input).cloned();
        let sight = known.unwrap_or_else(|| first_sight(&self.board, &config.input));
        self.channels.insert(number, Channel::new(config, place, sight, sink));
        self.admit(number).inspect_err(|_| drop(self.channels.remove(&number)))
    }

    fn close(&mut self, channel: ChannelId) {
        let number = channel.get();
        if self.channels.remove(&number).is_some() {
            self.order(Order::Close { channel: number }, Pending::Logged("closing", number));
        }
        self.shared.grids().remove(&channel);
    }

    fn change(&mut self, config: ChannelConfig) -> Result<bool, HalError> {
        let number = config.channel.get();
        let Some(channel) = self.channels.get_mut(&number) else { return Err(missing(config.channel)) };
        if !is_same_streams(&config, &channel.config) {
            return Ok(false);
        }
        // Refused before anything is changed. Rates need no memory, so the plan alone decides.
        let plan = plan::channel(
            channel.place,
            &config,
            channel.format,
            &channel.covers,
            channel.motion,
            self.platform,
        )?;
        let orders = channel.change(config);
        channel.plan = Some(plan);
        if matches!(channel.phase, Phase::Refused { .. }) {
            channel.close();
        }
        self.order_all(number, orders);
        Ok(true)
    }

    fn redraw(
        &mut self,
        channel: ChannelId,
        change: impl FnOnce(&mut ChannelConfig),
    ) -> Result<(), HalError> {
        let Some(state) = self.channels.get(&channel.get()) else { return Err(missing(channel)) };
        let mut config = state.config.clone();
        change(&mut config);
        self.change(config).map(drop)
    }

    fn set_motion(&mut self, channel: ChannelId, on: bool) -> Result<(), HalError> {
        let number = channel.get();
        let Some(state) = self.channels.get_mut(&number) else { return Err(missing(channel)) };
        if on && self.platform.is_some_and(|platform| !platform.motion) {
            return Err(HalError::new(ErrorKind::Unsupported, "this platform has no motion detector"));
        }
        if on {
            self.shared.grids().entry(channel).or_default();
        } else {
            self.shared.grids().remove(&channel);
        }
        if std::mem::replace(&mut state.motion, on) != on {
            // The grid is part of what the channel is opened with.
            self.replan(number);
        }
        Ok(())
    }
}

fn missing(channel: ChannelId) -> HalError {
    not_found(format!("channel {channel} is not open"))
}
