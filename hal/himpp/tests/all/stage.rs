//! A host that does what a test wants, a sink, and a clock for both.
//!
//! The host runs on threads of this process, but speaks over the real socket and writes to the real ring. Time passes only in
//! [`Stage::until`], step by step; before each step healthy hosts beat, and bring a picture of each open stream, and after it
//! the client's thread has had its turn.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use board::Board;
use hal::{
    AccessUnit, AnalogFormat, AnalogMode, AnalogStandard, Backend, BitsPerSecond, ChannelConfig, ChannelId,
    Clock, ErrorKind, FrameRate, FrontEnd, HalError, Overlay, Resolution, Signal, StreamConfig, StreamFormat,
    StreamId, StreamKind, UnitSink, VideoCodec, WallTime,
};
use hal_himpp::{HimppBackend, HostProcess, OpenFrontEnd, Options, Spawn};
use hal_sim::SimClock;
use mpp_wire::{
    Answer, Begin, ChannelPlan, Confinement, Fault, FromHost, Order, PackHead, PackKind, PackWriter, Ready,
    StreamTag, ToHost, receive, send,
};

/// A step of time.
const STEP: Duration = Duration::from_millis(100);
/// How long a step waits for something to happen, and how long where a host's thread has something to do.
const BREATH: Duration = Duration::from_millis(2);
const DEEP_BREATH: Duration = Duration::from_millis(40);
/// A test that takes longer than this of its own time has failed.
const PATIENCE: Duration = Duration::from_secs(3_000);

pub(crate) const KEYFRAME: &[u8] = &[0, 0, 0, 1, 0x67, 1, 0, 0, 0, 1, 0x65, 2];
pub(crate) const PICTURE: &[u8] = &[0, 0, 0, 1, 0x41, 3];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) stream: StreamId,
    pub(crate) pts: i64,
    pub(crate) wall: WallTime,
    pub(crate) keyframe: bool,
    pub(crate) discontinuity: bool,
    pub(crate) bytes: usize,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) lives: Vec<Life>,
    pub(crate) formats: Vec<(StreamId, StreamFormat)>,
    pub(crate) units: Vec<Unit>,
    pub(crate) signals: Vec<(ChannelId, Signal)>,
    pub(crate) snapshots: Vec<Vec<u8>>,
    /// What a new host answers to `Begin`; `Ready` where nothing is said.
    pub(crate) refuse: Option<Fault>,
    /// New hosts say nothing at all.
    pub(crate) mute: bool,
    /// What is answered to an order to open a channel.
    pub(crate) refuse_open: Option<Fault>,
    /// Nothing comes of itself.
    pub(crate) still: bool,
    /// What the decoders see at a port of each.
    pub(crate) locked: BTreeMap<u8, AnalogFormat>,
    pub(crate) decoders_missing: bool,
}

/// One life of the host.
pub(crate) struct Life {
    pub(crate) begin: Option<Begin>,
    pub(crate) orders: Vec<Order>,
    pub(crate) open: BTreeMap<u16, ChannelPlan>,
    pub(crate) stopped: bool,
    pub(crate) killed: bool,
    pub(crate) hung: bool,
    socket: UnixStream,
    writer: Option<PackWriter>,
    sequences: BTreeMap<(u16, StreamTag), u32>,
    platform_micros: u64,
}

