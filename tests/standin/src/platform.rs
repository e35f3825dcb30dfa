//! The whole platform: every module's state, and the rules between modules.
//!
//! Pure: it has no thread and no clock, and is told what time it is. One library holds one, behind a lock; calls change it, and
//! the pictures that have become due (`flow.rs`). Does not belong here: pointers (`exported`).

use std::collections::{BTreeMap, BTreeSet};

use hal::WallTime;
use mpp_abi::{Codes, Dialect, ErrorCode, Generation, value};

use crate::binding::{Bindings, End};
use crate::config::EncoderConfig;
use crate::control::Faults;
use crate::encoder::Encoder;
use crate::input::Inputs;
use crate::limits::{self, Limits};
use crate::motion::Detectors;
use crate::process::Groups;
use crate::refusal::{Module, Outcome};
use crate::region::Regions;
use crate::screen::Screens;
use crate::sound::Sound;
use crate::system::System;

/// Where the platform's clock is when the monotonic one is at 0, microseconds: it is neither that nor the wall's.
const CLOCK_BASE: i64 = 7_000_000_000;

/// Everything.
#[derive(Debug)]
pub(crate) struct Platform {
    pub(crate) dialect: Dialect,
    pub(crate) codes: &'static Codes,
    pub(crate) limits: Limits,
    /// Pictures a second of every input by itself.
    pub(crate) input_rate: u32,
    /// Microseconds of the monotonic clock.
    pub(crate) now: u64,
    pub(crate) wall: WallTime,
    pub(crate) system: System,
    pub(crate) bindings: Bindings,
    pub(crate) inputs: Inputs,
    pub(crate) groups: Groups,
    pub(crate) encoders: BTreeMap<i32, Encoder>,
    /// G1: groups of encoders.
    pub(crate) encoder_groups: BTreeSet<i32>,
    pub(crate) regions: Regions,
    pub(crate) sound: Sound,
    pub(crate) detectors: Detectors,
    pub(crate) screens: Screens,
    pub(crate) faults: Faults,
    /// Counts changes of what is seen that no other counter has.
    pub(crate) changes: u64,
    /// Breaches since the start, those that were refused and those that were not.
    pub(crate) violations: u32,
    notes: Vec<String>,
    told: BTreeSet<String>,
}

impl Platform {
    /// A platform that is down.
    pub(crate) fn new(dialect: Dialect, input_rate: u32) -> Self {
        Self {
            dialect,
            codes: dialect.codes(),
            limits: limits::of(dialect.generation()),
            input_rate,
            now: 0,
            wall: WallTime::from_unix_micros(0),
            system: System::default(),
            bindings: Bindings::default(),
            inputs: Inputs::default(),
            groups: Groups::default(),
            encoders: BTreeMap::new(),
            encoder_groups: BTreeSet::new(),
            regions: Regions::new(dialect.generation()),
            sound: Sound::default(),
            detectors: Detectors::default(),
            screens: Screens::default(),
            faults: Faults::default(),
            changes: 0,
            violations: 0,
            notes: Vec::new(),
            told: BTreeSet::new(),
        }
    }

    /// The platform's clock at a moment of the monotonic one, microseconds.
    pub(crate) fn pts_at(&self, moment: u64) -> u64 {
        let jump = self.faults.jump.saturating_mul(1_000_000);
        moment.saturating_add_signed(CLOCK_BASE.saturating_add(jump))
    }

    /// Refuses while the platform is down.
    pub(crate) fn ready(&self, module: Module) -> Outcome {
        if self.system.is_up() {
            return Ok(());
        }
        module.refuse(ErrorCode::NotReady, "before SYS_Init")
    }

    /// `SYS_Exit`: everything goes, whatever state it is in.
    pub(crate) fn exit(&mut self) {
        self.system.exit();
        self.bindings = Bindings::default();
        self.inputs = Inputs::default();
        self.groups = Groups::default();
        self.encoders.clear();
        self.encoder_groups.clear();
        self.regions = Regions::new(self.dialect.generation());
        self.sound = Sound::default();
        self.detectors = Detectors::default();
        self.screens = Screens::default();
    }

    /// A breach that is not refused; the same one is said once.
    pub(crate) fn note(&mut self, breach: String) {
        if self.told.insert(breach.clone()) {
            self.violations += 1;
            self.notes.push(breach);
        }
    }

    /// A line to be printed.
    pub(crate) fn say(&mut self, line: String) {
        self.notes.push(line);
    }

