//! `VPSS`: groups that pictures pass between input and encoder.

use std::collections::BTreeMap;

use mpp_abi::{Codes, ErrorCode};

use crate::limits::Limits;
use crate::refusal::{Module, Outcome};

/// What a channel hands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// What its receiver wants.
    Auto,
    /// That size.
    User { width: u32, height: u32 },
}

/// A channel of a group.
#[derive(Debug, Default)]
struct Channel {
    mode: Option<Mode>,
    enabled: bool,
}

/// A group.
#[derive(Debug)]
struct Group {
    max_width: u32,
    max_height: u32,
    started: bool,
    channels: BTreeMap<i32, Channel>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Groups(BTreeMap<i32, Group>);

impl Groups {
    /// `VPSS_CreateGrp`.
    pub(crate) fn create(
        &mut self,
        limits: &Limits,
        codes: &Codes,
        group: i32,
        size: (u32, u32),
        format: i32,
        deinterlace: i32,
    ) -> Outcome {
        Module::Vpss.channel(group, limits.vpss_groups)?;
        if self.0.contains_key(&group) {
            return Module::Vpss.refuse(ErrorCode::Exists, format_args!("group {group}"));
        }
        let (max_width, max_height) = size;
        let fits = [max_width, max_height].iter().all(|side| (64..=8192).contains(side) && side % 2 == 0);
        Module::Vpss.require(fits, format_args!("pictures of at most {max_width}x{max_height}"))?;
        let known = [codes.semiplanar_420, codes.semiplanar_422].contains(&format);
        Module::Vpss.require(known, format_args!("pixel format {format}"))?;
        Module::Vpss.require((0..=2).contains(&deinterlace), format_args!("de-interlacing {deinterlace}"))?;
        self.0.insert(group, Group { max_width, max_height, started: false, channels: BTreeMap::new() });
        Ok(())
    }

    /// `VPSS_DestroyGrp`; `bound` says whether anything is bound to it.
    pub(crate) fn destroy(&mut self, limits: &Limits, group: i32, bound: bool) -> Outcome {
        let started = self.group(limits, group)?.started;
        Module::Vpss.permit(!started, "VPSS_DestroyGrp before VPSS_StopGrp")?;
        Module::Vpss.permit(!bound, "VPSS_DestroyGrp while it is bound")?;
        self.0.remove(&group);
        Ok(())
    }

    /// `VPSS_StartGrp` and `VPSS_StopGrp`.
    pub(crate) fn start(&mut self, limits: &Limits, group: i32, started: bool) -> Outcome {
        self.group(limits, group)?.started = started;
        Ok(())
    }

    /// `VPSS_SetChnAttr`.
    pub(crate) fn set_channel(&mut self, limits: &Limits, group: i32, channel: i32) -> Outcome {
        self.channel(limits, group, channel).map(drop)
    }

    /// `VPSS_SetChnMode`.
    pub(crate) fn set_mode(
        &mut self,
        limits: &Limits,
        codes: &Codes,
        place: (i32, i32),
        mode: Mode,
        format: i32,
    ) -> Outcome {
        let (group, channel) = place;
        self.group(limits, group)?;
        if let Mode::User { width, height } = mode {
            let fits = width % 2 + height % 2 == 0 && width >= 32 && height >= 32;
            Module::Vpss.require(fits, format_args!("a picture of {width}x{height}"))?;
            let known = [codes.semiplanar_420, codes.semiplanar_422].contains(&format);
            Module::Vpss.require(known, format_args!("pixel format {format}"))?;
        }
        self.channel(limits, group, channel)?.mode = Some(mode);
        Ok(())
    }

    /// `VPSS_EnableChn` and `VPSS_DisableChn`.
    pub(crate) fn enable(&mut self, limits: &Limits, group: i32, channel: i32, enabled: bool) -> Outcome {
        self.channel(limits, group, channel)?.enabled = enabled;
        Ok(())
    }

    /// Whether a picture of that size passes a group.
    pub(crate) fn passes(&self, group: i32, width: u32, height: u32) -> bool {
        self.0
            .get(&group)
            .is_some_and(|group| group.started && width <= group.max_width && height <= group.max_height)
    }

    /// Whether a group is there.
    pub(crate) fn exists(&self, group: i32) -> bool {
        self.0.contains_key(&group)
    }

    /// What an enabled channel hands on.
    pub(crate) fn mode(&self, group: i32, channel: i32) -> Option<Mode> {
        let channel = self.0.get(&group)?.channels.get(&channel)?;
        channel.enabled.then(|| channel.mode.unwrap_or(Mode::Auto))
    }

    fn group(&mut self, limits: &Limits, group: i32) -> Outcome<&mut Group> {
        Module::Vpss.channel(group, limits.vpss_groups)?;
        match self.0.get_mut(&group) {
            Some(group) => Ok(group),
            None => Module::Vpss.refuse(ErrorCode::Unexists, format_args!("group {group}")),
        }
    }

    fn channel(&mut self, limits: &Limits, group: i32, channel: i32) -> Outcome<&mut Channel> {
        let group = self.group(limits, group)?;
        Module::Vpss.channel(channel, limits.vpss_channels)?;
        Ok(group.channels.entry(channel).or_default())
    }
}

#[cfg(test)]
mod tests {
    use mpp_abi::{Dialect, Generation};

    use super::*;
    use crate::limits;

    #[test]
    fn a_group_is_made_once_and_stopped_and_unbound_before_it_goes() {
        let (limits, codes) = (limits::of(Generation::G2), Dialect::G2.codes());
        let mut groups = Groups::default();
        let code = |outcome: Outcome| outcome.unwrap_err().code;
        assert_eq!(code(groups.start(&limits, 0, true)), ErrorCode::Unexists);
        assert_eq!(code(groups.create(&limits, codes, 0, (704, 576), 19, 0)), ErrorCode::BadParameter);
        groups.create(&limits, codes, 0, (704, 576), 23, 0).unwrap();
        assert_eq!(code(groups.create(&limits, codes, 0, (704, 576), 23, 0)), ErrorCode::Exists);
        groups.start(&limits, 0, true).unwrap();
        assert_eq!(code(groups.destroy(&limits, 0, false)), ErrorCode::NotPermitted);
        groups.start(&limits, 0, false).unwrap();
        assert_eq!(code(groups.destroy(&limits, 0, true)), ErrorCode::NotPermitted);
        groups.destroy(&limits, 0, false).unwrap();
    }

    #[test]
    fn a_channel_hands_nothing_on_before_it_is_enabled() {
        let (limits, codes) = (limits::of(Generation::G1), Dialect::G1.codes());
        let mut groups = Groups::default();
        groups.create(&limits, codes, 1, (704, 576), codes.semiplanar_420, 1).unwrap();
        assert_eq!(groups.mode(1, 0), None);
        groups.enable(&limits, 1, 0, true).unwrap();
        assert_eq!(groups.mode(1, 0), Some(Mode::Auto));
        let user = Mode::User { width: 352, height: 288 };
        groups.set_mode(&limits, codes, (1, 0), user, codes.semiplanar_420).unwrap();
        assert_eq!(groups.mode(1, 0), Some(user));
        let large = Mode::User { width: 721, height: 576 };
        let refused = groups.set_mode(&limits, codes, (1, 0), large, codes.semiplanar_420).unwrap_err();
        assert_eq!(refused.code, ErrorCode::BadParameter);
        assert!(!groups.passes(1, 704, 576), "not started");
    }
}
