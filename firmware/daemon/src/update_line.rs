//! The line on which a bundle goes to the warden: a Unix socket.
//!
//! The sender says what comes, then sends pieces, then the end; the warden answers once, at any time: a refusal,
//! or that all is verified and installing has begun. A line that closes before the end leaves nothing behind.
//! Whoever may reach the socket may send: what is taken is decided by signatures, not by who sends.
//!
//! Does not belong here: reading a bundle (`warden/update_intake.rs`).

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;
use web::update_views::UpdateStage;

use crate::ipc;
use crate::messages::Refusal;

/// The most in one piece: what a connection buffers, and little against a board's memory.
pub(crate) const MAX_PIECE_BYTES: usize = 64 << 10;
/// How long the warden may take for a piece: a disk that wakes up, or flash that is erased meanwhile.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long verifying may take once all is sent: a minute for the largest bundle on the slowest disk, twice.
const VERIFY_PATIENCE: Duration = Duration::from_secs(120);

/// To the warden.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ToUpdater {
    /// A bundle follows.
    Upload {
        /// An older version is meant.
        downgrade: bool,
        /// Its size, where known.
        total_bytes: Option<u64>,
        /// Tell the stages after the answer, too.
        follow: bool,
    },
    /// Its next bytes.
    Piece(Vec<u8>),
    /// That was all of it.
    End,
    /// Take one from a stick.
    Usb {
        /// The stick's partition.
        device: String,
        /// The file's name.
        file: String,
        /// An older version is meant.
        downgrade: bool,
    },
}

/// From the warden.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FromUpdater {
    /// All is verified and installing has begun, or why not. Once.
    Answer(Result<(), Refusal>),
    /// After a good answer, to whoever follows.
    Stage(UpdateStage),
}

/// Where the line begins.
pub(crate) fn socket_path(run_dir: &Path) -> PathBuf {
    run_dir.join("update.sock")
}

/// What became of a piece.
#[derive(Debug)]
pub(crate) enum Sent {
    /// It is on its way.
    Taken,
    /// No more is wanted: this is the answer.
    Answered(Result<(), Refusal>),
}

/// The sender's end. Dropping it before [`Line::finish`] takes all back.
pub(crate) struct Line {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    inbox: Vec<u8>,
}

impl Line {
    /// A line for an upload.
    pub(crate) async fn upload(
        run_dir: &Path,
        downgrade: bool,
        total_bytes: Option<u64>,
        follow: bool,
    ) -> io::Result<Self> {
        let mut line = Self::open(run_dir).await?;
        line.write(&ToUpdater::Upload { downgrade, total_bytes, follow }).await?;
        Ok(line)
    }

    /// Has a bundle taken from a stick.
    pub(crate) async fn usb(
        run_dir: &Path,
        device: String,
        file: String,
        downgrade: bool,
    ) -> io::Result<Result<(), Refusal>> {
        let mut line = Self::open(run_dir).await?;
        line.write(&ToUpdater::Usb { device, file, downgrade }).await?;
        line.answer().await
    }

    async fn open(run_dir: &Path) -> io::Result<Self> {
        let (reader, writer) = UnixStream::connect(socket_path(run_dir)).await?.into_split();
        Ok(Self { reader, writer, inbox: Vec::new() })
    }

