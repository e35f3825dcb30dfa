//! Cuts of the power and failing devices at every operation.
//!
//! A script is run on a folder that fails on order. Whatever fails is tried again, by the same writer or by
//! the next one; after a cut the ledger is opened again. At every opening, what was acknowledged must be
//! there, and nothing else but the beginning of the batch that was on its way.

use std::sync::Arc;

use proptest::prelude::*;

use super::support::{Definition, key, leaf, signer};
use crate::log::Limits;
use crate::{
    Fault, Hash, LedgerError, Log, Loss, MemoryStorage, Recovery, audit, empty_root, leaf_hash,
    verify_consistency, verify_inclusion,
};

/// Small files: a script fills several.
const LIMITS: Limits = Limits { leaf_bytes: 6_000, file_bytes: 2_000, file_leaves: 16 };

#[derive(Clone, Copy, Debug)]
enum Step {
    Append(u64),
    Checkpoint,
    Reopen,
}

/// Fills files in the middle of batches and at their ends, with and without checkpoints between; drops the
/// oldest.
const SCRIPT: &[Step] = {
    use Step::{Append, Checkpoint, Reopen};
    &[
        Append(1),
        Checkpoint,
        Append(5),
        Append(10),
        Append(3),
        Checkpoint,
        Append(16),
        Append(1),
        Reopen,
        Append(7),
        Checkpoint,
        Checkpoint,
        Append(16),
        Append(16),
        Append(2),
        Reopen,
        Append(9),
        Checkpoint,
    ]
};

struct World {
    storage: MemoryStorage,
    /// `None` while it is closed.
    log: Option<Log>,
    acknowledged: Vec<Vec<u8>>,
    /// What failed since the last success: of one of these the beginning may be there.
    in_flight: Vec<Vec<Vec<u8>>>,
    /// The last checkpoint that was handed out.
    signed: (u64, Hash),
    /// Whether a writer whose operation failed goes on, or the next one.
    patient: bool,
}

impl World {
    fn new(loss: Loss, faults: &[(u64, Fault)], patient: bool) -> Self {
        let storage = MemoryStorage::new(loss);
        faults.iter().for_each(|(at, fault)| storage.fail_at(*at, *fault));
        Self {
            storage,
            log: None,
            acknowledged: Vec::new(),
            in_flight: Vec::new(),
            signed: (0, empty_root()),
            patient,
        }
    }

    fn run(mut self, script: &[Step]) -> Self {
        for step in script {
            match *step {
                Step::Append(count) => {
                    let mut tries = 0_u32;
                    self.retry(|world, log| {
                        // Each try has other leaves, and fewer, of the same lengths: what the one before left begins
                        // where this one ends, and must not come back behind it.
                        let from = world.acknowledged.len() as u64;
                        let count = (count >> tries).max(1);
                        let batch: Vec<_> =
                            (from..from + count).map(|index| leaf_of_try(index, tries)).collect();
                        tries = (tries + 1).min(4);
                        world.in_flight.push(batch.clone());
                        assert_eq!(log.append(&batch)?, from..from + count);
                        world.acknowledged.extend(batch);
                        world.in_flight.clear();
                        Ok(())
                    });
                }
                Step::Checkpoint => self.retry(|world, log| {
                    let signed = log.checkpoint(&signer())?.checkpoint().clone();
                    assert_eq!(signed.size, world.acknowledged.len() as u64);
                    world.signed = (signed.size, signed.root);
                    Ok(())
                }),
                Step::Reopen => {
                    self.log = None;
                    self.retry(|_, _| Ok(()));
                }
            }
        }
        self
    }

    /// Until it works: each fault is met once.
    fn retry(&mut self, mut act: impl FnMut(&mut Self, &mut Log) -> Result<(), LedgerError>) {
        loop {
            let Some(mut log) = self.log.take().or_else(|| self.open()) else { continue };
            let done = act(self, &mut log).is_ok();
            if done || (self.patient && !self.storage.is_off()) {
                self.log = Some(log);
            }
            if done {
                return;
            }
        }
    }

    fn open(&mut self) -> Option<Log> {
        if self.storage.is_off() {
            self.storage.restart();
        }
        let (log, recovery) = match Log::open_with_limits(Arc::new(self.storage.clone()), &signer(), LIMITS) {
            Ok(opened) => opened,
            Err(error) => {
                let met = matches!(error.kind(), crate::ErrorKind::Io | crate::ErrorKind::DiskFull);
                assert!(met, "no fault makes this: {error}");
                return None;
            }
        };
        self.check(&log, recovery);
        Some(log)
    }

