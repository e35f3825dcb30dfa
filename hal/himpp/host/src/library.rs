//! The vendor's library: loaded with its siblings, its functions called by name.
//!
//! The siblings come first and their symbols are open to all: the platform's library uses JPEG and voice functions that it
//! does not say it needs. All functions return a 32-bit status and take 32-bit numbers and addresses, so that one way of
//! calling serves all of them. Does not belong here: which function is called when.
#![allow(unsafe_code, reason = "code of another origin is loaded and called; each block says why it holds")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;

use libloading::os::unix::{Library as Loaded, RTLD_GLOBAL, RTLD_NOW};
use mpp_abi::common::MppVersion;
use mpp_abi::{Dialect, ErrorCode, Generation, MppError, value};
use mpp_wire::{Fault, FaultKind};

use crate::param::Param;

/// What every function's name begins with.
const PREFIX: &str = "HI_MPI_";

/// An argument.
#[derive(Debug)]
pub(crate) enum Arg<'a> {
    /// A number, a handle or an enumeration.
    Int(i32),
    /// A structure's address.
    Of(&'a mut Param),
    /// A second structure that is only read.
    Also(&'a mut Param),
}

/// A function that said no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CallError {
    /// The function, with what it was about: `VENC_CreateChn(3)`.
    what: String,
    /// Its answer.
    code: i32,
    generation: Generation,
}

impl CallError {
    /// Whether the answer was that code, whatever the module.
    pub(crate) fn is(&self, code: ErrorCode) -> bool {
        code_of(self.code) == Some(code)
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}: {}", self.what, mpp_abi::describe(self.generation, self.code))
    }
}

impl From<CallError> for Fault {
    fn from(error: CallError) -> Self {
        let kind = match code_of(error.code) {
            Some(ErrorCode::Unsupported | ErrorCode::BadParameter) => FaultKind::Unsupported,
            Some(ErrorCode::Busy | ErrorCode::NotReady) => FaultKind::Busy,
            _ => FaultKind::Device,
        };
        Self::new(kind, error.to_string())
    }
}

/// The loaded platform. Never unloaded: its threads may run until the process ends.
pub(crate) struct Library {
    platform: Loaded,
    functions: RefCell<HashMap<&'static str, Option<usize>>>,
    /// The library's own words for its version.
    pub(crate) version: String,
    /// What follows from them.
    pub(crate) dialect: Dialect,
}

impl Library {
    /// Loads `paths` in their order, the platform's own last, and asks it what it is.
    ///
    /// # Errors
    /// `NotFound` for a library that is not there or lacks something, `Unsupported` for a version that is not known: its
    /// words are in the message.
    pub(crate) fn load(paths: &[String]) -> Result<Self, Fault> {
        let mut platform = None;
        for path in paths {
            // SAFETY: the libraries' constructors run. They are the vendor's, named by the board's description, and this process
            // is there for nothing else: it holds no secret and is confined next.
            let loaded = unsafe { Loaded::open(Some(path), RTLD_NOW | RTLD_GLOBAL) };
            let loaded = loaded.map_err(|error| {
                Fault::new(
                    FaultKind::NotFound,
                    format!("the library {path} cannot be loaded: {}", deepest(&error)),
                )
            })?;
            if let Some(sibling) = platform.replace(loaded) {
                std::mem::forget(sibling);
            }
        }
        let missing = || Fault::new(FaultKind::NotFound, "the board's description names no library");
        let platform = platform.ok_or_else(missing)?;
        let mut version = Param::new(MppVersion::default());
        let ask = find(&platform, "SYS_GetVersion").ok_or_else(|| {
            Fault::new(
                FaultKind::NotFound,
                format!("{} has no {PREFIX}SYS_GetVersion", paths[paths.len() - 1]),
            )
        })?;
        // SAFETY: HI_MPI_SYS_GetVersion(MPP_VERSION_S *) in every generation.
        let code = unsafe { call(ask, &[version.address()]) };
        if code != 0 || !version.is_whole() {
            let message =
                format!("the library does not tell its version: {PREFIX}SYS_GetVersion answered {code:#x}");
            return Err(Fault::new(FaultKind::Device, message));
        }
        let version = version.get::<MppVersion>().as_str().to_owned();
        let dialect =
            mpp_abi::recognise(&version).map_err(|e| Fault::new(FaultKind::Unsupported, e.to_string()))?;
        Ok(Self { platform, functions: RefCell::default(), version, dialect })
    }

