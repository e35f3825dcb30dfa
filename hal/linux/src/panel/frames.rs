//! TVT's panel: the frames, and finding them in a stream of bytes.
//!
//! A frame has 5 bytes, in both directions: a start byte, a command, two data bytes, and the sum of the four before it modulo 256.
//! `A0` starts what the SoC says and the panel's echo of it; `0A` what the panel says by itself. What a command means depends on
//! that. Source: niallsmart/hi3531-porting-guide, doc/20-front-panel-mcu.md (captured on a DHB_AX).

/// A frame's length.
pub(super) const FRAME_BYTES: usize = 5;

/// A frame, its sum right.
pub(super) type Frame = [u8; FRAME_BYTES];

/// Starts a frame of the SoC, and the panel's echo of it.
const FROM_US: u8 = 0xA0;
/// Starts a frame that the panel sends by itself.
const FROM_PANEL: u8 = 0x0A;

/// The panel's status, twice a second.
const STATUS: u8 = 5;

/// What the panel is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// All LEDs at once: bits 2 to 6.
    Leds(u8),
    /// All relays at once: bits 0 to 3.
    Relays(u8),
    /// On or off.
    Buzzer(bool),
    /// Begins the watchdog's time-out, or begins it anew.
    Kick,
    /// Stops the watchdog. Seen in the vendor's program, never on a line.
    Disarm,
}

impl Command {
    pub(super) fn frame(self) -> Frame {
        let (command, data) = match self {
            Self::Leds(bits) => (2, bits),
            Self::Relays(bits) => (4, bits),
            Self::Buzzer(on) => (5, u8::from(on)),
            Self::Kick => (7, 0),
            Self::Disarm => (8, 0),
        };
        framed(FROM_US, command, data, 0)
    }
}

/// What came from the panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It has done what the frame said.
    Echo(Frame),
    /// Its alarm inputs, a bit each from bit 0 on; set where the contact is closed.
    Inputs(u8),
    /// Keys and versions: nobody here asks for them.
    Other,
}

impl Heard {
    pub(super) fn of(frame: Frame) -> Self {
        match frame {
            [FROM_US, ..] => Self::Echo(frame),
            // On the line an open contact is a one: it is pulled up.
            [_, STATUS, _, inputs, _] => Self::Inputs(!inputs),
            _ => Self::Other,
        }
    }
}

/// Finds frames among bytes. After lost or foreign bytes it goes on with the next frame that is whole; a false frame made of
/// them needs a right sum, one chance in 256.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FrameFinder {
    bytes: [u8; FRAME_BYTES],
    filled: usize,
}

impl FrameFinder {
    /// Takes a byte; a frame that it completes.
    pub(super) fn push(&mut self, byte: u8) -> Option<Frame> {
        self.bytes[self.filled] = byte;
        self.filled += 1;
        while !self.may_begin() {
            self.skip();
        }
        while self.filled == FRAME_BYTES {
            let [start, command, left, right, _] = self.bytes;
            if framed(start, command, left, right) == self.bytes {
                self.filled = 0;
                return Some(self.bytes);
            }
            self.skip();
            while !self.may_begin() {
                self.skip();
            }
        }
        None
    }

    /// Whether what is here may be the beginning of a frame; nothing may.
    fn may_begin(&self) -> bool {
        self.filled == 0 || matches!(self.bytes[0], FROM_US | FROM_PANEL)
    }

    fn skip(&mut self) {
        self.bytes.copy_within(1.., 0);
        self.filled -= 1;
    }
}

fn framed(start: u8, command: u8, left: u8, right: u8) -> Frame {
    let sum = start.wrapping_add(command).wrapping_add(left).wrapping_add(right);
    [start, command, left, right, sum]
}

