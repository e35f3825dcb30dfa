//! Updates as a whole, over flash in memory.
//!
//! Bundles come over the real line. Does not belong here: formats (crate `update`), a board's boot (tests/).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::AtomicU64;

use hal::{Clock, FlashGeometry, NorFlash, SystemClock, WallTime};
use hal_sim::SimFlash;
use semver::Version;
use tempfile::TempDir;
use update::{
    BootState, Failure, Install, Manifest, ManifestType, StateLog, build, describe_root, load_boot_state,
    save_boot_state, verify_slot,
};
use web::update_views::{OwnerKeyInput, PresenceInput};

use super::*;
use crate::args::{InstallArgs, UpdateCommand};
use crate::footage_keys::FootageKeys;
use crate::messages::{Answer, Ask, Volume};
use crate::settings::Settings;
use crate::update_command;
use crate::update_fixtures::{at, key, root_document};
use crate::update_line::{Line, Sent, socket_path};
use crate::warden::desk::Opening;
use crate::warden::flash_keeper::{FlashKeeper, SharedLog};
use crate::warden::identity::Identity;
use crate::warden::{update_line, update_start, update_trial};

const BLOCK: u32 = 64 << 10;
const SLOT_BYTES: u32 = 16 * BLOCK;
const STATE_BYTES: u32 = 8 * BLOCK;

/// What the console showed, for the tests of one process: each test asks in its own.
static CONSOLE: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Board {
    dir: Arc<TempDir>,
    desk: Arc<Desk>,
    updater: Arc<Updater>,
    slots: [SimFlash; 2],
    log: SharedLog,
}

/// An image that no block of which is like another.
fn root(bytes: usize) -> Vec<u8> {
    (0..bytes as u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).take(bytes).collect()
}

#[derive(Clone)]
struct Made {
    board: &'static str,
    version: &'static str,
    minimum: &'static str,
    expires: &'static str,
    signer: u8,
    bytes: usize,
}

const GOOD: Made = Made {
    board: "virt-a7",
    version: "0.2.0",
    minimum: "0.1.5",
    expires: "2089-01-01T00:00:00Z",
    signer: 2,
    bytes: 500_000,
};

fn bundle(made: &Made) -> Vec<u8> {
    let root = root(made.bytes);
    let manifest = Manifest {
        r#type: ManifestType::Bundle,
        format: update::FORMAT,
        board: made.board.to_owned(),
        version: made.version.parse().unwrap(),
        minimum_version: made.minimum.parse().unwrap(),
        created: at("2026-11-20T10:00:00Z"),
        expires: at(made.expires),
        commit: "abc1234".to_owned(),
        images: vec![describe_root(&*root).unwrap()],
    };
    let mut bytes = Vec::new();
    build(&manifest, &[], &[&key(made.signer)], &*root, &mut bytes).unwrap();
    bytes
}

fn board(layout: Layout, disk: bool) -> Board {
    board_with(layout, disk, &BootState::default())
}

fn board_with(layout: Layout, disk: bool, state: &BootState) -> Board {
    board_on(layout, disk, state, Arc::new(SystemClock::new()))
}

fn board_on(layout: Layout, disk: bool, state: &BootState, clock: Arc<dyn Clock>) -> Board {
    static SEED: AtomicU64 = AtomicU64::new(1);
    let seed = SEED.fetch_add(1, Ordering::SeqCst);
    let dir = tempfile::tempdir().unwrap();
    let chip = |size| SimFlash::new(FlashGeometry { size, erase_block: BLOCK }, seed).unwrap();
    let slots = [chip(SLOT_BYTES), chip(SLOT_BYTES)];
    let flash: Box<dyn NorFlash> = Box::new(chip(STATE_BYTES));
    let (mut log, _) = StateLog::open(flash, 0, STATE_BYTES).unwrap();
    save_boot_state(&mut log, state).unwrap();
    log.set(update::FLOOR, b"0.0.9").unwrap();
    let log: SharedLog = Arc::new(Mutex::new(log));
    let run_dir = dir.path().join("run");
    fs::create_dir(&run_dir).unwrap();
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    let running = (Slot::A, "0.1.0");
    open_board(Arc::new(dir), layout, disk, slots, log, running, clock)
}

