//! One camera on an RS-485 line: what is sent when, and when it stops.
//!
//! [`PtzQueue`] decides and takes the time as an argument; [`PtzPort`] sends what it says. A movement has to be asked for again
//! within [`PTZ_HOLD`], or the camera is stopped: whoever asked may have lost the connection. The last movement asked for counts,
//! older ones that were not sent yet are forgotten; a stop goes before everything else, and twice, for lines lose frames.
//!
//! Does not belong here: who may move a camera.

use std::collections::VecDeque;
use std::time::Duration;

use hal::{HalError, MonoTime, Rs485};

use crate::ptz::{PtzAddress, PtzCommand, PtzMove};
use crate::ptz_protocol::{PtzFrame, PtzProtocol};

/// From the end of one frame to the next: a frame takes 33 ms at 2400 baud, and slow receivers need as much again.
pub const PTZ_FRAME_GAP: Duration = Duration::from_millis(60);
/// A movement that nobody asks for again ends after this: long enough for a browser's repeated requests on a bad network, short
/// enough that a camera does not turn away for good.
pub const PTZ_HOLD: Duration = Duration::from_secs(2);
/// Presets that wait to be sent: more at once is nobody's wish.
pub const MAX_WAITING_PRESETS: usize = 4;
/// How often a stop is sent.
const STOPS: u8 = 2;

/// What to send to a camera, and when.
#[derive(Debug)]
pub struct PtzQueue {
    stops: u8,
    presets: VecDeque<PtzCommand>,
    /// Asked for and not sent yet.
    movement: Option<PtzMove>,
    /// When the camera is stopped; set while it moves or is to.
    moves_until: Option<MonoTime>,
    not_before: MonoTime,
}

impl PtzQueue {
    /// A camera at rest.
    #[must_use]
    pub fn new(now: MonoTime) -> Self {
        Self { stops: 0, presets: VecDeque::new(), movement: None, moves_until: None, not_before: now }
    }

    /// Takes a wish. Presets that find [`MAX_WAITING_PRESETS`] before them are dropped: false.
    pub fn ask(&mut self, command: PtzCommand, now: MonoTime) -> bool {
        match command {
            PtzCommand::Move(movement) if movement != PtzMove::default() => {
                self.stops = 0;
                self.movement = Some(movement);
                self.moves_until = Some(now + PTZ_HOLD);
            }
            PtzCommand::Move(_) | PtzCommand::Stop => self.stop(),
            preset if self.presets.len() < MAX_WAITING_PRESETS => {
                // The camera goes where it is told, and is no longer ours to stop.
                if matches!(preset, PtzCommand::CallPreset(_)) {
                    (self.movement, self.moves_until) = (None, None);
                }
                self.presets.push_back(preset);
            }
            _ => return false,
        }
        true
    }

    /// What to send now; `None` for nothing. It counts as sent at `now`.
    pub fn poll(&mut self, now: MonoTime) -> Option<PtzCommand> {
        if self.moves_until.is_some_and(|until| now >= until) {
            self.stop();
        }
        if now < self.not_before {
            return None;
        }
        let command = if self.stops > 0 {
            self.stops -= 1;
            PtzCommand::Stop
        } else if let Some(preset) = self.presets.pop_front() {
            preset
        } else {
            PtzCommand::Move(self.movement.take()?)
        };
        self.not_before = now + PTZ_FRAME_GAP;
        Some(command)
    }

    /// When to [`PtzQueue::poll`] again; `None` while nothing is to be done.
    #[must_use]
    pub fn next_at(&self) -> Option<MonoTime> {
        let waiting = self.stops > 0 || !self.presets.is_empty() || self.movement.is_some();
        let send = waiting.then_some(self.not_before);
        [send, self.moves_until].into_iter().flatten().min()
    }

    /// Whether it moves, or is about to.
    #[must_use]
    pub fn is_moving(&self) -> bool {
        self.moves_until.is_some()
    }

    fn stop(&mut self) {
        (self.movement, self.moves_until, self.stops) = (None, None, STOPS);
    }
}

/// One camera on a port of its own. Dropped while the camera moves, it stops it.
#[derive(Debug)]
pub struct PtzPort<R: Rs485> {
    port: R,
    protocol: PtzProtocol,
    address: PtzAddress,
    queue: PtzQueue,
}

impl<R: Rs485> PtzPort<R> {
    /// The port is set up for the camera already.
    ///
    /// # Errors
    /// `Unsupported` for an address that the protocol does not have.
    pub fn new(port: R, protocol: PtzProtocol, address: PtzAddress, now: MonoTime) -> Result<Self, HalError> {
        protocol.frame(address, PtzCommand::Stop)?;
        Ok(Self { port, protocol, address, queue: PtzQueue::new(now) })
    }

    /// Takes a wish and sends what is due; false when it was dropped.
    ///
    /// # Errors
    /// As the port's.
    pub fn ask(&mut self, command: PtzCommand, now: MonoTime) -> Result<bool, HalError> {
        let taken = self.queue.ask(command, now);
        self.turn(now)?;
        Ok(taken)
    }

    /// Sends what is due; gives when to come again, `None` for not before the next wish.
    ///
    /// # Errors
    /// As the port's.
    pub fn turn(&mut self, now: MonoTime) -> Result<Option<MonoTime>, HalError> {
        if let Some(command) = self.queue.poll(now) {
            let frame = self.frame(command)?;
            self.port.send(frame.bytes())?;
        }
        Ok(self.queue.next_at())
    }

    fn frame(&self, command: PtzCommand) -> Result<PtzFrame, HalError> {
        self.protocol.frame(self.address, command)
    }
}