#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) clock: Arc<SimClock>,
    state: Arc<(Mutex<State>, Condvar)>,
    run_dir: Arc<tempfile::TempDir>,
    /// Asks the client for something that it answers at once.
    poke: Arc<Mutex<Option<Box<dyn Overlay>>>>,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self {
            clock: Arc::new(SimClock::new(WallTime::from_unix_micros(1_700_000_000_000_000))),
            state: Arc::default(),
            run_dir: Arc::new(tempfile::tempdir().unwrap()),
            poke: Arc::default(),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // A test that failed leaves it to threads that go on.
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A backend on a board without decoders.
    pub(crate) fn backend(&self) -> HimppBackend {
        let mut board = Board::builtin("virt-mpp").unwrap();
        board.inputs.iter_mut().for_each(|input| input.front_end = None);
        self.backend_on(board)
    }

    pub(crate) fn backend_on(&self, board: Board) -> HimppBackend {
        let stage = self.clone();
        let open_front_end: OpenFrontEnd = Box::new(move |front_end| {
            if stage.state().decoders_missing {
                let message = format!("no chip at {:#04x?}", front_end.addresses);
                return Err(HalError::new(ErrorKind::NotFound, message));
            }
            Ok(Box::new(Decoder(stage.clone())))
        });
        let options = Options {
            board,
            run_dir: self.run_dir.path().to_owned(),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            open_front_end,
        };
        let mut backend = HimppBackend::start_with(options, Box::new(self.clone())).unwrap();
        *self.poke.lock().unwrap() = backend.overlay();
        backend
    }

    pub(crate) fn sink(&self) -> Arc<dyn UnitSink> {
        Arc::new(self.clone())
    }

    /// Returns once the client's thread has had a whole turn.
    pub(crate) fn settle(&self) {
        if let Some(overlay) = &mut *self.poke.lock().unwrap() {
            // Answered before a turn each, so the turn between them is over.
            let nobody = channel(hal::MAX_CHANNELS);
            let _ = overlay.set_clock(nobody, true);
            let _ = overlay.set_clock(nobody, true);
        }
    }

    /// Lets time pass until `what` has happened.
    pub(crate) fn until<T>(&self, what: &str, happened: impl Fn(&State) -> Option<T>) -> T {
        let steps = PATIENCE.as_millis() / STEP.as_millis();
        for _ in 0..steps {
            let mut state = self.state();
            if let Some(result) = happened(&state) {
                return result;
            }
            state.lives.iter_mut().filter(|life| !life.hung).for_each(Life::beat);
            if !state.still {
                state.lives.iter_mut().for_each(Life::bring_pictures);
            }
            self.clock.advance(STEP);
            drop(state);
            self.settle();
            let state = self.state();
            let breath = if state.is_busy() { DEEP_BREATH } else { BREATH };
            drop(self.state.1.wait_timeout_while(state, breath, |state| happened(state).is_none()));
        }
        panic!("in {PATIENCE:?} it never happened: {what}; signals {:?}", self.state().signals);
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, span: Duration) {
        let end = self.clock.mono() + span;
        self.until("time", |_| (self.clock.mono() >= end).then_some(()));
    }

    /// Waits without letting time pass.
    pub(crate) fn now<T>(&self, what: &str, happened: impl Fn(&State) -> Option<T>) -> T {
        let mut state = self.state();
        for _ in 0..10_000 {
            if let Some(result) = happened(&state) {
                return result;
            }
            state = self.state.1.wait_timeout(state, BREATH).unwrap_or_else(PoisonError::into_inner).0;
        }
        panic!("it never happened: {what}");
    }

    /// Changes the present life.
    pub(crate) fn life<T>(&self, change: impl FnOnce(&mut Life) -> T) -> T {
        let mut state = self.state();
        change(state.lives.last_mut().expect("a host was started"))
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state());
        self.state.1.notify_all();
        result
    }

    /// What a host's thread does.
    fn serve(&self, mut socket: UnixStream, number: usize) {
        while let Ok(Some(message)) = receive::<ToHost>(&mut socket) {
            match message {
                ToHost::Begin(begin) => self.change(|state| {
                    let ring = File::options().read(true).write(true).open(&begin.ring).unwrap();
                    let (refuse, mute) = (state.refuse.clone(), state.mute);
                    let life = &mut state.lives[number];
                    life.writer = Some(PackWriter::open(&ring).unwrap());
                    life.begin = Some(*begin);
                    match refuse {
                        _ if mute => {}
                        Some(fault) => life.say(&FromHost::Refused(fault)),
                        None => life.say(&FromHost::Ready(Box::new(ready()))),
                    }
                }),
                ToHost::Order(id, order) => self.change(|state| {
                    let answer = state.answer(number, &order);
                    state.lives[number].orders.push(order);
                    state.lives[number].say(&FromHost::Answer(id, answer));
                }),
                ToHost::Stop => self.change(|state| {
                    state.lives[number].stopped = true;
                    state.lives[number].end();
                }),
            }
        }
    }
}

