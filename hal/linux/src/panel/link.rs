//! TVT's panel: what it is told, what it has confirmed, what it says.
//!
//! Pure: bytes and times go in, frames come out. One command is under way at a time; it is said again until the panel echoes it.
//! The panel's state is told whole each time, so that saying it twice does no harm.
//!
//! Does not belong here: the port and its thread (`tvt.rs`).

use std::time::Duration;

use hal::MonoTime;

use super::frames::{Command, Frame, FrameFinder, Heard};

/// The panel echoes a command after 30 ms; later than this it did not understand it.
pub(super) const ECHO_WITHIN: Duration = Duration::from_millis(150);
/// A command is said this often before it counts as not answered, as the vendor's program does.
pub(super) const TRIES: u8 = 4;
/// After a command was not answered, the next is tried.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(1);
/// It says its status twice a second; silent for so long, what it said last may no longer be so.
pub(super) const SILENT_AFTER: Duration = Duration::from_secs(3);

/// What there is one of to be told, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    Watchdog,
    Relays,
    Buzzer,
    Leds,
}

impl Topic {
    const ALL: [Self; 4] = [Self::Watchdog, Self::Relays, Self::Buzzer, Self::Leds];
}

/// One end of the line.
#[derive(Debug)]
pub(super) struct Link {
    finder: FrameFinder,
    watchdog: Told<Command>,
    relays: Told<u8>,
    buzzer: Told<bool>,
    leds: Told<u8>,
    under_way: Option<UnderWay>,
    /// The topic that was not answered.
    unanswered: Option<Topic>,
    not_before: MonoTime,
    /// When the panel last said anything that was whole.
    heard: MonoTime,
    inputs: u8,
}

/// What the panel shall be, and what it said it is.
#[derive(Clone, Copy, Debug)]
struct Told<T> {
    wanted: Option<T>,
    confirmed: Option<T>,
    /// To be said, even if it is confirmed.
    due: bool,
}

#[derive(Clone, Copy, Debug)]
struct UnderWay {
    topic: Topic,
    frame: Frame,
    said: MonoTime,
    tries: u8,
}

impl<T: Copy + PartialEq> Told<T> {
    fn new(wanted: Option<T>) -> Self {
        Self { wanted, confirmed: None, due: wanted.is_some() }
    }

    fn tell(&mut self, wanted: T) {
        self.due |= self.wanted != Some(wanted) || self.confirmed != Some(wanted);
        self.wanted = Some(wanted);
    }

    fn confirm(&mut self) {
        (self.confirmed, self.due) = (self.wanted, false);
    }

    fn forget(&mut self) {
        (self.confirmed, self.due) = (None, self.wanted.is_some());
    }
}

impl Link {
    /// Relays off, buzzer silent, LEDs dark; the watchdog as it is.
    pub(super) fn new(now: MonoTime) -> Self {
        Self {
            finder: FrameFinder::default(),
            watchdog: Told::new(None),
            relays: Told::new(Some(0)),
            buzzer: Told::new(Some(false)),
            leds: Told::new(Some(0)),
            under_way: None,
            unanswered: None,
            not_before: now,
            heard: now,
            inputs: 0,
        }
    }

    /// Switches the relays of a mask.
    pub(super) fn switch_relays(&mut self, mask: u8, on: bool) {
        let wanted = with(self.relays.wanted.unwrap_or_default(), mask, on);
        self.relays.tell(wanted);
    }

    /// What the panel last confirmed of them; `None` before it did.
    pub(super) fn relays(&self) -> Option<u8> {
        self.relays.confirmed
    }

    /// Switches the LEDs of a mask.
    pub(super) fn light(&mut self, mask: u8, on: bool) {
        let wanted = with(self.leds.wanted.unwrap_or_default(), mask, on);
        self.leds.tell(wanted);
    }

    pub(super) fn sound(&mut self, on: bool) {
        self.buzzer.tell(on);
    }

    /// Begins the watchdog's time-out anew, even where it was just begun.
    pub(super) fn kick(&mut self) {
        self.watchdog.wanted = Some(Command::Kick);
        self.watchdog.due = true;
    }

    pub(super) fn disarm(&mut self) {
        self.watchdog.tell(Command::Disarm);
    }

    /// The alarm inputs as last heard; all open before the first time.
    pub(super) fn inputs(&self) -> u8 {
        self.inputs
    }

