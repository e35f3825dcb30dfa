//! The Merkle tree of RFC 9162 (as RFC 6962): hashes, and where each is kept.
//!
//! A tree of n leaves is the list of its *complete* subtrees (a power of two of leaves) plus a rule to join
//! them, so only hashes of complete subtrees are ever kept: they never change when the tree grows. They are
//! numbered in the order in which they become complete: a leaf's own first, then those of the ever larger
//! subtrees that it closes.
//!
//! Does not belong here: proofs (`proof`), files.

use crate::crypto::sha256;
use crate::hex::{Hash, Hex};

/// The most leaves of one tree: ten years of 100 leaves a second are 2^35. Keeps all arithmetic far from
/// overflow.
pub const MAX_TREE_SIZE: u64 = 1 << 48;

/// The hash of a leaf: SHA-256 of a zero byte and the leaf.
#[must_use]
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    Hex(sha256(&[&[0], leaf]))
}

/// The hash of an inner node: SHA-256 of a one byte and both children's hashes.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Hex(sha256(&[&[1], &left.0, &right.0]))
}

/// The root of the tree without leaves: SHA-256 of nothing.
#[must_use]
pub fn empty_root() -> Hash {
    Hex(sha256(&[]))
}

/// A complete subtree: the `2^level` leaves from `index * 2^level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subtree {
    /// 0 for a leaf.
    pub level: u32,
    /// Which one of its level, from 0.
    pub index: u64,
}

impl Subtree {
    /// The leaf with this index.
    #[must_use]
    pub const fn leaf(index: u64) -> Self {
        Self { level: 0, index }
    }

    /// The number of its hash in the order in which hashes become known, from 0.
    #[must_use]
    pub const fn position(self) -> u64 {
        let last_leaf = ((self.index + 1) << self.level) - 1;
        stored_hashes(last_leaf) + self.level as u64
    }
}

/// How many complete subtrees a tree of `size` leaves has: the number of hashes that are kept for it.
#[must_use]
pub const fn stored_hashes(size: u64) -> u64 {
    2 * size - size.count_ones() as u64
}

/// The largest complete subtrees that make up the leaves `from..to`, from left to right. For the ranges of
/// the RFC: `from` is a multiple of a power of two that is not less than the length.
pub fn subtrees(from: u64, to: u64) -> impl Iterator<Item = Subtree> {
    let mut at = from;
    std::iter::from_fn(move || {
        let level = (to - at).checked_ilog2()?.min(at.trailing_zeros());
        let subtree = Subtree { level, index: at >> level };
        at += 1 << level;
        Some(subtree)
    })
}

/// The root over neighbouring complete subtrees, largest first; `None` without any.
pub(crate) fn join(hashes: &[Hash]) -> Option<Hash> {
    hashes.iter().rev().copied().reduce(|right, left| node_hash(&left, &right))
}

/// The right edge of a tree: enough to append to it and to know its root, with a hash for each one in the
/// binary number of its leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// The edge of a tree with `size` leaves whose [`subtrees`] have these hashes; `None` when their number
    /// is wrong.
    #[must_use]
    pub fn new(size: u64, peaks: Vec<Hash>) -> Option<Self> {
        (peaks.len() == size.count_ones() as usize).then_some(Self { size, peaks })
    }

    /// The number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        join(&self.peaks).unwrap_or_else(empty_root)
    }

    /// Adds a leaf, and to `complete` the hashes that it makes known, in their order.
    pub fn push(&mut self, leaf: Hash, complete: &mut Vec<Hash>) {
        let mut hash = leaf;
        complete.push(hash);
        for _ in 0..self.size.trailing_ones() {
            let Some(left) = self.peaks.pop() else { break };
            hash = node_hash(&left, &hash);
            complete.push(hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_number_the_hashes_in_the_order_in_which_they_become_known() {
        let mut frontier = Frontier::default();
        let mut known = Vec::new();
        let mut position = 0;
        for index in 0..1_000_u64 {
            frontier.push(leaf_hash(&index.to_be_bytes()), &mut known);
            for level in 0..=index.trailing_ones() {
                assert_eq!(Subtree { level, index: index >> level }.position(), position);
                position += 1;
            }
            assert_eq!(stored_hashes(index + 1), position);
            assert_eq!(known.len() as u64, position);
        }
    }

    #[test]
    fn an_edge_is_the_same_whether_grown_or_taken_from_the_kept_hashes() {
        let mut grown = Frontier::default();
        let mut known = Vec::new();
        for index in 0..300_u64 {
            let peaks = subtrees(0, index).map(|subtree| known[subtree.position() as usize]).collect();
            assert_eq!(Frontier::new(index, peaks).unwrap(), grown);
            grown.push(leaf_hash(&[index as u8]), &mut known);
        }
        assert!(Frontier::new(3, vec![empty_root()]).is_none());
    }
}