    /// Sends bytes, as fast as they are taken.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<Sent> {
        for piece in bytes.chunks(MAX_PIECE_BYTES) {
            let frame = ipc::encode(&ToUpdater::Piece(piece.to_vec()))?;
            let (reader, writer, inbox) = (&mut self.reader, &mut self.writer, &mut self.inbox);
            let sent = async {
                tokio::select! {
                    biased;
                    message = receive(reader, inbox) => Some(message),
                    sent = writer.write_all(&frame) => match sent {
                        Ok(()) => None,
                        // It does not listen any more: then it has said why.
                        Err(_) => Some(receive(reader, inbox).await),
                    },
                }
            };
            if let Some(message) = timeout(PATIENCE, sent).await.map_err(|_| io::ErrorKind::TimedOut)? {
                return answer_in(message?).map(Sent::Answered);
            }
        }
        Ok(Sent::Taken)
    }

    /// That was all of it: waits until it is verified and installing has begun.
    pub(crate) async fn finish(&mut self) -> io::Result<Result<(), Refusal>> {
        // A refusal may have come before; then writing fails and reading does not.
        let _ = self.write(&ToUpdater::End).await;
        self.answer().await
    }

    /// The next stage, for whoever follows; `None` when the warden is gone.
    pub(crate) async fn stage(&mut self) -> Option<UpdateStage> {
        match receive(&mut self.reader, &mut self.inbox).await {
            Ok(FromUpdater::Stage(stage)) => Some(stage),
            Ok(FromUpdater::Answer(_)) | Err(_) => None,
        }
    }

    async fn answer(&mut self) -> io::Result<Result<(), Refusal>> {
        let receiving = receive(&mut self.reader, &mut self.inbox);
        answer_in(timeout(VERIFY_PATIENCE, receiving).await.map_err(|_| io::ErrorKind::TimedOut)??)
    }

    async fn write(&mut self, message: &ToUpdater) -> io::Result<()> {
        self.writer.write_all(&ipc::encode(message)?).await
    }
}

fn answer_in(message: FromUpdater) -> io::Result<Result<(), Refusal>> {
    match message {
        FromUpdater::Answer(answer) => Ok(answer),
        FromUpdater::Stage(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "a stage before the answer")),
    }
}

/// The next message. May be dropped while it waits and called again: what has come is in `inbox`.
async fn receive(reader: &mut OwnedReadHalf, inbox: &mut Vec<u8>) -> io::Result<FromUpdater> {
    loop {
        if let Some((head, rest)) = inbox.split_first_chunk::<4>() {
            let length = ipc::body_length(*head)?;
            if let Some(body) = rest.get(..length) {
                let message = ipc::decode(body)?;
                inbox.drain(..4 + length);
                return Ok(message);
            }
        }
        if reader.read_buf(inbox).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;
    use crate::messages::RefusalCode;

    fn refusal() -> Refusal {
        Refusal::new(RefusalCode::WrongBoard, "for another board")
    }

    #[tokio::test]
    async fn pieces_arrive_in_order_and_the_answer_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(socket_path(dir.path())).unwrap();
        let warden = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut bytes = Vec::new();
            let first = ipc::read::<ToUpdater>(&mut socket).unwrap().unwrap();
            assert_eq!(
                first,
                ToUpdater::Upload { downgrade: true, total_bytes: Some(200_000), follow: false }
            );
            while let Some(ToUpdater::Piece(piece)) = ipc::read(&mut socket).unwrap() {
                assert!(piece.len() <= MAX_PIECE_BYTES);
                bytes.extend(piece);
            }
            ipc::write(&mut socket, &FromUpdater::Answer(Ok(()))).unwrap();
            bytes
        });
        let sent: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
        let mut line = Line::upload(dir.path(), true, Some(200_000), false).await.unwrap();
        for piece in sent.chunks(150_000) {
            assert!(matches!(line.send(piece).await.unwrap(), Sent::Taken));
        }
        line.finish().await.unwrap().unwrap();
        assert_eq!(warden.join().unwrap(), sent);
    }

    #[tokio::test]
    async fn a_refusal_in_the_middle_ends_the_sending_and_is_not_lost() {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(socket_path(dir.path())).unwrap();
        let warden = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            ipc::read::<ToUpdater>(&mut socket).unwrap();
            ipc::read::<ToUpdater>(&mut socket).unwrap();
            ipc::write(&mut socket, &FromUpdater::Answer(Err(refusal()))).unwrap();
            // Gone, with bytes unread.
        });
        let mut line = Line::upload(dir.path(), false, None, false).await.unwrap();
        let piece = vec![0; MAX_PIECE_BYTES];
        let answer = loop {
            match line.send(&piece).await.unwrap() {
                Sent::Taken => {}
                Sent::Answered(answer) => break answer,
            }
        };
        assert_eq!(answer, Err(refusal()));
        warden.join().unwrap();
    }
}
