//! The warden's life: prepare, start the roles, stop them in order.
//!
//! Whoever writes footage stops before `record`, so that the recorder drains what they left, seals and ends.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hal::{Clock, SystemClock};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use ring::digest;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::desk::{Desk, Places};
use super::identity;
use super::supervisor::supervise;
use crate::accounts_text;
use crate::args::RunArgs;
use crate::board_settings;
use crate::files;
use crate::role::Role;
use crate::settings;

/// Why the recorder could not be started, for the person at the console.
pub(crate) type StartError = Box<dyn std::error::Error + Send + Sync>;

/// `candor run`: returns after a clean stop.
pub(crate) fn run(args: &RunArgs) -> Result<(), StartError> {
    let board = board_settings::find(&args.board)?;
    files::make_private_dir(&args.data).map_err(|error| cannot(&args.data, "make", &error))?;
    let data = fs::canonicalize(&args.data).map_err(|error| cannot(&args.data, "use", &error))?;
    let _lock = lock(&data)?;
    let settings_file = args.settings.clone().unwrap_or_else(|| data.join("settings.toml"));
    let settings = match settings::load(&settings_file)? {
        Some(settings) => settings,
        None => {
            let settings = board_settings::first(&board);
            settings::save(&settings_file, &settings)?;
            settings
        }
    };
    let accounts_file = data.join("accounts.toml");
    let accounts = match fs::read_to_string(&accounts_file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(cannot(&accounts_file, "read", &error)),
    };
    accounts_text::parse(&accounts).map_err(|error| format!("{}: {error}", accounts_file.display()))?;
    let identity_dir = data.join("identity");
    let identity = identity::load_or_make(&identity_dir, &settings.name)
        .map_err(|error| cannot(&identity_dir, "use", &error))?;
    let run_dir = run_dir(&data)?;
    println!("Candor {} on board {}", env!("CARGO_PKG_VERSION"), board.name);
    println!("Certificate fingerprint (SHA-256): {}", identity::fingerprint(&identity.certificate_pem)?);

    let places =
        Places { settings_file, accounts_file, volume_dir: data.join("volume"), run_dir: run_dir.clone() };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let desk = Arc::new(Desk::new(places, identity, settings, accounts, clock));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(watch_over(desk))?;
    // Rings outlive a crash on purpose (they are the pre-record buffer), but not a clean stop.
    if let Err(error) = fs::remove_dir_all(&run_dir) {
        tracing::warn!(%error, dir = %run_dir.display(), "left behind");
    }
    Ok(())
}

async fn watch_over(desk: Arc<Desk>) -> io::Result<()> {
    // Whoever started this program may have blocked them, and a blocked mask is inherited.
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect::<SigSet>().thread_unblock()?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let writers_stop = watch::Sender::new(false);
    let record_stop = watch::Sender::new(false);
    let mut writers = Vec::new();
    let mut record = None;
    for role in Role::ALL {
        let stop = if role == Role::Record { &record_stop } else { &writers_stop };
        let task = tokio::spawn(supervise(role, Arc::clone(&desk), stop.subscribe()));
        if role == Role::Record {
            record = Some(task);
        } else {
            writers.push(task);
        }
    }
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
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
    Ok(())
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
