//! `serve`'s side of the footage protocol: one connection a question in flight.
//!
//! A connection is kept for the next question.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::footage::{
    MAX_READ_BYTES, MAX_UNIT_BYTES, ReplayHead, ReplayOf, Request, Response, UnitHead, socket_path,
};
use crate::ipc;

/// Questions in flight: what the recorder's threads can answer side by side without a disk seeking between them.
const MAX_IN_FLIGHT: usize = 16;
/// Recordings that are played at the same time, a connection each.
const MAX_PLAYED: usize = 16;
/// Recordings that are replayed over RTSP at the same time, a connection and a thread of the recorder each.
const MAX_REPLAYED: usize = 16;
/// A disk that is slow to answer is waited for; one that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(15);

/// Asks the recorder; clones share the connections.
#[derive(Clone)]
pub(crate) struct FootageClient {
    shared: Arc<Shared>,
}

struct Shared {
    socket: PathBuf,
    idle: Mutex<Vec<UnixStream>>,
    in_flight: Semaphore,
    played: Arc<Semaphore>,
    replayed: Arc<Semaphore>,
}

/// Units that are read as they are taken; made by [`FootageClient::replay`].
pub(crate) struct Replayed {
    socket: UnixStream,
    _place: OwnedSemaphorePermit,
}

/// Fragments that are made as they are taken; made by [`FootageClient::play`].
pub(crate) struct Played {
    socket: UnixStream,
    ended: bool,
    _place: OwnedSemaphorePermit,
}

impl FootageClient {
    pub(crate) fn new(run_dir: &Path) -> Self {
        let shared = Shared {
            socket: socket_path(run_dir),
            idle: Mutex::default(),
            in_flight: Semaphore::new(MAX_IN_FLIGHT),
            played: Arc::new(Semaphore::new(MAX_PLAYED)),
            replayed: Arc::new(Semaphore::new(MAX_REPLAYED)),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The answer, and the bytes that followed it.
    ///
    /// # Errors
    /// When the recorder is not there or too slow; it is started again, so asking later helps.
    pub(crate) async fn ask(&self, request: &Request) -> io::Result<(Response, Bytes)> {
        let frame = ipc::encode(request)?;
        let _permit = self.shared.in_flight.acquire().await.map_err(io::Error::other)?;
        timeout(PATIENCE, self.exchange(&frame)).await.map_err(|_| io::ErrorKind::TimedOut)?
    }

    /// The first answer to [`Request::Play`], and where the bytes come from.
    ///
    /// # Errors
    /// As [`FootageClient::ask`]; `QuotaExceeded` when as many are played already as the recorder has threads for.
    pub(crate) async fn play(&self, request: &Request) -> io::Result<(Response, Played)> {
        let (response, socket, place) = self.begin(request, &self.shared.played).await?;
        Ok((response, Played { socket, ended: false, _place: place }))
    }

    /// What is replayed, and where the units come from; another answer than [`Response::Replay`] is the error's.
    ///
    /// # Errors
    /// As [`FootageClient::play`]; `NotFound` when there is no such footage.
    pub(crate) async fn replay(&self, request: ReplayOf) -> io::Result<(ReplayHead, Replayed)> {
        let (response, socket, place) = self.begin(&Request::Replay(request), &self.shared.replayed).await?;
        match response {
            Response::Replay(head) => Ok((head, Replayed { socket, _place: place })),
            Response::NoFootage => Err(io::ErrorKind::NotFound.into()),
            other => Err(io::Error::other(format!("record answered {other:?}"))),
        }
    }

    /// The first answer on a connection of its own.
    async fn begin(
        &self,
        request: &Request,
        places: &Arc<Semaphore>,
    ) -> io::Result<(Response, UnixStream, OwnedSemaphorePermit)> {
        let frame = ipc::encode(request)?;
        let place = Arc::clone(places)
            .try_acquire_owned()
            .map_err(|_| io::Error::from(io::ErrorKind::QuotaExceeded))?;
        let begun = async {
            let mut socket = UnixStream::connect(&self.shared.socket).await?;
            socket.write_all(&frame).await?;
            let response = read_response(&mut socket).await?;
            Ok((response, socket, place))
        };
        timeout(PATIENCE, begun).await.map_err(|_| io::ErrorKind::TimedOut)?
    }

    async fn exchange(&self, frame: &[u8]) -> io::Result<(Response, Bytes)> {
        // A kept connection may be from before the recorder was started again; a fresh one decides.
        let kept = self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(socket) = kept
            && let Ok(answer) = self.exchange_on(socket, frame).await
        {
            return Ok(answer);
        }
        // Those beside it are from then, too.
        self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.exchange_on(UnixStream::connect(&self.shared.socket).await?, frame).await
    }

    async fn exchange_on(&self, mut socket: UnixStream, frame: &[u8]) -> io::Result<(Response, Bytes)> {
        socket.write_all(frame).await?;
        let response = read_response(&mut socket).await?;
        let payload = read_payload(&mut socket, &response).await?;
        let mut idle = self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IN_FLIGHT {
            idle.push(socket);
        }
        Ok((response, payload))
    }
}

impl Played {
    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// When the recorder ends it, or the disk takes too long: it can be asked for anew.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if self.ended {
            return Ok(None);
        }
        let next = async {
            let response = read_response(&mut self.socket).await?;
            let payload = read_payload(&mut self.socket, &response).await?;
            Ok::<_, io::Error>((response, payload))
        };
        match timeout(PATIENCE, next).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?? {
            (Response::Bytes(_), bytes) => Ok(Some(bytes)),
            (Response::End, _) => {
                self.ended = true;
                Ok(None)
            }
            (other, _) => Err(io::Error::other(format!("the stream ended with {other:?}"))),
        }
    }
}

impl Replayed {
    /// The next unit; `None` at the end, after which it is not to be called.
    ///
    /// # Errors
    /// As [`Played::next`].
    pub(crate) async fn next(&mut self) -> io::Result<Option<(UnitHead, Bytes)>> {
        let next = async {
            let head = match read_response(&mut self.socket).await? {
                Response::Unit(head) => head,
                Response::End => return Ok(None),
                other => return Err(io::Error::other(format!("the replay ended with {other:?}"))),
            };
            if head.bytes as usize > MAX_UNIT_BYTES {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "more bytes than a unit has"));
            }
            let mut payload = vec![0; head.bytes as usize];
            self.socket.read_exact(&mut payload).await?;
            Ok(Some((head, payload.into())))
        };
        timeout(PATIENCE, next).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }
}

async fn read_response(socket: &mut UnixStream) -> io::Result<Response> {
    let mut head = [0; 4];
    socket.read_exact(&mut head).await?;
    let mut body = vec![0; ipc::body_length(head)?];
    socket.read_exact(&mut body).await?;
    ipc::decode(&body)
}

/// The bytes that follow a response.
async fn read_payload(socket: &mut UnixStream, response: &Response) -> io::Result<Bytes> {
    let Response::Bytes(length) = response else { return Ok(Bytes::new()) };
    if *length > MAX_READ_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "more bytes than a read has"));
    }
    let mut payload = vec![0; *length as usize];
    socket.read_exact(&mut payload).await?;
    Ok(payload.into())
}