    /// Whether there is such a function.
    pub(crate) fn has(&self, function: &'static str) -> bool {
        self.address(function).is_some()
    }

    /// Calls a function whose status is zero when it did what was asked.
    pub(crate) fn call(&self, function: &'static str, arguments: &mut [Arg<'_>]) -> Result<(), CallError> {
        match self.ask(function, arguments)? {
            0 => Ok(()),
            code => Err(self.error(function, arguments, code)),
        }
    }

    /// Calls a function that answers with a number when it is not negative: a file descriptor.
    pub(crate) fn descriptor(
        &self,
        function: &'static str,
        arguments: &mut [Arg<'_>],
    ) -> Result<i32, CallError> {
        match self.ask(function, arguments)? {
            descriptor @ 0.. => Ok(descriptor),
            code => Err(self.error(function, arguments, code)),
        }
    }

    /// As [`Library::call`], where nothing follows from a no: tearing down what may never have been there.
    pub(crate) fn try_call(&self, function: &'static str, arguments: &mut [Arg<'_>]) {
        let _ = self.ask(function, arguments);
    }

    fn ask(&self, function: &'static str, arguments: &mut [Arg<'_>]) -> Result<i32, CallError> {
        let Some(address) = self.address(function) else {
            let code = mpp_abi::error(value::MOD_SYS, ErrorCode::Unsupported);
            return Err(self.error(function, arguments, code));
        };
        let words: Vec<usize> = arguments
            .iter_mut()
            .map(|argument| match argument {
                Arg::Int(number) => *number as isize as usize,
                Arg::Of(param) | Arg::Also(param) => param.address(),
            })
            .collect();
        // SAFETY: the callers in this crate pass what the public headers of the library's generation say (docs/mpp-host.md); every
        // structure has its exact size and a tail, and outlives the call.
        let code = unsafe { call(address, &words) };
        for argument in arguments {
            if let Arg::Of(param) | Arg::Also(param) = argument
                && !param.is_whole()
            {
                // The structures of this library are larger than ours: nothing that it says can be believed.
                eprintln!("{PREFIX}{function} wrote past its structure: {} has another layout", self.version);
                std::process::abort();
            }
        }
        Ok(code)
    }

    fn address(&self, function: &'static str) -> Option<usize> {
        *self.functions.borrow_mut().entry(function).or_insert_with(|| find(&self.platform, function))
    }

    fn error(&self, function: &str, arguments: &[Arg<'_>], code: i32) -> CallError {
        let numbers: Vec<String> = arguments
            .iter()
            .filter_map(|argument| match argument {
                Arg::Int(number) => Some(number.to_string()),
                Arg::Of(_) | Arg::Also(_) => None,
            })
            .collect();
        let what = format!("{function}({})", numbers.join(", "));
        CallError { what, code, generation: self.dialect.generation() }
    }
}

fn find(platform: &Loaded, function: &str) -> Option<usize> {
    let name = format!("{PREFIX}{function}\0");
    // SAFETY: the symbol's address alone is taken; `call` says what it is.
    let symbol = unsafe { platform.get::<*const ()>(name.as_bytes()) }.ok()?;
    Some((*symbol).expose_provenance()).filter(|address| *address != 0)
}

/// Calls what is at `address`.
///
/// # Safety
/// There must be a C function that takes these arguments, each as wide as a register, and returns 32 bits.
unsafe fn call(address: usize, arguments: &[usize]) -> i32 {
    type F0 = unsafe extern "C" fn() -> i32;
    type F1 = unsafe extern "C" fn(usize) -> i32;
    type F2 = unsafe extern "C" fn(usize, usize) -> i32;
    type F3 = unsafe extern "C" fn(usize, usize, usize) -> i32;
    let function = std::ptr::with_exposed_provenance::<()>(address);
    // SAFETY: the caller's: a function of that many arguments.
    unsafe {
        match *arguments {
            [] => std::mem::transmute::<*const (), F0>(function)(),
            [a] => std::mem::transmute::<*const (), F1>(function)(a),
            [a, b] => std::mem::transmute::<*const (), F2>(function)(a, b),
            [a, b, c] => std::mem::transmute::<*const (), F3>(function)(a, b, c),
            _ => unreachable!("no function of the platform that is used has more arguments"),
        }
    }
}

fn code_of(answer: i32) -> Option<ErrorCode> {
    MppError::from_return(answer)?.known()
}

/// The dynamic loader's own words are the last cause.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}
