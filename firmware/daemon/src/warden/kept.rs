//! Settings as they are kept: a text for each version that a program wrote.
//!
//! An update may bring a newer version of the settings, and may be rolled back. So the newest text that this
//! program understands is loaded, and saving also writes, for every older version that has a text, what a
//! program of that version understands. What such a program changed meanwhile is taken over.
//!
//! Does not belong here: what the versions are (`settings/migrate.rs`), and where texts are (`keeper.rs`).

use std::io;

use super::keeper::{Keeper, settings_key};
use crate::settings::{self, OLDEST_VERSION, Settings, SettingsError, VERSION};

/// Settings that could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeptError {
    /// Where they are kept does not work.
    #[error("{title}: {source}")]
    Io {
        /// What was to be read or written.
        title: String,
        /// What the system said.
        source: io::Error,
    },
    /// The text is there but wrong.
    #[error(transparent)]
    Bad(#[from] SettingsError),
}

/// The settings kept; `None` when there are none.
pub(super) fn load(keeper: &dyn Keeper) -> Result<Option<Settings>, KeptError> {
    let mut found: Option<Settings> = None;
    for version in (OLDEST_VERSION..=VERSION).rev() {
        let Some((title, text)) = text(keeper, version)? else { continue };
        let Some(newer) = &found else {
            found = Some(settings::parse(&title, &text)?);
            continue;
        };
        // The same text that this program wrote: nobody changed it. A damaged one is nobody's change either.
        if settings::text_for(newer, version).is_some_and(|written| written != text)
            && let Ok(older) = settings::parse(&title, &text)
        {
            tracing::info!(version, "settings that an older program changed are taken over");
            found = Some(settings::merged(newer, older));
        }
    }
    Ok(found)
}

/// Keeps them, for this program and for older ones that were here.
pub(super) fn save(keeper: &dyn Keeper, settings: &Settings) -> Result<(), KeptError> {
    // The oldest first: a cut in between leaves an older text that differs, which `load` takes over.
    for version in OLDEST_VERSION..=VERSION {
        if version < VERSION && text(keeper, version)?.is_none() {
            continue;
        }
        let Some(text) = settings::text_for(settings, version) else { continue };
        let key = settings_key(version);
        keeper
            .set(&key, text.as_bytes())
            .map_err(|source| KeptError::Io { title: keeper.title(&key), source })?;
    }
    Ok(())
}

fn text(keeper: &dyn Keeper, version: u32) -> Result<Option<(String, String)>, KeptError> {
    let key = settings_key(version);
    let title = keeper.title(&key);
    let bytes = match keeper.get(&key) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Ok(None),
        Err(source) => return Err(KeptError::Io { title, source }),
    };
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some((title, text))),
        Err(_) => {
            let source = io::Error::new(io::ErrorKind::InvalidData, "this is no text");
            Err(KeptError::Io { title, source })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::warden::keeper::MemoryKeeper;

    fn old(name: &str) -> String {
        settings::text_for(&Settings { name: name.to_owned(), ..Settings::new() }, 1).unwrap()
    }

    #[test]
    fn what_is_saved_reads_back_and_nothing_else_is_written() {
        let keeper = MemoryKeeper::default();
        assert!(load(&keeper).unwrap().is_none());
        let settings = Settings { name: "Barn".to_owned(), ..Settings::new() };
        save(&keeper, &settings).unwrap();
        assert_eq!(load(&keeper).unwrap().unwrap(), settings);
        assert!(keeper.get("settings-v1").unwrap().is_none(), "no older program was ever here");
    }

    #[test]
    fn an_update_takes_the_old_settings_and_a_roll_back_finds_the_changed_ones() {
        let keeper = MemoryKeeper::default();
        keeper.set("settings-v1", old("Barn").as_bytes()).unwrap();
        let mut settings = load(&keeper).unwrap().unwrap();
        assert_eq!(settings.name, "Barn");
        settings.name = "Yard".to_owned();
        settings.time.ntp_servers = vec!["192.0.2.5".to_owned()];
        save(&keeper, &settings).unwrap();
        // The older program after a roll-back.
        assert_eq!(keeper.get("settings-v1").unwrap().unwrap(), old("Yard").into_bytes());
        assert_eq!(load(&keeper).unwrap().unwrap(), settings);
        // It changes its own text; after the next update that change is there, and what only the newer knows.
        keeper.set("settings-v1", old("Roof").as_bytes()).unwrap();
        settings.name = "Roof".to_owned();
        assert_eq!(load(&keeper).unwrap().unwrap(), settings);
    }

    #[test]
    fn a_text_of_a_newer_program_is_left_alone() {
        let keeper = MemoryKeeper::default();
        let newer = settings_key(VERSION + 1);
        keeper.set(&newer, b"unknown = 1").unwrap();
        save(&keeper, &Settings::new()).unwrap();
        assert_eq!(load(&keeper).unwrap().unwrap(), Settings::new());
        assert_eq!(keeper.get(&newer).unwrap().unwrap(), b"unknown = 1");
    }

    #[test]
    fn a_damaged_text_is_refused_and_named() {
        let keeper = MemoryKeeper::default();
        keeper.set("settings-v2", b"version = 2\nname = 7\n").unwrap();
        let error = load(&keeper).unwrap_err().to_string();
        assert!(error.contains("settings-v2 in memory, line 2"), "{error}");
        keeper.set("settings-v2", &[0xff]).unwrap();
        assert!(load(&keeper).unwrap_err().to_string().contains("no text"));
    }
}
