//! What still has to be written to a connection, in order.
//!
//! Does not belong here: what that is, and who writes it (`wire.rs`).

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::RawFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use nix::sys::socket::{MsgFlags, send, sendmsg};
use tokio::io::AsyncWrite;

/// Buffers given to one write.
const MAX_SLICES: usize = 16;

/// A packet on an interleaved channel (RFC 2326 section 10.12).
pub(crate) fn interleaved(channel: u8, packet: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(packet.len() + 4);
    bytes.extend_from_slice(&[b'$', channel]);
    bytes.extend_from_slice(&(packet.len() as u16).to_be_bytes());
    bytes.extend_from_slice(packet);
    bytes.into()
}

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) queue: VecDeque<Bytes>,
    /// TLS holds back records until told.
    flushes: bool,
    unflushed: bool,
}

impl Outbox {
    /// `flushes`: what is written is held back until it is flushed.
    pub(crate) fn new(flushes: bool) -> Self {
        Self { flushes, ..Self::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty() && !self.unflushed
    }

    /// One write, or the flush after the last.
    pub(crate) fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        writer: &mut W,
    ) -> Poll<io::Result<()>> {
        if self.queue.is_empty() {
            ready!(Pin::new(writer).poll_flush(cx))?;
            self.unflushed = false;
            return Poll::Ready(Ok(()));
        }
        let written = ready!(self.give(|slices| Pin::new(writer).poll_write_vectored(cx, slices)))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.unflushed = self.flushes;
        self.written(written);
        Poll::Ready(Ok(()))
    }

    /// Queues a buffer, and gives the socket `fd` in one call what it takes now; how many bytes those are.
    pub(crate) fn send(&mut self, fd: RawFd, mut buffer: Bytes) -> usize {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        if self.queue.is_empty() {
            // An error, if it is one, comes again with the next write, by whoever can deal with it.
            let written = send(fd, &buffer, flags).unwrap_or(0);
            if written < buffer.len() {
                buffer.advance(written);
                self.queue.push_back(buffer);
            }
            return written;
        }
        self.queue.push_back(buffer);
        let written = self.give(|slices| sendmsg::<()>(fd, slices, &[], flags, None)).unwrap_or(0);
        self.written(written);
        written
    }

    fn give<R>(&self, write: impl FnOnce(&[IoSlice<'_>]) -> R) -> R {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let mut count = 0;
        for (slice, bytes) in slices.iter_mut().zip(&self.queue) {
            *slice = IoSlice::new(bytes);
            count += 1;
        }
        write(&slices[..count])
    }

    fn written(&mut self, mut length: usize) {
        while let Some(front) = self.queue.front_mut() {
            if length < front.len() {
                front.advance(length);
                return;
            }
            length -= front.len();
            self.queue.pop_front();
        }
    }
}
