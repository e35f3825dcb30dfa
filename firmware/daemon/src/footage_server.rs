//! `record`'s side of the footage protocol: a thread a connection.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, mpsc};
use std::thread;

use hal::{ChannelId, StreamId, StreamKind, WallTime};
use ledger::Event;
use store::{ErrorKind, Movie, Reader, StoreError};

use crate::footage::{
    ChannelFootage, LedgerPage, MAX_READ_BYTES, MAX_RUNS, Piece, Plan, Request, Response, socket_path,
};
use crate::ipc;
use crate::record_ledger::RecordLedger;
use crate::volume_order::{VolumeAct, VolumeOrder, VolumeRefusal};

/// Connections at one time: twice what one `serve` opens, so that one just started beside a dying one fits.
const MAX_CONNECTIONS: usize = 32;
/// Plans kept: a player reads one many times; a plan of an hour has some 100 000 samples, 3 MB.
const MAX_PLANS: usize = 8;
/// Leaves of one answer: a page that people read; the largest ones are 64 KiB.
const MAX_LEAVES: usize = 100;
/// Runs closer than this are shown as one, microseconds.
const JOIN_GAP_MICROS: i64 = 2_000_000;

/// The volumes that can be read now; none while there is no disk.
pub(crate) type SharedReaders = Arc<RwLock<Vec<Arc<Reader>>>>;

/// Answers questions about footage until the process ends.
pub(crate) struct FootageServer {
    readers: SharedReaders,
    ledger: Option<Arc<RecordLedger>>,
    orders: OrderLine,
    plans: Mutex<VecDeque<(PlanKey, Arc<Movie>)>>,
    connections: AtomicUsize,
}

/// Hands an order to the thread that has the volumes; `false` when it has ended.
pub(crate) type OrderLine = Box<dyn Fn(VolumeOrder) -> bool + Send + Sync>;

type PlanKey = (ChannelId, WallTime, WallTime);