    /// The breaches to be printed; forgets them.
    pub(crate) fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// A channel of the encoder's.
    pub(crate) fn encoder(&mut self, channel: i32) -> Outcome<&mut Encoder> {
        Module::Venc.channel(channel, self.limits.encoders)?;
        match self.encoders.get_mut(&channel) {
            Some(encoder) => Ok(encoder),
            None => Module::Venc.refuse(ErrorCode::Unexists, format_args!("channel {channel}")),
        }
    }

    /// `VENC_CreateChn`.
    pub(crate) fn create_encoder(&mut self, channel: i32, config: EncoderConfig) -> Outcome {
        Module::Venc.channel(channel, self.limits.encoders)?;
        if self.encoders.contains_key(&channel) {
            return Module::Venc.refuse(ErrorCode::Exists, format_args!("channel {channel}"));
        }
        config.check(self.codes, &self.limits)?;
        if self.faults.no_buffers {
            return Module::Venc.refuse(ErrorCode::NoBuffer, "told to have none");
        }
        self.encoders.insert(channel, Encoder::new(config));
        Ok(())
    }

    /// `VENC_DestroyChn`.
    pub(crate) fn destroy_encoder(&mut self, channel: i32) -> Outcome {
        let end = (self.codes.mod_venc, 0, channel);
        let bound = self.bindings.source(end).is_some();
        self.encoder(channel)?.check_end(bound)?;
        self.encoders.remove(&channel);
        Ok(())
    }

    /// `VENC_StartRecvPic` and `VENC_StartRecvPicEx`.
    pub(crate) fn start_encoder(&mut self, channel: i32, pictures: Option<u32>) -> Outcome {
        let grouped = self.dialect.generation() == Generation::G1;
        let encoder = self.encoder(channel)?;
        let registered = !grouped || encoder.group.is_some();
        Module::Venc.permit(registered, "VENC_StartRecvPic before VENC_RegisterChn")?;
        encoder.start(pictures);
        Ok(())
    }

    /// `VENC_CreateGroup`.
    pub(crate) fn create_encoder_group(&mut self, group: i32) -> Outcome {
        Module::Venc.channel(group, self.limits.encoders)?;
        if self.encoder_groups.insert(group) {
            return Ok(());
        }
        Module::Venc.refuse(ErrorCode::Exists, format_args!("group {group}"))
    }

    /// `VENC_DestroyGroup`.
    pub(crate) fn destroy_encoder_group(&mut self, group: i32) -> Outcome {
        self.check_encoder_group(group)?;
        let used = self.encoders.values().any(|encoder| encoder.group == Some(group));
        Module::Venc.permit(!used, "VENC_DestroyGroup while a channel is registered")?;
        let bound = self.bindings.source((value::MOD_GROUP, group, 0)).is_some();
        Module::Venc.permit(!bound, "VENC_DestroyGroup while it is bound")?;
        self.encoder_groups.remove(&group);
        Ok(())
    }

    /// `VENC_RegisterChn`; a group has one channel.
    pub(crate) fn register_encoder(&mut self, group: i32, channel: i32) -> Outcome {
        self.check_encoder_group(group)?;
        let used =
            self.encoders.iter().any(|(other, encoder)| *other != channel && encoder.group == Some(group));
        let encoder = self.encoder(channel)?;
        Module::Venc.permit(!used, "VENC_RegisterChn of a second channel to a group")?;
        Module::Venc
            .permit(encoder.group.is_none_or(|g| g == group), "the channel is registered elsewhere")?;
        encoder.group = Some(group);
        Ok(())
    }

    /// `VENC_UnRegisterChn`.
    pub(crate) fn unregister_encoder(&mut self, channel: i32) -> Outcome {
        let encoder = self.encoder(channel)?;
        Module::Venc.permit(!encoder.is_receiving(), "VENC_UnRegisterChn before VENC_StopRecvPic")?;
        if encoder.group.is_none() {
            return Module::Venc
                .refuse(ErrorCode::Unexists, "VENC_UnRegisterChn of a channel without a group");
        }
        encoder.group = None;
        Ok(())
    }

