//! The supervisor: one thread that keeps a host and its channels alive.
//!
//! A host that ends, hangs, refuses or damages the ring is ended by force; its channels say so, and another one is started
//! after a pause that doubles. The channels are opened there as they were, and the recorder goes on. What reaches this thread
//! comes through one queue; what the host encodes comes through the ring, which is emptied at each turn.
//!
//! Does not belong here: what a channel wants (`channel.rs`), and what one life of the host is (`link.rs`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use board::Board;
use hal::{Clock, HalError, MonoTime, WallTime};
use mpp_wire::{Answer, DisplayPlan, FromHost, Order, Ready, SystemPlan};

use crate::budget::Budget;
use crate::channel::{Channel, Phase, Remedy};
use crate::command::{Command, Event, Reply};
use crate::error::from_fault;
use crate::host::Spawn;
use crate::link::{Link, Said, Start};
use crate::plan::{self, Platform};
use crate::shared::Shared;
use crate::signal::Sight;

/// The longest wait: the ring is emptied and the heartbeat looked at so often.
const TURN: Duration = Duration::from_millis(250);
/// Channels are opened one after the other, and cameras lock at different times: their buffers are asked for together.
const SETTLE: Duration = Duration::from_millis(500);
/// Loading the vendor's library takes seconds from a slow flash.
const READY_PATIENCE: Duration = Duration::from_secs(10);
/// How long a host may take to end in order, and one that was killed to be gone.
const END_PATIENCE: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A host that lived so long was a good one: the next pause is the first again.
const GOOD_LIFE: Duration = Duration::from_secs(60);
/// The others' recordings are not interrupted more often for one channel that stands still.
const RESTART_FOR_STALL_EVERY: Duration = Duration::from_secs(600);
/// With more unanswered orders a host is behind.
const MAX_BEHIND: usize = 4;
/// What comes meanwhile is passed over, so many times at most.
const END_POLLS: u32 = 100;

/// What waits for an answer.
pub(crate) enum Pending {
    Open(u16),
    /// A failure is written to the log as that of `what`.
    Logged(&'static str, u16),
    Replied(u16, Reply<()>),
    /// The covers before, in case the new ones are refused.
    Covers(u16, Vec<hal::Area>, Reply<()>),
}

/// How the host is.
enum Life {
    /// Nothing needs one.
    Idle,
    /// One is started then.
    Waiting(MonoTime),
    /// Started; not ready until then.
    Starting(Link<Pending>, MonoTime),
    /// Ready, since then.
    Running(Link<Pending>, MonoTime),
    /// Told to end; killed then.
    Ending(Link<Pending>, MonoTime),
}

/// What the thread is made of.
pub(crate) struct Parts {
    pub(crate) board: Board,
    pub(crate) run_dir: PathBuf,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) spawn: Box<dyn Spawn>,
    pub(crate) events: SyncSender<Event>,
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Supervisor {
    pub(crate) board: Board,
    run_dir: PathBuf,
    clock: Arc<dyn Clock>,
    spawn: Box<dyn Spawn>,
    events: SyncSender<Event>,
    pub(crate) shared: Arc<Shared>,
    life: Life,
    lives: u64,
    /// One that was killed and may not be gone yet.
    dying: Option<(Link<Pending>, MonoTime)>,
    pause: Duration,
    /// What is wrong with the host, for people.
    fault: Option<String>,
    pub(crate) platform: Option<Platform>,
    pub(crate) channels: BTreeMap<u16, Channel>,
    /// What decoders were last seen to see.
    pub(crate) sights: BTreeMap<String, Sight>,
    display: Option<DisplayPlan>,
    /// What this life of the host lost in the ring so far.
    pub(crate) lost: u32,
    /// The host is to be started again for other buffers then.
    regrow_at: Option<MonoTime>,
    restarted_for_stall: Option<MonoTime>,
    /// The channel whose title and clock were ordered last.
    drawn_last: u16,
}

impl Supervisor {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { board, run_dir, clock, spawn, events, shared } = parts;
        Self {
            board,
            run_dir,
            clock,
            spawn,
            events,
            shared,
            life: Life::Idle,
            lives: 0,
            dying: None,
            pause: FIRST_PAUSE,
            fault: None,
            platform: None,
            channels: BTreeMap::new(),
            sights: BTreeMap::new(),
            display: None,
            lost: 0,
            regrow_at: None,
            restarted_for_stall: None,
            drawn_last: 0,
        }
    }