fn ready() -> Ready {
    Ready {
        library: "Hi3520D_MPP_V2.0.5.1".to_owned(),
        generation: "G1".to_owned(),
        confinement: Confinement::default(),
        motion: true,
        h265: false,
    }
}

impl State {
    fn answer(&mut self, number: usize, order: &Order) -> Answer {
        match order {
            Order::Open(plan) => {
                if let Some(fault) = &self.refuse_open {
                    return Err(fault.clone());
                }
                let life = &mut self.lives[number];
                life.sequences.retain(|(channel, _), _| *channel != plan.channel);
                life.open.insert(plan.channel, plan.clone());
            }
            Order::Close { channel } => drop(self.lives[number].open.remove(channel)),
            _ => {}
        }
        Ok(())
    }

    /// A host has just been started, and a channel will be opened at it.
    fn is_busy(&self) -> bool {
        let new = |life: &Life| !life.killed && !life.stopped && life.open.is_empty();
        !self.mute
            && self.refuse.is_none()
            && self.refuse_open.is_none()
            && self.lives.last().is_some_and(new)
    }

    pub(crate) fn opened(&self) -> usize {
        self.lives.last().map_or(0, |life| life.open.len())
    }

    pub(crate) fn orders(&self) -> &[Order] {
        self.lives.last().map_or(&[], |life| &life.orders)
    }

    pub(crate) fn last_signal(&self) -> Option<&Signal> {
        self.signals.last().map(|(_, signal)| signal)
    }

    pub(crate) fn is_failed(&self, words: &str) -> Option<()> {
        matches!(self.last_signal(), Some(Signal::Failed { reason }) if reason.contains(words)).then_some(())
    }

    pub(crate) fn is_present(&self) -> Option<()> {
        (self.last_signal() == Some(&Signal::Present)).then_some(())
    }
}

impl Life {
    pub(crate) fn say(&mut self, message: &FromHost) {
        let _ = send(&mut self.socket, message);
    }

    /// Something that is no message.
    pub(crate) fn babble(&mut self) {
        use io::Write;
        let _ = self.socket.write_all(&[0xFF; 16]);
    }

    /// Ends by itself.
    pub(crate) fn end(&mut self) {
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
    }

    fn beat(&mut self) {
        if let Some(writer) = &self.writer {
            writer.beat();
        }
    }

    /// Puts a pack into the ring; false when there is no room.
    pub(crate) fn put(&mut self, head: &PackHead, data: &[u8]) -> bool {
        let Some(writer) = &mut self.writer else { return false };
        let put = writer.put(head, data);
        if writer.take_wish() {
            self.say(&FromHost::Packs);
        }
        put
    }

    /// The head of a stream's next picture, 40 ms after the one before.
    pub(crate) fn head(&mut self, channel: u16, stream: StreamTag, keyframe: bool) -> PackHead {
        let sequence = self.sequences.entry((channel, stream)).or_insert(0);
        let head = PackHead {
            kind: PackKind::Video(stream),
            channel,
            keyframe,
            sequence: *sequence,
            pts_micros: self.platform_micros,
            age_micros: 0,
        };
        *sequence += 1;
        self.platform_micros += 1;
        head
    }

    pub(crate) fn picture(&mut self, channel: u16, stream: StreamTag, keyframe: bool) {
        let head = self.head(channel, stream, keyframe);
        self.put(&head, if keyframe { KEYFRAME } else { PICTURE });
    }

    /// A keyframe of each stream, as far as the present step of time.
    fn bring_pictures(&mut self) {
        self.platform_micros += STEP.as_micros() as u64;
        let streams: Vec<(u16, StreamTag)> = self
            .open
            .iter()
            .flat_map(|(channel, plan)| plan.streams.iter().map(|stream| (*channel, stream.stream)))
            .collect();
        for (channel, stream) in streams {
            self.picture(channel, stream, true);
        }
    }