impl FootageServer {
    /// Listens in `run_dir`.
    pub(crate) fn start(
        run_dir: &Path,
        readers: SharedReaders,
        ledger: Option<Arc<RecordLedger>>,
        orders: OrderLine,
    ) -> io::Result<()> {
        let path = socket_path(run_dir);
        // Left behind by a recorder that was killed; the volume's lock keeps two from running.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        let server = Arc::new(Self {
            readers,
            ledger,
            orders,
            plans: Mutex::default(),
            connections: AtomicUsize::new(0),
        });
        thread::Builder::new().name("footage".to_owned()).spawn(move || {
            for socket in listener.incoming() {
                match socket {
                    Ok(socket) => server.welcome(socket),
                    Err(error) => tracing::warn!(%error, "a footage connection was not accepted"),
                }
            }
        })?;
        Ok(())
    }

    fn welcome(self: &Arc<Self>, socket: UnixStream) {
        if self.connections.fetch_add(1, Ordering::AcqRel) >= MAX_CONNECTIONS {
            self.connections.fetch_sub(1, Ordering::AcqRel);
            tracing::warn!("too many footage connections");
            return;
        }
        let server = Arc::clone(self);
        let spawned = thread::Builder::new().name("footage-reader".to_owned()).spawn(move || {
            if let Err(error) = server.answer_all(socket) {
                tracing::debug!(%error, "a footage connection broke");
            }
            server.connections.fetch_sub(1, Ordering::AcqRel);
        });
        if let Err(error) = spawned {
            self.connections.fetch_sub(1, Ordering::AcqRel);
            tracing::warn!(%error, "no thread for a footage connection");
        }
    }

    fn answer_all(&self, mut socket: UnixStream) -> io::Result<()> {
        let mut buffer = Vec::new();
        while let Some(request) = ipc::read::<Request>(&mut socket)? {
            buffer.clear();
            let response = self.answer(request, &mut buffer);
            ipc::write(&mut socket, &response)?;
            if matches!(response, Response::Bytes(_)) {
                socket.write_all(&buffer)?;
            }
        }
        Ok(())
    }

    /// The answer; bytes that shall follow it are left in `buffer`.
    fn answer(&self, request: Request, buffer: &mut Vec<u8>) -> Response {
        let readers = self.readers.read().unwrap_or_else(PoisonError::into_inner).clone();
        let outcome = match request {
            Request::Note { unix_micros, event } => return self.note(unix_micros, &event),
            Request::Ledger { before, limit } => return self.ledger_page(before, limit),
            Request::Order { path, act } => return Response::Ordered(self.order(path, act)),
            _ if readers.is_empty() => return Response::Failed("there is no disk now".to_owned()),
            Request::Timeline { channels, start, end } => {
                let footage = channels.iter().map(|channel| channel_footage(&readers, *channel, start, end));
                footage.collect::<Result<_, _>>().map(Response::Timeline)
            }
            Request::Plan { channel, start, end } => {
                // Footage goes on being written: a plan that is asked for anew is made anew.
                self.plan(&readers, (channel, start, end))
                    .map(|movie| movie.map_or(Response::NoFootage, |movie| Response::Plan(describe(&movie))))
            }
            Request::Read { channel, start, end, etag, offset, length } => {
                self.kept_or_planned(&readers, (channel, start, end), &etag).and_then(|movie| match movie {
                    Some(movie) => read_exactly(&movie, offset, length, buffer),
                    None => Ok(Response::Changed),
                })
            }
        };
        outcome.unwrap_or_else(|error| match error.kind() {
            ErrorKind::NoFootage => Response::NoFootage,
            ErrorKind::Recycled => Response::Changed,
            _ => Response::Failed(error.to_string()),
        })
    }

    /// `serve` tells of people; what footage and the recorder itself do, it may not tell.
    fn note(&self, unix_micros: i64, event: &str) -> Response {
        let Some(ledger) = &self.ledger else { return Response::Noted };
        match serde_json::from_str(event) {
            Ok(
                event @ (Event::LoginOk { .. }
                | Event::LoginFailed { .. }
                | Event::ViewStarted { .. }
                | Event::ViewEnded { .. }
                | Event::SettingsChanged { .. }),
            ) => ledger.note_at(WallTime::from_unix_micros(unix_micros), event),
            Ok(event) => tracing::error!(?event, "not for the network's side to tell"),
            Err(error) => tracing::error!(%error, "an entry that cannot be read"),
        }
        Response::Noted
    }

    fn ledger_page(&self, before: Option<u64>, limit: u16) -> Response {
        let Some(ledger) = &self.ledger else { return Response::Failed("there is no ledger".to_owned()) };
        match ledger.leaves(before, usize::from(limit).min(MAX_LEAVES)) {
            Ok(leaves) => {
                let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
                let leaves = leaves.into_iter().map(|(number, bytes)| (number, text(bytes))).collect();
                Response::Ledger(LedgerPage { head: ledger.head(), leaves })
            }
            Err(error) => Response::Failed(error.to_string()),
        }
    }

    fn order(&self, path: String, act: VolumeAct) -> Result<(), VolumeRefusal> {
        let ended = || VolumeRefusal::Failed("the volumes are being closed".to_owned());
        let (answer, answered) = mpsc::sync_channel(1);
        if !(self.orders)(VolumeOrder { path, act, answer }) {
            return Err(ended());
        }
        let outcome = answered.recv().unwrap_or_else(|_| Err(ended()));
        // Plans hold on to the volume that they were made for, and to its key.
        self.plans.lock().unwrap_or_else(PoisonError::into_inner).clear();
        outcome
    }

    /// From the volume that has most of the range: a channel is on one volume, moves when that fails, and with a mirror is
    /// on two.
    fn plan(&self, readers: &[Arc<Reader>], key: PlanKey) -> Result<Option<Arc<Movie>>, StoreError> {
        let plans = readers.iter().map(|reader| Movie::plan(reader, key.0, key.1, key.2));
        // A volume that fails must not hide what another has; of two errors the first is told.
        let best = plans.reduce(|best, plan| match (&best, &plan) {
            (Ok(first), Ok(other)) if covered(other) <= covered(first) => best,
            (_, Ok(_)) => plan,
            _ => best,
        });
        let Some(movie) = best.transpose()?.map(Arc::new) else { return Ok(None) };
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        // A reader may be in the middle of an older plan of the same range: it is kept beside, by its etag.
        plans.retain(|(kept, old)| *kept != key || old.etag() != movie.etag());
        plans.push_front((key, Arc::clone(&movie)));
        plans.truncate(MAX_PLANS);
        Ok(Some(movie))
    }

    /// The movie of that etag; `None` when the same range no longer makes the same file.
    fn kept_or_planned(
        &self,
        readers: &[Arc<Reader>],
        key: PlanKey,
        etag: &str,
    ) -> Result<Option<Arc<Movie>>, StoreError> {
        let kept = {
            let plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
            plans
                .iter()
                .find(|(kept, movie)| *kept == key && movie.etag() == etag)
                .map(|(_, movie)| Arc::clone(movie))
        };
        match kept {
            Some(movie) => Ok(Some(movie)),
            None => Ok(self.plan(readers, key)?.filter(|movie| movie.etag() == etag)),
        }
    }
}

