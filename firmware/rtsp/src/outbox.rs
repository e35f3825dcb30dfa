//! What still has to be written to a connection, in order.
//!
//! Does not belong here: what that is.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncWrite, AsyncWriteExt};

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

    /// One write, or the flush after the last. Nothing is lost when the future is dropped before it ends.
    pub(crate) async fn write<W: AsyncWrite + Unpin>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.queue.is_empty() {
            writer.flush().await?;
            self.unflushed = false;
            return Ok(());
        }
        let slices: Vec<IoSlice<'_>> =
            self.queue.iter().take(MAX_SLICES).map(|bytes| IoSlice::new(bytes)).collect();
        let mut written = writer.write_vectored(&slices).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.unflushed = self.flushes;
        while let Some(front) = self.queue.front_mut() {
            if written < front.len() {
                front.advance(written);
                break;
            }
            written -= front.len();
            self.queue.pop_front();
        }
        Ok(())
    }
}
