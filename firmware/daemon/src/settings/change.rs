//! Changes to settings: closed acts, each applied whole or not at all.

use hal::{ChannelId, MAX_CHANNELS};
use serde::{Deserialize, Serialize};

use super::load::key_text;
use super::model::{Camera, Channel, Multicast, Settings, Transport};
use super::validate::{Key, validate};

/// What a signed-in owner may change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Change {
    /// The general page.
    General {
        name: String,
        time_zone: String,
        rtsp_enabled: bool,
        rtsp_allow: Vec<String>,
        rtsp_multicast: Multicast,
        encrypt_new_disks: bool,
        mirror_disks: bool,
    },
    /// A channel's title, and for how long it is kept: `None` is as it was, 0 as long as there is room.
    Channel { channel: ChannelId, title: String, keep_days: Option<u32>, keep_event_days: Option<u32> },
    /// A new network camera; without a number it takes the first free one.
    AddCamera { channel: Option<ChannelId>, camera: CameraChange },
    /// Other values for a camera.
    UpdateCamera { channel: ChannelId, camera: CameraChange },
    /// The camera goes; its footage stays.
    RemoveCamera { channel: ChannelId },
}

/// A camera as the owner gives it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CameraChange {
    pub(crate) title: String,
    pub(crate) url: String,
    pub(crate) user: Option<String>,
    /// `None` keeps the one that is there.
    pub(crate) password: Option<String>,
    pub(crate) transport: Transport,
}

/// Why a change was refused; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub(crate) enum ChangeError {
    #[error("{message}")]
    Invalid { field: Option<String>, message: String },
    #[error("channel {0} is no network camera")]
    NotFound(ChannelId),
    #[error("channel {0} is in use")]
    Taken(ChannelId),
    #[error("all {MAX_CHANNELS} channels are in use; remove a camera first")]
    Full,
    #[error("the settings could not be kept: {0}")]
    NotKept(String),
}

/// `settings` with the change, and the channel it was about.
pub(crate) fn apply(
    settings: &Settings,
    change: Change,
) -> Result<(Settings, Option<ChannelId>), ChangeError> {
    let mut next = settings.clone();
    let channel = match change {
        Change::General {
            name,
            time_zone,
            rtsp_enabled,
            rtsp_allow,
            rtsp_multicast,
            encrypt_new_disks,
            mirror_disks,
        } => {
            next.name = name;
            next.time_zone = time_zone;
            next.rtsp.enabled = rtsp_enabled;
            next.rtsp.allow = rtsp_allow;
            next.rtsp.multicast = rtsp_multicast;
            next.storage.encrypt = encrypt_new_disks;
            next.storage.mirror = mirror_disks;
            None
        }
        Change::Channel { channel, title, keep_days, keep_event_days } => {
            let entry = next.channels.iter_mut().find(|c| c.number == channel);
            let entry = entry.ok_or(ChangeError::NotFound(channel))?;
            entry.title = title;
            if let Some(days) = keep_days {
                entry.keep_days = Some(days).filter(|days| *days > 0);
            }
            if let Some(days) = keep_event_days {
                entry.keep_event_days = Some(days).filter(|days| *days > 0);
            }
            Some(channel)
        }
        Change::AddCamera { channel, camera } => {
            let number = free_number(settings, channel)?;
            next.channels.push(Channel {
                number,
                title: camera.title.clone(),
                keep_days: None,
                keep_event_days: None,
                input: None,
                camera: Some(merge(camera, None)),
            });
            next.channels.sort_by_key(|c| c.number);
            Some(number)
        }
        Change::UpdateCamera { channel, camera } => {
            let entry = camera_entry(&mut next, channel)?;
            entry.title.clone_from(&camera.title);
            entry.camera = Some(merge(camera, entry.camera.take()));
            Some(channel)
        }
        Change::RemoveCamera { channel } => {
            camera_entry(&mut next, channel)?;
            next.channels.retain(|c| c.number != channel);
            Some(channel)
        }
    };
    validate(&next).map_err(|fault| ChangeError::Invalid {
        field: field_of(&fault.path),
        message: if fault.path.is_empty() {
            fault.message
        } else {
            sentence(&key_text(&fault.path), &fault.message)
        },
    })?;
    Ok((next, channel))
}