    /// Runs until told to stop.
    pub(crate) fn run(mut self, inbox: &Receiver<Event>) {
        loop {
            match inbox.recv_timeout(self.wait()) {
                Ok(Event::Command(Command::Stop)) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(event) => self.handle(event),
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.turn();
        }
        self.end(inbox);
    }

    fn wait(&self) -> Duration {
        let now = self.clock.mono();
        let due = match &self.life {
            Life::Waiting(at) | Life::Starting(_, at) | Life::Ending(_, at) => at.since(now),
            Life::Idle | Life::Running(..) => TURN,
        };
        // To the next second, for the clock on the picture.
        let into_second = self.clock.wall().as_unix_micros().rem_euclid(1_000_000) as u64;
        due.min(Duration::from_micros(1_000_000 - into_second)).min(TURN)
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Host(life, said) if self.link().is_some_and(|link| link.life == life) => self.hear(said),
            Event::Host(..) => {}
            Event::Input(input, sight) => self.see(&input, sight),
            Event::Command(command) => self.follow(command),
        }
    }

    fn hear(&mut self, said: Said) {
        match said {
            Said::End(how) => {
                // The kernel's word is better, where it is there already.
                let how = self.link().and_then(|link| link.process.ended()).unwrap_or(how);
                self.lose_host(&format!("mpp-host is gone: {how}"));
            }
            Said::Message(FromHost::Ready(ready)) => self.ready(&ready),
            Said::Message(FromHost::Refused(fault)) => {
                self.lose_host(&format!("the media platform cannot be used: {fault}"));
            }
            Said::Message(FromHost::Answer(number, answer)) => self.answered(number, answer),
            // The ring is emptied at each turn.
            Said::Message(FromHost::Packs) => {}
            Said::Message(FromHost::Failed { channel, fault }) => {
                let now = self.clock.mono();
                self.shared.counters().failures += 1;
                tracing::error!(channel, %fault, "a channel failed");
                if let Some(remedy) = self.channels.get_mut(&channel).map(|failed| failed.trouble(now)) {
                    self.remedy(channel, remedy);
                }
            }
        }
    }

    fn ready(&mut self, ready: &Ready) {
        let now = self.clock.mono();
        match std::mem::replace(&mut self.life, Life::Idle) {
            Life::Starting(link, _) => self.life = Life::Running(link, now),
            other => {
                self.life = other;
                return;
            }
        }
        tracing::info!(
            library = ready.library,
            generation = ready.generation,
            confinement = %ready.confinement,
            "the media platform is ready"
        );
        self.platform = Some(Platform::of(ready));
        self.fault = None;
        for channel in self.channels.values_mut() {
            channel.close();
        }
        if let Some(display) = self.display.clone() {
            self.order(Order::Display(Some(display)), Pending::Logged("monitor", 0));
        }
    }

    fn answered(&mut self, number: u32, answer: Answer) {
        let Some(pending) = self.link().and_then(|link| link.answered(number)) else { return };
        let now = self.clock.mono();
        match pending {
            Pending::Open(number) => {
                let Some(channel) = self.channels.get_mut(&number) else { return };
                if let Err(fault) = &answer {
                    tracing::error!(channel = number, %fault, "the channel cannot be opened");
                }
                let orders = channel.opened(answer, now);
                self.order_all(number, orders);
            }
            Pending::Logged(what, channel) => {
                if let Err(fault) = answer {
                    tracing::warn!(channel, %fault, "{what} was refused");
                }
            }
            Pending::Replied(channel, reply) => {
                let _ = reply.send(answer.map_err(|fault| from_fault(&format!("channel {channel}"), &fault)));
            }
            Pending::Covers(number, before, reply) => {
                if answer.is_err()
                    && let Some(channel) = self.channels.get_mut(&number)
                {
                    channel.covers = before;
                    let _ = self.admit(number);
                }
                let _ = reply.send(answer.map_err(|fault| from_fault(&format!("channel {number}"), &fault)));
            }
        }
    }

