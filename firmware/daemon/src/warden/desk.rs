//! The desk: the warden's shared state, and what roles may ask of it.
//!
//! Settings and accounts change here and nowhere else: applied, kept on disk, then told to everyone.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hal::{Clock, MonoTime};
use system::PowerAct;
use tokio::sync::watch;
use web::update_views::UpdateView;

use super::children::Children;
use super::footage_keys;
use super::identity::Identity;
use super::keeper::{ACCOUNTS, Keeper};
use super::kept;
use super::ledger_key;
use super::overview::Overview;
use super::progress::Progress;
use crate::footage_keys::{FootageKeys, SecretText};
use crate::messages::{
    Answer, Ask, DiskState, DiskView, LedgerKey, Order, Refusal, RefusalCode, RoleConfig, ServeSecrets,
    Snapshot, Volume, VolumeStatus,
};
use crate::role::Role;
use crate::settings::{self, ChangeError, Settings};
use crate::version;

/// Formats a disk for footage that is encrypted or not, or says why not; returns once it has begun.
pub(super) type FormatDisk = Box<dyn Fn(&str, Option<bool>) -> Result<(), String> + Send + Sync>;

/// Follows an order about the recorder's own software, or says why not; returns at once.
pub(super) type FollowOrder = Box<dyn Fn(Order) -> Result<(), Refusal> + Send + Sync>;

/// Why a PC takes no updates here.
const NOT_OURS: &str = "This recorder's software is updated by its operating system.";

/// What the desk begins with.
pub(super) struct Opening {
    pub(super) run_dir: PathBuf,
    /// The board, as `board_settings::find` takes it.
    pub(super) board: String,
    pub(super) keeper: Arc<dyn Keeper>,
    pub(super) identity: Identity,
    pub(super) footage_keys: FootageKeys,
    pub(super) settings: Settings,
    /// The accounts' text.
    pub(super) accounts: String,
    pub(super) volumes: Vec<Volume>,
    /// What all rings together may take, where memory is short.
    pub(super) ring_budget: Option<u64>,
    pub(super) clock: Arc<dyn Clock>,
}

/// Shared by the supervisors.
pub(super) struct Desk {
    run_dir: PathBuf,
    board: String,
    pub(super) keeper: Arc<dyn Keeper>,
    identity: Identity,
    pub(super) clock: Arc<dyn Clock>,
    started: MonoTime,
    ring_budget: Option<u64>,
    pub(super) children: Children,
    pub(super) progress: Progress,
    accounts: Mutex<String>,
    overview: Mutex<Overview>,
    settings: watch::Sender<Settings>,
    footage_keys: watch::Sender<FootageKeys>,
    volumes: watch::Sender<Vec<Volume>>,
    snapshot: watch::Sender<Snapshot>,
    console: watch::Sender<String>,
    ending: watch::Sender<Option<PowerAct>>,
    reset: AtomicBool,
    format_disk: OnceLock<FormatDisk>,
    orders: OnceLock<FollowOrder>,
}

impl Desk {
    pub(super) fn new(opening: Opening) -> Self {
        let Opening {
            run_dir,
            board,
            keeper,
            identity,
            footage_keys,
            settings,
            accounts,
            volumes,
            ring_budget,
            clock,
        } = opening;
        let mut overview = Overview::new(clock.wall());
        overview.set_software(version::no_updates(NOT_OURS));
        let snapshot = overview.snapshot(&settings, 0);
        Self {
            run_dir,
            board,
            keeper,
            identity,
            started: clock.mono(),
            ring_budget,
            children: Children::default(),
            progress: Progress::new(clock.mono()),
            accounts: Mutex::new(accounts),
            overview: Mutex::new(overview),
            settings: watch::Sender::new(settings),
            footage_keys: watch::Sender::new(footage_keys),
            volumes: watch::Sender::new(volumes),
            snapshot: watch::Sender::new(snapshot),
            console: watch::Sender::new(String::new()),
            ending: watch::Sender::new(None),
            reset: AtomicBool::new(false),
            format_disk: OnceLock::new(),
            orders: OnceLock::new(),
            clock,
        }
    }

    /// Woken when settings change.
    pub(super) fn watch_settings(&self) -> watch::Receiver<Settings> {
        self.settings.subscribe()
    }

