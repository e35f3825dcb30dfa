//! What a session is in between its requests.
//!
//! Does not belong here: what changes it (`session.rs`).

use auth::StreamKeyVerifier;
use rtsp_types::Url;

use crate::payload::TrackId;
use crate::second::Notice;
use crate::target::{Source, Target};
use crate::transport::{Chosen, Delivery};

/// A session in RFC 2326's sense.
pub(crate) struct Active {
    pub(crate) id: String,
    pub(crate) user: String,
    pub(crate) verifier: StreamKeyVerifier,
    pub(crate) source: Source,
    pub(crate) tracks: Vec<SetUp>,
    /// The number under which requests are sent ahead of SETUP's answer; of RTSP 2.0 alone.
    pub(crate) pipeline: Option<u32>,
    pub(crate) playing: bool,
    /// A recording was played to its end.
    pub(crate) ended: bool,
    /// What its client is told then; of RTSP 2.0 alone.
    pub(crate) notice: Option<Notice>,
}

/// One track.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SetUp {
    pub(crate) track: TrackId,
    pub(crate) delivery: Delivery,
    pub(crate) sealed: bool,
    pub(crate) ssrc: u32,
}

/// The request that an action will answer.
pub(crate) struct Waiting {
    pub(crate) cseq: String,
    pub(crate) url: Url,
    pub(crate) target: Target,
    pub(crate) kind: WaitingFor,
}

pub(crate) enum WaitingFor {
    Describe,
    Setup { track: TrackId, chosen: Chosen, user: String, verifier: StreamKeyVerifier, pipeline: Option<u32> },
    Play,
}

impl Active {
    /// The track's SSRC; 0 where it is not set up, which does not happen.
    pub(crate) fn ssrc(&self, track: TrackId) -> u32 {
        self.tracks.iter().find(|one| one.track == track).map_or(0, |one| one.ssrc)
    }
}