fn open_board(
    dir: Arc<TempDir>,
    layout: Layout,
    disk: bool,
    slots: [SimFlash; 2],
    log: SharedLog,
    (running, installed): (Slot, &str),
    clock: Arc<dyn Clock>,
) -> Board {
    let (run_dir, data) = (dir.path().join("run"), dir.path().join("data"));
    let desk = Arc::new(Desk::new(Opening {
        run_dir: run_dir.clone(),
        board: "virt-a7".to_owned(),
        keeper: Arc::new(FlashKeeper::new(Arc::clone(&log))),
        identity: Identity { certificate_pem: String::new(), key_pem: String::new() },
        footage_keys: FootageKeys::default(),
        settings: Settings::new(),
        accounts: String::new(),
        volumes: vec![Volume { dir: disk.then(|| data.join("volume")), ..Volume::default() }],
        ring_budget: None,
        clock,
    }));
    let chips = slots.clone();
    let places = Slots {
        board: "virt-a7".to_owned(),
        layout,
        running,
        installed: installed.parse().unwrap(),
        built: Some(at("2026-01-01T00:00:00Z").as_wall()),
        log: Arc::clone(&log),
        initial_root: root_document(),
        open: Box::new(move |slot| Ok(Box::new(chips[usize::from(slot == Slot::B)].clone()))),
        memory_dir: run_dir,
    };
    let updater = Updater::new(&desk, places, |words| lock(&CONSOLE).push(words.to_owned()));
    updater.take_orders();
    update_line::listen(&updater).unwrap();
    updater.take_note_of_failure();
    updater.look_at_other_slot();
    updater.tell();
    Board { dir, desk, updater, slots, log }
}

impl Board {
    /// The same board after a restart into `slot`.
    fn started_from(&self, slot: Slot, version: &str) -> Self {
        let (dir, log) = (Arc::clone(&self.dir), Arc::clone(&self.log));
        let clock = Arc::new(SystemClock::new());
        open_board(dir, self.updater.slots.layout, true, self.slots.clone(), log, (slot, version), clock)
    }

    fn run_dir(&self) -> &Path {
        self.desk.run_dir()
    }

    fn view(&self) -> UpdateView {
        self.desk.watch_snapshot().borrow().software.clone().unwrap()
    }

    fn boot_state(&self) -> BootState {
        load_boot_state(&*lock(&self.log))
    }

    fn order(&self, order: Order) -> Result<(), Refusal> {
        match self.desk.ask(crate::role::Role::Serve, Ask::Order(order)) {
            Answer::Ordered(outcome) => outcome,
            other => panic!("{other:?}"),
        }
    }

    /// Every file beside the footage, by its path in the data folder and the memory.
    fn left(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for folder in ["data/update", "run/update"] {
            if let Ok(entries) = fs::read_dir(self.dir.path().join(folder)) {
                files.extend(entries.map(|entry| entry.unwrap().path()));
            }
        }
        files
    }

    async fn send(&self, bytes: &[u8], downgrade: bool) -> Result<(), Refusal> {
        let mut line =
            Line::upload(self.run_dir(), downgrade, Some(bytes.len() as u64), false).await.unwrap();
        if let Sent::Answered(answer) = line.send(bytes).await.unwrap() {
            return answer;
        }
        line.finish().await.unwrap()
    }

    /// Waits for what the snapshot shall say of updates.
    async fn until(&self, want: impl Fn(&UpdateView) -> bool) -> UpdateView {
        let mut snapshots = self.desk.watch_snapshot();
        let seen =
            snapshots.wait_for(|snapshot| snapshot.software.as_ref().is_some_and(&want)).await.unwrap();
        seen.software.clone().unwrap()
    }

    async fn restarted(&self) {
        let mut ending = self.desk.watch_ending();
        assert_eq!(*ending.wait_for(Option::is_some).await.unwrap(), Some(PowerAct::Restart));
    }
}

