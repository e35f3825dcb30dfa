//! A device in memory: a chip, a disk, and a system that updates it.
//!
//! The power fails for chip and disk at once. What the loader does is [`Machine::start`], as on a board.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use hal::NorFlash;
use semver::Version;
use update::{
    BundleFile, Fill, Incoming, Layout, Machine, Shelf, Slot, Start, StateLog, Target, Trust, UpdateError,
    VerifiedBundle, check_idle, confirm, install_slot, load_boot_state, load_floor, max_root_bytes, reject,
    stage,
};

use crate::fixture::{BOARD, initial_json, wall};
use crate::partition::Partition;

pub(crate) const BLOCK: u32 = 4096;
const SLOT_BYTES: u32 = 4 * BLOCK;
/// Two erase blocks a half: small enough for every cut, and copied often.
const STATE_BYTES: u32 = 4 * BLOCK;
/// The disk's own operations, counted on the chip by programming nothing.
const DISK_BYTES: u32 = BLOCK;

/// What stands in the state log beside the update's own: it must outlive everything.
const KEPT: [(&str, &[u8]); 3] =
    [("settings-v1", &[b's'; 700]), ("accounts", &[b'a'; 300]), ("identity", &[b'i'; 200])];

/// A device with its disk.
pub(crate) struct Device {
    pub(crate) whole: Partition,
    pub(crate) layout: Layout,
    pub(crate) files: Files,
    /// How often the power failed.
    pub(crate) cuts: usize,
}

/// A disk's bundles.
#[derive(Clone, Default)]
pub(crate) struct Files {
    held: BTreeMap<&'static str, Vec<u8>>,
    /// Taken out of the device.
    pub(crate) missing: bool,
}

/// The disk, fed by the device's power.
pub(crate) struct Disk<'a> {
    files: &'a mut Files,
    power: RefCell<Partition>,
}

/// What was started.
pub(crate) struct Running {
    pub(crate) slot: Slot,
    pub(crate) version: Version,
    pub(crate) on_trial: bool,
    envelope: update::VerifiedEnvelope,
}

impl Device {
    /// A device that runs `bundle`, installed and confirmed in slot A.
    pub(crate) fn new(layout: Layout, seed: u64, bundle: &[u8]) -> Self {
        let whole = Partition::whole(2 * SLOT_BYTES + STATE_BYTES + DISK_BYTES, BLOCK, seed);
        let mut device = Self { whole, layout, files: Files::default(), cuts: 0 };
        let (mut log, trust) = device.open().unwrap();
        for (key, value) in KEPT {
            log.set(key, value).unwrap();
        }
        let verified = device.receive(bundle, &trust, false).unwrap();
        let image = &bundle[verified.image_offset() as usize..];
        install_slot(&mut log, Slot::A, &mut device.slot(Slot::A), &verified, image, &mut |_| {}).unwrap();
        let running = device.start().unwrap().unwrap();
        assert_eq!(running.version, verified.manifest().version);
        device.confirm(&running).unwrap();
        device.whole.ops.lock().unwrap().clear();
        device
    }

    /// Another device that holds the same.
    pub(crate) fn copy(&self, seed: u64) -> Self {
        let mut whole = Partition::whole(self.whole.size, BLOCK, seed);
        whole.program(0, &self.whole.dump()).unwrap();
        whole.ops.lock().unwrap().clear();
        Self { whole, layout: self.layout, files: self.files.clone(), cuts: 0 }
    }

    pub(crate) fn slot(&self, slot: Slot) -> Partition {
        self.whole.part(if slot == Slot::A { 0 } else { SLOT_BYTES }, SLOT_BYTES)
    }