impl<R: Rs485> Drop for PtzPort<R> {
    fn drop(&mut self) {
        if !self.queue.is_moving() && self.queue.stops == 0 {
            return;
        }
        // A port that fails here cannot be helped; the camera's own time-out is all that is left.
        if let Ok(frame) = self.frame(PtzCommand::Stop) {
            let _ = self.port.send(frame.bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use hal_sim::SimRs485;
    use proptest::prelude::*;

    use super::*;
    use crate::ptz::{Preset, PtzSpeed, strategy};

    fn at(millis: u64) -> MonoTime {
        MonoTime::from_start(Duration::from_millis(millis))
    }

    fn pan(percent: i8) -> PtzCommand {
        PtzCommand::Move(PtzMove { pan: PtzSpeed::percent(percent), ..PtzMove::default() })
    }

    fn call(number: u8) -> PtzCommand {
        PtzCommand::CallPreset(Preset::new(number).unwrap())
    }

    /// Everything sent up to `until`, each with its time.
    fn run(queue: &mut PtzQueue, from: u64, until: u64) -> Vec<(u64, PtzCommand)> {
        (from..until).filter_map(|millis| queue.poll(at(millis)).map(|command| (millis, command))).collect()
    }

    #[test]
    fn a_movement_ends_unless_it_is_asked_for_again() {
        let mut queue = PtzQueue::new(at(0));
        assert!(queue.ask(pan(50), at(0)));
        assert_eq!(run(&mut queue, 0, 1_500), [(0, pan(50))]);
        assert!(queue.ask(pan(50), at(1_500)));
        assert_eq!(
            run(&mut queue, 1_500, 10_000),
            [(1_500, pan(50)), (3_500, PtzCommand::Stop), (3_560, PtzCommand::Stop)]
        );
        assert_eq!(queue.next_at(), None);
    }

    #[test]
    fn the_last_movement_counts_and_frames_have_a_gap() {
        let mut queue = PtzQueue::new(at(0));
        for percent in 1..100 {
            queue.ask(pan(percent), at(u64::from(percent.unsigned_abs())));
            queue.poll(at(u64::from(percent.unsigned_abs())));
        }
        // The first at 1 ms, the next at 61 ms; what came after it is one more.
        assert_eq!(run(&mut queue, 100, 1_000), [(121, pan(99))]);
    }

    #[test]
    fn a_stop_goes_first_and_a_call_is_not_stopped() {
        let mut queue = PtzQueue::new(at(0));
        for number in 1..=4 {
            assert!(queue.ask(call(number), at(0)));
        }
        assert!(!queue.ask(call(5), at(0)), "five presets wait");
        queue.ask(pan(1), at(0));
        queue.ask(PtzCommand::Stop, at(0));
        let sent: Vec<_> = run(&mut queue, 0, 10_000).into_iter().map(|(_, command)| command).collect();
        assert_eq!(sent, [PtzCommand::Stop, PtzCommand::Stop, call(1), call(2), call(3), call(4)]);
        queue.ask(pan(1), at(10_000));
        queue.ask(call(7), at(10_000));
        assert_eq!(run(&mut queue, 10_000, 20_000), [(10_000, call(7))]);
    }

    #[test]
    fn frames_go_out_and_a_dropped_port_stops_its_camera() {
        let (ours, mut camera) = SimRs485::pair(board::Duplex::Half);
        let address = PtzAddress::new(1).unwrap();
        let mut port = PtzPort::new(ours, PtzProtocol::PelcoD, address, at(0)).unwrap();
        assert!(port.ask(pan(50), at(0)).unwrap());
        assert_eq!(port.turn(at(10)).unwrap(), Some(at(2_000)));
        drop(port);
        let mut bytes = [0; 32];
        let count = camera.receive(&mut bytes, Duration::ZERO).unwrap();
        assert_eq!(bytes[..count], [0xFF, 1, 0, 2, 0x20, 0, 0x23, 0xFF, 1, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn a_dropped_port_says_nothing_to_a_camera_at_rest() {
        let (ours, mut camera) = SimRs485::pair(board::Duplex::Half);
        let protocol = PtzProtocol::PelcoP { first_is_zero: true };
        drop(PtzPort::new(ours, protocol, PtzAddress::new(1).unwrap(), at(0)).unwrap());
        assert_eq!(camera.receive(&mut [0; 8], Duration::ZERO).unwrap(), 0);
        let (ours, _camera) = SimRs485::pair(board::Duplex::Half);
        assert!(PtzPort::new(ours, protocol, PtzAddress::new(33).unwrap(), at(0)).is_err());
    }

    proptest! {
        /// Whatever is asked and when: frames keep their gap, and a camera that was moved is stopped or sent elsewhere in the end.
        #[test]
        fn no_camera_moves_for_ever(
            wishes in proptest::collection::vec((0u64..1_500, strategy::command()), 0..40),
        ) {
            let mut queue = PtzQueue::new(at(0));
            let (mut now, mut sent) = (0, Vec::new());
            for (pause, wish) in wishes {
                sent.extend(run(&mut queue, now, now + pause));
                now += pause;
                queue.ask(wish, at(now));
            }
            sent.extend(run(&mut queue, now, now + 5_000));
            prop_assert_eq!(queue.next_at(), None);
            for pair in sent.windows(2) {
                prop_assert!(pair[1].0 - pair[0].0 >= 60, "{pair:?}");
            }
            let last = sent.iter().rfind(|(_, command)| {
                !matches!(command, PtzCommand::SetPreset(_) | PtzCommand::ClearPreset(_))
            });
            prop_assert!(!matches!(last, Some((_, PtzCommand::Move(_)))), "{sent:?}");
        }
    }
}