#[tokio::test]
async fn with_two_slots_the_other_one_is_written_and_put_on_trial() {
    let board = board(Layout::Dual, true);
    let before = board.view();
    assert!(before.supported && before.stage.code == UpdateStageCode::Idle);
    assert_eq!(
        before.other,
        Some(OtherSlot { slot: SlotName::B, version: None, state: OtherSlotState::Empty })
    );
    assert_eq!((before.floor.as_str(), before.keys.len()), ("0.0.9", 1));

    board.send(&bundle(&GOOD), false).await.unwrap();
    let view = board.until(|view| view.stage.code == UpdateStageCode::Restarting).await;
    assert_eq!(view.last, None);
    let trial = board.boot_state().trying.unwrap();
    assert_eq!(
        (trial.slot, trial.version, trial.tries_left),
        (Slot::B, Version::new(0, 2, 0), update::TRIES)
    );
    assert_eq!(board.boot_state().active, Slot::A);
    let (trust, target) =
        (board.updater.slots.trust().unwrap(), board.updater.slots.target(None, false).unwrap());
    let held = verify_slot(&mut board.slots[1].clone(), &trust, &target, &mut |_| ()).unwrap();
    assert_eq!(held.manifest().version, Version::new(0, 2, 0));
    let mut header = [0; 16];
    board.slots[0].clone().read(SLOT_BYTES - BLOCK, &mut header).unwrap();
    assert_eq!(header, [0xFF; 16], "the slot that runs was not touched");
    board.restarted().await;
    assert!(board.left().is_empty(), "{:?}", board.left());
}

#[tokio::test]
async fn without_a_disk_two_slots_take_an_update_through_memory() {
    let board = board(Layout::Dual, false);
    board.send(&bundle(&GOOD), false).await.unwrap();
    board.restarted().await;
    assert_eq!(board.boot_state().trying.unwrap().slot, Slot::B);
    assert!(board.left().is_empty());
}

#[tokio::test]
async fn with_one_slot_the_bundle_waits_on_the_disk_for_the_loader() {
    let board = board(Layout::Single, true);
    let bytes = bundle(&GOOD);
    board.send(&bytes, false).await.unwrap();
    board.restarted().await;
    let state = board.boot_state();
    assert_eq!(state.install, Some(Install::Staged { allow_downgrade: false }));
    assert_eq!(fs::read(board.dir.path().join("data/update/staged.bundle")).unwrap(), bytes);
    let busy = board.send(&bytes, false).await.unwrap_err();
    assert_eq!(busy.code, RefusalCode::Busy, "the last one is not finished");
}

#[tokio::test]
async fn one_slot_without_a_disk_says_so() {
    let board = board(Layout::Single, false);
    let view = board.view();
    assert!(!view.supported && view.reason.unwrap().contains("Attach a disk"));
    let refused = board.send(&bundle(&GOOD), false).await.unwrap_err();
    assert_eq!(refused.code, RefusalCode::NotSupported);
}

#[tokio::test]
async fn what_is_refused_changes_nothing_and_leaves_nothing() {
    let good = bundle(&GOOD);
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        bytes
    };
    let made = |change: &dyn Fn(&mut Made)| {
        let mut made = GOOD;
        change(&mut made);
        bundle(&made)
    };
    use RefusalCode as R;
    let refused: [(&str, R, Vec<u8>); 12] = [
        ("nothing", R::NotABundle, Vec::new()),
        ("a picture", R::NotABundle, b"GIF89a and so on and so on".to_vec()),
        ("a zip", R::NotABundle, changed(&|bytes| bytes[..4].copy_from_slice(b"PK\x03\x04"))),
        ("another board's", R::WrongBoard, made(&|made| made.board = "hi3536d")),
        ("a stranger's", R::BadSignature, made(&|made| made.signer = 9)),
        ("out of date", R::Expired, made(&|made| made.expires = "2026-02-01T00:00:00Z")),
        ("cut short", R::Damaged, changed(&|bytes| bytes.truncate(bytes.len() - 1))),
        ("too long", R::Damaged, changed(&|bytes| bytes.push(0))),
        ("changed at its end", R::Damaged, changed(&|bytes| *bytes.last_mut().unwrap() ^= 1)),
        ("below the floor", R::TooOld, made(&|made| (made.version, made.minimum) = ("0.0.8", "0.0.1"))),
        ("older", R::Downgrade, made(&|made| (made.version, made.minimum) = ("0.0.9", "0.0.1"))),
        ("larger than a slot", R::TooLarge, made(&|made| made.bytes = SLOT_BYTES as usize)),
    ];
    for layout in [Layout::Single, Layout::Dual] {
        let board = board(layout, true);
        for (what, code, bytes) in &refused {
            let refusal = board.send(bytes, false).await.expect_err(what);
            assert_eq!(refusal.code, *code, "{what}: {}", refusal.message);
            let view = board.until(|view| view.stage.code == UpdateStageCode::Failed).await;
            assert_eq!(view.stage.message, refusal.message, "{what}");
            assert!(board.left().is_empty(), "{what}: {:?}", board.left());
            assert_eq!(board.boot_state(), BootState::default(), "{what}");
        }
        // And after all that a good one is taken.
        board.send(&good, false).await.unwrap();
    }
}