    pub(crate) fn disk(&mut self) -> Disk<'_> {
        let power = self.whole.part(2 * SLOT_BYTES + STATE_BYTES, DISK_BYTES);
        Disk { files: &mut self.files, power: RefCell::new(power) }
    }

    pub(crate) fn open(&self) -> Result<(StateLog<Partition>, Trust), UpdateError> {
        let state = self.whole.part(2 * SLOT_BYTES, STATE_BYTES);
        let (log, _) = StateLog::open(state, 0, STATE_BYTES)?;
        let (trust, warning) = Trust::load(&initial_json(), &log)?;
        assert_eq!(warning, None);
        Ok((log, trust))
    }

    /// Power on. `None`: recovery.
    pub(crate) fn start(&mut self) -> Result<Option<Running>, UpdateError> {
        let (mut log, trust) = self.open()?;
        let (mut slot_a, mut slot_b) = (self.slot(Slot::A), self.slot(Slot::B));
        let dual = self.layout == Layout::Dual;
        let machine = Machine {
            slot_a: &mut slot_a,
            slot_b: if dual { Some(&mut slot_b) } else { None },
            log: &mut log,
            shelf: &mut self.disk(),
            trust: &trust,
            board: BOARD,
            now: None,
            progress: &mut |_| {},
        };
        let started = machine.start()?;
        // Without power nothing was really decided.
        self.whole.part(0, 1).read(0, &mut [0]).map_err(no_power)?;
        let on_trial = started.tries_left().is_some();
        Ok(match started.outcome {
            Start::Boot { slot, envelope } => Some(Running {
                slot,
                version: envelope.manifest().version.clone(),
                on_trial,
                envelope: *envelope,
            }),
            Start::Recovery(reason) => {
                println!("recovery, {reason:?}: {:?} {:?}", started.state, started.warnings);
                None
            }
        })
    }

    /// The running system takes an update and leaves it to the next start.
    pub(crate) fn update(
        &mut self,
        running: &Running,
        bundle: &[u8],
        allow_downgrade: bool,
    ) -> Result<(), UpdateError> {
        let (mut log, trust) = self.open()?;
        check_idle(&load_boot_state(&log))?;
        let mut target = self.target(&log);
        target.installed = running.version.clone();
        target.allow_downgrade = allow_downgrade;
        let mut incoming = Some(Incoming::new(trust, target));
        let mut verified = None;
        self.disk().save(BundleFile::Staged, &mut |to| {
            for piece in bundle.chunks(1500) {
                incoming.as_mut().unwrap().push(piece)?;
                to.write_all(piece).map_err(|source| UpdateError::File { doing: "staging", source })?;
            }
            verified = Some(incoming.take().unwrap().finish()?);
            Ok(())
        })?;
        match self.layout {
            Layout::Single => stage(&mut log, allow_downgrade),
            Layout::Dual => {
                let verified = verified.unwrap();
                let slot = running.slot.other();
                let image = &bundle[verified.image_offset() as usize..];
                install_slot(&mut log, slot, &mut self.slot(slot), &verified, image, &mut |_| {})
            }
        }
    }

    /// The running system found itself healthy.
    pub(crate) fn confirm(&self, running: &Running) -> Result<(), UpdateError> {
        let (mut log, mut trust) = self.open()?;
        confirm(&mut log, &mut trust, running.slot, &running.envelope)
    }

    /// The running system found itself not healthy.
    pub(crate) fn reject(&self) -> Result<(), UpdateError> {
        reject(&mut self.open()?.0, "No picture was recorded.")
    }

    pub(crate) fn receive(
        &self,
        bundle: &[u8],
        trust: &Trust,
        allow_downgrade: bool,
    ) -> Result<VerifiedBundle, UpdateError> {
        let target = Target { allow_downgrade, ..self.target(&self.open()?.0) };
        let mut incoming = Incoming::new(trust.clone(), target);
        incoming.push(bundle)?;
        incoming.finish()
    }

    /// What must outlive everything is there, and nothing is left to do.
    pub(crate) fn check_settled(&self) {
        let (log, _) = self.open().unwrap();
        for (key, value) in KEPT {
            assert_eq!(log.get(key), Some(value), "{key} was lost");
        }
        check_idle(&load_boot_state(&log)).unwrap();
    }

    fn target(&self, log: &StateLog<Partition>) -> Target {
        Target {
            board: BOARD.to_owned(),
            installed: Version::new(0, 0, 0),
            floor: load_floor(log),
            now: Some(wall("2027-01-01T00:00:00Z")),
            max_root_bytes: max_root_bytes(self.slot(Slot::A).geometry()),
            allow_downgrade: false,
        }
    }
}

fn no_power(source: hal::HalError) -> UpdateError {
    UpdateError::Flash { doing: "test", source }
}

impl Files {
    pub(crate) fn put(&mut self, file: BundleFile, bytes: Option<Vec<u8>>) {
        match bytes {
            Some(bytes) => self.held.insert(name(file), bytes),
            None => self.held.remove(name(file)),
        };
    }

    pub(crate) fn get(&self, file: BundleFile) -> Option<&Vec<u8>> {
        self.held.get(name(file))
    }
}

fn name(file: BundleFile) -> &'static str {
    match file {
        BundleFile::Staged => "staged",
        BundleFile::Previous => "previous",
    }
}

impl Disk<'_> {
    /// An operation that a power cut can come before, in or after.
    fn spend(&self) -> io::Result<()> {
        self.power.borrow_mut().program(0, &[0xFF; 3]).map_err(io::Error::other)
    }
}

impl Shelf for Disk<'_> {
    fn open(&mut self, file: BundleFile) -> io::Result<Option<Box<dyn Read + '_>>> {
        if self.files.missing {
            return Ok(None);
        }
        Ok(self.files.get(file).map(|bytes| Box::new(&bytes[..]) as Box<dyn Read>))
    }

    fn save(&mut self, file: BundleFile, fill: Fill<'_>) -> Result<(), UpdateError> {
        let failed = |source| UpdateError::File { doing: "saving", source };
        if self.files.missing {
            return Err(failed(io::Error::other("no disk")));
        }
        let mut unfinished = Unfinished { disk: self, bytes: Vec::new() };
        fill(&mut unfinished)?;
        let bytes = unfinished.bytes;
        self.spend().map_err(failed)?;
        self.files.put(file, Some(bytes));
        self.spend().map_err(failed)
    }
}

/// A file that has no name yet.
struct Unfinished<'a, 'b> {
    disk: &'a Disk<'b>,
    bytes: Vec<u8>,
}

impl Write for Unfinished<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.disk.spend()?;
        self.bytes.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