    /// What keeps the panel from doing its work, in words that follow its name.
    pub(super) fn trouble(&self, now: MonoTime) -> Option<&'static str> {
        if now.since(self.heard) >= SILENT_AFTER {
            return Some("says nothing");
        }
        self.unanswered.map(|topic| match topic {
            Topic::Watchdog => "does not answer for its watchdog",
            Topic::Relays => "does not answer for its relays",
            Topic::Buzzer => "does not answer for its buzzer",
            Topic::Leds => "does not answer for its LEDs",
        })
    }

    /// The line was opened anew: whoever is there is told everything.
    pub(super) fn begin_anew(&mut self, now: MonoTime) {
        self.finder = FrameFinder::default();
        self.under_way = None;
        self.not_before = now;
        self.tell_all_again();
    }

    /// Takes bytes from the line.
    pub(super) fn receive(&mut self, bytes: &[u8], now: MonoTime) {
        for byte in bytes {
            let Some(frame) = self.finder.push(*byte) else { continue };
            if now.since(self.heard) >= SILENT_AFTER {
                // It may have started anew, and then everything is off.
                self.tell_all_again();
            }
            self.heard = now;
            match Heard::of(frame) {
                Heard::Inputs(inputs) => self.inputs = inputs,
                Heard::Echo(frame) => self.confirm(frame),
                Heard::Other => {}
            }
        }
    }

    /// The frame to send now; `None` for nothing. It counts as sent at `now`.
    pub(super) fn poll(&mut self, now: MonoTime) -> Option<Frame> {
        if let Some(under_way) = self.under_way {
            if now.since(under_way.said) < ECHO_WITHIN {
                return None;
            }
            if under_way.tries >= TRIES {
                self.unanswered = Some(under_way.topic);
                self.under_way = None;
                self.not_before = now + RETRY_AFTER;
            }
        }
        if now < self.not_before {
            return None;
        }
        let topic = Topic::ALL.into_iter().find(|topic| self.is_due(*topic))?;
        let frame = self.wanted(topic)?.frame();
        let tries = self.under_way.filter(|under_way| under_way.frame == frame).map_or(0, |same| same.tries);
        self.under_way = Some(UnderWay { topic, frame, said: now, tries: tries + 1 });
        Some(frame)
    }

    /// When to [`Link::poll`] again, unless something is wanted or heard before; `None` for never.
    pub(super) fn next_at(&self) -> Option<MonoTime> {
        match self.under_way {
            Some(under_way) => Some(under_way.said + ECHO_WITHIN),
            None => Topic::ALL.into_iter().any(|topic| self.is_due(topic)).then_some(self.not_before),
        }
    }

    fn confirm(&mut self, frame: Frame) {
        let Some(under_way) = self.under_way.filter(|under_way| under_way.frame == frame) else { return };
        self.under_way = None;
        self.unanswered = None;
        // Unless something else is wanted by now.
        if self.wanted(under_way.topic).is_some_and(|command| command.frame() == frame) {
            match under_way.topic {
                Topic::Watchdog => self.watchdog.confirm(),
                Topic::Relays => self.relays.confirm(),
                Topic::Buzzer => self.buzzer.confirm(),
                Topic::Leds => self.leds.confirm(),
            }
        }
    }

    fn wanted(&self, topic: Topic) -> Option<Command> {
        match topic {
            Topic::Watchdog => self.watchdog.wanted,
            Topic::Relays => self.relays.wanted.map(Command::Relays),
            Topic::Buzzer => self.buzzer.wanted.map(Command::Buzzer),
            Topic::Leds => self.leds.wanted.map(Command::Leds),
        }
    }

    fn is_due(&self, topic: Topic) -> bool {
        match topic {
            Topic::Watchdog => self.watchdog.due,
            Topic::Relays => self.relays.due,
            Topic::Buzzer => self.buzzer.due,
            Topic::Leds => self.leds.due,
        }
    }

    fn tell_all_again(&mut self) {
        self.relays.forget();
        self.buzzer.forget();
        self.leds.forget();
        // The watchdog is not: whoever feeds it does so again soon, and nobody else may arm it.
    }
}

fn with(bits: u8, mask: u8, on: bool) -> u8 {
    if on { bits | mask } else { bits & !mask }
}

#[cfg(test)]
mod tests {
    use super::super::frames::status;
    use super::*;

    fn at(millis: u64) -> MonoTime {
        MonoTime::from_start(Duration::from_millis(millis))
    }

    const OFF: [Command; 3] = [Command::Relays(0), Command::Buzzer(false), Command::Leds(0)];

