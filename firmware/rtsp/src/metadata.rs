//! A channel's metadata track: documents as packets, once for all its viewers.
//!
//! A document with the whole state stands where a keyframe does in video: a viewer begins with one, and one comes every
//! [`STATE_EVERY`]. In between there is one for what changed.
//!
//! Does not belong here: what is known (`facts.rs`), ONVIF's words (`onvif.rs`).
//!
//! Invariants: RTP time never stands still or goes back, whatever the wall clock does; sender reports align it with
//! pictures; events that come in a flood make a bounded number of documents, and lose none of their outcome.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bus::{Fanout, Limits};
use hal::{AccessUnit, ChannelId, MonoTime, Pts90k, StreamId, StreamKind, WallTime};
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::facts::{Fact, Metadata};
use crate::lanes::Lanes;
use crate::onvif::{self, Operation};
use crate::packet::Packets;
use crate::payload::Packetiser;

/// What slow viewers may lag behind. Documents have 1 to 3 KB, and each state lets go of those before it.
pub(crate) const LIMITS: Limits = Limits { bytes: 128 << 10, items: 256 };

/// Between two documents with the whole state when nothing happens: who lost one has it again, firewalls see life, and so
/// do viewers that wait for it.
const STATE_EVERY: Duration = Duration::from_secs(10);

/// New viewers get the last one when it is no older than this: one that comes and goes makes no documents for the others.
const STATE_FRESH: Duration = Duration::from_secs(1);

/// Between two documents about changes: 20 a second, each with all that happened meanwhile.
const REST: Duration = Duration::from_millis(50);

/// So much earlier than it is told of something may have happened for RTP time to say so; states are reported once a second.
const MAX_AGE_MICROS: i64 = 2_000_000;

/// One channel's documents.
#[derive(Debug)]
pub(crate) struct Documents {
    metadata: Arc<Metadata>,
    channel: ChannelId,
    packets: Fanout<Packets>,
    lanes: Arc<Lanes>,
    pen: Mutex<Pen>,
}

/// Writes them as things happen. Its task ends with it.
#[derive(Debug)]
pub(crate) struct Teller {
    documents: Arc<Documents>,
    task: AbortHandle,
}

#[derive(Debug)]
struct Pen {
    packetiser: Packetiser,
    /// Changes that were told of.
    told: u64,
    last: Option<Pts90k>,
    state_at: Option<MonoTime>,
}

impl Documents {
    pub(crate) fn new(
        metadata: Arc<Metadata>,
        channel: ChannelId,
        packetiser: Packetiser,
        packets: Fanout<Packets>,
        lanes: Arc<Lanes>,
    ) -> Self {
        let pen = Mutex::new(Pen { packetiser, told: 0, last: None, state_at: None });
        Self { metadata, channel, packets, lanes, pen }
    }

    pub(crate) fn start(self) -> Teller {
        let documents = Arc::new(self);
        let task = tokio::spawn(Arc::clone(&documents).run()).abort_handle();
        Teller { documents, task }
    }

    fn refresh(&self) {
        let mut pen = self.lock();
        let now = self.metadata.clock.mono();
        if pen.state_at.is_none_or(|at| now.since(at) >= STATE_FRESH) {
            self.write_state(&mut pen);
        }
    }