/// What the interface calls a setting: the last of its names, but for those that the file has in a section of their own.
fn field_of(path: &[Key]) -> Option<String> {
    let names: Vec<&str> = path
        .iter()
        .filter_map(|key| match key {
            Key::Name(name) => Some(*name),
            Key::Index(_) => None,
        })
        .collect();
    match names.as_slice() {
        ["rtsp", "allow"] => Some("rtsp_allow".to_owned()),
        names => names.last().map(|name| (*name).to_owned()),
    }
}

fn sentence(key: &str, message: &str) -> String {
    let field = key.rsplit('.').next().unwrap_or(key);
    format!("{}: {message}", field.replace('_', " "))
}

fn free_number(settings: &Settings, wanted: Option<ChannelId>) -> Result<ChannelId, ChangeError> {
    match wanted {
        Some(number) if settings.channel(number).is_some() => Err(ChangeError::Taken(number)),
        Some(number) => Ok(number),
        None => (1..=MAX_CHANNELS)
            .filter_map(ChannelId::new)
            .find(|number| settings.channel(*number).is_none())
            .ok_or(ChangeError::Full),
    }
}

fn camera_entry(settings: &mut Settings, channel: ChannelId) -> Result<&mut Channel, ChangeError> {
    settings
        .channels
        .iter_mut()
        .find(|c| c.number == channel && c.camera.is_some())
        .ok_or(ChangeError::NotFound(channel))
}

fn merge(change: CameraChange, old: Option<Camera>) -> Camera {
    let user = change.user.filter(|user| !user.is_empty());
    let kept = old.and_then(|camera| camera.password).filter(|_| user.is_some());
    let password = change.password.or(kept).filter(|password| !password.is_empty());
    Camera { url: change.url, user, password, transport: change.transport }
}

