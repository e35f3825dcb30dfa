//! The whole recorder as one picture, put together from what the roles report.

use std::collections::BTreeMap;

use auth::KeptSession;
use hal::{ChannelId, WallTime};
use web::update_views::UpdateView;

use crate::messages::{
    ChannelState, ChannelStatus, DiskView, RecordStatus, RoleState, RoleStatus, RoleView, Snapshot,
};
use crate::role::Role;
use crate::settings::Settings;

/// What is known now.
pub(super) struct Overview {
    roles: Vec<RoleView>,
    capture: BTreeMap<ChannelId, ChannelStatus>,
    ingest: BTreeMap<ChannelId, ChannelStatus>,
    record: RecordStatus,
    sessions: Vec<KeptSession>,
    disks: Vec<DiskView>,
    software: Option<UpdateView>,
}

impl Overview {
    pub(super) fn new(now: WallTime) -> Self {
        let roles = Role::ALL
            .iter()
            .map(|role| RoleView {
                role: *role,
                state: RoleState::Starting,
                pid: None,
                restarts: 0,
                since: now,
                memory_bytes: 0,
                note: String::new(),
            })
            .collect();
        Self {
            roles,
            capture: BTreeMap::new(),
            ingest: BTreeMap::new(),
            record: RecordStatus::default(),
            sessions: Vec::new(),
            disks: Vec::new(),
            software: None,
        }
    }

    pub(super) fn role(&mut self, role: Role) -> &mut RoleView {
        let place = Role::ALL.iter().position(|r| *r == role).unwrap_or_default();
        &mut self.roles[place]
    }

    /// Takes in a report.
    pub(super) fn report(&mut self, role: Role, status: RoleStatus) {
        match (role, status) {
            (Role::Capture, RoleStatus::Channels(list)) => self.capture = by_channel(list),
            (Role::Ingest, RoleStatus::Channels(list)) => self.ingest = by_channel(list),
            (Role::Record, RoleStatus::Record(status)) => self.record = status,
            (Role::Serve, RoleStatus::Serve(sessions)) => self.sessions = sessions,
            _ => {}
        }
    }

    /// The recorder's own software.
    pub(super) fn set_software(&mut self, software: UpdateView) {
        self.software = Some(software);
    }

    /// The board's disks.
    pub(super) fn set_disks(&mut self, disks: Vec<DiskView>) {
        self.disks = disks;
    }

    /// Who was signed in when `serve` last said so.
    pub(super) fn sessions(&self) -> Vec<KeptSession> {
        self.sessions.clone()
    }

    /// A role ended: what it last said of its channels is no longer so.
    pub(super) fn forget(&mut self, role: Role) {
        match role {
            Role::Capture => self.capture.clear(),
            Role::Ingest => self.ingest.clear(),
            Role::Record => {
                self.record.recording.clear();
                for volume in &mut self.record.volumes {
                    volume.recording.clear();
                    volume.write_bytes_per_sec = 0;
                }
            }
            Role::Serve => {}
        }
    }

    /// The picture, with one entry for each channel that the settings have.
    pub(super) fn snapshot(&self, settings: &Settings, uptime_sec: u64) -> Snapshot {
        let channels = settings.channels.iter().map(|channel| {
            let (role, reports) = if channel.input.is_some() {
                (Role::Capture, &self.capture)
            } else {
                (Role::Ingest, &self.ingest)
            };
            reports.get(&channel.number).cloned().unwrap_or_else(|| ChannelStatus {
                channel: channel.number,
                state: ChannelState::Starting,
                since: self.roles.iter().find(|r| r.role == role).map(|r| r.since).unwrap_or_default(),
                message: String::new(),
                streams: Vec::new(),
                motion_percent: None,
            })
        });
        Snapshot {
            uptime_sec,
            roles: self.roles.clone(),
            channels: channels.collect(),
            record: self.record.clone(),
            disks: self.disks.clone(),
            software: self.software.clone(),
        }
    }
}

fn by_channel(list: Vec<ChannelStatus>) -> BTreeMap<ChannelId, ChannelStatus> {
    list.into_iter().map(|status| (status.channel, status)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::parse;

    #[test]
    fn a_channel_is_starting_until_its_role_says_otherwise_and_after_it_ended() {
        let settings = parse(
            "test",
            "version = 1\n[[channel]]\nnumber = 7\ntitle = \"Gate\"\ncamera = { url = \"rtsp://192.0.2.1/\" }\n",
        )
        .unwrap();
        let channel = ChannelId::new(7).unwrap();
        let status = |channel| ChannelStatus {
            channel,
            state: ChannelState::Ok,
            since: WallTime::from_unix_micros(5),
            message: String::new(),
            streams: Vec::new(),
            motion_percent: None,
        };
        let mut overview = Overview::new(WallTime::from_unix_micros(1));
        assert_eq!(overview.snapshot(&settings, 0).channels[0].state, ChannelState::Starting);
        let stranger = ChannelId::new(9).unwrap();
        overview.report(Role::Ingest, RoleStatus::Channels(vec![status(channel), status(stranger)]));
        overview.report(Role::Capture, RoleStatus::Channels(vec![]));
        let snapshot = overview.snapshot(&settings, 0);
        assert_eq!(snapshot.channels, [status(channel)]);
        overview.forget(Role::Ingest);
        assert_eq!(overview.snapshot(&settings, 0).channels[0].state, ChannelState::Starting);
    }
}
