//! One connection's way out, for its own task and for the streams that it follows.
//!
//! A stream gives each unit to the sockets of all viewers who have had everything, one after the other, as a loop over
//! sockets would: no task is woken for it. Only what a socket does not take at once is left to the connection's own task.
//!
//! Does not belong here: what is sent (`outlet.rs`), the loop (`client.rs`).
//!
//! Invariants: nobody waits here; what was begun is ended before anything else is written.

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::outbox::Outbox;

/// The way out.
#[derive(Debug)]
pub(crate) struct Wire {
    outbox: Mutex<Outbox>,
    /// `None` where a task alone can write: over TLS.
    socket: Option<Socket>,
    /// Rings for the connection's task.
    bell: Notify,
    /// Something was written since the last look.
    moved: AtomicBool,
}

/// What whoever has something to send writes to, beside tokio, which is asked only where a task has to wait: what it keeps of a
/// socket lies elsewhere in memory, and would be fetched for every unit.
#[derive(Debug)]
struct Socket {
    fd: RawFd,
    _open: Arc<TcpStream>,
}

impl Socket {
    fn of(stream: Arc<TcpStream>) -> Self {
        Self { fd: stream.as_raw_fd(), _open: stream }
    }
}

impl Wire {
    /// Over `socket`, or, without one, over whatever [`Self::write`] is given, which may have to be flushed.
    pub(crate) fn new(socket: Option<Arc<TcpStream>>) -> Self {
        let outbox = Mutex::new(Outbox::new(socket.is_none()));
        let socket = socket.map(Socket::of);
        Self { outbox, socket, bell: Notify::new(), moved: AtomicBool::new(false) }
    }

    /// Whether [`Self::send`] writes.
    pub(crate) fn has_socket(&self) -> bool {
        self.socket.is_some()
    }

    /// Nothing is left to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// How many buffers are left to write.
    pub(crate) fn queued(&self) -> usize {
        self.lock().queue.len()
    }

    /// To be written by the connection's task.
    pub(crate) fn push(&self, bytes: Bytes) {
        self.lock().queue.push_back(bytes);
    }

    /// Writes as much as the socket takes now of what is queued, `before` and `buffer`; whether nothing is left.
    pub(crate) fn send(&self, before: Option<Bytes>, buffer: Bytes) -> bool {
        let mut outbox = self.lock();
        outbox.queue.extend(before);
        let Some(socket) = &self.socket else {
            outbox.queue.push_back(buffer);
            return false;
        };
        if outbox.send(socket.fd, buffer) > 0 {
            self.moved.store(true, Ordering::Relaxed);
        }
        outbox.is_empty()
    }

    /// One write, or the flush after the last, by the connection's task. Nothing is lost when the future is dropped before it
    /// ends.
    pub(crate) async fn write<W: AsyncWrite + Unpin>(&self, writer: &mut W) -> io::Result<()> {
        poll_fn(|cx| self.lock().poll_write(cx, writer)).await?;
        self.moved.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Whether something was written since this was last asked.
    pub(crate) fn has_moved(&self) -> bool {
        self.moved.swap(false, Ordering::Relaxed)
    }

    /// The connection's task has something to do.
    pub(crate) fn ring(&self) {
        self.bell.notify_one();
    }

    /// Until somebody rings.
    pub(crate) async fn rung(&self) {
        self.bell.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
