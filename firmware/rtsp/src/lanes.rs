//! The clients of a stream that have had everything, served by its own thread.
//!
//! A loop over sockets, as the cheapest server would have it: no client's task wakes up for a unit, and what the loop needs of a
//! client lies beside that of the others. Who cannot take a unit wholly leaves the lane and goes on by itself, with a reader of
//! the stream's fan-out, until it has had everything again.
//!
//! Does not belong here: clients that lag behind (`client.rs`), how a unit is sent (`outlet.rs`).
//!
//! Invariants: a client gets every unit once and in order, also when it changes between lane and reader; nobody waits for a
//! client; whoever leaves a lane waits at most for the unit that is on its way to the others.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bus::{Fanout, FanoutReader};
use hal::MonoTime;

use crate::outlet::{Outlet, Sent};
use crate::packet::Packets;
use crate::wire::Wire;

/// All lanes of a stream.
#[derive(Debug, Default)]
pub(crate) struct Lanes(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    slots: Vec<Slot>,
    next_id: u64,
}

/// What is needed of a client.
#[derive(Debug)]
struct Slot {
    id: u64,
    outlet: Outlet,
    wire: Arc<Wire>,
    end: Arc<Mutex<Option<End>>>,
}

/// One client's. Dropping it leaves it.
#[derive(Debug)]
pub(crate) struct Lane {
    lanes: Arc<Lanes>,
    id: u64,
    end: Arc<Mutex<Option<End>>>,
}

/// How the client goes on by itself.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) outlet: Outlet,
    /// With what comes next.
    pub(crate) reader: FanoutReader<Packets>,
    /// Before it, the rest of this unit.
    pub(crate) unfinished: Option<Arc<Packets>>,
}

impl Lanes {
    /// Takes the outlet unless its `reader` has not had everything, and while a unit is on its way.
    pub(crate) fn join(
        self: &Arc<Self>,
        reader: &FanoutReader<Packets>,
        outlet: &mut Option<Outlet>,
        wire: &Arc<Wire>,
    ) -> Option<Lane> {
        let mut table = self.0.try_lock().ok()?;
        if !reader.has_all() {
            return None;
        }
        let (id, end) = (table.next_id, Arc::default());
        let slot = Slot { id, outlet: outlet.take()?, wire: Arc::clone(wire), end: Arc::clone(&end) };
        table.next_id += 1;
        table.slots.push(slot);
        Some(Lane { lanes: Arc::clone(self), id, end })
    }

    /// Publishes a unit: into the fan-out for those who read there, and to every lane.
    pub(crate) fn push(&self, packets: &Fanout<Packets>, unit: Packets, now: MonoTime) {
        let unit = Arc::new(unit);
        let slots = &mut self.lock().slots;
        packets.push(Arc::clone(&unit), unit.keyframe, unit.weight());
        let mut index = 0;
        while let Some(slot) = slots.get_mut(index) {
            let unfinished = match slot.outlet.send(&unit, true, now) {
                Sent::Whole => {
                    index += 1;
                    continue;
                }
                Sent::Left | Sent::Never => None,
                Sent::Wait(_) => Some(Arc::clone(&unit)),
            };
            slots.swap_remove(index).end_with(packets.follower(), unfinished);
        }
    }

    /// The source lost something, which everybody has to be told.
    pub(crate) fn lost(&self, packets: &Fanout<Packets>, gops: u64) {
        let mut table = self.lock();
        table.clear(packets);
        packets.lost(gops);
    }

    /// Nothing comes any more, which everybody has to be told.
    pub(crate) fn close(&self, packets: &Fanout<Packets>) {
        let mut table = self.lock();
        packets.close();
        table.clear(packets);
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        lock(&self.0)
    }
}

impl Table {
    fn clear(&mut self, packets: &Fanout<Packets>) {
        for slot in self.slots.drain(..) {
            slot.end_with(packets.follower(), None);
        }
    }
}

impl Slot {
    fn end_with(self, reader: FanoutReader<Packets>, unfinished: Option<Arc<Packets>>) {
        *lock(&self.end) = Some(End { outlet: self.outlet, reader, unfinished });
        self.wire.ring();
    }
}

impl Lane {
    /// `None` while it goes on.
    pub(crate) fn take_end(&self) -> Option<End> {
        lock(&self.end).take()
    }

