//! The key that signs the ledger, and the recorder's number in its origin.
//!
//! Made at random when there is none. It goes to `record` alone. Losing it loses no footage, but what the recorder says from
//! then on is signed by somebody whom nobody knows; so it outlives a factory reset.

use std::io;

use data_encoding::HEXLOWER;
use ring::rand::{SecureRandom, SystemRandom};

use super::keeper::Keeper;
use crate::messages::LedgerKey;

/// The name that it is kept under.
const LEDGER_KEY: &str = "ledger-key";
/// Bytes of the recorder's number: nobody has so many recorders that two share one.
const NUMBER_BYTES: usize = 8;
/// Bytes of an Ed25519 seed (RFC 8032).
const SEED_BYTES: usize = 32;

/// The key kept, or a new one.
pub(super) fn load_or_make(keeper: &dyn Keeper) -> io::Result<LedgerKey> {
    if let Some(kept) = keeper.get(LEDGER_KEY)? {
        let damaged = || {
            let title = keeper.title(LEDGER_KEY);
            io::Error::new(io::ErrorKind::InvalidData, format!("{title} is damaged"))
        };
        return parse(&kept).ok_or_else(damaged);
    }
    let mut random = [0; NUMBER_BYTES + SEED_BYTES];
    SystemRandom::new().fill(&mut random).map_err(|_| io::Error::other("there is no randomness"))?;
    let text = format!("# Signs the ledger. Keep it secret.\nkey = \"{}\"\n", HEXLOWER.encode(&random));
    keeper.set(LEDGER_KEY, text.as_bytes())?;
    parse(text.as_bytes()).ok_or_else(|| io::Error::other("the new key does not read back"))
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// The number and the seed, hexadecimal.
    key: String,
}

fn parse(kept: &[u8]) -> Option<LedgerKey> {
    let file: File = toml::from_str(std::str::from_utf8(kept).ok()?).ok()?;
    let bytes = HEXLOWER.decode(file.key.as_bytes()).ok()?;
    let (number, seed) = bytes.split_at_checked(NUMBER_BYTES)?;
    Some(LedgerKey { recorder: HEXLOWER.encode(number), seed: seed.try_into().ok()? })
}

#[cfg(test)]
mod tests {
    use super::super::keeper::MemoryKeeper;
    use super::*;

    #[test]
    fn it_is_made_once_and_a_damaged_one_is_not_replaced() {
        let keeper = MemoryKeeper::default();
        let first = load_or_make(&keeper).unwrap();
        assert_eq!(first.recorder.len(), 2 * NUMBER_BYTES);
        assert_eq!(load_or_make(&keeper).unwrap(), first);
        assert_ne!(load_or_make(&MemoryKeeper::default()).unwrap(), first);
        keeper.set(LEDGER_KEY, b"key = \"00ff\"\n").unwrap();
        assert!(load_or_make(&keeper).is_err());
        assert_eq!(keeper.get(LEDGER_KEY).unwrap().unwrap(), b"key = \"00ff\"\n");
    }
}