    /// A link that has told a panel that everything is off.
    fn settled() -> Link {
        let mut link = Link::new(at(0));
        for expected in OFF {
            assert_eq!(link.poll(at(0)), Some(expected.frame()));
            link.receive(&expected.frame(), at(0));
        }
        assert_eq!((link.poll(at(0)), link.next_at()), (None, None));
        link
    }

    #[test]
    fn everything_is_off_at_first_and_one_command_is_under_way_at_a_time() {
        let mut link = settled();
        assert_eq!(link.relays(), Some(0));
        link.switch_relays(0b0001, true);
        link.light(0x20, true);
        link.sound(true);
        assert_eq!(link.poll(at(10)), Some(Command::Relays(1).frame()));
        assert_eq!(link.poll(at(10)), None, "the first is not echoed yet");
        assert_eq!(link.relays(), Some(0), "the panel has not said so");
        link.receive(&Command::Relays(1).frame(), at(40));
        assert_eq!(link.relays(), Some(1));
        assert_eq!(link.poll(at(40)), Some(Command::Buzzer(true).frame()));
        link.receive(&Command::Buzzer(true).frame(), at(70));
        assert_eq!(link.poll(at(70)), Some(Command::Leds(0x20).frame()));
        link.receive(&Command::Leds(0x20).frame(), at(100));
        // What is so already is not said again, but for the watchdog.
        link.switch_relays(0b0001, true);
        link.sound(true);
        assert_eq!(link.poll(at(110)), None);
        for millis in [200, 30_200] {
            link.kick();
            assert_eq!(link.poll(at(millis)), Some(Command::Kick.frame()));
            link.receive(&Command::Kick.frame(), at(millis + 30));
        }
    }

    #[test]
    fn a_command_is_said_again_until_it_is_echoed() {
        let mut link = settled();
        link.switch_relays(0b1000, true);
        let relays = Command::Relays(8).frame();
        let mut said = Vec::new();
        for millis in 0..700 {
            link.receive(if millis % 500 == 0 { &[0x0A, 5, 0xFF, 0xFF, 0x0D] } else { &[] }, at(millis));
            said.extend(link.poll(at(millis)).map(|frame| (millis, frame)));
        }
        assert_eq!(said, [0, 150, 300, 450].map(|millis| (millis, relays)));
        assert_eq!(link.trouble(at(700)), Some("does not answer for its relays"));
        assert_eq!(link.next_at(), Some(at(1_600)));
        // It is tried again, and then all is well.
        assert_eq!(link.poll(at(1_600)), Some(relays));
        link.receive(&relays, at(1_630));
        assert_eq!((link.trouble(at(1_630)), link.relays()), (None, Some(8)));
    }

    #[test]
    fn an_echo_of_something_else_confirms_nothing() {
        let mut link = settled();
        link.switch_relays(1, true);
        assert!(link.poll(at(0)).is_some());
        link.receive(&Command::Relays(3).frame(), at(1));
        assert_eq!(link.relays(), Some(0));
        // Wanted otherwise while under way: the echo is of what is no longer wanted.
        link.switch_relays(1, false);
        link.receive(&Command::Relays(1).frame(), at(30));
        assert_eq!(link.poll(at(30)), Some(Command::Relays(0).frame()));
    }

    #[test]
    fn inputs_are_what_the_panel_said_last_unless_it_is_silent() {
        let mut link = settled();
        assert_eq!((link.inputs(), link.trouble(at(2_999))), (0, None));
        link.receive(&status(0b0101), at(500));
        assert_eq!(link.inputs(), 0b0101);
        assert_eq!(link.trouble(at(3_499)), None);
        assert_eq!(link.trouble(at(3_500)), Some("says nothing"));
        // Back after a silence it may have started anew: it is told everything, but the watchdog is not armed.
        link.receive(&status(0), at(9_000));
        assert_eq!(link.trouble(at(9_000)), None);
        for expected in OFF {
            assert_eq!(link.poll(at(9_000)), Some(expected.frame()));
            link.receive(&expected.frame(), at(9_000));
        }
        assert_eq!(link.poll(at(9_000)), None);
    }

    #[test]
    fn the_watchdog_goes_first() {
        let mut link = Link::new(at(0));
        link.kick();
        assert_eq!(link.poll(at(0)), Some(Command::Kick.frame()));
        link.receive(&Command::Kick.frame(), at(30));
        link.disarm();
        assert_eq!(link.poll(at(30)), Some(Command::Disarm.frame()));
        link.receive(&Command::Disarm.frame(), at(60));
        assert_eq!(link.poll(at(60)), Some(OFF[0].frame()));
    }
}
