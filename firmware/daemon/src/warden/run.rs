//! The warden's life on a PC: prepare, start the roles, stop them in order.
//!
//! A board's is in `board.rs`; both run the roles here.
//! Whoever writes footage stops before `record`, so that the recorder drains what they left, seals and ends.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hal::SystemClock;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use ring::digest;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::desk::{Desk, Opening};
use super::footage_keys;
use super::identity;
use super::keeper::{ACCOUNTS, FolderKeeper, IDENTITY, Keeper};
use super::kept;
use super::supervisor::supervise;
use crate::accounts_text;
use crate::args::RunArgs;
use crate::board_settings;
use crate::files;
use crate::messages::Volume;
use crate::role::Role;

/// Why the recorder could not be started, for the person at the console.
pub(crate) type StartError = Box<dyn std::error::Error + Send + Sync>;

/// `candor run`: returns after a clean stop.
pub(crate) fn run(args: &RunArgs) -> Result<(), StartError> {
    let board = board_settings::find(&args.board)?;
    files::make_private_dir(&args.data).map_err(|error| cannot(&args.data, "make", &error))?;
    let data = fs::canonicalize(&args.data).map_err(|error| cannot(&args.data, "use", &error))?;
    let _lock = lock(&data)?;
    let settings_file = args.settings.clone().unwrap_or_else(|| data.join("settings.toml"));
    let keeper: Arc<dyn Keeper> = Arc::new(FolderKeeper::new(data.clone(), settings_file));
    let settings = match kept::load(&*keeper)? {
        Some(settings) => settings,
        None => {
            let settings = board_settings::first(&board);
            kept::save(&*keeper, &settings)?;
            settings
        }
    };
    let accounts = accounts(&*keeper)?;
    let identity = identity::load_or_make(&*keeper, &settings.name)
        .map_err(|error| format!("cannot use {}: {error}", keeper.title(IDENTITY)))?;
    let footage_keys = footage_keys::load_or_make(&*keeper)?;
    let run_dir = run_dir(&data)?;
    println!("Candor {} on board {}", env!("CARGO_PKG_VERSION"), board.name);
    println!("Certificate fingerprint (SHA-256): {}", identity::fingerprint(&identity.certificate_pem)?);

    // A folder a disk: one may come and go with its mount, the others go on.
    let more = settings.storage.more_folders.iter().map(|folder| folder.join("candor"));
    let folders = [data.join("volume")].into_iter().chain(more);
    let volumes = folders.map(|dir| Volume { dir: Some(dir), ..Volume::default() }).collect();
    let desk = Arc::new(Desk::new(Opening {
        run_dir: run_dir.clone(),
        board: args.board.clone(),
        keeper,
        identity,
        footage_keys,
        settings,
        accounts,
        volumes,
        ring_budget: None,
        clock: Arc::new(SystemClock::new()),
    }));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // Whoever started this program may have blocked them, and a blocked mask is inherited.
        let signals = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];
        signals.into_iter().collect::<SigSet>().thread_unblock()?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        let mut ending = desk.watch_ending();
        let asked = async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hang_up.recv() => {}
                _ = ending.wait_for(Option::is_some) => {}
            }
        };
        watch_over(&desk, asked).await;
        Ok::<_, io::Error>(())
    })?;
    // Rings outlive a crash on purpose (they are the pre-record buffer), but not a clean stop.
    if let Err(error) = fs::remove_dir_all(&run_dir) {
        tracing::warn!(%error, dir = %run_dir.display(), "left behind");
    }
    Ok(())
}

/// The accounts' text, checked.
pub(super) fn accounts(keeper: &dyn Keeper) -> Result<String, StartError> {
    let title = keeper.title(ACCOUNTS);
    let bytes = keeper.get(ACCOUNTS).map_err(|error| format!("cannot read {title}: {error}"))?;
    let text = String::from_utf8(bytes.unwrap_or_default()).map_err(|_| format!("{title}: no text"))?;
    accounts_text::parse(&text).map_err(|error| format!("{title}: {error}"))?;
    Ok(text)
}

/// Runs the roles until `asked`, then stops them in order.
pub(super) async fn watch_over(desk: &Arc<Desk>, asked: impl Future<Output = ()>) {
    let writers_stop = watch::Sender::new(false);
    let record_stop = watch::Sender::new(false);
    let mut writers = Vec::new();
    let mut record = None;
    for role in Role::ALL {
        let stop = if role == Role::Record { &record_stop } else { &writers_stop };
        let task = tokio::spawn(supervise(role, Arc::clone(desk), stop.subscribe()));
        if role == Role::Record {
            record = Some(task);
        } else {
            writers.push(task);
        }
    }
    asked.await;
    tracing::info!("stopping");
    writers_stop.send_replace(true);
    for task in writers {
        let _ = task.await;
    }
    record_stop.send_replace(true);
    if let Some(task) = record {
        let _ = task.await;
    }
    tracing::info!("stopped");
}

/// One warden a data folder: two would write the same footage.
fn lock(data: &Path) -> Result<Flock<File>, StartError> {
    let path = data.join("lock");
    let file = File::create(&path).map_err(|error| cannot(&path, "write", &error))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| {
        if errno == nix::errno::Errno::EWOULDBLOCK {
            format!("{}: another recorder runs on this folder; stop it first", data.display()).into()
        } else {
            cannot(&path, "lock", &io::Error::from(errno))
        }
    })
}

/// A folder in memory for this data folder's rings and sockets, the same one at every start.
fn run_dir(data: &Path) -> Result<PathBuf, StartError> {
    let hash = digest::digest(&digest::SHA256, data.as_os_str().as_encoded_bytes());
    let tag: String = hash.as_ref()[..6].iter().map(|byte| format!("{byte:02x}")).collect();
    let parent = ["/run/candor", "/dev/shm"].map(Path::new).into_iter().find(|dir| is_tmpfs(dir));
    let dir = match parent {
        Some(parent) => parent.join(format!("candor-{tag}")),
        None => {
            tracing::warn!("no tmpfs at /dev/shm: the rings will wear the disk");
            data.join("run")
        }
    };
    files::make_own_dir(&dir).map_err(|error| cannot(&dir, "use", &error))?;
    Ok(dir)
}

fn is_tmpfs(dir: &Path) -> bool {
    statfs(dir).is_ok_and(|facts| facts.filesystem_type() == TMPFS_MAGIC)
}

fn cannot(path: &Path, verb: &str, error: &io::Error) -> StartError {
    format!("cannot {verb} {}: {error}", path.display()).into()
}
