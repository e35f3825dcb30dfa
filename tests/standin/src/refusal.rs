//! Why a call is refused, in the vendor's codes and in words.
//!
//! Does not belong here: which rule was broken (the module whose rule it is).

use std::fmt;

use mpp_abi::{Codes, ErrorCode, value};

/// Verbs of functions that take something down.
const CLEARING: [&str; 6] = ["_Stop", "_Disable", "_Destroy", "_UnBind", "_UnRegister", "_Detach"];

/// What a call comes to.
pub(crate) type Outcome<T = ()> = Result<T, Refusal>;

/// Whose function was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Module {
    Vb,
    Sys,
    Vi,
    Vpss,
    Venc,
    Rgn,
    Ai,
    Aenc,
    Vda,
    Vo,
}

impl Module {
    /// Its number in that generation.
    pub(crate) fn number(self, codes: &Codes) -> i32 {
        match self {
            Self::Vb => value::MOD_VB,
            Self::Sys => value::MOD_SYS,
            Self::Vi => value::MOD_VIU,
            Self::Vpss => codes.mod_vpss,
            Self::Venc => codes.mod_venc,
            Self::Rgn => codes.mod_rgn,
            Self::Ai => value::MOD_AI,
            Self::Aenc => value::MOD_AENC,
            Self::Vda => value::MOD_VDA,
            Self::Vo => value::MOD_VOU,
        }
    }

    /// A call that breaks a rule of this module's.
    pub(crate) fn refuse<T>(self, code: ErrorCode, why: impl fmt::Display) -> Outcome<T> {
        Err(Refusal { module: self, code, why: why.to_string() })
    }

    /// Refuses with [`ErrorCode::BadParameter`] unless it holds.
    pub(crate) fn require(self, holds: bool, why: impl fmt::Display) -> Outcome {
        if holds { Ok(()) } else { self.refuse(ErrorCode::BadParameter, why) }
    }

    /// Refuses with [`ErrorCode::NotPermitted`] unless it holds.
    pub(crate) fn permit(self, holds: bool, why: impl fmt::Display) -> Outcome {
        if holds { Ok(()) } else { self.refuse(ErrorCode::NotPermitted, why) }
    }

    /// A channel's number within the limit.
    pub(crate) fn channel(self, number: i32, limit: i32) -> Outcome {
        if (0..limit).contains(&number) {
            return Ok(());
        }
        self.refuse(ErrorCode::BadChannel, format_args!("number {number}, there are {limit}"))
    }
}

/// A call that was not obeyed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Whose code it is.
    pub(crate) module: Module,
    /// The code.
    pub(crate) code: ErrorCode,
    /// For the log.
    pub(crate) why: String,
}

impl Refusal {
    /// What the function returns.
    pub(crate) fn number(&self, codes: &Codes) -> i32 {
        mpp_abi::error(self.module.number(codes), self.code)
    }

    /// Whether the caller of `function` broke a rule. Asking for what is not there yet breaks none, nor for what this library
    /// does not offer or has no room for; and what may be there may be asked to go.
    pub(crate) fn is_violation(&self, function: &str) -> bool {
        let clears_up = CLEARING.iter().any(|verb| function.contains(verb));
        match self.code {
            ErrorCode::Empty | ErrorCode::Unsupported | ErrorCode::NoBuffer | ErrorCode::NoMemory => false,
            ErrorCode::Unexists => !clears_up,
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use mpp_abi::Dialect;

    use super::*;

    #[test]
    fn empty_has_the_number_of_its_generation() {
        let empty = Refusal { module: Module::Venc, code: ErrorCode::Empty, why: String::new() };
        let number = |dialect: Dialect| empty.number(dialect.codes()).cast_unsigned();
        assert_eq!(number(Dialect::G1), 0xA007_800E);
        assert_eq!(number(Dialect::G2), 0xA008_800E);
        assert_eq!(number(Dialect::G3Late), 0xA008_800E);
        assert!(!empty.is_violation("HI_MPI_VENC_GetStream"));
    }

    #[test]
    fn what_is_not_there_may_be_asked_to_go_and_nothing_else() {
        let gone = Refusal { module: Module::Venc, code: ErrorCode::Unexists, why: String::new() };
        assert!(!gone.is_violation("HI_MPI_VENC_StopRecvPic"));
        assert!(gone.is_violation("HI_MPI_VENC_StartRecvPic"));
        let busy = Refusal { code: ErrorCode::Busy, ..gone };
        assert!(busy.is_violation("HI_MPI_VENC_DestroyChn"));
    }

    #[test]
    fn numbers_outside_are_bad_channels() {
        assert_eq!(Module::Vi.channel(7, 8), Ok(()));
        for number in [-1, 8] {
            assert_eq!(Module::Vi.channel(number, 8).unwrap_err().code, ErrorCode::BadChannel);
        }
    }
}
