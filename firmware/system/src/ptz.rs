//! PTZ: in which words a camera on an RS-485 line is told to move.
//!
//! Does not belong here: how they are written down (`ptz_protocol.rs`), and when they are sent (`ptz_line.rs`).

/// Which camera on the line, as its switches say: 1 to 255 (Pelco-P where the first is 0: 1 to 32).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PtzAddress(u8);

/// A speed: from -100 (left, down) to 100 (right, up) in percent of the camera's fastest, 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PtzSpeed(i8);

/// A stored position: 1 to 255. Cameras have special meanings for some from 33 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset(u8);

/// What a camera shall do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PtzCommand {
    /// Move, until it is told otherwise.
    Move(PtzMove),
    /// Stop whatever moves.
    Stop,
    /// Store the present position.
    SetPreset(Preset),
    /// Forget a stored position.
    ClearPreset(Preset),
    /// Go to a stored position.
    CallPreset(Preset),
}

/// All movements at once; the default is none, which is [`PtzCommand::Stop`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PtzMove {
    /// Left and right.
    pub pan: PtzSpeed,
    /// Down and up.
    pub tilt: PtzSpeed,
    /// Zoom.
    pub zoom: Option<Zoom>,
    /// Focus.
    pub focus: Option<Focus>,
    /// Iris.
    pub iris: Option<Iris>,
}

/// Which way the zoom moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zoom {
    /// Closer.
    Tele,
    /// Further away.
    Wide,
}

/// Which way the focus moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Focus {
    /// To what is near.
    Near,
    /// To what is far.
    Far,
}

/// Which way the iris moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Iris {
    /// More light.
    Open,
    /// Less light.
    Close,
}

impl PtzAddress {
    /// `None` for 0, which is nobody's.
    #[must_use]
    pub fn new(number: u8) -> Option<Self> {
        (number > 0).then_some(Self(number))
    }

    /// 1 to 255.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }
}

impl PtzSpeed {
    /// Beyond 100 either way it is 100.
    #[must_use]
    pub fn percent(percent: i8) -> Self {
        Self(percent.clamp(-100, 100))
    }

    /// The way: -1, 0 or 1.
    #[must_use]
    pub fn way(self) -> i8 {
        self.0.signum()
    }

    /// The speed as a protocol's number, from 1 for the slowest to `fastest`; 0 for none.
    #[must_use]
    pub fn step(self, fastest: u8) -> u8 {
        let scaled = u16::from(self.0.unsigned_abs()) * u16::from(fastest);
        u8::try_from(scaled.div_ceil(100)).unwrap_or(fastest)
    }
}

impl Preset {
    /// `None` for 0.
    #[must_use]
    pub fn new(number: u8) -> Option<Self> {
        (number > 0).then_some(Self(number))
    }

    /// 1 to 255.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }
}

/// Any command, for the protocols' tests.
#[cfg(test)]
pub(crate) mod strategy {
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn command() -> impl Strategy<Value = PtzCommand> {
        let preset = || (1..=u8::MAX).prop_map(Preset);
        prop_oneof![
            movement().prop_map(|movement| match movement {
                none if none == PtzMove::default() => PtzCommand::Stop,
                some => PtzCommand::Move(some),
            }),
            Just(PtzCommand::Stop),
            preset().prop_map(PtzCommand::SetPreset),
            preset().prop_map(PtzCommand::ClearPreset),
            preset().prop_map(PtzCommand::CallPreset),
        ]
    }

    pub(crate) fn movement() -> impl Strategy<Value = PtzMove> {
        let speed = || (-100i8..=100).prop_map(PtzSpeed::percent);
        (
            speed(),
            speed(),
            option::of(prop_oneof![Just(Zoom::Tele), Just(Zoom::Wide)]),
            option::of(prop_oneof![Just(Focus::Near), Just(Focus::Far)]),
            option::of(prop_oneof![Just(Iris::Open), Just(Iris::Close)]),
        )
            .prop_map(|(pan, tilt, zoom, focus, iris)| PtzMove { pan, tilt, zoom, focus, iris })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_scaled_and_the_slowest_is_not_a_stop() {
        let steps = [0, 1, 2, 50, 99, 100].map(|percent| PtzSpeed::percent(percent).step(0x3F));
        assert_eq!(steps, [0, 1, 2, 0x20, 0x3F, 0x3F]);
        assert_eq!(PtzSpeed::percent(-128).step(0x3F), 0x3F);
        assert_eq!([-7, 0, 7].map(|percent| PtzSpeed::percent(percent).way()), [-1, 0, 1]);
    }
}