    fn see(&mut self, input: &str, sight: Sight) {
        self.sights.insert(input.to_owned(), sight.clone());
        let now = self.clock.mono();
        let mut affected = self.channels.iter_mut().filter(|(_, channel)| channel.config.input == input);
        let Some((&number, channel)) = affected.next() else { return };
        let (orders, is_other_format) = channel.see(sight, now);
        if is_other_format && self.replan(number) {
            return;
        }
        self.order_all(number, orders);
    }

    /// Makes a new plan; where it is another one the channel is opened anew.
    pub(crate) fn replan(&mut self, number: u16) -> bool {
        let before = self.channels.get(&number).and_then(|channel| channel.plan.clone());
        let admitted = self.admit(number);
        let now = self.clock.mono();
        let Some(channel) = self.channels.get_mut(&number) else { return false };
        if let Err(error) = admitted {
            let fault = mpp_wire::Fault::new(mpp_wire::FaultKind::Unsupported, error.to_string());
            channel.refuse(&fault, now);
            self.order(Order::Close { channel: number }, Pending::Logged("closing", number));
            return true;
        }
        let is_running = matches!(channel.phase, Phase::Opening { .. } | Phase::Open);
        if is_running && before == channel.plan {
            return false;
        }
        channel.close();
        if is_running {
            self.order(Order::Close { channel: number }, Pending::Logged("closing", number));
        }
        true
    }

    /// Plans a channel and checks it against what there is beside it.
    pub(crate) fn admit(&mut self, number: u16) -> Result<(), HalError> {
        let Some(channel) = self.channels.get_mut(&number) else { return Ok(()) };
        channel.plan = None;
        let plan = plan::channel(
            channel.place,
            &channel.config,
            channel.format,
            &channel.covers,
            channel.motion,
            self.platform,
        )?;
        let others = || self.channels.values().filter_map(|channel| channel.plan.as_ref());
        let all = || others().chain([&plan]);
        plan::check_encoders(all().map(|plan| plan.streams.len()).sum(), self.platform)?;
        let monitor = self.board.media.as_ref().and_then(|media| media.display);
        Budget::of(all(), monitor).check(self.board.memory.as_ref())?;
        if let Some(channel) = self.channels.get_mut(&number) {
            channel.plan = Some(plan);
        }
        Ok(())
    }

    fn budget(&self) -> Budget {
        let monitor = self.board.media.as_ref().and_then(|media| media.display);
        Budget::of(self.channels.values().filter_map(|channel| channel.plan.as_ref()), monitor)
    }

    /// What is to be done without being told.
    fn turn(&mut self) {
        let now = self.clock.mono();
        self.turn_life(now);
        self.drain();
        if let Life::Running(link, since) = &mut self.life {
            if !link.is_alive(now) {
                self.lose_host("mpp-host gave no sign of life");
            } else if now.since(*since) >= GOOD_LIFE {
                self.pause = FIRST_PAUSE;
            }
        }
        self.turn_channels(now);
        let fault = self.fault.as_deref();
        self.channels.values_mut().for_each(|channel| channel.report(fault));
    }