/// How much of its range a movie has pictures of, microseconds.
fn covered(movie: &Movie) -> i64 {
    movie.pieces().iter().map(|piece| piece.end.micros_since(piece.start)).sum()
}

/// What all volumes have of a channel; a volume that fails hides nothing of the others.
fn channel_footage(
    readers: &[Arc<Reader>],
    channel: ChannelId,
    start: WallTime,
    end: WallTime,
) -> Result<ChannelFootage, StoreError> {
    let stream = StreamId::new(channel, StreamKind::Main);
    let (mut found, mut oldest, mut newest) = (Vec::new(), None, None);
    let (mut failed, mut answered) = (None, false);
    for reader in readers {
        match reader.runs(stream, start, end).and_then(|runs| Ok((runs, reader.bounds(stream)?))) {
            Ok((runs, bounds)) => {
                answered = true;
                found.extend(runs.iter().map(|run| (run.start, run.end)));
                if let Some((first, last)) = bounds {
                    oldest = Some(oldest.map_or(first, |oldest: WallTime| oldest.min(first)));
                    newest = newest.max(Some(last));
                }
            }
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    if let Some(error) = failed {
        tracing::warn!(%error, "a volume's footage cannot be listed");
        if !answered {
            return Err(error);
        }
    }
    found.sort_unstable();
    let mut runs: Vec<(WallTime, WallTime)> = Vec::new();
    for (from, to) in found {
        match runs.last_mut() {
            Some(last) if from.micros_since(last.1) <= JOIN_GAP_MICROS => last.1 = last.1.max(to),
            _ => runs.push((from, to)),
        }
    }
    // The newest are what people look for.
    runs.drain(..runs.len().saturating_sub(MAX_RUNS));
    Ok(ChannelFootage { channel, runs, oldest, newest })
}

fn describe(movie: &Movie) -> Plan {
    let pieces: Vec<Piece> = movie
        .pieces()
        .iter()
        .map(|piece| Piece {
            start: piece.start,
            end: piece.end,
            media_start_sec: piece.media_start_micros as f64 / 1e6,
        })
        .collect();
    Plan {
        start: movie.start(),
        end: movie.end(),
        bytes: movie.len(),
        etag: movie.etag().to_owned(),
        mime: movie.mime().to_owned(),
        frame_rate: movie.frame_rate().unwrap_or(0.0),
        pieces,
    }
}

fn read_exactly(
    movie: &Movie,
    offset: u64,
    length: u32,
    buffer: &mut Vec<u8>,
) -> Result<Response, StoreError> {
    buffer.resize(length.min(MAX_READ_BYTES) as usize, 0);
    let mut filled = 0;
    while filled < buffer.len() {
        match movie.read_at(offset + filled as u64, &mut buffer[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    buffer.truncate(filled);
    Ok(Response::Bytes(filled as u32))
}
