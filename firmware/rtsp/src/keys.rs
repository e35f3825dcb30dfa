//! The keys that a connection's client was told, until they are used.
//!
//! Does not belong here: what they are used for (`srtp.rs`).
//!
//! Invariant: a key seals one track of one session: DESCRIBE makes it, and SETUP takes it away.

use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::mikey;
use crate::payload::TrackId;
use crate::sdp::Presentation;
use crate::srtp::MasterKey;

/// At most one a track.
#[derive(Default)]
pub(crate) struct Keys(Vec<(TrackId, MasterKey)>);

impl Keys {
    /// What a description says of each track's key, which is a new one; nothing where it is not `sealed`. `None` without
    /// randomness.
    pub(crate) fn describe(
        &mut self,
        presentation: &Presentation,
        sealed: bool,
    ) -> Option<Vec<(TrackId, Zeroizing<String>)>> {
        let mut told = Vec::new();
        for track in presentation.tracks.iter().filter(|_| sealed) {
            let key = MasterKey::random()?;
            let mut random = [0; mikey::RANDOM_BYTES];
            SystemRandom::new().fill(&mut random).ok()?;
            told.push((track.track, mikey::attribute(&key, track.ssrc, random)));
            self.0.retain(|(of, _)| *of != track.track);
            self.0.push((track.track, key));
        }
        Some(told)
    }

    pub(crate) fn has(&self, track: TrackId) -> bool {
        self.0.iter().any(|(of, _)| *of == track)
    }

    /// Nobody gets it again.
    pub(crate) fn take(&mut self, track: TrackId) -> Option<MasterKey> {
        let at = self.0.iter().position(|(of, _)| *of == track)?;
        Some(self.0.swap_remove(at).1)
    }
}