/// A password must not reach a log through `{:?}`.
impl std::fmt::Debug for CameraChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CameraChange")
            .field("title", &self.title)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera(url: &str, user: Option<&str>, password: Option<&str>) -> CameraChange {
        CameraChange {
            title: "Gate".to_owned(),
            url: url.to_owned(),
            user: user.map(str::to_owned),
            password: password.map(str::to_owned),
            transport: Transport::Tcp,
        }
    }

    fn with_camera() -> Settings {
        let change = Change::AddCamera {
            channel: None,
            camera: camera("rtsp://192.0.2.1/", Some("a"), Some("first")),
        };
        apply(&Settings::new(), change).unwrap().0
    }

    #[test]
    fn a_new_camera_takes_the_first_free_channel() {
        let settings = with_camera();
        assert_eq!(settings.channels[0].number.get(), 1);
        let again = Change::AddCamera { channel: None, camera: camera("rtsp://192.0.2.2/", None, None) };
        let (settings, channel) = apply(&settings, again).unwrap();
        assert_eq!(channel.unwrap().get(), 2);
        let taken =
            Change::AddCamera { channel: ChannelId::new(2), camera: camera("rtsp://192.0.2.3/", None, None) };
        assert_eq!(apply(&settings, taken), Err(ChangeError::Taken(ChannelId::new(2).unwrap())));
    }

    #[test]
    fn a_password_is_kept_unless_given_and_goes_with_its_user() {
        let one = ChannelId::new(1).unwrap();
        let update = |user, password| {
            let change =
                Change::UpdateCamera { channel: one, camera: camera("rtsp://192.0.2.1/b", user, password) };
            apply(&with_camera(), change).unwrap().0.channels[0].camera.clone().unwrap().password
        };
        assert_eq!(update(Some("a"), None).as_deref(), Some("first"));
        assert_eq!(update(Some("a"), Some("second")).as_deref(), Some("second"));
        assert_eq!(update(Some("a"), Some("")), None);
        assert_eq!(update(None, None), None);
    }

    #[test]
    fn a_refused_change_names_its_field() {
        let change = Change::AddCamera { channel: None, camera: camera("ftp://192.0.2.1/", None, None) };
        let ChangeError::Invalid { field, message } = apply(&Settings::new(), change).unwrap_err() else {
            panic!("not refused as invalid");
        };
        assert_eq!(field.as_deref(), Some("url"));
        assert!(message.starts_with("url: `ftp:` is not understood"), "{message}");
    }

    #[test]
    fn days_are_kept_unless_given_and_those_that_do_not_go_together_are_refused() {
        let second = Change::AddCamera { channel: None, camera: camera("rtsp://192.0.2.2/", None, None) };
        let settings = apply(&with_camera(), second).unwrap().0;
        let set = |settings: &Settings, number, keep_days| {
            let channel = ChannelId::new(number).unwrap();
            let title = "Gate".to_owned();
            apply(settings, Change::Channel { channel, title, keep_days, keep_event_days: None })
        };
        let settings = set(&settings, 1, Some(7)).unwrap().0;
        let settings = set(&settings, 1, None).unwrap().0;
        assert_eq!(settings.channels[0].keep_days, Some(7));
        for days in [3651, 4, 5] {
            let ChangeError::Invalid { field, message } = set(&settings, 2, Some(days)).unwrap_err() else {
                panic!("not refused as invalid");
            };
            assert_eq!(field.as_deref(), Some("keep_days"));
            assert!(message.starts_with("keep days: "), "{message}");
            assert!(days > 7 || message.contains("of 4 to 7 only one"), "{message}");
        }
        for days in [1, 3, 7, 8, 3650] {
            assert_eq!(set(&settings, 2, Some(days)).unwrap().0.channels[1].keep_days, Some(days));
        }
        assert_eq!(set(&settings, 1, Some(0)).unwrap().0.channels[0].keep_days, None);
        assert_eq!(
            set(&settings, 1, Some(5)).unwrap().0.channels[0].keep_days,
            Some(5),
            "its own is no rival"
        );
    }

    #[test]
    fn event_footage_is_kept_as_long_as_the_rest_or_longer_and_goes_together_with_it() {
        let second = Change::AddCamera { channel: None, camera: camera("rtsp://192.0.2.2/", None, None) };
        let settings = apply(&with_camera(), second).unwrap().0;
        let set = |settings: &Settings, number, keep_days, keep_event_days| {
            let (channel, title) = (ChannelId::new(number).unwrap(), "Gate".to_owned());
            apply(settings, Change::Channel { channel, title, keep_days, keep_event_days })
        };
        let settings = set(&settings, 1, Some(7), Some(31)).unwrap().0;
        assert_eq!(settings.channels[0].keep_event_days, Some(31));
        let settings = set(&settings, 1, None, None).unwrap().0;
        assert_eq!(settings.channels[0].keep_event_days, Some(31), "left out, it stays");
        for (number, days, event_days, field, words) in [
            (1, Some(7), Some(3651), "keep_event_days", "1 to 3650"),
            (1, Some(7), Some(3), "keep_event_days", "at least as long as the rest, 7 days"),
            (1, Some(92), None, "keep_event_days", "at least as long as the rest, 92 days"),
            (1, Some(5), Some(7), "keep_event_days", "the rest is kept for 5 days, and of 4 to 7 only one"),
            (2, Some(30), None, "keep_days", "another channel keeps 31 days"),
            (2, Some(1), Some(6), "keep_event_days", "another channel keeps 7 days"),
        ] {
            let ChangeError::Invalid { field: named, message } =
                set(&settings, number, days, event_days).unwrap_err()
            else {
                panic!("not refused as invalid");
            };
            assert_eq!(named.as_deref(), Some(field));
            assert!(message.contains(words), "{message}");
        }
        for (days, event_days) in [(Some(7), Some(7)), (Some(0), Some(31)), (Some(31), Some(92))] {
            assert!(set(&settings, 2, days, event_days).is_ok());
        }
        assert_eq!(set(&settings, 1, None, Some(0)).unwrap().0.channels[0].keep_event_days, None);
    }

    #[test]
    fn an_input_cannot_be_removed_as_a_camera() {
        let one = ChannelId::new(1).unwrap();
        let refused = apply(&Settings::new(), Change::RemoveCamera { channel: one });
        assert_eq!(refused, Err(ChangeError::NotFound(one)));
        assert!(apply(&with_camera(), Change::RemoveCamera { channel: one }).unwrap().0.channels.is_empty());
    }
}
