//! Recovery as a process: the network, the page, and the lines on the console.

use std::sync::Arc;
use std::time::Duration;

use board::PartitionRole;
use hal::SystemClock;
use hal_linux::Mtd;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use update::{Target, VerifiedEnvelope, load_floor, read_slot};

use super::api::router;
use super::desk::{Desk, Flashes, Setting, largest_root};
use super::identity;
use super::media::{BlockDevices, block_devices};
use super::network;
use super::server::serve;
use super::stage::StageCode;
use crate::console;
use crate::decide::{load_trust, open_log};
use crate::error::LoaderError;
use crate::note::{self, Note};
use crate::place::Place;
use crate::reason::RecoveryReason;
use crate::version::version;

/// Where the page is: a browser finds it by the bare address.
const PORT: u16 = 443;

/// How often process 1 hears that work goes on, new disks are looked for, and a stuck installation is noticed.
const TICK: Duration = Duration::from_secs(3);

/// Longer than any block takes to be written: an installation without progress is stuck, and the watchdog may have it.
const STUCK_AFTER_TICKS: u32 = 10;

/// How long the page can still be told that the board restarts.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Runs until something is installed.
pub(crate) fn run(place: &Place, reason: RecoveryReason) -> Result<(), LoaderError> {
    console::say(format_args!("Recovery: {}", reason.message));
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| LoaderError::system("starting recovery", error))?;
    let identity = identity::make()?;
    let (setting, flashes) = gather(place, reason, &identity.fingerprint)?;
    let media = Box::new(BlockDevices::new(place.board_name()));
    let desk = Arc::new(Desk::new(setting, flashes, media, Arc::new(SystemClock::new()))?);
    runtime.block_on(async {
        let router = router(Arc::clone(&desk), place.board_name());
        let page = async {
            let listener = TcpListener::bind(("0.0.0.0", PORT))
                .await
                .map_err(|error| LoaderError::system(format_args!("listening on port {PORT}"), error))?;
            serve(listener, identity.tls, router).await;
            Ok(())
        };
        tokio::select! {
            ended = page => ended,
            () = network::keep_up(|address| tell(&desk, address, &identity.fingerprint)) => Ok(()),
            () = watch(&desk) => Ok(()),
        }
    })?;
    runtime.shutdown_background();
    console::say("Recovery: the new system is installed. Restarting.");
    Ok(())
}

fn gather(
    place: &Place,
    mut reason: RecoveryReason,
    fingerprint: &str,
) -> Result<(Setting, Flashes<Mtd>), LoaderError> {
    let log = open_log(place)?;
    let trust = load_trust(&log)?;
    let mut a = place.open(PartitionRole::Main)?;
    let mut b =
        place.partition(PartitionRole::MainB).map(|_| place.open(PartitionRole::MainB)).transpose()?;
    let floor = load_floor(&log);
    let target = Target {
        board: place.board_name().to_owned(),
        installed: floor.clone(),
        floor,
        // Whoever stands there vouches for the time better than this clock.
        now: None,
        max_root_bytes: largest_root(&a),
        allow_downgrade: false,
    };
    // What a header still says, though its root may be broken.
    let known = [Some(&mut a), b.as_mut()]
        .into_iter()
        .flatten()
        .filter_map(|mtd| read_slot(mtd, &trust, &target).ok().flatten())
        .map(|envelope: VerifiedEnvelope| envelope.manifest().version.clone())
        .max_by(semver::Version::cmp_precedence);
    if let Some(version) = &known {
        reason.version = Some(version.to_string());
    }
    let installed = known.unwrap_or_else(|| target.installed.clone());
    let setting = Setting {
        loader: version(),
        board: place.board.title.clone(),
        reason,
        fingerprint: fingerprint.to_owned(),
        trust,
        target: Target { installed, ..target },
    };
    Ok((setting, Flashes { log, a, b }))
}

fn tell(desk: &Desk<Mtd>, address: &str, fingerprint: &str) {
    if !desk.code_is_good() {
        // Somebody has used it, or nobody came; either way it opens nothing any more.
        return;
    }
    console::say(format_args!(
        "Recovery: open https://{address}/ and type the code {} (good for 10 minutes and 5 tries).",
        desk.code()
    ));
    console::say(format_args!("  Certificate SHA-256 {fingerprint}"));
}

/// Until the board is to restart.
async fn watch(desk: &Arc<Desk<Mtd>>) {
    let mut stages = desk.stages();
    let mut devices = None;
    let mut still = 0;
    loop {
        let stage = stages.borrow_and_update().clone();
        if stage.code == StageCode::Restarting {
            return sleep(LAST_WORDS).await;
        }
        if stage.code != StageCode::Installing || still < STUCK_AFTER_TICKS {
            let _ = note::hand_over(&Note::Alive);
        }
        let now = block_devices();
        if stage.is_free() && devices.as_ref() != Some(&now) {
            devices = Some(now);
            let desk = Arc::clone(desk);
            // A failed look is one without a result; the next change leads to another.
            let _ = spawn_blocking(move || desk.look_for_media()).await;
        }
        sleep(TICK).await;
        still = if stages.has_changed().unwrap_or(false) { 0 } else { still + 1 };
    }
}
