//! The recorder's state in the API's words.
//!
//! Sentences for people are made here, in the recorder's time zone: what happened, and what to check.

use hal::{ChannelId, StreamKind, WallTime};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use web::ledger_views::{Ledger, LedgerEntry, TrustLedger};
use web::loss_views::{LostBy, LostFootage};
use web::update_views::UpdateView;
use web::views::{
    Audio, Camera, Channel, ChannelSource, ChannelState, ChannelStateCode, Disk, DiskState, Encryption,
    Retention, RoleState, RoleStatus, Sandbox, Stream, System, Transport, Trust, TrustDisk, TrustRecording,
    TrustRoles, Watching,
};
use web::{ApiError, UtcTime};

use super::watchers::{Via, View};
use crate::footage::LedgerPage;
use crate::messages::{self, ChannelStatus, LossSum, Snapshot, StreamStatus};
use crate::settings::{self, Settings};
use crate::version;

/// Another type for the same moment.
pub(super) fn utc(time: WallTime) -> UtcTime {
    UtcTime::from_unix_micros(time.as_unix_micros())
}

/// The reverse of [`utc`].
pub(super) fn wall(time: UtcTime) -> WallTime {
    WallTime::from_unix_micros(time.as_unix_micros())
}

/// Channels as a body names them.
pub(super) fn named_channels(numbers: &[u16]) -> Result<Vec<ChannelId>, ApiError> {
    let channels: Result<Vec<_>, _> = numbers.iter().map(|number| ChannelId::try_from(*number)).collect();
    channels.map_err(|message| ApiError::invalid("out_of_range", "channels", message))
}

/// All channels, in the order of their numbers.
pub(super) fn channels(settings: &Settings, snapshot: &Snapshot, now: WallTime) -> Vec<Channel> {
    settings.channels.iter().map(|channel| one_channel(settings, channel, snapshot, now)).collect()
}

fn one_channel(
    settings: &Settings,
    channel: &settings::Channel,
    snapshot: &Snapshot,
    now: WallTime,
) -> Channel {
    let status = snapshot.channels.iter().find(|status| status.channel == channel.number);
    let stream = |kind| status.and_then(|s| s.streams.iter().find(|s| s.kind == kind));
    Channel {
        channel: channel.number.get(),
        title: channel.title.clone(),
        source: if channel.camera.is_some() { ChannelSource::Camera } else { ChannelSource::Input },
        state: channel_state(settings, channel, status, now),
        recording: snapshot.record.recording.contains(&channel.number),
        keep_days: channel.keep_days,
        keep_event_days: channel.keep_event_days,
        main: stream(StreamKind::Main).map(video),
        sub: stream(StreamKind::Sub).map(video),
        audio: stream(StreamKind::Audio).map(|s| Audio {
            codec: s.codec.clone(),
            sample_rate: s.sample_rate,
            channels: s.audio_channels,
        }),
        motion_percent: status.and_then(|status| status.motion_percent),
    }
}

fn video(stream: &StreamStatus) -> Stream {
    Stream {
        codec: stream.codec.clone(),
        width: stream.width,
        height: stream.height,
        frame_rate: (stream.units_per_sec * 10.0).round() as f32 / 10.0,
        bit_rate_bps: u64::from(stream.bit_rate_bps),
    }
}

fn channel_state(
    settings: &Settings,
    channel: &settings::Channel,
    status: Option<&ChannelStatus>,
    now: WallTime,
) -> ChannelState {
    use messages::ChannelState as S;
    let Some(status) = status else {
        return ChannelState {
            code: ChannelStateCode::Starting,
            since: UtcTime::default(),
            message: format!("{} is being started.", channel.title),
        };
    };
    let title = &channel.title;
    let (code, message) = match status.state {
        S::Ok => (ChannelStateCode::Ok, String::new()),
        S::Starting => (ChannelStateCode::Starting, format!("{title} is being started.")),
        S::NoSignal => {
            let since = local_time(settings, status.since, now);
            let message = format!("{title} has sent no picture since {since}. Check its cable or power.");
            (ChannelStateCode::NoSignal, message)
        }
        S::Unreachable => (ChannelStateCode::Unreachable, status.message.clone()),
        S::WrongPassword => (ChannelStateCode::WrongPassword, status.message.clone()),
        S::UnsupportedCodec => (ChannelStateCode::UnsupportedCodec, status.message.clone()),
        S::NotFound => (ChannelStateCode::NotFound, status.message.clone()),
        S::Stalled => (ChannelStateCode::Stalled, status.message.clone()),
        S::Failed => (ChannelStateCode::Failed, status.message.clone()),
    };
    ChannelState { code, since: utc(status.since), message }
}