    /// Woken when footage is encrypted with something else.
    pub(super) fn watch_footage_keys(&self) -> watch::Receiver<FootageKeys> {
        self.footage_keys.subscribe()
    }

    /// Woken when footage goes elsewhere.
    pub(super) fn watch_volumes(&self) -> watch::Receiver<Vec<Volume>> {
        self.volumes.subscribe()
    }

    /// Footage goes here from now on.
    pub(super) fn set_volumes(&self, volumes: Vec<Volume>) {
        self.volumes.send_if_modified(|old| {
            let changed = *old != volumes;
            *old = volumes;
            changed
        });
    }

    /// The folder on the first disk beside the footage, for what is too large for flash; `None` without a disk.
    pub(super) fn data_dir(&self) -> Option<PathBuf> {
        let volumes = self.volumes.borrow();
        let first = volumes.iter().find_map(|volume| volume.dir.as_ref());
        first.and_then(|dir| dir.parent()).map(PathBuf::from)
    }

    /// The volumes that cannot be written now, as `record` last said.
    pub(super) fn failing_volumes(&self) -> Vec<PathBuf> {
        let snapshot = self.snapshot.borrow();
        let failing = |volume: &&VolumeStatus| {
            matches!(volume.disk, DiskState::Unwritable | DiskState::Failed) && !volume.path.is_empty()
        };
        snapshot.record.volumes.iter().filter(failing).map(|volume| PathBuf::from(&volume.path)).collect()
    }

    /// The board's disks as they are now.
    pub(super) fn set_disks(&self, disks: Vec<DiskView>) {
        self.update_overview(|overview| overview.set_disks(disks));
    }

    /// Who formats disks, where somebody does.
    pub(super) fn set_formatter(&self, format_disk: FormatDisk) {
        let _ = self.format_disk.set(format_disk);
    }

    /// Who follows orders about the recorder's own software, where somebody does.
    pub(super) fn set_orders(&self, follow: FollowOrder) {
        let _ = self.orders.set(follow);
    }

    /// The recorder's own software as it is now.
    pub(super) fn tell_software(&self, software: UpdateView) {
        self.update_overview(|overview| overview.set_software(software));
    }

    /// Rings and sockets, in memory.
    pub(super) fn run_dir(&self) -> &Path {
        &self.run_dir
    }

    /// The web page's port and the certificate that it shows.
    pub(super) fn web(&self) -> (SocketAddr, &str) {
        (self.settings.borrow().web.address, &self.identity.certificate_pem)
    }

    /// Ends the roles in order, then the board.
    pub(super) fn end(&self, act: PowerAct) {
        self.ending.send_replace(Some(act));
    }

    /// Somebody holds the button: when the roles have ended, what makes the recorder its owner's is removed.
    pub(super) fn factory_reset(&self) {
        self.reset.store(true, Ordering::Release);
        self.end(PowerAct::Restart);
    }

    /// Whether [`Self::factory_reset`] was asked for.
    pub(super) fn is_reset(&self) -> bool {
        self.reset.load(Ordering::Acquire)
    }

    /// Woken when the board shall end.
    pub(super) fn watch_ending(&self) -> watch::Receiver<Option<PowerAct>> {
        self.ending.subscribe()
    }

    /// Woken when anything that people see changes.
    pub(super) fn watch_snapshot(&self) -> watch::Receiver<Snapshot> {
        self.snapshot.subscribe()
    }

    /// Words for whoever stands before the recorder.
    pub(super) fn tell_console(&self, words: &str) {
        println!("{words}");
        self.console.send_replace(words.to_owned());
    }

    /// Woken when something was said there.
    pub(super) fn watch_console(&self) -> watch::Receiver<String> {
        self.console.subscribe()
    }

    /// `None` when it cannot be read: recording goes on without a ledger, and the log says why.
    fn ledger_key(&self) -> Option<LedgerKey> {
        let kept = ledger_key::load_or_make(&*self.keeper);
        kept.inspect_err(|error| tracing::error!(%error, "there is no key for the ledger")).ok()
    }

