//! Which volume records which channels.
//!
//! Does not belong here: telling whether a volume is well (the caller knows its recorder), moving anything.
//!
//! Invariants
//! - While any volume is usable, every channel has one; with a mirror two, as soon as two are usable.
//! - A channel stays where it is until its volume fails or another one has much more room for it.

use std::collections::BTreeSet;

use hal::{ByteCount, ChannelId};

/// What a volume records.
pub type Channels = BTreeSet<ChannelId>;

/// A volume that channels can be given to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidate {
    /// It takes footage.
    pub usable: bool,
    /// What it may hold in all: a volume of twice the size gets twice the channels, so that all go equally far back.
    pub capacity: ByteCount,
    /// What it records now.
    pub channels: Channels,
}

/// What each volume, in the order of `volumes`, is to record of `wanted`.
///
/// Without a usable volume nothing moves: the recorders go on trying where they are.
#[must_use]
pub fn assign(volumes: &[Candidate], wanted: &Channels, mirror: bool) -> Vec<Channels> {
    let usable: Vec<usize> = (0..volumes.len()).filter(|&number| volumes[number].usable).collect();
    let mut plan: Vec<Channels> =
        volumes.iter().map(|volume| volume.channels.intersection(wanted).copied().collect()).collect();
    if usable.is_empty() {
        let placed: Channels = plan.iter().flatten().copied().collect();
        if let Some(first) = plan.first_mut() {
            first.extend(wanted.difference(&placed));
        }
        return plan;
    }
    for (number, channels) in plan.iter_mut().enumerate() {
        if !volumes[number].usable {
            channels.clear();
        }
    }
    let copies = if mirror { 2.min(usable.len()) } else { 1 };
    for &channel in wanted {
        let holders =
            |plan: &[Channels]| usable.iter().copied().filter(|&v| plan[v].contains(&channel)).collect();
        let mut holding: Vec<usize> = holders(&plan);
        while holding.len() > copies {
            // The fullest lets go: a mirror was turned off.
            let fullest = holding.iter().copied().max_by_key(|&v| load(&volumes[v], plan[v].len()));
            let Some(fullest) = fullest else { break };
            plan[fullest].remove(&channel);
            holding = holders(&plan);
        }
        while holding.len() < copies {
            let free = usable.iter().copied().filter(|v| !holding.contains(v));
            let Some(emptiest) = free.min_by_key(|&v| (load(&volumes[v], plan[v].len() + 1), v)) else {
                break;
            };
            plan[emptiest].insert(channel);
            holding.push(emptiest);
        }
    }
    balance(volumes, &usable, &mut plan);
    plan
}

/// Moves channels as long as the most loaded volume stays above what the other one becomes.
fn balance(volumes: &[Candidate], usable: &[usize], plan: &mut [Channels]) {
    // Each move lowers the sum of squares of the loads; there are at most as many as channels and volumes.
    for _ in 0..volumes.len() * usize::from(hal::MAX_CHANNELS) {
        let mut best: Option<(usize, usize, ChannelId)> = None;
        for &from in usable {
            for &to in usable {
                let gains = load(&volumes[from], plan[from].len()) > load(&volumes[to], plan[to].len() + 1);
                let movable = plan[from].difference(&plan[to]).last();
                if let (true, Some(&channel), None) = (gains, movable, best) {
                    best = Some((from, to, channel));
                }
            }
        }
        let Some((from, to, channel)) = best else { return };
        plan[from].remove(&channel);
        plan[to].insert(channel);
    }
}

/// Channels by room, comparable between volumes: channels a tebibyte, in thousandths.
fn load(volume: &Candidate, channels: usize) -> u64 {
    let room = volume.capacity.0.max(1 << 20);
    (channels as u128 * 1000 * (1 << 40) / u128::from(room)).try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn channels(numbers: impl IntoIterator<Item = u16>) -> Channels {
        numbers.into_iter().filter_map(ChannelId::new).collect()
    }

    fn volume(usable: bool, gib: u64, held: impl IntoIterator<Item = u16>) -> Candidate {
        Candidate { usable, capacity: ByteCount(gib << 30), channels: channels(held) }
    }

    #[test]
    fn channels_are_shared_out_by_room() {
        let wanted = channels(1..=6);
        let plan = assign(&[volume(true, 100, []), volume(true, 200, [])], &wanted, false);
        assert_eq!((plan[0].len(), plan[1].len()), (2, 4));
    }

    #[test]
    fn a_failed_volumes_channels_move_and_come_back() {
        let wanted = channels(1..=4);
        let mut volumes = [volume(true, 100, [1, 2]), volume(true, 100, [3, 4])];
        let before = assign(&volumes, &wanted, false);
        assert_eq!(before, [channels([1, 2]), channels([3, 4])], "nothing moves without a reason");
        volumes[0].usable = false;
        let during = assign(&volumes, &wanted, false);
        assert_eq!(during, [channels([]), channels(1..=4)]);
        volumes[0] = volume(true, 100, []);
        volumes[1].channels = channels(1..=4);
        let after = assign(&volumes, &wanted, false);
        assert_eq!((after[0].len(), after[1].len()), (2, 2));
    }

    #[test]
    fn a_mirror_has_every_channel_twice_while_two_volumes_are_usable() {
        let wanted = channels(1..=3);
        let mut volumes = [volume(true, 100, []), volume(true, 100, []), volume(false, 100, [])];
        let plan = assign(&volumes, &wanted, true);
        assert_eq!(plan[..2], [wanted.clone(), wanted.clone()]);
        volumes[1].usable = false;
        assert_eq!(assign(&volumes, &wanted, true)[0], wanted);
    }

    #[test]
    fn without_a_usable_volume_the_recorders_go_on_trying() {
        let volumes = [volume(false, 100, [1]), volume(false, 100, [2])];
        assert_eq!(assign(&volumes, &channels(1..=3), false), [channels([1, 3]), channels([2])]);
        assert!(assign(&[], &channels(1..=3), false).is_empty());
    }

    proptest! {
        #[test]
        fn every_channel_has_its_copies_and_a_second_look_changes_nothing(
            shapes in proptest::collection::vec((any::<bool>(), 1..4000_u64, proptest::collection::btree_set(1..=64_u16, 0..64)), 1..6),
            wanted in proptest::collection::btree_set(1..=64_u16, 0..64),
            mirror in any::<bool>(),
        ) {
            let mut volumes: Vec<Candidate> =
                shapes.into_iter().map(|(usable, gib, held)| volume(usable, gib, held)).collect();
            let wanted = channels(wanted);
            let usable = volumes.iter().filter(|volume| volume.usable).count();
            let plan = assign(&volumes, &wanted, mirror);
            for channel in &wanted {
                let copies = plan.iter().filter(|channels| channels.contains(channel)).count();
                if usable > 0 {
                    prop_assert_eq!(copies, if mirror { usable.min(2) } else { 1 });
                } else {
                    prop_assert!(copies >= 1);
                }
            }
            prop_assert!(plan.iter().flatten().all(|channel| wanted.contains(channel)));
            for (volume, channels) in volumes.iter_mut().zip(&plan) {
                volume.channels.clone_from(channels);
            }
            prop_assert_eq!(assign(&volumes, &wanted, mirror), plan);
        }
    }
}
