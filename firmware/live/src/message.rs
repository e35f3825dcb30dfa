//! What a viewer is sent.
//!
//! Does not belong here: how it travels (crate `web`).

use bytes::Bytes;
use serde::Serialize;

/// One message to a viewer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// JSON: `init`, `lost` or `waiting`.
    Text(String),
    /// An init segment, or a fragment of one access unit.
    Binary(Bytes),
}

/// The messages in JSON.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Note<'a> {
    /// An init segment follows; what came before does not continue.
    Init {
        /// For `MediaSource.isTypeSupported` and `addSourceBuffer`.
        mime: &'a str,
        /// The picture's size.
        width: u16,
        height: u16,
    },
    /// GOPs were left out for this viewer; the next fragment is a keyframe.
    Lost {
        /// How many.
        gops: u64,
    },
    /// There is nothing to show now.
    Waiting,
}

impl Note<'_> {
    pub(crate) fn message(&self) -> Message {
        Message::Text(serde_json::to_string(self).expect("plain data has a JSON form"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_as_documented() {
        let text = |note: Note<'_>| note.message();
        let mime = "video/mp4; codecs=\"avc1.64001f,mp4a.40.2\"";
        assert_eq!(
            text(Note::Init { mime, width: 640, height: 360 }),
            Message::Text(
                r#"{"type":"init","mime":"video/mp4; codecs=\"avc1.64001f,mp4a.40.2\"","width":640,"height":360}"#
                    .into()
            )
        );
        assert_eq!(text(Note::Lost { gops: 3 }), Message::Text(r#"{"type":"lost","gops":3}"#.into()));
        assert_eq!(text(Note::Waiting), Message::Text(r#"{"type":"waiting"}"#.into()));
    }
}
