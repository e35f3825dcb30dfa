//! A process's one platform: its lock, its clock, descriptors and commands.
//!
//! The thread and the command file are there from the first call on, so that a host may give up rights after it.

use std::collections::BTreeMap;
use std::os::fd::AsRawFd;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use hal::{Clock, MonoTime, SystemClock};
use mpp_abi::{Dialect, ErrorCode};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::abi;
use crate::control::{Command, Script, parse};
use crate::flow;
use crate::platform::Platform;
use crate::refusal::{Module, Outcome, Refusal};
use crate::system::System;

/// Where commands are looked for unless the environment says otherwise.
const CONTROL: &str = "/run/standin-control";
/// How often they are.
const CONTROL_MICROS: u64 = 100_000;
/// Pictures a second of inputs unless the environment says otherwise.
const INPUT_RATE: u32 = 25;
/// Codes up to that are the module's; others are whole return values.
const MAX_CODE: u32 = 0xFF;

#[cfg(feature = "g1")]
const DIALECT: (Dialect, &str) = (Dialect::G1, "HI_VERSION=Hi3520D_MPP_V2.0.5.1 B010 Release");
#[cfg(feature = "g2")]
const DIALECT: (Dialect, &str) = (Dialect::G2, "HI_VERSION=Hi3521A_MPP_V1.0.5.0 B030 Release");
#[cfg(feature = "g3")]
const DIALECT: (Dialect, &str) = (Dialect::G3Late, "HI_VERSION=Hi3531D_MPP_V1.0.5.0 B040 Release");

/// What a descriptor is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ready {
    Picture,
    Sound,
    Motion,
}

/// Everything behind the lock.
pub(crate) struct Library {
    pub(crate) platform: Platform,
    /// What `SYS_GetVersion` says.
    pub(crate) version: String,
    /// Whether structures are written too long.
    pub(crate) writes_more: bool,
    /// What encoders were told, as they were told it.
    pub(crate) attributes: BTreeMap<i32, abi::VencChnAttr>,
    descriptors: BTreeMap<(Ready, i32), (EventFd, bool)>,
    fail: Option<(String, u32)>,
    control: String,
    script: Script,
    looked: u64,
    clock: SystemClock,
    start: MonoTime,
}

struct Shared {
    library: Mutex<Library>,
    /// Something may have become ready.
    made: Condvar,
}

static SHARED: OnceLock<Shared> = OnceLock::new();

impl Library {
    fn new() -> Self {
        let setting = |name: &str| std::env::var(name).ok();
        let version = setting("STANDIN_VERSION").unwrap_or_else(|| DIALECT.1.to_owned());
        // An older version of the same generation has its own numbers.
        let dialect = mpp_abi::recognise(&version)
            .ok()
            .filter(|dialect| dialect.generation() == DIALECT.0.generation())
            .unwrap_or(DIALECT.0);
        let rate = setting("STANDIN_INPUT_FPS").and_then(|rate| rate.parse().ok()).unwrap_or(INPUT_RATE);
        let fail = setting("STANDIN_FAIL").and_then(|fail| {
            let (function, code) = fail.split_once(':')?;
            let code = match code.strip_prefix("0x") {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => code.parse().ok()?,
            };
            Some((format!("HI_MPI_{function}"), code))
        });
        let clock = SystemClock::new();
        let start = MonoTime::from_start(Duration::ZERO);
        let mut platform = Platform::new(dialect, rate.clamp(1, 60));
        if setting("STANDIN_STALE").is_some_and(|on| on == "1") {
            platform.system = System::stale();
        }
        Self {
            platform,
            version,
            writes_more: setting("STANDIN_WRITES_MORE").is_some_and(|on| on == "1"),
            attributes: BTreeMap::new(),
            descriptors: BTreeMap::new(),
            fail,
            control: setting("STANDIN_CONTROL").unwrap_or_else(|| CONTROL.to_owned()),
            script: Script::default(),
            looked: 0,
            clock,
            start,
        }
    }

    /// Forgets everything but its own settings (`SYS_Exit`).
    pub(crate) fn exit(&mut self) {
        self.platform.exit();
        self.attributes.clear();
        self.descriptors.clear();
    }

    /// The descriptor of a channel; it stays the library's.
    pub(crate) fn descriptor(&mut self, kind: Ready, channel: i32, module: Module) -> Outcome<i32> {
        if let Some((descriptor, _)) = self.descriptors.get(&(kind, channel)) {
            return Ok(descriptor.as_raw_fd());
        }
        let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
        let Ok(made) = EventFd::from_value_and_flags(0, flags) else {
            return module.refuse(ErrorCode::NoMemory, "no descriptor is left");
        };
        let number = made.as_raw_fd();
        self.descriptors.insert((kind, channel), (made, false));
        Ok(number)
    }

    /// Closes it; whether there was one.
    pub(crate) fn close_descriptor(&mut self, kind: Ready, channel: i32) -> bool {
        self.descriptors.remove(&(kind, channel)).is_some()
    }

