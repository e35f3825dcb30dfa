//! Proofs: published vectors, the RFC's definitions, and every bit turned.

use proptest::prelude::*;

use super::support::{Definition, leaf, leaves};
use crate::{
    ErrorKind, Frontier, Hash, LedgerError, Subtree, consistency_proof, empty_root, inclusion_proof,
    leaf_hash, verify_consistency, verify_inclusion,
};

/// The inputs of Certificate Transparency's reference tests (google/certificate-transparency,
/// merkle_tree_test.cc).
fn reference_leaves() -> Vec<Vec<u8>> {
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
        .map(|hex| data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap())
        .to_vec()
}

/// All hashes that a ledger would keep.
struct Kept(Vec<Hash>);

impl Kept {
    fn of(leaves: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let mut frontier = Frontier::default();
        let mut kept = Vec::new();
        for leaf in leaves {
            frontier.push(leaf_hash(&leaf), &mut kept);
        }
        Self(kept)
    }

    fn inclusion(&self, index: u64, size: u64) -> Vec<Hash> {
        inclusion_proof(index, size, |subtree| self.node(subtree)).unwrap()
    }

    fn consistency(&self, old: u64, new: u64) -> Vec<Hash> {
        consistency_proof(old, new, |subtree| self.node(subtree)).unwrap()
    }

    fn node(&self, subtree: Subtree) -> Result<Hash, LedgerError> {
        Ok(self.0[subtree.position() as usize])
    }
}

fn hashes<const N: usize>(texts: [&str; N]) -> Vec<Hash> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn roots_and_proofs_are_those_of_the_reference_implementation() {
    assert_eq!(empty_root(), hashes(["e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"])[0]);
    let roots = hashes([
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ]);
    let mut frontier = Frontier::default();
    for (leaf, root) in reference_leaves().iter().zip(roots) {
        frontier.push(leaf_hash(leaf), &mut Vec::new());
        assert_eq!(frontier.root(), root);
    }
    let kept = Kept::of(reference_leaves());
    assert_eq!(kept.inclusion(0, 1), []);
    assert_eq!(
        kept.inclusion(0, 8),
        hashes([
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ])
    );
    assert_eq!(
        kept.inclusion(5, 8),
        hashes([
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ])
    );
    assert_eq!(
        kept.inclusion(2, 3),
        hashes(["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"])
    );
    assert_eq!(kept.consistency(1, 1), []);
    assert_eq!(kept.consistency(1, 8), kept.inclusion(0, 8));
    assert_eq!(
        kept.consistency(6, 8),
        hashes([
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ])
    );
    assert_eq!(
        kept.consistency(2, 5),
        hashes([
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ])
    );
}

#[test]
fn every_proof_up_to_300_leaves_is_the_one_that_the_rfc_defines_and_holds() {
    const SIZES: u64 = 300;
    let kept = Kept::of(leaves(0..SIZES));
    let mut definition = Definition::of(leaves(0..SIZES));
    let roots: Vec<Hash> = (0..=SIZES).map(|size| definition.root(size as usize)).collect();
    for size in 0..=SIZES {
        let root = &roots[size as usize];
        for index in 0..size {
            let proof = kept.inclusion(index, size);
            assert_eq!(proof, definition.path(index as usize, 0..size as usize), "{index} of {size}");
            verify_inclusion(&leaf_hash(&leaf(index)), index, size, &proof, root).unwrap();
        }
        assert_eq!(kept.consistency(0, size), []);
        verify_consistency(0, &roots[0], size, root, &[]).unwrap();
        for old in 1..=size {
            let proof = kept.consistency(old, size);
            assert_eq!(proof, definition.subproof(old as usize, 0..size as usize, true), "{old} of {size}");
            verify_consistency(old, &roots[old as usize], size, root, &proof).unwrap();
        }
    }
}