    /// The outlet, after the last unit that went through it.
    pub(crate) fn leave(&self) -> Option<Outlet> {
        let mut table = self.lanes.lock();
        match table.slots.iter().position(|slot| slot.id == self.id) {
            Some(index) => Some(table.slots.swap_remove(index).outlet),
            None => self.take_end().map(|end| end.outlet),
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.leave();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use bus::{Item, Limits};
    use hal::WallTime;
    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::outlet::Way;
    use crate::packet::{PacketWriter, Stream};

    const UNIT_BYTES: usize = 50_000;

    struct Source {
        packets: Fanout<Packets>,
        lanes: Arc<Lanes>,
        stream: Stream,
    }

    impl Source {
        fn new() -> Self {
            let packets = Fanout::new(Limits { bytes: 4 << 20, items: 600 });
            let stream = Stream { ssrc: 1, payload_type: 96, channel: 0, next_sequence: 0, rollovers: 0 };
            Self { packets, lanes: Arc::default(), stream }
        }

        /// Every tenth is a keyframe; the first packet's sequence number.
        fn push(&mut self, number: usize) -> u16 {
            let mut writer = PacketWriter::new(&mut self.stream, number as u32 * 3600, UNIT_BYTES);
            for part in [7; UNIT_BYTES].chunks(writer.room()) {
                writer.push(false, 0, &[part]);
            }
            let unit = writer.finish(WallTime::default(), number.is_multiple_of(10)).unwrap();
            let sequence = unit.sequence;
            self.lanes.push(&self.packets, unit, MonoTime::default());
            sequence
        }
    }

    struct Viewer {
        outlet: Option<Outlet>,
        wire: Arc<Wire>,
        peer: TcpStream,
    }

    fn way(wire: &Arc<Wire>) -> Way {
        Way::Interleaved { wire: Arc::clone(wire), rtp: 0, rtcp: 1 }
    }

    async fn viewer() -> Viewer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (socket, _) = listener.accept().await.unwrap();
        socket.writable().await.unwrap();
        let wire = Arc::new(Wire::new(Some(Arc::new(socket))));
        let mut outlet = Outlet::new(way(&wire), 1, 90_000, "me".into());
        outlet.open();
        Viewer { outlet: Some(outlet), wire, peer }
    }

    #[tokio::test]
    async fn whoever_has_had_everything_gets_units_without_a_task_of_its_own() {
        let mut source = Source::new();
        let Viewer { mut outlet, wire, mut peer } = viewer().await;
        source.push(0);
        let mut reader = source.packets.reader();
        assert!(source.lanes.join(&reader, &mut outlet, &wire).is_none(), "there is a unit to read");
        assert!(matches!(reader.try_next(), Some(Item::Item(_))));
        let lane = source.lanes.join(&reader, &mut outlet, &wire).unwrap();
        assert!(outlet.is_none(), "the lane has it now");
        source.push(1);
        let mut bytes = vec![0; UNIT_BYTES];
        peer.read_exact(&mut bytes).await.unwrap();
        assert_eq!((bytes[0], bytes[1]), (b'$', 1), "a report on its channel");
        let report = 4 + usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
        assert_eq!((bytes[report], bytes[report + 1]), (b'$', 0));
        assert!(lane.take_end().is_none());
        assert!(lane.leave().is_some() && lane.leave().is_none(), "it is given back once");
        let mut outlet = Some(Outlet::new(way(&wire), 1, 90_000, "me".into()));
        source.push(2);
        while reader.try_next().is_some() {}
        let lane = source.lanes.join(&reader, &mut outlet, &wire).unwrap();
        drop(lane);
        assert!(source.lanes.lock().slots.is_empty(), "who left is forgotten");
    }

    #[tokio::test]
    async fn whoever_can_not_take_a_unit_reads_on_from_the_next() {
        let mut source = Source::new();
        let Viewer { mut outlet, wire, peer } = viewer().await;
        source.push(0);
        let mut reader = source.packets.reader();
        reader.try_next().unwrap();
        let lane = source.lanes.join(&reader, &mut outlet, &wire).unwrap();
        let mut number = 1;
        let end = loop {
            source.push(number);
            number += 1;
            if let Some(end) = lane.take_end() {
                break end;
            }
            assert!(number < 1000, "a socket that takes everything");
        };
        assert!(!wire.is_empty(), "the unit that it could not take wholly is there");
        let mut reader = end.reader;
        assert!(reader.try_next().is_none() && end.unfinished.is_none());
        let next = source.push(number);
        assert!(matches!(reader.try_next(), Some(Item::Item(unit)) if unit.sequence == next));
        drop(peer);
    }

    #[tokio::test]
    async fn what_is_lost_and_the_end_are_told() {
        let mut source = Source::new();
        let Viewer { mut outlet, wire, peer: _peer } = viewer().await;
        source.push(0);
        let mut reader = source.packets.reader();
        reader.try_next().unwrap();
        let lane = source.lanes.join(&reader, &mut outlet, &wire).unwrap();
        source.lanes.lost(&source.packets, 3);
        let End { outlet, mut reader, .. } = lane.take_end().unwrap();
        let mut outlet = Some(outlet);
        assert!(source.lanes.join(&reader, &mut outlet, &wire).is_none(), "it has to hear of the loss first");
        source.push(10);
        assert!(matches!(reader.try_next(), Some(Item::Lost { gops: 3 })));
        assert!(matches!(reader.try_next(), Some(Item::Item(unit)) if unit.keyframe));
        let lane = source.lanes.join(&reader, &mut outlet, &wire).unwrap();
        source.lanes.close(&source.packets);
        assert!(matches!(lane.take_end().unwrap().reader.try_next(), Some(Item::Closed)));
    }
}
