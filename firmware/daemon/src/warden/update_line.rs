//! The warden's end of the line on which bundles come.
//!
//! The socket lies in the recorder's own folder, which nobody else can enter. Does not belong here: what is done with
//! the bytes (`update_intake.rs`).

use std::fs;
use std::io;
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use web::update_views::UpdateStageCode;

use super::update::{Turn, Updater};
use super::update_install::install;
use super::update_intake::{BrokenOff, Source, Staged, finish, take};
use super::update_sticks;
use crate::ipc;
use crate::messages::Refusal;
use crate::update_line::{FromUpdater, MAX_PIECE_BYTES, ToUpdater, socket_path};

/// Senders at one time: one is served, and the others are told that it is busy.
const MAX_SENDERS: usize = 4;
/// A sender that sends nothing for this long is gone; `serve` gives a browser half of it.
const STALL: Duration = Duration::from_secs(60);
/// How often the stage is told to whoever follows it.
const FOLLOW_EVERY: Duration = Duration::from_millis(250);

/// Listens until the process ends.
pub(super) fn listen(updater: &Arc<Updater>) -> io::Result<()> {
    let path = socket_path(updater.desk.run_dir());
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    let updater = Arc::clone(updater);
    let senders = Arc::new(AtomicUsize::new(0));
    thread::Builder::new().name("update".to_owned()).spawn(move || {
        for socket in listener.incoming() {
            match socket {
                Ok(socket) => welcome(&updater, &senders, socket),
                Err(error) => tracing::warn!(%error, "a sender was not accepted"),
            }
        }
    })?;
    Ok(())
}

fn welcome(updater: &Arc<Updater>, senders: &Arc<AtomicUsize>, socket: UnixStream) {
    if senders.fetch_add(1, Ordering::AcqRel) >= MAX_SENDERS {
        senders.fetch_sub(1, Ordering::AcqRel);
        tracing::warn!("too many senders of updates");
        return;
    }
    let (updater, counted) = (Arc::clone(updater), Arc::clone(senders));
    let spawned = thread::Builder::new().name("update-sender".to_owned()).spawn(move || {
        if let Err(error) = serve(&updater, socket) {
            tracing::debug!(%error, "a sender of an update is gone");
        }
        counted.fetch_sub(1, Ordering::AcqRel);
    });
    if let Err(error) = spawned {
        senders.fetch_sub(1, Ordering::AcqRel);
        tracing::warn!(%error, "no thread for a sender");
    }
}

fn serve(updater: &Arc<Updater>, mut socket: UnixStream) -> io::Result<()> {
    socket.set_read_timeout(Some(STALL))?;
    socket.set_write_timeout(Some(STALL))?;
    let Some(first) = ipc::read::<ToUpdater>(&mut socket)? else { return Ok(()) };
    let (taken, follow) = match first {
        ToUpdater::Upload { downgrade, total_bytes, follow } => {
            (receive(updater, &socket, total_bytes, downgrade), follow)
        }
        ToUpdater::Usb { device, file, downgrade } => {
            (update_sticks::take_from(updater, &device, &file, downgrade), false)
        }
        ToUpdater::Piece(_) | ToUpdater::End => return Err(io::ErrorKind::InvalidData.into()),
    };
    match taken {
        Ok((turn, staged)) => {
            // Who sent it may be gone; what is verified is installed all the same.
            let _ = ipc::write(&mut socket, &FromUpdater::Answer(Ok(())));
            if follow {
                let following = Arc::clone(updater);
                let teller = thread::Builder::new().name("update-teller".to_owned());
                let _ = teller.spawn(move || tell_stages(&following, &mut socket));
            }
            install(turn, staged);
            Ok(())
        }
        Err(refusal) => ipc::write(&mut socket, &FromUpdater::Answer(Err(refusal))),
    }
}

fn receive(
    updater: &Arc<Updater>,
    socket: &UnixStream,
    announced: Option<u64>,
    downgrade: bool,
) -> Result<(Turn, Staged), Refusal> {
    let turn = updater.begin(UpdateStageCode::Receiving)?;
    if let Ok(waker) = socket.try_clone() {
        turn.wake_with(move || drop(waker.shutdown(Shutdown::Read)));
    }
    let mut pieces = Pieces(socket);
    finish(turn, |turn| take(turn, &mut pieces, announced, downgrade))
}

/// Tells the stage whenever it is another, until the recorder restarts or nothing happens any more.
fn tell_stages(updater: &Updater, socket: &mut UnixStream) {
    let mut told = None;
    loop {
        let stage = updater.stage();
        if told.as_ref() != Some(&stage) {
            let over = !matches!(stage.code, UpdateStageCode::Verifying | UpdateStageCode::Installing);
            if ipc::write(socket, &FromUpdater::Stage(stage.clone())).is_err() || over {
                return;
            }
            told = Some(stage);
        }
        thread::sleep(FOLLOW_EVERY);
    }
}

/// A sender's pieces.
struct Pieces<'a>(&'a UnixStream);

impl Source for Pieces<'_> {
    fn next(&mut self) -> Result<Option<Vec<u8>>, BrokenOff> {
        match ipc::read::<ToUpdater>(&mut self.0).map_err(BrokenOff)? {
            Some(ToUpdater::Piece(piece)) if piece.len() <= MAX_PIECE_BYTES => Ok(Some(piece)),
            Some(ToUpdater::End) => Ok(None),
            Some(_) => Err(BrokenOff(io::ErrorKind::InvalidData.into())),
            None => Err(BrokenOff(io::ErrorKind::UnexpectedEof.into())),
        }
    }
}
