//! What becomes of footage, written down in the ledger for the stores.
//!
//! Its thread is the one that looks after the ledger. Does not belong here: the ledger's files (`record_ledger`), what is told
//! and when (crate `store`).
//!
//! Invariants
//! - A removal or a seal is durable in the ledger before the store hears that it is.
//! - A ledger whose disk does not answer holds up a recording thread for [`ANSWER_WITHIN`] once, not with each question.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TryRecvError};
use std::thread;
use std::time::Duration;

use ledger::{Event, Hex, LossReason, RemovalReason, StreamRange, StreamSpan, VolumeId};
use recorder::{Loss, LossCause};
use store::{Class, FootageDeletion, Removal, SegmentSummary, Witness, WitnessError};

use crate::record_ledger::RecordLedger;

/// A sync of a disk that is not asleep takes less; rings keep several times as much.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);
/// One a volume, and some that nobody waits for any more.
const MAX_WAITING: usize = 32;
/// How often it is looked whether something is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A ledger whose disk is awake is open by then, and volumes that are opened afterwards find in it what it knows of them.
const OPEN_WITHIN: Duration = Duration::from_secs(2);

enum Order {
    Keep { event: Event, answer: SyncSender<io::Result<()>> },
    LookAfter,
}

/// The ledger as volumes use it; cheap to clone.
#[derive(Clone)]
pub(crate) struct Books {
    ledger: Arc<RecordLedger>,
    line: SyncSender<Order>,
}

impl Books {
    /// Begins to look after the ledger; the thread ends with the last of the clones. A ledger that can be opened soon is open
    /// when this returns.
    pub(crate) fn new(ledger: Arc<RecordLedger>) -> io::Result<Self> {
        let (line, orders) = mpsc::sync_channel(MAX_WAITING);
        let (opened, is_open) = mpsc::sync_channel(1);
        let of_thread = Arc::clone(&ledger);
        thread::Builder::new().name("notary".to_owned()).spawn(move || {
            of_thread.look_after();
            let _ = opened.try_send(());
            follow(&orders, &of_thread);
        })?;
        // Else what is recorded meanwhile waits for it in memory.
        let _ = is_open.recv_timeout(OPEN_WITHIN);
        Ok(Self { ledger, line })
    }

    /// The ledger lies in `place` from now on; `None` while there is no disk. It never waits.
    pub(crate) fn move_to(&self, place: Option<PathBuf>) {
        self.ledger.move_to(place);
        // Where it does not fit, the thread comes by all the same.
        let _ = self.line.try_send(Order::LookAfter);
    }

    /// Writes it down soon.
    pub(crate) fn note(&self, event: Event) {
        self.ledger.note(event);
    }

    /// Writes it down, durably.
    pub(crate) fn keep(&self, event: &Event) -> io::Result<()> {
        self.ledger.keep(event)
    }

    /// A stretch of footage that a volume did not get.
    pub(crate) fn note_loss(&self, volume: VolumeId, loss: &Loss) {
        self.note(Event::FootageLost {
            volume: Some(volume),
            channel: loss.stream.channel,
            stream: loss.stream.kind,
            start: loss.start,
            end: loss.end,
            units: loss.units,
            reason: match loss.cause {
                LossCause::DiskFailed => LossReason::DiskFailed,
                LossCause::Overrun => LossReason::RingOverrun,
                LossCause::Silence => LossReason::NoSignal,
                LossCause::Refused => LossReason::Other,
            },
        });
    }

    /// For one store.
    pub(crate) fn notary(&self) -> Notary {
        Notary { books: self.clone(), behind: None }
    }
}

