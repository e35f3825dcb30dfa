//! A board's keeper: the state log in flash.
//!
//! Boot state and keys of the update lie in the same log; whoever in the warden needs them shares it.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hal::NorFlash;
use update::StateLog;

use super::keeper::Keeper;

/// The state log of a board, shared by all in the warden who keep something there.
pub(crate) type SharedLog = Arc<Mutex<StateLog<Box<dyn NorFlash>>>>;

/// Keeps values in it.
pub(crate) struct FlashKeeper {
    log: SharedLog,
}

impl FlashKeeper {
    pub(crate) fn new(log: SharedLog) -> Self {
        Self { log }
    }
}

impl Keeper for FlashKeeper {
    fn get(&self, key: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(lock(&self.log).get(key).map(<[u8]>::to_vec))
    }

    fn set(&self, key: &str, value: &[u8]) -> io::Result<()> {
        let mut log = lock(&self.log);
        // Flash wears: what is there already is not written again.
        if log.get(key) == Some(value) {
            return Ok(());
        }
        log.set(key, value).map_err(io::Error::other)
    }

    fn remove(&self, key: &str) -> io::Result<()> {
        let mut log = lock(&self.log);
        if log.get(key).is_none() {
            return Ok(());
        }
        log.remove(key).map_err(io::Error::other)
    }

    fn title(&self, key: &str) -> String {
        format!("{key} in flash")
    }
}

fn lock(log: &SharedLog) -> MutexGuard<'_, StateLog<Box<dyn NorFlash>>> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use hal::FlashGeometry;
    use hal_sim::SimFlash;

    use super::*;
    use crate::warden::keeper::{ACCOUNTS, tests::check};

    fn flash() -> SimFlash {
        SimFlash::new(FlashGeometry { size: 1 << 20, erase_block: 64 << 10 }, 1).unwrap()
    }

    fn open(flash: &SimFlash) -> FlashKeeper {
        let boxed: Box<dyn NorFlash> = Box::new(flash.clone());
        let (log, _) = StateLog::open(boxed, 0, 1 << 20).unwrap();
        FlashKeeper::new(Arc::new(Mutex::new(log)))
    }

    #[test]
    fn keeps_as_every_keeper_does_and_over_a_restart() {
        let chip = flash();
        check(&open(&chip));
        assert_eq!(open(&chip).get("settings-v2").unwrap().unwrap(), b"t");
    }

    #[test]
    fn what_flash_holds_already_is_not_written_again() {
        let chip = flash();
        let keeper = open(&chip);
        keeper.set(ACCOUNTS, b"same").unwrap();
        chip.cut_power_after(0);
        keeper.set(ACCOUNTS, b"same").unwrap();
        assert!(keeper.set(ACCOUNTS, b"other").is_err());
    }
}