    fn turn_life(&mut self, now: MonoTime) {
        let is_wanted = self.display.is_some() || self.channels.values().any(Channel::is_seen);
        match std::mem::replace(&mut self.life, Life::Idle) {
            Life::Idle if is_wanted => self.life = Life::Waiting(now + SETTLE),
            Life::Waiting(at) if now >= at => self.start(now),
            Life::Starting(link, deadline) if now >= deadline => {
                self.life = Life::Starting(link, deadline);
                self.lose_host("mpp-host was not ready in time");
            }
            Life::Ending(link, deadline) if now >= deadline => {
                self.bury(link, now);
                self.life = Life::Waiting(now);
            }
            Life::Running(mut link, since) if self.regrow_at.is_some_and(|at| now >= at) => {
                self.regrow_at = None;
                if self.budget().is_within(&link.budget) {
                    self.life = Life::Running(link, since);
                } else {
                    tracing::info!("the media platform is set up anew for other video buffers");
                    self.shared.counters().regrown += 1;
                    let _ = link.stop();
                    self.life = Life::Ending(link, now + END_PATIENCE);
                    self.channels.values_mut().filter(|c| c.plan.is_some()).for_each(Channel::close);
                }
            }
            other => self.life = other,
        }
    }

    fn turn_channels(&mut self, now: MonoTime) {
        let numbers: Vec<u16> = self.channels.keys().copied().collect();
        for &number in &numbers {
            let shared = Arc::clone(&self.shared);
            let Some(channel) = self.channels.get_mut(&number) else { continue };
            let remedy = channel.look(now, &mut shared.counters());
            self.remedy(number, remedy);
        }
        if matches!(self.life, Life::Running(..)) {
            for &number in &numbers {
                self.open_if_due(number, now);
            }
        }
        self.draw(&numbers);
    }

    /// Titles and clocks, in turn. A host that is behind with its answers is told the time later: it has pictures to deliver.
    fn draw(&mut self, numbers: &[u16]) {
        let wall = self.clock.wall();
        let (before, after) = numbers.split_at(numbers.partition_point(|number| *number <= self.drawn_last));
        for &number in after.iter().chain(before) {
            let is_behind = |link: &mut Link<Pending>| link.unanswered() > MAX_BEHIND;
            if self.link().is_none_or(is_behind) {
                return;
            }
            let orders = self.channels.get_mut(&number).map(|channel| channel.draw(wall)).unwrap_or_default();
            if !orders.is_empty() {
                self.drawn_last = number;
                self.order_all(number, orders);
            }
        }
    }

    fn open_if_due(&mut self, number: u16, now: MonoTime) {
        if !self.channels.get(&number).is_some_and(|channel| channel.is_due(now)) {
            return;
        }
        if let Err(error) = self.admit(number) {
            if let Some(channel) = self.channels.get_mut(&number) {
                let fault = mpp_wire::Fault::new(mpp_wire::FaultKind::Unsupported, error.to_string());
                channel.refuse(&fault, now);
            }
            return;
        }
        let budget = self.budget();
        if self.link().is_some_and(|link| !budget.is_within(&link.budget)) {
            self.regrow_at.get_or_insert(now + SETTLE);
            return;
        }
        if let Some(order) = self.channels.get_mut(&number).and_then(|channel| channel.opening(now)) {
            self.order(order, Pending::Open(number));
        }
    }

    fn remedy(&mut self, number: u16, remedy: Remedy) {
        let now = self.clock.mono();
        let Some(channel) = self.channels.get_mut(&number) else { return };
        match remedy {
            Remedy::None => {}
            Remedy::Reopen => {
                channel.close();
                self.order(Order::Close { channel: number }, Pending::Logged("closing", number));
            }
            Remedy::Restart => {
                let recently = |at: MonoTime| now.since(at) < RESTART_FOR_STALL_EVERY;
                if self.restarted_for_stall.is_some_and(recently) {
                    channel.give_up(now);
                    self.order(Order::Close { channel: number }, Pending::Logged("closing", number));
                } else {
                    self.restarted_for_stall = Some(now);
                    self.lose_host(&format!("the encoders of channel {number} delivered no pictures"));
                }
            }
        }
    }

