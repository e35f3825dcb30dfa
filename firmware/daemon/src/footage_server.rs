//! `record`'s side of the footage protocol: a thread a connection.

use std::fs;
use std::io::{self, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use hal::{ChannelId, Clock, StreamId, StreamKind, SystemClock, WallTime};
use ledger::Event;
use store::{FragmentRequest, Movie, Reader, StoreError};

use crate::footage::{
    ChannelFootage, LedgerPage, MAX_READ_BYTES, MAX_RUNS, Piece, Plan, Request, Response, socket_path,
};
use crate::footage_locks::{FootageLocks, LockRefusal, LockView, LockWish};
use crate::footage_refusal::{no_disk, refusal};
use crate::footage_replay;
use crate::ipc;
use crate::record_ledger::RecordLedger;
use crate::shelf::Shelf;
use crate::volume_order::{VolumeAct, VolumeOrder, VolumeRefusal};
use crate::vouchers::By;

/// Connections at one time: twice what one `serve` opens, so that one just started beside a dying one fits.
const MAX_CONNECTIONS: usize = 96;
/// Leaves of one answer: a page that people read; the largest ones are 64 KiB.
const MAX_LEAVES: usize = web::limits::MAX_LEDGER_ENTRIES as usize;
/// Runs closer than this are shown as one, microseconds.
const JOIN_GAP_MICROS: i64 = 2_000_000;

/// Answers questions about footage until the process ends.
pub(crate) struct FootageServer {
    shelf: Arc<Shelf>,
    ledger: Option<Arc<RecordLedger>>,
    orders: OrderLine,
    locks: FootageLocks,
    connections: AtomicUsize,
}

/// Hands an order to the thread that has the volumes; `false` when it has ended.
pub(crate) type OrderLine = Box<dyn Fn(VolumeOrder) -> bool + Send + Sync>;

impl FootageServer {
    /// Listens in `run_dir`.
    pub(crate) fn start(
        run_dir: &Path,
        shelf: Arc<Shelf>,
        ledger: Option<Arc<RecordLedger>>,
        orders: OrderLine,
        locks: FootageLocks,
    ) -> io::Result<()> {
        let path = socket_path(run_dir);
        // Left behind by a recorder that was killed; the volume's lock keeps two from running.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        let server = Arc::new(Self { shelf, ledger, orders, locks, connections: AtomicUsize::new(0) });
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
            if let Request::Play { channel, start, end, zero, sound } = request {
                self.play(&mut socket, &FragmentRequest { channel, start, end, zero, sound })?;
                continue;
            }
            if let Request::Replay(request) = request {
                footage_replay::send(&self.shelf, &mut socket, &request)?;
                continue;
            }
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
        let reader = self.shelf.reader();
        let outcome = match (request, &reader) {
            (Request::Note { unix_micros, event }, _) => return self.note(unix_micros, &event),
            (Request::Ledger { before, limit }, _) => return self.ledger_page(before, limit),
            (Request::Locks, _) => return Response::Locks(self.locks.all()),
            (Request::Lock(wish), _) => return Response::Locked(self.lock(wish)),
            (Request::Unlock { id, by }, _) => return Response::Unlocked(self.unlock(id, &by)),
            (Request::Deletions, _) => return Response::Deletions(self.locks.deletions()),
            (Request::Deletable(wish), _) => {
                return Response::Deletable(self.locks.deletable(&wish, SystemClock::new().wall()));
            }
            (Request::Delete { wish, by }, _) => {
                let accepted = self.locks.delete(&wish, &by, SystemClock::new().wall());
                // Files that were planned have holes from now on.
                self.shelf.forget_plans();
                return Response::Deletable(accepted);
            }
            (Request::Order { path, act }, _) => {
                // Not held meanwhile: the volume may be closed.
                drop(reader);
                return Response::Ordered(self.order(path, act));
            }
            (_, None) => return no_disk(),
            (Request::Timeline { channels, start, end }, Some(reader)) => {
                let footage = channels.iter().map(|channel| channel_footage(reader, *channel, start, end));
                footage.collect::<Result<_, _>>().map(Response::Timeline)
            }
            (Request::Plan(file), _) => self.shelf.plan(&file).map(|movie| Response::Plan(describe(&movie))),
            (Request::Export { file, by, from }, _) => {
                let movie = self.shelf.export(&file, &By { user: &by, from }, self.ledger.as_deref());
                movie.map(|movie| Response::Plan(describe(&movie)))
            }
            (Request::Read { file, etag, offset, length }, _) => {
                self.shelf.kept_or_planned(&file, &etag).and_then(|movie| match movie {
                    Some(movie) => read_exactly(&movie, offset, length, buffer),
                    None => Ok(Response::Changed),
                })
            }
            (Request::Play { .. } | Request::Replay(_), _) => {
                Ok(Response::Failed("answered elsewhere".to_owned()))
            }
        };
        outcome.unwrap_or_else(|error| refusal(&error))
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
                | Event::EventMarked { .. }
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

    fn lock(&self, wish: LockWish) -> Result<(LockView, u64), LockRefusal> {
        let (lock, bytes) = self.locks.lock(wish, SystemClock::new().wall())?;
        self.tell(Event::FootageLocked {
            channels: lock.channels.clone(),
            start: lock.start,
            end: lock.end,
            by: lock.by.as_str().into(),
            reason: lock.reason.as_str().into(),
        });
        Ok((lock, bytes))
    }

    fn unlock(&self, id: u64, by: &str) -> Result<(), LockRefusal> {
        let LockView { channels, start, end, reason, .. } = self.locks.unlock(id)?;
        self.tell(Event::FootageUnlocked { channels, start, end, by: by.into(), reason: reason.into() });
        Ok(())
    }

    fn tell(&self, event: Event) {
        if let Some(ledger) = &self.ledger {
            ledger.note(event);
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
        self.shelf.forget_plans();
        outcome
    }

    /// Sends fragments as the other end takes them.
    fn play(&self, socket: &mut UnixStream, request: &FragmentRequest) -> io::Result<()> {
        // Before the volumes are asked for, so that none can go unnoticed.
        let _playing = self.shelf.playing(socket)?;
        let Some(reader) = self.shelf.reader() else { return ipc::write(socket, &no_disk()) };
        let fragments = match reader.fragments(request) {
            Ok(fragments) => fragments,
            Err(error) => return ipc::write(socket, &refusal(&error)),
        };
        ipc::write(socket, &Response::Stream { mime: fragments.mime().to_owned() })?;
        for piece in fragments {
            match piece {
                Ok(piece) => {
                    for part in piece.chunks(MAX_READ_BYTES as usize) {
                        ipc::write(socket, &Response::Bytes(part.len() as u32))?;
                        socket.write_all(part)?;
                    }
                }
                Err(error) => return ipc::write(socket, &refusal(&error)),
            }
        }
        ipc::write(socket, &Response::End)
    }
}

fn channel_footage(
    reader: &Reader,
    channel: ChannelId,
    start: WallTime,
    end: WallTime,
) -> Result<ChannelFootage, StoreError> {
    let stream = StreamId::new(channel, StreamKind::Main);
    let mut runs: Vec<(WallTime, WallTime)> = Vec::new();
    for run in reader.runs(stream, start, end)? {
        match runs.last_mut() {
            Some(last) if run.start.micros_since(last.1) <= JOIN_GAP_MICROS => last.1 = last.1.max(run.end),
            _ => runs.push((run.start, run.end)),
        }
    }
    // The newest are what people look for.
    runs.drain(..runs.len().saturating_sub(MAX_RUNS));
    let bounds = reader.bounds(stream)?;
    Ok(ChannelFootage {
        channel,
        runs,
        oldest: bounds.map(|(oldest, _)| oldest),
        newest: bounds.map(|(_, newest)| newest),
    })
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
        codecs: movie.tracks().iter().flat_map(|track| track.codecs.iter().cloned()).collect(),
        unread: movie.unread().iter().map(|unread| (unread.start, unread.end)).collect(),
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