    /// Without end.
    async fn run(self: Arc<Self>) {
        let Some(mut count) = self.metadata.watch(self.channel) else { return };
        let mut every = interval(STATE_EVERY);
        // Not at once.
        every.reset();
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                changed = count.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.write_changes(&mut self.lock());
                    sleep(REST).await;
                }
                _ = every.tick() => self.write_state(&mut self.lock()),
            }
        }
    }

    fn write_state(&self, pen: &mut Pen) {
        if pen.state_at.is_some() {
            // Whoever has the last state hears what changed, before it hears what is.
            self.write_changes(pen);
        }
        self.write_whole(pen);
    }

    fn write_changes(&self, pen: &mut Pen) {
        let Some((told, changes)) = self.metadata.changes(self.channel, pen.told) else {
            // More than is kept: the state says what came of it.
            return self.write_whole(pen);
        };
        pen.told = told;
        let Some(newest) = changes.iter().map(|change| change.fact.at).max() else { return };
        let operation = |first| if first { Operation::Initialized } else { Operation::Changed };
        let facts: Vec<_> = changes.iter().map(|change| (change.fact, operation(change.is_first))).collect();
        self.write(pen, &facts, Some(newest), false);
    }

    fn write_whole(&self, pen: &mut Pen) {
        let (told, facts) = self.metadata.state(self.channel);
        let facts: Vec<_> = facts.into_iter().map(|fact| (fact, Operation::Initialized)).collect();
        pen.told = told;
        pen.state_at = Some(self.metadata.clock.mono());
        self.write(pen, &facts, None, true);
    }

    /// One document, of the moment of its newest change, else of now.
    fn write(&self, pen: &mut Pen, facts: &[(Fact, Operation)], newest: Option<WallTime>, whole: bool) {
        let clock = &self.metadata.clock;
        let (pts, wall) = when(clock.mono(), clock.wall(), newest, pen.last);
        pen.last = Some(pts);
        let data = onvif::document(self.channel, facts);
        let stream = StreamId::new(self.channel, StreamKind::Main);
        let unit = AccessUnit { stream, pts, wall, keyframe: whole, discontinuity: false, data: &data };
        let Some(packets) = pen.packetiser.packetise(&unit) else { return };
        self.lanes.push(&self.packets, packets, clock.mono());
    }

    fn lock(&self) -> MutexGuard<'_, Pen> {
        self.pen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Teller {
    /// The whole state is what a reader that begins now gets first.
    pub(crate) fn refresh(&self) {
        self.documents.refresh();
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A document's time and the wall time that belongs to it: that of `newest`, within [`MAX_AGE_MICROS`] of now, and after the last
/// document. The source of its ticks is the monotonic clock, so that a step of the wall clock moves nothing but the wall time.
fn when(
    mono: MonoTime,
    wall: WallTime,
    newest: Option<WallTime>,
    last: Option<Pts90k>,
) -> (Pts90k, WallTime) {
    let micros = i64::try_from(mono.since(MonoTime::default()).as_micros()).unwrap_or(i64::MAX);
    let age = newest.map_or(0, |at| wall.micros_since(at).clamp(0, MAX_AGE_MICROS));
    let (now, own) = (Pts90k::from_micros(micros), Pts90k::from_micros(micros - age));
    let pts = own.max(last.map_or(own, |last| Pts90k(last.0 + 1)));
    (pts, wall.offset_micros(Pts90k(pts - now).as_micros()))
}

#[cfg(test)]
mod tests {
    use bus::{Event, EventKind, FanoutReader, Item};
    use hal::SystemClock;
    use rtp_types::RtpPacket;

    use super::*;
    use crate::facts::MAX_RECENT;
    use crate::payload::{Payload, Seeds, TrackId};

    const SEEDS: Seeds = Seeds { ssrc: 7, sequence: 65_535, timestamp: u32::MAX - 10 };

    fn channel() -> ChannelId {
        ChannelId::new(1).unwrap()
    }

    fn documents(metadata: &Arc<Metadata>) -> Documents {
        let packetiser = Packetiser::new(Payload::Metadata, TrackId::Metadata, SEEDS);
        Documents::new(Arc::clone(metadata), channel(), packetiser, Fanout::new(LIMITS), Arc::default())
    }

    fn metadata() -> Arc<Metadata> {
        Arc::new(Metadata::new(Arc::new(SystemClock::new())))
    }

    fn tell(metadata: &Metadata, kind: EventKind) {
        metadata.tell(&Event { at: metadata.clock.wall(), channel: Some(channel()), kind });
    }

    /// The documents that a reader gets now: what they say, and whether they are whole.
    fn read(reader: &mut FanoutReader<Packets>) -> Vec<(String, bool)> {
        let mut all = Vec::new();
        while let Some(Item::Item(packets)) = reader.try_next() {
            let payload = packets
                .datagrams()
                .flat_map(|datagram| RtpPacket::parse(datagram).unwrap().payload().to_vec());
            all.push((String::from_utf8(payload.collect()).unwrap(), packets.keyframe));
        }
        all
    }

    #[test]
    fn a_viewer_begins_with_the_state_and_goes_on_with_changes() {
        let metadata = metadata();
        let documents = documents(&metadata);
        tell(&metadata, EventKind::SignalLost);
        documents.refresh();
        let mut early = documents.packets.reader();
        tell(&metadata, EventKind::SignalBack);
        documents.write_changes(&mut documents.lock());
        // It comes within a second: the last state and what changed since is as good.
        documents.refresh();
        let mut late = documents.packets.reader();
        for reader in [&mut early, &mut late] {
            let [(state, true), (change, false)] = &read(reader)[..] else { panic!("two documents") };
            assert!(state.contains("Initialized") && state.contains(r#"Name="State" Value="true""#));
            assert!(change.contains("Changed") && change.contains(r#"Name="State" Value="false""#));
        }
        documents.write_changes(&mut documents.lock());
        assert!(read(&mut early).is_empty(), "nothing is told twice");
    }

    #[test]
    fn a_flood_ends_in_the_state() {
        let metadata = metadata();
        let documents = documents(&metadata);
        documents.refresh();
        let mut reader = documents.packets.reader();
        assert_eq!(read(&mut reader).len(), 1);
        for at in 0..=10 * MAX_RECENT {
            tell(&metadata, EventKind::Motion { active: at % 2 == 0 });
        }
        documents.write_changes(&mut documents.lock());
        let [(state, true)] = &read(&mut reader)[..] else { panic!("one document") };
        assert!(state.contains("MotionAlarm") && state.contains(r#"Value="true""#));
    }

    #[test]
    fn time_is_that_of_the_event_and_goes_on_over_steps_of_the_clock() {
        let mono = |micros: u64| MonoTime::from_start(Duration::from_micros(micros));
        let wall = |micros: i64| WallTime::from_unix_micros(micros);
        let ten = Pts90k(900_000);
        assert_eq!(when(mono(10_000_000), wall(500_000_000), None, None), (ten, wall(500_000_000)));
        let half = when(mono(10_500_000), wall(500_500_000), Some(wall(500_100_000)), Some(ten));
        assert_eq!(half, (Pts90k(909_000), wall(500_100_000)));
        // Reported late: behind what was sent.
        let late = when(mono(10_600_000), wall(500_600_000), Some(wall(499_600_000)), Some(half.0));
        assert_eq!(late.0, Pts90k(909_001));
        assert!((500_100_000..=500_100_100).contains(&late.1.as_unix_micros()));
        // The clock was an hour fast, and an event of that time is told of now.
        let stepped = when(mono(11_000_000), wall(7_000_000), Some(wall(3_607_000_000)), Some(late.0));
        assert_eq!(stepped, (Pts90k(990_000), wall(7_000_000)));
        let long_ago = when(mono(12_000_000), wall(3_700_000_000), Some(wall(8_000_000)), Some(stepped.0));
        assert_eq!(long_ago.0, Pts90k(990_001), "and what happened before a step forwards");
    }
}