#[tokio::test]
async fn a_disk_that_comes_makes_updates_possible() {
    let board = board(Layout::Single, false);
    let watching = tokio::spawn(update_start::watch(Arc::clone(&board.updater)));
    tokio::task::yield_now().await;
    let volume = board.dir.path().join("data/volume");
    board.desk.set_volumes(vec![Volume { dir: Some(volume), ..Volume::default() }]);
    board.until(|view| view.supported).await;
    board.send(&bundle(&GOOD), false).await.unwrap();
    watching.abort();
}

#[tokio::test]
async fn the_command_line_installs_and_its_exit_code_says_so() {
    let board = board(Layout::Dual, true);
    let path = board.dir.path().join("candor.bundle");
    let run = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let (bundle, run_dir) = (path.clone(), board.run_dir().to_owned());
        let command = UpdateCommand::Install(InstallArgs { bundle, downgrade: false, run_dir });
        tokio::task::spawn_blocking(move || update_command::run(&command).map_err(|error| error.to_string()))
    };
    let good = bundle(&GOOD);
    assert_eq!(run(&good[..good.len() - 1]).await.unwrap(), Ok(ExitCode::FAILURE));
    assert_eq!(run(&good).await.unwrap(), Ok(ExitCode::SUCCESS));
    board.restarted().await;
    assert_eq!(board.boot_state().trying.unwrap().slot, Slot::B);
    fs::remove_file(socket_path(board.run_dir())).unwrap();
    assert!(run(&good).await.unwrap().unwrap_err().contains("no recorder that takes updates runs here"));
}

#[tokio::test]
async fn an_older_version_is_taken_when_it_is_meant() {
    let board = board(Layout::Single, true);
    let older = bundle(&Made { version: "0.0.9", minimum: "0.0.1", ..GOOD });
    assert_eq!(board.send(&older, false).await.unwrap_err().code, RefusalCode::Downgrade);
    board.send(&older, true).await.unwrap();
    board.restarted().await;
    assert_eq!(board.boot_state().install, Some(Install::Staged { allow_downgrade: true }));
}

#[tokio::test]
async fn a_sender_that_goes_away_leaves_nothing_behind() {
    let board = board(Layout::Dual, true);
    let bytes = bundle(&GOOD);
    let mut line = Line::upload(board.run_dir(), false, None, false).await.unwrap();
    assert!(matches!(line.send(&bytes[..200_000]).await.unwrap(), Sent::Taken));
    board.until(|view| view.stage.code == UpdateStageCode::Receiving && view.stage.version.is_some()).await;
    assert!(!board.left().is_empty(), "it is being kept");
    drop(line);
    let view = board.until(|view| view.stage.code == UpdateStageCode::Failed).await;
    assert!(view.stage.message.contains("broke off"), "{}", view.stage.message);
    assert!(board.left().is_empty());
    assert_eq!(board.boot_state(), BootState::default());
    board.send(&bytes, false).await.unwrap();
}

#[tokio::test]
async fn one_at_a_time_and_it_can_be_cancelled() {
    let board = board(Layout::Dual, true);
    assert_eq!(board.order(Order::CancelUpdate).unwrap_err().code, RefusalCode::NothingToCancel);
    let bytes = bundle(&GOOD);
    let mut line = Line::upload(board.run_dir(), false, Some(bytes.len() as u64), false).await.unwrap();
    line.send(&bytes[..300_000]).await.unwrap();
    let view = board
        .until(|view| view.stage.code == UpdateStageCode::Receiving && view.stage.version.is_some())
        .await;
    assert_eq!((view.stage.version.as_deref(), view.stage.total_bytes), (Some("0.2.0"), bytes.len() as u64));

    assert_eq!(board.send(&bytes, false).await.unwrap_err().code, RefusalCode::Busy);
    assert_eq!(board.order(Order::Restart).unwrap_err().code, RefusalCode::Busy);
    assert_eq!(board.view().stage.code, UpdateStageCode::Receiving, "the second did not disturb the first");

    board.order(Order::CancelUpdate).unwrap();
    let answer = match line.send(&bytes[300_000..]).await.unwrap() {
        Sent::Answered(answer) => answer,
        Sent::Taken => line.finish().await.unwrap(),
    };
    assert_eq!(answer.unwrap_err().code, RefusalCode::Cancelled);
    let view = board.until(|view| view.stage.code == UpdateStageCode::Idle).await;
    assert!(view.stage.message.contains("cancelled"));
    assert!(board.left().is_empty());

    board.send(&bytes, false).await.unwrap();
    let late = board.order(Order::CancelUpdate);
    let codes = [RefusalCode::TooLate, RefusalCode::NothingToCancel];
    assert!(codes.contains(&late.unwrap_err().code), "while it installs, or once it restarts");
    board.restarted().await;
}