/// Does what is ordered, and looks after the ledger also when nothing is, until nobody can order any more.
fn follow(orders: &Receiver<Order>, ledger: &RecordLedger) {
    loop {
        match orders.recv_timeout(LOOK_EVERY) {
            // Nobody may wait any more.
            Ok(Order::Keep { event, answer }) => drop(answer.try_send(ledger.keep(&event))),
            Ok(Order::LookAfter) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        ledger.look_after();
    }
}

/// A store's witness.
pub(crate) struct Notary {
    books: Books,
    /// What was not answered in time.
    behind: Option<(Event, Receiver<io::Result<()>>)>,
}

impl Notary {
    fn keep(&mut self, event: Event) -> Result<(), WitnessError> {
        if let Some((before, answer)) = &self.behind {
            let answered = answer.try_recv();
            if matches!(answered, Err(TryRecvError::Empty)) {
                return Err("the ledger's disk does not answer".into());
            }
            let is_it = *before == event;
            self.behind = None;
            if is_it && matches!(answered, Ok(Ok(()))) {
                return Ok(());
            }
        }
        let (answer, answered) = mpsc::sync_channel(1);
        if self.books.line.try_send(Order::Keep { event: event.clone(), answer }).is_err() {
            return Err("the ledger's disk is behind".into());
        }
        match answered.recv_timeout(ANSWER_WITHIN) {
            Ok(kept) => kept.map_err(Into::into),
            Err(RecvTimeoutError::Timeout) => {
                self.behind = Some((event, answered));
                Err("the ledger's disk does not answer in time".into())
            }
            Err(RecvTimeoutError::Disconnected) => Err("nobody writes the ledger any more".into()),
        }
    }
}

impl Witness for Notary {
    fn removing(&mut self, segment: &SegmentSummary, why: Removal) -> Result<(), WitnessError> {
        self.keep(Event::SegmentRemoved {
            volume: Hex(segment.volume),
            segment: segment.segment,
            reason: match why {
                Removal::Overwritten => RemovalReason::Overwritten,
                Removal::Expired => RemovalReason::Expired,
                Removal::Shrunk => RemovalReason::VolumeShrunk,
            },
            streams: ranges(segment, false),
        })
    }

    fn deleting(&mut self, footage: &FootageDeletion<'_>) -> Result<(), WitnessError> {
        let span = |span: &store::DeletedSpan| StreamSpan {
            channel: span.stream.channel,
            stream: span.stream.kind,
            start: span.start,
            end: span.end,
        };
        self.keep(Event::FootageDeleted {
            volume: Hex(footage.volume),
            by: footage.by.into(),
            streams: footage.spans.iter().map(span).collect(),
        })
    }

    fn sealed(&mut self, segment: &SegmentSummary) -> Result<(), WitnessError> {
        self.keep(Event::SegmentSealed {
            volume: Hex(segment.volume),
            segment: segment.segment,
            class: segment.class.get(),
            streams: ranges(segment, true),
        })
    }

    fn last_sealed(&mut self, volume: [u8; 16], class: Class) -> Result<Option<u64>, WitnessError> {
        self.books.ledger.last_sealed(Hex(volume), class.get()).map_err(Into::into)
    }
}

fn ranges(segment: &SegmentSummary, heads: bool) -> Vec<StreamRange> {
    let range = |range: &store::StreamRange| StreamRange {
        channel: range.stream.channel,
        stream: range.stream.kind,
        first_sequence: range.first_sequence,
        last_sequence: range.last_sequence,
        start: range.start,
        end: range.end,
        head: range.head.filter(|_| heads).map(Hex),
    };
    segment.streams.iter().map(range).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use hal::{ChannelId, StreamId, StreamKind, SystemClock, WallTime};

    use super::*;
    use crate::messages::LedgerKey;

    fn ledger(place: Option<&Path>) -> Arc<RecordLedger> {
        let key = LedgerKey { recorder: "0123abcd".to_owned(), seed: [7; 32] };
        let ledger = RecordLedger::new(key, Arc::new(SystemClock::new()));
        ledger.move_to(place.map(|place| place.join("ledger")));
        ledger.look_after();
        Arc::new(ledger)
    }

    fn summary(segment: u64, class: u8) -> SegmentSummary {
        let at = |seconds: i64| WallTime::from_unix_micros(1_795_168_800_000_000 + seconds * 1_000_000);
        SegmentSummary {
            volume: [9; 16],
            segment,
            class: Class::new(class).unwrap(),
            streams: vec![store::StreamRange {
                stream: StreamId::new(ChannelId::new(3).unwrap(), StreamKind::Main),
                first_sequence: 10,
                last_sequence: 19,
                start: at(0),
                end: at(10),
                head: Some([0xab; 32]),
            }],
        }
    }

    /// The leaves as they are on the disk, in order.
    fn on_disk(place: &Path) -> Vec<Event> {
        let mut texts = String::new();
        for folder in std::fs::read_dir(place.join("ledger")).unwrap().flatten() {
            for file in std::fs::read_dir(folder.path()).unwrap().flatten() {
                if file.file_name().to_string_lossy().starts_with("leaves") {
                    texts += &std::fs::read_to_string(file.path()).unwrap();
                }
            }
        }
        texts.lines().map(|line| ledger::Leaf::decode(line.as_bytes()).unwrap().event).collect()
    }

    #[test]
    fn a_removal_and_a_seal_are_on_the_disk_when_the_store_hears_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut notary = Books::new(ledger(Some(dir.path()))).unwrap().notary();
        notary.sealed(&summary(5, 2)).unwrap();
        let told = on_disk(dir.path());
        let Event::SegmentSealed { volume, segment: 5, class: 2, streams } = &told[0] else {
            panic!("{told:?}")
        };
        assert_eq!(
            (*volume, streams[0].last_sequence, streams[0].head),
            (Hex([9; 16]), 19, Some(Hex([0xab; 32])))
        );
        for (why, reason) in [
            (Removal::Overwritten, RemovalReason::Overwritten),
            (Removal::Expired, RemovalReason::Expired),
            (Removal::Shrunk, RemovalReason::VolumeShrunk),
        ] {
            notary.removing(&summary(5, 2), why).unwrap();
            let told = on_disk(dir.path()).pop();
            let Some(Event::SegmentRemoved { reason: because, streams, .. }) = &told else {
                panic!("{told:?}")
            };
            assert_eq!((*because, streams[0].head, streams[0].first_sequence), (reason, None, 10));
        }
    }

    #[test]
    fn without_a_disk_the_store_is_refused_and_nothing_is_told_of_later_that_did_not_happen() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = ledger(None);
        let books = Books::new(Arc::clone(&ledger)).unwrap();
        books.note(Event::VolumeOpened { volume: Hex([9; 16]) });
        let mut notary = books.notary();
        assert!(notary.removing(&summary(5, 0), Removal::Overwritten).is_err());
        assert!(notary.last_sealed([9; 16], Class::DEFAULT).is_err());
        ledger.move_to(Some(dir.path().join("ledger")));
        ledger.look_after();
        notary.sealed(&summary(6, 0)).unwrap();
        let told = on_disk(dir.path());
        assert!(
            matches!(told[..], [Event::VolumeOpened { .. }, Event::SegmentSealed { segment: 6, .. }]),
            "{told:?}"
        );
    }

    #[test]
    fn what_is_sealed_is_known_after_a_start() {
        let dir = tempfile::tempdir().unwrap();
        let books = Books::new(ledger(Some(dir.path()))).unwrap();
        let mut notary = books.notary();
        for (segment, class) in [(3, 0), (4, 1), (5, 0), (900, 1)] {
            notary.sealed(&summary(segment, class)).unwrap();
            notary.removing(&summary(1000 + segment, class), Removal::Expired).unwrap();
        }
        let known = |notary: &mut Notary| {
            [0, 1, 2].map(|class| notary.last_sealed([9; 16], Class::new(class).unwrap()).unwrap())
        };
        assert_eq!(known(&mut notary), [Some(5), Some(900), None]);
        books.ledger.close();
        // As its thread does, at any time.
        books.ledger.look_after();
        let mut notary = Books::new(ledger(Some(dir.path()))).unwrap().notary();
        assert_eq!(known(&mut notary), [Some(5), Some(900), None]);
        assert_eq!(notary.last_sealed([8; 16], Class::DEFAULT).unwrap(), None, "of another volume");
    }

    #[test]
    fn a_ledger_that_does_not_answer_holds_up_recording_once() {
        let (line, orders) = mpsc::sync_channel(1);
        let mut notary = Books { ledger: ledger(None), line }.notary();
        assert!(notary.removing(&summary(5, 0), Removal::Overwritten).is_err());
        // At once, and without asking again.
        assert!(notary.removing(&summary(5, 0), Removal::Overwritten).is_err());
        assert!(notary.sealed(&summary(6, 0)).is_err());
        let ordered = || match orders.recv().unwrap() {
            Order::Keep { event, answer } => (event, answer),
            Order::LookAfter => panic!("nobody ordered that"),
        };
        let (_, answer) = ordered();
        assert!(orders.try_recv().is_err());
        // It was written after all, and is not written twice.
        answer.send(Ok(())).unwrap();
        notary.removing(&summary(5, 0), Removal::Overwritten).unwrap();
        assert!(orders.try_recv().is_err());
        // The next one it has to write, which has nothing to do with the one before.
        assert!(notary.removing(&summary(7, 0), Removal::Overwritten).is_err());
        ordered().1.send(Ok(())).unwrap();
        assert!(notary.removing(&summary(8, 0), Removal::Overwritten).is_err());
        let (Event::SegmentRemoved { segment: 8, .. }, _) = ordered() else { panic!("another one") };
    }
}
