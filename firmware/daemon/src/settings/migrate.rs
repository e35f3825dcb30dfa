//! Settings of other versions: older ones are taken, and still written.
//!
//! Version 2 added `[network]`, `[time]`, `[[alarm]]` and some of `[rtsp]`, `[storage]` and `[[channel]]` to version 1 and changed nothing else. A board keeps
//! one text for each version that a program on it has written (`warden/kept.rs`), so that a program that was
//! rolled back finds its own.
//!
//! Invariant: going back and forward again changes nothing that the older version knows.

use super::model::{Rtsp, Settings, Storage, VERSION};

/// The oldest version that is understood.
pub(crate) const OLDEST_VERSION: u32 = 1;

/// What version 1 does not know of `[rtsp]`, `[storage]` and each channel.
const LATER_IN_RTSP: [&str; 2] = ["allow", "multicast"];
const LATER_IN_STORAGE: [&str; 3] = ["encrypt", "mirror", "more_folders"];
const LATER_IN_CHANNEL: [&str; 2] = ["keep_days", "keep_event_days"];

/// Makes settings of this program's version of what was read; a version that is not known is left for
/// `validate` to refuse.
///
/// # Errors
/// The name of a table that the text's own version does not have.
pub(super) fn forward(settings: &mut Settings) -> Result<(), &'static str> {
    if settings.version != 1 {
        return Ok(());
    }
    let fresh = Settings::new();
    if settings.network != fresh.network {
        return Err("network");
    }
    if settings.time != fresh.time {
        return Err("time");
    }
    if settings.alarms != fresh.alarms {
        return Err("alarm");
    }
    settings.version = VERSION;
    Ok(())
}

/// The text that a program of `version` reads; `None` for a version that there never was.
pub(crate) fn text_for(settings: &Settings, version: u32) -> Option<String> {
    let mut table = toml::Table::try_from(settings).ok()?;
    match version {
        VERSION => {}
        1 => {
            for key in ["network", "time", "alarm"] {
                table.remove(key);
            }
            if let Some(rtsp) = table.get_mut("rtsp").and_then(toml::Value::as_table_mut) {
                LATER_IN_RTSP.iter().for_each(|key| drop(rtsp.remove(*key)));
            }
            if let Some(storage) = table.get_mut("storage").and_then(toml::Value::as_table_mut) {
                LATER_IN_STORAGE.iter().for_each(|key| drop(storage.remove(*key)));
            }
            let channels = table.get_mut("channel").and_then(toml::Value::as_array_mut).into_iter().flatten();
            for channel in channels.filter_map(toml::Value::as_table_mut) {
                LATER_IN_CHANNEL.iter().for_each(|key| drop(channel.remove(*key)));
            }
            table.insert("version".to_owned(), toml::Value::Integer(1));
        }
        _ => return None,
    }
    toml::to_string_pretty(&table).ok()
}

/// `settings`, with what an older program changed in its own text meanwhile: all that version 1 knows is
/// `older`'s, the rest stays.
pub(crate) fn merged(settings: &Settings, mut older: Settings) -> Settings {
    for channel in &mut older.channels {
        if let Some(kept) = settings.channel(channel.number) {
            channel.keep_days = kept.keep_days;
            channel.keep_event_days = kept.keep_event_days;
        }
    }
    Settings {
        network: settings.network.clone(),
        time: settings.time.clone(),
        alarms: settings.alarms.clone(),
        rtsp: Rtsp {
            allow: settings.rtsp.allow.clone(),
            multicast: settings.rtsp.multicast.clone(),
            ..older.rtsp
        },
        storage: Storage {
            max_bytes: older.storage.max_bytes,
            segment_bytes: older.storage.segment_bytes,
            ..settings.storage.clone()
        },
        ..older
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::parse;

    const OLD: &str = "version = 1\nname = \"Barn\"\n[storage]\nmax_bytes = 1073741824\n[[channel]]\nnumber = 7\ntitle = \"Gate\"\n\
                       camera = { url = \"rtsp://192.0.2.1/\", user = \"u\", password = \"p\" }\n";

    #[test]
    fn the_older_version_is_taken_with_the_new_parts_at_their_defaults() {
        let settings = parse("test", OLD).unwrap();
        assert_eq!((settings.version, settings.name.as_str()), (VERSION, "Barn"));
        assert_eq!(settings.network, Settings::new().network);
        assert_eq!(settings.channels[0].camera.as_ref().unwrap().password.as_deref(), Some("p"));
    }

    #[test]
    fn back_and_forward_again_keeps_what_the_older_version_knows() {
        let mut settings = parse("test", OLD).unwrap();
        settings.time.ntp_servers = vec!["192.0.2.5".to_owned()];
        settings.storage.encrypt = false;
        settings.rtsp.allow = vec!["192.0.2.0/24".to_owned()];
        settings.rtsp.multicast.enabled = true;
        settings.storage.mirror = true;
        settings.channels[0].keep_days = Some(7);
        settings.channels[0].keep_event_days = Some(30);
        let back = text_for(&settings, 1).unwrap();
        assert!(back.contains("version = 1") && !back.contains("ntp"), "{back}");
        assert!(!back.contains("allow") && !back.contains("multicast"), "{back}");
        assert!(!back.contains("keep_"), "{back}");
        assert!(!back.contains("encrypt") && !back.contains("mirror"), "{back}");
        let mut again = parse("test", &back).unwrap();
        assert_ne!(again, settings);
        again.name = "Yard".to_owned();
        let merged = merged(&settings, again);
        settings.name = "Yard".to_owned();
        assert_eq!(merged, settings);
        assert!(text_for(&settings, 3).is_none());
    }

    #[test]
    fn a_text_has_only_what_its_version_has() {
        let text = "version = 1\n[time]\nntp_servers = [\"192.0.2.5\"]\n";
        assert!(parse("test", text).unwrap_err().to_string().contains("time: version 1 has no such table"));
    }
}