#[test]
fn what_cannot_be_is_neither_proven_nor_believed() {
    let kept = Kept::of(leaves(0..4));
    let node = |subtree| kept.node(subtree);
    let kind = |result: Result<Vec<Hash>, LedgerError>| result.unwrap_err().kind();
    assert_eq!(kind(inclusion_proof(0, 0, node)), ErrorKind::Invalid);
    assert_eq!(kind(inclusion_proof(4, 4, node)), ErrorKind::Invalid);
    assert_eq!(kind(inclusion_proof(0, u64::MAX, node)), ErrorKind::Invalid);
    assert_eq!(kind(consistency_proof(5, 4, node)), ErrorKind::Invalid);
    assert_eq!(kind(consistency_proof(0, u64::MAX, node)), ErrorKind::Invalid);
    let root = empty_root();
    for (index, size) in [(0, 0), (4, 4), (u64::MAX, u64::MAX), (0, u64::MAX)] {
        assert!(verify_inclusion(&root, index, size, &[], &root).is_err());
    }
    for (old, new) in [(5, 4), (u64::MAX, u64::MAX), (1, u64::MAX), (1, 2), (3, 4)] {
        assert!(verify_consistency(old, &root, new, &root, &[]).is_err());
    }
    // The empty tree has one root, and needs no proof.
    assert!(verify_consistency(0, &leaf_hash(b"x"), 4, &root, &[]).is_err());
    assert!(verify_consistency(0, &root, 4, &root, &[root]).is_err());
}

/// Every list of hashes that differs from this one in one bit, or by one hash.
fn changed(proof: &[Hash]) -> Vec<Vec<Hash>> {
    let mut all = Vec::new();
    for at in 0..proof.len() {
        for bit in 0..256 {
            let mut other = proof.to_vec();
            other[at].0[bit / 8] ^= 1 << (bit % 8);
            all.push(other);
        }
        let mut without = proof.to_vec();
        without.remove(at);
        all.push(without);
    }
    for at in 0..=proof.len() {
        let mut longer = proof.to_vec();
        longer.insert(at, proof.first().copied().unwrap_or_else(empty_root));
        all.push(longer);
    }
    all.retain(|other| other != proof);
    all
}

fn changed_hash(hash: &Hash) -> Vec<Hash> {
    changed(&[*hash]).into_iter().filter_map(|list| (list.len() == 1).then(|| list[0])).collect()
}

fn assert_every_change_is_refused(size: u64, index: u64, old: u64) {
    let kept = Kept::of(leaves(0..size));
    let mut definition = Definition::of(leaves(0..size));
    let (root, old_root) = (definition.root(size as usize), definition.root(old as usize));
    let (hash, proof) = (leaf_hash(&leaf(index)), kept.inclusion(index, size));
    let included =
        |hash: &Hash, index, proof: &[Hash], root: &Hash| verify_inclusion(hash, index, size, proof, root);
    included(&hash, index, &proof, &root).unwrap();
    assert!(changed(&proof).iter().all(|proof| included(&hash, index, proof, &root).is_err()));
    assert!(changed_hash(&hash).iter().all(|hash| included(hash, index, &proof, &root).is_err()));
    assert!(changed_hash(&root).iter().all(|root| included(&hash, index, &proof, root).is_err()));
    assert!((0..size + 2).filter(|i| *i != index).all(|i| included(&hash, i, &proof, &root).is_err()));

    let proof = kept.consistency(old, size);
    let continues =
        |old_root: &Hash, root: &Hash, proof: &[Hash]| verify_consistency(old, old_root, size, root, proof);
    continues(&old_root, &root, &proof).unwrap();
    assert!(changed(&proof).iter().all(|proof| continues(&old_root, &root, proof).is_err()));
    assert!(changed_hash(&old_root).iter().all(|old_root| continues(old_root, &root, &proof).is_err()));
    // The empty tree vouches for nothing: what follows it may be any tree.
    assert!(old == 0 || changed_hash(&root).iter().all(|root| continues(&old_root, root, &proof).is_err()));
}

#[test]
fn every_change_of_a_small_proof_is_refused() {
    for size in 1..=17 {
        for index in 0..size {
            assert_every_change_is_refused(size, index, index);
            assert_every_change_is_refused(size, index, index + 1);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_change_of_any_proof_is_refused(size in 18_u64..2000, at in any::<u64>(), old in any::<u64>()) {
        assert_every_change_is_refused(size, at % size, 1 + old % size);
    }
}