    fn start(&mut self, now: MonoTime) {
        if let Some((link, since)) = &mut self.dying {
            let process = &mut link.process;
            if process.ended().is_none() && now.since(*since) < END_PATIENCE {
                self.life = Life::Waiting(now + TURN.min(FIRST_PAUSE));
                return;
            }
            if process.ended().is_none() {
                tracing::error!(id = process.id(), "mpp-host does not end; another one is started beside it");
            }
            self.dying = None;
        }
        let Some(media) = self.board.media.clone() else {
            self.fault =
                Some("the board's description has no [media] table: nobody knows its libraries".to_owned());
            self.life = Life::Waiting(now + LONGEST_PAUSE);
            return;
        };
        self.lives += 1;
        self.lost = 0;
        self.regrow_at = None;
        let budget = self.budget();
        let (life, events) = (self.lives, self.events.clone());
        let start = Start {
            life,
            run_dir: &self.run_dir,
            libraries: media.libraries.clone(),
            user: media.user.zip(media.group),
            system: SystemPlan { pools: budget.pools.clone(), devices: plan::devices(&media) },
            budget,
        };
        let hear = move |said| events.send(Event::Host(life, said)).is_ok();
        match Link::start(&mut *self.spawn, start, hear) {
            Ok(link) => self.life = Life::Starting(link, now + READY_PATIENCE),
            Err(error) => self.lose_host(&error.to_string()),
        }
    }

    /// The host is no good: it is ended, and another one is started after a pause.
    fn lose_host(&mut self, reason: &str) {
        let now = self.clock.mono();
        let life = std::mem::replace(&mut self.life, Life::Waiting(now + self.pause));
        if let Life::Ending(link, _) = life {
            // As it was told to.
            self.bury(link, now);
            self.life = Life::Waiting(now);
            return;
        }
        if let Life::Starting(link, _) | Life::Running(link, _) = life {
            self.bury(link, now);
        }
        tracing::error!(
            reason,
            pause_ms = self.pause.as_millis() as u64,
            "the media platform is started again"
        );
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.shared.counters().restarts += 1;
        self.fault = Some(format!("{reason}; it is started again"));
        self.channels.values_mut().filter(|c| c.plan.is_some()).for_each(Channel::close);
    }

    fn bury(&mut self, mut link: Link<Pending>, now: MonoTime) {
        link.kill();
        self.dying = Some((link, now));
    }

    fn link(&mut self) -> Option<&mut Link<Pending>> {
        match &mut self.life {
            Life::Starting(link, _) | Life::Running(link, _) | Life::Ending(link, _) => Some(link),
            Life::Idle | Life::Waiting(_) => None,
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        matches!(self.life, Life::Running(..))
    }

    pub(crate) fn now(&self) -> (MonoTime, WallTime) {
        (self.clock.mono(), self.clock.wall())
    }

    pub(crate) fn ring(&mut self) -> Option<&mut mpp_wire::PackReader> {
        self.link().map(|link| &mut link.ring.reader)
    }

    /// Gives an order, where a host is there to follow it.
    pub(crate) fn order(&mut self, order: Order, pending: Pending) {
        let Life::Running(link, _) = &mut self.life else { return };
        if let Err(error) = link.order(order, pending) {
            self.lose_host(&format!("mpp-host is gone, or takes no orders: {error}"));
        }
    }

    pub(crate) fn order_all(&mut self, channel: u16, orders: Vec<Order>) {
        for order in orders {
            self.order(order, Pending::Logged("an order", channel));
        }
    }

    pub(crate) fn set_display(&mut self, display: Option<DisplayPlan>) {
        self.display.clone_from(&display);
        self.order(Order::Display(display), Pending::Logged("monitor", 0));
    }

    /// The ring is worth nothing any more.
    pub(crate) fn lose_ring(&mut self, error: mpp_wire::RingError) {
        self.lose_host(&error.to_string());
    }

    /// Ends the host in order, or by force.
    fn end(mut self, inbox: &Receiver<Event>) {
        let Some(link) = self.link() else { return };
        if link.stop().is_err() {
            return;
        }
        let life = link.life;
        for _ in 0..END_POLLS {
            match inbox.recv_timeout(END_PATIENCE / END_POLLS) {
                Ok(Event::Host(of, Said::End(_))) if of == life => return,
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        tracing::error!("mpp-host did not end in time and is ended by force");
    }
}