/// The network cameras.
pub(super) fn cameras(settings: &Settings) -> Vec<Camera> {
    settings.channels.iter().filter_map(camera).collect()
}

/// One channel as a network camera, when it is one.
pub(super) fn camera(channel: &settings::Channel) -> Option<Camera> {
    channel.camera.as_ref().map(|camera| Camera {
        channel: channel.number.get(),
        title: channel.title.clone(),
        url: camera.url.clone(),
        user: camera.user.clone(),
        has_password: camera.password.is_some(),
        transport: match camera.transport {
            settings::Transport::Tcp => Transport::Tcp,
            settings::Transport::Udp => Transport::Udp,
        },
    })
}

/// The health page.
pub(super) fn system(settings: &Settings, snapshot: &Snapshot, now: WallTime) -> System {
    System {
        version: version::VERSION.to_owned(),
        image: software(snapshot).installed,
        uptime_sec: snapshot.uptime_sec,
        time: utc(now),
        roles: snapshot.roles.iter().map(role).collect(),
        disks: disks(snapshot),
        lost: snapshot.record.lost.iter().map(|sum| lost(settings, sum, now)).collect(),
        sandbox: Sandbox {
            level: "processes".to_owned(),
            message: "Each role is a process of its own and can gain no rights (no_new_privs). They share one user: \
                      system-call filters and separate users are not in place yet."
                .to_owned(),
        },
    }
}

/// The recorder's own software, as the warden told.
pub(super) fn software(snapshot: &Snapshot) -> UpdateView {
    snapshot.software.clone().unwrap_or_else(|| version::no_updates("The recorder is still starting."))
}

fn role(view: &messages::RoleView) -> RoleStatus {
    RoleStatus {
        role: view.role.name().to_owned(),
        state: match view.state {
            messages::RoleState::Starting => RoleState::Starting,
            messages::RoleState::Running => RoleState::Running,
            messages::RoleState::Restarting => RoleState::Restarting,
            messages::RoleState::Stopped => RoleState::Stopped,
        },
        pid: view.pid,
        restarts: view.restarts,
        since: utc(view.since),
        memory_bytes: (view.memory_bytes > 0).then_some(view.memory_bytes),
        note: (!view.note.is_empty()).then(|| view.note.clone()),
    }
}

/// Every disk; a PC's are the folders that footage goes to, and its operating system's otherwise.
fn disks(snapshot: &Snapshot) -> Vec<Disk> {
    if snapshot.disks.is_empty() {
        return snapshot.record.volumes.iter().filter_map(disk).collect();
    }
    snapshot.disks.iter().map(|view| one_disk(view, snapshot)).collect()
}

fn one_disk(view: &messages::DiskView, snapshot: &Snapshot) -> Disk {
    let (state, words) = match view.state {
        messages::DiskUse::Footage => {
            let mut volumes = snapshot.record.volumes.iter();
            let volume = volumes.find(|volume| volume.device == view.device).and_then(disk);
            // Mounted, but the recorder has not told of it yet.
            let starting = || beside(view, DiskState::Ok, "The recorder is looking through this disk.");
            return volume.unwrap_or_else(starting);
        }
        messages::DiskUse::Spare => (DiskState::Ok, "This disk is ready, and takes footage in a moment."),
        messages::DiskUse::Unformatted => (
            DiskState::Unformatted,
            "This disk holds something else, and nothing is recorded on it. Erase it to have it record.",
        ),
        messages::DiskUse::Formatting => (DiskState::Unformatted, "This disk is being erased."),
        messages::DiskUse::Failed => {
            (DiskState::Error, "This disk cannot be read. Check its cable, or replace it.")
        }
    };
    beside(view, state, words)
}

