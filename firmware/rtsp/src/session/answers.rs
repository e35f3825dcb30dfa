//! How a session answers: statuses, challenges, and all else that it sends.
//!
//! Does not belong here: which answer it is (`session.rs`).

use rtsp_types::{Response, StatusCode, headers};

use super::Session;
use crate::action::{Action, Refusal};
use crate::message::{ok, response, serialise};

impl Session {
    pub(super) fn refuse(&mut self, cseq: &str, refusal: Refusal) {
        let status = match refusal {
            Refusal::NotFound => StatusCode::NotFound,
            Refusal::Full => StatusCode::ServiceUnavailable,
            Refusal::NothingThere => StatusCode::InvalidRange,
            Refusal::NotThisWay => StatusCode::HeaderFieldNotValidForResource,
        };
        self.answer(cseq, status);
    }

    pub(super) fn answer(&mut self, cseq: &str, status: StatusCode) {
        self.send(&response(status).header(headers::CSEQ, cseq).empty());
    }

    pub(super) fn answer_in_session(&mut self, cseq: &str) {
        let mut response = ok().header(headers::CSEQ, cseq);
        if let Some(active) = &self.active {
            response = response.header(headers::SESSION, active.id.as_str());
        }
        self.send(&response.empty());
    }

    /// Two headers of one name: in one, separated by a comma, FFmpeg and VLC read neither challenge.
    pub(super) fn send_challenge(&mut self, cseq: &str, challenges: &[String; 2]) {
        let mut bytes =
            self.serialised(&response(StatusCode::Unauthorized).header(headers::CSEQ, cseq).empty());
        bytes.truncate(bytes.len() - 2);
        for challenge in challenges {
            bytes.extend_from_slice(format!("{}: {challenge}\r\n", headers::WWW_AUTHENTICATE).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        self.actions.push_back(Action::Send(bytes.into()));
    }

    pub(super) fn send<B: AsRef<[u8]>>(&mut self, response: &Response<B>) {
        let bytes = self.serialised(response);
        self.actions.push_back(Action::Send(bytes.into()));
    }

    fn serialised<B: AsRef<[u8]>>(&self, response: &Response<B>) -> Vec<u8> {
        serialise(response, self.version)
    }
}