    pub(crate) fn jump(&mut self, micros: i64) {
        self.platform_micros = self.platform_micros.saturating_add_signed(micros);
    }
}

struct Process {
    stage: Stage,
    number: usize,
}

impl HostProcess for Process {
    fn id(&self) -> u32 {
        self.number as u32
    }

    fn kill(&mut self) {
        self.stage.change(|state| {
            let life = &mut state.lives[self.number];
            life.killed = true;
            life.end();
        });
    }

    fn ended(&mut self) -> Option<String> {
        self.stage.state().lives[self.number].killed.then(|| "it was ended by signal 9".to_owned())
    }
}

impl Spawn for Stage {
    fn spawn(&mut self) -> io::Result<(UnixStream, Box<dyn HostProcess>)> {
        let (ours, theirs) = UnixStream::pair()?;
        let (reading, stage) = (theirs.try_clone()?, self.clone());
        let number = self.change(|state| {
            state.lives.push(Life {
                begin: None,
                orders: Vec::new(),
                open: BTreeMap::new(),
                stopped: false,
                killed: false,
                hung: false,
                socket: theirs,
                writer: None,
                sequences: BTreeMap::new(),
                platform_micros: 5_000_000,
            });
            state.lives.len() - 1
        });
        std::thread::spawn(move || stage.serve(reading, number));
        Ok((ours, Box::new(Process { stage: self.clone(), number })))
    }
}

impl UnitSink for Stage {
    fn format(&self, stream: StreamId, format: StreamFormat) {
        self.change(|state| state.formats.push((stream, format)));
    }

    fn unit(&self, unit: &AccessUnit<'_>) {
        let AccessUnit { stream, pts, wall, keyframe, discontinuity, data } = *unit;
        let unit = Unit { stream, pts: pts.0, wall, keyframe, discontinuity, bytes: data.len() };
        self.change(|state| state.units.push(unit));
    }

    fn signal(&self, channel: ChannelId, signal: Signal) {
        self.change(|state| state.signals.push((channel, signal)));
    }

    fn snapshot(&self, _channel: ChannelId, jpeg: &[u8]) {
        self.change(|state| state.snapshots.push(jpeg.to_vec()));
    }
}

struct Decoder(Stage);

impl FrontEnd for Decoder {
    fn chip(&self) -> String {
        "a test's".to_owned()
    }

    fn ports(&self) -> u8 {
        4
    }

    fn locked(&mut self, port: u8) -> Result<Option<AnalogFormat>, HalError> {
        Ok(self.0.state().locked.get(&port).copied())
    }

    fn set_mode(&mut self, _port: u8, _mode: AnalogMode) -> Result<(), HalError> {
        Ok(())
    }
}

pub(crate) fn ahd(height: u16) -> AnalogFormat {
    AnalogFormat {
        standard: AnalogStandard::Ahd,
        resolution: Resolution { width: if height == 1080 { 1920 } else { 1280 }, height },
        frame_rate: FrameRate { numerator: 25, denominator: 1 },
        interlaced: false,
    }
}

pub(crate) fn channel(number: u16) -> ChannelId {
    ChannelId::new(number).unwrap()
}

/// Channel `number` on the board's input before it: 720p and a small stream.
pub(crate) fn config(number: u16) -> ChannelConfig {
    let stream = |kind, width, height, bit_rate| StreamConfig {
        kind,
        codec: VideoCodec::H264,
        resolution: Resolution { width, height },
        frame_rate: FrameRate { numerator: 15, denominator: 1 },
        bit_rate: BitsPerSecond(bit_rate),
        gop_frames: 30,
    };
    ChannelConfig {
        channel: channel(number),
        input: format!("video{}", number - 1),
        title: "Door".to_owned(),
        clock: true,
        audio: true,
        streams: vec![
            stream(StreamKind::Main, 1280, 720, 2_000_000),
            stream(StreamKind::Sub, 320, 180, 250_000),
        ],
    }
}
