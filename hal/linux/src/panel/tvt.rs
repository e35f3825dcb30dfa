//! TVT's panel: its port, and handles for what is behind it.
//!
//! A thread has the port. Handles say what they want and read what the panel said, at once: a command that the panel does not
//! echo is an error of the next call, of whichever handle. A port that fails is opened again, and the panel told everything.
//!
//! The watchdog (about 60 s) begins with the first feeding and goes on until it is stopped; a reset of the SoC clears it, and
//! everything else in the panel.
//!
//! Does not belong here: frames (`frames.rs`), and what is said when (`link.rs`).

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use board::{Panel, PanelControl, PanelProtocol};
use hal::{
    AlarmInput, Buzzer, Clock, ErrorKind, HalError, Led, MonoTime, Parity, RelayOutput, SerialConfig,
    Watchdog,
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::link::Link;
use crate::fault::{errno_fault, fault};
use crate::tty::{Tty, poll_timeout};

/// What the panel waits without a feeding, measured: 61 to 67 s until the boot loader's first word.
const WATCHDOG_TIMEOUT: Duration = Duration::from_secs(60);
/// A port that failed is opened again after this.
const REOPEN_AFTER: Duration = Duration::from_secs(1);
/// Read at once: the panel says some 20 bytes a second.
const READ_BYTES: usize = 64;

/// A panel. Clones are the same one; its port is closed when the last clone and handle is gone. The panel stays as it is.
#[derive(Clone, Debug)]
pub struct TvtPanel {
    owner: Arc<Owner>,
}

/// Ends the thread.
#[derive(Debug)]
struct Owner(Arc<Shared>);

struct Shared {
    name: String,
    protocol: PanelProtocol,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    wake: EventFd,
    ended: AtomicBool,
}

struct State {
    link: Link,
    /// Why there is no port.
    port_fault: Option<HalError>,
}

impl TvtPanel {
    /// Begins to speak with a board's panel: relays and buzzer off, LEDs dark. A port that is not there yet is waited for; until
    /// then the handles say why.
    ///
    /// # Errors
    /// `Device` when there can be no thread.
    pub fn start(panel: &Panel, clock: Arc<dyn Clock>) -> Result<Self, HalError> {
        Self::start_at(panel, Path::new("/dev").join(&panel.serial), clock)
    }

    fn start_at(panel: &Panel, path: PathBuf, clock: Arc<dyn Clock>) -> Result<Self, HalError> {
        let what = || format!("starting panel {}", panel.name);
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
        let shared = Arc::new(Shared {
            name: panel.name.clone(),
            protocol: panel.protocol,
            state: Mutex::new(State { link: Link::new(clock.mono()), port_fault: None }),
            wake: wake.map_err(|errno| errno_fault(&what(), errno))?,
            ended: AtomicBool::new(false),
            clock,
        });
        let port = Port { path, baud: panel.baud, shared: Arc::clone(&shared) };
        let thread = thread::Builder::new().name(format!("panel {}", panel.name));
        thread.spawn(move || port.run()).map_err(|error| fault(&what(), &error))?;
        Ok(Self { owner: Arc::new(Owner(shared)) })
    }

    /// An alarm input: active while its contact is closed. Nothing it says is older than 3 s.
    ///
    /// # Errors
    /// `NotFound` for a number that the panel does not have.
    pub fn alarm_input(&self, number: u8) -> Result<impl AlarmInput + use<>, HalError> {
        self.handle(PanelControl::AlarmInputs, number, number.wrapping_sub(1))
    }

    /// A relay.
    ///
    /// # Errors
    /// `NotFound` for a number that the panel does not have.
    pub fn relay(&self, number: u8) -> Result<impl RelayOutput + use<>, HalError> {
        self.handle(PanelControl::Relays, number, number.wrapping_sub(1))
    }

    /// An LED, by its bit.
    ///
    /// # Errors
    /// `NotFound` for a number that the panel does not have.
    pub fn led(&self, number: u8) -> Result<impl Led + use<>, HalError> {
        self.handle(PanelControl::Leds, number, number)
    }

    /// The buzzer.
    #[must_use]
    pub fn buzzer(&self) -> impl Buzzer + use<> {
        Handle { panel: self.clone(), mask: 0 }
    }

    /// The watchdog. It does not tell whether it caused a reset: that clears it.
    #[must_use]
    pub fn watchdog(&self) -> impl Watchdog + use<> {
        Handle { panel: self.clone(), mask: 0 }
    }

    fn handle(&self, control: PanelControl, number: u8, bit: u8) -> Result<Handle, HalError> {
        let Shared { name, protocol, .. } = &*self.owner.0;
        if !protocol.numbers(control).contains(&number) {
            let message = format!("panel {name} has no number {number} of its {control:?}");
            return Err(HalError::new(ErrorKind::NotFound, message));
        }
        Ok(Handle { panel: self.clone(), mask: 1 << bit })
    }
}

/// One device of a panel: its bit where it has one.
#[derive(Debug)]
struct Handle {
    panel: TvtPanel,
    mask: u8,
}

impl Handle {
    /// Tells the panel something, unless it is known to be in trouble: then that, but it is told all the same.
    fn tell(&self, change: impl FnOnce(&mut Link)) -> Result<(), HalError> {
        let shared = &self.panel.owner.0;
        let mut state = shared.lock();
        change(&mut state.link);
        let trouble = shared.trouble(&state);
        drop(state);
        shared.wake();
        trouble
    }

    fn ask<T>(&self, question: impl FnOnce(&Link) -> T) -> Result<T, HalError> {
        let shared = &self.panel.owner.0;
        let state = shared.lock();
        shared.trouble(&state)?;
        Ok(question(&state.link))
    }
}

impl AlarmInput for Handle {
    fn is_active(&mut self) -> Result<bool, HalError> {
        self.ask(|link| link.inputs() & self.mask != 0)
    }
}

impl RelayOutput for Handle {
    fn set(&mut self, on: bool) -> Result<(), HalError> {
        self.tell(|link| link.switch_relays(self.mask, on))
    }

    fn is_on(&mut self) -> Result<bool, HalError> {
        self.ask(|link| link.relays().is_some_and(|on| on & self.mask != 0))
    }
}

impl Led for Handle {
    fn light(&mut self, on: bool) -> Result<(), HalError> {
        self.tell(|link| link.light(self.mask, on))
    }
}

impl Buzzer for Handle {
    fn sound(&mut self, on: bool) -> Result<(), HalError> {
        self.tell(|link| link.sound(on))
    }
}

impl Watchdog for Handle {
    fn start(&mut self, _timeout: Duration) -> Result<Duration, HalError> {
        self.tell(Link::kick)?;
        Ok(WATCHDOG_TIMEOUT)
    }

    fn feed(&mut self) -> Result<(), HalError> {
        self.tell(Link::kick)
    }

    fn stop(&mut self) -> Result<(), HalError> {
        self.tell(Link::disarm)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        // It fails only when the counter is full, and then the thread is awake.
        let _ = self.wake.write(1);
    }

    fn trouble(&self, state: &State) -> Result<(), HalError> {
        if let Some(fault) = &state.port_fault {
            return Err(HalError::new(fault.kind(), format!("panel {}: {fault}", self.name)));
        }
        match state.link.trouble(self.clock.mono()) {
            Some(words) => Err(HalError::new(ErrorKind::Device, format!("panel {} {words}", self.name))),
            None => Ok(()),
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Release);
        self.0.wake();
    }
}

/// What the thread has.
struct Port {
    path: PathBuf,
    baud: u32,
    shared: Arc<Shared>,
}

impl Port {
    fn run(&self) {
        let config = SerialConfig { baud: self.baud, parity: Parity::None, stop_bits: 1 };
        while !self.has_ended() {
            let failed = match Tty::open(&self.path, config) {
                Ok(tty) => self.serve(tty),
                Err(error) => Err(error),
            };
            let Err(error) = failed else { return };
            self.shared.lock().port_fault = Some(error);
            // Woken by every handle that is used: only the time counts.
            let again = self.shared.clock.mono() + REOPEN_AFTER;
            while !self.has_ended() && self.shared.clock.mono() < again {
                if self.wait(None, Some(again)).is_err() {
                    return;
                }
            }
        }
    }

    /// Until the handles are gone.
    fn serve(&self, mut tty: Tty) -> Result<(), HalError> {
        {
            let mut state = self.shared.lock();
            state.port_fault = None;
            state.link.begin_anew(self.shared.clock.mono());
        }
        while !self.has_ended() {
            let (frame, next_at) = {
                let mut state = self.shared.lock();
                (state.link.poll(self.shared.clock.mono()), state.link.next_at())
            };
            if let Some(frame) = frame {
                tty.write(&frame)?;
            }
            self.wait(Some(&tty), next_at)?;
            let mut bytes = [0; READ_BYTES];
            let count = tty.read(&mut bytes, Duration::ZERO)?;
            let now = self.shared.clock.mono();
            self.shared.lock().link.receive(bytes.get(..count).unwrap_or_default(), now);
        }
        Ok(())
    }

    /// Until there are bytes, a handle is used, or it is so late.
    fn wait(&self, tty: Option<&Tty>, until: Option<MonoTime>) -> Result<(), HalError> {
        let left = until.map(|until| until.since(self.shared.clock.mono()));
        let timeout = left.map_or(PollTimeout::NONE, poll_timeout);
        let wake = PollFd::new(self.shared.wake.as_fd(), PollFlags::POLLIN);
        let waited = match tty {
            Some(tty) => poll(&mut [wake, PollFd::new(tty.as_fd(), PollFlags::POLLIN)], timeout),
            None => poll(&mut [wake], timeout),
        };
        match waited {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {
                // Empty unless it was that.
                let _ = self.shared.wake.read();
                Ok(())
            }
            Err(errno) => Err(errno_fault(&format!("waiting for panel {}", self.shared.name), errno)),
        }
    }

    fn has_ended(&self) -> bool {
        self.shared.ended.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests;