    /// What `role` is told.
    pub(super) fn config_for(&self, role: Role) -> RoleConfig {
        RoleConfig {
            run_dir: self.run_dir.clone(),
            board: self.board.clone(),
            volumes: if role == Role::Record { self.volumes.borrow().clone() } else { Vec::new() },
            ring_bytes: self.ring_budget.map(|budget| ring_share(budget, &self.settings.borrow())),
            settings: self.settings.borrow().for_role(role),
            ledger: if role == Role::Record { self.ledger_key() } else { None },
            serve: (role == Role::Serve).then(|| ServeSecrets {
                accounts: lock(&self.accounts).clone(),
                sessions: lock(&self.overview).sessions(),
                certificate_pem: self.identity.certificate_pem.clone(),
                key_pem: self.identity.key_pem.clone(),
            }),
            footage_keys: if role == Role::Record {
                self.footage_keys.borrow().clone()
            } else {
                FootageKeys::default()
            },
        }
    }

    /// Does what `role` asks. Only `serve`, where owners sign in, may ask for anything.
    pub(super) fn ask(&self, role: Role, ask: Ask) -> Answer {
        if role != Role::Serve {
            tracing::error!(%role, "asked for a change, which only serve may");
            return refused("this role changes nothing");
        }
        match ask {
            Ask::Change(change) => {
                // A `match` on the call would hold the read lock until its end, and keeping wants the write lock.
                let changed = settings::apply(&self.settings.borrow(), change);
                match changed {
                    Ok((next, channel)) => self.keep_settings(next, channel),
                    Err(error) => Answer::Refused(error),
                }
            }
            Ask::Order(order) => Answer::Ordered(match self.orders.get() {
                Some(follow) => follow(order),
                None => Err(Refusal::new(RefusalCode::NotSupported, NOT_OURS)),
            }),
            Ask::FormatDisk { device, encrypt } => {
                match self.format_disk.get().map(|format| format(&device, encrypt)) {
                    Some(Ok(())) => Answer::Kept,
                    Some(Err(reason)) => refused(&reason),
                    None => refused("This recorder's disk is its owner's to format."),
                }
            }
            Ask::NewRecoveryKey => self.new_recovery_key(),
            Ask::KeepAccounts(text) => match self.keeper.set(ACCOUNTS, text.0.as_bytes()) {
                Ok(()) => {
                    *lock(&self.accounts) = text.0;
                    Answer::Kept
                }
                Err(error) => {
                    tracing::error!(%error, "the accounts could not be kept");
                    refused(&error.to_string())
                }
            },
        }
    }

    fn new_recovery_key(&self) -> Answer {
        if self.footage_keys.borrow().device.is_none() {
            return refused("What is kept now is lost with the next restart, so no disk is encrypted.");
        }
        match footage_keys::new_recovery_key(&*self.keeper) {
            Ok((text, owner)) => {
                self.footage_keys.send_modify(|keys| keys.owner = Some(owner));
                tracing::info!("a recovery key was made");
                Answer::RecoveryKey(SecretText(text.to_string()))
            }
            Err(error) => {
                tracing::error!(%error, "no recovery key could be made");
                refused(&error.to_string())
            }
        }
    }

    fn keep_settings(&self, next: Settings, channel: Option<hal::ChannelId>) -> Answer {
        if let Err(error) = kept::save(&*self.keeper, &next) {
            tracing::error!(%error, "the settings could not be kept");
            return refused(&error.to_string());
        }
        self.settings.send_replace(next);
        self.update_overview(|_| ());
        Answer::Changed(channel)
    }

    /// Changes the picture and tells everyone who watches it.
    pub(super) fn update_overview<T>(&self, change: impl FnOnce(&mut Overview) -> T) -> T {
        let mut overview = lock(&self.overview);
        let result = change(&mut overview);
        let uptime_sec = self.clock.mono().since(self.started).as_secs();
        let next = overview.snapshot(&self.settings.borrow(), uptime_sec);
        self.snapshot.send_if_modified(|old| {
            let changed = *old != next;
            *old = next;
            changed
        });
        result
    }
}

/// One channel's part of the rings' memory.
fn ring_share(budget: u64, settings: &Settings) -> u32 {
    let channels = settings.channels.len().max(1) as u64;
    u32::try_from(budget / channels).unwrap_or(u32::MAX)
}

