//! What the tests share: a tree as the RFC defines it, leaves, a key.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use crate::{Hash, KeyKind, LedgerError, Log, MemoryStorage, Recovery, Signer, leaf_hash, node_hash};
use crate::{VerifierKey, empty_root};

/// The definitions of RFC 9162 section 2.1, word for word, and nothing clever.
#[derive(Default)]
pub(super) struct Definition {
    leaves: Vec<Hash>,
    known: HashMap<Range<usize>, Hash>,
}

impl Definition {
    pub(super) fn of(leaves: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self { leaves: leaves.into_iter().map(|leaf| leaf_hash(&leaf)).collect(), known: HashMap::new() }
    }

    /// MTH(D[range]).
    pub(super) fn hash(&mut self, range: Range<usize>) -> Hash {
        if let Some(hash) = self.known.get(&range) {
            return *hash;
        }
        let hash = match range.len() {
            0 => empty_root(),
            1 => self.leaves[range.start],
            n => {
                let middle = range.start + split(n);
                node_hash(&self.hash(range.start..middle), &self.hash(middle..range.end))
            }
        };
        self.known.insert(range, hash);
        hash
    }

    pub(super) fn root(&mut self, size: usize) -> Hash {
        self.hash(0..size)
    }

    /// PATH(m, D[range]), `m` counted from the start of the range.
    pub(super) fn path(&mut self, m: usize, range: Range<usize>) -> Vec<Hash> {
        if range.len() == 1 {
            return Vec::new();
        }
        let k = split(range.len());
        let middle = range.start + k;
        if m < k {
            let mut path = self.path(m, range.start..middle);
            path.push(self.hash(middle..range.end));
            path
        } else {
            let mut path = self.path(m - k, middle..range.end);
            path.push(self.hash(range.start..middle));
            path
        }
    }

    /// SUBPROOF(m, D[range], b).
    pub(super) fn subproof(&mut self, m: usize, range: Range<usize>, b: bool) -> Vec<Hash> {
        if m == range.len() {
            return if b { Vec::new() } else { vec![self.hash(range)] };
        }
        let k = split(range.len());
        let middle = range.start + k;
        if m <= k {
            let mut proof = self.subproof(m, range.start..middle, b);
            proof.push(self.hash(middle..range.end));
            proof
        } else {
            let mut proof = self.subproof(m - k, middle..range.end, false);
            proof.push(self.hash(range.start..middle));
            proof
        }
    }
}

/// The largest power of two less than n.
fn split(n: usize) -> usize {
    (0..).map(|bit| 1 << bit).take_while(|power| *power < n).last().unwrap()
}

/// Leaf number `index`, of a length that depends on it.
pub(super) fn leaf(index: u64) -> Vec<u8> {
    let filling = "x".repeat((index.wrapping_mul(0x9e37_79b9) % 200) as usize);
    format!("{{\"n\":{index},\"filling\":\"{filling}\"}}").into_bytes()
}

pub(super) fn leaves(range: Range<u64>) -> Vec<Vec<u8>> {
    range.map(leaf).collect()
}

pub(super) const ORIGIN: &str = "candor/00112233445566778899aabbccddeeff";

pub(super) fn signer() -> Signer {
    Signer::from_seed(ORIGIN, KeyKind::Note, &[7; 32]).unwrap()
}

pub(super) fn key() -> VerifierKey {
    signer().verifier().clone()
}

pub(super) fn open(storage: &MemoryStorage) -> Result<(Log, Recovery), LedgerError> {
    Log::open(Arc::new(storage.clone()), &signer(), u64::MAX)
}
