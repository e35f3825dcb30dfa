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
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::footage::{MAX_READ_BYTES, Request, Response, socket_path};
use crate::ipc;

/// Questions in flight: what the recorder's threads can answer side by side without a disk seeking between them.
const MAX_IN_FLIGHT: usize = 16;
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
}

impl FootageClient {
    pub(crate) fn new(run_dir: &Path) -> Self {
        let shared = Shared {
            socket: socket_path(run_dir),
            idle: Mutex::default(),
            in_flight: Semaphore::new(MAX_IN_FLIGHT),
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
        let mut head = [0; 4];
        socket.read_exact(&mut head).await?;
        let mut body = vec![0; ipc::body_length(head)?];
        socket.read_exact(&mut body).await?;
        let response = ipc::decode(&body)?;
        let mut payload = Vec::new();
        if let Response::Bytes(length) = response {
            if length > MAX_READ_BYTES {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "more bytes than a read has"));
            }
            payload.resize(length as usize, 0);
            socket.read_exact(&mut payload).await?;
        }
        let mut idle = self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IN_FLIGHT {
            idle.push(socket);
        }
        Ok((response, payload.into()))
    }
}