/// A disk that takes no footage.
fn beside(view: &messages::DiskView, state: DiskState, words: &str) -> Disk {
    Disk {
        path: String::new(),
        device: Some(view.device.clone()),
        state,
        encryption: None,
        message: Some(words.to_owned()),
        total_bytes: view.bytes,
        used_bytes: 0,
        locked_bytes: 0,
        retention: Vec::new(),
        write_bytes_per_sec: 0,
        oldest: None,
        newest: None,
        concerns: Vec::new(),
    }
}

fn retention(expected: &messages::Expected) -> Retention {
    let messages::Expected { keep_days, used_bytes, hours } = *expected;
    Retention { keep_days, used_bytes, expected_hours: hours }
}

/// A volume, once the recorder has told of it.
fn disk(volume: &messages::VolumeStatus) -> Option<Disk> {
    if volume.path.is_empty() && volume.error.is_empty() {
        return None;
    }
    Some(Disk {
        path: volume.path.clone(),
        device: (!volume.device.is_empty()).then(|| volume.device.clone()),
        state: match volume.disk {
            messages::DiskState::Ok => DiskState::Ok,
            messages::DiskState::Full => DiskState::Full,
            messages::DiskState::Unwritable | messages::DiskState::Failed => DiskState::Error,
            messages::DiskState::Missing => DiskState::Missing,
            messages::DiskState::Unformatted => DiskState::Unformatted,
            messages::DiskState::Locked => DiskState::Locked,
        },
        encryption: volume.encryption.map(|encryption| match encryption {
            messages::Encryption::Off => Encryption::Off,
            messages::Encryption::DeviceOnly => Encryption::DeviceOnly,
            messages::Encryption::Recoverable => Encryption::Recoverable,
            messages::Encryption::Locked => Encryption::Locked,
        }),
        message: disk_words(volume),
        total_bytes: volume.total_bytes,
        used_bytes: volume.used_bytes,
        locked_bytes: volume.locked_bytes,
        retention: volume.retention.iter().map(retention).collect(),
        write_bytes_per_sec: volume.write_bytes_per_sec,
        oldest: volume.oldest.map(utc),
        newest: volume.newest.map(utc),
        concerns: volume.concerns.clone(),
    })
}

/// What is missing of a channel, and why.
fn lost(settings: &Settings, sum: &LossSum, now: WallTime) -> LostFootage {
    let channel = settings.channels.iter().find(|channel| channel.number == sum.channel);
    let title = channel.map_or_else(|| format!("channel {}", sum.channel), |channel| channel.title.clone());
    let sound = sum.stream == StreamKind::Audio;
    let (cause, why) = match sum.cause {
        messages::LostBy::DiskFailed => (
            LostBy::DiskFailed,
            "The disk failed, was full or was pulled for longer than the recorder's memory lasts.",
        ),
        messages::LostBy::DiskSlow => {
            (LostBy::DiskSlow, "The disk or the recorder was too slow for what came in.")
        }
        messages::LostBy::Refused => {
            (LostBy::Refused, "What came in cannot be stored. The recorder's log says what it was.")
        }
    };
    let lost_sec = sum.micros.div_ceil(1_000_000);
    let what = if sound { "sound of " } else { "" };
    let length = match lost_sec {
        ..120 => format!("{lost_sec} s"),
        120..7200 => format!("{} min", lost_sec / 60),
        _ => format!("{} h", lost_sec / 3600),
    };
    let last = local_time(settings, sum.last, now);
    let (places, last) = match sum.times {
        1 => (String::new(), format!("until {last}")),
        times => (format!(" in {times} places"), format!("the last until {last}")),
    };
    LostFootage {
        channel: sum.channel.get(),
        sound,
        cause,
        lost_sec,
        times: sum.times,
        last: utc(sum.last),
        message: format!("{length} of {what}{title} are missing{places}, {last}. {why}"),
    }
}

