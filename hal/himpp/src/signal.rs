//! What the analog decoders see: one thread that asks them, port by port.
//!
//! Decoders are opened by the caller (`hal-linux` has their drivers, which this crate does not use). One that cannot be
//! opened, or fails, is opened again after a while; its inputs say why meanwhile. A loss is what the chip says, twice in a row.
//!
//! Does not belong here: what follows from a loss (`channel.rs`).

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use board::Board;
use hal::{AnalogFormat, AnalogMode, Clock, FrontEnd, HalError, MonoTime, WallTime};

/// As `hal::FrontEnd` says.
const POLL_EVERY: Duration = Duration::from_millis(200);
const REOPEN_AFTER: Duration = Duration::from_secs(5);
/// Transfers fail now and then; so many in a row are a failure.
const MAX_FAILURES: u8 = 3;
/// A picture is lost when it was missing so often in a row.
const LOSS_POLLS: u8 = 2;

/// Opens a board's decoder.
pub type OpenFrontEnd = Box<dyn FnMut(&board::FrontEnd) -> Result<Box<dyn FrontEnd>, HalError> + Send>;

/// What is known of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// Nothing yet.
    Unknown,
    /// There is no decoder to ask: a picture is assumed.
    Assumed,
    /// A picture of that format.
    Locked(AnalogFormat),
    /// No picture.
    Lost { since: WallTime },
    /// The decoder does not answer.
    Failed { reason: String },
}

