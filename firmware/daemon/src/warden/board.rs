//! The warden's life as process 1 of a board: prepare, run, restart in order.
//!
//! There is no shell, no other program and nobody to answer for it: what cannot be used is told on the console
//! and in the log, and the rest goes on. A start that fails wholly is told too, and the board restarts after a
//! while; the loader counts such starts of an image that is on trial.
//!
//! Does not belong here: what the parts do, each in its file.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use board::{Board, PartitionRole};
use hal::{Clock, NorFlash, SystemClock};
use hal_linux::Mtd;
use system::PowerAct;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};
use update::StateLog;

use super::contacts;
use super::desk::{Desk, Opening};
use super::devices::Devices;
use super::disk_hands::{self, BoardHands};
use super::disks::DiskThread;
use super::flash_keeper::{FlashKeeper, SharedLog};
use super::footage_keys;
use super::identity;
use super::keeper::{ACCOUNTS, FOOTAGE_KEY, FOOTAGE_OWNER, IDENTITY, Keeper, MemoryKeeper, settings_key};
use super::kept;
use super::modules;
use super::network;
use super::run::{StartError, accounts, watch_over};
use super::time;
use super::update::Updater;
use super::update_slots::Slots;
use super::{indicators, update_start, watchdog};
use crate::board_settings;
use crate::boot::{self, BootFacts};
use crate::files;
use crate::logs;
use crate::messages::{DiskState, Order, Refusal, RefusalCode, Volume};
use crate::settings::{OLDEST_VERSION, Settings, VERSION};
use crate::version;

/// Sockets and rings, in memory.
const RUN_DIR: &str = "/run/candor";
/// A description that the image brings itself, for a board that the program does not know.
const BOARD_FILE: &str = "/etc/candor/board.toml";
/// After a start that failed: long enough to read why.
const RESTART_AFTER: Duration = Duration::from_secs(30);
/// Orphans that nobody said anything of are looked for this often.
const REAP_EVERY: Duration = Duration::from_secs(30);

/// Whether this program was started as a board's first process.
pub(crate) fn is_init() -> bool {
    let name = std::env::args_os().next().unwrap_or_default();
    std::process::id() == 1 && Path::new(&name).file_name().is_some_and(|name| name == "init")
}

/// The board's whole life; there is nothing to return to.
pub(crate) fn init() -> ! {
    logs::begin();
    let act = live().unwrap_or_else(|error| {
        say(&format!(
            "candor: {error}\nThe recorder could not be started. The board restarts in {} s.",
            RESTART_AFTER.as_secs()
        ));
        thread::sleep(RESTART_AFTER);
        PowerAct::Restart
    });
    say(match act {
        PowerAct::Restart => "The board restarts.",
        PowerAct::PowerOff => "The board can be switched off.",
    });
    let Err(error) = system::end(act);
    say(&format!("candor: {error}"));
    // Process 1 must not end, or the kernel stops in the middle; the watchdog is no longer fed.
    loop {
        thread::sleep(RESTART_AFTER);
    }
}

fn live() -> Result<PowerAct, StartError> {
    let facts = BootFacts::read(Path::new(boot::PATH)).map_err(|error| format!("{}: {error}", boot::PATH))?;
    let name = if Path::new(BOARD_FILE).exists() { BOARD_FILE.to_owned() } else { facts.board_name() };
    let board = board_settings::find(&name)?;
    say(&facts.line());
    tracing::info!(
        version = facts.version,
        commit = facts.commit,
        board = facts.board,
        slot = facts.slot,
        image = facts.root_sha256,
        signed_by = facts.signed_by,
        trying = facts.trying,
        "begins"
    );
    files::make_own_dir(Path::new(RUN_DIR)).map_err(|error| format!("cannot use {RUN_DIR}: {error}"))?;
    time::from_rtc(SystemClock::new().wall(), &board);
    let log = state_log(&board);
    let keeper: Arc<dyn Keeper> = match &log {
        Ok(log) => Arc::new(FlashKeeper::new(Arc::clone(log))),
        Err(error) => {
            say(&format!("The flash cannot be used: {error}. Nothing that is set now outlives a restart."));
            Arc::new(MemoryKeeper::default())
        }
    };
    let settings = kept_settings(&*keeper, &board);
    let accounts = accounts(&*keeper).unwrap_or_else(|error| {
        say(&format!(
            "The accounts are damaged: {error}. The recorder waits for its owner as a new one does."
        ));
        String::new()
    });
    let identity = identity::load_or_make(&*keeper, &settings.name).or_else(|error| {
        say(&format!("The identity is damaged: {error}. It gets a new one."));
        keeper.remove(IDENTITY)?;
        identity::load_or_make(&*keeper, &settings.name)
    })?;
    say(&format!("Certificate fingerprint (SHA-256): {}", identity::fingerprint(&identity.certificate_pem)?));
    let footage_keys = footage_keys::load_or_make(&*keeper).or_else(|error| {
        say(&format!(
            "The footage key is damaged: {error}. Disks that were encrypted with it need their recovery key."
        ));
        keeper.remove(FOOTAGE_KEY)?;
        keeper.remove(FOOTAGE_OWNER)?;
        footage_keys::load_or_make(&*keeper)
    })?;
    let desk = Arc::new(Desk::new(Opening {
        run_dir: PathBuf::from(RUN_DIR),
        board: name,
        keeper,
        identity,
        footage_keys,
        settings,
        accounts,
        volumes: vec![Volume { state: DiskState::Missing, ..Volume::default() }],
        ring_budget: board.budget.as_ref().map(|budget| budget.rings.bytes()),
        clock: Arc::new(SystemClock::new()),
    }));
    let updater = start_updates(&desk, &board, &facts, log);
    modules::load(&board);
    network::start(&desk, say)?;
    time::start(&desk, &board)?;
    let devices = Arc::new(Devices::new(&board, &desk.clock));
    contacts::start(&desk, &board, &devices, say)?;
    let disks = DiskThread::start(&desk, disk_hands::mounts(), BoardHands)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let act = runtime.block_on(run(&desk, &board, &devices, updater))?;
    disks.stop();
    disk_hands::unmount_all();
    if desk.is_reset() {
        forget(&*desk.keeper);
    }
    Ok(act)
}