    /// `RGN_AttachToChn`'s end must be there.
    pub(crate) fn check_region_end(&mut self, end: End) -> Outcome {
        let there = match end.0 {
            module if module == self.codes.mod_venc => self.encoders.contains_key(&end.2),
            module if module == self.codes.mod_vpss => self.groups.exists(end.1),
            value::MOD_GROUP => self.encoder_groups.contains(&end.1),
            value::MOD_VIU => self.inputs.channels.contains_key(&end.2),
            _ => return Ok(()),
        };
        if there {
            Ok(())
        } else {
            Module::Rgn.refuse(ErrorCode::Unexists, format_args!("{end:?} to attach to"))
        }
    }

    /// `VPSS_DestroyGrp`.
    pub(crate) fn destroy_group(&mut self, group: i32) -> Outcome {
        let module = self.codes.mod_vpss;
        let bound = self.bindings.touches(|end| end.0 == module && end.1 == group);
        self.groups.destroy(&self.limits, group, bound)
    }

    fn check_encoder_group(&self, group: i32) -> Outcome {
        Module::Venc.channel(group, self.limits.encoders)?;
        if self.encoder_groups.contains(&group) {
            return Ok(());
        }
        Module::Venc.refuse(ErrorCode::Unexists, format_args!("group {group}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::config;

    fn code(outcome: Outcome) -> ErrorCode {
        outcome.unwrap_err().code
    }

    #[test]
    fn channels_are_made_once_and_go_when_nothing_holds_them() {
        let mut platform = Platform::new(Dialect::G2, 25);
        assert_eq!(code(platform.ready(Module::Venc)), ErrorCode::NotReady);
        assert_eq!(code(platform.create_encoder(128, config(704, 576))), ErrorCode::BadChannel);
        assert_eq!(code(platform.destroy_encoder(0)), ErrorCode::Unexists);
        platform.create_encoder(0, config(704, 576)).unwrap();
        assert_eq!(code(platform.create_encoder(0, config(704, 576))), ErrorCode::Exists);
        let (from, to) = ((platform.codes.mod_vpss, 0, 0), (platform.codes.mod_venc, 0, 0));
        platform.bindings.bind(platform.codes, from, to).unwrap();
        platform.start_encoder(0, None).unwrap();
        assert_eq!(code(platform.destroy_encoder(0)), ErrorCode::NotPermitted, "it receives");
        platform.encoder(0).unwrap().stop();
        assert_eq!(code(platform.destroy_encoder(0)), ErrorCode::NotPermitted, "it is bound");
        platform.bindings.unbind(from, to).unwrap();
        platform.destroy_encoder(0).unwrap();
        platform.faults.no_buffers = true;
        assert_eq!(code(platform.create_encoder(0, config(704, 576))), ErrorCode::NoBuffer);
    }

    #[test]
    fn g1_has_groups_of_one_channel_each() {
        let mut platform = Platform::new(Dialect::G1, 25);
        platform.create_encoder(0, config(704, 576)).unwrap();
        platform.create_encoder(1, config(352, 288)).unwrap();
        assert_eq!(code(platform.start_encoder(0, None)), ErrorCode::NotPermitted);
        assert_eq!(code(platform.register_encoder(0, 0)), ErrorCode::Unexists);
        platform.create_encoder_group(0).unwrap();
        assert_eq!(code(platform.create_encoder_group(0)), ErrorCode::Exists);
        platform.register_encoder(0, 0).unwrap();
        assert_eq!(code(platform.register_encoder(0, 1)), ErrorCode::NotPermitted);
        assert_eq!(code(platform.destroy_encoder_group(0)), ErrorCode::NotPermitted);
        platform.start_encoder(0, None).unwrap();
        assert_eq!(code(platform.unregister_encoder(0)), ErrorCode::NotPermitted);
        platform.encoder(0).unwrap().stop();
        assert_eq!(code(platform.destroy_encoder(0)), ErrorCode::NotPermitted);
        platform.unregister_encoder(0).unwrap();
        platform.destroy_encoder(0).unwrap();
        platform.destroy_encoder_group(0).unwrap();
    }

    #[test]
    fn the_same_breach_is_said_once() {
        let mut platform = Platform::new(Dialect::G1, 25);
        platform.note("a".to_owned());
        platform.note("a".to_owned());
        assert_eq!((platform.take_notes(), platform.violations), (vec!["a".to_owned()], 1));
    }

    #[test]
    fn the_clock_jumps_when_it_is_told_to() {
        let mut platform = Platform::new(Dialect::G1, 25);
        let before = platform.pts_at(5);
        platform.faults.jump = -3600;
        assert_eq!(before - platform.pts_at(5), 3_600_000_000);
    }
}
