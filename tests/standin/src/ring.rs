//! A channel's stream buffer: pictures lie in it until they are released.
//!
//! Packs are put one behind the other. In G1 a pack may wrap: its second piece begins at the buffer's start. Later
//! generations leave the rest of the buffer unused where a pack would not fit.

use crate::memory::Memory;

/// How far apart the pieces of a pack are that is split without need.
const GAP: usize = 64;

/// How packs lie in the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lay {
    /// In one piece (G2, G3).
    Whole,
    /// In two pieces where the buffer ends (G1).
    Wrapped,
    /// In two pieces always: G1, told to misbehave.
    Split,
}

/// A piece of a pack: where in the buffer, and how many bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) at: usize,
    pub(crate) length: usize,
}

/// What a picture takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// For each pack its pieces; the second is empty unless it wraps.
    pub(crate) packs: Vec<[Piece; 2]>,
    /// Bytes of the buffer, those left unused included.
    taken: usize,
}

/// The buffer.
#[derive(Debug)]
pub(crate) struct Ring {
    pub(crate) memory: Memory,
    head: usize,
    used: usize,
}

impl Ring {
    pub(crate) fn new(bytes: usize) -> Self {
        Self { memory: Memory::new(bytes), head: 0, used: 0 }
    }

    /// Puts a picture's packs; `None` if there is no room.
    pub(crate) fn put(&mut self, packs: &[Vec<u8>], lay: Lay) -> Option<Place> {
        let (mut head, mut used) = (self.head, self.used);
        let capacity = self.memory.len();
        let mut pieces = Vec::with_capacity(packs.len());
        let mut take = |bytes: usize, head: &mut usize| {
            used += bytes;
            let at = *head;
            *head = (*head + bytes) % capacity.max(1);
            (used <= capacity).then_some(at)
        };
        for pack in packs {
            let length = pack.len();
            let first = match lay {
                Lay::Split if length > 1 => length / 2,
                _ => length,
            };
            let rest = capacity - head;
            if lay != Lay::Wrapped && first > rest {
                take(rest, &mut head)?;
            }
            let first = first.min(capacity - head);
            let mut pair = [Piece { at: take(first, &mut head)?, length: first }, Piece::default()];
            let second = length - first;
            if second > 0 {
                if lay == Lay::Split {
                    let skip = if GAP + second > capacity - head { capacity - head } else { GAP };
                    take(skip, &mut head)?;
                }
                pair[1] = Piece { at: take(second, &mut head)?, length: second };
            }
            pieces.push(pair);
        }
        for (pack, [first, second]) in packs.iter().zip(&pieces) {
            self.memory.write(first.at, &pack[..first.length]);
            self.memory.write(second.at, &pack[first.length..]);
        }
        let taken = used - self.used;
        (self.head, self.used) = (head, used);
        Some(Place { packs: pieces, taken })
    }

    /// Frees the oldest picture's place.
    pub(crate) fn free(&mut self, place: &Place) {
        self.used -= place.taken;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packs(lengths: &[usize]) -> Vec<Vec<u8>> {
        lengths.iter().enumerate().map(|(n, &length)| vec![n as u8 + 1; length]).collect()
    }

    fn content(ring: &Ring, [first, second]: [Piece; 2]) -> Vec<u8> {
        [ring.memory.read(first.at, first.length), ring.memory.read(second.at, second.length)].concat()
    }

    #[test]
    fn g1_wraps_at_the_buffers_end() {
        let mut ring = Ring::new(100);
        let first = ring.put(&packs(&[70]), Lay::Wrapped).unwrap();
        ring.free(&first);
        let second = ring.put(&packs(&[10, 50]), Lay::Wrapped).unwrap();
        assert_eq!(second.packs[0], [Piece { at: 70, length: 10 }, Piece::default()]);
        assert_eq!(second.packs[1], [Piece { at: 80, length: 20 }, Piece { at: 0, length: 30 }]);
        assert_eq!(content(&ring, second.packs[1]), [2; 50]);
    }

    #[test]
    fn later_generations_leave_the_rest_unused_and_count_it() {
        let mut ring = Ring::new(100);
        let first = ring.put(&packs(&[70]), Lay::Whole).unwrap();
        assert_eq!(ring.put(&packs(&[40]), Lay::Whole), None, "30 are left");
        ring.free(&first);
        let second = ring.put(&packs(&[40]), Lay::Whole).unwrap();
        assert_eq!(second.packs[0], [Piece { at: 0, length: 40 }, Piece::default()]);
        assert_eq!(ring.put(&packs(&[31]), Lay::Whole), None, "the 30 are gone until the second is freed");
        assert!(ring.put(&packs(&[30]), Lay::Whole).is_some());
    }

    #[test]
    fn a_split_pack_has_a_gap_within() {
        let mut ring = Ring::new(400);
        let place = ring.put(&packs(&[50, 1]), Lay::Split).unwrap();
        assert_eq!(place.packs[0], [Piece { at: 0, length: 25 }, Piece { at: 89, length: 25 }]);
        assert_eq!(place.packs[1], [Piece { at: 114, length: 1 }, Piece::default()]);
        assert_eq!(content(&ring, place.packs[0]), [1; 50]);
    }

    #[test]
    fn what_is_released_can_be_used_for_ever() {
        for lay in [Lay::Whole, Lay::Wrapped, Lay::Split] {
            let mut ring = Ring::new(1000);
            let mut held = std::collections::VecDeque::new();
            for number in 0..500usize {
                let packs = packs(&[9, 5, 40 + number * 7 % 120]);
                let place = ring.put(&packs, lay).unwrap();
                for (pack, &pieces) in packs.iter().zip(&place.packs) {
                    assert_eq!(&content(&ring, pieces), pack, "{lay:?} {number}");
                }
                held.push_back(place);
                if held.len() > 1 {
                    ring.free(&held.pop_front().unwrap());
                }
            }
        }
    }
}