#[tokio::test]
async fn flash_that_fails_while_it_is_written_leaves_the_version_that_runs() {
    let board = board(Layout::Dual, true);
    board.slots[1].cut_power_after(200_000);
    board.send(&bundle(&GOOD), false).await.unwrap();
    let view = board.until(|view| view.stage.code == UpdateStageCode::Failed).await;
    assert!(view.stage.message.contains("0.2.0 could not be installed"), "{}", view.stage.message);
    assert_eq!(view.last.unwrap().outcome, UpdateOutcome::Refused);
    assert_eq!(board.boot_state(), BootState::default());
    assert!(board.left().is_empty());
}

#[tokio::test]
async fn the_owners_own_key_needs_presence_and_then_counts() {
    let board = board(Layout::Dual, true);
    let owners = bundle(&Made { signer: 7, ..GOOD });
    assert_eq!(board.send(&owners, false).await.unwrap_err().code, RefusalCode::BadSignature);

    let public_key = key(7).public_key().to_string();
    let set = |code: &str, public_key: &str| {
        board.order(Order::SetOwnerKey(OwnerKeyInput {
            public_key: public_key.to_owned(),
            code: code.to_owned(),
        }))
    };
    assert_eq!(set("0000-0000", &public_key).unwrap_err().code, RefusalCode::WrongCode, "no code was shown");
    board.order(Order::ShowPresenceCode).unwrap();
    let shown = lock(&CONSOLE).last().unwrap().clone();
    let code = shown.strip_prefix("Presence code: ").unwrap()[..9].to_owned();
    for not_a_key in ["", "xyz", &public_key[1..], &format!("{public_key}00")] {
        assert_eq!(set(&code, not_a_key).unwrap_err().code, RefusalCode::NotAKey, "it costs no try");
    }
    assert_eq!(set("0000-0000", &public_key).unwrap_err().code, RefusalCode::WrongCode);
    set(&code, &public_key).unwrap();
    assert_eq!(set(&code, &public_key).unwrap_err().code, RefusalCode::WrongCode, "a code is good once");
    let owner: Vec<_> = board.view().keys.into_iter().filter(|key| key.kind == SignedBy::Owner).collect();
    assert_eq!(owner, [UpdateKey { id: key(7).public_key().id().to_string(), kind: SignedBy::Owner }]);

    board.send(&owners, false).await.unwrap();
    board.restarted().await;
    assert_eq!(board.boot_state().trying.unwrap().slot, Slot::B);
    // It may be started from now on, and would not without the key.
    assert!(board.updater.owner_key_in_use());
    let too_soon = board.order(Order::ShowPresenceCode).unwrap_err();
    assert_eq!(too_soon.code, RefusalCode::TooManyAttempts);
    let remove = PresenceInput { code };
    assert_eq!(board.order(Order::RemoveOwnerKey(remove)).unwrap_err().code, RefusalCode::WrongCode);
}

#[tokio::test]
async fn what_became_of_the_last_update_is_told_after_the_restart() {
    let failed = |version: Option<&str>, outcome, message: &str| {
        let version = version.map(|version| version.parse().unwrap());
        BootState {
            failed: Some(Failure { version, outcome, message: message.to_owned() }),
            ..BootState::default()
        }
    };
    let state = failed(Some("0.2.0"), Outcome::RolledBack, "serve did not start");
    let board = board_with(Layout::Dual, true, &state);
    let last = board.view().last.unwrap();
    assert_eq!((last.version.as_str(), last.outcome), ("0.2.0", UpdateOutcome::RolledBack));
    assert_eq!(
        last.message,
        "0.2.0 did not become healthy: serve did not start. 0.1.0 runs again; nothing was lost."
    );
    // Told once, with the time of then: the next start finds it kept.
    let kept = lock(&board.log).get(LAST_UPDATE).unwrap().to_vec();
    board.updater.take_note_of_failure();
    assert_eq!(lock(&board.log).get(LAST_UPDATE).unwrap(), kept);

    let state =
        failed(Some("0.2.0"), Outcome::RolledBack, "It was started several times and never became healthy.");
    let message = board_with(Layout::Single, true, &state).view().last.unwrap().message;
    assert!(message.starts_with("0.2.0 did not stay. It was started several times"), "{message}");
    assert!(message.ends_with("0.1.0 runs now; nothing was lost."), "{message}");
    let state = failed(None, Outcome::Refused, "The staged bundle could not be read.");
    let last = board_with(Layout::Single, true, &state).view().last.unwrap();
    assert_eq!(last.outcome, UpdateOutcome::Refused);
}