/// The thread; dropping it ends it.
pub(crate) struct Watch {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Whatever changes is told to `tell`, with the input's name. A board without decoders gets no thread.
    pub(crate) fn start(
        board: &Board,
        open: OpenFrontEnd,
        clock: Arc<dyn Clock>,
        tell: impl Fn(&str, Sight) + Send + 'static,
    ) -> std::io::Result<Self> {
        let stop: Arc<(Mutex<bool>, Condvar)> = Arc::default();
        let decoders: Vec<Decoder> =
            board.front_ends.iter().map(|front_end| Decoder::new(board, front_end)).collect();
        let mut rounds = Rounds { decoders, open, clock };
        if rounds.decoders.iter().all(|decoder| decoder.ports.is_empty()) {
            return Ok(Self { stop, thread: None });
        }
        let stopping = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("front-ends".to_owned()).spawn(move || {
            loop {
                rounds.go(&tell);
                let stop = lock(&stopping.0);
                let waited = stopping.1.wait_timeout_while(stop, POLL_EVERY, |stop| !*stop);
                if *waited.unwrap_or_else(PoisonError::into_inner).0 {
                    return;
                }
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        *lock(&self.stop.0) = true;
        self.stop.1.notify_all();
        if let Some(thread) = self.thread.take() {
            // A driver that panicked has said so itself.
            let _ = thread.join();
        }
    }
}

/// What an input begins with.
pub(crate) fn first_sight(board: &Board, input: &str) -> Sight {
    let found = board.inputs.iter().find(|found| found.name == input);
    match found.and_then(|found| found.front_end.as_ref().zip(found.port)) {
        Some(_) => Sight::Unknown,
        None => Sight::Assumed,
    }
}

struct Rounds {
    decoders: Vec<Decoder>,
    open: OpenFrontEnd,
    clock: Arc<dyn Clock>,
}

struct Decoder {
    description: board::FrontEnd,
    ports: Vec<Port>,
    driver: Option<Box<dyn FrontEnd>>,
    open_at: MonoTime,
    failures: u8,
}

struct Port {
    number: u8,
    input: String,
    told: Sight,
    missing: u8,
}

impl Decoder {
    fn new(board: &Board, description: &board::FrontEnd) -> Self {
        let ports = board.inputs.iter().filter(|input| input.front_end.as_ref() == Some(&description.name));
        let ports = ports.filter_map(|input| {
            Some(Port { number: input.port?, input: input.name.clone(), told: Sight::Unknown, missing: 0 })
        });
        Self {
            description: description.clone(),
            ports: ports.collect(),
            driver: None,
            open_at: MonoTime::default(),
            failures: 0,
        }
    }

    /// Asks every port once.
    fn look(&mut self, wall: WallTime, tell: &impl Fn(&str, Sight)) -> Result<(), HalError> {
        let Some(driver) = &mut self.driver else { return Ok(()) };
        for port in &mut self.ports {
            match driver.locked(port.number)? {
                Some(format) => {
                    port.missing = 0;
                    port.tell(Sight::Locked(format), tell);
                }
                None => {
                    port.missing = port.missing.saturating_add(1);
                    if port.missing >= LOSS_POLLS && !matches!(port.told, Sight::Lost { .. }) {
                        port.tell(Sight::Lost { since: wall }, tell);
                    }
                }
            }
        }
        self.failures = 0;
        Ok(())
    }

    fn fail(&mut self, error: &HalError, now: MonoTime, tell: &impl Fn(&str, Sight)) {
        tracing::error!(front_end = self.description.name, %error, "the decoder does not answer");
        self.driver = None;
        self.failures = 0;
        self.open_at = now + REOPEN_AFTER;
        for port in &mut self.ports {
            port.tell(Sight::Failed { reason: error.to_string() }, tell);
        }
    }
}

impl Port {
    fn tell(&mut self, sight: Sight, tell: &impl Fn(&str, Sight)) {
        if self.told != sight {
            self.told = sight.clone();
            tell(&self.input, sight);
        }
    }
}

impl Rounds {
    fn go(&mut self, tell: &impl Fn(&str, Sight)) {
        for decoder in self.decoders.iter_mut().filter(|decoder| !decoder.ports.is_empty()) {
            let now = self.clock.mono();
            if decoder.driver.is_none() {
                if now < decoder.open_at {
                    continue;
                }
                match (self.open)(&decoder.description).and_then(|driver| prepared(driver, &decoder.ports)) {
                    Ok(driver) => decoder.driver = Some(driver),
                    Err(error) => {
                        decoder.fail(&error, now, tell);
                        continue;
                    }
                }
            }
            if let Err(error) = decoder.look(self.clock.wall(), tell) {
                decoder.failures += 1;
                if decoder.failures >= MAX_FAILURES {
                    decoder.fail(&error, now, tell);
                }
            }
        }
    }
}

/// Every port follows whatever camera is there.
fn prepared(mut driver: Box<dyn FrontEnd>, ports: &[Port]) -> Result<Box<dyn FrontEnd>, HalError> {
    for port in ports {
        match driver.set_mode(port.number, AnalogMode::Auto) {
            // What start-up code left is better than nothing.
            Err(error) if error.kind() == hal::ErrorKind::Unsupported => {
                tracing::debug!(input = port.input, %error, "the decoder's port stays as it is");
            }
            other => other?,
        }
    }
    tracing::info!(chip = driver.chip(), "analog decoder");
    Ok(driver)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use hal::{AnalogStandard, ErrorKind};
    use hal_sim::SimClock;

    use super::*;

    type Answers = Arc<Mutex<Result<Option<AnalogFormat>, HalError>>>;

    struct Fake(Answers);

    impl FrontEnd for Fake {
        fn chip(&self) -> String {
            "fake".to_owned()
        }

        fn ports(&self) -> u8 {
            4
        }

        fn locked(&mut self, _port: u8) -> Result<Option<AnalogFormat>, HalError> {
            lock(&self.0).clone()
        }

        fn set_mode(&mut self, _port: u8, _mode: AnalogMode) -> Result<(), HalError> {
            Ok(())
        }
    }

    fn rounds(answers: &Answers, openable: &Arc<Mutex<bool>>) -> (Rounds, Arc<SimClock>) {
        let board = Board::builtin("virt-mpp").unwrap();
        let clock = Arc::new(SimClock::new(WallTime::from_unix_micros(1_000)));
        let (answers, openable) = (Arc::clone(answers), Arc::clone(openable));
        let open: OpenFrontEnd = Box::new(move |front_end| {
            if *lock(&openable) && front_end.name == "decoder0" {
                return Ok(Box::new(Fake(Arc::clone(&answers))));
            }
            Err(HalError::new(ErrorKind::NotFound, format!("no chip at {:#04x?}", front_end.addresses)))
        });
        let decoders = board.front_ends.iter().map(|f| Decoder::new(&board, f)).collect();
        (Rounds { decoders, open, clock: Arc::clone(&clock) as Arc<dyn Clock> }, clock)
    }

    fn go(rounds: &mut Rounds) -> Vec<(String, Sight)> {
        let told = Mutex::new(Vec::new());
        rounds.go(&|input: &str, sight| lock(&told).push((input.to_owned(), sight)));
        let of_the_first_two = |(input, _): &(String, Sight)| ["video0", "video4"].contains(&input.as_str());
        told.into_inner().unwrap().into_iter().filter(of_the_first_two).collect()
    }

    fn hd() -> AnalogFormat {
        AnalogFormat {
            standard: AnalogStandard::Ahd,
            resolution: hal::Resolution { width: 1280, height: 720 },
            frame_rate: hal::FrameRate { numerator: 25, denominator: 1 },
            interlaced: false,
        }
    }

    #[test]
    fn lock_and_loss_are_told_once_and_a_loss_must_last() {
        let answers: Answers = Arc::new(Mutex::new(Ok(Some(hd()))));
        let (mut rounds, clock) = rounds(&answers, &Arc::new(Mutex::new(true)));
        let first = go(&mut rounds);
        assert_eq!(first[0], ("video0".to_owned(), Sight::Locked(hd())));
        assert!(
            matches!(&first[1], (input, Sight::Failed { reason }) if input == "video4" && reason.contains("0x64"))
        );
        assert!(go(&mut rounds).is_empty());
        *lock(&answers) = Ok(None);
        assert!(go(&mut rounds).is_empty(), "once is nothing");
        clock.advance(POLL_EVERY);
        let since = WallTime::from_unix_micros(201_000);
        assert_eq!(go(&mut rounds), [("video0".to_owned(), Sight::Lost { since })]);
        assert!(go(&mut rounds).is_empty());
        *lock(&answers) = Ok(Some(hd()));
        assert_eq!(go(&mut rounds), [("video0".to_owned(), Sight::Locked(hd()))]);
    }

    #[test]
    fn a_decoder_that_cannot_be_opened_is_opened_again_after_a_while() {
        let answers: Answers = Arc::new(Mutex::new(Ok(Some(hd()))));
        let openable = Arc::new(Mutex::new(false));
        let (mut rounds, clock) = rounds(&answers, &openable);
        assert_eq!(go(&mut rounds).len(), 2, "both failed");
        *lock(&openable) = true;
        clock.advance(REOPEN_AFTER - POLL_EVERY);
        assert!(go(&mut rounds).is_empty());
        clock.advance(POLL_EVERY);
        assert_eq!(go(&mut rounds), [("video0".to_owned(), Sight::Locked(hd()))]);
    }

    #[test]
    fn one_failed_transfer_is_none_and_three_are() {
        let answers: Answers = Arc::new(Mutex::new(Ok(Some(hd()))));
        let (mut rounds, _clock) = rounds(&answers, &Arc::new(Mutex::new(true)));
        go(&mut rounds);
        *lock(&answers) = Err(HalError::new(ErrorKind::Device, "the bus failed"));
        assert!(go(&mut rounds).is_empty() && go(&mut rounds).is_empty());
        let failed = Sight::Failed { reason: "the bus failed".to_owned() };
        assert_eq!(go(&mut rounds), [("video0".to_owned(), failed)]);
    }

    #[test]
    fn an_input_without_a_decoder_has_a_picture() {
        let board = Board::builtin("virt-a7").unwrap();
        assert_eq!(first_sight(&board, "sim0"), Sight::Assumed);
        assert_eq!(first_sight(&Board::builtin("virt-mpp").unwrap(), "video0"), Sight::Unknown);
    }
}
