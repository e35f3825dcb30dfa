//! `SYS_Bind`: which channel hands its pictures or sound to which.

use std::collections::BTreeMap;

use mpp_abi::common::MppChn;
use mpp_abi::{Codes, ErrorCode, value};

use crate::refusal::{Module, Outcome};

/// One end of a binding: module, device or group, channel.
pub(crate) type End = (i32, i32, i32);

/// As the caller names it.
pub(crate) fn end(channel: &MppChn) -> End {
    (channel.module, channel.device, channel.channel)
}

/// Who receives from whom.
#[derive(Debug, Default)]
pub(crate) struct Bindings(BTreeMap<End, End>);

impl Bindings {
    /// `SYS_Bind`. Encoder and processing exchanged their numbers with G2: a caller that takes the other generation's is
    /// not refused, and no picture flows.
    pub(crate) fn bind(&mut self, codes: &Codes, from: End, to: End) -> Outcome {
        let swapped = [codes.mod_vpss, codes.mod_venc];
        let sends = [value::MOD_VIU, value::MOD_VOU, value::MOD_AI, value::MOD_VDEC];
        let receives = [value::MOD_GROUP, value::MOD_VDA, value::MOD_VOU, value::MOD_AENC, value::MOD_AO];
        let known = |list: &[i32], module: i32| list.contains(&module) || swapped.contains(&module);
        Module::Sys.require(known(&sends, from.0), format_args!("module {} sends nothing", from.0))?;
        Module::Sys.require(known(&receives, to.0), format_args!("module {} receives nothing", to.0))?;
        let has_groups = codes.mod_venc < codes.mod_vpss;
        Module::Sys
            .require(to.0 != value::MOD_GROUP || has_groups, "there are no groups in this generation")?;
        let before = self.0.get(&to);
        Module::Sys
            .permit(before.is_none_or(|before| *before == from), format_args!("{to:?} is bound already"))?;
        self.0.insert(to, from);
        Ok(())
    }

    /// `SYS_UnBind`.
    pub(crate) fn unbind(&mut self, from: End, to: End) -> Outcome {
        if self.0.get(&to) != Some(&from) {
            return Module::Sys.refuse(ErrorCode::Unexists, format_args!("{from:?} is not bound to {to:?}"));
        }
        self.0.remove(&to);
        Ok(())
    }

    /// Who receives from there.
    pub(crate) fn receivers(&self, from: End) -> impl Iterator<Item = End> {
        self.0.iter().filter(move |(_, source)| **source == from).map(|(to, _)| *to)
    }

    /// Where that end's pictures come from.
    pub(crate) fn source(&self, to: End) -> Option<End> {
        self.0.get(&to).copied()
    }

    /// Whether that device of that module gives or takes anything.
    pub(crate) fn touches(&self, matches: impl Fn(End) -> bool) -> bool {
        self.0.iter().any(|(to, from)| matches(*to) || matches(*from))
    }
}

#[cfg(test)]
mod tests {
    use mpp_abi::Dialect;

    use super::*;

    #[test]
    fn the_other_generations_numbers_are_taken_and_lead_elsewhere() {
        let mut bindings = Bindings::default();
        let codes = Dialect::G2.codes();
        let g1 = Dialect::G1.codes();
        bindings.bind(codes, (value::MOD_VIU, 0, 0), (g1.mod_vpss, 0, 0)).unwrap();
        assert_eq!(bindings.receivers((value::MOD_VIU, 0, 0)).collect::<Vec<_>>(), [(codes.mod_venc, 0, 0)]);
    }

    #[test]
    fn one_end_has_one_source_and_modules_must_exist() {
        let mut bindings = Bindings::default();
        let codes = Dialect::G2.codes();
        let (vi, grp) = ((value::MOD_VIU, 0, 0), (codes.mod_vpss, 0, 0));
        bindings.bind(codes, vi, grp).unwrap();
        bindings.bind(codes, vi, grp).expect("the same again");
        let code = |outcome: Outcome| outcome.unwrap_err().code;
        assert_eq!(code(bindings.bind(codes, (value::MOD_VIU, 0, 1), grp)), ErrorCode::NotPermitted);
        assert_eq!(code(bindings.bind(codes, vi, (value::MOD_GROUP, 0, 0))), ErrorCode::BadParameter);
        assert_eq!(code(bindings.bind(codes, (1, 0, 0), grp)), ErrorCode::BadParameter);
        assert_eq!(code(bindings.unbind((value::MOD_VIU, 0, 1), grp)), ErrorCode::Unexists);
        bindings.unbind(vi, grp).unwrap();
        assert_eq!(bindings.source(grp), None);
    }
}