/// What happened, what was kept, what to do; and what the disk said, for whoever is asked for help.
fn disk_words(record: &messages::VolumeStatus) -> Option<String> {
    let words = match record.disk {
        messages::DiskState::Ok => return None,
        // The warden's own words say what to do.
        messages::DiskState::Missing | messages::DiskState::Unformatted => return Some(record.error.clone()),
        messages::DiskState::Full => {
            "The disk is full: other files take the room that footage may have. What is recorded is kept. Make room, \
             and recording goes on by itself."
        }
        messages::DiskState::Unwritable => {
            "The disk does not let the recorder write. What is recorded is kept. Check the folder's owner, and \
             whether the disk is mounted read-only."
        }
        messages::DiskState::Locked => {
            "The footage on this disk is encrypted, and this recorder does not have its key: nothing is recorded on it. \
             Enter the recovery key of the recorder that it comes from, or erase it."
        }
        messages::DiskState::Failed => {
            "The disk fails, and the recorder goes on trying. What can be read is kept. Check its cable, or replace it."
        }
    };
    Some(format!("{words} ({})", record.error))
}

/// The trust line.
pub(super) fn trust(settings: &Settings, snapshot: &Snapshot, watching: Vec<(View, WallTime)>) -> Trust {
    let running = snapshot.roles.iter().filter(|r| r.state == messages::RoleState::Running).count();
    // The first that is not well: one of them is enough to want to know.
    let volumes = || snapshot.record.volumes.iter().filter_map(disk);
    let unwell = volumes().find(|disk| disk.state != DiskState::Ok);
    let disk = match unwell.or_else(|| volumes().next()) {
        None => TrustDisk { state: DiskState::Error, message: "The recorder has no disk yet.".to_owned() },
        Some(disk) => {
            let message = disk.message.unwrap_or_else(|| "Footage is being kept.".to_owned());
            TrustDisk { state: disk.state, message }
        }
    };
    let has = |number: ChannelId| snapshot.record.recording.contains(&number);
    Trust {
        watching: watching.into_iter().map(|(view, since)| one_watching(view, since)).collect(),
        disk,
        roles: TrustRoles { running: running as u32, total: snapshot.roles.len() as u32 },
        recording: TrustRecording {
            channels: settings.channels.iter().filter(|c| has(c.number)).count() as u32,
            total: settings.channels.len() as u32,
        },
        ledger: snapshot.record.ledger.clone().map(|ledger| TrustLedger {
            fingerprint: ledger.fingerprint,
            size: ledger.size,
            root: ledger.root,
            signed: ledger.signed.map(utc),
        }),
    }
}

/// A part of the ledger.
pub(super) fn ledger(LedgerPage { head, leaves }: LedgerPage) -> Ledger {
    Ledger {
        origin: head.origin,
        public_key: head.key,
        fingerprint: head.fingerprint,
        checkpoint: head.checkpoint,
        size: head.size,
        entries: leaves.into_iter().map(|(index, leaf)| LedgerEntry { index, leaf }).collect(),
    }
}

fn one_watching(view: View, since: WallTime) -> Watching {
    Watching {
        user: view.user,
        from: view.from.to_string(),
        channel: view.channel.get(),
        stream: if view.stream == StreamKind::Sub {
            web::views::StreamName::Sub
        } else {
            web::views::StreamName::Main
        },
        via: match view.via {
            Via::Browser => web::views::Via::Browser,
            Via::Rtsp => web::views::Via::Rtsp,
            Via::Playback => web::views::Via::Playback,
            Via::Export => web::views::Via::Export,
        },
        since: utc(since),
    }
}

