//! Inclusion and consistency proofs: made from kept hashes, and verified.
//!
//! Those of RFC 9162 section 2.1. Does not belong here: where the kept hashes lie, and who signed the root.
//!
//! Invariant: a proof has at most [`MAX_PROOF_HASHES`] hashes, and a verifier looks at no more of them than
//! the sizes ask for.

use std::ops::Range;

use crate::error::{ErrorKind, LedgerError};
use crate::hex::Hash;
use crate::tree::{MAX_TREE_SIZE, Subtree, empty_root, join, node_hash, subtrees};

/// The most hashes in a proof: one for each level of the largest tree, and one more for consistency.
pub const MAX_PROOF_HASHES: usize = MAX_TREE_SIZE.ilog2() as usize + 1;

/// The hashes that lead from leaf `index` to the root of the tree of the first `size` leaves. `node` gives
/// the hash of a complete subtree within them, and is asked at most twice as often as the tree has levels.
///
/// # Errors
/// [`ErrorKind::Invalid`] when there is no such leaf, and those of `node`.
pub fn inclusion_proof<E: From<LedgerError>>(
    index: u64,
    size: u64,
    node: impl FnMut(Subtree) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    if index >= size || size > MAX_TREE_SIZE {
        return Err(invalid(format!("a tree of {size} leaves has no leaf {index}")).into());
    }
    let mut ranges = Vec::new();
    let mut tree = 0..size;
    while tree.end - tree.start > 1 {
        let middle = split(&tree);
        if index < middle {
            ranges.push(middle..tree.end);
            tree.end = middle;
        } else {
            ranges.push(tree.start..middle);
            tree.start = middle;
        }
    }
    hashes_of(ranges, node)
}

/// The hashes that show that the tree of the first `new` leaves begins with the tree of the first `old`.
/// Empty from the empty tree, which every tree begins with. `node` as in [`inclusion_proof`].
///
/// # Errors
/// [`ErrorKind::Invalid`] when `old` is larger than `new`, and those of `node`.
pub fn consistency_proof<E: From<LedgerError>>(
    old: u64,
    new: u64,
    node: impl FnMut(Subtree) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    if old > new || new > MAX_TREE_SIZE {
        return Err(invalid(format!("a tree of {new} leaves has no earlier one of {old}")).into());
    }
    let mut ranges = Vec::new();
    if old > 0 {
        // SUBPROOF of the RFC, from the root down; whoever asks knows the old root.
        let mut tree = 0..new;
        while old != tree.end {
            let middle = split(&tree);
            if old <= middle {
                ranges.push(middle..tree.end);
                tree.end = middle;
            } else {
                ranges.push(tree.start..middle);
                tree.start = middle;
            }
        }
        if tree.start > 0 {
            ranges.push(tree);
        }
    }
    hashes_of(ranges, node)
}

/// Where the RFC cuts a tree of more than one leaf in two: behind the largest power of two that is less than
/// its size.
fn split(tree: &Range<u64>) -> u64 {
    tree.start + (1 << (tree.end - tree.start - 1).ilog2())
}

/// The hash of each range, from the last to the first.
fn hashes_of<E>(
    ranges: Vec<Range<u64>>,
    mut node: impl FnMut(Subtree) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    ranges
        .into_iter()
        .rev()
        .map(|range| {
            let peaks = subtrees(range.start, range.end).map(&mut node).collect::<Result<Vec<_>, E>>()?;
            Ok(join(&peaks).unwrap_or_else(empty_root))
        })
        .collect()
}

/// Whether `proof` leads from the leaf with hash `leaf` at `index` to `root`, the root of a tree of `size`
/// leaves (RFC 9162, 2.1.3.2).
///
/// # Errors
/// [`ErrorKind::Refused`] when it does not.
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), LedgerError> {
    let refused =
        || LedgerError::new(ErrorKind::Refused, "the proof does not show that the leaf is in the ledger");
    if index >= size || size > MAX_TREE_SIZE {
        return Err(refused());
    }
    let mut edge = Edge { inner: index, last: size - 1 };
    let mut hash = *leaf;
    for step in proof {
        match edge.step().ok_or_else(refused)? {
            Side::Left => hash = node_hash(step, &hash),
            Side::Right => hash = node_hash(&hash, step),
        }
    }
    if edge.last == 0 && hash == *root { Ok(()) } else { Err(refused()) }
}

/// Whether `proof` shows that the tree of `new` leaves with root `new_root` begins with the tree of `old`
/// leaves with root `old_root` (RFC 9162, 2.1.4.2).
///
/// # Errors
/// [`ErrorKind::Refused`] when it does not.
pub fn verify_consistency(
    old: u64,
    old_root: &Hash,
    new: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), LedgerError> {
    let refused = || {
        LedgerError::new(
            ErrorKind::Refused,
            "the proof does not show that the ledger only grew between the two",
        )
    };
    let holds = |holds: bool| if holds { Ok(()) } else { Err(refused()) };
    if old > new || new > MAX_TREE_SIZE {
        return Err(refused());
    }
    if old == new {
        return holds(proof.is_empty() && old_root == new_root);
    }
    if old == 0 {
        return holds(proof.is_empty() && *old_root == empty_root());
    }
    let mut edge = Edge { inner: old - 1, last: new - 1 };
    let levels = edge.inner.trailing_ones();
    edge.up(levels);
    // Where the old tree is one complete subtree, its root is where both begin.
    let (first, steps) =
        if old.is_power_of_two() { (old_root, proof) } else { proof.split_first().ok_or_else(refused)? };
    let (mut old_hash, mut new_hash) = (*first, *first);
    for step in steps {
        match edge.step().ok_or_else(refused)? {
            Side::Left => {
                old_hash = node_hash(step, &old_hash);
                new_hash = node_hash(step, &new_hash);
            }
            Side::Right => new_hash = node_hash(&new_hash, step),
        }
    }
    holds(edge.last == 0 && old_hash == *old_root && new_hash == *new_root)
}

/// Where a proof's next hash belongs.
enum Side {
    Left,
    Right,
}

/// The RFC's `fn` and `sn`: a node and the last node, of one level of the tree.
struct Edge {
    inner: u64,
    last: u64,
}

impl Edge {
    fn up(&mut self, levels: u32) {
        self.inner >>= levels;
        self.last >>= levels;
    }

    /// Goes to the parent that the next hash of a proof makes; `None` when the root is reached.
    fn step(&mut self) -> Option<Side> {
        if self.last == 0 {
            return None;
        }
        let side = if self.inner & 1 == 1 || self.inner == self.last {
            // A right child, or the last one without a sibling: the levels on which it has none are passed
            // over. It is not 0, or it would be the root.
            self.up(self.inner.trailing_zeros());
            Side::Left
        } else {
            Side::Right
        };
        self.up(1);
        Some(side)
    }
}

fn invalid(what: String) -> LedgerError {
    LedgerError::new(ErrorKind::Invalid, what)
}
