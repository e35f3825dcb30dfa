//! Users, passwords, sessions and stream keys.
//!
//! Everything that decides who somebody is. Time comes from `hal::Clock`, randomness from the system. A login is
//! [`BackOff::attempt`], then [`Verifier::verify`] with what [`Accounts::user`] has (or nothing), then
//! [`BackOff::succeeded`] and [`Sessions::begin`].
//!
//! Does not belong here: HTTP and RTSP, files, and any async code.
//!
//! Invariants: no secret of any kind can be read back out or printed; there is no secret that two recorders
//! share, and none that is derived from anything.

mod accounts;
mod back_off;
mod config;
mod error;
mod name;
mod password;
mod random;
mod role;
mod session;
mod setup_code;
mod stream_key;

pub use accounts::{Accounts, MAX_STREAM_KEYS, MAX_USERS, REALM, StreamKey, User};
pub use back_off::BackOff;
pub use config::{AccountsConfig, CONFIG_VERSION, StreamKeyConfig, UserConfig};
pub use error::{AuthError, ErrorKind};
pub use name::{MAX_NAME_LEN, UserName};
pub use password::{MAX_PASSWORD_CHARS, MIN_PASSWORD_CHARS, StoredPassword, Verifier, check_new_password};
pub use role::Role;
pub use session::{
    ABSOLUTE_TIMEOUT, IDLE_TIMEOUT, KeptSession, MAX_SESSIONS, MAX_SESSIONS_PER_USER, NewSession, Session,
    SessionInfo, Sessions,
};
pub use setup_code::{SETUP_CODE_LIFETIME, SETUP_CODE_TRIES, SetupCode, Try};
pub use stream_key::StreamKeyVerifier;
