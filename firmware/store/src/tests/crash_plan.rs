//! What happens to a volume before the crash: a plan, made at random.
//!
//! When it finds a fault it is made small again.

use proptest::prelude::*;

use crate::faults::{Fault, Loss};

/// The life of a volume.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// As many segments as the volume may have at first.
    pub(crate) segments: u64,
    /// Where the random choices of this plan begin that need not be shrunk one by one.
    pub(crate) seed: u64,
    pub(crate) steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// All streams have footage for so many quarters of a second; then a commit.
    Record(u64),
    /// One stream has a few units; then a commit.
    Whisper(usize),
    /// All streams have footage, and no commit comes.
    Hold,
    /// All streams stand still for so many seconds, and begin anew.
    Gap(u64),
    /// Other parameter sets.
    NewFormat,
    /// Sealed segments are read back.
    Scrub,
    /// The recorder ends as it should, and starts again.
    Restart,
    /// The recorder is killed, and starts again; the machine goes on.
    Kill,
    /// As `Restart`, with another size.
    Resize(u64),
    /// The power goes so many operations later.
    Cut(u64, Loss),
    /// So many operations later, so many of them fail.
    Fail(u64, u64, Fault),
    /// So many readings later, one fails.
    FailRead(u64),
    /// Whatever failed works again.
    Heal,
}

fn loss() -> impl Strategy<Value = Loss> {
    prop_oneof![
        1 => Just(Loss::Everything),
        1 => Just(Loss::Nothing),
        3 => any::<u64>().prop_map(Loss::Some),
        2 => any::<u64>().prop_map(Loss::Writes),
        2 => any::<u64>().prop_map(Loss::Torn),
    ]
}

fn undisturbed() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => (2..10_u64).prop_map(Step::Record),
        4 => (0..3_usize).prop_map(Step::Whisper),
        2 => Just(Step::Hold),
        1 => (1..30_u64).prop_map(Step::Gap),
        1 => Just(Step::NewFormat),
        1 => Just(Step::Scrub),
        1 => Just(Step::Restart),
        2 => Just(Step::Kill),
        1 => (3..8_u64).prop_map(Step::Resize),
        2 => (0..20_u64, loss()).prop_map(|(later, loss)| Step::Cut(later, loss)),
    ]
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        3 => Just(Fault::Eio),
        2 => Just(Fault::WriteEio),
        3 => Just(Fault::SyncEio),
        2 => Just(Fault::Enospc),
        1 => Just(Fault::ReadOnly),
        3 => Just(Fault::Short),
        1 => Just(Fault::Gone),
    ]
}

fn disturbed() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => undisturbed(),
        3 => (0..12_u64, 1..3_u64, fault()).prop_map(|(later, count, fault)| Step::Fail(later, count, fault)),
        // Until it is healed: a device that has had enough.
        1 => (0..6_u64, 20..60_u64, fault()).prop_map(|(later, count, fault)| Step::Fail(later, count, fault)),
        1 => (0..40_u64).prop_map(Step::FailRead),
        2 => Just(Step::Heal),
    ]
}

fn plan(step: impl Strategy<Value = Step>) -> impl Strategy<Value = Plan> {
    let steps = proptest::collection::vec(step, 16..48);
    (3..7_u64, any::<u64>(), steps).prop_map(|(segments, seed, steps)| Plan { segments, seed, steps })
}

/// Nothing fails but the power.
pub(crate) fn on_a_good_device() -> impl Strategy<Value = Plan> {
    plan(undisturbed())
}

/// Operations fail, one by one or for a while.
pub(crate) fn on_a_failing_device() -> impl Strategy<Value = Plan> {
    plan(disturbed())
}
