//! The vendor's C interface: one function for each symbol, thin.
//!
//! Each reads the structures that it is given, asks the platform behind the lock, writes back what is to be written, and returns
//! the vendor's number. Structures are those of the one generation that the library is built for. Does not belong here: rules.
#![allow(unsafe_code, reason = "symbols with the vendor's names, and pointers of C callers (pointer.rs)")]

mod base;
mod detect;
mod encode;
mod library;
mod pointer;
mod regions;
mod screens;
mod sounds;
mod video;

/// The structures of this library's generation.
mod abi {
    #[cfg(feature = "g1")]
    pub(super) use mpp_abi::g1::*;
    #[cfg(feature = "g2")]
    pub(super) use mpp_abi::g2::*;
    #[cfg(feature = "g3")]
    pub(super) use mpp_abi::g3::*;
}

/// Functions with the vendor's names. Each body is given the library behind its lock; while the platform is down, only
/// functions marked `always` have one.
macro_rules! exports {
    ($(
        $(#[$about:meta])*
        $symbol:ident($($argument:ident: $type:ty),*) of $module:ident $($always:ident)? => |$library:pat_param| $body:expr;
    )*) => { $(
        $(#[$about])*
        #[unsafe(no_mangle)]
        #[allow(non_snake_case, reason = "the vendor's name")]
        pub(crate) extern "C" fn $symbol($($argument: $type),*) -> i32 {
            $crate::exported::library::enter(
                stringify!($symbol),
                $crate::refusal::Module::$module,
                $crate::exported::when!($($always)?),
                |$library| $body,
            )
        }
    )* };
}

/// Whether a function needs the platform to be up.
macro_rules! when {
    () => {
        true
    };
    (always) => {
        false
    };
}

use {exports, when};