#[tokio::test]
async fn a_restart_is_announced_and_nothing_begins_any_more() {
    let board = board(Layout::Dual, true);
    board.order(Order::Restart).unwrap();
    assert_eq!(board.view().stage.code, UpdateStageCode::Restarting);
    assert_eq!(board.send(&bundle(&GOOD), false).await.unwrap_err().code, RefusalCode::Busy);
    board.restarted().await;
}

/// The runtime's clock, which stands still in the tests that use it and is moved by the waiting of others.
struct Paused {
    begun: tokio::time::Instant,
}

impl Paused {
    #[expect(clippy::disallowed_methods, reason = "the runtime's clock, which stands still in these tests")]
    fn begin() -> Self {
        Self { begun: tokio::time::Instant::now() }
    }
}

impl Clock for Paused {
    fn wall(&self) -> WallTime {
        at("2026-11-20T12:00:00Z").as_wall()
    }

    fn mono(&self) -> MonoTime {
        MonoTime::from_start(self.begun.elapsed())
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_version_that_does_not_become_healthy_goes_back_and_says_why() {
    let state = BootState::default().after_install(Slot::A, Version::new(0, 1, 0));
    let board = board_on(Layout::Dual, true, &state, Arc::new(Paused::begin()));
    assert!(board.view().installed.trying);
    // No bundle is sent here: time does not wait for the line.
    let busy = board.updater.begin(UpdateStageCode::Receiving).err().map(|refusal| refusal.code);
    assert_eq!(busy, Some(RefusalCode::Busy), "one update at a time, until it is confirmed");
    let clock = Paused::begin();
    update_trial::watch(&board.updater).await;
    let took = clock.mono().since(MonoTime::from_start(Duration::ZERO));
    assert!((180..190).contains(&took.as_secs()), "{took:?}");
    board.restarted().await;
    let trial = board.boot_state().trying.unwrap();
    assert_eq!((trial.tries_left, trial.rejected.as_deref()), (0, Some("record did not start")));
    let words = "0.1.0 did not become healthy: record did not start. The version before comes back.";
    assert_eq!(board.view().stage.message, words);
}

#[tokio::test(start_paused = true)]
async fn a_version_that_was_confirmed_before_is_not_given_up() {
    let board = board_on(Layout::Dual, true, &BootState::default(), Arc::new(Paused::begin()));
    update_trial::watch(&board.updater).await;
    assert_eq!(board.boot_state(), BootState::default());
    assert_eq!(*board.desk.watch_ending().borrow(), None);
    assert_eq!(board.view().stage, idle());
}

#[tokio::test]
async fn a_healthy_version_is_confirmed_once_and_raises_the_floor() {
    let board = board(Layout::Dual, true);
    board.send(&bundle(&GOOD), false).await.unwrap();
    board.restarted().await;
    // The loader started it: the same flash, seen from the other slot.
    let new = board.started_from(Slot::B, "0.2.0");
    assert!(new.view().installed.trying);
    update_trial::confirmed(&new.updater, true).unwrap();
    new.updater.tell();
    let state = new.boot_state();
    assert_eq!((state.active, &state.trying), (Slot::B, &None));
    let view = new.view();
    assert!(!view.installed.trying);
    assert_eq!(view.floor, "0.1.5", "its manifest's minimum version");
    let last = view.last.unwrap();
    assert_eq!(
        (last.outcome, last.message.as_str()),
        (UpdateOutcome::Good, "0.2.0 is installed and healthy.")
    );
    // At the next start it is confirmed again, which changes nothing.
    update_trial::confirmed(&new.updater, false).unwrap();
    assert_eq!(new.boot_state(), state);
    let too_old = bundle(&Made { version: "0.1.4", minimum: "0.1.0", ..GOOD });
    assert_eq!(new.send(&too_old, true).await.unwrap_err().code, RefusalCode::TooOld);
}