    fn check(&mut self, log: &Log, recovery: Recovery) {
        let reader = log.reader();
        let (least, size) = (self.acknowledged.len(), reader.size() as usize);
        assert!(size >= least, "{least} leaves were acknowledged, {size} are there");
        let more: Vec<_> = (least..size).map(|index| reader.leaf(index as u64).unwrap()).collect();
        let expected = more.is_empty() || self.in_flight.iter().any(|batch| batch.starts_with(&more));
        assert!(expected, "leaves that nobody appended since: {more:?}");
        self.acknowledged.extend(more);
        self.in_flight.clear();
        let signed = reader.last_checkpoint().checkpoint();
        assert!(signed.size >= self.signed.0);
        assert_eq!(recovery.unsigned_leaves, size as u64 - signed.size);
        let proof = reader.consistency(self.signed.0, size as u64).unwrap();
        verify_consistency(self.signed.0, &self.signed.1, size as u64, &reader.root(), &proof).unwrap();
        let mut next = reader.first_kept();
        while next < size as u64 {
            for (index, leaf) in reader.leaves(next, 1000).unwrap() {
                assert_eq!((index, &leaf), (next, &self.acknowledged[next as usize]));
                next += 1;
            }
        }
    }

    /// The power goes once more, and then everything is looked at.
    fn finish(mut self) {
        assert!(self.log.is_some());
        self.storage.cut_power();
        self.log = None;
        let log = loop {
            if let Some(log) = self.open() {
                break log;
            }
        };
        let mut definition = Definition::of(self.acknowledged.iter().cloned());
        let size = self.acknowledged.len();
        assert_eq!(log.reader().root(), definition.root(size));
        for (index, leaf) in self.acknowledged.iter().enumerate().step_by(7) {
            let proof = log.reader().inclusion(index as u64, size as u64).unwrap();
            verify_inclusion(&leaf_hash(leaf), index as u64, size as u64, &proof, &definition.root(size))
                .unwrap();
        }
        let audit = audit(Arc::new(self.storage.clone()), &key(), &mut |_| {}).unwrap();
        assert_eq!((audit.size, audit.first_kept), (size as u64, log.reader().first_kept()));
    }
}

fn leaf_of_try(index: u64, tries: u32) -> Vec<u8> {
    let mut leaf = leaf(index);
    leaf.truncate(leaf.len() - 1);
    leaf.extend(format!(",\"try\":{tries}}}").into_bytes());
    leaf
}

fn losses() -> impl Iterator<Item = Loss> {
    [Loss::Everything, Loss::Nothing].into_iter().chain((0..8).map(Loss::Some))
}

/// How many operations the script takes when nothing fails.
fn operations() -> u64 {
    let world = World::new(Loss::Everything, &[], true).run(SCRIPT);
    let operations = world.storage.operations();
    assert!(world.log.as_ref().unwrap().reader().first_kept() > 0, "the script must drop files");
    world.finish();
    operations
}

#[test]
fn a_cut_of_the_power_at_any_operation_loses_nothing_acknowledged() {
    for operation in 0..operations() {
        for loss in losses() {
            World::new(loss, &[(operation, Fault::PowerCut)], true).run(SCRIPT).finish();
        }
    }
}

#[test]
fn a_device_that_fails_at_any_operation_loses_nothing_acknowledged() {
    for operation in 0..operations() {
        for fault in [Fault::Io, Fault::Full] {
            for (loss, patient) in [Loss::Everything, Loss::Nothing, Loss::Some(operation)]
                .into_iter()
                .flat_map(|loss| [(loss, false), (loss, true)])
            {
                World::new(loss, &[(operation, fault)], patient).run(SCRIPT).finish();
            }
        }
    }
}

fn any_fault() -> impl Strategy<Value = (u64, Fault)> {
    (0_u64..400, prop_oneof![Just(Fault::PowerCut), Just(Fault::Io), Just(Fault::Full)])
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1_u64..=16).prop_map(Step::Append),
        2 => Just(Step::Checkpoint),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_faults_at_any_time_lose_nothing_acknowledged(
        faults in prop::collection::vec(any_fault(), 0..10),
        script in prop::collection::vec(any_step(), 1..40),
        seed in any::<u64>(),
        patient in any::<bool>(),
    ) {
        World::new(Loss::Some(seed), &faults, patient).run(&script).finish();
    }
}
