//! Randomness: seeded, the same on every machine.
//!
//! Does not belong here: anything that must not be guessed (crate `ring`).

/// splitmix64: the next of a sequence when fed its own result, a good hash otherwise.
pub(crate) fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ z >> 31
}