/// What a panel says by itself, for tests.
#[cfg(test)]
pub(super) fn status(closed: u8) -> Frame {
    framed(FROM_PANEL, STATUS, 0xFF, !closed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn find(bytes: &[u8]) -> Vec<Frame> {
        let mut finder = FrameFinder::default();
        bytes.iter().filter_map(|byte| finder.push(*byte)).collect()
    }

    #[test]
    fn commands_are_as_captured() {
        for (command, frame) in [
            (Command::Relays(1), [0xA0, 0x04, 0x01, 0x00, 0xA5]),
            (Command::Relays(0), [0xA0, 0x04, 0x00, 0x00, 0xA4]),
            (Command::Buzzer(true), [0xA0, 0x05, 0x01, 0x00, 0xA6]),
            (Command::Buzzer(false), [0xA0, 0x05, 0x00, 0x00, 0xA5]),
            (Command::Leds(0x68), [0xA0, 0x02, 0x68, 0x00, 0x0A]),
            (Command::Leds(0x60), [0xA0, 0x02, 0x60, 0x00, 0x02]),
            (Command::Kick, [0xA0, 0x07, 0x00, 0x00, 0xA7]),
        ] {
            assert_eq!(command.frame(), frame, "{command:?}");
            assert_eq!(find(&frame), [frame]);
        }
    }

    #[test]
    fn what_the_panel_says_is_as_captured() {
        let heard = |frame: Frame| {
            assert_eq!(find(&frame), [frame]);
            Heard::of(frame)
        };
        assert_eq!(heard([0x0A, 0x05, 0xFF, 0xFF, 0x0D]), Heard::Inputs(0));
        assert_eq!(heard([0x0A, 0x05, 0xFF, 0xFE, 0x0C]), Heard::Inputs(0b0001));
        assert_eq!(heard([0x0A, 0x05, 0xFF, 0xF7, 0x05]), Heard::Inputs(0b1000));
        // A key, and the version: a date.
        assert_eq!(heard([0x0A, 0x01, 0x04, 0x01, 0x10]), Heard::Other);
        assert_eq!(heard([0x0A, 0x06, 0x97, 0x14, 0xBB]), Heard::Other);
        let echo = Command::Buzzer(true).frame();
        assert_eq!(heard(echo), Heard::Echo(echo));
        assert_eq!(status(0b0001), [0x0A, 0x05, 0xFF, 0xFE, 0x0C]);
    }

    #[test]
    fn a_lost_byte_costs_one_frame() {
        let (kick, quiet) = (Command::Kick.frame(), status(0));
        for lost in 0..FRAME_BYTES {
            let mut bytes = kick.to_vec();
            bytes.remove(lost);
            bytes.extend(quiet);
            bytes.extend(kick);
            assert_eq!(find(&bytes), [quiet, kick], "without byte {lost}");
        }
    }

    proptest! {
        /// Bytes that begin no frame cost nothing, wherever they are.
        #[test]
        fn frames_are_found_among_garbage(
            parts in proptest::collection::vec((
                proptest::collection::vec(any::<u8>().prop_filter("begins a frame", |b| !matches!(b, 0xA0 | 0x0A)), 0..9),
                any::<(bool, u8, u8, u8)>(),
            ), 0..20),
        ) {
            let (mut bytes, mut frames) = (Vec::new(), Vec::new());
            for (garbage, (ours, command, left, right)) in parts {
                let frame = framed(if ours { FROM_US } else { FROM_PANEL }, command, left, right);
                bytes.extend(garbage);
                bytes.extend(frame);
                frames.push(frame);
            }
            prop_assert_eq!(find(&bytes), frames);
        }

        /// Whatever came before, after four bytes that begin no frame the next one is found, and every frame's sum is right.
        #[test]
        fn it_finds_its_way_back(garbage in proptest::collection::vec(any::<u8>(), 0..64), closed in any::<u8>()) {
            let mut bytes = garbage;
            bytes.extend([0; 4]);
            bytes.extend(status(closed));
            let found = find(&bytes);
            prop_assert_eq!(found.last(), Some(&status(closed)));
            for frame in found {
                prop_assert_eq!(frame[..4].iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)), frame[4]);
            }
        }
    }
}
