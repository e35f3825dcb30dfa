//! Where the recorder's software lies, and whose signature counts.
//!
//! Everything here is read anew when it is asked for, but for the state log: it is small, seldom needed, and true.
//!
//! Does not belong here: what is done with it (`update_install.rs`).

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{MutexGuard, PoisonError};

use board::{Board, PartitionRole};
use hal::{HalError, NorFlash, WallTime};
use hal_linux::Mtd;
use semver::Version;
use update::{
    BootState, Layout, Slot, StateLog, Target, Trust, UpdateError, VerifiedEnvelope, load_boot_state,
    load_floor, max_root_bytes, read_slot,
};

use super::flash_keeper::SharedLog;
use web::UtcTime;

use crate::boot::{BootFacts, ROOT_KEYS};

/// Opens a slot's partition.
pub(super) type OpenSlot = Box<dyn Fn(Slot) -> Result<Box<dyn NorFlash>, HalError> + Send + Sync>;

/// The board's places for software.
pub(super) struct Slots {
    /// The board's name, without a variant.
    pub(super) board: String,
    /// One slot or two.
    pub(super) layout: Layout,
    /// The one that runs.
    pub(super) running: Slot,
    /// The version in it.
    pub(super) installed: Version,
    /// When it was made.
    pub(super) built: Option<WallTime>,
    /// The state log.
    pub(super) log: SharedLog,
    /// The root document that the loader begins with.
    pub(super) initial_root: Vec<u8>,
    /// Opens a slot's partition.
    pub(super) open: OpenSlot,
    /// Where bundles are put while there is no disk.
    pub(super) memory_dir: PathBuf,
}

impl Slots {
    /// Those of a board, as the loader started it.
    pub(super) fn of_board(
        board: &Board,
        facts: &BootFacts,
        log: SharedLog,
        run_dir: &Path,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let running = match facts.slot.as_str() {
            "a" => Slot::A,
            "b" => Slot::B,
            _ => return Err("this system runs from memory, to be tried, and changes nothing in flash".into()),
        };
        let partition =
            |role| board.flash.iter().find_map(|flash| flash.partition(role)).map(|p| p.name.clone());
        let a =
            partition(PartitionRole::Main).ok_or("the board's description has no partition for software")?;
        let b = partition(PartitionRole::MainB);
        let layout = if b.is_some() { Layout::Dual } else { Layout::Single };
        let open: OpenSlot = Box::new(move |slot| {
            let name = if slot == Slot::A { Some(&a) } else { b.as_ref() };
            let name =
                name.ok_or_else(|| HalError::new(hal::ErrorKind::NotFound, "this board has one slot"))?;
            Ok(Box::new(Mtd::open_partition(name)?))
        });
        let initial_root = ROOT_KEYS.iter().find_map(|path| fs::read(path).ok());
        Ok(Self {
            board: facts.board.split(':').next().unwrap_or_default().to_owned(),
            layout,
            running,
            installed: facts.version.parse()?,
            built: facts
                .created
                .parse()
                .ok()
                .map(|at: UtcTime| WallTime::from_unix_micros(at.as_unix_micros())),
            log,
            initial_root: initial_root.ok_or("the loader left no keys to verify with")?,
            open,
            memory_dir: run_dir.to_owned(),
        })
    }

    /// The state log, locked: not to be held while anything else is waited for.
    pub(super) fn log(&self) -> MutexGuard<'_, StateLog<Box<dyn NorFlash>>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the loader was told last.
    pub(super) fn boot_state(&self) -> BootState {
        load_boot_state(&*self.log())
    }

    /// Versions below are never taken.
    pub(super) fn floor(&self) -> Version {
        load_floor(&*self.log())
    }

    /// Whose signature counts.
    pub(super) fn trust(&self) -> Result<Trust, UpdateError> {
        let (trust, warning) = Trust::load(&self.initial_root, &*self.log())?;
        if let Some(warning) = warning {
            tracing::warn!(warning, "keys were left out");
        }
        Ok(trust)
    }

    /// The slot that an update is written to.
    pub(super) fn to_write(&self) -> Slot {
        match self.layout {
            Layout::Single => Slot::A,
            Layout::Dual => self.running.other(),
        }
    }

    /// What a bundle is measured against.
    pub(super) fn target(&self, now: Option<WallTime>, allow_downgrade: bool) -> Result<Target, UpdateError> {
        let flash = self.flash(self.to_write())?;
        Ok(Target {
            board: self.board.clone(),
            installed: self.installed.clone(),
            floor: self.floor(),
            now,
            max_root_bytes: max_root_bytes(flash.geometry()),
            allow_downgrade,
        })
    }

    /// A slot's partition.
    pub(super) fn flash(&self, slot: Slot) -> Result<Box<dyn NorFlash>, UpdateError> {
        (self.open)(slot).map_err(|source| UpdateError::Flash { doing: "opening a slot", source })
    }

    /// What a slot says that it holds; its signature is checked, its image not read.
    pub(super) fn envelope(&self, slot: Slot) -> Result<Option<VerifiedEnvelope>, UpdateError> {
        let target = self.target(None, true)?;
        read_slot(&mut *self.flash(slot)?, &self.trust()?, &target)
    }
}