fn refused(reason: &str) -> Answer {
    Answer::Refused(ChangeError::NotKept(reason.to_owned()))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(in crate::warden) mod tests {
    use hal::SystemClock;

    use super::*;
    use crate::messages::AccountsText;
    use crate::settings::{Change, Multicast};
    use crate::warden::keeper::FolderKeeper;

    fn desk(dir: &std::path::Path) -> Desk {
        desk_with_clock(dir, Arc::new(SystemClock::new()))
    }

    pub(in crate::warden) fn desk_with_clock(dir: &std::path::Path, clock: Arc<dyn Clock>) -> Desk {
        Desk::new(Opening {
            run_dir: dir.join("run"),
            board: "pc".to_owned(),
            keeper: Arc::new(FolderKeeper::new(dir.to_owned(), dir.join("settings.toml"))),
            identity: Identity { certificate_pem: "c".to_owned(), key_pem: "k".to_owned() },
            footage_keys: FootageKeys { device: Some([7; 32]), owner: None },
            settings: Settings::new(),
            accounts: String::new(),
            volumes: vec![Volume { dir: Some(dir.join("volume")), ..Volume::default() }],
            ring_budget: None,
            clock,
        })
    }

    fn rename(name: &str) -> Ask {
        Ask::Change(Change::General {
            name: name.to_owned(),
            time_zone: "Etc/UTC".to_owned(),
            rtsp_enabled: true,
            rtsp_allow: Vec::new(),
            rtsp_multicast: Multicast::default(),
            encrypt_new_disks: true,
            mirror_disks: false,
        })
    }

    #[test]
    fn a_change_is_on_disk_before_anybody_hears_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let desk = desk(dir.path());
        let mut watch = desk.watch_settings();
        assert!(matches!(desk.ask(Role::Serve, rename("Barn")), Answer::Changed(None)));
        assert!(watch.has_changed().unwrap());
        let told = watch.borrow_and_update().clone();
        assert_eq!(told, kept::load(&*desk.keeper).unwrap().unwrap());
    }

    #[test]
    fn what_cannot_be_kept_is_not_changed() {
        let dir = tempfile::tempdir().unwrap();
        let desk = desk(&dir.path().join("missing"));
        assert!(matches!(desk.ask(Role::Serve, rename("Barn")), Answer::Refused(ChangeError::NotKept(_))));
        assert_eq!(desk.config_for(Role::Serve).settings.name, "Candor");
        let keep = Ask::KeepAccounts(AccountsText("x".to_owned()));
        assert!(matches!(desk.ask(Role::Serve, keep), Answer::Refused(_)));
        assert_eq!(desk.config_for(Role::Serve).serve.unwrap().accounts, "");
    }

    #[test]
    fn only_serve_may_ask_and_only_serve_gets_the_key() {
        let dir = tempfile::tempdir().unwrap();
        let desk = desk(dir.path());
        for role in Role::ALL {
            assert_eq!(desk.config_for(role).serve.is_some(), role == Role::Serve, "{role}");
            assert_eq!(!desk.config_for(role).volumes.is_empty(), role == Role::Record, "{role}");
            let keys = desk.config_for(role).footage_keys;
            assert_eq!(keys != FootageKeys::default(), role == Role::Record, "{role}");
            let changed = matches!(desk.ask(role, rename("Barn")), Answer::Changed(_));
            assert_eq!(changed, role == Role::Serve, "{role}");
        }
    }

    #[test]
    fn a_recovery_key_is_told_to_whoever_asked_and_what_it_opens_to_record() {
        let dir = tempfile::tempdir().unwrap();
        let desk = desk(dir.path());
        let mut watch = desk.watch_footage_keys();
        assert!(matches!(desk.ask(Role::Record, Ask::NewRecoveryKey), Answer::Refused(_)));
        let Answer::RecoveryKey(text) = desk.ask(Role::Serve, Ask::NewRecoveryKey) else { panic!("no key") };
        let key = store::RecoveryKey::parse(&text.0).unwrap();
        assert!(watch.has_changed().unwrap());
        let owner = watch.borrow_and_update().owner;
        assert_eq!(owner.as_ref(), Some(store::OwnerKey::of(&key).as_bytes()));
        assert_eq!(desk.config_for(Role::Record).footage_keys.owner, owner);
        desk.footage_keys.send_replace(FootageKeys::default());
        assert!(matches!(desk.ask(Role::Serve, Ask::NewRecoveryKey), Answer::Refused(_)));
    }
}
