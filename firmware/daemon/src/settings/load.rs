//! A settings text: read with errors that name the line.

use toml::de::{DeTable, DeValue};

use super::migrate::forward;
use super::model::Settings;
use super::validate::{Fault, Key, validate};

/// A text that is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{name}, line {line}: {key}{message}")]
pub(crate) struct SettingsError {
    /// The text's name as the caller gave it.
    name: String,
    /// From 1.
    line: usize,
    /// The key's path and a colon, or nothing.
    key: String,
    /// What is wrong and what would be right.
    message: String,
}

/// Checks a text; `name` is for the error.
pub(crate) fn parse(name: &str, text: &str) -> Result<Settings, SettingsError> {
    let mut settings: Settings = toml::from_str(text).map_err(|error| SettingsError {
        name: name.to_owned(),
        line: error.span().map_or(1, |span| line_at(text, span.start)),
        key: String::new(),
        message: error.message().to_owned(),
    })?;
    let bad = |fault: Fault| SettingsError {
        name: name.to_owned(),
        line: line_of(text, &fault),
        key: format!("{}: ", key_text(&fault.path)),
        message: fault.message,
    };
    forward(&mut settings).map_err(|table| {
        let message = format!("version {} has no such table", settings.version);
        bad(Fault { path: vec![Key::Name(table)], message })
    })?;
    validate(&settings).map_err(bad)?;
    Ok(settings)
}

/// A path as people write it: `channel[2].camera.url`.
pub(super) fn key_text(path: &[Key]) -> String {
    let mut text = String::new();
    for key in path {
        match key {
            Key::Name(name) if text.is_empty() => text.push_str(name),
            Key::Name(name) => {
                text.push('.');
                text.push_str(name);
            }
            Key::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}

/// The line of the fault's key, or of the nearest table around it that the file does name.
fn line_of(text: &str, fault: &Fault) -> usize {
    let Ok(table) = DeTable::parse(text) else { return 1 };
    let mut line = 1;
    let top = DeValue::Table(table.into_inner());
    let mut value = &top;
    for key in &fault.path {
        let next = match (key, value) {
            (Key::Name(name), DeValue::Table(table)) => {
                table.get_key_value(*name).map(|(key, value)| (key.span().start, value))
            }
            (Key::Index(index), DeValue::Array(array)) => {
                array.get(*index).map(|value| (value.span().start, value))
            }
            _ => None,
        };
        let Some((start, found)) = next else { break };
        line = line_at(text, start);
        value = found.get_ref();
    }
    line
}

fn line_at(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
version = 1
name = "Back yard"
time_zone = "Europe/Berlin"

[rtsp]
enabled = true

[[channel]]
number = 1
title = "Gate"
input = { source = "sim:sim0", main = { codec = "h264", width = 640, height = 360, frame_rate = 15, bit_rate_bps = 1000000, gop_frames = 30 } }

[[channel]]
number = 2
title = "Door"
[channel.camera]
url = "rtsp://192.0.2.20/stream1"
user = "admin"
password = "secret"
"#;

    #[test]
    fn the_documented_example_is_taken_and_its_values_are_the_defaults() {
        let page = include_str!("../../../../docs/settings.md");
        let example = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let mut settings = parse("docs/settings.md", example).unwrap();
        assert_eq!(settings.channels.len(), 2);
        settings.channels.clear();
        assert_eq!(settings.alarms.len(), 1);
        settings.alarms.clear();
        assert_eq!(settings, Settings::new());
    }

    #[test]
    fn a_bad_file_is_refused_with_its_line_and_key() {
        for (from, to, line, words) in [
            ("version = 1", "version = 9", 2, "version: this program reads versions 1 to 2"),
            ("name = \"Back yard\"", "nmae = \"x\"", 3, "unknown field `nmae`"),
            ("Europe/Berlin", "Europe/Atlantis", 4, "time_zone: `Europe/Atlantis` is no IANA time zone"),
            ("enabled = true", "enabled = maybe", 7, "string values must be quoted"),
            (
                "enabled = true",
                "enabled = true\naddress = \"0.0.0.0:8443\"",
                8,
                "rtsp.address: port 8443 is web.address's",
            ),
            (
                "enabled = true",
                "multicast = { group = \"224.0.1.0\" }",
                7,
                "rtsp.multicast.group: a group is an address that begins with 239.",
            ),
            ("enabled = true", "multicast = { ttl = 0 }", 7, "rtsp.multicast.ttl: 1 to 255"),
            ("number = 2", "number = 1", 15, "channel[1].number: channel 1 stands here twice"),
            ("number = 2", "number = 65", 15, "channel 65 is not between 1 and 64"),
            ("title = \"Door\"", "title = \"\"", 16, "channel[1].title: a name is needed"),
            ("rtsp://192.0.2.20/stream1", "http://192.0.2.20/", 18, "begins with rtsp://"),
            ("rtsp://192.0.2.20/stream1", "rtsp://a:b@192.0.2.20/", 18, "leave user and password out"),
            ("width = 640", "width = 641", 12, "channel[0].input.main.width: 641 is no picture width"),
            ("sim:sim0", "sim0", 12, "write backend:input"),
        ] {
            let text = GOOD.replacen(from, to, 1);
            let error = parse("settings.toml", &text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("settings.toml, line {line}: ")), "{to}: {error}");
            assert!(error.contains(words), "{to}: {error}");
        }
    }

    #[test]
    fn an_alarm_input_switches_a_relay_or_is_an_event_on_channels() {
        let with = |rule: &str| {
            let text = GOOD.replacen("version = 1", "version = 2", 1);
            parse("settings.toml", &format!("{text}\n[[alarm]]\ninput = \"alarm1\"\n{rule}\n"))
        };
        for rule in ["channels = [1, 9]", "relay = \"relay1\"", "channels = [2]\nrelay = \"relay1\""] {
            let settings = with(rule).unwrap();
            assert_eq!(settings.alarms[0].relay_sec, 10, "as docs/settings.md says");
            let text = crate::settings::text_for(&settings, crate::settings::VERSION).unwrap();
            assert_eq!(parse("settings.toml", &text).unwrap(), settings);
        }
        for (rule, words) in [
            ("", "alarm[0]: a rule that does nothing"),
            ("channels = []\nrelay_sec = 5", "a rule that does nothing"),
            ("channels = [65]", "channel 65 is not between 1 and 64"),
            ("relay = \"\"", "alarm[0].relay: a name is needed"),
            ("relay = \"relay1\"\nrelay_sec = 0", "alarm[0].relay_sec: 0 s; 1 to 3600"),
        ] {
            let error = with(rule).unwrap_err().to_string();
            assert!(error.contains(words), "{rule}: {error}");
        }
    }

    #[test]
    fn camera_passwords_reach_ingest_alone_and_no_log() {
        use crate::role::Role;

        let settings = parse("test", GOOD).unwrap();
        for role in Role::ALL {
            let part = settings.for_role(role);
            let camera = part.channels[1].camera.as_ref().unwrap();
            let expected = if role == Role::Ingest { "secret" } else { "" };
            assert_eq!(camera.password.as_deref(), Some(expected), "{role}");
            assert!(!format!("{part:?}").contains("secret"));
        }
    }
}
