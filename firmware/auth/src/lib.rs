//! Users, passwords, sessions and stream keys.

mod stream_key;

pub use stream_key::StreamKeyVerifier;
