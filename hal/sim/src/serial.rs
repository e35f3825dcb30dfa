//! Serial: two RS-485 ports joined by a cable in memory.
//!
//! Does not simulate the time that bits take, nor collisions.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hal::{ErrorKind, HalError, MAX_SERIAL_FRAME_BYTES, Parity, Rs485, SerialConfig};

/// What a port holds unread: more is lost, as in a real one's buffer (Linux keeps one page).
pub const BUFFER_BYTES: usize = 4096;

/// One end of a simulated line. Ends whose rate or framing differ receive garbage: zeros here.
#[derive(Debug)]
pub struct SimRs485 {
    config: SerialConfig,
    duplex: board::Duplex,
    incoming: Arc<Wire>,
    outgoing: Arc<Wire>,
}

#[derive(Debug)]
struct Wire {
    state: Mutex<WireState>,
    arrived: Condvar,
}

#[derive(Debug)]
struct WireState {
    bytes: VecDeque<u8>,
    /// The receiving end's settings.
    receiver: SerialConfig,
}

impl SimRs485 {
    /// Both ends of a line, at 9600 baud, no parity, one stop bit.
    #[must_use]
    pub fn pair(duplex: board::Duplex) -> (Self, Self) {
        let config = SerialConfig { baud: 9600, parity: Parity::None, stop_bits: 1 };
        let wire = || {
            let state = Mutex::new(WireState { bytes: VecDeque::new(), receiver: config });
            Arc::new(Wire { state, arrived: Condvar::new() })
        };
        let (there, back) = (wire(), wire());
        let end = |incoming: &Arc<Wire>, outgoing: &Arc<Wire>| Self {
            config,
            duplex,
            incoming: Arc::clone(incoming),
            outgoing: Arc::clone(outgoing),
        };
        (end(&back, &there), end(&there, &back))
    }
}

impl Wire {
    fn lock(&self) -> MutexGuard<'_, WireState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rs485 for SimRs485 {
    fn duplex(&self) -> board::Duplex {
        self.duplex
    }

    fn configure(&mut self, config: SerialConfig) -> Result<(), HalError> {
        if !(1200..=115_200).contains(&config.baud) || !(1..=2).contains(&config.stop_bits) {
            return Err(HalError::new(
                ErrorKind::Unsupported,
                format!(
                    "{} baud with {} stop bits; choose 1200 to 115200, 1 or 2",
                    config.baud, config.stop_bits
                ),
            ));
        }
        self.config = config;
        self.incoming.lock().receiver = config;
        Ok(())
    }

    fn send(&mut self, frame: &[u8]) -> Result<(), HalError> {
        if !(1..=MAX_SERIAL_FRAME_BYTES).contains(&frame.len()) {
            return Err(HalError::new(
                ErrorKind::Unsupported,
                format!("a frame of {} bytes; send 1 to {MAX_SERIAL_FRAME_BYTES}", frame.len()),
            ));
        }
        let mut wire = self.outgoing.lock();
        let understood = wire.receiver == self.config;
        let space = BUFFER_BYTES - wire.bytes.len();
        wire.bytes.extend(frame.iter().take(space).map(|&byte| if understood { byte } else { 0 }));
        self.outgoing.arrived.notify_all();
        Ok(())
    }

    fn receive(&mut self, into: &mut [u8], timeout: Duration) -> Result<usize, HalError> {
        let wire = self.incoming.lock();
        let (mut wire, _) = self
            .incoming
            .arrived
            .wait_timeout_while(wire, timeout, |wire| wire.bytes.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        let count = into.len().min(wire.bytes.len());
        for (to, from) in into.iter_mut().zip(wire.bytes.drain(..count)) {
            *to = from;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn what_one_end_sends_the_other_receives() {
        let (mut recorder, mut camera) = SimRs485::pair(board::Duplex::Half);
        recorder.send(&[0xFF, 1, 0, 2, 0x20, 0, 0x23]).unwrap();
        let mut bytes = [0; 4];
        assert_eq!(camera.receive(&mut bytes, PATIENCE).unwrap(), 4);
        assert_eq!(bytes, [0xFF, 1, 0, 2]);
        assert_eq!(camera.receive(&mut bytes, PATIENCE).unwrap(), 3);
        camera.send(&[9]).unwrap();
        assert_eq!(recorder.receive(&mut bytes, PATIENCE).unwrap(), 1);
        assert_eq!(recorder.receive(&mut bytes, Duration::ZERO).unwrap(), 0);
    }

    #[test]
    fn a_receiver_wakes_for_bytes() {
        let (mut recorder, mut camera) = SimRs485::pair(board::Duplex::Full);
        let waiting = std::thread::spawn(move || {
            let mut bytes = [0; 8];
            let count = camera.receive(&mut bytes, PATIENCE).unwrap();
            bytes[..count].to_vec()
        });
        recorder.send(&[1, 2, 3]).unwrap();
        assert_eq!(waiting.join().unwrap(), [1, 2, 3]);
    }

    #[test]
    fn ends_of_different_rates_do_not_understand_each_other() {
        let (mut recorder, mut camera) = SimRs485::pair(board::Duplex::Half);
        recorder.configure(SerialConfig { baud: 2400, parity: Parity::None, stop_bits: 1 }).unwrap();
        recorder.send(&[0xFF, 1]).unwrap();
        let mut bytes = [7; 2];
        assert_eq!(camera.receive(&mut bytes, PATIENCE).unwrap(), 2);
        assert_eq!(bytes, [0, 0]);
    }

    #[test]
    fn what_a_port_cannot_do_is_refused_and_its_buffer_ends() {
        let (mut recorder, mut camera) = SimRs485::pair(board::Duplex::Half);
        assert!(recorder.configure(SerialConfig { baud: 300, parity: Parity::Even, stop_bits: 1 }).is_err());
        assert!(recorder.send(&[]).is_err());
        assert!(recorder.send(&[0; MAX_SERIAL_FRAME_BYTES + 1]).is_err());
        for _ in 0..20 {
            recorder.send(&[1; MAX_SERIAL_FRAME_BYTES]).unwrap();
        }
        assert_eq!(camera.receive(&mut [0; 8192], PATIENCE).unwrap(), BUFFER_BYTES);
    }
}