/// Until somebody wants the board to end; the roles have ended when this returns.
async fn run(
    desk: &Arc<Desk>,
    board: &Board,
    devices: &Arc<Devices>,
    updater: Option<Arc<Updater>>,
) -> io::Result<PowerAct> {
    if let Some(updater) = updater {
        tokio::spawn(update_start::watch(updater));
    }
    if board.watchdogs.is_empty() {
        tracing::warn!("the board has no hardware watchdog");
    }
    tokio::spawn(watchdog::feed(Arc::clone(desk), board.clone(), Arc::clone(devices)));
    tokio::spawn(indicators::show(Arc::clone(desk), board.clone(), Arc::clone(devices)));
    tokio::spawn(reap(Arc::clone(desk), signal(SignalKind::child())?));
    // The kernel tells process 1 of Ctrl-Alt-Del with SIGINT (reboot(2)); the others are habits of init programs.
    let mut restart = [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?];
    let mut power_off = signal(SignalKind::user_defined2())?;
    let mut ending = desk.watch_ending();
    let mut act = PowerAct::Restart;
    let asked = async {
        let [interrupt, terminate] = &mut restart;
        act = tokio::select! {
            _ = interrupt.recv() => PowerAct::Restart,
            _ = terminate.recv() => PowerAct::Restart,
            _ = power_off.recv() => PowerAct::PowerOff,
            wanted = ending.wait_for(Option::is_some) => match wanted {
                Ok(wanted) => wanted.unwrap_or(PowerAct::Restart),
                Err(_) => PowerAct::Restart,
            },
        };
    };
    watch_over(desk, asked).await;
    Ok(act)
}

async fn reap(desk: Arc<Desk>, mut ended: Signal) {
    let mut every = interval(REAP_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ended.recv() => {}
            _ = every.tick() => {}
        }
        let orphans = desk.children.reap_orphans();
        if orphans > 0 {
            tracing::debug!(orphans, "ended");
        }
    }
}

/// Takes updates, where the flash can be used.
fn start_updates(
    desk: &Arc<Desk>,
    board: &Board,
    facts: &BootFacts,
    log: Result<SharedLog, StartError>,
) -> Option<Arc<Updater>> {
    let begun = log.and_then(|log| {
        let slots = Slots::of_board(board, facts, log, Path::new(RUN_DIR))?;
        Ok(update_start::start(desk, slots, say)?)
    });
    begun
        .inspect_err(|error| {
            tracing::error!(%error, "no updates can be taken");
            let words = format!("The recorder cannot take updates: {error}.");
            desk.tell_software(version::no_updates(&words));
            let restarting = Arc::clone(desk);
            desk.set_orders(Box::new(move |order| match order {
                Order::Restart => {
                    restarting.end(PowerAct::Restart);
                    Ok(())
                }
                _ => Err(Refusal::new(RefusalCode::NotSupported, words.clone())),
            }));
        })
        .ok()
}

/// The state log in the board's flash.
fn state_log(board: &Board) -> Result<SharedLog, StartError> {
    let partition = board
        .flash
        .iter()
        .find_map(|flash| flash.partition(PartitionRole::State))
        .ok_or("the board's description has no partition for it")?;
    let flash: Box<dyn NorFlash> = Box::new(Mtd::open_partition(&partition.name)?);
    let length = flash.geometry().size;
    let (log, report) = StateLog::open(flash, 0, length)?;
    tracing::info!(?report, "the state log is open");
    Ok(Arc::new(Mutex::new(log)))
}

/// The settings kept, or the board's first ones. Damaged ones are left where they are until the owner changes
/// something: an older or newer program may still understand them.
fn kept_settings(keeper: &dyn Keeper, board: &Board) -> Settings {
    match kept::load(keeper) {
        Ok(Some(settings)) => settings,
        Ok(None) => {
            let settings = board_settings::first_alone(board);
            if let Err(error) = kept::save(keeper, &settings) {
                say(&format!("The first settings could not be kept: {error}"));
            }
            settings
        }
        Err(error) => {
            say(&format!("The settings are damaged: {error}. The recorder begins with its first ones."));
            board_settings::first_alone(board)
        }
    }
}

/// A factory reset: whose recorder it was. Its identity, its footage and its software stay.
fn forget(keeper: &dyn Keeper) {
    let settings = (OLDEST_VERSION..=VERSION).map(settings_key);
    // The device's key stays, as footage does; the recovery key was the old owner's.
    let owners = [ACCOUNTS, update::OWNER_KEY, FOOTAGE_OWNER].map(str::to_owned);
    for key in settings.chain(owners) {
        if let Err(error) = keeper.remove(&key) {
            say(&format!("{} could not be removed: {error}", keeper.title(&key)));
        }
    }
    say("Settings, accounts and the owner's key are removed. Footage is kept.");
}

/// Words for whoever stands before the board; without a console they go nowhere, and nothing stops for that.
fn say(words: &str) {
    let mut console = io::stdout().lock();
    let _ = writeln!(console, "{words}");
    let _ = console.flush();
}