/// `14:02`, or with the date when that is another day's.
fn local_time(settings: &Settings, time: WallTime, now: WallTime) -> String {
    let zone = TimeZone::get(&settings.time_zone).unwrap_or(TimeZone::UTC);
    let zoned = |time: WallTime| {
        Timestamp::from_microsecond(time.as_unix_micros()).map(|moment| moment.to_zoned(zone.clone()))
    };
    match (zoned(time), zoned(now)) {
        (Ok(time), Ok(now)) if time.date() == now.date() => time.strftime("%H:%M").to_string(),
        (Ok(time), _) => time.strftime("%-d %B %H:%M").to_string(),
        (Err(_), _) => "an unknown time".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_board_shows_every_disk_and_a_pc_its_volume() {
        let expected = messages::Expected { keep_days: Some(7), used_bytes: 5, hours: Some(100) };
        let volume = messages::VolumeStatus {
            path: "/data/volume".to_owned(),
            used_bytes: 7,
            locked_bytes: 3,
            retention: vec![expected],
            ..Default::default()
        };
        let record = messages::RecordStatus { volumes: vec![volume], ..Default::default() };
        let mut snapshot = Snapshot { record, ..Snapshot::default() };
        let [volume] = system(&Settings::new(), &snapshot, WallTime::default()).disks.try_into().unwrap();
        assert_eq!((volume.device, volume.path.as_str()), (None, "/data/volume"));
        let stays = Retention { keep_days: Some(7), used_bytes: 5, expected_hours: Some(100) };
        assert_eq!((volume.locked_bytes, volume.retention), (3, vec![stays]));
        let view = |device: &str, state| messages::DiskView {
            device: device.to_owned(),
            model: String::new(),
            bytes: 1000,
            state,
        };
        snapshot.record.volumes[0].device = "sda".to_owned();
        snapshot.disks =
            vec![view("sda", messages::DiskUse::Footage), view("sdb", messages::DiskUse::Unformatted)];
        let [footage, other] =
            system(&Settings::new(), &snapshot, WallTime::default()).disks.try_into().unwrap();
        assert_eq!((footage.device.as_deref(), footage.used_bytes), (Some("sda"), 7));
        assert_eq!((other.device.as_deref(), other.state), (Some("sdb"), DiskState::Unformatted));
        assert_eq!((other.path.as_str(), other.total_bytes), ("", 1000));
    }

    #[test]
    fn a_time_of_another_day_has_its_date_in_the_recorders_zone() {
        let settings = Settings { time_zone: "Europe/Berlin".to_owned(), ..Settings::new() };
        let at = |text: &str| wall(text.parse().unwrap());
        let shown = |time, now| local_time(&settings, at(time), at(now));
        assert_eq!(shown("2026-11-20T13:02:59Z", "2026-11-20T20:00:00Z"), "14:02");
        assert_eq!(shown("2026-11-20T22:59:00Z", "2026-11-20T23:01:00Z"), "20 November 23:59");
    }

    #[test]
    fn what_is_missing_is_said_with_its_reason() {
        let number = ChannelId::new(3).unwrap();
        let title = "Front door".to_owned();
        let channel = settings::Channel {
            number,
            title,
            keep_days: None,
            keep_event_days: None,
            input: None,
            camera: None,
        };
        let mut settings = Settings { time_zone: "Europe/Berlin".to_owned(), ..Settings::new() };
        settings.channels.push(channel);
        let at = WallTime::from_unix_micros(1_795_179_720_000_000);
        let mut sum = LossSum {
            channel: number,
            stream: StreamKind::Main,
            cause: messages::LostBy::DiskSlow,
            times: 1,
            micros: 3_200_000,
            last: at,
        };
        let said = lost(&settings, &sum, at);
        assert_eq!((said.channel, said.sound, said.lost_sec, said.times), (3, false, 4, 1));
        assert_eq!((said.cause, said.last), (LostBy::DiskSlow, utc(at)));
        let words = "4 s of Front door are missing, until 14:02. The disk or the recorder was too slow for what came in.";
        assert_eq!(said.message, words);
        sum.channel = ChannelId::new(4).unwrap();
        sum.stream = StreamKind::Audio;
        sum.cause = messages::LostBy::DiskFailed;
        (sum.times, sum.micros) = (2, 301_000_000);
        let said = lost(&settings, &sum, at);
        let words =
            "5 min of sound of channel 4 are missing in 2 places, the last until 14:02. The disk failed, ";
        assert!(said.message.starts_with(words), "{}", said.message);
    }
}
