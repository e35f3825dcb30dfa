//! What the RTSP server asks: who may connect, whose key is that, and who watches.

use std::net::IpAddr;
use std::sync::Arc;

use auth::StreamKeyVerifier;
use rtsp::{Watch, WatchGuard};

use super::house::House;
use super::watchers::{Via, View};
use crate::settings::{Multicast, admits};

/// Decides for RTSP.
pub(super) struct Gate(pub(super) Arc<House>);

impl rtsp::Gate for Gate {
    fn stream_key(&self, user: &str) -> Option<StreamKeyVerifier> {
        self.0.accounts.stream_key(user)
    }

    fn admits(&self, from: IpAddr) -> bool {
        admits(&self.0.settings.borrow().rtsp.allow, from)
    }

    fn multicast(&self) -> Option<rtsp::Multicast> {
        let settings = self.0.settings.borrow();
        let Multicast { enabled, group, ttl } = settings.rtsp.multicast;
        // What does not hold was refused when it was set.
        rtsp::Multicast::new(group, ttl).ok().filter(|_| enabled)
    }

    fn may_replay(&self, user: &str) -> bool {
        self.0.accounts.may_replay(user)
    }

    fn watching(&self, watch: Watch) -> WatchGuard {
        let view = View {
            user: watch.user,
            from: watch.from.ip(),
            channel: watch.stream.channel,
            stream: watch.stream.kind,
            via: if watch.recorded { Via::Playback } else { Via::Rtsp },
        };
        // RTSP's own limit on clients is below the list's, so there is always room.
        Box::new(self.0.watchers.enter(view))
    }
}