    /// Tells the platform what time it is.
    pub(crate) fn tell_time(&mut self) {
        self.platform.now = self.clock.mono().since(self.start).as_micros() as u64;
        self.platform.wall = self.clock.wall();
    }

    /// Makes descriptors readable where something waits, and no others; prints what is to be said.
    fn settle(&mut self) {
        let platform = &self.platform;
        for ((kind, channel), (descriptor, readable)) in &mut self.descriptors {
            let waits = match kind {
                Ready::Picture => platform.encoders.get(channel).is_some_and(|e| e.has_picture()),
                Ready::Sound => platform.sound.has_stream(*channel),
                Ready::Motion => platform.detectors.has_data(*channel),
            };
            if waits != *readable {
                // Neither can fail: the counter is 0 or 1.
                let _ = if waits { descriptor.write(1).map(drop) } else { descriptor.read().map(drop) };
                *readable = waits;
            }
        }
        for note in self.platform.take_notes() {
            eprintln!("standin: {note}");
        }
    }

    fn look_for_commands(&mut self) {
        if self.platform.now < self.looked + CONTROL_MICROS {
            return;
        }
        self.looked = self.platform.now;
        let content = std::fs::read_to_string(&self.control).unwrap_or_default();
        for line in self.script.news(&content) {
            match parse(&line) {
                Some(Command::Crash) => {
                    eprintln!("standin: told to crash");
                    std::process::abort();
                }
                Some(command) => self.platform.faults.obey(command),
                None => eprintln!("standin: no such command: {line}"),
            }
        }
    }

    fn failure(&self, function: &str, module: Module) -> Option<i32> {
        let (name, code) = self.fail.as_ref().filter(|(name, _)| name == function)?;
        eprintln!("standin: {name} fails as it was told");
        let number = module.number(self.platform.codes);
        let known = ErrorCode::ALL.into_iter().find(|known| *known as u32 == *code);
        let whole =
            known.filter(|_| *code <= MAX_CODE).map_or(code.cast_signed(), |c| mpp_abi::error(number, c));
        Some(whole)
    }

    fn answer(&mut self, function: &str, refusal: &Refusal) -> i32 {
        let number = refusal.number(self.platform.codes);
        if refusal.is_violation(function) {
            self.platform.violations += 1;
            let name = function.trim_start_matches("HI_MPI_");
            eprintln!("standin: VIOLATION {name}: {} ({:#010X})", refusal.why, number.cast_unsigned());
        }
        number
    }
}

/// One call of the vendor's.
pub(crate) fn enter(
    function: &'static str,
    module: Module,
    needs_platform: bool,
    body: impl FnOnce(&mut Library) -> Outcome<i32>,
) -> i32 {
    let mut body = Some(body);
    enter_waiting(function, module, needs_platform, 0, |library| match body.take() {
        Some(body) => body(library),
        None => Ok(0),
    })
}

/// One call of the vendor's that may wait for something to come: for so many milliseconds, for ever if there are fewer than none.
pub(crate) fn enter_waiting(
    function: &'static str,
    module: Module,
    needs_platform: bool,
    millis: i32,
    mut body: impl FnMut(&mut Library) -> Outcome<i32>,
) -> i32 {
    let shared = shared();
    let mut library = lock(&shared.library);
    if library.platform.faults.hang {
        drop(library);
        eprintln!("standin: {function} never returns, as it was told");
        loop {
            std::thread::park();
        }
    }
    library.tell_time();
    let deadline = u64::try_from(millis).map(|millis| library.platform.now + millis * 1000).ok();
    if let Some(code) = library.failure(function, module) {
        return code;
    }
    loop {
        let ready = if needs_platform { library.platform.ready(module) } else { Ok(()) };
        let outcome = ready.and_then(|()| body(&mut library));
        library.settle();
        let refusal = match outcome {
            Ok(answer) => return answer,
            Err(refusal) => refusal,
        };
        let over = deadline.is_some_and(|deadline| library.platform.now >= deadline);
        if refusal.code != ErrorCode::Empty || over {
            return library.answer(function, &refusal);
        }
        library = shared.made.wait(library).unwrap_or_else(PoisonError::into_inner);
    }
}

fn lock(library: &Mutex<Library>) -> MutexGuard<'_, Library> {
    library.lock().unwrap_or_else(PoisonError::into_inner)
}

fn shared() -> &'static Shared {
    SHARED.get_or_init(|| {
        let made = std::thread::Builder::new().name("standin-clock".to_owned()).spawn(keep_time);
        if let Err(error) = made {
            eprintln!("standin: no thread for the clock: {error}");
        }
        Shared { library: Mutex::new(Library::new()), made: Condvar::new() }
    })
}

/// The thread: everything that is due, then sleep.
fn keep_time() {
    loop {
        let shared = SHARED.wait();
        let mut library = lock(&shared.library);
        library.tell_time();
        library.look_for_commands();
        let next = flow::run(&mut library.platform);
        library.settle();
        library.tell_time();
        let pause = next.saturating_sub(library.platform.now);
        drop(library);
        shared.made.notify_all();
        std::thread::sleep(Duration::from_micros(pause));
    }
}
